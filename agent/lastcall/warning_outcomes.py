"""Whether a filter ignores a warning, so that nothing is left to be done once the use is counted.

`warnings.warn` finds that out by going through the filters, and that is most of what such a warning costs. It depends
on little: the filters up to the one that decides, the category, the name of the module that is blamed. Where all of
that is as it was when it was last looked at, a C function that takes any arguments and does nothing is called in the
place of Python's own.

That is done only where nobody can tell the difference:

- The call passes constants and names, so that no code of the host's runs between the look and the call, and what it
  returns is dropped. The category is one of Python's own: making an instance runs nothing of the host's either.
- The filters up to the deciding one are the same objects and such that matching runs nothing of the host's.
- The module that is blamed has its `__warningregistry__`, which the call would have made. Where the filters were
  changed and changed back, the call would also have cleared it; it is as good as cleared for whoever asks it next.
- No profiler is active that would see the other function called.
"""

from __future__ import annotations

import builtins
import sys
from _functools import partial  # type: ignore[import-not-found] # `functools` may not be there yet
from itertools import repeat

from . import hotpath

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType, ModuleType
    from typing import Any

    from .warning_calls import Call

NOTHING = "".format
"""A C function that takes any arguments and does nothing."""
CATEGORIES = (DeprecationWarning, PendingDeprecationWarning, FutureWarning)
MAX_FILTERS = 3
"""Filters that are looked at again each time."""
FIRST_WAIT, LONGEST_WAIT = 4, 64
"""Warnings after which it is judged what one comes to, and judged anew if that was no good."""
MAX_JUDGEMENTS = 16
"""Then it changes too often."""
PROFILER: Callable[[], str | None] | None = None
"""Says who has taken the number that `sys.monitoring` keeps for profilers."""
if sys.version_info >= (3, 12):
    PROFILER = partial(sys.monitoring.get_tool, sys.monitoring.PROFILER_ID)
_TOOLS = range(6)


class Outcome:
    """What the warning of one call site comes to."""

    __slots__ = ("category", "give_up", "judgements", "module", "name", "quiet", "text", "wait", "waited")

    def __init__(self, module: ModuleType, name: str, text: str, category: Any) -> None:
        self.module = module
        """`warnings`."""
        self.name = name
        """Of the category, among the globals; empty if it is one of the variables that are looked at."""
        self.text = text
        self.category = category
        self.quiet: tuple[Any, ...] | None = None
        """The conditions under which it is ignored."""
        self.give_up: Callable[[], None] = lambda: None
        self.judgements = 0
        self.waited = FIRST_WAIT
        self.wait: Iterator[None] = repeat(None, FIRST_WAIT)

    def judge(self, frame: FrameType, where: FrameType) -> None:
        """See whether the warning that `frame` is going to give, and that blames `where`, will be ignored."""
        self.waited = min(self.waited * 2, LONGEST_WAIT)
        self.wait = repeat(None, self.waited)
        self.quiet = None
        self.judgements += 1
        if self.judgements > MAX_JUDGEMENTS:
            self.give_up()
            return
        if sys.modules.get("warnings") is not self.module or _is_observed(frame):
            return
        blamed, own = where.f_globals, frame.f_globals
        holder = self._holder(own, frame)
        if type(blamed) is not dict or type(own) is not dict or holder is None:
            return
        registry, filters = blamed.get("__warningregistry__"), vars(self.module).get("filters")
        line = None if where is frame else where.f_lineno  # the line of the call may be another than that of the read
        found = _ignored_by(filters, self.text, self.category, blamed.get("__name__"), line)
        if type(registry) is not dict or found is None or len(found) > MAX_FILTERS:
            return
        named = next((blamed["__name__"] for item in found if item[3] is not None), None)
        padded = [*found, *[None] * (MAX_FILTERS - len(found))]
        self.quiet = (blamed, registry, named, filters, *padded, self.name or None, own, holder, self.category)

    def _holder(self, own: dict[str, Any], frame: FrameType) -> Any:
        """Where the category is found: in `own`, or in the builtins; or empty, if it is no global name's."""
        name, category, named = self.name, self.category, frame.f_builtins
        if not name:
            return ()
        if own.get(name) is category:
            return own
        found = name not in own and named is vars(builtins) and named.get(name) is category
        return named if found else None


def outcome_of(module: ModuleType, call: Call, text: Any, category: Any) -> Outcome | None:
    """What the warning of one call site comes to, None if that cannot be told before it is given."""
    if not _IS_UNDERSTOOD or not call.is_bare or category not in CATEGORIES or type(text) is not str:
        return None
    return Outcome(module, call.category, text, category)


_IS_UNDERSTOOD = (
    sys.implementation.name == "cpython"
    and (3, 11) <= sys.version_info < (3, 14)
    and getattr(sys, "_is_gil_enabled", lambda: True)()
)
"""Whether this is an interpreter whose `warnings.warn` is known to work as is described here."""


def _is_observed(frame: FrameType) -> bool:
    """Whether somebody is told of the C functions that are called."""
    if sys.getprofile() is not None:
        return True
    if sys.version_info < (3, 12):
        return False
    monitoring = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
    if monitoring._all_events():
        return True
    code, calls = frame.f_code, monitoring.events.CALL
    return any(
        monitoring.get_tool(tool) is not None and monitoring.get_local_events(tool, code) & calls
        for tool in _TOOLS
    )


def _is_plain(item: Any) -> bool:
    """Whether matching a warning with this filter runs nothing of the host's."""
    pattern = getattr(sys.modules.get("re"), "Pattern", str)
    if type(item) is not tuple or len(item) != len(("action", "message", "category", "module", "line")):
        return False
    action, message, category, module, line = item
    return (
        type(action) is str
        and type(message) in (type(None), str, pattern)
        and type(category) is type
        and type(module) in (type(None), str, pattern)
        and type(line) is int
    )


def _ignored_by(filters: Any, text: str, category: Any, module: Any, line: int | None) -> list[Any] | None:
    """The filters that are gone through for a warning, up to the one that ignores it; None if none does."""
    if type(filters) is not list or type(module) is not str:
        return None
    passed = []
    for item in filters:
        if not _is_plain(item):
            return None
        passed.append(item)
        action, words, kind, where, at = item
        if _matches(words, text) and issubclass(category, kind) and _matches(where, module):
            if at in {0, line}:
                return passed if action == "ignore" else None
            if line is None:
                return None
    return None


def _matches(pattern: Any, text: str) -> bool:
    if pattern is None:
        return True
    return bool(pattern == text if type(pattern) is str else pattern.match(text) is not None)


hotpath.skip_own_frames(globals())
