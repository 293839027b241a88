"""Random small programs that warn, and what they say of it themselves: see `test_random_warnings`.

What is random is how things come together: how `warnings.warn` is reached, what it is passed, where it stands, what kind of
function it stands in, who calls that, and what happens to the filters, the registries and to `warnings` itself between calls,
of which there are enough for all that is fast to begin. The ledger is kept by the same program in a process of its own, where a
Python object stands for `warnings.warn` and looks at the frames as C does.
"""

from __future__ import annotations

import random
import re
import sys
import textwrap
from dataclasses import dataclass, field

from worlds import wrapt_in_c

V = sys.version_info
LEDGER = '''
import functools, os, re, sys, warnings

HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
STDLIB = os.path.dirname(os.__file__) + os.sep
OUT = os.open(os.environ["LEDGER"], os.O_WRONLY | os.O_CREAT | os.O_APPEND) if "LEDGER" in os.environ else None
WANTED = {"DeprecationWarning", "PendingDeprecationWarning"}

def back(frame):
    """The caller's frame; the ledger's own are none."""
    frame = frame.f_back
    while frame is not None and frame.f_globals is globals():
        frame = frame.f_back
    return frame

def is_internal(frame):
    return "importlib" in frame.f_code.co_filename and "_bootstrap" in frame.f_code.co_filename

def is_skipped(frame, prefixes):
    return frame.f_code.co_filename[:None if sys.version_info >= (3, 14) else -1].startswith(prefixes)

def is_stdlib(frame):
    file = frame.f_code.co_filename
    return file.startswith((STDLIB, "<frozen ")) and "site-packages" not in file

def wrapped(frame):
    names = frame.f_locals
    return next((names[name] for name in frame.f_code.co_freevars if name in ("function", "arg") and callable(names.get(name))), None)

def target_of(frame):
    held, module = wrapped(frame), frame.f_globals.get("__name__")
    held = getattr(held, "__func__", held)
    if held is not None and "<locals>" not in held.__qualname__:
        name, module = held.__qualname__, held.__module__
    elif frame.f_code.co_name == "<module>":
        return module
    else:
        name = getattr(frame.f_code, "co_qualname", "")
    name = re.sub("[.](__init__|__new__|__post_init__|__init_subclass__)$", "", name.replace(".<locals>", ""))
    return module + ":" + name.replace("<", "").replace(">", "")

def note(where, target):
    if where is None:
        return os.write(OUT, f"{target}||0|<no Python caller>\\n".encode())
    file, name = where.f_code.co_filename, getattr(where.f_code, "co_qualname", "")
    file = file[len(HERE):] if file.startswith(HERE) else os.path.basename(file)
    os.write(OUT, f"{target}|{file}|{where.f_lineno}|{name}\\n".encode())

def see(frame, category, level, prefixes):
    if not isinstance(category, type) or not WANTED & {kind.__name__ for kind in category.__mro__}:
        return
    if prefixes:
        level = max(level, 2)
    called, deprecated, where = frame, frame, frame
    skips = not is_internal(frame)
    chain = [frame]
    for _ in range(level - 1):
        if where is None:
            break
        called, deprecated, where = deprecated, where, back(where)
        while skips and where is not None and (is_internal(where) or prefixes and is_skipped(where, prefixes)):
            if prefixes:
                deprecated = where
            where = back(where)
    if where is None and deprecated is not frame and not prefixes:
        where, deprecated = deprecated, called
    if where is not deprecated and wrapped(deprecated) is None and is_stdlib(deprecated) and not is_stdlib(frame):
        found, outer = frame, back(frame)
        while outer is not None and outer is not deprecated:
            found = outer if not is_stdlib(outer) else found
            outer = back(outer)
        deprecated = found
    target = target_of(deprecated)
    if where is not None and where is not deprecated and wrapped(where) is not None and where.f_code.co_name != "passing" and target_of(where) == target:
        return  # a wrapper around the same, which has warned by itself
    while where is not None and where.f_globals.get("__name__") == "functools" and where.f_code.co_flags & 12 == 12:
        where = back(where)
    note(where, target)

class Warn:
    def __call__(self, *args, **given):
        values = dict(zip(("message", "category", "stacklevel", "source"), args)) | given
        message, level, prefixes = values.get("message"), values.get("stacklevel", 1), values.get("skip_file_prefixes", ())
        category = type(message) if isinstance(message, Warning) else values.get("category") or UserWarning
        if ("message" in values and len(args) < 5 and isinstance(level, int) and abs(level) <= sys.maxsize):
            frame = back(sys._getframe())
            see(frame, category, level, prefixes)
            ours = 0 if prefixes and is_skipped(frame, prefixes) else 1  # where that is not the first frame it is skipped
            values["stacklevel"] = min(max(level, 2 if prefixes else 1) + ours, sys.maxsize)
            return real(**values)
        return real(*args, **given)

class Explicit:
    def __call__(self, *args, **given):
        values = dict(zip(("message", "category", "filename", "lineno"), args)) | given
        message, frame = values["message"], back(sys._getframe())
        where, level = frame, 1
        while where is not None and (where.f_lineno, where.f_code.co_filename) != (values["lineno"], values["filename"]):
            where, level = back(where), level + 1
        category = type(message) if isinstance(message, Warning) else values.get("category")
        see(frame, category, 1 if where is None else level, ())
        return explicit(*args, **given)

def handle(self, record):
    if "deprecated" in str(record.msg).lower():
        logged = back(sys._getframe())
        while logged.f_globals.get("__name__") == "logging":
            logged = back(logged)
        if any(one is not None and one.f_code.co_name == "_showwarnmsg" for one in (logged, back(logged))):
            return handled(self, record)
        note(logged if logged.f_code.co_name == "<module>" else back(logged), target_of(logged))
    return handled(self, record)

real, explicit = warnings.warn, warnings.warn_explicit
if OUT is not None:
    import logging
    warnings.warn, warnings.warn_explicit = Warn(), Explicit()
    handled, logging.Logger.handle = logging.Logger.handle, handle

'''
SHOWN = '''
import os, re, sys

errors = {}

def caught(error, framed=False):
    """Keep what was raised, and the first two of each kind with their lines."""
    trace, lines = error.__traceback__, []
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not framed or not ("/lastcall/" in file or "/wrapt/" in file):
            lines.append((os.path.basename(file), trace.tb_lineno))
        trace = trace.tb_next
    key = type(error).__name__, *(re.sub("0x[0-9a-f]+", "0x", text) for text in (str(error), repr(error.__context__), repr(error.__cause__)))
    known = errors.setdefault(key, [0, []])
    known[0] += 1
    if lines not in known[1][:4]:
        known[1].append(lines)

def show(label, function):
    errors.clear()
    try:
        result = function()
        print(label, re.sub("0x[0-9a-f]+|id='[0-9]+'", "0x", repr(result))[:400], errors, flush=True)
    except Exception as error:
        caught(error)
        print(label, "failed", errors, flush=True)
    for file in sys.stdout, sys.stderr:
        file.write(f":: end of {label}\\n")
        file.flush()
'''
IMPORTS = """
import asyncio, contextlib, functools, gc, importlib, itertools, logging, operator, os, re, sys, threading, types, typing, weakref
import unittest.mock as mock
import warnings
"""
HEAD = IMPORTS + """
import warnings as w
from warnings import warn
from warnings import warn as alias
from typing_extensions import deprecated
from common import *

WORDS, KIND, LEVEL, ONE = "words of the module's", DeprecationWarning, 2, 1
kinds = types.SimpleNamespace(Gone=DeprecationWarning, words="an attribute's words")
table = {"warn": warnings.warn, "kind": DeprecationWarning, "level": 2}
class K:
    warn = warnings.warn
    words = "a class attribute's words"
part = functools.partial(warnings.warn, category=DeprecationWarning, stacklevel=2)
log = logging.getLogger("random")

def pick(x=0):
    return (DeprecationWarning, PendingDeprecationWarning, UserWarning)[x % 3]

def given(message, category=DeprecationWarning, stacklevel=2):
    return (message, category, stacklevel)
"""
COMMON = """
import functools, warnings
class Own(DeprecationWarning):
    def __str__(self):
        return "Own: " + "".join(map(str, self.args))
class Soon(PendingDeprecationWarning): pass
class Both(UserWarning, DeprecationWarning): pass
class Part:
    formatted = 0
    def __format__(self, spec):
        Part.formatted += 1
        return "formatted"
    def __str__(self):
        Part.formatted += 1
        return "told"
class Text(str): pass
class Changing:
    '''Changes the filters while it is put into words.'''
    times = 0
    def __format__(self, spec):
        Changing.times += 1
        if Changing.times % 50 == 7:
            warnings.filters.insert(0, ("always", None, Warning, None, 0))
        elif Changing.times % 50 == 9 and warnings.filters:
            del warnings.filters[0]
        return "changing"
def mark(function):
    @functools.wraps(function)
    def passing(*args, **named):
        return function(*args, **named)
    return passing
def drive(coroutine):
    try:
        while True: coroutine.send(None)
    except StopIteration as stop:
        return stop.value
class nothing:
    def __enter__(self): return self
    def __exit__(self, *error): return False
nothing = nothing()
__all__ = [name for name in globals() if name[0] != "_" and name not in ("functools", "warnings")]
"""
CALLEES = (*["warnings.warn"] * 12, *["warn"] * 4, "w.warn", "alias", "K.warn", "K().warn", "getattr(warnings, 'warn')", "table['warn']",
           "sys.modules['warnings'].warn", "(warnings\n.warn)", "(\nwarnings.warn)", "warnings.\\\nwarn", "(warnings.warn if x >= 0 else None)", "__import__('warnings').warn")
