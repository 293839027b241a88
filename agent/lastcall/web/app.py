"""The web page as an ASGI application over a board."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from lastcall.errors import StoreError
from lastcall.web import pages
from lastcall.web.guard import Guard
from lastcall.web.rendering import STATIC, asset_versions, load_all, render

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from lastcall.web.board import Board

PAGES: dict[str, tuple[str, Any]] = {
    "/": ("overview", pages.overview),
    "/targets": ("targets", pages.targets),
    "/target": ("target", pages.target),
    "/isolation": ("isolation", pages.isolation),
    "/impact": ("impact", pages.impact),
    "/observation": ("observation", pages.observation),
}


def application(board: Callable[[], Board]) -> Starlette:
    """The application. `board` gives the present board; it is called once a request."""
    load_all()
    routes = [Route(path, _page(name, show, board), name=name) for path, (name, show) in PAGES.items()]

    def version(request: Request) -> Response:
        tag = _tag(board().version)
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"etag": tag})
        return JSONResponse({"version": board().version}, headers={"etag": tag, "cache-control": "no-cache"})

    return Starlette(
        routes=[
            *routes,
            Route("/version", version),
            Mount("/static", _Assets(directory=STATIC)),
        ],
        middleware=[Middleware(Guard), Middleware(GZipMiddleware, minimum_size=600, compresslevel=5)],
        exception_handlers={
            404: lambda _, __: _problem(board(), 404, "There is no such page."),
            pages.NotFound: lambda _, error: _problem(board(), 404, str(error)),
            StoreError: lambda _, error: _problem(board(), 503, str(error)),
        },
    )


def _page(name: str, show: Any, board: Callable[[], Board]) -> Callable[[Request], Response]:
    def endpoint(request: Request) -> Response:
        current = board()
        # The same board gives the same page: that minutes have passed since, the page works out by itself.
        tag = _tag(current.version, str(request.url.path), request.url.query, *asset_versions().values())
        headers = {"etag": tag, "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        text = render(f"{name}.html", show(current, dict(request.query_params)))
        return HTMLResponse(text, headers=headers)

    return endpoint


def _problem(board: Board, status: int, text: str) -> Response:
    context = {**pages.shared(board, "problem"), "text": text, "status": status}
    return HTMLResponse(render("problem.html", context), status, {"cache-control": "no-store"})


def _tag(*parts: str) -> str:
    text = "\x1f".join(parts).encode("utf-8", "surrogatepass")
    # Weak: gzip makes other bytes of the same page.
    return f'W/"{hashlib.blake2b(text, digest_size=9).hexdigest()}"'


class _Assets(StaticFiles):
    """Static files. Addresses that carry a digest may be kept for ever, the others (fonts) for a day."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        scope = kwargs["scope"] if "scope" in kwargs else args[2]
        versioned = scope["query_string"].startswith(b"v=")
        response.headers["cache-control"] = "max-age=31536000, immutable" if versioned else "max-age=86400"
        return response
