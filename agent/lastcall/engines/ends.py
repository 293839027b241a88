"""The end of a sampled call, without a frame of ours: local `sys.monitoring` events, 3.12 and later.

While a sampled call is under way its function's code reports returns, and the interpreter reports unwinding;
as soon as it has ended nothing is reported any more. A call is told from others of the same function by the
frame it was made from.
"""

from __future__ import annotations

import sys
from _thread import get_ident

from ..errors import getframe
from ..hotpath import as_callback
from .inplace import CO_SUSPENDS

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from types import CodeType, FrameType
    from typing import Any

    from ..recorder import Recorder
    from ..sites import Sample
    from .inplace import InPlace

MAX_WATCHED = 256
"""Sampled calls that may be under way at once; more are reported without their end."""


class Ends:
    """Watches sampled calls to their end."""

    def __init__(self, recorder: Recorder, in_place: InPlace) -> None:
        """Raises inplace.Unavailable if no monitoring tool is free."""
        self.recorder = recorder
        self.monitoring: Any = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
        self.in_place = in_place
        self.tool = in_place.claim_tool()
        events = self.monitoring.events
        self.monitoring.register_callback(self.tool, events.PY_RETURN, as_callback(self._returned))
        self.monitoring.register_callback(self.tool, events.PY_UNWIND, as_callback(self._unwound))
        self.watched: dict[int, list[tuple[int, int, Sample]]] = {}
        self.codes: dict[int, CodeType] = {}

    def watch(self, sample: Sample, caller: FrameType) -> None:
        """Follow the call that `caller` is about to make, or has just made."""
        code = _code_of(sample.record.target)
        if code is None or len(self.watched) >= MAX_WATCHED:
            return
        sample.pending = True
        waiting = self.watched.setdefault(id(code), [])
        waiting.append((get_ident(), id(caller), sample))
        self.codes[id(code)] = code
        self._set_events()
        if len(waiting) == 1:
            events = self.monitoring.events
            before = self.monitoring.get_local_events(self.tool, code)
            self.monitoring.set_local_events(self.tool, code, before | events.PY_RETURN)

    def _set_events(self) -> None:
        self.monitoring.set_events(self.tool, self.monitoring.events.PY_UNWIND if self.watched else 0)

    def _returned(self, code: CodeType, _offset: int, _value: Any) -> None:
        if id(code) in self.watched:
            self._ended(code, getframe(2), "")

    def _unwound(self, code: CodeType, _offset: int, error: BaseException) -> None:
        if id(code) in self.watched:
            self._ended(code, getframe(2), type(error).__qualname__)

    def _ended(self, code: CodeType, frame: FrameType, error_type: str) -> None:
        try:
            me, caller = get_ident(), id(frame.f_back)
            waiting = self.watched.get(id(code), [])
            for entry in waiting:
                if entry[0] == me and entry[1] == caller:
                    self.recorder.samples.finish(entry[2], error_type)
                    waiting.remove(entry)
                    break
            if not waiting:
                self.watched.pop(id(code), None)
                events = self.monitoring.events
                before = self.monitoring.get_local_events(self.tool, code)
                self.monitoring.set_local_events(self.tool, code, before & ~events.PY_RETURN)
                self._set_events()
        except Exception as error:  # noqa: BLE001 - the named seam between our looking and the host's return
            self.recorder.errors.record("sample-end", error)

    def forget(self) -> None:
        """In a forked child: the parent's calls are not ours."""
        for code in list(self.codes.values()):
            before = self.monitoring.get_local_events(self.tool, code)
            self.monitoring.set_local_events(self.tool, code, before & ~self.monitoring.events.PY_RETURN)
        self.watched.clear()
        self._set_events()


def _code_of(target: Any) -> CodeType | None:
    """The one code object that runs a target's calls from start to end, if there is one."""
    code = target.latest_code()
    if code is None and target.objects and target.kind != "parameter":
        code = getattr(target.objects[0], "__code__", None)
    if code is None or type(code).__name__ != "code" or code.co_flags & CO_SUSPENDS:
        return None
    return code  # type: ignore[no-any-return]
