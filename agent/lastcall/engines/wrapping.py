"""The wrapt engine: a wrapper whose `enabled=` hook counts the use and says no.

wrapt asks the hook before the call, from C, so that the hook's caller is the call site; told no, it calls
the original itself. No frame of ours is on the stack during the call, and the wrapper function never runs.

Importing this module loads wrapt's C extension (see `wrapt_core`): only when the first target's module has run.
"""

from __future__ import annotations

import sys
from _weakref import ref
from types import BuiltinFunctionType, FunctionType, MethodType

from .. import hotpath
from ..captured import weakly
from ..errors import getframe
from . import Undo
from .wrapt_core import load

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    from ..sites import Tap

wrapt: Any = load()
IN_C = not isinstance(wrapt.FunctionWrapper.__call__, FunctionType)
"""Whether wrapt's wrappers are those of its C extension. Its Python ones ask themselves for what `Unseen` hides."""
own: Callable[[Any, str], Any] = wrapt.FunctionWrapper.__getattribute__ if IN_C else getattr
"""An attribute of a wrapper, where one of what it wraps may have the same name."""
set_own: Callable[[Any, str, Any], None] = wrapt.FunctionWrapper.__setattr__
"""Give a wrapper an attribute of its own; the name begins with `_self_`."""
ORIGINAL = "_self_lastcall_original"
HELD = "_self_lastcall_held"
"""The attributes in which a wrapper keeps what was in its place, and who held that."""
_ANSWERED = frozenset((
    *("__call__", "__get__", "__reduce__", "__reduce_ex__", "__deepcopy__", "__bound_function_wrapper__"),
    *("__class__", "__dict__", "__name__", "__qualname__", "__setattr__", "__delattr__"),
))  # fmt: skip
"""What a wrapper answers for itself: how it is called, bound, pickled and copied, and what wrapt passes on as it is."""
_HIDDEN = frozenset((
    *dir(wrapt.FunctionWrapper), *dir(wrapt.BoundFunctionWrapper), "imitated", "__annotations__", "__annotate__",
)) - _ANSWERED  # fmt: skip
"""What wrapt's types have and what is wrapped may not have; and what may run code of the host's (annotations)."""
_HIDDEN_OF_TYPES = _HIDDEN - {*dir(object), "imitated", "__module__", "__copy__"}
"""What a wrapper's type has for other kinds of objects. `ExitStack.push` asks a type whether it has an `__exit__`."""

_METHODS_BY_NAME: dict[str, Any] = {
    "__new__": staticmethod, "__init_subclass__": classmethod, "__class_getitem__": classmethod,
}  # fmt: skip


def wrapped_by(wrapper: Any) -> Any:
    """What lies in a wrapper of ours."""
    return own(wrapper, "__wrapped__")


class _Kind(type(wrapt.FunctionWrapper)):  # type: ignore[misc]
    """The type of the wrappers' types.

    wrapt's have the special methods of every kind of object. Who asks whether something is sized or a context
    manager (`collections.abc`), or which of several functions is for it (`functools.singledispatch`), goes through
    the bases of its type: told are those of what is wrapped. And who keeps a set of types, or goes by a dictionary from
    types to what is to be done, finds the wrapper's in it under that of what is wrapped. Instances of it are those of
    that type, too.
    """

    def __eq__(cls, other: object) -> bool:
        return cls is other or cls.imitated == (other.imitated if type(other) is _Kind else other)

    def __hash__(cls) -> int:
        return hash(cls.imitated)

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, cls.imitated)

    if IN_C:

        def __getattribute__(cls, name: str) -> Any:
            if name in _HIDDEN_OF_TYPES:
                raise AttributeError  # for Python to ask the type of what is wrapped, from C
            return type.__getattribute__(cls, name)

        # C's own function, so that no line of ours is in the traceback of what is not there
        __getattr__: Any = property(lambda cls: MethodType(getattr, cls.imitated))

    @property
    def __mro__(cls) -> tuple[type, ...]:
        return (cls, *cls.imitated.__mro__)

    @property
    def __bases__(cls) -> tuple[type, ...]:
        return (cls.imitated,)


