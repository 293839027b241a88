"""Hosts that use the interpreter's own hooks at the same time: debuggers, profilers, other tools, other interpreters.

Each program runs without the agent and with it: it must show the same, and every use must be counted.
"""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from lastcall.store import Store
from worlds import ENGINES, Run, World, wrapt_in_c

LEGACY = """
    def old(value=1):
        return value + 1
    class Old:
        def __init__(self, value=0):
            self.value = value
        def method(self):
            return self.value
"""
TARGETS = ("legacy:old", "legacy:Old", "legacy:Old.method")

WORK = """
    import legacy
    def work(times=5):
        for turn in range(times):
            legacy.old(turn)
            legacy.Old(turn).method()
        return times
"""

PROGRAMS = {
    "settrace": """
        import sys
        seen = []
        def trace(frame, event, argument):
            name = frame.f_code.co_filename.rpartition("/")[2]
            if name in ("legacy.py", "work.py"):
                seen.append((event, frame.f_code.co_name, frame.f_lineno))
            return trace
        import work
        sys.settrace(trace)
        work.work()
        sys.settrace(None)
        print(len(seen), seen)
        """,
    "setprofile": """
        import sys
        seen = []
        def profile(frame, event, argument):
            if frame.f_code.co_filename.rpartition("/")[2] in ("legacy.py", "work.py") and event in ("call", "return"):
                seen.append((event, frame.f_code.co_name))
        import work
        sys.setprofile(profile)
        work.work()
        sys.setprofile(None)
        print(len(seen), seen)
        """,
    "pdb": """
        import io, pdb, sys
        import legacy
        import work
        commands = "break legacy.py:3\\ncontinue\\nwhere\\np value\\nreturn\\np __return__\\nclear 1\\ncontinue\\n"
        debugger = pdb.Pdb(stdin=io.StringIO(commands), stdout=sys.stdout, nosigint=True, readrc=False)
        print(debugger.runcall(work.work))
        """,
    "pdb line by line": """
        import io, pdb, sys
        import work
        debugger = pdb.Pdb(stdin=io.StringIO("next\\n" * 7 + "where\\ncontinue\\n"), stdout=sys.stdout, nosigint=True, readrc=False)
        print(debugger.runcall(work.work, 2))
        """,
    "tracemalloc": """
        import tracemalloc
        tracemalloc.start(10)
        import work
        print(work.work())
        snapshot = tracemalloc.take_snapshot()
        print(len(snapshot.traces) > 0)
        tracemalloc.stop()
        """,
    "faulthandler": """
        import faulthandler, sys, work
        faulthandler.enable()
        faulthandler.dump_traceback_later(60)
        print(work.work(), faulthandler.is_enabled())
        faulthandler.cancel_dump_traceback_later()
        """,
    "cProfile": """
        import cProfile, pstats, work
        profile = cProfile.Profile()
        profile.runcall(work.work)
        stats = pstats.Stats(profile).stats
        print(sorted((name, calls) for (file, line, name), (calls, *_) in stats.items() if file.endswith(("legacy.py", "work.py"))))
        """,
    "garbage collector": """
        import gc, work
        gc.set_debug(0)
        gc.collect(); gc.disable()
        print(work.work(), gc.garbage, gc.isenabled())
        gc.freeze(); gc.enable(); gc.collect()
        print(gc.isenabled(), gc.callbacks)
        """,
    "audit hook": """
        import sys, work
        seen = []
        def hook(event, arguments):
            if event in ("exec", "import") and watching:
                seen.append(event)
        watching = False
        sys.addaudithook(hook)
        work.work()
        watching = True
        work.work()
        watching = False
        print(seen)
        """,
    "recursion limit": """
        import sys, legacy, work
        work.work()
        def depth(n=0):
            try:
                return depth(n + 1)
            except RecursionError:
                return n
        sys.setrecursionlimit(200)
        print(depth())
        sys.setrecursionlimit(1000)
        """,
    "switch interval": """
        import sys, threading, work
        sys.setswitchinterval(1e-6)
        threads = [threading.Thread(target=work.work) for _ in range(4)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(threading.active_count(), threading.enumerate() == [threading.main_thread()])
        """,
}
TURNS = {"audit hook": 10, "pdb line by line": 2, "switch interval": 20}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_hosts_own_hooks_see_the_same_and_every_use_is_counted(tmp_path, name, engine):
    if engine == "wrapping" and not wrapt_in_c():
        pytest.skip("without its C extension wrapt adds a frame, which `auto` and `inplace` avoid")
    world = World(tmp_path, {"legacy.py": LEGACY, "work.py": WORK, "host.py": PROGRAMS[name]}, TARGETS)
    plain, watched = world.run(), world.run(engine)
    assert watched.out == plain.out
    assert (watched.err, watched.code) == (plain.err, plain.code)
    turns = TURNS.get(name, 5)
    assert [watched.total(target) for target in TARGETS] == [turns] * 3
    assert watched.internal_errors() == {}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("core", ["ctrace", "sysmon"])
