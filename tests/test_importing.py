"""Importing is as it was: order, errors, laziness, other people's hooks; and targets are armed all the same."""

from __future__ import annotations

import importlib
import sys
import threading
import zipfile
from collections import Counter

import pytest

from lastcall import importing
from lastcall.callsite import Pattern
from lastcall.errors import InternalErrors
from lastcall.importing import Wanted
from lastcall.targets import Target
from worlds import ENGINES, World, wrapt_in_c

FREE_THREADED = "t" in sys.abiflags
LEGACY = "def old(value=1):\n    return value + 1\n"


def differing(world: World, engine: str = "auto", **environ: str):
    """Both runs, which must show the same."""
    plain, watched = world.run(**environ), world.run(engine, **environ)
    assert watched.out == plain.out
    assert watched.err == plain.err
    assert watched.code == plain.code
    assert watched.internal_errors() == {}
    return watched


def test_the_order_of_imports_and_the_frames_under_a_modules_code_are_the_same(tmp_path):
    world = World(tmp_path, {
        "pkg/__init__.py": "print('pkg'); from . import first",
        "pkg/first.py": "print('first'); from . import second; print('first done')",
        "pkg/second.py": """
            import sys, traceback, warnings
            print([(f.filename[-12:], f.name) for f in traceback.extract_stack() if "importlib" not in f.filename])
            warnings.warn("at import", DeprecationWarning, stacklevel=2)
            def old(): return 2
            """,
        "host.py": """
            import warnings
            warnings.simplefilter("always")
            import pkg.second, sys
            print([name for name in sys.modules if name.startswith("pkg")])
            print(pkg.second.old())
            """,
    }, ("pkg.second:old", "pkg.first:nothing", "pkg.**:old*"))
    watched = differing(world)
    assert watched.total("pkg.second:old") == 1
    assert watched.states()["pkg.first:nothing"][0] == "missing"


@pytest.mark.parametrize("body", [
    "raise ValueError('broken')", "import does_not_exist", "def broken(:", "raise SystemExit(4)", "1/0",
    "from legacy import not_there", "raise ImportError('no', name='x')", "raise KeyboardInterrupt",
])
def test_an_import_that_fails_fails_as_it_did(tmp_path, body):
    world = World(tmp_path, {
        "legacy.py": f"def old(): return 1\n{body}\n",
        "host.py": """
            import sys, traceback
            for turn in range(2):
                try:
                    import legacy
                except BaseException:
                    traceback.print_exc()
                print("legacy" in sys.modules)
            import legacy
            """,
    }, ("legacy:old",))
    watched = differing(world)
    assert watched.states()["legacy:old"][0] == "pending"


def test_a_module_that_fails_first_and_succeeds_later_is_armed(tmp_path):
    world = World(tmp_path, {
        "legacy.py": "import switch\nif not switch.on:\n    raise RuntimeError('not yet')\ndef old(): return 1\n",
        "switch.py": "on = False",
        "host.py": """
            import switch
            try:
                import legacy
            except RuntimeError as error:
                print(error)
            switch.on = True
            import legacy
            print(legacy.old(), legacy.old())
            """,
    }, ("legacy:old",))
    assert differing(world).total("legacy:old") == 2


@pytest.mark.parametrize("engine", ["auto", "wrapping", "inplace"])
def test_references_captured_in_a_circular_import_are_seen(tmp_path, engine):
    world = World(tmp_path, {
        "legacy.py": "def old(value=1):\n    return value + 1\nclass Old:\n    def __init__(self): pass\nimport caller\n",
        "caller.py": """
            from legacy import old, Old as Renamed
            registry = {"old": old, "list": [old]}
            def default(function=old):
                return function(1)
            def closure():
                captured = old
                return lambda: captured(2)
            made = closure()
            class Holder:
                method = staticmethod(old)
            fixed = (old,)
            """,
        "host.py": """
            import legacy, caller
            print(caller.old is legacy.old, caller.registry["old"] is legacy.old)
            print(caller.old(), caller.registry["old"](), caller.registry["list"][0](), caller.default(), caller.made())
            print(caller.Holder.method(), caller.fixed[0](), caller.Renamed() is not None)
            """,
    }, ("legacy:old", "legacy:Old"))
    watched = differing(world, engine) if engine != "wrapping" else world.run(engine)
    state, reason, _ = watched.states()["legacy:old"]
    assert watched.total("legacy:Old") == 1
    if engine == "wrapping":  # what it cannot re-bind it must name
        assert state == "partial"
        assert "tuple" in reason
        assert watched.total("legacy:old") == 5
    else:
        assert state == "armed"
        assert watched.total("legacy:old") == 7


