"""Sampled calls to their end: 3.12 and later, without a frame of ours; elsewhere the end is said to be unknown."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from worlds import World

LEGACY = """
    import sys, time

    def slow(depth=0):
        time.sleep(0.05)
        if depth:
            slow(depth - 1)
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
    import asyncio, json, legacy

    def go():
        assert legacy.slow(1) == "go"
        for function in (legacy.fails, legacy.Old().method):
            try:
                function()
            except (ValueError, KeyError):
                pass
        asyncio.run(legacy.later())
        legacy.stays()

    go()
    import atexit, time
    from lastcall.testing import memory_exporters

    def sightings():
        return [s for exporter in memory_exporters() for batch in exporter.batches for s in batch.sightings]

    for _ in range(100):
        time.sleep(0.1)
        if len({s.site.target for s in sightings()}) == 5:
            break
    seen = sightings()
    print(json.dumps([[s.site.target, s.first, s.end_ns and (s.end_ns - s.start_ns) / 1e9, s.error_type] for s in seen]))
"""

TARGETS = tuple(f"legacy:{name}" for name in ("slow", "fails", "Old.method", "later", "stays"))


def test_first_sights_have_their_real_end_and_exception(tmp_path: Path) -> None:
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": HOST}, targets=TARGETS)
    for engine in ("auto", "wrapping", "inplace"):
        run = world.run(engine, LASTCALL_EXPORTERS="store,memory", LASTCALL_FLUSH_INTERVAL="0.1", LASTCALL_DEBUG="1")
        assert run.code == 0, run.err
        seen = {}
        for target, first, seconds, error in json.loads(run.out):
            assert first
            seen.setdefault(target, []).append((seconds, error))
        assert set(seen) == set(TARGETS)
        assert seen["legacy:later"] == [(None, "")]
        if sys.version_info < (3, 12):
            assert all(seconds is None for rows in seen.values() for seconds, _ in rows)
            continue
        outer, inner = sorted(seen["legacy:slow"], reverse=True)
        assert 0.1 <= outer[0] < 2
        assert 0.05 <= inner[0] < outer[0]
        assert seen["legacy:fails"][0][1] == "ValueError"
        assert seen["legacy:Old.method"][0][1] == "KeyError"
        assert seen["legacy:Old.method"][0][0] >= 0.02
        assert seen["legacy:stays"][0][1] == ""
        assert run.internal_errors() == {}
