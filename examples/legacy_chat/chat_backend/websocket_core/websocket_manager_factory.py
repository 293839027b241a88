"""Pattern 2: the factories of release 2, deprecated since every call site can name the class itself."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from chat_backend.websocket_core.unified_manager import UnifiedWebSocketManager

if TYPE_CHECKING:
    from chat_backend.user_context import UserContext

logger = logging.getLogger(__name__)


class WebSocketManagerFactory:
    """Makes managers, one for each user who asks."""

    def create(self, user_context: UserContext) -> UnifiedWebSocketManager:
        """Make a manager for one user."""
        return UnifiedWebSocketManager(user_context)


def get_websocket_manager_factory() -> WebSocketManagerFactory:
    """Make a factory. Deprecated: call `WebSocketManager(user_context)` instead of asking for a factory."""
    logger.warning("get_websocket_manager_factory() is deprecated, use WebSocketManager(user_context)")
    return WebSocketManagerFactory()


async def create_websocket_manager(user_context: UserContext) -> UnifiedWebSocketManager:
    """Make a manager in asynchronous code. Deprecated: making one never had to wait for anything."""
    return get_websocket_manager_factory().create(user_context)
