"""One file's names: what each is bound to, and where those that matter are used. The code is never imported.

Everything is written as a *path*: a dotted name from the top, such as `pkg.api.make` for what
`from pkg.api import make` binds. `()` after a part stands for what calling it gives, so that
`pkg.api.Client().send` is the method of an instance. A path that starts with `*.` is a name that only a
star import can have brought; one that starts with `?.` is an attribute of something unknown.
`resolving` follows paths from file to file; nothing here looks at another file.
"""

from __future__ import annotations

import ast
import builtins
import re
from typing import TYPE_CHECKING, Any

from lastcall.scanning.detect import Unreadable, decode, parse
from lastcall.scanning.emissions import last_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    Function = ast.FunctionDef | ast.AsyncFunctionDef

BINDER = 1
"""Raise it when the same file would give another result: old cache entries are then not used."""

TOKEN = re.compile(r"[A-Za-z_]\w*(?:[.:][A-Za-z_]\w*)*")
_REFLECTION = frozenset(("getattr", "hasattr", "setattr", "delattr", "attrgetter", "methodcaller"))
_PATCHING = frozenset(("patch", "setattr", "delattr", "object", "spy", "stub", "replace"))
_IMPORTING = frozenset(
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
_TRANSPARENT = frozenset(("staticmethod", "classmethod", "property", "cached_property", "wraps", "cast"))
_OPTIONAL = frozenset(
    (
        "Optional",
        "Union",
        "Annotated",
        "Final",
        "ClassVar",
        "Required",
        "NotRequired",
        "Awaitable",
        "Coroutine",
    )
)

_MOST_PATHS = 4
"""A name bound to more things than this may as well be unknown."""
_LONGEST = 120

_UNKNOWN: tuple[None] = (None,)

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
    ast.Constant: "str",
}
"""What literals are instances of: a method of theirs is no target of ours, whatever its name."""


def bind(data: bytes, module: str, *, is_package: bool, names: frozenset[str]) -> dict[str, Any]:
    """What the file binds and, for `names` (last parts of targets), where they are used.

    JSON-ready: `exports` maps a qualified name to [how, line, last line, paths], `how` being `import`, `def`,
    `class`, `property` or `assign`; `stars` lists the modules imported with `*`; `all` is `__all__` or None;
    `parameters` maps a function's qualified name to its positional parameters, a bound one left out; `uses`
    lists [kind, path, line, column, function, expression, detail], where detail is the local name of an
    import, or what a call passes: the number of positional arguments, then the keywords. Raises Unreadable.
    """
    tree = parse(decode(data))
    binder = _Binder(module, is_package=is_package, names=names)
    try:
        binder.run(tree)
    except RecursionError:
        raise Unreadable("nested too deeply") from None
    return {
        "exports": binder.exports,
        "stars": binder.stars,
        "all": binder.all_names,
        "uses": binder.uses,
        "parameters": binder.parameters,
    }


class _Scope:
    """The names bound in a module, class or function body. A None among the paths is a binding to who knows
    what."""

    __slots__ = ("bound", "is_class", "parent", "path")

    def __init__(self, path: str, parent: _Scope | None, *, is_class: bool = False) -> None:
        self.path = path
        """Where its definitions live; empty inside functions, which nothing outside can reach."""
        self.parent = parent
        self.is_class = is_class
        self.bound: dict[str, list[str | None]] = {}

    def bind(self, name: str, path: str | None) -> None:
        paths = self.bound.setdefault(name, [])
        if path not in paths and len(paths) < _MOST_PATHS:
            paths.append(path)

    def look_up(self, name: str) -> list[str | None] | None:
        scope: _Scope | None = self
        while scope is not None:
            if name in scope.bound and (scope is self or not scope.is_class):
                return scope.bound[name]
            scope = scope.parent
        return None


