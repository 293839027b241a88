"""What a store holds that Lastcall cannot have written: asked once something in it could not be read.

A database keeps whatever a hand, a script or a broken disk put there: SQLite's columns take values of any type.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from lastcall.errors import StoreError
from lastcall.evidence import STATES
from lastcall.store.database import Database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lastcall.store.sqlite import Connection

_STORED_AS = {"INTEGER": ("integer",), "REAL": ("real", "integer"), "TEXT": ("text",)}
_END_OF_TIME = 253_402_300_800
"""Seconds from the epoch to the year 10000, which no calendar of Python's has."""
_SHOWN = 40
"""Characters of a value that are told."""


def fault_in(path: str) -> str | None:
    """One sentence about the first value in the store at `path` that cannot be Lastcall's, None if there is none."""
    database = Database(path, read_only=True)
    try:
        with database.errors():
            found = next(_faults(database.connection), None)
    except StoreError as error:
        # that it is locked, or gone by now, says nothing of what it holds
        return error.message if error.slug in {"store-corrupt", "store-failed"} else None
    finally:
        database.close()
    if found is None:
        return None
    return f"The store {path} holds what Lastcall did not write: {found}. Restore a copy, or move it away."


def _faults(connection: Connection) -> Iterator[str]:
    for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
        for _, column, declared, is_needed, *_ in connection.execute(f'PRAGMA table_info("{table}")'):
            kinds = _STORED_AS.get(declared)
            if kinds is not None:
                yield from _of_another_type(connection, table, column, kinds, nullable=not is_needed)
            if declared == "REAL":
                yield from _out_of_time(connection, table, column)
            if column == "attributes":
                yield from _no_array(connection, table, column, _are_pairs)
        for _, _, parent, _ in connection.execute(f'PRAGMA foreign_key_check("{table}")'):
            yield f"{table} has a row whose {parent} is not there"
    states = ", ".join(f"'{state}'" for state in STATES)
    for (state,) in connection.execute(f"SELECT state FROM outcome WHERE state NOT IN ({states})"):  # noqa: S608 - our own words
        yield f"outcome.state is {_shown(state)}, which is no state"
    frames = {number for (number,) in connection.execute("SELECT id FROM frame")}
    yield from _no_array(connection, "stack", "frames", lambda held: set(held) <= frames)


def _of_another_type(
    connection: Connection, table: str, column: str, kinds: tuple[str, ...], *, nullable: bool
) -> Iterator[str]:
    allowed = ", ".join(f"'{kind}'" for kind in (*kinds, *(("null",) if nullable else ())))
    query = f'SELECT "{column}" FROM "{table}" WHERE typeof("{column}") NOT IN ({allowed}) LIMIT 1'  # noqa: S608 - our own names
    for (value,) in connection.execute(query):
        yield f"{table}.{column} is {_shown(value)}, which is no {kinds[0]}"


def _out_of_time(connection: Connection, table: str, column: str) -> Iterator[str]:
    query = f'SELECT "{column}" FROM "{table}" WHERE "{column}" NOT BETWEEN 0 AND {_END_OF_TIME} LIMIT 1'  # noqa: S608 - the same
    for (value,) in connection.execute(query):
        yield f"{table}.{column} is {_shown(value)}, which is no time"


def _no_array(
    connection: Connection, table: str, column: str, fits: Callable[[list[Any]], bool]
) -> Iterator[str]:
    for (text,) in connection.execute(f'SELECT DISTINCT "{column}" FROM "{table}"'):  # noqa: S608 - the same
        try:
            held = json.loads(text)
            is_sound = isinstance(held, list) and fits(held)
        except (TypeError, ValueError):  # no JSON, or something in it that no set takes
            is_sound = False
        if not is_sound:
            yield f"{table}.{column} is {_shown(text)}, which is not what belongs there"


def _are_pairs(held: list[Any]) -> bool:
    return all(isinstance(pair, list) and [type(part) for part in pair] == [str, str] for pair in held)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
