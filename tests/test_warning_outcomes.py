"""A warning that comes to nothing is not given, and nobody can tell: random changes of filters between random warnings.

A program that nobody wrote: hypothesis draws changes of everything that `warnings.warn` looks at, in between calls that
warn often enough to be left out. With the agent and without it, what is shown, recorded and raised must be the same.
"""

from __future__ import annotations

import difflib
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import strategies as st

from lastcall.engines.wrapping import IN_C
from worlds import World

DISCOVER = '[discover]\nwarnings = ["DeprecationWarning", "PendingDeprecationWarning", "FutureWarning"]\n'
IS_DONE_HERE = sys.version_info < (3, 15) and sys.implementation.name == "cpython" and IN_C

LIBRARY = """
    import functools
    import warnings
    from warnings import warn
    from typing_extensions import deprecated

    WORDS = "words of the module's"
    CATEGORY = DeprecationWarning

    def literal():
        warnings.warn("literal() is deprecated", DeprecationWarning, stacklevel=2)

    def pending():
        warnings.warn("pending() is deprecated", PendingDeprecationWarning, 2)

    def future():
        warnings.warn("future() is deprecated", category=FutureWarning, stacklevel=2)

    def own_line():
        warnings.warn("own_line() is deprecated", DeprecationWarning)

    def variable(message="variable() is deprecated"):
        warnings.warn(message, DeprecationWarning, stacklevel=2)

    def constant():
        warnings.warn(WORDS, CATEGORY, stacklevel=2)

    def helped():
        helper()

    def helper():
        warnings.warn("helped() is deprecated", CATEGORY, stacklevel=3)

    @deprecated("marked() is deprecated")
    def marked():
        pass

    def wrapped(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            warnings.warn("wrapped() is deprecated", DeprecationWarning, stacklevel=2)
            return function(*args, **kwargs)
        return wrapper

    @wrapped
    def decorated():
        pass

    def filled(name="filled"):
        warnings.warn(f"{name}() is deprecated", DeprecationWarning, stacklevel=2)

    def by_name():
        warn("by_name() is deprecated", DeprecationWarning, stacklevel=2)

    def by_name_of_itself():
        warn("by_name_of_itself() is deprecated", DeprecationWarning)

    def two_lines():
        (warnings
            .warn("two_lines() is deprecated", DeprecationWarning))

    def answered():
        return warnings.warn("answered() is deprecated", DeprecationWarning, stacklevel=2)
"""
MAPPED = """
    for _ in range(30):
        warnings.warn(words, DeprecationWarning)
"""
FUNCTIONS = ("literal", "pending", "future", "own_line", "variable", "constant", "helped", "marked", "decorated",
             "filled", "answered", "two_lines", "by_name", "by_name_of_itself")
CALLERS = """
    import library
    {}

    def filled_with(values):
        for value in values:
            library.filled(value)
""".format("".join(f"""
    def {name}(times):
        for number in range(times):
            try:
                result = library.{name}()
            except Exception as error:
                print("raised", type(error).__name__, error)
            else:
                if result is not None:
                    print("result", result)
""" for name in FUNCTIONS))

