"""The standard library's own tests of tracing, frames, warnings, garbage, pickling: with and without the agent.

    python tests/transparency/standard_library.py                             on this interpreter
    python tests/transparency/standard_library.py --python python3.13 test_monitoring test_pdb

Each test file runs in a process of its own in which the agent is on and a few targets of a small application are
armed and used, by every engine at once; the tests' child processes start the agent too. What the library's tests
ask for is the interpreter's own state (the trace function, monitoring tools, what the collector finds, the warning
filters), which an agent shares with its host. Outcomes are compared test by test with a process without the agent.

The exit code is 0 if nothing changed but what docs/transparency.md explains. The last line is `N passed, N failed`.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import preparing
from preparing import Bench

TESTS = (
    "test_monitoring", "test_sys_settrace", "test_sys_setprofile", "test_pdb", "test_bdb", "test_trace", "test_profile",
    "test_cprofile", "test_warnings", "test_traceback", "test_frame", "test_gc", "test_weakref", "test_pickle", "test_copy",
    "test_inspect", "test_functools", "test_dis", "test_code", "test_generators", "test_coroutines", "test_types",
    "test_sys", "test_threading", "test_fork1", "test_atexit", "test_import", "test_importlib", "test_runpy", "test_site",
    "test_cmd_line", "test_audit", "test_tracemalloc", "test_faulthandler", "test_doctest", "test_contextlib",
    "test_type_annotations", "test_annotationlib", "test_typing", "test_dataclasses", "test_enum", "test_signal",
)  # fmt: skip
FILE_SECONDS = 300
KNOWN = ("test_trace.TestCoverage.test_coverage_ignore", "test_trace as a whole")
"""What does differ: a trace function that is set while the host imports meets our finder. See docs/transparency.md."""

APPLICATION = '''
"""Armed by the agent: a function, a coroutine function, a generator, methods, constructors, a property, a name."""

def function(value=1):
    return value

async def coroutine():
    return 1

def generator():
    yield 1

def traced(value):
    return [value + n for n in range(2)]

class Thing:
    def __init__(self):
        self.held = 1

    def method(self):
        return self.held

    @classmethod
    def made(cls):
        return cls()

    @property
    def length(self):
        return 1

Alias = Thing
CAPTURED = [traced]  # held before arming: watched in place


def use():
    import legacy_application as app

    app.function(), list(app.generator()), app.traced(1), CAPTURED[0](2)
    thing = app.Thing.made()
    thing.method(), thing.length, app.Alias()
    step = app.coroutine()
    try:
        step.send(None)
    except StopIteration:
        pass
'''
TARGETS = (
    "function", "coroutine", "generator", "traced", "Thing", "Thing.method", "Thing.made", "Thing.length", "Alias",
)  # fmt: skip
PROGRAM = """
import os, sys
sys.path.insert(0, sys.argv.pop(1))
import legacy_application
sys.path.pop(0)
legacy_application.use()
from test.libregrtest.main import main
main()
"""

Outcomes = dict[str, str]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tests", nargs="*", default=TESTS)
    parser.add_argument("--python", default=getattr(sys, "_base_executable", sys.executable))
    options = parser.parse_args()
    where = preparing.bench(options.python, "standard-library")
    preparing.prepare_environment(where, [])
    folder = where.runs / "standard-library"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "application").mkdir(parents=True)
    (folder / "application" / "legacy_application.py").write_text(APPLICATION)
    compared = changed = 0
    for test in options.tests:
        if not _exists(where, test):
            print(f"{test}: not in this Python", flush=True)
            continue
        differing, equal = _compare(where, folder, test)
        compared += equal + len(differing)
        changed += sum(not name.endswith(KNOWN) for name in differing)
    uses = preparing.recorded(where, folder / "store.db").uses
    print(f"control: {uses} uses of the application's targets counted", flush=True)
    print(f"{compared - changed} passed, {changed + (uses == 0)} failed")
    return 1 if changed or not compared or not uses else 0


def _exists(where: Bench, test: str) -> bool:
    code = f"import importlib.util as u, sys; sys.exit(u.find_spec('test.{test}') is None)"
    return not subprocess.run([where.python, "-c", code], capture_output=True).returncode


def _compare(where: Bench, folder: Path, test: str) -> tuple[dict[str, tuple[str, str]], int]:
    """What differs of one test file, and how many of its tests do not."""
    agent = {
        "LASTCALL_ENABLED": "1",
        "LASTCALL_TARGETS": ",".join(f"legacy_application:{name}" for name in TARGETS),
        "LASTCALL_STORE": str(folder / "store.db"),
    }
    plain = _run(where, folder, test, "plain", {})
    seen = _run(where, folder, test, "agent", agent)
    differing = _differing(plain, seen)
    if differing:  # what does not come out the same twice, either way, is unsteady
        plain_again, seen_again = _run(where, folder, test, "plain-again", {}), _run(where, folder, test, "agent-again", agent)
        again = _differing(plain_again, seen_again)
        differing = {name: change for name, change in differing.items() if again.get(name) == change}
    equal = len({*plain, *seen}) - len(differing)
    print(f"{test}: {equal + len(differing)} tests compared, {len(differing)} changed", flush=True)
    for name, (before, after) in differing.items():
        print(f"    {name}: {before} -> {after}, see {folder / (test + '-agent.txt')}", flush=True)
    return differing, equal


def _differing(plain: Outcomes, seen: Outcomes) -> dict[str, tuple[str, str]]:
    return {
        name: (plain.get(name, "not run"), seen.get(name, "not run"))
        for name in sorted({*plain, *seen})
        if plain.get(name) != seen.get(name)
    }


def _run(where: Bench, folder: Path, test: str, label: str, agent: dict[str, str]) -> Outcomes:
    """One test file's outcomes; how the process ended counts as one."""
    xml = folder / f"{test}-{label}.xml"
    xml.unlink(missing_ok=True)
    environ = {name: value for name, value in os.environ.items() if not re.match("PYTHON|LASTCALL_", name)}
    command = [where.python, "-c", PROGRAM, folder / "application", "-v", f"--junit-xml={xml}", test]
    with (folder / f"{test}-{label}.txt").open("w") as output:
        try:
            done = subprocess.run(
                command, cwd=folder, env={**environ, **agent}, stdout=output, stderr=output, stdin=subprocess.DEVNULL,
                timeout=FILE_SECONDS,
            )  # fmt: skip
            ended = f"exit code {done.returncode}"
        except subprocess.TimeoutExpired:
            ended = f"stopped after {FILE_SECONDS} s"
    outcomes = {f"{test} as a whole": ended}
    for case in ET.parse(xml).iter("testcase") if xml.exists() else ():
        kinds = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        outcomes[f"{case.get('classname') or ''}{case.get('name')}"] = kinds[0] if kinds else "passed"
    return outcomes


if __name__ == "__main__":
    sys.exit(main())
