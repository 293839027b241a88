"""What a reference's name leads to in a loaded module, and what kind of thing that is.

Nothing here runs code of the host's: namespaces are read as they lie there, descriptors and lazy objects are left
alone.
"""

from __future__ import annotations

import sys

from .asking import NOTHING, function_of, is_class, is_lazy, names_of_class, own, passes_for, text

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, ModuleType
    from typing import Any

    from .targets import Target

_FUNCTION = type(lambda: None)
_CODE = type((lambda: None).__code__)
_SUSPENDS = 0x20 | 0x80 | 0x200  # generator, coroutine, asynchronous generator: what they call comes later

MAX_WRAPPED = 20
"""How many decorators deep a definition is looked for."""


class CannotArm(Exception):  # noqa: N818 - an outcome, kept as a target's state and reason
    """A target could not be armed; `state` is what becomes of it, the message is the reason."""

    def __init__(self, state: str, reason: str) -> None:
        super().__init__(reason)
        self.state = state


class Found:
    """What a target's name leads to."""

    __slots__ = ("module", "name", "owner", "through", "value")

    def __init__(
        self, module: ModuleType, owner: Any, name: str, value: Any, through: type | None = None
    ) -> None:
        self.module = module
        self.owner = owner
        self.through = through
        """The class that the target names, if that inherits it from `owner`."""
        self.name = name
        self.value = value
        """As it lies in the owner's namespace: a descriptor, not what `getattr` makes of it."""


def find(module: ModuleType, qualname: str) -> Found | None:
    """Follow a qualified name through namespaces, without running descriptors. None if it leads nowhere."""
    owner: Any = module
    value: Any = module
    through: type | None = None
    name = ""
    for name in qualname.split("."):
        owner = value
        through = None
        if passes_for(owner, type):
            for base in owner.__mro__:
                value = base.__dict__.get(name, NOTHING)  # one look: another thread may take it away
                if value is not NOTHING:
                    through = owner if base is not owner else None
                    owner = base
                    break
            else:
                return None
        else:
            namespace = own(owner, "__dict__")
            value = NOTHING if namespace is None else namespace.get(name, NOTHING)
            if value is NOTHING:
                return None
    return Found(module, owner, name, value, through)


def counted_for(target: Target, module: ModuleType) -> Any:
    """What counts, or is counted, for a target: a module, a class, a function or the wrapper around it.

    None if it is reads of a name, which are counted once however often that is armed.
    """
    if target.kind == "module":
        return module
    found = None if target.engine == "names" else find(module, target.qualname)
    return None if found is None else function_of(found.value)


def kind_of(found: Found) -> str:
    """What a name leads to: `function`, `class`, `method`, or `attribute` for all that only has the name."""
    value = found.value
    if passes_for(found.owner, type):
        if is_lazy(value):
            return "attribute"
        if passes_for(value, (classmethod, staticmethod)) or (
            callable(value) and not passes_for(value, type)
        ):
            return "method"
        return "class" if passes_for(value, type) and not _is_defined_elsewhere(found) else "attribute"
    if not callable(value) or not _is_at_home(found):
        return "attribute"
    return "class" if passes_for(value, type) else "function"


def _is_at_home(found: Found) -> bool:
    """Whether the object was made for this name here, so that the name is its definition and not an alias."""
    value, name = found.value, found.name
    own_name, home = text(value, "__qualname__"), text(value, "__module__")
    if not own_name or not home:
        return False
    if "<locals>" in own_name or own_name == "<lambda>":
        return not passes_for(value, type) or own_name.endswith("." + name)
    if own_name != name:
        return False
    # defined in a private module of its own and offered here: this is the name it has for others
    private = any(part.startswith("_") for part in home.split(".") if part != "__main__")
    return home == found.module.__name__ or private


def is_another_name(owner: Any, name: str, function: Any, unwrapped: Callable[[Any], Any]) -> bool:
    """Whether a function that lies in a class under this name was defined under another one, and is there still.

    `get_value = value`, `__contains__ = has_key`: its code runs for every name that it has, and cannot tell for which.
    """
    own_name = text(function, "__qualname__")
    if not isinstance(owner, type) or not own_name or own_name == f"{owner.__qualname__}.{name}":
        return False
    if _is_found_by(own_name, function, owner, name, unwrapped):
        return True
    return any(
        unwrapped(function_of(value)) is function
        for base in owner.__mro__
        for other, value in list(names_of_class(base).items())
        if base is not owner or other != name
    )


