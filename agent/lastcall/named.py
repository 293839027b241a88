"""The name of the function that a frame is running, as an object reference.

A deprecation warning or log record names no object, only a place in the code. The function running there is
the deprecated callable; where it is a target that is armed already, its calls are counted as such.
"""

from __future__ import annotations

import sys

from .asking import bases_of_class, class_made, function_of, is_class, names_of_class, own, unwrapped
from .callsite import MAX_NAME, SPAWNED_MAIN, module_of
from .targets import is_module_name, wild

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType, FrameType
    from typing import Any

MAX_REFERENCES = 5_000
_references: dict[tuple[str, str], str] = {}
"""Of functions that were asked for, by their module's name and their own: a function that logs is, at each record."""
_METHODS = ("method", "classmethod", "staticmethod")
_DUNDER_CONSTRUCTORS = (".__init__", ".__new__", ".__post_init__", ".__init_subclass__")


def reference_of(frame: FrameType) -> str:
    """`module:qualname` of the function that `frame` runs, `module` for module-level code."""
    return reference_to(frame, wrapped_by(frame))


def reference_to(frame: FrameType, wrapped: Any) -> str:
    """The same, where `wrapped_by(frame)` is known already."""
    module = module_of(frame) or "unnamed"
    code = frame.f_code
    if wrapped is not None:
        home = wrapped.__module__
        return _spelled("__main__" if home == SPAWNED_MAIN else home, _without_constructor(wrapped.__qualname__))
    if code.co_name == "<module>":
        return _spelled(module)
    name = _qualname(frame, code)
    known = _references.get((module, name))
    if known is None:
        qualname = _without_constructor(name.replace(".<locals>", ""))
        known = _spelled(module, qualname.replace("<", "").replace(">", ""))
        if len(_references) < MAX_REFERENCES:
            _references[module, name] = known
    return known


def _spelled(module: str, qualname: str = "") -> str:
    """The reference, `_` for whatever cannot stand in one: code that is made at run time may have any name."""
    if not is_module_name(module) or wild(module):
        first, dot, rest = module.partition(".")
        module = _as_name(first) + dot + ".".join(_as_name("x" + part)[1:] or "_" for part in rest.split(".") if dot)
    if not qualname:
        return module
    parts = qualname.split(".")
    if not all(map(str.isidentifier, parts)):
        qualname = ".".join(map(_as_name, parts))
    return f"{module}:{qualname}"


def _as_name(text: str) -> str:
    name = "".join(c if f"x{c}".isidentifier() else "_" for c in text[:MAX_NAME])
    return name if name.isidentifier() else f"_{name}"


def _without_constructor(name: str) -> str:
    for ending in _DUNDER_CONSTRUCTORS:
        if name.endswith(ending):
            return name[: -len(ending)]
    return name


if sys.version_info >= (3, 11):

    def _qualname(_frame: FrameType, code: CodeType) -> str:
        return code.co_qualname

else:

    def _qualname(frame: FrameType, code: CodeType) -> str:
        if code.co_argcount:
            for cls in bases_of_class(class_made(frame.f_locals.get(code.co_varnames[0]))):
                if _code_of(names_of_class(cls).get(code.co_name)) is code:
                    return f"{own(cls, '__qualname__')}.{code.co_name}"
        return code.co_name


def may_wrap(code: CodeType) -> bool:
    """Whether `code` may be a decorator's wrapper: one code object that stands for many functions."""
    return bool(code.co_flags & 0x04) or "wrapped" in "".join(code.co_varnames[:2])


def wrapped_by(frame: FrameType) -> Any:
    """The function or class that a decorator's wrapper stands for, None if `frame` runs no such wrapper.

    It is a variable of the wrapper's that holds a function of another module, or one of the same module whose
    name now leads to this very wrapper. One whose name does comes first: a wrapper that forwards holds the
    replacement, too.
    """
    if not may_wrap(frame.f_code):
        return None
    held = [value for value in _held(frame) if stands_for(value, frame)]
    return next((value for value in held if _leads_to(value, frame.f_code)), held[0] if held else None)


def may_hold(frame: FrameType) -> bool:
    """Whether a call of the same code may yet turn out to stand for a function, though this one does not."""
    return may_wrap(frame.f_code) and next(_held(frame), None) is not None


def _held(frame: FrameType) -> Iterator[Any]:
    """The functions and classes in the variables that may hold what a wrapper stands for."""
    code, names = frame.f_code, frame.f_locals
    for name in (*code.co_freevars, *code.co_varnames[:1]):
        if name == "__class__":  # what `super()` needs
            continue
        value = function_in(names.get(name))
        if is_class(value) or _is_function(value):
            yield value


def function_in(value: Any) -> Any:
    """The function in a bound, class or static method, also where that is our wrapper; anything else as it is."""
    kind = type(value)
    return value.__func__ if kind.__name__ in _METHODS and kind.__module__ == "builtins" else value


def _is_function(value: Any) -> bool:
    """Whether it is a function in Python, or our wrapper of one."""
    kind = type(value)
    return kind.__name__ == "function" and kind.__module__ == "builtins"


def stands_for(value: Any, frame: FrameType) -> bool:
    """Whether `value`, a variable's of the wrapper that `frame` runs, is the function or class it was put around."""
    value = function_in(value)
    if is_class(value):
        home, name = own(value, "__module__"), own(value, "__qualname__")
    elif _is_function(value):
        home, name = value.__module__, value.__qualname__
    else:
        return False
    if type(home) is not str or home in ("builtins", "warnings") or "<locals>" in name:
        return False
    return home != frame.f_globals.get("__name__") or _leads_to(value, frame.f_code)


def _leads_to(value: Any, code: CodeType) -> bool:
    """Whether what goes by the name of `value` runs `code`."""
    found: Any = sys.modules.get(value.__module__)
    for part in value.__qualname__.split("."):
        found = (own(found, "__dict__") or {}).get(part)
    while found is not None:
        if _code_of(found) is code:
            return True
        found = (own(unwrapped(found), "__dict__") or {}).get("__wrapped__")
    return False


def _code_of(value: Any) -> Any:
    return own(unwrapped(function_of(function_in(value))), "__code__")
