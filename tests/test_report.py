"""The report in all its formats."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastcall import cli, report_json, report_markdown, report_text, report_words
from lastcall.errors import UsageError
from lastcall.report import document, overview
from lastcall.store import Filter, Store
from live_files import NOW, LiveProcess, ns

AGENT = str(Path(__file__).resolve().parent.parent / "agent")
LONG = "netra_backend.app.websocket_core.websocket_manager_factory:WebSocketManagerFactory.get_websocket_manager"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.db"


@pytest.fixture
def store(path):
    """One process of a chat backend with a bit of everything."""
    process = LiveProcess(path, release="2026.11.3")
    process.target(LONG, replacement="app.new:Manager", owner="platform", issue="#514", since="2025-09-01",
                   remove_by="2026-12-31", file="/srv/app/ws/factory.py", line=212)  # fmt: skip
    process.target("pkg.mod:quiet").target("pkg.mod:gone")
    process.state(LONG).state("pkg.mod:quiet", "pending", "no import of pkg.mod so far", "")
    process.state("pkg.mod:gone", "missing", "pkg.mod has no name gone", "")
    frames = (("/srv/app/core/health_checks.py", 228, "HealthChecker._check"), ("/usr/lib/py/asgi.py", 9, "run"))
    process.site(0, LONG, file="/srv/app/core/health_checks.py", line=228, function="HealthChecker._check",
                 module="core.health_checks", expression="get_websocket_manager_factory", frames=frames)  # fmt: skip
    process.site(1, LONG, file="/usr/lib/site-packages/third/party.py", origin="indirect", via="pkg.sub:Child")
    process.count(0, 41).count(1, 1).beat(NOW + 3600)
    process.append("Z", 0, 3)
    process.append("R", LONG, "ws.canonical_imports", "factory", "/srv/app/ws/canonical_imports.py", 35, "module")
    process.append("F", "isolation", LONG, ns(NOW + 5), "one manager served two users", 0, 2, ())
    process.append("O", ns(NOW + 60), (("call-sites", 3),), (("export-failed", 1),))
    process.close()
    with Store.current(path) as opened:
        yield opened


def lastcall(capsys, *arguments):
    """(exit code, stdout, stderr) of a command line run in this process."""
    with pytest.raises(SystemExit) as done:
        cli.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return done.value.code, out, err


# -- JSON -------------------------------------------------------------------------------------------------


def test_json_has_the_fields_that_other_tools_rely_on(store, path, capsys):
    code, out, _ = lastcall(capsys, "report", "--store", path, "--format", "json")
    assert code == 0
    shown = json.loads(out)
    assert shown["schema"] == 1
    target = next(entry for entry in shown["targets"] if entry["target"] == LONG)
    assert target | {"states": None, "engine": None} == {
        "target": LONG, "kind": "function", "state": "armed", "reason": "", "states": None, "engine": None,
        "defined": {"file": "ws/factory.py", "line": 212}, "replacement": "app.new:Manager", "owner": "platform",
        "issue": "#514", "since": "2025-09-01", "remove_by": "2026-12-31", "note": "", "schedule": "",
        "source": "config", "uses": 42, "call_sites": 2, "first_seen": "2026-11-18T11:06:40Z",
        "last_seen": "2026-11-18T12:06:40Z",
    }  # fmt: skip
    assert shown["uses"][0] == {
        "target": LONG, "use": "call", "file": "core/health_checks.py", "line": 228,
        "function": "HealthChecker._check", "module": "core.health_checks",
        "expression": "get_websocket_manager_factory", "origin": "direct", "via": "", "note": "",
        "service": "backend", "environment": "staging", "release": "2026.11.3", "count": 41, "errors": 3,
        "allowed": False, "allowed_by": None, "during_import": False, "test": False, "scanner": False, "processes": 1,
        "first_seen": "2026-11-18T11:06:40Z", "last_seen": "2026-11-18T12:06:40Z",
        "stack": [{"file": "core/health_checks.py", "line": 228, "function": "HealthChecker._check"},
                  {"file": "/usr/lib/py/asgi.py", "line": 9, "function": "run"}],
    }  # fmt: skip
    assert shown["uses"][1]["errors"] is None
    (reference,) = shown["references"]
    assert (reference["module"], reference["name"], reference["file"], reference["line"]) == (
        "ws.canonical_imports", "factory", "ws/canonical_imports.py", 35,
    )  # fmt: skip
    (observation,) = shown["observations"]
    assert {key: observation[key] for key in ("processes", "seconds", "armed", "pending", "missing", "failed",
            "partial", "internal_errors", "dropped")} == {
        "processes": 1, "seconds": 60.0, "armed": 1, "pending": 1, "missing": 1, "failed": 0, "partial": 0,
        "internal_errors": 1, "dropped": 3,
    }  # fmt: skip
    assert shown["findings"][0]["message"] == "one manager served two users"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@settings(deadline=None)
@given(st.dictionaries(st.text(), values, max_size=4))
def test_json_in_pieces_is_the_same_json(content):
    text = "".join(report_json.pieces(content))
    assert json.loads(text) == content
    assert text.isascii()


# -- text -----------------------------------------------------------------------------------------------------


def text_of(store, *, now=NOW + 7200, limit=20, stacks=False, filter_=Filter()):
    return [line.text for line in report_text.lines(overview(store, filter_, limit=limit, stacks=stacks), now=now)]


def test_text_fits_80_columns_and_loses_nothing_by_it(store):
    lines = text_of(store, stacks=True)
    assert max(map(len, lines)) <= 80
    joined = re.sub(r"\s+", "", "".join(lines))
    for name in (LONG, "core/health_checks.py:228", "ws/factory.py:212", "ws/canonical_imports.py:35"):
        assert name in joined


def test_text_names_the_definition_the_callers_and_the_references(store):
    text = "\n".join(text_of(store))
    assert "1 in use, 2 without a use seen" in text
    assert re.search(r"41  core/health_checks.py:228\n +in HealthChecker._check, call of get_websocket", text)
    assert "third party" in text
    assert "via subclass pkg.sub:Child" in text
    assert "3 raised" in " ".join(text.split())
    assert "pkg.mod has no name gone" in text
    assert "one manager served two users (2 times)" in text
    assert "1 process for 60 seconds in all, last seen 60 minutes ago" in text
    assert "Counts are a lower bound" in " ".join(text.split())
    assert "export-failed" in text


def test_text_says_what_a_limit_hides(store):
    assert "    ... and 1 more call site; --limit 0 shows all" in text_of(store, limit=1)
    assert not any("more call site" in line for line in text_of(store, limit=0))


def test_text_without_a_use_says_what_that_is_worth(path):
    process = LiveProcess(path).target().state()
    process.close()
    with Store.current(path) as store:
        assert "evidence only for the processes" in " ".join(" ".join(text_of(store)).split())


def test_names_cannot_draw_on_the_terminal(path):
    process = LiveProcess(path).site(0, file="/srv/app/\x1b[31mred\r\n.py", function="a\x07b", expression="\u202eeno")
    process.close()
    with Store.current(path) as store:
        lines = text_of(store)
        markdown = report_markdown.render(overview(store, Filter(), limit=20), now=NOW)
    assert all(line.isprintable() for line in lines)
    assert all(line.isprintable() for line in markdown.splitlines())
    assert "\\x1b[31mred\\r\\n.py" in "".join(lines)


# -- Markdown -----------------------------------------------------------------------------------------------------


def test_markdown_shows_the_same(store):
    text = report_markdown.render(overview(store, Filter(), limit=20), now=NOW + 7200)
    assert f"| `{LONG}` | armed | 42 | 2 | 60 minutes ago | `app.new:Manager` | 2026-12-31 |" in text
    assert "| `core/health_checks.py:228` | `HealthChecker._check` | `get_websocket_manager_factory` | 41 |" in text
    assert "one manager served two users" in text


def test_markdown_fits_a_comment(path):
    process = LiveProcess(path, slots=3000)
    for slot in range(2000):
        process.site(slot, f"pkg.mod:target_{slot % 70}", file=f"/srv/app/{'deep/' * 20}file_{slot}.py")
    process.close()
    with Store.current(path) as store:
        text = report_markdown.render(overview(store, Filter(), limit=50), now=NOW)
    assert len(text) < 65_536
    assert "Cut here" in text


def test_hostile_names_cannot_leave_their_cell(path):
    process = LiveProcess(path).site(0, file="/srv/app/a|b`c``d.py", function="<img src=x>", expression="@all")
    process.append("F", "isolation", "pkg.mod:old", ns(NOW), "<b>@team|`x`", 0, 1, ())
    process.close()
    with Store.current(path) as store:
        text = report_markdown.render(overview(store, Filter(), limit=20), now=NOW)
    assert "| ``` a\\|b`c``d.py:1 ``` | `<img src=x>` | `@all` | 1 |" in text
    assert "\\<b\\>@\u200bteam\\|\\`x\\`" in text


# -- words ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "less than a second"), (0.9, "less than a second"), (1, "1 second"), (119, "119 seconds"), (120, "2 minutes"), (7199, "119 minutes"),
     (7200, "2 hours"), (172800, "2 days"), (3 * 30 * 86400, "3 months"), (3 * 365 * 86400, "3 years")],
)  # fmt: skip
def test_spans_in_words(seconds, words):
    assert report_words.span(seconds) == words


def test_moments_in_words():
    assert report_words.ago(NOW, NOW) == "just now"
    assert report_words.ago(NOW - 300, NOW) == "5 minutes ago"
    assert report_words.ago(NOW - 100 * 86400, NOW) == "on 2026-08-10"
    assert report_words.ago(NOW + 90000, NOW) == "on 2026-11-19"


@pytest.mark.parametrize(
    ("text", "back"), [("90m", 5400), ("24h", 86400), ("30d", 30 * 86400), ("2w", 14 * 86400), ("1.5h", 5400), (" 2 w ", 14 * 86400)]
)
def test_spans_back_from_now(text, back):
    assert report_words.moment(text, NOW) == NOW - back


def test_dates_are_utc():
    assert report_words.moment("2026-11-22", NOW) == report_words.moment("2026-11-22T01:00:00+01:00", NOW)
    assert report_words.rfc3339(report_words.moment("2026-11-22T10:00:00Z", NOW)) == "2026-11-22T10:00:00Z"


@pytest.mark.parametrize("text", ["yesterday", "5", "-3d", "", "30x", "2026-13-01", "\0"])
def test_other_words_are_refused(text):
    with pytest.raises(UsageError, match="--since"):
        report_words.moment(text, NOW)


# -- the command ------------------------------------------------------------------------------------------------


def test_a_running_process_is_in_the_report(path, capsys):
    process = LiveProcess(path).target().state().site(0).count(0, 5)
    assert "        5  pkg/caller_0.py:1" in lastcall(capsys, "report", "--store", path)[1]
    process.count(0, 6)
    assert "        6  pkg/caller_0.py:1" in lastcall(capsys, "report", "--store", path)[1]
    process.close()


def test_no_store_says_what_to_do(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LASTCALL_STORE", raising=False)
    code, out, _ = lastcall(capsys, "report")
    assert code == 0
    assert "Nothing was observed yet" in out
    assert "LASTCALL_ENABLED=1" in out
    assert json.loads(lastcall(capsys, "report", "--format", "json")[1])["uses"] == []
    assert not (tmp_path / ".lastcall").exists()


def test_an_empty_store_says_so(path, capsys):
    with Store.open(path) as store:
        store.targets()
    assert "is empty" in lastcall(capsys, "report", "--store", path)[1]


def test_processes_without_targets_say_so(path, capsys):
    LiveProcess(path).close()
    assert "1 process observed, but no deprecated entry point" in lastcall(capsys, "report", "--store", path)[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--target", "quiet"], "Did you mean pkg.mod:quiet?"),
        (["--target", "pkg.mod:quite"], "Did you mean pkg.mod:quiet"),
        (["--service", "front"], "There is: backend."),
        (["--release", "0"], "There is: 2026.11.3."),
        (["--environment", "prod"], "There is: staging."),
        (["--since", "soon"], "expected a span such as 24h"),
        (["--format", "xml"], "'text', 'json', 'markdown', 'html'"),
        (["--limit", "-1"], "--limit"),
        (["--watch", "--format", "json"], "--watch"),
        (["--output", "/no/such/folder/x"], "Cannot write /no/such/folder/x"),
        (["--no-such-option"], "--no-such-option"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_3(store, path, capsys, arguments, words):
    code, out, err = lastcall(capsys, "report", "--store", path, *arguments)
    assert (code, out) == (3, "")
    assert words in err
    assert err.startswith("lastcall: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("command", ["report", "check"])
def test_from_a_folder_below_the_store_is_named(tmp_path, monkeypatch, capsys, command):
    (tmp_path / "below" / "that").mkdir(parents=True)
    (tmp_path / ".lastcall").mkdir()
    with Store.open(tmp_path / ".lastcall" / "store.db") as store:
        store.targets()
    monkeypatch.chdir(tmp_path / "below" / "that")
    code, out, err = lastcall(capsys, command)
    assert f"There is one at {tmp_path}/.lastcall/store.db, which --store can name." in out + err
    assert code == (0 if command == "report" else 3)


def test_a_store_that_was_named_must_be_there(tmp_path, capsys):
    code, _, err = lastcall(capsys, "report", "--store", tmp_path / "typo.db")
    assert (code, err) == (3, f"lastcall: There is no store at {tmp_path / 'typo.db'}. Check --store.\n")


def test_a_broken_store_is_one_sentence(path, capsys):
    path.write_bytes(b"no database " * 1000)
    code, _, err = lastcall(capsys, "report", "--store", path)
    assert code == 3
    assert "is not a database" in err


def test_an_output_file_is_whole_and_readable_by_others(store, path, tmp_path, capsys):
    code, out, _ = lastcall(capsys, "report", "--store", path, "--format", "json", "-o", tmp_path / "r.json")
    assert (code, out) == (0, "")
    assert json.loads((tmp_path / "r.json").read_text()) == document(store, Filter())
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "r.json").stat().st_mode & 0o777 == 0o666 & ~umask
    assert not [file for file in os.listdir(tmp_path) if file.startswith("r.json") and file != "r.json"]


def test_an_output_that_is_no_plain_file_is_written_to_and_not_replaced(store, path, tmp_path, capsys):
    """Renamed into place, root's `-o /dev/stdout` would be the end of /dev/stdout."""
    (tmp_path / "real.md").write_text("old")
    (tmp_path / "real.md").chmod(0o640)
    (tmp_path / "link.md").symlink_to("real.md")
    command = ("report", "--store", path, "--format", "markdown", "-o")
    assert lastcall(capsys, *command, tmp_path / "link.md") == (0, "", "")
    assert (tmp_path / "link.md").is_symlink()
    assert "| " in (tmp_path / "real.md").read_text()
    assert (tmp_path / "real.md").stat().st_mode & 0o777 == 0o640

    (tmp_path / "null").symlink_to("/dev/null")
    assert lastcall(capsys, *command, tmp_path / "null") == (0, "", "")
    assert (tmp_path / "null").is_symlink()
    assert Path("/dev/null").is_char_device()

    os.mkfifo(tmp_path / "pipe")
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_text()), daemon=True)
    read: list[str] = []
    reader.start()
    assert lastcall(capsys, *command, tmp_path / "pipe") == (0, "", "")
    reader.join(10)
    assert "| " in read[0]


