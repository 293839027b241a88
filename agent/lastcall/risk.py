"""How likely is a use within the next window? The estimate behind every verdict, without I/O or clocks.

A target is used again either by a caller that was seen before, or by one that was never seen.

*A known caller* is a renewal process that may have ended. From the gaps between its uses comes the chance
`S(t)` that an ongoing one stays silent for longer than `t`: a weighted mean of three families, weighted
by how well each explains the gaps (memoryless; anything from regular to wild; nearly periodic), taken at
several scales, because uses come in bursts, and the largest answer counts. From what became of the
caller's code comes the chance that it has ended. Bayes' rule joins the two.

*A caller never seen* arrives at a rate that shrinks with the time observed, and depends on whether the
source still refers to the target.

Times are seconds. The constants of `Prior` were set by reasoning and are tried in `benchmarks/verdict`
on histories that they were not made for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from lastcall.schedule import DAY, HOUR

if TYPE_CHECKING:
    from collections.abc import Sequence

Fate = Literal["gone", "present", "unknown"]
"""What became of a caller's code: no longer in the source, still there, or nobody looked."""

Referred = Literal["none", "held-by-none", "unknown", "left"]
"""Who refers to the target: nobody in the source; no loaded module (source not read); not known; somebody."""


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed before any evidence. Probabilities, and rates a second."""

    gone_but_alive: float = 0.0065
    """A caller whose code is gone from the source, in a target nobody refers to, yet still runs."""
    end_rate: float = 1 / (250 * DAY)
    """Callers of a deprecated target end at this rate when nothing is known of their code."""
    end_rate_present: float = 1 / (900 * DAY)
    """The same while their code is still there: switched off, or no longer reached."""
    undeployed: float = 0.4
    """What is left of the chance that code went out of the source after what runs was built, had it gone at
    any time of the silence: mostly it went early, which is why there was silence."""
    deploy_rate: float = 1 / (10 * DAY)
    """At which a change of the source reaches what runs."""
    rollback: float = 0.006
    """A release is taken back for an older one; what a service has done weighs as much as a hundred releases."""
    newcomers: float = 0.25
    """Shape of the rate of callers never seen: this many were as good as seen at the start."""
    newcomer_time: float = 20 * DAY
    referred: tuple[tuple[Referred, float], ...] = (
        ("none", 0.01),
        ("held-by-none", 0.15),
        ("unknown", 0.6),
        ("left", 1.0),
    )
    """What each state of the references leaves of that rate."""
    unexplained: float = 0.12
    """Code that refers to the target, and was never seen to run, runs where nobody looks, or soon."""
    hidden: float = 0.2
    """A service that should be observed, and is not, uses the target within a window."""

    def reference_factor(self, referred: Referred) -> float:
        """See `referred`."""
        return dict(self.referred)[referred]


PRIOR = Prior()
HOPEFUL = replace(
    PRIOR,
    gone_but_alive=0.001,
    end_rate=1 / (80 * DAY),
    end_rate_present=1 / (250 * DAY),
    undeployed=0.1,
    rollback=0.0008,
    newcomers=0.04,
    unexplained=0.005,
    hidden=0.01,
)
WARY = replace(
    PRIOR,
    gone_but_alive=0.025,
    end_rate=1 / (1000 * DAY),
    end_rate_present=1 / (8000 * DAY),
    undeployed=1.0,
    rollback=0.03,
    newcomers=1.0,
    unexplained=0.7,
    hidden=0.9,
)
"""The two ends of what a reasonable person may believe instead; they make the interval of a risk."""


@dataclass(frozen=True, slots=True)
class Risk:
    """The probability of a use within the next window, with the interval that the evidence leaves open."""

    probability: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Silence:
    """A caller's history up to now, in observed seconds."""

    gaps: tuple[float, ...]
    """Between consecutive uses, oldest first; uses within one hour are one use."""
    quiet: float
    """Since its last use."""
    covered: float = 1.0
    """The share of the time since its last use that was observed."""
    fate: Fate = "unknown"
    deployed: float = 1.0
    """For `gone`: the chance that what runs now was built after its code had gone."""


