"""Follows a path from file to file until it arrives at a definition: aliases, re-exports, stars,
instances."""

from __future__ import annotations

import builtins
import collections.abc
import os
import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_ABSTRACT = ("collections.abc", "typing")
"""Where Python keeps its abstract classes, under the same names."""
_LEADING = ("import", "assign")
"""Bindings that lead on to something else."""
_NOT_IMPORTED = frozenset(("antigravity", "this", "idlelib", "turtledemo", "test", "__main__"))
"""Modules of Python's own that do something when they are imported."""
_LIBRARY = os.path.join(os.path.dirname(os.path.realpath(os.__file__)), "")
_DEEPEST = 30
"""Longer chains of re-exports are circles."""
_WIDEST = 8
"""A path that may lead to more things than this may as well lead anywhere."""

UNKNOWN = "?"
"""What nothing is known of: a result without an annotation, an attribute that nobody is seen to set. `?.name` is a
name of it, and `().name` a name of what is at least an object of some class."""
_STAND_INS = ("Proxy", "Lazy", "Mock", "Depends", "Wrapper", "ContextVar")
"""Classes of other packages whose instances answer for an object that they were given."""
_LOWERCASE_CLASSES = frozenset(
    (
        "collections.deque",
        "collections.defaultdict",
        "datetime.datetime",
        "datetime.date",
        "datetime.timedelta",
    )
)