def test_coverage_measures_the_same_lines_and_branches(tmp_path, engine, core):
    pytest.importorskip("coverage")
    if core == "sysmon" and sys.version_info < (3, 12):
        pytest.skip("coverage measures by sys.monitoring from 3.12 on")
    if engine == "wrapping" and not wrapt_in_c():
        pytest.skip("without its C extension wrapt adds a frame, which `auto` and `inplace` avoid")
    world = World(tmp_path, {"legacy.py": LEGACY, "work.py": WORK, "host.py": "import work\nprint(work.work())\n"}, TARGETS)

    def measure(store):
        environ = world.environment(store, engine, COVERAGE_CORE=core)
        for command in (["run", "--branch", "--source", ".", "host.py"], ["report", "--show-missing", "--include", "legacy.py,work.py,host.py"]):
            if command[0] == "report":
                environ["LASTCALL_ENABLED"] = "0"
            done = subprocess.run(
                [sys.executable, "-m", "coverage", *command], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60,
            )
            yield done.stdout, done.stderr, done.returncode

    plain = list(measure(None))
    assert "100%" in plain[1][0]
    store = tmp_path / "evidence" / "store.db"
    assert list(measure(store)) == plain
    assert [Run("", "", 0, store).total(target) for target in TARGETS] == [5] * 3


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring is new in 3.12")
@pytest.mark.parametrize("taken", [range(6), (3, 4, 5), (0, 1, 2, 5), (3,), (4,), (3, 4)])
def test_tool_ids_of_sys_monitoring_that_are_taken_are_left_alone(tmp_path, taken):
    """Where none is free the wrapping engine takes over, or the target says why it is not armed."""
    world = World(tmp_path, {"legacy.py": LEGACY, "work.py": WORK, "host.py": f"""
        import sys
        seen = []
        def started(code, offset):
            if code.co_filename.rpartition("/")[2] in ("legacy.py", "work.py"):
                seen.append(code.co_name)
        for tool in {list(taken)}:
            sys.monitoring.use_tool_id(tool, f"host {{tool}}")
            sys.monitoring.register_callback(tool, sys.monitoring.events.PY_START, started)
            sys.monitoring.set_events(tool, sys.monitoring.events.PY_START)
        import legacy, work
        del seen[:]
        work.work()
        print(sorted(seen), [sys.monitoring.get_tool(tool) for tool in {list(taken)}])
        for tool in {list(taken)}:
            sys.monitoring.free_tool_id(tool)
        work.work()
        """}, TARGETS)
    plain, watched = world.run(), world.run("auto")
    assert (watched.out, watched.err, watched.code) == (plain.out, plain.err, plain.code)
    for target, (state, reason, _engine) in watched.states().items():
        assert (state == "armed" and watched.total(target) == 10) or reason, (target, state, reason)
    assert watched.internal_errors() == {}


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring is new in 3.12")
def test_tools_that_come_later_find_their_ids_free(tmp_path):
    """Debuggers, coverage and profilers theirs by PEP 669; hypothesis and others take 3 or 4 by number."""
    world = World(tmp_path, {"legacy.py": LEGACY, "work.py": WORK, "host.py": """
        import sys
        import legacy, work
        work.work()
        for tool in range(5):
            assert sys.monitoring.get_tool(tool) is None, sys.monitoring.get_tool(tool)
            sys.monitoring.use_tool_id(tool, f"host {tool}")
        work.work()
        for tool in range(5):
            sys.monitoring.free_tool_id(tool)
        print("free")
        """}, TARGETS)
    watched = world.run("auto")
    assert (watched.out, watched.err, watched.code) == ("free\n", "", 0)
    assert [watched.total(target) for target in TARGETS] == [10] * 3


