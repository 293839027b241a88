"""OpenTelemetry: spans, metrics and log records over OTLP, or into the host's own providers.

Three outboxes, one for each signal, all driven by the agent's thread. The exporter is made anew for each
process id and shares nothing with the process that forked it. OpenTelemetry itself is imported with the
first attempt to send: what a batch holds is in the spool before that.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

from lastcall.errors import internal_errors
from lastcall.exporters import ExporterSettings, Health, is_last, names
from lastcall.exporters.discretion import discreet
from lastcall.exporters.entries import EntryBuilder
from lastcall.exporters.late import import_late
from lastcall.exporters.otel_clients import Client, Signal, endpoint, wanted
from lastcall.exporters.otel_readings import Collector, Readings
from lastcall.exporters.queueing import Answer, Outbox, RefusedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lastcall.evidence import Batch
    from lastcall.exporters.spool import Item

CHUNKS: Final[dict[Signal, int]] = {"traces": 1000, "logs": 500, "metrics": 10}
METRICS_LIMIT: Final = 2 * 1024 * 1024
"""Bytes of metrics history to keep while the backend is away; then only each process's newest collection."""

SILENCE_SECONDS: Final = 0.5
"""So long after nobody answered at an address nobody else knocks there."""

MODULES: Final[dict[Signal, str]] = {
    "traces": "lastcall.exporters.otel_bytes",
    "logs": "lastcall.exporters.otel_logs",
    "metrics": "lastcall.exporters.otel_metrics",
}

_global_readings: list[Readings] = []
"""What instruments on the host's meter show; they cannot be unregistered, so they are made once for a
process tree."""


