"""Counts equal the truth: under threads, asyncio, forks of every kind, and however a process ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from worlds import ENGINES, World

LEGACY = """\
def old(value=1):
    return value + 1


async def later(value=1):
    return value


class Old:
    def __init__(self):
        self.a = 1

    def method(self):
        return self.a
"""
TARGETS = ("legacy:old", "legacy:later", "legacy:Old", "legacy:Old.method")

THREADS = """
import sys, threading
import legacy

sys.setswitchinterval(1e-6)
barrier = threading.Barrier(8)

def work():
    barrier.wait()
    for _ in range(2500):
        legacy.old(1)  # 20000x legacy.old
        legacy.old(2)  # 20000x legacy.old
        legacy.Old().method()  # 20000x legacy.Old # 20000x legacy.Old().method

threads = [threading.Thread(target=work) for _ in range(8)]
[t.start() for t in threads]
[t.join() for t in threads]
print("done")
"""

ASYNC = """
import asyncio
import legacy

async def task():
    for _ in range(50):
        await legacy.later()  # 5000x legacy.later
        legacy.old()  # 5000x legacy.old
        await asyncio.sleep(0)

async def main():
    await asyncio.gather(*(task() for _ in range(100)))

asyncio.run(main())
"""


def counted(world: World, engine: str, **environ: str):
    run = world.run(engine, **environ)
    assert run.err == ""
    assert run.code == 0
    return run


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("program", [THREADS, ASYNC], ids=["threads", "asyncio"])
def test_threads_and_tasks_lose_nothing(tmp_path, program, engine):
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": program}, TARGETS)
    run = counted(world, engine, LASTCALL_FLUSH_INTERVAL="0.02")
    found = sorted((use.line, use.count) for use in run.uses())
    assert found == sorted((use.line, use.count) for use in world.marks())


MANY = """
import sys, threading
import legacy

barrier = threading.Barrier(8)

def work(thing):
    barrier.wait()
    for _ in range(100_000):
        legacy.old(1)  # 800000x legacy.old
    for _ in range(20_000):
        thing.method()  # 160000x thing.method
        legacy.Old()  # 160000x legacy.Old

