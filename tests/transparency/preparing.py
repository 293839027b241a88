"""What a transparency run needs: the projects, an environment for each interpreter, and the projects' sources."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

if sys.version_info >= (3, 11):
    import tomllib
else:
    from pip._vendor import tomli as tomllib

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CACHE = ROOT / ".cache" / "transparency"
ENVIRONMENTS = ROOT / ".venvs"

sys.path.insert(0, str(HERE.parent))

import interpreters  # noqa: E402 - found by the line above

# What the agent and its report import. The exporters' libraries stay away: not every interpreter has builds of them.
AGENT_NEEDS = (
    "wrapt>=1.17,!=2.2.0", "bytecode>=0.16; python_version < '3.12'", "tomli>=2; python_version < '3.11'",
    "typer", "rich", "tomlkit", "griffe",
)  # fmt: skip
PYTEST = ("pytest", "pytest-timeout")


@dataclass(frozen=True)
class Project:
    """One entry of packages.toml."""

    name: str
    version: str
    modules: tuple[str, ...]
    tests: tuple[str, ...]
    why: str
    armed: int
    uses: int
    needs: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    """What it wants in a version that the other projects do not: installed with it alone."""
    options: tuple[str, ...] = ()
    timing: tuple[str, ...] = ()
    """Tests of how much time passes, in microseconds, which no agent can leave as it was."""
    known: tuple[str, ...] = ()
    """Tests whose outcome does change, on some versions, and why is said in docs/transparency.md."""
    variables: tuple[str, ...] = ()
    """What its suite wants in the environment: `NAME=value`."""
    oldest: str = "3.10"
    """The first Python on which the entry makes sense, where the project itself runs on older ones."""
    package: str = ""
    """Its name where the entry's is another: one suite under two settings."""
    quick: bool = False

    @property
    def release(self) -> str:
        """The package and its version, as files and folders are named."""
        return f"{self.package or self.name}-{self.version}"

    @property
    def source(self) -> Path:
        """Where its source distribution is unpacked."""
        return CACHE / "source" / self.release

    @property
    def targets(self) -> str:
        """Every function, class and method that it has, by wildcard."""
        return ",".join(f"{module}.**:{names}" for module in self.modules for names in ("*", "*.*"))


@dataclass(frozen=True)
class Bench:
    """The interpreter that the suites run on, and where everything of it lies."""

    interpreter: interpreters.Interpreter
    kind: str = "transparency"

    @property
    def python(self) -> Path:
        """Its environment's interpreter."""
        return ENVIRONMENTS / f"{self.kind}-{self.interpreter.name}" / "bin" / "python"

    @property
    def runs(self) -> Path:
        """Where the runs leave their outcomes and their output."""
        return CACHE / f"runs-{self.interpreter.name}"

    def site(self, project: Project) -> Path:
        """Where a project is installed, apart from everything else."""
        return CACHE / f"site-{self.interpreter.name}" / project.release


class UnusableSuiteError(Exception):
    """A suite that does not run even without the agent; the message says why."""


class OtherPythonError(Exception):
    """A project that is not for this version of Python; the message says which it wants."""


def bench(python: str, kind: str = "transparency") -> Bench:
    """The interpreter at `python`. Exits if it does not run."""
    found = interpreters.ask(python)
    if found is None:
        sys.exit(f"{python} is no CPython that runs, or one of a virtual environment")
    return Bench(found, kind)


def newest_installed() -> str:
    """The newest supported interpreter here from 3.12 on, where watching in place is `sys.monitoring`. Exits without one."""
    found = [one for one in interpreters.supported() if one.version[:2] >= (3, 12) and not one.free_threaded]
    unpacked = sorted((ROOT / ".cache" / "pythons").glob("python3.??/usr/bin/python3.??"))
    candidates = [*found, *filter(None, (interpreters.ask(str(path)) for path in unpacked))]
    known = [one for one in candidates if one.version[:2] in interpreters.SUPPORTED]
    if not known:
        print("no Python 3.12 or newer is here: nothing was compared on one")
        sys.exit(0)
    return max(known, key=lambda one: one.version).path


def projects() -> list[Project]:
    """Those of packages.toml."""
    tables = tomllib.loads((HERE / "packages.toml").read_text(encoding="utf-8"))
    made = []
    for name, table in tables.items():
        values = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
        made.append(Project(name=name, **values))
    return made


def prepare_environment(where: Bench, wanted: list[Project]) -> None:
    """An environment with Lastcall, pytest and what the suites need."""
    if not where.python.exists():
        folder = where.python.parent.parent
        subprocess.run([where.interpreter.path, "-m", "venv", "--without-pip", folder], check=True, env=_plain())
    # What a user installs, as it is at this moment: the checkout may change under a run of half an hour.
    pip_install(where, "--no-deps", "--force-reinstall", str(ROOT), check=True)
    needs = {need for project in wanted for need in project.needs}
    ready = where.python.parent.parent / ".ready"
    there = set(ready.read_text().splitlines()) if ready.exists() else set()
    new = sorted({*AGENT_NEEDS, *PYTEST, *needs} - there)
    if not new:
        return
    print(f"installing {len(new)} packages that the suites need", flush=True)
    # where little is built for an interpreter, an older release that is beats a newest one that would have to be compiled
    built = ("--only-binary", ":all:") if where.interpreter.free_threaded else ()
    if not pip_install(where, *built, *new):
        # one without a build for this interpreter must not cost the others; its suite says what it lacks
        new = [need for need in new if pip_install(where, *built, need)]
    ready.write_text("\n".join(sorted({*there, *new})))


