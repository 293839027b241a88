"""References to a target that were captured before it was armed, and what can be done about them.

A module attribute that is patched is not seen by `from m import f` in a circular import, by a registry, a
default argument, a closure. Whether there are any is told by the reference count; who they are costs a
walk over the heap, so that is done only when the count says so.
"""

from __future__ import annotations

import _weakref
import sys

from .asking import names_of_class
from .errors import getframe

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import CodeType, FunctionType
    from typing import Any


def _count(namespace: Mapping[str, Any], name: str) -> int:
    return sys.getrefcount(namespace[name])


def _fresh() -> int:
    namespace: dict[str, Any] = {}
    exec("def probe(): pass", namespace)  # noqa: S102 - a function that only its namespace holds
    return _count(namespace, "probe")


_ALONE = _fresh()
_FREE_THREADED = "t" in getattr(sys, "abiflags", "")
_WALKS = 200
"""Walks over the heap that a process may cost where reference counts do not say who needs one."""
_walks = 0


def _fresh_code() -> int:
    namespace: dict[str, Any] = {}
    exec("def probe(): pass", namespace)  # noqa: S102 - a function whose module has run, so that nothing else holds its code
    code = namespace["probe"].__code__
    return sys.getrefcount(code)


_CODE_ALONE = _fresh_code()
_SCANS = 50
_known_codes: dict[str, dict[int, CodeType]] = {}
"""By module, the code objects that somebody keeps, by their ids."""


def weakly(value: Any) -> Callable[[], Any]:
    """Gives `value` for as long as somebody else keeps it, or for ever if it cannot be referred to weakly."""
    try:
        return _weakref.ref(value)
    except TypeError:
        return lambda: value


def code_is_known_elsewhere(function: FunctionType) -> bool:
    """Whether someone keeps this function's code object, to know frames by it or functions apart.

    Jinja's `internalcode` does: it leaves out of tracebacks what has one of the code objects it collected. Code
    with a prologue is another object. The reference count tells whether to look; a look walks over the heap, so
    there is one for each module, and an end to them.
    """
    code = function.__code__
    if _weakref.getweakrefcount(code):
        return True
    if sys.getrefcount(code) <= _CODE_ALONE:
        return False
    module = function.__module__
    known = _known_codes.get(module)
    if known is None:
        codes = [code, *_codes_of(module)]
        known = _known_codes[module] = _collected(codes) if len(_known_codes) < _SCANS else {}
    return id(code) in known


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


def may_be_held_elsewhere(namespace: dict[str, Any], name: str) -> bool:
    """Whether anything but `namespace` may hold what it calls `name`.

    Free-threaded builds defer the counting of functions: there it may be so until `_WALKS` have been made for it,
    and after that if a loaded module holds it.
    """
    if not _FREE_THREADED:
        return _count(namespace, name) > _ALONE
    value = namespace[name]
    return _walks < _WALKS or any(
        names is not namespace and any(v is value for v in list(names.values())) for names in _namespaces()
    )


def is_held_elsewhere(namespace: Mapping[str, Any], name: str) -> bool:
    """The same without a walk: on free-threaded builds, which cannot tell, no."""
    return not _FREE_THREADED and _count(namespace, name) > _ALONE


def kept_by(namespace: dict[str, Any], name: str) -> list[str]:
    """Who holds the C function that `namespace` calls `name` and could not be given a wrapper in its place.

    To them a wrapper would be another object. A C extension that keeps a function of its own in a variable hands it
    out as it is: to a pickle that looks the name up and expects to find the same one. To ask costs a walk over the
    heap, so there is an end to it.
    """
    global _walks  # noqa: PLW0603 - a budget of the process
    references = _count(namespace, name) - _ALONE  # asked before anything here holds it, too
    value = namespace[name]
    # free-threaded builds do not count all; of functions only those in C need a wrapper
    if _FREE_THREADED or references <= 0 or type(value) is not type(sys.getrefcount) or _walks >= _WALKS:
        return []
    import gc

    from .engines.wrapping import is_wrapper

    _walks += 1
    frame = getframe()
    holders = gc.get_referrers(value)
    kept: list[str] = []
    left = references + 1  # with the namespace's own
    for holder in holders:
        if holder is frame or holder is holders:
            continue
        times = _times(gc.get_referents(holder), value)
        left -= times
        kind = type(holder)
        if kind is dict:
            stays = _times(list(holder), value) > 0
        elif kind is tuple:
            stays = not _is_of_defaults(holder)
        else:
            stays = kind not in _REBINDERS and kind.__name__ not in _TRANSIENT and not is_wrapper(holder)
        if stays:
            kept.append("a dictionary's key" if kind is dict else f"a {kind.__name__}")
    return [*kept, "C code"] if left > 0 else kept


