"""Deprecation warnings and log records at the ends of the stack: no caller, no frame, the import machinery's frames."""

from __future__ import annotations

import ast
import sys
import textwrap
from pathlib import Path

import pytest

from lastcall.store import Store
from lastcall.warning_calls import _warning_calls
from worlds import CHECKOUT, Run, World, wrapt_in_c

DISCOVER = '[discover]\nwarnings = ["DeprecationWarning"]\nlogs = ["deprecated"]\n'
NO_CALLER = ("", 0, "<no Python caller>")


def run(folder: Path, host: str, **environ: str) -> Run:
    """Run it with and without the agent, see that the host shows the same, and give what was counted."""
    world = World(folder, {"host.py": host, "lastcall.toml": DISCOVER}, environ={"LASTCALL_DEBUG": "1", **environ})
    plain, watched = world.run(), world.run("auto")
    assert (watched.out, watched.err, watched.code) == (plain.out, plain.err, plain.code)
    assert (watched.internal_errors(), watched.code) == ({}, 0)
    return watched


def counted(watched: Run) -> dict[tuple[str, str, int, str], int]:
    return {(use.target, use.file, use.line, use.function): use.count for use in watched.uses()}


@pytest.mark.parametrize("filters", ["ignore", "always"])
def test_a_stacklevel_past_the_outermost_frame_means_that_frame(tmp_path: Path, filters: str) -> None:
    watched = run(tmp_path, """
        import warnings

        def far(level=9):
            warnings.warn("far", DeprecationWarning, stacklevel=level)

        def helper():
            warnings.warn("helped", DeprecationWarning, stacklevel=3)

        def caller():
            far()

        def spread(*args):
            warnings.warn(*args)

        for number in range(20):
            far()
            caller()
            helper()
            spread("spread", DeprecationWarning, 5)
            if number < 2:
                warnings.warn("of the program", DeprecationWarning, stacklevel=2)
    """, PYTHONWARNINGS=filters)
    assert counted(watched) == {
        ("__main__:far", "host.py", 17, "<module>"): 20,
        ("__main__:caller", "host.py", 18, "<module>"): 20,
        ("__main__:helper", "host.py", 19, "<module>"): 20,
        ("__main__:spread", "host.py", 20, "<module>"): 20,
        ("__main__", *NO_CALLER): 2,
    }


def test_a_function_that_c_called_warns_and_logs_without_a_caller(tmp_path: Path) -> None:
    watched = run(tmp_path, """
        import _thread, logging, time, warnings
        logging.basicConfig(format="%(message)s %(lineno)d")
        log = logging.getLogger()
        ended = []

        def warns(message="warns"):
            warnings.warn(message, DeprecationWarning, stacklevel=2)
            ended.append(1)

        def logs():
            log.warning("logs() is deprecated")
            ended.append(1)

        for number in range(10):
            for function, given in (warns, ()), (warns, ("otherwise",)), (logs, ()):
                before = len(ended)
                _thread.start_new_thread(function, given)
                while len(ended) == before:
                    time.sleep(0.001)
    """)
    assert counted(watched) == {("__main__:warns", *NO_CALLER): 10, ("__main__:logs", *NO_CALLER): 10}
    assert sum(use.count for use in watched.uses() if use.target == "__main__:warns") == 20


def test_a_programs_own_log_record_is_a_use(tmp_path: Path) -> None:
    watched = run(tmp_path, """
        import logging
        for _ in range(3):
            logging.warning("this program is deprecated")
    """)
    assert counted(watched) == {("__main__", "host.py", 4, "<module>"): 3}


