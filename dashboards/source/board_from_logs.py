"""The Cloud Monitoring dashboard over log-based metrics: needs nothing but the agent's log entries."""

from __future__ import annotations

from typing import Any

from lastcall.exporters import names
from source.log_metrics import PAYLOAD, STATES
from source.log_promql import Board
from source.widgets import (
    HOUR,
    Row,
    bars,
    board,
    chart,
    counted,
    header,
    incidents,
    logs,
    row,
    scorecard,
    table,
    text,
)

FILTERS = ("service", "environment", "target", "owner")
METRIC = "logging.googleapis.com/user/lastcall/"
EACH = "${__interval}"
TEN_MINUTES = "600s"

READ_ME = """**Zero** is drawn only while somebody watches: a process of the service sent an observation \
within 30 minutes. *No data* means that nobody watches, not that nothing is used.

Choose a range of 90 days for the burn-down. Allowed uses are left out{scope}. \
Before you delete a shim, ask `lastcall check`: a chart is no verdict."""


def dashboard() -> dict[str, Any]:
    """The dashboard, in the service's JSON."""
    b = Board()
    return board(
        "Lastcall: road to zero",
        tuple((name, name) for name in FILTERS),
        *_headline(b),
        *_origins(b),
        *_users(b),
        *_health(b),
        header("Newest entries", "Open one for the stack of its caller"),
        row(20, logs("Uses", f'{PAYLOAD}event="{names.EVENT_USE}"', "severity>=WARNING")),
        row(12, logs("Findings", f'{PAYLOAD}event="{names.EVENT_FINDING}"')),
        row(8, text("How to read this", READ_ME.format(scope=""))),
    )


def _headline(b: Board) -> tuple[Row, ...]:
    return (
        header("Road to zero", "Deprecated entry points still in use"),
        row(
            10,
            scorecard("Targets in use, last 24 h", b.targets_in_use("1d"), warn_above=0),
            scorecard("Call sites in use, last 24 h", b.call_sites("1d"), warn_above=0),
            scorecard("Uses, last 24 h", b.uses_within("1d"), warn_above=0),
            scorecard("New call sites this week", b.new_call_sites(), warn_above=0),
        ),
        row(
            16,
            chart(
                "Burn-down: in use within the seven days before each point (choose 90 days)",
                ("targets", b.targets_in_use("7d")),
                ("call sites", b.call_sites("7d")),
                axis="in use",
                step=HOUR,
            ),
            table(
                "Targets in use this week, with their remove_by date",
                b.uses_by("7d", "target, owner, remove_by"),
                *("target", "owner", "remove_by"),
            ),
        ),
        row(
            14,
            chart(
                "Uses in 24 h, and the same a week before",
                ("24 h", b.uses_within("1d")),
                ("24 h, a week before", b.uses_within_before("1d", "7d")),
                axis="uses",
                step=HOUR,
            ),
            chart("Uses past the remove_by date, in 24 h", ("", b.overdue("1d")), axis="uses", step=HOUR),
        ),
    )


def _origins(b: Board) -> tuple[Row, ...]:
    own = "Own code (direct, self) against third-party code (indirect)"
    return (
        header("Where the uses come from"),
        row(
            14,
            bars("By target", b.uses_by(EACH, "target")),
            bars("By calling module", b.uses_by(EACH, "module")),
        ),
        row(
            14,
            bars("By service and release", b.uses_by(EACH, "service, release")),
            bars(own, b.uses_by(EACH, "origin")),
        ),
        row(
            16,
            table(
                "New call sites: this week's that the month before did not have",
                b.new_call_sites_table(),
                *("target", "file", "function"),
            ),
            counted(
                "Entries by calling file",
                f"{METRIC}call_sites",
                _variables(*FILTERS),
                ("file",),
                step=HOUR,
                axis="entries",
            ),
        ),
    )


def _users(b: Board) -> tuple[Row, ...]:
    return (
        header("What users noticed", "Users mixed, and requests that failed after a deprecated use"),
        row(
            14,
            scorecard("Isolation findings, last 24 h", b.findings("isolation", "1d"), warn_above=0),
            bars("Failures after deprecated uses", b.findings_by("impact", EACH, "target"), "findings"),
            counted(
                "Uses that raised, by exception",
                f"{METRIC}failed_uses",
                _variables(*FILTERS),
                ("target", "error_type"),
                step=HOUR,
                axis="entries",
            ),
        ),
    )


def _health(b: Board) -> tuple[Row, ...]:
    return (
        header("Is anybody watching?", "Without observations a zero means nothing"),
        row(
            14,
            counted(
                "Observations by service (every ten minutes and process)",
                f"{METRIC}observations",
                _variables("service", "environment"),
                ("service", "environment"),
                step=TEN_MINUTES,
                axis="observations",
            ),
            chart(
                "Targets by state, as the average process of a service states it",
                *((state, b.mean(f"targets_{state}", "1h")) for state in STATES),
                axis="targets",
                step=TEN_MINUTES,
            ),
        ),
        row(
            12,
            *(
                chart(
                    f"{what}, mean of the processes that {verb} any",
                    ("", b.mean(metric, "1h")),
                    step=TEN_MINUTES,
                )
                for what, verb, metric in (
                    ("Dropped records", "dropped", "dropped"),
                    ("Internal errors", "had", "internal_errors"),
                )
            ),
            incidents("Open incidents"),
        ),
    )


def _variables(*variables: str) -> str:
    return " ".join(f"${{{name}}}" for name in variables)
