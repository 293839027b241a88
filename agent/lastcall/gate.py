"""The check for a pull request: which targets does a change delete or rename, and may they go?

Only the two revisions are compared, with git and Python's own parser: nothing is imported or checked out. A
definition that only moves, and stays reachable under the old name (re-exported, aliased, served by a module's
`__getattr__`), is not deleted.
"""

from __future__ import annotations

import ast
import os
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from lastcall.errors import UsageError
from lastcall.reaching import DEFINITIONS, arguments, binding, bindings, doubts, offers, reach
from lastcall.repository import SOURCE_FOLDERS, SUFFIXES, Repository, commit_of, git
from lastcall.scanning.tree import is_test_path
from lastcall.wildcards import makes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from lastcall.checking import Request
    from lastcall.config import Config
    from lastcall.reaching import Found
    from lastcall.sources import EvidenceSource
    from lastcall.targets import Target
    from lastcall.verdict import Verdict

_CONFIG_FILES = ("lastcall.toml", "pyproject.toml")
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
    from lastcall.checking import check, known_targets, look_at_problems, resolve

    base, head = (Repository(commit) for commit in endpoints(revisions))
    if not request.refs and deletes_nothing(base, head):
        return []  # whatever the targets are: no store is needed to know them
    look_at_problems(config)
    with source.gather(request.refs, request.since, progress) as store:
        known = known_targets(store, config)
    # A change that deletes a target takes its entry out of the configuration, too.
    targets = [*config.targets, *once_configured(base, config)]
    written = sorted(
        {t.ref for t in targets if not t.parsed.wild}.union(covered(base, head, targets)) - known.keys()
    )
    removed = removals(base, head, resolve(request.refs, sorted({*known, *written})))
    if not removed:
        return []
    places = {removal.ref: removal for removal in removed}
    verdicts = check(replace(request, refs=sorted(places), written=written, head=head.commit), source, config, progress)
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
    first, second = commit_of(base), commit_of(head or "HEAD")
    return (git("merge-base", first, second).strip() if apart else first), second


def removals(base: Repository, head: Repository, refs: Sequence[str]) -> list[Removal]:
    """The targets that can be reached in `base` and no longer in `head`, in one project or another."""
    lost = [(ref, found) for ref in refs if (found := _lost(base, head, ref)) is not None]
    holding = head.holding({_name(ref) for ref, _ in lost} - {""})
    return [
        Removal(ref, found.file, found.line, _became(base, head, ref, holding.get(_name(ref), ())))
        for ref, found in lost
    ]


def _lost(base: Repository, head: Repository, ref: str) -> Found | None:
    """Where a target was in `base`, if it can no longer be reached in `head`."""
    before, after = reach(base, ref), reach(head, ref)
    if not all(is_test_path(found.home) for found in before):  # a copy that tests keep is no project of its own
        before = [found for found in before if not is_test_path(found.home)]
        after = [found for found in after if not is_test_path(found.home)]
    certain = [found for found in before if not found.doubt]
    if certain:
        # It stood there. What might have served it all along, and was not needed to, is no reason to think it does.
        after = [found for found in after if found.doubt not in doubts(base, found.doubtful)]
    # And what might serve any name is none where there was more to go by.
    least = min(1, max((found.sureness for found in before), default=0))
    after = [found for found in after if found.sureness >= least]
    if len(after) >= max(len(certain), min(len(before), 1)):
        return None
    homes = {found.home for found in after}
    return next((found for found in certain or before if found.home not in homes), (certain or before)[0])


def deletes_nothing(base: Repository, head: Repository) -> bool:
    """Whether a change takes no target away, whichever there are: all that its files had is there. In doubt it may."""
    if any(_stands_before(file, base.files) for file in head.files if file not in base.files):
        return False
    refs: dict[str, None] = {}
    for file in base.changed(head):
        before, after = base.parsed(file), head.parsed(file) if file in head.files else None
        if before is None or after is None or not offers(base, file) <= offers(head, file):
            return False
        for module in _modules(base, file):
            refs.update(dict.fromkeys([module, *(f"{module}:{name}" for name in _all_names(before))]))
    return not any(_lost(base, head, ref) for ref in refs)


def _stands_before(file: str, files: Collection[str]) -> bool:
    """Whether a new file may be taken for a module that was another file, or changes what the modules beside it are."""
    suffix = next(suffix for suffix in SUFFIXES if file.endswith(suffix))
    module = file.removesuffix(suffix)
    return any(module + other in files for other in SUFFIXES) or (
        suffix.startswith("/") and any(other.startswith(f"{module}/") for other in files)
    )


