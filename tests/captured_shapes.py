"""Programs for `test_captured_shapes`: kinds of targets, and ways to keep a reference from before they are armed.

Each way is crossed with each kind. One such module keeps what its own name leads to, `F`, somewhere; later the host gets
it out again and uses it, beside the name itself.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A kind of target: the module's source, the target's qualified name in it, and how it is used."""

    source: str
    qualname: str = "old"
    reference: str = ""
    args: str = "(1,)"
    binds: bool = True
    """Whether a class that has it among its attributes passes itself or its instance."""
    marks: bool = True
    """Whether each use runs code that says so."""

    @property
    def spelled(self) -> str:
        """What a program writes to get it."""
        return self.reference or self.qualname


@dataclass(frozen=True)
class Way:
    """A way to keep `F`: code that does, and an expression that leads to it again, or a whole use of it."""

    code: str
    get: str = ""
    use: str = ""
    only: str = ""
    """A condition on the kind, as an expression with its name in `kind`."""
    since: int = 10
    other: str = ""
    """A second module, imported by the first one while that one still runs."""


KINDS = {
    "function": Kind("def old(*args, **kw): return hit('old', *args)"),
    "coroutine": Kind("async def old(*args, **kw): return hit('old', *args)"),
    "generator": Kind("def old(*args, **kw): yield hit('old', *args)"),
    "async_generator": Kind("async def old(*args, **kw): yield hit('old', *args)"),
    "c_function": Kind(
        """
        import importlib.util
        heapify = importlib.util.module_from_spec(importlib.util.find_spec("_heapq")).heapify
        """,
        "heapify", args="([2, 1],)", binds=False, marks=False,
    ),
    "decorated": Kind(
        """
        import functools
        def decorator(function):
            @functools.wraps(function)
            def wrapper(*args, **kw): return function(*args)
            return wrapper
        @decorator
        def old(*args, **kw): return hit('old', *args)
        """
    ),
    "cached_function": Kind(
        "import functools\n@functools.lru_cache(None)\ndef old(*args, **kw): return hit('old', *args)", marks=False
    ),
    "instance": Kind(
        """
        import functools
        class Task:
            def __init__(self, function): functools.update_wrapper(self, function)
            def __call__(self, *args, **kw): return self.__wrapped__(*args)
        @Task
        def old(*args): return hit('old', *args)
        """,
        binds=False,
    ),
    "class": Kind("class old:\n    def __init__(self, *args, **kw): hit('old', *args)", binds=False),
    "class_new": Kind(
        "class old:\n    def __new__(cls, *args, **kw): hit('old', *args); return object.__new__(cls)", binds=False
    ),
    "dataclass": Kind(
        "from dataclasses import dataclass\n@dataclass\nclass old:\n    x: object = 1\n    y: object = 2\n    z: object = 3\n"
        "    def __post_init__(self): hit('old', self.x)",
        binds=False,
    ),
    "slots_class": Kind(
        "class old:\n    __slots__ = ('x',)\n    def __init__(self, *args, **kw): hit('old', *args); self.x = 1", binds=False
    ),
    "exception": Kind("class old(Exception): pass", binds=False, marks=False),
    "subclass": Kind(
        "class base:\n    def __init__(self, *args, **kw): hit('old', *args)\nclass old(base): pass", binds=False
    ),
    "method": Kind(
        "class Chat:\n    def old(self, *args, **kw): return hit('old', *args)\nCHAT = Chat()",
        "Chat.old", args="(CHAT, 1)",
    ),
    "bound": Kind(
        "class Chat:\n    def old(self, *args, **kw): return hit('old', *args)\nCHAT = Chat()",
        "Chat.old", "CHAT.old", binds=False,
    ),
    "classmethod": Kind(
        "class Chat:\n    @classmethod\n    def old(cls, *args, **kw): return hit('old', cls.__name__, *args)",
        "Chat.old", binds=False,
    ),
    "staticmethod": Kind(
        "class Chat:\n    @staticmethod\n    def old(*args, **kw): return hit('old', *args)", "Chat.old"
    ),
    "nested": Kind(
        "class Chat:\n    class Inner:\n        def old(self, *args, **kw): return hit('old', *args)\nCHAT = Chat.Inner()",
        "Chat.Inner.old", args="(CHAT, 1)",
    ),
    "async_method": Kind(
        "class Chat:\n    async def old(self, *args, **kw): return hit('old', *args)\nCHAT = Chat()",
        "Chat.old", args="(CHAT, 1)",
    ),
    "async_bound": Kind(
        "class Chat:\n    async def old(self, *args, **kw): return hit('old', *args)\nCHAT = Chat()",
        "Chat.old", "CHAT.old", binds=False,
    ),
    "inherited": Kind(
        "class Base:\n    def old(self, *args, **kw): return hit('old', *args)\nclass Chat(Base): pass\nCHAT = Chat()",
        "Chat.old", args="(CHAT, 1)", binds=False,
    ),
    "getter": Kind(
        "class Chat:\n    @property\n    def old(self): return hit('old')\nCHAT = Chat()",
        "Chat.old", "Chat.old.fget", args="(CHAT,)", binds=False,
    ),
    "cached_method": Kind(
        "import functools\nclass Chat:\n    @functools.lru_cache(None)\n    def old(self, *args, **kw): return hit('old', *args)\n"
        "CHAT = Chat()",
        "Chat.old", args="(CHAT, 1)", marks=False,
    ),
}  # fmt: skip

