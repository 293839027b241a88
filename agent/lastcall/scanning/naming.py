"""What one file binds, and what expressions in it may stand for, written as the paths of `bindings`."""

from __future__ import annotations

import ast
import builtins
import re
from typing import TYPE_CHECKING, Any

from lastcall.scanning.resolving import UNKNOWN, is_standard
from lastcall.scanning.syntax import last_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Function = ast.FunctionDef | ast.AsyncFunctionDef

TOKEN = re.compile(r"[A-Za-z_]\w*(?:[.:][A-Za-z_]\w*)*")
_IMPORT_IN_TEXT = re.compile(r"\bfrom[ \t]+([A-Za-z_][\w.]*)[ \t]+import[ \t]+\(?[ \t]*([A-Za-z_][\w, \t]*)")
IMPORTING = frozenset(
    (
        "import_module",
        "__import__",
        "find_spec",
        "import_string",
        "resolve_name",
        "importorskip",
        "run_module",
        "locate",
        "load_object",
        "symbol_by_name",
    )
)
ACCESSORS = frozenset(("getter", "setter", "deleter"))
"""`@size.setter` makes the property `size` once more."""
_READ_AS_VALUES = ACCESSORS | {"reify", "memoized_attribute"}
"""Decorators that make a property, and do not say so."""
_TRANSPARENT = frozenset(("staticmethod", "classmethod", "property", "cached_property", "wraps", "cast"))
_ANYTHING = frozenset(("Any", "object", "Self", "Callable"))
"""Annotations that promise nothing."""
_GIVES_WHAT_IT_NAMES = IMPORTING - {"find_spec", "run_module"}
_FIELD_CLASSES = frozenset(("dataclass", "NamedTuple", "define", "frozen", "attrs", "s"))
_UNIONS = frozenset(("Optional", "Union"))
_OF_ITS_FIRST = frozenset(
    ("Annotated", "Final", "ClassVar", "Required", "NotRequired", "ReadOnly", "Awaitable", "Future", "Task")
)
_OF_ITS_LAST = frozenset(("Coroutine",))
"""Annotations that promise what one of their parameters is."""

_LEADS = frozenset(("import", "assign"))
"""Bindings that lead on to what is defined elsewhere."""
_GROWS = frozenset(("append", "extend", "insert"))
_MOST_PATHS = 6
"""A name bound to more things than this may as well be unknown."""
_LITERALS: dict[type[ast.expr], str] = {
    ast.List: "list",
    ast.ListComp: "list",
    ast.Dict: "dict",
    ast.DictComp: "dict",
    ast.Set: "set",
    ast.SetComp: "set",
    ast.Tuple: "tuple",
    ast.JoinedStr: "str",
    ast.GeneratorExp: "generator",
}
"""What literals are instances of: a method of theirs is no target of ours, whatever its name."""


class Scope:
    """The names bound in a module, class or function body. `?` among the paths is a binding to who knows what."""

    __slots__ = ("bound", "elsewhere", "here", "is_class", "parent", "path", "since")

    def __init__(self, path: str, parent: Scope | None, *, is_class: bool = False) -> None:
        self.path = path
        """Where its definitions live; empty inside functions, which nothing outside can reach."""
        self.parent = parent
        self.is_class = is_class
        self.bound: dict[str, list[str]] = {}
        self.here = (0, 0)
        self.since: dict[str, tuple[int, int]] = {}
        """Where each name is bound first: `here` at that time. In a class body it is an outer one's until then."""
        self.elsewhere: dict[str, Scope] = {}
        """Names declared `global` or `nonlocal`: a binding of theirs is one of that scope."""

    def bind(self, name: str, path: str) -> None:
        if name in self.elsewhere:
            self.elsewhere[name].bind(name, path)
            return
        self.since.setdefault(name, self.here)
        paths = self.bound.setdefault(name, [])
        if path not in paths:
            paths.append(path if len(paths) < _MOST_PATHS else UNKNOWN)

    def place_of(self, node: ast.Name) -> Scope | None:
        """The scope that a name used here is bound in."""
        name, too_early = node.id, None
        scope: Scope | None = self.elsewhere.get(name, self)
        while scope is not None:
            if name in scope.bound and (scope is self or not scope.is_class):
                if not scope.is_class or (node.lineno, node.col_offset) >= scope.since.get(name, (0, 0)):
                    return scope
                too_early = scope  # `@name def name`; in quotes it may be meant all the same
            scope = scope.parent
        return too_early


