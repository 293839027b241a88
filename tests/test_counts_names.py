"""One function under several names of a class: each name is a target of its own, and has its own uses only."""

from __future__ import annotations

import sys

import pytest

from worlds import ENGINES, World

LEGACY = """
    class Manager:
        def value(self): return 1
        get_value = value
        @classmethod
        def make(cls): return cls()
        create = make
        @property
        def size(self): return 2
        length = size
        def read(self): return 3
        content = property(read)
        async def send(self): return 4
        emit = send
        def each(self): yield 5
        iterate = each
        def has_key(self, key): return key == 1
        __contains__ = has_key
    class Sub(Manager):
        mine = Manager.value
    class Visitor: pass
    def _nothing(self): return 6
    for name in ("visit_a", "visit_b", "visit_c"):
        setattr(Visitor, name, _nothing)
    del _nothing
    class Base:
        def __init__(self): self.made = True
    class Copied:
        __init__ = Base.__init__
    def of_a_module(self): return 7
    class Late:
        pass
    Late.method = of_a_module
    """

HOST = """
    import legacy
    m, s, v = legacy.Manager(), legacy.Sub(), legacy.Visitor()
    print(m.value(), s.value())
    print(m.get_value(), s.get_value())  # 2x Manager.get_value
    print(type(m.make()), type(s.make()))
    print(type(m.create()), type(s.create()))  # 2x Manager.create
    print(m.size)
    print(m.length)  # 1x Manager.length
    print(m.read())
    print(m.content)  # 1x Manager.content
    m.send().close()
    m.emit().close()  # 1x Manager.emit
    print(list(m.each()))
    print(list(m.iterate()))  # 1x Manager.iterate
    print(s.mine())  # 1x Sub.mine
    print(v.visit_a())  # 1x Visitor.visit_a
    print(v.visit_b())  # 1x Visitor.visit_b
    print(v.visit_c())  # 1x Visitor.visit_c
    print(legacy.Base().made)
    print(legacy.Copied().made)  # 1x Copied
    print(legacy.of_a_module(0))
    print(legacy.Late().method())  # 1x Late.method
    """


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_called_by_another_name_is_no_use_of_this_one(tmp_path, engine):
    marks = World(tmp_path, {"host.py": HOST, "legacy.py": LEGACY}).marks()
    names = dict.fromkeys(mark.expression for mark in marks)
    world = World(tmp_path, {"host.py": HOST, "legacy.py": LEGACY}, tuple(f"legacy:{name}" for name in names))

    plain, watched = world.run(), world.run(engine)

    assert (watched.out, watched.err, watched.code) == (plain.out, plain.err, plain.code)
    assert watched.internal_errors() == {}
    seen = [(use.line, use.target.removeprefix("legacy:"), use.count) for use in watched.uses()]
    assert merged(seen) == {(mark.line, mark.expression): mark.count for mark in marks}


@pytest.mark.parametrize("engine", ["auto", "inplace"])
def test_a_definition_is_used_by_all_its_names(tmp_path, engine):
    """As `from legacy import old as new` is a use of `old`: who deletes the definition breaks them all."""
    host = """
        import legacy
        m = legacy.Manager()
        print(m.value(), m.get_value(), legacy.Sub().mine(), 1 in m, m.has_key(1))
        """
    targets = "legacy:Manager.value", "legacy:Manager.has_key", "legacy:Manager.get_value"
    watched = World(tmp_path, {"host.py": host, "legacy.py": LEGACY}, targets).run(engine)
    assert watched.total("legacy:Manager.value") == 3
    assert watched.total("legacy:Manager.has_key") == 2
    assert watched.total("legacy:Manager.get_value") == 1


@pytest.mark.skipif("t" in sys.abiflags, reason="without a GIL reference counts do not say who holds a method")
def test_a_wrapper_under_one_name_is_no_proof_that_the_function_is_unused(tmp_path):
    host = "import legacy\nlegacy.Manager().get_value()\nlegacy.Late().method()\n"
    targets = "legacy:Manager.value", "legacy:Manager.make", "legacy:Manager.get_value", "legacy:Sub.mine", "legacy:Manager.read"
    watched = World(tmp_path, {"host.py": host, "legacy.py": LEGACY}, targets).run("wrapping")
    states = {ref.partition(":")[2]: state for ref, (state, _reason, _engine) in watched.states().items()}
    assert states == {"Manager.value": "partial", "Manager.make": "partial", "Manager.get_value": "armed",
                      "Sub.mine": "armed", "Manager.read": "partial"}


