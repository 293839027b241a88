"""Takes what processes left in their live files into the store (see `journal.py` for the files).

A process that is gone has let go of the lock on its journal: its files are read to the end and deleted, once
the database has committed what they said. A living one's are read and left alone.
"""

from __future__ import annotations

# not `os`, `fcntl`, `open`: what a test of the host's puts in their places is not for us
import posix
from _io import FileIO
from array import array
from fcntl import LOCK_EX, LOCK_NB, flock
from time import monotonic, time
from types import BuiltinFunctionType

from lastcall.errors import StoreError
from lastcall.garbage import hurry, make_way, take_time
from lastcall.journal import HEADER_FILE, HEADER_HEARTBEAT, HEADER_MAGIC, HEADER_SLOTS, MAGIC, live_folder
from lastcall.store import state_sets, writing
from lastcall.store.records import BehindRecord, Record, SiteRecord, parse
from lastcall.values import dataclass, field

TYPE_CHECKING = False  # typing costs a bare host 5 ms, and 1 ms more at its end
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lastcall.store.database import Database
    from lastcall.store.records import Frames
    from lastcall.store.writing import Reading

YOUNG = 60.0
"""Seconds. An empty journal of this age may belong to a process that has not locked it yet."""

QUIET = 30.0
"""Seconds between two writes for a process of which nothing is new but that it lives."""

ALIVE = 86_400.0
"""Seconds for which a process is taken to run after its last sign of life, if nothing says that it ended."""

OTHERS_EVERY = 10.0
"""Seconds between two looks of a host process at what others left."""

_LARGEST_COUNT = (1 << 62) - 1
"""A count beyond this is no count: the table is damaged."""


@dataclass(slots=True)
class Absorbed:
    """What one pass over the live files did."""

    files: int = 0
    """Journals read."""
    gone: int = 0
    """Of these, of processes that are gone: deleted, unless the store is a copy."""
    faults: dict[str, int] = field(default_factory=dict)
    """What could not be read, by reason: torn-line, garbage-line, missing-counts,
    missing-frames, short-counts, unreadable."""

    @property
    def unread(self) -> int:
        """Processes whose journal could not be opened."""
        return self.faults.get("unreadable", 0)