def test_a_limit_larger_than_any_store_shows_all(store, path, capsys):
    shown = lastcall(capsys, "report", "--store", path, "--limit", 10**6)
    assert lastcall(capsys, "report", "--store", path, "--limit", 10**30) == shown


def test_a_time_after_the_last_process_is_not_called_an_empty_store(store, path, capsys):
    code, out, _ = lastcall(capsys, "report", "--store", path, "--since", "9999-01-01")
    assert code == 0
    assert out.startswith("No process was watched since then. The last one in the store was seen ")


def test_since_counts_only_uses_since(path, capsys):
    now = time.time()
    old = LiveProcess(path, "aa01", started=now - 40 * 86400).target().site(0).count(0, 100, now - 40 * 86400)
    new = LiveProcess(path, "bb02", started=now - 60).target().site(0).count(0, 7, now)
    old.close()
    new.close()
    shown = json.loads(lastcall(capsys, "report", "--store", path, "--format", "json", "--since", "7d")[1])
    assert [use["count"] for use in shown["uses"]] == [7]
    assert shown["targets"][0]["uses"] == 7


def start(*arguments, **given):
    return subprocess.Popen(
        [sys.executable, "-m", "lastcall", *map(str, arguments)], env={**os.environ, "PYTHONPATH": AGENT}, **given
    )


