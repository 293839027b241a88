"""Learning that a module's code has run, without being on the stack while it runs.

Our finder stands first in `sys.meta_path`. For a module that somebody wants to hear of it has the other
finders find the spec, and turns that spec into one whose `_initializing` attribute tells when importlib
sets it to False: after the module's code, before the import statement goes on. The loader stays the
host's, no frame of ours lies under the module's code (an import-time `warnings.warn(stacklevel=2)` blames
the right line), and by the time anybody can use the module the spec is an ordinary one again.

While it is True, import statements that find the module in `sys.modules` read it, from C: so we hear of circular
imports. `importlib.reload` sets no such attribute; there, reading the spec's `name` for the second time is the sign.

Who puts a finder before ours (pytest's rewriting of assertions, a fake file system) would keep the modules from us that
this one finds. The order stays as the host made it, since `sys.meta_path.pop(0)` is how many take theirs away again: we
listen one step further on, where importlib has a spec and calls what loads it.
"""

from __future__ import annotations

import os
import sys
from _thread import get_ident
from posix import getpid  # not from `os`: what a test of the host's puts in its place is not for us

from .errors import getframe
from .words import NOT_BY_WILDCARD, OWN_PACKAGES

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType, ModuleType
    from typing import Any

    from .callsite import Pattern
    from .circular import Circle
    from .errors import InternalErrors
    from .targets import Target

_spec_classes: dict[type, type] = {}


LAZY = "importlib.util"
"""The module whose loader makes lazy modules: see `lazy_modules`."""


class Wanted:
    """Which modules matter: by name, or under a wildcard's first segment."""

    def __init__(
        self, targets: Iterable[Target], unmade: Iterable[str] = (), make: Callable[[], list[Target]] = list
    ) -> None:
        """`make()` gives all targets, those of the modules `unmade` among them. Called when somebody asks for them."""
        self._exact: dict[str, list[Target]] = {}
        self._unmade = set(unmade)
        self._make = make
        self.wild: dict[str, list[tuple[Pattern, Target]]] = {}
        self.packages: list[Pattern] = []
        self.callbacks: dict[str, Callable[[ModuleType], None]] = {}
        self.names: set[str] = set(self._unmade)
        """Modules wanted by name. With `open` false, nothing else is."""
        self.open = False
        self.apart = ""
        """A module that is wanted, and not looked for among those that are loaded."""
        self.gone: set[str] = set()
        """Modules of removed targets, and their packages: an import that finds none of these is of interest."""
        for target in targets:
            self.add(target)

    def also(self, packages: list[Pattern]) -> None:
        """Want every module of these packages, whatever is in it."""
        self.packages.extend(packages)
        self.open = True

    def also_exactly(self, name: str, callback: Callable[[ModuleType], None]) -> None:
        """Want one module, and hand it to `callback` when it has run."""
        self.callbacks[name] = callback
        self.names.add(name)

    def add(self, target: Target) -> None:
        """Want the modules of one more target."""
        if not target.wild:
            self._exact.setdefault(target.module, []).append(target)
            self.names.add(target.module)
            if target.removed:
                self._miss(target.module)
            return
        from .callsite import Pattern

        root = target.module.partition(".")[0]
        root = "" if "*" in root or "?" in root else root
        self.wild.setdefault(root, []).append((Pattern(target.module), target))
        self.open = True

    @property
    def exact(self) -> dict[str, list[Target]]:
        """The targets by their module, wildcards apart. First asked for where the agent is made, by one thread."""
        if self._unmade:
            for target in self._make():
                if not target.wild and target not in self._exact.setdefault(target.module, []):
                    self._exact[target.module].append(target)
            self._unmade = set()
        return self._exact

    def _miss(self, name: str) -> None:
        while name:
            self.gone.add(name)
            self.names.add(name)
            name = name.rpartition(".")[0]

    def removed_in(self, name: str) -> list[Target]:
        """The removed targets that lie in the module `name` or below it."""
        return [t for ts in self.exact.values() for t in ts if t.removed and (t.module + ".").startswith(name + ".")]

    def __call__(self, name: str) -> bool:
        """Whether anybody wants the module `name`. Asked at every import of the host."""
        if name in self._exact or name in self._unmade or name in self.callbacks:
            return name != self.apart
        if name.partition(".")[0] in OWN_PACKAGES:
            return False
        if self.packages and any(pattern.matches(name) for pattern in self.packages):
            return True
        wild = self.wild
        return bool(wild) and (name.partition(".")[0] in wild or "" in wild) and bool(self.wildcards(name))

    def any_of(self, names: list[str]) -> bool:
        """Whether anybody wants one of these modules. Of thousands, mostly one look at all of them."""
        if not self.open and self.names.isdisjoint(names):
            return False
        return any(self(name) for name in names)

    def wildcards(self, name: str) -> list[Target]:
        """The wildcard targets that cover the module `name`."""
        if name.partition(".")[0] in NOT_BY_WILDCARD:
            return []
        candidates = self.wild.get(name.partition(".")[0], []) + self.wild.get("", [])
        return [target for pattern, target in candidates if pattern.matches(name)]