class OtlpExporter:
    """Sends what the standard OTEL_* variables ask for. `otel_provider = "global"` uses the host's
    providers."""

    name = "otlp"

    def __init__(self, settings: ExporterSettings) -> None:
        self._settings = settings
        self._builder = EntryBuilder(settings)
        self._global = settings.otel_provider == "global"
        self._clients: dict[Signal, Client] = {}
        self._outboxes: dict[Signal, Outbox] = {}
        self._encode_spans: Callable[[list[Item]], Any] | None = None
        self._metrics = Collector(settings)
        self._observed = ""
        self._dropped: tuple[tuple[str, int], ...] = ()
        self._taking = threading.Lock()
        self._loaded = False
        self._silent: dict[str, tuple[float, str]] = {}
        self._metrics_due = 0.0
        signals: tuple[Signal, ...] = ("traces", "logs", "metrics")
        self._wanted = {signal for signal in signals if wanted(signal) and self._switched_on(signal)}
        if not self._global:
            for signal in self._wanted:
                self._open(signal)

    def _switched_on(self, signal: Signal) -> bool:
        if signal == "logs":
            return self._settings.otlp_logs
        return signal != "traces" or self._settings.spans != "none"

    def _open(self, signal: Signal) -> None:
        settings = self._settings
        sends = {"traces": self._send_spans, "logs": self._send_logs, "metrics": self._send_metrics}
        client = self._clients[signal] = Client(signal, settings.attempt_timeout)
        self._outboxes[signal] = Outbox(
            f"otlp-{signal}",
            sends[signal],
            folder=settings.spool_folder,
            limit=METRICS_LIMIT if signal == "metrics" else settings.spool_limit,
            attempt_timeout=settings.attempt_timeout,
            chunk_items=CHUNKS[signal],
            knock=lambda timeout, leaving: self._knock(client, timeout, leaving),
            load=lambda: self._load(client),
        )

    def export(self, batch: Batch) -> None:
        """See `Exporter.export`."""
        if not self._wanted:
            return
        with self._taking:
            items = self._take(batch)
        if self._global:
            self._into_global(items)
        elif not is_last(batch):
            for outbox in self._outboxes.values():
                outbox.drain(self._settings.attempt_timeout)

    def _knock(self, client: Client, timeout: float, leaving: bool) -> None:
        """Knock once for all signals of one address: three silences in a row would tell no more than one."""
        where = endpoint(client.signal)
        at, problem = self._silent.get(where, (0.0, ""))
        if problem and time.monotonic() - at < SILENCE_SECONDS:
            raise UnavailableError(problem)
        try:
            client.knock(timeout, leaving)
        except UnavailableError as error:
            self._silent[where] = (time.monotonic(), str(error))
            raise

    def _load(self, client: Client) -> None:
        """Import what every signal needs before the first is sent: at exit it would be harder."""
        if not self._loaded:
            for signal, module in MODULES.items():
                if signal in self._clients:
                    import_late(module)
            self._loaded = True
        client.load()

    def _take(self, batch: Batch) -> list[Item]:
        """Put what the batch calls for into the outboxes; also returns it."""
        dropped = self.health().dropped
        items = self._builder.items(batch, dropped)
        if "metrics" in self._wanted:
            self._collect(batch, dropped)
        if "traces" in self._outboxes:
            self._outboxes["traces"].put([item for item in items if "span" in item])
        if "logs" in self._outboxes:
            self._outboxes["logs"].put(
                [{key: value for key, value in item.items() if key != "span"} for item in items]
            )
        return items

    def _collect(self, batch: Batch, dropped: tuple[tuple[str, int], ...]) -> None:
        self._observed = self._observed or batch.process.id
        if batch.process.id == self._observed:
            due = batch.observation is not None or time.monotonic() >= self._metrics_due
            self._metrics_due = (
                time.monotonic() + self._settings.metric_interval if due else self._metrics_due
            )
            collector, errors = self._metrics, internal_errors.counts()
            if batch.observation is not None:
                self._dropped = batch.observation.dropped
            # Between two observations what was dropped before still is: a gauge that is not sent goes stale.
            dropped = (*self._dropped, *dropped)
        else:  # the last words of a killed process, which are none of our own
            due, collector, errors, dropped = True, Collector(self._settings), (), ()
            if batch.observation is not None:
                errors, dropped = batch.observation.internal_errors, batch.observation.dropped
        collector.readings.count_findings(batch)
        if due or self._global:  # the host's reader asks when it likes
            collector.readings.take(batch, dropped, errors)
        if due and not self._global:
            self._outboxes["metrics"].put(collector.items(batch))

    def _into_global(self, items: list[Item]) -> None:
        """The host's providers deliver, in their own time and with their own losses."""
        from opentelemetry import metrics, trace
        from opentelemetry._logs import get_logger_provider

        from lastcall.exporters.otel_logs import api_record
        from lastcall.exporters.otel_metrics import register
        from lastcall.exporters.otel_spans import start_span

        if "traces" in self._wanted:
            tracer = trace.get_tracer(names.SCOPE)
            for item in items:
                if "span" in item:
                    start_span(tracer, item)
        if "logs" in self._wanted:
            logger = get_logger_provider().get_logger(names.SCOPE)
            for item in items:
                logger.emit(api_record(item))
        if "metrics" in self._wanted and self._metrics.readings not in _global_readings:
            first = not _global_readings
            _global_readings[:] = [self._metrics.readings]
            if first:
                register(metrics.get_meter(names.SCOPE), lambda: _global_readings[0])

    def _send_spans(self, items: list[Item], timeout: float) -> Answer:
        client = self._clients["traces"]
        if self._encode_spans is None:
            self._encode_spans = self._span_encoder(client)
        with discreet():
            spans = self._encode_spans(items)
        if spans:
            client.send(spans, timeout)
        return Answer()

    @staticmethod
    def _span_encoder(client: Client) -> Callable[[list[Item]], Any]:
        """Called when the client is loaded."""
        if client.takes_bytes:
            from lastcall.exporters.otel_bytes import SpanEncoder

            return SpanEncoder().request
        from lastcall.exporters.otel_spans import SpanMaker

        return SpanMaker().spans

    def _send_logs(self, items: list[Item], timeout: float) -> Answer:
        from lastcall.exporters.otel_logs import records

        self._clients["logs"].send(records(items), timeout)
        return Answer()

    def _send_metrics(self, items: list[Item], timeout: float) -> Answer:
        from lastcall.exporters.otel_metrics import thaw

        # One request for each collection: a backend keeps the order of points only across requests.
        deadline = time.monotonic() + timeout
        for item in items:
            self._clients["metrics"].send(thaw(item), max(deadline - time.monotonic(), 0.05))
        return Answer()

    def force_flush(self, timeout: float) -> bool:
        """See `Exporter.force_flush`."""
        deadline = time.monotonic() + timeout
        done = [
            outbox.drain(max(deadline - time.monotonic(), 0.0), anyway=True)
            for outbox in self._outboxes.values()
        ]
        return all(done)

    def shutdown(self, timeout: float) -> None:
        """See `Exporter.shutdown`."""
        deadline = time.monotonic() + timeout
        for outbox in self._outboxes.values():
            outbox.close(max(deadline - time.monotonic(), 0.0))

    @property
    def hanging(self) -> bool:
        """See `Exporter.hanging`."""
        return any(outbox.hanging for outbox in self._outboxes.values())

    def health(self) -> Health:
        """See `Exporter.health`; the sum over the signals."""
        parts = [outbox.health() for outbox in self._outboxes.values()]
        return Health(
            self.name,
            sum(part.delivered for part in parts),
            sum(part.pending for part in parts),
            tuple(pair for part in parts for pair in part.dropped),
            "; ".join(part.problem for part in parts if part.problem),
        )

    def probe(self, timeout: float) -> str:
        """An empty request for each signal."""
        from opentelemetry.sdk.metrics.export import MetricsData

        empty: dict[Signal, Any] = {"traces": [], "logs": [], "metrics": MetricsData(resource_metrics=[])}
        problems = []
        for signal, client in self._clients.items():
            try:
                client.send(empty[signal], timeout)
            except (UnavailableError, RefusedError) as error:  # noqa: PERF203 - three at most
                problems.append(str(error))
        return "; ".join(problems)
