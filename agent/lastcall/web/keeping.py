"""Keeps the board current: looks at the store every second, reads it anew when it has changed.

Reading a large store costs seconds of a processor. So the pause after each reading is several times what the
reading took, and a page is never made to wait: it shows the board that is there.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from lastcall.errors import LastcallError, StoreError
from lastcall.journal import live_folder
from lastcall.web import board as boards

if TYPE_CHECKING:
    from collections.abc import Callable

    from lastcall.config import Config
    from lastcall.store import Store
    from lastcall.web.board import Board

LOOK = 1.0
"""Seconds between two looks at the store."""
SHARE = 6.0
"""The pause after a reading, as a multiple of what it took."""
MAPPED = 5.0
"""Seconds between readings while live files are there, whose counters change unannounced."""
STALE = 300.0
"""Seconds after which it is read anew though nothing has changed: verdicts move with the clock."""
RETRY = 10.0
"""Seconds after which reading is tried again where it failed, though nothing has changed that we can see."""


class Keeper:
    """Owns the current board. `open_store` brings the evidence as a store that the keeper then closes.

    `source` are the options that make a command read the same evidence.
    """

    def __init__(
        self,
        path: str,
        open_store: Callable[[], Store],
        config: Config,
        *,
        source: tuple[str, ...] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self._source = source
        self._open_store = open_store
        self._config = config
        self._clock = clock
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._seen: object = None
        self._retired: list[Board] = []
        self.board = boards.empty(path, clock())

    def start(self) -> None:
        """Read the store, then keep reading it in the background. Returns when the facts are there."""
        self.refresh(judge=False)
        self._thread = threading.Thread(target=self._run, name="lastcall-ui", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the background thread and let go of the store."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=10)
        for board in [*self._retired, self.board]:
            board.close()

    def refresh(self, *, judge: bool = True) -> None:
        """Read the store now. What goes wrong is said on the board; the last good one is kept."""
        now = self._clock()
        try:
            store = self._open_store()
            # After opening, which takes over what processes left, and so writes; before reading.
            self._seen = self._fingerprint()
            try:
                # Evidence from elsewhere lies in a temporary file, whose name tells nobody anything.
                fresh = replace(boards.read(store, now), path=self.path, source=self._source)
            except BaseException:
                store.close()
                raise
        except LastcallError as error:
            self._failed(error, now)
            return
        self._publish(boards.with_verdicts_of(fresh, self.board))
        if judge:
            self.board = boards.judge(self.board, self._config)

    def _failed(self, error: LastcallError, now: float) -> None:
        self._seen = self._fingerprint()
        missing = isinstance(error, StoreError) and error.slug == "store-missing"
        if missing and self.board.store is None:
            self.board = boards.empty(self.path, now)
            return
        if self.board.problem != error.message:
            self.board = replace(self.board, problem=error.message, version=f"{self.board.version}!")

    def _publish(self, fresh: Board) -> None:
        # A request may still be reading the old board: it is closed one reading later.
        for board in self._retired:
            board.close()
        self._retired = [self.board]
        self.board = fresh

    def _run(self) -> None:
        self.board = boards.judge(self.board, self._config)
        pause = LOOK
        read_at = time.monotonic()
        while not self._stop.wait(pause):
            pause = LOOK
            good_for = RETRY if self.board.problem else STALE
            if self._fingerprint() == self._seen and time.monotonic() - read_at < good_for:
                continue
            began = time.monotonic()
            self.refresh()
            read_at = time.monotonic()
            pause = max(LOOK, SHARE * (read_at - began))

    def _fingerprint(self) -> object | None:
        """Something that changes when the store or a live file of a process does."""
        if not self.path:
            return None  # a source elsewhere: read anew when it has become stale
        found: list[object] = [_stamp(self.path), _stamp(self.path + "-wal")]
        try:
            names = sorted(os.listdir(live_folder(self.path)))  # noqa: PTH208 - as in the journal
        except OSError:
            return found
        if names:
            # A counter that is mapped into memory may change long before its file's time does.
            found.append(time.monotonic() // MAPPED)
        return [*found, *names]


def _stamp(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)  # noqa: PTH116 - plain paths, every second
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