HOST = """
    import builtins, json, re, sys, threading, types, warnings
    library = sys.modules["library"] = types.ModuleType("library")
    library.__file__ = "library.py"
    library_code = compile(open("library.py").read(), library.__file__, "exec")
    exec(library_code, vars(library))
    import callers

    def show(message, category, filename, lineno, file=None, line=None):
        print("shown", category.__name__, message, filename.rpartition("/")[2], lineno)

    warnings.showwarning = show
    code = compile("for _ in range(times): getattr(library, name)()", "executed", "exec")
    real_warn, real_filters = warnings.warn, warnings.filters
    other = types.ModuleType("other")
    open_blocks = []

    def again(times):
        getattr(callers, name)(times)

    def profiled(times):
        seen = []
        def profile(frame, event, arg):
            if event == "c_call" and frame.f_code.co_filename.endswith("library.py"):
                seen.append(arg.__name__)
        sys.setprofile(profile)
        try:
            again(times)
        finally:
            sys.setprofile(None)
        print("profiled", {*seen} - {"warn"})  # the first goes through a wrapper, which is no C function

    def in_thread(times):
        thread = threading.Thread(target=again, args=(times,))
        thread.start()
        thread.join()

    def executed(times):
        for module in "callers", "executed":
            names = {"library": library, "times": times, "name": name, "__name__": module}
            exec(code, names)
            print("registry" if "__warningregistry__" in names else "no registry")

    def library_again(kind, times):
        names = {"__name__": "library", "DeprecationWarning": KINDS[kind]}
        exec(library_code, names)
        kept, callers.library = callers.library, types.SimpleNamespace(**names)
        again(times)
        callers.library = kept

    def enter(record):
        block = warnings.catch_warnings(record=record)
        open_blocks.append((block, block.__enter__()))

    def leave():
        if open_blocks:
            block, log = open_blocks.pop()
            block.__exit__(None, None, None)
            if log is not None:
                print("recorded", [(item.category.__name__, str(item.message), item.lineno) for item in log])

    def same_again():
        warnings.filters[:] = [tuple(list(item)) for item in warnings.filters]

    def registry(what):
        names = vars(callers)
        if what == "gone":
            names.pop("__warningregistry__", None)
        elif what == "cleared":
            names.setdefault("__warningregistry__", {}).clear()
        elif what == "new":
            names["__warningregistry__"] = {}
        elif what == "copy":
            names["__warningregistry__"] = dict(names.get("__warningregistry__", {}))
        elif what == "stale":
            names.setdefault("__warningregistry__", {})["version"] = -1
        else:
            names["__warningregistry__"] = what

    def stand_in(kind):
        if kind == "own":
            other.filters = [("always", None, Warning, None, 0)]
            other.defaultaction, other.onceregistry, other._showwarnmsg = "default", {}, None
            del other._showwarnmsg
            sys.modules["warnings"] = other
        else:
            sys.modules["warnings"] = warnings

    class Meta(type):
        def __subclasscheck__(cls, kind):
            print("asked about", kind.__name__)
            return True
    Odd = Meta("Odd", (Warning,), {})

    class Text(str):
        def __hash__(self):  # C does so as well, but not if the registry is emptied, which may be late
            if "lastcall" in sys._getframe(1).f_code.co_filename:
                print("hashed")
            return super().__hash__()

    class Formatted:
        def __format__(self, spec):
            warnings.filters.insert(0, ("always", None, Warning, None, 0))
            return "formatted"

    def changed(how):
        module = sys.modules["_warnings"] if how == "in C" else warnings
        name = "_filters_mutated_lock_held" if sys.version_info >= (3, 14) else "_filters_mutated"
        with getattr(warnings, "_lock", threading.Lock()):
            getattr(module, name)()

    def second_module():
        from importlib import import_module
        kept = {name: sys.modules.pop(name) for name in ("warnings", "_warnings", "_py_warnings") if name in sys.modules}
        second = import_module("warnings")
        sys.modules.update(kept)
        again(7)
        second.resetwarnings()

    def builtin(name, value):
        kept = getattr(builtins, name)
        setattr(builtins, name, value)
        again(3)
        setattr(builtins, name, kept)

    def hidden(value):
        library.DeprecationWarning = value
        again(3)
        del library.DeprecationWarning

    class Changing(dict):
        def __missing__(self, name):
            if name == "words":
                self["times"] = self.get("times", 0) + 1
                warnings.filters.insert(0, ("always" if self["times"] > 20 else "ignore", None, Warning, None, 0))
                return name
            raise KeyError(name)

    mapped = types.ModuleType("mapped")
    mapped.warnings, mapped.__file__ = warnings, "mapped.py"
    mapped_code = compile(open("mapped.py").read(), "mapped.py", "exec")

    KINDS = {kind.__name__: kind for kind in (
        Warning, DeprecationWarning, PendingDeprecationWarning, FutureWarning, UserWarning)}

    def do(what, *given):
        if what == "call":
            again(given[0])
        elif what == "thread":
            in_thread(*given)
        elif what == "profile":
            profiled(*given)
        elif what == "executed":
            executed(*given)
        elif what == "library again":
            library_again(*given)
        elif what == "simple":
            warnings.simplefilter(given[0], KINDS[given[1]], given[2], given[3])
        elif what == "filter":
            warnings.filterwarnings(given[0], given[1], KINDS[given[2]], given[3], given[4], given[5])
        elif what == "odd":
            warnings.filters.insert(0, (given[0], None, Odd, None, 0))
        elif what == "insert":
            warnings.filters.insert(given[0], (given[1], None, KINDS[given[2]], None, 0))
        elif what == "put":
            if warnings.filters:
                warnings.filters[given[0] % len(warnings.filters)] = (given[1], None, KINDS[given[2]], None, 0)
        elif what == "pop":
            if warnings.filters:
                warnings.filters.pop(given[0] % len(warnings.filters))
        elif what == "reset":
            warnings.resetwarnings()
        elif what == "same again":
            same_again()
        elif what == "copied":
            warnings.filters = warnings.filters[:]
        elif what == "by the dictionary":
            vars(warnings)["filters"] = [(given[0], None, KINDS[given[1]], None, 0)]
        elif what == "no list":
            kept, warnings.filters = warnings.filters, tuple(warnings.filters)
            again(3)
            warnings.filters = kept
        elif what == "default action":
            warnings.defaultaction = given[0]
        elif what == "enter":
            enter(*given)
        elif what == "leave":
            leave()
        elif what == "registry":
            registry(*given)
        elif what == "name":
            vars(callers)["__name__"] = given[0]
        elif what == "category":
            library.CATEGORY = KINDS[given[0]]
            again(3)
            library.CATEGORY = DeprecationWarning
        elif what == "hidden":
            hidden(KINDS[given[0]])
        elif what == "builtin":
            builtin("DeprecationWarning", KINDS[given[0]])
        elif what == "words":
            library.WORDS = given[0] if given[1] else Text(given[0])
        elif what == "text":
            for _ in range(6):
                library.variable(Text("odd text"))
        elif what == "formatted":
            callers.filled_with(["plain"] * 30 + [Formatted()] + ["plain"] * 3)
        elif what == "changed":
            changed(*given)
        elif what == "second module":
            second_module()
        elif what == "shown key":
            names = vars(callers).get("__warningregistry__") or {}
            for key in [key for key in names if key != "version"]:
                names[key] = given[0]
                if given[0] is None:
                    del names[key]
        elif what == "mapped":
            exec(mapped_code, vars(mapped), Changing())
        elif what == "stand-in":
            stand_in(*given)
            again(3)
            stand_in("warnings'")
        elif what == "replaced":
            kept = warnings.warn
            warnings.warn = lambda *args, **kwargs: print("instead", args)
            again(2)
            warnings.warn = kept

    def compiled_anew():  # nothing is known of new code; what changed too often is not judged any more
        global library_code
        library_code = compile(open("library.py").read(), "library.py", "exec")
        exec(library_code, vars(library))
        exec(compile(open("callers.py").read(), "callers.py", "exec"), vars(callers))

    for name, script in json.load(open("scripts.json")):
        print("script", name)
        compiled_anew()
        with warnings.catch_warnings():
            for step in script:
                print(step)
                try:
                    do(*step)
                except Exception as error:
                    print("failed", type(error).__name__, error)
            while open_blocks:
                leave()
        vars(callers)["__name__"] = "callers"
        vars(callers).pop("__warningregistry__", None)
        library.WORDS, warnings.defaultaction = "words of the module's", "default"
        warnings.filters = real_filters
"""

