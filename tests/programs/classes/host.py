import abc
import copy
import functools
import gc
import inspect
import pickle
import sys
import typing
import warnings
import weakref
from unittest import mock

import legacy
from seeing import show

warnings.simplefilter("always")

plain = legacy.Plain()  # 1x legacy.Plain
CLASSES = (
    legacy.Plain, legacy.Sub, legacy.Made, legacy.Both, legacy.Data, legacy.Frozen, legacy.Slotted, legacy.Concrete,
    legacy.WithMeta, legacy.Generic, legacy.Failure, legacy.Mapping, legacy.Registered, legacy.Outer.Inner, legacy.Reduced,
)


def call():
    here = 1
    show("around", lambda: legacy.Plain("around").seen)  # 1x legacy.Plain
    legacy.Plain("warn")  # 1x legacy.Plain
    legacy.Made("warn")  # 1x legacy.Made
    legacy.Data(1, "warn")  # 1x legacy.Data
    legacy.WithMeta("warn")  # 1x legacy.WithMeta
    for turn in range(3):
        legacy.Plain(turn)  # 3x legacy.Plain


call()
show("values", lambda: legacy.Plain(1, 2, 3, c=4).values)  # 1x legacy.Plain
show("raise", lambda: legacy.Plain("raise"))  # 1x legacy.Plain
show("misfit", lambda: legacy.Plain(nothing=1))  # 1x! legacy.Plain
show("made misfit", lambda: legacy.Made(nothing=1))  # 1x! legacy.Made
show("data misfit", lambda: legacy.Data())  # 1x! legacy.Data
show("subclass", lambda: legacy.Sub("s").values)  # 1x legacy.Sub
show("subclass with init", lambda: legacy.SubWithInit().values)
show("made", lambda: (legacy.Made("m").action))  # 1x legacy.Made
show("made raise", lambda: legacy.Made("raise"))  # 1x legacy.Made
show("other", lambda: legacy.Other("o"))  # 1x legacy.Other
show("both", lambda: legacy.Both("b").action)  # 1x legacy.Both
show("data", lambda: legacy.Data(1, c=[2]))  # 1x legacy.Data
show("data twice", lambda: legacy.Data(1) == legacy.Data(1))  # 2x legacy.Data
show("frozen", lambda: (legacy.Frozen(2), hash(legacy.Frozen(2)), legacy.Frozen(1) < legacy.Frozen(2)))  # 4x legacy.Frozen
show("frozen set", lambda: setattr(legacy.Frozen(), "a", 2))  # 1x legacy.Frozen
show("slotted", lambda: (legacy.Slotted(5).a, hasattr(legacy.Slotted(), "__dict__")))  # 2x legacy.Slotted
show("slotted weak", lambda: weakref.ref(legacy.Slotted())() is None)  # 1x legacy.Slotted
show("abstract", lambda: legacy.Abstract())
show("concrete", lambda: (legacy.Concrete().must(), isinstance(legacy.Concrete(), legacy.Abstract)))  # 2x legacy.Concrete
show("metaclass", lambda: vars(legacy.WithMeta("w")))  # 1x legacy.WithMeta
show("single", lambda: legacy.OnlyOne() is legacy.OnlyOne(2))  # 1x legacy.OnlyOne
show("generic", lambda: legacy.Generic(1).item)  # 1x legacy.Generic
show("generic alias", lambda: legacy.Generic[int](2).item)  # 1x legacy.Generic[...]
show("mapping", lambda: legacy.Mapping(a=1, b=2))  # 1x legacy.Mapping
show("inner", lambda: legacy.Outer.Inner(3).a)  # 1x legacy.Outer.Inner


def raises():
    try:
        raise legacy.Failure("broken")  # 1x legacy.Failure
    except legacy.Failure as failure:
        return failure.args, failure.code, type(failure) is legacy.Failure


show("exception", raises)


def raises_class():
    try:
        raise legacy.Failure  # 1x legacy.Failure
    except legacy.Failure as failure:
        return failure.args


show("exception class", raises_class)
show("uncaught", lambda: (_ for _ in ()).throw(legacy.Failure("out")))  # 1x legacy.Failure
show("map", lambda: len(list(map(legacy.Plain, [1, 2]))))  # 2x list
show("partial", lambda: functools.partial(legacy.Plain, 7)().values)  # 1x functools.partial()

