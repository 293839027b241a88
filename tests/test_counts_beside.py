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
