"""Targets: what is under observation, how it is named, and what configuration says about it.

An object reference is `package.module:qualname`; `package.module` alone is a whole module;
`package.module:function(name=)` is a deprecated argument; `*` in it stands for part of one dotted
segment and `**` in its module part for any number of segments.
"""

from __future__ import annotations

from _weakref import ref

from .asking import bases_of_class, class_made, inherits, is_class, wrapping_engine
from .words import FINALIZER, OWN_PACKAGES, day_number

# callsite is imported where it is needed: a start that meets no target and has no wildcard needs none of it.

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType, FrameType
    from typing import Any

CO_VARARGS_AND_KEYWORDS = 0x04 | 0x08
FOUND = ("warning", "log")
"""Sources of a target that nobody listed: how it became known."""

PROTOCOL_INIT = "_no_init_or_replace_init"
"""The `__init__` that `typing` gives every protocol: made an object for the first time, a class that inherits it gets
in its place whatever comes next."""
class BadReferenceError(ValueError):
    """An object reference that cannot be read; the message says what is wrong with it."""


class Ref:
    """A parsed object reference. `qualname` is empty for a whole module, `parameter` for all but arguments."""

    __slots__ = ("module", "parameter", "qualname", "text")

    def __init__(self, text: str) -> None:
        """Raises BadReferenceError if `text` is no object reference."""
        self.text = text.strip()
        module, colon, qualname = self.text.partition(":")
        self.parameter = ""
        if qualname.endswith(")"):
            qualname, _, parameter = qualname[:-1].partition("(")
            self.parameter = parameter.rstrip("=").strip()
            if not _is_name(self.parameter):
                raise BadReferenceError(f"{text!r}: an argument is written 'package.module:function(name=)'")
        self.module, self.qualname = module, qualname
        if (colon and not qualname) or not is_module_name(module) or (qualname and not _is_dotted(qualname)):
            raise BadReferenceError(
                f"{text!r} is not of the form 'package.module:qualname' or 'package.module'"
            )

    @property
    def wild(self) -> bool:
        """Whether this names more than one thing."""
        return wild(self.text)


def wild(ref: str) -> bool:
    """Whether an object reference is a wildcard: it makes targets, and is none itself."""
    return "*" in ref or "?" in ref


def _is_name(text: str) -> bool:
    return text.replace("*", "x").replace("?", "x").isidentifier()


def _is_dotted(text: str) -> bool:
    parts = text.split(".")
    if all(map(str.isidentifier, parts)):  # nearly every one, at every start
        return True
    return all(part.isidentifier() or part == "<locals>" or _is_name(part) for part in parts)


def is_module_name(text: str) -> bool:
    """Whether a reference can name this module. What lies in a package may begin with a digit, as migrations do."""
    first, *others = text.split(".")
    return _is_dotted(first) and all(part and _is_name(f"x{part}") for part in others)


class Allow:
    """One entry of a target's `allow` list: who may go on using it, why, and until when."""

    __slots__ = ("caller", "reason", "until", "until_ns")

    def __init__(self, caller: str, reason: str = "", until: str = "") -> None:
        """`until` is a date, `YYYY-MM-DD`, the last day it holds (UTC). Raises ValueError if it is none."""
        from .callsite import Pattern

        self.caller = Pattern(caller.replace(":", "."))
        self.reason = reason
        self.until = until
        self.until_ns = (day_number(until) + 1) * 86_400 * 10**9 if until else 0

    def covers(self, module: str, function: str, at_ns: int) -> bool:
        """Whether a caller at a time (nanoseconds since the epoch) is allowed by this entry."""
        if self.until_ns and at_ns >= self.until_ns:
            return False
        return self.caller.matches(module) or self.caller.matches(f"{module}.{function}")


