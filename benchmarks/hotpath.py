"""What a counted call costs, against a wrapt wrapper that does nothing and against the peers, in one run.

    python benchmarks/hotpath.py [--rounds 21] [--json FILE]

Process CPU time, contenders interleaved, loop overhead taken off, medians. Ratios hold from machine to
machine, nanoseconds do not. Each engine runs in a process of its own, with its own floor beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING

import peers

if TYPE_CHECKING:
    from collections.abc import Callable

ENGINES = ("auto", "wrapping", "inplace")
BATCH_NS = 4_000_000
FRAMES = 25
NEW_SITES = 400
FIRST_SIGHT_ROUNDS = 15
THREADS = 8
THREAD_NS = 25_000_000
"""What one of the eight threads is given to do: five of the interpreter's switch intervals, so that what starting a
thread costs is little beside it."""
THREAD_ROUNDS = 15

CALLER = """\
from {module} import Thing, Watched, coroutine, function

watched = Watched()


def call_function(times):
    for _ in times:
        function()


def call_coroutine(times):
    for _ in times:
        running = coroutine()
        try:
            running.send(None)
        except StopIteration:
            pass


def call_method(times):
    for _ in times:
        watched.method()


def call_constructor(times):
    for _ in times:
        Thing()


def call_from_four_sites(times):
    for _ in times:
        function()
        function()
        function()
        function()


def call_from_2000_lines(times):
    if times is None:
{filler}
    for _ in times:
        function()
"""

PYDEPRECATE_CALLER = """\
from subject_pydeprecate import function


def call_function(times):
    for _ in times:
        function()
"""

ROWS = ("function", "coroutine", "method", "constructor", "from_four_sites", "from_2000_lines")

# row, engine, at most this many no-op wrappers, before 3.12 / from 3.12 on / from 3.14 on
LIMITS = {
    ("function", "auto"): (0.50, 0.50, 0.80),
    ("coroutine", "auto"): (0.70, 0.70, 0.80),
    ("method", "auto"): (1.4, 0.6, 0.6),
    ("constructor", "auto"): (1.35, 1.35, 1.35),
    ("from_four_sites", "auto"): (0.50, 0.50, 0.80),
    ("from_2000_lines", "auto"): (0.50, 0.50, 0.80),
}
FIRST_SIGHT_LIMIT_US = 25.0
REFERENCE_NOOP_NS = 590.0
"""What a no-op call took on the machine on which that limit was set; one that is slower is so for both."""
NOOP_CALLS = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    parser.add_argument("--measure", choices=ENGINES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(_measure(options.measure, options.rounds)))
        return
    with tempfile.TemporaryDirectory() as folder:
        _write_subjects(Path(folder))
        results = {engine: _in_a_process(engine, Path(folder), options.rounds) for engine in ENGINES}
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))
    _print_ours(results)
    _print_peers(results["auto"])


def _write_subjects(folder: Path) -> None:
    peers.write(folder)
    filler = "\n".join(f"        times = {n}" for n in range(2000))
    for name, _, _ in peers.CONTENDERS:
        text = CALLER.format(module=f"subject_{name}", filler=filler)
        (folder / f"caller_{name}.py").write_text(PYDEPRECATE_CALLER if name == "pydeprecate" else text)
    calls = "\n".join("    function()" for _ in range(NEW_SITES))
    deep = "def deep(frames):\n    return deep(frames - 1) if frames else sites()\n"
    for turn in range(FIRST_SIGHT_ROUNDS):
        text = f"from subject_lastcall import function\n\n\ndef sites():\n{calls}\n\n\n{deep}"
        (folder / f"new_sites_{turn}.py").write_text(text)


def _in_a_process(engine: str, folder: Path, rounds: int) -> dict:
    """Measure in an interpreter that the agent is switched on in, and check that it counted every call."""
    environ = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "LASTCALL_ENABLED": "1",
        "LASTCALL_ENGINE": engine,
        "LASTCALL_TARGETS": ",".join(peers.TARGETS),
        "LASTCALL_STORE": str(folder / engine / "store.db"),
        "PYTHONWARNINGS": "ignore",
    }
    command = [sys.executable, __file__, "--measure", engine, "--rounds", str(rounds)]
    done = subprocess.run(command, env=environ, cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    result = json.loads(done.stdout)
    environ["LASTCALL_ENABLED"] = ""
    report = [sys.executable, "-m", "lastcall", "report", "--format", "json"]
    seen = json.loads(
        subprocess.run(report, env=environ, cwd=folder, stdout=subprocess.PIPE, check=True).stdout
    )
    counted = sum(use["count"] for use in seen["uses"])
    result["made"], result["counted"] = result["made"], counted
    if counted != result["made"]:
        sys.exit(f"{engine}: {result['made']} calls made, {counted} counted; the figures would mean nothing")
    return result


# -- inside the measured process ----------------------------------------------------------------------


class Calls:
    """Runs callers a number of times, and knows how many calls of Lastcall's targets that made."""

    def __init__(self) -> None:
        self.made = 0

    def cpu(self, caller: Callable[[object], None], name: str, times: int, clock: Callable[[], int]) -> int:
        """Nanoseconds that `times` rounds of `caller` take."""
        if name == "lastcall":
            self.made += times * (4 if caller.__name__.endswith("four_sites") else 1)
        rounds = repeat(None, times)
        began = clock()
        caller(rounds)
        return clock() - began