def is_borrowed(owner: type, function: Any) -> bool:
    """Whether a function in Python was not defined in the body of this class, under whatever name."""
    home = text(function, "__qualname__").rpartition(".")[0]
    at_home = home == owner.__qualname__ and text(function, "__module__") == owner.__module__
    return type(own(function, "__code__")) is _CODE and not at_home


def _is_defined_elsewhere(found: Found) -> bool:
    """Whether a class that lies in another one was not made there: the name is one more for it."""
    own_name, owner = text(found.value, "__qualname__"), found.owner
    return own_name != f"{owner.__qualname__}.{found.name}" and _is_found_by(own_name, found.value, owner, found.name)


def _is_found_by(
    own_name: str, value: Any, owner: Any, name: str, unwrapped: Callable[[Any], Any] = lambda found: found
) -> bool:
    """Whether an object's own name leads to it, in another place than `name` in `owner`."""
    home = sys.modules.get(text(value, "__module__"))
    first = None if home is None or "<locals>" in own_name else find(home, own_name)
    if first is None or (first.owner is owner and first.name == name):
        return False
    return unwrapped(function_of(first.value)) is value


def definition(value: Any) -> tuple[str, int]:
    """File and line of a definition, as far as the object itself knows; empty and 0 if it does not."""
    value = own(value, "__func__") or value
    if passes_for(value, property):
        value = own(value, "fget")
    seen = 0
    while not passes_for(value, type) and seen < MAX_WRAPPED:
        wrapped = own(value, "__wrapped__")
        if wrapped is None:
            break
        value = wrapped
        seen += 1
    code = own(value, "__code__")
    if type(code) is _CODE:
        return code.co_filename, code.co_firstlineno
    if is_class(value):
        line = value.__dict__.get("__firstlineno__", 0)  # 3.13 and later
        module = sys.modules.get(value.__module__)
        return getattr(module, "__file__", "") or "", line if isinstance(line, int) else 0
    return "", 0


def is_cached_property(value: object) -> bool:
    """Whether it is one, asked without importing `functools`."""
    kind = getattr(sys.modules.get("functools"), "cached_property", None)
    return kind is not None and passes_for(value, kind)


def calls_itself(function: Any, owner: object) -> bool:
    """Whether a plain function of a module names itself, so that its calls may lie in each other.

    Before 3.13 a call through a wrapper takes two of the stack's depth, in C and in Python: it would go half as deep.
    (In a class `__init__` names itself where it calls that of the class's base.)
    """
    if sys.version_info >= (3, 13) or type(function) is not _FUNCTION or is_class(owner):
        return False
    return not function.__code__.co_flags & _SUSPENDS and _names(function.__code__, function.__name__)


def _names(code: CodeType, name: str) -> bool:
    inner = (part for part in code.co_consts if type(part) is _CODE)  # a comprehension, before 3.12
    return name in code.co_names or any(_names(part, name) for part in inner)


def is_nameless(function: object) -> bool:
    """Whether it cannot be found by its own name: who pickles it takes it apart, which goes wrong with a wrapper."""
    name = getattr(function, "__qualname__", "")
    return isinstance(name, str) and ("<locals>" in name or name.endswith("<lambda>"))


def is_instance(value: object) -> bool:
    """Whether it is called through a class's `__call__` in Python; a proxy that passes for a function is not."""
    function = type(is_instance)
    call = getattr(type(value), "__call__", None)  # noqa: B004 - what kind of thing it is, not whether it is there
    return type(call) is function and not passes_for(value, function)


def is_module(value: object) -> bool:
    """Anything can lie in `sys.modules`; None says that the import is forbidden."""
    return value is not None


def is_enum(cls: type) -> bool:
    """Whether it is an enumeration, asked without importing `enum`."""
    # another thread may be importing it right now: as long as it has no Enum, nothing is one
    base = getattr(sys.modules.get("enum"), "Enum", None)
    return base is not None and issubclass(cls, base)


def definition_in(module: ModuleType, target: Target) -> Any:
    """The function or class that the module itself has defined under the target's first name, if it has."""
    value = (own(module, "__dict__") or {}).get(target.qualname.partition(".")[0])
    defined = type(value) is type(definition_in) or is_class(value)
    return value if defined and own(value, "__module__") == target.module else None
