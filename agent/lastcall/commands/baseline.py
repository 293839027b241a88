"""`lastcall baseline`: make, check or shrink the list of accepted uses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lastcall.commands.check import StoreOption  # noqa: TC001 - typer evaluates it
from lastcall.errors import UsageError

if TYPE_CHECKING:
    from lastcall.baseline import Use


def register(app: typer.Typer) -> None:
    """Add `baseline` to the command line."""
    app.command("baseline")(baseline)


def baseline(  # noqa: PLR0917 - typer passes them by name
    from_store: Annotated[
        bool, typer.Option("--from-store", help="Accept what the store has seen, such as that of staging.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why the new entries are accepted.")] = "",
    update: Annotated[bool, typer.Option("--update", help="Take out what is no longer used.")] = False,
    file: Annotated[Path, typer.Option("--file", help="The baseline.")] = Path("lastcall-baseline.toml"),
    store: StoreOption = "",
    since: Annotated[str, typer.Option(help="How far back uses count.")] = "30d",
) -> int:
    """The accepted uses of today, by target and calling function: a ratchet that may only shrink.

    Without options, says how the store differs from the baseline; exit code 1 if it does. Examples:

        lastcall baseline --from-store --reason "before the migration"
        lastcall baseline --update
        pytest --lastcall
    """
    from lastcall.baseline import Baseline
    from lastcall.reasons import plural
    from lastcall.report_text import printable

    known = Baseline.load(file)
    uses = seen(store, since)
    difference = known.compare(uses)
    if from_store and difference.new:
        if not reason:
            raise UsageError(
                f"New in {file}: {plural(len(difference.new), 'use')}. Give a --reason to accept."
            )
        known.add([use.key for use in difference.new], reason)
    if update:
        known.remove(difference.stale)
    if (from_store and difference.new) or (update and difference.stale) or (from_store and not file.exists()):
        known.save()
        print(f"{file}: {plural(len(known.reasons), 'accepted use')}.")
    new = [] if from_store else difference.new
    stale = [] if update else difference.stale
    for use in new:
        print(f"new: {printable(use.sentence())}")
    for key in stale:
        print(f"no longer used: {printable(f'{key.caller} -> {key.target}')}")
    return 1 if new or (stale and not from_store) else 0


def seen(store: str, since: str) -> list[Use]:
    """The uses of a store that count: not allowed, no test, no scanner. Raises LastcallError.

    For a store in which nobody was watched, too: that says nothing of what is no longer used.
    """
    import time

    from lastcall import config as settings
    from lastcall.baseline import Key, Use, caller_name
    from lastcall.checking import duration
    from lastcall.store import Filter, Store

    config = settings.load()
    instead = {target.ref: target.metadata.get("replacement", "") for target in config.targets}
    filter_ = Filter(since=time.time() - duration(since, "--since"))
    with Store.current(store or config.store_path()) as opened:
        if not opened.observations(filter_, states=False):
            raise UsageError(
                f"No process was watched within {since}, says {opened.path}. Try a longer --since, or another --store."
            )
        rows = opened.uses(filter_, stacks=False)
    found = []
    for row in rows:
        site = row.site
        if not (row.allowed or site.by_test or site.scanner):
            key = Key(site.target, caller_name(site.module, site.function))
            found.append(Use(key, site.file, site.line, site.use, instead.get(site.target, "")))
    return found
