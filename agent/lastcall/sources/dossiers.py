"""From a store to dossiers: the queries behind `lastcall check`, made for many targets at once.

The store's own queries return one row a process or a call site; over a year of releases that is more than a
verdict needs. These statements let SQLite do the joining and grouping, and return one row for each target,
scope and state, or caller and scope.
"""

# ruff: noqa: S608 - what is pieced together are constants and question marks; values go in as parameters

from __future__ import annotations

import heapq
from collections import defaultdict
from typing import TYPE_CHECKING

from lastcall.coverage import Fleet
from lastcall.dossier import Caller, Dossier, Life, Mention, Scope, Watch, covers
from lastcall.errors import StoreError
from lastcall.evidence import Site
from lastcall.intervals import Intervals, union
from lastcall.sources.watching import Watching

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Container, Iterator, Sequence

    from lastcall.dossier import Question
    from lastcall.evidence import Finding, TargetInfo
    from lastcall.store import Store

HOURS = 400
"""Hours of use read for a caller, the latest."""


MANY = 100
"""From so many targets on, those that are plainly in use are read briefly."""
NEWEST = 3
"""Callers of a target in use whose hours are read: one alone would do, if it has not just begun."""
RECENT_HOURS = 60 * 24
CHUNK = 500
"""Values bound in one statement: SQLite allows 999 in the oldest versions."""


def dossiers(
    store: Store,
    targets: Sequence[TargetInfo],
    question: Question,
    now: float,
    *,
    thorough: Container[str] = (),
) -> list[Dossier]:
    """A dossier for each target, in their order; one that the store does not know has no evidence in it.

    Of many targets, those used within the question's window by what still runs get a brief one, but for those
    in `thorough`. Raises StoreError.
    """
    with store._database.errors():
        _look_for_damage(store)
        reader = _Reader(store, now)
        refs = {target.ref for target in targets}
        busy: dict[str, list[Caller]] = {}
        if len(refs) >= MANY:
            found = reader.recent_callers(question)
            busy = {ref: found[ref] for ref in refs & found.keys() if ref not in thorough}
        reader.read(refs - busy.keys())
        return [reader.dossier(target, busy.get(target.ref)) for target in targets]


def _look_for_damage(store: Store) -> None:
    """Uses whose call site, process or release is no more would be no evidence, and their silence a verdict."""
    for table in ("use_count", "site", "process"):
        for row in store._database.connection.execute(f"PRAGMA foreign_key_check({table})"):
            raise StoreError(
                "store-corrupt",
                f"The store {store.path} is damaged: {table} refers to rows of {row[2]} that are not there. "
                "Take a copy that is whole, or move it away; a new one will be made.",
            )


