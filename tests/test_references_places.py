"""Each line of labels/references/places.txt is a reference or not, as its label says, and nothing else is."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from lastcall.references import static_references

TEXT = (Path(__file__).parent / "labels" / "references" / "places.txt").read_text()
SURE, AT_LEAST_POSSIBLE, NOT_SURE, ANY = "#!", "#?", "#x", "#."


def files_of(text):
    files = {}
    for block in ("\n" + text).split("\n-- ")[1:]:
        name, _, content = block.partition("\n")
        files[name.strip()] = content
    return files


COMMON, *CASES = TEXT.split("\n== ")


def written(root, files):
    for name, content in files.items():
        path = root / name.removeprefix("+")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((path.read_text() if name.startswith("+") else "") + content + "\n")
    return root


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[:60].split("\n")[0].partition(":")[2] or "module")
def test_a_place_is_found_as_its_label_says(tmp_path, case):
    target, _, rest = case.partition("\n")
    files = files_of(rest)
    first = next(iter(files))
    lines = files[first].split("\n")
    try:
        ast.parse(files[first])
    except SyntaxError:
        assert sys.version_info < (3, 12)
        pytest.skip("syntax of a newer Python")
    written(tmp_path, files_of(COMMON))
    written(tmp_path, files)
    sure, possible = set(), set()
    for item in static_references(tmp_path, [target.strip()], workers=1):
        if item.file == first:
            (sure if item.certain else possible).add(item.line)
    wrong = []
    for number, line in enumerate(lines, 1):
        label = line[-2:] if line[-2:] in (SURE, AT_LEAST_POSSIBLE, NOT_SURE, ANY) else ""
        is_right = {
            SURE: number in sure,
            AT_LEAST_POSSIBLE: number in sure | possible,
            NOT_SURE: number not in sure,
            ANY: True,
            "": number not in sure | possible,
        }[label]
        if not is_right:
            wrong.append((number, line, "sure" if number in sure else "possible" if number in possible else "not found"))
    assert wrong == []
