"""The real OTLP exporters, gRPC or HTTP, one call each: bounded in time, and with a reason when they fail."""

from __future__ import annotations

import importlib
import os
import re
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

from lastcall.exporters.discretion import discreet
from lastcall.exporters.queueing import RefusedError, UnavailableError
from lastcall.exporters.reach import knock

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Container, Mapping

Signal = Literal["traces", "metrics", "logs"]

_PACKAGE: Final = "opentelemetry.exporter.otlp.proto"
_CLASSES: Final = {
    "traces": ("trace_exporter", "OTLPSpanExporter"),
    "metrics": ("metric_exporter", "OTLPMetricExporter"),
    "logs": ("_log_exporter", "OTLPLogExporter"),
}
REFUSALS: Final = frozenset({"INVALID_ARGUMENT", "OUT_OF_RANGE", "400", "413", "422"})
"""Answers that say that the data is wrong, not the moment, the address or the permission."""


def wanted(signal: Signal, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the standard variables leave this signal on: `OTEL_TRACES_EXPORTER=none` and the like."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    return environ.get(f"OTEL_{signal.upper()}_EXPORTER", "").strip().lower() != "none"


def protocol(signal: Signal, environ: Mapping[str, str] = os.environ) -> Literal["grpc", "http"]:
    """From OTEL_EXPORTER_OTLP_[SIGNAL_]PROTOCOL; without it HTTP if the endpoint's port or path is HTTP's,
    else gRPC."""
    name = f"OTEL_EXPORTER_OTLP_{signal.upper()}_"
    said = environ.get(name + "PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "")
    if said:
        return "http" if said.strip().lower().startswith("http") else "grpc"
    where = urlsplit(environ.get(name + "ENDPOINT") or environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", ""))
    try:
        return "http" if where.port == 4318 or where.path.strip("/") else "grpc"  # noqa: PLR2004 - IANA's
    except ValueError:
        return "grpc"  # no number for a port; the exporter will complain in its own words


def endpoint(signal: Signal, environ: Mapping[str, str] = os.environ) -> str:
    """Where the signal goes, as far as knocking needs to know."""
    name = f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"
    default = "http://localhost:4318" if protocol(signal, environ) == "http" else "http://localhost:4317"
    return environ.get(name) or environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or default


class Client:
    """One signal's exporter, made at the first use."""

    def __init__(self, signal: Signal, timeout: float) -> None:
        self.signal = signal
        self._timeout = timeout
        self._exporter: Any = None
        self.takes_bytes = False
        """Whether `send` can pass on a request that is serialised already; known once it is loaded."""
        self._encoded: bytes | None = None
        """What the export under way sends in place of what the exporter makes of no spans."""
        self._astray = ""
        """Why the answer to the export under way is none of a collector's."""

    def send(self, data: Any, timeout: float) -> None:
        """Export within `timeout` seconds. Raises UnavailableError, or RefusedError if the data is to
        blame.

        `data` is what the exporter takes, or `bytes`: a serialised request, if `takes_bytes` is true.
        """
        with discreet() as heard:
            try:
                exporter = self._connected()
                self._astray = ""
                _limit(exporter, min(timeout, self._timeout))
                if isinstance(data, bytes):
                    self._encoded, data = data, []
                result = exporter.export(data)
            except Exception as error:  # a bad certificate, header or URL raises whatever it likes
                raise UnavailableError(f"OTLP {self.signal}: {self._astray or _one_line(error)}") from error
            finally:
                self._encoded = None
        if self._astray:  # first: what older exporters met at the other address is no help
            raise UnavailableError(f"OTLP {self.signal} to {self._where}: {self._astray}")
        if result.name != "SUCCESS":
            raise self._failure(heard)

    def knock(self, timeout: float, leaving: bool) -> None:
        """Raises UnavailableError if nobody listens there, or nobody speaks while we leave."""
        knock(endpoint(self.signal), timeout, answer=leaving)

    def load(self) -> None:
        """Import and make the exporter. Raises whatever it likes if the settings are no good."""
        with discreet():
            self._connected()

    def _connected(self) -> Any:
        if self._exporter is None:
            module, name = _CLASSES[self.signal]
            package = f"{_PACKAGE}.{protocol(self.signal)}"
            self._exporter = getattr(importlib.import_module(f"{package}.{module}"), name)(
                timeout=self._timeout
            )
            self.takes_bytes = self._open_seam(self._exporter)
            self._look_at_answers(self._exporter)
        return self._exporter

    def _look_at_answers(self, exporter: Any) -> None:
        """Note an answer over HTTP that no collector gives, and that the exporters take for success.

        A redirect: newer ones do not follow it, older ones do so without the data. And a web page, such as
        one to log in. `requests` and urllib3 lie below newer exporters, a session of `requests` below older.
        """
        transport: Any = getattr(getattr(exporter, "_client", None), "_transport", None)
        session: Any = getattr(exporter, "_session", None)
        if hasattr(transport, "request"):
            original = transport.request

            def request(*given: Any, **named: Any) -> Any:
                answer = original(*given, **named)
                if answer.status_code is not None:
                    self._astray = _astray(answer.status_code, answer.headers(), _REDIRECTS)
                return answer

            transport.request = request
        elif hasattr(session, "hooks"):

            def hook(answer: Any, *_: Any, **__: Any) -> None:
                # one that keeps the method (307, 308) is followed with the data
                self._astray = self._astray or _astray(answer.status_code, answer.headers, _WITHOUT_DATA)

            session.hooks["response"].append(hook)

    def _open_seam(self, exporter: Any) -> bool:
        """Let `self._encoded` take the place of what the exporter encodes, between its encoder and its transport.

        Headers, TLS, compression, timeouts and retries stay the exporter's own. Returns False for an exporter
        that is built in a way not known here: it gets SDK objects, which costs more.
        """
        if self.signal != "traces":
            return False
        if hasattr(exporter, "_translate_data"):
            from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

            self._substitute(exporter, "_translate_data", ExportTraceServiceRequest.FromString)
            return True
        for holder, name in ((getattr(exporter, "_client", None), "export"), (exporter, "_export")):
            if hasattr(holder, name):
                self._substitute(holder, name, None)
                return True
        return False

    def _substitute(self, holder: Any, name: str, convert: Callable[[bytes], Any] | None) -> None:
        """Replace this one object's method: by one that converts, or by itself with another first argument."""
        original = getattr(holder, name)

        def substituted(data: Any, *rest: Any) -> Any:
            if self._encoded is None:
                return original(data, *rest)
            return convert(self._encoded) if convert else original(self._encoded, *rest)

        setattr(holder, name, substituted)

    def _failure(self, heard: list[logging.LogRecord]) -> Exception:
        """The exporters tell why they failed to their logger alone."""
        text = _one_line(heard[-1].getMessage()) if heard else "no reason given"
        if heard and "timeout, max retries" in text and len(heard) > 1:
            text = _one_line(heard[-2].getMessage())
        text = f"OTLP {self.signal} to {self._where}: {text}"
        codes = {getattr(value, "name", str(value)) for value in _arguments(heard)}
        return RefusedError(text) if codes & REFUSALS else UnavailableError(text)

    @property
    def _where(self) -> str:
        return str(getattr(self._exporter, "_endpoint", ""))

    def close(self) -> None:
        """Close the connection."""
        if self._exporter is not None:
            with discreet():
                self._exporter.shutdown()
            self._exporter = None


_REDIRECTS: Final = range(300, 400)
_WITHOUT_DATA: Final = (301, 302, 303)


def _astray(status: int, headers: Mapping[str, str], redirects: Container[int]) -> str:
    """What is wrong with an answer that is no collector's; nothing if it may be one's."""
    named = {name.lower(): value for name, value in headers.items()}
    if status in redirects:
        there = named.get("location", "").partition("?")[0]
        return f"it redirects (HTTP {status}) to {there or 'elsewhere'}; give the address of the collector itself"
    if status < _REDIRECTS.start and named.get("content-type", "").startswith("text/html"):
        return "a web page answers, and no collector"
    return ""


def _limit(exporter: Any, seconds: float) -> None:
    """Bound the next call. The exporters take a timeout only when they are made, and retry within it."""
    holder = exporter if hasattr(exporter, "_timeout") else exporter._client
    holder._timeout = seconds


def _arguments(heard: list[logging.LogRecord]) -> list[Any]:
    last = heard[-1].args if heard else ()
    return list(last) if isinstance(last, tuple) else []


def _one_line(error: object) -> str:
    text = " ".join(str(error).split())
    return re.sub(r"<[^<>]* object at 0x[0-9a-f]+>:? ?", "", text)[:300]
