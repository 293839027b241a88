"""Log records that say "deprecated" as uses: much real code warns with `logger.warning` and no category.

A function that runs once for each record that is really logged is watched in place: `logging.Logger.handle`, and
in loguru the making of the record's level. No frame and no handler is added, and a call that is switched off
by its level costs nothing. The record's template is looked at, never its arguments. The use is one of the function
that logged, made by *its* caller; none where the same call is counted for its warning (see `warned_beside`).
"""

from __future__ import annotations

import sys

from .hotpath import site_key
from .importing import is_unfinished
from .named import reference_of
from .targets import FOUND, Target
from .warning_words import masked

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType, ModuleType
    from typing import Any

    from .agent import Agent
    from .sites import Tap
    from .warnings_seen import WarningsSeen

MAX_TAPS = 5_000
MAX_STATEMENTS = 20_000
"""Log statements that are known; their code stays alive with them."""


def install(agent: Agent, words: tuple[str, ...], warnings: WarningsSeen | None) -> None:
    """Count log records whose message holds one of `words` (any case), from `logging` and from loguru."""
    seen = LogsSeen(agent, words, warnings)
    for module, arm in (("logging", seen.arm_logging), ("loguru._recattrs", seen.arm_loguru)):
        agent.patcher.wanted.also_exactly(module, arm)
        if module in sys.modules and not is_unfinished(sys.modules[module]):
            arm(sys.modules[module])


class LogsSeen:
    """Counts the telling log records of one process."""

    def __init__(self, agent: Agent, words: tuple[str, ...], warnings: WarningsSeen | None) -> None:
        self.agent = agent
        self.recorder = agent.recorder
        self.words = tuple(word.lower() for word in words)
        self.taps: dict[tuple[int, str], Callable[[FrameType | None], None]] = {}
        self._watched: list[Any] = []
        """Functions; a module that was there before us is met twice, by `install`, and by who looks for such."""
        self._said: dict[str, str] = {}
        """By message: what of it is kept, nothing if it says none of the words."""
        self._warnings = warnings
        self._warned: dict[Any, tuple[bool, CodeType]] = {}
        """By log statement: whether the same call is counted for its warning."""

    def arm_logging(self, module: ModuleType) -> None:
        """Watch the standard library's logging."""

        def see(frame: FrameType) -> None:
            self._look(getattr(frame.f_locals.get("record"), "msg", None), frame)

        self._watch(vars(module)["Logger"].handle, see)

    def arm_loguru(self, module: ModuleType) -> None:
        """Watch loguru."""

        def see(frame: FrameType) -> None:
            logger = frame.f_back  # `Logger._log`, past every reason not to log
            if logger is not None and logger.f_code.co_name == "_log":
                self._look(logger.f_locals.get("message"), logger)

        self._watch(vars(module)["RecordLevel"].__init__, see)

    def _look(self, message: Any, frame: FrameType) -> None:
        if type(message) is str and (note := self._note_of(message)):
            self._count(note, frame, frame.f_globals)

    def _watch(self, function: Any, see: Callable[[FrameType], None]) -> None:
        from .engines.prologue import Unavailable

        if any(known is function for known in self._watched):
            return
        self._watched.append(function)
        try:
            self.agent.patcher.to_undo(self.agent.patcher.in_place.watch(function, see))
        except Unavailable as why:
            self.agent.errors.add("logs-seen", why)

    def _note_of(self, message: str) -> str:
        known = self._said.get(message)
        if known is None:
            lowered = message.lower()
            known = masked(message) if any(word in lowered for word in self.words) else ""
            if len(self._said) < MAX_TAPS:
                self._said[message] = known
        return known

    def _count(self, note: str, frame: FrameType, home: dict[str, Any]) -> None:
        logged: FrameType | None = frame
        while logged is not None and logged.f_globals is home:
            logged = logged.f_back
        if logged is None or _shows_a_warning(logged) or _shows_a_warning(logged.f_back):
            return
        ref = reference_of(logged)
        known = self.agent.patcher.by_ref.get(ref)
        if (
            known is not None
            and known.source not in FOUND
            and known.state in ("armed", "partial")
        ):
            return  # its calls are counted as calls
        if self._warnings is not None and self._is_warned(logged, self._warnings):
            return
        count = self.taps.get((id(logged.f_code), note))
        if count is None:
            tap = self._tap(known, ref, note, logged)
            if tap is None:
                return
            count = self.taps[id(logged.f_code), note] = self.recorder.hooks.frame_callback(tap)
        count(logged if logged.f_code.co_name == "<module>" else logged.f_back)

    def _is_warned(self, logged: FrameType, warnings: WarningsSeen) -> bool:
        key = site_key(logged)
        known = self._warned.get(key)
        if known is None:
            from .warned_beside import warned_beside  # parses source: once for each log statement

            known = warned_beside(logged, warnings.wrapper, warnings.wants), logged.f_code
            if len(self._warned) < MAX_STATEMENTS:
                self._warned[key] = known
        return known[0]

    def _tap(self, target: Target | None, ref: str, note: str, logged: FrameType) -> Tap | None:
        if len(self.taps) >= MAX_TAPS:
            self.recorder.drop("log-limit")
            return None
        if target is None:
            target = Target(ref, metadata={"note": note}, source="log")
            target.defined_at(logged.f_code.co_filename, logged.f_code.co_firstlineno)
            target.engine = "logs"
            self.agent.patcher.by_ref[ref] = target
            self.agent.patcher.decide(target, "armed", "")
        tap = self.recorder.tap(target, "warning")
        tap.note = note
        target.own_codes += (logged.f_code,)
        return tap


def _shows_a_warning(frame: FrameType | None) -> bool:
    """Whether `frame` has a warning shown: what that logs (`logging.captureWarnings`, a host's own `showwarning`) is no
    statement of anybody's, and the warning was counted where it was given."""
    return (
        frame is not None
        and frame.f_code.co_name == "_showwarnmsg"
        and frame.f_globals.get("__name__") in ("warnings", "_py_warnings")
    )