class Target:
    """A legacy entry point under observation, or a wildcard that makes some as their modules appear."""

    # What every target has at first, or nearly every one for good, lies in the class: a start that meets no target
    # makes hundreds of them.
    parameter = ""
    wild = False
    declared_kind = ""
    allow: tuple[Allow, ...] = ()
    isolation = ""
    mode = "observe"
    source = "config"
    origin = ""
    state = "pending"
    reason = ""
    removed = ""
    engine = ""
    state_ns = 0
    defined_file = ""
    defined_line = 0
    file_kind = 3
    """`callsite.APPLICATION`, as long as nothing else is known; that module is loaded when a target is met."""
    cls: type | None = None
    brownout: dict[str, Any] | None = None
    objects: Sequence[Any] = ()
    """A list, once there is one: `captured.rebind` takes a tuple that holds the original for somebody's."""
    once: frozenset[int] = frozenset()
    """At the process's end the ids of `objects` and of `cls`, which are let go of then."""
    own_codes: tuple[Any, ...] = ()

    def __init__(
        self,
        ref: str,
        *,
        kind: str = "",
        metadata: dict[str, str] | None = None,
        allow: tuple[Allow, ...] = (),
        isolation: str = "",
        mode: str = "observe",
        brownout: dict[str, Any] | None = None,
        removed: str = "",
        source: str = "config",
        origin: str = "",
    ) -> None:
        """`metadata` may hold the keys of METADATA; `removed` is the day on which it was taken away, or `true`.

        Raises BadReferenceError for a bad `ref`, and for one of OWN_PACKAGES, of which only the warnings are counted.
        """
        module, colon, qualname = ref.partition(":")
        parts = module.split(".")
        if colon and all(map(str.isidentifier, parts)) and qualname.isidentifier():  # nearly every one, at every start
            self.ref, self.module, self.qualname = ref, module, qualname
            self.kind = kind or "function"
        else:
            parsed = Ref(ref)
            self.ref, self.module, self.qualname = parsed.text, parsed.module, parsed.qualname
            parts = parsed.module.split(".")
            self.kind = kind or _guess_kind(parsed)
            self.parameter, self.wild = parsed.parameter, parsed.wild
        if parts[0] in OWN_PACKAGES and source not in FOUND:
            raise BadReferenceError(f"{self.ref!r}: the agent itself runs on this package and cannot watch it")
        self.metadata = {} if metadata is None else metadata
        if kind:
            self.declared_kind = kind
        if allow:
            self.allow = allow
        if isolation:
            self.isolation = isolation
        if mode != "observe":
            self.mode = mode
        if brownout:
            self.brownout = brownout
        if source != "config":
            self.source, self.origin = source, origin
        if removed:
            self.removed = removed
            self.state, self.reason = "removed", "nobody has asked for it so far"

    @property
    def parsed(self) -> Ref:
        """The reference, taken apart."""
        return Ref(self.ref)

    def __repr__(self) -> str:
        return f"<Target {self.ref} {self.state}>"

    def child(self, ref: str) -> Target:
        """The target that this wildcard makes for one thing it matched."""
        return Target(
            ref,
            metadata=dict(self.metadata),
            allow=self.allow,
            isolation=self.isolation,
            mode=self.mode,
            brownout=self.brownout,
            source="wildcard",
            origin=self.ref,
        )

    def become(self, other: Target) -> None:
        """Take over what another target of the same reference is to be."""
        self.metadata, self.allow, self.isolation = other.metadata, other.allow, other.isolation
        self.mode, self.brownout, self.source, self.origin = other.mode, other.brownout, other.source, other.origin
        self.declared_kind, self.kind, self.engine = other.declared_kind, other.kind, ""

    def defined_at(self, filename: str, line: int) -> None:
        """Remember where the definition is."""
        self.defined_file, self.defined_line = filename, line
        if filename:
            from .callsite import file_kind

            self.file_kind = file_kind(filename)

    def allowed_reason(self, module: str, function: str, at_ns: int) -> str | None:
        """The reason why this caller is allowed now, or None if it is not."""
        for entry in self.allow:
            if entry.covers(module, function, at_ns):
                return entry.reason
        return None

    # -- what the recorder asks about a frame -------------------------------------------------------

    def is_passed_on_by(self, frame: FrameType, use: str) -> bool:
        """Whether `frame` only hands the call on: a generic alias, a metaclass, a decorator around the target."""
        code = frame.f_code
        if use in ("import", "access"):
            from .callsite import is_importlib

            cached = code.co_name == "__get__" and frame.f_globals.get("__name__") == "functools"
            return cached or is_importlib(frame)
        if use == "construct" and code.co_name == PROTOCOL_INIT and is_typing(frame.f_globals.get("__name__")):
            return True
        if use == "construct" and code.co_name == "__call__":
            if is_typing(frame.f_globals.get("__name__")):
                return True
            first = frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
            if is_class(first) and self._makes(first):
                return True
        return code.co_flags & CO_VARARGS_AND_KEYWORDS == CO_VARARGS_AND_KEYWORDS and self._is_decorated_by(frame)

    def _is_decorated_by(self, frame: FrameType) -> bool:
        """Whether `frame`, which takes whatever it is given, runs a wrapper around the target."""
        if frame.f_globals.get("__name__") == "functools":  # a partial method, what dispatches by an argument's type
            return True
        freevars = frame.f_code.co_freevars
        names = frame.f_locals if freevars else {}
        return any(self._is_in(names.get(name)) for name in freevars)

    def _is_in(self, held: Any) -> bool:
        """Whether `held` is the target's object, or a wrapper that another target of ours put around it."""
        wrapping = wrapping_engine()
        while id(held) not in self.once and not any(held is one for one in self.objects):
            if wrapping is None or not wrapping.is_wrapper(held):
                return False
            held = wrapping.wrapped_by(held)
        return True

    def _makes(self, cls: type) -> bool:
        """Whether objects of `cls` are made by the class that this target is."""
        if self.cls is not None:
            return inherits(cls, self.cls)
        return any(id(one) in self.once for one in bases_of_class(cls) or ()) if self.once else False

    def let_go(self) -> None:
        """At the process's end: keep nothing of the host's alive.

        Python's garbage collection does not look into code objects. What a hook in the code of a function leads to is
        therefore never garbage, and were the function's module reached from there, no finalizer of it would run. (Weak
        references are gone when finalizers run.)
        """
        self.once = frozenset(id(one) for one in (*self.objects, self.cls) if one is not None)
        self.objects, self.cls = (), None

    def has_code(self, code: CodeType) -> None:
        """Know `code` as the target's own, for as long as somebody else keeps it: a module may be imported anew."""
        self.own_codes = (*(old for old in self.own_codes if _code_in(old) is not None), ref(code))

    def latest_code(self) -> Any:
        """The code object that was armed last, None if there is none any more."""
        return _code_in(self.own_codes[-1]) if self.own_codes else None

    @property
    def is_finalizer(self) -> bool:
        """Whether the interpreter calls it when an object is let go of, whatever runs at that moment."""
        return self.qualname.endswith(f".{FINALIZER}")

    def is_own_frame(self, frame: FrameType) -> bool:
        """Whether `frame` runs the target's own code, which an in-place engine sees as the innermost frame."""
        return any(frame.f_code is _code_in(code) for code in self.own_codes)

    def via(self, frame: FrameType, use: str) -> str:
        """The subclass whose construction `frame` is in the middle of, as `module:qualname`, or nothing."""
        code = frame.f_code
        if use != "construct" or code.co_name not in ("__init__", "__new__"):
            return ""
        first = frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
        made = class_made(first)
        if made is not self.cls and id(made) not in self.once and self._makes(made):
            return f"{made.__module__}:{made.__qualname__}"
        return ""


def _code_in(held: Any) -> Any:
    return held() if type(held) is ref else held


def is_typing(module: object) -> bool:
    """Whether this is the name of `typing` or of what stands in for it."""
    return module in ("typing", "typing_extensions")


def _guess_kind(ref: Ref) -> str:
    if ref.parameter:
        return "parameter"
    if not ref.qualname:
        return "module"
    return "method" if "." in ref.qualname else "function"
