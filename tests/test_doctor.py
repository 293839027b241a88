"""`lastcall doctor`: what holds, what is armed and why not, and whether a use arrives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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
