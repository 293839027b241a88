"""Targets in a script that another program runs as `__main__`, and names that are defined when no import runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from lastcall.store import Store
from worlds import Run, World

SCRIPT = """
    class Old:
        def method(self):
            return 1

    def old():
        return 2

    def main():
        print(old(), Old().method())

    if __name__ == "__main__":
        main()
        old()
"""
LAUNCHERS = {
    "runpy": "import runpy; runpy.run_path('script.py', run_name='__main__')",
    # as coverage, cProfile from 3.12 on, IPython and debuggers do
    "exec": (
        "import sys, types\n"
        "text = open('script.py').read()\n"
        "sys.modules['__main__'] = module = types.ModuleType('__main__')\n"
        "module.__file__ = 'script.py'\n"
        "exec(compile(text, 'script.py', 'exec'), vars(module))\n"
    ),
}
FAST = {"LASTCALL_DEBUG": "1", "LASTCALL_FLUSH_INTERVAL": "0.1"}


def both(world: World) -> Run:
    """The program's run with the agent, which came out as the one without it did."""
    plain, watched = world.run(), world.run("auto")
    assert (watched.out, watched.err, watched.code) == (plain.out, plain.err, plain.code)
    assert watched.internal_errors() == {}
    return watched


def states(run: Run) -> dict[str, str]:
    with Store.current(run.store) as store:
        return {row.state.ref: row.state.state for row in store.states() if row.until is None}


@pytest.mark.parametrize("launcher", LAUNCHERS.values(), ids=LAUNCHERS)
def test_a_script_that_a_program_runs_is_counted_and_may_run_again(tmp_path: Path, launcher: str) -> None:
    targets = ("__main__:old", "__main__:Old.method")
    watched = both(World(tmp_path, {"host.py": launcher, "script.py": SCRIPT}, targets, environ=FAST))
    assert (watched.total("__main__:old"), watched.total("__main__:Old.method")) == (2, 1)
    assert "armed" not in states(watched).values()  # a second run of it would be seen late


def test_the_pieces_of_a_notebook_are_one_script(tmp_path: Path) -> None:
    """A cell runs as code of its own in a module that is there for all of them."""
    cells = (
        "import sys, types\n"
        "sys.modules['__main__'] = module = types.ModuleType('__main__')\n"
        "for cell in ('first = 1', 'def old(): return first', 'old(); old()', 'async def late(): pass',\n"
        "             'late().close(); [old() for _ in range(3)]', 'print(sorted(globals()), sys.gettrace())'):\n"
        "    exec(compile('import sys; ' * cell.startswith('print') + cell, 'cell', 'exec'), vars(module))\n"
    )
    watched = both(World(tmp_path, {"host.py": cells}, ("__main__:old", "__main__:late"), environ=FAST))
    assert (watched.total("__main__:old"), watched.total("__main__:late")) == (5, 1)


def test_what_a_notebook_defines_anew_is_seen_within_a_flush_interval(tmp_path: Path) -> None:
    cells = (
        "import sys, types, waiting\n"
        "sys.modules['__main__'] = module = types.ModuleType('__main__')\n"
        "for turn in range(3):\n"
        "    exec(compile('def old(): return 1', 'cell', 'exec'), vars(module))\n"
        "    waiting.rounds()\n"
        "    print(module.old())\n"
    )
    watched = both(World(tmp_path, {"host.py": cells}, ("__main__:old",), environ=FAST))
    assert watched.total("__main__:old") == 3
    assert states(watched) == {"__main__:old": "partial"}


LEGACY = """
    def define():
        global old, Old
        def old():
            return 1
        class Old:
            def __init__(self):
                self.made = True
"""


def test_what_a_module_defines_after_its_import_is_met_within_a_flush_interval(tmp_path: Path) -> None:
    host = "import legacy, waiting\nlegacy.define()\nwaiting.rounds()\nprint(legacy.old(), legacy.Old().made)\n"
    targets = ("legacy:old", "legacy:Old", "legacy:gone", "legacy:Old.gone")
    watched = both(World(tmp_path, {"host.py": host, "legacy.py": LEGACY}, targets, environ=FAST))
    assert (watched.total("legacy:old"), watched.total("legacy:Old")) == (1, 1)
    assert states(watched) == {
        "legacy:old": "partial", "legacy:Old": "partial", "legacy:gone": "missing", "legacy:Old.gone": "missing",
    }  # fmt: skip


