"""Uses that come, and looks that are taken, from where one does not expect them."""

from __future__ import annotations

import sys

import pytest

from worlds import ENGINES, World, wrapt_in_c

NEEDS_C = pytest.mark.skipif(not wrapt_in_c(), reason="without its C extension wrapt's frames show")


def same_for_the_host(world, engine="auto", **environ):
    """The run with the agent, which must show what the run without it shows."""
    plain, watched = world.run(), world.run(engine, **environ)
    assert (watched.out, watched.err, watched.code) == (plain.out, plain.err, plain.code)
    assert watched.internal_errors() == {}
    return watched


def by_line(run, file="host.py"):
    found = {}
    for use in run.uses():
        if use.file == file:
            found[use.line] = found.get(use.line, 0) + use.count
    return found


NO_CALLER = """\
    import atexit, operator, sys
    import legacy
    from waiting import called_by_c as alone
    sys.unraisablehook = lambda args: print(args.exc_type, args.exc_value)
    alone(legacy.old)
    alone(legacy.Inherits)
    alone(legacy.Own)
    alone(legacy.shared)
    alone(legacy.argument, 1)
    alone(legacy.argument, 1, 2)
    alone(getattr, legacy, "NAME")
    alone(operator.attrgetter("NAME"), legacy)
    alone(getattr, legacy, "made")
    atexit.register(getattr, legacy, "NAME")
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_what_c_calls_with_no_python_frame_below_works_and_is_counted(tmp_path, engine):
    legacy = """\
        NAME = 1
        def old(): pass
        def shared(): pass
        def argument(a, mode=0): pass
        class Base:
            def __init__(self): pass
        class Inherits(Base): pass
        class Own:
            def __init__(self): pass
        def __getattr__(name):
            if name == "made": return 1
            raise AttributeError(name)
        """
    targets = "old", "Inherits", "Own", "shared", "argument(mode=)", "NAME", "made"
    world = World(tmp_path, {"host.py": NO_CALLER, "legacy.py": legacy}, tuple("legacy:" + t for t in targets))

    watched = same_for_the_host(world, engine)

    counts = {use.target[7:]: use.count for use in watched.uses()}
    assert counts == {"old": 1, "Inherits": 1, "Own": 1, "shared": 1, "argument(mode=)": 1, "NAME": 3, "made": 1}
    assert {(use.file, use.line) for use in watched.uses()} == {("", 0)}


@pytest.mark.parametrize("setting", ['isolation = { owner = "user" }', 'mode = "warn"', 'mode = "raise"'])
def test_where_a_call_needs_the_wrapper_function_it_needs_no_caller_either(tmp_path, setting):
    host = """\
        import warnings
        warnings.simplefilter("ignore")
        import legacy, waiting
        waiting.called_by_c(legacy.old, "anybody")
        """
    config = f"[[target]]\nref = 'legacy:old'\n{setting}\n"
    files = {"host.py": host, "legacy.py": "def old(user): print('ran')\n", "lastcall.toml": config}
    watched = World(tmp_path, files).run("auto")

    assert "ValueError" not in watched.err
    assert watched.out == ("" if "raise" in setting else "ran\n")
    assert ("DeprecatedUseError" in watched.err) == ("raise" in setting)
    assert watched.internal_errors() == {}
    assert watched.total("legacy:old") == 1


@NEEDS_C
def test_an_argument_of_a_class_is_its_constructors_and_the_class_stays_what_it_is(tmp_path):
    legacy = """\
        class Old:
            def __init__(self, a=1, mode=None): pass
        class Made:
            def __new__(cls, a=1, *, mode=None): return object.__new__(cls)
        class Inherits(Old): pass
        class Without:
            def __init__(self, a=1): pass
        """
    host = """\
        import inspect
        from legacy import Inherits, Made, Old
        print(type(Old), type(Old()) is Old, inspect.signature(Old), type("Sub", (Old,), {})().__class__.__bases__)
        Old(1)
        Old(1, 2)
        Old(mode=2)
        Made(mode=2)
        Made(1)
        class Sub(Old):
            def __init__(self): super().__init__(1, mode=2)
        Sub()
        """
    targets = tuple(f"legacy:{name}(mode=)" for name in ("Old", "Made", "Inherits", "Without"))
    watched = same_for_the_host(World(tmp_path, {"host.py": host, "legacy.py": legacy}, targets))

    assert by_line(watched) == {5: 1, 6: 1, 7: 1, 10: 1}
    states = watched.states()
    assert [states[target][0] for target in targets] == ["armed", "armed", "failed", "missing"]
    assert "inherits its constructor" in states["legacy:Inherits(mode=)"][1]


def test_a_wildcard_with_an_argument_means_the_argument_of_what_it_matches(tmp_path):
    legacy = """\
        def get_one(a, mode=0, old_x=0): return a
        def get_two(a): return a
        def get_any(**options): return options
        class get_three:
            def __init__(self, *, mode=0): pass
        """
    host = """\
        import legacy
        legacy.get_one(1)
        legacy.get_one(1, 2)
        legacy.get_one(1, old_x=2)
        legacy.get_two(1)
        legacy.get_any(mode=1)
        legacy.get_three(mode=1)
        """
    world = World(tmp_path, {"host.py": host, "legacy.py": legacy}, ("legacy:get_*(mode=)", "legacy:get_one(old_*=)"))

    watched = same_for_the_host(world)

    assert {(use.target[7:], use.line): use.count for use in watched.uses()} == {
        ("get_one(mode=)", 3): 1, ("get_one(old_x=)", 4): 1, ("get_three(mode=)", 7): 1,
    }


PROTOCOLS = """\
    from typing import Protocol
    class Old(Protocol):
        def method(self): ...
    class Concrete(Old):
        def method(self): return 1
    class Base:
        def __init__(self, a=1): self.a = a
    class Both(Old, Base): pass
    class Other(Protocol): pass
    class OfOther(Other): pass
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_a_class_that_has_its_constructor_from_a_protocol_has_none(tmp_path, engine):
    """`typing` takes it away again at the first construction: one in three was counted."""
    host = """\
        import legacy
        for turn in range(3):
            legacy.Concrete()
            print(legacy.Both(turn).a)
            legacy.OfOther()
        try:
            legacy.Old()
        except TypeError as error:
            print(error)
        print(legacy.Concrete.__init__ is object.__init__, legacy.Base.__init__ is legacy.Both.__init__)
        """
    targets = "legacy:Concrete", "legacy:Both", "legacy:Old"
    watched = same_for_the_host(World(tmp_path, {"host.py": host, "legacy.py": PROTOCOLS}, targets), engine)

    assert {(use.target[7:], use.line, use.use): use.count for use in watched.uses()} == {
        ("Concrete", 3, "access"): 3, ("Concrete", 10, "access"): 1, ("Both", 4, "construct"): 3, ("Old", 7, "access"): 1,
    }
    assert {ref[7:]: state[0] for ref, state in watched.states().items()} == {
        "Concrete": "partial", "Both": "armed", "Old": "armed",
    }


