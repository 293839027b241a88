"""The wrapper function that runs around a call: only where somebody asked for it.

`LASTCALL_SPANS=all` needs a span that is current during the call, `isolation` needs the arguments and the
result. Both cost a frame on the stack, which every other target is spared.
"""

from __future__ import annotations

from .. import hotpath
from . import wrapping

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any, Protocol

    from ..recorder import Recorder
    from ..sites import Tap

    class Advice(Protocol):
        """Something done around each call of one target."""

        def enter(self, frame: FrameType | None, args: Any, kwargs: Any) -> Any:
            """Before the call, in the caller's thread; what it returns is handed to `leave`.

            `frame` is the caller's, None where C calls with no Python frame below.
            """

        def leave(self, entered: Any, result: Any, error: BaseException | None) -> None:
            """After the call: its result, or what it raised."""


CO_COROUTINE = 0x80


def wrap(recorder: Recorder, value: Any, tap: Tap, advices: list[Advice]) -> Any:
    """`value` so wrapped that its calls are counted as ever and every advice runs around them."""
    function = getattr(value, "__func__", value)
    suspends = getattr(getattr(function, "__code__", None), "co_flags", 0) & CO_COROUTINE
    around = _Around(recorder, tap, advices)
    wrapper = wrapping.Wrapper(
        value, around.call_coroutine if suspends else around.call, enabled=around.count_and_go_on
    )
    wrapping.set_own(wrapper, "_self_tap", tap)
    return wrapper


class _Around:
    """What happens around the calls of one target."""

    def __init__(self, recorder: Recorder, tap: Tap, advices: list[Advice]) -> None:
        self.errors = recorder.errors
        self.tap = tap
        self.advices = advices
        self.befores = [advice.before for advice in advices if hasattr(advice, "before")]
        """What a target's mode does before a call, unguarded: what it raises is meant for the host."""
        self.count = recorder.hooks.frame_callback(tap)

    def count_and_go_on(self) -> bool:
        """wrapt's `enabled=` hook: counts, and has the wrapper function run."""
        try:
            self.count(hotpath.caller_behind_wrapt(hotpath.frame_below(1)))
        except Exception as error:  # noqa: BLE001 - the named seam between our counting and the host's call
            self.errors.record("count", error)
        return True

    def call(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        """Around a plain call."""
        entered = self._enter(args if instance is None else (instance, *args), kwargs)
        try:
            result = wrapped(*args, **kwargs)
        except BaseException as error:
            self._leave(entered, None, error)
            raise
        made = result
        if self.tap.use == "construct" and result is None:  # __init__: the object is its first argument
            made = instance if instance is not None else args[0] if args else None
        self._leave(entered, made, None)
        return result

    def call_coroutine(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        """Around a coroutine function: from its call, which is counted, to the end of the coroutine."""
        entered = self._enter(args if instance is None else (instance, *args), kwargs)
        return self._until_done(entered, wrapped(*args, **kwargs))

    async def _until_done(self, entered: list[Any], coroutine: Any) -> Any:
        try:
            result = await coroutine
        except BaseException as error:
            self._leave(entered, None, error)
            raise
        self._leave(entered, result, None)
        return result

    def _enter(self, args: Any, kwargs: Any) -> list[Any]:
        frame = hotpath.caller_behind_wrapt(hotpath.frame_below(2))
        for before in self.befores:
            before(frame)
        entered: list[Any] = []
        try:
            for advice in self.advices:
                with self.errors.guard_in_host("advice"):
                    entered.append((advice, advice.enter(frame, args, kwargs)))
        except BaseException as error:  # the host's own, a signal handler's: the call is not made
            self._leave(entered, None, error)
            raise
        return entered

    def _leave(self, entered: list[Any], result: Any, raised: BaseException | None) -> None:
        if not entered:
            return
        advice, token = entered.pop()
        try:
            with self.errors.guard_in_host("advice"):
                advice.leave(token, result, raised)
        finally:
            self._leave(entered, result, raised)


hotpath.skip_own_frames(globals())
