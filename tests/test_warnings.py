"""Deprecation warnings as uses: every way to call `warnings.warn`, again and again, and every way to look at it."""

from __future__ import annotations

import os
import sys
import textwrap
from pathlib import Path

import pytest

from lastcall.engines.wrapping import IN_C
from lastcall.store import Store
from worlds import Run, World

DISCOVER = '[discover]\nwarnings = ["DeprecationWarning"]\nlogs = ["deprecated"]\n'

LIBRARY = """
    import functools
    import warnings
    from warnings import warn

    from typing_extensions import deprecated

    def mark(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            warnings.warn("use the new one", DeprecationWarning, stacklevel=2)
            return function(*args, **kwargs)
        return wrapper

    @mark
    def first():
        pass

    @mark
    def second():
        pass

    @deprecated("same words")
    def third():
        pass

    @deprecated("same words")
    def fourth():
        pass

    def helper(name):
        warnings.warn(f"{name} is deprecated", DeprecationWarning, stacklevel=3)

    def through_helper():
        helper("through_helper")

    def other_through_helper():
        helper("other_through_helper")

    def imported():
        warn("imported by name", DeprecationWarning, stacklevel=2)

    def own_line():
        warnings.warn("own line", DeprecationWarning)

    def partially(warning=functools.partial(warnings.warn, category=DeprecationWarning, stacklevel=2)):
        warning("through partial")

    def instance():
        warnings.warn(DeprecationWarning("an instance"), stacklevel=2)

    def keywords():
        warnings.warn(message="by keywords", stacklevel=2, category=DeprecationWarning)

    def chosen(category):
        warnings.warn("the category is the caller's", category, stacklevel=2)

    class Thing:
        words = "an attribute"

        def method(self):
            warnings.warn(self.words, DeprecationWarning, stacklevel=2)
"""

ONCE = ("first", "second", "third", "fourth", "through_helper", "other_through_helper", "imported", "own_line", "instance", "keywords")


def run(folder: Path, host: str, *, config: str = DISCOVER, environ: dict[str, str] | None = None, **files: str) -> Run:
    """Run it with and without the agent, see that the host shows the same, and give what was counted."""
    named = {f"{name}.py": text for name, text in files.items()}
    world = World(folder, {"library.py": LIBRARY, "host.py": host, "lastcall.toml": config, **named},
                  environ={"LASTCALL_DEBUG": "1", **(environ or {})})
    plain, watched = world.run(), world.run("auto")
    assert (watched.out, watched.err, watched.code) == (plain.out, plain.err, plain.code)
    assert (watched.internal_errors(), watched.code) == ({}, 0)
    return watched


def test_each_of_many_calls_is_counted_for_the_function_that_warned(tmp_path: Path) -> None:
    calls = "\n".join(f"        library.{name}()" for name in ONCE)
    watched = run(tmp_path, "import library\n\nfor number in range(50):\n    if True:\n" + calls
                  + "\n        library.Thing().method()\n")
    counted = {use.target: use.count for use in watched.uses()}
    assert counted == {**{f"library:{name}": 50 for name in ONCE}, "library:Thing.method": 50}
    lines = {use.target: (use.file, use.line) for use in watched.uses()}
    assert all(lines[f"library:{name}"] == ("host.py", ONCE.index(name) + 5) for name in ONCE if name != "own_line")


def test_a_second_call_site_of_a_known_warning_is_its_own(tmp_path: Path) -> None:
    watched = run(tmp_path, """
        import library
        for _ in range(3):
            library.keywords()
            library.through_helper()
        for _ in range(4):
            library.keywords()
            library.through_helper()
    """)
    counted = {(use.target, use.line): use.count for use in watched.uses()}
    assert counted == {("library:keywords", 4): 3, ("library:through_helper", 5): 3,
                       ("library:keywords", 7): 4, ("library:through_helper", 8): 4}


def test_the_category_decides_each_time_and_partial_arguments_are_read_off_the_call(tmp_path: Path) -> None:
    watched = run(tmp_path, """
        import library
        for _ in range(3):
            library.chosen(DeprecationWarning)
            library.chosen(UserWarning)
            library.partially()
    """)
    assert {use.target: use.count for use in watched.uses()} == {"library:chosen": 3, "library:partially": 3}


