"""Arithmetic on stretches of time: sorted, disjoint pairs (since, until) of UTC seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Intervals = tuple[tuple[float, float], ...]


def union(stretches: Iterable[tuple[float, float]], *, bridge: float = 0.0) -> Intervals:
    """The stretches joined where they touch, overlap, or lie at most `bridge` seconds apart."""
    joined: list[tuple[float, float]] = []
    for since, until in sorted(stretches):
        if until < since:
            continue
        if joined and since <= joined[-1][1] + bridge:
            if until > joined[-1][1]:
                joined[-1] = (joined[-1][0], until)
        else:
            joined.append((since, until))
    return tuple(joined)


def clip(intervals: Intervals, since: float, until: float) -> Intervals:
    """The part of the intervals that lies between two instants."""
    return tuple(
        (max(start, since), min(end, until)) for start, end in intervals if end > since and start < until
    )


def measure(intervals: Intervals) -> float:
    """Seconds in all intervals together."""
    return sum(until - since for since, until in intervals)
