"""OpenTelemetry: spans, metrics and log records as the real exporters send them, own and global providers."""

import json
import logging
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lastcall.config import load
from lastcall.errors import internal_errors
from lastcall.exporters import ExporterSettings, create, names
from lastcall.exporters.otel_clients import protocol, wanted
from lastcall.exporters.otel_spans import stacktrace
from lastcall.exporters.queueing import Outbox
from lastcall.exporting import create_exporter
from loopback.otlp import HANG_SECONDS, Receiver
from loopback.patience import PLENTY, wait_for_answers
from observed_process import SPAN, TRACE, ObservedProcess, make_site, make_target


@pytest.fixture(autouse=True)
def no_errors_left(monkeypatch):
    for name in list(os.environ):
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)
    wait_for_answers(monkeypatch)
    internal_errors.clear()
    yield
    internal_errors.clear()


@pytest.fixture
def receiver():
    with Receiver() as made:
        yield made


@pytest.fixture(params=["grpc", "http"])
def exporter(request, receiver, monkeypatch, tmp_path):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.grpc_endpoint if request.param == "grpc" else receiver.http_endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc" if request.param == "grpc" else "http/protobuf")
    made = create("otlp", ExporterSettings(store=str(tmp_path / "store.db"), attempt_timeout=PLENTY))
    yield made
    made.shutdown(1)


def uses(receiver, **wanted_attributes):
    """The values of lastcall.uses with these attributes (dots as in the names), in order of arrival."""
    return [value for attributes, value, *_ in receiver.points(names.METRIC_USES)
            if all(attributes.get(f"lastcall.{key}") == value for key, value in wanted_attributes.items())]


# -- spans -----------------------------------------------------------------------------------------------------


def test_a_span_is_the_child_of_the_span_active_at_the_call_with_the_calls_own_times(receiver, exporter):
    process = ObservedProcess()
    start = int(process.now * 1e9)
    process.use(make_site(), trace_id=TRACE, span_id=SPAN, trace_flags=0, end_ns=start + 1500)
    exporter.export(process.flush())
    [(span, attributes, resource)] = receiver.spans()
    assert span.name == "deprecated old_total"
    assert span.kind == span.SPAN_KIND_INTERNAL
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (f"{TRACE:032x}", f"{SPAN:016x}")
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (start, start + 1500)
    assert span.status.code == span.status.STATUS_CODE_UNSET
    assert attributes["code.function.name"] == "shop.caller_0.Caller.use_0"
    assert (attributes["code.file.path"], attributes["code.line.number"]) == ("shop/caller_0.py", 10)
    assert attributes["code.stacktrace"].splitlines()[-1] == '  File "shop/frame_0.py", line 1, in step_0'
    assert attributes["lastcall.target"] == "shop.legacy:old_total"
    assert (attributes["lastcall.use"], attributes["lastcall.origin"], attributes["lastcall.count"]) == ("call", "direct", 1)
    assert (attributes["lastcall.replacement"], attributes["lastcall.remove_by"], attributes["lastcall.owner"]) == ("shop.pricing:total", "2026-12-31", "pricing")
    assert attributes["lastcall.end_known"] is True
    assert "error.type" not in attributes
    assert resource["service.name"] == "shop"
    assert resource["deployment.environment.name"] == "staging"
    assert resource["service.version"] == "2026.11.3"
    assert resource["service.instance.id"] == process.process.id


def test_without_an_active_span_it_is_a_root_and_without_a_known_end_it_says_so(receiver, exporter):
    process = ObservedProcess()
    process.use(make_site())
    exporter.export(process.flush())
    [(span, attributes, _)] = receiver.spans()
    assert span.parent_span_id == b""
    assert span.trace_id != b"\0" * 16
    assert span.start_time_unix_nano == span.end_time_unix_nano
    assert attributes["lastcall.end_known"] is False


def test_a_call_that_raised_is_an_error_span(receiver, exporter):
    process = ObservedProcess()
    process.use(make_site(), error_type="KeyError")
    exporter.export(process.flush())
    [(span, attributes, _)] = receiver.spans()
    assert span.status.code == span.status.STATUS_CODE_ERROR
    assert attributes["error.type"] == "KeyError"