class _Binder:
    def __init__(self, module: str, *, is_package: bool, names: frozenset[str]) -> None:
        self.exports: dict[str, list[Any]] = {}
        self.stars: list[str] = []
        self.all_names: list[str] | None = None
        self.uses: list[list[Any]] = []
        self.parameters: dict[str, list[str]] = {}
        self._module = module
        self._package = module if is_package else module.rpartition(".")[0]
        self._names = names
        self._function = ""
        self._conditional: list[str] = []
        self._docstrings: set[int] = set()
        self._annotations_are_late = False

    def run(self, tree: ast.Module) -> None:
        self._annotations_are_late = any(
            isinstance(node, ast.ImportFrom)
            and node.module == "__future__"
            and any(alias.name == "annotations" for alias in node.names)
            for node in tree.body
        )
        scope = _Scope(self._module, None)
        self._note_docstring(tree)
        self._collect(tree.body, scope, "")
        self._statements(tree.body, scope)

    # -- first pass over a scope: what is bound in it

    def _collect(self, body: Sequence[ast.stmt], scope: _Scope, prefix: str) -> None:
        for statement in statements_of(body):
            if isinstance(statement, ast.Import):
                self._import(statement, scope, prefix)
            elif isinstance(statement, ast.ImportFrom):
                self._import_from(statement, scope, prefix)
            elif isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                path = f"{scope.path}.{statement.name}" if scope.path else None
                scope.bind(statement.name, path)
                if path:
                    self._export_definition(statement, scope, prefix)
            elif isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
                self._assign(statement, scope, prefix)
            else:
                self._other_targets(statement, scope)

    def _export(self, name: str, how: str, node: ast.stmt, paths: list[str]) -> None:
        known = self.exports.get(name)
        if known is not None and known[0] == how:  # bound twice, in the branches of an `if` or a `try`
            known[3].extend(path for path in paths if path not in known[3])
        elif known is None or how != "assign":
            self.exports[name] = [how, node.lineno, node.end_lineno or node.lineno, paths]

    def _import(self, node: ast.Import, scope: _Scope, prefix: str) -> None:
        for alias in node.names:
            name = alias.asname or alias.name.split(".")[0]
            path = alias.name if alias.asname else name
            scope.bind(name, path)
            if scope.path:
                self._export(prefix + name, "import", node, [path])

    def _import_from(self, node: ast.ImportFrom, scope: _Scope, prefix: str) -> None:
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

    def _export_definition(self, node: Function | ast.ClassDef, scope: _Scope, prefix: str) -> None:
        if isinstance(node, ast.ClassDef):
            bases = [path for base in node.bases for path in self._paths(base, scope)]
            self._export(prefix + node.name, "class", node, bases)
            return
        returns = self._annotated(node.returns, scope)
        is_value = any(last_name(item).endswith("property") for item in node.decorator_list)
        # Reading a property gives what a call of its function returns.
        self._export(prefix + node.name, "property" if is_value else "def", node, returns)
        positional = [argument.arg for argument in [*node.args.posonlyargs, *node.args.args]]
        bound = scope.is_class and not any(last_name(item) == "staticmethod" for item in node.decorator_list)
        self.parameters[prefix + node.name] = positional[1:] if bound else positional

    def _assign(self, node: ast.Assign | ast.AnnAssign | ast.AugAssign, scope: _Scope, prefix: str) -> None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        paths = self._paths(node.value, scope) if node.value is not None else []
        if isinstance(node, ast.AnnAssign):
            paths = self._annotated(node.annotation, scope) or paths
        for target in targets:
            if isinstance(target, ast.Name):
                for path in paths or _UNKNOWN:
                    scope.bind(target.id, path)
                if scope.path:
                    self._export(prefix + target.id, "assign", node, list(paths))
                if target.id == "__all__" and scope.path == self._module:
                    self._note_all(node.value)
            elif isinstance(target, ast.Attribute):
                self._assign_attribute(target, node, scope, paths)
            else:
                self._bind_unknown(target, scope)

    def _assign_attribute(
        self, target: ast.Attribute, node: ast.stmt, scope: _Scope, paths: list[str]
    ) -> None:
        """`self.client = Client()` gives the class an instance attribute of a known type."""
        for owner in self._paths(target.value, scope):
            start = self._module + "."
            if owner.endswith("()") and owner.startswith(start) and paths:
                self._export(owner[len(start) :] + "." + target.attr, "assign", node, list(paths))

    def _note_all(self, value: ast.expr | None) -> None:
        if value is not None:
            found = [
                item.value
                for item in ast.walk(value)
                if isinstance(item, ast.Constant) and isinstance(item.value, str)
            ]
            self.all_names = [*(self.all_names or []), *found]

    def _other_targets(self, node: ast.stmt, scope: _Scope) -> None:
        if isinstance(node, (ast.For, ast.AsyncFor)):
            self._bind_unknown(node.target, scope)
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            for item in node.items:
                if isinstance(item.optional_vars, ast.Name):
                    # What most context managers give is themselves.
                    for path in self._paths(item.context_expr, scope) or _UNKNOWN:
                        scope.bind(item.optional_vars.id, path)
                elif item.optional_vars is not None:
                    self._bind_unknown(item.optional_vars, scope)

    def _bind_unknown(self, target: ast.expr, scope: _Scope) -> None:
        for node in ast.walk(target):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                scope.bind(node.id, None)

    # -- expressions as paths

    def _paths(self, node: ast.expr, scope: _Scope) -> list[str]:  # noqa: C901, PLR0911 - one case a node type
        """The paths that an expression may stand for; empty if nothing is known."""
        if isinstance(node, ast.Name):
            bound = scope.look_up(node.id)
            if bound is None:
                if hasattr(builtins, node.id):
                    return ["builtins." + node.id]
                return ["*." + node.id] if self.stars else []
            return [path for path in bound if path is not None]
        if isinstance(node, ast.Attribute):
            return [f"{path}.{node.attr}" for path in self._paths(node.value, scope)]
        if isinstance(node, ast.Call):
            if last_name(node.func) in _TRANSPARENT and node.args:
                return self._paths(node.args[-1 if last_name(node.func) == "cast" else 0], scope)
            return [path + "()" for path in self._paths(node.func, scope)]
        if isinstance(node, ast.Await):
            return self._paths(node.value, scope)
        if isinstance(node, ast.NamedExpr):
            return self._paths(node.value, scope)
        if isinstance(node, ast.BoolOp):
            return [path for value in node.values for path in self._paths(value, scope)][:4]
        if isinstance(node, ast.IfExp):
            return (self._paths(node.body, scope) + self._paths(node.orelse, scope))[:4]
        builtin = _LITERALS.get(type(node))
        return [f"builtins.{builtin}()"] if builtin else []

    def _annotated(self, node: ast.expr | None, scope: _Scope) -> list[str]:  # noqa: PLR0911 - the same
        """The paths of instances that an annotation promises."""
        if node is None:
            return []
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            parsed = _parse_annotation(node)
            return self._annotated(parsed, scope) if parsed is not None else []
        if isinstance(node, ast.BinOp):
            return self._annotated(node.left, scope) + self._annotated(node.right, scope)
        if isinstance(node, ast.Subscript):
            name = last_name(node.value)
            if name in _OPTIONAL:
                inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
                return [path for item in inner for path in self._annotated(item, scope)]
            if name in {"type", "Type"}:
                return [path.removesuffix("()") for path in self._annotated(node.slice, scope)]
            return self._annotated(node.value, scope)
        return [path + "()" for path in self._paths(node, scope)]

    # -- second pass: uses

    def _statements(self, body: Iterable[ast.stmt], scope: _Scope) -> None:
        for statement in body:
            self._statement(statement, scope)

    def _statement(self, node: ast.stmt, scope: _Scope) -> None:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            self._import_uses(node)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            self._enter_function(node, scope)
        elif isinstance(node, ast.ClassDef):
            self._enter_class(node, scope)
        elif isinstance(node, (ast.Assign, ast.AugAssign)) and self._is_all(node):
            self._all_uses(node)
        elif isinstance(node, ast.AnnAssign):
            self._visit(node.annotation, scope, "annotation")
            self._visit(node.target, scope)
            self._visit(node.value, scope)
        elif isinstance(node, ast.Assign) and scope.path and isinstance(node.targets[0], ast.Name):
            # `Old = New` at module or class level offers the name to others.
            alias = isinstance(node.value, (ast.Name, ast.Attribute))
            self._visit(node.value, scope, "re-export" if alias else "access")
        elif isinstance(node, ast.If) and last_name(node.test) == "TYPE_CHECKING":
            self._within("type checking only", node.body, scope)
            self._statements(node.orelse, scope)
        elif isinstance(node, ast.Try) and any(_catches_import(handler) for handler in node.handlers):
            self._within("may be missing: ImportError is caught", node.body, scope)
            for handler in node.handlers:
                self._visit(handler.type, scope)
                self._statements(handler.body, scope)
            self._statements([*node.orelse, *node.finalbody], scope)
        else:
            self._children(node, scope)

    def _within(self, condition: str, body: list[ast.stmt], scope: _Scope) -> None:
        self._conditional.append(condition)
        self._statements(body, scope)
        self._conditional.pop()

    def _children(self, node: ast.AST, scope: _Scope) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                self._statement(child, scope)
            elif isinstance(child, ast.expr):
                self._visit(child, scope)
            else:
                self._children(child, scope)

    def _is_all(self, node: ast.Assign | ast.AugAssign) -> bool:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets)

    def _all_uses(self, node: ast.Assign | ast.AugAssign) -> None:
        for item in ast.walk(node.value):
            if isinstance(item, ast.Constant) and item.value in self._names:
                self._use("all", f"{self._module}.{item.value}", item, f"__all__: {item.value!r}")

    def _import_uses(self, node: ast.Import | ast.ImportFrom) -> None:
        source = self.absolute(node) if isinstance(node, ast.ImportFrom) else ""
        if source and self._matters(source):
            self._use("import", source, node, f"from {source} import ...")
        for alias in node.names:
            path = f"{source}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
            if alias.name == "*":
                self._use("import", path, node, f"from {source} import *", "*")
            if alias.name != "*" and (alias.name in self._names or (not source and self._matters(path))):
                start = (
                    f"from {'.' * node.level}{node.module or ''} " if isinstance(node, ast.ImportFrom) else ""
                )
                renamed = f" as {alias.asname}" if alias.asname else ""
                self._use(
                    "import", path, alias, f"{start}import {alias.name}{renamed}", alias.asname or alias.name
                )

    def _enter_function(self, node: Function, scope: _Scope) -> None:
        self._note_docstring(node)
        for decorator in node.decorator_list:
            self._visit(decorator, scope, "decorator")
        inner = _Scope("", scope)
        every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        for argument in [*every, *filter(None, (node.args.vararg, node.args.kwarg))]:
            if argument.annotation is not None:
                self._visit(argument.annotation, scope, "annotation")
            for path in self._annotated(argument.annotation, scope) or _UNKNOWN:
                inner.bind(argument.arg, path)
        self._bind_self(node, scope, inner)
        for default in [*node.args.defaults, *filter(None, node.args.kw_defaults)]:
            self._visit(default, scope)
        self._visit(node.returns, scope, "annotation")
        self._inside(node, inner)

    def _bind_self(self, node: Function, scope: _Scope, inner: _Scope) -> None:
        positional = [*node.args.posonlyargs, *node.args.args]
        decorators = {last_name(item) for item in node.decorator_list}
        if scope.is_class and scope.path and positional and "staticmethod" not in decorators:
            is_class = "classmethod" in decorators or node.name in {
                "__new__",
                "__init_subclass__",
                "__class_getitem__",
            }
            inner.bound[positional[0].arg] = [scope.path if is_class else scope.path + "()"]

    def _inside(self, node: Function | ast.ClassDef, inner: _Scope) -> None:
        prefix = ""
        if inner.path:
            prefix = inner.path[len(self._module) + 1 :] + "."
        self._collect(node.body, inner, prefix)
        before = self._function
        self._function = f"{before}.{node.name}" if before else node.name
        self._statements(node.body, inner)
        self._function = before

    def _enter_class(self, node: ast.ClassDef, scope: _Scope) -> None:
        self._note_docstring(node)
        for decorator in node.decorator_list:
            self._visit(decorator, scope, "decorator")
        for base in node.bases:
            self._visit(base, scope, "subclass")
        for keyword in node.keywords:
            self._visit(keyword.value, scope)
        inner = _Scope(f"{scope.path}.{node.name}" if scope.path else "", scope, is_class=True)
        self._inside(node, inner)

    def _visit(  # noqa: C901 - one case a node type
        self, node: ast.expr | None, scope: _Scope, context: str = "access"
    ) -> None:
        if node is None:
            return
        if context == "annotation" and self._annotations_are_late and scope.is_class and scope.parent:
            scope = scope.parent  # evaluated later, if ever, among the module's names
        if isinstance(node, (ast.Name, ast.Attribute)):
            self._chain(node, scope, context)
        elif isinstance(node, ast.Call):
            self._call(node, scope, context)
        elif isinstance(node, ast.Constant):
            if isinstance(node.value, str):
                self._string(node, scope, context)
        elif isinstance(node, (ast.Lambda, ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)):
            self._own_scope(node, scope)
        else:
            inner = context if context in {"annotation", "subclass"} else "access"
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    self._visit(child, scope, inner)
                elif not isinstance(
                    child, (ast.expr_context, ast.operator, ast.cmpop, ast.boolop, ast.unaryop)
                ):
                    self._children(child, scope)

    def _own_scope(self, node: ast.expr, scope: _Scope) -> None:
        inner = _Scope("", scope)
        if isinstance(node, ast.Lambda):
            every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            for argument in [*every, *filter(None, (node.args.vararg, node.args.kwarg))]:
                inner.bind(argument.arg, None)
        for comprehension in getattr(node, "generators", ()):
            self._bind_unknown(comprehension.target, inner)
        self._children(node, inner)

    def _chain(self, node: ast.Name | ast.Attribute, scope: _Scope, context: str) -> None:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            return  # binds the name here, says nothing about what it names elsewhere
        attributes: list[str] = []
        root: ast.expr = node
        while isinstance(root, ast.Attribute):
            attributes.append(root.attr)
            root = root.value
        if not isinstance(root, ast.Name):
            self._visit(root, scope)
        if not self._names.isdisjoint(attributes) or isinstance(root, ast.Name):
            paths = [path for path in self._paths(node, scope) if self._matters(path)]
            if not paths and not self._names.isdisjoint(attributes) and not self._paths(root, scope):
                paths = ["?." + ".".join(reversed(attributes))]
            for path in paths:
                self._use(context, path, node, _spelling(node))

    def _call(self, node: ast.Call, scope: _Scope, context: str) -> None:
        name = last_name(node.func)
        inside = "decorator" if context == "decorator" else "call"
        before = len(self.uses)
        self._visit(node.func, scope, inside)
        passed = [len(node.args), *(keyword.arg or "**" for keyword in node.keywords)]
        if any(isinstance(item, ast.Starred) for item in node.args):
            passed.append("*")
        for use in self.uses[before:]:
            if use[0] == inside and use[2] == node.func.lineno:
                use[6] = passed
        shown = self._by_name(node, scope, name) if name in _REFLECTION or name in _PATCHING else None
        for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
            if argument is shown:
                continue
            text = argument.value if isinstance(argument, ast.Constant) else None
            if isinstance(text, str) and (name in _PATCHING or name in _IMPORTING) and "." in text:
                kind = "patch" if name in _PATCHING else "import"
                if self._matters(text):
                    self._use(kind, text.replace(":", "."), argument, f"{_spelling(node.func)}({text!r})")
                continue
            self._visit(argument, scope)

    def _by_name(self, node: ast.Call, scope: _Scope, name: str) -> ast.expr | None:
        """`getattr(module, "name")`, `patch.object(module, "name")`: an access that only a string shows.

        Returns the string's node if it was one.
        """
        if (
            len(node.args) <= 1
            or not isinstance(node.args[1], ast.Constant)
            or node.args[1].value not in self._names
        ):
            return None
        kind = "patch"
        if isinstance(node.func, ast.Name) or name in {"attrgetter", "methodcaller"}:
            kind = "access"
        attribute = str(node.args[1].value)
        spelling = f"{_spelling(node.func)}({_spelling(node.args[0])}, {attribute!r})"
        for owner in self._paths(node.args[0], scope) or ["?"]:
            self._use(kind, f"{owner}.{attribute}", node, spelling)
        return node.args[1]

    def _string(self, node: ast.Constant, scope: _Scope, context: str) -> None:
        text = str(node.value)
        if not any(name in text for name in self._names):
            return
        if context == "annotation":
            parsed = _parse_annotation(node)
            if parsed is not None:
                self._visit(parsed, scope, "annotation")
                return
        kind = "docs" if id(node) in self._docstrings else "string"
        for match in TOKEN.finditer(text):
            token = match.group()
            parts = re.split(r"[.:]", token)
            if self._names.isdisjoint(parts):
                continue
            whole = token == text.strip()
            if len(parts) > 1 or whole:
                path = ".".join(parts) if len(parts) > 1 else "?." + token
                line = node.lineno + text.count("\n", 0, match.start())
                self.uses.append(
                    [kind, path, line, node.col_offset, self._function, _shorten(repr(token)), None]
                )

    def _note_docstring(self, node: ast.Module | Function | ast.ClassDef) -> None:
        first = node.body[0] if node.body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            self._docstrings.add(id(first.value))

    def _matters(self, path: str) -> bool:
        return not self._names.isdisjoint(path.replace("()", "").replace(":", ".").split("."))

    def _use(self, kind: str, path: str, node: ast.AST, expression: str, detail: Any = None) -> None:
        line, column = getattr(node, "lineno", 0), getattr(node, "col_offset", 0)
        if kind == "import" and self._conditional:
            kind = "import?" + self._conditional[-1]
        self.uses.append([kind, path, line, column, self._function, _shorten(expression), detail])


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


def _catches_import(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(
        last_name(item) in {"ImportError", "ModuleNotFoundError", "Exception", "AttributeError"}
        for item in types
    )


def _parse_annotation(node: ast.Constant) -> ast.expr | None:
    try:
        parsed = ast.parse(str(node.value).strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        return None
    for item in ast.walk(parsed):
        if isinstance(item, ast.expr):
            item.lineno, item.col_offset = node.lineno, node.col_offset
    return parsed


def _spelling(node: ast.expr) -> str:
    """A dotted name as the source spells it; other expressions are shown as `(...)`."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_spelling(node.value)}.{node.attr}"
    if isinstance(node, ast.Call):
        return f"{_spelling(node.func)}()"
    return "(...)"


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:117] + "..."
