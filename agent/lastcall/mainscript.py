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

TRACED = "another tool traces this process, and the script itself cannot be watched without tracing"


def watch(life: Life) -> None:
    """Arm the targets of `__main__` as its code defines them."""
    main = sys.modules.get("__main__")
    if main is None:
        return
    if sys.gettrace() is not None:
        for target in life.wanted.exact["__main__"]:
            target.reason = TRACED
        return
    sys.settrace(_Script(life, main).each_call)


class _Script:
    """The script's targets, and which of their names are not there yet."""

    def __init__(self, life: Life, main: Any) -> None:
        self.life = life
        self.main = main
        self.names = vars(main)
        self.targets = life.wanted.exact["__main__"]
        self.missing = {target.qualname.partition(".")[0] for target in self.targets if target.qualname}

    def each_call(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        """The trace function until the script's own frame begins, which alone is traced by line."""
        if frame.f_code.co_name == "<module>" and frame.f_globals is self.names:
            return self.each_line
        return None

    def each_line(self, _frame: FrameType, event: str, _argument: Any) -> Any:
        """After each line of the script: arm what has its name by now."""
        try:
            for name in [name for name in self.missing if name in self.names]:
                self._arm(name)
                self.missing.discard(name)
        except Exception as error:  # noqa: BLE001 - the named seam between our watching and the host's script
            self.life.agent().errors.record("mainscript", error)
            self.missing.clear()
        if not self.missing or event == "return":
            sys.settrace(None)
            return None
        return self.each_line

    def _arm(self, name: str) -> None:
        for target in self.targets:
            if target.qualname.partition(".")[0] == name:
                self.life.agent().patcher.arm(target, self.main)