def test_a_repeat_links_to_the_span_of_its_first_sight_and_stands_for_what_lies_between(receiver, exporter):
    process = ObservedProcess()
    process.use(make_site())
    exporter.export(process.flush())
    process.now += 90
    process.use(make_site(), times=500, detailed=True, trace_id=TRACE, span_id=SPAN, trace_flags=1)
    exporter.export(process.flush())
    (first, *_), (repeat, attributes, _) = receiver.spans()
    [link] = repeat.links
    assert (link.trace_id, link.span_id) == (first.trace_id, first.span_id)
    assert attributes["lastcall.first"] is False
    assert attributes["lastcall.count"] == 500
    assert "code.stacktrace" not in attributes


def test_the_hosts_sampler_and_limits_do_not_hide_a_use(receiver, exporter, monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    process = ObservedProcess()
    process.use(make_site(), trace_id=TRACE, span_id=SPAN, trace_flags=0)  # an unsampled request
    exporter.export(process.flush())
    assert len(receiver.spans()) == 1


def test_a_use_of_each_name_shape_gets_a_span_name_of_few_values(receiver, exporter):
    refs = {"pkg.mod:Outer.Inner.method": "deprecated Outer.Inner.method", "pkg.old": "deprecated pkg.old", "pkg.mod:f(mode=)": "deprecated f(mode=)"}
    process = ObservedProcess(targets=[make_target(ref) for ref in refs])
    for number, ref in enumerate(refs):
        process.use(make_site(number, target=ref))
    exporter.export(process.flush())
    assert [span.name for span, *_ in receiver.spans()] == list(refs.values())


def test_a_finding_is_an_error_span(receiver, exporter):
    process = ObservedProcess()
    process.find(site=make_site())
    exporter.export(process.flush())
    [(span, attributes, _)] = receiver.spans()
    assert span.name == "finding isolation"
    assert span.status.code == span.status.STATUS_CODE_ERROR
    assert (attributes["lastcall.finding"], attributes["lastcall.target"]) == ("isolation", "shop.legacy:old_total")
    assert [value for *_, value, _, _ in [(a, v, p, r) for a, v, p, r in receiver.points(names.METRIC_FINDINGS)]][-1:] == [1]


def test_a_poisoned_span_is_dropped_alone(receiver, exporter):
    receiver.poison = "shop/caller_7.py"
    process = ObservedProcess()
    for number in range(20):
        process.use(make_site(number))
    exporter.export(process.flush())
    exporter.force_flush(PLENTY)
    assert len(receiver.spans()) == 19
    assert ("otlp-traces-refused", 1) in exporter.health().dropped


def test_a_stack_is_printed_like_a_traceback_and_cut_far_from_the_call():
    text = stacktrace([f"shop/{'x' * 100}_{i}.py:{i} f{i}" for i in range(400)], omitted=7)
    assert len(text) < 16 * 1024
    assert text.splitlines()[-1].endswith(", line 0, in f0")
    assert "..." in text.splitlines()[0]
    short = stacktrace(["a b.py:3 f", "c.py:4 <module>"])
    assert short == '  File "c.py", line 4, in <module>\n  File "a b.py", line 3, in f'


# -- metrics ---------------------------------------------------------------------------------------------------


def test_every_target_has_an_explicit_zero_from_the_first_export_on(receiver, exporter):
    process = ObservedProcess(targets=[make_target("m:f"), make_target("m:C", kind="class"), make_target("m.old", kind="module"),
                                       make_target("m:x", kind="attribute")])
    exporter.export(process.flush())
    zero = {(a["lastcall.target"], a["lastcall.use"], a["lastcall.origin"]): v for a, v, *_ in receiver.points(names.METRIC_USES)}
    natural = {"m:f": "call", "m:C": "construct", "m.old": "import", "m:x": "access"}
    assert zero == {(ref, use, origin): 0 for ref, use in natural.items() for origin in ("self", "direct", "indirect")}


def test_a_series_born_later_is_shown_at_zero_before_its_first_value(receiver, exporter):
    process = ObservedProcess()
    exporter.export(process.flush(observe=True))
    process.now += 20
    process.use(make_site(use="warning", origin="indirect"), times=3)
    exporter.export(process.flush(observe=True))
    values = [(value, point.time_unix_nano) for a, value, point, _ in receiver.points(names.METRIC_USES) if a["lastcall.use"] == "warning"]
    assert [value for value, _ in values] == [0, 3]
    assert values[0][1] < values[1][1]


def test_the_counter_is_monotonic_cumulative_and_carries_the_deadline_and_owner(receiver, exporter):
    process = ObservedProcess()
    for step in range(4):
        process.now += 20
        process.use(make_site(0), times=5)
        process.use(make_site(1), times=2)
        exporter.export(process.flush(observe=True))
    assert uses(receiver, target="shop.legacy:old_total", origin="direct")[1:] == [7, 14, 21, 28]
    attributes, _, point, resource = receiver.points(names.METRIC_USES)[-1]
    assert attributes["lastcall.owner"] == "pricing"
    assert attributes["lastcall.remove_by"] == "2026-12-31"
    assert (attributes["service.name"], attributes["deployment.environment.name"]) == ("shop", "staging")
    assert not {"code.file.path", "lastcall.site"} & set(attributes)
    assert point.start_time_unix_nano == int(process.process.started * 1e9)
    metric = next(m for r in receiver.requests["metrics"] for o in r.resource_metrics for s in o.scope_metrics for m in s.metrics if m.name == names.METRIC_USES)
    assert metric.sum.is_monotonic
    assert metric.sum.aggregation_temporality == 2  # cumulative
    assert metric.unit == "{use}"


def test_a_restarted_process_is_a_series_of_its_own(receiver, exporter, tmp_path):
    for process_id in ("a" * 16, "b" * 16):
        process = ObservedProcess(process_id)
        process.use(make_site(), times=4)
        exporter.export(process.flush(observe=True))
    last = {r["service.instance.id"]: v for a, v, _, r in receiver.points(names.METRIC_USES) if a["lastcall.origin"] == "direct" and a["lastcall.target"].endswith("old_total")}
    assert last == {"a" * 16: 4, "b" * 16: 4}


@pytest.mark.parametrize(
    ("status", "headers", "words"),
    [
        (302, {"Location": "http://login.invalid/start?token=abc"}, "redirects (HTTP 302) to http://login.invalid/start; give"),
        (301, {"Location": "/v1/traces/"}, "redirects (HTTP 301)"),
        (200, {"Content-Type": "text/html; charset=utf-8"}, "a web page answers, and no collector"),
    ],
)
def test_what_no_collector_answers_is_no_delivery(monkeypatch, tmp_path, status, headers, words):
    """The exporters take it for success: it was sent to nobody, and must wait for who mends the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": "0"}.items():
                self.send_header(name, value)
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        exporter = create("otlp", ExporterSettings(store=str(tmp_path / "store.db"), attempt_timeout=PLENTY))
        process = ObservedProcess()
        process.use(make_site())
        exporter.export(process.flush(observe=True))
        health = exporter.health()
        assert (health.delivered, health.pending > 2) == (0, True)
        assert words in health.problem
        assert "token" not in health.problem
        assert words in exporter.probe(PLENTY)
        exporter.shutdown(1)
        server.shutdown()


def test_gauges_tell_the_health_of_the_observation(receiver, exporter):
    process = ObservedProcess()
    process.use(make_site(0))
    process.use(make_site(1))
    process.now += 30
    process.dropped = (("sites", 5),)
    internal_errors.add("flush", ValueError("x"))
    exporter.export(process.flush(observe=True))
    found = {name: {tuple(sorted(a.items())): v for a, v, *_ in receiver.points(name)} for name in names.GAUGES}

    def of(name, **attributes):
        [value] = [v for a, v in found[name].items() if all(dict(a).get(f"lastcall.{k}") == x for k, x in attributes.items())]
        return value

    assert of(names.METRIC_TARGETS, state="armed") == 2
    assert of(names.METRIC_TARGETS, state="pending") == 0
    assert of(names.METRIC_CALL_SITES, target="shop.legacy:old_total") == 2
    assert of(names.METRIC_CALL_SITES, target="shop.legacy:unused") == 0
    assert of(names.METRIC_OBSERVED_TIME) == pytest.approx(30)
    assert of(names.METRIC_DROPPED, reason="sites") == 5
    assert of(names.METRIC_INTERNAL_ERRORS, slug="flush") == 1
    assert of(names.METRIC_REMOVE_BY_TIME, target="shop.legacy:old_total") == 1798675200


def test_what_was_dropped_is_told_at_every_collection_and_not_only_with_an_observation(receiver, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.grpc_endpoint)
    exporter = create("otlp", ExporterSettings(metric_interval=0))
    process = ObservedProcess()
    process.dropped = (("call-site-limit", 5),)
    for observe in (True, False, False):
        process.now += 15
        process.use(make_site())
        exporter.export(process.flush(observe=observe))
    told = [(a["lastcall.reason"], value) for a, value, *_ in receiver.points(names.METRIC_DROPPED)]
    assert len(told) >= 3  # one more where a series is born
    assert set(told) == {("call-site-limit", 5)}
    exporter.shutdown(1)


def test_what_the_exporter_itself_dropped_joins_what_the_recorder_did(receiver, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.grpc_endpoint)
    exporter = create("otlp", ExporterSettings(metric_interval=0))
    receiver.poison = "shop/caller_7.py"
    process = ObservedProcess()
    for number in range(9):
        process.use(make_site(number))
    exporter.export(process.flush())
    exporter.force_flush(PLENTY)
    receiver.poison = ""
    process.dropped = (("call-site-limit", 5),)
    process.now += 15
    exporter.export(process.flush(observe=True))
    told = {a["lastcall.reason"]: value for a, value, *_ in receiver.points(names.METRIC_DROPPED)}
    assert told["otlp-traces-refused"] == 1
    assert told["call-site-limit"] == 5
    [statement] = [f for _, a, _ in receiver.logs() if (f := json.loads(a[names.PAYLOAD]))["event"] == "observation"]
    assert statement["dropped"]["otlp-traces-refused"] == 1
    assert statement["dropped_total"] == sum(statement["dropped"].values()) == sum(told.values())
    exporter.shutdown(1)


@pytest.mark.parametrize("asked", [True, False])
def test_the_setting_for_metrics_by_call_site_reaches_the_exporter(receiver, monkeypatch, asked, tmp_path):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.grpc_endpoint)
    settings = {"LASTCALL_STORE": str(tmp_path / "store.db"), "LASTCALL_METRICS_BY_SITE": "1" if asked else "0"}
    exporter = create_exporter("otlp", load(settings, cwd=str(tmp_path)))
    process = ObservedProcess()
    process.use(make_site(3))
    exporter.export(process.flush(observe=True))
    files = {a["code.file.path"] for a, *_ in receiver.points(names.METRIC_USES) if "code.file.path" in a}
    assert files == ({"shop/caller_3.py"} if asked else set())
    exporter.shutdown(1)


def test_call_sites_become_attributes_only_if_asked_for_and_under_a_cap(receiver, monkeypatch, tmp_path):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.grpc_endpoint)
    exporter = create("otlp", ExporterSettings(metric_call_sites=2))
    process = ObservedProcess()
    for number in range(5):
        process.use(make_site(number), times=number + 1)
    exporter.export(process.flush(observe=True))
    last = {a.get("code.file.path", ""): v for a, v, *_ in receiver.points(names.METRIC_USES) if a["lastcall.target"].endswith("old_total") and a["lastcall.origin"] == "direct"}
    assert last == {"shop/caller_0.py": 1, "shop/caller_1.py": 2, "": 12}
    exporter.shutdown(1)


def test_known_failures_are_counted_only_where_failures_are_observed(receiver, exporter):
    process = ObservedProcess()
    process.use(make_site(0), times=9)
    process.use(make_site(1), times=4)
    site_id = make_site(1).id
    count, first, last, _ = process.counts[site_id]
    process.counts[site_id] = (count, first, last, 3)
    exporter.export(process.flush(observe=True))
    assert {value for _, value, *_ in receiver.points(names.METRIC_FAILED_USES)} == {3}


# -- log records -------------------------------------------------------------------------------------------------


def test_a_log_record_says_the_same_as_the_entry_and_is_linked_to_the_active_span(receiver, exporter):
    process = ObservedProcess()
    process.use(make_site(), trace_id=TRACE, span_id=SPAN, trace_flags=1)
    exporter.export(process.flush(observe=True))
    (record, attributes, resource), (statement, about, _) = receiver.logs()
    assert record.event_name == "lastcall.use"
    assert record.severity_text == "WARNING"
    assert record.body.string_value.startswith("Deprecated shop.legacy:old_total was called by")
    assert (record.trace_id.hex(), record.span_id.hex()) == (f"{TRACE:032x}", f"{SPAN:016x}")
    assert record.time_unix_nano == int(process.now * 1e9)
    assert attributes["lastcall.target"] == "shop.legacy:old_total"
    assert resource["service.instance.id"] == process.process.id
    assert statement.event_name == "lastcall.observation"
    assert about["lastcall.event"] == "observation"


def test_beside_cloud_logging_the_logs_signal_can_be_off(receiver, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.grpc_endpoint)
    exporter = create("otlp", ExporterSettings(otlp_logs=False))
    process = ObservedProcess()
    process.use(make_site())
    exporter.export(process.flush(observe=True))
    assert receiver.spans()
    assert receiver.logs() == []
    exporter.shutdown(1)


# -- the standard variables ---------------------------------------------------------------------------------------


def test_the_sdk_disabled_sends_nothing(receiver, exporter, monkeypatch):
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    silent = create("otlp", ExporterSettings())
    process = ObservedProcess()
    process.use(make_site())
    silent.export(process.flush(observe=True))
    silent.shutdown(1)
    assert receiver.requests == {"traces": [], "metrics": [], "logs": []}


@pytest.mark.parametrize("signal", ["traces", "metrics", "logs"])
def test_a_signal_can_be_switched_off_by_its_standard_variable(receiver, monkeypatch, signal):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.http_endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    monkeypatch.setenv(f"OTEL_{signal.upper()}_EXPORTER", "none")
    exporter = create("otlp", ExporterSettings())
    process = ObservedProcess()
    process.use(make_site())
    exporter.export(process.flush(observe=True))
    exporter.shutdown(1)
    assert {name for name, requests in receiver.requests.items() if not requests} == {signal}


def test_headers_compression_and_resource_attributes_of_the_environment_are_honoured(receiver, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.http_endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=secret")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=chat,service.name=overridden")
    from lastcall.exporters import otel_resource

    otel_resource._detected.cache_clear()
    otel_resource.resource_of.cache_clear()
    exporter = create("otlp", ExporterSettings())
    process = ObservedProcess("c" * 16)
    process.use(make_site())
    exporter.export(process.flush())
    exporter.shutdown(1)
    assert receiver.headers[0]["x-api-key"] == "secret"
    assert receiver.headers[0]["content-encoding"] == "gzip"
    [(_, _, resource)] = receiver.spans()
    assert resource["team"] == "chat"
    assert resource["service.name"] == "shop"  # Lastcall's own setting is the more special one
    otel_resource._detected.cache_clear()
    otel_resource.resource_of.cache_clear()


@pytest.mark.parametrize(("environ", "expected"), [
    ({}, "grpc"),
    ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, "http"),
    ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}, "grpc"),
    ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, "http"),
    ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317"}, "grpc"),
    ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://x/otlp/v1/traces"}, "http"),
    ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:port"}, "grpc"),
])
def test_the_protocol_is_what_the_variables_say(environ, expected):
    assert protocol("traces", environ) == expected


def test_none_is_the_only_value_that_switches_a_signal_off():
    assert wanted("logs", {"OTEL_LOGS_EXPORTER": "console"})
    assert not wanted("logs", {"OTEL_LOGS_EXPORTER": "none"})
    assert not wanted("logs", {"OTEL_SDK_DISABLED": "TRUE"})


# -- the host -----------------------------------------------------------------------------------------------------


def test_a_dead_backend_is_nothing_the_host_hears_of(receiver, exporter, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    receiver.stop()
    process = ObservedProcess()
    process.use(make_site())
    exporter.export(process.flush(observe=True))
    exporter.force_flush(1.5)
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []
    assert capfd.readouterr().err == ""
    assert "127.0.0.1" in exporter.health().problem
    receiver.start()


def test_the_hosts_own_use_of_the_same_loggers_is_not_silenced(receiver, exporter, caplog):
    exporter.export(ObservedProcess().flush())
    # The SDK itself filters repeated messages on these loggers, hence one of its own for each run.
    said = f"the host's own exporter failed at {time.monotonic()}"
    logging.getLogger("opentelemetry.exporter.otlp.proto.grpc.exporter").error(said)
    assert said in caplog.text


def test_no_global_provider_is_set_and_no_thread_is_started(receiver, exporter):
    import threading

    from opentelemetry import metrics, trace

    before = {thread.name for thread in threading.enumerate()}
    process = ObservedProcess()
    process.use(make_site())
    exporter.export(process.flush(observe=True))
    assert type(trace.get_tracer_provider()).__name__ == "ProxyTracerProvider"
    assert type(metrics.get_meter_provider()).__name__ == "_ProxyMeterProvider"
    added = {thread.name for thread in threading.enumerate()} - before
    assert not any("Otel" in name or "OTel" in name or "Batch" in name for name in added), added


GLOBAL = """
import os, sys
sys.path[:0] = [os.environ["AGENT"], os.environ["TESTS"]]
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)
metrics.set_meter_provider(MeterProvider(metric_readers=[reader]))
from lastcall.exporters import ExporterSettings, create
from observed_process import ObservedProcess, make_site
def counted():
    data = reader.get_metrics_data()
    return sum(p.value for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics if m.name == "lastcall.uses" for p in m.data.data_points) if data else 0
