"""Keeps the folder of live files small where nobody else does.

Who takes over what ended processes left is the next process that runs for a second, or a command. A fleet of
short jobs has neither, and one whose exporters are only elsewhere has no process that opens the store. There each
exit that finds too many files takes some of them over, within a bound of time.
"""

from __future__ import annotations

from time import monotonic

from lastcall.errors import StoreError
from lastcall.store import Store

SECONDS = 0.25
"""What one exit may spend; a hundred processes' files take about that."""
NOBODY = "-"
"""In place of a process's own name: this one's files are closed by now, and like the others'."""


class _TimeIsUpError(StoreError):
    """Enough for one exit."""


def tidy(path: str, seconds: float = SECONDS) -> None:
    """Take what ended processes left beside the store at `path` into it, for at most about `seconds`.

    Raises StoreError if the store cannot take it; what it has not taken stays where it is.
    """
    until = monotonic() + seconds

    def advance(_done: int, _total: int) -> None:
        if monotonic() > until:
            raise _TimeIsUpError("time-is-up", "the rest is for the next exit")

    store = Store.open(path, busy_seconds=seconds)
    try:
        store.absorb_live(own=NOBODY, progress=advance, others_now=True)
    except _TimeIsUpError:
        pass
    finally:
        store.close()