@pytest.mark.parametrize("engine", ENGINES)
def test_names_that_are_read_in_a_circular_import_are_counted(tmp_path, engine):
    legacy = """
        import enum
        from dataclasses import dataclass
        LIMIT = 3
        TABLE = {"a": 1}
        class Level(enum.Enum):
            LOW = 1
        class Plain: pass
        class Made:
            def __init__(self): pass
        def old(): return 4
        def __getattr__(name):
            if name == "made_here":
                return 5
            raise AttributeError(f"there is no {name}")
        import caller
        LATER = 7
        caller.later()
        Renamed = Made
        """
    caller = """
        from legacy import LIMIT  # 1x LIMIT
        from legacy import TABLE as table, old  # 1x TABLE
        import legacy
        import sys
        limit = legacy.LIMIT  # 1x legacy.LIMIT
        level = legacy.Level.LOW  # 1x legacy.Level
        plain = getattr(legacy, "Plain")()  # 1x Plain
        print(limit, table, level, type(plain), legacy.old(), legacy.Made() is not None)
        print(legacy.made_here)  # 1x legacy.made_here
        print(type(legacy), type(legacy).__mro__[-2:], repr(legacy), sys.modules["legacy"] is legacy)
        for name in ("nowhere", "gone"):
            try:
                getattr(legacy, name)
            except AttributeError as error:
                print(error)
        try:
            from legacy import gone
        except ImportError as error:
            print(error)
        def later():
            for _ in range(3):
                print(legacy.LATER)  # 3x legacy.LATER
                legacy.old(), legacy.Made
        """
    host = """
        import legacy
        print(legacy.LATER)  # 1x legacy.LATER
        print(legacy.Renamed)  # 1x legacy.Renamed
        """
    names = ("LIMIT", "TABLE", "Level", "Plain", "LATER", "made_here", "Renamed")
    world = World(tmp_path, {"legacy.py": legacy, "caller.py": caller, "host.py": host},
                  tuple(f"legacy:{name}" for name in names))
    watched = differing(world, engine)
    seen = [use for use in watched.uses() if use.use == "access"]
    assert sorted((use.file, use.line, use.count) for use in seen) == sorted(
        (mark.file, mark.line, mark.count) for mark in world.marks()
    )
    assert {state for state, _, _ in watched.states().values()} == {"armed", "partial"}  # `Plain` has no constructor


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("wild", [False, True], ids=["named", "wild"])
def test_what_is_called_in_a_circular_import_is_counted(tmp_path, engine, wild):
    """The function is there, its module has yet to run to its end: what is there then may be another one."""
    legacy = """
        import asyncio, enum, functools
        def old(x=1): return x
        def later(x=2): return x
        async def waiting(): return 3
        def each(): yield 4
        class Made:
            def __init__(self, x=0): self.x = x
            def meth(self): return 5
            again = meth
            @classmethod
            def of(cls): return cls(6)  # 3x Made
            @staticmethod
            def plain(): return 7
            @property
            def size(self): return 8
        class Heir(Made): pass
        class Level(enum.Enum): LOW = 1
        kept = Made()
        def first(): return 9
        import caller
        def loud(function):
            @functools.wraps(function)
            def inner(*args, **named):
                return function(*args, **named)
            return inner
        later = loud(later)
        def first(): return 10
        def second(): return 11
        caller.use(True)
        """
    caller = """
        import asyncio
        from legacy import old, later, waiting, each, Made, Heir, kept, first
        def use(twice):
            print(old(), list(map(old, [1, 2])))  # 6x old
            print(later())  # 2x later
            print(asyncio.run(waiting()))  # 2x waiting
            print(list(each()))  # 2x each
            made = Made(1)  # 2x Made
            heir = Heir(2)  # 2x Heir # 2x Made
            print(kept.meth(), type(made).__name__, type(heir).__name__)  # 2x Made.meth
            print(heir.meth(), kept.plain(), Heir.plain())  # 2x Made.meth # 4x Made.plain
            print(kept.size, heir.size)  # 4x Made.size
            print(Made.of().x)  # 2x Made.of
            print(first(), old.__code__.co_name, type(old).__name__, type(Made.__dict__["meth"]).__name__)  # 2x first
            if twice:
                import legacy
                print(legacy.second(), legacy.first())  # 1x second # 1x first
        use(False)
        """
    host = """
        import legacy, caller
        print(legacy.later(), legacy.first(), legacy.second())  # 1x later # 1x first # 1x second
        print(type(legacy.Made()).__name__, legacy.Level(1))  # 1x Made # 1x legacy.Level
        print(type(legacy.Heir()).__name__)  # 1x Heir # 1x Made
        print(legacy.Made.of().size)  # 1x Made.of # 1x Made.size
        """
    names = ("old", "later", "waiting", "each", "Level", "Made", "Heir", "Made.meth", "Made.plain", "Made.of", "Made.size", "first", "second")
    targets = ("leg*:*", "legacy:Made.*") if wild else tuple(f"legacy:{name}" for name in names)
    world = World(tmp_path, {"legacy.py": legacy, "caller.py": caller, "host.py": host}, targets)
    watched = differing(world, engine) if engine != "wrapping" else world.run(engine)
    seen: dict[tuple[str, int, str], int] = {}
    for use in watched.uses():
        where = use.file, use.line, use.target.removeprefix("legacy:")
        seen[where] = seen.get(where, 0) + use.count
    expected = {
        (mark.file, mark.line, mark.expression.removeprefix("legacy.")): mark.count
        for mark in world.marks() if not (sys.version_info < (3, 11) and mark.expression in ("waiting", "each"))
    }
    if sys.version_info < (3, 11):  # there only a wrapper sees the calls of what suspends
        seen = {where: count for where, count in seen.items() if where[2] not in ("waiting", "each")}
    assert {where: count for where, count in seen.items() if where[2] in names} == expected
    states = {watched.states()[f"legacy:{name}"][0] for name in ("later", "second", "Heir", "first")}
    assert states <= ({"armed", "partial"} if FREE_THREADED and engine == "wrapping" else {"armed"})


