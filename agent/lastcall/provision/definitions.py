"""Reads the JSON files under `dashboards/cloud-monitoring`: one resource a file, its name the slug."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from lastcall.errors import UsageError
from lastcall.provision.kinds import ALERT_POLICY, KINDS, Body, Kind, mark, normalise

DEFAULT_RESOURCE_TYPE = "cloud_run_revision"
OTLP_PREFIX = "otlp-"
"""Begins the name of a file that reads OpenTelemetry metrics; the others read log entries."""
SOURCES = ("logs", "otlp", "both")
_RESOURCE_MATCHER = 'monitored_resource="{}"'


@dataclass(frozen=True, slots=True)
class Definition:
    """A resource as the files want it: normalised, and marked as ours."""

    kind: Kind
    slug: str
    body: Body


def folder() -> Path:
    """Where the files are: in the installed package, or in the source tree beside it.

    Raises UsageError if neither is there, which means a broken installation.
    """
    here = Path(__file__).resolve()
    for place in (here.parent / "cloud-monitoring", here.parents[3] / "dashboards" / "cloud-monitoring"):
        if place.is_dir():
            return place
    raise UsageError(
        f"the dashboard files are missing: expected a folder cloud-monitoring beside {here.name} in "
        f"{here.parent}; install lastcall again"
    )


def load(
    source: Path | None = None,
    *,
    reads: str = "both",
    resource_type: str = DEFAULT_RESOURCE_TYPE,
    notification_channels: tuple[str, ...] = (),
) -> tuple[Definition, ...]:
    """Every definition below `source` (default: the shipped files), in the order of creation.

    `reads` is one of SOURCES: dashboards and alerts over log entries, over OpenTelemetry metrics, or both.
    `resource_type` is the monitored resource the agents run on. A log-based metric exists once for each type,
    and PromQL refuses to read one without naming it; the files name the default.
    Raises UsageError for a file that is no JSON, or that Google's own types refuse.
    """
    root = source or folder()
    found = []
    for kind in KINDS:
        for path in sorted((root / kind.folder).glob("*.json")):
            if reads != "both" and path.stem.startswith(OTLP_PREFIX) != (reads == "otlp"):
                continue
            body = _read(kind, path, resource_type)
            if kind is ALERT_POLICY and notification_channels:
                body["notificationChannels"] = list(notification_channels)
            found.append(Definition(kind, path.stem, mark(kind, path.stem, body)))
    if not found:
        raise UsageError(
            f"no definitions below {root}: expected JSON files in log-metrics/, alerts/, dashboards/"
        )
    return tuple(found)


def _read(kind: Kind, path: Path, resource_type: str) -> Body:
    text = path.read_text(encoding="utf-8")
    if resource_type != DEFAULT_RESOURCE_TYPE:
        text = text.replace(_escaped(DEFAULT_RESOURCE_TYPE), _escaped(resource_type))
    try:
        return normalise(kind, json.loads(text))
    except ValueError as error:
        raise UsageError(f"{path} is not a valid {kind.name}: {error}") from error


def _escaped(resource_type: str) -> str:
    # As it stands inside a JSON string.
    return json.dumps(_RESOURCE_MATCHER.format(resource_type))[1:-1]
