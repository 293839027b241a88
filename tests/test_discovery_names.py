"""Reads of a watched name are counted each time, however hot the code is that reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from worlds import World

LIBRARY = """
    def real():
        return 1

    old = real
"""

ANSWERING = """
    def __getattr__(name):
        if name == "gone":
            return "from __getattr__"
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
"""

HOST = """
    import answering
    import library

    def read(times):
        for _ in range(times):
            library.old

    def read_gone(times):
        for _ in range(times):
            assert answering.gone == "from __getattr__"

    read(500)
    read_gone(300)
    try:
        library.never
    except AttributeError as error:
        print(error)
    try:
        answering.never
    except AttributeError as error:
        print(error)
    print(library.old is library.real, hasattr(library, "nothing"))
"""


@pytest.mark.parametrize(("name", "count"), [("library:old", 501), ("answering:gone", 300)])
def test_a_name_read_in_a_hot_loop_is_counted_each_time(tmp_path: Path, name: str, count: int) -> None:
    world = World(tmp_path, {"library.py": LIBRARY, "answering.py": ANSWERING, "host.py": HOST})
    world.targets = (name,)
    plain, watched = world.run(), world.run("auto")
    assert (watched.out, watched.err, watched.code) == (plain.out, plain.err, plain.code)
    assert watched.total(name) == count
    assert watched.internal_errors() == {}
