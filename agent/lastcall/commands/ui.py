"""`lastcall ui`: the evidence as a local web page."""

from __future__ import annotations

import sys
import time
import webbrowser
from contextlib import nullcontext
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from lastcall.errors import UsageError

if TYPE_CHECKING:
    from lastcall.store import Store
    from lastcall.web.keeping import Keeper

PORT = 8765


class Source(str, Enum):
    """Where evidence is read from."""

    store = "store"
    gcp = "gcp"


def register(app: typer.Typer) -> None:
    """Add `ui` to the command line."""
    app.command("ui")(ui)


def ui(  # noqa: PLR0917 - typer passes them by name
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")
    ] = PORT,
    store: Annotated[
        Optional[Path],  # noqa: UP045 - typer evaluates it, on 3.10 too
        typer.Option(help="The store to show.  [default: as the agent's settings say]"),
    ] = None,
    source: Annotated[Source, typer.Option(help="gcp: Cloud Logging, for a whole fleet.")] = Source.store,
    project: Annotated[str, typer.Option(help="The Google Cloud project, with --source gcp.")] = "",
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Read all of Cloud Logging again, not only what is new.")
    ] = False,
    open_: Annotated[
        Optional[bool],  # noqa: UP045 - typer evaluates it, on 3.10 too
        typer.Option("--open/--no-open", help="Open a browser.  [default: on a terminal]"),
    ] = None,
) -> None:
    """Show the evidence as a web page, on this machine only.

    The page follows the store while it changes. It reads, and changes nothing. It needs the extra `web`: pip install
    'lastcall[web]'. Examples:

        lastcall ui
        lastcall ui --store staging.db --port 0 --no-open
        # from afar, over a tunnel
        ssh -L 8765:127.0.0.1:8765 staging lastcall ui
    """
    try:
        from lastcall.web import server
        from lastcall.web.app import application
    except ImportError as error:
        raise UsageError(f"`lastcall ui` needs the extra: pip install 'lastcall[web]' ({error}).") from error
    from rich.console import Console

    keeper = _keeper(store, source, project, cached=not no_cache)
    bound = server.listen(port)
    address = server.address(bound)

    def ready() -> None:
        print(f"Lastcall is at {address}  (Ctrl+C ends it)", flush=True)
        if open_ or (open_ is None and sys.stdout.isatty()):
            webbrowser.open(address)

    try:
        with bound:
            with (
                Console(stderr=True).status("Reading the evidence") if sys.stderr.isatty() else nullcontext()
            ):
                keeper.start()
            if keeper.board.store is None and keeper.board.problem and source is Source.store:
                raise UsageError(keeper.board.problem)  # not a store, or a newer one: waiting mends nothing
            server.serve(application(lambda: keeper.board), bound, ready)
    finally:
        keeper.stop()


def _keeper(given: Path | None, source: Source, project: str, *, cached: bool) -> Keeper:
    """What keeps the board, from the local store or from the fleet's log. Raises UsageError."""
    from lastcall import config as settings
    from lastcall.commands.progress import progress
    from lastcall.commands.report import store_at
    from lastcall.store import Store
    from lastcall.web.keeping import Keeper

    config = settings.load()
    if source is Source.gcp:
        from lastcall.checking import open_source

        remote = open_source("gcp", config, "", project, cached=cached)

        def fetch() -> Store:
            with progress("Reading Cloud Logging") as advance:
                return remote.gather((), time.time() - 400 * 86400, advance)

        named = ("--source", "gcp", *(("--project", project) if project else ()))
        return Keeper("", fetch, config, source=named)
    if project:
        raise UsageError("--project goes with --source gcp.")
    path = store_at(given)
    if given is not None and not given.exists() and not Path(path + "-live").exists():
        raise UsageError(f"There is no store at {path}. Check --store.")
    return Keeper(path, lambda: Store.current(path), config, source=("--store", path) if given else ())
