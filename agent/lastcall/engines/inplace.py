"""The in-place engine: nothing is replaced, the function's own code reports each call.

From 3.12 on with local `sys.monitoring` events, before with a call written in front of the function's
bytecode (see `prologue`). Both see calls through references that were captured before arming, and
neither shows in a class namespace. Of coroutine functions and generators `sys.monitoring` sees the first step and
not the call: their bytecode is written to from 3.11 on. Before, they stay with wrapt.
"""

from __future__ import annotations

import sys
from _weakref import ref
from types import FunctionType

from ..asking import class_made, inherits
from ..callsite import qualname_of
from ..captured import Weakly, code_is_compiled_elsewhere, code_is_known_elsewhere, look_again_for_known_codes
from ..errors import getframe
from ..hotpath import Reported, frames, without_turn
from ..sites import NOT_COUNTED
from . import Undo
from .prologue import Constant, Unavailable, before_creation, constant_of, with_prologue

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType
    from typing import Any

    from ..recorder import Recorder
    from ..sites import Entry, Tap
    from ..targets import Target

CO_SUSPENDS = 0x20 | 0x80 | 0x200  # generator, coroutine, asynchronous generator
TOOL_NAME = "lastcall"
TOOL_IDS = (5, 4, 3)
"""Never those that PEP 669 gives to debuggers (0), coverage (1) and profilers (2), which fail or measure nothing
where they find theirs taken; those of nobody (3, 4) last, because tools take them by number without looking
(hypothesis, the standard library's own tests). Optimizers, whose number 5 is, there are none of."""


def fits(function: Any) -> bool:
    """Whether this engine sees the calls of `function`: a plain Python function, run when it is called."""
    return type(function) is FunctionType and not function.__code__.co_flags & CO_SUSPENDS


def suspends(function: Any) -> bool:
    """Whether `function` is one whose calls make a coroutine or a generator, in Python code."""
    return type(function) is FunctionType and bool(function.__code__.co_flags & CO_SUSPENDS)


def sees_calls_of(function: Any) -> bool:
    """Whether this engine counts the calls of `function` on this version of Python."""
    return fits(function) or (suspends(function) and sys.version_info >= (3, 11))


