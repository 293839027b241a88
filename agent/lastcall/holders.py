"""Who holds a target under some name: re-exports, class attributes, registries.

Deleting a shim breaks a module that imports it, whether or not anybody calls it there. Found by looking at
the namespaces of the loaded modules: in the background, and at exit in a process too short for that.
The line of the import statement is found later, by parsing the file that holds the name.
"""

from __future__ import annotations

import os
import sys
from _collections import OrderedDict, defaultdict
from _functools import partial  # type: ignore[import-not-found]  # without it a module more would be loaded
from types import FunctionType, MethodType

from .asking import LAZY, names_of_class
from .callsite import APPLICATION, THIRD_PARTY, file_kind
from .captured import looking

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from .targets import Target

    Held = tuple[str, str, str, str, str]

MAX_REGISTRY = 2_000
"""Dictionaries and lists at module level longer than this are data, not registries."""
_PLAIN = frozenset((str, bytes, int, float, bool, type(None), type(sys)))
_BOUND = (classmethod, staticmethod)
"""What holds a function of a class without being it. Other objects are not asked: their answer may be an import."""
_FROZEN = getattr(sys.modules["builtins"], "frozendict", dict)  # from 3.15 on
_REGISTRIES = frozenset((dict, list, tuple, set, frozenset, defaultdict, OrderedDict, _FROZEN))
_DEEP = 2
"""Registries in registries that are looked into: `ROUTES = {"ws": {"make": f}}`."""
_name_of_class = type.__dict__["__name__"].__get__
"""As `type` reads them: a metaclass may have others."""


class Holders:
    """Finds references; `find` looks only at modules that are new since the last call, unless targets are."""

    def __init__(self) -> None:
        self._known: set[tuple[str, str, str, str]] = set()
        self._looked: dict[str, tuple[int, int, int]] = {}
        self._registries: dict[tuple[str, str], int] = {}
        """(module, name) of the registries that were looked into, with how much was in them."""
        self._watched = 0
        self._lazy: set[str] = set()
        """Modules some names of which an import statement was still to load when they were looked at (PEP 810)."""

    def find(self, targets: Iterable[Target], *, thorough: bool = True) -> list[Held]:
        """(target, module, name, file, how) of each reference not known before. Leaves lazy modules lazy.

        Classes, registries and functions are looked into for the application's modules, and for installed packages
        if `thorough`; the standard library has only its own.
        """
        wanted = _by_id(targets)
        to_come = _to_come(targets)
        if len(wanted) + len(to_come) != self._watched:
            self._watched = len(wanted) + len(to_come)
            self._looked.clear()
        found: list[Held] = []
        if wanted or to_come:
            self._forget_what_grew()
            for name, module in list(sys.modules.items()):
                names = _names_of(module)
                if names is None:
                    continue
                # without the two that Python takes away from the script before the exit handlers run
                size = len(names) - ("__file__" in names) - ("__cached__" in names)
                looked = id(module), size, _lazy_in(names) if name in self._lazy else 0
                if self._looked.get(name) == looked:
                    continue
                self._looked[name] = looked
                own = names.get("__name__")
                if type(own) is str and own != name and sys.modules.get(own) is module:
                    continue  # another name for it (`requests.packages.urllib3`) holds nothing of its own
                file = names.get("__file__")
                kind = (
                    APPLICATION
                    if name == "__main__"
                    else file_kind(file if type(file) is str else "<frozen >")
                )
                deep = kind == APPLICATION or (thorough and kind == THIRD_PARTY)
                with looking:
                    held, meant = dict(names), wanted  # as it is now: other threads write there
                    if LAZY is not None and LAZY in map(type, held.values()):
                        self._lazy.add(name)
                        self._looked[name] = id(module), size, _lazy_in(held)
                        meant = wanted | _to_be_loaded(held, wanted, to_come)
                    found.extend(self._look(name, module, held, meant, deep=deep))
        return found

    def _look(
        self, name: str, module: Any, held: dict[str, Any], wanted: dict[int, Target], *, deep: bool
    ) -> list[Held]:
        if deep or not wanted.keys().isdisjoint(map(id, held.values())):  # in C, for most modules
            return list(self._in_module(name, module, held, wanted))
        return []

    def _forget_what_grew(self) -> None:
        """Registries fill when the modules around them are loaded, or later: those modules are looked at again."""
        for (module_name, name), size in list(self._registries.items()):
            names = getattr(sys.modules.get(module_name), "__dict__", None)
            value = names.get(name) if type(names) is dict else None
            if value is None or type(value) not in _REGISTRIES or len(value) != size:
                del self._registries[module_name, name]
                self._looked.pop(module_name, None)

    def _in_module(
        self, module_name: str, module: Any, names: dict[str, Any], wanted: dict[int, Target]
    ) -> Iterable[Held]:
        for name, value in names.items():
            found: list[tuple[str, int, str]] = []
            target = wanted.get(id(value))
            if target is not None and not _is_definition(target, module_name, name):
                found.append((name, id(value), "module"))
            if type(value) in _REGISTRIES and name != "__builtins__" and len(value) <= MAX_REGISTRY:
                self._registries[module_name, name] = len(value)
            if name != "__builtins__":
                _look_into(name, value, module_name, wanted, found)
            for holder_name, held, how in found:
                target = wanted[held]
                if how == "class" and target.module == module_name and holder_name == target.qualname:
                    continue
                key = (target.ref, module_name, holder_name, how)
                if key not in self._known:
                    self._known.add(key)
                    yield target.ref, module_name, holder_name, _file_of(module_name, module), how


