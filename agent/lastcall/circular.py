"""Reads of a module's names, and imports of it, by others while its own code still runs: a circular import.

Its targets are armed when that code has run; who imports the module before reads names that nobody watches yet. So
from the first such import on, of which the spec of the unfinished module tells, they are watched until they are armed.
"""

from __future__ import annotations

from .arming_classes import has_no_constructor
from .asking import passes_for
from .engines import names
from .lookup import Found, find, is_cached_property, kind_of

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, ModuleType

    from .patch import Patcher
    from .targets import Target


class Circle:
    """What watches one module while its code runs."""

    def __init__(self, patcher: Patcher, module: ModuleType, name: str) -> None:
        self._patcher = patcher
        self._module = module
        self._name = name
        self._plain = type(module)
        self._undo: list[Callable[[], None]] = []
        self._watched: set[str] = set()

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

    def end(self) -> None:
        """Watch no more: the module's code has run."""
        while self._undo:
            self._undo.pop()()
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
        from .arming_wildcards import matching_names

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


def _is_told_by_reads(target: Target, found: Found) -> bool:
    """Whether reads of a module's name are what will be counted, as far as that can be said before it is armed."""
    kind = target.declared_kind or kind_of(found)
    if kind == "class":
        return has_no_constructor(found.value)
    return kind == "attribute" and not passes_for(found.value, property) and not is_cached_property(found.value)