INHERITED = """\
    class Base:
        def method(self): return type(self).__name__
        @classmethod
        def make(cls): return cls.__name__
        @property
        def value(self): return type(self).__name__
        @staticmethod
        def static(): return "static"
        def overridden(self): return 1
    class Sub(Base):
        def overridden(self): return super().overridden()
    class Below(Sub): pass
    class Other(Base): pass
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_an_inherited_member_is_used_through_the_class_that_is_named(tmp_path, engine):
    if engine == "wrapping" and not wrapt_in_c():
        pytest.skip("without its C extension wrapt adds a frame")
    host = """\
        from legacy import Base, Below, Other, Sub
        for cls in (Base, Other, Sub, Below):
            print(cls().method(), cls.make(), cls().value)
        print(Sub.static(), Sub().overridden(), Base.method(Sub()), Base.method(Other()))
        """
    targets = tuple("legacy:Sub." + name for name in ("method", "make", "value", "static"))
    world = World(tmp_path, {"host.py": host, "legacy.py": INHERITED}, targets)

    watched = same_for_the_host(world, engine)

    counts = {}
    for use in watched.uses():
        counts[use.target[11:], use.line] = counts.get((use.target[11:], use.line), 0) + use.count
    assert counts == {("method", 3): 2, ("make", 3): 2, ("value", 3): 2, ("static", 4): 1, ("method", 4): 1}
    states = watched.states()
    assert {ref: state[:2] for ref, state in states.items() if state[1]} == {
        "legacy:Sub.static": ("armed", "inherited from Base: uses through its other classes are counted, too")
    }


def test_a_cached_property_is_counted_where_it_is_read_first(tmp_path):
    legacy = """\
        import functools
        class Old:
            @functools.cached_property
            def value(self): return 1
        """
    host = """\
        import legacy
        for turn in range(3):
            old = legacy.Old()
            print(old.value)
            print(old.value, vars(old))
        """
    watched = same_for_the_host(World(tmp_path, {"host.py": host, "legacy.py": legacy}, ("legacy:Old.value",)))

    assert by_line(watched) == {4: 3}
    state, reason, _ = watched.states()["legacy:Old.value"]
    assert state == "partial"
    assert "later reads are not seen" in reason


def test_a_decorated_coroutine_that_runs_as_a_task_is_called_by_its_decorator_not_by_the_event_loop(tmp_path):
    host = """\
        import asyncio, functools
        import legacy
        def traced(function):
            @functools.wraps(function)
            async def inner(*args, **kwargs):
                return await function(*args, **kwargs)
            return inner
        safe = traced(traced(legacy.old))
        async def main():
            await asyncio.create_task(safe())
            await safe()
            await asyncio.gather(safe(), safe())
        asyncio.run(main())
        """
    world = World(tmp_path, {"host.py": host, "legacy.py": "async def old(): return 1\n"}, ("legacy:old",))

    watched = same_for_the_host(world)

    assert by_line(watched) == {6: 3, 11: 1}
    assert {use.file for use in watched.uses()} == {"host.py"}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="code objects do not know their columns")
def test_two_lambdas_in_one_line_are_two_call_sites(tmp_path):
    host = """\
        import legacy
        for function in (lambda: legacy.old(1), lambda: legacy.also(1), lambda: legacy.old(2)):
            function()
        """
    legacy = "def old(value): return value\nalso = old\n"
    world = World(tmp_path, {"host.py": host, "legacy.py": legacy}, ("legacy:old",))

    watched = same_for_the_host(world)

    found = sorted((use.line, use.expression, use.count) for use in watched.uses())
    assert found == [(2, "legacy.also", 1), (2, "legacy.old", 2)]


def test_an_entry_point_that_names_a_target_uses_it(tmp_path):
    host = """\
        from importlib.metadata import EntryPoint
        print(EntryPoint(name="plugin", value="legacy:Old", group="plugins").load().__name__)
        """
    legacy = "class New: pass\nOld = New\n"
    watched = same_for_the_host(World(tmp_path, {"host.py": host, "legacy.py": legacy}, ("legacy:Old",)))

    assert by_line(watched) == {2: 1}


@NEEDS_C
def test_wrong_uses_of_a_function_are_told_in_the_same_words(tmp_path):
    host = """\
        import asyncio, copy, os
        import legacy
        async def wait(): await legacy.old
        wrong = {
            "for": lambda: [x for x in legacy.old], "star": lambda: print(*legacy.old), "join": lambda: "".join([legacy.old]),
            "open": lambda: open(legacy.old), "next": lambda: next(legacy.old), "await": lambda: asyncio.run(wait()),
            "dict": lambda: dict(legacy.old), "format": lambda: "%d" % legacy.old, "unpack": lambda: (lambda a, b: 1)(*legacy.old),
            "cached": lambda: [x for x in legacy.cached].missing, "path": lambda: os.fspath(legacy.old),
        }
        for name, use in wrong.items():
            try:
                print(name, use())
            except Exception as error:
                print(name, type(error), str(error).replace("functools.", ""))
        print(copy.copy(legacy.cached) is legacy.cached, copy.deepcopy(legacy.cached) is legacy.cached)
        print(type(legacy.old).__name__, type(legacy.old).__module__, type(legacy.cached).__qualname__)
        """
    legacy = """\
        import functools
        def old(): pass
        @functools.lru_cache
        def cached(): pass
        """
    same_for_the_host(World(tmp_path, {"host.py": host, "legacy.py": legacy}, ("legacy:old", "legacy:cached")))


def test_who_looks_without_reading_finds_what_lies_in_the_module(tmp_path):
    host = """\
        import inspect
        import legacy
        for name in ("Alias", "VALUE", "made", "missing"):
            print(name, inspect.getattr_static(legacy, name, "nothing"))
        print(type(type(legacy)).__name__, type(legacy).__name__)
        """
    legacy = """\
        class New: pass
        Alias, VALUE = New, {"a": 1}
        def __getattr__(name):
            if name == "made": return 1
            raise AttributeError(name)
        """
    targets = "legacy:Alias", "legacy:VALUE", "legacy:made"
    watched = same_for_the_host(World(tmp_path, {"host.py": host, "legacy.py": legacy}, targets))

    assert watched.uses() == []


FREES_NOTHING = "t" in sys.abiflags and sys.version_info < (3, 14)
"""Free-threaded 3.13 frees neither functions nor classes once a second thread ran, and the agent's is one."""


