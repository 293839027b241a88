"""`lastcall gcp` with Google's real clients, against a loopback service that keeps state and enforces the rules."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
from google.cloud.monitoring_dashboard_v1.types import Dashboard
from google.cloud.monitoring_v3.types import AlertPolicy
from hypothesis import given
from hypothesis import strategies as st

import command_line
from lastcall.errors import UsageError
from lastcall.provision import api as provision_api
from lastcall.provision.definitions import load
from lastcall.provision.execute import execute, survey
from lastcall.provision.kinds import (
    ALERT_POLICY,
    DASHBOARD,
    KINDS,
    LOG_METRIC,
    comparable,
    normalise,
    slug_of,
    updated,
)
from lastcall.provision.plan import plan, removal
from loopback_monitoring import grpc_front, rest_front
from loopback_monitoring.state import State

ROOT = Path(__file__).resolve().parents[1]
SCHEMES = ("grpc", "http")
DEFAULT_COUNT = len(load(reads="logs"))


class Service:
    """The loopback service and a connection to it."""

    def __init__(self, scheme: str, state: State, address: str) -> None:
        self.state = state
        self.endpoint = address if "://" in address else f"{scheme}://{address}"
        self.api = provision_api.connect("demo", self.endpoint)

    def plan(self, **options):
        adopt = options.pop("adopt", False)
        return plan(load(**options), survey(self.api, "demo"), adopt=adopt)

    def apply(self, **options):
        return list(execute(self.api, self.plan(**options), "demo"))

    def destroy(self):
        return list(execute(self.api, removal(survey(self.api, "demo")), "demo"))

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        """The command as a user runs it."""
        return lastcall(*arguments, LASTCALL_GCP_ENDPOINT=self.endpoint, **environment)


def lastcall(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    env = {key: value for key, value in os.environ.items() if not key.startswith(("LASTCALL_", "GOOGLE_"))}
    return command_line.lastcall("gcp", *arguments, cwd=Path.cwd(), env=env | {"COLUMNS": "200", **environment})


@pytest.fixture(params=SCHEMES)
def service(request):
    state = State()
    front = grpc_front if request.param == "grpc" else rest_front
    with front.serving(state) as address:
        yield Service(request.param, state, address)


@pytest.fixture
def grpc_service():
    state = State()
    with grpc_front.serving(state) as address:
        yield Service("grpc", state, address)


def actions(changes):
    return {(change.kind.name, change.slug): change.action for change in changes}


def assert_all_done(outcomes):
    assert [(o.change.slug, o.message) for o in outcomes if o.result != "done"] == []


class TestLifeCycle:
    def test_everything_is_created_once_and_a_second_run_changes_nothing(self, service):
        wanted = load()
        assert set(actions(service.plan()).values()) == {"create"}

        assert_all_done(service.apply())

        assert len(service.state.metrics) == sum(d.kind is LOG_METRIC for d in wanted) > 5
        assert len(service.state.policies) == sum(d.kind is ALERT_POLICY for d in wanted) == 10
        assert len(service.state.dashboards) == sum(d.kind is DASHBOARD for d in wanted) == 2
        written = len(service.state.writes())
        assert set(actions(service.plan()).values()) == {"unchanged"}
        assert service.apply() == []
        assert len(service.state.writes()) == written == len(wanted)

    def test_metrics_are_made_before_what_reads_them_and_removed_after(self, service):
        service.apply()
        made = [call.removeprefix("Create") for call in service.state.writes()]
        assert made == sorted(made, key=["LogMetric", "AlertPolicy", "Dashboard"].index)
        service.state.calls.clear()
        assert_all_done(service.destroy())
        gone = [call.removeprefix("Delete") for call in service.state.writes()]
        assert gone == sorted(gone, key=["Dashboard", "AlertPolicy", "LogMetric"].index)

    def test_destroy_removes_all_of_ours_and_nothing_else(self, service):
        service.state.create_dashboard(Dashboard(display_name="Sales"))
        service.state.create_policy(promql_policy("Somebody's"))
        service.apply()

        assert_all_done(service.destroy())

        assert [d.display_name for d in service.state.dashboards.values()] == ["Sales"]
        assert [p.display_name for p in service.state.policies.values()] == ["Somebody's"]
        assert service.state.metrics == {}
        assert service.destroy() == []

    def test_only_the_chosen_source_is_made_and_the_other_one_is_removed(self, service):
        service.apply(reads="both")
        assert_all_done(service.apply(reads="logs"))
        titles = [d.display_name for d in service.state.dashboards.values()]
        assert titles == ["Lastcall: road to zero"]
        assert len(service.state.policies) == 5
        assert_all_done(service.apply(reads="otlp"))
        assert service.state.metrics == {}, "OpenTelemetry metrics need no log-based ones"

    def test_a_definition_that_a_later_version_dropped_is_removed(self, service):
        service.apply()
        fewer = [d for d in load() if d.slug != "isolation"]
        changes = plan(fewer, survey(service.api, "demo"))
        assert [c.slug for c in changes if c.action == "delete"] == ["isolation"]
        assert_all_done(execute(service.api, changes, "demo"))
        assert all("isolation" not in p.user_labels["lastcall_id"] or p.user_labels["lastcall_id"] == "otlp-isolation"
                   for p in service.state.policies.values())


class TestDrift:
    def test_a_changed_query_is_shown_and_put_back(self, service):
        service.apply()
        board = next(d for d in service.state.dashboards.values() if d.labels["lastcall_id"] == "road-to-zero")
        tile = next(t for t in board.mosaic_layout.tiles if "Uses, last 24 h" in t.widget.title)
        tile.widget.scorecard.time_series_query.prometheus_query = "vector(0)"
        service.state.update_dashboard(board)

        (change,) = [c for c in service.plan() if c.action != "unchanged"]

        assert (change.action, change.slug) == ("update", "road-to-zero")
        assert '-              "prometheusQuery": "vector(0)"' in change.diff()
        assert_all_done(service.apply())
        assert set(actions(service.plan()).values()) == {"unchanged"}

    def test_an_added_tile_and_a_removed_one_are_drift(self, service):
        service.apply()
        board = next(iter(service.state.dashboards.values()))
        mosaic = board.mosaic_layout
        del mosaic.tiles[-1]
        service.state.update_dashboard(board)
        assert "update" in actions(service.plan()).values()
        service.apply()
        board = next(iter(service.state.dashboards.values()))
        mosaic = board.mosaic_layout
        bottom = max(t.y_pos + t.height for t in mosaic.tiles)
        mosaic.tiles.append({"width": 4, "height": 4, "y_pos": bottom, "widget": {"title": "mine", "blank": {}}})
        service.state.update_dashboard(board)
        assert "update" in actions(service.plan()).values()

    def test_a_threshold_added_by_hand_is_drift_though_the_file_has_none(self, service):
        service.apply()
        board = next(iter(service.state.dashboards.values()))
        chart = next(t.widget for t in board.mosaic_layout.tiles if "xy_chart" in t.widget)
        chart.xy_chart.thresholds.append({"value": 5})
        service.state.update_dashboard(board)
        assert "update" in actions(service.plan()).values()

    def test_what_people_set_by_hand_on_a_policy_stays(self, service):
        service.apply()
        policy = next(p for p in service.state.policies.values() if p.user_labels["lastcall_id"] == "isolation")
        policy.notification_channels.append("projects/demo/notificationChannels/7")
        policy.user_labels["team"] = "platform"
        policy.enabled = False
        service.state.update_policy(policy)
        assert set(actions(service.plan()).values()) == {"unchanged"}

        policy.display_name = "renamed"
        service.state.update_policy(policy)
        assert_all_done(service.apply())

        policy = next(p for p in service.state.policies.values() if p.user_labels["lastcall_id"] == "isolation")
        assert policy.display_name == "Lastcall: users mixed"
        assert list(policy.notification_channels) == ["projects/demo/notificationChannels/7"]
        assert policy.user_labels["team"] == "platform"
        assert not policy.enabled

    def test_channels_given_on_the_command_line_are_set(self, service):
        channel = "projects/demo/notificationChannels/9"
        service.apply(notification_channels=(channel,))
        assert all(list(p.notification_channels) == [channel] for p in service.state.policies.values())
        assert set(actions(service.plan()).values()) == {"unchanged"}

    def test_another_resource_type_replaces_the_default_in_every_query(self, service):
        service.apply(reads="logs", resource_type="k8s_container")
        texts = [str(d) for d in (*service.state.dashboards.values(), *service.state.policies.values())]
        assert any('monitored_resource=\\"k8s_container\\"' in text for text in texts)
        assert not any("cloud_run_revision" in text for text in texts)


# from 2 on: a field of Google's has one type, and to Python `True` is 1
SCALARS = st.one_of(st.booleans(), st.integers(2, 9), st.text("ab", min_size=1, max_size=2))
FIELDS = st.sampled_from(["conditions", "displayName", "combiner", "alertStrategy", "x", "y"])
BODIES = st.recursive(SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(FIELDS, inner, max_size=3)))
LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"), max_size=3)
RESOURCES = st.builds(lambda body, labels: {**body, "userLabels": labels}, st.dictionaries(FIELDS, BODIES, max_size=4), LABELS)


class TestComparison:
    @given(live=RESOURCES, desired=RESOURCES)
    def test_after_an_update_there_is_nothing_left_to_change(self, live, desired):
        live = {**live, "name": "projects/1/alertPolicies/2", "notificationChannels": ["mine"]}
        sent = updated(ALERT_POLICY, live, desired)
        assert comparable(ALERT_POLICY, sent, desired) == desired
        assert sent["name"] == live["name"]
        assert sent["notificationChannels"] == ["mine"]
        assert live["userLabels"].items() <= {**sent["userLabels"], **{k: live["userLabels"][k] for k in desired["userLabels"]
                                              if k in live["userLabels"]}}.items(), "nobody's labels are lost"

    @given(live=RESOURCES, desired=RESOURCES)
    def test_what_counts_as_equal_has_everything_that_is_wanted(self, live, desired):
        if comparable(ALERT_POLICY, live, desired) == desired:
            assert contains(live, desired)

    @given(desired=RESOURCES, default=SCALARS)
    def test_a_value_that_the_service_fills_in_is_no_change(self, desired, default):
        assert comparable(ALERT_POLICY, {**desired, "filledIn": default}, desired) == desired
        assert comparable(ALERT_POLICY, {**desired, "filledIn": [default]}, desired) != desired, "a list is somebody's"


def contains(whole, part):
    """Whether every value of `part` is in `whole`, lists equally long."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and contains(whole[key], part[key]) for key in part)
    if isinstance(part, list):
        return isinstance(whole, list) and len(whole) == len(part) and all(map(contains, whole, part))
    return type(whole) is type(part) and whole == part


