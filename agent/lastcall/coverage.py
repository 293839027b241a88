"""Who was watching, and when: live releases, observed time, services that fell silent. Pure."""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from statistics import median_low
from typing import TYPE_CHECKING

from lastcall.dossier import Life, Observed, Question, Scope, Watch, covers
from lastcall.intervals import Intervals, clip, measure, union

if TYPE_CHECKING:
    from collections.abc import Iterable

HOUR = 3600.0
DAY = 86_400.0

LIVE_GRACE = DAY
"""A process not known to have ended is taken to be alive for this long after its last sign of life."""
AHEAD = DAY
"""So far may a clock be wrong. What is said to have happened later than that tells nothing of the time until now."""
BEGINNING = 18_262 * DAY
"""The first day of 2020: no process was observed before. A clock that says so was not set yet."""
RESTART = HOUR
RESTART_SHARE = 0.02
"""A service that is away for less than an hour, and than this share of its time, was restarted."""
SEEING = ("armed", "pending", "removed")
"""States in which no use goes unseen: what is not imported yet cannot be used either, and what was taken away
is asked for in vain."""

Where = tuple[str, str]


@dataclass(frozen=True)
class Fleet:
    """Every scope that was ever heard from, as of one instant."""

    lives: tuple[Life, ...]
    now: float

    @cached_property
    def services(self) -> dict[Where, list[Life]]:
        """The scopes of each service and environment, the one heard last at the end."""
        grouped: dict[Where, list[Life]] = defaultdict(list)
        for life in self.lives:
            if life.heard:
                grouped[life.scope.where].append(life)
        for lives in grouped.values():
            lives.sort(key=lambda life: (self._last(life), life.scope))
        return dict(grouped)

    def _last(self, life: Life) -> float:
        """When a scope was last heard from; 0 if all its signs of life lie ahead, by a broken clock."""
        limit = self.now + AHEAD
        return next((min(until, limit) for since, until in reversed(life.heard) if since <= limit), 0.0)

    @cached_property
    def known(self) -> frozenset[Scope]:
        """Every scope that was heard from."""
        return frozenset(life.scope for life in self.lives)

    @cached_property
    def live(self) -> frozenset[Scope]:
        """Scopes that still run: a process of theirs may be alive, or they are the newest of their service.

        The newest counts even between runs: a monthly job is not gone because it is not running now. Of one
        that was heard from at a time that lies ahead nobody knows when it really was.
        """
        found = set()
        for lives in self.services.values():
            found.add(lives[-1].scope)
            found.update(
                life.scope
                for life in lives
                if (not life.over and self._last(life) >= self.now - LIVE_GRACE)
                or life.heard[-1][1] > self.now + AHEAD
            )
        return frozenset(found)

    @cached_property
    def _bridges(self) -> dict[Where, float]:
        sound = BEGINNING, self.now + AHEAD
        return {where: _bridge(clip(_all_heard(lives), *sound)) for where, lives in self.services.items()}

    def bridge(self, where: Where) -> float:
        """The longest absence of a service that is normal for it, in seconds."""
        return self._bridges.get(where, 0.0)

    def built_before(self, where: Where) -> float:
        """An instant before which everything of this service that runs now was built; 0 if never heard of.

        A named release was built before it was first heard from; without a name, before its processes began.
        """
        return self._built.get(where, 0.0)

    @cached_property
    def _built(self) -> dict[Where, float]:
        result: dict[Where, float] = {}
        for where, lives in self.services.items():
            for life in lives:
                if life.scope in self.live:
                    start = life.heard[0][0] if life.scope.release else life.oldest or life.heard[0][0]
                    result[where] = min(start, result.get(where, start))
        return result

    @cached_property
    def live_releases(self) -> dict[Where, tuple[str, ...]]:
        """The releases that run now, of each service."""
        found: dict[Where, list[str]] = defaultdict(list)
        for scope in self.live:
            found[scope.where].append(scope.release)
        return {where: tuple(sorted(releases)) for where, releases in found.items()}

    @cached_property
    def _begun(self) -> dict[Where, list[float]]:
        """When the releases of each service were first heard from, in order."""
        return {where: sorted(life.heard[0][0] for life in lives) for where, lives in self.services.items()}

    def begun_after(self, where: Where, at: float) -> int:
        """How many releases of a service were first heard from after an instant."""
        starts = self._begun.get(where, [])
        return len(starts) - bisect_right(starts, at)

    @cached_property
    def comebacks(self) -> dict[Where, int]:
        """Of each service, how many releases ran again after a newer one had begun while they were away."""
        return {where: _comebacks(lives) for where, lives in self.services.items()}

    def pace(self, where: Where) -> float:
        """Seconds from one release of a service to the next, on the average; infinite if there was only one."""
        starts = self._begun.get(where, [])
        return (self.now - starts[0]) / (len(starts) - 1) if len(starts) > 1 else float("inf")

    def last_heard(self, where: Where) -> float:
        """When a service was last heard from; 0 if never, or only by clocks that are ahead."""
        lives = self.services.get(where)
        return self._last(lives[-1]) if lives else 0.0

    def fell_silent(self, where: Where) -> bool:
        """Whether a service has been away for longer than is normal for it."""
        return self.now - self.last_heard(where) > max(LIVE_GRACE, 2 * self.bridge(where))


