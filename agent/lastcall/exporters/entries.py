"""From evidence to items: the one place that decides what an entry says.

An item is a log entry as plain JSON, without the project and resource that only the backend's adapter knows:

    {"severity", "timestamp", "insertId", "labels", "sourceLocation", "trace", "spanId", "traceSampled",
     "payload": {"message", "serviceContext", "lastcall": {...}},
     "span": {...}}                       only for a sighting or a finding: what a span is made of

Cloud Logging entries, JSON lines, OTLP log records and spans are all made from items, in this process or in a
later one that found them in the spool. `docs/telemetry.md` describes the `lastcall` object.
"""

from __future__ import annotations

import hashlib
import json
import re
from functools import lru_cache
from time import gmtime, strftime, strptime
from typing import TYPE_CHECKING, Any, Final

from lastcall.evidence import STATES
from lastcall.exporters import names
from lastcall.wildcards import wild

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lastcall.evidence import (
        Batch,
        Count,
        Finding,
        Observation,
        Process,
        Reference,
        Sighting,
        Site,
        TargetInfo,
        TargetState,
    )
    from lastcall.exporters import ExporterSettings
    from lastcall.exporters.spool import Item

STACK_BYTES: Final = 96 * 1024
CHUNK_BYTES: Final = 144 * 1024
"""JSON of the rows in one observation entry; as a protobuf Struct that stays well under Cloud Logging's
256 KB."""
TEXT_CHARS: Final = 8192

VERBS: Final = {"call": "called", "construct": "constructed", "access": "read", "import": "imported"}
ISO_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
SITE_FLAGS: Final = ("during_import", "by_test", "scanner")


