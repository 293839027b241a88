"""What a search for references finds: the places that refer to a target, and where it is defined."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lastcall.scanning.finding import Skipped

ReferenceKind = Literal[
    "import", "re-export", "access", "call", "subclass", "decorator", "annotation", "patch", "all", "entry-point",
    "string", "docs", "template", "text",
]  # fmt: skip
KINDS: tuple[ReferenceKind, ...] = get_args(ReferenceKind)
"""The one that says most of a place comes first."""
_HARMLESS = frozenset(("docs", "string", "template", "text"))


@dataclass(frozen=True, slots=True)
class StaticReference:
    """One place in the source that refers to a target."""

    target: str
    kind: ReferenceKind
    file: str
    """Relative to the root, with forward slashes."""
    line: int
    column: int
    """Counted from 0."""
    module: str
    """The module the place is in; empty outside of Python files."""
    function: str
    """The qualified name of the function or class around it; empty at module level."""
    expression: str
    """As the source spells it."""
    test: bool
    """In test code."""
    certain: bool = True
    """False where only the name agrees: an attribute of an object of unknown type, a bare string."""
    name: str = ""
    """For imports: the name that it is bound to here."""
    note: str = ""
    """What softens it: `type checking only`, `may be missing: ImportError is caught`."""

    @property
    def breaks(self) -> bool:
        """Whether removing the target would surely break this place when it runs (or a type check of it)."""
        return self.certain and self.kind not in _HARMLESS and not self.note.startswith("may be missing")


@dataclass(frozen=True, slots=True)
class Definition:
    """Where a target is defined."""

    target: str
    file: str
    line: int
    end_line: int
    how: str
    """`def`, `class`, `property`, `assign`, `import` (the name is only re-exported there), or `module`."""


@dataclass(slots=True)
class StaticSearch:
    """What a search found, and what it could not look into."""

    root: str
    references: list[StaticReference] = field(default_factory=list)
    definitions: dict[str, Definition] = field(default_factory=dict)
    """By target; one that the tree does not define is not in it."""
    outside: set[str] = field(default_factory=set)
    """Targets of packages that are not in the tree."""
    skipped: list[Skipped] = field(default_factory=list)
    """Files that mention a target but cannot be parsed; each mention is a reference of kind `text`."""
    read: set[str] = field(default_factory=set)
    """Paths of the Python files that were searched, less those that cannot be parsed."""
    unread: list[Skipped] = field(default_factory=list)
    """Files and folders that the system lets nobody look into: what they say is not known."""


def without_weaker(items: Iterable[StaticReference]) -> list[StaticReference]:
    """One reference for each target and place: certain before guessed, kinds in their order."""
    best: dict[tuple[str, str, int, int], StaticReference] = {}
    for item in items:
        key = (item.target, item.file, item.line, item.column)
        known = best.get(key)
        if known is None or _strength(item) < _strength(known):
            best[key] = item
    return list(best.values())


def _strength(item: StaticReference) -> tuple[bool, int]:
    return not item.certain, KINDS.index(item.kind)
