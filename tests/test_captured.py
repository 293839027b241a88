"""What was captured before a target was armed: functions, and the code objects that some know frames by."""

from __future__ import annotations

import functools
import gc
import sys
import threading
import weakref

import pytest

from lastcall.captured import beside, code_is_known_elsewhere, looking
from lastcall.rebinding import kept_by
from worlds import ENGINES, World

LEGACY = """
    import sys
    internal = set()
    def internalcode(function):
        internal.add(function.__code__)
        return function
    class Context:
        @internalcode
        def call(self):
            return sys._getframe().f_code in internal
        def plain(self):
            return sys._getframe().f_code in internal
    """

SOURCE = """
known = set()
def mark(function):
    known.add(function.__code__)
    return function

class Marked:
    @mark
    def yes(self): pass
    def no(self): pass

def decorated(function):
    def wrapper(): return function()
    return wrapper

@decorated
def one(): pass
@decorated
def two(): pass
within = {name: held(function) for name, function in dict(
    yes=Marked.yes, no=Marked.no, one=one, two=two, mark=mark).items()}
"""


only_where_code_is_rewritten = pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="from 3.12 on code stays as it is: sys.monitoring reports the calls"
)


@only_where_code_is_rewritten
def test_code_that_someone_keeps_is_told_from_code_that_functions_share():
    names = {"held": code_is_known_elsewhere}
    exec(compile(SOURCE, "marked.py", "exec"), names)
    expected = {"yes": True, "no": False, "one": False, "two": False, "mark": False}
    assert names["within"] == expected, "while the module's code still runs"
    found = {name: code_is_known_elsewhere(names.get(name) or getattr(names["Marked"], name)) for name in expected}
    assert found == expected


@only_where_code_is_rewritten
def test_a_weak_reference_counts_as_well():
    def function(): ...

    kept = weakref.ref(function.__code__)
    assert code_is_known_elsewhere(function)
    assert kept() is function.__code__


