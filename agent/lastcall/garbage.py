"""Whose thread looks for garbage: the host's, where it has one that runs.

Python looks in the thread that makes one object too many, and runs the finalizers of what it finds there. In a program
of one thread that is never another one: a connection to SQLite is closed by the thread that opened it. So our thread,
before it makes more objects, waits for the host to take its turn; not long, and not for a host that makes none.
"""

from __future__ import annotations

import gc
import sys

from .errors import native_lock

HEADROOM = 300
"""Objects that may be made between two calls of `make_way`."""
STEP = 0.002
PATIENCE = 500
"""Steps that one round of our thread may wait."""
PATIENCE_IN_HASTE = 50
"""The same while other processes wait for the store: they do so for a second."""
IN_VAIN = 5
"""Steps in which the host made nothing: it waits, too."""

_never_free = native_lock()
_never_free.acquire()
_limit = 0
_steps = 0
_is_over = True
"""Whether no round runs, or somebody waits for the end of it."""


def begin() -> None:
    """A round of our thread begins: from here on it makes way."""
    global _limit, _steps, _is_over  # noqa: PLW0603 - of the process, as the garbage is
    threshold = gc.get_threshold()[0]
    counted = gc.isenabled() and "t" not in getattr(sys, "abiflags", "")
    _limit = max(threshold - HEADROOM, threshold // 2) if counted else 0
    _steps = PATIENCE
    _is_over = False


def hurry() -> tuple[int, int]:
    """Others wait for our thread from here on: it has little patience. Returns what `take_time` wants."""
    global _steps  # noqa: PLW0603 - see `begin`
    before = _limit, _steps
    _steps = min(_steps, PATIENCE_IN_HASTE)
    return before


def take_time(before: tuple[int, int]) -> None:
    """Nobody waits any more."""
    global _limit, _steps
    _limit, _steps = before


def end() -> None:
    """The round is over, or is to be: the host ends, or forks. Whoever else reads what our thread reads never waits."""
    global _is_over  # noqa: PLW0603 - see `begin`
    _is_over = True


def make_way() -> None:
    """Called before objects are made that stay for a while."""
    if _limit and not _is_over and gc.get_count()[0] > _limit:
        _wait()


def _wait() -> None:
    global _limit, _steps  # noqa: PLW0603 - see `begin`
    in_vain = 0
    while not _is_over and (before := gc.get_count()[0]) > _limit > 0:
        if not _steps or in_vain == IN_VAIN:
            _limit = 0
            return
        _never_free.acquire(timeout=STEP)
        _steps -= 1
        in_vain = in_vain + 1 if gc.get_count()[0] == before else 0
