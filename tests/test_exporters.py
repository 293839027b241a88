"""Every exporter, and both Cloud Logging modes, under one suite: what is promised for all of them."""

import io
import json
import os
import pathlib

import grpc
import pytest
from google.cloud.logging_v2 import types
from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
from google.cloud.logging_v2.services.logging_service_v2.transports import LoggingServiceV2GrpcTransport
from google.protobuf import json_format

from lastcall.errors import UsageError, internal_errors
from lastcall.exporters import NAMES, ExporterSettings, create, entries, names
from lastcall.exporters.gcp import GcpExporter, StreamExporter
from lastcall.exporters.gcp_clients import GrpcWriter
from lastcall.testing import MemoryExporter
from lastcall.verdict import OUTAGES
from loopback.cloud_logging import CloudLogging
from loopback.otlp import Receiver
from loopback.patience import PLENTY, wait_for_answers
from observed_process import SPAN, TRACE, ObservedProcess, make_site


def grpc_writer(service):
    """The library's own gRPC client on a plaintext channel: loopback has no certificates."""
    transport = LoggingServiceV2GrpcTransport(channel=grpc.insecure_channel(service.grpc_target))
    return GrpcWriter("demo", LoggingServiceV2Client(transport=transport))


def lift(line):
    """A line of JSON as the platform's logging agent makes a LogEntry of it."""
    fields = json.loads(line)
    prefix = "logging.googleapis.com/"
    entry = {"severity": fields.pop("severity"), "timestamp": fields.pop("time")}
    for key in ("insertId", "labels", "sourceLocation", "trace", "spanId"):
        if prefix + key in fields:
            entry[key] = fields.pop(prefix + key)
    if prefix + "trace_sampled" in fields:
        entry["traceSampled"] = fields.pop(prefix + "trace_sampled")
    entry["jsonPayload"] = fields
    return json_format.ParseDict(entry, types.LogEntry.pb(types.LogEntry()))


class Way:
    """One exporter with its backend. `payloads()` gives the `lastcall` objects that arrived, in a backend's own form."""

    def __init__(self, kind, folder):
        self.kind, self.folder, self.made = kind, folder, []
        self.cloud, self.receiver, self.stream, self.memory = CloudLogging(), Receiver(), None, None

    def __enter__(self):
        if self.kind.startswith("gcp-") and self.kind != "gcp-stdout":
            self.cloud.start()
        elif self.kind.startswith("otlp"):
            self.receiver.start()
        elif self.kind == "gcp-stdout":
            self.stream = open(self.folder / "stdout", "a+", encoding="utf-8")
        return self

    def __exit__(self, *exc):
        if self.stream:
            self.stream.close()
        elif self.kind.startswith("gcp-"):
            self.cloud.stop()
        elif self.kind.startswith("otlp"):
            self.receiver.stop()

    @property
    def unreliable(self):
        return self.kind not in ("gcp-stdout", "memory")

    def exporter(self, **changes):
        self.made.append(self._exporter(**changes))
        self._allow_time()
        return self.made[-1]

    def _exporter(self, **changes):
        settings = ExporterSettings(service="shop", store=str(self.folder / "store.db"), gcp_project="demo", attempt_timeout=PLENTY, **changes)
        if self.kind == "memory":
            self.memory = MemoryExporter(settings)
            return self.memory
        if self.kind == "gcp-stdout":
            return StreamExporter(settings, self.stream)
        if self.kind == "gcp-grpc":
            return GcpExporter(settings, connect=lambda _: grpc_writer(self.cloud))
        if self.kind == "gcp-rest":
            return create("gcp", ExporterSettings(**{**_fields(settings), "gcp_endpoint": self.cloud.rest_endpoint}))
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = self.receiver.grpc_endpoint if self.kind == "otlp-grpc" else self.receiver.http_endpoint
        os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "grpc" if self.kind == "otlp-grpc" else "http/protobuf"
        return create("otlp", settings)

    def behave(self, behaviour):
        self.cloud.behave(behaviour)
        self.receiver.behaviour = behaviour
        self._allow_time()

    def _allow_time(self):
        """An answer is waited for; OpenTelemetry's exporters ask one that is overloaded again and again, as long as they may."""
        for exporter in self.made:
            for outbox in getattr(exporter, "_outboxes", {}).values():
                outbox._attempt_timeout = PLENTY if self.receiver.behaviour == "ok" else 0.5

    def payloads(self, event=None):
        if self.kind == "memory":
            return self.memory.payloads(event or "")
        if self.kind == "gcp-stdout":
            self.stream.flush()
            lines = (self.folder / "stdout").read_text(encoding="utf-8").splitlines()
            found = [json_format.MessageToDict(lift(line).json_payload)["lastcall"] for line in lines]
        elif self.kind.startswith("gcp"):
            found = self.cloud.payloads()
        else:
            found = [json.loads(attributes[names.PAYLOAD]) for _, attributes, _ in self.receiver.logs()]
        return [fields for fields in found if event in (None, fields["event"])]


