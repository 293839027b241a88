"""The hot path: what runs at each use of a target, and what it must know about frames.

Each armed target has a dictionary `counters`, from a call site's key to `(slot, uses)`. The key is made of
the caller's code object (by `id`: hashing a code object walks all of it, 50 us for a long function) and
`f_lasti`, the offset of the instruction that calls. From 3.11 on the bytecode lies inside the code object,
so `id + offset` is an address that nothing else can have; before, a tuple. `uses` is an `itertools.count`,
which is drawn from atomically on every build, where `+= 1` is not. What is drawn goes to `table[slot]`, which is
the journal's mapped file, so a killed process leaves its counts behind.

The two happen in one statement, `for table[slot] in uses: break`. A call (`table[slot] = next(uses)`) would be a
place where the interpreter may change threads with the number drawn and not yet stored: stored late, it would
set the slot back by all that the other threads counted meanwhile. Between the steps of a `for` there is no such
place, so with a GIL a slot never goes back. Without one it can, until the next use or the next flush.

Whatever needs more than counting takes the place of `uses` for a while: a sampled repeat, a call site behind a
pass-through frame, a site that our own thread also reaches. The hooks never test for them.
"""

# ruff: noqa: F821 - the hooks have globals of their own
from __future__ import annotations

import builtins
import sys
from _functools import partial  # type: ignore[import-not-found] # without the modules that functools needs
from _operator import attrgetter
from types import FunctionType

from . import callsite as cs
from .errors import getframe

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType
    from typing import Any

    from .errors import InternalErrors
    from .sites import Tap

    # What the hooks find among their globals: see `make_hooks`.
    ids: _Ids
    after_miss: Reported
    table: Any
    missed: Callable[[Tap, int], None]
    unseen: list[Tap | None]
    errors: InternalErrors


MAX_CONTEXTS = 100
"""Exceptions that may have been raised during one another before the first of ours. They can be tied to a ring."""

if sys.version_info >= (3, 11):

    def site_key(frame: FrameType) -> Any:
        """The key of the instruction that `frame` is executing."""
        return id(frame.f_code) + frame.f_lasti

else:

    def site_key(frame: FrameType) -> Any:
        """The key of the instruction that `frame` is executing."""
        return id(frame.f_code), frame.f_lasti


def raise_if_hosts(error: BaseException | None) -> None:
    """Let an exception go on that a signal handler of the host's raised while our code was running.

    It says "stop" to the host's code below (a timeout, a worker's end); swallowing it would be a fault of ours.
    """
    trace = None if error is None else error.__traceback__
    if trace is None or trace.tb_next is None:  # raised by our own innermost frame: the usual miss
        return
    while trace.tb_next is not None:
        trace = trace.tb_next
    if error is not None and cs.file_kind(trace.tb_frame.f_code.co_filename) in (cs.APPLICATION, cs.THIRD_PARTY):
        raise error


def record_unless_hosts(errors: InternalErrors, slug: str, error: Exception) -> None:
    """Count a failure of ours; an exception of the host's goes on its way."""
    raise_if_hosts(error)
    errors.record(slug, error)


def record_unless_exhausted(errors: InternalErrors, error: Exception) -> None:
    """The same where a use was to be counted. That the stack is exhausted is no failure of ours, and goes on as well.

    C may find that there is no more of it while there is enough for Python code.
    """
    if isinstance(error, RecursionError):
        raise error
    record_unless_hosts(errors, "count", error)


def part(stop: BaseException, ours: BaseException | None) -> None:
    """Take our own miss out of what the exception of a signal handler says that it was raised during."""
    link: BaseException | None = stop
    for _ in range(MAX_CONTEXTS):
        if link is None or ours is None:
            return
        if link.__context__ is ours:
            link.__context__ = ours.__context__
            return
        link = link.__context__


behind_wrapt: set[int] = set()
"""The globals, by id, of wrapt's modules that put a frame below our hook: none if its C extension runs."""
_skipped: set[int] = {id(globals())}
"""The globals, by id, of modules whose frames are no callers. Modules live as long as the process."""


def skip_frames_of(module_globals: dict[str, Any]) -> None:
    """Never take a frame whose globals are these for a caller: wrapt's, when it runs without its C extension."""
    behind_wrapt.add(id(module_globals))
    _skipped.add(id(module_globals))


