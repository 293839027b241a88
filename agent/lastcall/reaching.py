"""Where a name of a target can be reached in a commit: defined there, inherited, or handed on under its name."""

from __future__ import annotations

import ast
import importlib
import re
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
    weak: bool = False
    """Whether nothing but that speaks for it: it may serve any name."""
    home: str = ""

    @property
    def sureness(self) -> int:
        """2 if its name stands there, 1 where something may well serve it, 0 if that may be any name."""
        return 2 if not self.doubt else 1 - self.weak


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
    if tree is None:
        return whole if _mentioned(repository, file, [*qualname.rpartition(".")[2:], name]) else None
    found = _find(repository, module, tree, qualname.split("."), DEPTH)
    if found is None or not name or _takes(found.node, name):
        return found
    return None


def _mentioned(repository: Repository, file: str, words: Iterable[str]) -> bool:
    """Whether a file holds these words: of one that this Python cannot parse, gone is what it does not say."""
    text = repository.text(file)
    return all(re.search(rb"\b%s\b" % re.escape(word.encode()), text) for word in words if word)


def _find(repository: Repository, module: str, tree: ast.Module, parts: list[str], depth: int) -> Found | None:
    """Where a name leads to by what binds it last, or what else does (in an `if`, a `try`) if that leads nowhere."""
    perhaps: Found | None = None
    for node in reversed(bindings(tree).get(parts[0], ())):
        found = _follow(repository, module, tree, node, parts, depth=depth)
        if found is not None and not found.doubt:
            return found
        perhaps = perhaps or found
    return perhaps or _given(repository, module, tree, parts) or _served(repository, module, tree, parts, depth)


def _follow(
    repository: Repository, module: str, tree: ast.Module, node: ast.AST, parts: list[str], *, depth: int
) -> Found | None:
    file = repository.file_of(module)
    if isinstance(node, ast.ImportFrom):
        alias = next(a for a in node.names if (a.asname or a.name) == parts[0])
        # A chain that goes round in circles holds nothing.
        parts = [alias.name, *parts[1:]]
        return _through_import(repository, module, node, alias, parts, depth=depth) if depth else None
    other = _dotted(node.value) if isinstance(node, ast.Assign) and parts[1:] and depth else []
    meant = _find(repository, module, tree, other, depth - 1) if other and other[0] != parts[0] else None
    if meant is not None and isinstance(meant.node, ast.ClassDef):  # another name of a class
        found = _find(repository, module, tree, [*other, *parts[1:]], depth - 1)
        return None if found is None else replace(found, file=file, line=getattr(node, "lineno", 1))
    if isinstance(node, ast.ClassDef) and parts[1:]:
        return _member(repository, module, tree, node, parts, depth=depth)
    return Found(file, getattr(node, "lineno", 1), node, module)  # what is set on an object, too


def _member(
    repository: Repository, module: str, tree: ast.Module, owner: ast.ClassDef, parts: list[str], *, depth: int
) -> Found | None:
    """Where a member of a class, `parts[1:]` of it, is defined in its body, given to it from outside, or inherited."""
    file = repository.file_of(module)
    path = [parts[0]]
    for number, part in enumerate(parts[1:], 1):
        inner = binding(owner, part)
        if not isinstance(inner, ast.ClassDef) or number == len(parts) - 1:
            if inner is not None:
                return Found(file, getattr(inner, "lineno", 1), inner, module)
            return (
                _given(repository, module, tree, [*path, part])
                or _inherited(repository, module, owner, parts[number:], depth)
                or _perhaps_given(repository, module, tree, owner, [*path, part])
            )
        path.append(part)
        owner = inner
    return None


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
            given = _given(repository, owner.module, _tree(repository, owner.module), [owner.node.name, parts[0]])
            if given is not None:
                return given
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


def _tree(repository: Repository, module: str) -> ast.Module:
    return repository.module(module) or ast.Module([], [])


# -- given at run time


@dataclass(frozen=True, slots=True)
class _Gift:
    """A statement that gives a class, or the module, a member whose name is made at run time, or that is written so."""

    node: ast.expr | ast.stmt
    owner: tuple[str, ...]
    """The class by its name; empty for the module itself."""
    name: str
    """Empty where it is not written out."""


