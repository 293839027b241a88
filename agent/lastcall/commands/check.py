"""`lastcall check`: may we delete it? The exit code is the answer."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from lastcall import whole_file
from lastcall.commands.progress import progress
from lastcall.errors import UsageError

if TYPE_CHECKING:
    from lastcall.checking import Request
    from lastcall.config import Config
    from lastcall.sources import EvidenceSource
    from lastcall.verdict import Verdict


class Format(str, Enum):
    """How verdicts are written."""

    text = "text"
    json = "json"
    markdown = "markdown"
    sarif = "sarif"
    github = "github"


class Source(str, Enum):
    """Where evidence is read from."""

    store = "store"
    gcp = "gcp"


class Releases(str, Enum):
    """Whose uses count."""

    live = "live"
    all = "all"


# typer evaluates these at run time, on 3.10 too: hence Optional.
Refs = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Argument(metavar="REF", help="package.module:name, a bare qualified name, or a wildcard."),
]
# An option that was not given is empty, so that [check] of the configuration can say it.
Window = Annotated[
    str,
    typer.Option(
        help="How long ahead it must be safe; uses count against it for as long.  [default: 30d]",
        show_default=False,
    ),
]
Require = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(help="service=NAME,environment=NAME (or one of them) that must have been observed."),
]
Ignore = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(help="The same, for what is retired or not part of the question."),
]
Paths = Annotated[
    Optional[list[Path]],  # noqa: UP045
    typer.Option(help="Source to search for references and callers.  [default: the project, if it has them]"),
]
IgnoreStrings = Annotated[
    bool, typer.Option("--ignore-strings", help="Strings that hold a target's name are only text.")
]
SourceOption = Annotated[
    Optional[Source],  # noqa: UP045
    typer.Option(help="gcp: Cloud Logging, for a whole fleet.  [default: store]"),
]
Project = Annotated[str, typer.Option(help="The Google Cloud project, with --source gcp.")]
NoCache = Annotated[
    bool, typer.Option("--no-cache", help="Read all of Cloud Logging again, not only what is new.")
]
StoreOption = Annotated[str, typer.Option(help="The store to read.  [default: as the agent's settings say]")]
Output = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--output", "-o", help="Write to this file."),
]
At = Annotated[str, typer.Option(help="Judge as of this time, such as 2026-11-22T10:00:00Z.  [default: now]")]


def register(app: typer.Typer) -> None:
    """Add `check` to the command line."""
    app.command("check")(check)


def check(  # noqa: PLR0917 - typer passes them by name
    refs: Refs = None,
    window: Window = "",
    require: Require = None,
    ignore: Ignore = None,
    releases: Annotated[
        Optional[Releases],  # noqa: UP045
        typer.Option(help="live: those that still run.  [default: live]"),
    ] = None,
    path: Paths = None,
    ignore_strings: IgnoreStrings = False,
    diff: Annotated[
        str, typer.Option(metavar="BASE..HEAD", help="Judge the targets that this change deletes or renames.")
    ] = "",
    source: SourceOption = None,
    project: Project = "",
    no_cache: NoCache = False,
    store: StoreOption = "",
    format_: Annotated[Format, typer.Option("--format", "-f", help="How to write it.")] = Format.text,
    output: Output = None,
    at: At = "",
    all_: Annotated[bool, typer.Option("--all", help="Every target, as when none is named.")] = False,
) -> int:
    """May we delete it? A verdict for each target, with its reasons and its risk.

    Exit code: 0 all are safe, 1 any is in use, 2 any is unproven, 3 wrong usage. What no option says, [check] in
    lastcall.toml may say: window, require, ignore, releases, path, source, project. Examples:

        lastcall check --path .
        lastcall check pkg.mod:old_factory \\
            --require service=backend,environment=production
        lastcall check --diff origin/main..HEAD --format github
    """
    import gc

    from lastcall import config as settings
    from lastcall.checking import check
    from lastcall.verdict_report import FORMATS, as_json, exit_code

    gc.disable()  # a short life with very many small values, none of them in a cycle: a seventh of the time

    if all_ and (refs or diff):
        raise UsageError("--all judges every target: name none, and give no --diff.")
    config = settings.load()
    request, evidence = asked(
        config, refs=refs, window=window, require=require, ignore=ignore, path=path, at=at, releases=releases,
        strings=not ignore_strings, source=source, project=project, store=store, cached=not no_cache,
    )  # fmt: skip
    with progress("Reading the evidence") as advance:
        if diff:
            from lastcall.gate import check_diff

            verdicts = check_diff(diff, request, evidence, config, advance)
        else:
            verdicts = check(request, evidence, config, advance)
    if diff and not verdicts:  # the change deletes no target
        write(as_json(verdicts, 0) if format_ is Format.json else FORMATS[format_.value](verdicts), output)
        return 0
    write(FORMATS[format_.value](verdicts), output)
    return exit_code(verdicts)


def asked(
    config: Config,
    *,
    refs: list[str] | None,
    window: str,
    require: list[str] | None,
    ignore: list[str] | None,
    path: list[Path] | None,
    at: str,
    releases: Releases | None = None,
    strings: bool = True,
    source: Source | None = None,
    project: str = "",
    store: str = "",
    cached: bool = True,
) -> tuple[Request, EvidenceSource]:
    """The request behind a command line's words and `[check]`, and where evidence comes from. Raises UsageError."""
    from lastcall.check_settings import SOURCES, CheckSettings
    from lastcall.checking import Request, instant, open_source

    told = CheckSettings(config)
    question = told.question(window, require, ignore, releases.value if releases else "", strings=strings)
    request = Request(refs or (), question, told.paths(path))
    if at:
        request.now = instant(at)
    # A store that is named is meant, whatever [check] says.
    name = "store" if store and source is None else told.one_of("source", source or "", SOURCES)
    if project and name != "gcp":
        raise UsageError("--project goes with --source gcp.")
    if store and name != "store":
        raise UsageError("--store goes with --source store.")
    return request, open_source(name, config, store, told.project(project), cached=cached)


def look_at_settings(config: Config) -> None:
    """Raises UsageError if a value in `[check]` is one that no verdict could be asked for with."""
    from lastcall.check_settings import SOURCES, CheckSettings

    told = CheckSettings(config)
    told.question()
    told.paths(None)
    told.one_of("source", "", SOURCES)
    told.project("")


def judged(
    *,
    refs: list[str],
    window: str,
    require: list[str] | None,
    ignore: list[str] | None,
    path: list[Path] | None,
    at: str,
    strings: bool,
    source: Source | None,
    project: str,
    store: str,
    cached: bool,
) -> tuple[list[Verdict], EvidenceSource]:
    """The verdicts behind a command line, and where their evidence came from. Raises LastcallError."""
    from lastcall import config as settings
    from lastcall.checking import check

    config = settings.load()
    request, evidence = asked(
        config, refs=refs, window=window, require=require, ignore=ignore, path=path, at=at, strings=strings,
        source=source, project=project, store=store, cached=cached,
    )  # fmt: skip
    with progress("Reading the evidence") as advance:
        return check(request, evidence, config, advance), evidence


def write(text: str, output: Path | None) -> None:
    """To the file, or to standard output. Raises UsageError."""
    if output is None:
        sys.stdout.write(text)
        return
    try:
        whole_file.write(output, [text])
    except OSError as error:
        raise UsageError(f"Cannot write {output}: {error.strerror}.") from error