def test_watch_shows_each_change(path):
    process = LiveProcess(path).target().state().site(0).count(0, 5)
    watcher = start("report", "--store", path, "--watch", stdout=subprocess.PIPE, text=True, bufsize=1)
    try:
        assert wait_for(watcher.stdout, "        5  pkg/caller_0.py:1")
        process.count(0, 6)
        assert wait_for(watcher.stdout, "        6  pkg/caller_0.py:1")
    finally:
        watcher.kill()
        watcher.communicate()
    process.close()


def wait_for(stream, words):
    return any(words in line for line in stream)


def test_a_reader_that_stops_reading_is_no_error(store, path):
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with start("report", "--store", path, "--format", "json", **pipe) as head:
        head.stdout.close()
        assert head.stderr.read() == b""
    assert head.returncode == 141  # as if SIGPIPE had ended it; above all not 0, which says `safe` elsewhere


def test_colours_are_for_terminals_only(store, path):
    plain = start("report", "--store", path, stdout=subprocess.PIPE, text=True)
    assert "\x1b" not in plain.communicate()[0]
    leader, follower = pty.openpty()
    terminal = start("report", "--store", path, stdout=follower, stderr=follower)
    os.close(follower)
    shown = b""
    while select.select([leader], [], [], 60)[0]:
        try:
            piece = os.read(leader, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(leader)
    assert terminal.wait(60) == 0
    assert b"\x1b[" in shown
    assert b"core/health_checks.py:228" in shown


# -- many targets, and allowed uses -------------------------------------------------------------------------


@pytest.fixture
def thousand(path):
    """1,000 targets: 900 in use at one call site each, 100 not, of which five are missing."""
    process = LiveProcess(path, slots=900)
    for number in range(1_000):
        ref = f"backend.module_{number:04}:legacy_function"
        process.target(ref)
        if number >= 995:
            process.state(ref, "missing", "the module was imported and has no legacy_function", "")
        else:
            process.state(ref)
        if number < 900:
            process.site(number, ref, file=f"/srv/app/caller_{number}.py").count(number, 2_000 - number)
            process.append("R", ref, f"holder_{number}", "name", f"/srv/app/holder_{number}.py", 3, "module")
    process.close()


def test_a_thousand_targets_make_a_report_that_can_be_read_and_says_what_it_left_out(thousand, path, capsys):
    code, out, _ = lastcall(capsys, "report", "--store", path)
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    assert len(out.splitlines()) < 700
    assert "Targets: 900 in use, 100 without a use seen" in out
    assert "backend.module_0000:legacy_function" in out
    assert "backend.module_0039:legacy_function" in out
    assert "backend.module_0040:legacy_function" not in out
    assert "... and 860 more in use (860 armed); --limit 0 shows all" in out
    assert "backend.module_0999:legacy_function" in out  # what is missing comes before what is only quiet
    assert "... and 60 more without a use seen (60 armed)" in out
    assert "... and of 860 more targets; --limit 0 shows all" in out
    _, whole, _ = lastcall(capsys, "report", "--store", path, "--limit", 0)
    assert all(f"backend.module_{number:04}:legacy_function" in whole for number in range(1_000))
    assert "... and" not in whole


ALLOWING = """
[[target]]
ref = "pkg.mod:old"
allow = [{ caller = "pkg.gone", reason = "past", until = "2020-01-01" },
         { caller = "core.**", reason = "the factory itself", until = "2097-01-31" }]
[[target]]
ref = "pkg.**:get_*"
allow = [{ caller = "core.health:probe", reason = "not ours to change" }]
"""


def test_it_says_why_a_use_is_allowed_and_until_when(path, tmp_path, capsys, monkeypatch):
    process = LiveProcess(path).target("pkg.mod:old").target("pkg.sub:get_it").state("pkg.mod:old").state("pkg.sub:get_it")
    allowed = {"flags": 8, "file": "/srv/app/x.py"}
    process.site(0, "pkg.mod:old", module="core.health", **allowed).count(0, 1)
    process.site(1, "pkg.sub:get_it", module="core.health", function="probe", **allowed).count(1, 2)
    process.site(2, "pkg.mod:old", module="pkg.gone", line=7, **allowed).count(2, 3)
    process.site(3, "pkg.mod:old", module="elsewhere", file="/srv/app/y.py").count(3, 4)
    process.close()
    (tmp_path / "lastcall.toml").write_text(ALLOWING)
    monkeypatch.chdir(tmp_path)
    _, out, _ = lastcall(capsys, "report", "--store", path, "--format", "json")
    by_count = {use["count"]: (use["allowed"], use["allowed_by"]) for use in json.loads(out)["uses"]}
    assert by_count == {
        1: (True, {"caller": "core.**", "reason": "the factory itself", "until": "2097-01-31"}),
        2: (True, {"caller": "core.health.probe", "reason": "not ours to change", "until": ""}),
        3: (True, None),  # the entry has run out since
        4: (False, None),
    }
    _, text, _ = lastcall(capsys, "report", "--store", path)
    words = " ".join(text.split())
    assert "allowed until 2097-01-31 (the factory itself)" in words
    assert "allowed (not ours to change)" in words
    _, markdown, _ = lastcall(capsys, "report", "--store", path, "--format", "markdown")
    assert "allowed until 2097-01-31 (the factory itself)" in markdown


def test_a_target_that_no_process_has_reported_is_not_said_to_be_armed_and_what_could_not_be_read_is_listed(path):
    process = LiveProcess(path).site(0, "pkg.mod:old").count(0, 1)
    os.write(process.journal.fd, b"garbage\n")
    process.close()
    with Store.current(path) as store:
        shown = document(store, Filter())
    (target,) = shown["targets"]
    assert (target["state"], target["states"], target["uses"]) == ("pending", {}, 1)
    assert "no process" in target["reason"]
    assert [(entry["kind"], entry["name"], entry["count"]) for entry in shown["internal_errors"]] == [("reading", "garbage-line", 1)]