def test_who_imports_a_module_that_still_runs_uses_it_and_its_names(tmp_path):
    world = World(tmp_path, {
        "pkg/__init__.py": """
            from . import own
            from .first import value
            OLD = 1
            from . import second
            """,
        "pkg/own.py": "",
        "pkg/first.py": "import pkg\nvalue = pkg.__name__\n",
        "pkg/second.py": """
            import importlib
            from . import first, OLD
            import pkg.own
            again = importlib.import_module("pkg")
            print(OLD, pkg.OLD, again.OLD, __import__("pkg").OLD)
            """,
        "host.py": "import pkg\n",
    }, ("pkg", "pkg:OLD"))
    watched = differing(world)
    reads = [(use.file, use.line) for use in watched.uses() if use.target == "pkg:OLD"]
    imports = [(use.file, use.line) for use in watched.uses() if use.target == "pkg"]
    columns = sys.version_info >= (3, 11)  # that tell one call of a line from another
    assert reads == [("pkg/second.py", line) for line in (3, 6, *[6, 6] * columns)]
    lines = [("first.py", 1), ("second.py", 3), ("second.py", 4), *[("second.py", 5)] * columns, ("second.py", 6)]
    assert imports == [("host.py", 1), *((f"pkg/{file}", line) for file, line in lines)]


def test_who_imports_a_module_that_its_package_imports_first_uses_it_too(tmp_path):
    """Once the package is there importlib takes the module from `sys.modules`, and asks it nothing."""
    world = World(tmp_path, {
        "one/__init__.py": "from .legacy import VALUE\n",
        "one/legacy.py": "VALUE = 1\n",
        "two/__init__.py": "from . import inner\n",
        "two/inner/__init__.py": "import two.inner.legacy\n",
        "two/inner/legacy.py": "VALUE = 2\n",
        "three/__init__.py": "def load():\n    from three import legacy\n    return legacy\nload()\n",
        "three/legacy.py": "VALUE = 3\n",
        "caller.py": "from two.inner.legacy import VALUE\n",
        "host.py": """
            import one.legacy as first
            import caller, importlib, one.legacy
            third = importlib.import_module("three.legacy")
            print(first.VALUE, caller.VALUE, third.VALUE)
            """,
    }, ("one.legacy", "two.inner.legacy", "three.legacy"))
    seen = [(use.target, use.file, use.line, use.count) for use in differing(world).uses()]
    assert seen == [
        ("two.inner.legacy", "caller.py", 1, 1),
        *(("one.legacy", "host.py", 2, 1), ("one.legacy", "host.py", 3, 1), ("three.legacy", "host.py", 4, 1)),
        ("one.legacy", "one/__init__.py", 1, 1),
        ("three.legacy", "three/__init__.py", 2, 1),
        ("two.inner.legacy", "two/inner/__init__.py", 1, 1),
    ]


@pytest.mark.parametrize("ending", ["raise ValueError(LIMIT)", "del LIMIT", "def LIMIT(): pass"])
def test_a_module_that_was_watched_while_it_ran_is_a_plain_one_again(tmp_path, ending):
    world = World(tmp_path, {
        "legacy.py": f"LIMIT = 3\nimport caller\n{ending}\n",
        "caller.py": "import legacy, weakref\nknown = weakref.ref(legacy)\nlimit = legacy.LIMIT\ndel legacy\n",
        "host.py": """
            import gc, sys
            try:
                import legacy
                print(type(legacy) is type(sys))
                del legacy
            except ValueError as error:
                print(error)
            gc.collect()
            import caller
            # 3.13 without the GIL never frees a module that was made when a second thread had run, such as ours
            frees = getattr(sys, "_is_gil_enabled", lambda: True)() or sys.version_info >= (3, 14)
            print(caller.known() is None if frees else None, "legacy" in sys.modules)
            """,
    }, ("legacy:LIMIT",))
    watched = differing(world)
    assert ("caller.py", 3, 1) in [(use.file, use.line, use.count) for use in watched.uses()]


def test_a_circle_through_a_module_that_takes_no_other_class_is_as_without_us(tmp_path):
    world = World(tmp_path, {
        "legacy.py": """
            import sys, types
            LIMIT = 3
            class Fixed(types.ModuleType):
                def __setattr__(self, name, value):
                    raise TypeError(name)
            sys.modules[__name__].__class__ = Fixed
            import caller
            """,
        "caller.py": "from legacy import LIMIT\nprint(LIMIT)\n",
        "host.py": "import legacy\nprint(type(legacy), legacy.LIMIT)\n",
    }, ("legacy:LIMIT",))
    plain, watched = world.run(), world.run("auto")
    assert (watched.out, watched.err, watched.code) == (plain.out, plain.err, plain.code)
    assert watched.states()["legacy:LIMIT"][0] == "failed"
    assert "import-hook" not in watched.internal_errors()


