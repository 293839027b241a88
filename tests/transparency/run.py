"""Other projects' own test suites, with and without the agent: no outcome may change.

    python tests/transparency/run.py                          every project, all three engines
    python tests/transparency/run.py --quick                  the part that continuous integration runs
    python tests/transparency/run.py attrs anyio --engines inplace

Every public callable of a project is armed by wildcard, so that its own suite runs through the agent thousands
of times. Each suite runs twice without the agent, and again with it if anything differs: what does not come
out the same twice is unsteady (tests of time, mostly), is left out, and is said. A positive control shows that something was armed and counted; without it a perfect
score may only mean that the agent never started.

The exit code is 0 if nothing changed and every control held. The last line is `N passed, N failed`: tests
compared with an equal outcome, and those with another one.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CACHE = ROOT / ".cache" / "transparency"
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
ENVIRONMENT = ROOT / ".venvs" / f"transparency-{VERSION}"
ENGINES = ("auto", "wrapping", "inplace")
SUITE_SECONDS = 900

Outcomes = dict[str, str]

_VARYING = r"0x[0-9a-f]{6,}|\d\d:\d\d:\d\d(\.\d+)?|\d\d-\d\d-\d{4}|\d{4}-\d\d-\d\d"


class UnusableSuiteError(Exception):
    """A suite that does not run even without the agent; the message says how it ended."""


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
    options: tuple[str, ...] = ()
    timing: tuple[str, ...] = ()
    """Tests of how much time passes, in microseconds, which no agent can leave as it was."""
    quick: bool = False

    @property
    def source(self) -> Path:
        """Where its source distribution is unpacked."""
        return CACHE / "source" / f"{self.name}-{self.version}"

    @property
    def site(self) -> Path:
        """Where it is installed, apart from everything else."""
        return CACHE / f"site-{VERSION}" / f"{self.name}-{self.version}"

    @property
    def targets(self) -> str:
        """Every function, class and method that it has, by wildcard."""
        return ",".join(f"{module}.**:{names}" for module in self.modules for names in ("*", "*.*"))


@dataclass
class Comparison:
    """One project under one engine."""

    project: Project
    engine: str
    compared: int
    changed: dict[str, tuple[str, str]]
    unsteady: int
    armed: int
    not_armed: Counter[str]
    uses: int
    seconds: float
    problems: list[str] = field(default_factory=list)


def main() -> int:
    options = _options()
    projects = [one for one in _projects() if _wanted(one, options)]
    prepare_environment(projects)
    comparisons: list[Comparison] = []
    unusable = 0
    for project in projects:
        unpack_and_install(project)
        try:
            plain, unsteady = _without(project)
        except UnusableSuiteError as reason:
            print(f"{project.name} {project.version}: {reason}", flush=True)
            unusable += 1
            continue
        comparisons += [_with(project, engine, plain, unsteady) for engine in options.engines]
    _print_summary(comparisons)
    changed = unusable + sum(len(one.changed) + len(one.problems) for one in comparisons)
    print(f"{sum(one.compared - len(one.changed) for one in comparisons)} passed, {changed} failed")
    return 1 if changed or not comparisons else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("projects", nargs="*", help="their names; all if none is given")
    parser.add_argument("--engines", type=lambda text: tuple(text.split(",")), default=ENGINES)
    parser.add_argument("--quick", action="store_true")
    return parser.parse_args()


def _projects() -> list[Project]:
    tables = tomllib.loads((HERE / "packages.toml").read_text(encoding="utf-8"))
    made = []
    for name, table in tables.items():
        values = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
        made.append(Project(name=name, **values))
    return made


def _wanted(project: Project, options: argparse.Namespace) -> bool:
    if options.projects:
        return project.name in options.projects
    return project.quick or not options.quick


# -- preparing ----------------------------------------------------------------------------------------


def prepare_environment(projects: list[Project]) -> None:
    """An environment with Lastcall, pytest and what the suites need; a suite whose needs are missing fails loudly."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # What a user installs, as it is at this moment: the checkout may change under a run of half an hour.
    subprocess.run([*pip, "--no-deps", "--force-reinstall", ROOT], check=True)
    needs = sorted({need for project in projects for need in project.needs})
    wanted = "\n".join(["pytest", *needs])
    ready = ENVIRONMENT / ".ready"
    if ready.exists() and set(wanted.splitlines()) <= set(ready.read_text().splitlines()):
        return
    print(f"installing {len(needs)} packages that the suites need", flush=True)
    subprocess.run([*pip, ROOT, "pytest", "pytest-timeout", *needs], check=True)
    ready.write_text(wanted)


