"""The report as Markdown that fits a pull-request comment."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from lastcall.report_text import NEWEST, marks, printable
from lastcall.report_words import ago, number, span
from lastcall.wildcards import wild

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lastcall.report import Document

LARGEST = 60_000
"""Characters. Code hosts refuse comments of more than 65,536."""

MOST = 40
"""Rows of any list: the comment is for the busiest, the text report for all."""


def render(document: Document, *, now: float) -> str:
    """`report.overview` as Markdown; cut, and saying so, at LARGEST characters."""
    blocks: list[str] = []
    size = 0
    for block in _blocks(document, now):
        size += len(block) + 2
        if size > LARGEST:
            blocks.append("_Cut here: the whole report does not fit a comment. `lastcall report` shows it._")
            break
        blocks.append(block)
    return "\n\n".join(blocks) + "\n"


def _blocks(document: Document, now: float) -> Iterator[str]:
    targets = [target for target in document["targets"] if not wild(target["target"])]
    used = sorted((t for t in targets if t["uses"]), key=lambda target: -target["uses"])
    quiet = [target for target in targets if not target["uses"]]
    yield f"### Lastcall: {len(used)} of {number(len(targets), 'deprecated entry point')} in use"
    if used:
        yield "\n".join(_table(used[:MOST], now))
    if len(used) > MOST:
        yield f"... and {len(used) - MOST:,} more in use."
    if quiet:
        rows = [f"- {_code(target['target'])} ({target['state']})" for target in quiet]
        yield "\n".join(_folded(f"{len(quiet)} without a use seen", rows))
    by_target: dict[str, list[Document]] = {}
    for site in document["call_sites"]:
        by_target.setdefault(site["target"], []).append(site)
    for target in used[:MOST]:
        yield _sites(target, by_target.get(target["target"], []), now)
    references = [
        f"- {_code(r['file'] + ':' + str(r['line']))} {_code(r['name'])}" for r in document["references"]
    ]
    if references:
        yield "\n".join(_folded(number(len(references), "reference") + " held", references))
    for finding in document["findings"]:
        yield f"> **{_text(finding['kind'])}** {_code(finding['target'])}: {_text(finding['message'])}"
    yield _observed(document, now)


def _table(targets: list[Document], now: float) -> Iterator[str]:
    yield "| target | state | uses | call sites | last use | instead | remove by |"
    yield "|---|---|--:|--:|---|---|---|"
    for target in targets:
        cells = (
            _code(target["target"]),
            target["state"],
            f"{target['uses']:,}",
            f"{target['call_sites']:,}",
            ago(_seconds(target["last_seen"]), now),
            _code(target["replacement"]),
            _text(target["remove_by"]),
        )
        yield "| " + " | ".join(cells) + " |"


def _sites(target: Document, sites: list[Document], now: float) -> str:
    rows = [
        f"| {_code(site['file'] + ':' + str(site['line']))} | {_code(site['function'])} |"
        f" {_code(site['expression'])} | {site['count']:,} | {_text(marks(site))} |"
        f" {ago(_seconds(site['last_seen']), now)} |"
        for site in sites
    ]
    more = target["call_sites"] - len(sites)
    if more > 0:
        rows.append(f"| ... and {more:,} more | | | | | |")
    head = ["| call site | function | callee | uses | | last |", "|---|---|---|--:|---|---|"]
    return f"#### {_code(target['target'])}\n\n" + "\n".join(head + rows)


def _observed(document: Document, now: float) -> str:
    rows = []
    for row in document["observations"][:NEWEST]:
        name = " ".join(
            part for part in (row["service"] or "unnamed service", row["environment"], row["release"]) if part
        )
        rows.append(
            f"- {_text(name)}: {number(row['processes'], 'process')} for {span(row['seconds'])}, last seen"
            f" {ago(_seconds(row['last_seen']), now)}; {number(row['dropped'], 'use')} dropped,"
            f" {number(row['internal_errors'], 'internal error')}"
        )
    return "\n".join(_folded("What was observed", rows)) if rows else "Nothing was observed."


def _folded(title: str, rows: list[str]) -> list[str]:
    if len(rows) > MOST:
        rows = [*rows[:MOST], f"- ... and {len(rows) - MOST:,} more"]
    return [f"<details><summary>{title}</summary>", "", *rows, "", "</details>"]


def _code(text: str) -> str:
    """`text` as inline code, in a table too. Names come from the host: none may end the code or the cell."""
    if not text:
        return ""
    safe = printable(text).replace("|", "\\|")
    longest = max((len(run) for run in "".join(c if c == "`" else " " for c in safe).split()), default=0)
    fence = "`" * (longest + 1)
    pad = " " if longest else ""
    return f"{fence}{pad}{safe}{pad}{fence}"


def _text(text: str) -> str:
    """`text` as nothing but text: no markup, no mention, no cell border."""
    return "".join("\\" + c if c in "\\`*_{}[]<>#|~" else c for c in printable(text)).replace("@", "@\u200b")


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
