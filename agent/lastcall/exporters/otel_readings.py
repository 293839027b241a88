"""What the metrics show: values by metric and attributes, read from the recorder's counts.

Nothing is counted here, so that the hot path pays nothing and a fork cannot count twice. A collection is
frozen to JSON with its instants and its process, so that a later process can still send it. Imports no
OpenTelemetry: a process that leaves early puts its last collection into the spool without loading it.
"""

from __future__ import annotations

import time
from posix import getpid
from typing import TYPE_CHECKING, Any, Final

from lastcall.evidence import STATES
from lastcall.exporters import names
from lastcall.exporters.entries import clean, digest, rfc3339
from lastcall.exporters.merging import METRICS
from lastcall.wildcards import wild

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lastcall.evidence import Batch, Count, Site, TargetInfo, TargetState
    from lastcall.exporters import ExporterSettings
    from lastcall.exporters.spool import Item

ORIGINS: Final = ("self", "direct", "indirect")
NATURAL_USE: Final = {"class": "construct", "attribute": "access", "module": "import"}
"""Kind of target -> its natural use; `call` for all others."""

Key = tuple[tuple[str, str], ...]
"""Attributes of a point, sorted."""

UNITS: Final = {
    names.METRIC_USES: ("{use}", "Uses of deprecated targets."),
    names.METRIC_FAILED_USES: ("{use}", "Uses of deprecated targets that are known to have raised."),
    names.METRIC_FINDINGS: ("{finding}", "Findings: users mixed, removed targets still asked for."),
    names.METRIC_TARGETS: ("{target}", "Targets in each state."),
    names.METRIC_CALL_SITES: ("{call_site}", "Call sites seen, by target."),
    names.METRIC_OBSERVED_TIME: ("s", "How long this process has been observed."),
    names.METRIC_DROPPED: ("{item}", "What a bound made us drop, by reason."),
    names.METRIC_INTERNAL_ERRORS: ("{error}", "Failures inside Lastcall."),
    names.METRIC_REMOVE_BY_TIME: ("s", "The day by which a target is to be removed, Unix time."),
}


class Readings:
    """What the instruments show: values by metric and attributes, of the process that made them only."""

    def __init__(self, settings: ExporterSettings) -> None:
        self.pid = getpid()
        self._settings = settings
        self._findings: dict[Key, int] = {}
        self.values: dict[str, dict[Key, float]] = {name: {} for name in UNITS}
        self._named_sites: set[str] = set()

    def take(
        self, batch: Batch, dropped: Iterable[tuple[str, int]], errors: Iterable[tuple[str, int]]
    ) -> None:
        """Replace the values by those of `batch`; one assignment, since another thread may be collecting.

        Findings are not among them: `count_findings` has to hear of every batch, this need not.
        """
        base = _base(batch)
        self.values = {
            names.METRIC_USES: self._uses(batch, base),
            names.METRIC_FAILED_USES: self._failed(batch, base),
            names.METRIC_FINDINGS: dict(self._findings),
            names.METRIC_TARGETS: _states(batch, base),
            names.METRIC_CALL_SITES: _call_sites(batch, base),
            names.METRIC_OBSERVED_TIME: {base: max(_until(batch) - batch.process.started, 0.0)},
            names.METRIC_DROPPED: {_join(base, {names.REASON: key}): n for key, n in dropped},
            names.METRIC_INTERNAL_ERRORS: {_join(base, {names.SLUG: key}): n for key, n in errors},
            names.METRIC_REMOVE_BY_TIME: _deadlines(batch, base),
        }

    def count_findings(self, batch: Batch) -> None:
        """Add a batch's findings, which are told once, to those before."""
        for finding in batch.findings:
            key = _join(_base(batch), {names.FINDING: finding.kind, names.TARGET: finding.target})
            self._findings[key] = self._findings.get(key, 0) + finding.count

    def _uses(self, batch: Batch, base: Key) -> dict[Key, float]:
        targets = {target.ref: target for target in batch.targets}
        values: dict[Key, float] = {}
        for target in filter(_is_target, batch.targets):
            # An explicit zero for each origin: a series that is born at 3 never increased, to PromQL.
            for origin in ORIGINS:
                use = NATURAL_USE.get(target.kind, "call")
                values[self._use_key(target.ref, use, origin, target, base)] = 0
        # Thousands of sites share a few keys: add up first.
        sums: dict[tuple[str, str, str, tuple[str, str]], int] = {}
        for count, site in _sited(batch):
            place = (site.target, site.use, site.origin, self._named(count.site, site))
            sums[place] = sums.get(place, 0) + count.count
        for (ref, use, origin, named), total in sums.items():
            key = self._use_key(ref, use, origin, targets.get(ref), base, named)
            values[key] = values.get(key, 0) + total
        return values

    def _failed(self, batch: Batch, base: Key) -> dict[Key, float]:
        targets = {target.ref: target for target in batch.targets}
        sums: dict[tuple[str, str, str], int] = {}
        for count, site in _sited(batch):
            if count.errors is not None:
                place = (site.target, site.use, site.origin)
                sums[place] = sums.get(place, 0) + count.errors
        return {
            self._use_key(ref, use, origin, targets.get(ref), base): total
            for (ref, use, origin), total in sums.items()
        }

    @staticmethod
    def _use_key(  # noqa: PLR0917 - one point's attributes, called in three places
        ref: str,
        use: str,
        origin: str,
        target: TargetInfo | None,
        base: Key,
        named: tuple[str, str] = ("", ""),
    ) -> Key:
        attributes = {names.TARGET: ref, names.USE: use, names.ORIGIN: origin}
        if target is not None:
            attributes[names.REMOVE_BY] = target.remove_by
            attributes[names.OWNER] = target.owner
        attributes[names.CODE_FILE], attributes[names.CODE_FUNCTION] = named
        return _join(base, attributes)

    def _named(self, site_id: str, site: Site) -> tuple[str, str]:
        """The file and function that a point names; empty where the site is one of too many."""
        if site_id not in self._named_sites:
            if len(self._named_sites) >= self._settings.metric_call_sites:
                return ("", "")
            self._named_sites.add(site_id)
        return site.file, f"{site.module}.{site.function}"


