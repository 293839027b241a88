"""More random small programs that use targets and keep a ledger of it: see `random_programs`, whose shapes are fewer.

Here C calls the targets (`re.sub`, `json`, `sqlite3`, `ctypes`, a signal, a weak reference, special methods), what suspends is
sent to, thrown into, closed, cancelled or never begun, classes are inherited, copied, pickled and made by others, and methods are
bound, patched and borrowed. `F` stands for the target, `O` for its class and `m` for its name there; `U(2)` says that the line,
or the next one that names the target, uses it twice.
"""

from __future__ import annotations

import random
import re
import sys
import textwrap
from dataclasses import dataclass, field

from random_programs import DECORATORS as SHARED
from random_programs import LEDGER, Named

HEAD = """
import abc, asyncio, bisect, codecs, collections, contextlib, contextvars, copy, ctypes, dataclasses, functools, gc, heapq, importlib
import inspect, io, itertools, json, logging, operator, os, pickle, re, signal, sqlite3, sys, threading, types, typing, warnings, weakref
import unittest.mock as mock
from concurrent.futures import ThreadPoolExecutor
from ledger import about, show, used
"""
DECORATORS = SHARED + "T = typing.TypeVar('T')\n\nclass P(typing.Protocol):\n    def nothing(self): ...\n"
V = sys.version_info
B = "    used('{ref}')\n    if x == 66: raise ValueError('{name}')\n    return x if isinstance(x, int) else 7\n"
FUNCTIONS = {
    "plain": "def {name}(x=0, *args):\n" + B,
    "wrapped": "@wrapped\ndef {name}(x=0, *args):\n" + B,
    "kwonly": "def {name}(x=0, *args, y=1, **more):\n" + B,
    "annotated": "def {name}(x: int = 0, *args: int) -> int:\n    '''Words.'''\n" + B,
    "closure": "def make_{name}():\n    free = 2\n    def {name}(x=0, *args):\n        used('{ref}')\n        return free\n    return {name}\n{name} = make_{name}()\n",
    "taken": "def {name}(x=0, *args):\n" + B + "taken_{name} = ({name},)\n",
    "default": "def {name}(x=0, *args):\n" + B + "def by_{name}(f={name}): return f\n",
}
CALLS = """
return re.sub('a', F, 'aba')
return re.sub('a', lambda m: str(F(1)), 'aba')
return json.loads('{"a": [1, {"b": 2}]}', object_hook=F)
return json.dumps([{1}, {2}], default=F)
return json.loads('[1.5, 2.5]', parse_float=F)
db = sqlite3.connect(':memory:'); db.create_function('f', 1, F)|return db.execute('select f(1), f(2)').fetchall()
db = sqlite3.connect(':memory:'); db.row_factory = F|return db.execute('select 1').fetchall()
db = sqlite3.connect(':memory:'); db.set_trace_callback(F)|return db.execute('select 1').fetchall()
cb = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(F)|return cb(1), cb(2)
old = signal.signal(signal.SIGUSR1, F)|signal.raise_signal(signal.SIGUSR1)|signal.signal(signal.SIGUSR1, old)
t = threading.Timer(0, F, (1,)); t.start(); t.join()
class O: pass|o = O(); r = weakref.ref(o, F); del o; return r()
class O: pass|o = O(); r = weakref.WeakKeyDictionary(); r[o] = F(1); del o; return len(r)
class D:|    def __del__(self): 1 / 0|old = sys.unraisablehook; sys.unraisablehook = F|D()|sys.unraisablehook = old
old = sys.displayhook; sys.displayhook = F|exec(compile('1', 'made', 'single'))|sys.displayhook = old
old = sys.breakpointhook; sys.breakpointhook = lambda: F(1)|breakpoint()|sys.breakpointhook = old
class R:|    def __reduce__(self): return F, (1,)|return copy.copy(R())
class R:|    def __reduce__(self): return int, (F(1),)|return pickle.loads(pickle.dumps(R()))
return list(itertools.islice(iter(functools.partial(F, 7), 7), 3))
return max([1, 2], key=F), min([1, 2], key=F), sorted([2, 1], key=F)
return [(k, list(g)) for k, g in itertools.groupby([1, 1, 2], F)]
return list(itertools.accumulate([1, 2, 3], F)), list(filter(F, [0, 1])), list(itertools.takewhile(F, [1, 0]))
return collections.defaultdict(lambda: F(1))[1]
return bisect.bisect([1, 2], 1, key=F), heapq.nlargest(1, [1, 2], key=F)
a = [3, 1]; a.sort(key=F); return a
return sorted([3, 1, 2], key=functools.cmp_to_key(F))
return sum(map(F, [1, 2])), ''.join(map(str, map(F, [1])))
return F.__call__(1), F.__get__(5)()
class K: m = F|return K().m(2), K.m(3)
class K: m = functools.partialmethod(F, 3)|return K().m()
class K: m = property(F)|return K().m
class K: __len__ = F|return len(K())
class K: __call__ = F|return K()()
class K: __getattr__ = F|return K().zork
class K: __lt__ = F|return K() < 3, sorted([K()])
class K: __getitem__ = F|return K()[1]
class K: __iter__ = F|return [*K()]
class K: __bool__ = F|return bool(K())
class K: __format__ = F|return f'{K()}'
class K: __set_name__ = F|class L: k = K()
class K: __missing__ = F|return type('D', (dict,), {'__missing__': F})()[1]
class K: __exit__ = F; __enter__ = F|with K() as k: return k
return contextvars.copy_context().run(F, 1)
return functools.singledispatch(F)(1)
f = functools.singledispatch(lambda x: 0); f.register(int, F)|return f(1), f('')
f = functools.lru_cache(F)|return f(1), f(1), f(2)
f = functools.cache(F)|return f(1), f(1), f.cache_info()
return functools.wraps(F)(lambda: 1).__wrapped__ is F
return mock.Mock(side_effect=F)(1), mock.Mock(wraps=F)(2)
return mock.create_autospec(F)(1) and 1
log = logging.Logger('l'); log.addFilter(F)|log.handle(log.makeRecord('l', 10, 'f', 1, 'm', (), None))
with warnings.catch_warnings():|    warnings.simplefilter('always')|    warnings.showwarning = F|    warnings.warn('x')
codecs.register_error('n', F)|return 'é'.encode('ascii', 'n')
import xml.parsers.expat as e|p = e.ParserCreate(); p.StartElementHandler = F; return p.Parse('<a/>', True)
class K: x = F(1); y = [F(i) for i in '12']|return K.x
match 5:|    case x if F(x): return 1
assert F(1); return F(1) if F(0) else F(2)
@F|def g(): pass|return g
def d(x=F(1), *, y=F(2)): return x, y|return d(), d()
return F(1) + F(|    2) \\|    + F(3)
while F(0) == 1: pass
ns = {'G': F}; exec(compile('\\nG(1)\\ndef h():\\n    G(2)\\nh()', 'made.py', 'exec'), ns)
print(F(1), file=io.StringIO())
return F.__defaults__, F.__kwdefaults__, F.__code__.co_name, F.__annotations__, F.__dict__.keys(), F.__closure__ and 1
F.attr = 5; a = F.attr; del F.attr; return a, hasattr(F, 'attr')
return inspect.getsource(F)
return inspect.isfunction(F), inspect.isroutine(F), isinstance(F, types.FunctionType), inspect.unwrap(F) is F
return typing.get_type_hints(F), str(inspect.signature(F)), F.__doc__
return copy.copy(F) is F, copy.deepcopy({'a': F})['a'] is F, F == F, len({F, F})
return operator.methodcaller('__call__', 1)(F), types.SimpleNamespace(f=F).f(2)
async def co(): return await asyncio.get_running_loop().run_in_executor(None, F, 1)|return asyncio.run(co())
async def co():|    t = asyncio.create_task(asyncio.sleep(0)); t.add_done_callback(F)|    await t; await asyncio.sleep(0)|return asyncio.run(co())
async def co():|    asyncio.get_running_loop().call_soon_threadsafe(F, 1)|    await asyncio.sleep(0.01)|return asyncio.run(co())
async def w():|    try:|        F(1); await asyncio.sleep(9)|    except asyncio.CancelledError:|        F(2); raise|    finally:|        F(3)|async def co():|    t = asyncio.create_task(w()); await asyncio.sleep(0); t.cancel()|    await asyncio.wait([t]); return t.cancelled()|return asyncio.run(co())
async def ag():|    for i in (1, 2):|        try: yield i|        finally: F(i)|async def co(): return [F(x) async for x in ag()]|return asyncio.run(co())
async def ag():|    try: yield 1|    finally: F(1)|async def co():|    async for x in ag(): break|return asyncio.run(co())
with contextlib.suppress(ValueError): F(66)|with contextlib.ExitStack() as s: s.push(F); s.callback(F, 1)
with contextlib.closing(types.SimpleNamespace(close=lambda: F(1))): F(2)
g = (F(i) for i in (1, 2)); next(g); g.close(); return F(3)
x, *y = map(F, (1, 2, 3)); return {**{'a': F(1)}}, [*y], {F(1): F(2)}, {F(3)}
return (y := F(1)) and (lambda: F(y))()
try:|    raise KeyError(F(1))|except KeyError as e: return F(2), e.args
pid = os.fork()|if not pid:|    try: F(1)|    finally: os._exit(F(0))|return os.waitpid(pid, 0)[1], F(3)
with mock.patch('MODULE.NAME', return_value=3): import MODULE as mm; r = mm.NAME(1)|return r, F(2)
import MODULE as mm; keep = mm.NAME; mm.NAME = lambda x: 4|r = mm.NAME(1); mm.NAME = keep|return r, F(2), mm.NAME(1)
import MODULE as mm; keep = mm.NAME; del mm.NAME|r = hasattr(mm, 'NAME'); setattr(mm, 'NAME', keep)|return r, mm.NAME(1)
q = F; r = q is F; return r, (F(1), q(2)), [F, q].index(q), {F: 1}[q]
return list(map(lambda f: f(1), [F] * 3)), [*itertools.starmap(F, [(1,), (2,)])], functools.reduce(F, [1, 2, 3])
t = [threading.Thread(target=F, args=(i,)) for i in range(3)]|[x.start() for x in t]; [x.join() for x in t]
import _thread, time|l = _thread.allocate_lock(); l.acquire()|_thread.start_new_thread(lambda: (F(1), l.release()), ()); l.acquire()
d = {}; d[F] = 1; return weakref.ref(F)() is F, weakref.WeakSet([F]) and 1, F in d
class K: __init_subclass__ = F|class L(K): pass|class M(L): pass
class K: __class_getitem__ = F|return K[3]
class K: __new__ = F|return K(), K.__new__ is F
class K:|    def __init_subclass__(cls): F(1)|class L(K): pass|class M(L): pass
class K:|    __slots__ = ('f',)|k = K(); k.f = F; return k.f(1), getattr(k, 'f')(2)
return F.__name__, F.__qualname__, F.__module__, repr(F)[:12]
F.__defaults__ = F.__defaults__; return F()
import pydoc; return pydoc.render_doc(F)
""".strip().split("\n")
SUSPENDED = {
    "coroutine": "async def {name}(x=0):\n    try:\n        await asyncio.sleep(0)\n    finally:\n        x\n    return x\n",
    "generator": "def {name}(x=0):\n    try:\n        y = yield x\n        yield y\n    finally:\n        x\n    return 9\n",
    "agen": "async def {name}(x=0):\n    try:\n        y = yield x\n        await asyncio.sleep(0)\n        yield y\n    except KeyError:\n        yield 5\n    finally:\n        x\n",
    "manager": "@contextlib.contextmanager\ndef {name}(x=0):\n    try: yield x\n    finally: x\n",
    "amanager": "@contextlib.asynccontextmanager\nasync def {name}(x=0):\n    await asyncio.sleep(0)\n    yield x\n",
    "typescoro": "@types.coroutine\ndef {name}(x=0):\n    yield\n    return x\n",
    "wrappedcoro": "@wrapped\nasync def {name}(x=0):\n    return x\n",
    "taker": "def {name}(x=0):\n    yield x\nkept_{name} = [{name}]\nTUPLE_{name} = ({name},)\n",
}
COROUTINE = """
async def co(): U(1); return await F(1)|return asyncio.run(co())
U(1); c = F(1); r = c.send(None); c.close(); return r
U(1); c = F(1); c.close(); return inspect.getcoroutinestate(c)
U(1); c = F(1)|try: c.throw(KeyError('a'))|except KeyError as e: return repr(e)
U(1); c = F(1); c.send(None)|try: c.throw(KeyError('a'))|except KeyError as e: return repr(e)
async def co(): U(2); return await asyncio.gather(F(1), F(2))|return asyncio.run(co())
async def co():|    U(1); t = asyncio.create_task(F(1)); t.cancel()|    try: await t|    except asyncio.CancelledError: return t.cancelled()|return asyncio.run(co())
async def co(): U(1); return await asyncio.wait_for(F(1), 5)|return asyncio.run(co())
async def co(): U(1); return await asyncio.shield(F(1))|return asyncio.run(co())
U(1); return asyncio.run(F(1))
U(2); return [asyncio.run(c) for c in map(F, [1, 2])]
async def co():|    U(1); r = [await c for c in map(F, [1])]|    U(1); return r + [await F(i) for i in (1,)]|return asyncio.run(co())
U(1); return F(1) and 3
U(1); c = F(); a = c.__await__(); next(a); a.close(); return c.__name__, c.__qualname__, c.cr_frame is None
return inspect.iscoroutinefunction(F), asyncio.iscoroutinefunction(F), str(inspect.signature(F))
async def co():|    loop = asyncio.get_running_loop()|    U(1); f = asyncio.run_coroutine_threadsafe(F(1), loop); return await asyncio.wrap_future(f)|return asyncio.run(co())
U(1); c = F(1); return c.cr_code.co_name, c.cr_code is F.__code__, c.close()
async def co():|    q = functools.partial(F, 1)|    U(1); return await q()|return asyncio.run(co())
class K: m = F|async def co(): U(1); return type(await K().m()).__name__|return asyncio.run(co())
async def co():|    for i in range(20):|        U(1); await F(i)|return asyncio.run(co())
def go(): U(1); return asyncio.run(F(4))|with ThreadPoolExecutor(2) as p: return p.submit(go).result()
""".strip().split("\n")
if V >= (3, 11):
    COROUTINE += """
async def co():|    async with asyncio.TaskGroup() as g:|        U(2); a, b = g.create_task(F(1)), g.create_task(F(2))|    return a.result(), b.result()|return asyncio.run(co())
async def co():|    async with asyncio.timeout(5): U(1); return await F(1)|return asyncio.run(co())
with asyncio.Runner() as r: U(1); return r.run(F(1))
""".strip().split("\n")
if V >= (3, 12):
    COROUTINE += """
async def co():|    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)|    U(1); return await asyncio.create_task(F(1))|return asyncio.run(co())
""".strip().split("\n")
GENERATOR = """
U(1); return list(F(2))
U(1); g = F(3); r = next(g), g.send(4); g.close(); return r
U(1); g = F(3); g.close(); return list(g), inspect.getgeneratorstate(g)
U(1); g = F(3)|try: g.throw(KeyError('a'))|except KeyError as e: return repr(e)
U(1); g = F(3); next(g)|try: g.throw(KeyError('a'))|except KeyError as e: return repr(e)
def o():|    U(1); r = yield from F(2)|    U(1); yield from F(r)|return list(o())
U(1); F(1)
U(1); return next(F(1)), next(iter(()), 3)
U(2); return list(zip(F(1), F(2)))
U(1); return [*F(1)], 3
U(1)|for x in F(1): break
U(1); return list(itertools.islice(F(3), 1)), g if (g := 0) else 1
U(1); g = F(); return g.__name__, g.__qualname__, g.gi_frame.f_lineno - F.__code__.co_firstlineno, g.gi_code is F.__code__
U(3); return [list(g) for g in map(F, (1, 2, 3))]
U(1); return list(itertools.chain.from_iterable(F(i) for i in [1]))
U(1); return {x for x in F(1)}, (3,)
U(1); return list(x for x in F(5))
U(2); return list(itertools.chain.from_iterable(map(F, [1, 2])))
U(1); a, b = F(1); return a, b
U(1); return 1 in F(1), inspect.isgeneratorfunction(F)
U(1); return sum(x or 0 for x in F(1))
def go():|    U(1); return list(F(1))|with ThreadPoolExecutor(2) as p: return [p.submit(go).result() for _ in '12']
class K: __iter__ = F|U(1); return type([*K()][0]).__name__
for i in range(20):|    U(1); list(F(i))
def d(f=F): U(1); return [*f(2)]|return d()
""".strip().split("\n")
AGEN = """
async def co(): U(1); return [x async for x in F(1)]|return asyncio.run(co())
async def co():|    U(1); g = F(1); r = await anext(g), await g.asend(3); await g.aclose(); return r|return asyncio.run(co())
async def co():|    U(1); g = F(1); await g.__anext__(); return await g.athrow(KeyError('a'))|return asyncio.run(co())
async def co():|    U(1); g = F(1)|    try: await g.athrow(KeyError('a'))|    except KeyError as e: return repr(e)|return asyncio.run(co())
async def co():|    U(1)|    async with contextlib.aclosing(F(1)) as g:|        async for x in g: break|return asyncio.run(co())
async def co():|    U(1)|    async for x in F(1): return x|return asyncio.run(co())
U(1); g = F(1); return g.__name__, inspect.isasyncgen(g), inspect.isasyncgenfunction(F)
U(1); F(2)
""".strip().split("\n")
MANAGER = """
with (U(1), F(1))[1] as value: return value
with contextlib.ExitStack() as stack: U(1); return stack.enter_context(F(1))
U(1); c = F(1); return c.__enter__(), c.__exit__(None, None, None)
with (U(2), F(1))[1], F(2): pass
U(1); c = F(3); return type(c).__name__, c.gen.__name__
U(1)|try:|    with F(1): raise KeyError('x')|except KeyError as e: return repr(e)
U(2); return [c.__enter__() for c in map(F, (1, 2))]
""".strip().split("\n")
AMANAGER = """
async def co():|    U(1)|    async with F(1) as v: return v|return asyncio.run(co())
async def co():|    async with contextlib.AsyncExitStack() as s: U(1); return await s.enter_async_context(F(1))|return asyncio.run(co())
async def co():|    U(1)|    try:|        async with F(1): raise KeyError('x')|    except KeyError as e: return repr(e)|return asyncio.run(co())
""".strip().split("\n")
TYPESCORO = """
async def co(): U(1); return await F(1)
U(1); g = F(1); r = next(g); g.close(); return r
def o():|    U(1); yield from F(2)|return list(o())
U(2); return [list(g) for g in map(F, (1, 2))]
return inspect.isawaitable(F), inspect.isgeneratorfunction(F)
U(1); return inspect.isawaitable(F(1))
""".strip().split("\n")
WCORO = ["async def co(): U(1); return await F(1)|return asyncio.run(co())", "U(1); return asyncio.run(F(2))", "U(1); c = F(1); c.close()",
         "async def co(): U(2); return await asyncio.gather(F(1), F(2))|return asyncio.run(co())"]
