"""One file's deprecated definitions, from its syntax tree and its comments. The code is never imported."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lastcall.scanning.argument_docs import argument_is_deprecated
from lastcall.scanning.arguments import marked_arguments, says_deprecated_keyword
from lastcall.scanning.confidence import always, emission_confidence, of_handler, speaks_of
from lastcall.scanning.declarations import described_as_deprecated, fields_meant, has_another_route
from lastcall.scanning.decorators import NOT_DECORATOR, callee, said_by
from lastcall.scanning.emissions import Emission, Knowledge, emissions_of, forwards_warnings, module_emissions
from lastcall.scanning.finding import Evidence, Mark
from lastcall.scanning.mentions import Mentions, loggers_in, may_mention
from lastcall.scanning.outline import (
    DECORATOR,
    HELPER_NAME,
    compared_names,
    declared_names,
    flatten,
    imports_of,
    looked_up_elsewhere,
    returns_decorator,
    string_collections,
    string_constants,
    strings,
    top_level,
)
from lastcall.scanning.remarks import Remarks
from lastcall.scanning.source_text import decode, parse
from lastcall.scanning.syntax import last_name, literal_text, parameters_of, required_of, spread_of
from lastcall.scanning.tree import Unreadable
from lastcall.scanning.wording import (
    SAYS_LEAVING,
    about_value,
    argument_leaves,
    comment_says,
    docstring_says,
    names_itself,
    one_line,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lastcall.evidence import Kind
    from lastcall.scanning.finding import Confidence, EvidenceKind

    Function = ast.FunctionDef | ast.AsyncFunctionDef

DETECTOR = 9
"""Raise it when the same file would give other marks: old cache entries are then not used."""

_OF_DECORATOR = re.compile(r"\W*(?:the\s+)?deprecated\s+decorator\b", re.IGNORECASE)
"""A module's words about the decorator in it that is called so."""
_LATE_IMPORT = re.compile(r"^[ \t]+from[ \t]", re.MULTILINE)
_NAME = re.compile(
    r"^_*get_\w+_factory$|^_*(?:legacy|old|compat|deprecated|obsolete)_|_(?:legacy|compat|shim|deprecated|old)$"
    r"|^_*(?:Legacy|Deprecated|Obsolete|Old(?=[A-Z]))|(?:Legacy|Compat|Shim|Deprecated)$"
)
_MACHINERY = re.compile(
    r"^_*Deprecat(?:ion|e$|ed$|ed\w*(?:Attribute|Property|Method|Alias|Class|Dict|List|Descriptor|Param\w*|Name|"
    r"Function|Module|Option|Import|Meta\w*|Mixin|Wrapper|Proxy)$)"
)
"""Classes for deprecating other things."""
_FOR_OTHERS = frozenset(("__get__", "__set__", "__delete__", "__getattribute__", "__setattr__"))
_WRITES = frozenset(("setter", "deleter"))
_KEEPS_ITS_VALUE = frozenset(("cached_property", "reify", "lazyproperty", "lazy_property", "cachedproperty"))
"""Decorators whose value lies in the instance after the first read, so that no later one could be seen."""
_PROPERTY = re.compile(r"property$|^(?:setter|getter|deleter)$", re.IGNORECASE)
_HOLES = re.compile(r"\{\.\.\.\}(\.\{\.\.\.\})?")
_ACTS = (ast.Expr, ast.Return, ast.Raise)
_SHORTEST_EMITTER = 6


@dataclass(slots=True)
class FileMarks:
    """What one file contributes to discovery."""

    marks: list[Mark] = field(default_factory=list)
    emitters: list[str] = field(default_factory=list)
    """Functions of this file that warn for others, and are not recognised by their name alone."""
    sometimes: list[str] = field(default_factory=list)
    """The same, but they do not warn each time they are called."""
    categories: list[str] = field(default_factory=list)
    """Warning classes of this file that mean deprecation, and are not recognised by their name alone."""
    definitions: list[str] = field(default_factory=list)
    """Qualified names defined here: what a replacement may refer to. In a file without marks those of the
    module itself only."""
    imports: dict[str, str] = field(default_factory=dict)
    """In a file with marks: what its `from` imports bind, as `name: [dots]module:name`."""


