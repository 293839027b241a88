"""Who may read the page, and what every answer says."""

from __future__ import annotations

import time

import pytest

pytest.importorskip("starlette", reason="the extra web is not installed")
from asgi_client import Client
from lastcall.web import board as boards
from lastcall.web.app import PAGES, application
from lastcall.web.guard import host_name


@pytest.fixture(scope="module")
def client():
    board = boards.empty("/nowhere/store.db", time.time())
    return Client(application(lambda: board))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8765", "localhost:9000", "[::1]:8765", "LOCALHOST"])
def test_this_machines_names_are_answered_at_any_port(client, host):
    assert client.get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example:8765", "", "127.0.0.1:x",
     "127.0.0.1@evil.example", "evil.example@127.0.0.1", "127.0.0.2", "0.0.0.0", "localhost/evil"],
)  # fmt: skip
def test_other_names_are_refused(client, host):
    answer = client.get("/", headers={"host": host})
    assert answer.status_code == 421
    assert "lastcall" not in answer.text.lower()


def test_a_name_is_read_as_a_browser_would():
    assert host_name("[::1]:80") == "::1"
    assert host_name("[::1") == ""


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/", "/targets", "/version", "/static/app.css", "/nope"])
def test_only_reading_exists(client, method, path):
    answer = client.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"sec-fetch-site": "none", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}, 200),
        ({"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}, 200),
        # a link on another site shows the page to its reader, and to nobody else
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}, 200),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "script"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}, 403),
        # another port of this machine is another program
        ({"sec-fetch-site": "same-site", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}, 403),
        ({"origin": "http://127.0.0.1:8765"}, 200),
        ({"origin": "http://127.0.0.1:3000"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
    ],
)
@pytest.mark.parametrize("path", ["/", "/version", "/static/live.js"])
def test_other_sites_cannot_read(client, headers, status, path):
    answer = client.get(path, headers={"host": "127.0.0.1:8765", **headers})
    assert answer.status_code == status
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", [*PAGES, "/version", "/static/app.css", "/nope"])
def test_every_answer_forbids_to_embed_or_interpret_it(client, path):
    headers = client.get(path).headers
    assert "script-src 'self';" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2f..%2ferrors.py", "/static//etc/passwd"])
def test_only_static_files_are_files(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert "import" not in answer.text