def test_lazy_loader_runs_the_module_as_late_as_before(tmp_path):
    world = World(tmp_path, {
        "legacy.py": "print('runs now')\n" + LEGACY,
        "host.py": """
            import importlib.util, sys
            spec = importlib.util.find_spec("legacy")
            spec.loader = importlib.util.LazyLoader(spec.loader)
            module = importlib.util.module_from_spec(spec)
            sys.modules["legacy"] = module
            spec.loader.exec_module(module)
            import waiting
            waiting.rounds()
            print("made", type(module).__name__)
            import legacy
            print("imported")
            print(legacy.old(), type(module).__name__)
            waiting.rounds()
            print(legacy.old(), *(type(one).__name__ for one in (module.__loader__, module.__spec__.loader, spec.loader)))
            """,
    }, ("legacy:old",))
    plain, watched = world.run(), world.run("auto", LASTCALL_FLUSH_INTERVAL="0.05")
    assert (watched.out, watched.err, watched.code) == (plain.out, plain.err, plain.code)
    assert watched.total("legacy:old") == 2
    assert watched.states()["legacy:old"][0] == "armed"


@pytest.mark.skipif(not wrapt_in_c(), reason="wrapt's Python part cannot be imported lazily, with or without us")
@pytest.mark.parametrize("first", ["import importlib.util", "import legacy_finder"])
def test_lazy_loaders_of_a_finder_and_of_a_subclass_are_heard(tmp_path, first):
    """As demandimport does it: a path hook whose loaders are lazy, by a subclass with an `exec_module` of its own."""
    world = World(tmp_path, {
        "legacy_finder.py": "import importlib.util\n",
        "legacy.py": "print('runs now')\n" + LEGACY,
        "broken.py": "1 / 0\n",
        "plain.py": "VALUE = 1\n",
        "host.py": f"""
            {first}
            import importlib.machinery, importlib.util, sys, threading
            class Lazier(importlib.util.LazyLoader):
                def exec_module(self, module):
                    super().exec_module(module)
            machinery = importlib.machinery
            details = (
                (machinery.ExtensionFileLoader, machinery.EXTENSION_SUFFIXES),
                (Lazier.factory(machinery.SourceFileLoader), [".py"]),
            )
            sys.path_hooks.insert(0, machinery.FileFinder.path_hook(*details))
            sys.path_importer_cache.clear()
            import legacy, broken, plain
            print("imported", type(legacy).__name__, plain.VALUE)
            print(legacy.old(), legacy.old(), legacy.__loader__.__class__.__name__)
            try:
                broken.anything
            except ArithmeticError as error:
                print(type(error).__name__, type(broken).__name__)
            lazy = importlib.util.LazyLoader(plain.__loader__)
            print(lazy.loader is plain.__loader__, sorted(vars(lazy)), importlib.util.LazyLoader.__name__)
            del lazy.loader
            print(hasattr(lazy, "loader"))
            try:
                del lazy.loader
            except AttributeError:
                print("gone")
            """,
    }, ("legacy:old", "broken:anything"))
    plain, watched = world.run(), world.run("auto")
    assert (watched.out, watched.err, watched.code) == (plain.out, plain.err, plain.code)
    assert watched.total("legacy:old") == 2


def test_a_module_that_the_program_runs_by_hand_may_have_been_used_before_it_was_found(tmp_path):
    world = World(tmp_path, {
        "legacy.py": LEGACY,
        "host.py": """
            import importlib.util, sys
            spec = importlib.util.find_spec("legacy")
            sys.modules["legacy"] = module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            print(module.old(), module.old())
            """,
    }, ("legacy:old",))
    plain, watched = world.run(), world.run("auto")
    assert (watched.out, watched.err, watched.code) == (plain.out, plain.err, plain.code)
    state, reason, _ = watched.states()["legacy:old"]
    assert (state, "by the program itself" in reason) == ("partial", True)


def test_a_module_run_by_hand_that_is_met_halfway_is_armed_to_its_end(tmp_path):
    """pytest's `--import-mode=importlib` and loaders of plugins run modules so."""
    met = "import waiting\nwaiting.rounds()\n"
    deprecated = "def deprecated(f):\n    f.__deprecated__ = 'gone soon'\n    return f\n"
    world = World(tmp_path, {
        "plugin.py": LEGACY + met + "LIMIT = 3\ndef old_too(*a): return a\nclass Old:\n    def method(self): return 1\n",
        "marked.py": deprecated + met + "@deprecated\ndef gone(): return 2\n",
        "host.py": """
            import importlib.util, sys, waiting
            for name in ("plugin", "marked"):
                spec = importlib.util.find_spec(name)
                sys.modules[name] = module = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(module)
            waiting.rounds()
            plugin = sys.modules["plugin"]
            print(plugin.old(), plugin.old_too(), plugin.Old().method(), plugin.LIMIT, module.gone())
            """,
    }, ("plugin:*", "plugin:*.*", "plugin:LIMIT"))
    plain = world.run()
    watched = world.run("auto", LASTCALL_FLUSH_INTERVAL="0.05", LASTCALL_DISCOVER_PEP702="marked")
    assert (watched.out, watched.err, watched.code) == (plain.out, plain.err, plain.code)
    for ref in ("plugin:old", "plugin:old_too", "plugin:Old.method", "plugin:LIMIT", "marked:gone"):
        assert watched.total(ref) == 1, ref


