"""Who holds a target at run time: under which name, from which line; and nothing of the host's runs for it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lastcall import agent
from lastcall.store import Store
from worlds import World

LEGACY = """
    def make(mode=None):
        return mode

    class Manager:
        def send(self):
            return 1
"""

HOST = """
    import collections
    import ctypes
    import functools
    import legacy, sys
    from legacy import make as build
    sys.modules["vendored.legacy"] = legacy  # one module under two names is no second holder
    from between import passed_on

    class Loud(type):
        def __getattribute__(cls, name):
            print("a metaclass ran for", name)
            return type.__getattribute__(cls, name)

    class Odd(metaclass=Loud):
        held = build

    class Key(str):
        __hash__ = str.__hash__

        def __eq__(self, other):
            print("compared")
            return self is other

        def __repr__(self):
            print("spelled")
            return "key"

    class Proxy:
        def __getattribute__(self, name):
            print("a proxy was asked for", name)
            return getattr(build, name)

    proxy = Proxy()
    by_name = {"a": build, 7: build}
    by_odd_key = {Key("x"): build}
    nested = {"outer": {"inner": [build]}}
    listed, fixed, some = [0, build], (build,), {build}
    counted = collections.defaultdict(list, d=build)
    ready = functools.partial(build, 1)
    mapped = functools.partial(map, build)
    bound = {"b": legacy.Manager().send}

    def with_defaults(a, b=build, *, c=build):
        return a

    def enclosing():
        inner_name = build
        return lambda: inner_name()

    closed = enclosing()

    class Holder:
        attribute = build
        static = staticmethod(build)
        table = {"t": build}

        def method(self, b=build):
            return b

    def incomplete():
        "A class in C as BTrees' iterators are: Python makes it whole when somebody asks it for an attribute."
        room = (ctypes.c_ssize_t * type.__basicsize__)(*[1 << 20, id(type), 0, ctypes.addressof(class_name), 16])
        return room, ctypes.cast(room, ctypes.py_object).value

    class_name = ctypes.create_string_buffer(b"made.Iterator")
    if object.__basicsize__ == 16:  # elsewhere an object begins otherwise
        room, Iterator = incomplete()

    later = {}
"""
BETWEEN = """
    from legacy import *
    from legacy import make as passed_on
"""
WAIT = """
    import waiting
    waiting.rounds()
    later["z"] = build
