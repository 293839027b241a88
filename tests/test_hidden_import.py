"""Our thread's imports do not show the host a module half made."""

from __future__ import annotations

from pathlib import Path

import pytest

from worlds import World

HOST = """
    import sys, time
    import legacy
    legacy.old()
    assert "typing" not in sys.modules
    from lastcall import bootstrap
    bootstrap.life()._wake.release()  # now, and not before
    deadline = time.monotonic() + 60
    seen = 0
    while time.monotonic() < deadline:
        typing = sys.modules.get("typing")
        if typing is not None:
            seen += 1
            missing = [name for name in ("ClassVar", "get_origin", "TypedDict", "overload") if not hasattr(typing, name)]
            if missing:
                print("half made", missing)
            if seen > 50:
                break
    import typing as again
    print(seen > 50, again is typing, typing.__spec__.name, typing.Optional[int])
"""


@pytest.mark.parametrize("turn", range(3))
def test_typing_appears_whole_or_not_at_all(tmp_path: Path, turn: int) -> None:
    world = World(tmp_path, {"legacy.py": "def old(): pass\n", "host.py": HOST}, targets=("legacy:old",))
    # exporters need typing; the store alone does not
    run = world.run("inplace", LASTCALL_EXPORTERS="store,memory", LASTCALL_FLUSH_INTERVAL="600", PYTHONNOUSERSITE="1", LASTCALL_DEBUG="1")
    if "assert" in run.err:
        pytest.skip("something in this environment imports typing at start-up")
    assert run.out.startswith("True True typing"), run.out + run.err
    assert run.internal_errors() == {}