class InPlace:
    """The in-place engine of one process.

    What it knows of a function or code object it knows by its id, and forgets when the host lets go of it: a
    module that is imported anew may take the old one with it.
    """

    unavailable = Unavailable
    """What it raises. A host that puts `sys.modules` back as it was has our modules imported anew: by their names
    another class would be found."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.taps: dict[int, Tap] = {}
        self.counters: dict[int, Any] = {}
        self.codes: dict[int, _Kept] = {}
        self.shared: dict[int, ByClass] = {}
        self.functions: dict[int, ref[FunctionType]] = {}
        self.claims: dict[tuple[int, int], _Claim] = {}
        self.watched: dict[int, _Watched] = {}
        self.targets: dict[int, tuple[Target, ...]] = {}
        """Before 3.12: whose hooks are written into a code object."""
        self.tool: int | None = None
        # bound once, not once for each of them
        self._on_claim_gone, self._on_code_gone = self._claim_gone, self._code_gone
        self._on_watched_gone = self._watched_gone

    def arm(self, function: FunctionType, tap: Tap) -> Callable[[], None]:
        """Report each call of `function` to `tap`. Returns the undo. Raises Unavailable."""
        if not fits(function) and not suspends(function):
            raise Unavailable("not a Python function")
        key = id(function), id(tap)
        claim = _Claim(function, self._on_claim_gone)
        claim.key, claim.tap = key, tap
        if self.claims.setdefault(key, claim) is not claim:  # two threads may come with one module
            return lambda: None
        try:
            undo = self._arm(function, tap)
        except BaseException:  # also of a signal's handler: then it is tried again
            self.claims.pop(key, None)
            raise
        made = Undo(InPlace._undo_claim, self, key, undo)
        self._note(function, tap, None, made)
        return made

    def _claim_gone(self, claim: _Claim) -> None:
        self.claims.pop(claim.key, None)

    def _undo_claim(self, key: tuple[int, int], undo: Callable[[], None]) -> None:
        claim = self.claims.pop(key, None)
        undo()
        function = None if claim is None else claim()
        shared = None if function is None else self.shared.get(id(function.__code__))
        if claim is not None and shared is not None and shared.everybody is claim.tap:
            shared.forget_everybody()  # since classes that inherit it are watched, it is they who have it watched
        if claim is not None:
            self._strike(key[0], claim.tap)

    def _arm(self, function: FunctionType, tap: Tap) -> Callable[[], None]:
        if suspends(function):
            code, undo = self._add_prologue(function, self.recorder.hooks.creation_hook(tap), before_creation)
            tap.target.has_code(code)
            return undo
        shared = self.shared.get(id(function.__code__))
        if shared is not None:  # classes that inherit it are watched already
            shared.everybody = tap
            tap.target.has_code(function.__code__)
            return shared.forget_everybody
        if sys.version_info >= (3, 12):
            if self._is_watched(function):  # under another name it is a target already
                tap.target.has_code(function.__code__)
                return self._join(function.__code__, self._of_tap(tap))
            code, undo = self._monitor(function)
            self.counters[id(code)] = tap.counters
            self.taps[id(code)] = tap
        else:
            code, undo = self._add_prologue(function, self.recorder.hooks.inner_hook(tap))
            self.targets[id(code)] = (*self.targets[id(code)], tap.target)
        tap.target.has_code(code)
        return undo

    def _is_watched(self, function: FunctionType) -> bool:
        known = self.functions.get(id(function.__code__))
        return known is not None and known() is function

    def _keep_track_of(self, code: CodeType) -> None:
        kept = self.codes[id(code)] = _Kept(code, self._on_code_gone)
        kept.number = id(code)

    def _code_gone(self, code: _Kept) -> None:
        self._forget(code.number)

    def _forget(self, number: int) -> None:
        for known in (self.codes, self.taps, self.counters, self.shared, self.functions, self.targets):
            known.pop(number, None)

    def watch(self, function: FunctionType, see: Callable[[FrameType], None]) -> Callable[[], None]:
        """Have `see` called with the frame of each call of `function`, arguments bound. Returns the undo.

        Raises Unavailable.
        """
        if not fits(function):
            raise Unavailable("not a plain Python function")
        watcher = Watcher(self.recorder, see)
        if sys.version_info >= (3, 12):
            if self._is_watched(function):
                return self._join(function.__code__, watcher.guarded)
            code, undo = self._monitor(function)
            self.counters[id(code)] = watcher
        else:
            _, undo = self._add_prologue(function, watcher.for_prologue)
        return undo

    def arm_for_class(self, function: FunctionType, cls: type, tap: Tap) -> Callable[[], None]:
        """Report calls of an inherited `__init__` or `__new__`, but only when a `cls` is being made.

        Which class that is, is told by the function's first argument. Raises Unavailable.
        """
        if not fits(function) or not function.__code__.co_argcount:
            raise Unavailable("its constructor is not a plain Python function")
        shared = self.shared.get(id(function.__code__)) or self._share(function)
        entry = ref(cls), self.recorder.hooks.frame_callback(tap)
        shared.classes = [*(known for known in shared.classes if known[0]() is not None), entry]
        tap.target.has_code(function.__code__)
        number = id(function)  # not the function, which `undo` would keep alive

        def undo() -> None:
            self._strike(number, tap)
            shared.classes = [known for known in shared.classes if known is not entry]
            if not shared.classes and shared.everybody is None:
                shared.undo()

        self._note(function, tap, cls, undo)
        return undo

    def _note(self, function: FunctionType, tap: Tap, cls: type | None, undo: Callable[[], None]) -> None:
        known = self.watched.get(id(function))
        if known is None:
            known = self.watched[id(function)] = _Watched(function, self._on_watched_gone)
            known.number, known.parts = id(function), ()
        part = tap, None if cls is None else ref(cls), undo
        known.parts = (*(other for other in known.parts if other[0] is not tap), part)

    def _strike(self, number: int, tap: Tap) -> None:
        """Forget what was noted of the function with this id: we ourselves watch it no more."""
        known = self.watched.get(number)
        if known is not None:
            known.parts = tuple(part for part in known.parts if part[0] is not tap)
            if not known.parts:
                self.watched.pop(number, None)

    def _watched_gone(self, function: _Watched) -> None:
        self.watched.pop(function.number, None)

    def watch_other_code(self) -> list[tuple[Target, FunctionType, Callable[[], None] | None]]:
        """Watch anew each function that the host has given other code (`f.__code__ = ...`), as reloaders, tracers do.

        Whose it is, the function, and the undo; none where it cannot be watched any more.
        """
        found: list[tuple[Target, FunctionType, Callable[[], None] | None]] = []
        for number, known in list(self.watched.items()):
            function = known()
            if function is None or id(function.__code__) in self.codes:
                continue
            self.watched.pop(number, None)
            parts = known.parts
            for _tap, _cls, undo in parts:
                undo()  # what the host has made of the code before may still run, inside of what is there now
            look_again_for_known_codes(function)
            for tap, named, _undo in parts:
                cls = None if named is None else named()
                again: Callable[[], None] | None = None
                try:
                    if named is None:
                        again = self.arm(function, tap)
                    elif cls is not None:
                        again = self.arm_for_class(function, cls, tap)
                except Unavailable:  # and a wrapper would be what the host knows nothing of
                    pass
                found.append((tap.target, function, again))
        return found

    def _share(self, function: FunctionType) -> ByClass:
        shared = ByClass(self.recorder)
        if sys.version_info >= (3, 12):
            known = self.taps.pop(id(function.__code__), None)
            code, shared.undo = self._monitor(function)
            self.counters[id(code)] = shared
        else:
            known = self.taps.pop(id(function.__code__), None)
            code, shared.undo = self._add_prologue(function, shared.count_for_prologue)
        shared.everybody = known
        if known is not None:  # it has another code object by now, in which its frames are to be known
            known.target.has_code(code)
        self.shared[id(code)] = shared
        return shared

    # -- 3.12 and later -----------------------------------------------------------------------------

    def _of_tap(self, tap: Tap) -> Callable[[FrameType], None]:
        count = self.recorder.hooks.frame_callback(tap)

        def count_caller(called: FrameType) -> None:
            count(called.f_back)

        return count_caller

    def _join(self, code: CodeType, see: Callable[[FrameType], None]) -> Callable[[], None]:
        """One more observer of a function that is observed already. Returns the undo."""
        number = id(code)
        before, tap = self.counters[number], self.taps.pop(number, None)
        parts: list[Callable[[FrameType], None]]
        if tap is not None:
            parts = [self._of_tap(tap)]
        elif isinstance(before, Several):
            parts = before.parts
        else:
            parts = [before.guarded]
        self.counters[number] = Several([*parts, see])

        def undo() -> None:
            if number in self.counters:
                self.counters[number] = before
                if tap is not None:
                    self.taps[number] = tap

        return undo

    def _monitor(self, function: FunctionType) -> tuple[CodeType, Callable[[], None]]:
        tool = self.claim_tool()
        monitoring = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
        shared = function.__code__
        code = shared
        if (
            "<locals>" in function.__qualname__
            or "<locals>" in qualname_of(shared)
            or id(shared) in self.counters
        ):
            # every closure made by one `def` has one code object: give this function its own
            code = shared.replace()
        self._keep_track_of(code)  # first: see `watch_other_code`
        if code is not shared:
            function.__code__ = code
        known, armed = Weakly(function), ref(code)
        self.functions[id(code)] = known
        monitoring.set_local_events(tool, code, monitoring.events.PY_START)
        before = None if code is shared else shared

        return code, Undo(InPlace._stop_monitoring, self, tool, known, armed, before)

    def _stop_monitoring(
        self, tool: int, known: ref[FunctionType], armed: ref[CodeType], before: CodeType | None
    ) -> None:
        code, function = armed(), known()
        if code is None:
            return
        sys.monitoring.set_local_events(tool, code, 0)  # type: ignore[attr-defined,unused-ignore]
        self._forget(id(code))
        if before is not None and function is not None and function.__code__ is code:
            function.__code__ = before

    def claim_tool(self) -> int:
        """The number of our `sys.monitoring` tool. Raises Unavailable if all that we may take are taken."""
        monitoring = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
        if self.tool is None:
            for tool in TOOL_IDS:
                if monitoring.get_tool(tool) is None:
                    monitoring.use_tool_id(tool, TOOL_NAME)
                    callback = self.recorder.hooks.start_callback(self.taps, self.counters)
                    monitoring.register_callback(tool, monitoring.events.PY_START, callback)
                    self.tool = tool
                    break
            else:
                raise Unavailable("the sys.monitoring tools 3, 4 and 5 are taken")
        return self.tool

    def release(self) -> None:
        """Give the monitoring tool back."""
        if self.tool is not None and not self.counters:
            sys.monitoring.free_tool_id(self.tool)  # type: ignore[attr-defined,unused-ignore]
            self.tool = None

    # -- before 3.12, and functions that suspend ----------------------------------------------------

    def _add_prologue(
        self,
        function: FunctionType,
        hook: Callable[[], None],
        rewrite: Callable[[CodeType, Callable[[], None]], CodeType] = with_prologue,
    ) -> tuple[CodeType, Callable[[], None]]:
        if id(function.__code__) not in self.codes and code_is_known_elsewhere(function):
            raise Unavailable("its code object is known elsewhere, and this engine would give it another one")
        if code_is_compiled_elsewhere(function):
            raise Unavailable("numba compiles functions of its module, and would refuse what is written into them")
        original = function.__code__
        code = rewrite(original, hook)
        self._keep_track_of(code)  # first: see `watch_other_code`
        function.__code__ = code
        earlier = self.targets.pop(id(original), ())
        for target in earlier:  # watched already: its frames run this code from now on
            target.has_code(code)
        self.targets[id(code)] = earlier
        return code, Undo(
            InPlace._take_prologue, self, Weakly(function), ref(code), original, constant_of(code, hook)
        )

    def _take_prologue(
        self, known: ref[FunctionType], armed: ref[CodeType], original: CodeType, constant: Constant
    ) -> None:
        constant.silence()
        code, function = armed(), known()
        if code is not None:
            self._forget(id(code))
        if function is not None and function.__code__ is code:
            function.__code__ = original


class _Claim(Weakly):
    """That a tap watches a function, for as long as the host keeps it."""

    __slots__ = ("key", "tap")

    key: tuple[int, int]
    tap: Tap


class _Watched(Weakly):
    """A function that is watched, for as long as the host keeps it: by which taps, each with the class that it is for,
    if not for all, and its undo."""

    __slots__ = ("number", "parts")

    number: int
    parts: tuple[tuple[Tap, ref[type] | None, Callable[[], None]], ...]


class _Kept(ref):  # type: ignore[type-arg]
    """A code object that is watched, for as long as the host keeps it."""

    __slots__ = ("number",)

    number: int


class Watcher:
    """Stands in the place of a tap's counters, like `ByClass`, and hands the called function's frame on.

    All three look under `Reported`, so that what the host does meanwhile is reported: see `hotpath`.
    """

    def __init__(self, recorder: Recorder, see: Callable[[FrameType], None]) -> None:
        self.recorder = recorder
        self.see = see
        self.told = Reported(self.guarded)

    def __getitem__(self, _key: Any) -> Entry:
        self.told[frames[2],]
        return NOT_COUNTED

    def for_prologue(self) -> None:
        """Called by the rewritten code itself."""
        self.guarded(getframe(1))

    def guarded(self, frame: FrameType) -> None:
        """Look at the frame of a call. Never raises."""
        try:
            self.see(frame)
        except RecursionError:
            self.recorder.hooks.unseen[0:0] = (None,)
        except Exception as error:  # noqa: BLE001 - the named seam between our looking and the host's call
            self.recorder.errors.record("watch", error)


class Several:
    """Stands in the place of a tap's counters where more than one observer wants the calls of a function."""

    def __init__(self, parts: list[Callable[[FrameType], None]]) -> None:
        self.parts = parts
        self.told = Reported(self.guarded)

    def __getitem__(self, _key: Any) -> Entry:
        self.told[frames[2],]
        return NOT_COUNTED

    def guarded(self, called: FrameType) -> None:
        """Show every observer the frame of a call. None of them raises."""
        for see in self.parts:
            see(called)