@pytest.mark.parametrize("filters", ["ignore", "always", "error"])
def test_a_warning_that_c_gives_with_no_function_running_is_given(tmp_path: Path, filters: str) -> None:
    world = World(tmp_path, {"lastcall.toml": DISCOVER, "host.py": """
        import atexit, functools, sys, warnings
        import warnings as other
        from waiting import called_by_c
        sys.unraisablehook = lambda one: print("unraisable", repr(one.exc_value))

        def old():
            warnings.warn("old", DeprecationWarning, stacklevel=2)

        for _ in range(3):
            try:
                old()
            except DeprecationWarning:
                print("raised")
            called_by_c(warnings.warn, "direct", DeprecationWarning)
            called_by_c(functools.partial(warnings.warn, stacklevel=3), "partial", DeprecationWarning)
        atexit.register(warnings.warn, "fine", UserWarning)
    """}, environ={"LASTCALL_DEBUG": "1", "PYTHONWARNINGS": filters})
    plain, watched = world.run(), world.run("auto")
    assert watched.out == plain.out
    assert "lastcall" not in watched.err
    if filters != "error":  # then one frame of ours shows where one of the host's would not
        assert watched.err == plain.err
    assert watched.code == plain.code
    assert watched.internal_errors() == {}
    assert watched.total("__main__:old") == 3


@pytest.mark.skipif(sys.version_info >= (3, 15), reason="3.15 took away what importlib warned of")
@pytest.mark.parametrize("filters", ["default", "error", "ignore"])
def test_what_the_import_machinery_warns_of_blames_itself_as_ever(tmp_path: Path, filters: str) -> None:
    (tmp_path / "loaded.py").write_text("NAME = 1\n")
    watched = run(tmp_path, """
        import warnings
        from importlib.machinery import SourceFileLoader
        for _ in range(2):
            with warnings.catch_warnings(record=True) as caught:
                try:
                    SourceFileLoader("loaded", "loaded.py").load_module()
                except DeprecationWarning:
                    print("raised")
            print([(str(one.message)[:30], one.filename, one.lineno) for one in caught])
        SourceFileLoader("loaded", "loaded.py").load_module
    """, PYTHONWARNINGS=filters)
    assert watched.total("importlib._bootstrap:_load_module_shim") == 2


LIBRARY = """
    import logging, warnings

    def old():
        warnings.warn("old() is deprecated", DeprecationWarning, stacklevel=2)

    def logs():
        logging.warning("logs() is deprecated")

    class Old:
        def __init__(self):
            warnings.warn("Old is deprecated", DeprecationWarning, stacklevel=2)

    warnings.warn("the module is deprecated", DeprecationWarning)
"""


@pytest.mark.parametrize(("name", "spelled"), [
    ("shop.migrations.0001_initial", "shop.migrations.0001_initial"), ("my-script", "my_script"), ("a b", "a_b"), ("1x", "_1x"),
    ("", "unnamed"), ("a..b", "a._.b"), ("a:b", "a_b"), ("*.x?", "_.x_"), (7, "_7"), ("wrapt.own", "wrapt.own"), ("\ud800", "_"),
])  # fmt: skip
def test_modules_of_any_name_are_counted(tmp_path: Path, name: object, spelled: str) -> None:
    (tmp_path / "library.txt").write_text(textwrap.dedent(LIBRARY))
    watched = run(tmp_path, f"""
        code = compile(open("library.txt").read(), "library.txt", "exec")
        names = {{"__name__": {name!r}}}
        exec(code, names)
        for _ in range(5):
            names["old"]()
            names["logs"]()
            names["Old"]()
    """)
    found: dict[str, int] = {}
    for use in watched.uses():
        found[use.target] = found.get(use.target, 0) + use.count
    assert found == {spelled: 1, f"{spelled}:old": 5, f"{spelled}:logs": 5, f"{spelled}:Old": 5}


def test_functions_of_any_name_are_counted(tmp_path: Path) -> None:
    watched = run(tmp_path, """
        import warnings
        for name in ("<builder: '/a/<b>'>", "a b", "1x", "f(x=)", "*", "a..b"):
            def old():
                warnings.warn("old", DeprecationWarning, stacklevel=2)
            old.__code__ = old.__code__.replace(co_name=name)
            if hasattr(old.__code__, "co_qualname"):
                old.__code__ = old.__code__.replace(co_qualname=name)
            old()
    """)
    assert {use.target: use.count for use in watched.uses()} == {
        f"__main__:{name}": 1 for name in ("builder____a_b_", "a_b", "_1x", "f_x__", "_", "a._.b")}


