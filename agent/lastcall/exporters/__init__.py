"""Exporters: what sends a `Batch` somewhere, behind one protocol, each loaded only when it is asked for.

The agent's background thread makes them, once for each process id, at its first flush. Nothing here imports
OpenTelemetry, google or grpc; `create()` does, inside the adapter it loads.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol

from lastcall.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lastcall.evidence import Batch


@dataclass(frozen=True, slots=True)
class ExporterSettings:
    """Everything an exporter may need to know; times in seconds, sizes in bytes."""

    service: str = ""
    environment: str = ""
    release: str = ""
    store: str = ""
    """Path of the store; what could not be sent waits beside it."""
    spool: str = ""
    """Folder for what could not be sent; empty: `STORE-spool`, or memory alone if there is no store
    either."""
    spool_limit: int = 32 * 1024 * 1024
    """Bytes that one process may leave on disk for one channel before repeats are merged."""
    gcp_project: str = ""
    """Empty: GOOGLE_CLOUD_PROJECT, then the project of the credentials."""
    gcp_endpoint: str = ""
    """`host:port`, or `http://host:port` for the REST transport without credentials."""
    gcp_mode: Literal["auto", "api", "stdout", "stderr"] = "auto"
    """`auto` is the API."""
    spans: Literal["sampled", "all", "none"] = "sampled"
    spans_per_site: float = 1.0
    """Repeats exported in detail, for each call site and minute; the first sight always is."""
    spans_per_process: float = 600.0
    """Repeats exported in detail, for the whole process and minute."""
    otel_provider: Literal["own", "global"] = "own"
    otlp_logs: bool = True
    """Whether `otlp` sends log records too; of little use beside `gcp`, which sends the same events."""
    metric_call_sites: int = 0
    """At most so many call sites become attributes of `lastcall.uses`; 0: none does."""
    metric_interval: float = 15.0
    attempt_timeout: float = 3.0
    """No single attempt to reach a backend takes longer."""
    extra: tuple[tuple[str, str], ...] = ()

    @property
    def spool_folder(self) -> str:
        """Where undelivered items wait; empty if they can only wait in memory."""
        return self.spool or (f"{self.store}-spool" if self.store else "")


@dataclass(frozen=True, slots=True)
class Health:
    """What an exporter can say about itself, for `lastcall doctor`, the metrics and the observations."""

    name: str
    delivered: int = 0
    pending: int = 0
    """Items that wait, in memory or on disk, for the backend to come back."""
    dropped: tuple[tuple[str, int], ...] = ()
    """Items that will never be sent, by reason."""
    problem: str = ""
    """One sentence: what is wrong now and where; empty while all is well."""


class Exporter(Protocol):
    """Sends batches to one backend, driven by the agent's background thread.

    Any method may be called from another thread while that one hangs in an attempt: a process that leaves
    then still gets its last batch onto the disk.
    """

    name: str

    def export(self, batch: Batch) -> None:
        """Take a batch over: what it holds is on disk, or in bounded memory, before anything is sent.

        A process's last batch (see `is_last`) is only kept; `shutdown` sends it.

        Sends what waits, unless the backend failed so recently that it is not due for another attempt.
        Takes at most about `attempt_timeout` seconds for each signal. Raises only what the caller's guard
        may swallow.
        """

    def force_flush(self, timeout: float) -> bool:
        """Try for at most `timeout` seconds to send everything, even if the backend failed just now.

        Returns whether nothing waits any more.
        """

    def shutdown(self, timeout: float) -> None:
        """Send what still waits, for at most `timeout` seconds, and let go of every resource.

        Makes no attempt if the last one failed: what waits is on disk already and is sent by the next process
        of this store.
        """

    @property
    def hanging(self) -> bool:
        """Whether an attempt is under way that takes longer than an exit should wait for this backend."""

    def health(self) -> Health:
        """Counters and the current problem; callable from any thread."""

    def probe(self, timeout: float) -> str:
        """Try the backend once. Returns an empty string, or one sentence that says what is wrong."""


def is_last(batch: Batch) -> bool:
    """Whether the process is leaving: then `export` only keeps the batch, and `shutdown`, which is
    bounded, sends."""
    return batch.observation is not None and batch.observation.final


_ADAPTERS: Final = {
    "otlp": ("lastcall.exporters.otel", "OtlpExporter"),
    "gcp": ("lastcall.exporters.gcp", "create_gcp_exporter"),
    "memory": ("lastcall.testing", "MemoryExporter"),
}

NAMES: Final = tuple(sorted(_ADAPTERS))
"""What LASTCALL_EXPORTERS may name, besides `store`."""


def create(name: str, settings: ExporterSettings) -> Exporter:
    """Load the adapter called `name` and build it. Call it in the background thread: it imports for 0.3 s
    or more.

    Raises UsageError for an unknown name, ImportError if the adapter's packages are not installed.
    """
    if name not in _ADAPTERS:
        raise UsageError(
            f"There is no exporter {name!r}. LASTCALL_EXPORTERS knows: store, {', '.join(NAMES)}."
        )
    module, factory = _ADAPTERS[name]
    build: Callable[[ExporterSettings], Exporter] = getattr(importlib.import_module(module), factory)
    return build(settings)
