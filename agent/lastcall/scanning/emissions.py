"""What a function's body warns or logs about deprecation, and under which conditions."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from lastcall.scanning.syntax import base_name, defaults_of, last_name, literal_text, parameters_of, spread_of
from lastcall.scanning.wording import SAYS_DEPRECATED, SAYS_GONE, SAYS_LEAVING, about_passing, about_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_CATEGORY = re.compile(r"[Dd]eprecat|DEPRECAT|RemovedIn|RemovedAs|^FutureWarning$")
_WEAK_CATEGORY = frozenset(("FutureWarning",))
"""Also announces changed results, so by itself it does not call anything deprecated."""
_RENAMED = re.compile(r"\b(?:was|is|has been)\s+(?:now\s+)?(?:renamed|replaced|superseded)\b", re.IGNORECASE)
_HELPER = re.compile(r"deprecat", re.IGNORECASE)
_SURE_HELPER = re.compile(
    r"warn|^_*deprecat(?:e|ed|ion)_*$|^_*deprecat\w*_for_removal|in_favou?r_of", re.IGNORECASE
)
_NOT_A_HELPER = re.compile(
    r"(?:^|_)(?:check|handle|ignore|suppress|silence|filter|remove|validate|process|parse|register|expect|"
    r"assert|add|append|get|set|is|has|list|find|catch|collect|update|extend|call|test|clean|strip|load|move|"
    r"drop)s?_"
    r"|deprecated_call|_for_deprecated|deprecated_(?:args|options|settings|fields)",
    re.IGNORECASE,
)
_REGISTERS = re.compile(r"_*(?:add|register|append|set|update)_", re.IGNORECASE)
_LOGGER = re.compile(r"log", re.IGNORECASE)
_MAKES_A_LOGGER = frozenset(["getLogger", "get_logger", "getChild", "opt", "bind", "contextualize", "new"])
_STAND_IN = re.compile(
    r"sentinel|unset|not_?set|not_?given|no_?default|missing|undefined|deprecat", re.IGNORECASE
)
"""Classes and values that stand for "was not passed"."""
_ASKS_WHETHER_PASSED = re.compile(r"_*(?:is|was|has)_(?:defined|given|passed|provided|specified|set)")
_LOG_LEVELS = frozenset(
    [
        "debug",
        "info",
        "notice",
        "warning",
        "warn",
        "error",
        "critical",
        "exception",
        "log",
        "warning_once",
        "warn_once",
        "info_once",
        "log_first_n",
        "log_every_n",
    ]
)
_SAYS_SOMETHING = 3
"""A warning of fewer words names nothing."""
_HOLE = re.compile(r"\{\w[^{}]*\}")
_WARNS_OF = re.compile(r"warn(?:s|ing)?_(?:on|if|about|for|of|when)_", re.IGNORECASE)
"""A helper that looks first whether there is something to warn of."""
_HOLE_IS_SUBJECT = re.compile(r"\W*(?:the\s+\W*)?\{\.\.\.\}", re.IGNORECASE)
_HOLE_IS_NAMED = re.compile(r"[^.{]{0,40}\{\.\.\.\}.*deprecat", re.IGNORECASE | re.DOTALL)
"""The same in a helper's words: "Importing `{name}` from here is deprecated"."""
_WARN_WORD = re.compile(r"(?:^|_)warn(?:s|ing)?(?:_|$)|[a-z]warn$", re.IGNORECASE)
_SAYS_SO = re.compile(r"warn|deprec", re.IGNORECASE)
_MARKED_NAME = re.compile(r"(\w+)=?[`'\"]*\s*\(deprecated\b", re.IGNORECASE)
_NAMED_OF_BOTH = re.compile(r"(\w+)=?[`'\"]*\s+(?:is|was|has been)\s+(?:now\s+)?deprecated\b", re.IGNORECASE)
_TO_USE = (
    r"\b(?:use|prefer|in favou?r of|(?:replaced|superseded) (?:by|with)|renamed (?:to|as))\s+"
    r"(?:the\s+)?(?:new\s+)?[`'\"]*{}\b"
)
_PRINTED = re.compile(
    r"\b(?:is|are|has been|have been)\s+(?:now\s+)?deprecated\b|^\W*(?:warning\W+)?deprecated\b", re.IGNORECASE
)
"""Printed words that say of something that it is deprecated, rather than list what is."""
_FILTERS = frozenset(["filterwarnings", "simplefilter", "catch_warnings", "warns", "deprecated_call"])


