"""The widgets of Cloud Monitoring dashboards that ours are made of, and a layout that cannot overlap.

Only fields that `google.cloud.monitoring_dashboard_v1` has: the console's exports hold others, which Google's
own clients refuse.
"""

from __future__ import annotations

from typing import Any

COLUMNS = 48
HOUR = "3600s"
Widget = dict[str, Any]
Row = tuple[int, tuple[Widget, ...]]
"""Height and widgets; the widgets share the width evenly."""


def header(title: str, subtitle: str = "") -> Row:
    """A heading over the whole width, a row of its own."""
    return 4, ({"title": title, "sectionHeader": {"subtitle": subtitle, "dividerBelow": True}},)


def text(title: str, content: str) -> Widget:
    """Markdown."""
    return {"title": title, "text": {"content": content, "format": "MARKDOWN"}}


def scorecard(
    title: str, promql: str, *, warn_above: float | None = None, warn_below: float | None = None
) -> Widget:
    """One number and its past. Yellow above or below a value."""
    thresholds = [
        {"value": value, "color": "YELLOW", "direction": direction}
        for value, direction in ((warn_above, "ABOVE"), (warn_below, "BELOW"))
        if value is not None
    ]
    return {
        "title": title,
        "scorecard": {
            "timeSeriesQuery": {"prometheusQuery": promql},
            "sparkChartView": {"sparkChartType": "SPARK_LINE"},
            "thresholds": thresholds,
        },
    }


def chart(title: str, *lines: tuple[str, str], plot: str = "LINE", axis: str = "", step: str = "") -> Widget:
    """A chart of PromQL queries, each with its legend (empty: the labels)."""
    sets = []
    for legend, promql in lines:
        data = {"plotType": plot, "targetAxis": "Y1", "timeSeriesQuery": {"prometheusQuery": promql}}
        if legend:
            data["legendTemplate"] = legend
        if step:
            data["minAlignmentPeriod"] = step
        sets.append(data)
    return {
        "title": title,
        "xyChart": {
            "chartOptions": {"mode": "COLOR"},
            "dataSets": sets,
            "yAxis": {"label": axis, "scale": "LINEAR"},
        },
    }


def bars(title: str, promql: str, axis: str = "uses") -> Widget:
    """One query as bars, stacked by its labels, an hour each."""
    return chart(title, ("", promql), plot="STACKED_BAR", axis=axis, step=HOUR)


def counted(
    title: str, metric_type: str, variables: str, group_by: tuple[str, ...], *, step: str, axis: str
) -> Widget:
    """A stacked chart of a log-based counter by label, whatever resource the entries came from."""
    query = {
        "filter": f'metric.type="{metric_type}" {variables}'.strip(),
        "aggregation": {
            "alignmentPeriod": step,
            "perSeriesAligner": "ALIGN_DELTA",
            "crossSeriesReducer": "REDUCE_SUM",
            "groupByFields": [f'metric.label."{label}"' for label in group_by],
        },
    }
    data = {
        "plotType": "STACKED_BAR",
        "targetAxis": "Y1",
        "minAlignmentPeriod": step,
        "legendTemplate": " ".join(f"${{metric.labels.{label}}}" for label in group_by),
        "timeSeriesQuery": {"timeSeriesFilter": query, "unitOverride": "1"},
    }
    return {
        "title": title,
        "xyChart": {
            "chartOptions": {"mode": "COLOR"},
            "dataSets": [data],
            "yAxis": {"label": axis, "scale": "LINEAR"},
        },
    }


def table(title: str, promql: str, *columns: str) -> Widget:
    """The labels of the newest points, with their value as a bar."""
    return {
        "title": title,
        "timeSeriesTable": {
            "metricVisualization": "BAR",
            "dataSets": [
                {
                    "timeSeriesQuery": {"prometheusQuery": promql},
                    "tableDisplayOptions": {"shownColumns": [*columns, "value"]},
                }
            ],
        },
    }


def logs(title: str, *conditions: str) -> Widget:
    """The newest log entries that fulfil all conditions, with everything in them."""
    return {"title": title, "logsPanel": {"filter": "\n".join(conditions)}}


def incidents(title: str) -> Widget:
    """Open incidents of the project."""
    return {"title": title, "incidentList": {}}


def row(height: int, *widgets: Widget) -> Row:
    """Widgets side by side."""
    return height, widgets


def layout(*rows: Row) -> dict[str, Any]:
    """Rows one below the other."""
    tiles = []
    y = 0
    for height, widgets in rows:
        width = COLUMNS // len(widgets)
        for number, widget in enumerate(widgets):
            tiles.append(
                {"xPos": number * width, "yPos": y, "width": width, "height": height, "widget": widget}
            )
        y += height
    return {"columns": COLUMNS, "tiles": tiles}


def board(title: str, filters: tuple[tuple[str, str], ...], *rows: Row) -> dict[str, Any]:
    """A dashboard. `filters` are pairs of template variable and metric label."""
    return {
        "displayName": title,
        "dashboardFilters": [
            {
                "filterType": "METRIC_LABEL",
                "labelKey": label,
                "templateVariable": variable,
                "stringValue": "*",
            }
            for variable, label in filters
        ],
        "mosaicLayout": layout(*rows),
    }
