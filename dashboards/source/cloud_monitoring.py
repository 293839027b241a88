"""The two Cloud Monitoring dashboards: from Cloud Logging alone, and from OpenTelemetry metrics."""

from __future__ import annotations

from typing import Any

from lastcall.exporters import names
from source import promql as q
from source.log_metrics import PAYLOAD, STATES
from source.log_promql import Board
from source.widgets import board, chart, counted, header, incidents, logs, scorecard, table, text

STEP = "3600s"
FILTERS = ("service", "environment", "target", "owner")
LOG_METRIC = "logging.googleapis.com/user/lastcall/"
EACH = "${__interval}"

READ_ME = """**Zero** is drawn only while somebody watches: a process of the service sent an observation \
within 30 minutes. *No data* means that nobody watches, not that nothing is used.

Choose a range of 90 days for the burn-down. Allowed uses are left out{scope}. \
Before you delete a shim, ask `lastcall check`: a chart is no verdict."""

OPENTELEMETRY = q.Spelling(
    dotted=True,
    filters=(
        (names.SERVICE_NAME, "${service.value}"),
        (names.ENVIRONMENT_NAME, "${environment.value}"),
        (names.TARGET, "${target.value}"),
        (names.OWNER, "${owner.value}"),
    ),
)


def dashboards() -> dict[str, dict[str, Any]]:
    """Both by their id."""
    return {"road-to-zero": from_logs(), "otlp-road-to-zero": from_metrics()}


def from_logs() -> dict[str, Any]:
    """The dashboard over log-based metrics."""
    b = Board()
    return board(
        "Lastcall: road to zero",
        tuple((name, name) for name in FILTERS),
        (4, (header("Road to zero", "Deprecated entry points still in use"),)),
        (
            10,
            (
                scorecard("Targets in use, last 24 h", b.targets_in_use("1d"), warn_above=0),
                scorecard("Call sites in use, last 24 h", b.call_sites("1d"), warn_above=0),
                scorecard("Uses, last 24 h", b.uses_within("1d"), warn_above=0),
                scorecard("New call sites this week", b.new_call_sites(), warn_above=0),
            ),
        ),
        (
            16,
            (
                chart(
                    "Burn-down: in use within the seven days before each point (choose 90 days)",
                    ("targets", b.targets_in_use("7d")),
                    ("call sites", b.call_sites("7d")),
                    axis="in use",
                    step=STEP,
                ),
                table(
                    "Targets in use this week, with their remove_by date",
                    b.uses_by("7d", "target, owner, remove_by"),
                    "target",
                    "owner",
                    "remove_by",
                ),
            ),
        ),
        (
            14,
            (
                chart(
                    "Uses in 24 h, and the same a week before",
                    ("24 h", b.uses_within("1d")),
                    ("24 h, a week before", b.uses_within_before("1d", "7d")),
                    axis="uses",
                    step=STEP,
                ),
                chart(
                    "Uses past the remove_by date, in 24 h",
                    ("", b.overdue("1d")),
                    axis="uses",
                    step=STEP,
                ),
            ),
        ),
        (4, (header("Where the uses come from"),)),
        (
            14,
            (
                chart(
                    "By target", ("", b.uses_by(EACH, "target")), plot="STACKED_BAR", axis="uses", step=STEP
                ),
                chart(
                    "By calling module",
                    ("", b.uses_by(EACH, "module")),
                    plot="STACKED_BAR",
                    axis="uses",
                    step=STEP,
                ),
            ),
        ),
        (
            14,
            (
                chart(
                    "By service and release",
                    ("", b.uses_by(EACH, "service, release")),
                    plot="STACKED_BAR",
                    axis="uses",
                    step=STEP,
                ),
                chart(
                    "Own code (direct, self) against third-party code (indirect)",
                    ("", b.uses_by(EACH, "origin")),
                    plot="STACKED_BAR",
                    axis="uses",
                    step=STEP,
                ),
            ),
        ),
        (
            16,
            (
                table(
                    "New call sites: this week's that the month before did not have",
                    b.new_call_sites_table(),
                    "target",
                    "file",
                    "function",
                ),
                counted(
                    "Entries by calling file",
                    f"{LOG_METRIC}call_sites",
                    _variables(FILTERS),
                    ("file",),
                    step=STEP,
                    axis="entries",
                ),
            ),
        ),
        *_users_from_logs(b),
        *_health_from_logs(b),
        (4, (header("Newest entries", "Open one for the stack of its caller"),)),
        (20, (logs("Uses", f'{PAYLOAD}event="{names.EVENT_USE}"', "severity>=WARNING"),)),
        (12, (logs("Findings", f'{PAYLOAD}event="{names.EVENT_FINDING}"'),)),
        (8, (text("How to read this", READ_ME.format(scope="")),)),
    )


def _users_from_logs(b: Board) -> tuple[Any, ...]:
    return (
        (4, (header("What users noticed", "Users mixed, and requests that failed after a deprecated use"),)),
        (
            14,
            (
                scorecard("Isolation findings, last 24 h", b.findings("isolation", "1d"), warn_above=0),
                chart(
                    "Failures after deprecated uses",
                    ("", b.findings_by("impact", EACH, "target")),
                    plot="STACKED_BAR",
                    axis="findings",
                    step=STEP,
                ),
                counted(
                    "Uses that raised, by exception",
                    f"{LOG_METRIC}failed_uses",
                    _variables(FILTERS),
                    ("target", "error_type"),
                    step=STEP,
                    axis="entries",
                ),
            ),
        ),
    )


