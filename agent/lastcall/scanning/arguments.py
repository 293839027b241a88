"""Which arguments a decorator or a default value calls deprecated."""

from __future__ import annotations

import ast
import re
from itertools import pairwise
from typing import TYPE_CHECKING

from lastcall.scanning.syntax import defaults_of, last_name

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOT_ARGUMENTS = frozenset((
    "since", "version", "message", "alternative", "name", "pending", "removal", "addendum", "obj_type", "category",
    "stacklevel", "reason", "action", "add_deprecation_to_docstring", "enable_warnings", "warning", "details",
    "deprecated_in", "removed_in", "current_version", "mapping", "klass", "offset", "package",
))  # fmt: skip
"""What the keywords of such decorators are called in well-known libraries, where they are no argument's name."""
_NAMES_IT = frozenset(("param", "parameter", "arg", "argument", "kwarg", "param_name", "arg_name", "argument_name"))
"""Keywords of such decorators that hold the argument's name."""
_ABOUT_IT = re.compile(r"version|remov|since|message|warning|msg", re.IGNORECASE)
ONE_ARGUMENT = re.compile(r"(?:param(?:eter)?|kwarg|arg(?:ument)?|keyword|option)$", re.IGNORECASE)
_STANDS_FOR_IT = re.compile(r"_*deprecated_*", re.IGNORECASE)
"""A default that tells, by itself, that the argument is not to be passed."""
_OLD = re.compile(r"^(?:old|deprecated|legacy|previous)_?|_old$|^from_", re.IGNORECASE)
_NEW = re.compile(r"^new_?|_new$|^to_|instead|replace|alternative|allowed", re.IGNORECASE)


def named_arguments(decorator: ast.expr, parameters: frozenset[str]) -> list[str]:
    """The arguments that a decorator for deprecated arguments names, by keyword or by string.

    Where it names an old and a new spelling of one argument, the old one.
    """
    if not isinstance(decorator, ast.Call):
        return []
    old = [name for item in decorator.keywords if _OLD.search(item.arg or "") for name in _names(item.value)]
    said = old or [name for item in decorator.keywords if item.arg in _NAMES_IT for name in _names(item.value)]
    if said:
        return said
    keywords = [item.arg for item in decorator.keywords if item.arg and _may_be_argument(item, item.arg, parameters)]
    named = [item for item in keywords if item in parameters]
    if named:
        return list(dict.fromkeys(named))
    spelled = [
        _names(value)
        for value in (*decorator.args, *(item.value for item in decorator.keywords if not _is_new(item)))
    ]
    spelled = [names for names in spelled if names]
    renamed = _renamed(spelled, parameters) or _old_of_two(decorator, spelled)
    own = [name for names in spelled for name in names if name in parameters]
    first = next(filter(None, map(_names, decorator.args)), [])
    return list(dict.fromkeys(renamed or own or first or keywords or (spelled[0] if spelled else [])))


def _may_be_argument(item: ast.keyword, name: str, parameters: frozenset[str]) -> bool:
    """Whether the decorator's keyword `name` may be the name of an argument of the function."""
    if name in _NOT_ARGUMENTS or _ABOUT_IT.search(name) or name.endswith("_name"):
        return False
    if not isinstance(item.value, (ast.Tuple, ast.Constant)):
        return False
    return name in parameters or not name.endswith(("_text", "_msg", "_info", "_help"))


def _is_new(keyword: ast.keyword) -> bool:
    return keyword.arg is not None and _NEW.search(keyword.arg) is not None


def _renamed(spelled: list[list[str]], parameters: frozenset[str]) -> list[str]:
    """The old names of `("old", "new")`, `(["a", "b"], ["c", "d"])` and `(["old"], "new")`."""
    for old, new in pairwise(spelled):
        if parameters.issuperset(new) and parameters.isdisjoint(old):
            return old
    return []


def _old_of_two(decorator: ast.Call, spelled: list[list[str]]) -> list[str]:
    """The old name of `@deprecated_parameter("old", "new")`, whose name speaks of one argument."""
    singular = ONE_ARGUMENT.search(last_name(decorator.func)) is not None
    both = [len(names) for names in spelled] == [1, 1] and len(decorator.args) > 1
    return spelled[0] if singular and both else []


def _names(node: ast.expr) -> list[str]:
    """The identifiers in a string, or in a list, tuple, set or the keys of a dictionary of strings."""
    if isinstance(node, ast.Dict):
        return [name for key in node.keys if key is not None for name in _names(key)]
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return [name for item in node.elts for name in _names(item)]
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
        return [node.value]
    return []


def marked_arguments(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[tuple[str, ast.expr]]:
    """Arguments whose default says so, and those whose default or annotation is made by a call that does: web
    frameworks' `Query(deprecated=True)`, and scikit-learn's `copy="deprecated"`."""
    arguments = function.args
    defaults = defaults_of(function)
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    for name, value in (*defaults.items(), *((item.arg, item.annotation) for item in every)):
        for node in ast.walk(value) if isinstance(value, (ast.Call, ast.Subscript)) else ():
            if isinstance(node, ast.Call) and says_deprecated_keyword(node):
                yield name, node
    for name, value in defaults.items():
        said = value.value if isinstance(value, ast.Constant) else value.id if isinstance(value, ast.Name) else ""
        if isinstance(said, str) and _STANDS_FOR_IT.fullmatch(said) and not _STANDS_FOR_IT.fullmatch(name):
            yield name, value


def says_deprecated_keyword(node: ast.Call) -> bool:
    """`f(deprecated=True)`, `f(deprecated="use g")` or `f(deprecated=_DEPRECATION_MESSAGE)`."""
    return any(item.arg == "deprecated" and _says_so(item.value) for item in node.keywords)


def _says_so(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return bool(node.value)
    name = last_name(node)
    return name.isupper() and "DEPRECAT" in name