show("identity", lambda: [(c is getattr(sys.modules["legacy"], c.__name__, c), type(c)) for c in CLASSES])
show("isinstance", lambda: [isinstance(c, type) and inspect.isclass(c) for c in CLASSES])
show("type is", lambda: (type(plain) is legacy.Plain, plain.__class__ is legacy.Plain, isinstance(plain, legacy.Plain)))
gc.collect()  # classes made above lie in cycles: when they go is the collector's affair, that they go is ours
show("subclasses", lambda: [[s.__name__ for s in c.__subclasses__()] for c in CLASSES])
show("mro", lambda: [[b.__name__ for b in c.__mro__] for c in CLASSES])
show("signatures", lambda: [str(inspect.signature(c)) for c in CLASSES])
show("names", lambda: [(c.__name__, c.__qualname__, c.__module__, c.__doc__) for c in CLASSES])
show("repr", lambda: [repr(c) for c in CLASSES])
show("vars", lambda: [sorted(vars(c)) for c in CLASSES])
show("kinds in vars", lambda: [[(n, type(v).__name__) for n, v in sorted(vars(c).items()) if n in ("__init__", "__new__")] for c in CLASSES])
show("init", lambda: [(inspect.isfunction(c.__init__), c.__init__.__qualname__) for c in CLASSES if "__init__" in vars(c)])
show("fields", lambda: (legacy.Data.__dataclass_fields__.keys(), legacy.Data.__match_args__, legacy.Data.__eq__(1, 2)))
show("abstract methods", lambda: legacy.Abstract.__abstractmethods__)
show("parameters", lambda: (legacy.Generic.__parameters__, typing.get_origin(legacy.Generic[int])))
show("except tuple", lambda: issubclass(legacy.Failure, (ValueError, legacy.Failure)))
show("hints", lambda: (typing.get_type_hints(legacy.Data), typing.Optional[legacy.Plain]))
show("new subclass", lambda: type("Mine", (legacy.Plain,), {})("mine").values)  # 1x type()
show("registered", lambda: (type("Mine", (legacy.Registered,), {}).__name__, legacy.Registered.known))


class Multiple(legacy.Sub, legacy.Registered):
    def __init__(self):
        super().__init__("multi")  # 1x super().__init__


show("multiple", lambda: Multiple().values)
show("pickle class", lambda: [pickle.loads(pickle.dumps(c)) is c for c in CLASSES])
show("pickle", lambda: [len(pickle.dumps(x)) for x in (plain, legacy.Typed(1), legacy.Tuple(1, 2), legacy.Colour.RED)])
show("unpickled", lambda: pickle.loads(pickle.dumps(plain)).values)
reduced = legacy.Reduced(4)  # 1x legacy.Reduced
show("reduce", lambda: pickle.loads(pickle.dumps(reduced)).a)  # 1x pickle.loads
show("copy", lambda: (copy.copy(plain).values, copy.deepcopy(plain).values, copy.deepcopy(legacy.Plain) is legacy.Plain))
show("weak", lambda: weakref.ref(legacy.Plain)() is legacy.Plain)
show("object.__new__", lambda: vars(object.__new__(legacy.Plain)))
show("explicit init", lambda: legacy.Plain.__init__(object.__new__(legacy.Plain), 9))  # 1x legacy.Plain.__init__
show("autospec", lambda: mock.create_autospec(legacy.Plain)("x"))
show("autospec misfit", lambda: mock.create_autospec(legacy.Plain)(nothing=1))


def patched():
    with mock.patch("legacy.Plain", autospec=True) as fake:
        return legacy.Plain("x") is fake.return_value


show("mock.patch", patched)


def patched_init():
    with mock.patch.object(legacy.Plain, "__init__", return_value=None):
        return vars(legacy.Plain("x"))


show("mock.patch init", patched_init)
show("after", lambda: legacy.Plain("after").values)  # 1x legacy.Plain
show("typed", lambda: (legacy.Typed(1), legacy.Typed(1)._replace(a=3), legacy.Typed._make([1, 2]), legacy.Typed._fields))
show("tuple", lambda: (legacy.Tuple(1, 2), legacy.Tuple._fields))
show("colour", lambda: (legacy.Colour.RED, legacy.Colour(2), legacy.Colour["RED"], list(legacy.Colour)))
show("empty", lambda: (legacy.Empty().method(), vars(legacy.Empty).keys(), inspect.signature(legacy.Empty)))
show("empty misfit", lambda: legacy.Empty(1))
show("quiet", lambda: (legacy.Quiet("q").args, issubclass(legacy.Quiet, Exception)))
show("abc register", lambda: (legacy.Abstract.register(int), issubclass(int, legacy.Abstract)))
show("assign", lambda: setattr(legacy.Plain, "added", 1) or (plain.added, delattr(legacy.Plain, "added")))
