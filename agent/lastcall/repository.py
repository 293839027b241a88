"""What lies in one commit of a git repository, as Python modules: nothing is checked out."""

from __future__ import annotations

import ast
import os
import posixpath
import re
import subprocess
import sys
import weakref
from collections import defaultdict
from copy import copy
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from lastcall.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SOURCE_FOLDERS = ("", "src/", "lib/", "agent/")
"""Where a top-level package may lie in a repository."""
SUFFIXES = ("/__init__.py", ".py", ".pyx", "/__init__.pyi", ".pyi")
"""What the file of a module ends with, in the order in which Python takes one; a stub speaks for what is compiled."""
_CODE = (".py", ".pyi", ".pyw", ".pyx", ".pxd", ".pxi", ".ipynb", ".wsgi")
_WORD = re.compile(rb"[A-Za-z_\x80-\xff][\w\x80-\xff]*")


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


_TREES: dict[str, ast.Module | None] = {}
"""By the name of their content, which two commits mostly share."""


def missing_on_disk(root: Path) -> list[str]:
    """What version control has below a folder, and the folder has not: `path: why`. Nothing where there is none."""
    try:
        entries = git("-C", str(root), "ls-files", "-z", "-t", "--stage").split("\0")
    except UsageError:
        return []
    found: dict[str, int] = {}
    modules = []
    for about, _, file in (entry.partition("\t") for entry in entries):
        path = Path(root, file)
        if file.startswith(".") or "/." in file:
            continue  # not read anyway
        if " 160000 " in about:
            if not path.is_dir() or not any(path.iterdir()):
                modules.append(f"{file}: a submodule that is not checked out")
            else:
                modules += [f"{file}/{place}" for place in missing_on_disk(path)]
        elif about.startswith("S") and file.endswith(_CODE) and not os.path.lexists(path):
            folder = file.partition("/")[0] if "/" in file else "."
            found[folder] = found.get(folder, 0) + 1
    hidden = (f"{folder}: {number} files of Python are not checked out" for folder, number in found.items())
    return [*(text.replace(": 1 files of Python are", ": 1 file of Python is") for text in hidden), *modules]


def lacks(commit: str, roots: Iterable[Path]) -> bool:
    """Whether what is checked out in one of these folders is without a commit of this repository."""
    try:
        top = os.path.realpath(git("rev-parse", "--show-toplevel").rstrip("\n"))
        lacking = bool(git("rev-list", "-n", "1", commit, "^HEAD"))
    except UsageError:
        return False  # a repository without files of its own, as a server's hook runs in
    return lacking and any(f"{os.path.realpath(root)}/".startswith(f"{top}/") for root in roots)


