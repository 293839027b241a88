"""Makes a store as it is after a year of observing a large system, to measure what reads it.

    python benchmarks/store_year.py OUT.db [--targets 1000] [--sites 100000] [--seed 1]

Four services release weekly; each release runs two processes at a time, replaced twice a week. Every call
site belongs to one service; most are used in one week, some for months. One target in five is never used. The
rows are written as the absorber would have written them; nothing is measured here.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "agent"))

from lastcall.evidence import Frame, Site
from lastcall.store import Store
from lastcall.store.names import Names

WEEKS = 52
DAY = 86400.0
SERVICES = ("backend", "chat", "billing", "worker")
PROCESSES = 6
"""A release."""
FRAMES = 25


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--targets", type=int, default=1000)
    parser.add_argument("--sites", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--now", type=float, default=time.time(), help="end of the year, in seconds")
    given = parser.parse_args()
    given.out.unlink(missing_ok=True)
    began = time.perf_counter()
    with Store.open(given.out) as store:
        build(store, targets=given.targets, sites=given.sites, seed=given.seed, now=given.now)
    size = given.out.stat().st_size / 1e6
    print(f"{given.out}: {size:.0f} MB in {time.perf_counter() - began:.1f} s")


def build(store: Store, *, targets: int, sites: int, seed: int, now: float) -> None:
    """Fill an empty store."""
    chance = random.Random(seed)
    start = now - WEEKS * 7 * DAY
    database = store._database
    with database.transaction() as connection:
        names = Names(connection)
        refs = _targets(connection, names, targets, start)
        processes = _processes(connection, names, chance, start)
        _states(connection, names, chance, refs, processes)
        rows = _sites(connection, names, chance, refs, sites)
        _uses(connection, chance, rows, processes)
        _references(connection, names, refs, now)
    database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _targets(connection, names, count, start):
    refs = []
    for i in range(count):
        ref = f"app.legacy.part_{i % 40}.module_{i}:get_{i}_factory"
        refs.append(ref)
        names.target(ref)
        connection.execute(
            "UPDATE target SET stamp = ?, replacement = ?, owner = ?, issue = ?, since = '2025-09-01',"
            " remove_by = '2027-01-31', source = 'config', defined_stamp = 1, defined_file = ?,"
            " defined_line = ?"
            " WHERE ref = ?",
            (int(start * 1e9), f"app.core.module_{i}:Manager", f"team-{i % 7}", f"#{i}",
             f"app/legacy/part_{i % 40}/module_{i}.py", 10 + i % 300, ref),
        )  # fmt: skip
    return refs


def _processes(connection, names, chance, start):
    """By service and week: (number, since, until) of its processes."""
    found = {}
    for s, service in enumerate(SERVICES):
        for week in range(WEEKS):
            scope = names.scope(service, "staging", f"2026.{week + 1}.{s}")
            for i in range(PROCESSES):
                since = start + week * 7 * DAY + (i // 2) * 2.3 * DAY + chance.random() * 600
                until = min(since + 2.3 * DAY, start + (week + 1) * 7 * DAY)
                cursor = connection.execute(
                    "INSERT INTO process"
                    " VALUES (NULL, ?, ?, ?, ?, '3.12.4', ?, '/srv/app', '[]', ?, ?, 'exit', 0, 1)",
                    (f"{s:02x}{week:04x}{i:02x}{chance.getrandbits(64):016x}", scope, f"{service}-{i}",
                     100 + i, since, until, until),
                )  # fmt: skip
                number = cursor.lastrowid
                connection.execute("INSERT INTO observed VALUES (?, ?, ?)", (number, since, until))
                found.setdefault((s, week), []).append((number, since, until))
    return found


def _states(connection, names, chance, refs, processes):
    pending = names.outcome("pending", "no import of its module so far", "")
    armed = names.outcome("armed", "", "wrapt")
    partial = names.outcome(
        "partial", "2 references captured earlier escape it: app.registry:HANDLERS", "wrapt"
    )
    numbers = [names.target(ref) for ref in refs]

    def rows():
        for group in processes.values():
            for process, since, _ in group:
                for i, target in enumerate(numbers):
                    if i % 10 == 9:
                        yield process, target, since, None, pending
                        continue
                    at = since + 0.5 + i / 1000
                    yield process, target, since, at, pending
                    yield process, target, at, None, partial if i % 50 == 3 else armed

    connection.executemany("INSERT INTO target_state VALUES (?, ?, ?, ?, ?)", rows())


def _sites(connection, names, chance, refs, count):
    """(site, service) of each call site."""
    used = [ref for i, ref in enumerate(refs) if i % 5]
    framework = [
        Frame(f"/usr/lib/python3/framework/layer_{i}.py", 10 * i, f"Layer{i}.__call__") for i in range(60)
    ]
    result = []
    for i in range(count):
        ref = (
            used[min(int(chance.paretovariate(0.7)) - 1, 10**6) % len(used)] if i % 3 else used[i % len(used)]
        )
        file = f"app/feature_{i % 400}/views_{i % 4000}.py"
        line, function = 5 + i // 400, f"View{i % 97}.handle_{i % 13}"
        deep = chance.randrange(len(framework) - FRAMES)
        stack = (Frame(file, line, function), *framework[deep : deep + FRAMES - 1])
        module, name = file[:-3].replace("/", "."), ref.partition(":")[2]
        site = Site(ref, "call", file, line, function, module, name, "direct", stack=stack)
        result.append((names.site(site), i % len(SERVICES)))
    return result


def _uses(connection, chance, sites, processes):
    """Most sites are used in a few weeks, some all year; each use falls in one process of that week."""
    counts, activity = [], []
    for site, service in sites:
        first = chance.randrange(WEEKS)
        weeks = (
            [first] if chance.random() < 0.8 else range(first, min(WEEKS, first + chance.randrange(2, 20)))
        )
        for week in weeks:
            number, since, until = chance.choice(processes[service, week])
            moments = sorted(
                chance.uniform(since, until) for _ in range(1 + int(chance.paretovariate(1.2)) % 6)
            )
            hours = {}
            for moment in moments:
                hour = int(moment // 3600)
                hours[hour] = hours.get(hour, 0) + int(chance.paretovariate(1)) % 1000
            counts.append((site, number, sum(hours.values()), None, 0, moments[0], moments[-1]))
            activity += [(site, hour, number, count) for hour, count in hours.items()]
    connection.executemany("INSERT INTO use_count VALUES (?, ?, ?, ?, ?, ?, ?)", sorted(counts))
    connection.executemany("INSERT INTO activity VALUES (?, ?, ?, ?)", sorted(activity))
    print(json.dumps({"counts": len(counts), "activity": len(activity)}), file=sys.stderr)


def _references(connection, names, refs, now):
    for i, ref in enumerate(refs):
        for k in range(i % 4):
            cursor = connection.execute(
                "INSERT INTO reference VALUES (NULL, ?, ?, ?, ?, ?, 'module')",
                (names.target(ref), f"app.exports_{k}", ref.partition(":")[2], f"app/exports_{k}.py", 3 + i),
            )
            for s, service in enumerate(SERVICES):
                scope = names.scope(service, "staging", f"2026.{WEEKS}.{s}")
                connection.execute(
                    "INSERT INTO reference_seen VALUES (?, ?, ?, ?)",
                    (cursor.lastrowid, scope, now - 7 * DAY, now),
                )


if __name__ == "__main__":
    main()
