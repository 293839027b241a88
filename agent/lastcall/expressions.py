"""How the caller spelled the target: `factory_module.get_thing`, `WebSocketManager`, `super().__init__`.

An alias and the thing it names are one object; only the spelling at the call site tells them apart. Read
from the source file, at the position of the calling instruction where Python knows it (3.11 and later),
else by line. Runs in the background; arguments and the rest of the line are never kept.
"""

from __future__ import annotations

from functools import lru_cache

from .callsite import position_of
from .source_tokens import bound_by, defined_by, imports, spelled, spelled_alone, statements, tokens_of

TYPE_CHECKING = False  # typing costs a bare host 5 ms, and 1 ms more at its end
if TYPE_CHECKING:
    from types import CodeType

    from .callsite import Position
    from .source_tokens import Import, Token

LARGEST = 4_000_000
"""Bytes. Reading a generated file of that size takes seconds: leave it."""


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
    return on_line(code.co_filename, line, name)


def at_place(filename: str, place: str, name: str) -> str:
    """The spelling at a place as the journal has it (`@1,4,1,20`): what a process had no time to look up.

    Whatever is no place is a spelling already.
    """
    numbers = place[1:].split(",")
    if len(numbers) != len(("line", "column", "line", "column")) or not all(n.isdecimal() for n in numbers):
        return place
    first, left, last, right = (int(number) for number in numbers)
    lines = source_lines(filename)
    return (at_position(lines, (first, left, last, right), name) if lines else "") or on_line(filename, first, name)


def at_position(lines: tuple[bytes, ...], position: Position, name: str) -> str:
    """What is called, read or imported by the piece of source at `position`."""
    first, left, last, right = position
    if last > len(lines):
        return ""
    piece = list(lines[first - 1 : last])
    piece[-1] = piece[-1][:right]
    piece[0] = piece[0][left:]
    tokens = tokens_of(b"(" + b"\n".join(piece) + b")")[1:-2]  # brackets, so that it may go over several lines
    imported = imports(tokens)
    if imported:
        return _imported(imported, name)
    text, callee = spelled_alone(tokens)
    return text if callee is None else callee


def _imported(imported: list[Import], name: str) -> str:
    module = imported[0].module
    if module and f".{name}".endswith(f".{module}"):
        return module
    names = [one.name for one in imported]
    if name in names:
        return name
    matching = [full for full in names if full.rpartition(".")[2] == name or full.startswith(name)]
    return matching[0] if matching else names[0] if len(names) == 1 else ""


@lru_cache(maxsize=256)
def source_lines(filename: str) -> tuple[bytes, ...]:
    """The file's lines, empty if it cannot be read or is no file."""
    try:
        with open(filename, "rb") as file:  # noqa: PTH123 - pathlib costs a bare host 5 ms
            return tuple(file.read().splitlines())
    except (OSError, ValueError):
        return ()


@lru_cache(maxsize=64)
def _uses_by_line(filename: str) -> dict[int, tuple[list[str], list[str]]]:
    """For each line what is called or imported there, and which attributes are touched."""
    found: dict[int, tuple[list[str], list[str]]] = {}
    for _, statement in _statements(filename):
        imported = imports(statement)
        for one in imported:
            found.setdefault(statement[0].line, ([], []))[0].append(one.name)
        for use in () if imported else spelled(statement):
            if use.kind == "call":
                for line in {use.first, use.last}:
                    found.setdefault(line, ([], []))[0].append(use.text)
            elif use.kind == "attribute":
                found.setdefault(use.last, ([], []))[1].append(use.text)
    return found


@lru_cache(maxsize=4)
def _statements(filename: str) -> tuple[tuple[int, list[Token]], ...]:
    source = b"\n".join(source_lines(filename))
    return tuple(statements(tokens_of(source))) if len(source) <= LARGEST else ()


def on_line(filename: str, line: int, name: str) -> str:
    """The call or attribute on a line whose last name is `name`, or the only call there, or nothing."""
    calls, attributes = _uses_by_line(filename).get(line, ([], []))
    for text in calls + attributes:
        if text.rpartition(".")[2] == name:
            return text
    return calls[0] if len(calls) == 1 else ""


@lru_cache(maxsize=512)
def _bindings(filename: str) -> dict[str, int]:
    """The line that binds each name at module level, or else in an import statement anywhere in the file.

    `*` stands for the names that a star import brought, where the file has one such import.
    """
    bound: dict[str, int] = {}
    late: dict[str, int] = {}
    stars: list[int] = []
    inside = -1  # the depth of the function or class around, if there is one
    for depth, statement in _statements(filename):
        inside = -1 if depth <= inside else inside
        definition = defined_by(statement)
        for one in imports(statement):
            (bound if inside < 0 else late).setdefault(one.bound, one.line)
        if statement[0].text == "from" and statement[-1].text == "*":
            stars.append(statement[0].line)
        if inside < 0 and definition is None:
            for token in bound_by(statement):
                bound.setdefault(token.text, token.line)
        elif inside < 0 and definition is not None:
            bound.setdefault(definition[1], definition[2])
            inside = depth
    return late | bound | ({"*": stars[0]} if len(stars) == 1 else {})


def binding_line(filename: str, name: str) -> int:
    """The line where `name` is imported or assigned in a file, 0 if that cannot be told.

    Of a dotted or subscripted name (`REGISTRY['x']`, `Class.attribute`), where its first part is.
    """
    name = name.partition(".")[0].partition("[")[0]
    found = _bindings(filename) if filename.endswith(".py") else {}
    return found.get(name) or found.get("*", 0)


@lru_cache(maxsize=256)
def _definitions(filename: str) -> dict[str, int]:
    """The line of each `def` and `class` by qualified name; the last one wins, as it does when the code runs."""
    found: dict[str, int] = {}
    around: list[tuple[int, str, str]] = []  # depth, `def` or `class`, qualified name
    for depth, statement in _statements(filename):
        while around and around[-1][0] >= depth:
            around.pop()
        definition = defined_by(statement)
        if definition is not None and not any(kind == "def" for _, kind, _ in around):
            kind, name, line = definition
            qualname = f"{around[-1][2]}.{name}" if around else name
            found[qualname] = line
            around.append((depth, kind, qualname))
        elif definition is not None:
            around.append((depth, "def", ""))
    return found


def definition_line(filename: str, qualname: str) -> int:
    """The line of the `def`, `class` or assignment that makes `qualname` in a file, 0 if that cannot be told.

    Decorators stand above it; code objects and, before 3.13, classes do not know this line.
    """
    if not filename.endswith(".py"):
        return 0
    line = _definitions(filename).get(qualname, 0)
    return line or _bindings(filename).get(qualname, 0)


__all__ = [
    "at_place",
    "at_position",
    "binding_line",
    "definition_line",
    "on_line",
    "position_of",
    "source_lines",
    "spelling",
]