class TestOthersWork:
    def test_a_metric_of_our_name_that_we_did_not_make_is_left_alone(self, service):
        body = normalise(LOG_METRIC, json.loads((ROOT / "dashboards/cloud-monitoring/log-metrics/uses.json").read_text()))
        service.api.create(LOG_METRIC, {**body, "name": "lastcall/uses", "description": "by Terraform"})

        outcomes = service.apply()

        (skipped,) = [o for o in outcomes if o.result != "done"]
        assert (skipped.change.slug, skipped.result) == ("uses", "skipped")
        assert "--adopt" in skipped.message
        assert service.state.metrics["lastcall/uses"].description == "by Terraform"
        assert_all_done(service.apply(adopt=True))
        assert "lastcall gcp" in service.state.metrics["lastcall/uses"].description
        assert set(actions(service.plan()).values()) == {"unchanged"}

    def test_a_dashboard_of_our_title_without_our_mark_is_a_conflict(self, service):
        service.state.create_dashboard(Dashboard(display_name="Lastcall: road to zero"))
        assert actions(service.plan())["dashboard", "road-to-zero"] == "conflict"

    def test_a_copy_with_our_labels_stops_change_and_removal_of_either(self, service):
        service.apply()
        original = next(d for d in service.state.dashboards.values() if d.labels["lastcall_id"] == "road-to-zero")
        copy = Dashboard(original)
        copy.display_name = "Copy of Lastcall"
        copy = service.state.create_dashboard(copy)

        changes = service.plan()
        assert actions(changes)["dashboard", "road-to-zero"] == "conflict"
        outcomes = service.destroy()

        assert [o.result for o in outcomes if o.change.slug == "road-to-zero"] == ["skipped"]
        assert {original.name, copy.name} <= set(service.state.dashboards)

    def test_a_label_of_ours_alone_is_no_mark(self):
        assert slug_of(DASHBOARD, {"labels": {"managed_by": "terraform", "lastcall_id": "x"}}) is None
        assert slug_of(LOG_METRIC, {"name": "lastcall/x", "description": "mine"}) is None
        assert slug_of(LOG_METRIC, {"name": "other/x", "description": "Managed by lastcall gcp."}) is None