DEPTHS = (1.0, 1.0, 0.5, 0.17, 0.03)
"""Of the rollbacks, how many go back by so many releases and more."""
ROLLBACK_RELEASES = 100
RECENTLY = 0.5
"""What is left of the chance that the release that runs now is taken back: it mostly shows in its first days."""
UNNAMED = 0.25
"""Rollbacks that matter in a window, where releases have no names to be counted by."""


@dataclass(frozen=True, slots=True)
class Rollback:
    """How a service's past can come back: to a release that still had a caller that is gone since."""

    newer: int
    """Releases since the last that had it."""
    ahead: float
    """Releases to be expected within the window."""
    seen: int
    """Rollbacks of this service so far."""
    releases: int
    """Of so many releases; 0: they have no names."""

    def probability(self, prior: Prior) -> float:
        """The chance of a rollback that far within the window."""
        rate = (self.seen + prior.rollback * ROLLBACK_RELEASES) / (self.releases + ROLLBACK_RELEASES)
        if not self.releases:
            return rate * UNNAMED
        whole = int(self.ahead)
        shares = [RECENTLY * _depth(self.newer)]
        shares += [_depth(self.newer + step) for step in range(1, min(whole, len(DEPTHS)) + 1)]
        shares.append((self.ahead - whole) * _depth(self.newer + whole + 1))
        return 1 - math.prod(1 - min(1.0, rate * share) for share in shares)


def _depth(releases: int) -> float:
    return DEPTHS[releases] if releases < len(DEPTHS) else 0.0


# -- how long an ongoing caller stays silent --------------------------------------------------------

_RECENT = 200
"""Gaps that are looked at, the latest: callers change their habits."""
_SCALES = (0.0, 8 * HOUR, 4 * DAY, 16 * DAY)
"""Gaps up to one of these are taken as pauses within a burst."""
_SHAPES = ((1.0, 1.0), (2.0, 0.01))
"""Prior of a log-normal's variance: (shape, scale) for anything, and for nearly periodic."""
NEVER = 1e-12
SQRT_HALF = math.sqrt(0.5)
BUSY = 30
"""A caller whose pauses are so many times shorter than the window needs no closer look."""
DARK = 0.01
"""A share of time unobserved that is worth the arithmetic."""
_UNKNOWN_GAP = (math.log(7 * DAY), 1.3, 1.5)
"""Median, spread and degrees of freedom of a log gap of which nothing is known."""


class Survival:
    """`survival(t)`: the chance that an ongoing caller is silent for longer than `t` seconds."""

    def __init__(self, gaps: Sequence[float]) -> None:
        gaps = [max(gap, HOUR / 2) for gap in gaps[-_RECENT:]]
        self._tails = [_Tail(gaps, scale) for scale in _SCALES if scale == 0.0 or _is_scale(gaps, scale)]

    def __call__(self, t: float) -> float:
        """Between 0 and 1, falling in `t`."""
        first, *others = self._tails
        return max([first(t), *[tail(t) for tail in others]]) if others else first(t)


def _is_scale(gaps: list[float], scale: float) -> bool:
    beyond = sum(gap > scale for gap in gaps)
    return 0 < beyond < len(gaps)


