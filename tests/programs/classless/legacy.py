import collections
import enum
import typing
from array import array as Array
from collections import OrderedDict as Ordered


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


class Keys(dict):
    """A C type's constructor inherited."""


class Shape(typing.TypedDict, total=False):
    a: int


class Proto(typing.Protocol):
    def method(self): ...