class TestConflicts:
    @pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.folder)
    def test_a_change_made_after_the_plan_is_not_overwritten(self, service, kind):
        service.apply()
        drift(service.state, kind, "first drift")
        changes = [c for c in service.plan() if c.action != "unchanged"]
        assert [c.kind for c in changes] == [kind]
        drift(service.state, kind, "second drift")

        (outcome,) = execute(service.api, changes, "demo")

        assert outcome.result == "failed"
        assert "changed by somebody since the plan" in outcome.message
        assert described(service.state, kind) == "second drift"
        assert_all_done(service.apply())
        assert described(service.state, kind) not in ("first drift", "second drift")

    def test_the_etag_catches_a_change_between_the_last_look_and_the_write(self, service):
        service.apply()
        drift(service.state, DASHBOARD, "first drift")
        changes = [c for c in service.plan() if c.action != "unchanged"]
        get = service.api.get

        def get_then_somebody_writes(kind, name):
            seen = get(kind, name)
            drift(service.state, DASHBOARD, "second drift")
            return seen

        service.api.get = get_then_somebody_writes
        (outcome,) = execute(service.api, changes, "demo")
        assert outcome.result == "failed"
        assert "changed by somebody" in outcome.message
        assert described(service.state, DASHBOARD) == "second drift"

    def test_a_resource_changed_after_the_plan_is_not_deleted(self, service):
        service.apply()
        changes = removal(survey(service.api, "demo"))
        drift(service.state, ALERT_POLICY, "edited")
        outcomes = list(execute(service.api, changes, "demo"))
        assert [o.change.kind for o in outcomes if o.result == "failed"] == [ALERT_POLICY]
        assert described(service.state, ALERT_POLICY) == "edited"

    def test_what_is_gone_already_counts_as_deleted(self, service):
        service.apply()
        changes = removal(survey(service.api, "demo"))
        service.state.policies.clear()
        assert_all_done(execute(service.api, changes, "demo"))

    def test_a_metric_that_appears_after_the_plan_is_not_overwritten(self, service):
        changes = service.plan()
        body = next(d.body for d in load() if d.slug == "uses")
        service.api.create(LOG_METRIC, {**body, "description": "somebody's"})
        failed = [o for o in execute(service.api, changes, "demo") if o.result == "failed"]
        assert [o.change.slug for o in failed] == ["uses"]
        assert service.state.metrics["lastcall/uses"].description == "somebody's"


