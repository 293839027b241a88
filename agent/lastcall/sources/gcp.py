"""Evidence of a whole fleet, rebuilt from its log entries in Cloud Logging.

Entries are read in the order of time, a bounded number of pages of them, and turned back into the records
that the observed processes wrote into their journals. A private store takes those, by the same code that
absorbs live files, so that every reader and every verdict works on it as on the local store.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from typing import TYPE_CHECKING, Any, Final

from lastcall.errors import UsageError
from lastcall.exporters import names
from lastcall.exporters.entries import rfc3339
from lastcall.exporters.gcp_wire import log_name
from lastcall.sources.gcp_records import ProcessHistory
from lastcall.store import Store, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from google.cloud.logging_v2.client import Client

    from lastcall.config import Config

PAGE: Final = 1000
MAX_ENTRIES: Final = 500_000
GONE: Final = 1800.0
"""Seconds without a statement, due every ten minutes, after which a process is taken to have ended."""
FILTER_CHARS: Final = 15_000
"""Cloud Logging takes 20,000; beyond this the targets are not named in the filter."""


def source(config: Config, project: str = "") -> GcpSource:
    """The source that configuration and command line name. Raises UsageError if no project is known."""
    project = project or config.gcp_project
    if not project:
        raise UsageError(
            "--source gcp needs a project: give --project P, or set GOOGLE_CLOUD_PROJECT or gcp_project."
        )
    return GcpSource(project, lambda: _client(project, config.gcp_endpoint))


def _client(project: str, endpoint: str) -> Client:
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.logging_v2.client import Client

    from lastcall.exporters.gcp_clients import require_credentials, rest_client
    from lastcall.exporters.queueing import UnavailableError

    if endpoint.startswith("http://"):
        return rest_client(project, endpoint)
    try:
        require_credentials()
        options = {"api_endpoint": endpoint.removeprefix("https://")} if endpoint else None
        return Client(project=project, client_options=options)
    except (UnavailableError, GoogleAuthError) as error:
        raise UsageError(f"Cannot read Cloud Logging of project {project}: {error}") from error


class GcpSource:
    """Reads the entries that Lastcall's agents wrote into one project's log."""

    def __init__(
        self,
        project: str,
        connect: Callable[[], Client],
        *,
        max_entries: int = MAX_ENTRIES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.project = project
        self.name = f"Cloud Logging of project {project}"
        self._connect = connect
        self._max_entries = max_entries
        self._clock = clock

    def gather(
        self, refs: Sequence[str], since: float, progress: Callable[[int, int], None] | None = None
    ) -> Store:
        """See `EvidenceSource.gather`. Closing the store deletes it.

        Raises UsageError if the entries cannot be read, are too many, or were written by a newer Lastcall.
        """
        store = _PrivateStore.make()
        try:
            fleet = _Fleet(store)
            for number, fields in enumerate(self._payloads(refs, since), start=1):
                fleet.take(fields)
                if progress is not None and number % PAGE == 0:
                    progress(number, 0)
            fleet.finish(self._clock() - GONE)
        except BaseException:
            store.close()
            raise
        return store

    def _payloads(self, refs: Sequence[str], since: float) -> Iterator[dict[str, Any]]:
        """The `lastcall` objects of the entries, oldest first."""
        from google.api_core import exceptions
        from google.auth.exceptions import GoogleAuthError

        try:
            for number, entry in enumerate(self._list(filter_text(self.project, refs, since)), start=1):
                if number > self._max_entries:
                    raise UsageError(
                        f"More than {self._max_entries:,} entries lie in {self.name}: "
                        "name the targets, or shorten the window."
                    )
                fields = (entry.payload or {}).get("lastcall")
                if isinstance(fields, dict):
                    yield _supported(fields)
        except exceptions.Forbidden as error:
            raise UsageError(
                f"No permission to read {self.name} (roles/logging.viewer): {error.message}"
            ) from error
        except exceptions.NotFound as error:
            raise UsageError(f"There is no project {self.project}: {error.message}") from error
        except (exceptions.GoogleAPIError, GoogleAuthError, OSError) as error:
            raise UsageError(f"Cannot read {self.name}: {' '.join(str(error).split())[:300]}") from error

    def _list(self, text: str) -> Iterable[Any]:
        client = self._connect()
        listed: Iterable[Any] = client.list_entries(
            resource_names=[f"projects/{self.project}"],
            filter_=text,
            order_by="timestamp asc",
            page_size=PAGE,
        )
        return listed


def filter_text(project: str, refs: Sequence[str], since: float) -> str:
    """The filter: one log, an explicit start, and of the uses only those of the targets asked for.

    Without a timestamp the client library would silently ask for the last 24 hours. Statements are needed
    whole: they hold every count; `use` entries add stacks, and the hour of each use.
    """
    # Fractions are not needed, and a log's oldest entries are never younger than the window.
    start = rfc3339(max(since, 0.0))[:19] + "Z"
    text = f'logName="{log_name(project)}" AND timestamp>="{start}"'
    if not refs:
        return text
    wanted = " OR ".join('"' + ref.replace("\\", "\\\\").replace('"', '\\"') + '"' for ref in refs)
    always = f'labels.event=("{names.EVENT_OBSERVATION}" OR "{names.EVENT_FINDING}")'
    narrowed = f"{text} AND ({always} OR labels.target=({wanted}))"
    return narrowed if len(narrowed) <= FILTER_CHARS else text


def _supported(fields: dict[str, Any]) -> dict[str, Any]:
    if fields.get("schema", 0) > names.SCHEMA:
        raise UsageError(
            f"These entries have schema {fields['schema']:g}, but this Lastcall reads up to {names.SCHEMA}. "
            "Update it: pip install -U lastcall."
        )
    return fields


class _Fleet:
    """Sorts entries by process, and hands each process's readings to the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._histories: dict[str, ProcessHistory] = {}

    def take(self, fields: dict[str, Any]) -> None:
        process = str(fields.get("process", ""))
        history = self._histories.get(process)
        if history is None:
            history = self._histories[process] = ProcessHistory(process)
        self._apply(history.take(fields))

    def finish(self, gone_before: float) -> None:
        for history in self._histories.values():
            self._apply(history.finish(gone_before))

    def _apply(self, readings: Iterable[writing.Reading]) -> None:
        for reading in readings:
            with self._store._database.transaction() as connection:
                writing.apply(connection, reading)


class _PrivateStore(Store):
    """A store in a folder of its own that goes when it is closed."""

    _folder: tempfile.TemporaryDirectory[str] | None = None

    @classmethod
    def make(cls) -> _PrivateStore:
        folder = tempfile.TemporaryDirectory(prefix="lastcall-gcp-")
        store = cls.open(f"{folder.name}/store.db")
        assert isinstance(store, cls)
        store._folder = folder
        return store

    def close(self) -> None:
        """Close the database and delete it."""
        with contextlib.suppress(OSError):
            super().close()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