MESSAGES = (*["'{n} is deprecated'"] * 8, "'{n} ' 'is deprecated'", "'''{n}\n is deprecated'''", "f'{n} {x}'", "f'{n} {x!r} {x:3}'", "f'{n} {part_}'", "f'{n} {changing_}'", "'{n} %s' % x",
            "'{n} %s %s' % (x, part_)", "'{n} {}'.format(x)", "'{n}' + WORDS", "WORDS", "words", "kinds.words", "K.words", "Own('{n}')", "Soon('{n}', x)", "Both()",
            "DeprecationWarning('{n}')", "UserWarning('{n}')", "Text('{n}')", "('{n}' if x % 2 else 'other {n}')", "(m := '{n} is')", "str(x)", "given('{n}')[0]", "7", "('a', 1)", "rest_", "f'{{x}} {n}'",
            "f'{n}' f'{words}' '%'", "b'{n}'", "part_")
CATEGORIES = (*["DeprecationWarning"] * 14, "PendingDeprecationWarning", "FutureWarning", "UserWarning", "None", "KIND", "KIND", "Own", "Soon", "Both", "kinds.Gone", "pick(x)", "table['kind']", "category",
              "category", "(DeprecationWarning if x % 2 else UserWarning)", "type(Own())", "w.DeprecationWarning if 0 else KIND", "ResourceWarning")
