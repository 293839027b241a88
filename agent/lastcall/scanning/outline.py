"""What a module's own statements bind: names, strings, imports; and which of them are about deprecation."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from lastcall.scanning.syntax import base_name, last_name, literal_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    Function = ast.FunctionDef | ast.AsyncFunctionDef

DECORATOR = re.compile(r"deprecat(?!ors)|obsolete|^removed_", re.IGNORECASE)
"""What a decorator or call that deprecates something is called."""
_BOTH_NAMES = frozenset(("old", "new", "old_name", "new_name"))
"""Keywords of a call that says what is called otherwise now: they declare no names of the module."""
_PLACE = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*[.:]\w[\w.]*")
HELPER_NAME = re.compile(
    r"warn|^_*deprecat(?:e|ed|ion)?$|^_*deprecat(?:e|ion|or)s?_|"
    r"^_*(?:is|has|mark|get|set|add|list|check|handle|find|show|emit|raise|log|print|suppress|ignore|issue|"
    r"report|note|notify|announce|with|test)s?_(?:\w+_)?(?:deprecat|obsolete)",
    re.IGNORECASE,
)
"""What functions are called that have to do with the deprecation of others."""


def string_constants(body: Sequence[ast.stmt]) -> dict[str, str]:
    found: dict[str, str] = {}
    for statement in body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            text = literal_text(statement.value, found)
            if text:
                found[statement.targets[0].id] = text
    return found


def declared_names(statement: ast.stmt) -> list[str]:
    """The names of `deprecated("name", "use other")`, of `deprecated_alias(module, {"name": value})`, of
    `deprecated("use other", name="other.module:name")` and of `deprecated(value, ..., "use other", name="name")`."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(call, ast.Call) or not DECORATOR.match(last_name(call.func)):
        return []
    tables = [item for item in call.args if isinstance(item, ast.Dict)]
    if tables:
        return [
            name
            for key in tables[0].keys
            if key is not None
            for name in [_text_of(key)]
            if name.isidentifier()
        ]
    if _BOTH_NAMES.intersection(item.arg or "" for item in call.keywords):
        return []
    moved = [item.arg for item in call.keywords if item.arg and _PLACE.fullmatch(_text_of(item.value))]
    if moved:
        return moved
    called = [_text_of(item.value) for item in call.keywords if item.arg == "name"]
    if called and called[0].isidentifier():
        return called
    names = [item for item in map(_text_of, call.args) if item.isidentifier()]
    return names if len(names) == 1 and len(call.args) > 1 else []