class Graph:
    """The bindings of every module of a tree, loaded as they are asked for.

    `load(module)` gives the result of `bindings.bind` for a module, or None if the tree has none of that
    name; it is called once for each module. `has(module)` tells whether there is one, or a package above one.
    """

    def __init__(self, load: Callable[[str], dict[str, Any] | None], has: Callable[[str], bool]) -> None:
        self._load = load
        self._has = has
        self._loaded: dict[str, dict[str, Any] | None] = {}
        self._steps: dict[tuple[str, str], tuple[str, ...]] = {}
        self._registered: dict[str, set[str]] = {}
        self._twofold: set[str] = set()
        """Names that a file defines and takes from elsewhere, by turns."""
        self._home = ""
        self.passed_through: set[str] = set()
        """Every `module.name` that some path went through on its way to somewhere else: a re-export at
        work."""

    def bindings(self, module: str) -> dict[str, Any] | None:
        """The bindings of a module, or None."""
        if module not in self._loaded:
            bindings = self._load(module)
            self._loaded[module] = bindings
            if bindings is not None:
                self.replace(module, bindings)
        return self._loaded[module]

    def replace(self, module: str, bindings: dict[str, Any]) -> None:
        """Take a module's bindings that were computed elsewhere."""
        self._loaded[module] = bindings
        self._twofold.update(f"{module}.{name}" for name, export in bindings["exports"].items() if export[4])
        self.note_registered(bindings)

    def note_registered(self, bindings: dict[str, Any]) -> None:
        """Take what a file registers with abstract classes."""
        for name, bases in bindings["registered"].items():
            self._registered.setdefault(name, set()).update(bases)

    def forget(self, module: str) -> None:
        """Load a module's bindings again when they are next asked for."""
        self._loaded.pop(module, None)

    def trail(self, path: str, home: str = "") -> Iterator[tuple[str, bool]]:
        """Every name that `path` stands for on its way, with whether it is the end of the path or a part
        before it.

        The first is the path as spelled, the last the definition; in between lie the re-exports and aliases.
        What is called on the way is left out: the call is a use of its own. A path in the module `home` that
        starts with a name of that module does not make it a re-export.
        """
        self._home = home
        parts = _split(path)
        currents: tuple[str, ...] = (parts[0],)
        if parts[1:2] not in (["()"], ["^"]):
            yield parts[0], len(parts) == 1
        for number, part in enumerate(parts[1:], 2):
            is_last = number == len(parts)
            is_called = not is_last and parts[number] in ("()", "^")
            following: list[str] = []
            for current in currents:
                for name, is_end in self._advance(current, part, 0):
                    if not is_called:
                        yield name, is_last
                    if is_end and name not in following:
                        following.append(name)
            currents = _at_most(following)
            if not currents:
                return

    def resolve(self, path: str, depth: int = 0) -> tuple[str, ...]:
        """Where a path arrives."""
        if depth > _DEEPEST:
            return ()
        known = self._steps.get((path, ""))
        if known is not None:
            return known
        self._steps[path, ""] = ()  # a circle of aliases arrives nowhere
        parts = _split(path)
        currents: tuple[str, ...] = (parts[0],)
        for part in parts[1:]:
            ends = dict.fromkeys(
                name
                for current in currents
                for name, is_end in self._advance(current, part, depth + 1)
                if is_end
            )
            currents = _at_most(list(ends))
        self._steps[path, ""] = currents
        return currents

    def _advance(self, current: str, part: str, depth: int) -> Iterator[tuple[str, bool]]:
        """The names met between `current` and its `part`; True marks where it arrives.

        `?.part` among them: it may be anybody's attribute of that name.
        """
        if depth > _DEEPEST:
            return
        if current == UNKNOWN:
            yield from _of_unknown(part)
            return
        if part == "()":
            yield from self._called(current, depth)
            return
        owner, qualname = self.locate(current)
        if part == "^":
            yield current.removesuffix("()") + "^", True
        elif owner is None:
            yield from _of_outside(current, part)
        elif not qualname:
            yield from self._member_of_module(owner, part, depth)
        elif part == "__class__" and qualname.endswith("()"):
            yield current.removesuffix("()"), True
        elif qualname.endswith("()"):
            yield from self._member_of_instance(owner, qualname, part, depth)
        elif qualname.endswith("^"):
            yield from self._inherited(owner, qualname[:-1], part, depth)
        else:
            yield from self._member_of_class(owner, qualname, part, depth)

    def locate(self, name: str) -> tuple[str | None, str]:
        """(module of the tree, qualified name in it) of a canonical name; (None, "") if it lies outside."""
        bare = name.replace("()", "").replace("^", "")
        split = len(bare)
        while split > 0:
            module = bare[:split]
            if self._has(module):
                return module, name[split + 1 :]
            split = bare.rfind(".", 0, split)
        return None, ""

    def is_clear(self, path: str) -> bool:
        """Whether a path arrives at one thing only."""
        return len(self.resolve(path)) == 1

    def is_other(self, path: str, end: str) -> bool:
        """Whether a path starts with a name that its file defines, and `end` is what that name is otherwise."""
        return any(
            f"{path}.".startswith((f"{name}.", f"{name}()")) and not f"{end}.".startswith(f"{name}.")
            for name in self._twofold
        )

    def ancestors(self, name: str) -> set[str]:
        """The classes that a class inherits from or was registered with, those of other packages included."""
        found: set[str] = set()
        pending = [name]
        while pending:
            name = pending.pop()
            export = self._export_at(name)
            bases = export[3] if export is not None and export[0] == "class" else ()
            for base in (*bases, *self._registered.get(name, ())):
                new = {end for end in self.resolve(base) if end != UNKNOWN} - found
                found |= new
                pending.extend(new)
        return found

    def _follow(self, name: str, export: list[Any], depth: int) -> Iterator[tuple[str, bool]]:
        """A binding: a definition is where it ends; an import or an alias leads on."""
        how, _, _, paths, others = export
        is_definition = how not in ("import", "assign")
        leads = [path for path in (others if is_definition else paths) if path != name]
        yield name, is_definition or not leads
        for path in leads:
            if how == "import" and (depth > 1 or not name.startswith(self._home + ".")):
                self.passed_through.add(name)
            ends = self.resolve(path, depth + 1)
            for passed in self._between(path, depth + 1):
                if passed not in ends:
                    yield passed, False
            for end in self._kept(path, ends):
                yield end, True
            if not ends:
                yield path, True

    def _kept(self, path: str, ends: tuple[str, ...]) -> tuple[str, ...]:
        """What a name holds that was given `path`: a property that was read from an instance left its value."""
        if "()" not in path or not ends:
            return ends
        return tuple(end for end in ends if not self.is_property(end)) or (UNKNOWN,)

    def is_property(self, name: str) -> bool:
        """Whether the tree defines a property of this name."""
        export = self._export_at(name)
        return export is not None and export[0] == "property"

    def _between(self, path: str, depth: int) -> list[str]:
        """The names that a path stands for on its way, its parts before the last left out."""
        head, _, last = path.rpartition(".")
        if not head or depth > _DEEPEST:
            return []
        return [
            name
            for current in self.resolve(head, depth + 1)
            for name, is_end in self._advance(current, last, depth + 1)
            if not is_end
        ]

    def _member_of_module(self, module: str, part: str, depth: int) -> Iterator[tuple[str, bool]]:
        name = f"{module}.{part}"
        bindings = self.bindings(module)
        export = bindings["exports"].get(part) if bindings else None
        if export is not None and not (export[0] == "import" and export[3] == [name]):
            yield from self._follow(name, export, depth)
            return
        if self._has(name) or bindings is None:
            yield name, True
            return
        for star in bindings["stars"]:
            if star != module and self.star_gives(star, part, depth + 1):
                self.passed_through.add(name)
                yield name, False
                yield from self._member_of_module(star, part, depth + 1)
                return
        yield name, True
        for star in bindings["stars"]:
            if not self._has(star):
                yield f"{star}.{part}", False
        if "__getattr__" in bindings["exports"]:
            yield from _of_unknown(part)

    def star_gives(self, module: str, part: str, depth: int = 0) -> bool:
        """Whether `from module import *` brings `part`."""
        if depth > _DEEPEST or not self._has(module):
            return False
        bindings = self.bindings(module)
        if bindings is None:
            return False
        if bindings["all"] is not None and part not in bindings["all"]:
            return False
        if bindings["all"] is None and part.startswith("_"):
            return False
        if part in bindings["exports"]:
            return True
        return any(star != module and self.star_gives(star, part, depth + 1) for star in bindings["stars"])

    def _member_of_class(
        self, module: str, qualname: str, part: str, depth: int
    ) -> Iterator[tuple[str, bool]]:
        bindings = self.bindings(module)
        exports = bindings["exports"] if bindings else {}
        own = exports.get(f"{qualname}.{part}")
        if own is not None:
            yield from self._follow(f"{module}.{qualname}.{part}", own, depth)
            return
        yield from self._inherited(module, qualname, part, depth)

    def _inherited(self, module: str, qualname: str, part: str, depth: int) -> Iterator[tuple[str, bool]]:
        """What a class has from its bases, as `super()` would find it."""
        outside: list[str] = []
        for resolved in self._bases(module, qualname, depth):
            defining = [base for base in resolved if self._defines(base, part, depth + 1)]
            for base in defining:
                yield from self._advance(base, part, depth + 1)
            if defining:
                return
            outside.extend(base for base in resolved if self.locate(base)[0] is None)
        yield f"{module}.{qualname}.{part}", True
        if any(_builtin_has(base, part) for base in outside):
            return
        for base in outside:  # a class of some other package, which may define it
            yield f"{base}.{part}", False
        if self._defines(f"{module}.{qualname}", "__getattr__", depth + 1):  # it may stand for anything
            yield from _of_unknown(part)
            return
        # Or whoever inherits from a mixin, whoever sets it from outside.
        yield f"().{part}", False
        yield UNKNOWN, True

    def _bases(self, module: str, qualname: str, depth: int) -> Iterator[list[str]]:
        """What each base of a class may be."""
        export = self._export_at(f"{module}.{qualname}")
        for base in export[3] if export is not None and export[0] == "class" else ():
            yield [end for end in self.resolve(base, depth + 1) if end != f"{module}.{qualname}"]

    def _defines(self, name: str, part: str, depth: int) -> bool:
        """Whether a class of the tree, or one of its bases, defines `part`."""
        owner, qualname = self.locate(name)
        bindings = self.bindings(owner) if owner and qualname and depth <= _DEEPEST else None
        if owner is None or bindings is None:
            return False
        if f"{qualname}.{part}" in bindings["exports"]:
            return True
        return any(
            self._defines(base, part, depth + 1) for bases in self._bases(owner, qualname, depth) for base in bases
        )

    def _member_of_instance(
        self, module: str, qualname: str, part: str, depth: int
    ) -> Iterator[tuple[str, bool]]:
        bindings = self.bindings(module)
        own = bindings["exports"].get(f"{qualname}.{part}") if bindings else None
        of_class = list(self._member_of_class(module, qualname.removesuffix("()"), part, depth))
        # What is assigned to a property its setter takes; else an object's own attribute comes first, where it has one.
        if own is not None and not any(is_end and self.is_property(name) for name, is_end in of_class):
            yield from self._follow(f"{module}.{qualname}.{part}", own, depth)
            if not all(self._is_told(name) for name, is_end in of_class if is_end):
                return
        for name, is_end in of_class:
            yield name, is_end
            if not is_end or name == UNKNOWN:
                continue
            kept = self._export_at(name)
            if kept is not None and kept[0] == "property":
                for path in kept[3]:
                    for end in self.resolve(path, depth + 1):
                        yield end, True

    def _is_told(self, name: str) -> bool:
        """Whether a name is known to stand for something: `None` in a class's body says nothing."""
        export = self._export_at(name)
        return name != UNKNOWN and (export is None or export[0] != "assign" or bool(export[3]))

    def _called(self, current: str, depth: int) -> Iterator[tuple[str, bool]]:
        """What calling `current` gives: an instance of a class, or what a function's annotation promises."""
        export = self._export_at(current)
        if current.endswith("()"):
            yield UNKNOWN, True
        elif export is None:
            known = self.locate(current)[0] is None and "()" not in current and _is_foreign_class(current)
            yield current + "()" if known else UNKNOWN, True
        elif export[0] == "class":
            yield current + "()", True
        elif export[0] == "def" and export[3]:
            for path in export[3]:
                for end in self.resolve(path, depth + 1) or (UNKNOWN,):
                    yield end, True
        else:
            yield UNKNOWN, True

    def _export_at(self, name: str) -> list[Any] | None:
        owner, qualname = self.locate(name)
        bindings = self.bindings(owner) if owner and qualname else None
        found: list[Any] | None = bindings["exports"].get(qualname) if bindings else None
        return found


