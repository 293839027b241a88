"""The engine for names: who reads `module.name`, who imports a module.

The module's class becomes a subclass of itself that has a data descriptor for each watched name. The value
stays in the module's dictionary, so that code inside the module runs as before; `module.name`, `getattr`
and `from module import name` find the descriptor first. If the dictionary has no such name the descriptor
says so, and Python goes on to the module's own `__getattr__`, with no frame of ours in between.

For a whole module the watched name is `__spec__`: the interpreter reads it each time an import statement
finds the module already loaded.
"""

from __future__ import annotations

import sys
from _thread import get_ident
from opcode import opname

from ..asking import LAZY, NOTHING
from ..callsite import is_import_machinery
from ..errors import getframe
from . import Undo

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType, ModuleType
    from typing import Any

    from ..recorder import Recorder
    from ..sites import Tap

_MARK = "__lastcall_watched__"
_LOOK_HERE: dict[str, Any] = {}
"""What a watched module's class needs besides its descriptors.

From 3.14 on the interpreter takes a repeated `module.name` straight from the module's dictionary, past the
descriptors of a subclass, wherever attributes are looked up as `types.ModuleType` does. Looked up as for any
other object, they are found; what is not found is then asked of `ModuleType`, which knows the module's own
`__getattr__`, the words of the error, and how to load what is still to be imported (`LAZY`). Both are C functions: no
frame is added. So a descriptor says at first that there is no such name, where that is to be loaded, and gives it to
`ModuleType`, which asks next.
"""
if sys.version_info >= (3, 14):
    _LOOK_HERE = {"__getattribute__": object.__getattribute__, "__getattr__": type(sys).__getattribute__}


def _stands_for(cls: Any) -> Any:
    """The class that a watched module had. A class that the host has made from a watched one stands for itself."""
    return cls.__base__ if _MARK in cls.__dict__ else cls


def _equals(cls: Any, other: Any) -> Any:
    mine, theirs = _stands_for(cls), _stands_for(other) if type(other) is _Unseen else other
    return NotImplemented if mine is cls and theirs is other else mine == theirs


def _hash(cls: Any) -> int:
    mine = _stands_for(cls)
    return type.__hash__(cls) if mine is cls else hash(mine)


_Unseen: Any = type(
    "type",
    (type,),
    {"__dict__": type.__dict__["__dict__"], "__module__": "builtins", "__eq__": _equals, "__hash__": _hash},
)
"""The type of a watched module's class. From classes whose type has a `__dict__` of its own `inspect.getattr_static`
takes nothing, so it finds what lies in the module, and not the descriptors that watch it. And who looks a module's type
up in a dictionary (`copyreg`, for pickles) finds what is there for the class that it had."""


class _Name:
    """A data descriptor for one name of one module."""

    __slots__ = ("count", "name", "refused", "taps", "twice", "unseen")

    def __init__(
        self,
        name: str,
        taps: list[tuple[Tap, Callable[[FrameType | None], None]]],
        unseen: list[Tap | None],
        *,
        twice: bool,
    ) -> None:
        self.name = name
        self.twice = twice
        """Whether who is told that there is no such name asks again (`_LOOK_HERE`)."""
        self.unseen = unseen
        self.taps = taps
        self.refused: set[int] = set()
        """Frames that were told so and will ask again at once."""
        self.count = taps[0][1] if len(taps) == 1 else self._count_all

    def _count_all(self, frame: FrameType | None) -> None:
        for _tap, count in self.taps:
            count(frame)

    def __get__(self, module: Any, owner: Any = None) -> Any:
        if module is None:
            return self
        try:  # no call: up to 3.10 one more may be too many for the stack
            value = module.__dict__[self.name]
        except KeyError:
            value = NOTHING
        try:
            try:
                reader = getframe(1)
            except ValueError:  # C reads, with no Python frame below
                reader = None
            if self.refused or value is NOTHING or type(value) is LAZY:
                value = self._not_at_once(value, reader)
            else:
                self.count(reader)
        except RecursionError:  # the host had stack left for a read, and none for us
            self.unseen[0:0] = (self.taps[0][0],)
            if type(value) is LAZY:  # nor had it for an import
                raise
        if value is NOTHING:
            raise AttributeError(self.name)
        return value

    def _not_at_once(self, value: Any, reader: FrameType | None) -> Any:
        """What to say to who reads a name that is not there or still to be loaded: no, then what `ModuleType` needs."""
        asker = get_ident() if reader is None else id(reader)
        if asker in self.refused:
            self.refused.discard(asker)
            return value
        self.count(reader)
        if not self.twice or (value is not NOTHING and type(value) is not LAZY):
            return value
        self.refused.add(asker)
        return NOTHING

    def __set__(self, module: Any, value: Any) -> None:
        module.__dict__[self.name] = value

    def __delete__(self, module: Any) -> None:
        if self.name in module.__dict__:
            del module.__dict__[self.name]
        else:
            delattr(type(sys)("module"), self.name)  # raises what Python raises