def test_reload_counts_once_and_keeps_what_the_host_sees(tmp_path):
    world = World(tmp_path, {
        "legacy.py": "import sys\nprint('runs')\n" + LEGACY + "class Old:\n    def __init__(self): self.a = 1\n    def m(self): return 2\n",
        "host.py": """
            import importlib, legacy
            before = legacy.old
            print(legacy.old(1), legacy.Old().m())
            again = importlib.reload(legacy)
            print(again is legacy, legacy.old is before)
            print(legacy.old(2), legacy.Old().m())
            print(before(3))
            importlib.reload(legacy)
            print(legacy.old(2), legacy.Old().m())
            """,
    }, ("legacy:old", "legacy:Old", "legacy:Old.m", "legacy:o*"))
    for engine in ("auto", "wrapping", "inplace"):
        watched = differing(world, engine)
        assert watched.total("legacy:old") == 4
        assert watched.total("legacy:Old") == 3
        assert watched.total("legacy:Old.m") == 3


def test_modules_imported_before_the_agent_are_armed(tmp_path):
    world = World(tmp_path, {
        "legacy.py": LEGACY + "VALUE = 1\nasync def later(): return 3\n",
        "host.py": """
            import legacy
            from legacy import old, later
            print(old(1))
            import os, sys
            if os.environ.get("LASTCALL_STORE"):
                import lastcall
                lastcall.start(targets=["legacy:old", "legacy:VALUE", "legacy:later"])
            import asyncio
            print(old(2), legacy.old(3), legacy.VALUE, asyncio.run(later()), later is legacy.later)
            """,
    })
    plain = world.run()
    watched = world.run("auto", LASTCALL_ENABLED="0", PYTHONPATH=f"{tmp_path}:{world.environment(None)['PYTHONPATH']}/agent")
    assert (watched.out, watched.err) == (plain.out, plain.err)
    assert watched.total("legacy:old") == 2
    assert watched.total("legacy:later") == 1
    assert watched.states()["legacy:VALUE"][0] == "partial"


def test_another_hook_that_goes_first_does_not_hide_modules(tmp_path):
    world = World(tmp_path, {
        "legacy.py": LEGACY,
        "host.py": """
            import importlib.machinery, sys

            class Rewriting:
                @classmethod
                def find_spec(cls, name, path=None, target=None):
                    if name == "legacy":
                        return importlib.machinery.PathFinder.find_spec(name, path, target)

            sys.meta_path.insert(0, Rewriting)
            import legacy
            print(legacy.old())
            """,
    }, ("legacy:old",))
    watched = world.run("auto", LASTCALL_FLUSH_INTERVAL="0.05")
    assert watched.err == ""
    assert watched.states()["legacy:old"][0] in ("armed", "partial")


def test_who_put_a_finder_first_finds_it_there_again_and_its_modules_are_armed(tmp_path):
    # pyfakefs takes its finder away with `sys.meta_path.pop(0)`
    world = World(tmp_path, {
        "legacy.py": LEGACY + "class Old:\n    def m(self): return 1\n",
        "other.py": LEGACY,
        "host.py": """
            import importlib, importlib.machinery, importlib.util, sys, warnings

            class Own:
                asked = []
                @classmethod
                def find_spec(cls, name, path=None, target=None):
                    if name in ("legacy", "colorsys"):
                        cls.asked.append(name)
                    if name == "legacy":
                        return importlib.machinery.PathFinder.find_spec(name, path, target)

            names = [getattr(finder, "__name__", "") for finder in sys.meta_path]
            print(names[-3:])
            for turn in range(3):
                sys.meta_path.insert(0, Own)
                sys.modules.pop("colorsys", None)
                import colorsys
                sys.modules.pop("legacy", None)
                import legacy
                print(legacy.old(turn), legacy.Old().m(), type(legacy.__spec__), vars(legacy.__spec__)["_initializing"])
                importlib.reload(legacy)
                print(legacy.old(turn), sys.meta_path[0] is Own, Own.asked)
                assert sys.meta_path.pop(0) is Own
            names = [getattr(finder, "__name__", "") for finder in sys.meta_path]
            print(names[-3:], Own in sys.meta_path)
            import other
            print(other.old(1))
            """,
    }, ("legacy:old", "legacy:Old.m", "other:old"))
    for engine in ("auto", "wrapping", "inplace"):
        watched = differing(world, engine)
        assert watched.total("legacy:old") == 6
        assert watched.total("legacy:Old.m") == 3
        assert watched.total("other:old") == 1
        # free-threaded builds do not tell who holds a function
        states = ("armed", "partial") if FREE_THREADED and engine == "wrapping" else ("armed",)
        assert watched.states()["legacy:old"][0] in states