@pytest.mark.skipif(FREES_NOTHING, reason="this build frees no functions")
@pytest.mark.parametrize("engine", ENGINES)
def test_what_a_host_imports_anew_it_can_let_go_of(tmp_path, engine):
    if engine == "wrapping" and not wrapt_in_c():
        pytest.skip("without its C extension wrapt adds a frame")
    legacy = """\
        import functools
        NAME = 1
        def old(a=1, mode=None): return a
        def other(): pass
        async def coro(): pass
        class Base:
            def __init__(self): pass
        class Old(Base):
            def method(self): pass
            @classmethod
            def make(cls): pass
            @staticmethod
            def static(): pass
            value = property(functools.partial(int, "1"))
            read = property(lambda self: 1)
            cached = functools.cached_property(functools.partial(len))
        class Failure(Exception): pass
        """
    host = """\
        import gc, importlib, sys, weakref
        import legacy
        kept = legacy.old
        held = []
        def use(module):
            module.old(1), module.old(mode=1), module.other(), module.coro().close(), module.NAME, module.Failure()
            one = module.Old()
            one.method(), one.make(), one.static(), one.read
        for turn in range(20):
            use(legacy)
            held += [weakref.ref(thing) for thing in (legacy, legacy.Old, legacy.old, legacy.other, legacy.Failure)]
            if turn % 2:
                del sys.modules["legacy"]
                import legacy
            else:
                importlib.reload(legacy)
        kept(3)
        gc.collect()
        print(sum(one() is not None for one in held))
        """
    names = ("old", "old(mode=)", "other", "coro", "NAME", "Old", "Failure", *(
        "Old." + name for name in ("method", "make", "static", "value", "read", "cached")
    ))
    watched = same_for_the_host(
        World(tmp_path, {"host.py": host, "legacy.py": legacy}, tuple("legacy:" + name for name in names)), engine
    )

    assert by_line(watched)[17] == 1, "what is kept of the first is still watched"
    assert sum(use.count for use in watched.uses() if use.line == 8) == 20 * 4
    assert watched.total("legacy:other") == watched.total("legacy:coro") == watched.total("legacy:NAME") == 20


