"""The "canonical" place to import from, as an earlier clean-up announced it. Nothing here is called."""

from chat_backend.websocket_core.unified_manager import UnifiedWebSocketManager
from chat_backend.websocket_core.websocket_manager import WebSocketManager, get_websocket_manager
from chat_backend.websocket_core.websocket_manager_factory import (
    create_websocket_manager,
    get_websocket_manager_factory,
)

__all__ = [
    "UnifiedWebSocketManager",
    "WebSocketManager",
    "create_websocket_manager",
    "get_websocket_manager",
    "get_websocket_manager_factory",
]
