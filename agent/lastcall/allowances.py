"""Why a use is allowed, and until when: by the entry of the `allow` lists that covers it.

The store keeps that a use was allowed when it was counted, and not by which entry. The configuration that is in
force where the question is asked has the reason; an entry that has gone from it, or has run out, covers nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lastcall.callsite import Pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lastcall.evidence import Site
    from lastcall.targets import Allow, Target


class Allowances:
    """The `allow` lists of a configuration."""

    def __init__(self, targets: Iterable[Target] = ()) -> None:
        self._exact: dict[str, tuple[Allow, ...]] = {}
        self._wild: list[tuple[Pattern, Pattern, tuple[Allow, ...]]] = []
        for target in targets:
            if not target.allow:
                continue
            if target.parsed.wild:
                self._wild.append((Pattern(target.module), Pattern(target.qualname), target.allow))
            else:
                self._exact[target.ref] = target.allow

    def of(self, site: Site, at: float) -> Allow | None:
        """The entry that covers a use of `site` at `at` (seconds since the epoch), if one does."""
        for entries in self._lists(site.target):
            for entry in entries:
                if entry.covers(site.module, site.function, int(at * 1e9)):
                    return entry
        return None

    def _lists(self, ref: str) -> Iterator[tuple[Allow, ...]]:
        """Those of the target itself, which win, and of the wildcards that cover it."""
        if ref in self._exact:
            yield self._exact[ref]
        module, _, qualname = ref.partition(":")
        for modules, qualnames, entries in self._wild:
            if modules.matches(module) and qualnames.matches(qualname):
                yield entries