class Absorber:
    """Absorbs the live files beside `database`, again and again."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._folder = live_folder(database.path)
        self._others_due = 0.0
        self._own: str | None = None
        self._own_last: tuple[object, ...] = ()
        self._own_written = 0.0
        self._own_taken: tuple[object, ...] = ()
        """Of the calling process: the database, how far its journal was put into it; and its counts then."""
        self._own_counts: Sequence[int] = ()

    def absorb(self, own: str | None, progress: Callable[[int, int], None] | None = None) -> Absorbed:
        """One pass over the folder.

        `own` names the calling process if it is an observed one: then its files are read each time, and of
        the others' only those that are left over, now and then. Without it every file is read. `progress`
        is called with the files done and the files there are.

        Raises StoreError if the database cannot take it; what was not committed is still in the files.
        """
        done = Absorbed()
        self._own = own
        if own is not None:
            self._absorb_own(own, done)
            if monotonic() < self._others_due:
                return done
            self._others_due = monotonic() + OTHERS_EVERY
        names = _journals(self._folder)
        for number, name in enumerate(names, 1):
            if name != own:
                self._absorb_one(name, done, living=own is None, spell=own is None)
            if progress is not None:
                progress(number, len(names))
        if own is None:
            with self._database.transaction() as connection:
                writing.spell_the_rest(connection, _resolve)
                state_sets.complete(connection)
        if not self._database.copied:
            _delete_lone_counts(self._folder)
        return done

    def look_at_others(self) -> None:
        """Have the next pass look at what others left, whenever the last one did."""
        self._others_due = 0.0

    def _absorb_own(self, own: str, done: Absorbed) -> None:
        """The caller's own files; nothing is written while nothing changes but the time."""
        path = f"{self._folder}/{own}"
        now = monotonic()
        state = _size(path + ".journal"), _read_counts(path)[0]
        is_known = (*state, self._database.identity()) == self._own_last
        if is_known and now - self._own_written < QUIET and not _is_gone(path):
            return
        self._absorb_one(own, done, living=True, spell=False)
        self._own_last, self._own_written = (*state, self._database.identity()), now

    def _absorb_one(self, name: str, done: Absorbed, *, living: bool, spell: bool) -> None:
        path = f"{self._folder}/{name}"
        try:
            journal = posix.open(path + ".journal", posix.O_RDONLY | posix.O_CLOEXEC)
        except FileNotFoundError:
            return  # another reader has just finished with it
        except OSError:
            done.faults["unreadable"] = done.faults.get("unreadable", 0) + 1
            return
        try:
            gone = _lock(journal)
            if gone and _is_young_copy(path):
                gone = False  # nobody holds the lock of a copy; its process may run on elsewhere
            if gone is None or (not gone and not living):
                return
            self._read_into(name, journal, done, gone=gone, spell=spell)
            if gone and not self._database.copied:
                # The journal first: counts alone are nobody's, a journal alone would look like a loss.
                _delete(path + ".journal")
                _delete(path + ".counts")
        finally:
            posix.close(journal)
        done.files += 1
        done.gone += gone

    def _read_into(self, name: str, journal: int, done: Absorbed, *, gone: bool, spell: bool) -> None:
        path = f"{self._folder}/{name}"
        resolve = _resolve if spell else None
        while True:
            with self._database.errors():
                start, finished = writing.read_to(self._database.connection, name)
            if finished:
                return
            # Parsed before the transaction: others write while we read.
            reading = _read(name, path, journal, start, gone=gone)
            reading.changed = self._changed_in(reading)
            patience = hurry()  # others wait for the transaction
            try:
                with self._database.transaction() as connection:
                    applied = writing.apply(connection, reading, resolve)
            finally:
                take_time(patience)
            if applied:
                break
        if name == self._own:
            # not the reading itself: its records are as much as the process's call sites
            self._own_taken = self._database.identity(), name, reading.read_to
            self._own_counts = reading.counts or ()
        for reason, count in reading.faults.items():
            done.faults[reason] = done.faults.get(reason, 0) + count

    def _changed_in(self, reading: Reading) -> list[int] | None:
        """The slots of the calling process that count more than when they were last put into this database."""
        counts = reading.counts or ()
        if (
            reading.finished
            or (self._database.identity(), reading.name, reading.read_from) != self._own_taken
            or len(counts) != len(self._own_counts)
        ):
            return None
        pairs = zip(self._own_counts, counts, strict=True)
        return [slot for slot, (before, now) in enumerate(pairs) if before != now]


