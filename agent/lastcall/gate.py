"""The check for a pull request: which targets does a change delete or rename, and may they go?

Only the two revisions are compared, with git and Python's own parser: nothing is imported or checked out. A
definition that only moves, and stays reachable under the old name (re-exported, aliased, served by a module's
`__getattr__`), is not deleted.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections import defaultdict
from copy import copy
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from lastcall.errors import UsageError
from lastcall.scanning.tree import is_test_path
from lastcall.wildcards import makes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from lastcall.checking import Request
    from lastcall.config import Config
    from lastcall.sources import EvidenceSource
    from lastcall.targets import Target
    from lastcall.verdict import Verdict

SOURCE_FOLDERS = ("", "src/", "lib/", "agent/")
"""Where a top-level package may lie in a repository."""
_CONFIG_FILES = ("lastcall.toml", "pyproject.toml")
DEPTH = 20
"""Re-exports followed before a chain is taken to go round in circles."""


@dataclass(frozen=True, slots=True)
class Removal:
    """A target that a change takes away."""

    ref: str
    file: str
    """Where it was defined, in the base."""
    line: int
    became: str = ""
    """`module:qualname` of what looks like its new name or place, else empty."""


def check_diff(
    revisions: str,
    request: Request,
    source: EvidenceSource,
    config: Config,
    progress: Callable[[int, int], None] | None = None,
) -> list[Verdict]:
    """The verdict on each target that the change `BASE..HEAD` deletes or renames; none if it deletes none.

    Raises UsageError for revisions that git does not know, or where there is no repository.
    """
    from lastcall.checking import check, known_targets, resolve

    base, head = endpoints(revisions)
    with source.gather(request.refs, request.since, progress) as store:
        known = known_targets(store, config)
    before, after = Repository(base), Repository(head)
    # A change that deletes a target takes its entry out of the configuration, too.
    targets = [*config.targets, *once_configured(before, config)]
    written = sorted(
        {t.ref for t in targets if not t.parsed.wild}.union(covered(before, after, targets)) - known.keys()
    )
    removed = removals(before, after, resolve(request.refs, sorted({*known, *written})))
    if not removed:
        return []
    places = {removal.ref: removal for removal in removed}
    verdicts = check(replace(request, refs=sorted(places), written=written), source, config, progress)
    return [_placed(verdict, places[verdict.target.ref]) for verdict in verdicts]


def _placed(verdict: Verdict, removal: Removal) -> Verdict:
    from lastcall.reasons import removed_by_change

    target = replace(verdict.target, defined_file=removal.file, defined_line=removal.line)
    return replace(verdict, target=target, reasons=(*verdict.reasons, removed_by_change(removal.became)))


def endpoints(revisions: str) -> tuple[str, str]:
    """The two commits of `BASE..HEAD`; with three dots the base is where the branches parted."""
    base, dots, head = revisions.partition("..")
    apart = head.startswith(".")
    head = head[1:] if apart else head
    if not dots or not base or base.startswith("-") or head.startswith("-"):
        raise UsageError(f"--diff takes BASE..HEAD, such as origin/main..HEAD, not {revisions!r}.")
    first, second = _commit(base), _commit(head or "HEAD")
    return (_git("merge-base", first, second).strip() if apart else first), second


def _commit(revision: str) -> str:
    try:
        return _git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").strip()
    except UsageError:
        _git("rev-parse", "--git-dir")  # says so if this is no repository
        raise UsageError(
            f"git knows no revision {revision!r} here. In CI, fetch it first: a shallow clone has only one."
        ) from None


def _git(*arguments: str, empty: bool = False) -> str:
    """What git prints. To find nothing is no failure if `empty`. Raises UsageError with git's complaint."""
    return _git_bytes(*arguments, empty=empty).decode("utf-8", "surrogateescape")


def _git_bytes(*arguments: str, empty: bool = False) -> bytes:
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
        listed = _git("ls-tree", "-r", "-z", "--full-tree", "--name-only", commit).split("\0")
        self.files = {file for file in listed if file.endswith((".py", ".pyi"))}
        self._ends: dict[str, list[str]] = defaultdict(list)
        for file in sorted(self.files):
            self._ends["/".join(file.split("/")[-2 if file.endswith("/__init__.py") else -1 :])].append(file)
        self.text = lru_cache(maxsize=None)(self._text)
        self.parsed = lru_cache(maxsize=None)(self._parsed)
        self.doubts = lru_cache(maxsize=None)(self._doubts)
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
        return [home for home in found if f"{home}__init__.py" not in self.files] or found[: len(found) == 1]

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
        return _git_bytes("show", f"{self.commit}:{file}")

    def _parsed(self, file: str) -> ast.Module | None:
        try:
            return ast.parse(self.text(file))  # bytes: the file says its encoding itself
        except (SyntaxError, ValueError, RecursionError):
            return None

    def _doubts(self, file: str) -> frozenset[str]:
        """What in a file may serve names that do not stand there; see `Found.doubt`."""
        tree = self.parsed(file) if file in self.files else None
        if tree is None:
            return frozenset()
        made = _binding(tree, "__getattr__")
        found = set() if made is None else {ast.dump(made)}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                found.update(_of_import(node, alias) for alias in node.names)
            elif isinstance(node, ast.ClassDef):
                found.add(_of_bases(node))
        return frozenset(found)

    def holding(self, name: str) -> list[str]:
        """The files in which a name stands."""
        listed = _git("grep", "-lzwF", "--full-name", "-e", name, self.commit, "--", ":/*.py", empty=True)
        return sorted(entry.partition(":")[2] for entry in listed.split("\0") if entry)


