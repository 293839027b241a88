import collections.abc
import contextlib
import copy
import functools
import gc
import inspect
import numbers
import os
import pickle
import sys
import types
import warnings
import weakref
from unittest import mock

import legacy
from seeing import show

warnings.simplefilter("always")

SPECIAL = [
    *("__len__", "__iter__", "__next__", "__getitem__", "__contains__", "__reversed__", "__enter__", "__exit__", "__aenter__"),
    *("__int__", "__float__", "__index__", "__complex__", "__bytes__", "__bool__", "__add__", "__or__", "__round__", "__trunc__"),
    *("__await__", "__set_name__", "__mro_entries__", "__class_getitem__", "__instancecheck__", "__object_proxy__", "__wrapped__"),
    *("_self_wrapper", "_self_tap", "imitated", "__annotations__", "__call__", "__get__", "__reduce_ex__"),
]
KINDS = [*(getattr(collections.abc, name) for name in collections.abc.__all__), contextlib.AbstractContextManager,
         contextlib.AbstractAsyncContextManager, os.PathLike, numbers.Number]

@functools.singledispatch
def described(value):
    return "anything"

@described.register
def _(value: types.FunctionType):
    return "a function"

def call():
    here = 1
    show("values", lambda: legacy.old(1, 2, 3, c=4, d=5))  # 1x legacy.old
    print(legacy.old("around"))  # 1x legacy.old
    print(legacy.old("locals"))  # 1x legacy.old
    for turn in range(3):
        legacy.old(turn)  # 3x legacy.old
    legacy.old("warn")  # 1x legacy.old
    legacy.old("warn further")  # 1x legacy.old

call()
show("raise", lambda: legacy.old("raise"))  # 1x legacy.old
show("exit", lambda: legacy.old("exit"))  # 1x legacy.old
show("bad keyword", lambda: legacy.old("x", action=1))  # 1x! legacy.old
show("bad call", lambda: legacy.old(*[1], **{"c": 1, 2: 3}))  # 1x! legacy.old
show("awaited", lambda: legacy.old().__await__)  # 1x legacy.old

import asyncio

async def awaits_it():
    await legacy.old()  # 1x legacy.old

show("await", lambda: asyncio.run(awaits_it()))
show("subscript", lambda: legacy.old["x"])

from legacy import old as renamed

show("identity", lambda: (renamed is legacy.old, legacy.old is sys.modules["legacy"].old, legacy.old == renamed))
show("hash", lambda: hash(legacy.old) == hash(renamed) and len({legacy.old, renamed}) == 1)
show("isinstance", lambda: (isinstance(legacy.old, types.FunctionType), callable(legacy.old), inspect.isfunction(legacy.old),
                            inspect.isroutine(legacy.old), inspect.iscoroutinefunction(legacy.old), inspect.isgeneratorfunction(legacy.old)))
show("repr", lambda: (repr(legacy.old), str(legacy.old), f"{legacy.old}", "%r" % legacy.old))
show("names", lambda: (legacy.old.__name__, legacy.old.__qualname__, legacy.old.__module__, legacy.old.__doc__, legacy.old.note))
show("data", lambda: (legacy.old.__defaults__, legacy.old.__kwdefaults__, legacy.old.__annotations__, legacy.old.__closure__, legacy.old.__dict__))
show("code", lambda: (legacy.old.__code__.co_name, legacy.old.__code__.co_firstlineno, legacy.old.__code__.co_varnames, legacy.old.__code__.co_flags))
show("signature", lambda: (inspect.signature(legacy.old), inspect.getfullargspec(legacy.old)))
show("source", lambda: (inspect.getsource(legacy.old), inspect.getsourcefile(legacy.old)[-9:], inspect.getmodule(legacy.old).__name__))
show("globals", lambda: legacy.old.__globals__ is vars(legacy))

for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
    show("pickle", lambda: (pickle.loads(pickle.dumps(legacy.old, protocol)) is legacy.old, len(pickle.dumps(legacy.old, protocol))))
show("pickle inside", lambda: pickle.loads(pickle.dumps({"f": [legacy.old]}))["f"][0] is legacy.old)
show("copy", lambda: (copy.copy(legacy.old) is legacy.old, copy.deepcopy(legacy.old) is legacy.old, copy.deepcopy([legacy.old])[0] is legacy.old))
show("weakref", lambda: (weakref.ref(legacy.old)() is legacy.old, weakref.proxy(legacy.old).__name__))
show("weak set", lambda: legacy.old in weakref.WeakSet([legacy.old]))

@functools.wraps(legacy.old)
def wrapping(*args, **kwargs):
    return legacy.old(*args, **kwargs)  # 1x legacy.old

