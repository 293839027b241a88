"""What the interpreter runs between two instructions (a finalizer, a signal's handler) is counted wherever that is."""

from __future__ import annotations

import sys
import threading
import types
from collections import Counter

import pytest

from lastcall import hotpath
from lastcall.targets import Target
from test_recorder import callers, in_memory, make
from worlds import ENGINES, World

LEGACY = """
    class Connection:
        closed = made = 0
        def __init__(self):
            Connection.made += 1
            self.me = self
        def __del__(self):
            self.close()
        def close(self):
            Connection.closed += 1
        def use(self):
            pass
    class Pool(Connection):
        pass
    def old():
        pass
    """


@pytest.mark.parametrize("engine", ENGINES)
def test_finalizers_of_garbage_that_is_found_while_targets_are_used_lose_no_use(tmp_path, engine):
    """An object that is made is what Python looks for garbage after: often at the beginning of its constructor."""
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": """
        import gc, legacy
        for turn in range(3000):
            legacy.Connection().use()
            legacy.Pool()
            legacy.old()
        gc.collect()
        print(legacy.Connection.made, legacy.Connection.closed)
        """}, ("legacy:*", "legacy:Connection.*", "legacy:Connection.__del__"))
    run = world.run(engine)
    assert (run.out, run.err) == ("6000 6000\n", "")
    for name, times in {"Connection.__del__": 6000, "Connection.close": 6000, "Connection.use": 3000, "old": 3000}.items():
        assert run.total(f"legacy:{name}") == times, name
    assert run.internal_errors() == {}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_signals_handler_that_comes_while_targets_are_used_loses_no_use(tmp_path, engine):
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": """
        import signal, legacy
        handled = done = 0
        made = object.__new__(legacy.Connection)
        def handler(*_):
            global handled
            handled += 1
            legacy.old()
            made.use()
            if handled >= 400:
                signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        while handled < 400:
            legacy.old()
            made.use()
            done += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
        made.__class__ = type("Done", (), {})
        print(done + handled)
        """}, ("legacy:*", "legacy:Connection.*"))
    run = world.run(engine)
    assert run.err == ""
    times = int(run.out)
    assert (run.total("legacy:old"), run.total("legacy:Connection.use")) == (times, times)


def test_what_the_hosts_finalizers_use_in_our_own_thread_is_the_hosts(monkeypatch):
    """Where Python finds the host's garbage there. It may hold the recorder's lock, so a new call site waits."""
    in_memory(monkeypatch)
    recorder = make()
    tap = recorder.tap(Target("legacy:old"), "call")
    final = recorder.tap(Target("legacy:Old.__del__"), "call")
    hook, final_hook = recorder.hooks.hook(tap), recorder.hooks.hook(final)
    [of_the_host] = callers(hook, 1)
    names = {"hook": hook, "__name__": "library"}
    exec(compile("def reads(): hook()\n\ndef __del__(): hook()", "/x/site-packages/library.py", "exec"), names)

    def ours():
        recorder.own_threads.add(threading.get_ident())
        with recorder.lock:
            of_the_host(3)
            names["reads"]()
            names["__del__"]()
            final_hook()

    thread = threading.Thread(target=ours)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    recorder.publish()
    found = {(record.target.ref, record.file.rpartition("/")[2], record.line): record.total() for record in recorder.records}
    assert found == {("legacy:old", "made0.py", 3): 3, ("legacy:old", "library.py", 3): 1, ("legacy:Old.__del__", "", 0): 1}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_signals_handler_that_comes_at_first_sights_loses_no_use(tmp_path, engine):
    lines = "    old()\n" * 1500
    world = World(tmp_path, {"legacy.py": LEGACY, "calls.py": f"def call(old):\n{lines}", "host.py": """
        import signal, calls, legacy
        handled = 0
        def handler(*_):
            global handled
            handled += 1
            legacy.old()
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
        calls.call(legacy.old)
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(1500 + handled)
        """}, ("legacy:old",))
    run = world.run(engine)
    assert run.err == ""
    assert run.total("legacy:old") == int(run.out)
    assert run.internal_errors() == {}


@pytest.mark.skipif(sys.version_info < (3, 12), reason="no sys.monitoring")
def test_a_callback_makes_no_call_and_has_no_beginning(monkeypatch):
    """Each would be a turn for what waits, of which nothing would be reported."""
    import dis

    from lastcall.engines.inplace import ByClass, Several, Watcher

    in_memory(monkeypatch)
    recorder = make()
    callbacks = [recorder.hooks.start_callback({}, {}), hotpath.as_callback(print)]
    for function in (*callbacks, Watcher.__getitem__, Several.__getitem__, ByClass.__getitem__):
        with_slots = types.FunctionType(function.__code__, {}, closure=function.__closure__)
        instructions = list(dis.get_instructions(with_slots))
        [beginning] = [one for one in instructions if one.opname == "RESUME"]
        assert beginning.arg & hotpath.AFTER_YIELD_FROM, function
        assert not [one.opname for one in instructions if one.opname.startswith("CALL")], function


ENDING = {
    "legacy.py": """
        import os, warnings

        class Said:
            def __init__(self, name): self.name = name
            def __del__(self, write=os.write): write(1, f"{self.name}\\n".encode())

        class Old:
            kept = Said("of a class")
            def __init__(self): self.mine = Said("of an instance")
            def use(self): pass

        def old(x=Said("a default")): pass
        def each(): yield Said("of a generator")
        def warns(): warnings.warn("old", DeprecationWarning, stacklevel=2)

        CONSTANT = Said("a constant")
        CYCLE = [Said("in a cycle"), Old(), each()]
        CYCLE.append(CYCLE)
        next(CYCLE[2])
    """,
    "host.py": """
        import legacy

        def wrapped(function):
            def passing(*args, **named):
                return function(*args, **named)
            return passing

        class Last:
            def __del__(self, legacy=legacy, passing=wrapped(legacy.old)):
                legacy.old()
                passing()
                legacy.warns()
                legacy.Old().use()
                legacy.CONSTANT
                print("to its end")

        legacy.old(), legacy.Old().use(), list(legacy.each()), legacy.warns()
        last, unused = Last(), legacy.Said("of the script")
    """,
}


@pytest.mark.skipif(
    "t" in sys.abiflags and sys.version_info < (3, 14),
    reason="frees no class and no function that is made when a second thread has run, whoever's",
)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("discover", ["", '[discover]\nwarnings = ["DeprecationWarning"]\n'], ids=["named", "warnings"])
def test_what_lives_to_the_end_is_finalized_there_and_counted(tmp_path, engine, discover):
    """A code object is not looked into by Python's garbage collection: what its hook leads to would live for ever."""
    targets = ("legacy:Old", "legacy:Old.use", "legacy:old", "legacy:each", "legacy:CONSTANT")
    world = World(tmp_path, {**ENDING, "lastcall.toml": discover}, targets)
    plain, run = world.run(), world.run(engine)
    assert (sorted(run.out.split("\n")), run.err, run.code) == (sorted(plain.out.split("\n")), plain.err, plain.code)
    assert run.internal_errors() == {}
    last = Counter((use.target, use.line) for use in run.uses() if use.function.endswith("__del__"))
    expected = [("legacy:old", 11), ("legacy:old", 12), ("legacy:Old", 14), ("legacy:Old.use", 14), ("legacy:CONSTANT", 15)]
    assert last == Counter(expected + [("legacy:warns", 13)] * bool(discover))
