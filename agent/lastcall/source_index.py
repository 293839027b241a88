"""What a source file calls, binds and defines on which line, from its tokens, each file read once.

Loaded when an answer needs more than a look at one line (see `expressions`): tokens bring `re` and `enum`, which a
bare host would have to clear away at its end.
"""

from __future__ import annotations

from functools import lru_cache

from .source_lines import source_lines
from .source_tokens import bound_by, defined_by, imports, spelled, spelled_alone, statements, tokens_of

TYPE_CHECKING = False  # typing costs a bare host 5 ms, and 1 ms more at its end
if TYPE_CHECKING:
    from .source_tokens import Import, Token

LARGEST = 4_000_000
"""Bytes. Reading a generated file of that size takes seconds: leave it."""


def of_piece(piece: bytes, name: str) -> str:
    """What is called, read or imported by a piece of source that is one expression or statement."""
    tokens = tokens_of(b"(" + piece + b")")[1:-2]  # brackets, so that it may go over several lines
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
def _names_in(filename: str) -> tuple[dict[str, int], dict[str, int]]:
    """What a file binds and what it defines: both at once, because to read its tokens takes longest."""
    read = _statements(filename)
    return _bound_in(read), _defined_in(read)


def bindings(filename: str) -> dict[str, int]:
    """The line that binds each name at module level, or else in an import statement anywhere in the file.

    `*` stands for the names that a star import brought, where the file has one such import.
    """
    return _names_in(filename)[0]


def _bound_in(read: tuple[tuple[int, list[Token]], ...]) -> dict[str, int]:
    bound: dict[str, int] = {}
    late: dict[str, int] = {}
    stars: list[int] = []
    inside = -1  # the depth of the function or class around, if there is one
    for depth, statement in read:
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


def definitions(filename: str) -> dict[str, int]:
    """The line of each `def` and `class` by qualified name; the last one wins, as it does when the code runs."""
    return _names_in(filename)[1]


def _defined_in(read: tuple[tuple[int, list[Token]], ...]) -> dict[str, int]:
    found: dict[str, int] = {}
    around: list[tuple[int, str, str]] = []  # depth, `def` or `class`, qualified name
    for depth, statement in read:
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


__all__ = ["bindings", "definitions", "of_piece", "on_line"]
