"""What a process's journal and counters change in the database, inside one transaction.

Everything here may be done twice, or by two processes at once, with the same result: how far a journal was
read and the counts as last read are kept in the database, in the transaction that used them.
"""

from __future__ import annotations

from lastcall.expressions import binding_line, definition_line
from lastcall.garbage import make_way
from lastcall.store import json_text, state_sets
from lastcall.store.intervals import united
from lastcall.store.names import Names, digest
from lastcall.store.records import (
    CountersRecord,
    EndRecord,
    FindingRecord,
    ProcessRecord,
    RaisedRecord,
    Record,
    ReferenceRecord,
    SiteRecord,
    SpellingRecord,
    StateRecord,
    TargetRecord,
)
from lastcall.store.slots import Paths, Slots, spellings_told
from lastcall.values import dataclass, field

TYPE_CHECKING = False  # typing costs a bare host 5 ms, and 1 ms more at its end
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

_OF_SLOTS = (SiteRecord, SpellingRecord, RaisedRecord, FindingRecord)
"""Records that change what a slot means, or ask for it."""


@dataclass(slots=True)
class Reading:
    """What was read of one process's live files since the last time."""

    name: str
    read_from: int
    read_to: int
    records: Sequence[tuple[int, Record]]
    """With the byte offset of each."""
    counts: Sequence[int] | None
    """A count per slot; None if the table of counters is missing."""
    heartbeat: float
    """Seconds since the epoch; 0 if unknown."""
    faults: dict[str, int] = field(default_factory=dict)
    """What could not be read, by reason."""
    finished: bool = False
    """The process is gone and this is all there will ever be."""
    changed: Sequence[int] | None = None
    """The slots whose counts are others than those that the same reader last put into the same database; None if it
    does not know."""


def read_to(connection: sqlite3.Connection, name: str) -> tuple[int, bool]:
    """How far the journal of process `name` is in the store, in bytes, and whether that was its end."""
    row = connection.execute("SELECT read_to, finished FROM process WHERE name = ?", (name,)).fetchone()
    return (int(row[0]), bool(row[1])) if row else (0, False)


def apply(
    connection: sqlite3.Connection,
    reading: Reading,
    resolve: Callable[[str, int, str, str], str] | None = None,
) -> bool:
    """Put `reading` into the database. False, and nothing done, if another reader was faster.

    `resolve(file, line, ref, use)` finds a spelling that the process did not tell; without it such sites wait
    for a reader that has one (see `spell_the_rest`).
    """
    if read_to(connection, reading.name) != (reading.read_from, False):
        return False
    _Writer(connection, reading, resolve).write()
    return True


def spell_the_rest(connection: sqlite3.Connection, resolve: Callable[[str, int, str, str], str]) -> None:
    """Find the spellings that gone processes did not tell and that a host was too busy to look for."""
    names = connection.execute(
        "SELECT DISTINCT p.name, p.read_to FROM process p JOIN slot s ON s.process = p.id WHERE p.finished"
    ).fetchall()
    for name, offset in names:
        reading = Reading(name, offset, offset, (), None, 0.0, finished=True)
        _Writer(connection, reading, resolve).spell_old()