def together(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What a module binds that several files may be: all that one of them does, since any may be meant."""
    first, *others = found
    if not others:
        return first
    result = {**first, "exports": dict(first["exports"]), "stars": [*first["stars"]]}
    for other in others:
        for key, value in other.items():
            if isinstance(value, dict) and key != "exports":
                result[key] = {**value, **result[key]}
        result["stars"] += [star for star in other["stars"] if star not in result["stars"]]
        result["all"] = None if None in (result["all"], other["all"]) else [*result["all"], *other["all"]]
        for name, export in other["exports"].items():
            known = result["exports"].get(name)
            result["exports"][name] = export if known is None else _either(known, export)
    return result


def _either(one: list[Any], other: list[Any]) -> list[Any]:
    """Two bindings of a name: what leads on comes first, and to wherever both of them do."""
    if one[0] not in _LEADING and other[0] in _LEADING:
        one, other = other, one
    if (one[0] in _LEADING) != (other[0] in _LEADING):
        return one
    lists = zip(one[3:], other[3:], strict=True)
    return [*one[:3], *(list(dict.fromkeys([*mine, *theirs])) for mine, theirs in lists)]


def abstract_bases(name: str) -> Iterator[str]:
    """What Python's own abstract class of this name is as well: a `MutableMapping` is a `typing.Mapping`."""
    module, _, last = name.rpartition(".")
    known = getattr(collections.abc, last, None) if module in _ABSTRACT else None
    for base in known.__mro__[:-1] if isinstance(known, type) else ():
        yield from (f"{home}.{base.__name__}" for home in _ABSTRACT)


@cache
def standard_defines(name: str, part: str) -> bool:
    """Whether a class of Python's own, `object` left out, has a member `part`: Python's own code may call it."""
    owner = _standard_class(name)
    return any(part in vars(base) for base in owner.__mro__ if base is not object) if owner else False


def _standard_class(name: str) -> type | None:
    module, _, last = name.rpartition(".")
    if module in _ABSTRACT:
        found = getattr(collections.abc, last, None)
    else:
        top = module.partition(".")[0]
        if not is_standard(top) or top in _NOT_IMPORTED or not _comes_with_python(top):
            return None
        try:
            found = getattr(import_module(module), last, None)
        except (ImportError, OSError, RuntimeError, AttributeError, Warning):  # not on this system, or not to import
            return None
    return found if isinstance(found, type) else None


def _comes_with_python(top: str) -> bool:
    """Whether a name of the standard library's is not taken by a file of somebody's, which is not to be run."""
    try:
        spec = find_spec(top)
    except ValueError:
        return False
    origin = (spec.origin if spec is not None else None) or ""
    is_in_its_folder = os.path.realpath(origin).startswith(_LIBRARY) and "site-packages" not in origin
    return origin in ("built-in", "frozen") or is_in_its_folder


def _split(path: str) -> list[str]:
    """`a.b().c` as `a`, `b`, `()`, `c`; the `^` of `a.B^.c` as a part of its own likewise."""
    return path.replace("()", ".()").replace("^", ".^").split(".")


def _at_most(names: list[str]) -> tuple[str, ...]:
    return tuple(names if len(names) <= _WIDEST else [*names[:_WIDEST], UNKNOWN])


def _of_unknown(part: str) -> Iterator[tuple[str, bool]]:
    if part not in ("()", "^"):
        yield f"{UNKNOWN}.{part}", False
    yield UNKNOWN, True


def _of_outside(current: str, part: str) -> Iterator[tuple[str, bool]]:
    """An attribute of something that the tree does not define."""
    yield f"{current}.{part}", True
    top = current.partition(".")[0]
    if "()." in current or ("." in current and "()" not in current and not is_standard(top)):
        # What other packages keep for this one (`request.app.state`), or a name of theirs that is no module.
        yield f"().{part}", False


def is_standard(top: str) -> bool:
    """Whether a package is Python's own."""
    return top == "builtins" or top in sys.stdlib_module_names


def _is_foreign_class(name: str) -> bool:
    """Whether calling something of another package surely gives an instance of that package's."""
    last = name.rpartition(".")[2]
    if name.startswith("builtins."):
        return last not in ("super", "type") and isinstance(getattr(builtins, last, None), type)
    if name in _LOWERCASE_CLASSES:
        return True
    return last.lstrip("_")[:1].isupper() and not any(word in last for word in _STAND_INS)


def _builtin_has(base: str, part: str) -> bool:
    top, _, name = base.partition(".")
    found = getattr(builtins, name, None) if top == "builtins" else None
    return isinstance(found, type) and hasattr(found, part)
