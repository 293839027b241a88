"""A source file read as tokens: what is called, touched, imported, bound and defined on which line.

The agent reads the host's source in the host's own process, and there a parser is not invisible: up to CPython
3.11.8 and 3.12.2 two threads in `ast.parse` can fail each other with a SystemError, the parser repeats a file's
warnings on the host's stderr, and it keeps the interpreter's lock for as long as a file takes. A tokenizer does
none of this.
"""

from __future__ import annotations

import io
import keyword
import tokenize
from contextlib import suppress
from tokenize import COMMENT, DEDENT, ENCODING, ENDMARKER, INDENT, NAME, NEWLINE, NL, NUMBER, OP, STRING

from .garbage import make_way
from .values import dataclass

TYPE_CHECKING = False  # typing costs a bare host 5 ms, and 1 ms more at its end
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_OPEN = {"(": ")", "[": "]", "{": "}"}
_UNSEEN = frozenset((COMMENT, NL, ENCODING, ENDMARKER))
_FSTRING_START, _FSTRING_END = (getattr(tokenize, name, -1) for name in ("FSTRING_START", "FSTRING_END"))
_TSTRING_START, _TSTRING_END = (getattr(tokenize, name, -1) for name in ("TSTRING_START", "TSTRING_END"))
_STARTS = {_FSTRING_START, _TSTRING_START} - {-1}
_ENDS = {_FSTRING_END, _TSTRING_END} - {-1}
_VALUES = frozenset(("None", "True", "False"))
_DEEPEST = 100
"""Brackets in brackets; what is deeper is not looked into."""


@dataclass(slots=True)
class Token:
    """What is needed of a token."""

    kind: int
    text: str
    line: int


@dataclass(slots=True)
class Spelled:
    """A name with its dots, calls and subscripts, as it stands in the source, without what is passed."""

    kind: str
    """`call` for the callee of a call, else `name` or `attribute`."""
    text: str
    first: int
    last: int
    """The line of its first and of its last token."""


@dataclass(slots=True)
class Import:
    """One name of an import statement."""

    module: str
    """The module of a `from` import, without leading dots, else empty."""
    name: str
    bound: str
    """The name that it has in this file."""
    line: int


def tokens_of(source: bytes) -> Iterator[Token]:
    """The tokens of a file, as far as it can be read; without comments and empty lines. Never raises.

    One at a time: the more of ours live at once, the more often Python looks for garbage in our thread, and runs
    the host's finalizers there.
    """
    # what came before the place that cannot be read is good
    with suppress(tokenize.TokenError, SyntaxError, ValueError, RecursionError):
        for token in tokenize.tokenize(io.BytesIO(source).readline):
            if token.type not in _UNSEEN:
                make_way()
                yield Token(token.type, token.string, token.start[0])


def statements(tokens: Iterable[Token]) -> Iterator[tuple[int, list[Token]]]:
    """The logical lines, each with its depth of indentation; `;` divides them too."""
    depth = brackets = 0
    line: list[Token] = []
    for token in tokens:
        if token.kind in (INDENT, DEDENT):
            depth += 1 if token.kind == INDENT else -1
            continue
        if token.kind == OP and token.text in _OPEN:
            brackets += 1
        elif token.kind == OP and token.text in ")]}":
            brackets -= 1
        if token.kind == NEWLINE or (token.text == ";" and token.kind == OP and brackets <= 0):
            if line:
                yield depth, line
            line, brackets = [], 0
        else:
            line.append(token)
    if line:
        yield depth, line


def bound_by(statement: Sequence[Token]) -> Iterator[Token]:
    """The names that an assignment, a loop, a `with` or a walrus binds, as they stand there; not attributes."""
    brackets = 0
    begin = 0  # of what may turn out to be the left side of an `=`
    for at, token in enumerate(statement):
        if token.kind == OP:
            brackets += (token.text in "([{") - (token.text in ")]}")
            if token.text == ":=":
                yield statement[at - 1]
            elif brackets:
                continue
            elif token.text.endswith("=") and token.text not in _COMPARISONS:
                yield from _plain_names(statement[begin:at])
                begin = at + 1
            elif token.text == ":":
                if at == 1:  # an annotation, or `else:`
                    yield from _plain_names(statement[:1])
                begin = at + 1 if at > 1 else begin
        elif token.text == "as" and at + 1 < len(statement) and statement[0].text in ("with", "async"):
            yield from _plain_names(statement[at + 1 : at + 2])
        elif token.text == "for":
            end = next((i for i in range(at, len(statement)) if statement[i].text == "in"), at)
            yield from _plain_names(statement[at + 1 : end])