for _name in ("__module__", "__doc__"):
    # wrapt's Python types keep both apart from those of their instances, which those of `_Kind` would undo
    if isinstance(vars(type(wrapt.FunctionWrapper)).get(_name), property):
        setattr(_Kind, _name, vars(type(wrapt.FunctionWrapper))[_name])


class Unseen(metaclass=_Kind):
    """The attributes of a wrapper are those of what it wraps, and no others.

    Else a function would have a `__wrapped__`, an `__enter__` and a `__len__`; who calls `f.__wrapped__` to come
    behind a decorator would get the decorated function; and what is set as `__wrapped__` would be called.
    """

    __slots__ = ()
    if TYPE_CHECKING:
        imitated: type
    else:
        imitated = FunctionType  # an annotation here would be taken for one of what is wrapped

    if IN_C:

        def __getattribute__(self, name: str) -> Any:
            if name in _HIDDEN or name[:6] == "_self_":
                raise AttributeError  # for Python to call wrapt's `__getattr__`, which asks what is wrapped, from C
            return own(self, name)

        # C's own functions, so that no line of ours is in the traceback of what goes wrong
        __setattr__: Any = property(lambda self: MethodType(setattr, wrapped_by(self)))
        __delattr__: Any = property(lambda self: MethodType(delattr, wrapped_by(self)))
        if sys.version_info >= (3, 15):  # where `ExitStack` looks past a type's own `__getattribute__`
            __enter__ = property(lambda self: _entered_by(wrapped_by(self), "__enter__"))
            __aenter__ = property(lambda self: _entered_by(wrapped_by(self), "__aenter__"))
            # `push` takes what has none for the callback itself
            __exit__ = property(lambda self: getattr(wrapped_by(self), "__exit__", self))
            __aexit__ = property(lambda self: getattr(wrapped_by(self), "__aexit__", self))


def _entered_by(wrapped: Any, name: str) -> Any:
    """Raises what `contextlib` does of a type that has no such method."""
    method = getattr(wrapped, name, None)
    if method is None:
        cls, kind = type(wrapped), "asynchronous context manager" if name == "__aenter__" else "context manager"
        raise TypeError(f"'{cls.__module__}.{cls.__qualname__}' object does not support the {kind} protocol")
    return method


class Wrapper(Unseen, wrapt.FunctionWrapper):
    """A wrapped Python function; pickles by name and copies as a function does: as itself.

    It binds as a function does, into an ordinary method: wrapt's own bound wrapper is no `types.MethodType`,
    cannot be made anew by `weakref.WeakMethod`, and costs more.
    """

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __set_name__(self, owner: Any, name: str) -> None:
        """What a class body names so Python makes a class or static method, if it is a function by its very type."""
        method = _METHODS_BY_NAME.get(name)
        if method is not None and isinstance(owner, type) and vars(owner).get(name) is self:
            type.__setattr__(owner, name, method(self))

    def __repr__(self) -> str:
        return repr(wrapped_by(self))

    def __reduce__(self) -> Any:
        return self.__reduce_ex__(2)

    def __reduce_ex__(self, protocol: Any) -> Any:
        if _is_found_by_name(self) and not _takes_scripts_apart(getframe(1)):
            return wrapped_by(self).__qualname__
        import copy

        return copy.copy, (wrapped_by(self),)  # which gives a function back as it is, in any process

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        return self


def _is_found_by_name(wrapper: Wrapper) -> bool:
    """Whether a pickle that holds nothing but its name would lead to it.

    If not, it is pickled as the function would be without us: a pickler may have a rule for such, or an error.
    """
    found: Any = sys.modules.get(wrapper.__module__)
    for name in wrapper.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is wrapper