def _comebacks(lives: Iterable[Life]) -> int:
    """How many absences of a release ended after the newest one by then had run in its place."""
    ordered = sorted(lives, key=lambda life: life.heard[0][0])
    begun = [life.heard[0][0] for life in ordered]
    found = 0
    for life in ordered:
        for before, after in itertools.pairwise(life.heard):
            newest = ordered[bisect_left(begun, after[0]) - 1]
            if newest.heard[0][0] > life.heard[0][0]:
                last = bisect_left(newest.heard, (after[0], 0.0)) - 1
                found += newest.heard[last][1] > before[1]
    return found


def _all_heard(lives: Iterable[Life]) -> Intervals:
    return union(stretch for life in lives for stretch in life.heard)


def _bridge(heard: Intervals) -> float:
    """A service that is away more than it is there is a job: its usual pause is no gap in the observation."""
    there = measure(heard)
    gaps = [later[0] - earlier[1] for earlier, later in itertools.pairwise(heard)]
    enough = 2
    if len(gaps) >= enough and sum(gaps) > there:
        return 1.5 * median_low(gaps)
    return min(RESTART, RESTART_SHARE * there)


def watched(fleet: Fleet, watches: Iterable[Watch]) -> dict[Where, Intervals]:
    """When each service saw every use of the target, short and usual absences included."""
    stretches: dict[Where, list[tuple[float, float]]] = defaultdict(list)
    for watch in watches:
        if watch.state in SEEING:
            stretches[watch.scope.where].extend(watch.during)
    result = {}
    for where, found in stretches.items():
        bridge = fleet.bridge(where)
        joined = union(found, bridge=bridge)
        if joined and not fleet.fell_silent(where) and fleet.now - joined[-1][1] <= bridge:
            joined = (*joined[:-1], (joined[-1][0], max(fleet.now, joined[-1][1])))
        result[where] = joined
    return result


def expected(fleet: Fleet, question: Question, users: Iterable[Where]) -> list[Where]:
    """The services that a verdict must cover: all that were heard from or used it, less those ignored."""
    found = set(fleet.services) | set(users)
    return sorted(where for where in found if not any(covers(p, where) for p in question.ignored))


def observed_since(fleet: Fleet, where: Where, during: Intervals, since: float) -> Observed:
    """How well a service was observed from `since` (the last use; 0: ever) to now."""
    total = measure(clip(during, BEGINNING, fleet.now))
    start = since or (during[0][0] if during else fleet.now)
    seconds = measure(clip(during, start, fleet.now))
    span = fleet.now - start
    live = fleet.live_releases.get(where, ())
    return Observed(
        where, seconds, total, min(1.0, seconds / span) if span > 0 else 0.0, fleet.last_heard(where), live
    )