def _all_names(scope: ast.AST, prefix: str = "") -> Iterator[str]:
    """Whatever a module binds, members of classes and arguments, too."""
    for name, nodes in bindings(scope).items():
        yield prefix + name
        for node in nodes:
            if isinstance(node, ast.ClassDef):
                yield from _all_names(node, f"{prefix}{name}.")
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                made = name in {"__init__", "__new__"}
                for argument in arguments(node):
                    yield f"{prefix.rstrip('.') if made else prefix + name}({argument}=)"


def once_configured(base: Repository, config: Config) -> list[Target]:
    """The targets that the configuration file named in `base`; none if it is not in this repository."""
    from lastcall.config import Config as Settings
    from lastcall.config_file import take

    try:
        top = os.path.realpath(git("rev-parse", "--show-toplevel").rstrip("\n"))
    except UsageError:
        return []  # a repository without files of its own, as a server's hook runs in
    names = [config.file, *(f"{config.root}/{name}" for name in _CONFIG_FILES)]  # it may have moved from one to another
    for name in filter(None, names):
        file = os.path.relpath(os.path.realpath(name), top).replace(os.sep, "/")
        if file.startswith("../"):
            continue  # apart from what the change is of
        if git("ls-tree", "--full-tree", "--name-only", base.commit, "--", file, empty=True):
            then = Settings()
            take(then, name, git("cat-file", "blob", f"{base.commit}:{file}"))
            return then.targets
    return []


def covered(base: Repository, head: Repository, targets: Sequence[Target]) -> list[str]:
    """What the configuration's wildcards cover in the files that the change touches, whether it ever ran or not."""
    wildcards = [target for target in targets if target.parsed.wild]
    if not wildcards:
        return []
    result = []
    for file in base.changed(head):
        tree = base.parsed(file)
        for module in _modules(base, file) if tree is not None else ():
            refs = [f"{module}:{qualname}" for qualname in _defined(tree)] + [module]
            result += [ref for wildcard in wildcards for ref in makes(wildcard, refs)]
    return result


def _modules(repository: Repository, file: str) -> list[str]:
    """The names by which a file is imported: in a repository of many projects a package begins somewhere below."""
    parts = _module_name(file).split(".")
    suffixes = [".".join(parts[n:]) for n in range(len(parts))]
    return [
        name
        for name in suffixes
        if file in {repository.at(home).file_of(name) for home in repository.homes(name)}
    ]


def _defined(scope: ast.AST | None, prefix: str = "") -> Iterator[str]:
    """The public functions, classes and members of classes that are defined in a module."""
    pending = list(ast.iter_child_nodes(scope)) if scope is not None else []
    while pending:
        node = pending.pop(0)
        if isinstance(node, DEFINITIONS):
            if not node.name.startswith("_"):
                yield prefix + node.name
                if isinstance(node, ast.ClassDef):
                    yield from _defined(node, f"{prefix}{node.name}.")
        elif not isinstance(node, ast.expr):
            pending.extend(ast.iter_child_nodes(node))


def _name(ref: str) -> str:
    """The name in its module that a target begins with; none if it is the module."""
    return ref.partition("(")[0].partition(":")[2].partition(".")[0]


def _became(base: Repository, head: Repository, ref: str, holding: Iterable[str]) -> str:
    """What looks like its new place or name: that name defined elsewhere, or that body in its module."""
    module, _, qualname = ref.partition("(")[0].partition(":")
    name = _name(ref)
    if not name:
        return ""
    moved = []
    for file in holding:
        tree = head.parsed(file)
        if tree is not None and isinstance(binding(tree, name), DEFINITIONS):
            moved.append(f"{_module_name(file)}:{qualname}")
    if len(moved) == 1:
        return moved[0]
    before, after = base.module(module), head.module(module)
    old = binding(before, name) if before is not None else None
    if after is None or not isinstance(old, DEFINITIONS):
        return ""
    same = _by_body(after).get(_body(old), ())
    return f"{module}:{'.'.join([same[0], *qualname.split('.')[1:]])}" if len(same) == 1 else ""


@cache
def _by_body(tree: ast.Module) -> dict[str, list[str]]:
    """The names of what is defined with the same body, by that."""
    found: dict[str, list[str]] = defaultdict(list)
    for node in ast.walk(tree):
        if isinstance(node, DEFINITIONS):
            found[_body(node)].append(node.name)
    return found


@cache
def _body(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> str:
    return "\n".join(map(ast.dump, node.body))


def _module_name(file: str) -> str:
    for folder in SOURCE_FOLDERS[1:]:
        file = file.removeprefix(folder)
    for suffix in SUFFIXES:
        file = file.removesuffix(suffix)
    return file.replace("/", ".")
