"""Calls written into code: what was rewritten does what the original did, and says the same of itself."""

from __future__ import annotations

import asyncio
import dis
import gc
import importlib
import inspect
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from types import CodeType, FunctionType

import pytest

from lastcall.engines import prologue
from lastcall.engines.inplace import fits, suspends
from lastcall.engines.prologue import Constant, Unavailable, before_creation, with_prologue

rewritten = pytest.mark.skipif(sys.version_info >= (3, 12), reason="3.12 and later watch code with sys.monitoring")
created = pytest.mark.skipif(sys.version_info < (3, 11), reason="before 3.11 no code runs when these are called")

MODULES = ["argparse", "ast", "asyncio.base_events", "calendar", "collections", "configparser", "dataclasses", "doctest",
           "difflib", "email.message", "enum", "fractions", "functools", "heapq", "inspect", "json.decoder",
           "logging", "os", "pickle", "random", "re", "shutil", "statistics", "string", "subprocess", "tarfile",
           "textwrap", "threading", "tokenize", "typing", "unittest.case", "urllib.parse", "uuid", "zipfile"]


def functions(module: str, wanted: Callable[[object], bool]) -> list[FunctionType]:
    found = []
    for value in vars(importlib.import_module(module)).values():
        members = list(vars(value).values()) if isinstance(value, type) else [value]
        found += [f for f in members if type(f) is FunctionType and f.__module__ == module and wanted(f)]
    return found


def nothing() -> None:
    """A hook that does nothing."""


def behind_hook(code: CodeType) -> list[tuple[object, ...]]:
    """The instructions without the hook's, with what a reader sees of them."""
    rows = [(i.opname, i.argval, getattr(i, "positions", i.starts_line)) for i in dis.get_instructions(code)
            if i.opname != "EXTENDED_ARG"]
    at = next((n for n, row in enumerate(rows) if type(row[1]) is Constant), None)
    if at is not None:
        before = 1 if rows[at - 1][0] == "PUSH_NULL" else 0
        end = next(n for n in range(at, len(rows)) if rows[n][0] == "POP_TOP")
        del rows[at - before:end + 1]
    return [(name, None if "JUMP" in name or name in ("FOR_ITER", "SEND") or name.startswith("SETUP") else
             (value.co_name if isinstance(value, CodeType) else repr(value)), where) for name, value, where in rows]


def check_is_kept(code: CodeType, new: CodeType) -> None:
    assert [r[:2] for r in behind_hook(new)] == [r[:2] for r in behind_hook(code)], code.co_name
    if sys.version_info >= (3, 11):
        assert [r[2] for r in behind_hook(new)] == [r[2] for r in behind_hook(code)], code.co_name
        old_table, new_table = dis._parse_exception_table(code), dis._parse_exception_table(new)
        moved = (len(new.co_code) - len(code.co_code)) if old_table else 0
        assert [(e.start + moved, e.end + moved, e.target + moved, e.depth, e.lasti) for e in old_table] == [
            (e.start, e.end, e.target, e.depth, e.lasti) for e in new_table]
    assert new.co_consts[:1] == code.co_consts[:1], "the docstring is the first constant"


@rewritten
@pytest.mark.parametrize("module", MODULES)
def test_every_instruction_and_position_is_kept(module: str) -> None:
    checked = 0
    for function in functions(module, fits):
        check_is_kept(function.__code__, with_prologue(function.__code__, nothing))
        checked += 1
    assert checked


@created
def test_every_instruction_and_position_of_what_suspends_is_kept() -> None:
    found = [function for module in MODULES for function in functions(module, suspends)]
    assert len(found) > 30
    for function in found:
        check_is_kept(function.__code__, before_creation(function.__code__, nothing))


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


@rewritten
@pytest.mark.parametrize("args", [(1,), (1, 2, 0, 5), (1, "x"), ("a", 1), ()])
def test_results_errors_and_traceback_lines_are_the_same(args: tuple[int, ...]) -> None:
    calls: list[int] = []
    copy = FunctionType(with_prologue(sample.__code__, lambda: calls.append(1)), globals(), None, sample.__defaults__)
    copy.__kwdefaults__ = sample.__kwdefaults__
    assert outcome(copy, *args, z=4) == outcome(sample, *args, z=4)
    assert len(calls) == (1 if args else 0)


