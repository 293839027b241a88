"""What was seen at run time of the things that the source shows: the join with the store."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Container

    from lastcall.evidence import Site
    from lastcall.scanning.finding import Finding
    from lastcall.store import Store

Seen = Literal["seen", "never seen", "not loaded", "not watched"]


@dataclass(slots=True)
class Sightings:
    """The store's answers that discovery asks for, read once."""

    uses: dict[str, int] = field(default_factory=dict)
    """Uses by target."""
    states: dict[str, set[str]] = field(default_factory=dict)
    """The last states of each target, over all processes."""
    sites: list[tuple[Site, int]] = field(default_factory=list)

    @classmethod
    def read(cls, store: Store) -> Sightings:
        """Everything that discovery needs of a store. Raises StoreError."""
        found = cls({ref: total.uses for ref, total in store.totals().items()})
        for target in store.targets():
            found.states.setdefault(target.ref, set())
        for row in store.current_states():
            found.states.setdefault(row.ref, set()).add(row.state)
        found.sites = [(row.site, row.count) for row in store.uses(stacks=False)]
        return found

    def of(self, finding: Finding) -> Seen:
        """As `of_target`, of what a finding is about."""
        return self.of_target(finding.ref)

    def of_target(self, ref: str) -> Seen:
        """`seen` if it was used, `never seen` if it was armed and was not, `not loaded` if its module never
        was.

        `not watched` says that no process has had it as a target: its silence means nothing.
        """
        if self.uses.get(ref):
            return "seen"
        states = self.states.get(ref)
        if states is None:
            return "not watched"
        if states & {"armed", "partial"}:
            return "never seen"
        return "not loaded" if "pending" in states else "not watched"

    def count_at(self, target: str, file: str, function: str, line: int, others: Container[int] = ()) -> int:
        """Uses of `target` from a line of a file.

        Where none came from that line, those that came from lines of the same function where the target is not
        referred to (`others` are the lines where it is): the source has changed since, or one call fills several.
        """
        here = [
            (site, count)
            for site, count in self.sites
            if site.target == target and _same_file(site.file, file)
        ]
        exact = sum(count for site, count in here if site.line == line)
        if exact or not function:
            return exact
        return sum(
            count for site, count in here if site.line not in others and _bare(site.function) == function
        )


def _bare(function: str) -> str:
    """A run-time name as the source has it: `f.<locals>.g.<listcomp>` is in `f.g`."""
    return ".".join(part for part in function.split(".") if not part.startswith("<"))


def _same_file(seen: str, file: str) -> bool:
    """Paths of the store are relative to the process's project root, which need not be the scanned one."""
    if seen == file:
        return True
    longer, shorter = (seen, file) if len(seen) > len(file) else (file, seen)
    return longer.endswith("/" + shorter)