class _Unknown:
    """Stands for a condition that is not an `if`: a loop, a handler, an earlier return."""


UNKNOWN = _Unknown()


@dataclass(frozen=True, slots=True)
class Emission:
    """One call in a function's body that tells the caller of a deprecation."""

    kind: Literal["warning", "log"]
    line: int
    text: str
    conditions: tuple[ast.expr | _Unknown, ...]
    strong: bool
    """The category or the words say deprecated; else it only may mean that."""
    forwards: bool = False
    """The words come from the function's own arguments: a function that warns for others."""
    passed: tuple[str, ...] = ()
    """The arguments whose being passed makes the warning, where the conditions say so plainly."""
    sure: bool = True
    """False where only a guess tells that what is called is a logger, or that a helper warns each time."""


@dataclass(slots=True)
class Knowledge:
    """What the rest of the tree tells about names: functions that warn for others, classes of warnings."""

    emitters: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    sometimes: frozenset[str] = frozenset()
    """Emitters that do not warn each time they are called."""
    methods: frozenset[str] = frozenset()
    """Methods of the class at hand that warn each time, and whose names say so."""
    wavering: frozenset[str] = frozenset()
    """The same, but they do not warn each time."""
    loggers: frozenset[str] = frozenset()
    """Names that this file gave to loggers, and that do not say so themselves."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """What the file's imports call by another name: `dep` of `from warnings import deprecated as dep`."""

    def name_of(self, node: ast.expr) -> str:
        """The last part of a dotted name, as where it was imported from spells it."""
        name = last_name(node)
        return self.aliases.get(name, name) if isinstance(node, ast.Name) else name


@dataclass(slots=True)
class _Body:
    """The state of one walk through a body."""

    knowledge: Knowledge
    constants: dict[str, str]
    parameters: frozenset[str]
    spread: frozenset[str] = frozenset()
    defaults: Mapping[str, object] = field(default_factory=dict)
    """The parameters' defaults that are constants."""
    is_helper: bool = False
    """By its name the function has to do with warnings or deprecation."""
    found: list[Emission] = field(default_factory=list)
    categories: set[str] = field(default_factory=set)
    """Local names that hold a category of deprecation warnings."""
    taken: dict[str, str] = field(default_factory=dict)
    """Local names for what was taken out of `**kwargs`, with the argument's name."""


def emissions_of(
    function: ast.FunctionDef | ast.AsyncFunctionDef, knowledge: Knowledge, constants: dict[str, str]
) -> list[Emission]:
    """The warnings and log calls about deprecation in `function`'s own body, in the order of the source.

    Nested functions are not looked into: they run later, and have no name that others could call.
    """
    is_helper = _SAYS_SO.search(function.name) is not None
    values = defaults_of(function)
    plain = {name: value.value for name, value in values.items() if isinstance(value, ast.Constant)}
    state = _Body(knowledge, dict(constants), parameters_of(function), spread_of(function), plain, is_helper)
    # `category` of `def warn_until(version, message, category=DeprecationWarning)`
    state.categories.update(name for name, value in values.items() if _is_category(value, state))
    _walk(function.body, (), state)
    return state.found


def module_emissions(
    body: Sequence[ast.stmt], knowledge: Knowledge, constants: dict[str, str]
) -> list[Emission]:
    """The same for a module's or class's own statements, which run when it is imported."""
    state = _Body(knowledge, dict(constants), frozenset())
    _walk(body, (), state)
    return state.found


def _walk(  # noqa: C901 - one case a statement type
    body: Sequence[ast.stmt], conditions: tuple[ast.expr | _Unknown, ...], state: _Body
) -> None:
    for statement in body:
        if isinstance(statement, ast.Expr):
            _expression(statement.value, conditions, state)
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            _assignment(statement, state)
        elif isinstance(statement, ast.If):
            conditions = _if(statement, conditions, state)
        elif isinstance(statement, (ast.With, ast.AsyncWith)):
            _walk(statement.body, conditions, state)
        elif isinstance(statement, (ast.For, ast.AsyncFor, ast.While)):
            _walk(statement.body, (*conditions, UNKNOWN), state)
            _walk(statement.orelse, (*conditions, UNKNOWN), state)
        elif isinstance(statement, ast.Try) or type(statement).__name__ == "TryStar":
            _try(statement, conditions, state)  # type: ignore[arg-type] # TryStar, from 3.11 on, has the same fields
        elif isinstance(statement, ast.Match):
            for case in statement.cases:
                _walk(case.body, (*conditions, _case(statement.subject, case)), state)
        elif isinstance(statement, (ast.Return, ast.Raise)):
            _end(statement, conditions, state)
            return


