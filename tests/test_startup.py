"""Switching the agent on, in real interpreters: the four ways of doing it, and everything that can be odd about them."""

from __future__ import annotations

import ast
import json
import stat
import subprocess
import sys
import textwrap
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

import interpreters
from hosts import CHECKOUT, TARGET, Host, make_host, make_venv
from lastcall.store import Store
from worlds import wrapt_in_c

OUTPUT = "1\n2\n3\n"
ON = {"LASTCALL_ENABLED": "1"}
BY_PATH = {**ON, "PYTHONPATH": str(CHECKOUT)}
MODULES = "import sys; print(sorted(sys.modules))"
READS_START_FILES = sys.version_info >= (3, 15)
"""Whether Python reads `.start` files (PEP 829): for that it loads `pkgutil`, and all that this needs, at each start."""


@pytest.fixture(scope="module")
def venvs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Interpreters with Lastcall installed, without it, and with nothing at all."""
    root = tmp_path_factory.mktemp("venvs")
    return {
        "installed": make_venv(root / "installed"),
        "absent": make_venv(root / "absent", installed=False),
        "bare": make_venv(root / "bare", installed=False, packages=False),
    }


@pytest.fixture
def host(tmp_path: Path, venvs: dict[str, str]) -> Host:
    """A host whose environment has Lastcall installed."""
    return make_host(tmp_path / "host", venvs["installed"])


@pytest.fixture
def stranger(tmp_path: Path, venvs: dict[str, str]) -> Host:
    """A host whose environment has wrapt, but no Lastcall."""
    return make_host(tmp_path / "host", venvs["absent"])


# -- the switch -------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["", "0", "false"])
def test_switched_off_the_interpreter_starts_with_exactly_the_modules_it_has_without_lastcall(
    host: Host, stranger: Host, value: str
) -> None:
    own = host.run("python", "-c", MODULES, LASTCALL_ENABLED=value)
    if not READS_START_FILES:
        assert own == stranger.run("python", "-c", MODULES)
        return
    # What Python itself loads for a `.start` file of anybody's, and the package that ours names, with nothing in it.
    start_file = _site_packages(stranger.python) / "anybody.start"
    start_file.write_text("sys:getrecursionlimit\n")
    theirs = stranger.run("python", "-c", MODULES)
    start_file.unlink()
    assert (own.err, own.code, set(ast.literal_eval(own.out)) - set(ast.literal_eval(theirs.out))) == ("", 0, {"lastcall"})


def test_switched_off_nothing_is_stored(host: Host) -> None:
    assert host.app().out == OUTPUT
    assert not host.store.parent.exists()


def test_installed_the_start_up_file_starts_the_agent(host: Host) -> None:
    run = host.app(**ON)
    assert (run.out, run.err, run.code) == (OUTPUT, "", 0)
    assert host.uses() == 3


CONSOLE_SCRIPT = "#!{}\n# -*- coding: utf-8 -*-\nimport sys\nfrom lastcall.cli import main\nif __name__ == '__main__':\n    sys.exit(main())\n"


@pytest.mark.parametrize(
    "words",
    [("python", "-m", "lastcall"), ("python", "-X", "utf8", "-bm", "lastcall"), ("bin/lastcall",), ("python", "-W", "ignore", "bin/lastcall")],
    ids=" ".join,
)
def test_the_command_is_no_process_of_the_service_that_it_is_asked_about(host: Host, words: tuple[str, ...]) -> None:
    """It never uses anything, so that a page left open for weeks would be weeks of silence observed."""
    script = host.folder / "bin" / "lastcall"
    script.parent.mkdir()
    script.write_text(CONSOLE_SCRIPT.format(host.python))
    script.chmod(0o755)
    host.app(**ON)
    before = host.processes()
    run = host.run(*words, "report", "--store", str(host.store), **ON)
    assert (run.code, host.processes()) == (0, before), run.err


@pytest.mark.parametrize("words", [("python", "lastcall"), ("python", "app.py", "-m", "lastcall")], ids=" ".join)
def test_a_program_of_the_hosts_that_looks_like_it_is_watched(host: Host, words: tuple[str, ...]) -> None:
    (host.folder / "lastcall").write_text("import app\n")
    assert host.run(*words, **ON).out == OUTPUT
    assert host.uses() == 3


def test_not_installed_the_checkout_on_pythonpath_starts_the_agent(stranger: Host) -> None:
    run = stranger.app(**BY_PATH)
    assert (run.out, run.err, run.code) == (OUTPUT, "", 0)
    assert stranger.uses() == 3


def test_the_checkout_on_pythonpath_leaves_the_module_search_path_as_it_was(stranger: Host) -> None:
    path = "import sys; print([entry for entry in sys.path if entry != sys.argv[1]])"
    with_agent = stranger.run("python", "-c", path, str(CHECKOUT), **BY_PATH)
    assert with_agent == stranger.run("python", "-c", path, str(CHECKOUT))


@pytest.mark.parametrize(
    "command",
    [("python", "app.py"), ("app.py",), ("-m", "app"), ("-c", "import app")],
    ids=["interpreter", "file", "module", "code"],
)
def test_lastcall_run_starts_the_agent_in_the_command(host: Host, command: tuple[str, ...]) -> None:
    run = host.run("python", "-m", "lastcall", "run", "--", *command)
    assert (run.out, run.err, run.code) == (OUTPUT, "", 0)
    assert host.uses() == 3


def test_lastcall_run_starts_console_scripts_and_hands_on_their_options(host: Host) -> None:
    script = host.folder / "tool"
    script.write_text(f"#!{host.python}\nimport sys; sys.path.insert(0, '.'); import app; sys.exit(len(sys.argv))\n")
    script.chmod(0o755)
    run = host.run("python", "-m", "lastcall", "run", "./tool", "--help", "-t", "x")
    assert (run.out, run.err, run.code) == (OUTPUT, "", 4)
    assert host.uses() == 3


def test_lastcall_run_takes_targets_and_settings_as_options(host: Host) -> None:
    options = ["-t", TARGET, "--service", "till", "--environment", "test", "--release", "7"]
    host.run("python", "-m", "lastcall", "run", *options, "--", "python", "app.py", LASTCALL_TARGETS="")
    (use,) = host.report()["uses"]
    assert [use[key] for key in ("service", "environment", "release", "count")] == ["till", "test", "7", 3]


@pytest.mark.parametrize("arguments", [[], ["--", "no-such-program"], ["-m"], ["--config", "gone.toml", "--", "true"], ["-t", "a b", "--", "true"], ["-t", "", "--", "true"]])
def test_lastcall_run_explains_what_it_cannot_start_and_exits_with_3(host: Host, arguments: list[str]) -> None:
    run = host.run("python", "-m", "lastcall", "run", *arguments)
    assert run.code == 3
    assert run.err.startswith("lastcall: run: ")
    assert run.err.count("\n") == 1


def test_started_in_code(stranger: Host) -> None:
    (stranger.folder / "app.py").write_text(
        f"import sys; sys.path.append({str(CHECKOUT / 'agent')!r})\n"
        f"import lastcall; lastcall.start(); lastcall.start()\n{(stranger.folder / 'app.py').read_text()}"
    )
    run = stranger.app()
    assert (run.out, run.err, run.code) == (OUTPUT, "", 0)
    assert stranger.uses() == 3


# -- odd start-ups ----------------------------------------------------------------------------------


def test_a_start_up_file_that_runs_twice_counts_once(host: Host) -> None:
    twice = f"import site; site.addsitedir({str(_site_packages(host.python))!r}); import app"
    assert host.run("python", "-c", twice, **ON).out == OUTPUT
    assert host.uses() == 3


SCRIPT = """\
import legacy
def unused():
    pass
