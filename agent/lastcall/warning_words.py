"""What a warning or a log record says, as far as it may be kept: its category, and its words without anybody's data."""

from __future__ import annotations

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from typing import Any

MAX_NOTE = 300
"""Characters of a message that are kept."""
_PLAIN = (int, float, bool, bytes, type(None))


def category_of(message: Any, category: Any) -> Any:
    """What Python takes for the category: an instance given as the message brings its own."""
    return type(message) if issubclass(type(message), Warning) else category


def text_of(message: Any) -> str:
    """The words of a message that is no plain string, without asking it: a translation may only be made when shown."""
    kind = type(message)
    if issubclass(kind, str):
        return str.__str__(message)
    if issubclass(kind, Warning):
        given = vars(BaseException)["args"].__get__(message)
        return text_of(given[0]) if given else ""
    return str(message) if kind in _PLAIN else "{}"


def masked(message: str) -> str:
    """A message without what may be somebody's data: quoted text becomes `{}`, digits `#`; long ones are cut."""
    out: list[str] = []
    quote = ""
    for c in message[:2000]:
        if quote:
            if c == quote:
                out.append("{}" + c)
                quote = ""
        elif c in "'\"`" and (not out or not out[-1][-1:].isalnum()):
            quote = c
            out.append(c)
        else:
            out.append("#" if c.isdigit() else c)
    text = "".join(out)
    return text if len(text) <= MAX_NOTE else text[:MAX_NOTE] + "..."
