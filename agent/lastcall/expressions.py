"""How the caller spelled the target: `factory_module.get_thing`, `WebSocketManager`, `super().__init__`.

An alias and the thing it names are one object; only the spelling at the call site tells them apart. Read
from the source file, at the position of the calling instruction where Python knows it (3.11 and later),
else by line. Runs in the background; arguments and the rest of the line are never kept.
"""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from .callsite import position_of

if TYPE_CHECKING:
    from types import CodeType

    from .callsite import Position


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
    text = b"\n".join(piece).decode("utf-8", "replace")
    tree = _parse(text)
    if tree is None:
        return ""
    if isinstance(tree, (ast.Import, ast.ImportFrom)):
        return _imported(tree, name)
    if isinstance(tree, ast.Call):
        return render(tree.func)
    return render(tree)


def _parse(text: str) -> ast.AST | None:
    for source, mode in ((f"({text})", "eval"), (text.strip(), "exec")):
        try:
            tree = ast.parse(source, mode=mode)
        except (SyntaxError, ValueError):
            continue
        if isinstance(tree, ast.Expression):
            return tree.body
        if isinstance(tree, ast.Module) and len(tree.body) == 1:
            return tree.body[0]
    return None


def _imported(tree: ast.Import | ast.ImportFrom, name: str) -> str:
    if isinstance(tree, ast.ImportFrom) and tree.module and f".{name}".endswith(f".{tree.module}"):
        return tree.module
    names = [alias.name for alias in tree.names]
    if name in names:
        return name
    matching = [full for full in names if full.rpartition(".")[2] == name or full.startswith(name)]
    return matching[0] if matching else names[0] if len(names) == 1 else ""


def render(node: ast.AST) -> str:
    """An expression as dotted text; calls and subscripts in it keep no arguments."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{render(node.value) or '...'}.{node.attr}"
    if isinstance(node, ast.Call):
        return f"{render(node.func)}()"
    if isinstance(node, ast.Subscript):
        return f"{render(node.value)}[...]"
    if isinstance(node, ast.Await):
        return render(node.value)
    return ""


@lru_cache(maxsize=256)
def source_lines(filename: str) -> tuple[bytes, ...]:
    """The file's lines, empty if it cannot be read or is no file."""
    try:
        return tuple(Path(filename).read_bytes().splitlines())
    except (OSError, ValueError):
        return ()


@lru_cache(maxsize=64)
def _uses_by_line(filename: str) -> dict[int, tuple[list[str], list[str]]]:
    """For each line what is called or imported there, and which attributes are touched."""
    found: dict[int, tuple[list[str], list[str]]] = {}
    try:
        tree = ast.parse(b"\n".join(source_lines(filename)))
    except (SyntaxError, ValueError, RecursionError):
        return found
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            spelled = render(node.func)
            for line in {node.lineno, node.func.end_lineno or node.lineno}:
                found.setdefault(line, ([], []))[0].append(spelled)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                found.setdefault(node.lineno, ([], []))[0].append(alias.name)
        elif isinstance(node, ast.Attribute):
            found.setdefault(node.end_lineno or node.lineno, ([], []))[1].append(render(node))
    return found


def on_line(filename: str, line: int, name: str) -> str:
    """The call or attribute on a line whose last name is `name`, or the only call there, or nothing."""
    calls, attributes = _uses_by_line(filename).get(line, ([], []))
    for text in calls + attributes:
        if text.rpartition(".")[2] == name:
            return text
    return calls[0] if len(calls) == 1 else ""


@lru_cache(maxsize=512)
def _bindings(filename: str) -> dict[str, int]:
    """The line that binds each name at module level or in an import statement anywhere in the file."""
    bound: dict[str, int] = {}
    try:
        tree = ast.parse(b"\n".join(source_lines(filename)))
    except (SyntaxError, ValueError, RecursionError):
        return bound
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                bound.setdefault(alias.asname or alias.name.partition(".")[0], alias.lineno)
    for statement in tree.body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                bound.setdefault(node.id, node.lineno)
        if isinstance(statement, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            bound.setdefault(statement.name, statement.lineno)
    return bound


def binding_line(filename: str, name: str) -> int:
    """The line where `name` is imported or assigned in a file, 0 if that cannot be told.

    Of a dotted or subscripted name (`REGISTRY['x']`, `Class.attribute`), where its first part is.
    """
    name = name.partition(".")[0].partition("[")[0]
    return _bindings(filename).get(name, 0) if filename.endswith(".py") else 0


@lru_cache(maxsize=256)
def _definitions(filename: str) -> dict[str, int]:
    """The line of each `def` and `class` by qualified name; the last one wins, as it does when the code runs."""
    found: dict[str, int] = {}
    try:
        tree = ast.parse(b"\n".join(source_lines(filename)))
    except (SyntaxError, ValueError, RecursionError):
        return found
    waiting: list[tuple[str, list[ast.stmt]]] = [("", tree.body)]
    while waiting:
        prefix, body = waiting.pop()
        for statement in body:
            if isinstance(statement, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                found[prefix + statement.name] = statement.lineno
                if isinstance(statement, ast.ClassDef):
                    waiting.append((f"{prefix}{statement.name}.", statement.body))
            else:  # `if`, `try`, `with`: what they define is defined here
                inner = [part for part in ast.iter_child_nodes(statement) if isinstance(part, ast.stmt)]
                handlers = [
                    part for part in ast.iter_child_nodes(statement) if isinstance(part, ast.ExceptHandler)
                ]
                inner += [part for handler in handlers for part in handler.body]
                if inner:
                    waiting.append((prefix, inner))
    return found


def definition_line(filename: str, qualname: str) -> int:
    """The line of the `def`, `class` or assignment that makes `qualname` in a file, 0 if that cannot be told.

    Decorators stand above it; code objects and, before 3.13, classes do not know this line.
    """
    if not filename.endswith(".py"):
        return 0
    line = _definitions(filename).get(qualname, 0)
    return line or (0 if "." in qualname else binding_line(filename, qualname))


__all__ = [
    "at_place",
    "at_position",
    "binding_line",
    "definition_line",
    "on_line",
    "position_of",
    "render",
    "source_lines",
    "spelling",
]
