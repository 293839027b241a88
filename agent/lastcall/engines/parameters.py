"""The engine for deprecated arguments: `package.module:function(mode=)` is used when `mode` is passed.

Whether a call passes it can be read off the calling instruction: how many positional arguments, and which
names. Where the caller spreads `*args` or `**kwargs`, or where what it calls goes by another name (a variable,
`map`, a `functools.partial`, which may add arguments), only the call itself knows; for such call sites, and for
no others, the wrapper function runs and adds a frame.
"""

from __future__ import annotations

import sys
from opcode import HAVE_ARGUMENT, hasjabs, hasjrel, opmap, opname
from types import FunctionType, MethodType

from .. import hotpath
from . import wrapping

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType
    from typing import Any

    from ..lookup import Found
    from ..recorder import Recorder
    from ..sites import Tap
    from ..targets import Target

NO, YES, LOOK = range(3)
_CONSTRUCTORS = ("__init__", "__new__")
MAX_WRAPPED = 20
_TAKES_MORE = 0x04
_TAKES_NAMES = 0x08
"""Flags of a code object: `*args`, `**kwargs`."""
MAX_DECIDED = 10_000
"""Call sites whose answer is kept; their code objects stay alive with it."""


def position_of(function: Any, name: str) -> int | None:
    """The index of parameter `name` among the positional ones, -1 if it is keyword-only, None if there is none.

    What a decorator's `*args` takes is what the function that it stands for takes, as `inspect.signature` has it.
    """
    function = getattr(function, "__func__", function)
    for _ in range(MAX_WRAPPED):
        code = getattr(function, "__code__", None)
        wrapped = getattr(function, "__dict__", {}).get("__wrapped__")
        if code is None and wrapped is None:
            return _position_in_c(function, name)
        if code is not None:
            names, named = code.co_varnames, code.co_argcount + code.co_kwonlyargcount
            if name in names[: code.co_argcount]:
                return int(names.index(name))
            if name in names[code.co_argcount : named]:
                return -1
            if wrapped is None or not code.co_flags & _TAKES_MORE:
                return -1 if code.co_flags & _TAKES_NAMES else None
        function = wrapped
    return -1


def _position_in_c(function: Any, name: str) -> int:
    """The same for what has no code, as far as its text signature tells."""
    signature = getattr(function, "__text_signature__", None)
    if type(signature) is not str or "'" in signature:
        return -1
    parts = [part.partition("=")[0].strip() for part in signature.strip("()").split(",")]
    positional = [part for part in parts[: parts.index("*") if "*" in parts else None] if part != "/"]
    bound = len(positional) > 0 and positional[0].startswith("$")
    return positional[bound:].index(name) if name in positional[bound:] else -1


def names_of(value: Any) -> tuple[str, ...]:
    """The parameters that a callable written in Python names; a class's are its own constructor's."""
    if isinstance(value, type):
        value = next((value.__dict__[name] for name in _CONSTRUCTORS if name in value.__dict__), None)
    code = getattr(getattr(value, "__func__", value), "__code__", None)
    return () if code is None else code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def passes(code: CodeType, lasti: int, name: str, position: int, bound: int) -> int:
    """Whether the call at offset `lasti` passes the argument: NO, YES, or LOOK at the call itself.

    `position` is the parameter's index, `bound` how many of the parameters the binding fills (self or cls).
    """
    operation, argument, before = _instruction(code, lasti)
    if operation in ("CALL_FUNCTION", "CALL_METHOD"):  # 3.10
        return YES if 0 <= position < argument + bound else NO
    keywords: tuple[str, ...] = ()
    if operation in (
        "CALL_FUNCTION_KW",
        "CALL_KW",
    ):  # not 3.11, 3.12: the names lie in the constant just before
        keywords = _constant(code, before)
    elif operation == "CALL":  # 3.11 and 3.12: KW_NAMES comes before PRECALL or CALL
        keywords = _kw_names(code, lasti)
    else:
        return LOOK
    if name in keywords:
        return YES
    return YES if 0 <= position < argument - len(keywords) + bound else NO


