"""Progress bars on stderr: after a second, and on a terminal only."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress

PATIENCE = 1.0
"""Seconds of work that need no bar."""


class Bar:
    """Shows how far something is, once it has taken its time. With `number`, also how many things are done."""

    def __init__(self, title: str, *, number: bool = False) -> None:
        self._title = title
        self._number = number
        self._began = time.monotonic()
        self._bar: Progress | None = None

    def __call__(self, done: int, total: int) -> None:
        """`total` 0: not known."""
        if self._bar is None:
            if time.monotonic() - self._began < PATIENCE:
                return
            self._bar = self._shown()
        self._bar.update(self._bar.task_ids[0], completed=done, total=total or None)

    def _shown(self) -> Progress:
        from rich.console import Console  # not before it is wanted: a twentieth of a second
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        bar = Progress(*(columns if self._number else ()), console=Console(stderr=True), transient=True)
        bar.add_task(self._title, total=None)
        bar.start()
        return bar

    def stop(self) -> None:
        """Take it away."""
        if self._bar is not None:
            self._bar.stop()


@contextmanager
def progress(title: str, *, number: bool = False) -> Iterator[Bar | None]:
    """A bar for what takes over a second; None where there is no terminal to show it on."""
    bar = Bar(title, number=number) if sys.stderr.isatty() else None
    try:
        yield bar
    finally:
        if bar is not None:
            bar.stop()
