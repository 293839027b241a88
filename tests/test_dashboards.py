"""The files under dashboards/: valid for the services' own types, within their limits, and true to what is exported."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import promql_parser
import pytest
from google.protobuf import json_format

from lastcall.errors import internal_errors
from lastcall.exporters import ExporterSettings, create, names
from lastcall.provision.definitions import load
from lastcall.provision.kinds import ALERT_POLICY, DASHBOARD, KINDS, LOG_METRIC, normalise
from log_metric_engine import FilterError, extract, matcher, measured
from loopback.cloud_logging import CloudLogging
from loopback.otlp import Receiver
from observed_process import ObservedProcess, make_site, make_target

ROOT = Path(__file__).resolve().parents[1]
DASHBOARDS = ROOT / "dashboards"
CLOUD = DASHBOARDS / "cloud-monitoring"
GRAFANA = DASHBOARDS / "grafana" / "lastcall.json"
FILES = [pytest.param(kind, path, id=f"{kind.folder}/{path.stem}")
         for kind in KINDS for path in sorted((CLOUD / kind.folder).glob("*.json"))]  # fmt: skip
LOG_PREFIX = "logging_googleapis_com:user_lastcall_"
LOG_TYPE = "logging.googleapis.com/user/lastcall/"
FIELD = re.compile(r"jsonPayload\.lastcall\.(\w+)")
EVENT_FIELDS = {"use": names.FIELDS_USE, "observation": names.FIELDS_OBSERVATION, "finding": names.FIELDS_FINDING}


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


@lru_cache
def log_metrics():
    return {path.stem: read(path) for path in (CLOUD / "log-metrics").glob("*.json")}


def test_the_files_are_what_their_source_makes():
    done = subprocess.run([sys.executable, str(DASHBOARDS / "build.py"), "--check"], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr


class TestTypes:
    @pytest.mark.parametrize(("kind", "path"), FILES)
    def test_every_field_is_known_to_the_services_type_and_survives_it(self, kind, path):
        body = read(path)
        assert without_defaults(normalise(kind, body)) == without_defaults(body)

    def test_an_unknown_field_is_refused(self):
        with pytest.raises(ValueError, match="apiSource"):
            normalise(DASHBOARD, {"displayName": "x", "mosaicLayout": {"tiles": [
                {"widget": {"scorecard": {"timeSeriesQuery": {"prometheusQuery": "up", "apiSource": "x"}}}}]}})

    def test_no_chart_speaks_mql(self):
        for path in CLOUD.rglob("*.json"):
            text = path.read_text()
            assert "timeSeriesQueryLanguage" not in text
            assert "conditionMonitoringQueryLanguage" not in text


def without_defaults(value):
    """proto JSON leaves zeros, false and empty text away, and a label's type STRING."""
    if isinstance(value, dict):
        cleaned = {key: without_defaults(inner) for key, inner in value.items()}
        return {key: inner for key, inner in sorted(cleaned.items())
                if inner not in (0, "", False, [], None) and (key, inner) != ("valueType", "STRING")}
    return [without_defaults(inner) for inner in value] if isinstance(value, list) else value


class TestLayout:
    @pytest.mark.parametrize("path", [p.values[1] for p in FILES if p.values[0] is DASHBOARD], ids=lambda p: p.stem)
    def test_tiles_lie_inside_the_grid_and_do_not_overlap(self, path):
        assert layout_problems(read(path)) == []

    def test_grafana_panels_do_too(self):
        panels = read(GRAFANA)["panels"]
        tiles = [{"xPos": p["gridPos"]["x"], "yPos": p["gridPos"]["y"], "width": p["gridPos"]["w"],
                  "height": p["gridPos"]["h"], "widget": {"title": p["title"]}} for p in panels]
        assert layout_problems({"mosaicLayout": {"columns": 24, "tiles": tiles}}) == []
        assert len({panel["id"] for panel in panels}) == len(panels)

    @pytest.mark.parametrize(("tile", "problem"), [
        ({"xPos": 40, "width": 9, "height": 1}, "outside"),
        ({"xPos": 0, "yPos": -1, "width": 9, "height": 1}, "outside"),
        ({"xPos": 0, "width": 0, "height": 1}, "outside"),
        ({"xPos": 3, "yPos": 3, "width": 1, "height": 1}, "overlaps"),
    ])  # fmt: skip
    def test_the_linter_sees_bad_tiles(self, tile, problem):
        good = {"width": 4, "height": 4, "widget": {"title": "good"}}
        board = {"mosaicLayout": {"columns": 48, "tiles": [good, {**tile, "widget": {"title": "bad"}}]}}
        (found,) = layout_problems(board)
        assert problem in found


