"""Targets in a script whose functions run in processes that multiprocessing spawned, under the name `__mp_main__`."""

from __future__ import annotations

from pathlib import Path

import pytest

from lastcall.store import Store
from worlds import World

SCRIPT = """
    import multiprocessing, sys, time, warnings
    from concurrent.futures import ProcessPoolExecutor

    OLD_NAME = 7

    def old():
        return 1

    def legacy_total():
        return 2

    class Old:
        def __init__(self):
            self.made = True

        def method(self):
            return 3

    async def created():
        return 4

    def warns():
        warnings.warn("warns() is deprecated", DeprecationWarning, stacklevel=2)

    def work(number):
        time.sleep(0.3)
        for _ in range(number):
            old()
            legacy_total()
            Old().method()
            created().close()
            warns()
        return old, Old()

    def work_again(number):
        for _ in range(3):
            last = work(number)
        return last

    if __name__ == "__main__":
        context = multiprocessing.get_context(sys.argv[1])
        print([one[0]() for one in [work(1)]])
        with ProcessPoolExecutor(2, mp_context=context) as pool:
            for function, made in pool.map(work_again, [1, 2, 3]):
                print(function is old, function.__module__, type(made) is Old, made.made)
        process = context.Process(target=old)
        process.start()
        process.join()
        print(process.exitcode)
"""
TARGETS = ("old", "Old", "Old.method", "created")


@pytest.mark.parametrize(("method", "name"), [
    ("spawn", "__main__"),
    ("forkserver", "host"),
    ("fork", "__main__"),
    pytest.param("spawn", "host", marks=pytest.mark.slow),
    pytest.param("forkserver", "__main__", marks=pytest.mark.slow),
    pytest.param("fork", "host", marks=pytest.mark.slow),
])  # fmt: skip
def test_what_spawned_processes_use_of_the_script_is_counted(tmp_path: Path, method: str, name: str) -> None:
    config = '[discover]\nwarnings = ["DeprecationWarning"]\n'
    world = World(tmp_path, {"host.py": SCRIPT, "lastcall.toml": config},
                  (*(f"{name}:{target}" for target in TARGETS), f"{name}:legacy_*"),
                  environ={"LASTCALL_DEBUG": "1", "LASTCALL_FLUSH_INTERVAL": "0.1"})
    world.command = lambda: [*World.command(world), method]  # type: ignore[method-assign]
    plain, watched = world.run(), world.run("auto")
    assert (watched.out, watched.err, watched.code) == (plain.out, plain.err, plain.code)
    assert watched.internal_errors() == {}
    totals: dict[str, int] = {}
    for use in watched.uses():
        totals[use.target] = totals.get(use.target, 0) + use.count
    times = 1 + 3 * (1 + 2 + 3)
    assert totals == {
        f"{name}:old": times + 2, f"{name}:legacy_total": times, f"{name}:Old": times + 10, f"{name}:Old.method": times,
        f"{name}:created": times, "__main__:warns": times,
    }
    with Store.current(watched.store) as store:
        assert {row.site.module for row in store.uses() if row.site.file == "host.py"} == {"__main__"}
        states = {row.state.state for row in store.states() if row.until is None}
        assert states - {"pending"} == {"armed"}  # multiprocessing's own processes run no script


@pytest.mark.parametrize("method", ["spawn", pytest.param("forkserver", marks=pytest.mark.slow)])
def test_a_package_run_as_a_module_is_watched_in_spawned_processes(tmp_path: Path, method: str) -> None:
    world = World(tmp_path, {"pkg/__init__.py": "", "pkg/tool.py": SCRIPT}, ("pkg.tool:old",), environ={"LASTCALL_DEBUG": "1"})
    world.command = lambda: [*World.command(world)[:1], "-m", "pkg.tool", method]  # type: ignore[method-assign]
    plain, watched = world.run(), world.run("auto")
    assert (watched.out, watched.err, watched.code) == (plain.out, plain.err, plain.code)
    assert watched.total("pkg.tool:old") == 1 + 3 * (1 + 2 + 3) + 2
