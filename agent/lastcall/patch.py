"""From a module that has just run to armed targets.

What a target's name leads to decides how it is seen; its state and reason say what was decided and why, and
`doctor` prints them. Everything here runs in the thread that imports, guarded by the finder.
"""

from __future__ import annotations

import sys
from _thread import get_ident

from . import captured
from .asking import function_of, is_class, names_of_class, own, passes_for, unwrapped, wrapping_engine
from .importing import is_unfinished
from .lookup import (
    CannotArm,
    Found,
    calls_itself,
    counted_for,
    definition,
    definition_in,
    find,
    is_another_name,
    is_borrowed,
    is_cached_property,
    is_instance,
    is_module,
    is_nameless,
    kind_of,
)

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType, ModuleType
    from typing import Any

    from .circular import Circle
    from .importing import Wanted
    from .recorder import Recorder
    from .sites import SiteRecord, Tap
    from .targets import Target

UNDO_ROOM = 1_000

BEFORE_US = "imported before the agent was there: earlier reads were not seen"
"""Why uses of a module that is met only now may have been missed: reads before there was an agent."""

HELD_IN_CLASS = (
    "partial: the function is held by more than its class (a registry, another name, a partial method), and a call "
    "through that is not seen by a wrapper"
)
NOT_COUNTED = (
    "partial: free-threaded Python does not count who holds a function, and a call through what captured it earlier is "
    "not seen by a wrapper"
)


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
        self._met: dict[str, list[Callable[[], Any]]] = {}
        """Every module that was armed under a name and is there still: one that is put back keeps its taps."""
        self.advices: Callable[[Target, Any, Tap], Sequence[Any]] = lambda _target, _value, _tap: ()
        """What has to run around the calls of a target, if anything: see `engines.around`."""
        self.asked: Callable[[Target, SiteRecord | None], None] = lambda _target, _record: None
        """Told of each ask for a removed target."""
        self.discoverers: list[Callable[[Patcher, ModuleType, bool], None]] = []
        """What finds targets in a module; all of them, or only those that are not known yet."""
        self._in_place: Any = None
        self._armed: dict[str, Callable[[], Any]] = {}
        """What the name of each target led to when it was armed: who comes to it again need not arm it again."""
        self._arming: set[int] = set()
        self._waiting: list[tuple[ModuleType, str, str]] = []
        self.unsettled: dict[str, tuple[Target, Callable[[], Any]]] = {}
        """Targets that may be defined yet, or anew, by code that no import runs, and what they were when last seen."""

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
        met = [known for known in self._met.get(name, ()) if known() is not None]
        self._met[name] = [*met, captured.weakly(module)]
        # an argument is seen by a wrapper only, and what is wrapped cannot be watched in place any more
        for target in sorted(self.wanted.exact.get(name, ()), key=_is_of_argument):
            self.arm(target, module, late=late)
        self.look_for_targets(module, name, late=late)
        callback = self.wanted.callbacks.get(name)
        if callback is not None:
            callback(module)

    def imported_unfinished(self, module: ModuleType, name: str, circle: Circle | None, frame: FrameType) -> Circle:
        """What watches a module whose own code still runs, now that another (`frame`) imports it in a circle."""
        if circle is None:
            from .circular import Circle

            circle = Circle(self, module, name)
        circle.imported_by(frame)
        return circle

    def look_for_targets(self, module: ModuleType, name: str, *, late: str, only_new: bool = False) -> None:
        """Arm what wildcards and discovery find in a module; all of it, or only what is not known yet."""
        for wildcard in sorted(self.wanted.wildcards(name), key=_is_of_argument):
            self._expand(wildcard, module, name, late, only_new=only_new)
        for discover in self.discoverers:
            discover(self, module, only_new)

    def _expand(
        self, wildcard: Target, module: ModuleType, name: str, late: str, *, only_new: bool = False
    ) -> None:
        from .arming_wildcards import expand

        expand(self, wildcard, module, name, late=late, only_new=only_new)

    def missed(self, name: str) -> None:
        """The import of a module in which removed targets lay has found nothing."""
        from .engines import removed

        removed.missed(self.recorder, self.wanted.removed_in(name), self.tap, self.asked)

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
                    self._expand(wildcard, module, name, BEFORE_US)

    def has_met(self, module: ModuleType, name: str) -> bool:
        """Whether this module was armed under this name before."""
        return any(known() is module for known in self._met.get(name, ()))

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
        self._met.clear()
        self._armed.clear()
        self.unsettled.clear()

    def to_undo(self, undo: Callable[[], None], about: object = None) -> None:
        """Have `unpatch` call `undo`, unless `about` is gone by then: a module may be imported anew for ever."""
        if len(self._undo) >= self._room:
            self._undo = [kept for kept in self._undo if kept[1]() is not None]
            self._room = 2 * len(self._undo) + UNDO_ROOM
        self._undo.append((undo, (lambda: True) if about is None else captured.weakly(about)))

    # -- one target ---------------------------------------------------------------------------------

    def arm(self, target: Target, module: ModuleType, *, late: str = "") -> None:
        """Arm one target whose module has run; whatever comes of it becomes its state."""
        if self._is_armed(target, module):
            return
        self._armed.pop(target.ref, None)
        try:
            reason = self._arm(target, module)
        except CannotArm as outcome:
            self.decide(target, outcome.state, str(outcome))
        except Exception as error:  # noqa: BLE001 - the named seam: one target must not cost the others
            self.recorder.errors.record("arm", error)
            self.decide(target, "failed", f"{type(error).__name__}: {error}")
        else:
            self._remember(target, module)
            if late not in ("", BEFORE_US):
                self.decide(target, "partial", reason.removeprefix("partial: ") or late)
                self.unsettled[target.ref] = (target, captured.weakly(definition_in(module, target)))
            elif late and target.kind in ("attribute", "module"):
                self.decide(target, "partial", reason.removeprefix("partial: ") or late)
            elif reason.startswith("partial: "):
                self.decide(target, "partial", reason[9:])
            else:
                there = "it is said to be removed, and is still there" if target.removed else ""
                self.decide(target, "armed", reason or there)

    def _is_armed(self, target: Target, module: ModuleType) -> bool:
        """Whether what the name leads to is counted for this target already, under all that was put around it since.

        A wildcard may match what is a target of its own or another wildcard's, and a module that is run again may
        keep what it has.
        """
        known = self._armed.get(target.ref)
        before = None if known is None else known()
        value = None if before is None else counted_for(target, module)
        wrapping = wrapping_engine()
        while value is not before and wrapping is not None and wrapping.is_wrapper(value):
            value = wrapping.wrapped_by(value)
        return before is not None and value is before

    def _remember(self, target: Target, module: ModuleType) -> None:
        try:
            self._armed[target.ref] = captured.Weakly(counted_for(target, module))
        except TypeError:  # nothing, or what cannot be referred to weakly
            return

    def decide(self, target: Target, state: str, reason: str) -> None:
        """Set what became of a target, and say so."""
        self.unsettled.pop(target.ref, None)
        if state == "missing":
            self.unsettled[target.ref] = (target, lambda: None)
        target.state, target.reason = state, reason
        target.state_ns = self.recorder.clock()
        self.changed(target)

    def _arm(self, target: Target, module: ModuleType) -> str:
        """Returns a remark, empty if there is nothing to say. Raises CannotArm."""
        if target.kind == "module":
            from .arming_names import arm_module

            return arm_module(self, target, module)
        # asked before we hold it ourselves
        names = vars(module)
        held = captured.beside(names, target.qualname) if target.qualname in names else 0
        # A risk to take for what someone named, and not for what a pattern happened to match: see `_wrap`.
        spared = held and target.source == "wildcard" and target.kind != "parameter"
        kept_by = _kept_by(names, target.qualname) if spared else []
        held_in_class = _held_in_class(module, target.qualname)
        found = find(module, target.qualname)
        if target.kind == "parameter":
            return self._arm_parameter(target, found, held or held_in_class)
        if found is None:
            from .arming_names import arm_absent

            return arm_absent(self, target, module)
        if kept_by and kind_of(found) == "function":
            return self._arm_reads_of(target, found, kept_by)
        remark = self._arm_found(target, found, held)
        if not remark and target.engine == "wrapping" and target.kind != "class" and is_class(found.owner):
            return self.escaping(target, found.owner, found.name, found.value, held_in_class)
        return remark

    def escaping(
        self, target: Target, owner: Any, name: str, value: Any, held: int, *, only_wrapped: bool = False
    ) -> str:
        """The remark on what was wrapped in a class, if more than the class holds it: `held` by so many.

        `only_wrapped`: no other engine sees its uses.
        """
        from .engines import wrapping

        function = function_of(value)
        if held > 0:  # other targets may be the same function, with an argument
            others = (known for other in self.by_ref.values() if other is not target for known in other.objects)
            held = max(0, held - sum(1 for known in others if known is function))
        held = held or wrapping.holders_noted(value) or 0
        wrapping.note_holders(names_of_class(owner)[name], held)
        if not held or self.is_another_name(owner, name, function):
            return ""
        remark = NOT_COUNTED if held == captured.UNKNOWN else HELD_IN_CLASS
        return remark if only_wrapped else remark + _seen_in_place(function)

    def _arm_reads_of(self, target: Target, found: Found, kept_by: list[str]) -> str:
        """Only a wrapper could count its calls, and would be another object to who holds it."""
        from .arming_names import arm_name

        target.kind = "function"
        self.note_definition(target, found)
        arm_name(self, target, found.module, found.name, found.owner)
        return (
            f"partial: it is held by {_and(kept_by)}, to which a wrapper would be another object: reads of its name "
            "are counted instead of calls; name it as a target of its own to have it wrapped"
        )

    def _arm_found(self, target: Target, found: Found, held: int) -> str:
        kind = target.declared_kind or kind_of(found)
        target.kind = kind
        self.note_definition(target, found)
        if kind == "class":
            from .arming_classes import arm_class

            return arm_class(self, target, found)
        if kind == "attribute":
            return self._arm_attribute(target, found)
        tap = self.tap(target, "call")
        if found.through is None:
            return self.arm_callable(target, found.owner, found.name, found.value, tap, held=held)
        from .arming_classes import told_apart_from_none, try_for_class

        function = getattr(found.value, "__func__", found.value)
        if (
            type(found.value) is not staticmethod
            and not self.is_another_name(found.owner, found.name, function)
            and try_for_class(self, target, found, [function], tap)
        ):
            return ""
        remark = self.arm_callable(target, found.owner, found.name, found.value, tap, held=held)
        return remark or told_apart_from_none(found)

    def _arm_attribute(self, target: Target, found: Found) -> str:
        if passes_for(found.value, property):
            from .arming_classes import arm_property

            return arm_property(self, target, found)
        if is_cached_property(found.value):
            from .arming_classes import arm_cached_property

            return arm_cached_property(self, target, found)
        from .arming_names import arm_attribute

        return arm_attribute(self, target, found)

    def note_definition(self, target: Target, found: Found) -> None:
        filename, line = definition(found.value)
        if not filename or target.kind == "attribute":
            target.defined_at(getattr(found.module, "__file__", "") or "", 0 if not filename else line)
        else:
            target.defined_at(filename, line)

    def tap(self, target: Target, use: str) -> Tap:
        tap = self.taps.get((target.ref, use))
        if tap is None:
            tap = self.taps[target.ref, use] = self.recorder.tap(target, use)
        return tap

    def _arm_parameter(self, target: Target, found: Found | None, held: int) -> str:
        from .arming_classes import constructor, told_apart_from_none
        from .engines import parameters

        if found is None:
            raise CannotArm(
                "missing", f"the module {target.module} was imported and has no {target.qualname}"
            )
        self.note_definition(target, found)
        target.engine = "wrapping"
        if is_class(found.value):
            found, held = constructor(found, target.parameter)
        remark, undo = parameters.arm(self.recorder, target, found, self.tap(target, "call"))
        self.to_undo(undo, found.owner)
        if is_class(found.owner):
            escaping = self.escaping(target, found.owner, found.name, found.value, held, only_wrapped=True)
        else:
            escaping = self._rebind(target, found.value, vars(found.owner)[found.name], held, only_wrapped=True)
        if found.through is not None:
            remark = f"{told_apart_from_none(found)}; {remark}"
        return f"{escaping}; {remark}" if escaping else remark

    # -- callables ----------------------------------------------------------------------------------

    def arm_callable(
        self,
        target: Target,
        owner: Any,
        name: str,
        value: Any,
        tap: Tap,
        *,
        held: int = 0,
        wrap: bool = False,
    ) -> str:
        """`held`: how many have it already. `wrap`: what a wrapper sees and code does not is worth being visible."""
        if name == "__new__" and own(value, "__self__") is owner:
            # C's check of it goes up to the first class that was not given another, and then finds no such constructor.
            raise CannotArm("failed", "a class in C makes nothing any more when another `__new__` is in its place")
        function = (
            getattr(value, "__func__", value) if isinstance(value, (classmethod, staticmethod)) else value
        )
        in_class = isinstance(owner, type) and not wrap
        captured_before = held or captured.weakly_held(function)
        if target.cls is None:
            target.objects = [function]
        advices = self.advices(target, value, tap)
        another_name = not advices and self.is_another_name(owner, name, function)
        if another_name and target.source == "wildcard" and is_borrowed(owner, unwrapped(function)):
            # Who hands out one function under many names may compare it with the function itself (`is _nop`).
            raise CannotArm(
                "failed",
                f"another name of {function.__module__}:{function.__qualname__}, whose uses only a wrapper in its "
                "place could tell from that one's; name it as a target of its own to have that",
            )
        if (
            not advices
            and (
                self.engine == "inplace"
                or (self.engine == "auto" and (in_class or captured_before or is_nameless(function)))
                or (self.engine == "auto" and (calls_itself(function, owner) or _wrapt_is_seen()))
            )
            and not another_name
        ):
            why_not = self.try_in_place(target, function, tap)
            if why_not is None:
                return ""
        return self._wrap(target, owner, name, value, tap, held=held, advices=advices)

    def is_another_name(self, owner: Any, name: str, function: Any) -> bool:
        """Whether watching this function in place would count the uses of other names of its class, too."""
        return is_another_name(owner, name, unwrapped(function), unwrapped)

    def try_in_place(self, target: Target, function: Any, tap: Tap) -> str | None:
        """None if the in-place engine took it, else why it did not."""
        try:
            self.to_undo(self.in_place.arm(function, tap), function)
        except self.in_place.unavailable as why:
            return str(why)
        target.engine = "inplace"
        return None

    def watch_other_code(self, reason: str, left: str) -> None:
        """Watch anew what the host has given other code, where that can be watched: `reason`, or why it is `left`."""
        for target, function, undo in [] if self._in_place is None else self._in_place.watch_other_code():
            if undo is not None:
                self.to_undo(undo, function)
            unsettled = self.unsettled.get(target.ref)
            self.decide(target, "partial", left if undo is None else reason)
            if unsettled is not None:
                self.unsettled[target.ref] = unsettled

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
        held: int,
        advices: Sequence[Any] = (),
    ) -> str:
        from .engines import wrapping

        if wrapping.counts_for(value, tap):
            target.engine = "wrapping"
            return ""
        if target.source == "wildcard" and is_instance(value):
            # Such objects tell themselves by identity (tasks, commands, curried functions): a risk to take for
            # what someone named, and not for what a pattern happened to match.
            raise CannotArm(
                "failed",
                f"an instance of {type(value).__module__}.{type(value).__qualname__}, which only a wrapper in its "
                "place could count; name it as a target of its own to have that",
            )
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
        return "" if isinstance(owner, type) else self._rebind(target, value, wrapper, held)

    def _rebind(
        self, target: Target, original: Any, wrapper: Any, held: int, *, only_wrapped: bool = False
    ) -> str:
        """Have those that captured a function of a module hold its wrapper. The remark on those that cannot."""
        from .engines import wrapping

        left = wrapping.holders_noted(original) or []
        if held or captured.weakly_held(original):
            from .rebinding import rebind, undo_of

            left = [*left, *rebind(original, wrapper, held, target.objects)]
            self.to_undo(undo_of(wrapper), wrapper)
        if left:
            wrapping.note_holders(wrapper, left)
            return "partial: references captured earlier are held by " + _and(left)
        if held == captured.UNKNOWN:
            return NOT_COUNTED if only_wrapped else NOT_COUNTED + _seen_in_place(original)
        return ""


def _seen_in_place(function: Any) -> str:
    from .engines import inplace

    return ': engine "inplace" sees it' if inplace.sees_calls_of(function) else ""


def _is_of_argument(target: Target) -> bool:
    return target.kind == "parameter"


def _kept_by(names: dict[str, Any], name: str) -> list[str]:
    if type(names[name]) is not type(sys.getrefcount):
        return []
    from .rebinding import kept_by

    return kept_by(names, name)


def _held_in_class(module: ModuleType, qualname: str) -> int:
    """How many hold a method beside its class; asked before we do."""
    found = find(module, qualname) if "." in qualname else None
    if found is None or not is_class(found.owner):
        return 0
    owner, name = found.owner, found.name
    del found
    return captured.beside_in_class(names_of_class(owner), name)


def _wrapt_is_seen() -> bool:
    """Whether wrapt runs without its C extension, so that a frame of its own lies under every call."""
    from .engines import wrapping

    return wrapping.ADDS_A_FRAME


def _and(items: list[str]) -> str:
    unique = sorted(set(items))
    return ", ".join(unique[:3]) + (f" and {len(unique) - 3} more" if unique[3:] else "")
