"""Other projects' own test suites, with and without the agent: no outcome may change.

    python tests/transparency/run.py                          every project, all three engines
    python tests/transparency/run.py --quick                  the part that continuous integration runs
    python tests/transparency/run.py attrs anyio --engines inplace
    python tests/transparency/run.py --python python3.13       on another interpreter than this one
    python tests/transparency/run.py --newest marshmallow      on the newest one that is here, if it is 3.12 or newer
    python tests/transparency/run.py click --discover          with deprecation warnings, log records and PEP 702 watched too

Every public callable of a project is armed by wildcard, so that its own suite runs through the agent thousands
of times. Each suite runs twice without the agent, and again with it if anything differs: what does not come
out the same twice is unsteady (tests of time, mostly), is left out, and is said. A positive control shows that something was armed and counted; without it a perfect
score may only mean that the agent never started.

The exit code is 0 if nothing changed but what docs/transparency.md explains, and every control held. The last line is `N passed, N failed`: tests
compared with an equal outcome, and those with another one.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

import preparing
from preparing import Bench, OtherPythonError, Project, UnusableSuiteError

ENGINES = ("auto", "wrapping", "inplace")
SUITE_SECONDS = 900

Outcomes = dict[str, str]

_VARYING = r"0x[0-9a-f]{6,}|\d\d:\d\d:\d\d(\.\d+)?|\d\d-\d\d-\d{4}|\d{4}-\d\d-\d\d"


@dataclass(frozen=True)
class Plain:
    """A project's suite without the agent."""

    outcomes: Outcomes
    unsteady: frozenset[str]
    """Tests that do not come out the same twice."""
    seconds: float
    """Of the quicker of its two runs."""


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
    plain_seconds: float
    own_faults: Counter[str]
    """What the agent itself failed at or dropped. It changes no outcome, but each one is to be understood."""
    problems: list[str] = field(default_factory=list)

    @property
    def unexpected(self) -> list[str]:
        """What changed and is not among the differences that docs/transparency.md explains."""
        return [test for test in self.changed if not test.endswith(self.project.known)]


def main() -> int:
    # A shell starts what runs in its background with SIGINT ignored. Tests that interrupt themselves would spin until they are stopped.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    options = _options()
    where = preparing.bench(preparing.newest_installed() if options.newest else options.python)
    print(f"on Python {'.'.join(map(str, where.interpreter.version))}"
          f"{', free-threaded' if where.interpreter.free_threaded else ''} ({where.interpreter.path})", flush=True)
    projects = [one for one in preparing.projects() if _wanted(one, options)]
    preparing.prepare_environment(where, projects)
    comparisons: list[Comparison] = []
    unusable = 0
    for project in projects:
        try:
            preparing.unpack_and_install(where, project)
            plain = _without(where, project)
        except OtherPythonError as reason:
            print(f"{project.name} {project.version}: left out, {reason}", flush=True)
            continue
        except UnusableSuiteError as reason:
            print(f"{project.name} {project.version}: {reason}", flush=True)
            unusable += 1
            continue
        comparisons += [_with(where, project, engine, plain, options.discover) for engine in options.engines]
    _print_summary(comparisons)
    changed = unusable + sum(len(one.unexpected) + len(one.problems) for one in comparisons)
    print(f"{sum(one.compared - len(one.changed) for one in comparisons)} passed, {changed} failed")
    return 1 if changed or not comparisons else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("projects", nargs="*", help="their names; all if none is given")
    parser.add_argument("--python", default=getattr(sys, "_base_executable", sys.executable), help="the interpreter to run the suites on")
    parser.add_argument("--newest", action="store_true", help="the newest interpreter from 3.12 on that is here")
    parser.add_argument("--engines", type=lambda text: tuple(text.split(",")), default=ENGINES)
    parser.add_argument("--discover", action="store_true", help="let the agent look for deprecations too, as [discover] does")
    parser.add_argument("--quick", action="store_true")
    return parser.parse_args()


