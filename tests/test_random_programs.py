"""Programs that nobody thought of: each use is counted where it was made, and the host shows what it shows without us."""

from __future__ import annotations

import re
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

import random_uses
from random_programs import Program
from worlds import ENGINES, World

Ledger = dict[str, Counter[tuple[str, int, str]]]


def named(function: str) -> str:
    """The function as both know it: up to 3.11 a comprehension is one of its own, and before that none has its whole name."""
    if sys.version_info < (3, 11):
        return ""
    return re.sub(r"(\.<locals>)?\.?<(genexpr|listcomp|setcomp|dictcomp|lambda)>$", "", function)


def ledger(path: Path) -> Ledger:
    """What the program says of itself: how often each line used each target."""
    found: Ledger = defaultdict(Counter)
    for line in path.read_text().splitlines():
        ref, count, file, number, function = line.split("|")
        found[ref][file, int(number), named(function)] += int(count)
    return found


def mistakes(folder: Path, seed: int, engine: str, kind: Any = Program) -> list[str]:
    """What one program shows otherwise, and each target of which not every use was counted, and that does not say so."""
    program = kind(seed)
    world = World(folder, program.files, program.targets)
    plain = world.run(LEDGER=str(folder / "plain.txt"))
    watched = world.run(engine, LEDGER=str(folder / "watched.txt"))
    assert plain.code == 0, plain.err
    wrong = [f"{mine} -> {theirs}" for mine, theirs in zip(plain.out.splitlines(), watched.out.splitlines(), strict=False) if mine != theirs]
    if (watched.err, watched.code) != (plain.err, plain.code) or watched.internal_errors():
        wrong.append(f"{watched.code} {watched.err[-500:]} {watched.internal_errors()}")
    truth, states = ledger(folder / "watched.txt"), watched.states()
    seen: Ledger = defaultdict(Counter)
    for use in watched.uses():
        seen[use.target][use.file, use.line, named(use.function)] += use.count
    known = {one.ref for one in program.named} | program.imported
    for ref in known & set(states):
        state, reason, _ = states[ref]
        missing, extra = truth[ref] - seen[ref], seen[ref] - truth[ref]
        told = state == "partial" or (state == "failed" and "neither function nor property" in reason)
        if extra or (missing and not told):
            wrong.append(f"{ref} {state} {reason} missing {dict(missing)} extra {dict(extra)}")
    return [f"seed {seed}, {engine}: {one}" for one in wrong]


@pytest.mark.parametrize("seed", range(3))
def test_a_random_program_is_counted_as_its_ledger_says(tmp_path: Path, seed: int) -> None:
    assert mistakes(tmp_path, seed, ENGINES[seed % len(ENGINES)]) == []


@pytest.mark.parametrize("seed", range(3))
def test_a_random_program_with_other_uses_is_counted_as_its_ledger_says(tmp_path: Path, seed: int) -> None:
    assert mistakes(tmp_path, seed, ENGINES[seed % len(ENGINES)], random_uses.Program) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", [Program, random_uses.Program], ids=["programs", "uses"])
def test_many_random_programs_are_counted_as_their_ledgers_say(tmp_path: Path, engine: str, kind: Any) -> None:
    wrong: list[str] = []
    for seed in range(100, 150):
        (folder := tmp_path / str(seed)).mkdir()
        wrong += mistakes(folder, seed, engine, kind)
    assert wrong == []
