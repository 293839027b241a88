"""The three kinds of resource, and how one of each is normalised, marked as ours, and compared.

Resources travel as JSON objects in the service's own spelling (camelCase). Normalising sends one through
its protobuf type and back, so that `"60s"` and `"60.0s"`, a default spelled out and a default left away,
are one thing whether it came from a file, from gRPC or from REST.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

Body = dict[str, Any]
KindName = Literal["log metric", "alert policy", "dashboard"]

MARK_LABEL = "managed_by"
MARK_VALUE = "lastcall"
SLUG_LABEL = "lastcall_id"
METRIC_MARK = "Managed by lastcall gcp."
"""A log-based metric has no labels; its description ends with this sentence instead."""
METRIC_PREFIX = "lastcall/"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of resource. `output_only` names what the service writes and nobody else."""

    name: KindName
    folder: str
    labels: str
    """The field with the user's labels, empty if the kind has none."""
    output_only: frozenset[str]
    version: tuple[str, ...]
    """The fields, any of which changes whenever somebody changes the resource."""
    operators: frozenset[str]
    """What people set by hand on a resource of ours, and `apply` keeps."""
    message: Callable[[], Any]
    """A fresh protobuf message of the kind's type. Imports Google's library."""

    @property
    def plural(self) -> str:
        """Several of them, in a sentence."""
        return "alert policies" if self.name == "alert policy" else f"{self.name}s"


def _dashboard() -> Any:
    from google.cloud.monitoring_dashboard_v1.types import Dashboard

    return Dashboard.pb()()


def _alert_policy() -> Any:
    from google.cloud.monitoring_v3.types import AlertPolicy

    return AlertPolicy.pb()()


def _log_metric() -> Any:
    from google.cloud.logging_v2.types import LogMetric

    return LogMetric.pb()()


LOG_METRIC = Kind(
    "log metric",
    "log-metrics",
    "",
    output_only=frozenset({"createTime", "updateTime", "version"}),
    version=("updateTime",),
    operators=frozenset({"disabled"}),
    message=_log_metric,
)
ALERT_POLICY = Kind(
    "alert policy",
    "alerts",
    "userLabels",
    output_only=frozenset({"name", "creationRecord", "mutationRecord", "validity"}),
    version=("mutationRecord",),
    operators=frozenset({"notificationChannels", "enabled"}),
    message=_alert_policy,
)
DASHBOARD = Kind(
    "dashboard",
    "dashboards",
    "labels",
    output_only=frozenset({"name", "etag"}),
    version=("etag",),
    operators=frozenset(),
    message=_dashboard,
)

KINDS = (LOG_METRIC, ALERT_POLICY, DASHBOARD)
"""In the order of creation: alerts and dashboards read the metrics."""


def normalise(kind: Kind, body: Body, *, strict: bool = True) -> Body:
    """Send `body` through its protobuf type. Raises ValueError on a field the type does not have.

    With `strict=False`, for what the service answers, fields newer than the installed library are dropped.
    """
    from google.protobuf import json_format

    message = kind.message()
    try:
        json_format.ParseDict(body, message, ignore_unknown_fields=not strict)
    except json_format.ParseError as error:
        raise ValueError(str(error)) from error
    result: Body = json_format.MessageToDict(message)
    descriptor = result.get("metricDescriptor")
    if descriptor and "labels" in descriptor:
        # A set by meaning; the service may answer in its own order.
        descriptor["labels"] = sorted(descriptor["labels"], key=lambda label: str(label.get("key")))
    return result


def mark(kind: Kind, slug: str, body: Body) -> Body:
    """The same resource with our mark on it."""
    if kind.labels:
        labels = {**body.get(kind.labels, {}), MARK_LABEL: MARK_VALUE, SLUG_LABEL: slug}
        return {**body, kind.labels: labels}
    described = f"{body.get('description', '')} {METRIC_MARK}".strip()
    return {**body, "name": METRIC_PREFIX + slug, "description": described}


def slug_of(kind: Kind, live: Body) -> str | None:
    """The slug in our mark, or None for a resource that carries no mark."""
    if kind.labels:
        labels = live.get(kind.labels, {})
        return labels.get(SLUG_LABEL) if labels.get(MARK_LABEL) == MARK_VALUE else None
    name, described = live.get("name", ""), live.get("description", "")
    if name.startswith(METRIC_PREFIX) and described.endswith(METRIC_MARK):
        return str(name[len(METRIC_PREFIX) :])
    return None


def version_of(kind: Kind, live: Body) -> tuple[str, ...]:
    """Differs between two readings of one resource if somebody changed it in between."""
    return tuple(repr(live.get(field)) for field in kind.version)


def comparable(kind: Kind, live: Body, desired: Body) -> Body:
    """What of `live` the comparison with `desired` looks at.

    The service fills in defaults (a chart's mode, a condition's name), so a single value that the file does
    not give is the service's affair. A list that the file does not give, and the service has, is a change
    somebody made. Labels and fields that people set by hand are theirs.
    """
    kept: Body = {}
    for field, value in live.items():
        if field in kind.output_only or (field in kind.operators and field not in desired):
            continue
        if field == kind.labels:
            kept[field] = {key: value[key] for key in value if key in desired.get(field, {})}
        elif field in desired:
            kept[field] = _projected(value, desired[field])
        elif _has_list(value):
            kept[field] = value
    return kept


def _projected(live: Any, desired: Any) -> Any:
    if isinstance(live, dict) and isinstance(desired, dict):
        return {
            key: _projected(value, desired[key]) if key in desired else value
            for key, value in live.items()
            if key in desired or _has_list(value)
        }
    if isinstance(live, list) and isinstance(desired, list) and len(live) == len(desired):
        return [_projected(value, wanted) for value, wanted in zip(live, desired, strict=True)]
    return live


def _has_list(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_list(inner) for inner in value.values())
    return isinstance(value, list) and bool(value)


def updated(kind: Kind, live: Body, desired: Body) -> Body:
    """What to send to turn `live` into `desired`: ours, plus what people set by hand, plus the etag."""
    body = {field: live[field] for field in kind.operators if field in live} | desired
    if kind.labels:
        body[kind.labels] = {**live.get(kind.labels, {}), **desired.get(kind.labels, {})}
    for field in ("name", "etag"):
        if field in live:
            body[field] = live[field]
    return body