def old_way():
    return 1
class Old:
    def __init__(self):
        old_way()
async def old_later():
    pass
def main():
    Old(), old_way()
if __name__ == "__main__":
    main()
    sorted(range(3), key=lambda _: old_way())
"""


@pytest.mark.parametrize(
    ("command", "name"),
    [(("-m", "pkg.tool"), "pkg.tool"), (("-mpkg.tool", "-m", "other"), "pkg.tool"), (("-m", "pkg"), "pkg.__main__"),
     (("pkg/tool.py",), "pkg.tool"), (("pkg/tool.py",), "tool"), (("-B", "./pkg/tool.py", "x"), "pkg.tool")],
)  # fmt: skip
def test_a_target_in_the_program_itself_goes_by_the_name_it_is_imported_by(
    host: Host, command: tuple[str, ...], name: str
) -> None:
    package = host.folder / "pkg"
    package.mkdir()
    (package / "__init__.py").touch()
    for script in ("tool.py", "__main__.py"):
        (package / script).write_text(SCRIPT)
    targets = f"{name}:old_way,{name}:Old,{name}:gone,pkg:main"
    run = host.run("python", *command, **ON, LASTCALL_TARGETS=targets, PYTHONPATH=str(host.folder))
    assert (run.out, run.err, run.code) == ("", "", 0)
    states = {target["target"]: (target["state"], target["uses"]) for target in host.report()["targets"]}
    assert states[f"{name}:old_way"] == ("armed", 5)
    assert states[f"{name}:Old"] == ("armed", 1)
    assert states[f"{name}:gone"] == ("missing", 0)
    assert states["pkg:main"][0] in ("missing", "pending")


def test_a_wildcard_reaches_the_program_itself(host: Host) -> None:
    (host.folder / "pkg").mkdir()
    (host.folder / "pkg" / "tool.py").write_text(SCRIPT)
    run = host.run("python", "-m", "pkg.tool", **ON, LASTCALL_TARGETS="pkg.**:*old*", PYTHONPATH=str(host.folder))
    assert (run.out, run.err, run.code) == ("", "", 0)
    assert host.uses("pkg.tool:old_way") == 5
    assert {target["target"] for target in host.report()["targets"]} == {
        "pkg.**:*old*", "pkg.tool:old_way", "pkg.tool:old_later"
    }


@pytest.mark.parametrize("everything", ["*:*", "**:*,**:*.*"])
def test_a_wildcard_over_everything_leaves_out_what_all_code_runs_on(host: Host, everything: str) -> None:
    """Watching `builtins:any` would be a use of it, and so on for ever."""
    run = host.app(**ON, LASTCALL_TARGETS=everything)
    assert (run.out, run.err, run.code) == (OUTPUT, "", 0)
    assert host.uses() == 3


def test_the_program_is_not_traced_once_its_targets_have_their_names(host: Host) -> None:
    (host.folder / "app.py").write_text("import sys\ndef old(): pass\ndef main(): print(sys.gettrace())\nmain()\nold()\n")
    for targets in ("app:old", "app*:o*"):
        assert host.app(**ON, LASTCALL_TARGETS=targets).out == "None\n"
    assert host.uses("app:old") == 2


@pytest.mark.parametrize(
    "statement",
    ["import legacy", "import legacy as other", "from legacy import old", "__import__('legacy')",
     "from importlib import import_module; import_module('legacy')"],
)  # fmt: skip
def test_the_import_that_loads_a_module_is_counted_in_a_process_that_never_imported_importlib(
    host: Host, statement: str
) -> None:
    (host.folder / "app.py").write_text(f"import sys\nprint('importlib' in sys.modules)\n{statement}\n")
    run = host.app(**ON, LASTCALL_TARGETS="legacy")
    assert (run.out, run.err) == (f"{READS_START_FILES}\n", "")  # such a file has Python load it
    assert [(use["line"], use["use"], use["count"]) for use in host.report()["uses"]] == [(3, "import", 1)]


def test_repeated_imports_by_call_are_counted(host: Host) -> None:
    """Before 3.11 `import_module` of a loaded module looks into `sys.modules` only."""
    program = "from importlib import import_module\nfor _ in range(3):\n    __import__('legacy')\n    import_module('legacy')\n"
    (host.folder / "app.py").write_text(program)
    host.app(**ON, LASTCALL_TARGETS="legacy")
    counted = {use["line"]: use["count"] for use in host.report()["uses"]}
    assert counted == ({3: 3, 4: 3} if sys.version_info >= (3, 11) else {3: 3})


def test_a_submodule_named_in_the_list_of_a_called_import_is_counted_when_it_is_loaded(host: Host) -> None:
    (host.folder / "pkg").mkdir()
    (host.folder / "pkg" / "__init__.py").touch()
    (host.folder / "pkg" / "part.py").touch()
    (host.folder / "app.py").write_text("__import__('pkg', fromlist=['part'])\nfrom pkg import part\n")
    host.app(**ON, LASTCALL_TARGETS="pkg.part")
    assert {use["line"]: use["count"] for use in host.report()["uses"]} == {1: 1, 2: 1}


def test_a_failure_is_said_once_where_the_start_up_file_runs_twice(host: Host) -> None:
    broken = "import lastcall.config as c, lastcall.bootstrap as b; c.load = None; b.start_from_environment(); b.start_from_environment()"
    run = host.run("python", "-c", broken, LASTCALL_ENABLED="")
    assert run.err == ""
    run = host.run("python", "-c", f"import os; os.environ['LASTCALL_ENABLED'] = '1'; {broken}", LASTCALL_ENABLED="")
    assert run.err == "lastcall: not started: TypeError: 'NoneType' object is not callable\n"


def test_a_host_whose_working_directory_was_deleted_is_watched(host: Host) -> None:
    """A daemon's may be gone. The interpreter starts there, so the agent does too."""
    app = host.folder / "app.py"
    inside = f"mkdir gone && cd gone && rmdir ../gone && exec {host.python} {app}"
    plain = host.run("sh", "-c", inside)
    run = host.run("sh", "-c", inside, **ON)
    assert (run.out, run.err, run.code) == (plain.out, plain.err, plain.code)
    assert (run.out, run.code) == (OUTPUT, 0)
    assert host.uses() == 3
    somewhere = host.run("sh", "-c", inside, **ON, LASTCALL_STORE="", XDG_STATE_HOME=str(host.folder / "state"))
    assert (somewhere.out, somewhere.err) == (OUTPUT, plain.err)
    assert (host.folder / "state" / "lastcall" / "store.db-live").is_dir()