def test_a_module_that_warns_of_itself_is_the_target_and_the_import_the_use(tmp_path: Path) -> None:
    gone = 'import warnings\nwarnings.warn("this module is deprecated", DeprecationWarning, stacklevel=2)\n'
    watched = run(tmp_path, "def load():\n    import gone\n\nload()\n", gone=gone)
    assert [(use.target, use.file, use.line, use.count) for use in watched.uses()] == [("gone", "host.py", 2, 1)]


def test_what_replaces_warn_for_a_while_is_called_and_afterwards_counting_goes_on(tmp_path: Path) -> None:
    watched = run(tmp_path, """
        import warnings
        from unittest import mock
        import library

        def twice():
            for _ in range(2):
                library.keywords()

        twice()
        with mock.patch("warnings.warn") as replaced:
            twice()
        print(replaced.call_args_list)
        with mock.patch.object(warnings, "warn", lambda *a, **k: print("mine", a, k)):
            twice()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            twice()
        print([(str(item.message), item.lineno) for item in caught])
        twice()
        print(warnings.warn is library.warn, warnings.warn.__name__, isinstance(warnings, type(library)))
        saved = warnings.warn
        del warnings.warn
        try:
            library.keywords()
        except AttributeError as error:
            print(error)
        warnings.warn = saved
        twice()
    """)
    assert watched.total("library:keywords") == 8


def test_warnings_of_many_threads_are_counted_exactly(tmp_path: Path) -> None:
    watched = run(tmp_path, """
        import sys, threading, warnings
        import library
        warnings.simplefilter("ignore")
        sys.setswitchinterval(1e-6)

        def work():
            for _ in range(2000):
                library.keywords()
                library.third()
                library.through_helper()

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    """)
    assert {use.target: use.count for use in watched.uses()} == {
        "library:keywords": 16000, "library:third": 16000, "library:through_helper": 16000}


@pytest.mark.parametrize("level", ["DEBUG", "WARNING"])
def test_a_loguru_call_that_its_level_switches_off_is_no_record_and_no_use(tmp_path: Path, level: str) -> None:
    pytest.importorskip("loguru")
    watched = run(tmp_path, f"""
        import sys
        from loguru import logger
        logger.remove()
        logger.add(sys.stdout, level="{level}", format="{{level}} {{message}}")
        logger.add(sys.stdout, level="ERROR", format="again {{message}}")

        def old():
            logger.debug("old() is deprecated since {{}}", 3)

        def older():
            logger.warning("older() is deprecated")

        def go():
            for _ in range(5):
                old()
                older()

        go()
    """)
    expected = {"__main__:older": 5, "__main__:old": 5} if level == "DEBUG" else {"__main__:older": 5}
    assert {use.target: use.count for use in watched.uses()} == expected


# -- once, and only once ------------------------------------------------------------------------------

WARNS = {
    1: 'warnings.warn("old() is deprecated", DeprecationWarning)',
    2: 'warnings.warn("old() is deprecated", DeprecationWarning, stacklevel=2)',
    3: 'helper("old() is deprecated")',
}
SHIM = """
import logging
import warnings
from typing_extensions import deprecated

log = logging.getLogger("shim")
log.addHandler(logging.NullHandler())

def helper(words):
    warnings.warn(words, DeprecationWarning, stacklevel=3)

{definition}
"""
PLAIN = "def old():\n    {body}\n"
CASES = {
    "level 1": (PLAIN.format(body=WARNS[1]), "shim.old()", "shim:old", "call"),
    "level 2": (PLAIN.format(body=WARNS[2]), "shim.old()", "shim:old", "call"),
    "level 3, through a helper": (PLAIN.format(body=WARNS[3]), "shim.old()", "shim:old", "call"),
    "logs": (PLAIN.format(body='log.warning("old() is deprecated")'), "shim.old()", "shim:old", "call"),
    "warns and logs": (PLAIN.format(body='log.warning("old() is deprecated"); ' + WARNS[2]), "shim.old()", "shim:old", "call"),
    "decorated": ('@deprecated("use new")\ndef old():\n    pass\n', "shim.old()", "shim:old", "call"),
    "decorated, and warns itself": ('@deprecated("use new")\ndef old():\n    ' + WARNS[2] + "\n", "shim.old()", "shim:old", "call"),
    "class": (f"class Old:\n    def __init__(self):\n        {WARNS[2]}\n", "shim.Old()", "shim:Old", "construct"),
    "decorated class": ('@deprecated("use New")\nclass Old:\n    pass\n', "shim.Old()", "shim:Old", "construct"),
    "method": (f"class Kept:\n    def old(self):\n        {WARNS[2]}\n", "shim.Kept().old()", "shim:Kept.old", "call"),
    "classmethod": (f"class Kept:\n    @classmethod\n    def old(cls):\n        {WARNS[2]}\n", "shim.Kept.old()", "shim:Kept.old", "call"),
    "property": (f"class Kept:\n    @property\n    def old(self):\n        {WARNS[2]}\n", "shim.Kept().old", "shim:Kept.old", "access"),
    "generator": (f"def old():\n    {WARNS[2]}\n    yield\n", "list(shim.old())", "shim:old", "call"),
}
WATCHED = {
    "warnings": '[discover]\nwarnings = ["DeprecationWarning"]\nlogs = ["deprecated"]\n',
    "warnings and target": '[discover]\nwarnings = ["DeprecationWarning"]\nlogs = ["deprecated"]\n[[target]]\nref = "TARGET"\n',
    "warnings and pep702": '[discover]\nwarnings = ["DeprecationWarning"]\nlogs = ["deprecated"]\npep702 = ["shim"]\n',
    "all of them": '[discover]\nwarnings = ["DeprecationWarning"]\nlogs = ["deprecated"]\npep702 = ["shim"]\n'
                   '[[target]]\nref = "TARGET"\n',
}