class _Tail:
    """The gaps beyond one scale, as a weighted mean of three families."""

    __slots__ = ("_centre", "_count", "_families", "_scale", "_share", "_sum")

    def __init__(self, gaps: list[float], scale: float) -> None:
        beyond = [gap for gap in gaps if gap > scale]
        count = len(beyond)
        self._scale = scale
        self._share = (count + 0.5) / (len(gaps) + 0.5) if gaps else 1.0
        self._count = count
        self._sum = sum(beyond) - count * scale
        logs = [math.log(gap) for gap in beyond]
        self._centre = sum(logs) / count if count else _UNKNOWN_GAP[0]
        self._families: list[tuple[float, float, float, float]] = []
        """(weight, spread, degrees of freedom, survival up to the scale); spread 0: memoryless."""
        if not count:
            self._families = [(1.0, _UNKNOWN_GAP[1], _UNKNOWN_GAP[2], 1.0)]
            return
        self._weigh(logs)

    def _weigh(self, logs: list[float]) -> None:
        """Weights by marginal likelihood over log gaps, with flat priors on the location of each family."""
        count = self._count
        squares = sum((x - self._centre) ** 2 for x in logs)
        candidates = [(math.lgamma(count) - count * math.log(self._sum) + sum(logs), 0.0, 0.0)]
        for shape, rate in _SHAPES:
            shape_n, rate_n = shape + (count - 1) / 2, rate + squares / 2
            likelihood = (
                math.lgamma(shape_n)
                - math.lgamma(shape)
                + shape * math.log(rate)
                - shape_n * math.log(rate_n)
                - (count - 1) / 2 * math.log(2 * math.pi)
                - math.log(count) / 2
            )
            spread = math.sqrt(rate_n / shape_n * (1 + 1 / count))
            candidates.append((likelihood, spread, 2 * shape_n))
        best = max(candidate[0] for candidate in candidates)
        weights = [math.exp(candidate[0] - best) for candidate in candidates]
        total = sum(weights)
        for weight, (_, spread, freedom) in zip(weights, candidates, strict=True):
            if weight / total > 1e-4:  # noqa: PLR2004 - what cannot move the answer costs time
                below = self._log_survival(self._scale, spread, freedom) if self._scale and spread else 1.0
                self._families.append((weight / total, spread, freedom, max(below, 1e-12)))

    def _log_survival(self, t: float, spread: float, freedom: float) -> float:
        return student_survival((math.log(t) - self._centre) / spread, freedom)

    def __call__(self, t: float) -> float:
        beyond = t - self._scale
        if beyond <= 0:
            return self._share
        chance, log = 0.0, math.log(t)
        for weight, spread, freedom, below in self._families:
            if spread:
                tail = student_survival((log - self._centre) / spread, freedom) / below
                chance += weight * min(1.0, tail)
            else:
                chance += weight * (self._sum / (self._sum + beyond)) ** self._count
        return self._share * chance


def student_survival(x: float, freedom: float) -> float:
    """P(X > x) of Student's t with `freedom` degrees of freedom, at least 1.5.

    G. W. Hill's normal approximation (1970): within 1 % where it matters here, 7 % in the far tail of the
    fewest degrees, in a tenth of the time of the exact series.
    """
    a = freedom - 0.5
    b = 48 * a * a
    z = math.sqrt(a * math.log1p(x * x / freedom))
    y = z * z
    z *= 1 + (y + 3) / b - (((4 * y + 33) * y + 240) * y + 855) / (10 * b * (b + 0.8 * y * y + 100))
    half = 0.5 * math.erfc(z * SQRT_HALF)
    return half if x > 0 else 1 - half


# -- a known caller ---------------------------------------------------------------------------------


