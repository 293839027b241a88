"""Processes that watched alike: each set of target states kept once, and which process had which.

Row for row the states of a year are millions, and nearly all processes say the same. A set is made of
what `target_state` says of a process, times apart, so it can be made again at any time; that is why a change
of the rows only deletes the entry (by trigger, whoever writes), and who needs it makes it anew.
"""

from __future__ import annotations

from collections import defaultdict

from lastcall.store.names import digest

TYPE_CHECKING = False  # typing costs a bare host 5 ms, and 1 ms more at its end
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

Member = tuple[int, int, int]
"""Target, outcome, and 1 if it was the last state, 0 if another came after it."""


def complete(connection: sqlite3.Connection, processes: Iterable[int] | None = None) -> None:
    """Note the set of each of `processes` (None: of all) that has no entry. Within the caller's transaction."""
    maker = _Maker(connection)
    for process in missing(connection) if processes is None else processes:
        maker.note(process)
    if processes is None:
        _sweep(connection)


def _sweep(connection: sqlite3.Connection) -> None:
    """Forget the sets that no process has any more: what a living process said before its states changed."""
    orphans = connection.execute(
        "SELECT id FROM state_set_digest d"
        " WHERE NOT EXISTS (SELECT 1 FROM process_states WHERE state_set = d.id)"
    ).fetchall()
    connection.executemany("DELETE FROM state_set WHERE id = ?", orphans)
    connection.executemany("DELETE FROM state_set_digest WHERE id = ?", orphans)


def missing(connection: sqlite3.Connection) -> list[int]:
    """The processes whose set has yet to be noted."""
    rows = connection.execute("SELECT id FROM process WHERE id NOT IN (SELECT process FROM process_states)")
    return [number for (number,) in rows]


def members(connection: sqlite3.Connection, process: int) -> tuple[Member, ...]:
    """The states of a process, from its rows."""
    rows = connection.execute(
        "SELECT DISTINCT target, outcome, until IS NULL FROM target_state WHERE process = ? ORDER BY 1, 2, 3",
        (process,),
    )
    return tuple(rows.fetchall())


def alike(connection: sqlite3.Connection) -> dict[tuple[Member, ...], list[int]]:
    """The processes by their states, those without an entry included: for readers that may not write."""
    by_set: dict[int, list[int]] = defaultdict(list)
    for number, process in connection.execute("SELECT state_set, process FROM process_states"):
        by_set[number].append(process)
    found: dict[tuple[Member, ...], list[int]] = defaultdict(list)
    for number, processes in by_set.items():
        rows = connection.execute(
            "SELECT target, outcome, last FROM state_set WHERE id = ? ORDER BY 1, 2, 3", (number,)
        )
        found[tuple(rows.fetchall())].extend(processes)
    for process in missing(connection):
        found[members(connection, process)].append(process)
    return dict(found)


class _Maker:
    """Notes sets for one transaction; of equal ones the digest is computed once."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: dict[tuple[Member, ...], int] = {}

    def note(self, process: int) -> None:
        if self._connection.execute("SELECT 1 FROM process_states WHERE process = ?", (process,)).fetchone():
            return
        content = members(self._connection, process)
        number = self._known.get(content)
        if number is None:
            number = self._known[content] = self._number(content)
        self._connection.execute("INSERT INTO process_states VALUES (?, ?)", (process, number))

    def _number(self, content: tuple[Member, ...]) -> int:
        name = self._digest(content)
        row = self._connection.execute(
            "SELECT id FROM state_set_digest WHERE digest = ?", (name,)
        ).fetchone()
        if row is not None:
            return int(row[0])
        number = int(
            self._connection.execute("INSERT INTO state_set_digest VALUES (NULL, ?)", (name,)).lastrowid or 0
        )
        self._connection.executemany(
            "INSERT INTO state_set VALUES (?, ?, ?, ?)", [(number, *member) for member in content]
        )
        return number

    def _digest(self, content: tuple[Member, ...]) -> str:
        """Of the set's names, which are equal in every store; its numbers are not."""
        targets = dict(self._connection.execute("SELECT id, ref FROM target"))
        outcomes = {
            number: "\x1e".join(rest)
            for number, *rest in self._connection.execute("SELECT id, state, reason, engine FROM outcome")
        }
        return digest(sorted(f"{targets[t]}\x1e{outcomes[o]}\x1e{last}" for t, o, last in content))
