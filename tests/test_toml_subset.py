"""The small TOML reader: what it reads it reads as tomllib does; what it does not it leaves to tomllib."""

from __future__ import annotations

import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from how_many import examples
from lastcall import config_file

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CONFIGURATION = """\
# a comment
[lastcall]
service = "backend"
exporters = ["store", 'otlp',
  "gcp", # why
]
flush_interval = 0.5
max_sites = 10_000
metrics_by_site = false

[[target]]
ref = "pkg.mod:name"
allow = [{ caller = "pkg.**", reason = "the factory itself", until = "2027-01-31" }]
isolation = { owner = "user.id" }

[[target]]
ref = "pkg.**:get_*"

[discover]
pep702 = ["pkg.**"]
[tool.lastcall.deep]
x = 1
"""


def outcome(loads, text):
    try:
        return loads(text)
    except (config_file.NotInSubset, tomllib.TOMLDecodeError, RecursionError):
        return None


def agrees(text: str) -> None:
    """Either the subset declines, or both give the same document, types included."""
    mine = outcome(config_file.loads, text)
    if mine is not None:
        theirs = outcome(tomllib.loads, text)
        assert mine == theirs
        assert repr(mine) == repr(theirs)  # True is not 1, and -0.0 not 0.0


def test_a_string_that_begins_where_the_rows_before_end_is_no_row():
    agrees('[[target]]\na = "u"\nb = "v"\n[[target]]\na = ""\nb = """\n[[target]]\na = "u"\nb = "v"\n')
    agrees('[[target]]\na = "u"\nb = "v"\n[[target]]\na = ""\nb = """\n[[target]]\na = "u"\nb = "v"\n"""\n')


def test_our_own_configuration_needs_no_tomllib():
    text = CONFIGURATION.replace("10_000", "10000")
    assert config_file.loads(text) == tomllib.loads(text)


KEYS = st.sampled_from(["a", "b", "a.b", "target", "x-y", "1", '"q"', "'q'", "", "a b"])
VALUES = st.sampled_from([
    '"text"', "'text'", '"a\\nb"', '"\t"', '"\x00"', "1", "01", "1.5", "1.", ".5", "-1", "+1", "1e3", "1_000", "0x1", "inf",
    "true", "false", "True", "truex", "[]", "[1, 2,]", "[1 2]", "[[1], [2]]", "{}", "{ a = 1 }", "{ a = 1, }", "{ a = 1, a = 2 }",
    "{ a.b = 1 }", "{ a = { b = [1] } }", "2026-01-01", "2026-01-01T00:00:00Z", '"""x"""', "'''x'''", '"unclosed', "[1,\n2]",
    "[1, # c\n 2]", "{ a = 1\n}", "0", "0.0", "00.5", "9" * 30, '"é"', '"\\u0041"', "\u00b2", "\u0661", "1.\u0662",
])
LINES = st.one_of(
    st.builds("{} = {}".format, KEYS, VALUES), st.builds("{}={} # comment".format, KEYS, VALUES),
    st.builds("[{}]".format, KEYS), st.builds("[[{}]]".format, KEYS), st.builds("[ {} ]  # c".format, KEYS),
    st.sampled_from(["", "# comment", "   ", "\t", "[a", "]", "= 1", "a =", "a = 1 b = 2", "# \x01", "\ufeff", "a = 1\r"]),
)


@settings(max_examples=examples(600), deadline=None)
@given(st.lists(LINES, max_size=8), st.sampled_from(["\n", "\r\n", "\n\n"]))
@example(["[a]", "b = 1", "[a.b]"], "\n")
@example(["[[a]]", "[a.b]", "c = 1", "[[a]]"], "\n")
@example(["a = []", "[[a]]"], "\n")
@example(["a = {}", "[a.b]"], "\n")
@example(["[a.b]", "[a]"], "\n")
@example(["[[a.b]]", "[a]", "c = 1"], "\n")
def test_made_up_documents_are_read_alike(lines, ending):
    agrees(ending.join(lines))


@settings(max_examples=examples(600), deadline=None)
@given(st.text(alphabet=" \t\r\n=[]{}#,.\"'\\abt10_-+é\x00\x7f\u2028", max_size=40))
def test_any_text_is_read_alike(text):
    agrees(text)


@settings(max_examples=examples(400), deadline=None)
@given(st.integers(0, len(CONFIGURATION)), st.integers(0, 5), st.text(alphabet="[]{}\"'=\n#. a1", max_size=3))
def test_a_damaged_configuration_is_read_alike(at, removed, inserted):
    agrees(CONFIGURATION[:at] + inserted + CONFIGURATION[at + removed:])


ROW_VALUES = st.one_of(
    st.text(alphabet="ab:.= #'[]{}é", max_size=6),
    st.sampled_from(['"', "\n", "\\n", "\t", "\x00", '" # c', '"\nb = "x', "x\n[[target]]\na = ", '"""', "\u2028", "\r", "[[target]]"]),
)
ROWS = st.sampled_from([
    '[[target]]\na = "%s"\nb = "%s"\n', '[[target]]\na = "%s"\nb = "%s"\n', '[[target]]\na = "%s" # "%s"\n', "[[target]]\na = '%s'\nb = \"%s\"\n",
    '[[target]]\na = "%s"\n\n# %s\n', '[[target]]\na = ["%s", "%s"]\n', '[[target]]\na = "%s"\nb = { c = "%s" }\n', '[[ target ]]\na = "%s"\nb = "%s"\n',
    '[[target]]\na = "%s"\n[other]\nb = "%s"\n', '[[target]]\na = "%s"\na = "%s"\n', '[[target]] # c\na = "%s"\nb = "%s"\n', '[[target]]a = "%s"\nb = "%s"\n',
])  # fmt: skip


@settings(max_examples=examples(400), deadline=None)
@given(
    st.sampled_from(["", '[x]\ny = "z"\n', "[target]\n", "# c\n\n", "target = []\n", "a = [\n[[1]],\n]\n"]),
    st.lists(st.tuples(ROWS, st.booleans()), min_size=1, max_size=5),
    st.lists(ROW_VALUES, min_size=10, max_size=10),
    st.sampled_from(["", "\n", '[y]\nz = "1"', "[[target]]"]),
)
@example("", [('[[target]]\na = "%s"\nb = "%s"\n', True)] * 2, ["u", "v", 'x"\nb = "y', "z", *"......"], "")
def test_rows_alike_are_read_alike(head, rows, values, tail):
    """Most values are harmless, so that the rows before one that is not have been read in the quick way."""
    texts = iter(values)
    body = "".join(row % ((next(texts), next(texts)) if odd else ("u", "v")) for row, odd in rows)
    agrees(head + body + tail)


def test_hundreds_of_targets_are_read_in_the_quick_way(monkeypatch):
    text = '[lastcall]\nservice = "x"\n' + "".join(f'\n[[target]]\nref = "m{n}:f"\nowner = "o{n % 7}"\n' for n in range(200))
    asked = []
    flat = config_file._flat_table
    monkeypatch.setattr(config_file, "_flat_table", lambda block: (asked.append(block), flat(block))[1])
    assert config_file.loads(text) == tomllib.loads(text)
    assert len(asked) == 1


@pytest.mark.parametrize("text", ["a = " + "[" * 5000, "a = " + "{ a = " * 5000, "[" + "a." * 5000 + "a]"])
def test_deep_nesting_is_declined_or_read_but_never_crashes(text):
    outcome(config_file.loads, text)