def _journals(folder: str) -> list[str]:
    try:
        found = posix.listdir(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(
            "store-unreadable", f"The folder {folder} cannot be read: {error.strerror}."
        ) from error
    return sorted(name[: -len(".journal")] for name in found if name.endswith(".journal"))


def _is_gone(path: str) -> bool:
    try:
        journal = posix.open(path + ".journal", posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return False
    try:
        return bool(_lock(journal))
    finally:
        posix.close(journal)


def _lock(journal: int) -> bool | None:
    """True if its process is gone (the lock is now ours), False if it lives, None if that cannot be known yet."""
    found = posix.fstat(journal)
    if found.st_size == 0 and time() - found.st_mtime < YOUNG:
        return None
    if type(flock) is not BuiltinFunctionType:
        return None  # a fake file system's (pyfakefs): it locks nothing, and all would seem to be gone
    try:
        flock(journal, LOCK_EX | LOCK_NB)
    except OSError:
        return False
    return True


def _is_young_copy(path: str) -> bool:
    """Whether these files were copied while their process was alive, less than a day after its last sign of life."""
    try:
        with FileIO(path + ".counts") as file:
            header = array("Q", file.read(HEADER_SLOTS * 8))
            number = posix.fstat(file.fileno()).st_ino
    except (OSError, ValueError):
        return False
    if len(header) < HEADER_SLOTS or header[HEADER_MAGIC] != MAGIC or header[HEADER_FILE] in (0, number):
        return False
    return time() - header[HEADER_HEARTBEAT] / 1e9 < ALIVE


def _read(name: str, path: str, journal: int, start: int, *, gone: bool) -> writing.Reading:
    faults: dict[str, int] = {}
    data = _read_from(journal, start)
    end = data.rfind(b"\n") + 1
    if gone and end < len(data):
        faults["torn-line"] = 1
    records = _records(data[:end], start, faults)
    _complete_stacks(records, journal, start, faults)
    counts, heartbeat = _read_counts(path)
    if counts is None:
        if start or any(isinstance(record, SiteRecord) for _, record in records):
            faults["missing-counts"] = 1  # a process that met no target makes no table
    else:
        beyond = sum(1 for _, r in records if isinstance(r, SiteRecord) and r.slot >= len(counts))
        if beyond:
            faults["short-counts"] = beyond
    return writing.Reading(
        name, start, start + end, records, counts, heartbeat, faults if gone or end else {}, finished=gone
    )


def _read_from(journal: int, start: int) -> bytes:
    pieces = []
    while piece := posix.pread(journal, 1 << 22, start):
        pieces.append(piece)
        start += len(piece)
    return b"".join(pieces)


def _records(data: bytes, start: int, faults: dict[str, int]) -> list[tuple[int, Record]]:
    records: list[tuple[int, Record]] = []
    offset = start
    for line in data.splitlines(keepends=True):
        make_way()
        record = parse(line)
        if record is None:
            faults["garbage-line"] = faults.get("garbage-line", 0) + 1
        else:
            records.append((offset, record))
        offset += len(line)
    return records


def _complete_stacks(records: list[tuple[int, Record]], journal: int, start: int, faults: dict[str, int]) -> None:
    """Put behind each call site's frames those that it has in common with others (K records)."""
    known: dict[int, Frames] = {}
    everything_read = start == 0
    for _, record in records:
        if isinstance(record, BehindRecord):
            known[record.number] = record.frames
        elif isinstance(record, SiteRecord) and record.behind:
            if record.behind not in known and not everything_read:
                # said before the place where the last reader stopped
                everything_read = True
                known = {**_behind_in(_read_from(journal, 0)[:start]), **known}
            if record.behind in known:
                record.frames += known[record.behind]
            else:
                faults["missing-frames"] = faults.get("missing-frames", 0) + 1


def _behind_in(data: bytes) -> dict[int, Frames]:
    said = [parse(line) for line in data.split(b"\n") if line.startswith(b"('K'")]
    return {record.number: record.frames for record in said if isinstance(record, BehindRecord)}


def _read_counts(path: str) -> tuple[Sequence[int] | None, float]:
    """The counts by slot, and the heartbeat in seconds; (None, 0) if there is no such table."""
    try:
        with FileIO(path + ".counts") as file:
            data = file.read()
    except OSError:
        return None, 0.0
    values = array("Q", data[: len(data) // 8 * 8])
    if len(values) < HEADER_SLOTS or values[HEADER_MAGIC] != MAGIC:
        return None, 0.0
    counts = values[HEADER_SLOTS:]
    if counts and max(counts) > _LARGEST_COUNT:
        return None, 0.0
    return counts, values[HEADER_HEARTBEAT] / 1e9


def _delete_lone_counts(folder: str) -> None:
    """Remove tables of counters whose journal is gone: a deletion was killed half-way."""
    try:
        names = posix.listdir(folder)
    except OSError:
        return
    for name in names:
        path = f"{folder}/{name}"
        if (
            name.endswith(".counts")
            and name[: -len("counts")] + "journal" not in names
            and _age(path) > YOUNG
        ):
            _delete(path)


def _age(path: str) -> float:
    try:
        return time() - posix.stat(path).st_mtime
    except OSError:
        return 0.0


def _size(path: str) -> int:
    try:
        return posix.stat(path).st_size
    except OSError:
        return -1


def _delete(path: str) -> None:
    try:  # noqa: SIM105 - `contextlib` is 59 functions, which a bare host has no use for
        posix.unlink(path)
    except OSError:  # its content is in the store; the next reader tries again
        pass


def _resolve(file: str, line: int, ref: str, use: str) -> str:
    from lastcall.store.spelling import expression_at  # `ast`: not in the host

    return expression_at(file, line, ref, use)