show("wraps", lambda: (wrapping.__name__, wrapping.__wrapped__ is legacy.old, inspect.signature(wrapping), wrapping.__dict__.keys()))
show("wraps call", lambda: wrapping(9))
partial = functools.partial(legacy.old, 1, c=2)
show("partial", lambda: (partial.func is legacy.old, inspect.signature(partial)))
show("partial call", lambda: partial(5))  # 1x partial
show("map", lambda: list(map(legacy.old, [1, 2])))  # 2x list
show("sorted", lambda: sorted([3, 1], key=legacy.old))  # 2x sorted
cached = functools.lru_cache(legacy.old)
show("cached", lambda: (cached(1), cached(1), cached.__wrapped__ is legacy.old))  # 1x cached

class Holder:
    method = legacy.old
    static = staticmethod(legacy.old)

holder = Holder()
show("bound", lambda: (holder.method.__self__ is holder, holder.method.__func__ is legacy.old))
show("bound type", lambda: type(holder.method).__name__)
show("exact type", lambda: type(legacy.old) is types.FunctionType)
show("unwrap", lambda: inspect.unwrap(legacy.old) is legacy.old)
show("bound call", lambda: holder.method(5)[1:])  # 1x holder.method
show("static call", lambda: holder.static(6))  # 1x holder.static
show("method type", lambda: types.MethodType(legacy.old, holder)("x")[1:])  # 1x types.MethodType()

class Named:
    __new__ = __init_subclass__ = __class_getitem__ = other = legacy.old

show("named so in a class", lambda: [(name, type(vars(Named)[name]) in (staticmethod, classmethod)) for name in Named.__dict__ if name[0] != "_" or "_" in name[2:-2] or name == "__new__"])
show("class method by its name", lambda: Named[7][1:])  # 1x Named[...]
show("static method by its name", lambda: (Named.__new__ is legacy.old, Named()[1:]))  # 1x Named

show("autospec", lambda: mock.create_autospec(legacy.old)(1, c=2) is not None)
def patched():
    with mock.patch("legacy.old", autospec=True) as fake:
        fake.return_value = 7
        return legacy.old("x"), fake.call_args_list
show("mock.patch", patched)
show("mock is gone", lambda: legacy.old(8))  # 1x legacy.old
show("mock wrong", lambda: mock.create_autospec(legacy.old)(1, action=2))
show("new attribute", lambda: setattr(legacy.old, "added", 1) or (legacy.old.added, sorted(legacy.old.__dict__)))
show("delete attribute", lambda: delattr(legacy.old, "added") or sorted(legacy.old.__dict__))
show("dir", lambda: dir(legacy.old))
show("special methods", lambda: [name for name in SPECIAL if hasattr(legacy.old, name)])
show("special methods of its type", lambda: [name for name in SPECIAL if name != "imitated" and hasattr(type(legacy.old), name)])
show("none of its type", lambda: type(legacy.old).__enter__)
def leave():
    with contextlib.ExitStack() as stack:
        stack.push(legacy.old)
        stack.enter_context(legacy.old)
show("exit stack", leave)
show("structure", lambda: [kind.__name__ for kind in KINDS if isinstance(legacy.old, kind)])
show("single dispatch", lambda: (described(legacy.old), described(3)))
show("behind it", lambda: legacy.old.__wrapped__)
show("set behind it", lambda: setattr(legacy.old, "__wrapped__", len) or legacy.old(1))  # 1x legacy.old
show("unset behind it", lambda: delattr(legacy.old, "__wrapped__") or hasattr(legacy.old, "__wrapped__"))
show("name of wrapt's", lambda: setattr(legacy.old, "_self_enabled", 1) or (vars(legacy.old), legacy.old(1)))  # 1x legacy.old
show("no such attribute", lambda: legacy.old.nothing)
show("no such attribute to delete", lambda: delattr(legacy.old, "nothing"))
show("wrong code", lambda: setattr(legacy.old, "__code__", 3))
show("called by its method", lambda: legacy.old.__call__(1))  # 1x legacy.old.__call__
show("bound by its method", lambda: legacy.old.__get__(holder)("x")[1:])  # 1x legacy.old.__get__()
show("thread", lambda: __import__("concurrent.futures").futures.ThreadPoolExecutor(1).submit(legacy.old, 1).result())
show("type hints", lambda: __import__("typing").get_type_hints(legacy.old))
show("defaults", lambda: setattr(legacy.old, "__defaults__", ("new", 1)) or legacy.old())  # 1x legacy.old
show("eval", lambda: eval("legacy.old(1)"))
show("exec", lambda: exec("legacy.old(1)\nlegacy.old(2)", {"legacy": legacy}))
