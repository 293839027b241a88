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
from itertools import repeat
from types import BuiltinFunctionType

from . import hotpath

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType, ModuleType
    from typing import Any

    from .warning_calls import Call

NOTHING = type.__prepare__
"""A C function that takes any arguments and does nothing: it makes an empty dict. It is called as Python's own is, with
no tuple or dictionary made of what is passed, which with `"".format` costs a quarter of what is saved."""
CATEGORIES = (DeprecationWarning, PendingDeprecationWarning, FutureWarning)
MAX_FILTERS = 3
"""Filters that are looked at again each time."""
FIRST_WAIT, LONGEST_WAIT = 4, 64
"""Warnings after which it is judged what one comes to, and judged anew if that was no good."""
MAX_JUDGEMENTS = 16
"""Then it changes too often."""
TOOLS: Callable[[int], str | None] | None = None
"""Says who has taken a number of `sys.monitoring`; 2 is the one kept for profilers."""
if sys.version_info >= (3, 12):
    TOOLS = sys.monitoring.get_tool
_TOOLS = range(6)


class Changes:
    """Whether the filters were changed since.

    `warnings` counts the changes, for all that it has shown may be shown again after one. The count cannot be read; but
    a registry that is handed to `warn_explicit` is told it, and each change goes through one C function. Once there
    is a warning that was shown before, that function lies in a wrapper that empties `marks`, in C.
    """

    __slots__ = ("_explicit", "_in_c", "_is_told", "_module", "_to_undo", "marks")

    def __init__(self, module: ModuleType, to_undo: Callable[[Callable[[], None]], None]) -> None:
        self._module = module
        self._in_c = sys.modules.get("_warnings")
        self._explicit: Any = getattr(self._in_c, "warn_explicit", None)
        self._to_undo = to_undo
        self._is_told: bool | None = None
        self.marks: list[object] = []
        """One object, until the filters are changed."""

    def mark(self, registry: dict[Any, Any]) -> object | None:
        """What is the first of `marks` until the next change, if there was none since `registry` was last used."""
        if self._is_told is None:
            self._is_told = self._watch()
        if not self._is_told:
            return None
        marks = self.marks
        if not marks:
            marks.append(object())
        mark = marks[:1]
        version = self._version()
        known = registry.get("version")
        return mark[0] if mark and type(known) is int and known == version else None

    def met(self, module: ModuleType) -> None:
        """There is a `_warnings`: if it is a second one, made for a test, it changes the filters and is not seen."""
        if module is not self._in_c:
            self._disable()

    def _disable(self) -> None:
        self._is_told = False
        self.marks.clear()

    def _watch(self) -> bool:
        """Have each change empty `marks`, if nobody holds the function that is called but where it can be replaced."""
        from .engines import wrapping

        name = "_filters_mutated_lock_held" if sys.version_info >= (3, 14) else "_filters_mutated"
        if not wrapping.IN_C or self._in_c is None or sys.modules.get("_warnings") is not self._in_c:
            return False
        holders = vars(self._module), vars(self._in_c)
        function, sample = holders[0].get(name), object()
        if type(function) is not BuiltinFunctionType or holders[1].get(name) is not function:
            return False
        samples = [{name: sample} for _ in holders]
        if len({*map(sys.getrefcount, (function, sample))}) > 1:
            return False
        del samples
        wrapper = wrapping.wrapper_of(function, wrapping.never_runs, self.marks.clear)
        for names in holders:
            names[name] = wrapper

        def undo() -> None:
            self._disable()
            for names in holders:
                if names.get(name) is wrapper:
                    names[name] = function

        self._to_undo(undo)
        return True

    def _version(self) -> int | None:
        """How many changes there were. Asked with a category that is none, which is an error at the first filter."""
        explicit = self._explicit
        filters = vars(self._module).get("filters")
        told: dict[str, int] = {}
        if type(explicit) is not BuiltinFunctionType or type(filters) is not list or not _is_plain(*filters[:1]):
            return None
        try:
            explicit([], len, "", 1, "", told)
        except TypeError:
            return told.get("version")
        return None


