"""Our own exports leave no trace in the host: no spans of our requests, no log records about a dead
backend."""

from __future__ import annotations

import logging
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

TALKATIVE: Final = (
    "opentelemetry.exporter.otlp.proto.grpc.exporter",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.exporter.otlp.proto.http.metric_exporter",
    "opentelemetry.exporter.otlp.proto.http._log_exporter",
    "opentelemetry.exporter.otlp.common.http",
    "opentelemetry.attributes",
    "opentelemetry.sdk.trace",
    "opentelemetry.sdk.metrics._internal",
    "urllib3.connectionpool",
    "urllib3.util.retry",
    "google.auth.transport.requests",
    "google.auth._default",
    "google.auth.compute_engine._metadata",
    "google.api_core.retry.retry_unary",
)
"""Loggers of the libraries we call. The host may use the same ones itself, so they are not simply
silenced."""

_local = threading.local()
_installed = threading.Lock()
_filters: list[logging.Filter] = []


class _OurThread(logging.Filter):
    """Takes records that were logged inside `quiet()`, in this thread; lets all others pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        heard: list[logging.LogRecord] | None = getattr(_local, "heard", None)
        if heard is None:
            return True
        if record.levelno >= logging.WARNING:
            heard.append(record)
        return False


@contextmanager
def quiet() -> Iterator[list[logging.LogRecord]]:
    """What the client libraries log in this thread goes into the list that this yields, and nowhere else."""
    _install()
    before = getattr(_local, "heard", None)
    heard: list[logging.LogRecord] = []
    _local.heard = heard
    try:
        yield heard
    finally:
        _local.heard = before


def _install() -> None:
    with _installed:
        if _filters:
            return
        _filters.append(_OurThread())
        for name in TALKATIVE:
            logging.getLogger(name).addFilter(_filters[0])


@contextmanager
def untraced() -> Iterator[None]:
    """No instrumentation of requests or grpc makes spans of what is sent inside."""
    if "opentelemetry" not in sys.modules:
        yield  # nobody here could make a span
        return
    from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, detach, set_value

    token: Any = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
    try:
        yield
    finally:
        detach(token)


@contextmanager
def discreet() -> Iterator[list[logging.LogRecord]]:
    """`quiet` and `untraced` together."""
    with untraced(), quiet() as heard:
        yield heard