def _case(subject: ast.expr, case: ast.match_case) -> ast.expr | _Unknown:
    """`case "a" | "b":` as the comparison that it stands for."""
    patterns = case.pattern.patterns if isinstance(case.pattern, ast.MatchOr) else [case.pattern]
    values = [item.value for item in patterns if isinstance(item, ast.MatchValue)]
    if case.guard is not None or len(values) < len(patterns):
        return UNKNOWN
    return ast.Compare(subject, [ast.In()], [ast.Tuple(values, ast.Load())])


def _if(
    statement: ast.If, conditions: tuple[ast.expr | _Unknown, ...], state: _Body
) -> tuple[ast.expr | _Unknown, ...]:
    """The conditions under which what follows the statement is reached."""
    refused = ast.UnaryOp(ast.Not(), statement.test)
    _walk(statement.body, conditions if _is_once(statement, state) else (*conditions, statement.test), state)
    _walk(statement.orelse, (*conditions, refused), state)
    if not _may_return(statement.body) and not _may_return(statement.orelse):
        return conditions
    is_guard = isinstance(statement.body[-1], ast.Return) and not statement.orelse
    return (*conditions, refused if is_guard else UNKNOWN)


def _is_once(statement: ast.If, state: _Body) -> bool:
    """`if not warned: warned = True`, which each call would come through if it were the first."""
    test = statement.test
    if not (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)):
        return False
    if not isinstance(test.operand, (ast.Name, ast.Attribute)) or last_name(test.operand) in state.parameters:
        return False
    asked = ast.unparse(test.operand)
    return any(
        isinstance(item, ast.Assign)
        and isinstance(item.value, ast.Constant)
        and item.value.value is True
        and asked in map(ast.unparse, item.targets)
        for item in statement.body
    )


def _end(
    statement: ast.Return | ast.Raise, conditions: tuple[ast.expr | _Unknown, ...], state: _Body
) -> None:
    if isinstance(statement, ast.Return) and statement.value is not None:
        _expression(statement.value, conditions, state)
    elif isinstance(statement, ast.Raise) and not conditions and isinstance(statement.exc, ast.Call):
        _refusal(statement.exc, state)


def _try(statement: ast.Try, conditions: tuple[ast.expr | _Unknown, ...], state: _Body) -> None:
    # What comes after something that may fail, and is caught, is not always reached.
    first = 1 if any(_goes_on(handler.body) for handler in statement.handlers) else len(statement.body)
    _walk(statement.body[:first], conditions, state)
    _walk(statement.body[first:], (*conditions, UNKNOWN), state)
    for handler in statement.handlers:
        _walk(handler.body, (*conditions, UNKNOWN), state)
    _walk(statement.orelse, (*conditions, UNKNOWN), state)
    _walk(statement.finalbody, conditions, state)


def _goes_on(body: Sequence[ast.stmt]) -> bool:
    return not isinstance(body[-1], ast.Raise)


def _may_return(body: Sequence[ast.stmt]) -> bool:
    """Whether some path through `body` leaves the function without an exception."""
    pending = list(body)
    while pending:
        statement = pending.pop()
        if isinstance(statement, ast.Return):
            return True
        for name in ("body", "orelse", "finalbody"):
            if not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                pending.extend(getattr(statement, name, ()))
    return False


def _assignment(statement: ast.Assign | ast.AnnAssign, state: _Body) -> None:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    if not names or statement.value is None:
        return
    taken = _taken(statement.value, state)
    if taken:
        state.taken.update(dict.fromkeys(names, taken))
        return
    text = literal_text(statement.value, state.constants)
    if text:
        state.constants.update(dict.fromkeys(names, text))
    elif _is_category(statement.value, state):
        state.categories.update(names)


