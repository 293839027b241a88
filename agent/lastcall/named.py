"""The name of the function that a frame is running, as an object reference.

A deprecation warning or log record names no object, only a place in the code. The function running there is
the deprecated callable; where it is a target that is armed already, its calls are counted as such.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from types import CodeType, FrameType
    from typing import Any

_DUNDER_CONSTRUCTORS = (".__init__", ".__new__", ".__post_init__")


def reference_of(frame: FrameType) -> str:
    """`module:qualname` of the function that `frame` runs, `module` for module-level code."""
    module = str(frame.f_globals.get("__name__") or "?")
    code = frame.f_code
    wrapped = _wrapped_by(frame, module)
    if wrapped is not None:
        return f"{wrapped.__module__}:{wrapped.__qualname__}"
    if code.co_name == "<module>":
        return module
    qualname = _qualname(frame, code).replace(".<locals>", "")
    for ending in _DUNDER_CONSTRUCTORS:
        if qualname.endswith(ending):
            return f"{module}:{qualname[: -len(ending)]}"
    return f"{module}:{qualname.replace('<', '').replace('>', '')}"


if sys.version_info >= (3, 11):

    def _qualname(_frame: FrameType, code: CodeType) -> str:
        return code.co_qualname

else:

    def _qualname(frame: FrameType, code: CodeType) -> str:
        if code.co_argcount:
            first = frame.f_locals.get(code.co_varnames[0])
            for cls in (first if isinstance(first, type) else type(first)).__mro__:
                if _code_of(cls.__dict__.get(code.co_name)) is code:
                    return f"{cls.__qualname__}.{code.co_name}"
        return code.co_name


def _wrapped_by(frame: FrameType, module: str) -> Any:
    """The function or class that a decorator's wrapper stands for: a variable of it from another module."""
    code = frame.f_code
    if not code.co_flags & 0x04 and "wrapped" not in "".join(code.co_varnames[:2]):
        return None
    names = frame.f_locals
    for name in (*code.co_freevars, *code.co_varnames[:1]):
        value: Any = names.get(name)
        value = getattr(value, "__func__", value)
        if type(value).__name__ not in ("function", "type") and not isinstance(value, type):
            continue
        home = getattr(value, "__module__", None)
        if (
            isinstance(home, str)
            and home not in (module, "builtins", "warnings")
            and "<locals>" not in value.__qualname__
        ):
            return value
    return None


def _code_of(value: Any) -> Any:
    value = getattr(value, "__func__", value)
    value = getattr(value, "fget", value)
    return getattr(value, "__code__", None)
