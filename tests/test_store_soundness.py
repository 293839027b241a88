"""A store with values that Lastcall did not write: one sentence that names the place, exit code 3, no traceback."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from command_line import lastcall
from lastcall import cli
from lastcall.store import Store
from lastcall.store.opened import read_from
from lastcall.store.soundness import fault_in
from live_files import LiveProcess, ns

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = (["report"], ["report", "--format", "json"], ["check", "pkg.mod:old"], ["explain", "pkg.mod:old"],
            ["certificate", "pkg.mod:old"], ["doctor", "--quick"])
VALUES = {"text": "zzz", "blob": b"\xff\xfe", "huge": 2**62, "below": -5, "late": 1.5e300}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    path = folder / "store.db"
    (folder / "lastcall.toml").write_text("[[target]]\nref = 'pkg.mod:old'\n")
    process = LiveProcess(path).target().state().site(0, frames=(("/srv/app/pkg/main.py", 7, "main"),)).count(0, 3)
    process.append("F", "isolation", "pkg.mod:old", ns(5), "two owners", 0, 2, (("owners", "2"),))
    process.close()
    with Store.current(path) as store:
        assert store.findings()
    return path


def damaged(sound: Path, folder: Path, statement: str, *values: object) -> Path:
    path = folder / "store.db"
    shutil.copy(sound, path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, values)
    return path


def test_nothing_is_said_of_a_sound_store_or_one_that_cannot_be_asked(sound: Path) -> None:
    assert fault_in(str(sound)) is None
    assert fault_in(str(sound.with_name("gone.db"))) is None


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE process SET started = 'zzz'", "process.started is 'zzz', which is no real"),
        ("UPDATE process SET started = 1e300", "process.started is 1e+300, which is no time"),
        ("UPDATE process SET attributes = '[[1]]'", "process.attributes is '[[1]]', which is not what belongs there"),
        ("UPDATE target SET ref = x'00ff'", r"target.ref is b'\x00\xff', which is no text"),
        ("UPDATE target SET id = 99", "target_state has a row whose target is not there"),
        ("UPDATE stack SET frames = '[777]'", "stack.frames is '[777]', which is not what belongs there"),
        ("UPDATE stack SET frames = '{'", "stack.frames is '{', which is not what belongs there"),
    ],
)
def test_what_is_wrong_is_named(sound: Path, tmp_path: Path, statement: str, says: str) -> None:
    path = damaged(sound, tmp_path, statement)
    assert fault_in(str(path)) == f"The store {path} holds what Lastcall did not write: {says}. Restore a copy, or move it away."
    done = lastcall("doctor", "--quick", "--store", path, cwd=sound.parent, env=os.environ)
    assert (done.returncode, says[:20] in done.stdout) == (1, True), done.stdout + done.stderr


@pytest.mark.parametrize("name", ["text", *(pytest.param(name, marks=pytest.mark.slow) for name in VALUES if name != "text")])
def test_no_value_in_any_column_gets_a_traceback(sound: Path, tmp_path: Path, name: str) -> None:
    with closing(sqlite3.connect(sound)) as connection:
        tables = [table for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = [(table, row[1]) for table in tables for row in connection.execute(f"PRAGMA table_info({table})")
                   if connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]]  # noqa: S608 - our own names
    assert len(columns) > 60
    for number, (table, column) in enumerate(columns):
        try:
            path = damaged(sound, tmp_path, f"UPDATE {table} SET {column} = ?", VALUES[name])  # noqa: S608 - the same
        except sqlite3.IntegrityError:
            continue
        command = COMMANDS[number % len(COMMANDS)]
        done = lastcall(*command, "--store", path, cwd=sound.parent, env=os.environ)
        where = f"{command} with {table}.{column} = {VALUES[name]!r}: {done.stdout}{done.stderr}"
        assert done.returncode in range(4), where
        assert done.returncode != 3 or done.stderr.count("\n") == 1, where


def test_a_defect_of_ours_is_raised_all_the_same(sound: Path) -> None:
    read_from[:] = [str(sound)]
    with pytest.raises(KeyError, match="defect"):
        cli._explain(KeyError("defect"))
