"""What the interpreter holds of us for forks.

It lets go of such functions only when all else is gone: through what they can reach, everything of ours would live
until then, and be looked at by each of the collector's last passes. So they reach this module and no more, and
`forget`, at the exit, takes the rest from them.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    class Forking(Protocol):
        """Who wants to know."""

        def before_fork(self) -> None: ...
        def after_fork_in_parent(self) -> None: ...
        def after_fork_in_child(self) -> None: ...


_told: list[Forking] = []
_registered = False


def tell(who: Forking) -> None:
    """Have `who` called around every fork from now on."""
    global _registered  # noqa: PLW0603 - nobody can take it back
    if not _registered:
        _registered = True
        import os  # here: what this module names lives as long as it does

        os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
    _told.append(who)


def forget() -> None:
    """Tell nobody any more."""
    _told.clear()


def left_importing() -> bool:
    """Whether, in the child of a fork, modules wait for a thread to import them that only the parent has.

    Whoever imports one of them here waits for ever, as the interpreter leaves such locks as they were. The host may
    never do so; whether we would cannot be known beforehand.
    """
    import sys
    from _thread import get_ident

    bootstrap: Any = sys.modules["_frozen_importlib"]
    locks = [reference() for reference in list(bootstrap._module_locks.values())]
    return any(lock is not None and lock.owner not in (None, get_ident()) for lock in locks)


_LOCKS: dict[str, Callable[[Any], Any]] = {
    "logging": lambda module: getattr(module, "_acquireLock", module._lock.acquire)(),
    "concurrent.futures.thread": lambda module: module._global_shutdown_lock.acquire(),
}
"""Modules of the standard library that take a lock before a fork and release it after.

If our thread imports one while a fork waits for it, the fork will release what it has not taken: its list of
what to do before was made by then. So it is taken for it.
"""


def absent_locks() -> list[str]:
    """The modules with such a lock that are not there now."""
    import sys

    return [name for name in _LOCKS if name not in sys.modules]


def take_locks(absent: list[str]) -> None:
    """Take the locks of those of `absent` that are there by now."""
    import sys

    for name in absent:
        if name in sys.modules:
            _LOCKS[name](sys.modules[name])


def wait_until_gone() -> None:
    """Python 3.12 and later count the operating system's threads at a fork; ours may need a moment more."""
    import os
    import sys
    from time import sleep

    if sys.version_info < (3, 12) or not os.path.isdir("/proc/self/task"):
        return
    threading = sys.modules.get("threading")  # who forks may be where nothing can be imported (chroot, setuid)
    expected = 1 if threading is None else threading.active_count()
    for _ in range(50):
        if len(os.listdir("/proc/self/task")) <= expected:
            return
        sleep(0.0002)


def _before() -> None:
    for who in reversed(_told):
        who.before_fork()


def _in_parent() -> None:
    for who in _told:
        who.after_fork_in_parent()


def _in_child() -> None:
    for who in _told:
        who.after_fork_in_child()
