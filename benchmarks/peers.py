"""What is called in the hot-path benchmark, and every way of watching it: ours, the floor, and the peers'.

Each contender gets a module of its own with the same callables, so that none of them runs through another.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


PLAIN = """\
def function(value=1):
    return value


async def coroutine(value=1):
    return value


class Thing:
    def __init__(self, value=1):
        self.value = value

    def method(self):
        return self.value
"""

_WATCHED = PLAIN[PLAIN.index("class Thing") :].replace("Thing", "Watched")
"""The class whose method is watched is not the one whose construction is: no row pays for both."""

WARNING = """\
import warnings


def function(value=1):
    warnings.warn("function() is deprecated", DeprecationWarning, stacklevel=2)
    return value


async def coroutine(value=1):
    warnings.warn("coroutine() is deprecated", DeprecationWarning, stacklevel=2)
    return value


class Thing:
    def __init__(self, value=1):
        warnings.warn("Thing() is deprecated", DeprecationWarning, stacklevel=2)
        self.value = value


class Watched:
    def __init__(self):
        self.value = 1

    def method(self):
        warnings.warn("method() is deprecated", DeprecationWarning, stacklevel=2)
        return self.value
"""

DECORATED = """\
{imports}


@{decorator}
def function(value=1):
    return value


@{decorator}
async def coroutine(value=1):
    return value


@{decorator}
class Thing:
    def __init__(self, value=1):
        self.value = value


class Watched:
    def __init__(self):
        self.value = 1

    @{decorator}
    def method(self):
        return self.value
"""

PEP_702 = DECORATED.format(
    imports="from typing_extensions import deprecated", decorator='deprecated("use another")'
)
DEPRECATED = DECORATED.format(
    imports="from deprecated import deprecated", decorator='deprecated(reason="use another")'
)
PYDEPRECATE = """\
from deprecate import deprecated


def new_function(value=1):
    return value


@deprecated(target=new_function, deprecated_in="1", remove_in="2", num_warns=-1)
def function(value=1):
    pass
"""


def write(folder: Path) -> None:
    """Write every contender's module into `folder`, which the caller puts on the path."""
    sources = {"warning": WARNING, "pep702": PEP_702, "deprecated": DEPRECATED, "pydeprecate": PYDEPRECATE}
    ours = ("bare", "noop", "lastcall", "floor", "mapped")
    for name in (*ours, "span", "spanstack", "sentry", "scavenger", "monitoring"):
        sources[name] = f"{PLAIN}\n\n{_WATCHED}"
    for name, source in sources.items():
        (folder / f"subject_{name}.py").write_text(source)


def _each(module: types.ModuleType, watch: Callable[[Callable[..., object]], object]) -> None:
    """Replace the four callables by what `watch` makes of them."""
    module.function = watch(module.function)
    module.coroutine = watch(module.coroutine)
    module.Thing.__init__ = watch(module.Thing.__init__)
    module.Watched.method = watch(module.Watched.method)


def noop(module: types.ModuleType) -> None:
    """The floor of every wrapping agent: a wrapt wrapper function that does nothing."""
    import wrapt

    def wrapper(wrapped, instance, args, kwargs):
        return wrapped(*args, **kwargs)

    _each(module, lambda original: wrapt.FunctionWrapper(original, wrapper))


def floor(module: types.ModuleType) -> None:
    """The least that counting by call site through wrapt can cost: its `enabled=` hook, and a counter in memory."""
    from itertools import count

    import wrapt

    def watch(original):
        counts: dict[int, Callable[[], int]] = {}

        def hook():
            frame = sys._getframe(1)
            try:
                counts[id(frame.f_code) + frame.f_lasti]()
            except KeyError:
                counts.setdefault(id(frame.f_code) + frame.f_lasti, count().__next__)()

        return wrapt.FunctionWrapper(original, lambda wrapped, _i, args, kwargs: wrapped(*args, **kwargs), enabled=hook)

    _each(module, watch)


def mapped(module: types.ModuleType) -> None:
    """The same with a counter that outlives a killed process: what the hook draws goes to mapped memory."""
    import mmap
    from itertools import count

    import wrapt

    table = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("Q")
    slots = count(1)

    def watch(original):
        counts: dict[int, tuple[int, Callable[[], int]]] = {}

        def hook():
            frame = sys._getframe(1)
            try:
                slot, draw = counts[id(frame.f_code) + frame.f_lasti]
                table[slot] = draw()
            except KeyError:
                counts[id(frame.f_code) + frame.f_lasti] = next(slots), count(1).__next__

        return wrapt.FunctionWrapper(original, lambda wrapped, _i, args, kwargs: wrapped(*args, **kwargs), enabled=hook)

    _each(module, watch)