SUBINTERPRETER = """
    import sys
    CODE = "; ".join((
        "import sys",
        "sys.path.insert(0, {folder!r})",
        "import legacy, work",
        "work.work(3)",
        "print('inside', legacy.old(1), legacy.Old(2).method(), type(legacy.old).__name__, flush=True)",
    ))
    import legacy, work
    work.work()
    {run}
    work.work()
    print("outside", legacy.old(1))
"""

WAYS = {
    "xxsubinterpreters": ("_xxsubinterpreters", (3, 10), (3, 13), """
    import _xxsubinterpreters as interpreters
    for _ in range(2):
        one = interpreters.create({isolated})
        interpreters.run_string(one, CODE)
        interpreters.destroy(one)
    """),
    "interpreters": ("_interpreters", (3, 13), (3, 99), """
    import _interpreters as interpreters
    for _ in range(2):
        one = interpreters.create({config})
        failure = interpreters.exec(one, CODE)
        print(failure and failure.formatted)
        interpreters.destroy(one)
    """),
    "concurrent.interpreters": ("concurrent.interpreters", (3, 14), (3, 99), """
    from concurrent import interpreters
    for _ in range(2):
        one = interpreters.create()
        one.exec(CODE)
        one.close()
    """),
}


@pytest.mark.parametrize("isolated", [True, False], ids=["own GIL", "shared GIL, as mod_wsgi"])
@pytest.mark.parametrize("way", WAYS)
def test_subinterpreters_run_as_without_the_agent_and_the_main_one_is_counted(tmp_path, way, isolated):
    """What runs in another interpreter of the process is not observed; it must not be harmed, nor harm the counts."""
    _module, first, last, run = WAYS[way]
    if not first <= sys.version_info[:2] < last:
        pytest.skip(f"not in Python {sys.version_info[0]}.{sys.version_info[1]}")
    if way == "concurrent.interpreters" and not isolated:
        pytest.skip("makes isolated ones only")
    run = run.format(isolated=f"isolated={isolated}", config="'isolated'" if isolated else "'legacy'")
    source = SUBINTERPRETER.format(folder=str(tmp_path), run=run)
    world = World(tmp_path, {"legacy.py": LEGACY, "work.py": WORK, "host.py": source}, TARGETS)
    plain, watched = world.run(), world.run("auto")
    assert plain.code == 0, plain.err
    assert plain.out.count("inside") == 2
    assert (watched.out, watched.err, watched.code) == (plain.out, plain.err, plain.code)
    assert watched.total("legacy:old") == 11
    with Store.current(watched.store) as store:
        said = [row.state.reason for row in store.states() if row.state.state == "failed"]
    assert len(said) == 2 * len(TARGETS)
    assert all("subinterpreter" in reason for reason in said)
    assert watched.internal_errors() == {}


