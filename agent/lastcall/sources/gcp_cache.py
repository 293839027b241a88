"""Log entries that were read before, so that the next question reads only what the log has received since.

Coverage is remembered in the log's own terms: *received up to* an instant, for entries *about* times from an
instant on. A process that could not send, or was killed, has its entries delivered hours or days later, with the
time at which they happened: a cache of past time ranges would never see those. Cloud Logging knows when it received
an entry, so what is asked for again is what it received since, and a little before, whatever that is about.

A cache and nothing more: it may be deleted at any time, and whatever goes wrong with it (no folder, no space,
damage) costs the time that it would have saved. Any number of processes may use it at once.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LIMIT_BYTES: Final = 512 * 1024 * 1024
VERSION: Final = 1
"""Of what a row holds; another one is another file."""
BATCH: Final = 1000
BUSY_SECONDS: Final = 2.0
IN_USE_SECONDS: Final = 3600.0
"""A question that was asked so recently may still be being read."""
FILE: Final = f"gcp-entries-{VERSION}.db"

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS question (
    id        INTEGER PRIMARY KEY,
    key       TEXT NOT NULL UNIQUE,   -- digest of endpoint, project and filter, without its times
    since     REAL NOT NULL,          -- entries about times from here on
    received  REAL NOT NULL,          -- that the log had received by then are all here
    used      REAL NOT NULL           -- when it was last asked
);
CREATE TABLE IF NOT EXISTS entry (
    question  INTEGER NOT NULL REFERENCES question (id) ON DELETE CASCADE,
    at        INTEGER NOT NULL,       -- timestamp, microseconds
    insert_id TEXT NOT NULL,
    payload   BLOB NOT NULL,          -- jsonPayload.lastcall as compressed JSON
    PRIMARY KEY (question, at, insert_id)
) WITHOUT ROWID;
"""


def default_path() -> Path:
    """In the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(base) / "lastcall" / FILE


@dataclass(frozen=True, slots=True)
class Covered:
    """What is here already, in seconds since the epoch: entries about `since` and later, received by `received`."""

    since: float
    received: float


@dataclass(frozen=True, slots=True)
class CachedEntry:
    """One log entry, as far as evidence needs it."""

    at: int
    """Its timestamp, microseconds since the epoch."""
    insert_id: str
    received: float
    """When the log received it, seconds; 0 if that is not known."""
    fields: dict[str, Any]
    """`jsonPayload.lastcall`."""


class EntryCache:
    """The entries of one question: an endpoint, a project and a filter. Use from one thread.

    The constructor raises sqlite3.Error or OSError if there can be no cache; so may every method.
    """

    def __init__(self, path: Path, *question: str, limit: int = LIMIT_BYTES) -> None:
        self._limit = limit
        self._key = hashlib.blake2b("\x1f".join(question).encode(), digest_size=16).hexdigest()
        self._database = _open(path)
        try:
            self._id = self._identify()
        except BaseException:
            self._database.close()
            raise

    def _identify(self) -> int:
        with self._database:
            self._database.execute(
                "INSERT INTO question (key, since, received, used) VALUES (?, ?, 0, ?)"
                " ON CONFLICT DO UPDATE SET used = excluded.used",
                (self._key, float("inf"), time.time()),
            )
        row = self._database.execute("SELECT id FROM question WHERE key = ?", (self._key,)).fetchone()
        return int(row[0])

    def covered(self) -> Covered | None:
        """What need not be read again; None if there is nothing."""
        row = self._database.execute(
            "SELECT since, received FROM question WHERE id = ? AND received > 0", (self._id,)
        ).fetchone()
        return Covered(*row) if row else None

    def add(self, entries: Iterable[CachedEntry]) -> float:
        """Keep entries, each once; returns when the log received the newest. What was kept stays if this fails.

        Coverage does not change: call `cover` when all that was asked for has been read.
        """
        newest, batch = 0.0, []
        for entry in entries:
            newest = max(newest, entry.received)
            payload = zlib.compress(json.dumps(entry.fields, separators=(",", ":")).encode(), 1)
            batch.append((self._id, entry.at, entry.insert_id, payload))
            if len(batch) >= BATCH:
                self._insert(batch)
                batch = []
        self._insert(batch)
        return newest

    def _insert(self, rows: list[tuple[int, int, str, bytes]]) -> None:
        with self._database:
            self._database.executemany("INSERT OR IGNORE INTO entry VALUES (?, ?, ?, ?)", rows)

    def cover(self, known: Covered | None, since: float, received: float) -> None:
        """All entries about times from `since` on that the log had received by `received` are here.

        That is so because `known` was, when the reading began. If another process has extended that meanwhile, what
        it says stays: two extensions of one base do not add up.
        """
        base = known or Covered(float("inf"), 0.0)
        with self._database:
            self._database.execute(
                "UPDATE question SET since = min(since, ?), received = max(received, ?)"
                " WHERE id = ? AND since = ? AND received = ?",
                (since, received, self._id, base.since, base.received),
            )

    def entries(self, since: float) -> Iterator[dict[str, Any]]:
        """The fields of all entries about times from `since` on, oldest first.

        Raises sqlite3.Error at once if another process has thrown them out since the constructor.
        """
        self._database.execute("BEGIN")  # one view of the file, from this look to the last row
        if self._database.execute("SELECT 1 FROM question WHERE id = ?", (self._id,)).fetchone() is None:
            raise sqlite3.DatabaseError("the question was forgotten under way")
        return self._decoded(since)

    def _decoded(self, since: float) -> Iterator[dict[str, Any]]:
        rows = self._database.execute(
            "SELECT payload FROM entry WHERE question = ? AND at >= ? ORDER BY at, insert_id",
            (self._id, int(since * 1e6)),
        )
        for (payload,) in rows:
            fields = json.loads(zlib.decompress(payload))
            assert isinstance(fields, dict)
            yield fields
        self._database.rollback()

    def bound(self, since: float) -> None:
        """Keep the file under its limit: first what nobody asked for the longest, then what is before `since`."""
        while self._size() > self._limit:
            oldest = self._database.execute(
                "SELECT id FROM question WHERE id != ? AND used < ? ORDER BY used LIMIT 1",
                (self._id, time.time() - IN_USE_SECONDS),
            ).fetchone()
            with self._database:
                if oldest is not None:
                    self._database.execute("DELETE FROM question WHERE id = ?", oldest)
                    continue
                gone = self._database.execute(
                    "DELETE FROM entry WHERE question = ? AND at < ?", (self._id, int(since * 1e6))
                ).rowcount
                if gone:
                    self._database.execute(
                        "UPDATE question SET since = max(since, ?) WHERE id = ?", (since, self._id)
                    )
                else:  # one question's window alone is too much: the next time all is read again
                    self._database.execute("DELETE FROM question WHERE id = ?", (self._id,))
                    return

    def _size(self) -> int:
        """Bytes in use; pages that are free will be used again."""
        pages, free, size = (
            self._database.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        return _connect(path)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise  # locked, or no space: not damaged
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        with suppress(FileNotFoundError):
            (path.parent / name).unlink()
    return _connect(path)


def _connect(path: Path) -> sqlite3.Connection:
    path.touch(mode=0o600)  # what is in the log is not everybody's business
    database = sqlite3.connect(path, timeout=BUSY_SECONDS)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = OFF")  # it can be read again
        database.execute("PRAGMA foreign_keys = ON")
        database.executescript(_SCHEMA)
    except BaseException:
        database.close()
        raise
    return database
