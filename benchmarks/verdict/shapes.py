"""Call patterns beyond those of the published mix, for the other mixes that the verdict is tried on.

Each takes a random generator and a number of hours, and says for each hour whether it holds a use.
"""

from __future__ import annotations

import datetime as dt

import numpy as np

DAY = 24
YEAR = 365 * DAY
START = dt.date(2025, 1, 6)


def log_uniform(rng: np.random.Generator, hours: int) -> np.ndarray:
    """Poisson at any rate from one in two years to thirty an hour, all orders of magnitude alike."""
    rate = float(np.exp(rng.uniform(np.log(0.5 / YEAR), np.log(30.0))))
    return rng.random(hours) < -np.expm1(-rate)


def seasonal(rng: np.random.Generator, hours: int) -> np.ndarray:
    """A rate that swings over the year, to a tenth and less in its low season."""
    grid = np.arange(hours)
    depth = rng.uniform(1.0, 3.5)
    wave = np.cos(2 * np.pi * (grid / YEAR + rng.random()))
    rate = float(np.exp(rng.uniform(np.log(1 / 300), np.log(0.5)))) * np.exp(depth * (wave - 1))
    return rng.random(hours) < -np.expm1(-rate)


def day_of_month(rng: np.random.Generator, hours: int) -> np.ndarray:
    """On one or two days of the month; half of them put off from a weekend to the Monday after it."""
    wanted = set(rng.integers(1, 29, int(rng.integers(1, 3))).tolist())
    puts_off, at = rng.random() < 0.5, int(rng.integers(DAY))
    used = np.zeros(hours + 3 * DAY, bool)
    for number in range(hours // DAY):
        date = START + dt.timedelta(days=number)
        if date.day in wanted:
            late = {5: 2, 6: 1}.get(date.weekday(), 0) if puts_off else 0
            used[(number + late) * DAY + at] = True
    return used[:hours]


def drift(rng: np.random.Generator, hours: int) -> np.ndarray:
    """A rate that grows or falls by a constant factor, up to fifty times over a year."""
    grid = np.arange(hours)
    rate = float(np.exp(rng.uniform(np.log(1 / 300), np.log(1.0))))
    trend = rng.normal(0, 1.6)
    return rng.random(hours) < -np.expm1(-rate * np.exp(trend * (grid / YEAR - 0.5)))


def bimodal(rng: np.random.Generator, hours: int) -> np.ndarray:
    """Gaps of two kinds: hours, and now and then weeks."""
    short, long = rng.uniform(1, 30), rng.uniform(7, 30) * DAY
    return _renewal(rng, hours, lambda _: rng.gamma(3, (long if rng.random() < 0.12 else short) / 3))


def shut_downs(rng: np.random.Generator, hours: int) -> np.ndarray:
    """Working hours, but for two or three weeks off twice a year."""
    grid = np.arange(hours)
    busy = (grid // DAY % 7 < 5) & (grid % DAY >= 8) & (grid % DAY < 18)
    used = busy & (rng.random(hours) < rng.uniform(0.03, 0.5))
    first = rng.integers(YEAR // 2)
    for begin in range(int(first), hours, YEAR // 2):
        used[begin : begin + int(rng.uniform(12, 24) * DAY)] = False
    return used


def slowly_dying(rng: np.random.Generator, hours: int) -> np.ndarray:
    """Each gap a little longer than the one before, on the average."""
    gap, growth = rng.uniform(2, 40), rng.uniform(1.02, 1.35)
    return _renewal(rng, hours, lambda n: rng.gamma(2, gap * min(growth**n, 1e5) / 2))


def long_tail(rng: np.random.Generator, hours: int) -> np.ndarray:
    """Gaps without a typical length: Pareto, most of them hours, some of them months."""
    least, shape = rng.uniform(1, 20), rng.uniform(0.7, 1.6)
    return _renewal(rng, hours, lambda _: least * (1 + rng.pareto(shape)))


def quarterly(rng: np.random.Generator, hours: int) -> np.ndarray:
    """Some days after the end of a quarter."""
    after, at = int(rng.integers(0, 12)), int(rng.integers(DAY))
    used = np.zeros(hours, bool)
    for number in range(hours // DAY):
        date = START + dt.timedelta(days=number - after)
        if date.day == 1 and date.month % 3 == 1:
            used[number * DAY + at] = True
    return used


def _renewal(rng: np.random.Generator, hours: int, gap) -> np.ndarray:
    """Uses apart by what `gap(n)` says of the n-th gap, in hours."""
    used = np.zeros(hours, bool)
    at, number = float(rng.uniform(0, 60)), 0
    while at < hours:
        used[int(at)] = True
        at += max(0.2, gap(number))
        number += 1
    return used


SHAPES = {
    "log-uniform": log_uniform,
    "seasonal": seasonal,
    "day of month": day_of_month,
    "drift": drift,
    "bimodal": bimodal,
    "shut-downs": shut_downs,
    "slowly dying": slowly_dying,
    "long tail": long_tail,
    "quarterly": quarterly,
}
