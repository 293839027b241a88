"""Targets in the script itself: `__main__:function`, or by the name that the script has for who imports it.

`python -m pkg.tool` runs the module `pkg.tool` under the name `__main__`, and `python pkg/tool.py` one that others
import as `tool` or `pkg.tool`; whoever writes down a target writes that name.

The script never goes through an import, so nobody says when it has run, and it mostly calls its functions
before it ends. Its module-level code is watched line by line, by a trace function on that one frame, until
every target there has its name; then the watching stops. For wildcards it stops behind the last definition. While
the script imports a module, which may be all of the program, its thread is not traced: tracing makes Python slower by
half, whatever the trace function does. Where a debugger or a coverage tool already traces, or begins to, it is left
alone and the targets stay pending with that reason.

A program that runs another as the script (coverage, cProfile, IPython, `runpy.run_path`) makes a module of its own,
which is `__main__` from then on: the watching moves to that one's code, and to the code of every cell of a notebook.

A process that multiprocessing spawns runs the script again, under the name `__mp_main__`, and calls its functions
from there. `runpy` runs it, once the parent has said where it lies; from then on it is watched in the same way.
"""

from __future__ import annotations

import os
import sys

from .asking import own
from .callsite import SPAWNED_MAIN, is_import_machinery
from .errors import getframe
from .importing import Finder, Tracer, names_of_script, script_names

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import CodeType, FrameType, ModuleType
    from typing import Any

    from .bootstrap import Life
    from .targets import Target

MAIN = "__main__"
RUN_AGAIN = "another program ran its script, and may run it again: what a later run defines is seen a moment late"
TRACED = "another tool traces this process, and the script itself cannot be watched without tracing"
APART = "another program ran its script, in a namespace that is no module's"


def watch(life: Life) -> None:
    """Arm the targets of the script as its code defines them."""
    main = sys.modules.get(MAIN)
    if main is None:
        return
    if sys.gettrace() is not None:
        for name in (MAIN, *script_names()):
            _leave(life.wanted.exact.get(name, ()))
        return
    _Script(life, main).begin()