def test_installed_and_on_pythonpath_and_started_in_code_counts_once(host: Host) -> None:
    assert host.run("python", "-c", "import lastcall; lastcall.start(); import app", **BY_PATH).out == OUTPUT
    assert host.uses() == 3


def test_a_start_up_file_left_behind_without_its_package_is_silent(tmp_path: Path) -> None:
    python = make_venv(tmp_path / "venv", packages=False)
    (_site_packages(python) / "lastcall").unlink()
    run = make_host(tmp_path / "host", python).app(**ON)
    assert (run.out, run.code) == (OUTPUT, 0)
    assert run.err == "" or (READS_START_FILES and "No module named 'lastcall'" in run.err)  # which Python itself says


def test_without_wrapt_the_host_runs_undisturbed(tmp_path: Path, venvs: dict[str, str]) -> None:
    run = make_host(tmp_path / "host", venvs["bare"]).app(**BY_PATH)
    assert (run.out, run.err, run.code) == (OUTPUT, "", 0)


@pytest.mark.parametrize(("option", "seen"), [("-S", 0), ("-E", 3), ("-I", 3), ("-s", 3), ("-B", 3), ("-OO", 3)])
def test_interpreter_options_with_the_installed_agent(host: Host, option: str, seen: int) -> None:
    """-S starts no start-up file at all. -E and -I ignore PYTHON* variables, and LASTCALL_ENABLED is not one."""
    code = "import sys; sys.path.insert(0, '.'); import app"
    run = host.run("python", option, "-c", code, **ON)
    assert (run.out, run.err, run.code) == (OUTPUT, "", 0)
    assert host.uses() == seen