def skip_own_frames(module_globals: dict[str, Any]) -> None:
    """The same for a module of ours whose functions lie between a hook and what it calls."""
    _skipped.add(id(module_globals))


def caller_behind_wrapt(frame: FrameType | None) -> FrameType | None:
    """The first frame from `frame` outwards that is neither the recorder's nor wrapt's, None if there is none."""
    while frame is not None and id(frame.f_globals) in _skipped:
        frame = frame.f_back
    return frame


def frame_below(depth: int) -> FrameType | None:
    """The frame `depth` calls out from whoever asks, None where C called with no Python frame below."""
    try:
        return getframe(depth + 1)
    except ValueError:
        return None


def is_between(frame: FrameType) -> bool:
    """Whether `frame` is ours or wrapt's, lying between a call and what is called."""
    return id(frame.f_globals) in _skipped


def is_wrapper_frame(frame: FrameType) -> bool:
    """Whether `frame` is wrapt's, running without its C extension."""
    return id(frame.f_globals) in behind_wrapt


class _Frames:
    """`frames[n]` is `getframe(n)`, and no call."""

    __slots__ = ()
    __getitem__: Any = getframe  # of C: it binds to nothing


class _Ids:
    """`ids[x]` is `id(x)`, and no call."""

    __slots__ = ()
    __getitem__: Any = id  # the same


frames, _ids = _Frames(), _Ids()


class Reported:
    """`Reported(f)[x, y]` is `f(x, y)`, and no call; what happens meanwhile is reported as if no callback ran."""

    __slots__ = ("told",)
    __getitem__: Any = property(attrgetter("told"))  # of C: a Python function would have a beginning

    def __init__(self, function: Callable[..., object]) -> None:
        self.told = partial(sys.call_tracing, function)


def make_hooks(see: Callable[[Tap, FrameType | None], None], internal_errors: InternalErrors) -> Hooks:
    """Make the functions that run at each use, sharing one table that a fork can replace.

    `see` is told of a use without a fast entry. The hooks are written out one by one, once for each way of finding
    the caller, because every call it would take to share a line costs 40 ns on 200. Those that run most close over one
    name and have the others as globals of their own, for each name that a function closes over is copied at each call.
    """
    unseen: list[Tap | None] = []

    def tell(tap: Tap, frame: FrameType | None) -> None:
        ours = sys.exc_info()[1]
        try:
            see(tap, frame)
        except BaseException as stop:
            part(stop, ours)
            raise

    def missed(tap: Tap, depth: int) -> None:
        """A use that has no fast entry, or whose counting failed; its caller is `depth` frames below this one.

        Looks for the frame and the error anew: on a hit, a name that an `except` could use would have to be bound
        first, and that costs.
        """
        error = sys.exc_info()[1]
        if isinstance(error, Exception) and not isinstance(error, (KeyError, ValueError)):
            record_unless_exhausted(internal_errors, error)
            return
        raise_if_hosts(error)
        try:
            frame = getframe(depth)
        except ValueError:  # C called, with no Python frame below
            frame = None
        tell(tap, frame)

    names = {
        "__builtins__": vars(builtins),
        "__name__": __name__,
        "getframe": getframe,
        "frames": frames,
        "ids": _ids,
        "table": None,
        "missed": missed,
        "unseen": unseen,
        "errors": internal_errors,
        "raise_if_hosts": raise_if_hosts,
        "record_unless_exhausted": record_unless_exhausted,
    }
    keep_own_globals(names)

    def hook(tap: Tap) -> Callable[[], None]:
        return _make_hook_behind_wrapt(tap, tell, names) if behind_wrapt else creation_hook(tap)

    def creation_hook(tap: Tap) -> Callable[[], None]:
        made: Callable[[], None] = _with_globals(_make_hook(tap), names)
        return made

    def set_table(table: Any) -> None:
        names["table"] = table

    return Hooks(
        hook=hook,
        creation_hook=creation_hook,
        frame_callback=lambda tap: _make_callback(tap, tell, names),
        inner_hook=lambda tap: _with_globals(_make_inner_hook(tap), names),
        start_callback=lambda taps, counters_of: _make_start_callback(taps, counters_of, names),
        set_table=set_table,
        unseen=unseen,
    )