def watch_spawned(life: Life) -> None:
    """Arm the targets of the script that the parent runs, when this process comes to run it again."""

    def see(frame: FrameType) -> None:
        module = sys.modules.get(SPAWNED_MAIN)
        if frame.f_locals.get("mod_name") != SPAWNED_MAIN or module is None or sys.gettrace() is not None:
            return
        if vars(module) is frame.f_locals.get("run_globals"):
            _Script(life, module).begin()

    def arm(runpy: ModuleType) -> None:
        from .engines.prologue import Unavailable

        patcher = life.agent().patcher
        try:
            patcher.to_undo(patcher.in_place.watch(vars(runpy)["_run_code"], see))
        except Unavailable as why:
            life.agent().errors.add("mainscript", why)

    life.wanted.apart = MAIN  # which is multiprocessing's own until then, and a copy of the script's afterwards
    life.wanted.also_exactly("runpy", arm)


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
        self.moved = False
        """Whether it is a script now that the program runs, perhaps in many pieces."""
        self.found: set[str] = set()
        """What that script's pieces have defined by now."""
        self.apart = False
        """Whether the program has run a script that is not the module `__main__`, as cProfile does before 3.12."""
        self.trace: Any = self.each_call
        """The same object each time it is asked for, None when all is done."""

    def begin(self) -> None:
        """Trace this thread."""
        self.life.finder.tracer = self
        sys.settrace(self.trace)

    def pause(self) -> bool:
        """Whether it traced this thread; if so, it does no longer."""
        trace = sys.gettrace()
        if self.trace is None or trace is not self.trace:
            # an import that failed before its module's code began does not say that it is over
            return self.trace is not None and trace is None and self._imports(getframe(1))
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

    def awaits(self, target: Target) -> bool:
        """Whether it has yet to see this target defined. Asked in our thread."""
        return target in self.targets and target.qualname.partition(".")[0] in self.missing

    def _end(self) -> None:
        if sys.gettrace() is self.trace:
            sys.settrace(None)
        elif self.missing:
            _leave(target for target in self.targets if target.qualname.partition(".")[0] in self.missing)
        self.trace = self.life.finder.tracer = None

    def each_call(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        """The trace function until the script's own frame begins, which alone is traced by line."""
        if frame.f_code.co_name != "<module>":
            return None
        try:
            if frame.f_globals is not self.names and frame.f_globals.get("__name__") == MAIN:
                self._move(frame.f_globals)
            if frame.f_globals is self.names:
                self._look_up(frame.f_code)
                if self.missing or self.wildcards:
                    return self.each_line
                self._end()
        except Exception as error:  # noqa: BLE001 - the named seam between our watching and the host's script
            self._give_up(error)
        return None

    def _give_up(self, error: Exception) -> None:
        self.missing.clear()
        self.wildcards.clear()
        self._end()
        self.life.agent().errors.record("mainscript", error)

    def _move(self, names: dict[str, Any]) -> None:
        """The program runs another one as the script, whose global names these are."""
        main = sys.modules.get(MAIN)
        if main is not None and own(main, "__dict__") is names:
            self.main, self.names, self.moved = main, names, True
            self.found.clear()
        else:
            self.apart = True

    def _is_piece(self, frame: FrameType) -> bool:
        """Whether it is a piece of such a script, behind which others may come."""
        return self.moved and frame.f_globals is self.names

    def _look_up(self, code: CodeType) -> None:
        """What is wanted of this script. Its name is known by now."""
        spec = getattr(self.main, "__spec__", None)
        if spec is not None:
            names = [spec.name]
        elif self.main.__name__ == SPAWNED_MAIN:  # its path is absolute; the parent was told one from where it stood
            names = names_of_script(os.path.relpath(self.names["__file__"]))
        else:
            names = script_names()
        wanted = self.life.wanted
        self.targets = [target for name in (MAIN, *names) for target in wanted.exact.get(name, ()) if target.qualname]
        self.missing = {target.qualname.partition(".")[0] for target in self.targets} - self.found
        self.wildcards = [(name, target) for name in names[-1:] for target in wanted.wildcards(name)]
        self.wildcards += [(MAIN, target) for target in wanted.wildcards(MAIN) if target.module == MAIN]
        self.last_line = max((_last_line(part) for part in code.co_consts if _is_definition(part)), default=0)

    def each_line(self, frame: FrameType, event: str, _argument: Any) -> Any:
        """After each line of the script: arm what has its name by now."""
        try:
            for name in [name for name in self.missing if name in self.names]:
                self._arm(name)
                self.missing.discard(name)
                self.found.add(name)
            if self.wildcards and (frame.f_lineno > self.last_line or event == "return"):
                self._expand()
            if event == "return" and not self._is_piece(frame):
                self._miss(TRACED if sys.gettrace() is not self.trace else APART if self.apart else "")
        except Exception as error:  # noqa: BLE001 - the named seam between our watching and the host's script
            self._give_up(error)
        if not (self.missing or self.wildcards) or (event == "return" and not self._is_piece(frame)):
            self._end()
            return None
        return self.each_line

    def _miss(self, reason: str) -> None:
        """The script is over. Without a `reason` for which it was not seen, what it has not defined is not there."""
        for name in self.missing:
            if not reason:
                self._arm(name)
        if reason:
            patcher = self.life.agent().patcher
            for target in self.targets:
                if target.qualname.partition(".")[0] in self.missing:
                    patcher.decide(target, "pending", reason)

    def _arm(self, name: str) -> None:
        for target in self.targets:
            if target.qualname.partition(".")[0] == name:
                self.life.agent().patcher.arm(target, self.main, late=RUN_AGAIN if self.moved else "")

    def _expand(self) -> None:
        from .arming_wildcards import matching_names

        patcher, home = self.life.agent().patcher, self.main.__name__
        for module, wildcard in self.wildcards:
            for qualname in matching_names(self.main, home, wildcard.qualname) if wildcard.qualname else ():
                if f"{module}:{qualname}" not in patcher.by_ref:
                    patcher.arm(patcher.add(wildcard.child(f"{module}:{qualname}")), self.main)
        self.wildcards.clear()


def _is_definition(part: object) -> bool:
    """Whether a constant of the script's code is the body of a function or class of its own."""
    return isinstance(part, type(_is_definition.__code__)) and part.co_name.isidentifier()


def _last_line(code: CodeType) -> int:
    return max((line or 0 for _, _, line in code.co_lines()), default=code.co_firstlineno)