def layout_problems(board):
    columns, taken, problems = board["mosaicLayout"]["columns"], {}, []
    for tile in board["mosaicLayout"]["tiles"]:
        x, y, width, height = (tile.get(key, 0) for key in ("xPos", "yPos", "width", "height"))
        title = tile["widget"]["title"]
        if x < 0 or y < 0 or width < 1 or height < 1 or x + width > columns:
            problems.append(f"{title!r} lies outside the grid")
            continue
        cells = {(column, row) for column in range(x, x + width) for row in range(y, y + height)}
        for other in {taken[cell] for cell in cells if cell in taken}:
            problems.append(f"{title!r} overlaps {other!r}")
        taken |= dict.fromkeys(cells, title)
    return problems


class TestLimits:
    def test_dashboards(self):
        for definition in load():
            if definition.kind is DASHBOARD:
                assert len(definition.body["mosaicLayout"]["tiles"]) <= 100
                assert len(definition.body["displayName"]) <= 512
                variables = {f["templateVariable"] for f in definition.body["dashboardFilters"]}
                assert variables == {"service", "environment", "target", "owner"}
                used = set(re.findall(r"\$\{(\w+)(?:\.value)?\}", json.dumps(definition.body)))
                assert used - {"__interval", "metric"} == variables

    def test_alert_policies(self):
        for definition in load():
            if definition.kind is ALERT_POLICY:
                body = definition.body
                assert 1 <= len(body["conditions"]) <= 6
                assert len(body["documentation"]["content"].encode()) <= 8 * 1024
                assert len(body["documentation"]["subject"]) <= 255
                for key, value in body["userLabels"].items():
                    assert re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", key)
                    assert re.fullmatch(r"[a-z0-9_-]{0,63}", value)
                matched_log = "conditionMatchedLog" in body["conditions"][0]
                assert matched_log == ("notificationRateLimit" in body["alertStrategy"])

    def test_log_metrics(self):
        for definition in load():
            if definition.kind is LOG_METRIC:
                body = definition.body
                assert re.fullmatch(r"[A-Za-z0-9_\-.,+!*',()%/]{1,100}", body["name"])
                assert len(body["description"]) <= 8000
                assert len(body["filter"]) <= 20_000
                assert {label["key"] for label in body["metricDescriptor"]["labels"]} == set(body["labelExtractors"])
                assert len(body["labelExtractors"]) <= 10
                distribution = body["metricDescriptor"]["valueType"] == "DISTRIBUTION"
                assert distribution == ("valueExtractor" in body) == ("bucketOptions" in body)


# -- both sides: what the files name is what the exporters send ----------------------------------------------


def busy_process():
    """A process in which everything that can be exported happens."""
    targets = (make_target(remove_by="2020-01-31"), make_target("shop.legacy:unused", remove_by="2099-12-31"))
    process = ObservedProcess(targets=targets)
    process.use(make_site(0), times=7)
    process.use(make_site(1, origin="indirect"), times=3, error_type="ValueError", end_ns=int(process.now * 1e9) + 5)
    process.use(make_site(2), times=20, allowed=True, allow_reason="the factory itself")
    process.use(make_site(3, target="shop.legacy:unused"), times=2)
    process.find(site=make_site(0))
    process.find("impact", site=make_site(1), count=4)
    process.dropped, process.errors = (("sites", 2),), (("flush", 1),)
    for site_id, (count, first, last, _) in process.counts.items():
        process.counts[site_id] = (count, first, last, 1)
    return process


