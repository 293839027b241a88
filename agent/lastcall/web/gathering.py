"""What the pages need of a store, summed by SQLite: a year of a large fleet must not pass through Python.

`prepare` makes a few temporary tables, private to one connection, that hold the sums of the moment; the
queries of a page then read a handful of rows each. A use *counts* if it speaks against removal: it is not on
the allow list, not by a test, and not by a scanner that touches everything.
"""

# ruff: noqa: S608 - what is pieced together are constants of this module; values go in as parameters

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from lastcall.evidence import Reference
from lastcall.store import queries
from lastcall.store.queries import RECENT
from lastcall.store.rows import Filter, Scope
from lastcall.store.schema import statements
from lastcall.web import narrowing

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from lastcall.store.rows import StateCount

DAY = 86400
EVERYTHING = Filter()
TRAIL = 7
"""Days for which a call site stays in use after a use: week-ends and weekly jobs are no progress."""

_USES = """
CREATE TEMP TABLE site_sum (
    site INTEGER PRIMARY KEY, target INTEGER, uses INTEGER, errors INTEGER, allowed INTEGER,
    first REAL, last REAL,
    counts INTEGER             -- 1: it speaks against removal
);
INSERT INTO site_sum
    SELECT u.site, s.target, sum(u.count), sum(u.errors), min(u.allowed), min(u.first_seen), max(u.last_seen),
           NOT (min(u.allowed) OR s.by_test OR s.scanner)
    FROM use_count u JOIN site s ON s.id = u.site WHERE u.count > 0 GROUP BY u.site;
CREATE INDEX temp.site_sum_uses ON site_sum (target, uses DESC);
CREATE INDEX temp.site_sum_last ON site_sum (target, last DESC);

CREATE TEMP TABLE site_text (
    -- What a search for call sites looks at, side by side: the rows themselves lie all over the file.
    target INTEGER, site INTEGER, text TEXT, PRIMARY KEY (target, site)
) WITHOUT ROWID;
INSERT INTO site_text
    SELECT x.target, x.site,
           lower(s.file || ':' || s.line || ' ' || s.function || ' ' || s.module || ' ' || s.expression)
    FROM site_sum x JOIN site s ON s.id = x.site ORDER BY 1, 2;

CREATE TEMP TABLE scope_sum (
    target INTEGER, scope INTEGER, uses INTEGER, sites INTEGER, first REAL, last REAL,
    PRIMARY KEY (target, scope)
) WITHOUT ROWID;
INSERT INTO scope_sum
    SELECT s.target, p.scope, sum(u.count), count(DISTINCT u.site), min(u.first_seen), max(u.last_seen)
    FROM use_count u JOIN site_sum s ON s.site = u.site JOIN process p ON p.id = u.process
    WHERE u.count > 0 GROUP BY s.target, p.scope;
"""

_HISTORY = f"""
CREATE TEMP TABLE site_day (
    -- Of what counts. Days are UTC, since the epoch.
    site INTEGER, day INTEGER, uses INTEGER, PRIMARY KEY (site, day)
) WITHOUT ROWID;
INSERT INTO site_day
    SELECT a.site, a.hour / 24, sum(a.count) FROM activity a JOIN site_sum s ON s.site = a.site
    WHERE s.counts AND a.count > 0 GROUP BY a.site, a.hour / 24;

CREATE TEMP TABLE target_day (
    target INTEGER, day INTEGER, uses INTEGER, sites INTEGER, PRIMARY KEY (target, day)
) WITHOUT ROWID;
INSERT INTO target_day
    SELECT s.target, d.day, sum(d.uses), count(*) FROM site_day d JOIN site_sum s ON s.site = d.site
    GROUP BY s.target, d.day;

CREATE TEMP TABLE live (
    -- The scopes that run now: the newest of each service, and others heard from within a day of it.
    scope INTEGER PRIMARY KEY
);
INSERT INTO live
    SELECT m.scope FROM
        (SELECT p.scope, c.service, c.environment, max(p.seen) AS seen
         FROM process p JOIN scope c ON c.id = p.scope GROUP BY p.scope) m
    JOIN
        (SELECT c.service, c.environment, max(p.seen) AS seen
         FROM process p JOIN scope c ON c.id = p.scope GROUP BY c.service, c.environment) n
    ON n.service = m.service AND n.environment = m.environment WHERE m.seen > n.seen - {RECENT};
"""


