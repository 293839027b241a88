"""`lastcall.testing.capture_uses()` in our own process and in a host that has the agent already."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from lastcall import bootstrap
from lastcall.testing import capture_uses
from worlds import World


@pytest.fixture
def legacy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    (tmp_path / "captured_legacy.py").write_text("def old():\n    return 1\nclass Old:\n    def __init__(self):\n        self.x = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    import captured_legacy

    yield captured_legacy
    del sys.modules["captured_legacy"]


def test_it_starts_and_stops_the_agent_and_leaves_no_trace(legacy: types.ModuleType) -> None:
    original, finders = legacy.old, list(sys.meta_path)
    for _ in range(2):
        with capture_uses("captured_legacy:old", "captured_legacy:Old") as captured:
            for _ in range(4):
                legacy.old()
            legacy.Old()
            assert captured.count("captured_legacy:old") == 4
        assert captured.count() == 5
        assert [(site.expression, site.function.rpartition(".")[2]) for site in captured.sites("captured_legacy:old")] == [
            ("legacy.old", "test_it_starts_and_stops_the_agent_and_leaves_no_trace")]
        assert legacy.old is original
        assert sys.meta_path == finders
        legacy.old()
    assert captured.count() == 5
    assert bootstrap.life().stopped


def test_captures_nest_and_each_counts_its_own_time(legacy: types.ModuleType) -> None:
    with capture_uses("captured_legacy:old") as outer:
        legacy.old()
        with capture_uses("captured_legacy:Old") as inner:
            legacy.Old()
            legacy.old()
        legacy.Old()
    assert outer.count("captured_legacy:old") == 2
    assert inner.count() == 2
    assert outer.count("captured_legacy:Old") == 2


def test_a_bad_reference_is_said_at_once() -> None:
    with pytest.raises(ValueError, match="not of the form"), capture_uses("no such thing"):
        pass


def test_a_host_with_the_agent_keeps_it(tmp_path: Path) -> None:
    world = World(tmp_path, {"legacy.py": "def old(): pass\ndef older(): pass\n", "host.py": """
        import legacy
        from lastcall.testing import capture_uses
        legacy.old()
        with capture_uses("legacy:older") as captured:
            legacy.older()
            legacy.old()
        legacy.older()
        print(captured.count())
    """}, targets=("legacy:old",))
    watched = world.run("auto")
    assert watched.out == "2\n", watched.err
    assert (watched.total("legacy:old"), watched.total("legacy:older")) == (2, 2)
