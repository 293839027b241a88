"""Who refers to a target in what is not parsed: texts, templates, notebooks, Cython, Python that cannot be read."""

from __future__ import annotations

import json
import re
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from .finding import Skipped
from .naming import TOKEN, imported_in
from .referring import StaticReference
from .templates import asked_for
from .tree import FOREIGN, is_test_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from .referring import ReferenceKind
    from .tree import SourceFile, Tree

    Hits = Callable[[str], Sequence[tuple[Any, bool, bool]]]
    """Given a dotted name: (target, the name ends there, certain) for each target that it leads to or through."""

_ENTRY_POINT_FILES = frozenset(("pyproject.toml", "setup.cfg", "setup.py", "entry_points.txt"))
_OWN_FILES = frozenset(("lastcall.toml", "lastcall-baseline.toml"))
_OWN_OUTPUT = re.compile(
    rb'\s*\{\s*(?:"format": "lastcall-certificate/|"schema": 1,\s*(?:"targets": \[|"summary": \{\s*"in_use": )'
    rb'|"\$schema": [^{]*"runs": \[\s*\{\s*"tool": \{\s*"driver": \{\s*"name": "lastcall")'
    rb"|Targets: \d+ in use, \d+ without a use seen\r?\n|(?:SAFE|IN USE|UNPROVEN) +\S+\r?\n {10}"
)
"""How a certificate, a report and a verdict (JSON or text) and SARIF of ours begin: what they name they judge, and
refer to nothing."""
_OWN_LINE = re.compile(r"^\s*(?:ref|replacement)\s*=")
_PROSE = ("markdown", "raw", "heading")
_IDENTIFIER = re.compile(rb"[A-Za-z_]\w*")
_FEW_NAMES = 20
"""Up to so many names are looked for one by one; for more, all identifiers are taken out first."""


class Named(Protocol):
    """What is known of a target, for texts: `path` is its dotted name, `name` the last part of that."""

    ref: str
    path: str
    name: str
    owner: str
    leaf: str


class OutsidePython:
    """The references of one tree that are in no Python which can be parsed."""

    def __init__(self, tree: Tree, targets: Sequence[Named], unread: dict[str, Skipped]) -> None:
        self._tree = tree
        self._targets = targets
        self._unread = unread
        """By file: what cannot be read is put here."""

    def texts(self, names: Iterable[str], hits: Hits) -> Iterable[StaticReference]:
        """Dotted names in configuration and the like; `names` are the last parts of those that are meant."""
        encoded = {name.encode() for name in names}
        for path, file in self._tree.texts:
            base = file.rpartition("/")[2]
            if base in _OWN_FILES:
                continue
            try:
                data = Path(path).read_bytes()
            except OSError:
                continue
            if mentions(data, encoded) and not _OWN_OUTPUT.match(data):
                yield from _in_text(data.decode("utf-8", "replace"), file, base, hits)

    def templates(self) -> Iterable[StaticReference]:
        """Names that a template asks its values for, or calls."""
        named = [target for target in self._targets if target.path != target.ref]  # templates name no modules
        names = {target.name.encode() for target in named}
        for path, file in self._tree.templates if named else ():
            text = self._text(path, file, names)
            for target in named if text else ():
                for line, column in asked_for(text, target.name, "" if target.owner else target.leaf):
                    is_test = is_test_path(file)
                    yield StaticReference(
                        target.ref, "template", file, line, column, "", "", target.name, is_test, certain=False
                    )

    def words(self, unreadable: Iterable[tuple[SourceFile, str]]) -> Iterable[StaticReference]:
        """The target's last name as a word: in Python that cannot be read, with the reason, in notebooks and Cython."""
        names = {target.name.encode() for target in self._targets}
        for source, reason in unreadable:
            text = self._text(source.path, source.file, names)
            yield from self._by_name(text, source.file, source.module, is_test=source.is_test, reason=reason)
        for path, file in self._tree.unparsed:
            text = self._text(path, file, names)
            if text and not file.endswith(".ipynb"):
                text = _without_comments(text)
            if text:
                kind = FOREIGN[Path(file).suffix][0]
                code = _code_of_notebook(text) if file.endswith(".ipynb") else text
                yield from self._by_name(text, file, "", code, is_test=is_test_path(file), reason=f"a {kind}")

    def _text(self, path: str, file: str, names: set[bytes]) -> str:
        """What a file says, if it says one of `names`."""
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            self._unread[file] = Skipped(file, f"cannot be read: {error.strerror}")
            return ""
        return data.decode("utf-8", "replace") if mentions(data, names) else ""

    def _by_name(
        self, text: str, file: str, module: str, code: str | None = None, *, is_test: bool, reason: str
    ) -> Iterable[StaticReference]:
        """The lines of what cannot be parsed that say a target's name, if what of it is `code` does."""
        lines = text.splitlines()
        for target in self._targets:
            word = re.compile(rf"\b{re.escape(target.name)}\b")
            if code is not None and not word.search(code):
                continue
            note = f"not parsed: {reason}"
            for number, line in enumerate(lines, 1):
                if match := word.search(line):
                    at = match.start()
                    yield StaticReference(
                        target.ref, "text", file, number, at, module, "", target.name, is_test, certain=False, note=note
                    )


def mentions(data: bytes, names: set[bytes]) -> bool:
    """Whether a file's content says one of these names, perhaps within a longer one."""
    if len(names) <= _FEW_NAMES:
        return any(name in data for name in names)
    return not names.isdisjoint(_IDENTIFIER.findall(data))


def mentioned(data: bytes, names: set[bytes]) -> set[bytes]:
    """Which of these names a file's content says."""
    if len(names) <= _FEW_NAMES:
        return {name for name in names if name in data}
    return names.intersection(_IDENTIFIER.findall(data))


def _in_text(text: str, file: str, base: str, hits: Hits) -> Iterable[StaticReference]:
    is_test = is_test_path(file)
    for number, line in enumerate(text.splitlines(), 1):
        if _OWN_LINE.match(line):
            continue
        tokens = [(match.group(), match.start()) for match in TOKEN.finditer(line)]
        for token, start in (*tokens, *imported_in(line)):
            if "." not in token and ":" not in token:
                continue
            for target, _, certain in hits(token.replace(":", ".")):
                kind: ReferenceKind = "entry-point" if base in _ENTRY_POINT_FILES and ":" in token else "string"
                yield StaticReference(target.ref, kind, file, number, start, "", "", token, is_test, certain)


def _without_comments(text: str) -> str:
    """Cython's code on the same lines; all of it where its words are not like Python's."""
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    try:
        for token in tokenize.generate_tokens(iter(lines[:]).__next__):
            if token.type == tokenize.ERRORTOKEN and not token.string.isspace():
                return text
            if token.type == tokenize.COMMENT:
                row, column = token.start
                lines[row - 1] = lines[row - 1][:column] + "\n"
    except (tokenize.TokenError, SyntaxError):
        return text
    return "".join(lines)


def _code_of_notebook(text: str) -> str:
    """What its cells run: words in its prose and its output use nothing. All of it where that cannot be told."""
    try:
        book = json.loads(text)
        sheets = book.get("worksheets") or [book]  # as old ones are laid out
        cells = [cell for sheet in sheets for cell in sheet["cells"] if cell["cell_type"] not in _PROSE]
        parts = [cell["source"] if "source" in cell else cell["input"] for cell in cells]
        return "\n".join("".join(part) for part in parts)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return text