@NEEDS_C
def test_a_stack_that_is_exhausted_is_the_hosts_story_alone(tmp_path):
    """At first sight of a call site we need more stack than the call does."""
    legacy = """\
        NAME = 1
        def old(): return 1
        class Old:
            def deep(self): return self.deep()
        """
    host = """\
        import sys, traceback
        import legacy
        def story(use):
            def further():
                use()
                further()
            try:
                further()
            except RecursionError as error:
                names = {frame.name for frame in traceback.extract_tb(error.__traceback__)}
                return sorted(names - {"<lambda>"}), error.__context__, error.__cause__
        sys.setrecursionlimit(200)
        print(story(lambda: legacy.old()))
        print(story(lambda: legacy.NAME))
        print(story(legacy.Old().deep))
        """
    targets = "legacy:old", "legacy:NAME", "legacy:Old.deep"
    same_for_the_host(World(tmp_path, {"host.py": host, "legacy.py": legacy}, targets))


@NEEDS_C
def test_a_function_that_calls_itself_goes_as_deep_as_without_the_agent(tmp_path):
    """Before 3.13 each call through a wrapper takes two of the depth that the interpreter allows."""
    world = World(tmp_path, {"legacy.py": """
        def walk(depth): return walk(depth - 1) if depth else 0
        def walk_all(depth): return max([walk_all(one) for one in range(depth - 1, depth)]) if depth else 0
        """, "host.py": """
        import legacy
        print(legacy.walk(900), legacy.walk_all(450))
        """}, ("legacy:walk", "legacy:walk_all"))
    run = world.run("auto")
    assert (run.out, run.err) == ("0 0\n", "")
    assert (run.total("legacy:walk"), run.total("legacy:walk_all")) == (901, 451)


