"""From a store to dossiers: the queries behind `lastcall check`, made for many targets at once.

The store's own queries return one row a process or a call site; over a year of releases that is more than a
verdict needs. These statements let SQLite do the joining and grouping, and return one row for each target,
scope and state, or caller and scope.
"""

# ruff: noqa: S608 - what is pieced together are constants and question marks; values go in as parameters

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from lastcall.dossier import Caller, Dossier, Life, Mention, Scope, Watch
from lastcall.evidence import Site
from lastcall.intervals import Intervals, clip, union

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence

    from lastcall.evidence import Finding, TargetInfo
    from lastcall.store import Store

HOURS = 400
"""Hours of use read for a caller, the latest."""


def dossiers(store: Store, targets: Sequence[TargetInfo], now: float) -> list[Dossier]:
    """A dossier for each target, in their order; one that the store does not know has no evidence in it.

    Raises StoreError.
    """
    with store._database.errors():
        reader = _Reader(store, [target.ref for target in targets], now)
        return [reader.dossier(target) for target in targets]


class _Reader:
    def __init__(self, store: Store, refs: Sequence[str], now: float) -> None:
        self.now = now
        self.connection: sqlite3.Connection = store._database.connection
        self.wanted = set(refs)
        self.scopes = {
            number: Scope(*rest)
            for number, *rest in self.connection.execute(
                "SELECT id, service, environment, release FROM scope"
            )
        }
        self.heard = self._heard()
        self.fleet = tuple(self._fleet())
        self.watches = self._watches()
        self.callers = self._callers()
        self.mentions = self._mentions(store)
        self.findings: dict[str, list[tuple[Scope, Finding]]] = defaultdict(list)
        for row in store.findings():
            scope = Scope(row.scope.service, row.scope.environment, row.scope.release)
            self.findings[row.finding.target].append((scope, row.finding))

    def dossier(self, target: TargetInfo) -> Dossier:
        return Dossier(
            target=target,
            now=self.now,
            fleet=self.fleet,
            watches=tuple(self.watches.get(target.ref, ())),
            callers=tuple(self.callers.get(target.ref, ())),
            mentions=tuple(self.mentions.get(target.ref, ())),
            findings=tuple(self.findings.get(target.ref, ())),
        )

    def _narrowed(self) -> tuple[str, tuple[object, ...]]:
        """A condition on target `t` for the statements below, and its parameters."""
        if len(self.wanted) > 100:  # noqa: PLR2004 - past that, a join over all is faster, and simpler to bind
            return "1", ()
        return f"t.ref IN ({', '.join('?' * len(self.wanted))})", tuple(sorted(self.wanted))

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

    def _watches(self) -> dict[str, list[Watch]]:
        """States of targets by scope. Processes are joined as text, which many targets have in common."""
        condition, parameters = self._narrowed()
        rows = self.connection.execute(
            "SELECT t.ref, p.scope, o.state, o.reason, count(DISTINCT x.process),"
            " group_concat(x.process || ' ' || cast(x.since AS INTEGER) || ' '"
            " || coalesce(cast(x.until AS INTEGER), ''))"
            " FROM target_state x JOIN process p ON p.id = x.process JOIN target t ON t.id = x.target"
            f" JOIN outcome o ON o.id = x.outcome WHERE {condition} GROUP BY x.target, p.scope, x.outcome",
            parameters,
        )
        known: dict[str, Intervals] = {}
        result: dict[str, list[Watch]] = defaultdict(list)
        for ref, scope, state, reason, processes, text in rows:
            during = known.get(text)
            if during is None:
                during = known[text] = union(self._stretches(text.split(",")))
            result[ref].append(Watch(self.scopes[scope], state, during, processes, reason))
        return result

    def _stretches(self, entries: Iterable[str]) -> Iterator[tuple[float, float]]:
        for entry in entries:
            process, since, until = entry.split(" ")
            yield from clip(
                self.heard.get(int(process), ()), float(since), float(until) if until else float("inf")
            )

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
        hours = self._hours({row[1] for row in rows})
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

    def _hours(self, sites: set[int]) -> dict[tuple[int, int], tuple[int, ...]]:
        """The hours in which each site was used in each scope."""
        rows = self.connection.execute(
            "SELECT a.site, p.scope, group_concat(DISTINCT a.hour) FROM activity a"
            " JOIN process p ON p.id = a.process WHERE a.count > 0 GROUP BY a.site, p.scope"
        )
        return {
            (site, scope): tuple(sorted(map(int, text.split(","))))[-HOURS:]
            for site, scope, text in rows
            if site in sites
        }

    def _mentions(self, store: Store) -> dict[str, list[Mention]]:
        """Modules that hold a target's object. Where they lie in the source is not known yet: they count."""
        result: dict[str, list[Mention]] = defaultdict(list)
        for row in store.references():
            reference = row.reference
            scope = Scope(row.scope.service, row.scope.environment, row.scope.release)
            result[reference.target].append(
                Mention(reference.file, reference.line, reference.how, reference.name, scope=scope)
            )
        return result