class Outcome:
    """What the warning of one call site comes to."""

    __slots__ = (
        "call", "category", "changes", "give_up", "judgements", "module", "name", "quiet", "text",
        "wait", "waited",
    )  # fmt: skip

    def __init__(self, module: ModuleType, changes: Changes, call: Call, text: str, category: Any) -> None:
        self.module = module
        """`warnings`."""
        self.changes = changes
        self.call = call
        self.name = call.category
        """Of the category, among the globals; empty if it is one of the variables that are looked at."""
        self.text = text
        self.category = category
        self.quiet: tuple[Any, ...] | None = None
        """The conditions under which nothing comes of it."""
        self.give_up: Callable[[], None] = lambda: None
        self.judgements = 0
        self.waited = FIRST_WAIT
        self.wait: Iterator[None] = repeat(None, FIRST_WAIT)

    def judge(self, frame: FrameType, where: FrameType) -> None:
        """See whether the warning that `frame` is going to give, and that blames `where`, will be shown."""
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
        named = self._named(own, frame)
        if type(blamed) is not dict or type(own) is not dict or named is None:
            return
        registry = blamed.get("__warningregistry__")
        if type(registry) is not dict:
            return
        # the line of the call may be another than that of the read
        line = self.call.line if where is frame else where.f_lineno
        key = self.text, self.category, line
        was_shown = line is not None and registry.get(key) is True
        if was_shown and where is frame:  # to look at all that would take longer than to give the warning
            self.give_up()
        elif was_shown and (shown := self._shown(registry, key)) is not None:
            self.quiet = (blamed, registry, named[0], *shown)
        elif (ignored := self._ignored(blamed, line)) is not None:
            self.quiet = (blamed, registry, named[0], None, *ignored)

    def _ignored(self, blamed: dict[str, Any], line: int | None) -> tuple[Any, ...] | None:
        """What stays as it is for as long as a filter ignores the warning."""
        filters = vars(self.module).get("filters")
        found = _ignored_by(filters, self.text, self.category, blamed.get("__name__"), line)
        if found is None or len(found) > MAX_FILTERS:
            return None
        module = next((blamed["__name__"] for item in found if item[3] is not None), None)
        padded: list[Any] = [*found, *[None] * (MAX_FILTERS - len(found))]
        first, second, third = padded
        return filters, first, None if module is second is None else (module, second, third)

    def _shown(self, registry: dict[Any, Any], key: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """What stays as it is for as long as the warning counts as shown before."""
        alike = (held for held in list(registry) if type(held) is tuple and held == key)
        key = next((held for held in alike if type(held[0]) is str), key)  # is found by what it is
        mark = self.changes.mark(registry)
        return None if mark is None else (mark, registry["version"], key, None)

    def _named(self, own: dict[str, Any], frame: FrameType) -> tuple[Any] | None:
        """In a tuple: (globals, name, category, where the name is found, where it must not be found); None if the
        category is no global name's."""
        name, category, builtin = self.name, self.category, frame.f_builtins
        if not name:
            return (None,)
        if own.get(name) is category:
            return ((own, name, category, own, ()),)
        found = name not in own and builtin is vars(builtins) and builtin.get(name) is category
        return ((own, name, category, builtin, own),) if found else None


def outcome_of(module: ModuleType, changes: Changes, call: Call, text: Any, category: Any) -> Outcome | None:
    """What the warning of one call site comes to, None if that cannot be told before it is given."""
    if not _IS_UNDERSTOOD or not call.is_bare or not any(category is one for one in CATEGORIES):
        return None
    if type(text) is not str:
        return None
    return Outcome(module, changes, call, text, category)


_IS_UNDERSTOOD = (
    sys.implementation.name == "cpython"
    and sys.version_info < (3, 15)
    and getattr(sys, "_is_gil_enabled", lambda: True)()
    and not getattr(sys.flags, "context_aware_warnings", False)
)
"""Whether this is an interpreter whose `warnings.warn` is known to work as is described here, with filters that are the
same in all contexts."""


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


def _is_plain(item: Any = None) -> bool:
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
