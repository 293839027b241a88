"""Where a use came from: frames, origin, and what is said about them.

Everything here that looks at a frame runs once per call site, on a miss of the recorder's hot path.
Answers that depend only on an instruction are cached by the `id` of its code object, which is kept alive so
that the id cannot be given to another.
"""

from __future__ import annotations

import os
import sys

from .words import FINALIZER

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType, FrameType
    from typing import Any

    Position = tuple[int, int, int, int]
    """First line, first column, last line, last column; lines from 1, columns in UTF-8 bytes from 0."""
    Shown = tuple[str, int, str]
    """File, line and function."""
    Place = tuple[Shown, str, int, CodeType]
    """An instruction as it is shown, the same as text, its flags, and its code, kept so that its id stays its own."""
    Walked = tuple[Shown, str, tuple[Shown, ...], str, int, "Behind"]
    """What one walk over the stack found: where the use was, the same as text for the journal, all frames, the same
    as text (which names those behind the first by their number), a sum of all flags, and what is behind the first."""

SPAWNED_MAIN = "__mp_main__"
"""The script's name in a process that multiprocessing spawned: to who reads a report it is one script."""
MAX_FRAMES = 50
MAX_WALK = 400
MAX_KINDS = 50_000
MAX_NAME = 500
"""Characters of a function's name. Code that is made at run time may be named after its whole content
(a URL builder of werkzeug's after its rule), which would be written down with each of its call sites, twice."""
MAX_PATH = 4096
"""Of a file's; no file system has longer ones."""

_STDLIB = tuple(
    {
        os.path.dirname(os.__file__) + os.sep,
        os.path.join(sys.base_prefix, "lib") + os.sep + "python",
    }
)
_SITE_MARKS = (os.sep + "site-packages" + os.sep, os.sep + "dist-packages" + os.sep)
_OWN = os.path.dirname(os.path.abspath(__file__)) + os.sep

# Which part of the world a file belongs to.
OWN, STDLIB, THIRD_PARTY, APPLICATION = range(4)

_TEST_RUNNERS = ("_pytest", "pytest", "unittest", "nose2", "ward", "behave", "twisted")
_SCANNERS = ("inspect", "pydoc", "sphinx", "doctest", "pdoc", "rlcompleter")
_IN_EARNEST = ("locate", "safeimport")
"""Functions of pydoc by which a program finds something by its name, to use it."""


def file_kind(filename: str) -> int:
    """One of OWN, STDLIB, THIRD_PARTY, APPLICATION. Code with no file (`<string>`) is the application's."""
    if filename.startswith("<"):
        return STDLIB if filename.startswith("<frozen ") else APPLICATION
    if filename.startswith(_OWN):
        return OWN
    for mark in _SITE_MARKS:
        if mark in filename:
            return THIRD_PARTY
    if filename.startswith(_STDLIB):
        return STDLIB
    return APPLICATION