@pytest.mark.parametrize("filters", ["ignore", "error"])
@pytest.mark.parametrize("watching", WATCHED)
@pytest.mark.parametrize("case", CASES)
def test_a_use_is_counted_once_however_many_ways_there_are_to_see_it(
    tmp_path: Path, case: str, watching: str, filters: str
) -> None:
    definition, call, target, use = CASES[case]
    host = textwrap.dedent(f"""
        import warnings
        import shim
        warnings.simplefilter("{filters}")

        def go():
            for _ in range(3):
                try:
                    {call}
                except DeprecationWarning as error:
                    print(error)
        go()
    """)
    watched = run(tmp_path, host, config=WATCHED[watching].replace("TARGET", target),
                  shim=SHIM.format(definition=definition))
    counted: dict[tuple[str, str], int] = {}
    for item in watched.uses():
        counted[item.target, item.use] = counted.get((item.target, item.use), 0) + item.count
    armed = "target" in watching or watching == "all of them" or ("pep702" in watching and "decorated" in case)
    if armed:
        assert counted == {(target, use): 3}
    else:
        assert counted == {(target, "warning"): 3}


# -- counted while the name is read -------------------------------------------------------------------

MANY = """
    import functools
    import warnings
    from typing_extensions import deprecated

    WORDS = "words of the module's"

    def computed(message="computed() is deprecated"):
        warnings.warn(message, DeprecationWarning, stacklevel=2)

    def constant():
        warnings.warn(WORDS, DeprecationWarning, stacklevel=2)

    def two_ways(first):
        if first:
            warnings.warn("the first", DeprecationWarning, stacklevel=2)
        warnings.warn("the second", DeprecationWarning, stacklevel=2)

    def marked(name, words):
        @deprecated(words)
        def function():
            pass
        function.__wrapped__.__qualname__ = function.__qualname__ = name
        return function

    first, second, third = (marked(name, "same words") for name in ("first", "second", "third"))
    other_words = deprecated("other words")(first.__wrapped__)
    other_category = deprecated("same words", category=FutureWarning)(first.__wrapped__)

    def spread(*args, **kwargs):
        warnings.warn(*args, **kwargs)

    from warnings import warn

    def spread_by_name(*args, **kwargs):
        warn(*args, **kwargs)

    def answered():
        return warnings.warn("answered", DeprecationWarning, **{"stacklevel": 2})

    def named(name):
        import types
        code = compile(f"def {name}(warnings=warnings):\\n    warnings.warn('{name}', DeprecationWarning, stacklevel=2)", name, "exec")
        names = {"__name__": __name__, "warnings": warnings}
        exec(code, names)
        return names[name]

    def quiet():
        warnings.warn("no level", DeprecationWarning)

    def by_name(message="by name", warn=warnings.warn):
        warn(message, DeprecationWarning, stacklevel=2)
"""


def notes(watched: Run) -> dict[tuple[str, str, int], int]:
    with Store.current(watched.store) as store:
        return {(row.site.target.partition(":")[2], row.site.note, row.site.line): row.count for row in store.uses()}


