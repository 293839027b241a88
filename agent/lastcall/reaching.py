"""Where a name of a target can be reached in a commit: defined there, inherited, or handed on under its name."""

from __future__ import annotations

import ast
import importlib
import re
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lastcall.repository import Repository

DEPTH = 20
"""Re-exports followed before a chain is taken to go round in circles."""
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


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
    node = binding(tree, parts[0])
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
        inner = binding(node, part) or _attached(tree, parts[:number], part)
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
            inner = binding(owner.node, parts[0])
            if inner is not None:
                return Found(file, node.lineno, inner, owner.module)
            found = _inherited(repository, owner.module, owner.node, parts, depth - 1)
            if found is not None and not found.doubt:
                return found
            doubt = doubt or (_of_bases(node) if found is not None else "")
        else:
            known = _standard_class(tree, name) if name and tree is not None else None
            if known is None:
                doubt = _of_bases(node)
            elif hasattr(known, parts[0]):
                return Found(file, node.lineno, node, module)
    return Found(file, node.lineno, node, module, doubt, file) if doubt else None


def _attached(tree: ast.Module, owner: list[str], name: str) -> ast.stmt | None:
    """The statement that gives a class a member from outside: `Class.name = ...`."""
    for node in tree.body:
        for target in node.targets if isinstance(node, ast.Assign) else ():
            if isinstance(target, ast.Attribute) and target.attr == name and _dotted(target.value) == owner:
                return node
    return None


def _standard_class(tree: ast.Module, name: list[str]) -> object:
    """The class that a base is, if it is one of those that Python's own modules of classes have; else None."""
    node = binding(tree, name[0])
    if node is None:
        path = ["builtins", *name]
    elif isinstance(node, ast.Import):
        alias = next(a for a in node.names if (a.asname or a.name.partition(".")[0]) == name[0])
        path = [*alias.name.split("."), *name[1:]] if alias.asname else name
    elif isinstance(node, ast.ImportFrom) and not node.level:
        alias = next(a for a in node.names if (a.asname or a.name) == name[0])
        path = [*(node.module or "").split("."), alias.name, *name[1:]]
    else:
        return None
    module = ".".join(path[:-1])
    if module not in _OF_CLASSES:
        return None
    found = getattr(importlib.import_module(_OF_CLASSES[module]), path[-1], None)
    return found if isinstance(getattr(found, "__origin__", found), type) else None


_OF_CLASSES = {
    **{name: name for name in ("abc", "builtins", "collections", "collections.abc", "enum", "typing")},
    "typing_extensions": "typing",
}


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
    made = binding(tree, "__getattr__")
    if made is not None and _may_serve(made, parts[0]):
        return Found(file, made.lineno, made, module, ast.dump(made), file)
    return perhaps


def _may_serve(made: ast.stmt, name: str) -> bool:
    """Whether a module's `__getattr__` may give a name: one that only compares serves those that it compares with."""
    if not isinstance(made, ast.FunctionDef) or not made.args.args:
        return True
    asked = made.args.args[0].arg
    told: set[int] = set()
    served: set[object] = set()
    for node in ast.walk(made):
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
            others = [part for part in parts if not (isinstance(part, ast.Name) and part.id == asked)]
            if all(_is_plain(part) for part in others):
                told.update(map(id, parts))
                served.update(n.value for part in others for n in ast.walk(part) if isinstance(n, ast.Constant))
        elif isinstance(node, ast.Raise):
            told.update(map(id, ast.walk(node)))
    asks = (n for n in ast.walk(made) if isinstance(n, ast.Name) and n.id == asked and id(n) not in told)
    return name in served or any(asks)


def _is_plain(node: ast.expr) -> bool:
    """Whether an expression is a constant, or constants in brackets."""
    items = node.elts if isinstance(node, (ast.Tuple, ast.List, ast.Set)) else [node]
    return all(isinstance(item, ast.Constant) for item in items)


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
        if tree is None or binding(tree, name) in (None, node):
            source, parts = f"{source}.{name}", parts[1:]  # a module of the package
            if not parts:
                return here
    tree = repository.module(source)
    if tree is None:
        if repository.file_of(source):
            return here  # not to be parsed
        if repository.has_top(source.partition(".")[0]):
            return None
        return replace(here, doubt=_of_import(node, alias), doubtful=file)
    handed_on = alias.name != "*" or _hands_on(tree, name)
    found = _find(repository, source, tree, parts, depth - 1) if handed_on else None
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
        grows = sum(isinstance(n, ast.Name) and n.id == "__all__" for n in ast.walk(tree)) > 1
        if not grows and all(isinstance(item, ast.Constant) for item in items):
            return name in {item.value for item in items if isinstance(item, ast.Constant)}
    return bool(listed) or not name.startswith("_")


def _names_in(targets: Iterable[ast.AST]) -> set[str]:
    """The names that are bound: none by `name.attribute = ...`, which is something done to what the name holds."""
    nodes = (n for target in targets for n in ast.walk(target))
    return {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def binding(scope: ast.AST, name: str) -> ast.stmt | None:
    """The statement that binds a name in a module or class body, whatever `if` or `try` it stands in."""
    pending = list(ast.iter_child_nodes(scope))
    found: ast.stmt | None = None
    while pending:
        node = pending.pop(0)
        if isinstance(node, DEFINITIONS):
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
        made = binding(node, "__init__") or binding(node, "__new__")
        return _takes(made, name) if made is not None else bool(node.bases) or binding(node, name) is not None
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return True
    given = node.args
    return given.kwarg is not None or name in {
        a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs)
    }


@cache
def doubts(repository: Repository, file: str) -> frozenset[str]:
    """What in a file may serve names that do not stand there; see `Found.doubt`."""
    tree = repository.parsed(file) if file in repository.files else None
    if tree is None:
        return frozenset()
    made = binding(tree, "__getattr__")
    found = set() if made is None else {ast.dump(made)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            found.update(_of_import(node, alias) for alias in node.names)
        elif isinstance(node, ast.ClassDef):
            found.add(_of_bases(node))
    return frozenset(found)
