"""Serving the page on the loopback interface."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import uvicorn

from lastcall.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.applications import Starlette

LOOPBACK = "127.0.0.1"


def listen(port: int) -> socket.socket:
    """A socket on the loopback interface; port 0 takes any free one. Raises UsageError."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((LOOPBACK, port))
    except OSError as error:
        bound.close()
        raise UsageError(
            f"Port {port} of {LOOPBACK} cannot be taken ({error.strerror}). Take another with --port, "
            "or --port 0 for any that is free."
        ) from error
    return bound


def address(bound: socket.socket) -> str:
    """The page's address."""
    return f"http://{LOOPBACK}:{bound.getsockname()[1]}/"


def serve(app: Starlette, bound: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until interrupted. `ready` is called when requests are being answered."""
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=2
    )
    server = _Server(config)
    server.ready = ready
    server.run(sockets=[bound])


class _Server(uvicorn.Server):
    ready: Callable[[], None]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.ready()