def _times(items: list[Any], value: Any) -> int:
    times = 0
    for item in items:  # not `sum`, whose generator would keep the value in a cell, and so hold it
        times += item is value
    return times


def _is_of_defaults(held: tuple[Any, ...]) -> bool:
    import gc

    return any(getattr(owner, "__defaults__", None) is held for owner in gc.get_referrers(held))


def rebind(original: Any, replacement: Any) -> list[str]:
    """Put `replacement` where `original` was captured, wherever that is safe; say where it is not.

    Safe are the values of dictionaries (module and class namespaces, registries), list items, closure cells
    and default arguments. Keys, tuples, sets, bound methods and objects of C code stay, and are named in the
    result.
    """
    import gc

    from .engines.wrapping import is_wrapper

    global _walks  # noqa: PLW0603 - a budget of the process
    _walks += 1
    left: list[str] = []
    if _FREE_THREADED:
        _in_modules(original, replacement, left)
    holders = gc.get_referrers(original)
    for holder in holders:
        if holder is holders:
            continue
        step = _REBINDERS.get(type(holder))
        if step is not None:
            step(holder, original, replacement, left)
        elif type(holder).__name__ not in _TRANSIENT and not is_wrapper(holder):
            left.append(f"a {type(holder).__name__}")
    return left


def _namespaces() -> list[dict[str, Any]]:
    """Those of the loaded modules."""
    found = [getattr(module, "__dict__", None) for module in list(sys.modules.values())]
    return [names for names in found if type(names) is dict]


def _in_modules(original: Any, replacement: Any, left: list[str]) -> None:
    """What the collector does not show: 3.13 hides namespaces and functions from it once a second thread ran."""
    for names in _namespaces():
        for value in list(names.values()):
            defaults = value.__defaults__ if type(value).__name__ == "function" else None
            if defaults and any(held is original for held in defaults):
                value.__defaults__ = _replaced(defaults, original, replacement)
            if issubclass(type(value), type):
                for name, held in list(names_of_class(value).items()):
                    if held is original:
                        type.__setattr__(value, name, replacement)
        _in_dict(names, original, replacement, left)


def _in_dict(holder: dict[Any, Any], original: Any, replacement: Any, left: list[str]) -> None:
    cls = _class_of(holder) if "__module__" in holder else None
    for key, value in list(holder.items()):
        if value is original and key != "__wrapped__":  # functools.wraps: the way back, not a way in
            if cls is None:
                holder[key] = replacement
            else:  # past the class, Python would go on finding what it found there before
                type.__setattr__(cls, key, replacement)
        if key is original:
            left.append("a dictionary's key")


def _class_of(holder: dict[Any, Any]) -> type | None:
    """The class whose namespace this is."""
    import gc

    return next((owner for owner in gc.get_referrers(holder) if _is_namespace_of(owner, holder)), None)


def _is_namespace_of(owner: Any, holder: dict[Any, Any]) -> bool:
    if not issubclass(type(owner), type):
        return False
    names = names_of_class(owner)
    return len(names) == len(holder) and all(names.get(key) is value for key, value in list(holder.items()))


def _in_list(holder: list[Any], original: Any, replacement: Any, _left: list[str]) -> None:
    for index, value in enumerate(holder):
        if value is original:
            holder[index] = replacement


def _in_cell(holder: Any, original: Any, replacement: Any, _left: list[str]) -> None:
    if holder.cell_contents is original:
        holder.cell_contents = replacement


def _in_tuple(holder: tuple[Any, ...], original: Any, replacement: Any, left: list[str]) -> None:
    import gc

    for owner in gc.get_referrers(holder):
        if getattr(owner, "__defaults__", None) is holder and type(owner).__name__ == "function":
            owner.__defaults__ = _replaced(holder, original, replacement)
            return
    left.append("a tuple")


def _replaced(items: tuple[Any, ...], original: Any, replacement: Any) -> tuple[Any, ...]:
    return tuple(replacement if item is original else item for item in items)


def _in_function(_holder: Any, _original: Any, _replacement: Any, _left: list[str]) -> None:
    """A function refers to its closure and defaults, which are holders of their own."""


def _cell_type() -> type:
    value = None
    return type((lambda: value).__closure__[0])  # type: ignore[index]


_REBINDERS: dict[type, Callable[[Any, Any, Any, list[str]], None]] = {
    dict: _in_dict,
    list: _in_list,
    tuple: _in_tuple,
    _cell_type(): _in_cell,
    type(_in_dict): _in_function,
}
_TRANSIENT = frozenset(
    {"frame", "generator", "coroutine", "Target", "Found", "list_iterator"}
)