ACTIONS = st.sampled_from(["ignore", "ignore", "ignore", "default", "error", "always", "module", "once"])
SHOWN = st.sampled_from(["default", "default", "module", "once"])
KINDS = st.sampled_from(["Warning", "DeprecationWarning", "DeprecationWarning", "PendingDeprecationWarning",
                         "FutureWarning", "UserWarning"])
WORDS = st.sampled_from(["", "literal", "nothing like it", ".*deprecated", "words"])
MODULES = st.sampled_from(["", "", "callers", "library", "nowhere"])
TIMES = st.sampled_from([2, 7, 30])
CALLS = st.tuples(st.just("call"), TIMES)
CHANGES = st.one_of(
    st.tuples(st.sampled_from(["thread", "profile", "executed"]), TIMES),
    st.tuples(st.just("library again"), KINDS, TIMES),
    st.tuples(st.just("simple"), ACTIONS, KINDS, st.sampled_from([0, 0, 5]), st.booleans()),
    st.tuples(st.just("filter"), ACTIONS, WORDS, KINDS, MODULES, st.sampled_from([0, 0, 7]), st.booleans()),
    st.tuples(st.sampled_from(["insert", "put", "put"]), st.integers(0, 3), ACTIONS, KINDS),
    st.tuples(st.just("odd"), ACTIONS),
    st.tuples(st.just("pop"), st.integers(0, 3)),
    st.tuples(st.sampled_from(["reset", "same again", "copied", "no list", "leave", "text", "replaced"])),
    st.tuples(st.just("by the dictionary"), ACTIONS, KINDS),
    st.tuples(st.just("default action"), ACTIONS),
    st.tuples(st.just("enter"), st.booleans()),
    st.tuples(st.just("registry"), st.sampled_from(["gone", "cleared", "new", "copy", "stale", None, 3])),
    st.tuples(st.just("name"), st.sampled_from(["callers", "renamed", "nowhere", 3, None])),
    st.tuples(st.sampled_from(["category", "hidden", "builtin"]), KINDS),
    st.tuples(st.just("words"), st.sampled_from(["words", "other words"]), st.booleans()),
    st.tuples(st.just("stand-in"), st.just("own")),
    st.tuples(st.just("changed"), st.sampled_from(["", "in C"])),
    st.tuples(st.just("shown key"), st.sampled_from([None, 0, 1])),
    st.tuples(st.just("formatted")),
)
IGNORED = st.lists(st.one_of(
    st.tuples(st.just("simple"), st.just("ignore"), KINDS, st.just(0), st.just(False)),
    st.tuples(st.just("filter"), st.just("ignore"), WORDS, KINDS, MODULES, st.sampled_from([0, 0, 7]), st.just(False)),
    st.tuples(st.just("filter"), st.just("error"), st.just("nothing like it"), KINDS, MODULES, st.just(0), st.just(False)),
), min_size=1, max_size=3)


