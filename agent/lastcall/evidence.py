"""The plain values that leave the host process: what was armed, what was used, from where, how often.

The background thread makes them, the store keeps them, the exporters send them, the verdict judges
them. Nothing here does I/O. Not imported in the host's own threads.

Times are UTC seconds since the epoch as `float`, nanoseconds where a name ends in `_ns`.
"""

from __future__ import annotations

from . import words
from .identity import Frame, Site
from .values import dataclass, field

TYPE_CHECKING = False  # typing costs a bare host 5 ms, and 1 ms more at its end
if TYPE_CHECKING:
    from typing import Literal

    Kind = Literal["function", "method", "class", "attribute", "module", "parameter"]
    State = Literal["armed", "pending", "missing", "failed", "partial", "removed"]

__all__ = [
    "STATES",
    "Batch",
    "Count",
    "Finding",
    "Frame",
    "Observation",
    "Process",
    "Reference",
    "Sighting",
    "Site",
    "TargetInfo",
    "TargetState",
]

STATES: tuple[State, ...] = words.STATES


@dataclass(frozen=True, slots=True)
class TargetInfo:
    """A target as configured or discovered, with what is known of its definition."""

    ref: str
    kind: Kind
    replacement: str = ""
    owner: str = ""
    issue: str = ""
    since: str = ""
    remove_by: str = ""
    note: str = ""
    schedule: str = ""
    """A declared rhythm of legitimate silence: `daily`, `weekly`, `monthly`, `quarterly`, `yearly`, or empty."""
    defined_file: str = ""
    defined_line: int = 0
    source: str = "config"
    """What made it a target: `config`, `wildcard`, `pep702`, `warning`, `log`."""


@dataclass(frozen=True, slots=True)
class TargetState:
    """What became of a target in one process, with the reason in a person's words where it is not `armed`."""

    ref: str
    state: State
    reason: str = ""
    engine: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Process:
    """One observed process. `id` is a random hex string, new after every fork."""

    id: str
    service: str
    environment: str
    release: str
    host: str
    pid: int
    python: str
    started: float
    root: str = ""
    attributes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Count:
    """How often one process has used one site so far: cumulative, so that merging takes the maximum."""

    process: str
    site: str
    count: int
    first_seen: float
    last_seen: float
    errors: int | None = None
    """Uses known to have raised; None where that was not observed."""
    allowed: bool = False
    """The target's `allow` list covers this site."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One use seen in detail: a site's first, or a sampled repeat. Exporters make spans and log entries of it."""

    site: Site
    start_ns: int
    first: bool
    count: int
    """Uses of this site in this process since the last sighting, this one included."""
    end_ns: int | None = None
    error_type: str = ""
    trace_id: int = 0
    span_id: int = 0
    trace_flags: int = 0
    own_trace_id: int = 0
    own_span_id: int = 0
    """The ids that this use's span must have, because it was current during the call; 0: any."""
    allowed: bool = False
    allow_reason: str = ""


@dataclass(frozen=True, slots=True)
class Reference:
    """A loaded module that holds a target's object under some name, with the line of the import statement."""

    target: str
    module: str
    name: str
    file: str
    line: int
    how: str = "module"
    """`module`, `class`, `registry`, `closure`, `default`, or `static` when found in source."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that blocks `safe` and is not a use: users mixed, a removed target still asked for."""

    kind: Literal["isolation", "removed", "impact"]
    target: str
    at: float
    message: str
    site: Site | None = None
    count: int = 1
    attributes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Observation:
    """One process's explicit statement of what it watched between two instants, zeros included.

    `counts` holds, for every site this process ever saw, the cumulative count at `until`; a target that is
    armed and has no site in `counts` was used zero times. Counts and verdicts can be rebuilt from these alone.
    """

    process: Process
    since: float
    until: float
    states: tuple[TargetState, ...]
    counts: tuple[Count, ...] = ()
    dropped: tuple[tuple[str, int], ...] = ()
    """Drop counters by reason, cumulative in this process."""
    internal_errors: tuple[tuple[str, int], ...] = ()
    """Internal errors by slug, cumulative in this process."""
    final: bool = False


@dataclass(slots=True)
class Batch:
    """What one flush hands to every exporter. Exporters read, never write."""

    process: Process
    at: float
    targets: tuple[TargetInfo, ...] = ()
    """Every target known so far, not only the changed ones."""
    states: tuple[TargetState, ...] = ()
    """Every target's current state."""
    sites: dict[str, Site] = field(default_factory=dict)
    """Every site this process has seen, by id."""
    counts: tuple[Count, ...] = ()
    """Every site's cumulative count in this process."""
    sightings: tuple[Sighting, ...] = ()
    """New since the last flush."""
    findings: tuple[Finding, ...] = ()
    """New since the last flush."""
    references: tuple[Reference, ...] = ()
    """All that are known, when they changed since the last flush; else empty."""
    observation: Observation | None = None
    """Set when an explicit zero is due: at start, on change, every ten minutes, at exit."""