def _measure(engine: str, rounds: int) -> dict:
    loaded = {}
    for name, _, watch in peers.CONTENDERS:
        # Another engine's process needs the floor and us; the peers are measured once.
        if (engine == "auto" or name in ("bare", "noop", "floor", "mapped", "lastcall")) and peers.load(name, watch):
            loaded[name] = __import__(f"caller_{name}")
    calls = Calls()
    result = {
        "calls": _steady(loaded, calls, rounds),
        "first_sight": _first_sight(calls, loaded["noop"].call_function),
        "threads": _threads(loaded, calls),
        "load": os.getloadavg()[0],
    }
    result["made"] = calls.made
    return result


def _steady(loaded: dict, calls: Calls, rounds: int) -> dict[str, dict[str, float]]:
    """Median nanoseconds a call by row and contender."""
    pairs = [(row, name) for row in ROWS for name in loaded if hasattr(loaded[name], f"call_{row}")]
    times = {}
    for row, name in pairs:
        caller = getattr(loaded[name], f"call_{row}")
        calls.cpu(caller, name, 50, time.process_time_ns)
        spent = calls.cpu(caller, name, 500, time.process_time_ns)
        times[row, name] = max(20, min(200_000, BATCH_NS * 500 // max(spent, 1)))
    samples: dict[tuple[str, str], list[float]] = {pair: [] for pair in pairs}
    for _ in range(rounds):
        random.shuffle(pairs)
        for row, name in pairs:
            number = times[row, name]
            empty = calls.cpu(_nothing, "", number, time.process_time_ns)
            spent = (
                calls.cpu(getattr(loaded[name], f"call_{row}"), name, number, time.process_time_ns) - empty
            )
            samples[row, name].append(spent / number / (4 if row == "from_four_sites" else 1))
    result: dict[str, dict[str, float]] = {}
    for (row, name), measured in samples.items():
        result.setdefault(row, {})[name] = statistics.median(measured)
    return result


def _nothing(times: object) -> None:
    for _ in times:
        pass


def _first_sight(calls: Calls, noop: Callable[[object], None]) -> dict[str, float]:
    """The calling thread's time for a call site's first use, over that of a known one: microseconds, and no-op calls.

    The no-op calls are made right before and after, for the machine may change its speed in between.
    """
    microseconds, noops = [], []
    for turn in range(FIRST_SIGHT_ROUNDS):
        module = __import__(f"new_sites_{turn}")
        beside = _thread_ns(noop, repeat(None, NOOP_CALLS))
        first = _thread_ns(module.deep, FRAMES - 1)
        added = (first - _thread_ns(module.deep, FRAMES - 1)) / NEW_SITES
        beside += _thread_ns(noop, repeat(None, NOOP_CALLS))
        microseconds.append(added / 1000)
        noops.append(added / (beside / 2 / NOOP_CALLS))
        calls.made += 2 * NEW_SITES
    return {"us": statistics.median(microseconds), "noops": statistics.median(noops)}


def _thread_ns(call: Callable[[object], object], given: object) -> int:
    began = time.thread_time_ns()
    call(given)
    return time.thread_time_ns() - began


def _threads(loaded: dict, calls: Calls) -> dict[str, float]:
    """CPU a call from eight threads as a multiple of the same number of calls from one.

    Beside ours, what eight threads cost the no-op wrapper, and a call that nobody watches: the interpreter's own part.
    """
    ratios: dict[str, list[float]] = {"lastcall": [], "noop": [], "bare": []}
    numbers = {}
    for name in ratios:
        calls.made += 5_000 if name == "lastcall" else 0
        numbers[name] = max(1_000, int(THREAD_NS / _cpu_of_threads(loaded[name].call_function, 1, 5_000)))
    for turn in range(THREAD_ROUNDS):
        for name, kept in ratios.items():
            caller, number = loaded[name].call_function, numbers[name]
            spent = {}
            for threads in (1, THREADS) if turn % 2 else (THREADS, 1):
                spent[threads] = _cpu_of_threads(caller, threads, number * THREADS // threads)
            kept.append(spent[THREADS] / spent[1])
            calls.made += 2 * THREADS * number if name == "lastcall" else 0
    return {name: statistics.median(kept) for name, kept in ratios.items()}


def _cpu_of_threads(caller: Callable[[object], None], number: int, calls: int) -> float:
    rounds = [repeat(None, calls) for _ in range(number)]
    threads = [threading.Thread(target=caller, args=(one_round,)) for one_round in rounds]
    began = time.process_time_ns()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (time.process_time_ns() - began) / calls / number


# -- the tables ---------------------------------------------------------------------------------------

_TITLES = {
    "function": "function, known call site",
    "coroutine": "coroutine function, created and run",
    "method": "method",
    "constructor": "constructor",
    "from_four_sites": "four call sites in turn",
    "from_2000_lines": "caller of 2,000 lines",
}


def _print_ours(results: dict[str, dict]) -> None:
    loads = ", ".join(f"{result['load']:.1f}" for result in results.values())
    print(f"CPython {platform.python_version()}, {os.cpu_count()} cores, load {loads}.")
    print("A call through each row's own wrapt no-op wrapper is 1.00; in brackets nanoseconds.\n")
    print("| target | auto | wrapping | in place | at most |\n|---|---:|---:|---:|---:|")
    newer = 2 if sys.version_info >= (3, 14) else 1 if sys.version_info >= (3, 12) else 0
    for row in ROWS:
        cells = []
        for engine in ENGINES:
            measured = results[engine]["calls"][row]
            cells.append(f"{measured['lastcall'] / measured['noop']:.2f} ({measured['lastcall']:.0f})")
        print(f"| {_TITLES[row]} | {' | '.join(cells)} | {LIMITS[row, 'auto'][newer]:.2f} |")
    seen = [results[engine]["first_sight"] for engine in ENGINES]
    first = " | ".join(f"{one['noops']:.0f} ({one['us']:.1f} us)" for one in seen)
    limit = f"{1000 * FIRST_SIGHT_LIMIT_US / REFERENCE_NOOP_NS:.0f} ({FIRST_SIGHT_LIMIT_US:.0f} us)"
    print(f"| first sight of a call site, {FRAMES} frames deep | {first} | {limit} |")
    threads = [results[engine]["threads"] for engine in ENGINES]
    rows = (("lastcall", "against one thread", "1.00"), ("noop", "the no-op wrapper", ""), ("bare", "a plain call", ""))
    for name, title, limit in rows:
        ratios = " | ".join(f"{one[name]:.2f}" for one in threads)
        print(f"| {THREADS} threads on one target, {title} | {ratios} | {limit} |")
    total = sum(result["made"] for result in results.values())
    print(f"\n{total:,} calls were made in this run, and as many counted.\n")


def _print_peers(result: dict) -> None:
    rows = ("function", "coroutine", "method", "constructor")
    print("| multiples of the no-op wrapper | " + " | ".join(rows) + " |\n|---|---:|---:|---:|---:|")
    for name, title, _ in peers.CONTENDERS:
        cells = []
        for row in rows:
            measured = result["calls"][row]
            cells.append(f"{measured[name] / measured['noop']:.2f}" if name in measured else "-")
        if any(cell != "-" for cell in cells):
            print(f"| {title} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
