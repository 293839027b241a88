"""What tests use, ours and our users': an exporter that keeps everything in memory."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from lastcall.capturing import Capture, CapturedUse, capture_uses

if TYPE_CHECKING:
    from lastcall.evidence import Batch
    from lastcall.exporters import ExporterSettings, Health

__all__ = ["Capture", "CapturedUse", "MemoryExporter", "capture_uses", "memory_exporters"]


class MemoryExporter:
    """Keeps batches and the log entries made of them. `LASTCALL_EXPORTERS=memory`, or made directly.

    Safe to read from another thread than the one that exports.
    """

    name = "memory"

    def __init__(self, settings: ExporterSettings | None = None) -> None:
        from lastcall.exporters import ExporterSettings
        from lastcall.exporters.entries import EntryBuilder

        self._builder = EntryBuilder(settings or ExporterSettings())
        self._lock = threading.Lock()
        self._batches: list[Batch] = []
        self._entries: list[dict[str, Any]] = []
        self.closed = False
        _made.append(self)

    def export(self, batch: Batch) -> None:
        """Keep the batch, and the entries that every other exporter would send for it."""
        with self._lock:
            self._batches.append(batch)
            self._entries += self._builder.items(batch)

    def force_flush(self, timeout: float) -> bool:  # noqa: ARG002 - nothing waits here
        """Nothing waits here."""
        return True

    def shutdown(self, timeout: float) -> None:  # noqa: ARG002 - there is nothing to send
        """Remember that it was called; what was kept stays readable."""
        self.closed = True

    @property
    def hanging(self) -> bool:
        """Nothing takes time here."""
        return False

    def health(self) -> Health:
        """How many entries were kept."""
        from lastcall.exporters import Health

        with self._lock:
            return Health(self.name, delivered=len(self._entries))

    def probe(self, timeout: float) -> str:  # noqa: ARG002 - memory is there or nothing is
        """Memory is always reachable."""
        return ""

    @property
    def batches(self) -> list[Batch]:
        """Every batch so far."""
        with self._lock:
            return list(self._batches)

    @property
    def entries(self) -> list[dict[str, Any]]:
        """Every log entry so far, as `docs/telemetry.md` describes it."""
        with self._lock:
            return list(self._entries)

    def payloads(self, event: str = "") -> list[dict[str, Any]]:
        """The `lastcall` object of every entry, or of those of one event: `use`, `observation`, `finding`."""
        fields = [entry["payload"]["lastcall"] for entry in self.entries]
        return [one for one in fields if not event or one["event"] == event]

    def counts(self) -> dict[str, int]:
        """Uses by target, rebuilt from the newest batch of each process."""
        newest = {batch.process.id: batch for batch in self.batches}
        total: dict[str, int] = {}
        for batch in newest.values():
            for count in batch.counts:
                target = batch.sites[count.site].target
                total[target] = total.get(target, 0) + count.count
        return total


_made: list[MemoryExporter] = []


def memory_exporters() -> list[MemoryExporter]:
    """Every MemoryExporter made in this process, oldest first: how to reach the one that the agent made."""
    return list(_made)
