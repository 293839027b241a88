"""Which Python interpreters this machine has, found where people and package managers put them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

SUPPORTED = ((3, 10), (3, 11), (3, 12), (3, 13), (3, 14), (3, 15))
EXPERIMENTAL: tuple[tuple[int, int], ...] = ()
"""Tried, so that a new version holds no surprise, and not promised."""

_PLACES = (
    "/usr/bin",
    "/usr/local/bin",
    "/opt/*/bin",
    "/Library/Frameworks/Python.framework/Versions/*/bin",
    "~/.local/bin",
    "~/.pyenv/versions/*/bin",
    "~/.asdf/installs/python/*/bin",
    "~/.local/share/uv/python/*/bin",
    "~/.local/share/mise/installs/python/*/bin",
)

# Valid in every Python from 2.7 on.
_QUESTION = (
    "import sys, json; import sysconfig as s;"
    "print(json.dumps([list(sys.version_info[:3]), sys.executable, sys.prefix,"
    " bool(s.get_config_var('Py_GIL_DISABLED')), getattr(sys, 'implementation', None) and sys.implementation.name]))"
)


@dataclass(frozen=True)
class Interpreter:
    """One interpreter that answered."""

    path: str
    version: tuple[int, int, int]
    free_threaded: bool

    @property
    def name(self) -> str:
        """`3.13`, or `3.13t` for a free-threaded build."""
        return "{}.{}".format(*self.version) + ("t" if self.free_threaded else "")


@lru_cache(maxsize=1)
def find() -> tuple[Interpreter, ...]:
    """Every CPython that runs, oldest first; of two installations of one version the newest patch release.

    `TEST_PYTHONS` (paths, separated as PATH is) adds interpreters that lie elsewhere.
    """
    best: dict[str, Interpreter] = {}
    for path in _candidates():
        found = ask(path)
        if found and (found.name not in best or best[found.name].version < found.version):
            best[found.name] = found
    return tuple(sorted(best.values(), key=lambda one: (one.version, one.free_threaded)))


def supported() -> tuple[Interpreter, ...]:
    """Those that Lastcall supports."""
    return tuple(one for one in find() if one.version[:2] in SUPPORTED)


def experimental() -> tuple[Interpreter, ...]:
    """Those that it does not support yet."""
    return tuple(one for one in find() if one.version[:2] in EXPERIMENTAL)


def this_one() -> Interpreter:
    """The one that runs this."""
    free_threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    return Interpreter(sys.executable, (sys.version_info[0], sys.version_info[1], sys.version_info[2]), free_threaded)


def _candidates() -> list[str]:
    folders = [Path(entry) for entry in os.environ.get("PATH", "").split(os.pathsep) if entry]
    for place in _PLACES:
        expanded = Path(place).expanduser()
        folders += Path(expanded.anchor).glob(str(expanded.relative_to(expanded.anchor)))
    named = [entry for entry in os.environ.get("TEST_PYTHONS", "").split(os.pathsep) if entry]
    found = [path for folder in folders for pattern in ("python2.?", "python3.?", "python3.??", "python3.??t")
             for path in folder.glob(pattern)]
    return named + list(dict.fromkeys(os.path.abspath(path) for path in found if os.access(path, os.X_OK)))


def ask(path: str) -> Interpreter | None:
    """What the interpreter at `path` says of itself; None if it does not run (a shim without a version, say)."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LASTCALL"))}
    try:
        answer = subprocess.run([path, "-c", _QUESTION], capture_output=True, text=True, timeout=30, env=clean)
        version, executable, prefix, free_threaded, implementation = json.loads(answer.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    if implementation not in (None, "cpython") or Path(prefix, "pyvenv.cfg").exists():
        return None
    return Interpreter(executable, (version[0], version[1], version[2]), free_threaded)


if __name__ == "__main__":
    for one in find():
        print(f"{one.name:7} {'.'.join(map(str, one.version)):9} {one.path}")