_COMPARISONS = frozenset(("==", "!=", "<=", ">="))


def _plain_names(tokens: Sequence[Token]) -> Iterator[Token]:
    """Names that stand for themselves: no attribute, and nothing with an attribute, call or subscript behind it."""
    for at, token in enumerate(tokens):
        if token.kind != NAME or keyword.iskeyword(token.text):
            continue
        before = tokens[at - 1].text if at else ""
        after = tokens[at + 1].text if at + 1 < len(tokens) else ""
        if before == ":":
            return  # what follows annotates
        if before != "." and after not in (".", "(", "["):
            yield token


def defined_by(statement: Sequence[Token]) -> tuple[str, str, int] | None:
    """`def` or `class`, the name and the line, if the statement defines one."""
    at = 1 if statement[0].text == "async" else 0
    if len(statement) > at + 1 and statement[at].kind == NAME and statement[at].text in ("def", "class"):
        return statement[at].text, statement[at + 1].text, statement[0].line
    return None


def imports(statement: Sequence[Token]) -> list[Import]:
    """What an import statement imports; nothing for any other, or for `*`."""
    if len(statement) > 1 and statement[0].text == "lazy":  # from 3.15 on; no other statement has two names there
        statement = statement[1:]
    if not statement or statement[0].text not in ("import", "from") or statement[0].kind != NAME:
        return []
    words = [token for token in statement if token.text not in "()"]
    module = ""
    at = 1
    if words[0].text == "from":
        end = next((i for i, token in enumerate(words) if token.text == "import"), len(words))
        module = "".join(token.text for token in words[1:end]).lstrip(".")
        at = end + 1
    found: list[Import] = []
    while at < len(words):
        end = next((i for i in range(at, len(words)) if words[i].text == ","), len(words))
        part = words[at:end]
        alias = next((i for i, token in enumerate(part) if token.text == "as"), len(part))
        name = "".join(token.text for token in part[:alias])
        if part and name != "*":
            bound = part[alias + 1].text if alias + 1 < len(part) else name if module else name.partition(".")[0]
            found.append(Import(module, name, bound, part[0].line))
        at = end + 1
    return found


def spelled(tokens: Sequence[Token]) -> list[Spelled]:
    """Every name, attribute and callee in a piece of source, those inside brackets too."""
    reader = _Reader(tokens)
    reader.scan(0, len(tokens))
    return reader.found


def spelled_alone(tokens: Sequence[Token]) -> tuple[str, str | None]:
    """The text of a piece that is one expression of names, dots and brackets, and its callee if it is a call.

    Empty, and None, for anything else.
    """
    reader = _Reader(tokens)
    text, end, callee = reader.whole(0, len(tokens))
    return (text, callee) if end == len(tokens) else ("", None)


