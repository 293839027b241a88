"""The alerts and dashboard queries in promtool: Prometheus' own parser and engine."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "dashboards"))

from source import alerts, log_promql  # noqa: E402
from source import promql as q  # noqa: E402

from promtool import scenarios  # noqa: E402 - found by the line above
from promtool.binaries import binary  # noqa: E402

pytestmark = [pytest.mark.backend, pytest.mark.timeout(300)]
CLOUD = ROOT / "dashboards" / "cloud-monitoring"
RULES = ROOT / "dashboards" / "prometheus" / "lastcall.rules.yml"
GRAFANA = ROOT / "dashboards" / "grafana" / "lastcall.json"


@pytest.fixture(scope="session")
def promtool():
    return binary("promtool", needs="promtool, version 3")


def cloud_query(policy: str) -> str:
    (condition,) = json.loads((CLOUD / "alerts" / f"{policy}.json").read_text())["conditions"]
    return condition["conditionPrometheusQueryLanguage"]["query"]


def rule_file(folder: Path, name: str, query: str) -> Path:
    path = folder / "rules.yml"
    path.write_text(json.dumps({"groups": [{"name": "lastcall", "rules": [{"alert": name, "expr": query}]}]}))
    return path


def run_tests(promtool, folder, *tests) -> str:
    """What promtool complains about; empty if nothing."""
    paths = [folder / f"test-{number}.yml" for number in range(len(tests))]
    for path, test in zip(paths, tests, strict=True):
        path.write_text(json.dumps(test))
    done = subprocess.run([promtool, "test", "rules", *map(str, paths)], capture_output=True, text=True, timeout=100,
                          check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def group(scenario, series, **tests):
    """One scenario in promtool's terms. Its name is what a failure prints."""
    return {"name": str(scenario), "interval": f"{scenarios.STEP}m", "input_series": series, **tests}


def as_rules(rules, rule, cases, *, labels_of=dict, extra=None, annotations=None):
    """Tests of one rule, one for every scenario of `cases`."""
    tests = []
    for scenario, series in cases:
        expected = [{"exp_labels": labels_of(labels) | (extra or {}), "exp_annotations": annotations or {}}
                    for labels in scenario.fires]
        expectation = {"eval_time": f"{scenario.at}m", "alertname": rule, "exp_alerts": expected}
        # One evaluation, at the instant asked for: thousands before it would look through a week of points each.
        tests.append({"rule_files": [str(rules)], "evaluation_interval": f"{scenario.at}m",
                      "tests": [group(scenario, series, alert_rule_test=[expectation])]})
    return tests


def of(alert, every):
    found = [scenario for scenario in every if scenario.alert == alert.id]
    assert any(s.fires for s in found)
    assert not all(s.fires for s in found)
    return found


@pytest.mark.parametrize("alert", alerts.ALERTS, ids=lambda alert: alert.id)
class TestAlerts:
    def test_as_prometheus_rule(self, promtool, tmp_path, alert):
        cases = [(scenario, [scenarios.render(s, alerts.PROMETHEUS) for s in scenario.series])
                 for scenario in of(alert, scenarios.SCENARIOS)]
        severity = {"WARNING": "warning", "ERROR": "error", "CRITICAL": "critical"}[alert.severity]
        tests = as_rules(
            RULES, alert.rule, cases,
            labels_of=lambda labels: {name.replace(".", "_"): value for name, value in labels.items()},
            extra={"severity": severity}, annotations={"summary": alert.summary, "description": alert.todo},
        )
        assert run_tests(promtool, tmp_path, *tests) == ""

    def test_as_cloud_monitoring_policy_on_opentelemetry_metrics(self, promtool, tmp_path, alert):
        # As an expression, not as a rule: promtool 3.5 prints `on ("a.b")` without the quotes and cannot read it back.
        query = cloud_query(f"otlp-{alert.id}")
        groups = []
        for scenario in of(alert, scenarios.SCENARIOS):
            expected = [{"labels": in_braces(labels), "value": 1} for labels in scenario.fires]
            expectation = {"expr": f"0 * ({query}) + 1", "eval_time": f"{scenario.at}m", "exp_samples": expected}
            series = [scenarios.render(s, alerts.PLAIN) for s in scenario.series]
            groups.append(group(scenario, series, promql_expr_test=[expectation]))
        assert run_tests(promtool, tmp_path, {"tests": groups}) == ""


@pytest.mark.parametrize("alert", [a for a in alerts.ALERTS if a.logs], ids=lambda alert: alert.id)
def test_alert_as_cloud_monitoring_policy_on_log_based_metrics(promtool, tmp_path, alert):
    rules = rule_file(tmp_path, "it", cloud_query(alert.id))
    cases = [(scenario, [scenarios.render_log(s) for s in scenario.series])
             for scenario in of(alert, scenarios.LOG_SCENARIOS)]
    assert run_tests(promtool, tmp_path, *as_rules(rules, "it", cases)) == ""