_own_names: list[dict[str, Any]] = []
"""The globals of hooks. They are known by their address, which nothing else may ever have."""


def keep_own_globals(names: dict[str, Any]) -> None:
    """Frames with these globals are no callers: those of a hook that has globals of its own."""
    _own_names.append(names)
    skip_own_frames(names)


def _with_globals(function: Any, names: dict[str, Any]) -> Any:
    made: Any = FunctionType
    return made(function.__code__, names, function.__name__, None, function.__closure__)


def _make_hook(tap: Tap) -> Callable[[], None]:
    """For wrapt, which calls it from C, and for code that makes a coroutine: the caller is the next frame."""
    if sys.version_info >= (3, 11):

        def hook() -> None:
            try:
                frame = getframe(1)
                slot, uses = tap.counters[id(frame.f_code) + frame.f_lasti]
                for table[slot] in uses:
                    break
            except Exception:  # noqa: BLE001 - nothing of ours may reach the host's call
                try:
                    missed(tap, 2)
                except RecursionError:
                    unseen[0:0] = (tap,)

    else:

        def hook() -> None:
            try:
                frame = getframe(1)
                slot, uses = tap.counters[id(frame.f_code), frame.f_lasti]
                for table[slot] in uses:
                    break
            except Exception:  # noqa: BLE001 - nothing of ours may reach the host's call
                try:
                    missed(tap, 2)
                except RecursionError:
                    unseen[0:0] = (tap,)

    return hook


def _make_inner_hook(tap: Tap) -> Callable[[], None]:
    """For a call written into the target's own code: the caller is one frame further."""
    if sys.version_info >= (3, 11):

        def inner_hook() -> None:
            try:
                frame = getframe(2)
                slot, uses = tap.counters[id(frame.f_code) + frame.f_lasti]
                for table[slot] in uses:
                    break
            except Exception:  # noqa: BLE001 - nothing of ours may reach the host's call
                try:
                    missed(tap, 3)
                except RecursionError:
                    unseen[0:0] = (tap,)

    else:

        def inner_hook() -> None:
            try:
                frame = getframe(2)
                slot, uses = tap.counters[id(frame.f_code), frame.f_lasti]
                for table[slot] in uses:
                    break
            except Exception:  # noqa: BLE001 - nothing of ours may reach the host's call
                try:
                    missed(tap, 3)
                except RecursionError:
                    unseen[0:0] = (tap,)

    return inner_hook


def _make_start_callback(
    taps: dict[int, Tap], counters_of: dict[int, Any], names: dict[str, Any]
) -> Callable[[CodeType, int], None]:
    """For `sys.monitoring`: the callback of PY_START, for all monitored code objects together.

    What waits for a Python thread (the handler of a signal, garbage and its finalizers) has its turn where a function
    begins and behind each call. If that were here, nothing of it would be reported, for a callback is running; in 3.12
    it is the first turn after the host has made an object. So a known call site is counted without a beginning
    (`without_turn`) and without a call, and what waits has its turn in the host's function, as without us. The rest
    runs under `sys.call_tracing`, which has everything reported as if there were no callback, and that is not called
    either (`Reported`): behind the call there would be a turn again.
    """

    def look(code: CodeType, error: Exception) -> None:
        raise_if_hosts(error)
        tap = taps.get(id(code))
        if tap is not None:
            missed(tap, 4)
        elif isinstance(error, ValueError):  # C called, with no Python frame below
            observer = counters_of.get(id(code))
            if observer is not None:
                observer.guarded(getframe(2))
        elif not isinstance(error, (KeyError, ValueError)):
            record_unless_exhausted(errors, error)

    def on_start(code: CodeType, _offset: int) -> None:
        try:
            frame = frames[2]
            slot, uses = counters_of[ids[code]][ids[frame.f_code] + frame.f_lasti]
            for table[slot] in uses:
                break
        except Exception as error:  # noqa: BLE001 - nothing of ours may reach the host's call
            try:
                after_miss[code, error]
            except RecursionError:
                unseen[0:0] = (None,)

    names["after_miss"] = Reported(_with_globals(look, names))
    on_start.__code__ = without_turn(on_start.__code__)
    made: Callable[[CodeType, int], None] = _with_globals(on_start, names)
    return made


