"""The command line's frame, merge, and the guard for internal errors."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import typer

from lastcall import cli
from lastcall.errors import InternalErrors, LastcallError, UsageError
from lastcall.store import Store
from live_files import LiveProcess
from worlds import plain_environment

AGENT = str(Path(__file__).resolve().parent.parent / "agent")


def lastcall(capsys, *arguments):
    """(exit code, stdout, stderr) of a command line run in this process."""
    with pytest.raises(SystemExit) as done:
        cli.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return done.value.code, out, err


def test_help_says_what_it_is_and_shows_a_first_example(capsys):
    code, out, _ = lastcall(capsys, "--help")
    assert code == 0
    assert "May we delete this shim yet?" in out
    assert "LASTCALL_ENABLED=1 LASTCALL_TARGETS=" in out
    for name in ("report", "merge", "run", "check", "scan"):
        assert f"\n  {name} " in out
    assert max(map(len, out.splitlines())) <= 80


def test_no_arguments_show_the_help(capsys):
    assert lastcall(capsys) == lastcall(capsys, "--help")


def test_a_group_without_a_subcommand_shows_its_help(capsys):
    assert lastcall(capsys, "gcp") == lastcall(capsys, "gcp", "--help")


def test_version(capsys):
    code, out, _ = lastcall(capsys, "--version")
    assert code == 0
    assert out.startswith("lastcall")


def test_every_command_explains_itself(capsys):
    names = [command.name for command in typer.main.get_command(cli.build_app()).commands.values()]
    assert len(names) > 5
    for name in names:
        code, out, err = lastcall(capsys, name, "--help")
        assert (code, err) == (0, ""), name
        assert out.startswith(f"Usage: lastcall {name} ")
        assert len(out.splitlines()[2].strip()) > 10, name
        assert max(map(len, out.splitlines())) <= 80, name


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("run", ("lastcall run -- python app.py", "lastcall run -- gunicorn -w 2 app:app")),
        ("check", ("lastcall check --path .", "--require service=backend,environment=production")),
        ("ui", ("lastcall ui", "ssh -L 8765:127.0.0.1:8765 staging lastcall ui")),
    ],
)
def test_an_example_of_the_help_is_a_line_to_copy(capsys, name, lines):
    """Wrapped as prose is, two examples become one line that does neither."""
    _, out, _ = lastcall(capsys, name, "--help")
    assert set(lines) <= {line.strip() for line in out.splitlines()}


@pytest.mark.parametrize("arguments", [["no-such-command"], ["--no-such-option"], ["merge"], ["merge", "x"]])
def test_wrong_usage_is_one_sentence_and_exit_code_3(capsys, arguments):
    code, out, err = lastcall(capsys, *arguments)
    assert (code, out) == (3, "")
    assert err.startswith("lastcall: ")
    assert "--help'." in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("raised", "code", "words"),
    [
        (UsageError("Say what."), 3, "lastcall: Say what.\n"),
        (LastcallError("some-slug", "It broke."), 3, "lastcall: It broke.\n"),
        (PermissionError(13, "Permission denied", "/etc/x"), 3, "lastcall: /etc/x: Permission denied\n"),
        (FileNotFoundError(2, "No such file or directory"), 3, "lastcall: The folder that this command was started in is gone. Go to another one.\n"),
        (KeyboardInterrupt(), 130, ""),
        (typer.Exit(2), 2, ""),
    ],
)
def test_what_a_command_raises_becomes_a_sentence_and_an_exit_code(capsys, monkeypatch, raised, code, words):
    app = typer.Typer()

    @app.command("fail")
    def fail() -> None:
        raise raised

    app.callback()(lambda: None)
    monkeypatch.setattr(cli, "build_app", lambda: app)
    assert lastcall(capsys, "fail") == (code, "", words)


@pytest.mark.parametrize("command", ["report", "check", "explain", "certificate", "doctor", "baseline", "merge", "scan", "references", "run", "gcp"])
@pytest.mark.parametrize(("raised", "code"), [("BrokenPipeError", 141), ("KeyboardInterrupt", 130)])
def test_a_reader_that_is_gone_and_a_ctrl_c_end_every_command_with_a_code_of_their_own(command, raised, code):
    """Not with 0 or 1, which are verdicts. In a process of its own: file descriptor 1 is moved."""
    program = f"""
import lastcall.commands.{command} as module
from lastcall import cli
def body():
    raise {raised}
