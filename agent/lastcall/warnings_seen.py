"""Deprecation warnings as uses, seen before the filters and the once-per-location registry.

`warnings.warn` gets a wrapper whose hook looks at the calling instruction: the category, the `stacklevel` and
the message are there as constants or names, and are read from the frame without running anything (see
`warning_calls`). The original is then called by C, so what the host prints, raises and counts as "already
shown" stays as it was. Only where the arguments cannot be read that way (`*args`, a computed category, no
source) is the call made from a frame of ours, with `stacklevel` one higher.

What an instruction passes is decided once and kept as a function that looks only at what may change: for most,
whether the category is wanted and who called. The one that warns must pay less for it than for the warning.

Warnings that C code raises by itself (`PyErr_WarnEx`) never pass here; `warnings.warn_explicit` has its own
module, `warned_explicitly`.
"""

from __future__ import annotations

import sys

from . import hotpath
from .asking import LAZY
from .callsite import glob_match
from .errors import getframe
from .named import function_in, may_hold, may_wrap, reference_to, stands_for, wrapped_by
from .stacklevel import among_importers, as_c_takes, called_through, is_internal, is_skipped, warned_about
from .targets import FOUND, Target
from .warning_looked import MAX_MESSAGES, Looked
from .warning_outcomes import Changes, outcome_of
from .warning_reads import (
    CALLER,
    CALLS,
    COUNTED_AS_CALLS,
    HELPER,
    LOOKED_UP,
    NOT_WANTED,
    OWN_LINE,
    Reads,
)
from .warning_words import category_of, masked, text_of

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import CodeType, FrameType, ModuleType
    from typing import Any

    from .agent import Agent
    from .sites import Counters, Tap
    from .warning_calls import Call
    from .warning_reads import Look

MAX_INSTRUCTIONS = 20_000
"""Instructions whose arguments are kept; their code stays alive with them."""
HELPERS_LEVEL = 3
"""The `stacklevel` of a function that warns for its caller."""


class Warned:
    """One message of one deprecated callable: the target, and how a use is counted."""

    __slots__ = ("_count", "held", "note", "seen", "tap", "target")

    def __init__(self, seen: WarningsSeen, target: Target, note: str, held: tuple[Any, ...]) -> None:
        self.seen = seen
        self.target = target
        self.note = note
        self.held = held
        """What the key of this entry names by id, kept alive so that the id stays its own."""
        self.tap: Tap | None = None
        self._count: Callable[[FrameType | None], None] | None = None

    @property
    def is_found(self) -> bool:
        """Whether nobody listed its target: the warning, or a log record, is how it became known."""
        return self.target.source in FOUND

    def count(self, where: FrameType | None) -> None:
        """A use from `where`, unless the call itself was counted a moment ago as one of an armed target."""
        if not self.is_found and self.target.state in COUNTED_AS_CALLS:
            return
        if self._count is None:
            self.tap = self.seen.tap(self.target, self.note)
            self._count = self.seen.recorder.hooks.frame_callback(self.tap)
        self._count(where)


def install(agent: Agent, categories: tuple[str, ...]) -> WarningsSeen:
    """Count deprecation warnings of these categories (class names, `*` allowed, subclasses included)."""
    # Now, while no module of the host's is half imported: `threading` and `logging` import `warnings`, whose arming
    # would import wrapt, which without its C extension needs the two of them whole.
    from .engines import wrapping  # noqa: F401

    seen = WarningsSeen(agent, categories)
    patcher = agent.patcher
    patcher.wanted.also_exactly("warnings", seen.arm)
    if "warnings" in sys.modules:
        seen.arm(sys.modules["warnings"])
    return seen


