"""Each use is counted at its own place and for who made it, where places look alike or nobody of the host's is below."""

from __future__ import annotations

from collections import Counter

import pytest

from lastcall.store import Store
from worlds import ENGINES, Run, World

LEGACY = "def old(value=1):\n    return value\n"


def rows(run: Run) -> Counter[tuple[str, int, str, str, str]]:
    """How often each place used a target: file, line, function, module, origin."""
    found: Counter[tuple[str, int, str, str, str]] = Counter()
    with Store.current(run.store) as store:
        for row in store.uses():
            site = row.site
            found[site.file, site.line, site.function.rpartition(".")[2], site.module, site.origin] += row.count
    return found


@pytest.mark.parametrize("engine", ENGINES)
def test_pieces_of_code_with_one_name_are_told_apart_by_their_lines(tmp_path, engine):
    """Two texts that are compiled for one file's name may have their calls at the same offset in different lines."""
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": """
        from legacy import old
        for turn in range(3):
            exec("\\n" * turn + "old()")
        exec("old(); old()")
        text = "def made():\\n{}    return old()\\nmade(); made()"
        for gap in ("", "\\n", ""):
            exec(compile(text.format(gap), "made.py", "exec"))
        """}, ("legacy:old",))
    run = world.run(engine)
    assert run.err == ""
    assert rows(run) == {
        ("<string>", 1, "<module>", "__main__", "direct"): 3,
        ("<string>", 2, "<module>", "__main__", "direct"): 1,
        ("<string>", 3, "<module>", "__main__", "direct"): 1,
        ("made.py", 2, "made", "__main__", "direct"): 4,
        ("made.py", 3, "made", "__main__", "direct"): 2,
    }


@pytest.mark.parametrize("engine", ENGINES)
def test_a_file_that_is_changed_and_reloaded_is_used_at_its_new_lines(tmp_path, engine):
    world = World(tmp_path, {"legacy.py": LEGACY, "view.py": "import legacy\nlegacy.old()\n", "host.py": """
        import importlib, pathlib, sys
        sys.dont_write_bytecode = True
        import view
        pathlib.Path("view.py").write_text("import legacy\\n\\n\\nlegacy.old()\\n")
        importlib.invalidate_caches()
        importlib.reload(view)
        """}, ("legacy:old",))
    run = world.run(engine)
    assert run.err == ""
    assert rows(run) == {("view.py", line, "<module>", "view", "direct"): 1 for line in (2, 4)}


@pytest.mark.parametrize("engine", ENGINES)
def test_made_code_of_the_targets_module_does_not_hide_that_of_another(tmp_path, engine):
    """A dataclass's constructor is line 2 of `<string>` in every module that makes one."""
    legacy = """
        import dataclasses

        def old():
            return []

        @dataclasses.dataclass
        class Own:
            kept: list = dataclasses.field(default_factory=old)
        """
    world = World(tmp_path, {"legacy.py": legacy, "app/__init__.py": "", "app/shop.py": """
        import dataclasses, legacy

        @dataclasses.dataclass
        class Cart:
            kept: list = dataclasses.field(default_factory=legacy.old)
        """, "host.py": "import legacy, app.shop\nlegacy.Own()\nlegacy.Own()\napp.shop.Cart()\n"}, ("legacy:old",))
    run = world.run(engine)
    assert run.err == ""
    found: Counter[tuple[str, str]] = Counter()
    for (_file, _line, function, module, origin), count in rows(run).items():
        assert function == "__init__"
        found[module, origin] += count
    assert found == {("legacy", "self"): 2, ("app.shop", "direct"): 1}


def test_what_a_thread_runs_first_is_the_applications(tmp_path):
    """With nothing below it but the standard library no package of others has called."""
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": """
        import threading
        from concurrent.futures import ThreadPoolExecutor
        import legacy

        threads = [threading.Thread(target=legacy.old), threading.Timer(0, legacy.old)]
        for thread in threads:
            thread.start()
            thread.join()
        with ThreadPoolExecutor(1) as pool:
            print(list(pool.map(legacy.old, range(3))))
        """}, ("legacy:old",))
    run = world.run("auto")
    assert run.err == ""
    found: Counter[tuple[str, str]] = Counter()
    for (_file, _line, _function, module, origin), count in rows(run).items():
        found[module, origin] += count
    assert found == {("threading", "direct"): 2, ("concurrent.futures.thread", "direct"): 3}


@pytest.mark.parametrize("engine", ["auto", "inplace"])  # a wrapper misses what `functools` holds
def test_what_functools_passes_on_is_called_by_who_called_that(tmp_path, engine):
    """Else all callers of a partial method, and of what was registered for a type, would be one line of `functools`."""
    world = World(tmp_path, {"legacy.py": """
        import functools

        class Shop:
            def _buy(self, what, number=1): return number
            buy_one = functools.partialmethod(_buy, "one")

            @functools.singledispatchmethod
            def sell(self, what): return 2

            @sell.register(str)
            def sell_text(self, what): return 3

        @functools.singledispatch
        def show(what): return 4

        @show.register(str)
        def show_text(what): return 5
        """, "host.py": """
        import legacy
        shop = legacy.Shop()
        shop.buy_one()
        shop.buy_one(number=3), shop._buy("two")
        def sell():
            return shop.sell("text")
        sell(), sell()
        for _ in range(3):
            legacy.show("text")
        list(map(legacy.show, ["a", "b"])), legacy.show(1)
        """}, ("legacy:Shop._buy", "legacy:Shop.sell_text", "legacy:show_text"))
    run = world.run(engine)
    assert run.err == ""
    found: dict[tuple[str, str, int], int] = {}
    for use in run.uses():
        where = use.target.partition(":")[2], use.file, use.line
        found[where] = found.get(where, 0) + use.count
    assert found == {
        ("Shop._buy", "host.py", 4): 1, ("Shop._buy", "host.py", 5): 2, ("Shop.sell_text", "host.py", 7): 2,
        ("show_text", "host.py", 10): 3, ("show_text", "host.py", 11): 2,
    }