@pytest.mark.parametrize("engine", ["auto", "inplace"])
def test_who_knows_frames_by_their_code_still_does(tmp_path, engine):
    """As jinja leaves its own frames out of tracebacks: by a set of code objects that a decorator filled."""
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": """
        import legacy
        context = legacy.Context()
        print(context.call(), context.call(), context.plain())
        """}, ("legacy:Context.call", "legacy:Context.plain"))  # fmt: skip
    run = world.run(engine)
    assert run.err == ""
    assert run.out.split() == world.run().out.split() == ["True", "True", "False"]
    assert run.total("legacy:Context.call") == 2
    assert run.total("legacy:Context.plain") == 1


def test_functions_that_numba_compiles_later_keep_their_code(tmp_path):
    """It reads the bytecode of what a compiled function calls when that is called for the first time, and knows no call of ours."""
    world = World(tmp_path, {"numba/__init__.py": "", "numba/core.py": """
        known = {}
        def register_jitable(function):
            known[function.__name__] = function
            return function
        def compiled(name):
            code = known[name].__code__
            return compile("def f(x): return x * 2", "", "exec").co_consts[0].co_names == code.co_names
        """, "legacy.py": """
        from numba.core import register_jitable
        @register_jitable
        def double(x): return x * 2
        """, "other.py": "def double(x): return x * 2", "host.py": """
        import legacy, other, numba.core
        kept = [other.double]
        numba.core.known["other"] = other.double
        print(numba.core.compiled("double"), numba.core.compiled("other"), legacy.double(1), other.double(2))
        """}, ("legacy:double", "other:double"))  # fmt: skip
    run = world.run("inplace")
    assert run.err == ""
    assert run.out == f"True {sys.version_info >= (3, 12)} 2 4\n"
    assert (run.total("legacy:double"), run.total("other:double")) == (1, 1)


INSTANCES = """
    import functools, pickle
    class Task:
        def __init__(self, function):
            self.function = function
            functools.update_wrapper(self, function)
        def __call__(self, *args):
            return self.function(*args)
        def __reduce__(self):
            return self.__qualname__ if globals()[self.__qualname__] is self else (Task, (self.function,))
    @Task
    def old_task(x): return x
    @functools.lru_cache
    def old_cached(x): return x
    """


@pytest.mark.parametrize("engine", ENGINES)
def test_a_wildcard_leaves_objects_alone_that_tell_themselves_by_identity(engine, tmp_path):
    world = World(tmp_path, {"legacy.py": INSTANCES, "host.py": """
        import pickle, legacy
        task = legacy.old_task
        print(task(1), legacy.old_cached(2), type(task) is legacy.Task, pickle.loads(pickle.dumps(task)) is task)
        """}, ("legacy:old_*",))  # fmt: skip
    run = world.run(engine)
    assert run.err == ""
    assert run.out == world.run().out
    assert run.total("legacy:old_cached") == 1
    state, reason, _ = run.states()["legacy:old_task"]
    assert state == "failed"
    assert "an instance of legacy.Task" in reason
    world.targets = ("legacy:old_task",)
    assert world.run(engine).total("legacy:old_task") == 1, "named, it is wrapped"


@pytest.mark.skipif("t" in sys.abiflags, reason="free-threaded builds do not count all references")
@pytest.mark.parametrize("engine", ["auto", "inplace", "wrapping"])
def test_a_wildcard_does_not_wrap_a_function_that_c_code_holds_and_hands_out(engine, tmp_path):
    """As the extension modules do whose objects pickle themselves by a function of that module."""
    world = World(tmp_path, {"host.py": """
        import _ctypes, ctypes, pickle
        print(ctypes.c_int(3).__reduce__()[0] is _ctypes._unpickle)
        print(pickle.loads(pickle.dumps(ctypes.c_int(3))).value, ctypes.sizeof(ctypes.c_int))
        """}, ("_ctypes:_unpickl*", "_ctypes:sizeo*"))  # fmt: skip
    run = world.run(engine)
    assert run.err == ""
    assert run.out == world.run().out
    state, reason, _ = run.states()["_ctypes:_unpickle"]
    assert state == "partial"
    assert "to which a wrapper would be another object" in reason
    assert {use.use for use in run.uses() if use.target == "_ctypes:_unpickle"} == {"access"}
    assert run.states()["_ctypes:sizeof"][0] == "armed", "another one of that module, which nobody holds"


def test_who_keeps_it_is_looked_for_of_c_functions_only(monkeypatch):
    class Old: ...

    def old(): ...

    namespace = {"Old": Old, "old": old, "task": functools.partial(old)}
    held = [*namespace.values()]
    monkeypatch.setattr(gc, "get_referrers", lambda *_: pytest.fail("a walk over the heap"))
    assert [kept_by(namespace, name) for name in namespace] == [[], [], []]
    assert held


def test_a_host_that_puts_the_loaded_modules_back_as_they_were_has_its_targets_armed_all_the_same(tmp_path):
    legacy = "class Old:\n    def method(self): pass\n    length = staticmethod(len)\n"
    world = World(tmp_path, {"first.py": legacy, "second.py": legacy, "host.py": """
        import sys
        before = dict(sys.modules)
        import first
        for name in set(sys.modules) - set(before):
            del sys.modules[name]
        import second
        second.Old().method()
        print(second.Old.length("abc"))
        """}, ("first:Old.*", "second:Old.*"))  # fmt: skip
    run = world.run("auto")
    assert (run.out, run.err) == ("3\n", "")
    assert run.internal_errors() == {}
    assert run.total("second:Old.method") == run.total("second:Old.length") == 1


def test_a_module_that_was_imported_anew_and_put_back_stays_armed(tmp_path):
    """As `mock.patch.dict(sys.modules)` does, around an import: of the first module nothing was missed."""
    host = """
        import sys, time
        import legacy
        first = sys.modules.pop("legacy")
        import legacy as second
        legacy.old(), first.old()
        sys.modules["legacy"] = first
        time.sleep(0.5)
        first.old(), second.old(), sys.modules["legacy"].NAME
        print(first is second)
        """
    files = {"legacy.py": "NAME = 1\ndef old(): return 1\n", "host.py": host}
    targets = "legacy:old", "legacy:NAME"
    watched = World(tmp_path, files, targets).run("auto", LASTCALL_FLUSH_INTERVAL="0.05")
    assert watched.out == "False\n"
    assert {ref: state for ref, (state, _, _) in watched.states().items()} == dict.fromkeys(targets, "armed")
    assert watched.total("legacy:old") == 4
    assert watched.total("legacy:NAME") == 1


def test_what_the_agent_itself_runs_on_is_not_watched(tmp_path):
    world = World(tmp_path, {"legacy.py": "def old(): pass\n", "host.py": """
        import wrapt, lastcall.targets
        print(wrapt.decorator(lambda f, i, a, k: f(*a, **k))(lambda x: x)(3))
        import legacy
        legacy.old()
        """}, ("**:old", "**:decorator", "**:dumps"))  # fmt: skip
    run = world.run("auto", timeout=30)
    assert (run.out, run.err) == ("3\n", "")
    assert run.total("legacy:old") == 1
    assert not [ref for ref in run.states() if ref.startswith(("wrapt", "lastcall"))]
    for target in ("wrapt:decorator", "lastcall.**:*"):
        world.targets = (target,)
        assert "the agent itself runs on this package" in world.run("auto", timeout=30).err


def test_functions_that_their_own_name_does_not_find_stay_functions(tmp_path):
    """Who pickles them (dill, for one) takes them apart as what their type says they are."""
    world = World(tmp_path, {"legacy.py": """
        square = lambda x: x**2
        def deprecated(function):
            def wrapper(*args): return function(*args)
            return wrapper
        @deprecated
        def old(x): return x
        def plain(x): return x
        """, "host.py": """
        import legacy
        print(type(legacy.square).__name__, type(legacy.old).__name__, legacy.square(2), legacy.old(1), legacy.plain(1))
        """}, ("legacy:square", "legacy:old", "legacy:plain"))  # fmt: skip
    run = world.run("auto")
    assert run.err == ""
    assert run.out == world.run().out
    assert [run.total(f"legacy:{name}") for name in ("square", "old", "plain")] == [1, 1, 1]


OTHER_NAMES = """
    def new(): return "new"
    old = new
    class Chat:
        make = new
        def open(self): return "open"
        start = open
    REGISTRY = {"make": new}
    def through_class(): return Chat.make()
    for _ in range(100): through_class()
    """


@pytest.mark.parametrize("targets", [("legacy:new",), ("legacy:*",), ("legacy:*", "legacy:Chat.*")])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_functions_other_names_lead_to_what_is_counted(engine, targets, tmp_path):
    """In its own module, and in a class whose attribute Python has found before: it remembers where."""
    world = World(tmp_path, {"legacy.py": OTHER_NAMES, "host.py": """
        import legacy
        for _ in range(100): legacy.through_class()
        print(legacy.old(), legacy.Chat.make(), legacy.REGISTRY["make"](), legacy.new())
        print(legacy.old is legacy.new, legacy.Chat.make is legacy.new, legacy.REGISTRY["make"] is legacy.new)
        """}, targets)  # fmt: skip
    run = world.run(engine)
    assert run.err == ""
    assert run.out == world.run().out
    assert run.total("legacy:new") == 104
    state, reason, _ = run.states().get("legacy:Chat.make", ("failed", "another name of legacy:new", ""))
    assert state == "failed"
    assert "another name of legacy:new" in reason


def test_a_metaclass_is_not_asked_when_its_class_gets_what_is_counted(tmp_path):
    world = World(tmp_path, {"legacy.py": """
        def new(): return "new"
        class Meta(type):
            def __setattr__(cls, name, value): print("set", name)
            def __getattribute__(cls, name):
                print("asked for", name)
                return type.__getattribute__(cls, name)
        class Chat(metaclass=Meta):
            make = new
        """, "host.py": """
        import legacy
        print(legacy.Chat.make())
        """}, ("legacy:new",))  # fmt: skip
    run = world.run("wrapping")
    assert run.err == ""
    assert run.out == world.run().out
    assert run.total("legacy:new") == 1


@pytest.mark.skipif("t" in sys.abiflags, reason="free-threaded builds do not count all references")
@pytest.mark.parametrize("engine", ENGINES)
def test_nobody_is_looked_for_where_nothing_was_captured(engine, tmp_path):
    """A look at all objects takes as long as there are objects: the reference counts say whether one is needed."""
    world = World(tmp_path, {"legacy.py": """
        import functools
        def old(): pass
        @functools.lru_cache
        def cached(): pass
        class Chat:
            def __init__(self): pass
            def send(self): pass
            @classmethod
            def make(cls): pass
            @staticmethod
            def quick(): pass
            @property
            def size(self): pass
        """, "host.py": """
        import gc
        looked = []
        find = gc.get_referrers
        gc.get_referrers = lambda *objects: looked.append(objects) or find(*objects)
        import legacy
        legacy.old(), legacy.cached(), legacy.Chat().send(), legacy.Chat.make(), legacy.Chat.quick(), legacy.Chat().size
        print(looked)
        """}, tuple(f"legacy:{name}" for name in ("old", "cached", "Chat", *map("Chat.{}".format, METHODS))))  # fmt: skip
    run = world.run(engine)
    assert (run.out, run.err) == ("[]\n", "")
    assert {state for state, _, _ in run.states().values()} == {"armed"}


METHODS = ("send", "make", "quick", "size")


def test_what_had_captured_a_function_does_not_keep_it_wrapped_when_watching_ends(tmp_path):
    world = World(tmp_path, {"legacy.py": """
        def old(): pass
        registry = {"old": old}
        class Keep: pass
        KEEP = Keep()
        KEEP.old = old
        """, "host.py": """
        import legacy, lastcall
        legacy.old(), legacy.registry["old"](), legacy.KEEP.old()
        lastcall.stop()
        print([type(f).__mro__[1:] for f in (legacy.old, legacy.registry["old"], legacy.KEEP.old)])
        """}, ("legacy:old",))  # fmt: skip
    run = world.run("wrapping")
    assert (run.out, run.err) == ("[(<class 'object'>,), (<class 'object'>,), (<class 'object'>,)]\n", "")
    assert run.total("legacy:old") == 3


ARGUMENTS = """
    def old(x=1, *, mode=None): return x
    def plain(x=1, *, mode=None): return x
    class Chat:
        def __init__(self, mode=None): pass
        def send(self, x=1, *, mode=None): return x
        def plain(self, x=1, *, mode=None): return x
        @classmethod
        def make(cls, mode=None): return 1
    class Kept:
        def __init__(self, mode=None): pass
    TABLE = {"old": old}
    KEEP = Chat.send, Chat.make, Kept.__init__
    """


@pytest.mark.skipif("t" in sys.abiflags, reason="free-threaded builds do not count all references")
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_deprecated_argument_that_is_passed_to_what_was_captured_is_counted_or_said_to_escape(engine, both, tmp_path):
    """`both`: the functions are targets themselves, too, and that alone is no reason to say so."""
    world = World(tmp_path, {"legacy.py": ARGUMENTS, "host.py": """
        import legacy
        chat = legacy.Chat(mode=1)
        print(legacy.TABLE["old"](mode=1), legacy.old(mode=1), legacy.plain(mode=1))
        print(legacy.KEEP[0](chat, mode=1), legacy.KEEP[1](mode=1), legacy.KEEP[2](chat, mode=1))
        print(chat.send(mode=1), chat.make(mode=1), chat.plain(mode=1), legacy.TABLE["old"] is legacy.old)
        legacy.Kept(mode=1)
        """})  # fmt: skip
    names = ("old", "plain", "Chat", "Kept", "Chat.send", "Chat.make", "Chat.plain")
    world.targets = tuple(f"legacy:{name}(mode=)" for name in names)
    if both:
        world.targets = (*(f"legacy:{name}" for name in names), *world.targets)
    run = world.run(engine)
    assert run.err == ""
    assert run.out == world.run().out
    counted = {name: run.total(f"legacy:{name}(mode=)") for name in names}
    assert counted == {"old": 2, "plain": 1, "Chat": 1, "Kept": 1, "Chat.send": 1, "Chat.make": 1, "Chat.plain": 1}
    states = run.states()
    escaping = {name for name in names if "is held by more than its class" in states[f"legacy:{name}(mode=)"][1]}
    assert escaping == {"Kept", "Chat.send", "Chat.make"}
    assert {states[f"legacy:{name}(mode=)"][0] for name in escaping} == {"partial"}
    assert {states[f"legacy:{name}(mode=)"][0] for name in set(names) - escaping} == {"armed"}
    if both:
        expected = {"armed"} if engine != "wrapping" else {"armed", "partial"}
        assert {states[f"legacy:{name}"][0] for name in names} == expected, states


def test_what_our_own_thread_holds_for_a_moment_is_nobodys_reference():
    namespace = {"probe": []}
    held = [namespace["probe"]]
    assert beside(namespace, "probe") == 1

    def end():
        held.clear()
        looking.release()

    looking.acquire()
    thread = threading.Timer(0.005, end)
    thread.start()
    assert beside(namespace, "probe") == 0
    thread.join()


@pytest.mark.parametrize("engine", ENGINES)
def test_what_the_host_holds_while_the_first_target_is_armed_goes_when_the_host_lets_go_of_it(engine, tmp_path):
    world = World(tmp_path, {"legacy.py": "def old(): pass\n", "host.py": """
        import gc, weakref
        gc.disable()
        class Thing: pass
        def load():
            thing = Thing()
            import legacy
            legacy.old()
            return weakref.ref(thing)
        print(load()())
        """}, ("legacy:old",))  # fmt: skip
    run = world.run(engine)
    assert (run.out, run.err) == ("None\n", "")
    assert run.total("legacy:old") == 1