exporter, process = create("otlp", ExporterSettings(otel_provider="global")), ObservedProcess()
process.use(make_site(), times=5)
exporter.export(process.flush(observe=True))
process.use(make_site(), times=1)
exporter.export(process.flush())
assert [s.name for s in spans.get_finished_spans()] == ["deprecated old_total"], spans.get_finished_spans()
assert counted() == 6, counted()
pid = os.fork()
if pid == 0:
    try:
        assert counted() == 0, counted()          # the parent's uses are not the child's
        child, own = create("otlp", ExporterSettings(otel_provider="global")), ObservedProcess("child")
        own.use(make_site(), times=2)
        child.export(own.flush(observe=True))
        assert counted() == 2, counted()
        os._exit(0)
    except BaseException as error:
        print(repr(error), file=sys.stderr)
        os._exit(1)
assert os.waitpid(pid, 0)[1] == 0
assert counted() == 6
print("fine")
"""


def test_global_providers_get_the_spans_and_true_counts_also_after_a_fork():
    import pathlib
    import subprocess
    import sys

    here = pathlib.Path(__file__).parent
    env = {**os.environ, "AGENT": str(here.parent / "agent"), "TESTS": str(here)}
    done = subprocess.run([sys.executable, "-c", GLOBAL], env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == "fine\n", done.stderr
    assert "already been created" not in done.stderr


def test_an_attempt_at_a_silent_receiver_is_bounded(receiver, exporter, monkeypatch):
    receiver.behaviour = "hang"
    attempts, attempt = [], Outbox._attempt
    monkeypatch.setattr(Outbox, "_attempt", lambda *given: attempts.append(given) or attempt(*given))
    for outbox in exporter._outboxes.values():
        outbox._attempt_timeout = 0.3
    process = ObservedProcess()
    process.use(make_site())
    began = time.monotonic()
    exporter.export(process.flush())
    assert time.monotonic() - began < HANG_SECONDS  # all three together, and each would wait as long
    assert len(attempts) == 3
    exporter.export(process.flush(final=True))
    exporter.shutdown(2)
    assert len(attempts) == 3


def test_where_nobody_answers_one_knock_tells_for_all_signals(monkeypatch, tmp_path):
    from lastcall.exporters import otel, otel_clients
    from lastcall.exporters.queueing import UnavailableError

    knocks = []
    monkeypatch.setattr(otel, "SILENCE_SECONDS", 3600)

    def silent(endpoint, timeout, **options):
        knocks.append(endpoint)
        raise UnavailableError(f"cannot reach {endpoint}")

    monkeypatch.setattr(otel_clients, "knock", silent)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://127.0.0.1:2")
    exporter = create("otlp", ExporterSettings(store=str(tmp_path / "store.db")))
    process = ObservedProcess()
    process.use(make_site())
    exporter.export(process.flush())
    assert sorted(knocks) == ["http://127.0.0.1:1", "http://127.0.0.1:2"]  # traces and logs share the first
    assert exporter.health().pending == 4
    exporter._silent.clear()  # as it is after that time
    exporter.force_flush(PLENTY)
    assert sorted(knocks) == ["http://127.0.0.1:1"] * 2 + ["http://127.0.0.1:2"] * 2
    exporter.shutdown(0.1)


def test_a_client_that_cannot_be_made_is_a_backend_that_is_not_there(monkeypatch):
    from lastcall.exporters import otel_clients
    from lastcall.exporters.queueing import UnavailableError

    def broken(self):
        raise ZeroDivisionError("odd\nand long")

    monkeypatch.setattr(otel_clients.Client, "_connected", broken)
    with pytest.raises(UnavailableError, match="OTLP traces: .*odd"):
        otel_clients.Client("traces", 1.0).send([], 1.0)