class TestFailures:
    def test_one_refused_change_does_not_stop_the_others_and_a_second_run_finishes(self, service):
        service.state.fail("CreateAlertPolicy", grpc.StatusCode.INVALID_ARGUMENT, "no such metric yet", times=2, after=1)

        outcomes = service.apply()

        assert [o.result for o in outcomes].count("failed") == 2
        for message in (o.message for o in outcomes if o.result == "failed"):
            assert message.startswith("Google refuses the request for the alert policies of project demo: ")
            assert message.endswith("no such metric yet")
        assert len(service.state.dashboards) == 2
        written = len(service.state.writes())
        again = service.apply()
        assert_all_done(again)
        assert len(service.state.writes()) - written == 2

    def test_a_service_that_is_away_for_a_moment_is_read_again(self, service):
        service.state.fail("ListDashboards", grpc.StatusCode.UNAVAILABLE, times=2)
        assert set(actions(service.plan()).values()) == {"create"}

    def test_a_create_is_not_sent_twice(self, service):
        service.state.fail("CreateDashboard", grpc.StatusCode.UNAVAILABLE, times=1)
        outcomes = service.apply()
        assert [o.change.kind for o in outcomes if o.result == "failed"] == [DASHBOARD]
        assert service.state.calls.count("CreateDashboard") == 2, "one refused, one other dashboard"

    def test_more_than_a_page_is_read(self, service):
        for number in range(7):
            service.state.create_dashboard(Dashboard(display_name=f"board {number}"))
        assert len(service.api.read_all(DASHBOARD)) == 7


