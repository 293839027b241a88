"""Cloud Logging's log-based metrics, as far as our definitions use them: which entries count, and under which labels.

Written from the reference of the Logging query language, not from our filters: whatever is not understood here is an
error, and never simply false.
"""

from __future__ import annotations

import re
from collections import defaultdict

TOKEN = re.compile(
    r'\s*(?:(?P<word>AND|OR|NOT)\b|(?P<mark>[()])|(?P<field>[A-Za-z_][\w.]*)\s*(?P<op>!=|>=|<=|=|>|<|:)\s*'
    r'(?P<value>"(?:[^"\\]|\\.)*"|\*|[\w.+-]+))'
)
FIELDS = ("severity", "labels", "jsonPayload", "resource", "logName")
SEVERITIES = ("DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY")
EXTRACT = re.compile(r"EXTRACT\(([\w.]+)\)")


class FilterError(ValueError):
    """The filter says something that this reader does not know."""


def matcher(text):
    """A predicate over entries in their JSON form. A line break joins two comparisons like AND."""
    tokens, position = [], 0
    text = text.strip()
    while position < len(text):
        found = TOKEN.match(text, position)
        if not found:
            raise FilterError(f"cannot read {text[position:]!r}")
        tokens.append(found)
        position = found.end()
    predicate, rest = _or(tokens)
    if rest:
        raise FilterError(f"left over: {rest[0].group()!r}")
    return predicate


def _or(tokens):
    # OR binds closer than AND in the Logging query language: a AND b OR c is a AND (b OR c).
    return _joined(tokens, "AND", lambda rest: _joined(rest, "OR", _not, any), all)


def _joined(tokens, word, part, how):
    predicate, tokens = part(tokens)
    parts = [predicate]
    while tokens and tokens[0]["mark"] != ")":
        if tokens[0]["word"] == word:
            tokens = tokens[1:]
        elif word == "OR" or tokens[0]["word"] == "OR":
            break
        predicate, tokens = part(tokens)
        parts.append(predicate)
    return (lambda entry: how(each(entry) for each in parts)), tokens


def _not(tokens):
    if not tokens:
        raise FilterError("ends too early")
    if tokens[0]["word"] == "NOT":
        predicate, tokens = _not(tokens[1:])
        return (lambda entry: not predicate(entry)), tokens
    if tokens[0]["mark"] == "(":
        predicate, tokens = _or(tokens[1:])
        if not tokens or tokens[0]["mark"] != ")":
            raise FilterError("a parenthesis is not closed")
        return predicate, tokens[1:]
    if tokens[0]["field"] is None:
        raise FilterError(f"unexpected {tokens[0].group()!r}")
    return _comparison(tokens[0]["field"], tokens[0]["op"], tokens[0]["value"]), tokens[1:]


def _comparison(field, op, value):
    if field.split(".")[0] not in FIELDS:
        raise FilterError(f"unknown field {field!r}")
    if value == "*" and op == ":":
        return lambda entry: look_up(entry, field) is not None
    wanted = value[1:-1] if value.startswith('"') else value

    def test(entry):
        found = look_up(entry, field)
        if found is None:
            return False
        if field == "severity":
            return _compare(SEVERITIES.index(found), op, SEVERITIES.index(wanted))
        if isinstance(found, bool):
            return _compare(str(found).lower(), op, wanted.lower())
        if isinstance(found, (int, float)):
            return _compare(float(found), op, float(wanted))
        return _compare(found.lower(), op, wanted.lower())  # comparisons ignore case

    return test


def _compare(found, op, wanted):
    if op == ":":
        return wanted in found
    return {"=": found == wanted, "!=": found != wanted, ">": found > wanted, ">=": found >= wanted,
            "<": found < wanted, "<=": found <= wanted}[op]  # fmt: skip


def look_up(entry, path):
    """The value at a dotted path, or None."""
    for part in path.split("."):
        entry = entry.get(part) if isinstance(entry, dict) else None
    return entry


def extract(entry, extractor):
    """What EXTRACT(path) takes out of an entry, as text; empty where there is nothing."""
    found = EXTRACT.fullmatch(extractor)
    if not found:
        raise FilterError(f"unknown extractor {extractor!r}")
    value = look_up(entry, found[1])
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def measured(metric, entries, *group_by):
    """{label values: number} that a definition makes of entries: of entries, or of the values that they hold."""
    matches = matcher(metric["filter"])
    totals = defaultdict(float)
    for entry in entries:
        if not matches(entry):
            continue
        labels = {key: extract(entry, extractor) for key, extractor in metric.get("labelExtractors", {}).items()}
        value = 1.0
        if metric["metricDescriptor"]["valueType"] == "DISTRIBUTION":
            text = extract(entry, metric["valueExtractor"])
            if not text:
                continue  # what cannot be extracted is not recorded
            value = float(text)
        totals[tuple(labels[label] for label in group_by)] += value
    return dict(totals)
