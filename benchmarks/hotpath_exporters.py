"""Whether exporting is felt on the hot path: a counted call with every exporter on, against the store alone.

    python benchmarks/hotpath_exporters.py [--pairs 7] [--seconds 3]

CPU time of the calling thread, with loop overhead taken off. Two processes make a pair, one with the store, one with
the OTLP and the Cloud Logging exporters as well, sending to services on loopback; a no-op wrapt wrapper beside each
call takes the machine's own ups and downs out. The flush interval is the default.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import peers
from exporters import Servers

AT_MOST = 1.05
WARM_UP_SECONDS = 2.0
"""The exporters' libraries are imported in the background by then."""

HOST = """
import json, statistics, sys, time
from itertools import repeat
import peers
import subject_lastcall, subject_noop

peers.noop(subject_noop)


def nothing(times):
    for _ in times:
        pass


def caller_of(function):
    names = {"function": function}
    exec(compile("def caller(times):\\n    for _ in times:\\n        function()\\n", "caller.py", "exec"), names)
    return names["caller"]


def cpu(caller, number=5000):
    rounds = repeat(None, number)
    began = time.thread_time_ns()
    caller(rounds)
    return (time.thread_time_ns() - began) / number


callers = caller_of(subject_noop.function), caller_of(subject_lastcall.function)
measured = [], []
calls = 0
began = time.monotonic()
while (lived := time.monotonic() - began) < WARM_UP + SECONDS:
    for caller, kept in zip(callers, measured):
        spent = cpu(caller) - cpu(nothing)
        calls += 5000 * (caller is callers[1])
        if lived > WARM_UP:
            kept.append(spent)
    time.sleep(0.001)
noop, counted = map(statistics.median, measured)
print(json.dumps({"noop": noop, "counted": counted, "calls": calls}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, Servers() as servers:
        folder = Path(name)
        peers.write(folder)
        steering = f"WARM_UP, SECONDS = {WARM_UP_SECONDS}, {options.seconds}\n"
        (folder / "host.py").write_text(steering + HOST)
        alone = {"LASTCALL_EXPORTERS": "store"}
        everything = {
            "LASTCALL_EXPORTERS": "store,otlp,gcp",
            "LASTCALL_GCP_ENDPOINT": servers.cloud_rest,
            "GOOGLE_CLOUD_PROJECT": "demo",
            "OTEL_EXPORTER_OTLP_ENDPOINT": servers.otlp_http,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        }
        pairs = []
        for number in range(options.pairs):
            order = (alone, everything) if number % 2 else (everything, alone)
            results = [_run(folder, number, environ) for environ in order]
            pairs.append(results if order[0] is alone else results[::-1])
        sent = servers.received()
    _print(pairs, sent)


def _run(folder: Path, number: int, environ: dict[str, str]) -> dict[str, float]:
    """One process's medians in nanoseconds a call. Ends the program if a call was not counted."""
    values = {name: value for name, value in os.environ.items() if not name.startswith(("LASTCALL_", "OTEL_"))}
    store = folder / f"{number}-{environ['LASTCALL_EXPORTERS'].count(',')}" / "store.db"
    values |= {
        "PYTHONPATH": os.pathsep.join((str(folder), str(Path(__file__).parent))),
        "LASTCALL_ENABLED": "1",
        "LASTCALL_TARGETS": "subject_lastcall:function",
        "LASTCALL_STORE": str(store),
        **environ,
    }
    done = subprocess.run(
        [sys.executable, "host.py"], cwd=folder, env=values, stdout=subprocess.PIPE, text=True, check=True
    )
    result = json.loads(done.stdout)
    values["LASTCALL_ENABLED"] = ""
    report = [sys.executable, "-m", "lastcall", "report", "--format", "json"]
    seen = json.loads(subprocess.run(report, cwd=folder, env=values, stdout=subprocess.PIPE, check=True).stdout)
    counted = sum(use["count"] for use in seen["uses"])
    if counted != result["calls"]:
        sys.exit(f"{result['calls']} calls made, {counted} counted; the figures would mean nothing")
    return result


def _print(pairs: list[list[dict[str, float]]], sent: tuple[int, int]) -> None:
    ratios = [every["counted"] / every["noop"] / (alone["counted"] / alone["noop"]) for alone, every in pairs]
    print(f"CPython {platform.python_version()}, {len(pairs)} pairs of processes, CPU time of the calling thread.\n")
    print("| a counted call | ns | of the no-op wrapper |\n|---|---:|---:|")
    for number, title in ((0, "store alone"), (1, "store, OTLP and Cloud Logging")):
        counted = statistics.median(pair[number]["counted"] for pair in pairs)
        floor = statistics.median(pair[number]["counted"] / pair[number]["noop"] for pair in pairs)
        print(f"| {title} | {counted:.0f} | {floor:.3f} |")
    spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
    print(f"\nExporters on, against the store alone: {statistics.median(ratios):.3f} ({spread}); at most {AT_MOST}.")
    print(f"The services received {sent[0]} log entries and {sent[1]} spans.")


if __name__ == "__main__":
    main()
