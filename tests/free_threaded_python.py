"""Builds a free-threaded CPython from Debian's source package, because no Debian release has one ready-made.

    python tests/free_threaded_python.py FOLDER      (.cache/pythons/python3.13t)

apt fetches the source with a state of its own and checks it against the archive's signed index; nothing is
installed. Needs a C compiler, make, and the headers that the standard library is built with (on Debian
libssl-dev, libffi-dev, libsqlite3-dev, zlib1g-dev, libbz2-dev, liblzma-dev). About 100 seconds on two cores.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import debian_python

SUITE, SOURCE, VERSION = "trixie", "python3.13", "3.13"
_NEEDED = ("gcc", "make")
_MODULES = "ssl, sqlite3, ctypes, zlib, bz2, lzma, venv"
MINUTES = 15


def fetch(folder: Path) -> Path:
    """The free-threaded interpreter below `folder`, built there unless it is complete. Raises UnavailableError."""
    python = folder / "bin" / f"python{VERSION}t"
    if (folder / ".complete").exists():
        return python
    lacking = [tool for tool in _NEEDED if not shutil.which(tool)]
    if lacking:
        raise debian_python.UnavailableError(f"no {' and no '.join(lacking)} here to build it with")
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        archive = debian_python.download_source(work / "apt", SUITE, SOURCE)
        with tarfile.open(archive) as packed:
            packed.extractall(work, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
        _build(archive.parent, next(path.parent for path in work.glob("*/configure")), folder)
    (folder / ".complete").touch()
    return python


def _build(logs: Path, source: Path, folder: Path) -> None:
    """Configure, compile and install below `folder`, with the errors of whichever step fails."""
    log = logs / "build.log"
    jobs = f"-j{os.cpu_count() or 1}"
    steps = (
        # -O1: the tests need no fast interpreter, and -O3 takes twice as long to compile.
        ["./configure", "-q", "--disable-gil", f"--prefix={folder}", "--disable-test-modules", "OPT=-O1"],
        ["make", "-s", jobs],
        ["make", "-s", "install", "ENSUREPIP=no"],
        [folder / "bin" / f"python{VERSION}t", "-c", f"import {_MODULES}"],
    )
    for step in steps:
        with log.open("w") as output:
            done = subprocess.run(step, cwd=source, stdout=output, stderr=output, timeout=MINUTES * 60)
        if done.returncode:
            last = (log.read_text(errors="replace").strip().splitlines() or ["nothing was said"])[-1]
            raise debian_python.UnavailableError(f"`{' '.join(map(str, step))}` failed: {last}")


if __name__ == "__main__":
    try:
        print(fetch(Path(sys.argv[1]).resolve()))
    except debian_python.UnavailableError as reason:
        sys.exit(f"a free-threaded {VERSION} of {SUITE}: {reason}")
