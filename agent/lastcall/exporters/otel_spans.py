"""What a span says of an item, and spans as OpenTelemetry's own objects.

By default no such object is made: `otel_bytes` encodes the span, and the outbox hands it to the real OTLP
exporter. There is no provider whose sampler, threads or fork and exit hooks could go wrong. With the host's
provider (`global`) spans go through its tracer. `SpanMaker` is for an exporter that takes nothing but the SDK's
`ReadableSpan`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace.status import Status

from lastcall.exporters import names
from lastcall.exporters.otel_resource import identity, resource_of

if TYPE_CHECKING:
    from lastcall.exporters.spool import Item

STACKTRACE_CHARS: Final = 16 * 1024

ATTRIBUTES: Final = {
    "target": names.TARGET,
    "kind": names.KIND,
    "use": names.USE,
    "origin": names.ORIGIN,
    "replacement": names.REPLACEMENT,
    "since": names.SINCE,
    "remove_by": names.REMOVE_BY,
    "owner": names.OWNER,
    "issue": names.ISSUE,
    "count": names.COUNT,
    "site": names.SITE,
    "module": names.MODULE,
    "expression": names.EXPRESSION,
    "first": names.FIRST,
    "via": names.VIA,
    "note": names.NOTE,
    "during_import": names.DURING_IMPORT,
    "by_test": names.BY_TEST,
    "scanner": names.SCANNER,
    "allowed": names.ALLOWED,
    "allow_reason": names.ALLOW_REASON,
    "finding": names.FINDING,
    "process": names.PROCESS,
    "file": names.CODE_FILE,
    "line": names.CODE_LINE,
    "error_type": names.ERROR_TYPE,
}
"""Field of a log entry -> attribute of a span or an OTLP log record."""


def attributes_of(item: Item) -> dict[str, Any]:
    """What a span and a log record say about a use or a finding."""
    fields = item["payload"]["lastcall"]
    attributes = {ATTRIBUTES[key]: value for key, value in fields.items() if key in ATTRIBUTES}
    if "function" in fields:
        attributes[names.CODE_FUNCTION] = function_name(fields)
    if "stack" in fields:
        attributes[names.CODE_STACKTRACE] = stacktrace(fields["stack"], fields.get("stack_omitted", 0))
    return attributes


def function_name(fields: dict[str, Any]) -> str:
    """The caller's function with its module, as the semantic conventions want it."""
    module, function = fields["module"], fields["function"]
    return f"{module}.{function}" if module else function


def stacktrace(lines: list[str], omitted: int = 0) -> str:
    """`file:line function` lines as Python prints a traceback, innermost last; cut to what a backend
    keeps."""
    text = [_frame_text(line) for line in reversed(lines)]
    if omitted:
        text.insert(len(text) // 3, f"  ... {omitted} frames omitted ...")
    joined = "\n".join(text)
    if len(joined) > STACKTRACE_CHARS:
        joined = "  ...\n" + joined[-STACKTRACE_CHARS:].partition("\n")[2]  # the end is next to the call
    return joined


@lru_cache(maxsize=2048)  # the outer frames of most stacks are the same few
def _frame_text(line: str) -> str:
    where, _, function = line.rpartition(" ")
    file, _, number = where.rpartition(":")
    return f'  File "{file}", line {number}, in {function}'


def span_name(item: Item) -> str:
    """`deprecated <qualname>`, or `finding <kind>`: few, so that a backend can group by it."""
    fields = item["payload"]["lastcall"]
    if fields["event"] == names.EVENT_FINDING:
        return f"finding {fields['finding']}"
    module, _, qualname = fields["target"].partition(":")
    return f"{names.SPAN_PREFIX}{qualname or module}"


@dataclass(frozen=True, slots=True)
class Parts:
    """What a span is made of, whoever makes it."""

    name: str
    attributes: dict[str, Any]
    parent: trace.SpanContext | None
    links: list[trace.Link]
    start: int
    end: int
    failed: bool

    @classmethod
    def of(cls, item: Item) -> Parts:
        """The parts of the span of one item: its own times, its own parent, whatever is active in this thread."""
        made = item["span"]
        fields = item["payload"]["lastcall"]
        attributes = attributes_of(item)
        end = made.get("end")
        if fields["event"] == names.EVENT_USE:
            attributes[names.END_KNOWN] = end is not None
        parent = (
            _span_context(made["trace"], made["parent"], made.get("flags", 0)) if "parent" in made else None
        )
        link = made.get("link")
        return cls(
            name=span_name(item),
            attributes=attributes,
            parent=parent,
            links=[trace.Link(_span_context(link[0], link[1], 1))] if link else [],
            start=int(made["start"]),
            end=int(end if end is not None else made["start"]),
            failed="error_type" in fields or fields["event"] == names.EVENT_FINDING,
        )


def start_span(tracer: trace.Tracer, item: Item) -> trace.Span:
    """Start and finish the span of one item with the host's tracer: its sampler, ids and processors."""
    parts = Parts.of(item)
    context = Context()
    if parts.parent is not None:
        context = trace.set_span_in_context(trace.NonRecordingSpan(parts.parent), context)
    span = tracer.start_span(
        parts.name,
        context=context,
        kind=trace.SpanKind.INTERNAL,
        attributes=parts.attributes,
        links=parts.links,
        start_time=parts.start,
    )
    if parts.failed:
        span.set_status(trace.StatusCode.ERROR)
    span.end(end_time=parts.end)
    return span


def _span_context(trace_id: str, span_id: str, flags: int) -> trace.SpanContext:
    return trace.SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=trace.TraceFlags(flags)
    )


class SpanMaker:
    """Makes finished spans of items, each with the resource of the process that it came from.

    As a tracer provider with the sampler ALWAYS_ON would, so that an unsampled request does not hide a deprecated
    call; but without its processors, threads and hooks, and four times as fast, which matters in a burst.
    """

    def __init__(self) -> None:
        limits = SpanLimits()  # from OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT and the like
        self._longest = limits.max_span_attribute_length
        self._scope = InstrumentationScope(names.SCOPE)

    def spans(self, items: list[Item]) -> list[ReadableSpan]:
        """One span for each item that has the makings of one."""
        return [self._span(item) for item in items if "span" in item]

    def _span(self, item: Item) -> ReadableSpan:
        made = item["span"]
        parts = Parts.of(item)
        attributes = parts.attributes
        if self._longest is not None:
            attributes = {
                key: value[: self._longest] if isinstance(value, str) else value
                for key, value in attributes.items()
            }
        return ReadableSpan(
            name=parts.name,
            # The item decides the ids, so that sending it twice gives the same span.
            context=_span_context(made["trace"], made["id"], 1),
            parent=parts.parent,
            resource=resource_of(*identity(item)),
            attributes=attributes,
            links=parts.links,
            kind=trace.SpanKind.INTERNAL,
            status=Status(trace.StatusCode.ERROR if parts.failed else trace.StatusCode.UNSET),
            start_time=parts.start,
            end_time=parts.end,
            instrumentation_scope=self._scope,
        )
