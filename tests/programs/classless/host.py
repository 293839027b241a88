import copy
import inspect
import pickle
import typing
import warnings
from unittest import mock

import legacy
from seeing import show

warnings.simplefilter("always")

show("typed", lambda: legacy.Typed(1))  # 1x legacy.Typed
made = legacy.Typed(1, 2)  # 1x legacy.Typed
show("typed made", lambda: (made._replace(a=3), made._fields, made._asdict(), type(made).__name__))
show("typed make", lambda: legacy.Typed._make([1, 2]))
show("typed misfit", lambda: legacy.Typed())  # 1x! legacy.Typed
show("typed pickle", lambda: pickle.loads(pickle.dumps(made)))  # 1x pickle.loads
show("typed copy", lambda: (copy.copy(made) == made, copy.deepcopy(made) == made))
show("tuple", lambda: legacy.Tuple(1, 2))  # 1x legacy.Tuple
show("tuple misfit", lambda: legacy.Tuple(1))  # 1x! legacy.Tuple
show("colour", lambda: legacy.Colour.RED)  # 1x legacy.Colour
show("colour value", lambda: legacy.Colour(2))  # 1x legacy.Colour
show("colour name", lambda: legacy.Colour["RED"])  # 1x legacy.Colour
show("colours", lambda: list(legacy.Colour))  # 1x legacy.Colour
red = legacy.Colour.RED  # 1x legacy.Colour
show("colour pickle", lambda: pickle.loads(pickle.dumps(red)) is red)  # 1x pickle.dumps # 1x pickle.loads
show("colour is", lambda: (type(red), red.name, red.value, copy.deepcopy(red) is red))
show("empty", lambda: legacy.Empty().method())  # 1x legacy.Empty
show("empty misfit", lambda: legacy.Empty(1))  # 1x legacy.Empty
show("quiet", lambda: legacy.Quiet("q").args)  # 1x legacy.Quiet


def caught():
    try:
        raise legacy.Quiet("q")  # 1x legacy.Quiet
    except legacy.Quiet as quiet:
        return repr(quiet)


class Other(Exception):
    def __init__(self, *args):
        self.initialised = args
        super().__init__(*args)


class Mixed(legacy.Quiet, Other):
    """Its constructor is `Other`'s, found behind the legacy class."""


show("mixed", lambda: (Mixed(1, 2).initialised, Mixed(3).args))  # 2x Mixed
show("quiet signature", lambda: (inspect.signature(legacy.Quiet), inspect.signature(legacy.Keys)))
show("quiet init", lambda: (legacy.Quiet.__init__, legacy.Quiet.__init__(legacy.Quiet("a"), "b")))  # 1x legacy.Quiet # 1x legacy.Quiet.__init__
quiet = legacy.Quiet("q", 1)  # 1x legacy.Quiet
show("quiet pickle", lambda: pickle.loads(pickle.dumps(quiet)).args)  # 1x pickle.loads
show("quiet group", lambda: [c.__name__ for c in legacy.Quiet.__mro__])


show("caught", caught)
show("keys", lambda: legacy.Keys(a=1))  # 1x legacy.Keys
show("array", lambda: legacy.Array("i", [1, 2]))  # 1x legacy.Array
show("ordered", lambda: legacy.Ordered(a=1))  # 1x legacy.Ordered
show("shape", lambda: legacy.Shape(a=1))  # 1x legacy.Shape
show("hints", lambda: typing.get_type_hints(legacy.Shape))  # 1x legacy.Shape
show("proto", lambda: legacy.Proto.__name__)  # 1x legacy.Proto

from legacy import Empty  # 1x Empty

show("imported", lambda: (Empty().method(), Empty is type(Empty())))
show("getattr", lambda: getattr(legacy, "Empty") is Empty)  # 1x getattr
show("vars", lambda: (sorted(n for n in vars(Empty)), inspect.isclass(Empty), Empty.__module__, Empty.__doc__))
show("subclass", lambda: [c.__name__ for c in type("Mine", (Empty,), {}).__mro__])
show("pickle class", lambda: pickle.loads(pickle.dumps(Empty)) is Empty)  # 1x pickle.dumps # 1x pickle.loads
show("signature", lambda: inspect.signature(Empty))
show("module", lambda: (type(legacy).__name__, type(legacy).__module__, isinstance(legacy, type(inspect)), repr(legacy).split(" from ")[0]))
show("module type", lambda: type(legacy) is type(inspect))
show("module dir", lambda: [n for n in dir(legacy) if not n.startswith("__")])
show("module vars", lambda: vars(legacy)["Empty"] is Empty)


def patched():
    with mock.patch("legacy.Empty") as fake:
        return legacy.Empty() is fake.return_value  # 1x legacy.Empty


show("mock.patch", patched)
show("after", lambda: legacy.Empty().method())  # 1x legacy.Empty