ALWAYS = ("simple", "always", "Warning", 0, False)
CERTAIN = [
    ("literal", [ALWAYS, ("filter", "ignore", "", "Warning", "callers", 0, False), ("call", 30),
                 ("name", "renamed"), ("call", 7)]),
    ("constant", [ALWAYS, ("simple", "ignore", "DeprecationWarning", 0, False), ("call", 30),
                  ("category", "UserWarning")]),
    ("literal", [ALWAYS, ("simple", "ignore", "DeprecationWarning", 0, False),
                 ("filter", "error", "nothing like it", "Warning", "", 0, False),
                 ("filter", "error", "nothing like it", "DeprecationWarning", "", 0, False), ("call", 30),
                 ("put", 2, "always", "Warning"), ("call", 7)]),
    ("literal", [("simple", "ignore", "Warning", 0, False), ("mapped",)]),
    ("literal", [("simple", "ignore", "Warning", 0, False), ("formatted",)]),
    ("constant", [("simple", "default", "Warning", 0, False), ("words", "words", False), ("call", 2),
                  ("words", "words", True), ("call", 30)]),
    ("literal", [("simple", "ignore", "Warning", 0, False), ("call", 30), ("library again", "UserWarning", 7)]),
    *(("literal", [("simple", "default", "Warning", 0, False), ("call", times), ("changed", ""), ("call", 7)])
      for times in range(2, 15)),
    *(("literal", [("simple", action, "Warning", 0, False), ("call", 30), ("registry", "gone"), ("registry", "new"),
                   ("call", 7)]) for action in ("ignore", "default")),
    *((name, [("simple", "default", "Warning", 0, False), ("call", 30), *change, ("call", 7)])
      for name in ("literal", "own_line", "two_lines", "helped", "by_name", "by_name_of_itself", "marked")
      for change in ([("changed", "in C")], [("enter", False), ("leave",)], [("shown key", None)],
                     [("shown key", 0)], [("registry", "stale")], [("simple", "default", "Warning", 0, True)])),
    *(("two_lines", [ALWAYS, ("filter", "ignore", "", "Warning", "", line, False), ("call", 30)])
      for number, text in enumerate(LIBRARY.splitlines()) if "two_lines() is" in text for line in (number, number + 1)),
]
"""What is too rare to be drawn."""
LAST = [("literal", [("simple", "default", "Warning", 0, False), ("call", 30), ("second module",), ("call", 7)])]
"""After which nothing that was shown before is left out."""