@pytest.fixture(scope="module")
def entries():
    """Every entry that the real exporter writes for `busy_process`, as the service received it."""
    process = busy_process()
    with CloudLogging() as cloud:
        exporter = create("gcp", ExporterSettings(gcp_project="demo", gcp_endpoint=cloud.rest_endpoint))
        exporter.export(process.flush(observe=True))
        process.use(make_site(0), times=5)
        exporter.export(process.flush())
        process.use(make_site(1, origin="indirect"), times=6)
        exporter.export(process.flush(final=True))
        assert exporter.force_flush(10)
        exporter.shutdown(5)
        return [json_format.MessageToDict(entry) for entry in cloud.entries]


@pytest.fixture(scope="module")
def emitted():
    """{metric: label names} of everything that the real OTLP exporter sends for `busy_process`."""
    process = busy_process()
    with Receiver() as receiver, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.http_endpoint)
        patch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        exporter = create("otlp", ExporterSettings(
            service="shop", environment="staging", release="1", metric_interval=0.0, metric_call_sites=10))
        internal_errors.add("flush", OSError("a failure of ours"))
        for _ in range(3):
            exporter.export(process.flush(observe=True))
            process.find()
        internal_errors.clear()
        assert exporter.force_flush(5)
        exporter.shutdown(2)
        found = {}
        for request in receiver.requests["metrics"]:
            for resource in request.resource_metrics:
                shared = {pair.key for pair in resource.resource.attributes}
                for metric in (m for scope in resource.scope_metrics for m in scope.metrics):
                    points = getattr(metric, metric.WhichOneof("data")).data_points
                    labels = {pair.key for point in points for pair in point.attributes}
                    found.setdefault(metric.name, set()).update(labels | shared)
        return found


def all_promql():
    """(where, query) of every PromQL in every file, variables taken out."""
    for path in sorted(CLOUD.rglob("*.json")):
        text = path.read_text()
        for number, query in enumerate(re.findall(r'"(?:prometheusQuery|query)": ("(?:[^"\\]|\\.)*")', text)):
            query = json.loads(query).replace("${__interval}", "1h")
            query = re.sub(r"\$\{\w+\.value\}", ".*", query)
            yield f"{path.relative_to(CLOUD)}[{number}]", re.sub(r"\$\{(\w+)\}", r'\1=~".*"', query)
    for panel in read(GRAFANA)["panels"]:
        for target in panel.get("targets", ()):
            yield f"grafana {panel['title']}", re.sub(r"\$\w+", ".*", target["expr"].replace("$__interval", "1h"))
    for number, query in enumerate(re.findall(r"expr: >-\n\s+(.*)", (DASHBOARDS / "prometheus/lastcall.rules.yml").read_text())):
        yield f"rules[{number}]", query


def selectors(query):
    """[(metric, labels it is asked for)] of a query, the grouping and matching labels above it included."""
    found = []

    def walk(node, labels):
        if isinstance(node, promql_parser.VectorSelector):
            matchers = {m.name: m.value for m in node.matchers.matchers}
            found.append((node.name or matchers.pop("__name__"), labels | set(matchers)))
        elif isinstance(node, promql_parser.MatrixSelector):
            walk(node.vector_selector, labels)
        elif isinstance(node, promql_parser.AggregateExpr):
            walk(node.expr, set(node.modifier.labels) if node.modifier else set())
        elif isinstance(node, promql_parser.Call):
            for argument in node.args:
                walk(argument, labels)
        elif isinstance(node, promql_parser.BinaryExpr):
            walk(node.lhs, labels)
            walk(node.rhs, labels)
        elif isinstance(node, (promql_parser.ParenExpr, promql_parser.UnaryExpr)):
            walk(node.expr, labels)
        else:
            assert isinstance(node, (promql_parser.NumberLiteral, promql_parser.StringLiteral)), type(node)

    walk(promql_parser.parse(query), set())
    return found