OF_SUSPENDED = {"coroutine": COROUTINE, "generator": GENERATOR, "agen": AGEN, "manager": MANAGER, "amanager": AMANAGER, "typescoro": TYPESCORO, "wrappedcoro": WCORO, "taker": GENERATOR}
OF_SUSPENDED["taker"] = [f for f in GENERATOR if "send" not in f and "a, b" not in f and "close" not in f]
NOTED = "used('{ref}')\n        self.x = x\n"
CLASSES = {
    "init": "class {name}:\n    def __init__(self, x=0, *args, **more):\n        " + NOTED,
    "new": "class {name}:\n    x = 1\n    def __new__(cls, x=0, *args, **more):\n        used('{ref}')\n        return super().__new__(cls)\n",
    "both": "class {name}:\n    def __new__(cls, *args, **more):\n        used('{ref}')\n        return super().__new__(cls)\n    def __init__(self, x=0, *args, **more):\n        self.x = x\n",
    "dataclass": "@dataclasses.dataclass\nclass {name}:\n    x: object = 0\n    y: int = 1\n    def __post_init__(self):\n        used('{ref}', 2)\n",
    "frozen": "@dataclasses.dataclass(frozen=True, order=True)\nclass {name}:\n    x: object = 0\n    y: int = 1\n    def __post_init__(self):\n        used('{ref}', 2)\n",
    "dslots": "@dataclasses.dataclass(slots=True)\nclass {name}:\n    x: object = 0\n    y: int = 1\n    def __post_init__(self):\n        used('{ref}', 2)\n",
    "kwonly": "@dataclasses.dataclass(kw_only=True)\nclass {name}:\n    x: object = 0\n    y: int = 1\n    def __post_init__(self):\n        used('{ref}', 2)\n",
    "meta": "class {name}(metaclass=Meta):\n    def __init__(self, x=0, *args, **more):\n        " + NOTED,
    "abc": "class {name}(abc.ABC):\n    def __init__(self, x=0, *args, **more):\n        " + NOTED + "    @abc.abstractmethod\n    def nothing(self): pass\n{name}.__abstractmethods__ = frozenset()\n",
    "proto": "class P_{name}(typing.Protocol):\n    def m(self): ...\nclass {name}(P_{name}):\n    def __init__(self, x=0, *args, **more):\n        " + NOTED,
    "slots": "class {name}:\n    __slots__ = ('x', '__weakref__')\n    def __init__(self, x=0, *args, **more):\n        " + NOTED,
    "generic": "class {name}(typing.Generic[T]):\n    def __init__(self, x=0, *args, **more):\n        " + NOTED,
    "error": "class {name}(Exception):\n    def __init__(self, x=0, *args, **more):\n        super().__init__(x)\n        " + NOTED,
    "dict": "class {name}(dict):\n    def __init__(self, x=(), *args, **more):\n        super().__init__()\n        " + NOTED,
    "int": "class {name}(int):\n    def __new__(cls, x=0, *args, **more):\n        used('{ref}')\n        self = super().__new__(cls, x)\n        return self\n",
    "str": "class {name}(str):\n    def __new__(cls, x='', *args, **more):\n        used('{ref}')\n        return super().__new__(cls, x)\n",
    "singleton": "class {name}:\n    x = None\n    one = None\n    def __new__(cls, x=0, *args, **more):\n        used('{ref}')\n        cls.one = cls.one or super().__new__(cls)\n        return cls.one\n",
    "ordered": "@functools.total_ordering\nclass {name}:\n    def __init__(self, x=0, *args, **more):\n        " + NOTED + "    def __lt__(self, other): return self.x < other.x\n    def __eq__(self, other): return self.x == other.x\n    __hash__ = None\n",
    "subscribed": "class {name}:\n    def __init_subclass__(cls, **named): super().__init_subclass__(**named)\n    def __class_getitem__(cls, item): return cls\n    def __init__(self, x=0, *args, **more):\n        " + NOTED,
    "callable": "class {name}:\n    def __init__(self, x=0, *args, **more):\n        " + NOTED + "    def __call__(self, *args): return 5\n",
    "mixin": "class M_{name}:\n    def __init__(self, x=0, *args, **more):\n        used('{ref}')\n        super().__init__()\n        self.x = x\nclass N_{name}:\n    def __init__(self): self.n = 1\nclass {name}(M_{name}, N_{name}): pass\n",
    "enumless": "class {name}(threading.local):\n    def __init__(self, x=0, *args, **more):\n        " + NOTED,
    "exgroup": "class {name}(ValueError, KeyError):\n    def __init__(self, x=0, *args, **more):\n        used('{ref}')\n        super().__init__(x, *args)\n        self.x = x\n",
    "attrcls": "class D_{name}:\n    def __get__(self, obj, owner): return 3\n    def __set_name__(self, owner, name): self.name = name\nclass {name}:\n    d = D_{name}()\n    def __init__(self, x=0, *args, **more):\n        " + NOTED,
}
OF_CLASSES = """
return F(x=1).x
return type(F(x=1)) is F, isinstance(F(x=2), F)
class Sub(F): pass|return type(Sub(x=1)).__name__
class Sub(F):|    def __init__(self, x=0):|        super().__init__(x=x)|return type(Sub(1)).__name__, type(Sub()).__name__
class Sub(F):|    def __init__(self): F.__init__(self, x=3)|return type(Sub()).__name__
class Sub(F):|    def __new__(cls, *args, **more):|        return super().__new__(cls, *args, **more)|return type(Sub(x=1)).__name__
class A(F): pass|class B(F): pass|class C(A, B): pass|return type(C(x=1)).__mro__[1].__name__
class Mix:|    def __init__(self, *a, **k): super().__init__(*a, **k)|class C(Mix, F): pass|return type(C(x=1)).__name__
class C(F):|    pass|class E(C):|    def __init__(self, **k): super().__init__(**k)|return type(E(x=1)).__name__
return copy.copy(F(x=1)).x
return copy.deepcopy(F(x=1)).x
return pickle.loads(pickle.dumps(F(x=1))).x
return pickle.loads(pickle.dumps(F(x=1), 0)).x
o = F(x=1); return weakref.ref(o)() is o
return [F(x=i).x for i in range(3)]
return [f().x for f in [F, F]]
return list(map(lambda f: f.x, map(F, ())))
f = functools.partial(F, x=2)|return f().x, f().x
return type(type('Made', (F,), {})(x=2)).__name__
return type(types.new_class('Made', (F,))(x=2)).__name__
return F.__new__(F) is not None
return object.__new__(F) is not None
return F.__name__, F.__qualname__, F.__module__, F.__mro__[-1], str(inspect.signature(F))
return F.__init__ is F.__init__, F.__init__ == F.__init__, F.__new__ is F.__new__, F.__init__.__qualname__
return inspect.getsource(F)[:900]
return sorted(n for n in vars(F) if n not in ('__static_attributes__', '__firstlineno__'))
return type(vars(F).get('__new__')), '__init__' in vars(F), '__new__' in F.__dict__
class Sub(F):|    def m(self): return type(self)(x=2)|return type(Sub(x=1).m()).__name__
class K:|    made = F(x=1)|    def __init__(self, f=F): self.f = f(x=2)|return K().f.x
d = collections.defaultdict(F); return type(d[1]).__name__
async def co(): return F(x=1).x|return asyncio.run(co())
async def co(): return (await asyncio.to_thread(F)).__class__.__name__|return asyncio.run(co())
with ThreadPoolExecutor(2) as pool: return [pool.submit(F).result().__class__.__name__ for _ in '12']
return mock.Mock(side_effect=F)(x=1).x
with mock.patch('MODULE.NAME') as m: import MODULE as mm; r = mm.NAME(x=1) is m.return_value|return r, F(x=1).x
with mock.patch.object(F, '__init__', return_value=None): return type(F()).__name__
keep = F.__dict__.get('__init__'); F.zork = 5; del F.zork|return F(x=1).x
return F.__call__ and type(F)(F.__name__, (F,), {})(x=1).__class__.__name__
return operator.methodcaller('__class__', x=1)(F(x=2)).__class__.__name__
o = F(x=1); return type(o.__class__(x=2)).__name__, type(type(o)(x=3)).__name__
pid = os.fork()|if not pid:|    F(x=1); os._exit(0)|return os.waitpid(pid, 0)[1], F(x=2).x
for i in range(50): F(x=1)
return max([F(x=1)], key=id).x, sorted([F(x=1)])[0].x
class R:|    def __reduce__(self): return F, ()|return type(copy.copy(R())).__name__
match F(x=3):|    case F(x=3): return 'yes'
o = F(x=1); o.__init__(); return o.x
o = F(x=1); F.__init__(o); return o.x
x = F|def inner(y=x(x=1)): return y.x|return inner(), inner()
g = (F(x=i) for i in range(3)); next(g); return next(g).x
with contextlib.suppress(TypeError): abc.ABCMeta.register(F, int)
class Sub(F, abc.ABC):|    @abc.abstractmethod|    def nothing(self): pass|try: Sub(x=1)|except TypeError as e: return str(e)
t = [threading.Thread(target=lambda: [F(x=1) for _ in range(20)]) for _ in range(3)]|[x.start() for x in t]; [x.join() for x in t]
class Sub(F):|    def __init__(self, x): super(Sub, self).__init__(x=x)|    def __repr__(self): return 'S'|return repr(copy.copy(Sub(1)))
class Meta2(type(F)):|    def __call__(cls, *a, **k): return super().__call__(*a, **k)|class Sub(F, metaclass=Meta2): pass|return type(Sub(x=1)).__name__
Sub = dataclasses.make_dataclass('Sub', ['z'], bases=(F,)) if not hasattr(F, '__dataclass_fields__') else F|return Sub.__name__
""".strip().split("\n")
SPECIAL = {
    "error": ["try: raise F(x=1)|except F as e: return e.args", "try: raise F|except F as e: return e.args", "try: raise F(x=1) from F(x=2)|except F as e: return e.__cause__.args",
              "def g():|    yield 1|it = g(); next(it)|try: it.throw(F)|except F as e: return e.args", "def g():|    yield 1|it = g(); next(it)|try: it.throw(F(1))|except F as e: return e.args",
              "async def co(): raise F(x=1)|try: asyncio.run(co())|except F as e: return e.args", "with contextlib.suppress(F): raise F",
              "f = asyncio.Future(loop=asyncio.new_event_loop()); f.set_exception(F); f._loop.close(); return f.exception().args",
              "return mock.Mock(side_effect=F)()", "try:|    try: raise F|    finally: F(x=2)|except F: return 1"],
    "dataclass": ["return dataclasses.replace(F(x=1), x=2).x", "return dataclasses.asdict(F(x=1)), dataclasses.astuple(F(x=1))", "return F(1) == F(1), repr(F(2, 3))",
                  "@dataclasses.dataclass(init=False)|class Sub(F):|    z: int = 3|return Sub(x=1).z"],
    "frozen": ["return dataclasses.replace(F(x=1), x=2).x", "return sorted([F(2), F(1)])[0].x, len({F(1), F(1)})", "try: F(1).x = 2|except AttributeError as e: return str(e)"],
    "dslots": ["return dataclasses.replace(F(x=1), x=2).x", "return F.__slots__, hasattr(F(1), '__dict__')"],
    "generic": ["return F[int](1).x", "return F[int] == F[int], F[int](x=2).__orig_class__ == F[int]", "class Sub(F[int]): pass|return Sub(3).x", "A = F[T]|return A[str](1).x"],
    "subscribed": ["return F[int](1).x"],
    "ordered": ["return F(1) < F(2), F(1) >= F(2), F(1) == F(1)", "return max(F(1), F(2)).x"],
    "enumless": ["o = F(1)|t = threading.Thread(target=lambda: o.x); t.start(); t.join()|return o.x"],
    "dict": ["return F() == {}, json.dumps(F())", "return F.fromkeys('ab')"],
    "int": ["return F(3) + 1, int(F(4)), F('5')", "return list(map(F, '12'))", "return F.from_bytes(b'1', 'big')"],
    "str": ["return F('a') + 'b', F('c').upper()", "return F('x').__class__.__name__, list(map(F, 'ab'))"],
}
BODY = "        used('{ref}')\n        return 5\n"
METHODS = {
    "method": "    def {n}(self, x=0, *args, **more):\n" + BODY,
    "static": "    @staticmethod\n    def {n}(x=0, *args, **more):\n" + BODY,
    "cls": "    @classmethod\n    def {n}(cls, x=0, *args, **more):\n" + BODY,
    "prop": "    @property\n    def {n}(self):\n" + BODY,
    "rwprop": "    @property\n    def {n}(self):\n" + BODY + "    @{n}.setter\n    def {n}(self, v):\n        used('{ref}')\n    @{n}.deleter\n    def {n}(self):\n        used('{ref}')\n",
    "cachedprop": "    @functools.cached_property\n    def {n}(self):\n        used('{ref}', 1)\n        return 5\n",
    "wrapped": "    @wrapped\n    def {n}(self, x=0, *args, **more):\n" + BODY,
    "lru": "    @functools.lru_cache(None)\n    def {n}(self, x=0, *args):\n        return 5\n",
    "single": "    @functools.singledispatchmethod\n    def {n}(self, x=0, *args):\n" + BODY + "    @{n}.register\n    def _{n}(self, x: str):\n        used('{ref}')\n        return 6\n",
    "partial": "    def real_{n}(self, y, x=0, *args, **more):\n        return 5\n    {n} = functools.partialmethod(real_{n}, 1)\n",
    "abstract": "    @abc.abstractmethod\n    def {n}(self, x=0, *args, **more):\n" + BODY,
    "coro": "    async def {n}(self, x=0, *args, **more):\n        return 5\n",
    "gen": "    def {n}(self, x=0, *args, **more):\n        yield 5\n        yield 6\n",
    "lam": "    {n} = lambda self, x=0, *args, **more: (used('{ref}'), 5)[1]\n",
    "sup": "    def {n}(self, x=0, *args, **more):\n        used('{ref}')\n        return 5 if isinstance(self, __class__) else super().x\n",
    "manager": "    @contextlib.contextmanager\n    def {n}(self, x=0, *args):\n        yield 5\n",
    "ctx": "    @staticmethod\n    @wrapped\n    def {n}(x=0, *args, **more):\n" + BODY,
    "clsw": "    @classmethod\n    @wrapped\n    def {n}(cls, x=0, *args, **more):\n" + BODY,
    "deflt": "    def {n}(self, x=0, *args, **more):\n" + BODY + "    taken_{n} = ({n},)\n",
    "init_sub": "    def {n}(self, x=0, *args, **more):\n        used('{ref}')\n        return x\n",
}
SPECIAL_METHODS = {
    "__len__": ("def __len__(self):\n        used('{ref}')\n        return 5", ["return len(O())", "return bool(O())", "o = O(); return o and 3", "return list(map(len, [O(), O()]))", "return operator.length_hint(O())"]),
    "__iter__": ("def __iter__(self):\n        used('{ref}')\n        return iter([1, 2])", ["return [*O()]", "for x in O(): pass", "a, b = O(); return a", "return list(O()), 1 in O()", "return max(O()), sum(O())", "return dict(zip(O(), 'ab'))"]),
    "__call__": ("def __call__(self, x=0, *args):\n        used('{ref}')\n        return 5", ["return O()(1)", "return list(map(O(), [1]))", "o = O(); return o.__call__(3)", "return sorted([2, 1], key=O())", "return re.sub('a', lambda m: str(O()(m)), 'aa')", "t = threading.Thread(target=O()); t.start(); t.join()"]),
    "__getitem__": ("def __getitem__(self, i):\n        used('{ref}')\n        if i == 2 and isinstance(i, int): raise IndexError\n        return 5", ["return O()[1]", "return list(O())", "return 5 in O(), O()[1:2]", "return operator.itemgetter(1)(O())"]),
    "__eq__": ("def __eq__(self, other):\n        used('{ref}')\n        return True\n    __hash__ = None", ["return O() == 3, 3 == O()", "return O() in [1], O() != 2", "return [1].index(O())", "return O() == O()"]),
    "__str__": ("def __str__(self):\n        used('{ref}')\n        return 'o'", ["return str(O())", "return f'{O()}', '%s' % O()", "print(O())"]),
    "__hash__": ("def __hash__(self):\n        used('{ref}')\n        return 5", ["return hash(O())", "return len({O()})", "d = {}; o = O(); d[o] = 1; return d[o]"]),
    "__add__": ("def __add__(self, other):\n        used('{ref}')\n        return 5", ["return O() + 1", "o = O(); o += 2; return o", "return sum([1], start=O())"]),
    "__getattr__": ("def __getattr__(self, name):\n        used('{ref}')\n        if name[:2] == '__': raise AttributeError(name)\n        return 5", ["return O().zork", "return getattr(O(), 'q', 1), hasattr(O(), 'z')", "return operator.attrgetter('qq')(O())", "return copy.copy(O()) is None"]),
    "__index__": ("def __index__(self):\n        used('{ref}')\n        return 1", ["return [1, 2][O()]", "return range(O()), bin(O())"]),
    "__exit__": ("def __enter__(self): return 3\n    def __exit__(self, *a):\n        used('{ref}')\n        return False", ["with O() as o: return o", "with contextlib.ExitStack() as s: s.enter_context(O())", "try:|    with O(): raise KeyError|except KeyError: return 1"]),
    "__del__": ("def __del__(self):\n        used('{ref}')", ["O(); gc.collect()", "o = O(); del o; gc.collect()"]),
    "__set_name__": ("def __set_name__(self, owner, name):\n        used('{ref}')", ["class K: k = O()|return 1"]),
    "__get__": ("def __get__(self, obj, owner=None):\n        used('{ref}')\n        return 5", ["class K: k = O()|return K.k, K().k"]),
    "__class_getitem__": ("def __class_getitem__(cls, item):\n        used('{ref}')\n        return 5", ["return O[int]", "def f(x: O[str]): pass"]),
    "__init_subclass__": ("def __init_subclass__(cls, **named):\n        used('{ref}')\n        super().__init_subclass__()", ["class S(O): pass", "class S(O, a=1): pass|class T(S): pass", "type('S', (O,), {})"]),
    "__reduce__": ("def __reduce__(self):\n        used('{ref}')\n        return int, (3,)", ["return pickle.dumps(O(), 2) and 1", "return copy.copy(O()), copy.deepcopy(O())"]),
    "__copy__": ("def __copy__(self):\n        used('{ref}')\n        return 3", ["return copy.copy(O())"]),
    "__await__": ("def __await__(self):\n        used('{ref}')\n        return iter([])", ["async def co(): return await O()|return asyncio.run(co())"]),
}
OF_METHODS = """
return O().m(1)
return O.m(O(), 1)
o = O(); return o.m(1), o.m(2)
b = O().m; return b(1), b(2), b == b
return [O().m(i) for i in (1, 2)]
return list(map(O().m, [1, 2]))
return operator.methodcaller('m', 1)(O())
return getattr(O(), 'm')(3)
class S(O):|    def m(self, *a): return super().m(*a)|return S().m(1)
class S(O): pass|return S().m(1)
class S(O):|    def m(self, *a): return O.m(self, 2)|return S().m(1)
class S(O):|    m2 = O.m|return S().m2(1)
class S(O):|    def m(self, *a): return 9|return S().m(1)
o = O(); t = threading.Thread(target=o.m); t.start(); t.join()
return types.MethodType(O.m, O())(1)
return weakref.WeakMethod(O().m) and O().m.__name__, O.m.__qualname__
return functools.partial(O().m, 1)()
return max([1, 2], key=O().m)
o = O(); return copy.copy(o).m(1), copy.deepcopy(o.m) is o.m
with mock.patch.object(O, 'm', return_value=3): r = O().m(1)|return r, O().m(2)
with mock.patch.object(O, 'm', autospec=True): r = 1; O().m(1)|return r, O().m(2)
o = O(); o.m = lambda x: 4; return o.m(1)
return str(inspect.signature(O.m)), inspect.isfunction(O.m), inspect.ismethod(O().m)
return [n for n, v in inspect.getmembers(O, inspect.isfunction) if n == 'm']
return type(vars(O)['m']).__name__, vars(O)['m'] is O.m
keep = vars(O)['m']; O.m = lambda s, x: 7; r = O().m(1); O.m = keep|return r, O().m(2)
keep = vars(O)['m']; del O.m|r = hasattr(O, 'm'); O.m = keep|return r, O().m(2)
async def co(): return O().m(1)|return asyncio.run(co())
o = O(); return eval('o.m(1)', {'o': o})
for i in range(40): O().m(i)
pid = os.fork()|if not pid:|    O().m(1); os._exit(0)|return os.waitpid(pid, 0)[1]
class S(O):|    @property|    def p(self): return self.m(2)|return S().p
class Mix:|    def m(self, *a): return super().m(*a)|class S(Mix, O): pass|return S().m(1)
return inspect.getsource(O)[:400]
import doctest; return len(doctest.DocTestFinder().find(O, 'O', globs={}))
return pickle.loads(pickle.dumps(O().m)).__name__
return O().m.__func__ is O.m, O().m.__self__.__class__ is O
class S(O):|    def __init__(self): self.cb = self.m|return S().cb(4)
cb = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(O().m)|return cb(1)
""".strip().split("\n")
OF_PROPERTIES = """
return O().m
o = O(); return o.m, o.m
return getattr(O(), 'm'), hasattr(O(), 'm')
return operator.attrgetter('m')(O())
return [O().m for _ in range(2)], [x.m for x in (O(), O())]
class S(O): pass|return S().m
class S(O):|    @property|    def m(self): return super().m|return S().m
return O.m.fget(O()) if hasattr(O.m, 'fget') else 1
return f'{O().m}', (lambda o: o.m)(O())
o = O(); return [k for k, v in inspect.getmembers(o) if k == 'm']
match O():|    case O(m=5): return 'yes'
with mock.patch.object(O, 'm', new_callable=mock.PropertyMock, return_value=3): r = O().m|return r, O().m
return type(O.m).__name__, O.m.__doc__
t = threading.Thread(target=lambda: O().m); t.start(); t.join()
class S(O):|    m = O.m|return S().m
return sorted([O(), O()], key=lambda o: o.m)[0].m
""".strip().split("\n")
OF_WRITABLE = ["o = O(); o.m = 3; return o.m", "o = O(); del o.m", "setattr(O(), 'm', 3)", "class S(O):|    m = O.m.setter(lambda self, v: None)|o = S(); o.m = 1; return o.m"]
OF_GENERATORS = ["U(1); return list(O().m(1))", "U(1); g = O().m(); r = next(g); g.close(); return r", "class S(O):|    def m(self): U(1); yield from super().m()|return list(S().m())", "b = O().m; U(2); return [list(g) for g in map(b, [1, 2])]",
       "class S(O): pass|U(1); return next(S().m())", "U(1); return list(O.m(O()))"]
