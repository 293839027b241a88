"""Who watched which target, and when: the biggest table of a store, read without reading most of it.

A year of a large system holds millions of rows, one for each target, process and state; nearly all say the
same: watched from the start of the process to its end. So processes with the same set of targets are taken
together, and only what is otherwise (missing, failed, partial) is read row by row.
"""

# ruff: noqa: S608 - what is pieced together are question marks and constants; values go in as parameters

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from lastcall.coverage import SEEING
from lastcall.dossier import Watch
from lastcall.intervals import Intervals, clip, union

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from lastcall.dossier import Scope

Odd = dict[tuple[int, int], list[tuple[int, float, float, int]]]
"""By target and scope: (process, since, until, outcome)."""
FEW = 3


class Watching:
    """Reads who watched from an open store, for many targets at once."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        scopes: Mapping[int, Scope],
        heard: Mapping[int, Intervals],
    ) -> None:
        self.connection = connection
        self.scopes = scopes
        self.heard = heard
        self.home = dict(connection.execute("SELECT id, scope FROM process"))
        self.outcomes = {
            number: (state, reason)
            for number, state, reason in connection.execute("SELECT id, state, reason FROM outcome")
        }

    def watches(self, refs: Mapping[int, str]) -> dict[str, list[Watch]]:
        """The watches of each target in `refs` (number in the store: reference)."""
        odd, armed = self._odd(refs), self._armed(refs)
        result: dict[str, list[Watch]] = {ref: [] for ref in refs.values()}
        for processes in self._alike():
            targets = self._targets_of(processes[0]) & refs.keys()
            by_scope: dict[int, list[int]] = defaultdict(list)
            for process in processes:
                by_scope[self.home[process]].append(process)
            for scope, members in by_scope.items():
                during = union(stretch for process in members for stretch in self.heard.get(process, ()))
                here = self.scopes[scope]
                seen = Watch(here, "armed", during, len(members))
                unseen = Watch(here, "pending", during, len(members))
                for target in targets:
                    watch = seen if target in armed else unseen
                    strange = odd.get((target, scope))
                    found = [watch] if strange is None else self._apart(watch, members, strange)
                    result[refs[target]].extend(found)
        return result

    def _alike(self) -> list[list[int]]:
        """Processes with the same targets, together: the same number, and the same sum of squares."""
        groups: dict[tuple[int, int], list[int]] = defaultdict(list)
        for process, count, squares in self.connection.execute(
            "SELECT process, count(*), sum(target * target) FROM target_state WHERE until IS NULL"
            " GROUP BY process"
        ):
            groups[count, squares].append(process)
        return list(groups.values())

    def _odd(self, refs: Mapping[int, str]) -> Odd:
        """The states of `refs` in which a use may go unseen."""
        odd: Odd = defaultdict(list)
        numbers = [number for number, (state, _) in self.outcomes.items() if state not in SEEING]
        # SQLite compares with one or two numbers much faster than with a list.
        few = len(numbers) <= FEW
        condition = " OR ".join(["outcome = ?"] * len(numbers)) if few else f"outcome IN ({_marks(numbers)})"
        rows = self.connection.execute(
            f"SELECT target, process, since, until, outcome FROM target_state WHERE {condition or '0'}",
            numbers,
        )
        for target, process, since, until, outcome in rows:
            if target in refs:
                end = float("inf") if until is None else until
                odd[target, self.home[process]].append((process, since, end, outcome))
        return odd

    def _targets_of(self, process: int) -> set[int]:
        rows = self.connection.execute(
            "SELECT target FROM target_state WHERE process = ? AND until IS NULL", (process,)
        )
        return {target for (target,) in rows}

    def _apart(
        self, watch: Watch, members: list[int], strange: list[tuple[int, float, float, int]]
    ) -> list[Watch]:
        """The watch without the time in which some processes were blind, and that time on its own."""
        blind: dict[int, list[tuple[float, float]]] = defaultdict(list)
        by_outcome: dict[int, list[tuple[int, float, float]]] = defaultdict(list)
        for process, since, until, outcome in strange:
            if process in members:
                blind[process].append((since, until))
                by_outcome[outcome].append((process, since, until))
        seeing = [
            stretch
            for process in members
            for stretch in _without(self.heard.get(process, ()), blind[process])
        ]
        result = [Watch(watch.scope, watch.state, union(seeing), len(members))]
        for outcome, rows in by_outcome.items():
            state, reason = self.outcomes[outcome]
            during = union(s for process, a, b in rows for s in clip(self.heard.get(process, ()), a, b))
            result.append(Watch(watch.scope, state, during, len({row[0] for row in rows}), reason))
        return result

    def _armed(self, refs: Mapping[int, str]) -> set[int]:
        """The targets that some process had armed. Only one that did knows where a target is defined."""
        defined = {n for (n,) in self.connection.execute("SELECT id FROM target WHERE defined_file != ''")}
        found = refs.keys() & defined
        numbers = [number for number, (state, _) in self.outcomes.items() if state == "armed"]
        if found != refs.keys() and numbers:
            rows = self.connection.execute(
                f"SELECT DISTINCT target FROM target_state WHERE outcome IN ({_marks(numbers)})", numbers
            )
            found |= refs.keys() & {target for (target,) in rows}
        return found


def _without(intervals: Intervals, holes: list[tuple[float, float]]) -> Intervals:
    """The part of the intervals outside of the holes."""
    for since, until in holes:
        intervals = (*clip(intervals, float("-inf"), since), *clip(intervals, until, float("inf")))
    return intervals


def _marks(values: list[int]) -> str:
    return ", ".join("?" * len(values))