LEVELS = (*["2"] * 12, *["3"] * 3, "1", "1", "0", "-1", "4", "99", "level", "level + 1", "LEVEL", "LEVEL - ONE", "1 + 1", "table['level']", "(1 if x % 2 else 2)", "True", "x % 4", "level - -1", "int('2')", "sys.maxsize")
PLACES = (*["W"] * 16, "r = W", "return W", "W; W", "W; V", "V; W", "[W, V]", "W if x >= 0 else None", "None if x % 2 else W", "x >= 0 and W", "x % 2 or W", "if W is None: pass", "for _ in '12': W", "(W, 1)", "list(W for _ in '1')", "[W for _ in '1']",
          "(lambda: W)()", "try:\n    W\nfinally:\n    pass", "with nothing: W", "with nothing:\n    W\n    V", "try: W\nexcept Warning as e: raise KeyError('again') from e", "assert W is None", "while True:\n    W\n    break", "(y := W)", 'f"""{W}"""', "{1: W}", "[].append(W)",
          "if x % 2: W\nelse: V", "x = W or x", "class Made: W", "class Made:\n    r = W", "def inner(): W\ninner()", "def inner(q=W): pass", "del W, x" if 0 else "r = [W][0]",
          "{W for _ in '1'}", "max(W or 0, 1)", "(W); pass", "try: raise KeyError(1)\nexcept KeyError: W", "for i in range(3): W", "exec('''W''')", "eval('''W''')", "print(W, end='')", "match x:\n    case _: W", "if x >= 0:\n    if True:\n        W", "def inner(z=3):\n    yield W\nlist(inner())")
