"""Live files of processes that tests make up, written with the agent's own Journal."""

from __future__ import annotations

import time
from pathlib import Path

from lastcall.journal import HEADER_HEARTBEAT, HEADER_SLOTS, Journal, live_folder

NOW = 1_795_000_000.0
"""A fixed time, in the middle of an hour."""


class LiveProcess:
    """One process's journal and counters. `close()` is its death: the lock is freed, the files stay."""

    def __init__(self, store, name="aa01", *, service="backend", environment="staging", release="1.0",
                 root="/srv/app", started=NOW, slots=64, announced=True):
        self.name, self.started, self.store = name, started, str(store)
        self.journal = Journal(live_folder(str(store)), name, slots)
        if announced:
            self.append("P", 1, name, 42, service, environment, release, "host", "3.11.7", ns(started), root, ())

    def append(self, *record):
        self.journal.append(record)

    def target(self, ref="pkg.mod:old", kind="function", **given):
        names = ("replacement", "owner", "issue", "since", "remove_by", "note", "schedule")
        self.append("T", ref, kind, *(given.get(name, "") for name in names), given.get("file", ""),
                    given.get("line", 0), "config")
        return self

    def state(self, ref="pkg.mod:old", state="armed", reason="", engine="wrapt", at=None):
        self.append("A", ref, state, reason, engine, ns(self.started if at is None else at))
        return self

    def site(self, slot, ref="pkg.mod:old", *, use="call", at=None, flags=0, file=None, line=1, function="f",
             origin="direct", frames=(), expression="old", module="pkg.caller", via="", note=""):
        file = file if file is not None else f"/srv/app/pkg/caller_{slot}.py"
        self.append("S", slot, ref, use, ns(self.started if at is None else at), flags, file, line, function,
                    module, origin, via, note, frames)
        if expression is not None:
            self.append("X", slot, expression)
        return self

    def count(self, slot, value, at=None):
        self.journal.counts[HEADER_SLOTS + slot] = value
        return self.beat(self.started if at is None else at)

    def beat(self, at):
        self.journal.counts[HEADER_HEARTBEAT] = ns(at)
        return self

    def close(self):
        self.journal.close()

    @property
    def files(self):
        base = Path(live_folder(self.store)) / self.name
        return Path(f"{base}.journal"), Path(f"{base}.counts")


def ns(seconds):
    return round(seconds * 1e9)


def everything(store):
    """All that a store says, for comparing two."""
    return {
        name: getattr(store, name)()
        for name in ("targets", "totals", "uses", "call_sites", "current_states", "states", "watched", "observed",
                     "observations", "activity", "references", "findings", "processes")
    }


def counts(store):
    """Count by (target, file, line)."""
    result = {}
    for row in store.uses():
        key = (row.site.target, row.site.file, row.site.line)
        result[key] = result.get(key, 0) + row.count
    return result


def age(path, seconds):
    import os

    then = time.time() - seconds
    os.utime(path, (then, then))
