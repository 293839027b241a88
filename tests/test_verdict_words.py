"""How a verdict is written: in lines that read well, and in what every encoding and parser takes."""

from __future__ import annotations

import json

import pytest

from lastcall.commands.check import write
from lastcall.explaining import explain
from lastcall.verdict import judge
from lastcall.verdict_report import FORMATS, as_text, risk_sentence, wrapped
from verdict_evidence import QUESTION, caller, dossier, mention


def test_a_remedy_goes_on_below_its_own_first_word():
    first, second = wrapped("  -> " + "Change these lines, " * 5)
    assert first.index("Change") == len(second) - len(second.lstrip())


def test_a_percent_sign_never_begins_a_line():
    for length in range(40, 70):
        lines = wrapped("x" * length + " between 95 % and 99 %.")
        assert not [line for line in lines if line.strip().startswith("%")]


def test_an_interval_that_says_the_same_twice_is_left_out():
    verdict = judge(dossier(caller(1, count=9)), QUESTION)
    same = verdict.risk.__class__(verdict.risk.probability, 0.9999, 0.9999)
    text = risk_sentence(type(verdict)(**{**fields(verdict), "risk": same}))
    assert "(" not in text.partition(". ")[0]
    assert "between" not in explain(type(verdict)(**{**fields(verdict), "risk": same}))


def fields(verdict):
    return {name: getattr(verdict, name) for name in verdict.__slots__}


@pytest.mark.parametrize("format_", sorted(FORMATS))
def test_a_file_name_that_is_no_text_is_written_in_every_format(format_):
    odd = "shop/\udcff\udcfe\x1b[31m\U0001f600.py"
    verdict = judge(dossier(caller(1, file=odd), mentions=[mention(file=odd)]), QUESTION)
    written = FORMATS[format_]([verdict])
    written.encode("utf-8")
    assert "\x1b" not in written
    if format_ in {"json", "sarif"}:
        json.loads(written.encode("ascii"))


def test_one_that_cannot_be_written_leaves_the_file_that_was_there(tmp_path):
    out = tmp_path / "verdict.json"
    out.write_text("the old one")
    with pytest.raises(UnicodeEncodeError):
        write("\udcff", out)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("verdict.json", "the old one")]


def test_text_is_as_wide_as_a_terminal_of_80_columns():
    verdict = judge(dossier(caller(1), mentions=[mention(), mention(line=9), mention(line=12)]), QUESTION)
    assert max(map(len, as_text([verdict]).splitlines())) <= 80