def removals(base: Repository, head: Repository, refs: Sequence[str]) -> list[Removal]:
    """The targets that can be reached in `base` and no longer in `head`, in one project or another."""
    result = []
    for ref in refs:
        before, after = reach(base, ref), reach(head, ref)
        if not all(is_test_path(found.home) for found in before):  # a copy that tests keep is no project of its own
            before = [found for found in before if not is_test_path(found.home)]
            after = [found for found in after if not is_test_path(found.home)]
        certain = [found for found in before if not found.doubt]
        if certain:
            # It stood there. What might have served it all along, and was not needed to, is no reason to think it does.
            after = [found for found in after if found.doubt not in base.doubts(found.doubtful)]
        if len(after) < max(len(certain), min(len(before), 1)):
            homes = {found.home for found in after}
            lost = [found for found in certain or before if found.home not in homes] or certain or before
            result.append(Removal(ref, lost[0].file, lost[0].line, _became(base, head, ref)))
    return result


def once_configured(base: Repository, config: Config) -> list[Target]:
    """The targets that the configuration file named in `base`; none if it is not in this repository."""
    from lastcall.config import Config as Settings
    from lastcall.config_file import take

    try:
        top = os.path.realpath(_git("rev-parse", "--show-toplevel").rstrip("\n"))
    except UsageError:
        return []  # a repository without files of its own, as a server's hook runs in
    names = [config.file, *(f"{config.root}/{name}" for name in _CONFIG_FILES)]  # it may have moved from one to another
    for name in filter(None, names):
        file = os.path.relpath(os.path.realpath(name), top).replace(os.sep, "/")
        if file.startswith("../"):
            continue  # apart from what the change is of
        if _git("ls-tree", "--full-tree", "--name-only", base.commit, "--", file, empty=True):
            then = Settings()
            take(then, name, base.text(file).decode("utf-8", "replace"), may_be_pyproject=True)
            return then.targets
    return []


def covered(base: Repository, head: Repository, targets: Sequence[Target]) -> list[str]:
    """What the configuration's wildcards cover in the files that the change touches, whether it ever ran or not."""
    wildcards = [target for target in targets if target.parsed.wild]
    if not wildcards:
        return []
    listed = _git("diff", "--name-only", "--no-renames", "-z", base.commit, head.commit).split("\0")
    result = []
    for file in sorted(base.files.intersection(listed)):
        parts = _module_name(file.removesuffix("i")).split(".")
        # In a repository of many projects a package begins somewhere below.
        suffixes = [".".join(parts[n:]) for n in range(len(parts))]
        names = [name for name in suffixes if file in {base.at(home).file_of(name) for home in base.homes(name)}]
        tree = base.parsed(file)
        for module in names if tree is not None else ():
            refs = [f"{module}:{qualname}" for qualname in _defined(tree)] + [module]
            result += [ref for wildcard in wildcards for ref in makes(wildcard, refs)]
    return result


def _defined(scope: ast.AST | None, prefix: str = "") -> Iterator[str]:
    """The public functions, classes and members of classes that are defined in a module."""
    pending = list(ast.iter_child_nodes(scope)) if scope is not None else []
    while pending:
        node = pending.pop(0)
        if isinstance(node, _DEFINITIONS):
            if not node.name.startswith("_"):
                yield prefix + node.name
                if isinstance(node, ast.ClassDef):
                    yield from _defined(node, f"{prefix}{node.name}.")
        elif not isinstance(node, ast.expr):
            pending.extend(ast.iter_child_nodes(node))


@dataclass(frozen=True, slots=True)
class Found:
    """Where a target can be reached."""

    file: str
    line: int
    node: ast.AST
    module: str
    """The one that the node stands in."""
    doubt: str = ""
    """What may serve it though its name does not stand there; empty if it does."""
    doubtful: str = ""
    """The file with that."""
    home: str = ""


