"""Spans from items: the real start and parent of the call, through the SDK, without its threads.

The provider is our own, so that the host's sampler cannot hide a deprecated call, and is never set as a
global. Its only processor puts ended spans into a list: delivering them is the outbox's affair, which is
right over forks and at exit by construction, where the SDK's batch processor is not.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from lastcall.exporters import names
from lastcall.exporters.otel_resource import identity, resource_of

if TYPE_CHECKING:
    from lastcall.exporters.spool import Item

STACKTRACE_CHARS: Final = 16 * 1024
PROVIDERS: Final = 16
"""Resources that spans are made for at a time; more than one only while the spool of others is delivered."""

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
        module, function = fields["module"], fields["function"]
        attributes[names.CODE_FUNCTION] = f"{module}.{function}" if module else function
    if "stack" in fields:
        attributes[names.CODE_STACKTRACE] = stacktrace(fields["stack"], fields.get("stack_omitted", 0))
    return attributes


def stacktrace(lines: list[str], omitted: int = 0) -> str:
    """`file:line function` lines as Python prints a traceback, innermost last; cut to what a backend
    keeps."""
    text: list[str] = []
    for line in reversed(lines):
        where, _, function = line.rpartition(" ")
        file, _, number = where.rpartition(":")
        text.append(f'  File "{file}", line {number}, in {function}')
    if omitted:
        text.insert(len(text) // 3, f"  ... {omitted} frames omitted ...")
    joined = "\n".join(text)
    if len(joined) > STACKTRACE_CHARS:
        joined = "  ...\n" + joined[-STACKTRACE_CHARS:].partition("\n")[2]  # the end is next to the call
    return joined


def span_name(item: Item) -> str:
    """`deprecated <qualname>`, or `finding <kind>`: few, so that a backend can group by it."""
    fields = item["payload"]["lastcall"]
    if fields["event"] == names.EVENT_FINDING:
        return f"finding {fields['finding']}"
    module, _, qualname = fields["target"].partition(":")
    return f"{names.SPAN_PREFIX}{qualname or module}"


def start_span(tracer: trace.Tracer, item: Item) -> trace.Span:
    """Start and finish the span of one item, with its own times and parent, whatever is active in this
    thread."""
    made = item["span"]
    fields = item["payload"]["lastcall"]
    context = Context()
    if "parent" in made:
        parent = _span_context(made["trace"], made["parent"], made.get("flags", 0))
        context = trace.set_span_in_context(trace.NonRecordingSpan(parent), context)
    link = made.get("link")
    links = [trace.Link(_span_context(link[0], link[1], 1))] if link else []
    attributes = attributes_of(item)
    end = made.get("end")
    if fields["event"] == names.EVENT_USE:
        attributes[names.END_KNOWN] = end is not None
    span = tracer.start_span(
        span_name(item),
        context=context,
        kind=trace.SpanKind.INTERNAL,
        attributes=attributes,
        links=links,
        start_time=int(made["start"]),
    )
    if "error_type" in fields or fields["event"] == names.EVENT_FINDING:
        span.set_status(trace.StatusCode.ERROR)
    span.end(end_time=int(end if end is not None else made["start"]))
    return span


def _span_context(trace_id: str, span_id: str, flags: int) -> trace.SpanContext:
    return trace.SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=trace.TraceFlags(flags)
    )


class SpanMaker:
    """Makes finished spans of items, each with the resource of the process that it came from."""

    def __init__(self) -> None:
        self._tracers: OrderedDict[tuple[str, str, str, str], trace.Tracer] = OrderedDict()
        self._ended = _Ended()
        self._ids = _GivenIds()

    def spans(self, items: list[Item]) -> list[ReadableSpan]:
        """One span for each item that has the makings of one; none if OTEL_SDK_DISABLED is set."""
        for item in items:
            if "span" in item:
                self._ids.trace, self._ids.span = int(item["span"]["trace"], 16), int(item["span"]["id"], 16)
                start_span(self._tracer(identity(item)), item)
        made, self._ended.spans = self._ended.spans, []
        return made

    def _tracer(self, key: tuple[str, str, str, str]) -> trace.Tracer:
        tracer = self._tracers.get(key)
        if tracer is None:
            provider = TracerProvider(
                sampler=ALWAYS_ON,
                resource=resource_of(*key),
                shutdown_on_exit=False,
                id_generator=self._ids,
            )
            provider.add_span_processor(self._ended)
            tracer = self._tracers[key] = provider.get_tracer(names.SCOPE)
            if len(self._tracers) > PROVIDERS:
                self._tracers.popitem(last=False)
        return tracer


class _Ended(SpanProcessor):
    """Collects; nothing waits in a thread of the SDK's."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


class _GivenIds(IdGenerator):
    """An item decides the ids of its span, so that sending it twice gives the same span."""

    trace = 1
    span = 1

    def generate_span_id(self) -> int:
        return self.span

    def generate_trace_id(self) -> int:
        return self.trace
