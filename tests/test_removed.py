"""A removed target stays watched: whoever asks for it is found, and sees the error that it would have seen."""

from __future__ import annotations

import json
from collections import Counter

import pytest

import command_line
from lastcall.errors import internal_errors
from lastcall.importing import Finder, Wanted
from lastcall.store import Store
from lastcall.targets import Target
from worlds import World, plain_environment

PACKAGE = {
    "pkg/__init__.py": "",
    "pkg/legacy.py": "def kept():\n    return 1\n\n\nclass Kept:\n    def __init__(self):\n        self.value = 1\n",
    "pkg/lazy.py": "def __getattr__(name):\n    if name == 'gone':\n        return 5\n    raise AttributeError(name)\n",
}

HOST = """
    import importlib
    import traceback
    import pkg
    import pkg.legacy


    def reads():
        return pkg.legacy.gone


    def probes():
        return hasattr(pkg.legacy, "gone"), getattr(pkg.legacy, "gone", "absent")


    def imports_name():
        from pkg.legacy import gone


    def imports_from_package():
        from pkg import gone


    def imports_module():
        import pkg.departed


    def imports_deeper():
        from pkg.departed.deep.er import name


    def imports_top():
        import vanished.part as part


    def imports_dynamically():
        return importlib.import_module("pkg.departed")


    def imports_something_else():
        import pkg.never_was


    for action in (reads, reads, probes, imports_name, imports_from_package, imports_module, imports_deeper,
                   imports_top, imports_dynamically, imports_something_else):
        try:
            print(action())
        except Exception as error:
            traceback.print_exc()
            print(repr(error), getattr(error, "name", None), getattr(error, "path", None), error.__context__)
    """

GONE = ("pkg.legacy:gone", "pkg:gone", "pkg.departed", "pkg.departed.deep.er:name", "vanished.part:old")


def world(tmp_path, refs=GONE, host=HOST, removed='"2026-11-22"'):
    tables = "".join(f'[[target]]\nref = "{ref}"\nremoved = {removed}\n' for ref in refs)
    return World(tmp_path, {**PACKAGE, "host.py": host, "lastcall.toml": tables})


def findings(run):
    """How often each function asked for each target."""
    found = Counter()
    with Store.current(run.store) as store:
        for row in store.findings():
            assert row.finding.kind == "removed"
            found[row.finding.target, row.finding.site.function] += row.finding.count
    return found


@pytest.mark.parametrize("engine", ["auto", "wrapping", "inplace"])
def test_every_ask_is_found_and_fails_as_it_would_have(tmp_path, engine):
    asked = world(tmp_path)
    plain, watched = asked.run(), asked.run(engine)
    assert watched.out == plain.out
    assert watched.err == plain.err
    assert watched.internal_errors() == {}
    assert findings(watched) == {
        ("pkg.legacy:gone", "reads"): 2,
        ("pkg.legacy:gone", "probes"): 2,
        ("pkg.legacy:gone", "imports_name"): 1,
        ("pkg:gone", "imports_from_package"): 1,
        ("pkg.departed", "imports_module"): 1,
        ("pkg.departed", "imports_deeper"): 1,
        ("pkg.departed.deep.er:name", "imports_deeper"): 1,
        ("vanished.part:old", "imports_top"): 1,
        ("pkg.departed", "imports_dynamically"): 1,
    }
    assert {state for state, _, _ in watched.states().values()} == {"removed"}


def test_an_ask_has_its_line_and_its_stack(tmp_path):
    run = world(tmp_path, ("pkg.legacy:gone",)).run("auto")
    with Store.current(run.store) as store:
        row = next(r for r in store.uses() if r.site.function == "reads")
        assert (row.site.file, row.site.line, row.count, row.site.use) == ("host.py", 9, 2, "access")
        assert [frame.function for frame in row.site.stack] == ["reads", "<module>"]


def test_nobody_asks_and_nothing_is_found(tmp_path):
    run = world(tmp_path, host="import pkg.legacy\nprint(pkg.legacy.kept())\n").run("auto")
    assert findings(run) == {}
    assert run.uses() == []
    assert {state for state, _, _ in run.states().values()} == {"removed"}


