"""How the caller spelled the target: `factory_module.get_thing`, `WebSocketManager`, `super().__init__`.

An alias and the thing it names are one object; only the spelling at the call site tells them apart. Read
from the source file, at the position of the calling instruction where Python knows it (3.11 and later),
else by line. Runs in the background; arguments and the rest of the line are never kept.

What a look at the line itself can tell is told here; the rest needs the file's tokens (`source_index`).
"""

from __future__ import annotations

from functools import lru_cache

from .callsite import position_of
from .source_lines import source_lines

TYPE_CHECKING = False  # typing costs a bare host 5 ms, and 1 ms more at its end
if TYPE_CHECKING:
    from types import CodeType

    from .callsite import Position

_VALUES = ("None", "True", "False")


def spelling(code: CodeType, lasti: int, line: int, name: str) -> str:
    """The callee as spelled by the instruction at offset `lasti` of `code`, empty if that cannot be told.

    `name` is the target's own last name, which decides between several calls on one line.
    """
    lines = source_lines(code.co_filename)
    if not lines:
        return ""
    position = position_of(code, lasti)
    if position is not None:
        found = at_position(lines, position, name)
        if found:
            return found
    return _on_line(code.co_filename, line, name)


def at_place(filename: str, place: str, name: str) -> str:
    """The spelling at a place as the journal has it (`@1,4,1,20`): what a process had no time to look up.

    Whatever is no place is a spelling already.
    """
    numbers = place[1:].split(",")
    if len(numbers) != len(("line", "column", "line", "column")) or not all(n.isdecimal() for n in numbers):
        return place
    first, left, last, right = (int(number) for number in numbers)
    lines = source_lines(filename)
    return (at_position(lines, (first, left, last, right), name) if lines else "") or _on_line(filename, first, name)


def at_position(lines: tuple[bytes, ...], position: Position, name: str) -> str:
    """What is called, read or imported by the piece of source at `position`."""
    first, left, last, right = position
    if not 0 < first <= last <= len(lines):  # a module begins in line 0, where its trace function is called
        return ""
    piece = list(lines[first - 1 : last])
    piece[-1] = piece[-1][:right]
    piece[0] = piece[0][left:]
    return (_plain(piece[0]) if first == last else "") or _of_piece(b"\n".join(piece), name)


def _plain(piece: bytes) -> str:
    """The callee of a piece that is plainly `a.b.c(...)`, or the piece if it is `a.b.c`; empty for all others.

    Only brackets that hold neither brackets nor quotes are taken: then the last one closes the first.
    """
    try:
        text = piece.decode()
    except UnicodeDecodeError:
        return ""
    callee, bracket, passed = text.partition("(")
    if bracket and (not passed.endswith(")") or any(sign in passed[:-1] for sign in "()'\"#")):
        return ""
    names = callee.split(".")
    return callee if names[0] not in _VALUES and all(part.isidentifier() for part in names) else ""


@lru_cache(maxsize=4096)
def definition_line(filename: str, qualname: str, near: int) -> int:
    """The line of the `def`, `class` or assignment that makes `qualname` in a file, 0 if that cannot be told.

    `near` is where its code begins, as far as Python knows: decorators stand above the definition, and before 3.13
    classes do not know this line. Every process of a host tells of all its targets, and may leave that to the one which
    lives longest.
    """
    if not filename.endswith(".py"):
        return 0
    lines = source_lines(filename)
    words = lines[near - 1].lstrip().removeprefix(b"async ").split(None, 2) if 0 < near <= len(lines) else []
    if len(words) > 1 and words[0] in (b"def", b"class"):
        name = qualname.rpartition(".")[2].encode()
        begun, behind = words[1][: len(name)], words[1][len(name) :]
        if begun == name and behind[:1] in (b"(", b":", b"["):
            return near
    from .source_index import bindings, definitions

    return definitions(filename).get(qualname, 0) or bindings(filename).get(qualname, 0)


def binding_line(filename: str, name: str) -> int:
    """The line where `name` is imported or assigned in a file, 0 if that cannot be told.

    Of a dotted or subscripted name (`REGISTRY['x']`, `Class.attribute`), where its first part is.
    """
    if not filename.endswith(".py"):
        return 0
    from .source_index import bindings

    found = bindings(filename)
    return found.get(name.partition(".")[0].partition("[")[0]) or found.get("*", 0)


def _of_piece(piece: bytes, name: str) -> str:
    from .source_index import of_piece

    return of_piece(piece, name)


def _on_line(filename: str, line: int, name: str) -> str:
    from .source_index import on_line

    return on_line(filename, line, name)


__all__ = ["at_place", "at_position", "binding_line", "definition_line", "spelling"]
