"""The command line in this process: a new interpreter, with all that it imports, takes longer than most commands."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from lastcall import cli
from lastcall.store.opened import read_from

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


def lastcall(*arguments: object, cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """What `lastcall ARGUMENTS` comes to, in that folder and with that environment, without a terminal."""
    given = [str(argument) for argument in arguments]
    out, err = io.StringIO(), io.StringIO()
    code: object = None
    read_from.clear()
    with _as_in(cwd, env), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main(given)
        except SystemExit as end:
            code = end.code
    assert isinstance(code, int), code
    return subprocess.CompletedProcess(given, code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _as_in(folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    before, here, stdin, path = dict(os.environ), os.getcwd(), sys.stdin, sys.path[:]  # noqa: PTH109 - to come back
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.stdin = io.StringIO()
    try:
        yield
    finally:
        sys.stdin, sys.path[:] = stdin, path
        os.chdir(here)
        os.environ.clear()
        os.environ.update(before)
