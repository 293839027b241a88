"""What a target does besides being counted: `warn`, `raise`, or a `brownout`. `observe` does nothing more.

    [[target]]
    ref = "pkg.mod:old_factory"
    mode = "brownout"
    brownout = { share = 0.01, environments = ["staging"] }

A brownout is a rehearsal of the removal: a small share of calls raises what all will raise one day. It is
bounded twice. At most `share` of the calls are refused, and after each refusal the next one waits, a second
at first and twice as long every time, up to an hour; a day without a call starts it over. Callers on the
allow list are never refused. Runs in the host, so it imports next to nothing.
"""

from __future__ import annotations

import random
import time

from .config import shown
from .errors import native_lock

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    from .targets import Target

FIRST_WAIT = 1.0
LONGEST_WAIT = 3600.0
FORGOTTEN = 86_400.0
LARGEST_SHARE = 0.5
"""More than half of the calls is no rehearsal: that is what `raise` is for."""


class DeprecatedUseError(RuntimeError):
    """A call that a target's mode refused. `target` is its reference, `replacement` what to use instead."""

    def __init__(self, target: str, replacement: str, why: str) -> None:
        instead = f" Use {replacement} instead." if replacement else ""
        super().__init__(f"{target} is deprecated, and this call was refused ({why}).{instead}")
        self.target = target
        self.replacement = replacement


def advice(target: Target, environment: str) -> Warn | Refuse | None:
    """What has to run before the calls of a target; None if its mode asks for nothing here."""
    if target.mode == "warn":
        return Warn(target)
    if target.mode == "raise":
        return Refuse(target, lambda: True, "its mode is raise")
    settings = target.brownout or {}
    if target.mode != "brownout" or problem(settings) or environment not in settings["environments"]:
        return None
    share = float(settings["share"])
    return Refuse(target, Brownout(share), f"a brownout of {share:.2%} of the calls")


def problem(settings: Any) -> str:
    """What is wrong with a `brownout` table, empty if nothing is."""
    if not isinstance(settings, dict):
        instead = "" if settings is None else f", not {shown(settings)}"
        return f"mode = 'brownout' takes a table: brownout = {{ share = 0.01, environments = ['staging'] }}{instead}"
    unknown = sorted(settings.keys() - {"share", "environments"})
    if unknown:
        return f"unknown key {unknown[0]!r} in brownout; it takes share and environments"
    share = settings.get("share")
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share <= LARGEST_SHARE:
        return f"brownout needs a share of calls above 0 and at most {LARGEST_SHARE}, not {share!r}"
    names = settings.get("environments")
    if not isinstance(names, (list, tuple)) or not names or not all(isinstance(n, str) and n for n in names):
        return "brownout needs the environments that it may happen in: environments = ['staging']"
    return ""


class Warn:
    """Warns where the target is called, as its author could have."""

    def __init__(self, target: Target) -> None:
        instead = target.metadata.get("replacement", "")
        self.message = f"{target.ref} is deprecated" + (f"; use {instead}" if instead else "")

    def enter(self, frame: FrameType | None, _args: Any, _kwargs: Any) -> None:
        """Nothing to do within our guard: what a filter makes of the warning is the host's."""

    def leave(self, _entered: None, _result: Any, _error: BaseException | None) -> None:
        """Nothing to do."""

    def before(self, frame: FrameType | None) -> None:
        """Warn, blaming the caller's line. Raises what the host's filters make of the warning."""
        import warnings

        if frame is None:  # called from C with no Python frame below: in the words of `warnings.warn`
            warnings.warn_explicit(self.message, DeprecationWarning, "sys", 1, "sys", {})
            return
        module = frame.f_globals.get("__name__") or "<string>"
        registry = frame.f_globals.setdefault("__warningregistry__", {})
        warnings.warn_explicit(
            self.message, DeprecationWarning, frame.f_code.co_filename, frame.f_lineno, module, registry
        )


class Refuse:
    """Raises in place of the call, when `due()` says so."""

    def __init__(self, target: Target, due: Callable[[], bool], why: str) -> None:
        self.target = target
        self.due = due
        self.why = why

    def enter(self, frame: FrameType | None, _args: Any, _kwargs: Any) -> None:
        """Nothing to do within our guard."""

    def leave(self, _entered: None, _result: Any, _error: BaseException | None) -> None:
        """Nothing to do."""

    def before(self, frame: FrameType | None) -> None:
        """Raise DeprecatedUseError if this call is refused."""
        module = str(frame.f_globals.get("__name__", "")) if frame is not None else ""
        code = frame.f_code if frame is not None else None
        name = getattr(code, "co_qualname", getattr(code, "co_name", ""))  # before 3.11: the bare name
        if self.target.allowed_reason(module, name, time.time_ns()) is None and self.due():
            raise DeprecatedUseError(self.target.ref, self.target.metadata.get("replacement", ""), self.why)


class Brownout:
    """Says of each call whether it is one of the few. Safe under threads."""

    def __init__(
        self,
        share: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.share = share
        self._clock = clock
        self._chance = chance
        self._lock = native_lock()
        self._calls = 0
        self._refused = 0
        self._wait = FIRST_WAIT
        self._next = clock()
        self._last_call = self._next

    def __call__(self) -> bool:
        """Whether to refuse this call."""
        with self._lock:
            now = self._clock()
            if now - self._last_call > FORGOTTEN:
                self._wait, self._calls, self._refused = FIRST_WAIT, 0, 0
            self._last_call = now
            self._calls += 1
            # The share holds for every stretch from the start, not only on average.
            if now < self._next or self._refused + 1 > self.share * self._calls:
                return False
            if self._chance() >= 2 * self.share:  # spread: not always the same caller's turn
                return False
            self._refused += 1
            self._next = now + self._wait
            self._wait = min(2 * self._wait, LONGEST_WAIT)
            return True
