"""What the store holds, as the one document that all report formats show and other tools read.

Its keys are an interface (docs/how-it-works.md): keys are added, none is renamed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lastcall.allowances import Allowances
from lastcall.report_words import rfc3339
from lastcall.store.queries import WEIGHT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lastcall.evidence import Frame, Site, TargetInfo
    from lastcall.store import (
        CallSite,
        Filter,
        FindingRow,
        ObservationRow,
        ProcessRow,
        ReferenceRow,
        Scope,
        StateCount,
        Store,
        Total,
        UseRow,
    )

SCHEMA = 1

Document = dict[str, Any]

STATES = ("armed", "pending", "missing", "failed", "partial", "removed")


def document(store: Store, filter_: Filter, allowances: Allowances | None = None) -> Document:
    """The whole report, for other programs: every call site in every scope, with its stack.

    `allowances` tell why a use is allowed. Raises StoreError.
    """
    stacks = _Stacks()
    allowances = allowances or Allowances()
    return {
        **_frame(store, filter_, store.observations(filter_)),
        "uses": [_use(row, stacks, allowances) for row in store.uses(filter_)],
    }


def overview(
    store: Store, filter_: Filter, allowances: Allowances | None = None, *, limit: int, stacks: bool = False
) -> Document:
    """The report for people: the same keys, but each call site once, and at most `limit` (0: all) a target.

    They are under `call_sites`, with `scopes` for where they were seen. Observations have no states, which
    takes a second to count over a year. Raises StoreError.
    """
    shared = _Stacks() if stacks else None
    allowances = allowances or Allowances()
    return {
        **_frame(store, filter_, store.observations(filter_, states=False)),
        "call_sites": [
            {**_call_site(row, shared, allowances), "scopes": [_scope(scope) for scope in row.scopes]}
            for row in store.call_sites(filter_, limit=limit, stacks=stacks)
        ],
    }


def _frame(store: Store, filter_: Filter, observations: list[ObservationRow]) -> Document:
    """All but the uses."""
    states: dict[str, list[StateCount]] = {}
    for count in store.current_states(filter_):
        states.setdefault(count.ref, []).append(count)
    totals = store.totals(filter_)
    return {
        "schema": SCHEMA,
        "targets": [
            _target(info, states.get(info.ref, []), totals.get(info.ref)) for info in store.targets(filter_)
        ],
        "uses": [],
        "references": _references(store.references(filter_)),
        "observations": [_observation(row) for row in observations],
        "findings": [_finding(row) for row in store.findings(filter_)],
        "internal_errors": _problems(store.processes(filter_)),
    }


class _Stacks:
    """Stacks as JSON values, each frame made once: they are most of a report, and mostly the same."""

    def __init__(self) -> None:
        self._frames: dict[Frame, Document] = {}
        self._known: dict[tuple[Frame, ...], list[Document]] = {}

    def of(self, site: Site) -> list[Document]:
        found = self._known.get(site.stack)
        if found is None:
            found = self._known[site.stack] = [self._frame(frame) for frame in site.stack]
        return found

    def _frame(self, frame: Frame) -> Document:
        found = self._frames.get(frame)
        if found is None:
            found = self._frames[frame] = {"file": frame.file, "line": frame.line, "function": frame.function}
        return found


def _target(info: TargetInfo, states: list[StateCount], total: Total | None) -> Document:
    weightiest = min(states, key=lambda count: WEIGHT.index(count.state), default=None)
    by_state: dict[str, int] = {}
    for count in states:
        by_state[count.state] = by_state.get(count.state, 0) + count.processes
    return {
        "target": info.ref,
        "kind": info.kind,
        "state": weightiest.state if weightiest else "pending",
        "reason": weightiest.reason if weightiest else "no process that was seen lately has reported it",
        "states": by_state,
        "engine": weightiest.engine if weightiest else "",
        "defined": {"file": info.defined_file, "line": info.defined_line} if info.defined_file else None,
        "replacement": info.replacement,
        "owner": info.owner,
        "issue": info.issue,
        "since": info.since,
        "remove_by": info.remove_by,
        "note": info.note,
        "schedule": info.schedule,
        "source": info.source,
        "uses": total.uses if total else 0,
        "call_sites": total.sites if total else 0,
        "first_seen": rfc3339(total.first_seen) if total else None,
        "last_seen": rfc3339(total.last_seen) if total else None,
    }


def _use(row: UseRow, stacks: _Stacks, allowances: Allowances) -> Document:
    return {**_call_site(row, stacks, allowances), **_scope(row.scope), "processes": row.processes}


def _call_site(row: UseRow | CallSite, stacks: _Stacks | None, allowances: Allowances) -> Document:
    result = {
        **_site(row.site),
        "count": row.count,
        "errors": row.errors,
        "allowed": row.allowed,
        "allowed_by": _allowed_by(row, allowances) if row.allowed else None,
        "during_import": row.site.during_import,
        "test": row.site.by_test,
        "scanner": row.site.scanner,
        "first_seen": rfc3339(row.first_seen),
        "last_seen": rfc3339(row.last_seen),
    }
    if stacks is not None:
        result["stack"] = stacks.of(row.site)
    return result


def _allowed_by(row: UseRow | CallSite, allowances: Allowances) -> Document | None:
    """The entry that covers the newest use, as the configuration has it by now."""
    entry = allowances.of(row.site, row.last_seen)
    if entry is None:
        return None
    return {"caller": entry.caller.text, "reason": entry.reason, "until": entry.until}


def _site(site: Site) -> Document:
    return {
        "target": site.target,
        "use": site.use,
        "file": site.file,
        "line": site.line,
        "function": site.function,
        "module": site.module,
        "expression": site.expression,
        "origin": site.origin,
        "via": site.via,
        "note": site.note,
    }


def _scope(scope: Scope) -> Document:
    return {"service": scope.service, "environment": scope.environment, "release": scope.release}


def _references(rows: Iterable[ReferenceRow]) -> list[Document]:
    """One entry a reference, with the scopes it was seen in."""
    entries: dict[Any, Document] = {}
    for row in rows:
        held = row.reference
        entry = entries.setdefault(
            held,
            {
                "target": held.target,
                "module": held.module,
                "name": held.name,
                "file": held.file,
                "line": held.line,
                "how": held.how,
                "seen": [],
            },
        )
        entry["seen"].append({**_scope(row.scope), "last_seen": rfc3339(row.last_seen)})
    return list(entries.values())


def _observation(row: ObservationRow) -> Document:
    return {
        **_scope(row.scope),
        "processes": row.processes,
        "seconds": round(row.seconds, 3),
        **{state: row.states.get(state, 0) for state in STATES},
        "internal_errors": row.internal_errors,
        "dropped": row.dropped,
        "first_seen": rfc3339(row.first),
        "last_seen": rfc3339(row.last),
    }


def _finding(row: FindingRow) -> Document:
    finding = row.finding
    return {
        "kind": finding.kind,
        "target": finding.target,
        "at": rfc3339(finding.at),
        "message": finding.message,
        "count": finding.count,
        "site": _site(finding.site) if finding.site else None,
        "attributes": dict(finding.attributes),
        **_scope(row.scope),
    }


def _problems(rows: Iterable[ProcessRow]) -> list[Document]:
    """What Lastcall itself failed at or dropped, summed over processes."""
    sums: dict[tuple[str, str, str, str, str], int] = {}
    for row in rows:
        scope = (row.process.service, row.process.environment, row.process.release)
        for kind, values in (
            ("dropped", row.dropped),
            ("internal", row.internal_errors),
            ("reading", row.reading_faults),
        ):
            for name, value in values:
                key = (kind, name, *scope)
                sums[key] = sums.get(key, 0) + value
    return [
        {
            "kind": kind,
            "name": name,
            "service": service,
            "environment": environment,
            "release": release,
            "count": n,
        }
        for (kind, name, service, environment, release), n in sorted(sums.items())
    ]
