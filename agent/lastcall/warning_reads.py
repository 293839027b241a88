"""The read of `warnings.warn` as the first half of a call, and the use that is counted while it is made.

Python's own function is what is then called: a wrapper alone costs half of what a warning does. Only instructions
that are known in full are answered so; every other read gets the wrapper, whose hook learns what there is to know.

What is known of an instruction lies by the name of its function, and what is known of a caller by the offset of its
instruction, each with the code object that is meant: two look-ups of a small key and two comparisons cost half of
what it takes to make a number out of an object's address and look that up. Where two share a name or an offset, the
address decides. Before 3.11, whose code does not lie in its object, two instructions may have one address: the first
keeps it.
"""

# ruff: noqa: F821 - `_read` has globals of its own
from __future__ import annotations

import builtins
import sys
from types import FunctionType

from . import hotpath
from .asking import is_class
from .callsite import qualname_of
from .errors import getframe as frame_at
from .warning_outcomes import NOTHING, TOOLS

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType, ModuleType
    from typing import Any

    from .recorder import Recorder
    from .sites import Counters
    from .targets import Target
    from .warning_calls import Call
    from .warning_outcomes import Changes, Outcome

    Look = Callable[[FrameType, FrameType | None], bool | Outcome | None]
    """Given a frame that is about to warn, and its caller's: True if the call itself has to be seen, else what the
    warning comes to, or None."""
    See = Callable[[FrameType, tuple[Any, ...], dict[str, Any]], None]

    # What `_read` finds among its globals.
    namespace: dict[str, Any]
    by_name: dict[str, Any]
    by_address: dict[int, Any]
    recorder: Recorder
    wrapper: Any
    original: Any
    nothing: Any
    other: Any
    looks_on: Any
    judge: Callable[[Outcome, FrameType, FrameType], None]
    missed: Callable[[], Any]
    failed: Callable[[Exception], None]
    getframe: Callable[[int], FrameType]
    profiler: Callable[[], Any]
    tools: Callable[[int], str | None] | None
    marks: list[object]
    modules: dict[str, ModuleType]
    warnings: ModuleType

_MISSING = object()
MAX_READS = 20_000
"""Instructions, and callers of one of them, that are known; their code stays alive with them."""
COUNTED_AS_CALLS = ("armed", "partial")
"""The states in which a target's calls are counted, so that its warnings are no uses."""
CALLER, OWN_LINE, HELPER = "caller", "own line", "helper"
VARIABLE, VARIABLES, LOOKED_UP = "variable", "variables", "looked up"
CALLS, NOT_WANTED, UNREADABLE, THROUGH = "calls", "not wanted", "unreadable", "through"
"""What an instruction warns of: its function's caller; itself; the caller's caller; that depends on one variable; on
up to four; or on more; a target whose calls are counted; nothing of ours; what only the call itself shows; or what the
wrapper has to see."""
MAX_VARIABLES = 4
_OTHERS = (None, None, NOT_WANTED, None)
_KEPT = (str, int, type(None), type, type(lambda: None))
"""What may be kept alive for comparing: words, levels, categories, decorated functions."""


