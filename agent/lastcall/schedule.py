"""Rhythms: what a declared schedule asks for, and the rhythm that a history of uses shows."""

from __future__ import annotations

import calendar
import datetime as dt
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

HOUR = 3600.0
DAY = 86_400.0

PERIODS: dict[str, float] = {
    "daily": DAY,
    "weekday": 3 * DAY,
    "weekly": 7 * DAY,
    "monthly": 31 * DAY,
    "quarterly": 92 * DAY,
    "yearly": 366 * DAY,
}
"""The longest silence that is normal under a declared schedule, in seconds."""

SLACK = 1.2
"""How much later than its rhythm a use may come before its absence says anything."""

_ENOUGH = 4
"""Uses on different days below which no rhythm is claimed."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """A rhythm seen in a history. `period` is the longest silence that is normal in it, in seconds."""

    name: str
    period: float
    seen: int
    """On how many days the rhythm was seen."""


def days_of(hours: Sequence[int]) -> list[dt.date]:
    """The different days (UTC) of hours counted since the epoch, in order."""
    epoch = dt.date(1970, 1, 1).toordinal()
    return [dt.date.fromordinal(epoch + day) for day in sorted({hour // 24 for hour in hours})]


def learn(hours: Sequence[int]) -> Rhythm | None:
    """The rhythm of uses at these hours since the epoch, or None where there is no clear one.

    Only clear cases are named: every gap between days of use must fit. The estimate of risk does not
    need the name, it learns from the gaps themselves; the name is for the person who reads the verdict.
    """
    days = days_of(hours)
    if len(days) < _ENOUGH:
        return None
    gaps = [(later - earlier).days for earlier, later in itertools.pairwise(days)]
    for name, fits in _SHAPES:
        if fits(days, gaps):
            return Rhythm(name, PERIODS.get(name, PERIODS["monthly"]), len(days))
    return None


def _mostly(gaps: list[int], low: int, high: int) -> bool:
    """Whether all gaps but one in ten (a skipped or repeated run) lie in the range."""
    return sum(low <= gap <= high for gap in gaps) >= 0.9 * len(gaps)


def _is_month_end(day: dt.date) -> bool:
    return day.day == calendar.monthrange(day.year, day.month)[1]


def _weekdays(days: list[dt.date], gaps: list[int]) -> bool:
    friday = 4
    return _mostly(gaps, 1, 3) and all(day.weekday() <= friday for day in days) and max(gaps) > 1


_SHAPES = (
    ("weekday", _weekdays),
    ("daily", lambda _, gaps: _mostly(gaps, 1, 1)),
    ("weekly", lambda _, gaps: _mostly(gaps, 7, 7)),
    ("month-end", lambda days, gaps: _mostly(gaps, 28, 31) and all(map(_is_month_end, days))),
    ("monthly", lambda _, gaps: _mostly(gaps, 27, 34)),
    ("quarterly", lambda _, gaps: _mostly(gaps, 85, 98)),
    ("yearly", lambda _, gaps: _mostly(gaps, 355, 376)),
)