_is_class = "kind in ('class', 'class_new', 'dataclass', 'slots_class', 'exception', 'subclass')"
_module_level = "'Chat' not in KINDS[kind].source"

_SWAPPED = """
import sys, types
class Plain:
    def __init__(self, name): self.__name__ = name
class Lazy(BASE):
    def __getattr__(self, name): return globals()[name]
swapped = Lazy(__name__)
swapped.__dict__.update(globals())
sys.modules[__name__] = swapped
"""

WAYS = {
    # names
    "direct": Way("", "None", use="return None"),
    "own_name": Way("other = F", "other"),
    "own_name_read_before": Way("other = F\ndef read(): return other\nfor _ in range(100): read()", "read()"),
    "own_name_warm": Way("other = F\ndef warm(): return other(*args())\nfor _ in range(20): done(warm())", use="return warm()"),
    "from_import": Way("import {name}_other as other", "other.G",
                       other="import {name}\nG = {name}.{spelled}"),
    "from_import_as": Way("import {name}_other as other", "other.G",
                          other="from {name} import {spelled} as G", only=_module_level),
    "star_import": Way("import {name}_other as other", "other.{spelled}", other="from {name} import *", only=_module_level),
    "re_export": Way("import {name}_other as other", "other.G.H",
                     other="import sys, types\nG = sys.modules['{name}_third'] = types.ModuleType('third')\n"
                           "import {name}\nG.H = {name}.{spelled}"),
    "exec_namespace": Way("SPACE = {'G': F}\nexec('def use(args): return G(*args)', SPACE)", "SPACE['G']"),
    "exec_use": Way("SPACE = {'G': F}\nexec('def use(args): return G(*args)', SPACE)", use="return SPACE['use'](args())"),
    "module_object": Way("import types\nSPACE = types.ModuleType('space')\nSPACE.G = F", "SPACE.G"),
    "module_getattr": Way("import types\nSPACE = types.ModuleType('space')\n"
                          "def keep(f):\n    def __getattr__(name): return f\n    return __getattr__\n"
                          "SPACE.__getattr__ = keep(F)", "SPACE.anything"),
    "module_instance": Way(
        "import sys, types\nclass Lazy(types.ModuleType):\n    def __getattr__(self, name): return vars(self)['kept'][0]\n"
        "SPACE = sys.modules['{name}_lazy'] = Lazy('{name}_lazy')\nSPACE.kept = [F]", "__import__('{name}_lazy').anything"),
    "swapped_module": Way(_SWAPPED.replace("BASE", "types.ModuleType"), "sys.modules[__name__].{spelled}"),
    "swapped_instance": Way(_SWAPPED.replace("BASE", "Plain"), "sys.modules[__name__].{spelled}"),
    # collections
    "dict": Way("TABLE = {'a': F}", "TABLE['a']"),
    "nested_dict": Way("TABLE = {'a': {'b': [{'c': F}]}}", "TABLE['a']['b'][0]['c']"),
    "dict_key": Way("TABLE = {F: 1}", "next(iter(TABLE))"),
    "list": Way("TABLE = [0, F]", "TABLE[1]"),
    "tuple": Way("TABLE = (0, F)", "TABLE[1]"),
    "constant_tuple_in_dict": Way("TABLE = {'a': (F, 1)}", "TABLE['a'][0]"),
    "set": Way("TABLE = {F}", "next(iter(TABLE))"),
    "frozenset": Way("TABLE = frozenset([F])", "next(iter(TABLE))"),
    "deque": Way("import collections\nTABLE = collections.deque([F])", "TABLE[0]"),
    "defaultdict": Way("import collections\nTABLE = collections.defaultdict(list, a=F)", "TABLE['a']"),
    "default_factory": Way("import collections\nTABLE = collections.defaultdict(F)", "TABLE.default_factory"),
    "ordered_dict": Way("import collections\nTABLE = collections.OrderedDict(a=F)", "TABLE['a']"),
    "chain_map": Way("import collections\nTABLE = collections.ChainMap({'a': F})", "TABLE['a']"),
    "dict_subclass": Way("class Registry(dict): pass\nTABLE = Registry(a=F)", "TABLE['a']"),
    "list_subclass": Way("class Registry(list): pass\nTABLE = Registry([F])", "TABLE[0]"),
    "tuple_subclass": Way("class Registry(tuple): pass\nTABLE = Registry([F])", "TABLE[0]"),
    "mappingproxy": Way("import types\nTABLE = types.MappingProxyType({'a': F})", "TABLE['a']"),
    "namespace": Way("import types\nTABLE = types.SimpleNamespace(a=F)", "TABLE.a"),
    "named_tuple": Way("import collections\nTABLE = collections.namedtuple('T', 'a')(F)", "TABLE.a"),
    "typed_tuple_default": Way("import typing\nclass T(typing.NamedTuple):\n    a: object = F", "T().a"),
    "dict_items": Way("TABLE = {'a': F}.items()", "next(iter(TABLE))[1]"),
    "queue": Way("import queue\nTABLE = queue.SimpleQueue()\nTABLE.put(F)",
                 use="f = TABLE.get()\n    TABLE.put(f)\n    return f(*args())"),
    "annotated": Way("import typing\nTABLE = typing.Annotated[int, F]", "TABLE.__metadata__[0]"),
    "generic_alias": Way("import types\nTABLE = types.GenericAlias(list, (F,))", "TABLE.__args__[0]"),
    "annotation": Way("x: F = 1\ndef keep(x: F): pass\nkeep.__annotations__", "keep.__annotations__['x']"),
    "exception_args": Way("TABLE = KeyError(F)", "TABLE.args[0]"),
    "slice": Way("TABLE = slice(F)", "TABLE.stop"),
    # functions
    "default": Way("def keep(f=F): return f", "keep()"),
    "two_defaults": Way("def keep(f=F, g=F): return f if f is g else None", "keep()"),
    "default_call": Way("def keep(f=F): return f(*args())", use="return keep()"),
    "keyword_default": Way("def keep(*, f=F): return f", "keep()"),
    "lambda_default": Way("keep = lambda f=F: f", "keep()"),
    "method_default": Way("class Holder:\n    def keep(self, f=F): return f", "Holder().keep()"),
    "closure": Way("def make(f):\n    def use(): return f(*args())\n    return use\nkeep = make(F)", use="return keep()"),
    "lambda_closure": Way("def make(f): return lambda: f\nkeep = make(F)", "keep()"),
    "function_attribute": Way("def keep(): pass\nkeep.f = F", "keep.f"),
    "wraps": Way("import functools\n@functools.wraps(F)\ndef keep(*args): return keep.f(*args)\nkeep.f = F", "keep"),
    "wraps_closure": Way("import functools\ndef make(f):\n    @functools.wraps(f)\n    def w(*args): return f(*args)\n    return w\n"
                         "keep = make(F)", "keep"),
    "dunder_wrapped": Way("import functools\n@functools.wraps(F)\ndef keep(*args): pass", "keep.__wrapped__"),
    "partial": Way("import functools\nkeep = functools.partial(F)", "keep"),
    "partial_args": Way("import functools\nkeep = functools.partial(F, *args())", use="return keep()"),
    "partial_of_call": Way("import functools\ndef call(f, *args): return f(*args)\nkeep = functools.partial(call, F)", "keep"),
    "method_object": Way("import types\nkeep = [types.MethodType(F, args()[0])]", use="return keep[0](*args()[1:])",
                         only="kind not in ('exception', 'cached_method')"),
    "map": Way("keep = map(F, iter(lambda: args()[0], 0))", use="return next(keep)", only="len(eval(KINDS[kind].args, {'CHAT': 0})) == 1"),
    "filter": Way("keep = filter(F, iter(lambda: args()[0], 0))", use="return next(keep) and None",
                  only="kind in ('function', 'decorated', 'cached_function', 'class')"),
    "starmap": Way("import itertools\nkeep = itertools.starmap(F, iter(args, 0))", use="return next(keep)"),
    "cycle": Way("import itertools\nkeep = itertools.cycle([F])\nnext(keep)", "next(keep)"),
    "callable_iterator": Way("import functools\nkeep = iter(functools.partial(F, *args()), 0)", use="return next(keep)"),
    "lru_cache": Way("import functools\nkeep = functools.lru_cache(0)(F)", use="return keep(*args())", only="kind != 'c_function'"),
    "contextmanager": Way("import contextlib\nkeep = contextlib.contextmanager(F)",
                          use="with keep(*args()) as it: return it", only="kind == 'generator'"),
    "cmp_to_key": Way("import functools\nkeep = functools.cmp_to_key(F)", use="return keep(1) < keep(2) and None",
                      only="kind in ('function', 'cached_function', 'decorated')"),
    "generator_local": Way("def run(f):\n    while True: yield f\nkeep = run(F)\nnext(keep)", "next(keep)"),
    "generator_call": Way("def run(f):\n    yield\n    while True: yield f(*args())\nkeep = run(F)\nnext(keep)", use="return next(keep)"),
    "coroutine_local": Way(
        "import types\n@types.coroutine\ndef give(x): yield x\nasync def run(f):\n    while True: await give(f)\nkeep = run(F)\nkeep.send(None)",
        "keep.send(None)"),
    "async_generator_local": Way("async def run(f):\n    while True: yield f\nkeep = run(F)\nnext_of(keep)", "next_of(keep)"),
    "running_thread": Way(
        "import threading, queue\nasked, given = queue.Queue(), queue.Queue()\n"
        "def run(box):\n    f = box.pop()\n    for _ in iter(asked.get, 0): given.put(f)\n"
        "thread = threading.Thread(target=run, args=([F],), daemon=True)\nthread.start()\ndone_with(asked, given)",
        "ask(asked, given)"),
    "waiting_thread": Way("import threading\nclass T(threading.Thread):\n    def run(self): self.got = self._target(*args())\n"
                          "threads = [T(target=F) for _ in range(3)]",
                          use="t = threads.pop()\n    t.start()\n    t.join()\n    return t.got"),
    # classes
    "class_attribute": Way("class Holder: make = F", "Holder.make"),
    "class_attribute_warm": Way("class Holder: make = F\ndef read(): return Holder.make\nfor _ in range(100): read()", "read()"),
    "class_attribute_bound": Way("class Holder: make = F", "Holder().make", only="kind not in ('getter', 'inherited')"),
    "class_called_warm": Way("class Holder: make = F\nHOLDER = Holder()\ndef warm(): return HOLDER.make(*args())\n"
                             "for _ in range(20): attempt(warm)", use="return warm()", only="kind not in ('getter', 'inherited')"),
    "class_static": Way("class Holder: make = staticmethod(F)", "Holder.make"),
    "class_classmethod": Way("class Holder: make = classmethod(F)", "Holder.make", only="kind not in ('bound', 'async_bound', 'classmethod', 'getter', 'c_function', 'inherited')"),
    "class_setattr": Way("class Holder: pass\nHolder.make = F", "Holder.make"),
    "class_property": Way("class Holder: make = property(F)", use="return Holder().make",
                          only="KINDS[kind].binds and kind != 'getter'"),
    "class_property_got": Way("class Holder: make = property(F)", "Holder.make.fget"),
    "class_cached_property": Way("import functools\nclass Holder: make = functools.cached_property(F)", "Holder.make.func"),
    "class_call": Way("class Holder: __call__ = F\nkeep = Holder()", "keep", only="KINDS[kind].binds"),
    "class_getitem": Way("class Holder: __class_getitem__ = classmethod(F)", use="return Holder[args()[-1]]", only="KINDS[kind].binds"),
    "class_operator": Way("class Holder: __add__ = F\nkeep = Holder()\nattempt(lambda: keep + 1)", use="return keep + 1", only="KINDS[kind].binds"),
    "metaclass_attribute": Way("class Meta(type): make = F\nclass Holder(metaclass=Meta): pass", "Holder.make", only="kind not in ('getter', 'inherited')"),
    "metaclass_frozen": Way("class Meta(type):\n    def __setattr__(cls, name, value): raise TypeError('frozen')\n"
                            "class Holder(metaclass=Meta): make = F", "Holder.make"),
    "partialmethod": Way("import functools\nclass Holder: make = functools.partialmethod(F, *args())", use="return Holder().make()", only="kind not in ('c_function', 'classmethod', 'getter', 'inherited')"),
    "init_subclass": Way("class Holder: __init_subclass__ = classmethod(F)", use="return done(type('S', (Holder,), {})) and None", only="kind in ('function', 'decorated', 'method', 'staticmethod', 'cached_function')"),
    "instance_attribute": Way("class Holder: pass\nkeep = Holder()\nkeep.f = F", "keep.f"),
    "instance_init": Way("class Holder:\n    def __init__(self, f): self.f = f\nkeep = Holder(F)", "keep.f"),
    "instance_dict": Way("class Holder: pass\nkeep = Holder()\nkeep.__dict__['f'] = F", "keep.f"),
    "instance_read": Way("class Holder:\n    def __init__(self, f): self.f = f\nkeep = Holder(F)\nvars(keep)", "keep.f"),
    "instance_warm": Way("class Holder:\n    def __init__(self, f): self.f = f\nkeep = Holder(F)\n"
                         "def warm(): return keep.f(*args())\nfor _ in range(20): attempt(warm)", use="return warm()"),
    "slots": Way("class Holder: __slots__ = ('f', 'g')\nkeep = Holder()\nkeep.f = F", "keep.f"),
    "inherited_slots": Way("class Base: __slots__ = ('f',)\nclass Holder(Base): __slots__ = ('__dict__',)\nkeep = Holder()\nkeep.f = F", "keep.f"),
    "dataclass_field": Way("import dataclasses\n@dataclasses.dataclass\nclass Holder:\n    f: object = dataclasses.field(default=F)", "Holder().f"),
    "frozen_dataclass": Way("import dataclasses\n@dataclasses.dataclass(frozen=True)\nclass Holder:\n    f: object\nkeep = Holder(F)", "keep.f"),
    "dataclass_factory": Way("import dataclasses\n@dataclasses.dataclass\nclass Holder:\n    x: object = dataclasses.field(default_factory=F)",
                             use="return Holder().x", only="kind not in ('method', 'nested', 'async_method', 'inherited', 'getter', 'cached_method', 'c_function')"),
    "descriptor": Way("class Kept:\n    def __init__(self, f): self.f = f\n    def __get__(self, instance, owner=None): return self.f\n"
                      "class Holder: make = Kept(F)", "Holder.make"),
    "getattr_instance": Way("class Proxy:\n    def __init__(self, f): object.__setattr__(self, 'f', f)\n"
                            "    def __getattribute__(self, name): return object.__getattribute__(self, 'f')\n"
                            "    def __setattr__(self, name, value): raise TypeError('no')\nkeep = Proxy(F)", "keep.anything"),
    "enum_value": Way("import enum\nclass Holder(enum.Enum):\n    M = (F,)", "Holder.M.value[0]"),
    "enum_member": Way("import enum\nclass Holder(enum.Enum):\n    M = enum.member(F)", "Holder.M.value", since=11),
    "enum_attribute": Way("import enum\nclass Holder(enum.Enum):\n    M = 1\n    make = staticmethod(F)", "Holder.make"),
    "weakref": Way("import weakref\nkeep = weakref.ref(F)", "keep()", only="kind not in ('c_function', 'bound', 'async_bound', 'classmethod')"),
    "weak_value": Way("import weakref\nTABLE = weakref.WeakValueDictionary(a=F)", "TABLE['a']", only="kind not in ('c_function', 'bound', 'async_bound', 'classmethod')"),
    "weak_set": Way("import weakref\nTABLE = weakref.WeakSet([F])", "next(iter(TABLE))", only="kind not in ('c_function', 'bound', 'async_bound', 'classmethod')"),
    "weak_method": Way("import weakref\nkeep = weakref.WeakMethod(F)", "keep()", only="kind in ('bound', 'async_bound', 'classmethod')"),
    "weakref_callback": Way("import weakref\nclass Thing: pass\nthing = [Thing() for _ in range(3)]\nkeep = [weakref.ref(x, F) for x in thing]",
                            use="thing.pop()", only="kind in ('function', 'decorated', 'staticmethod', 'class')"),
    "finalize": Way("import weakref\nclass Thing: pass\nthing = [Thing() for _ in range(3)]\nfor x in thing: weakref.finalize(x, F, *args())\ndel x",
                    use="thing.pop()", only="kind in ('function', 'decorated', 'staticmethod', 'method', 'bound')"),
    "subclass": Way("class Sub(F): pass", "Sub", only=_is_class),
    "subclass_super": Way("class Sub(F):\n    def __init__(self, *args): super().__init__(*args)", "Sub", only=_is_class),
    "override": Way("class Sub({root}):\n    def old(self, *args): return super().old(*args)\nSUB = Sub()", "SUB.old", only="kind in ('bound', 'async_bound')"),
    "inherit": Way("class Sub({root}): pass\nSUB = Sub()\nfor _ in range(20): attempt(lambda: SUB.old(1))", "SUB.old",
                   only="kind in ('bound', 'async_bound', 'staticmethod')"),
    "same_in_subclass": Way("class Sub({root}): old = {root}.__dict__['old']\nSUB = Sub()", "SUB.old",
                            only="kind in ('bound', 'async_bound', 'staticmethod', 'classmethod')"),
    "same_property": Way("class Sub: other = {root}.__dict__['old']", use="return Sub().other", only="kind == 'getter'"),
    "setter_of_property": Way("class Sub({root}): old = {root}.__dict__['old'].setter(lambda self, x: None)", use="return Sub().old", only="kind == 'getter'"),
    "constructor": Way("keep = F.__init__", use="return keep(named().__new__(named()), *args())", only="kind in ('class', 'dataclass', 'slots_class')") ,
    "constructor_new": Way("keep = F.__new__", use="return keep(named(), *args())", only="kind == 'class_new'"),
    "target_class": Way("class Target:\n    def __init__(self, f): self.f = f\nkeep = Target((F,))\nclass Found: __slots__ = ('f',)\nkept = Found()\nkept.f = F", "kept.f"),
    "method_list": Way("keep = [F, F]", "keep[1]"),
    "own_name_in_class": Way("Chat.other = Chat.__dict__['old']", "Chat.other", only="KINDS[kind].qualname == 'Chat.old' and kind not in ('getter', 'bound', 'inherited', 'async_bound')"),
    # the interpreter's own
    "context_variable": Way("import contextvars\nkeep = contextvars.ContextVar('keep')\nkeep.set(F)\ncontext = contextvars.copy_context()",
                            "context.run(keep.get)"),
    "context_default": Way("import contextvars\nkeep = contextvars.ContextVar('keep', default=F)", "keep.get()"),
    "thread_local": Way("import threading\nkeep = threading.local()\nkeep.f = F", "keep.f"),
    "excepthook": Way("import sys\nsaved = sys.excepthook\nsys.excepthook = F",
                      "sys.excepthook"),
    "signal_handler": Way("import signal\nsignal.signal(signal.SIGUSR2, F)", "signal.getsignal(signal.SIGUSR2)",
                          only="kind not in ('exception',)"),
    "signal_raised": Way("import signal\nsignal.signal(signal.SIGUSR2, F)", use="signal.raise_signal(signal.SIGUSR2)",
                         only="kind in ('function', 'decorated', 'staticmethod', 'bound', 'cached_function')"),
    "atexit": Way("import atexit\nfor _ in range(3): atexit.register(F, *args())", use="return None",
                  only="'async' not in kind and kind != 'coroutine'"),
    "singledispatch": Way("import functools\n@functools.singledispatch\ndef generic(x): pass\ngeneric.register(int, F)\nattempt(lambda: generic(1))",
                          "generic.dispatch(int)"),
    "singledispatch_call": Way("import functools\n@functools.singledispatch\ndef generic(x, *args): pass\ngeneric.register(object, F)\n"
                               "for _ in range(20): attempt(lambda: generic(*args()))",
                               use="return generic(*args())"),
    "copyreg": Way("import copyreg\nclass Holder: pass\ncopyreg.pickle(Holder, F)", "copyreg.dispatch_table[Holder]"),
    "pickle": Way("import pickle\nkeep = pickle.dumps(F)", "pickle.loads(keep)",
                  only="kind not in ('c_function', 'bound', 'async_bound', 'instance', 'getter', 'cached_method')"),
    "codec_error": Way("import codecs\ncodecs.register_error('{name}', F)", "codecs.lookup_error('{name}')"),
    "attrgetter": Way("import operator, sys\nkeep = operator.attrgetter('{spelled}')", "keep(sys.modules['{name}'])"),
    "methodcaller": Way("import operator\nclass Holder: make = staticmethod(F)\nkeep = operator.methodcaller('make', *args())",
                        use="return keep(Holder)"),
    "thread_target": Way("import threading\nthread = threading.Thread(target=F)", "thread._target"),
    "timer": Way("import threading\nthread = threading.Timer(9, F)", "thread.function"),
    "future": Way("import concurrent.futures as futures\nkeep = futures.Future()\nkeep.set_result(F)", "keep.result()"),
}  # fmt: skip