if sys.version_info >= (3, 11):

    def callee_name(code: CodeType, lasti: int) -> str:
        """The last name of what the call at offset `lasti` calls, empty if it has none.

        The expression that is called starts where the call starts, and is loaded last among those that do.
        """
        positions = list(code.co_positions())
        if lasti // 2 >= len(positions):
            return ""
        line, end, column, until = positions[lasti // 2]
        if line is None or column is None:
            return ""
        raw, extended, name = code.co_code, 0, ""
        for at in range(0, lasti, 2):
            operation, argument = opname[raw[at]], raw[at + 1] | extended
            extended = argument << 8 if operation == "EXTENDED_ARG" else 0
            first, _, left, right = positions[at // 2]
            if (first, left) == (line, column) and (end, until) != (positions[at // 2][1], right):
                name = _name_loaded(code, operation, argument) or name
        return name

else:

    def callee_name(code: CodeType, lasti: int) -> str:
        """The last name of what the call at offset `lasti` calls, empty if it has none or that cannot be told.

        Before 3.11 positions are not kept: the instruction that loads it is the one before those that push
        the arguments, found by counting back what each of them adds to the stack.
        """
        from _opcode import stack_effect

        decoded = _decode(code, lasti)
        operation, argument = decoded.pop()
        missing = argument + (1 if operation == "CALL_FUNCTION_KW" else 0)
        if operation not in ("CALL_FUNCTION", "CALL_METHOD", "CALL_FUNCTION_KW"):
            return ""
        while missing and decoded:
            operation, argument = decoded.pop()
            number = opmap[operation]
            if number in hasjrel or number in hasjabs:
                return ""
            missing -= stack_effect(number, argument if number >= HAVE_ARGUMENT else None)
        return _name_loaded(code, *decoded[-1]) if decoded else ""


def _name_loaded(code: CodeType, operation: str, argument: int) -> str:
    if operation not in ("LOAD_NAME", "LOAD_METHOD", "LOAD_ATTR", "LOAD_GLOBAL"):
        return ""
    flagged_since = {"LOAD_GLOBAL": (3, 11), "LOAD_ATTR": (3, 12)}.get(operation)
    if flagged_since and sys.version_info >= flagged_since:
        argument >>= 1  # the lowest bit says something else
    return code.co_names[argument]


def _decode(code: CodeType, end: int) -> list[tuple[str, int]]:
    raw = code.co_code
    out: list[tuple[str, int]] = []
    extended = 0
    for at in range(0, end + 2, 2):
        name = opname[raw[at]]
        argument = raw[at + 1] | extended
        if name == "EXTENDED_ARG":
            extended = argument << 8
            continue
        extended = 0
        if name != "CACHE":
            out.append((name, argument))
    return out


def _instruction(code: CodeType, lasti: int) -> tuple[str, int, tuple[str, int]]:
    decoded = _decode(code, lasti)
    return decoded[-1][0], decoded[-1][1], decoded[-2] if len(decoded) > 1 else ("", 0)


def _constant(code: CodeType, instruction: tuple[str, int]) -> tuple[str, ...]:
    value = code.co_consts[instruction[1]] if instruction[0].startswith("LOAD_CONST") else ()
    return value if isinstance(value, tuple) else ()


def _kw_names(code: CodeType, lasti: int) -> tuple[str, ...]:
    for name, argument in reversed(_decode(code, lasti)[:-1]):
        if name == "KW_NAMES":
            value = code.co_consts[argument]
            return value if isinstance(value, tuple) else ()
        if name != "PRECALL":
            break
    return ()


def arm(recorder: Recorder, target: Target, found: Found, tap: Tap) -> tuple[str, Callable[[], None]]:
    """Wrap `found` so that calls passing `target.parameter` count. Returns a remark and the undo.

    Raises patch.CannotArm.
    """
    from ..lookup import CannotArm

    name = target.parameter
    value = found.value
    position = position_of(value, name)
    if position is None:
        raise CannotArm("missing", f"{target.qualname} has no parameter {name}")
    count = recorder.hooks.frame_callback(tap)
    spelled = found.owner.__name__ if found.name in _CONSTRUCTORS else found.name
    watch = _Watch(recorder, count, name, position, spelled)
    wrapper = _wrapper(value, watch, in_class=isinstance(found.owner, type))
    target.objects = [getattr(value, "__func__", value), wrapping.inner(wrapper)]
    try:
        undo = wrapping.put(found.owner, found.name, value, wrapper)
    except (TypeError, AttributeError) as error:
        raise CannotArm("failed", f"cannot be patched: {error}") from error
    return "a caller that spreads *args or **kwargs, or calls it by another name, gets one more frame", undo


class _ByBinding(wrapping.Wrapper):
    """In a class: whether the instance fills the first parameter is known only where the method is bound."""

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else MethodType(wrapping.own(self, "_self_bound"), instance)


def _wrapper(value: Any, watch: _Watch, *, in_class: bool) -> Any:
    if isinstance(value, classmethod):
        return type(value)(_wrapper(value.__func__, watch.bound(), in_class=False))
    if isinstance(value, staticmethod):
        # `__new__` is one that is given the class by whoever calls the class.
        inner = watch.bound() if value.__func__.__name__ == "__new__" else watch
        return type(value)(_wrapper(value.__func__, inner, in_class=False))
    if not in_class or type(value) is not FunctionType:
        return wrapping.wrapper_of(value, watch.look, watch.decide)
    wrapper = _ByBinding(value, watch.look, enabled=watch.decide)
    bound = watch.bound()
    wrapping.set_own(wrapper, "_self_bound", wrapping.Wrapper(value, bound.look, enabled=bound.decide))
    return wrapper


class _Watch:
    """Decides about calls of one callable; `filled` is how many of its parameters its binding fills."""

    def __init__(  # noqa: PLR0917 - a record
        self,
        recorder: Recorder,
        count: Callable[[FrameType | None], None],
        name: str,
        position: int,
        spelled: str,
        filled: int = 0,
    ) -> None:
        self.recorder = recorder
        self.count = count
        self.name = name
        self.position = position
        self.spelled = spelled
        self.filled = filled
        self.decided: dict[Any, int] = {}
        self.codes: list[CodeType] = []

    def bound(self) -> _Watch:
        return _Watch(self.recorder, self.count, self.name, self.position, self.spelled, 1)

    def decide(self) -> bool:
        """wrapt's `enabled=` hook: counts, or asks for the wrapper function where only the call can tell."""
        try:
            frame = hotpath.caller_behind_wrapt(hotpath.frame_below(1))
            if frame is None:
                return True
            key = hotpath.site_key(frame)
            answer = self.decided.get(key)
            if answer is None:
                answer = self._read(frame.f_code, frame.f_lasti)
                if len(self.codes) < MAX_DECIDED:
                    self.decided[key] = answer
                    self.codes.append(frame.f_code)
            if answer == YES:
                self.count(frame)
        except RecursionError:  # the host had stack left for its call, and none for us
            self.recorder.hooks.unseen[0:0] = (None,)
            return False
        except Exception as error:  # noqa: BLE001 - the named seam between our counting and the host's call
            self.recorder.errors.record("count", error)
            return False
        return answer == LOOK

    def _read(self, code: CodeType, lasti: int) -> int:
        if callee_name(code, lasti) != self.spelled:
            return LOOK
        return passes(code, lasti, self.name, self.position, self.filled)

    def look(self, wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        """The wrapper function. What a binding filled is among `args` here."""
        if self.name in kwargs or 0 <= self.position < len(args):
            try:
                self.count(hotpath.caller_behind_wrapt(hotpath.frame_below(1)))
            except RecursionError:
                self.recorder.hooks.unseen[0:0] = (None,)
            except Exception as error:  # noqa: BLE001 - the named seam between our counting and the host's call
                self.recorder.errors.record("count", error)
        return wrapped(*args, **kwargs)


hotpath.skip_own_frames(globals())