def _base(batch: Batch) -> Key:
    process = batch.process
    return _pairs({names.SERVICE_NAME: process.service, names.ENVIRONMENT_NAME: process.environment})


def _is_target(named: TargetInfo | TargetState) -> bool:
    """Whether it can be used and deleted; a wildcard only makes such."""
    return not wild(named.ref)


def _until(batch: Batch) -> float:
    """When the process was last seen; a killed one's batch is younger than that."""
    return batch.at if batch.observation is None else batch.observation.until


def _sited(batch: Batch) -> Iterator[tuple[Count, Site]]:
    for count in batch.counts:
        site = batch.sites.get(count.site)
        if site is not None:
            yield count, site


def _states(batch: Batch, base: Key) -> dict[Key, float]:
    states = [state.state for state in batch.states if _is_target(state)]
    return {_join(base, {names.STATE: state}): states.count(state) for state in STATES}


def _call_sites(batch: Batch, base: Key) -> dict[Key, float]:
    owners = {target.ref: target.owner for target in filter(_is_target, batch.targets)}
    numbers = dict.fromkeys(owners, 0)
    for site in batch.sites.values():
        numbers[site.target] = numbers.get(site.target, 0) + 1
    return {
        _join(base, {names.TARGET: ref, names.OWNER: owners.get(ref, "")}): number
        for ref, number in numbers.items()
    }


def _deadlines(batch: Batch, base: Key) -> dict[Key, float]:
    values: dict[Key, float] = {}
    for target in filter(_is_target, batch.targets):
        if not target.remove_by:
            continue
        from calendar import timegm  # 10 ms, which a process that leaves early may not need

        try:
            day = timegm(time.strptime(target.remove_by, "%Y-%m-%d"))
        except ValueError:
            continue  # free text that the configuration has complained about
        values[_join(base, {names.TARGET: target.ref, names.OWNER: target.owner})] = day
    return values


def _pairs(attributes: dict[str, str]) -> Key:
    return tuple(sorted((key, clean(value)) for key, value in attributes.items() if value))


def _join(base: Key, attributes: dict[str, str]) -> Key:
    return tuple(sorted((*base, *_pairs(attributes))))


class Collector:
    """Freezes the readings of one process into items."""

    def __init__(self, settings: ExporterSettings) -> None:
        self.readings = Readings(settings)
        self._shown: set[Key] = set()

    def items(self, batch: Batch) -> list[Item]:
        """One frozen collection of the current readings; before it another if a series is born with a value.

        That first one, a millisecond older, shows the newborn series at 0.
        """
        now = self.readings.values
        uses = now[names.METRIC_USES]
        born = {key for key, value in uses.items() if value and key not in self._shown}
        self._shown.update(uses)
        at = int(batch.at * 1e9)
        made = []
        if born:
            zeros: dict[Key, float] = {key: 0 if key in born else value for key, value in uses.items()}
            made.append(freeze({**now, names.METRIC_USES: zeros}, batch, at - 1_000_000))
        made.append(freeze(now, batch, at))
        return made


def freeze(values: dict[str, dict[Key, float]], batch: Batch, at_ns: int) -> Item:
    """A collection as an item: numbers, attributes and instants, with the process whose resource it has."""
    process = batch.process
    # Counters began with the process: its id is in the resource, so a restart begins a series of its own.
    start = str(int(process.started * 1e9))
    points: dict[str, list[list[Any]]] = {
        name: [[dict(key), value] for key, value in by_key.items()]
        for name, by_key in values.items()
        if by_key
    }
    fields = {
        "event": METRICS,
        "process": process.id,
        "service": process.service,
        "environment": process.environment,
        "release": process.release,
        "start": start,
        "at": str(at_ns),
        "points": points,
    }
    return {
        "insertId": digest(process.id, at_ns, METRICS),
        "timestamp": rfc3339(batch.at),
        "payload": {"message": METRICS, "lastcall": fields},
    }