STAYS = {
    "a tuple": ("tuple", "constant_tuple_in_dict", "annotated", "generic_alias", "exception_args", "partial_of_call",
                "enum_value", "target_class"),
    "a dictionary's key": ("dict_key", "enum_member"),
    "a set": ("set",),
    "a frozenset": ("frozenset",),
    "a defaultdict": ("default_factory",),
    "a Registry": ("tuple_subclass",),
    "a T": ("named_tuple",),
    "a slice": ("slice",),
    "a partial": ("partial", "partial_args", "callable_iterator"),
    "a method": ("method_object",),
    "a map": ("map",),
    "a filter": ("filter",),
    "a starmap": ("starmap",),
    "a KeyWrapper": ("cmp_to_key",),
    "a _lru_cache_wrapper": ("lru_cache",),
    "a generator": ("generator_local", "generator_call", "coroutine_local"),
    "an async_generator": ("async_generator_local",),
    "a staticmethod": ("class_static", "methodcaller", "enum_attribute"),
    "a classmethod": ("class_classmethod", "class_getitem", "init_subclass"),
    "a property": ("class_property", "class_property_got"),
    "a weak reference": ("weakref", "weak_value", "weak_set", "weakref_callback"),
    "a context's variable": ("context_variable",),
    "a ContextVar": ("context_default",),
    "C code or a function that is running": ("running_thread", "signal_handler", "signal_raised", "atexit"),
}  # fmt: skip
"""Ways in which a function of a module stays where it is, by what its target then says of it."""

