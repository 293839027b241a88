"""Targets that nobody listed: markers, warnings and log records, in real interpreters; what the host prints stays."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lastcall.store import Store
from worlds import CHECKOUT, World

DISCOVER = '[discover]\nwarnings = ["DeprecationWarning"]\nlogs = ["deprecated"]\n'

LIBRARY = """
    import logging
    import warnings
    from typing_extensions import deprecated

    log = logging.getLogger(__name__)

    def old(name):
        warnings.warn(f"{name} is deprecated", DeprecationWarning, stacklevel=2)

    def helper(message, level=2):
        warnings.warn(message, DeprecationWarning, stacklevel=level + 1)

    def through_helper():
        helper("through_helper is 'very' old")

    def own_line():
        warnings.warn("no level", DeprecationWarning)

    def spread(*args):
        warnings.warn(*args)

    def subclass():
        warnings.warn(RemovedInNext("an instance"), stacklevel=2)

    def unrelated():
        warnings.warn("not a deprecation", UserWarning, stacklevel=2)

    class RemovedInNext(DeprecationWarning):
        pass

    def logs():
        log.warning("logs() is deprecated since %s", 3)

    def logs_other():
        log.warning("nothing special")

    @deprecated("use new")
    def marked():
        return 1

    class Holder:
        @deprecated("use other")
        def method(self):
            return 2

        def __init__(self):
            warnings.warn("Holder is deprecated", DeprecationWarning, 2)
"""

HOST = """
    import logging
    import library

    logging.basicConfig(format="%(levelname)s %(message)s %(funcName)s %(lineno)d")

    def go():
        for number in range(3):
            library.old("x%d" % number)
        library.through_helper()
        library.own_line()
        library.spread("spread is old", DeprecationWarning, 2)
        library.subclass()
        library.unrelated()
        library.logs()
        library.logs_other()
        library.marked()
        library.Holder().method()

    go()
