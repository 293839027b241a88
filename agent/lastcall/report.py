"""What the store holds, as the one document that all report formats show and other tools read.

Its keys are an interface (docs/how-it-works.md): keys are added, none is renamed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lastcall.report_words import rfc3339
from lastcall.store.queries import RECENT, WEIGHT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lastcall.evidence import Site, TargetInfo
    from lastcall.store import (
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


def document(store: Store, filter_: Filter, *, stacks: bool = True) -> Document:
    """The whole report. Without `stacks` the call sites have none, which is much quicker to read.

    Raises StoreError.
    """
    observations = store.observations(filter_)
    states = _newest(store.current_states(filter_), observations)
    totals = store.totals(filter_)
    return {
        "schema": SCHEMA,
        "targets": [
            _target(info, states.get(info.ref, []), totals.get(info.ref)) for info in store.targets(filter_)
        ],
        "uses": [_use(row, stacks=stacks) for row in store.uses(filter_, stacks=stacks)],
        "references": _references(store.references(filter_)),
        "observations": [_observation(row) for row in observations],
        "findings": [_finding(row) for row in store.findings(filter_)],
        "internal_errors": _problems(store.processes(filter_)),
    }


def _newest(counts: list[StateCount], observations: list[ObservationRow]) -> dict[str, list[StateCount]]:
    """The states by target, without those of releases that newer ones have replaced."""
    newest: dict[tuple[str, str], float] = {}
    for row in observations:
        key = (row.scope.service, row.scope.environment)
        newest[key] = max(newest.get(key, 0.0), row.last)
    live = {
        row.scope
        for row in observations
        if row.last > newest[row.scope.service, row.scope.environment] - RECENT
    }
    by_target: dict[str, list[StateCount]] = {}
    for count in counts:
        if count.scope in live:
            by_target.setdefault(count.ref, []).append(count)
    return by_target


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


def _use(row: UseRow, *, stacks: bool) -> Document:
    result = {
        **_site(row.site),
        **_scope(row.scope),
        "count": row.count,
        "errors": row.errors,
        "allowed": row.allowed,
        "during_import": row.site.during_import,
        "test": row.site.by_test,
        "scanner": row.site.scanner,
        "processes": row.processes,
        "first_seen": rfc3339(row.first_seen),
        "last_seen": rfc3339(row.last_seen),
    }
    if stacks:
        result["stack"] = [{"file": f.file, "line": f.line, "function": f.function} for f in row.site.stack]
    return result


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