def _takes_scripts_apart(caller: FrameType) -> bool:
    """Whether the pickler that asks has a rule of its own for functions, and is asked for one of the script's.

    Such a pickler (dill's), written in Python, goes by an object's type, so that a wrapper is none of its functions.
    By name it pickles what other processes can import.
    """
    stock = getattr(sys.modules.get("pickle"), "_Pickler", None)
    pickler, asked = caller.f_locals.get("self"), caller.f_locals.get("obj")
    if stock is None or not isinstance(pickler, stock) or getattr(asked, "__module__", "") != "__main__":
        return False
    return pickler.dispatch.get(FunctionType) is not stock.save_global


class _Bound(Unseen, wrapt.BoundFunctionWrapper):
    """What a wrapped descriptor gives when it is bound; pickles and copies as what it stands for."""

    def __repr__(self) -> str:
        return repr(wrapped_by(self))

    def __reduce__(self) -> Any:
        return wrapped_by(self).__reduce__()

    def __reduce_ex__(self, protocol: Any) -> Any:
        return wrapped_by(self).__reduce_ex__(protocol)

    def __copy__(self) -> Any:
        import copy

        return copy.copy(wrapped_by(self))

    def __deepcopy__(self, memo: Any) -> Any:
        import copy

        return copy.deepcopy(wrapped_by(self), memo)


class ObjectWrapper(Unseen, wrapt.FunctionWrapper):
    """Any other wrapped callable: a C function, an object with `__call__`, a descriptor with its own binding."""

    __bound_function_wrapper__ = _Bound

    if IN_C:

        def __getattribute__(self, name: str) -> Any:
            if name == "__wrapped__":
                behind = _behind(own(self, name))
                if behind is not None:
                    return behind
            return Unseen.__getattribute__(self, name)

    def __repr__(self) -> str:
        return repr(wrapped_by(self))

    def __reduce__(self) -> Any:
        return self.__reduce_ex__(2)

    def __reduce_ex__(self, protocol: Any) -> Any:
        wrapped = wrapped_by(self)
        if isinstance(wrapped, (BuiltinFunctionType, type)):
            return wrapped.__qualname__
        return wrapped.__reduce_ex__(protocol)

    def __copy__(self) -> Any:
        import copy

        made = copy.copy(wrapped_by(self))
        return self if made is wrapped_by(self) else made

    def __deepcopy__(self, memo: Any) -> Any:
        import copy

        made = copy.deepcopy(wrapped_by(self), memo)
        return self if made is wrapped_by(self) else made


def _bound_in_c(self: Any, instance: Any, owner: Any = None) -> Any:
    """The `__get__` of a wrapper of what binds in C (a cached function, one of Cython's).

    Found through a class, such a thing is itself, and through an instance an ordinary method, as in `Wrapper`.
    """
    wrapped = wrapped_by(self)
    bound = type(wrapped).__get__(wrapped, instance, owner)
    if bound is wrapped:
        return self
    if type(bound) is MethodType and bound.__func__ is wrapped:
        return MethodType(self, bound.__self__)
    return wrapt.FunctionWrapper.__get__(self, instance, owner)


def _behind(wrapped: Any) -> Any:
    """What `inspect.unwrap` has to find behind a wrapper, if it is not what it would find behind `wrapped`.

    For the signature of an object it asks the type for a `__call__` in Python, which a wrapper's type has not.
    """
    return wrapped if type(wrapped).__flags__ & _IS_HEAP_TYPE and not hasattr(wrapped, "__wrapped__") else None


_kinds: dict[type, type] = {FunctionType: Wrapper}
"""The wrappers' types by what they wrap."""


def _kind_for(original: Any) -> type:
    """The type for a wrapper of `original`, named as the original's is.

    Python names the type where something goes wrong: "'function' object is not iterable".
    """
    kind = type(original)
    if kind not in _kinds:
        names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "imitated": kind}
        if type(getattr(kind, "__get__", None)) is type(object.__init__):
            names["__get__"] = _bound_in_c
        made = type(kind.__name__, (ObjectWrapper,), names)
        if kind.__flags__ & _IS_HEAP_TYPE:
            return made  # made by the host, and may go again
        _kinds[kind] = made
    return _kinds[kind]