@pytest.mark.parametrize("wrapt", ["C", "Python"])
def test_a_decorator_that_runs_on_wrapt_without_its_extension_is_counted_for_what_it_marks(tmp_path: Path, wrapt: str) -> None:
    world = World(tmp_path, {"lastcall.toml": DISCOVER, "library.py": """
        from deprecated import deprecated

        @deprecated("first")
        def first():
            pass

        class Thing:
            @deprecated("method")
            def method(self):
                pass
    """, "host.py": """
        import library
        for _ in range(5):
            library.first()
            library.Thing().method()
    """}, environ={"LASTCALL_DEBUG": "1", **({"WRAPT_DISABLE_EXTENSIONS": "1"} if wrapt == "Python" else {})})
    plain, watched = world.run(), world.run("auto")
    assert (watched.out, watched.err, watched.code) == (plain.out, plain.err, plain.code)
    assert watched.internal_errors() == {}
    assert {(use.target, use.line): use.count for use in watched.uses()} == {
        ("library:first", 4): 5, ("library:Thing.method", 5): 5}


@pytest.mark.parametrize("package", ["logging", "loguru"])
def test_log_records_are_counted_once_where_the_package_was_there_before_the_agent(tmp_path: Path, package: str) -> None:
    """Who looks for modules that came in unseen meets it a second time."""
    pytest.importorskip(package)
    logger = "logging.getLogger()" if package == "logging" else "loguru.logger"
    world = World(tmp_path, {"lastcall.toml": DISCOVER, "host.py": f"""
        import {package}, waiting
        import lastcall
        lastcall.start()

        def old():
            {logger}.warning("old() is deprecated")

        for _ in range(10):
            old()
            waiting.rounds()
    """})
    watched = world.run("auto", LASTCALL_ENABLED="", LASTCALL_FLUSH_INTERVAL="0.1", LASTCALL_DEBUG="1",
                        PYTHONPATH=str(CHECKOUT / "agent"))
    assert watched.code == 0, watched.err
    assert counted(watched) == {("__main__:old", "host.py", 10, "<module>"): 10}
    assert watched.internal_errors() == {}


@pytest.mark.parametrize("filters", ["ignore", "always", "error"])
def test_a_message_that_is_no_text_is_not_asked_for_one(tmp_path: Path, filters: str) -> None:
    watched = run(tmp_path, """
        import warnings

        class Lazy:
            def __str__(self):
                print("translated")
                raise RuntimeError("there is no language yet")

            def __repr__(self):
                return "lazy"

        class Text(str):
            def __str__(self):
                print("asked")
                return "other words"

        class Own(DeprecationWarning):
            def __str__(self):
                print("put in words")
                return "Own: " + self.args[0]

        def warns(message, category=DeprecationWarning):
            warnings.warn(message, category, stacklevel=2)

        def spread(*args):
            warnings.warn(*args)

        for _ in range(3):
            for message in (Lazy(), Text("the words"), Own("first"), Own(), Own(Lazy()), 7, ("a", Lazy())):
                for call in (lambda: warns(message), lambda: spread(message, DeprecationWarning, 2)):
                    try:
                        call()
                    except Exception as error:
                        print(type(error).__name__)
    """, PYTHONWARNINGS=filters)
    with Store.current(watched.store) as store:
        notes = {row.site.note: row.count for row in store.uses() if row.site.target == "__main__:warns"}
    assert notes == {"DeprecationWarning: {}": 9, "DeprecationWarning: the words": 3, "DeprecationWarning: #": 3,
                     "Own: first": 3, "Own: ": 3}
    assert watched.total("__main__:spread") == 21


