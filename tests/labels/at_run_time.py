"""Labels a library's deprecated callables from what the library itself does when it runs.

    python at_run_time.py LIBRARY > LIBRARY.runtime.json

Run by an interpreter that has the library installed. Nothing here reads source or knows of the detector:

* decorated: the library's deprecating decorators are replaced, as their module appears, by ones that note
  what they are applied to; or the callable carries `__deprecated__`.
* warning: every function whose compiled code refers to some name with `warn` or `deprec` in it is called
  with stand-in arguments, once with None and once with mocks, and `warnings.warn` notes who called it. One
  that warned of a deprecation both times is labelled `always`, one that did once `sometimes`.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.abc
import inspect
import json
import os
import pkgutil
import re
import signal
import sys
import types
import warnings
from unittest import mock

# module: {function: (what it is, where the decorated object is: "result" of the call, or argument number)}
DECORATORS = {
    "sqlalchemy.util.deprecations": {
        "_decorate_with_warning": ("callable", 0),
        "_decorate_cls_with_warning": ("callable", 0),
        "deprecated_params": ("parameter", "result"),
    },
    "matplotlib._api.deprecation": {
        "deprecated": ("callable", "result"),
        "delete_parameter": ("parameter", "result"),
        "rename_parameter": ("parameter", "result"),
        "make_keyword_only": ("parameter", "result"),
    },
    "sklearn.utils.deprecation": {"deprecated.__call__": ("callable", 1)},
    "astropy.utils.decorators": {
        "deprecated": ("callable", "result"),
        "deprecated_attribute": ("alias", "result"),
        "deprecated_renamed_argument": ("parameter", "result"),
    },
    "scipy._lib.deprecation": {"_deprecated": ("callable", "result")},
    "pandas.util._decorators": {
        "deprecate_kwarg": ("parameter", "result"),
        "deprecate_nonkeyword_arguments": ("parameter", "result"),
        "deprecate": ("alias", 1),
    },
    "dask.utils": {"_deprecated": ("callable", "result")},
    "sympy.utilities.decorator": {"deprecated": ("callable", "result")},
    "twisted.python.deprecate": {
        "deprecated": ("callable", "result"),
        "deprecatedProperty": ("callable", "result"),
        "deprecatedKeywordParameter": ("parameter", "result"),
    },
    "skimage._shared.utils": {
        "deprecate_func.__call__": ("callable", 1),
        "deprecate_kwarg.__call__": ("parameter", 1),
    },
    "statsmodels.compat.pandas": {"deprecate_kwarg": ("parameter", "result")},
    "nltk.internals": {"deprecated": ("callable", "result")},
    "numpy.lib.utils": {"_Deprecate.__call__": ("callable", 1)},
    "xarray.util.deprecation_helpers": {"_deprecate_positional_args": ("parameter", "result")},
}
SKIP = re.compile(r"\.tests?(\.|$)|__main__|conftest|\.contrib\.gis|pytest|sphinxext")
found: dict[tuple[str, str], dict] = {}


def note(obj, what, how):
    if isinstance(obj, (property, functools.cached_property)):
        obj = getattr(obj, "fget", None) or getattr(obj, "func", None)
    if isinstance(obj, (classmethod, staticmethod)):
        obj = obj.__func__
    code = getattr(inspect.unwrap(obj), "__code__", None) if callable(obj) else None
    module, qualname = getattr(obj, "__module__", None), getattr(obj, "__qualname__", None)
    if not module or not qualname or "<locals>" in qualname or "<lambda>" in qualname:
        return
    line = code.co_firstlineno if code else None
    found.setdefault(
        (module, qualname), {"module": module, "qualname": qualname, "what": what, "how": how, "line": line}
    )


def noting(original, what, where):
    @functools.wraps(original)
    def replaced(*args, **kwargs):
        if where != "result":
            note(args[where], what, "decorator")
            return original(*args, **kwargs)
        given = inspect.signature(original).bind(*args, **kwargs).arguments.get("func")
        if given is not None:  # a decorator that calls itself again by functools.partial
            note(given, what, "decorator")
            return original(*args, **kwargs)
        decorate = original(*args, **kwargs)

        def decorator(obj, *more, **named):
            note(obj, what, "decorator")
            return decorate(obj, *more, **named)

        return decorator

    return replaced


class Watcher(importlib.abc.MetaPathFinder):
    """Replaces the decorators of DECORATORS as soon as their module has run."""

    def find_spec(self, name, path, target=None):
        if name not in DECORATORS:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None:
                original = spec.loader.exec_module

                def exec_module(module):
                    original(module)
                    for function, (what, where) in DECORATORS[name].items():
                        *owners, last = function.split(".")
                        owner = functools.reduce(getattr, owners, module)
                        setattr(owner, last, noting(getattr(owner, last), what, where))

                spec.loader.exec_module = exec_module
                return spec
        return None


def import_all(library):
    package = importlib.import_module(library)
    modules = [package]
    for info in pkgutil.walk_packages(package.__path__, library + ".", onerror=lambda name: None):
        if SKIP.search(info.name):
            continue
        try:
            modules.append(importlib.import_module(info.name))
        except BaseException:
            continue
    return modules


def belongs(value, library):
    return str(value.__module__).split(".")[0] == library


def functions_of(modules, library):
    """(function, owner class or None, how it is bound) of everything defined in the library."""
    seen = set()
    for module in modules:
        for value in list(vars(module).values()):
            if isinstance(value, type) and belongs(value, library) and value not in seen:
                seen.add(value)
                yield value, None
                for member in list(vars(value).values()):
                    yield member, value
            elif isinstance(value, types.FunctionType) and belongs(value, library):
                if value not in seen:
                    seen.add(value)
                    yield value, None


def plain(member):
    if isinstance(member, (classmethod, staticmethod)):
        return member.__func__
    if isinstance(member, property):
        return member.fget
    return member


def refers_to_warnings(code):
    if any(re.search("warn|deprec", name, re.IGNORECASE) for name in code.co_names):
        return True
    return any(refers_to_warnings(item) for item in code.co_consts if isinstance(item, types.CodeType))


class TooLong(BaseException):
    pass


def noting_warnings_of(function, given):
    """In place of `warnings.warn`: takes the messages about a deprecation that come from the function's own code."""

    def warn(message, category=None, *args, **kwargs):
        frame = sys._getframe(1)
        while frame is not None and frame.f_code is not function.__code__:
            place = frame.f_code.co_name + frame.f_code.co_filename.rpartition("/")[2]
            if not re.search("warn|deprec", place, re.IGNORECASE):
                return
            frame = frame.f_back
        kind = type(message) if isinstance(message, Warning) else category or UserWarning
        if issubclass(kind, (DeprecationWarning, PendingDeprecationWarning, FutureWarning)) or (
            re.search("Deprec|RemovedIn", " ".join(item.__name__ for item in kind.__mro__))
            or re.search("deprecated", str(message), re.IGNORECASE)
        ):
            given.append(str(message))

    return warn


