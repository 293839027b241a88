"""Runs the suite on every supported interpreter, with wrapt in C and in Python, and says what it ran.

    python tests/matrix.py                 everything that is found
    python tests/matrix.py --host-only     only the tests of what runs inside the host process
    python tests/matrix.py --only 3.12,3.14
    python tests/matrix.py --fetch         get the versions that are missing, of those that are to run, as Debian packages first
    python tests/matrix.py --build-free-threaded    build a free-threaded one first, if there is none
    python tests/matrix.py --others        not the version this runs on: whoever ran `make test` with it has its outcome
    python tests/matrix.py --experimental  versions to come as well; their failures are shown and not counted
    python tests/matrix.py --wrapt 1.17.3  another wrapt than the newest
    python tests/matrix.py --wrapt-in-python 3.10,3.14    without wrapt's C extension only on these; default: on all

Each interpreter gets an environment below .venvs/matrix, kept for the next run. The exit code is 0 if every
test passed on at least two versions. The last line is `N passed, N failed, N skipped`.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import debian_python
import free_threaded_python
import interpreters

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENTS = ROOT / ".venvs" / "matrix"

# Tests of what runs inside the host process: these differ by interpreter and by wrapt's mode, the others hardly.
HOST_TESTS = (
    "test_agent*.py", "test_bootstrap*.py", "test_callsite*.py", "test_captured*.py", "test_concurrency*.py",
    "test_config*.py", "test_counts*.py", "test_engine*.py", "test_host*.py", "test_importing*.py", "test_journal*.py",
    "test_kill*.py", "test_life*.py", "test_patch*.py", "test_random*.py", "test_recorder*.py", "test_startup*.py",
    "test_target*.py",
)  # fmt: skip

MOST_UNSTEADY = 2
"""Failed tests of a suite that are run again alone. The suites share two cores with more workers than that: what fails
only there is said and is the machine's; what fails alone, or is more than this, is not."""

# A build of these from source takes longer than all of the tests.
COMPILED = "grpcio,pydantic-core,cryptography,numpy,matplotlib,pillow,gevent,hypothesis"

# What these need where not every dependency has a build, as on free-threaded interpreters.
HOST_REQUIREMENTS = (
    "wrapt>=1.17,!=2.2.0", "bytecode>=0.16; python_version < '3.12'", "tomli>=2; python_version < '3.11'",
    "pytest", "pytest-xdist", "pytest-timeout", "hypothesis", "typing-extensions", "typer", "rich", "tomlkit", "griffe",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """One run of one suite."""

    name: str
    wrapt: str
    passed: int
    failed: int
    skipped: int
    seconds: float
    note: str = ""
    experimental: bool = False


def main() -> int:
    options = _options()
    chosen = [one for one in _interpreters(options) if not options.only or one.name in options.only]
    if options.others:
        chosen = [one for one in chosen if one.name != interpreters.this_one().name]
    outcomes: list[Outcome] = []
    for one in chosen:
        print(f"== {one.name} ({'.'.join(map(str, one.version))}, {one.path})", flush=True)
        outcomes += _run_version(one, options)
    _print_table(outcomes, chosen)
    counted = [one for one in outcomes if not one.experimental]
    passed, failed, skipped = (sum(getattr(one, key) for one in counted) for key in ("passed", "failed", "skipped"))
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    versions = {one.name for one in counted if one.passed}
    enough = len(versions) >= min(2, len(options.only) or 2)
    if not enough:
        print(f"only {len(versions)} version ran; at least two are needed", file=sys.stderr)
    return 0 if enough and not failed else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=(), type=lambda text: tuple(text.split(",")), help="3.12,3.13t")
    parser.add_argument("--host-only", action="store_true")
    parser.add_argument("--fetch", action="store_true")
    parser.add_argument("--build-free-threaded", action="store_true")
    parser.add_argument("--others", action="store_true")
    parser.add_argument("--experimental", action="store_true")
    parser.add_argument("--wrapt", default="", metavar="VERSION", help="1.17.3; default: the newest")
    parser.add_argument("--wrapt-in-python", default=(), type=lambda text: tuple(text.split(",")), metavar="3.10,3.14")
    parser.add_argument("--workers", default="auto", help="processes of each test run")
    return parser.parse_args()


