"""How long `check --all` takes on a store of 1,000 targets, 100,000 call sites and a year.

    python benchmarks/store_year.py year.db && python benchmarks/verdict/check_year.py year.db

Prints the medians of five runs in this process, imports apart: reading the evidence, judging, writing text.
Processor seconds stand beside the clock's, for a machine that is busy with something else.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import time
from statistics import median

from lastcall import config
from lastcall.checking import Request, gather, open_source
from lastcall.coverage import Fleet
from lastcall.verdict import judge
from lastcall.verdict_report import as_text, summary

RUNS = 5


def main() -> None:
    store = os.path.abspath(sys.argv[1])
    os.chdir(tempfile.mkdtemp())  # no configuration and no source: the store alone
    gc.disable()  # as the command does
    rows: dict[str, list[tuple[float, float]]] = {"read": [], "judge": [], "write": [], "all": []}
    for _ in range(RUNS):
        settings = config.load(environ={})
        request = Request()
        marks = [(time.perf_counter(), time.process_time())]
        dossiers = gather(request, open_source("store", settings, store, ""), settings)
        marks.append((time.perf_counter(), time.process_time()))
        fleet = Fleet(dossiers[0].fleet, request.now)
        verdicts = [judge(dossier, request.question, fleet) for dossier in dossiers]
        marks.append((time.perf_counter(), time.process_time()))
        as_text(verdicts)
        marks.append((time.perf_counter(), time.process_time()))
        for name, before, after in zip(rows, [*marks[:3], marks[0]], [*marks[1:], marks[3]], strict=True):
            rows[name].append((after[0] - before[0], after[1] - before[1]))
        gc.collect()
    print(summary(verdicts))
    for name, figures in rows.items():
        clock, processor = (median(column) for column in zip(*figures, strict=True))
        print(f"{name:6} {clock:6.2f} s  ({processor:.2f} s of one processor)")


if __name__ == "__main__":
    main()
