"""The PromQL over the log-based metrics. Same rules as in `promql`.

A log-based metric exists once for each type of monitored resource, and PromQL refuses to read it without
naming one. The files name Cloud Run; `lastcall gcp --resource-type` and the Terraform variable put another in
its place.
These metrics are of kind DELTA: a series that is born with a value is counted in full.
"""

from __future__ import annotations

from source.promql import ALIVE

RESOURCE = 'monitored_resource="cloud_run_revision"'
COUNTED = 'allowed!="true"'
SITE = "target, file, function"
"""A call site without its line, which moves with every edit above it."""
PLACE = "service, environment"


def series(metric: str, *matchers: str) -> str:
    """A selector. `metric` is the id of a log-based metric, with `_sum` or `_count` for a distribution."""
    return f"logging_googleapis_com:user_lastcall_{metric}{{{','.join((RESOURCE, *matchers))}}}"


class Board:
    """The dashboard's queries. `variables` puts the dashboard's filters in them; alerts have none."""

    def __init__(self, *, variables: bool = True) -> None:
        self._place = ("${service}", "${environment}") if variables else ()
        self._who = (*self._place, "${target}", "${owner}") if variables else ()

    def uses(self) -> str:
        """The uses that count, allowed ones left out."""
        return series("uses_sum", COUNTED, *self._who)

    def sites(self) -> str:
        """The same, by call site."""
        return series("call_sites", COUNTED, *self._who)

    def placed(self, metric: str) -> str:
        """A metric that has a service and an environment and no target."""
        return series(metric, *self._place)

    def targeted(self, metric: str, *matchers: str) -> str:
        """A metric under all of the dashboard's filters."""
        return series(metric, *matchers, *self._who)

    def or_watched_zero(self, value: str) -> str:
        """See `promql.or_watched_zero`; the sign of life is an observation entry."""
        alive = f"sum(increase({self.placed('observations')}[{ALIVE}])) > 0"
        return f"({value}) > 0 or (vector(0) and on () ({alive}))"

    def overdue(self, window: str) -> str:
        """Uses in `window` of targets past their remove_by date."""
        series_ = self.targeted("overdue_uses_sum")
        return f"sum by (target, owner, remove_by) (increase({series_}[{window}])) > 0"

    def targets_in_use(self, window: str) -> str:
        """Number of targets used in `window`."""
        return self.or_watched_zero(f"count(sum by (target) (increase({self.uses()}[{window}])) > 0)")

    def call_sites(self, window: str) -> str:
        """Number of lines of code that used a target in `window`."""
        return self.or_watched_zero(
            f"count(sum by (target, file, line) (increase({self.sites()}[{window}])) > 0)"
        )

    def new_call_sites(self) -> str:
        """Call sites of this week that the thirty days before did not have."""
        return self.or_watched_zero(f"count({self._new_sites('7d', '30d')})")

    def _new_sites(self, window: str, before: str) -> str:
        return (
            f"sum by ({SITE}) (increase({self.sites()}[{window}])) > 0 "
            f"unless on ({SITE}) sum by ({SITE}) (increase({self.sites()}[{before}] offset {window})) > 0"
        )

    def new_call_sites_table(self) -> str:
        """The same, one row each."""
        return self._new_sites("7d", "30d")

    def uses_within(self, window: str) -> str:
        """Number of uses in `window`."""
        return self.or_watched_zero(f"sum(increase({self.uses()}[{window}]))")

    def uses_within_before(self, window: str, before: str) -> str:
        """Number of uses in `window`, as of `before` ago."""
        return f"sum(increase({self.uses()}[{window}] offset {before}))"

    def uses_by(self, window: str, labels: str) -> str:
        """Uses in `window` by label."""
        return f"sum by ({labels}) (increase({self.uses()}[{window}])) > 0"

    def findings(self, kind: str, window: str) -> str:
        """Number of findings of one kind."""
        return self.or_watched_zero(
            f"sum(increase({self.targeted('findings_sum', _finding(kind))}[{window}]))"
        )

    def findings_by(self, kind: str, window: str, labels: str) -> str:
        """The same by label."""
        return f"sum by ({labels}) (increase({self.targeted('findings_sum', _finding(kind))}[{window}])) > 0"

    def mean(self, metric: str, window: str) -> str:
        """What the average process states, by service."""
        total, entries = (
            f"sum by (service) (increase({self.placed(metric + end)}[{window}]))"
            for end in ("_sum", "_count")
        )
        return f"{total} / ({entries} > 0)"


def _finding(kind: str) -> str:
    return f'finding="{kind}"'


def alert_new_call_site() -> str:
    """A call site of the last ten minutes that the week before did not have."""
    b = Board(variables=False)
    labels = f"{SITE}, {PLACE}"
    return (
        f"sum by ({labels}) (increase({b.sites()}[10m])) > 0 "
        f"unless on ({labels}) sum by ({labels}) (increase({b.sites()}[7d] offset 10m)) > 0"
    )


def alert_resumed() -> str:
    """A target that was in use within the month before, not for a week, and is now."""
    b = Board(variables=False)
    labels = f"target, {PLACE}"

    def used(window: str, offset: str = "") -> str:
        return f"sum by ({labels}) (increase({b.uses()}[{window}]{offset})) > 0"

    return (
        f"{used('10m')} and on ({labels}) {used('30d', ' offset 7d')} "
        f"unless on ({labels}) {used('7d', ' offset 10m')}"
    )


def alert_observation_lost() -> str:
    """A service observed within a day, and silent for half an hour."""
    observations = Board(variables=False).placed("observations")
    return (
        f"sum by ({PLACE}) (increase({observations}[1d])) > 0 "
        f"unless on ({PLACE}) sum by ({PLACE}) (increase({observations}[{ALIVE}])) > 0"
    )
