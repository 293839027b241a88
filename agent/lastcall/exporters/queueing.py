"""The way to a backend: put on disk, send in chunks, back off, retry, adopt what dead processes left.

An `Outbox` has no thread of its own. The agent's background thread drives it, so that there is nothing to
restart after a fork and nothing to join at exit. Whatever is handed to `put` is in the spool before the
first attempt to send it; a process that dies, or leaves while an attempt hangs, has lost nothing that it
needs to save first.
"""

from __future__ import annotations

import os
import random
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lastcall.errors import internal_errors
from lastcall.exporters import Health
from lastcall.exporters.merging import droppable, merge
from lastcall.exporters.spool import MemoryQueue, SpoolFile, adopt, forget_oldest, open_own

if TYPE_CHECKING:
    from collections.abc import Callable

    from lastcall.exporters.spool import Item, Queue

CHUNK_ITEMS: Final = 1000
CHUNK_BYTES: Final = 3 * 1024 * 1024
"""JSON; Cloud Logging takes 10 MB a request, OTLP over gRPC usually 4 MB."""
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0
MEMORY_LIMIT: Final = 4 * 1024 * 1024
ADOPT_EVERY: Final = 30.0
FOLDER_LIMIT_FILES: Final = 8
"""The folder may hold so many times what one process may."""
KNOCK_SECONDS: Final = 0.2
PATIENT_KNOCK_SECONDS: Final = 1.0
EXIT_PATIENCE: Final = 0.25
"""Seconds that all failing attempts together may add to an exit; a backend that answered before gets more."""


class Patience:
    """What is left of the time that unreachable backends may cost the exit of this process."""

    def __init__(self, seconds: float = EXIT_PATIENCE) -> None:
        self._left = seconds

    def allow(self, quickest: float | None) -> float:
        """Seconds for one attempt at a backend whose answers took at best `quickest`, None if it never
        answered."""
        if quickest is None:
            return self._left
        # Slow but alive: three times what it usually takes is not yet a sign of death.
        return self._left if self._left <= 0 else max(self._left, 3 * quickest)

    def spent(self, seconds: float) -> None:
        """An attempt failed after so many seconds."""
        self._left = max(self._left - seconds, 0.0)


_patience = Patience()


class UnavailableError(Exception):
    """The backend did not take the chunk and may take it later: refused, timed out, overloaded, not
    authorised."""


class RefusedError(Exception):
    """The backend will never take this chunk as it is: invalid, or too large."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a chunk that was not refused or lost as a whole."""

    refused: dict[int, str] = field(default_factory=dict)
    """Position and reason of every item that the backend will never take."""
    again: tuple[int, ...] = ()
    """Positions of the items it may take later; all others are delivered."""


