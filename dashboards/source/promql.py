"""The PromQL of every dashboard and alert, written once.

The same query is needed in two spellings: OpenTelemetry metrics with dots in their names (Google's Telemetry
API, VictoriaMetrics) and the same metrics as Prometheus renames them (Grafana on Prometheus or Mimir). A
`Spelling` knows one of them, the functions below know the questions. `log_promql` asks log-based metrics.

Two rules hold for all of them:

* Zero is shown only while somebody is watching. `or vector(0)` alone turns "no agent is running" into
  "nothing is used". `or_watched_zero` adds the zero only where a sign of life was seen.
* A series that is born with a value is not lost. `increase()` needs a point before the first use, which the
  exporter sends for `lastcall.uses`; for the other counters `grown` counts a newborn series from zero. It is
  exact because a series belongs to one process (`service.instance.id`) and never resets.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lastcall.exporters import names

ALIVE = "30m"
"""How old a sign of life may be: observations come every ten minutes, so three in a row are missing."""


DAY = 86400
"""Seconds. The metric holds the first instant of the last day; a target is late when that day is over."""


@dataclass(frozen=True)
class Spelling:
    """How one backend names metrics and labels."""

    dotted: bool
    filters: tuple[tuple[str, str], ...] = ()
    """Label and regular expression (a dashboard variable) of the filters every query carries."""
    units: dict[str, str] = field(default_factory=dict)
    """Prometheus appends the unit, and `_total` to a counter."""

    def label(self, name: str) -> str:
        """A label's name as it stands in `by (...)` and in a matcher."""
        return f'"{name}"' if self.dotted and "." in name else name.replace(".", "_")

    def legend(self, name: str) -> str:
        """A label's name as a legend template refers to it."""
        return name if self.dotted else name.replace(".", "_")

    def series(self, metric: str, *matchers: str, only: tuple[str, ...] | None = None) -> str:
        """A selector of `metric` under the dashboard's filters, or under those on the labels in `only`."""
        filters = [
            f'{self.label(label)}=~"{value}"'
            for label, value in self.filters
            if only is None or label in only
        ]
        inner = [*filters, *matchers]
        if self.dotted:
            return "{" + ",".join([f'"{metric}"', *inner]) + "}"
        name = metric.replace(".", "_") + (
            "_total" if metric in names.COUNTERS else self.units.get(metric, "")
        )
        return name + ("{" + ",".join(inner) + "}" if inner else "")

    def is_(self, label: str, value: str) -> str:
        """A matcher on one value."""
        return f'{self.label(label)}="{value}"'

    def by(self, *labels: str) -> str:
        """A grouping clause."""
        return f"by ({', '.join(map(self.label, labels))})"

    def on(self, *labels: str) -> str:
        """A matching clause."""
        return f"on ({', '.join(map(self.label, labels))})"


PROMETHEUS_UNITS = {names.METRIC_OBSERVED_TIME: "_seconds", names.METRIC_REMOVE_BY_TIME: "_seconds"}

PLACE = (names.SERVICE_NAME, names.ENVIRONMENT_NAME)
"""The labels that every metric carries."""
WHO = (names.TARGET, *PLACE)


def alive(s: Spelling, window: str = ALIVE) -> str:
    """One series, without labels, while some process reports; none otherwise."""
    return f"count(last_over_time({s.series(names.METRIC_OBSERVED_TIME, only=PLACE)}[{window}])) > 0"


def or_watched_zero(s: Spelling, value: str) -> str:
    """`value` above zero; 0 where it is not and somebody is watching; nothing where nobody is."""
    return f"({value}) > 0 or (vector(0) and on () ({alive(s)}))"


def grown(series: str, window: str) -> str:
    """By how much each series grew over `window`, newborn ones from zero. For series that never reset.

    A series counts as newborn if it had no point in the hour before the window.
    """
    return (
        f"max_over_time({series}[{window}]) - "
        f"(last_over_time({series}[1h] offset {window}) or 0 * max_over_time({series}[{window}]))"
    )


def uses(s: Spelling, *matchers: str) -> str:
    """The selector of the counter of uses."""
    return s.series(names.METRIC_USES, *matchers)


def targets_in_use(s: Spelling, window: str) -> str:
    """Number of targets used at least once in `window`."""
    return or_watched_zero(s, f"count(sum {s.by(names.TARGET)} (increase({uses(s)}[{window}])) > 0)")


def call_sites(s: Spelling, window: str) -> str:
    """Call sites seen by processes alive in `window`: at least, since one may miss what another saw."""
    most = f"max {s.by(*WHO)} (max_over_time({_sites(s)}[{window}]))"
    return or_watched_zero(s, f"sum({most})")


def _sites(s: Spelling) -> str:
    return s.series(names.METRIC_CALL_SITES)


def new_call_sites(s: Spelling, window: str = "7d") -> str:
    """Call sites seen in the last day beyond those seen before `window`."""
    now = f"max {s.by(*WHO)} (max_over_time({_sites(s)}[1d]))"
    before = f"max {s.by(*WHO)} (max_over_time({_sites(s)}[{window}] offset {window}))"
    return or_watched_zero(s, f"sum(clamp_min({now} - ({before} or 0 * {now}), 0))")


