"""A small part of benchmarks/verdict: the verdict on simulated fleets, with a fixed seed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

numpy = pytest.importorskip("numpy", reason="the simulation needs numpy: pip install lastcall[dev]")
HERE = Path(__file__).parent.parent / "benchmarks" / "verdict"


@pytest.fixture(scope="module")
def program():
    sys.path.insert(0, str(HERE))
    try:
        import run
    finally:
        sys.path.remove(str(HERE))
    return run


@pytest.fixture(scope="module")
def simulation(program):
    mix = program.Mix(program.tomllib.loads((HERE / "mix.toml").read_text()))
    mix.tables["fleet"]["history_days"] = [120, 240]
    answers, useful = [], []
    for seed in range(350):
        some, more = program.run_one((mix, 90_000 + seed, 30.0))
        answers += some
        useful += more
    return [a for a in answers if not a.hidden], useful


@pytest.mark.slow
def test_safe_is_safe_where_the_rule_of_two_weeks_is_not(simulation):
    answers, _ = simulation
    safe = [a for a in answers if a.word == "safe"]
    naive = [a for a in answers if a.naive]
    assert len(safe) > 80
    assert sum(a.used for a in safe) <= 0.01 * len(safe) + 1
    assert sum(a.used for a in naive) > 0.1 * len(naive)


@pytest.mark.slow
def test_safe_comes_in_time(simulation):
    _, useful = simulation
    assert len(useful) > 15
    assert sum(u.safe for u in useful) >= 0.9 * len(useful)


@pytest.mark.slow
def test_the_stated_risk_is_what_happens(program, simulation):
    answers, _ = simulation
    rows = program.calibration(answers)
    assert len(rows) >= 8
    assert [row[0] for row in rows if not row[6]] == []
    low = [a for a in answers if a.probability < 0.01]
    high = [a for a in answers if a.probability > 0.9]
    assert sum(a.used for a in low) <= 0.02 * len(low)
    assert sum(a.used for a in high) >= 0.85 * len(high)


def test_the_simulated_agent_sees_no_more_than_there_was(program):
    rng = numpy.random.default_rng(5)
    mix = program.Mix(program.tomllib.loads((HERE / "mix.toml").read_text()))
    for _ in range(20):
        world = program.make_world(mix, rng)
        for caller in world.callers:
            assert not (caller.seen & ~caller.used).any()
            assert not caller.seen[~caller.service.watched].any()