def detect(data: bytes, knowledge: Knowledge) -> FileMarks:
    """The deprecated definitions of one file. Raises Unreadable if it cannot be parsed."""
    text = decode(data)
    tree = parse(text)
    told = (*knowledge.emitters, *knowledge.sometimes, *knowledge.categories)
    if not may_mention(data, told):
        return FileMarks(definitions=top_level(tree.body))
    try:
        return _Detector(text, knowledge).run(tree)
    except RecursionError:
        raise Unreadable("nested too deeply") from None


class _Detector:
    """Walks one module. Definitions inside functions are left out: nothing outside could call them."""

    def __init__(self, text: str, knowledge: Knowledge) -> None:
        # Not `splitlines`, which counts form feeds and the like as ends of lines; the parser does not.
        self._lines = re.split(r"\r\n|\r|\n", text)
        self._remarks = Remarks(self._lines)
        self._text = text
        self._mentions = Mentions((), ())
        self._knowledge = knowledge
        self._constants: dict[str, str] = {}
        self._keys: dict[str, dict[str, str]] = {}
        self._marks: dict[str, Mark] = {}
        self._places: dict[str, int] = {}
        """The line of each name that an assignment binds."""
        self._result = FileMarks()

    def run(self, tree: ast.Module) -> FileMarks:
        self._constants = string_constants(tree.body)
        self._keys = string_collections(tree.body)
        aliases = imports_of(flatten(tree.body))[1]
        names = loggers_in(self._text, self._lines)
        categories = self._knowledge.categories | set(self._own_categories(tree.body))
        self._knowledge = replace(
            self._knowledge, aliases=aliases, loggers=frozenset(names), categories=categories
        )
        self._mentions = Mentions(self._lines, self._names_that_mention())
        self._docstring(tree, "", "module", 1)
        found = module_emissions(
            [statement for statement in tree.body if not declared_names(statement)],
            self._knowledge,
            self._constants,
        )
        self._emissions(found, "", "module", 1)
        self._body(tree.body, "")
        self._declared(tree.body)
        self._result.marks = sorted(self._marks.values(), key=lambda mark: (mark.line, mark.qualname))
        if self._result.marks:
            late = _LATE_IMPORT.search(self._text) is not None
            self._result.imports = imports_of(ast.walk(tree) if late else flatten(tree.body))[0]
        else:
            self._result.definitions = top_level(tree.body)
        return self._result

    def _declared(self, body: Sequence[ast.stmt]) -> None:
        """`deprecated("name", "use other")` as a statement of its own: a name of the module."""
        defined: dict[str, tuple[Kind, int]] = {}
        for statement in flatten(body):
            if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                kind: Kind = "class" if isinstance(statement, ast.ClassDef) else "function"
                defined[statement.name] = kind, statement.lineno
            for name in declared_names(statement):
                at = statement.lineno
                written = [self._constants.get(getattr(item, "id", ""), "") for item in ast.walk(statement)]
                text = next((item for item in (*strings(statement), *written) if " " in item), name)
                self._add(name, *defined.get(name, ("attribute", at)), "decorator", "high", text, at)

    def _names_that_mention(self) -> set[str]:
        """The names here that may mean deprecation, whatever they say."""
        names = {*self._knowledge.emitters, *self._knowledge.sometimes, *self._knowledge.categories}
        names.update(self._knowledge.aliases)
        names.update(name for name, text in self._constants.items() if SAYS_LEAVING.search(text))
        return names

    def _own_categories(self, body: Sequence[ast.stmt]) -> Iterator[str]:
        """The warning classes of this file that mean deprecation, those that inherit from others of it too."""
        known = set(self._knowledge.categories)
        for node in flatten(body):
            if isinstance(node, ast.ClassDef):
                bases = [last_name(base) for base in node.bases]
                if any(base.endswith("DeprecationWarning") or base in known for base in bases):
                    known.add(node.name)
                    yield node.name

    def _add(  # noqa: PLR0917 - the fields of an evidence, in their order
        self,
        qualname: str,
        kind: Kind,
        line: int,
        evidence: EvidenceKind,
        confidence: Confidence,
        text: str,
        at: int | None = None,
    ) -> None:
        mark = self._marks.setdefault(qualname, Mark(qualname, kind, line))
        item = Evidence(evidence, line if at is None else at, confidence, one_line(text))
        if item not in mark.evidence:
            mark.evidence.append(item)

    def _body(self, body: Sequence[ast.stmt], prefix: str) -> None:
        before: ast.stmt | None = None
        for statement in flatten(body):
            if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
                told = len(self._marks)
                self._function(statement, prefix)
                for mark in list(self._marks.values())[told:]:
                    if "(" in mark.qualname:
                        mark.arguments = sorted(parameters_of(statement))
            elif isinstance(statement, ast.ClassDef):
                self._class(statement, prefix)
            elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
                self._assignment(statement, prefix)
            elif isinstance(before, (ast.Assign, ast.AnnAssign)) and isinstance(statement, ast.Expr):
                self._attribute_docstring(before, statement.value, prefix)
            before = statement

    def _function(self, node: Function, prefix: str) -> None:
        qualname = prefix + node.name
        self._result.definitions.append(qualname)
        if self._mentions.none_in(self._remarks.first_line(node), node.end_lineno or node.lineno):
            return
        if not prefix and node.name == "__getattr__":
            self._module_getattr(node)
            return
        decorators = [last_name(callee(item)) for item in node.decorator_list]
        kind = _kind_of(prefix, decorators)
        self._decorators(node, qualname, kind)
        self._marked_arguments(node, qualname)
        self._commented_arguments(node, qualname)
        if not prefix and returns_decorator(node):
            self._emitter(node.name, always=True)
            return
        found = self._own_emissions(node, prefix, decorators)
        # A method that warns for others is called by names too common to be looked for elsewhere.
        if not prefix and forwards_warnings(node, found, self._knowledge):
            self._emitter(node.name, always=always(found))
            return
        subject = _subject(qualname, kind)
        of_subject: Kind = "class" if subject != qualname else kind
        self._docstring(node, subject, of_subject, node.lineno, qualname)
        # A helper speaks of others; `warn_loudly` that says "warn_loudly is deprecated" is none.
        if HELPER_NAME.search(node.name) and not speaks_of(found, node.name):
            if not prefix and any(item.kind == "warning" and item.strong for item in found):
                self._emitter(node.name, always=always(found))
            return
        self._emissions(found, subject, of_subject, node.lineno, qualname, required_of(node))
        self._comments(node, subject, of_subject)
        self._name(node, qualname, kind)
        if qualname in self._marks and _KEEPS_ITS_VALUE.intersection(decorators):
            self._marks[qualname].watchable = False

    def _own_emissions(self, node: Function, prefix: str, decorators: list[str]) -> list[Emission]:
        if prefix and node.name in _FOR_OTHERS:
            return []
        found = emissions_of(node, self._knowledge, self._constants)
        # To write to a property, or to inherit, may be all that is deprecated.
        if _WRITES.intersection(decorators):
            return [replace(item, strong=False) for item in found]
        if node.name == "__init_subclass__":
            return [replace(item, sure=False) for item in found]
        return of_handler(found, prefix + node.name, decorators)

    def _emitter(self, name: str, *, always: bool) -> None:
        # Names that say so themselves are recognised anyway; short ones would match too much elsewhere.
        is_rare = not DECORATOR.search(name) or "_" in name.strip("_")
        if len(name) >= _SHORTEST_EMITTER and (not always or is_rare):
            (self._result.emitters if always else self._result.sometimes).append(name)

    def _class(self, node: ast.ClassDef, prefix: str) -> None:
        qualname = prefix + node.name
        self._result.definitions.append(qualname)
        bases = [last_name(base) for base in node.bases]
        if node.name in self._knowledge.categories or any(
            base.endswith("DeprecationWarning") for base in bases
        ):
            if "deprecat" not in node.name.lower() and not node.name.startswith("RemovedIn"):
                self._result.categories.append(node.name)
            return
        if _MACHINERY.search(node.name):
            for item in flatten(node.body):  # its own methods may yet be marked, if only by a decorator
                if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    self._decorators(item, f"{qualname}.{item.name}", "method")
            return
        self._decorators(node, qualname, "class")
        if not HELPER_NAME.search(node.name):
            self._docstring(node, qualname, "class", node.lineno)
            self._comments(node, qualname, "class")
            self._name(node, qualname, "class")
        outer = self._knowledge
        warning, wavering = self._warning_methods(node)
        self._knowledge = replace(outer, methods=warning, wavering=wavering)
        self._body(node.body, qualname + ".")
        self._knowledge = outer

    def _warning_methods(self, node: ast.ClassDef) -> tuple[frozenset[str], frozenset[str]]:
        """(the methods by which others of their class warn each time, those that do all under conditions)"""
        warning, wavering = set(), set()
        for item in flatten(node.body):
            if not isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)) or not DECORATOR.search(item.name):
                continue
            found = [one for one in emissions_of(item, self._knowledge, self._constants) if one.strong]
            if any(one.kind == "warning" and not one.conditions for one in found):
                warning.add(item.name)
            elif not any(isinstance(one, _ACTS) for one in item.body[ast.get_docstring(item) is not None :]):
                wavering.add(item.name)
        return frozenset(warning), frozenset(wavering)

    def _name(self, node: Function | ast.ClassDef, qualname: str, kind: Kind) -> None:
        if _NAME.search(node.name):
            self._add(qualname, kind, node.lineno, "name", "low", node.name)

    def _decorators(self, node: Function | ast.ClassDef, qualname: str, kind: Kind) -> None:
        for decorator in node.decorator_list:
            said = said_by(decorator, node, qualname, self._knowledge, self._constants)
            if said is None:
                continue
            line, at, text = node.lineno, decorator.lineno, said.text
            for name in said.names:
                self._add(f"{qualname}({name}=)", "parameter", line, said.evidence, said.confidence, text, at)
            if not said.names:
                what = _callable_kind(node, qualname) if said.of_arguments else kind
                self._add(qualname, what, line, said.evidence, said.confidence, text, at)

    def _marked_arguments(self, node: Function, qualname: str) -> None:
        for name, at in marked_arguments(node):
            if isinstance(at, ast.Call):
                text = literal_text(at, self._constants) or "deprecated="
            else:
                text = f"{name}={ast.unparse(at)}"
            self._add(f"{qualname}({name}=)", "parameter", node.lineno, "decorator", "medium", text, at.lineno)

    def _commented_arguments(self, node: Function, qualname: str) -> None:
        """`mode=None,  # deprecated` on a line of its own in the signature."""
        header = self._remarks.header_end(node)
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        lines = [item.lineno for item in arguments]
        for item in arguments:
            at = item.lineno
            if lines.count(at) > 1 or not node.lineno < at < header:
                continue
            text = self._remarks.trailing(at)
            if text and argument_is_deprecated(item.arg, "", text) and not about_value(text, item.arg):
                self._add(f"{qualname}({item.arg}=)", "parameter", node.lineno, "comment", "medium", text, at)

    def _docstring(
        self, node: ast.Module | Function | ast.ClassDef, qualname: str, kind: Kind, line: int, own: str = ""
    ) -> None:
        doc = ast.get_docstring(node, clean=False)
        if not doc:
            return
        start = node.body[0].lineno
        helper = bool(own) and HELPER_NAME.search(own.rsplit(".", 1)[-1]) is not None
        says = docstring_says(doc, qualname)
        takes = _may_take(node) if says else None
        spread = spread_of(node) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) else ()
        for said in says:
            if said.parameter and said.parameter in spread:
                continue
            if isinstance(node, ast.Module) and _OF_DECORATOR.match(said.text):
                continue
            if said.parameter and takes is not None and said.parameter not in takes:
                continue
            if said.parameter:
                name = f"{own or qualname}({said.parameter}=)"
                self._add(
                    name, "parameter", line, "docstring", said.confidence, said.text, start + said.offset
                )
            elif not helper:
                self._add(qualname, kind, line, "docstring", said.confidence, said.text, start + said.offset)

    def _emissions(  # noqa: PLR0917 - the function's fields, in their order
        self,
        found: list[Emission],
        qualname: str,
        kind: Kind,
        line: int,
        own: str = "",
        required: frozenset[str] = frozenset(),
    ) -> None:
        for item in found:
            if item.conditions and (kind == "module" or (item.kind == "log" and not item.strong)):
                continue  # that it sometimes logs of something legacy says nothing of the callable
            text = item.text or "deprecation warning"
            confidence = emission_confidence(item, qualname)
            for name in item.passed:
                # What has to be passed each time is another function's argument, or is about its value.
                leaves = name not in required and (item.strong or argument_leaves(item.text))
                sure: Confidence = "medium" if leaves else "low"
                self._add(f"{own or qualname}({name}=)", "parameter", line, item.kind, sure, text, item.line)
                confidence = confidence if names_itself(item.text, qualname) else "low"
            self._add(qualname, kind, line, item.kind, confidence, text, item.line)

    def _comments(self, node: Function | ast.ClassDef, qualname: str, kind: Kind) -> None:
        header = self._remarks.header_end(node)
        # Above the one deprecated route of several, words are about that route.
        of_route = bool(node.decorator_list) and has_another_route(node.decorator_list[0], node.decorator_list)
        for at, text in self._remarks.at_definition(node):
            if of_route and at < node.lineno:
                continue
            confidence = comment_says(text, qualname, inside=at > header) if text else None
            if confidence is not None:
                self._add(qualname, kind, node.lineno, "comment", confidence, text, at)

    def _assignment(self, node: ast.Assign | ast.AnnAssign, prefix: str) -> None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            if isinstance(target, ast.Name):
                self._result.definitions.append(prefix + target.id)
                self._places.setdefault(prefix + target.id, node.lineno)
                self._attribute(node, prefix + target.id)
                self._watchable(node, prefix + target.id)

    def _attribute(self, node: ast.Assign | ast.AnnAssign, qualname: str) -> None:
        """A module's or class's name made by a deprecating call, or with a comment that calls it
        deprecated."""
        if isinstance(node.value, ast.Call) and not self._made_by(node.value, qualname, node.lineno):
            return
        end = node.end_lineno or node.lineno
        above, text = self._remarks.above(node.lineno)
        if self._mentions.none_in(above - 1, end):
            return
        made = isinstance(node.value, (ast.Name, ast.Attribute, ast.Call))
        for at, words in ((above, text), (end, self._remarks.trailing(end))):
            confidence = comment_says(words, qualname) if words else None
            if confidence == "high" or (confidence and made):
                level: Confidence = "low" if confidence == "low" else "medium"
                self._add(qualname, "attribute", node.lineno, "comment", level, words, at)

    def _made_by(self, call: ast.Call, qualname: str, line: int) -> bool:
        """What the call says whose value gets the name. False if it speaks of other names, and that is all."""
        name = self._knowledge.name_of(call.func.func if isinstance(call.func, ast.Call) else call.func)
        if says_deprecated_keyword(call) or (
            DECORATOR.search(name)
            and not NOT_DECORATOR.search(name)
            and not name.endswith(("Warning", "Error"))
            and (not name.startswith("Deprecat") or _MACHINERY.search(name))  # else it describes another
        ):
            text = literal_text(call, self._constants) or name
            owner, _, own = qualname.rpartition(".")
            fields = fields_meant(own, call) if owner else None
            if fields is not None:
                self._fields(fields, owner, line, text)
                return False
            self._add(qualname, "attribute", line, "decorator", "medium", text)
        words = described_as_deprecated(call, qualname, self._constants)
        if words:
            self._add(qualname, "attribute", line, "docstring", "medium", words)
        return True

    def _fields(self, names: Sequence[str], owner: str, line: int, text: str) -> None:
        """Fields of a class that a statement in its body calls deprecated."""
        for name in names:
            qualname = f"{owner}.{name}"
            if qualname in self._places:
                self._add(qualname, "attribute", self._places[qualname], "decorator", "medium", text, line)
                self._marks[qualname].watchable = False

    def _watchable(self, node: ast.Assign | ast.AnnAssign, qualname: str) -> None:
        if "." in qualname and qualname in self._marks:
            is_other_name = isinstance(node.value, (ast.Name, ast.Attribute))
            is_property = isinstance(node.value, ast.Call) and _PROPERTY.search(last_name(node.value.func))
            self._marks[qualname].watchable = bool(is_other_name or is_property)

    def _attribute_docstring(self, node: ast.Assign | ast.AnnAssign, doc: ast.expr, prefix: str) -> None:
        """The string below an assignment, which documentation tools take for the name's docstring."""
        if not isinstance(doc, ast.Constant) or not isinstance(doc.value, str):
            return
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if isinstance(target, ast.Name):
                name = prefix + target.id
                for said in docstring_says(doc.value, name):
                    if not said.parameter:
                        at = doc.lineno + said.offset
                        self._add(name, "attribute", node.lineno, "docstring", said.confidence, said.text, at)
                self._watchable(node, name)

    def _module_getattr(self, node: Function) -> None:
        """PEP 562: names that a module's `__getattr__` still answers for, with a warning."""
        argument = node.args.args[0].arg if node.args.args else ""
        for item in emissions_of(node, self._knowledge, self._constants):
            tests = [test for test in item.conditions if isinstance(test, ast.expr)]
            # those that it warns of; else, where a table's answer decides, all that it knows
            names = compared_names(tests, argument, self._keys)
            if not names and not looked_up_elsewhere(tests, argument):
                names = compared_names([node], argument, self._keys)
            for name, instead in names.items() if item.strong else ():
                text = _filled(item.text, name, instead)
                self._add(name, "attribute", node.lineno, "warning", "medium", text or name, item.line)


