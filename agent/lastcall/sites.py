"""What is counted: the record of a call site, a use seen in detail, and the tap through which a target's uses come."""

from __future__ import annotations

from itertools import count, repeat

from .journal import HEADER_SCRATCH, HEADER_SLOTS

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType, FrameType
    from typing import Any

    from .targets import Target

    Entry = tuple[int, Iterator[int]]
    """A slot of the counters' table, and what gives the next value to put there."""
    Counters = dict[Any, Entry]
    Alias = tuple["Counters | Followed", Any, CodeType]
    """Where the entry of a call site lies, under which key, and the code whose address is part of the key."""

NO_CODE = (lambda: None).__code__


def current(counter: Any) -> int:
    """How often `counter` (an `itertools.count` started at 1) was drawn, without drawing from it."""
    return int(repr(counter)[6:-1]) - 1


class Once(tuple[int, "Iterator[int]"]):
    """An entry that puts another in its place when it is used."""

    __slots__ = ()


class Followed:
    """One entry for those who look it up often: `entry` stays the same list, whatever it is replaced by.

    It is emptied when all is forgotten, as in a forked child.
    """

    __slots__ = ("entry",)

    def __init__(self, entry: Entry) -> None:
        self.entry: list[Any] = [*entry]

    def get(self, _key: Any) -> Entry | None:
        """As a dictionary of counters."""
        return (self.entry[0], self.entry[1]) if self.entry else None

    def __setitem__(self, _key: Any, entry: Entry) -> None:
        if self.entry:
            self.entry[:] = entry


class SiteRecord:
    """A call site in this process: its slot, its counter, and what first sight captured."""

    __slots__ = (
        "aliases",
        "allowed",
        "at_ns",
        "code",
        "counter",
        "expression",
        "failures",
        "file",
        "first_sample",
        "flags",
        "frames",
        "function",
        "is_finalizing",
        "lasti",
        "line",
        "module",
        "note",
        "origin",
        "slot",
        "target",
        "trace",
        "use",
        "via",
        "written_errors",
    )

    def __init__(self, slot: int, target: Target, use: str, note: str, at_ns: int) -> None:
        self.slot = slot
        self.target = target
        self.use = use
        self.note = note
        self.at_ns = at_ns
        self.counter = count(1)
        self.failures: count[int] | None = None
        """Uses known to have raised; None while no end was seen."""
        self.written_errors: int | None = None
        self.expression: str | None = None
        self.aliases: list[Alias] = []
        self.first_sample: Sample | None = None
        """The sample of its first use, until somebody takes it or follows that call to its end."""

    flags: int
    file: str
    line: int
    function: str
    module: str
    origin: str
    via: str
    frames: tuple[tuple[str, int, str], ...]
    code: CodeType
    lasti: int
    trace: tuple[int, int, int]
    allowed: str | None
    is_finalizing: bool

    def mark_without_caller(self) -> None:
        """Say that C code made this use, with no Python frame below it."""
        self.code, self.lasti = NO_CODE, -1
        self.file, self.line, self.function, self.module = "", 0, "<no Python caller>", ""
        self.frames, self.origin, self.via = (), "direct", ""
        self.expression, self.is_finalizing = "", False
        self.allowed, self.flags, self.trace = None, 0, (0, 0, 0)

    @property
    def number(self) -> int:
        """The slot as the journal numbers it: from 0, behind the table's header."""
        return self.slot - HEADER_SLOTS

    @property
    def errors(self) -> int | None:
        """Uses known to have raised; None while no end was seen."""
        return None if self.failures is None else current(self.failures)

    def total(self) -> int:
        """Uses so far."""
        return current(self.counter)

    def journal_line(self, site: str, frames: str) -> str:
        """The S record (see `journal`) as text: file, line and function, and the frames, are text already."""
        return (
            f"('S', {self.slot - HEADER_SLOTS}, {self.target.ref!a}, {self.use!a}, {self.at_ns}, {self.flags},"
            f" {site[1:-1]}, {self.module!a}, {self.origin!a}, {self.via!a}, {self.note!a}, {frames})"
        )


class Sample:
    """One use seen in detail; `record.total()` at that moment is `total`."""

    __slots__ = ("end_ns", "error_type", "first", "own", "pending", "record", "start_ns", "total", "trace")

    def __init__(
        self, record: SiteRecord, start_ns: int, total: int, trace: tuple[int, int, int], *, first: bool
    ) -> None:
        self.record = record
        self.start_ns = start_ns
        self.total = total
        self.trace = trace
        self.first = first
        self.end_ns: int | None = None
        self.error_type = ""
        self.own = (0, 0)
        self.pending = False
        """Its end is still to come; it is not taken before."""


class Tap:
    """Where the uses of one armed target arrive: its counters and the hook an engine calls at each use."""

    __slots__ = (
        "_hook",
        "_make_hook",
        "counters",
        "deep",
        "ignores",
        "note",
        "pass_through",
        "target",
        "use",
    )

    def __init__(self, target: Target, use: str, make_hook: Callable[[Tap], Callable[[], None]]) -> None:
        self.target = target
        self.use = use
        self.counters: Counters = {}
        self.deep: Counters = {}
        self.pass_through: dict[int, CodeType] = {}
        """Code that was seen to only hand the use on: a decorator's shim. Kept alive, so that its id stays its own."""
        self._make_hook = make_hook
        self._hook: Callable[[], None] | None = None
        self.note = ""
        """What a `warning` said; part of the call site's identity."""
        self.ignores: Callable[[FrameType], bool] | None = None
        """Says of a frame's present instruction that it is no use. Asked once per instruction."""

    @property
    def hook(self) -> Callable[[], None]:
        """Records the caller of whatever calls it. Made by the first who asks: wrapt is loaded by then, and known to
        put a frame below it or not; and most taps need none, which spares the host's garbage collector four objects."""
        hook = self._hook
        if hook is None:
            hook = self._hook = self._make_hook(self)
        return hook


NOT_COUNTED: Entry = (HEADER_SCRATCH, repeat(0))
"""The entry of an instruction that is no use, or that has been counted already."""
