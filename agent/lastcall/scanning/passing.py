"""Whether a call passes a certain argument: by name, by position, or perhaps by `*` and `**`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lastcall.scanning.resolving import UNKNOWN

if TYPE_CHECKING:
    from lastcall.scanning.resolving import Graph

CONSTRUCTORS = (".__init__", ".__new__")


def passes(graph: Graph, target: str, parameter: str, path: str, detail: Any) -> bool | None:
    """Whether a call through `path` passes `parameter` of the function or class `target`.

    True by name or position; False maybe, by `*`, `**` or through a function that hands its arguments on; None not.
    `detail` is what `bindings` noted of the call.
    """
    if not isinstance(detail, list):
        return None
    count, *keywords = detail
    if parameter in keywords:
        return True
    positional = _positional(graph, target)
    if parameter in positional:
        by_hand = _passes_self(graph, target, path.removeprefix("~"))
        if count > positional.index(parameter) + by_hand:
            return "*" not in keywords
    return False if {"*", "**", f"{parameter}?"} & set(keywords) else None


def _positional(graph: Graph, target: str) -> list[str]:
    module, qualname = graph.locate(target)
    bindings = graph.bindings(module) if module else None
    if bindings is None:
        return []
    known: dict[str, list[str]] = bindings["parameters"]
    return known.get(qualname) or known.get(qualname + ".__init__") or known.get(qualname + ".__new__") or []


def _passes_self(graph: Graph, target: str, path: str) -> bool:
    """Whether a call through `path` passes by hand what is bound otherwise: `Class.method(instance, ...)`."""
    owner, _, last = path.rpartition(".")
    if last == "__new__":
        return True
    if last != "__init__":
        module, qualname = graph.locate(target)
        bindings = graph.bindings(module) if module else None
        if bindings is None or qualname not in bindings["instance_methods"]:
            return False
    return not any(end.endswith(("()", "^", UNKNOWN)) for end in graph.resolve(owner))
