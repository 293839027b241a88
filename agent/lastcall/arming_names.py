"""Arming names and whole modules: what is read or imported, and has no code of its own to watch.

Loaded with the first target that needs it, as is `arming_classes`: a host pays at its end for all that was loaded.
"""

from __future__ import annotations

import sys

from .asking import is_class, text
from .callsite import is_import_machinery
from .errors import getframe
from .lookup import CannotArm

TYPE_CHECKING = False  # typing costs a bare host 5 ms, and 1 ms more at its end
if TYPE_CHECKING:
    from types import FrameType, ModuleType
    from typing import Any

    from .lookup import Found
    from .patch import Patcher
    from .targets import Target

_FUNCTION = type(lambda: None)
_MODULE = type(sys)
_DEEP = 6
"""Steps from an object to the function that a decorator made it of. Celery's take that many."""
_MANY = 2_000
"""Objects looked at on the way there: one may hold an application, and that everything."""



def arm_module(patcher: Patcher, target: Target, module: ModuleType) -> str:
    from .engines import names

    target.defined_at(getattr(module, "__file__", "") or "", 1)
    target.engine = "names"
    tap = patcher.tap(target, "import")
    importers = _importers(target.module)
    patcher.to_undo(names.arm_module(patcher.recorder, module, tap, importers), module)
    for importer in importers:
        patcher.recorder.first_sight_known(tap, importer)
    return ""


def _importers(name: str) -> list[FrameType]:
    """Whose import statements are waiting for the module that has run: the one that runs it, if there is one, and each
    that had its package imported first. The package has the module by then, and nobody asks the module anything.
    """
    from .engines.names import importing_frame

    found: list[FrameType] = []
    frame: FrameType | None = getframe(1)
    waits = True  # the innermost one
    while frame is not None:
        if not is_import_machinery(frame):
            frame = frame.f_back
            continue
        innermost = frame
        while frame is not None and is_import_machinery(frame):
            waits = waits or (frame.f_code.co_name == "_find_and_load" and frame.f_locals.get("name") == name)
            frame = frame.f_back
        importer = importing_frame(innermost) if waits else None
        if importer is not None:
            found.append(importer)
        waits = False
    return found


def arm_absent(patcher: Patcher, target: Target, module: ModuleType) -> str:
    names = vars(module)
    if "." not in target.qualname and "__getattr__" in names:
        target.kind = "attribute"
        target.defined_at(getattr(module, "__file__", "") or "", 0)
        arm_name(patcher, target, module, target.qualname, module)
        return "the module makes this name itself (__getattr__): reads of it are counted"
    if target.removed:
        _arm_removed(patcher, target, module)
    if target.module == "__main__":
        reason = f"the script has no {target.qualname}; one that another program runs (pdb, trace) cannot be seen"
        raise CannotArm("missing", reason)
    raise CannotArm("missing", f"the module {module.__name__} was imported and has no {target.qualname}")


def _arm_removed(patcher: Patcher, target: Target, module: ModuleType) -> None:
    """Watch who asks for what is no more. Raises CannotArm, always: the target is not armed."""
    from .engines import removed

    if "." in target.qualname:
        raise CannotArm("failed", "it is removed, and who asks for a member of a class cannot be seen")
    target.engine = "names"
    tap = patcher.tap(target, "access")
    patcher.to_undo(removed.arm_name(patcher.recorder, module, target.qualname, tap, patcher.asked), module)
    raise CannotArm("removed", "it is gone; whoever asks for it is recorded")


def arm_name(patcher: Patcher, target: Target, module: ModuleType, name: str, owner: Any) -> str:
    from .engines import names

    if owner is not module:
        raise CannotArm(
            "failed",
            "a class without __init__ or __new__ of its own is told by reads of its name, and those of a name in a "
            "class cannot be seen"
            if target.kind == "class"
            else "reads of a class attribute that is neither function nor property cannot be seen",
        )
    target.engine = "names"
    value = vars(module).get(name)
    if value is not None:
        target.objects = [value]
    patcher.to_undo(names.arm_name(patcher.recorder, module, name, patcher.tap(target, "access")), module)
    return ""


def arm_attribute(patcher: Patcher, target: Target, found: Found) -> str:
    """Count reads of a name, and, if it is that of a function of which a decorator made an object (a task, a command),
    the function's calls: who was handed that object runs it without the name."""
    function = None if target.declared_kind else function_within(found.value, target.module, found.name)
    if function is not None:
        target.kind = "function"
        target.defined_at(function.__code__.co_filename, function.__code__.co_firstlineno)
    arm_name(patcher, target, found.module, found.name, found.owner)
    if function is None:
        return ""
    if patcher.engine == "wrapping":
        why_not: str | None = 'engine "wrapping" does not see them'
    else:
        why_not = patcher.try_in_place(target, function, patcher.tap(target, "call"))
    kind = type(found.value)
    said = f"a decorator made an instance of {text(kind, '__module__')}.{text(kind, '__qualname__')} of it"
    if why_not is None:
        return f"{said}: reads of the name are counted, and calls of the function"
    return f"partial: {said}: reads of the name are counted, calls of the function by who holds that are not: {why_not}"


def function_within(value: Any, module: str, name: str) -> Any:
    """The function that was defined under this name in this module, and lies within the object that has the name now.

    None if there is none. Asks nothing of the objects on the way, as a lazy one would be made by that.
    """
    import gc

    if text(type(value), "__module__") == "builtins":
        return None
    level, seen = [value], {id(value)}
    for _ in range(_DEEP):
        inner = []
        for item in level:
            # what else a function holds is its module
            for held in (item.__closure__ or ()) if type(item) is _FUNCTION else gc.get_referents(item):
                if id(held) in seen:
                    continue
                if len(seen) >= _MANY:
                    return None
                seen.add(id(held))
                if type(held) is _FUNCTION and held.__module__ == module and held.__qualname__ == name:
                    return held
                if not issubclass(type(held), _MODULE) and (not is_class(held) or text(held, "__module__") == module):
                    inner.append(held)
        level = inner
    return None
