import abc
import collections
import dataclasses
import enum
import typing

from looking import act, around


class Plain:
    """Has an __init__ of its own."""

    def __init__(self, action="", b=2, *rest, c=3):
        if action == "around":
            self.seen = around()
        self.values = act(action, (action, b, rest, c))


class Sub(Plain):
    """Has none: the parent's runs."""


class SubWithInit(Plain):
    def __init__(self):
        super().__init__("from sub")  # 1x super().__init__


class Made:
    """Has a __new__ and no __init__."""

    def __new__(cls, action="", *rest):
        made = super().__new__(cls)
        made.action = act(action, action)
        return made


class Other:
    """Its __new__ returns another type."""

    def __new__(cls, action=""):
        return act(action, [action])


class Both:
    def __new__(cls, *args, **kwargs):
        return super().__new__(cls)

    def __init__(self, action=""):
        self.action = act(action, action)


@dataclasses.dataclass
class Data:
    a: int
    b: str = "b"
    c: list = dataclasses.field(default_factory=list)

    def __post_init__(self):
        act(self.b, None)


@dataclasses.dataclass(frozen=True, order=True)
class Frozen:
    a: int = 1


class Slotted:
    __slots__ = ("a", "__weakref__")

    def __init__(self, a=1):
        self.a = a


class Abstract(abc.ABC):
    def __init__(self, a=1):
        self.a = a

    @abc.abstractmethod
    def must(self):
        """Be there."""


class Concrete(Abstract):
    def must(self):
        return "must"


class Meta(type):
    def __call__(cls, *args, **kwargs):
        made = super().__call__(*args, **kwargs)
        made.by_meta = True
        return made


class WithMeta(metaclass=Meta):
    def __init__(self, action=""):
        self.action = act(action, action)


class Single(type):
    instances: dict = {}

    def __call__(cls, *args):
        if cls not in cls.instances:
            cls.instances[cls] = super().__call__(*args)
        return cls.instances[cls]


class OnlyOne(metaclass=Single):
    def __init__(self, a=1):
        self.a = a


T = typing.TypeVar("T")


class Generic(typing.Generic[T]):
    def __init__(self, item: T = None):
        self.item = item


class Failure(Exception):
    def __init__(self, message="m", code=3):
        super().__init__(message, code)
        self.code = code


class Mapping(dict):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)


class Registered:
    known: list = []

    def __init_subclass__(cls, **kwargs):
        cls.known.append(cls.__name__)
        super().__init_subclass__(**kwargs)

    def __init__(self):
        self.a = 1


class Outer:
    class Inner:
        def __init__(self, a=1):
            self.a = a


class Reduced:
    def __init__(self, a=1):
        self.a = a

    def __reduce__(self):
        return Reduced, (self.a,)


class Typed(typing.NamedTuple):
    a: int
    b: int = 2


Tuple = collections.namedtuple("Tuple", "a b")


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Empty:
    """Neither __init__ nor __new__, nor any to inherit."""

    def method(self):
        return "method"


class Quiet(Exception):
    """An exception without a constructor of its own."""