def test_a_wildcard_tells_them_apart_too(tmp_path):
    host = "import legacy\nm = legacy.Manager()\nm.value()\nm.get_value()\nm.size\nm.length\nm.read()\n"
    watched = World(tmp_path, {"host.py": host, "legacy.py": LEGACY}, ("legacy:Manager.*",)).run("auto")
    seen = {(use.line, use.target.removeprefix("legacy:Manager.")) for use in watched.uses()}
    assert seen == {(3, "value"), (4, "value"), (4, "get_value"), (5, "size"), (6, "size"), (6, "length"), (7, "read")}


@pytest.mark.parametrize("engine", ["auto", "inplace"])
def test_a_wildcard_wraps_no_function_that_a_class_only_borrows(tmp_path, engine):
    """structlog's loggers have `_nop` under the names of the levels that are off, and tests ask `is _nop`."""
    legacy = """
        def _nothing(self): return 6
        class Visitor: pass
        for name in ("visit_a", "visit_b"):
            setattr(Visitor, name, _nothing)
        class Other:
            borrowed = Visitor.visit_a
            def own(self): return 7
        """
    host = """
        import legacy
        print(legacy.Visitor.visit_a is legacy._nothing, legacy.Other.borrowed is legacy.Visitor.visit_b)
        print(legacy.Visitor().visit_a(), legacy.Other().own())
        """
    world = World(tmp_path, {"host.py": host, "legacy.py": legacy}, ("legacy:*.*",))
    plain, watched = world.run(), world.run(engine)
    assert (watched.out, watched.err, watched.code) == (plain.out, plain.err, plain.code)
    states = {ref.partition(":")[2]: (state, reason) for ref, (state, reason, _engine) in watched.states().items()}
    assert {name for name, (state, _) in states.items() if state == "failed"} == {
        "Visitor.visit_a", "Visitor.visit_b", "Other.borrowed"
    }
    assert "another name of legacy:_nothing" in states["Visitor.visit_a"][1]
    assert watched.total("legacy:Other.own") == 1


def test_a_class_that_another_class_has_under_a_name_is_not_used_by_that_name_where_it_is_made(tmp_path):
    legacy = """
        from collections import namedtuple
        class New:
            def __init__(self): pass
        class Settings:
            Old = New
            Pair = namedtuple("Pair", "a b")
            class Inner:
                def __init__(self): pass
        """
    host = "import legacy\nlegacy.New()\nlegacy.Settings.Old()\nlegacy.Settings.Inner()\nlegacy.Settings.Pair(1, 2)\n"
    targets = "legacy:Settings.Old", "legacy:Settings.Inner", "legacy:Settings.Pair"
    watched = World(tmp_path, {"host.py": host, "legacy.py": legacy}, targets).run("auto")
    assert [(use.line, use.target) for use in watched.uses()] == [(4, targets[1]), (5, targets[2])]
    state, reason, _engine = watched.states()[targets[0]]
    assert state == "failed"
    assert "cannot be seen" in reason


def test_of_a_class_in_c_that_has_a_constructor_of_its_own_reads_of_its_name_are_counted(tmp_path):
    host = "import _struct\nprint(_struct.Struct('i').size)\n"
    watched = World(tmp_path, {"host.py": host}, ("_struct:Struct",)).run("auto")
    assert (watched.out, watched.err) == ("4\n", "")
    state, reason, engine = watched.states()["_struct:Struct"]
    assert (state, engine) == ("partial", "names")
    assert "in C" in reason
    assert [(use.line, use.use, use.count) for use in watched.uses()] == [(2, "access", 1)]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_constructor_that_subclasses_share_is_not_its_own_caller(tmp_path, engine):
    """As aiohttp's `ResponseKey[str]("key")`: behind typing's frame the caller is looked for at each use."""
    legacy = """
        from typing import Generic, TypeVar
        T = TypeVar("T")
        class Key(Generic[T]):
            def __init__(self, name): self.name = name
        class AppKey(Key[T]): pass
        class RequestKey(Key[T]): pass
        """
    host = """
        import legacy
        def one(): legacy.AppKey[str]("a")
        def two(): legacy.RequestKey[str]("b")
        for turn in range(3):
            one()
            two()
            legacy.Key[int]("c")
        """
    targets = "legacy:Key", "legacy:AppKey", "legacy:RequestKey"
    watched = World(tmp_path, {"host.py": host, "legacy.py": legacy}, targets).run(engine)
    found = {(use.file, use.line, use.target[7:]): use.count for use in watched.uses()}
    lines = [(3, "AppKey"), (3, "Key"), (4, "RequestKey"), (4, "Key"), (8, "Key")]
    assert found == {("host.py", line, name): 3 for line, name in lines}


def merged(uses):
    found = {}
    for line, name, count in uses:
        found[line, name] = found.get((line, name), 0) + count
    return found
