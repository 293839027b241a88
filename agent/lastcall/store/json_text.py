"""JSON as the store's own columns have it, by the C functions under `json`.

`json` needs `re`, and that `enum`: together two thirds of what a flush used to load into a host that has neither.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing costs a bare host 5 ms, and 1 ms more at its end
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

try:
    from _json import encode_basestring_ascii as string
    from _json import make_scanner
except ImportError:  # an interpreter without them
    from json.encoder import py_encode_basestring_ascii as string

    def make_scanner(_meant: object) -> Any:  # type: ignore[no-redef]
        raise AttributeError


class _AsJson:
    """What `json.loads` means by default."""

    strict = True
    object_hook = object_pairs_hook = array_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float


_scan: Any
try:
    _scan = make_scanner(_AsJson)  # type: ignore[arg-type]  # its attributes are all that is read
except AttributeError:  # a Python that asks for more than is known here
    from json import JSONDecoder as Decoder

    _scan = vars(Decoder())["scan_once"]
_SPACE = " \t\n\r"


def loads(text: str) -> Any:
    """The value that `text` is. Raises ValueError if it is none, or more than one."""
    text = text.strip(_SPACE)
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        raise ValueError(text) from None
    if end != len(text):
        raise ValueError(text)
    return value


def pairs(values: Iterable[tuple[str, str]]) -> str:
    """A list of pairs of strings, as `json.dumps` writes it."""
    return "[" + ", ".join([f"[{string(key)}, {string(value)}]" for key, value in values]) + "]"


__all__ = ["loads", "pairs", "string"]