def _wanted(project: Project, options: argparse.Namespace) -> bool:
    if options.projects:
        return project.name in options.projects
    return project.quick or not options.quick


# -- running ------------------------------------------------------------------------------------------


def _without(where: Bench, project: Project) -> Plain:
    """Both runs without the agent."""
    began = _cpu_seconds()
    first, broken = _suite(where, project, "plain-1", {})
    between = _cpu_seconds()
    second, broken_again = _suite(where, project, "plain-2", {})
    seconds = min(between - began, _cpu_seconds() - between)
    if broken or broken_again:
        raise UnusableSuiteError(f"without the agent the run {broken or broken_again}")
    unsteady = {test for test in {*first, *second} if first.get(test) != second.get(test)} | set(project.timing)
    steady = {test: outcome for test, outcome in first.items() if test not in unsteady}
    failing = sum(outcome in ("failure", "error") for outcome in steady.values())
    if 2 * failing > len(steady):
        raise UnusableSuiteError(f"without the agent {failing} of {len(steady)} tests fail, see {where.runs}")
    return Plain(steady, frozenset(unsteady), seconds)


def _with(where: Bench, project: Project, engine: str, plain: Plain, discover: bool) -> Comparison:
    """The same suite under the agent, compared test by test."""
    store = where.runs / f"{project.name}-{engine}" / "store.db"
    shutil.rmtree(store.parent, ignore_errors=True)
    agent = {
        "LASTCALL_ENABLED": "1",
        "LASTCALL_ENGINE": engine,
        "LASTCALL_TARGETS": project.targets,
        "LASTCALL_STORE": str(store),
        "LASTCALL_MAX_SITES": "200000",
        "LASTCALL_SERVICE": project.name,
    }
    if discover:
        agent |= {
            "LASTCALL_DISCOVER_PEP702": ",".join(f"{module}.**" for module in project.modules),
            "LASTCALL_DISCOVER_WARNINGS": "DeprecationWarning,PendingDeprecationWarning,FutureWarning",
            "LASTCALL_DISCOVER_LOGS": "deprecated",
        }
    began, unsteady = _cpu_seconds(), plain.unsteady
    outcomes, broken = _suite(where, project, engine, agent)
    changed = _changes(plain.outcomes, outcomes, unsteady)
    seconds = _cpu_seconds() - began
    states, uses, own_faults = preparing.recorded(where, store)
    if changed and not broken:
        # As without the agent, a test that does not come out the same twice is unsteady, and named as such.
        outcomes, broken = _suite(where, project, f"{engine}-again", agent)
        again = _changes(plain.outcomes, outcomes, unsteady)
        passing = {test: outcome for test, outcome in changed.items() if test not in again}
        changed = {test: outcome for test, outcome in changed.items() if test in again}
        for test, (before, after) in passing.items():
            print(f"    {test}: {before} -> {after} in one of two runs with the agent", flush=True)
        unsteady = unsteady | set(passing)
    result = Comparison(
        project, engine, len(plain.outcomes), changed, len(unsteady), states["armed"] + states["partial"],
        Counter({state: n for state, n in states.items() if state not in ("armed", "partial")}), uses, seconds,
        plain.seconds, own_faults,
    )  # fmt: skip
    if broken:
        result.problems.append(f"the run with the agent {broken}")
    if result.armed < project.armed or uses < project.uses:
        wanted = f"{project.armed} armed and {project.uses} uses"
        result.problems.append(f"control failed: {result.armed} armed and {uses} uses, at least {wanted} were expected")
    if len(plain.outcomes) < 5:
        result.problems.append(f"the suite has only {len(plain.outcomes)} steady tests: it did not run")
    _print_comparison(where, result)
    return result


