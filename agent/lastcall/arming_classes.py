"""Arming what lies in classes: constructors, properties, functions that a class inherits."""

from __future__ import annotations

from . import captured
from .arming_names import arm_name
from .asking import NOTHING, unwrapped
from .lookup import CannotArm, Found, is_enum
from .targets import PROTOCOL_INIT, is_typing

TYPE_CHECKING = False  # typing costs a bare host 5 ms, and 1 ms more at its end
if TYPE_CHECKING:
    from typing import Any

    from .patch import Patcher
    from .sites import Tap
    from .targets import Target

IN_C = "partial: a class in C takes no other constructor: reads of its name are counted instead of constructions"


def arm_class(patcher: Patcher, target: Target, found: Found) -> str:
    cls = found.value
    target.cls = cls
    target.objects = [cls]
    if is_enum(cls):
        arm_name(patcher, target, found.module, found.name, found.owner)
        return "an enumeration is not constructed: reads of its name are counted"
    if is_placeholder(cls.__dict__.get("__init__")):
        arm_name(patcher, target, found.module, found.name, found.owner)
        return "a protocol is not constructed: reads of its name are counted"
    tap = patcher.tap(target, "construct")
    for name in ("__new__", "__init__"):
        if name in cls.__dict__:
            # Arguments that do not fit are refused before any code of the constructor's runs: only a wrapper
            # counts such a call. Nobody looks for one in a class that was made by `type`, but for what is there.
            wrap = target.source != "wildcard" and has_plain_metaclass(cls)
            held = captured.beside_in_class(cls.__dict__, name)
            value = cls.__dict__[name]
            try:
                remark = patcher.arm_callable(target, cls, name, value, tap, wrap=wrap and not held)
            except CannotArm:  # a class in C, which takes no other constructor
                arm_name(patcher, target, found.module, found.name, found.owner)
                return IN_C
            return remark or (patcher.escaping(target, cls, name, value, held) if target.engine == "wrapping" else "")
    return _arm_inherited_constructor(patcher, target, found, cls, tap)


def constructor(found: Found, parameter: str) -> tuple[Found, int]:
    """What takes this argument of a class, its own `__init__` or `__new__`, and how many hold that beside the class.

    Raises CannotArm.
    """
    from .engines.parameters import position_of

    cls = found.value
    own = [name for name in ("__init__", "__new__") if name in cls.__dict__]
    for name in own:
        if position_of(cls.__dict__[name], parameter) is not None:
            held = captured.beside_in_class(cls.__dict__, name)
            return Found(found.module, cls, name, cls.__dict__[name]), held
    if own:
        raise CannotArm("missing", f"the constructor of {cls.__qualname__} has no parameter {parameter}")
    raise CannotArm(
        "failed", f"{cls.__qualname__} inherits its constructor: name the one that takes {parameter} as the target"
    )


def _arm_inherited_constructor(patcher: Patcher, target: Target, found: Found, cls: type, tap: Tap) -> str:
    from .engines import inplace

    init, new = inherited(cls, "__init__"), inherited(cls, "__new__")
    new = getattr(new, "__func__", new)
    for function in map(unwrapped, (new, init)):  # the base's own may be wrapped, as a target
        if inplace.fits(function):
            try:
                patcher.to_undo(patcher.in_place.arm_for_class(function, cls, tap), cls)
            except patcher.in_place.unavailable:
                continue
            target.engine = "inplace"
            return ""
    if init is not object.__init__ and has_plain_metaclass(cls):
        return _arm_c_constructor(patcher, target, cls, init, tap)
    remark = arm_name(patcher, target, found.module, found.name, found.owner)
    return remark or (
        "partial: the class has no __init__ or __new__ to watch, and giving it one would change it: "
        "reads of its name are counted instead of constructions"
    )


