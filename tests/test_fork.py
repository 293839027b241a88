"""A fork at any instant, whatever our thread is doing at that moment."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lastcall.store import Store
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
    run = world.run("auto", LASTCALL_FLUSH_INTERVAL="0.02")
    assert (run.out, run.err, run.code) == ("", "", 0)
    assert run.total("legacy:old") == int((tmp_path / "done").read_text()) + 25


def test_our_thread_does_not_arm_what_an_import_is_arming(tmp_path):
    """Two that arm one function, by different engines, would count each call twice."""
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": """
        import sys
        from lastcall import bootstrap
        agent = bootstrap.life().agent()
        patcher = agent.patcher
        looked = []
        load = patcher._loaded
        def slowly(module, name, *, late):
            if not late:
                patcher.armed_modules.pop(name, None)
                agent.latecomers.rescan()  # what our thread may do at this instant
                looked.append(agent.latecomers.unfinished)
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
    plain, watched = world.run(), world.run("auto")
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
    watched = world.run("auto", LASTCALL_FLUSH_INTERVAL="0.1")
    assert (watched.out, watched.err, watched.code) == ("end of thread\n", "", 0)
    assert watched.total("legacy:old") == 1


def test_two_threads_that_fork_at_once_both_fork_without_our_thread(tmp_path):
    """The first one through does not start it again while the other is about to fork, nor do both start one."""
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": """
        import os, threading, time
        import legacy
        legacy.old()
        from lastcall import bootstrap
        bootstrap.PAUSE_BEFORE_FORK = 60
        life = bootstrap.life()
        while not life._thread_id:
            time.sleep(0.01)
        entered, left = threading.Event(), threading.Event()
        def fork():
            life.before_fork()
            entered.set()
            left.wait()
            print("second runs:", life._running)
            life.after_fork_in_parent()
        thread = threading.Thread(target=fork)
        life.before_fork()
        thread.start()
        entered.wait()
        print("first runs:", life._running)
        life.after_fork_in_parent()
        time.sleep(0.1)
        print("in between runs:", life._running)
        left.set()
        thread.join()
        time.sleep(0.1)
        print("after both runs:", life._running)
        starters = [threading.Thread(target=life.start_thread) for _ in range(4)]
        life._running = False  # as who was about to start it has seen it
        for starter in starters: starter.start()
        for starter in starters: starter.join(30)
        print("waiting:", sum(starter.is_alive() for starter in starters), flush=True)
        os._exit(0)
        """}, ("legacy:old",))
    path = world.environment(None)["PYTHONPATH"]
    run = world.run("auto", PYTHONPATH=f"{path}:{path}/agent", LASTCALL_FLUSH_INTERVAL="600")
    assert (run.out, run.err) == (
        "first runs: False\nsecond runs: False\nafter both runs: True\nwaiting: 0\n".replace(
            "second", "in between runs: False\nsecond"
        ), ""
    )


def test_a_fork_waits_for_our_thread_as_long_where_the_process_stood_still_meanwhile(tmp_path):
    """A machine may stop a process at any moment; by what it measures, the time to wait is over when it goes on."""
    waker = (
        "import os, signal, sys, time\n"
        "pid = int(sys.argv[1])\n"
        "while open(f'/proc/{pid}/stat').read().rpartition(')')[2].split()[0] != 'T': time.sleep(0.01)\n"
        "time.sleep(1.5)\n"
        "os.kill(pid, signal.SIGCONT)\n"
    )
    world = World(tmp_path, {"legacy.py": LEGACY, "waker.py": waker, "host.py": """
        import os, signal, subprocess, sys, time
        import legacy, waiting
        legacy.old()
        from lastcall import bootstrap
        life = bootstrap.life()
        waiting.rounds()
        entered = []
        def flush():
            entered.append(1)
            waiting.until(lambda: life._forking)
            time.sleep(0.1)
            os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(0.3)
        life._agent.flush = flush
        subprocess.Popen([sys.executable, "-IS", "waker.py", str(os.getpid())])
        life._wake.release()
        waiting.until(lambda: entered)
        life.before_fork()
        print("runs:", life._running, flush=True)
        os._exit(0)
        """}, ("legacy:old",))
    path = world.environment(None)["PYTHONPATH"]
    run = world.run("auto", PYTHONPATH=f"{path}:{path}/agent", LASTCALL_FLUSH_INTERVAL="600")
    assert (run.out, run.err) == ("runs: False\n", "")


def test_a_thread_that_has_our_threads_identifier_after_it_is_counted(tmp_path):
    """The system gives identifiers again: while a fork has our thread away, and after, the host's may have its."""
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": """
        import sys, threading, time
        import legacy
        from lastcall import bootstrap
        life = bootstrap.life()
        while "lastcall.pipeline" not in sys.modules: time.sleep(0.01)  # it has flushed, or is about to
        ours = life._thread_id
        life.before_fork()
        while life._running: time.sleep(0.01)
        def use():
            if threading.get_ident() == ours:
                had.append(1)
            legacy.old()
        had, uses, end = [], 0, time.monotonic() + 60
        while uses < 20 or not had and time.monotonic() < end:  # the system may take its time to end ours
            thread = threading.Thread(target=use)
            thread.start()
            thread.join()
            uses += 1
        print(bool(ours), bool(had), uses)
        """}, ("legacy:old",))
    path = world.environment(None)["PYTHONPATH"]
    run = world.run("auto", LASTCALL_FLUSH_INTERVAL="0.05", PYTHONPATH=f"{path}:{path}/agent")
    assert run.out.startswith("True True ")
    assert run.err == ""
    assert run.total("legacy:old") == int(run.out.split()[2])


@pytest.mark.parametrize("who", ["main", "a thread"])
def test_a_child_forked_while_another_thread_imports_ends_as_ever(tmp_path, who):
    """The lock on that module is held for ever in the child: who imports it there hangs. The host does not, nor do we."""
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": f"""
        import os, sys, threading, time, warnings
        warnings.simplefilter("ignore")
        import legacy
        def slow():
            with sys.modules["_frozen_importlib"]._ModuleLockManager("lastcall.expressions"):  # a flush needs that module
                there.set()
                time.sleep(600)  # until the process ends
        there = threading.Event()
        threading.stack_size(1 << 28)  # too large to be given again to a thread of the child, and with it the identifier
        threading.Thread(target=slow, daemon=True).start()
        threading.stack_size(0)
        there.wait()
        def fork():
            pid = os.fork()
            if pid:
                print(os.waitpid(pid, 0)[1], flush=True)
                os._exit(0)
            legacy.old()
            time.sleep(0.5)
            legacy.old()
        if {who == "main"}:
            fork()
        else:
            thread = threading.Thread(target=fork)
            thread.start()
            thread.join()
        """}, ("legacy:old",))
    path = f"{world.environment(None)['PYTHONPATH']}:{world.environment(None)['PYTHONPATH']}/agent"
    plain, watched = world.run(PYTHONPATH=path), world.run("auto", PYTHONPATH=path, LASTCALL_FLUSH_INTERVAL="0.3")
    assert (watched.out, watched.err, watched.code) == (plain.out, plain.err, plain.code) == ("0\n", "", 0)
    assert watched.total("legacy:old") == 2


def test_a_host_that_can_import_no_more_forks(tmp_path):
    """After a `chroot`, or as a user who may not read the library, nothing that is not there yet can be had."""
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": """
        import os, sys
        import legacy, waiting
        legacy.old()
        waiting.rounds()
        sys.meta_path.clear()
        sys.modules.pop("threading", None)
        for _ in range(3):
            pid = os.fork()
            if pid == 0:
                legacy.old()
                os._exit(0)
            os.waitpid(pid, 0)
        print("forked")
        """}, ("legacy:old",))
    plain, watched = world.run(), world.run("auto", LASTCALL_FLUSH_INTERVAL="0.1")
    assert (watched.out, watched.err, watched.code) == (plain.out, plain.err, plain.code) == ("forked\n", "", 0)
    assert watched.total("legacy:old") == 4


def test_an_embedded_interpreter_has_no_thread_of_ours_before_a_target(tmp_path):
    """The program around it may fork before it runs any of the host's code, and no hook of the interpreter's says so."""
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": """
        import sys
        sys.orig_argv = []
        import lastcall
        lastcall.start(targets=["legacy:old"])
        from lastcall import bootstrap
        print(bootstrap.life()._running)
        import legacy
        print(bootstrap.life()._running)
        """})
    path = world.environment(None)["PYTHONPATH"]
    run = world.run(PYTHONPATH=f"{path}/agent", LASTCALL_STORE=str(tmp_path / "store.db"))
    assert (run.out, run.err) == ("False\nTrue\n", "")


def test_a_child_that_a_c_function_forked_is_a_process_of_its_own_from_its_first_new_call_site_on(tmp_path):
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": """
        import ctypes, os, sys
        import legacy, waiting
        for _ in range(3):
            legacy.old()
        pid = ctypes.PyDLL(None).fork()  # with no hook called
        if pid == 0:
            def use():
                for _ in range(4):
                    legacy.old()
            sys.modules["lastcall.bootstrap"].life().config.flush_interval = 0.1
            use()
            waiting.rounds()
            use()
        else:
            os.waitpid(pid, 0)
            for _ in range(2):
                legacy.old()
        print("end", flush=True)
        """}, ("legacy:old",))
    # until the fork our thread sleeps: what it has in hand then, the child would wait for
    run = world.run("auto", LASTCALL_FLUSH_INTERVAL="600")
    assert (run.out, run.err, run.code) == ("end\nend\n", "", 0)
    assert run.total("legacy:old") == 3 + 8 + 2


def test_a_child_says_what_it_watches_and_nothing_of_what_its_parent_had_to_say(tmp_path):
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": """
        import os, sys, time
        import legacy, waiting
        from lastcall.errors import internal_errors
        legacy.old()
        waiting.rounds()
        agent = sys.modules["lastcall.bootstrap"].life()._agent
        internal_errors.add("made-by-a-test", ValueError("x"))
        agent.recorder.drop("made-by-a-test")
        waiting.rounds()
        for _ in range(3):
            agent.finding_at("isolation", agent.patcher.by_ref["legacy:old"], "mixed", None)
        print(time.time(), flush=True)
        if os.fork() == 0:
            import late
            late.use()
            internal_errors.add("made-by-a-test", ValueError("y"))
            agent.recorder.drop("made-by-a-test")
            waiting.rounds(2)
            os.remove("late.py")  # how it spells its call only the child could tell
            os._exit(0)
        os.wait()
        """, "late.py": "from legacy import old as shim\ndef use():\n    shim()\n"}, ("legacy:old",))
    run = world.run("auto", LASTCALL_FLUSH_INTERVAL="600")
    assert (run.err, run.code) == ("", 0)
    assert [use.expression for use in run.uses() if use.file == "late.py"] == ["shim"]
    with Store.current(run.store) as store:
        parent, child = store.processes()
        assert {row.process: (row.state.ref, row.state.state) for row in store.states() if row.until is None} == {
            parent.process.id: ("legacy:old", "armed"), child.process.id: ("legacy:old", "armed")}  # fmt: skip
        for row in (parent, child):
            assert (row.internal_errors, row.dropped) == ((("made-by-a-test", 1),), (("made-by-a-test", 1),))
        assert child.process.started >= float(run.out) > parent.process.started
        found = [(row.process, row.finding.count) for row in store.findings()]
        assert sorted(found) == [(parent.process.id, 1), (parent.process.id, 2)]


def test_a_child_tells_backends_of_the_references_that_it_has_once(tmp_path):
    world = World(tmp_path, {"legacy.py": LEGACY, "holder.py": "from legacy import old as kept\n", "host.py": """
        import os, sys
        import holder, waiting
        from lastcall.testing import memory_exporters
        waiting.rounds()
        def told():
            agent = sys.modules["lastcall.bootstrap"].life()._agent
            batches = [b for e in memory_exporters() for b in e.batches if b.process.id == agent.id]
            print(os.getpid() == first, [(r.module, r.name) for b in batches for r in b.references], flush=True)
        first = os.getpid()
        told()
        if os.fork() == 0:
            holder.kept()
            waiting.rounds(2)
            told()
            os._exit(0)
        os.wait()
        """}, ("legacy:old",))
    run = world.run("auto", LASTCALL_FLUSH_INTERVAL="600", LASTCALL_EXPORTERS="store,memory")
    assert (run.err, run.code) == ("", 0)
    assert run.out == "True [('holder', 'kept')]\nFalse [('holder', 'kept')]\n"


def test_a_child_that_can_write_nothing_beside_the_store_says_so_in_its_parents_name(tmp_path):
    """It may have given up being root. That its parent has used nothing is no proof, and must not look like one."""
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": """
        import os, resource
        import legacy, waiting
        legacy.old()
        waiting.rounds()
        pid = os.fork()
        if pid == 0:
            resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
            legacy.old()
            waiting.rounds()
            os._exit(0)
        os.waitpid(pid, 0)
        """}, ("legacy:old",))
    run = world.run("auto", LASTCALL_FLUSH_INTERVAL="0.1")
    assert (run.out, run.err, run.code) == ("", "", 0)
    assert run.total("legacy:old") == 1
    assert run.internal_errors() == {"child-journal-open": 1}


@pytest.mark.parametrize("named", ["evidence-1/store.db", ""])
def test_a_daemon_that_goes_to_another_folder_keeps_the_store_of_its_start(tmp_path, named):
    world = World(tmp_path, {"legacy.py": LEGACY, "elsewhere/empty": "", "host.py": """
        import os
        import legacy
        if os.fork() == 0:
            os.setsid()
            os.chdir("elsewhere")
            if os.fork() == 0:
                legacy.old()
                exec("legacy.old()")
                os._exit(0)
            os.wait()
            os._exit(0)
        os.wait()
        """}, ("legacy:old",))
    run = world.run("auto", LASTCALL_STORE=named)
    assert (run.out, run.err, run.code) == ("", "", 0)
    store = run.store if named else tmp_path / ".lastcall" / "store.db"
    assert replace(run, store=store).total("legacy:old") == 2
    assert list((tmp_path / "elsewhere").iterdir()) == [tmp_path / "elsewhere" / "empty"]
