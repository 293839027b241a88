"""A fork at any instant, whatever our thread is doing at that moment."""

from __future__ import annotations

import pytest

from worlds import World

LEGACY = "def old(value=1):\n    return value + 1\n"


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.06, 0.12])
def test_forks_while_our_thread_starts_imports_and_flushes(tmp_path, delay):
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": f"""
        import os, time
        import legacy
        legacy.old()
        time.sleep({delay})
        for turn in range(12):
            pid = os.fork()
            if pid == 0:
                import logging  # its lock is taken before a fork and released after
                logging.getLogger("x").debug("y")
                legacy.old()
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
            time.sleep(0.01)
        """}, ("legacy:old",))
    run = world.run("auto", LASTCALL_FLUSH_INTERVAL="0.02")
    assert (run.out, run.err, run.code) == ("", "", 0)
    assert run.total("legacy:old") == 13
    assert run.internal_errors() == {}


def test_threads_that_use_a_target_while_another_forks(tmp_path):
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": """
        import os, threading, warnings
        warnings.simplefilter("ignore")
        import legacy
        stop = False
        done = 0
        def work():
            global done
            while not stop:
                legacy.old()
                names = {"legacy": legacy}
                exec("legacy.old()", names)
                done += 2
        thread = threading.Thread(target=work)
        thread.start()
        for turn in range(25):
            pid = os.fork()
            if pid == 0:
                legacy.old()  # would wait for ever for a lock that the other thread held
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        stop = True
        thread.join()
        with open("done", "w") as file:
            file.write(str(done))
        """}, ("legacy:old",))
    run = world.run("auto", LASTCALL_FLUSH_INTERVAL="0.02", timeout=30)
    assert (run.out, run.err, run.code) == ("", "", 0)
    assert run.total("legacy:old") == int((tmp_path / "done").read_text()) + 25


def test_our_thread_does_not_arm_what_an_import_is_arming(tmp_path):
    """Two that arm one function, by different engines, would count each call twice."""
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": """
        import sys
        from lastcall import bootstrap
        patcher = bootstrap.life().agent().patcher
        looked = []
        load = patcher._loaded
        def slowly(module, name, *, late):
            if not late:
                patcher.armed_modules.pop(name, None)
                patcher.rescan()  # what our thread may do at this instant
                looked.append(patcher.unfinished)
            else:
                looked.append("armed twice")
            load(module, name, late=late)
        patcher._loaded = slowly
        import legacy
        print([legacy.old(turn) for turn in range(5)], looked)
        """}, ("legacy:old",))
    run = world.run("auto", PYTHONPATH=f"{world.environment(None)['PYTHONPATH']}:{world.environment(None)['PYTHONPATH']}/agent")
    assert (run.out, run.err) == ("[1, 2, 3, 4, 5] [True]\n", "")
    assert run.total("legacy:old") == 5


@pytest.mark.parametrize("last", ["the thread that forked", "a thread of its own"])
def test_a_child_that_a_thread_forked_ends_with_its_last_thread(tmp_path, last):
    """Nothing runs the interpreter's end in such a child: the process ends when no thread is left, ours included."""
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": f"""
        import os, threading, warnings
        warnings.simplefilter("ignore")
        import legacy
        def later():
            legacy.old()
            print("end of thread", flush=True)
        def fork():
            pid = os.fork()
            if pid:
                assert os.waitpid(pid, 0)[1] == 0
                return
            legacy.old()
            if {last != "the thread that forked"}:
                threading.Thread(target=later).start()
        thread = threading.Thread(target=fork)
        thread.start()
        thread.join()
        legacy.old()
        """}, ("legacy:old",))
    plain, watched = world.run(), world.run("auto", timeout=20)
    assert (watched.out, watched.err, watched.code) == (plain.out, plain.err, plain.code)
    assert watched.total("legacy:old") == (2 if last == "the thread that forked" else 3)
    assert watched.internal_errors() == {}


def test_a_child_that_a_thread_forked_lives_as_long_as_another_thread_does_nothing(tmp_path):
    """The target is used long after everybody else has ended, and the exporter-less thread of ours has not gone early."""
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": """
        import os, threading, time, warnings
        warnings.simplefilter("ignore")
        import legacy
        def later():
            time.sleep(1.5)
            legacy.old()
            print("end of thread", flush=True)
        def fork():
            pid = os.fork()
            if pid:
                assert os.waitpid(pid, 0)[1] == 0
                return
            threading.Thread(target=later).start()
        thread = threading.Thread(target=fork)
        thread.start()
        thread.join()
        """}, ("legacy:old",))
    watched = world.run("auto", timeout=20, LASTCALL_FLUSH_INTERVAL="0.1")
    assert (watched.out, watched.err, watched.code) == ("end of thread\n", "", 0)
    assert watched.total("legacy:old") == 1
