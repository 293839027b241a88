"""Reading the store: every query is one SQL statement or a few, and returns plain values."""

# ruff: noqa: S608 - what is pieced together are constants of this module; values go in as parameters

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lastcall.evidence import Finding, Frame, Process, Reference, Site, TargetInfo, TargetState
from lastcall.store import state_sets
from lastcall.store.rows import (
    Activity,
    CallSite,
    Filter,
    FindingRow,
    ObservationRow,
    Observed,
    ProcessRow,
    ReferenceRow,
    Scope,
    StateCount,
    StateRow,
    Total,
    UseRow,
    Watched,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

CHUNK = 500
"""Values bound in one statement: SQLite allows 999 in the oldest versions."""

RECENT = 86400.0
"""Seconds. "The processes that lived last" are those seen within a day of the last one of their scope."""

WEIGHT = ("failed", "partial", "missing", "armed", "removed", "pending")
"""States by how much they say when processes disagree: a failure anywhere is news, a target that one
process has not imported yet is none if another has it armed."""

_WEIGHT_SQL = "CASE o.state " + " ".join(f"WHEN '{s}' THEN {i}" for i, s in enumerate(WEIGHT)) + " ELSE 9 END"

# The scope and time of process `p` and the name of target `t`, as far as `Filter` narrows them.
_SCOPE = (
    " AND (:service = '' OR c.service = :service) AND (:environment = '' OR c.environment = :environment)"
    " AND (:release = '' OR c.release = :release)"
)
_TARGET = " AND (:target = '' OR t.ref GLOB :target)"

_BY_SCOPE = "z.service, z.environment, z.release"
"""Orders by scope `z`. Numbers would not do: they differ from store to store."""

_LAST = (
    "last AS (SELECT p.id, p.scope FROM process p JOIN (SELECT scope, max(seen) AS seen FROM process"
    f" GROUP BY scope) m ON m.scope = p.scope WHERE p.seen > m.seen - {RECENT})"
)


def _parameters(filter_: Filter) -> dict[str, object]:
    return {
        "target": filter_.target.replace("[", "[[]"),
        "service": filter_.service,
        "environment": filter_.environment,
        "release": filter_.release,
        "since": filter_.since,
        "hour": int(filter_.since // 3600),
    }


def targets(connection: sqlite3.Connection, filter_: Filter) -> list[TargetInfo]:
    """Every target that any process has named or used."""
    rows = connection.execute(
        "SELECT ref, kind, replacement, owner, issue, since, remove_by, note, schedule, defined_file,"
        f" defined_line, source FROM target t WHERE 1 {_TARGET} ORDER BY ref",
        _parameters(filter_),
    )
    return [_with_replacement(TargetInfo(*row)) for row in rows]


def _with_replacement(info: TargetInfo) -> TargetInfo:
    """What a found target's own words tell to use instead, where nobody has configured it."""
    if info.replacement or not info.note or info.source not in ("pep702", "warning", "log"):
        return info
    from lastcall.scanning.replacements import replacement_in

    return replace(info, replacement=replacement_in(info.note))


def totals(connection: sqlite3.Connection, filter_: Filter) -> dict[str, Total]:
    """Uses by target. Targets without a use are not in it."""
    count, within = _counted(filter_)
    rows = connection.execute(
        f"WITH n AS (SELECT u.site, sum({count}) AS count, min(u.first_seen) AS first,"
        f" max(u.last_seen) AS last"
        f" FROM use_count u {_scope_join(filter_)} {within} WHERE u.last_seen >= :since"
        f" {_scope_where(filter_)}"
        " GROUP BY u.site) SELECT t.ref, sum(n.count), count(*), min(n.first), max(n.last) FROM n"
        f" JOIN site s ON s.id = n.site JOIN target t ON t.id = s.target WHERE 1 {_TARGET} GROUP BY t.id",
        _parameters(filter_),
    )
    return {row[0]: Total(*row) for row in rows}


def _counted(filter_: Filter) -> tuple[str, str]:
    """Which column counts, and the join that it comes from: all uses, or those of the hours since."""
    if not filter_.since:
        return "u.count", ""
    return "a.count", (
        "JOIN (SELECT site, process, sum(count) AS count FROM activity WHERE hour >= :hour GROUP BY"
        " site, process)"
        " a ON a.site = u.site AND a.process = u.process"
    )


def _scope_join(filter_: Filter) -> str:
    """The join that `_SCOPE` needs; nothing where it would let everything pass, which is much faster."""
    if not (filter_.service or filter_.environment or filter_.release):
        return ""
    return "JOIN process p ON p.id = u.process JOIN scope c ON c.id = p.scope"


def _scope_where(filter_: Filter) -> str:
    return _SCOPE if _scope_join(filter_) else ""


def uses(connection: sqlite3.Connection, filter_: Filter, *, stacks: bool = True) -> list[UseRow]:
    """Every call site in every scope, by target, busiest first. Without `stacks` the sites have none."""
    count, within = _counted(filter_)
    rows = connection.execute(
        f"WITH n AS (SELECT u.site, p.scope, sum({count}) AS count, sum(u.errors) AS errors,"
        " min(u.allowed) AS allowed, min(u.first_seen) AS first_seen, max(u.last_seen) AS last_seen,"
        " count(*) AS processes FROM use_count u JOIN process p ON p.id = u.process"
        f" JOIN scope c ON c.id = p.scope {within} WHERE u.last_seen >= :since {_SCOPE} GROUP BY"
        f" u.site, p.scope)"
        " SELECT n.site, n.scope, n.count, n.errors, n.allowed, n.first_seen, n.last_seen, n.processes"
        " FROM n CROSS JOIN site s ON s.id = n.site JOIN target t ON t.id = s.target JOIN scope z"
        " ON z.id = n.scope"
        f" WHERE 1 {_TARGET} ORDER BY t.ref, n.count DESC, s.file, s.line, s.digest, {_BY_SCOPE}",
        _parameters(filter_),
    ).fetchall()
    scopes = _scopes(connection)
    sites = _sites(connection, {row[0] for row in rows}, stacks=stacks)
    return [
        UseRow(sites[site], scopes[scope], count, errors, bool(allowed), *rest)
        for site, scope, count, errors, allowed, *rest in rows
    ]


def call_sites(
    connection: sqlite3.Connection, filter_: Filter, *, limit: int = 0, stacks: bool = False
) -> list[CallSite]:
    """Each call site once, by target, busiest first; at most `limit` of a target, 0 for all."""
    count, within = _counted(filter_)
    rows = connection.execute(
        f"WITH n AS (SELECT u.site, sum({count}) AS count, sum(u.errors) AS errors, min(u.allowed)"
        f" AS allowed,"
        " min(u.first_seen) AS first_seen, max(u.last_seen) AS last_seen FROM use_count u"
        f" {_scope_join(filter_)} {within} WHERE u.last_seen >= :since {_scope_where(filter_)}"
        f" GROUP BY u.site),"
        # The busiest first, by count alone: putting all of them in their final order takes twice as long.
        " busy AS (SELECT n.*, s.target, rank() OVER (PARTITION BY s.target ORDER BY n.count DESC) AS place"
        " FROM n CROSS JOIN site s ON s.id = n.site),"
        " ranked AS (SELECT busy.*, t.ref, row_number() OVER"
        " (PARTITION BY t.id ORDER BY busy.count DESC, s.file, s.line, s.digest) AS rank"
        " FROM busy CROSS JOIN site s ON s.id = busy.site JOIN target t ON t.id = s.target"
        f" WHERE (:limit = 0 OR busy.place <= :limit) {_TARGET})"
        " SELECT site, count, errors, allowed, first_seen, last_seen FROM ranked"
        " WHERE :limit = 0 OR rank <= :limit ORDER BY ref, rank",
        {**_parameters(filter_), "limit": limit},
    ).fetchall()
    wanted = [row[0] for row in rows]
    sites = _sites(connection, set(wanted), stacks=stacks)
    where = _scopes_of_sites(connection, filter_, wanted)
    return [
        CallSite(sites[site], count, errors, bool(allowed), first, last, tuple(where[site]))
        for site, count, errors, allowed, first, last in rows
    ]


def _scopes_of_sites(
    connection: sqlite3.Connection, filter_: Filter, sites: list[int]
) -> dict[int, list[Scope]]:
    """In which scopes each of these sites was seen, in the scopes' order."""
    found: dict[int, list[Scope]] = {site: [] for site in sites}
    scopes = _scopes(connection)
    for start in range(0, len(sites), CHUNK):
        some = sorted(sites[start : start + CHUNK])
        marks = ", ".join(f":s{i}" for i in range(len(some)))
        rows = connection.execute(
            "SELECT DISTINCT u.site, p.scope FROM use_count u JOIN process p ON p.id = u.process"
            f" JOIN scope c ON c.id = p.scope WHERE u.site IN ({marks}) AND u.last_seen >= :since {_SCOPE}"
            " ORDER BY c.service, c.environment, c.release",
            {**_parameters(filter_), **{f"s{i}": site for i, site in enumerate(some)}},
        )
        for site, scope in rows:
            found[site].append(scopes[scope])
    return found


def current_states(connection: sqlite3.Connection, filter_: Filter) -> list[StateCount]:
    """The last state of each target in the processes that lived last of each service and environment."""
    rows = connection.execute(
        "WITH c AS (SELECT * FROM scope c WHERE 1"
        + _SCOPE
        + "), m AS (SELECT c.service, c.environment, max(p.seen)"
        " AS seen FROM process p JOIN c ON c.id = p.scope GROUP BY c.service, c.environment),"
        " l AS (SELECT p.id, p.scope FROM process p JOIN c ON c.id = p.scope JOIN m USING (service,"
        " environment)"
        f" WHERE p.seen > m.seen - {RECENT})"
        " SELECT t.ref, y.scope, o.state, o.reason, o.engine, y.n FROM (SELECT x.target, l.scope,"
        " x.outcome,"
        " count(*) AS n FROM l JOIN target_state x ON x.process = l.id AND x.until IS NULL"
        " GROUP BY x.target, l.scope, x.outcome) y JOIN target t ON t.id = y.target"
        f" JOIN outcome o ON o.id = y.outcome JOIN scope z ON z.id = y.scope WHERE 1 {_TARGET}"
        f" ORDER BY t.ref, {_WEIGHT_SQL}, {_BY_SCOPE}, o.reason, o.engine",
        _parameters(filter_),
    )
    scopes = _scopes(connection)
    return [StateCount(row[0], scopes[row[1]], *row[2:]) for row in rows]


def states(connection: sqlite3.Connection, filter_: Filter) -> list[StateRow]:
    """The whole history of targets' states, by process and time."""
    rows = connection.execute(
        "SELECT p.name, t.ref, o.state, o.reason, o.engine, x.since, x.until FROM target_state x"
        " JOIN process p ON p.id = x.process JOIN target t ON t.id = x.target JOIN outcome o ON"
        " o.id = x.outcome"
        f" JOIN scope c ON c.id = p.scope WHERE (x.until IS NULL OR x.until >= :since) {_TARGET} {_SCOPE}"
        " ORDER BY p.started, p.name, t.ref, x.since",
        _parameters(filter_),
    )
    return [StateRow(row[0], TargetState(*row[1:6]), row[6]) for row in rows]


def watched(connection: sqlite3.Connection, filter_: Filter) -> list[Watched]:
    """How long each target was in each state, in each scope, counting only time in which a process"
    " lived."""
    begins = "max(x.since, v.since, :since)"
    ends = "min(coalesce(x.until, v.until), v.until)"
    rows = connection.execute(
        f"SELECT t.ref, y.* FROM (SELECT x.target, p.scope, o.state, sum({ends} - {begins}),"
        f" count(DISTINCT x.process), min({begins}), max({ends}) FROM target_state x"
        " JOIN process p ON p.id = x.process JOIN observed v ON v.process = x.process"
        " JOIN outcome o ON o.id = x.outcome JOIN scope c ON c.id = p.scope"
        f" WHERE {ends} >= {begins} {_SCOPE} GROUP BY x.target, p.scope, o.state) y"
        f" JOIN target t ON t.id = y.target JOIN scope z ON z.id = y.scope WHERE 1 {_TARGET} ORDER"
        f" BY t.ref, {_BY_SCOPE}, y.state",
        _parameters(filter_),
    )
    scopes = _scopes(connection)
    return [Watched(row[0], scopes[row[2]], *row[3:]) for row in rows]


def observed(connection: sqlite3.Connection, filter_: Filter) -> list[Observed]:
    """When each process was alive and watching."""
    rows = connection.execute(
        "SELECT p.name, v.since, v.until FROM observed v JOIN process p ON p.id = v.process"
        f" JOIN scope c ON c.id = p.scope WHERE v.until >= :since {_SCOPE} ORDER BY v.since, p.name",
        _parameters(filter_),
    )
    return [Observed(*row) for row in rows]


def activity(connection: sqlite3.Connection, filter_: Filter) -> list[Activity]:
    """Uses by target, scope and hour; hours without a use are not in it."""
    rows = connection.execute(
        "SELECT t.ref, y.scope, y.hour, sum(y.count), sum(y.allowed) FROM (SELECT s.target,"
        " p.scope, a.hour,"
        " a.count, a.count * u.allowed AS allowed FROM activity a JOIN site s ON s.id = a.site"
        " JOIN process p ON p.id = a.process JOIN use_count u ON u.site = a.site AND u.process = a.process"
        f" JOIN scope c ON c.id = p.scope WHERE a.hour >= :hour {_SCOPE}) y JOIN target t ON t.id ="
        f" y.target"
        f" JOIN scope z ON z.id = y.scope WHERE 1 {_TARGET} GROUP BY y.target, y.scope, y.hour"
        f" ORDER BY t.ref, y.hour, {_BY_SCOPE}",
        _parameters(filter_),
    )
    scopes = _scopes(connection)
    return [Activity(ref, scopes[scope], hour, count, allowed) for ref, scope, hour, count, allowed in rows]


def references(connection: sqlite3.Connection, filter_: Filter) -> list[ReferenceRow]:
    """Which modules hold a target's object, in which scope."""
    rows = connection.execute(
        "SELECT t.ref, r.module, r.name, r.file, r.line, r.how, x.scope, x.first_seen, x.last_seen"
        " FROM reference_seen x JOIN reference r ON r.id = x.reference JOIN target t ON t.id = r.target"
        f" JOIN scope c ON c.id = x.scope WHERE x.last_seen >= :since {_TARGET} {_SCOPE}"
        " ORDER BY t.ref, r.module, r.name, r.line, r.file, r.how, c.service, c.environment, c.release",
        _parameters(filter_),
    )
    scopes = _scopes(connection)
    return [ReferenceRow(Reference(*row[:6]), scopes[row[6]], *row[7:]) for row in rows]


def findings(connection: sqlite3.Connection, filter_: Filter) -> list[FindingRow]:
    """What blocks `safe` and is not a use, newest first."""
    rows = connection.execute(
        "SELECT f.kind, t.ref, f.at, f.message, f.count, f.attributes, p.name, p.scope, f.site"
        " FROM finding f JOIN process p ON p.id = f.process JOIN target t ON t.id = f.target"
        " JOIN scope c ON c.id = p.scope"
        f" WHERE f.at >= :since {_TARGET} {_SCOPE} ORDER BY f.at DESC, f.digest",
        _parameters(filter_),
    ).fetchall()
    scopes = _scopes(connection)
    sites = _sites(connection, {row[8] for row in rows} - {None}, stacks=True) if rows else {}
    return [
        FindingRow(
            Finding(kind, ref, at, message, sites.get(site), count, _pairs(attributes)),
            scopes[scope],
            process,
        )
        for kind, ref, at, message, count, attributes, process, scope, site in rows
    ]


def processes(connection: sqlite3.Connection, filter_: Filter) -> list[ProcessRow]:
    """Every process still seen at `filter_.since` or later, oldest first."""
    counters: dict[tuple[int, str], list[tuple[str, int]]] = {}
    for process, kind, name, value in connection.execute(
        "SELECT * FROM counter ORDER BY process, kind, name"
    ):
        counters.setdefault((process, kind), []).append((name, value))
    rows = connection.execute(
        "SELECT p.id, p.name, c.service, c.environment, c.release, p.host, p.pid, p.python,"
        " p.started, p.root,"
        " p.attributes, p.seen, p.ended, p.ended_how FROM process p JOIN scope c ON c.id = p.scope"
        f" WHERE p.seen >= :since {_SCOPE} ORDER BY p.started, p.name",
        _parameters(filter_),
    )
    return [
        ProcessRow(
            Process(*(*row[1:10], _pairs(row[10]))),
            *row[11:],
            *(tuple(counters.get((row[0], kind), ())) for kind in ("dropped", "internal", "reading")),
        )
        for row in rows
    ]


def observations(
    connection: sqlite3.Connection, filter_: Filter, *, states: bool = True
) -> list[ObservationRow]:
    """What was watched, one row a scope; a scope in which nothing was used has one too.

    Without `states` the rows do not count targets, which over a year of releases takes most of the time.
    """
    parameters = _parameters(filter_)
    by_scope: dict[int, dict[str, int]] = {}
    if states:
        by_scope = _tally(connection)
    problems = {
        scope: (internal, dropped)
        for scope, internal, dropped in connection.execute(
            "SELECT p.scope, sum(CASE WHEN n.kind = 'dropped' THEN 0 ELSE n.value END),"
            " sum(CASE WHEN n.kind = 'dropped' THEN n.value ELSE 0 END)"
            " FROM counter n JOIN process p ON p.id = n.process WHERE p.seen >= :since GROUP BY p.scope",
            parameters,
        )
    }
    rows = connection.execute(
        "SELECT p.scope, count(DISTINCT p.id), coalesce(sum(max(0, v.until - max(v.since, :since))), 0.0),"
        " min(p.started), max(p.seen) FROM process p LEFT JOIN observed v ON v.process = p.id"
        f" AND v.until >= :since JOIN scope c ON c.id = p.scope WHERE p.seen >= :since {_SCOPE}"
        " GROUP BY p.scope ORDER BY max(p.seen) DESC, c.service, c.environment, c.release",
        parameters,
    )
    scopes = _scopes(connection)
    return [
        ObservationRow(
            scopes[scope], count, seconds, by_scope.get(scope, {}), *problems.get(scope, (0, 0)), first, last
        )
        for scope, count, seconds, first, last in rows
    ]


def _tally(connection: sqlite3.Connection) -> dict[int, dict[str, int]]:
    """By scope: how many targets have which state, in the processes that lived last."""
    home = dict(connection.execute(f"WITH {_LAST} SELECT id, scope FROM last"))
    of_outcome = dict(connection.execute("SELECT id, state FROM outcome"))
    weight = {state: place for place, state in enumerate(WEIGHT)}
    weightiest: dict[int, dict[int, str]] = {}
    for states, processes in state_sets.alike(connection).items():
        for scope in {home[process] for process in processes if process in home}:
            known = weightiest.setdefault(scope, {})
            for target, outcome, last in states:
                state = of_outcome[outcome]
                if last and weight[state] <= weight.get(known.get(target, ""), len(weight)):
                    known[target] = state
    return {scope: dict(Counter(known.values())) for scope, known in weightiest.items()}


def _scopes(connection: sqlite3.Connection) -> dict[int, Scope]:
    rows = connection.execute("SELECT id, service, environment, release FROM scope")
    return {number: Scope(*rest) for number, *rest in rows}


def _frames(connection: sqlite3.Connection) -> dict[int, Frame]:
    rows = connection.execute("SELECT id, file, line, function FROM frame")
    return {number: Frame(*rest) for number, *rest in rows}


_SITE = (
    "t.ref, s.kind, s.file, s.line, s.function, s.module, s.expression, s.origin, s.during_import,"
    " s.by_test,"
    " s.scanner, s.via, s.note"
)


def _sites(connection: sqlite3.Connection, wanted: set[int], *, stacks: bool) -> dict[int, Site]:
    """The sites of these numbers."""
    few = len(wanted) < 20_000  # noqa: PLR2004 - beyond that, reading all and dropping some is faster
    frames = _frames(connection) if stacks else {}
    query = f"SELECT s.id, {_SITE}, NULL FROM site s JOIN target t ON t.id = s.target"
    if stacks:
        query = query.replace("NULL", "k.frames") + " LEFT JOIN stack k ON k.id = s.stack"
    if few:
        rows: Iterable[Any] = _in_chunks(connection, query, sorted(wanted))
    else:
        rows = (row for row in connection.execute(query) if row[0] in wanted)
    return {row[0]: _site(row[1:], frames) for row in rows}


def _in_chunks(connection: sqlite3.Connection, query: str, numbers: list[int]) -> Iterator[Any]:
    """The rows of a query on sites `s`, of these numbers."""
    for start in range(0, len(numbers), CHUNK):
        some = numbers[start : start + CHUNK]
        # at once: who fails over a row leaves no statement behind that the connection's end would meet
        yield from connection.execute(f"{query} WHERE s.id IN ({', '.join('?' * len(some))})", some).fetchall()


def _site(row: Iterable[Any], frames: dict[int, Frame]) -> Site:
    *columns, importing, by_test, scanner, via, note, stack = row
    path = tuple(frames[number] for number in json.loads(stack)) if stack else ()
    flags = (bool(importing), bool(by_test), bool(scanner))
    return Site(*(*columns, *flags, via, path, note))


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((key, value) for key, value in json.loads(text))