class Reads:
    """What is known of the instructions that read `warnings.warn` to call it at once.

    Or, with `through`, of those that call it by a name of its own: `through` is what is called where there is more to
    be done than to count. To call an object Python looks up its type's `__call__`, which can be a property as well.
    """

    def __init__(  # noqa: PLR0917 - made once
        self,
        module: ModuleType,
        original: Any,
        wrapper: Any,
        recorder: Recorder,
        see: See,
        changes: Changes,
        through: Any = None,
    ) -> None:
        self.module = module
        self.changes = changes
        self.original = original
        self.wrapper = wrapper
        self.recorder = recorder
        self.through = through
        self.begin: Callable[[], None] | None = None
        """Called when there is something to know for the first time."""
        self.looks_on = looking_on(self.original, recorder, see)
        self._looked_at: set[int] = set()
        """Reads of code that is kept, by address, that were looked at and are no unreadable calls."""
        self._kept: list[CodeType] = []
        self._by_name: dict[str, tuple[CodeType | None, int | None, str, Any]] = {}
        """Of the first instruction of each name; its offset, if others of the same code are meant by their address."""
        self._by_address: dict[int, tuple[CodeType, str, Any]] = {}

    def put(self, call: Call, kind: str, found: Any) -> None:
        """From now on, answer the read of this call."""
        begin, self.begin = self.begin, None
        if begin is not None:
            begin()
        address = self._address(call)
        known = self._by_address.get(address)
        if len(self._by_address) >= MAX_READS if known is None else known[0] is not call.code:
            return
        self._by_address[address] = call.code, kind, found
        name = qualname_of(call.code)
        holder = self._by_name.get(name)
        at = None if call.only_read and not self.through else address - id(call.code)
        if holder is None or holder is _OTHERS or (holder[0] is call.code and holder[1] == at):
            self._by_name[name] = call.code, at, kind, found

    def _address(self, call: Call) -> int:
        return id(call.code) + (call.called_at if self.through else call.read_at)

    def put_caller(
        self, call: Call, kind: str, counters: Counters, outcome: Outcome | None, *frames: FrameType
    ) -> None:
        """The same for an instruction that blames the last of `frames`, which begin with its function's caller."""
        where = frames[-1]
        key = hotpath.site_key(where)
        known = self._by_address.get(self._address(call))
        if known is not None and known[0] is not call.code:
            return
        callers: dict[Any, Any] = known[2] if known is not None and known[1] == kind != OWN_LINE else {}
        if len(callers) >= MAX_READS or (counter := self.recorder.follow(counters, key, where.f_code)) is None:
            return
        if kind == OWN_LINE:
            self.put(call, kind, (counter, outcome))
            if outcome is not None:
                outcome.give_up = lambda: self.put(call, kind, (counter, None))
            return
        codes = tuple(frame.f_code for frame in frames)
        at: Any = where.f_lasti
        if at in callers and (kind == HELPER or callers[at][0] is not codes[0]):
            # of several with one offset all but the first are known by their address, and by their helper's
            at = _address_of(where) if kind == CALLER else (id(codes[0]), _address_of(where))
            if callers.get(at, codes)[: len(codes)] != codes:
                return
        callers[at] = (*codes, counter, outcome)
        if outcome is not None:
            outcome.give_up = lambda: callers.update({at: (*codes, counter, None)})
        self.put(call, kind, callers)

    def property(self) -> property:
        """The descriptor that answers for `warnings.warn`."""
        namespace = vars(self.module)

        def write(_module: Any, value: Any) -> None:
            namespace["warn"] = value

        def remove(_module: Any) -> None:
            if namespace.pop("warn", _MISSING) is _MISSING:
                raise AttributeError("warn")

        # A function's own globals are looked up at a fifth of the price of anything else that it could find these by.
        names = {
            "__builtins__": vars(builtins),
            "__name__": __name__,
            "namespace": namespace,
            "wrapper": self.wrapper,
            "original": self.original,
            "nothing": NOTHING,
            "other": self.through or self.wrapper,
            "looks_on": self.looks_on,
            "by_name": self._by_name,
            "by_address": self._by_address,
            "recorder": self.recorder,
            "judge": self._judge,
            "missed": self._missed,
            "failed": self._failed,
            "getframe": frame_at,
            "profiler": sys.getprofile,
            "tools": TOOLS,
            "marks": self.changes.marks,
            "modules": sys.modules,
            "warnings": self.module,
        }
        hotpath.keep_own_globals(names)
        function: Any = FunctionType
        code = _read.__code__
        if sys.version_info < (3, 11):  # the plain name does as well, for the address decides
            code = code.replace(co_names=tuple({"co_qualname": "co_name"}.get(name, name) for name in code.co_names))
        return property(function(code, names, "read"), write, remove)

    def _judge(self, outcome: Outcome, frame: FrameType, where: FrameType) -> None:
        """As `Outcome.judge`. The use is counted: what fails here must not have it counted by the wrapper once more."""
        try:
            outcome.judge(frame, where)
        except Exception as error:  # noqa: BLE001 - the named seam between our looking and the host's warning
            hotpath.record_unless_hosts(self.recorder.errors, "warning", error)

    def _failed(self, error: Exception) -> None:
        """A name that is gone, a new call site, no caller: the wrapper's business. All else is not as it should be."""
        if isinstance(error, (KeyError, IndexError, AttributeError, NameError, ValueError)):
            hotpath.raise_if_hosts(error)
        else:
            hotpath.record_unless_hosts(self.recorder.errors, "warning", error)

    def _missed(self) -> Any:
        """What is read, or called, by somebody of whom nothing is known."""
        frame = hotpath.frame_below(2)
        if self.through:
            return self.looks_on if frame is not None and self._call_has_to_be_seen(frame) else self.through
        found = vars(self.module).get("warn", _MISSING)  # one look: another thread may take it away
        if found is _MISSING:
            raise AttributeError("warn")
        unseen = found is self.wrapper and frame is not None and self._has_to_be_seen(frame)
        return self.looks_on if unseen else found

    def _call_has_to_be_seen(self, frame: FrameType) -> bool:
        """Of a call that is not known, or is made while another function stands in `warnings`: whether only the call
        itself shows its arguments, and drops what it gets."""
        code, address = frame.f_code, _address_of(frame)
        known = self._by_address.get(address)
        if known is not None or len(self._by_address) >= MAX_READS:
            return known is not None and known[0] is code and known[1] == UNREADABLE
        kind = THROUGH
        try:
            # parses source: only for a program that warns; and refused to a finalizer when the interpreter ends
            from .warning_calls import is_dropped, read

            if is_dropped(code, frame.f_lasti):
                call = read(frame, self.wrapper)
                kind = THROUGH if call is not None and call.tells(frame) else UNREADABLE
        except Exception as error:  # noqa: BLE001 - the named seam between our looking and the host's warning
            hotpath.record_unless_hosts(self.recorder.errors, "warning", error)
        self._by_address[address] = code, kind, None
        self._by_name.setdefault(qualname_of(code), _OTHERS)
        return kind == UNREADABLE

    def _has_to_be_seen(self, frame: FrameType) -> bool:
        """Of a read that is not known: whether it is for a call whose arguments only the call itself shows.

        That is every call where wrapt has no C extension, and would put frames of its own below the wrapper's hook.
        """
        address = _address_of(frame)
        if address in self._by_address or address in self._looked_at or len(self._looked_at) >= MAX_READS:
            return False
        try:
            from .warning_calls import dropped  # as above

            call, tells = dropped(frame, self.wrapper)
        except Exception as error:  # noqa: BLE001 - the named seam between our looking and the host's warning
            hotpath.record_unless_hosts(self.recorder.errors, "warning", error)
            call, tells = None, False
        if call is not None and (not tells or hotpath.behind_wrapt):
            self.put(call, UNREADABLE, None)
            return True
        self._looked_at.add(address)
        self._kept.append(frame.f_code)
        return False


