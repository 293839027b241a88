"""Verdicts as text, JSON, Markdown, SARIF and GitHub annotations."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from lastcall.reasons import ago, date, percent, plural, rfc3339, span, where_name
from lastcall.report_text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lastcall.dossier import Caller, Observed
    from lastcall.verdict import Verdict

SCHEMA = 1
MANY = 100
"""From here on a rate is said in whole numbers."""
HOUR = 3600.0
EXIT_CODES = {"safe": 0, "in-use": 1, "unproven": 2}
MARKS = {"safe": "SAFE", "in-use": "IN USE", "unproven": "UNPROVEN"}
ORDER = ("in-use", "unproven", "safe")
SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def exit_code(verdicts: Sequence[Verdict]) -> int:
    """0 if all are safe, 1 if any is in use, else 2. No verdict at all is nothing proven: 2."""
    words = {verdict.word for verdict in verdicts}
    if "in-use" in words:
        return EXIT_CODES["in-use"]
    return EXIT_CODES["safe"] if words == {"safe"} else EXIT_CODES["unproven"]


def ordered(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """What needs work first."""
    return sorted(verdicts, key=lambda v: (ORDER.index(v.word), v.target.ref))


def summary(verdicts: Sequence[Verdict]) -> str:
    """`12 targets: 3 safe to delete, 2 in use, 7 unproven.`"""
    if not verdicts:
        return "The change deletes no target."
    counts = {word: sum(v.word == word for v in verdicts) for word in ORDER}
    return (
        f"{plural(len(verdicts), 'target')}: {counts['safe']} safe to delete, {counts['in-use']} in use, "
        f"{counts['unproven']} unproven."
    )


# -- text -------------------------------------------------------------------------------------------


def as_text(verdicts: Sequence[Verdict]) -> str:
    """For a terminal or a CI log, 80 columns."""
    blocks = [_text_block(verdict) for verdict in ordered(verdicts)]
    return "\n\n".join([*blocks, summary(verdicts)]) + "\n"


def _text_block(verdict: Verdict) -> str:
    lines = [f"{MARKS[verdict.word]:9} {verdict.target.ref}"]
    lines += wrapped(risk_sentence(verdict))
    for reason in verdict.blocking(verdict.word):
        lines += wrapped(f"- {reason.text}")
        if reason.remedy:
            lines += wrapped(f"  -> {reason.remedy}")
    if verdict.word == "safe":
        lines += wrapped(f"- {proof_sentence(verdict)}")
        lines += [line for r in verdict.reasons if not r.blocks for line in wrapped(f"- {r.text}")]
    return "\n".join(lines)


def wrapped(text: str, width: int = 78, indent: str = "          ") -> list[str]:
    """Lines of at most `width` columns; a word longer than that, such as a path, is left whole."""
    import textwrap

    lead = len(text) - len(text.lstrip(" ->"))
    # A percent sign alone at the beginning of a line is hard to read: its blank is none to break at.
    together = printable(text.replace("\n", " ")).replace(" %", "\0%")
    lines = textwrap.wrap(
        together, width, initial_indent=indent, subsequent_indent=indent + " " * lead,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    return [line.replace("\0", " ") for line in lines]


TELLING = 3600.0
"""Seconds of silence below which the bound on a rate is a number in the millions, and no help."""


def risk_sentence(verdict: Verdict) -> str:
    """The stated risk, its interval and the bound."""
    risk, bound = verdict.risk, verdict.bound
    text = f"Chance of a use in the next {span(verdict.question.window)}: {percent(risk.probability)}"
    if percent(risk.low) != percent(risk.high):
        text += f" ({percent(risk.low)} to {percent(risk.high)})"
    text += "."
    if bound.seconds < TELLING:
        text += f" {span(bound.seconds).capitalize()} of silence observed tell no rate."
    elif bound.per_hour is not None:
        text += (
            f" No use in {span(bound.seconds)} observed: at {bound.confidence:.0%} confidence fewer than "
            f"{rate(bound.per_hour)}"
        )
        text += f", against {rate(bound.before_per_hour)} before." if bound.before_per_hour else "."
    return text


def rate(per_hour: float) -> str:
    """A rate in the unit in which it is easiest to imagine."""
    for unit, hours in (("hour", 1), ("day", 24), ("week", 168), ("month", 730)):
        number = per_hour * hours
        if number >= 1:
            amount = f"{number:.0f}" if number >= MANY else f"{number:.2g}"
            return f"{amount} {'an' if unit == 'hour' else 'a'} {unit}"
    return f"{per_hour * 8766:.2g} a year"


def proof_sentence(verdict: Verdict) -> str:
    """Why it is safe."""
    if verdict.last_use is None:
        used = "It was never used"
    else:
        used = f"Its last use was {ago(verdict.at - verdict.last_use)} ({date(verdict.last_use)})"
    where = ", ".join(where_name(o.where) for o in verdict.observed)
    return (
        f"{used}. {span(verdict.quiet).capitalize()} of silence observed in {where}, "
        f"of {span(verdict.needed)} needed. Nothing that is left refers to it."
    )


# -- JSON -------------------------------------------------------------------------------------------


def as_json(verdicts: Sequence[Verdict], code: int | None = None) -> str:
    """For scripts; the keys are documented in docs/verdict.md."""
    document = {
        "schema": SCHEMA,
        "summary": {word.replace("-", "_"): sum(v.word == word for v in verdicts) for word in ORDER},
        "exit_code": exit_code(verdicts) if code is None else code,
        "verdicts": [verdict_document(verdict) for verdict in ordered(verdicts)],
    }
    return json.dumps(document, indent=2) + "\n"


def verdict_document(verdict: Verdict) -> dict[str, Any]:
    """One verdict as JSON-ready values."""
    target = verdict.target
    return {
        "target": target.ref,
        "kind": target.kind,
        "verdict": verdict.word,
        "at": rfc3339(verdict.at),
        "window_seconds": verdict.question.window,
        "risk": _risk_document(verdict),
        "bound": _bound_document(verdict),
        "uses": verdict.uses,
        "last_use": rfc3339(verdict.last_use) if verdict.last_use else None,
        "reasons": [
            {"code": r.code, "blocks": r.blocks or None, "text": r.text, "remedy": r.remedy or None}
            for r in verdict.reasons
        ],
        "rhythm": verdict.rhythm.name if verdict.rhythm else None,
        "observed": [_observed_document(observed) for observed in verdict.observed],
        "callers": [_caller_document(caller) for caller in verdict.callers],
        "references": [
            {"file": m.file, "line": m.line, "how": m.how, "name": m.text, "breaks": m.breaks, "test": m.test}
            for m in verdict.mentions
        ],
        "owner": target.owner or None,
        "replacement": target.replacement or None,
        "remove_by": target.remove_by or None,
    }


def _risk_document(verdict: Verdict) -> dict[str, Any]:
    risk = verdict.risk
    return {
        "probability": round(risk.probability, 6),
        "low": round(risk.low, 6),
        "high": round(risk.high, 6),
        "confidence": verdict.bound.confidence,
        "limit": verdict.question.limit,
    }


def _bound_document(verdict: Verdict) -> dict[str, Any]:
    """What the silence alone proves."""
    bound = verdict.bound
    return {
        "quiet_hours": round(bound.seconds / HOUR, 3),
        "needed_hours": round(verdict.needed / HOUR, 3),
        "uses_per_hour_below": bound.per_hour,
        "uses_per_hour_before": bound.before_per_hour,
        "confidence": bound.confidence,
    }


def _observed_document(observed: Observed) -> dict[str, Any]:
    return {
        "service": observed.where[0],
        "environment": observed.where[1],
        "quiet_hours": round(observed.seconds / HOUR, 3),
        "observed_hours": round(observed.total / HOUR, 3),
        "share_of_quiet": round(observed.share, 4),
        "live_releases": list(observed.live),
    }


def _caller_document(caller: Caller) -> dict[str, Any]:
    site, scope = caller.site, caller.scope
    return {
        "file": site.file,
        "line": site.line,
        "function": site.function,
        "module": site.module,
        "use": site.use,
        "origin": site.origin,
        "service": scope.service,
        "environment": scope.environment,
        "release": scope.release,
        "count": caller.count,
        "first_seen": rfc3339(caller.first_seen),
        "last_seen": rfc3339(caller.last_seen),
        "code": caller.fate,
        "counts": caller.counts,
    }


# -- Markdown ---------------------------------------------------------------------------------------


def as_markdown(verdicts: Sequence[Verdict]) -> str:
    """For a comment on a pull request."""
    lines = [f"**Lastcall:** {summary(verdicts)}", ""]
    if verdicts:
        lines += ["| verdict | target | risk | last use |", "|---|---|---|---|"]
    for verdict in ordered(verdicts):
        last = ago(verdict.at - verdict.last_use) if verdict.last_use else "never"
        risk = percent(verdict.risk.probability)
        lines.append(f"| **{verdict.word}** | {code(verdict.target.ref)} | {risk} | {last} |")
    for verdict in ordered(verdicts):
        lines += ["", f"<details><summary>{html(verdict.target.ref)}: {verdict.word}</summary>", ""]
        lines += [f"{escaped(risk_sentence(verdict))}", ""]
        for reason in verdict.reasons:
            remedy = f" *{escaped(reason.remedy)}*" if reason.remedy and reason.blocks else ""
            lines.append(f"- {escaped(reason.text)}{remedy}")
        lines += ["", "</details>"]
    return "\n".join(lines) + "\n"


def code(text: str) -> str:
    """Inline code in a table cell, whatever the text holds."""
    clean = printable(" ".join(text.replace("|", "\\|").split()))
    fence = "``" if "`" in clean else "`"
    return f"{fence} {clean} {fence}" if fence == "``" else f"`{clean}`"


def html(text: str) -> str:
    """Text inside an HTML element."""
    return printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def escaped(text: str) -> str:
    """Plain text that Markdown must not read as markup."""
    return "".join("\\" + c if c in "\\`*_[]|#" else c for c in html(" ".join(text.split())))


# -- SARIF and annotations --------------------------------------------------------------------------

RULES = {
    "in-use": "A deprecated entry point is still used or referred to here.",
    "unproven": "A deprecated entry point cannot be shown to be unused.",
}
LEVELS = {"in-use": "error", "unproven": "warning"}


def places(verdict: Verdict) -> list[tuple[str, int, str]]:
    """(file, line, message) of every place that stands against removal; the definition if there is none."""
    ref = verdict.target.ref
    instead = f"; use {verdict.target.replacement}" if verdict.target.replacement else ""
    found: dict[tuple[str, int], str] = {}
    if verdict.word == "in-use":
        since = verdict.at - verdict.question.window
        for caller in verdict.callers:
            if caller.counts and caller.last_seen >= since and caller.fate != "gone":
                last = f"{plural(caller.count, 'use')}, last {ago(verdict.at - caller.last_seen)}"
                found.setdefault(
                    (caller.site.file, caller.site.line), f"{ref} is used here ({last}){instead}."
                )
        for mention in verdict.mentions:
            if mention.breaks and not mention.test:
                message = f"{ref} is referred to here ({mention.how}){instead}."
                found.setdefault((mention.file, mention.line), message)
    if not found and verdict.target.defined_file:
        blocking = [r.text for r in verdict.reasons if r.blocks == verdict.word]
        message = f"{ref} is {verdict.word}: {' '.join(blocking)}"
        found[verdict.target.defined_file, verdict.target.defined_line] = message
    return [(file, line, message) for (file, line), message in sorted(found.items())]


def as_sarif(verdicts: Sequence[Verdict]) -> str:
    """SARIF 2.1.0: one result for each place."""
    results = []
    for verdict in ordered(verdicts):
        for file, line, message in places(verdict) if verdict.word != "safe" else ():
            results.append(_sarif_result(verdict, file, line, message))
    rules = [
        {
            "id": f"lastcall/{word}",
            "shortDescription": {"text": text},
            "defaultConfiguration": {"level": LEVELS[word]},
        }
        for word, text in RULES.items()
    ]
    document = {
        "$schema": SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": {"name": "lastcall", "rules": rules}}, "results": results}],
    }
    return json.dumps(document, indent=2) + "\n"


def _sarif_result(verdict: Verdict, file: str, line: int, message: str) -> dict[str, Any]:
    from urllib.parse import quote

    return {
        "ruleId": f"lastcall/{verdict.word}",
        "level": LEVELS[verdict.word],
        "message": {"text": message},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(os.fsencode(file))},
                    "region": {"startLine": max(line, 1)},
                }
            }
        ],
        "partialFingerprints": {"lastcall/target": f"{verdict.target.ref}@{file}"},
    }


def as_github(verdicts: Sequence[Verdict]) -> str:
    """Workflow commands that annotate the lines of a pull request, and the summary."""
    lines = []
    for verdict in ordered(verdicts):
        if verdict.word == "safe":
            lines.append(
                f"::notice title=lastcall%3A safe::{_command_data(verdict.target.ref)} may be deleted."
            )
        for file, line, message in places(verdict) if verdict.word != "safe" else ():
            where = f"file={_command_property(file)},line={max(line, 1)}"
            title = _command_property(f"lastcall: {verdict.word}")
            lines.append(f"::{LEVELS[verdict.word]} {where},title={title}::{_command_data(message)}")
    lines.append(summary(verdicts))
    return "\n".join(lines) + "\n"


def _command_data(text: str) -> str:
    # printable last: it leaves what GitHub decodes
    return "%0A".join(printable(line.replace("%", "%25").replace("\r", "%0D")) for line in text.split("\n"))


def _command_property(text: str) -> str:
    return _command_data(text).replace(":", "%3A").replace(",", "%2C")


FORMATS: dict[str, Callable[[Sequence[Verdict]], str]] = {
    "text": as_text,
    "json": as_json,
    "markdown": as_markdown,
    "sarif": as_sarif,
    "github": as_github,
}