def _cpu_seconds() -> float:
    """What the suites have used up to now; of two runs' wall clocks nothing can be said on a busy machine."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _changes(plain: Outcomes, seen: Outcomes, unsteady: frozenset[str]) -> dict[str, tuple[str, str]]:
    """Tests whose outcome differs, with both outcomes."""
    return {
        test: (plain.get(test, "not run"), seen.get(test, "not run"))
        for test in sorted({*plain, *seen} - unsteady)
        if plain.get(test) != seen.get(test)
    }


def _suite(where: Bench, project: Project, label: str, agent: dict[str, str]) -> tuple[Outcomes, str]:
    """Run the project's tests once; each test's outcome by its name, and what was wrong with the run as a whole."""
    folder = where.runs / f"{project.name}-{label}"
    folder.mkdir(parents=True, exist_ok=True)
    # not below our own pyproject.toml, which suites of tools would find and obey
    temporary = Path(tempfile.gettempdir()) / f"{where.runs.name}-{project.name}-{label}"
    xml = folder / "junit.xml"
    xml.unlink(missing_ok=True)
    command = [
        where.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:lastcall",
        "-p", "timeout", "--timeout=120",
        "--continue-on-collection-errors", f"--junit-xml={xml}", f"--basetemp={temporary}",
        *project.options, *(["-p", "_hypothesis_pytestplugin", "--hypothesis-seed=0"] if "hypothesis" in project.needs else []),
        *project.tests,
    ]  # fmt: skip
    environ = {name: value for name, value in os.environ.items() if not re.match("PYTHON|LASTCALL_|PYTEST", name)}
    environ |= {
        "PYTHONPATH": str(where.site(project)),
        "PYTHONHASHSEED": "0",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "NO_COLOR": "1",
        **dict(variable.split("=", 1) for variable in project.variables),
        **agent,
    }
    with (folder / "output.txt").open("w") as output:
        try:
            code = subprocess.run(
                command, cwd=project.source, env=environ, stdout=output, stderr=output, timeout=SUITE_SECONDS
            ).returncode
        except subprocess.TimeoutExpired:
            return _read(xml), f"was stopped after {SUITE_SECONDS} s"
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
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


# -- saying it ----------------------------------------------------------------------------------------


def _print_comparison(where: Bench, one: Comparison) -> None:
    head = f"{one.project.name} {one.project.version}, {one.engine}"
    print(f"{head}: {one.compared} tests compared, {len(one.changed)} changed, {one.armed} callables armed, "
          f"{one.uses} uses counted, {one.seconds:.0f} s of CPU against {one.plain_seconds:.0f} s", flush=True)
    for test, (before, after) in list(one.changed.items())[:20]:
        print(f"    {test}: {before} -> {after}{'' if test in one.unexpected else ' (known)'}")
    for problem in one.problems:
        print(f"    {problem}")
    for fault, times in sorted(one.own_faults.items()):
        print(f"    the agent's own: {fault}, {times}")
    if one.changed:
        print(f"    see {where.runs / (one.project.name + '-' + one.engine) / 'output.txt'}", flush=True)


def _print_summary(comparisons: list[Comparison]) -> None:
    print(f"\n{'project':16} {'engine':9} {'tests':>6} {'changed':>8} {'unsteady':>9} {'armed':>6} {'uses':>9} {'CPU':>5}  not armed")
    for one in comparisons:
        states = ", ".join(f"{n} {state}" for state, n in one.not_armed.most_common())
        name = f"{one.project.name:16} {one.engine:9}"
        print(f"{name} {one.compared:6} {len(one.changed):8} {one.unsteady:9} {one.armed:6} {one.uses:9} {one.seconds / max(one.plain_seconds, 0.1):5.2f}  {states}")
    for engine in dict.fromkeys(one.engine for one in comparisons):
        rows = [one for one in comparisons if one.engine == engine]
        print(f"{engine}: {sum(len(one.changed) for one in rows)} of {sum(one.compared for one in rows)} outcomes changed, "
              f"{sum(one.armed for one in rows)} callables armed, {sum(one.uses for one in rows)} uses counted")


if __name__ == "__main__":
    sys.exit(main())
