"""Looking at the host's objects without running the host's code.

`isinstance`, `getattr` and `hasattr` ask an object what it is, and a lazy one answers by making what it stands for.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from typing import Any


names_of_class = type.__dict__["__dict__"].__get__
"""The namespace of a class, as `type` reads it: a metaclass may have another."""


def is_class(value: Any) -> bool:
    """Whether it is a class, whatever it says of itself."""
    return issubclass(type(value), type)


def own(value: Any, name: str) -> Any:
    """An attribute as Python finds it by itself: without `__getattr__`, `__getattribute__` or a metaclass's; else
    None."""
    read = type.__getattribute__ if is_class(value) else object.__getattribute__
    try:
        return read(value, name)
    except AttributeError:
        return None


def text(value: Any, name: str) -> str:
    """The same if it is a string, else an empty one."""
    found = own(value, name)
    return found if type(found) is str else ""


def function_of(value: Any) -> Any:
    """The function in a classmethod, staticmethod, property or cached property; anything else as it is."""
    kind = type(value)
    if kind in (classmethod, staticmethod):
        return value.__func__
    if issubclass(kind, property):
        return own(value, "fget")
    if kind.__name__ == "cached_property" and kind.__module__ == "functools":
        return own(value, "func")
    return value
