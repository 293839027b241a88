"""The host ends or forks while our thread is in the midst of loading a module of ours."""

from __future__ import annotations

import ast

import pytest

from worlds import World

LEGACY = "def old(value=1):\n    return value + 1\n"
SLOW = """
    import builtins, threading, time
    import_it = builtins.__import__
    main = threading.get_ident()
    half = threading.Event()
    seen = []
    def slowly(name, names=None, *others):
        module = (names or {}).get("__name__", "")
        if module.startswith("lastcall") and threading.get_ident() != main and names["__spec__"]._initializing:
            if module not in seen:
                seen.append(module)
            if module == MODULE:
                half.set()
                time.sleep(0.4)
        return import_it(name, names, *others)
    builtins.__import__ = slowly
    import legacy
    legacy.old()
    """
"""A host in which what a module of ours imports as our thread loads it takes long."""
ENDS = """
    half.wait(10)
    """
FORKS = """
    import os
    half.wait(10)
    pid = os.fork()
    legacy.old()
    if pid == 0:
        os._exit(0)
    print(os.waitpid(pid, 0)[1], half.is_set())
    """
LISTS = """
    time.sleep(1.5)
    print(seen)
    """
AT_ONCE = ["lastcall.garbage", "lastcall.store.absorb"]


def loaded(folder, module, then):
    host = f"    MODULE = {module!r}{SLOW}{then}"
    world = World(folder, {"legacy.py": LEGACY, "host.py": host}, ("legacy:old",))
    # a fork waits a second for our thread; from 3.12 on Python says that there is one, where it takes longer
    settings = {"PYTHONWARNINGS": "ignore:This process:DeprecationWarning"}
    return world.run("auto", LASTCALL_FLUSH_INTERVAL="0.02", LASTCALL_DEBUG="1", **settings)


def meets_it_half_made(tmp_path, module):
    ended, forked = (loaded(tmp_path / module / way, module, then) for way, then in (("end", ENDS), ("fork", FORKS)))
    assert (ended.out, ended.err, ended.code) == ("", "", 0), module
    assert (ended.total("legacy:old"), ended.internal_errors()) == (1, {}), module
    assert (forked.out, forked.err, forked.code) == ("0 True\n", "", 0), module
    assert (forked.total("legacy:old"), forked.internal_errors()) == (3, {}), module


@pytest.mark.parametrize("module", AT_ONCE)
def test_the_host_ends_and_forks_while_our_thread_loads_a_module(tmp_path, module):
    meets_it_half_made(tmp_path, module)


@pytest.mark.slow
def test_the_host_ends_and_forks_while_our_thread_loads_any_of_its_modules(tmp_path):
    modules = ast.literal_eval(loaded(tmp_path, "", LISTS).out)
    assert set(AT_ONCE) <= set(modules)
    for module in modules:
        meets_it_half_made(tmp_path, module)
