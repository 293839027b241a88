"""The check for a pull request: which targets does a change delete or rename, and may they go?

Only the two revisions are compared, with git and Python's own parser: nothing is imported or checked out. A
definition that only moves, and stays reachable under the old name (re-exported, aliased, served by a module's
`__getattr__`), is not deleted.
"""

from __future__ import annotations

import ast
import subprocess
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from lastcall.errors import UsageError
from lastcall.wildcards import makes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lastcall.checking import Request
    from lastcall.config import Config
    from lastcall.sources import EvidenceSource
    from lastcall.targets import Target
    from lastcall.verdict import Verdict

SOURCE_FOLDERS = ("", "src/", "lib/", "agent/")
"""Where a top-level package may lie in a repository."""
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
    written = sorted(set(covered(before, after, config.targets)) - known.keys())
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
    return done.stdout.decode("utf-8", "surrogateescape")


class Repository:
    """The Python modules of one commit."""

    def __init__(self, commit: str) -> None:
        self.commit = commit
        listed = _git("ls-tree", "-r", "-z", "--full-tree", "--name-only", commit).split("\0")
        self.files = {file for file in listed if file.endswith((".py", ".pyi"))}
        self.module = lru_cache(maxsize=None)(self._module)
        self.parsed = lru_cache(maxsize=None)(self._parsed)

    def file_of(self, module: str) -> str:
        """The file of a module, or an empty string if this commit has none."""
        path = module.replace(".", "/")
        for folder in SOURCE_FOLDERS:
            for candidate in (f"{folder}{path}.py", f"{folder}{path}/__init__.py"):
                if candidate in self.files:
                    return candidate
        # A repository of many projects: the one file whose path ends so.
        found = [f for f in self.files if f.endswith((f"/{path}.py", f"/{path}/__init__.py"))]
        return found[0] if len(found) == 1 else ""

    def _module(self, module: str) -> ast.Module | None:
        file = self.file_of(module)
        return self.parsed(file) if file else None

    def _parsed(self, file: str) -> ast.Module | None:
        try:
            return ast.parse(_git("show", f"{self.commit}:{file}"))
        except (SyntaxError, ValueError, RecursionError):
            return None

    def holding(self, name: str) -> list[str]:
        """The files in which a name stands."""
        listed = _git("grep", "-lzwF", "--full-name", "-e", name, self.commit, "--", ":/*.py", empty=True)
        return sorted(entry.partition(":")[2] for entry in listed.split("\0") if entry)


def removals(base: Repository, head: Repository, refs: Sequence[str]) -> list[Removal]:
    """The targets that can be reached in `base` and no longer in `head`."""
    result = []
    for ref in refs:
        before = reach(base, ref)
        if before is not None and reach(head, ref) is None:
            result.append(Removal(ref, before[0], before[1], _became(base, head, ref)))
    return result


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
        names = [name for n in range(len(parts)) if base.file_of(name := ".".join(parts[n:])) == file]
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


def reach(repository: Repository, ref: str, depth: int = DEPTH) -> tuple[str, int] | None:
    """File and line where a target is defined or re-exported, or None if it cannot be reached.

    Doubt counts as reachable: what a module makes at run time cannot be read from its text.
    """
    module, _, qualname = ref.partition(":")
    qualname, _, parameter = qualname.rstrip(")").partition("(")
    file = repository.file_of(module)
    if not file:
        return None
    tree = repository.module(module)
    if tree is None or not qualname:
        return file, 1
    found = _find(repository, module, tree, qualname.split("."), depth)
    if found is None:
        return None
    place, node = found
    name = parameter.rstrip("=").strip()
    if name and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not _takes(node, name):
        return None
    return place


def _find(
    repository: Repository, module: str, tree: ast.Module, parts: list[str], depth: int
) -> tuple[tuple[str, int], ast.AST] | None:
    file = repository.file_of(module)
    node = _binding(tree, parts[0])
    if node is None:
        made = _binding(tree, "__getattr__") or _star_import(tree)
        if isinstance(made, ast.ImportFrom) and depth:
            return _through_import(repository, module, made, parts, depth)
        return ((file, made.lineno), made) if made is not None else None
    if isinstance(node, ast.ImportFrom) and depth:
        alias = next(a for a in node.names if (a.asname or a.name) == parts[0])
        return _through_import(repository, module, node, [alias.name, *parts[1:]], depth)
    for part in parts[1:]:
        inner = _binding(node, part) if isinstance(node, ast.ClassDef) else None
        if inner is None:
            # Inherited, or set on an object: only a plain class without bases surely lacks it.
            certain = isinstance(node, ast.ClassDef) and not node.bases
            return None if certain else ((file, getattr(node, "lineno", 1)), node)
        node = inner
    return (file, getattr(node, "lineno", 1)), node


def _through_import(
    repository: Repository, module: str, node: ast.ImportFrom, parts: list[str], depth: int
) -> tuple[tuple[str, int], ast.AST] | None:
    """Follow `from x import y` to `parts` of x. The place is that of the import."""
    name = parts[0]
    place = (repository.file_of(module), node.lineno)
    source = _absolute(module, node, is_package=place[0].endswith("__init__.py"))
    tree = repository.module(source)
    if tree is None:
        inside = repository.file_of(f"{source}.{name}") or repository.file_of(source)
        top = source.partition(".")[0]
        foreign = not repository.file_of(top)
        return (place, node) if inside or foreign else None
    if repository.file_of(f"{source}.{name}") and _binding(tree, name) is None:
        return place, node
    found = _find(repository, source, tree, parts, depth - 1)
    return (place, found[1]) if found is not None else None


def _absolute(module: str, node: ast.ImportFrom, *, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    keep = len(parts) - node.level + (1 if is_package else 0)
    return ".".join([*parts[:keep], *((node.module or "").split(".") if node.module else [])])


def _star_import(tree: ast.Module) -> ast.ImportFrom | None:
    stars = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.names[0].name == "*"]
    return stars[0] if stars else None


def _binding(scope: ast.AST, name: str) -> ast.stmt | None:
    """The statement that binds a name in a module or class body, whatever `if` or `try` it stands in."""
    pending = list(ast.iter_child_nodes(scope))
    found: ast.stmt | None = None
    while pending:
        node = pending.pop(0)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            if node.name == name:
                found = node
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            if any((a.asname or a.name.partition(".")[0]) == name for a in node.names):
                found = node
        elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(n, ast.Name) and n.id == name for t in targets for n in ast.walk(t)):
                found = node
        elif not isinstance(node, ast.expr):
            pending.extend(ast.iter_child_nodes(node))
    return found


def _takes(node: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> bool:
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
