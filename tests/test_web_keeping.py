"""The board follows the store; `lastcall ui` serves it; the report file holds the same."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

import command_line

pytest.importorskip("starlette", reason="the extra web is not installed")
import web_fleet
from lastcall import config as settings
from lastcall.errors import StoreError
from lastcall.store import Store
from lastcall.web import board as boards
from lastcall.web import keeping, static_report
from live_files import LiveProcess
from test_web_pages import HOSTILE, Words
from waiting import ENOUGH, until

NOW = 1_795_000_000.0


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return settings.load({})


@pytest.fixture
def keep(tmp_path, config, monkeypatch):
    """Starts a keeper of the store in this folder that looks often."""
    monkeypatch.setattr(keeping, "LOOK", 0.05)
    monkeypatch.setattr(keeping, "MAPPED", 0.1)
    path = str(tmp_path / "store.db")
    keepers = []

    def start(open_store=None, clock=lambda: NOW + 60):
        keeper = keeping.Keeper(path, open_store or (lambda: Store.current(path)), config, clock=clock)
        keepers.append(keeper)
        keeper.start()
        return keeper

    yield start
    for keeper in keepers:
        keeper.stop()


def test_a_store_that_appears_and_grows_is_followed(keep, tmp_path):
    keeper = keep()
    assert keeper.board.store is None
    process = LiveProcess(tmp_path / "store.db")
    process.target().state().site(0).count(0, 2)
    until(lambda: keeper.board.targets)
    until(lambda: keeper.board.judged)
    first = keeper.board.version
    process.count(0, 7)
    until(lambda: keeper.board.targets["pkg.mod:old"].sums.uses == 7)
    assert keeper.board.version != first
    process.close()


def test_a_store_that_rests_is_left_alone(keep, tmp_path, monkeypatch):
    looks, look = [], keeping.Keeper._fingerprint
    monkeypatch.setattr(keeping.Keeper, "_fingerprint", lambda keeper: looks.append(keeper) or look(keeper))

    def looked_at(times):
        enough = len(looks) + times
        until(lambda: len(looks) >= enough)

    web_fleet.build(str(tmp_path / "store.db"), now=NOW)
    keeper = keep()
    until(lambda: keeper.board.judged)
    looked_at(10)
    version = keeper.board.version
    looked_at(10)
    assert keeper.board.version == version


def test_verdicts_stay_while_new_ones_are_reached(tmp_path, config):
    path = web_fleet.build(str(tmp_path / "store.db"), now=NOW)
    judged = boards.judge(boards.read(Store.current(path), NOW), config)
    fresh = boards.with_verdicts_of(boards.read(Store.current(path), NOW + 60), judged)
    assert {ref: row.word for ref, row in fresh.targets.items()} == {ref: row.word for ref, row in judged.targets.items()}
    assert fresh.judged == NOW
    for board in (judged, fresh):
        board.close()


def test_a_store_that_fails_leaves_the_last_good_board_and_says_so(keep, tmp_path):
    web_fleet.build(str(tmp_path / "store.db"), now=NOW)
    broken = []

    def open_store():
        if broken:
            raise StoreError("store-locked", "The store is locked by another process.")
        return Store.current(tmp_path / "store.db")

    keeper = keep(open_store)
    broken.append(True)
    os.utime(tmp_path / "store.db", (1, 1))
    until(lambda: keeper.board.problem)
    assert keeper.board.problem == "The store is locked by another process."
    assert len(keeper.board.targets) == len(web_fleet.TARGETS)
    broken.clear()
    os.utime(tmp_path / "store.db", (2, 2))
    until(lambda: not keeper.board.problem)


# -- the report file --------------------------------------------------------------------------------


@pytest.fixture
def report(tmp_path, config):
    path = web_fleet.build(str(tmp_path / "store.db"), now=NOW)
    with Store.current(path) as store:
        return static_report.render_store(store, config, NOW)


def test_the_file_needs_nothing_else(report):
    parsed = Words(report)
    assert not re.findall(r"""(?:src|href)=["'](?!#|https://issues\.example)""", report)
    assert "url(" not in report.replace("url(data", "")
    anchors = {a["id"] for _, a in parsed.elements if "id" in a}
    wanted = {a["href"][1:] for tag, a in parsed.elements if a.get("href", "").startswith("#")}
    assert wanted <= anchors
    assert "app/websocket_core/canonical_imports.py" in parsed.words
    assert parsed.words.count("Past") == 0
    for ref, *_ in web_fleet.TARGETS:
        assert (ref.partition(":")[2] or ref).replace("_", "_") in parsed.words


