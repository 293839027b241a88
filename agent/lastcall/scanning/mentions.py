"""Where a file may speak of deprecation at all: most files, and most lines of the others, are not looked at closer."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_HINT = re.compile(
    rb"deprecat|legacy|obsolete|compat|shim|removedin|futurewarning|old|get_\w+_factory|todo|fixme"
    rb"|remove (?:this|before|after|in|by)\b",
    re.IGNORECASE,
)
_WORDS = (
    "deprecat", "legacy", "obsolete", "backward", "compat", "shim", "removed_", "removedin", "removedas",
    "futurewarning", "old", "_factory", "todo", "fixme", "will be removed",
    "no longer supported", "scheduled for removal", "remove this", "remove before", "remove after", "remove in",
    "remove by",
)  # fmt: skip
"""Without one of these words in its lines a definition is not worth a look. Some of the names it uses join them."""
_MAKES_LOGGERS = re.compile(
    r"^[ \t]*(?:self\.|cls\.)?(\w+)(?:[ \t]*:[^=\n]+)?[ \t]*=[ \t]*(?:[\w.]+\.)?"
    r"(?:getLogger|get_logger|getChild|wrap_logger|get_task_logger|LoggerAdapter)\("
    r"|^[ \t]*from[ \t]+(?:loguru|structlog)[^\n]*\blogger[ \t]+as[ \t]+(\w+)"
)


def may_mention(data: bytes, names: Iterable[str]) -> bool:
    """Whether a file holds a word that may mean deprecation, or one of `names`, which do elsewhere."""
    return bool(_HINT.search(data)) or any(name.encode() in data for name in names)


class Mentions:
    """The lines of a file that hold such a word, or one of `names`."""

    def __init__(self, lines: Sequence[str], names: Iterable[str]) -> None:
        text = "\n".join(lines).lower()
        starts = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
        found = set()
        for word in (*_WORDS, *(name.lower() for name in names)):  # much faster than one expression for all
            at = text.find(word)
            while at >= 0:
                line = bisect_right(starts, at)
                found.add(line)
                at = text.find(word, starts[line])
        self._lines = sorted(found)

    def none_in(self, first: int, last: int) -> bool:
        """Whether no line from `first` to `last` is one of them."""
        at = bisect_left(self._lines, first)
        return at == len(self._lines) or self._lines[at] > last


def loggers_in(text: str, lines: Sequence[str]) -> Iterator[str]:
    """The names that a file gives to what it gets for a logger."""
    if "ogger" in text or "getChild" in text:
        for line in lines:
            found = _MAKES_LOGGERS.match(line) if "ogger" in line or "getChild" in line else None
            if found:
                yield found[1] or found[2]
