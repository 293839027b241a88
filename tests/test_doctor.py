"""`lastcall doctor`: what holds, what is armed and why not, and whether a use arrives."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from lastcall import config as configuration
from lastcall.commands import doctor as command
from lastcall.errors import StoreError
from lastcall.store.database import _checked_schema
from live_files import LiveProcess
from worlds import World, plain_environment

CHECKOUT = Path(__file__).resolve().parents[1]


def doctor(folder: Path, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    env = {**plain_environment(), "PYTHONPATH": str(CHECKOUT / "agent"), "COLUMNS": "80", **environ}
    return subprocess.run([sys.executable, "-m", "lastcall", "doctor", *options], cwd=folder, env=env,
                          capture_output=True, text=True, timeout=90)


def test_a_healthy_project_ends_with_a_use_that_arrived(tmp_path: Path) -> None:
    world = World(tmp_path, {"legacy.py": "def old(): pass\n", "host.py": "import legacy\nlegacy.old()\n",
                             "lastcall.toml": '[lastcall]\nservice = "shop"\n[[target]]\nref = "legacy:old"\n'})
    run = world.run("auto", LASTCALL_TARGETS="")
    told = doctor(tmp_path, "--store", str(run.store))
    assert told.returncode == 0, told.stdout + told.stderr
    assert "service = shop" in told.stdout
    assert "legacy:old armed by wrapping" in told.stdout
    assert "three calls in a child process, three in its store" in told.stdout


def test_it_says_what_is_wrong_and_exits_with_1(tmp_path: Path) -> None:
    World(tmp_path, {"lastcall.toml": '[lastcall]\nservise = "shop"\n[[target]]\nref = "not a ref"\n'})
    told = doctor(tmp_path, "--quick")
    assert told.returncode == 1
    assert "did you mean 'service'?" in told.stdout
    assert "service: each process goes by its program's name" in told.stdout
    assert "not of the form" in told.stdout
    assert "Traceback" not in told.stdout + told.stderr


def test_missing_and_pending_targets_are_named_with_their_reason(tmp_path: Path) -> None:
    world = World(tmp_path, {"legacy.py": "def old(): pass\n", "host.py": "import legacy\n"},
                  targets=("legacy:gone", "never:imported"))
    run = world.run("auto")
    told = doctor(tmp_path, "--quick", "--store", str(run.store), LASTCALL_TARGETS="legacy:gone,never:imported")
    assert told.returncode == 1
    assert "legacy:gone missing" in told.stdout
    assert "has no gone" in told.stdout
    assert "never:imported pending" in told.stdout


def test_a_store_that_is_none_is_a_problem_not_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(os.urandom(4096))
    told = doctor(tmp_path, "--quick", "--store", str(tmp_path / "store.db"), LASTCALL_TARGETS="a:b")
    assert told.returncode == 1
    assert "problem" in told.stdout
    assert "Traceback" not in told.stdout + told.stderr


def test_what_was_lost_is_told_by_name_and_what_failed_or_was_dropped_needs_mending(tmp_path: Path) -> None:
    """A verdict that is `unproven` for it refers to doctor."""
    process = LiveProcess(tmp_path / "store.db").target("a:b").state("a:b")
    os.write(process.journal.fd, b"garbage\n")
    options = ("--quick", "--store", str(tmp_path / "store.db"))
    told = doctor(tmp_path, *options, LASTCALL_TARGETS="a:b")
    assert "could not read 1 of what processes left [garbage-line] in 1 process" in told.stdout
    assert told.returncode == 0
    process.append("O", 1, (("call-site-limit", 3),), (("flush", 2),))
    process.close()
    told = doctor(tmp_path, *options, LASTCALL_TARGETS="a:b")
    assert "problem dropped 3 [call-site-limit] in 1 process" in " ".join(told.stdout.split())
    assert "problem 2 internal errors [flush] in 1 process" in " ".join(told.stdout.split())
    assert told.returncode == 1


@pytest.mark.parametrize("columns", ["0", "1", "40", "none"])
def test_it_is_as_wide_as_ever_where_the_width_is_not_known(tmp_path: Path, columns: str) -> None:
    told = doctor(tmp_path, "--quick", COLUMNS=columns, LASTCALL_TARGETS="a:b")
    assert "1 target named" in told.stdout
    assert told.stdout == doctor(tmp_path, "--quick", LASTCALL_TARGETS="a:b").stdout


def test_without_a_target_there_is_something_to_mend(tmp_path: Path) -> None:
    told = doctor(tmp_path, "--quick")
    assert "problem no target is named" in " ".join(told.stdout.split())
    assert told.returncode == 1


def test_a_thousand_targets_are_summarised_and_only_what_is_not_armed_is_listed(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    process = LiveProcess(store)
    for number in range(1_000):
        state = "armed" if number < 950 else "pending" if number < 997 else "failed"
        ref = f"backend.package_of_some_length.module_{number:04}:legacy_function"
        process.target(ref).state(ref, state, "it cannot be patched" if state == "failed" else "")
    process.close()
    told = doctor(tmp_path, "--quick", "--store", str(store), LASTCALL_TARGETS="a:b")
    words = " ".join(told.stdout.split())
    assert told.returncode == 1
    assert "1,000 targets: 3 failed, 47 pending, 950 armed" in words
    assert "module_0000" not in words
    assert "module_0997:legacy_function failed by wrapt" in words
    assert "... and 27 more pending; --all lists them" in words
    assert words.index("module_0999") < words.index("module_0950"), "what needs mending comes first"
    assert max(len(line) for line in told.stdout.splitlines() if "/" not in line) <= 80  # a path stays in one piece
    whole = doctor(tmp_path, "--quick", "--all", "--store", str(store), LASTCALL_TARGETS="a:b").stdout
    assert all(f"module_{number:04}" in whole for number in range(1_000))
    assert "metrics_by_site = false (default). Also a metric series" in " ".join(whole.split())
    assert all(f"  {name} = " in whole or f"  {name}: " in whole for name in configuration.BY_NAME)
    assert "(default)" not in words


def test_it_says_what_the_store_takes_and_how_fast_it_grows(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    LiveProcess(store, started=time.time() - 10 * 86_400).target().state().close()
    doctor(tmp_path, "--quick", "--store", str(store), LASTCALL_TARGETS="a:b")
    words = " ".join(doctor(tmp_path, "--quick", "--store", str(store), LASTCALL_TARGETS="a:b").stdout.split())
    assert "MB on disk, and 0.0 MB of 0 live files; about 0.0 MB a day since the first process" in words


def test_allowances_are_listed_and_those_that_ran_out_are_noted(tmp_path: Path) -> None:
    (tmp_path / "lastcall.toml").write_text("""
