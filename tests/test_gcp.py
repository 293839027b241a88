"""Cloud Logging: limits, partial failures, monitored resources, endpoints and credentials that are not there."""

import http.client
import json
import socket
import threading
import time

import pytest
from google.cloud.logging_v2 import types
from google.logging.type import log_severity_pb2
from google.rpc import code_pb2

from lastcall.errors import internal_errors
from lastcall.evidence import Frame
from lastcall.exporters import ExporterSettings, gcp_clients, queueing
from lastcall.exporters.gcp import GcpExporter
from lastcall.exporters.gcp_resource import Metadata, detect
from lastcall.exporters.queueing import UnavailableError
from loopback.cloud_logging import MAX_ENTRY, MAX_LABELS, CloudLogging
from loopback.patience import PLENTY, wait_for_answers
from observed_process import SPAN, TRACE, ObservedProcess, make_site
from test_exporters import grpc_writer, rebuilt
from waiting import until


@pytest.fixture(autouse=True)
def no_errors_left(monkeypatch):
    wait_for_answers(monkeypatch)
    internal_errors.clear()
    yield
    internal_errors.clear()


@pytest.fixture
def cloud():
    with CloudLogging() as service:
        yield service


@pytest.fixture(params=["grpc", "rest"])
def exporter(request, cloud, tmp_path):
    settings = ExporterSettings(gcp_project="demo", store=str(tmp_path / "store.db"), gcp_endpoint=cloud.rest_endpoint, attempt_timeout=PLENTY)
    made = GcpExporter(settings) if request.param == "rest" else GcpExporter(settings, connect=lambda _: grpc_writer(cloud))
    yield made
    made.shutdown(1)


def severity(entry):
    return log_severity_pb2.LogSeverity.Name(entry.severity)


# -- what an entry holds ---------------------------------------------------------------------------------------


def test_an_entry_carries_trace_location_labels_and_resource(cloud, exporter):
    process = ObservedProcess()
    process.use(make_site(), trace_id=TRACE, span_id=SPAN, trace_flags=1)
    exporter.export(process.flush())
    [entry] = cloud.entries
    assert entry.log_name == "projects/demo/logs/lastcall"
    assert entry.trace == f"projects/demo/traces/{TRACE:032x}"
    assert (entry.span_id, entry.trace_sampled) == (f"{SPAN:016x}", True)
    assert (entry.source_location.file, entry.source_location.line, entry.source_location.function) == ("shop/caller_0.py", 10, "Caller.use_0")
    assert dict(entry.labels) == {"event": "use", "target": "shop.legacy:old_total", "use": "call", "origin": "direct",
                                  "service": "shop", "environment": "staging", "release": "2026.11.3"}
    assert severity(entry) == "WARNING"
    assert entry.json_payload["message"] == ("Deprecated shop.legacy:old_total was called by shop.caller_0 at shop/caller_0.py:10; "
                                             "use shop.pricing:total instead; to be removed by 2026-12-31.")
    assert dict(entry.json_payload["serviceContext"]) == {"service": "shop", "version": "2026.11.3"}
    assert (entry.resource.type, dict(entry.resource.labels)) == ("global", {"project_id": "demo"})
    assert entry.timestamp.ToNanoseconds() == int(process.now * 1e9)


def test_allowed_uses_are_information_and_findings_are_errors(cloud, exporter):
    process = ObservedProcess()
    process.use(make_site(), allowed=True, allow_reason="the factory itself")
    process.find()
    exporter.export(process.flush(observe=True))
    severities = {severity(entry) for entry in cloud.entries if entry.labels["event"] == "use"}
    assert severities == {"INFO"}
    assert [severity(e) for e in cloud.entries if e.labels["event"] == "finding"] == ["ERROR"]
    [statement] = cloud.payloads("observation")
    assert [row["allowed"] for row in statement["counts"]] == [True]


def test_a_retry_is_not_a_second_entry(cloud, exporter, monkeypatch):
    process = ObservedProcess()
    process.use(make_site())
    batch = process.flush(observe=True)
    write, calls = cloud.write, []

    def lost_answer(request):
        errors = write(request)
        calls.append(len(request.entries))
        if len(calls) == 1:
            cloud.behaviour = "refuse"  # kept, but the client is told otherwise
            time.sleep(1.3)
        return errors

    monkeypatch.setattr(cloud, "write", lost_answer)
    exporter._outbox._attempt_timeout = 1.0
    exporter.export(batch)
    assert exporter.health().pending == 2
    until(lambda: calls)  # it may have been given up before it came to anything
    cloud.behave("ok")
    exporter._outbox._attempt_timeout = PLENTY
    assert exporter.force_flush(PLENTY)
    assert len(cloud.entries) == 2
    assert cloud.duplicates == 2