def _fields(settings):
    return {name: getattr(settings, name) for name in settings.__slots__}


KINDS = ("otlp-grpc", "otlp-http", "gcp-grpc", "gcp-rest", "gcp-stdout", "memory")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "")
    wait_for_answers(monkeypatch)
    internal_errors.clear()
    yield
    internal_errors.clear()


@pytest.fixture(params=KINDS)
def way(request, tmp_path):
    with Way(request.param, tmp_path) as made:
        yield made


@pytest.fixture(params=[kind for kind in KINDS if kind not in ("gcp-stdout", "memory")])
def networked(request, tmp_path):
    with Way(request.param, tmp_path) as made:
        yield made


def rebuilt(payloads):
    """Counts from observation payloads alone: the largest count of each process and site, added up by site."""
    largest = {}
    for statement in payloads:
        for row in statement.get("counts", ()):
            key = (statement["process"], row["site"])
            largest[key] = max(largest.get(key, 0), int(row["count"]))
    sums = {}
    for (_, site), count in largest.items():
        sums[site] = sums.get(site, 0) + count
    return sums


def test_first_sight_arrives_with_its_stack_and_what_is_known_of_the_target(way):
    exporter, process = way.exporter(), ObservedProcess()
    process.use(make_site(), trace_id=TRACE, span_id=SPAN, trace_flags=1)
    exporter.export(process.flush())
    [use] = way.payloads("use")
    assert use["target"] == "shop.legacy:old_total"
    assert use["first"] is True
    assert use["count"] == 1
    assert use["stack"] == ["shop/frame_0.py:1 step_0", "shop/frame_1.py:2 step_1", "shop/frame_2.py:3 step_2"]
    assert (use["file"], use["line"], use["function"], use["module"]) == ("shop/caller_0.py", 10, "Caller.use_0", "shop.caller_0")
    assert (use["replacement"], use["owner"], use["remove_by"], use["issue"]) == ("shop.pricing:total", "pricing", "2026-12-31", "#12")
    exporter.shutdown(1)


def test_counts_of_use_entries_add_up_to_the_truth_sampled_or_not(way):
    exporter, process = way.exporter(), ObservedProcess()
    hot, rare = make_site(0), make_site(1)
    process.use(hot)
    process.use(rare)
    exporter.export(process.flush(observe=True))
    for minute in range(5):
        process.now += 61
        process.use(hot, times=1000 + minute, detailed=minute % 2 == 0)
        exporter.export(process.flush())
    process.now += 1
    process.use(rare, times=3)
    exporter.export(process.flush(final=True))
    assert exporter.force_flush(PLENTY)
    exporter.shutdown(PLENTY)
    sums = {}
    for use in way.payloads("use"):
        sums[use["site"]] = sums.get(use["site"], 0) + use["count"]
    assert sums == process.truth() == {hot.id: 5011, rare.id: 4}


