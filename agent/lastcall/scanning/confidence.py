"""How sure a warning or log line makes that the function it stands in is deprecated as a whole."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from lastcall.scanning.wording import (
    SAYS_DEPRECATED,
    about_passing,
    names_itself,
    of_its_class,
    sentence_says,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lastcall.scanning.emissions import Emission
    from lastcall.scanning.finding import Confidence

_HANDLERS = frozenset(
    (
        "observe",
        "validate",
        "validator",
        "field_validator",
        "model_validator",
        "root_validator",
        "default",
        "validates",
        "receiver",
        "listens_for",
        "on_trait_change",
        "event_handler",
        "connect",
    )
)
"""Decorators whose functions run when something else is set, read or sent."""
_OF_CONSTRUCTOR = re.compile(r"\b__(?:init|new)__`*(?:\(\))?\s+(?:method|signature|of)\b", re.IGNORECASE)
_CHANGES = re.compile(
    r"\W*(?:the\s+)?(?:default|behaviou?r|output|result)s?\b[^.]*\bwill\b(?!\s+be\s+(?:removed|dropped))", re.IGNORECASE
)
"""How words begin about what a callable will do from some release on."""


def emission_confidence(item: Emission, qualname: str) -> Confidence:
    """How sure one warning or log line makes."""
    if item.conditions:
        # Most such words are about a way to call it, a setting, a kind of value.
        about_itself = item.strong and not about_passing(item.text) and names_itself(item.text, qualname)
        return "medium" if about_itself else "low"
    if not item.strong:
        return "low"
    if not item.sure:
        return "medium"
    if _OF_CONSTRUCTOR.search(item.text) or of_its_class(item.text, qualname.rpartition(".")[0]):
        return "medium"
    says = sentence_says(item.text, qualname, first=True, emitted=True)
    if item.kind == "log":
        return "medium" if says is None or says == "low" else says
    verdict = says if SAYS_DEPRECATED.search(item.text) else "low" if _CHANGES.match(item.text) else "high"
    # A warning that every call gives is about the callable, unless its words are about an argument.
    return "medium" if verdict == "low" else "high"


def speaks_of(found: Iterable[Emission], *names: str) -> bool:
    """Whether the words of some warning hold one of the names, and not only that of a part of it."""
    own = re.compile(rf"\b(?:{'|'.join(map(re.escape, names))})\b(?!\.\w)")
    return any(own.search(item.text) for item in found)


def always(found: Sequence[Emission]) -> bool:
    """Whether a helper or decorator warns each time, as far as its own conditions tell."""
    own = [item for item in found if item.kind == "warning"]
    return not own or any(not item.conditions for item in own)


def of_handler(found: list[Emission], qualname: str, decorators: Iterable[str]) -> list[Emission]:
    """What a method gives that is called for what something else does: an argument parser's action, a
    descriptor's result, a listener. What does not speak of the method or its class is then a mention."""
    owner, _, name = qualname.rpartition(".")
    if not owner or (name != "__call__" and _HANDLERS.isdisjoint(decorators)):
        return found
    names = (name, owner.rpartition(".")[2])
    return [item if speaks_of([item], *names) else replace(item, strong=False) for item in found]