def _health_from_logs(b: Board) -> tuple[Any, ...]:
    return (
        (4, (header("Is anybody watching?", "Without observations a zero means nothing"),)),
        (
            14,
            (
                counted(
                    "Observations by service (every ten minutes and process)",
                    f"{LOG_METRIC}observations",
                    _variables(FILTERS[:2]),
                    ("service", "environment"),
                    step="600s",
                    axis="observations",
                ),
                chart(
                    "Targets by state, as the average process of a service states it",
                    *((state, b.mean(f"targets_{state}", "1h")) for state in STATES),
                    axis="targets",
                    step="600s",
                ),
            ),
        ),
        (
            12,
            (
                chart(
                    "Dropped records, mean of the processes that dropped any",
                    ("", b.mean("dropped", "1h")),
                    step="600s",
                ),
                chart(
                    "Internal errors, mean of the processes that had any",
                    ("", b.mean("internal_errors", "1h")),
                    step="600s",
                ),
                incidents("Open incidents"),
            ),
        ),
    )


def _variables(variables: tuple[str, ...]) -> str:
    return " ".join(f"${{{name}}}" for name in variables)


def from_metrics() -> dict[str, Any]:
    """The dashboard over OpenTelemetry metrics, for projects that send OTLP to Google's Telemetry API."""
    s = OPENTELEMETRY
    labels = (names.SERVICE_NAME, names.ENVIRONMENT_NAME, names.TARGET, names.OWNER)
    return board(
        "Lastcall: road to zero (OpenTelemetry metrics)",
        tuple(zip(FILTERS, labels, strict=True)),
        (4, (header("Road to zero", "Deprecated entry points still in use"),)),
        (
            10,
            (
                scorecard("Targets in use, last 24 h", q.targets_in_use(s, "1d"), warn_above=0),
                scorecard("Call sites in use, last 24 h (at least)", q.call_sites(s, "1d"), warn_above=0),
                scorecard("Uses, last 24 h", q.uses_within(s, "1d"), warn_above=0),
                scorecard("New call sites this week", q.new_call_sites(s), warn_above=0),
            ),
        ),
        (
            16,
            (
                chart(
                    "Burn-down: in use within the seven days before each point (choose 90 days)",
                    ("targets in use", q.targets_in_use(s, "7d")),
                    ("call sites in use", q.call_sites(s, "7d")),
                    ("targets whose remove_by is still ahead", q.deadlines_ahead(s)),
                    step=STEP,
                ),
                table(
                    "Past remove_by and still used: days late", q.overdue(s, "7d"), names.TARGET, names.OWNER
                ),
            ),
        ),
        (
            14,
            (
                chart(
                    "Uses in 24 h, and the same a week before",
                    ("24 h", q.uses_within(s, "1d")),
                    ("24 h, a week before", q.uses_within_before(s, "1d", "7d")),
                    axis="uses",
                    step=STEP,
                ),
                table(
                    "Targets in use this week, with their remove_by date",
                    q.uses_by(s, "7d", names.TARGET, names.OWNER, names.REMOVE_BY),
                    names.TARGET,
                    names.OWNER,
                    names.REMOVE_BY,
                ),
            ),
        ),
        (4, (header("Where the uses come from"),)),
        (
            14,
            (
                chart(
                    "By target",
                    ("", q.uses_by(s, EACH, names.TARGET)),
                    plot="STACKED_BAR",
                    axis="uses",
                    step=STEP,
                ),
                chart(
                    "By calling file (needs LASTCALL_METRIC_CALL_SITES)",
                    ("", q.uses_by(s, EACH, names.CODE_FILE)),
                    plot="STACKED_BAR",
                    axis="uses",
                    step=STEP,
                ),
            ),
        ),
        (
            14,
            (
                chart(
                    "By service and release",
                    ("", q.uses_by(s, EACH, names.SERVICE_NAME, names.SERVICE_VERSION)),
                    plot="STACKED_BAR",
                    axis="uses",
                    step=STEP,
                ),
                chart(
                    "Own code (direct, self) against third-party code (indirect)",
                    ("", q.uses_by(s, EACH, names.ORIGIN)),
                    plot="STACKED_BAR",
                    axis="uses",
                    step=STEP,
                ),
            ),
        ),
        (4, (header("What users noticed", "Users mixed, and requests that failed after a deprecated use"),)),
        (
            14,
            (
                scorecard(
                    "Isolation findings, last 24 h", q.findings_total(s, "isolation", "1d"), warn_above=0
                ),
                chart(
                    "Failures after deprecated uses, in 24 h",
                    ("", q.findings_by_target(s, "impact", "1d")),
                    step=STEP,
                ),
                chart("Uses that raised, in 24 h", ("", q.failed_uses(s, "1d")), step=STEP),
            ),
        ),
        (4, (header("Is anybody watching?", "Without a live process a zero means nothing"),)),
        (
            14,
            (
                chart("Observed processes", ("", q.processes(s)), axis="processes"),
                chart("Targets by state", ("", q.states(s)), axis="targets"),
            ),
        ),
        (
            12,
            (
                chart("Dropped records of live processes", ("", q.dropped(s))),
                chart("Internal errors of live processes", ("", q.internal_errors(s))),
                incidents("Open incidents"),
            ),
        ),
        (4, (header("Newest entries", "From Cloud Logging, where the agent writes there too"),)),
        (20, (logs("Uses", f'{PAYLOAD}event="{names.EVENT_USE}"', "severity>=WARNING"),)),
        (8, (text("How to read this", READ_ME.format(scope=" of the entries, not of the metrics")),)),
    )
