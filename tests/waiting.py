"""Waiting for what has to come, however slow the machine is; for tests, and, copied beside them, for host programs.

A fixed sleep says nothing of what happened meanwhile: on a busy machine our thread has not had its turn yet.
"""

from __future__ import annotations

import sys
from _thread import start_new_thread
from time import monotonic, sleep  # as they are now: a host program may put others in their places

ENOUGH = 60.0
"""Seconds after which what was waited for will not come any more."""


def until(has_come, seconds=ENOUGH, sleep=sleep):
    """Wait until `has_come()` says yes; what it said."""
    end = monotonic() + seconds
    while not (answer := has_come()):
        if monotonic() > end:
            raise TimeoutError(f"{has_come} has not come true within {seconds} seconds")
        sleep(0.01)
    return answer


def rounds(number=1, sleep=sleep):
    """In a host program: have our thread do so many rounds, whatever its interval, and wait until they are through.

    A round that is under way already is none of them. Without the agent there is nothing to wait for.
    """
    bootstrap = sys.modules.get("lastcall.bootstrap")
    life = bootstrap.life() if bootstrap is not None else None
    if life is None:
        return

    def begun():
        return 0 if life._agent is None else life._agent._rounds

    for _ in range(number):
        enough = begun() + 1
        if life._wake.locked():
            life._wake.release()  # it need not wait until its interval is over
        until(lambda enough=enough: begun() >= enough and sys.modules["lastcall.garbage"]._is_over, sleep=sleep)


def called_by_c(function, *args):
    """Have a thread call this function, with no Python frame below it; wait for the end of the call."""
    given = {}
    held = sys.getrefcount(given)  # what the thread was started with is let go of when the call has ended
    start_new_thread(function, args, given)
    until(lambda: sys.getrefcount(given) <= held)