def reach(repository: Repository, ref: str) -> list[Found]:
    """Where a target is defined or re-exported, in each of the projects in which it can be reached.

    Doubt counts as reachable: what a module makes at run time cannot be read from its text.
    """
    module = ref.partition(":")[0]
    found = [(home, _reach(repository.at(home), ref)) for home in repository.homes(module)]
    return [replace(one, home=home) for home, one in found if one is not None]


def _reach(repository: Repository, ref: str) -> Found | None:
    module, _, qualname = ref.partition(":")
    qualname, _, parameter = qualname.rstrip(")").partition("(")
    name = parameter.rstrip("=").strip()
    file = repository.file_of(module)
    tree = repository.module(module)
    whole = Found(file, 1, ast.Module([], []), module)
    if not qualname:
        return whole
    if tree is None:  # not to be parsed by this Python: gone is what it does not even mention
        words = [word for word in (qualname.rpartition(".")[2], name) if word]
        text = repository.text(file)
        return whole if all(re.search(rb"\b%s\b" % re.escape(word.encode()), text) for word in words) else None
    found = _find(repository, module, tree, qualname.split("."), DEPTH)
    if found is None or not name or _takes(found.node, name):
        return found
    return None


def _find(repository: Repository, module: str, tree: ast.Module, parts: list[str], depth: int) -> Found | None:
    file = repository.file_of(module)
    node = _binding(tree, parts[0])
    if node is None:
        return _served(repository, module, tree, parts, depth)
    if isinstance(node, ast.ImportFrom):
        alias = next(a for a in node.names if (a.asname or a.name) == parts[0])
        # A chain that goes round in circles holds nothing.
        parts = [alias.name, *parts[1:]]
        return _through_import(repository, module, node, alias, parts, depth=depth) if depth else None
    for number, part in enumerate(parts[1:], 1):
        if not isinstance(node, ast.ClassDef):
            break  # set on an object
        inner = _binding(node, part)
        if inner is None:
            return _inherited(repository, module, node, parts[number:], depth)
        node = inner
    return Found(file, getattr(node, "lineno", 1), node, module)


def _inherited(
    repository: Repository, module: str, node: ast.ClassDef, parts: list[str], depth: int
) -> Found | None:
    """A member that a class does not define: of a base that is known, or perhaps of one that is not."""
    file = repository.file_of(module)
    tree = repository.module(module)
    doubt = ""
    for base in node.bases:
        name = _dotted(base)
        owner = _find(repository, module, tree, name, depth - 1) if name and tree is not None and depth else None
        if owner is not None and isinstance(owner.node, ast.ClassDef) and owner.node is not node:
            inner = _binding(owner.node, parts[0])
            if inner is not None:
                return Found(file, node.lineno, inner, owner.module)
            found = _inherited(repository, owner.module, owner.node, parts, depth - 1)
            if found is not None and not found.doubt:
                return found
            doubt = doubt or (_of_bases(node) if found is not None else "")
        elif name != ["object"]:
            doubt = _of_bases(node)
    return Found(file, node.lineno, node, module, doubt, file) if doubt else None


def _dotted(node: ast.expr) -> list[str]:
    """`a.b` as its names, also of `a.b[...]`; empty for what is none."""
    if isinstance(node, ast.Subscript):
        return _dotted(node.value)
    if isinstance(node, ast.Attribute):
        owner = _dotted(node.value)
        return [*owner, node.attr] if owner else []
    return [node.id] if isinstance(node, ast.Name) else []


def _served(repository: Repository, module: str, tree: ast.Module, parts: list[str], depth: int) -> Found | None:
    """What a module hands out without a statement that names it: by `import *`, or its `__getattr__`."""
    file = repository.file_of(module)
    perhaps: Found | None = None
    for star in _star_imports(tree) if depth else ():
        found = _through_import(repository, module, star, star.names[0], parts, depth=depth)
        if found is not None and not found.doubt:
            return found
        perhaps = perhaps or found
    made = _binding(tree, "__getattr__")
    if made is not None:
        return Found(file, made.lineno, made, module, ast.dump(made), file)
    return perhaps


def _through_import(
    repository: Repository, module: str, node: ast.ImportFrom, alias: ast.alias, parts: list[str], *, depth: int
) -> Found | None:
    """Follow `from x import y` to `parts` of x. The place is that of the import."""
    name = parts[0]
    file = repository.file_of(module)
    here = Found(file, node.lineno, node, module)
    source = _absolute(module, node, is_package=file.endswith("__init__.py"))
    if repository.file_of(f"{source}.{name}") and alias.name != "*":
        tree = repository.module(source)
        if tree is None or _binding(tree, name) in (None, node):
            return here  # a module of the package
    tree = repository.module(source)
    if tree is None:
        if repository.file_of(source):
            return here  # not to be parsed
        if repository.has_top(source.partition(".")[0]):
            return None
        return replace(here, doubt=_of_import(node, alias), doubtful=file)
    if alias.name == "*" and not _hands_on(tree, name):
        return None
    found = _find(repository, source, tree, parts, depth - 1)
    return None if found is None else replace(found, file=file, line=node.lineno)


