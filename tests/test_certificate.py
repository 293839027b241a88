"""A certificate holds the evidence, and shows whether it was changed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from how_many import examples
from lastcall import config
from lastcall.certificate import as_text, certificate, digest, verify
from lastcall.errors import UsageError
from lastcall.verdict import judge
from live_files import NOW as LIVE_NOW
from live_files import LiveProcess
from verdict_evidence import NOW, QUESTION, caller, dossier
from worlds import plain_environment


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


@settings(max_examples=examples(50), deadline=None)
@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_the_digest_is_of_the_content_not_of_its_order(content):
    shuffled = dict(reversed(list(content.items())))
    assert digest(content) == digest(shuffled) == digest(json.loads(json.dumps(content)))


# -- what comes after it ----------------------------------------------------------------------------


def lastcall(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "lastcall", "certificate", *arguments],
        cwd=folder, capture_output=True, text=True, check=False, timeout=60, env=plain_environment(),
    )  # fmt: skip


@pytest.fixture
def observed(tmp_path):
    """A folder with a configuration and a store that knows its two targets."""
    process = LiveProcess(tmp_path / ".lastcall" / "store.db").target().state().target("pkg.mod:older").beat(LIVE_NOW + 9)
    process.close()
    (tmp_path / "lastcall.toml").write_text('# ours\n[[target]]\nref = "pkg.mod:old"  # soon\nowner = "platform"\n')
    return tmp_path


def test_it_says_how_the_target_stays_watched_once_it_is_deleted(observed):
    done = lastcall(observed, "pkg.mod:old")
    json.loads(done.stdout)  # nothing else on stdout
    assert 'set removed = "' in done.stderr
    assert "--mark-removed" in done.stderr
    assert "removed" not in (observed / "lastcall.toml").read_text()


def test_it_marks_the_targets_and_keeps_what_a_person_wrote(observed):
    done = lastcall(observed, "pkg.mod:old", "pkg.mod:older", "-o", "removal.json", "--mark-removed")
    assert done.returncode == 2
    text = (observed / "lastcall.toml").read_text()
    assert text.startswith('# ours\n[[target]]\nref = "pkg.mod:old"  # soon\nowner = "platform"\nremoved = "20')
    loaded = config.load(environ={}, cwd=str(observed))
    assert loaded.problems == []
    assert {target.ref for target in loaded.targets if target.removed} == {"pkg.mod:old", "pkg.mod:older"}
    assert "set removed" not in lastcall(observed, "pkg.mod:old").stderr


def test_a_configuration_that_cannot_be_changed_costs_one_sentence(observed):
    (observed / "lastcall.toml").write_text("target = 3\n")
    done = lastcall(observed, "pkg.mod:old", "--mark-removed", "-o", "removal.json")
    assert done.returncode == 3
    assert "two brackets" in done.stderr
    assert "Traceback" not in done.stderr