def test_observations_alone_rebuild_every_count_and_state_an_explicit_zero(way):
    exporter, process = way.exporter(), ObservedProcess()
    for number in range(7):
        process.use(make_site(number), times=number * 11 + 1)
    exporter.export(process.flush(observe=True))
    process.now += 600
    process.use(make_site(3), times=5)
    exporter.export(process.flush(final=True))
    assert exporter.force_flush(PLENTY)
    exporter.shutdown(PLENTY)
    statements = way.payloads("observation")
    assert rebuilt(statements) == process.truth()
    last = statements[-1]
    assert last["final"] is True
    assert [row["ref"] for row in last["targets"]] == ["shop.legacy:old_total", "shop.legacy:unused"]
    assert {row["state"] for row in last["targets"]} == {"armed"}
    assert not any(row["target"] == "shop.legacy:unused" for row in last["counts"])
    assert last["armed"] == 2


def test_a_finding_arrives_as_an_error_with_its_site(way):
    exporter, process = way.exporter(), ObservedProcess()
    process.find(site=make_site(), attributes=(("owners", "2"),))
    exporter.export(process.flush())
    [finding] = way.payloads("finding")
    assert (finding["finding"], finding["text"], finding["line"]) == ("isolation", "one object, two owners", 10)
    assert finding["attributes"] == {"owners": "2"}
    exporter.shutdown(1)


def test_a_hostile_name_cannot_stop_the_entry(way):
    exporter, process = way.exporter(), ObservedProcess()
    process.use(make_site(file='we"ird\udc80\n/\u202e.py', function="f\x00\U0001f600", expression="x" * 20_000))
    exporter.export(process.flush(observe=True))
    [use] = way.payloads("use")
    assert use["file"] == 'we"ird\\udc80\n/\u202e.py'
    assert len(use["expression"]) == entries.TEXT_CHARS
    exporter.shutdown(1)


def test_repeats_beyond_the_budget_are_counted_but_not_sent_in_detail(way):
    exporter, process = way.exporter(), ObservedProcess()
    process.use(make_site())
    exporter.export(process.flush())
    for _ in range(30):
        process.now += 2
        process.use(make_site(), times=10, detailed=True)
        exporter.export(process.flush())
    exporter.export(process.flush(final=True))
    assert exporter.force_flush(PLENTY)
    exporter.shutdown(PLENTY)
    uses = way.payloads("use")
    assert len(uses) <= 4
    assert sum(use["count"] for use in uses) == process.total() == 301


def test_an_idle_flush_sends_nothing(way):
    exporter, process = way.exporter(metric_interval=1e9), ObservedProcess()
    process.use(make_site())
    exporter.export(process.flush(observe=True))
    before = len(way.payloads())
    for _ in range(5):
        process.now += 1
        exporter.export(process.flush())
    assert len(way.payloads()) == before == 2
    exporter.shutdown(1)


def test_shutdown_leaves_nothing_behind(way):
    exporter, process = way.exporter(), ObservedProcess()
    process.use(make_site())
    exporter.export(process.flush(final=True))
    assert exporter.force_flush(PLENTY)
    exporter.shutdown(PLENTY)
    assert exporter.health().pending == 0
    assert list(way.folder.glob("store.db-spool/*/*")) == []


