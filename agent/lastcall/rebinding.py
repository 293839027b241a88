"""Who holds a target that was captured before it was armed, found by a walk over the heap.

Loaded when a reference count says that there is such a reference and only a wrapper can see the target's uses: where
that is safe the wrapper takes the original's place, and the rest is named.
"""

from __future__ import annotations

import gc
import sys
from _collections import deque
from types import (
    AsyncGeneratorType,
    CellType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
    MemberDescriptorType,
)

from .asking import bases_of_class, names_of_class, own
from .captured import FREE_THREADED, UNKNOWN, beside, weakly, weakly_held
from .engines import Undo, wrapping

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

WALKS = 200
"""Walks over the heap that a process may cost where reference counts do not say who needs one."""
_walks = 0

_KEPT = wrapping.ORIGINAL
UNSEEN = "C code or a function that is running"


def kept_by(namespace: dict[str, Any], name: str) -> list[str]:
    """Who holds the C function that `namespace` calls `name` and could not be given a wrapper in its place.

    To them a wrapper would be another object. A C extension that keeps a function of its own in a variable hands it
    out as it is: to a pickle that looks the name up and expects to find the same one. To ask costs a walk over the
    heap, so there is an end to it.
    """
    global _walks  # noqa: PLW0603 - a budget of the process
    references = beside(namespace, name)  # asked before anything here holds it, too
    value = namespace[name]
    # of functions only those in C need a wrapper; that there are none, or that nobody counts them, is no reason
    if references <= 0 or type(value) is not type(sys.getrefcount) or _walks >= WALKS:
        return []
    _walks += 1
    holders = gc.get_referrers(value)
    kept: list[str] = []
    left = references + 1  # with the namespace's own
    for holder in holders:
        if holder is holders:
            continue
        times = _times(gc.get_referents(holder), value)
        left -= times
        kind = type(holder)
        if kind is dict:
            stays = _times(list(holder), value) > 0
        elif kind is tuple:
            stays = not _functions_with_defaults(holder)
        else:
            stays = kind not in _REBINDERS and not _is_ours(holder)
        if stays:
            kept.append("a dictionary's key" if kind is dict else _spelled(kind))
    return [*kept, "C code"] if left > 0 else kept


def _times(items: list[Any], value: Any) -> int:
    times = 0
    for item in items:  # not `sum`, whose generator would keep the value in a cell, and so hold it
        times += item is value
    return times


def rebind(original: Any, replacement: Any, references: int, known: Sequence[Any] = ()) -> list[str]:
    """Put `replacement` where `original` was captured, wherever that is safe; say where it is not.

    Safe are the values of dictionaries (module and class namespaces, registries), list items, closure cells, default
    arguments and the attributes of instances. Keys, tuples, sets, bound methods and objects of C code stay, and are
    named in the result. `references` is how many there were before we held it ourselves, as `known` does now: what is
    more than we find is held by what the collector does not see. If it is UNKNOWN, that cannot be told.
    """
    global _walks  # noqa: PLW0603 - a budget of the process
    left = ["a weak reference"] if weakly_held(original) else []
    if FREE_THREADED:
        _in_modules(original, replacement, left)
        if references == UNKNOWN and _walks >= WALKS:
            return left
    _walks += 1
    holders = gc.get_referrers(original)
    # from 3.13 on both an instance and its dictionary hold its attributes, which are one reference: gone once re-bound
    holders.sort(key=_is_no_dictionary)
    for holder in holders:
        if holder is holders or holder is known or _is_of(holder, replacement):
            continue
        references -= _times(gc.get_referents(holder), original)
        if not _is_ours(holder):
            _in_any(holder, original, replacement, left)
    return [*left, UNSEEN] if references > 0 else left


def undo_of(wrapper: Any) -> Callable[[], None]:
    """What gives those that were given `wrapper` the original again, and others to whom it came since."""
    return Undo(_put_back, weakly(wrapping.inner(wrapper)))


def _put_back(known: Callable[[], Any]) -> None:
    wrapper = known()
    if wrapper is None:
        return
    original = wrapping.wrapped_by(wrapper)
    if FREE_THREADED:
        _in_modules(wrapper, original, [])
    for holder in gc.get_referrers(wrapper):
        if not _is_ours(holder):
            _in_any(holder, wrapper, original, [])


def _is_no_dictionary(holder: Any) -> bool:
    return type(holder) is not dict


def _is_of(holder: Any, replacement: Any) -> bool:
    """Whether this came to hold the original with its wrapper."""
    wrapper = wrapping.inner(replacement)
    if type(holder) is dict:  # with what the wrapper keeps to put the original back
        return _KEPT in holder and holder.get("_self_tap") is wrapping.tap_of(wrapper)
    return holder is wrapper or (_is_ours(holder) and type(holder).__name__ == "Found")


def _is_ours(holder: Any) -> bool:
    """Whether we ourselves know a target by this."""
    if type(holder) is dict:
        return _KEPT in holder
    module = names_of_class(type(holder)).get("__module__")
    return wrapping.is_wrapper(holder) or (type(module) is str and module.startswith(f"{__package__}."))


def _namespaces() -> list[dict[str, Any]]:
    """Those of the loaded modules."""
    found = [getattr(module, "__dict__", None) for module in list(sys.modules.values())]
    return [names for names in found if type(names) is dict]


