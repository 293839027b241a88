"""What a journal says first."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastcall.introduction import namesakes, pending_lines, state_record, target_record
from lastcall.targets import Target
from lastcall.words import KINDS, METADATA

WORDS = st.text(alphabet=st.sampled_from("aä'\"\\\n{}%\U0001f600 "), max_size=8)


@given(st.dictionaries(st.sampled_from(METADATA), WORDS), st.sampled_from(("", *KINDS)), st.integers(0, 2**63))
def test_the_short_way_writes_what_the_long_way_writes(metadata, kind, at_ns):
    target = Target("package.mödule:name", kind=kind, metadata=metadata)
    written = [ascii(target_record(target)), ascii(state_record(target, at_ns))]
    assert pending_lines(target, at_ns).split("\n") == [*written, ""]


@pytest.mark.parametrize(
    "changes", [{"state": "missing", "reason": "no such name"}, {"state_ns": 7}, {"defined_file": "a.py", "defined_line": 3}]
)
def test_a_target_that_was_met_is_written_as_it_is(changes):
    target = Target("package.module:name")
    vars(target).update(changes)
    written = [ascii(target_record(target)), ascii(state_record(target, 5))]
    assert pending_lines(target, 5).split("\n") == [*written, ""]


@pytest.mark.parametrize("odd", [None, 5, b"shop.legacy"], ids=repr)
def test_a_second_name_is_found_beside_names_that_are_no_strings(tmp_path, monkeypatch, odd):
    module = ModuleType("legacy")
    module.__file__ = str(tmp_path / "shop" / "legacy.py")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "legacy", module)
    if odd is not None:
        monkeypatch.setitem(sys.modules, odd, module)
    assert namesakes(["shop.legacy", "shop.other"]) == {"shop.legacy": "legacy"}
