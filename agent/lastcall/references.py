"""Who refers to a target in a source tree, without importing it.

    for reference in static_references("src", ["pkg.legacy:make_client"]):
        print(reference.file, reference.line, reference.kind, reference.expression)

Python files that mention a target's last name are parsed, and every mention is followed through imports,
aliases, re-exports and `import *` to the definition it means. Names that turn out to be aliases of a target
are searched for in the same way, until no new one appears.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lastcall.errors import UsageError
from lastcall.scanning.finding import Skipped
from lastcall.scanning.outside_python import OutsidePython, mentioned, mentions
from lastcall.scanning.passing import CONSTRUCTORS, passes
from lastcall.scanning.referring import (
    Definition,
    ReferenceKind,
    StaticReference,
    StaticSearch,
    without_weaker,
)
from lastcall.scanning.resolving import Graph, abstract_bases, is_standard, standard_defines, together
from lastcall.scanning.tree import SourceFile, Tree, holds_tests, is_test_path, read_tree
from lastcall.scanning.work import WORKERS, Item, analyse
from lastcall.targets import BadReferenceError, Ref

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence

    from lastcall.scanning.cache import Cache
    from lastcall.scanning.work import Progress

_BODIES = frozenset(("def", "class", "property", "module"))
"""Definitions that have an inside."""
_PROTOCOLS = frozenset(("typing.Protocol", "typing_extensions.Protocol"))

_WORD = re.compile(r"\w+")
_STAR = re.compile(rb"\bimport[ \t]*\(?[ \t]*\*")
_MOST_ROUNDS = 6


def static_references(
    root: str | os.PathLike[str],
    refs: Iterable[str],
    *,
    exclude: Sequence[str] = (),
    cache: Cache | None = None,
    progress: Progress | None = None,
    workers: int = WORKERS,
) -> list[StaticReference]:
    """Every place below `root` that refers to one of `refs` (object references, no wildcards), by file and
    line.

    The definition itself is not among them. Raises UsageError for a bad reference or a root that is not
    there.
    """
    return search(root, refs, exclude=exclude, cache=cache, progress=progress, workers=workers).references


def nearest(ref: str, root: str | os.PathLike[str]) -> list[str]:
    """Up to three references that the tree at `root` defines and that are spelled like `ref`."""
    from difflib import get_close_matches

    found = _Search(read_tree(root), [ref], None, None, 1)
    return get_close_matches(ref, found.neighbours(found.targets[0]), n=3, cutoff=0.6)


def definition_of(ref: str, root: str | os.PathLike[str]) -> Definition | None:
    """Where the tree at `root` defines `ref`, or None if it does not. Raises UsageError as
    `static_references`."""
    found = _Search(read_tree(root), [ref], None, None, 1)
    found.settle()
    return found.definition(found.targets[0])


def search(
    root: str | os.PathLike[str],
    refs: Iterable[str],
    *,
    exclude: Sequence[str] = (),
    cache: Cache | None = None,
    progress: Progress | None = None,
    workers: int = WORKERS,
) -> StaticSearch:
    """As `static_references`, with the definitions and with what could not be read."""
    return _Search(read_tree(root, exclude), list(refs), cache, progress, workers).run()


class _Target:
    """A reference, taken apart."""

    __slots__ = ("constructs", "leaf", "name", "owner", "parameter", "path", "ref", "top")

    def __init__(self, ref: str) -> None:
        try:
            parsed = Ref(ref)
        except BadReferenceError as error:
            raise UsageError(str(error)) from None
        if parsed.wild:
            raise UsageError(
                f"{ref}: wildcards name no single definition; list the targets (lastcall scan finds them)"
            )
        self.ref = parsed.text
        self.parameter = parsed.parameter
        qualname = parsed.qualname
        self.constructs = qualname.endswith(CONSTRUCTORS)
        if self.constructs:
            qualname = qualname.rpartition(".")[0]  # who calls a constructor names the class
        self.path = f"{parsed.module}.{qualname}" if qualname else parsed.module
        self.name = self.path.rpartition(".")[2]
        self.owner = self.path[: -len(self.name) - 1] if "." in qualname else ""
        """The class, for a method: the tree's name for it."""
        self.top, self.leaf = parsed.module.partition(".")[0], parsed.module.rpartition(".")[2]

    def settle(self, home: str, member: str) -> None:
        """Take another name for the class, the one it is defined under."""
        self.path = home + member
        self.name = self.path.rpartition(".")[2]
        self.owner = home if member else ""


