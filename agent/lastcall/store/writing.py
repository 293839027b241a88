"""What a process's journal and counters change in the database, inside one transaction.

Everything here may be done twice, or by two processes at once, with the same result: how far a journal was
read and the counts as last read are kept in the database, in the transaction that used them.
"""

from __future__ import annotations

import os

from lastcall.expressions import at_place, binding_line, definition_line
from lastcall.garbage import make_way
from lastcall.identity import Frame, Site
from lastcall.journal import (
    FLAG_ALLOWED,
    FLAG_BY_TEST,
    FLAG_DURING_IMPORT,
    FLAG_SCANNER,
)
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
from lastcall.store.schema import statements
from lastcall.values import dataclass, field

TYPE_CHECKING = False  # typing costs a bare host 5 ms, and 1 ms more at its end
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

HOUR = 3600.0
MOST_CHANGED = 500
"""Slots that are looked up one by one; SQLite takes 999 values in a statement, and all at once is quicker then."""
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


@dataclass(slots=True)
class _Slot:
    site: int
    count: int
    errors: int | None
    allowed: bool
    spelled: bool
    first_seen: float


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
        self._touched: set[int] = set()
        self._paths: dict[str, str] = {}
        self._spellings = _spellings(reading.records)
        times = [t for _, record in reading.records if (t := _time_of(record))]
        self._evidence = [t for t in (*times, reading.heartbeat) if 0 < t < _FAR_FUTURE]
        self._latest = reading.heartbeat or max(self._evidence, default=0.0)
        self._ensure_process()
        self._slots = self._load_slots()

    def write(self) -> None:
        for offset, record in self._reading.records:
            make_way()
            if isinstance(record, TargetRecord):
                self._target(record, offset)
            elif isinstance(record, StateRecord):
                self._state(record)
            elif isinstance(record, SiteRecord):
                self._site(record)
            elif isinstance(record, RaisedRecord):
                self._raised(record)
            elif isinstance(record, ReferenceRecord):
                self._reference(record)
            elif isinstance(record, (CountersRecord, EndRecord)):
                self._health(record)
        if self._reading.finished:  # of a process that lives, whoever asks works it out
            state_sets.complete(self._connection, (self._process,))
        self._write_counts()
        self._observe()
        self._counters("reading", tuple(self._reading.faults.items()), add=True)
        self._finish()

    def _write_counts(self) -> None:
        self._respell(self._spellings)
        for _, record in self._reading.records:
            if isinstance(record, FindingRecord):  # last: it names a slot
                self._finding(record)
        self._count()
        if self._reading.finished and self._resolve is not None:
            self._respell(self._looked_up())
        self._save_counts()

    def spell_old(self) -> None:
        """Only find missing spellings of a process that is otherwise finished."""
        self._respell(self._looked_up())
        self._save_counts()
        self._connection.execute("DELETE FROM slot WHERE process = ?", (self._process,))

    # -- the process ------------------------------------------------------------------------------------

    def _ensure_process(self) -> None:
        stated = next((r for _, r in self._reading.records if isinstance(r, ProcessRecord)), None)
        row = self._connection.execute(
            "SELECT id, scope, root, started FROM process WHERE name = ?", (self._reading.name,)
        ).fetchone()
        if row is None:
            self._insert_process(stated)
        else:
            self._process, self._scope, self._root, self._started = row

    def _insert_process(self, stated: ProcessRecord | None) -> None:
        if stated is None:
            # The record was torn or never written. Its uses count all the same, for a service without a name.
            started = min(self._evidence, default=0.0)
            stated = ProcessRecord(0, self._reading.name, 0, "", "", "", "", "", started, "", ())
        self._root, self._started = stated.root, stated.started
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
                (stamp, self._relative(record.defined_file), line or record.defined_line, number, stamp),
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
            self._relative(record.file),
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
        slot = self._slots.get(record.slot)
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
                slot.site if slot else None,
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

    # -- call sites and counts ----------------------------------------------------------------------------

    def _load_slots(self) -> dict[int, _Slot]:
        """Those of the process; where only counts are new, those that count for the same call sites."""
        changed, wanted = self._reading.changed, ""
        if (
            changed is None
            or len(changed) > MOST_CHANGED
            or any(isinstance(record, _OF_SLOTS) for _, record in self._reading.records)
        ):
            changed = ()
        else:
            marks = ",".join("?" * len(changed))
            wanted = f" AND site IN (SELECT site FROM slot WHERE process = ? AND slot IN ({marks}))"  # noqa: S608 - marks
        rows = self._connection.execute(
            f"SELECT slot, site, count, errors, allowed, spelled, first_seen FROM slot WHERE process = ?{wanted}",  # noqa: S608 - as above
            (self._process, *((self._process, *changed) if wanted else ())),
        )
        slots: dict[int, _Slot] = {}
        for slot, *rest in rows:
            make_way()
            slots[slot] = _Slot(*rest)
        return slots

    def _site(self, record: SiteRecord) -> None:
        if record.slot in self._slots:
            return  # a slot has one meaning; a second record for it would be a defect of the writer
        expression = self._spellings.get(record.slot)
        site = Site(
            target=record.ref,
            use=record.use,  # type: ignore[arg-type]  # as written by a process of ours
            file=self._relative(record.file),
            line=record.line,
            function=record.function,
            module=record.module,
            expression=expression or "",
            origin=record.origin,  # type: ignore[arg-type]  # the same
            during_import=bool(record.flags & FLAG_DURING_IMPORT),
            by_test=bool(record.flags & FLAG_BY_TEST),
            scanner=bool(record.flags & FLAG_SCANNER),
            via=record.via,
            stack=tuple(Frame(self._relative(file), line, name) for file, line, name in record.frames),
            note=record.note,
        )
        self._slots[record.slot] = _Slot(
            site=self._names.site(site),
            count=0,
            errors=None,
            allowed=bool(record.flags & FLAG_ALLOWED),
            spelled=expression is not None,
            first_seen=record.at,
        )

    def _raised(self, record: RaisedRecord) -> None:
        slot = self._slots.get(record.slot)
        if slot is not None:
            slot.errors = max(slot.errors or 0, record.errors)
            self._touched.add(record.slot)

    def _count(self) -> None:
        """Take the counters over, and note in which hour the new uses were."""
        counts = self._reading.counts or ()
        hours: dict[tuple[int, int], int] = {}
        latest_hour = int(self._latest // HOUR)
        for number, slot in self._slots.items():
            # The record of a site is itself the proof of one use, wherever its count may be.
            count = max(counts[number] if number < len(counts) else 0, slot.count, 1)
            new = count - slot.count
            if not new:
                continue
            self._touched.add(number)
            if slot.count == 0:
                first_hour = int(slot.first_seen // HOUR)
                hours[slot.site, first_hour] = hours.get((slot.site, first_hour), 0) + 1
                new -= 1
            if new:
                hours[slot.site, latest_hour] = hours.get((slot.site, latest_hour), 0) + new
            slot.count = count
        self._add_activity([(site, hour, count) for (site, hour), count in hours.items()])

    def _add_activity(self, rows: list[tuple[int, int, int]]) -> None:
        self._connection.executemany(
            "INSERT INTO activity VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count +"
            " excluded.count",
            [(site, hour, self._process, count) for site, hour, count in rows],
        )

    def _save_counts(self) -> None:
        if not self._touched:
            return
        self._connection.executemany(
            "INSERT OR REPLACE INTO slot VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (self._process, n, s.site, s.count, s.errors, s.allowed, s.spelled, s.first_seen)
                for n in self._touched
                for s in (self._slots[n],)
            ],
        )
        sites = {self._slots[number].site for number in self._touched}
        of_site: dict[int, list[_Slot]] = {site: [] for site in sites}
        for slot in self._slots.values():
            if slot.site in of_site:
                of_site[slot.site].append(slot)
        self._connection.executemany(
            "INSERT INTO use_count VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count ="
            " excluded.count,"
            " errors = excluded.errors, allowed = excluded.allowed,"
            " first_seen = min(first_seen, excluded.first_seen), last_seen = max(last_seen,"
            " excluded.last_seen)",
            [self._use_count(site, slots) for site, slots in of_site.items()],
        )

    def _use_count(self, site: int, slots: list[_Slot]) -> tuple[object, ...]:
        errors = [slot.errors for slot in slots if slot.errors is not None]
        first, newest = min(s.first_seen for s in slots), max(s.first_seen for s in slots)
        # One use per slot: the times are known exactly. More: the last was some time before this reading.
        last = max(self._latest, newest) if any(s.count > 1 for s in slots) else newest
        return (
            site,
            self._process,
            sum(s.count for s in slots),
            sum(errors) if errors else None,
            all(s.allowed for s in slots),
            first,
            last,
        )

    # -- spellings that came late -------------------------------------------------------------------------

    def _looked_up(self) -> dict[int, str]:
        assert self._resolve is not None
        found: dict[int, str] = {}
        for number, slot in self._slots.items():
            if slot.spelled:
                continue
            file, line, ref, use = self._connection.execute(
                "SELECT s.file, s.line, t.ref, s.kind FROM site s JOIN target t ON t.id = s.target"
                " WHERE s.id = ?",
                (slot.site,),
            ).fetchone()
            expression = self._resolve(os.path.join(self._root, file), line, ref, use)  # noqa: PTH118 - text
            if expression:
                found[number] = expression
        return found

    def _respell(self, spellings: dict[int, str]) -> None:
        """Move slots to the site that their spelling makes them."""
        if not spellings:
            return
        slots_of: dict[int, set[int]] = {}
        for number, slot in self._slots.items():
            slots_of.setdefault(slot.site, set()).add(number)
        for number, expression in spellings.items():
            make_way()
            if number not in self._slots or self._slots[number].spelled:
                continue
            slot = self._slots[number]
            slot.spelled = True
            self._touched.add(number)
            old, new = slot.site, self._site_spelled(slot.site, expression)
            if new != old:
                slot.site = new
                slots_of[old].discard(number)
                slots_of.setdefault(new, set()).add(number)
                self._move_activity(old, new, slot.count)
                self._leave_site(old, new, slots_of)

    def _site_spelled(self, old: int, expression: str) -> int:
        """The site that differs from `old` in its spelling only."""
        row = self._connection.execute(
            "SELECT t.ref, s.kind, s.file, s.line, s.function, s.module, s.origin, s.during_import,"
            " s.by_test,"
            " s.scanner, s.via, s.note, s.stack FROM site s JOIN target t ON t.id = s.target WHERE"
            " s.id = ?",
            (old,),
        ).fetchone()
        ref, kind, file, line, function, module, origin, importing, by_test, scanner, via, note, stack = row
        number = self._names.site(
            Site(
                ref, kind, file, line, function, module, expression, origin,
                bool(importing), bool(by_test), bool(scanner), via, (), note,
            )
        )  # fmt: skip
        self._connection.execute("UPDATE site SET stack = coalesce(stack, ?) WHERE id = ?", (stack, number))
        return number

    def _move_activity(self, old: int, new: int, amount: int) -> None:
        rows = self._connection.execute(
            "SELECT hour, count FROM activity WHERE site = ? AND process = ? ORDER BY hour DESC",
            (old, self._process),
        ).fetchall()
        for hour, count in rows:
            moved = min(count, amount)
            if moved:
                self._add_activity([(new, hour, moved), (old, hour, -moved)])
                amount -= moved
        self._connection.execute(
            "DELETE FROM activity WHERE site = ? AND process = ? AND count = 0", (old, self._process)
        )

    def _leave_site(self, old: int, new: int, slots_of: dict[int, set[int]]) -> None:
        """Correct what this process has said of `old`, now that one slot fewer is there."""
        row = self._connection.execute(
            "SELECT first_seen, last_seen FROM use_count WHERE site = ? AND process = ?", (old, self._process)
        ).fetchone()
        remaining = slots_of[old]
        if row is not None:
            count = sum(self._slots[number].count for number in slots_of[new]) or 1
            self._connection.execute(
                "INSERT INTO use_count VALUES (?, ?, ?, NULL, 1, ?, ?) ON CONFLICT DO UPDATE SET"
                " last_seen = max(last_seen, excluded.last_seen)",
                (new, self._process, count, *row),
            )
        self._touched.update(remaining)
        if remaining:
            return
        for statement in statements(_UNUSED_SITE):
            self._connection.execute(statement, {"old": old, "new": new, "process": self._process})
        self._names.forget_site(old)

    # -- paths ----------------------------------------------------------------------------------------

    def _relative(self, file: str) -> str:
        known = self._paths.get(file)
        if known is None:
            root = self._root.rstrip("/") + "/"
            known = self._paths[file] = file[len(root) :] if self._root and file.startswith(root) else file
        return known


_UNUSED_SITE = """
DELETE FROM use_count WHERE site = :old AND process = :process;
UPDATE finding SET site = :new WHERE site = :old AND process = :process;
DELETE FROM site WHERE id = :old
    AND NOT EXISTS (SELECT 1 FROM use_count WHERE site = :old)
    AND NOT EXISTS (SELECT 1 FROM finding WHERE site = :old)
    AND NOT EXISTS (SELECT 1 FROM slot WHERE site = :old AND process != :process);
"""

_FAR_FUTURE = 253402300800.0
"""The year 10000, which `datetime` cannot express: a broken clock's."""


def _time_of(record: Record) -> float:
    if isinstance(record, ProcessRecord):
        return record.started
    if isinstance(record, (StateRecord, SiteRecord, FindingRecord, CountersRecord, EndRecord)):
        return record.at
    return 0.0


def _spellings(records: Sequence[tuple[int, Record]]) -> dict[int, str]:
    """The spelling of each slot that a process told, or told the place of."""
    sites = {record.slot: record for _, record in records if isinstance(record, SiteRecord)}
    found: dict[int, str] = {}
    for _, record in records:
        if not isinstance(record, SpellingRecord):
            continue
        if not record.expression.startswith("@"):
            found[record.slot] = record.expression
        elif record.slot in sites:
            site = sites[record.slot]
            name = site.ref.partition(":")[2].partition("(")[0].rpartition(".")[2] or site.ref
            text = at_place(site.file, record.expression, name)
            if text:
                found[record.slot] = text
    return found