def _is_category(node: ast.expr, state: _Body) -> bool:
    if isinstance(node, ast.IfExp):
        return _is_category(node.body, state) or _is_category(node.orelse, state)
    if isinstance(node, ast.Call):  # an instance of the category carries the message itself
        node = node.func
        if isinstance(node, ast.Attribute) and node.attr == "format":  # a message that is kept elsewhere
            node = node.value
    name = state.knowledge.name_of(node)
    return bool(_CATEGORY.search(name)) or name in state.knowledge.categories or name in state.categories


def _expression(node: ast.expr, conditions: tuple[ast.expr | _Unknown, ...], state: _Body) -> None:
    if isinstance(node, ast.Await):
        node = node.value
    if not isinstance(node, ast.Call):
        return
    name, base = state.knowledge.name_of(node.func), base_name(node.func)
    if not name or name in _FILTERS:
        return
    text = " ".join(
        filter(None, (literal_text(argument, state.constants) for argument in _message_arguments(node)))
    )
    passed = _passed_by(conditions, state, text)
    if name in _LOG_LEVELS and isinstance(node.func, ast.Attribute):
        is_logger = _is_logger(node.func.value, state.knowledge)
        if is_logger or (name == "warning" and base != "warnings"):
            if SAYS_LEAVING.search(text):
                strong = SAYS_DEPRECATED.search(text) is not None
                state.found.append(
                    Emission("log", node.lineno, text, conditions, strong, False, passed, is_logger)
                )
            return
    if _prints(node, name, base) and _PRINTED.search(text):
        state.found.append(Emission("log", node.lineno, text, conditions, True, False, passed, False))
        return
    _warning(node, conditions, state, text, passed)


def _warning(
    node: ast.Call,
    conditions: tuple[ast.expr | _Unknown, ...],
    state: _Body,
    text: str,
    passed: tuple[str, ...],
) -> None:
    name, base = state.knowledge.name_of(node.func), base_name(node.func)
    strength = _warns(node, name, base, text, state)
    if strength is not None:
        names_others = _HOLE_IS_NAMED if state.is_helper else _HOLE_IS_SUBJECT
        of_others = not SAYS_DEPRECATED.search(text) or (not conditions and names_others.match(text))
        # With `passed` it speaks of its own argument, whatever it tells of the value.
        forwards = bool(of_others) and not passed and any(
            isinstance(part, ast.Name) and part.id in state.parameters for part in ast.walk(node)
        )
        known = base == "warnings" or name == "warn" or _is_known(name, state.knowledge)
        sure = known and name not in state.knowledge.sometimes and not _WARNS_OF.search(name)
        if base in {"self", "cls"} and name in state.knowledge.methods and not text:
            sure = False  # in words of its own, which may be about another
        if base in {"self", "cls"} and name in state.knowledge.wavering and not text:
            strength = False
        if not sure and not _SAYS_SO.search(name) and len(text.split()) < _SAYS_SOMETHING:
            return  # `get_value(...)`, which warns of some values
        state.found.append(
            Emission("warning", node.lineno, text, conditions, strength, forwards, passed, sure)
        )


def _prints(node: ast.Call, name: str, base: str) -> bool:
    """`print(...)`, `click.echo(...)`: how a command tells of its own end."""
    if name == "print":
        return isinstance(node.func, ast.Name)
    return name in {"echo", "secho"} and base in {"", "click", "typer"}


def _is_known(name: str, knowledge: Knowledge) -> bool:
    """Whether a helper's own code, or what it is called, tells that it warns of deprecations."""
    return name in knowledge.emitters or _HELPER.search(name) is not None or not _WARN_WORD.search(name)


def _refusal(node: ast.Call, state: _Body) -> None:
    """A function that does nothing but raise, and says that this is because it is deprecated."""
    text = " ".join(filter(None, (literal_text(argument, state.constants) for argument in node.args)))
    means_it = _CATEGORY.search(last_name(node.func)) is not None and SAYS_GONE.search(text) is not None
    if means_it or re.search(r"\bdeprecated\b", text, re.IGNORECASE):
        state.found.append(Emission("warning", node.lineno, text, (), strong=True, sure=False))


