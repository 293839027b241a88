"""The Grafana dashboard, on OpenTelemetry metrics as Prometheus, Mimir or VictoriaMetrics name them."""

from __future__ import annotations

from typing import Any

from lastcall.exporters import names
from source import promql as q

COLUMNS = 24
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
VARIABLES = (
    ("service", names.SERVICE_NAME),
    ("environment", names.ENVIRONMENT_NAME),
    ("target", names.TARGET),
    ("owner", names.OWNER),
)
SPELLING = q.Spelling(
    dotted=False,
    units=q.PROMETHEUS_UNITS,
    filters=tuple((label, f"${name}") for name, label in VARIABLES),
)
EACH = "$__interval"
Panel = dict[str, Any]
Row = tuple[int, tuple[Panel, ...]]
"""Height and panels; the panels share the width evenly."""

READ_ME = """**Zero** is drawn only while somebody watches: a process of the service reported within \
30 minutes. *No data* means that nobody watches, not that nothing is used.

Releases appear where the backend keeps the resource attribute `service.version` as a label, calling files \
where the agents run with `LASTCALL_METRICS_BY_SITE`. Allowed uses are included. Before you delete a shim, \
ask `lastcall check`: a chart is no verdict."""


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana imports it."""
    return {
        "uid": "lastcall-road-to-zero",
        "title": "Lastcall: road to zero",
        "description": "Deprecated entry points still in use, burning down to zero.",
        "tags": ["lastcall", "deprecation"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "time": {"from": "now-90d", "to": "now"},
        "refresh": "5m",
        "templating": {"list": _variables()},
        "annotations": {"list": []},
        "panels": _placed(_rows(SPELLING)),
    }


def _variables() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "type": "datasource",
            "name": "datasource",
            "label": "Data source",
            "query": "prometheus",
            "hide": 0,
        },
    ]
    plain = q.Spelling(dotted=False, units=q.PROMETHEUS_UNITS)
    for name, label in VARIABLES:
        query = f"label_values({plain.series(names.METRIC_USES)}, {plain.label(label)})"
        found.append(
            {
                "type": "query",
                "name": name,
                "label": name.capitalize(),
                "datasource": DATASOURCE,
                "hide": 0,
                "query": {"query": query, "refId": name},
                "refresh": 2,
                "sort": 1,
                "multi": True,
                "includeAll": True,
                "allValue": ".*",
                "current": {"text": "All", "value": "$__all"},
            }
        )
    return found


def _rows(s: q.Spelling) -> tuple[Row, ...]:
    return (
        *_headline(s),
        *_origins(s),
        *_users(s),
        *_health(s),
        _row(4, _text("How to read this", READ_ME)),
    )


def _headline(s: q.Spelling) -> tuple[Row, ...]:
    return (
        _heading("Road to zero"),
        _row(
            5,
            _stat("Targets in use, last 24 h", q.targets_in_use(s, "1d")),
            _stat("Call sites in use, last 24 h (at least)", q.call_sites(s, "1d")),
            _stat("Uses, last 24 h", q.uses_within(s, "1d")),
            _stat("New call sites this week", q.new_call_sites(s)),
        ),
        _row(
            9,
            _lines(
                "Burn-down: in use within the seven days before each point",
                ("targets in use", q.targets_in_use(s, "7d")),
                ("call sites in use", q.call_sites(s, "7d")),
                ("targets whose remove_by is still ahead", q.deadlines_ahead(s)),
                interval="6h",
            ),
            _table(
                "Targets in use this week, with their remove_by date",
                q.uses_by(s, "7d", names.TARGET, names.OWNER, names.REMOVE_BY),
            ),
        ),
        _row(
            8,
            _lines(
                "Uses in 24 h, and the same a week before",
                ("24 h", q.uses_within(s, "1d")),
                ("24 h, a week before", q.uses_within_before(s, "1d", "7d")),
                interval="1h",
            ),
            _table("Past remove_by and still used: days late", q.overdue(s, "7d")),
        ),
    )


def _origins(s: q.Spelling) -> tuple[Row, ...]:
    own = "Own code (direct, self) against third-party code (indirect)"
    return (
        _heading("Where the uses come from"),
        _row(8, _bars(s, "By target", names.TARGET), _bars(s, "By calling file", names.CODE_FILE)),
        _row(
            8,
            _bars(s, "By service and release", names.SERVICE_NAME, names.SERVICE_VERSION),
            _bars(s, own, names.ORIGIN),
        ),
    )


def _users(s: q.Spelling) -> tuple[Row, ...]:
    target = _legend(s, names.TARGET)
    impact = q.findings_by_target(s, "impact", "1d")
    return (
        _heading("What users noticed"),
        _row(
            8,
            _stat("Isolation findings, last 24 h", q.findings_total(s, "isolation", "1d")),
            _lines("Failures after deprecated uses, in 24 h", (target, impact)),
            _lines("Uses that raised, in 24 h", (target, q.failed_uses(s, "1d"))),
        ),
    )


def _health(s: q.Spelling) -> tuple[Row, ...]:
    place = _legend(s, names.SERVICE_NAME, names.ENVIRONMENT_NAME)
    return (
        _heading("Is anybody watching?"),
        _row(
            8,
            _lines("Observed processes", (place, q.processes(s))),
            _lines("Targets by state", (_legend(s, names.STATE, names.SERVICE_NAME), q.states(s))),
            _lines(
                "Dropped records and internal errors",
                (_legend(s, names.REASON, names.SERVICE_NAME), q.dropped(s)),
                (_legend(s, names.SLUG, names.SERVICE_NAME), q.internal_errors(s)),
            ),
        ),
    )


def _legend(s: q.Spelling, *labels: str) -> str:
    return " ".join(f"{{{{{s.legend(label)}}}}}" for label in labels)


def _placed(rows: tuple[Row, ...]) -> list[Panel]:
    panels: list[Panel] = []
    y = 0
    for height, row in rows:
        width = COLUMNS // len(row)
        for number, panel in enumerate(row):
            position = {"x": number * width, "y": y, "w": width, "h": height}
            panels.append({"id": len(panels) + 1, **panel, "gridPos": position})
        y += height
    return panels


def _row(height: int, *panels: Panel) -> Row:
    return height, panels


def _heading(title: str) -> Row:
    return 1, ({"type": "row", "title": title, "collapsed": False, "panels": []},)


def _text(title: str, content: str) -> Panel:
    return {"type": "text", "title": title, "options": {"mode": "markdown", "content": content}}


def _target(expr: str, legend: str = "", ref: str = "A", **more: Any) -> dict[str, Any]:
    return {"refId": ref, "datasource": DATASOURCE, "expr": expr, "legendFormat": legend or "__auto", **more}


def _stat(title: str, expr: str) -> Panel:
    steps = [{"color": "green", "value": None}, {"color": "orange", "value": 1}]
    return {
        "type": "stat",
        "title": title,
        "datasource": DATASOURCE,
        # The present alone: the newest point of a range may be an old one, and stand for a present that
        # nobody watches.
        "targets": [_target(expr, instant=True, range=False)],
        "options": {
            "reduceOptions": {"calcs": ["last"], "fields": "", "values": False},
            "colorMode": "value",
            "graphMode": "none",
            "textMode": "auto",
        },
        "fieldConfig": {
            "defaults": {
                "noValue": "nobody is watching",
                "decimals": 0,
                "min": 0,
                "thresholds": {"mode": "absolute", "steps": steps},
            },
            "overrides": [],
        },
    }


def _series(title: str, targets: list[dict[str, Any]], interval: str, custom: dict[str, Any]) -> Panel:
    return {
        "type": "timeseries",
        "title": title,
        "datasource": DATASOURCE,
        "interval": interval,
        "targets": targets,
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        # Gaps stay gaps: joining them would draw a count where nobody counted.
        "fieldConfig": {
            "defaults": {"min": 0, "decimals": 0, "custom": {"spanNulls": False, **custom}},
            "overrides": [],
        },
    }


def _lines(title: str, *lines: tuple[str, str], interval: str = "10m") -> Panel:
    targets = [_target(expr, legend, chr(ord("A") + number)) for number, (legend, expr) in enumerate(lines)]
    return _series(
        title, targets, interval, {"drawStyle": "line", "lineInterpolation": "stepAfter", "fillOpacity": 10}
    )


def _bars(s: q.Spelling, title: str, *labels: str) -> Panel:
    targets = [_target(q.uses_by(s, EACH, *labels), _legend(s, *labels))]
    return _series(
        title,
        targets,
        "1h",
        {
            "drawStyle": "bars",
            "fillOpacity": 80,
            "lineWidth": 0,
            "stacking": {"mode": "normal", "group": "A"},
        },
    )


def _table(title: str, expr: str) -> Panel:
    return {
        "type": "table",
        "title": title,
        "datasource": DATASOURCE,
        "targets": [_target(expr, format="table", instant=True)],
        "transformations": [{"id": "organize", "options": {"excludeByName": {"Time": True}}}],
        "options": {"showHeader": True, "sortBy": [{"displayName": "Value", "desc": True}]},
        "fieldConfig": {"defaults": {"decimals": 0, "custom": {"align": "auto"}}, "overrides": []},
    }
