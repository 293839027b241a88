"""Who takes armed functions apart: picklers by value, `marshal`, copies made from a code object.

What they make of a function is the function without us: it runs the same in a process that has no agent.
"""

from __future__ import annotations

import pytest

from worlds import ENGINES, World

LEGACY = """
    class Thing:
        '''Said of it.'''
        def __init__(self, x=1): self.x = x
        def method(self, y=2):
            '''Said of this.'''
            return self.x + y
        async def coroutine(self): return self.x
        def generator(self): yield self.x
        @property
        def prop(self): return self.x
        @classmethod
        def make(cls): return cls(3)
    def plain(x): return x + 1
    def generator(x): yield x
    square = lambda x: x * x
    def outer(k):
        def inner(x):
            try:
                return x + k
            except TypeError as error:
                return str(error)
        return inner
    inner = outer(5)
    """

# Pickles functions by value, as dill and cloudpickle do: dill by a rule for the type, in Python.
BY_VALUE = """
    import io, pickle, sys, types

    def made(code, defaults, cells):
        return types.FunctionType(code, {"__builtins__": __builtins__}, code.co_name, defaults,
                                  tuple(types.CellType(value) for value in cells))

    def code_of(*fields):
        return (lambda: 0).__code__.replace(**dict(fields))

    FIELDS = [f"co_{name}" for name in (
        "argcount posonlyargcount kwonlyargcount nlocals stacksize flags code consts names varnames filename name "
        "firstlineno freevars cellvars").split()]
    FIELDS += ["co_qualname", "co_linetable", "co_exceptiontable"] if sys.version_info >= (3, 11) else ["co_linetable"]

    class ByValue(pickle._Pickler):
        dispatch = pickle._Pickler.dispatch.copy()
        def save_function(self, obj):
            if obj.__module__ not in ("legacy", "__main__"):
                return self.save_global(obj)
            cells = [cell.cell_contents for cell in obj.__closure__ or ()]
            self.save_reduce(made, (obj.__code__, obj.__defaults__, cells), obj=obj)
        def save_code(self, obj):
            self.save_reduce(code_of, tuple((name, getattr(obj, name)) for name in FIELDS), obj=obj)
        dispatch[types.FunctionType] = save_function
        dispatch[types.CodeType] = save_code

    def dumps(obj):
        file = io.BytesIO()
        ByValue(file, 4).dump(obj)
        return file.getvalue()
    """

CHILD = """
    import asyncio, inspect, pickle, sys
    assert "lastcall.bootstrap" not in sys.modules  # from 3.15 on `lastcall.start` has the empty package loaded
    for call, args, data in pickle.load(sys.stdin.buffer):
        function = pickle.loads(data)
        result = function(*args)
        if inspect.iscoroutine(result):
            result = asyncio.run(result)
        print(call, list(result) if inspect.isgenerator(result) else result, type(function).__name__)
    """

HOST = """
    import os, pickle, subprocess, sys, types
    import legacy
    from byvalue import dumps

    def scripted(x): return x * 7
    async def scripted_coroutine(x): return x * 7
    def scripted_generator(x): yield x * 7

    thing = types.SimpleNamespace(x=1)
    thing.method = legacy.Thing().method()
    asked = [
        ("method", (thing,), legacy.Thing.method), ("init", (thing,), legacy.Thing.__init__),
        ("property", (thing,), legacy.Thing.prop.fget), ("square", (3,), legacy.square), ("inner", (3,), legacy.inner),
        ("made", ("x",), legacy.inner), ("script", (3,), scripted), ("script's coroutine", (3,), scripted_coroutine),
        ("script's generator", (3,), scripted_generator),
    ]
    legacy.inner(1), legacy.square(1), scripted(1), list(scripted_generator(1)), scripted_coroutine(1).close()
    sent = pickle.dumps([(call, args, dumps(function)) for call, args, function in asked])
    plain = {name: value for name, value in os.environ.items() if not name.startswith("LASTCALL_")}
    child = [sys.executable, "-c", "import runpy; runpy.run_path('child.py')"]
    print(subprocess.run(child, input=sent, env=plain, stdout=subprocess.PIPE, check=True).stdout.decode())
    """

TARGETS = ("legacy:*", "legacy:*.*", *(f"__main__:scripted{end}" for end in ("", "_coroutine", "_generator")))


@pytest.mark.parametrize("engine", ENGINES)
def test_functions_pickled_by_value_run_in_a_process_without_the_agent(tmp_path, engine):
    world = World(tmp_path, {"legacy.py": LEGACY, "byvalue.py": BY_VALUE, "child.py": CHILD, "host.py": HOST}, TARGETS)
    run = world.run(engine)
    assert run.err == ""
    assert run.out == world.run().out
    assert len(run.out.split("\n")) == 11
    for name in ("legacy:inner", "legacy:square", "legacy:Thing.method", "__main__:scripted", "__main__:scripted_generator"):
        assert run.total(name) == 1, name


WRITTEN = """
    import copy, inspect, marshal, traceback, types
    import legacy
    Thing = legacy.Thing
    for function in (Thing.method, Thing.__init__, Thing.prop.fget, legacy.plain, legacy.square, legacy.inner):
        code = function.__code__
        again = marshal.loads(marshal.dumps(code))
        print(again.co_name, again.co_consts[:1], len(again.co_varnames), again.co_firstlineno, list(again.co_lines())[-1][2])
        print(copy.deepcopy(code) is code, code == code.replace(), hash(code) == hash(code.replace()), code in {code})
        print(copy.deepcopy(code.co_consts)[:1], [type(c) for c in code.co_consts if isinstance(c, str)])
        print(inspect.getsource(function), inspect.signature(function), function.__doc__)
    made = types.FunctionType(marshal.loads(marshal.dumps(Thing.method.__code__)), {}, "again", (5,))
    print(made(Thing(1)))
    try:
        made(None)
    except AttributeError:
        print(traceback.format_exc())
    """


@pytest.mark.parametrize("engine", ENGINES)
def test_code_is_marshalled_copied_and_compared(tmp_path, engine):
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": WRITTEN}, TARGETS[:2])
    run = world.run(engine)
    assert run.err == ""
    assert run.out == world.run().out
    assert "Thing.x" not in run.out
    assert run.total("legacy:Thing.method") == 0, "what was marshalled is counted by nobody"
    assert run.total("legacy:Thing") == 1


UNNAMED = """
    import io, pickle
    import legacy
    class ByReference(pickle._Pickler):
        dispatch = pickle._Pickler.dispatch.copy()
    def told(pickler, value):
        try:
            file = io.BytesIO()
            pickler(file, 4).dump(value)
            return pickle.loads(file.getvalue())
        except Exception as error:
            return type(error).__name__
    thing = legacy.Thing(4)
    for pickler in (pickle.Pickler, pickle._Pickler, ByReference):
        for value in (legacy.plain, legacy.generator, legacy.Thing.method, legacy.Thing.coroutine):
            print(value.__name__, told(pickler, value) is value)
        for value in (legacy.square, legacy.inner, legacy.Thing.make.__func__):
            print(value.__name__, told(pickler, value))
        print(told(pickler, thing.method)(), told(pickler, legacy.Thing.make)().x)
    """


@pytest.mark.parametrize("engine", ENGINES)
def test_what_its_name_finds_is_pickled_by_name_and_the_rest_fails_as_ever(tmp_path, engine):
    world = World(tmp_path, {"legacy.py": LEGACY, "host.py": UNNAMED}, TARGETS[:2])
    run = world.run(engine)
    assert run.err == ""
    assert run.out == world.run().out