def test_one_call_site_that_calls_many_wrappers_in_turn_counts_each_for_its_own(tmp_path: Path) -> None:
    watched = run(tmp_path, """
        import library_of_many as many

        def go(functions, times):
            for _ in range(times):
                for function in functions:
                    function()

        go([many.first], 30)
        go([many.first, many.second, many.third, many.other_words, many.other_category], 40)
        go([many.second], 20)
    """, library_of_many=textwrap.dedent(MANY))
    assert notes(watched) == {
        ("first", "DeprecationWarning: same words", 7): 70,
        ("second", "DeprecationWarning: same words", 7): 60,
        ("third", "DeprecationWarning: same words", 7): 40,
        ("first", "DeprecationWarning: other words", 7): 40,
    }


def test_what_a_variable_holds_is_looked_at_each_time(tmp_path: Path) -> None:
    watched = run(tmp_path, """
        import library_of_many as many

        def go(times):
            for number in range(times):
                many.computed()
                many.computed("even" if number % 2 == 0 else "odd")
                many.computed("".join(["al", "ways"]))
                many.constant()
                many.two_ways(number % 2)

        go(20)
        many.WORDS = "other words of the module's"
        go(20)
    """, library_of_many=textwrap.dedent(MANY))
    assert notes(watched) == {
        ("computed", "DeprecationWarning: computed() is deprecated", 6): 40,
        ("computed", "DeprecationWarning: even", 7): 20,
        ("computed", "DeprecationWarning: odd", 7): 20,
        ("computed", "DeprecationWarning: always", 8): 40,
        ("constant", "DeprecationWarning: words of the module's", 9): 20,
        ("constant", "DeprecationWarning: other words of the module's", 9): 20,
        ("two_ways", "DeprecationWarning: the first", 10): 20,
        ("two_ways", "DeprecationWarning: the second", 10): 40,
    }


@pytest.mark.parametrize("filters", ["error", "always"])
def test_a_call_that_spreads_its_arguments_is_made_without_a_frame_of_ours(tmp_path: Path, filters: str) -> None:
    watched = run(tmp_path, f"""
        import traceback, warnings
        import library_of_many as many
        warnings.simplefilter("{filters}")

        def go():
            for _ in range(5):
                for spread in {"many.spread, many.spread_by_name" if IN_C else "many.spread,"}:
                    try:
                        spread("spread", DeprecationWarning, stacklevel=2)
                    except DeprecationWarning:
                        print(traceback.format_exc())
                    try:
                        spread()
                    except TypeError:
                        print(traceback.format_exc())

        go()
        warnings.simplefilter("ignore")
        print(many.answered(), many.answered())
    """, library_of_many=textwrap.dedent(MANY))
    assert watched.total("library_of_many:spread") == 5
    assert watched.total("library_of_many:spread_by_name") == (5 if IN_C else 0)
    assert watched.total("library_of_many:answered") == 2


@pytest.mark.parametrize("wrapt", ["C", "Python"])
def test_a_warning_that_is_an_error_has_no_frame_of_ours_or_of_wrapts(tmp_path: Path, wrapt: str) -> None:
    watched = run(tmp_path, """
        import traceback, warnings
        import library
        warnings.simplefilter("error")
        for _ in range(3):
            for function in (library.keywords, library.third, library.through_helper, library.own_line):
                try:
                    function()
                except DeprecationWarning:
                    print(traceback.format_exc())
    """, environ={"WRAPT_DISABLE_EXTENSIONS": "1"} if wrapt == "Python" else {})
    assert {use.target: use.count for use in watched.uses()} == {
        f"library:{name}": 3 for name in ("keywords", "third", "through_helper", "own_line")}


def test_functions_of_one_name_are_told_apart(tmp_path: Path) -> None:
    watched = run(tmp_path, """
        import warnings
        import library_of_many as many
        functions = [many.named("same"), many.named("same"), many.named("different")]
        def a():
            for function in functions: function()
        def b():
            for function in functions: function()
        for _ in range(10):
            a()
            b()
    """, library_of_many=textwrap.dedent(MANY))
    assert notes(watched) == {(name, f"DeprecationWarning: {name}", line): count
                              for name, count in (("same", 20), ("different", 10)) for line in (6, 8)}


@pytest.mark.skipif(not IN_C, reason="there, every call is looked at from the start")
def test_a_program_that_never_warns_reads_what_is_in_warnings_as_without_the_agent(tmp_path: Path) -> None:
    watched = run(tmp_path, """
        import warnings
        import library
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
        print(type(warnings) is type(library))
    """)
    assert watched.uses() == []


