import asyncio
import copy
import functools
import gc
import inspect
import pickle
import types
import warnings
import weakref
from unittest import mock

import legacy
from seeing import show

warnings.simplefilter("always")
old = legacy.Old()


def call():
    here = 1
    print(old.method("around"))  # 1x old.method
    for turn in range(3):
        old.method(turn)  # 3x old.method
    old.method("warn")  # 1x old.method
    legacy.Old.static("warn")  # 1x legacy.Old.static
    legacy.Old.klass("warn")  # 1x legacy.Old.klass


call()
show("values", lambda: old.method(1, 2, c=4))  # 1x old.method
show("super", lambda: old.method("super"))  # 1x old.method
show("unbound", lambda: legacy.Old.method(old, 2))  # 1x legacy.Old.method
show("subclass", lambda: legacy.Sub().method("x"))
show("subclass super", lambda: legacy.Sub().method("super"))
show("inherited", lambda: legacy.Plain().method("x"))  # 1x legacy.Plain().method
show("raise", lambda: old.method("raise"))  # 1x old.method
show("misfit", lambda: old.method(nothing=1))  # 1x! old.method
show("misfit unbound", lambda: legacy.Old.method())  # 1x! legacy.Old.method
show("klass", lambda: legacy.Old.klass(1))  # 1x legacy.Old.klass
show("klass of instance", lambda: old.klass(2))  # 1x old.klass
show("klass of subclass", lambda: legacy.Sub.klass(3))  # 1x legacy.Sub.klass
show("klass of subclass instance", lambda: legacy.Plain().klass(4))  # 1x legacy.Plain().klass
show("klass misfit", lambda: legacy.Old.klass(1, 2))  # 1x! legacy.Old.klass
show("klass raise", lambda: legacy.Old.klass("raise"))  # 1x legacy.Old.klass
show("static", lambda: legacy.Old.static(1))  # 1x legacy.Old.static
show("static of instance", lambda: old.static(2))  # 1x old.static
show("static misfit", lambda: legacy.Old.static(1, 2))  # 1x! legacy.Old.static
show("inner", lambda: legacy.Old.Inner().method("i"))  # 1x legacy.Old.Inner().method
show("coroutine", lambda: asyncio.run(old.acoro("c")))  # 1x old.acoro
show("generator", lambda: list(old.gen(3)))  # 1x old.gen
show("len", lambda: len(old))  # 1x len
show("truth", lambda: bool(old))  # 1x bool
show("private", lambda: old._guarded())  # 1x old._guarded


def properties():
    print(old.value)  # 1x old.value
    old.value = 5  # 1x old.value
    del old.value  # 1x old.value
    warned = legacy.Old("warn")
    warned.value  # 1x warned.value
    print(getattr(old, "value"))  # 1x getattr


properties()
show("property raise", lambda: legacy.Old("raise").value)  # 1x legacy.Old().value
show("property", lambda: (type(legacy.Old.value).__name__, legacy.Old.value.__doc__, legacy.Old.value.fget.__name__, isinstance(legacy.Old.value, property)))
show("property delete", lambda: delattr(legacy.Old.value, "x"))
show("members", lambda: [(n, type(v).__name__) for n, v in sorted(vars(legacy.Old).items()) if not n.startswith("__")])
show("getmembers", lambda: sorted(n for n, v in inspect.getmembers(legacy.Old)))
show("kinds", lambda: [(a.name, a.kind) for a in inspect.classify_class_attrs(legacy.Old) if not a.name.startswith("__")])
show("bound", lambda: (old.method.__self__ is old, old.method == old.method, hash(old.method) == hash(old.method)))
show("bound function", lambda: old.method.__func__ is vars(legacy.Old)["method"])
show("is method", lambda: (inspect.ismethod(old.method), isinstance(old.method, types.MethodType), inspect.isfunction(legacy.Old.method)))
show("types", lambda: (type(old.method).__name__, type(legacy.Old.static).__name__, type(legacy.Old.klass).__name__))
show("identity", lambda: (legacy.Old.method is legacy.Old.method, legacy.Old.static is legacy.Old.static))
show("equality", lambda: (legacy.Old.klass == legacy.Old.klass, legacy.Old.method == legacy.Old.method))
show("names", lambda: (old.method.__name__, old.method.__qualname__, old.method.__doc__, legacy.Old.klass.__name__))
show("repr", lambda: (repr(legacy.Old.method), repr(legacy.Old.klass), repr(old.static)))
show("signature", lambda: (inspect.signature(old.method), inspect.signature(legacy.Old.method), inspect.signature(legacy.Old.klass), inspect.signature(legacy.Old.static)))
for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
    show("pickle", lambda: [len(pickle.dumps(x, protocol)) for x in (old, legacy.Old, legacy.Old.method, legacy.Old.static, legacy.Old.klass, old.method)])
show("unpickle", lambda: pickle.loads(pickle.dumps(old.method))("p"))  # 1x pickle.loads()
show("unpickle class method", lambda: pickle.loads(pickle.dumps(legacy.Old.klass))("q"))  # 1x pickle.loads()
show("copy", lambda: (copy.copy(old.method) == old.method, copy.copy(legacy.Old.method) is legacy.Old.method))
show("deepcopy", lambda: copy.deepcopy(old.method)("d"))  # 1x copy.deepcopy()
show("weak", lambda: weakref.WeakMethod(old.method)()("w"))  # 1x weakref.WeakMethod()()
show("wraps", lambda: (functools.wraps(old.method)(lambda *a: 1).__name__, inspect.signature(functools.wraps(old.method)(lambda *a: 1))))
show("mro", lambda: (legacy.Sub.__mro__, issubclass(legacy.Sub, legacy.Old), isinstance(old, legacy.Old), legacy.Old() == old))
show("override", lambda: type("Mine", (legacy.Old,), {"method": lambda self: "mine"})().method())
show("partialmethod", lambda: type("P", (legacy.Old,), {"m": functools.partialmethod(legacy.Old.method, 1)})().m(2))  # 1x type()().m
show("instance attribute", lambda: (setattr(old, "method", lambda: "own"), old.method(), delattr(old, "method")))
show("autospec", lambda: mock.create_autospec(legacy.Old)().method("x"))


def patched():
    with mock.patch.object(legacy.Old, "method", autospec=True) as fake:
        fake.return_value = 1
        legacy.Old().method("a")
        return fake.call_args.args[1:]


show("mock.patch", patched)


def patched_others():
    with (
        mock.patch("legacy.Old.static", autospec=True) as fake,
        mock.patch("legacy.Old.klass", return_value=3),
        mock.patch("legacy.Old.value", new_callable=mock.PropertyMock, return_value=4),
    ):
        return legacy.Old.static("a"), legacy.Old.klass(), legacy.Old().value, fake.call_args


show("mock.patch others", patched_others)
show("after mocks", lambda: (type(vars(legacy.Old)["static"]).__name__, type(vars(legacy.Old)["klass"]).__name__))
show("after mocks call", lambda: old.method("after"))  # 1x old.method
show("dict order", lambda: list(vars(legacy.Old)))
gc.collect()  # classes made above lie in cycles: when they go is the collector's affair, that they go is ours
show("subclasses", lambda: [c.__name__ for c in legacy.Old.__subclasses__()])
