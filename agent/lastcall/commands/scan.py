"""`lastcall scan`: find the deprecated entry points of a source tree without importing it."""

from __future__ import annotations

import os
import sys
from contextlib import closing, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Optional, cast

import typer

from lastcall import whole_file
from lastcall.commands.progress import progress
from lastcall.errors import StoreError, UsageError

if TYPE_CHECKING:
    from lastcall.scanning.finding import Confidence, Finding
    from lastcall.scanning.sightings import Sightings

FORMATS = ("text", "json", "sarif")
Format = Annotated[str, typer.Option("--format", help="text, json or sarif.")]
Exclude = Annotated[
    Optional[list[str]],  # noqa: UP045 - typer evaluates it, on 3.10 too
    typer.Option(help="A pattern of paths to leave out; may be repeated."),
]
JoinedStore = Annotated[
    str, typer.Option(help="The store to join with; default: the configured one, if it is there.")
]
OutputFile = Annotated[str, typer.Option("--output", "-o", help="Write to a file instead of the terminal.")]
Cached = Annotated[bool, typer.Option(help="Keep results by file content for the next run.")]

HELP = """Find deprecated entry points in source code.

    lastcall scan src
    lastcall scan src --write        # put the sure ones into lastcall.toml
    lastcall scan src --format sarif -o scan.sarif

Nothing is imported. A definition counts as deprecated by its decorators, the warnings and log lines in its
body, its docstring, the comments at it, and, with low confidence, its name. If there is a store, each one
is marked: seen, never seen, not loaded (its module never was), or not watched (no target yet).

Exit code 0, whatever was found; 3 if it could not be done.
"""


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("scan", help=HELP)(scan)


def scan(  # noqa: PLR0917 - typer makes an option of each
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="The root of a source tree, a package's folder, or one file.")
    ] = ".",
    output_format: Format = "text",
    confidence: Annotated[
        str,
        typer.Option(
            help="Show and write what is at least this sure: high, medium, low. "
            "Default: medium to show (JSON: all), high to write."
        ),
    ] = "",
    write: Annotated[
        bool, typer.Option("--write", help="Add what is new to lastcall.toml (or pyproject.toml).")
    ] = False,
    exclude: Exclude = None,
    tests: Annotated[bool, typer.Option("--tests", help="Look into test code too.")] = False,
    store: JoinedStore = "",
    output: OutputFile = "",
    cache: Cached = True,
) -> None:
    """Find deprecated entry points in source code."""
    from lastcall.scanning import rendering
    from lastcall.scanning.cache import Cache
    from lastcall.scanning.finding import CONFIDENCES
    from lastcall.scanning.survey import at_least, survey

    check_choice("--format", output_format, FORMATS)
    check_choice("--confidence", confidence or "high", CONFIDENCES)
    shown = cast("Confidence", confidence or "medium")
    sightings = read_sightings(store)
    kept_open = closing(Cache.of(os.path.realpath(path))) if cache else nullcontext()
    with kept_open as kept, progress("Reading", number=True) as advance:
        found = survey(path, exclude=exclude or (), tests=tests, cache=kept, progress=advance)
    seen_of = sightings.of if sightings else None
    if output_format == "json":
        asked = at_least(found.findings, cast("Confidence", confidence)) if confidence else found.findings
        text = rendering.survey_as_json(replace(found, findings=asked), seen_of)
    elif output_format == "sarif":
        text = rendering.survey_as_sarif(found, shown, seen_of)
    else:
        text = rendering.survey_as_text(found, shown, seen_of)
    put(text, output)
    if write:
        _write(found.root, at_least(found.findings, cast("Confidence", confidence or "high")))


def _write(root: str, findings: list[Finding]) -> None:
    from lastcall.scanning.writing import config_file, write_targets

    file = _read_there(root) or config_file(_below_here(root))
    first: dict[str, Finding] = {}
    for item in findings:  # two files may go by one name: it is one target
        first.setdefault(item.ref, item)
    findings = list(first.values())
    named = [item for item in findings if item.watchable and _can_be_named(item.ref)]
    added = write_targets(file, named)
    known = len(named) - len(added)
    targets = "1 target" if len(added) == 1 else f"{len(added)} targets"
    print(f"{file}: {targets} added, {known} there already.", file=sys.stderr)
    unseen = sum(not item.watchable for item in findings)
    if unseen:
        print(
            f"{unseen} left out: the value of a class's attribute, whose reads nobody can see.",
            file=sys.stderr,
        )
    left = len(findings) - len(named) - unseen
    if left:
        print(f"{left} left out: no import statement could name the files that they are in.", file=sys.stderr)


def _read_there(root: str) -> str:
    """The configuration file that a process started at `root` reads; empty if there is none."""
    from lastcall import config

    return os.environ.get("LASTCALL_CONFIG", "") or config.load(cwd=root).file


def _below_here(root: str) -> str:
    """Where a first configuration file belongs: here, if the tree is a part of what is here."""
    here = os.path.realpath(".")
    return here if os.path.realpath(root).startswith(here + os.sep) else root


def _can_be_named(ref: str) -> bool:
    from lastcall.targets import BadReferenceError, Ref

    try:
        Ref(ref)
    except BadReferenceError:
        return False
    return True


def check_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise UsageError unless `value` is one of `choices`."""
    if value not in choices:
        raise UsageError(f"{option} {value}: expected one of {', '.join(choices)}")


def put(text: str, output: str) -> None:
    """Print `text`, or write it to the file `output`. Raises UsageError if that cannot be done."""
    text = text if text.endswith("\n") else text + "\n"
    if not output:
        encoding = sys.stdout.encoding or "utf-8"  # of a terminal or pipe that may not take every letter
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        return
    try:
        whole_file.write(output, [text.encode("utf-8", "backslashreplace").decode("utf-8")])
    except OSError as error:
        raise UsageError(
            f"{output}: cannot be written ({error.strerror}); name a file in a folder that exists"
        ) from error


def read_sightings(store: str) -> Sightings | None:
    """What the store knows. None if none was named and there is none at the configured place."""
    from lastcall.scanning.sightings import Sightings
    from lastcall.store import Store

    try:
        with Store.current(store or _configured_store()) as opened:
            return Sightings.read(opened)
    except StoreError as error:
        if error.slug == "store-missing" and not store:
            return None
        raise


def _configured_store() -> str:
    from lastcall import config

    return config.load().store_path()
