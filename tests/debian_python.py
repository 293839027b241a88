"""Unpacks a Python of a newer Debian suite beside the machine's own, so that the matrix can run on it.

    python tests/debian_python.py SUITE PACKAGE FOLDER      (forky python3.14 .cache/python3.14)

Nothing is installed: apt resolves and downloads with a state of its own, the packages are unpacked into
FOLDER, C library included, and a script starts the interpreter with the libraries next to it.
Works on Debian and its derivatives that have apt and a Debian mirror configured.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# What wheels with compiled parts expect of a system, beyond what the interpreter itself depends on.
_ALSO = ("libstdc++6", "libgcc-s1")

# The suite and package of each version that no stable Debian release has yet.
KNOWN = {"3.14": ("forky", "python3.14"), "3.15": ("forky", "python3.15")}

# Of versions that are not supported yet.
EXPERIMENTAL: dict[str, tuple[str, str]] = {}


class UnavailableError(Exception):
    """This machine cannot get the package; the message says why."""


def fetch(suite: str, package: str, folder: Path) -> Path:
    """The interpreter of `package`, unpacked below `folder` unless it is there already. Raises UnavailableError."""
    python = folder / "usr" / "bin" / package
    if (folder / ".complete").exists():
        return python
    mirror = _mirror()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        for archive in _download(Path(temporary), mirror, suite, package):
            subprocess.run(["dpkg-deb", "-x", archive, folder], check=True)
    _wrap(folder, python)
    subprocess.run([python, "-c", "import ssl, sqlite3, ctypes, venv"], check=True)
    (folder / ".complete").touch()
    return python


def _mirror() -> str:
    """The mirror that the machine's own apt uses."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise UnavailableError("no apt-get here")
    sources = Path("/etc/apt")
    for file in [*sources.glob("sources.list.d/*.sources"), *sources.glob("sources.list.d/*.list"), sources / "sources.list"]:
        for line in file.read_text().splitlines() if file.exists() else []:
            words = line.split()
            if words and words[0] in ("URIs:", "deb"):
                uri = next((word for word in words[1:] if "://" in word), "")
                if uri.rstrip("/").endswith("/debian"):
                    return uri
    raise UnavailableError("no Debian mirror in /etc/apt")


def _download(work: Path, mirror: str, suite: str, package: str) -> list[Path]:
    """The package and everything it depends on, as apt resolves it for a machine with nothing installed."""
    apt = _apt(work, mirror, suite, "deb")
    _run([*apt, "install", "--yes", "--download-only", package, *_ALSO], work)
    return sorted((work / "cache/archives").glob("*.deb"))


def download_source(work: Path, suite: str, package: str) -> Path:
    """The upstream archive of `package`'s source, below the new folder `work`. Raises UnavailableError."""
    apt = _apt(work, _mirror(), suite, "deb-src")
    _run([*apt, "source", "--download-only", package], work)
    found = sorted(work.glob("*.orig.tar.*[!c]"))
    if not found:
        raise UnavailableError(f"the source package {package} has no upstream archive")
    return found[0]


def _apt(work: Path, mirror: str, suite: str, types: str) -> list[str]:
    """apt-get with a state of its own below `work`, in which only `suite` is known and nothing is installed."""
    for part in ("etc/sources.list.d", "etc/preferences.d", "etc/apt.conf.d", "state/lists/partial", "cache/archives/partial"):
        (work / part).mkdir(parents=True)
    (work / "status").touch()
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    (work / "etc/sources.list.d/suite.sources").write_text(
        f"Types: {types}\nURIs: {mirror}\nSuites: {suite}\nComponents: main\nSigned-By: {keyring}\n"
    )
    options = {
        "Dir::Etc": work / "etc",
        "Dir::State": work / "state",
        "Dir::State::status": work / "status",
        "Dir::Cache": work / "cache",
        "APT::Sandbox::User": "root" if os.geteuid() == 0 else "",
        "APT::Install-Recommends": "false",
    }
    apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]
    _run([*apt, "update"], work)
    return apt


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=folder)
    if done.returncode:
        raise UnavailableError((done.stderr.strip().splitlines() or ["apt-get failed"])[-1])


def _wrap(folder: Path, python: Path) -> None:
    """Put a script in the interpreter's place that starts it with the C library that came with it.

    The machine's own library is older than the interpreter was built for. Python takes its name from `argv[0]`,
    so `sys.executable`, virtual environments and child processes all lead through the script.
    """
    (libraries,) = (path.parent for path in (folder / "usr" / "lib").glob("*-linux-gnu*/libc.so.6"))
    (loader,) = libraries.glob("ld-linux*.so.*")
    real = python.with_name(python.name + ".real")
    python.rename(real)
    python.write_text(f'#!/bin/sh\nexec {loader} --argv0 "$0" --library-path {libraries} {real} "$@"\n')
    python.chmod(0o755)


if __name__ == "__main__":
    try:
        print(fetch(sys.argv[1], sys.argv[2], Path(sys.argv[3]).resolve()))
    except UnavailableError as reason:
        sys.exit(f"{sys.argv[2]} of {sys.argv[1]}: {reason}")
