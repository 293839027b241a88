"""A report that is narrowed: the store's own tables, hidden behind smaller ones of the same names.

SQLite looks for a table among the temporary ones of a connection first. So after `narrow` every query on that
connection, whoever wrote it, sees one service, one release or a few targets, and nothing of it is in the file.
Time is another matter: charts and week-long sums need what was before, so they are made first, and `clip`
comes after them. What `clip` keeps, and how it counts, is what `Store`'s queries do with `Filter.since`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lastcall.store.schema import statements

if TYPE_CHECKING:
    import sqlite3

    from lastcall.store.rows import Filter

_NARROWED = """
CREATE TEMP VIEW target AS SELECT * FROM main.target WHERE id IN (SELECT id FROM kept_target);
CREATE TEMP VIEW process AS SELECT * FROM main.process WHERE scope IN (SELECT id FROM kept_scope);
CREATE TEMP TABLE use_count AS
    SELECT u.* FROM main.use_count u JOIN main.site s ON s.id = u.site JOIN process p ON p.id = u.process
    WHERE s.target IN (SELECT id FROM kept_target);
CREATE UNIQUE INDEX temp.use_count_site ON use_count (site, process);
CREATE TEMP VIEW activity AS SELECT * FROM main.activity WHERE process IN (SELECT id FROM process);
CREATE TEMP VIEW observed AS SELECT * FROM main.observed WHERE process IN (SELECT id FROM process);
CREATE TEMP VIEW counter AS SELECT * FROM main.counter WHERE process IN (SELECT id FROM process);
CREATE TEMP VIEW finding AS
    SELECT * FROM main.finding
    WHERE process IN (SELECT id FROM process) AND target IN (SELECT id FROM kept_target);
CREATE TEMP VIEW reference_seen AS
    SELECT * FROM main.reference_seen WHERE scope IN (SELECT id FROM kept_scope);
"""

_CLIPPED = """
CREATE TEMP TABLE clipped AS
    SELECT u.site, u.process, sum(a.count) AS count, u.errors, u.allowed, u.first_seen, u.last_seen
    FROM use_count u JOIN main.activity a ON a.site = u.site AND a.process = u.process
    WHERE u.last_seen >= (SELECT since FROM beginning) AND a.hour >= (SELECT hour FROM beginning)
    GROUP BY u.site, u.process;
DELETE FROM temp.use_count;
INSERT INTO temp.use_count SELECT * FROM clipped;
DROP TABLE clipped;

DROP VIEW temp.observed;
CREATE TEMP VIEW observed AS
    SELECT process, max(since, (SELECT since FROM beginning)) AS since, until FROM main.observed
    WHERE process IN (SELECT id FROM process) AND until >= (SELECT since FROM beginning);
DROP VIEW temp.reference_seen;
CREATE TEMP VIEW reference_seen AS
    SELECT * FROM main.reference_seen WHERE scope IN (SELECT id FROM kept_scope)
    AND last_seen >= (SELECT since FROM beginning);
"""


def narrow(connection: sqlite3.Connection, filter_: Filter) -> None:
    """Hide what is not of the targets and scopes of `filter_`; its `since` is `clip`'s."""
    connection.execute("CREATE TEMP TABLE kept_target (id INTEGER PRIMARY KEY)")
    connection.execute(
        "INSERT INTO kept_target SELECT id FROM main.target WHERE :ref = '' OR ref GLOB :ref",
        # Brackets are no wildcards of ours.
        {"ref": filter_.target.replace("[", "[[]")},
    )
    connection.execute("CREATE TEMP TABLE kept_scope (id INTEGER PRIMARY KEY)")
    connection.execute(
        "INSERT INTO kept_scope SELECT id FROM main.scope WHERE (:service = '' OR service = :service)"
        " AND (:environment = '' OR environment = :environment) AND (:release = '' OR release = :release)",
        {"service": filter_.service, "environment": filter_.environment, "release": filter_.release},
    )
    _run(connection, _NARROWED)


def clip(connection: sqlite3.Connection, since: float) -> None:
    """After `narrow`: hide what was before `since`, in seconds since the epoch. Uses count from its hour on.

    Processes stay, for the last state of a target is what it is, however long ago that was reported.
    """
    connection.execute("CREATE TEMP TABLE beginning (since REAL, hour INTEGER)")
    connection.execute("INSERT INTO beginning VALUES (?, ?)", (since, int(since // 3600)))
    _run(connection, _CLIPPED)


def _run(connection: sqlite3.Connection, script: str) -> None:
    for statement in statements(script):
        connection.execute(statement)
