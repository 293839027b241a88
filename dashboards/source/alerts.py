"""The five alerts, as Cloud Monitoring policies (from logs, from metrics) and as Prometheus rules."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lastcall.exporters import names
from source import log_promql, promql
from source.log_metrics import PAYLOAD

if TYPE_CHECKING:
    from collections.abc import Callable

DAY = "86400s"


@dataclass(frozen=True)
class Alert:
    """What to tell, and how to find out from each source."""

    id: str
    rule: str
    title: str
    severity: str
    summary: str
    todo: str
    metrics: Callable[[promql.Spelling], str]
    logs: str = ""
    """PromQL over the log-based metrics; else `entries`."""
    entries: str = ""
    """A filter: one matching log entry is enough."""
    every: str = "3600s"
    """At most one notification in this time, for `entries`."""


ALERTS = (
    Alert(
        "new-call-site",
        "LastcallNewCallSite",
        "new call site of a deprecated target",
        "WARNING",
        "A line of code that was not there last week uses a deprecated target.",
        "Move the new caller to the replacement before it spreads. The newest entries on the dashboard have "
        "its stack; `lastcall explain TARGET` lists every caller.",
        promql.alert_new_call_site,
        logs=log_promql.alert_new_call_site(),
    ),
    Alert(
        "uses-resumed",
        "LastcallUsesResumed",
        "uses resumed after zero",
        "WARNING",
        "A deprecated target that had not been used for a week is used again.",
        "Do not delete it yet. Find the caller with `lastcall explain TARGET`: rare code (a monthly job, an "
        "error path) or a release that was rolled back.",
        promql.alert_resumed,
        logs=log_promql.alert_resumed(),
    ),
    Alert(
        "past-remove-by",
        "LastcallPastRemoveBy",
        "target past its remove_by date still in use",
        "ERROR",
        "The date set for the removal of a target has passed, and it is still used.",
        "Move its callers, or set a new date in the configuration and say why.",
        promql.alert_overdue,
        every=DAY,
        entries=f'{PAYLOAD}event="{names.EVENT_USE}" AND {PAYLOAD}overdue=true AND NOT {PAYLOAD}allowed=true',
    ),
    Alert(
        "isolation",
        "LastcallIsolation",
        "users mixed",
        "CRITICAL",
        "One object was handed to two users, or made for none.",
        "Treat it as a data leak until shown otherwise. The finding's entry names the call site; "
        "`lastcall report` lists all findings.",
        promql.alert_isolation,
        every="300s",
        entries=f'{PAYLOAD}event="{names.EVENT_FINDING}" AND {PAYLOAD}finding="isolation"',
    ),
    Alert(
        "observation-lost",
        "LastcallObservationLost",
        "observation lost",
        "WARNING",
        "A service that was observed has sent no explicit zero for 30 minutes.",
        "Until it is back, no zero counts. Check that the service runs with LASTCALL_ENABLED=1, and run "
        "`lastcall doctor` where it runs. A service scaled to zero is not observed either.",
        promql.alert_observation_lost,
        logs=log_promql.alert_observation_lost(),
    ),
)

PLAIN = promql.Spelling(dotted=True)
PROMETHEUS = promql.Spelling(dotted=False, units=promql.PROMETHEUS_UNITS)


def policies() -> dict[str, dict[str, Any]]:
    """Every Cloud Monitoring alert policy by its id."""
    found = {}
    for alert in ALERTS:
        condition = _on_metrics(alert, alert.logs) if alert.logs else _on_entries(alert)
        found[alert.id] = _policy(alert, "", condition)
        found[f"otlp-{alert.id}"] = _policy(
            alert, " (OpenTelemetry metrics)", _on_metrics(alert, alert.metrics(PLAIN))
        )
    return found


def _policy(alert: Alert, source: str, condition: dict[str, Any]) -> dict[str, Any]:
    strategy: dict[str, Any] = {"autoClose": DAY}
    if "conditionMatchedLog" in condition:
        strategy["notificationRateLimit"] = {"period": alert.every}
    return {
        "displayName": f"Lastcall: {alert.title}{source}",
        "severity": alert.severity,
        "combiner": "OR",
        "conditions": [condition],
        "alertStrategy": strategy,
        "documentation": {
            "subject": f"Lastcall: {alert.title}",
            "mimeType": "text/markdown",
            "content": f"{alert.summary}\n\n{alert.todo}",
        },
    }


def _on_metrics(alert: Alert, query: str) -> dict[str, Any]:
    return {
        "displayName": alert.title,
        "conditionPrometheusQueryLanguage": {
            "query": query,
            "duration": "0s",
            "evaluationInterval": "60s",
            "ruleGroup": "lastcall",
            "alertRule": alert.rule,
            # The metric does not exist before its first point; the policy may come first.
            "disableMetricValidation": True,
        },
    }


def _on_entries(alert: Alert) -> dict[str, Any]:
    fields = ("target", "service", "environment", "owner")
    return {
        "displayName": alert.title,
        "conditionMatchedLog": {
            "filter": f"{PAYLOAD}schema={names.SCHEMA} AND {alert.entries}",
            "labelExtractors": {name: f"EXTRACT({PAYLOAD}{name})" for name in fields},
        },
    }


def prometheus_rules() -> str:
    """The rule file for Prometheus, Mimir, vmalert or Grafana, as YAML."""
    levels = {"WARNING": "warning", "ERROR": "error", "CRITICAL": "critical"}
    lines = ["groups:", "  - name: lastcall", "    rules:"]
    for alert in ALERTS:
        lines += [
            f"      - alert: {alert.rule}",
            "        expr: >-",
            f"          {alert.metrics(PROMETHEUS)}",
            "        labels:",
            f"          severity: {levels[alert.severity]}",
            "        annotations:",
            f"          summary: {json.dumps(alert.summary)}",
            f"          description: {json.dumps(alert.todo)}",
        ]
    return "\n".join(lines) + "\n"