@pytest.mark.parametrize("engine", ENGINES)
def test_daemon_threads_that_use_targets_while_the_interpreter_ends(tmp_path, engine):
    """They are cut off anywhere, in the middle of a count, too. No crash, no word, the exit code is the host's."""
    world = World(tmp_path, {"legacy.py": LEGACY, "work.py": WORK, "host.py": """
        import sys, threading, legacy, waiting, work
        turns = [0] * 4
        def forever(n):
            while True:
                work.work()
                exec("legacy.old()", {"legacy": legacy})
                turns[n] += 1
        for n in range(4):
            threading.Thread(target=forever, args=(n,), daemon=True).start()
        waiting.until(lambda: min(turns) > 5)
        sys.exit(7)
        """}, TARGETS)
    for _ in range(3):
        watched = world.run(engine, LASTCALL_FLUSH_INTERVAL="0.02")
        assert (watched.out, watched.err, watched.code) == ("", "", 7)
        assert watched.total("legacy:old") > 0
        assert watched.internal_errors() == {}


def test_a_crash_is_reported_by_faulthandler_and_the_counts_stay(tmp_path):
    world = World(tmp_path, {"legacy.py": LEGACY, "work.py": WORK, "host.py": """
        import faulthandler, work
        faulthandler.enable(all_threads=False)
        work.work()
        faulthandler._sigsegv()
        """}, TARGETS)
    plain, watched = world.run(), world.run("auto")

    def shown(run):  # from 3.14 on with the C stack and its addresses; extension modules are listed, wrapt's too
        return re.split(r"\n\n(?:Current thread's C stack|Extension modules)", run.err)[0]

    assert plain.code == watched.code < 0
    assert re.sub("0x[0-9a-f]+", "", shown(watched)) == re.sub("0x[0-9a-f]+", "", shown(plain))
    assert watched.total("legacy:old") == 5