@pytest.mark.parametrize("option", ["-S", "-E", "-I"])
def test_interpreter_options_that_ignore_pythonpath_leave_the_agent_out(stranger: Host, option: str) -> None:
    code = "import sys; sys.path.insert(0, '.'); import app"
    run = stranger.run("python", option, "-c", code, **BY_PATH)
    assert (run.out, run.err, run.code) == (OUTPUT, "", 0)
    assert stranger.uses() == 0


def test_children_are_observed_as_well(host: Host) -> None:
    parent = "import subprocess, sys, app; subprocess.run([sys.executable, 'app.py'], check=True)"
    assert host.run("python", "-c", parent, **ON).out.count("\n") == 6
    assert host.uses() == 6
    assert sum(one["processes"] for one in host.report()["observations"]) == 2


OTHERS = [one for one in interpreters.find() if one.version[:2] != sys.version_info[:2]]


@pytest.mark.skipif(not OTHERS, reason="no interpreter of another version on this machine")
@pytest.mark.parametrize("other", OTHERS, ids=lambda one: one.name)
@pytest.mark.parametrize("enabled", ["1", ""], ids=["on", "off"])
def test_an_interpreter_of_another_version_that_inherits_pythonpath_is_left_alone(
    stranger: Host, other: interpreters.Interpreter, enabled: str
) -> None:
    """It has no wrapt, and may not even understand the package's syntax."""
    child = make_host(stranger.folder, other.path)
    run = child.app(**{**BY_PATH, "LASTCALL_ENABLED": enabled})
    assert (run.out, run.err, run.code) == (OUTPUT, "", 0)


# -- other start-up files ---------------------------------------------------------------------------


def _customize(folder: Path, text: str) -> str:
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(text)
    return str(folder)


MARK = "import sys; sys.marked = __name__, __file__, sys.modules['sitecustomize'].__file__\n"
SHOW = "import sys, app; print(sys.marked)"


def test_the_hosts_own_sitecustomize_runs_after_ours_as_if_alone(stranger: Host) -> None:
    own = _customize(stranger.folder / "own", MARK)
    alone = stranger.run("python", "-c", SHOW, PYTHONPATH=own)
    both = stranger.run("python", "-c", SHOW, LASTCALL_ENABLED="1", PYTHONPATH=f"{CHECKOUT}:{own}")
    assert (both.out, both.err) == (alone.out, "")
    assert stranger.uses() == 3


def test_the_hosts_own_sitecustomize_wins_when_it_comes_first_and_the_installed_agent_starts(host: Host) -> None:
    own = _customize(host.folder / "own", MARK)
    assert host.run("python", "-c", SHOW, LASTCALL_ENABLED="1", PYTHONPATH=own).code == 0
    assert host.uses() == 3