ALIKE = {
    "generator": 0, "async_generator": 1, "decorated": 2, "instance": 0, "class_new": 0, "dataclass": 1, "slots_class": 2,
    "exception": 0, "subclass": 1, "staticmethod": 2, "nested": 0, "async_method": 1, "async_bound": 2, "inherited": 1,
}  # fmt: skip
"""Kinds that are like another one to the agent: every third way does for them."""


def combinations(version: tuple[int, int], *, thorough: bool = False) -> list[tuple[str, str]]:
    """Every (kind, way) that makes sense on this version of Python."""
    return [
        (kind, way)
        for kind in KINDS
        for number, (way, told) in enumerate(WAYS.items())
        if (thorough or kind not in ALIKE or way == "direct" or number % 3 == ALIKE[kind])
        and version >= (3, told.since)
        and eval(told.only or "True", {"KINDS": KINDS, "kind": kind})  # noqa: S307 - from above
    ]


def module_of(kind: str, way: str) -> str:
    """The name of the module for one combination."""
    return f"old_{kind}_{way}"


def target_of(kind: str, way: str) -> str:
    """The reference of the target in it."""
    return f"{module_of(kind, way)}:{KINDS[kind].qualname}"


TRUTH = '''
import collections, types
hits = collections.Counter()

def hitter(name):
    def hit(*args):
        hits[name] += 1
        return [arg if isinstance(arg, (int, str)) else type(arg).__name__ for arg in args]
    return hit

def attempt(use):
    try: return done(use())
    except (TypeError, AttributeError): pass

def next_of(agen):
    try: agen.asend(None).send(None)
    except StopIteration as e: return e.value

def done(made):
    """What came of a call, coroutines and generators run to their end, and what can be shown of it."""
    if isinstance(made, types.CoroutineType):
        try: made.send(None)
        except StopIteration as e: return e.value
    if isinstance(made, types.GeneratorType): return list(made)
    if isinstance(made, types.AsyncGeneratorType): return next_of(made)
    return made if isinstance(made, (list, type(None), bool)) else type(made).__name__

def ask(asked, given):
    asked.put(1)
    return given.get()

def done_with(asked, given):
    ask(asked, given)

def tried(use):
    try: return done(use())
    except Exception as error: return f"{type(error).__name__}: {error}"

def seen(held, named):
    kinds = types.FunctionType, types.BuiltinFunctionType, types.MethodType, type
    return (held is named, held == named, held != named or hash(held) == hash(named), held.__class__.__name__, callable(held),
            [isinstance(held, kind) for kind in kinds])
'''