def test_what_a_function_that_warns_was_given_is_not_asked_what_it_is(tmp_path: Path) -> None:
    """A proxy outside of its request refuses to be asked anything; a lazy object is made by the question."""
    watched = run(tmp_path, """
        import logging, warnings

        class Proxy:
            def __getattr__(self, name):
                raise RuntimeError(f"asked for {name}")

            __class__ = __dict__ = __module__ = property(lambda self: self.who)

            def method(self, *rest):
                warnings.warn("method", DeprecationWarning, stacklevel=2)

        def takes(first, *rest):
            warnings.warn("takes", DeprecationWarning, stacklevel=2)
            logging.getLogger("x").debug("deprecated")

        def holding(wrapped, other):
            def wrapper(*args):
                other
                warnings.warn("held", DeprecationWarning, stacklevel=2)
                return wrapped(*args)
            return wrapper

        def holder(value):
            return value

        def holding_too(thing):
            def wrapper(*args):
                warnings.warn("held too", DeprecationWarning, stacklevel=2)
                return thing(*args)
            return wrapper

        logging.disable()
        holder = holding(holder, Proxy())
        proxied = holding_too(Proxy())
        takes.__wrapped__ = Proxy()
        for _ in range(4):
            takes(Proxy())
            Proxy().method()
            holder(1)
            try:
                proxied()
            except TypeError as error:
                print(error)
        """)
    inner = "holding_too.wrapper" if sys.version_info >= (3, 11) else "wrapper"  # of which 3.10 keeps no more
    assert {key[0]: count for key, count in counted(watched).items()} == {
        "__main__:takes": 4, "__main__:Proxy.method": 4, "__main__:holder": 4, f"__main__:{inner}": 4,
    }


def test_what_makes_the_message_is_run_as_often_as_without_us(tmp_path: Path) -> None:
    watched = run(tmp_path, """
        import types, warnings

        class Telling:
            asked = 0
            plain = "plain"

            @property
            def text(self):
                Telling.asked += 1
                return "told by a property"

            def __getattr__(self, name):
                Telling.asked += 1
                return "told by __getattr__"

        class Part(str):
            def __add__(self, other):
                Telling.asked += 1
                return str(self) + other

            __sub__ = __add__

        it, part, kinds = Telling(), Part("a part "), types.ModuleType("kinds")
        kinds.Gone = DeprecationWarning

        def by_property():
            warnings.warn(it.text, DeprecationWarning, stacklevel=2)

        def by_getattr():
            warnings.warn(it.other, DeprecationWarning, stacklevel=2)

        def by_sum(other):
            warnings.warn(part + other, DeprecationWarning, stacklevel=2)

        def by_difference(other):
            warnings.warn(part - other, DeprecationWarning, stacklevel=2)

        def plainly(level):
            warnings.warn(it.plain, kinds.Gone, stacklevel=level + 1)

        for _ in range(5):
            by_property(), by_getattr(), by_sum("and more"), by_difference("and more"), plainly(1)
        print(Telling.asked)
        """)
    assert watched.out == "20\n"
    names = ("by_property", "by_getattr", "by_sum", "by_difference", "plainly")
    assert {key[0]: count for key, count in counted(watched).items()} == {f"__main__:{name}": 5 for name in names}


def test_what_is_entered_through_the_standard_library_is_the_target_itself(tmp_path: Path) -> None:
    """As `warnings.warn(..., stacklevel=3)` in the body of a context manager: one frame between is contextlib's."""
    library = """
        import contextlib, functools, warnings

        @contextlib.contextmanager
        def first():
            warnings.warn("first", DeprecationWarning, stacklevel=3)
            yield

        def _warn(level):
            warnings.warn("helped", DeprecationWarning, stacklevel=level)

        @contextlib.contextmanager
        def second():
            _warn(4)
            yield

        @functools.singledispatch
        def chosen(value):
            warnings.warn("chosen", DeprecationWarning, stacklevel=3)
        """
    host = """
        import old
        for turn in range(4):
            with old.first(): pass
            with old.second(): pass
            old.chosen(1)
        """
    (tmp_path / "old.py").write_text(textwrap.dedent(library))
    watched = run(tmp_path, textwrap.dedent(host))
    assert {(use.target, use.line): use.count for use in watched.uses()} == {
        ("old:first", 4): 4, ("old:second", 5): 4, ("old:chosen", 6): 4,
    }


