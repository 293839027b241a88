"""Two targets that are one function: each is counted, and where the call is."""

from __future__ import annotations

import pytest

from worlds import ENGINES, World, wrapt_in_c

HOST = """\
    import functools
    import legacy
    def decorated(function):
        def inner(*args, **kwargs):
            return function(*args, **kwargs)
        return inner
    shim = decorated(legacy.old)
    many = (1, 2)
    for turn in range(3):
        shim(1)
        shim(1, 2)
        legacy.old(*many)
        legacy.old(1, mode=2)
        functools.partial(legacy.old, mode=2)()
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_a_function_and_its_argument_are_counted_beside_each_other(tmp_path, engine):
    if engine == "wrapping" and not wrapt_in_c():
        pytest.skip("without its C extension wrapt adds a frame")
    files = {"host.py": HOST, "legacy.py": "def old(a=1, mode=None): return a\n"}
    watched = World(tmp_path, files, ("legacy:old", "legacy:old(mode=)")).run(engine)

    assert watched.internal_errors() == {}
    assert {(use.target, use.file, use.line): use.count for use in watched.uses()} == {
        **{("legacy:old", "host.py", line): 3 for line in (10, 11, 12, 13, 14)},
        **{("legacy:old(mode=)", "host.py", line): 3 for line in (11, 12, 13, 14)},
    }


@pytest.mark.parametrize("engine", ENGINES)
def test_watchers_of_one_functions_code_and_its_own_constants_are_told_apart(tmp_path, engine):
    """A hook in rewritten code passes for the empty bytes, and so did the next hook and the function's own."""
    if engine == "wrapping" and not wrapt_in_c():
        pytest.skip("without its C extension wrapt adds a frame")
    host = """\
        import legacy
        for turn in range(2):
            print(legacy.Sub().kept, type(legacy.Sub().kept))
            legacy.Base()
        print(legacy.empty(), type(legacy.empty()), legacy.empty.__code__.co_name)
        held = legacy.empty
        """
    legacy = """\
        class Base:
            def __init__(self, kept=b""): self.kept = kept or b""
        class Sub(Base): pass
        class Other(Base): pass
        def empty(): return b""
        registry = [empty]
        """
    world = World(tmp_path, {"host.py": host, "legacy.py": legacy}, ("legacy:Base", "legacy:Sub", "legacy:Other", "legacy:empty"))

    plain, watched = world.run(), world.run(engine)

    assert (watched.out, watched.err) == (plain.out, plain.err)
    counts = {}
    for use in watched.uses():
        counts[use.target[7:], use.line] = counts.get((use.target[7:], use.line), 0) + use.count
    assert counts == {("Base", 3): 4, ("Sub", 3): 4, ("Base", 4): 2, ("empty", 5): 2}
