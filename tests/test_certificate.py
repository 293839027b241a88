"""A certificate holds the evidence, and shows whether it was changed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastcall.certificate import as_text, certificate, digest, verify
from lastcall.errors import UsageError
from lastcall.verdict import judge
from verdict_evidence import NOW, QUESTION, caller, dossier


@pytest.fixture
def issued():
    verdicts = [judge(dossier(caller(60, fate="gone", left_at=NOW - 59 * 86400)), QUESTION)]
    return certificate(verdicts, "store x", "0123abcd", "0.1.0")


def test_it_says_what_was_asked_found_and_decided(issued):
    assert issued["verdicts"][0]["verdict"] == "safe"
    assert issued["commit"] == "0123abcd"
    assert issued["question"]["window_seconds"] == 30 * 86400
    assert issued["verdicts"][0]["callers"][0]["file"] == "shop/checkout.py"
    assert issued["digest"].startswith("sha256:")


def test_it_survives_the_trip_through_a_file(issued, tmp_path):
    path = tmp_path / "removal.json"
    path.write_text(as_text(issued))
    assert verify(path) == issued
    path.write_text(json.dumps(issued, indent=None, sort_keys=True))  # the layout is not signed
    assert verify(path)["digest"] == issued["digest"]


def leaves(value, path=()):
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in leaves(inner, (*path, key))]
    if isinstance(value, list):
        return [leaf for n, inner in enumerate(value) for leaf in leaves(inner, (*path, n))]
    return [path]


def test_any_change_is_found(issued, tmp_path):
    path = tmp_path / "removal.json"
    places = leaves(issued)
    assert len(places) > 30
    for place in places:
        changed = json.loads(as_text(issued))
        inner = changed
        for step in place[:-1]:
            inner = inner[step]
        inner[place[-1]] = "x" if inner[place[-1]] != "x" else "y"
        path.write_text(json.dumps(changed))
        with pytest.raises(UsageError):
            verify(path)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "3", "{}", '{"format": "lastcall-certificate/1"}', '{"format": 1, "format": 2}', "\0", "[" * 100_000, '{"format":"lastcall-certificate/9"}'],
)
def test_what_is_no_certificate_is_one_sentence(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(UsageError):
        verify(path)


def test_a_key_that_is_there_twice_is_refused(issued, tmp_path):
    path = tmp_path / "x.json"
    path.write_text(as_text(issued).replace('"commit":', '"commit": "another", "commit":', 1))
    with pytest.raises(UsageError, match="twice"):
        verify(path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_the_digest_is_of_the_content_not_of_its_order(content):
    shuffled = dict(reversed(list(content.items())))
    assert digest(content) == digest(shuffled) == digest(json.loads(json.dumps(content)))
