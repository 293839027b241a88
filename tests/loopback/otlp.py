"""An OTLP receiver on loopback, gRPC and HTTP, that decodes `opentelemetry-proto` and keeps what it is sent."""

from __future__ import annotations

import gzip

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs_pb
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc as logs_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_pb
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as trace_grpc

from loopback.transports import HttpHandler, Service

CODES = {"refuse": grpc.StatusCode.UNAVAILABLE, "deny": grpc.StatusCode.PERMISSION_DENIED, "invalid": grpc.StatusCode.INVALID_ARGUMENT}
HTTP_CODES = {"refuse": 503, "deny": 403, "invalid": 400}
HANG_SECONDS = 60


def plain(value):
    """An AnyValue as plain Python."""
    kind = value.WhichOneof("value")
    return None if kind is None else getattr(value, kind)


def attributes(pairs):
    return {pair.key: plain(pair.value) for pair in pairs}


class Receiver(Service):
    """What was received. Use as a context manager."""

    def __init__(self):
        super().__init__()
        self.requests = {"traces": [], "metrics": [], "logs": []}
        self.headers = []
        self.behaviour = "ok"
        self.poison = ""  # a span with this attribute value makes its whole request invalid

    def add_to(self, server):
        trace_grpc.add_TraceServiceServicer_to_server(_servicer(self, "traces", trace_pb.ExportTraceServiceResponse), server)
        metrics_grpc.add_MetricsServiceServicer_to_server(_servicer(self, "metrics", metrics_pb.ExportMetricsServiceResponse), server)
        logs_grpc.add_LogsServiceServicer_to_server(_servicer(self, "logs", logs_pb.ExportLogsServiceResponse), server)

    def http_handler(self):
        return _handler(self)

    @property
    def grpc_endpoint(self):
        return f"http://{self.grpc_target}"

    def receive(self, signal, request):
        """Keep the request; the name of the misbehaviour if it is not kept."""
        if self.behaviour == "hang":
            self._release.wait(HANG_SECONDS)
            return "refuse"
        if self.behaviour != "ok":
            return self.behaviour
        if self.poison and self.poison in str(request):
            return "invalid"
        self.requests[signal].append(request)
        return None

    # -- what came -------------------------------------------------------------------------------------------

    def spans(self):
        """(span, attributes, resource attributes) of every span received."""
        return [(span, attributes(span.attributes), attributes(of.resource.attributes))
                for request in list(self.requests["traces"]) for of in request.resource_spans
                for scope in of.scope_spans for span in scope.spans]

    def logs(self):
        return [(record, attributes(record.attributes), attributes(of.resource.attributes))
                for request in list(self.requests["logs"]) for of in request.resource_logs
                for scope in of.scope_logs for record in scope.log_records]

    def points(self, name):
        """(attributes, value, point, resource attributes) of every point of a metric, in order of arrival."""
        found = []
        for request in list(self.requests["metrics"]):
            for of in request.resource_metrics:
                for metric in (m for scope in of.scope_metrics for m in scope.metrics if m.name == name):
                    data = getattr(metric, metric.WhichOneof("data"))
                    for point in data.data_points:
                        value = getattr(point, point.WhichOneof("value"))
                        found.append((attributes(point.attributes), value, point, attributes(of.resource.attributes)))
        return found


def _servicer(receiver, signal, response):
    class Servicer:
        def Export(self, request, context):
            receiver.headers.append(dict(context.invocation_metadata()))
            wrong = receiver.receive(signal, request)
            if wrong:
                context.abort(CODES[wrong], f"injected: {wrong}")
            return response()

    return Servicer()


REQUESTS = {"/v1/traces": ("traces", trace_pb.ExportTraceServiceRequest), "/v1/metrics": ("metrics", metrics_pb.ExportMetricsServiceRequest),
            "/v1/logs": ("logs", logs_pb.ExportLogsServiceRequest)}


def _handler(receiver):
    class Handler(HttpHandler):
        def do_POST(self):
            body = self.received()
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            receiver.headers.append({key.lower(): value for key, value in self.headers.items()})
            if self.path not in REQUESTS:
                return self._send(404)
            signal, kind = REQUESTS[self.path]
            wrong = receiver.receive(signal, kind.FromString(body))
            return self._send(HTTP_CODES[wrong] if wrong else 200)

        def _send(self, status):
            self.answer(status, "application/x-protobuf")

    return Handler