class ByClass:
    """Shares one inherited constructor's code among the classes that are watched through it.

    Stands in the place of a tap's counters: asked for a call site's entry, it looks at what is being made,
    counts by itself, and answers with an entry that counts nothing.
    """

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.everybody: Tap | None = None
        self.classes: list[tuple[ref[type], Callable[[FrameType | None], None]]] = []
        self.undo: Callable[[], None] = lambda: None
        self.told = Reported(self.guarded)

    def __getitem__(self, _key: Any) -> Entry:
        self.told[frames[2],]
        return NOT_COUNTED

    def count_for_prologue(self) -> None:
        """Called by the rewritten code itself."""
        self.guarded(getframe(1))

    def forget_everybody(self) -> None:
        """Undo of watching the constructor for every class."""
        self.everybody = None
        if not self.classes:
            self.undo()

    def guarded(self, constructor: FrameType) -> None:
        """Count for the classes that are being made. Never raises."""
        try:
            code, caller = constructor.f_code, constructor.f_back
            first = constructor.f_locals.get(code.co_varnames[0])
            made = class_made(first)
            if self.everybody is not None:
                self.recorder.hooks.frame_callback(self.everybody)(caller)
            for known, count in self.classes:
                cls = known()
                if cls is not None and (made is cls or inherits(made, cls)):
                    count(caller)
        except RecursionError:
            self.recorder.hooks.unseen[0:0] = (None,)
        except Exception as error:  # noqa: BLE001 - the named seam between our counting and the host's constructor
            self.recorder.errors.record("count", error)


if sys.version_info >= (3, 12):
    for _stand_in in (Watcher, Several, ByClass):
        _stand_in.__getitem__.__code__ = without_turn(_stand_in.__getitem__.__code__)