class Finder:
    """A meta path finder that finds nothing itself, and reports each wanted module as soon as it has run.

    `wants(name)` must be cheap and must not import. `loaded(module)` is called in the importing thread, and so is
    `missed(name)` when no finder has a module in which removed targets lay; and `imported_unfinished` when a module
    whose code still runs is imported once more, with what that returned for the module before and the frame that asks.
    """

    def __init__(
        self,
        wants: Wanted,
        loaded: Callable[[ModuleType], None],
        errors: InternalErrors,
        missed: Callable[[str], None] = lambda _name: None,
        imported_unfinished: Callable[
            [ModuleType, str, Circle | None, FrameType], Circle | None
        ] = lambda _module, _name, circle, _frame: circle,
    ) -> None:
        self.wants = wants
        self.imported_unfinished = imported_unfinished
        self.loaded = loaded
        self.missed = missed
        self.errors = errors
        self.tracer: Tracer | None = None
        """What traces the program's script until its targets have their names."""
        self.overhears = False
        """Whether it learns of modules that are found before it is asked."""

    def is_awaited(self, target: Target) -> bool:
        """Whether the program's script is watched for this target, which is then armed in its thread."""
        return self.tracer is not None and self.tracer.awaits(target)

    def install(self) -> None:
        """Stand first in `sys.meta_path`."""
        sys.meta_path.insert(0, self)
        if LAZY in sys.modules:
            self._watch_lazy_modules()

    def remove(self) -> None:
        """Leave `sys.meta_path`."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        self.overhears = False
        for name in _CALLERS:
            ear = vars(_bootstrap()).get(name)
            if type(ear) is _Ear and ear.finder is self:
                setattr(_bootstrap(), name, ear.original)

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> Any:
        """None for modules nobody wants; else what the other finders say, with our ear to it."""
        wants = self.wants
        tracer = self.tracer
        if (
            name not in wants.names
            and name != LAZY
            and not wants.open
            and tracer is None
            and (self.overhears or sys.meta_path[0] is self)
        ):
            return None  # every import of the host comes by here
        try:
            if not self.overhears and sys.meta_path[0] is not self:
                self._overhear()
            wanted = self.wants(name) or name == LAZY
            if not (wanted or tracer or name in self.wants.gone) or not _is_import(getframe(1)):
                return None
        except Exception as error:  # noqa: BLE001 - the seam between our wishes and the host's import
            self.errors.record("import-hook", error)
            return None
        spec = self._find(name, path, target)
        if spec is None and name in self.wants.gone:
            with self.errors.guard_in_host("import-hook"):
                self.missed(name)
        if spec is not None and spec.loader is not None:
            with self.errors.guard_in_host("import-hook"):
                self._hear_of(spec, wanted=wanted, reloading=target is not None)
        return spec

    def _hear_of(self, spec: Any, *, wanted: bool, reloading: bool) -> None:
        tracer = self.tracer
        if tracer is not None and not reloading and tracer.pause():
            if not self._listen(spec, _Resumption(self if wanted else None, tracer), reloading=False):
                tracer.resume()
        elif wanted:
            self._listen(spec, self, reloading=reloading)

    def _watch_lazy_modules(self) -> None:
        from . import lazy_modules

        lazy_modules.watch(self, sys.modules[LAZY])

    def _overhear(self) -> None:
        bootstrap = _bootstrap()
        caller = getattr(getattr(bootstrap, "_find_and_load_unlocked", None), "__code__", None)
        if caller is None or "spec" not in caller.co_varnames or "_load_unlocked" not in caller.co_names:
            # An importlib that we do not know. Moving forward while it iterates over the list skips nobody: all that
            # it has not asked yet stays behind.
            if self in sys.meta_path:
                sys.meta_path.remove(self)
                sys.meta_path.insert(0, self)
            return
        for name, caller_name in _CALLERS.items():
            original = getattr(bootstrap, name)
            if type(original) is not _Ear:
                setattr(bootstrap, name, _Ear(self, original, caller_name))
        self.overhears = True

    def overheard(self, frame: FrameType) -> None:
        """Look at what importlib's `frame` is about to load. Raises nothing of ours."""
        with self.errors.guard_in_host("import-hook"):
            names = frame.f_locals
            name, spec = names.get("name"), names.get("spec")
            wanted = name is not None and (self.wants(name) or name == LAZY)
            if not (wanted or self.tracer) or getattr(spec, "loader", None) is None:
                return
            if "_lastcall_finder" not in vars(spec):  # it is there where this finder has been asked
                self._hear_of(spec, wanted=wanted, reloading=frame.f_code.co_name == "reload")

    def _find(self, name: str, path: Any, target: ModuleType | None) -> Any:
        finders = list(sys.meta_path)
        if self in finders:  # those before us have been asked, and know nothing of it
            finders = finders[finders.index(self) + 1 :]
        for finder in finders:
            find_spec = getattr(finder, "find_spec", None)
            if find_spec is not None:
                spec = find_spec(name, path, target)
                if spec is not None:
                    return spec
        return None

    def _listen(self, spec: Any, listener: Finder | _Resumption, *, reloading: bool) -> bool:
        """Have `listener` told when the module has run. False if that is long after its import."""
        cls = type(spec)
        lazy_loader = getattr(sys.modules.get(LAZY), "LazyLoader", None)
        if lazy_loader is not None and isinstance(spec.loader, lazy_loader):
            return False  # its code runs at the first look at it: `lazy_modules` hears of that
        if cls not in _spec_classes:
            _spec_classes[cls] = _telling_spec(cls)
        spec.__dict__["_lastcall_finder"] = listener
        spec.__dict__["_lastcall_reads"] = 0 if reloading else -1
        spec.__class__ = _spec_classes[cls]
        return True

    def hear_of_circle(self, spec: Any, frame: FrameType) -> None:
        """The code of `spec`'s module has yet to end, and `frame` in the same thread asks: an import of it, mostly."""
        with self.errors.guard_in_host("import-hook"):
            names = spec.__dict__
            module = sys.modules.get(names["name"])
            if not isinstance(module, type(sys)) or frame.f_globals is vars(module):
                return
            if vars(module).get("__spec__") is not spec:
                return
            names["_lastcall_circle"] = self.imported_unfinished(
                module, names["name"], names.get("_lastcall_circle"), frame
            )

    def end_circle(self, circle: Circle) -> None:
        """The code of the module that is watched so has ended."""
        with self.errors.guard_in_host("import-hook"):
            circle.end()

    def report(self, module: ModuleType | None) -> None:
        """Tell whoever wanted `module` that its code has run. Raises nothing of ours."""
        if module is None:
            return
        try:
            if module is sys.modules.get(LAZY):
                self._watch_lazy_modules()
                if not self.wants(LAZY):
                    return
            self.loaded(module)
        except Exception as error:  # noqa: BLE001 - the seam between arming and the host's import
            self.errors.record("arming", error)