def _filled(text: str, name: str, instead: str) -> str:
    """The words of a module's `__getattr__` about one of its names: `{__name__}.{name} is deprecated`."""
    text = _HOLES.sub(lambda _: name, text, count=1)
    if not instead:
        return text
    return _HOLES.sub(lambda found: f"{instead}.{name}" if found[1] else instead, text, count=1)


def _subject(qualname: str, kind: Kind) -> str:
    """The class, for what happens in its constructor: constructing it is what is deprecated."""
    owner, _, name = qualname.rpartition(".")
    return (
        owner
        if kind == "method" and name in {"__init__", "__new__", "__post_init__", "__init_subclass__"}
        else qualname
    )


def _may_take(node: ast.Module | Function | ast.ClassDef) -> frozenset[str] | None:
    """The arguments that a docstring's words can be about; None where they may be any."""
    if isinstance(node, ast.Module):
        return frozenset()
    if isinstance(node, ast.ClassDef):
        return None
    return None if node.args.kwarg else parameters_of(node)


def _kind_of(prefix: str, decorators: Sequence[str]) -> Kind:
    """What a function is that lies in the class `prefix` stands for, if in any."""
    if any(_PROPERTY.search(name) for name in decorators):
        return "attribute"
    return "method" if prefix else "function"


def _callable_kind(node: Function | ast.ClassDef, qualname: str) -> Kind:
    if isinstance(node, ast.ClassDef):
        return "class"
    return "method" if "." in qualname else "function"


__all__ = ["DETECTOR", "FileMarks", "Unreadable", "decode", "detect", "parse"]
