"""Draws definitions whose text mentions deprecation, of one kind of evidence, to be labelled by reading.

    python candidates.py SITE_PACKAGES docstring 40 networkx sqlalchemy > candidates.json

Nothing here knows of the detector: it looks for the words `deprecat` and `obsolete`, wherever they stand
in a definition's docstring, in comments from five lines above it to three lines below its docstring, in
the string arguments of calls to a logger, in its decorators, or in calls of its body that have to do with
warnings. The draw is seeded.
"""

from __future__ import annotations

import ast
import io
import json
import random
import re
import sys
import tokenize
from pathlib import Path

WORDS = re.compile(r"deprecat|obsolete", re.IGNORECASE)
WARNS = re.compile(r"warn|deprec", re.IGNORECASE)
MEANS_IT = re.compile(r"deprecat|obsolete|FutureWarning|RemovedIn|removed in", re.IGNORECASE)
LEVELS = {"debug", "info", "warning", "warn", "error", "critical", "exception", "log", "warning_once"}


def definitions(tree):
    pending = [(tree, "")]
    while pending:
        node, prefix = pending.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                yield child, prefix + child.name
                if isinstance(child, ast.ClassDef):
                    pending.append((child, prefix + child.name + "."))
            elif isinstance(child, (ast.If, ast.Try, ast.With)):
                pending.append((child, prefix))


def comments_of(text):
    try:
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        return {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}
    except (tokenize.TokenError, SyntaxError):
        return {}


def strings(node):
    return " ".join(
        item.value
        for item in ast.walk(node)
        if isinstance(item, ast.Constant) and isinstance(item.value, str)
    )


def words_of(kind, node, comments):
    """(line, words) of what a definition says, of one kind; None if it does not mention deprecation."""
    if kind in ("warning", "log"):
        find = warning_of if kind == "warning" else log_of
        return None if isinstance(node, ast.ClassDef) else find(node)
    doc = ast.get_docstring(node)
    if kind == "docstring":
        return (node.lineno, doc) if doc and WORDS.search(doc) else None
    if kind == "comment":
        first = min([node.lineno, *(item.lineno for item in node.decorator_list)])
        start = (node.body[0].end_lineno if doc else node.lineno) + 3
        near = {line: comments[line] for line in range(first - 5, start + 1) if line in comments}
        said = [f"{line}: {words}" for line, words in near.items()]
        return (node.lineno, "\n".join(said)) if any(WORDS.search(words) for words in said) else None
    said = " ".join(map(ast.unparse, node.decorator_list))
    return (node.lineno, said) if MEANS_IT.search(said) else None


def log_of(node):
    """The first call in a function that logs, and says so."""
    for item in ast.walk(node):
        if isinstance(item, ast.Call) and isinstance(item.func, ast.Attribute) and item.func.attr in LEVELS:
            owner = ast.unparse(item.func.value).lower()
            if "log" in owner and WORDS.search(strings(item)):
                return (item.lineno, f"[at {item.lineno - node.lineno}] " + strings(item))
    return None


def warning_of(node):
    """The first call in a function's own body that has `warn` or `deprec` in its name, and means it."""
    pending = list(node.body)
    while pending:
        item = pending.pop(0)
        if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            continue
        if isinstance(item, ast.Call) and WARNS.search(ast.unparse(item.func)):
            said = ast.unparse(item)
            if MEANS_IT.search(said):
                return item.lineno, f"[at {item.lineno - node.lineno}] {said}"
        pending.extend(ast.iter_child_nodes(item))
    return None


def candidates(site, library, kind):
    for path in sorted((site / library).rglob("*.py")):
        relative = path.relative_to(site).as_posix()
        if "/tests/" in relative or path.name.startswith("test_"):
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if not WORDS.search(text):
            continue
        comments = comments_of(text) if kind == "comment" else {}
        for node, qualname in definitions(ast.parse(text)):
            said = words_of(kind, node, comments)
            if said is not None:
                yield {"file": relative, "qualname": qualname, "line": node.lineno, "words": said[1]}


def main(site, kind, amount, libraries):
    rng = random.Random(f"{kind} {libraries}")
    drawn = []
    for library in libraries:
        every = list(candidates(Path(site), library, kind))
        drawn += rng.sample(every, min(int(amount), len(every)))
        print(f"{library}: {len(every)} candidates", file=sys.stderr)
    json.dump(drawn, sys.stdout, indent=1)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
