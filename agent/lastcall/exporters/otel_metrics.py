"""OpenTelemetry's side of the metrics: observable instruments on a meter, and frozen collections thawed
for OTLP."""

from __future__ import annotations

from posix import getpid
from typing import TYPE_CHECKING, Any

from opentelemetry.metrics import CallbackOptions, Meter, Observation
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from lastcall.exporters import names
from lastcall.exporters.otel_readings import UNITS, Readings
from lastcall.exporters.otel_resource import resource_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from lastcall.exporters.spool import Item


def register(meter: Meter, readings: Callable[[], Readings | None]) -> None:
    """Create the instruments on a meter, own or global; they ask `readings()` at every collection."""
    for name, (unit, description) in UNITS.items():
        create = meter.create_observable_counter if name in names.COUNTERS else meter.create_observable_gauge
        create(name, callbacks=[_callback(name, readings)], unit=unit, description=description)


def _callback(
    name: str, readings: Callable[[], Readings | None]
) -> Callable[[CallbackOptions], list[Observation]]:
    def observe(_: CallbackOptions) -> list[Observation]:
        now = readings()
        if now is None or now.pid != getpid():
            return []  # a forked child must not show its parent's counts as its own
        return [Observation(value, dict(key)) for key, value in now.values[name].items()]

    return observe


def thaw(item: Item) -> MetricsData:
    """A frozen collection as the OTLP exporter wants it."""
    fields: dict[str, Any] = item["payload"]["lastcall"]
    metrics = [
        Metric(name=name, description=UNITS[name][1], unit=UNITS[name][0], data=_data(name, points, fields))
        for name, points in fields["points"].items()
        if name in UNITS
    ]
    resource = resource_of(fields["service"], fields["environment"], fields["release"], fields["process"])
    scope = ScopeMetrics(scope=InstrumentationScope(names.SCOPE), metrics=metrics, schema_url="")
    return MetricsData(resource_metrics=[ResourceMetrics(resource, [scope], schema_url="")])


def _data(name: str, points: list[list[Any]], fields: dict[str, Any]) -> Sum | Gauge:
    start, at = int(fields["start"]), int(fields["at"])
    made = [
        NumberDataPoint(attributes=attributes, start_time_unix_nano=start, time_unix_nano=at, value=value)
        for attributes, value in points
    ]
    if name not in names.COUNTERS:
        return Gauge(data_points=made)
    # Cumulative whatever the preference says: a lost delta is lost, the next cumulative point is not.
    return Sum(data_points=made, aggregation_temporality=AggregationTemporality.CUMULATIVE, is_monotonic=True)
