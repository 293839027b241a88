"""`lastcall merge`: join the stores of several machines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lastcall.commands.progress import progress
from lastcall.errors import StoreError, UsageError
from lastcall.report_words import number
from lastcall.store import Store


def register(app: typer.Typer) -> None:
    """Add `merge` to the command line."""
    app.command("merge")(merge)


def merge(
    stores: Annotated[list[Path], typer.Argument(metavar="STORE", help="The stores to join.", show_default=False)],
    into: Annotated[Path, typer.Option(help="The store that takes them in; made if it is not there.")],
) -> None:
    """Join stores into one.

    Order does not matter, and merging the same store twice changes nothing: what a process counted is counted
    once. The stores stay as they are, but for taking in what their own processes left behind. Example:

        lastcall merge web-1.db web-2.db worker.db --into fleet.db
    """
    _check(stores)
    with Store.open(into) as target, progress("Merging") as advance:
        for done, path in enumerate(stores, 1):
            try:
                with Store.current(path) as source:
                    target.merge_from(source)
            except StoreError as error:
                raise UsageError(f"{error.message} {_so_far(stores[: done - 1], into)}") from error
            if advance is not None:
                advance(done, len(stores))
        total = target.totals()
        processes = len(target.processes())
    uses = sum(row.uses for row in total.values())
    print(f"{into}: {number(processes, 'process')}, {number(uses, 'use')} of {number(len(total), 'target')}.")


def _check(stores: list[Path]) -> None:
    """Every store must be there before any is merged: a typing error should change nothing."""
    missing = [str(path) for path in stores if not path.exists() and not Path(f"{path}-live").is_dir()]
    if missing:
        raise UsageError(f"There is no store at {', '.join(missing)}. Nothing was merged.")


def _so_far(done: list[Path], into: Path) -> str:
    if not done:
        return "Nothing was merged."
    names = ", ".join(str(path) for path in done)
    return f"Merged into {into} before that: {names}; merging them again does no harm."
