"""The plain values of discovery: what one file says about itself, and what that means for the tree."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from lastcall.evidence import Kind

EvidenceKind = Literal["decorator", "warning", "docstring", "comment", "log", "name"]
Confidence = Literal["high", "medium", "low"]

EVIDENCE_KINDS: tuple[EvidenceKind, ...] = ("decorator", "warning", "docstring", "comment", "log", "name")
CONFIDENCES: tuple[Confidence, ...] = ("high", "medium", "low")


@dataclass(frozen=True, slots=True)
class Evidence:
    """One reason to believe that a definition is deprecated: where it stands, and what it says."""

    kind: EvidenceKind
    line: int
    confidence: Confidence
    text: str = ""
    """The words of the source: a message, a docstring's sentence, a comment. Shortened to one line."""


@dataclass(slots=True)
class Mark:
    """A definition that its own file calls deprecated. Knows no module or path, so that it can be cached by
    content."""

    qualname: str
    """Empty for the module itself; `name(argument=)` for a deprecated argument."""
    kind: Kind
    line: int
    evidence: list[Evidence] = field(default_factory=list)
    watchable: bool = True
    """False for a class's attribute that is no function, property or other name: nobody can see it read."""
    arguments: list[str] = field(default_factory=list)
    """At a deprecated argument: all that its function takes."""

    def as_dict(self) -> dict[str, Any]:
        """The mark as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Mark:
        """The inverse of `as_dict`."""
        evidence = [Evidence(**item) for item in data["evidence"]]
        return cls(data["qualname"], data["kind"], data["line"], evidence, data["watchable"], data["arguments"])


@dataclass(frozen=True, slots=True)
class Finding:
    """A deprecated entry point of the tree, with every reason to believe so."""

    ref: str
    kind: Kind
    file: str
    """Relative to the scanned root, with forward slashes."""
    line: int
    confidence: Confidence
    evidence: tuple[Evidence, ...]
    message: str = ""
    replacement: str = ""
    """An object reference where the words name something that exists in the tree, else the words' own
    spelling."""
    since: str = ""
    """The version or date that the words give, as they give it."""
    removal: str = ""
    watchable: bool = True
    """False where the agent could not see a use: the value of a class's attribute."""

    @property
    def evidence_kinds(self) -> tuple[EvidenceKind, ...]:
        """Each kind of evidence once, strongest kind first."""
        present = {item.kind for item in self.evidence}
        return tuple(kind for kind in EVIDENCE_KINDS if kind in present)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or folder that was not read, and why, in a person's words."""

    file: str
    reason: str


def strongest(evidence: tuple[Evidence, ...] | list[Evidence]) -> Confidence:
    """The best confidence among some evidence. Raises ValueError on none."""
    return min((item.confidence for item in evidence), key=CONFIDENCES.index)
