"""Every name that leaves the process: metrics, attributes, log-entry fields, labels.

Dashboards, alerts, log-based metrics and the reader of `--source gcp` are built on these; a rename here is a
breaking change of the product. `docs/telemetry.md` says what each one holds.
"""

from __future__ import annotations

from typing import Final

SCHEMA: Final = 1
"""Version of the log-entry payload. A reader refuses a higher one instead of guessing."""

SCOPE: Final = "lastcall"
"""Instrumentation scope of spans, metrics and OTLP log records."""

LOG_ID: Final = "lastcall"
"""Entries lie under `projects/PROJECT/logs/lastcall`."""

SPAN_PREFIX: Final = "deprecated "
"""A span is called `deprecated <qualname>`."""

# -- attributes of spans and OTLP log records ---------------------------------------------------------------

CODE_FUNCTION: Final = "code.function.name"
CODE_FILE: Final = "code.file.path"
CODE_LINE: Final = "code.line.number"
CODE_STACKTRACE: Final = "code.stacktrace"
ERROR_TYPE: Final = "error.type"

TARGET: Final = "lastcall.target"
KIND: Final = "lastcall.kind"
USE: Final = "lastcall.use"
ORIGIN: Final = "lastcall.origin"
REPLACEMENT: Final = "lastcall.replacement"
SINCE: Final = "lastcall.since"
REMOVE_BY: Final = "lastcall.remove_by"
OWNER: Final = "lastcall.owner"
ISSUE: Final = "lastcall.issue"
COUNT: Final = "lastcall.count"
SITE: Final = "lastcall.site"
MODULE: Final = "lastcall.module"
EXPRESSION: Final = "lastcall.expression"
FIRST: Final = "lastcall.first"
VIA: Final = "lastcall.via"
NOTE: Final = "lastcall.note"
DURING_IMPORT: Final = "lastcall.during_import"
BY_TEST: Final = "lastcall.by_test"
SCANNER: Final = "lastcall.scanner"
ALLOWED: Final = "lastcall.allowed"
ALLOW_REASON: Final = "lastcall.allow_reason"
END_KNOWN: Final = "lastcall.end_known"
"""False on a span of zero length: the call's start was seen, its end was not."""
PROCESS: Final = "lastcall.process"
EVENT: Final = "lastcall.event"
PAYLOAD: Final = "lastcall.payload"
"""OTLP log records only: the `lastcall` object of the log entry as JSON text, for a reader that rebuilds
counts."""

# -- metrics ------------------------------------------------------------------------------------------------

METRIC_USES: Final = "lastcall.uses"
METRIC_FAILED_USES: Final = "lastcall.failed_uses"
METRIC_FINDINGS: Final = "lastcall.findings"
METRIC_TARGETS: Final = "lastcall.targets"
METRIC_CALL_SITES: Final = "lastcall.call_sites"
METRIC_OBSERVED_TIME: Final = "lastcall.observed_time"
METRIC_DROPPED: Final = "lastcall.dropped"
METRIC_INTERNAL_ERRORS: Final = "lastcall.internal_errors"
METRIC_REMOVE_BY_TIME: Final = "lastcall.remove_by_time"

COUNTERS: Final = (METRIC_USES, METRIC_FAILED_USES, METRIC_FINDINGS)
GAUGES: Final = (
    METRIC_TARGETS,
    METRIC_CALL_SITES,
    METRIC_OBSERVED_TIME,
    METRIC_DROPPED,
    METRIC_INTERNAL_ERRORS,
    METRIC_REMOVE_BY_TIME,
)

SERVICE_NAME: Final = "service.name"
SERVICE_VERSION: Final = "service.version"
SERVICE_INSTANCE_ID: Final = "service.instance.id"
ENVIRONMENT_NAME: Final = "deployment.environment.name"
STATE: Final = "lastcall.state"
REASON: Final = "lastcall.reason"
SLUG: Final = "lastcall.slug"
FINDING: Final = "lastcall.finding"

# -- log entries: keys of `jsonPayload.lastcall`
# --------------------------------------------------------------

EVENT_USE: Final = "use"
EVENT_OBSERVATION: Final = "observation"
EVENT_FINDING: Final = "finding"

FIELDS_COMMON: Final = ("schema", "event", "process", "service", "environment", "release")
FIELDS_SITE: Final = (
    "site", "target", "use", "origin", "file", "line", "function", "module", "expression",
    "during_import", "by_test", "scanner", "via", "note",
)  # fmt: skip
FIELDS_TARGET: Final = ("kind", "replacement", "since", "remove_by", "owner", "issue")
FIELDS_USE: Final = (
    *FIELDS_COMMON, *FIELDS_SITE, *FIELDS_TARGET,
    "first", "count", "total", "merged", "start", "end", "error_type", "allowed", "allow_reason", "overdue",
    "stack", "stack_omitted",
)  # fmt: skip
FIELDS_OBSERVATION: Final = (
    *FIELDS_COMMON,
    "host", "pid", "python", "started", "root", "attributes",
    "since", "until", "final", "orphan", "part", "parts",
    "armed", "pending", "missing", "failed", "partial", "removed",
    "uses", "sites", "dropped_total", "internal_errors_total",
    "targets", "counts", "references", "dropped", "internal_errors",
)  # fmt: skip
FIELDS_OBSERVATION_TARGET: Final = (
    "ref", "kind", "state", "reason", "engine", "at", "replacement", "owner", "issue", "since", "remove_by",
    "note", "schedule", "defined_file", "defined_line", "source",
)  # fmt: skip
FIELDS_OBSERVATION_COUNT: Final = (
    *FIELDS_SITE,
    "count",
    "first_seen",
    "last_seen",
    "errors",
    "allowed",
    "stack",
)
FIELDS_REFERENCE: Final = ("target", "module", "name", "file", "line", "how")
FIELDS_FINDING: Final = (
    *FIELDS_COMMON, *FIELDS_SITE, *FIELDS_TARGET, "finding", "at", "text", "count", "attributes",
)  # fmt: skip

# -- log entries: labels
# --------------------------------------------------------------------------------------

LABELS: Final = ("event", "target", "use", "origin", "finding", "service", "environment", "release")
