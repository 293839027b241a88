"""A use is counted once, however often its target is matched, named or armed."""

from __future__ import annotations

import sys

import pytest

from worlds import ENGINES, World

LEGACY = """
    class Base:
        def __init__(self, x=0): pass
        def meth(self): pass
        @property
        def size(self): return 2

    class Old(Base): pass
    class Error(Exception): pass

    if "kept" not in globals():
        def kept(x=0, mode=1): return x
        class Kept(Base): pass
        class Tool(Base):
            def __init__(self, x=0, mode=1): pass
            def run(self, mode=1): pass
            def each(self): yield 1
        async def late(): pass
    """
USES = {
    "legacy.Old()": {"legacy:Old", "legacy:Base"},
    "legacy.Error()": {"legacy:Error"},
    "old.meth()": {"legacy:Old.meth"},
    "old.size": {"legacy:Old.size"},
    "legacy.kept(1, mode=2)": {"legacy:kept", "legacy:kept(mode=)"},
    "legacy.kept(**{'mode': 2})": {"legacy:kept", "legacy:kept(mode=)"},
    "legacy.Kept()": {"legacy:Kept", "legacy:Base"},
    "legacy.Tool(mode=2)": {"legacy:Tool", "legacy:Tool(mode=)"},
    "tool.run(mode=3)": {"legacy:Tool.run", "legacy:Tool.run(mode=)"},
    "list(tool.each())": {"legacy:Tool.each"},
    "legacy.late().close()": {"legacy:late"},
    "import legacy": {"legacy"},
}
NAMED = sorted(set().union(*USES.values()))
WILD = ["leg*", "leg*:*", "leg*:O*.*", "*egacy:Tool.*", "*egacy:*(mode=)", "*egacy:Tool.*(m*=)"]


def counted(world: World, engine: str) -> dict[str, dict[int, int]]:
    """How often each line used each target."""
    run = world.run(engine)
    assert run.err == ""
    assert run.internal_errors() == {}
    found: dict[str, dict[int, int]] = {}
    for use in run.uses():
        found.setdefault(use.target, {})[use.line] = use.count
    return found


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("targets", [(*NAMED, *WILD), (*WILD, *reversed(NAMED), *WILD)], ids=["first", "last"])
def test_a_target_that_wildcards_match_as_well_and_whose_module_keeps_it_when_it_is_run_again(tmp_path, engine, targets):
    head = "import legacy, importlib\nold, tool = legacy.Old(), legacy.Tool()\n"
    host = head + "\n".join(USES) + "\nimportlib.reload(legacy)\n" + "\n".join(USES) + "\n"
    found = counted(World(tmp_path, {"legacy.py": LEGACY, "host.py": host}, targets), engine)
    expected: dict[str, dict[int, int]] = {"legacy": {1: 1}, "legacy:Base": {2: 1}, "legacy:Old": {2: 1}, "legacy:Tool": {2: 1}}
    for start in (3, 3 + len(USES) + 1):
        for line, names in enumerate(USES.values(), start):
            for name in names:
                expected.setdefault(name, {})[line] = 1
    assert {name: uses for name, uses in found.items() if name in expected} == expected


@pytest.mark.parametrize("engine", ENGINES)
def test_a_function_and_its_argument_that_are_named_matched_and_captured(tmp_path, engine):
    """Captured before it was armed, the function was watched in place, and when the wildcard came it was wrapped, too."""
    world = World(tmp_path, {
        "legacy.py": "def old(x=0, mode=3):\n    return x\n\nimport taking\n",
        "taking.py": "import legacy\nTAKEN = dict(old=legacy.old)\n",
        "host.py": "import legacy, taking\nlegacy.old()\ntaking.TAKEN['old'](1)\nlist(map(legacy.old, [1]))\nlegacy.old(mode=2)\n",
    }, ("legacy:old", "legacy:old(mode=)", "*gacy:o*"))
    found = counted(world, engine)
    assert found == {"legacy:old": dict.fromkeys((2, 3, 4, 5), 1), "legacy:old(mode=)": {5: 1}}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("order", [("legacy:Base", "legacy:Old"), ("legacy:Old", "legacy:Base")], ids=["base", "heir"])
def test_a_class_whose_inherited_constructor_is_a_target_too(tmp_path, engine, order):
    """The base's own is wrapped, since it was named: what lies in the wrapper can be watched all the same."""
    host = "import legacy\nlegacy.Old(1)\nlegacy.Base()\nclass Sub(legacy.Old): pass\nSub()\n"
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": host}, order)
    found = counted(world, engine)
    assert found == {"legacy:Old": {2: 1, 5: 1}, "legacy:Base": {2: 1, 3: 1, 5: 1}}
    # free-threaded builds do not tell who holds what only a wrapper sees
    states = {"armed", "partial"} if "t" in sys.abiflags and engine == "wrapping" else {"armed"}
    assert {state for state, _, _ in world.run(engine).states().values()} <= states
