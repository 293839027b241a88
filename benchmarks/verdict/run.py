"""Try the verdict on simulated fleets: is the stated risk right, is `safe` safe, and does `safe` come in time?

    python benchmarks/verdict/run.py                       # the published mix
    python benchmarks/verdict/run.py --perturb 12          # and twelve others, made from it at random
    python benchmarks/verdict/run.py --save FILE           # keep the figures for plot.py

Three questions, with fixed seeds:

calibration  Of the verdicts whose stated risk lies in a bucket, how many were followed by a use within the
             next window? That frequency should lie within the intervals that the verdicts stated themselves.
safety       Of the verdicts `safe`, at most 1 % may be followed by a use, in every pattern. Beside it the
             rule "no call seen for 14 days".
usefulness   Of the targets truly dead, with complete coverage, their use in the history and no reference left,
             at least 95 % must be `safe` 1.5 windows after their last use.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

import itertools

import numpy as np
from fleets import DAY, Mix, World, make_world

from lastcall.verdict import judge

HERE = Path(__file__).parent
BUCKETS = (0, 0.001, 0.005, 0.01, 0.03, 0.1, 0.3, 0.6, 0.9, 0.97, 1.0)
NAIVE_DAYS = 14
ASKED = 3
"""Instants at which each target is asked about."""


@dataclass(slots=True)
class Answer:
    """One verdict, beside what happened."""

    pattern: str
    word: str
    probability: float
    low: float
    high: float
    naive: bool
    used: bool
    hidden: bool


@dataclass(slots=True)
class Useful:
    """One dead target, asked about 1.5 windows after its last use."""

    pattern: str
    safe: bool
    naive: bool
    why: str


def run_one(task: tuple[Mix, int, float]) -> tuple[list[Answer], list[Useful]]:
    """One world, asked about at a few instants."""
    mix, seed, window = task
    rng = np.random.default_rng(seed)
    world = make_world(mix, rng)
    history = world.hours - 45 * DAY
    question = world.question(window)
    answers = []
    for now in rng.integers(history // 2, history, ASKED):
        verdict = judge(world.dossier(int(now)), question)
        answers.append(
            Answer(
                world.pattern,
                verdict.word,
                verdict.risk.probability,
                verdict.risk.low,
                verdict.risk.high,
                _naive(world, int(now)),
                world.used_between(int(now), int(now + window * DAY)),
                world.hidden(int(now)),
            )
        )
    return answers, _usefulness(world, question, window)


def _naive(world: World, now: int) -> bool:
    """The rule that people use: no call was seen for two weeks."""
    return not any(c.seen[max(0, now - NAIVE_DAYS * DAY) : now].any() for c in world.callers)


def _usefulness(world: World, question, window: float) -> list[Useful]:
    last = world.last_use()
    now = int((last or 0) + 1.5 * window * DAY)
    gone = all(
        0 <= c.off <= now and c.left_source is not None and c.kind != "elsewhere" for c in world.callers
    )
    if not world.dead or last is None or now > world.hours or not gone:
        return []
    if not world.complete(0, now) or not any(c.seen.any() for c in world.callers):
        return []
    verdict = judge(world.dossier(now), question)
    why = ", ".join(sorted({r.code for r in verdict.reasons if r.blocks == verdict.word}))
    return [Useful(world.pattern, verdict.word == "safe", _naive(world, now), why)]


def simulate(mix: Mix, runs: int, seed: int, window: float, pool) -> tuple[list[Answer], list[Useful]]:
    """All runs of one mix."""
    answers: list[Answer] = []
    useful: list[Useful] = []
    tasks = [(mix, seed * 1_000_003 + number, window) for number in range(runs)]
    for some, more in pool.imap_unordered(run_one, tasks, chunksize=50):
        answers += some
        useful += more
    return answers, useful


# -- what comes out ---------------------------------------------------------------------------------


def wilson(hits: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a frequency."""
    if not total:
        return 0.0, 1.0
    p = hits / total
    centre = p + z * z / (2 * total)
    spread = z * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    return max(0.0, (centre - spread) / (1 + z * z / total)), min(
        1.0, (centre + spread) / (1 + z * z / total)
    )


def calibration(answers: list[Answer]) -> list[tuple]:
    """(bucket, verdicts, stated mean, interval stated, frequency, its own interval, whether it fits)."""
    rows = []
    for low, high in itertools.pairwise(BUCKETS):
        inside = [a for a in answers if low <= a.probability < high or (high == 1.0 == a.probability)]
        if not inside:
            continue
        hits = sum(a.used for a in inside)
        stated = sum(a.probability for a in inside) / len(inside)
        span = (sum(a.low for a in inside) / len(inside), sum(a.high for a in inside) / len(inside))
        own = wilson(hits, len(inside))
        fits = own[1] >= span[0] and own[0] <= span[1]
        rows.append(((low, high), len(inside), stated, span, hits / len(inside), own, fits))
    return rows


def by_pattern(answers: list[Answer], useful: list[Useful]) -> list[tuple]:
    """(pattern, verdicts, safe, followed by a use, naive safe, followed by a use, useful, of how many)."""
    rows = []
    for pattern in sorted({a.pattern for a in answers}):
        mine = [a for a in answers if a.pattern == pattern]
        safe = [a for a in mine if a.word == "safe"]
        naive = [a for a in mine if a.naive]
        dead = [u for u in useful if u.pattern == pattern]
        rows.append(
            (
                pattern,
                len(mine),
                len(safe),
                sum(a.used for a in safe),
                len(naive),
                sum(a.used for a in naive),
                sum(u.safe for u in dead),
                len(dead),
            )
        )
    return rows


