"""Which files of a source tree to read, and the dotted name that each would be imported by."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections import Counter
from dataclasses import dataclass, field
from errno import ELOOP
from fnmatch import fnmatch
from functools import cached_property
from typing import TYPE_CHECKING

from lastcall.errors import UsageError
from lastcall.scanning.finding import Skipped
from lastcall.scanning.templates import is_template

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_BYTES = 2_000_000
MAX_LINES = 50_000
"""Longer files are generated: no person keeps a shim in one, and one of them costs as much as a thousand
others."""

TEXT_SUFFIXES = frozenset((
    ".bash", ".bat", ".bzl", ".cfg", ".cmd", ".conf", ".cron", ".desktop", ".env", ".hcl", ".in", ".ini", ".json",
    ".json5", ".jsonc", ".mk", ".nomad", ".plist", ".properties", ".ps1", ".pth", ".service", ".sh", ".tf", ".tfvars",
    ".timer", ".toml", ".txt", ".xml", ".yaml", ".yml", ".zsh",
    # templates of such files
    ".erb", ".j2", ".jinja", ".jinja2", ".mako", ".tmpl", ".tpl",
))  # fmt: skip
"""Files that may name a callable for something else to import: entry points, settings, process managers."""
FOREIGN = {
    ".ipynb": ("notebook", "notebooks"),
    ".pyx": ("Cython file", "Cython files"),
    ".pxd": ("Cython declaration", "Cython declarations"),
    ".pxi": ("Cython include", "Cython includes"),
}
"""Files that hold Python code and are not parsed: a name is looked for in their text."""
TEXT_NAMES = frozenset((
    "BUILD", "Containerfile", "Dockerfile", "GNUmakefile", "Jenkinsfile", "Justfile", "Makefile", "Pipfile", "Procfile",
    "Vagrantfile", "WORKSPACE", "crontab", "entry_points.txt", "justfile", "makefile", ".env", ".envrc", ".coveragerc",
))  # fmt: skip
"""The same, by their name or what comes before a dot in it (`Dockerfile.worker`, `.env.production`)."""
_SCRIPTS = (".pyw", ".wsgi")
"""Python programs that nobody imports."""
_PERHAPS_SCRIPTS = ("", ".cgi", ".fcgi")
"""The same, if their first line says so."""
MAX_TEXT_BYTES = 512_000

_NEVER = frozenset(("__pycache__", "node_modules", "site-packages", "dist-packages"))
_SOURCE_ROOTS = frozenset(("src", "lib", "python", "agent"))
_PROJECT_FILES = ("pyproject.toml", "setup.py", "setup.cfg")
_TEST_FOLDERS = frozenset(("tests", "e2e"))
_PERHAPS_TEST_FOLDERS = ("test", "testing")
"""Also the names of public packages that help others to test: it depends on what lies in them."""
_SHEBANG = re.compile(rb"#!.*\bpython")
_TESTS = re.compile(
    rb"^[ \t]*(?:(?:async[ \t]+)?def[ \t]+test|class[ \t]+\w*Test"
    rb"|(?:from|import)[ \t]+(?:pytest|unittest|nose2?|ward)\b)",
    re.MULTILINE,
)
_IMPORTED = re.compile(rb"^[ \t]*(?:from|import)[ \t]+([A-Za-z_][\w.]*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A Python file below the root."""

    path: str
    file: str
    """Relative to the root, with forward slashes."""
    module: str
    is_package: bool
    is_test: bool = False
    """Whether this is test code, by its name and place."""


@dataclass(slots=True)
class Tree:
    """What lies below a root: Python files, other files that may name callables, and what was left out."""

    root: str
    files: list[SourceFile] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    """(absolute path, path relative to the root) of configuration files and the like."""
    skipped: list[Skipped] = field(default_factory=list)
    scripts: list[tuple[str, str]] = field(default_factory=list)
    """The same for Python programs without a suffix, told by their first line."""
    unparsed: list[tuple[str, str]] = field(default_factory=list)
    """The same for files that hold Python code in a form that is not read."""
    templates: list[tuple[str, str]] = field(default_factory=list)
    """The same for templates, which may call what they are given."""
    foreign: Counter[str] = field(default_factory=Counter)
    """How many files hold Python code in a form that is not read, by suffix."""

    @property
    def unread(self) -> list[Skipped]:
        """Of `skipped` what the system let nobody look at."""
        return [item for item in self.skipped if item.reason.startswith("cannot be ")]