def known_series(emitted):
    """{metric as a query may call it: labels}: dotted, as Prometheus renames it, and log-based."""
    known = dict(emitted)
    for metric, labels in emitted.items():
        ending = "_total" if metric in names.COUNTERS else "_seconds" if metric.endswith("_time") else ""
        known[metric.replace(".", "_") + ending] = {label.replace(".", "_") for label in labels}
    for name, metric in log_metrics().items():
        labels = {*metric["labelExtractors"], "monitored_resource"}
        distribution = metric["metricDescriptor"]["valueType"] == "DISTRIBUTION"
        known |= {f"{LOG_PREFIX}{name}{end}": labels for end in (("_sum", "_count") if distribution else ("",))}
    return known


class TestBothSides:
    def test_every_metric_and_label_of_every_query_is_one_that_is_sent(self, emitted):
        assert set(emitted) == {*names.COUNTERS, *names.GAUGES}
        known = known_series(emitted)
        problems, asked = [], set()
        for where, query in all_promql():
            for metric, labels in selectors(query):
                asked.add(metric)
                if metric not in known:
                    problems.append(f"{where}: no such metric {metric}")
                elif labels - known[metric]:
                    problems.append(f"{where}: {metric} has no {sorted(labels - known[metric])}")
        assert problems == []
        assert {m for m in asked if not m.startswith("logging")} >= {*names.COUNTERS, *names.GAUGES}

    def test_the_check_sees_a_wrong_name(self, emitted):
        known = known_series(emitted)
        ((metric, labels),) = selectors('sum by ("lastcall.tenant") (increase({"lastcall.uses"}[1h]))')
        assert labels - known[metric] == {"lastcall.tenant"}
        ((metric, _),) = selectors("lastcall_calls_total")
        assert metric not in known

    def test_every_log_based_metric_is_read_by_some_file(self):
        text = "".join(path.read_text() for path in CLOUD.rglob("*.json"))
        unread = [name for name in log_metrics() if f"{LOG_PREFIX}{name}" not in text and f"{LOG_TYPE}{name}" not in text]
        assert unread == []

    def test_every_log_based_metric_type_in_a_chart_is_defined_with_its_labels(self):
        for path in (CLOUD / "dashboards").glob("*.json"):
            for query in re.findall(r'"timeSeriesFilter": (\{.*?\n {18,}\})', path.read_text(), re.DOTALL):
                name = re.search(re.escape(LOG_TYPE) + r"(\w+)", query)[1]
                labels = set(re.findall(r'metric\.label\.\\"(\w+)\\"', query)) | set(re.findall(r"\$\{(\w+)\}", query))
                assert labels <= set(log_metrics()[name]["labelExtractors"]), (path.stem, name)

    def test_every_log_field_is_one_of_its_event(self):
        checked = 0
        for path in CLOUD.rglob("*.json"):
            for filter_ in re.findall(r'"filter": ("(?:[^"\\]|\\.)*jsonPayload(?:[^"\\]|\\.)*")', path.read_text()):
                filter_ = json.loads(filter_)
                event = re.search(r'lastcall\.event="(\w+)"', filter_)[1]
                assert set(FIELD.findall(filter_)) <= set(EVENT_FIELDS[event]), (path, filter_)
                checked += 1
        for name, metric in log_metrics().items():
            event = re.search(r'lastcall\.event="(\w+)"', metric["filter"])[1]
            extractors = [*metric["labelExtractors"].values(), metric.get("valueExtractor", "")]
            assert set(FIELD.findall(" ".join(extractors))) <= set(EVENT_FIELDS[event]), name
        assert checked > 15

    def test_every_field_of_a_definition_occurs_in_entries_really_written(self, entries):
        """A name on the list is not enough: some entry must have it."""
        for name, metric in log_metrics().items():
            matching = [entry for entry in entries if matcher(metric["filter"])(entry)]
            assert matching, f"no entry matches the filter of {name}"
            for label, extractor in metric["labelExtractors"].items():
                assert any(extract(entry, extractor) for entry in matching), (name, label)