class _Ear:
    """Stands for a function of importlib's that is called by its name with a spec, and looks at the spec first.

    To call it Python asks its type for `__call__`, which is a property here: that looks, and gives Python the function
    to call. So there is no frame of ours while the module's code runs.
    """

    __slots__ = ("_caller", "finder", "original")

    def __init__(self, finder: Finder, original: Any, caller: str) -> None:
        self.finder = finder
        self.original = original
        self._caller = caller

    @property
    def __call__(self) -> Any:
        frame = getframe(1)
        if frame.f_code.co_name == self._caller:
            self.finder.overheard(frame)
        return self.original

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)


_CALLERS = {"_load_unlocked": "_find_and_load_unlocked", "_exec": "reload"}
"""What importlib calls with a spec that a finder gave it, and from where."""


def _bootstrap() -> Any:
    return sys.modules["_frozen_importlib"]


class Tracer:
    """What can stop to trace its thread for a while. See `mainscript`."""

    def pause(self) -> bool:
        """Whether it traced this thread; if so, it does no longer."""
        raise NotImplementedError

    def resume(self) -> None:
        """Trace again."""
        raise NotImplementedError

    def awaits(self, target: Target) -> bool:
        """Whether it has yet to see this target defined."""
        raise NotImplementedError


class _Resumption:
    """Has the script traced again when an import is over, which runs at its own pace meanwhile."""

    __slots__ = ("_finder", "_tracer")

    def __init__(self, finder: Finder | None, tracer: Tracer) -> None:
        self._finder = finder
        self._tracer = tracer

    def hear_of_circle(self, spec: Any, frame: FrameType) -> None:
        if self._finder is not None:
            self._finder.hear_of_circle(spec, frame)

    def end_circle(self, circle: Circle) -> None:
        if self._finder is not None:
            self._finder.end_circle(circle)

    def report(self, module: ModuleType | None) -> None:
        try:
            if self._finder is not None:
                self._finder.report(module)
        finally:
            self._tracer.resume()


def _is_import(frame: FrameType) -> bool:
    """Whether `frame`, importlib's search for a spec, belongs to an import or a reload.

    Tools look for specs too, and use them in ways of their own.
    """
    if frame.f_code.co_name != "_find_spec" or frame.f_back is None:
        return False
    return frame.f_back.f_code.co_name in ("_find_and_load_unlocked", "reload")


