"""One file's names: what each is bound to, and where those that matter are used. The code is never imported.

Everything is written as a *path*: a dotted name from the top, such as `pkg.api.make` for what
`from pkg.api import make` binds. `()` after a part stands for what calling it gives, so that
`pkg.api.Client().send` is the method of an instance. A path that starts with `?.` is an attribute of something
unknown. `^` after a class stands for what `super()` gives in it. `~` before a path says that it is one of several
that the expression may stand for.
`resolving` follows paths from file to file; nothing here looks at another file.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any

from lastcall.scanning.detect import Unreadable, decode, parse
from lastcall.scanning.naming import (
    ACCESSORS,
    IMPORTING,
    TOKEN,
    Names,
    Scope,
    imported_in,
    parse_annotation,
    values_for_all,
)
from lastcall.scanning.resolving import UNKNOWN
from lastcall.scanning.syntax import last_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lastcall.scanning.naming import Function

BINDER = 7
"""Raise it when the same file would give another result: old cache entries are then not used."""

_REFLECTION = frozenset(("getattr", "hasattr", "setattr", "delattr", "attrgetter", "methodcaller"))
_GETTERS = frozenset(("attrgetter", "methodcaller"))
_PATCHING = frozenset(("patch", "setattr", "delattr", "object", "spy", "stub", "replace", "multiple"))
_PARTIAL = frozenset(("partial", "partialmethod"))
_LONGEST = 120

_DOUBT = "~"
_FIELD = re.compile(r"\{\w*((?:\.[A-Za-z_]\w*)+)")
"""`"{0.host}"` as `str.format` reads it."""


def bind(data: bytes, module: str, *, is_package: bool, names: frozenset[str]) -> dict[str, Any]:
    """What the file binds and, for `names` (last parts of targets), where they are used.

    JSON-ready: `exports` maps a qualified name to [how, line, last line, paths, others], `how` being `import`, `def`,
    `class`, `property` or `assign`, and `others` what a defined name is bound to elsewhere in the file;
    `stars` lists the modules imported with `*`; `all` is `__all__` or None;
    `parameters` maps a function's qualified name to its positional parameters, a bound one left out, and
    `instance_methods` lists those whose bound one is passed by hand where they are called through the class;
    `registered` maps the path of a class to the abstract classes that it was registered with; `uses`
    lists [kind, path, line, column, function, expression, detail], where detail is the local name of an
    import, or what a call passes: the number of positional arguments, then the keywords; of a string whether the name
    is all of it. Raises Unreadable.
    """
    tree = parse(decode(data))
    binder = _Binder(module, is_package=is_package, names=names)
    try:
        binder.run(tree, has_walrus=b":=" in data)
    except RecursionError:
        raise Unreadable("nested too deeply") from None
    return {
        "exports": binder.exports,
        "stars": binder.stars,
        "all": binder.all_names,
        "uses": binder.uses,
        "parameters": binder.parameters,
        "instance_methods": binder.instance_methods,
        "registered": binder.registered,
    }


class _Binder(Names):
    """Goes through a file once more, for the uses."""

    def __init__(self, module: str, *, is_package: bool, names: frozenset[str]) -> None:
        super().__init__(module, is_package=is_package, names=names)
        self.uses: list[list[Any]] = []
        self._function = ""
        self._conditional: list[str] = []
        self._docstrings: set[int] = set()
        self._annotations_are_late = False

    def run(self, tree: ast.Module, *, has_walrus: bool) -> None:
        self._has_walrus = has_walrus
        self._annotations_are_late = any(
            isinstance(node, ast.ImportFrom)
            and node.module == "__future__"
            and any(alias.name == "annotations" for alias in node.names)
            for node in tree.body
        )
        scope = Scope(self._module, None)
        self._note_docstring(tree)
        self._enter_body(tree.body, scope, "")
        self._statements(tree.body, scope)
        if self._has_global:  # what a function binds for the whole module is known only now
            self.uses.clear()
            self._statements(tree.body, scope)
        if self._all_is_open:
            self.all_names = None

    def _statements(self, body: Iterable[ast.stmt], scope: Scope) -> None:
        for statement in body:
            self._statement(statement, scope)

    def _statement(self, node: ast.stmt, scope: Scope) -> None:  # noqa: C901 - one case a node type
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            self._import_uses(node)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            self._enter_function(node, scope)
        elif isinstance(node, ast.ClassDef):
            self._enter_class(node, scope)
        elif values_for_all(node):
            for value in values_for_all(node):
                self._all_uses(value)
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

    def _within(self, condition: str, body: list[ast.stmt], scope: Scope) -> None:
        self._conditional.append(condition)
        self._statements(body, scope)
        self._conditional.pop()

    def _children(self, node: ast.AST, scope: Scope) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                self._statement(child, scope)
            elif isinstance(child, ast.expr):
                self._visit(child, scope)
            else:
                self._children(child, scope)

    def _all_uses(self, value: ast.expr) -> None:
        for item in ast.walk(value):
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

    def _enter_function(self, node: Function, scope: Scope) -> None:
        self._note_docstring(node)
        for decorator in node.decorator_list:
            if not _continues(decorator, node.name) or last_name(decorator) in self._names:
                self._visit(decorator, scope, "decorator")
        inner = Scope("", scope)
        every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        for argument in [*every, *filter(None, (node.args.vararg, node.args.kwarg))]:
            if argument.annotation is not None:
                self._visit(argument.annotation, scope, "annotation")
            for path in self._annotated(argument.annotation, scope) or [UNKNOWN]:
                inner.bind(argument.arg, path)
        self._bind_self(node, scope, inner)
        for default in [*node.args.defaults, *filter(None, node.args.kw_defaults)]:
            self._visit(default, scope)
        self._visit(node.returns, scope, "annotation")
        self._type_parameters(node, scope, inner)
        self._inside(node, inner)

    def _type_parameters(self, node: Function | ast.ClassDef, scope: Scope, inner: Scope) -> None:
        for item in getattr(node, "type_params", ()):  # from Python 3.12 on
            inner.bind(item.name, UNKNOWN)
            for bound in (getattr(item, "bound", None), getattr(item, "default_value", None)):
                self._visit(bound, scope, "annotation")

    def _bind_self(self, node: Function, scope: Scope, inner: Scope) -> None:
        positional = [*node.args.posonlyargs, *node.args.args]
        decorators = {last_name(item) for item in node.decorator_list}
        if scope.is_class and scope.path and positional and "staticmethod" not in decorators:
            is_class = "classmethod" in decorators or node.name in {
                "__new__",
                "__init_subclass__",
                "__class_getitem__",
            }
            inner.bound[positional[0].arg] = [scope.path if is_class else scope.path + "()"]

    def _inside(self, node: Function | ast.ClassDef, inner: Scope) -> None:
        prefix = ""
        if inner.path:
            prefix = inner.path[len(self._module) + 1 :] + "."
        self._enter_body(node.body, inner, prefix)
        before = self._function
        self._function = f"{before}.{node.name}" if before else node.name
        self._statements(node.body, inner)
        self._function = before

    def _enter_class(self, node: ast.ClassDef, scope: Scope) -> None:
        self._note_docstring(node)
        for decorator in node.decorator_list:
            self._visit(decorator, scope, "decorator")
        for base in node.bases:
            self._visit(base, scope, "subclass")
        for keyword in node.keywords:
            self._visit(keyword.value, scope)
        inner = Scope(f"{scope.path}.{node.name}" if scope.path else "", scope, is_class=True)
        self._type_parameters(node, scope, inner)
        self._inside(node, inner)

    def _visit(  # noqa: C901 - one case a node type
        self, node: ast.expr | None, scope: Scope, context: str = "access"
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

    def _own_scope(self, node: ast.expr, scope: Scope) -> None:
        inner = Scope("", scope)
        if isinstance(node, ast.Lambda):
            every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            for argument in [*every, *filter(None, (node.args.vararg, node.args.kwarg))]:
                inner.bind(argument.arg, UNKNOWN)
        for comprehension in getattr(node, "generators", ()):
            self._bind_unknown(comprehension.target, inner)
        self._children(node, inner)

    def _chain(self, node: ast.Name | ast.Attribute, scope: Scope, context: str) -> None:
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
            paths = self._paths(node, scope) or [".".join([UNKNOWN, *reversed(attributes)])]
            # One of several things that this may be, in a function; in a module they are ways to get one thing.
            doubt = _DOUBT if len(paths) > 1 and not self._has_canonical(root, scope) else ""
            for path in filter(self._matters, paths):
                self._use(context, doubt + path, node, _spelling(node))

    def _has_canonical(self, root: ast.expr, scope: Scope) -> bool:
        place = scope.place_of(root) if isinstance(root, ast.Name) else None
        return place is not None and bool(place.path)

    def _call(self, node: ast.Call, scope: Scope, context: str) -> None:
        name = last_name(node.func)
        inside = "decorator" if context == "decorator" else "call"
        before = len(self.uses)
        self._visit(node.func, scope, inside)
        passed = _passed(node)
        for use in self.uses[before:]:
            if use[0] == inside and use[2] == _place(node.func)[0]:
                use[6] = passed
        shown = self._by_name(node, scope, name) if name in _REFLECTION or name in _PATCHING else []
        for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
            if argument in shown:
                continue
            text = argument.value if isinstance(argument, ast.Constant) else None
            if isinstance(text, str) and (name in _PATCHING or name in IMPORTING) and "." in text:
                kind = "patch" if name in _PATCHING else "import"
                for path in self._named(node, name) if text.startswith(".") else [text.replace(":", ".")]:
                    if self._matters(path):
                        self._use(kind, path, argument, f"{_spelling(node.func)}({text!r})")
                continue
            before = len(self.uses)
            self._visit(argument, scope)
            if isinstance(argument, (ast.Name, ast.Attribute)):
                self._hand_on(self.uses[before:], argument, node, name)

    def _hand_on(self, uses: list[list[Any]], argument: ast.expr, node: ast.Call, name: str) -> None:
        """`partial(function, mode=1)`, `pool.submit(function, mode=1)`: arguments for a function that is one itself."""
        count, *keywords = _passed(node)
        if name in _PARTIAL and argument is node.args[0]:
            detail = [count - 1, *keywords]
        elif node.keywords:
            detail = [0, *(word if word in ("*", "**") else f"{word}?" for word in keywords)]
        else:
            return
        for use in uses:
            use[6] = detail

    def _by_name(self, node: ast.Call, scope: Scope, name: str) -> list[ast.expr]:
        """`getattr(module, "name")`, `patch.object(module, "name")`: an access that only a string shows.

        Returns the nodes that are dealt with.
        """
        named = {keyword.arg: keyword.value for keyword in node.keywords}
        attribute = node.args[1] if len(node.args) > 1 else named.get("attribute") or named.get("name")
        kind = "patch"
        if isinstance(node.func, ast.Name):
            kind = "access"
        owner = node.args[0] if node.args else named.get("target")
        if owner is None:
            return []
        if name in _GETTERS:
            return self._got_later(node.args if name == "attrgetter" else [owner], name)
        if name == "multiple":
            return self._patched_together(node, owner, scope)
        if not isinstance(attribute, ast.Constant) or attribute.value not in self._names:
            return []
        text = str(attribute.value)
        self._member(kind, owner, text, node, scope)
        return [attribute]

    def _got_later(self, arguments: list[ast.expr], name: str) -> list[ast.expr]:
        """`attrgetter("module.name", ...)`, `methodcaller("name", ...)`: of an object that comes later."""
        shown: list[ast.expr] = []
        for item in arguments:
            text = item.value if isinstance(item, ast.Constant) else None
            if isinstance(text, str) and self._matters(text):
                self._use("access", f"{UNKNOWN}.{text}", item, f"{name}({text!r})")
                shown.append(item)
        return shown

    def _patched_together(self, node: ast.Call, owner: ast.expr, scope: Scope) -> list[ast.expr]:
        """`patch.multiple("pkg.mod", name=DEFAULT)`."""
        for keyword in node.keywords:
            if keyword.arg in self._names:
                self._member("patch", owner, keyword.arg or "", keyword, scope)
        return []

    def _member(self, kind: str, owner: ast.expr, name: str, place: ast.AST, scope: Scope) -> None:
        if isinstance(owner, ast.Constant) and isinstance(owner.value, str):
            owners, shown = [owner.value], repr(owner.value)
        else:
            owners, shown = self._paths(owner, scope) or [UNKNOWN], _spelling(owner)
        for path in owners:
            function = _spelling(place.func) if isinstance(place, ast.Call) else "patch.multiple"
            self._use(kind, f"{path}.{name}", place, f"{function}({shown}, {name!r})")

    def _string(self, node: ast.Constant, scope: Scope, context: str) -> None:
        text = str(node.value)
        if not any(name in text for name in self._names):
            return
        if context == "annotation":
            parsed = parse_annotation(node)
            if parsed is not None:
                self._visit(parsed, scope, "annotation")
                return
        kind = "docs" if id(node) in self._docstrings else "string"
        self._tokens(node, text, kind)
        for match in _FIELD.finditer(text):
            if kind == "string" and self._matters(match[1]):
                self._use("access", UNKNOWN + match[1], node, repr(match.group() + "}"))
        for path, start in imported_in(text):
            if path.rpartition(".")[2] in self._names:
                line = node.lineno + text.count("\n", 0, start)
                self.uses.append([kind, path, line, node.col_offset, self._function, _shorten(repr(path)), None])

    def _tokens(self, node: ast.Constant, text: str, kind: str) -> None:
        for match in TOKEN.finditer(text):
            token = match.group()
            parts = re.split(r"[.:]", token)
            if self._names.isdisjoint(parts):
                continue
            whole = token == text.strip().strip(".:")  # `f"{module}.name"` leaves `.name`
            if len(parts) > 1 or whole:
                path = ".".join(parts) if len(parts) > 1 else "?." + token
                line = node.lineno + text.count("\n", 0, match.start())
                self.uses.append(
                    [kind, path, line, node.col_offset, self._function, _shorten(repr(token)), whole]
                )

    def _note_docstring(self, node: ast.Module | Function | ast.ClassDef) -> None:
        first = node.body[0] if node.body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            self._docstrings.add(id(first.value))

    def _matters(self, path: str) -> bool:
        return not self._names.isdisjoint(path.replace("()", "").replace(":", ".").split("."))

    def _use(self, kind: str, path: str, node: ast.AST, expression: str, detail: Any = None) -> None:
        line, column = _place(node)
        if kind == "import" and self._conditional:
            kind = "import?" + self._conditional[-1]
        self.uses.append([kind, path, line, column, self._function, _shorten(expression), detail])


def _continues(decorator: ast.expr, name: str) -> bool:
    """Whether it is the `@name.setter` of a property `name`: more of the definition, and no use of it."""
    return (
        isinstance(decorator, ast.Attribute)
        and decorator.attr in ACCESSORS
        and isinstance(decorator.value, ast.Name)
        and decorator.value.id == name
    )


def _catches_import(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(
        last_name(item) in {"ImportError", "ModuleNotFoundError", "Exception", "AttributeError"}
        for item in types
    )


def _passed(node: ast.Call) -> list[Any]:
    """What a call passes: the number of positional arguments, then the keywords, `*` and `**` among them."""
    passed: list[Any] = [len(node.args), *(keyword.arg or "**" for keyword in node.keywords)]
    if any(isinstance(item, ast.Starred) for item in node.args):
        passed.append("*")
    return passed


def _place(node: ast.AST) -> tuple[int, int]:
    """Line and column; of a chain over several lines those of its last name, as a traceback has them."""
    if isinstance(node, ast.Attribute) and node.end_lineno != node.lineno and node.end_col_offset is not None:
        return node.end_lineno or node.lineno, node.end_col_offset - len(node.attr)
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0)


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