def test_no_frame_of_ours_lies_under_a_module_that_a_finder_before_ours_has_found(tmp_path):
    world = World(tmp_path, {
        "legacy.py": """
            import sys, warnings
            warnings.warn("old module", DeprecationWarning, stacklevel=2)
            frame, names = sys._getframe(), []
            while frame is not None:
                names.append((frame.f_code.co_name, frame.f_code.co_filename.rpartition("/")[2]))
                frame = frame.f_back
            print(names)
            def old(): return 1
            """,
        "broken.py": "def old(): pass\n1 / 0\n",
        "host.py": """
            import importlib.machinery, sys, traceback, warnings
            warnings.simplefilter("always")

            class Own:
                @classmethod
                def find_spec(cls, name, path=None, target=None):
                    if name in ("legacy", "broken"):
                        return importlib.machinery.PathFinder.find_spec(name, path, target)

            sys.meta_path.insert(0, Own)
            import colorsys
            import legacy
            print(legacy.old())
            try:
                import broken
            except ZeroDivisionError:
                traceback.print_exc()
            print("broken" in sys.modules)
            """,
    }, ("legacy:old", "broken:old"))
    assert differing(world).total("legacy:old") == 1


def test_under_pytest_the_modules_that_it_rewrites_are_armed(tmp_path):
    world = World(tmp_path, {
        "legacy.py": LEGACY,
        "test_it.py": "import legacy\ndef test_old():\n    assert legacy.old(1) == 2\n    assert legacy.old(2) == 3\n",
        "test_target.py": "def helper():\n    return 5\ndef test_helper():\n    assert helper() == 5\n",
        "host.py": "import sys, pytest\nsys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', '--no-header']))\n",
    }, ("legacy:old", "test_target:helper"))
    watched = world.run("auto")
    assert watched.code == 0, watched.out
    assert watched.total("legacy:old") == 2
    assert watched.total("test_target:helper") == 1
    with_flags = [use for use in watched.uses() if use.target == "legacy:old"]
    assert {use.function for use in with_flags} == {"test_old"}


def test_namespace_packages_zip_files_and_replaced_modules(tmp_path):
    world = World(tmp_path, {
        "space/inner/legacy.py": LEGACY,
        "replaces.py": """
            import sys, types
            def old(): return "module"
            class Facade(types.ModuleType):
                def old(self): return "facade"
            sys.modules[__name__] = Facade(__name__)
            """,
        "host.py": """
            import sys
            sys.path.insert(0, "archive.zip")
            import space.inner.legacy, zipped, replaces
            print(space.inner.legacy.old(), zipped.old(), replaces.old(), type(replaces).__name__)
            print(type(space).__name__, space.__path__.__class__.__name__, zipped.__file__[-20:])
            """,
    }, ("space.inner.legacy:old", "zipped:old", "replaces:old"))
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("zipped.py", LEGACY)
    watched = differing(world)
    assert watched.total("space.inner.legacy:old") == 1
    assert watched.total("zipped:old") == 1
    assert watched.states()["replaces:old"][0] == "missing"


def test_a_module_with_getattr_and_a_subclassed_module_type_keep_their_ways(tmp_path):
    world = World(tmp_path, {
        "legacy.py": """
            import sys, types
            VALUE = 1
            class Own(types.ModuleType):
                @property
                def computed(self): return "computed"
                def __getattr__(self, name):
                    if name == "dynamic": return "dynamic"
                    raise AttributeError(f"own {name}")
                def __dir__(self): return ["own"]
            sys.modules[__name__].__class__ = Own
            """,
        "host.py": """
            import legacy
            print(legacy.VALUE, legacy.computed, legacy.dynamic, dir(legacy), type(legacy).__name__)
            try:
                legacy.nothing
            except AttributeError as error:
                print(error)
            try:
                legacy.computed = 2
            except AttributeError as error:
                print(error)
            """,
    }, ("legacy:VALUE", "legacy:dynamic", "legacy:computed"))
    watched = differing(world)
    assert watched.total("legacy:VALUE") == 1


@pytest.mark.skipif(FREE_THREADED and sys.version_info < (3, 14), reason="importlib itself fails in 5 of 210 such runs")
def test_imports_in_many_threads_at_once(tmp_path):
    files = {f"pkg/m{n}.py": f"import time\ntime.sleep(0.002)\nfrom pkg import m{(n + 1) % 20}\ndef old():\n    return {n}\n" for n in range(20)}
    world = World(tmp_path, {
        "pkg/__init__.py": "", **files,
        "host.py": """
            import importlib, threading
            modules = {}
            barrier = threading.Barrier(20)
            def work(n):
                barrier.wait()
                modules[n] = importlib.import_module(f"pkg.m{n}")
            threads = [threading.Thread(target=work, args=(n,)) for n in range(20)]
            [t.start() for t in threads]
            [t.join() for t in threads]
            print(sum(m.old() for m in modules.values()))
            """,
    }, ("pkg.**:old",))
    watched = differing(world)
    states = {ref: state for ref, (state, _, _) in watched.states().items() if "*" not in ref}
    assert states == {f"pkg.m{n}:old": "armed" for n in range(20)}
    assert sum(use.count for use in watched.uses()) == 20