@rewritten
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


def watched(function: FunctionType) -> list[str]:
    """The names of the functions that call it, as they come in."""
    callers: list[str] = []
    function.__code__ = before_creation(function.__code__, lambda: callers.append(sys._getframe(1).f_code.co_name))
    return callers


@created
def test_a_function_that_suspends_is_seen_when_it_is_called_and_its_caller_is_the_next_frame() -> None:
    free = 3

    def generator(x: int) -> Iterator[int]:
        kept = lambda: x + free  # noqa: E731 - a cell of its own
        try:
            yield kept()
        except KeyError:
            yield -1

    async def coroutine(x: int) -> int:
        return x + free

    async def stream(x: int) -> AsyncIterator[int]:
        yield x

    callers = watched(generator)
    made = generator(1)
    assert callers == [sys._getframe().f_code.co_name]
    assert inspect.getgeneratorstate(made) == "GEN_CREATED"
    assert list(made) == [4]
    thrown = generator(1)
    with pytest.raises(KeyError) as caught:
        thrown.throw(KeyError)
    assert caught.traceback[-1].lineno + 1 == generator.__code__.co_firstlineno
    assert next(generator(1)) == 4
    assert len(callers) == 3

    async def run() -> list[int]:
        return [await coroutine(2), *[x async for x in stream(7)]]

    of_coroutine, of_stream = watched(coroutine), watched(stream)
    assert asyncio.run(run()) == [5, 7]
    assert of_coroutine == of_stream == ["run"]
    assert inspect.iscoroutinefunction(coroutine)
    assert inspect.isasyncgenfunction(stream)


@created
def test_the_frame_of_what_is_being_made_is_on_nobodys_stack() -> None:
    stacks: list[list[str]] = []

    def generator() -> Iterator[int]:
        yield 1

    def hook() -> None:
        gc.collect()
        stacks.append([frame.name for frame in traceback.extract_stack()])

    generator.__code__ = before_creation(generator.__code__, hook)
    assert list(generator()) == [1]
    assert stacks[0][-2:] == [sys._getframe().f_code.co_name, "hook"]


@created
def test_a_function_that_suspends_and_has_many_constants_and_a_handler_at_once() -> None:
    names: dict[str, object] = {}
    lines = "".join(f"  x += {n + 1000}\n" for n in range(400))
    exec(f"def f(x):\n try:\n{lines}  yield x\n except ValueError as e:\n  yield str(e)\n", names)
    function: FunctionType = names["f"]  # type: ignore[assignment]
    expected = list(function(1))
    callers = watched(function)
    assert list(function(1)) == expected
    made = function(1)
    next(made)
    assert made.throw(ValueError("here")) == "here"
    assert len(callers) == 2


def test_what_does_not_suspend_has_nothing_before_its_creation() -> None:
    with pytest.raises(Unavailable):
        before_creation(sample.__code__, nothing)


@rewritten
def test_the_hook_is_no_constant_of_the_functions_own() -> None:
    """It passes for the empty bytes with whoever looks; the function's own empty bytes are another object."""

    def collect(parts: list[bytes]) -> bytes:
        data = b""
        for part in parts:
            data += part
        return data

    calls: list[int] = []
    collect.__code__ = with_prologue(collect.__code__, lambda: calls.append(1))
    assert [collect([b"a", b"b"]), collect([b"c"]), collect([])] == [b"ab", b"c", b""]
    assert type(collect([])) is bytes
    assert len(calls) == 4


@rewritten
def test_what_the_library_cannot_rewrite_is_left_to_the_other_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    import bytecode

    monkeypatch.setattr(prologue, "_inserted", lambda *_: None)
    monkeypatch.setattr(bytecode.Bytecode, "to_code", lambda _: 1 / 0)
    with pytest.raises(Unavailable, match="cannot be rewritten"):
        with_prologue((lambda: 1).__code__, lambda: None)
