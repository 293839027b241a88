"""What can go wrong inside Lastcall, and the one guard that keeps it from the host.

Imported in the host process: this module imports nothing but `os`, `sys` and `_thread`.
"""

from __future__ import annotations

import os
import sys
from _thread import allocate_lock, get_ident

TYPE_CHECKING = False
if TYPE_CHECKING:
    from itertools import count
    from types import FrameType, TracebackType


native_lock = allocate_lock
"""The interpreter's own lock, taken before the host's code runs.

gevent puts another in its place, which waits by switching greenlets: where our thread holds it, the host's hub finds
nothing left to run and raises in the host.
"""
native_ident = get_ident
"""The same for the thread's number, which gevent makes the greenlet's."""
getframe = sys._getframe
"""The frame so many calls out. A host that has an answer to an interpreter without `sys._getframe` takes it away to
test that."""

_CO_VARARGS = 0x04
_OURS = ("lastcall", "wrapt", "bytecode")


class LastcallError(Exception):
    """A failure of Lastcall itself. `slug` is a stable short name that tests, counters and docs refer to."""

    def __init__(self, slug: str, message: str) -> None:
        super().__init__(message)
        self.slug = slug
        self.message = message


class StoreError(LastcallError):
    """The store cannot be read or written.

    Slugs: `store-missing`, `store-corrupt`, `store-foreign` (a database that is not ours),
    `store-newer-schema`, `store-locked`, `store-read-only`, `store-full`, `store-failed` (anything else that
    the database reports).
    """


class UsageError(LastcallError):
    """A command was asked for something it cannot do. The command line prints the message and exits 3."""

    exit_code = 3

    def __init__(self, message: str, slug: str = "usage") -> None:
        super().__init__(slug, message)


def is_interruption(error: BaseException) -> bool:
    """Whether a signal's handler of the host's, or its debugger, raised it between two instructions of ours.

    It says "stop" to the host's code below: a timeout, a worker's end. Such functions are given the very frame that
    they were called from, which was ours or that of a library at work for us; what we call ourselves is not.
    """
    trace = error.__traceback__
    while trace is not None:
        trace = trace.tb_next
        if trace is not None and _has_interrupted(trace.tb_frame):
            return True
    return False


def _has_interrupted(frame: FrameType) -> bool:
    code, back = frame.f_code, frame.f_back
    number = code.co_argcount + code.co_kwonlyargcount
    has_more = bool(code.co_flags & _CO_VARARGS)
    if back is None or not number + has_more:
        return False
    package = str(back.f_globals.get("__name__")).partition(".")[0]
    if package not in _OURS and package not in sys.stdlib_module_names:
        return False
    names = frame.f_locals
    given = [names.get(name) for name in code.co_varnames[:number]]
    more = names.get(code.co_varnames[number]) if has_more else ()
    return any(value is back for value in (*given, *(more if type(more) is tuple else ())))


MOST_UNSAID = 10_000
"""Failures that are counted one by one where there is no room for more; beyond that there were many."""


class InternalErrors:
    """Counts failures by slug and remembers the first of each. Exact under threads, safe to fork, no lock."""

    __slots__ = ("_counters", "_first", "_unsaid")

    def __init__(self) -> None:
        self._counters: dict[str, count[int]] = {}
        self._first: dict[str, str] = {}
        self._unsaid: list[str] = []
        """The slugs of failures that could not even be put in words."""

    def guard(self, slug: str) -> Guard:
        """A context manager that counts and swallows every `Exception` of its body under `slug`.

        For our own thread, for forks and for the process's end.
        """
        return Guard(self, slug)

    def guard_in_host(self, slug: str) -> Guard:
        """The same where the host's code goes on afterwards: what says "stop" to that is let through."""
        return Guard(self, slug, in_host=True)

    def add(self, slug: str, error: BaseException) -> None:
        """Count one failure. Prints one line to stderr if LASTCALL_DEBUG=1."""
        from itertools import count  # a module more, which a start without failures does not need

        first = f"{type(error).__name__}: {error}"
        if os.environ.get("LASTCALL_DEBUG") == "1":
            sys.stderr.write(f"lastcall: internal error [{slug}] {first}\n")
        # Last, as all that may fail came before. `d[k] += 1` loses counts under threads; next() of a count does not.
        next(self._counters.setdefault(slug, count()))
        self._first.setdefault(slug, first)

    def swallows(self, slug: str, error: Exception, *, in_host: bool = True) -> bool:
        """Count `error`. False, with nothing counted, if it is to go on: in our own tests, and to the host's code."""
        try:
            if os.environ.get("LASTCALL_RERAISE") == "1" or (in_host and is_interruption(error)):
                return False
            self.add(slug, error)
        except Exception:  # noqa: BLE001 - str(error) may fail, the stack be exhausted
            if len(self._unsaid) < MOST_UNSAID:
                self._unsaid[0:0] = (slug,)  # calls nothing that takes of the stack
        return True

    def record(self, slug: str, error: Exception) -> None:
        """What an `except` at a named seam does: count `error` and go on, or raise it again: see `swallows`."""
        if not self.swallows(slug, error):
            raise error

    def counts(self) -> tuple[tuple[str, int], ...]:
        """How many failures of each slug so far, sorted by slug."""
        # The repr of a count, "count(5)", shows its value without taking one.
        found = {slug: int(repr(c)[6:-1]) for slug, c in self._counters.copy().items()}
        for slug in tuple(self._unsaid):
            found[slug] = found.get(slug, 0) + 1
        return tuple(sorted(found.items()))

    def first(self) -> dict[str, str]:
        """The first error of each slug, as `Type: message`."""
        return self._first.copy()

    def clear(self) -> None:
        """Forget everything. A forked child starts from zero, or its parent's failures would count twice."""
        self._counters = {}
        self._first = {}
        self._unsaid = []


class Guard:
    """See `InternalErrors.guard`. Stateless, so one instance may be kept and used again, in any thread."""

    __slots__ = ("_errors", "_in_host", "_slug")

    def __init__(self, errors: InternalErrors, slug: str, *, in_host: bool = False) -> None:
        self._errors = errors
        self._slug = slug
        self._in_host = in_host

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return isinstance(error, Exception) and self._errors.swallows(self._slug, error, in_host=self._in_host)


internal_errors = InternalErrors()
"""The failures of this process."""
