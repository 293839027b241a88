"""Spans that we encode ourselves are the spans that the SDK would have encoded, on the wire too."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from how_many import examples
from lastcall.exporters import ExporterSettings, create
from lastcall.exporters.entries import EntryBuilder
from lastcall.exporters.otel_bytes import SpanEncoder
from lastcall.exporters.otel_clients import Client
from lastcall.exporters.otel_spans import SpanMaker
from loopback.otlp import Receiver
from observed_process import SPAN, TRACE, ObservedProcess, make_site


@pytest.fixture(autouse=True)
def own_variables(monkeypatch):
    for name in list(os.environ):
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)


def items_of(process):
    return EntryBuilder(ExporterSettings()).items(process.flush(observe=True))


def every_kind():
    """Two processes: first sights, a linked repeat, a failure, an end, parents, findings, hostile and long texts."""
    items = []
    for name in ("0123456789abcdef", "fedcba9876543210"):
        process = ObservedProcess(name)
        process.use(make_site(1, depth=25))
        process.use(make_site(2, depth=0, expression="", module=""), trace_id=TRACE, span_id=SPAN, trace_flags=1)
        process.use(make_site(3, function="ü\ud800" * 3000, during_import=True), error_type="KeyError")
        process.use(make_site(4, note="x" * 600, line=2**31), end_ns=int(process.now * 1e9) + 7)
        process.use(make_site(5), own_trace_id=7, own_span_id=9, allowed=True, allow_reason="itself")
        process.now += 90
        process.use(make_site(1, depth=25), times=70_000, detailed=True, trace_id=TRACE, span_id=SPAN)
        process.find(site=make_site(6))
        process.find()
        items += items_of(process)
    return items


def same(items):
    encoded = ExportTraceServiceRequest.FromString(SpanEncoder().request(items))
    assert encoded == encode_spans(SpanMaker().spans(items))
    return encoded


def test_every_kind_of_span_is_what_the_sdk_encodes():
    encoded = same(every_kind())
    assert [len(of.scope_spans[0].spans) for of in encoded.resource_spans] == [8, 8]


def test_the_value_length_limit_is_the_sdks(monkeypatch):
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "5")
    encoded = same(every_kind())
    [target] = {pair.value.string_value for of in encoded.resource_spans for span in of.scope_spans[0].spans
                for pair in span.attributes if pair.key == "lastcall.target"}
    assert target == "shop."


def test_one_encoder_used_again_and_again_stays_right(monkeypatch):
    monkeypatch.setattr("lastcall.exporters.otel_bytes.CACHED", 3)  # so that it forgets, too
    encoder = SpanEncoder()
    for _ in range(3):
        items = every_kind()
        assert ExportTraceServiceRequest.FromString(encoder.request(items)) == encode_spans(SpanMaker().spans(items))


@settings(max_examples=examples(60), deadline=None)
@given(
    text=st.text(max_size=300),
    line=st.integers(0, 2**40),
    times=st.integers(1, 2**62),
    flags=st.integers(0, 255),
    ids=st.tuples(st.integers(0, 2**128 - 1), st.integers(0, 2**64 - 1)),
)
def test_any_text_and_number_is_what_the_sdk_encodes(text, line, times, flags, ids):
    process = ObservedProcess(start=1_700_000_000.5)
    process.use(make_site(1, file=text, line=line, function=text, note=text), times=times, trace_id=ids[0], span_id=ids[1], trace_flags=flags)
    same(items_of(process))


@pytest.mark.parametrize("compression", ["", "gzip"])
@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_the_receiver_gets_the_same_either_way_with_the_exporters_own_headers(protocol, compression, monkeypatch, tmp_path):
    """An exporter built in a way that we do not know gets SDK spans instead: slower, and the same."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    if compression:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=shims")
    process = ObservedProcess()
    process.use(make_site(1, depth=25), trace_id=TRACE, span_id=SPAN)
    process.find()
    batch = process.flush()
    received = []
    for seam in (True, False):
        if not seam:
            monkeypatch.setattr(Client, "_open_seam", lambda *_: False)
        with Receiver() as receiver:
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.grpc_endpoint if protocol == "grpc" else receiver.http_endpoint)
            exporter = create("otlp", ExporterSettings(store=str(tmp_path / f"{seam}.db"), otlp_logs=False))
            exporter.export(batch)
            assert exporter.force_flush(5)
            assert exporter._clients["traces"].takes_bytes is seam
            exporter.shutdown(1)
            received.append(receiver.requests["traces"])
            assert {headers["x-team"] for headers in receiver.headers} == {"shims"}
    assert received[0] == received[1]
    assert len(received[0]) == 1
