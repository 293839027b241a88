"""Looking at the host's objects without running the host's code.

`isinstance`, `getattr` and `hasattr` ask an object what it is, and a lazy one answers by making what it stands for.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from typing import Any, TypeGuard


LAZY: Any = None
"""The type of what stands for a module, or a name of it, that an import statement is to load when it is first used
(PEP 810): its `repr` says what that is."""
if sys.version_info >= (3, 15):
    import _types

    LAZY = _types.LazyImportType
NOTHING = object()
"""What a namespace has under a name that it has not."""
_FUNCTION = type(lambda: None)
bases_of_class = type.__dict__["__mro__"].__get__
"""A class and what it inherits from, in their order, as `type` reads it.

None for one in C that its module made nothing of but an address (BTrees' iterators): Python completes such a class when
somebody asks it for an attribute.
"""
_names_of_class = type.__dict__["__dict__"].__get__


def is_spelled(name: object) -> bool:
    """Whether code, and a reference, can spell a name: pydantic puts `Model[int]` among those of a module."""
    return issubclass(type(name), str) and str.isidentifier(name)  # type: ignore[arg-type]


def names_of_class(cls: type) -> Any:
    """The namespace of a class, as `type` reads it: a metaclass may have another. Empty if it is not complete."""
    names = _names_of_class(cls)
    return {} if names is None else names


def is_class(value: object) -> TypeGuard[type]:
    """Whether it is a class, whatever it says of itself."""
    return issubclass(type(value), type)


def class_made(first: Any) -> Any:
    """The class that a constructor is making, which is given the class itself or an object of it first."""
    return first if is_class(first) else type(first)


def inherits(cls: type, base: type) -> bool:
    """Whether instances of `cls` are made by what `base` has, whatever a metaclass says of subclasses."""
    return any(one is base for one in bases_of_class(cls))


def passes_for(value: Any, kinds: type | tuple[type, ...]) -> bool:
    """Whether it is, or stands for, an instance of these: `isinstance`, but for what a lazy object would have to be
    made for."""
    if issubclass(type(value), kinds):
        return True
    said = own(value, "__class__")
    return is_class(said) and issubclass(said, kinds)


def is_lazy(value: Any) -> bool:
    """Whether code in Python tells what class it is: it stands for something that it may have to make for that."""
    return own(value, "__class__") is None


def own(value: Any, name: str) -> Any:
    """An attribute as Python finds it by itself: without `__getattr__`, `__getattribute__`, a metaclass's, or a
    property or another descriptor whose code is the host's; else None."""
    kind = type(value)
    if kind is not _FUNCTION and kind is not type and _is_told_by_host(kind, name):
        return None
    read = type.__getattribute__ if issubclass(kind, type) else object.__getattribute__
    try:
        return read(value, name)
    except AttributeError:
        return None


def _is_told_by_host(kind: type, name: str) -> bool:
    """Whether to read this attribute of an instance would run code in Python: a lazy object would be made by it."""
    found = _in_classes(kind, name)
    getter = _in_classes(type(found), "__get__")
    if type(getter) is _FUNCTION:
        return True
    if not issubclass(type(found), property):
        return False
    getter = object.__getattribute__(found, "fget")
    # wrapt's, without its C extension, and ours made from them: they look at nothing but what they wrap
    return type(getter) is _FUNCTION and not text(getter, "__module__").startswith(("wrapt.", f"{__package__}."))


def _in_classes(cls: type, name: str) -> Any:
    for base in bases_of_class(cls) or ():
        names = names_of_class(base)
        found = names.get(name, NOTHING)  # one look: another thread may take it away
        if found is not NOTHING:
            return found
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


def wrapping_engine() -> Any:
    """The engine `wrapping`; None where it is not loaded or another thread still loads it: nothing is wrapped then."""
    engine = sys.modules.get("lastcall.engines.wrapping")
    return None if engine is None or getattr(engine.__spec__, "_initializing", False) else engine


def unwrapped(value: Any) -> Any:
    """What lies in our wrappers."""
    wrapping = wrapping_engine()
    while wrapping is not None and wrapping.is_wrapper(value):
        value = wrapping.wrapped_by(value)
    return value