class TestLogBasedMetrics:
    """The definitions applied to what the exporter wrote: 12 + 9 uses of one target, 20 of them allowed, 2 of another."""

    def test_uses_are_exact(self, entries):
        assert measured(log_metrics()["uses"], entries, "target", "origin", "allowed") == {
            ("shop.legacy:old_total", "direct", ""): 12, ("shop.legacy:old_total", "indirect", ""): 9,
            ("shop.legacy:old_total", "direct", "true"): 20, ("shop.legacy:unused", "direct", ""): 2,
        }  # fmt: skip
        assert measured(log_metrics()["uses"], entries, "service", "environment", "release", "owner") == {
            ("shop", "staging", "2026.11.3", "pricing"): 43}
        assert set(measured(log_metrics()["uses"], entries, "module")) == {(f"shop.caller_{n}",) for n in range(4)}

    def test_call_sites_are_all_there(self, entries):
        found = measured(log_metrics()["call_sites"], entries, "file", "line", "function", "allowed")
        assert set(found) == {(f"shop/caller_{n}.py", str(10 + n), f"Caller.use_{n}", "true" if n == 2 else "")
                              for n in range(4)}

    def test_overdue_uses_leave_out_allowed_ones_and_deadlines_ahead(self, entries):
        assert measured(log_metrics()["overdue_uses"], entries, "target", "remove_by") == {
            ("shop.legacy:old_total", "2020-01-31"): 21}

    def test_failures_and_findings(self, entries):
        assert measured(log_metrics()["failed_uses"], entries, "error_type") == {("ValueError",): 1}
        assert measured(log_metrics()["findings"], entries, "finding") == {("isolation",): 1, ("impact",): 4}

    def test_observation(self, entries):
        assert measured(log_metrics()["observations"], entries, "service") == {("shop",): 2}
        assert measured(log_metrics()["targets_armed"], entries) == {(): 4}, "two targets, stated twice"
        assert measured(log_metrics()["targets_failed"], entries) == {(): 0}, "an explicit zero is recorded"
        assert measured(log_metrics()["dropped"], entries) == {(): 4}
        assert measured(log_metrics()["internal_errors"], entries) == {(): 2}

    def test_a_repeated_entry_of_another_schema_is_not_counted(self, entries):
        later = json.loads(json.dumps(entries))
        for entry in later:
            entry["jsonPayload"]["lastcall"]["schema"] = 2
        assert all(not measured(metric, later) for metric in log_metrics().values())

    def test_other_entries_of_the_project_are_not_counted(self):
        others = [{"severity": "WARNING", "jsonPayload": {"message": "deprecated", "event": "use"}}, {"textPayload": "x"}]
        assert all(not measured(metric, others) for metric in log_metrics().values())