def _is_logger(node: ast.expr, knowledge: Knowledge) -> bool:
    """Whether this is a logger by its name, by what it was made with, or by what it is made with right here."""
    while True:
        if isinstance(node, ast.Call):
            node = node.func
        name = last_name(node)
        if _LOGGER.search(name) or name in knowledge.loggers or name in _MAKES_A_LOGGER:
            return True
        if not isinstance(node, ast.Attribute):
            return False
        node = node.value
        if not isinstance(node, ast.Call):
            return False


def _message_arguments(node: ast.Call) -> list[ast.expr]:
    by_name = [
        keyword.value for keyword in node.keywords if keyword.arg in {"message", "msg", "text", "instead"}
    ]
    return [*node.args[:3], *by_name]


def _warns(node: ast.Call, name: str, base: str, text: str, state: _Body) -> bool | None:
    """None if the call does not warn of a deprecation, else whether it surely does."""
    arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
    categories = {
        last_name(item.func if isinstance(item, ast.Call) else item)
        for item in arguments
        if _is_category(item, state)
    }
    is_warn = "warn" in name.lower() or (base == "warnings" and name == "warn_explicit")
    if categories and (is_warn or _HELPER.search(name)):
        sure = categories - _WEAK_CATEGORY or SAYS_LEAVING.search(text) or _RENAMED.search(text)
        return bool(sure)
    if not text and (name.endswith("warnings") or _REGISTERS.match(name)):
        return None  # `show_deprecation_warnings()`, `add_deprecated_names({...})`
    told = state.knowledge.emitters | state.knowledge.sometimes
    if name in (state.knowledge.methods if base in {"self", "cls"} else told):
        return True
    if _HELPER.search(name) and not _NOT_A_HELPER.search(name):
        # By its name it has to do with deprecation; that it warns of one, and always, takes more.
        return SAYS_DEPRECATED.search(text) is not None or _SURE_HELPER.search(name) is not None
    if (
        is_warn
        and (base == "warnings" or _WARN_WORD.search(name))
        and re.search(r"\bdeprecated\b", text, re.IGNORECASE)
    ):
        return True  # of some other category, but in so many words
    return None


def forwards_warnings(
    function: ast.FunctionDef | ast.AsyncFunctionDef, found: Sequence[Emission], knowledge: Knowledge
) -> bool:
    """Whether `function` warns for others: a decorator whose wrapper warns, or a helper that is told what to
    say."""
    if any(item.kind == "warning" and item.forwards for item in found):
        return True
    nested: list[ast.FunctionDef | ast.AsyncFunctionDef] = []
    pending: list[ast.stmt] = list(function.body)
    while pending:
        statement = pending.pop()
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            nested.append(statement)
            pending.extend(statement.body)
    warning = {
        item.name
        for item in nested
        if any(one.kind == "warning" and one.strong for one in emissions_of(item, knowledge, {}))
    }
    return bool(warning) and any(
        isinstance(node, ast.Return) and isinstance(node.value, ast.Name) and node.value.id in warning
        for node in ast.walk(function)
    )


def _passed_by(conditions: Sequence[ast.expr | _Unknown], state: _Body, text: str) -> tuple[str, ...]:
    """The arguments whose being passed makes a warning. It has to name them, if its words can be read."""
    text = _HOLE.sub("{...}", text)
    names = [
        name
        for condition in conditions
        if not isinstance(condition, _Unknown)
        for name in _passed(condition, state, refused=False)
        if name not in state.spread
    ]
    # `mode`, `mode=` and "the mode", but not `mode="fast"`, which is about that value.
    named = [name for name in names if re.search(_named(name), text, re.IGNORECASE)]
    if len(named) > 1:  # "`old` is deprecated, use `new`", where both were passed
        named = [name for name in named if not re.search(_TO_USE.format(re.escape(name)), text, re.IGNORECASE)] or named
    is_short = len(text.split()) < _SAYS_SOMETHING and SAYS_LEAVING.search(text) is not None
    unsaid = is_short or ("{...}" in text and about_passing(text))
    # Not `mode` where the words hold `mode.kind`: they would have said so.
    unnamed = [name for name in names if not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text)]
    meant = dict.fromkeys(named or (unnamed[:1] if unsaid else ()))
    marked = _MARKED_NAME.findall(text)  # "both `new` and `old` (deprecated) were passed"
    if re.match(r"\W*both\b", text, re.IGNORECASE):
        marked += [name for name in _NAMED_OF_BOTH.findall(text) if name in names]
    of_a_kind = _of_a_kind(conditions)
    return tuple(
        name
        for name in meant
        if not about_value(text, name)
        and (not marked or name in marked)
        and (name not in of_a_kind or name in _NAMED_OF_BOTH.findall(text))
    )


