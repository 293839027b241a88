"""The work behind `lastcall check`, `explain` and `certificate`: from a command line to verdicts."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lastcall import report_words
from lastcall.config import shown
from lastcall.coverage import Fleet
from lastcall.dossier import Mention, Question
from lastcall.errors import UsageError
from lastcall.evidence import TargetInfo
from lastcall.schedule import DAY
from lastcall.verdict import judge
from lastcall.wildcards import makes, matching, wild

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lastcall.config import Config
    from lastcall.dossier import Caller, Dossier
    from lastcall.evidence import Kind
    from lastcall.scanning.referring import StaticSearch
    from lastcall.sources import EvidenceSource
    from lastcall.store import Store
    from lastcall.targets import Target
    from lastcall.verdict import Verdict

YEAR = 400 * DAY


@dataclass(slots=True)
class Request:
    """What the command line asked for."""

    refs: Sequence[str] = ()
    question: Question = field(default_factory=Question)
    paths: Sequence[Path] = ()
    """Source trees to look for references and callers in."""
    now: float = field(default_factory=time.time)
    written: Sequence[str] = ()
    """Targets that only the source knows of: what a wildcard covers, and no process ever imported."""
    head: str = ""
    """The commit that the source is to be of, if it is to be of one."""

    @property
    def since(self) -> float:
        """How far back evidence is asked for: a year, and a little."""
        return self.now - YEAR


def open_source(
    name: str, config: Config, store: str, project: str, *, cached: bool = True
) -> EvidenceSource:
    """The source of evidence that was asked for; `cached`: Cloud Logging's entries may be kept. Raises UsageError."""
    if name == "store":
        from lastcall.sources import StoreSource

        return StoreSource(store or config.store_path())
    import importlib

    source: EvidenceSource = importlib.import_module("lastcall.sources.gcp").source(
        config, project, cached=cached
    )
    return source


def check(
    request: Request,
    source: EvidenceSource,
    config: Config,
    progress: Callable[[int, int], None] | None = None,
) -> list[Verdict]:
    """The verdict on each target asked for, or on all. Raises LastcallError.

    `progress` is told (done, of how many) of the steps that take long; the second is 0 where it is not known.
    """
    dossiers = gather(request, source, config, progress)
    if not dossiers:
        raise UsageError(_nothing_to_judge(source, config))
    fleet = Fleet(dossiers[0].fleet, request.now)
    return [judge(dossier, request.question, fleet) for dossier in dossiers]


def _nothing_to_judge(source: EvidenceSource, config: Config) -> str:
    wildcards = [target.ref for target in config.targets if target.parsed.wild]
    if wildcards:
        return (
            f"There is no target to judge: nothing that the {source.name} knows of matches {', '.join(wildcards)}. "
            "A wildcard makes targets when their modules are imported by a process with the agent."
        )
    return (
        f"There is no target to judge: neither the configuration nor the {source.name} names one. "
        "Add [[target]] to lastcall.toml, or name targets on the command line."
    )


def gather(
    request: Request,
    source: EvidenceSource,
    config: Config,
    progress: Callable[[int, int], None] | None = None,
) -> list[Dossier]:
    """The dossiers of the targets asked for, joined with configuration and source.

    Raises LastcallError; UsageError if something in the configuration was not understood, since a target may
    be missing for it, or the question may be another one than was meant.
    """
    from lastcall.sources.dossiers import dossiers

    look_at_problems(config)
    with source.gather(request.refs, request.since, progress) as store:
        known = known_targets(store, config)
        for ref in request.written:
            known.setdefault(ref, TargetInfo(ref, "function" if ":" in ref else "module", source="wildcard"))
        refs = resolve(request.refs, sorted(known))
        configured = _entries(config, refs)
        # What is allowed is asked of the configuration, so nothing is plain before it was asked.
        thorough = {ref for ref, target in configured.items() if target.allow}
        found = dossiers(
            store, [known[ref] for ref in refs], request.question, request.now, thorough=thorough
        )
    joined = [_configured(d, configured[d.target.ref]) if d.target.ref in configured else d for d in found]
    return _with_source(joined, request, config, progress)


def look_at_problems(config: Config) -> None:
    """Raises UsageError if something in the configuration was not understood."""
    if config.problems:
        more = f" (and {len(config.problems) - 1} more)" if len(config.problems) > 1 else ""
        raise UsageError(
            f"No verdict on half a configuration: {config.problems[0].removesuffix('?')}{more}"
            f"{'?' if config.problems[0].endswith('?') and not more else '.'} Mend it first; see `lastcall doctor`."
        )


def known_targets(store: Store, config: Config) -> dict[str, TargetInfo]:
    """Every target by reference: those of the store, and those that are only configured.

    A wildcard is nothing that could be deleted: what it matched is judged, and it is not.
    """
    known = {target.ref: target for target in store.targets() if not wild(target.ref)}
    for target in config.targets:
        if not target.parsed.wild:
            # Never observed: judged all the same, and unproven.
            known.setdefault(target.ref, TargetInfo(target.ref, cast("Kind", target.kind)))
    return known


def resolve(wanted: Sequence[str], known: Sequence[str]) -> list[str]:
    """The targets meant: all if none is named, else each by its reference, qualified name, or wildcard."""
    if not wanted:
        return list(known)
    result: dict[str, None] = {}
    for name in wanted:
        matches = _matches(name, known)
        if not matches:
            near = get_close_matches(name, [*known, *(ref.partition(":")[2] for ref in known)], 1, 0.5)
            hint = f" Did you mean {near[0]!r}?" if near else " `lastcall report` lists the targets."
            raise UsageError(f"No target is called {name!r}.{hint}")
        result.update(dict.fromkeys(matches))
    return list(result)