class Names:
    """What one file binds, and what expressions in it may stand for."""

    def __init__(self, module: str, *, is_package: bool, names: frozenset[str]) -> None:
        self.exports: dict[str, list[Any]] = {}
        self.stars: list[str] = []
        self.all_names: list[str] | None = None
        self.parameters: dict[str, list[str]] = {}
        self.instance_methods: list[str] = []
        self.registered: dict[str, list[str]] = {}
        """By class, as a path: the abstract classes that it was registered with."""
        self._module = module
        self._package = module if is_package else module.rpartition(".")[0]
        self._names = names
        self._all_is_open = False
        self._has_global = False
        self._has_walrus = False

    def _enter_body(self, body: Sequence[ast.stmt], scope: Scope, prefix: str) -> None:
        self._declare(body, scope)
        self._collect(body, scope, prefix)
        if self._has_walrus:
            self._bind_walrus(body, scope)

    def _declare(self, body: Sequence[ast.stmt], scope: Scope) -> None:
        if scope.parent is None or scope.is_class:
            return
        top = scope
        while top.parent is not None:
            top = top.parent
        for statement in statements_of(body):
            if isinstance(statement, ast.Global):
                self._has_global = True
                scope.elsewhere.update(dict.fromkeys(statement.names, top))
            elif isinstance(statement, ast.Nonlocal):
                outer = scope.parent
                while outer.is_class and outer.parent is not None:
                    outer = outer.parent
                scope.elsewhere.update(dict.fromkeys(statement.names, outer))

    # -- first pass over a scope: what is bound in it

    def _collect(self, body: Sequence[ast.stmt], scope: Scope, prefix: str) -> None:
        for statement in statements_of(body):
            scope.here = _binds_from(statement)
            if isinstance(statement, ast.Import):
                self._import(statement, scope, prefix)
            elif isinstance(statement, ast.ImportFrom):
                self._import_from(statement, scope, prefix)
            elif isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                path = f"{scope.path}.{statement.name}" if scope.path else ""
                scope.bind(statement.name, path or UNKNOWN)
                if path:
                    self._export_definition(statement, scope, prefix)
            elif isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
                self._assign(statement, scope, prefix)
            else:
                self._other_targets(statement, scope)
            self._note_registered(statement, scope)
            if scope.path == self._module:
                for value in values_for_all(statement):
                    self._note_all(value)

    def _export(self, name: str, how: str, node: ast.stmt, paths: list[str]) -> None:
        known = self.exports.get(name)
        new = [how, node.lineno, node.end_lineno or node.lineno, paths, []]
        if known is None:
            self.exports[name] = new
            return
        # Bound twice, in the branches of an `if` or a `try`.
        is_lead, was_lead = how in _LEADS, known[0] in _LEADS
        if known[0] == how or (known[0], how) == ("import", "assign"):
            known[3].extend(path for path in paths if path not in known[3])
        elif is_lead and not was_lead:
            known[4].extend(path for path in paths if path not in known[4])
        elif was_lead and not is_lead:
            self.exports[name] = [*new[:4], known[3]]
        elif not is_lead or how == "import":
            self.exports[name] = new

    def _import(self, node: ast.Import, scope: Scope, prefix: str) -> None:
        for alias in node.names:
            name = alias.asname or alias.name.split(".")[0]
            path = alias.name if alias.asname else name
            scope.bind(name, path)
            if scope.path:
                self._export(prefix + name, "import", node, [path])

    def _import_from(self, node: ast.ImportFrom, scope: Scope, prefix: str) -> None:
        source = self.absolute(node)
        for alias in node.names:
            if alias.name == "*":
                self.stars.append(source)
                continue
            name, path = alias.asname or alias.name, f"{source}.{alias.name}"
            scope.bind(name, path)
            if scope.path:
                self._export(prefix + name, "import", node, [path])

    def absolute(self, node: ast.ImportFrom) -> str:
        """The module that a `from` import names, relative ones resolved."""
        if not node.level:
            return node.module or ""
        parts = self._package.split(".") if self._package else []
        parts = parts[: len(parts) - node.level + 1]
        return ".".join([*parts, node.module] if node.module else parts)

    def _export_definition(self, node: Function | ast.ClassDef, scope: Scope, prefix: str) -> None:
        if isinstance(node, ast.ClassDef):
            bases = [path for base in node.bases for path in self._paths(bare(base), scope) or [UNKNOWN]]
            self._export(prefix + node.name, "class", node, self._beyond_imports(bases))
            if any(last_name(item) in _FIELD_CLASSES for item in [*node.decorator_list, *node.bases]):
                self.parameters[prefix + node.name] = fields_of(node)
            return
        returns = self._annotated(node.returns, scope)
        is_value = any(
            last_name(item).endswith("property") or last_name(item) in _READ_AS_VALUES
            for item in node.decorator_list
        )
        # Reading a property gives what a call of its function returns.
        self._export(prefix + node.name, "property" if is_value else "def", node, returns)
        positional = [argument.arg for argument in [*node.args.posonlyargs, *node.args.args]]
        decorators = {last_name(item) for item in node.decorator_list}
        bound = scope.is_class and "staticmethod" not in decorators
        self.parameters[prefix + node.name] = positional[1:] if bound else positional
        if bound and "classmethod" not in decorators and prefix + node.name not in self.instance_methods:
            self.instance_methods.append(prefix + node.name)

    def _assign(self, node: ast.Assign | ast.AnnAssign | ast.AugAssign, scope: Scope, prefix: str) -> None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        promised = self._annotated(node.annotation, scope) if isinstance(node, ast.AnnAssign) else []
        for target, value in [pair for whole in targets for pair in _given(whole, node.value)]:
            known = self._beyond_imports(self._paths(value, scope)) if value is not None else []
            paths = promised or known
            if isinstance(target, ast.Name):
                for path in paths or [UNKNOWN]:
                    scope.bind(target.id, path)
                if scope.path:
                    self._export(prefix + target.id, "assign", node, list(paths))
                elif target.id in scope.elsewhere and scope.elsewhere[target.id].path == self._module:
                    self._export(target.id, "assign", node, list(paths))
            elif isinstance(target, ast.Attribute):
                self._assign_attribute(target, node, scope, paths)
            else:
                self._bind_unknown(target, scope)

    def _beyond_imports(self, paths: list[str]) -> list[str]:
        """What is made of an imported name here stands for what was imported, and re-exports that."""
        return [
            path
            for path in paths
            if self.exports.get(path.removeprefix(self._module + "."), ("",))[0] != "import"
        ]

    def _assign_attribute(
        self, target: ast.Attribute, node: ast.stmt, scope: Scope, paths: list[str]
    ) -> None:
        """`self.client = Client()` gives the class an instance attribute of a known type."""
        for owner in self._paths(target.value, scope):
            start = self._module + "."
            if owner.endswith("()") and owner.startswith(start):
                self._export(owner[len(start) :] + "." + target.attr, "assign", node, paths or [UNKNOWN])

    def _note_registered(self, node: ast.stmt, scope: Scope) -> None:
        """`@Mapping.register`, `Mapping.register(Cache)`: as good as a base, to who asks with `isinstance`."""
        functions, classes = [], []
        if isinstance(node, ast.ClassDef):
            functions, classes = node.decorator_list, scope.bound[node.name]
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and len(node.value.args) == 1:
            functions, classes = [node.value.func], self._paths(node.value.args[0], scope)
        for function in functions:
            if isinstance(function, ast.Attribute) and function.attr == "register":
                for path in classes:
                    self.registered.setdefault(path, []).extend(self._paths(function.value, scope))

    def _note_all(self, value: ast.expr) -> None:
        strings = [item.value for item in ast.walk(value) if isinstance(item, ast.Constant)]
        self.all_names = [*(self.all_names or []), *(item for item in strings if isinstance(item, str))]
        if any(
            isinstance(item, (ast.Attribute, ast.Call, ast.ListComp, ast.Starred)) for item in ast.walk(value)
        ):
            self._all_is_open = True  # `a.__all__ + b.__all__`: what else is in it only running it tells

    def _other_targets(self, node: ast.stmt, scope: Scope) -> None:
        if isinstance(node, (ast.For, ast.AsyncFor)):
            self._bind_unknown(node.target, scope)
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            for item in node.items:
                self._bind_managed(item, scope)
        elif isinstance(node, ast.Match):
            for case in node.cases:
                self._bind_pattern(case.pattern, scope)
        for handler in getattr(node, "handlers", ()):
            if handler.name:
                self._bind_caught(handler, scope)

    def _bind_managed(self, item: ast.withitem, scope: Scope) -> None:
        if isinstance(item.optional_vars, ast.Name):
            # What most context managers give is themselves.
            for path in [*self._paths(item.context_expr, scope), UNKNOWN]:
                scope.bind(item.optional_vars.id, path)
        elif item.optional_vars is not None:
            self._bind_unknown(item.optional_vars, scope)

    def _bind_caught(self, handler: ast.ExceptHandler, scope: Scope) -> None:
        kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        for kind in filter(None, kinds):
            for path in self._paths(kind, scope) or [UNKNOWN]:
                scope.bind(handler.name or "", path + "()")

    def _bind_pattern(self, pattern: ast.pattern, scope: Scope) -> None:
        for item in ast.walk(pattern):
            if isinstance(item, ast.MatchAs) and item.name:
                known = (
                    self._paths(item.pattern.cls, scope) if isinstance(item.pattern, ast.MatchClass) else []
                )
                for path in known or [UNKNOWN]:
                    scope.bind(item.name, path + "()")
            elif isinstance(item, ast.MatchStar) and item.name:
                scope.bind(item.name, UNKNOWN)
            elif isinstance(item, ast.MatchMapping) and item.rest:
                scope.bind(item.rest, UNKNOWN)

    def _bind_walrus(self, body: Sequence[ast.stmt], scope: Scope) -> None:
        """`(name := ...)` binds in the function around it, also out of a comprehension."""
        pending: list[ast.AST] = list(body)
        while pending:
            node = pending.pop()
            if isinstance(node, ast.NamedExpr):
                for path in self._paths(node.value, scope) or [UNKNOWN]:
                    scope.bind(node.target.id, path)
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
                pending.extend(ast.iter_child_nodes(node))

    def _bind_unknown(self, target: ast.expr, scope: Scope) -> None:
        for node in ast.walk(target):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                scope.bind(node.id, UNKNOWN)

    # -- expressions as paths

    def _paths(self, node: ast.expr, scope: Scope) -> list[str]:  # noqa: C901, PLR0911 - one case a node type
        """The paths that an expression may stand for; empty if nothing is known."""
        if isinstance(node, ast.Name):
            place = scope.place_of(node)
            if place is None:
                if hasattr(builtins, node.id):
                    return ["builtins." + node.id]
                return [f"{self._module}.{node.id}"] if self.stars else []
            bound = place.bound[node.id]
            canonical = f"{place.path}.{node.id}"
            if place.path and node.id in self._names and canonical not in bound:
                return [canonical, *bound]  # it may be the name itself that goes
            return bound
        if isinstance(node, ast.Attribute):
            return [f"{path}.{node.attr}" for path in self._paths(node.value, scope)]
        if isinstance(node, ast.Call):
            return self._called(node, scope)
        if isinstance(node, ast.Await):
            return self._paths(node.value, scope)
        if isinstance(node, ast.NamedExpr):
            return self._paths(node.value, scope)
        if isinstance(node, ast.BoolOp):
            return [path for value in node.values for path in self._paths(value, scope) or [UNKNOWN]][
                :_MOST_PATHS
            ]
        if isinstance(node, ast.IfExp):
            return [
                path for value in (node.body, node.orelse) for path in self._paths(value, scope) or [UNKNOWN]
            ][:_MOST_PATHS]
        if isinstance(node, ast.Subscript):
            return self._in_loaded_modules(node)
        if isinstance(node, ast.Constant):
            return [] if node.value in (None, ...) else [f"builtins.{type(node.value).__name__}()"]
        builtin = _LITERALS.get(type(node))
        return [f"builtins.{builtin}()"] if builtin else []

    def _called(self, node: ast.Call, scope: Scope) -> list[str]:  # noqa: PLR0911 - one case a callable
        """The paths that a call may give."""
        name = last_name(node.func)
        if name in _TRANSPARENT and node.args:
            if name == "cast":
                return self._annotated(node.args[0], scope) or self._paths(node.args[-1], scope)
            return self._paths(node.args[0], scope)
        if name == "super" and isinstance(node.func, ast.Name):
            return self._super(scope)
        if name == "type" and isinstance(node.func, ast.Name) and len(node.args) == 1:
            paths = self._paths(node.args[0], scope)
            return [path.removesuffix("()") for path in paths if path.endswith("()")]
        if name == "getattr" and isinstance(node.func, ast.Name) and len(node.args) > 1:
            attribute = node.args[1].value if isinstance(node.args[1], ast.Constant) else ""
            if isinstance(attribute, str) and attribute:
                return [f"{path}.{attribute}" for path in self._paths(node.args[0], scope)]
            return []
        if name in _GIVES_WHAT_IT_NAMES and node.args:
            return self._named(node, name)
        return [path + "()" for path in self._paths(bare(node.func), scope)]

    def _named(self, node: ast.Call, name: str) -> list[str]:
        """`import_module("pkg.mod")` and its like."""
        text = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
        if not isinstance(text, str) or not TOKEN.fullmatch(text.lstrip(".")):
            return []
        if text.startswith("."):
            base = node.args[1] if len(node.args) > 1 else node.keywords[0].value if node.keywords else None
            package = base.value if isinstance(base, ast.Constant) else self._package
            parts = str(package).split(".")
            level = len(text) - len(text.lstrip("."))
            outer = parts[: max(len(parts) - level + 1, 0)]
            return [".".join(filter(None, [*outer, text.lstrip(".").replace(":", ".")]))]
        if name == "__import__" and len(node.args) < 4 and not node.keywords:  # noqa: PLR2004 - its `fromlist`
            return [text.partition(".")[0]]
        return [text.replace(":", ".")]

    def _in_loaded_modules(self, node: ast.Subscript) -> list[str]:
        """`sys.modules["pkg.mod"]`."""
        if last_name(node.value) == "modules" and isinstance(node.slice, ast.Constant):
            text = node.slice.value
            return [text] if isinstance(text, str) and TOKEN.fullmatch(text) else []
        return []

    def _super(self, scope: Scope | None) -> list[str]:
        while scope is not None:
            if scope.is_class:
                return [scope.path + "^"] if scope.path else [UNKNOWN]
            scope = scope.parent
        return [UNKNOWN]

    def _annotated(self, node: ast.expr | None, scope: Scope) -> list[str]:  # noqa: PLR0911 - the same
        """The paths of instances that an annotation promises."""
        if node is None:
            return []
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            parsed = parse_annotation(node)
            return self._annotated(parsed, scope) if parsed is not None else []
        if isinstance(node, ast.BinOp):
            return self._any_of([node.left, node.right], scope)
        if isinstance(node, ast.Subscript):
            name = last_name(node.value)
            inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            if name in _UNIONS:
                return self._any_of(inner, scope)
            if name in _OF_ITS_FIRST or name in _OF_ITS_LAST:
                return self._annotated(inner[0 if name in _OF_ITS_FIRST else -1], scope)
            if name in {"type", "Type"}:
                return [path.removesuffix("()") for path in self._annotated(node.slice, scope)]
            return self._generic(node, scope)
        if last_name(node) == "Self" and scope.is_class:
            return [scope.path + "()"]
        if last_name(node) in _ANYTHING:
            return []
        return [path + "()" for path in self._paths(node, scope)]


    def _any_of(self, items: Sequence[ast.expr], scope: Scope) -> list[str]:
        """One of which nothing is known leaves it open what it is."""
        return [
            path
            for item in items
            if not (isinstance(item, ast.Constant) and item.value is None)
            for path in self._annotated(item, scope) or [UNKNOWN]
        ]

    def _generic(self, node: ast.Subscript, scope: Scope) -> list[str]:
        """`List[int]` is a list; another package's `Mapped[User]` may give a user when it is asked for."""
        paths = self._annotated(node.value, scope)
        own = self._module.partition(".")[0]
        tops = {path.partition(".")[0] for path in paths}
        is_open = any(top not in (own, UNKNOWN) and not is_standard(top) for top in tops)
        return [*paths, UNKNOWN] if is_open else paths


