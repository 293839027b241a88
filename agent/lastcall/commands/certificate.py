"""`lastcall certificate`: the evidence behind a verdict, for the record."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path  # noqa: TC003 - typer evaluates it
from typing import Annotated, Optional

import typer

from lastcall.commands.check import (
    At,
    Ignore,
    IgnoreStrings,
    NoCache,
    Output,
    Paths,
    Project,
    Refs,
    Require,
    SourceOption,
    StoreOption,
    Window,
    judged,
    write,
)
from lastcall.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add `certificate` to the command line."""
    app.command("certificate")(certificate)


def certificate(  # noqa: PLR0917 - typer passes them by name
    refs: Refs = None,
    verify: Annotated[
        Optional[Path],  # noqa: UP045 - typer evaluates it, on 3.10 too
        typer.Option(metavar="FILE", help="Check that a certificate was not changed, and say what it says."),
    ] = None,
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
    mark_removed: Annotated[
        bool,
        typer.Option("--mark-removed", help='Write removed = "<today>" on these targets in the configuration.'),
    ] = False,
) -> int:
    """Write the evidence as JSON with a digest, to attach to the commit that deletes the target.

    The exit code is that of `lastcall check`: a certificate may also say that a target is in use. A deleted
    target stays watched if its [[target]] says `removed`: whoever still asks for it is found. Examples:

        lastcall certificate pkg.mod:old_factory --path . \\
            -o removal.json --mark-removed
        lastcall certificate --verify removal.json
    """
    from lastcall import __version__
    from lastcall import certificate as certificates
    from lastcall.verdict_report import exit_code

    if verify is not None:
        if refs:
            raise UsageError("--verify reads a certificate: name no target with it.")
        return _verified(verify)
    if not refs:
        raise UsageError("Name the targets that the certificate is for.")
    verdicts, evidence = judged(
        refs=refs, window=window, require=require, ignore=ignore, path=path, at=at,
        strings=not ignore_strings, source=source, project=project, store=store, cached=not no_cache,
    )  # fmt: skip
    content = certificates.certificate(verdicts, evidence.name, _commit(path), __version__)
    write(certificates.as_text(content), output)
    if output is not None:
        print(f"{output}: {content['digest']}")
    _mark_removed([verdict.target.ref for verdict in verdicts], write_it=mark_removed)
    return exit_code(verdicts)


def _mark_removed(refs: list[str], *, write_it: bool) -> None:
    """Have the targets watched after they are gone, or say how: on stderr, since stdout may be the certificate."""
    from lastcall import config as settings

    config = settings.load()
    day = dt.datetime.now(dt.timezone.utc).date().isoformat()
    unmarked = set(refs) - {target.ref for target in config.targets if target.removed}
    if write_it:
        from lastcall.scanning.writing import config_file, mark_removed

        file = config.file or config_file(config.root)
        mark_removed(file, refs, day)
        print(f"{file}: {len(refs)} marked as removed.", file=sys.stderr)
    elif unmarked:
        which = "its [[target]]" if len(refs) == 1 else "each [[target]]"
        print(
            f'lastcall: when it is deleted, set removed = "{day}" on {which} (or give --mark-removed): '
            "whoever still asks for it is then found.",
            file=sys.stderr,
        )


def _verified(path: Path) -> int:
    from lastcall.certificate import verify
    from lastcall.verdict_report import EXIT_CODES

    content = verify(path)
    words = set()
    for verdict in content["verdicts"]:
        words.add(verdict["verdict"])
        chance = verdict["risk"]["probability"]
        print(f"{verdict['verdict']:9} {verdict['target']}  (risk {chance:.2%}, judged {verdict['at']})")
    print(f"{path}: unchanged, {content['digest']}")
    worst = "in-use" if "in-use" in words else "safe" if words == {"safe"} else "unproven"
    return EXIT_CODES[worst]


def _commit(paths: list[Path] | None) -> str:
    """The revision of the source that was read, marked if it was edited since; empty where there is none."""
    folder = str(paths[0]) if paths else "."
    try:
        done = subprocess.run(  # noqa: S603 - fixed program, no shell
            ["git", "-C", folder, "describe", "--always", "--dirty", "--abbrev=40", "--match=-"],  # noqa: S607 - the user's own git
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"lastcall: git could not be asked for the commit: {error}", file=sys.stderr)
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
