"""What others use of a module while its own code still runs: a circular import.

Its targets are armed when that code has run; who imports the module before reads names and calls functions that nobody
watches yet. So from the first such import on, of which the spec of the unfinished module tells, they are watched until
they are armed: reads and imports as ever, calls in place, since what is there may not be what is there in the end.
"""

from __future__ import annotations

from .arming_classes import has_no_constructor, inherited
from .arming_wildcards import matching_names
from .asking import function_of, names_of_class, passes_for, unwrapped
from .engines import inplace, names
from .lookup import Found, find, is_cached_property, kind_of

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, ModuleType
    from typing import Any

    from .patch import Patcher
    from .targets import Target

_CONSTRUCTORS = ("__new__", "__init__")


class Circle:
    """What watches one module while its code runs."""

    def __init__(self, patcher: Patcher, module: ModuleType, name: str) -> None:
        self._patcher = patcher
        self._module = module
        self._name = name
        self._plain = type(module)
        self._undo: list[Callable[[], None]] = []
        self._watched: set[str] = set()
        self._heard: dict[Target, Any] = {}
        """The targets whose calls are watched, as far as they can be, with what their names led to then."""

    def imported_by(self, frame: FrameType) -> None:
        """Somebody imports the module, not for the first time; `frame` asks whether it is unfinished."""
        try:
            for target in self._targets():
                if target.ref in self._watched:
                    continue
                self._watched.add(target.ref)
                if target.kind == "module":
                    self._watch_imports(target, frame)
                else:
                    self._watch_reads(target)
        except TypeError:  # what stands there for the module takes no other class: arming it will say so
            pass
        self._watch_calls()

    def end(self) -> None:
        """Watch no more: the module's code has run."""
        while self._undo:
            self._undo.pop()()
        while self._heard:
            target, _ = self._heard.popitem()
            target.objects, target.cls = (), None  # who arms it asks whether anybody holds the function
        names.give_back(self._module, self._plain)

    def _targets(self) -> list[Target]:
        """The targets that may be told by reads of a name in the module, or by its imports."""
        patcher, found = self._patcher, []
        for target in patcher.wanted.exact.get(self._name, ()):
            may_be_read = target.kind != "parameter" and "." not in target.qualname and not target.removed
            if target.kind == "module" or may_be_read:
                found.append(target)
        for wildcard in patcher.wanted.wildcards(self._name):
            if wildcard.kind != "parameter":
                found += self._made_by(wildcard)
        return found

    def _made_by(self, wildcard: Target) -> list[Target]:
        if not wildcard.qualname:
            return [self._patcher.add(wildcard.child(self._name))]
        if "." in wildcard.qualname:
            return []
        children = []
        for name in matching_names(self._module, self._name, wildcard.qualname):
            found = find(self._module, name)
            if found is not None and _is_told_by_reads(wildcard, found):
                children.append(self._patcher.add(wildcard.child(f"{self._name}:{name}")))
        return children

    def _watch_calls(self) -> None:
        """Of what is defined by now."""
        patcher = self._patcher
        refs = [target.ref for target in patcher.wanted.exact.get(self._name, ()) if not target.parameter]
        for wildcard in patcher.wanted.wildcards(self._name):
            if wildcard.qualname and not wildcard.parameter:
                names = matching_names(self._module, self._name, wildcard.qualname)
                refs += [patcher.add(wildcard.child(f"{self._name}:{name}")).ref for name in names]
        for target in map(patcher.by_ref.__getitem__, dict.fromkeys(refs)):
            found = find(self._module, target.qualname) if target.qualname else None
            if found is not None and self._heard.get(target) is not found.value:
                self._heard[target] = found.value
                self._watch_calls_of(target, found)

    def _watch_calls_of(self, target: Target, found: Found) -> None:
        patcher = self._patcher
        in_place = patcher.in_place
        use, functions, cls = _run_by(target.declared_kind or kind_of(found), found)
        functions = [one for one in functions if not patcher.is_another_name(found.owner, found.name, one)]
        if functions:
            target.cls = found.value if use == "construct" else None
            target.objects = [found.value] if use == "construct" else functions
        for function in functions:
            tap = patcher.tap(target, use)
            try:
                watch = in_place.arm(function, tap) if cls is None else in_place.arm_for_class(function, cls, tap)
            except in_place.unavailable:
                continue
            self._undo.append(watch)

    def _watch_imports(self, target: Target, frame: FrameType) -> None:
        recorder, tap = self._patcher.recorder, self._patcher.tap(target, "import")
        self._undo.append(names.arm_module(recorder, self._module, tap))
        own, ignores = vars(self._module), tap.ignores
        # its own `from . import part` is how it comes to be
        tap.ignores = lambda reader: reader.f_globals is own or (ignores is not None and ignores(reader))
        importer = names.importing_frame(frame)  # it looked at the module before it was watched
        if importer is not None and not names.is_not_an_import(frame):
            recorder.first_sight_known(tap, importer)

    def _watch_reads(self, target: Target) -> None:
        """What the name leads to is looked at when somebody reads it: it may be defined only later."""
        patcher, module = self._patcher, self._module
        tap = patcher.tap(target, "access")
        count = patcher.recorder.hooks.frame_callback(tap)

        def count_read(frame: FrameType | None) -> None:
            with patcher.recorder.errors.guard_in_host("count"):
                found = find(module, target.qualname)
                if "__getattr__" in vars(module) if found is None else _is_told_by_reads(target, found):
                    count(frame)

        self._undo.append(names.arm_name(patcher.recorder, module, target.qualname, tap, count_read))


def _run_by(kind: str, found: Found) -> tuple[str, list[Any], type | None]:
    """What a use of this is, the functions that run then, and the class for which alone they tell of one."""
    value = found.value
    if kind == "class":
        if has_no_constructor(value):
            return "construct", [], None
        names = names_of_class(value)
        for name in _CONSTRUCTORS:
            if name in names:
                return "construct", [unwrapped(function_of(names[name]))], None
        makers = [unwrapped(function_of(inherited(value, name))) for name in _CONSTRUCTORS]
        return "construct", [maker for maker in makers if inplace.fits(maker)][:1], value
    if passes_for(value, property):
        return "access", [part for part in (value.fget, value.fset, value.fdel) if part is not None], found.through
    return ("access" if kind == "attribute" else "call"), [unwrapped(function_of(value))], found.through


def _is_told_by_reads(target: Target, found: Found) -> bool:
    """Whether reads of a module's name are what will be counted, as far as that can be said before it is armed."""
    kind = target.declared_kind or kind_of(found)
    if kind == "class":
        return has_no_constructor(found.value)
    return kind == "attribute" and not passes_for(found.value, property) and not is_cached_property(found.value)
