"""One SQLite file: opening it, failing clearly, transactions, and never across a fork."""

from __future__ import annotations

import os

# not `os`, where it is asked every second: what a test of the host's puts in its place is not for us
import posix
import stat
import sys

from lastcall.errors import StoreError
from lastcall.introduction import folder_of, make_folders
from lastcall.store import sqlite
from lastcall.store.schema import MIGRATIONS, SCHEMA, SCHEMA_VERSION, statements

TYPE_CHECKING = False  # typing costs a bare host 5 ms, and 1 ms more at its end
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_inherited: list[sqlite.Connection] = []
"""Connections of a parent process. Closing one in a child could damage the parent's file: kept, untouched."""


class _Result:
    """All that a statement gave. Its cursor is closed."""

    __slots__ = ("_rows", "lastrowid", "rowcount")

    def __init__(self, cursor: sqlite.Cursor) -> None:
        self._rows = iter(cursor.fetchall())
        self.lastrowid, self.rowcount = cursor.lastrowid, cursor.rowcount
        cursor.close()

    def __iter__(self) -> Iterator[Any]:
        return self._rows

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        return list(self._rows)


class _ReadAtOnce(sqlite.Connection):
    """Leaves no cursor that could do harm before 3.11.

    There a cursor keeps its statement to the end, and others with the same text use that statement too. The host may
    list all objects of the process (a memory profiler does), and hold our thread's cursor a moment longer than we: let
    go in the host's thread it resets the statement that ours is running or closing, and the interpreter crashes.
    """

    def execute(self, *args: Any) -> Any:
        return _Result(super().execute(*args))

    def executemany(self, *args: Any) -> Any:
        return _Result(super().executemany(*args))


CONNECTION = sqlite.Connection if sys.version_info >= (3, 11) else _ReadAtOnce
_MOST_ATTEMPTS = 20


class _Errors:
    """Around what the database does. A class: `contextlib` is not loaded into the host for it."""

    __slots__ = ("_path",)

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, sqlite.Error):
            raise _explained(error, self._path) from error


class _Transaction:
    """Around what is written at once."""

    __slots__ = ("_connection", "_database")

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> sqlite.Connection:
        self._connection = connection = self._database.connection
        with self._database.errors():
            connection.execute("BEGIN IMMEDIATE")
        return connection

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        with self._database.errors():
            try:
                if error is None:
                    self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            if isinstance(error, sqlite.Error):
                raise error


