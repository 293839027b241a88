"""Random small programs that use targets in many ways and keep a ledger of it: see `test_random_programs`.

What is random is how things come together: the shape of a target, what captured it before it was armed, how the program
comes to it, and what then calls it. A target notes its use itself, with the line of whoever called it (`used`), or, where
its body does not run when it is called, the calling line does so first (`about`).
"""

from __future__ import annotations

import random
import sys
import textwrap
from dataclasses import dataclass, field

LEDGER = '''
import os, sys

HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
OUT = os.open(os.environ["LEDGER"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

def note(ref, count, frame, ahead=0):
    """One write, so that threads and forked children do not mix theirs."""
    file = frame.f_code.co_filename if frame is not None else ""
    file = file[len(HERE):] if file.startswith(HERE) else file
    line, function = (frame.f_lineno + ahead, frame.f_code) if frame is not None else (0, None)
    name = getattr(function, "co_qualname", "") if function is not None else "<no Python caller>"
    os.write(OUT, f"{ref}|{count}|{file}|{line}|{name}\\n".encode())

def about(ref, count=1, ahead=0):
    note(ref, count, sys._getframe(1), ahead)
    return True

def is_between(frame):
    """What stands between a target and its caller: a decorator's wrapper, a metaclass, the agent where it had to."""
    code, module = frame.f_code, frame.f_globals.get("__name__")
    if code.co_name == "__call__" and code.co_varnames[:1] == ("cls",):
        return True
    if code.co_name == "__call__" and module == "typing":
        return True
    return code.co_name == "passing" or module == "functools" or "lastcall" in code.co_filename or str(module).startswith("wrapt")

def used(ref, frames=1):
    frame = sys._getframe(frames)
    made = frame.f_locals.get("self", frame.f_locals.get("cls"))
    frame = frame.f_back
    while frame is not None and is_between(frame):
        frame = frame.f_back
    note(ref, 1, frame)
    for heir in getattr(made, "heirs", ()) if ref.endswith("Base") else ():
        note(heir, 1, frame)

def show(label, function):
    try:
        print(label, repr(function())[:200].split(" at 0x")[0], flush=True)
    except Exception as error:
        lines, trace = [], error.__traceback__
        while trace is not None:
            if not is_between(trace.tb_frame):
                lines.append((os.path.basename(trace.tb_frame.f_code.co_filename), trace.tb_lineno))
            trace = trace.tb_next
        print(label, type(error).__name__, str(error).split(" at 0x")[0], lines, flush=True)
'''
HEAD = """
import asyncio, contextlib, copy, dataclasses, functools, gc, importlib, inspect, itertools, operator, os, pickle, sys
import threading, types, typing, weakref
from concurrent.futures import ThreadPoolExecutor
from ledger import about, show, used
"""
DECORATORS = """
def wrapped(function):
    @functools.wraps(function)
    def passing(*args, **named):
        return function(*args, **named)
    return passing

def make(function):
    def inner(x=0, *args):
        return function(x)
    return inner

class Meta(type):
    def __call__(cls, *args, **named):
        return super().__call__(*args, **named)

kept = {}
"""
BODY = "    used('{ref}')\n    if x == 66: raise ValueError('{name}')\n    return x if isinstance(x, int) else 7\n"
FUNCTIONS = {
    "plain": "def {name}(x=0, *args):\n" + BODY,
    "wrapped": "@wrapped\ndef {name}(x=0, *args):\n" + BODY,
    "twice": "@wrapped\n@wrapped\ndef {name}(x=0, *args):\n" + BODY,
    "lambda": "{name} = lambda x=0, *args: (used('{ref}'), x)[1]\n",
    "closure": "def make_{name}():\n    def {name}(x=0, *args):\n        used('{ref}')\n        return 2\n    return {name}\n{name} = make_{name}()\n",
    "again": "def {name}(x=0): return 99\ndef {name}(x=0, *args):\n" + BODY,
    "recursive": "def {name}(x=0, *args):\n    used('{ref}')\n    return {name}(x - 1) if x in (1, 2) else 3\n",
    "dispatched": "@functools.singledispatch\ndef {name}(x=0, *args):\n" + BODY,
    "made": "exec(\"def {name}(x=0, *args):\\n    used('{ref}')\\n    return 4\\n\")\n",
}
SUSPENDED = {
    "coroutine": "async def {name}(x=0):\n    await asyncio.sleep(0)\n    return x\n",
    "generator": "def {name}(x=0):\n    yield x\n    yield x + 1\n",
    "manager": "@contextlib.contextmanager\ndef {name}(x=0):\n    yield x\n",
    "cached": "@functools.lru_cache(maxsize=None)\ndef {name}(x=0):\n    return x\n",
}
NOTED = "used('{ref}')\n        self.x = 1\n"
CLASSES = {
    "init": "class {name}:\n    def __init__(self, x=0, *args):\n        " + NOTED,
    "new": "class {name}:\n    x = 1\n    def __new__(cls, x=0, *args):\n        used('{ref}')\n        return super().__new__(cls)\n",
    "dataclass": "@dataclasses.dataclass\nclass {name}:\n    x: object = 0\n    y: int = 1\n    def __post_init__(self):\n        used('{ref}', 2)\n",
    "meta": "class {name}(metaclass=Meta):\n    def __init__(self, x=0, *args):\n        " + NOTED,
    "slots": "class {name}:\n    __slots__ = ('x', '__weakref__')\n    def __init__(self, x=0, *args):\n        " + NOTED,
    "generic": "class {name}(typing.Generic[typing.TypeVar('T')]):\n    def __init__(self, x=0, *args):\n        " + NOTED,
    "error": "class {name}(Exception):\n    def __init__(self, x=0, *args):\n        super().__init__(x)\n        " + NOTED,
    "heir": "class {name}(Base):\n    heirs = ('{ref}',)\n",
}
METHODS = {
    "method": "    def {name}(self, x=0, *args):\n        used('{ref}')\n        return 5\n",
    "classmethod": "    @classmethod\n    def {name}(cls, x=0, *args):\n        used('{ref}')\n        return 6\n",
    "staticmethod": "    @staticmethod\n    def {name}(x=0, *args):\n        used('{ref}')\n        return 7\n",
    "wrapped_method": "    @wrapped\n    def {name}(self, x=0, *args):\n        used('{ref}')\n        return 8\n",
    "super_method": "    def {name}(self, x=0, *args):\n        used('{ref}')\n        return __class__ and 9\n",
}
CAPTURED = (
    "kept['{name}'] = {name}\n", "TUPLE_{name} = ({name}, 1)\n", "def by_default_{name}(x=0, function={name}): return function(x)\n",
    "by_closure_{name} = make({name})\n", "class Holder_{name}:\n    held = staticmethod({name})\n",
    "PARTIAL_{name} = functools.partial({name}, 1)\n", "ALIAS_{name} = {name}\n",
)
WAYS = ("kept['{name}']", "TUPLE_{name}[0]", "by_default_{name}", "by_closure_{name}", "Holder_{name}.held", "PARTIAL_{name}", "ALIAS_{name}")
"""What leads to each of these."""
REACHES = (
    "from {module} import {name} as {var}", "import {module} as {var}|{var} = {var}.{name}", "import {module}|{var} = {module}.{name}",
    "import {module} as {var}|{var} = getattr({var}, '{name}')", "{var} = importlib.import_module('{module}').{name}",
    "import {module} as {var}|{var} = vars({var})['{name}']", "import {module} as {var}|{var} = operator.attrgetter('{name}')({var})",
    "from {package} import {last} as {var}|{var} = {var}.{name}", "import {module}|{var} = sys.modules['{module}'].{name}",
)
CALLS = (
    "return F(1)", "return [F(i) for i in range(3)]", "return list(map(F, [1, 2]))", "return sorted([3, 1, 2], key=lambda x: (F(x), 1)[1])",
    "return (lambda x: F(x))(4)", "d = {'k': F}; return d['k'](5)", "return functools.partial(F, 1)()", "return F(F(1) and 2)",
    "return functools.reduce(lambda a, b: (F(b), b)[1], [1, 2, 3])", "return [F for _ in '12'][1](3)", "return F(*[1]), F(*(2,), **{})",
    "t = threading.Thread(target=F, args=(1,)); t.start(); t.join()", "return F(66)", "return eval('G(2), G(3)', {'G': F})",
    "ts = [threading.Thread(target=lambda: [F(3) for _ in range(40)]) for _ in range(3)]|[t.start() for t in ts]; [t.join() for t in ts]",
    "with ThreadPoolExecutor(2) as pool:|    return len(list(pool.map(F, range(4))))", "def d(x=F):|    return x(1)|return d()",
    "class K:|    held = staticmethod(F)|    value = F(1)|return K.held(1), K().held(2)", "ns = {'G': F}; exec('G(1)\\n\\nG(2)', ns)",
    "async def co():|    return F(1)|return asyncio.run(co())", "async def co():|    return await asyncio.to_thread(F, 3)|return asyncio.run(co())",
    "async def co():|    loop = asyncio.get_running_loop()|    loop.call_soon(F, 1)|    await asyncio.sleep(0)|asyncio.run(co())",
    "def g():|    try:|        yield F(1)|    finally:|        F(2)|it = g(); next(it); it.close()", "return any(F(i) for i in (0, 0)), F(1)",
    "try:|    F(66)|except ValueError:|    return F(1)|finally:|    F(2)", "class O: pass|o = O(); weakref.finalize(o, F, 1); del o; gc.collect()",
    "class D:|    def __del__(self):|        F(1)|D(); gc.collect()", "for i in range(200):|    F(i % 7)", "return F(|    1|), F(|    2)",
    "pid = os.fork()|if not pid:|    F(1); F(2); os._exit(0)|return os.waitpid(pid, 0)[1], F(3)", "return f'{F(1)}'[:0], types.MethodType(F, 5)()",
    "g = F|def outer():|    @functools.wraps(g)|    def passing(*args, **named):|        return g(*args, **named)|    return passing|return outer().__name__",
    "class P:|    @property|    def v(self):|        return F(1)|return P().v", "with contextlib.ExitStack() as stack:|    stack.callback(F, 1)",
    "return copy.deepcopy([F])[0](1), copy.copy(F)(2)", "def rec(n):|    return F(n) if n == 0 else rec(n - 1)|return rec(30)",
    "return str(inspect.signature(F)), callable(F), F == F, F in {F}, hash(F) == hash(F)", "return pickle.loads(pickle.dumps(F)) is not None",
    "return F.__name__, F.__qualname__, F.__module__, F.__doc__", "return list(itertools.starmap(F, [(1,), (2,)]))",
)
OF_CLASSES = (
    "class Sub(F): pass|return type(Sub(1)).__name__", "class Sub(F):|    def __init__(self, x=0):|        super().__init__(x)|Sub(1), Sub()",
    "return isinstance(F(1), F), type(F(2)) is F, F.__mro__[-1]", "o = F(1); return weakref.ref(o)() is o", "return type(copy.copy(F(1))) is F",
    "try:|    raise F(1)|except BaseException as error:|    return type(error).__name__", "return type(type('Made', (F,), {})(2)).__name__",
)
OF_METHODS = (
    "o = OWNER(1); return o.NAME(1), getattr(o, 'NAME')(2)", "b = OWNER(1).NAME; return b(1), b(2), b == b", "return operator.methodcaller('NAME', 1)(OWNER())",
    "class Sub(OWNER):|    def NAME(self, *args):|        return super().NAME(*args)|return Sub(1).NAME(2)", "return OWNER().NAME.__name__, OWNER.NAME == OWNER.NAME",
    "o = OWNER(1); t = threading.Thread(target=o.NAME); t.start(); t.join()", "for i in range(99):|    OWNER().NAME(i)", "return list(map(OWNER(1).NAME, [1, 2]))",
)
OF_SUSPENDED = {
    "coroutine": ("async def co():|    U(1); return await F(1)|return asyncio.run(co())", "U(1); F(1).close()", "U(3); [c.close() for c in map(F, [1, 2, 3])]",
                  "async def co():|    U(2); return await asyncio.gather(F(1), F(2))|return asyncio.run(co())", "return inspect.iscoroutinefunction(F)"),
    "generator": ("U(1); return list(F(2))", "U(1); g = F(3); next(g); g.close()", "def outer():|    U(1); yield from F(2)|return list(outer())",
                  "for i in range(30):|    U(1); list(F(i))", "U(2); return [list(g) for g in map(F, (1, 2))]", "return inspect.isgeneratorfunction(F)"),
    "manager": ("with (U(1), F(1))[1] as value: return value", "with contextlib.ExitStack() as stack:|    U(1); stack.enter_context(F(1))"),
    "cached": ("U(3); return [F(i % 2) for i in (1, 2, 3)]", "U(2); return list(map(F, [1, 1]))", "for i in range(30):|    U(1); F(i % 3)"),
}  # fmt: skip


