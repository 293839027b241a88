"""What a verdict is reached on: everything known about one target, as plain values.

A source of evidence (`lastcall.sources`) fills these in; `lastcall.verdict` judges them. Times are UTC
seconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from lastcall.evidence import Finding, Site, State, TargetInfo
    from lastcall.intervals import Intervals
    from lastcall.risk import Fate


@dataclass(frozen=True, slots=True, order=True)
class Scope:
    """Where a process runs: everything is judged within one of these, and compared across them."""

    service: str
    environment: str
    release: str

    @property
    def where(self) -> tuple[str, str]:
        """Service and environment: what lives on when a release ends."""
        return self.service, self.environment


@dataclass(frozen=True, slots=True)
class Life:
    """When processes of one scope were heard from, whether or not they watched anything."""

    scope: Scope
    heard: Intervals
    over: bool = False
    """Every process of it is known to have ended."""
    oldest: float = 0.0
    """When the oldest of its processes that may still run was started; 0: not known."""
    troubles: tuple[tuple[str, int], ...] = ()
    """Drops and internal errors of its processes by name, `dropped:...` or `internal:...`."""


@dataclass(frozen=True, slots=True)
class Watch:
    """When a target was in one state in processes of one scope."""

    scope: Scope
    state: State
    during: Intervals
    processes: int = 1
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """One caller's uses of a target in one scope. A line that moved is the same caller."""

    site: Site
    scope: Scope
    count: int
    first_seen: float
    last_seen: float
    hours: tuple[int, ...] = ()
    """Hours since the epoch with at least one use, sorted; the latest ones if there are very many."""
    errors: int | None = None
    allowed: bool = False
    allow_reason: str = ""
    fate: Fate = "unknown"
    left_at: float | None = None
    """When its code left the source, at the latest; None where nothing tells."""
    left_exactly: bool = True
    """Whether it left just then, as version control knows it, and not some time before."""

    @property
    def key(self) -> tuple[str, ...]:
        """The same for one caller in every release."""
        site = self.site
        return (site.target, *self.scope.where, site.file, site.function, site.expression, site.use)

    @property
    def counts(self) -> bool:
        """Whether it speaks against removal: no allowed use, no test, no scanner that touches all."""
        return not (self.allowed or self.site.by_test or self.site.scanner)


@dataclass(frozen=True, slots=True)
class Mention:
    """A place that refers to a target: held by a loaded module, or written in the source."""

    file: str
    line: int
    how: str
    """`import`, `call`, `string` ... from the source; `module`, `class` ... from a process."""
    text: str = ""
    breaks: bool = True
    """Whether removing the target would break it."""
    certain: bool = True
    """False where only the name agrees: an attribute of an object of unknown type, a string."""
    test: bool = False
    scope: Scope | None = None
    """Where it was loaded; None if it was found in the source."""


@dataclass(frozen=True, slots=True)
class Dossier:
    """All evidence on one target. `now` is when it was put together."""

    target: TargetInfo
    now: float
    fleet: tuple[Life, ...] = ()
    watches: tuple[Watch, ...] = ()
    unaware: tuple[Watch, ...] = ()
    """When processes ran that did not have the target among theirs, where others of their service did."""
    callers: tuple[Caller, ...] = ()
    mentions: tuple[Mention, ...] = ()
    source_read: bool = False
    """Whether the source tree was searched for references."""
    source_unread: tuple[str, ...] = ()
    """What of the source could not be read, each with the reason."""
    findings: tuple[tuple[Scope, Finding], ...] = ()
    unread: int = 0
    """Processes that left word in files which who asks may not read."""
    brief: bool = False
    """Only the callers that show it to be in use were read, and not who watched."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and of whom an answer is required."""

    window: float = 30 * 86_400.0
    """Seconds ahead for which `safe` must hold; also how long a use is held against a target."""
    strings: bool = True
    """Whether a string that holds the target's name may be a use of it."""
    required: tuple[tuple[str, str], ...] = ()
    """(service, environment) that must have been observed; an empty string stands for any."""
    ignored: tuple[tuple[str, str], ...] = ()
    """The same, for what has been retired or is none of this question's business."""
    releases: Literal["live", "all"] = "live"
    limit: float = 0.01
    """The risk up to which a target is safe."""
    confidence: float = 0.95


def covers(pattern: tuple[str, str], where: tuple[str, str]) -> bool:
    """Whether a (service, environment) is meant by a pattern with empty parts for `any`."""
    return all(not wanted or wanted == given for wanted, given in zip(pattern, where, strict=True))


@dataclass(frozen=True, slots=True)
class Observed:
    """How well one service in one environment was observed since the target's last use."""

    where: tuple[str, str]
    seconds: float
    """Observed since the last use of the target anywhere."""
    total: float
    """Observed since ever."""
    share: float
    """Of the time since the last use."""
    last_heard: float
    live: tuple[str, ...] = field(default=())
    """Releases that run now."""