def _in_modules(original: Any, replacement: Any, left: list[str]) -> None:
    """What the collector does not show: 3.13 hides namespaces and functions from it once a second thread ran."""
    for names in _namespaces():
        for value in list(names.values()):
            if type(value) is FunctionType:
                _in_defaults(value, original, replacement)
            elif issubclass(type(value), type):
                for name, held in list(names_of_class(value).items()):
                    if held is original:
                        type.__setattr__(value, name, replacement)
        _in_dict(names, original, replacement, left)


def _in_any(holder: Any, original: Any, replacement: Any, left: list[str]) -> None:
    kind = type(holder)
    step = _REBINDERS.get(kind)
    if step is not None:
        step(holder, original, replacement, left)
        return
    if issubclass(kind, dict):
        _in_dict(holder, original, replacement, left)
    elif issubclass(kind, list):
        _in_list(holder, original, replacement, left)
    _in_attributes(holder, original, replacement, left)
    if _times(gc.get_referents(holder), original):
        left.append(_spelled(kind))


def _spelled(kind: type) -> str:
    return _SPELLED.get(kind.__name__) or f"a{'n' * (kind.__name__[0] in 'aeiou')} {kind.__name__}"


_SPELLED = {"hamt_bitmap_node": "a context's variable", "ReferenceType": "a weak reference, as what it calls"}


def _in_dict(holder: dict[Any, Any], original: Any, replacement: Any, left: list[str]) -> None:
    cls = _class_of(holder) if type(holder) is dict and "__module__" in holder else None
    for key, value in list(dict.items(holder)):
        if value is original:
            if cls is None:
                dict.__setitem__(holder, key, replacement)
            else:  # past the class, Python would go on finding what it found there before
                type.__setattr__(cls, key, replacement)
        if key is original and type(holder) is dict:
            left.append("a dictionary's key")


def _class_of(holder: dict[Any, Any]) -> type | None:
    """The class whose namespace this is."""
    return next((owner for owner in gc.get_referrers(holder) if _is_namespace_of(owner, holder)), None)


def _is_namespace_of(owner: Any, holder: dict[Any, Any]) -> bool:
    if not issubclass(type(owner), type):
        return False
    names = names_of_class(owner)
    return len(names) == len(holder) and all(names.get(key) is value for key, value in list(holder.items()))


def _in_list(holder: list[Any], original: Any, replacement: Any, _left: list[str]) -> None:
    for index, value in enumerate(list.__iter__(holder)):
        if value is original:
            list.__setitem__(holder, index, replacement)


def _in_deque(holder: deque[Any], original: Any, replacement: Any, _left: list[str]) -> None:
    for index, value in enumerate(list(holder)):
        if value is original:
            holder[index] = replacement


def _in_cell(holder: Any, original: Any, replacement: Any, _left: list[str]) -> None:
    if holder.cell_contents is original:
        holder.cell_contents = replacement


def _in_tuple(holder: tuple[Any, ...], original: Any, replacement: Any, left: list[str]) -> None:
    functions = _functions_with_defaults(holder)
    for function in functions:
        _in_defaults(function, original, replacement)
    if not functions:
        left.append("a tuple")


def _functions_with_defaults(held: tuple[Any, ...]) -> list[FunctionType]:
    return [owner for owner in gc.get_referrers(held) if type(owner) is FunctionType and owner.__defaults__ is held]


def _in_defaults(function: FunctionType, original: Any, replacement: Any) -> None:
    defaults = function.__defaults__
    if defaults and any(held is original for held in defaults):
        function.__defaults__ = tuple(replacement if held is original else held for held in defaults)


def _in_function(_holder: Any, _original: Any, _replacement: Any, _left: list[str]) -> None:
    """A function refers to its closure and defaults, which are holders of their own."""


def _in_frame(holder: Any, _original: Any, _replacement: Any, left: list[str]) -> None:
    """Before 3.11 a generator's variables are its frame's; what else has a frame has ended, kept by a traceback."""
    left += [_spelled(type(owner)) for owner in gc.get_referrers(holder) if type(owner) in _SUSPENDED]


def _in_attributes(holder: Any, original: Any, replacement: Any, left: list[str]) -> None:
    """From 3.11 on an instance holds its attributes itself, and on every version those that have slots."""
    names = own(holder, "__dict__")
    if type(names) is dict:
        _in_dict(names, original, replacement, left)
    for base in bases_of_class(type(holder)) or ():
        if "__slots__" not in names_of_class(base):  # in C, or nothing
            continue
        for slot in list(names_of_class(base).values()):
            if type(slot) is MemberDescriptorType and _is_in(slot, holder, original):
                slot.__set__(holder, replacement)


def _is_in(slot: MemberDescriptorType, holder: Any, original: Any) -> bool:
    try:
        return slot.__get__(holder) is original
    except AttributeError:  # not filled
        return False


_REBINDERS: dict[type, Callable[[Any, Any, Any, list[str]], None]] = {
    dict: _in_dict,
    list: _in_list,
    deque: _in_deque,
    tuple: _in_tuple,
    CellType: _in_cell,
    FunctionType: _in_function,
    FrameType: _in_frame,
}
_SUSPENDED = (GeneratorType, CoroutineType, AsyncGeneratorType)
