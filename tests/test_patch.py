"""What arming a target depends on, where it cannot be met by chance in a whole process."""

from __future__ import annotations

import enum
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

from lastcall import asking, targets
from lastcall.lookup import is_enum


def test_a_class_is_told_from_an_enumeration_while_another_thread_imports_enum(monkeypatch):
    class Colour(enum.Enum):
        RED = 1

    assert is_enum(Colour)
    assert not is_enum(ModuleType)
    monkeypatch.setitem(sys.modules, "enum", ModuleType("enum"))  # as it is when its first line is about to run
    assert not is_enum(ModuleType)
    monkeypatch.delitem(sys.modules, "enum")
    assert not is_enum(ModuleType)


def test_nothing_is_wrapped_while_another_thread_imports_the_engine_that_wraps(monkeypatch):
    """With wrapt in Python that takes long, and our thread may do it while the host's arms the script's own targets."""
    half_made = ModuleType("lastcall.engines.wrapping")
    half_made.__spec__ = ModuleSpec(half_made.__name__, None)
    half_made.__spec__._initializing = True
    monkeypatch.setitem(sys.modules, half_made.__name__, half_made)
    target = targets.Target("legacy:old")
    assert asking.unwrapped(is_enum) is is_enum
    assert not target._is_in(is_enum)
