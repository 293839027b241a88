"""`lastcall run`: start any command with the agent switched on, without touching its image or its code."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

import lastcall
from lastcall.errors import UsageError
from lastcall.targets import BadReferenceError, Target

HELP = """Start a command with the agent switched on.

    lastcall run -- python app.py
    lastcall run -- gunicorn -w 2 app:app
    lastcall run -m pkg.tool --its-own-option
    lastcall run -t "shop.legacy:get_cart" -- pytest -q

The command replaces this process: its output, signals and exit code are its own. It inherits the
environment, with LASTCALL_ENABLED=1 and the start-up file in front of PYTHONPATH, and so do its children.
"""


def shadow_folder() -> Path:
    """The folder whose `sitecustomize.py` starts the agent: inside the wheel, or the top of a checkout."""
    package = Path(lastcall.__file__).resolve().parent
    bundled = package / "shadow"
    return bundled if (bundled / "sitecustomize.py").is_file() else package.parents[1]


def agent_environment(environ: dict[str, str], settings: dict[str, str]) -> dict[str, str]:
    """`environ` as every Python process needs it to start the agent, with `settings` (LASTCALL_*) on top."""
    result = {**environ, **settings, "LASTCALL_ENABLED": "1"}
    shadow = str(shadow_folder())
    inherited = [
        entry for entry in environ.get("PYTHONPATH", "").split(os.pathsep) if entry not in ("", shadow)
    ]
    result["PYTHONPATH"] = os.pathsep.join([shadow, *inherited])
    return result


def command_line(command: list[str]) -> list[str]:
    """The argument vector for `command`: a module (`-m NAME`) or a `.py` file is run by this interpreter.

    Raises UsageError if there is no command, or no such program.
    """
    if not command:
        raise UsageError("run: no command given; say what to run, for example: lastcall run -- python app.py")
    if command[0] in ("-m", "-c"):
        if len(command) == 1:
            raise UsageError(f"run: {command[0]} needs an argument, as in: lastcall run -m package.module")
        return [sys.executable, *command]
    if command[0].endswith(".py") and Path(command[0]).is_file() and not os.access(command[0], os.X_OK):
        return [sys.executable, *command]
    program = shutil.which(command[0])
    if program is None:
        raise UsageError(
            f"run: cannot find {command[0]!r}: expected a program on PATH, a .py file, or -m MODULE"
        )
    return [program, *command[1:]]


def replace_process(command: list[str], environ: dict[str, str]) -> NoReturn:
    """Become `command`. Raises UsageError if the system refuses to start it."""
    arguments = command_line(command)
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execve(arguments[0], arguments, environ)  # noqa: S606 - running the user's command is the point
    except OSError as problem:
        raise UsageError(f"run: cannot start {arguments[0]}: {problem.strerror}") from problem


def check_targets(given: list[str]) -> None:
    """Raises UsageError for what is no reference: the command would only run without it."""
    try:
        for ref in ",".join(given).split(","):
            Target(ref.strip())
    except BadReferenceError as error:
        raise UsageError(f"run: --target {error}") from error


def run(  # noqa: PLR0917 - typer makes one option of each
    command: Annotated[
        list[str] | None, typer.Argument(help="The command and its arguments.", metavar="COMMAND")
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option("--target", "-t", help="Watch this entry point too (package.module:name); repeatable."),
    ] = None,
    config: Annotated[
        str, typer.Option(help="Configuration file, instead of the nearest lastcall.toml.")
    ] = "",
    store: Annotated[str, typer.Option(help="Where to keep what was seen.")] = "",
    service: Annotated[str, typer.Option(help="Name of the service being observed.")] = "",
    environment: Annotated[str, typer.Option(help="Name of the environment, for example staging.")] = "",
    release: Annotated[str, typer.Option(help="Release being observed.")] = "",
) -> None:
    """Become `command`, with the agent on. Raises UsageError."""
    given = {
        # the command may change its working directory
        "LASTCALL_CONFIG": config and str(Path(config).absolute()),
        "LASTCALL_STORE": store and str(Path(store).absolute()),
        "LASTCALL_SERVICE": service,
        "LASTCALL_ENVIRONMENT": environment,
        "LASTCALL_RELEASE": release,
    }
    if config and not Path(config).is_file():
        raise UsageError(f"run: no configuration file at {config}")
    settings = {name: value for name, value in given.items() if value}
    if target:
        check_targets(target)
        settings["LASTCALL_TARGETS"] = ",".join(
            [*filter(None, [os.environ.get("LASTCALL_TARGETS")]), *target]
        )
    replace_process(command or [], agent_environment(dict(os.environ), settings))


def register(app: typer.Typer) -> None:
    """Add `run` to the command line."""
    # Everything behind the command's name is its own, also what looks like an option of ours.
    settings = {"ignore_unknown_options": True, "allow_interspersed_args": False}
    app.command("run", help=HELP, context_settings=settings)(run)
