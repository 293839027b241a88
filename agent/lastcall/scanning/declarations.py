"""What the calls say that frameworks are told things with: a field's description, one route of several, a
validator for deprecated fields."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from lastcall.scanning.arguments import says_deprecated_keyword
from lastcall.scanning.syntax import last_name, literal_text
from lastcall.scanning.wording import SAYS_DEPRECATED, sentence_says

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_DESCRIBES = frozenset(("description", "help_text", "help", "short_help", "summary", "doc"))
"""Keywords that hold what is shown to people of a field, a command or an endpoint."""
_NAMED_THINGS = frozenset(("command", "group", "callback"))
"""Decorators that take the name of what they make as a string; of others a string names one of its options."""
_ROUTES = frozenset(
    ("get", "post", "put", "patch", "delete", "head", "options", "trace", "route", "api_route", "websocket")
)
_MOST = 2_000
"""Characters of a description that are read."""
_OF_FIELDS = re.compile(r"deprecat", re.IGNORECASE)


def described_as_deprecated(call: ast.expr | None, name: str, constants: dict[str, str]) -> str:
    """The words of `Field(description="DEPRECATED: ...")` and `ListField(help_text="... This is deprecated.")`;
    empty if they do not call it so."""
    for item in call.keywords if isinstance(call, ast.Call) else ():
        text = literal_text(item.value, constants)[:_MOST] if item.arg in _DESCRIBES else ""
        if SAYS_DEPRECATED.search(text) and sentence_says(text, name, first=True) == "high":
            return text
    return ""


def describes_its_function(decorator: ast.expr) -> bool:
    """Whether such words of a decorator are about the function: not `@option("--old", help="Deprecated")`."""
    if not isinstance(decorator, ast.Call):
        return False
    named = any(isinstance(item, ast.Constant) for item in decorator.args)
    return not named or last_name(decorator.func) in _NAMED_THINGS | _ROUTES


def has_another_route(decorator: ast.expr, decorators: Iterable[ast.expr]) -> bool:
    """Whether `decorator` deprecates one route to a function that has others: the function itself stays."""
    routes = [one for one in decorators if isinstance(one, ast.Call) and _is_route(one)]
    deprecated = [one for one in routes if says_deprecated_keyword(one)]
    return decorator in deprecated and len(deprecated) < len(routes)


def _is_route(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr in _ROUTES


def fields_meant(name: str, call: ast.Call) -> list[str] | None:
    """The fields that `_deprecate_mode = deprecated_field("mode")` is about, of `("old", "new")` the old ones.

    None where the name that is bound is itself what the call deprecates.
    """
    if not name.startswith("_"):
        return None
    found = list(_first_strings(call.args))
    if len(found) < len(call.args) or not (_OF_FIELDS.search(name) or name.lstrip("_") in found):
        return None
    return found


def _first_strings(arguments: Sequence[ast.expr]) -> Iterator[str]:
    for item in arguments:
        first = item.elts[0] if isinstance(item, ast.Tuple) and item.elts else item
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield first.value