@pytest.mark.parametrize("behaviour", ["refuse", "deny"])
def test_an_outage_loses_nothing_and_costs_one_internal_error(networked, behaviour):
    exporter, process = networked.exporter(), ObservedProcess()
    networked.behave(behaviour)
    for number in range(20):
        process.now += 1
        process.use(make_site(number), times=number + 1)
        exporter.export(process.flush(observe=number % 5 == 0))
    assert networked.payloads() == []
    assert exporter.health().pending > 20
    assert exporter.health().problem
    counted = dict(internal_errors.counts())
    assert set(counted.values()) == {1}, counted
    assert {f"internal:{slug}" for slug in counted} <= set(OUTAGES)  # no reason against a verdict
    networked.behave("ok")
    exporter.export(process.flush(final=True))
    assert exporter.force_flush(PLENTY)
    firsts = [use["site"] for use in networked.payloads("use") if use["first"]]
    assert sorted(firsts) == sorted(process.sites)
    assert rebuilt(networked.payloads("observation")) == process.truth()
    assert exporter.health().problem == ""
    exporter.shutdown(1)


def test_what_a_process_could_not_send_is_sent_by_the_next_one(networked):
    process = ObservedProcess()
    networked.behave("refuse")
    exporter = networked.exporter()
    for number in range(3):
        process.use(make_site(number), times=number + 1)
    exporter.export(process.flush(final=True))
    exporter.shutdown(0.5)
    assert networked.payloads() == []
    networked.behave("ok")
    later, next_process = networked.exporter(), ObservedProcess("fedcba9876543210", release="2026.12.1")
    later.export(next_process.flush(observe=True))
    assert later.force_flush(PLENTY)
    later.shutdown(PLENTY)
    assert rebuilt(networked.payloads("observation")) == process.truth()
    assert sorted(use["site"] for use in networked.payloads("use") if use["first"]) == sorted(process.sites)
    assert {use["release"] for use in networked.payloads("use")} == {"2026.11.3"}
    assert list(networked.folder.glob("store.db-spool/*/*")) == []


def test_without_a_disk_what_waits_stays_in_bounded_memory(networked):
    (networked.folder / "store.db-spool").write_text("not a folder")
    exporter, process = networked.exporter(), ObservedProcess()
    networked.behave("refuse")
    process.use(make_site(), times=4)
    exporter.export(process.flush(observe=True))
    assert exporter.health().pending
    networked.behave("ok")
    assert exporter.force_flush(PLENTY)
    assert rebuilt(networked.payloads("observation")) == process.truth()
    exporter.shutdown(1)


def test_probe_says_in_one_sentence_what_is_wrong(networked):
    exporter = networked.exporter()
    assert exporter.probe(PLENTY) == ""
    networked.behave("deny")
    said = exporter.probe(PLENTY)
    assert "\n" not in said
    assert "permission" in said.lower() or "403" in said
    assert networked.payloads() == []
    exporter.shutdown(1)


def test_an_unknown_exporter_is_a_usage_error_that_names_the_known_ones():
    with pytest.raises(UsageError, match="gcp, memory, otlp"):
        create("jaeger", ExporterSettings())
    assert NAMES == ("gcp", "memory", "otlp")


@pytest.mark.parametrize("mode", ["api", "rest"])
def test_both_modes_of_cloud_logging_give_equal_entries(tmp_path, mode):
    process = ObservedProcess()
    process.use(make_site(0), trace_id=TRACE, span_id=SPAN, trace_flags=1)
    process.use(make_site(1, during_import=True, note="use \u20ac", via="shop.Sub"), end_ns=int(process.now * 1e9) + 5, error_type="KeyError")
    process.find(site=make_site(0))
    process.refer()
    process.dropped, process.errors = (("sites", 2),), (("flush", 1),)
    batch = process.flush(observe=True)
    stream = open(tmp_path / "out", "a+", encoding="utf-8")
    StreamExporter(ExporterSettings(gcp_project="demo"), stream).export(batch)
    stream.close()
    lifted = [lift(line) for line in (tmp_path / "out").read_text().splitlines()]
    with CloudLogging() as cloud:
        settings = ExporterSettings(gcp_project="demo", gcp_endpoint=cloud.rest_endpoint)
        exporter = GcpExporter(settings) if mode == "rest" else GcpExporter(settings, connect=lambda _: grpc_writer(cloud))
        exporter.export(batch)
        exporter.shutdown(1)
        written = list(cloud.entries)
    assert len(written) == len(lifted) == 4
    for ours, theirs in zip(lifted, written, strict=True):
        theirs.ClearField("resource")  # the platform's agent sets both itself
        theirs.ClearField("log_name")
        theirs.ClearField("receive_timestamp")
        assert ours == theirs


