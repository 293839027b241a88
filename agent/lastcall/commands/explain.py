"""`lastcall explain`: the evidence behind a verdict, for people."""

from __future__ import annotations

from typing import Annotated

import typer

from lastcall.commands.check import (
    At,
    Ignore,
    IgnoreStrings,
    NoCache,
    Output,
    Paths,
    Project,
    Require,
    SourceOption,
    StoreOption,
    Window,
    judged,
    write,
)


def register(app: typer.Typer) -> None:
    """Add `explain` to the command line."""
    app.command("explain")(explain)


def explain(  # noqa: PLR0917 - typer passes them by name
    ref: Annotated[str, typer.Argument(metavar="REF", help="package.module:name, or a bare qualified name.")],
    window: Window = "",
    require: Require = None,
    ignore: Ignore = None,
    path: Paths = None,
    ignore_strings: IgnoreStrings = False,
    source: SourceOption = None,
    project: Project = "",
    no_cache: NoCache = False,
    store: StoreOption = "",
    output: Output = None,
    at: At = "",
) -> None:
    """Tell the evidence on a target: who used it, who watched, what is missing and how to get it.

    Example:

        lastcall explain pkg.mod:old_factory --path .
    """
    from lastcall import explaining

    verdicts, _ = judged(
        refs=[ref], window=window, require=require, ignore=ignore, path=path, at=at,
        strings=not ignore_strings, source=source, project=project, store=store, cached=not no_cache,
    )  # fmt: skip
    write("\n".join(explaining.explain(verdict) for verdict in verdicts), output)
