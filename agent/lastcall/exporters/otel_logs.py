"""OTLP log records from items, for those without Cloud Logging: the same events and fields."""

from __future__ import annotations

import json
import time
from calendar import timegm
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from lastcall.exporters import names
from lastcall.exporters.otel_resource import identity, resource_of
from lastcall.exporters.otel_spans import attributes_of

if TYPE_CHECKING:
    from lastcall.exporters.spool import Item

SEVERITIES: Final = {
    "INFO": SeverityNumber.INFO,
    "WARNING": SeverityNumber.WARN,
    "ERROR": SeverityNumber.ERROR,
}


def nanoseconds(text: str) -> int:
    """The instant of an item's RFC 3339 text, which has nine decimals."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    return timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) * 10**9 + int(fraction)


def api_record(item: Item) -> LogRecord:
    """The log record of one item, linked to the span that was active at the call."""
    fields = item["payload"]["lastcall"]
    attributes: dict[str, Any] = {names.EVENT: fields["event"], names.PROCESS: fields["process"]}
    if fields["event"] != names.EVENT_OBSERVATION:
        attributes.update(attributes_of(item))
    attributes[names.PAYLOAD] = json.dumps(fields, separators=(",", ":"))
    context = Context()
    if "trace" in item:
        active = trace.SpanContext(
            int(item["trace"], 16), int(item["spanId"], 16), is_remote=False,
            trace_flags=trace.TraceFlags(int(item["traceSampled"])),
        )  # fmt: skip
        context = trace.set_span_in_context(trace.NonRecordingSpan(active), context)
    at = nanoseconds(item["timestamp"])
    return LogRecord(
        timestamp=at,
        observed_timestamp=at,
        context=context,
        severity_text=item["severity"],
        severity_number=SEVERITIES[item["severity"]],
        body=item["payload"]["message"],
        attributes=attributes,
        event_name=f"{names.SCOPE}.{fields['event']}",
    )


def records(items: list[Item]) -> list[ReadableLogRecord]:
    """Log records, each with the resource of the process that its item came from."""
    scope = InstrumentationScope(names.SCOPE)
    return [
        ReadableLogRecord(
            log_record=api_record(item), resource=resource_of(*identity(item)), instrumentation_scope=scope
        )
        for item in items
    ]
