"""The same pages as one file that needs no server: for a CI artifact, or a mail."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import re
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from lastcall.errors import LastcallError
from lastcall.web import board as boards
from lastcall.web import gathering, pages, rendering
from lastcall.web.board import EVERYTHING
from lastcall.web.rendering import STATIC

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from lastcall.config import Config
    from lastcall.store import Store
    from lastcall.store.rows import Filter
    from lastcall.web.board import Board, TargetRow

DETAILED = 200
"""Targets shown with their call sites; the others are in the table only."""
SITES = 2000
"""Call sites in all, shared among the targets, and at most as many for each as a page shows."""
STACKS = 400
"""Call sites with their stack; beyond that the file would be mostly stacks."""
PART = 500
"""Call sites asked for at once: a statement takes a limited number of parameters."""

SCRIPTS = ("vendor/uplot/uPlot.iife.min.js", "charts.js", "copy.js")
STYLES = ("vendor/uplot/uPlot.min.css", "app.css")


def render_board(board: Board, *, limit: int | None = None, stacks: bool = False) -> str:
    """The report of a board as HTML. For `limit` and `stacks` see `render_store`."""
    order: list[TargetRow] = pages.targets(board, {"sort": "verdict"})["all_rows"]
    detailed = order[:DETAILED]
    scripts = [Markup(_script(name)) for name in SCRIPTS]  # noqa: S704 - our own files
    style = Markup(_style())  # noqa: S704 - the same
    context = {
        **pages.overview(board, {}),
        "rows": order,
        "details": _details(board, detailed, limit, stacks=stacks),
        "undetailed": len(order) - len(detailed),
        "today": dt.datetime.fromtimestamp(board.at, dt.timezone.utc).date(),
        "isolation": pages.isolation(board, {}),
        "impact": pages.impact(board, {}),
        "observation": pages.observation(board, {}),
        "scripts": scripts,
        "style": style,
        "policy": f"default-src 'none'; script-src {_hashes(scripts)}; style-src {_hashes([style])}",
    }
    return rendering.render("report.html", context, file=True)


def _details(
    board: Board, rows: Sequence[TargetRow], limit: int | None, *, stacks: bool
) -> list[dict[str, Any]]:
    share = max(3, min(pages.SITES, SITES // max(len(rows), 1))) if limit is None else limit or sys.maxsize
    left = sys.maxsize if stacks else STACKS
    result = []
    for row in rows:
        with board.reading() as connection:
            numbers = gathering.matching_sites(connection, row.ref, search="", order="last")[:share]
            result.append({
                "row": row,
                **_sites(connection, numbers, left),
                "references": pages.references(board, connection, row.ref),
            })  # fmt: skip
        left = max(0, left - len(numbers))
    return result


def _sites(connection: sqlite3.Connection, numbers: Sequence[int], with_stack: int) -> dict[str, Any]:
    """These call sites, the first of them `with_stack`."""
    found: dict[str, Any] = {"sites": [], "stacks": {}, "site_scopes": {}}
    for start in range(0, len(numbers), PART):
        part = numbers[start : start + PART]
        found["sites"] += gathering.sites(connection, part)
        found["stacks"] |= gathering.stacks(connection, part[: max(0, with_stack - start)])
        found["site_scopes"] |= gathering.site_scopes(connection, part)
    return found


def _script(name: str) -> str:
    """A script's text, which may not end its own element."""
    return STATIC.joinpath(name).read_text("utf-8").replace("</script", "<\\/script").strip()


def _style() -> str:
    """The styles without the fonts, which would be most of the file."""
    text = "\n".join(STATIC.joinpath(name).read_text("utf-8") for name in STYLES)
    return re.sub(r"@font-face \{[^}]*\}\n?", "", text)


def _hashes(texts: Sequence[str]) -> str:
    digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts)
    return " ".join(f"'sha256-{digest}'" for digest in digests)


def render_store(
    store: Store,
    config: Config,
    now: float,
    filter_: Filter = EVERYTHING,
    *,
    limit: int | None = None,
    stacks: bool = False,
) -> str:
    """The report of a store as HTML, judged as of `now`. Raises StoreError.

    `filter_` narrows what is counted and listed; the verdicts take all evidence. `limit` is the number of call
    sites shown for a target (0: all), `stacks` shows every stack; without them, as many as keep the file small.
    """
    try:
        # Before anything is hidden from the connection.
        verdicts = boards.verdicts_before(store, config, now, filter_.target) if store.targets() else []
        problem = ""
    except LastcallError as error:
        verdicts, problem = [], error.message
    board = boards.judged(boards.read(store, now, filter_), verdicts)
    named = ("--store", store.path) if store.path != config.store_path() else ()
    return render_board(replace(board, unjudged=problem, source=named), limit=limit, stacks=stacks)


def render(
    path: str, store: Store | None, filter_: Filter, *, limit: int | None = None, stacks: bool = False
) -> str:
    """The report as of now of the store at `path`; None if there is none yet. See `render_store`."""
    from lastcall import config

    if store is None:
        return render_board(boards.empty(path, time.time()))
    return render_store(store, config.load(), time.time(), filter_, limit=limit, stacks=stacks)