def render(answers: list[Answer], useful: list[Useful]) -> str:
    """Both tables as Markdown."""
    known = [a for a in answers if not a.hidden]
    hidden = [a for a in answers if a.hidden]
    return "\n".join([*_calibration_rows(known), "", *_pattern_rows(known, useful), "", _of_hidden(hidden)])


def _calibration_rows(known: list[Answer]) -> list[str]:
    lines = [
        "| stated risk | verdicts | mean stated | their own interval | followed by a use | fits |",
        "|---|---|---|---|---|---|",
    ]
    for (low, high), count, stated, span, seen, own, fits in calibration(known):
        lines.append(
            f"| {low:.1%} to {high:.1%} | {count} | {stated:.2%} | {span[0]:.2%} to {span[1]:.2%} | "
            f"{seen:.2%} ({own[0]:.2%} to {own[1]:.2%}) | {'yes' if fits else 'NO'} |"
        )
    return lines


def _pattern_rows(known: list[Answer], useful: list[Useful]) -> list[str]:
    lines = [
        (
            "| pattern | verdicts | `safe` | followed by a use | 14-day rule says safe | followed by a use | "
            "safe in time, of the dead |"
        ),
        "|---|---|---|---|---|---|---|",
    ]
    for pattern, count, safe, wrong, naive, naive_wrong, in_time, dead in by_pattern(known, useful):
        lines.append(
            f"| {pattern} | {count} | {safe} | {wrong} ({_share(wrong, safe)}) | {naive} | "
            f"{naive_wrong} ({_share(naive_wrong, naive)}) | {in_time} of {dead} |"
        )
    safe = [a for a in known if a.word == "safe"]
    naive = [a for a in known if a.naive]
    wrong, naive_wrong = sum(a.used for a in safe), sum(a.used for a in naive)
    lines.append(
        f"| **all** | {len(known)} | {len(safe)} | {wrong} ({_share(wrong, len(safe))}) | {len(naive)} | "
        f"{naive_wrong} ({_share(naive_wrong, len(naive))}) | {sum(u.safe for u in useful)} of {len(useful)} "
        f"({_share(sum(u.safe for u in useful), len(useful))}) |"
    )
    return lines


def _of_hidden(hidden: list[Answer]) -> str:
    words = Counter(a.word for a in hidden)
    safe = [a for a in hidden if a.word == "safe"]
    return (
        f"What could not be known (a caller never seen, and in no source that was read): {len(hidden)} verdicts, "
        f"{words['unproven']} unproven, {words['in-use']} in use, {len(safe)} safe, of which "
        f"{sum(a.used for a in safe)} were followed by a use. Each of these names the services it covers."
    )


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.2%}" if whole else "-"


def main() -> int:
    """See the module's text."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--window", type=float, default=30, help="days")
    parser.add_argument("--mix", type=Path, default=HERE / "mix.toml")
    parser.add_argument("--perturb", type=int, default=0, help="try so many other mixes, too")
    parser.add_argument("--strength", type=float, default=0.7, help="of the perturbation")
    parser.add_argument("--save", type=Path, help="write the tables to this JSON file, for plot.py")
    options = parser.parse_args()
    mix = Mix(tomllib.loads(options.mix.read_text()))
    started = time.perf_counter()
    with multiprocessing.Pool(min(2, multiprocessing.cpu_count())) as pool:
        answers, useful = simulate(mix, options.runs, options.seed, options.window, pool)
        print(render(answers, useful))
        late = Counter(u.why for u in useful if not u.safe)
        print("\nwhy not safe in time:", dict(late))
        if options.save:
            known = [a for a in answers if not a.hidden]
            figures = {"calibration": calibration(known), "patterns": by_pattern(known, useful)}
            options.save.write_text(json.dumps(figures, indent=1, default=float))
        print(f"\n{len(answers)} verdicts in {time.perf_counter() - started:.0f} s")
        for number in range(options.perturb):
            other = mix.perturbed(
                np.random.default_rng(10_000 + options.seed * 100 + number), options.strength
            )
            print(
                summary(
                    number, *simulate(other, options.runs, options.seed + 1 + number, options.window, pool)
                )
            )
    return 0


def summary(number: int, answers: list[Answer], useful: list[Useful]) -> str:
    """One line for one other mix."""
    known = [a for a in answers if not a.hidden]
    safe = [a for a in known if a.word == "safe"]
    bad: dict[str, str] = defaultdict(str)
    for pattern, _, count, wrong, *_ in by_pattern(known, useful):
        if wrong > 0.01 * count and wilson(wrong, count)[0] > 0.01:
            bad[pattern] = f"{wrong} of {count}"
    misfits = [
        f"{row[0][0]:.3g}-{row[0][1]:.3g}: {row[4]:.2%} not in {row[3][0]:.2%}-{row[3][1]:.2%}"
        for row in calibration(known)
        if not row[6]
    ]
    wrong = sum(a.used for a in safe)
    return (
        f"mix {number}: safe {len(safe)}, followed {wrong} ({_share(wrong, len(safe))}); in time "
        f"{_share(sum(u.safe for u in useful), len(useful))} of {len(useful)}; "
        f"patterns above 1 %: {dict(bad) or 'none'}; "
        f"buckets that do not fit: {misfits or 'none'}; late because of "
        f"{dict(Counter(u.why for u in useful if not u.safe)) or 'nothing'}"
    )


if __name__ == "__main__":
    raise SystemExit(main())
