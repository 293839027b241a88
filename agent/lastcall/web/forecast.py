"""When will the last call site fall silent? A straight line through the last weeks, and how far to trust it.

One point a week is enough and honest: the burn-down's value for a day already covers the seven days before
it. The line is Theil and Sen's (the median of all slopes between two points), which one odd week cannot bend.
Its interval is Sen's (the slopes that the points' order is compatible with, at `CONFIDENCE`), widened by how
much the weeks differ from one another. It speaks about the pace of these weeks only. Nobody knows whether the
pace will hold, and the page says so.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from statistics import NormalDist, fmean, median, stdev
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CONFIDENCE = 0.8
WEEKS = 12
"""Weeks looked back at."""
FEWEST = 5
"""Weekly points below which no line is drawn."""
HORIZON = 5 * 365
"""Days ahead beyond which a date would be a pretence."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Days are counted since the epoch (UTC)."""

    kind: Literal["nothing", "zero", "too-early", "no-trend", "falling"]
    now: int = 0
    """The value today."""
    since: int | None = None
    """For `zero`: the first day of the present stretch without a use."""
    points: int = 0
    """Weekly points that it rests on."""
    pace: float = 0.0
    """Change a week; negative when falling."""
    zero: int | None = None
    """For `falling`: the day at which the line meets zero."""
    earliest: int | None = None
    latest: int | None = None
    """The ends of the interval. `latest` is None where the slowest pace takes beyond the horizon."""


NOTHING = Forecast("nothing")


def forecast(
    values: Mapping[int, int], observed: frozenset[int], today: int, *, used: bool = True
) -> Forecast:
    """The forecast from `values`, by day; days outside `observed` count as unknown, not as zero.

    `used` says whether there ever was a use: a value that was zero from the start is no achievement.
    """
    days = sorted(day for day in values if day in observed and day <= today)
    if not days:
        return Forecast("nothing")
    last = days[-1]
    now = values[last]
    if now == 0:
        return Forecast("zero" if used else "nothing", 0, _zero_since(values, days))
    points = _weekly(values, observed, last, days[0])
    if len(points) < FEWEST:
        return Forecast("too-early", now, points=len(points))
    pace, fastest, slowest = slopes(points)
    zero = _meets(now, pace, last)
    if slowest >= 0 or zero is None:
        return Forecast("no-trend", now, points=len(points), pace=7 * pace)
    early, late = _ends(points, now, fastest, slowest, last)
    latest = None if late is None else max(late, zero)
    return Forecast("falling", now, None, len(points), 7 * pace, zero, min(early, zero), latest)


def _ends(
    points: Sequence[tuple[int, int]], now: int, fastest: float, slowest: float, last: int
) -> tuple[int, int | None]:
    """The interval of the day of zero, from today's value and from the line's: either may be the odd one."""

    def meets(slope: float) -> tuple[int | None, int | None]:
        fitted = median(y - slope * (x - last) for x, y in points)
        return _meets(now, slope, last), _meets(max(fitted, 1), slope, last)

    spread = _spread(points, now)
    earliest = min((day for day in meets(fastest) if day is not None), default=last)
    # The points are a week apart, so no date is known better than that.
    early = max(last + 1, min(earliest - 7, spread[0] + last))
    one, other = meets(slowest)
    if one is None or other is None or spread[1] > HORIZON:
        return early, None
    return early, max(one + 7, other + 7, spread[1] + last)


def _spread(points: Sequence[tuple[int, int]], now: int) -> tuple[int, int]:
    """(fewest, most) days to zero if the weeks go on to differ as they did.

    Sen's interval takes the points for a line with independent errors. Where work comes in bursts, a good
    month moves all that follows, and the interval must grow with the way that is left.
    """
    weeks = [(b[1] - a[1]) * 7 / (b[0] - a[0]) for a, b in itertools.pairwise(points)]
    pace = -fmean(weeks)
    if pace <= 0:
        return 0, HORIZON + 1
    left = now / pace
    error = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * stdev(weeks) / pace
    error *= math.sqrt(left + left * left / len(weeks))
    return math.floor(7 * (left - error)), math.ceil(7 * (left + error))


def slopes(points: Sequence[tuple[int, int]]) -> tuple[float, float, float]:
    """(median, lower end, upper end) of the slope of these (x, y): two or more, x all different."""
    found = sorted((b[1] - a[1]) / (b[0] - a[0]) for a, b in itertools.combinations(points, 2))
    n = len(points)
    # The variance of Kendall's score, with its correction for equal values.
    ties = [len(list(group)) for _, group in itertools.groupby(sorted(y for _, y in points))]
    variance = (n * (n - 1) * (2 * n + 5) - sum(t * (t - 1) * (2 * t + 5) for t in ties)) / 18
    reach = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * math.sqrt(variance)
    low = max(0, math.floor((len(found) - reach) / 2))
    high = min(len(found) - 1, math.ceil((len(found) + reach) / 2))
    return median(found), found[low], found[high]


def _weekly(
    values: Mapping[int, int], observed: frozenset[int], last: int, first: int
) -> list[tuple[int, int]]:
    """One point a week back from `last`, oldest first, as far as the seven days before each were watched."""
    # The very first days do not have a week behind them yet, and would look like a rise.
    oldest = max(first + 6, last - 7 * WEEKS + 1)
    days = [day for day in range(last, oldest - 1, -7) if day in observed and day in values]
    return [(day, values[day]) for day in reversed(days)]


def _meets(now: float, slope: float, day: int) -> int | None:
    if slope >= 0 or -now / slope > HORIZON:
        return None
    return day + math.ceil(-now / slope)


def _zero_since(values: Mapping[int, int], days: Sequence[int]) -> int:
    start = days[-1]
    for day in reversed(days):
        if values[day]:
            break
        start = day
    return start