def _given(target: ast.expr, value: ast.expr | None) -> Iterator[tuple[ast.expr, ast.expr | None]]:
    """Each target of `a, (b, c) = x, y` with what it is given, or None where only running it tells."""
    if not isinstance(target, (ast.Tuple, ast.List)):
        yield target, value
        return
    parts = value.elts if isinstance(value, (ast.Tuple, ast.List)) else []
    is_told = len(parts) == len(target.elts) and not any(isinstance(p, ast.Starred) for p in (*parts, *target.elts))
    for number, item in enumerate(target.elts):
        yield from _given(item, parts[number] if is_told else None)


def _binds_from(node: ast.stmt) -> tuple[int, int]:
    """From where on what a statement binds is bound: a block's head binds for its body, all else when it is done."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) or not hasattr(node, "body"):
        return node.end_lineno or node.lineno, node.end_col_offset or 0
    if isinstance(node, ast.Try):
        return _binds_from(node.body[-1])  # `except Error as name`
    return node.lineno, node.col_offset


def statements_of(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of one scope: those of a body, and those of the blocks in it that are no scopes of
    their own."""
    pending = list(reversed(body))
    while pending:
        statement = pending.pop()
        yield statement
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        inner: list[ast.stmt] = []
        for name in ("body", "handlers", "orelse", "finalbody", "cases"):
            for child in getattr(statement, name, ()):
                inner.extend([child] if isinstance(child, ast.stmt) else child.body)
        pending.extend(reversed(inner))


