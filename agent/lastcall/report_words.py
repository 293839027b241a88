"""Times in a person's words, and back."""

from __future__ import annotations

import re
import time
from datetime import datetime, timezone

from lastcall.errors import UsageError

_UNITS = (("year", 365 * 86400), ("month", 30 * 86400), ("day", 86400), ("hour", 3600), ("minute", 60))
_NOW = 2
"""Seconds below which nobody wants to know how many."""
_SKEW = 60
"""Seconds that the clocks of two machines may differ without a word."""
_LONG_AGO = 60 * 86400
"""Seconds after which a date says more than a span."""
_LETTERS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_LONGEST = 100 * 365 * 86400
"""Seconds. A number of any length is one that Python holds as infinite."""


def span(seconds: float) -> str:
    """`3 hours`: in the greatest unit of which there are two, as `90 minutes` says more than `1 hour`."""
    for name, length in _UNITS:
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {name}s"
    if seconds < 1:
        return "less than a second"
    return "1 second" if int(seconds) == 1 else f"{int(seconds)} seconds"


def ago(then: float, now: float) -> str:
    """`3 hours ago`, `just now`; a date where that is long ago or in the future."""
    passed = now - then
    if -_SKEW <= passed < _NOW:
        return "just now"
    if passed < -_SKEW or passed > _LONG_AGO:
        return "on " + rfc3339(then)[:10]
    return span(passed) + " ago"


def rfc3339(moment: float) -> str:
    """UTC, to the second: `2026-11-22T10:00:00Z`."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def moment(text: str, now: float) -> float:
    """The time that `text` names: a span back from now (`90m`, `24h`, `30d`, `2w`), or an ISO time, UTC.

    Raises UsageError.
    """
    if back := length(text):
        return max(0.0, now - back)
    try:
        return instant(text)
    except ValueError:
        raise UsageError(
            f"--since {text!r} is no time: expected a span such as 24h or 30d, or a date such as 2026-11-22."
        ) from None


def length(text: str) -> float:
    """Seconds of `90m`, `12h`, `30d`, `2w`; 0 for what is no length of time, or of more than 100 years."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhdw])\s*", text)
    seconds = float(found[1]) * _LETTERS[found[2]] if found else 0.0
    return seconds if seconds <= _LONGEST else 0.0


def instant(text: str) -> float:
    """UTC seconds of an RFC 3339 time or a date. Raises ValueError."""
    at = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    return (at if at.tzinfo else at.replace(tzinfo=timezone.utc)).timestamp()


def number(count: int, noun: str) -> str:
    """`1 use`, `1,204 uses`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}{'es' if noun.endswith('s') else 's'}"