# -- limits ----------------------------------------------------------------------------------------------------


def test_a_deep_stack_is_cut_in_the_middle_and_says_so(cloud, exporter):
    process = ObservedProcess()
    frames = tuple(Frame(f"shop/a/rather/long/path/of/a/module/number_{i}.py", i, f"Some.rather_long_function_name_{i}") for i in range(6000))
    process.use(make_site(stack=frames))
    exporter.export(process.flush())
    [use] = cloud.payloads("use")
    kept = len(use["stack"])
    assert use["stack_omitted"] == 6000 - kept > 0
    assert use["stack"][0].endswith("name_0")
    assert use["stack"][-1].endswith("name_5999")
    assert cloud.entries[0].ByteSize() < MAX_ENTRY


def test_thousands_of_sites_are_stated_in_parts_that_fit(cloud, exporter):
    process = ObservedProcess()
    for number in range(4_000):
        process.use(make_site(number, depth=0, file=f"shop/some/package/module_{number}.py"), times=number % 7 + 1)
    for _ in range(20):
        exporter.export(process.flush())
        if exporter.force_flush(PLENTY):
            break
    exporter.export(process.flush(observe=True))
    assert exporter.force_flush(PLENTY)
    statements = cloud.payloads("observation")
    assert len(statements) == statements[0]["parts"] > 4
    assert rebuilt(statements) == process.truth()
    assert max(entry.ByteSize() for entry in cloud.entries) < MAX_ENTRY * 0.9
    assert max(len(entry.labels) for entry in cloud.entries) <= MAX_LABELS
    assert sum(statement["uses"] for statement in statements) == process.total()


def test_the_service_enforces_what_it_documents(cloud):
    """The loopback service would notice: otherwise the tests above prove nothing."""
    request = types.WriteLogEntriesRequest.pb(types.WriteLogEntriesRequest())
    request.log_name = "projects/demo/logs/lastcall"
    for number in range(3):
        entry = request.entries.add(insert_id=str(number))
        entry.json_payload["text"] = "x" * (300 * 1024 if number == 1 else 10)
    request.entries[2].labels.update({str(n): "v" for n in range(65)})
    errors = cloud.write(request)
    assert {index: code for index, (code, _) in errors.items()} == {1: code_pb2.INVALID_ARGUMENT, 2: code_pb2.INVALID_ARGUMENT}
    assert [entry.insert_id for entry in cloud.entries] == ["0"]


def test_entries_refused_one_by_one_are_counted_the_passing_ones_come_again(cloud, exporter):
    process = ObservedProcess()
    for number in range(6):
        process.use(make_site(number))
    batch = process.flush()
    from lastcall.exporters.entries import EntryBuilder

    ids = [item["insertId"] for item in EntryBuilder(ExporterSettings()).items(batch)]
    cloud.entry_errors = {ids[1]: code_pb2.INVALID_ARGUMENT, ids[4]: code_pb2.UNAVAILABLE}
    exporter.export(batch)
    assert len(cloud.entries) == 4
    assert exporter.health().pending == 1
    assert exporter.force_flush(PLENTY)
    assert sorted(entry.insert_id for entry in cloud.entries) == sorted(set(ids) - {ids[1]})
    assert exporter.health().dropped == (("gcp-refused", 1),)
    assert "refused for good" in exporter.health().problem
    exporter.export(process.flush(observe=True))
    [statement] = cloud.payloads("observation")
    assert statement["dropped"] == {"gcp-refused": 1}


# -- what is wrong -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("behaviour", "said"), [
    ("deny", "no permission to write to project demo (roles/logging.logWriter)"),
    ("expired", "credentials"),
    ("missing", "no project demo"),
    ("quota", "injected"),
    ("refuse", ""),
])
def test_a_problem_is_one_clear_line_and_one_internal_error(cloud, exporter, behaviour, said):
    cloud.behave(behaviour)
    process = ObservedProcess()
    process.use(make_site())
    for _ in range(3):
        exporter.export(process.flush(observe=True))
    problem = exporter.health().problem
    assert "\n" not in problem
    assert said in problem or behaviour in problem
    assert internal_errors.counts() == (("gcp", 1),)
    assert exporter.probe(PLENTY).startswith("Cloud Logging: ")


