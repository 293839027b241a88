"""Greenlets share a thread and are switched where they wait: their uses are counted like any other."""

from __future__ import annotations

import sys

import pytest

from worlds import ENGINES, World

pytest.importorskip("gevent", reason="gevent is not installed")

LEGACY = """\
def old(value=1):
    return value


class Old:
    def __init__(self):
        self.a = 1

    def method(self):
        return self.a
"""
TARGETS = ("legacy:old", "legacy:Old", "legacy:Old.method")

# Greenlets in the main thread, and in gevent's own pool of real threads.
GREENLETS = """
from gevent import monkey
{patched}
import gevent
import gevent.threadpool
import legacy

def sites(amount):
    names = {{"gevent": gevent, "legacy": legacy}}
    body = "".join(f"    legacy.old({{n}})\\n    gevent.sleep(0)\\n" for n in range(amount))
    exec(compile("def fresh():\\n" + body, "fresh.py", "exec"), names)
    return names["fresh"]

fresh = sites(40)

def work():
    for _ in range(100):
        legacy.old(1)  # 10000x legacy.old
        gevent.sleep(0)
        legacy.Old().method()  # 10000x legacy.Old # 10000x legacy.Old().method
    fresh()

def in_a_thread():
    for _ in range(500):
        legacy.old(2)  # 2000x legacy.old

greenlets = [gevent.spawn(work) for _ in range(100)]
pool = gevent.threadpool.ThreadPool(4)
threads = [pool.spawn(in_a_thread) for _ in range(4)]
gevent.joinall(greenlets, raise_error=True)
print([thread.get() for thread in threads])
"""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("patched", ["monkey.patch_all()", ""], ids=["patched", "as-it-is"])
def test_greenlets_and_pooled_threads_lose_nothing(tmp_path, engine, patched):
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": GREENLETS.format(patched=patched)}, TARGETS)
    run = world.run(engine, LASTCALL_FLUSH_INTERVAL="0.3")
    assert run.err == ""
    assert (run.code, run.out) == (0, "[None, None, None, None]\n")
    uses = run.uses()
    fresh = [use.count for use in uses if use.file == "fresh.py"]
    assert fresh == [100] * 40
    found = sorted((use.line, use.count) for use in uses if use.file == "host.py")
    assert found == sorted((use.line, use.count) for use in world.marks())
    if sys.version_info >= (3, 12):  # before, gevent replaces the locks of imports too, and one of our thread's may fail
        assert run.internal_errors() == {}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_greenlet_that_waits_while_another_meets_a_new_call_site_holds_nobody_up(tmp_path, engine):
    """The recorder's lock is held for a moment, and never over a switch of greenlets."""
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": """
        import legacy
        from gevent import monkey
        monkey.patch_all()
        import threading, time

        def work(n):
            names = {"legacy": legacy, "time": time}
            body = "".join(f"    legacy.old({i})\\n    time.sleep(0.0001)\\n" for i in range(50))
            exec(compile("def fresh():\\n" + body, f"fresh{n}.py", "exec"), names)
            names["fresh"]()

        threads = [threading.Thread(target=work, args=(n,)) for n in range(20)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        """}, TARGETS)
    run = world.run(engine, LASTCALL_FLUSH_INTERVAL="0.3", PYTHONWARNINGS="ignore")
    assert (run.code, run.err) == (0, "")
    assert [use.count for use in run.uses()] == [1] * (20 * 50)