class Unreadable(Exception):  # noqa: N818 - says what happened to the file, which is no error of ours
    """This file cannot be read as Python. The message says why, in a person's words."""


def read_source(path: str) -> bytes:
    """The content of a source file. Raises Unreadable, for a generated one before all of it is in memory, and
    for what has become a pipe or a device since the tree was listed before it could block or never end."""
    try:
        with open(
            os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb"
        ) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise Unreadable("not a regular file")
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise Unreadable(f"generated: {status.st_size:,} bytes")
    return data


def is_test_path(file: str) -> bool:
    """Whether a relative path names test code: `tests/...`, `test_x.py`, `x_test.py`, `conftest.py`."""
    *folders, name = file.split("/")
    stem = name.rsplit(".", 1)[0]
    return (
        not _TEST_FOLDERS.isdisjoint(folders)
        or stem.startswith("test_")
        or stem.endswith("_test")
        or stem in {"conftest", "tests"}
    )


def holds_tests(file: str, data: bytes) -> bool:
    """Whether a file that is called a test is one, by its folder or what stands in it: `ab_test.py` may be none."""
    *folders, name = file.split("/")
    if name.startswith("conftest.") or not _TEST_FOLDERS.isdisjoint(folders):
        return True
    return not set(_PERHAPS_TEST_FOLDERS).isdisjoint(folders) or _TESTS.search(data) is not None


def _folders_of_tests(files: Iterable[str]) -> tuple[str, ...]:
    """Folders called `test` or `testing` that hold test modules, with a slash at the end.

    `test` may hold them further down; the `tests` of a `testing` with helpers for others are about those helpers.
    """
    found = set()
    for file in files:
        *folders, name = file.split("/")
        if not name.startswith("test_"):
            continue
        if folders and folders[-1] in _PERHAPS_TEST_FOLDERS:
            found.add("/".join(folders) + "/")
        elif "test" in folders and _TEST_FOLDERS.isdisjoint(folders):
            found.add("/".join(folders[: folders.index("test") + 1]) + "/")
    return tuple(found)


def read_tree(path: str | os.PathLike[str], exclude: Sequence[str] = ()) -> Tree:
    """List the tree below `path`, a folder or one Python file.

    `exclude` holds shell patterns on paths relative to the root. Hidden folders, virtual environments,
    installed packages below the root and bytecode caches are left out without a word; what a person would
    expect to be read and is not (a link loop, an unreadable folder) is listed in `skipped`.
    Raises UsageError if there is nothing at `path`.
    """
    root = os.path.abspath(path)
    if os.path.isfile(root):
        tree = Tree(os.path.dirname(root))
        found = [(root, os.path.basename(root))]
    elif os.path.isdir(root):
        tree = Tree(root)
        found = _walk(tree, exclude)
    else:
        what = "neither a file nor a folder" if os.path.exists(root) else "no such file or folder"
        raise UsageError(f"{os.fspath(path)}: {what}; name the root of a Python source tree")
    namer = ModuleNames(tree.root, [item[0] for item in found])
    folders = _folders_of_tests(relative for _, relative in found)
    for absolute, relative in sorted(found, key=lambda item: item[1]):
        module, is_package = namer.name(absolute)
        is_test = is_test_path(relative) or any(relative.startswith(folder) for folder in folders)
        tree.files.append(SourceFile(absolute, relative, module, is_package, is_test))
    tree.texts.sort()
    tree.scripts.sort()
    tree.unparsed.sort()
    tree.templates.sort()
    return tree