@dataclass(frozen=True, slots=True)
class TargetSum:
    """A target's uses over all call sites and scopes. Times are seconds since the epoch."""

    uses: int
    counting: int
    """Of `uses`, those that speak against removal."""
    sites: int
    first: float
    last: float


@dataclass(frozen=True, slots=True)
class ScopeSum:
    """One service, environment and release: its processes and what went wrong in them."""

    scope: Scope
    processes: int
    running: int
    """Processes not known to have ended."""
    seconds: float
    """Observed, summed over processes."""
    first: float
    last: float
    pythons: tuple[str, ...]
    troubles: tuple[tuple[str, str, int], ...]
    """(`dropped`, `internal` or `reading`; name; how many), of every process."""


@dataclass(frozen=True, slots=True)
class Day:
    """One UTC day of the burn-down."""

    day: int
    """Days since the epoch."""
    targets: int
    """Targets used in the week that ends with this day."""
    sites: int
    """Call sites used in that week."""
    uses: int
    """Uses on this very day."""


@dataclass(frozen=True, slots=True)
class Share:
    """How much of the uses of the last days came from one caller."""

    name: str
    uses: int
    sites: int


@dataclass(frozen=True, slots=True)
class SiteRow:
    """A call site as a page lists it. `number` is the store's own."""

    number: int
    target: str
    use: str
    file: str
    line: int
    function: str
    module: str
    expression: str
    origin: str
    via: str
    note: str
    during_import: bool
    by_test: bool
    scanner: bool
    uses: int
    errors: int | None
    allowed: bool
    first: float
    last: float


@dataclass(frozen=True, slots=True)
class ReleaseRow:
    """What one release did with a target."""

    scope: Scope
    uses: int
    sites: int
    first: float | None
    last: float | None
    watched: float
    """Seconds for which its processes had the target armed, summed over processes."""


SiteOrder = Literal["uses", "last", "first", "place"]

# Each ends with the rowid, as an index does, so that the two first ones need no sorting.
_ORDERS: dict[str, str] = {
    "uses": "x.uses DESC, x.site",
    "last": "x.last DESC, x.site",
    "first": "x.first DESC, x.site",
    "place": "s.file, s.line, x.site",
}


def prepare(connection: sqlite3.Connection, filter_: Filter = EVERYTHING) -> None:
    """Make the temporary tables that everything else here reads, narrowed to what `filter_` lets pass.

    Of `since` the history knows nothing: what was in use on a day depends on the days before it.
    """
    # First: a change of it drops all temporary tables.
    connection.execute("PRAGMA temp_store = MEMORY")
    if filter_ != EVERYTHING:
        narrowing.narrow(connection, filter_)
    _make(connection, _USES)
    _make(connection, _HISTORY)
    if filter_.since:
        narrowing.clip(connection, filter_.since)
        for table in ("site_sum", "site_text", "scope_sum"):
            connection.execute(f"DROP TABLE temp.{table}")
        _make(connection, _USES)


def _make(connection: sqlite3.Connection, script: str) -> None:
    for statement in statements(script):
        connection.execute(statement)


def scopes(connection: sqlite3.Connection) -> dict[int, Scope]:
    """Every scope by its number."""
    rows = connection.execute("SELECT id, service, environment, release FROM scope")
    return {number: Scope(*rest) for number, *rest in rows}


def live_scopes(connection: sqlite3.Connection) -> frozenset[Scope]:
    """The scopes that run now, as far as they were heard."""
    known = scopes(connection)
    return frozenset(known[number] for (number,) in connection.execute("SELECT scope FROM live"))


def target_sums(connection: sqlite3.Connection) -> dict[str, TargetSum]:
    """Uses by target. A target without a use is not in it."""
    rows = connection.execute(
        "SELECT t.ref, sum(x.uses), sum(x.uses * x.counts), count(*), min(x.first), max(x.last)"
        " FROM site_sum x JOIN target t ON t.id = x.target GROUP BY x.target"
    )
    return {ref: TargetSum(*rest) for ref, *rest in rows}