def _address_of(frame: FrameType) -> int:
    """That of the instruction which `frame` is executing."""
    return id(frame.f_code) + frame.f_lasti


def looking_on(original: Any, recorder: Recorder, see: See) -> Any:
    """What is called in place of `original`: `see` is shown the arguments, then C calls `original` with them.

    No frame of ours is there while `original` runs: that is how a class is called, its `__new__` first and then its
    `__init__`. The instance that comes of it is not for anybody to have, so whoever calls must drop the result.
    """
    getframe = frame_at

    class LooksOn:
        __slots__ = ()

        def __new__(cls, *args: Any, **kwargs: Any) -> Any:
            try:
                see(getframe(1), args, kwargs)
            except Exception as error:  # noqa: BLE001 - the named seam between our looking and the host's warning
                hotpath.record_unless_hosts(recorder.errors, "warning", error)
            return only

        __init__ = staticmethod(original)

    only = object.__new__(LooksOn)
    return LooksOn


def _read(_module: Any) -> Any:  # noqa: C901, PLR0911, PLR0912, PLR0915 - a case for each kind of call, and no call but this
    """What a read of `warnings.warn` gives: see `Reads.property`, whose names this has for globals.

    Each variable costs each call, used or not: so one holds several things, where they are taken out of what is known.
    """
    try:
        if namespace["warn"] is wrapper:
            frame: Any = getframe(1)
            code = frame.f_code
            known, at, kind, found = by_name[code.co_qualname]
            if known is not code or (at is not None and at != frame.f_lasti):
                known, kind, found = by_address[id(code) + frame.f_lasti]
                if known is not code:
                    return missed()
            if kind == "caller":
                where = frame.f_back
                code = where.f_code
                known, (slot, uses), outcome = found[where.f_lasti]
                if known is not code:
                    known, (slot, uses), outcome = found[id(code) + where.f_lasti]
                    if known is not code:
                        return missed()
                for recorder.table[slot] in uses:  # as in `hotpath`, and for its reason
                    break
            elif kind == "own line":
                where = frame
                (slot, uses), outcome = found
                for recorder.table[slot] in uses:
                    break
            elif kind == "variable":
                where = frame.f_back
                code = where.f_code
                named, found, kind = found  # who looks, the callers, the variable's name
                known, slot, outcome, at = found[where.f_lasti]  # `at` is what it held
                if known is not code:
                    known, slot, outcome, at = found[id(code) + where.f_lasti]
                    if known is not code:
                        return missed()
                if frame.f_locals[kind] is at:
                    slot, uses = slot
                    for recorder.table[slot] in uses:
                        break
                else:
                    outcome = named(frame, where)
                    if outcome is True:
                        return other
            elif kind == "helper":
                where = frame.f_back
                code = where.f_code
                where = where.f_back
                known, at, (slot, uses), outcome = found[where.f_lasti]
                if known is not code or at is not where.f_code:
                    at = id(where.f_code) + where.f_lasti
                    known, at, (slot, uses), outcome = found[id(code), at]
                    if known is not code or at is not where.f_code:
                        return missed()
                for recorder.table[slot] in uses:
                    break
            elif found is None:
                if kind == "not wanted":
                    return original
                return looks_on if kind == "unreadable" else other
            elif kind == "variables":
                where = frame.f_back
                code = where.f_code
                # who looks, the callers, four names, no name where there are not so many; and then what they held
                named, found, kind, blamed, registry, mark = found
                known, slot, outcome, at, first, rest, uses = found[where.f_lasti]
                if known is not code:
                    known, slot, outcome, at, first, rest, uses = found[id(code) + where.f_lasti]
                    if known is not code:
                        return missed()
                held = frame.f_locals
                if (
                    held[kind] is at
                    and held[blamed] is first
                    and (not registry or held[registry] is rest)
                    and (not mark or held[mark] is uses)
                ):
                    slot, uses = slot
                    for recorder.table[slot] in uses:
                        break
                else:
                    outcome = named(frame, where)
                    if outcome is True:
                        return other
            elif kind == "looked up":
                where = frame.f_back
                outcome = found(frame, where)
                if outcome is True:
                    return other
            else:  # "calls"
                return original if found.state in {"armed", "partial"} else other
            # From here on the use is counted.
            if outcome is None:
                return original
            known = outcome.quiet
            if known is None:
                for _ in outcome.wait:
                    break
                else:
                    judge(outcome, frame, where)
                return original
            try:  # whether anything comes of it: see `warning_outcomes`
                blamed, registry, named, mark, known, first, rest = known
                if named is None:
                    at = None
                else:  # the globals, the name of the category and itself, where it is found, where it must not be
                    at, kind, code, found, slot = named
                if (
                    profiler() is None
                    and (tools is None or tools(2) is None)
                    # Nothing is called from here on: where something is, another thread may come between.
                    and where.f_globals is blamed
                    and blamed["__warningregistry__"] is registry
                    and (at is None or (frame.f_globals is at and found[kind] is code and kind not in slot))
                    and (
                        (
                            namespace["filters"] is known
                            and known[0] is first
                            and modules["warnings"] is warnings
                            and (
                                rest is None
                                or (
                                    (rest[0] is None or blamed["__name__"] is rest[0])
                                    and (rest[1] is None or known[1] is rest[1])
                                    and (rest[2] is None or known[2] is rest[2])
                                )
                            )
                        )
                        if mark is None
                        else (
                            marks[0] is mark and registry["version"] is known and registry[first] is True
                        )
                    )
                ):
                    return nothing
            except Exception as error:  # noqa: BLE001 - as below, but the use is counted
                failed(error)
            outcome.quiet = None
            return original
    except Exception as error:  # noqa: BLE001 - the named seam between our looking and the host's warning
        failed(error)
    return missed()


