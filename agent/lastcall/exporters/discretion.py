"""Our own exports leave no trace in the host: no spans of our requests, no log records about a dead
backend."""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from contextlib import contextmanager, suppress
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

VERSION_NOTICE: Final = r"You are using a (non-supported )?Python version"

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
def unannounced() -> Iterator[None]:
    """What Google's libraries warn about when they are imported on an ageing Python stays out of the host's stderr.

    One filter for those sentences alone, put in front and taken out again. Not `catch_warnings`: a host's thread may
    be inside one of its own at this moment, and would get our filters back, or lose its own.
    """
    warnings.filterwarnings("ignore", VERSION_NOTICE, FutureWarning)
    ours = warnings.filters[0]
    try:
        yield
    finally:
        with suppress(ValueError):  # the host has replaced all filters meanwhile
            warnings.filters.remove(ours)  # type: ignore[attr-defined]  # a list, whatever the stubs say


@contextmanager
def discreet() -> Iterator[list[logging.LogRecord]]:
    """`quiet` and `untraced` together."""
    with untraced(), quiet() as heard:
        yield heard
