"""Pattern 1, the one to migrate to, `WebSocketManager(user_context)`; and pattern 3, an older wrapper."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chat_backend.websocket_core.unified_manager import UnifiedWebSocketManager

if TYPE_CHECKING:
    from chat_backend.user_context import UserContext

WebSocketManager = UnifiedWebSocketManager


def get_websocket_manager(user_context: UserContext) -> UnifiedWebSocketManager:
    """Make a manager the way release 1 did. Deprecated: call `WebSocketManager(user_context)`."""
    return UnifiedWebSocketManager(user_context)
