"""A store's database as a file that another database can read. For readers: a host's own process never does."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lastcall.store import sqlite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lastcall.store.database import Database


@contextmanager
def attached(database: Database, other: Database) -> Iterator[sqlite.Connection]:
    """A connection of `database` on which the tables of `other` are there too, as `other.site` and so on."""
    connection = database.connection
    with as_file(other) as path:
        with database.errors():
            connection.execute("ATTACH ? AS other", (path,))
        try:
            yield connection
        finally:
            with database.errors():
                connection.execute("DETACH other")


@contextmanager
def as_file(database: Database) -> Iterator[str]:
    """The path of a file with these tables in it: its own, or a temporary one while it is a copy."""
    if not database.copied and not database.read_only:
        _ = database.connection  # make sure that it is a store before another database reads it
        yield database.path
        return
    with tempfile.TemporaryDirectory(prefix="lastcall-") as folder:
        path = os.path.join(folder, "copy.db")  # noqa: PTH118 - plain paths throughout the store
        with database.errors():
            target = sqlite.connect(path, isolation_level=None)
            try:
                database.connection.backup(target)
            finally:
                target.close()
        yield path
