"""What the store's queries return, beside the values of `evidence.py`. Times are seconds since the epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lastcall.evidence import Finding, Process, Reference, Site, State, TargetState


@dataclass(frozen=True, slots=True)
class Scope:
    """What a fleet is compared by."""

    service: str
    environment: str
    release: str


@dataclass(frozen=True, slots=True)
class Filter:
    """Narrows a query; an empty field lets everything pass. `target` may hold the wildcards `*` and `?`."""

    target: str = ""
    service: str = ""
    environment: str = ""
    release: str = ""
    since: float = 0.0
    """Only what was still seen at this time or later. Counts then are of the hours since."""


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """A process, what is known of its life, and what went wrong in it."""

    process: Process
    seen: float
    """Last sign of life."""
    ended: float | None
    """A clean end; None if it still runs or was killed."""
    ended_how: str
    dropped: tuple[tuple[str, int], ...]
    internal_errors: tuple[tuple[str, int], ...]
    reading_faults: tuple[tuple[str, int], ...]
    """What the store could not read of its files."""


@dataclass(frozen=True, slots=True)
class StateRow:
    """One entry of a target's history in one process."""

    process: str
    state: TargetState
    until: float | None
    """When the next state began; None: it lasted to the process's end."""


@dataclass(frozen=True, slots=True)
class StateCount:
    """In how many processes of a scope a target has a state, among those that lived last."""

    ref: str
    scope: Scope
    state: State
    reason: str
    engine: str
    processes: int


@dataclass(frozen=True, slots=True)
class Observed:
    """An interval in which a process was alive and watching."""

    process: str
    since: float
    until: float


@dataclass(frozen=True, slots=True)
class Watched:
    """How long the processes of a scope had a target in a state while they were observed."""

    ref: str
    scope: Scope
    state: State
    seconds: float
    """Summed over processes: two processes for an hour are two hours."""
    processes: int
    first: float
    last: float


@dataclass(frozen=True, slots=True)
class UseRow:
    """A call site's uses in one scope."""

    site: Site
    scope: Scope
    count: int
    errors: int | None
    allowed: bool
    """Every process counted it as covered by the target's allow list."""
    first_seen: float
    last_seen: float
    processes: int


@dataclass(frozen=True, slots=True)
class CallSite:
    """A call site's uses over all scopes."""

    site: Site
    count: int
    errors: int | None
    allowed: bool
    first_seen: float
    last_seen: float
    scopes: tuple[Scope, ...]


@dataclass(frozen=True, slots=True)
class Total:
    """A target's uses over all sites and scopes."""

    ref: str
    uses: int
    sites: int
    first_seen: float
    last_seen: float


@dataclass(frozen=True, slots=True)
class Activity:
    """A target's uses in one hour in one scope, allowed ones apart."""

    ref: str
    scope: Scope
    hour: int
    """Hours since the epoch."""
    count: int
    allowed: int
    """Of `count`, how many the allow list covered."""


@dataclass(frozen=True, slots=True)
class ReferenceRow:
    """A reference and where it was seen."""

    reference: Reference
    scope: Scope
    first_seen: float
    last_seen: float


@dataclass(frozen=True, slots=True)
class FindingRow:
    """A finding and the scope of the process that made it."""

    finding: Finding
    scope: Scope
    process: str


@dataclass(frozen=True, slots=True)
class ObservationRow:
    """What was watched in one scope, over all its processes."""

    scope: Scope
    processes: int
    seconds: float
    states: dict[str, int]
    """Number of targets by state, each target by its weightiest state among the processes that lived last."""
    internal_errors: int
    dropped: int
    first: float
    last: float
