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
from lastcall.web.rendering import STATIC, asset_versions, render

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from starlette.requests import Request

    from lastcall.web.board import Board

Page = "Callable[[Board, Mapping[str, str]], dict[str, Any]]"

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
            404: lambda request, error: _problem(board(), 404, "There is no such page."),
            pages.NotFound: lambda request, error: _problem(board(), 404, str(error)),
            StoreError: lambda request, error: _problem(board(), 503, _sentence(error)),
        },
    )


def _sentence(error: Exception) -> str:
    return error.message if isinstance(error, StoreError) else str(error)


def _page(name: str, show: Any, board: Callable[[], Board]) -> Callable[[Request], Response]:
    def endpoint(request: Request) -> Response:
        current = board()
        # The same board gives the same page, but "3 minutes ago" is said by the page itself, so a minute is no news.
        tag = _tag(current.version, str(request.url.path), request.url.query, *asset_versions().values())
        headers = {"etag": tag, "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return HTMLResponse(render(f"{name}.html", show(current, dict(request.query_params))), headers=headers)

    return endpoint


def _problem(board: Board, status: int, text: str) -> Response:
    context = {**pages.shared(board, "problem"), "text": text, "status": status}
    return HTMLResponse(render("problem.html", context), status, {"cache-control": "no-store"})


def _tag(*parts: str) -> str:
    text = "\x1f".join(parts).encode("utf-8", "surrogatepass")
    # Weak: gzip makes other bytes of the same page.
    return f'W/"{hashlib.blake2b(text, digest_size=9).hexdigest()}"'


class _Assets(StaticFiles):
    """Static files. Their addresses carry a digest, so a browser may keep them for ever."""

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Any, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["cache-control"] = "public, max-age=31536000, immutable"
        return response
