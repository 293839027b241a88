"""What should be used instead: the name in the words, and where in the tree it is defined."""

from __future__ import annotations

import re
from keyword import iskeyword
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lastcall.scanning.finding import Mark
    from lastcall.scanning.tree import SourceFile

_ENDS = r"(?!\w|[.:-][\w%{]|'s\b|:?/\S*/|[%{<]|\[[A-Z])"
"""Where a name ends: not within `some-command`, `a/path`, `plot_%s`, `List[Item]`, nor at the owner in "Django's
`render`"."""
_TARGET = (
    rf"(?:[A-Z]\w*'s\s+)?(?::(?!(?:doc|ref|issue|pr|pep|term|ticket):)[\w:]+:)?(?P<quote>[`'\"]*)~?"
    rf"(?P<name>[A-Za-z_][\w.]*(?::[A-Za-z_][\w.]*)?){_ENDS}(?:\([^)]*\))?[`'\"]*"
)
_ADVISED = "".join(
    f"(?<!{words} )"
    for words in (
        *("want to", "need to", "have to", "whether to", "when", "for"),
        *("n't", "not", "never", "no longer", "instead of", "than"),
    )
)
"""What stands before "use" where the words do not tell to."""
_INSTEAD = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        (
            rf"\b(?:in favou?r of|replaced (?:by|with)|superseded by|renamed (?:to|as)|moved to|"
            rf"replacement:?)\s+(?:the\s+)?(?:new\s+)?(?:\w+\s+)??{_TARGET}"
        ),
        (
            rf"\b{_ADVISED}(?:use|(?P<using>using)|switch to|call|prefer)"
            rf"(?::(?!\s+(?P<s>['\"])\w+(?P=s)\s+in\s))?\s+(?:the\s+)?(?:new\s+)?{_TARGET}"  # not "use: 'a' in OPTIONS"
        ),
        rf"\balias (?:of|for|to)\s+{_TARGET}",
        (
            r"\buse\s+(?!(?:of|with|in|by|on)\b)(?:the\s+)?(?:\w+\s+){1,3}?(?::[\w:]+:)?(?P<quote>[`'\"]+)~?"
            rf"(?P<name>[A-Za-z_][\w.]*){_ENDS}(?!=)"
        ),
        rf"\b(?:see|try):?\s+(?:the\s+)?(?:new\s+)?{_TARGET}",
    )
)
_PLAIN = re.compile(
    r"\b(?:use|switch to|call|in favou?r of|replaced (?:by|with)|superseded by|renamed (?:to|as)|migrate to)\s+"
    r"(?:the\s+)?(?:new\s+)?(?P<name>[A-Za-z_]\w*)(?![\w(]|\.\w)",
    re.IGNORECASE,
)
"""A word that only the tree can tell to be a name."""
_NOT_NAMES = frozenset(
    (
        "a",
        "an",
        "the",
        "this",
        "that",
        "it",
        "its",
        "instead",
        "of",
        "in",
        "for",
        "to",
        "new",
        "and",
        "or",
        "with",
        "any",
        "other",
        "another",
        "one",
        "your",
        "same",
        "is",
        "are",
        "keyword",
        "keywords",
        "argument",
        "arguments",
        "only",
        "explicit",
        "either",
        "both",
        "at",
        "on",
        "as",
        "from",
        "by",
        "into",
        "caution",
        "them",
        "these",
        "case",
        "cases",
        "http",
        "https",
    )
)
_WHAT_IS_USED = re.compile(r"(?:[^.;]|[.;]\S)*(?:deprecat|obsolete)", re.IGNORECASE)
"""What follows "using `mode`" where that is what shall no longer be used."""
_STANDS_ALONE = re.compile(r"\W*$|[.,;:!)]|\s+(?:instead|class|from|in|for)\b", re.IGNORECASE)
"""What follows a name that is not the first word of a longer one: "use OAuth based ..."."""
_PACKAGE = re.compile(r"[`'\"]*\s+(?:package|library|project)\b", re.IGNORECASE)
_FILE = re.compile(r"\.(?:toml|cfg|ini|ya?ml|txt|rst|md|html)$", re.IGNORECASE)
_LONGEST_CHAIN = 10
"""Longer chains of re-exports are circles."""


class Named(NamedTuple):
    """A name that words tell to use instead."""

    name: str
    plain: bool
    """Nothing but its capitals tells it from a word of prose."""
    bare: bool
    """It is one word, and not called."""
    given: bool
    """It is given a value: `mode="fast"`."""


def replacement_in(text: str) -> str:
    """The name that the words tell to use instead, in the words' spelling; empty if they name none."""
    return next((found.name for found in names_in(text)), "")


def names_in(text: str) -> Iterator[Named]:
    """The names that the words tell to use instead, the likeliest first."""
    for pattern in _INSTEAD:
        for match in pattern.finditer(text):
            name = match["name"].rstrip(".")
            rest = text[match.end("name") :]
            if _PACKAGE.match(rest):  # "moved to the `other` package, and can be used as `other.name`"
                inside = re.search(rf"[`'\"]({re.escape(name)}\.[\w.]*\w)(?:\([^)]*\))?[`'\"]", rest)
                name = inside[1] if inside else name
            if not _is_named(match, name, rest) or (
                match.groupdict().get("using") and _WHAT_IS_USED.match(text[match.end() :])
            ):
                continue
            plain = not match["quote"] and not rest.startswith("(") and name.isalnum()
            yield Named(
                name,
                plain and not _STANDS_ALONE.match(rest),
                "." not in name and not rest.startswith("("),
                re.match(r"\s*=(?!=)", rest) is not None,
            )


