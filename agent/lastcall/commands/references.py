"""`lastcall references`: who refers to a target in a source tree, and which of these places ever ran."""

from __future__ import annotations

import json
import os
from collections import Counter
from contextlib import closing, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lastcall.commands.progress import progress
from lastcall.commands.scan import (
    FORMATS,
    Cached,
    Exclude,
    Format,
    JoinedStore,
    OutputFile,
    check_choice,
    put,
    read_sightings,
)
from lastcall.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lastcall.references import Definition, StaticReference, StaticSearch
    from lastcall.scanning.sightings import Sightings

HELP = """List every place in the source that refers to a target.

    lastcall references pkg.legacy:make_client
    lastcall references pkg.legacy:Client.send pkg.legacy:OLD \\
        --path src --format json

Imports, re-exports, calls, other accesses, subclasses, annotations, __all__ entries, mock.patch strings,
entry points and strings; followed through aliases, relative imports, chains of re-exports and import *.
"possible" marks places where only the name agrees: a method of an object whose type is not known.
With a store, each call is joined with what ran: "never seen to run" or the number of uses.

Exit code 0, whatever was found; 3 if nothing defines the name or refers to it.
"""

_RUNS = frozenset(("call", "decorator", "access"))


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("references", help=HELP)(references)


def references(  # noqa: PLR0917 - typer makes an option of each
    refs: Annotated[list[str], typer.Argument(metavar="REF", help="Targets, as package.module:qualname.")],
    path: Annotated[str, typer.Option(help="The root of the source tree.")] = ".",
    output_format: Format = "text",
    exclude: Exclude = None,
    store: JoinedStore = "",
    output: OutputFile = "",
    cache: Cached = True,
) -> None:
    """List every place in the source that refers to a target."""
    from lastcall.references import search
    from lastcall.scanning.cache import Cache
    from lastcall.scanning.rendering import references_as_sarif

    check_choice("--format", output_format, FORMATS)
    sightings = read_sightings(store)
    kept_open = closing(Cache.of(os.path.realpath(path))) if cache else nullcontext()
    with kept_open as kept, progress("Reading", number=True) as advance:
        found = search(path, refs, exclude=exclude or (), cache=kept, progress=advance)
    _check_known(found, refs, path)
    seen = _Seen.of(found, sightings)
    if output_format == "json":
        put(_as_json(found, refs, seen), output)
    elif output_format == "sarif":
        put(references_as_sarif(found.root, found.references, found.skipped), output)
    else:
        put("\n".join(_as_text(found, ref, seen) for ref in refs) + _skipped(found), output)


def _check_known(found: StaticSearch, refs: Sequence[str], path: str) -> None:
    from lastcall.references import nearest

    # An import of a name that is gone is worth showing; a method of the same name somewhere else is not.
    referred = {item.target for item in found.references if item.certain or item.target in found.outside}
    for ref in refs:
        if ref not in found.definitions and ref not in referred:
            close = nearest(ref, path)
            hint = (
                f"; did you mean {' or '.join(close)}?"
                if close
                else "; is --path the root of the right tree?"
            )
            raise UsageError(f"{ref}: nothing in {path} defines this name or refers to it{hint}")


