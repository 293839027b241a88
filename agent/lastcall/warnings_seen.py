"""Deprecation warnings as uses, seen before the filters and the once-per-location registry.

`warnings.warn` gets a wrapper whose hook looks at the calling instruction: the category, the `stacklevel` and
the message are there as constants or names, and are read from the frame without running anything (see
`warning_calls`). The original is then called by C, so what the host prints, raises and counts as "already
shown" stays as it was. Only where the arguments cannot be read that way (`*args`, a computed category, no
source) is the call made from a frame of ours, with `stacklevel` one higher.

What an instruction passes is decided once and kept as a function that looks only at what may change: for most,
whether the category is wanted and who called. The one that warns must pay less for it than for the warning.

Warnings that C code raises by itself (`PyErr_WarnEx`), and `warnings.warn_explicit`, never pass here.
"""

from __future__ import annotations

import sys

from . import hotpath
from .callsite import glob_match
from .named import may_wrap, reference_to, wrapped_by
from .sites import NOT_COUNTED
from .targets import Target

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import CodeType, FrameType, ModuleType
    from typing import Any

    from .agent import Agent
    from .sites import Tap
    from .warning_calls import Call

MAX_TAPS = 5_000
MAX_NOTE = 300
"""Characters of a message that are kept."""
MAX_INSTRUCTIONS = 20_000
"""Instructions whose arguments are kept; their code stays alive with them."""
HELPERS_LEVEL = 3
"""The `stacklevel` of a function that warns for its caller."""
_NO_NAMES: dict[str, Any] = {}
_TEXT = (str, type(None))


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
        self._count: Callable[[FrameType], None] | None = None

    def count(self, where: FrameType) -> None:
        """A use from `where`, unless the call itself was counted a moment ago as one of an armed target."""
        target = self.target
        if target.source not in ("warning", "log") and target.state in ("armed", "partial"):
            return
        if self._count is None:
            self.tap = self.seen.tap(target, self.note)
            self._count = self.seen.recorder.hooks.frame_callback(self.tap)
        self._count(where)


class _Helper:
    """The uses that a helper counts for its callers: counters by the caller's code."""

    __slots__ = ("by_code",)

    def __init__(self) -> None:
        self.by_code: dict[int, Any] = {}


def install(agent: Agent, categories: tuple[str, ...]) -> None:
    """Count deprecation warnings of these categories (class names, `*` allowed, subclasses included)."""
    # Now, while no module of the host's is half imported: `threading` and `logging` import `warnings`, whose arming
    # would import wrapt, which without its C extension needs the two of them whole.
    from .engines import wrapping  # noqa: F401

    seen = WarningsSeen(agent, categories)
    patcher = agent.patcher
    patcher.wanted.also_exactly("warnings", seen.arm)
    if "warnings" in sys.modules:
        seen.arm(sys.modules["warnings"])