@st.composite
def scripts(draw: st.DrawFn) -> tuple[str, list[Any]]:
    """A function, and changes in between calls of it that are mostly ignored or shown until then, for long enough."""
    first = draw(st.one_of(IGNORED, st.just([("simple", draw(SHOWN), "Warning", 0, False)])))
    steps: list[Any] = [("simple", draw(ACTIONS), "Warning", 0, False), *first, ("call", 30)]
    for change in draw(st.lists(CHANGES, min_size=1, max_size=3)):
        steps += [change, draw(CALLS)]
    return draw(st.sampled_from(FUNCTIONS)), steps


SCRIPTS = st.lists(scripts(), min_size=60, max_size=60)


@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")  # that what it drew is long to print
def test_random_changes_of_the_filters_show_the_same_warnings(tmp_path_factory: pytest.TempPathFactory) -> None:
    @settings(max_examples=int(os.environ.get("WARNING_EXAMPLES", "5")), deadline=None, phases=[Phase.generate], verbosity=Verbosity.quiet,
              suppress_health_check=list(HealthCheck))
    @given(SCRIPTS)
    def check(scripts: list[Any]) -> None:
        world = World(
            tmp_path_factory.mktemp("world"),
            {"library.py": LIBRARY, "callers.py": CALLERS, "host.py": HOST, "scripts.json": json.dumps([*CERTAIN, *scripts, *LAST]),
             "mapped.py": MAPPED, "lastcall.toml": DISCOVER},
            environ={"LASTCALL_DEBUG": "1"},
        )
        plain, watched = world.run(), world.run("auto")
        assert plain.code == 0, plain.err
        for expected, shown in zip(plain.out.split("script "), watched.out.split("script "), strict=False):
            if shown != expected:
                pytest.fail("\n".join(difflib.unified_diff(expected.splitlines(), shown.splitlines(), "without", "with",
                                                           lineterm="", n=20)), pytrace=False)
        assert (watched.err, watched.code) == (plain.err, plain.code)
        assert watched.internal_errors() == {}

    check()


@pytest.mark.skipif(not IS_DONE_HERE, reason="known of CPython 3.11 to 3.14")
@pytest.mark.parametrize("action", ["ignore", "default"])
def test_a_warning_that_comes_to_nothing_again_and_again_is_left_out_and_counted(tmp_path: Path, action: str) -> None:
    world = World(tmp_path, {"library.py": LIBRARY, "callers.py": CALLERS, "lastcall.toml": DISCOVER, "host.py": f"""
        import gc, warnings
        import callers
        warnings.simplefilter("{action}")
        warnings.showwarning = lambda *_: None
        for name in {FUNCTIONS}:
            getattr(callers, name)(200)
        from lastcall.warning_outcomes import Outcome
        found = [held.text for held in gc.get_objects() if isinstance(held, Outcome) and held.quiet]
        print(*sorted(text for text in found if "two_lines" not in text), sep="\\n")
    """}, environ={"LASTCALL_DEBUG": "1"})
    watched = world.run("auto")
    assert watched.internal_errors() == {}
    # to look whether a warning was shown before, and blames its own line, takes longer than to give it
    of_their_own = ["own_line", "by_name_of_itself"] if action == "ignore" else []
    assert watched.out == "\n".join(sorted([*(f"{name}() is deprecated" for name in (
        "literal", "pending", "future", "variable", "helped", "marked", "wrapped", "by_name", *of_their_own)),
        "words of the module's"])) + "\n", watched.err
    assert {use.target: use.count for use in watched.uses()} == {f"library:{name}": 200 for name in FUNCTIONS}