LOCALS = "words, category, level, part_, changing_, rest_ = 'local words', DeprecationWarning, {level}, Part(), Changing(), (1, 2)\n"
KINDS = {
    "function": "def {n}(x=0, *rest):\n{body}\n",
    "same": "def same(x=0, *rest):\n{body}\n{n} = same\n",
    "keywords": "def {n}(x=0, *rest, y=1, **more):\n{body}\n",
    "method": "class C_{n}:\n    def m(self, x=0):\n{body1}\n{n} = C_{n}().m\n",
    "classmethod": "class C_{n}:\n    @classmethod\n    def m(cls, x=0):\n{body1}\n{n} = C_{n}.m\n",
    "staticmethod": "class C_{n}:\n    @staticmethod\n    def m(x=0):\n{body1}\n{n} = C_{n}.m\n",
    "property": "class C_{n}:\n    @property\n    def p(self, x=0):\n{body1}\n{n} = lambda x=0: C_{n}().p\n",
    "init": "class {n}:\n    def __init__(self, x=0):\n{body1}\n",
    "new": "class {n}:\n    def __new__(cls, x=0):\n{body1}\n        return object.__new__(cls)\n",
    "getattr": "class C_{n}:\n    def __getattr__(self, name, x=0):\n{body1}\n        return 5\n{n} = lambda x=0: C_{n}().zork\n",
    "call": "class C_{n}:\n    def __call__(self, x=0):\n{body1}\n{n} = C_{n}()\n",
    "metacall": "class M_{n}(type):\n    def __call__(cls, x=0):\n{body1}\n        return super().__call__()\nclass {n}(metaclass=M_{n}): pass\n",
    "subclassed": "class C_{n}:\n    def __init_subclass__(cls, x=0):\n{body1}\ndef {n}(x=0):\n    class D(C_{n}): pass\n",
    "descriptor": "class D_{n}:\n    def __get__(self, one, owner=None, x=0):\n{body1}\n        return 5\nclass C_{n}: d = D_{n}()\n{n} = lambda x=0: C_{n}.d\n",
    "iter": "class C_{n}:\n    def __iter__(self, x=0):\n{body1}\n        return iter('ab')\n{n} = lambda x=0: list(C_{n}())\n",
    "eq": "class C_{n}:\n    def __eq__(self, other, x=0):\n{body1}\n        return True\n{n} = lambda x=0: C_{n}() in [1]\n",
    "format": "class C_{n}:\n    def __format__(self, spec, x=0):\n{body1}\n        return 'f'\n{n} = lambda x=0: f'{C_{n}()}'\n",
    "hash": "class C_{n}:\n    def __hash__(self, x=0):\n{body1}\n        return 5\n{n} = lambda x=0: {C_{n}()} and 1\n",
    "del": "class C_{n}:\n    def __del__(self, x=0):\n{body1}\n{n} = lambda x=0: (C_{n}(), None)[1]\n",
    "enter": "class C_{n}:\n    def __enter__(self, x=0):\n{body1}\n    def __exit__(self, *error): return False\ndef {n}(x=0):\n    with C_{n}(): pass\n",
    "classbody": "def {n}(x=0):\n    class Made:\n{body1}\n",
    "coroutine": "async def co_{n}(x=0):\n{body}\ndef {n}(x=0): return drive(co_{n}(x))\n",
    "awaited": "async def in_{n}(x=0):\n{body}\nasync def co_{n}(x=0): return await in_{n}(x)\ndef {n}(x=0): return drive(co_{n}(x))\n",
    "generator": "def g_{n}(x=0):\n    yield 1\n{body}\n    yield 2\n{n} = lambda x=0: len(list(g_{n}(x)))\n",
    "delegated": "def g_{n}(x=0):\n{body}\n    yield 2\ndef h_{n}(x=0): yield from g_{n}(x)\n{n} = lambda x=0: len(list(h_{n}(x)))\n",
    "agen": "async def a_{n}(x=0):\n    yield 1\n{body0}\nasync def co_{n}(x=0): return [y async for y in a_{n}(x)]\n{n} = lambda x=0: drive(co_{n}(x))\n",
    "manager": "@contextlib.contextmanager\ndef cm_{n}(x=0):\n{body}\n    yield 1\ndef {n}(x=0):\n    with cm_{n}(x): pass\n",
    "ended": "@contextlib.contextmanager\ndef cm_{n}(x=0):\n    try: yield 1\n    finally:\n{body1}\ndef {n}(x=0):\n    with cm_{n}(x): pass\n",
    "passed": "@mark\ndef {n}(x=0, *rest):\n{body}\n",
    "wrapper": "def make_{n}(function):\n    @functools.wraps(function)\n    def wrapper(*args, **named):\n        x = 1\n{body1}\n        return function(*args, **named)\n    return wrapper\n@make_{n}\ndef {n}(x=0): return 1\n",
    "wrappers": "def make_{n}(function):\n    @functools.wraps(function)\n    def wrapper(*args, **named):\n        x = 1\n{body1}\n        return function(*args, **named)\n    return wrapper\n@make_{n}\ndef one_{n}(x=0): return 1\n@make_{n}\ndef two_{n}(x=0): return 2\ndef {n}(x=0):\n    one_{n}(x)\n    return [f(x) for f in (one_{n}, two_{n})]\n",
    "marked": "@deprecated('{n} is', category={category}, stacklevel={stacklevel})\ndef {n}(x=0, *rest): return 1\n",
    "marked_method": "class C_{n}:\n    @deprecated('{n} is')\n    def m(self, x=0): return 1\n{n} = C_{n}().m\n",
    "marked_static": "class C_{n}:\n    @staticmethod\n    @deprecated('{n} is')\n    def m(x=0): return 1\n{n} = C_{n}.m\n",
    "marked_classmethod": "class C_{n}:\n    @classmethod\n    @deprecated('{n} is')\n    def m(cls, x=0): return 1\n{n} = C_{n}.m\n",
    "marked_class": "@deprecated('{n} is')\nclass {n}:\n    def __init__(self, x=0): self.x = x\n",
    "marked_plain_class": "@deprecated('C_{n} is')\nclass C_{n}: pass\n{n} = lambda x=0: C_{n}()\n",
    "marked_heir": "@deprecated('C_{n} is')\nclass C_{n}: pass\ndef {n}(x=0):\n    class D(C_{n}): pass\n    return D() and 1\n",
    "marked_coroutine": "@deprecated('{n} is')\nasync def co_{n}(x=0): return 1\n{n} = lambda x=0: drive(co_{n}(x))\n",
    "marked_generator": "@deprecated('{n} is')\ndef g_{n}(x=0): yield 1\n{n} = lambda x=0: list(g_{n}(x))\n",
    "marked_overload": "@typing.overload\n@deprecated('int is')\ndef {n}(x: int) -> int: ...\n@typing.overload\ndef {n}(x: str) -> str: ...\n@deprecated('{n} is')\ndef {n}(x=0): return 1\n",
    "executed": "exec(compile('''def {n}(x=0, *rest):\n{body}''', '<made {n}>', 'exec'))\n",
    "nowhere": "exec(compile('''def {n}(x=0, *rest):\n{body}''', os.path.dirname(__file__) + '/nowhere_{n}.py', 'exec'))\n",
    "code": "CODE_{n} = compile('''x = 0\n{body0}''', 'code_{n}.py', 'exec')\ndef {n}(x=0): exec(CODE_{n}, globals())\n",
    "code_apart": "CODE_{n} = compile('''from {module} import *\nimport warnings\nx = 0\n{body0}''', 'code_{n}.py', 'exec')\ndef {n}(x=0): exec(CODE_{n}, {'__name__': 'apart', 'given': given, 'log': log})\n",
    "lambda": "{n} = lambda x=0, words='w', category=DeprecationWarning, level=2, part_=Part(), changing_=Changing(), rest_=(1,): {expression}\n",
    "reduced": "def {n}(x=0):\n    def callback(a, b):\n{body1}\n    return functools.reduce(callback, [1, 2, 3])\n",
    "mapped": "def cb_{n}(x=0):\n{body}\ndef {n}(x=0): return list(map(cb_{n}, [x, 1]))\n",
    "sorted": "def cb_{n}(x=0):\n{body}\n    return 1\ndef {n}(x=0): return sorted([2, 1], key=cb_{n})\n",
    "mapped_warn": "def {n}(x=0): return list(map(warnings.warn, ['{n}', '{n}'], [DeprecationWarning, UserWarning], [x % 3, 2]))\n",
    "partial": "def {n}(x=0):\n    part('{n} is')\n    part(f'{n} {x}', stacklevel=1)\n",
    "partial_here": "def {n}(x=0): functools.partial(warnings.warn, '{n} is', DeprecationWarning)(2)\n",
    "methodcaller": "def {n}(x=0): operator.methodcaller('warn', '{n} is', DeprecationWarning, 2)(warnings)\n",
    "applied": "def {n}(x=0): operator.call(warnings.warn, '{n} is', DeprecationWarning, 2) if sys.version_info >= (3, 11) else warnings.warn.__call__('{n}', DeprecationWarning)\n",
    "recursive": "def {n}(x=0, d=3):\n    if d: return {n}(x, d - 1)\n{body}\n",
    "recursing": "def {n}(x=0, d=3):\n{body}\n    if d: {n}(x, d - 1)\n",
    "helped": "def help_{n}(x=0):\n{body}\ndef {n}(x=0): return help_{n}(x)\n",
    "helpers": "def help_{n}(x=0):\n{body}\ndef {n}(x=0):\n    help_{n}(x); help_{n}(1)\n    return other_{n}(x)\ndef other_{n}(x=0):\n    help_{n}(x)\n",
    "far": "def far_{n}(x=0):\n{body}\ndef help_{n}(x=0): far_{n}(x)\ndef {n}(x=0): help_{n}(x)\n",
    "dispatched": "@functools.singledispatch\ndef {n}(x=0):\n{body}\n",
    "cached": "@functools.lru_cache(1)\ndef {n}(x=0):\n{body}\n",
    "partialmethod": "class C_{n}:\n    def m(self, y, x=0):\n{body1}\n    p = functools.partialmethod(m, 1)\n{n} = C_{n}().p\n",
    "weak": "def cb_{n}(x=0):\n    x = 1\n{body}\nclass O_{n}: pass\ndef {n}(x=0):\n    o = O_{n}(); r = weakref.ref(o, cb_{n}); del o\n",
    "explicit": "def {n}(x=0):\n    frame = sys._getframe({up})\n    warnings.warn_explicit('{n} is', DeprecationWarning, frame.f_code.co_filename, frame.f_lineno)\n",
    "explicit_elsewhere": "def {n}(x=0):\n    warnings.warn_explicit(Own('{n}'), None, 'elsewhere.py', 7, module='elsewhere', registry=table.setdefault('registry', {}))\n",
    "logged": "def {n}(x=0):\n    log.warning('{n} is deprecated %s', x)\n",
    "logged_quietly": "def {n}(x=0):\n    log.debug('{n} is deprecated %s', x)\n    log.warning('{n} is fine %s', x)\n    log.log(logging.ERROR, '{n} Deprecated')\n",
    "replaced": "def real_{n}(x=0):\n{body}\ndef {n}(x=0):\n    here = warnings.warn\n    def instead(message, category=None, stacklevel=1, source=None): return here(message, category, stacklevel + 1)\n    warnings.warn = instead\n    try: real_{n}(x)\n    finally: warnings.warn = here\n",
    "nested_function": "def {n}(x=0):\n    def inner(x=x):\n{body1}\n    return inner()\n",
    "own_catch": "def {n}(x=0):\n    with warnings.catch_warnings():\n        warnings.simplefilter('ignore' if x % 2 else 'always')\n{body1}\n",
    "own_record": "def {n}(x=0):\n    with warnings.catch_warnings(record=True) as caught:\n        warnings.simplefilter('always')\n{body1}\n    return [(str(c.message), c.lineno) for c in caught]\n",
}
SLOW = {
    "thread": "def in_{n}(x=0):\n    x = 1\n{body}\ndef {n}(x=0):\n    t = threading.Thread(target=in_{n}); t.start(); t.join()\n",
    "pool": "def in_{n}(x=0):\n{body}\ndef {n}(x=0):\n    from concurrent.futures import ThreadPoolExecutor\n    with ThreadPoolExecutor(1) as pool: return [f.exception() and 1 for f in [pool.submit(in_{n}, 1)]]\n",
    "forked": "def in_{n}(x=0):\n{body}\ndef {n}(x=0):\n    for _ in range(8): in_{n}(x)\n    sys.stdout.flush(); pid = os.fork()\n    if not pid:\n        try:\n            for _ in range(20): in_{n}(x)\n        except BaseException: os._exit(5)\n        os._exit(0)\n    return os.waitpid(pid, 0)[1]\n",
    "imported": "def {n}(x=0):\n    sys.modules.pop('own_{n}', None)\n    import own_{n}\n",
    "imported_by_name": "def {n}(x=0):\n    sys.modules.pop('own_{n}', None)\n    importlib.import_module('own_{n}')\n",
    "reloaded": "def {n}(x=0):\n    import own_{n}\n    importlib.reload(own_{n})\n",
    "asyncio": "async def in_{n}(x=0):\n    await asyncio.sleep(0)\n{body}\nasync def co_{n}(x=0): return await asyncio.gather(in_{n}(x), in_{n}(1))\ndef {n}(x=0): return asyncio.run(co_{n}(x))\n",
}
KINDS |= SLOW
CALLED_BY_C = ("applied", "replaced", "partial", "partial_here", "methodcaller", "mapped_warn")
RACY = ("cached", "logged", "logged_quietly", "replaced", "del", "weak")
NO_YIELD = ("coroutine", "awaited", "agen", "asyncio")
if V >= (3, 11):
    KINDS["own_action"] = "def {n}(x=0):\n    with warnings.catch_warnings(action='ignore'):\n{body1}\n"
