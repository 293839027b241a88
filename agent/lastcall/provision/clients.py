"""Google's generated clients for dashboards, alert policies and log-based metrics, over gRPC."""

from __future__ import annotations

from typing import Any

from lastcall.provision.api import TIMEOUT, reading
from lastcall.provision.kinds import ALERT_POLICY, LOG_METRIC, Body, Kind, normalise


class GrpcApi:
    """Google's generated clients over gRPC. Credentials are the application default ones."""

    def __init__(self, project: str, endpoint: str = "", *, plaintext: bool = False) -> None:
        from google.cloud.logging_v2.services.metrics_service_v2 import MetricsServiceV2Client
        from google.cloud.monitoring_dashboard_v1 import DashboardsServiceClient
        from google.cloud.monitoring_v3 import AlertPolicyServiceClient

        self._parent = f"projects/{project}"
        classes: tuple[Any, ...] = (MetricsServiceV2Client, AlertPolicyServiceClient, DashboardsServiceClient)
        # Looked up once: without any, each look-up may wait for a metadata server that is not there.
        credentials = None if plaintext else _credentials()
        self._metrics, self._policies, self._dashboards = (
            _client(cls, endpoint, credentials) for cls in classes
        )

    def read_all(self, kind: Kind) -> list[Body]:
        """See `Api`."""
        if kind is LOG_METRIC:
            pages = self._metrics.list_log_metrics(request={"parent": self._parent}, **reading())
        elif kind is ALERT_POLICY:
            pages = self._policies.list_alert_policies(request={"name": self._parent}, **reading())
        else:
            pages = self._dashboards.list_dashboards(request={"parent": self._parent}, **reading())
        return [_from_message(kind, message) for message in pages]

    def get(self, kind: Kind, name: str) -> Body:
        """See `Api`."""
        if kind is LOG_METRIC:
            message = self._metrics.get_log_metric(
                request={"metric_name": self._metric_path(name)}, **reading()
            )
        elif kind is ALERT_POLICY:
            message = self._policies.get_alert_policy(request={"name": name}, **reading())
        else:
            message = self._dashboards.get_dashboard(request={"name": name}, **reading())
        return _from_message(kind, message)

    def create(self, kind: Kind, body: Body) -> Body:
        """See `Api`."""
        message = _to_message(kind, body)
        if kind is LOG_METRIC:
            made = self._metrics.create_log_metric(
                request={"parent": self._parent, "metric": message}, timeout=TIMEOUT
            )
        elif kind is ALERT_POLICY:
            made = self._policies.create_alert_policy(
                request={"name": self._parent, "alert_policy": message}, timeout=TIMEOUT
            )
        else:
            made = self._dashboards.create_dashboard(
                request={"parent": self._parent, "dashboard": message}, timeout=TIMEOUT
            )
        return _from_message(kind, made)

    def update(self, kind: Kind, body: Body) -> Body:
        """See `Api`."""
        message = _to_message(kind, body)
        if kind is LOG_METRIC:
            request = {"metric_name": self._metric_path(str(body["name"])), "metric": message}
            made = self._metrics.update_log_metric(request=request, timeout=TIMEOUT)
        elif kind is ALERT_POLICY:
            made = self._policies.update_alert_policy(request={"alert_policy": message}, timeout=TIMEOUT)
        else:
            made = self._dashboards.update_dashboard(request={"dashboard": message}, timeout=TIMEOUT)
        return _from_message(kind, made)

    def delete(self, kind: Kind, name: str) -> None:
        """See `Api`."""
        if kind is LOG_METRIC:
            self._metrics.delete_log_metric(request={"metric_name": self._metric_path(name)}, timeout=TIMEOUT)
        elif kind is ALERT_POLICY:
            self._policies.delete_alert_policy(request={"name": name}, timeout=TIMEOUT)
        else:
            self._dashboards.delete_dashboard(request={"name": name}, timeout=TIMEOUT)

    def _metric_path(self, name: str) -> str:
        # The one kind whose `name` is an id and not a path; a slash in it is escaped in a path.
        return f"{self._parent}/metrics/{name.replace('/', '%2F')}"


def _credentials() -> Any:
    import google.auth

    credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
    return credentials


def _client(cls: Any, endpoint: str, credentials: Any) -> Any:
    if credentials is not None:
        options = {"api_endpoint": endpoint} if endpoint else None
        return cls(credentials=credentials, client_options=options)
    import grpc

    channel = grpc.insecure_channel(endpoint)
    return cls(transport=cls.get_transport_class("grpc")(channel=channel))


def _to_message(kind: Kind, body: Body) -> Any:
    from google.protobuf import json_format

    return json_format.ParseDict(body, kind.message())


def _from_message(kind: Kind, message: Any) -> Body:
    from google.protobuf import json_format

    return normalise(kind, json_format.MessageToDict(type(message).pb(message)))