def test_what_else_reads_the_name_in_a_function_that_warns_is_no_use(tmp_path: Path) -> None:
    watched = run(tmp_path, """
        import reading
        for _ in range(20):
            reading.asks()
            reading.imports()
    """, reading=textwrap.dedent("""
        import warnings

        def asks():
            warnings.warn("asks() is deprecated", DeprecationWarning, stacklevel=2)
            getattr(warnings, "warn")
            for name in "filters", "war" + "n":
                getattr(warnings, name)

        def imports():
            from warnings import warn as another
            warnings.warn("imports() is deprecated", DeprecationWarning, stacklevel=2)
    """))
    assert {use.target: use.count for use in watched.uses()} == {"reading:asks": 20, "reading:imports": 20}


def test_a_module_that_stands_in_for_warnings_may_lack_what_is_watched(tmp_path: Path) -> None:
    watched = run(tmp_path, """
        import sys, types, warnings
        import library, waiting
        library.own_line()
        sys.modules["warnings"] = types.ModuleType("warnings")
        waiting.rounds()
        sys.modules["warnings"].warn = print
        waiting.rounds()
        sys.modules["warnings"] = warnings
        library.own_line()
    """, environ={"LASTCALL_FLUSH_INTERVAL": "0.05"})
    assert watched.total("library:own_line") == 2


def test_warn_as_the_attribute_of_a_class_is_no_method(tmp_path: Path) -> None:
    watched = run(tmp_path, """
        import warnings
        class Thing:
            warn = warnings.warn
            explicit = warnings.warn_explicit
        def old():
            Thing().warn("old() is deprecated", DeprecationWarning, stacklevel=2)
        def older():
            Thing().explicit("older() is deprecated", DeprecationWarning, __file__, 1)
        for _ in range(20):
            old()
            older()
        print(type(warnings.warn), type(Thing().warn), callable(warnings.warn), warnings.warn.__call__("called"))
    """)
    assert {use.target: use.count for use in watched.uses()} == {"__main__:old": 20, "__main__:older": 20}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_counts_its_own(tmp_path: Path) -> None:
    watched = run(tmp_path, """
        import os
        import library_of_many as many

        def go():
            for _ in range(5):
                many.quiet()
                many.by_name()
                many.computed()
                many.first()
                many.two_ways(0)

        go()
        child = os.fork()
        go()
        if child:
            os.waitpid(child, 0)
    """, library_of_many=textwrap.dedent(MANY))
    assert {name: watched.total(f"library_of_many:{name}") for name in (
        "quiet", "by_name", "computed", "first", "two_ways")} == {
        "quiet": 15, "by_name": 15, "computed": 15, "first": 15, "two_ways": 15}


# -- a warning and a log record in one call -----------------------------------------------------------

TWICE = """
    import logging
    import warnings

    log = logging.getLogger("twice")
    log.addHandler(logging.NullHandler())

    def warns_first(loud=True):
        warnings.warn("old", DeprecationWarning, stacklevel=2)
        if loud:
            for _ in range(2):
                log.warning("deprecated, said twice")

    def logs_first():
        log.warning("deprecated")
        warnings.warn("old", DeprecationWarning, stacklevel=2)

    async def coroutine():
        warnings.warn("old", category=DeprecationWarning, stacklevel=2)
        log.warning("deprecated")

    class Thing:
        def method(self):
            '''Says it| twice.'''
            warnings.warn(
                "old", DeprecationWarning, 2
            )
            log.warning("deprecated %s", 1); return None

    def sometimes(loud):
        if loud:
            warnings.warn("old", DeprecationWarning, stacklevel=2)
        log.warning("deprecated")

    def other_category():
        warnings.warn("old", UserWarning, stacklevel=2)
        log.warning("deprecated")

    def own_line():
        warnings.warn("old", DeprecationWarning)
        log.warning("deprecated")

    def inside():
        def inner():
            log.warning("deprecated")
        warnings.warn("old", DeprecationWarning, stacklevel=2)
        inner()
"""


