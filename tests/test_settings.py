"""Settings that bound or pace what the agent does: each has its effect in a real process."""

from __future__ import annotations

import json

import pytest

from worlds import World

HOST = """
    import json
    import legacy, waiting
    from lastcall.testing import memory_exporters

    def deep(depth):
        if depth:
            return deep(depth - 1)
        return legacy.old()

    def several():
        legacy.old()
        legacy.old()
        legacy.old()

    deep(9)
    for _ in range(5):
        several()
        waiting.rounds()
    (exporter,) = memory_exporters()
    sites = {site.id: site for batch in exporter.batches for site in batch.sites.values()}
    print(json.dumps({
        "frames": max(len(site.stack) for site in sites.values()),
        "repeats": sum(not sighting.first for batch in exporter.batches for sighting in batch.sightings),
        "statements": sum(batch.observation is not None for batch in exporter.batches),
        "batches": len(exporter.batches),
    }))
"""
EVERY_REPEAT = "60000000"


def told(folder, **settings):
    world = World(folder, {"legacy.py": "def old():\n    return 1\n", "host.py": HOST}, ("legacy:old",))
    run = world.run("auto", LASTCALL_EXPORTERS="store,memory", LASTCALL_FLUSH_INTERVAL="600", **settings)
    assert (run.code, run.err) == (0, "")
    assert run.total("legacy:old") == 16
    return json.loads(run.out)


def test_by_default_a_process_says_at_first_what_it_saw_and_then_counts(tmp_path):
    found = told(tmp_path)
    assert found["frames"] == 11
    assert found["repeats"] == 0, "one a minute for each call site"
    assert found["statements"] < found["batches"] - 1, "one in ten minutes, and one where a state changed"


def test_a_stack_is_kept_to_the_depth_that_was_asked_for(tmp_path):
    assert told(tmp_path, LASTCALL_STACK_DEPTH="4")["frames"] == 4


def test_explicit_zeros_come_as_often_as_was_asked_for(tmp_path):
    found = told(tmp_path, LASTCALL_OBSERVATION_INTERVAL="0.000001")
    assert found["statements"] == found["batches"]


@pytest.mark.parametrize(
    ("settings", "repeats"),
    [
        ({"LASTCALL_SPAN_BUDGET_PROCESS": "3"}, (1, 2, 3)),
        ({"LASTCALL_SPAN_BUDGET": "0"}, (0,)),
        ({"LASTCALL_SPANS": "none"}, (0,)),
    ],
)  # fmt: skip
def test_repeats_are_sampled_within_the_budgets(tmp_path, settings, repeats):
    assert told(tmp_path, **{"LASTCALL_SPAN_BUDGET": EVERY_REPEAT, **settings})["repeats"] in repeats


def test_and_without_bounds_nearly_each_one_is(tmp_path):
    assert told(tmp_path, LASTCALL_SPAN_BUDGET=EVERY_REPEAT)["repeats"] > 6


LEAVING = """
    import time
    import legacy, waiting
    from lastcall.testing import memory_exporters

    legacy.old()
    waiting.rounds()
    (exporter,) = memory_exporters()

    def shutdown(timeout):
        open("left", "w").write(str(timeout))
        time.sleep({takes})

    exporter.shutdown = shutdown
    print("done")
"""


@pytest.mark.parametrize(("timeout", "least", "takes"), [("0.3", 0.0, 600), ("40", 10.0, 0)])
def test_leaving_takes_as_long_as_it_may(tmp_path, timeout, least, takes):
    files = {"legacy.py": "def old():\n    return 1\n", "host.py": LEAVING.replace("{takes}", str(takes))}
    world = World(tmp_path, files, ("legacy:old",))
    run = world.run("auto", LASTCALL_EXPORTERS="store,memory", LASTCALL_EXIT_TIMEOUT=timeout)
    assert (run.code, run.out, run.err) == (0, "done\n", "")
    assert least < float((tmp_path / "left").read_text()) <= float(timeout)
    assert run.total("legacy:old") == 1