def pip_install(where: Bench, *arguments: str, check: bool = False) -> bool:
    """Install into the environment with another interpreter's pip: not every one brings its own."""
    pip = [_newest_pip(), "-m", "pip", "--python", str(where.python), "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, *arguments], env=_plain(), capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
        print(f"    {last}", flush=True)
        if check:
            sys.exit(f"cannot install {arguments[-1]}")
    return done.returncode == 0


@lru_cache(maxsize=1)
def _newest_pip() -> Path:
    """An interpreter with the newest pip: older ones take packages for a free-threaded build that are not for it."""
    python = ENVIRONMENTS / "transparency-pip" / "bin" / "python"
    if not (python.parent / ".ready").exists():
        candidates = [sys.executable, *(one.path for one in interpreters.supported())]
        base = next((path for path in candidates if _has_pip(path)), None)
        if base is None:
            sys.exit("no interpreter here has ensurepip, from which pip could be had")
        subprocess.run([base, "-m", "venv", "--clear", python.parent.parent], check=True, env=_plain())
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--upgrade", "pip"], check=True, env=_plain())
        (python.parent / ".ready").touch()
    return python


def _has_pip(path: str) -> bool:
    return not subprocess.run([path, "-c", "import ensurepip"], env=_plain(), capture_output=True).returncode


def unpack_and_install(where: Bench, project: Project) -> None:
    """Download, check and unpack the source distribution, and install it from there.

    Exits on a wrong digest. Raises OtherPythonError, and UnusableSuiteError if it cannot be built.
    """
    archive = _download(project)
    if not project.source.exists():
        temporary = project.source.with_suffix(f".unpacking-{os.getpid()}")
        with tarfile.open(archive) as tar:
            tar.extractall(temporary, filter="data")
        (top,) = temporary.iterdir()
        top.rename(project.source)
        temporary.rmdir()
    # suites that have no settings of their own would find ours, further up, and take warnings for errors
    (project.source.parent / "pytest.ini").write_text("[pytest]\n")
    information = (project.source / "PKG-INFO").read_text(encoding="utf-8", errors="replace")
    required = re.search(r"^Requires-Python: .*?>=?\s*3\.(\d+)", information, re.MULTILINE)
    oldest = max(int(project.oldest.partition(".")[2]), int(required[1]) if required else 0)
    if oldest > where.interpreter.version[1]:
        raise OtherPythonError(f"it is for Python 3.{oldest} and newer")
    site = where.site(project)
    if not (site / ".complete").exists():
        shutil.rmtree(site, ignore_errors=True)
        if not pip_install(where, "--no-deps", "--no-compile", "--target", str(site), str(archive), *project.beside):
            raise UnusableSuiteError("it could not be installed")
        (site / ".complete").touch()


def _download(project: Project) -> Path:
    """The source distribution, checked against requirements.txt by pip itself."""
    folder = CACHE / "download" / project.release
    archives = list(folder.glob("*.tar.gz"))
    if archives:
        return archives[0]
    pin = next(
        line for line in (HERE / "requirements.txt").read_text().replace("\\\n", " ").splitlines()
        if line.startswith(f"{project.package or project.name}=={project.version} ")
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    pinned = folder / "requirements.txt"
    pinned.write_text(pin + "\n")
    pip = [_newest_pip(), "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command = [*pip, "--no-binary", project.package or project.name, "--require-hashes", "--dest", folder, "-r", pinned]
    subprocess.run(command, check=True, env=_plain())
    (archive,) = folder.glob("*.tar.gz")
    return archive


class Recorded(NamedTuple):
    """What the report says of a run."""

    states: Counter[str]
    """How many targets are in each state."""
    uses: int
    own_faults: Counter[str]
    """What Lastcall failed at or dropped, by its name."""


def recorded(where: Bench, store: Path) -> Recorded:
    """What was armed and counted, and what went wrong, by the report's own account."""
    command = [where.python, "-m", "lastcall", "report", "--format", "json"]
    environ = {**os.environ, "LASTCALL_STORE": str(store), "LASTCALL_ENABLED": ""}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"lastcall report: {done.stderr.strip()}", file=sys.stderr)
        return Recorded(Counter(), 0, Counter())
    report = json.loads(done.stdout)
    # the wildcards themselves are no callables
    states = Counter(target["state"] for target in report["targets"] if "*" not in target["target"])
    own_faults: Counter[str] = Counter()
    for fault in report["internal_errors"]:
        own_faults[f"{fault['kind']} {fault['name']}"] += fault["count"]
    return Recorded(states, sum(use["count"] for use in report["uses"]), own_faults)


def _plain() -> dict[str, str]:
    """The environment without what would steer the other interpreter."""
    return {name: value for name, value in os.environ.items() if not re.match("PYTHON|LASTCALL_|VIRTUAL_ENV", name)}