@dataclass(frozen=True)
class _Seen:
    """What run time says of the places of a search."""

    sightings: Sightings | None
    lines: Mapping[tuple[str, str], frozenset[int]]
    """By target and file, the lines that refer to it."""
    called: frozenset[str]
    """The targets whose uses are calls: that one was only handed on shows in no count."""

    @classmethod
    def of(cls, found: StaticSearch, sightings: Sightings | None) -> _Seen:
        lines: dict[tuple[str, str], set[int]] = {}
        for item in found.references:
            lines.setdefault((item.target, item.file), set()).add(item.line)
        called = frozenset(ref for ref, one in found.definitions.items() if one.how in {"def", "class"})
        return cls(sightings, {key: frozenset(value) for key, value in lines.items()}, called)

    def uses(self, item: StaticReference) -> int | None:
        """Uses seen from this place; None where that cannot be told."""
        if self.sightings is None or item.kind not in _RUNS:
            return None
        if self.sightings.of_target(item.target) == "not watched":
            return None
        others = self.lines[item.target, item.file]
        count = self.sightings.count_at(item.target, item.file, item.function, item.line, others)
        return None if not count and item.kind == "access" and item.target in self.called else count

    def in_words(self, item: StaticReference) -> list[str]:
        uses = self.uses(item)
        if uses:
            return ["1 use seen from here" if uses == 1 else f"{uses:,} uses seen from here"]
        if uses is None or self.sightings is None:
            return []
        loaded = self.sightings.of_target(item.target) != "not loaded"
        return ["referenced here, never seen to run" + ("" if loaded else ": its module was not loaded")]


def _as_json(found: StaticSearch, refs: Sequence[str], seen: _Seen) -> str:
    targets = []
    for ref in refs:
        definition = found.definitions.get(ref)
        targets.append(
            {
                "target": ref,
                "defined": _defined(definition) if definition else None,
                "references": [
                    _reference_as_dict(item, seen) for item in found.references if item.target == ref
                ],
            }
        )
    return json.dumps(
        {
            "schema": 1,
            "root": found.root,
            "targets": targets,
            "skipped": [{"file": item.file, "reason": item.reason} for item in found.skipped],
        },
        indent=1,
    )


def _defined(definition: Definition) -> dict[str, Any]:
    return {
        "file": definition.file,
        "line": definition.line,
        "end_line": definition.end_line,
        "how": definition.how,
    }


def _reference_as_dict(item: StaticReference, seen: _Seen) -> dict[str, Any]:
    return {
        "kind": item.kind,
        "file": item.file,
        "line": item.line,
        "column": item.column,
        "module": item.module,
        "function": item.function,
        "expression": item.expression,
        "name": item.name,
        "test": item.test,
        "certain": item.certain,
        "breaks": item.breaks,
        "note": item.note,
        "uses": seen.uses(item),
    }


def _as_text(found: StaticSearch, ref: str, seen: _Seen) -> str:
    items = [item for item in found.references if item.target == ref]
    definition = found.definitions.get(ref)
    lines = [ref]
    if definition:
        lines.append(f"  defined at {definition.file}:{definition.line}")
    else:
        lines.append("  not defined in this tree")
    groups = (
        ("application", [item for item in items if item.certain and not item.test]),
        ("tests", [item for item in items if item.certain and item.test]),
        ("possible: only the name agrees", [item for item in items if not item.certain]),
    )
    for title, group in groups:
        if group:
            lines += ["", f"  {title} ({len(group)})"]
            lines += [line for item in group for line in _lines(item, seen)]
    lines += ["", "  " + _summary(items)]
    return "\n".join(lines) + "\n"


def _lines(item: StaticReference, seen: _Seen) -> list[str]:
    inside = f" in {item.function}" if item.function else ""
    extra = [item.note] if item.note else []
    extra += seen.in_words(item)
    first = f"    {item.kind:<11} {item.file}:{item.line}{inside}"
    second = f"{'':<16}{item.expression}" + (f"  [{'; '.join(extra)}]" if extra else "")
    return [first, second]


def _summary(items: Sequence[StaticReference]) -> str:
    if not items:
        return "Nothing refers to it."
    counts = Counter(item.kind for item in items if item.certain)
    breaking = sum(item.breaks for item in items)
    kinds = ", ".join(f"{count} {kind}" for kind, count in counts.most_common()) or "none certain"
    places = "1 place" if len(items) == 1 else f"{len(items)} places"
    return f"{places} ({kinds}); {breaking} would break if it were removed."


def _skipped(found: StaticSearch) -> str:
    if not found.skipped:
        return ""
    lines = ["", "Mentions in files that could not be parsed:"]
    lines += [f"  {item.file}: {item.reason}" for item in found.skipped]
    return "\n".join(lines) + "\n"
