"""Evidence of a whole fleet, rebuilt from its log entries in Cloud Logging.

Entries are read in the order of time, a bounded number of pages of them, and turned back into the records
that the observed processes wrote into their journals. A private store takes those, by the same code that
absorbs live files, so that every reader and every verdict works on it as on the local store.

What was read is kept (`gcp_cache`), so that the next question reads only what the log has received since.
"""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
import time
import zlib
from typing import TYPE_CHECKING, Any, Final, TypeVar

from lastcall.errors import UsageError
from lastcall.exporters import names
from lastcall.exporters.entries import rfc3339
from lastcall.exporters.gcp_wire import log_name
from lastcall.sources.gcp_cache import CachedEntry, EntryCache, default_path
from lastcall.sources.gcp_records import ProcessHistory
from lastcall.store import Store, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from google.cloud.logging_v2.client import Client

    from lastcall.config import Config

    Progress = Callable[[int, int], None]

_T = TypeVar("_T")

PAGE: Final = 1000
MAX_ENTRIES: Final = 500_000
GONE: Final = 1800.0
"""Seconds without a statement, due every ten minutes, after which a process is taken to have ended."""
FILTER_CHARS: Final = 15_000
"""Cloud Logging takes 20,000; beyond this the targets are not named in the filter."""

OVERLAP: Final = 600.0
"""Seconds before the newest entry known that are asked for again: an index may be that late."""


def source(config: Config, project: str = "", *, cached: bool = True) -> GcpSource:
    """The source that configuration and command line name. Raises UsageError if no project is known."""
    project = project or config.gcp_project
    if not project:
        raise UsageError(
            "--source gcp needs a project: give --project P, or set GOOGLE_CLOUD_PROJECT or gcp_project."
        )
    return GcpSource(
        project,
        lambda: _client(project, config.gcp_endpoint),
        endpoint=config.gcp_endpoint,
        cache=default_path() if cached else None,
    )


def _client(project: str, endpoint: str) -> Client:
    from lastcall.exporters.discretion import unannounced

    with unannounced():
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
    """Reads the entries that Lastcall's agents wrote into one project's log.

    `cache`: the file that keeps what was read, shared by everything of this user; None: nothing is kept.
    """

    def __init__(
        self,
        project: str,
        connect: Callable[[], Client],
        *,
        endpoint: str = "",
        cache: Path | None = None,
        max_entries: int = MAX_ENTRIES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.project = project
        self.name = f"Cloud Logging of project {project}"
        self._connect = connect
        self._endpoint = endpoint
        self._cache = cache
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
            for fields in self._payloads(refs, since, progress):
                fleet.take(fields)
            fleet.finish(self._clock() - GONE)
        except BaseException:
            store.close()
            raise
        return store

    def _payloads(
        self, refs: Sequence[str], since: float, progress: Progress | None
    ) -> Iterator[dict[str, Any]]:
        """The `lastcall` objects of the entries, oldest first."""
        cache = self._open_cache(refs)
        if cache is None:
            yield from self._uncached(refs, since, progress)
            return
        with contextlib.closing(cache):
            try:
                self._read_news(cache, refs, since, progress)
                kept = cache.entries(_whole_second(since))
            except (sqlite3.Error, OSError):  # full, locked for long, deleted under way
                yield from self._uncached(refs, since, progress)
                return
            try:
                yield from map(_supported, self._counted(kept, None))
            except (sqlite3.Error, zlib.error, ValueError) as error:
                raise UsageError(
                    f"What was kept of {self.name} in {self._cache} is damaged ({error}): delete that file, "
                    "or ask with --no-cache."
                ) from error
            with contextlib.suppress(sqlite3.Error):
                cache.bound(_whole_second(since))

    def _open_cache(self, refs: Sequence[str]) -> EntryCache | None:
        if self._cache is None:
            return None
        question = filter_text(self.project, sorted(refs), 0.0)
        try:
            return EntryCache(self._cache, self._endpoint, self.project, question)
        except (sqlite3.Error, OSError):
            return None

    def _read_news(
        self, cache: EntryCache, refs: Sequence[str], since: float, progress: Progress | None
    ) -> None:
        """Have in the cache whatever the log holds now about times from `since` on."""
        start, known = _whole_second(since), cache.covered()
        if known is None:
            asked = [filter_text(self.project, refs, start)]
        else:
            text = filter_text(self.project, refs, known.since)
            asked = [f'{text} AND receiveTimestamp>="{rfc3339(known.received - OVERLAP)}"']
            if start < known.since:  # a longer window than ever before
                text = filter_text(self.project, refs, start)
                asked.append(f'{text} AND timestamp<"{rfc3339(known.since)}"')
        newest = 0.0
        for text in asked:
            newest = max(newest, cache.add(self._counted(self._list(text), progress)))
        # The log's clock alone counts: ours may be wrong.
        cache.cover(known, start, newest)

    def _uncached(
        self, refs: Sequence[str], since: float, progress: Progress | None
    ) -> Iterator[dict[str, Any]]:
        for entry in self._counted(self._list(filter_text(self.project, refs, since)), progress):
            yield _supported(entry.fields)

    def _counted(self, things: Iterable[_T], progress: Progress | None) -> Iterator[_T]:
        """The same things, reported page by page. Raises UsageError if they are too many."""
        for number, thing in enumerate(things, start=1):
            if number > self._max_entries:
                raise UsageError(
                    f"More than {self._max_entries:,} entries lie in {self.name}: "
                    "name the targets, or shorten the window."
                )
            if progress is not None and number % PAGE == 0:
                progress(number, 0)
            yield thing

    def _list(self, text: str) -> Iterator[CachedEntry]:
        """The entries that a filter selects, oldest first, page by page."""
        client = self._connect()  # which imports the library
        from google.api_core import exceptions
        from google.auth.exceptions import GoogleAuthError

        try:
            for entry in client.list_entries(
                resource_names=[f"projects/{self.project}"],
                filter_=text,
                order_by="timestamp asc",
                page_size=PAGE,
            ):
                fields = (entry.payload or {}).get("lastcall")
                if isinstance(fields, dict):
                    yield _entry(entry, fields)
        except exceptions.Forbidden as error:
            raise UsageError(
                f"No permission to read {self.name} (roles/logging.viewer): {error.message}"
            ) from error
        except exceptions.NotFound as error:
            raise UsageError(f"There is no project {self.project}: {error.message}") from error
        except (exceptions.GoogleAPIError, GoogleAuthError, OSError) as error:
            raise UsageError(f"Cannot read {self.name}: {' '.join(str(error).split())[:300]}") from error


def _entry(entry: Any, fields: dict[str, Any]) -> CachedEntry:
    """What evidence needs of one of the client library's entries."""
    received = entry.received_timestamp
    return CachedEntry(
        at=round(entry.timestamp.timestamp() * 1e6),
        insert_id=entry.insert_id or "",
        received=received.timestamp() if received is not None else 0.0,
        fields=fields,
    )


def _whole_second(since: float) -> float:
    """Where a window begins for the filter, which knows no fractions."""
    return float(int(max(since, 0.0)))


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
