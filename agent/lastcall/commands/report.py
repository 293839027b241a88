"""`lastcall report`: what was used, from where, how often."""

from __future__ import annotations

import difflib
import gc
import importlib
import io
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum
from fnmatch import fnmatchcase
from importlib.util import find_spec
from pathlib import Path  # noqa: TC003 - typer evaluates it
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from lastcall import report_json, report_markdown, report_text, whole_file
from lastcall.allowances import Allowances
from lastcall.commands.progress import progress
from lastcall.errors import StoreError, UsageError
from lastcall.report import Document, document, overview
from lastcall.report_words import ago, moment
from lastcall.store import Filter, Store
from lastcall.store.opened import store_above

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console

    from lastcall.report_text import Line


class Format(str, Enum):
    """How a report is written."""

    text = "text"
    json = "json"
    markdown = "markdown"
    html = "html"


LIMIT = 10
"""Call sites shown for a target where nobody said how many."""
LIMIT_MOST = 2**31 - 1
"""More than any store holds, and a number that SQLite can count to."""

NO_STORE = """\
Nothing was observed yet: there is no store at {path}.{above}

Start your application with the agent switched on, use it, and come back:

    LASTCALL_ENABLED=1 LASTCALL_TARGETS=package.module:old_name python app.py

`lastcall scan` finds candidates for LASTCALL_TARGETS; `lastcall doctor` tells why nothing arrives.
"""

NOTHING_SINCE = """\
No process was watched since then. The last one in the store was seen {last}:
{path}

`lastcall report` without --since shows it.
"""

NO_PROCESS = """\
Nothing was observed yet: the store {path} is empty.

No process has run with the agent and this store. `lastcall doctor` tells why nothing arrives.
"""

NO_TARGET = """\
{processes} observed, but no deprecated entry point was named.

Name some in lastcall.toml or LASTCALL_TARGETS; `lastcall scan --write` proposes them from your source.
"""


def register(app: typer.Typer) -> None:
    """Add `report` to the command line."""
    app.command("report")(report)


def report(  # noqa: PLR0917 - typer passes options by name
    format_: Annotated[Format, typer.Option("--format", "-f", help="How to write it.")] = Format.text,
    target: Annotated[str, typer.Option(help="Only this target; * and ? are wildcards.")] = "",
    service: Annotated[str, typer.Option(help="Only this service.")] = "",
    environment: Annotated[str, typer.Option(help="Only this environment.")] = "",
    release: Annotated[str, typer.Option(help="Only this release.")] = "",
    since: Annotated[
        str, typer.Option(help="Only uses since then: 24h, 30d, 2026-11-22 (to the hour).")
    ] = "",
    store: Annotated[
        Optional[Path],  # noqa: UP045 - typer evaluates it, on 3.10 too
        typer.Option(help="The store to read.  [default: as the agent's settings say]"),
    ] = None,
    output: Annotated[
        Optional[Path],  # noqa: UP045 - typer evaluates it, on 3.10 too
        typer.Option("--output", "-o", help="Write to this file."),
    ] = None,
    limit: Annotated[
        Optional[int],  # noqa: UP045 - typer evaluates it, on 3.10 too
        typer.Option(
            min=0,
            help="Call sites shown for a target; 0 shows all of everything.  "
            "[default: 10; in html 3 to 25, the fewer the more targets]",
        ),
    ] = None,
    stacks: Annotated[bool, typer.Option("--stacks", help="Show how each call site was reached.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again whenever it changes.")] = False,
) -> None:
    """Show what was used, from which line, how often.

    What still runs is included. Examples:

        lastcall report
        lastcall report --target 'pkg.*:get_*' --since 7d
        lastcall report --format json | jq '.uses[].file'
        lastcall report --format markdown -o comment.md
    """
    path = store_at(store)
    limit = limit if limit is None else min(limit, LIMIT_MOST)
    filter_ = Filter(target, service, environment, release, moment(since, time.time()) if since else 0.0)
    if watch:
        if format_ is not Format.text or output is not None:
            raise UsageError("--watch shows text on the screen: it goes with neither --format nor --output.")
        _watch(path, filter_, limit=limit, stacks=stacks)
        return
    gc.disable()  # a short life with very many small values, none of them in a cycle: a seventh of the time
    text = _rendered(path, filter_, format_, limit=limit, stacks=stacks, must_exist=store is not None)
    if output is not None:
        _write(output, text.pieces)
    else:
        text.show()


def store_at(given: Path | None) -> str:
    """The path of the store: `given`, else what the agent in this folder would use."""
    if given is not None:
        return str(given)
    from lastcall import config

    return config.load().store_path()


@contextmanager
def open_store(path: str) -> Iterator[Store]:
    """The store at `path` as of now, with a progress bar if that takes a while."""
    with progress("Reading live files") as advance:
        store = Store.current(path, advance)
    with store:
        yield store