class _Search:
    def __init__(
        self, tree: Tree, refs: list[str], cache: Cache | None, progress: Progress | None, workers: int
    ) -> None:
        self.targets = [_Target(ref) for ref in refs]
        for path, relative in tree.scripts:  # nobody imports them: a name that no module can have
            tree.files.append(SourceFile(path, relative, relative, is_package=False, is_test=is_test_path(relative)))
        self._tree = tree
        self._cache = cache
        self._progress = progress
        self._workers = workers
        self._by_module: dict[str, list[int]] = {}
        """The files that go by a module's name: two services may both have an `app`, and old copies lie about."""
        self._packages: set[str] = set()
        for index, file in enumerate(tree.files):
            known = self._by_module.setdefault(file.module, [])
            if file.path.endswith(".pyi") and any(not tree.files[one].path.endswith(".pyi") for one in known):
                continue
            if not file.path.endswith(".pyi"):
                known[:] = [one for one in known if not tree.files[one].path.endswith(".pyi")]
            known.append(index)
            parts = file.module.split(".")
            self._packages.update(".".join(parts[:end]) for end in range(1, len(parts)))
        self._by_path: dict[str, list[_Target]] = {}
        for target in self.targets:
            self._by_path.setdefault(target.path, []).append(target)
        self._of_relatives: dict[str, list[_Target]] = {}
        """Methods that a target overrides: whoever calls one of them may mean the target."""
        self._of_classes: dict[str, list[_Target]] = {}
        """By class: methods that are called without being named, by operators and by Python's own code."""
        self._graph = Graph(self._load, self._has)
        self._results: dict[int, dict[str, Any]] = {}
        self._names: set[str] = set()
        self._unreadable: dict[int, str] = {}
        self._unread: dict[str, Skipped] = {}

    def _has(self, module: str) -> bool:
        return module in self._by_module or module in self._packages

    def _load(self, module: str) -> dict[str, Any] | None:
        found = [bound for index in self._by_module.get(module, ()) if (bound := self._bound(index)) is not None]
        return together(found) if found else None

    def _bound(self, index: int) -> dict[str, Any] | None:
        """What one file binds; None if it cannot be read."""
        known = self._results.get(index)
        if known is None and index not in self._unreadable:
            file = self._tree.files[index]
            known = analyse([Item(file.path, [file.module, file.is_package, []])], "bind", workers=1)[0].value
        return known

    def run(self) -> StaticSearch:
        names = {target.name for target in self.targets}
        for _ in range(_MOST_ROUNDS):
            new = names - self._names
            if not new:
                break
            self._names |= new
            self._bind_files_that_mention(new)
            self.settle()
            names = {target.name for target in self.targets} | self._aliases() | self._heirs() | self._unnamed()
        self._note_overridden()
        result = StaticSearch(self._tree.root)
        result.references = sorted(
            {*self._from_python(), *self._from_the_rest(result)},
            key=lambda item: (item.target, item.file, item.line, item.column, item.kind),
        )
        result.unread = [*self._tree.unread, *self._unread.values()]
        result.read = {
            file.path
            for index, file in enumerate(self._tree.files)
            if index not in self._unreadable and file.file not in self._unread
        }
        for target in self.targets:
            if not self._has(target.top):
                result.outside.add(target.ref)
            definition = self.definition(target)
            if definition is not None:
                result.definitions[target.ref] = definition
        return result

    def settle(self) -> None:
        """Find where the classes are defined whose methods and constructors are targets: `pkg:Client.send` may be one
        of `pkg.client`."""
        for target in self.targets:
            member = target.path[len(target.owner) :] if not target.constructs else ""
            home = target.path if target.constructs else target.owner
            ends = [end for end in self._graph.resolve(home) if self._graph.locate(end)[1]] if home else []
            for end in ends:
                known = self._by_path.setdefault(end + member, [])
                if target not in known:
                    known.append(target)
            if ends and home not in ends:
                target.settle(ends[0], member)

    # -- which files, and what they bind

    def _bind_files_that_mention(self, new: set[str]) -> None:
        encoded = {name.encode(): name for name in self._names}
        fresh = {name.encode() for name in new}
        # A star import hands names on without mentioning them; it does mention the module, or one on the way.
        modules = {part.encode() for target in self.targets for part in target.path.split(".")[:-1]}
        # An argument of a constructor is passed by `super().__init__` too, in a class whose bases mention the class.
        passes = any(target.parameter and target.constructs for target in self.targets)
        constructors = ["__init__", "__new__"] if passes else []
        items: list[Item] = []
        places: list[int] = []
        for index, file in enumerate(self._tree.files):
            try:
                data = Path(file.path).read_bytes()
            except OSError as error:
                self._unread[file.file] = Skipped(file.file, f"cannot be read: {error.strerror}")
                continue
            if not mentions(data, fresh) and not (_STAR.search(data) and mentions(data, modules)):
                continue
            if file.is_test and not holds_tests(file.file, data):
                self._take_for_production(index)
            names = sorted(encoded[name] for name in mentioned(data, set(encoded)))
            names += constructors
            items.append(Item(file.path, [file.module, file.is_package, names]))
            places.append(index)
        outcomes = analyse(items, "bind", cache=self._cache, progress=self._progress, workers=self._workers)
        for index, outcome in zip(places, outcomes, strict=True):
            if outcome.value is None:
                self._unreadable[index] = outcome.reason
                continue
            self._results[index] = outcome.value
            file = self._tree.files[index]
            if self._by_module.get(file.module) == [index]:
                self._graph.replace(file.module, outcome.value)
            else:
                self._graph.forget(file.module)
                self._graph.note_registered(outcome.value)

    def _take_for_production(self, index: int) -> None:
        """A file is no test, whatever it is called: what it refers to would break."""
        self._tree.files[index] = replace(self._tree.files[index], is_test=False)

    def _aliases(self) -> set[str]:
        """Names at module or class level by which other files can reach a target, or a method target's
        class."""
        found: set[str] = set()
        for index, result in self._results.items():
            module = self._tree.files[index].module
            for qualname, export in result["exports"].items():
                name = qualname.rpartition(".")[2]
                if name in self._names:
                    continue
                for path in export[3] if export[0] in ("import", "assign") else export[4]:
                    last = path.rpartition(".")[2]
                    if last in self._names and (self._hits(path, module) or self._by_class(path)):
                        found.add(name)
        return found

    def _heirs(self) -> set[str]:
        """Classes without a constructor of their own: making one passes arguments to the inherited one."""
        found: set[str] = set()
        for target in self.targets:
            if target.parameter and target.constructs:
                for suffix in CONSTRUCTORS:
                    self._by_path.setdefault(target.path + suffix, [target])
        for index, result in self._results.items():
            module = self._tree.files[index].module
            for qualname, export in result["exports"].items():
                if export[0] != "class" or any(qualname + end in result["exports"] for end in CONSTRUCTORS):
                    continue
                heir = self._by_path.setdefault(f"{module}.{qualname}", [])
                for base in export[3]:
                    for end in self._graph.resolve(base):
                        more = [
                            item for item in self._by_path.get(end, ()) if item.parameter and item.constructs
                        ]
                        found.update(qualname.rpartition(".")[2] for item in more if item not in heir)
                        heir.extend(item for item in more if item not in heir)
        return found

    def _from_the_rest(self, result: StaticSearch) -> Iterable[StaticReference]:
        """From what is not Python, and from Python that cannot be read."""
        unreadable = [(self._tree.files[index], reason) for index, reason in self._unreadable.items()]
        result.skipped += [Skipped(file.file, reason) for file, reason in unreadable]
        rest = OutsidePython(self._tree, self.targets, self._unread)
        yield from rest.texts(self._names, lambda name: self._hits(name, ""))
        yield from rest.templates()
        yield from rest.words(unreadable)

    def _unnamed(self) -> set[str]:
        """Classes of targets that are called without being named: who names the class may use them."""
        for target in self.targets:
            if not target.owner or target.parameter or target in self._of_classes.get(target.owner, ()):
                continue
            is_operator = target.name.startswith("__") and target.name.endswith("__")
            if is_operator or any(
                standard_defines(base, target.name) for base in self._graph.ancestors(target.owner)
            ):
                self._of_classes.setdefault(target.owner, []).append(target)
        return {name.rpartition(".")[2] for name in self._of_classes}

    def _by_class(self, path: str, module: str = "") -> list[_Target]:
        """Targets that are called without being named, of a class that a path leads to or through."""
        if not self._of_classes or path.endswith(".*"):
            return []
        names = [name for name, _ in self._graph.trail(path, module)]
        return [target for name in dict.fromkeys(names) for target in self._of_classes.get(name, ())]

    # -- from uses to references

    def _from_python(self) -> Iterable[StaticReference]:
        found: list[tuple[StaticReference, int, str]] = []
        for index, result in self._results.items():
            file = self._tree.files[index]
            for use in result["uses"]:
                path = use[1].removeprefix("~")
                hits = self._hits(path, file.module)
                if not hits and use[0] == "string" and use[6] and not self._has(path):
                    hits = self._in_short(path)
                for target, whole, is_sure in hits:
                    # Under another name: an alias, if this place can be reached with nothing else in it.
                    named = target.name in use[5]
                    parts = _WORD.findall(use[5])
                    if "()" in path and self._is_apart(target, parts, named=named or whole, sure=is_sure):
                        continue
                    certain = is_sure and (named or (path == use[1] and self._graph.is_clear(path)))
                    certain = certain and not self._graph.is_other(path, target.path)
                    reference = self._reference(target, file, use, whole=whole, certain=certain)
                    if reference is not None and not self._is_inside_definition(reference, target):
                        found.append((reference, index, path))
                found.extend((item, index, path) for item in self._through_classes(file, use, path))
        used: dict[int, set[str]] = {}
        for item, index, _ in found:
            if item.kind not in ("import", "all", "docs", "string"):
                used.setdefault(index, set()).add(item.expression.split(".")[0])
        # Only when every path has been followed is it known which imports others go through.
        return without_weaker(
            self._as_re_export(item, path, index, used.get(index, set())) for item, index, path in found
        )

    def _through_classes(self, file: SourceFile, use: list[Any], path: str) -> Iterable[StaticReference]:
        for target in self._by_class(path, file.module) if use[0] not in ("all", "docs") else ():
            item = self._reference(target, file, use, whole=True, certain=False)
            module, qualname = self._graph.locate(target.owner)
            bindings = self._graph.bindings(module) if module else None
            export = bindings["exports"].get(qualname) if bindings else None
            homes = [self._tree.files[index] for index in self._by_module.get(module or "", ())]
            is_inside = any(home is file for home in homes) and export is not None and export[1] < use[2] <= export[2]
            if item is not None and not is_inside:
                yield replace(item, note=f"names the class, whose {target.name} others call")

    def _is_apart(self, target: _Target, parts: list[str], *, named: bool, sure: bool) -> bool:
        """Whether a value, spelled `parts`, was only made with the target: the reference is where that was done."""
        if not named:
            return True  # what a variable holds
        if not self._graph.is_property(target.path):
            return False
        return len(parts) == 1 or (target.name not in parts and not sure)  # nor is it the value that a property gave

    def _is_inside_definition(self, item: StaticReference, target: _Target) -> bool:
        """A recursive call, a class naming itself: it goes with the definition."""
        return any(
            found.file == item.file
            and (found.how == "module" or (found.how in _BODIES and found.line < item.line <= found.end_line))
            for found in self._definitions(target)
        )

    def _as_re_export(self, item: StaticReference, path: str, index: int, used: set[str]) -> StaticReference:
        """An import at module level is a re-export if others may, or do, get the name from here."""
        file = self._tree.files[index]
        if item.kind != "import" or item.function or not item.name or file.is_test:
            return item
        if "." in item.name:  # `import a.b.c` offers `a`
            return item
        offered = (
            item.name == "*"
            or file.is_package
            or item.name in (self._results[index]["all"] or ())
            or f"{file.module}.{item.name}" in self._graph.passed_through
            or item.name not in used
            or item.expression.endswith(f" as {path.rpartition('.')[2]}")
        )
        return replace(item, kind="re-export") if offered else item

    def _hits(self, path: str, module: str) -> list[tuple[_Target, bool, bool]]:
        """(target, the path ends there, certain) for each target that a path leads to or through."""
        if path.endswith(".*"):
            module = path[:-2]
            starts = [
                f"{module}.{name}" for name in sorted(self._names) if self._graph.star_gives(module, name)
            ]
        else:
            starts = [path]
        hits: dict[str, tuple[_Target, bool, bool]] = {}
        likely: dict[str, tuple[_Target, bool, bool]] = {}
        for start in starts:
            for name, is_end in self._graph.trail(start, module):
                for target in self._by_path.get(name, ()):
                    known = hits.get(target.ref)
                    hits[target.ref] = (target, is_end or (known is not None and known[1]), True)
                possible = (
                    self._guesses(name) if name[0] in "?(" else [*self._likely(name), *self._relatives(name)]
                )
                for target in possible:
                    known = likely.get(target.ref)
                    likely[target.ref] = (target, is_end or (known is not None and known[1]), False)
        hits = {**likely, **hits}
        return list(hits.values())

    def _guesses(self, name: str) -> list[_Target]:
        """An attribute of something unknown: it may be the target if the name agrees."""
        unknown, _, last = name.partition(".")
        return [target for target in self.targets if target.name == last and (target.owner or unknown == "?")]

    def _note_overridden(self) -> None:
        for target in self.targets:
            for ancestor in self._graph.ancestors(target.owner) if target.owner else ():
                for name in (ancestor, *abstract_bases(ancestor)):
                    self._of_relatives.setdefault(f"{name}.{target.name}", []).append(target)
                    if not name.startswith("builtins."):  # what an annotation promises; `{}` is nothing but a dict
                        self._of_relatives.setdefault(f"{name}().{target.name}", []).append(target)

    def _relatives(self, name: str) -> list[_Target]:
        """A method that a target overrides or may override, or one of a Protocol that its class may fit."""
        known = self._of_relatives.get(name)
        if known is None:
            owner, _, last = name.rpartition(".")
            alike = [target for target in self.targets if target.owner and target.name == last]
            if not alike or self._graph.locate(owner)[0] is None:
                known = [target for target in alike if self._is_kin(target, owner)]
            else:
                known = [] if _PROTOCOLS.isdisjoint(self._graph.ancestors(owner)) else alike
            known = self._of_relatives[name] = [target for target in known if target.path != name]
        return known

    def _is_kin(self, target: _Target, owner: str) -> bool:
        """Whether a target's class inherits from the package that `owner` is of: which of its classes inherits from
        which, and under which of its names, only that package tells."""
        top = owner.partition(".")[0]
        known = {base.partition(".")[0] for base in self._graph.ancestors(target.owner)}
        return top in known and not self._has(top) and not is_standard(top)

    def _likely(self, path: str) -> list[_Target]:
        """A target outside of the tree: the same package and the same last names, whatever lies between."""
        return [
            target
            for target in self.targets
            if not self._has(target.top)
            and path.partition(".")[0] == target.top
            and path.rpartition(".")[2] == target.name
            and (not target.owner or target.owner.rpartition(".")[2] in path)
        ]

    def _in_short(self, path: str) -> list[tuple[_Target, bool, bool]]:
        """Targets that a string may name with parts left out: `app.Model` of Django, for `app.models:Model`."""
        parts = path.split(".")
        named = [target for target in self.targets if target.name == parts[-1] and len(parts) > 1]
        ways = [(target, iter(target.path.split("."))) for target in named]
        return [(target, True, False) for target, way in ways if all(part in way for part in parts)]

    def _reference(
        self, target: _Target, file: SourceFile, use: list[Any], *, whole: bool, certain: bool
    ) -> StaticReference | None:
        _, path, line, column, function, expression, detail = use
        kind, note = _kind_of(file, use, whole=whole)
        if target.parameter:
            passed = passes(self._graph, target.path, target.parameter, path, detail) if whole else None
            if passed is None:
                return None
            certain = certain and passed
        name = detail if kind == "import" and isinstance(detail, str) else ""
        return StaticReference(
            target.ref,
            kind,
            file.file,
            line,
            column,
            file.module,
            function,
            expression,
            file.is_test,
            certain,
            name,
            note,
        )

    def definition(self, target: _Target) -> Definition | None:
        """Where the tree binds a target's name."""
        return next(self._definitions(target), None)

    def _definitions(self, target: _Target) -> Iterator[Definition]:
        """The same in each of the files that go by the name of its module."""
        module, qualname = self._graph.locate(target.path)
        for index in self._by_module.get(module or "", ()):
            file = self._tree.files[index]
            if not qualname:
                yield Definition(target.ref, file.file, 1, 1, "module")
                continue
            bindings = self._bound(index)
            export = bindings["exports"].get(qualname) if bindings else None
            if export is not None:
                yield Definition(target.ref, file.file, export[1], export[2], export[0])

    def neighbours(self, target: _Target) -> list[str]:
        """What the target's module defines, or the modules of the tree if there is no such module."""
        module = target.ref.partition(":")[0]
        bindings = self._graph.bindings(module) if module in self._by_module else None
        if bindings is None:
            return sorted(self._by_module)
        return [f"{module}:{name}" for name in bindings["exports"] if "()" not in name]


def _kind_of(file: SourceFile, use: list[Any], *, whole: bool) -> tuple[ReferenceKind, str]:
    """A use's kind as a reference, and what softens it."""
    kind, note = use[0], ""
    if kind.startswith("import?"):
        kind, note = "import", kind[7:]
    if not whole and kind in ("call", "decorator", "all", "import", "re-export"):
        kind = "access"  # something of the target, not the target itself
    if kind == "string" and file.file.rpartition("/")[2] == "setup.py" and ":" in use[5]:
        kind = "entry-point"
    return kind, note


__all__ = [
    "Definition", "StaticReference", "StaticSearch", "definition_of", "nearest", "search", "static_references",
]  # fmt: skip