module.register = lambda app: app.command({command!r})(body)
cli.main([{command!r}])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (code, b"", b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize(("ends", "code", "said"), [(">/dev/full", 3, "lastcall: No space left on device\n"), (">&- 2>/dev/full", 3, "")])
def test_an_output_that_takes_nothing_more_ends_with_the_code_for_what_the_user_can_mend(ends, code, said):
    """Python's own, 120, would come with a traceback. A group without a subcommand prints its help after all else."""
    wrong = "--nonsense" if "2>" in ends else ""
    done = subprocess.run(["sh", "-c", f"{shlex.quote(sys.executable)} -m lastcall gcp {wrong} {ends}"], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", said)


def test_who_is_to_confirm_and_has_no_standard_input_is_told(monkeypatch):
    from lastcall.commands.gcp import _confirm

    monkeypatch.setattr(sys, "stdin", None)
    cli._open_what_is_closed()
    with sys.stdin, pytest.raises(UsageError, match="nobody is there to confirm"):
        _confirm(yes=False)


def test_ctrl_c_before_the_command_line_is_there_ends_with_130_and_without_a_word(tmp_path):
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt")
    done = subprocess.run([sys.executable, "-m", "lastcall", "report"], capture_output=True, check=False, timeout=60,
                          env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{AGENT}"})  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


def test_ctrl_c_ends_a_running_command_with_130_and_without_a_word(tmp_path):
    LiveProcess(tmp_path / "store.db").target().state().close()
    watching = subprocess.Popen(
        [sys.executable, "-m", "lastcall", "report", "--watch", "--store", str(tmp_path / "store.db")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with watching:
        assert watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
        said = watching.communicate(timeout=30)[1]
    assert (watching.returncode, said) == (130, b"")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["reprot"], "lastcall: No such command 'reprot'. Did you mean 'report'? Try 'lastcall --help'.\n"),
        (["gcp", "plan", "--project", "demo", "--from", "x"], "lastcall: --from is 'x': expected logs, otlp or both\n"),
        (["gcp", "apply", "--project", "demo", "--resource-type", "K 8"], "lastcall: --resource-type is 'K 8': "),
    ],
)
def test_what_was_mistyped_is_said_in_clean_words_before_anything_is_asked_for(capsys, arguments, said):
    code, _, err = lastcall(capsys, *arguments)
    assert code == 3
    assert err.startswith(said)


def test_a_choice_that_there_is_not_is_named_without_words_of_a_library(capsys):
    _, _, err = lastcall(capsys, "report", "--format", "xml")
    assert "'xml' is not one of 'text', 'json', 'markdown', 'html'." in err
    assert "Value error" not in err


@pytest.mark.parametrize("command", ["report", "check", "explain", "doctor", "scan", "references", "baseline"])
def test_a_terminal_whose_encoding_lacks_a_name_sees_it_escaped(command, tmp_path):
    """Not a traceback, whose exit code 1 would say `in-use`."""
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "legacy.py").write_text('def älter():\n    """.. deprecated:: 1"""\n', encoding="utf-8")
    (tmp_path / "app.py").write_text("from pkg.legacy import älter\nälter()\n", encoding="utf-8")
    (tmp_path / "lastcall.toml").write_text('[[target]]\nref = "pkg.legacy:älter"\n', encoding="utf-8")
    target, path = "pkg.legacy:älter", tmp_path / ".lastcall" / "store.db"
    process = LiveProcess(path, root=str(tmp_path), started=time.time()).target(target).state(target).site(0, target).count(0, 5)
    words = {"explain": [target], "references": [target], "doctor": ["--quick", "--all"]}.get(command, [])
    done = subprocess.run(
        [sys.executable, "-m", "lastcall", command, *words], cwd=tmp_path, capture_output=True, check=False, timeout=60,
        env={**plain_environment(), "PYTHONIOENCODING": "ascii", "LASTCALL_STORE": str(path)},
    )  # fmt: skip
    process.close()
    assert b"Traceback" not in done.stderr
    assert b"\\xe4lter" in done.stdout
    assert done.returncode == {"check": 1, "baseline": 1}.get(command, 0)


@pytest.mark.parametrize("defect", [ZeroDivisionError, EOFError])
def test_a_defect_of_ours_keeps_its_traceback(monkeypatch, defect):
    app = typer.Typer(pretty_exceptions_enable=False)
    app.callback()(lambda: None)

    @app.command("fail")
    def fail() -> None:
        raise defect

    monkeypatch.setattr(cli, "build_app", lambda: app)
    with pytest.raises(defect):
        cli.main(["fail"])


# -- merge ---------------------------------------------------------------------------------------------------


def process(path, name, count):
    made = LiveProcess(path, name).target().site(0).count(0, count)
    made.close()
    return path


def test_merge_joins_stores_and_says_what_came_of_it(tmp_path, capsys):
    a, b = process(tmp_path / "a.db", "aa01", 5), process(tmp_path / "b.db", "bb02", 7)
    out = f"{tmp_path / 'c.db'}: 2 processes, 12 uses of 1 target.\n"
    assert lastcall(capsys, "merge", a, b, "--into", tmp_path / "c.db") == (0, out, "")
    assert lastcall(capsys, "merge", b, a, b, "--into", tmp_path / "c.db") == (0, out, "")
    assert lastcall(capsys, "merge", a, b, "--into", a)[1] == out.replace("c.db", "a.db")


def test_merge_checks_all_stores_before_it_touches_any(tmp_path, capsys):
    a = process(tmp_path / "a.db", "aa01", 5)
    code, _, err = lastcall(capsys, "merge", a, tmp_path / "typo.db", "--into", tmp_path / "c.db")
    assert (code, err) == (3, f"lastcall: There is no store at {tmp_path / 'typo.db'}. Nothing was merged.\n")
    assert not (tmp_path / "c.db").exists()


def test_merge_says_how_far_it_came(tmp_path, capsys):
    a = process(tmp_path / "a.db", "aa01", 5)
    (tmp_path / "broken.db").write_bytes(b"x" * 5000)
    code, _, err = lastcall(capsys, "merge", a, tmp_path / "broken.db", "--into", tmp_path / "c.db")
    assert code == 3
    assert "broken.db is not a database" in err
    assert f"before that: {a}" in err
    with Store.open(tmp_path / "c.db", read_only=True) as store:
        assert store.uses()[0].count == 5


# -- the guard ------------------------------------------------------------------------------------------------


@pytest.fixture
def errors(monkeypatch):
    monkeypatch.delenv("LASTCALL_RERAISE", raising=False)
    monkeypatch.delenv("LASTCALL_DEBUG", raising=False)
    return InternalErrors()


def test_the_guard_swallows_counts_and_remembers_the_first(errors, capsys):
    for text in ("one", "two"):
        with errors.guard("some-seam"):
            raise ValueError(text)
    assert errors.counts() == (("some-seam", 2),)
    assert errors.first() == {"some-seam": "ValueError: one"}
    assert capsys.readouterr() == ("", "")


def test_the_guard_lets_through_what_is_meant_for_the_host(errors):
    for kind in (KeyboardInterrupt, SystemExit, GeneratorExit):
        with pytest.raises(kind), errors.guard("some-seam"):
            raise kind
    assert errors.counts() == ()


def test_the_guard_raises_again_in_our_own_tests(errors, monkeypatch):
    monkeypatch.setenv("LASTCALL_RERAISE", "1")
    with pytest.raises(ValueError), errors.guard("some-seam"):
        raise ValueError


def test_the_guard_says_one_line_when_asked(errors, monkeypatch, capsys):
    monkeypatch.setenv("LASTCALL_DEBUG", "1")
    with errors.guard("some-seam"):
        raise ValueError("one")
    assert capsys.readouterr().err == "lastcall: internal error [some-seam] ValueError: one\n"


def test_an_error_that_cannot_be_shown_is_no_error(errors):
    class Odd(Exception):
        def __str__(self):
            raise RuntimeError

    with errors.guard("some-seam"):
        raise Odd
    assert errors.counts() == (("some-seam", 1),)


def test_the_guard_counts_exactly_under_threads(errors):
    def fail():
        for _ in range(2000):
            with errors.guard("some-seam"):
                raise ValueError

    threads = [threading.Thread(target=fail) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors.counts() == (("some-seam", 16000),)
    errors.clear()
    assert errors.counts() == ()


def test_the_guard_costs_the_host_no_module():
    script = (
        "import os, sys; before = set(sys.modules); import lastcall.errors; print(*set(sys.modules) - before)"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", script], env={**os.environ, "PYTHONPATH": AGENT}, capture_output=True, text=True
    )
    loaded = {name for name in done.stdout.split() if not name.startswith("lastcall")}
    assert "lastcall.errors" in done.stdout
    assert loaded <= {"__future__", "itertools"}


def test_run_hands_on_a_path_whose_links_go_round_in_circles(capsys, tmp_path, monkeypatch):
    """Before Python 3.13 such a path cannot be resolved; the command runs, and the agent says what is wrong."""
    from lastcall.commands import run

    (tmp_path / "loop").symlink_to("loop")
    handed = {}
    monkeypatch.setattr(run, "replace_process", lambda command, environ: handed.update(environ))
    code, _, err = lastcall(capsys, "run", "--store", tmp_path / "loop", "--", "true")
    assert (code, err) == (0, "")
    assert handed["LASTCALL_STORE"] == str(tmp_path / "loop")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_stream_leaves_the_exit_code(tmp_path, closed):
    """Who wants the exit code alone may close the output; 1 would say that a target is in use."""
    empty = tmp_path / "store.db"
    with Store.open(empty) as store:
        store.targets()
    command = f"{shlex.quote(sys.executable)} -m lastcall check --store {empty} never.seen:target {closed}"
    environ = {"PYTHONPATH": AGENT, "PATH": os.environ["PATH"], "LASTCALL_CONFIG": os.devnull}
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, env=environ, cwd=tmp_path)
    whole = subprocess.run(
        [sys.executable, "-m", "lastcall", "check", "--store", str(empty), "never.seen:target"],
        capture_output=True, text=True, timeout=60, env=environ, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == whole.returncode
    assert "Traceback" not in done.stderr + whole.stderr


def test_a_failure_for_which_there_is_no_stack_left_is_counted_all_the_same(errors):
    swallowed = []

    def dive():
        try:
            dive()
        except RecursionError as error:
            swallowed.append(errors.swallows("some-seam", error))
            raise

    with pytest.raises(RecursionError):
        dive()
    assert set(swallowed) == {True}
    assert errors.counts() == (("some-seam", len(swallowed)),)
    assert errors.first()["some-seam"].startswith("RecursionError")
    errors.clear()
    assert errors.counts() == ()