@pytest.mark.skipif(sys.version_info < (3, 12), reason="warnings.warn takes no skip_file_prefixes yet")
@pytest.mark.parametrize("wrapt", ["", "1"])
def test_files_that_are_skipped_are_skipped_where_the_call_is_made_for_the_host(tmp_path: Path, wrapt: str) -> None:
    """A frame of ours below the call is one more to step over, and the host's own is none if its file is skipped."""
    library = """
        import os, warnings

        def give(p):
            warnings.warn("1", DeprecationWarning, skip_file_prefixes=p)
            warnings.warn("2", DeprecationWarning, 2, skip_file_prefixes=p)
            warnings.warn("3", DeprecationWarning, 3, skip_file_prefixes=p)
            warnings.warn(*("4", DeprecationWarning), skip_file_prefixes=p)
            warnings.warn(*("5", DeprecationWarning, 2), skip_file_prefixes=p)
            warnings.warn(*("6", DeprecationWarning, 3), **dict(skip_file_prefixes=p))

        skips = (__file__,), (os.path.dirname(__file__) + "/lib",), ("/nowhere",), ()
        for p in skips:
            warnings.warn("7", DeprecationWarning, skip_file_prefixes=p)
            warnings.warn("8", DeprecationWarning, 2, skip_file_prefixes=p)
            warnings.warn(*("9", DeprecationWarning), skip_file_prefixes=p)
            give(p)
        """
    host = """
        import collections, os, warnings
        warnings.simplefilter("always")
        given = collections.Counter()

        def show(message, category, filename, lineno, file=None, line=None):
            given[os.path.basename(filename), lineno] += 1
            print(message, os.path.basename(filename), lineno)

        warnings.showwarning = show

        def load():
            import library
            for p in library.skips:
                library.give(p)

        load()
        try:
            warnings.warn(*("0",), skip_file_prefixes=["no tuple"])
        except TypeError as error:
            print(error)
        print(dict(given))
        """
    world = World(tmp_path, {"library.py": library, "host.py": host, "lastcall.toml": DISCOVER},
                  environ={"LASTCALL_DEBUG": "1", **({"WRAPT_DISABLE_EXTENSIONS": wrapt} if wrapt else {})})
    plain, watched = world.run(), world.run("auto")
    assert (watched.out, watched.err, watched.code) == (plain.out, "", 0)
    found: dict[tuple[str, int], int] = {}
    for use in watched.uses():
        found[use.file, use.line] = found.get((use.file, use.line), 0) + use.count
    assert found == ast.literal_eval(plain.out.splitlines()[-1])


@pytest.mark.parametrize("wrapt", ["", "1"])
def test_what_python_refuses_to_warn_of_is_refused_and_no_use(tmp_path: Path, wrapt: str) -> None:
    watched = run(tmp_path, """
        import sys, warnings
        from warnings import warn

        class Meta(type):
            __hash__ = None
            def __eq__(self, other):
                print("asked")
                return NotImplemented

        class Odd(DeprecationWarning, metaclass=Meta): pass

        class Index:
            def __index__(self): return 2

        def plain(kind, level): warnings.warn("plain", kind, stacklevel=level)
        def of_the_module(kind, level): warnings.warn("of the module", KIND, 2)
        def spread(kind, level): warnings.warn(*("spread", kind, level))
        def answered(kind, level): return warnings.warn(*("answered", kind, level))
        def by_name(kind, level): warn("by name", kind, level)
        def lacking(kind, level): warnings.warn(*(), category=kind, stacklevel=level)
        def skipping(kind, level):
            if sys.version_info >= (3, 12): warnings.warn("skipping", DeprecationWarning, skip_file_prefixes=kind)

        for _ in range(3):
            for kind in [], {}, 5, "x", int, object(), Odd, Meta, [""], ("", 5), DeprecationWarning:
                for level in 2, "a", None, 2.0, [], 2**70, -2**70, sys.maxsize, Index():
                    for function in plain, of_the_module, spread, answered, by_name, lacking, skipping:
                        KIND = kind
                        try:
                            function(kind, level)
                        except Exception as error:
                            print(function.__name__, type(kind), type(level), type(error), error)
    """, PYTHONWARNINGS="always", **({"WRAPT_DISABLE_EXTENSIONS": wrapt} if wrapt else {}))
    found = {use.target: use.count for use in watched.uses() if use.target not in ("__main__", "__main__:of_the_module")}
    assert found == {f"__main__:{name}": 3 * 3 for name in ("plain", "spread", "answered", "by_name")}


