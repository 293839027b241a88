"""Google Cloud Logging: structured entries through the API, or the same entries as JSON lines on standard
output.

Not through `CloudLoggingHandler`, which loses what it holds at a normal exit and for ever after a fork.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, TextIO

from lastcall.errors import internal_errors
from lastcall.exporters import Exporter, ExporterSettings, Health, is_last
from lastcall.exporters.discretion import discreet, unannounced
from lastcall.exporters.entries import EntryBuilder
from lastcall.exporters.gcp_clients import Writer
from lastcall.exporters.gcp_clients import connect as default_connect
from lastcall.exporters.gcp_resource import detect
from lastcall.exporters.gcp_wire import stdout_line
from lastcall.exporters.queueing import Answer, Outbox, RefusedError, UnavailableError
from lastcall.exporters.reach import knock

if TYPE_CHECKING:
    from collections.abc import Callable

    from lastcall.evidence import Batch
    from lastcall.exporters.spool import Item


def create_gcp_exporter(settings: ExporterSettings) -> Exporter:
    """The exporter for the mode that the settings name."""
    if settings.gcp_mode in ("stdout", "stderr"):
        return StreamExporter(settings, sys.__stderr__ if settings.gcp_mode == "stderr" else sys.__stdout__)
    return GcpExporter(settings)


class GcpExporter:
    """Writes entries through the API, as far as the service takes them; the rest waits in the spool."""

    name = "gcp"

    def __init__(
        self,
        settings: ExporterSettings,
        connect: Callable[[ExporterSettings], Writer] = default_connect,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._connect = connect
        self._writer: Writer | None = None
        self._resource: dict[str, object] | None = None
        self._builder = EntryBuilder(settings)
        self._taking = threading.Lock()
        self._outbox = Outbox(
            "gcp",
            self._send,
            folder=settings.spool_folder,
            limit=settings.spool_limit,
            attempt_timeout=settings.attempt_timeout,
            clock=clock,
            knock=self._knock if connect is default_connect else None,
            load=self._load,
        )

    def export(self, batch: Batch) -> None:
        """See `Exporter.export`."""
        with self._taking:
            items = self._builder.items(batch, self._outbox.health().dropped)
            if items and self._resource is None:
                project = self._settings.gcp_project or os.environ.get("GOOGLE_CLOUD_PROJECT", "")
                self._resource = detect(project)
            for item in items:
                # A later process that finds the item in the spool may be of another revision.
                item["resource"] = self._resource
                item.pop("span", None)
            self._outbox.put(items)
        if not is_last(batch):
            self._outbox.drain(self._settings.attempt_timeout)

    def _send(self, items: list[Item], timeout: float) -> Answer:
        with discreet():
            return self._connected().write(items, timeout)

    def _knock(self, timeout: float, leaving: bool) -> None:
        knock(self._settings.gcp_endpoint or "https://logging.googleapis.com", timeout, answer=leaving)

    def _load(self) -> None:
        with discreet():
            self._connected()

    def _connected(self) -> Writer:
        if self._writer is None:
            with unannounced():
                self._writer = self._connect(self._settings)
        return self._writer

    def force_flush(self, timeout: float) -> bool:
        """See `Exporter.force_flush`."""
        return self._outbox.drain(timeout, anyway=True)

    def shutdown(self, timeout: float) -> None:
        """See `Exporter.shutdown`."""
        self._outbox.close(timeout)

    @property
    def hanging(self) -> bool:
        """See `Exporter.hanging`."""
        return self._outbox.hanging

    def health(self) -> Health:
        """See `Exporter.health`."""
        return self._outbox.health()

    def probe(self, timeout: float) -> str:
        """A write that the service checks and does not keep."""
        item: Item = {
            "severity": "INFO", "timestamp": "2026-01-01T00:00:00Z", "insertId": "probe", "labels": {},
            "payload": {"message": "probe"},
        }  # fmt: skip
        try:
            with discreet():
                self._connected().write([item], timeout, dry_run=True)
        except (UnavailableError, RefusedError) as error:
            return f"Cloud Logging: {error}"
        return ""


class StreamExporter:
    """Writes entries as JSON lines; the platform's logging agent makes log entries of them. Needs no
    credentials.

    `stream` is the interpreter's own standard output or error, not what the host may have put in its place;
    None if the process has none.
    """

    name = "gcp"

    def __init__(self, settings: ExporterSettings, stream: TextIO | None) -> None:
        self._project = settings.gcp_project or os.environ.get("GOOGLE_CLOUD_PROJECT", "")
        self._stream = stream
        self._builder = EntryBuilder(settings)
        self._delivered = 0
        self._dropped = 0
        self._problem = ""

    def export(self, batch: Batch) -> None:
        """See `Exporter.export`. A closed or broken stream drops the entries, counted."""
        dropped = self.health().dropped
        lines = [stdout_line(item, self._project) for item in self._builder.items(batch, dropped)]
        if not lines:
            return
        try:
            self._write("".join(lines).encode())
        except (OSError, ValueError) as error:
            if not self._problem:
                internal_errors.add("gcp-stream", error)
            self._dropped += len(lines)
            self._problem = f"cannot write log entries to the standard stream: {error}"
        else:
            self._delivered += len(lines)
            self._problem = ""

    def _write(self, data: bytes) -> None:
        if self._stream is None:
            raise OSError(errno.EBADF, "this process has no such stream")
        # Half a line of the host's may wait in the buffer; it must not end up glued to ours.
        self._stream.flush()
        descriptor = self._stream.fileno()
        while data:
            data = data[os.write(descriptor, data) :]

    def force_flush(self, timeout: float) -> bool:  # noqa: ARG002 - nothing waits here
        """Nothing waits here."""
        return True

    def shutdown(self, timeout: float) -> None:
        """Nothing waits here."""

    @property
    def hanging(self) -> bool:
        """Nothing takes time here."""
        return False

    def health(self) -> Health:
        """See `Exporter.health`."""
        dropped = (("gcp-stream", self._dropped),) if self._dropped else ()
        return Health("gcp", self._delivered, 0, dropped, self._problem)

    def probe(self, timeout: float) -> str:  # noqa: ARG002 - there is nothing to wait for
        """Whether there is a stream at all."""
        if self._stream is None:
            return "Cloud Logging: this process has no standard stream to write entries to"
        return self._problem
