"""One file's deprecated definitions, from its syntax tree and its comments. The code is never imported."""

from __future__ import annotations

import ast
import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import TYPE_CHECKING

from lastcall.scanning.arguments import (
    ONE_ARGUMENT,
    marked_arguments,
    named_arguments,
    says_deprecated_keyword,
)
from lastcall.scanning.confidence import always, emission_confidence, of_handler, speaks_of
from lastcall.scanning.declarations import (
    described_as_deprecated,
    describes_its_function,
    fields_meant,
    has_another_route,
)
from lastcall.scanning.emissions import (
    Emission,
    Knowledge,
    decorator_text,
    emissions_of,
    forwards_warnings,
    last_name,
    literal_text,
    module_emissions,
    parameters_of,
    required_of,
    spread_of,
)
from lastcall.scanning.finding import Evidence, Mark
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
from lastcall.scanning.tree import Unreadable
from lastcall.scanning.wording import (
    SAYS_DEPRECATED,
    SAYS_LEAVING,
    about_a_way,
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

DETECTOR = 8
"""Raise it when the same file would give other marks: old cache entries are then not used."""

_HINT = re.compile(
    rb"deprecat|legacy|obsolete|compat|shim|removedin|futurewarning|old|get_\w+_factory|todo|fixme"
    rb"|remove (?:this|before|after|in|by)\b",
    re.IGNORECASE,
)
_MENTIONS = (
    "deprecat", "legacy", "obsolete", "backward", "compat", "shim", "removed_", "removedin", "removedas",
    "futurewarning", "old", "_factory", "todo", "fixme", "will be removed",
    "no longer supported", "scheduled for removal", "remove this", "remove before", "remove after", "remove in",
    "remove by",
)  # fmt: skip
"""Without one of these words in its lines a definition is not worth a look. Some of the names it uses join them."""
_NOT_DECORATOR = re.compile(
    r"^(?:ignore|suppress|filter|expect|allow|catch|no|check|skip|without|assert)_", re.IGNORECASE
)
_ARGUMENT_DECORATOR = re.compile(
    r"deprecations$|param|kwarg|(?:^|_)args?(?:_|$|ument)|keyword|option|positional|default|behaviou?r|value",
    re.IGNORECASE,
)
_OF_DECORATOR = re.compile(r"\W*(?:the\s+)?deprecated\s+decorator\b", re.IGNORECASE)
"""A module's words about the decorator in it that is called so."""
_LATE_IMPORT = re.compile(r"^[ \t]+from[ \t]", re.MULTILINE)
_OF_OLD_NAMES = re.compile(r"renam|replac|remov|delet|alias|old|legacy|drop|warn|compat", re.IGNORECASE)
_POSITIONAL = re.compile(r"positional|keyword_?only|non_?keyword", re.IGNORECASE)
"""Decorators for arguments that stay, and shall no longer be passed by position."""
_MAKES_LOGGERS = re.compile(
    r"^[ \t]*(?:self\.|cls\.)?(\w+)(?:[ \t]*:[^=\n]+)?[ \t]*=[ \t]*(?:[\w.]+\.)?"
    r"(?:getLogger|get_logger|getChild|wrap_logger|get_task_logger|LoggerAdapter)\("
    r"|^[ \t]*from[ \t]+(?:loguru|structlog)[^\n]*\blogger[ \t]+as[ \t]+(\w+)"
)
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
_OF_MEMBERS = re.compile(r"(?:member|method|attribute|field|propert(?:y|ie)|alias|name)e?s$", re.IGNORECASE)
_KEEPS_ITS_VALUE = frozenset(("cached_property", "reify", "lazyproperty", "lazy_property", "cachedproperty"))
"""Decorators whose value lies in the instance after the first read, so that no later one could be seen."""
_PROPERTY = re.compile(r"property$|^(?:setter|getter|deleter)$", re.IGNORECASE)
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
    if not _HINT.search(data) and not any(name.encode() in data for name in told):
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
        self._mentions: list[int] = []
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
        names = list(_loggers_in(self._text, self._lines))
        categories = self._knowledge.categories | set(self._own_categories(tree.body))
        self._knowledge = replace(
            self._knowledge, aliases=aliases, loggers=frozenset(names), categories=categories
        )
        self._mentions = self._lines_that_mention()
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
        for statement in flatten(body):
            for name in declared_names(statement):
                at = statement.lineno
                text = next((item for item in strings(statement) if " " in item), name)
                self._add(name, "attribute", at, "decorator", "high", text)

    def _lines_that_mention(self) -> list[int]:
        """The numbers of the lines that hold a word or a name which may mean deprecation, in their order."""
        names = {*self._knowledge.emitters, *self._knowledge.sometimes, *self._knowledge.categories}
        names.update(self._knowledge.aliases)
        names.update(name for name, text in self._constants.items() if SAYS_LEAVING.search(text))
        text = "\n".join(self._lines).lower()
        starts = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
        found = set()
        for word in (
            *_MENTIONS,
            *(name.lower() for name in names),
        ):  # much faster than one expression for all
            at = text.find(word)
            while at >= 0:
                line = bisect_right(starts, at)
                found.add(line)
                at = text.find(word, starts[line])
        return sorted(found)

    def _own_categories(self, body: Sequence[ast.stmt]) -> Iterator[str]:
        """The warning classes of this file that mean deprecation, those that inherit from others of it too."""
        known = set(self._knowledge.categories)
        for node in flatten(body):
            if isinstance(node, ast.ClassDef):
                bases = [last_name(base) for base in node.bases]
                if any(base.endswith("DeprecationWarning") or base in known for base in bases):
                    known.add(node.name)
                    yield node.name

    def _is_silent(self, first: int, last: int) -> bool:
        """Whether no line from `first` to `last` holds such a word."""
        at = bisect_left(self._mentions, first)
        return at == len(self._mentions) or self._mentions[at] > last

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
                self._function(statement, prefix)
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
        if self._is_silent(self._remarks.first_line(node), node.end_lineno or node.lineno):
            return
        if not prefix and node.name == "__getattr__":
            self._module_getattr(node)
            return
        kind: Kind = "method" if prefix else "function"
        decorators = [last_name(_callee(item)) for item in node.decorator_list]
        if any(_PROPERTY.search(name) for name in decorators):
            kind = "attribute"
        subject = _subject(qualname, kind)
        self._decorators(node, qualname, kind, parameters_of(node))
        self._marked_arguments(node, qualname)
        if not prefix and returns_decorator(node):
            self._emitter(node.name, always=True)
            return
        found = self._own_emissions(node, prefix, decorators)
        # A method that warns for others is called by names too common to be looked for elsewhere.
        if not prefix and forwards_warnings(node, found, self._knowledge):
            self._emitter(node.name, always=always(found))
            return
        self._docstring(node, subject, "class" if subject != qualname else kind, node.lineno, qualname)
        # A helper speaks of others; `warn_loudly` that says "warn_loudly is deprecated" is none.
        if HELPER_NAME.search(node.name) and not speaks_of(found, node.name):
            if not prefix and any(item.kind == "warning" and item.strong for item in found):
                self._emitter(node.name, always=always(found))
            return
        self._emissions(
            found,
            subject,
            "class" if subject != qualname else kind,
            node.lineno,
            qualname,
            required_of(node),
        )
        self._comments(node, subject, "class" if subject != qualname else kind)
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
                    self._decorators(item, f"{qualname}.{item.name}", "method", parameters_of(item))
            return
        self._decorators(node, qualname, "class", frozenset())
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

    def _decorators(
        self, node: Function | ast.ClassDef, qualname: str, kind: Kind, parameters: frozenset[str]
    ) -> None:
        is_overload = any(last_name(item) == "overload" for item in node.decorator_list)
        for decorator in node.decorator_list:
            name = self._knowledge.name_of(_callee(decorator))
            known = name in self._knowledge.emitters or name in self._knowledge.sometimes
            if not known and isinstance(decorator, ast.Call) and says_deprecated_keyword(decorator):
                one_of_many = has_another_route(decorator, node.decorator_list)
                sure: Confidence = "low" if one_of_many else "high"
                self._add(qualname, kind, node.lineno, "decorator", sure, "deprecated=", decorator.lineno)
                continue
            if not known and isinstance(node, ast.ClassDef) and _holds_deprecated_keyword(decorator):
                self._add(qualname, kind, node.lineno, "decorator", "medium", "deprecated=", decorator.lineno)
                continue
            if not known and (not DECORATOR.search(name) or _NOT_DECORATOR.search(name)):
                words = described_as_deprecated(decorator, qualname, self._constants)
                if words and describes_its_function(decorator):
                    self._add(qualname, kind, node.lineno, "docstring", "medium", words, decorator.lineno)
                continue
            text = decorator_text(decorator, self._constants) or name
            if isinstance(node, ast.ClassDef) and _OF_MEMBERS.search(name):
                self._add(qualname, kind, node.lineno, "decorator", "low", text, decorator.lineno)
            elif _ARGUMENT_DECORATOR.search(name):
                self._argument_decorator(decorator, node, qualname, parameters, text)
            else:
                # One deprecated overload leaves the others as they are.
                guessed = known and not DECORATOR.search(name)  # by what it does, not by what it is called
                unsure = is_overload or (guessed and not SAYS_DEPRECATED.search(text)) or about_a_way(text)
                confidence: Confidence = "medium" if unsure else "high"
                self._add(qualname, kind, node.lineno, "decorator", confidence, text, decorator.lineno)

    def _argument_decorator(
        self,
        decorator: ast.expr,
        node: Function | ast.ClassDef,
        qualname: str,
        parameters: frozenset[str],
        text: str,
    ) -> None:
        callee = self._knowledge.name_of(_callee(decorator))
        # By what it does alone: which of the names that it is told are the old ones only its code knows.
        unsaid = not any(sign.search(callee) for sign in (DECORATOR, _OF_OLD_NAMES, ONE_ARGUMENT))
        names = [] if unsaid or _POSITIONAL.search(callee) else named_arguments(decorator, parameters)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names = [name for name in names if name not in spread_of(node)]
        for name in names:
            self._add(
                f"{qualname}({name}=)", "parameter", node.lineno, "decorator", "high", text, decorator.lineno
            )
        if not names:
            kind: Kind = (
                "class" if isinstance(node, ast.ClassDef) else "method" if "." in qualname else "function"
            )
            self._add(qualname, kind, node.lineno, "decorator", "low", text, decorator.lineno)

    def _marked_arguments(self, node: Function, qualname: str) -> None:
        for name, call in marked_arguments(node):
            text = literal_text(call, self._constants) or "deprecated="
            self._add(
                f"{qualname}({name}=)", "parameter", node.lineno, "decorator", "medium", text, call.lineno
            )

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
        value = node.value
        end = node.end_lineno or node.lineno
        if isinstance(value, ast.Call):
            callee = value.func.func if isinstance(value.func, ast.Call) else value.func
            name = self._knowledge.name_of(callee)
            if says_deprecated_keyword(value) or (
                DECORATOR.search(name)
                and not _NOT_DECORATOR.search(name)
                and not name.endswith(("Warning", "Error"))
                and (not name.startswith("Deprecat") or _MACHINERY.search(name))  # else it describes another
            ):
                text = literal_text(value, self._constants) or name
                owner, _, own = qualname.rpartition(".")
                fields = fields_meant(own, value) if owner else None
                if fields is not None:
                    self._fields(fields, owner, node.lineno, text)
                    return
                self._add(qualname, "attribute", node.lineno, "decorator", "medium", text)
            words = described_as_deprecated(value, qualname, self._constants)
            if words:
                self._add(qualname, "attribute", node.lineno, "docstring", "medium", words)
        above, text = self._remarks.above(node.lineno)
        if self._is_silent(above - 1, end):
            return
        made = isinstance(value, (ast.Name, ast.Attribute, ast.Call))
        for at, words in ((above, text), (end, self._remarks.trailing(end))):
            confidence = comment_says(words, qualname) if words else None
            if confidence == "high" or (confidence and made):
                level: Confidence = "low" if confidence == "low" else "medium"
                self._add(qualname, "attribute", node.lineno, "comment", level, words, at)

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
                text = item.text.replace("{...}", name, 1)
                text = text.replace("{...}", instead, 1) if instead else text
                self._add(name, "attribute", node.lineno, "warning", "medium", text or name, item.line)


def _loggers_in(text: str, lines: Sequence[str]) -> Iterator[str]:
    """The names that a file gives to what it gets for a logger."""
    if "ogger" in text or "getChild" in text:
        for line in lines:
            found = _MAKES_LOGGERS.match(line) if "ogger" in line or "getChild" in line else None
            if found:
                yield found[1] or found[2]


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


def _holds_deprecated_keyword(decorator: ast.expr) -> bool:
    """`@method_decorator(name="get", decorator=schema(deprecated=True))`, of one method of the class."""
    values = [item.value for item in decorator.keywords] if isinstance(decorator, ast.Call) else []
    return any(isinstance(item, ast.Call) and says_deprecated_keyword(item) for item in values)


def _callee(decorator: ast.expr) -> ast.expr:
    while isinstance(decorator, ast.Call):
        decorator = decorator.func
    return decorator


__all__ = ["DETECTOR", "FileMarks", "Unreadable", "decode", "detect", "parse"]