def test_importlib_tools_see_ordinary_specs(tmp_path):
    world = World(tmp_path, {
        "legacy.py": LEGACY,
        "host.py": """
            import importlib, importlib.util, inspect, pickle, copy, runpy, pkgutil, sys
            spec = importlib.util.find_spec("legacy")
            print(type(spec).__name__, type(spec).__module__, spec.name, spec.loader.__class__.__name__, sorted(vars(spec)))
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            print(module.old(), "legacy" in sys.modules)
            import legacy
            print(type(legacy.__spec__).__name__, type(legacy.__spec__) is importlib.machinery.ModuleSpec, sorted(vars(legacy.__spec__)), legacy.__spec__ == spec)
            print(repr(legacy.__spec__) == repr(spec), legacy.__loader__ is legacy.__spec__.loader, type(legacy.__loader__).__name__)
            print(inspect.getsource(legacy), pkgutil.get_loader("legacy") is not None if sys.version_info < (3, 12) else 1)
            print(runpy.run_module("legacy")["old"](4), runpy.run_path("legacy.py")["old"](5))
            print([m.name for m in pkgutil.iter_modules(["."])])
            importlib.invalidate_caches()
            print(importlib.util.resolve_name(".x", "pkg"))
            """,
    }, ("legacy:old",))
    plain, watched = world.run(), world.run("auto")
    assert (watched.out, watched.err, watched.code) == (plain.out, plain.err, plain.code)


def test_builtin_and_frozen_modules_can_be_targets(tmp_path):
    world = World(tmp_path, {
        "host.py": """
            import __hello__, pwd, zlib
            print(zlib.crc32(b"abc"), zlib.crc32 is zlib.crc32, pwd.getpwuid(0).pw_uid)
            __hello__.main() if hasattr(__hello__, "main") else print("Hello world!")
            """,
    }, ("zlib:crc32", "__hello__:main", "pwd:getpwuid"))
    watched = differing(world)
    assert watched.total("zlib:crc32") == watched.total("pwd:getpwuid") == 1
    if sys.version_info >= (3, 11):
        assert watched.total("__hello__:main") == 1


def test_main_is_a_target_too(tmp_path):
    world = World(tmp_path, {
        "host.py": """
            def old():
                return 1
            def caller():
                return old()
            print(caller(), old())
            """,
    }, ("__main__:old",))
    differing(world)


def test_our_thread_never_becomes_the_main_thread_of_a_host_that_had_not_imported_threading(tmp_path):
    world = World(tmp_path, {
        "legacy.py": LEGACY,
        "host.py": """
            import sys
            import legacy, waiting
            legacy.old()
            waiting.rounds()  # a fork waits a second for our thread, which may be less than its first step takes
            import threading
            print(threading.current_thread() is threading.main_thread(), threading.main_thread().name)
            print(threading.active_count(), [t.name for t in threading.enumerate()], threading.main_thread().is_alive())
            thread = threading.Thread(target=lambda: print(threading.current_thread().name, threading.main_thread() is threading.current_thread()))
            thread.start(); thread.join()
            import asyncio, os, signal
            signal.signal(signal.SIGUSR1, lambda *a: print("signal"))
            os.kill(os.getpid(), signal.SIGUSR1)
            async def child():
                process = await asyncio.create_subprocess_exec(sys.executable, "-c", "print(1)")
                return await process.wait()
            print(asyncio.run(child()))
            print(threading.main_thread().native_id == os.getpid(), threading.main_thread().ident == threading.get_ident())
            pid = os.fork()
            if pid == 0:
                print("child", threading.current_thread() is threading.main_thread(), threading.active_count())
                sys.stdout.flush()
                sys.exit(0)
            print(os.waitpid(pid, 0)[1])
            """,
    }, ("legacy:old",))
    differing(world, LASTCALL_FLUSH_INTERVAL="0.05")


def test_one_look_at_all_modules_finds_what_each_look_finds():
    """Names of no interest are told by one comparison of sets, unless a wildcard or a package is wanted."""
    names = ["a", "a.b", "c", "d.e"]
    for refs, wanted in (
        ([], False), (["x:y"], False), (["a.b:y"], True), (["d.*:y"], True), (["q.**:y"], False), (["d:y", "q.*:z"], False),
    ):
        wants = Wanted([Target(ref) for ref in refs])
        assert wants.any_of(names) is wanted is any(wants(name) for name in names)
    wants = Wanted([])
    wants.also([Pattern("c.**")])
    assert wants.any_of(names)
    wants = Wanted([])
    wants.also_exactly("c", lambda _module: None)
    assert wants.any_of(names)