def a_kind_for(original: Any) -> Any:
    """The same, for this one alone: what is done to the type is done to no other wrapper."""
    kind: Any = _kind_for(original)
    names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "imitated": kind.imitated}
    return type(kind)(kind.__name__, (kind,), names)


def call_of(wrapper: Any) -> Any:
    """What wrapt does when `wrapper` is called."""
    return wrapt.FunctionWrapper.__call__.__get__(wrapper)


_IS_HEAP_TYPE = 1 << 9
_Bound.imitated = MethodType
Wrapper.__module__, Wrapper.__name__, Wrapper.__qualname__ = "builtins", "function", "function"
_Bound.__module__, _Bound.__name__, _Bound.__qualname__ = "builtins", "method", "method"


class InheritedConstructor(Unseen, wrapt.FunctionWrapper):
    """An `__init__` for a class that inherits one from C, which hands on to whatever comes next.

    What comes next depends on the instance: in a subclass with several bases it is not the C type's.
    """

    imitated = type(object.__init__)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        inherited = super(own(self, "_self_class"), instance).__init__
        return ObjectWrapper(inherited, never_runs, enabled=own(self, "_self_tap").hook)

    def __repr__(self) -> str:
        return repr(wrapped_by(self))


def never_runs(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    """wrapt needs a wrapper function; with a hook that says no it is not called."""
    return wrapped(*args, **kwargs)


def wrap(original: Any, tap: Tap) -> Any:
    """`original`, a callable or descriptor, so wrapped that each call goes to `tap`."""
    wrapper = wrapper_of(original, never_runs, tap.hook)
    set_own(inner(wrapper), "_self_tap", tap)
    return wrapper


def wrapper_of(original: Any, function: Callable[..., Any], enabled: Callable[[], Any]) -> Any:
    """A wrapt wrapper of `original` of the kind that shows least.

    Class and static methods stay what they are, with the function in them wrapped.
    """
    if type(original) in (classmethod, staticmethod):
        return type(original)(wrapper_of(original.__func__, function, enabled))
    return _kind_for(original)(original, function, enabled=enabled)


def is_wrapper(value: Any) -> bool:
    """Whether `value` is ours; asks the type, because a wrapper imitates what it wraps."""
    return issubclass(type(value), (Wrapper, ObjectWrapper, InheritedConstructor, _Bound))


def inner(value: Any) -> Any:
    """The function in a class or static method; anything else is itself."""
    return value.__func__ if type(value) in (classmethod, staticmethod) else value


def counts_for(value: Any, tap: Tap) -> bool:
    """Whether `value` is, or wraps, a wrapper of ours that already counts for `tap`."""
    value = inner(value)
    while is_wrapper(value):
        if tap_of(value) is tap:
            return True
        value = wrapped_by(value)
    return False


def tap_of(wrapper: Any) -> Any:
    """What a wrapper counts for, None if it does more than count."""
    try:
        return own(wrapper, "_self_tap")
    except AttributeError:
        return None


def _calibrate() -> bool:
    """See which frame calls the hook: with wrapt's C extension the call site, else a frame of wrapt's own (True)."""
    frames: list[Any] = []

    def probe() -> None:
        frames.append(getframe(1))

    here = getframe()
    try:
        Wrapper(lambda: None, never_runs, enabled=probe)()
        if not frames or frames[0] is here:
            return False
        hotpath.skip_frames_of(frames[0].f_globals)
        return True
    finally:  # a frame that knows itself stays, with all that the frames below it hold, the host's among them
        frames.clear()
        del here


ADDS_A_FRAME = _calibrate()
"""Without its C extension wrapt puts a frame of its own under every call."""


def put(owner: Any, name: str, original: Any, wrapper: Any) -> Callable[[], None]:
    """Replace `name` in a module or class by a wrapper. Returns the undo.

    Raises TypeError or AttributeError where the owner refuses (a C class, a frozen metaclass).
    """
    set_attribute(owner, name, wrapper)
    return _putting_back(owner, name, inner(wrapper), original)


def _putting_back(owner: Any, name: str, wrapper: Any, original: Any) -> Callable[[], None]:
    """The undo of what put `wrapper` into `owner`, alone or within a descriptor. Keeps neither of them alive."""
    set_own(wrapper, ORIGINAL, original)
    return Undo(_put_back, weakly(owner), name, weakly(wrapper))


def _put_back(put_in: Callable[[], Any], name: str, put_there: Callable[[], Any]) -> None:
    owner, wrapper = put_in(), put_there()
    if owner is None or wrapper is None:
        return
    there = vars(owner).get(name)
    parts = (there.fget, there.fset, there.fdel) if isinstance(there, property) else (inner(there),)
    if any(part is wrapper for part in parts):
        set_attribute(owner, name, own(wrapper, ORIGINAL))


def arm_inherited(cls: type, inherited: Any, tap: Tap) -> Callable[[], None]:
    """Give `cls` an `__init__` that counts and calls the one it inherits from a C type. Returns the undo.

    Raises TypeError where the class refuses.
    """
    wrapper = InheritedConstructor(inherited, never_runs, enabled=tap.hook)
    set_own(wrapper, "_self_class", cls)
    set_own(wrapper, "_self_tap", tap)
    set_attribute(cls, "__init__", wrapper)
    return Undo(_take_constructor, ref(cls), ref(wrapper))


def _take_constructor(put_in: ref[type], put_there: Callable[[], Any]) -> None:
    cls = put_in()
    if cls is not None and cls.__dict__.get("__init__", cls) is put_there():
        type.__delattr__(cls, "__init__")


def arm_property(owner: type, name: str, original: property, tap: Tap) -> Callable[[], None]:
    """Replace a property by one of the same type whose getter, setter and deleter are counted."""
    parts = [
        wrap(part, tap) if part is not None else None
        for part in (original.fget, original.fset, original.fdel)
    ]
    make: Any = type(original)
    replacement = make(*parts, original.__doc__)
    kind: Any = property
    kind.__set_name__(replacement, owner, name)  # which the words of its errors use
    set_attribute(owner, name, replacement)
    first = next((part for part in parts if part is not None), None)
    return _putting_back(owner, name, first, original) if first is not None else lambda: None


def wrap_part(owner: Any, name: str, tap: Tap) -> Callable[[], None]:
    """Replace the function that an object holds as its attribute `name` by a wrapper. Returns the undo."""
    wrapper = wrap(getattr(owner, name), tap)
    setattr(owner, name, wrapper)
    put_there, put_in = weakly(wrapper), weakly(owner)

    def undo() -> None:
        owner, wrapper = put_in(), put_there()
        if owner is not None and wrapper is not None and getattr(owner, name) is wrapper:
            setattr(owner, name, wrapped_by(wrapper))

    return undo


def note_holders(put_there: Any, held: Any) -> None:
    """Note with a wrapper who held what it wraps, for the next one that is put around it."""
    if is_wrapper(inner(put_there)):
        set_own(inner(put_there), HELD, held)


def holders_noted(value: Any) -> Any:
    """What was noted with a wrapper, None if nothing was or it is none."""
    try:
        return own(inner(value), HELD) if is_wrapper(inner(value)) else None
    except AttributeError:
        return None


def set_attribute(owner: Any, name: str, value: Any) -> None:
    """Put `value` into a module or class namespace as it is. Raises TypeError or AttributeError."""
    if isinstance(owner, type):
        # not setattr(): a metaclass may have its own idea of assignment (enums, frozen classes)
        type.__setattr__(owner, name, value)
    else:
        vars(owner)[name] = value