[[target]]
ref = "pkg.mod:old"
allow = [{ caller = "core.**", reason = "the factory itself", until = "2097-01-31" },
         { caller = "jobs.*", reason = "was to be gone", until = "2020-01-31" }]
""")
    words = " ".join(doctor(tmp_path, "--quick").stdout.split())
    assert "ok pkg.mod:old: core.**, until 2097-01-31: the factory itself" in words
    assert "note pkg.mod:old: the allowance of jobs.* ended with 2020-01-31; it counts again" in words


def test_where_nothing_has_arrived_it_says_whose_processes_can_leave_anything(tmp_path: Path) -> None:
    store = tmp_path / "evidence" / "store.db"
    told = doctor(tmp_path, "--quick", "--store", str(store), LASTCALL_TARGETS="a:b")
    assert "processes of other users leave nothing there" in " ".join(told.stdout.split())
    tmp_path.chmod(0o1777)
    told = doctor(tmp_path, "--quick", "--store", str(store), LASTCALL_TARGETS="a:b")
    assert "other users" not in told.stdout


DISK = SimpleNamespace(f_flag=0, f_blocks=100, f_bavail=2_000, f_frsize=1_000)


@pytest.mark.parametrize(
    ("disk", "exists", "told"),
    [
        ({}, False, []),
        ({"f_bavail": 499}, True, [("problem", "the disk of {} is full: 499 KB are left")]),
        ({"f_flag": os.ST_RDONLY, "allowed": False}, False, [("problem", "nothing can be recorded in {}: its file system is read-only")]),
        ({"f_flag": os.ST_RDONLY, "allowed": False}, True, [("note", "nothing can be recorded in {}: its file system is read-only")]),
        ({"allowed": False}, False, [("problem", "nothing can be recorded in {}: you may not write there")]),
    ],
)  # fmt: skip
def test_a_store_that_cannot_be_written_or_made_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: dict, exists: bool, told: list
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _folder: SimpleNamespace(**{**vars(DISK), **disk}))
    monkeypatch.setattr(os, "access", lambda _folder, _mode: disk.get("allowed", True))
    if exists:
        (tmp_path / "store.db").touch()
    found = command.Findings()
    command._room(found, str(tmp_path / "store.db"))
    assert [(level, text) for _, level, text in found.lines] == [(level, text.format(tmp_path)) for level, text in told]


def test_what_is_in_the_way_of_the_store_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "circle.db").symlink_to("circle.db")
    for path, why in (("file/store.db", "file is no folder"), ("circle.db", "circle.db is a link that leads in circles")):
        found = command.Findings()
        command._room(found, str(tmp_path / path))
        assert [text for _, _, text in found.lines] == [f"nothing can be recorded at {tmp_path / path}: {tmp_path}/{why}"]
        assert not found.healthy


def test_a_store_that_could_not_be_made_where_the_disk_was_full_is_no_foreign_database(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "store.db")) as begun, pytest.raises(StoreError, match="no room for them"):
        _checked_schema(begun, str(tmp_path / "store.db"))


@pytest.mark.parametrize("line", ['window = "soon"', "path = 5", 'releases = "some"', 'require = ["x"]', 'source = "aws"'])
def test_values_that_no_verdict_could_be_asked_for_with_are_problems(tmp_path: Path, line: str) -> None:
    World(tmp_path, {"lastcall.toml": f'[check]\n{line}\n[[target]]\nref = "a:b"\n'})
    told = doctor(tmp_path, "--quick")
    assert told.returncode == 1
    assert f"problem {tmp_path}/lastcall.toml: {line.partition(' ')[0]}" in " ".join(told.stdout.split())


def test_an_exporter_that_cannot_even_be_made_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str, config: object) -> None:
        raise KeyError(name)

    monkeypatch.setattr("lastcall.exporting.create_exporter", broken)
    found = command.Findings()
    command._exporters(found, SimpleNamespace(exporters=("store", "otlp")))
    assert found.lines == [("Exporters", command.BAD, "otlp: KeyError: 'otlp'")]
