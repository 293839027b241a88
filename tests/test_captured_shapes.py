"""Each kind of target, captured before it is armed in each of the ways there are: every use of it is counted, or its
state says what escapes. See `captured_shapes`."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import pytest

import captured_shapes
from captured_shapes import ALIKE, STAYS, module_of, target_of
from how_many import examples
from worlds import ENGINES, World

if TYPE_CHECKING:
    from worlds import Run

FREE_THREADED = "t" in getattr(sys, "abiflags", "")
CAPTURED, NAMED = 3, 2
"""How often the host uses a target through what captured it, and by its name."""
NOT_MATCHED = ("c_function", "inherited", "cached_method")
"""Kinds that no wildcard covers: what was defined elsewhere, and what is no function in a class."""
WAY_STAYS = {way: said for said, ways in STAYS.items() for way in ways}
if sys.version_info >= (3, 13):
    WAY_STAYS["queue"] = "a SimpleQueue"  # a list before
if sys.version_info >= (3, 14):
    WAY_STAYS["atexit"] = "a tuple"  # in C before


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    pairs = captured_shapes.combinations(sys.version_info[:2])
    if examples(3) == 1:  # the thirds of three versions make all
        pairs = pairs[sys.version_info[1] % 3 :: 3]
    return World(tmp_path_factory.mktemp("shapes"), captured_shapes.files_for(pairs), ()), pairs


@pytest.fixture(scope="module")
def plain(world):
    run = world[0].run(timeout=120)
    assert run.err == ""
    return by_module(run)


def by_module(run: Run) -> dict[str, list[str]]:
    """What a host printed of each module: what the captured reference looks like, and what came of the uses."""
    found = defaultdict(list)
    for line in run.out.splitlines():
        name, _, rest = line.partition(" ")
        found[name].append(rest)
    return found


def truth_of(way: str) -> int:
    return NAMED if way == "direct" else NAMED + CAPTURED


def mistakes(run: Run, plain: dict[str, list[str]], pairs: list[tuple[str, str]]) -> list[str]:
    """Each combination that was not counted as it was used and does not say so, or of which the host could tell."""
    found, states, shown = [], run.states(), by_module(run)
    counted: Counter[str] = Counter()
    for use in run.uses():
        counted[use.target] += use.count
    for kind, way in pairs:
        ref, name = target_of(kind, way), module_of(kind, way)
        state, reason, _ = states.get(ref, ("unknown", "", ""))
        count, truth = counted[ref], truth_of(way)
        told = state in ("partial", "failed") and reason != ""
        if count > truth or (count < truth and not told):
            found.append(f"{ref}: {count} of {truth} counted, {state} {reason}")
        # to who kept the original, what the name leads to now is another object: that is what the state says
        if shown[name][told:] != plain[name][told:]:
            found.append(f"{ref}: {shown[name]} instead of {plain[name]}, {state} {reason}")
        if state not in ("armed", "partial", "failed"):
            found.append(f"{ref}: {state}")
    return found


@pytest.mark.parametrize("engine", ENGINES)
def test_a_use_through_what_captured_a_target_is_counted_or_its_state_says_so(engine, world, plain):
    world, pairs = world
    world.targets = tuple(target_of(*pair) for pair in pairs)
    run = world.run(engine, timeout=240)
    assert run.err == ""
    assert run.internal_errors() == {}
    assert mistakes(run, plain, pairs) == []
    states = [state for state, _, _ in run.states().values()]
    assert len(states) == len(pairs)
    assert states.count("armed") > len(pairs) * (0.75 if engine != "wrapping" else 0.1 if FREE_THREADED else 0.4)


def test_a_wildcard_sees_the_same(world, plain):
    world, pairs = world
    pairs = [(kind, way) for kind, way in pairs if kind in ALIKE or way in WAY_STAYS]
    pairs = [(kind, way) for kind, way in pairs if kind not in NOT_MATCHED]
    world.targets = ("old_*:old", "old_*:Chat.old", "old_*:Chat.Inner.old")
    run = world.run("auto", timeout=240)
    assert run.err == ""
    assert mistakes(run, plain, pairs) == []


@pytest.mark.skipif(FREE_THREADED, reason="free-threaded builds do not count references to functions")
def test_what_keeps_a_function_that_is_wrapped_is_named(world):
    """And what does not stay is given the wrapper."""
    world, pairs = world
    pairs = [(kind, way) for kind, way in pairs if kind in ("function", "c_function", "cached_function")]
    world.targets = tuple(target_of(*pair) for pair in pairs)
    states = world.run("wrapping", timeout=240).states()
    wrong = []
    for kind, way in pairs:
        state, reason, _ = states[target_of(kind, way)]
        expected = WAY_STAYS.get(way, "")
        if (state, expected in reason) != ("partial" if expected else "armed", True):
            wrong.append(f"{kind} {way}: {state} {reason!r}, not {expected!r}")
    assert wrong == []
