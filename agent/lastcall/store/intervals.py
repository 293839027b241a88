"""Observed time: when a process was alive, from its signs of life."""

from __future__ import annotations

TYPE_CHECKING = False  # typing costs a bare host 5 ms, and 1 ms more at its end
if TYPE_CHECKING:
    from collections.abc import Iterable

GAP = 300.0
"""Seconds without a sign of life after which a process is taken to have slept."""

Interval = tuple[float, float]


def united(intervals: Iterable[Interval]) -> list[Interval]:
    """The same time in the fewest intervals: sorted, and joined where less than GAP lies between two.

    The order and the repetition of what goes in make no difference, so stores can be merged in any order. A
    moment is an interval of no length; a clock that was set back needs no care either.
    """
    result: list[Interval] = []
    for since, until in sorted(intervals):
        if result and since - result[-1][1] < GAP:
            result[-1] = (result[-1][0], max(result[-1][1], until))
        else:
            result.append((since, until))
    return result
