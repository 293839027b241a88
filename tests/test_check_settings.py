"""`[check]` in the configuration: what no option says; options win; what is wrong in it is said."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest

import command_line
from lastcall import config
from live_files import LiveProcess
from worlds import plain_environment

REF = "pkg.mod:old"


@pytest.fixture
def project(tmp_path):
    """A folder with a store in which a process watched for a minute, long ago."""
    process = LiveProcess(tmp_path / ".lastcall" / "store.db").target().state()
    process.beat(process.started + 60).append("E", round((process.started + 60) * 1e9), "exit")
    process.close()
    return tmp_path


def lastcall(folder, *arguments, table="", file="lastcall.toml"):
    if table:
        (folder / file).write_text(table)
    return command_line.lastcall(*arguments, cwd=folder, env=plain_environment())


def judged(folder, *options, table="", file="lastcall.toml", command="certificate"):
    done = lastcall(folder, command, REF, *options, table=table, file=file)
    assert done.returncode in (0, 1, 2), done.stderr
    return json.loads(done.stdout)


WHOLE = """
[check]
window = "2w"
require = ["service=worker", "environment=production"]
ignore = "service=retired"
releases = "all"
path = "src"
source = "store"
"""


@pytest.mark.parametrize("file", ["lastcall.toml", "pyproject.toml"])
def test_what_no_option_says_the_file_says(project, file):
    (project / "src").mkdir()
    table = WHOLE if file == "lastcall.toml" else WHOLE.replace("[check]", "[tool.lastcall.check]")
    certificate = judged(project, table=table, file=file)
    assert certificate["question"] == {
        "window_seconds": 14 * 86400,
        "required": [{"service": "worker", "environment": None}, {"service": None, "environment": "production"}],
        "ignored": [{"service": "retired", "environment": None}],
        "releases": "all",
        "risk_limit": 0.01,
    }
    codes = {reason["code"] for reason in certificate["verdicts"][0]["reasons"]}
    assert "source-not-read" not in codes
    assert "service-missing" in codes


def test_options_win(project):
    (project / "src").mkdir()
    (project / "other").mkdir()
    options = ("--window", "3d", "--require", "service=chat", "--ignore", "service=x", "--path", "other")
    question = judged(project, *options, table=WHOLE)["question"]
    assert question["window_seconds"] == 3 * 86400
    assert question["required"] == [{"service": "chat", "environment": None}]
    assert question["ignored"] == [{"service": "x", "environment": None}]
    document = judged(project, "--releases", "live", "--format", "json", command="check")
    assert document["verdicts"][0]["verdict"] == "unproven"


def test_a_folder_of_the_file_is_found_from_below(project):
    (project / "src").mkdir()
    below = project / "deep"
    below.mkdir()
    (project / "lastcall.toml").write_text(WHOLE)
    done = lastcall(below, "check", REF, "--store", str(project / ".lastcall" / "store.db"), "--format", "json")
    assert done.returncode == 2, done.stderr
    assert "source-not-read" not in done.stdout


@pytest.mark.parametrize("command", ["check", "explain", "certificate"])
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('window = "soon"', "window in [check] must be a length of time"),
        ("window = 30", "window in [check] must be a text, not 30"),
        ('window = ""', "window in [check] must be a text that says something, not ''"),
        (f'window = "{"9" * 400}d"', "window in [check] must be a length of time"),
        ('window = "0d"', "window in [check] must be a length of time"),
        ('require = "worker"', "require in [check] takes service=NAME"),
        ("ignore = 3", "ignore in [check] must be a text or a list of texts"),
        ('releases = "dead"', "releases in [check] must be one of live, all"),
        ('source = "s3"', "source in [check] must be one of store, gcp"),
        ('path = "nowhere"', "nowhere is no folder"),
        ('requre = "service=worker"', "unknown key 'requre' in [check]; did you mean 'require'?"),
    ],
)
def test_a_wrong_value_is_named_with_its_file(project, command, line, words):
    done = lastcall(project, command, REF, table=f"[check]\n{line}\n")
    assert done.returncode == 3
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert "lastcall.toml" in done.stderr
    assert "--path" not in done.stderr


def test_an_unknown_key_is_a_problem_with_the_nearest_one_named(tmp_path):
    (tmp_path / "lastcall.toml").write_text('[check]\nwindw = "3d"\n\n[chek]\n')
    problems = config.load(environ={}, cwd=str(tmp_path)).problems
    assert any("unknown key 'windw' in [check]; did you mean 'window'?" in text for text in problems)
    assert any("unknown table [chek]; did you mean '[check]'?" in text for text in problems)


def test_a_check_that_is_no_table_is_a_problem(tmp_path):
    (tmp_path / "lastcall.toml").write_text("check = 3\n")
    loaded = config.load(environ={}, cwd=str(tmp_path))
    assert loaded.check == {}
    assert any("[check] must be a table" in text for text in loaded.problems)


SLOW = """
import sys
from lastcall import cli
from lastcall.commands import progress
progress.PATIENCE = 0
cli.main(["check", "pkg.mod:old", "--store", sys.argv[1]])
"""


def shown_on(project, terminal):
    """What a check that takes long shows on stderr."""
    store = str(project / ".lastcall" / "store.db")
    leader, follower = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-c", SLOW, store], cwd=project, stdout=subprocess.PIPE, text=True, timeout=60,
            stderr=follower if terminal else subprocess.PIPE, env={**plain_environment(), "TERM": "xterm"},
            check=False,
        )  # fmt: skip
        assert done.returncode == 2
        os.close(follower)
        follower = -1
        return (os.read(leader, 100_000).decode() if terminal else done.stderr), done.stdout
    finally:
        os.close(leader)
        if follower >= 0:
            os.close(follower)


def test_a_long_check_shows_a_bar_on_a_terminal(project):
    told, text = shown_on(project, terminal=True)
    assert "Reading the evidence" in told
    assert "Reading" not in text


def test_nothing_moves_where_there_is_no_terminal(project):
    assert shown_on(project, terminal=False)[0] == ""
