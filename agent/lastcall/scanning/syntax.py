"""What nodes of a syntax tree say by themselves: names, arguments, words."""

from __future__ import annotations

import ast

_KEYWORD_WORDS = (
    (("details", "reason", "message", "msg", "text", "addendum", "extra"), ""),
    (("since", "deprecated_in", "version", "deprecated_since"), "since"),
    (("removed_in", "removal", "remove_by", "remove_in", "removal_version", "removed_on"), "removed in"),
    (("alternative", "instead", "replacement", "use", "use_instead", "replaced_by", "target"), "use"),
)
"""What the keywords of deprecating decorators hold, in well-known libraries, and how a sentence would put it."""


def last_name(node: ast.expr) -> str:
    """The last part of a dotted name, empty for anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def base_name(node: ast.expr) -> str:
    """The part before the last one of a dotted name, empty if there is none."""
    return last_name(node.value) if isinstance(node, ast.Attribute) else ""


def parameters_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> frozenset[str]:
    """The names of a function's parameters but `self` and `cls`."""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [item for item in (arguments.vararg, arguments.kwarg) if item is not None]
    return frozenset(item.arg for item in every) - {"self", "cls"}


def spread_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> frozenset[str]:
    """The names after `*` and `**`, by which no argument can be passed."""
    return frozenset(item.arg for item in (function.args.vararg, function.args.kwarg) if item is not None)


def required_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> frozenset[str]:
    """The parameters without a default, which every call has to pass."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    required = positional[: len(positional) - len(arguments.defaults)]
    required += [
        item
        for item, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if value is None
    ]
    return frozenset(item.arg for item in required)


def literal_text(node: ast.expr | None, constants: dict[str, str]) -> str:
    """The words of an expression that makes a string; holes are shown as `{...}`. Empty if there are none."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(literal_text(part, constants) or "{...}" for part in node.values)
    if isinstance(node, ast.BinOp):
        said: list[str] = []
        operand: ast.expr = node
        while isinstance(operand, ast.BinOp):  # no recursion: a sum of thousands of terms leans to the left
            if isinstance(operand.op, ast.Add):
                said.append(literal_text(operand.right, constants))
            operand = operand.left
        return literal_text(operand, constants) + "".join(reversed(said))
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and node.func.attr in {"format", "strip", "join"}:
            return literal_text(node.func.value, constants)
        texts = [text for text in (literal_text(arg, constants) for arg in node.args) if text]
        return next((text for text in texts if " " in text), texts[0] if texts else "")  # not a version or a key
    return constants.get(node.id, "") if isinstance(node, ast.Name) else ""


def decorator_text(node: ast.expr, constants: dict[str, str]) -> str:
    """The words of a deprecating decorator, those of its keywords put as a sentence would put them."""
    if not isinstance(node, ast.Call):
        return literal_text(node, constants)
    said = [literal_text(node, constants)]
    for item in node.keywords:
        before = next((words for names, words in _KEYWORD_WORDS if item.arg in names), None)
        words = literal_text(item.value, constants)
        if before is not None and words and words not in said:
            said.append(f"{before} {words}" if before else words)
    return "; ".join(filter(None, said))


def defaults_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> dict[str, ast.expr]:
    """What each argument that need not be passed is without."""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args]
    pairs: list[tuple[ast.arg, ast.expr | None]] = [
        *zip(reversed(every), reversed(arguments.defaults), strict=False),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    return {item.arg: value for item, value in pairs if value is not None}
