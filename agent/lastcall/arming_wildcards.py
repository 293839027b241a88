"""From a wildcard to the targets that it makes as modules appear."""

from __future__ import annotations

from .asking import is_class, is_spelled, text
from .callsite import glob_match
from .lookup import Found, find, kind_of

TYPE_CHECKING = False  # typing costs a bare host 5 ms, and 1 ms more at its end
if TYPE_CHECKING:
    from types import ModuleType

    from .patch import Patcher
    from .targets import Target

LIMIT = 50_000
"""Targets in one process, from which on wildcards make no more."""


def expand(
    patcher: Patcher, wildcard: Target, module: ModuleType, name: str, *, late: str, only_new: bool = False
) -> None:
    """Arm what `wildcard` matches in `module`. `only_new`: and what is no target yet."""
    if not wildcard.qualname:
        if only_new:
            return
        child = patcher.add(wildcard.child(name))
        patcher.arm(child, module, late=late)
        return
    for qualname in matching_names(module, name, wildcard.qualname):
        if len(patcher.by_ref) >= LIMIT:
            patcher.recorder.drop("target-limit")
            return
        for parameter in _matching_parameters(wildcard, module, qualname):
            ref = f"{name}:{qualname}{parameter}"
            if only_new and ref in patcher.by_ref:
                continue
            child = patcher.add(wildcard.child(ref))
            patcher.arm(child, module, late=late)
    wildcard.state, wildcard.reason = "armed", ""
    patcher.changed(wildcard)


def _matching_parameters(wildcard: Target, module: ModuleType, qualname: str) -> list[str]:
    """The arguments of `module:qualname` that a wildcard means, as they are written behind a reference.

    One empty one for a wildcard that means the whole function.
    """
    if not wildcard.parameter:
        return [""]
    from .engines.parameters import names_of

    found = find(module, qualname)
    names = names_of(found.value) if found is not None else ()
    return [f"({name}=)" for name in names if glob_match(wildcard.parameter, name)]


def matching_names(module: ModuleType, module_name: str, pattern: str) -> list[str]:
    """The public names defined in `module` that `pattern` covers, in definition order.

    Only callables and classes that are at home there: a wildcard does not reach what a module imports. A
    leading underscore is matched only by a pattern that writes it.
    """
    first, _, rest = pattern.partition(".")
    names = []
    for name, value in list(vars(module).items()):
        if not is_spelled(name) or not glob_match(first, name):
            continue
        if name.startswith("_") and not first.startswith("_"):
            continue
        if not callable(value) or text(value, "__module__") != module_name or not text(value, "__qualname__"):
            continue  # what has no name of its own is an instance, perhaps a lazy one
        found = Found(module, module, name, value)
        if not rest:
            if kind_of(found) in ("function", "class"):
                names.append(name)
        elif is_class(value) and text(value, "__qualname__") == name:
            names.extend(f"{name}.{inner}" for inner in _members(value, rest))
    return names


def _members(cls: type, pattern: str) -> list[str]:
    first, _, rest = pattern.partition(".")
    names: list[str] = []
    for name, value in list(cls.__dict__.items()):
        if not is_spelled(name) or not glob_match(first, name):
            continue
        if name.startswith("_") and not first.startswith("_"):
            continue
        if rest:
            if is_class(value) and text(value, "__qualname__") == f"{cls.__qualname__}.{name}":
                names.extend(f"{name}.{inner}" for inner in _members(value, rest))
        elif (
            issubclass(type(value), (classmethod, staticmethod, property))
            or type(value).__name__ == "function"
        ):
            names.append(name)
    return names