BEFORE = (0.05, 0.35, 0.8)
"""Parts of the silence at which it may have ended."""
AHEAD = (0.01, 0.05, 0.2, 0.5, 1.0)
"""Parts of the window at which the chance of a return is looked at."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the silence of a caller says, before any belief about its end."""

    silent: float
    """The chance that an ongoing caller is silent for as long as it has been."""
    silent_before: float
    """The same, at an instant between its last use and now: when it may have ended."""
    ahead: tuple[float, ...]
    """The chance that it stays silent up to each part of the window, if it is ongoing."""
    quiet: float
    window: float
    fate: Fate
    deployed: float

    def probability(self, prior: Prior) -> float:
        """The chance that this caller uses the target within the window."""
        if self.fate == "gone":
            stays = prior.gone_but_alive
            share = 1.0 if self.deployed == 0.0 else prior.undeployed
            leaves = (1 - stays) * (1 - self.deployed) * share
        else:
            rate = prior.end_rate if self.fate == "unknown" else prior.end_rate_present
            stays, leaves = math.exp(-rate * self.quiet), 0.0
        ended = 1 - stays - leaves
        total = (stays + leaves) * self.silent + ended * self.silent_before
        if total <= 0:
            return 0.0
        end = prior.end_rate_present if self.fate == "present" else prior.end_rate
        chance = stays * self._returns(end)
        if leaves:
            chance += leaves * self._returns(prior.deploy_rate)
        return min(1.0, self.silent / total * chance)

    def _returns(self, end_rate: float) -> float:
        """The chance of a use within the window before an end at this rate."""
        chance, before, since = 0.0, 1.0, 0.0
        for part, silent in zip(AHEAD, self.ahead, strict=True):
            chance += max(0.0, before - silent) * math.exp(-end_rate * self.window * (since + part) / 2)
            before, since = silent, part
        return chance


def outlook(silence: Silence, window: float) -> Outlook:
    """Read a caller's silence. `window` is in seconds."""
    quiet = max(silence.quiet, 60.0)
    usual = max(silence.gaps[-20:], default=math.inf)
    if silence.fate != "gone" and quiet <= usual < window / BUSY:
        # In the middle of its usual business: it will come back if it has not just ended.
        return Outlook(1.0, 1.0, (0.0,) * len(AHEAD), quiet, window, silence.fate, silence.deployed)
    survival = Survival(silence.gaps)
    dark = 1 - silence.covered
    missed = range(4) if dark > DARK else range(1)

    def unseen(t: float) -> float:
        # Where not all the time was observed, uses may have come and gone in the dark.
        return max(dark**n * survival(t / (n + 1)) for n in missed)

    silent = unseen(quiet)
    before = max(1e-9, sum(unseen(quiet * part) for part in BEFORE) / len(BEFORE))
    base = survival(quiet)
    # A silence that no ongoing caller keeps is over, whatever else is believed.
    ahead = tuple(survival(quiet + window * part) / base if base > NEVER else 1.0 for part in AHEAD)
    return Outlook(silent, before, ahead, quiet, window, silence.fate, silence.deployed)


# -- all together -----------------------------------------------------------------------------------


def newcomer_probability(observed: float, window: float, referred: Referred, prior: Prior) -> float:
    """The chance that a caller never seen before uses the target within the window."""
    if observed <= 0:
        expected = prior.newcomers * 10
    else:
        expected = prior.newcomers * window / (observed + min(prior.newcomer_time, window))
    return 1 - math.exp(-expected * prior.reference_factor(referred))


def estimate(
    outlooks: Sequence[Outlook],
    *,
    observed: float,
    window: float,
    referred: Referred,
    unexplained: bool,
    unobserved: int,
    rollbacks: Sequence[Rollback] = (),
) -> Risk:
    """Join all callers, those never seen, `unexplained` references, services that nobody watches, and rollbacks."""

    def probability(prior: Prior) -> float:
        none = 1 - newcomer_probability(observed, window, referred, prior)
        none *= (1 - prior.hidden) ** min(unobserved, 3)
        if unexplained:
            none *= 1 - prior.unexplained
        for rollback in rollbacks:
            none *= 1 - rollback.probability(prior)
        gone = 1.0
        for caller in outlooks:
            if caller.fate == "gone":
                settled = replace(caller, deployed=1.0)
                # One mistake, that of reading the source, stands behind all of these: not independent.
                gone *= 1 - min(1.0, settled.probability(prior) / prior.gone_but_alive)
                none *= 1 - max(0.0, caller.probability(prior) - settled.probability(prior))
            else:
                none *= 1 - caller.probability(prior)
        return min(1.0, max(0.0, 1 - none * (1 - prior.gone_but_alive * (1 - max(gone, 0.0)))))

    middle = probability(PRIOR)
    return Risk(middle, min(middle, probability(HOPEFUL)), max(middle, probability(WARY)))