class WarningsSeen:
    """Counts the warnings of one process."""

    def __init__(self, agent: Agent, categories: tuple[str, ...]) -> None:
        self.agent = agent
        self.recorder = agent.recorder
        self.categories = categories
        self.looks: dict[Any, Look] = {}
        """By instruction: looks at a frame that is about to warn; True if it wants to see the call itself."""
        self.counted: dict[Any, tuple[int | None, Any]] = {}
        """By instruction: None, and how it is looked at. If its words and level are constants and it was counted: the
        level, and the counters of the one entry that can be meant, with a helper's level by the code it helped."""
        self.warned: dict[tuple[int, str, int], Warned] = {}
        self.reads: Reads | None = None
        """What is known of the instructions that read `warnings.warn` to call it at once."""
        self.calls: Reads | None = None
        """The same of those that call it by a name of its own."""
        self.by_category: dict[Any, bool] = {}
        self.templates: dict[Any, str | None] = {}
        """By instruction whose calls go through a frame of ours: the constant words of its message."""
        self.masks: dict[str, str] = {}
        self.holding: dict[int, str] = {}
        """By code: the variable that holds what a decorator's wrapper stands for, empty if it is no such wrapper."""
        self.outside: set[tuple[int, int]] = set()
        """Wrappers that warned by themselves, and not by what they stand for: the code of each, and what it wraps."""
        self.kept: list[CodeType] = []
        """Code whose id is a key above: alive, so that the id stays its own."""
        self.wrapper: Any = None
        self.module: ModuleType | None = None
        self.original: Any = None

    def arm(self, module: ModuleType) -> None:
        """Wrap `warnings.warn` and put the wrapper wherever `warn` was imported by name already."""
        from . import warned_explicitly
        from .engines import names as named_reads
        from .engines import wrapping

        names = vars(module)
        if type(names.get("warn")) is LAZY:
            _ = module.warn
        original = names.get("warn")
        if original is None or wrapping.is_wrapper(original):  # a module of the host's that stands in for `warnings`
            return
        if module is self.module and original is not self.original:
            return  # our thread meets it again, and the host has another function there for a while
        self.module, self.original = module, original
        kind = wrapping.a_kind_for(original)
        wrapper = self.wrapper = kind(original, self._with_frame, enabled=self._hook())
        to_undo = self.agent.patcher.to_undo
        changes = Changes(module, to_undo)
        self.put_everywhere(module, "warn", original, wrapper)
        warned_explicitly.arm(self, module)
        self.agent.patcher.wanted.also_exactly("_warnings", changes.met)
        known = module, original, wrapper, self.recorder, self._see_call, changes
        reads = self.reads = Reads(*known)

        def begin() -> None:
            to_undo(named_reads.put(module, "warn", reads.property()))

        if wrapping.IN_C:  # a program that never warns reads what is in `warnings` as fast as without us
            self.calls = Reads(*known, wrapping.call_of(wrapper))
            kind.__call__ = self.calls.property()
            reads.begin = begin
            to_undo(lambda: setattr(reads, "begin", None))
        else:
            begin()

    def put_everywhere(self, module: ModuleType, name: str, original: Any, wrapper: Any) -> None:
        """Have `wrapper` in `module` and wherever `original` was imported by its own name."""
        holders = [vars(module)] + [
            vars(m)
            for m in list(sys.modules.values())
            if type(m).__name__ == "module" and vars(m).get(name) is original
        ]
        for holder in holders:
            holder[name] = wrapper

        def undo() -> None:
            for holder in holders:
                if holder.get(name) is wrapper:
                    holder[name] = original

        self.agent.patcher.to_undo(undo)

    # -- at each warning ----------------------------------------------------------------------------

    def wants(self, category: Any) -> bool:
        """Whether warnings of this category are counted."""
        try:
            known = self.by_category.get(category)
        except TypeError:  # what cannot be in a registry either
            return False
        return self._wanted(category) if known is None else known

    def _hook(self) -> Callable[[], bool]:  # noqa: C901 - the same twice, as in `hotpath`
        """wrapt's `enabled=` hook: counts, or asks for the frame that sees the arguments."""
        counted, errors, recorder = self.counted, self.recorder.errors, self.recorder
        look_at = self._look_at

        if sys.version_info >= (3, 11):

            def hook() -> bool:
                try:
                    frame: Any = getframe(1)
                    level, found = counted[id(frame.f_code) + frame.f_lasti]
                    if level is None:
                        return found(frame, frame.f_back) is True
                    where = frame.f_back if level > 1 else frame
                    if level == 3:  # noqa: PLR2004 - `HELPERS_LEVEL`
                        found, where = found[id(where.f_code)], where.f_back
                    slot, uses = found[id(where.f_code) + where.f_lasti]
                    table = recorder.table
                    for table[slot] in uses:  # as in `hotpath`, and for its reason
                        break
                except (KeyError, AttributeError, ValueError) as error:  # a new instruction or call site, or no caller
                    hotpath.raise_if_hosts(error)
                except Exception as error:  # noqa: BLE001 - the named seam between our looking and the host's warning
                    hotpath.record_unless_hosts(errors, "warning", error)
                else:
                    return False
                return look_at(hotpath.frame_below(1))

        else:

            def hook() -> bool:
                try:
                    frame: Any = getframe(1)
                    level, found = counted[id(frame.f_code), frame.f_lasti]
                    if level is None:
                        return found(frame, frame.f_back) is True
                    where = frame.f_back if level > 1 else frame
                    if level == 3:  # noqa: PLR2004 - `HELPERS_LEVEL`
                        found, where = found[id(where.f_code)], where.f_back
                    slot, uses = found[id(where.f_code), where.f_lasti]
                    table = recorder.table
                    for table[slot] in uses:
                        break
                except (KeyError, AttributeError, ValueError) as error:
                    hotpath.raise_if_hosts(error)
                except Exception as error:  # noqa: BLE001 - the named seam between our looking and the host's warning
                    hotpath.record_unless_hosts(errors, "warning", error)
                else:
                    return False
                return look_at(hotpath.frame_below(1))

        return hook

    def _look_at(self, frame: FrameType | None) -> bool:
        """Count what `frame` is warning of; whether the call itself has to be seen for that."""
        if hotpath.behind_wrapt or frame is None:  # wrapt's own frames, which only `_with_frame` can make up for
            return True
        try:
            look = self.looks.get(hotpath.site_key(frame)) or self._learn(frame)
            return look(frame, frame.f_back) is True
        except Exception as error:  # noqa: BLE001 - the named seam between our looking and the host's warning
            hotpath.record_unless_hosts(self.recorder.errors, "warning", error)
        return False

    def _remember(self, call: Call, frame: FrameType, entry: Warned | None) -> None:
        """Have the next read of `warnings.warn` for this call count by itself, if what it means cannot change."""
        if (reads := self.reads_of(call)) is None:
            return
        if entry is None:
            reads.put(call, NOT_WANTED, None)
            return
        if not entry.is_found:  # a target of the configuration's: warnings count until it is armed
            if call.level != HELPERS_LEVEL and entry.target.state in COUNTED_AS_CALLS:
                reads.put(call, CALLS, entry.target)
            return
        if entry.tap is None or (call.level or 0) > HELPERS_LEVEL:
            return
        counters, back = entry.tap.counters, frame.f_back
        text = call.template if call.is_worded else None
        outcome = outcome_of(reads.module, reads.changes, call, text, frame.f_globals.get(call.category, call.builtin))
        if call.level == HELPERS_LEVEL:
            where = None if back is None else back.f_back
            if back is not None and where is not None and not may_wrap(back.f_code) and not is_internal(back):
                reads.put_caller(call, HELPER, counters, outcome, back, where)
        elif call.level == HELPERS_LEVEL - 1:
            if back is not None:
                reads.put_caller(call, CALLER, counters, outcome, back)
        else:
            reads.put_caller(call, OWN_LINE, counters, outcome, frame)

    def reads_of(self, call: Call) -> Reads | None:
        """Where it is kept what is known of a call."""
        return self.reads if call.read_at >= 0 else self.calls

    def _learn(self, frame: FrameType) -> Look:
        from .warning_calls import read  # parses source: only for a program that warns

        look: Look
        call = read(frame, self.wrapper)
        if call is None:
            look = _want_the_call
        elif call.is_plain and not may_wrap(frame.f_code):
            look = self._plain(call)
        else:
            look = Looked(self, call).look
            if (reads := self.reads_of(call)) is not None and call.is_read_there:
                reads.put(call, LOOKED_UP, look)
        if len(self.looks) < MAX_INSTRUCTIONS:
            site = hotpath.site_key(frame)
            self.looks[site] = look
            self.counted[site] = None, look
            self.kept.append(frame.f_code)
        return look

    def _plain(self, call: Call) -> Look:
        """For constant words and level: what has to be looked up is the category, and who called."""
        name, fallback, level, text = call.category, call.builtin, call.level, call.template or ""
        wanted, count, remember, count_at_once = self.by_category, self.count, self._remember, self._count_at_once

        def look(frame: FrameType, back: FrameType | None) -> None:
            category = frame.f_globals.get(name, fallback)
            try:
                unwanted = wanted.get(category) is False
            except TypeError:  # C refuses it
                return
            if unwanted:
                remember(call, frame, None)
                return
            entry = count(text, category, level, (), frame, None)
            if entry is not None:
                remember(call, frame, entry)
                if entry.is_found and entry.tap is not None:
                    count_at_once(frame, back, level or 0, entry.tap.counters)

        return look

    def _count_at_once(self, frame: FrameType, back: FrameType | None, level: int, counters: Counters) -> None:
        """Have the hook count the next warning of the same instruction: for callers by name, and before 3.11."""
        site = hotpath.site_key(frame)
        if site not in self.looks or level > HELPERS_LEVEL:  # nothing keeps its code; or who is meant is further out
            return
        if level != HELPERS_LEVEL:
            self.counted[site] = level, counters
        elif back is not None and not may_wrap(back.f_code) and not is_internal(back):
            before, helped = self.counted[site]
            if before is None:
                helped = {}
                self.counted[site] = level, helped
            helped[id(back.f_code)] = counters  # whose code the entry keeps

    def _template(self, frame: FrameType) -> str | None:
        """The constant words of the call that `frame` is making, None if it is not written out there."""
        from .warning_calls import read

        key = hotpath.site_key(frame)
        if key not in self.templates:
            call = read(frame, self.wrapper)
            if len(self.templates) >= MAX_INSTRUCTIONS:
                return call.template if call is not None else None
            self.templates[key] = call.template if call is not None else None
            self.kept.append(frame.f_code)
        return self.templates[key]

    def words(self, message: Any, template: str | None) -> str:
        """What is kept of a message: the constant words of its call where they are known."""
        return self._masked(message) if template is None else template

    def _with_frame(self, wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        given = args[2] if len(args) > 2 else kwargs.get("stacklevel", 1)  # noqa: PLR2004 - its place
        prefixes = kwargs.get("skip_file_prefixes", ())
        level = as_c_takes(given, prefixes)
        if level is None:  # an error of the host's, which it gets
            return wrapped(*args, **kwargs)
        lowest = 2 if prefixes else 1
        ours, skipped, call, frame = 1, 0, wrapped, None
        try:
            frame = hotpath.caller_behind_wrapt(hotpath.frame_below(1))
            while (below := hotpath.frame_below(ours)) is not frame:
                ours += 1
                skipped += below is not None and is_skipped(below, prefixes)
            skipped += frame is not None and is_skipped(frame, prefixes)
            self._see_call(frame, args, kwargs)
        except Exception as error:  # noqa: BLE001 - the named seam between our looking and the host's warning
            hotpath.record_unless_hosts(self.recorder.errors, "warning", error)
        if frame is not None and is_internal(frame):
            call, ours, skipped = among_importers(wrapped), ours + 1, 0
        level = min(max(level, lowest) + ours - skipped, sys.maxsize)
        if len(args) < len(("message", "category", "stacklevel")):
            return call(*args, **{**kwargs, "stacklevel": level})
        return call(*args[:2], level, *args[3:], **kwargs)

    def _see_call(self, frame: FrameType | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Count the warning that `frame` gives with these arguments; None if C gives it, with no function running."""
        from .warning_calls import POSITIONAL

        values = dict(zip(POSITIONAL, args, strict=False)) | kwargs
        if "message" not in values or len(args) > len(POSITIONAL):
            return  # an error of the host's
        message = values["message"]
        category = category_of(message, values.get("category"))
        if frame is None:  # there is nothing to name that would be deprecated
            if self.wants(category):
                self.recorder.drop("warning-without-frame")
            return
        words = self.words(message, self._template(frame))
        self.count(words, category, values.get("stacklevel", 1), values.get("skip_file_prefixes", ()), frame, None)

    def count(  # noqa: PLR0917 - positional, for it is called at each warning
        self,
        text: str,
        category: Any,
        level: Any,
        prefixes: Any,
        frame: FrameType,
        names: Mapping[str, Any] | None,
    ) -> Warned | None:
        """Count one warning; the entry that it went to, None if it is not wanted or has no caller.

        `names` are the locals of `frame` where they are known already: getting them costs.
        """
        if not self.wants(category):
            return None
        where: FrameType | None
        # a float that equals 2 is refused by C
        if type(level) is int and level == 2 and not prefixes and "importlib" not in frame.f_code.co_filename:  # noqa: PLR2004 - most of them
            where, deprecated = frame.f_back, frame
            if where is not None and "importlib" in where.f_code.co_filename:
                where, deprecated = warned_about(frame, level, ())
        else:
            level = as_c_takes(level, prefixes)
            if level is None:
                return None
            where, deprecated = warned_about(frame, max(level, 2) if prefixes else level, prefixes)
            if deprecated is not where and self.wrapped(deprecated, None) is None:
                deprecated = called_through(deprecated, frame, self.recorder.attribution.kind_of)
        wrapped = self.wrapped(deprecated, names if deprecated is frame else None)
        entry = self.warned.get((id(deprecated.f_code), text, id(wrapped)))
        if entry is None:
            entry = self._enter(deprecated, wrapped, text, category)
            if entry is not None and wrapped is not None and not _called_by(deprecated, frame, wrapped):
                self.outside.add((id(deprecated.f_code), id(wrapped)))
        if entry is None or (where is not deprecated and where and self._warned_outside(where, entry.target)):
            return None
        entry.count(where)
        return entry

    def _warned_outside(self, where: FrameType, target: Target) -> bool:
        """Whether the warning blames a decorator's wrapper around the same function, which has warned by itself."""
        if not self.holding.get(id(where.f_code)):
            return False
        wrapped = self.wrapped(where, None)
        return (id(where.f_code), id(wrapped)) in self.outside and reference_to(where, wrapped) == target.ref

    def wrapped(self, frame: FrameType, names: Mapping[str, Any] | None) -> Any:
        """What a decorator's wrapper stands for. Which of its variables holds it is looked for once."""
        code = frame.f_code
        name = self.holding.get(id(code))
        if name == "":
            return None
        if name is not None:
            value = (frame.f_locals if names is None else names).get(name)
            return value if stands_for(value, frame) else None
        value = wrapped_by(frame)
        if len(self.holding) < MAX_INSTRUCTIONS and (value is not None or not may_hold(frame)):
            self.kept.append(code)
            self.holding[id(code)] = "" if value is None else _name_of(value, frame)
        return value

    def _wanted(self, category: Any) -> bool:
        kind = UserWarning if category is None else category
        names = [cls.__name__ for cls in kind.__mro__] if isinstance(kind, type) else []
        known = any(glob_match(pattern, name) for pattern in self.categories for name in names)
        self.by_category[category] = known
        return known

    def _masked(self, message: Any) -> str:
        text = message if type(message) is str else text_of(message)
        known = self.masks.get(text)
        if known is None:
            known = masked(text)
            if len(self.masks) < MAX_MESSAGES:
                self.masks[text] = known
        return known

    # -- at the first sight of a message ------------------------------------------------------------

    def _enter(self, deprecated: FrameType, wrapped: Any, text: str, category: Any) -> Warned | None:
        if len(self.warned) >= MAX_MESSAGES:
            self.recorder.drop("warning-limit")
            return None
        ref = reference_to(deprecated, wrapped)
        patcher = self.agent.patcher
        target = patcher.by_ref.get(ref)
        if target is None:
            target = Target(ref, metadata={"note": text}, source="warning")
            code = getattr(wrapped, "__code__", deprecated.f_code)
            target.defined_at(code.co_filename, code.co_firstlineno)
            patcher.by_ref[ref] = target
            target.engine = "warnings"
            patcher.decide(target, "armed", "")
        entry = Warned(self, target, f"{category.__name__}: {text}", (deprecated.f_code, wrapped))
        self.warned[id(deprecated.f_code), text, id(wrapped)] = entry
        target.own_codes += (deprecated.f_code,)
        return entry

    def tap(self, target: Target, note: str) -> Tap:
        """A new place to count uses of kind `warning`."""
        tap = self.recorder.tap(target, "warning")
        tap.note = note
        return tap


def _called_by(wrapper: FrameType, frame: FrameType, wrapped: Any) -> bool:
    """Whether `frame`, which warns, is or was called by the function that `wrapper` stands for."""
    code = getattr(wrapped, "__code__", None)
    current: FrameType | None = frame
    while current is not None and current is not wrapper:
        if current.f_code is code:
            return True
        current = current.f_back
    return False


def _want_the_call(_frame: FrameType, _back: FrameType | None) -> bool:
    return True


def _name_of(value: Any, frame: FrameType) -> str:
    return next((name for name, held in frame.f_locals.items() if function_in(held) is value), "")


__all__ = ["WarningsSeen", "install"]