def test_a_host_that_blocks_a_signal_to_wait_for_it_gets_it(tmp_path):
    """The system gives a signal to any thread that has not blocked it, and the default action ends the process."""
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": """
        import os, signal, legacy, waiting
        waiting.rounds()
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGTERM, signal.SIGHUP])
        legacy.old()
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGHUP):
            waiting.rounds()
            os.kill(os.getpid(), number)
            print(signal.sigtimedwait([number], 60).si_signo == number, flush=True)
        """}, TARGETS)
    plain, watched = world.run(), world.run("auto", LASTCALL_FLUSH_INTERVAL="0.05")
    assert (watched.out, watched.err, watched.code) == (plain.out, plain.err, plain.code) == ("True\n" * 3, "", 0)
    assert watched.total("legacy:old") == 1


def test_objects_that_import_when_they_are_asked_are_not_asked(tmp_path):
    """A look for who holds a target goes through classes and modules; a lazy one must stay as lazy as it was."""
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": """
        import sys, types, waiting
        asked = []
        class Lazy:
            def __getattr__(self, name):
                asked.append(name)
                raise ModuleNotFoundError("No module named 'heavy'", name="heavy")
            @property
            def __class__(self):
                asked.append("__class__")
                raise ModuleNotFoundError("No module named 'heavy'", name="heavy")
        class Moves:
            lazy = Lazy()
        lazy = Lazy()
        registry = {"lazy": lazy}
        class LazyModule(types.ModuleType):
            def __getattr__(self, name):
                asked.append(name)
                raise ModuleNotFoundError("No module named 'heavy'", name="heavy")
        sys.modules["moves"] = LazyModule("moves")
        sys.modules["odd"] = lazy
        import legacy
        held = {"old": legacy.old}
        class Holder:
            kept = staticmethod(legacy.old)
            bound = legacy.Old(1).method
        legacy.old()
        waiting.rounds()
        print(asked)
        """}, TARGETS)
    watched = world.run("auto", LASTCALL_FLUSH_INTERVAL="0.05")
    assert (watched.out, watched.err, watched.code) == ("[]\n", "", 0)
    assert watched.total("legacy:old") == 1
    assert watched.internal_errors() == {}


def test_a_host_that_forbids_blocking_calls_does_not_meet_ours(tmp_path):
    """As tools do that find what blocks an event loop: they put a function that raises in the place of `os.write`."""
    world = World(tmp_path, {"legacy.py": LEGACY, "work.py": WORK, "host.py": """
        import os, legacy
        def forbidden(*arguments):
            raise RuntimeError("blocks")
        allowed = os.write, os.fstat, os.open
        os.write = os.fstat = os.open = forbidden
        import work
        print(work.work(), legacy.old(1))
        os.write, os.fstat, os.open = allowed
        """}, TARGETS)
    plain, watched = world.run(), world.run("auto")
    assert (watched.out, watched.err, watched.code) == (plain.out, plain.err, plain.code) == ("5 2\n", "", 0)
    assert watched.total("legacy:old") == 6
    assert watched.internal_errors() == {}


MOCKED = """
    import builtins, io, os, sys, time
    import legacy, waiting
    names = "getpid open close read write pread stat fstat listdir unlink mkdir makedirs replace getcwd".split()
    places = [(os, name) for name in names] + [(os.path, "exists"), (os.path, "isfile"), (os.path, "isdir")]
    places += [(time, name) for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "sleep")]
    places += [(builtins, "open"), (io, "open")]
    kept = [getattr(module, name) for module, name in places]
    called = set()
    def mock(name):
        def function(*args, **kwargs):
            called.add(name)
            return 1816
        return function
    legacy.old(1)
    waiting.rounds()
    for module, name in places:
        setattr(module, name, mock(f"{module.__name__}.{name}"))
    for n in range(8):
        exec(compile("legacy.old(1)", f"late{n}.py", "exec"))  # a new call site each time
        waiting.rounds()
    held = called.copy()
    for (module, name), function in zip(places, kept):
        setattr(module, name, function)
    import work
    print(sorted(held), work.work())
    """


def test_what_a_test_puts_in_the_place_of_the_systems_functions_is_not_called_by_us(tmp_path):
    """`mock.patch("os.getpid")`: a process that had another number once was a forked one, and got a second thread."""
    world = World(tmp_path, {"legacy.py": LEGACY, "work.py": WORK, "host.py": MOCKED}, TARGETS)
    plain, watched = world.run(), world.run("auto", LASTCALL_FLUSH_INTERVAL="0.05")
    assert (watched.out, watched.err, watched.code) == (plain.out, plain.err, plain.code) == ("[] 5\n", "", 0)
    assert watched.internal_errors() == {}
    assert watched.total("legacy:old") == 1 + 8 + 5
    with Store.current(watched.store) as store:
        assert len(list(store.processes())) == 1


def test_an_object_that_is_made_when_somebody_looks_at_it_is_not_made_by_us(tmp_path):
    """A task of celery's, werkzeug's `current_app`: whoever asks for its class or its module has it made."""
    legacy = """
        class Thing:
            def __init__(self): self.size = 3
            def __call__(self): return 4
            def method(self): return 5
        class Told:  # as celery's: a descriptor that answers for the class and for what it stands for
            def __init__(self, name): self.name = name
            def __get__(self, lazy, cls): return self if lazy is None else getattr(lazy._made(), self.name)
        class Lazy:
            def _made(self):
                print("made")
                return Thing()
            __class__ = property(lambda self: self._made().__class__)
            __dict__ = property(lambda self: self._made().__dict__)
            __name__ = __wrapped__ = __code__ = __func__ = property(lambda self: self._made().nothing)
            __module__ = Told("__module__")
            def __getattr__(self, name): return getattr(self._made(), name)
            def __call__(self): return self._made()()
        old = Lazy()
        class Holder:
            held = Lazy()
        """
    host = """
        import legacy, waiting
        waiting.rounds()
        print("looked")
        print(legacy.old())
        print(legacy.old.method())
        print(legacy.Holder.held.size)
        """
    targets = "legacy:old", "legacy:old.method", "legacy:Holder.held", "legacy.**:*", "legacy.**:*.*"
    world = World(tmp_path, {"host.py": host, "legacy.py": legacy}, targets)
    plain, watched = world.run(), world.run("auto", LASTCALL_FLUSH_INTERVAL="0.05")
    assert (watched.out, watched.err, watched.code) == (plain.out, plain.err, plain.code)
    assert plain.out.startswith("looked")
    assert watched.total("legacy:old") == 2
    assert watched.internal_errors() == {}


def test_what_a_decorator_made_an_object_of_is_run_by_who_was_handed_that(tmp_path):
    """Tasks and commands (celery, dramatiq, huey, click): a worker finds them in a registry and never reads the name."""
    tasks = """
        registry = {}
        class Actor:
            def __init__(self, function):
                self.function, self.broker = function, registry
                registry[function.__name__] = self
            def __call__(self): return self.function()
        class Lazy:
            __slots__ = ("made",)
            def __init__(self, function): self.made = lambda: registry.setdefault(function.__name__, Actor(function))
            __class__ = property(lambda self: print("made") or self.made().__class__)
            def __call__(self): return self.made()()
        def in_a_class(function):
            return type(function.__name__, (Actor,), {"run": staticmethod(function), "__module__": function.__module__})(function)
        """
    legacy = """
        from tasks import Actor, Lazy, in_a_class
        @Actor
        def old(): return 1
        @Lazy
        def lazy(): return 2
        @in_a_class
        def made(): return 3
        def plain(): return 4
        other = Actor(plain)
        """
    host = """
        import tasks, legacy, waiting
        waiting.rounds()
        from legacy import old
        print(type(legacy.old), type(legacy.lazy), type(legacy.made))
        print(old(), legacy.lazy())
        for name in ("old", "old", "lazy", "made", "plain"):
            print(tasks.registry[name]())
        """
    names = "old", "lazy", "made", "other"
    world = World(tmp_path, {"host.py": host, "legacy.py": legacy, "tasks.py": tasks}, tuple(f"legacy:{name}" for name in names))
    plain, watched, wrapped = world.run(), world.run("auto", LASTCALL_FLUSH_INTERVAL="0.05"), world.run("wrapping")
    for run in (watched, wrapped):
        assert (run.out, run.err, run.code) == (plain.out, plain.err, plain.code)
        assert run.internal_errors() == {}
    used = sorted((use.target, use.file, use.line, use.count, use.use) for use in watched.uses())
    assert used == [
        ("legacy:lazy", "host.py", 5, 1, "access"), ("legacy:lazy", "host.py", 6, 1, "access"), ("legacy:lazy", "tasks.py", 7, 2, "call"),
        ("legacy:made", "host.py", 5, 1, "access"), ("legacy:made", "tasks.py", 7, 1, "call"),
        ("legacy:old", "host.py", 4, 1, "access"), ("legacy:old", "host.py", 5, 1, "access"), ("legacy:old", "tasks.py", 7, 3, "call"),
    ]
    assert {ref: state for ref, (state, _, _) in watched.states().items()} == dict.fromkeys(world.targets, "armed")
    states = {ref: state for ref, (state, _, _) in wrapped.states().items()}
    assert states == {**dict.fromkeys(world.targets, "partial"), "legacy:other": "armed"}


def test_a_fake_file_system_leaves_our_files_alone(tmp_path):
    """pyfakefs puts a `flock` that locks nothing into every module that holds it: nobody's files are left over for that."""
    world = World(tmp_path, {"legacy.py": LEGACY, "work.py": WORK, "host.py": """
        import fcntl, sys
        import legacy, waiting, work
        work.work()
        waiting.rounds()
        real, fake = fcntl.flock, lambda *_: None
        holders = [module for module in [*sys.modules.values()] if getattr(module, "flock", None) is real]
        for module in holders:
            module.flock = fake
        for n in range(5):
            exec(compile("legacy.old(1)", f"late{n}.py", "exec"))
            waiting.rounds()
        for module in holders:
            module.flock = real
        print(work.work())
        """}, TARGETS)
    watched = world.run("auto", LASTCALL_FLUSH_INTERVAL="0.05")
    assert (watched.out, watched.err, watched.code) == ("5\n", "", 0)
    assert watched.total("legacy:old") == 5 + 5 + 5
    assert watched.internal_errors() == {}


