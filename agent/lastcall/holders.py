"""Who holds a target under some name: re-exports, class attributes, registries.

Deleting a shim breaks a module that imports it, whether or not anybody calls it there. Found by looking at
the namespaces of the loaded modules: in the background, and at exit in a process too short for that.
The line of the import statement is found later, by parsing the file that holds the name.
"""

from __future__ import annotations

import os
import sys

from .callsite import APPLICATION, THIRD_PARTY, file_kind

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from .targets import Target

    Held = tuple[str, str, str, str, str]

MAX_REGISTRY = 2_000
"""Dictionaries and lists at module level longer than this are data, not registries."""
_PLAIN = (str, bytes, int, float, bool, type(None))
_BOUND = (classmethod, staticmethod)
"""What holds a function of a class without being it. Other objects are not asked: their answer may be an import."""


class Holders:
    """Finds references; `find` looks only at modules that are new since the last call, unless targets are."""

    def __init__(self) -> None:
        self._known: set[tuple[str, str, str, str]] = set()
        self._looked: dict[str, tuple[int, int]] = {}
        self._watched = 0

    def find(self, targets: Iterable[Target], *, thorough: bool = True) -> list[Held]:
        """(target, module, name, file, how) of each reference not known before. Leaves lazy modules lazy.

        Classes and registries are looked into for the application's modules, and for installed packages if
        `thorough`; the standard library has only its own.
        """
        wanted: dict[int, Target] = {}
        for target in targets:
            if target.kind in ("function", "class", "method"):
                for value in target.objects:
                    if not isinstance(value, _PLAIN):
                        wanted[id(value)] = target
        if len(wanted) != self._watched:
            self._watched = len(wanted)
            self._looked.clear()
        found: list[Held] = []
        if wanted:
            for name, module in list(sys.modules.items()):
                names = module.__dict__ if type(module).__name__ == "module" else None
                if names is None or self._looked.get(name) == (id(module), len(names)):
                    continue
                self._looked[name] = (id(module), len(names))
                kind = APPLICATION if name == "__main__" else file_kind(names.get("__file__") or "<frozen >")
                deep = kind == APPLICATION or (thorough and kind == THIRD_PARTY)
                if deep or not wanted.keys().isdisjoint(map(id, names.values())):  # in C, for most modules
                    found.extend(self._in_module(name, module, dict(names), wanted))
        return found

    def _in_module(
        self, module_name: str, module: Any, names: dict[str, Any], wanted: dict[int, Target]
    ) -> Iterable[Held]:
        for name, value in names.items():
            for holder_name, held, how in _looked_into(module_name, name, value):
                target = wanted.get(id(held))
                if target is None or (how == "module" and _is_definition(target, module_name, name)):
                    continue
                if how == "class" and target.module == module_name and holder_name == target.qualname:
                    continue
                key = (target.ref, module_name, holder_name, how)
                if key not in self._known:
                    self._known.add(key)
                    yield target.ref, module_name, holder_name, _file_of(module_name, module), how


def _looked_into(module: str, name: str, value: Any) -> Iterable[tuple[str, Any, str]]:
    """A name and what is one step below it: a class's attributes, a registry's values."""
    yield name, value, "module"
    kind = type(value)
    if kind is dict and name != "__builtins__" and len(value) <= MAX_REGISTRY:
        for key, held in list(value.items()):
            yield f"{name}[{key!r}]" if isinstance(key, (str, int)) else f"{name}[...]", held, "registry"
    elif kind in (list, tuple) and len(value) <= MAX_REGISTRY:
        for index, held in enumerate(list(value)):
            yield f"{name}[{index}]", held, "registry"
    elif issubclass(kind, type) and value.__module__ == module:  # isinstance() would ask a proxy what it stands for
        for inner, held in list(vars(value).items()):
            yield f"{name}.{inner}", held.__func__ if issubclass(type(held), _BOUND) else held, "class"


def _file_of(name: str, module: Any) -> str:
    file = vars(module).get("__file__")  # a module's own `__getattr__` is not for us to call
    if file is None and name == "__main__" and sys.argv and sys.argv[0].endswith(".py"):
        file = sys.argv[0]  # Python takes the script's `__file__` away before the exit handlers run
    return os.path.abspath(file) if file else ""


def _is_definition(target: Target, module: str, name: str) -> bool:
    return module == target.module and name == target.qualname.partition(".")[0]
