"""The REST form of the service: what gcloud and `LASTCALL_GCP_ENDPOINT=http://...` speak."""

from __future__ import annotations

import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import grpc
from google.cloud.logging_v2.types import LogMetric
from google.cloud.monitoring_dashboard_v1.types import Dashboard
from google.cloud.monitoring_v3.types import AlertPolicy
from google.protobuf import json_format

from loopback_monitoring.state import Refusal, State, _known

ROUTE = re.compile(
    r"/(?:v1|v2|v3)/(?P<parent>projects/[^/]+)/(?P<collection>dashboards|alertPolicies|metrics)(?:/(?P<id>[^/]+))?"
)
HTTP = {
    grpc.StatusCode.INVALID_ARGUMENT: 400, grpc.StatusCode.UNAUTHENTICATED: 401, grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404, grpc.StatusCode.ALREADY_EXISTS: 409, grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429, grpc.StatusCode.UNAVAILABLE: 503,
}
TYPES = {"dashboards": Dashboard, "alertPolicies": AlertPolicy, "metrics": LogMetric}
SINGULAR = {"dashboards": "Dashboard", "alertPolicies": "AlertPolicy", "metrics": "LogMetric"}
PLURAL = {"dashboards": "Dashboards", "alertPolicies": "AlertPolicies", "metrics": "LogMetrics"}


@contextmanager
def serving(state: State):
    """A server on a free port of 127.0.0.1; gives `http://host:port`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(state))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(state: State):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.answer()

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

        def answer(self):
            length = int(self.headers.get("Content-Length") or 0)
            text = self.rfile.read(length)
            try:
                with state.lock:
                    status, body = 200, _act(state, self.command, self.path, text)
            except Refusal as refusal:
                status = HTTP.get(refusal.code, 500)
                body = {"error": {"code": status, "message": refusal.message, "status": refusal.code.name}}
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=UTF-8")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments):
            pass

    return Handler


def _act(state: State, verb: str, path: str, text: bytes) -> dict:
    parts = urlsplit(path)
    route = ROUTE.fullmatch(parts.path)
    if not route:
        raise Refusal(grpc.StatusCode.NOT_FOUND, f"no such method: {verb} {path}")
    query = {key: values[0] for key, values in parse_qs(parts.query).items()}
    parent, collection, identity = route["parent"], route["collection"], route["id"]
    action = {"GET": "Get" if identity else "List", "POST": "Create", "PUT": "Update", "PATCH": "Update", "DELETE": "Delete"}[verb]
    state.enter(action + (PLURAL if action == "List" else SINGULAR)[collection], parent)
    resources = {"dashboards": state.dashboards, "alertPolicies": state.policies, "metrics": state.metrics}[collection]
    name = unquote(identity or "") if collection == "metrics" else f"{parent}/{collection}/{identity}"
    if action == "List":
        page, token = state.page(list(resources.values()), query.get("pageToken", ""))
        return {collection: [_json(item) for item in page], **({"nextPageToken": token} if token else {})}
    if action == "Get":
        return _json(_known(resources, name))
    if action == "Delete":
        del resources[_known(resources, name).name]
        return {}
    message = _parsed(collection, text)
    if action == "Create" and collection == "dashboards":
        return _json(state.create_dashboard(message, validate_only=query.get("validateOnly") == "true"))
    return _json({
        ("Create", "alertPolicies"): state.create_policy, ("Create", "metrics"): state.create_metric,
        ("Update", "dashboards"): state.update_dashboard, ("Update", "alertPolicies"): state.update_policy,
        ("Update", "metrics"): state.update_metric,
    }[action, collection](message))


def _parsed(collection: str, text: bytes):
    message = TYPES[collection]()
    try:
        json_format.Parse(text, TYPES[collection].pb(message))
    except json_format.ParseError as error:
        raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, f"Invalid JSON payload received. {error}") from error
    return message


def _json(message) -> dict:
    return json_format.MessageToDict(type(message).pb(message))
