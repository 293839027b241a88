"""Value classes as `dataclasses` makes them, for the part of Lastcall that runs in the host's process.

`import dataclasses` brings inspect, ast, dis and 25 more modules: 15 ms of our thread's time in a host that has no
use for them, and 3 ms more at its end. This knows what `evidence` and the store's records need: fields with
defaults or factories, `frozen`, `slots`. To `dataclasses` itself (`replace`, `asdict`, `fields`) and to type
checkers such a class is a dataclass like any other.
"""

from __future__ import annotations

__all__ = ["dataclass", "field"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass, field
    from typing import Any, NoReturn
else:

    def dataclass(*, frozen: bool = False, slots: bool = True) -> Callable[[type], type]:
        """The decorator. Fields are the annotated names of the class's own body."""
        if not slots:
            raise TypeError("a value class without slots is an ordinary dataclass")
        return lambda cls: _made(cls, frozen=frozen)

    def field(*, default_factory: Callable[[], Any]) -> Any:
        """A field's default that is made anew for each object."""
        return _Factory(default_factory)


class _Factory:
    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make


def _made(cls: type, *, frozen: bool) -> type:
    names = tuple(cls.__annotations__)
    body = {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__", *names)}
    defaults = {name: vars(cls)[name] for name in names if name in vars(cls)}
    body.update(__slots__=names, __match_args__=names, __dataclass_fields__=_Fields(names, defaults))
    body["__init__"] = initialiser = _initialiser(names, defaults, frozen=frozen)
    initialiser.__qualname__ = f"{cls.__qualname__}.__init__"
    body.update(_FROZEN if frozen else _COMMON)
    made = type(cls)(cls.__name__, cls.__bases__, body)
    made.__qualname__ = cls.__qualname__
    return made


def _initialiser(names: tuple[str, ...], defaults: dict[str, Any], *, frozen: bool) -> Any:
    """`__init__`, compiled so that it is as fast, and as strict with its arguments, as one written by hand."""
    factories = {name: value.make for name, value in defaults.items() if isinstance(value, _Factory)}
    unset = object()
    scope: dict[str, Any] = {"factories": factories, "unset": unset, "put": object.__setattr__}
    parameters, lines = ["self"], []
    for name in names:
        value = name
        if name in factories:
            parameters.append(f"{name}=unset")
            value = f"factories[{name!r}]() if {name} is unset else {name}"
        elif name in defaults:
            scope[f"default_{name}"] = defaults[name]
            parameters.append(f"{name}=default_{name}")
        else:
            parameters.append(name)
        lines.append(f" put(self, {name!r}, {value})" if frozen else f" self.{name} = {value}")
    exec("\n".join([f"def __init__({', '.join(parameters)}):", *lines]), scope)  # noqa: S102 - names of our own fields
    return scope["__init__"]


# The same functions for all classes: each one more is looked at, and cleared away, at the interpreter's end.


def _content(value: Any) -> list[Any]:
    return [getattr(value, name) for name in value.__slots__]


def _equal(self: Any, other: Any) -> bool:
    return _content(self) == _content(other) if other.__class__ is self.__class__ else NotImplemented


def _show(self: Any) -> str:
    shown = ", ".join([f"{name}={getattr(self, name)!r}" for name in self.__slots__])
    return f"{self.__class__.__qualname__}({shown})"


def _hash(self: Any) -> int:
    return hash(tuple(_content(self)))


def _refuse(_self: Any, name: str, *value: Any) -> NoReturn:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot {'assign to' if value else 'delete'} field {name!r}")


def _restore(self: Any, state: list[Any]) -> None:
    for name, value in zip(self.__slots__, state, strict=True):
        object.__setattr__(self, name, value)


_COMMON: dict[str, Any] = {"__eq__": _equal, "__repr__": _show, "__hash__": None}
_FROZEN: dict[str, Any] = {
    **_COMMON,
    "__hash__": _hash,
    "__setattr__": _refuse,
    "__delattr__": _refuse,
    "__getstate__": _content,
    "__setstate__": _restore,
}


class _Fields:
    """`__dataclass_fields__`, made when `dataclasses` asks for it."""

    def __init__(self, names: tuple[str, ...], defaults: dict[str, Any]) -> None:
        self.names = names
        self.defaults = defaults

    def __get__(self, _value: Any, owner: type) -> Any:
        import dataclasses

        specifications: list[Any] = []
        for name in self.names:
            kind: Any = owner.__annotations__.get(name, "object")
            default = self.defaults.get(name, dataclasses.MISSING)
            made = (
                dataclasses.field(default_factory=default.make)
                if isinstance(default, _Factory)
                else dataclasses.field(default=default)
            )
            specifications.append((name, kind, made))
        twin = dataclasses.make_dataclass(owner.__name__, specifications)
        fields = vars(twin)["__dataclass_fields__"]
        type.__setattr__(owner, "__dataclass_fields__", fields)
        return fields
