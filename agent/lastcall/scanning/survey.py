"""The deprecated entry points of a whole tree: every file's marks, put together and given references."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lastcall.scanning.finding import CONFIDENCES, EVIDENCE_KINDS, Finding, Mark, Skipped, strongest
from lastcall.scanning.tree import SourceFile, read_tree
from lastcall.scanning.wording import removal_in, replacement_in, since_in
from lastcall.scanning.work import WORKERS, Item, analyse

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    from lastcall.scanning.analyses import Outcome
    from lastcall.scanning.cache import Cache
    from lastcall.scanning.finding import Confidence, Evidence
    from lastcall.scanning.work import Progress


@dataclass(slots=True)
class Survey:
    """What a scan found."""

    root: str
    files: int
    findings: list[Finding] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


def survey(
    path: str | os.PathLike[str],
    *,
    exclude: Sequence[str] = (),
    tests: bool = False,
    cache: Cache | None = None,
    progress: Progress | None = None,
    workers: int = WORKERS,
) -> Survey:
    """Find the deprecated entry points below `path`, in application code, and in test code if `tests`.

    Files are read twice where they must be: once for what they say by themselves, and again if they use
    a decorator or helper which, as the first reading showed, warns for others. Raises UsageError if there
    is nothing at `path`.
    """
    tree = read_tree(path, exclude)
    files = [file for file in tree.files if tests or not file.is_test]
    # A stub only repeats what the module beside it says.
    modules = {file.module for file in files if file.path.endswith(".py")}
    files = [file for file in files if file.path.endswith(".py") or file.module not in modules]
    nothing: list[list[str]] = [[], []]
    outcomes = analyse(
        [Item(file.path, nothing) for file in files],
        "detect",
        cache=cache,
        progress=progress,
        workers=workers,
    )
    _read_again(files, outcomes, cache, workers)
    result = Survey(tree.root, len(files), skipped=list(tree.skipped))
    result.skipped += [
        Skipped(file.file, outcome.reason)
        for file, outcome in zip(files, outcomes, strict=True)
        if outcome.reason
    ]
    result.findings = _findings(files, outcomes)
    return result


def _read_again(files: list[SourceFile], outcomes: list[Outcome], cache: Cache | None, workers: int) -> None:
    """Analyse anew the files that mention what other files turned out to warn with."""
    emitters = {name for outcome in outcomes if outcome.value for name in outcome.value["emitters"]}
    categories = {name for outcome in outcomes if outcome.value for name in outcome.value["categories"]}
    if not emitters and not categories:
        return
    known = {name.encode(): name for name in emitters | categories}
    items: list[Item] = []
    places: list[int] = []
    for index, file in enumerate(files):
        if outcomes[index].reason:
            continue
        data = Path(file.path).read_bytes()
        mentioned = sorted(name for encoded, name in known.items() if encoded in data)
        if mentioned:
            arguments = [
                [name for name in mentioned if name in emitters],
                [name for name in mentioned if name in categories],
            ]
            items.append(Item(file.path, arguments))
            places.append(index)
    for index, outcome in zip(places, analyse(items, "detect", cache=cache, workers=workers), strict=True):
        outcomes[index] = outcome


def _findings(files: list[SourceFile], outcomes: list[Outcome]) -> list[Finding]:
    definitions = {
        file.module: frozenset(outcome.value["definitions"] if outcome.value else ())
        for file, outcome in zip(files, outcomes, strict=True)
    }
    findings: dict[str, Finding] = {}
    for file, outcome in zip(files, outcomes, strict=True):
        for data in outcome.value["marks"] if outcome.value else ():
            finding = _finding(file, Mark.from_dict(data), definitions)
            # Two files can claim one module name (a script in two folders): the first one stands.
            findings.setdefault(finding.ref, finding)
    return sorted(findings.values(), key=lambda item: (item.file, item.line, item.ref))


def _finding(file: SourceFile, mark: Mark, definitions: dict[str, frozenset[str]]) -> Finding:
    evidence = tuple(sorted(mark.evidence, key=_rank))
    texts = [item.text for item in evidence if item.text]
    replacement = next((name for name in map(replacement_in, texts) if name), "")
    return Finding(
        ref=f"{file.module}:{mark.qualname}" if mark.qualname else file.module,
        kind=mark.kind,
        file=file.file,
        line=mark.line,
        confidence=strongest(evidence),
        evidence=evidence,
        message=next((item.text for item in evidence if item.text and item.kind != "name"), ""),
        replacement=_resolve(replacement, file, mark, definitions) if replacement else "",
        since=next((version for version in map(since_in, texts) if version), ""),
        removal=next((version for version in map(removal_in, texts) if version), ""),
    )


def _rank(item: Evidence) -> tuple[int, int, int]:
    return CONFIDENCES.index(item.confidence), EVIDENCE_KINDS.index(item.kind), item.line


def _resolve(name: str, file: SourceFile, mark: Mark, definitions: dict[str, frozenset[str]]) -> str:
    """The object reference of a name that a message spells, if the tree has it; else the spelling."""
    if ":" in name:
        return name
    owner = mark.qualname.split("(")[0].rpartition(".")[0]
    here = definitions[file.module]
    for candidate in ([f"{owner}.{name}"] if owner else []) + [name]:
        if candidate in here and candidate != mark.qualname:
            return f"{file.module}:{candidate}"
    parts = name.split(".")
    for split in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:split])
        if module in definitions:
            return f"{module}:{'.'.join(parts[split:])}"
    owners = [module for module, names in definitions.items() if name in names]
    return f"{owners[0]}:{name}" if len(owners) == 1 else name


def at_least(findings: Iterable[Finding], confidence: Confidence) -> list[Finding]:
    """The findings of at least this confidence."""
    allowed = CONFIDENCES[: CONFIDENCES.index(confidence) + 1]
    return [item for item in findings if item.confidence in allowed]