def values_for_all(node: ast.stmt) -> list[ast.expr]:
    """What a statement puts into `__all__`: `__all__ = [...]`, `__all__ += [...]`, `__all__.append("name")`."""
    if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return [node.value] if node.value and any(last_name(item) == "__all__" for item in targets) else []
    call = node.value if isinstance(node, ast.Expr) else None
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in _GROWS:
        return call.args if last_name(call.func.value) == "__all__" else []
    return []


def bare(node: ast.expr) -> ast.expr:
    """`Base` of `Base[int]`."""
    return node.value if isinstance(node, ast.Subscript) and last_name(node.value) != "modules" else node


def fields_of(node: ast.ClassDef) -> list[str]:
    """The names that a dataclass or named tuple takes by position, inherited ones left out."""
    return [
        item.target.id
        for item in node.body
        if isinstance(item, ast.AnnAssign)
        and isinstance(item.target, ast.Name)
        and last_name(item.annotation) != "ClassVar"
    ]


def parse_annotation(node: ast.Constant) -> ast.expr | None:
    try:
        parsed = ast.parse(str(node.value).strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        return None
    for item in ast.walk(parsed):
        if isinstance(item, ast.expr):
            item.lineno, item.col_offset = node.lineno, node.col_offset
            item.end_lineno, item.end_col_offset = node.end_lineno, node.end_col_offset
    return parsed


def imported_in(text: str) -> Iterator[tuple[str, int]]:
    """What code in a text imports, `python -c "from a.b import c"`: each as `a.b.c`, and where that begins."""
    for match in _IMPORT_IN_TEXT.finditer(text):
        for item in match[2].split(","):
            name = item.split()[:1]
            if name:
                yield f"{match[1]}.{name[0]}", match.start()
