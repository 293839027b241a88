"""`kill -9` at a random instant: no call site is lost, and no count beyond one for each thread in flight."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time

import pytest

from lastcall.store import Store
from waiting import until
from worlds import World

THREADS = 3
GIL = getattr(sys, "_is_gil_enabled", lambda: True)()

# Each thread says what it is about to do and what it has done, in a file of its own that outlives it too.
HOST = """
import mmap, os, sys, threading, time
import legacy

truth = mmap.mmap(os.open("truth", os.O_RDWR), 4096)
numbers = memoryview(truth).cast("Q")

def sites(slot):
    lines = ["def make(legacy, numbers, slot):", "    def run(n):"]
    for site in range(20):
        lines += [f"        if n % 20 == {site}:", f"            legacy.old(n)", f"            numbers[slot * 21 + {site}] += 1"]
    lines += ["    return run"]
    names = {}
    exec(compile("\\n".join(lines), f"thread{slot}.py", "exec"), names)
    return names["make"](legacy, numbers, slot)

def work(slot):
    run = sites(slot)
    n = 0
    while True:
        run(n)
        n += 1
        if n > 20 * 50:
            time.sleep(0.0002)

for slot in range(THREADS):
    threading.Thread(target=work, args=(slot,), daemon=True).start()
print("started", flush=True)
time.sleep(60)
""".replace("THREADS", str(THREADS))


def kill_once(world: World, number: int, engine: str, rng: random.Random) -> None:
    truth = world.folder / "truth"
    truth.write_bytes(bytes(4096))
    store = world.folder / f"evidence-{number}" / "store.db"
    environ = world.environment(store, engine, LASTCALL_FLUSH_INTERVAL="0.02")
    process = subprocess.Popen(world.command(), cwd=world.folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"started\n"
    time.sleep(rng.choice([0.0, 0.001, 0.01, 0.1]) * rng.random())
    process.send_signal(signal.SIGKILL)
    _, err = process.communicate()
    assert err == b""
    done = memoryview(truth.read_bytes()).cast("Q")
    found: dict[tuple[str, int], int] = {}
    if not store.with_name("store.db-live").is_dir():  # killed before the first use
        assert not any(done)
        return
    with Store.current(store) as current:
        for row in current.uses():
            found[row.site.file.rpartition("/")[2], row.site.line] = row.count
    for slot in range(THREADS):
        missing = 0
        for site in range(20):
            known = done[slot * 21 + site]
            counted = found.pop((f"thread{slot}.py", 4 + 3 * site), 0)
            # counted before the call, noted by the host after it
            assert known <= counted <= known + 1, (number, slot, site, known, counted)
            missing += counted - known
        assert missing <= 1, (number, slot, "more than the one call in flight")
    assert found == {}


@pytest.mark.parametrize("engine", ["auto", "inplace"])
def test_ten_kills(tmp_path, engine):
    world = World(tmp_path, {"legacy.py": "def old(value):\n    return value\n", "host.py": HOST}, ("legacy:old",))
    rng = random.Random(1)
    for number in range(5):
        kill_once(world, number, engine, rng)


SHARED = """
import mmap, os, sys, threading, time
import legacy

truth = mmap.mmap(os.open("truth", os.O_RDWR), 4096)
numbers = memoryview(truth).cast("Q")
sys.setswitchinterval(1e-6)

def work(slot):
    while True:
        legacy.old(slot)
        numbers[slot * 8] += 1

for slot in range(8):
    threading.Thread(target=work, args=(slot,), daemon=True).start()
print("started", flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(not GIL, reason="without a GIL a slot may lag until the next use or the next flush")
@pytest.mark.parametrize("engine", ["wrapping", "inplace"])
def test_threads_that_share_a_call_site_lose_at_most_the_calls_in_flight(tmp_path, engine):
    world = World(tmp_path, {"legacy.py": "def old(value):\n    return value\n", "host.py": SHARED}, ("legacy:old",))
    for number in range(4):
        truth = tmp_path / "truth"
        truth.write_bytes(bytes(4096))
        store = tmp_path / f"evidence-{number}" / "store.db"
        environ = world.environment(store, engine, LASTCALL_FLUSH_INTERVAL="600")  # nobody publishes what was overtaken
        process = subprocess.Popen(world.command(), cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout.readline() == b"started\n"
        until(lambda: any(memoryview(truth.read_bytes()).cast("Q")))
        time.sleep(0.3 + 0.01 * number)
        process.send_signal(signal.SIGKILL)
        _, err = process.communicate()
        assert err == b""
        done = sum(memoryview(truth.read_bytes()).cast("Q"))
        with Store.current(store) as current:
            (row,) = current.uses()
        assert done > 0
        assert done <= row.count <= done + 8


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_hundred_kills(tmp_path):
    world = World(tmp_path, {"legacy.py": "def old(value):\n    return value\n", "host.py": HOST}, ("legacy:old",))
    rng = random.Random(2)
    for number in range(200):
        kill_once(world, number, ("auto", "wrapping", "inplace")[number % 3], rng)
