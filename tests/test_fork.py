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
