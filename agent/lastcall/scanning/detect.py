"""One file's deprecated definitions, from its syntax tree and its comments. The code is never imported."""

from __future__ import annotations

import ast
import io
import re
import tokenize
import warnings
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING

from lastcall.scanning.emissions import (
    Emission,
    Knowledge,
    base_name,
    emissions_of,
    forwards_warnings,
    last_name,
    literal_text,
    module_emissions,
    parameter_in,
    parameters_of,
)
from lastcall.scanning.finding import Evidence, Mark
from lastcall.scanning.tree import MAX_BYTES, MAX_LINES
from lastcall.scanning.wording import (
    SAYS_DEPRECATED,
    SAYS_LEAVING,
    comment_says,
    docstring_says,
    one_line,
    sentence_says,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lastcall.evidence import Kind
    from lastcall.scanning.finding import Confidence, EvidenceKind

    Function = ast.FunctionDef | ast.AsyncFunctionDef

DETECTOR = 3
"""Raise it when the same file would give other marks: old cache entries are then not used."""

_HINT = re.compile(
    rb"deprecat|legacy|obsolete|compat|shim|removedin|futurewarning|old|get_\w+_factory", re.IGNORECASE
)
_MENTIONS = (
    "deprecat", "legacy", "obsolete", "backward", "compat", "shim", "removed_", "removedin", "removedas",
    "futurewarning", "old", "_factory", "will be removed", "no longer supported", "scheduled for removal",
)  # fmt: skip
"""Without one of these words in its lines a definition is not worth a look. Some of the names it uses join them."""
_DECORATOR = re.compile(r"deprecat(?!ors)|obsolete|^removed_", re.IGNORECASE)
_NOT_DECORATOR = re.compile(
    r"^(?:ignore|suppress|filter|expect|allow|catch|no|check|skip|without|assert)_", re.IGNORECASE
)
_ARGUMENT_DECORATOR = re.compile(
    r"deprecations$|param|kwarg|(?:^|_)args?(?:_|$|ument)|keyword|option|positional", re.IGNORECASE
)
_HELPER_NAME = re.compile(
    r"warn|^_*deprecat(?:e|ed|ion)?$|^_*deprecat(?:e|ion|or)s?_|"
    r"^_*(?:is|has|mark|get|set|add|list|check|handle|find|show|emit|raise|log|print|suppress|ignore|issue|"
    r"report|with|test)s?_(?:\w+_)?(?:deprecat|obsolete)",
    re.IGNORECASE,
)
_NAME = re.compile(
    r"^_*get_\w+_factory$|^_*(?:legacy|old|compat|deprecated|obsolete)_|_(?:legacy|compat|shim|deprecated|old)$"
    r"|^_*(?:Legacy|Deprecated|Obsolete|Old(?=[A-Z]))|(?:Legacy|Compat|Shim|Deprecated)$"
)
_PROPERTY = re.compile(r"property$|^(?:setter|getter|deleter)$", re.IGNORECASE)
_DEFINES = re.compile(r"\s*(?:@|def\b|class\b|async\s+def\b)")
_SHORTEST_EMITTER = 6
_KNOWN_KEYWORDS = frozenset(
    [
        "since",
        "version",
        "message",
        "alternative",
        "name",
        "pending",
        "removal",
        "addendum",
        "obj_type",
        "category",
        "stacklevel",
        "reason",
        "action",
        "add_deprecation_to_docstring",
        "enable_warnings",
        "warning",
        "details",
        "deprecated_in",
        "removed_in",
        "current_version",
        "mapping",
        "klass",
        "offset",
    ]
)


class Unreadable(Exception):  # noqa: N818 - says what happened to the file, which is no error of ours
    """This file cannot be read as Python. The message says why, in a person's words."""


@dataclass(slots=True)
class FileMarks:
    """What one file contributes to discovery."""

    marks: list[Mark] = field(default_factory=list)
    emitters: list[str] = field(default_factory=list)
    """Functions of this file that warn for others, and are not recognised by their name alone."""
    categories: list[str] = field(default_factory=list)
    """Warning classes of this file that mean deprecation, and are not recognised by their name alone."""
    definitions: list[str] = field(default_factory=list)
    """Qualified names defined here, if there are marks: what a replacement may refer to."""


def decode(data: bytes) -> str:
    """The text of a source file, by its coding line or byte order mark. Raises Unreadable."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Unreadable("UTF-16, which Python itself does not read")
    if b"\0" in data:
        raise Unreadable("contains null bytes, so it is not Python source")
    if len(data) > MAX_BYTES or data.count(b"\n") > MAX_LINES:
        raise Unreadable(f"generated: {data.count(b'%c' % 10):,} lines, {len(data):,} bytes")
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return data.decode(encoding)
    except SyntaxError as error:
        if "unknown encoding" in str(error):
            raise Unreadable(str(error)) from None
        raise Unreadable("not utf-8 in its first two lines, and no coding line says otherwise") from None
    except UnicodeDecodeError as error:
        raise Unreadable(
            f"not {error.encoding} at byte {error.start}, and no coding line says otherwise"
        ) from None


def parse(text: str) -> ast.Module:
    """The syntax tree of a source text. Raises Unreadable for what this interpreter cannot parse."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in other people's strings
            return ast.parse(text)
    except SyntaxError as error:
        hint = " (Python 2)" if "print" in (error.msg or "") else ""
        raise Unreadable(f"line {error.lineno or '?'}: {error.msg}{hint}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise Unreadable(f"cannot be parsed: {type(error).__name__}") from None


def detect(data: bytes, knowledge: Knowledge) -> FileMarks:
    """The deprecated definitions of one file. Raises Unreadable if it cannot be parsed."""
    text = decode(data)
    tree = parse(text)
    if not _HINT.search(data) and not any(name.encode() in data for name in knowledge.emitters):
        return FileMarks()
    try:
        return _Detector(text, knowledge).run(tree)
    except RecursionError:
        raise Unreadable("nested too deeply") from None


class _Detector:
    """Walks one module. Definitions inside functions are left out: nothing outside could call them."""

    def __init__(self, text: str, knowledge: Knowledge) -> None:
        self._lines = text.splitlines()
        self._mentions: list[int] = []
        self._knowledge = knowledge
        self._constants: dict[str, str] = {}
        self._marks: dict[str, Mark] = {}
        self._result = FileMarks()

    def run(self, tree: ast.Module) -> FileMarks:
        self._constants = _string_constants(tree.body)
        self._mentions = self._lines_that_mention()
        self._docstring(tree, "", "module", 1)
        self._emissions(
            module_emissions(tree.body, self._knowledge, self._constants), "", "module", 1, frozenset()
        )
        self._body(tree.body, "")
        self._result.marks = sorted(self._marks.values(), key=lambda mark: (mark.line, mark.qualname))
        if not self._result.marks:
            self._result.definitions = []
        return self._result

    def _lines_that_mention(self) -> list[int]:
        """The numbers of the lines that hold a word or a name which may mean deprecation, in their order."""
        names = {*self._knowledge.emitters, *self._knowledge.categories}
        names.update(name for name, text in self._constants.items() if SAYS_LEAVING.search(text))
        text = "\n".join(self._lines).lower()
        starts = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
        found = set()
        for word in (*_MENTIONS, *(name.lower() for name in names)):  # much faster than one expression for all
            at = text.find(word)
            while at >= 0:
                line = bisect_right(starts, at)
                found.add(line)
                at = text.find(word, starts[line])
        return sorted(found)

    def _is_silent(self, node: Function | ast.ClassDef) -> bool:
        """Whether neither a definition nor the comments above it hold such a word."""
        first = min([node.lineno, *(item.lineno for item in node.decorator_list)]) - 1
        while first >= 1 and not self._lines[first - 1].strip().strip("#"):
            first -= 1
        while first >= 1 and self._is_comment(first):
            first -= 1
        at = bisect_left(self._mentions, first)
        return at == len(self._mentions) or self._mentions[at] > (node.end_lineno or node.lineno)

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
        for statement in _flatten(body):
            if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
                self._function(statement, prefix)
            elif isinstance(statement, ast.ClassDef):
                self._class(statement, prefix)
            elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
                self._assignment(statement, prefix)

    def _function(self, node: Function, prefix: str) -> None:
        qualname = prefix + node.name
        self._result.definitions.append(qualname)
        if self._is_silent(node):
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
        if not prefix and _returns_decorator(node):
            self._emitter(node.name)
            return
        found = emissions_of(node, self._knowledge, self._constants)
        # A method that warns for others is called by names too common to be looked for elsewhere.
        if not prefix and forwards_warnings(node, found, self._knowledge):
            self._emitter(node.name)
            return
        self._docstring(node, subject, "class" if subject != qualname else kind, node.lineno, qualname)
        # A helper speaks of others; `warn_loudly` that says "warn_loudly is deprecated" is none.
        if _HELPER_NAME.search(node.name) and not any(node.name in item.text for item in found):
            return
        self._emissions(
            found,
            subject,
            "class" if subject != qualname else kind,
            node.lineno,
            parameters_of(node),
            qualname,
        )
        self._comments(node, subject, "class" if subject != qualname else kind)
        self._name(node, qualname, kind)

    def _emitter(self, name: str) -> None:
        # Names that say so themselves are recognised anyway; short ones would match too much elsewhere.
        if not _DECORATOR.search(name) and len(name) >= _SHORTEST_EMITTER:
            self._result.emitters.append(name)

    def _class(self, node: ast.ClassDef, prefix: str) -> None:
        qualname = prefix + node.name
        self._result.definitions.append(qualname)
        bases = [last_name(base) for base in node.bases]
        if any(base.endswith("DeprecationWarning") or base in self._knowledge.categories for base in bases):
            if "deprecat" not in node.name.lower() and not node.name.startswith("RemovedIn"):
                self._result.categories.append(node.name)
            return
        if node.name.lstrip("_").startswith("Deprecation"):
            return  # machinery for deprecating other things
        self._decorators(node, qualname, "class", frozenset())
        if not _HELPER_NAME.search(node.name):
            self._docstring(node, qualname, "class", node.lineno)
            self._comments(node, qualname, "class")
            self._name(node, qualname, "class")
        self._body(node.body, qualname + ".")

    def _name(self, node: Function | ast.ClassDef, qualname: str, kind: Kind) -> None:
        if _NAME.search(node.name):
            self._add(qualname, kind, node.lineno, "name", "low", node.name)

    def _decorators(
        self, node: Function | ast.ClassDef, qualname: str, kind: Kind, parameters: frozenset[str]
    ) -> None:
        is_overload = any(last_name(item) == "overload" for item in node.decorator_list)
        for decorator in node.decorator_list:
            callee = _callee(decorator)
            name = last_name(callee)
            known = name in self._knowledge.emitters
            if not known and (not _DECORATOR.search(name) or _NOT_DECORATOR.search(name)):
                continue
            text = literal_text(decorator, self._constants) or name
            if _ARGUMENT_DECORATOR.search(name):
                self._argument_decorator(decorator, node, qualname, parameters, text)
            else:
                # One deprecated overload leaves the others as they are.
                unsure = is_overload or (known and not SAYS_DEPRECATED.search(text))
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
        names = _named_arguments(decorator, parameters)
        for name in names:
            self._add(
                f"{qualname}({name}=)", "parameter", node.lineno, "decorator", "high", text, decorator.lineno
            )
        if not names:
            kind: Kind = (
                "class" if isinstance(node, ast.ClassDef) else "method" if "." in qualname else "function"
            )
            self._add(qualname, kind, node.lineno, "decorator", "low", text, decorator.lineno)

    def _docstring(
        self, node: ast.Module | Function | ast.ClassDef, qualname: str, kind: Kind, line: int, own: str = ""
    ) -> None:
        doc = ast.get_docstring(node, clean=False)
        if not doc:
            return
        start = node.body[0].lineno
        helper = bool(own) and _HELPER_NAME.search(own.rsplit(".", 1)[-1]) is not None
        for said in docstring_says(doc, qualname):
            if said.parameter:
                name = f"{own or qualname}({said.parameter}=)"
                self._add(
                    name, "parameter", line, "docstring", said.confidence, said.text, start + said.offset
                )
            elif not helper:
                self._add(qualname, kind, line, "docstring", said.confidence, said.text, start + said.offset)

    def _emissions(  # noqa: PLR0917 - the same
        self,
        found: list[Emission],
        qualname: str,
        kind: Kind,
        line: int,
        parameters: frozenset[str],
        own: str = "",
    ) -> None:
        for item in found:
            text = item.text or "deprecation warning"
            parameter = parameter_in(item, parameters)
            if parameter:
                name = f"{own or qualname}({parameter}=)"
                self._add(name, "parameter", line, item.kind, "medium", text, item.line)
            if kind == "module" and item.conditions:
                continue
            self._add(qualname, kind, line, item.kind, _emission_confidence(item, qualname), text, item.line)

    def _comments(self, node: Function | ast.ClassDef, qualname: str, kind: Kind) -> None:
        first = min([node.lineno, *(item.lineno for item in node.decorator_list)])
        body = node.body[0].lineno
        for at, text in self._comments_at(node, first):
            confidence = comment_says(text, qualname, inside=at >= body) if text else None
            if confidence is not None:
                self._add(qualname, kind, node.lineno, "comment", confidence, text, at)

    def _comments_at(self, node: Function | ast.ClassDef, first: int) -> Iterator[tuple[int, str]]:
        """(line, words) of the comments that belong to a definition: above it, on its line, first in its
        body."""
        yield self._block_above(first)
        body = node.body[0]
        header = self._header_end(node)
        yield header, _trailing_comment(self._lines[header - 1])
        if header != node.lineno:
            yield node.lineno, _trailing_comment(self._lines[node.lineno - 1])
        if header < body.lineno:
            yield self._block_below(header + 1)
        if isinstance(body, ast.Expr) and isinstance(body.value, ast.Constant) and len(node.body) > 1:
            yield self._block_below((body.end_lineno or body.lineno) + 1)

    def _header_end(self, node: Function | ast.ClassDef) -> int:
        """The line with the colon that ends `def ...:`, found from the last thing inside it."""
        inside = [node.lineno]
        if not isinstance(node, ast.ClassDef):
            arguments: list[ast.expr | ast.arg] = [
                *node.args.args,
                *node.args.kwonlyargs,
                *node.args.defaults,
            ]
            inside += [item.end_lineno or 0 for item in arguments]
            inside += [node.returns.end_lineno or 0] if node.returns else []
        line = max(inside)
        while line < node.body[0].lineno and not re.search(r":\s*(?:#.*)?$", self._lines[line - 1]):
            line += 1
        return line

    def _block_above(self, line: int) -> tuple[int, str]:
        end = line - 1
        if (
            end > 1
            and not self._lines[end - 1].strip()
            and not self._lines[end - 2].lstrip().startswith("#:")
        ):
            end -= 1  # a heading, with an empty line below it
        start = end
        while start >= 1 and self._is_comment(start):
            start -= 1
        return start + 1, self._words(start + 1, end + 1)

    def _block_below(self, line: int) -> tuple[int, str]:
        end = line
        while end <= len(self._lines) and not self._lines[end - 1].strip():
            end += 1
        start = end
        while end <= len(self._lines) and self._is_comment(end):
            end += 1
        if start <= len(self._lines) and self._lines[start - 1].lstrip().startswith("#:"):
            return start, ""  # a doc comment is about the name assigned below it
        if end <= len(self._lines) and _DEFINES.match(self._lines[end - 1]):
            return start, ""  # it stands at the next definition
        return start, self._words(start, end)

    def _is_comment(self, line: int) -> bool:
        return self._lines[line - 1].lstrip().startswith("#")

    def _words(self, start: int, end: int) -> str:
        return " ".join(
            self._lines[number - 1].strip().lstrip("#:! ") for number in range(start, end)
        ).strip()

    def _assignment(self, node: ast.Assign | ast.AnnAssign, prefix: str) -> None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            if isinstance(target, ast.Name):
                self._result.definitions.append(prefix + target.id)
                self._attribute(node, prefix + target.id)

    def _attribute(self, node: ast.Assign | ast.AnnAssign, qualname: str) -> None:
        """A module's or class's name made by a deprecating call, or with a comment that calls it
        deprecated."""
        value = node.value
        if isinstance(value, ast.Call):
            callee = value.func.func if isinstance(value.func, ast.Call) else value.func
            name = last_name(callee)
            if (
                _DECORATOR.search(name)
                and not _NOT_DECORATOR.search(name)
                and not name.endswith(("Warning", "Error"))
            ):
                text = literal_text(value, self._constants) or name
                self._add(qualname, "attribute", node.lineno, "decorator", "medium", text)
        if isinstance(value, (ast.Name, ast.Attribute, ast.Call)):
            end = node.end_lineno or node.lineno
            trailing = (end, _trailing_comment(self._lines[end - 1]))
            for at, text in (self._block_above(node.lineno), trailing):
                confidence = comment_says(text, qualname) if text else None
                if confidence is not None:
                    self._add(
                        qualname,
                        "attribute",
                        node.lineno,
                        "comment",
                        "medium" if confidence == "high" else "low",
                        text,
                        at,
                    )

    def _module_getattr(self, node: Function) -> None:
        """PEP 562: names that a module's `__getattr__` still answers for, with a warning."""
        found = [item for item in emissions_of(node, self._knowledge, self._constants) if item.strong]
        if not found:
            return
        for name in _compared_names(node):
            self._add(
                name, "attribute", node.lineno, "warning", "medium", found[0].text or name, found[0].line
            )


def _emission_confidence(item: Emission, qualname: str) -> Confidence:
    if item.conditions:
        return "medium" if item.strong else "low"
    if not item.strong:
        return "low"
    if item.kind == "log":
        verdict = sentence_says(item.text, qualname, first=True)
        return "medium" if verdict is None or verdict == "low" else verdict
    verdict = sentence_says(item.text, qualname, first=True) if SAYS_DEPRECATED.search(item.text) else "high"
    # A warning that every call gives is about the callable, unless its words are about an argument.
    return "medium" if verdict == "low" else "high"


def _subject(qualname: str, kind: Kind) -> str:
    """The class, for what happens in its constructor: constructing it is what is deprecated."""
    owner, _, name = qualname.rpartition(".")
    return (
        owner
        if kind == "method" and name in {"__init__", "__new__", "__post_init__", "__init_subclass__"}
        else qualname
    )


def _callee(decorator: ast.expr) -> ast.expr:
    while isinstance(decorator, ast.Call):
        decorator = decorator.func
    return decorator


def _named_arguments(decorator: ast.expr, parameters: frozenset[str]) -> list[str]:
    """The arguments that a decorator for deprecated arguments names, by keyword or by string."""
    if not isinstance(decorator, ast.Call):
        return []
    keywords = [
        item.arg
        for item in decorator.keywords
        if item.arg
        and item.arg not in _KNOWN_KEYWORDS
        and isinstance(item.value, (ast.Tuple, ast.Constant))
        and not item.arg.endswith("_name")
    ]
    strings = [text for text in _strings(decorator) if text.isidentifier()]
    own = [text for text in strings if text in parameters]
    named = [item for item in keywords if item in parameters]
    return list(dict.fromkeys(named or own or keywords or strings[:1]))


def _strings(node: ast.AST) -> list[str]:
    return [
        item.value
        for item in ast.walk(node)
        if isinstance(item, ast.Constant) and isinstance(item.value, str)
    ]


def _trailing_comment(line: str) -> str:
    match = re.search(r"\s#+:?\s*([^\"']*)$", line)
    return match.group(1).strip() if match and not line.lstrip().startswith("#") else ""


def _string_constants(body: Sequence[ast.stmt]) -> dict[str, str]:
    found: dict[str, str] = {}
    for statement in body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            text = literal_text(statement.value, found)
            if text:
                found[statement.targets[0].id] = text
    return found


def _flatten(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements of a body and of the `if`, `try` and `with` blocks in it, which are no scopes of their
    own."""
    for statement in body:
        yield statement
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        for name in ("body", "orelse", "finalbody"):
            inner = getattr(statement, name, None)
            if isinstance(inner, list):
                yield from _flatten(inner)
        for handler in getattr(statement, "handlers", ()):
            yield from _flatten(handler.body)


def _returns_decorator(node: Function) -> bool:
    """`def moved(what): return deprecated(...)`: a decorator by another name."""
    last = node.body[-1]
    if not isinstance(last, ast.Return) or not isinstance(last.value, ast.Call):
        return False
    name = last_name(last.value.func)
    return _DECORATOR.search(name) is not None and _HELPER_NAME.search(name) is not None


def _compared_names(node: Function) -> list[str]:
    """The strings that `__getattr__(name)` compares its argument with."""
    argument = node.args.args[0].arg if node.args.args else ""
    names: list[str] = []
    compared = [item for item in ast.walk(node) if isinstance(item, ast.Compare) and len(item.ops) == 1]
    for item in compared:
        if last_name(item.left) == argument and isinstance(item.ops[0], (ast.Eq, ast.In)):
            names.extend(_strings(item.comparators[0]))
    return [name for name in dict.fromkeys(names) if name.isidentifier()]


__all__ = ["DETECTOR", "FileMarks", "Unreadable", "base_name", "decode", "detect", "parse"]
