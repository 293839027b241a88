"""The report for people: terminals and CI logs, 80 columns, plain text with a few styles."""

from __future__ import annotations

import textwrap
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from lastcall.report_words import ago, number, span
from lastcall.wildcards import matching, wild

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lastcall.report import Document

WIDTH = 80

MOST = 40
"""Entries of any list, unless the whole is asked for: a log of 1,000 targets is read by nobody."""

_STATE_STYLES = {"armed": "green", "pending": "yellow", "removed": "green"}


NO_USE = (
    "No use was seen. That is evidence only for the processes and the time named under Observed;"
    " `lastcall check` weighs it."
)


class Line(NamedTuple):
    """One line of output; `style` is for terminals that have colours."""

    text: str
    style: str = ""


def lines(document: Document, *, now: float, whole: bool = False) -> Iterator[Line]:
    """`report.overview`, line by line; at most MOST of any list, and how many more there are, unless `whole`."""
    most = len(document["targets"]) + len(document["references"]) if whole else MOST
    targets = [target for target in document["targets"] if not wild(target["target"])]
    used = sorted((t for t in targets if t["uses"]), key=lambda target: -target["uses"])
    unused = sorted((t for t in targets if not t["uses"]), key=lambda target: target["state"] == "armed")
    yield Line(f"Targets: {len(used):,} in use, {len(unused):,} without a use seen", "bold")
    yield Line("")
    if targets and not used:
        yield from _wrapped(NO_USE, "  ", "green")
        yield Line("")
    for some, what in ((used, "in use"), (unused, "without a use seen")):
        for target in some[:most]:
            yield from _target(target, now)
        yield from _more(some[most:], what)
    shown = {target["target"] for target in used[:most]}
    sections = (
        ("Call sites", _sites(document, shown, now)),
        ("Wildcards (what they matched is above)", _wildcards(document)),
        ("References (modules that still hold a target's name)", _references(document["references"], most)),
        ("Findings", _findings(document["findings"], now)),
        ("Observed", _observations(document["observations"], now)),
        ("Problems of the observation itself", _problems(document["internal_errors"])),
    )
    for title, body in sections:
        first = next(body, None)
        if first is not None:
            yield Line(title, "bold")
            yield Line("")
            yield first
            yield from body


def _wildcards(document: Document) -> Iterator[Line]:
    refs = [target["target"] for target in document["targets"]]
    patterns = [ref for ref in refs if wild(ref)]
    for pattern in patterns:
        found = matching(pattern, refs)
        yield from _wrapped(pattern, f"{len(found):>9,}  ", "" if found else "yellow")
    if patterns:
        yield Line("")


def _more(left: list[Document], what: str) -> Iterator[Line]:
    """How many targets are not shown, by state."""
    if not left:
        return
    states = Counter(target["state"] for target in left)
    kinds = ", ".join(f"{count:,} {state}" for state, count in states.most_common())
    text = f"... and {len(left):,} more {what} ({kinds}); --limit 0 shows all, --target some"
    yield from _wrapped(text, "           ", "")
    yield Line("")


def _target(target: Document, now: float) -> Iterator[Line]:
    uses = f"{target['uses']:>9,}  "
    state = f"{target['state']:<8} "
    style = "bold red" if target["uses"] else _STATE_STYLES.get(target["state"], "magenta")
    yield from _wrapped(target["target"], uses + state, style)
    about = []
    if target["uses"]:
        about.append(
            f"{number(target['call_sites'], 'call site')}, last use {ago(_seconds(target['last_seen']), now)}"
        )
    if target["state"] != "armed" and target["reason"]:
        about.append(target["reason"])
    if len(target["states"]) > 1:
        about.append("in processes: " + ", ".join(f"{n} {state}" for state, n in target["states"].items()))
    about += _plan(target)
    if about:
        yield from _wrapped("; ".join(about), " " * 20, "dim")
    yield Line("")


def _plan(target: Document) -> list[str]:
    """What its owners intend, as far as they said."""
    words = (
        ("use {} instead", "replacement"),
        ("remove by {}", "remove_by"),
        ("owner {}", "owner"),
        ("{}", "issue"),
    )
    return [text.format(target[key]) for text, key in words if target[key]]


def _sites(document: Document, shown: set[str], now: float) -> Iterator[Line]:
    about = {target["target"]: target for target in document["targets"]}
    for ref, sites in _by_target(site for site in document["call_sites"] if site["target"] in shown):
        yield from _wrapped(ref, "  ", "bold")
        where = about[ref]["defined"]
        if where:
            yield from _wrapped(f"defined in {where['file']}:{where['line']}", "    ", "dim")
        for site in sites:
            yield from _site(site, now)
        more = about[ref]["call_sites"] - len(sites)
        if more > 0:
            yield Line(f"    ... and {number(more, 'more call site')}; --limit 0 shows all")
        yield Line("")


def _site(site: Document, now: float) -> Iterator[Line]:
    indent = " " * 11
    yield from _wrapped(f"{site['file']}:{site['line']}", f"{site['count']:>9,}  ", "")
    details = [f"in {site['function']}", f"{site['use']} of {site['expression'] or '?'}", marks(site)]
    details += [f"last {ago(_seconds(site['last_seen']), now)}", where(site)]
    yield from _wrapped(", ".join(detail for detail in details if detail), indent, "dim")
    for frame in site.get("stack", ()):
        yield from _wrapped(f"{frame['file']}:{frame['line']} {frame['function']}", indent + "  ", "dim")


