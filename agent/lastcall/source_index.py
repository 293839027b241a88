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
    from collections.abc import Iterator

    from .source_tokens import Import, Token

    Definition = tuple[str, str, int]

LARGEST = 4_000_000
"""Bytes. Reading a generated file of that size takes seconds: leave it."""


def of_piece(piece: bytes, name: str) -> str:
    """What is called, read or imported by a piece of source that is one expression or statement."""
    tokens = [*tokens_of(b"(" + piece + b")")][1:-2]  # brackets, so that it may go over several lines
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


def _statements(filename: str) -> Iterator[tuple[int, list[Token]]]:
    source = b"\n".join(source_lines(filename))
    return statements(tokens_of(source)) if len(source) <= LARGEST else iter(())


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
    bound, defined = _Bound(), _Defined()
    for depth, statement in _statements(filename):
        definition = defined_by(statement)
        bound.take(depth, statement, definition)
        defined.take(depth, definition)
    return bound.names(), defined.found


def bindings(filename: str) -> dict[str, int]:
    """The line that binds each name at module level, or else in an import statement anywhere in the file.

    `*` stands for the names that a star import brought, where the file has one such import.
    """
    return _names_in(filename)[0]


class _Bound:
    """What a file binds, from its statements one by one."""

    def __init__(self) -> None:
        self._bound: dict[str, int] = {}
        self._late: dict[str, int] = {}
        self._stars: list[int] = []
        self._inside = -1  # the depth of the function or class around, if there is one

    def take(self, depth: int, statement: list[Token], definition: Definition | None) -> None:
        self._inside = -1 if depth <= self._inside else self._inside
        for one in imports(statement):
            (self._bound if self._inside < 0 else self._late).setdefault(one.bound, one.line)
        if statement[0].text == "from" and statement[-1].text == "*":
            self._stars.append(statement[0].line)
        if self._inside < 0 and definition is None:
            for token in bound_by(statement):
                self._bound.setdefault(token.text, token.line)
        elif self._inside < 0 and definition is not None:
            self._bound.setdefault(definition[1], definition[2])
            self._inside = depth

    def names(self) -> dict[str, int]:
        return self._late | self._bound | ({"*": self._stars[0]} if len(self._stars) == 1 else {})


def definitions(filename: str) -> dict[str, int]:
    """The line of each `def` and `class` by qualified name; the last one wins, as it does when the code runs."""
    return _names_in(filename)[1]


class _Defined:
    """What a file defines, from its statements one by one."""

    def __init__(self) -> None:
        self.found: dict[str, int] = {}
        self._around: list[tuple[int, str, str]] = []  # depth, `def` or `class`, qualified name

    def take(self, depth: int, definition: Definition | None) -> None:
        around = self._around
        while around and around[-1][0] >= depth:
            around.pop()
        if definition is None:
            return
        kind, name, line = definition
        if any(outer == "def" for _, outer, _ in around):
            around.append((depth, "def", ""))
            return
        qualname = f"{around[-1][2]}.{name}" if around else name
        self.found[qualname] = line
        around.append((depth, kind, qualname))


__all__ = ["bindings", "definitions", "of_piece", "on_line"]
