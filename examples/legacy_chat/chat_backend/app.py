"""The application: `chat_backend.app:app`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute

from chat_backend.routes import chat, http

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.websockets import WebSocket

    Handler = Callable[[WebSocket], Awaitable[None]]

logger = logging.getLogger(__name__)


def _closing_with_1011(handler: Handler) -> Handler:
    """Tell the client about an error in `handler` as the protocol has it: by close code 1011."""

    async def endpoint(socket: WebSocket) -> None:
        try:
            await handler(socket)
        except Exception:
            logger.exception("%s failed", socket.url.path)
            await socket.close(1011)

    return endpoint


app = Starlette(
    routes=[
        Route("/login", http.login, methods=["POST"]),
        Route("/health", http.health),
        Route("/announce", http.announce, methods=["POST"]),
        WebSocketRoute("/ws", _closing_with_1011(chat.current)),
        WebSocketRoute("/ws/v2", _closing_with_1011(chat.release_two)),
        WebSocketRoute("/ws/v1", _closing_with_1011(chat.release_one)),
        WebSocketRoute("/ws/resume", _closing_with_1011(chat.resume)),
        WebSocketRoute("/ws/export", _closing_with_1011(chat.export)),
    ]
)
