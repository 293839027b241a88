"""A host that a signal ends: a last flush before SIGTERM does, and SIGINT left in its exit status."""

from __future__ import annotations

import _signal
import os
import sys

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def before_sigterm(flush: Callable[[], None]) -> None:
    """Have `flush` called before SIGTERM's default action ends the process, for as long as the host has no handler."""

    def handle(number: int, _frame: Any) -> None:
        flush()
        if _signal.getsignal(number) is handle:  # else the host took over, and called us as the one before
            _signal.signal(number, _signal.SIG_DFL)
            os.kill(os.getpid(), number)

    try:
        if _signal.getsignal(_signal.SIGTERM) is _signal.SIG_DFL:
            _signal.signal(_signal.SIGTERM, handle)
    except ValueError:  # not the main thread
        return


def keep_interrupt() -> None:
    """Have a process that Ctrl-C ended still die of SIGINT, which shells and supervisors look at.

    The interpreter remembers that the script ended so, but only until the next string is compiled and run, as
    any import of ours may do (namedtuples are made that way). Running one that ends so makes it remember again.
    """
    if hasattr(sys, "ps1") or sys.flags.interactive:
        return
    try:
        exec("raise KeyboardInterrupt")  # noqa: S102 - see above
    except KeyboardInterrupt:
        pass
