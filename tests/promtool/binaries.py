"""Finds promtool and VictoriaMetrics: on the PATH, or where `unpack_debian.sh` put them."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[1] / ".cache" / "debian-forky"
PACKAGES = ("promtool", "victoria-metrics")
COMMAND = f"tests/promtool/unpack_debian.sh forky .cache/debian-forky {' '.join(PACKAGES)}"


def binary(name: str, *, needs: str = "") -> str:
    """The path of a binary whose `--version` begins with `needs`. Skips the test, and says how to get it, if there is none.

    With TEST_FETCH_BINARIES=1, as in CI, it is fetched instead.
    """
    cached = CACHE / "usr" / "bin" / name
    if not cached.exists() and os.environ.get("TEST_FETCH_BINARIES") == "1":
        _fetch(cached)
    if cached.exists():
        return str(cached)
    found = shutil.which(name)
    if found and _version(found).startswith(needs):
        return found
    pytest.skip(f"{name} is not here: run {COMMAND}, or set TEST_FETCH_BINARIES=1")


def _fetch(wanted: Path) -> None:
    """Unpack the packages, once for all workers of a test run."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not wanted.exists():
            subprocess.run([HERE / "unpack_debian.sh", "forky", CACHE, *PACKAGES], check=True, timeout=300)


def _version(path: str) -> str:
    return subprocess.run([path, "--version"], capture_output=True, text=True, check=False, timeout=20).stdout