if V >= (3, 12):
    MESSAGES += ("f'{n} {'nested'} {x}'",)
COMMONER = ("function", "helped", "method", "wrapper", "marked", "own_catch", "same")
DRIVES = (*["F(i % 3)"] * 10, "F(i)", "F()", "F(i % 3); F(1)", "list(map(F, [i % 3, 1]))", "sorted([1, 2], key=F)", "[F(i) for _ in '1']", "(lambda: F(i))()", "callers0.call(F, i)", "callers0.call(F, i); callers1.call(F, i)",
          "callers1.twice(F)", "eval('F(1)')", "exec('F(1)\\n\\nF(2)')", "exec(CODE, {'F': F, '__name__': 'n%d' % (i % 2)})", "functools.partial(F, 1)()", "F(\n i % 3\n)", "[F(1), F(2)]", "K.held(i)", "K().held", "next(callers0.each(F, 2))", "list(callers1.each(F, 2))",
          "functools.reduce(lambda a, b: F(b), [1, 2])", "callers0.deep(F, 5)", "callers1.passed(F, i)", "with contextlib.suppress(KeyError): F(i)", "types.MethodType(F, 1)()", "functools.wraps(F)(lambda: F(i))()", "drive(callers0.co(F, i))", "F(i % 3) if i % 2 else F(1)", "next(iter(functools.partial(F, 1), 7))",
          "callers0.of_name(i)", "mark(F)(i % 3)", "re.sub('a', lambda m: str(F(1)), 'aa')", "F(F(i) and 0)")
