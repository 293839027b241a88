"""What became of a caller's code: gone from the source, still there, or unknown.

A caller that fell silent and whose code is gone has explained its silence. One whose code is still there has
not, even if no reference can be seen in it: it may reach the target by a name made at run time.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
from dataclasses import replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

    from lastcall.dossier import Caller
    from lastcall.evidence import Site
    from lastcall.risk import Fate


_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class SourceTree:
    """Source folders that callers' files are looked up in. Files are read and parsed once."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self.roots = [Path(os.path.realpath(root)) for root in roots]
        self._parsed = lru_cache(maxsize=512)(_parse)
        self._once_held = lru_cache(maxsize=None)(_once_in_history)
        self._left_history = lru_cache(maxsize=None)(_left_history)

    def with_fates(self, callers: Iterable[Caller]) -> tuple[Caller, ...]:
        """The callers, each with what became of its code, and since when."""
        return tuple(self._judged(caller) for caller in callers)

    def _judged(self, caller: Caller) -> Caller:
        fate = self.fate(caller.site)
        if fate != "gone":
            return replace(caller, fate=fate)
        left_at, exactly = self._left_at(caller.site)
        return replace(caller, fate=fate, left_at=left_at, left_exactly=exactly)

    def fate(self, site: Site) -> Fate:
        """What became of the code at a call site. Doubt counts as `present` or `unknown`, never as `gone`."""
        relative = self._relative(site.file)
        if relative is None:
            # An installed package is not in the tree. That its code is still here can be seen; that it is
            # gone from where it ran cannot.
            path = Path(site.file)
            return (
                "present" if path.is_absolute() and path.is_file() and self._holds(path, site) else "unknown"
            )
        # Two projects may both have an `app.py`: one that holds it is enough, whichever was named first.
        there = [path for root in self.roots if (path := root / relative).is_file()]
        if there:
            return "present" if any(self._holds(path, site) for path in there) else "gone"
        return "gone" if any(self._was_ours(root, relative, site) for root in self.roots) else "unknown"

    def _holds(self, path: Path, site: Site) -> bool:
        tree = self._parsed(path)
        return tree is None or _still_there(tree, site)

    def _left_at(self, site: Site) -> tuple[float | None, bool]:
        """When the code left the source at the latest, and whether it was just then."""
        relative = self._relative(site.file) or ""
        name = _last_name(site.expression) or _last_name(site.target.partition(":")[2])
        known = [found for root in self.roots if (found := self._left_history(root, relative, name))]
        return max(known, default=(None, False))

    def accounts_for(self, file: str, read: Container[str]) -> bool:
        """Whether a file is part of this source and is among those that were `read`, or is no more.

        A file that is there and was not read (in a hidden folder, a script with another suffix, one that cannot be
        parsed) is not accounted for.
        """
        relative = self._relative(file)
        if relative is None:
            return False
        there = [path for root in self.roots if (path := root / relative).is_file()]
        if there:
            return all(os.path.realpath(path) in read for path in there)
        return any(self._once_held(root, relative) for root in self.roots)

    def _relative(self, file: str) -> str | None:
        """A caller's file from a root on; None if it lies outside, as an installed package does."""
        if "site-packages" in file or "dist-packages" in file or file.startswith("<"):
            return None
        if not file.startswith("/"):
            return None if file.startswith("..") else file
        for root in self.roots:
            if Path(file).is_relative_to(root):
                return Path(file).relative_to(root).as_posix()
        return None

    def _was_ours(self, root: Path, relative: str, site: Site) -> bool:
        """Whether a file that is not there belonged to this tree, and not to another repository's."""
        top = PurePosixPath(relative).parts[0]
        if top != PurePosixPath(relative).name and (root / top).is_dir() and _is_package(root, site.module):
            return True
        return self._once_held(root, relative)


