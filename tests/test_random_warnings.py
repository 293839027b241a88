"""Programs that warn in ways nobody thought of: each warning is counted where it points, and the host shows what it shows without us."""

from __future__ import annotations

import difflib
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from lastcall.store import Store
from random_warnings import Program
from test_random_programs import named
from worlds import Run, World

DISCOVER = '[discover]\nwarnings = ["DeprecationWarning", "PendingDeprecationWarning"]\nlogs = ["deprecated"]\n'


def mistakes(folder: Path, program: Program, **environ: str) -> list[str]:
    """What one program shows otherwise, and each place of which other uses were counted than it says itself."""
    # each run compiles the program anew: what the compiler warns of is shown in all of them
    environ = {**program.environ, **environ, "LASTCALL_DEBUG": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    world = World(folder, {**program.files, "lastcall.toml": DISCOVER}, environ=environ)
    plain, watched, telling = world.run(), world.run("auto"), world.run(LEDGER=str(folder / "ledger.txt"))
    assert plain.code == 0, plain.err
    assert telling.code == 0, telling.err
    before, after = parts(plain.out), parts(watched.out)
    wrong = [difference(label, text, after.get(label, "")) for label, text in before.items() if after.get(label) != text]
    before, after = parts(plain.err), parts(watched.err)
    wrong += [difference(label, text, after.get(label, "")) for label, text in before.items() if after.get(label) != text]
    if watched.code or set(after) - set(before) or watched.internal_errors() or dropped(watched):
        wrong.append(f"{watched.code} {watched.err[-500:]} {watched.internal_errors()} {dropped(watched)}")
    by_module = not any("__name__, here" in text for text in program.files.values())

    def place(line: str) -> tuple[str, ...]:
        """target, file, line, function, as both know them."""
        target, file, number, function = line.split("|")
        target = "" if sys.version_info < (3, 11) else target if by_module else target.partition(":")[2]
        return target, Path(file).name, number, named(function)

    truth = Counter(map(place, (folder / "ledger.txt").read_text().splitlines())) if (folder / "ledger.txt").exists() else Counter()
    seen: Counter[tuple[str, ...]] = Counter()
    for use in watched.uses():
        seen[place(f"{use.target}|{use.file}|{use.line}|{use.function}")] += use.count
    wrong += [f"lost {count} of {truth[key]}: {key}" for key, count in (truth - seen).items()]
    wrong += [f"{count} too many: {key}" for key, count in (seen - truth).items()]
    return [f"seed {program.seed}: {one}" for one in wrong]


def difference(label: str, before: str, after: str) -> str:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "without", "with", lineterm="", n=2)
    return f"{label}: " + "\n".join([*lines][:30])


def parts(text: str) -> dict[str, str]:
    """What was written for each use, by its label, without addresses and without the frame of ours that a finalizer may show."""
    text = re.sub(r'  File ".*/(lastcall|wrapt)/.*\n    .*\n( +\^+\n)?', "", text)
    pieces = ("\n" + re.sub("0x[0-9a-f]+|id='[0-9]+'", "", text)).split(":: end of ")
    return {piece.partition("\n")[0]: before.partition("\n")[2] for before, piece in zip(pieces, pieces[1:], strict=False)}


def dropped(run: Run) -> list[tuple[str, int]]:
    with Store.current(run.store) as store:
        return [one for row in store.processes() for one in row.dropped]


def test_a_random_program_that_warns_is_counted_as_its_ledger_says(tmp_path: Path) -> None:
    assert mistakes(tmp_path, Program(1, uses=12)) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("wrapt", ["", "1"], ids=["C", "Python"])
def test_many_random_programs_that_warn_are_counted_as_their_ledgers_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrapt: str) -> None:
    if wrapt:
        monkeypatch.setattr("random_warnings.wrapt_in_c", lambda: False)
    wrong: list[str] = []
    for seed in range(100, 140):
        (folder := tmp_path / str(seed)).mkdir()
        wrong += mistakes(folder, Program(seed), **({"WRAPT_DISABLE_EXTENSIONS": wrapt} if wrapt else {}))
    assert wrong == []
