"""`lastcall check`: may we delete it? The exit code is the answer."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from lastcall.errors import UsageError

if TYPE_CHECKING:
    from lastcall.checking import Request
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
    typer.Argument(metavar="[REF]...", help="package.module:name, a bare qualified name, or a wildcard."),
]
Window = Annotated[
    str, typer.Option(help="How long ahead it must be safe; uses count against it for as long.")
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
SourceOption = Annotated[Source, typer.Option(help="gcp: Cloud Logging, for a whole fleet.")]
Project = Annotated[str, typer.Option(help="The Google Cloud project, with --source gcp.")]
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
    window: Window = "30d",
    require: Require = None,
    ignore: Ignore = None,
    releases: Annotated[Releases, typer.Option(help="live: those that still run.")] = Releases.live,
    path: Paths = None,
    ignore_strings: IgnoreStrings = False,
    diff: Annotated[
        str, typer.Option(metavar="BASE..HEAD", help="Judge the targets that this change deletes or renames.")
    ] = "",
    source: SourceOption = Source.store,
    project: Project = "",
    store: StoreOption = "",
    format_: Annotated[Format, typer.Option("--format", "-f", help="How to write it.")] = Format.text,
    output: Output = None,
    at: At = "",
    all_: Annotated[bool, typer.Option("--all", help="Every target, as when none is named.")] = False,
) -> int:
    """May we delete it? A verdict for each target, with its reasons and its risk.

    Exit code: 0 all are safe, 1 any is in use, 2 any is unproven, 3 wrong usage. Examples:

        lastcall check --path .

        lastcall check pkg.mod:old_factory --require service=backend,environment=production

        lastcall check --diff origin/main..HEAD --format github
    """
    import gc

    from lastcall import config as settings
    from lastcall.checking import check, open_source
    from lastcall.verdict_report import FORMATS, exit_code

    gc.disable()  # a short life with very many small values, none of them in a cycle: a seventh of the time

    if all_ and (refs or diff):
        raise UsageError("--all judges every target: name none, and give no --diff.")
    config = settings.load()
    request = asked(
        refs=refs, window=window, require=require, ignore=ignore, path=path, at=at,
        releases=releases.value, strings=not ignore_strings,
    )  # fmt: skip
    evidence = open_source(source.value, config, store, project)
    if diff:
        from lastcall.gate import check_diff

        verdicts = check_diff(diff, request, evidence, config)
    else:
        verdicts = check(request, evidence, config)
    write(FORMATS[format_.value](verdicts), output)
    return exit_code(verdicts) if verdicts or not diff else 0


def asked(
    *,
    refs: list[str] | None,
    window: str,
    require: list[str] | None,
    ignore: list[str] | None,
    path: list[Path] | None,
    at: str,
    releases: str = "live",
    strings: bool = True,
) -> Request:
    """The request behind a command line's words. Raises UsageError."""
    from lastcall.checking import Request, duration, instant, where
    from lastcall.dossier import Question

    question = Question(
        window=duration(window),
        strings=strings,
        required=tuple(where(text, "--require") for text in require or ()),
        ignored=tuple(where(text, "--ignore") for text in ignore or ()),
        releases="all" if releases == "all" else "live",
    )
    request = Request(refs or (), question, path or ())
    if at:
        request.now = instant(at)
    return request


def judged(
    *,
    refs: list[str],
    window: str,
    require: list[str] | None,
    ignore: list[str] | None,
    path: list[Path] | None,
    at: str,
    strings: bool,
    source: Source,
    project: str,
    store: str,
) -> tuple[list[Verdict], EvidenceSource]:
    """The verdicts behind a command line, and where their evidence came from. Raises LastcallError."""
    from lastcall import config as settings
    from lastcall.checking import check, open_source

    config = settings.load()
    evidence = open_source(source.value, config, store, project)
    request = asked(
        refs=refs, window=window, require=require, ignore=ignore, path=path, at=at, strings=strings
    )
    return check(request, evidence, config), evidence


def write(text: str, output: Path | None) -> None:
    """To the file, or to standard output. Raises UsageError."""
    if output is None:
        sys.stdout.write(text)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"Cannot write {output}: {error.strerror}.") from error