class _Lazy(_Name):
    """A data descriptor for a name that stands for what is still to be imported, in a module that is watched."""

    __slots__ = ()

    def __get__(self, module: Any, owner: Any = None) -> Any:
        if module is None:
            return self
        value = module.__dict__.get(self.name, NOTHING)
        if self.refused or type(value) is LAZY:
            try:
                reader = getframe(1)
            except ValueError:
                reader = None
            value = self._not_at_once(value, reader)
        if value is NOTHING:
            raise AttributeError(self.name)
        return value


class _Spec(_Name):
    """The data descriptor for a module's `__spec__`, from 3.15 on there for each module with a watched name.

    `lazy from module import name` takes the name out of the dictionary of a module that is loaded already, past all
    descriptors; but before that it asks the module's spec whether the module is half made yet.
    """

    __slots__ = ()

    def __get__(self, module: Any, owner: Any = None) -> Any:
        if module is None:
            return self
        try:
            reader = getframe(1)
        except ValueError:
            reader = None
        try:
            if reader is None or _opcode(reader) != "IMPORT_FROM":
                self.count(reader)
            else:
                name = _name_in(reader)
                value = module.__dict__.get(name, NOTHING)
                if value is not NOTHING and type(value) is not LAZY:  # else it takes nothing, and may look for words
                    self.count(reader)
                    watched = type(module).__dict__.get(name)
                    if isinstance(watched, _Name):
                        watched.count(reader)
        except RecursionError:
            self.unseen[0:0] = tuple(tap for tap, _ in self.taps[:1])
        try:
            return module.__dict__["__spec__"]
        except KeyError:
            raise AttributeError("__spec__") from None


def arm_name(
    recorder: Recorder,
    module: ModuleType,
    name: str,
    tap: Tap,
    count: Callable[[FrameType | None], None] | None = None,
) -> Callable[[], None]:
    """Count every read of `module.name`, or hand each reader's frame to `count`: None if C reads with no frame below.

    Raises TypeError if the module's class cannot be changed.
    """
    tap.ignores = _is_not_a_read
    return _watch(recorder, module, name, tap, count)


def arm_module(
    recorder: Recorder, module: ModuleType, tap: Tap, importers: Iterable[FrameType] = ()
) -> Callable[[], None]:
    """Count every import statement that names `module`, and `from parent import it`, but none of `importers` again."""
    tap.ignores = is_not_an_import
    once = _once if LAZY is None else _OnceEach(importers)
    undo = [_watch(recorder, module, "__spec__", tap, once(recorder.hooks.frame_callback(tap)))]
    parent_name, _, name = module.__name__.rpartition(".")
    parent = sys.modules.get(parent_name)
    if parent is not None:
        other = _from_parent(recorder, tap)
        undo.append(_watch(recorder, parent, name, other, once(recorder.hooks.frame_callback(other))))

    def undo_all() -> None:
        for step in undo:
            step()

    return undo_all


def _once(count: Callable[[FrameType | None], None]) -> Callable[[FrameType | None], None]:
    return count