@cache
def _gifts(tree: ast.Module) -> list[_Gift]:
    """`Class.name = ...`, `setattr(Class, name, ...)`, `globals()[name] = ...` and the like, anywhere in a module."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Attribute) and _dotted(target.value) not in ([], ["self"]):
                    found.append(_Gift(node, tuple(_dotted(target.value)), target.attr))
                elif isinstance(target, ast.Subscript) and _is_namespace(target.value):
                    found.append(_Gift(node, (), _text(target.slice)))
        elif isinstance(node, ast.Call) and _dotted(node.func) == ["setattr"] and len(node.args) > 1:
            of_module = _dotted(node.args[0]) == ["sys", "modules"]  # `sys.modules[__name__]`
            owner = () if of_module else tuple(_dotted(node.args[0]))
            if (owner or of_module) and owner != ("self",):
                found.append(_Gift(node, owner, _text(node.args[1])))
        elif isinstance(node, ast.Call) and _is_update(node.func):
            found += [_Gift(node, (), keyword.arg or "") for keyword in node.keywords]
            found += [_Gift(node, (), "")] * bool(node.args)
    return found


def _is_namespace(node: ast.expr) -> bool:
    """Whether it is `globals()` or `vars()`."""
    return isinstance(node, ast.Call) and not node.args and _dotted(node.func) in (["globals"], ["vars"])


def _is_update(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "update" and _is_namespace(node.value)


def _text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


@cache
def _strings(tree: ast.Module) -> frozenset[str]:
    """The strings of a module, as names may be made of them: `GET USER` may well become `get_user`."""
    texts = (n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str))
    return frozenset(_as_name(text) for text in texts)


def _as_name(text: str) -> str:
    return re.sub(r"\W", "_", text).lower()


def _given(repository: Repository, module: str, tree: ast.Module, parts: list[str]) -> Found | None:
    """The statement that gives a class, or the module, this name from outside: written out, or one of its strings."""
    file = repository.file_of(module)
    *owner, name = parts
    perhaps: Found | None = None
    for gift in _gifts(tree):
        if gift.owner != tuple(owner):
            continue
        if gift.name == name:
            return Found(file, gift.node.lineno, gift.node, module)
        if not gift.name:
            weak = _as_name(name) not in _strings(tree)
            if perhaps is None or perhaps.weak > weak:
                perhaps = Found(file, gift.node.lineno, gift.node, module, _of_gift(gift.node), file, weak)
    return perhaps


def _perhaps_given(
    repository: Repository, module: str, tree: ast.Module, owner: ast.ClassDef, parts: list[str]
) -> Found | None:
    """What may give a class this name among others: a decorator, or a loop over classes."""
    file, name = repository.file_of(module), parts[-1]
    if _as_name(name) in _strings(tree):
        if owner.decorator_list:
            return Found(file, owner.lineno, owner, module, _of_gift(owner.decorator_list[0]), file, weak=True)
        for gift in _gifts(tree):
            if gift.name not in {"", name} or len(gift.owner) != 1:
                continue
            if not isinstance(binding(tree, gift.owner[0]), (*DEFINITIONS, ast.Import, ast.ImportFrom)):
                return Found(file, gift.node.lineno, gift.node, module, _of_gift(gift.node), file, weak=True)
    return None


def _of_gift(node: ast.AST) -> str:
    return ast.dump(node)


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
    name: name
    for name in (
        "abc", "argparse", "builtins", "collections", "collections.abc", "configparser", "contextlib", "datetime",
        "enum", "html.parser", "http.server", "io", "json", "logging", "logging.handlers", "optparse", "queue",
        "socketserver", "string", "threading", "typing", "unittest",
    )
} | {"typing_extensions": "typing"}  # fmt: skip


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
        return Found(file, getattr(made, "lineno", 1), made, module, ast.dump(made), file)
    return perhaps


def _may_serve(made: ast.AST, name: str) -> bool:
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
        unparsed = repository.file_of(source)
        if unparsed:
            return here if alias.name == "*" or _mentioned(repository, unparsed, parts[-1:]) else None
        # Of this project, but not in this commit: compiled, or generated when it is built, or forgotten.
        ours = repository.has_top(source.partition(".")[0])
        return replace(here, doubt=_of_import(node, alias), doubtful=file, weak=ours)
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


@cache
def _star_imports(tree: ast.AST) -> list[ast.ImportFrom]:
    return [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.names[0].name == "*"]


def _hands_on(tree: ast.Module, name: str) -> bool:
    """Whether `import *` takes a name: all that `__all__` says, where that is plain, else what is public."""
    listed = _all(tree)
    return name in listed if listed is not None else "__all__" in bindings(tree) or not name.startswith("_")


@cache
def _all(tree: ast.Module) -> frozenset[object] | None:
    """The names in `__all__`; None where there is none, or more is done to it than to write it down."""
    listed = [n for n in tree.body if isinstance(n, ast.Assign) and _names_in(n.targets) == {"__all__"}]
    if len(listed) == 1 and isinstance(listed[0].value, (ast.List, ast.Tuple)):
        items = listed[0].value.elts
        grows = sum(isinstance(n, ast.Name) and n.id == "__all__" for n in ast.walk(tree)) > 1
        if not grows and all(isinstance(item, ast.Constant) for item in items):
            return frozenset(item.value for item in items if isinstance(item, ast.Constant))
    return None


def _names_in(targets: Iterable[ast.AST]) -> set[str]:
    """The names that are bound: none by `name.attribute = ...`, which is something done to what the name holds."""
    nodes = (n for target in targets for n in ast.walk(target))
    return {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def binding(scope: ast.AST, name: str) -> ast.AST | None:
    """The last of the statements that bind a name in a module or class body."""
    found = bindings(scope).get(name)
    return found[-1] if found else None


@cache
def bindings(scope: ast.AST) -> dict[str, list[ast.AST]]:
    """What binds each name in a module or class body, whatever `if` or `try` it stands in, in the order of the text."""
    found: dict[str, list[ast.AST]] = {}
    _bind(ast.iter_child_nodes(scope), found)
    return found


def _bind(nodes: Iterable[ast.AST], found: dict[str, list[ast.AST]], *, always: bool = True) -> None:
    for node in nodes:
        for name in _bound(node):
            found.setdefault(name, []).append(node)
        if isinstance(node, ast.Delete) and always:
            for target in node.targets:
                if isinstance(target, ast.Name):
                    found.pop(target.id, None)
        elif isinstance(node, ast.If):
            _bind(_running(node), found, always=False)
        elif isinstance(node, ast.ExceptHandler):
            _bind((n for n in node.body if not _is_nothing(n)), found, always=False)
        elif not isinstance(node, (*DEFINITIONS, ast.Lambda)):
            _bind(ast.iter_child_nodes(node), found, always=False)


def _running(node: ast.If) -> Iterable[ast.AST]:
    """What of an `if` may run: what is under `TYPE_CHECKING` is there for type checkers only."""
    negated = isinstance(node.test, ast.UnaryOp) and isinstance(node.test.op, ast.Not)
    test = node.test.operand if isinstance(node.test, ast.UnaryOp) and negated else node.test
    if "TYPE_CHECKING" in _dotted(test)[-1:]:
        return node.body if negated else node.orelse
    return ast.iter_child_nodes(node)


def _is_nothing(node: ast.AST) -> bool:
    """Whether a name is only said to be missing: `except ImportError: name = None`."""
    return isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and node.value.value is None


def _bound(node: ast.AST) -> Iterable[str]:
    """The names that a node itself binds."""
    if isinstance(node, DEFINITIONS):
        # A function that says `global name` may bind it, too.
        return [node.name, *(() if isinstance(node, ast.ClassDef) else _made_global(node))]
    if isinstance(node, ast.Import):
        return [a.asname or a.name.partition(".")[0] for a in node.names]
    if isinstance(node, ast.ImportFrom):
        return [a.asname or a.name for a in node.names]
    if isinstance(node, (ast.MatchAs, ast.MatchStar)):
        return [node.name] if node.name else []
    names = _names_in(_stored_to(node))
    if "__slots__" in names and isinstance(node, ast.Assign):
        names.update(_text(n) for n in ast.walk(node.value) if isinstance(n, ast.Constant))
    return names


def _made_global(function: ast.stmt) -> Iterator[str]:
    pending: list[Any] = [function]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Global):
            yield from node.names
        for block in ("body", "orelse", "finalbody", "handlers", "cases"):  # expressions hold none
            pending.extend(getattr(node, block, ()))


def _stored_to(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Assign):
        return node.targets
    if isinstance(node, (ast.With, ast.AsyncWith)):
        return [item.optional_vars for item in node.items if item.optional_vars is not None]
    if isinstance(node, (ast.AnnAssign, ast.AugAssign, ast.For, ast.AsyncFor, ast.NamedExpr)):
        return [node.target]
    return [node.name] if isinstance(node, _ALIASES) else []


_ALIASES: Any = getattr(ast, "TypeAlias", ())
"""`type name = ...`; older Pythons cannot parse it."""


def _takes(node: ast.AST, name: str) -> bool:
    """Whether a function takes an argument, or a class when it is made; in doubt it does."""
    if isinstance(node, ast.ClassDef):
        made = binding(node, "__init__") or binding(node, "__new__")
        return _takes(made, name) if made is not None else bool(node.bases) or binding(node, name) is not None
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return True
    return node.args.kwarg is not None or name in arguments(node)


def arguments(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """The arguments that a function takes by name or place."""
    return [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]


@cache
def doubts(repository: Repository, file: str) -> frozenset[str]:
    """What in a file may serve names that do not stand there; see `Found.doubt`."""
    tree = repository.parsed(file) if file in repository.files else None
    if tree is None:
        return frozenset()
    made = binding(tree, "__getattr__")
    found = set() if made is None else {ast.dump(made)}
    found.update(_of_import(star, star.names[0]) for star in _star_imports(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            found.add(_of_bases(node))
            found.update(_of_gift(decorator) for decorator in node.decorator_list)
    found.update(_of_gift(gift.node) for gift in _gifts(tree) if not gift.name)
    return frozenset(found)


def offers(repository: Repository, file: str) -> frozenset[str]:
    """What a module hands on beside what it binds: what may serve other names, and what `import *` takes."""
    tree = repository.parsed(file)
    found = set(doubts(repository, file))
    if tree is not None:
        found.update(f"* {name}" for name in bindings(tree) if _hands_on(tree, name))
        found.update(f"{'.'.join(gift.owner)}.{gift.name}" for gift in _gifts(tree))
        if any(isinstance(n, ast.ClassDef) and n.decorator_list for n in ast.walk(tree)) or not all(
            gift.name for gift in _gifts(tree)
        ):
            found.update(f"'{text}'" for text in _strings(tree))
    return frozenset(found)
