"""What discovery found, as text for a person, JSON for a script, SARIF for a code host."""

from __future__ import annotations

import json
import os
from collections import Counter
from itertools import groupby
from textwrap import wrap
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from lastcall.scanning.finding import CONFIDENCES
from lastcall.scanning.survey import at_least
from lastcall.scanning.tree import FOREIGN
from lastcall.scanning.wording import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lastcall.scanning.finding import Confidence, Finding, Skipped
    from lastcall.scanning.referring import StaticReference
    from lastcall.scanning.survey import Survey

    SeenOf = Callable[[Finding], str]

_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {"high": "warning", "medium": "note", "low": "note"}
_MOST_SKIPPED = 10
_SEEN = ("seen", "never seen", "not loaded", "not watched")
_WIDTH = 80
_INDENT = " " * 16


def survey_as_json(survey: Survey, seen_of: SeenOf | None) -> str:
    """All findings, whatever their confidence; `seen` is null without a store."""
    findings = []
    for item in survey.findings:
        evidence = [
            {"kind": one.kind, "line": one.line, "confidence": one.confidence, "text": one.text}
            for one in item.evidence
        ]
        findings.append(
            {
                "ref": item.ref,
                "kind": item.kind,
                "file": item.file,
                "line": item.line,
                "confidence": item.confidence,
                "evidence": evidence,
                "message": item.message,
                "replacement": item.replacement,
                "since": item.since,
                "removal": item.removal,
                "seen": seen_of(item) if seen_of else None,
            }
        )
    return json.dumps(
        {
            "schema": 1,
            "root": survey.root,
            "files": survey.files,
            "findings": findings,
            "skipped": [{"file": item.file, "reason": item.reason} for item in survey.skipped],
            "not_looked_into": survey.foreign,
        },
        indent=1,
    )


def survey_as_text(survey: Survey, confidence: Confidence, seen_of: SeenOf | None) -> str:
    """The findings of at least `confidence` by file (the surest first, then what was seen), what was
    skipped, and a summary.

    Fits 80 columns: a reference that does not leaves its module to the file's name above it.
    """
    lines: list[str] = []
    shown = at_least(survey.findings, confidence)

    def rank(item: Finding) -> tuple[int, int]:
        return CONFIDENCES.index(item.confidence), _SEEN.index(seen_of(item)) if seen_of else 0

    ordered = sorted(shown, key=rank)
    for (_, file), items in groupby(ordered, key=lambda item: (rank(item), item.file)):
        lines.append(file)
        for item in items:
            start = f"{item.line:>6}  {item.confidence:<6}  {item.kind:<9}  "
            lines.append(start + _short(item.ref, item, _WIDTH - len(start)))
            details = [", ".join(item.evidence_kinds)]
            details += [f"since {item.since}"] * bool(item.since) + [f"removal in {item.removal}"] * bool(
                item.removal
            )
            instead = _short(item.replacement, item, _WIDTH - len(_INDENT) - len("use "))
            details += [f"use {instead}"] * bool(instead)
            details += [seen_of(item)] if seen_of else []
            lines += wrap(
                "; ".join(details),
                _WIDTH,
                initial_indent=_INDENT,
                subsequent_indent=_INDENT,
                break_long_words=False,
                break_on_hyphens=False,
            )
        lines.append("")
    lines += _skipped_lines(survey.skipped)
    if survey.foreign:
        kinds = [_counted(survey.foreign[item], *words) for item, words in FOREIGN.items() if item in survey.foreign]
        lines += [f"Not looked into: {', '.join(kinds)}", ""]
    for line in _summary(survey, shown, seen_of):
        lines += wrap(line, _WIDTH)
    return "\n".join(map(printable, lines)) + "\n"


def _short(ref: str, item: Finding, width: int) -> str:
    """`ref`, or if it is longer than that and of the finding's own module, what comes after the module."""
    module = item.ref.partition(":")[0]
    same = ref.startswith(module + ":")
    return f"...{ref[len(module) :]}" if same and len(ref) > width else ref


def _skipped_lines(skipped: Sequence[Skipped]) -> list[str]:
    if not skipped:
        return []
    lines = [f"Not read: {_counted(len(skipped), 'file or folder', 'files or folders')}"]
    lines += [f"  {item.file}: {item.reason}" for item in skipped[:_MOST_SKIPPED]]
    if len(skipped) > _MOST_SKIPPED:
        lines.append(f"  and {len(skipped) - _MOST_SKIPPED} more; --format json lists them all")
    return [*lines, ""]