AFTER_YIELD_FROM = 2
"""What a RESUME that is no function's beginning says of itself: nothing that waits has its turn there."""


def without_turn(code: CodeType) -> CodeType:
    """The same code, at whose beginning nothing that waits for the thread has its turn."""
    raw = bytearray(code.co_code)
    resume = _without_names.__code__.co_code[0]
    at = 2 * raw[::2].index(resume)  # before it stands what copies the names that it closes over
    raw[at + 1] |= AFTER_YIELD_FROM
    return code.replace(co_code=bytes(raw))


def as_callback(function: Callable[..., object]) -> Callable[..., None]:
    """Have `sys.monitoring` call `function` so that what the host does meanwhile (a handler, a finalizer) is reported.

    For `function` it is as if a frame of ours lay between it and the host's. An event for which the stack does not
    suffice is not told.
    """
    reported = Reported(function)

    def callback(*event: object) -> None:
        try:
            reported[event]
        except RecursionError:  # where the stack ends there is room for the host's call, and none for us
            return

    callback.__code__ = without_turn(callback.__code__)
    return callback


def _without_names() -> None:
    """From 3.11 on its code begins with RESUME."""


def _make_hook_behind_wrapt(
    tap: Tap, tell: Callable[[Tap, FrameType | None], None], names: dict[str, Any]
) -> Callable[[], None]:
    """For wrapt without its C extension, which has a frame of its own below the hook's."""
    counters, unseen = tap.counters, names["unseen"]

    def hook_behind_wrapt() -> None:
        frame = None
        try:
            frame = caller_behind_wrapt(getframe(1))
            slot, uses = counters[site_key(frame)]  # type: ignore[arg-type] # None: see below
            table = names["table"]
            for table[slot] in uses:
                break
        except (KeyError, ValueError) as error:
            try:
                raise_if_hosts(error)
                tell(tap, frame)
            except RecursionError:
                unseen[0:0] = (tap,)
        except RecursionError:
            unseen[0:0] = (tap,)
        except Exception as error:  # noqa: BLE001 - nothing of ours may reach the host's call
            if frame is None:  # C called, with no Python frame below
                tell(tap, None)
            else:
                record_unless_hosts(names["errors"], "count", error)

    return hook_behind_wrapt


def _make_callback(
    tap: Tap, tell: Callable[[Tap, FrameType | None], None], names: dict[str, Any]
) -> Callable[[FrameType | None], None]:
    """For whoever knows the caller's frame, or that there is none."""
    counters, unseen = tap.counters, names["unseen"]

    def callback(frame: FrameType | None) -> None:
        try:
            slot, uses = counters[site_key(frame)]  # type: ignore[arg-type] # None: see below
            table = names["table"]
            for table[slot] in uses:
                break
        except KeyError as error:
            try:
                raise_if_hosts(error)
                tell(tap, frame)
            except RecursionError:
                unseen[0:0] = (tap,)
        except RecursionError:
            unseen[0:0] = (tap,)
        except Exception as error:  # noqa: BLE001 - nothing of ours may reach the host's call
            if frame is None:
                tell(tap, None)
            else:
                record_unless_hosts(names["errors"], "count", error)

    return callback


class Hooks:
    """The functions that engines call at each use, made for one recorder."""

    __slots__ = ("creation_hook", "frame_callback", "hook", "inner_hook", "set_table", "start_callback", "unseen")

    def __init__(
        self,
        *,
        hook: Callable[[Tap], Callable[[], None]],
        creation_hook: Callable[[Tap], Callable[[], None]],
        frame_callback: Callable[[Tap], Callable[[FrameType | None], None]],
        inner_hook: Callable[[Tap], Callable[[], None]],
        start_callback: Callable[[dict[int, Tap], dict[int, Any]], Callable[[CodeType, int], None]],
        set_table: Callable[[Any], None],
        unseen: list[Tap | None],
    ) -> None:
        self.hook = hook
        self.creation_hook = creation_hook
        self.frame_callback = frame_callback
        self.inner_hook = inner_hook
        self.start_callback = start_callback
        self.set_table = set_table
        self.unseen = unseen
