"""Deprecation warnings as uses, seen before the filters and the once-per-location registry.

`warnings.warn` gets a wrapper whose hook looks at the calling instruction: the category, the `stacklevel` and
the message are there as constants or names, and are read from the frame without running anything. The
original is then called by C, so what the host prints, raises and counts as "already shown" stays as it was.
Only where the arguments cannot be read that way (`*args`, a computed category, no source) is the call made
from a frame of ours, with `stacklevel` one higher.

Warnings that C code raises by itself (`PyErr_WarnEx`) never pass here; they cannot be seen.
"""

from __future__ import annotations

import ast
import sys

from . import hotpath
from .callsite import glob_match, position_of
from .expressions import source_lines
from .named import reference_of
from .targets import Target

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType, ModuleType
    from typing import Any

    from .agent import Agent
    from .callsite import Position
    from .sites import Tap

MAX_TAPS = 5_000
MAX_NOTE = 300
"""Characters of a message that are kept."""


class Call:
    """What one `warnings.warn(...)` instruction passes, as far as its source tells."""

    __slots__ = ("category", "code", "message", "prefixes", "stacklevel", "template")

    def __init__(self, code: CodeType, arguments: dict[str, ast.expr]) -> None:
        self.code = code
        self.template = template_of(arguments.get("message"))
        self.message = _compiled(arguments.get("message")) if self.template is None else None
        self.category = _compiled(arguments.get("category"))
        self.stacklevel = _compiled(arguments.get("stacklevel"))
        self.prefixes = _compiled(arguments.get("skip_file_prefixes"))


class Unreadable(Exception):  # noqa: N818 - an outcome: the wrapper function takes the call
    """The arguments of this call cannot be read from its frame."""


def install(agent: Agent, categories: tuple[str, ...]) -> None:
    """Count deprecation warnings of these categories (class names, `*` allowed, subclasses included)."""
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
        self.calls: dict[Any, Call | None] = {}
        self.taps: dict[tuple[int, str], tuple[Tap, Callable[[FrameType], None]]] = {}
        self.by_category: dict[type, bool] = {}

    def arm(self, module: ModuleType) -> None:
        """Wrap `warnings.warn` and put the wrapper wherever `warn` was imported by name already."""
        from .engines import wrapping

        names = vars(module)
        original = names["warn"]
        if wrapping.is_wrapper(original):
            return
        wrapper = wrapping.Wrapper(original, self._with_frame, enabled=self._hook)
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

    # -- at each warning ----------------------------------------------------------------------------

    def _hook(self) -> bool:
        """wrapt's `enabled=` hook: counts, or asks for the frame that sees the arguments."""
        try:
            frame = hotpath.caller_behind_wrapt(sys._getframe(1))
            key = hotpath.site_key(frame)
            call = self.calls.get(key, self)
            if call is self:
                call = self.calls[key] = _read(frame)
            if call is None:
                return True
            self._count_call(call, frame)  # type: ignore[arg-type]
        except Unreadable:
            return True
        except Exception as error:  # noqa: BLE001 - the named seam between our looking and the host's warning
            self.recorder.errors.record("warning", error)
        return False

    def _count_call(self, call: Call, frame: FrameType) -> None:
        names, inner = frame.f_globals, frame.f_locals if _needs_locals(call) else {}
        try:
            category = eval(call.category, names, inner) if call.category is not None else None  # noqa: S307 - names and constants only
            level = eval(call.stacklevel, names, inner) if call.stacklevel is not None else 1  # noqa: S307
            message = eval(call.message, names, inner) if call.message is not None else call.template or ""  # noqa: S307
            prefixes = eval(call.prefixes, names, inner) if call.prefixes is not None else ()  # noqa: S307
        except Exception as error:
            raise Unreadable from error
        self._count(message, category, level, prefixes, frame, literal=call.message is None)

    def _with_frame(self, wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        values = dict(zip(("message", "category", "stacklevel", "source"), args, strict=False))
        values.update(kwargs)
        try:
            frame = hotpath.caller_behind_wrapt(sys._getframe(1))
            self._count(
                values.get("message"),
                values.get("category"),
                values.get("stacklevel", 1),
                values.get("skip_file_prefixes", ()),
                frame,
            )
        except Exception as error:  # noqa: BLE001 - the named seam between our looking and the host's warning
            self.recorder.errors.record("warning", error)
        level = values.get("stacklevel", 1)
        if isinstance(level, int) and len(args) < len(("message", "category", "stacklevel")):
            return wrapped(*args, **{**kwargs, "stacklevel": max(level, 1) + 1})
        if isinstance(level, int):
            return wrapped(*args[:2], max(level, 1) + 1, *args[3:], **kwargs)
        return wrapped(*args, **kwargs)

    def _count(
        self,
        message: Any,
        category: Any,
        level: Any,
        prefixes: Any,
        frame: FrameType,
        *,
        literal: bool = False,
    ) -> None:
        if isinstance(message, Warning):
            category, message = type(message), str(message)
        category = UserWarning if category is None else category
        if not isinstance(category, type) or not self._wanted(category):
            return
        level = max(level, 2) if prefixes else level
        where, deprecated = warned_about(frame, int(level), tuple(prefixes) if prefixes else ())
        if where is None or self._counted_already(deprecated):
            return
        text = message if literal else masked(str(message))
        entry = self.taps.get((id(deprecated.f_code), text))
        if entry is None:
            entry = self._tap(deprecated, text, category)
            if entry is None:
                return
        entry[1](where)

    def _wanted(self, category: type) -> bool:
        known = self.by_category.get(category)
        if known is None:
            names = [cls.__name__ for cls in category.__mro__]
            known = any(glob_match(pattern, name) for pattern in self.categories for name in names)
            self.by_category[category] = known
        return known

    def _counted_already(self, deprecated: FrameType) -> bool:
        """Whether the function that warns is a target whose call was counted a moment ago."""
        target = self.agent.patcher.by_ref.get(reference_of(deprecated))
        return target is not None and target.source != "warning" and target.state in ("armed", "partial")

    def _tap(self, deprecated: FrameType, note: str, category: type) -> Any:
        if len(self.taps) >= MAX_TAPS:
            self.recorder.drop("warning-limit")
            return None
        patcher = self.agent.patcher
        target = patcher.by_ref.get(reference_of(deprecated))
        if target is None:
            target = Target(reference_of(deprecated), metadata={"note": note}, source="warning")
            target.defined_at(deprecated.f_code.co_filename, deprecated.f_code.co_firstlineno)
            patcher.by_ref[target.ref] = target
            target.engine = "warnings"
            patcher.decide(target, "armed", "")
        tap = self.recorder.tap(target, "warning")
        tap.note = f"{category.__name__}: {note}"
        entry = (tap, self.recorder.hooks.frame_callback(tap))
        self.taps[id(deprecated.f_code), note] = entry
        target.own_codes.append(deprecated.f_code)  # keeps the code, and so its id, alive
        return entry


def warned_about(
    frame: FrameType, level: int, prefixes: tuple[str, ...]
) -> tuple[FrameType | None, FrameType]:
    """The frame that a warning issued in `frame` blames, and the frame it called: the deprecated one.

    As `warnings.warn` walks: frames of the import machinery are skipped, unless the first is one; with
    `skip_file_prefixes` frames of those files too. Without a `stacklevel` a function blames its own line.
    """
    deprecated = frame
    current: FrameType | None = frame
    if level <= 1 and not prefixes:
        return current, deprecated
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
            _is_internal(current) or current.f_code.co_filename.startswith(prefixes or ("\0",))
        ):
            deprecated, current = current, current.f_back
    return current, deprecated


