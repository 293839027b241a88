"""What arming a target depends on, where it cannot be met by chance in a whole process."""

from __future__ import annotations

import enum
import sys
from types import ModuleType

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