def test_a_process_that_never_comes_near_says_so_too(tmp_path):
    run = world(tmp_path, host="print('nothing')\n").run("auto")
    assert run.states()["pkg.departed"][:2] == ("removed", "nobody has asked for it so far")


def test_what_is_said_to_be_removed_and_is_there_is_armed(tmp_path):
    host = (
        "from pkg.legacy import kept, Kept\nimport pkg.lazy\nprint(kept(), Kept() is None, pkg.lazy.gone)\n"
    )
    run = world(tmp_path, ("pkg.legacy:kept", "pkg.legacy:Kept", "pkg.lazy:gone"), host, "true").run("auto")
    assert {state for state, _, _ in run.states().values()} == {"armed"}
    assert "still there" in run.states()["pkg.legacy:kept"][1]
    assert run.total("pkg.legacy:kept") == 1
    assert findings(run) == {}


def test_a_name_that_somebody_puts_back_is_no_ask(tmp_path):
    host = "import pkg.legacy\npkg.legacy.gone = 7\nprint(pkg.legacy.gone)\n"
    run = world(tmp_path, ("pkg.legacy:gone",), host).run("auto")
    assert run.out == "7\n"
    assert findings(run) == {}


def test_a_member_of_a_class_cannot_be_watched_and_says_so(tmp_path):
    run = world(tmp_path, ("pkg.legacy:Kept.gone",), "import pkg.legacy\n").run("auto")
    state, reason, _ = run.states()["pkg.legacy:Kept.gone"]
    assert state == "failed"
    assert "member of a class" in reason


@pytest.mark.parametrize(
    ("value", "ref", "words"),
    [
        ('"soon"', "pkg.legacy:gone", "removed: 'soon' is not a date"),
        ("1", "pkg.legacy:gone", "removed: '1' is not a date"),
        ("true", "pkg.**:gone", "removed takes a target that is named in full"),
    ],
)
def test_a_removed_that_cannot_be_read_costs_one_line(tmp_path, value, ref, words):
    run = world(tmp_path, (ref,), "print('goes on')\n", value).run("auto")
    assert run.out == "goes on\n"
    assert words in run.err
    assert run.err.count("\n") == 1


def command(tmp_path, store, *arguments):
    return command_line.lastcall(*arguments, "--store", store, cwd=tmp_path, env=plain_environment())


def test_check_calls_an_ask_in_use_and_report_shows_it(tmp_path):
    run = world(tmp_path, ("pkg.legacy:gone",)).run("auto")
    checked = command(tmp_path, run.store, "check", "pkg.legacy:gone", "--format", "json")
    assert checked.returncode == 1, checked.stderr
    (verdict,) = json.loads(checked.stdout)["verdicts"]
    assert verdict["verdict"] == "in-use"
    assert "asked-for" in {reason["code"] for reason in verdict["reasons"]}
    report = json.loads(command(tmp_path, run.store, "report", "--format", "json").stdout)
    assert report["targets"][0]["state"] == "removed"
    assert {finding["kind"] for finding in report["findings"]} == {"removed"}
    assert "asked for pkg.legacy:gone, which is removed" in command(tmp_path, run.store, "report").stdout
    doctor = command(tmp_path, run.store, "doctor").stdout
    assert "removed" in doctor


def test_a_removed_target_that_nobody_asks_for_is_not_in_use(tmp_path):
    run = world(tmp_path, ("pkg.legacy:gone",), "import pkg.legacy\n").run("auto")
    checked = command(tmp_path, run.store, "check", "pkg.legacy:gone", "--format", "json")
    assert checked.returncode == 2
    (verdict,) = json.loads(checked.stdout)["verdicts"]
    assert {"never-armed", "not-armed"} & {reason["code"] for reason in verdict["reasons"]} == set()


def test_an_import_that_nobody_wants_still_costs_one_look():
    wanted = Wanted([Target("pkg.gone:old", removed="true")])

    class Trap(Wanted):
        def __call__(self, name):
            raise AssertionError(name)

    trap = Trap([])
    trap.names, trap.gone = wanted.names, wanted.gone
    finder = Finder(trap, lambda _module: None, internal_errors)
    finder.install()
    try:
        assert finder.find_spec("pkg.other") is None
        assert finder.find_spec("elsewhere") is None
    finally:
        finder.remove()
    assert wanted.gone == {"pkg", "pkg.gone"}