def states(connection: sqlite3.Connection) -> dict[str, list[StateCount]]:
    """The present state of each target where it runs, the weightiest first: as the report has it."""
    found: dict[str, list[StateCount]] = {}
    for count in queries.current_states(connection, EVERYTHING):
        found.setdefault(count.ref, []).append(count)
    return found


def scope_sums(connection: sqlite3.Connection, since: float = 0.0) -> list[ScopeSum]:
    """Every scope that a process was heard from in at `since` or later, the newest first."""
    known = scopes(connection)
    troubles: dict[int, list[tuple[str, str, int]]] = {}
    for scope, kind, name, value in connection.execute(
        "SELECT p.scope, n.kind, n.name, sum(n.value) FROM counter n JOIN process p ON p.id = n.process"
        " WHERE n.value > 0 AND p.seen >= ? GROUP BY p.scope, n.kind, n.name ORDER BY n.kind, n.name",
        (since,),
    ):
        troubles.setdefault(scope, []).append((kind, name, value))
    rows = connection.execute(
        "SELECT p.scope, count(*), sum(p.ended IS NULL AND NOT p.finished), coalesce(sum(v.seconds), 0),"
        " min(p.started), max(p.seen), group_concat(DISTINCT p.python) FROM process p LEFT JOIN"
        " (SELECT process, sum(until - since) AS seconds FROM observed GROUP BY process) v"
        " ON v.process = p.id WHERE p.seen >= ?"
        " GROUP BY p.scope ORDER BY max(p.seen) DESC, p.scope",
        (since,),
    )
    result = []
    for scope, count, running, seconds, first, last, pythons in rows:
        versions, trouble = tuple(sorted(pythons.split(","))), tuple(troubles.get(scope, ()))
        result.append(ScopeSum(known[scope], count, running, seconds, first, last, versions, trouble))
    return result


