"""The deprecated entry points of a whole tree: every file's marks, put together and given references."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from lastcall.scanning.finding import CONFIDENCES, EVIDENCE_KINDS, Evidence, Finding, Mark, Skipped, strongest
from lastcall.scanning.replacements import Names
from lastcall.scanning.tree import SourceFile, Unreadable, read_source, read_tree
from lastcall.scanning.wording import removal_in, since_in
from lastcall.scanning.work import WORKERS, Item, analyse

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    from lastcall.scanning.analyses import Outcome
    from lastcall.scanning.cache import Cache
    from lastcall.scanning.finding import Confidence
    from lastcall.scanning.work import Progress


_Found = TypeVar("_Found", Finding, Evidence)
_TOLD = ("emitters", "categories", "sometimes")
"""What files tell each other, in the order in which the analysis takes it."""
_MOST_ROUNDS = 4
_VERSION_FIRST = re.compile(r"^v?\d+(?:\.\d+)+\W*\s(?=\S)")
"""What stands between `.. deprecated::` and the words; `since` has it."""


@dataclass(slots=True)
class Survey:
    """What a scan found."""

    root: str
    files: int
    findings: list[Finding] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    foreign: dict[str, int] = field(default_factory=dict)
    """How many files of other kinds hold Python code and are not looked into, by suffix."""


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
    nothing: list[list[str]] = [[], [], []]
    outcomes = analyse(
        [Item(file.path, nothing) for file in files],
        "detect",
        cache=cache,
        progress=progress,
        workers=workers,
    )
    _read_again(files, outcomes, cache, workers)
    result = Survey(tree.root, len(files), skipped=list(tree.skipped), foreign=dict(tree.foreign))
    result.skipped += [
        Skipped(file.file, outcome.reason)
        for file, outcome in zip(files, outcomes, strict=True)
        if outcome.reason
    ]
    result.findings = _findings(files, outcomes)
    return result


def _read_again(files: list[SourceFile], outcomes: list[Outcome], cache: Cache | None, workers: int) -> None:
    """Analyse anew the files that mention what other files turned out to warn with, as long as that shows
    more of it: helpers that call helpers, classes that inherit from classes."""
    told: dict[int, list[list[str]]] = {}
    for _ in range(_MOST_ROUNDS):
        items = _told_anew(files, outcomes, told)
        if not items:
            return
        read = analyse(list(items.values()), "detect", cache=cache, workers=workers)
        for index, outcome in zip(items, read, strict=True):
            if not outcome.reason:
                outcomes[index] = outcome


def _told_anew(files: list[SourceFile], outcomes: list[Outcome], told: dict[int, list[list[str]]]) -> dict[int, Item]:
    """The files, by their place, that mention more than they were `told` so far, which is brought up to date."""
    known = [{name for outcome in outcomes if outcome.value for name in outcome.value[key]} for key in _TOLD]
    known[2] -= known[0]
    encoded = {name.encode() for names in known for name in names}
    items: dict[int, Item] = {}
    for index, file in enumerate(files if encoded else ()):
        if outcomes[index].reason:
            continue
        try:
            data = read_source(file.path)
        except Unreadable:  # gone since it was read: what it said then stands
            continue
        mentioned = {name.decode() for name in encoded if name in data}
        arguments = [sorted(names & mentioned) for names in known]
        if any(arguments) and told.get(index) != arguments:
            told[index] = arguments
            items[index] = Item(file.path, arguments)
    return items


def _findings(files: list[SourceFile], outcomes: list[Outcome]) -> list[Finding]:
    names = Names(
        (file, outcome.value["definitions"], outcome.value["imports"])
        for file, outcome in zip(files, outcomes, strict=True)
        if outcome.value
    )
    findings: dict[tuple[str, str], Finding] = {}
    for file, outcome in zip(files, outcomes, strict=True):
        for data in outcome.value["marks"] if outcome.value else ():
            finding = _finding(file, Mark.from_dict(data), names)
            # Two files can claim one module name (the `app` of two services): each is shown at its file.
            findings.setdefault((finding.ref, finding.file), finding)
    return sorted(findings.values(), key=lambda item: (item.file, item.line, item.ref))


def _finding(file: SourceFile, mark: Mark, names: Names) -> Finding:
    evidence = tuple(sorted(mark.evidence, key=_rank))
    texts = [item.text for item in evidence if item.text]
    # Words that make nothing sure are about something else, and so is what they tell to use.
    sure = [item.text for item in at_least(evidence, "medium") if item.text] or texts
    return Finding(
        ref=f"{file.module}:{mark.qualname}" if mark.qualname else file.module,
        kind=mark.kind,
        file=file.file,
        line=mark.line,
        confidence=strongest(evidence),
        evidence=evidence,
        message=_VERSION_FIRST.sub(
            "", next((item.text for item in evidence if item.text and item.kind != "name"), "")
        ),
        replacement=next(
            (name for name in (names.replacement(text, file, mark) for text in sure) if name), ""
        ),
        since=next((version for version in map(since_in, texts) if version), ""),
        watchable=mark.watchable,
        removal=next((version for version in map(removal_in, texts) if version), ""),
    )


def _rank(item: Evidence) -> tuple[int, int, int]:
    return CONFIDENCES.index(item.confidence), EVIDENCE_KINDS.index(item.kind), item.line


def at_least(found: Iterable[_Found], confidence: Confidence) -> list[_Found]:
    """The findings, or the evidence, of at least this confidence."""
    allowed = CONFIDENCES[: CONFIDENCES.index(confidence) + 1]
    return [item for item in found if item.confidence in allowed]
