"""A call written into a function's bytecode: the in-place engine where `sys.monitoring` does not see the call.

That is every function before 3.12, and from 3.11 on those that suspend (coroutine functions, generators): what
`sys.monitoring` reports of these is their first step. From 3.11 on their code begins with an instruction that makes
the coroutine and returns it, and what stands before it runs when the function is called. The interpreter takes a
frame for unfinished until it has got past there, so `sys._getframe` passes over it, and to the hook the caller is
the next frame.

On 3.11 the call goes straight into the bytecode: jumps there are relative, so all that has to move are the
exception table's offsets and the location table (both as in CPython's `Objects/exception_handling_notes.txt`
and `Objects/locations.md`). That takes 20 us a function, where taking it apart and together again with the
`bytecode` library takes 2 ms; a wildcard may name thousands. 3.10 has absolute jumps: there the library does
it.

What is called lies among the code's constants, where others find it: dill and cloudpickle pickle them one by one,
`marshal` writes them. So it is no hook but a `Constant`, which passes for the empty bytes `b""` with all of them, and
the call is one that the empty bytes answer too: `b"".swapcase()`. Code that has been sent somewhere else runs there
as it is, counted by nobody, whether there is an agent or not.
"""

from __future__ import annotations

import sys
from opcode import opmap, opname

from ..errors import is_interruption

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any


class Unavailable(Exception):  # noqa: N818 - the reason why the other engine is taken, not a failure
    """This engine cannot be had here; the message says why."""


METHOD = "swapcase"
"""The name under which a `Constant` has its hook: one that `bytes` has, and that no module gives to a global."""


class Constant(bytearray):
    """A hook in the shape of a constant that can be written: pickled, copied or marshalled it is `b""`.

    `marshal` takes whatever offers a buffer for bytes, but only a `bytearray` can have a slot, and the interpreter
    reads a slot nearly as fast as it loads the hook itself. Code objects are compared and hashed with their
    constants, so this is told by its identity.
    """

    __slots__ = (METHOD,)
    __hash__ = object.__hash__  # type: ignore[assignment]
    __eq__ = object.__eq__
    __ne__ = object.__ne__

    def __init__(self, hook: Callable[[], None]) -> None:
        super().__init__()
        self.swapcase = hook  # type: ignore[method-assign,assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return bytes, ()

    def __reduce_ex__(self, _protocol: Any) -> tuple[Any, ...]:
        return bytes, ()

    def __repr__(self) -> str:
        return "b''"

    def silence(self) -> None:
        """Count no more: code that somebody has made of ours still calls what is here."""
        self.swapcase = _nothing  # type: ignore[method-assign,assignment]


def _nothing() -> None:
    pass


def constant_of(code: CodeType, hook: Callable[[], None]) -> Constant:
    """What calls `hook` in code that was rewritten for it."""
    held: Any = hook
    return next(known for known in reversed(code.co_consts) if type(known) is Constant and known.swapcase is held)


def with_prologue(code: CodeType, hook: Callable[[], None]) -> CodeType:
    """`code` with a call of `hook` before its first line. Raises Unavailable if it cannot be rewritten."""
    constant = Constant(hook)
    if sys.version_info >= (3, 11):
        at = _behind_resume(code.co_code)
        rewritten = None if at is None else _inserted(code, at, constant)
        if rewritten is not None:
            return rewritten
    return _rewritten(code, constant)


def before_creation(code: CodeType, hook: Callable[[], None]) -> CodeType:
    """`code`, of a function that suspends, with a call of `hook` when it is called. Raises Unavailable."""
    if sys.version_info < (3, 11):
        raise Unavailable("before Python 3.11 no code of a function that suspends runs when it is called")
    rewritten = _inserted(code, 0, Constant(hook)) if opmap["RETURN_GENERATOR"] in code.co_code[::2] else None
    if rewritten is None:
        raise Unavailable("its bytecode is not laid out as expected")
    return rewritten


# -- 3.11 and later ---------------------------------------------------------------------------------

_NO_LOCATION = 15
_LONGEST_ENTRY = 8