def test_names_and_the_page_that_documents_them_agree():
    page = (pathlib.Path(__file__).parents[1] / "docs" / "telemetry.md").read_text(encoding="utf-8")
    constants = [value for key, value in vars(names).items() if key.isupper() and isinstance(value, str) and key != "SPAN_PREFIX"]
    missing = [value for value in constants if f"`{value}" not in page]
    fields = {*names.FIELDS_USE, *names.FIELDS_OBSERVATION, *names.FIELDS_FINDING, *names.FIELDS_OBSERVATION_TARGET,
              *names.FIELDS_OBSERVATION_COUNT, *names.FIELDS_REFERENCE, *names.LABELS}
    missing += [field for field in fields if f"`{field}`" not in page]
    assert missing == []


def test_every_field_that_is_sent_is_a_documented_one():
    process = ObservedProcess()
    process.use(make_site(0, during_import=True, by_test=True, scanner=True, via="v", note="n", depth=5000), error_type="E",
                end_ns=1, allowed=True, allow_reason="r", trace_id=TRACE, span_id=SPAN)
    process.find(site=make_site(0), attributes=(("a", "b"),))
    process.refer()
    process.dropped, process.errors = (("sites", 2),), (("flush", 1),)
    exporter = MemoryExporter()
    exporter.export(process.flush(observe=True))
    allowed = {"use": names.FIELDS_USE, "observation": names.FIELDS_OBSERVATION, "finding": names.FIELDS_FINDING}
    for fields in exporter.payloads():
        assert set(fields) <= set(allowed[fields["event"]])
        for key, rows in (("targets", names.FIELDS_OBSERVATION_TARGET), ("counts", names.FIELDS_OBSERVATION_COUNT), ("references", names.FIELDS_REFERENCE)):
            assert all(set(row) <= set(rows) for row in fields.get(key, ()))
    for entry in exporter.entries:
        assert set(entry["labels"]) <= set(names.LABELS)


def test_nothing_heavy_is_imported_before_an_adapter_is_made():
    import subprocess
    import sys

    code = ("import sys; import lastcall.exporters, lastcall.exporters.names, lastcall.exporters.queueing, lastcall.exporters.entries, lastcall.testing;"
            "print([m for m in sys.modules if m.split('.')[0] in ('opentelemetry', 'google', 'grpc', 'requests')])")
    env = {**os.environ, "PYTHONPATH": os.path.join(os.path.dirname(__file__), "..", "agent")}
    out = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_stdout_lines_are_whole_even_beside_a_host_that_buffers(tmp_path):
    path = tmp_path / "out"
    with open(path, "w", buffering=8192, encoding="utf-8") as stream:
        exporter, process = StreamExporter(ExporterSettings(), stream), ObservedProcess()
        for number in range(50):
            stream.write(f"host line {number} " + "x" * 500 + "\n")
            process.use(make_site(number))
            exporter.export(process.flush())
    lines = path.read_text().splitlines()
    assert sum(line.startswith("host line") and line.endswith("xxx") for line in lines) == 50
    assert sum("lastcall" in json.loads(line) for line in lines if line.startswith("{")) == 50


def test_a_closed_stream_drops_entries_and_says_so():
    stream = io.StringIO()
    exporter, process = StreamExporter(ExporterSettings(), stream), ObservedProcess()
    process.use(make_site())
    exporter.export(process.flush())
    assert exporter.health().dropped == (("gcp-stream", 1),)
    assert "cannot write" in exporter.probe(1)