class Quick:
    """The callers of one instruction whose message, or decorated function, is in a variable.

    Of each caller the last call is remembered: the objects that the variables held, and where it was counted. The
    same objects again mean the same use.
    """

    def __init__(self, call: Call, held: str, look: Look, recorder: Recorder) -> None:
        self.names = tuple(dict.fromkeys((*call.own_names, held) if held else call.own_names))
        self.globals = call.global_names
        self.may_be_mapped = bool(self.names) and not call.is_of_function
        self._callers: dict[Any, tuple[Any, ...]] = {}
        """By the offset of the calling instruction; by its address, too, where several share an offset."""
        self.variables: dict[Any, tuple[Any, ...]] | None = None
        """The same for where `read` compares the variables itself."""
        if 0 < len(self.names) <= MAX_VARIABLES and not self.globals and not self.may_be_mapped:
            self.variables = {}
        self.kind = LOOKED_UP if self.variables is None else VARIABLE if len(self.names) == 1 else VARIABLES
        self.recorder = recorder
        self.look = self._compiled(look)
        """As the `look` given, but for a caller that is known."""

    def remember(
        self, frame: FrameType, where: FrameType, target: Target, counters: Counters | None, outcome: Outcome | None
    ) -> None:
        """The call that `frame` is making for `where` counts there; nowhere if `target` is counted by its calls."""
        key = hotpath.site_key(where)
        if (counters is not None and key not in counters) or len(self._callers) >= MAX_READS:
            return
        own = frame.f_locals if self.names else {}
        values = (*map(own.get, self.names), *(frame.f_globals.get(name, self) for name in self.globals))
        if all(type(value) in _KEPT or is_class(value) for value in values):
            at = where.f_lasti
            if at in self._callers and self._callers[at][0] is not where.f_code:
                at = _address_of(where)
                if at in self._callers and self._callers[at][0] is not where.f_code:
                    return
            self._put(at, (where.f_code, target, counters, key), outcome, values)
            if outcome is not None:
                known = where.f_code, target, counters, key
                outcome.give_up = lambda: self._put(at, known, None, values)

    @property
    def known(self) -> Any:
        """What `read` needs to know for this kind."""
        if self.variables is None:
            return self.look
        names = self.names if self.kind == VARIABLE else (*self.names, *[""] * (MAX_VARIABLES - len(self.names)))
        return self.look, self.variables, *names

    def _put(self, at: Any, known: tuple[Any, ...], outcome: Outcome | None, values: tuple[Any, ...]) -> None:
        self._callers[at] = (*known, outcome, *values)
        if self.variables is None:
            return
        code, _, counters, key = known
        counter = None if counters is None else self.recorder.follow(counters, key, code)
        padded = values if self.kind == VARIABLE else (*values, *[None] * (MAX_VARIABLES - len(values)))
        if counter is None:  # not counted here: for `look` to see
            padded = (NOTHING, *padded[1:])
        self.variables[at] = (code, counter, outcome, *padded)

    def _compiled(self, look: Look) -> Look:
        """A function for just these variables: a loop over their names would cost more than looking them up."""
        held = [f"v{number}" for number in range(len(self.names) + len(self.globals))]
        given = [f"own[{name!r}]" for name in self.names] + [f"names[{name!r}]" for name in self.globals]
        same = [
            f"({now} is {value} or type({value}) is str is type({now}) and {now} == {value})"
            for now, value in zip(given, held, strict=True)
        ]
        known = ["caller", "target", "counters", "key", "outcome", *held]
        source = "\n".join(
            [
                "def make(callers, look, recorder):",
                "  def quick(frame, back):",
                "    if back is None: return look(frame, back)",
                "    code = back.f_code",
                "    try: known = callers[back.f_lasti]",
                "    except KeyError: return look(frame, back)",
                f"    {', '.join(known)} = known",
                "    if caller is not code:",
                "      known = callers.get(id(code) + back.f_lasti)",
                "      if known is None: return look(frame, back)",
                f"      {', '.join(known)} = known",
                "      if caller is not code: return look(frame, back)",
                "    own = frame.f_locals" if self.names else "",
                "    if type(own) is not dict: return look(frame, back)" if self.may_be_mapped else "",
                "    names = frame.f_globals" if self.globals else "",
                f"    if not ({' and '.join(same) or 'True'}): return look(frame, back)",
                "    if counters is None:",
                "      return None if target.state in COUNTED_AS_CALLS else look(frame, back)",
                "    try: slot, uses = counters[key]",
                "    except KeyError: return look(frame, back)",  # in a forked child
                "    table = recorder.table",
                "    for table[slot] in uses: break",
                "    return outcome",
                "  return quick",
            ]
        )
        made: dict[str, Any] = {}
        exec(compile(source, __file__, "exec"), globals(), made)  # noqa: S102 - names are quoted, nothing else is filled in
        quick: Look = made["make"](self._callers, look, self.recorder)
        return quick


hotpath.skip_own_frames(globals())
