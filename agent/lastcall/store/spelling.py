"""How a caller spelled a callee, read from its source file.

The agent knows the spelling from the running code. Where it was killed before it could say, the file still
tells, mostly: the line is known, not the column.
"""

from __future__ import annotations

import ast
import tokenize
import warnings
from functools import lru_cache

_LARGEST_FILE = 4_000_000
"""Characters. Parsing a generated file of that size takes seconds and gigabytes: leave it."""


def expression_at(file: str, line: int, target: str, use: str) -> str:
    """The callee (or the name read) on `line` of `file` that fits `target`, as spelled; '' if it is unclear.

    Never raises: the file may be gone, changed, or not Python. Not for the host: it parses whole files, and
    touches the process's warning filters while it does.
    """
    if use not in ("call", "construct", "access"):
        return ""
    wanted = target.partition(":")[2].partition("(")[0].rpartition(".")[2] or target.rpartition(".")[2]
    candidates = _by_line(file).get(line, ())
    named = {text for is_call, last, text in candidates if last == wanted and (is_call or use == "access")}
    if len(named) == 1:
        return named.pop()
    if named or use == "access":
        return ""
    calls = {text for is_call, _, text in candidates if is_call}
    return calls.pop() if len(calls) == 1 else ""


@lru_cache(maxsize=64)
def _by_line(file: str) -> dict[int, tuple[tuple[bool, str, str], ...]]:
    """For each line: whether it is called, the last name, the whole spelling."""
    try:
        with tokenize.open(file) as source:
            text = source.read(_LARGEST_FILE + 1)
        if len(text) > _LARGEST_FILE:
            return {}
        with warnings.catch_warnings():  # what is wrong with somebody's file is not ours to report
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    found: dict[int, list[tuple[bool, str, str]]] = {}
    called = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called.add(id(node.func))
            # The line of a frame in a call that spans several may be any of them.
            _note(found, node.func, True, range(node.lineno, (node.end_lineno or node.lineno) + 1))
    for node in ast.walk(tree):
        if isinstance(node, (ast.Name, ast.Attribute)) and id(node) not in called:
            _note(found, node, False, range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return {line: tuple(entries) for line, entries in found.items()}


def _note(found: dict[int, list[tuple[bool, str, str]]], node: ast.expr, is_call: bool, lines: range) -> None:
    last = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    if not last:
        return
    text = _dotted(node)
    for line in lines:
        found.setdefault(line, []).append((is_call, last, text))


def _dotted(node: ast.expr) -> str:
    """`a.b.c` as spelled; only the last names of what hangs on a call or an index: `...b.c`."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    names.append(node.id if isinstance(node, ast.Name) else "...")
    return ".".join(reversed(names)).replace("....", "...")
