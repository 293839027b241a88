"""What Lastcall costs a process that starts, imports, waits and ends.

    python benchmarks/startup.py [--rounds 21] [--python .venvs/3.13.0/bin/python]

Two virtual environments that differ in nothing but Lastcall, interleaved; medians of process CPU time, and of what
one took more than the other in the same round: a machine that changes its speed meanwhile does so for both. Where
valgrind is installed the instructions are counted as well: these hardly differ from run to run.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from hosts import make_venv  # noqa: E402 - lies beside the tests that use it most

TARGETS = ",".join(f"package{number}.module:name" for number in range(200))
MODULES = 1000
SITES = 4000
ON = {"LASTCALL_ENABLED": "1", "LASTCALL_TARGETS": TARGETS}

COUNT_MODULES = "import sys; print(len(sys.modules))"

# A target that is used from many lines; then how much memory came with them. The first modules are for what
# is made once, whatever the number of sites.
RESIDENT = """
import os, legacy, time
import caller_0
caller_0.run()
time.sleep(float(os.environ["PAUSE"]))
with open("/proc/self/statm") as file:
    print(int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE"))
"""
ALLOCATED = """
import sys, time, tracemalloc
import legacy
modules = [__import__(f"caller_{turn}") for turn in range(TOTAL)]
for module in modules[:5]:
    module.run()
time.sleep(2.5)
tracemalloc.start()
for module in modules[5:]:
    module.run()
time.sleep(5)
print(tracemalloc.get_traced_memory()[0])
"""
SITES_A_MODULE = 100

# How much CPU time the process had had by its first statement.
START = "import time; print(time.process_time_ns())"

IMPORTS = "for number in range({modules}): __import__(f'small_{{number}}')"
# The same, and how much CPU time it took.
TIMED_IMPORTS = f"import time; began = time.process_time_ns()\n{IMPORTS}\nprint(time.process_time_ns() - began)"

# Ends with how much CPU time the process had had by its last statement.
EXIT = """
import sys, time, legacy
legacy.old()
time.sleep({pause})
sys.stdout.write(str(time.process_time_ns()))
sys.stdout.flush()
"""

TABLE = """
[[target]]
ref = "package{number}.module:name"
replacement = "package{number}.other:name"
owner = "platform"
remove_by = "2027-12-31"
"""


@dataclass
class Case:
    """One way of starting Python: its environment variables and arguments."""

    name: str
    python: str
    arguments: list[str]
    environ: dict[str, str] = field(default_factory=dict)
    cwd: str | None = None

    def run(self, *prefix: str) -> subprocess.CompletedProcess[str]:
        """Run it, behind `prefix`."""
        plain = {
            name: value for name, value in os.environ.items() if not re.match("PYTHON|LASTCALL_|OTEL_", name)
        }
        environ = {**plain, "PYTHONHASHSEED": "0", **self.environ}
        command = [*prefix, self.python, *self.arguments]
        return subprocess.run(command, env=environ, cwd=self.cwd, capture_output=True, text=True, check=True)

    def cpu_ms(self) -> float:
        """Milliseconds of CPU of one run."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.run()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000

    def told_ms(self) -> float:
        """Milliseconds of CPU that the program says it took to where it says so, or for what."""
        return int(self.run().stdout) / 1e6

    def exit_ms(self) -> float:
        """Milliseconds of CPU from the last statement, which wrote what had been used by then, to the end."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = int(self.run().stdout) / 1e6
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return spent * 1000 - used

    def instructions(self) -> int:
        """Instructions of one run, by callgrind.

        Without a flush: callgrind is fifty times slower, so that the background thread would wake in it.
        """
        quiet = replace(self, environ={**self.environ, "LASTCALL_FLUSH_INTERVAL": "100000"})
        done = quiet.run("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")
        found = re.search(r"Collected : (\d+)", done.stderr)
        if not found:
            raise RuntimeError(done.stderr)
        return int(found[1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--python", default=sys.executable, help="of an environment that has wrapt; default: this one")
    options = parser.parse_args()
    rounds = options.rounds
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        without, installed = _environments(folder, options.python)
        _write_host(folder / "host")
        version = Case("", without, ["-c", "import sys; print(sys.version.split()[0])"]).run().stdout.strip()
        print(f"CPython {version}, load {os.getloadavg()[0]:.1f}, {rounds} rounds\n")
        print("| | bare | with Lastcall | difference | at most |\n|---|---:|---:|---:|---:|")
        _start_rows(without, installed, rounds, folder)
        _import_rows(without, installed, rounds, folder)
        _exit_rows(without, installed, max(11, rounds), folder)
        _memory_rows(without, installed, folder)


def _environments(folder: Path, python: str) -> tuple[str, str]:
    """Two interpreters with the packages of `python`'s environment: without Lastcall, and with it."""
    code = (
        "import sys, sysconfig; print(getattr(sys, '_base_executable', sys.executable));"
        " print(sysconfig.get_path('purelib'))"
    )
    base, packages = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    pair = []
    for name in ("without", "installed"):
        made = make_venv(folder / name, installed=name == "installed", packages=False, python=base)
        site_packages = next((folder / name / "lib").glob("python*/site-packages"))
        (site_packages / "packages.pth").write_text(packages + "\n")
        pair.append(made)
    return pair[0], pair[1]


def _write_host(folder: Path) -> None:
    """Small modules to import, a target, and many call sites of it."""
    folder.mkdir()
    for number in range(MODULES):
        (folder / f"small_{number}.py").write_text(f"VALUE = {number}\n\n\ndef get():\n    return VALUE\n")
    (folder / "legacy.py").write_text("def old():\n    return 1\n")
    calls = "\n".join("    old()" for _ in range(SITES_A_MODULE))
    for number in range(SITES // SITES_A_MODULE + 5):
        (folder / f"caller_{number}.py").write_text(f"from legacy import old\n\n\ndef run():\n{calls}\n")


def _samples(cases: list[Case], rounds: int, measure: Callable[[Case], float] = Case.cpu_ms) -> list[list[float]]:
    """CPU milliseconds of each, measured in turn so that a busy moment hits all of them."""
    samples: list[list[float]] = [[] for _ in cases]
    for case in cases:
        case.run()
    for _ in range(rounds):
        for case, sample in zip(cases, samples, strict=True):
            sample.append(measure(case))
    return samples


def _more(ours: list[float], theirs: list[float]) -> float:
    """The median of what one took more than the other in the same round."""
    return statistics.median(map(float.__sub__, ours, theirs))


def _start_rows(without: str, installed: str, rounds: int, folder: Path) -> None:
    nothing = ["-c", "pass"]
    store = {"LASTCALL_STORE": str(folder / "start" / "store.db")}
    bare, off, on, file = cases = [
        Case("bare", without, nothing),
        Case("off", installed, nothing),
        Case("on", installed, nothing, {**ON, **store}),
        Case("file", installed, nothing, {"LASTCALL_ENABLED": "1", **store}, str(_configured(folder))),
    ]
    counts = [int(replace(case, arguments=["-c", COUNT_MODULES]).run().stdout) for case in cases]
    _row("switched off: modules", counts[0], counts[1], f"{counts[1] - counts[0]:+d}", "+0")
    _instruction_row("switched off: instructions", bare, off, 2.0)
    _row("switched on, 200 targets: modules", counts[0], counts[2], f"{counts[2] - counts[0]:+d}", "+10")
    in_file = "switched on, 200 tables in lastcall.toml"
    _row(f"{in_file}: modules", counts[0], counts[3], f"{counts[3] - counts[0]:+d}", "+10")
    names = "switched on, 200 targets", in_file
    watched = [bare, on, file]
    begun = _samples([replace(case, arguments=["-c", START]) for case in watched], rounds, Case.told_ms)
    whole = _samples(watched, rounds)
    for number, (name, case) in enumerate(zip(names, (on, file), strict=True), 1):
        _millisecond_row(f"{name}: CPU to the first statement", begun[0], begun[number], "+5")
        _millisecond_row(f"{name}: CPU of `python -c pass`", whole[0], whole[number], "")
        _instruction_row(f"{name}: instructions of `python -c pass`", bare, case, None)


def _configured(folder: Path) -> Path:
    """A working directory with a configuration of 200 targets."""
    here = folder / "configured"
    here.mkdir()
    tables = "".join(TABLE.format(number=number) for number in range(200))
    (here / "lastcall.toml").write_text('[lastcall]\nservice = "backend"\nenvironment = "staging"\n' + tables)
    return here


def _import_rows(without: str, installed: str, rounds: int, folder: Path) -> None:
    host = {"PYTHONPATH": str(folder / "host")}
    store = {"LASTCALL_STORE": str(folder / "import" / "store.db")}
    code, timed = (["-c", text.format(modules=MODULES)] for text in (IMPORTS, TIMED_IMPORTS))
    # What the agent's start costs is another row's business.
    bare, on = Case("", without, code, host), Case("", installed, code, {**host, **ON, **store})
    idle_bare = Case("", without, ["-c", "pass"], host)
    idle_on = Case("", installed, ["-c", "pass"], {**host, **ON, **store})
    theirs, ours = _samples([replace(case, arguments=timed) for case in (bare, on)], rounds, Case.told_ms)
    ratio = statistics.median(map(float.__truediv__, ours, theirs))
    name = f"importing {MODULES:,} small modules: CPU, ms"
    _row(name, statistics.median(theirs), statistics.median(ours), f"{(ratio - 1) * 100:+.1f} %", "+2 %")
    if _can_count(idle_bare):
        counted = on.instructions() - idle_on.instructions()
        bare_counted = bare.instructions() - idle_bare.instructions()
        change = f"{(counted / bare_counted - 1) * 100:+.2f} %"
        name = f"importing {MODULES:,} small modules: instructions, M"
        _row(name, bare_counted / 1e6, counted / 1e6, change, "+2 %")


def _exit_rows(without: str, installed: str, rounds: int, folder: Path) -> None:
    """CPU from the last statement to the end of the process: after a flush that left nothing to do, and before any.

    The third case is no process of ours: one that imported wrapt, as every watched process did before the agent
    learned to load only wrapt's C extension.
    """
    host = {"PYTHONPATH": str(folder / "host")}
    on = {**host, **ON, "LASTCALL_TARGETS": "legacy:old", "LASTCALL_STORE": str(folder / "exit" / "store.db")}
    # Who ends before its first flush leaves its files to the next process of that store, which then has them to read.
    apart = {**on, "LASTCALL_STORE": str(folder / "at-once" / "store.db")}
    flushed, at_once = ["-c", EXIT.format(pause=1.5)], ["-c", EXIT.format(pause=0)]
    cases = [
        Case("", without, flushed, host),
        Case("exit with nothing left to flush", installed, flushed, on),
        Case("exit before the first flush", installed, at_once, apart),
        Case("exit after import wrapt (not Lastcall)", without, ["-c", "import wrapt" + at_once[1]], host),
    ]
    bare, *others = _samples(cases, rounds, Case.exit_ms)
    for case, ours in zip(cases[1:], others, strict=True):
        _millisecond_row(f"{case.name}: CPU", bare, ours, "+5" if case.python == installed else "")


def _memory_rows(without: str, installed: str, folder: Path) -> None:
    host = {"PYTHONPATH": str(folder / "host")}
    store = {"LASTCALL_STORE": str(folder / "memory" / "store.db"), "LASTCALL_STACK_DEPTH": "1"}
    on = {**host, **ON, **store, "LASTCALL_TARGETS": "legacy:old"}
    for name, limit, pause in (("before any exporter", "+3", "0"), ("and its store", "", "2")):
        bare, ours = (
            int(Case("", python, ["-c", RESIDENT], {**environ, "PAUSE": pause}).run().stdout) / 2**20
            for python, environ in ((without, host), (installed, on))
        )
        _row(f"resident memory, one target in use, {name}: MB", bare, ours, f"{ours - bare:+.1f}", limit)
    bare, wrapt = (
        int(Case("", without, ["-c", first + RESIDENT], {**host, "PAUSE": "0"}).run().stdout) / 2**20
        for first in ("", "import wrapt")
    )
    _row("resident memory, importing wrapt (not Lastcall): MB", bare, wrapt, f"{wrapt - bare:+.1f}", "")
    code = ALLOCATED.replace("TOTAL", str(5 + SITES // SITES_A_MODULE))
    each = int(Case("", installed, ["-c", code], on).run().stdout) / SITES / 1024
    _row(f"memory of a call site, average of {SITES:,}: KB", 0.0, each, f"{each:+.2f}", "+2")


def _can_count(case: Case) -> bool:
    """Whether valgrind is there, and can run this interpreter: not one that a script starts in a world of its own."""
    if not shutil.which("valgrind"):
        return False
    try:
        return case.instructions() > 0
    except (RuntimeError, subprocess.CalledProcessError):
        return False


def _instruction_row(name: str, bare: Case, ours: Case, limit: float | None) -> None:
    if not _can_count(bare):
        print(f"| {name}: not measured, valgrind cannot run this interpreter | | | | |")
        return
    before, after = bare.instructions(), ours.instructions()
    change = f"{(after / before - 1) * 100:+.2f} %"
    _row(f"{name}, M", before / 1e6, after / 1e6, change, f"+{limit:.0f} %" if limit else "")


def _millisecond_row(name: str, bare: list[float], ours: list[float], limit: str) -> None:
    _row(f"{name}, ms", statistics.median(bare), statistics.median(ours), f"{_more(ours, bare):+.1f}", limit)


def _row(name: str, bare: float, ours: float, change: str, limit: str) -> None:
    def show(value: float) -> str:
        return f"{value}" if isinstance(value, int) else f"{value:.2f}"

    print(f"| {name} | {show(bare)} | {show(ours)} | {change} | {limit} |", flush=True)


if __name__ == "__main__":
    main()
