"""What we need of SQLite's own module.

`sqlite3` adds adapters of dates to it, and with them `datetime`: a millisecond of our thread's time, and a part of
what a host's interpreter clears away at its end.
"""

from __future__ import annotations

from _sqlite3 import Connection, Cursor, Error, OperationalError, complete_statement, connect

__all__ = ["Connection", "Cursor", "Error", "OperationalError", "complete_statement", "connect"]
