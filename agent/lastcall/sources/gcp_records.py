"""One process's log entries, turned back into what its journal said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lastcall.exporters import names
from lastcall.exporters.entries import from_rfc3339
from lastcall.journal import FLAG_ALLOWED, FLAG_BY_TEST, FLAG_DURING_IMPORT, FLAG_SCANNER
from lastcall.store import records
from lastcall.store.slots import HOUR
from lastcall.store.writing import Reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SIGN_OF_LIFE: Final = 240.0
"""Seconds between the signs of life that a statement's interval is filled with; the store joins up to 300."""
FLAGS: Final = {
    "during_import": FLAG_DURING_IMPORT,
    "by_test": FLAG_BY_TEST,
    "scanner": FLAG_SCANNER,
    "allowed": FLAG_ALLOWED,
}


class ProcessHistory:
    """What is known so far of one process; gives a reading for each hour in which there was something.

    Entries must come in the order of time. A `use` entry may be older than the process's first statement,
    which says who it is; nothing is given before that statement.
    """

    def __init__(self, process: str) -> None:
        self._process = process
        self._stated = False
        self._ended = False
        self._early: dict[str, Any] | None = None
        self._records: list[records.Record] = []
        self._slots: dict[str, int] = {}
        self._sites: dict[str, records.SiteRecord] = {}
        self._counts: list[int] = []
        self._errors: dict[int, int] = {}
        self._known: set[object] = set()
        self._latest = 0.0
        self._offset = 0

    def take(self, fields: dict[str, Any]) -> Iterator[Reading]:
        """Take one entry in; gives the reading of the hours before it, if it begins a new one."""
        at = _instant(fields)
        if self._stated and int(at // HOUR) > int(self._latest // HOUR) and self._records:
            yield self._reading(finished=False)
        self._latest = max(self._latest, at)
        if fields["event"] == names.EVENT_USE:
            self._early = self._early or fields
            slot = self._slot(fields, at)
            self._counts[slot] = max(self._counts[slot], int(fields["total"]))
        elif fields["event"] == names.EVENT_OBSERVATION:
            self._statement(fields)
        elif fields["event"] == names.EVENT_FINDING:
            self._finding(fields)

    def finish(self, gone_before: float) -> Iterator[Reading]:
        """What is left; the process has ended if it said so, or was silent since before `gone_before`."""
        if not self._stated and self._early is not None:
            self._introduce(self._early, from_rfc3339(self._early.get("start", "1970-01-01T00:00:00")))
        yield self._reading(finished=self._ended or self._latest < gone_before)

    def _reading(self, *, finished: bool) -> Reading:
        made = Reading(
            name=self._process,
            read_from=self._offset,
            read_to=self._offset + len(self._records),
            records=list(enumerate(self._records, start=self._offset)),
            counts=list(self._counts),
            heartbeat=self._latest,
            finished=finished,
        )
        self._offset = made.read_to
        self._records = []
        return made

    # -- statements ---------------------------------------------------------------------------------------

    def _introduce(self, fields: dict[str, Any], started: float) -> None:
        self._stated = True
        self._records.insert(0, records.ProcessRecord(
            1, self._process, int(fields.get("pid", 0)), fields.get("service", ""),
            fields.get("environment", ""), fields.get("release", ""), fields.get("host", ""),
            fields.get("python", ""), started, fields.get("root", ""), tuple((fields.get("attributes") or
            {}).items()),
        ))  # fmt: skip

    def _statement(self, fields: dict[str, Any]) -> None:
        since, until = from_rfc3339(fields["since"]), from_rfc3339(fields["until"])
        if not self._stated:
            self._introduce(fields, from_rfc3339(fields["started"]))
        for row in fields.get("targets", ()):
            self._target(row, until)
        for row in fields.get("counts", ()):
            self._count(row)
        for row in fields.get("references", ()):
            self._once(records.ReferenceRecord(*(_typed(row, name) for name in names.FIELDS_REFERENCE)))
        counters = [tuple((fields.get(name) or {}).items()) for name in ("dropped", "internal_errors")]
        for at in (*_between(since, until), until):
            self._records.append(records.CountersRecord(at, *(_whole(pairs) for pairs in counters)))
        if fields.get("final") and not self._ended:
            self._ended = True
            if not fields.get("orphan"):
                self._records.append(records.EndRecord(until, "exit"))

    def _target(self, row: dict[str, Any], until: float) -> None:
        get = row.get
        self._once(
            records.TargetRecord(
                row["ref"], get("kind", "function"), get("replacement", ""), get("owner", ""),
                get("issue", ""), get("since", ""), get("remove_by", ""), get("note", ""),
                get("schedule", ""),
                get("defined_file", ""), int(get("defined_line", 0)), get("source", "config"),
            )
        )  # fmt: skip
        at = from_rfc3339(row["at"]) if "at" in row else until
        self._once(
            records.StateRecord(row["ref"], row["state"], row.get("reason", ""), row.get("engine", ""), at)
        )

    def _count(self, row: dict[str, Any]) -> None:
        slot = self._slot(row, from_rfc3339(row["first_seen"]))
        self._counts[slot] = max(self._counts[slot], int(row["count"]))
        errors = row.get("errors")
        if errors is not None and self._errors.get(slot) != errors:
            self._errors[slot] = errors
            self._records.append(records.RaisedRecord(slot, int(errors)))

    def _once(self, record: records.Record) -> None:
        """Statements repeat themselves; a journal says a thing once."""
        key = repr(record)
        if key not in self._known:
            self._known.add(key)
            self._records.append(record)

    # -- call sites ---------------------------------------------------------------------------------------

    def _slot(self, fields: dict[str, Any], first_seen: float) -> int:
        site = fields["site"]
        frames = tuple(_frames(fields.get("stack", ())))
        if site in self._slots:
            if frames and not self._sites[site].frames:
                self._sites[site].frames = frames  # a statement of the same instant came first
            return self._slots[site]
        slot = self._slots[site] = len(self._slots)
        self._counts.append(0)
        flags = sum(bit for name, bit in FLAGS.items() if fields.get(name))
        self._sites[site] = records.SiteRecord(
            slot, fields["target"], fields["use"], first_seen, flags, fields.get("file", ""),
            int(fields.get("line", 0)), fields.get("function", ""), fields.get("module", ""),
            fields.get("origin", ""), fields.get("via", ""), fields.get("note", ""), frames,
        )  # fmt: skip
        self._records.append(self._sites[site])
        self._records.append(records.SpellingRecord(slot, fields.get("expression", "")))
        return slot

    def _finding(self, fields: dict[str, Any]) -> None:
        at = from_rfc3339(fields["at"])
        slot = self._slots.get(fields.get("site", ""), -1)
        self._once(records.FindingRecord(
            fields["finding"], fields["target"], at, fields.get("text", ""), slot, int(fields.get("count",
            1)), tuple((fields.get("attributes") or {}).items()),
        ))  # fmt: skip


def _instant(fields: dict[str, Any]) -> float:
    for name in ("until", "start", "at"):
        if name in fields:
            return from_rfc3339(fields[name])
    return 0.0  # the rest of an interval, written together with the statement that follows it


def _between(since: float, until: float) -> Iterator[float]:
    yield since
    while since + SIGN_OF_LIFE < until:
        since += SIGN_OF_LIFE
        yield since


def _typed(row: dict[str, Any], name: str) -> Any:
    return int(row.get(name, 0)) if name == "line" else row.get(name, "")


def _whole(pairs: Iterable[tuple[str, Any]]) -> tuple[tuple[str, int], ...]:
    return tuple((key, int(value)) for key, value in pairs)


def _frames(lines: Iterable[str]) -> Iterator[tuple[str, int, str]]:
    for line in lines:
        where, _, function = line.rpartition(" ")
        file, _, number = where.rpartition(":")
        if number.isdecimal():
            yield file, int(number), function
