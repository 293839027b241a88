"""Spans as the bytes of an OTLP request, straight from items.

The SDK's own way makes a `ReadableSpan`, then a protobuf message for every attribute of it: two thirds of what a
span costs. A protobuf message is the concatenation of its fields, so an attribute that was encoded once can be used
again, and most attributes of a span are those of its target, its process or its site. A test holds the result
against the SDK's encoder.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.trace import SpanLimits

from lastcall.exporters import names
from lastcall.exporters.otel_resource import identity, resource_of
from lastcall.exporters.otel_spans import ATTRIBUTES, function_name, span_name, stacktrace

if TYPE_CHECKING:
    from lastcall.exporters.spool import Item

# Tags of `opentelemetry.proto.trace.v1`: field number and wire type in one byte, or two from field 16 on.
RESOURCE_SPANS: Final = b"\x0a"
RESOURCE: Final = b"\x0a"
SCOPE_SPANS: Final = b"\x12"
SCOPE: Final = b"\x0a"
SPANS: Final = b"\x12"
SCHEMA_URL: Final = b"\x1a"
RESOURCE_ATTRIBUTE: Final = b"\x0a"
PARENT: Final = b"\x22\x08"
NAME: Final = b"\x2a"
ATTRIBUTE: Final = b"\x4a"
LINK: Final = b"\x6a\x21"
UNSET: Final = b"\x7a\x00"
ERROR: Final = b"\x7a\x02\x18\x02"
FLAGS: Final = (0x100).to_bytes(4, "little")
"""SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK, and the parent was not remote: what the SDK says of a local parent."""

IDS: Final = Struct(">2s16s2s8s").pack
TIMES: Final = Struct("<3sQcQ").pack
"""Kind INTERNAL (two bytes) and the tag of the start, the start, the tag of the end, the end."""
KIND_AND_START: Final = b"\x30\x01\x39"
END: Final = b"\x41"

CACHED: Final = 1024
"""Encoded values kept for each attribute; a text of more than CACHED_CHARS is not kept."""
CACHED_CHARS: Final = 512
END_KNOWN: Final = "end known"
"""Not a field of an item, but an attribute of its span; so is the function with its module."""
FUNCTION: Final = "function with module"


def varint(number: int) -> bytes:
    """A protobuf varint. A negative number is encoded as its two's complement of 64 bits, as int64 is."""
    number &= 0xFFFF_FFFF_FFFF_FFFF
    made = bytearray()
    while number > 0x7F:  # noqa: PLR2004 - seven bits a byte
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)


_SHORT: Final = tuple(varint(number) for number in range(4096))


def sized(tag: bytes, body: bytes) -> bytes:
    """A field that holds a text, bytes or another message."""
    length = len(body)
    return tag + (_SHORT[length] if length < 4096 else varint(length)) + body  # noqa: PLR2004 - see _SHORT


def _any_value(value: Any) -> bytes:
    """An AnyValue. Raises TypeError for what no attribute of ours is."""
    if isinstance(value, str):
        return sized(b"\x0a", value.encode())
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, int):
        return b"\x18" + varint(value)
    if isinstance(value, float):
        return b"\x21" + Struct("<d").pack(value)
    if isinstance(value, (list, tuple)):
        return sized(b"\x2a", b"".join(sized(b"\x0a", _any_value(element)) for element in value))
    raise TypeError(f"an attribute cannot hold {type(value).__name__}")


def _attribute(tag: bytes, key: str, value: Any) -> bytes:
    return sized(tag, sized(b"\x0a", key.encode()) + sized(b"\x12", _any_value(value)))


@lru_cache(maxsize=64)
def _resource(service: str, environment: str, release: str, process: str) -> tuple[bytes, bytes]:
    """What a process's ResourceSpans begins and ends with."""
    resource = resource_of(service, environment, release, process)
    pairs = (_attribute(RESOURCE_ATTRIBUTE, key, value) for key, value in resource.attributes.items())
    end = sized(SCHEMA_URL, resource.schema_url.encode()) if resource.schema_url else b""
    return sized(RESOURCE, b"".join(pairs)), end


