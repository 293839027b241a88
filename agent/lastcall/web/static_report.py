"""The same pages as one file that needs no server: for a CI artifact, or a mail."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import re
import time
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from lastcall.web import board as boards
from lastcall.web import gathering, pages, rendering
from lastcall.web.rendering import STATIC

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lastcall.config import Config
    from lastcall.store import Store
    from lastcall.web.board import Board, TargetRow

DETAILED = 200
"""Targets shown with their call sites; the others are in the table only."""
SITES = 2000
"""Call sites in all, shared among the targets, and at most as many for each as a page shows."""
STACKS = 400
"""Call sites with their stack; beyond that the file would be mostly stacks."""

SCRIPTS = ("vendor/uplot/uPlot.iife.min.js", "charts.js")
STYLES = ("vendor/uplot/uPlot.min.css", "app.css")


def render_board(board: Board) -> str:
    """The report of a board as HTML."""
    order: list[TargetRow] = pages.targets(board, {"sort": "verdict"})["all_rows"]
    detailed = order[:DETAILED]
    scripts = [Markup(_script(name)) for name in SCRIPTS]  # noqa: S704 - our own files
    style = Markup(_style())  # noqa: S704 - the same
    context = {
        **pages.overview(board, {}),
        "rows": order,
        "details": _details(board, detailed),
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


def _details(board: Board, rows: Sequence[TargetRow]) -> list[dict[str, Any]]:
    share = max(3, min(pages.SITES, SITES // max(len(rows), 1)))
    stacks_left = STACKS
    result = []
    for row in rows:
        with board.reading() as connection:
            numbers = gathering.matching_sites(connection, row.ref, search="", order="last")[:share]
            with_stack = numbers[:stacks_left]
            stacks_left -= len(with_stack)
            result.append({
                "row": row,
                "sites": gathering.sites(connection, numbers),
                "stacks": gathering.stacks(connection, with_stack),
                "site_scopes": gathering.site_scopes(connection, numbers),
            })  # fmt: skip
        result[-1]["references"] = pages.references(board, row.ref)
    return result


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


def render_store(store: Store, config: Config, now: float) -> str:
    """The report of a store as HTML, judged as of `now`. Raises StoreError."""
    return render_board(boards.judge(boards.read(store, now), config))


def render(store: Store) -> str:
    """The report of a store as it is now. Raises StoreError."""
    from lastcall import config

    return render_store(store, config.load(), time.time())
