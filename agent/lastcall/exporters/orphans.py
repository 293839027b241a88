"""What processes that were killed could not say for themselves: the last statement of each, from the store.

A process that ends cleanly hands its last batch to the exporters. One that is killed, or leaves by
`os._exit` as forked workers do, leaves its journal; the store takes that over, and the process that finds
it there makes the statement. Saying it twice is harmless: its identifiers are those of the process and its
last sign of life.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from lastcall.evidence import (
    Batch,
    Count,
    Finding,
    Frame,
    Observation,
    Process,
    Site,
    TargetState,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from lastcall.store import Store

DAYS: Final = 3.0
"""Older processes are history: a fleet that switches an exporter on does not want all of it."""
ENDING_BYTES: Final = 256
"""Enough for the last record of a journal that ended cleanly."""
AT_ONCE: Final = 20
STATED: Final = "stated"
"""File in the spool folder: the processes that a statement was made for, a name a line."""
STATED_BYTES: Final = 256 * 1024

FLAGS: Final = ("during_import", "by_test", "scanner")
SITE: Final = (
    "target",
    "use",
    "file",
    "line",
    "function",
    "module",
    "expression",
    "origin",
    *FLAGS,
    "via",
    "note",
)


def left_without_a_word(live: str, own: str) -> bool:
    """Whether the folder of live files holds the journal of a process that is gone and did not say that it ended.

    A look at the end of each file, without the store. `own` is the id of the process that asks.
    """
    for path in Path(live).glob("*.journal"):
        if path.stem == own:
            continue
        with suppress(OSError), path.open("rb") as journal:
            size = os.fstat(journal.fileno()).st_size
            if not size:
                continue  # being born: it has not locked its journal yet, and we must not either
            fcntl.flock(journal, fcntl.LOCK_SH | fcntl.LOCK_NB)  # refused while it lives
            end = os.pread(journal.fileno(), ENDING_BYTES, max(size - ENDING_BYTES, 0))
            if not end.rstrip(b"\n").rpartition(b"\n")[2].startswith(b"('E', "):
                return True
    return False


class Orphans:
    """Finds processes that ended without a word; each once for a spool folder, as far as a kill allows."""

    def __init__(self, store: Store, folder: str) -> None:
        self._store = store
        self._file = Path(folder) / STATED if folder else None
        self._stated: set[str] = set()

    def batches(self) -> Iterator[Batch]:
        """A final batch for each such process, marked as stated once the caller has taken it.

        Raises StoreError or OSError; what was not marked comes again.
        """
        self._stated |= self._read()
        with self._store._database.errors():
            names = [name for (name,) in self._connection.execute(
                "SELECT name FROM process WHERE finished AND ended IS NULL AND seen > ? ORDER BY seen",
                (time.time() - DAYS * 86400,),
            ) if name not in self._stated]  # fmt: skip
            if not names:
                return
            self._spell()
            for name in names[:AT_ONCE]:
                yield _Orphan(self._store, name).batch()
                self._mark(name)

    @property
    def _connection(self) -> sqlite3.Connection:
        return self._store._database.connection

    def _spell(self) -> None:
        """Find how the callers spelled the targets, which a short-lived process had no time for."""
        from lastcall.store.absorb import _resolve
        from lastcall.store.writing import spell_the_rest

        with self._store._database.transaction() as connection:
            spell_the_rest(connection, _resolve)

    def _read(self) -> set[str]:
        if self._file is None:
            return set()
        try:
            return set(self._file.read_text(encoding="ascii").split())
        except OSError:
            return set()

    def _mark(self, name: str) -> None:
        self._stated.add(name)
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        mode = "a"
        if self._file.exists() and self._file.stat().st_size > STATED_BYTES:
            mode = "w"  # three days of processes fit many times; what is forgotten is only said again
        with self._file.open(mode, encoding="ascii") as file:
            file.write(name + "\n")


class _Orphan:
    """One process's evidence as a batch."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._connection = store._database.connection
        row = self._connection.execute(
            "SELECT p.id, p.name, c.service, c.environment, c.release, p.host, p.pid, p.python, p.started,"
            " p.root, p.attributes, p.seen FROM process p JOIN scope c ON c.id = p.scope WHERE p.name = ?",
            (name,),
        ).fetchone()
        self._id, *fields, attributes, self._seen = row
        pairs = tuple((str(key), str(value)) for key, value in json.loads(attributes))
        name, service, environment, release, host, pid, python, started, root = fields
        self.process = Process(name, service, environment, release, host, pid, python, started, root, pairs)

    def batch(self) -> Batch:
        """The statement: states, counts and findings as they were when it was last seen.

        The batch is of now: uses after its last sign of life are counted too, and a metric's point must be
        younger than all that the process sent itself.
        """
        sites, counts = self._counts()
        states = self._states()
        observation = Observation(
            self.process, self.process.started, self._seen, states, counts, self._counters("dropped"),
            self._counters("internal"), final=True,
        )  # fmt: skip
        return Batch(
            self.process, time.time(), tuple(self._store.targets()), states, sites, counts,
            findings=self._findings(), observation=observation,
        )  # fmt: skip

    def _counts(self) -> tuple[dict[str, Site], tuple[Count, ...]]:
        rows = self._connection.execute(
            "SELECT u.count, u.first_seen, u.last_seen, u.errors, u.allowed, k.frames, t.ref, s.kind, s.file, s.line,"
            " s.function, s.module, s.expression, s.origin, s.during_import, s.by_test, s.scanner, s.via,"
            " s.note"
            " FROM use_count u JOIN site s ON s.id = u.site JOIN target t ON t.id = s.target"
            " LEFT JOIN stack k ON k.id = s.stack WHERE u.process = ?",
            (self._id,),
        ).fetchall()
        sites: dict[str, Site] = {}
        counts = []
        for count, first, last, errors, allowed, frames, *place in rows:
            values: dict[str, Any] = dict(zip(SITE, place, strict=True))
            values.update((flag, bool(values[flag])) for flag in FLAGS)
            site = Site(**values, stack=self._stack(frames))
            sites[site.id] = site
            counts.append(Count(self.process.id, site.id, count, first, last, errors, bool(allowed)))
        return sites, tuple(counts)

    def _stack(self, frames: str | None) -> tuple[Frame, ...]:
        numbers = json.loads(frames) if frames else []
        rows = (
            self._connection.execute("SELECT file, line, function FROM frame WHERE id = ?", (n,)).fetchone()
            for n in numbers
        )
        return tuple(Frame(*row) for row in rows if row)

    def _states(self) -> tuple[TargetState, ...]:
        rows = self._connection.execute(
            "SELECT t.ref, o.state, o.reason, o.engine, x.since FROM target_state x"
            " JOIN target t ON t.id = x.target JOIN outcome o ON o.id = x.outcome"
            " WHERE x.process = ? AND x.until IS NULL ORDER BY t.ref",
            (self._id,),
        )
        return tuple(TargetState(*row) for row in rows)

    def _counters(self, kind: str) -> tuple[tuple[str, int], ...]:
        rows = self._connection.execute(
            "SELECT name, value FROM counter WHERE process = ? AND kind = ? ORDER BY name", (self._id, kind)
        )
        return tuple((str(name), int(value)) for name, value in rows)

    def _findings(self) -> tuple[Finding, ...]:
        rows = self._connection.execute(
            "SELECT f.kind, t.ref, f.at, f.message, f.count, f.attributes FROM finding f"
            " JOIN target t ON t.id = f.target WHERE f.process = ?",
            (self._id,),
        )
        return tuple(
            Finding(
                cast("Any", kind),
                ref,
                at,
                message,
                None,
                count,
                tuple((k, v) for k, v in json.loads(attributes)),
            )
            for kind, ref, at, message, count, attributes in rows
        )