def rfc3339(seconds: float) -> str:
    """UTC with nine decimals, so that `from_rfc3339` gives back the very same float."""
    whole = int(seconds // 1)
    # seconds * 1e9 would round to multiples of 256 ns; the fraction alone is exact.
    nanos = round((seconds - whole) * 1e9)
    return _second(whole + nanos // 10**9) + f".{nanos % 10**9:09d}Z"


def from_rfc3339(text: str) -> float:
    """Seconds since the epoch. Raises ValueError if `text` is not what `rfc3339` gives."""
    from calendar import timegm  # 10 ms, which a process that leaves early does not need

    whole, _, fraction = text.rstrip("Z").partition(".")
    return timegm(strptime(whole, "%Y-%m-%dT%H:%M:%S")) + int(fraction.ljust(9, "0")[:9] or 0) / 1e9


def rfc3339_ns(nanoseconds: int) -> str:
    """UTC with nine decimals."""
    return _second(nanoseconds // 10**9) + f".{nanoseconds % 10**9:09d}Z"


@lru_cache(maxsize=64)
def _second(whole: int) -> str:
    return strftime("%Y-%m-%dT%H:%M:%S", gmtime(whole))


def clean(text: str) -> str:
    """`text` as any backend takes it: valid UTF-8 (a file name may hold lone surrogates) and of bounded
    length."""
    if len(text) > TEXT_CHARS:
        text = text[: TEXT_CHARS - 3] + "..."
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def digest(*parts: object) -> str:
    """A stable identifier of 32 hex digits."""
    joined = "\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(joined, digest_size=16).hexdigest()


def stack_lines(site: Site) -> tuple[list[str], int]:
    """The stack as `file:line function`, innermost first, and how many frames were cut out of its middle."""
    lines = [f"{frame.file}:{frame.line} {frame.function}" for frame in site.stack]
    whole = "".join(lines)
    if not whole.isascii() or len(whole) > TEXT_CHARS:
        lines = [clean(line) for line in lines]
    sizes = [len(line.encode()) + 4 for line in lines] if len(whole) * 4 > STACK_BYTES else []
    if sum(sizes) <= STACK_BYTES:
        return lines, 0
    # Two thirds for the frames next to the call, which say who is to change; the rest says how it was
    # reached.
    inner = _fitting(sizes, STACK_BYTES * 2 // 3)
    outer = _fitting(list(reversed(sizes)), STACK_BYTES // 3)
    omitted = max(len(lines) - inner - outer, 0)
    return [*lines[:inner], *lines[len(lines) - outer :]], omitted


def _fitting(sizes: list[int], limit: int) -> int:
    total = 0
    for number, size in enumerate(sizes):
        total += size
        if total > limit:
            return number
    return len(sizes)


def site_fields(site: Site, site_id: str) -> dict[str, Any]:
    """The fields that say where a use came from; without what is false or empty."""
    fields: dict[str, Any] = {
        "site": site_id,
        "target": clean(site.target),
        "use": site.use,
        "origin": site.origin,
        "file": clean(site.file),
        "line": site.line,
        "function": clean(site.function),
        "module": clean(site.module),
        "expression": clean(site.expression),
    }
    fields.update((flag, True) for flag in SITE_FLAGS if getattr(site, flag))
    for name in ("via", "note"):
        if value := getattr(site, name):
            fields[name] = clean(value)
    return fields


def target_fields(target: TargetInfo) -> dict[str, Any]:
    """What is known of a target, as far as a use or finding repeats it."""
    return {name: clean(value) for name in names.FIELDS_TARGET if (value := getattr(target, name))}


def is_overdue(target: TargetInfo | None, timestamp: str) -> bool:
    """Whether the RFC 3339 `timestamp` lies after the target's last day, in UTC.

    Said in the entry because a log filter cannot compare a field with today's date.
    """
    if target is None or not ISO_DAY.fullmatch(target.remove_by):
        return False
    return timestamp[:10] > target.remove_by


class EntryBuilder:
    """Turns batches into items. Remembers, for each observed process, which uses its items already stand for.

    Used by one thread. Holds a few numbers for each call site, no items.
    """

    def __init__(self, settings: ExporterSettings) -> None:
        self._settings = settings
        self._ledgers: dict[str, _Ledger] = {}
        self._own = ""

    def items(self, batch: Batch, dropped: Iterable[tuple[str, int]] = ()) -> list[Item]:
        """Every item that this batch calls for, oldest first. `dropped` joins the observation's own drop
        counters."""
        name = batch.process.id
        ledger = self._ledgers.get(name)
        if ledger is None:
            self._own = self._own or name
            ledger = self._ledgers[name] = _Ledger(self._settings, batch.process, orphan=name != self._own)
        if batch.observation is not None and batch.observation.final:
            del self._ledgers[name]
        return ledger.items(batch, dropped)


class _Ledger:
    """One observed process: uses reported so far, first-sight spans to link to, budgets, known references."""

    def __init__(self, settings: ExporterSettings, process: Process, *, orphan: bool) -> None:
        self._settings = settings
        self._process = process
        self._orphan = orphan
        self._reported: dict[str, int] = {}
        self._first_spans: dict[str, tuple[str, str]] = {}
        self._last_repeat: dict[str, int] = {}
        self._window = (0, 0)
        self._observed_uses = 0
        self._allowed: set[str] = set()
        self._references: tuple[Reference, ...] = ()
        self._target_fields: dict[str, dict[str, Any]] = {}
        self._context = {"service": clean(process.service) or "unknown"}
        if process.release:
            self._context["version"] = clean(process.release)
        self._common = {
            "schema": names.SCHEMA,
            "process": process.id,
            "service": clean(process.service),
            "environment": clean(process.environment),
            "release": clean(process.release),
        }

    def items(self, batch: Batch, dropped: Iterable[tuple[str, int]]) -> list[Item]:
        targets = {target.ref: target for target in batch.targets}
        counts = {count.site: count for count in batch.counts}
        known = {id(site): site_id for site_id, site in batch.sites.items()}
        self._references = batch.references or self._references
        self._target_fields = {}  # of this batch's targets, as its items ask for them
        made = [*self._sightings(batch.sightings, counts, known, targets)]
        made += [self._finding(finding, targets) for finding in batch.findings]
        if batch.observation is not None:
            made += self._rest(batch, counts, targets)
            made += self._observation(batch.observation, batch.sites, targets, dict(dropped))
        return made

    # -- uses ---------------------------------------------------------------------------------------------

    def _sightings(
        self,
        sightings: Iterable[Sighting],
        counts: dict[str, Count],
        known: dict[int, str],
        targets: dict[str, TargetInfo],
    ) -> Iterator[Item]:
        chosen = [
            (sighting, site_id)
            for sighting in sightings
            for site_id in (known.get(id(sighting.site)) or sighting.site.id,)
            if sighting.first or self._within_budget(sighting, site_id)
        ]
        last = {site_id: number for number, (_, site_id) in enumerate(chosen)}
        for number, (sighting, site_id) in enumerate(chosen):
            count = self._stands_for(sighting, site_id, counts, is_last=last[site_id] == number)
            yield self._use(sighting, site_id, count, targets.get(sighting.site.target))

    def _within_budget(self, sighting: Sighting, site_id: str) -> bool:
        if self._settings.spans == "all":
            return True
        per_site, per_process = self._settings.spans_per_site, self._settings.spans_per_process
        gap = 60e9 / per_site if per_site > 0 else float("inf")
        before = self._last_repeat.get(site_id)
        # A second of grace: the recorder samples by the same budget, on a clock of its own.
        if before is not None and sighting.start_ns - before < gap - 1e9:
            return False
        minute = sighting.start_ns // 60_000_000_000
        used = self._window[1] if self._window[0] == minute else 0
        if used >= per_process:
            return False
        self._window = (minute, used + 1)
        self._last_repeat[site_id] = sighting.start_ns
        return True

    def _stands_for(
        self, sighting: Sighting, site_id: str, counts: dict[str, Count], *, is_last: bool
    ) -> int:
        """How many uses this item reports, so that the items of a site add up to its count, sampled or
        not."""
        reported = self._reported.get(site_id, 0)
        count = counts.get(site_id)
        if count is None:
            stands_for = sighting.count
        else:
            remaining = max(count.count - reported, 0)
            stands_for = remaining if is_last else min(sighting.count, remaining)
        self._reported[site_id] = reported + stands_for
        return stands_for

    def _use(self, sighting: Sighting, site_id: str, count: int, target: TargetInfo | None) -> Item:
        if sighting.allowed:
            self._allowed.add(site_id)
        insert_id = digest(self._process.id, site_id, sighting.start_ns, "use")
        start = rfc3339_ns(sighting.start_ns)
        fields: dict[str, Any] = {
            **self._common,
            "event": names.EVENT_USE,
            **site_fields(sighting.site, site_id),
            **self._of_target(target),
            "first": sighting.first,
            "count": count,
            "total": self._reported[site_id],
            "start": start,
        }
        if sighting.end_ns is not None:
            fields["end"] = rfc3339_ns(sighting.end_ns)
        if sighting.error_type:
            fields["error_type"] = clean(sighting.error_type)
        if sighting.allowed:
            fields["allowed"] = True
            fields["allow_reason"] = clean(sighting.allow_reason)
        if is_overdue(target, start):
            fields["overdue"] = True
        if sighting.first and sighting.site.stack:
            fields["stack"], omitted = stack_lines(sighting.site)
            if omitted:
                fields["stack_omitted"] = omitted
        item = self._entry(
            fields, "INFO" if sighting.allowed else "WARNING", start, insert_id,
            use_sentence(sighting.site, target, sighting.error_type),
        )  # fmt: skip
        _locate(item)
        self._trace(item, sighting, site_id)
        return item

    def _trace(self, item: Item, sighting: Sighting, site_id: str) -> None:
        """The trace active at the call, and the ids of the span that will be made of this item."""
        own = item["insertId"]  # a digest already
        trace = f"{sighting.trace_id:032x}" if sighting.trace_id else own
        span: dict[str, Any] = {"trace": trace, "id": own[16:], "start": str(sighting.start_ns)}
        if sighting.own_span_id:  # it was current during the call: what lies under it names these ids
            span["trace"] = trace = f"{sighting.own_trace_id:032x}"
            span["id"] = f"{sighting.own_span_id:016x}"
        if sighting.end_ns is not None:
            span["end"] = str(sighting.end_ns)
        if sighting.trace_id:
            item["trace"] = trace
            item["spanId"] = span["parent"] = f"{sighting.span_id:016x}"
            item["traceSampled"] = bool(sighting.trace_flags & 1)
            span["flags"] = sighting.trace_flags
        if sighting.first:
            self._first_spans[site_id] = (trace, span["id"])
        elif site_id in self._first_spans:
            span["link"] = list(self._first_spans[site_id])
        item["span"] = span

    def _rest(self, batch: Batch, counts: dict[str, Count], targets: dict[str, TargetInfo]) -> Iterator[Item]:
        """An item for each site with uses that no item stands for yet: it closes the interval.

        Only for sites whose first sight passed here: what a killed process has said itself is not known.
        """
        for site_id, count in counts.items():
            missing = count.count - self._reported.get(site_id, count.count)
            site = batch.sites.get(site_id)
            if missing <= 0 or site is None:
                continue
            self._reported[site_id] = count.count
            target = targets.get(site.target)
            fields = {
                **self._common,
                "event": names.EVENT_USE,
                **site_fields(site, site_id),
                **self._of_target(target),
                "first": False,
                "count": missing,
                "total": count.count,
            }
            if count.allowed or site_id in self._allowed:
                fields["allowed"] = True
            if is_overdue(target, rfc3339(count.last_seen)):
                fields["overdue"] = True
            item = self._entry(
                fields, "INFO" if "allowed" in fields else "WARNING", rfc3339(count.last_seen),
                digest(self._process.id, site_id, count.count, "rest"),
                use_sentence(site, target, count=missing),
            )  # fmt: skip
            _locate(item)
            yield item

    def _of_target(self, target: TargetInfo | None) -> dict[str, Any]:
        if target is None:
            return {}
        fields = self._target_fields.get(target.ref)
        if fields is None:
            fields = self._target_fields[target.ref] = target_fields(target)
        return fields

    # -- findings -----------------------------------------------------------------------------------------

    def _finding(self, finding: Finding, targets: dict[str, TargetInfo]) -> Item:
        fields: dict[str, Any] = {
            **self._common,
            "event": names.EVENT_FINDING,
            "target": clean(finding.target),
        }
        site_id = ""
        if finding.site is not None:
            site_id = finding.site.id
            fields.update(site_fields(finding.site, site_id))
        fields.update(self._of_target(targets.get(finding.target)))
        fields.update(
            finding=finding.kind, target=clean(finding.target), at=rfc3339(finding.at),
            text=clean(finding.message), count=finding.count,
        )  # fmt: skip
        if finding.attributes:
            fields["attributes"] = {clean(key): clean(value) for key, value in finding.attributes}
        insert_id = digest(
            self._process.id, finding.kind, finding.target, finding.at, finding.message, site_id
        )
        item = self._entry(fields, "ERROR", rfc3339(finding.at), insert_id, clean(finding.message))
        own = insert_id
        nanoseconds = str(int(finding.at // 1) * 10**9 + round(finding.at % 1 * 1e9))
        item["span"] = {"trace": own, "id": own[16:], "start": nanoseconds}
        if finding.site is not None:
            _locate(item)
        return item

    # -- observations -------------------------------------------------------------------------------------

    def _observation(
        self,
        observation: Observation,
        sites: dict[str, Site],
        targets: dict[str, TargetInfo],
        dropped: dict[str, int],
    ) -> Iterator[Item]:
        total = sum(count.count for count in observation.counts)
        uses, self._observed_uses = total - self._observed_uses, total
        for reason, number in observation.dropped:
            dropped[reason] = dropped.get(reason, 0) + number
        scalars = {**self._common, **_process_fields(self._process), **_statement(observation, uses, dropped)}
        if self._orphan:
            scalars["orphan"] = True
        rows = [("targets", _target_row(state, targets.get(state.ref))) for state in observation.states]
        rows += [
            ("counts", self._count_row(count, sites[count.site]))
            for count in observation.counts
            if count.site in sites
        ]
        rows += [("references", _reference_row(reference)) for reference in self._references]
        chunks = list(_chunks(rows))
        for part, chunk in enumerate(chunks, start=1):
            fields: dict[str, Any] = {**scalars, "part": part, "parts": len(chunks)}
            if part > 1:
                fields["uses"] = 0
            for key, row in chunk:
                fields.setdefault(key, []).append(row)
            yield self._entry(
                fields, "INFO", rfc3339(observation.until),
                digest(self._process.id, repr(observation.until), part, len(chunks), observation.final,
                "observation"), _observation_sentence(scalars, uses),
            )  # fmt: skip

    def _count_row(self, count: Count, site: Site) -> dict[str, Any]:
        row = site_fields(site, count.site)
        row["count"] = count.count
        row["first_seen"] = rfc3339(count.first_seen)
        row["last_seen"] = rfc3339(count.last_seen)
        if count.errors is not None:
            row["errors"] = count.errors
        if count.allowed or count.site in self._allowed:
            row["allowed"] = True
        if count.site not in self._reported and site.stack:
            # The statement of a killed process may be the only place that tells how its calls were reached.
            row["stack"] = stack_lines(site)[0]
        return row

    def _entry(
        self, fields: dict[str, Any], severity: str, timestamp: str, insert_id: str, message: str
    ) -> Item:
        labels = {
            name: fields[name] for name in names.LABELS if isinstance(fields.get(name), str) and fields[name]
        }
        return {
            "severity": severity,
            "timestamp": timestamp,
            "insertId": insert_id,
            "labels": labels,
            "payload": {"message": message, "serviceContext": self._context, "lastcall": fields},
        }


def use_sentence(site: Site, target: TargetInfo | None, error_type: str = "", count: int = 1) -> str:
    """What happened, for a person."""
    done = (
        f"was {VERBS[site.use]} by" if site.use in VERBS else "is what a deprecation warning is about, from"
    )
    times = f" {count} times" if count > 1 else ""
    text = f"Deprecated {site.target} {done} {site.module or site.function}{times} at {site.file}:{site.line}"
    if site.note:
        text += f": {site.note}"
    if error_type:
        text += f"; it raised {error_type}"
    if target is not None and target.replacement:
        text += f"; use {target.replacement} instead"
    if target is not None and target.remove_by:
        text += f"; to be removed by {target.remove_by}"
    return clean(text + ".")


def _observation_sentence(scalars: dict[str, Any], uses: int) -> str:
    states = ", ".join(f"{scalars[state]} {state}" for state in STATES if scalars[state])
    seen = f"{uses} deprecated uses" if uses else "no deprecated use"
    service = scalars["service"] or "this process"
    return f"Lastcall observed {service}: {seen} since the last statement; targets: {states or 'none'}."


def _locate(item: Item) -> None:
    fields = item["payload"]["lastcall"]
    item["sourceLocation"] = {name: fields[name] for name in ("file", "line", "function")}


def _process_fields(process: Process) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "host": clean(process.host),
        "pid": process.pid,
        "python": process.python,
        "started": rfc3339(process.started),
    }
    if process.root:
        fields["root"] = clean(process.root)
    if process.attributes:
        fields["attributes"] = {clean(key): clean(value) for key, value in process.attributes}
    return fields


def _statement(observation: Observation, uses: int, dropped: dict[str, int]) -> dict[str, Any]:
    states = [state.state for state in observation.states if not wild(state.ref)]  # which only makes targets
    fields: dict[str, Any] = {
        "event": names.EVENT_OBSERVATION,
        "since": rfc3339(observation.since),
        "until": rfc3339(observation.until),
        "final": observation.final,
        **{state: states.count(state) for state in STATES},
        "uses": uses,
        "sites": len(observation.counts),
        "dropped_total": sum(dropped.values()),
        "internal_errors_total": sum(number for _, number in observation.internal_errors),
    }
    if dropped:
        fields["dropped"] = {clean(reason): number for reason, number in sorted(dropped.items())}
    if observation.internal_errors:
        fields["internal_errors"] = {clean(slug): number for slug, number in observation.internal_errors}
    return fields


def _target_row(state: TargetState, target: TargetInfo | None) -> dict[str, Any]:
    row: dict[str, Any] = {"ref": clean(state.ref), "state": state.state}
    row.update((name, clean(value)) for name in ("reason", "engine") if (value := getattr(state, name)))
    if state.at:
        row["at"] = rfc3339(state.at)
    if target is None:
        return row
    for name in names.FIELDS_OBSERVATION_TARGET:
        value = getattr(target, name, "")
        if value and name not in row:
            row[name] = clean(value) if isinstance(value, str) else value
    return row


def _reference_row(reference: Reference) -> dict[str, Any]:
    row = {name: getattr(reference, name) for name in names.FIELDS_REFERENCE}
    return {name: clean(value) if isinstance(value, str) else value for name, value in row.items()}


def _chunks(rows: list[tuple[str, dict[str, Any]]]) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """The rows in order, in pieces that fit an entry; one empty piece if there is none."""
    piece: list[tuple[str, dict[str, Any]]] = []
    size = 0
    for key, row in rows:
        weight = len(json.dumps(row))
        if piece and size + weight > CHUNK_BYTES:
            yield piece
            piece, size = [], 0
        piece.append((key, row))
        size += weight
    yield piece