def _summary(survey: Survey, shown: Sequence[Finding], seen_of: SeenOf | None) -> list[str]:
    counts = Counter(item.confidence for item in survey.findings)
    if not survey.findings:
        return [f"Nothing in {_counted(survey.files, 'file', 'files')} calls itself deprecated."]
    by_confidence = ", ".join(f"{counts[level]} {level}" for level in CONFIDENCES if counts[level])
    lines = [
        (
            f"{_counted(len(survey.findings), 'deprecated entry point', 'deprecated entry points')} "
            f"in {_counted(survey.files, 'file', 'files')}: {by_confidence} confidence."
        )
    ]
    hidden = len(survey.findings) - len(shown)
    if hidden:
        lines.append(f"{hidden} of lower confidence are not shown; --confidence low shows all.")
    if seen_of:
        states = Counter(seen_of(item) for item in shown)
        lines.append(
            "At run time: " + ", ".join(f"{count} {state}" for state, count in states.most_common()) + "."
        )
    return lines


def survey_as_sarif(survey: Survey, confidence: Confidence, seen_of: SeenOf | None) -> str:
    """SARIF 2.1.0, one rule for each strongest kind of evidence."""
    results, rules = [], {}
    for item in at_least(survey.findings, confidence):
        rule = f"deprecated-{item.kind}"
        rules[rule] = f"A {item.kind} that its own source calls deprecated"
        text = f"{item.ref} is deprecated ({', '.join(item.evidence_kinds)})"
        text += f": {item.message}" if item.message else "."
        results.append(
            {
                "ruleId": rule,
                "level": _LEVELS[item.confidence],
                "message": {"text": text},
                "locations": [_location(survey.root, item.file, item.line)],
                "partialFingerprints": {"lastcallTarget/v1": item.ref},
                "properties": {
                    "confidence": item.confidence,
                    "replacement": item.replacement,
                    "seen": seen_of(item) if seen_of else None,
                },
            }
        )
    return _sarif(survey.root, rules, results, survey.skipped)


def references_as_sarif(
    root: str, references: Sequence[StaticReference], skipped: Sequence[Skipped] = ()
) -> str:
    """The same for static references."""
    results, rules = [], {}
    for item in references:
        rule = f"reference-{item.kind}"
        rules[rule] = f"A deprecated name is referred to: {item.kind}"
        results.append(
            {
                "ruleId": rule,
                "level": "warning" if item.breaks else "note",
                "message": {"text": f"{item.target}: {item.kind} `{item.expression}`"},
                "locations": [_location(root, item.file, item.line)],
                "properties": {"certain": item.certain, "test": item.test},
            }
        )
    return _sarif(root, rules, results, skipped)


def _location(root: str, file: str, line: int) -> dict[str, Any]:
    region = {"startLine": max(line, 1)}
    return {"physicalLocation": {"artifactLocation": {"uri": _uri(root, file)}, "region": region}}


def _uri(root: str, file: str) -> str:
    path = os.path.relpath(os.path.join(root, file)).replace(os.sep, "/")
    return quote(os.fsencode(file if path.startswith("..") else path))


def _sarif(
    root: str, rules: dict[str, str], results: list[dict[str, Any]], skipped: Sequence[Skipped]
) -> str:
    """The log file. What was not read is told too: nothing found there is no answer."""
    driver = {
        "name": "lastcall",
        "rules": [{"id": name, "shortDescription": {"text": text}} for name, text in sorted(rules.items())],
    }
    notifications = [
        {
            "level": "warning",
            "message": {"text": printable(f"Not read: {item.file}: {item.reason}")},
            "locations": [{"physicalLocation": {"artifactLocation": {"uri": _uri(root, item.file)}}}],
        }
        for item in skipped
    ]
    invocation = {"executionSuccessful": True, "toolExecutionNotifications": notifications}
    run = {"tool": {"driver": driver}, "invocations": [invocation], "results": results}
    return json.dumps({"$schema": _SARIF, "version": "2.1.0", "runs": [run]}, indent=1)


def _counted(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