@pytest.mark.skipif(FREES_NOTHING, reason="this build frees no functions")
def test_a_host_that_compiles_code_for_each_request_can_let_go_of_it(tmp_path):
    """Some are kept, so that their call sites have fast entries; there is an end to that."""
    host = """\
        import gc, weakref
        import legacy
        codes = []
        for turn in range(1000):
            names = {"legacy": legacy}
            code = compile(f"def request(): legacy.old({turn}); legacy.Old(); legacy.NAME\\nrequest()", "<template>", "exec")
            exec(code, names)
            codes.append(weakref.ref(names.pop("request").__code__))
        del code, names
        gc.collect()
        print(sum(code() is not None for code in codes) < 200)
        """
    legacy = """\
        NAME = 1
        def old(value): pass
        class Old:
            def __init__(self): pass
        """
    targets = "legacy:old", "legacy:Old", "legacy:NAME"
    watched = same_for_the_host(World(tmp_path, {"host.py": host, "legacy.py": legacy}, targets))

    assert {use.target: (use.line, use.count) for use in watched.uses()} == dict.fromkeys(targets, (1, 1000))


@pytest.mark.parametrize("engine", ENGINES)
def test_ctrl_c_while_a_use_is_recorded_was_raised_during_nothing_of_ours(tmp_path, engine):
    host = """\
        import signal, sys
        import legacy
        def shown(error):
            names = []
            while error is not None:
                names.append(type(error).__name__)
                error = error.__context__
            print(names)
        boot = sys.modules.get("lastcall.bootstrap")
        def arm():
            if boot is not None:
                recorder = boot.life().agent().recorder
                clock = recorder.clock
                def ring():
                    recorder.clock = clock
                    signal.raise_signal(signal.SIGINT)
                recorder.clock = ring
        uses = lambda: legacy.old(), lambda: legacy.Class(), lambda: legacy.Class.method(1), lambda: legacy.NAME
        again = lambda: legacy.old(), lambda: legacy.Class(), lambda: legacy.Class.method(1), lambda: legacy.NAME
        for use, anew in zip(uses, again):
            arm()
            try:
                use()
                boot or signal.raise_signal(signal.SIGINT)
            except BaseException as error:
                shown(error)
            arm()
            try:
                try:
                    1 / 0
                except ArithmeticError:
                    anew()
                    boot or signal.raise_signal(signal.SIGINT)
            except BaseException as error:
                shown(error)
    """
    legacy = """\
        NAME = 1
        def old(): pass
        class Class:
            def __init__(self): pass
            def method(self): pass
    """
    targets = "legacy:old", "legacy:Class", "legacy:Class.method", "legacy:NAME"
    watched = same_for_the_host(World(tmp_path, {"host.py": host, "legacy.py": legacy}, targets), engine)
    assert watched.out.count("['KeyboardInterrupt']") == 4
    assert watched.out.count("['KeyboardInterrupt', 'ZeroDivisionError']") == 4