threads = [threading.Thread(target=work, args=(object.__new__(legacy.Old),)) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("extensions", ["", "1"], ids=["wrapt-in-C", "wrapt-in-Python"])
def test_eight_threads_on_one_call_site_count_exactly(tmp_path, engine, extensions):
    legacy = LEGACY.replace("self.a = 1", "pass").replace("return self.a", "return 1")
    many = MANY if not extensions else MANY.replace("100_000", "40_000").replace("800000x", "320000x")
    world = World(tmp_path, {"legacy.py": legacy, "host.py": many}, TARGETS)
    run = world.run(engine, timeout=240, WRAPT_DISABLE_EXTENSIONS=extensions)
    assert run.err == ""
    found = sorted((use.line, use.count) for use in run.uses())
    assert found == sorted((use.line, use.count) for use in world.marks())


FORK = """
import os, sys
import legacy

legacy.old()
legacy.old()
children = []
for n in range(3):
    pid = os.fork()
    if pid == 0:
        for _ in range(10 + n):
            legacy.old()
        grandchild = os.fork()
        if grandchild == 0:
            legacy.Old().method()
            {leave}
        os.waitpid(grandchild, 0)
        {leave}
    children.append(pid)
    legacy.old()
print([os.waitpid(pid, 0)[1] for pid in children])
legacy.old()
"""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("leave", ["sys.exit(0)", "os._exit(0)", "os.kill(os.getpid(), 9)", "os.kill(os.getpid(), 15)"])
def test_forked_processes_count_for_themselves_however_they_end(tmp_path, leave, engine):
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": FORK.format(leave=leave)}, TARGETS)
    run = world.run(engine)
    assert run.err == ""
    assert run.total("legacy:old") == 2 + (10 + 11 + 12) + 3 + 1
    assert run.total("legacy:Old") == run.total("legacy:Old.method") == 3
    assert run.internal_errors() == {}


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_counts_in_every_worker(tmp_path, method):
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": f"""
        import multiprocessing
        import legacy

        def work(n):
            return sum(legacy.old(i) for i in range(n))

        if __name__ == "__main__":
            context = multiprocessing.get_context("{method}")
            with context.Pool(3) as pool:
                print(pool.map(work, [10, 20, 30, 40]))
                pool.close()
                pool.join()
            process = context.Process(target=work, args=(5,))
            process.start()
            process.join()
            print(process.exitcode)
        """}, TARGETS)
    plain, run = world.run(), world.run("auto")
    assert (run.out, run.err, run.code) == (plain.out, plain.err, plain.code)
    assert run.total("legacy:old") == 105


def test_a_prefork_server_counts_in_its_workers_and_in_those_that_replace_them(tmp_path):
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": """
        import os, signal, sys, time
        import legacy, waiting

        legacy.old()  # preloaded application code
        told, tell = os.pipe()

        def worker(n):
            signal.signal(signal.SIGTERM, lambda *a: sys.exit(0))
            for _ in range(n):
                legacy.old()
            os.write(tell, b"ready")
            waiting.rounds()
            while True:
                time.sleep(0.01)

        def spawn(n):
            pid = os.fork()
            if pid == 0:
                worker(n)
            return pid

        workers = [spawn(n) for n in (1, 20, 300)]
        for _ in workers: assert os.read(told, 5) == b"ready"
        os.kill(workers[0], signal.SIGKILL)
        os.waitpid(workers[0], 0)
        workers[0] = spawn(4000)
        assert os.read(told, 5) == b"ready"
        for pid in workers:
            os.kill(pid, signal.SIGTERM)
        print([os.waitpid(pid, 0)[1] for pid in workers])
        """}, TARGETS)
    run = world.run("auto", LASTCALL_FLUSH_INTERVAL="0.1")
    assert run.err == ""
    assert run.out == "[0, 0, 0]\n"
    assert run.total("legacy:old") == 1 + 1 + 20 + 300 + 4000


@pytest.mark.parametrize("ending", [
    "pass", "sys.exit(5)", "os._exit(6)", "raise SystemExit('bye')", "1/0", "os.abort()",
    "os.kill(os.getpid(), 15)", "os.kill(os.getpid(), 9)", "os.execv(sys.executable, [sys.executable, '-c', 'print(1)'])",
    "threading.Thread(target=lambda: (time.sleep(0.1), legacy.old())).start()",
    "atexit.register(legacy.old)", "atexit.register(lambda: legacy.old())", "atexit.register(lambda: 1/0) and legacy.old()",
    "threading.Thread(target=time.sleep, args=(30,), daemon=True).start()", "os.kill(os.getpid(), 2)",
    "sys.stdout.close()", "weakref.finalize(legacy, legacy.old)",
    "sys.excepthook = lambda *a: print('hook', a[0].__name__); 1/0",
])
def test_every_way_to_end_leaves_the_counts_and_the_exit_code(tmp_path, ending):
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": f"""
        import atexit, os, sys, threading, time, weakref
        import legacy
        for turn in range(7):
            legacy.old(turn)
        print("before", flush=True)
        {ending}
        """}, TARGETS)
    plain, run = world.run(), world.run("auto", LASTCALL_ENABLED="1")
    assert (run.out, run.code) == (plain.out, plain.code)
    assert re.sub("0x[0-9a-f]+", "0x", run.err) == re.sub("0x[0-9a-f]+", "0x", plain.err)
    extra = 1 if "legacy.old" in ending else 0
    assert run.total("legacy:old") == 7 + extra


def test_a_use_before_the_first_flush_and_after_the_last_is_counted(tmp_path):
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": """
        import legacy, waiting
        legacy.old()  # 1x legacy.old
        waiting.rounds()
        legacy.old()  # 1x legacy.old
        """}, TARGETS)
    run = world.run("auto", LASTCALL_FLUSH_INTERVAL="0.05")
    assert sorted((use.line, use.count) for use in run.uses()) == sorted((use.line, use.count) for use in world.marks())


def test_a_running_process_can_be_read_and_read_again_without_counting_twice(tmp_path):
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": """
        import sys
        import legacy
        for line in sys.stdin:
            for _ in range(int(line)):
                legacy.old()
            print("done", flush=True)
        """}, TARGETS)
    store = tmp_path / "evidence" / "store.db"
    process = subprocess.Popen(world.command(), cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               env=world.environment(store, LASTCALL_FLUSH_INTERVAL="0.05"))
    from lastcall.store import Store

    total = 0
    for amount in (3, 40, 500):
        process.stdin.write(f"{amount}\n")
        process.stdin.flush()
        assert process.stdout.readline() == "done\n"
        total += amount
        for _ in range(2):
            with Store.current(store) as current:
                assert sum(row.count for row in current.uses()) == total
            time.sleep(0.06)
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    process.stdin.close()
    process.stdout.close()
    with Store.current(store) as current:
        assert sum(row.count for row in current.uses()) == total


def test_code_made_anew_at_every_call_is_one_call_site(tmp_path):
    """Keys are addresses: code that is freed must not hand its key, and its count, to other code."""
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": """
        import gc
        import legacy
        for turn in range(500):
            names = {"legacy": legacy}
            exec(compile("def f():\\n    return legacy.old()\\n" if turn % 2 else "def g():\\n    pass\\n    return legacy.old()\\n", f"made{turn % 2}.py", "exec"), names)
            (names.get("f") or names["g"])()
            del names
            if turn % 50 == 0:
                gc.collect()
        """}, TARGETS)
    run = counted(world, "auto")
    assert sorted((use.file, use.line, use.count) for use in run.uses()) == [("made0.py", 3, 250), ("made1.py", 2, 250)]


def test_uses_from_generated_instructions_and_decorators_are_attributed_to_who_wanted_them(tmp_path):
    world = World(tmp_path, {"legacy.py": """
        import functools

        def timed(function):
            @functools.wraps(function)
            def wrapper(*args, **kwargs):
                return function(*args, **kwargs)
            return wrapper

        @timed
        @timed
        def old():
            return 1

        def helper():
            return 2
        """, "host.py": """
        import legacy
        from legacy import timed

        @timed
        def mine():
            return legacy.helper()  # 2x legacy.helper

        def caller():
            return legacy.old()  # 3x legacy.old

        print([caller() for _ in range(3)], mine(), mine())
        """}, ("legacy:old", "legacy:helper"))
    for engine in ENGINES:
        run = counted(world, engine)
        found = sorted((use.line, use.function, use.count) for use in run.uses())
        assert found == sorted((use.line, use.function, use.count) for use in world.marks())


def test_a_test_runner_and_a_scanner_are_marked(tmp_path):
    world = World(tmp_path, {"legacy.py": "VALUE = 1\n\ndef __getattr__(name):\n    raise AttributeError(name)\n",
                             "host.py": "import inspect, legacy\ninspect.getmembers(legacy)\nprint(legacy.VALUE)\n"},
                  ("legacy:VALUE",))
    run = counted(world, "auto")
    from lastcall.store import Store

    with Store.current(run.store) as store:
        flags = {row.site.file.rpartition("/")[2]: row.site.scanner for row in store.uses()}
    assert flags == {"inspect.py": True, "host.py": False}


LOOKS_LIKE_A_TEST_OR_A_SCANNER = {
    "a package of the application's called as a test runner is": ("ward/beds.py", "def work(call):\n    return call()\n", "from ward.beds import work"),
    "and one as a scanner is": ("pdoc.py", "def work(call):\n    return call()\n", "from pdoc import work"),
    "a mock outside a test": ("rooms.py", "import unittest.mock as m\ndef work(call):\n    return m.Mock(side_effect=call)()\n", "from rooms import work"),
    "an object found by its name": ("plug.py", "import legacy\nVALUE = legacy.old(1)\n", "import pydoc\npydoc.locate('plug')\nwork = lambda call: None"),
    "and in another way": ("plug.py", "import legacy\nVALUE = legacy.old(1)\n", "import pkgutil\npkgutil.resolve_name('plug:VALUE')\nwork = lambda call: None"),
    "dependencies given to a handler": ("site-packages/dependency_injector/wiring.py", "def work(call):\n    return call()\n", "import sys\nsys.path.insert(0, 'site-packages')\nfrom dependency_injector.wiring import work"),
}  # fmt: skip


@pytest.mark.parametrize("case", LOOKS_LIKE_A_TEST_OR_A_SCANNER)
def test_what_only_looks_like_a_test_or_a_scanner_counts_against_removal(tmp_path, case):
    name, code, imports = LOOKS_LIKE_A_TEST_OR_A_SCANNER[case]
    world = World(tmp_path, {"legacy.py": LEGACY, name: code, "host.py": f"import legacy\n{imports}\nwork(lambda: legacy.old(1))\n"}, TARGETS)
    (tmp_path / name).parent.joinpath("__init__.py").touch()
    run = counted(world, "auto")
    from lastcall.store import Store

    with Store.current(run.store) as store:
        assert [(row.site.by_test, row.site.scanner) for row in store.uses()] == [(False, False)]


def test_more_call_sites_than_the_bound_are_counted_as_dropped(tmp_path):
    lines = "\n".join("legacy.old()" for _ in range(50))
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": f"import legacy\nfor _ in range(3):\n    pass\n{lines}\n"}, TARGETS)
    run = counted(world, "auto", LASTCALL_MAX_SITES="20")
    from lastcall.store import Store

    with Store.current(run.store) as store:
        dropped = dict(pair for row in store.processes() for pair in row.dropped)
    assert len(run.uses()) == 20
    assert dropped == {"call-site-limit": 30}


def test_a_use_that_the_last_flush_leaves_out_is_said(tmp_path):
    """By a finalizer of garbage that is found while our thread, or who leaves, is at its last look at the counters."""
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": """
        import legacy, sys
        legacy.old()
        from lastcall import bootstrap
        recorder = bootstrap.life().agent().recorder
        publish = recorder.publish
        def publish_and_find_garbage(**how):
            recorder._defer(recorder._see, recorder.taps[0], sys._getframe())
            publish(**how)
        recorder.publish = publish_and_find_garbage
        """}, TARGETS)  # fmt: skip
    run = counted(world, "auto", LASTCALL_MAX_SITES="1", LASTCALL_FLUSH_INTERVAL="600")
    from lastcall.store import Store

    with Store.current(run.store) as store:
        assert [row.dropped for row in store.processes()] == [(("call-site-limit", 1),)]


def test_uses_for_which_the_stack_does_not_suffice_are_counted_as_dropped_up_to_the_end(tmp_path):
    """Where it is enough for the call and not for us: the process may well end before the next flush."""
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": """
        import sys
        import legacy

        def dive(depth):
            if depth:
                return dive(depth - 1)
            return legacy.old(1)

        used = 0
        for depth in range(sys.getrecursionlimit(), 100, -1):
            try:
                dive(depth)
            except RecursionError:
                continue
            used += 1
            if used == 20:
                break
        print(used)
        """}, TARGETS)
    run = counted(world, "wrapping", LASTCALL_FLUSH_INTERVAL="600")
    from lastcall.store import Store

    with Store.current(run.store) as store:
        dropped = {name: number for row in store.processes() for name, number in row.dropped}
    assert set(dropped) == {"stack-exhausted"}
    assert run.total("legacy:old") + dropped["stack-exhausted"] == int(run.out) == 20


@pytest.mark.parametrize("engine", ENGINES)
def test_a_use_that_meets_the_end_of_the_stack_in_c_is_dropped_and_no_failure_of_ours(tmp_path, engine):
    """Up to 3.12 and from 3.14 on the stack of C has an end of its own, which our call of a C function may meet."""
    world = World(tmp_path, {"legacy.py": "def old(x=0, mode=1):\n    return object()\n", "host.py": """
        import json
        import legacy

        for _ in range(5):
            try:
                json.dumps([object()], default=legacy.old)
            except RecursionError:
                print("exhausted")
            try:
                json.dumps([object()], default=lambda made: legacy.old(made, mode=2))
            except RecursionError:
                print("exhausted")
        """}, ("legacy:old", "legacy:old(mode=)"))
    run = world.run(engine)
    assert run.out == 10 * "exhausted\n"
    assert run.internal_errors() == {}


def test_a_call_site_that_the_disk_refused_before_the_end_is_written_at_the_end(tmp_path):
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": """
        import legacy, waiting
        legacy.old()
        waiting.rounds()
        from lastcall.journal import Journal
        append = Journal.append

        def full(*_records):
            raise OSError("there is no room left")

        Journal.append = full
        for _ in range(3):
            legacy.old()
        Journal.append = append
        """}, TARGETS)
    run = counted(world, "auto", LASTCALL_FLUSH_INTERVAL="600")
    assert run.total("legacy:old") == 4
    assert run.internal_errors() == {"journal-write": 1}


def test_a_vanished_working_directory_and_a_read_only_one_change_nothing(tmp_path):
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": """
        import legacy, os, tempfile
        gone = tempfile.mkdtemp()
        os.chdir(gone)
        os.rmdir(gone)
        print(legacy.old())
        """}, TARGETS)
    plain, run = world.run(), world.run("auto")
    assert (run.out, run.err, run.code) == (plain.out, plain.err, plain.code)
    assert run.total("legacy:old") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_descriptor_is_inherited_by_programs_the_host_starts(tmp_path):
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": """
        import legacy, subprocess, sys
        legacy.old()
        code = "import os; print(sorted(os.readlink('/proc/self/fd/' + f).rpartition('/')[2] for f in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + f)))"
        print(subprocess.run([sys.executable, "-S", "-E", "-c", code], close_fds=False, capture_output=True, text=True, env={}).stdout.count("journal"))
        """}, TARGETS)
    plain, run = world.run(), world.run("auto")
    assert run.out == plain.out == "0\n"
    assert os.listdir(f"{run.store}-live")