def test_a_pytest_run_with_warnings_as_errors_starts(tmp_path):
    """pytest wants to rewrite the modules of installed plugins, and warns of what was imported before it."""
    world = World(tmp_path, {
        "conftest.py": "import pytest\npytest.register_assert_rewrite('lastcall')\n",
        "test_host.py": "import legacy\ndef test_host():\n    assert legacy.old(1) == 2\n", "legacy.py": LEGACY,
        "host.py": """
            import sys, pytest
            sys.exit(pytest.main(["-q", "-W", "error", "-p", "no:cacheprovider", "--rootdir", ".", "test_host.py"]))
            """,
    }, TARGETS)
    watched = world.run("auto", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    assert (watched.err, watched.code) == ("", 0)
    assert watched.total("legacy:old") == 1


FAKE_FILES = """
    import ntpath, os, posix, sys, time
    import legacy

    class Fake:
        \"\"\"`os` over files that are not there, of a system with other paths, as pyfakefs puts it in every module.\"\"\"
        path = ntpath
        made = []
        def __getattr__(self, name):
            return getattr(os, name)
        def makedirs(self, *given, **more):
            self.made.append(given)
        def stat(self, *given, **more):
            raise FileNotFoundError(2, "No such file or directory", *given)
        lstat = open = listdir = scandir = stat

    fake, real, patched = Fake(), os, []

    def put(value, instead):
        for module in list(sys.modules.values()):
            for name, held in list(getattr(module, "__dict__", {}).items()):
                if held is value and module.__name__ != "__main__":
                    setattr(module, name, instead)

    EARLY
    put(real, fake)
    for turn in range(4):
        eval(compile(f"legacy.old()\\n", f"place{turn}.py", "eval"))
        time.sleep(0.2)
    put(fake, real)
    print(fake.made, legacy.old(), sorted(name for name in os.listdir() if "\\\\" in name))
    """


@pytest.mark.parametrize("early", ["pass", "legacy.old(); time.sleep(0.5)"])
def test_a_fake_of_the_file_system_in_every_module_is_not_for_us(tmp_path, early):
    world = World(tmp_path, {
        "legacy.py": "def old(): return 1\n",
        "host.py": FAKE_FILES.replace("EARLY", early),
    }, ("legacy:old",))
    plain = world.run()
    watched = world.run("auto", LASTCALL_FLUSH_INTERVAL="0.05")
    assert plain.code == 0, plain.err
    assert (watched.out, watched.err, watched.code) == (plain.out, plain.err, plain.code)
    assert watched.internal_errors() == {}
    assert watched.total("legacy:old") == (5 if early == "pass" else 6)
    assert {use.file for use in watched.uses()} >= {f"place{turn}.py" for turn in range(4)}


TRACERS = """
    def helper(): pass
    def bare(frame, event, argument): pass
    def asking(frame, event, argument): helper()
"""


@pytest.mark.parametrize(("engine", "max_sites"), [*((engine, "10000") for engine in ENGINES), ("auto", "2")])
def test_a_trace_function_that_is_a_target_is_called_for_our_functions_too_and_that_ends(tmp_path, engine, max_sites):
    """Each use of it that waited for a use to be recorded had functions of ours run, and so made more of them."""
    world = World(tmp_path, {"legacy.py": LEGACY, "tracers.py": TRACERS, "late.py": "value = 1\n\nother = 2\n", "host.py": """
        import sys, legacy, tracers
        for switch in sys.settrace, sys.setprofile:
            for function in tracers.bare, tracers.asking:
                switch(function)
                legacy.old()
                legacy.old()
                legacy.Old().method()
                switch(None)
        sys.settrace(tracers.bare)
        import late
        sys.settrace(None)
        print("ended")
        """}, (*TARGETS, "tracers:*"))
    run = world.run(engine, timeout=20, LASTCALL_MAX_SITES=max_sites)
    assert (run.out, run.err) == ("ended\n", "")
    if max_sites == "2":
        assert run.internal_errors().keys() <= {"dropped call-site-limit", "dropped deferred"}
        return
    assert [run.total(target) for target in TARGETS] == [8, 4, 4]
    assert {use.line for use in run.uses() if use.target in TARGETS} == {6, 7, 8}
    if engine == "wrapping":  # in place, from 3.12 on, nobody is told what a trace function calls
        assert "late.py" in {use.file for use in run.uses() if use.target == "tracers:bare"}
    assert run.internal_errors() == {}


OTHER_CODE = """
    def helper(self): raise AssertionError
    class Old:
        def method(self): return 1
        async def later(self): return 3
        def known(self): return 5
        def last(self): return 6
    class Base:
        def __init__(self): self.value = 7
    class Sub(Base): pass
"""
REPLACES_CODE = """
    import sys, types
    import legacy, waiting
    def use():
        one = legacy.Old()
        coroutine = one.later()
        coroutine.close()
        return one.method(), one.known(), legacy.Sub().value, one.last()
    print(use())
    first = [legacy.Old.method.__code__]
    legacy.inner = types.FunctionType(first[0], {})  # as a tracer does, which calls the function inside of its own code
    legacy.Old.method.__code__ = (lambda self: 10 + inner(self)).__code__
    async def later(self): return 30
    legacy.Old.later.__code__ = later.__code__
    def known(self): return 50
    codes = {known.__code__}  # as a reloader does, to find the function by
    legacy.Old.known.__code__ = known.__code__
    def init(self): self.value = 70
    legacy.Base.__init__.__code__ = init.__code__
    waiting.rounds(2)
    print(use(), legacy.Old.known.__code__ in codes)
    legacy.Old.method.__code__ = first[0]
    waiting.rounds(2)
    print(use())
    def last(self): return 60
    legacy.Old.last.__code__ = last.__code__
    print(use())
"""


def test_what_the_host_gives_other_code_is_watched_anew_or_said_to_be_lost(tmp_path):
    """IPython's autoreload, jurigged and ddtrace assign `__code__`, and so take with it what was watched in place."""
    targets = [f"legacy:{name}" for name in ("Old.method", "Old.later", "Old.known", "Sub", "Old.last")]
    world = World(tmp_path, {"legacy.py": OTHER_CODE, "host.py": REPLACES_CODE}, (*targets, "legacy:helper"))
    watched = world.run("auto", LASTCALL_FLUSH_INTERVAL="60")
    assert (watched.out, watched.err, watched.code) == (
        "(1, 5, 7, 6)\n(11, 50, 70, 6) True\n(1, 50, 70, 6)\n(1, 50, 70, 60)\n", "", 0,
    )
    in_place = sys.version_info >= (3, 11)  # before, a coroutine function is wrapped
    sees_code = sys.version_info >= (3, 12)  # events, for which the code stays what it is
    assert {target: watched.total(target) for target in targets} == {
        "legacy:Old.method": 4 if sees_code else 2, "legacy:Old.later": 4, "legacy:Old.known": 4 if sees_code else 1,
        "legacy:Sub": 4, "legacy:Old.last": 3,
    }
    states = watched.states()
    assert {target for target in targets if states[target][0] == "armed"} == ({"legacy:Old.later"} if not in_place else set())
    assert all("`__code__`" in states[target][1] for target in targets if states[target][0] == "partial")
    assert states["legacy:helper"][0] == "armed"
    assert {use.function for use in watched.uses()} == {"use"}
    assert watched.internal_errors() == {}