def _of_a_kind(conditions: Iterable[ast.expr | _Unknown]) -> set[str]:
    """What `isinstance(mode, str)` asks for: a kind of value is what the words are about, unless they say otherwise."""
    every = [part for test in conditions for part in (test.values if isinstance(test, ast.BoolOp) else [test])]
    return {
        last_name(test.args[0])
        for test in every
        if isinstance(test, ast.Call) and last_name(test.func) == "isinstance" and test.args
    }


def _named(name: str) -> str:
    if name.lower() == "deprecated":
        return r"(?!)"  # marks others
    spelled = re.escape(name).replace("_", "[_ -]")
    return rf"(?<!\w){spelled}(?!\w|-\w|\s+[`'\"]*\{{\.|\.\w|\s*=\s*[\w'\"\[({{])"


def _passed(test: ast.expr, state: _Body, *, refused: bool) -> list[str]:
    """`x`, `x is not None`, `x != default`, `"x" in kwargs`: the argument `x` was passed. `refused` tells that
    the test must fail."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return _passed(test.operand, state, refused=not refused)
    if isinstance(test, ast.BoolOp):
        return [name for value in test.values for name in _passed(value, state, refused=refused)]
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        return _passed_by_comparison(test, state, refused=refused)
    if isinstance(test, ast.Call) and last_name(test.func) == "isinstance":
        name = _argument(test.args[0], state) if refused and test.args else ""
        return [name] if name and _STAND_IN.search(last_name(test.args[-1])) else []
    if isinstance(test, ast.Call) and len(test.args) == 1 and _ASKS_WHETHER_PASSED.fullmatch(last_name(test.func)):
        name = _argument(test.args[0], state)
        return [name] if name and not refused else []
    name = _argument(test, state)
    return [name] if name and not refused else []


def _passed_by_comparison(test: ast.Compare, state: _Body, *, refused: bool) -> list[str]:
    left, operator, right = test.left, test.ops[0], test.comparators[0]
    if isinstance(operator, ast.In) and isinstance(left, ast.Constant) and isinstance(left.value, str):
        is_argument = last_name(right) in state.spread and left.value.isidentifier()
        return [left.value] if is_argument and not refused else []
    unlike = isinstance(operator, (ast.IsNot, ast.NotEq))
    if not unlike and not isinstance(operator, (ast.Is, ast.Eq)):
        return []
    name = _argument(left, state)
    if name and isinstance(right, ast.Constant) and isinstance(right.value, bool):
        # It is True or False: `mode is True` asks whether it was passed where it is False by default.
        unlike = unlike is (state.defaults.get(name, right.value) is right.value)
        return [name] if unlike is not refused else []
    # `mode != "fast"` asks whether it was passed only where it is "fast" by default.
    if isinstance(right, ast.Constant) and right.value is not None:
        name = name if right.value == state.defaults.get(name, right.value) else ""
    return [name] if name and unlike is not refused else []


def _argument(node: ast.expr, state: _Body) -> str:
    """The argument that an expression stands for: a parameter, or what was taken out of `**kwargs`."""
    if isinstance(node, ast.NamedExpr):
        node = node.value
    name = last_name(node)
    if name in state.taken:
        return state.taken[name]
    if name in state.parameters:
        return name
    return _taken(node, state)


def _taken(node: ast.expr, state: _Body) -> str:
    """`mode` for `kwargs.pop("mode", None)`, `kwargs.get("mode")` and `kwargs["mode"]`."""
    key: ast.expr | None = None
    if isinstance(node, ast.Subscript) and last_name(node.value) in state.spread:
        key = node.slice
    elif isinstance(node, ast.Call) and last_name(node.func) in {"pop", "get"} and node.args:
        key = node.args[0] if base_name(node.func) in state.spread else None
    is_name = isinstance(key, ast.Constant) and isinstance(key.value, str) and key.value.isidentifier()
    return str(key.value) if is_name and isinstance(key, ast.Constant) else ""