def _interpreters(options: argparse.Namespace) -> list[interpreters.Interpreter]:
    """What is installed, and, if asked for, what can be had of the versions that are not."""
    present = interpreters.find()
    names = {one.name for one in present}
    pythons = ROOT / ".cache" / "pythons"
    known = debian_python.KNOWN | (debian_python.EXPERIMENTAL if options.experimental else {})
    for name, (suite, package) in known.items() if options.fetch else ():
        if name not in names and (not options.only or name in options.only):
            _add(package, lambda suite=suite, package=package: debian_python.fetch(suite, package, pythons / package))
    if options.build_free_threaded and not any(one.free_threaded for one in present):
        folder = pythons / f"python{free_threaded_python.VERSION}t"
        _add("a free-threaded build", lambda: free_threaded_python.fetch(folder))
    interpreters.find.cache_clear()
    found = interpreters.supported()
    wanted = [f"3.{minor}" for _, minor in interpreters.SUPPORTED]
    missing = [name for name in wanted if name not in {one.name for one in found}]
    missing += [] if any(one.free_threaded for one in found) else ["a free-threaded build"]
    print("found:", ", ".join(one.name for one in found))
    print("not found:", ", ".join(missing) or "none is missing", flush=True)
    return [*found, *(interpreters.experimental() if options.experimental else ())]


def _add(what: str, fetch: Callable[[], Path]) -> None:
    """Fetch one more interpreter, and have it found; say so if it cannot be had."""
    began = time.monotonic()
    try:
        path = str(fetch())
    except (debian_python.UnavailableError, subprocess.SubprocessError, OSError) as reason:
        print(f"{what} could not be had: {reason}", flush=True)
        return
    print(f"{what} is ready after {time.monotonic() - began:.0f} s", flush=True)
    known = os.environ.get("TEST_PYTHONS")
    os.environ["TEST_PYTHONS"] = os.pathsep.join(filter(None, [known, path]))


def _run_version(one: interpreters.Interpreter, options: argparse.Namespace) -> list[Outcome]:
    """Both modes of wrapt on one interpreter; the Python mode only for the tests that it can make a difference to."""
    began = time.monotonic()
    python, complete = _environment(one, options.wrapt)
    in_c, wrapt = _wrapt(python)
    print(f"   environment with wrapt {wrapt} ready after {time.monotonic() - began:.0f} s", flush=True)
    note = "" if complete else "host tests only: not every dependency has a build for it"
    outcomes = []
    if in_c:
        everything = complete and not options.host_only
        outcomes.append(_suite(one, python, "C", note, options.workers, host_only=not everything))
    if not in_c or not options.wrapt_in_python or one.name in options.wrapt_in_python:
        outcomes.append(_suite(one, python, "Python", note, options.workers, host_only=True))
    return outcomes


def _environment(one: interpreters.Interpreter, wrapt: str) -> tuple[Path, bool]:
    """The environment's interpreter, and whether all of the project's dependencies could be installed."""
    folder = ENVIRONMENTS / (one.name + (f"-wrapt-{wrapt}" if wrapt else ""))
    python, ready = folder / "bin" / "python", folder / ".ready"
    wanted = (ROOT / "pyproject.toml").read_text() + (ROOT / "agent" / "lastcall.pth").read_text()
    if ready.exists() and ready.read_text().partition("\n")[2] == wanted:
        return python, ready.read_text().startswith("complete")
    subprocess.run([one.path, "-m", "venv", "--without-pip", "--clear", folder], check=True, env=_plain())
    pinned = [f"wrapt=={wrapt}"] if wrapt else []
    complete = _pip(python, "--only-binary", COMPILED, *pinned, "--editable", f"{ROOT}[dev]")
    if not complete and not (
        _pip(python, "--only-binary", ":all:", *HOST_REQUIREMENTS, *pinned) and _pip(python, "--no-deps", "--editable", str(ROOT))
    ):
        sys.exit(f"cannot install even the host's dependencies on {one.name}")
    ready.write_text(("complete" if complete else "host") + "\n" + wanted)
    return python, complete


def _pip(python: Path, *arguments: str) -> bool:
    """Install into another interpreter's environment with our pip; not every interpreter brings its own."""
    pip = [_newest_pip(), "-m", "pip", "--python", str(python), "install", "--quiet", "--no-compile", "--disable-pip-version-check"]
    done = subprocess.run([*pip, *arguments], env=_plain(), capture_output=True, text=True)
    if done.returncode:
        print("   " + (done.stderr.strip().splitlines() or ["pip failed"])[-1], flush=True)
    return done.returncode == 0