class _Reader:
    """Reads chains such as `a.b(...)[...].c` out of tokens."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.found: list[Spelled] = []
        self.closing = _pairs(tokens)
        self.depth = 0

    def scan(self, at: int, end: int) -> None:
        """Note the chains between two places, one after the other."""
        while at < end:
            token = self.tokens[at]
            if token.kind == NAME and token.text in ("def", "class"):
                at += 2  # the name that is being defined is not called, and neither are its type parameters
                if at < end and self.tokens[at].text == "[":
                    at = self._inside(at)
            elif self._starts(at):
                _, at, _ = self.chain(at, end)
            else:
                at += 1

    def whole(self, at: int, end: int) -> tuple[str, int, str | None]:
        """The chain at a place, behind `await`."""
        while at < end and self.tokens[at].text == "await":
            at += 1
        return self.chain(at, end) if at < end and self._starts(at) else ("", at, None)

    def _starts(self, at: int) -> bool:
        token = self.tokens[at]
        if token.kind == NAME:
            return not keyword.iskeyword(token.text) or token.text in _VALUES
        return token.kind in (STRING, NUMBER) or token.kind in _STARTS or (token.kind == OP and token.text in _OPEN)

    def chain(self, at: int, end: int) -> tuple[str, int, str | None]:
        """The text of the chain that starts at a place, the place behind it, and its callee if it ends in a call."""
        first = self.tokens[at].line
        text, at = self._head(at)
        callee: str | None = None
        if text:
            self._note("name", text, first, first)
        while at < end:
            token = self.tokens[at]
            if token.kind != OP:
                break
            if token.text == "." and at + 1 < end and self.tokens[at + 1].kind == NAME:
                text, callee = f"{text or '...'}.{self.tokens[at + 1].text}", None
                at += 2
                self._note("attribute", text, first, self.tokens[at - 1].line)
            elif token.text in ("(", "["):
                inside = self._inside(at)
                if token.text == "(":
                    self._note("call", text, first, self.tokens[at - 1].line)
                    text, callee = f"{text}()", text
                else:
                    text, callee = f"{text}[...]", None
                at = inside
            else:
                break
        return text, at, callee

    def _head(self, at: int) -> tuple[str, int]:
        token = self.tokens[at]
        if token.kind == NAME:
            return ("" if token.text in _VALUES else token.text), at + 1
        if token.kind == OP:
            return self._group(at) if token.text == "(" else ("", self._inside(at))
        if token.kind in _STARTS:
            return "", self._inside(at)
        while at < len(self.tokens) and self.tokens[at].kind in (STRING, NUMBER):
            self._formatted(self.tokens[at])
            at += 1
        return "", at

    def _formatted(self, token: Token) -> None:
        """Before 3.12 the tokenizer leaves an f-string whole; what is in its braces is scanned here."""
        quotes = token.text.lstrip("fFrRbBuU")
        prefix = token.text[: len(token.text) - len(quotes)].lower()
        if token.kind != STRING or "f" not in prefix or self.depth >= _DEEPEST:
            return
        for line, text in _replacement_fields(token.text):
            inner = _Reader([*tokens_of(f"({text})".encode())])
            inner.depth = self.depth + 1
            inner.scan(0, len(inner.tokens))
            before = token.line + line - 1
            self.found += [Spelled(one.kind, one.text, one.first + before, one.last + before) for one in inner.found]

    def _group(self, at: int) -> tuple[str, int]:
        """What stands in brackets, if it is one chain alone; and the place behind them."""
        end = self.closing[at]
        text = ""
        if self.depth < _DEEPEST:
            self.depth += 1
            text, stop, _ = self.whole(at + 1, end)
            if stop < end:
                text = ""
                self.scan(stop, end)
            self.depth -= 1
        return text, end + 1

    def _inside(self, at: int) -> int:
        """Scan what lies in the brackets that open at a place; the place behind them."""
        end = self.closing[at]
        if self.depth < _DEEPEST:
            self.depth += 1
            self.scan(at + 1, end)
            self.depth -= 1
        return end + 1

    def _note(self, kind: str, text: str, first: int, last: int) -> None:
        self.found.append(Spelled(kind, text, first, last))


def _replacement_fields(text: str) -> Iterator[tuple[int, str]]:
    """The expressions in an f-string's braces, each with the number of line ends before it."""
    at = 0
    while (at := text.find("{", at)) >= 0:
        if text.startswith("{{", at):
            at += 2
            continue
        begin = at = at + 1
        depth = 0
        while at < len(text) and (depth or text[at] not in "}:"):
            if text[at] == "!" and not text.startswith("!=", at):
                break
            depth += (text[at] in "([{") - (text[at] in ")]}")
            at += 1
        yield text.count("\n", 0, begin), text[begin:at]


def _pairs(tokens: Sequence[Token]) -> dict[int, int]:
    """Where each bracket, and each string with expressions in it, closes; at the end if nowhere."""
    found: dict[int, int] = {}
    waiting: list[int] = []
    for at, token in enumerate(tokens):
        if token.kind in _STARTS or (token.kind == OP and token.text in _OPEN):
            waiting.append(at)
        elif waiting and (token.kind in _ENDS or (token.kind == OP and token.text in ")]}")):
            found[waiting.pop()] = at
    found.update(dict.fromkeys(waiting, len(tokens)))
    return found