def test_what_a_test_puts_where_nothing_was_is_left_alone(tmp_path: Path) -> None:
    host = "import legacy, waiting\ndef fake(): return 1\nlegacy.old = fake\nwaiting.rounds()\nprint(legacy.old is fake, fake())\n"
    watched = both(World(tmp_path, {"host.py": host, "legacy.py": LEGACY}, ("legacy:old",), environ=FAST))
    assert (watched.total("legacy:old"), states(watched)) == (0, {"legacy:old": "missing"})


def test_a_module_that_takes_anothers_place_is_met_though_there_are_no_more_modules(tmp_path: Path) -> None:
    host = (
        "import sys, types, legacy, waiting\n"
        "print(legacy.old())\n"
        "waiting.rounds()\n"
        "other = types.ModuleType('legacy')\n"
        "exec(compile('def old(): return 2', 'other.py', 'exec'), vars(other))\n"
        "sys.modules['legacy'] = other\n"
        "waiting.rounds()\n"
        "print(other.old(), legacy.old())\n"
    )
    watched = both(World(tmp_path, {"host.py": host, "legacy.py": "def old():\n    return 1\n"}, ("legacy:old",), environ=FAST))
    assert (watched.total("legacy:old"), states(watched)) == (3, {"legacy:old": "partial"})


def test_a_module_that_takes_anothers_place_at_the_last_moment_is_no_armed_one(tmp_path: Path) -> None:
    host = (
        "import sys, types, legacy\n"
        "print(legacy.old())\n"
        "sys.modules['legacy'] = other = types.ModuleType('legacy')\n"
        "exec(compile('def old(): return 2', 'other.py', 'exec'), vars(other))\n"
        "print(other.old())\n"
    )
    environ = {**FAST, "LASTCALL_FLUSH_INTERVAL": "600"}
    watched = both(World(tmp_path, {"host.py": host, "legacy.py": "def old():\n    return 1\n"}, ("legacy:old",), environ=environ))
    assert (watched.total("legacy:old"), states(watched)) == (1, {"legacy:old": "partial"})


def test_our_thread_leaves_alone_what_the_script_is_watched_for(tmp_path: Path) -> None:
    host = """
        import waiting

        def define():
            global old
            def old():
                return 1
            waiting.rounds()

        define()
        print(old())
    """
    watched = both(World(tmp_path, {"host.py": host}, ("__main__:old",), environ=FAST))
    assert watched.total("__main__:old") == 1
    with Store.current(watched.store) as store:
        assert "partial" not in {row.state.state for row in store.states()}


def test_a_failure_of_ours_while_a_script_is_watched_is_not_the_scripts(tmp_path: Path) -> None:
    host = (
        "import os, sys, runpy\n"
        "def broken(*given): raise ValueError('broken on purpose')\n"
        "if os.environ.get('LASTCALL_ENABLED'): sys.modules['lastcall.mainscript']._Script._look_up = broken\n"
        "runpy.run_path('script.py', run_name='__main__')\n"
    )
    world = World(tmp_path, {"host.py": host, "script.py": SCRIPT}, ("__main__:old",), environ={"LASTCALL_FLUSH_INTERVAL": "0.1"})
    plain, watched = world.run(), world.run("auto")
    assert (watched.out, watched.err, watched.code) == (plain.out, plain.err, plain.code) == ("2 1\n", "", 0)
    assert set(watched.internal_errors()) == {"mainscript"}


NAMESPACES = {
    # as cProfile before 3.12 does, and trace
    "of its own": (
        ("names = {'__name__': '__main__', '__file__': 'script.py'}\n"
        "exec(compile(open('script.py').read(), 'script.py', 'exec'), names)\n"),
        "pending", "another program ran its script, in a namespace that is no module's",
    ),
    "of the launcher, which traces": (
        ("import sys\n"
        "def main():\n"
        "    sys.settrace(lambda *given: None)\n"
        "    text, names = open('script.py').read(), globals()\n"
        "    exec(compile(text, 'script.py', 'exec'), names)\n"
        "    sys.settrace(None)\n"
        "    for name in ('old', 'Old'): del names[name]\n"
        "main()\n"),
        "missing", "the script has no old; one that another program runs (pdb, trace) cannot be seen",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("launcher", "state", "reason"), NAMESPACES.values(), ids=NAMESPACES)
def test_a_script_that_cannot_be_seen_is_not_said_to_lack_the_target(tmp_path: Path, launcher: str, state: str, reason: str) -> None:
    environ = {**FAST, "LASTCALL_FLUSH_INTERVAL": "60"}
    watched = both(World(tmp_path, {"host.py": launcher, "script.py": SCRIPT}, ("__main__:old",), environ=environ))
    assert watched.out.split() == ["2", "1"]
    assert watched.states()["__main__:old"][:2] == (state, reason)