class _Writer:
    def __init__(
        self,
        connection: sqlite3.Connection,
        reading: Reading,
        resolve: Callable[[str, int, str, str], str] | None,
    ) -> None:
        self._connection = connection
        self._reading = reading
        self._resolve = resolve
        self._names = Names(connection)
        times = [t for _, record in reading.records if (t := _time_of(record))]
        self._evidence = [t for t in (*times, reading.heartbeat) if 0 < t < _FAR_FUTURE]
        self._latest = reading.heartbeat or max(self._evidence, default=0.0)
        root = self._ensure_process()
        self._paths = Paths(root)
        says_more = any(isinstance(record, _OF_SLOTS) for _, record in reading.records)
        changed = None if says_more else reading.changed
        self._slots = Slots(
            connection, self._names, self._paths, self._process, latest=self._latest, changed=changed
        )

    def write(self) -> None:
        spellings = spellings_told(self._reading.records)
        self._take_records(spellings)
        if self._reading.finished:  # of a process that lives, whoever asks works it out
            state_sets.complete(self._connection, (self._process,))
        self._slots.respell(spellings)
        for _, record in self._reading.records:
            if isinstance(record, FindingRecord):  # last: it names a slot
                self._finding(record)
        self._slots.count(self._reading.counts or ())
        if self._reading.finished and self._resolve is not None:
            self._slots.look_up_spellings(self._resolve)
        self._slots.save()
        self._observe()
        self._counters("reading", tuple(self._reading.faults.items()), add=True)
        self._finish()

    def _take_records(self, spellings: dict[int, str]) -> None:
        for offset, record in self._reading.records:
            make_way()
            if isinstance(record, TargetRecord):
                self._target(record, offset)
            elif isinstance(record, StateRecord):
                self._state(record)
            elif isinstance(record, SiteRecord):
                self._slots.add(record, spellings.get(record.slot))
            elif isinstance(record, RaisedRecord):
                self._slots.raised(record)
            elif isinstance(record, ReferenceRecord):
                self._reference(record)
            elif isinstance(record, (CountersRecord, EndRecord)):
                self._health(record)

    def spell_old(self) -> None:
        """Only find missing spellings of a process that is otherwise finished."""
        assert self._resolve is not None
        self._slots.look_up_spellings(self._resolve)
        self._slots.save()
        self._connection.execute("DELETE FROM slot WHERE process = ?", (self._process,))

    # -- the process ------------------------------------------------------------------------------------

    def _ensure_process(self) -> str:
        """Find the process or make it. Its root."""
        stated = next((r for _, r in self._reading.records if isinstance(r, ProcessRecord)), None)
        row = self._connection.execute(
            "SELECT id, scope, root, started FROM process WHERE name = ?", (self._reading.name,)
        ).fetchone()
        if row is None:
            return self._insert_process(stated)
        root: str
        self._process, self._scope, root, self._started = row
        return root

    def _insert_process(self, stated: ProcessRecord | None) -> str:
        if stated is None:
            # The record was torn or never written. Its uses count all the same, for a service without a name.
            started = min(self._evidence, default=0.0)
            stated = ProcessRecord(0, self._reading.name, 0, "", "", "", "", "", started, "", ())
        self._started = stated.started
        self._scope = self._names.scope(stated.service, stated.environment, stated.release)
        cursor = self._connection.execute(
            "INSERT INTO process VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, '', 0, 0)",
            (
                self._reading.name,
                self._scope,
                stated.host,
                stated.pid,
                stated.python,
                stated.started,
                stated.root,
                json_text.pairs(stated.attributes),
                stated.started,
            ),
        )
        self._process = int(cursor.lastrowid or 0)
        return stated.root

    def _observe(self) -> None:
        known = self._connection.execute(
            "SELECT since, until FROM observed WHERE process = ?", (self._process,)
        ).fetchall()
        now = united([*known, *((t, t) for t in self._evidence)])
        if now != known:
            self._connection.execute("DELETE FROM observed WHERE process = ?", (self._process,))
            self._connection.executemany(
                "INSERT INTO observed VALUES (?, ?, ?)",
                [(self._process, since, until) for since, until in now],
            )
        if self._evidence:
            self._connection.execute(
                "UPDATE process SET seen = max(seen, ?) WHERE id = ?", (max(self._evidence), self._process)
            )

    def _finish(self) -> None:
        self._connection.execute(
            "UPDATE process SET read_to = ?, finished = ? WHERE id = ?",
            (self._reading.read_to, self._reading.finished, self._process),
        )
        if self._reading.finished:
            waiting = "" if self._resolve is not None else " AND spelled"
            self._connection.execute(f"DELETE FROM slot WHERE process = ?{waiting}", (self._process,))  # noqa: S608 - a constant

    # -- targets, references, findings, counters -------------------------------------------------------

    def _target(self, record: TargetRecord, offset: int) -> None:
        number = self._names.target(record.ref)
        stamp = int(self._started * 1e9) + offset
        self._connection.execute(
            # what kind it is, only a process that found its definition knows
            "UPDATE target SET stamp = ?, kind = CASE WHEN ? OR defined_file = '' THEN ? ELSE kind END,"
            " replacement = ?, owner = ?, issue = ?, since = ?,"
            " remove_by = ?, note = ?, schedule = ?, source = ? WHERE id = ? AND stamp <= ?",
            (
                stamp,
                bool(record.defined_file),
                record.kind,
                record.replacement,
                record.owner,
                record.issue,
                record.since,
                record.remove_by,
                record.note,
                record.schedule,
                record.source,
                number,
                stamp,
            ),
        )
        if record.defined_file:
            qualname = record.ref.partition(":")[2].partition("(")[0]
            near = record.defined_line
            line = definition_line(record.defined_file, qualname, near) if qualname else 1
            self._connection.execute(
                "UPDATE target SET defined_stamp = ?, defined_file = ?, defined_line = ?"
                " WHERE id = ? AND defined_stamp <= ?",
                (stamp, self._paths.relative(record.defined_file), line or record.defined_line, number, stamp),
            )

    def _state(self, record: StateRecord) -> None:
        target = self._names.target(record.ref)
        outcome = self._names.outcome(record.state, record.reason, record.engine)
        last = self._connection.execute(
            "SELECT since, outcome FROM target_state WHERE process = ? AND target = ? ORDER BY"
            " since DESC LIMIT 1",
            (self._process, target),
        ).fetchone()
        since = record.at
        if last is not None:
            if last[1] == outcome:
                return
            # A clock set back, or two changes in one tick: the order of the records is the truth.
            since = max(since, last[0] + 1e-6)
            self._connection.execute(
                "UPDATE target_state SET until = ? WHERE process = ? AND target = ? AND since = ?",
                (since, self._process, target, last[0]),
            )
        self._connection.execute(
            "INSERT INTO target_state VALUES (?, ?, ?, NULL, ?)", (self._process, target, since, outcome)
        )

    def _reference(self, record: ReferenceRecord) -> None:
        # a process too short for its background thread leaves the line to whoever reads
        line = record.line or binding_line(record.file, record.name)
        values = (
            self._names.target(record.target),
            record.module,
            record.name,
            self._paths.relative(record.file),
            line,
            record.how,
        )
        self._connection.execute("INSERT OR IGNORE INTO reference VALUES (NULL, ?, ?, ?, ?, ?, ?)", values)
        (number,) = self._connection.execute(
            "SELECT id FROM reference WHERE target = ? AND module = ? AND name = ? AND file = ? AND"
            " line = ?"
            " AND how = ?",
            values,
        ).fetchone()
        self._connection.execute(
            "INSERT INTO reference_seen VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " first_seen = min(first_seen, excluded.first_seen), last_seen = max(last_seen,"
            " excluded.last_seen)",
            (number, self._scope, self._started, max(self._latest, self._started)),
        )

    def _finding(self, record: FindingRecord) -> None:
        attributes = json_text.pairs(record.attributes)
        name = digest(
            (self._reading.name, record.kind, record.target, repr(record.at), record.message, attributes)
        )
        self._connection.execute(
            "INSERT INTO finding VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET count = max(count, excluded.count)",
            (
                name,
                self._process,
                record.kind,
                self._names.target(record.target),
                record.at,
                record.message,
                self._slots.site_of(record.slot),
                record.count,
                attributes,
            ),
        )

    def _health(self, record: CountersRecord | EndRecord) -> None:
        if isinstance(record, CountersRecord):
            self._counters("dropped", record.dropped)
            self._counters("internal", record.internal_errors)
        else:
            self._connection.execute(
                "UPDATE process SET ended = ?, ended_how = ? WHERE id = ?",
                (record.at, record.how, self._process),
            )

    def _counters(self, kind: str, values: tuple[tuple[str, int], ...], *, add: bool = False) -> None:
        new = "value + excluded.value" if add else "max(value, excluded.value)"
        self._connection.executemany(
            f"INSERT INTO counter VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET value = {new}",  # noqa: S608 - constants
            [(self._process, kind, name, value) for name, value in values if value > 0],
        )

_FAR_FUTURE = 253402300800.0
"""The year 10000, which `datetime` cannot express: a broken clock's."""


def _time_of(record: Record) -> float:
    if isinstance(record, ProcessRecord):
        return record.started
    if isinstance(record, (StateRecord, SiteRecord, FindingRecord, CountersRecord, EndRecord)):
        return record.at
    return 0.0


