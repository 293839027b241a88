"""Sampled calls to their end: 3.12 and later, without a frame of ours; elsewhere the end is said to be unknown."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from lastcall.store import Store
from worlds import World

LEGACY = """
    import sys, time

    took = []

    def slow(depth=0):
        began = time.time_ns()
        time.sleep(0.05)
        if depth:
            slow(depth - 1)
        took.append(time.time_ns() - began)
        return sys._getframe(1).f_code.co_name

    def fails():
        raise ValueError("x")

    class Old:
        def method(self):
            time.sleep(0.02)
            raise KeyError("y")

    async def later():
        return 1

    def stays():
        time.sleep(0.01)
"""

HOST = """
    import asyncio, json, legacy, time, waiting

    def go():
        began = time.time_ns()
        assert legacy.slow(1) == "go"
        legacy.took.append(time.time_ns() - began)
        for function in (legacy.fails, legacy.Old().method):
            try:
                function()
            except (ValueError, KeyError):
                pass
        asyncio.run(legacy.later())
        legacy.stays()

    go()
    from lastcall.testing import memory_exporters

    def sightings():
        return [s for exporter in memory_exporters() for batch in exporter.batches for s in batch.sightings]

    waiting.until(lambda: len({s.site.target for s in sightings()}) == 5)
    seen = sightings()
    print(json.dumps([legacy.took, [[s.site.target, s.first, s.end_ns and s.end_ns - s.start_ns, s.error_type] for s in seen]]))
"""

TARGETS = tuple(f"legacy:{name}" for name in ("slow", "fails", "Old.method", "later", "stays"))


def test_first_sights_have_their_real_end_and_exception(tmp_path: Path) -> None:
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": HOST}, targets=TARGETS)
    for engine in ("auto", "wrapping", "inplace"):
        run = world.run(engine, LASTCALL_EXPORTERS="store,memory", LASTCALL_FLUSH_INTERVAL="0.1", LASTCALL_DEBUG="1")
        assert run.code == 0, run.err
        seen = {}
        (in_inner, in_outer, around_outer), sightings = json.loads(run.out)
        for target, first, nanoseconds, error in sightings:
            assert first
            seen.setdefault(target, []).append((nanoseconds, error))
        assert set(seen) == set(TARGETS)
        assert seen["legacy:later"] == [(None, "")]
        if sys.version_info < (3, 12):
            assert all(took is None for rows in seen.values() for took, _ in rows)
            continue
        outer, inner = sorted(seen["legacy:slow"], reverse=True)
        assert in_outer <= outer[0] <= around_outer
        assert in_inner <= inner[0] <= in_outer
        assert seen["legacy:fails"][0][1] == "ValueError"
        assert seen["legacy:Old.method"][0][1] == "KeyError"
        assert seen["legacy:Old.method"][0][0] >= 20_000_000
        assert seen["legacy:stays"][0][1] == ""
        assert run.internal_errors() == {}


RAISING = """
    import legacy, waiting

    def go():
        for value in (1, 0, 0):
            try:
                legacy.divide(value)
            except ZeroDivisionError:
                pass
        legacy.fine()

    go()
    waiting.rounds()
    go()
"""


@pytest.mark.parametrize(
    ("settings", "errors"),
    [
        ({"LASTCALL_SPANS": "all", "LASTCALL_EXPORTERS": "store,memory"}, {"legacy:divide": 4, "legacy:fine": 0}),
        ({}, {"legacy:divide": None, "legacy:fine": None}),
    ],
)  # fmt: skip
def test_the_store_has_how_many_uses_raised_where_that_was_seen_and_else_no_number(tmp_path, settings, errors):
    legacy = "def divide(by):\n    return 1 / by\n\ndef fine():\n    return 1\n"
    world = World(tmp_path, {"legacy.py": legacy, "host.py": RAISING}, targets=("legacy:divide", "legacy:fine"))
    run = world.run("auto", **settings)
    assert (run.code, run.err) == (0, "")
    with Store.current(run.store) as store:
        found = [(row.site.target, row.count, row.errors) for row in store.uses()]
    assert sorted(found) == [("legacy:divide", 6, errors["legacy:divide"]), ("legacy:fine", 2, errors["legacy:fine"])]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="ends are followed from 3.12 on")
def test_a_sampled_call_that_goes_to_the_end_of_the_stack_goes_one_frame_less_far_at_most(tmp_path: Path) -> None:
    """What looks at its end may find no room there, and the host's call does not fail for that."""
    world = World(tmp_path, {"legacy.py": "def old(n):\n    return old(n - 1) if n else 1\n", "host.py": """
        import sys
        import legacy

        sys.setrecursionlimit(200)
        deepest = 0
        for depth in range(150, 200):  # each from a call site of its own, so that each is sampled
            names = {"old": legacy.old}
            exec(compile("def go(depth):\\n    return old(depth)\\n", f"{depth}.py", "exec"), names)
            try:
                deepest += names["go"](depth)
            except RecursionError:
                break
        print(deepest)
        """}, targets=("legacy:old",))  # fmt: skip
    plain = world.run()
    for engine in ("auto", "wrapping", "inplace"):
        watched = world.run(engine, LASTCALL_EXPORTERS="store,memory", LASTCALL_DEBUG="1")
        assert int(watched.out) in {int(plain.out) - 1, int(plain.out)}, engine
        assert watched.err == ""
