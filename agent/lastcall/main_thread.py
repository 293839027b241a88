"""Importing `threading` in our own thread without becoming the main thread of the host.

Before 3.13 that module takes whichever thread imports it first for the main one, for the rest of the
process: `threading.main_thread()` would be ours, and the interpreter would wait for it at the end. A host
that never needed `threading` has not imported it by the time we do, and importing it at start would cost
every host 2 to 5 ms.
"""

from __future__ import annotations

import sys
from _thread import allocate_lock

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from typing import Any


def import_threading(main: int) -> None:
    """Import `threading` in the calling thread and have it know `main`, a thread's identifier, as the main one.

    Other threads that import it at the same time wait for the end of this, as for any import.
    """
    if sys.version_info >= (3, 13) or "threading" in sys.modules:
        return
    bootstrap: Any = sys.modules["_frozen_importlib"]
    with bootstrap._ModuleLockManager("threading"):
        import threading

        if threading.main_thread().ident != main:
            _correct(threading, main)


def _correct(threading: Any, main: int) -> None:
    thread = threading._main_thread
    sentinel = allocate_lock()  # what the end of the interpreter releases for the main thread
    sentinel.acquire()
    with threading._active_limbo_lock:
        threading._active.pop(thread._ident, None)
        thread._ident = main
        threading._active[main] = thread
    with threading._shutdown_locks_lock:
        threading._shutdown_locks.discard(thread._tstate_lock)
        threading._shutdown_locks.add(sentinel)
    thread._tstate_lock = sentinel
    if hasattr(thread, "_native_id"):
        import os

        thread._native_id = os.getpid()  # Linux numbers a process's main thread so