def test_a_sitecustomize_that_imports_a_target_is_seen(stranger: Host) -> None:
    own = _customize(stranger.folder / "own", "import legacy; legacy.old()\n")
    path = f"{CHECKOUT}:{own}:{stranger.folder}"
    assert stranger.app(LASTCALL_ENABLED="1", PYTHONPATH=path).out == OUTPUT
    assert stranger.uses() == 4


def test_a_broken_sitecustomize_of_the_host_fails_as_it_does_alone(stranger: Host) -> None:
    own = _customize(stranger.folder / "own", "raise RuntimeError('the host is broken')\n")
    alone = stranger.app(PYTHONPATH=own)
    both = stranger.app(LASTCALL_ENABLED="1", PYTHONPATH=f"{CHECKOUT}:{own}")
    assert "the host is broken" in alone.err
    assert both == alone


def test_a_sitecustomize_chain_of_three_runs_each_once(stranger: Host) -> None:
    """The first of them looks for the next one as other agents do: by taking itself off the path."""
    first = _customize(
        stranger.folder / "first",
        "import os, sys\nhere = os.path.dirname(__file__)\nsys.path.remove(here)\n"
        "sys.ran = ['first']\ndel sys.modules['sitecustomize']\nimport sitecustomize\n",
    )
    last = _customize(stranger.folder / "last", "import sys; sys.ran.append('last')\n")
    run = stranger.run(
        "python", "-c", "import sys, app; print(sys.ran)", LASTCALL_ENABLED="1", PYTHONPATH=f"{first}:{CHECKOUT}:{last}"
    )
    assert run.out == OUTPUT + "['first', 'last']\n"
    assert stranger.uses() == 3


@pytest.mark.parametrize("prefix", [[], ["python", "-m", "lastcall", "run", "--"]], ids=["variable", "lastcall run"])
def test_under_opentelemetry_instrument(host: Host, prefix: list[str]) -> None:
    """Its start-up file shadows every other one on PYTHONPATH; the installed agent does not depend on those."""
    pytest.importorskip("opentelemetry.instrumentation.auto_instrumentation", reason="needs opentelemetry-distro")
    # what the console script does, without relying on where it was installed
    instrument = ["python", "-c", "from opentelemetry.instrumentation.auto_instrumentation import run; run()"]
    code = "from opentelemetry import trace; import app; print(type(trace.get_tracer_provider()).__module__)"
    quiet = dict.fromkeys(("OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"), "none")
    run = host.run(*prefix, *instrument, "python", "-c", code, **quiet, **ON)
    assert run.out == OUTPUT + "opentelemetry.sdk.trace\n", run.err
    assert run.code == 0
    assert host.uses() == 3


# -- configuration ----------------------------------------------------------------------------------


def _configure(host: Host, text: str) -> None:
    (host.folder / "lastcall.toml").write_text(textwrap.dedent(text))