def test_a_level_beyond_a_helpers_is_looked_for_each_time(tmp_path: Path) -> None:
    """A function that calls itself is its own caller, at a line that was counted before."""
    watched = run(tmp_path, """
        import warnings

        def old(deep=3):
            warnings.warn("old", DeprecationWarning, stacklevel=4)
            if deep:
                old(deep - 1)

        def calls():
            old()

        def outer():
            calls()

        for _ in range(10):
            outer()
    """)
    assert counted(watched) == {
        ("__main__:outer", "host.py", 16, "<module>"): 10, ("__main__:calls", "host.py", 13, "outer"): 10,
        ("__main__:old", "host.py", 10, "calls"): 10, ("__main__:old", "host.py", 7, "old"): 10,
    }


def test_a_wrapper_through_which_others_warn_has_not_warned_by_itself(tmp_path: Path) -> None:
    """One function accounts for the decorator around it, another does not: both are counted where they point."""
    watched = run(tmp_path, """
        import functools, warnings

        def mark(function):
            @functools.wraps(function)
            def wrapper(*args, **named):
                return function(*args, **named)
            return wrapper

        @mark
        def accounts():
            warnings.warn("accounts", DeprecationWarning, stacklevel=3)

        @mark
        def does_not():
            warnings.warn("does not", DeprecationWarning, stacklevel=2)

        for _ in range(5):
            accounts()
            does_not()
    """)
    assert {(use.target, use.line): use.count for use in watched.uses()} == {
        ("__main__:accounts", 19): 5, ("__main__:does_not", 7): 5}


@pytest.mark.skipif(not wrapt_in_c(), reason="there the call of a name of its own is made from a frame of ours")
def test_a_warning_that_is_an_error_has_no_frame_of_ours_where_its_words_or_warn_itself_are_the_hosts(tmp_path: Path) -> None:
    watched = run(tmp_path, """
        import traceback, warnings
        from warnings import warn
        real = warnings.warn

        class Words:
            @property
            def text(self):
                return "words"

        words = Words()

        def asked():
            warnings.warn(words.text, DeprecationWarning, stacklevel=2)

        def asked_by_name():
            warn(words.text, DeprecationWarning, stacklevel=2)

        def spread(*given):
            warn(*given)

        warnings.simplefilter("error")
        for _ in range(2):
            for instead in real, lambda *given, **named: None:
                warnings.warn = instead
                for function, given in (asked, ()), (asked_by_name, ()), (spread, ("spread", DeprecationWarning, 2)):
                    try:
                        function(*given)
                    except DeprecationWarning:
                        print(traceback.format_exc())
    """)
    assert {use.target: use.count for use in watched.uses()} == {
        "__main__:asked": 2, "__main__:asked_by_name": 4, "__main__:spread": 4}


def test_what_logs_the_warnings_that_are_shown_is_no_use(tmp_path: Path) -> None:
    watched = run(tmp_path, """
        import logging, warnings
        logging.basicConfig(format="%(message)s")
        warnings.simplefilter("always")

        def old():
            warnings.warn("old() is deprecated", DeprecationWarning, stacklevel=2)

        def show(message, category, filename, line, file=None, text=None):
            logging.warning(f"{filename} {message}")

        logging.captureWarnings(True)
        for _ in range(3):
            old()
        logging.captureWarnings(False)
        warnings.showwarning = show
        for _ in range(3):
            old()
    """)
    assert counted(watched) == {("__main__:old", "host.py", 14, "<module>"): 3, ("__main__:old", "host.py", 18, "<module>"): 3}