def test_a_log_record_beside_a_warning_of_the_same_call_is_no_second_use(tmp_path: Path) -> None:
    watched = run(tmp_path, """
        import asyncio
        import twice

        def go():
            for number in range(4):
                twice.warns_first()
                twice.warns_first(False)
                twice.logs_first()
                twice.Thing().method()
                twice.sometimes(number % 2)
                twice.other_category()
                twice.own_line()
                twice.inside()

        go()
        asyncio.run(twice.coroutine())
    """, twice=textwrap.dedent(TWICE).replace("|", "\n"))
    counted: dict[str, int] = {}
    for use in watched.uses():
        name = use.target.partition(":")[2]
        counted[name] = counted.get(name, 0) + use.count
    assert counted == {"warns_first": 8, "logs_first": 4, "Thing.method": 4, "sometimes": 6, "other_category": 4, "own_line": 8,
           "inside": 4, "inside.inner" if sys.version_info >= (3, 11) else "inner": 4, "coroutine": 1}


@pytest.mark.parametrize("filters", ["error", "always"])
def test_reading_a_call_says_nothing_of_odd_escapes_in_it(tmp_path: Path, filters: str) -> None:
    odd = TWICE + r"""
    def odd():
        warnings.warn("old \d", DeprecationWarning, stacklevel=2)
        pattern = "\d" + '\'' + r"\w\"
        log.warning("deprecated \d")
    """.replace(r'\w\"', r'\w\""')
    watched = run(tmp_path, f"""
        import sys, warnings
        warnings.simplefilter("ignore")
        import twice
        warnings.simplefilter("{filters}")

        def go():
            for _ in range(2):
                try:
                    twice.odd()
                except Warning as warning:
                    print(repr(warning))

        go()
    """, twice=textwrap.dedent(odd).replace("|", "\n"))
    assert watched.total("twice:odd") == 2


def test_warnings_that_name_their_place_are_counted_there(tmp_path: Path) -> None:
    world = World(tmp_path, {
        "library.py": """
            import sys, warnings
            from warnings import warn_explicit

            def elsewhere():
                warnings.warn_explicit("elsewhere", DeprecationWarning, "template.html", 7)

            def of_my_caller():
                frame = sys._getframe(1)
                warn_explicit(category=None, message=DeprecationWarning("mine"), filename=frame.f_code.co_filename,
                              lineno=frame.f_lineno, registry={})

            def fine():
                warnings.warn_explicit("fine", UserWarning, "template.html", 7)

            def wrong():
                warnings.warn_explicit("wrong", DeprecationWarning)
            """,
        "host.py": """
            import library, warnings
            for _ in range(3):
                library.elsewhere()
                library.of_my_caller()
                library.fine()
                try:
                    library.wrong()
                except TypeError as error:
                    print(error)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                library.of_my_caller()
            print([(str(one.message), one.filename.rpartition("/")[2], one.lineno) for one in caught])
            """,
        "lastcall.toml": DISCOVER,
    })  # fmt: skip
    plain, run = world.run(), world.run("auto")
    assert (run.out, run.err, run.code) == (plain.out, plain.err, plain.code)
    assert {(use.target, use.file, use.line): use.count for use in run.uses() if use.target != "library:wrong"} == {
        ("library:elsewhere", "library.py", 6): 3,
        ("library:of_my_caller", "host.py", 5): 3,
        ("library:of_my_caller", "host.py", 13): 1,
    }
    assert run.internal_errors() == {}


def test_instructions_that_share_an_address_are_told_apart(tmp_path: Path) -> None:
    """Before 3.11 a code object is smaller than its code, so that two instructions can be as far from its address."""
    numbers = range(8 if sys.version_info < (3, 11) else 1)
    own = "".join(f"def own_{n}():\n" + "    warnings.warn(f'own', DeprecationWarning)\n" * 100 for n in numbers)
    callers = "".join(f"def calls_{n}():\n" + "    warns()\n" * 100 for n in numbers)
    other = "def warns():\n    warnings.warn('warns', DeprecationWarning, stacklevel=2)\n"
    watched = run(tmp_path, """
        import warnings
        import library_of_many as many
        warnings.simplefilter("ignore")
        functions = [value for name, value in vars(many).items() if name.startswith(("own", "calls"))]
        for _ in range(12):
            for function in functions:
                function()
        ends = sorted((id(function.__code__), len(function.__code__.co_code)) for function in functions)
        shared = any(address + size > after for (address, size), (after, _) in zip(ends, ends[1:]))
        print(shared, file=open("shared", "w"))
    """, library_of_many="import warnings\n" + other + own + callers)
    counts = {(use.line, use.target): use.count for use in watched.uses()}
    assert set(counts.values()) == {12}
    assert len(counts) == 2 * 100 * len(numbers)
    shared = (tmp_path / "shared").read_text().strip()
    assert shared == str(sys.version_info < (3, 11)), "else the addresses are not as close as this test wants them"