CALLERS = IMPORTS + """
from common import *
def call(F, x):
    return F(x)
def twice(F):
    F(1); F(2)
def each(F, n):
    for i in range(n):
        yield F(i)
def deep(F, n):
    return F(1) if n == 0 else deep(F, n - 1)
def passed(F, x):
    @mark
    def here(x):
        return F(x)
    return here(x)
async def co(F, x):
    return F(x)
class Held:
    pass
def of_name(x):
    return Held.F(x)
"""
ACTIONS = ("ignore", "ignore", "ignore", "default", "default", "once", "module", "always", "error")
FILTER_CATEGORIES = ("Warning", "Warning", "DeprecationWarning", "DeprecationWarning", "PendingDeprecationWarning", "FutureWarning", "UserWarning", "Own")
CHANGES = (
    *["warnings.simplefilter('{a}')"] * 5, *["warnings.simplefilter('{a}', {c})"] * 4, "warnings.simplefilter('{a}', {c}, append=True)", "warnings.simplefilter('{a}', {c}, lineno={l})",
    "warnings.filterwarnings('{a}', '{words}', {c})", "warnings.filterwarnings('{a}', module='{mod}')", "warnings.filterwarnings('{a}', '.*{n}', {c}, module='{mod}')", "warnings.filterwarnings('{a}', category={c}, lineno={l}, append=True)",
    "warnings.resetwarnings()", "warnings.filters.insert(0, ('{a}', None, {c}, None, 0))", "warnings.filters.append(('{a}', None, {c}, None, 0))", "if warnings.filters: warnings.filters.pop()", "del warnings.filters[:1]", "warnings.filters.clear()", "warnings.filters.reverse()",
    "warnings.filters = [('{a}', None, {c}, None, 0)]", "warnings.filters[:] = [('{a}', None, {c}, None, 0), *warnings.filters]", "warnings.filters = list(warnings.filters)", "warnings.filters[:] = [tuple(list(f)) for f in warnings.filters]", "vars(warnings)['filters'] = [('{a}', None, {c}, None, 0)]",
    "warnings.filters.insert(0, ('{a}', re.compile('.*{n}'), {c}, re.compile('{mod}'), 0))",
    "with warnings.catch_warnings(record=True) as caught_:\n    warnings.simplefilter('{a}')\n    go({t})\ntold(caught_)", "with warnings.catch_warnings(record=True) as caught_: go({t})\ntold(caught_)", "with warnings.catch_warnings():\n    warnings.simplefilter('{a}', {c})\n    go({t})",
    "with warnings.catch_warnings(): warnings.filters.insert(0, ('{a}', None, {c}, None, 0)); go({t})", "with warnings.catch_warnings(): pass", "for _ in range(5):\n    with warnings.catch_warnings(): warnings.simplefilter('{a}'); go(3)", "for _ in range(5):\n    with warnings.catch_warnings(record=True) as caught_: go(3)\n    told(caught_)",
    "registry({m}).clear()", "vars({m}).pop('__warningregistry__', None)", "vars({m})['__warningregistry__'] = {}", "vars({m})['__warningregistry__'] = dict(registry({m}))", "registry({m})['version'] = -1", "vars({m})['__warningregistry__'] = None", "registry({m}).update(dict.fromkeys(list(registry({m})), 0))", "registry({m}).pop('version', None)",
    "vars({m})['__warningregistry__'] = 7\ngo(2)\ndel {m}.__warningregistry__",
    "warnings.showwarning = shown\ngo({t})\nwarnings.showwarning = showwarning", "warnings.showwarning = failing\ngo({t})\nwarnings.showwarning = showwarning", "warnings.showwarning = changing\ngo({t})\nwarnings.showwarning = showwarning", "warnings.formatwarning = lambda *a, **k: 'formatted\\n'\ngo({t})\nwarnings.formatwarning = formatwarning", "warnings.showwarning = logs\ngo({t})\nwarnings.showwarning = showwarning", "warnings.showwarning = warns\ngo({t})\nwarnings.showwarning = showwarning",
    "logging.captureWarnings(True); go({t}); logging.captureWarnings(False)",
    "here, warnings.warn = warnings.warn, instead\ngo({t})\nwarnings.warn = here", "here, warnings.warn = warnings.warn, lambda *a, **k: None\ngo({t})\nwarnings.warn = here", "here = warnings.warn; del warnings.warn\ngo({t})\nwarnings.warn = here", "warnings.warn = warnings.warn", "with mock.patch('warnings.warn') as m_: go({t})\nprint(m_.call_count, m_.call_args)",
    "with mock.patch('warnings.warn', side_effect=warnings.warn): go({t})", "with mock.patch.object(warnings, 'warn', wraps=warnings.warn): go(2)",
    "sys.setprofile(profiler); go({t}); sys.setprofile(None)", "sys.settrace(tracer); go({t}); sys.settrace(None)", "threading.setprofile(profiler); go(2); threading.setprofile(None)",
    "importlib.reload(L); F = L.{n}", "importlib.reload(L)", "L.WORDS = 'other'; go({t}); L.WORDS = 'words of the'", "L.LEVEL = 3; go({t}); L.LEVEL = 2",
    "L.warn, here = (lambda *a, **k: None), L.warn\ngo({t})\nL.warn = here", "L.warnings, here = types.SimpleNamespace(warn=print_), L.warnings\ngo(3)\nL.warnings = here", "L.table['level'] = 3; go({t})", "L.table['kind'] = UserWarning; go({t})", "L.kinds.Gone = UserWarning; go({t})",
    "warnings.defaultaction = '{a}'\ngo({t})\nwarnings.defaultaction = 'default'", "warnings.onceregistry.clear()", "warnings.filters.append(('bad', None, {c}, None, 0)); go(3); warnings.filters.pop()", "warnings.filters.insert(0, 7); go(3); del warnings.filters[0]",
    "gc.collect()", "in_threads(go, {t})", "in_threads(go, {t})", "L.__name__, here = '{mod}', L.__name__\ngo({t})\nL.__name__ = here", "{m}.__name__, here = 'renamed', {m}.__name__\ngo({t})\n{m}.__name__ = here", "contextvars.copy_context().run(go, {t})", "F = {m2}.same if hasattr({m2}, 'same') else F", "other, F = F, L.{n}; go({t})",
    "signalled(go)", "pause()",
)
HOST = IMPORTS + """
import builtins, contextvars, signal, time
import ledger
from shown import caught, show
from common import *
import {modules}
import callers0, callers1
logging.basicConfig(format="%(message)s", stream=sys.stderr)
CODE = compile("F(1)", "executed.py", "exec")
showwarning, formatwarning, Deprecation = warnings.showwarning, warnings.formatwarning, DeprecationWarning
def registry(module): return vars(module).setdefault("__warningregistry__", {{}})
def told(log): print([(c.category.__name__, str(c.message), os.path.basename(c.filename), c.lineno) for c in log][:6], len(log))
def shown(message, category, filename, lineno, file=None, line=None): sys.stderr.write(f"shown {{category.__name__}} {{message}} {{os.path.basename(filename)}} {{lineno}}\\n")
def logs(message, *args, **named): logging.warning(f"deprecated {{message}}")
def failing(*args, **named): raise KeyError("not shown")
def changing(*args, **named): warnings.simplefilter("ignore", append=True)
def warns(*args, **named):
    if len(sys.argv) < 3:
        sys.argv.append("now")
        try: warnings.warn("shown", DeprecationWarning, stacklevel=2)
        finally: sys.argv.pop()
def instead(message, category=None, stacklevel=1, source=None): return ledger_warn(message, category, stacklevel + 1)
ledger_warn = warnings.warn
def print_(*args, **named): print("instead", args[1:], named)
def profiler(frame, event, arg): pass
def tracer(frame, event, arg): return tracer if "lib" in frame.f_code.co_filename else None
def in_threads(go, times):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        threads = [threading.Thread(target=go, args=(times,)) for _ in "123"]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
def signalled(go):
    old = signal.signal(signal.SIGUSR1, lambda *_: go(2))
    signal.raise_signal(signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, old)
def pause(): time.sleep(0.002)
"""
ENVIRONS = ("", "", "", "ignore", "default", "error", "always", "once", "module", "ignore::DeprecationWarning", "error::DeprecationWarning", "default::DeprecationWarning:lib0", "ignore,default::DeprecationWarning", "always::PendingDeprecationWarning")