BROKEN = {
    "not TOML": ("[lastcall\n", ["lastcall.toml", "TOML"]),
    "a wrong type": ("[lastcall]\nservice = 3\n", ["lastcall.toml", "service", "string"]),
    "a wrong value": ('[lastcall]\nengine = "magic"\n', ["lastcall.toml", "engine", "wrapping", "magic"]),
    "an unknown key": ('[lastcall]\nenviroment = "x"\n', ["lastcall.toml", "enviroment", "environment"]),
    "an unknown table": ('[[targets]]\nref = "legacy:old"\n', ["lastcall.toml", "targets", "target"]),
    "a table in another": ("[lastcall.discover]\npep702 = true\n", ["lastcall.toml", "write [discover]"]),
    "a target's unknown key": (
        '[[target]]\nref = "legacy:old"\nreplacment = "new"\n', ["lastcall.toml", "legacy:old", "replacment", "replacement"],
    ),
    "a target without a reference": ('[[target]]\nowner = "me"\n', ["lastcall.toml", "ref"]),
    "a reference that is none": ('[[target]]\nref = "not a reference"\n', ["lastcall.toml", "not a reference"]),
    "a date that is none": ('[[target]]\nref = "legacy:old"\nremove_by = "soon"\n', ["legacy:old", "remove_by"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN, ids=list(BROKEN))
def test_a_broken_configuration_is_one_clear_line_and_the_rest_is_armed(host: Host, case: str) -> None:
    text, words = BROKEN[case]
    _configure(host, text)
    run = host.app(**ON)
    assert (run.out, run.code) == (OUTPUT, 0)
    assert run.err.count("\n") == 1
    assert run.err.startswith("lastcall: ")
    for word in words:
        assert word in run.err
    assert host.uses() == 3


def test_valid_targets_beside_a_broken_one_are_armed(host: Host) -> None:
    _configure(host, f'[[target]]\nref = "::"\n\n[[target]]\nref = "{TARGET}"\nowner = "team"\n')
    run = host.app(**ON, LASTCALL_TARGETS="")
    assert (run.out, run.code, run.err.count("\n")) == (OUTPUT, 0, 1)
    assert host.uses() == 3


def test_bytes_that_are_no_text_are_one_clear_line(host: Host) -> None:
    (host.folder / "lastcall.toml").write_bytes(b"[lastcall]\nservice = '\xff\xfe'\n")
    run = host.app(**ON)
    assert (run.out, run.code, run.err.count("\n")) == (OUTPUT, 0, 1)
    assert "lastcall.toml" in run.err
    assert host.uses() == 3


@pytest.mark.parametrize("what", ["missing", "folder", "forbidden"])
def test_a_configuration_that_cannot_be_read_is_one_clear_line(host: Host, what: str) -> None:
    path = host.folder / "settings.toml"
    if what == "folder":
        path.mkdir()
    elif what == "forbidden":
        path.write_text("[lastcall]\n")
        path.chmod(0)
        if _can_read(path):
            pytest.skip("this user may read everything; run as another one to see this")
    run = host.app(**ON, LASTCALL_CONFIG=str(path))
    assert (run.out, run.code, run.err.count("\n")) == (OUTPUT, 0, 1)
    assert str(path) in run.err
    assert host.uses() == 3


def _can_read(path: Path) -> bool:
    try:
        path.read_bytes()
    except PermissionError:
        return False
    return stat.S_ISREG(path.stat().st_mode)


def test_a_misspelt_variable_is_named_with_the_nearest_known_one(host: Host) -> None:
    run = host.app(**ON, LASTCALL_ENVIROMENT="staging")
    assert (run.out, run.code, run.err.count("\n")) == (OUTPUT, 0, 1)
    assert "LASTCALL_ENVIROMENT" in run.err
    assert "LASTCALL_ENVIRONMENT" in run.err


# -- what it costs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["environment", "file"])
def test_switched_on_with_200_targets_of_which_none_is_imported_adds_at_most_10_modules(host: Host, where: str) -> None:
    refs = [f"package{n}.module:name" for n in range(200)]
    targets = ",".join(refs)
    if where == "file":
        targets = ""
        (host.folder / "lastcall.toml").write_text("".join(f'[[target]]\nref = "{ref}"\nowner = "me"\n' for ref in refs))
    off = json.loads(host.run("python", "-c", MODULES).out.replace("'", '"'))
    on = json.loads(host.run("python", "-c", MODULES, **ON, LASTCALL_TARGETS=targets).out.replace("'", '"'))
    added = sorted(set(on) - set(off))
    heavy = {"wrapt", "sqlite3", "asyncio", "threading", "logging", "opentelemetry", "google", "grpc", "json"}
    assert not heavy & set(added)
    assert 0 < len(added) <= 10, added


def test_a_watched_process_with_only_the_store_loads_no_module_that_its_end_would_pay_for(host: Host) -> None:
    """One target used, from a file whose source our thread reads, and everything flushed."""
    if not wrapt_in_c():
        pytest.skip("without its C extension wrapt imports some of these itself")
    (host.folder / "app.py").write_text(
        "import sys, legacy, waiting\n"
        "legacy.old()\n"
        "waiting.rounds(2)\n"
        "print(sorted(sys.modules))\n"
    )
    run = host.app(**ON, LASTCALL_FLUSH_INTERVAL="0.1")
    loaded = set(json.loads(run.out.replace("'", '"')))
    assert "lastcall.store.writing" in loaded
    off = set(json.loads(host.run("python", "-c", MODULES).out.replace("'", '"')))
    dear = {
        "wrapt", "typing", "threading", "dataclasses", "inspect", "ast", "pathlib", "tempfile", "hashlib", "logging",
        "asyncio", "opentelemetry", "google", "grpc", "lastcall.store.opened", "lastcall.store.queries",
        "lastcall.evidence", "lastcall.exporting",
    }
    if sys.version_info >= (3, 11):  # before, a call is found in its file's tokens
        dear |= {"sqlite3", "json", "re", "enum", "tokenize", "contextlib", "datetime", "lastcall.source_tokens"}
    assert not dear & (loaded - off), sorted(dear & (loaded - off))


def test_what_the_interpreter_keeps_to_its_very_end_reaches_nothing_of_ours(host: Host) -> None:
    """It lets go of what was registered for forks last of all, and until then of nothing that this reaches."""
    (host.folder / "app.py").write_text(
        "import gc, legacy, os\n"
        "from lastcall import bootstrap, forks\n"
        "legacy.old()\n"
        "def reached():\n"
        "    found, left = {}, [forks._before, forks._in_parent, forks._in_child]\n"
        "    while left:\n"
        "        one = left.pop()\n"
        "        if id(one) not in found and one is not vars(forks)['__builtins__'] and not isinstance(one, type):\n"
        "            found[id(one)] = one\n"
        "            left += gc.get_referents(one)\n"
        "    return found\n"
        "life = bootstrap.life()\n"
        "assert id(life) in reached() and id(life._agent) in reached()\n"
        "life._at_exit()\n"
        "found = reached()\n"
        "print(id(life) in found, id(vars(bootstrap)) in found, len(found) < 1_000)\n"
    )
    assert host.app(**ON).out == "False False True\n"


@pytest.mark.parametrize(
    "setting",
    [{}, {"LASTCALL_DISCOVER_WARNINGS": "legacy.**"}, {"LASTCALL_DISCOVER_LOGS": "legacy.**"}],
    ids=["plain", "warnings", "logs"],
)
def test_at_exit_all_of_ours_can_go_with_the_modules(host: Host, setting: dict[str, str]) -> None:
    """What outlives the interpreter's clearing of `sys.modules` is gone through again and again, as that time passes."""
    if not wrapt_in_c():
        pytest.skip("without its C extension functions are watched in place, and their code keeps us")
    (host.folder / "app.py").write_text(
        f"import atexit, gc, {'' if setting else 'importlib.util, '}legacy, sys, waiting, weakref\n"
        "legacy.old()\n"
        "waiting.rounds()\n"
        "from lastcall import bootstrap\n"
        "life = bootstrap.life()\n"
        "atexit.unregister(life._at_exit)\n"
        "life._at_exit()\n"
        "ours = [o for o in gc.get_objects() if type(o).__name__ == 'function' and str(o.__module__).startswith('lastcall.')\n"
        "        and o.__module__ not in ('lastcall.forks', 'lastcall.lazy_modules')]\n"
        "ours = [weakref.ref(o) for o in ours]\n"
        "del life, bootstrap, legacy, waiting\n"
        "for name in [name for name in sys.modules if name.startswith(('lastcall', 'legacy', 'logging', 'waiting', 'warnings'))]:\n"
        "    del sys.modules[name]\n"
        "gc.collect()\n"
        "print(len(ours) > 200, [o().__qualname__ for o in ours if o() is not None])\n"
    )
    assert host.app(**ON, **setting, LASTCALL_FLUSH_INTERVAL="0.1").out == "True []\n"


def _site_packages(python: str) -> Path:
    return next((Path(python).parents[1] / "lib").glob("python*/site-packages"))


def test_the_start_up_file_is_python_2_as_well() -> None:
    """Compiled by the oldest interpreter at hand; where there is none, that is said."""
    oldest = interpreters.find()[0]
    if oldest.version >= (3, 10):
        pytest.skip("no interpreter older than 3.10 on this machine")
    source = CHECKOUT / "sitecustomize.py"
    subprocess.run([oldest.path, "-c", f"compile(open({str(source)!r}).read(), 'x', 'exec')"], check=True)


def test_our_thread_imports_nothing_while_the_host_may_be_about_to_be_patched(host: Host) -> None:
    """gevent's presence is what is asked for; that its patching then meets no import of ours, `test_servers` sees."""
    (host.folder / "gevent.py").write_text("")
    (host.folder / "app.py").write_text(
        "import sys, time, _thread\n"
        "if 'gevent' in sys.argv: import gevent\n"
        "if 'patched' in sys.argv:\n"
        "    number = _thread.get_ident\n"
        "    _thread.get_ident = lambda: number()\n"
        "import legacy\n"
        "legacy.old()\n"
        "from lastcall import bootstrap\n"
        "def looks_within(seconds):\n"
        "    end = time.monotonic() + seconds\n"
        "    while time.monotonic() < end and 'lastcall.pipeline' not in sys.modules: time.sleep(0.05)\n"
        "    return 'lastcall.pipeline' in sys.modules\n"
        # Nothing is looked at before this, however slow the machine, and then for as long as the test likes.
        "bootstrap.PATCHING_SECONDS = 3600\n"
        "life = bootstrap.life()\n"
        "life.config.flush_interval = 0.1\n"
        "life._wake.release()\n"
        "print(looks_within(1 if 'False' in sys.argv else 60))\n"
        "bootstrap.PATCHING_SECONDS = 0\n"
        "print(looks_within(60))\n"
    )
    on = {**ON, "LASTCALL_FLUSH_INTERVAL": "600"}
    assert host.run("python", "app.py", **on).out == "True\nTrue\n"
    assert host.run("python", "app.py", "gevent", "False", **on).out == "False\nTrue\n"
    assert host.run("python", "app.py", "gevent", "patched", **on).out == "True\nTrue\n"


IMPORTED = """
import sys
print(__name__, sys.gettrace())
def reach(): return sys.gettrace()
"""
IMPORTING_SCRIPT = """
import sys, importlib
import imported
from pkg import other
for name in ("missing", "broken", "unready"):
    try:
        importlib.import_module(name)
    except ImportError as error:
        print(name, type(error).__name__, sys.gettrace() is not None)
class Old:
    import late
    def __init__(self): pass
def old(): pass
def main():
    old(), Old()
if len(sys.argv) > 1:
    main()
print(imported.reach(), sys.gettrace())
old()
"""


@pytest.mark.parametrize("targets", ["tool:old,tool:Old", "tool:*", "*:old,*:Old"])
@pytest.mark.parametrize("command", [("tool.py", "x"), ("-m", "tool", "x")])
def test_what_the_program_imports_is_not_traced(host: Host, targets: str, command: tuple[str, ...]) -> None:
    """Tracing slows all that a thread runs, and a script may import all of a program before it defines a target."""
    (host.folder / "pkg").mkdir()
    for name in ("imported", "late", "pkg/__init__", "pkg/other"):
        (host.folder / f"{name}.py").write_text(IMPORTED)
    (host.folder / "broken.py").write_text("import sys\nprint('broken', sys.gettrace())\nraise ImportError\n")
    (host.folder / "tool.py").write_text(IMPORTING_SCRIPT)
    (host.folder / f"unready{EXTENSION_SUFFIXES[0]}").write_bytes(b"no library")  # fails before its code could run
    run = host.run("python", *command, **ON, LASTCALL_TARGETS=targets, PYTHONPATH=str(host.folder))
    assert (run.err, run.code) == ("", 0)
    assert run.out.splitlines() == [
        "imported None", "pkg None", "pkg.other None", "missing ModuleNotFoundError True", "broken None",
        "broken ImportError True", "unready ImportError False", "late None", "None None",
    ]  # fmt: skip
    assert (host.uses("tool:old"), host.uses("tool:Old")) == (2, 1)


def test_a_tracer_that_the_program_starts_is_left_alone(host: Host) -> None:
    (host.folder / "tracing.py").write_text("import sys\ndef trace(*given): return None\nsys.settrace(trace)\n")
    (host.folder / "tool.py").write_text(
        "import sys, tracing\nimport late\ndef old(): pass\nold()\nprint(sys.gettrace() is tracing.trace)\n"
    )
    (host.folder / "late.py").touch()
    run = host.run("python", "tool.py", **ON, LASTCALL_TARGETS="tool:old", PYTHONPATH=str(host.folder))
    assert (run.out, run.err, run.code) == ("True\n", "", 0)
    (target,) = host.report()["targets"]
    # the script's frame keeps our line function, which such a tracer has called
    assert (target["state"], target["uses"], target["reason"]) == ("armed", 1, "")


@pytest.mark.parametrize(("times", "present", "errors"), [(1, True, {}), (9, True, {"thread": 4}), (1, False, {"thread": 1})])
def test_an_import_of_ours_that_gevent_broke_is_made_again(
    host: Host, times: int, present: bool, errors: dict[str, int]  # noqa: FBT001 - a case of the table
) -> None:
    """As importlib raises where the numbers of threads are replaced while it holds a module's lock."""
    (host.folder / "gevent.py").write_text("")
    (host.folder / "app.py").write_text(
        "import sys, _thread, waiting\n"
        f"left = [None] * {times}\n"
        "class Breaking:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'lastcall.pipeline' and left:\n"
        "            left.pop()\n"
        "            raise RuntimeError('cannot release un-acquired lock')\n"
        "sys.meta_path.insert(0, Breaking())\n"
        f"if {present}: import gevent\n"
        "number = _thread.get_ident\n"
        "_thread.get_ident = lambda: number()\n"
        "import legacy\n"  # last: our thread may begin while it is armed
        "legacy.old()\n"
        "waiting.until(lambda: not left)\n"
        "waiting.rounds()\n"
    )
    run = host.run("python", "app.py", **ON, LASTCALL_FLUSH_INTERVAL="0.1")
    assert (run.out, run.err, run.code) == ("", "", 0)
    assert host.uses() == 1
    with Store.current(host.store) as store:
        assert {slug: count for process in store.processes() for slug, count in process.internal_errors} == errors