def marks(site: Document) -> str:
    """What is special about a call site, in words."""
    words = [{"self": "own package", "indirect": "third party"}.get(site["origin"], "")]
    words += [
        text
        for key, text in (
            ("allowed", _allowed(site)),
            ("during_import", "during import"),
            ("test", "by a test"),
            ("scanner", "by a scanner"),
        )
        if site[key]
    ]
    if site["via"]:
        words.append(f"via subclass {site['via']}")
    if site["errors"]:
        words.append(f"{site['errors']:,} raised")
    return ", ".join(word for word in words if word)


def _allowed(site: Document) -> str:
    """Why a use is allowed and until when, as far as the configuration here says."""
    entry = site["allowed_by"]
    if entry is None:
        return "allowed" if site["allowed"] else ""
    until = f" until {entry['until']}" if entry["until"] else ""
    return f"allowed{until}" + (f" ({entry['reason']})" if entry["reason"] else "")


def where(site: Document) -> str:
    """The services, environments and releases in which a call site was seen."""
    releases: dict[str, list[str]] = {}
    for scope in site["scopes"]:
        service = " ".join(part for part in (scope["service"], scope["environment"]) if part)
        releases.setdefault(service, []).append(scope["release"])
    return ", ".join(_service(name, known) for name, known in releases.items())


def _service(name: str, releases: list[str]) -> str:
    known = sorted({release for release in releases if release}, reverse=True)
    shown = " ".join(known[:3]) + (f" and {len(known) - 3} older" if len(known) > 3 else "")  # noqa: PLR2004 - enough to read
    return f"{name} {shown}".strip()


def _references(references: list[Document], most: int) -> Iterator[Line]:
    groups = list(_by_target(references))
    for ref, held in groups[:most]:
        yield from _wrapped(ref, "  ", "bold")
        for entry in held[:most]:
            how = "" if entry["how"] == "module" else f", in a {entry['how']}"
            place = f"{entry['file']}:{entry['line']}" if entry["file"] else entry["module"]
            yield from _wrapped(f"{place}  {entry['module']}.{entry['name']}{how}", "    ", "")
        if held[most:]:
            yield Line(f"    ... and {number(len(held) - most, 'more reference')}; --limit 0 shows all")
        yield Line("")
    if groups[most:]:
        yield Line(f"  ... and of {number(len(groups) - most, 'more target')}; --limit 0 shows all")
        yield Line("")


def _findings(findings: list[Document], now: float) -> Iterator[Line]:
    for finding in findings:
        times = f" ({finding['count']:,} times)" if finding["count"] > 1 else ""
        yield from _wrapped(f"{finding['kind']}: {finding['message']}{times}", "  ", "bold red")
        place = f"{finding['site']['file']}:{finding['site']['line']}, " if finding["site"] else ""
        when = ago(_seconds(finding["at"]), now)
        yield from _wrapped(f"{finding['target']}, {place}{when}", "    ", "dim")
    if findings:
        yield Line("")


NEWEST = 12
"""Releases of which the text says how long they were observed."""


def _observations(observations: list[Document], now: float) -> Iterator[Line]:
    for row in observations[:NEWEST]:
        release = f"release {row['release']}" if row["release"] else "no release named"
        name = ", ".join(
            part for part in (row["service"] or "unnamed service", row["environment"], release) if part
        )
        yield from _wrapped(name, "  ", "")
        text = (
            f"{number(row['processes'], 'process')} for {span(row['seconds'])} in all,"
            f" last seen {ago(_seconds(row['last_seen']), now)}"
        )
        yield from _wrapped(text, "    ", "dim")
    if len(observations) > NEWEST:
        yield Line(f"  ... and {len(observations) - NEWEST:,} older; --format json has them all")
    if observations:
        yield Line("")


_PROBLEMS = {
    "dropped": "dropped under a bound: {name}, {times}. Counts are a lower bound.",
    "internal": "internal error: {name}, {times}.",
    "reading": "left by a process and unreadable: {name}, {times}.",
}


def _problems(problems: list[Document]) -> Iterator[Line]:
    for problem in problems:
        service = " ".join(part for part in (problem["service"], problem["release"]) if part)
        text = _PROBLEMS[problem["kind"]].format(name=problem["name"], times=number(problem["count"], "time"))
        yield from _wrapped(f"{service}: {text}" if service else text, "  ", "yellow")
    if problems:
        yield Line("")
        yield Line("  `lastcall doctor` says more.")
        yield Line("")


def _by_target(entries: Iterable[Document]) -> Iterable[tuple[str, list[Document]]]:
    groups: dict[str, list[Document]] = {}
    for entry in entries:
        groups.setdefault(entry["target"], []).append(entry)
    return groups.items()


def _wrapped(text: str, indent: str, style: str) -> Iterator[Line]:
    """`text` after `indent`, on as many lines as WIDTH asks for. Long names break after dots and slashes."""
    room = WIDTH - len(indent)
    text = printable(text)
    if 0 < len(text) <= room and text.strip() == text:  # nearly always: the rest takes ten times as long
        yield Line(indent + text, style)
        return
    pieces = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]
    first = True
    for piece in pieces:
        for part in _broken(piece, room):
            yield Line((indent if first else " " * len(indent)) + part, style)
            first = False


def _broken(word: str, room: int) -> Iterator[str]:
    while len(word) > room:
        cut = max((word.rfind(mark, 0, room) for mark in "/.:_ "), default=-1) + 1 or room
        yield word[:cut]
        word = word[cut:]
    yield word


def printable(text: str) -> str:
    """`text` without what would move a terminal's cursor or change its colours: names come from the host."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