class Database:
    """A database file and the connection to it, reopened after a fork or when the file was replaced.

    With `read_only`, never writes to the file. `busy_seconds` is how long a statement waits for another
    process's lock. Every method raises StoreError and nothing else for what the database does wrong.
    """

    def __init__(self, path: str, *, read_only: bool = False, busy_seconds: float = 5.0) -> None:
        self.path = path
        self.read_only = read_only
        self.copied = False
        """True once the connection is to a private copy of the file."""
        self._busy_seconds = busy_seconds
        self._connection: sqlite.Connection | None = None
        self._pid = 0
        self._file: tuple[int, int] | None = None

    @property
    def connection(self) -> sqlite.Connection:
        """The connection of this process, opened on first use."""
        if self._connection is not None and self._pid != posix.getpid():
            _inherited.append(self._connection)
            self._connection = None
        if self._connection is not None and not self.copied and self.identity() != self._file:
            self.close()  # deleted or replaced under way: what we would write would go nowhere
        if self._connection is None:
            with self.errors():
                self._connection = self._open()
            self._pid = posix.getpid()
            self._file = self.identity()
        return self._connection

    def close(self) -> None:
        """Let go of the file. The next use opens it again; a private copy is gone."""
        if self._connection is not None:
            if self._pid == posix.getpid():
                self._connection.close()
            else:
                _inherited.append(self._connection)
            self._connection = None
            self.copied = False

    def transaction(self) -> _Transaction:
        """All of the body or nothing of it, alone among writers."""
        return _Transaction(self)

    def copy(self) -> None:
        """Turn to a private, writable copy of the file, deleted when closed."""
        if not os.path.exists(self.path):  # noqa: PTH110 - plain paths throughout this module
            with self.errors():
                copy = _private_database()
                _create_tables(copy)
        else:
            source = self.connection
            if self.copied:  # its tables had to be brought up to date
                return
            with self.errors():
                copy = _copy_of(source)
        self.close()
        self._connection, self._pid, self.copied = copy, posix.getpid(), True

    def errors(self) -> _Errors:
        """Turn the database's errors into StoreError."""
        return _Errors(self.path)

    def identity(self) -> tuple[int, int] | None:
        """Device and number of the file that is there now; None if there is none."""
        try:
            found = posix.stat(self.path)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _open(self) -> sqlite.Connection:
        _refuse_other_than_file(self.path)
        if self.read_only:
            connection = self._connect_read_only()
        else:
            folder = folder_of(self.path)
            try:
                if not _is_there(folder):
                    make_folders(folder)
            except OSError as error:
                raise StoreError(
                    "store-read-only",
                    f"The folder of the store {self.path} cannot be made: {error.strerror}.",
                ) from error
            connection = self._connect(self.path)
        try:
            if not self.read_only:
                # NORMAL: a commit survives a crash of the process, and the last ones not a power cut; the
                # journals are deleted only later, so even then the counts are in one of the two.
                connection.execute("PRAGMA synchronous = NORMAL")
                _write_ahead(connection)
                _create_if_empty(connection)
            version = _checked_schema(connection, self.path)
            if version < SCHEMA_VERSION:
                if self.read_only:
                    connection = self._replaced_by_copy(connection)
                _migrate(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _replaced_by_copy(self, connection: sqlite.Connection) -> sqlite.Connection:
        copy = _copy_of(connection)
        connection.close()
        self.copied = True
        return copy

    def _connect(self, name: str, *, uri: bool = False) -> sqlite.Connection:
        # The host's background thread opens it, its exit flush may come from another: never both at once.
        return sqlite.connect(
            name,
            uri=uri,
            timeout=self._busy_seconds,
            isolation_level=None,
            check_same_thread=False,
            factory=CONNECTION,
        )

    def _connect_read_only(self) -> sqlite.Connection:
        if not os.path.exists(self.path):  # noqa: PTH110 - plain paths throughout this module
            raise StoreError("store-missing", f"There is no store at {self.path}.")
        uri = _uri(self.path)
        for mode in ("?mode=ro", "?mode=ro&immutable=1"):
            # A database in WAL mode cannot be opened in a folder that may not be written, unless we promise
            # that nobody writes it: there, nobody can.
            connection = self._connect(uri + mode, uri=True)
            try:
                connection.execute("SELECT 1 FROM sqlite_master").fetchall()
            except sqlite.OperationalError:
                connection.close()
                if "immutable" in mode:
                    raise
            else:
                return connection
        raise AssertionError  # the loop returns or raises


def _is_there(path: str) -> bool:
    try:
        posix.stat(path)
    except OSError:
        return False
    return True


def _refuse_other_than_file(path: str) -> None:
    """Raises StoreError for a folder or a device: SQLite waits there, or blames the disk, or leaves a journal."""
    try:
        mode = posix.stat(path).st_mode
    except OSError:
        return
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "not a file"
        raise StoreError(
            "store-foreign", f"{path} is {what}. Point LASTCALL_STORE or --store to the file of a store."
        )


def _uri(path: str) -> str:
    """`file:///...` as SQLite reads it. By hand: a process that gave up its rights may no longer import pathlib."""
    safe = b"/._-~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    return "file://" + "".join(chr(b) if b in safe else f"%{b:02X}" for b in os.fsencode(os.path.abspath(path)))  # noqa: PTH100 - plain paths


def _private_database() -> sqlite.Connection:
    """A database that nobody else sees: in a temporary file where there is room for one, else in memory."""
    connection = sqlite.connect("", isolation_level=None, check_same_thread=False)
    try:
        connection.execute("CREATE TABLE probe (x)")
        connection.execute("DROP TABLE probe")
    except sqlite.OperationalError:
        connection.close()
        return sqlite.connect(":memory:", isolation_level=None, check_same_thread=False)
    return connection


def _copy_of(connection: sqlite.Connection) -> sqlite.Connection:
    copy = _private_database()
    try:
        connection.backup(copy)
    except BaseException:
        copy.close()
        raise
    return copy


def _write_ahead(connection: sqlite.Connection) -> None:
    """Choose the journal mode. Of two who do so at once for a new file SQLite refuses one without letting it wait."""
    for _ in range(_MOST_ATTEMPTS):
        if _is_write_ahead(connection):
            return
        connection.execute("BEGIN IMMEDIATE")  # which waits
        connection.execute("COMMIT")
    _is_write_ahead(connection, last=True)


def _is_write_ahead(connection: sqlite.Connection, *, last: bool = False) -> bool:
    try:
        # read to its end: a cursor with rows to come is busy with the statement while we close
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
    except sqlite.OperationalError as error:
        if last or "locked" not in str(error):
            raise
        return False
    return True


def _create_if_empty(connection: sqlite.Connection) -> None:
    if connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have been faster while we waited for the lock.
        if not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
            _create_tables(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _create_tables(connection: sqlite.Connection) -> None:
    for statement in statements(SCHEMA):
        connection.execute(statement)
    connection.execute("INSERT INTO meta VALUES ('schema', ?)", (str(SCHEMA_VERSION),))


def _migrate(connection: sqlite.Connection) -> None:
    """Bring the tables up to date, step by step, all or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have been faster while we waited for the lock.
        version = _schema(connection)
        while version is not None and version < SCHEMA_VERSION:
            for statement in statements(MIGRATIONS[version]):
                connection.execute(statement)
            version += 1
            connection.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (str(version),))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _schema(connection: sqlite.Connection) -> int | None:
    """The version of the tables; None if they are not ours."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    return None if row is None or not str(row[0]).isdecimal() else int(row[0])


def _checked_schema(connection: sqlite.Connection, path: str) -> int:
    """The version of the tables. Raises StoreError if they are not ours, or of a newer version."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        raise StoreError(
            "store-unmade",
            f"The store {path} was begun, and has no tables: there was no room for them, perhaps. "
            "The next process that finds room makes them.",
        )
    version = _schema(connection) if "meta" in tables and "use_count" in tables else None
    if version is None or version < min(MIGRATIONS):
        raise StoreError(
            "store-foreign",
            f"{path} is a database, but not a store of Lastcall. "
            "Point LASTCALL_STORE or --store to another file.",
        )
    if version > SCHEMA_VERSION:
        raise StoreError(
            "store-newer-schema",
            f"The store {path} has schema {version}; this version of Lastcall reads up to {SCHEMA_VERSION}. "
            "Upgrade Lastcall, or use another store.",
        )
    return version


# SQLite says what happened in words that have been stable for years; its numeric codes reach Python only
# from 3.11 on. First match wins.
_EXPLANATIONS = (
    ("locked", "store-locked", "The store {path} is locked by another process. Try again in a moment."),
    ("readonly", "store-read-only", "The store {path} cannot be written."),
    ("unable to open", "store-read-only", "The store {path} cannot be opened: may its folder be read?"),
    ("disk is full", "store-full", "There is no room left for the store {path}."),
    ("disk I/O error", "store-full", "The disk of the store {path} takes no more data, or fails."),
    ("not a database", "store-corrupt", "{path} is not a database. Move it away; a new one will be made."),
    ("malformed", "store-corrupt", "The store {path} is damaged. Move it away; a new one will be made."),
)


def _explained(error: sqlite.Error, path: str) -> StoreError:
    text = str(error)
    for words, slug, sentence in _EXPLANATIONS:
        if words in text:
            return StoreError(slug, f"{sentence.format(path=path)} (SQLite: {text})")
    return StoreError("store-failed", f"The store {path} failed. (SQLite: {text})")
