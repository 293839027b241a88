"""Log-based metrics: counted by Cloud Logging from the agent's entries, no other set-up needed.

The filters look at the payload and not at the log's name, because the entries lie in `logs/lastcall` when
they come through the API and in the platform's own log when they come from standard output.
"""

from __future__ import annotations

from typing import Any

from lastcall.exporters import names

PAYLOAD = "jsonPayload.lastcall."
PLACE = ("service", "environment")
USE = ("target", "origin", "module", "owner", *PLACE)
STATES = ("armed", "pending", "missing", "failed", "partial")
MEASURES = ("dropped", "internal_errors")
OBSERVATION = f'{PAYLOAD}event="{names.EVENT_OBSERVATION}" AND {PAYLOAD}part=1'
"""A long statement is split into parts with the same totals; only the first one counts."""


def metrics() -> dict[str, dict[str, Any]]:
    """Every definition by its id."""
    return _of_uses() | _of_findings() | _of_observations()


def _of_uses() -> dict[str, dict[str, Any]]:
    use = f'{PAYLOAD}event="{names.EVENT_USE}"'
    late = f"{PAYLOAD}overdue=true AND NOT {PAYLOAD}allowed=true"
    return {
        "uses": _sum(
            "Uses of deprecated targets, every one counted.",
            use,
            "count",
            (*USE, "use", "remove_by", "release", "allowed"),
        ),
        "call_sites": _entries(
            "Entries about uses, by the line of code that made them.",
            use,
            (*USE, "file", "line", "function", "allowed"),
        ),
        "failed_uses": _entries(
            "Entries about uses that raised, by exception.",
            f"{use} AND {PAYLOAD}error_type:*",
            ("target", "module", "owner", *PLACE, "release", "error_type"),
        ),
        "overdue_uses": _sum(
            "Uses of targets past their remove_by date.",
            f"{use} AND {late}",
            "count",
            ("target", "owner", *PLACE, "remove_by"),
        ),
    }


def _of_findings() -> dict[str, dict[str, Any]]:
    described = "Users mixed, removed targets asked for, failures after deprecated uses."
    finding = f'{PAYLOAD}event="{names.EVENT_FINDING}"'
    return {"findings": _sum(described, finding, "count", ("finding", "target", "owner", *PLACE, "release"))}


def _of_observations() -> dict[str, dict[str, Any]]:
    described = "Statements of what was watched, explicit zeros included: the sign of life."
    found = {"observations": _entries(described, OBSERVATION, (*PLACE, "release"))}
    for state in STATES:
        described = f"Targets that are {state}, as each process states it."
        found[f"targets_{state}"] = _sum(described, OBSERVATION, state, PLACE)
    for measure in MEASURES:
        described = f"Totals of {measure.replace('_', ' ')} in processes that had any."
        had_any = f"{OBSERVATION} AND {PAYLOAD}{measure}_total>0"
        found[measure] = _sum(described, had_any, f"{measure}_total", PLACE)
    return found


def _entries(description: str, filter_: str, labels: tuple[str, ...]) -> dict[str, Any]:
    return _metric(description, filter_, "INT64", labels)


def _sum(description: str, filter_: str, field: str, labels: tuple[str, ...]) -> dict[str, Any]:
    # Only a distribution takes a value from the entry; its `_sum` is the exact total.
    buckets = {"exponentialBuckets": {"numFiniteBuckets": 24, "growthFactor": 2, "scale": 1}}
    return _metric(description, filter_, "DISTRIBUTION", labels) | {
        "valueExtractor": f"EXTRACT({PAYLOAD}{field})",
        "bucketOptions": buckets,
    }


def _metric(description: str, filter_: str, value_type: str, labels: tuple[str, ...]) -> dict[str, Any]:
    return {
        "description": description,
        # A payload of a later schema may mean something else by the same name.
        "filter": f"{PAYLOAD}schema={names.SCHEMA} AND {filter_}",
        "metricDescriptor": {
            "metricKind": "DELTA",
            "valueType": value_type,
            "unit": "1",
            "labels": [{"key": label, "valueType": "STRING"} for label in sorted(labels)],
        },
        "labelExtractors": {label: f"EXTRACT({PAYLOAD}{label})" for label in sorted(labels)},
    }