@pytest.mark.skipif(sys.version_info < (3, 13), reason="@deprecated is the standard library's from there on")
def test_what_warns_for_the_standard_librarys_decorator_is_not_the_target(tmp_path: Path) -> None:
    watched = run(tmp_path, """
        import warnings
        real = warnings.warn

        def instead(message, category=None, stacklevel=1, source=None):
            return real(message, category, stacklevel + 1)

        @warnings.deprecated("old")
        def old():
            pass

        warnings.warn = instead
        for _ in range(5):
            old()
    """)
    assert counted(watched) == {("__main__:old", "host.py", 14, "<module>"): 5}


def test_calls_on_one_line_are_told_apart_however_they_find_warn(tmp_path: Path) -> None:
    watched = run(tmp_path, """
        import warnings
        from warnings import warn as other

        def old(x=1):
            warnings.warn("first", DeprecationWarning, stacklevel=2); getattr(warnings, "warn")("own", DeprecationWarning)

        def older(x=1):
            warnings.warn("first", DeprecationWarning, stacklevel=2); (warnings.warn if x else None)("own", DeprecationWarning)

        def oldest(x=1):
            warnings.warn("first", DeprecationWarning, stacklevel=2); other("own", DeprecationWarning)

        for _ in range(5):
            old(), older(), oldest()
    """)
    assert {(use.target, use.line): use.count for use in watched.uses()} == {
        (f"__main__:{name}", line): 5 for name, own in (("old", 6), ("older", 9), ("oldest", 12)) for line in (own, 15)}


def test_a_warning_of_its_own_line_is_at_the_line_of_the_call_wherever_warn_is_read(tmp_path: Path) -> None:
    watched = run(tmp_path, """
        import warnings

        def old(level=1, words="words"):
            (warnings
                .warn)(words, DeprecationWarning, stacklevel=level)

        for number in range(20):
            old()
            old(2)
    """)
    assert {use.line: use.count for use in watched.uses()} == {5: 20, 10: 20}


def test_the_category_of_a_class_body_may_be_one_of_its_names(tmp_path: Path) -> None:
    watched = run(tmp_path, """
        import warnings

        def old(turn):
            class Made:
                category = (UserWarning, DeprecationWarning)[turn % 2]
                warnings.warn("made", category)

        for turn in range(20):
            old(turn)
    """)
    assert {use.line: use.count for use in watched.uses()} == {7: 10}


def test_what_stands_for_warn_when_the_module_is_met_again_is_left_alone(tmp_path: Path) -> None:
    watched = run(tmp_path, """
        import gc, sys, warnings

        def old():
            warnings.warn("old", DeprecationWarning, stacklevel=2)

        def instead(*given, **named):
            print("instead", given)

        real, warnings.warn = warnings.warn, instead
        if "lastcall" in sys.modules:  # as our thread does when it looks for modules that came in unseen
            from lastcall.warnings_seen import WarningsSeen
            for one in gc.get_objects():
                if type(one) is WarningsSeen:
                    one.arm(warnings)
        print(warnings.warn is instead)
        old()
        warnings.warn = real
        for _ in range(5):
            old()
    """)
    assert counted(watched) == {("__main__:old", "host.py", 20, "<module>"): 5}


def test_another_call_on_the_line_of_a_warning_is_none_of_warn(tmp_path: Path) -> None:
    """Else the warning costs twenty times as much on 3.10, which tells calls by their lines."""
    file = tmp_path / "library.py"
    file.write_text(textwrap.dedent("""
        import warnings
        from warnings import warn
        from warnings import warn as said
        warnings.warn("{} is old".format(name), DeprecationWarning)
        warn(name.upper(), DeprecationWarning)
        said(name())
        (warn if name else print)("old")
    """))
    assert [(call.lineno, dropped) for call, dropped in _warning_calls(str(file))] == [(line, True) for line in (5, 6, 7, 8)]
