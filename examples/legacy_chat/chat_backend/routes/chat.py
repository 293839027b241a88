"""The chat sockets, one for every generation of clients still in the field."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.websockets import WebSocketDisconnect

from chat_backend.agents.answer import answer
from chat_backend.user_context import UserContext, context_of
from chat_backend.websocket_core.canonical_imports import get_websocket_manager_factory
from chat_backend.websocket_core.websocket_manager import WebSocketManager, get_websocket_manager

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

    from chat_backend.websocket_core.unified_manager import UnifiedWebSocketManager


async def current(socket: WebSocket) -> None:
    """/ws: clients of this year."""
    user_context = context_of(socket.query_params["token"])
    await _converse(WebSocketManager(user_context), socket, user_context)


async def release_two(socket: WebSocket) -> None:
    """/ws/v2: clients of last year."""
    user_context = context_of(socket.query_params["token"])
    factory = get_websocket_manager_factory()
    await _converse(factory.create(user_context), socket, user_context)


async def release_one(socket: WebSocket) -> None:
    """/ws/v1: clients that nobody has updated."""
    user_context = context_of(socket.query_params["token"])
    await _converse(get_websocket_manager(user_context), socket, user_context)


async def resume(socket: WebSocket) -> None:
    """/ws/resume: a client that lost its connection and comes back."""
    from chat_backend.websocket_core.canonical_imports import create_websocket_manager

    user_context = context_of(socket.query_params["token"])
    manager = await create_websocket_manager(user_context)
    await _converse(manager, socket, user_context)


async def export(socket: WebSocket) -> None:
    """/ws/export: broken since the wrapper stopped being a coroutine; clients see a close with 1011."""
    user_context = context_of(socket.query_params["token"])
    await socket.accept()
    manager = await get_websocket_manager(user_context)  # type: ignore[misc]
    await _converse(manager, socket, user_context)


async def _converse(manager: UnifiedWebSocketManager, socket: WebSocket, user_context: UserContext) -> None:
    """Answer every question until the client leaves. The manager must be this user's and nobody else's."""
    await manager.connect(socket)
    try:
        while True:
            question = await socket.receive_text()
            reply = {"answer": answer(user_context.tenant, question), "user": user_context.user_id}
            await manager.send(reply)
    except WebSocketDisconnect:
        manager.disconnect(socket)
