"""Doing something as soon as the host's own code goes on.

After a fork the interpreter counts the process's threads, to warn about them, and from some release of 3.12
on it counts after the at-fork hooks have run: a thread that a hook starts makes a host of one thread look like
one of two. So the thread has to wait until `os.fork()` has returned.
"""

from __future__ import annotations

import sys
from _thread import get_ident

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

TOOL_IDS = (4, 3, 5, 1, 2, 0)


def at_next_instruction(frame: FrameType | None, act: Callable[[], None]) -> bool:
    """Call `act` in this thread when `frame` executes its next instruction. False if that cannot be arranged."""
    if sys.version_info < (3, 12) or frame is None:
        return False
    monitoring = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
    tool = next((number for number in TOOL_IDS if monitoring.get_tool(number) is None), None)
    if tool is None:
        return False
    code, thread, event = frame.f_code, get_ident(), monitoring.events.INSTRUCTION

    def on_instruction(_code: CodeType, _offset: int) -> None:
        if get_ident() == thread:
            monitoring.set_local_events(tool, code, 0)
            monitoring.register_callback(tool, event, None)
            monitoring.free_tool_id(tool)
            act()

    monitoring.use_tool_id(tool, "lastcall after fork")
    monitoring.register_callback(tool, event, on_instruction)
    monitoring.set_local_events(tool, code, event)
    return True