def _walk(tree: Tree, exclude: Sequence[str]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    seen = {os.path.realpath(tree.root)}
    pending = [(tree.root, "")]
    links: list[os.DirEntry[str]] = []  # entered last, so that a folder is known by its own name
    while pending or links:
        if not pending:
            link = links.pop()
            relative = os.path.relpath(link.path, tree.root).replace(os.sep, "/")
            if _enter(link, relative, seen, tree):
                pending.append((link.path, relative + "/"))
            continue
        folder, relative = pending.pop()
        try:
            with os.scandir(folder) as entries:
                items = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            tree.skipped.append(Skipped(relative or ".", f"cannot be listed: {error.strerror}"))
            continue
        for entry in items:
            below = f"{relative}{entry.name}"
            if any(fnmatch(below, pattern) for pattern in exclude):
                continue
            if _is_folder(entry):
                if entry.is_symlink():
                    links.append(entry)
                elif _enter(entry, below, seen, tree):
                    pending.append((entry.path, below + "/"))
            else:
                _take_file(entry, below, tree, found)
    return found


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in a circle
        return False


def _enter(entry: os.DirEntry[str], relative: str, seen: set[str], tree: Tree) -> bool:
    if entry.name.startswith(".") or entry.name in _NEVER:
        return False
    if os.path.exists(os.path.join(entry.path, "pyvenv.cfg")):
        return False
    real = os.path.realpath(entry.path)
    if real in seen:
        tree.skipped.append(Skipped(relative, "a link to a folder that is read already"))
        return False
    if entry.is_symlink() and (tree.root + os.sep).startswith(real.rstrip(os.sep) + os.sep):
        tree.skipped.append(Skipped(relative, "a link that leads back above itself"))
        return False
    seen.add(real)
    return True


def _take_file(entry: os.DirEntry[str], relative: str, tree: Tree, found: list[tuple[str, str]]) -> None:
    try:
        if entry.name.endswith((".py", ".pyi")):
            if entry.is_file():
                found.append((entry.path, relative))
            elif not os.path.exists(entry.path):
                tree.skipped.append(Skipped(relative, "a link that leads nowhere"))
            else:
                tree.skipped.append(Skipped(relative, "not a regular file"))
            return
        suffix = os.path.splitext(entry.name)[1]
        if suffix in FOREIGN:
            tree.foreign[suffix] += 1
            if entry.is_file():  # a link that leads nowhere holds nothing
                tree.unparsed.append((entry.path, relative))
        is_text = suffix in TEXT_SUFFIXES or _is_named_as_text(entry.name)
        if suffix in _SCRIPTS or (suffix in _PERHAPS_SCRIPTS and not is_text and _is_script(entry)):
            tree.scripts.append((entry.path, relative))
        kinds = [tree.texts] * is_text + [tree.templates] * is_template(relative)
        if kinds and entry.is_file() and entry.stat().st_size <= MAX_TEXT_BYTES:
            for kind in kinds:
                kind.append((entry.path, relative))
    except OSError as error:
        circle = error.errno == ELOOP
        reason = "a link that leads in a circle" if circle else f"cannot be looked at: {error.strerror}"
        tree.skipped.append(Skipped(relative, reason))


def _is_named_as_text(name: str) -> bool:
    return name in TEXT_NAMES or name[0] + name[1:].partition(".")[0] in TEXT_NAMES


def _is_script(entry: os.DirEntry[str]) -> bool:
    """Whether a file begins as a Python program does: `#!/usr/bin/env python3`."""
    try:
        if not entry.is_file():
            return False
        with open(entry.path, "rb") as file:
            return bool(_SHEBANG.match(file.read(100)))
    except OSError:  # a link in a circle; what nobody may read is none that a process of ours ran
        return False


class ModuleNames:
    """Finds the dotted name of files, from `__init__.py` files and, for namespace packages, from what is
    imported."""

    def __init__(self, root: str, paths: Iterable[str]) -> None:
        self._root = root
        self._paths = list(paths)
        self._bases: dict[str, str] = {}

    def name(self, path: str) -> tuple[str, bool]:
        """The module name of the file at `path`, and whether it is a package's `__init__`."""
        folder, base = os.path.split(path)
        stem = base.rsplit(".", 1)[0]
        below = os.path.relpath(folder, self._import_root(folder))
        parts = [] if below == "." else below.split(os.sep)
        if stem == "__init__":
            return ".".join(parts) or os.path.basename(folder), True
        return ".".join([*parts, stem]), False

    def _import_root(self, folder: str) -> str:
        known = self._bases.get(folder)
        if known is None:
            known = self._bases[folder] = self._find_root(folder)
        return known

    def _find_root(self, folder: str) -> str:
        parent = os.path.dirname(folder)
        if os.path.isfile(os.path.join(folder, "__init__.py")) and parent != folder:
            return self._import_root(parent)
        if folder == self._root:
            return parent if self._root_is_namespace() else folder
        if not (folder + os.sep).startswith(self._root + os.sep):
            return folder
        if os.path.basename(folder) in _SOURCE_ROOTS or _has_project_file(folder):
            return folder
        outer = self._import_root(parent)
        if os.path.isfile(os.path.join(parent, "__init__.py")) or outer != parent:
            return folder if self._is_put_on_path(folder) else outer  # a part of a package, or scripts in it
        return self._vote(folder, outer)

    def _root_is_namespace(self) -> bool:
        """Whether the root is itself a part of a namespace package: its files import each other by its name."""
        name = os.path.basename(self._root)
        tops = self._names_in(self._root)
        if name in tops or not name.isidentifier():
            return False
        as_namespace = on_path = 0
        for imported, number in self._imported.items():
            first, _, rest = imported.partition(".")
            as_namespace += number * (first == name and rest.split(".", 1)[0] in tops)
            on_path += number * (first in tops)
        return as_namespace > on_path

    def _is_put_on_path(self, folder: str) -> bool:
        """Whether the files of a folder import each other by their bare names, as scripts do."""
        tops = self._names_in(folder) - sys.stdlib_module_names
        return any(
            imported.split(b".", 1)[0].decode("ascii", "replace") in tops
            for path in self._by_folder.get(folder, ())
            for imported in _IMPORTED.findall(_beginning(path))
        )

    @cached_property
    def _by_folder(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in self._paths:
            found.setdefault(os.path.dirname(path), []).append(path)
        return found

    @staticmethod
    def _names_in(folder: str) -> set[str]:
        """The names that could be imported if `folder` were on the path."""
        return {os.path.splitext(name)[0] for name in _listed(folder) if not name.startswith((".", "_"))}

    def _vote(self, inner: str, outer: str) -> str:
        """A folder without `__init__.py`: a namespace package, or a folder on the path? What is imported
        tells."""
        prefix = os.path.relpath(inner, outer).replace(os.sep, ".")
        as_namespace = sum(n for name, n in self._imported.items() if (name + ".").startswith(prefix + "."))
        tops = self._tops(inner)
        on_path = sum(n for name, n in self._imported.items() if name.split(".", 1)[0] in tops)
        return inner if on_path > as_namespace else outer

    def _tops(self, folder: str) -> set[str]:
        """Names that could be imported if `folder` were on the path, and not already from the root."""
        return self._names_in(folder) - {os.path.splitext(name)[0] for name in _listed(self._root)}

    @cached_property
    def _imported(self) -> Counter[str]:
        """How many files import each dotted name; a sample is enough to vote."""
        counts: Counter[str] = Counter()
        step = max(1, len(self._paths) // 2000)
        for path in self._paths[::step]:
            data = _beginning(path)
            counts.update({name.decode("ascii", "replace") for name in _IMPORTED.findall(data)})
        return counts


def _beginning(path: str) -> bytes:
    try:
        return read_source(path)[:100_000]
    except Unreadable:
        return b""


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:  # gone since the tree was listed
        return []


def _has_project_file(folder: str) -> bool:
    return any(os.path.isfile(os.path.join(folder, name)) for name in _PROJECT_FILES)
