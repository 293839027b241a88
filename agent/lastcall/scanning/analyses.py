"""The analyses that run on one file at a time, as functions from bytes to JSON-ready values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lastcall.scanning import bindings, detect
from lastcall.scanning.emissions import Knowledge
from lastcall.scanning.tree import Unreadable, read_source

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file: a JSON-ready value, or the reason why there is none."""

    value: Any = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Analysis:
    """A function of a file's bytes and some JSON-ready arguments; `version` changes when its results do."""

    run: Callable[[bytes, Any], Any]
    version: int


def _detect(data: bytes, arguments: Any) -> Any:
    emitters, categories, sometimes = map(frozenset, arguments)
    found = detect.detect(data, Knowledge(emitters, categories, sometimes))
    return {
        "marks": [mark.as_dict() for mark in found.marks],
        "emitters": found.emitters,
        "sometimes": found.sometimes,
        "categories": found.categories,
        "definitions": found.definitions,
        "imports": found.imports,
    }


def _bind(data: bytes, arguments: Any) -> Any:
    module, is_package, names = arguments
    return bindings.bind(data, module, is_package=is_package, names=frozenset(names))


ANALYSES = {
    "detect": Analysis(_detect, detect.DETECTOR),
    "bind": Analysis(_bind, bindings.BINDER),
}


def analyse_file(path: str, analysis: str, arguments: Any) -> Outcome:
    """Run one analysis on one file. Never raises: what cannot be read has a reason instead of a value."""
    try:
        return Outcome(ANALYSES[analysis].run(read_source(path), arguments))
    except Unreadable as error:
        return Outcome(reason=str(error))
    except Exception as error:  # noqa: BLE001 - one strange file must not cost the rest of the tree
        return Outcome(reason=f"not understood ({type(error).__name__}: {error}); please report this file")
