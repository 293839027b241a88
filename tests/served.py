"""What the tests with real servers serve: an application that uses a shim, which keeps a ledger of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SHIM = """
import os

def old():
    # One short appending write: whole, whichever process it comes from.
    fd = os.open(os.environ["TRUTH"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, b"x\\n")
    os.close(fd)
"""

APPLICATION = """
import shim

for _ in range(5):
    shim.old()          # at import: in the master if the application is preloaded, else in each worker

def application(environ, start_response):
    shim.old()
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]

async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    shim.old()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
"""
"""`application` for WSGI servers, `asgi` for others."""


def uses_made(ledger: Path) -> int:
    """How many there were, as the shim wrote them down."""
    return len(ledger.read_text().split()) if ledger.exists() else 0
