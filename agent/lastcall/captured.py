"""References to a target that were captured before it was armed, and what can be done about them.

A module attribute that is patched is not seen by `from m import f` in a circular import, by a registry, a
default argument, a closure. Whether there are any is told by the reference count; who they are costs a
walk over the heap, so that is done only when the count says so.
"""

from __future__ import annotations

import sys
from _weakref import getweakrefcount, getweakrefs, ref

from .asking import NOTHING
from .errors import native_lock

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import CodeType, FunctionType
    from typing import Any


def _count(namespace: Mapping[str, Any], name: str) -> int:
    return sys.getrefcount(namespace[name])


_ALONE = _count({"probe": []}, "probe")
FREE_THREADED = "t" in getattr(sys, "abiflags", "")
_NOT_COUNTED = 1 << 31
"""A reference count that is none: 3.13 gives such to what it never frees."""
UNKNOWN = -1
looking = native_lock()
"""Held by our own thread while it looks through the host's namespaces, and so holds what lies there."""
_LOOK = 0.05
"""Seconds that counting waits for such a look at one module to end."""


def _fresh_code() -> int:
    namespace: dict[str, Any] = {}
    exec("def probe(): pass", namespace)  # noqa: S102 - a function whose module has run, so that nothing else holds its code
    code = namespace["probe"].__code__
    return sys.getrefcount(code)


_CODE_ALONE = _fresh_code()
_SCANS = 50
_COMPILER = "numba"
_known_codes: dict[str, dict[int, CodeType]] = {}
"""By module, the code objects that somebody keeps, by their ids."""


class Weakly(ref):  # type: ignore[type-arg]
    """A weak reference of ours, told by its type from those of the host."""

    __slots__ = ()


def weakly(value: Any) -> Callable[[], Any]:
    """Gives `value` for as long as somebody else keeps it, or for ever if it cannot be referred to weakly."""
    try:
        return Weakly(value)
    except TypeError:
        return lambda: value


def code_is_known_elsewhere(function: FunctionType) -> bool:
    """Whether someone keeps this function's code object, to know frames by it or functions apart.

    Jinja's `internalcode` does: it leaves out of tracebacks what has one of the code objects it collected. Code
    with a prologue is another object. The reference count tells whether to look; a look walks over the heap, so
    there is one for each module, and an end to them.
    """
    code = function.__code__
    if getweakrefcount(code):
        return True
    if sys.getrefcount(code) <= _CODE_ALONE:
        return False
    module = function.__module__
    known = _known_codes.get(module)
    if known is None:
        codes = [code, *_codes_of(module)]
        known = _known_codes[module] = _collected(codes) if len(_known_codes) < _SCANS else {}
    return id(code) in known


def code_is_compiled_elsewhere(function: FunctionType) -> bool:
    """Whether the function's module has numba compile some of its functions: it knows no call of a prologue's.

    It reads the bytecode when the compiled function is first called, which is after the module was armed. Which
    functions it will read it does not tell: `register_jitable` hands out the function as it is.
    """
    if _COMPILER not in sys.modules:
        return False
    return any(_home_of(value).partition(".")[0] == _COMPILER for value in list(function.__globals__.values()))


def _home_of(value: Any) -> str:
    """The module that `value` is, or comes from; others than these would have to be asked."""
    kind = type(value)
    if kind is type(sys):
        home = vars(value).get("__name__")
    elif kind is type(_home_of):
        home = value.__module__
    else:
        home = type.__getattribute__(kind, "__module__")
    return home if type(home) is str else ""


def look_again_for_known_codes(function: FunctionType) -> None:
    """Ask anew for the module of a function: it has got other code since."""
    _known_codes.pop(function.__module__, None)


def _codes_of(module: str) -> list[CodeType]:
    found = []
    for value in list(getattr(sys.modules.get(module), "__dict__", {}).values()):
        for item in list(vars(value).values()) if type(value) is type else (value,):
            function = item.__func__ if type(item) in (classmethod, staticmethod) else item
            if type(function) is type(_codes_of):  # others would have to be asked
                found.append(function.__code__)
    return found


def _collected(codes: list[CodeType]) -> dict[int, CodeType]:
    """Which of `codes` somebody looks up in a set or dictionary, but for our own tables, whose keys are ids."""
    import gc

    wanted = {id(code): code for code in codes}
    found: dict[int, CodeType] = {}
    for holder in gc.get_referrers(*codes):
        if type(holder) is dict:
            items = [*holder, *(value for key, value in list(holder.items()) if key != id(value))]
        else:
            items = list(holder) if type(holder) in {set, frozenset} else []
        found.update((id(item), item) for item in items if id(item) in wanted)
    return found


def beside(namespace: Mapping[str, Any], name: str) -> int:
    """How many references there are to what `namespace` calls `name`, beside its own.

    UNKNOWN on free-threaded builds for functions, the counting of which they defer.
    """
    return _undisturbed(_beside_now, namespace, name)


def _undisturbed(count: Callable[[Mapping[str, Any], str], int], namespace: Mapping[str, Any], name: str) -> int:
    """A count that says there is somebody, taken again while our own thread is not one of them."""
    held = count(namespace, name)
    if held <= 0:
        return held
    waited = looking.acquire(timeout=_LOOK)
    try:
        return count(namespace, name)
    finally:
        if waited:
            looking.release()


def _beside_now(namespace: Mapping[str, Any], name: str) -> int:
    return _beside(_count(namespace, name), type(namespace[name]))


def _beside(count: int, kind: type) -> int:
    if FREE_THREADED and (count >= _NOT_COUNTED or kind in _DEFERRED):
        return UNKNOWN
    return max(count - _ALONE, 0)


def weakly_held(value: Any) -> int:
    """How many weak references the host has to `value`: who has one calls what it leads to."""
    return getweakrefcount(value) and sum(not isinstance(held, Weakly) for held in getweakrefs(value))


def beside_in_class(names: Mapping[str, Any], name: str) -> int:
    """The same for what a class has under a name: a function, or a descriptor and the functions in it.

    Weak references count as well. UNKNOWN if that is all that can be said.
    """
    return 0 if names.get(name, NOTHING) is NOTHING else _undisturbed(_beside_in_class_now, names, name)


def _beside_in_class_now(names: Mapping[str, Any], name: str) -> int:
    counts = [_beside_now(names, name), weakly_held(names[name])]
    kind = type(names[name])
    parts = _BOUND if kind in {classmethod, staticmethod} else _OF_PROPERTY if issubclass(kind, property) else ()
    for part in parts:
        function = part(names[name])
        if function is not None:
            del function
            counts.append(_beside(sys.getrefcount(part(names[name])), type(part(names[name]))))
            counts.append(weakly_held(part(names[name])))
    known = sum(count for count in counts if count != UNKNOWN)
    return UNKNOWN if not known and UNKNOWN in counts else known


_DEFERRED = (type(beside), type(sys.getrefcount))
_BOUND: tuple[Callable[[Any], Any], ...] = (lambda descriptor: descriptor.__func__,)
_OF_PROPERTY = tuple(property.__dict__[part].__get__ for part in ("fget", "fset", "fdel"))