def _is_internal(frame: FrameType) -> bool:
    filename = frame.f_code.co_filename
    return "importlib" in filename and "_bootstrap" in filename


# -- reading the arguments off the source -----------------------------------------------------------


def _read(frame: FrameType) -> Call | None:
    """The arguments of the call that `frame` is making, None if the source does not tell them plainly."""
    position = position_of(frame.f_code, frame.f_lasti)
    node = _call_at(frame.f_code.co_filename, position, frame.f_lineno)
    if (
        node is None
        or any(isinstance(a, ast.Starred) for a in node.args)
        or any(k.arg is None for k in node.keywords)
    ):
        return None
    arguments = dict(zip(("message", "category", "stacklevel", "source"), node.args, strict=False))
    arguments.update({keyword.arg: keyword.value for keyword in node.keywords if keyword.arg})
    call = Call(frame.f_code, arguments)
    for name in ("category", "stacklevel", "skip_file_prefixes"):
        if name in arguments and _compiled(arguments[name]) is None:
            return None
    if "message" in arguments and call.template is None and call.message is None:
        return None
    return call


def _call_at(filename: str, position: Position | None, line: int) -> ast.Call | None:
    lines = source_lines(filename)
    if position is not None and position[2] <= len(lines):
        first, left, last, right = position
        piece = list(lines[first - 1 : last])
        piece[-1] = piece[-1][:right]
        piece[0] = piece[0][left:]
        try:
            node = ast.parse(b"(" + b"\n".join(piece) + b")", mode="eval").body
        except (SyntaxError, ValueError):
            return None
        return node if isinstance(node, ast.Call) else None
    return _only_call_on(filename, line or 0)


def _only_call_on(filename: str, line: int) -> ast.Call | None:
    """Before 3.11, which kept no columns: the one call of something named warn that covers this line."""
    try:
        tree = ast.parse(b"\n".join(source_lines(filename)))
    except (SyntaxError, ValueError, RecursionError):
        return None
    found = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and node.lineno <= line <= (node.end_lineno or node.lineno)
        and (getattr(node.func, "attr", None) == "warn" or getattr(node.func, "id", None) == "warn")
    ]
    return found[0] if len(found) == 1 else None


_SAFE = (ast.Name, ast.Attribute, ast.Constant, ast.BinOp, ast.Add, ast.Sub, ast.Load, ast.Tuple)


def _compiled(node: ast.expr | None) -> CodeType | None:
    """`node` as code that runs nothing of the host's: names, constants, sums. None for anything else."""
    if node is None or not all(isinstance(part, _SAFE) for part in ast.walk(node)):
        return None
    return compile(ast.fix_missing_locations(ast.Expression(node)), "<lastcall>", "eval")


def _needs_locals(call: Call) -> bool:
    return any(
        code is not None and code.co_names
        for code in (call.message, call.category, call.stacklevel, call.prefixes)
    )


def template_of(node: ast.expr | None) -> str | None:
    """The constant text of a message, `{}` for each part that is filled in; None if it is no literal."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        return template_of(node.left)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = template_of(node.left), template_of(node.right)
        if left is not None or right is not None:
            return (left or "{}") + (right or "{}")
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        return template_of(node.func.value)
    return None


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


__all__ = ["WarningsSeen", "install", "masked", "template_of", "warned_about"]