def observed_days(connection: sqlite3.Connection) -> frozenset[int]:
    """The UTC days, since the epoch, on which any process was watching."""
    days: set[int] = set()
    for since, until in connection.execute("SELECT since, until FROM observed"):
        days.update(range(int(since // DAY), int(until // DAY) + 1))
    return frozenset(days)


def burn_down(connection: sqlite3.Connection, today: int) -> list[Day]:
    """Every day from the first observed one to `today`, those without a use included."""
    (first,) = connection.execute("SELECT min(since) FROM observed").fetchone()
    if first is None:
        return []
    start = int(first // DAY)
    uses = dict(connection.execute("SELECT day, sum(uses) FROM target_day GROUP BY day"))
    targets = _trailing(connection, "target_day", "target")
    sites = _trailing(connection, "site_day", "site")
    result, in_use, called = [], 0, 0
    for day in range(min(start, *uses) if uses else start, today + 1):
        in_use += targets.get(day, 0)
        called += sites.get(day, 0)
        result.append(Day(day, in_use, called, uses.get(day, 0)))
    return result


def _trailing(connection: sqlite3.Connection, table: str, key: str) -> dict[int, int]:
    """By day, how the number of different `key`s used within the last TRAIL days changes."""
    changes: dict[int, int] = defaultdict(int)
    current, over = None, 0
    for number, day in connection.execute(f"SELECT {key}, day FROM {table} ORDER BY {key}, day"):
        if number != current or day > over:
            # Not in use up to here: what was before has run out, and it begins anew.
            if current is not None:
                changes[over] -= 1
            changes[day] += 1
            current = number
        over = day + TRAIL
    if current is not None:
        changes[over] -= 1
    return changes


def weekly(connection: sqlite3.Connection, today: int, weeks: int) -> dict[str, list[int]]:
    """Uses that count, by target, in each of the last `weeks` weeks, the one that ends today last."""
    found: dict[str, list[int]] = {}
    rows = connection.execute(
        "SELECT t.ref, (:today - d.day) / 7 AS back, sum(d.uses) FROM target_day d"
        " JOIN target t ON t.id = d.target WHERE d.day > :today - 7 * :weeks AND d.day <= :today"
        " GROUP BY d.target, back",
        {"today": today, "weeks": weeks},
    )
    for ref, back, uses in rows:
        found.setdefault(ref, [0] * weeks)[weeks - 1 - back] = uses
    return found


def daily(connection: sqlite3.Connection, ref: str) -> dict[int, tuple[int, int]]:
    """(uses, call sites) of one target by day, of what counts."""
    rows = connection.execute(
        "SELECT d.day, d.uses, d.sites FROM target_day d JOIN target t ON t.id = d.target WHERE t.ref = ?",
        (ref,),
    )
    return {day: (uses, sites) for day, uses, sites in rows}


def recent_uses(connection: sqlite3.Connection, now: float) -> tuple[int, int]:
    """Uses that count in the last 24 hours, and in the seven days before these."""
    hour = int(now // 3600)
    row = connection.execute(
        "SELECT coalesce(sum(CASE WHEN a.hour > :hour - 24 THEN a.count END), 0),"
        " coalesce(sum(CASE WHEN a.hour <= :hour - 24 THEN a.count END), 0)"
        " FROM (SELECT site FROM site_day WHERE day >= :hour / 24 - 8 GROUP BY site) d"
        " JOIN activity a ON a.site = d.site"
        " WHERE a.hour > :hour - 192 AND a.hour <= :hour",
        {"hour": hour},
    ).fetchone()
    return row[0], row[1]


def shares(connection: sqlite3.Connection, by: Literal["module", "origin"], since_day: int) -> list[Share]:
    """Who made the uses that count since a day, busiest first."""
    rows = connection.execute(
        f"SELECT s.{by}, sum(d.uses), count(DISTINCT d.site) FROM site_day d JOIN site s ON s.id = d.site"
        f" WHERE d.day >= ? GROUP BY s.{by} ORDER BY 2 DESC, 1",
        (since_day,),
    )
    return [Share(*row) for row in rows]


_SITE = (
    "SELECT s.id, t.ref, s.kind, s.file, s.line, s.function, s.module, s.expression, s.origin, s.via, s.note,"
    " s.during_import, s.by_test, s.scanner, x.uses, x.errors, x.allowed, x.first, x.last"
    " FROM site_sum x JOIN site s ON s.id = x.site JOIN target t ON t.id = x.target"
)


def new_sites(connection: sqlite3.Connection, since: float, limit: int) -> tuple[int, list[SiteRow]]:
    """How many callers that count were first seen since then, and the newest of them.

    A line that moved is the same caller.
    """
    new = (
        "SELECT max(s.id) AS site FROM site_sum x JOIN site s ON s.id = x.site WHERE x.counts"
        " GROUP BY s.target, s.file, s.function, s.expression, s.kind HAVING min(x.first) >= :since"
    )
    parameters = {"since": since, "limit": limit}
    (count,) = connection.execute(f"SELECT count(*) FROM ({new})", parameters).fetchone()
    rows = connection.execute(
        f"{_SITE} WHERE x.site IN ({new}) ORDER BY x.first DESC, s.id LIMIT :limit", parameters
    )
    return count, [_site(row) for row in rows]


def matching_sites(connection: sqlite3.Connection, ref: str, *, search: str, order: str) -> list[int]:
    """The numbers of a target's call sites, in an order. Every word of `search` must match."""
    words = [_lower(word) for word in search.split()]
    joined = "JOIN site s ON s.id = x.site" if order == "place" else ""
    if words:
        joined += " JOIN site_text y ON y.target = x.target AND y.site = x.site"
    rows = connection.execute(
        f"SELECT x.site FROM site_sum x {joined} WHERE x.target = (SELECT id FROM target WHERE ref = ?)"
        + " AND instr(y.text, ?)" * len(words)
        + f" ORDER BY {_ORDERS[order]}",
        [ref, *words],
    )
    return [number for (number,) in rows]


def _lower(word: str) -> str:
    """As SQLite's `lower` does it: ASCII only."""
    return "".join(c.lower() if c.isascii() else c for c in word)


def sites(connection: sqlite3.Connection, numbers: Sequence[int]) -> list[SiteRow]:
    """These call sites, in this order."""
    rows = connection.execute(f"{_SITE} WHERE x.site IN ({', '.join('?' * len(numbers))})", numbers)
    found = {row[0]: _site(row) for row in rows}
    return [found[number] for number in numbers if number in found]


def raising_sites(connection: sqlite3.Connection, limit: int) -> list[SiteRow]:
    """The call sites whose uses are known to have raised, by how often."""
    rows = connection.execute(f"{_SITE} WHERE x.errors > 0 ORDER BY x.errors DESC, s.id LIMIT ?", (limit,))
    return [_site(row) for row in rows]


def _site(row: Sequence[Any]) -> SiteRow:
    # SQLite has no booleans.
    importing, by_test, scanner, uses, errors, allowed = row[11:17]
    flags = (bool(importing), bool(by_test), bool(scanner))
    return SiteRow(*row[:11], *flags, uses, errors, bool(allowed), *row[17:])  # type: ignore[call-arg] # mypy cannot count slices


def stacks(connection: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, list[tuple[str, int, str]]]:
    """(file, line, function) of one stack that led to each of these sites, innermost first."""
    marks = ", ".join("?" * len(numbers))
    found = {
        site: json.loads(frames)
        for site, frames in connection.execute(
            f"SELECT s.id, k.frames FROM site s JOIN stack k ON k.id = s.stack WHERE s.id IN ({marks})",
            numbers,
        )
    }
    wanted = sorted({frame for frames in found.values() for frame in frames})
    known = {
        number: (file, line, function)
        for number, file, line, function in connection.execute(
            f"SELECT id, file, line, function FROM frame WHERE id IN ({', '.join('?' * len(wanted))})", wanted
        )
    }
    return {site: [known[frame] for frame in frames] for site, frames in found.items()}


def site_scopes(connection: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, list[tuple[Scope, int]]]:
    """(scope, uses) of each of these sites, the last used first."""
    known = scopes(connection)
    found: dict[int, list[tuple[Scope, int]]] = {}
    for site, scope, uses in connection.execute(
        "SELECT u.site, p.scope, sum(u.count) FROM use_count u JOIN process p ON p.id = u.process"
        f" WHERE u.count > 0 AND u.site IN ({', '.join('?' * len(numbers))})"
        " GROUP BY u.site, p.scope ORDER BY max(u.last_seen) DESC",
        numbers,
    ):
        found.setdefault(site, []).append((known[scope], uses))
    return found


def references(connection: sqlite3.Connection, ref: str) -> dict[Reference, list[Scope]]:
    """What holds a target under some name, each with the scopes in which that was seen."""
    known = scopes(connection)
    found: dict[Reference, list[Scope]] = {}
    for scope, *rest in connection.execute(
        "SELECT x.scope, r.module, r.name, r.file, r.line, r.how FROM reference r"
        " JOIN reference_seen x ON x.reference = r.id WHERE r.target = (SELECT id FROM target WHERE ref = ?)"
        " ORDER BY r.module, r.name, r.line, r.file, r.how, x.last_seen DESC",
        (ref,),
    ):
        found.setdefault(Reference(ref, *rest), []).append(known[scope])
    return found


def releases(connection: sqlite3.Connection, ref: str, shown: Sequence[Scope]) -> list[ReleaseRow]:
    """What each of the releases `shown` did with a target, in their order, if it knew the target."""
    row = connection.execute("SELECT id FROM target WHERE ref = ?", (ref,)).fetchone()
    numbers = {scope: number for number, scope in scopes(connection).items() if scope in set(shown)}
    if row is None or not numbers:
        return []
    marks = ", ".join("?" * len(numbers))
    used = {
        scope: rest
        for scope, *rest in connection.execute(
            f"SELECT scope, uses, sites, first, last FROM scope_sum WHERE target = ? AND scope IN ({marks})",
            (*row, *numbers.values()),
        )
    }
    watched = dict(
        connection.execute(
            "SELECT p.scope, coalesce(sum(max(0, min(coalesce(x.until, v.until), v.until) - max(x.since,"
            " v.since)) * (o.state = 'armed')), 0) FROM process p"
            # CROSS: from the few processes to their states; the other way round is the whole table.
            " CROSS JOIN target_state x ON x.process = p.id AND x.target = ?"
            " CROSS JOIN outcome o ON o.id = x.outcome CROSS JOIN observed v ON v.process = p.id"
            f" WHERE p.scope IN ({marks}) GROUP BY p.scope",
            (*row, *numbers.values()),
        )
    )
    result = []
    for scope in shown:
        number = numbers[scope]
        if number in used or number in watched:
            uses, sites_, first, last = used.get(number, (0, 0, None, None))
            result.append(ReleaseRow(scope, uses, sites_, first, last, watched.get(number, 0.0)))
    return result
