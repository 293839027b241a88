"""Joining stores: the same result in any order, and however often.

What a process counted is a running total that only grows, so of two copies the greater is the later one. What
is known of targets carries the time it was stated. Sites, references and findings are sets.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lastcall.store import state_sets
from lastcall.store.intervals import united
from lastcall.store.schema import statements

if TYPE_CHECKING:
    import sqlite3

# Each row's number differs from store to store; `map_*` leads from the other's to ours. The `WHERE true`
# keeps SQLite from reading ON CONFLICT as the ON of a join.
_STEPS = """
INSERT OR IGNORE INTO scope (service, environment, release)
    SELECT service, environment, release
    FROM other.scope;
CREATE TEMP TABLE map_scope AS
    SELECT theirs.id AS old, ours.id AS new
    FROM other.scope theirs
    JOIN main.scope ours USING (service, environment, release);
CREATE UNIQUE INDEX temp.map_scope_old ON map_scope (old);
-- A process's row is written by the reader that has read furthest; only its last signs of life change.
INSERT INTO process (name, scope, host, pid, python, started, root, attributes, seen, ended, ended_how,
    read_to, finished)
    SELECT p.name, m.new, p.host, p.pid, p.python, p.started, p.root, p.attributes, p.seen, p.ended,
        p.ended_how, p.read_to, p.finished
    FROM other.process p
    JOIN map_scope m ON m.old = p.scope
    WHERE true ON CONFLICT DO UPDATE SET seen = max(seen, excluded.seen), ended = coalesce(ended,
        excluded.ended), ended_how = max(ended_how, excluded.ended_how);
CREATE TEMP TABLE map_process AS
    SELECT theirs.id AS old, ours.id AS new
    FROM other.process theirs
    JOIN main.process ours USING (name);
CREATE UNIQUE INDEX temp.map_process_old ON map_process (old);
INSERT INTO target (ref, {stated}, {defined})
    SELECT ref, {stated}, {defined}
    FROM other.target
    WHERE true ON CONFLICT DO NOTHING;
CREATE TEMP TABLE map_target AS
    SELECT theirs.id AS old, ours.id AS new
    FROM other.target theirs
    JOIN main.target ours USING (ref);
CREATE UNIQUE INDEX temp.map_target_old ON map_target (old);
-- The newest statement wins; of two made at once the greater, whatever that means, so that order does not.
UPDATE target SET ({stated}) = (SELECT {stated} FROM other.target o WHERE o.ref = target.ref)
    WHERE EXISTS (SELECT 1 FROM other.target o WHERE o.ref = target.ref AND ({of_stated}) >
        ({ours_stated}));
UPDATE target SET ({defined}) = (SELECT {defined} FROM other.target o WHERE o.ref = target.ref)
    WHERE EXISTS (SELECT 1 FROM other.target o WHERE o.ref = target.ref AND ({of_defined}) >
        ({ours_defined}));
INSERT OR IGNORE INTO outcome (state, reason, engine)
    SELECT state, reason, engine
    FROM other.outcome;
INSERT INTO target_state
    SELECT p.new, t.new, x.since, x.until, ours.id
    FROM other.target_state x
    JOIN map_process p ON p.old = x.process
    JOIN map_target t ON t.old = x.target
    JOIN other.outcome theirs ON theirs.id = x.outcome
    JOIN main.outcome ours USING (state, reason, engine)
    WHERE true ON CONFLICT DO UPDATE SET until = excluded.until WHERE until IS NULL AND excluded.until IS NOT NULL;
INSERT OR IGNORE INTO frame (file, line, function)
    SELECT file, line, function
    FROM other.frame;
CREATE TEMP TABLE map_frame AS
    SELECT theirs.id AS old, ours.id AS new
    FROM other.frame theirs
    JOIN main.frame ours USING (file, line, function);
"""

_AFTER_STACKS = """
INSERT INTO site (digest, {site}, target, stack)
    SELECT s.digest, {s_site}, t.new, ours.id
    FROM other.site s
    JOIN map_target t ON t.old = s.target
    LEFT JOIN other.stack theirs ON theirs.id = s.stack
    LEFT JOIN main.stack ours ON ours.digest = theirs.digest
    WHERE true ON CONFLICT DO UPDATE SET stack = CASE WHEN stack IS NULL THEN excluded.stack WHEN
        excluded.stack IS NULL THEN stack WHEN (SELECT digest
    FROM main.stack k WHERE k.id = excluded.stack) < (SELECT digest
    FROM main.stack k WHERE k.id = site.stack) THEN excluded.stack ELSE stack END;
CREATE TEMP TABLE map_site AS
    SELECT theirs.id AS old, ours.id AS new
    FROM other.site theirs
    JOIN main.site ours USING (digest);
CREATE UNIQUE INDEX temp.map_site_old ON map_site (old);
INSERT INTO use_count
    SELECT s.new, p.new, u.count, u.errors, u.allowed, u.first_seen, u.last_seen
    FROM other.use_count u
    JOIN map_site s ON s.old = u.site
    JOIN map_process p ON p.old = u.process
    WHERE true ON CONFLICT DO UPDATE SET count = max(count, excluded.count), errors =
        coalesce(max(errors, excluded.errors), errors, excluded.errors), allowed = min(allowed,
        excluded.allowed), first_seen = min(first_seen, excluded.first_seen), last_seen = max(last_seen,
        excluded.last_seen);
