"""Which requests failed after a deprecated use: real servers, real requests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lastcall.store import Store
from worlds import World

LEGACY = "def old():\n    return 1\n"

SERVED = """
    import asyncio, threading, time, urllib.error, urllib.request
    import legacy, uvicorn

    async def app(scope, receive, send):
        if scope["type"] == "websocket":
            await receive()
            legacy.old()
            await send({"type": "websocket.close", "code": 1011 if "bad" in scope["path"] else 1000})
            return
        if "unused" not in scope["path"]:
            legacy.old()
        if "raise" in scope["path"]:
            raise RuntimeError
        status = 500 if "bad" in scope["path"] else 200
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"1")]})
        await send({"type": "http.response.body", "body": b"x"})

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    for path in ("/", "/bad", "/bad", "/bad-unused", "/raise"):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}{path}").read()
        except urllib.error.HTTPError as error:
            print(path, error.code)

    async def sockets():
        import websockets
        for path in ("/ws", "/ws-bad"):
            try:
                async with websockets.connect(f"ws://127.0.0.1:{port}{path}") as socket:
                    await socket.recv()
            except websockets.exceptions.ConnectionClosed as error:
                print(path, error.rcvd.code)
            except websockets.exceptions.InvalidStatus as error:
                print(path, error.response.status_code)

    asyncio.run(sockets())
    server.should_exit = True
    thread.join()
"""

WSGI = """
    import legacy, lastcall
    from lastcall import bootstrap

    def app(environ, start_response):
        legacy.old()
        if environ["PATH_INFO"] == "/raise":
            raise KeyError("x")
        start_response("503 no" if environ["PATH_INFO"] == "/bad" else "200 OK", [])
        return [b"x"]

    observed = bootstrap.life().agent().impact.wsgi(app)
    for path in ("/", "/bad", "/raise", "/bad"):
        try:
            observed({"PATH_INFO": path}, lambda status, headers: print(status))
        except KeyError as error:
            print("raised", error)
"""


def impacts(run: object) -> dict[tuple[str, int], int]:
    found: dict[tuple[str, int], int] = {}
    with Store.current(run.store) as store:
        for row in store.findings():
            assert row.finding.kind == "impact"
            key = (row.finding.message, row.finding.site.line)
            found[key] = found.get(key, 0) + row.finding.count
    return found


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the servers are installed for the development version only")
def test_failures_are_joined_to_the_uses_in_their_request(tmp_path: Path) -> None:
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": SERVED}, targets=("legacy:old",))
    plain, watched = world.run(), world.run("auto", LASTCALL_IMPACT="1")
    assert watched.out == plain.out
    assert watched.internal_errors() == {}
    found = impacts(watched)
    assert found["the request ended in 500", 12] == 2
    assert found["the request ended in RuntimeError", 12] == 1
    assert found["the request ended in close code 1011", 8] == 1
    assert len(found) == 3
    assert watched.total("legacy:old") == 6


def test_wsgi_applications_tell_how_their_requests_end(tmp_path: Path) -> None:
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": WSGI}, targets=("legacy:old",))
    watched = world.run("auto", LASTCALL_IMPACT="1")
    assert watched.code == 0, watched.err
    assert impacts(watched) == {("the request ended in 503", 6): 2, ("the request ended in KeyError", 6): 1}


def test_without_the_setting_nothing_is_joined(tmp_path: Path) -> None:
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": "import legacy\nlegacy.old()\n"}, targets=("legacy:old",))
    watched = world.run("auto")
    assert impacts(watched) == {}
    assert watched.total("legacy:old") == 1