class TestCommand:
    def test_plan_apply_plan_destroy(self, service):
        shown = service.run("plan", "--project", "demo")
        assert shown.returncode == 0, shown.stderr
        assert f"{DEFAULT_COUNT} to create, 0 to update" in shown.stdout
        assert "+ dashboard road-to-zero (create)" in shown.stdout
        assert "displayName" not in shown.stdout, "a page for each new dashboard would hide the rest"
        full = service.run("plan", "--project", "demo", "--full")
        assert '+  "displayName": "Lastcall: road to zero"' in full.stdout
        assert service.state.writes() == []

        applied = service.run("apply", "--project", "demo", "--yes")
        assert applied.returncode == 0, applied.stderr
        assert "created alert policy observation-lost" in applied.stdout
        assert len(service.state.dashboards) == 1

        assert service.run("plan", "--project", "demo", "--check").returncode == 0
        destroyed = service.run("destroy", "--yes", GOOGLE_CLOUD_PROJECT="demo")
        assert destroyed.returncode == 0, destroyed.stderr
        assert [*service.state.dashboards, *service.state.policies, *service.state.metrics] == []

    def test_project_and_endpoint_may_come_from_the_configuration(self, service, tmp_path):
        (tmp_path / "lastcall.toml").write_text(f'[lastcall]\ngcp_project = "demo"\ngcp_endpoint = "{service.endpoint}"\n')
        result = lastcall("plan", LASTCALL_CONFIG=str(tmp_path / "lastcall.toml"))
        assert f"Project demo: {DEFAULT_COUNT} to create" in result.stdout, result.stderr

    def test_plan_as_json_and_check(self, grpc_service):
        shown = grpc_service.run("plan", "--project", "demo", "--format", "json", "--check")
        assert shown.returncode == 1
        changes = json.loads(shown.stdout)["changes"]
        assert {change["action"] for change in changes} == {"create"}
        assert all(change["diff"].startswith("--- project") for change in changes)

    def test_nothing_is_changed_without_a_yes(self, grpc_service):
        for command in ("apply", "destroy"):
            if command == "destroy":
                grpc_service.apply()
                grpc_service.state.calls.clear()
            result = grpc_service.run(command, "--project", "demo")
            assert result.returncode == 3
            assert "--yes" in result.stderr
            assert grpc_service.state.writes() == []

    def test_partial_failure_exits_with_1_and_says_what_is_left(self, grpc_service):
        grpc_service.state.fail("CreateLogMetric", grpc.StatusCode.RESOURCE_EXHAUSTED, "quota", times=1, after=3)
        result = grpc_service.run("apply", "--project", "demo", "--yes")
        assert result.returncode == 1
        assert "failed log metric" in result.stdout
        assert f"1 of {DEFAULT_COUNT} changes were not made" in result.stderr
        assert grpc_service.run("apply", "--project", "demo", "--yes").returncode == 0