def _matches(name: str, known: Iterable[str]) -> list[str]:
    if wild(name):
        return matching(name, known)
    exact = [ref for ref in known if ref == name]
    return exact or [ref for ref in known if ":" not in name and ref.partition(":")[2] == name]


def _entries(config: Config, refs: Iterable[str]) -> dict[str, Target]:
    """The entry of the configuration that speaks for each target: its own, else the first wildcard's that covers it."""
    own = {target.ref: target for target in config.targets}
    wildcards = [target for target in config.targets if target.parsed.wild]
    if not wildcards:
        return own
    covered: dict[str, Target] = {}
    for wildcard in reversed(wildcards):
        covered.update(dict.fromkeys(makes(wildcard, refs), wildcard))
    return {**covered, **own}


def _configured(dossier: Dossier, target: Target) -> Dossier:
    """What the configuration says today outranks what a process was told when it started."""
    told: dict[str, Any] = {key: value for key, value in target.metadata.items() if value}
    # An empty list, too: what was allowed when it was counted is not any more.
    callers = tuple(_allowed_today(caller, target, dossier.now) for caller in dossier.callers)
    return replace(dossier, target=replace(dossier.target, **told), callers=callers)


def _allowed_today(caller: Caller, target: Target, now: float) -> Caller:
    reason = target.allowed_reason(caller.site.module, caller.site.function, int(now * 1e9))
    return replace(caller, allowed=reason is not None, allow_reason=reason or "")


# -- the source -------------------------------------------------------------------------------------


def _with_source(
    dossiers: list[Dossier],
    request: Request,
    config: Config,
    progress: Callable[[int, int], None] | None,
) -> list[Dossier]:
    """Join what the source says: who refers to each target, and what became of its callers' code."""
    paths = list(request.paths) or _own_tree(dossiers, Path(config.root))
    for path in paths:
        if not path.is_dir():
            raise UsageError(f"--path {path} is no folder; the root of a source tree was expected.")
    if not paths:
        return dossiers
    from lastcall.fates import SourceTree
    from lastcall.repository import lacks, missing_on_disk

    tree = SourceTree(paths)
    searches = _searched(dossiers, paths, progress)
    written = _written(searches)
    read = {os.path.realpath(file) for search in searches for file in search.read}
    unread = [f"{item.file}: {item.reason}" for search in searches for item in search.unread]
    unread += [place for path in paths for place in missing_on_disk(path)]
    if request.head and lacks(request.head, paths):
        unread.append(f"{request.head[:12]}: another commit is checked out, which does not have its changes")
    return [
        replace(
            dossier,
            source_read=True,
            source_unread=tuple(unread),
            callers=tree.with_fates(dossier.callers),
            mentions=(
                *written.get(dossier.target.ref, ()),
                # What a process holds by code of this tree, the search has found or it is no longer there.
                *(m for m in dossier.mentions if not tree.accounts_for(m.file, read)),
            ),
        )
        for dossier in dossiers
    ]


def _own_tree(dossiers: list[Dossier], root: Path) -> list[Path]:
    """The project's folder, if a target is defined there: then its source is the one to read."""
    tops = {dossier.target.ref.partition(":")[0].partition(".")[0] for dossier in dossiers}
    for base in (root, root / "src"):
        if any((base / top).is_dir() or (base / f"{top}.py").is_file() for top in tops):
            return [root]
    return []


def _searched(
    dossiers: list[Dossier], paths: Sequence[Path], progress: Callable[[int, int], None] | None
) -> list[StaticSearch]:
    from lastcall.references import search

    refs = [dossier.target.ref for dossier in dossiers]
    return [search(path, refs, progress=progress) for path in paths]


def _written(searches: Iterable[StaticSearch]) -> dict[str, list[Mention]]:
    result: dict[str, list[Mention]] = defaultdict(list)
    for search in searches:
        for found in search.references:
            result[found.target].append(
                Mention(
                    found.file,
                    found.line,
                    found.kind,
                    found.expression,
                    found.breaks,
                    found.certain,
                    found.test,
                )
            )
    return result


# -- words of the command line ----------------------------------------------------------------------


def duration(text: str, option: str = "--window") -> float:
    """Seconds of `30d`, `12h`, `90m`, `2w`. Raises UsageError, for zero too."""
    seconds = report_words.length(text)
    if not seconds:
        raise UsageError(
            f"{option} must be a length of time above zero, such as 30d, 12h or 2w, not {shown(text)}."
        )
    return seconds


def where(text: str, option: str) -> tuple[str, str]:
    """(service, environment) of `service=NAME,environment=NAME`, either alone too. Raises UsageError."""
    parts = dict.fromkeys(("service", "environment"), "")
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if not equals or key.strip() not in parts or not value.strip():
            raise UsageError(
                f"{option} takes service=NAME, environment=NAME, or both with a comma, not {text!r}."
            )
        if parts[key.strip()]:
            raise UsageError(f"{option} takes one {key.strip()} in each of its entries, not {text!r}.")
        parts[key.strip()] = value.strip()
    return parts["service"], parts["environment"]


def instant(text: str) -> float:
    """UTC seconds of an RFC 3339 time or a date. Raises UsageError."""
    try:
        return report_words.instant(text)
    except ValueError:
        raise UsageError(f"--at takes a time such as 2026-11-22T10:00:00Z, not {text!r}.") from None
