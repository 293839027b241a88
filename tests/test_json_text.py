"""The store's JSON, read and written without `json`, is what `json` reads and writes."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastcall.store import json_text

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
PIECES = ("[", "]", "{", "}", '"', ":", ",", " ", "\n", "\\", "u0041", "1", "-", ".5", "e3", "null", "true", "NaN", "é", "x")


@given(VALUES)
def test_what_json_writes_is_read(value):
    assert json_text.loads(json.dumps(value)) == value
    assert json_text.loads(f" \n{json.dumps(value, indent=1)}\t\r\n") == value


@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_what_json_refuses_is_refused(text):
    try:
        expected = repr(json.loads(text))
    except ValueError:
        with pytest.raises(ValueError):
            json_text.loads(text)
    else:
        assert repr(json_text.loads(text)) == expected


@given(st.lists(st.tuples(st.text(st.characters()), st.text())).map(tuple))
def test_pairs_are_written_as_json_writes_them(pairs):
    assert json_text.pairs(pairs) == json.dumps(pairs)


def test_an_interpreter_without_the_c_functions_uses_json_itself():
    code = (
        "import sys; sys.modules['_json'] = None\n"
        "from lastcall.store import json_text as j\n"
        "print(j.loads(' [1, \"a\\\\u00e9\"] '), j.pairs([('a', 'é')]), 'json' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[1, 'aé'] [[\"a\", \"\\u00e9\"]] True\n"


def test_where_the_scanner_asks_for_more_json_makes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As 3.15's did of what was known before it."""

    def asks_for_more(meant: object) -> object:
        return meant.a_hook_to_come  # type: ignore[attr-defined]

    monkeypatch.setattr("_json.make_scanner", asks_for_more)
    loads = runpy.run_path(json_text.__file__)["loads"]
    assert loads('{"a": [1, null, "b"]}') == {"a": [1, None, "b"]}