@pytest.fixture
def black_hole():
    """A port that takes connections into its backlog and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_black_hole_costs_the_attempt_s_bound_and_an_exit_less_than_half_a_second(black_hole, tmp_path, monkeypatch):
    attempts, attempt = [], queueing.Outbox._attempt
    monkeypatch.setattr(queueing.Outbox, "_attempt", lambda outbox, queue, chunk, timeout: attempts.append(timeout) or attempt(outbox, queue, chunk, timeout))
    exporter = GcpExporter(ExporterSettings(gcp_project="demo", gcp_endpoint=black_hole, store=str(tmp_path / "s"), attempt_timeout=0.7))
    process = ObservedProcess()
    process.use(make_site())
    began = time.monotonic()
    exporter.export(process.flush(observe=True))
    assert 0.6 < time.monotonic() - began < 30  # and not for ever
    assert attempts == [pytest.approx(0.7, abs=0.1)]
    exporter.export(process.flush(final=True))
    exporter.shutdown(2)
    assert len(attempts) == 1  # it was known to be dead
    monkeypatch.setattr(queueing, "KNOCK_SECONDS", 0.2)
    monkeypatch.setattr(queueing._patience, "_left", queueing.EXIT_PATIENCE)
    fresh = GcpExporter(ExporterSettings(gcp_project="demo", gcp_endpoint=black_hole, store=str(tmp_path / "s"), attempt_timeout=PLENTY))
    fresh.export(process.flush(final=True))
    began = time.monotonic()
    fresh.shutdown(PLENTY)
    assert time.monotonic() - began < 20
    assert attempts[1:] == [queueing.EXIT_PATIENCE]


def test_a_broken_tls_endpoint_is_one_line(tmp_path):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)

        def talk():
            try:
                while True:
                    peer, _ = listener.accept()
                    peer.sendall(b"this is not TLS\r\n")
                    peer.close()
            except OSError:
                return

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        from google.auth.credentials import AnonymousCredentials

        client = gcp_clients.grpc_client(f"127.0.0.1:{listener.getsockname()[1]}", AnonymousCredentials())
        writer = gcp_clients.GrpcWriter("demo", client)
        exporter = GcpExporter(ExporterSettings(gcp_project="demo", store=str(tmp_path / "s"), attempt_timeout=1.0), connect=lambda _: writer)
        process = ObservedProcess()
        process.use(make_site())
        exporter.export(process.flush())
        assert exporter.health().pending == 1
        assert exporter.health().problem
        assert "\n" not in exporter.health().problem
        exporter.shutdown(1)
        writer.close()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def test_no_credentials_are_missed_at_once_not_after_looking_for_a_metadata_server(monkeypatch, tmp_path):
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "K_SERVICE", "KUBERNETES_SERVICE_HOST", "GCE_METADATA_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setattr(gcp_clients, "on_google", lambda: False)
    asked = []
    monkeypatch.setattr("socket.socket.connect", lambda *given: asked.append(given))
    with pytest.raises(UnavailableError, match="LASTCALL_GCP_MODE=stdout"):
        gcp_clients.connect(ExporterSettings(gcp_project="demo"))
    assert not asked


def test_unreadable_credentials_are_one_line(monkeypatch, tmp_path):
    path = tmp_path / "key.json"
    path.write_text("{ not json")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    with pytest.raises(UnavailableError, match="no usable credentials") as caught:
        gcp_clients.connect(ExporterSettings(gcp_project="demo"))
    assert "\n" not in str(caught.value)


def test_no_project_is_said(monkeypatch):
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    with pytest.raises(UnavailableError, match="GOOGLE_CLOUD_PROJECT"):
        gcp_clients.connect(ExporterSettings(gcp_endpoint="http://127.0.0.1:1"))


# -- where we are --------------------------------------------------------------------------------------------------

SERVER = {
    "instance/region": "projects/123/regions/europe-west1",
    "instance/zone": "projects/123/zones/europe-west1-b",
    "instance/id": "987654321",
    "instance/attributes/cluster-name": "main",
    "instance/attributes/cluster-location": "europe-west1",
}


@pytest.mark.parametrize(("environ", "kind", "labels"), [
    ({"K_SERVICE": "shop", "K_REVISION": "shop-7", "K_CONFIGURATION": "shop"}, "cloud_run_revision",
     {"service_name": "shop", "revision_name": "shop-7", "configuration_name": "shop", "location": "europe-west1"}),
    ({"CLOUD_RUN_JOB": "nightly"}, "cloud_run_job", {"job_name": "nightly", "location": "europe-west1"}),
    ({"K_SERVICE": "fn", "FUNCTION_TARGET": "main"}, "cloud_function", {"function_name": "fn", "region": "europe-west1"}),
    ({"GAE_SERVICE": "default", "GAE_VERSION": "v1"}, "gae_app", {"module_id": "default", "version_id": "v1", "zone": "europe-west1-b"}),
    ({"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOSTNAME": "shop-pod", "CONTAINER_NAME": "web"}, "k8s_container",
     {"location": "europe-west1", "cluster_name": "main", "namespace_name": "prod", "pod_name": "shop-pod", "container_name": "web"}),
    ({"GCE_METADATA_HOST": "127.0.0.1"}, "gce_instance", {"instance_id": "987654321", "zone": "europe-west1-b"}),
    ({}, "global", {}),
])
def test_the_monitored_resource_of_each_platform(environ, kind, labels, tmp_path):
    namespace = tmp_path / "namespace"
    namespace.write_text("prod\n")
    found = detect("demo", environ, ask=lambda path: SERVER.get(path, ""), firmware=tmp_path / "none", namespace=namespace)
    assert found == {"type": kind, "labels": {"project_id": "demo", **labels}}


def test_a_machine_of_google_is_known_by_its_firmware(tmp_path):
    firmware = tmp_path / "product_name"
    firmware.write_text("Google Compute Engine\n")
    assert detect("demo", {}, ask=lambda path: SERVER.get(path, ""), firmware=firmware)["type"] == "gce_instance"


def test_a_metadata_server_that_never_answers_costs_one_second_in_all(black_hole, monkeypatch):
    asked, connect = [], http.client.HTTPConnection.connect
    monkeypatch.setattr(http.client.HTTPConnection, "connect", lambda given: asked.append(given) or connect(given))
    ask = Metadata({"GCE_METADATA_HOST": black_hole.removeprefix("http://")}, seconds=0.5)
    began = time.monotonic()
    found = detect("demo", {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, ask=ask)
    assert time.monotonic() - began < 20  # and not for ever
    assert len(asked) == 1
    assert found["type"] == "k8s_container"


def test_a_real_metadata_answer_is_read_and_an_error_page_is_not():
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            path = self.path.removeprefix("/computeMetadata/v1/")
            known = self.headers["Metadata-Flavor"] == "Google" and path in SERVER
            self.send_response(200 if known else 404)
            self.end_headers()
            self.wfile.write(SERVER[path].encode() if known else b"<html>no such thing</html>")

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        found = detect("demo", {"CLOUD_RUN_JOB": "j"}, ask=Metadata({"GCE_METADATA_HOST": f"127.0.0.1:{server.server_port}"}, PLENTY))
        assert found["labels"]["location"] == "europe-west1"
        nothing = Metadata({"GCE_METADATA_HOST": f"127.0.0.1:{server.server_port}"}, PLENTY)
        assert nothing("instance/nonsense") == ""
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_later_revision_sends_what_an_earlier_one_left_under_the_earlier_ones_name(cloud, tmp_path, monkeypatch):
    settings = ExporterSettings(gcp_project="demo", store=str(tmp_path / "s"), gcp_endpoint=cloud.rest_endpoint)
    monkeypatch.setenv("GCE_METADATA_HOST", "127.0.0.1:9")
    cloud.behave("refuse")
    for revision in ("shop-1", "shop-2"):
        monkeypatch.setenv("K_SERVICE", "shop")
        monkeypatch.setenv("K_REVISION", revision)
        exporter, process = GcpExporter(settings), ObservedProcess(revision)
        process.use(make_site())
        exporter.export(process.flush())
        exporter.shutdown(1)
        cloud.behave("ok")
    assert {(e.json_payload["lastcall"]["process"], e.resource.labels["revision_name"]) for e in cloud.entries} >= {("shop-1", "shop-1")}


def test_the_sending_of_entries_makes_no_spans_and_no_log_records(cloud, exporter, caplog):
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    provider, spans = TracerProvider(shutdown_on_exit=False), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    caplog.set_level("DEBUG")
    with provider.get_tracer("host").start_as_current_span("request"):
        assert trace.get_current_span().is_recording()
        cloud.behave("refuse")
        process = ObservedProcess()
        process.use(make_site())
        exporter.export(process.flush())
    assert [span.name for span in spans.get_finished_spans()] == ["request"]
    assert [record.name for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []
    provider.shutdown()


def test_json_of_the_payload_is_what_a_log_based_metric_extracts(cloud, exporter):
    process = ObservedProcess()
    process.use(make_site(), times=3)
    exporter.export(process.flush(observe=True))
    use = next(e for e in cloud.entries if e.labels["event"] == "use")
    assert json.loads(types.LogEntry.to_json(types.LogEntry.wrap(use)))["jsonPayload"]["lastcall"]["count"] == 3


def test_what_googles_libraries_say_of_an_ageing_python_is_not_said_in_the_host():
    import warnings

    from lastcall.exporters.discretion import unannounced

    before = list(warnings.filters)
    with unannounced():
        warnings.warn("You are using a non-supported Python version (3.10.13). Google will not post any further updates", FutureWarning)
        with pytest.raises(FutureWarning, match="the host's own"):  # an error here, as everywhere in these tests
            warnings.warn("the host's own", FutureWarning)
    assert warnings.filters == before
    with pytest.raises(FutureWarning):
        warnings.warn("You are using a Python version (3.11.7) which Google will stop supporting", FutureWarning)
