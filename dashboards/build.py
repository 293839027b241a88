# ruff: noqa: INP001 - a script, not a package
"""Writes the dashboards, alerts and metric definitions from `source/`. With `--check` it only compares.

    python dashboards/build.py            after a change below dashboards/source
    python dashboards/build.py --check    exits with 1 if a file is not what the source makes

The files are what `lastcall gcp`, Terraform, gcloud and Grafana load; nobody needs this script for that.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "agent")]

from source import alerts, board_from_logs, board_from_metrics, grafana, log_metrics  # noqa: E402 - found by the line above


def files() -> dict[str, str]:
    """Every generated file's text, by its path below `dashboards/`."""
    found: dict[str, str] = {}
    boards = {
        "road-to-zero": board_from_logs.dashboard(),
        "otlp-road-to-zero": board_from_metrics.dashboard(),
    }
    for folder, resources in (
        ("cloud-monitoring/log-metrics", log_metrics.metrics()),
        ("cloud-monitoring/alerts", alerts.policies()),
        ("cloud-monitoring/dashboards", boards),
        ("grafana", {"lastcall": grafana.dashboard()}),
    ):
        found |= {f"{folder}/{name}.json": _json(body) for name, body in resources.items()}
    found["prometheus/lastcall.rules.yml"] = alerts.prometheus_rules()
    return found


def _json(body: object) -> str:
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n"


def stale() -> list[str]:
    """The paths whose files are missing or differ."""
    return [
        name
        for name, text in files().items()
        if not (HERE / name).is_file() or (HERE / name).read_text(encoding="utf-8") != text
    ]


def main() -> int:
    """Write or compare."""
    differing = stale()
    if "--check" in sys.argv[1:]:
        for name in differing:
            print(f"dashboards/{name} is not what dashboards/source makes: run python dashboards/build.py")
        return 1 if differing else 0
    made = files()
    for name in differing:
        path = HERE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(made[name], encoding="utf-8")
        print(f"wrote dashboards/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
