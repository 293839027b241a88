"""The comments of a file that belong to a definition or to an assignment."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Function = ast.FunctionDef | ast.AsyncFunctionDef

_DEFINES = re.compile(r"\s*(?:@|def\b|class\b|async\s+def\b)")

_ASSIGNS = re.compile(r"\s*\w+\s*(?::[^=]+)?=[^=]")


class Remarks:
    """Finds comments by line. Every place is told as (line, words), with no words where there is no comment."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines

    def first_line(self, node: Function | ast.ClassDef) -> int:
        """The line that a definition starts at, its decorators and the comments above it included."""
        first = first_of(node) - 1
        while first >= 1 and not self._lines[first - 1].strip().strip("#"):
            first -= 1
        while first >= 1 and self._is_comment(first):
            first -= 1
        return first

    def at_definition(self, node: Function | ast.ClassDef) -> Iterator[tuple[int, str]]:
        """The comments that belong to a definition: above it, on its line, first in its body."""
        yield self.above(first_of(node))
        body = node.body[0]
        header = self.header_end(node)
        yield header, self.trailing(header)
        if header != node.lineno:
            yield node.lineno, self.trailing(node.lineno)
        is_class = isinstance(node, ast.ClassDef)
        if header < body.lineno:
            yield self._below(header + 1, is_class=is_class)
        if isinstance(body, ast.Expr) and isinstance(body.value, ast.Constant) and len(node.body) > 1:
            yield self._below((body.end_lineno or body.lineno) + 1, is_class=is_class)

    def above(self, line: int) -> tuple[int, str]:
        """The block of comments above a line."""
        end = line - 1
        if (
            end > 1
            and not self._lines[end - 1].strip()
            and not self._lines[end - 2].lstrip().startswith("#:")
        ):
            end -= 1  # a heading, with an empty line below it
        start = end
        while start >= 1 and self._is_comment(start):
            start -= 1
        return start + 1, self._words(start + 1, end + 1)

    def trailing(self, line: int) -> str:
        """The words of the comment at the end of a line of code."""
        text = self._lines[line - 1]
        match = re.search(r"\s#+:?\s*([^\"']*)$", text)
        return match.group(1).strip() if match and not text.lstrip().startswith("#") else ""

    def header_end(self, node: Function | ast.ClassDef) -> int:
        """The line with the colon that ends `def ...:`, found from the last thing inside it."""
        inside = [node.lineno]
        if not isinstance(node, ast.ClassDef):
            arguments: list[ast.expr | ast.arg] = [
                *node.args.args,
                *node.args.kwonlyargs,
                *node.args.defaults,
            ]
            inside += [item.end_lineno or 0 for item in arguments]
            inside += [node.returns.end_lineno or 0] if node.returns else []
        line = max(inside)
        while line < node.body[0].lineno and not re.search(r":\s*(?:#.*)?$", self._lines[line - 1]):
            line += 1
        return line

    def _below(self, line: int, *, is_class: bool) -> tuple[int, str]:
        end = line
        while end <= len(self._lines) and not self._lines[end - 1].strip():
            end += 1
        start = end
        while end <= len(self._lines) and self._is_comment(end):
            end += 1
        if start <= len(self._lines) and self._lines[start - 1].lstrip().startswith("#:"):
            return start, ""  # a doc comment is about the name assigned below it
        if end <= len(self._lines) and _DEFINES.match(self._lines[end - 1]):
            return start, ""  # it stands at the next definition
        words = self._words(start, end)
        at_name = is_class and end <= len(self._lines) and _ASSIGNS.match(self._lines[end - 1])
        return start, "" if at_name and "this" not in words.lower() else words

    def _is_comment(self, line: int) -> bool:
        return self._lines[line - 1].lstrip().startswith("#")

    def _words(self, start: int, end: int) -> str:
        return " ".join(
            self._lines[number - 1].strip().lstrip("#:! ") for number in range(start, end)
        ).strip()


def first_of(node: Function | ast.ClassDef) -> int:
    """The line of a definition's first decorator, else its own."""
    return min([node.lineno, *(item.lineno for item in node.decorator_list)])
