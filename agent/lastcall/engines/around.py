"""The wrapper function that runs around a call: only where somebody asked for it.

`LASTCALL_SPANS=all` needs a span that is current during the call, `isolation` needs the arguments and the
result. Both cost a frame on the stack, which every other target is spared.
"""

from __future__ import annotations

import sys

from .. import recorder as recording
from . import wrapping

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any, Protocol

    from ..recorder import Recorder, Tap

    class Advice(Protocol):
        """Something done around each call of one target."""

        def enter(self, frame: FrameType, args: Any, kwargs: Any) -> Any:
            """Before the call, in the caller's thread; what it returns is handed to `leave`."""

        def leave(self, entered: Any, result: Any, error: BaseException | None) -> None:
            """After the call: its result, or what it raised."""


CO_COROUTINE = 0x80


def wrap(recorder: Recorder, value: Any, tap: Tap, advices: list[Advice]) -> Any:
    """`value` so wrapped that its calls are counted as ever and every advice runs around them."""
    count = recorder.hooks.frame_callback(tap)
    errors = recorder.errors
    function = getattr(value, "__func__", value)
    suspends = getattr(getattr(function, "__code__", None), "co_flags", 0) & CO_COROUTINE

    def count_and_go_on() -> bool:
        try:
            count(recording.caller_behind_wrapt(sys._getframe(1)))
        except Exception as error:  # noqa: BLE001 - the named seam between our counting and the host's call
            errors.record("count", error)
        return True

    def entered(args: Any, kwargs: Any) -> list[Any]:
        done = []
        frame = recording.caller_behind_wrapt(sys._getframe(2))
        for advice in advices:
            try:
                done.append((advice, advice.enter(frame, args, kwargs)))
            except Exception as error:  # noqa: BLE001 - the named seam between an advice and the host's call
                errors.record("advice", error)
        return done

    def left(done: list[Any], result: Any, raised: BaseException | None) -> None:
        for advice, token in reversed(done):
            try:
                advice.leave(token, result, raised)
            except Exception as error:  # noqa: BLE001 - the named seam between an advice and the host's call
                errors.record("advice", error)

    def around(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        done = entered(args if instance is None else (instance, *args), kwargs)
        if suspends:
            return awaited(done, wrapped(*args, **kwargs), instance)
        try:
            result = wrapped(*args, **kwargs)
        except BaseException as error:
            left(done, None, error)
            raise
        made = result
        if tap.use == "construct" and result is None:  # __init__: the object is its first argument
            made = instance if instance is not None else args[0] if args else None
        left(done, made, None)
        return result

    async def awaited(done: list[Any], coroutine: Any, _instance: Any) -> Any:
        try:
            result = await coroutine
        except BaseException as error:
            left(done, None, error)
            raise
        left(done, result, None)
        return result

    wrapper = wrapping.Wrapper(value, around, enabled=count_and_go_on)
    wrapper._self_tap = tap
    return wrapper