INSERT INTO activity
    SELECT s.new, a.hour, p.new, a.count
    FROM other.activity a
    JOIN map_site s ON s.old = a.site
    JOIN map_process p ON p.old = a.process
    WHERE true ON CONFLICT DO UPDATE SET count = max(count, excluded.count);
INSERT OR IGNORE INTO reference (target, module, name, file, line, how)
    SELECT t.new, r.module, r.name, r.file, r.line, r.how
    FROM other.reference r
    JOIN map_target t ON t.old = r.target;
INSERT INTO reference_seen
    SELECT ours.id, c.new, x.first_seen, x.last_seen
    FROM other.reference_seen x
    JOIN other.reference theirs ON theirs.id = x.reference
    JOIN map_target t ON t.old = theirs.target
    JOIN main.reference ours ON ours.target = t.new AND ours.module = theirs.module AND ours.name =
        theirs.name AND ours.file = theirs.file AND ours.line = theirs.line AND ours.how = theirs.how
    JOIN map_scope c ON c.old = x.scope
    WHERE true ON CONFLICT DO UPDATE SET first_seen = min(first_seen, excluded.first_seen), last_seen =
        max(last_seen, excluded.last_seen);
INSERT INTO finding (digest, process, kind, target, at, message, site, count, attributes)
    SELECT f.digest, p.new, f.kind, t.new, f.at, f.message, s.new, f.count, f.attributes
    FROM other.finding f
    JOIN map_process p ON p.old = f.process
    JOIN map_target t ON t.old = f.target
    LEFT JOIN map_site s ON s.old = f.site
    WHERE true ON CONFLICT DO UPDATE SET count = max(count, excluded.count), site = coalesce(site,
        excluded.site);
INSERT INTO counter
    SELECT p.new, n.kind, n.name, n.value
    FROM other.counter n
    JOIN map_process p ON p.old = n.process
    WHERE true ON CONFLICT DO UPDATE SET value = max(value, excluded.value);
"""

_STATED = (
    "stamp", "kind", "replacement", "owner", "issue", "since", "remove_by", "note", "schedule", "source",
)  # fmt: skip
_DEFINED = ("defined_stamp", "defined_file", "defined_line")
_SITE = (
    "kind", "file", "line", "function", "module", "expression", "origin", "during_import", "by_test",
    "scanner", "via", "note",
)  # fmt: skip

_NAMES = {
    "stated": ", ".join(_STATED),
    "defined": ", ".join(_DEFINED),
    "of_stated": ", ".join(f"o.{name}" for name in _STATED),
    "of_defined": ", ".join(f"o.{name}" for name in _DEFINED),
    "ours_stated": ", ".join(f"target.{name}" for name in _STATED),
    "ours_defined": ", ".join(f"target.{name}" for name in _DEFINED),
    "site": ", ".join(_SITE),
    "s_site": ", ".join(f"s.{name}" for name in _SITE),
}

_MAPS = ("scope", "process", "target", "frame", "site")


def merge(connection: sqlite3.Connection) -> None:
    """Join the database attached as `other` into the main one. Within the caller's transaction."""
    _drop_maps(connection)
    for step in statements(_STEPS):
        connection.execute(step.format(**_NAMES))
    _merge_stacks(connection)
    for step in statements(_AFTER_STACKS):
        connection.execute(step.format(**_NAMES))
    _merge_observed(connection)
    state_sets.complete(connection)
    _drop_maps(connection)


def _merge_stacks(connection: sqlite3.Connection) -> None:
    numbers = dict(connection.execute("SELECT old, new FROM map_frame"))
    missing = connection.execute(
        "SELECT digest, frames FROM other.stack WHERE digest NOT IN (SELECT digest FROM main.stack)"
    )
    connection.executemany(
        "INSERT INTO main.stack (digest, frames) VALUES (?, ?)",
        (
            (digest, json.dumps([numbers[old] for old in json.loads(frames)], separators=(",", ":")))
            for digest, frames in missing.fetchall()
        ),
    )


def _merge_observed(connection: sqlite3.Connection) -> None:
    by_process: dict[int, list[tuple[float, float]]] = {}
    for process, since, until in connection.execute(
        "SELECT m.new, v.since, v.until FROM other.observed v JOIN map_process m ON m.old ="
        " v.process UNION ALL"
        " SELECT process, since, until FROM main.observed WHERE process IN (SELECT new FROM map_process)"
    ):
        by_process.setdefault(process, []).append((since, until))
    connection.executemany(
        "DELETE FROM main.observed WHERE process = ?", [(process,) for process in by_process]
    )
    connection.executemany(
        "INSERT INTO main.observed VALUES (?, ?, ?)",
        [
            (process, since, until)
            for process, intervals in by_process.items()
            for since, until in united(intervals)
        ],
    )


def _drop_maps(connection: sqlite3.Connection) -> None:
    for name in _MAPS:
        connection.execute(f"DROP TABLE IF EXISTS temp.map_{name}")