def _is_package(root: Path, module: str) -> bool:
    """Whether the caller's top-level package lies in the tree, directly or below a source folder."""
    top = module.partition(".")[0]
    return any((base / top).is_dir() for base in (root, root / "src", root / "agent", root / "lib"))


def _once_in_history(root: Path, relative: str) -> bool:
    """Whether version control has seen this file. False where there is no version control."""
    return bool(_git(root, "log", "-1", "--format=%H", "--", relative))


def _left_history(root: Path, relative: str, name: str) -> tuple[float, bool] | None:
    """When a name was last taken out of a file, and True; else the file's own date, and False."""
    # A change that puts the name into a comment instead leaves as many of it as there were, so lines are compared
    # (-G) and not numbers (-S); and what a branch did long ago is in the history since it was merged.
    word = f"-G(^|[^[:alnum:]_]){re.sub(r'[^a-zA-Z0-9_]', '.', name)}([^[:alnum:]_]|$)"
    arguments = ("-1", "--first-parent", "-m", "--format=%ct", word, "--", relative)
    stamp = _git(root, "log", *arguments).partition("\n")[0] if name else ""
    if stamp and not _git(root, "status", "--porcelain", "--", relative):
        return float(stamp), True
    path = root / relative
    while not path.exists() and path != root:
        path = path.parent
    return (path.stat().st_mtime, False) if path.exists() else None


def _git(root: Path, *arguments: str) -> str:
    """What git prints; nothing where it fails, or is not there."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed program, no shell
            ["git", "-C", str(root), *arguments],  # noqa: S607 - the user's own git
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return ""  # ValueError: a name that no file can have, or that the locale's encoding lacks
    return done.stdout.strip() if done.returncode == 0 else ""


def _parse(path: Path) -> ast.Module | None:
    try:
        return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None


def _still_there(tree: ast.Module, site: Site) -> bool:
    """Whether the function that used the target still holds the spelling it used it by."""
    scopes: list[ast.AST] = [tree]
    if site.function not in ("", "<module>"):
        scopes = _functions(tree, [part for part in site.function.split(".") if not part.startswith("<")])
    if not scopes:
        return False
    spelling = _last_name(site.expression)
    if site.use == "warning" or not spelling:
        return True  # no spelling to look for: the code around it is there, so doubt remains
    spelled = {spelling, _last_name(site.target.partition(":")[2] or site.target)}
    return any(_names(node) & spelled for scope in scopes for node in ast.walk(scope))


def _last_name(expression: str) -> str:
    """The name that a spelling ends with: `b` of `a.b`, and of `a.b[...]`, which is called by no name of its own."""
    name = expression.partition("(")[0].partition("[")[0].rpartition(".")[2].strip()
    return name if name.isidentifier() else ""


def _names(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Name):
        return {node.id}
    if isinstance(node, ast.Attribute):
        return {node.attr}
    if isinstance(node, ast.alias):
        return {node.name.rpartition(".")[2], node.asname or ""} - {""}
    return set()


def _functions(tree: ast.AST, parts: list[str]) -> list[ast.AST]:
    """The definitions that a qualified name may mean, whatever branch of an `if` or `try` they stand in.

    They may be several: a property's getter and setter, overloads, a fallback. Before Python 3.11 code knows its bare
    name only, so one without a dot may stand anywhere.
    """
    if len(parts) == 1:
        return [node for node in ast.walk(tree) if isinstance(node, _DEFINITIONS) and node.name == parts[0]]
    found = [tree]
    for part in parts:
        found = [node for scope in found for node in _defined_in(scope, part)]
    return found


def _defined_in(scope: ast.AST, name: str) -> Iterator[ast.AST]:
    pending = list(ast.iter_child_nodes(scope))
    while pending:
        node = pending.pop(0)
        if isinstance(node, _DEFINITIONS):
            if node.name == name:
                yield node
        elif not isinstance(node, ast.expr):
            pending.extend(ast.iter_child_nodes(node))
