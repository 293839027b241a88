"""The Cloud Monitoring dashboard over OpenTelemetry metrics sent to Google's Telemetry API."""

from __future__ import annotations

from typing import Any

from lastcall.exporters import names
from source import promql as q
from source.board_from_logs import EACH, FILTERS, READ_ME
from source.log_metrics import PAYLOAD
from source.widgets import HOUR, Row, bars, board, chart, header, incidents, logs, row, scorecard, table, text

LABELS = (names.SERVICE_NAME, names.ENVIRONMENT_NAME, names.TARGET, names.OWNER)
SPELLING = q.Spelling(
    dotted=True,
    filters=tuple((label, f"${{{name}.value}}") for name, label in zip(FILTERS, LABELS, strict=True)),
)


def dashboard() -> dict[str, Any]:
    """The dashboard, in the service's JSON."""
    s = SPELLING
    return board(
        "Lastcall: road to zero (OpenTelemetry metrics)",
        tuple(zip(FILTERS, LABELS, strict=True)),
        *_headline(s),
        *_origins(s),
        *_users(s),
        *_health(s),
        header("Newest entries", "From Cloud Logging, where the agent writes there too"),
        row(20, logs("Uses", f'{PAYLOAD}event="{names.EVENT_USE}"', "severity>=WARNING")),
        row(8, text("How to read this", READ_ME.format(scope=" of the entries, not of the metrics"))),
    )


def _headline(s: q.Spelling) -> tuple[Row, ...]:
    late = "Past remove_by and still used: days late"
    in_use = q.uses_by(s, "7d", names.TARGET, names.OWNER, names.REMOVE_BY)
    return (
        header("Road to zero", "Deprecated entry points still in use"),
        row(
            10,
            scorecard("Targets in use, last 24 h", q.targets_in_use(s, "1d"), warn_above=0),
            scorecard("Call sites in use, last 24 h (at least)", q.call_sites(s, "1d"), warn_above=0),
            scorecard("Uses, last 24 h", q.uses_within(s, "1d"), warn_above=0),
            scorecard("New call sites this week", q.new_call_sites(s), warn_above=0),
        ),
        row(
            16,
            chart(
                "Burn-down: in use within the seven days before each point (choose 90 days)",
                ("targets in use", q.targets_in_use(s, "7d")),
                ("call sites in use", q.call_sites(s, "7d")),
                ("targets whose remove_by is still ahead", q.deadlines_ahead(s)),
                step=HOUR,
            ),
            table(late, q.overdue(s, "7d"), names.TARGET, names.OWNER),
        ),
        row(
            14,
            chart(
                "Uses in 24 h, and the same a week before",
                ("24 h", q.uses_within(s, "1d")),
                ("24 h, a week before", q.uses_within_before(s, "1d", "7d")),
                axis="uses",
                step=HOUR,
            ),
            table(
                "Targets in use this week, with their remove_by date",
                in_use,
                *(names.TARGET, names.OWNER, names.REMOVE_BY),
            ),
        ),
    )


def _origins(s: q.Spelling) -> tuple[Row, ...]:
    by_release = q.uses_by(s, EACH, names.SERVICE_NAME, names.SERVICE_VERSION)
    own = "Own code (direct, self) against third-party code (indirect)"
    by_file = q.uses_by(s, EACH, names.CODE_FILE)
    return (
        header("Where the uses come from"),
        row(
            14,
            bars("By target", q.uses_by(s, EACH, names.TARGET)),
            bars("By calling file (needs LASTCALL_METRICS_BY_SITE)", by_file),
        ),
        row(14, bars("By service and release", by_release), bars(own, q.uses_by(s, EACH, names.ORIGIN))),
    )


def _users(s: q.Spelling) -> tuple[Row, ...]:
    impact = q.findings_by_target(s, "impact", "1d")
    return (
        header("What users noticed", "Users mixed, and requests that failed after a deprecated use"),
        row(
            14,
            scorecard("Isolation findings, last 24 h", q.findings_total(s, "isolation", "1d"), warn_above=0),
            chart("Failures after deprecated uses, in 24 h", ("", impact), step=HOUR),
            chart("Uses that raised, in 24 h", ("", q.failed_uses(s, "1d")), step=HOUR),
        ),
    )


def _health(s: q.Spelling) -> tuple[Row, ...]:
    return (
        header("Is anybody watching?", "Without a live process a zero means nothing"),
        row(
            14,
            chart("Observed processes", ("", q.processes(s)), axis="processes"),
            chart("Targets by state", ("", q.states(s)), axis="targets"),
        ),
        row(
            12,
            chart("Dropped records of live processes", ("", q.dropped(s))),
            chart("Internal errors of live processes", ("", q.internal_errors(s))),
            incidents("Open incidents"),
        ),
    )
