"""What a project holds, and the rules of the three services as their reference pages state them."""

from __future__ import annotations

import itertools
import re
import threading
import time
from dataclasses import dataclass, field

import grpc
from google.api import metric_pb2
from google.cloud.logging_v2.types import LogMetric
from google.cloud.monitoring_dashboard_v1.types import Dashboard
from google.cloud.monitoring_v3.types import AlertPolicy

NUMBER = "123456789012"
"""The services name resources by the project's number, whatever the request called it."""
MAX_CONDITIONS = 6
MAX_LABELS = 64
MAX_METRIC_LABELS = 10
METRIC_NAME = re.compile(r"[A-Za-z0-9_\-.,+!*',()%/]{1,100}")
USER_LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
USER_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")


class Refusal(Exception):
    """What the service answers instead of a resource."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass
class Fault:
    """The next `times` calls of `method` (a name such as `CreateDashboard`, or `*`) are refused."""

    method: str
    code: grpc.StatusCode
    message: str
    times: int
    after: int = 0


@dataclass
class State:
    """Every project of the service. One lock: the tests run real clients from several threads."""

    projects: set[str] = field(default_factory=lambda: {"demo"})
    page_size: int = 2
    """Small, so that every list is paged."""
    dashboards: dict[str, Dashboard] = field(default_factory=dict)
    policies: dict[str, AlertPolicy] = field(default_factory=dict)
    metrics: dict[str, LogMetric] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    numbers: itertools.count = field(default_factory=lambda: itertools.count(1))

    # -- for tests ----------------------------------------------------------------------------------------

    def fail(self, method: str, code: grpc.StatusCode, message: str = "injected", *, times: int = 10**9, after: int = 0):
        """Refuse calls of `method`, the first `after` of them excepted."""
        self.faults.append(Fault(method, code, message, times, after))

    def writes(self) -> list[str]:
        """The calls that change something, in order."""
        return [call for call in self.calls if not call.startswith(("List", "Get"))]

    # -- entry --------------------------------------------------------------------------------------------

    def enter(self, method: str, parent: str) -> None:
        """Every call comes through here: recorded, then refused if a fault or the project says so."""
        self.calls.append(method)
        for fault in self.faults:
            if fault.method not in (method, "*"):
                continue
            if fault.after > 0:
                fault.after -= 1
                continue
            if fault.times > 0:
                fault.times -= 1
                raise Refusal(fault.code, fault.message)
        project = parent.split("/")[1] if parent.startswith("projects/") else ""
        if project not in self.projects and project != NUMBER:
            raise Refusal(
                grpc.StatusCode.PERMISSION_DENIED,
                f"Permission denied on resource project {project} (or it may not exist).",
            )

    def page(self, items: list, token: str) -> tuple[list, str]:
        """One page of `items` from `token` on, and the next token."""
        start = int(token or 0)
        end = start + self.page_size
        return items[start:end], str(end) if end < len(items) else ""

    # -- dashboards ---------------------------------------------------------------------------------------

    def create_dashboard(self, dashboard: Dashboard, *, validate_only: bool = False) -> Dashboard:
        """Assigns a name and an etag, and fills in what the console would."""
        _check_dashboard(dashboard)
        made = Dashboard(dashboard)
        made.name = f"projects/{NUMBER}/dashboards/{next(self.numbers):08x}-0000-4000-8000-000000000000"
        self._stamp_dashboard(made)
        if not validate_only:
            self.dashboards[made.name] = made
        return made

    def update_dashboard(self, dashboard: Dashboard) -> Dashboard:
        """Refuses an old etag, so that two writers cannot undo each other unseen."""
        current = _known(self.dashboards, dashboard.name)
        if dashboard.etag and dashboard.etag != current.etag:
            raise Refusal(grpc.StatusCode.ABORTED, "etag does not match the current version of the dashboard")
        _check_dashboard(dashboard)
        made = Dashboard(dashboard)
        self._stamp_dashboard(made)
        self.dashboards[made.name] = made
        return made

    def _stamp_dashboard(self, dashboard: Dashboard) -> None:
        dashboard.etag = f"etag-{next(self.numbers)}"
        for tile in dashboard.mosaic_layout.tiles:
            tile.widget.id = tile.widget.id or f"widget-{next(self.numbers)}"

    # -- alert policies -----------------------------------------------------------------------------------

    def create_policy(self, policy: AlertPolicy) -> AlertPolicy:
        """Assigns names to the policy and its conditions."""
        if policy.name:
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "Field alertPolicy.name must not be set")
        _check_policy(policy)
        made = AlertPolicy(policy)
        made.name = f"projects/{NUMBER}/alertPolicies/{next(self.numbers)}"
        made.creation_record.mutate_time = _now()
        self._stamp_policy(made)
        return made

    def update_policy(self, policy: AlertPolicy) -> AlertPolicy:
        """Replaces the whole policy, as a request without an update mask does."""
        current = _known(self.policies, policy.name)
        _check_policy(policy)
        made = AlertPolicy(policy)
        made.creation_record = current.creation_record
        self._stamp_policy(made)
        return made

    def _stamp_policy(self, policy: AlertPolicy) -> None:
        policy.mutation_record.mutate_time = _now()
        policy.mutation_record.mutated_by = "someone"
        if "enabled" not in policy:
            policy.enabled = True
        for condition in policy.conditions:
            condition.name = condition.name or f"{policy.name}/conditions/{next(self.numbers)}"
        self.policies[policy.name] = policy

    # -- log-based metrics --------------------------------------------------------------------------------

    def create_metric(self, metric: LogMetric) -> LogMetric:
        """The name is the identity: a second one of it is refused."""
        if metric.name in self.metrics:
            raise Refusal(grpc.StatusCode.ALREADY_EXISTS, f"Metric {metric.name} already exists")
        _check_metric(metric)
        made = LogMetric(metric)
        made.create_time = _now()
        return self._stamp_metric(made)

    def update_metric(self, metric: LogMetric) -> LogMetric:
        """Labels may be added, never removed, and the kind and type stay."""
        current = self.metrics.get(metric.name)
        if current is None:
            return self.create_metric(metric)
        _check_metric(metric)
        for attribute in ("metric_kind", "value_type"):
            if getattr(metric.metric_descriptor, attribute) != getattr(current.metric_descriptor, attribute):
                raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, f"{attribute} of a metric cannot be changed")
        if missing := _label_keys(current) - _label_keys(metric):
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, f"labels of a metric cannot be removed: {sorted(missing)}")
        made = LogMetric(metric)
        made.create_time = current.create_time
        return self._stamp_metric(made)

    def _stamp_metric(self, metric: LogMetric) -> LogMetric:
        metric.update_time = _now()
        descriptor = metric.metric_descriptor
        descriptor.type = f"logging.googleapis.com/user/{metric.name}"
        descriptor.name = f"projects/demo/metricDescriptors/{descriptor.type}"
        descriptor.description = metric.description
        # Not the order of the request: nobody promised one.
        labels = sorted(descriptor.labels, key=lambda label: label.key, reverse=True)
        del descriptor.labels[:]
        descriptor.labels.extend(labels)
        self.metrics[metric.name] = metric
        return metric


def _known(resources: dict, name: str):
    for project in ("demo",):
        name = name.replace(f"projects/{project}/", f"projects/{NUMBER}/")
    if name not in resources:
        raise Refusal(grpc.StatusCode.NOT_FOUND, f"Requested entity was not found: {name}")
    return resources[name]


def _now():
    from google.protobuf import timestamp_pb2

    nanos = time.time_ns()
    return timestamp_pb2.Timestamp(seconds=nanos // 10**9, nanos=nanos % 10**9)


def _label_keys(metric: LogMetric) -> set[str]:
    return {label.key for label in metric.metric_descriptor.labels}


def _check_dashboard(dashboard: Dashboard) -> None:
    if not dashboard.display_name:
        raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "Field dashboard.displayName is required")
    mosaic = dashboard.mosaic_layout
    taken = set()
    for tile in mosaic.tiles:
        if tile.width < 1 or tile.height < 1 or tile.x_pos + tile.width > mosaic.columns:
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, f"tile {tile.widget.title!r} lies outside the grid")
        cells = set(itertools.product(
            range(tile.x_pos, tile.x_pos + tile.width), range(tile.y_pos, tile.y_pos + tile.height)))
        if cells & taken:
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, f"tile {tile.widget.title!r} overlaps another")
        taken |= cells


def _check_policy(policy: AlertPolicy) -> None:
    problems = []
    if not policy.display_name:
        problems.append("displayName is required")
    if not 1 <= len(policy.conditions) <= MAX_CONDITIONS:
        problems.append(f"1 to {MAX_CONDITIONS} conditions are required")
    if not policy.combiner:
        problems.append("combiner is required")
    if len(policy.user_labels) > MAX_LABELS:
        problems.append(f"at most {MAX_LABELS} user labels")
    problems += [
        f"user label {key}={value} is not valid" for key, value in policy.user_labels.items()
        if not USER_LABEL_KEY.fullmatch(key) or not USER_LABEL_VALUE.fullmatch(value)
    ]
    for condition in policy.conditions:
        if "condition_matched_log" in condition:
            if len(policy.conditions) > 1:
                problems.append("a log match must be the only condition")
            if not policy.alert_strategy.notification_rate_limit.period:
                problems.append("a log match needs alertStrategy.notificationRateLimit")
        elif "condition_prometheus_query_language" in condition:
            if not condition.condition_prometheus_query_language.query:
                problems.append("a PromQL condition needs a query")
            if policy.alert_strategy.notification_rate_limit.period:
                problems.append("notificationRateLimit is for log matches only")
    if problems:
        raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "; ".join(problems))


def _check_metric(metric: LogMetric) -> None:
    problems = []
    descriptor = metric.metric_descriptor
    distribution = descriptor.value_type == metric_pb2.MetricDescriptor.ValueType.DISTRIBUTION
    if not METRIC_NAME.fullmatch(metric.name):
        problems.append(f"name {metric.name!r} is not valid")
    if not metric.filter:
        problems.append("filter is required")
    if descriptor.metric_kind != metric_pb2.MetricDescriptor.MetricKind.DELTA:
        problems.append("metricKind must be DELTA")
    if distribution != bool(metric.value_extractor):
        problems.append("a distribution, and nothing else, needs a valueExtractor")
    if _label_keys(metric) != set(metric.label_extractors):
        problems.append("every label needs an extractor, and every extractor a label")
    if len(metric.label_extractors) > MAX_METRIC_LABELS:
        problems.append(f"at most {MAX_METRIC_LABELS} labels")
    if problems:
        raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "; ".join(problems))
