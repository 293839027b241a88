"""Every panel's PromQL on a real backend, fed by the real OTLP exporter: VictoriaMetrics from Debian."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from lastcall.exporters import ExporterSettings, create
from observed_process import ObservedProcess, make_site, make_target
from promtool.binaries import binary

pytestmark = [pytest.mark.backend, pytest.mark.timeout(300)]
ROOT = Path(__file__).resolve().parents[1]
GRAFANA = json.loads((ROOT / "dashboards" / "grafana" / "lastcall.json").read_text())
CLOUD = json.loads((ROOT / "dashboards/cloud-monitoring/dashboards/otlp-road-to-zero.json").read_text())
OLD, UNUSED, LATE = "shop.legacy:old_total", "shop.legacy:unused", "shop.legacy:late"


class Backend:
    """A running VictoriaMetrics."""

    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}"

    def query(self, promql):
        """{label values, in the order of label names: value} of an instant query; names left out."""
        query = urllib.parse.urlencode({"query": promql, "time": f"{time.time() + 1:.3f}"})
        answer = json.loads(self.get(f"/api/v1/query?{query}"))
        assert answer["status"] == "success"
        rows = {}
        for row in answer["data"]["result"]:
            labels = {key: value for key, value in sorted(row["metric"].items()) if key != "__name__"}
            rows[tuple(labels.values())] = float(row["value"][1])
        return rows

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=20) as response:
            return response.read().decode()

    def wait_for(self, promql):
        """Until a query has an answer: what was sent becomes visible after a moment."""
        self.get("/internal/force_flush")
        deadline = time.monotonic() + 60
        while not (rows := self.query(promql)):
            assert time.monotonic() < deadline, f"nothing for {promql}"
            time.sleep(0.2)
        return rows


@contextmanager
def victoria_metrics(folder, *options):
    program = binary("victoria-metrics", needs="victoria-metrics")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            [program, f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={folder}/data", "-retentionPeriod=100y",
             "-search.latencyOffset=0s", "-search.disableCache", *options], stdout=log, stderr=subprocess.STDOUT)  # fmt: skip
    try:
        backend = Backend(port)
        deadline = time.monotonic() + 60
        while True:
            try:
                backend.get("/health")
                break
            except OSError:
                assert process.poll() is None, (folder / "log").read_text()[-2000:]
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield backend
    finally:
        process.terminate()
        process.wait(60)


def live_through_a_day(backend, monkeypatch):
    """Two processes of one service, a release apart, observed for the last hours; every number below is known."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", f"{backend.url}/opentelemetry/v1/metrics")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    targets = (make_target(OLD, remove_by="2099-12-31"), make_target(UNUSED, remove_by="2099-01-01"),
               make_target(LATE, remove_by=time.strftime("%Y-%m-%d", time.gmtime(time.time() - 11.5 * 86400))))
    now = time.time()
    first = ObservedProcess("a" * 16, targets, start=now - 4 * 3600, release="1")
    second = ObservedProcess("b" * 16, targets, start=now - 3600, release="2")
    for process in (first, second):
        exporter = create("otlp", ExporterSettings(
            service="shop", environment="staging", release=process.process.release, metric_interval=0.0,
            metric_call_sites=10, otlp_logs=False))
        begin, end = process.now, (now - 30 * 60 if process is first else now)
        for minute in range(int((end - begin) // 60)):
            process.now = begin + minute * 60
            if process is first and minute < 10:
                process.use(make_site(0, OLD), times=4)
            if process is first and minute == 20:
                process.use(make_site(1, OLD, origin="indirect"), times=2, error_type="ValueError", end_ns=1)
                site_id = make_site(1, OLD, origin="indirect").id
                process.counts[site_id] = (*process.counts[site_id][:3], 2)
            if process is second and minute == 5:
                process.use(make_site(2, LATE), times=3)
                process.find("isolation")
                process.find("impact", count=6)
            exporter.export(process.flush(observe=minute % 10 == 0))
        process.now = end
        exporter.export(process.flush(observe=True))
        assert exporter.force_flush(20), exporter.health()
        exporter.shutdown(1)


@pytest.fixture(scope="module", params=["grafana", "cloud"])
def board(request, tmp_path_factory):
    """(backend, {panel: [query]}): Grafana's names or OpenTelemetry's own, and the dashboard that uses them."""
    options = ["-opentelemetry.usePrometheusNaming"] if request.param == "grafana" else []
    with victoria_metrics(tmp_path_factory.mktemp("vm"), *options) as backend, pytest.MonkeyPatch.context() as patch:
        live_through_a_day(backend, patch)
        backend.wait_for('{__name__=~"lastcall.uses.*"}')
        yield backend, (grafana_queries() if request.param == "grafana" else cloud_queries())


def grafana_queries():
    found = {}
    for panel in GRAFANA["panels"]:
        for target in panel.get("targets", ()):
            query = target["expr"].replace("$__interval", "5h")
            found.setdefault(panel["title"], []).append(re.sub(r"\$\w+", ".*", query))
    return found


def cloud_queries():
    found = {}
    for tile in CLOUD["mosaicLayout"]["tiles"]:
        for query in re.findall(r'"prometheusQuery": ("(?:[^"\\]|\\.)*")', json.dumps(tile)):
            query = json.loads(query).replace("${__interval}", "5h")
            found.setdefault(tile["widget"]["title"], []).append(re.sub(r"\$\{\w+\.value\}", ".*", query))
    return found


def answers(board, start):
    """The answers of the one panel whose title begins with `start`."""
    backend, queries = board
    (title,) = [title for title in queries if title.startswith(start)]
    return [backend.query(query) for query in queries[title]]


class TestPanels:
    @pytest.mark.parametrize(("title", "expected"), [
        ("Targets in use, last 24 h", [{(): 2}]),
        ("Call sites in use, last 24 h", [{(): 3}]),
        ("Uses, last 24 h", [{(): 45}]),
        ("New call sites this week", [{(): 3}]),
        ("Burn-down", [{(): 2}, {(): 3}, {(): 2}]),
        ("Isolation findings", [{(): 1}]),
        ("Failures after deprecated uses", [{(OLD,): 6}]),
        ("Uses that raised", [{(OLD,): 2}]),
    ])  # fmt: skip
    def test_show_the_truth(self, board, title, expected):
        assert answers(board, title) == expected

    def test_uses_by_target_and_origin(self, board):
        (by_target,) = answers(board, "By target")
        assert by_target == {(OLD,): 42, (LATE,): 3}
        (by_origin,) = answers(board, "Own code")
        assert by_origin == {("direct",): 43, ("indirect",): 2}

    def test_uses_by_release_where_the_backend_keeps_it(self, board):
        (by_release,) = answers(board, "By service and release")
        assert by_release == {("shop", "1"): 42, ("shop", "2"): 3}

    def test_uses_by_calling_file(self, board):
        (by_file,) = answers(board, "By calling file")
        assert by_file == {("shop/caller_0.py",): 40, ("shop/caller_1.py",): 2, ("shop/caller_2.py",): 3}

    def test_what_is_late_and_by_how_much(self, board):
        (late,) = answers(board, "Past remove_by")
        ((labels, days),) = late.items()
        assert set(labels) == {LATE, "pricing"}
        assert 10.0 < days < 11.6

    def test_health(self, board):
        (processes,) = answers(board, "Observed processes")
        assert processes == {("staging", "shop"): 1}, "the first process ended half an hour ago"
        (states,) = answers(board, "Targets by state")
        assert {labels: n for labels, n in states.items() if n} == {("armed", "shop"): 3}

    def test_every_query_is_answered_without_error(self, board):
        backend, queries = board
        assert sum(map(len, queries.values())) > 20
        for of in queries.values():
            for query in of:
                backend.query(query)

    def test_no_data_is_not_zero(self, tmp_path):
        """An empty backend: nobody watches, so no panel may show a number."""
        with victoria_metrics(tmp_path) as backend:
            for title, of in cloud_queries().items():
                assert [backend.query(query) for query in of] == [{}] * len(of), title