def _of_import(node: ast.ImportFrom, alias: ast.alias) -> str:
    return f"from {'.' * node.level}{node.module or ''} import {alias.name} as {alias.asname or alias.name}"


def _of_bases(node: ast.ClassDef) -> str:
    return f"class {node.name}({', '.join(map(ast.dump, node.bases))})"


def _absolute(module: str, node: ast.ImportFrom, *, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    keep = len(parts) - node.level + (1 if is_package else 0)
    return ".".join([*parts[:keep], *((node.module or "").split(".") if node.module else [])])


def _star_imports(tree: ast.AST) -> list[ast.ImportFrom]:
    return [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.names[0].name == "*"]


def _hands_on(tree: ast.Module, name: str) -> bool:
    """Whether `import *` takes a name: all that `__all__` says, where that is plain, else what is public."""
    listed = [n for n in tree.body if isinstance(n, ast.Assign) and _names_in(n.targets) == {"__all__"}]
    if len(listed) == 1 and isinstance(listed[0].value, (ast.List, ast.Tuple)):
        items = listed[0].value.elts
        grows = any("__all__" in _names_in([n.target]) for n in ast.walk(tree) if isinstance(n, ast.AugAssign))
        if not grows and all(isinstance(item, ast.Constant) for item in items):
            return name in {item.value for item in items if isinstance(item, ast.Constant)}
    return bool(listed) or not name.startswith("_")


def _names_in(targets: Iterable[ast.AST]) -> set[str]:
    return {n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)}


def _binding(scope: ast.AST, name: str) -> ast.stmt | None:
    """The statement that binds a name in a module or class body, whatever `if` or `try` it stands in."""
    pending = list(ast.iter_child_nodes(scope))
    found: ast.stmt | None = None
    while pending:
        node = pending.pop(0)
        if isinstance(node, _DEFINITIONS):
            if node.name == name:
                found = node
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            if any((a.asname or a.name.partition(".")[0]) == name for a in node.names):
                found = node
        elif isinstance(node, _BINDING):
            if name in _names_in(_bound(node)):
                found = node
            pending.extend(ast.iter_child_nodes(node))
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in _dotted(node.test)[-1:]:
            pending.extend(node.orelse)  # the rest is there for type checkers only
        elif not isinstance(node, ast.expr):
            pending.extend(ast.iter_child_nodes(node))
    return found


_BINDING = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.For, ast.AsyncFor, ast.With, ast.AsyncWith)


def _bound(node: ast.stmt) -> list[ast.AST]:
    """What a statement binds."""
    if isinstance(node, ast.Assign):
        return list(node.targets)
    if isinstance(node, (ast.With, ast.AsyncWith)):
        return [item.optional_vars for item in node.items if item.optional_vars is not None]
    return [node.target] if isinstance(node, (ast.AnnAssign, ast.AugAssign, ast.For, ast.AsyncFor)) else []


def _takes(node: ast.AST, name: str) -> bool:
    """Whether a function takes an argument, or a class when it is made; in doubt it does."""
    if isinstance(node, ast.ClassDef):
        made = _binding(node, "__init__") or _binding(node, "__new__")
        return _takes(made, name) if made is not None else bool(node.bases) or _binding(node, name) is not None
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return True
    given = node.args
    return given.kwarg is not None or name in {
        a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs)
    }


# -- where it went ----------------------------------------------------------------------------------

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def _became(base: Repository, head: Repository, ref: str) -> str:
    """What looks like its new place or name: that name defined elsewhere, or that body in its module."""
    module, _, qualname = ref.partition("(")[0].partition(":")
    name = qualname.partition(".")[0]
    if not name:
        return ""
    moved = []
    for file in head.holding(name):
        tree = head.parsed(file)
        if tree is not None and isinstance(_binding(tree, name), _DEFINITIONS):
            moved.append(f"{_module_name(file)}:{qualname}")
    if len(moved) == 1:
        return moved[0]
    before, after = base.module(module), head.module(module)
    old = _binding(before, name) if before is not None else None
    if after is None or not isinstance(old, _DEFINITIONS):
        return ""
    same = [
        node.name for node in ast.walk(after) if isinstance(node, _DEFINITIONS) and _body(node) == _body(old)
    ]
    return f"{module}:{'.'.join([same[0], *qualname.split('.')[1:]])}" if len(same) == 1 else ""


def _body(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> list[str]:
    return [ast.dump(statement) for statement in node.body]


def _module_name(file: str) -> str:
    for folder in SOURCE_FOLDERS[1:]:
        file = file.removeprefix(folder)
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
