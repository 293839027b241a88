"""The prologue before 3.12: rewritten code does what the original did, and says the same of itself."""

from __future__ import annotations

import dis
import importlib
import sys
from types import CodeType, FunctionType

import pytest

if sys.version_info >= (3, 12):
    pytest.skip("3.12 and later watch code with sys.monitoring", allow_module_level=True)

from lastcall.engines.inplace import fits
from lastcall.engines.prologue import with_prologue

MODULES = ["argparse", "ast", "asyncio.base_events", "calendar", "collections", "configparser", "dataclasses", "doctest",
           "difflib", "email.message", "enum", "fractions", "functools", "heapq", "inspect", "json.decoder",
           "logging", "os", "pickle", "random", "re", "shutil", "statistics", "string", "subprocess", "tarfile",
           "textwrap", "threading", "tokenize", "typing", "unittest.case", "urllib.parse", "uuid", "zipfile"]


def functions(module: str) -> list[FunctionType]:
    found = []
    for value in vars(importlib.import_module(module)).values():
        members = list(vars(value).values()) if isinstance(value, type) else [value]
        found += [f for f in members if type(f) is FunctionType and f.__module__ == module and fits(f)]
    return found


def nothing() -> None:
    """A hook that does nothing."""


def behind_hook(code: CodeType) -> list[tuple[object, ...]]:
    """The instructions without the hook's, with what a reader sees of them."""
    rows = [(i.opname, i.argval, getattr(i, "positions", i.starts_line)) for i in dis.get_instructions(code)
            if i.opname != "EXTENDED_ARG"]
    at = next((n for n, row in enumerate(rows) if row[1] is nothing), None)
    if at is not None:
        before = 1 if rows[at - 1][0] == "PUSH_NULL" else 0
        end = next(n for n in range(at, len(rows)) if rows[n][0] == "POP_TOP")
        del rows[at - before:end + 1]
    return [(name, None if "JUMP" in name or name in ("FOR_ITER", "SEND") or name.startswith("SETUP") else
             (value.co_name if isinstance(value, CodeType) else repr(value)), where) for name, value, where in rows]


@pytest.mark.parametrize("module", MODULES)
def test_every_instruction_and_position_is_kept(module: str) -> None:
    checked = 0
    for function in functions(module):
        code = function.__code__
        new = with_prologue(code, nothing)
        assert [r[:2] for r in behind_hook(new)] == [r[:2] for r in behind_hook(code)], function.__qualname__
        if sys.version_info >= (3, 11):
            assert [r[2] for r in behind_hook(new)] == [r[2] for r in behind_hook(code)], function.__qualname__
            old_table, new_table = dis._parse_exception_table(code), dis._parse_exception_table(new)
            moved = (len(new.co_code) - len(code.co_code)) if old_table else 0
            assert [(e.start + moved, e.end + moved, e.target + moved, e.depth, e.lasti) for e in old_table] == [
                (e.start, e.end, e.target, e.depth, e.lasti) for e in new_table]
        assert new.co_consts[:1] == code.co_consts[:1], "the docstring is the first constant"
        checked += 1
    assert checked


def sample(a: int, *rest: int, key: int = 3, **more: int) -> object:
    """A docstring."""
    total = a
    for n in rest:
        try:
            total += 10 // n
        except ZeroDivisionError as error:
            total -= len(str(error))
        finally:
            total += key
    with memoryview(b"x") as view:
        total += view[0]
    return [x + total for x in rest], {k: (lambda v=v: v + total)() for k, v in more.items()}


def outcome(function: FunctionType, *args: int, **kwargs: int) -> object:
    try:
        return function(*args, **kwargs)
    except Exception as error:
        frames, tb = [], error.__traceback__
        while tb is not None:
            frames.append((tb.tb_frame.f_code.co_name, tb.tb_lineno))
            tb = tb.tb_next
        return type(error), str(error), frames


@pytest.mark.parametrize("args", [(1,), (1, 2, 0, 5), (1, "x"), ("a", 1), ()])
def test_results_errors_and_traceback_lines_are_the_same(args: tuple[int, ...]) -> None:
    calls: list[int] = []
    copy = FunctionType(with_prologue(sample.__code__, lambda: calls.append(1)), globals(), None, sample.__defaults__)
    copy.__kwdefaults__ = sample.__kwdefaults__
    assert outcome(copy, *args, z=4) == outcome(sample, *args, z=4)
    assert len(calls) == (1 if args else 0)


def test_more_than_256_constants_and_closures() -> None:
    names: dict[str, object] = {}
    body = "def make(free):\n def f(x):\n" + "".join(f"  x += {n + 1000}\n" for n in range(400)) + "  return x + free\n return f"
    exec(body, names)
    function = names["make"](5)
    expected = function(1)
    calls: list[int] = []
    function.__code__ = with_prologue(function.__code__, lambda: calls.append(1))
    assert function(1) == expected
    assert calls == [1]