def required_arguments(function, make):
    """(positional, by keyword): what has to be passed, each made by `make`; `self` is a mock."""
    arguments, keywords = [], {}
    parameters = inspect.signature(function).parameters
    for parameter in parameters.values():
        if parameter.default is not parameter.empty or parameter.kind in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        ):
            continue
        if parameter.kind == parameter.KEYWORD_ONLY:
            keywords[parameter.name] = make()
        else:
            arguments.append(make())
    if arguments and next(iter(parameters)) in ("self", "cls"):
        arguments[0] = mock.MagicMock()
    return arguments, keywords


@contextlib.contextmanager
def one_second():
    def stop(*_):
        raise TooLong

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 1.0)
    try:
        yield
    except BaseException:  # nonsense was passed
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def call(function, make):
    """The deprecation warnings that one call gives from the function's own code: a list of messages."""
    given = []
    warn = noting_warnings_of(function, given)
    arguments, keywords = required_arguments(function, make)
    with one_second(), mock.patch("warnings.warn", warn), mock.patch("warnings.warn_explicit", warn):
        result = function(*arguments, **keywords)
        if inspect.isgenerator(result):
            next(result, None)
        if inspect.iscoroutine(result):
            result.send(None)
    return given


def set_up_django():
    from django.conf import settings

    applications = "contenttypes auth admin sessions messages sites flatpages redirects".split()
    settings.configure(
        INSTALLED_APPS=["django.contrib." + name for name in applications], SECRET_KEY="x", STATIC_URL="/s/"
    )
    import django

    django.setup()


def to_call(member, library):
    """The function behind a member, if it is the library's own, may warn, and has no label yet."""
    function = plain(member)
    if not isinstance(function, types.FunctionType):
        return None
    function = inspect.unwrap(function)
    if not isinstance(function, types.FunctionType):
        return None
    if not belongs(function, library) or not refers_to_warnings(function.__code__):
        return None
    if (function.__module__, function.__qualname__) in found or "<locals>" in function.__qualname__:
        return None
    return function


def label_all(modules, library):
    """Note what is marked, and what warns when it is called. How many functions were called."""
    called = 0
    for member, owner in functions_of(modules, library):
        if isinstance(plain(member), (type, types.FunctionType)) and "__deprecated__" in vars(plain(member)):
            # A decorated class gets wrapped hooks of its own; they are no targets.
            if not (owner and "__deprecated__" in vars(owner)):
                note(member, "callable", "__deprecated__")
        function = to_call(member, library)
        if function is None:
            continue
        called += 1
        try:
            times = [bool(call(function, lambda: None)), bool(call(function, mock.MagicMock))]
        except ValueError:
            continue
        if any(times):
            note(function, "callable", "always" if all(times) else "sometimes")
    return called


def main(library):
    warnings.simplefilter("ignore")
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the library prints when it is called with nonsense
    sys.meta_path.insert(0, Watcher())
    if library == "django":
        set_up_django()
    modules = import_all(library)
    called = label_all(modules, library)
    metadata = importlib.import_module("importlib.metadata")
    version = metadata.version(metadata.packages_distributions()[library][0])
    json.dump(
        {
            "library": library,
            "version": version,
            "modules": len(modules),
            "called": called,
            "labels": sorted(
                (item for item in found.values() if item["module"].split(".")[0] == library),
                key=lambda item: (item["module"], item["qualname"]),
            ),
        },
        out,
        indent=1,
    )
    out.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
