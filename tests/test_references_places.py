"""Each line of labels/references/places.txt is a reference or not, as its label says, and nothing else is."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from lastcall.references import search, static_references

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


def test_a_method_may_be_called_through_a_class_of_another_package_that_it_inherits_from(tmp_path):
    (tmp_path / "legacy.py").write_text(
        "import logging\nfrom collections.abc import MutableMapping\n\n\n"
        "class OldHandler(logging.Handler):\n    def emit(self, record): ...\n\n\n"
        "class OldCache(MutableMapping):\n    def get(self, key): ...\n\n\n"
        "class OldDict(dict):\n    def get(self, key): ...\n"
    )
    (tmp_path / "app.py").write_text(
        "import logging\nimport typing as t\n\n"
        "def send(handler: logging.Handler): handler.emit(1)  # 4\n"
        "def made() -> logging.Handler: ...\n"
        "made().emit(2)  # 6\n"
        "class Keeps:\n    def __init__(self, handler: logging.Handler): self.handler = handler\n"
        "    def go(self): self.handler.emit(3)  # 9\n"
        "def ask(cache: 't.Mapping[str, int]'): return cache.get(1)  # 10\n"
        "def count(numbers: t.Sequence): return numbers.get(1)\n"
        "table = {}\ntable.get(1)\n"
        "logging.StreamHandler().emit(4)\n"
    )
    refs = ["legacy:OldHandler.emit", "legacy:OldCache.get", "legacy:OldDict.get"]
    found = [(one.target, one.line) for one in search(tmp_path, refs).references if not one.certain]
    assert found == [("legacy:OldCache.get", 10), *(("legacy:OldHandler.emit", line) for line in (4, 6, 9))]
