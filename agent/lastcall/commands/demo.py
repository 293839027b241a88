"""`lastcall demo`: a two-file program with a deprecated factory, run under the agent, and its report."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from lastcall.commands.run import agent_environment
from lastcall.errors import LastcallError, UsageError

HELP = """See it work in ten seconds, in a temporary folder and without a project of your own.

Writes a small program whose deprecated factory is called from two lines, runs it with the agent switched on,
and prints the report. With --keep DIRECTORY the program stays there for you to play with.
"""

LEGACY = '''\
"""The module that somebody wants to delete."""


def get_mailer_factory():
    """Deprecated: call Mailer() instead."""
    return Mailer


class Mailer:
    def __init__(self, sender="shop"):
        self.sender = sender

    def send(self):
        return 1
'''

PROGRAM = """\
from legacy_mail import get_mailer_factory


def send_invoice(number):
    return get_mailer_factory()("invoices").send()


def send_reminder(number):
    from legacy_mail import get_mailer_factory as factory

    return factory()().send()


sent = 0
for number in range(40):
    sent += send_invoice(number)
    if number % 10 == 0:
        sent += send_reminder(number)
print(sent, "letters sent")
"""

SETTINGS = """\
[lastcall]
service = "shop"
environment = "demo"
release = "1"

[[target]]
ref = "legacy_mail:get_mailer_factory"
replacement = "legacy_mail:Mailer"
"""

FILES = {"legacy_mail.py": LEGACY, "shop.py": PROGRAM, "lastcall.toml": SETTINGS}


def demo(
    keep: Annotated[
        str, typer.Option(metavar="DIRECTORY", help="Write the program there, and leave it.")
    ] = "",
) -> None:
    """Run the demo. Raises UsageError if `keep` cannot be written, LastcallError if the program fails."""
    if keep:
        folder = Path(keep).absolute()  # the program runs inside it
        _write(folder)
        _play(folder)
        print(f"The program and its store are in {folder}\nThere, `lastcall run -- shop.py` runs it again.")
        return
    with tempfile.TemporaryDirectory(prefix="lastcall-demo-") as temporary:
        _write(Path(temporary))
        _play(Path(temporary))


def _write(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in FILES.items():
            if (folder / name).exists() and (folder / name).read_bytes() != text.encode():
                raise UsageError(f"demo: {folder / name} is there already, and not the demo's. Name another folder.")
        for name, text in FILES.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as problem:
        raise UsageError(f"demo: cannot write to {folder}: {problem.strerror}") from problem


def _play(folder: Path) -> None:
    """Show the program's settings, run it under the agent, and print the report on it."""
    print("$ cat lastcall.toml")
    print(SETTINGS)
    environ = agent_environment(dict(os.environ), {"LASTCALL_STORE": str(folder / ".lastcall" / "store.db")})
    for name in ("LASTCALL_CONFIG", "LASTCALL_TARGETS"):
        environ.pop(name, None)  # what the caller watches otherwise is not the demo's
    _step(["lastcall", "run", "--", "python", "shop.py"], [sys.executable, "shop.py"], folder, environ)
    environ["LASTCALL_ENABLED"] = ""
    _step(["lastcall", "report"], [sys.executable, "-m", "lastcall", "report"], folder, environ)


def _step(shown: list[str], command: list[str], folder: Path, environ: dict[str, str]) -> None:
    print("$", shlex.join(shown), flush=True)
    # Whoever reads a pipe may have read enough: that is for us to meet, and no error of the program's.
    output = None if sys.stdout.isatty() else subprocess.PIPE
    done = subprocess.run(command, cwd=folder, env=environ, check=False, stdout=output)  # noqa: S603 - our own program
    if done.stdout:
        sys.stdout.buffer.write(done.stdout)
        sys.stdout.flush()
    if done.returncode:
        raise LastcallError("demo-failed", f"demo: {shlex.join(shown)} ended with exit code {done.returncode}")
    print(flush=True)


def register(app: typer.Typer) -> None:
    """Add `demo` to the command line."""
    app.command("demo", help=HELP)(demo)
