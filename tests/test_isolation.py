"""Were users mixed? Findings of a real process, and that nothing of the owners' identity is kept."""

from __future__ import annotations

from pathlib import Path

from lastcall.store import Store
from worlds import World

CONFIG = """
[[target]]
ref = "app:get_manager"
isolation = { owner = "context.user_id" }
[[target]]
ref = "app:make_manager"
isolation = { owner = "context.user_id" }
[[target]]
ref = "app:Manager"
isolation = { owner = "context.user_id" }
[[target]]
ref = "app:Fresh.make"
isolation = { owner = "context.user_id" }
"""

APP = """
    class Context:
        def __init__(self, user_id):
            self.user_id = user_id

    class Manager:
        def __init__(self, context=None):
            self.context = context

    _shared = []

    def get_manager(context=None):
        if not _shared:
            _shared.append(Manager(context))
        return _shared[0]

    async def make_manager(context):
        return _shared[0]

    class Fresh:
        def make(self, context):
            return Manager(context)
"""

HOST = """
    import asyncio
    import app

    alice, bob = app.Context("alice@example"), app.Context("bob@example")
    app.get_manager(alice)
    app.get_manager(alice)
    for _ in range(3):
        app.get_manager(context=bob)
    app.Manager()
    app.Manager(alice)
    asyncio.run(app.make_manager(alice))
    asyncio.run(app.make_manager(bob))
    app.Fresh().make(alice)
    app.Fresh().make(bob)
    try:
        app.get_manager(1, 2, 3)
    except TypeError as error:
        print(error)
"""


def findings(folder: Path) -> tuple[World, dict[tuple[str, str, int], int], Path]:
    world = World(folder, {"app.py": APP, "host.py": HOST, "lastcall.toml": CONFIG})
    run = world.run("auto")
    assert run.out == world.run().out
    assert run.internal_errors() == {}
    found: dict[tuple[str, str, int], int] = {}
    with Store.current(run.store) as store:
        for row in store.findings():
            site = row.finding.site
            key = (row.finding.target, row.finding.message, site.line if site else 0)
            found[key] = found.get(key, 0) + row.finding.count
    return world, found, run.store


def test_one_object_for_two_owners_and_objects_for_nobody_are_findings(tmp_path: Path) -> None:
    _, found, _ = findings(tmp_path)
    shared = "one object was handed to two owners"
    assert found["app:get_manager", shared, 9] == 3
    assert ("app:get_manager", shared, 6) not in found
    assert found["app:Manager", "an object was made for no owner", 10] == 1
    assert not any(target == "app:Manager" and line == 11 for target, _, line in found)
    assert found["app:make_manager", shared, 13] == 1
    assert not any(target == "app:Fresh.make" for target, _, _ in found)


def test_no_identity_is_on_disk(tmp_path: Path) -> None:
    _, _, store = findings(tmp_path)
    for path in [*store.parent.rglob("*")]:
        if path.is_file():
            assert b"alice" not in path.read_bytes()
            assert b"@example" not in path.read_bytes()