def test_who_holds_the_function_that_counts_changes_is_heard_when_he_calls_it(tmp_path: Path) -> None:
    world = World(tmp_path, {"library.py": LIBRARY, "callers.py": CALLERS, "lastcall.toml": DISCOVER, "host.py": """
        import sys, threading, warnings
        import callers
        held = [getattr(warnings, "_filters_mutated_lock_held" if sys.version_info >= (3, 14) else "_filters_mutated")]
        warnings.simplefilter("default")
        warnings.showwarning = lambda *_: print("shown")
        for _ in range(3):
            callers.literal(50)
            with getattr(warnings, "_lock", threading.Lock()):
                held[0]()
    """}, environ={"LASTCALL_DEBUG": "1"})
    plain, watched = world.run(), world.run("auto")
    assert (plain.out, plain.err) == (watched.out, watched.err) == ("shown\nshown\nshown\n", "")
    assert watched.total("library:literal") == 150


@pytest.mark.skipif(sys.version_info < (3, 14), reason="filters are the same in all contexts")
def test_filters_that_hold_in_one_context_are_asked_there(tmp_path: Path) -> None:
    world = World(tmp_path, {"library.py": LIBRARY, "callers.py": CALLERS, "lastcall.toml": DISCOVER, "host.py": """
        import contextvars, warnings
        import callers
        warnings.simplefilter("ignore")
        def shows():
            with warnings.catch_warnings(record=True) as log:
                warnings.simplefilter("always")
                callers.literal(3)
            print(len(log))
        callers.literal(50)
        for _ in range(3):
            contextvars.copy_context().run(shows)
            callers.literal(50)
    """}, environ={"LASTCALL_DEBUG": "1", "PYTHON_CONTEXT_AWARE_WARNINGS": "1"})
    plain, watched = world.run(), world.run("auto")
    assert (plain.out, plain.err) == (watched.out, watched.err) == ("3\n3\n3\n", "")
    assert watched.total("library:literal") == 209


def test_a_profiler_sees_every_call_of_warn(tmp_path: Path) -> None:
    world = World(tmp_path, {"library.py": LIBRARY, "callers.py": CALLERS, "lastcall.toml": DISCOVER, "host.py": """
        import cProfile, pstats, warnings
        import callers
        warnings.simplefilter("ignore")
        callers.literal(50)
        profile = cProfile.Profile()
        profile.enable()
        callers.literal(50)
        profile.disable()
        callers.literal(50)
        stats = pstats.Stats(profile).stats
        print([calls for (_, _, name), (calls, *_) in stats.items() if "warn" in name or "format" in name])
    """}, environ={"LASTCALL_DEBUG": "1"})
    plain, watched = world.run(), world.run("auto")
    assert (plain.out, plain.err) == (watched.out, watched.err) == ("[50]\n", "")
    assert watched.total("library:literal") == 150


@pytest.mark.skipif(not IS_DONE_HERE, reason="known of CPython 3.11 to 3.14")
def test_a_warning_whose_judgement_fails_is_counted_once(tmp_path: Path) -> None:
    world = World(tmp_path, {"library.py": LIBRARY, "callers.py": CALLERS, "lastcall.toml": DISCOVER, "host.py": """
        import callers, operator
        callers.literal(3)
        from lastcall.warning_outcomes import Outcome
        Outcome.judge = operator.getitem  # which a frame is nothing for
        callers.literal(50)
    """})
    watched = world.run("auto")
    assert watched.code == 0, watched.err
    assert watched.total("library:literal") == 53
    assert set(watched.internal_errors()) == {"warning"}