@dataclass
class Named:
    """Something that a program may have as a target."""

    shape: str
    module: str
    name: str
    owner: str = ""
    way: str = ""

    @property
    def ref(self) -> str:
        return f"{self.module}:{f'{self.owner}.' if self.owner else ''}{self.name}" if self.name else self.module


@dataclass
class Program:
    """One program: its files, and what of it is watched."""

    seed: int
    uses: int = 40
    files: dict[str, str] = field(default_factory=dict)
    targets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.named: list[Named] = []
        self.modules = ("pkg.first", "pkg.second", "pkg.sub.third")
        for module in self.modules:
            self._define(module)
        watched = [one.ref for one in self.named if self.random.random() < 0.8]
        self.imported = {module for module in self.modules if self.random.random() < 0.5}
        wild = self.random.sample(["pkg.first:*", "pkg.**:f*", "pkg.*:C*.*", "pkg.**:C*"], self.random.choice([0, 1, 2]))
        self.targets = (*watched, *sorted(self.imported), *wild)
        package = f"{self._about('pkg.first')}from . import first\n" if self.random.random() < 0.5 else ""
        halves = {f"{module.replace('.', '/')}_half.py": self._half(module) for module in self.modules}
        self.files |= {"ledger.py": LEDGER, "pkg/__init__.py": HEAD + package, "pkg/sub/__init__.py": "", **halves, "host.py": self._host()}

    def _about(self, module: str) -> str:
        return f"about('{module}'); " if module in self.imported else ""

    def _define(self, module: str) -> None:
        draw, parts, last = self.random, [], module.rpartition(".")[2]
        parts.append(f"class Base:\n    def __init__(self, x=0, *args):\n        used('{module}:Base')\n")
        for _ in range(draw.randint(5, 9)):
            kinds = draw.choice([FUNCTIONS, FUNCTIONS, CLASSES, SUSPENDED])
            shape = draw.choice(list(kinds))
            one = Named(shape, module, f"{'C' if kinds is CLASSES else 'f'}{len(self.named)}")
            self.named.append(one)
            text = kinds[shape].replace("{ref}", one.ref).replace("{name}", one.name)
            if kinds is FUNCTIONS and draw.random() < 0.4:
                captured = draw.randrange(len(CAPTURED))
                one.way = WAYS[captured].replace("{name}", one.name)
                text += CAPTURED[captured].replace("{name}", one.name)
            for _ in range(draw.randint(1, 2) if shape in ("init", "new", "generic") else 0):
                of = draw.choice(list(METHODS))
                method = Named(of, module, f"m{len(self.named)}", one.name)
                self.named.append(method)
                text += METHODS[of].replace("{ref}", method.ref).replace("{name}", method.name)
            parts.append(text)
        self.named.append(Named("base", module, "Base"))
        parts.insert(draw.randint(2, len(parts)), f"from . import {last}_half\n")
        self.files[f"{module.replace('.', '/')}.py"] = HEAD + DECORATORS + "".join(parts)

    def _half(self, module: str) -> str:
        """A module that uses what there is of another whose own code still runs."""
        lines = [f"{self._about(module)}import {module} as half\n", "held = {name: value for name, value in vars(half).items() if name[0] == 'f'}\n"]
        for one in self.named:
            if one.module == module and not one.owner and one.shape not in SUSPENDED and self.random.random() < 0.3:
                lines.append(f"if hasattr(half, '{one.name}'): show('half {one.name}', lambda: half.{one.name}(1) and 1)\n")
        return HEAD + "".join(lines)

    def _host(self) -> str:
        draw, lines = self.random, [HEAD, "import warnings\nwarnings.filterwarnings('ignore', '.*multi-threaded')  # and forks: 3.12 tells\n"]
        for number in range(self.uses):
            one = draw.choice(self.named)
            first, var = one.owner or one.name, f"v{number}"
            reach = draw.choice(REACHES)
            if "import_module" in reach and sys.version_info < (3, 11):  # there not seen where the module is loaded already
                reach = REACHES[0]
            reach = reach.replace("{module}", one.module).replace("{name}", first).replace("{var}", var)
            reach = reach.replace("{package}", one.module.rpartition(".")[0]).replace("{last}", one.module.rpartition(".")[2])
            steps = reach.split("|")
            steps[0] = self._about(one.module) + steps[0]
            if one.way and draw.random() < 0.4:
                steps = [f"{self._about(one.module)}import {one.module} as {var}", f"{var} = eval({one.way!r}, vars({var}))"]
            body = [*steps, *self._use(one, var).split("|")]
            apart = len(steps) if draw.random() < 0.5 else 0
            lines += [f"{step}\n" for step in body[:apart]]
            lines.append(f"def use{number}():\n" + textwrap.indent("\n".join(body[apart:]), "    ") + "\n")
            lines.append(f"show('{number} {one.shape}', use{number})\n" * draw.choice([1, 1, 2]))
        return "".join(lines)

    def _use(self, one: Named, var: str) -> str:
        draw = self.random
        if one.owner:
            form = draw.choice(OF_METHODS).replace("NAME", one.name).replace("OWNER", var)
            return form if draw.random() < 0.5 else f"bound = {var}(1).{one.name}|{draw.choice(CALLS).replace('F', 'bound')}"
        if one.shape in SUSPENDED:
            form = draw.choice(OF_SUSPENDED[one.shape])
            for count in "123":
                form = form.replace(f"U({count})", f"about('{one.ref}', {count})")
        else:
            form = draw.choice(OF_CLASSES if one.shape in (*CLASSES, "base") and draw.random() < 0.6 else CALLS)
            if one.way and "pickle" in form:  # with engine wrapping, what is left in a tuple is not what its name leads to
                form = CALLS[0]
        return form.replace("F(", f"{var}(").replace("F", var)