OF_COROUTINES = ["U(1); return asyncio.run(O().m(1))", "async def co(): U(2); return await asyncio.gather(O().m(), O().m())|return asyncio.run(co())", "class S(O):|    async def m(self): U(1); return await super().m()|return asyncio.run(S().m())",
        "U(1); c = O().m(); c.close()", "b = O().m; U(1); return asyncio.run(b(2))", "U(1); return asyncio.run(O.m(O()))"]
OF_MANAGERS = ["U(1)|with O().m() as v: return v", "with contextlib.ExitStack() as s: U(1); return s.enter_context(O().m())", "class S(O): pass|U(1)|with S().m(): pass"]
OF_CACHED = ["o = O(); U(2); return o.m(1), o.m(1)", "o = O(); U(2); return list(map(o.m, [1, 2]))", "class S(O): pass|U(1); return S().m(1)", "return O.m.cache_info().__class__.__name__", "U(1); return O.m(O(), 3)"]
OF_DISPATCHED = ["return O().m(1)", "return O().m('x')", "o = O(); return o.m(1), o.m('a'), o.m(2.5)", "class S(O): pass|return S().m(1)"]
OF_PARTIAL = ["U(1); return O().m(1)", "o = O(); U(2); return o.m(1), o.m(2)", "class S(O): pass|U(1); return S().m()", "b = O().m; U(2); return b(1), b(2)"]