@pytest.mark.skipif(sys.version_info < (3, 15), reason="lazy import statements came with 3.15")
@pytest.mark.parametrize("all_lazy", ["", "all"])
def test_lazy_imports_stay_lazy_and_give_what_they_name(tmp_path, all_lazy):
    """A watched module's attributes are looked up in another way, which must load what is still to be loaded."""
    world = World(tmp_path, {
        "legacy.py": """
            import warnings
            lazy import json as later
            lazy from math import sqrt
            lazy import never
            lazy from other import again
            VALUE = 1
            def old():
                warnings.warn("old() is deprecated", DeprecationWarning, stacklevel=2)
            """,
        "other.py": "again = 2\n",
        "never.py": "print('never')\n",
        "host.py": """
            import sys
            lazy import legacy
            lazy from legacy import old
            print("legacy" in sys.modules)
            old()
            print(legacy.VALUE, legacy.later.dumps([1]), legacy.sqrt(4), "never" in sys.modules)
            from legacy import again
            print(again, hasattr(legacy, "nothing"))
            """,
    }, ("legacy:old", "legacy:VALUE", "legacy:again", "never"))
    settings = {"PYTHON_LAZY_IMPORTS": all_lazy} if all_lazy else {}
    watched = differing(world, LASTCALL_DISCOVER_WARNINGS="DeprecationWarning", **settings)
    uses = sorted((use.target, use.line, use.count) for use in watched.uses())
    assert uses == [("legacy:VALUE", 7, 1), ("legacy:again", 9 if all_lazy else 8, 1), ("legacy:old", 6, 1)]


@pytest.mark.parametrize("engine", ENGINES)
def test_threads_that_import_a_module_at_once_use_it_when_it_is_armed(tmp_path, engine):
    """Its code has run by then, but not its import: who comes meanwhile waits for that, as for the code."""
    world = World(tmp_path, {"legacy.py": "VALUE = 1\ndef old(value=1):\n    return value + 1\n", "host.py": """
        import sys, threading
        sys.setswitchinterval(1e-6)
        def work():
            import legacy
            for _ in range(5):
                legacy.old(legacy.VALUE)
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        """}, ("legacy:old", "legacy:VALUE"))
    run = world.run(engine)
    assert (run.out, run.err, run.internal_errors()) == ("", "", {})
    assert (run.total("legacy:old"), run.total("legacy:VALUE")) == (20, 20)


def test_nobody_waits_for_a_module_that_is_armed_by_a_thread_of_the_parent_process(tmp_path, monkeypatch):
    (tmp_path / "armed_slowly.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    seen = []

    def loaded(module):
        def ask():
            seen.append(module.__spec__._initializing)

        for process in (importing.getpid(), -1):
            with monkeypatch.context() as child:
                child.setattr(importing, "getpid", lambda: process)
                thread = threading.Thread(target=ask)
                thread.start()
                thread.join()
        ask()

    finder = importing.Finder(Wanted([Target("armed_slowly:old")]), loaded, InternalErrors())
    finder.install()
    try:
        module = importlib.import_module("armed_slowly")
    finally:
        finder.remove()
        del sys.modules["armed_slowly"]
    assert seen == [True, False, False]
    assert module.__spec__._initializing is False


@pytest.mark.skipif(sys.version_info < (3, 15), reason="lazy import statements came with 3.15")
@pytest.mark.parametrize("all_lazy", ["", "all"])
def test_what_is_imported_lazily_is_counted_where_python_imports_it_and_blames_nobody_else(tmp_path, all_lazy):
    """Past a module's descriptors goes who takes a name out of one that is loaded; several times asks who loads one."""
    world = World(tmp_path, {
        "pkg/__init__.py": "",
        "pkg/old.py": "X = 1\n",
        "top.py": "X = 1\nY = [1]\n",
        "legacy.py": """
            lazy import warns
            lazy import gone
            VALUE = 1
            """,
        "warns.py": """
            import warnings
            warnings.warn("warns is deprecated", DeprecationWarning, stacklevel=2)
            """,
        "first.py": """
            lazy import top
            lazy import pkg.old
            def use():
                return top, pkg
            """,
        "host.py": """
            import traceback, warnings
            warnings.simplefilter("always")
            import legacy, first
            legacy.warns
            try:
                legacy.gone
            except ImportError:
                traceback.print_exc()
            first.use()
            lazy import top as t
            lazy from top import X, Y as why
            lazy from pkg import old
            lazy import pkg.old as same
            lazy import pkg.old
            def read():
                return t, X, why, old, same, pkg, t.X, t.__spec__, pkg.old
            for _ in range(3):
                read()
            try:
                from top import nothing
            except ImportError as error:
                print(error)
            """,
    }, ("top", "top:X", "top:Y", "pkg.old", "legacy:VALUE"))  # fmt: skip
    watched = differing(world, **({"PYTHON_LAZY_IMPORTS": all_lazy} if all_lazy else {}))
    uses = Counter()
    for use in watched.uses():
        uses[use.target, use.file, use.line] += use.count
    assert uses == {
        ("top", "first.py", 5): 1,
        # of a module that is loaded; `old` is not, since `lazy import pkg.old` loads it with the read of `old`
        ("top", "host.py", 12): 2, ("top:X", "host.py", 12): 1, ("top:Y", "host.py", 12): 1,
        # where it is first read
        ("top", "host.py", 17): 1, ("top:X", "host.py", 17): 3, ("pkg.old", "host.py", 17): 3,
        ("top", "host.py", 21): 1,
    }  # fmt: skip