def _names_of(module: Any) -> dict[str, Any] | None:
    """The namespace of what lies in `sys.modules`, if it is a module: anything can lie there."""
    return module.__dict__ if _name_of_class(type(module)) == "module" else None


def _lazy_in(names: dict[str, Any]) -> int:
    """How many names of a module an import statement is still to load."""
    return list(map(type, list(names.values()))).count(LAZY)


def _to_come(targets: Iterable[Target]) -> dict[str, Target]:
    """The targets by the names that an import statement may have for them, where it need not load them at once."""
    if not getattr(sys, "lazy_modules", ()):  # from 3.15 on
        return {}
    return {
        f"{target.module}.{target.qualname}": target for target in targets if target.kind in ("function", "class")
    }


def _to_be_loaded(
    names: dict[str, Any], wanted: dict[int, Target], to_come: dict[str, Target]
) -> dict[int, Target]:
    """The targets that names of a module stand for which are still to be loaded, as far as that is known without."""
    found: dict[int, Target] = {}
    for value in names.values():
        held, steps = value, 0
        while type(held) is LAZY and steps <= _DEEP:
            path = repr(held).partition(" ")[2][1:-2]  # <lazy_import 'module.name'>
            target = to_come.get(path)
            if target is not None:
                found[id(value)] = target
                break
            module, _, name = path.rpartition(".")
            held = (_names_of(sys.modules.get(module)) or {}).get(name)
            steps += 1
        else:
            if held is not value and id(held) in wanted:
                found[id(value)] = wanted[id(held)]
    return found


def _by_id(targets: Iterable[Target]) -> dict[int, Target]:
    wanted: dict[int, Target] = {}
    for target in targets:
        if target.kind in ("function", "class", "method"):
            for value in target.objects:
                if type(value) not in _PLAIN:
                    wanted[id(value)] = target
    return wanted


# Nothing of the host's is run below: only exact built-in types are opened, and by their own methods; keys are spelled
# where spelling them runs nothing.


def _look_into(  # noqa: PLR0917 - a recursion that collects
    name: str,
    value: Any,
    module: str,
    wanted: dict[int, Target],
    found: list[tuple[str, int, str]],
    depth: int = 0,
) -> None:
    """What lies below a name: a class's attributes, a registry's values, what a function or a partial keeps."""
    kind = type(value)
    if kind in _PLAIN:
        return
    if kind is FunctionType:
        _look_into_function(name, value, module, wanted, found)
        return
    for inner, held, how in _parts(kind, value, module) if depth <= _DEEP else ():
        if id(held) in wanted:
            found.append((name + inner, id(held), how))
        kind = type(held)
        if how == "class":  # its functions keep defaults, its tables are registries
            _look_into(name + inner, held, module, wanted, found, depth + issubclass(kind, type))
        elif kind in _REGISTRIES or kind is MethodType or kind is partial:
            _look_into(name + inner, held, module, wanted, found, depth + 1)


def _parts(kind: type, value: Any, module: str) -> Iterable[tuple[str, Any, str]]:
    """(how it is reached, what it is, kind) of what an object holds."""
    if kind in _REGISTRIES:
        if len(value) <= MAX_REGISTRY:
            for key, held in _items(value):
                yield f"[{_spelled(key)}]", held, "registry"
    elif kind is MethodType:
        yield ".__func__", value.__func__, "bound"
    elif kind is partial:
        yield ".func", value.func, "partial"
        for index, held in enumerate(value.args):
            yield f".args[{index}]", held, "partial"
    elif issubclass(kind, type):  # isinstance() would ask a proxy what it stands for
        names = names_of_class(value)
        if _is(names.get("__module__"), module):
            for inner, attribute in list(names.items()):
                yield f".{inner}", attribute.__func__ if type(attribute) in _BOUND else attribute, "class"


def _look_into_function(
    name: str,
    function: FunctionType,
    module: str,
    wanted: dict[int, Target],
    found: list[tuple[str, int, str]],
) -> None:
    """The defaults and the closure of a function that the module itself defines."""
    defaults, named, closure = function.__defaults__, function.__kwdefaults__, function.__closure__
    if (defaults is None and named is None and closure is None) or not _is(function.__module__, module):
        return
    for index, held in enumerate(defaults or ()):
        if id(held) in wanted:
            found.append((f"{name}.__defaults__[{index}]", id(held), "default"))
    for parameter, held in dict.items(named or {}):
        if id(held) in wanted:
            found.append((f"{name}.__kwdefaults__[{parameter!r}]", id(held), "default"))
    for index, cell in enumerate(closure or ()):
        try:
            held = cell.cell_contents
        except ValueError:  # not filled yet
            continue
        if id(held) in wanted:
            variable = function.__code__.co_freevars[index]
            found.append((f"{name}.__closure__[{variable!r}]", id(held), "closure"))


def _items(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, dict):
        return list(dict.items(value))
    if type(value) is _FROZEN:
        return list(value.items())
    listed = list(value)
    return list(enumerate(listed)) if type(value) in (list, tuple) else [(..., held) for held in listed]


def _is(name: Any, module: str) -> bool:
    return type(name) is str and name == module


def _spelled(key: Any) -> str:
    return repr(key) if type(key) in (str, int) else "..."


def _file_of(name: str, module: Any) -> str:
    file = vars(module).get("__file__")  # a module's own `__getattr__` is not for us to call
    if file is None and name == "__main__" and sys.argv and sys.argv[0].endswith(".py"):
        file = sys.argv[0]  # Python takes the script's `__file__` away before the exit handlers run
    return os.path.abspath(file) if file else ""


def _is_definition(target: Target, module: str, name: str) -> bool:
    return module == target.module and name == target.qualname.partition(".")[0]
