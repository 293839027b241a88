"""The lines of a journal as typed records: the reading side of `journal.py`'s table.

A line that is not such a record is None, never an exception: journals outlive kills, full disks and
newer writers.
"""

from __future__ import annotations

from lastcall.store import json_text
from lastcall.values import dataclass
from lastcall.words import STATES

TYPE_CHECKING = False  # typing costs a bare host 5 ms, and 1 ms more at its end
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

Pairs = tuple[tuple[str, str], ...]
Counters = tuple[tuple[str, int], ...]
Frames = tuple[tuple[str, int, str], ...]


@dataclass(slots=True)
class ProcessRecord:
    format: int
    name: str
    pid: int
    service: str
    environment: str
    release: str
    host: str
    python: str
    started: float
    root: str
    attributes: Pairs


@dataclass(slots=True)
class TargetRecord:
    ref: str
    kind: str
    replacement: str
    owner: str
    issue: str
    since: str
    remove_by: str
    note: str
    schedule: str
    defined_file: str
    defined_line: int
    source: str


@dataclass(slots=True)
class StateRecord:
    ref: str
    state: str
    reason: str
    engine: str
    at: float


@dataclass(slots=True)
class SiteRecord:
    slot: int
    ref: str
    use: str
    at: float
    flags: int
    file: str
    line: int
    function: str
    module: str
    origin: str
    via: str
    note: str
    frames: Frames
    behind: int = 0
    """The number of the K record whose frames follow, 0 if none do."""


@dataclass(slots=True)
class BehindRecord:
    number: int
    frames: Frames


@dataclass(slots=True)
class SpellingRecord:
    slot: int
    expression: str


@dataclass(slots=True)
class RaisedRecord:
    slot: int
    errors: int


@dataclass(slots=True)
class ReferenceRecord:
    target: str
    module: str
    name: str
    file: str
    line: int
    how: str


@dataclass(slots=True)
class FindingRecord:
    kind: str
    target: str
    at: float
    message: str
    slot: int
    count: int
    attributes: Pairs


@dataclass(slots=True)
class CountersRecord:
    at: float
    dropped: Counters
    internal_errors: Counters


@dataclass(slots=True)
class EndRecord:
    at: float
    how: str


Record = (
    ProcessRecord
    | TargetRecord
    | StateRecord
    | SiteRecord
    | BehindRecord
    | SpellingRecord
    | RaisedRecord
    | ReferenceRecord
    | FindingRecord
    | CountersRecord
    | EndRecord
)


def parse(line: bytes) -> Record | None:
    """The record on `line`, or None if it is none."""
    try:
        letter, *fields = _fields(line.decode("ascii"))
        make, shape = _SHAPES[letter]
        return make(*[convert(value) for convert, value in zip(shape, fields, strict=True)])
    except (ValueError, TypeError, KeyError, SyntaxError, RecursionError, MemoryError):
        return None


def _fields(text: str) -> Any:
    """The values of a tuple's `ascii()`; nested tuples may come back as lists."""
    if "\\" in text or '"' in text:
        pieces = _strings().split(text)
        if "\\" in "".join(pieces[::2]):
            raise ValueError(text)
        strings = [_storable(piece[1:-1].encode().decode("unicode_escape")) for piece in pieces[1::2]]
        pieces[1::2] = [json_text.string(string)[1:-1] for string in strings]
    else:
        # Without escapes every quote is a string's edge, so the odd pieces are strings and the rest is structure,
        # and that is JSON in other letters: eight times faster, with the host's interpreter lock held.
        pieces = text.split("'")
    for i in range(0, len(pieces), 2):
        pieces[i] = pieces[i].replace(",)", ")").translate(_TO_JSON).replace("None", "null")
    return json_text.loads('"'.join(pieces))


_STRING: Any = None


def _strings() -> Any:
    """A pattern that finds string literals. Few journals need it: `re` is not loaded into a bare host for the others.

    Not `ast.literal_eval`: two threads in Python's parser can fail each other, see `source_tokens`.
    """
    global _STRING  # noqa: PLW0603 - compiled once, when it is needed
    if _STRING is None:
        import re

        _STRING = re.compile(
            r"""('(?:[^'\\]|\\(?:[\\'"nrtabfv]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}))*'"""
            r"""|"(?:[^"\\]|\\(?:[\\'"nrtabfv]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}))*")"""
        )
    return _STRING


_TO_JSON = str.maketrans("()", "[]")


_BEYOND = 1 << 62
"""The database holds 64 bits with a sign; nothing that is counted or timed comes near."""


def _storable(value: Any) -> Any:
    """File names may carry lone surrogates, which the database cannot: spell them out."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode("utf-8")
    return tuple(_storable(item) for item in value) if isinstance(value, tuple) else value


def _int(value: object) -> int:
    if not isinstance(value, int) or abs(value) >= _BEYOND:
        raise ValueError(value)
    return value


def _slot(value: object) -> int:
    number = _int(value)
    if number < 0:
        raise ValueError(number)
    return number


def _state(value: object) -> str:
    if value not in STATES:  # what a broken disk left would make the whole store one that nobody understands
        raise ValueError(value)
    return str(value)


def _seconds(nanoseconds: object) -> float:
    return _int(nanoseconds) / 1e9


def _pairs(values: Any) -> Pairs:
    return tuple((str(key), str(value)) for key, value in values)


def _counters(values: Any) -> Counters:
    return tuple((str(key), _int(value)) for key, value in values)


_known_frames: dict[tuple[str, int, str], tuple[str, int, str]] = {}
_MOST_KNOWN = 5_000


def _frame(file: object, line: object, function: object) -> tuple[str, int, str]:
    """Stacks have most frames in common: each is kept once. Else a burst of new call sites, 50 frames each, would
    make Python look for garbage in our thread again and again, and run the host's finalizers there."""
    if len(_known_frames) >= _MOST_KNOWN:
        _known_frames.clear()
    frame = str(file), _int(line), str(function)
    return _known_frames.setdefault(frame, frame)


def _frames(values: Any) -> Frames:
    return tuple(_frame(*frame) for frame in values)


def _site(*fields: Any) -> SiteRecord:
    site = SiteRecord(*fields)
    if site.frames and isinstance(site.frames[-1], int):
        *own, behind = site.frames
        site.frames, site.behind = tuple(own), _slot(behind)
    site.frames = _frames(site.frames)
    return site


_SHAPES: dict[str, tuple[Callable[..., Record], tuple[Callable[[Any], object], ...]]] = {
    "P": (ProcessRecord, (_int, str, _int, str, str, str, str, str, _seconds, str, _pairs)),
    "T": (TargetRecord, (str, str, str, str, str, str, str, str, str, str, _int, str)),
    "A": (StateRecord, (str, _state, str, str, _seconds)),
    "S": (_site, (_slot, str, str, _seconds, _int, str, _int, str, str, str, str, str, tuple)),
    "K": (BehindRecord, (_slot, _frames)),
    "X": (SpellingRecord, (_slot, str)),
    "Z": (RaisedRecord, (_slot, _slot)),
    "R": (ReferenceRecord, (str, str, str, str, _int, str)),
    "F": (FindingRecord, (str, str, _seconds, str, _int, _int, _pairs)),
    "O": (CountersRecord, (_seconds, _counters, _counters)),
    "E": (EndRecord, (_seconds, str)),
}