class _OnceEach:
    """From 3.15 on: to load what a lazy import statement left, Python asks for one module several times."""

    def __init__(self, importers: Iterable[FrameType]) -> None:
        self._loading = next(((id(one), one.f_lasti) for one in importers if _loads_lazy(one, "__spec__")), None)

    def __call__(self, count: Callable[[FrameType | None], None]) -> Callable[[FrameType | None], None]:
        def count_once(frame: FrameType | None) -> None:
            # a function of importlib's reads `__spec__`, at one place for those who import and those who look
            frame = _who_asks(frame) if frame else None
            if frame is not None and _loads_lazy(frame, "__spec__"):
                loading = (id(frame), frame.f_lasti)
                if loading == self._loading:
                    return
                self._loading = loading
            count(frame)

        return count_once


def _who_asks(frame: FrameType) -> FrameType:
    return frame.f_back or frame if frame.f_code.co_name == "_is_initializing" else frame


def _from_parent(recorder: Recorder, tap: Tap) -> Tap:
    """The tap for reads of the module from its package; one for each target."""
    for other in recorder.taps:
        if other.target is tap.target and other.ignores is _is_not_from_parent:
            return other
    other = recorder.tap(tap.target, tap.use)
    other.ignores = _is_not_from_parent
    return other


def importing_frame(frame: FrameType) -> FrameType | None:
    """The frame whose import statement, or call of `import_module`, the import machinery is serving."""
    current: FrameType | None = frame
    from_list = False
    while current is not None and is_import_machinery(current):
        if current.f_code.co_name == "reload":
            return None  # of a module that was read to be reloaded
        from_list = from_list or current.f_code.co_name == "_handle_fromlist"
        current = current.f_back
    if from_list and current is not None and _opcode(current) == "IMPORT_NAME":
        return None  # `from package import module`: the read that follows is what is counted
    return current


def _watch(
    recorder: Recorder,
    module: ModuleType,
    name: str,
    tap: Tap,
    count: Callable[[FrameType | None], None] | None = None,
) -> Callable[[], None]:
    cls = _watched_class(module)
    previous = cls.__dict__.get(name)
    taps = list(previous.taps) if isinstance(previous, _Name) else []
    if any(known is tap for known, _ in taps):
        return lambda: None
    unseen = recorder.hooks.unseen
    count = count or recorder.hooks.frame_callback(tap)
    _put(cls, name, [*taps, (tap, count)], unseen)
    if LAZY is not None and "__spec__" not in cls.__dict__:
        _put(cls, "__spec__", [], unseen)

    return Undo(_unwatch, cls, name, tap, unseen)


def _unwatch(cls: type, name: str, tap: Tap, unseen: list[Tap | None]) -> None:
    rest = [entry for entry in cls.__dict__[name].taps if entry[0] is not tap]
    if rest or (LAZY is not None and name == "__spec__"):
        _put(cls, name, rest, unseen)
    elif LAZY is not None and _asks_twice(cls):
        setattr(cls, name, _Lazy(name, [], unseen, twice=True))
    else:
        delattr(cls, name)


def _put(
    cls: type, name: str, taps: list[tuple[Tap, Callable[[FrameType | None], None]]], unseen: list[Tap | None]
) -> None:
    kind = _Spec if LAZY is not None and name == "__spec__" else _Name
    setattr(cls, name, kind(name, taps, unseen, twice=_asks_twice(cls)))


def _asks_twice(cls: type) -> bool:
    return "__getattribute__" in cls.__dict__


def put(module: ModuleType, name: str, descriptor: Any) -> Callable[[], None]:
    """Have `descriptor` answer for reads of `module.name`. Returns the undo. Raises TypeError."""
    cls = _watched_class(module)
    setattr(cls, name, descriptor)

    def undo() -> None:
        if cls.__dict__.get(name) is descriptor:
            delattr(cls, name)

    return undo


def _watched_class(module: ModuleType) -> Any:
    cls: Any = type(module)
    if _MARK in cls.__dict__:
        _have_loaded(cls, module)
        return cls
    body = {
        _MARK: True,
        "__slots__": (),
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__doc__": cls.__doc__,
    }
    # Where the host's own class says how to look, the interpreter takes no short cut.
    if cls.__getattribute__ is type(sys).__getattribute__ and not hasattr(cls, "__getattr__"):
        body |= _LOOK_HERE
    make: Any = _Unseen if type(cls) is type else type(cls)
    watched = make(cls.__name__, (cls,), body)
    module.__class__ = watched
    _have_loaded(watched, module)
    return watched