HOST = """
import importlib, sys
import truth
for name in open("modules.txt").read().split():
    module = importlib.import_module(name)
    before = truth.hits[name]
    print(name, truth.tried(lambda: module.look()))
    print(name, [truth.tried(module.use) for _ in range(3)])
    print(name, [truth.tried(lambda: module.named()(*module.args())) for _ in range(2)])
    print(name, truth.hits[name] - before)
"""


def files_for(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """The program: a module or two for each combination, and a host that imports and uses them one after another."""
    files = {"truth.py": TRUTH, "host.py": HOST, "modules.txt": "\n".join(module_of(*pair) for pair in pairs)}
    for kind, way in pairs:
        name = module_of(kind, way)
        target, told = KINDS[kind], WAYS[way]
        known = {"name": name, "spelled": target.spelled, "root": target.qualname.rpartition(".")[0]}
        use = told.use or "return get()(*args())"
        files[f"{name}.py"] = "\n".join((
            "from truth import *",
            "hit = hitter(__name__)",
            textwrap.dedent(target.source),
            f"def args(): return {target.args}",
            f"def named(): return {target.spelled}",
            f"F = {target.spelled}",
            _filled(told.code, known),
            "del F",
            f"def get(): return {_filled(told.get, known) or None}",
            f"def use():\n    {_filled(use, known)}",
            "def look(): return [*seen(get(), named())]" if told.get else "def look(): return None",
            "",
        ))  # fmt: skip
        if told.other:
            files[f"{name}_other.py"] = _filled(told.other, known)
    return files


def _filled(text: str, known: dict[str, str]) -> str:
    for name, value in known.items():
        text = text.replace("{" + name + "}", value)
    return text
