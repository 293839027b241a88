"""The frame of the command line. Each area's subcommands live in a module of `lastcall.commands`."""

from __future__ import annotations

import importlib
import io
import os
import re
import sys
from importlib.util import find_spec
from inspect import cleandoc
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from lastcall.errors import LastcallError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

COMMANDS = (
    "run",
    "report",
    "check",
    "explain",
    "certificate",
    "scan",
    "references",
    "doctor",
    "merge",
    "baseline",
    "ui",
    "gcp",
    "demo",
)
"""Modules of `lastcall.commands`, in the order in which `lastcall --help` lists what they register."""

HELP = """
May we delete this shim yet? Lastcall answers with evidence.

Run your application with the agent switched on. It counts every use of the entry points you named,
by call site, and changes nothing else. Then ask.

First steps:

    $ LASTCALL_ENABLED=1 LASTCALL_TARGETS=pkg.mod:old_factory python app.py
    $ lastcall report            # who used what, from which line, how often
    $ lastcall check             # may we delete it? exit code 0: yes

Settings live in lastcall.toml or in LASTCALL_* variables; `lastcall doctor` shows which hold, and why, and
`lastcall doctor --all` which there are.
"""


def build_app(names: Sequence[str] = COMMANDS) -> typer.Typer:
    """The typer application with the subcommands `names`, as far as this installation has them."""
    app = typer.Typer(
        name="lastcall",
        help=_with_lines_kept(HELP),
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def frame(
        version: Annotated[
            bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
        ] = False,
    ) -> None:
        del version  # its callback has acted on it

    for name in names:
        module = f"lastcall.commands.{name}"
        if find_spec(module) is not None:
            importlib.import_module(module).register(app)
    for part in (app, *(group.typer_instance for group in app.registered_groups if group.typer_instance)):
        for command in part.registered_commands:
            if text := command.help or (command.callback and command.callback.__doc__):
                command.help = _with_lines_kept(cleandoc(text))
    return app


def _with_lines_kept(text: str) -> str:
    """`text` with its indented paragraphs, which are examples, marked so that they are not wrapped as prose is."""
    return re.sub(r"(?m)(?:(?<=\n\n)|\A)(?=    )", "\b\n", text)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit: 3 and one sentence for what the user can mend, never a traceback."""
    _open_what_is_closed()
    _write_what_can_be_written()
    try:
        # typer's own wrong-usage exit is 2, which here means `unproven`: so it must not exit by itself.
        given = sys.argv[1:] if arguments is None else arguments
        # Who names a command waits for that one only: all of them take a tenth of a second.
        app = build_app(given[:1]) if given and given[0] in COMMANDS else build_app()
        code = app(args=given or ["--help"], prog_name="lastcall", standalone_mode=False)
        sys.stdout.flush()
    except Exception as error:  # noqa: BLE001 - the last seam before the user; defects are raised again
        sys.exit(_explain(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except SystemExit as end:
        # click itself ends on a broken pipe, with 1, which `check` keeps for `in-use`
        sys.exit(_broken_pipe() if isinstance(end.__context__, BrokenPipeError) else end.code)
    sys.exit(code if isinstance(code, int) else 0)


def _open_what_is_closed() -> None:
    """`lastcall check >&-` wants the exit code alone; Python has no stream there to write to, or to read from."""
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115 - for as long as we live
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - for as long as we live
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - for as long as we live


def _write_what_can_be_written() -> None:
    """A name that the terminal's encoding lacks is escaped: a traceback's exit code 1 would mean `in-use`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _explain(error: Exception) -> int:
    """One sentence on stderr and the exit code for `error`. Raises it again if it is a defect of ours."""
    if isinstance(error, LastcallError):
        return _fail(error.message)
    if isinstance(error, BrokenPipeError):
        return _broken_pipe()
    if type(error).__name__ == "Abort":
        if isinstance(error.__cause__, EOFError):
            raise error.__cause__  # a broken .pyc file, say, and no end of what somebody types, as typer thinks
        return 130
    message = getattr(error, "format_message", None)  # click's errors, vendored by typer or not
    if callable(message) and type(error).__name__ == "NoArgsIsHelpError":
        return _print_help(message())
    if callable(message):
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "lastcall"
        # typer's newest versions put pydantic's words before their own
        text = message().replace("Value error, ", "").rstrip(".")
        return _fail(f"{text}{'' if text.endswith('?') else '.'} Try '{path} --help'.")
    if isinstance(error, OSError):
        _give_up_if_full(sys.stdout)
        where = f"{error.filename}: " if error.filename else ""
        said: str | None = f"{where}{error.strerror or error}"
        if isinstance(error, FileNotFoundError) and not where:  # only `os.getcwd` names no file
            said = "The folder that this command was started in is gone. Go to another one."
    else:
        said = _fault_in_stores()
    if said is None:
        raise error
    return _fail(said)


def _fault_in_stores() -> str | None:
    """What a store that was read holds that nobody can understand, so that the failure is no defect of ours."""
    stores = sys.modules.get("lastcall.store.opened")
    if stores is None:
        return None
    from lastcall.store.soundness import fault_in

    return next(filter(None, map(fault_in, stores.read_from)), None)


def _print_help(text: str) -> int:
    """The help of a group that was given no subcommand, as for `lastcall` alone."""
    try:
        print(text, flush=True)
    except OSError as error:
        return _explain(error)
    return 0


def _broken_pipe() -> int:
    """`lastcall report | head`: nobody reads on. As if SIGPIPE had come: 0 would mean `safe` elsewhere."""
    _give_up(sys.stdout)
    return 141


def _give_up_if_full(stream: TextIO) -> None:
    try:
        stream.flush()
    except OSError:
        _give_up(stream)


def _give_up(stream: TextIO) -> None:
    """Python would complain again when it flushes at exit, and end with a code of its own."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _fail(message: str) -> int:
    try:
        print(f"lastcall: {message}", file=sys.stderr, flush=True)
    except OSError:
        _give_up(sys.stderr)
    return 3


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"lastcall {version('lastcall')}")
        except PackageNotFoundError:
            print("lastcall, run from a checkout")
        raise typer.Exit