def is_spawned() -> bool:
    """Whether multiprocessing has started this process, to run functions of another's script."""
    return any("multiprocessing" in word for word in sys.orig_argv[:MAX_OPTIONS])


def script_names() -> list[str]:
    """What the program's own script may be called by who imports it, before the interpreter has looked for it."""
    words, originals = sys.argv, sys.orig_argv
    if not words or len(originals) < len(words):
        return []
    if words[0] == "-m":
        name = originals[len(originals) - len(words)]
        if name.startswith("-"):  # `-mname`, or `-Imname`
            name = name.partition("m")[2]
        return [name, f"{name}.__main__"]
    return names_of_script(words[0])


def names_of_script(file: str) -> list[str]:
    """What a script may be called by who imports it, given its path."""
    if not file.endswith(".py"):
        return []
    path = os.path.normpath(file[:-3])
    dotted = path.replace(os.sep, ".")
    name = dotted.rpartition(".")[2]
    if name in sys.stdlib_module_names:
        return []
    return [name] if os.path.isabs(path) or path.startswith(os.pardir) or name == dotted else [name, dotted]


def is_unfinished(module: Any) -> bool:
    """Whether a module's code has yet to run to its end. Asks nothing of a module that loads itself when asked."""
    if type(module).__name__ == "_LazyModule":
        return True
    try:
        spec = object.__getattribute__(module, "__dict__").get("__spec__")
    except AttributeError:  # anything can lie in sys.modules
        return False
    return "_lastcall_finder" in getattr(spec, "__dict__", ()) or bool(getattr(spec, "_initializing", False))


def _telling_spec(cls: type) -> type:  # noqa: C901 - four small functions of one class
    """A subclass of the spec's class that hears importlib finish."""

    def stop_listening(spec: Any) -> Finder | _Resumption | None:
        finder = spec.__dict__.pop("_lastcall_finder", None)
        spec.__dict__.pop("_lastcall_reads", None)
        spec.__dict__.pop("_lastcall_thread", None)
        spec.__dict__.pop("_lastcall_arming", None)
        if spec.__class__ is telling:
            spec.__class__ = cls
        return finder  # type: ignore[no-any-return]

    def is_initializing(spec: Any) -> Any:
        """Asked from C by each import statement that finds the module in `sys.modules`."""
        names = spec.__dict__
        if "_initializing" not in names:
            raise AttributeError("_initializing")
        if names.get("_lastcall_thread") != get_ident():
            # while we arm it, too: who has to wait for a module waits until its import is over, in the thread that does
            # it; which is not there in the child of a fork
            return names["_initializing"] or names.get("_lastcall_arming") == getpid()
        # no longer while we arm it: what we import for that may import it, too
        if names["_initializing"]:
            finder = names.get("_lastcall_finder")
            if finder is not None:
                finder.hear_of_circle(spec, getframe(1))
        return names["_initializing"]

    def set_initializing(spec: Any, value: Any) -> None:
        names = spec.__dict__
        if value:
            names["_initializing"] = value
            names["_lastcall_thread"] = get_ident()
            return
        names["_lastcall_arming"] = getpid()
        names["_initializing"] = value
        finder = names.get("_lastcall_finder")
        try:
            circle = names.pop("_lastcall_circle", None)
            if circle is not None and finder is not None:
                finder.end_circle(circle)
            if finder is not None:
                # absent if its code raised: importlib has removed it by now
                finder.report(sys.modules.get(names["name"]))
        finally:
            stop_listening(spec)  # not before: `is_unfinished` keeps our own thread from arming it, too

    def get_name(spec: Any) -> str:
        names = spec.__dict__
        if names.get("_lastcall_reads", -1) >= 0 and getframe(1).f_code.co_name == "_exec":
            names["_lastcall_reads"] += 1
            if names["_lastcall_reads"] == _READS_BEFORE_THE_LAST + 1:
                failed = sys.exc_info()[0] is not None
                finder = stop_listening(spec)
                if finder is not None and not failed:
                    finder.report(sys.modules.get(names["name"]))
        return names["name"]  # type: ignore[no-any-return]

    def set_name(spec: Any, value: str) -> None:
        spec.__dict__["name"] = value

    telling = type(
        cls.__name__,
        (cls,),
        {
            "__module__": cls.__module__,
            "__qualname__": cls.__qualname__,
            "__doc__": cls.__doc__,
            "_initializing": property(is_initializing, set_initializing),
            "name": property(get_name, set_name),
        },
    )
    return telling


MAX_OPTIONS = 30
"""Words of a command line in which the code is looked for that is run: options of the interpreter's stand before it."""
# `importlib._bootstrap._exec` reads the name once for the lock before it runs the module's code.
_READS_BEFORE_THE_LAST = 1
