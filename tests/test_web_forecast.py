"""The forecast of the zero date: right where it can be, silent where it cannot."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastcall.web.forecast import CONFIDENCE, FEWEST, forecast, slopes


def of(values, *, observed=None, used=True):
    """A forecast on the last of these days."""
    days = dict(enumerate(values))
    return forecast(days, frozenset(days) if observed is None else frozenset(observed), len(values) - 1, used=used)


def test_a_steady_fall_meets_zero_where_the_line_does():
    found = of([200 - day for day in range(100)])
    assert found.kind == "falling"
    assert found.zero == 200
    assert found.pace == pytest.approx(-7)
    assert found.earliest <= 200 <= found.latest


def test_no_date_without_a_trend():
    assert of([50] * 100).kind == "no-trend"
    assert of([50 + day for day in range(100)]).kind == "no-trend"


def test_noise_alone_is_rarely_taken_for_a_trend():
    chance = random.Random(3)
    falling = sum(of([100 + round(chance.gauss(0, 8)) for _ in range(84)]).kind == "falling" for _ in range(400))
    # 10 % on the falling side is what 80 % confidence means
    assert falling / 400 < 0.15


def test_a_fall_so_slow_that_no_date_can_be_named_has_no_latest_day():
    values = [1000 - day // 60 - (day % 7 == 0) * 2 for day in range(84)]
    found = of(values)
    assert found.kind in ("no-trend", "falling")
    assert found.latest is None


def test_too_few_weeks_are_too_early():
    found = of([30 - day for day in range(7 * (FEWEST - 1))])
    assert found.kind == "too-early"
    assert found.points == FEWEST - 1


def test_the_first_week_is_not_taken_for_a_rise():
    # a trailing week fills up in its first six days
    ramp = [min(40, 7 * day) - day // 7 for day in range(84)]
    assert of(ramp).kind == "falling"


def test_zero_says_since_when_and_only_after_a_use():
    assert of([3, 2, 0, 0, 0]).kind == "zero"
    assert of([3, 2, 0, 0, 0]).since == 2
    assert of([0, 0, 0], used=False).kind == "nothing"
    assert of([]).kind == "nothing"


def test_days_that_nobody_watched_are_unknown_and_not_zero():
    values = [100 - day for day in range(80)] + [0] * 10
    found = of(values, observed=range(80))
    assert found.kind == "falling"
    assert found.now == 21


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 1000)), min_size=2, max_size=12, unique_by=lambda p: p[0]))
def test_the_interval_holds_the_median_slope(points):
    middle, low, high = slopes(sorted(points))
    assert low <= middle <= high


@given(st.lists(st.integers(0, 200), min_size=0, max_size=120))
def test_a_named_day_lies_ahead_and_inside_its_interval(values):
    found = of(values)
    if found.kind == "falling":
        assert len(values) - 1 < found.earliest <= found.zero
        assert found.latest is None or found.zero <= found.latest


@pytest.mark.parametrize(("start", "pace"), [(100, 5), (300, 20), (200, 4)])
@pytest.mark.parametrize("noise", [0, 3, 8])
def test_the_interval_holds_the_true_day_as_often_as_it_says_in_noise(start, pace, noise):
    chance = random.Random(5)
    truth = start / pace * 7
    held = named = 0
    for _ in range(300):
        found = of([max(1, round(start - pace * day / 7 + chance.gauss(0, noise))) for day in range(84)])
        if found.kind == "falling":
            named += 1
            held += found.earliest <= truth and (found.latest is None or truth <= found.latest)
    assert named > 200
    assert held / named >= CONFIDENCE - 0.04


def test_the_interval_holds_the_true_day_where_work_comes_in_bursts():
    chance = random.Random(6)
    held = named = 0
    for _ in range(300):
        value, series = 120.0, []
        while value > 0:
            series.append(round(value))
            value -= chance.choice((0, 0, 0, 2, 4, 6)) * 0.45
        found = of(series[:71])
        if found.kind == "falling":
            named += 1
            held += found.earliest <= len(series) and (found.latest is None or len(series) <= found.latest)
    assert named > 200
    assert held / named >= CONFIDENCE - 0.04