_SCOPE: Final = sized(SCOPE, sized(b"\x0a", names.SCOPE.encode()))


ENCODED: Final = {**ATTRIBUTES, END_KNOWN: names.END_KNOWN, FUNCTION: names.CODE_FUNCTION}


class SpanEncoder:
    """Encodes items as one `ExportTraceServiceRequest`."""

    def __init__(self) -> None:
        limits = SpanLimits()  # from OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT and the like
        self._longest = limits.max_span_attribute_length
        # By field, then by value: an attribute is always of one type, or True and 1 would be the same.
        self._encoded: dict[str, dict[Any, bytes]] = {field: {} for field in ENCODED}

    def request(self, items: list[Item]) -> bytes:
        """The serialised request with one span for each item that has the makings of one; empty if none has."""
        groups: dict[tuple[str, str, str, str], list[bytes]] = {}
        for item in items:
            if "span" in item:
                groups.setdefault(identity(item), []).append(sized(SPANS, self._span(item)))
        made = []
        for process, spans in groups.items():
            begin, end = _resource(*process)
            scope_spans = sized(SCOPE_SPANS, _SCOPE + b"".join(spans))
            made.append(sized(RESOURCE_SPANS, begin + scope_spans + end))
        return b"".join(made)

    def _span(self, item: Item) -> bytes:
        made = item["span"]
        fields = item["payload"]["lastcall"]
        start, end = made["start"], made.get("end")
        is_use = fields["event"] == names.EVENT_USE
        # The item decides the ids, so that sending it twice gives the same span.
        parts = [IDS(b"\x0a\x10", bytes.fromhex(made["trace"]), b"\x12\x08", bytes.fromhex(made["id"]))]
        if "parent" in made:
            parts += PARENT, bytes.fromhex(made["parent"])
        parts.append(sized(NAME, span_name(item).encode()))
        parts.append(TIMES(KIND_AND_START, int(start), END, int(start if end is None else end)))
        parts += self._attributes(fields)
        if is_use:
            parts.append(self._attribute(END_KNOWN, end is not None))
        if link := made.get("link"):
            parts += LINK, _link(link[0], link[1])
        parts += ERROR if not is_use or "error_type" in fields else UNSET, b"\x85\x01", FLAGS
        return b"".join(parts)

    def _attributes(self, fields: dict[str, Any]) -> list[bytes]:
        """What `otel_spans.attributes_of` says, encoded."""
        encoded = self._encoded
        made = []
        for field, value in fields.items():
            if field in ATTRIBUTES:
                known = encoded[field].get(value)
                made.append(self._attribute(field, value) if known is None else known)
        if "function" in fields:
            made.append(self._attribute(FUNCTION, function_name(fields)))
        if "stack" in fields:
            text = stacktrace(fields["stack"], fields.get("stack_omitted", 0))
            made.append(_attribute(ATTRIBUTE, names.CODE_STACKTRACE, text[: self._longest]))
        return made

    def _attribute(self, field: str, value: Any) -> bytes:
        kept = self._encoded[field]
        made = kept.get(value)
        if made is None:
            short = value[: self._longest] if isinstance(value, str) else value
            made = _attribute(ATTRIBUTE, ENCODED[field], short)
            if not isinstance(value, str) or len(value) <= CACHED_CHARS:
                if len(kept) >= CACHED:
                    kept.clear()
                kept[value] = made
        return made


def _link(trace_id: str, span_id: str) -> bytes:
    """A Span.Link: the ids and the flags, 33 bytes."""
    ids = IDS(b"\x0a\x10", bytes.fromhex(trace_id), b"\x12\x08", bytes.fromhex(span_id))
    return ids + b"\x35" + FLAGS