class Pattern:
    """A dotted-name pattern: `*` stands for part of one segment, `**` for any number of segments.

    Compared segment by segment, so `foo` never matches `foobar`. Written here because `fnmatch` and `re`
    cost a bare host 20 ms to import.
    """

    __slots__ = ("segments", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.segments = text.split(".")

    def matches(self, dotted: str) -> bool:
        """Whether `dotted` is covered. `pkg.**` covers `pkg` itself too."""
        return _match_segments(self.segments, 0, dotted.split("."), 0)


def _match_segments(pattern: list[str], p: int, parts: list[str], i: int) -> bool:
    while p < len(pattern):
        segment = pattern[p]
        if segment == "**":
            return any(_match_segments(pattern, p + 1, parts, j) for j in range(i, len(parts) + 1))
        if i == len(parts) or not glob_match(segment, parts[i]):
            return False
        p += 1
        i += 1
    return i == len(parts)


def glob_match(pattern: str, text: str) -> bool:
    """Whether `text` matches `pattern`, in which `*` is any run of characters and `?` any one."""
    if pattern in ("*", text):  # what most are; each name of each module is asked about
        return True
    p = t = 0
    star, mark = -1, 0
    while t < len(text):
        if p < len(pattern) and pattern[p] == "*":
            star, mark = p, t
            p += 1
        elif p < len(pattern) and pattern[p] in ("?", text[t]):
            p += 1
            t += 1
        elif star >= 0:
            mark += 1
            p, t = star + 1, mark
        else:
            return False
    return all(c == "*" for c in pattern[p:])


def module_of(frame: FrameType) -> str:
    """The name of the module that `frame` runs code of."""
    name = str(frame.f_globals.get("__name__") or "")
    return "__main__" if name == SPAWNED_MAIN else name


def is_finalizing(frame: FrameType) -> bool:
    """Whether `frame` runs because an object was let go of, whatever its thread was doing."""
    return frame.f_code.co_name == FINALIZER or frame.f_globals.get("__name__") == "weakref"


def package_of(module: str, *, is_package: bool = False) -> str:
    """The immediate package that holds `module`; the module itself if it is a package."""
    return module if is_package else module.rpartition(".")[0]


class Attribution:
    """Decides origin and the flags of a call site. One per agent; `application` are the configured patterns."""

    def __init__(self, application: tuple[Pattern, ...] = ()) -> None:
        self.application = application
        self._kinds: dict[str, int] = {}

    def kind_of(self, code: CodeType) -> int:
        """`file_kind` of a code object's file, cached: by its name, which all that is compiled for it shares."""
        filename = code.co_filename
        kind = self._kinds.get(filename)
        if kind is None:
            kind = file_kind(filename)
            if len(self._kinds) < MAX_KINDS:  # a host that compiles code for ever must not grow this for ever
                self._kinds[filename] = kind
        return kind

    def origin(self, frame: FrameType, kind: int, module: str, target_module: str, target_kind: int) -> str:
        """`self`, `direct` or `indirect` (DESIGN 2), for a frame of whose code and module more is known already.

        A call through the standard library (a thread pool, `json`, `functools`) is whoever called the
        standard library, and the application's where nobody is below that. `self` is the target's own module;
        for installed packages anything of the same top-level package; for application code, where one package
        holds the whole product, the same immediate package.
        """
        caller = frame
        if kind == STDLIB:
            outer = frame.f_back
            while outer is not None and self.kind_of(outer.f_code) == STDLIB:
                outer = outer.f_back
            if outer is None:  # a thread's first function: no package of others is in sight
                return "self" if module == target_module else "direct"
            caller, kind, module = outer, self.kind_of(outer.f_code), module_of(outer)
        if module == target_module:
            return "self"
        if target_kind == APPLICATION:
            own = package_of(target_module, is_package=_is_package(target_module))
            if own and own == package_of(module, is_package="__path__" in caller.f_globals):
                return "self"
        elif module.partition(".")[0] == target_module.partition(".")[0]:
            return "self"
        if self.application:
            return "direct" if any(p.matches(module) for p in self.application) else "indirect"
        return "direct" if kind in (APPLICATION, OWN) else "indirect"


def _is_package(module: str) -> bool:
    loaded = sys.modules.get(module)
    return loaded is not None and "__path__" in getattr(loaded, "__dict__", ())


DURING_IMPORT, BY_TEST, SCANNER = 1, 2, 4
MAX_PLACES = 20_000
MAX_BEHIND = 64
MAX_TABLES = 4
LONG = 20_000
"""Bytes. A frame finds its line by reading its code's table from the beginning: further into a function than this it
costs more than a first sight may, and made code of 10,000 calls would take seconds for its first run."""
LONG_AGAIN = 500
"""The same where the call site before this one was in the same function."""
_met_last: list[CodeType | None] = [None]
_tables: dict[int, tuple[CodeType, list[int], list[int | None]]] = {}
_WALKED = range(MAX_WALK)
_bisect_right: list[Any] = []
"""The function, once it is needed: `_bisect` is a library of its own, and an `import` takes longer than the search."""


class Behind:
    """What lies behind a call site's own frame. Mostly the sites met before and after it have it in common."""

    __slots__ = ("codes", "flags", "frames", "number", "text")

    def __init__(
        self, number: int, frames: tuple[Shown, ...], text: str, flags: int, codes: list[CodeType]
    ) -> None:
        self.number = number
        self.frames = frames
        self.text = text
        self.flags = flags
        self.codes = codes  # kept, so that their ids stay their own

    def journal_line(self) -> str:
        """The K record (see `journal`) as text."""
        return f"('K', {self.number}, {self.text})"


class Stacks:
    """Walks stacks. Call sites met one after the other are mostly reached by the same outer calls, so what an
    instruction looks like (finding a line number alone costs up to 3 us in a long function) is remembered, and
    of the last stacks, each as a whole, what is behind their innermost frame."""

    def __init__(self, limit: int = MAX_FRAMES) -> None:
        self.limit = limit
        self._places: dict[Any, Place] = {}
        self._behind: dict[tuple[Any, ...], Behind] = {}
        self._number = 0

    def walk(self, frame: FrameType, line: int) -> Walked:
        """The stack from `frame`, which is at `line`, outwards: `limit` frames of it, flags from MAX_WALK. Ours are
        left out."""
        shown, text, flags, _ = _look(
            frame, frame.f_code, line
        )  # hardly ever anybody's outer frame: not remembered
        chain = _instructions(frame.f_back)
        behind = self._behind.get(chain) or self._walk_behind(frame, chain)
        number = f"{behind.number}," if behind.frames else ""
        if not shown[0]:  # compiled without a file's name: what called it is shown for it
            shown = behind.frames[0] if behind.frames else shown
            return shown, ascii(shown), behind.frames, f"({number})", behind.flags, behind
        return shown, text, (shown, *behind.frames), f"({text},{number})", flags | behind.flags, behind

    def _walk_behind(self, frame: FrameType, chain: tuple[Any, ...]) -> Behind:
        frames, texts, codes, flags = [], [], [], 0
        current: Any = frame.f_back  # there as long as the chain is, which was made of these frames
        for key in chain:
            shown, text, said, code = self._places.get(key) or self._remember(key, current)
            codes.append(code)
            if shown[0]:
                frames.append(shown)
                texts.append(text)
                flags |= said
            current = current.f_back
        del frames[self.limit - 1 :], texts[self.limit - 1 :]
        self._number += 1
        text = "(" + ", ".join(texts) + ",)" if texts else "()"
        behind = Behind(self._number, tuple(frames), text, flags, codes)
        if len(self._behind) >= MAX_BEHIND:
            self._behind.clear()
        self._behind[chain] = behind
        return behind

    def _remember(self, key: Any, frame: FrameType) -> Place:
        place = _look(frame, frame.f_code, line_of(frame))
        if len(self._places) >= MAX_PLACES:
            self._places.clear()
        self._places[key] = place
        return place


if sys.version_info >= (3, 11):

    def _instructions(frame: FrameType | None) -> tuple[Any, ...]:
        """What each frame from `frame` outwards is executing, as `hotpath.site_key` has it; of MAX_WALK at most."""
        keys: list[int] = []
        add = keys.append
        for _ in _WALKED:
            if frame is None:
                break
            add(id(frame.f_code) + frame.f_lasti)
            frame = frame.f_back
        return tuple(keys)

else:

    def _instructions(frame: FrameType | None) -> tuple[Any, ...]:
        """What each frame from `frame` outwards is executing, as `hotpath.site_key` has it; of MAX_WALK at most."""
        keys: list[tuple[int, int]] = []
        for _ in _WALKED:
            if frame is None:
                break
            keys.append((id(frame.f_code), frame.f_lasti))
            frame = frame.f_back
        return tuple(keys)


def line_of(frame: FrameType) -> int:
    """The line that `frame` is at."""
    code = frame.f_code
    line = _line_far_into(frame, code) if frame.f_lasti > LONG_AGAIN else frame.f_lineno
    return line or code.co_firstlineno


def _look(frame: FrameType, code: CodeType, line: int) -> Place:
    if code.co_filename.startswith(_OWN):
        return ("", 0, ""), "", 0, code
    file, function = code.co_filename, qualname_of(code)
    if len(function) > MAX_NAME:
        function = function[:MAX_NAME] + "..."
    if len(file) > MAX_PATH:
        file = file[:MAX_PATH] + "..."
    shown = (file, line, function)
    return shown, ascii(shown), _flags_of(code, frame.f_globals.get("__name__")), code


def _line_far_into(frame: FrameType, code: CodeType) -> int | None:
    """`f_lineno` of a frame, from a table that is kept for the next one where that takes less time."""
    lasti = frame.f_lasti
    if lasti < LONG and _met_last[0] is not code and id(code) not in _tables:
        _met_last[0] = code
        return frame.f_lineno
    if not _bisect_right:
        from _bisect import bisect_right

        _bisect_right.append(bisect_right)
    known = _tables.get(id(code))
    if known is None:
        rows = list(code.co_lines())
        known = code, [start for start, _end, _line in rows], [line for _start, _end, line in rows]
        if len(_tables) >= MAX_TABLES:
            _tables.clear()
        _tables[id(code)] = known
    _, starts, lines = known
    row: int = _bisect_right[0](starts, lasti) - 1
    return lines[row]


def _flags_of(code: CodeType, module: object) -> int:
    """What a frame says of the uses below it. Such marks keep a use from counting, so doubt leaves them out."""
    if code.co_name == "<module>":
        return DURING_IMPORT if module != "__main__" else 0
    if module.__class__ is not str:
        return 0
    name = str(module)
    root = name.partition(".")[0]
    if root in _TEST_RUNNERS:
        # an application's own package may be called `ward`, and mocks are used without tests
        at_work = not name.startswith("unittest.mock") and (
            root != "twisted" or name.startswith("twisted.trial")
        )
        return BY_TEST if at_work and file_kind(code.co_filename) != APPLICATION else 0
    if root in _SCANNERS:
        at_work = code.co_name not in _IN_EARNEST and file_kind(code.co_filename) != APPLICATION
        return SCANNER if at_work else 0
    return 0


if sys.version_info >= (3, 11):

    def qualname_of(code: CodeType) -> str:
        """The function's qualified name; before 3.11 code objects know only its last part."""
        return code.co_qualname

else:

    def qualname_of(code: CodeType) -> str:
        """The function's qualified name; before 3.11 code objects know only its last part."""
        return code.co_name


_position_walks: list[tuple[CodeType | None, int, Iterator[tuple[int | None, ...]]]] = []
"""The code that was asked about last, how many of its positions were gone through, and the rest of them: whoever asks
for one call site after the other would go through a long function as often as it has calls."""


def position_of(code: CodeType, lasti: int) -> Position | None:
    """Where in the source the instruction at offset `lasti` comes from, if the interpreter kept it."""
    if sys.version_info < (3, 11) or lasti < 0:
        return None
    from itertools import islice

    number = lasti // 2
    # taken while it is used, for another thread may ask as well
    walked, passed, positions = _position_walks.pop() if _position_walks else (None, 0, iter(()))
    if walked is not code or passed > number:
        passed, positions = 0, code.co_positions()
    found = next(islice(positions, number - passed, None), None)
    _position_walks[:] = [(code, number + 1, positions)]
    if found is None or any(part is None for part in found):
        return None
    first, last, left, right = found
    return first, left, last, right


_IMPORTING = frozenset(
    (
        "importlib",
        "importlib._bootstrap",
        "importlib._bootstrap_external",
        "importlib.util",
        # what the frozen two are called until somebody imports `importlib`
        "_frozen_importlib",
        "_frozen_importlib_external",
    )
)


def is_import_machinery(frame: FrameType) -> bool:
    """Whether this frame belongs to importlib's own import code, frozen or not."""
    return frame.f_globals.get("__name__", "") in _IMPORTING


def is_importlib(frame: FrameType) -> bool:
    """Whether this frame belongs to importlib or a part of it, such as `importlib.metadata` loading an entry point."""
    name = frame.f_globals.get("__name__", "")
    return isinstance(name, str) and (name in _IMPORTING or name.startswith("importlib."))


def active_span() -> tuple[int, int, int]:
    """(trace id, span id, trace flags) of the span active now, zeros if none or if the host has no OpenTelemetry.

    Never imports it: a host that has not imported the API has no active span.
    """
    api: Any = sys.modules.get("opentelemetry.trace")
    if api is None:
        return 0, 0, 0
    get_current_span = getattr(api, "get_current_span", None)
    if get_current_span is None:  # the host's own import of it is still under way
        return 0, 0, 0
    context = get_current_span().get_span_context()
    return context.trace_id, context.span_id, int(context.trace_flags)
