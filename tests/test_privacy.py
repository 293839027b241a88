"""Arguments, results, locals and source lines are nowhere: not in the store, its live files, or what is exported."""

from __future__ import annotations

from pathlib import Path

import pytest

from worlds import ENGINES, World

CONFIG = """
[discover]
warnings = ["DeprecationWarning"]
logs = ["deprecated"]
[[target]]
ref = "legacy:old"
[[target]]
ref = "legacy:Old"
[[target]]
ref = "legacy:Old.method"
[[target]]
ref = "legacy:LIMIT"
[[target]]
ref = "legacy:taking(mode=)"
"""
LEGACY = """
    import logging, warnings

    LIMIT = "sesame-value"

    def old(given, **more):
        local = "sesame-local"
        if given == "sesame-raise":
            raise ValueError("sesame-message")
        return "sesame-result"

    class Old:
        def __init__(self, given):
            self.given = given

        def method(self, given):
            return self.given + given

    def taking(value, mode="sesame-default"):
        return value + mode

    def warns(given):
        warnings.warn(f"old is deprecated, {given}", DeprecationWarning, stacklevel=2)

    def logs(given):
        logging.getLogger("legacy").warning("old is deprecated, %s", given)
"""
HOST = """
    import json
    import legacy, waiting

    def go(private="sesame-parameter"):
        held = "sesame-held"  # sesame-comment
        legacy.old("sesame-argument", key="sesame-keyword")
        legacy.Old("sesame-constructed").method(held); legacy.taking("sesame-one", mode="sesame-mode")
        legacy.warns("sesame-warned")
        legacy.logs("sesame-logged")
        legacy.LIMIT, "sesame-line"
        try:
            legacy.old("sesame-raise")
        except ValueError:
            pass

    go()
    waiting.rounds()
    go()
    waiting.rounds(2)
    from lastcall.testing import memory_exporters
    (exporter,) = memory_exporters()
    print(len(exporter.entries), "sesame" in json.dumps(exporter.entries), "sesame" in repr(exporter.batches))
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_what_a_program_works_on_is_nowhere(tmp_path, engine):
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": HOST, "lastcall.toml": CONFIG})
    settings = {"LASTCALL_EXPORTERS": "store,memory", "LASTCALL_SPANS": "all", "LASTCALL_FLUSH_INTERVAL": "600"}
    run = world.run(engine, **settings)
    number, in_entries, in_batches = run.out.split()
    assert int(number) > 6
    assert (in_entries, in_batches) == ("False", "False")
    kept = [path for path in Path(run.store).parent.rglob("*") if path.is_file()]
    assert len(kept) >= 3
    before = b"".join(path.read_bytes() for path in kept)
    found = {use.target for use in run.uses()}
    assert found >= {"legacy:old", "legacy:Old", "legacy:Old.method", "legacy:LIMIT", "legacy:warns", "legacy:logs"}
    after = b"".join(path.read_bytes() for path in Path(run.store).parent.rglob("*") if path.is_file())
    assert b"sesame" not in before + after
