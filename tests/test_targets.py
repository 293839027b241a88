"""References, patterns, allow lists, dates."""

from __future__ import annotations

import datetime as dt
import fnmatch
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastcall import callsite
from lastcall.callsite import Pattern, glob_match
from lastcall.targets import Allow, BadReferenceError, Ref, Target
from lastcall.words import day_number

WORD = st.text(alphabet="abc_", min_size=1, max_size=4)
DOTTED = st.lists(WORD, min_size=1, max_size=5).map(".".join)
PATTERN = st.lists(st.one_of(WORD, st.sampled_from(["*", "**", "?", "a*", "*b", "a?c", "***"])), min_size=1, max_size=5).map(".".join)


def as_regular_expression(pattern: str) -> re.Pattern[str]:
    """The slow way to say what a pattern covers: over the name with a dot behind each segment."""
    parts = []
    for segment in pattern.split("."):
        if segment == "**":
            parts.append(r"(?:[^.]*\.)*")
        else:
            parts.append("".join({"*": "[^.]*", "?": "[^.]"}.get(c, re.escape(c)) for c in segment) + r"\.")
    return re.compile("".join(parts) + r"\Z")


@given(PATTERN, DOTTED)
def test_patterns_cover_what_the_regular_expression_covers(pattern, dotted):
    assert Pattern(pattern).matches(dotted) == bool(as_regular_expression(pattern).match(dotted + "."))


@given(st.text(alphabet="ab*?", max_size=8), st.text(alphabet="ab", max_size=8))
def test_globs_match_as_fnmatch_does(pattern, text):
    assert glob_match(pattern, text) == fnmatch.fnmatchcase(text, pattern)


@pytest.mark.parametrize(("pattern", "name", "covered"), [
    ("foo", "foobar", False), ("foo.*", "foo", False), ("foo.**", "foo", True), ("foo.**", "foobar.x", False),
    ("foo.**", "foo.a.b", True), ("**.b", "a.b", True), ("**", "anything.at.all", True), ("a.*.c", "a.b.b.c", False),
])
def test_a_pattern_stops_at_the_dots(pattern, name, covered):
    assert Pattern(pattern).matches(name) is covered


@given(DOTTED, DOTTED)
def test_a_reference_keeps_its_parts(module, qualname):
    ref = Ref(f" {module}:{qualname} ")
    assert (ref.module, ref.qualname, ref.parameter, ref.text) == (module, qualname, "", f"{module}:{qualname}")
    with_parameter = Ref(f"{module}:{qualname}(mode=)")
    assert (with_parameter.qualname, with_parameter.parameter) == (qualname, "mode")


@pytest.mark.parametrize("module", ["shop.migrations.0001_initial", "shop.2024", "shop.*.0?_x"])
def test_a_module_in_a_package_may_begin_with_a_digit(module):
    assert (Ref(module).module, Ref(f"{module}:forwards").qualname) == (module, "forwards")


@pytest.mark.parametrize("text", [
    "a.1-b:c", "a.:c", "a.1b..c", "a:1b", "a:b.1c", "", ":", "a:", ":b", "a b:c", "a:b c", "a..b:c", "a:b..c", "a:b()", "a:b(1=)", "a/b:c", "a:b:c", "a:b(c=)d", "1a:b", ".a:b",
])
def test_what_is_no_reference_is_refused_with_a_sentence(text):
    with pytest.raises(BadReferenceError, match="package.module"):
        Ref(text)


@given(st.text(max_size=30))
def test_no_text_breaks_the_parser(text):
    try:
        ref = Ref(text)
    except BadReferenceError:
        return
    assert ref.module


@given(st.dates(min_value=dt.date(1900, 1, 1)))
def test_days_are_counted_as_datetime_counts_them(date):
    assert day_number(date.isoformat()) == (date - dt.date(1970, 1, 1)).days


@given(st.text(alphabet="0123456789-", min_size=8, max_size=11))
def test_only_days_of_the_calendar_are_dates(text):
    try:
        expected = (dt.datetime.strptime(text, "%Y-%m-%d").date() - dt.date(1970, 1, 1)).days
    except ValueError:
        expected = None
    if expected is None or len(text) != 10:  # strptime also takes 2026-1-1
        with pytest.raises(ValueError, match="YYYY-MM-DD|calendar"):
            day_number(text)
    else:
        assert day_number(text) == expected


def test_an_allow_entry_holds_through_its_last_day():
    last = (day_number("2026-12-31") + 1) * 86_400 * 10**9
    entry = Allow("pkg.inner.**", "migration", "2026-12-31")
    assert entry.covers("pkg.inner.module", "function", last - 1)
    assert not entry.covers("pkg.inner.module", "function", last)
    assert not entry.covers("pkg.innermost", "function", 0)
    assert Allow("pkg.module:Class.*").covers("pkg.module", "Class.method", 0)
    assert not Allow("pkg.module:Class.*").covers("pkg.module", "other", 0)


def test_the_first_allow_entry_that_covers_gives_the_reason():
    target = Target("a:b", allow=(Allow("x", "first", "2020-01-01"), Allow("x.**", "second")))
    day = day_number("2020-01-02") * 86_400 * 10**9
    assert target.allowed_reason("x", "f", day - 1) == "first"
    assert target.allowed_reason("x", "f", day) == "second"
    assert target.allowed_reason("y", "f", 0) is None


def test_what_a_target_takes_its_file_for_at_first():
    assert Target("a:b").file_kind == callsite.APPLICATION