def in_braces(labels):
    return "{" + ",".join(f'"{name}"="{value}"' for name, value in labels.items()) + "}"


def test_every_alert_is_tested_firing_silent_without_data_over_a_restart_and_newborn():
    words = ("fires", "stays silent", "no data", "restart", "born")
    for alert in alerts.ALERTS:
        names = " ".join(s.name for s in scenarios.SCENARIOS if s.alert == alert.id)
        assert [word for word in words if word not in names] == [], alert.id


def test_the_scenarios_can_fail(promtool, tmp_path):
    scenario = next(s for s in scenarios.SCENARIOS if s.fires)
    rules = rule_file(tmp_path, "it", "vector(0) > 1")
    assert str(scenario) in run_tests(promtool, tmp_path, *as_rules(rules, "it", [(scenario, [])]))


def test_the_rule_file_passes_promtools_linter(promtool):
    done = subprocess.run([promtool, "check", "rules", "--lint-fatal", str(RULES)], capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(alerts.ALERTS)} rules found" in done.stdout


def test_vmalert_takes_the_rule_file_too():
    vmalert = binary("vmalert", needs="vmalert")
    done = subprocess.run([vmalert, "-dryRun", f"-rule={RULES}"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def dashboard_queries():
    """Every PromQL of every dashboard, with its variables at their defaults."""
    for path in sorted((CLOUD / "dashboards").glob("*.json")):
        for number, query in enumerate(re.findall(r'"prometheusQuery": ("(?:[^"\\]|\\.)*")', path.read_text())):
            yield f"{path.stem}-{number}", without_variables(json.loads(query))
    for panel in json.loads(GRAFANA.read_text())["panels"]:
        for target in panel.get("targets", ()):
            query = re.sub(r"\$__(rate_)?interval", "1h", target["expr"])
            yield f"grafana-{panel['id']}-{target['refId']}", re.sub(r"\$\w+", ".*", query)


def without_variables(query: str) -> str:
    """As Cloud Monitoring sends it when nothing is chosen."""
    query = query.replace("${__interval}", "1h")
    query = re.sub(r"\$\{\w+\.value\}", ".*", query)
    return re.sub(r"\$\{(\w+)\}", r'\1=~".*"', query)


def test_every_dashboard_query_parses(promtool, tmp_path):
    queries = dict(dashboard_queries())
    assert len(queries) > 60
    rules = [{"record": f"q:{number}", "expr": query} for number, query in enumerate(queries.values())]
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps({"groups": [{"name": "all", "rules": rules}]}))
    done = subprocess.run([promtool, "check", "rules", str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(queries)} rules found" in done.stdout


ALIVE = scenarios.life(scenarios.growing(1, 300, 3000))
DEAD = scenarios.life(scenarios.growing(1, 300, 1500))
ZERO = scenarios.uses(scenarios.flat(0, 3000))
FIVE = scenarios.uses(scenarios.then(scenarios.flat(2, 2000), scenarios.flat(7, 1000)))
BORN = scenarios.uses(scenarios.then(scenarios.absent(2900), scenarios.flat(3, 100)), instance="b")


ANSWERS = (
    (lambda s: q.uses_within(s, "1d"), (ALIVE, ZERO), 0),
    (lambda s: q.uses_within(s, "1d"), (ALIVE,), 0),
    (lambda s: q.uses_within(s, "1d"), (DEAD, ZERO), None),
    (lambda s: q.uses_within(s, "1d"), (), None),
    (lambda s: q.uses_within(s, "1d"), (ALIVE, FIVE), 5),
    (lambda s: q.uses_within(s, "1d"), (DEAD, FIVE), 5),
    (lambda s: q.uses_within(s, "1d"), (ALIVE, FIVE, BORN), 8),
    (lambda s: q.targets_in_use(s, "1d"), (ALIVE, ZERO), 0),
    (lambda s: q.targets_in_use(s, "1d"), (DEAD, ZERO), None),
    (lambda s: q.targets_in_use(s, "1d"), (), None),
    (lambda s: q.targets_in_use(s, "1d"), (ALIVE, FIVE), 1),
    (lambda s: q.call_sites(s, "1d"), (ALIVE, scenarios.sites("4x600"), scenarios.sites("3x600", instance="b")), 4),
    (lambda s: q.call_sites(s, "1d"), (ALIVE, scenarios.sites("0x600")), 0),
    (lambda s: q.call_sites(s, "1d"), (DEAD, scenarios.sites("0x300")), None),
    (lambda s: q.new_call_sites(s, "1d"), (ALIVE, scenarios.sites("4x400 6x200")), 2),
    (lambda s: q.new_call_sites(s, "1d"), (ALIVE, scenarios.sites("6x600")), 0),
    (lambda s: q.new_call_sites(s, "1d"), (ALIVE, scenarios.sites("_x550 3x50")), 3),
    (lambda s: q.findings_total(s, "isolation", "1d"), (ALIVE,), 0),
    (lambda s: q.findings_total(s, "isolation", "1d"), (ALIVE, scenarios.mixed("_x550 2x50")), 2),
    (lambda s: q.findings_total(s, "isolation", "1d"), (DEAD,), None),
    (q.deadlines_ahead, (scenarios.deadline(9000, 3000), scenarios.deadline(10, 3000, scenarios.OTHER)), 1),
    (q.deadlines_ahead, (scenarios.deadline(2880, 3000),), 1),
    (q.deadlines_ahead, (scenarios.deadline(10, 3000),), 0),
    (q.deadlines_ahead, (), None),
)  # fmt: skip


@pytest.mark.parametrize("spelling", [alerts.PLAIN, alerts.PROMETHEUS], ids=["dotted", "prometheus"])
def test_numbers_are_right_and_zero_is_shown_only_while_somebody_watches(promtool, tmp_path, spelling):
    groups = []
    for number, (question, series, answer) in enumerate(ANSWERS):
        samples = [] if answer is None else [{"labels": "{}", "value": answer}]
        groups.append({
            "name": f"ANSWERS[{number}]", "interval": f"{scenarios.STEP}m",
            "input_series": [scenarios.render(s, spelling) for s in series],
            "promql_expr_test": [{"expr": question(spelling), "eval_time": "2995m", "exp_samples": samples}],
        })
    assert run_tests(promtool, tmp_path, {"tests": groups}) == ""


LOGS = log_promql.Board(variables=False)
WATCHED = scenarios.observed(scenarios.growing(0, 1, 3000))
UNWATCHED = scenarios.observed(scenarios.growing(0, 1, 1500))
USED = scenarios.used("0x400 5x200")
SEEN = scenarios.entries("0x400 5x200")
LOG_ANSWERS = (
    (LOGS.uses_within("1d"), (WATCHED, USED), 5),
    (LOGS.uses_within("1d"), (WATCHED, scenarios.used("0x400 5x200", allowed="true")), 0),
    (LOGS.uses_within("1d"), (WATCHED,), 0),
    (LOGS.uses_within("1d"), (UNWATCHED,), None),
    (LOGS.uses_within("1d"), (UNWATCHED, USED), 5),
    (LOGS.uses_within("1d"), (), None),
    (LOGS.targets_in_use("1d"), (WATCHED, USED, scenarios.used("0x400 5x200", target="shop.legacy:b")), 2),
    (LOGS.targets_in_use("1d"), (WATCHED, scenarios.used("5x600")), 0),
    (LOGS.targets_in_use("1d"), (UNWATCHED,), None),
    (LOGS.call_sites("1d"), (WATCHED, SEEN, scenarios.entries("0x400 1x200", line="40")), 2),
    (LOGS.call_sites("1d"), (WATCHED, SEEN, scenarios.entries("0x400 1x200", "chat-2")), 1),
    (LOGS.call_sites("1d"), (UNWATCHED,), None),
    (LOGS.findings("isolation", "1d"), (WATCHED,), 0),
    (LOGS.findings("isolation", "1d"), (WATCHED, scenarios.counted(
        "findings_sum", {"finding": "isolation"} | scenarios.PLACE, "0x400 2x200")), 2),
    (LOGS.findings("isolation", "1d"), (WATCHED, scenarios.counted(
        "findings_sum", {"finding": "impact"} | scenarios.PLACE, "0x400 2x200")), 0),
    (LOGS.findings("isolation", "1d"), (UNWATCHED,), None),
    (LOGS.new_call_sites(), (WATCHED, SEEN), 1),
    (LOGS.new_call_sites(), (WATCHED,), 0),
    (LOGS.new_call_sites(), (UNWATCHED,), None),
)  # fmt: skip


def test_numbers_from_log_based_metrics_are_right_and_zero_is_shown_only_while_somebody_watches(promtool, tmp_path):
    groups = []
    for number, (query, series, answer) in enumerate(LOG_ANSWERS):
        samples = [] if answer is None else [{"labels": "{}", "value": answer}]
        groups.append({
            "name": f"LOG_ANSWERS[{number}]", "interval": f"{scenarios.STEP}m",
            "input_series": [scenarios.render_log(s) for s in series],
            # Rounded: increase() extrapolates by a part of a step on Prometheus.
            "promql_expr_test": [{"expr": f"round({query})", "eval_time": "2995m", "exp_samples": samples}],
        })
    assert run_tests(promtool, tmp_path, {"tests": groups}) == ""