@dataclass
class Program:
    """One program: its files, and the environment it is run in."""

    seed: int
    uses: int = 40
    only: tuple[int, ...] | None = None
    """The numbers of the uses that are left of it, where one is looked for that shows a fault."""
    files: dict[str, str] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        draw = random.Random(self.seed)
        self.environ = {"PYTHONWARNINGS": draw.choice(ENVIRONS)}
        if V >= (3, 14) and draw.random() < 0.3:
            self.environ["PYTHON_CONTEXT_AWARE_WARNINGS"] = "1"
        self.kinds: dict[int, str] = {}
        libraries = {f"lib{number}": [HEAD] for number in range(3)}
        host = [HOST.format(modules=", ".join([*libraries, "twin"]))]
        for number in range(self.uses):
            if self.only is None or number in self.only:
                self._use(number, random.Random(f"{self.seed}-{number}"), libraries, host)
        texts = {f"{name}.py": "".join(parts) for name, parts in libraries.items()}
        self.files |= {"ledger.py": LEDGER, "shown.py": SHOWN, "common.py": COMMON, "callers0.py": CALLERS, "callers1.py": CALLERS, "host.py": "".join(host), **texts, "twin.py": texts["lib0.py"]}

    def _use(self, number: int, draw: random.Random, libraries: dict[str, list[str]], host: list[str]) -> None:
        name, module = f"f{number}", draw.choice(list(libraries))
        kind = draw.choice(COMMONER if draw.random() < 0.4 else list(KINDS))
        self.kinds[number] = kind
        libraries[module].append(self._definition(kind, name, module, draw))
        of = draw.choice(["twin", "lib0"]) if module == "lib0" else module
        drive, most = draw.choice(DRIVES), 4 if kind in SLOW else 200
        framed = self.framed or kind in CALLED_BY_C or kind == "lambda"
        def times() -> str:
            return str(min(most, draw.choice([1, 2, 5, 9, 30, 30, 80, 200])))

        steps = [f"go({times()})"] if draw.random() < 0.7 else []
        for _ in range(draw.randint(1, 5)):
            change = draw.choice(CHANGES)
            while "in_threads" in change and (self.racy or kind in SLOW or "own_" in kind or kind in RACY or "print" in drive) or "reload" in change and "wrapper" in kind:
                change = draw.choice(CHANGES)
            values = {"a": draw.choice(ACTIONS), "c": draw.choice(FILTER_CATEGORIES), "l": draw.choice(["0", "0", "5", "60"]), "n": name, "t": times(), "words": draw.choice(["", "f", ".*deprecated", name]),
                      "mod": draw.choice(["", "host", "__main__", module, "callers0", "nowhere"]), "m": draw.choice(["L", "sys.modules[__name__]", "callers0", "callers1"]), "m2": draw.choice(["lib0", "lib1", "twin"])}
            steps.append(re.sub(r"\{(\w+)\}", lambda found, values=values: values[found[1]], change))  # type: ignore[misc]
            steps.append(f"go({times()})")
        framed = framed or not wrapt_in_c() or any("mock" in step or "instead" in step for step in steps)
        lines = [f"import {of} as L", f"F = L.{name}", "callers0.Held.F = callers1.Held.F = staticmethod(F)", "class K:", "    held = staticmethod(F)",
                 "def go(n):", "    for i in range(n):", "        try:", textwrap.indent(drive, "            "), f"        except Exception as error: caught(error, {framed})"]
        if draw.random() < 0.7:
            steps = ["with warnings.catch_warnings():", *(textwrap.indent(step, "    ") for step in steps)]
        body = "\n".join([*lines, *steps, "return Part.formatted, Changing.times"])
        host.append(f"def use{number}():\n{textwrap.indent(body, '    ')}\nshow('{number} {kind}', use{number})\n")

    def _definition(self, kind: str, name: str, module: str, draw: random.Random) -> str:
        self.framed = False
        text = KINDS[kind]
        level = draw.choice(["1", "2", "2", "3"])
        place = draw.choice(PLACES)
        while ("return" in place and any(mark in kind for mark in ("agen", "classbody", "code", "own_"))) or ("yield" in place and kind in NO_YIELD) or ("return" in place and kind == "init" and False):
            place = draw.choice(PLACES)
        quoted = kind in ("executed", "nowhere", "code", "code_apart")
        one, other = self._call(name, draw), self._call(name, draw)
        while "'''" in place and ("'''" in one or "\n" in one) or quoted and ("'''" in place + one + other):
            place, one, other = draw.choice([p for p in PLACES if "'''" not in p and "return" not in p]), self._call(name, draw), self._call(name, draw)
        if place not in ("W", "W; W", "W; V", "V; W") or "*" in one + other or "explicit" in kind:
            self.framed = True
        self.racy = any(part in place + one + other for part in ("changing_", "part_", "print"))
        if 'f"""' in place:  # which may hold no backslash before 3.12
            one, other = one.replace("\\\n", ""), other.replace("\\\n", "")
        body = LOCALS.replace("{level}", level)
        lines = []
        for line in place.splitlines():
            lines.append(re.sub(r"\b[WV]\b", lambda found: one if found[0] == "W" else other, line))
        statement = "\n".join(lines)
        if quoted:
            body, statement = body.replace("\\", "\\\\"), statement.replace("\\", "\\\\")
        if "own_" + name not in text:
            pass
        own = f"own_{name}"
        if "own_{n}" in text:
            self.files[f"{own}.py"] = HEAD + "x = 0\n" + body + (statement if "return" not in place else one) + "\n"
        parts = {"body0": self._indented(body + statement, 4 if "{body0}" in text and not quoted else 0), "body1": self._indented(body + statement, 8), "body": self._indented(body + statement, 4)}
        text = text.replace("{n}", name).replace("{module}", module).replace("{category}", draw.choice(["DeprecationWarning"] * 4 + ["PendingDeprecationWarning", "UserWarning", "None"]))
        text = text.replace("{stacklevel}", draw.choice(["1", "1", "1", "2", "0"])).replace("{up}", draw.choice("0112")).replace("{expression}", f"({one})")
        for key, value in parts.items():
            text = text.replace("{" + key + "}", value)
        return text

    def _indented(self, text: str, width: int) -> str:
        return textwrap.indent(text, " " * width)

    def _call(self, name: str, draw: random.Random) -> str:
        message, category, level = draw.choice(MESSAGES).replace("{n}", name), draw.choice(CATEGORIES), draw.choice(LEVELS)
        callee = draw.choice(CALLEES)
        gap = draw.choice(["", "", "", "", "\n"])
        form = draw.randrange(20)
        if form < 7:
            arguments = f"{gap}{message}, {gap}{category}, {gap}stacklevel={level}{gap}"
        elif form < 9:
            arguments = f"{gap}{message}, {gap}{category}, {level}{gap}"
        elif form < 11:
            arguments = f"{message}, {category}"
        elif form == 11:
            arguments = f"stacklevel={level}, {gap}category={category}, message={message}"
        elif form == 12:
            arguments = f"{message}, stacklevel={level}"
        elif form == 13:
            arguments = f"*({message}, {category}, {level})"
        elif form == 14:
            arguments = f"{message}, **dict(category={category}, stacklevel={level})"
        elif form == 15:
            arguments = f"*given({message}, {category}, {level})"
        elif form == 16:
            arguments = f"{message}, {category}, {level}, {draw.choice(['None', 'source=None', 'source=object()', 'x', 'source=K'])}"
        elif form == 17:
            arguments = f"{message}, *[{category}], stacklevel={level}"
        elif form == 18 and V >= (3, 12):
            arguments = f"{message}, {category}, {level}, skip_file_prefixes={draw.choice(['()', '(__file__,)', '(os.path.dirname(__file__) + chr(47) + chr(99),)', '(os.path.dirname(__file__),)', 'tuple([__file__])'])}"
        else:
            arguments = f"{message}, category={category}, stacklevel={level}"
        return f"{callee}({arguments})"