class _Reader:
    """Reads one store. Rows are grouped by target; scopes and intervals are shared between targets."""

    def __init__(self, store: Store, now: float) -> None:
        self.now = now
        self.store = store
        self.connection: sqlite3.Connection = store._database.connection
        self.scopes = {
            number: Scope(*rest)
            for number, *rest in self.connection.execute(
                "SELECT id, service, environment, release FROM scope"
            )
        }
        self.heard = self._heard()
        self.fleet = tuple(self._fleet())
        self.mentions = self._mentions()
        self.findings: dict[str, list[tuple[Scope, Finding]]] = defaultdict(list)
        for row in store.findings():
            scope = Scope(row.scope.service, row.scope.environment, row.scope.release)
            self.findings[row.finding.target].append((scope, row.finding))
        self.watches: dict[str, list[Watch]] = {}
        self.unaware: dict[str, list[Watch]] = {}
        self.callers: dict[str, list[Caller]] = {}

    def read(self, refs: set[str]) -> None:
        """Read who watched and who used these targets."""
        self.wanted = refs
        if refs:
            self._read_watches()
            self.callers = self._callers()

    def dossier(self, target: TargetInfo, busy: list[Caller] | None) -> Dossier:
        return Dossier(
            target=target,
            now=self.now,
            fleet=self.fleet,
            watches=tuple(self.watches.get(target.ref, ())),
            unaware=tuple(self.unaware.get(target.ref, ())),
            callers=tuple(self.callers.get(target.ref, ()) if busy is None else busy),
            mentions=tuple(self.mentions.get(target.ref, ())),
            findings=tuple(self.findings.get(target.ref, ())),
            unread=self.store.unread,
            brief=busy is not None,
        )

    def recent_callers(self, question: Question) -> dict[str, list[Caller]]:
        """Who used what within the window, on a release whose uses count: proof enough that it is in use."""
        live = Fleet(self.fleet, self.now).live
        counting = {
            number
            for number, scope in self.scopes.items()
            if (scope in live or question.releases == "all")
            and not any(covers(pattern, scope.where) for pattern in question.ignored)
        }
        merged: dict[tuple[int, int], list[float]] = {}
        rows = self.connection.execute(
            "SELECT u.site, p.scope, u.count, u.first_seen, u.last_seen FROM use_count u"
            " JOIN process p ON p.id = u.process WHERE u.last_seen >= ? AND u.count > 0 AND NOT u.allowed",
            (self.now - question.window,),
        )
        for site, scope, count, first, last in rows:
            if scope in counting:
                known = merged.setdefault((site, scope), [0, first, last])
                known[0] += count
                known[1] = min(known[1], first)
                known[2] = max(known[2], last)
        return self._with_sites(merged)

    def _with_sites(self, merged: dict[tuple[int, int], list[float]]) -> dict[str, list[Caller]]:
        sites = self._sites({site for site, _ in merged})
        by_target: dict[str, list[tuple[float, tuple[int, int]]]] = defaultdict(list)
        for key, (_, _, last) in merged.items():
            if key[0] in sites:
                by_target[sites[key[0]].target].append((last, key))
        newest = {key[0] for keys in by_target.values() for _, key in heapq.nlargest(NEWEST, keys)}
        hours = self._hours(newest, int(self.now // 3600) - RECENT_HOURS)
        result: dict[str, list[Caller]] = {}
        for ref, keys in by_target.items():
            result[ref] = [
                Caller(
                    sites[key[0]], self.scopes[key[1]], int(merged[key][0]), merged[key][1], last,
                    hours.get(key, ()),
                )
                for last, key in keys
            ]  # fmt: skip
        return result

    def _sites(self, wanted: set[int]) -> dict[int, Site]:
        """Call sites by number, without tests and scanners."""
        result = {}
        for some in _chunks(wanted):
            rows = self.connection.execute(
                "SELECT s.id, t.ref, s.kind, s.file, s.line, s.function, s.module, s.expression, s.origin,"
                " s.during_import, s.via, s.note FROM site s JOIN target t ON t.id = s.target"
                f" WHERE NOT s.by_test AND NOT s.scanner AND s.id IN ({_marks(some)})",
                some,
            )
            for row in rows:
                ref, use, file, line, function, module, expression, origin, *more = row[1:]
                result[row[0]] = Site(
                    ref, use, file, line, function, module, expression, origin,
                    bool(more[0]), via=more[1], note=more[2],
                )  # fmt: skip
        return result

    def _hours(self, sites: set[int], since: int) -> dict[tuple[int, int], tuple[int, ...]]:
        """The hours in which each site was used in each scope, the latest."""
        found: dict[tuple[int, int], set[int]] = defaultdict(set)
        for some in _chunks(sites):
            rows = self.connection.execute(
                "SELECT a.site, p.scope, a.hour FROM activity a JOIN process p ON p.id = a.process"
                f" WHERE a.site IN ({_marks(some)}) AND a.hour >= ? AND a.count > 0",
                (*some, since),
            )
            for site, scope, hour in rows:
                found[site, scope].add(hour)
        return {key: tuple(sorted(hours))[-HOURS:] for key, hours in found.items()}

    def _narrowed(self) -> tuple[str, tuple[object, ...]]:
        """A condition on target `t` for the statements below, and its parameters."""
        if len(self.wanted) > CHUNK:
            return "1", ()  # nearly all of them: what is read too much is left unused
        return f"t.ref IN ({_marks(self.wanted)})", tuple(sorted(self.wanted))

    def _heard(self) -> dict[int, Intervals]:
        """When each process was alive and watching."""
        found: dict[int, list[tuple[float, float]]] = defaultdict(list)
        for process, since, until in self.connection.execute("SELECT process, since, until FROM observed"):
            found[process].append((since, until))
        return {process: union(stretches) for process, stretches in found.items()}

    def _fleet(self) -> Iterator[Life]:
        heard: dict[int, list[tuple[float, float]]] = defaultdict(list)
        over: dict[int, bool] = defaultdict(lambda: True)
        oldest: dict[int, float] = {}
        rows = self.connection.execute(
            "SELECT id, scope, seen, ended IS NOT NULL OR finished, started FROM process"
            " ORDER BY started DESC"
        )
        for process, scope, seen, ended, started in rows:
            if not ended or scope not in oldest:
                oldest[scope] = started
            heard[scope].extend(self.heard.get(process, ((seen, seen),)))
            over[scope] = over[scope] and bool(ended)
        troubles: dict[int, list[tuple[str, int]]] = defaultdict(list)
        for scope, kind, name, value in self.connection.execute(
            "SELECT p.scope, n.kind, n.name, sum(n.value) FROM counter n JOIN process p ON p.id = n.process"
            " GROUP BY p.scope, n.kind, n.name ORDER BY n.kind, n.name"
        ):
            troubles[scope].append((f"{kind}:{name}", value))
        for number, scope in self.scopes.items():
            if number in heard:
                yield Life(scope, union(heard[number]), over[number], oldest[number], tuple(troubles[number]))

    def _read_watches(self) -> None:
        rows = self.connection.execute("SELECT id, ref FROM target")
        refs = {number: ref for number, ref in rows if ref in self.wanted}
        watching = Watching(self.connection, self.scopes, self.heard)
        self.watches, self.unaware = watching.watches(refs), watching.unaware(refs)

    def _callers(self) -> dict[str, list[Caller]]:
        condition, parameters = self._narrowed()
        rows = self.connection.execute(
            "SELECT t.ref, s.id, p.scope, s.kind, s.file, s.line, s.function, s.module, s.expression,"
            " s.origin, s.during_import, s.by_test, s.scanner, s.via, s.note, sum(u.count),"
            " min(u.first_seen), max(u.last_seen), sum(u.errors), min(u.allowed)"
            " FROM site s JOIN target t ON t.id = s.target JOIN use_count u ON u.site = s.id"
            f" JOIN process p ON p.id = u.process WHERE {condition} AND u.count > 0"
            " GROUP BY s.id, p.scope",
            parameters,
        ).fetchall()
        hours = self._hours({row[1] for row in rows}, 0)
        result: dict[str, list[Caller]] = defaultdict(list)
        for ref, site_id, scope, use, file, line, function, module, expression, origin, *rest in rows:
            importing, by_test, scanner, via, note, count, first, last, errors, allowed = rest
            site = Site(
                ref, use, file, line, function, module, expression, origin,
                bool(importing), bool(by_test), bool(scanner), via, (), note,
            )  # fmt: skip
            when = hours.get((site_id, scope), ())
            caller = Caller(site, self.scopes[scope], count, first, last, when, errors, bool(allowed))
            result[ref].append(caller)
        return result

    def _mentions(self) -> dict[str, list[Mention]]:
        """Modules that hold a target's object. Where they lie in the source is not known yet: they count."""
        result: dict[str, list[Mention]] = defaultdict(list)
        for row in self.store.references():
            reference = row.reference
            scope = Scope(row.scope.service, row.scope.environment, row.scope.release)
            result[reference.target].append(
                Mention(reference.file, reference.line, reference.how, reference.name, scope=scope)
            )
        return result


def _chunks(values: set[int]) -> Iterator[list[int]]:
    ordered = sorted(values)
    for start in range(0, len(ordered), CHUNK):
        yield ordered[start : start + CHUNK]


def _marks(values: Collection[object]) -> str:
    return ", ".join("?" * len(values))