BY_SHAPE = {
    "prop": OF_PROPERTIES, "cachedprop": OF_PROPERTIES[:3], "rwprop": OF_PROPERTIES + OF_WRITABLE * 3, "gen": OF_GENERATORS,
    "coro": OF_COROUTINES, "manager": OF_MANAGERS, "lru": OF_CACHED, "single": OF_DISPATCHED, "partial": OF_PARTIAL,
}
REACHES = (
    "from {module} import {name} as {var}", "import {module} as {var}|{var} = {var}.{name}", "import {module}|{var} = {module}.{name}",
    "import {module} as {var}|{var} = getattr({var}, '{name}')", "import {module} as {var}|{var} = vars({var})['{name}']",
    "import {module}|{var} = sys.modules['{module}'].{name}",
)
BASES = ("", "", "(abc.ABC)", "(typing.Generic[T])", "(dict)", "(metaclass=Meta)", "(P)", "(threading.local)")


@dataclass
class Program:
    """One program: its files, and what of it is watched."""

    seed: int
    uses: int = 40
    files: dict[str, str] = field(default_factory=dict)
    targets: tuple[str, ...] = ()
    imported: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.random = draw = random.Random(self.seed)
        self.named: list[Named] = []
        for module in ("pkg.one", "pkg.two"):
            parts = [self._defined(module) for _ in range(draw.randint(6, 9))]
            parts += [self._class_with_methods(module) for _ in range(draw.randint(1, 3))]
            self.files[module.replace(".", "/") + ".py"] = HEAD + DECORATORS + "".join(parts)
        wild = draw.sample(["pkg.one:*", "pkg.**:f*", "pkg.**:s*", "pkg.**:C*", "pkg.one:M*.*", "pkg.**:M*.m*"], draw.choice([0, 0, 1, 2]))
        self.targets = (*[one.ref for one in self.named if draw.random() < 0.9], *wild)
        self.files |= {"ledger.py": LEDGER, "pkg/__init__.py": "", "host.py": self._host()}

    def _defined(self, module: str) -> str:
        letter, kinds = self.random.choice([("f", FUNCTIONS), ("s", SUSPENDED), ("C", CLASSES), ("C", CLASSES)])
        one = Named(self.random.choice(list(kinds)), module, f"{letter}{len(self.named)}")
        self.named.append(one)
        return kinds[one.shape].replace("{ref}", one.ref).replace("{name}", one.name)

    def _class_with_methods(self, module: str) -> str:
        draw, owner = self.random, f"M{len(self.named)}"
        base = draw.choice(BASES)
        text, taken = f"class {owner}{base}:\n    x = 3\n", set()
        for _ in range(draw.randint(2, 5)):
            special = draw.random() < 0.3
            shape = draw.choice(list(SPECIAL_METHODS if special else METHODS))
            name = shape if special else f"m{len(self.named)}"
            unfit = special and base or (base == "(dict)" and shape == "lru") or (base in BASES[3:7] and shape == "sup")
            if unfit or name in taken or (name in ("__eq__", "__hash__") and taken & {"__eq__", "__hash__"}):
                continue
            taken.add(name)
            one = Named(shape, module, name, owner)
            self.named.append(one)
            body = f"    {SPECIAL_METHODS[shape][0]}\n" if special else METHODS[shape]
            text += body.replace("{ref}", one.ref).replace("{n}", name)
        return text + f"{owner}.__abstractmethods__ = frozenset()\n"

    def _host(self) -> str:
        draw = self.random
        lines = [HEAD, "warnings.filterwarnings('ignore', '.*multi-threaded')\nwarnings.filterwarnings('ignore', '.*iscoroutinefunction')\n"]
        for number in range(self.uses):
            one, var = draw.choice(self.named), f"v{number}"
            reach = draw.choice(REACHES).replace("{module}", one.module).replace("{name}", one.owner or one.name).replace("{var}", var)
            again = [f"import {one.module} as {var}; importlib.reload({var})"] if draw.random() < 0.04 else []
            steps = [*again, *reach.split("|")]
            body = [*steps, *self._use(one, var)]
            apart = len(steps) if draw.random() < 0.5 else 0
            lines += [f"{step}\n" for step in body[:apart]]
            lines.append(f"def use{number}():\n" + textwrap.indent("\n".join(body[apart:]), "    ") + "\n")
            lines.append(f"show('{number} {one.shape}', use{number})\n" * draw.choice([1, 1, 2]))
        return "".join(lines)

    def _use(self, one: Named, var: str) -> list[str]:
        draw = self.random
        if one.owner:
            forms = SPECIAL_METHODS[one.shape][1] if one.shape in SPECIAL_METHODS else BY_SHAPE.get(one.shape, OF_METHODS)
        elif one.shape in FUNCTIONS and one.name[0] == "f":
            forms = CALLS
        elif one.name[0] == "s":
            forms = OF_SUSPENDED[one.shape]
        else:
            forms = SPECIAL[one.shape] if one.shape in SPECIAL and draw.random() < 0.5 else OF_CLASSES
        steps = draw.choice(forms).replace("MODULE", one.module).replace("NAME", one.name).split("|")
        for number, step in enumerate(steps):
            if re.fullmatch(r" *(.*: )?U\(\d\)", step):  # of a line behind it
                ahead = next(there for there in range(number + 1, len(steps)) if re.search(r"\b[FOS]\b", steps[there])) - number
                steps[number] = re.sub(r"U\((\d)\)", rf"U(\1, {ahead})", step)
        form = re.sub(r"\bU\(", f"about('{one.ref}', ", "|".join(steps))
        form = re.sub(r"\bO\b" if one.owner else r"\bF\b", var, form)
        if one.owner and one.shape in METHODS:
            form = re.sub(r"(?<!\w)m\b(?=[^:]|$)(?! in)", one.name, form)
        return form.split("|")
