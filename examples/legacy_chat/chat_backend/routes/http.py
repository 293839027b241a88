"""The plain requests: logging in, the health check, an announcement to everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

from chat_backend.core.health_checks import HealthChecker
from chat_backend.user_context import LoginRefusedError, log_in
from chat_backend.websocket_core.unified_manager import UnifiedWebSocketManager

if TYPE_CHECKING:
    from starlette.requests import Request


async def login(request: Request) -> JSONResponse:
    """POST {"login", "password"}: a token, or 401."""
    credentials = await request.json()
    try:
        return JSONResponse({"token": log_in(credentials["login"], credentials["password"])})
    except LoginRefusedError:
        return JSONResponse({"error": "login refused"}, status_code=401)


async def health(request: Request) -> JSONResponse:
    """GET: the state of every part."""
    return JSONResponse(HealthChecker().check())


async def announce(request: Request) -> JSONResponse:
    """POST {"text"}: how many connections got the text."""
    manager = UnifiedWebSocketManager()
    reached = await manager.send({"announcement": (await request.json())["text"]})
    return JSONResponse({"reached": reached})