"""


def held(tmp_path: Path, host: str, between: str = BETWEEN) -> dict[str, tuple[str, int, str]]:
    config = '[[target]]\nref = "legacy:make"\n[[target]]\nref = "legacy:Manager.send"\n'
    files = {"legacy.py": LEGACY, "between.py": between, "host.py": host, "lastcall.toml": config}
    world = World(tmp_path, files, environ={"LASTCALL_DEBUG": "1", "LASTCALL_FLUSH_INTERVAL": "0.02"})
    plain, watched = world.run(), world.run("auto")
    assert (watched.out, watched.err, watched.code) == (plain.out, plain.err, plain.code)
    assert watched.internal_errors() == {}
    with Store.current(watched.store) as store:
        return {row.reference.name: (row.reference.file, row.reference.line, row.reference.how) for row in store.references()}


def line_of(source: str, text: str) -> int:
    return next(number for number, line in enumerate(source.split("\n"), 1) if text in line)


def test_every_way_to_hold_a_target_is_found_with_its_line(tmp_path: Path) -> None:
    found = held(tmp_path, HOST)
    expected = {
        "build": ("from legacy import make as build", "module"),
        "Odd.held": ("class Odd", "class"),
        "by_name['a']": ("by_name", "registry"),
        "by_name[7]": ("by_name", "registry"),
        "by_odd_key[...]": ("by_odd_key", "registry"),
        "nested['outer']['inner'][0]": ("nested", "registry"),
        "listed[1]": ("listed", "registry"),
        "fixed[0]": ("listed", "registry"),
        "some[...]": ("listed", "registry"),
        "counted['d']": ("counted", "registry"),
        "ready.func": ("ready", "partial"),
        "mapped.args[0]": ("mapped", "partial"),
        "bound['b'].__func__": ("bound =", "bound"),
        "with_defaults.__defaults__[0]": ("def with_defaults", "default"),
        "with_defaults.__kwdefaults__['c']": ("def with_defaults", "default"),
        "closed.__closure__['inner_name']": ("closed = ", "closure"),
        "Holder.attribute": ("class Holder", "class"),
        "Holder.static": ("class Holder", "class"),
        "Holder.table['t']": ("class Holder", "registry"),
        "Holder.method.__defaults__[0]": ("class Holder", "default"),
    }
    for name, (text, how) in expected.items():
        assert found[name] == ("host.py", line_of(HOST, text), how), name
    assert found["make"] == ("between.py", 2, "module")
    assert "proxy" not in found


def test_what_re_exports_hands_on_is_found_in_every_module_of_the_chain(tmp_path: Path) -> None:
    found = held(tmp_path, HOST)
    assert found["passed_on"][2] == "module"


def test_a_registry_that_fills_later_is_looked_at_again(tmp_path: Path) -> None:
    assert "later['z']" in held(tmp_path, HOST + WAIT)
    waits = HOST + WAIT + f"    waiting.rounds({agent._LOOK_EVERY})\n    del later['z']\n"
    assert "later['z']" in held(tmp_path, waits)


def test_what_a_registry_holds_is_found_though_no_module_is_loaded_meanwhile_and_none_ends(tmp_path: Path) -> None:
    files = {"legacy.py": LEGACY, "host.py": """
        import os, signal
        import legacy, waiting
        later = {}
        waiting.rounds(2)
        later["z"] = legacy.make
        waiting.rounds(30)
        os.kill(os.getpid(), signal.SIGKILL)
        """}
    world = World(tmp_path, files, targets=("legacy:make",), environ={"LASTCALL_FLUSH_INTERVAL": "0.005"})
    watched = world.run("auto")
    assert (watched.out, watched.err) == ("", "")
    with Store.current(watched.store) as store:
        assert "later['z']" in {row.reference.name for row in store.references()}


@pytest.mark.skipif(sys.version_info < (3, 15), reason="lazy import statements came with 3.15")
def test_what_is_still_to_be_imported_is_held_too_and_what_a_frozendict_has(tmp_path: Path) -> None:
    """By then it is loaded or not, and is the target itself or a name of it in another module."""
    files = {
        "legacy.py": LEGACY,
        "other.py": "def never():\n    pass\n",
        "hands_on.py": "lazy from legacy import make as handed\n",
        "holds.py": """
            lazy from legacy import make as kept
            lazy from other import never
            lazy from hands_on import handed
            lazy from hands_on import nothing
            """,
        "host.py": """
            import holds, hands_on, waiting
            waiting.rounds()
            import legacy
            waiting.rounds()
            hands_on.handed()
            frozen = frozendict(a=legacy.make)
            waiting.rounds()
            """,
    }
    world = World(tmp_path, files, targets=("legacy:make", "other:never"), environ={"LASTCALL_FLUSH_INTERVAL": "0.02"})
    plain, watched = world.run(), world.run("auto")
    assert (watched.out, watched.err, watched.code) == (plain.out, plain.err, plain.code)
    with Store.current(watched.store) as store:
        found = {(row.reference.target, row.reference.module, row.reference.name, row.reference.line) for row in store.references()}
    assert found == {
        ("legacy:make", "holds", "kept", 2), ("other:never", "holds", "never", 3), ("legacy:make", "holds", "handed", 4),
        ("legacy:make", "hands_on", "handed", 1), ("legacy:make", "__main__", "frozen['a']", 7),
    }  # fmt: skip
