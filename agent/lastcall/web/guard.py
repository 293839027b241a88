"""Who may read the page: this machine's own browser, from the page itself or an address typed in.

A page on the loopback interface is still reached by every web site that the same browser has open. Three
checks keep them out: the `Host` header (against names that were made to resolve to 127.0.0.1), the
`Sec-Fetch-*` and `Origin` headers (against other sites' scripts, images and frames), and headers on every
answer that forbid to embed or to interpret it. No request changes anything, so only GET and HEAD exist.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
"""Host names of this machine. The port may be another one: of a tunnel, for example."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


class Guard:
    """ASGI middleware: refuses what may not read, and marks every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI. Other protocols than HTTP pass: only `lifespan` is ever served."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refused = refusal(scope["method"], Headers(scope=scope))
        await (refused or self.app)(scope, receive, marked)


def refusal(method: str, headers: Headers) -> PlainTextResponse | None:
    """The answer to a request that may not be served, else None."""
    if host_name(headers.get("host", "")) not in NAMES:
        return PlainTextResponse("This page answers to 127.0.0.1 and localhost only.\n", 421)
    if method not in ("GET", "HEAD"):
        return PlainTextResponse("This page is read-only.\n", 405, {"allow": "GET, HEAD"})
    if _from_elsewhere(headers):
        return PlainTextResponse("Other sites may not read this page.\n", 403)
    return None


def host_name(host: str) -> str:
    """The name in a `Host` header, or empty if it is none."""
    try:
        parts = urlsplit("//" + host)
        _ = parts.port  # raises ValueError where it is no number
    except ValueError:
        return ""
    return "" if parts.path or parts.query or "@" in host else (parts.hostname or "")


def _from_elsewhere(headers: Headers) -> bool:
    origin = headers.get("origin")
    if origin is not None and origin != f"http://{headers.get('host', '')}":
        return True
    site = headers.get("sec-fetch-site", "none")
    if site in ("none", "same-origin"):
        return False
    # Following a link to here shows the page to its reader, and tells the other site nothing.
    return not (headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document")