"""


def world(folder: Path, config: str = DISCOVER, host: str = HOST, **environ: str) -> World:
    files = {"library.py": LIBRARY, "host.py": host, "lastcall.toml": config}
    return World(folder, files, environ={"LASTCALL_DEBUG": "1", **environ})


@pytest.mark.parametrize("filters", ["always", "default", "ignore", "error::UserWarning", "once"])
def test_the_host_prints_the_same_and_every_warning_is_counted_whatever_the_filters(tmp_path: Path, filters: str) -> None:
    host = world(tmp_path, PYTHONWARNINGS=filters)
    plain, watched = host.run(), host.run("auto")
    assert (watched.out, watched.err, watched.code) == (plain.out, plain.err, plain.code)
    counted = {use.target: use for use in watched.uses()}
    assert counted["library:old"].count == 3
    assert (counted["library:old"].file, counted["library:old"].line, counted["library:old"].function) == ("host.py", 9, "go")
    assert counted["library:through_helper"].line == 10
    assert (counted["library:own_line"].file, counted["library:own_line"].line) == ("library.py", 18)
    assert counted["library:spread"].line == 12
    assert counted["library:subclass"].line == 13
    assert "library:unrelated" not in counted
    assert watched.internal_errors() == {}
    if filters != "error::UserWarning":  # which ends the program at `unrelated`
        assert (counted["library:logs"].line, counted["library:logs"].use) == (15, "warning")
        assert "library:logs_other" not in counted
        assert counted["library:marked"].use == "warning"
        assert counted["library:Holder"].line == 18


def test_a_deprecation_that_is_turned_into_an_error_has_the_same_traceback(tmp_path: Path) -> None:
    host = world(tmp_path, PYTHONWARNINGS="error::DeprecationWarning")
    plain, watched = host.run(), host.run("auto")
    assert plain.code == 1
    assert (watched.err, watched.code) == (plain.err, plain.code)
    assert watched.total("library:old") == 1


def test_a_marked_callable_is_a_target_and_its_own_warning_is_no_second_use(tmp_path: Path) -> None:
    watched = world(tmp_path, DISCOVER + 'pep702 = ["library"]\n').run("auto")
    uses = {(use.target, use.use): use.count for use in watched.uses()}
    assert uses["library:marked", "call"] == 1
    assert uses["library:Holder.method", "call"] == 1
    assert ("library:marked", "warning") not in uses
    assert ("library:Holder.method", "warning") not in uses
    assert uses["library:Holder", "warning"] == 1


def test_messages_keep_their_template_and_none_of_their_arguments(tmp_path: Path) -> None:
    watched = world(tmp_path).run("auto")
    with Store.current(watched.store) as store:
        notes = {row.site.target: row.site.note for row in store.uses()}
    assert notes["library:old"] == "DeprecationWarning: {} is deprecated"
    assert notes["library:through_helper"] == "DeprecationWarning: through_helper is '{}' old"
    assert notes["library:logs"] == "logs() is deprecated since %s"


def test_a_target_that_warns_is_counted_once_as_a_call(tmp_path: Path) -> None:
    host = world(tmp_path)
    host.targets = ("library:old", "library:Holder")
    uses = {(use.target, use.use): use.count for use in host.run("auto").uses()}
    assert uses["library:old", "call"] == 3
    assert uses["library:Holder", "construct"] == 1
    assert ("library:old", "warning") not in uses
    assert ("library:Holder", "warning") not in uses


def test_warn_imported_by_name_before_the_agent_is_seen_too(tmp_path: Path) -> None:
    host = world(tmp_path, host="""
        import warnings
        from warnings import warn

        def old():
            warn("old", DeprecationWarning, stacklevel=2)

        import lastcall
        lastcall.start(discover={"warnings": ["DeprecationWarning"]})
        old()
    """)
    watched = host.run("auto", LASTCALL_ENABLED="", PYTHONPATH=str(CHECKOUT / "agent"))
    assert watched.total("__main__:old") == 1


MARKED = """
    from deprecate import deprecated as of_pydeprecate, void
    from deprecated import deprecated as of_deprecated
    from deprecation import deprecated as of_deprecation
    from typing_extensions import deprecated, overload

    @deprecated("use new()")
    def function(): return 1
    @deprecated("a class")
    class Class: pass
    class Holder:
        @deprecated("a method")
        def method(self): return 1
        @staticmethod
        @deprecated("a static method")
        def static(): return 2
        @property
        @deprecated("a property")
        def value(self): return 3
    @overload
    @deprecated("only this form")
    def form(x: int) -> int: ...
    @overload
    def form(x: str) -> str: ...
    def form(x): return x
    def new(x=1): return x
    @of_deprecated(version="1.0", reason="use new()")
    def by_deprecated(): return 1
    @of_deprecated("gone")
    class ByDeprecated: pass
    @of_deprecation(deprecated_in="1.0", details="use new")
    def by_deprecation(): return 2
    @of_pydeprecate(target=new, deprecated_in="0.1", remove_in="0.5")
    def by_pydeprecate(x=1): return void(x)
    """

MARKED_USES = """
    import warnings
    warnings.simplefilter("ignore")
    from lib import api
    print(api.function(), type(api.Class()).__name__, api.Holder().method(), api.Holder.static(), api.Holder().value)
    print(api.form(1), api.form("s"), api.by_deprecated(), type(api.ByDeprecated()).__name__, api.by_deprecation())
    print(api.by_pydeprecate(2))
    """


@pytest.mark.parametrize("besides", ["", 'warnings = ["DeprecationWarning", "FutureWarning"]\n'])
def test_the_markers_of_four_libraries_make_targets(tmp_path, besides):
    """And the warnings that these give make no second use, whatever else the wrapper holds (the replacement, say)."""
    world = World(tmp_path, {"lib/__init__.py": "", "lib/api.py": MARKED, "host.py": MARKED_USES,
                             "lastcall.toml": '[discover]\npep702 = ["lib.**"]\n' + besides})  # fmt: skip
    run = world.run("auto")
    assert run.err == ""
    assert run.out == world.run().out
    uses = {use.target: (use.count, use.expression) for use in run.uses()}
    once = ["function", "Class", "Holder().method", "Holder.static", "Holder().value", "by_deprecated", "ByDeprecated",
            "by_deprecation", "by_pydeprecate"]
    expected = {f"lib.api:{name.replace('()', '')}": (1, f"api.{name}") for name in once}
    found = {ref: value for ref, value in uses.items() if ref != "lib.api:form"}
    if sys.version_info < (3, 11):  # which keeps no columns: of two calls on a line it cannot say which is meant
        for name in ("value", "method"):
            assert found[f"lib.api:Holder.{name}"][0] == 1
            found[f"lib.api:Holder.{name}"] = expected[f"lib.api:Holder.{name}"]
    assert found == expected
    with Store.current(run.store) as store:
        instead = {info.ref: info.replacement for info in store.targets()}
    assert instead["lib.api:function"] == instead["lib.api:by_deprecated"] == "new"
    assert instead["lib.api:by_pydeprecate"] == "lib.api.new"
    assert instead["lib.api:Class"] == ""
    # Which overload a call means is known to a type checker alone: the whole function is the target.
    assert run.total("lib.api:form") == 2


MARKED_ODDLY = """
    from typing_extensions import deprecated

    class Lazy:
        def __getattribute__(self, name):
            print("asked for", name)
            return object.__getattribute__(self, name)
        def __call__(self): pass
        @property
        def __class__(self):
            print("asked what it is")
            return int
    lazy = Lazy()

    @deprecated("a base")
    class Base:
        def __init__(self, x=1): self.x = x
    class Derived(Base): pass

    @deprecated("with a constructor")
    class Own:
        def __new__(cls, *args): return super().__new__(cls)
        def __init_subclass__(cls, **options): super().__init_subclass__(**options)

    @deprecated("one thing")
    def name(): return 1
    other_name = name
    """


def test_markers_leave_lazy_objects_lazy_and_mark_each_thing_once(tmp_path: Path) -> None:
    """A class that was subclassed in its own module has warned before anybody could watch its constructor."""
    uses = """
        import warnings
        warnings.simplefilter("ignore")
        from lib import api
        print(api.Base(2).x)
        print(api.Derived(3).x)
        print(type(api.Own()).__name__)
        print(api.other_name())
        """
    config = '[discover]\npep702 = ["lib.**"]\nwarnings = ["DeprecationWarning"]\n'
    world = World(tmp_path, {"lib/__init__.py": "", "lib/api.py": MARKED_ODDLY, "host.py": uses, "lastcall.toml": config})
    plain, watched = world.run(), world.run("auto")
    assert (watched.out, watched.err) == (plain.out, plain.err)
    counted = [(use.target, use.use, use.line) for use in watched.uses() if use.file == "host.py"]
    assert counted == [
        ("lib.api:Base", "construct", 5), ("lib.api:Base", "construct", 6),
        ("lib.api:Own", "construct", 7), ("lib.api:name", "call", 8),
    ]  # fmt: skip
    assert set(watched.states()) == {"lib.api:Base", "lib.api:Own", "lib.api:name"}


def test_names_that_no_code_can_spell_make_no_targets(tmp_path: Path) -> None:
    """Pydantic puts a class `Model[int]` among the names of the module in which that was first written."""
    api = """
        from typing_extensions import deprecated
        class Model:
            def read(self): return 1
        named = deprecated("by nobody")(type("Model[int]", (Model,), {"__module__": __name__}))
        globals()["Model[int]"] = globals()["*"] = named
        globals()[1] = setattr(Model, "a.b", deprecated("a part")(lambda self: 1))
        del named
        @deprecated("old")
        def old(): return Model().read()
        """
    config = '[discover]\npep702 = ["lib.**"]\n'
    files = {"lib/__init__.py": "", "lib/api.py": api, "host.py": "from lib import api\nprint(api.old())\n", "lastcall.toml": config}
    world = World(tmp_path, files, targets=("lib.**:*", "lib.**:*.*"), environ={"PYTHONWARNINGS": "ignore"})
    plain, watched = world.run(), world.run("auto")
    assert (watched.out, watched.err, watched.internal_errors()) == (plain.out, plain.err, {})
    assert set(watched.states()) == {"lib.**:*", "lib.**:*.*", "lib.api:Model", "lib.api:Model.read", "lib.api:old"}
    assert watched.total("lib.api:old") == watched.total("lib.api:Model.read") == 1


def test_a_wildcard_leaves_lazy_objects_lazy_too(tmp_path: Path) -> None:
    files = {"lib/__init__.py": "", "lib/api.py": MARKED_ODDLY, "host.py": "from lib import api\nprint(api.name())\n"}
    world = World(tmp_path, files, targets=("lib.**:*",), environ={"PYTHONWARNINGS": "ignore"})
    plain, watched = world.run(), world.run("auto")
    assert (watched.out, watched.err) == (plain.out, plain.err)
    assert watched.total("lib.api:name") == 1


def test_a_decorators_wrapper_that_blames_its_own_line_is_counted_for_what_it_wraps(tmp_path: Path) -> None:
    """scikit-learn's `deprecated` is such: a warning without a `stacklevel`."""
    library = """
        import functools
        import warnings

        def old_way(function):
            @functools.wraps(function)
            def wrapped(*args, **kwargs):
                warnings.warn("Function is deprecated; " + wrapped.__name__, category=FutureWarning)
                return function(*args, **kwargs)
            return wrapped

        @old_way
        def sparse():
            return 1
        """
    host = "import warnings\nwarnings.simplefilter('ignore')\nimport library\nfor _ in range(3): library.sparse()\n"
    config = '[discover]\nwarnings = ["FutureWarning"]\n'
    watched = World(tmp_path, {"library.py": library, "host.py": host, "lastcall.toml": config}).run("auto")
    assert [(use.target, use.file, use.count) for use in watched.uses()] == [("library:sparse", "library.py", 3)]
