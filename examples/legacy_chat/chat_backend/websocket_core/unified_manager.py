"""The one class that all four creation patterns end in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

    from chat_backend.user_context import UserContext


class UnifiedWebSocketManager:
    """Holds the open connections of one user. Made without a user it would serve everybody: pattern 4."""

    def __init__(self, user_context: UserContext | None = None) -> None:
        self.user_context = user_context
        self.connections: list[WebSocket] = []

    async def connect(self, socket: WebSocket) -> None:
        """Accept a connection and keep it."""
        await socket.accept()
        self.connections.append(socket)

    async def send(self, message: dict[str, str]) -> int:
        """Send to every open connection; how many there were."""
        for socket in self.connections:
            await socket.send_json(message)
        return len(self.connections)

    def disconnect(self, socket: WebSocket) -> None:
        """Forget a connection that has ended."""
        self.connections.remove(socket)
