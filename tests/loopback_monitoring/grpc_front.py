"""The gRPC form of the service, from the client libraries' own request and response types."""

from __future__ import annotations

from concurrent import futures
from contextlib import contextmanager
from urllib.parse import unquote

import grpc
from google.cloud.logging_v2 import types as logging_types
from google.cloud.monitoring_dashboard_v1 import types as dashboard_types
from google.cloud.monitoring_v3 import types as monitoring_types
from google.protobuf import empty_pb2

from loopback_monitoring.state import Refusal, State, _known


@contextmanager
def serving(state: State):
    """A server on a free port of 127.0.0.1; gives `host:port`."""
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers(_handlers(state))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


def _handlers(state: State):
    def method(name, request_type, response_type, act):
        def handle(request, context):
            with state.lock:
                try:
                    parent = getattr(request, "parent", "") or getattr(request, "name", "")
                    parent = parent or getattr(request, "metric_name", "") or _inner_name(request)
                    state.enter(name, parent)
                    return act(request)
                except Refusal as refusal:
                    context.abort(refusal.code, refusal.message)

        serialize = response_type.SerializeToString if response_type is empty_pb2.Empty else response_type.serialize
        return name, grpc.unary_unary_rpc_method_handler(handle, request_type.deserialize, serialize)

    d, m, log = dashboard_types, monitoring_types, logging_types
    empty = empty_pb2.Empty
    services = {
        "google.monitoring.dashboard.v1.DashboardsService": (
            method("ListDashboards", d.ListDashboardsRequest, d.ListDashboardsResponse,
                   _lister(state, state.dashboards, d.ListDashboardsResponse, "dashboards")),
            method("GetDashboard", d.GetDashboardRequest, d.Dashboard, lambda r: _known(state.dashboards, r.name)),
            method("CreateDashboard", d.CreateDashboardRequest, d.Dashboard,
                   lambda r: state.create_dashboard(r.dashboard, validate_only=r.validate_only)),
            method("UpdateDashboard", d.UpdateDashboardRequest, d.Dashboard,
                   lambda r: state.update_dashboard(r.dashboard)),
            method("DeleteDashboard", d.DeleteDashboardRequest, empty, _deleter(state.dashboards, lambda r: r.name)),
        ),
        "google.monitoring.v3.AlertPolicyService": (
            method("ListAlertPolicies", m.ListAlertPoliciesRequest, m.ListAlertPoliciesResponse,
                   _lister(state, state.policies, m.ListAlertPoliciesResponse, "alert_policies")),
            method("GetAlertPolicy", m.GetAlertPolicyRequest, m.AlertPolicy, lambda r: _known(state.policies, r.name)),
            method("CreateAlertPolicy", m.CreateAlertPolicyRequest, m.AlertPolicy,
                   lambda r: state.create_policy(r.alert_policy)),
            method("UpdateAlertPolicy", m.UpdateAlertPolicyRequest, m.AlertPolicy,
                   lambda r: state.update_policy(r.alert_policy)),
            method("DeleteAlertPolicy", m.DeleteAlertPolicyRequest, empty, _deleter(state.policies, lambda r: r.name)),
        ),
        "google.logging.v2.MetricsServiceV2": (
            method("ListLogMetrics", log.ListLogMetricsRequest, log.ListLogMetricsResponse,
                   _lister(state, state.metrics, log.ListLogMetricsResponse, "metrics")),
            method("GetLogMetric", log.GetLogMetricRequest, log.LogMetric,
                   lambda r: _known(state.metrics, metric_id(r.metric_name))),
            method("CreateLogMetric", log.CreateLogMetricRequest, log.LogMetric, lambda r: state.create_metric(r.metric)),
            method("UpdateLogMetric", log.UpdateLogMetricRequest, log.LogMetric, lambda r: state.update_metric(r.metric)),
            method("DeleteLogMetric", log.DeleteLogMetricRequest, empty,
                   _deleter(state.metrics, lambda r: metric_id(r.metric_name))),
        ),
    }
    return tuple(grpc.method_handlers_generic_handler(name, dict(methods)) for name, methods in services.items())


def metric_id(path: str) -> str:
    """The metric's name out of `projects/P/metrics/ID`, where its slashes are escaped."""
    return unquote(path.split("/metrics/", 1)[1])


def _inner_name(request) -> str:
    for field in ("dashboard", "alert_policy"):
        if hasattr(request, field):
            return getattr(request, field).name
    return ""


def _lister(state, resources, response_type, field):
    def act(request):
        page, token = state.page(list(resources.values()), request.page_token)
        return response_type(**{field: page, "next_page_token": token})

    return act


def _deleter(resources, name_of):
    def act(request):
        _known(resources, name_of(request))
        del resources[name_of(request)]
        return empty_pb2.Empty()

    return act
