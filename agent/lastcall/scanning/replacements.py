"""What should be used instead: the name in the words, and where in the tree it is defined."""

from __future__ import annotations

import re
from keyword import iskeyword
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lastcall.scanning.finding import Mark
    from lastcall.scanning.tree import SourceFile

_TARGET = (
    r"(?:[A-Z]\w*'s\s+)?(?::[\w:]+:)?[`'\"]*~?(?P<name>[A-Za-z_][\w.]*(?::[A-Za-z_][\w.]*)?)(?!\w|[.:-]\w|'s\b)"
    r"(?:\([^)]*\))?[`'\"]*"
)
"""A name, but not the first part of `some-command`, nor the owner in "Django's `render`"."""
_INSTEAD = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        (
            rf"\b(?:in favou?r of|replaced (?:by|with)|superseded by|renamed (?:to|as)|moved to|"
            rf"replacement:?)\s+(?:the\s+)?(?:new\s+)?(?:\w+\s+)??{_TARGET}"
        ),
        (
            r"\b(?<!want to )(?<!whether to )(?<!when )(?:use|using|switch to|call|prefer|see|try)"
            rf"(?::(?!\s+(['\"])\w+\1\s+in\s))?\s+(?:the\s+)?(?:new\s+)?{_TARGET}"  # not "use: 'a' in OPTIONS"
        ),
        rf"\balias (?:of|for|to)\s+{_TARGET}",
        r"\buse\s+(?:the\s+)?(?:\w+\s+){1,3}?(?::[\w:]+:)?[`'\"]+~?(?P<name>[A-Za-z_][\w.]*)(?!\w|[.-]\w|=)",
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
_LONGEST_CHAIN = 10
"""Longer chains of re-exports are circles."""


def replacement_in(text: str) -> str:
    """The name that the words tell to use instead, in the words' spelling; empty if they name none."""
    for pattern in _INSTEAD:
        for match in pattern.finditer(text):
            name = match.group("name").rstrip(".")
            if _looks_like_code(match.group(0), name):
                return name
    return ""


def _looks_like_code(phrase: str, name: str) -> bool:
    """An identifier stands out from prose by a dot, underscore, capital inside, quotes, or brackets."""
    if iskeyword(name) or not all(map(str.isidentifier, re.split("[.:]", name))):
        return False  # "use 'is None'", "use the X.509 functions"
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
        name = replacement_in(text)
        if name and name != mark.qualname.split("(")[0]:
            return self._reference(name, file, mark)
        for match in _PLAIN.finditer(text):
            word = match["name"]
            if word.lower() not in _NOT_NAMES:
                found = next(self._near(word, file, mark), "")
                if found:
                    return found
        return ""

    def _reference(self, name: str, file: SourceFile, mark: Mark) -> str:
        if ":" in name or name in self._defined:
            return name
        found = next(self._near(name, file, mark), "")
        if found:
            return found
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