def test_the_file_allows_its_own_scripts_and_no_other(report):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', report).group(1).replace("&#39;", "'")
    texts = re.findall(r"<(?:script|style)>(.*?)</(?:script|style)>", report, re.DOTALL)
    assert len(texts) == 1 + len(static_report.SCRIPTS)
    for text in texts:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert "unsafe" not in policy


def test_the_command_writes_it(tmp_path):
    web_fleet.build(str(tmp_path / "store.db"), now=time.time())
    done = command_line.lastcall(
        "report", "--store", "store.db", "--format", "html", "-o", "r.html", cwd=tmp_path, env=environment()
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert Words((tmp_path / "r.html").read_text("utf-8")).words.startswith("Lastcall report")


@pytest.mark.parametrize("text", HOSTILE)
def test_names_cannot_become_markup_in_the_file(tmp_path, config, text):
    ref = f"pkg.mod:{text}"
    process = LiveProcess(tmp_path / "store.db", service=text)
    process.target(ref, owner=text, note=text, issue=text).state(ref, "partial", text)
    process.site(0, ref, file=text, function=text, note=text, frames=((text, 1, text),)).count(0, 2).close()
    with Store.current(tmp_path / "store.db") as store:
        page = static_report.render_store(store, config, NOW + 60)
    parsed = Words(page)
    assert [tag for tag, _ in parsed.elements].count("script") == len(static_report.SCRIPTS)
    assert not [tag for tag, _ in parsed.elements if tag == "img"]


# -- the command ------------------------------------------------------------------------------------


def environment():
    agent = Path(__file__).parent.parent / "agent"
    kept = {key: value for key, value in os.environ.items() if not key.startswith("LASTCALL_")}
    return {**kept, "PYTHONPATH": str(agent)}


def command(*arguments):
    return [sys.executable, "-m", "lastcall", "ui", "--no-open", *arguments]


def test_the_command_serves_until_it_is_interrupted(tmp_path):
    web_fleet.build(str(tmp_path / "store.db"), now=time.time())
    process = subprocess.Popen(
        command("--port", "0", "--store", "store.db"), cwd=tmp_path, env=environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        line = process.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+/", line).group()
        with urllib.request.urlopen(address, timeout=ENOUGH) as answer:
            assert "Targets in use" in answer.read().decode()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=ENOUGH)
    finally:
        process.kill()
    assert "Traceback" not in errors
    assert process.returncode in (0, 130)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--store", "nowhere.db"), "There is no store at nowhere.db"),
        (("--port", "0", "--store", "."), "is a folder"),
        (("--port", "0", "--store", "text.db"), "is not a database"),
        (("--project", "p"), "--project goes with --source gcp"),
        (("--port", "99999"), "65535"),
    ],
)
def test_wrong_usage_is_one_sentence(tmp_path, arguments, said):
    (tmp_path / "text.db").write_text("hello\n" * 100)
    done = command_line.lastcall("ui", "--no-open", *arguments, cwd=tmp_path, env=environment())
    assert done.returncode == 3
    assert said in done.stderr


def test_a_port_that_is_taken_is_said(tmp_path):
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        done = command_line.lastcall("ui", "--no-open", "--port", port, cwd=tmp_path, env=environment())
    assert done.returncode == 3
    assert f"Port {port}" in done.stderr
    assert "--port 0" in done.stderr


def test_verdicts_over_a_private_copy_do_not_make_pages_wait(tmp_path, config, monkeypatch):
    """A store that cannot be written is read as a copy: the verdicts must not take the pages' connection."""
    path = web_fleet.build(str(tmp_path / "store.db"), now=NOW)
    store = Store.open(path, read_only=True)
    store._database.copy()
    board = boards.read(store, NOW)
    held = []

    def check(request, source, config):
        held.append(board.lock.locked())
        with board.reading() as connection:  # as a page does, meanwhile
            assert connection.execute("SELECT count(*) FROM site_sum").fetchone()[0] > 100
        return original(request, source, config)

    original = boards.check
    monkeypatch.setattr(boards, "check", check)
    judged = boards.judge(board, config)
    assert held == [False]
    assert all(row.word for row in judged.targets.values())
    board.close()
