"""Targets in the script itself: `__main__:function`.

The script never goes through an import, so nobody says when it has run, and it mostly calls its functions
before it ends. Its module-level code is watched line by line, by a trace function on that one frame, until
every target there has its name; then the watching stops. Where a debugger or a coverage tool already
traces, it is left alone and the targets stay pending with that reason.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from .bootstrap import Life


def watch(life: Life) -> None:
    """Arm the targets of `__main__` as its code defines them."""
    main = sys.modules.get("__main__")
    if main is None:
        return
    targets = life.wanted.exact["__main__"]
    if sys.gettrace() is not None:
        for target in targets:
            target.reason = "another tool traces this process, and the script itself cannot be watched without tracing"
        return
    namespace = vars(main)
    missing = {target.qualname.partition(".")[0]: target for target in targets if target.qualname}

    def each_line(_frame: FrameType, event: str, _argument: Any) -> Any:
        try:
            for name in [name for name in missing if name in namespace]:
                patcher = life.agent().patcher
                for target in targets:
                    if target.qualname.partition(".")[0] == name:
                        patcher.arm(target, main)
                del missing[name]
        except Exception as error:  # noqa: BLE001 - the named seam between our watching and the host's script
            life.agent().errors.record("mainscript", error)
            missing.clear()
        if not missing or event == "return":
            sys.settrace(None)
            return None
        return each_line

    def each_call(frame: FrameType, _event: str, _argument: Any) -> Any:
        if frame.f_code.co_name == "<module>" and frame.f_globals is namespace:
            frame.f_trace_opcodes = False
            return each_line
        return None

    sys.settrace(each_call)
