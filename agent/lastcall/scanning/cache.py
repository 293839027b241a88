"""Results of analyses, kept by the content of the file they are about.

A cache and nothing more: it may be deleted at any time, and whatever goes wrong with it (no folder, no
space, another process at work, damage) costs the time that it would have saved.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
import zlib
from contextlib import suppress
from typing import Any

_KEEP_SECONDS = 30 * 86400
_SCHEMA = """
CREATE TABLE IF NOT EXISTS result (
    key    BLOB PRIMARY KEY,   -- digest: analysis, version, arguments, Python version, content
    value  BLOB NOT NULL,      -- [value, reason] as compressed JSON
    used   INTEGER NOT NULL    -- day of the last use, in days since the epoch
) WITHOUT ROWID
"""


def cache_path(root: str) -> str:
    """Where the cache of a tree lies: in its `.lastcall` folder if it has one, else in the user's."""
    own = os.path.join(root, ".lastcall")
    if os.path.isdir(own) and os.access(own, os.W_OK):
        return os.path.join(own, "scan-cache.db")
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "lastcall", "scan-cache.db")


class Cache:
    """A dictionary on disk that forgets what nobody has asked for in a month. Use from one thread."""

    def __init__(self, path: str) -> None:
        self._today = int(time.time() // 86400)
        self._new: dict[bytes, bytes] = {}
        self._touched: list[bytes] = []
        self._path = path
        self._database = _open(path)

    @classmethod
    def of(cls, root: str) -> Cache:
        """The cache for the tree at `root`."""
        return cls(cache_path(root))

    def get(self, key: bytes) -> Any:
        """The value put under `key`, or None."""
        if self._database is None:
            return None
        try:
            row = self._database.execute("SELECT value, used FROM result WHERE key = ?", (key,)).fetchone()
            if row is None:
                return None
            if row[1] != self._today:
                self._touched.append(key)
            return json.loads(zlib.decompress(row[0]))
        except sqlite3.Error as error:
            self._replace_if_damaged(error)
            return None
        except (zlib.error, ValueError):
            return None

    def put(self, key: bytes, value: Any) -> None:
        """Remember a JSON-ready value; it is on disk after `commit`."""
        self._new[key] = zlib.compress(json.dumps(value).encode(), 1)

    def commit(self) -> None:
        """Write what is new, and drop what has not been used for a month."""
        if self._database is None:
            return
        try:
            with self._database:
                self._database.executemany(
                    "INSERT OR REPLACE INTO result VALUES (?, ?, ?)",
                    [(key, value, self._today) for key, value in self._new.items()],
                )
                self._database.executemany(
                    "UPDATE result SET used = ? WHERE key = ?", [(self._today, key) for key in self._touched]
                )
                self._database.execute(
                    "DELETE FROM result WHERE used < ?", (self._today - _KEEP_SECONDS // 86400,)
                )
        except sqlite3.Error as error:  # a full disk or a busy database: the next run computes it again
            self._replace_if_damaged(error)
        self._new.clear()
        self._touched.clear()

    def _replace_if_damaged(self, error: sqlite3.Error) -> None:
        """Start afresh where the damage shows only now; else it would cost every run from here on."""
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            self.close()
            with suppress(OSError):
                os.unlink(self._path)
                self._database = _open(self._path)

    def close(self) -> None:
        """Let go of the file."""
        if self._database is not None:
            self._database.close()
            self._database = None


def _open(path: str) -> sqlite3.Connection | None:
    for attempt in range(2):
        database: sqlite3.Connection | None = None
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            database = sqlite3.connect(path, timeout=1)
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = OFF")
            database.execute(_SCHEMA)
            return database  # noqa: TRY300 - stands with what it needs
        except (sqlite3.Error, OSError) as error:
            if database is not None:
                database.close()
            if (
                attempt
                or not isinstance(error, sqlite3.DatabaseError)
                or isinstance(error, sqlite3.OperationalError)
            ):
                return None
            try:
                os.unlink(path)  # damaged: start afresh
            except OSError:
                return None
    return None