class _Objects:
    """The contents of a repository, asked for one by one: a new git for each takes longer than all of the rest."""

    def __init__(self) -> None:
        command = ["git", "cat-file", "--batch"]
        self._git = subprocess.Popen(  # noqa: S603 - as above
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        weakref.finalize(self, _ended, self._git)

    def content(self, name: str) -> bytes:
        assert self._git.stdin is not None
        assert self._git.stdout is not None
        try:
            self._git.stdin.write(name.encode() + b"\n")
            self._git.stdin.flush()
        except OSError:
            told = []  # it has ended
        else:
            told = self._git.stdout.readline().split()
        if len(told) != len(("name", "type", "size")):
            raise UsageError(f"git cannot read object {name} of this repository.")
        return self._git.stdout.read(int(told[2]) + 1)[:-1]


def _ended(process: subprocess.Popen[bytes]) -> None:
    process.communicate()  # it ends when nothing more is asked


class Repository:
    """The Python modules of one commit, as those of one of its projects see them."""

    def __init__(self, commit: str, home: str = "") -> None:
        self.commit = commit
        self.home = home
        """The folder, with a slash at its end, whose modules come first: a repository may hold many projects."""
        self.files = _listed(commit)
        """The name of its content for each file that may be a module."""
        self._ends: dict[str, list[str]] = defaultdict(list)
        for file in sorted(self.files):
            self._ends["/".join(file.split("/")[-2 if "/__init__." in file else -1 :])].append(file)
        self._objects = _Objects()
        self.text = lru_cache(maxsize=None)(self._text)
        self.at = lru_cache(maxsize=None)(self._at)
        self.module = lru_cache(maxsize=None)(self._module)
        self.homes = lru_cache(maxsize=None)(self._homes)
        self.file_of = lru_cache(maxsize=None)(self._file_of)
        self.has_top = lru_cache(maxsize=None)(self._has_top)

    def _at(self, home: str) -> Repository:
        """The same commit, as the project in another folder sees it."""
        view = copy(self)
        view.home = home
        view.module = lru_cache(maxsize=None)(view._module)
        view.file_of = lru_cache(maxsize=None)(view._file_of)
        view.has_top = lru_cache(maxsize=None)(view._has_top)
        return view

    def _homes(self, module: str) -> list[str]:
        """The folders of the projects that have such a module: that folder is no package itself."""
        path = module.replace(".", "/")
        last = path.rpartition("/")[2]
        found = {
            file.removesuffix(path + suffix): None
            for suffix in SUFFIXES
            for file in self._ends.get(last + suffix, ())
            if file == path + suffix or file.endswith(f"/{path}{suffix}")
        }
        apart = [home for home in found if f"{home}__init__.py" not in self.files]
        # A package's folder that is on the path itself; not that of its `typing.py`, which nobody imports so.
        return apart or [*found][: len(found) == 1 and module.partition(".")[0] not in sys.stdlib_module_names]

    def _file_of(self, module: str) -> str:
        """The file of a module, or an empty string if this commit has none."""
        path = module.replace(".", "/")
        for folder in (self.home, *SOURCE_FOLDERS):
            for suffix in SUFFIXES:
                if f"{folder}{path}{suffix}" in self.files:
                    return f"{folder}{path}{suffix}"
        # A repository of many projects: the one file whose path ends so.
        homes = self.homes(module)
        return self.at(homes[0]).file_of(module) if len(homes) == 1 and homes[0] != self.home else ""

    def _has_top(self, name: str) -> bool:
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
        return self._objects.content(self.files[file])

    def parsed(self, file: str) -> ast.Module | None:
        """The syntax tree of a file; None if this Python cannot parse it."""
        name = self.files[file]
        if name not in _TREES:
            try:
                _TREES[name] = ast.parse(self.text(file))  # bytes: the file says its encoding itself
            except (SyntaxError, ValueError, RecursionError):
                _TREES[name] = None
        return _TREES[name]

    def changed(self, other: Repository) -> list[str]:
        """The files of this commit that another one has not, or has with other content."""
        return [file for file, name in self.files.items() if other.files.get(file) != name]

    def holding(self, words: Iterable[str]) -> Mapping[str, list[str]]:
        """The Python files in which each of these words stands."""
        wanted = {word.encode(): word for word in words}
        found: dict[str, list[str]] = {word: [] for word in wanted.values()}
        for file, name in sorted(self.files.items()):
            if wanted and file.endswith(".py"):
                for word in wanted.keys() & set(_WORD.findall(self._objects.content(name))):
                    found[wanted[word]].append(file)
        return found


def _listed(commit: str) -> dict[str, str]:
    """The name of the content of each file that may be a module; that of what it leads to for a link."""
    listed = git_bytes("ls-tree", "-r", "-z", "--full-tree", commit).decode("utf-8", "surrogateescape").split("\0")
    entries = [entry.partition("\t") for entry in listed if entry]
    names = {file: about.split()[2] for about, _, file in entries}
    links = [file for about, _, file in entries if about.startswith("120000") and file.endswith(SUFFIXES)]
    for file in links:
        to = git("cat-file", "blob", names[file])
        names[file] = names.get(posixpath.normpath(posixpath.join(posixpath.dirname(file), to)), names[file])
    return {file: name for file, name in names.items() if file.endswith(SUFFIXES)}