class Outbox:
    """Delivers the items of one channel, oldest first, each at least once.

    `send(items, timeout)` tries to deliver a chunk within `timeout` seconds; it raises UnavailableError or
    RefusedError if the backend took nothing of it.

    Before the first attempt `knock(timeout, leaving)` finds out, cheaply and with an UnavailableError, whether
    anybody is there at all, and `load()` imports and connects. Loading is our own time: it is not held
    against the backend.

    `put`, `pending` and `health` may be called from any thread; only one at a time drains.
    """

    def __init__(
        self,
        channel: str,
        send: Callable[[list[Item], float], Answer],
        *,
        folder: str = "",
        limit: int = 32 * 1024 * 1024,
        attempt_timeout: float = 3.0,
        chunk_items: int = CHUNK_ITEMS,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        patience: Patience = _patience,
        knock: Callable[[float, bool], None] | None = None,
        load: Callable[[], None] | None = None,
    ) -> None:
        self.channel = channel
        self._send = send
        self._folder = Path(folder) / channel if folder else None
        self._limit = limit
        self._attempt_timeout = attempt_timeout
        self._chunk_items = chunk_items
        self._clock = clock
        self._jitter = jitter
        self._patience = patience
        self._knock = knock
        self._load = load
        self._quickest: float | None = None
        self._began: float | None = None
        self._state = threading.RLock()
        self._sending = threading.Lock()
        self._memory = MemoryQueue()
        self._own: SpoolFile | None = None
        self._adopted: SpoolFile | None = None
        self._next_adoption = 0.0
        self._disk_failed = folder == ""
        self._under_way = False
        self._shrink = 1
        self._pause = 0.0
        self._not_before = 0.0
        self._closed = False
        self._leaving = False
        self._delivered = 0
        self._dropped: dict[str, int] = {}
        self._problem = ""
        self._refusal = ""

    # -- in -----------------------------------------------------------------------------------------------

    def put(self, items: list[Item]) -> None:
        """Keep `items` until they are delivered: on disk, or in memory where the disk cannot take them."""
        if not items:
            return
        with self._state:
            try:
                # Not `or`: an empty queue is false.
                disk = self._disk()
                queue: Queue = self._memory if disk is None else disk
                queue.put(items)
            except OSError as error:
                self._disk_trouble(error)
                queue = self._memory
                queue.put(items)
            self._bound(queue, MEMORY_LIMIT if queue is self._memory else self._limit)

    def _disk(self) -> SpoolFile | None:
        if self._own is None and not self._disk_failed and self._folder is not None:
            self._own = open_own(self._folder)
        return self._own

    def _disk_trouble(self, error: OSError) -> None:
        if not self._disk_failed:
            internal_errors.add(f"spool-{self.channel}", error)
        # A full disk may have room again; a folder that cannot be made will not be tried at every flush.
        self._disk_failed = self._own is None

    def _bound(self, queue: Queue, limit: int) -> None:
        """Merge what waits once it is too much; drop repeats, counted, if that is not enough."""
        if queue.size <= limit or self._under_way:
            return  # a chunk under way is known by its position: bound at the next put
        kept = merge(queue.everything())
        room = 4 * limit
        if sum(_weight(item) for item in kept) > room:
            kept, lost = _without_oldest_repeats(kept, room)
            self._drop(f"{self.channel}-full", lost)
        try:
            queue.replace(kept)
        except OSError as error:
            self._disk_trouble(error)

    def _drop(self, reason: str, number: int) -> None:
        if number:
            self._dropped[reason] = self._dropped.get(reason, 0) + number

    # -- out ----------------------------------------------------------------------------------------------

    def drain(self, budget: float, *, anyway: bool = False) -> bool:
        """Send what waits for at most `budget` seconds; `anyway`: even if the backend failed a moment ago.

        Returns whether nothing waits any more. Returns at once if another thread is draining.
        """
        if not self._sending.acquire(blocking=False):
            return False
        try:
            if anyway:
                self._not_before = 0.0
            return self._drain(self._clock() + budget)
        finally:
            self._sending.release()

    def _drain(self, deadline: float) -> bool:
        while not self._closed:
            queue = self._next_queue()
            if queue is None:
                return True
            left = deadline - self._clock()
            if self._leaving:
                left = min(left, self._patience.allow(self._quickest))
            if left <= 0 or self._clock() < self._not_before:
                return False
            with self._state:
                chunk = queue.head(max(self._chunk_items // self._shrink, 1), CHUNK_BYTES // self._shrink)
                self._under_way = True
            try:
                if chunk and not self._attempt(queue, chunk, min(left, self._attempt_timeout)):
                    return False
            finally:
                self._under_way = False
        return False

    def _next_queue(self) -> Queue | None:
        """What to send from next: an adopted file before our own, memory last. None if nothing waits."""
        with self._state:
            if self._adopted is not None and not len(self._adopted):
                self._adopted.close()
                self._adopted = None
                self._next_adoption = 0.0
            if self._adopted is None:
                self._adopt()
            for queue in (self._adopted, self._own, self._memory):
                if queue is not None and len(queue):
                    return queue
            return None

    def _adopt(self) -> None:
        if self._folder is None or self._clock() < self._next_adoption:
            return
        self._next_adoption = self._clock() + ADOPT_EVERY
        self._drop(
            f"{self.channel}-folder-full", forget_oldest(self._folder, FOLDER_LIMIT_FILES * self._limit)
        )
        self._adopted = adopt(self._folder)

    def _attempt(self, queue: Queue, chunk: list[Item], timeout: float) -> bool:
        """One chunk, one attempt. Returns whether to go on with the next chunk."""
        began = self._began = self._clock()
        try:
            if self._load is not None:
                self._get_ready(timeout)
                began = self._began = self._clock()
            answer = self._send(chunk, timeout)
        except RefusedError as error:
            if len(chunk) > 1:
                self._shrink = min(self._shrink * 4, self._chunk_items)
                return True
            answer = Answer({0: str(error)})
        except Exception as error:  # client libraries raise whatever they like; a retry may help
            known = isinstance(error, UnavailableError)
            self._failed(str(error) if known else f"{type(error).__name__}: {error}")
            if self._leaving:
                self._patience.spent(self._clock() - began)
            if not known and os.environ.get("LASTCALL_RERAISE") == "1":
                raise
            return False
        finally:
            self._began = None
        took = self._clock() - began
        self._quickest = took if self._quickest is None else min(took, self._quickest)
        self._answered(queue, chunk, answer)
        return not answer.again

    def _get_ready(self, timeout: float) -> None:
        """Knock, then load; once it has worked, never again."""
        if self._knock is not None:
            self._knock(
                min(timeout, KNOCK_SECONDS if self._leaving else PATIENT_KNOCK_SECONDS), self._leaving
            )
        self._began = None
        if self._load is not None:
            self._load()
        self._load = None

    def _failed(self, problem: str) -> None:
        if not self._problem:
            internal_errors.add(self.channel, UnavailableError(problem))
        self._problem = problem
        self._pause = min(max(self._pause * 2, FIRST_PAUSE), LONGEST_PAUSE)
        # Jitter, or every worker of a fleet comes back in the same second.
        self._not_before = self._clock() + self._pause * (0.75 + self._jitter() / 2)

    def _answered(self, queue: Queue, chunk: list[Item], answer: Answer) -> None:
        with self._state:
            if answer.again:
                self.put([chunk[position] for position in answer.again])
            try:
                queue.delivered(len(chunk))
            except OSError as error:
                internal_errors.add(f"spool-{self.channel}", error)
            self._delivered += len(chunk) - len(answer.refused) - len(answer.again)
            self._drop(f"{self.channel}-refused", len(answer.refused))
        self._pause = self._not_before = 0.0
        self._shrink = max(self._shrink // 2, 1)
        self._problem = ""
        if answer.refused:
            self._refusal = f"{self.channel}: refused for good: {next(iter(answer.refused.values()))}"
            internal_errors.add(f"{self.channel}-refused", RefusedError(self._refusal))
        if answer.again:
            self._failed(f"{len(answer.again)} of {len(chunk)} entries were not taken this time")

    # -- the end ------------------------------------------------------------------------------------------

    @property
    def failing(self) -> bool:
        """Whether the last attempt failed."""
        return self._pause > 0

    @property
    def hanging(self) -> bool:
        """Whether an attempt is under way that takes longer than an exit should wait for this backend."""
        began = self._began
        return began is not None and self._clock() - began >= self._patience.allow(self._quickest)

    def close(self, timeout: float) -> None:
        """Send what waits unless the backend was failing, then let go of the files. From any thread."""
        self._leaving = True
        if not self.failing:
            self.drain(timeout)
        self._closed = True
        if not self._sending.acquire(timeout=0.01):
            return  # an attempt hangs in another thread: the files close with the process, items in place
        try:
            with self._state:
                self._save_memory()
                for file in (self._own, self._adopted):
                    if file is not None:
                        file.close()
                self._own = self._adopted = None
                self._disk_failed = True
        finally:
            self._sending.release()

    def _save_memory(self) -> None:
        """What had to wait in memory gets a last chance to wait on disk."""
        if not len(self._memory) or self._folder is None:
            return
        try:
            file = self._own = open_own(self._folder) if self._own is None else self._own
            file.put(self._memory.head(len(self._memory), self._memory.size))
            self._memory.replace([])
        except OSError as error:
            internal_errors.add(f"spool-{self.channel}", error)

    def health(self) -> Health:
        """Counters and the current problem of this channel."""
        with self._state:
            waiting = sum(
                len(queue) for queue in (self._own, self._adopted, self._memory) if queue is not None
            )
            return Health(
                self.channel,
                self._delivered,
                waiting,
                tuple(sorted(self._dropped.items())),
                self._problem or self._refusal,
            )


def _weight(item: Item) -> int:
    """A rough size in bytes of an item's JSON, without making it."""
    fields = item["payload"]["lastcall"]
    rows = sum(len(value) for value in fields.values() if isinstance(value, list))
    return 1200 + 200 * rows


def _without_oldest_repeats(items: list[Item], room: int) -> tuple[list[Item], int]:
    excess = sum(_weight(item) for item in items) - room
    kept, lost = [], 0
    for item in items:
        if excess > 0 and droppable(item):
            excess -= _weight(item)
            lost += 1
        else:
            kept.append(item)
    return kept, lost