def test_a_signal_that_the_host_has_blocked_waits_until_the_host_asks_for_it(tmp_path):
    world = World(tmp_path, {"legacy.py": "def old(): pass\n", "host.py": """
        import os, signal
        import legacy, waiting
        legacy.old()
        def blocked(number):
            signal.pthread_sigmask(signal.SIG_BLOCK, {number})
            os.kill(os.getpid(), number)
            return signal.sigpending(), signal.sigwait({number})
        waiting.rounds()  # our thread is up
        print(blocked(signal.SIGTERM))
        pid = os.fork()
        if not pid:
            waiting.rounds()
            os._exit(blocked(signal.SIGUSR1)[1])
        print(os.WEXITSTATUS(os.waitpid(pid, 0)[1]) == signal.SIGUSR1)
        """}, ("legacy:old",))  # fmt: skip
    run = same_for_the_host(world, LASTCALL_FLUSH_INTERVAL="0.05")
    assert run.out == "({<Signals.SIGTERM: 15>}, <Signals.SIGTERM: 15>)\nTrue\n"
    assert run.total("legacy:old") == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_a_property_that_refuses_does_so_in_its_own_words(tmp_path, engine):
    world = World(tmp_path, {
        "legacy.py": """
            class Thing:
                @property
                def value(self):
                    return 1
            """,
        "host.py": """
            import legacy
            thing = legacy.Thing()
            for refused in (lambda: delattr(thing, "value"), lambda: setattr(thing, "value", 1)):
                try:
                    refused()
                except AttributeError as error:
                    print(error)
            print(thing.value)
            """,
    }, ("legacy:Thing.value",))  # fmt: skip
    plain, run = world.run(), world.run(engine)
    assert (run.out, run.err, run.code) == (plain.out, plain.err, plain.code)
    assert run.total("legacy:Thing.value") == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_a_host_that_runs_without_getframe_runs_as_before_and_is_counted(tmp_path, engine):
    host = """\
        import sys, warnings
        import legacy
        warnings.simplefilter("ignore")
        del sys._getframe
        for turn in range(3):
            print(legacy.old(), legacy.Old().method(), legacy.Old().value, legacy.argument(mode=1), legacy.NAME)
            print(legacy.Child(), next(legacy.numbers()), legacy.warns(), legacy.warns_by_name(*"a"))
            try: legacy.made().send(None)
            except StopIteration as end: print(end.value)
        import late
        print(late.old())
        from legacy import NAME
        """
    legacy = """\
        import warnings
        from warnings import warn
        NAME = 1
        def old(): return 1
        def argument(mode=0): return mode
        def numbers(): yield 1
        async def made(): return 1
        class Base:
            def __init__(self): pass
        class Child(Base):
            def __repr__(self): return "child"
        class Old:
            def method(self): return 1
            value = property(lambda self: 1)
        def warns(): warnings.warn("old", DeprecationWarning, stacklevel=2)
        def warns_by_name(*words): warn(*words, DeprecationWarning, stacklevel=2)
        """
    settings = '[discover]\nwarnings = ["DeprecationWarning"]\n'
    names = "old", "argument(mode=)", "numbers", "made", "Child", "Old", "Old.method", "Old.value", "NAME"
    world = World(
        tmp_path,
        {"host.py": host, "legacy.py": legacy, "late.py": "def old(): return 2\n", "lastcall.toml": settings},
        (*("legacy:" + name for name in names), "late:old"),
    )

    watched = same_for_the_host(world, engine)

    counts = {}
    for use in watched.uses():
        counts[use.target] = counts.get(use.target, 0) + use.count
    each = {f"legacy:{name}": 3 for name in (*names, "warns", "warns_by_name")}
    assert counts == {**each, "legacy:Old": 6, "legacy:NAME": 4, "late:old": 1}


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_being_made_is_not_asked_what_it_is(tmp_path, engine):
    """A lazy object says what class it is by making what it stands for, and a metaclass who its subclasses are."""
    world = World(tmp_path, {"legacy.py": """
        class Kind(type):
            def __subclasscheck__(cls, other):
                raise RuntimeError(f"asked about {other}")

        class Old(metaclass=Kind):
            __class__ = property(lambda self: self.is_not_there)

            def __init__(self):
                self.made = True

        class Inherits(Old):
            pass

        class Another(Old):
            pass
        """, "host.py": """
        import legacy
        class Sub(legacy.Old):
            def __init__(self):
                super().__init__()
        class Maker:
            __class__ = property(lambda self: self.is_not_there)
            def __init__(self):
                self.old = legacy.Old()
        for n in range(3):
            print(Maker().old.made, Sub().made, legacy.Inherits().made, legacy.Another().made)
        """}, ("legacy:Old", "legacy:Inherits"))
    plain, run = world.run(), world.run(engine, LASTCALL_DEBUG="1")
    assert (run.out, run.err, run.code) == (plain.out, plain.err, plain.code)
    assert (run.total("legacy:Old"), run.total("legacy:Inherits")) == (12, 3)
    assert run.internal_errors() == {}


