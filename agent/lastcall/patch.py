"""From a module that has just run to armed targets.

What a target's name leads to decides how it is seen; `describe` says what was decided and why, and
`doctor` prints it. Everything here runs in the thread that imports, guarded by the finder.
"""

from __future__ import annotations

import sys
from _thread import get_ident

from . import captured
from .callsite import glob_match, is_import_machinery
from .importing import is_unfinished
from .lookup import (
    CannotArm,
    Found,
    definition,
    find,
    has_plain_metaclass,
    inherited,
    is_cached_property,
    is_enum,
    is_instance,
    is_module,
    is_nameless,
    is_placeholder,
    kind_of,
    matching_names,
)

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType, ModuleType
    from typing import Any

    from .importing import Wanted
    from .recorder import Recorder
    from .sites import SiteRecord, Tap
    from .targets import Target

WILDCARD_LIMIT = 50_000
UNDO_ROOM = 1_000

BEFORE_US = "imported before the agent was there: earlier reads were not seen"
BY_HAND = "its module was not imported, but run or replaced by the program itself: earlier uses were not seen"
"""Why uses of a module that is met only now may have been missed: reads before there was an agent; or, since our last
look, all of them."""


class Patcher:
    """Arms targets in this process. `changed(target)` is called whenever a target's state is decided."""

    def __init__(
        self, wanted: Wanted, recorder: Recorder, engine: str, changed: Callable[[Target], None]
    ) -> None:
        self.wanted = wanted
        self.recorder = recorder
        self.engine = engine
        self.changed = changed
        self.by_ref: dict[str, Target] = {t.ref: t for ts in wanted.exact.values() for t in ts}
        self.taps: dict[tuple[str, str], Tap] = {}
        self._undo: list[tuple[Callable[[], None], Callable[[], Any]]] = []
        """What puts everything back, each with what it is about: that may be gone."""
        self._room = UNDO_ROOM
        self.armed_modules: dict[str, int] = {}
        self.advices: Callable[[Target, Any, Tap], Sequence[Any]] = lambda _target, _value, _tap: ()
        """What has to run around the calls of a target, if anything: see `engines.around`."""
        self.asked: Callable[[Target, SiteRecord | None], None] = lambda _target, _record: None
        """Told of each ask for a removed target."""
        self.discoverers: list[Callable[[Patcher, ModuleType], None]] = []
        self.before_late_arming: Callable[[], None] = lambda: None
        """Called before `rescan` arms a module, which is mostly in the background thread."""
        self._in_place: Any = None
        self._arming: set[int] = set()
        self._waiting: list[tuple[ModuleType, str, str]] = []
        self.unfinished = False
        """Whether the last `rescan` met a wanted module whose code has yet to run (a lazy one)."""

    # -- entry points -------------------------------------------------------------------------------

    def loaded(self, module: ModuleType, name: str = "", *, late: str = "") -> None:
        """Arm every target of a module whose code has run. `late` says why some uses of it may have been missed."""
        name = name or module.__name__
        me = get_ident()
        if me in self._arming:  # what we import ourselves to arm one module can be a target, too
            self._waiting.append((module, name, late))
            return
        self._arming.add(me)
        try:
            self._loaded(module, name, late=late)
        finally:
            self._arming.discard(me)
        if self._waiting:
            waiting, waiting_name, was_late = self._waiting.pop(0)
            self.loaded(waiting, waiting_name, late=was_late)

    def _loaded(self, module: ModuleType, name: str, *, late: str) -> None:
        self.armed_modules[name] = id(module)
        for target in self.wanted.exact.get(name, ()):
            self.arm(target, module, late=late)
        for wildcard in self.wanted.wildcards(name):
            self._expand(wildcard, module, name, late=late)
        for discover in self.discoverers:
            discover(self, module)
        callback = self.wanted.callbacks.get(name)
        if callback is not None:
            callback(module)

    def missed(self, name: str) -> None:
        """The import of a module in which removed targets lay has found nothing."""
        from .engines import removed

        removed.missed(self.recorder, self.wanted.removed_in(name), self._tap, self.asked)

    def arm_loaded(self) -> None:
        """Arm what was imported before the agent started."""
        for name, module in list(sys.modules.items()):
            if is_module(module) and self.wanted(name) and not is_unfinished(module):
                self.loaded(module, name, late=BEFORE_US)

    def arm_new(self, targets: Sequence[Target]) -> None:
        """Arm targets that became wanted just now, as far as their modules are loaded."""
        refs = {target.ref for target in targets}
        for name, module in list(sys.modules.items()):
            if not is_module(module):
                continue
            for target in self.wanted.exact.get(name, ()):
                if target.ref in refs:
                    self.arm(target, module, late=BEFORE_US)
            for wildcard in self.wanted.wildcards(name):
                if wildcard.ref in refs:
                    self._expand(wildcard, module, name, late=BEFORE_US)

    def rescan(self) -> None:
        """Arm modules that came in without asking our finder (another import hook, `sys.modules[...] = ...`)."""
        self.unfinished = False
        for name, module in list(sys.modules.items()):
            if not is_module(module) or self.armed_modules.get(name) == id(module) or not self.wanted(name):
                continue
            if is_unfinished(module):
                self.unfinished = True
            else:
                self.before_late_arming()
                self.loaded(module, name, late=BY_HAND)

    def add(self, target: Target) -> Target:
        """One more target, found while running. Returns the one known under this reference."""
        known = self.by_ref.setdefault(target.ref, target)
        if known is target:
            self.wanted.add(target)
        elif known.source in ("warning", "log"):  # it warned while its module ran: now it is met itself
            known.become(target)
        return known

    def unpatch(self) -> None:
        """Put back everything, in reverse order."""
        while self._undo:
            self._undo.pop()[0]()
        if self._in_place is not None:
            self._in_place.release()
        self.armed_modules.clear()

    def to_undo(self, undo: Callable[[], None], about: object = None) -> None:
        """Have `unpatch` call `undo`, unless `about` is gone by then: a module may be imported anew for ever."""
        if len(self._undo) >= self._room:
            self._undo = [kept for kept in self._undo if kept[1]() is not None]
            self._room = 2 * len(self._undo) + UNDO_ROOM
        self._undo.append((undo, (lambda: True) if about is None else captured.weakly(about)))

    # -- one target ---------------------------------------------------------------------------------

    def arm(self, target: Target, module: ModuleType, *, late: str = "") -> None:
        """Arm one target whose module has run; whatever comes of it becomes its state."""
        try:
            reason = self._arm(target, module)
        except CannotArm as outcome:
            self.decide(target, outcome.state, str(outcome))
        except Exception as error:  # noqa: BLE001 - the named seam: one target must not cost the others
            self.recorder.errors.record("arm", error)
            self.decide(target, "failed", f"{type(error).__name__}: {error}")
        else:
            if late == BY_HAND or (late and target.kind in ("attribute", "module")):
                self.decide(target, "partial", reason.removeprefix("partial: ") or late)
            elif reason.startswith("partial: "):
                self.decide(target, "partial", reason[9:])
            else:
                there = "it is said to be removed, and is still there" if target.removed else ""
                self.decide(target, "armed", reason or there)

    def decide(self, target: Target, state: str, reason: str) -> None:
        """Set what became of a target, and say so."""
        target.state, target.reason = state, reason
        target.state_ns = self.recorder.clock()
        self.changed(target)

    def _arm(self, target: Target, module: ModuleType) -> str:
        """Returns a remark, empty if there is nothing to say. Raises CannotArm."""
        if target.kind == "module":
            return self._arm_module(target, module)
        # asked before we hold it ourselves
        held = target.qualname in vars(module) and captured.may_be_held_elsewhere(
            vars(module), target.qualname
        )
        found = find(module, target.qualname)
        if target.kind == "parameter":
            return self._arm_parameter(target, found)
        if found is None:
            return self._arm_absent(target, module)
        return self._arm_found(target, found, held=held)

    def _arm_found(self, target: Target, found: Found, *, held: bool) -> str:
        kind = target.declared_kind or kind_of(found)
        target.kind = kind
        self._note_definition(target, found)
        if kind == "class":
            return self._arm_class(target, found)
        if kind == "attribute":
            if isinstance(found.value, property):
                return self._arm_property(target, found)
            if is_cached_property(found.value):
                return self._arm_cached_property(target, found)
            return self._arm_name(target, found.module, found.name, found.owner)
        tap = self._tap(target, "call")
        function = getattr(found.value, "__func__", found.value)
        inherited = found.through is not None
        if inherited and type(found.value) is not staticmethod and self._try_for_class(target, found, [function], tap):
            return ""
        remark = self._arm_callable(target, found.owner, found.name, found.value, tap, held=held)
        return remark or (_told_apart_from_none(found) if inherited else "")

    def _note_definition(self, target: Target, found: Found) -> None:
        filename, line = definition(found.value)
        if not filename or target.kind == "attribute":
            target.defined_at(getattr(found.module, "__file__", "") or "", 0 if not filename else line)
        else:
            target.defined_at(filename, line)

    def _tap(self, target: Target, use: str) -> Tap:
        tap = self.taps.get((target.ref, use))
        if tap is None:
            tap = self.taps[target.ref, use] = self.recorder.tap(target, use)
        return tap

    # -- modules and names --------------------------------------------------------------------------

    def _arm_module(self, target: Target, module: ModuleType) -> str:
        from .engines import names

        target.defined_at(getattr(module, "__file__", "") or "", 1)
        target.engine = "names"
        tap = self._tap(target, "import")
        importer = self._importer()
        self.to_undo(names.arm_module(self.recorder, module, tap), module)
        if importer is not None:
            self.recorder.hooks.frame_callback(tap)(importer)
        return ""

    def _importer(self) -> FrameType | None:
        """Whoever's import statement is running this module right now, if one is."""
        from .engines.names import importing_frame

        frame: FrameType | None = sys._getframe(1)
        while frame is not None and not is_import_machinery(frame):
            frame = frame.f_back
        return None if frame is None else importing_frame(frame)

    def _arm_absent(self, target: Target, module: ModuleType) -> str:
        names = vars(module)
        if "." not in target.qualname and "__getattr__" in names:
            target.kind = "attribute"
            target.defined_at(getattr(module, "__file__", "") or "", 0)
            self._arm_name(target, module, target.qualname, module)
            return "the module makes this name itself (__getattr__): reads of it are counted"
        if target.removed:
            self._arm_removed(target, module)
        raise CannotArm("missing", f"the module {module.__name__} was imported and has no {target.qualname}")

    def _arm_removed(self, target: Target, module: ModuleType) -> None:
        """Watch who asks for what is no more. Raises CannotArm, always: the target is not armed."""
        from .engines import removed

        if "." in target.qualname:
            raise CannotArm("failed", "it is removed, and who asks for a member of a class cannot be seen")
        target.engine = "names"
        tap = self._tap(target, "access")
        self.to_undo(removed.arm_name(self.recorder, module, target.qualname, tap, self.asked), module)
        raise CannotArm("removed", "it is gone; whoever asks for it is recorded")

    def _arm_name(self, target: Target, module: ModuleType, name: str, owner: Any) -> str:
        from .engines import names

        if owner is not module:
            raise CannotArm(
                "failed", "reads of a class attribute that is neither function nor property cannot be seen"
            )
        target.engine = "names"
        value = vars(module).get(name)
        if value is not None:
            target.objects = [value]
        self.to_undo(names.arm_name(self.recorder, module, name, self._tap(target, "access")), module)
        return ""

    def _arm_parameter(self, target: Target, found: Found | None) -> str:
        from .engines import parameters

        if found is None:
            raise CannotArm(
                "missing", f"the module {target.module} was imported and has no {target.qualname}"
            )
        self._note_definition(target, found)
        target.engine = "wrapping"
        remark, undo = parameters.arm(self.recorder, target, found, self._tap(target, "call"))
        self.to_undo(undo, found.owner)
        return f"{_told_apart_from_none(found)}; {remark}" if found.through is not None else remark

    # -- callables ----------------------------------------------------------------------------------

    def _arm_callable(
        self,
        target: Target,
        owner: Any,
        name: str,
        value: Any,
        tap: Tap,
        *,
        held: bool = False,
        wrap: bool = False,
    ) -> str:
        """`held`: somebody has it already. `wrap`: what a wrapper sees and code does not is worth being visible."""
        function = (
            getattr(value, "__func__", value) if isinstance(value, (classmethod, staticmethod)) else value
        )
        in_class = isinstance(owner, type) and not wrap
        if target.cls is None:
            target.objects = [function]
        advices = self.advices(target, value, tap)
        if not advices and (
            self.engine == "inplace"
            or (self.engine == "auto" and (in_class or held or is_nameless(function) or _wrapt_is_seen()))
        ):
            why_not = self._try_in_place(target, function, tap)
            if why_not is None:
                return ""
        return self._wrap(target, owner, name, value, tap, held=held, advices=advices)

    def _try_in_place(self, target: Target, function: Any, tap: Tap) -> str | None:
        """None if the in-place engine took it, else why it did not."""
        try:
            self.to_undo(self.in_place.arm(function, tap), function)
        except self.in_place.unavailable as why:
            return str(why)
        target.engine = "inplace"
        return None

    @property
    def in_place(self) -> Any:
        """The in-place engine of this process, made when first needed."""
        if self._in_place is None:
            from .engines.inplace import InPlace

            self._in_place = InPlace(self.recorder)
        return self._in_place

    def _wrap(
        self,
        target: Target,
        owner: Any,
        name: str,
        value: Any,
        tap: Tap,
        *,
        held: bool,
        advices: Sequence[Any] = (),
    ) -> str:
        from .engines import wrapping

        if wrapping.counts_for(value, tap):
            target.engine = "wrapping"
            return ""
        if self.engine != "wrapping" and target.source == "wildcard" and is_instance(value):
            # Such objects tell themselves by identity (tasks, commands, curried functions): a risk to take for
            # what someone named, and not for what a pattern happened to match.
            raise CannotArm(
                "failed",
                f"an instance of {type(value).__module__}.{type(value).__qualname__}, which only a wrapper in its "
                "place could count; name it as a target of its own to have that",
            )
        tap.hook = self.recorder.hooks.hook(tap)  # wrapt is loaded now, and known to add a frame or not
        if advices:
            from .engines import around

            wrapper = around.wrap(self.recorder, value, tap, list(advices))
        else:
            wrapper = wrapping.wrap(value, tap)
        try:
            undo = wrapping.put(owner, name, value, wrapper)
        except (TypeError, AttributeError) as error:
            raise CannotArm("failed", f"cannot be patched: {error}") from error
        self.to_undo(undo, wrapping.inner(wrapper))
        target.engine = "wrapping"
        if target.cls is None:
            target.objects = [*target.objects, wrapper]
        if held:
            left = captured.rebind(value, wrapper, vars(owner))
            if left:
                return "partial: references captured earlier are held by " + _and(left)
        return ""

    def _arm_property(self, target: Target, found: Found) -> str:
        from .engines import inplace, wrapping

        tap = self._tap(target, "access")
        prop = found.value
        parts = [part for part in (prop.fget, prop.fset, prop.fdel) if part is not None]
        if found.through is not None and self._try_for_class(target, found, parts, tap):
            return ""
        remark = _told_apart_from_none(found) if found.through is not None else ""
        if (
            self.engine != "wrapping"
            and all(inplace.fits(part) for part in parts)
            and all(self._try_in_place(target, part, tap) is None for part in parts)
        ):
            return remark
        tap.hook = self.recorder.hooks.hook(tap)
        try:
            self.to_undo(wrapping.arm_property(found.owner, found.name, prop, tap), found.owner)
        except (TypeError, AttributeError) as error:
            raise CannotArm("failed", f"cannot be patched: {error}") from error
        target.engine = "wrapping"
        return remark

    def _arm_cached_property(self, target: Target, found: Found) -> str:
        tap = self._tap(target, "access")
        cached = found.value
        target.objects = [cached.func]
        if self._try_in_place(target, cached.func, tap) is not None:
            from .engines import wrapping

            tap.hook = self.recorder.hooks.hook(tap)
            self.to_undo(wrapping.wrap_part(cached, "func", tap), cached)
            target.engine = "wrapping"
        return "partial: a cached property runs at the first read of each object; later reads are not seen"

    def _try_for_class(self, target: Target, found: Found, functions: list[Any], tap: Tap) -> bool:
        """Watch inherited functions, but only where their first argument is of the class that the target names."""
        from .engines import inplace

        if not all(inplace.fits(function) and function.__code__.co_argcount for function in functions):
            return False
        try:
            for function in functions:
                self.to_undo(self.in_place.arm_for_class(function, found.through, tap), found.through)
        except self.in_place.unavailable:
            return False
        target.engine = "inplace"
        return True

    # -- classes ------------------------------------------------------------------------------------

    def _arm_class(self, target: Target, found: Found) -> str:
        cls = found.value
        target.cls = cls
        target.objects = [cls]
        if is_enum(cls):
            self._arm_name(target, found.module, found.name, found.owner)
            return "an enumeration is not constructed: reads of its name are counted"
        if is_placeholder(cls.__dict__.get("__init__")):
            self._arm_name(target, found.module, found.name, found.owner)
            return "a protocol is not constructed: reads of its name are counted"
        tap = self._tap(target, "construct")
        for name in ("__new__", "__init__"):
            if name in cls.__dict__:
                # Arguments that do not fit are refused before any code of the constructor's runs: only a wrapper
                # counts such a call. Nobody looks for one in a class that was made by `type`, but for what is there.
                wrap = target.source != "wildcard" and has_plain_metaclass(cls)
                held = wrap and captured.may_be_held_elsewhere(vars(cls), name)
                value = cls.__dict__[name]
                return self._arm_callable(target, cls, name, value, tap, wrap=wrap and not held)
        return self._arm_inherited_constructor(target, found, cls, tap)

    def _arm_inherited_constructor(self, target: Target, found: Found, cls: type, tap: Tap) -> str:
        from .engines import inplace

        init, new = inherited(cls, "__init__"), inherited(cls, "__new__")
        new = getattr(new, "__func__", new)
        for function in (new, init):
            if inplace.fits(function):
                try:
                    self.to_undo(self.in_place.arm_for_class(function, cls, tap), cls)
                except self.in_place.unavailable:
                    continue
                target.engine = "inplace"
                return ""
        if init is not object.__init__ and has_plain_metaclass(cls):
            return self._arm_c_constructor(target, cls, init, tap)
        remark = self._arm_name(target, found.module, found.name, found.owner)
        return remark or (
            "partial: the class has no __init__ or __new__ to watch, and giving it one would change it: "
            "reads of its name are counted instead of constructions"
        )

    def _arm_c_constructor(self, target: Target, cls: type, init: Any, tap: Tap) -> str:
        """An exception, a dictionary ... without an `__init__` of its own."""
        from .engines import wrapping

        target.engine = "wrapping"
        if wrapping.counts_for(cls.__dict__.get("__init__"), tap):
            return ""
        tap.hook = self.recorder.hooks.hook(tap)
        try:
            self.to_undo(wrapping.arm_inherited(cls, init, tap), cls)
        except (TypeError, AttributeError) as error:
            raise CannotArm("failed", f"cannot be patched: {error}") from error
        return ""

    # -- wildcards ----------------------------------------------------------------------------------

    def _expand(self, wildcard: Target, module: ModuleType, name: str, *, late: str) -> None:
        if not wildcard.qualname:
            child = self.add(wildcard.child(name))
            self.arm(child, module, late=late)
            return
        for qualname in matching_names(module, name, wildcard.qualname):
            if len(self.by_ref) >= WILDCARD_LIMIT:
                self.recorder.drop("target-limit")
                return
            for parameter in _matching_parameters(wildcard, module, qualname):
                ref = f"{name}:{qualname}{parameter}"
                child = self.add(wildcard.child(ref))
                self.arm(child, module, late=late)
        wildcard.state, wildcard.reason = "armed", ""
        self.changed(wildcard)


def _matching_parameters(wildcard: Target, module: ModuleType, qualname: str) -> list[str]:
    """The arguments of `module:qualname` that a wildcard means, as they are written behind a reference.

    One empty one for a wildcard that means the whole function.
    """
    if not wildcard.parameter:
        return [""]
    from .engines.parameters import names_of

    found = find(module, qualname)
    names = names_of(found.value) if found is not None else ()
    return [f"({name}=)" for name in names if glob_match(wildcard.parameter, name)]


def _told_apart_from_none(found: Found) -> str:
    return f"inherited from {found.owner.__qualname__}: uses through its other classes are counted, too"


def _wrapt_is_seen() -> bool:
    """Whether wrapt runs without its C extension, so that a frame of its own lies under every call."""
    from .engines import wrapping

    return wrapping.ADDS_A_FRAME


def _and(items: list[str]) -> str:
    unique = sorted(set(items))
    return ", ".join(unique[:3]) + (f" and {len(unique) - 3} more" if unique[3:] else "")