def _is_named(match: re.Match[str], name: str, rest: str) -> bool:
    """Whether what was found is a name, and all of it."""
    if iskeyword(name) or not all(map(str.isidentifier, re.split("[.:]", name))):
        return False  # "use 'is None'", "use the X.509 functions"
    if _FILE.search(name) or (not rest and match.string.endswith("...")):  # cut off
        return False
    if match["quote"]:
        return re.match(r"/|\s+[\w-][^`'\"]*[`'\"]", rest) is None  # "'a/b'", "'server migration confirm'"
    return _looks_like_code(match[0], name)


def _looks_like_code(phrase: str, name: str) -> bool:
    """An identifier stands out from prose by a dot, underscore, capital inside, quotes, or brackets."""
    if any(mark in phrase.replace("'s ", " ") for mark in "`'\"("):
        return True
    if name.lower() in _NOT_NAMES:
        return False
    if re.fullmatch("[A-Z]+s?", name):
        return False  # "use AI inference tables", "the APIs of another package"
    return "_" in name or "." in name or any(char.isupper() for char in name[1:])


class Names:
    """Where the names of a tree are defined, and what its files import."""

    def __init__(self, told: Iterable[tuple[SourceFile, list[str], dict[str, str]]]) -> None:
        self._defined: dict[str, frozenset[str]] = {}
        self._imports: dict[str, dict[str, str]] = {}
        self._owners: dict[str, list[str]] = {}
        self._packages: dict[str, bool] = {}
        for file, definitions, imports in told:
            self._packages.setdefault(file.module, file.is_package)
            self._defined.setdefault(file.module, frozenset(definitions))
            self._imports.setdefault(file.module, imports)
            for name in definitions:
                self._owners.setdefault(name, []).append(file.module)

    def replacement(self, text: str, file: SourceFile, mark: Mark) -> str:
        """What the words tell to use instead: an object reference where the tree has it, else their spelling."""
        for found in names_in(text):
            where = self._meant(found, file, mark)
            if where:
                return where
        for match in _PLAIN.finditer(text):
            word = match["name"]
            if word.lower() not in _NOT_NAMES:
                near = next(self._near(word, file, mark), "")
                if near:
                    return near
        return ""

    def _meant(self, found: Named, file: SourceFile, mark: Mark) -> str:
        """What the name stands for at a mark; empty if that is the deprecated thing itself, or no name after all."""
        own, _, argument = mark.qualname.partition("(")
        is_argument = bool(argument) and found.bare
        if is_argument and found.name in mark.arguments:
            return "" if found.name == argument.removesuffix("=)") else found.name
        near = next(self._near(found.name, file, mark), "")
        # What a constructor takes is called like the attribute that keeps it.
        if near and not (is_argument and own.endswith(("__init__", "__new__")) and "." in near.partition(":")[2]):
            return near
        if f".{own}".endswith(f".{found.name}"):
            return ""
        # Of what is far away an argument's name says nothing.
        where = found.name if is_argument and found.name.islower() else self._reference(found.name, file)
        is_known = ":" in where or where in self._defined
        return where if is_known or not (found.plain or (found.given and not argument)) else ""

    def _reference(self, name: str, file: SourceFile) -> str:
        if ":" in name or name in self._defined:
            return name
        parts = name.split(".")
        for split in range(len(parts) - 1, 0, -1):
            module = ".".join(parts[:split])
            if module in self._defined:
                inside = split == len(parts) - 1 or self._has(module, parts[split])
                if not inside and self._packages.get(module):
                    return name  # a module in the package that another distribution brings
                return f"{module}:{'.'.join(parts[split:])}"
        owners = self._owners.get(name, [])
        if len(owners) > 1:  # the one place that is nearest, if there is one
            near = sorted(owners, key=lambda module: -_shared(module, file.module))
            is_nearer = _shared(near[0], file.module) > _shared(near[1], file.module)
            owners = near[:1] if is_nearer else []
        return f"{owners[0]}:{name}" if owners else name

    def _has(self, module: str, name: str) -> bool:
        return name in self._defined[module] or name in self._imports.get(module, {})

    def _near(self, name: str, file: SourceFile, mark: Mark) -> Iterator[str]:
        """A member of the same class, a name of the same module, a name that it imports."""
        own = mark.qualname.split("(")[0]
        owner = own.rpartition(".")[0]
        here = self._defined.get(file.module, frozenset())
        for candidate in ([f"{owner}.{name}"] if owner else []) + [name]:
            if candidate in here and candidate != own:
                yield f"{file.module}:{candidate}"
        head, _, rest = name.partition(".")
        where = self._imports.get(file.module, {}).get(head)
        if where is not None:
            module, _, imported = self._absolute(where, file.module).partition(":")
            for _ in range(_LONGEST_CHAIN):  # through re-exports, to where it is defined
                onward = self._imports.get(module, {}).get(imported)
                if imported in self._defined.get(module, frozenset()) or onward is None:
                    break
                module, _, imported = self._absolute(onward, module).partition(":")
            if module and f"{module}:{imported}" != f"{file.module}:{own}":
                yield f"{module}:{imported}{'.' * bool(rest)}{rest}"

    def _absolute(self, where: str, module: str) -> str:
        """`[dots]module:name` of an import in `module` as an absolute reference."""
        path, _, name = where.rpartition(":")
        dots = len(path) - len(path.lstrip("."))
        if not dots:
            return where
        parts = module.split(".")
        parts = parts[: len(parts) - dots + self._packages.get(module, False)]
        return f"{'.'.join([*parts, *filter(None, [path[dots:]])])}:{name}"


def _shared(module: str, other: str) -> int:
    """How many packages two modules have in common, from the outermost one."""
    pairs = zip(module.split("."), other.split("."), strict=False)
    return next(
        (number for number, (one, two) in enumerate(pairs) if one != two),
        min(module.count("."), other.count(".")) + 1,
    )