def _have_loaded(watched: Any, module: ModuleType) -> None:
    """Have the names that an import statement is still to load loaded when they are read, as in any module."""
    if LAZY is not None and _asks_twice(watched):
        for name, value in list(vars(module).items()):
            if type(value) is LAZY and name not in watched.__dict__:
                setattr(watched, name, _Lazy(name, [], [], twice=True))


def give_back(module: ModuleType, plain: type) -> None:
    """Give the module its class again, which was `plain`, if nothing of it is watched any more."""
    cls: Any = type(module)
    if cls is plain or _MARK not in cls.__dict__ or cls.__bases__ != (plain,):
        return
    if not any(isinstance(value, _Name) and value.taps for value in cls.__dict__.values()):
        module.__class__ = plain


def _opcode(frame: FrameType) -> str:
    """The name of the instruction that `frame` is executing."""
    if frame.f_lasti < 0:
        return ""
    return opname[frame.f_code.co_code[frame.f_lasti]]


def _is_not_a_read(frame: FrameType) -> bool:
    # `from package import name` first has importlib ask whether the name is there; the read comes after. From 3.15 on
    # `traceback` looks through all that an object has for a name that somebody may have meant.
    asks = frame.f_code.co_name == "_check_for_nested_attribute" and frame.f_globals.get("__name__") == "traceback"
    return asks or is_import_machinery(frame)


def is_not_an_import(frame: FrameType) -> bool:
    """Of a read of a module's `__spec__`."""
    if is_import_machinery(frame):
        # `import_module` of a loaded module ends here; the other readers of `__spec__` only look
        return _who_asks(frame).f_code.co_name != "_find_and_load"
    doing = _opcode(frame)
    if doing.startswith("CALL") and "__import__" in frame.f_code.co_names:
        # Who calls `__import__` in a function hardly calls `getattr(module, "__spec__")` there. This one is of
        # `traceback`, and looks for a name that somebody may have meant.
        return frame.f_code.co_name == "_compute_suggestion_error"
    # who takes a name out of a loaded module by a lazy statement asks for the module there (`_Spec`)
    is_lazy = LAZY is not None and (doing == "IMPORT_FROM" or _loads_lazy(frame, "__spec__"))
    return doing != "IMPORT_NAME" and not is_lazy


_READ_GLOBALS = frozenset(("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"))


def _loads_lazy(frame: FrameType, name: str) -> bool:
    """Whether `frame` reads what an import statement left to be imported: for no other reason does an instruction that
    reads a global name, or another attribute, read an attribute `name`."""
    doing = _opcode(frame)
    return doing in _READ_GLOBALS or (doing == "LOAD_ATTR" and _name_in(frame, shift=1) != name)


def _name_in(frame: FrameType, *, shift: int = 0) -> str:
    """The name that the instruction of `frame` reads."""
    raw, at, number = frame.f_code.co_code, frame.f_lasti, 0
    for place in (0, 8, 16, 24):
        number |= raw[at + 1] << place
        at -= 2
        if at < 0 or opname[raw[at]] != "EXTENDED_ARG":
            break
    return frame.f_code.co_names[number >> shift]


def _is_not_from_parent(frame: FrameType) -> bool:
    """Of a read of a module from its package."""
    # `import package.module as m` takes the module from its package with this instruction, too, having
    # imported it by name, which was counted
    doing = _opcode(frame)
    if doing in _READ_GLOBALS and LAZY is not None:
        return False
    return is_import_machinery(frame) or doing != "IMPORT_FROM" or _is_aliasing(frame)


def _is_aliasing(frame: FrameType) -> bool:
    """Whether an IMPORT_FROM belongs to `import a.b as c`, which has no list of names to import."""
    raw = frame.f_code.co_code
    at = frame.f_lasti
    while at >= 0 and opname[raw[at]] != "IMPORT_NAME":
        at -= 2
    while at > 0:
        at -= 2
        if opname[raw[at]] == "LOAD_COMMON_CONSTANT":  # from 3.15 on: None, for a list of names is none of these
            return True
        if opname[raw[at]] == "LOAD_CONST":
            return frame.f_code.co_consts[raw[at + 1]] is None
        if opname[raw[at]] not in ("EXTENDED_ARG", "CACHE"):
            break
    return False
