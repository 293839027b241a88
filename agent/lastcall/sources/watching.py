"""Who watched which target, and when: the biggest table of a store, read without reading most of it.

A year of a large system holds millions of rows, one for each target, process and state; nearly all say the
same: watched from the start of the process to its end. So processes with the same set of states are taken
together (`lastcall.store.state_sets`), and only what is otherwise (missing, failed, partial) is read row by row.
"""

# ruff: noqa: S608 - what is pieced together are question marks and constants; values go in as parameters

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from lastcall.coverage import SEEING
from lastcall.dossier import Watch
from lastcall.intervals import Intervals, clip, measure, union
from lastcall.store import state_sets
from lastcall.targets import Target
from lastcall.wildcards import makes, wild

if TYPE_CHECKING:
    import sqlite3

    from lastcall.dossier import Scope

Odd = dict[tuple[int, int], list[tuple[int, float, float, int]]]
"""By target and scope: (process, since, until, outcome)."""
Groups = Mapping[tuple[state_sets.Member, ...], list[int]]
"""Processes by their target states."""
CHUNK = 500
"""Values bound in one statement: SQLite allows 999 in the oldest versions."""


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
        self.groups: Groups = state_sets.alike(connection)
        self.outcomes = {
            number: (state, reason)
            for number, state, reason in connection.execute("SELECT id, state, reason FROM outcome")
        }

    def watches(self, refs: Mapping[int, str]) -> dict[str, list[Watch]]:
        """The watches of each target in `refs` (number in the store: reference)."""
        groups = self.groups
        odd = self._odd(groups, refs)
        result: dict[str, list[Watch]] = {ref: [] for ref in refs.values()}
        for states, processes in groups.items():
            targets = sorted({target for target, _, last in states if last and target in refs})
            armed = {target for target, outcome, _ in states if self.outcomes[outcome][0] == "armed"}
            gone = {target for target, outcome, _ in states if self.outcomes[outcome][0] == "removed"}
            by_scope: dict[int, list[int]] = defaultdict(list)
            for process in processes:
                by_scope[self.home[process]].append(process)
            for scope, members in by_scope.items() if targets else ():
                during = union(stretch for process in members for stretch in self.heard.get(process, ()))
                here = self.scopes[scope]
                seen = Watch(here, "armed", during, len(members))
                unseen = Watch(here, "pending", during, len(members))
                removed = Watch(here, "removed", during, len(members))
                for target in targets:
                    watch = seen if target in armed else removed if target in gone else unseen
                    strange = odd.get((target, scope))
                    found = [watch] if strange is None else self._apart(watch, members, strange)
                    result[refs[target]].extend(found)
        return result

    def unaware(self, refs: Mapping[int, str]) -> dict[str, list[Watch]]:
        """Processes that did not have a target among theirs, where others of their service did.

        They were started before it was named, by another configuration, or by a release that had lost it. Where a
        wildcard makes the target, who has that wildcard is not among them: it may not have imported the module. Where
        nobody told of that wildcard (an older agent, and what it sent to Cloud Logging), nothing is known of that.
        """
        covering = self._covering(refs)
        by_scope: dict[int, list[tuple[set[int], list[int]]]] = defaultdict(list)
        for states, processes in self.groups.items():
            named = {target for target, _, _ in states}
            apart: dict[int, list[int]] = defaultdict(list)
            for process in processes:
                apart[self.home[process]].append(process)
            for scope, members in apart.items():
                by_scope[scope].append((named, members))
        in_service: dict[tuple[str, str], set[int]] = defaultdict(set)
        for scope, parts in by_scope.items():
            in_service[self.scopes[scope].where].update(*(named for named, _ in parts))
        result: dict[str, list[Watch]] = defaultdict(list)
        for scope, parts in by_scope.items():
            here = self.scopes[scope]
            everywhere = set.intersection(*(named for named, _ in parts))
            in_reach = in_service[here.where]
            told_of = {target for target in refs if covering.get(target, {target})}
            known = {target for target in told_of if not in_reach.isdisjoint((target, *covering.get(target, ())))}
            for target in sorted(known - everywhere):
                speaking = {target, *covering.get(target, ())}
                without = [p for named, members in parts if speaking.isdisjoint(named) for p in members]
                during = union(stretch for process in without for stretch in self.heard.get(process, ()))
                if measure(during) > 0:  # else it was killed before it could say what it watches
                    result[refs[target]].append(
                        Watch(here, "missing", during, len(without), "not among their targets")
                    )
        return result

    def _covering(self, refs: Mapping[int, str]) -> dict[int, set[int]]:
        """Of each target that a wildcard made: the wildcards that cover it, all by their numbers."""
        rows = self.connection.execute("SELECT id, ref, source FROM target").fetchall()
        made = {ref: number for number, ref, source in rows if source == "wildcard" and number in refs}
        result: dict[int, set[int]] = {number: set() for number in made.values()}
        for number, ref, _ in rows if made else ():
            for covered in makes(Target(ref), made) if wild(ref) else ():
                result[made[covered]].add(number)
        return result

    def _odd(self, groups: Groups, refs: Mapping[int, str]) -> Odd:
        """The states of `refs` in which a use may go unseen."""
        blind = {number for number, (state, _) in self.outcomes.items() if state not in SEEING}
        odd: Odd = defaultdict(list)
        for states, processes in groups.items():
            strange = sorted({t for t, outcome, _ in states if outcome in blind and t in refs})
            for some in _chunks(strange):
                query = (
                    "SELECT target, since, until, outcome FROM target_state"
                    f" WHERE process = ? AND target IN ({_marks(some)})"
                )
                for process in processes:
                    for target, since, until, outcome in self.connection.execute(query, (process, *some)):
                        if outcome in blind:
                            end = float("inf") if until is None else until
                            odd[target, self.home[process]].append((process, since, end, outcome))
        return odd

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


def _without(intervals: Intervals, holes: list[tuple[float, float]]) -> Intervals:
    """The part of the intervals outside of the holes."""
    for since, until in holes:
        intervals = (*clip(intervals, float("-inf"), since), *clip(intervals, until, float("inf")))
    return intervals


def _chunks(values: list[int]) -> list[list[int]]:
    return [values[start : start + CHUNK] for start in range(0, len(values), CHUNK)]


def _marks(values: list[int]) -> str:
    return ", ".join("?" * len(values))