def _text_of(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def string_collections(body: Sequence[ast.stmt]) -> dict[str, dict[str, str]]:
    """The strings that the module's own lists, tuples, sets and dictionaries' keys hold, by their names; with
    the string that a dictionary holds for each, else an empty one."""
    found: dict[str, dict[str, str]] = {}
    for statement in body:
        if not isinstance(statement, (ast.Assign, ast.AnnAssign)):
            continue
        target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
        value = statement.value
        if isinstance(value, ast.Call) and value.args:  # frozenset((...)), MappingProxyType({...})
            value = value.args[0]
        if isinstance(value, ast.Dict):
            items = list(zip(value.keys, value.values, strict=True))
        elif isinstance(value, (ast.List, ast.Tuple, ast.Set)):
            items = [(item, item) for item in value.elts]
        else:
            continue
        if isinstance(target, ast.Name):
            found[target.id] = {
                key.value: literal_text(held, {}) if held is not key else ""
                for key, held in items
                if isinstance(key, ast.Constant) and isinstance(key.value, str)
            }
    return found


def imports_of(statements: Iterable[ast.AST]) -> tuple[dict[str, str], dict[str, str]]:
    """(what `from` imports bind, which deprecating names they bind by another name)."""
    bound: dict[str, str] = {}
    renamed: dict[str, str] = {}
    for statement in statements:
        if isinstance(statement, ast.ImportFrom):
            for item in statement.names:
                where = f"{'.' * statement.level}{statement.module or ''}:{item.name}"
                bound.setdefault(item.asname or item.name, where)
                if item.asname and (DECORATOR.search(item.name) or "warn" in item.name.lower()):
                    renamed[item.asname] = item.name
    return bound, renamed


def top_level(body: Sequence[ast.stmt]) -> list[str]:
    """The names that a module's own statements define."""
    names: list[str] = []
    for statement in flatten(body):
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.append(statement.name)
        elif isinstance(statement, ast.Assign):
            names.extend(target.id for target in statement.targets if isinstance(target, ast.Name))
    return names


def flatten(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements of a body and of the `if`, `try` and `with` blocks in it, which are no scopes of their
    own."""
    for statement in body:
        yield statement
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        for name in ("body", "orelse", "finalbody"):
            inner = getattr(statement, name, None)
            if isinstance(inner, list):
                yield from flatten(inner)
        for handler in getattr(statement, "handlers", ()):
            yield from flatten(handler.body)


def returns_decorator(node: Function) -> bool:
    """`def moved(what): return deprecated(...)`: a decorator by another name."""
    last = node.body[-1]
    if not isinstance(last, ast.Return) or not isinstance(last.value, ast.Call):
        return False
    name = last_name(last.value.func)
    return DECORATOR.search(name) is not None and HELPER_NAME.search(name) is not None


def strings(node: ast.AST) -> list[str]:
    return [
        item.value
        for item in ast.walk(node)
        if isinstance(item, ast.Constant) and isinstance(item.value, str)
    ]


def _refused(node: ast.AST) -> Iterator[tuple[ast.AST, bool]]:
    """The nodes of a tree, with whether it is their being false that counts."""
    pending = [(node, False)]
    while pending:
        item, refused = pending.pop()
        yield item, refused
        if isinstance(item, ast.UnaryOp) and isinstance(item.op, ast.Not):
            refused = not refused
        children = list(ast.iter_child_nodes(item))
        if isinstance(item, ast.If) and isinstance(item.body[-1], ast.Raise):
            children.remove(item.test)
            pending.append((item.test, not refused))  # what goes on is what it does not refuse
        pending.extend((child, refused) for child in children)


def looked_up_elsewhere(nodes: Iterable[ast.AST], argument: str) -> bool:
    """Whether a condition asks for the argument in what another module holds: `name in legacy.__all__`."""
    return any(
        isinstance(item, ast.Compare)
        and last_name(item.left) == argument
        and isinstance(item.ops[0], ast.NotIn if refused else ast.In)
        and isinstance(item.comparators[0], ast.Attribute)
        for node in nodes
        for item, refused in _refused(node)
    )


def compared_names(
    nodes: Iterable[ast.AST], argument: str, tables: dict[str, dict[str, str]]
) -> dict[str, str]:
    """The strings that `__getattr__(name)` compares its argument with, or looks it up in; with the string
    that such a table holds for each, which is the new name."""
    names: dict[str, str] = {}
    every = [item for node in nodes for item in _refused(node)]
    for item, refused in every:
        if not isinstance(item, ast.Compare) or len(item.ops) != 1 or last_name(item.left) != argument:
            continue
        if isinstance(item.ops[0], (ast.NotEq, ast.NotIn) if refused else (ast.Eq, ast.In)):
            names.update(dict.fromkeys(strings(item.comparators[0]), ""))
            if isinstance(item.comparators[0], ast.Name):  # not `legacy.__all__`, which another module holds
                names.update(tables.get(item.comparators[0].id, {}))
    for looked in (item for item, _ in every if isinstance(item, ast.Call) and item.args):
        is_lookup = isinstance(looked.func, ast.Attribute) and looked.func.attr in {"get", "pop"}
        if is_lookup and last_name(looked.args[0]) == argument:
            names.update(tables.get(base_name(looked.func), {}))
    for taken in (item for item, _ in every if isinstance(item, ast.Subscript)):  # `TABLE[name]`, KeyError caught
        if last_name(taken.slice) == argument and isinstance(taken.value, ast.Name):
            names.update(tables.get(taken.value.id, {}))
    return {name: instead for name, instead in names.items() if name.isidentifier()}