@lru_cache(maxsize=1)
def _newest_pip() -> Path:
    """An interpreter with the newest pip: older ones fail on versions to come, and for a free-threaded build they
    take packages that were compiled for the others."""
    folder = ENVIRONMENTS / "pip"
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True, env=_plain())
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--upgrade", "pip"], check=True, env=_plain())
    return python


def _wrapt(python: Path) -> tuple[bool, str]:
    """Whether wrapt has its C extension there, and its version."""
    question = "import wrapt; print(type(wrapt.FunctionWrapper.__init__).__name__, wrapt.__version__)"
    done = subprocess.run([python, "-c", question], env=_plain(), capture_output=True, text=True, check=True)
    kind, version = done.stdout.split()
    return kind == "wrapper_descriptor", version


def _suite(
    one: interpreters.Interpreter, python: Path, wrapt: str, note: str, workers: str, *, host_only: bool
) -> Outcome:
    """One run of pytest."""
    files = [str(path) for pattern in HOST_TESTS for path in sorted((ROOT / "tests").glob(pattern))] if host_only else []
    environ = {**_plain(), **({"WRAPT_DISABLE_EXTENSIONS": "1"} if wrapt == "Python" else {})}
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        xml = Path(folder) / "junit.xml"
        pytest = [python, "-m", "pytest", "-q", "-o", "junit_family=xunit1", "--junit-xml", xml]
        command = [*pytest, "-n", workers, "-m", "not slow and not browser", *files]
        done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)
        passed, failed, skipped = _count(xml)
        broken = _broken(xml)
        if done.returncode and not failed:
            failed = 1  # it broke before or after the tests
        if failed:
            print(done.stdout[-6000:], done.stderr[-2000:], flush=True)
        if broken and len(broken) == failed <= MOST_UNSTEADY:
            xml.unlink()
            subprocess.run([*pytest, "-n", "0", *broken], cwd=ROOT, env=environ, capture_output=True)
            alone = _count(xml)[0]
            passed, failed = passed + alone, failed - alone
            still = _broken(xml) if xml.exists() else broken
            for test in broken:
                how = "again, alone" if test in still else "beside the others, on a machine with more to do than it can, and passed alone"
                print(f"   {test} failed {how}", flush=True)
    seconds = time.monotonic() - began
    print(f"   wrapt in {wrapt}: {passed} passed, {failed} failed, {skipped} skipped, {seconds:.0f} s", flush=True)
    experimental = one.version[:2] in interpreters.EXPERIMENTAL
    note = (note or ("host tests" if host_only else "all tests")) + (", not counted: experimental" if experimental else "")
    return Outcome(one.name, wrapt, passed, failed, skipped, seconds, note, experimental)


def _count(xml: Path) -> tuple[int, int, int]:
    """Tests passed, failed and skipped in a JUnit file; nothing if there is none."""
    if not xml.exists():
        return 0, 0, 0
    suite = ET.parse(xml).getroot()[0]
    total, failed, errors, skipped = (int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped"))
    return total - failed - errors - skipped, failed + errors, skipped


def _broken(xml: Path) -> list[str]:
    """The tests that failed, as pytest takes them."""
    if not xml.exists():
        return []
    cases = ET.parse(xml).getroot()[0].iter("testcase")
    return [f"{case.get('file')}::{case.get('name')}" for case in cases if case.find("failure") is not None]


def _print_table(outcomes: list[Outcome], chosen: list[interpreters.Interpreter]) -> None:
    print(f"\n{'Python':8} {'wrapt':8} {'passed':>7} {'failed':>7} {'skipped':>8} {'seconds':>8}")
    for one in outcomes:
        numbers = f"{one.passed:7} {one.failed:7} {one.skipped:8} {one.seconds:8.0f}"
        print(f"{one.name:8} {one.wrapt:8} {numbers}  {one.note}")
    ran = {one.name for one in outcomes}
    print("ran on:", ", ".join(one.name for one in chosen if one.name in ran))


def _plain() -> dict[str, str]:
    """The environment without what would steer the other interpreter."""
    return {name: value for name, value in os.environ.items() if not re.match("PYTHON|LASTCALL_(?!TEST_)|VIRTUAL_ENV", name)}


if __name__ == "__main__":
    sys.exit(main())
