import asyncio
import functools
import inspect
import pickle
import warnings

import legacy
from seeing import show

warnings.simplefilter("always")
thing = legacy.Thing()
show("without", lambda: (legacy.function(1), legacy.function(1, strict=True), legacy.function(1, other=2)))
show("by name", lambda: legacy.function(1, mode=2))  # 1x legacy.function
show("by position", lambda: legacy.function(1, 2))  # 1x legacy.function
show("none", lambda: legacy.function(1, mode=None))  # 1x legacy.function
show("among others", lambda: legacy.function(1, strict=True, mode=3, z=4))  # 1x legacy.function
show("spread", lambda: legacy.function(*[1, 2]))  # 1x legacy.function
show("spread without", lambda: legacy.function(*[1]))
show("spread names", lambda: legacy.function(1, **{"mode": 2}))  # 1x legacy.function
show("spread names without", lambda: legacy.function(1, **{"strict": 2}))
show("misfit", lambda: legacy.function(mode=1))  # 1x! legacy.function
show("raise", lambda: legacy.function("raise", mode=2))  # 1x legacy.function
show("around", lambda: legacy.function("around", 1))  # 1x legacy.function
show("method", lambda: thing.method(1))
show("method by position", lambda: thing.method(1, 2))  # 1x thing.method
show("method by name", lambda: thing.method(1, mode=2))  # 1x thing.method
show("unbound", lambda: legacy.Thing.method(thing, 1))
show("unbound by position", lambda: legacy.Thing.method(thing, 1, 2))  # 1x legacy.Thing.method
show("bound later", lambda: (lambda bound: bound(1, 2))(thing.method))  # 1x bound
show("init", lambda: legacy.Thing(1).mode)
show("init by position", lambda: legacy.Thing(1, 2).mode)  # 1x legacy.Thing
show("init by name", lambda: legacy.Thing(mode=2).mode)  # 1x legacy.Thing
show("klass", lambda: legacy.Thing.klass(1))
show("klass by position", lambda: legacy.Thing.klass(1, 2))  # 1x legacy.Thing.klass
show("static", lambda: thing.static(1))
show("static by position", lambda: thing.static(1, 2))  # 1x thing.static
show("coroutine", lambda: asyncio.run(legacy.coroutine(1)))
show("coroutine by name", lambda: asyncio.run(legacy.coroutine(1, mode=3)))  # 1x legacy.coroutine
show("partial", lambda: functools.partial(legacy.function, mode=1)(2))  # 1x functools.partial()
show("partial without", lambda: functools.partial(legacy.function, strict=1)(2))
show("decorated", lambda: legacy.decorated(1))
show("decorated by position", lambda: legacy.decorated(1, 2))  # 1x legacy.decorated
show("decorated by name", lambda: legacy.decorated(1, mode=2))  # 1x legacy.decorated
show("cached", lambda: legacy.cached(1))
show("cached by position", lambda: legacy.cached(1, 2))  # 1x legacy.cached
show("data", lambda: (legacy.Data(), legacy.Data(1)))
show("data by position", lambda: legacy.Data(1, 2))  # 1x legacy.Data
show("data by name", lambda: legacy.Data(mode=2))  # 1x legacy.Data
show("data is a class", lambda: (type(legacy.Data()) is legacy.Data, isinstance(legacy.Data, type)))
show("pair", lambda: legacy.Pair(1))
show("pair by position", lambda: legacy.Pair(1, 2))  # 1x legacy.Pair
show("new", lambda: legacy.New(1).mode)
show("new by position", lambda: legacy.New(1, 2).mode)  # 1x legacy.New
show("new spread", lambda: legacy.New(*[1, 2]).mode)  # 1x legacy.New
show("heir by position", lambda: legacy.Heir(1, 2).mode)  # 1x legacy.Heir
show("signature", lambda: (inspect.signature(legacy.function), inspect.signature(thing.method), inspect.signature(legacy.Thing)))
show("pickle", lambda: (pickle.loads(pickle.dumps(legacy.function)) is legacy.function, pickle.loads(pickle.dumps(legacy.Thing.method)) is legacy.Thing.method))
for turn in range(3):
    legacy.function(turn, mode=turn)  # 3x legacy.function
legacy.function("warn", mode=1)  # 1x legacy.function
