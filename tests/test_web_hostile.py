"""Pages over a store that somebody means ill with, that changes under them, or that is not there any more."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from urllib.parse import quote

import pytest

pytest.importorskip("starlette", reason="the extra web is not installed")
from asgi_client import Client
from lastcall import config as settings
from lastcall.store import Store
from lastcall.web import keeping, static_report
from lastcall.web.app import PAGES, application
from live_files import NOW, LiveProcess

PLACES = [path for path in PAGES if path != "/target"]


@pytest.fixture
def config(tmp_path, monkeypatch):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return settings.load({})


@pytest.fixture
def keep(tmp_path, config):
    """Makes a keeper of the store, and an application over it; both are ended."""
    kept = []

    def make():
        path = str(tmp_path / "store.db")
        keeper = keeping.Keeper(path, lambda: Store.current(path), config, clock=lambda: NOW + 60)
        kept.append(keeper)
        keeper.refresh()
        return keeper, Client(application(lambda: keeper.board))

    yield make
    for keeper in kept:
        keeper.stop()


def a_use(store, name="aa01", **given):
    process = LiveProcess(store, name, **given)
    process.target().state().site(0).count(0, 2)
    return process


def whole(answer, status=200):
    """The text of a page that is a page, not a traceback."""
    assert answer.status_code == status, answer.text[:300]
    assert "<h1" in answer.text or status != 200
    assert "Traceback" not in answer.text
    return answer.text


# -- strings ----------------------------------------------------------------------------------------

NAMES = {
    "a path that is not UTF-8": os.fsdecode(b"app/caf\xe9.py"),
    "a lone surrogate": "a\ud800b",
    "NUL": "a\x00b",
    "ten thousand": "n" * 10_000,
    "right to left": "\u202e\u2066safe\u202c",
    "Hebrew": "שלום/עולם.py",
    "a script": "</script><script>alert(1)</script>",
    "an attribute": '" onmouseover="alert(1)',
    "a template": "{{ board }}{% include 'base.html' %}",
    "all wildcards": "*?[a-z]%_",
    "only spaces": " \t\n ",
    "combining": "a" + "\u0301" * 500,
}


@pytest.mark.parametrize("text", NAMES.values(), ids=NAMES)
def test_every_field_may_hold_anything(keep, tmp_path, text):
    ref = f"pkg.mod:{text}"
    process = LiveProcess(tmp_path / "store.db", service=text, environment=text, release=text)
    process.target(ref, kind=text, replacement=text, owner=text, issue=text, since=text, remove_by=text, note=text, schedule=text, file=text, line=3)
    process.state(ref, "partial", text, text)
    process.site(0, ref, file=text, function=text, module=text, via=text, note=text, expression=text, frames=((text, 1, text),)).count(0, 2)
    process.append("R", ref, text, text, text, 4, text)
    process.close()
    keeper, client = keep()
    assert keeper.board.problem == ""
    (shown,) = keeper.board.targets
    for path in (*PLACES, f"/target?ref={quote(shown, errors='replace')}", f"/targets?q={quote(text, errors='replace')}"):
        page = whole(client.get(path))
        assert "<script>alert" not in page
        assert 'onmouseover="' not in page
        assert "\x00" not in page
        assert "\u202e" not in page
        page.encode("utf-8")
        assert len(page) < 400_000
    with Store.current(tmp_path / "store.db") as store:
        static_report.render_store(store, settings.load({}), NOW + 60).encode("utf-8")


@pytest.mark.parametrize("path", [
    "/static/%00", "/static/" + "a" * 5000, "/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd", "/static/vendor",
    "/%ff%fe", "/target?ref=%ff%fe%00", "/target?ref=" + "x" * 60_000, "/target?" + "&".join(f"a{n}=1" for n in range(2000)),
    "/targets?q=%00&owner=%F0%9F&verdict[]=1", "/version?x=1", "/targets?page=%D9%A3",
])  # fmt: skip
def test_no_address_is_an_error_of_ours(keep, tmp_path, path):
    a_use(tmp_path / "store.db").close()
    answer = keep()[1].get(path)
    assert answer.status_code in (200, 404)
    assert "Traceback" not in answer.text
    assert "root:" not in answer.text
    assert "from __future__" not in answer.text


# -- a store that changes ---------------------------------------------------------------------------


def test_a_store_that_is_removed_is_said_and_the_last_pages_stay(keep, tmp_path):
    a_use(tmp_path / "store.db").close()
    keeper, client = keep()
    before = keeper.board.targets
    for entry in tmp_path.glob("store.db*"):
        for file in entry.iterdir() if entry.is_dir() else ():
            file.unlink()
        entry.rmdir() if entry.is_dir() else entry.unlink()
    keeper.refresh()
    assert keeper.board.targets == before
    for path in (*PLACES, "/target?ref=pkg.mod:old"):
        page = whole(client.get(path))
        assert "Not up to date" in page
        assert "There is no store at" in page
    assert "2 uses" in whole(client.get("/target?ref=pkg.mod:old"))
    assert not (tmp_path / "store.db").exists()
    a_use(tmp_path / "store.db", "aa02").count(0, 7).close()
    keeper.refresh()
    assert "7 uses" in whole(client.get("/target?ref=pkg.mod:old"))
    assert "Not up to date" not in whole(client.get("/"))


def test_a_store_of_a_newer_version_is_not_called_absent(keep, tmp_path):
    a_use(tmp_path / "store.db").close()
    Store.current(tmp_path / "store.db").close()
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
    connection.close()
    client = keep()[1]
    for path in PLACES:
        page = whole(client.get(path))
        assert "has schema 99" in page
        assert "Nothing could be read yet" in page
        assert "There is no store" not in page
    assert "has schema 99" in whole(client.get("/target?ref=pkg.mod:old"), 404)


@pytest.mark.parametrize("content", [b"", b"not a database" * 1000, b"SQLite format 3\x00" + b"\xff" * 8000])
def test_a_file_that_is_no_store_is_said(keep, tmp_path, content):
    (tmp_path / "store.db").write_bytes(content)
    client = keep()[1]
    page = whole(client.get("/"))
    assert ("The store is empty" in page) is (content == b"")
    assert ("Nothing could be read yet" in page) is (content != b"")


def test_pages_are_whole_while_the_store_is_written(keep, tmp_path):
    """A writer, a keeper that reads all the time, and readers of pages: nobody waits for long, nothing breaks."""
    path = str(tmp_path / "store.db")
    writer = a_use(path)
    keeper, client = keep()
    done, wrong, seen = threading.Event(), [], set()

    def write():
        for number in range(1, 60):
            writer.site(number, line=number).count(number, number)
            writer.count(0, 10 + number)
            time.sleep(0.01)
        done.set()

    def refresh():
        while not done.is_set():
            keeper.refresh()

    def read():
        while not done.is_set():
            for address in ("/", "/targets", "/target?ref=pkg.mod:old&q=caller", "/observation"):
                answer = client.get(address)
                seen.add(answer.headers.get("etag"))
                if answer.status_code != 200 or "</html>" not in answer.text:
                    wrong.append((address, answer.status_code, answer.text[:200]))

    threads = [threading.Thread(target=each) for each in (write, refresh, read, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    assert wrong == []
    assert len(seen) > 8
    keeper.refresh()
    assert keeper.board.targets["pkg.mod:old"].sums.uses == 69 + sum(range(1, 60))