@NEEDS_C
@pytest.mark.parametrize("engine", ENGINES)
def test_the_type_of_what_is_watched_is_found_in_sets_and_dictionaries_of_types(tmp_path, engine):
    # pony looks there for what a query's expression is
    world = World(tmp_path, {
        "legacy.py": """
            import functools
            def old(): return 1
            async def later(): return 2
            @functools.lru_cache
            def cached(): return 3
            class Old:
                def method(self): return 4
                @staticmethod
                def static(): return 5
            """,
        "host.py": """
            import binascii, copy, functools, pickle, types, unittest.mock
            import legacy

            SET = {type, types.FunctionType, types.BuiltinFunctionType}
            WHAT = {types.FunctionType: "function", types.MethodType: "method", type(functools.lru_cache(len)): "cached"}

            @functools.singledispatch
            def what(value): return "?"
            @what.register(types.FunctionType)
            def _(value): return "function"

            def plain(): pass

            for f in (legacy.old, legacy.later, legacy.cached, legacy.Old.method, legacy.Old().method, legacy.Old.static,
                      binascii.hexlify):
                kind = type(f)
                print(kind in SET, kind in tuple(SET), WHAT.get(kind), what(f), kind == types.FunctionType,
                      types.FunctionType == kind, kind != types.FunctionType, types.BuiltinFunctionType == kind,
                      kind == object, kind == unittest.mock.ANY, kind == type(plain), kind == type(legacy.later),
                      hash(kind) == hash(types.FunctionType), len({kind, types.FunctionType}), copy.copy(f) == f,
                      kind == kind, kind == "function", kind == None,
                      [isinstance(one, kind) for one in (f, plain, legacy.old, legacy.cached, len, 3, kind)])
            print([pickle._loads(pickle._dumps(f)) is f for f in (legacy.old, legacy.later, legacy.cached)])
            print(legacy.old(), legacy.cached(), binascii.hexlify(b'a'), legacy.Old().method(), legacy.Old.static())
            """,
    }, ("binascii:hexlify", *("legacy:" + name for name in ("old", "later", "cached", "Old.method", "Old.static"))))
    watched = same_for_the_host(world, engine)
    assert watched.total("legacy:old") == watched.total("legacy:Old.static") == watched.total("legacy:cached") == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_the_type_of_a_watched_module_is_found_in_dictionaries_of_types(tmp_path, engine):
    # twisted has modules pickled so
    world = World(tmp_path, {
        "legacy.py": "NAME = 1\nOTHER = 2\n",
        "other.py": "NAME = 1\n",
        "unwatched.py": "NAME = 1\n",
        "host.py": """
            import copy, copyreg, importlib, pickle, types
            import legacy, other, unwatched

            class Own(type(legacy)): pass
            class Further(type(legacy)): pass

            copyreg.pickle(types.ModuleType, lambda module: (importlib.import_module, (module.__name__,)))
            for module in (legacy, other, unwatched):
                for dumps in (pickle.dumps, pickle._dumps):
                    print(pickle.loads(dumps(module)) is module, copy.copy(module) is module)
                kind = type(module)
                print(kind in {types.ModuleType: 1}, kind in [types.ModuleType], kind == types.ModuleType,
                      types.ModuleType != kind, kind == type(legacy), hash(kind) == hash(types.ModuleType),
                      len({type(legacy), kind, types.ModuleType, Own, Further}), kind == Own, Own == kind, Own == Further,
                      Own == Own, kind == None, kind == object, isinstance(module, types.ModuleType), Own in {kind: 1})
            print(legacy.NAME, other.NAME, Own("own").__name__)
            """,
    }, ("legacy:NAME", "legacy:OTHER", "other:NAME"))
    watched = same_for_the_host(world, engine)
    assert watched.total("legacy:NAME") == watched.total("other:NAME") == 1


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("targets", [("_random:Random", "select:epoll", "_json:make_scanner"), ("_random:*", "_random:Random.__new__")])
def test_a_class_in_c_that_takes_another_constructor_makes_objects_as_before(tmp_path, targets, engine):
    """Many extensions have such classes. With another `__new__` in its place C's own refuses every class: atom's tests."""
    world = World(tmp_path, {
        "host.py": """
            import _random, json, random, select
            class Own(_random.Random): pass
            print(_random.Random(3).random(), Own(3).random(), random.Random(3).random(), type(Own(4)).__name__)
            print(select.epoll().closed, json.loads("[1]"), _random.Random.__new__ is _random.Random.__new__)
            """,
    }, targets)
    watched = same_for_the_host(world, engine)
    state, reason, _ = watched.states()["_random:Random"]
    assert (state, "reads of its name are counted" in reason) == ("partial", True)
    assert watched.total("_random:Random") >= 3
