"""Targets in the script itself: `__main__:function`, or by the name that the script has for who imports it.

`python -m pkg.tool` runs the module `pkg.tool` under the name `__main__`, and `python pkg/tool.py` one that others
import as `tool` or `pkg.tool`; whoever writes down a target writes that name.

The script never goes through an import, so nobody says when it has run, and it mostly calls its functions
before it ends. Its module-level code is watched line by line, by a trace function on that one frame, until
every target there has its name; then the watching stops. For wildcards it stops behind the last definition. While
the script imports a module, which may be all of the program, its thread is not traced: tracing makes Python slower by
half, whatever the trace function does. Where a debugger or a coverage tool already traces, or begins to, it is left
alone and the targets stay pending with that reason.
"""

from __future__ import annotations

import sys

from .callsite import is_import_machinery
from .importing import Finder, Tracer, script_names

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import CodeType, FrameType
    from typing import Any

    from .bootstrap import Life
    from .targets import Target

MAIN = "__main__"
TRACED = "another tool traces this process, and the script itself cannot be watched without tracing"


def watch(life: Life) -> None:
    """Arm the targets of the script as its code defines them."""
    main = sys.modules.get(MAIN)
    if main is None:
        return
    if sys.gettrace() is not None:
        for name in (MAIN, *script_names()):
            _leave(life.wanted.exact.get(name, ()))
        return
    script = life.finder.tracer = _Script(life, main)
    sys.settrace(script.trace)


def _leave(targets: Iterable[Target]) -> None:
    for target in targets:
        target.reason = TRACED


class _Script(Tracer):
    """The script's targets, and which of their names are not there yet."""

    def __init__(self, life: Life, main: Any) -> None:
        self.life = life
        self.main = main
        self.names = vars(main)
        self.targets: list[Target] = []
        self.wildcards: list[tuple[str, Target]] = []
        self.missing: set[str] = set()
        self.last_line = 0
        self.trace: Any = self.each_call
        """The same object each time it is asked for, None when all is done."""

    def pause(self) -> bool:
        """Whether it traced this thread; if so, it does no longer."""
        trace = sys.gettrace()
        if self.trace is None or trace is not self.trace:
            # an import that failed before its module's code began does not say that it is over
            return self.trace is not None and trace is None and self._imports(sys._getframe(1))
        sys.settrace(None)
        return True

    def _imports(self, frame: FrameType | None) -> bool:
        """Whether it is the script's own import statement that `frame` works for."""
        ours = Finder.__module__
        while frame is not None and (frame.f_globals.get("__name__") == ours or is_import_machinery(frame)):
            frame = frame.f_back
        return frame is not None and frame.f_globals is self.names

    def resume(self) -> None:
        """Trace again, unless another tool has begun to."""
        trace = sys.gettrace()
        if trace is None:
            sys.settrace(self.trace)
        elif trace is not self.trace:
            self._end()

    def _end(self) -> None:
        if sys.gettrace() is self.trace:
            sys.settrace(None)
        elif self.missing:
            _leave(target for target in self.targets if target.qualname.partition(".")[0] in self.missing)
        self.trace = self.life.finder.tracer = None

    def each_call(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        """The trace function until the script's own frame begins, which alone is traced by line."""
        if frame.f_code.co_name == "<module>" and frame.f_globals is self.names:
            self._look_up(frame.f_code)
            if self.missing or self.wildcards:
                return self.each_line
            self._end()
        return None

    def _look_up(self, code: CodeType) -> None:
        """What is wanted of this script. Its name is known by now."""
        spec = getattr(self.main, "__spec__", None)
        names = script_names() if spec is None else (spec.name,)
        wanted = self.life.wanted
        for name in (MAIN, *names):
            self.targets.extend(target for target in wanted.exact.get(name, ()) if target.qualname)
        self.missing = {target.qualname.partition(".")[0] for target in self.targets}
        self.wildcards = [(name, target) for name in names[-1:] for target in wanted.wildcards(name)]
        self.last_line = max((_last_line(part) for part in code.co_consts if _is_definition(part)), default=0)

    def each_line(self, frame: FrameType, event: str, _argument: Any) -> Any:
        """After each line of the script: arm what has its name by now."""
        try:
            for name in [name for name in self.missing if name in self.names]:
                self._arm(name)
                self.missing.discard(name)
            if self.wildcards and (frame.f_lineno > self.last_line or event == "return"):
                self._expand()
            if event == "return":
                for name in self.missing:  # it says that there is none
                    self._arm(name)
        except Exception as error:  # noqa: BLE001 - the named seam between our watching and the host's script
            self.life.agent().errors.record("mainscript", error)
            self.missing.clear()
            self.wildcards.clear()
        if not (self.missing or self.wildcards) or event == "return":
            self._end()
            return None
        return self.each_line

    def _arm(self, name: str) -> None:
        for target in self.targets:
            if target.qualname.partition(".")[0] == name:
                self.life.agent().patcher.arm(target, self.main)

    def _expand(self) -> None:
        from .arming_wildcards import matching_names

        patcher = self.life.agent().patcher
        for module, wildcard in self.wildcards:
            for qualname in matching_names(self.main, MAIN, wildcard.qualname) if wildcard.qualname else ():
                if f"{module}:{qualname}" not in patcher.by_ref:
                    patcher.arm(patcher.add(wildcard.child(f"{module}:{qualname}")), self.main)
        self.wildcards.clear()


def _is_definition(part: object) -> bool:
    """Whether a constant of the script's code is the body of a function or class of its own."""
    return isinstance(part, type(_is_definition.__code__)) and part.co_name.isidentifier()


def _last_line(code: CodeType) -> int:
    return max((line or 0 for _, _, line in code.co_lines()), default=code.co_firstlineno)
