"""What one decorator says of its function or class: that it is deprecated, or which of its arguments are."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, NamedTuple

from lastcall.scanning.arguments import ONE_ARGUMENT, named_arguments, says_deprecated_keyword
from lastcall.scanning.declarations import described_as_deprecated, describes_its_function, has_another_route
from lastcall.scanning.outline import DECORATOR
from lastcall.scanning.syntax import decorator_text, last_name, parameters_of, spread_of
from lastcall.scanning.wording import SAYS_DEPRECATED, about_a_way

if TYPE_CHECKING:
    from lastcall.scanning.emissions import Knowledge
    from lastcall.scanning.finding import Confidence, EvidenceKind

    Function = ast.FunctionDef | ast.AsyncFunctionDef

NOT_DECORATOR = re.compile(
    r"^(?:ignore|suppress|filter|expect|allow|catch|no|check|skip|without|assert)_", re.IGNORECASE
)
_OF_ARGUMENTS = re.compile(
    r"deprecations$|param|kwarg|(?:^|_)args?(?:_|$|ument)|keyword|option|positional|default|behaviou?r|value",
    re.IGNORECASE,
)
_OF_OLD_NAMES = re.compile(r"renam|replac|remov|delet|alias|old|legacy|drop|warn|compat", re.IGNORECASE)
_POSITIONAL = re.compile(r"positional|keyword_?only|non_?keyword|values?$", re.IGNORECASE)
"""Decorators for arguments that stay, and shall no longer be passed by position, or with some value."""
_OF_MEMBERS = re.compile(r"(?:member|method|attribute|field|propert(?:y|ie)|alias|name)e?s$", re.IGNORECASE)


class Said(NamedTuple):
    """What a decorator says."""

    text: str
    confidence: Confidence
    evidence: EvidenceKind = "decorator"
    of_arguments: bool = False
    """It is about arguments: about `names`, or about some that cannot be told."""
    names: tuple[str, ...] = ()


def callee(decorator: ast.expr) -> ast.expr:
    while isinstance(decorator, ast.Call):
        decorator = decorator.func
    return decorator


def said_by(
    decorator: ast.expr,
    node: Function | ast.ClassDef,
    qualname: str,
    knowledge: Knowledge,
    constants: dict[str, str],
) -> Said | None:
    """What `decorator` says of `node`, if that has to do with deprecation."""
    name = knowledge.name_of(callee(decorator))
    known = name in knowledge.emitters or name in knowledge.sometimes
    if not known and isinstance(decorator, ast.Call) and says_deprecated_keyword(decorator):
        one_of_many = has_another_route(decorator, node.decorator_list)
        return Said("deprecated=", "low" if one_of_many else "high")
    if not known and isinstance(node, ast.ClassDef) and _holds_deprecated_keyword(decorator):
        return Said("deprecated=", "medium")
    if not known and (not DECORATOR.search(name) or NOT_DECORATOR.search(name)):
        words = described_as_deprecated(decorator, qualname, constants)
        return Said(words, "medium", "docstring") if words and describes_its_function(decorator) else None
    text = decorator_text(decorator, constants) or name
    if isinstance(node, ast.ClassDef) and _OF_MEMBERS.search(name):
        return Said(text, "low")
    if _OF_ARGUMENTS.search(name):
        names = _arguments_meant(decorator, node, name)
        return Said(text, "high" if names else "low", of_arguments=True, names=names)
    guessed = known and not DECORATOR.search(name)  # by what it does, not by what it is called
    # One deprecated overload leaves the others as they are.
    is_overload = any(last_name(item) == "overload" for item in node.decorator_list)
    unsure = is_overload or (guessed and not SAYS_DEPRECATED.search(text)) or about_a_way(text)
    return Said(text, "medium" if unsure else "high")


def _arguments_meant(decorator: ast.expr, node: Function | ast.ClassDef, name: str) -> tuple[str, ...]:
    # By what it does alone: which of the names that it is told are the old ones only its code knows.
    unsaid = not any(sign.search(name) for sign in (DECORATOR, _OF_OLD_NAMES, ONE_ARGUMENT))
    if unsaid or _POSITIONAL.search(name):
        return ()
    if isinstance(node, ast.ClassDef):
        return tuple(named_arguments(decorator, frozenset()))
    spread = spread_of(node)
    return tuple(item for item in named_arguments(decorator, parameters_of(node)) if item not in spread)


def _holds_deprecated_keyword(decorator: ast.expr) -> bool:
    """`@method_decorator(name="get", decorator=schema(deprecated=True))`, of one method of the class."""
    values = [item.value for item in decorator.keywords] if isinstance(decorator, ast.Call) else []
    return any(isinstance(item, ast.Call) and says_deprecated_keyword(item) for item in values)