class TestAlertsOnEntries:
    """Policies that look at single entries: which of the entries really written set them off."""

    @pytest.mark.parametrize(("policy", "expected"), [("past-remove-by", {"shop.legacy:old_total"}),
                                                      ("isolation", {"shop.legacy:old_total"})])
    def test_fires_for_what_it_is_about_and_names_it(self, entries, policy, expected):
        condition = read(CLOUD / "alerts" / f"{policy}.json")["conditions"][0]["conditionMatchedLog"]
        matching = [entry for entry in entries if matcher(condition["filter"])(entry)]
        extractors = condition["labelExtractors"]
        assert {extract(entry, extractors["target"]) for entry in matching} == expected
        assert {extract(entry, extractors["service"]) for entry in matching} == {"shop"}
        assert {extract(entry, extractors["owner"]) for entry in matching} == {"pricing"}

    def test_stays_silent_for_a_process_that_does_nothing_wrong(self):
        process = ObservedProcess(targets=(make_target(remove_by="2099-01-01"), make_target("shop:x", remove_by="")))
        process.use(make_site(0), times=3)
        process.use(make_site(1, target="shop:x"), times=3)
        process.find("impact")
        with CloudLogging() as cloud:
            exporter = create("gcp", ExporterSettings(gcp_project="demo", gcp_endpoint=cloud.rest_endpoint))
            exporter.export(process.flush(observe=True))
            assert exporter.force_flush(10)
            exporter.shutdown(5)
            written = [json_format.MessageToDict(entry) for entry in cloud.entries]
        assert len(written) >= 4
        for policy in ("past-remove-by", "isolation"):
            condition = read(CLOUD / "alerts" / f"{policy}.json")["conditions"][0]["conditionMatchedLog"]
            assert not any(matcher(condition["filter"])(entry) for entry in written)


class TestFilterReader:
    """The reader of filters is itself under test, or a filter that matches nothing would pass for a quiet project."""

    ENTRY = {"severity": "WARNING", "jsonPayload": {"a": {"n": 3.0, "s": "Text", "t": True}}, "labels": {"x": "y"}}  # noqa: RUF012

    @pytest.mark.parametrize(("text", "expected"), [
        ("jsonPayload.a.n=3", True), ("jsonPayload.a.n>3", False), ("jsonPayload.a.n>=3", True),
        ('jsonPayload.a.s="text"', True), ('jsonPayload.a.s:"ex"', True), ("jsonPayload.a.s:*", True),
        ("jsonPayload.a.z:*", False), ("jsonPayload.a.z=1", False), ("NOT jsonPayload.a.z=1", True),
        ("jsonPayload.a.t=true", True), ("jsonPayload.a.t=false", False),
        ("severity>=INFO", True), ("severity>=ERROR", False),
        ('labels.x="y"\nseverity=WARNING', True), ('labels.x="y" AND severity=ERROR', False),
        ("severity=ERROR AND labels.x=z OR labels.x=y", False),
        ("(severity=ERROR AND labels.x=z) OR labels.x=y", True),
        ("severity=ERROR OR severity=WARNING AND labels.x=y", True),
    ])  # fmt: skip
    def test_reads(self, text, expected):
        assert matcher(text)(self.ENTRY) is expected

    @pytest.mark.parametrize("text", ["payload.a=1", "jsonPayload.a", "(jsonPayload.a=1", "jsonPayload.a=1)", "NOT", ""])
    def test_refuses_what_it_does_not_know(self, text):
        with pytest.raises(FilterError):
            matcher(text)


# -- Grafana, Terraform, the installed package ---------------------------------------------------------------


class TestGrafana:
    def test_every_field_is_known_to_grafanas_own_types(self):
        sdk = pytest.importorskip("grafana_foundation_sdk.models.dashboard", reason="needs Python 3.11 and the dev extra")
        from grafana_foundation_sdk.cog.encoder import JSONEncoder

        board = read(GRAFANA)
        parsed = sdk.Dashboard.from_json(json.loads(json.dumps(board)))
        assert lost_fields(board, json.loads(JSONEncoder().encode(parsed))) == []

    def test_lost_fields_are_seen(self):
        assert lost_fields({"a": [{"b": 1, "c": 2}]}, {"a": [{"b": 1}]}) == [".a[0].c"]

    def test_it_is_importable_as_it_is(self):
        board = read(GRAFANA)
        assert "__inputs" not in board, "the data source is a variable, so that nothing has to be filled in"
        variables = {v["name"] for v in board["templating"]["list"]}
        assert variables == {"datasource", "service", "environment", "target", "owner"}
        for panel in board["panels"]:
            if panel["type"] in ("row", "text"):
                continue
            assert panel["datasource"]["uid"] == "${datasource}"
            refs = [target["refId"] for target in panel["targets"]]
            assert len(set(refs)) == len(refs) >= 1

    def test_numbers_show_the_present_and_not_the_newest_point_of_the_range(self):
        stats = [panel for panel in read(GRAFANA)["panels"] if panel["type"] == "stat"]
        assert len(stats) >= 5
        for panel in stats:
            assert [(target["instant"], target["range"]) for target in panel["targets"]] == [(True, False)]
            assert panel["fieldConfig"]["defaults"]["noValue"] == "nobody is watching"


