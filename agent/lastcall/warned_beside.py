"""Whether a log record that says "deprecated" only says again what a warning of the same call says.

    warnings.warn("old() is deprecated", DeprecationWarning, stacklevel=2)
    logger.warning("old() is deprecated")

is one use, and it is the warning's: that blames the same caller, and is counted before any filter. Which calls this
is so for is read off the source, once for each log statement. A warning that stands before it, in its block or in one
around it, was given by the time the statement runs; one that stands right behind it follows.
"""

from __future__ import annotations

import ast

from .callsite import position_of
from .source_lines import source_lines
from .warning_calls import passed_by, quietly, settled

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType
    from typing import Any

    Place = tuple[int, int]
    """A line and a column; column -1 where only the line is known."""

_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
_OTHER_CODE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
CALLERS_LEVEL = 2
"""The `stacklevel` that blames the caller, as a log record's use does."""


def warned_beside(frame: FrameType, watched: Any, wanted: Callable[[Any], bool]) -> bool:
    """Whether the call of a function that `frame` runs, and that is logging, is counted as a warning's use as well.

    `watched` is what stands for `warnings.warn`; `wanted` says of a category whether it is counted.
    """
    function, shift = _function_of(frame)
    if function is None or watched is None:
        return False
    position = position_of(frame.f_code, frame.f_lasti)
    line, column = (frame.f_lineno or 0, -1) if position is None else position[:2]

    def warns(statement: ast.stmt) -> bool:
        if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Call):
            return False
        arguments = passed_by(statement.value, frame, watched)
        found = None if arguments is None else settled(arguments, frame)
        if found is None:
            return False
        _, category, level, prefixes = found
        return level == CALLERS_LEVEL and not prefixes and wanted(category)

    path = list(_path(function.body, (line - shift, column)))
    if not path:
        return False
    block, index = path[-1]
    behind = block[index : index + 2] if column < 0 else block[index + 1 : index + 2]
    return (isinstance(block[index], ast.Expr) and any(map(warns, behind))) or any(
        warns(statement) for block, index in path for statement in block[:index]
    )


def _function_of(frame: FrameType) -> tuple[ast.FunctionDef | ast.AsyncFunctionDef | None, int]:
    """The definition of the function that `frame` runs, and the lines in front of what was parsed for it."""
    code = frame.f_code
    lines = source_lines(code.co_filename)
    first = code.co_firstlineno
    try:
        if hasattr(code, "co_positions"):
            last = max((end for _, end, _, _ in code.co_positions() if end), default=first)
            piece = lines[first - 1 : last]
            indented = piece[:1] and piece[0][:1] in (b" ", b"\t")
            tree = ast.parse(quietly(b"\n".join(([b"if 1:"] if indented else []) + list(piece))))
            shift = first - (2 if indented else 1)
        else:
            tree, shift = ast.parse(quietly(b"\n".join(lines))), 0
    except (SyntaxError, ValueError, RecursionError):
        return None, 0
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == code.co_name:
            start = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            if start + shift == first:
                return node, shift
    return None, 0


def _path(block: list[Any], place: Place) -> Iterator[tuple[list[Any], int]]:
    """The blocks around a place, from the outermost, each with the index of the statement that holds the place."""
    for index, statement in enumerate(block):
        if not _holds(statement, place):
            continue
        if isinstance(statement, ast.stmt):
            yield block, index
        if not isinstance(statement, _OTHER_CODE):
            for name in _BLOCKS:
                yield from _path(getattr(statement, name, []), place)
        return


def _holds(statement: Any, place: Place) -> bool:
    if isinstance(statement, ast.match_case):  # has no place of its own
        return any(_holds(inner, place) for inner in statement.body)
    line, column = place
    if column < 0:
        return bool(statement.lineno <= line <= statement.end_lineno)
    start, end = (statement.lineno, statement.col_offset), (statement.end_lineno, statement.end_col_offset)
    return start <= place < end