class _Text:
    """A rendered report: `pieces` for files and pipes, `lines` with styles for a terminal, if it has any."""

    def __init__(self, pieces: Iterable[str], lines: Sequence[Line] = (), *, page: bool = False) -> None:
        self.pieces = pieces
        self.lines = lines
        self.page = page

    def show(self) -> None:
        """Print it on stdout."""
        if self.page and isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")  # as the page itself says, whatever the terminal's is
        if not self.lines or not sys.stdout.isatty():
            sys.stdout.writelines(self.pieces)
            return
        console = _console()
        for line in self.lines:
            # soft_wrap: a narrow terminal wraps by itself; rich would cut at its own idea of a word
            console.print(line.text, style=line.style or None, markup=False, highlight=False, soft_wrap=True)


def _rendered(
    path: str, filter_: Filter, format_: Format, *, limit: int | None, stacks: bool, must_exist: bool = False
) -> _Text:
    try:
        with open_store(path) as store:
            return _render(store, filter_, format_, limit=limit, stacks=stacks)
    except StoreError as error:
        if error.slug != "store-missing":
            raise
        if must_exist:
            raise UsageError(f"There is no store at {path}. Check --store.") from error
    if format_ is Format.json:
        return _Text(report_json.pieces(_EMPTY))
    if format_ is Format.html:
        return _Text([_html(path, None, filter_, limit=limit, stacks=stacks)], page=True)
    above = store_above(path)
    return _Text([NO_STORE.format(path=path, above=above and f"\nThere is one at {above}, which --store can name.")])


_EMPTY: Document = {
    "schema": 1,
    "targets": [],
    "uses": [],
    "references": [],
    "observations": [],
    "findings": [],
    "internal_errors": [],
}


def _render(store: Store, filter_: Filter, format_: Format, *, limit: int | None, stacks: bool) -> _Text:
    _check_filter(store, filter_)
    if format_ is Format.html:
        return _Text([_html(store.path, store, filter_, limit=limit, stacks=stacks)], page=True)
    if format_ is Format.json:
        return _Text(report_json.pieces(document(store, filter_, _allowances())))
    content = overview(store, filter_, _allowances(), limit=LIMIT if limit is None else limit, stacks=stacks)
    nothing = _nothing(content, store, filter_)
    if nothing:
        return _Text([nothing])
    if format_ is Format.markdown:
        return _Text([report_markdown.render(content, now=time.time())])
    lines = list(report_text.lines(content, now=time.time(), whole=limit == 0))
    return _Text([line.text + "\n" for line in lines], lines)


def _allowances() -> Allowances:
    from lastcall import config

    return Allowances(config.load().targets)


def _console() -> Console:
    from rich.console import Console

    return Console()


def _nothing(content: Document, store: Store, filter_: Filter) -> str:
    if not content["observations"] and not content["call_sites"]:
        known = store.observations(replace(filter_, since=0.0), states=False)
        if filter_.since and known:
            last = max(row.last for row in known)
            return NOTHING_SINCE.format(path=store.path, last=ago(last, time.time()))
        return NO_PROCESS.format(path=store.path)
    if not content["targets"]:
        count = sum(row["processes"] for row in content["observations"])
        return NO_TARGET.format(processes=f"{count} process{'' if count == 1 else 'es'}")
    return ""


def _check_filter(store: Store, filter_: Filter) -> None:
    """A filter that nothing can match is a typing error: say what there is."""
    if filter_.target:
        known = [info.ref for info in store.targets()]
        if known and not any(fnmatchcase(ref, filter_.target) for ref in known):
            raise UsageError(
                f"No target matches --target {filter_.target}. {_nearest(filter_.target, known)}"
            )
    scopes = [row.scope for row in store.observations(states=False)]
    for option in ("service", "environment", "release"):
        wanted = getattr(filter_, option)
        there = sorted({getattr(scope, option) for scope in scopes} - {""})
        if wanted and scopes and wanted not in there:
            raise UsageError(
                f"Nothing was seen with --{option} {wanted}. There is: {', '.join(there) or 'none named'}."
            )


def _nearest(wanted: str, known: list[str]) -> str:
    inside = [ref for ref in known if wanted.lower() in ref.lower()]
    close = inside or difflib.get_close_matches(wanted, known, n=3, cutoff=0.4)
    if close:
        return f"Did you mean {' or '.join(close[:3])}?"
    return "`lastcall report` lists all of them."


def _html(path: str, store: Store | None, filter_: Filter, *, limit: int | None, stacks: bool) -> str:
    if find_spec("lastcall.web.static_report") is None:
        raise UsageError("--format html is not part of this installation.")
    try:
        static_report = importlib.import_module("lastcall.web.static_report")
    except ImportError as error:
        raise UsageError(f"--format html needs the extra: pip install 'lastcall[web]' ({error}).") from error
    return str(static_report.render(path, store, filter_, limit=limit, stacks=stacks))


def _write(path: Path, pieces: Iterable[str]) -> None:
    """All of `pieces` or the old file, never half of it. Raises UsageError."""
    try:
        whole_file.write(path, pieces)
    except OSError as error:
        raise UsageError(f"Cannot write {path}: {error.strerror}.") from error


def _watch(path: str, filter_: Filter, *, limit: int | None, stacks: bool) -> None:
    last: list[str] = []
    while True:
        text = _rendered(path, filter_, Format.text, limit=limit, stacks=stacks)
        if text.pieces != last:
            if sys.stdout.isatty():
                _console().clear()
            text.show()
            sys.stdout.flush()
            last = list(text.pieces)
        time.sleep(1)