def lost_fields(before, after, path=""):
    """The paths of everything in `before` that `after` does not have."""
    if isinstance(before, dict):
        if not isinstance(after, dict):
            return [path]
        return [lost for key, value in before.items() for lost in
                (lost_fields(value, after[key], f"{path}.{key}") if key in after else [f"{path}.{key}"])]
    if isinstance(before, list):
        if not isinstance(after, list) or len(before) != len(after):
            return [path]
        return [lost for n, (b, a) in enumerate(zip(before, after, strict=True)) for lost in lost_fields(b, a, f"{path}[{n}]")]
    return [] if before == after else [path]


class TestTerraform:
    MODULE = CLOUD / "terraform"

    def test_it_is_formatted_and_parses(self):
        if not shutil.which("terraform"):
            pytest.skip("terraform is not on this machine")
        done = subprocess.run(["terraform", "fmt", "-check", "-diff", str(self.MODULE)], capture_output=True, text=True,
                              check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def test_it_loads_the_same_files_and_passes_on_every_field_that_they_use(self):
        text = "".join(path.read_text() for path in self.MODULE.glob("*.tf"))
        used = {re.sub(r"(?<!^)([A-Z])", lambda m: f"_{m[1].lower()}", field)
                for kind in (LOG_METRIC, ALERT_POLICY) for d in load() if d.kind is kind for field in d.body}
        assert [field for field in used if not re.search(rf"\b{field}\b", text)] == []

    @pytest.mark.parametrize(("reads", "resource_type"), [("logs", "cloud_run_revision"), ("otlp", "cloud_run_revision"),
                                                          ("both", "k8s_container")])
    def test_what_it_reads_is_what_lastcall_gcp_reads(self, tmp_path, reads, resource_type):
        """Terraform's own evaluation of the module's locals; the provider's part needs the provider."""
        if not shutil.which("terraform"):
            pytest.skip("terraform is not on this machine")
        shutil.copytree(CLOUD, tmp_path / "files")
        module = tmp_path / "files" / "terraform"
        for name in ("versions.tf", "outputs.tf"):
            (module / name).unlink()
        main = module / "main.tf"
        main.write_text(main.read_text().partition("resource ")[0])
        texts = terraform_value(module, "local.texts", reads, resource_type)
        assert {(folder, name) for folder, of in texts.items() for name in of} == {
            (d.kind.folder, d.slug) for d in load(reads=reads)}
        for definition in load(reads=reads, resource_type=resource_type):
            body = normalise(definition.kind, json.loads(texts[definition.kind.folder][definition.slug]))
            ours = {key: value for key, value in definition.body.items()
                    if key not in ("name", "description", "labels", "userLabels")}
            assert {key: value for key, value in body.items() if key != "description"} == ours


def terraform_value(module, expression, reads, resource_type):
    """What `terraform console` makes of an expression."""
    done = subprocess.run(
        ["terraform", "console", "-var", "project=demo", "-var", f"reads={reads}", "-var", f"resource_type={resource_type}"],
        cwd=module, input=f"base64encode(jsonencode({expression}))\n", capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(base64.b64decode(done.stdout.strip().splitlines()[-1].strip('"')))


def test_the_wheel_has_the_files():
    text = (ROOT / "pyproject.toml").read_text()
    assert '"dashboards/cloud-monitoring" = "lastcall/provision/cloud-monitoring"' in text