def unpack_and_install(project: Project) -> None:
    """Download, check and unpack the source distribution, and install it from there. Raises on a wrong digest."""
    if project.site.exists() and project.source.exists():
        return
    archive = _download(project)
    shutil.rmtree(project.source, ignore_errors=True)
    temporary = project.source.with_suffix(".unpacking")
    shutil.rmtree(temporary, ignore_errors=True)
    with tarfile.open(archive) as tar:
        tar.extractall(temporary, filter="data")
    (top,) = temporary.iterdir()
    top.rename(project.source)
    temporary.rmdir()
    pip = [ENVIRONMENT / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", "--no-compile", "--target", project.site, archive], check=True)


def _download(project: Project) -> Path:
    """The source distribution, checked against requirements.txt by pip itself."""
    folder = CACHE / "download" / project.name
    pin = next(
        line for line in (HERE / "requirements.txt").read_text().replace("\\\n", " ").splitlines()
        if line.startswith(f"{project.name}=={project.version} ")
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    pinned = folder / "requirements.txt"
    pinned.write_text(pin + "\n")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command = [*pip, "--no-binary", ":all:", "--require-hashes", "--dest", folder, "-r", pinned]
    subprocess.run(command, check=True)
    (archive,) = folder.glob("*.tar.gz")
    return archive


# -- running ------------------------------------------------------------------------------------------


def _without(project: Project) -> tuple[Outcomes, set[str]]:
    """The outcomes without the agent, and the tests that do not come out the same twice."""
    (first, broken), (second, broken_again) = (_suite(project, f"plain-{turn}", {}) for turn in (1, 2))
    if broken or broken_again:
        raise UnusableSuiteError(f"without the agent the run {broken or broken_again}")
    unsteady = {test for test in {*first, *second} if first.get(test) != second.get(test)} | set(project.timing)
    return {test: outcome for test, outcome in first.items() if test not in unsteady}, unsteady


def _with(project: Project, engine: str, plain: Outcomes, unsteady: set[str]) -> Comparison:
    """The same suite under the agent, compared test by test."""
    store = CACHE / "runs" / f"{project.name}-{engine}" / "store.db"
    shutil.rmtree(store.parent, ignore_errors=True)
    agent = {
        "LASTCALL_ENABLED": "1",
        "LASTCALL_ENGINE": engine,
        "LASTCALL_TARGETS": project.targets,
        "LASTCALL_STORE": str(store),
        "LASTCALL_MAX_SITES": "200000",
        "LASTCALL_SERVICE": project.name,
    }
    began = time.monotonic()
    outcomes, broken = _suite(project, engine, agent)
    changed = _changes(plain, outcomes, unsteady)
    seconds = time.monotonic() - began
    states, uses = _control(store)
    if changed and not broken:
        # As without the agent, a test that does not come out the same twice is unsteady, and named as such.
        outcomes, broken = _suite(project, f"{engine}-again", agent)
        again = _changes(plain, outcomes, unsteady)
        passing = {test: outcome for test, outcome in changed.items() if test not in again}
        changed = {test: outcome for test, outcome in changed.items() if test in again}
        for test, (before, after) in passing.items():
            print(f"    {test}: {before} -> {after} in one of two runs with the agent", flush=True)
        unsteady = unsteady | set(passing)
    result = Comparison(
        project, engine, len(plain), changed, len(unsteady), states["armed"] + states["partial"],
        Counter({state: n for state, n in states.items() if state not in ("armed", "partial")}), uses, seconds,
    )  # fmt: skip
    if broken:
        result.problems.append(f"the run with the agent {broken}")
    if result.armed < project.armed or uses < project.uses:
        wanted = f"{project.armed} armed and {project.uses} uses"
        result.problems.append(f"control failed: {result.armed} armed and {uses} uses, at least {wanted} were expected")
    if len(plain) < 5:
        result.problems.append(f"the suite has only {len(plain)} steady tests: it did not run")
    _print_comparison(result)
    return result


def _changes(plain: Outcomes, seen: Outcomes, unsteady: set[str]) -> dict[str, tuple[str, str]]:
    """Tests whose outcome differs, with both outcomes."""
    return {
        test: (plain.get(test, "not run"), seen.get(test, "not run"))
        for test in sorted({*plain, *seen} - unsteady)
        if plain.get(test) != seen.get(test)
    }


def _suite(project: Project, label: str, agent: dict[str, str]) -> tuple[Outcomes, str]:
    """Run the project's tests once; each test's outcome by its name, and what was wrong with the run as a whole."""
    folder = CACHE / "runs" / f"{project.name}-{label}"
    folder.mkdir(parents=True, exist_ok=True)
    xml = folder / "junit.xml"
    xml.unlink(missing_ok=True)
    command = [
        ENVIRONMENT / "bin" / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:lastcall",
        "-p", "timeout", "--timeout=120",
        "--continue-on-collection-errors", f"--junit-xml={xml}", f"--basetemp={folder / 'tmp'}",
        *project.options, *(["-p", "_hypothesis_pytestplugin", "--hypothesis-seed=0"] if "hypothesis" in project.needs else []),
        *project.tests,
    ]  # fmt: skip
    environ = {name: value for name, value in os.environ.items() if not re.match("PYTHON|LASTCALL_|PYTEST", name)}
    environ |= {
        "PYTHONPATH": str(project.site),
        "PYTHONHASHSEED": "0",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "NO_COLOR": "1",
        **agent,
    }
    with (folder / "output.txt").open("w") as output:
        try:
            code = subprocess.run(
                command, cwd=project.source, env=environ, stdout=output, stderr=output, timeout=SUITE_SECONDS
            ).returncode
        except subprocess.TimeoutExpired:
            return _read(xml), f"was stopped after {SUITE_SECONDS} s"
    # pytest's 0 and 1 are a complete run; 2 is one in which a file could not be imported, here as ever.
    complete = code in (0, 1, 2) and xml.exists()
    return _read(xml), "" if complete else f"ended with exit code {code}, see {folder / 'output.txt'}"


def _read(xml: Path) -> Outcomes:
    """Each test's outcome. Addresses and times in generated names differ from run to run and are taken out."""
    if not xml.exists():
        return {}
    outcomes: Outcomes = {}
    for case in ET.parse(xml).iter("testcase"):
        name = re.sub(_VARYING, "*", f"{case.get('classname')}::{case.get('name')}")
        while name in outcomes:
            name += "'"
        kinds = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        outcomes[name] = kinds[0] if kinds else "passed"
    return outcomes


def _control(store: Path) -> tuple[Counter[str], int]:
    """How many targets are in each state, and how many uses were counted, by the report's own account."""
    command = [ENVIRONMENT / "bin" / "python", "-m", "lastcall", "report", "--format", "json"]
    environ = {**os.environ, "LASTCALL_STORE": str(store), "LASTCALL_ENABLED": ""}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"lastcall report: {done.stderr.strip()}", file=sys.stderr)
        return Counter(), 0
    report = json.loads(done.stdout)
    # the wildcards themselves are no callables
    states = Counter(target["state"] for target in report["targets"] if "*" not in target["target"])
    return states, sum(use["count"] for use in report["uses"])


# -- saying it ----------------------------------------------------------------------------------------


def _print_comparison(one: Comparison) -> None:
    head = f"{one.project.name} {one.project.version}, {one.engine}"
    print(f"{head}: {one.compared} tests compared, {len(one.changed)} changed, {one.armed} callables armed, "
          f"{one.uses} uses counted, {one.seconds:.0f} s", flush=True)
    for test, (before, after) in list(one.changed.items())[:20]:
        print(f"    {test}: {before} -> {after}")
    for problem in one.problems:
        print(f"    {problem}")
    if one.changed:
        print(f"    see {CACHE / 'runs' / (one.project.name + '-' + one.engine) / 'output.txt'}", flush=True)


def _print_summary(comparisons: list[Comparison]) -> None:
    print(f"\n{'project':16} {'engine':9} {'tests':>6} {'changed':>8} {'unsteady':>9} {'armed':>6} {'uses':>9}  not armed")
    for one in comparisons:
        states = ", ".join(f"{n} {state}" for state, n in one.not_armed.most_common())
        name = f"{one.project.name:16} {one.engine:9}"
        print(f"{name} {one.compared:6} {len(one.changed):8} {one.unsteady:9} {one.armed:6} {one.uses:9}  {states}")
    for engine in dict.fromkeys(one.engine for one in comparisons):
        rows = [one for one in comparisons if one.engine == engine]
        print(f"{engine}: {sum(len(one.changed) for one in rows)} of {sum(one.compared for one in rows)} outcomes changed, "
              f"{sum(one.armed for one in rows)} callables armed, {sum(one.uses for one in rows)} uses counted")


if __name__ == "__main__":
    sys.exit(main())