def span(module: types.ModuleType, *, stack: bool = False) -> None:
    """An OpenTelemetry span around each call, by a provider that samples all and exports nothing."""
    import functools
    import inspect
    import traceback

    from opentelemetry.sdk.trace import TracerProvider

    tracer = TracerProvider().get_tracer("benchmark")

    def watch(original):
        def attributes():
            return {"code.stacktrace": "".join(traceback.format_stack())} if stack else None

        if inspect.iscoroutinefunction(original):

            @functools.wraps(original)
            async def wrapper(*args, **kwargs):
                with tracer.start_as_current_span(original.__qualname__, attributes=attributes()):
                    return await original(*args, **kwargs)
        else:

            @functools.wraps(original)
            def wrapper(*args, **kwargs):
                with tracer.start_as_current_span(original.__qualname__, attributes=attributes()):
                    return original(*args, **kwargs)

        return wrapper

    _each(module, watch)


def sentry(module: types.ModuleType) -> None:
    """sentry-sdk's `functions_to_trace`, inside a transaction, with a transport that drops everything."""
    import sentry_sdk

    name = module.__name__
    wanted = [f"{name}.function", f"{name}.coroutine", f"{name}.Watched.method", f"{name}.Thing.__init__"]
    sentry_sdk.init(
        dsn="http://key@127.0.0.1:9/1",
        transport=lambda _event: None,
        traces_sample_rate=1.0,
        default_integrations=False,
        functions_to_trace=[{"qualified_name": one} for one in wanted],
    )
    # Its spans need a transaction around them, which a request would have brought.
    sentry_sdk.start_transaction(name="benchmark").__enter__()


def scavenger(module: types.ModuleType) -> None:
    """The patch of scavenger-agent-python, which counts nothing but remembers what was called."""
    spec = importlib.util.find_spec("scavenger")
    if spec is None:
        raise ImportError("scavenger-agent-python is not installed")
    # Its __init__ wants what cannot be installed beside a current OpenTelemetry; the patch does not.
    package = types.ModuleType("scavenger")
    package.__path__ = list(spec.submodule_search_locations or [])
    sys.modules["scavenger"] = package
    from scavenger.internal.invocation_registry import InvocationRegistry
    from scavenger.internal.patch import ScavengerSourceFileLoader

    registry = InvocationRegistry()
    _each(
        module,
        lambda original: ScavengerSourceFileLoader.patch(original, f"{original.__qualname__}()", registry),
    )


def monitoring(module: types.ModuleType) -> None:
    """sys.monitoring's PY_START on the callables' code objects, with a callback that counts by caller."""
    if not hasattr(sys, "monitoring"):
        raise ImportError("sys.monitoring needs Python 3.12")
    from itertools import count

    counts: dict[int, Callable[[], int]] = {}

    def started(_code, _offset):
        caller = sys._getframe(2)
        key = id(caller.f_code) + caller.f_lasti
        try:
            counts[key]()
        except KeyError:
            counts.setdefault(key, count().__next__)()

    tool, events = 4, sys.monitoring.events
    sys.monitoring.use_tool_id(tool, "benchmark")
    sys.monitoring.register_callback(tool, events.PY_START, started)
    for one in (module.function, module.coroutine, module.Thing.__init__, module.Watched.method):
        sys.monitoring.set_local_events(tool, one.__code__, events.PY_START)


def _as_it_is(_module: types.ModuleType) -> None:
    """For those whose source says it all, and for Lastcall, which the environment switched on."""


# name of the module, what the table calls it, how its callables come to be watched
CONTENDERS: tuple[tuple[str, str, Callable[[types.ModuleType], None]], ...] = (
    ("bare", "plain call", _as_it_is),
    ("noop", "wrapt wrapper that does nothing", noop),
    ("lastcall", "Lastcall", _as_it_is),
    ("floor", "wrapt's hook, counting in memory by caller: the floor", floor),
    ("mapped", "the same, counting in mapped memory", mapped),
    ("monitoring", "sys.monitoring, counting by caller", monitoring),
    ("warning", "warnings.warn", _as_it_is),
    ("pep702", "typing_extensions.deprecated", _as_it_is),
    ("deprecated", "Deprecated", _as_it_is),
    ("pydeprecate", "pyDeprecate", _as_it_is),
    ("scavenger", "scavenger-agent-python", scavenger),
    ("sentry", "sentry-sdk functions_to_trace", sentry),
    ("span", "OpenTelemetry span", span),
    ("spanstack", "OpenTelemetry span with stack", lambda module: span(module, stack=True)),
)
TARGETS = (
    "subject_lastcall:function", "subject_lastcall:coroutine",
    "subject_lastcall:Thing", "subject_lastcall:Watched.method",
)  # fmt: skip


def load(name: str, watch: Callable[[types.ModuleType], None]) -> types.ModuleType | None:
    """The contender's module, watched; None, with the reason on stderr, if it cannot run here."""
    try:
        module = importlib.import_module(f"subject_{name}")
        watch(module)
    except ImportError as reason:
        print(f"not compared: {name}: {reason}", file=sys.stderr)
        return None
    return module
