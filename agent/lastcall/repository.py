"""What lies in one commit of a git repository, as Python modules: nothing is checked out."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import defaultdict
from copy import copy
from functools import lru_cache

from lastcall.errors import UsageError

SOURCE_FOLDERS = ("", "src/", "lib/", "agent/")
"""Where a top-level package may lie in a repository."""


def commit_of(revision: str) -> str:
    """The full name of the commit that a revision means. Raises UsageError if git knows none."""
    try:
        return git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").strip()
    except UsageError:
        git("rev-parse", "--git-dir")  # says so if this is no repository
        raise UsageError(
            f"git knows no revision {revision!r} here. In CI, fetch it first: a shallow clone has only one."
        ) from None


def git(*arguments: str, empty: bool = False) -> str:
    """What git prints. To find nothing is no failure if `empty`. Raises UsageError with git's complaint."""
    return git_bytes(*arguments, empty=empty).decode("utf-8", "surrogateescape")


def git_bytes(*arguments: str, empty: bool = False) -> bytes:
    """The same, not decoded."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed program, no shell; revisions cannot start with a dash
            ["git", *arguments],  # noqa: S607 - the user's own git
            capture_output=True,
            check=False,
        )
    except OSError as error:
        raise UsageError(f"--diff needs git, which cannot be run: {error.strerror}.") from error
    if done.returncode and not (empty and done.returncode == 1):
        complaint = done.stderr.decode("utf-8", "replace").strip().partition("\n")[0]
        raise UsageError(f"git {arguments[0]}: {complaint or 'failed'}.")
    return done.stdout


class Repository:
    """The Python modules of one commit, as those of one of its projects see them."""

    def __init__(self, commit: str, home: str = "") -> None:
        self.commit = commit
        self.home = home
        """The folder, with a slash at its end, whose modules come first: a repository may hold many projects."""
        listed = git("ls-tree", "-r", "-z", "--full-tree", "--name-only", commit).split("\0")
        self.files = {file for file in listed if file.endswith((".py", ".pyi"))}
        self._ends: dict[str, list[str]] = defaultdict(list)
        for file in sorted(self.files):
            self._ends["/".join(file.split("/")[-2 if file.endswith("/__init__.py") else -1 :])].append(file)
        self.text = lru_cache(maxsize=None)(self._text)
        self.parsed = lru_cache(maxsize=None)(self._parsed)
        self.at = lru_cache(maxsize=None)(self._at)
        self.module = lru_cache(maxsize=None)(self._module)

    def _at(self, home: str) -> Repository:
        """The same commit, as the project in another folder sees it."""
        view = copy(self)
        view.home = home
        view.module = lru_cache(maxsize=None)(view._module)
        return view

    def homes(self, module: str) -> list[str]:
        """The folders of the projects that have such a module: that folder is no package itself."""
        path = module.replace(".", "/")
        last = path.rpartition("/")[2]
        ends = [(f"{last}.py", f"{path}.py"), (f"{last}/__init__.py", f"{path}/__init__.py")]
        found = [
            file.removesuffix(whole)
            for end, whole in ends
            for file in self._ends.get(end, ())
            if file == whole or file.endswith(f"/{whole}")
        ]
        apart = [home for home in found if f"{home}__init__.py" not in self.files]
        # A package's folder that is on the path itself; not that of its `typing.py`, which nobody imports so.
        return apart or found[: len(found) == 1 and module.partition(".")[0] not in sys.stdlib_module_names]

    def file_of(self, module: str) -> str:
        """The file of a module, or an empty string if this commit has none."""
        path = module.replace(".", "/")
        for folder in (self.home, *SOURCE_FOLDERS):
            for candidate in (f"{folder}{path}.py", f"{folder}{path}/__init__.py"):
                if candidate in self.files:
                    return candidate
        # A repository of many projects: the one file whose path ends so.
        homes = self.homes(module)
        return self.at(homes[0]).file_of(module) if len(homes) == 1 and homes[0] != self.home else ""

    def has_top(self, name: str) -> bool:
        """Whether a top-level module or package of this name, or a part of it, lies in this commit."""
        if self.file_of(name):
            return True
        if any(file.startswith(f"{folder}{name}/") for folder in (self.home, *SOURCE_FOLDERS) for file in self.files):
            return True
        return name not in sys.stdlib_module_names and any(f"/{name}/" in file for file in self.files)

    def _module(self, module: str) -> ast.Module | None:
        file = self.file_of(module)
        return self.parsed(file) if file else None

    def _text(self, file: str) -> bytes:
        return git_bytes("show", f"{self.commit}:{file}")

    def _parsed(self, file: str) -> ast.Module | None:
        try:
            return ast.parse(self.text(file))  # bytes: the file says its encoding itself
        except (SyntaxError, ValueError, RecursionError):
            return None

    def holding(self, name: str) -> list[str]:
        """The files in which a name stands."""
        listed = git("grep", "-lzwF", "--full-name", "-e", name, self.commit, "--", ":/*.py", empty=True)
        return sorted(entry.partition(":")[2] for entry in listed.split("\0") if entry)