def _inserted(code: CodeType, at: int, constant: Constant) -> CodeType | None:
    """The call put at offset `at`, which no jump leads to; None if the code is not laid out as expected."""
    raw = code.co_code
    names = code.co_names if METHOD in code.co_names else (*code.co_names, METHOD)
    call = _call_of(len(code.co_consts), names.index(METHOD))
    locations = _with_gap(code.co_linetable, at // 2, len(call) // 2)
    exceptions = _shifted(code.co_exceptiontable, len(call) // 2)  # type: ignore[attr-defined,unused-ignore]
    if locations is None:
        return None
    return code.replace(
        co_code=raw[:at] + call + raw[at:],
        co_consts=(*code.co_consts, constant),
        co_names=names,
        co_linetable=locations,
        co_exceptiontable=exceptions,  # type: ignore[call-arg,unused-ignore]
        co_stacksize=max(code.co_stacksize, 3),
    )


def _behind_resume(raw: bytes) -> int | None:
    """The offset behind the RESUME instruction that begins the function's own code."""
    for at in range(0, min(len(raw), 600), 2):
        if opname[raw[at]] == "RESUME":
            return at + 2
    return None


def _call_of(constant: int, name: int) -> bytes:
    """Instructions that call attribute number `name` of constant number `constant` and drop the result.

    How many inline cache entries follow each: CPython's `Include/internal/pycore_code.h`.
    """
    load = _instruction("LOAD_CONST", constant)
    if sys.version_info < (3, 12):
        load += _instruction("LOAD_ATTR", name, caches=4)
        call = _instruction("PRECALL", caches=1) + _instruction("CALL", caches=4)
    else:
        load += _instruction("LOAD_ATTR", name << 1, caches=9)  # the lowest bit would ask for a method
        call = _instruction("CALL", caches=3)
    null = _instruction("PUSH_NULL")
    return (null + load if sys.version_info < (3, 13) else load + null) + call + _instruction("POP_TOP")


def _instruction(name: str, argument: int = 0, *, caches: int = 0) -> bytes:
    out = bytearray()
    for shift in (24, 16, 8):
        if argument >> shift:
            out += bytes((opmap["EXTENDED_ARG"], argument >> shift & 0xFF))
    return bytes(out + bytes((opmap[name], argument & 0xFF)) + bytes(2 * caches))


def _with_gap(table: bytes, at: int, length: int) -> bytes | None:
    """The location table with `length` code units of no location put in at code unit `at`."""
    unit = offset = 0
    while offset < len(table) and unit < at:
        unit += (table[offset] & 7) + 1
        offset += 1
        while offset < len(table) and not table[offset] & 0x80:
            offset += 1
    if unit != at:
        return None
    gap = bytearray()
    while length:
        step = min(length, _LONGEST_ENTRY)
        gap.append(0x80 | _NO_LOCATION << 3 | step - 1)
        length -= step
    return table[:offset] + bytes(gap) + table[offset:]


def _shifted(table: bytes, by: int) -> bytes:
    """The exception table with every start and every handler `by` code units further on."""
    out = bytearray()
    numbers: list[int] = []
    value = 0
    for byte in table:
        value = value << 6 | byte & 0x3F
        if byte & 0x40:
            continue
        numbers.append(value)
        value = 0
        if len(numbers) == 4:  # noqa: PLR2004 - start, length, handler, depth
            start, length, handler, depth = numbers
            entry = _varint(start + by) + _varint(length) + _varint(handler + by) + _varint(depth)
            entry[0] |= 0x80
            out += entry
            numbers = []
    return bytes(out)


def _varint(value: int) -> bytearray:
    chunks = [value & 0x3F]
    while value > 0x3F:  # noqa: PLR2004 - six bits
        value >>= 6
        chunks.append(value & 0x3F | 0x40)
    return bytearray(reversed(chunks))


# -- 3.10, and whatever is laid out unexpectedly ----------------------------------------------------


class _StandIn:
    """In a `Constant`'s place while the library works: it makes one of all constants that `marshal` writes alike, of
    two hooks, or of a hook and the host's own `b""`."""

    __slots__ = ("constant",)

    def __init__(self, constant: Constant) -> None:
        self.constant = constant


def _rewritten(code: CodeType, constant: Constant) -> CodeType:
    try:
        from bytecode import Bytecode, Instr
    except ImportError as error:
        raise Unavailable("the `bytecode` library is not installed") from error
    line = code.co_firstlineno
    stand_in = _StandIn(constant)
    consts = tuple(_StandIn(known) if type(known) is Constant else known for known in code.co_consts)
    try:
        body = Bytecode.from_code(code.replace(co_consts=consts))
        if sys.version_info >= (3, 11):
            resume = next(i for i, x in enumerate(body) if isinstance(x, Instr) and x.name == "RESUME")
            body[resume + 1 : resume + 1] = [
                Instr("PUSH_NULL", lineno=line),
                Instr("LOAD_CONST", stand_in, lineno=line),
                Instr("LOAD_ATTR", METHOD, lineno=line),
                Instr("PRECALL", 0, lineno=line),
                Instr("CALL", 0, lineno=line),
                Instr("POP_TOP", lineno=line),
            ]
        else:
            # a tracer is told of each line once: this belongs to the first one, which is not the `def`
            line = next((x.lineno for x in body if isinstance(x, Instr) and x.lineno), line)
            body[0:0] = [
                Instr("LOAD_CONST", stand_in, lineno=line),
                Instr("LOAD_ATTR", METHOD, lineno=line),
                Instr("CALL_FUNCTION", 0, lineno=line),
                Instr("POP_TOP", lineno=line),
            ]
        made = body.to_code()
        consts = tuple(known.constant if type(known) is _StandIn else known for known in made.co_consts)
        return made.replace(co_consts=consts)
    except Exception as error:  # the library's own limits: whatever it raises, the other engine is there
        if is_interruption(error):
            raise
        raise Unavailable(f"its bytecode cannot be rewritten ({error})") from error