def _arm_c_constructor(patcher: Patcher, target: Target, cls: type, init: Any, tap: Tap) -> str:
    """An exception, a dictionary ... without an `__init__` of its own."""
    from .engines import wrapping

    target.engine = "wrapping"
    if wrapping.counts_for(cls.__dict__.get("__init__"), tap):
        return ""
    try:
        patcher.to_undo(wrapping.arm_inherited(cls, init, tap), cls)
    except (TypeError, AttributeError) as error:
        raise CannotArm("failed", f"cannot be patched: {error}") from error
    return ""


def arm_property(patcher: Patcher, target: Target, found: Found) -> str:
    from .engines import inplace, wrapping

    tap = patcher.tap(target, "access")
    prop = found.value
    parts = [part for part in (prop.fget, prop.fset, prop.fdel) if part is not None]
    shared = type(prop) is property and patcher.is_another_name(found.owner, found.name, prop.fget)
    if found.through is not None and not shared and try_for_class(patcher, target, found, parts, tap):
        return ""
    remark = told_apart_from_none(found) if found.through is not None else ""
    if (
        patcher.engine != "wrapping"
        and not shared
        and all(inplace.fits(part) for part in parts)
        and all(patcher.try_in_place(target, part, tap) is None for part in parts)
    ):
        return remark
    try:
        patcher.to_undo(wrapping.arm_property(found.owner, found.name, prop, tap), found.owner)
    except (TypeError, AttributeError) as error:
        raise CannotArm("failed", f"cannot be patched: {error}") from error
    target.engine = "wrapping"
    return remark


def arm_cached_property(patcher: Patcher, target: Target, found: Found) -> str:
    tap = patcher.tap(target, "access")
    cached = found.value
    target.objects = [cached.func]
    if patcher.try_in_place(target, cached.func, tap) is not None:
        from .engines import wrapping

        patcher.to_undo(wrapping.wrap_part(cached, "func", tap), cached)
        target.engine = "wrapping"
    return "partial: a cached property runs at the first read of each object; later reads are not seen"


def try_for_class(patcher: Patcher, target: Target, found: Found, functions: list[Any], tap: Tap) -> bool:
    """Watch inherited functions, but only where their first argument is of the class that the target names."""
    from .engines import inplace

    if not all(inplace.fits(function) and function.__code__.co_argcount for function in functions):
        return False
    try:
        for function in functions:
            patcher.to_undo(patcher.in_place.arm_for_class(function, found.through, tap), found.through)
    except patcher.in_place.unavailable:
        return False
    target.engine = "inplace"
    return True


def told_apart_from_none(found: Found) -> str:
    """The remark on an inherited function that is watched for every class that has it."""
    return f"inherited from {found.owner.__qualname__}: uses through its other classes are counted, too"


def is_placeholder(function: object) -> bool:
    """Whether this is no constructor, but what stands where a protocol has none."""
    name, module = getattr(function, "__name__", ""), getattr(function, "__module__", "")
    return is_typing(module) and name in (PROTOCOL_INIT, "_no_init")


def has_no_constructor(cls: type) -> bool:
    """Whether there is none in Python that could be watched, own or inherited: reads of its name tell of its uses."""
    if is_enum(cls) or is_placeholder(cls.__dict__.get("__init__")):
        return True
    if "__init__" in cls.__dict__ or "__new__" in cls.__dict__:
        return False
    return inherited(cls, "__init__") is object.__init__ and inherited(cls, "__new__") is object.__new__


def inherited(cls: type, name: str) -> Any:
    """What the bases of `cls` have under this name, None if nothing but a placeholder."""
    for base in cls.__mro__[1:]:
        found = base.__dict__.get(name, NOTHING)  # one look: another thread may take it away
        if found is not NOTHING and not is_placeholder(found):
            return found
    return None


def has_plain_metaclass(cls: type) -> bool:
    """Whether its metaclass takes no interest in what lies in the class."""
    return type(cls).__name__ in ("type", "ABCMeta")
