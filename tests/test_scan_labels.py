"""Recall and precision of `scan` on the labelled libraries.

Needs the libraries of tests/labels/requirements.txt: LASTCALL_LABELLED names the folder they lie in, else it is
.venvs/labels of the checkout, where `make labels` puts them (2 GB to download; nothing of them is run).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "labels"))

import measure  # noqa: E402 - the path has to be set first

NAMES = (*measure.DEVELOPMENT, *measure.MET_BLIND, *measure.HELD_OUT)


def site():
    named = os.environ.get("LASTCALL_LABELLED")
    folder = Path(named) if named else HERE.parent / ".venvs" / "labels"
    return folder if named or (folder / ".ready").exists() else None


@pytest.fixture(scope="module")
def figures():
    folder = site()
    if folder is None:
        pytest.skip("the labelled libraries are not installed; `make labels` does it")
    missing = [name for name in NAMES if not (folder / name).is_dir()]
    assert not missing, f"not installed in {folder}: {missing}"
    return measure.measure(folder, NAMES)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", ["decorator", "warning"])
def test_decorated_and_warning_callables_are_found_and_the_sure_ones_are_right(figures, kind):
    recall, precision = figures
    found, labelled = recall[kind]
    right, sure = precision[kind]
    assert labelled >= 100
    assert found / labelled >= 0.95
    assert right / sure >= 0.95


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_arguments_that_are_shown_are_deprecated_as_a_whole(figures):
    right, shown = figures[1][measure.ARGUMENT]
    assert shown >= 100
    assert right / shown >= 0.95


def test_the_arguments_read_are_enough_and_each_wrong_one_has_its_reason():
    labels = measure.load("arguments.json")
    assert len(labels) >= 150
    libraries = {label["library"] for label in labels}
    assert len(libraries - set(measure.DEVELOPMENT)) >= 6
    assert len(libraries & set(measure.DEVELOPMENT)) >= 6
    assert all(label["deprecated"] != bool(label["why"]) for label in labels)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", ["docstring", "log"])
def test_what_only_words_say_is_found_nearly_as_well(figures, kind):
    recall, precision = figures
    assert recall[kind][0] / recall[kind][1] >= 0.9
    assert precision[kind][0] / precision[kind][1] >= 0.9