class TestBadInput:
    @pytest.mark.parametrize(("arguments", "environment", "expected"), [
        (("plan",), {}, "--project"),
        (("plan", "--project", "no such project!"), {}, "project id"),
        (("plan", "--project", "demo", "--from", "mql"), {}, "logs, otlp or both"),
        (("plan", "--project", "demo", "--format", "yaml"), {}, "text or json"),
        (("plan", "--project", "demo", "--resource-type", 'x"y'), {}, "monitored resource"),
        (("apply", "--project", "demo", "--notification-channel", "mail"), {}, "notificationChannels/ID"),
        (("plan", "--project", "demo"), {"LASTCALL_GCP_ENDPOINT": "ftp://x"}, "LASTCALL_GCP_ENDPOINT"),
        (("plan", "--project", "demo"), {"LASTCALL_GCP_ENDPOINT": "http://127.0.0.1:9/path"}, "LASTCALL_GCP_ENDPOINT"),
    ])  # fmt: skip
    def test_is_one_clear_sentence_and_exit_code_3(self, arguments, environment, expected):
        result = lastcall(*arguments, **{"LASTCALL_GCP_ENDPOINT": "grpc://127.0.0.1:9", **environment})
        assert_refused(result, expected)

    def test_a_project_one_may_not_read(self, service):
        result = service.run("plan", "--project", "other-project")
        assert_refused(result, "no permission")
        assert "roles/monitoring.dashboardEditor" in result.stderr
        assert "other-project" in result.stderr

    @pytest.mark.parametrize(("code", "message", "expected"), [
        (grpc.StatusCode.PERMISSION_DENIED, "Cloud Monitoring API has not been used in project demo before",
         "gcloud services enable monitoring.googleapis.com"),
        (grpc.StatusCode.UNAUTHENTICATED, "Request had invalid credentials.", "gcloud auth application-default login"),
        (grpc.StatusCode.NOT_FOUND, "Project not found", "gcloud projects list"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "Quota exceeded", "in a minute"),
    ])  # fmt: skip
    def test_a_refusal_of_the_service_says_what_to_do(self, service, code, message, expected):
        service.state.fail("*", code, message)
        assert_refused(service.run("apply", "--project", "demo", "--yes"), expected)

    @pytest.mark.parametrize("scheme", SCHEMES)
    def test_a_service_that_does_not_answer(self, scheme, monkeypatch):
        monkeypatch.setattr(provision_api, "RETRY_FOR", 1.0)
        with ExitStack() as stack:
            closed = stack.enter_context(socket.socket())
            closed.bind(("127.0.0.1", 0))
            api = provision_api.connect("demo", f"{scheme}://127.0.0.1:{closed.getsockname()[1]}")
            with pytest.raises(UsageError, match="cannot be reached"):
                survey(api, "demo")

    def test_no_credentials(self, tmp_path):
        result = lastcall("plan", "--project", "demo", NO_GCE_CHECK="true", HOME=str(tmp_path),
                          CLOUDSDK_CONFIG=str(tmp_path))
        assert_refused(result, "GOOGLE_APPLICATION_CREDENTIALS")

    @pytest.mark.parametrize("scheme", SCHEMES)
    def test_without_googles_clients_it_says_what_to_install(self, scheme, monkeypatch):
        monkeypatch.setitem(sys.modules, "google.cloud.monitoring_v3", None)
        with pytest.raises(UsageError, match=r"pip install 'lastcall\[gcp\]'"):
            provision_api.connect("demo", f"{scheme}://127.0.0.1:9")

    def test_a_definition_with_an_unknown_field_names_the_file(self, tmp_path):
        (tmp_path / "dashboards").mkdir()
        (tmp_path / "dashboards" / "x.json").write_text('{"displayName": "x", "description": "REST only"}')
        with pytest.raises(UsageError, match=r"dashboards/x\.json is not a valid dashboard.*description"):
            load(tmp_path)

    def test_a_folder_without_definitions(self, tmp_path):
        with pytest.raises(UsageError, match="no definitions"):
            load(tmp_path)


def assert_refused(result, expected):
    assert result.returncode == 3, result.stdout + result.stderr
    assert expected in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr


def promql_policy(title: str) -> AlertPolicy:
    return AlertPolicy(display_name=title, combiner="OR", conditions=[
        {"display_name": "x", "condition_prometheus_query_language": {"query": "vector(1)"}}])


def drift(state: State, kind, text: str) -> None:
    """Somebody edits one of our resources of the kind."""
    if kind is DASHBOARD:
        board = Dashboard(next(iter(state.dashboards.values())))
        board.display_name = text
        board.etag = ""
        state.update_dashboard(board)
    elif kind is ALERT_POLICY:
        policy = AlertPolicy(next(iter(state.policies.values())))
        policy.display_name = text
        state.update_policy(policy)
    else:
        metric = type(state.metrics["lastcall/uses"])(state.metrics["lastcall/uses"])
        metric.filter = text
        state.update_metric(metric)


def described(state: State, kind) -> str:
    if kind is DASHBOARD:
        return next(iter(state.dashboards.values())).display_name
    if kind is ALERT_POLICY:
        return next(iter(state.policies.values())).display_name
    return state.metrics["lastcall/uses"].filter