def uses_within(s: Spelling, window: str) -> str:
    """Exact number of uses in `window`."""
    return or_watched_zero(s, f"sum({grown(uses(s), window)})")


def uses_within_before(s: Spelling, window: str, before: str) -> str:
    """Number of uses in `window`, as of `before` ago; nothing if nobody was watching then."""
    return f"sum(increase({uses(s)}[{window}] offset {before}))"


def uses_by(s: Spelling, window: str, *labels: str) -> str:
    """Uses in `window` by label. Series without a use are left out."""
    return f"sum {s.by(*labels)} (increase({uses(s)}[{window}])) > 0"


def deadlines_ahead(s: Spelling) -> str:
    """Number of targets whose `remove_by` is still to come: the burn-down as promised."""
    deadline = f"max {s.by(names.TARGET)} ({s.series(names.METRIC_REMOVE_BY_TIME)})"
    return f"count({deadline} + {DAY} > time()) or 0 * count({deadline})"


def overdue(s: Spelling, window: str = "1d") -> str:
    """Days past `remove_by`, by target and owner, of targets that are still used."""
    deadline = f"max {s.by(names.TARGET)} (last_over_time({s.series(names.METRIC_REMOVE_BY_TIME)}[1h]))"
    used = f"sum {s.by(names.TARGET, names.OWNER)} ({grown(uses(s), window)}) > 0"
    late = f"(time() - {deadline}) / {DAY} - 1 > 0"
    return f"0 * ({used}) + {s.on(names.TARGET)} group_left () ({late})"


def failed_uses(s: Spelling, window: str) -> str:
    """Uses that raised, by target."""
    return f"sum {s.by(names.TARGET)} ({grown(s.series(names.METRIC_FAILED_USES), window)}) > 0"


FINDING_FILTERS = (names.TARGET, *PLACE)
"""Findings carry no owner."""


def findings(s: Spelling, kind: str, window: str) -> str:
    """The growth of the findings of one kind, for each series."""
    return grown(s.series(names.METRIC_FINDINGS, s.is_(names.FINDING, kind), only=FINDING_FILTERS), window)


def findings_total(s: Spelling, kind: str, window: str) -> str:
    """Number of findings of one kind in `window`."""
    return or_watched_zero(s, f"sum({findings(s, kind, window)})")


def findings_by_target(s: Spelling, kind: str, window: str) -> str:
    """The same by target."""
    return f"sum {s.by(names.TARGET)} ({findings(s, kind, window)}) > 0"


def states(s: Spelling) -> str:
    """Targets in each state, by service: what most of its processes say."""
    series = s.series(names.METRIC_TARGETS, only=PLACE)
    return f"max {s.by(names.STATE, names.SERVICE_NAME)} ({series})"


def processes(s: Spelling) -> str:
    """Processes observed now, by service and environment."""
    return f"count {s.by(*PLACE)} ({s.series(names.METRIC_OBSERVED_TIME, only=PLACE)})"


def dropped(s: Spelling) -> str:
    """Records dropped by the live processes, by reason."""
    return f"sum {s.by(names.REASON, names.SERVICE_NAME)} ({s.series(names.METRIC_DROPPED, only=PLACE)})"


def internal_errors(s: Spelling) -> str:
    """Internal errors of the live processes, by slug."""
    return (
        f"sum {s.by(names.SLUG, names.SERVICE_NAME)} ({s.series(names.METRIC_INTERNAL_ERRORS, only=PLACE)})"
    )


# -- alerts: the result is empty when all is well ---------------------------------------------------------


def alert_new_call_site(s: Spelling) -> str:
    """A target has more call sites in some service than any process of it reported in the week before."""
    now = f"max {s.by(*WHO)} (last_over_time({_sites(s)}[10m]))"
    before = f"max {s.by(*WHO)} (max_over_time({_sites(s)}[7d] offset 10m))"
    return f"{now} > {before} or ({now} > 0 unless {s.on(*WHO)} {before})"


def alert_resumed(s: Spelling) -> str:
    """A target is used again after a week in which it was watched and not used."""
    now = f"sum {s.by(*WHO)} ({grown(uses(s), '10m')}) > 0"
    before = f"sum {s.by(*WHO)} (increase({uses(s)}[7d] offset 10m)) == 0"
    return f"{now} and {s.on(*WHO)} {before}"


def alert_overdue(s: Spelling) -> str:
    """A target past its `remove_by` was used within a day. The value is the number of days it is late."""
    return overdue(s)


def alert_isolation(s: Spelling) -> str:
    """Users were mixed within the last hour."""
    return f"sum {s.by(*WHO)} ({findings(s, 'isolation', '1h')}) > 0"


def alert_observation_lost(s: Spelling) -> str:
    """A service that was observed within a day has sent no sign of life for half an hour."""
    life = s.series(names.METRIC_OBSERVED_TIME, only=PLACE)
    return (
        f"count {s.by(*PLACE)} (last_over_time({life}[1d])) "
        f"unless {s.on(*PLACE)} count {s.by(*PLACE)} (last_over_time({life}[{ALIVE}]))"
    )
