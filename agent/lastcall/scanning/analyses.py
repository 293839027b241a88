"""The analyses that run on one file at a time, as functions from bytes to JSON-ready values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lastcall.scanning import bindings, detect
from lastcall.scanning.emissions import Knowledge

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
    emitters, categories = arguments
    found = detect.detect(data, Knowledge(frozenset(emitters), frozenset(categories)))
    if not (found.marks or found.emitters or found.categories):
        return None
    return {
        "marks": [mark.as_dict() for mark in found.marks],
        "emitters": found.emitters,
        "categories": found.categories,
        "definitions": found.definitions,
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
        return Outcome(ANALYSES[analysis].run(Path(path).read_bytes(), arguments))
    except detect.Unreadable as error:
        return Outcome(reason=str(error))
    except OSError as error:
        return Outcome(reason=f"cannot be read: {error.strerror}")
    except Exception as error:  # noqa: BLE001 - one strange file must not cost the rest of the tree
        return Outcome(reason=f"not understood ({type(error).__name__}: {error}); please report this file")