class WarningsSeen:
    """Counts the warnings of one process."""

    def __init__(self, agent: Agent, categories: tuple[str, ...]) -> None:
        self.agent = agent
        self.recorder = agent.recorder
        self.categories = categories
        self.looks: dict[Any, Callable[[FrameType], bool]] = {}
        """By instruction: looks at a frame that is about to warn; says whether it wants to see the call itself."""
        self.warned: dict[tuple[int, str, int], Warned] = {}
        self.known_reads: dict[int, Any] = {}
        """By instruction that reads `warnings.warn` to call it at once: the counters of its uses by call site, the one
        entry that can be meant, a `_Helper`, or a function that looks up what may change."""
        self.by_category: dict[Any, bool] = {}
        self.templates: dict[Any, str | None] = {}
        """By instruction whose calls go through a frame of ours: the constant words of its message."""
        self.masks: dict[str, str] = {}
        self.holding: dict[int, str] = {}
        """By code: the variable that holds what a decorator's wrapper stands for, empty if it is no such wrapper."""
        self.kept: list[CodeType] = []
        """Code whose id is a key above: alive, so that the id stays its own."""
        self.wrapper: Any = None

    def arm(self, module: ModuleType) -> None:
        """Wrap `warnings.warn` and put the wrapper wherever `warn` was imported by name already."""
        from .engines import names as named_reads
        from .engines import wrapping

        names = vars(module)
        original = names["warn"]
        if wrapping.is_wrapper(original):
            return
        wrapper = self.wrapper = wrapping.Wrapper(original, self._with_frame, enabled=self._hook())
        holders = [names] + [
            vars(m)
            for m in list(sys.modules.values())
            if type(m).__name__ == "module" and vars(m).get("warn") is original
        ]
        for holder in holders:
            holder["warn"] = wrapper

        def undo() -> None:
            for holder in holders:
                if holder.get("warn") is wrapper:
                    holder["warn"] = original

        self.agent.patcher.undo.append(undo)
        if sys.version_info >= (3, 11):
            self.agent.patcher.undo.append(named_reads.put(module, "warn", self._shortcut(names, original)))

    # -- at each warning ----------------------------------------------------------------------------

    def _hook(self) -> Callable[[], bool]:
        """wrapt's `enabled=` hook: counts, or asks for the frame that sees the arguments."""
        looks, learn, errors, getframe = self.looks, self._learn, self.recorder.errors, sys._getframe
        site_key = hotpath.site_key

        def hook() -> bool:
            try:
                if hotpath.behind_wrapt:  # wrapt's own frames, which only `_with_frame` can make up for
                    return True
                frame = getframe(1)
                look = looks.get(site_key(frame))
                return (look or learn(frame))(frame)
            except Exception as error:  # noqa: BLE001 - the named seam between our looking and the host's warning
                hotpath.record_unless_hosts(errors, "warning", error)
            return False

        return hook

    def _shortcut(self, names: dict[str, Any], original: Any) -> property:  # noqa: C901 - one case for each kind of call
        """What `warnings.warn` gives where the read is the first half of a call that is known in full.

        The use is counted while the name is read, and Python's own function is what is then called: a wrapper
        alone costs half of what a warning does. Every other read gets the wrapper.
        """
        known, wrapper, recorder, getframe = self.known_reads, self.wrapper, self.recorder, sys._getframe

        def read(_module: Any) -> Any:
            try:
                frame: Any = getframe(1)
                found = known.get(id(frame.f_code) + frame.f_lasti)
                if found is not None and names.get("warn") is wrapper:
                    kind = type(found)
                    if kind is dict:  # by the instruction that the warning blames
                        frame = frame.f_back
                        slot, uses = found[id(frame.f_code) + frame.f_lasti]
                    elif kind is tuple:
                        slot, uses = found
                    elif kind is _Helper:
                        frame = frame.f_back
                        counters = found.by_code[id(frame.f_code)]
                        frame = frame.f_back
                        slot, uses = counters[id(frame.f_code) + frame.f_lasti]
                    else:  # what it passes has to be looked up
                        return names["warn"] if found(frame) else original
                    table = recorder.table
                    for table[slot] in uses:  # as in `hotpath`, and for its reason
                        break
                    return original
            except (KeyError, AttributeError) as error:  # a new call site, or no caller: the wrapper's business
                hotpath.raise_if_hosts(error)
            except Exception as error:  # noqa: BLE001 - the named seam between our looking and the host's warning
                hotpath.record_unless_hosts(recorder.errors, "warning", error)
            if "warn" not in names:
                raise AttributeError("warn")
            return names["warn"]

        def write(_module: Any, value: Any) -> None:
            names["warn"] = value

        def remove(_module: Any) -> None:
            if "warn" not in names:
                raise AttributeError("warn")
            del names["warn"]

        return property(read, write, remove)

    def _remember(self, call: Call, frame: FrameType, entry: Warned | None) -> None:
        """Have the next read of `warnings.warn` for this call count by itself, if what it means cannot change."""
        if call.read_at < 0 or sys.version_info < (3, 11):
            return
        key = id(frame.f_code) + call.read_at
        if entry is None:
            self.known_reads[key] = NOT_COUNTED
            return
        if entry.tap is None or entry.target.source != "warning":
            return  # a target of the configuration's that may yet be armed
        counters, back = entry.tap.counters, frame.f_back
        if call.level == HELPERS_LEVEL:
            if back is not None and not may_wrap(back.f_code) and not _is_internal(back):
                self.known_reads.setdefault(key, _Helper()).by_code[id(back.f_code)] = counters
        elif call.level == HELPERS_LEVEL - 1:
            self.known_reads[key] = counters
        elif (own := counters.get(hotpath.site_key(frame))) is not None:
            self.known_reads[key] = own

    def _learn(self, frame: FrameType) -> Callable[[FrameType], bool]:
        from .warning_calls import read  # parses source: only for a program that warns

        look: Callable[[FrameType], bool]
        call = read(frame, self.wrapper)
        if call is None:
            look = _want_the_call
        elif call.is_plain and not may_wrap(frame.f_code):
            look = self._plain(call)
        else:
            look = self._evaluated(call)
            if call.read_at >= 0 and sys.version_info >= (3, 11):
                self.known_reads[id(frame.f_code) + call.read_at] = look
        if len(self.looks) < MAX_INSTRUCTIONS:
            self.looks[hotpath.site_key(frame)] = look
        self.kept.append(frame.f_code)
        return look

    def _plain(self, call: Call) -> Callable[[FrameType], bool]:
        """For constant words and level: what has to be looked up is the category, and who called."""
        name, fallback, level, text = call.category, call.builtin, call.level, call.template or ""
        wanted, count, remember = self.by_category, self._count, self._remember

        def look(frame: FrameType) -> bool:
            category = frame.f_globals.get(name, fallback)
            if wanted.get(category) is False:
                remember(call, frame, None)
                return False
            entry = count(text, category, level, (), frame, None)
            if entry is not None:
                remember(call, frame, entry)
            return False

        return look

    def _evaluated(self, call: Call) -> Callable[[FrameType], bool]:
        """For all else that can be looked up: which message, and for a decorator's wrapper, of which function."""
        values, template, count, wrapped_in = call.values, call.template, self._count, self._wrapped
        needs_locals = call.needs_locals or may_wrap(call.code)
        known: dict[Any, Warned] = {}

        def look(frame: FrameType) -> bool:
            names = frame.f_locals if needs_locals else _NO_NAMES
            try:
                message, category, level, prefixes = values(names, frame.f_globals)
            except Exception:  # noqa: BLE001 - the call itself will tell
                return True
            where = frame.f_back
            simple = level == 2 and not prefixes and type(message) in _TEXT  # noqa: PLR2004 - most of them
            if not simple or where is None or "importlib" in where.f_code.co_filename:
                count(self._words(message, template), _category(message, category), level, prefixes, frame, names)
                return False
            key = message, category, id(wrapped_in(frame, names))
            entry = known.get(key)
            if entry is not None:
                entry.count(where)
                return False
            entry = count(self._words(message, template), category, level, (), frame, names)
            if entry is not None and len(known) < MAX_TAPS:
                known[key] = entry
            return False

        return look

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

    def _words(self, message: Any, template: str | None) -> str:
        return self._masked(message) if template is None else template

    def _with_frame(self, wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        from .warning_calls import POSITIONAL

        values = dict(zip(POSITIONAL, args, strict=False))
        values.update(kwargs)
        level = values.get("stacklevel", 1)
        ours = 1
        try:
            frame = hotpath.caller_behind_wrapt(sys._getframe(1))
            while sys._getframe(ours) is not frame:
                ours += 1
            message = values.get("message")
            category = _category(message, values.get("category"))
            words = self._words(message, self._template(frame))
            self._count(words, category, level, values.get("skip_file_prefixes", ()), frame, None)
        except Exception as error:  # noqa: BLE001 - the named seam between our looking and the host's warning
            hotpath.record_unless_hosts(self.recorder.errors, "warning", error)
        if isinstance(level, int) and len(args) < len(("message", "category", "stacklevel")):
            return wrapped(*args, **{**kwargs, "stacklevel": max(level, 1) + ours})
        if isinstance(level, int):
            return wrapped(*args[:2], max(level, 1) + ours, *args[3:], **kwargs)
        return wrapped(*args, **kwargs)

    def _count(  # noqa: PLR0917 - positional, for it is called at each warning
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
        known = self.by_category.get(category)
        if not (self._wanted(category) if known is None else known):
            return None
        where: FrameType | None
        if level == 2 and not prefixes and "importlib" not in frame.f_code.co_filename:  # noqa: PLR2004 - most of them
            where, deprecated = frame.f_back, frame
            if where is not None and "importlib" in where.f_code.co_filename:
                where, deprecated = warned_about(frame, level, ())
        else:
            level = max(level, 2) if prefixes else level
            where, deprecated = warned_about(frame, int(level), tuple(prefixes) if prefixes else ())
        if where is None:
            return None
        wrapped = self._wrapped(deprecated, names if deprecated is frame else None)
        entry = self.warned.get((id(deprecated.f_code), text, id(wrapped)))
        if entry is None:
            entry = self._enter(deprecated, wrapped, text, category)
        if entry is None or self._warned_outside(where, entry.target):
            return None
        entry.count(where)
        return entry

    def _warned_outside(self, where: FrameType, target: Target) -> bool:
        """Whether the warning blames a decorator's wrapper around the same function, which has warned by itself."""
        if not self.holding.get(id(where.f_code)):
            return False
        return reference_to(where, self._wrapped(where, None)) == target.ref

    def _wrapped(self, frame: FrameType, names: Mapping[str, Any] | None) -> Any:
        """What a decorator's wrapper stands for. Which of its variables holds it is looked for once."""
        code = frame.f_code
        name = self.holding.get(id(code))
        if name == "":
            return None
        if name is not None:
            return (frame.f_locals if names is None else names).get(name)
        value = wrapped_by(frame)
        if len(self.holding) < MAX_INSTRUCTIONS:
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
        text = str(message) if type(message) is not str else message
        known = self.masks.get(text)
        if known is None:
            known = masked(text)
            if len(self.masks) < MAX_TAPS:
                self.masks[text] = known
        return known

    # -- at the first sight of a message ------------------------------------------------------------

    def _enter(self, deprecated: FrameType, wrapped: Any, text: str, category: Any) -> Warned | None:
        if len(self.warned) >= MAX_TAPS:
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
        target.own_codes.append(deprecated.f_code)
        return entry

    def tap(self, target: Target, note: str) -> Tap:
        """A new place to count uses of kind `warning`."""
        tap = self.recorder.tap(target, "warning")
        tap.note = note
        return tap


def _category(message: Any, category: Any) -> Any:
    """What Python takes for the category: an instance given as the message brings its own."""
    return type(message) if isinstance(message, Warning) else category


def _want_the_call(_frame: FrameType) -> bool:
    return True


def _name_of(value: Any, frame: FrameType) -> str:
    return next((name for name, held in frame.f_locals.items() if getattr(held, "__func__", held) is value), "")


def warned_about(
    frame: FrameType, level: int, prefixes: tuple[str, ...]
) -> tuple[FrameType | None, FrameType]:
    """The frame that a warning issued in `frame` blames, and the frame it called: the deprecated one.

    As `warnings.warn` walks: frames of the import machinery are skipped, unless the first is one, so that a
    module which warns of itself blames the import statement; with `skip_file_prefixes` frames of those files
    too. Without a `stacklevel` a function blames its own line.
    """
    if level <= 1 and not prefixes:
        return frame, frame
    deprecated = frame
    current: FrameType | None = frame
    if _is_internal(frame) and not prefixes:
        for _ in range(level - 1):
            if current is not None:
                deprecated, current = current, current.f_back
        return current, deprecated
    for _ in range(level - 1):
        if current is None:
            break
        deprecated, current = current, current.f_back
        while current is not None and (
            ("importlib" in current.f_code.co_filename and _is_internal(current))
            or (prefixes and current.f_code.co_filename.startswith(prefixes))
        ):
            if prefixes:
                deprecated = current
            current = current.f_back
    return current, deprecated


def _is_internal(frame: FrameType) -> bool:
    filename = frame.f_code.co_filename
    return "importlib" in filename and "_bootstrap" in filename


def masked(message: str) -> str:
    """A message without what may be somebody's data: quoted text becomes `{}`, digits `#`; long ones are cut."""
    out: list[str] = []
    quote = ""
    for c in message[:2000]:
        if quote:
            if c == quote:
                out.append("{}" + c)
                quote = ""
        elif c in "'\"`" and (not out or not out[-1][-1:].isalnum()):
            quote = c
            out.append(c)
        else:
            out.append("#" if c.isdigit() else c)
    text = "".join(out)
    return text if len(text) <= MAX_NOTE else text[:MAX_NOTE] + "..."


__all__ = ["WarningsSeen", "install", "masked", "warned_about"]
