"""What each page shows, as plain values for its template. One function a page."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast, get_args
from urllib.parse import urlencode

from lastcall.evidence import STATES
from lastcall.report_words import rfc3339
from lastcall.web import gathering
from lastcall.web.gathering import DAY, TRAIL, SiteOrder

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping, Sequence

    from lastcall.evidence import Reference
    from lastcall.store.rows import Filter, FindingRow, Scope
    from lastcall.web.board import Board, TargetRow
    from lastcall.web.forecast import Forecast
    from lastcall.web.gathering import SiteRow

Context = dict[str, Any]

PAGE = 50
"""Targets on a page."""
SITES = 25
"""Call sites on a page."""
RELEASES = 40
"""Releases in a target's history; those before are summed up."""
FINDINGS = 100
RANGES = (30, 90, 365)
"""Days that charts may show."""
WORDS = ("in-use", "unproven", "safe")
SILENT = 1800.0
"""Seconds after which a process that still runs should have said something."""
ENOUGH = 5
"""Entries of a short list on the overview."""


class NotFound(Exception):  # noqa: N818 - not an error of ours: a page that is not there
    """There is nothing at this address. The message says what was asked for."""


@dataclass(frozen=True, slots=True)
class Paging:
    """Which part of a longer list a page shows."""

    page: int
    size: int
    total: int

    @property
    def pages(self) -> int:
        """How many there are, one at least."""
        return max(1, -(-self.total // self.size))

    @property
    def first(self) -> int:
        """Number of the first entry shown, from one."""
        return min(self.total, (self.page - 1) * self.size + 1)

    @property
    def last(self) -> int:
        """Number of the last entry shown."""
        return min(self.total, self.page * self.size)


def _paging(query: Mapping[str, str], size: int, total: int) -> Paging:
    wanted = query.get("page", "1")
    # A number of a thousand digits is no page number, and int() refuses it.
    page = int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) < 9 else 1  # noqa: PLR2004
    return Paging(max(1, min(page, -(-total // size) or 1)), size, total)


def _choice(query: Mapping[str, str], name: str, allowed: Sequence[str], default: str) -> str:
    wanted = query.get(name, default)
    return wanted if wanted in allowed else default


def _range(query: Mapping[str, str]) -> int:
    return int(_choice(query, "days", [str(days) for days in RANGES], "90"))


def shared(board: Board, page: str) -> Context:
    """What every page needs."""
    return {
        "board": board,
        "now": board.at,
        "page": page,
        "counts": word_counts(board),
        "nothing": _nothing(board),
        "narrowed": narrowed(board.filter),
    }


def word_counts(board: Board) -> dict[str, int]:
    """How many targets have each verdict; `` counts those without one."""
    counts = dict.fromkeys((*WORDS, ""), 0)
    for row in board.targets.values():
        counts[row.word] += 1
    return counts


def _nothing(board: Board) -> str:
    """Why there is nothing to see: `unread`, `store`, `process`, `target`, `match`; empty if there is something."""
    if board.store is None:
        return "unread" if board.problem or not board.path else "store"
    if narrowed(board.filter) and not (board.targets and board.scopes):
        return "match"
    if not board.scopes:
        return "process"
    return "" if board.targets else "target"


def narrowed(filter_: Filter) -> list[tuple[str, str]]:
    """(what, which) for all that a board is narrowed to; empty if it shows everything."""
    since = rfc3339(filter_.since) if filter_.since else ""
    return [
        (what, which)
        for what, which in (
            ("Target", filter_.target),
            ("Service", filter_.service),
            ("Environment", filter_.environment),
            ("Release", filter_.release),
            ("Since", since),
        )
        if which
    ]


def _first_day(board: Board, days: int) -> int:
    """The day with which a chart begins that shows so many, as a number since the epoch."""
    return max(board.today - days + 1, int(board.filter.since // DAY))


# -- overview ---------------------------------------------------------------------------------------


def overview(board: Board, query: Mapping[str, str]) -> Context:
    """The road to zero, and what to do next."""
    days = _range(query)
    rows = list(board.targets.values())
    today = dt.datetime.fromtimestamp(board.at, dt.timezone.utc).date()
    in_use = [row for row in rows if _in_use(row, board)]
    due = sorted((r for r in in_use if r.deadline), key=lambda r: (r.deadline or today, r.ref))
    return {
        **shared(board, "overview"),
        "days": days,
        "ranges": RANGES,
        "today": today,
        "sites_chart": _burn_chart(board, days, "sites", board.sites_forecast, _deadlines(due)),
        "targets_chart": _burn_chart(board, days, "targets", board.targets_forecast, ()),
        "uses_chart": _uses_chart(board, days),
        "in_use": in_use,
        "overdue": [row for row in due if cast("dt.date", row.deadline) < today],
        "due": due[:ENOUGH],
        "safe": sorted((r for r in rows if r.word == "safe"), key=lambda r: r.ref)[:ENOUGH],
        "busiest": sorted(in_use, key=lambda r: (-r.weeks[-1], r.ref))[:ENOUGH],
        "latest": board.days[-1] if board.days else None,
        "warnings": warnings(board),
    }


def _in_use(row: TargetRow, board: Board) -> bool:
    return row.word == "in-use" or (not row.word and row.used_since(board.at - TRAIL * DAY))


def _deadlines(due: Sequence[TargetRow]) -> list[tuple[dt.date, int]]:
    """The different deadlines of what is in use, with how many targets have each."""
    found: dict[dt.date, int] = {}
    for row in due:
        if row.deadline:
            found[row.deadline] = found.get(row.deadline, 0) + 1
    return sorted(found.items())


def _burn_chart(
    board: Board, days: int, what: str, forecast: Forecast, deadlines: Sequence[tuple[dt.date, int]]
) -> Context:
    """One line by day; None where nobody watched, which is not zero."""
    start = _first_day(board, days)
    shown = [day for day in board.days if day.day >= start]
    chart: Context = {
        "kind": "line",
        "label": "Call sites in use" if what == "sites" else "Targets with uses",
        "x": [day.day * DAY for day in shown],
        "y": [getattr(day, what) if day.day in board.observed else None for day in shown],
        "marks": [],
    }
    end = board.today + days  # as far ahead as back: a longer line would be all that one sees
    if forecast.kind == "falling" and forecast.zero is not None and shown:
        chart["forecast"] = {
            "from": board.today * DAY,
            "value": forecast.now,
            "zero": forecast.zero * DAY,
            "earliest": (forecast.earliest or forecast.zero) * DAY,
            "latest": forecast.latest and forecast.latest * DAY,
        }
        chart["end"] = min(forecast.zero + 7, end) * DAY
    for date, count in deadlines:
        at = (date - dt.date(1970, 1, 1)).days
        if start <= at <= end:
            chart["marks"].append({"x": at * DAY, "label": f"{count} due" if count > 1 else "due"})
            chart["end"] = max(chart.get("end", 0), (at + 3) * DAY)
    return chart


def _uses_chart(board: Board, days: int) -> Context:
    start = _first_day(board, days)
    shown = [day for day in board.days if day.day >= start]
    return {
        "kind": "bars",
        "label": "Uses a day",
        "x": [day.day * DAY for day in shown],
        "y": [day.uses if day.day in board.observed else None for day in shown],
        "marks": [],
    }


def warnings(board: Board) -> list[str]:
    """What makes the observation itself doubtful, in a sentence each."""
    found = []
    live = [scope for scope in board.scopes if scope.scope in board.live]
    lost = sum(n for scope in live for kind, _, n in scope.troubles if kind == "dropped")
    failed = sum(n for scope in live for kind, _, n in scope.troubles if kind != "dropped")
    silent = [s for s in live if s.running and board.at - s.last > SILENT]
    blind = sum(row.state in ("failed", "missing", "partial") for row in board.targets.values())
    if blind:
        some = "s are" if blind > 1 else " is"
        found.append(f"{blind:,} target{some} not fully armed: uses may go unseen.")
    if lost:
        found.append(f"{lost:,} record{'s were' if lost > 1 else ' was'} dropped in releases that run.")
    if failed:
        found.append(f"{failed:,} internal error{'s' if failed > 1 else ''} in releases that run.")
    if silent:
        names = ", ".join(sorted({s.scope.service or "a service without a name" for s in silent})[:ENOUGH])
        found.append(f"Not heard from for half an hour or more, and not known to have ended: {names}.")
    return found


# -- targets ----------------------------------------------------------------------------------------

SORTS: dict[str, Callable[[TargetRow], Any]] = {
    "target": lambda r: r.ref,
    "verdict": lambda r: (*WORDS, "").index(r.word),
    "state": lambda r: ("failed", "missing", "partial", "pending", "armed", "removed").index(r.state),
    "uses": lambda r: r.sums.uses if r.sums else 0,
    "sites": lambda r: r.sums.sites if r.sums else 0,
    "last": lambda r: r.sums.last if r.sums else 0.0,
    "owner": lambda r: (not r.info.owner, r.info.owner),
    "deadline": lambda r: (not r.info.remove_by, r.info.remove_by),
}
DESCENDING = ("uses", "sites", "last")
"""Orders in which the greatest is what one looks for."""


def targets(board: Board, query: Mapping[str, str]) -> Context:
    """The table: searched, narrowed, sorted, one page of it."""
    narrowed = {
        "q": query.get("q", "")[:200],
        "verdict": _choice(query, "verdict", WORDS, ""),
        "state": _choice(query, "state", STATES, ""),
        "owner": query.get("owner", "")[:200],
    }
    sort = _choice(query, "sort", list(SORTS), "verdict")
    order = _choice(query, "order", ("asc", "desc"), "desc" if sort in DESCENDING else "asc")
    rows = [row for row in board.targets.values() if _matches(row, narrowed)]
    rows.sort(key=lambda row: row.ref)
    if sort == "verdict":
        # Within a verdict the busiest first: that is where the work is.
        rows.sort(key=lambda row: -row.weeks[-1])
    rows.sort(key=SORTS[sort], reverse=order == "desc")
    paging = _paging(query, PAGE, len(rows))
    return {
        **shared(board, "targets"),
        "all_rows": rows,
        "rows": rows[paging.first - 1 if rows else 0 : paging.last],
        "paging": paging,
        "query": narrowed,
        "sort": sort,
        "order": order,
        "descending": DESCENDING,
        "owners": sorted({row.info.owner for row in board.targets.values()} - {""}),
        "states": STATES,
        "words": WORDS,
        "today": dt.datetime.fromtimestamp(board.at, dt.timezone.utc).date(),
        "address": lambda **changes: _address({**narrowed, "sort": sort, "order": order, **changes}),
    }


def _address(query: Mapping[str, str]) -> str:
    return "/targets?" + urlencode({key: value for key, value in query.items() if value}, errors="replace")


def _matches(row: TargetRow, narrowed: Mapping[str, str]) -> bool:
    info = row.info
    if narrowed["verdict"] and row.word != narrowed["verdict"]:
        return False
    if narrowed["state"] and row.state != narrowed["state"]:
        return False
    if narrowed["owner"] and info.owner != narrowed["owner"]:
        return False
    text = f"{info.ref} {info.replacement} {info.owner} {info.issue} {info.note}".lower()
    return all(word in text for word in narrowed["q"].lower().split())


# -- one target -------------------------------------------------------------------------------------


def target(board: Board, query: Mapping[str, str]) -> Context:
    """Everything about one target. Raises NotFound."""
    ref = query.get("ref", "")
    row = board.targets.get(ref)
    if row is None:
        raise NotFound(f"No target is called {ref!r}." if ref else "No target was named.")
    days = _range(query)
    search = query.get("q", "")[:200]
    order = _choice(query, "sort", get_args(SiteOrder), "last")
    with board.reading() as connection:
        found = gathering.matching_sites(connection, ref, search=search, order=order)
        paging = _paging(query, SITES, len(found))
        numbers = found[(paging.page - 1) * SITES : paging.page * SITES]
        history = gathering.releases(connection, ref, [scope.scope for scope in board.scopes[:RELEASES]])
        context = {
            "sites": gathering.sites(connection, numbers),
            "stacks": gathering.stacks(connection, numbers),
            "site_scopes": gathering.site_scopes(connection, numbers),
            "chart": _target_chart(board, days, gathering.daily(connection, ref)),
            "references": references(board, connection, ref),
        }
    return {
        **shared(board, "target"),
        **context,
        "row": row,
        "days": days,
        "ranges": RANGES,
        "paging": paging,
        "query": {"ref": ref, "q": search},
        "sort": order,
        "history": history,
        "older": (row.sums.uses if row.sums else 0) - sum(release.uses for release in history),
        "older_releases": max(0, len(board.scopes) - RELEASES),
        "findings": [found for found in board.findings if found.finding.target == ref][:FINDINGS],
        "today": dt.datetime.fromtimestamp(board.at, dt.timezone.utc).date(),
    }


def _target_chart(board: Board, days: int, daily: Mapping[int, tuple[int, int]]) -> Context:
    start = max(_first_day(board, days), min(board.observed, default=board.today))
    shown = range(start, board.today + 1)
    return {
        "kind": "bars",
        "label": "Uses a day",
        "x": [day * DAY for day in shown],
        "y": [daily.get(day, (0, 0))[0] if day in board.observed else None for day in shown],
        "marks": [],
    }


def references(
    board: Board, connection: sqlite3.Connection, ref: str
) -> list[tuple[Reference, list[Scope], bool]]:
    """Each reference once, with the scopes that held it, and whether one of them runs."""
    found = gathering.references(connection, ref)
    return [(held, scopes, any(s in board.live for s in scopes)) for held, scopes in found.items()]


# -- findings ---------------------------------------------------------------------------------------


def isolation(board: Board, query: Mapping[str, str]) -> Context:
    """Objects that went to more than one owner, or to none."""
    del query
    found = [row for row in board.findings if row.finding.kind == "isolation"]
    return {
        **shared(board, "isolation"),
        "findings": found[:FINDINGS],
        "total": len(found),
        "targets": sorted({row.finding.target for row in found}),
    }


@dataclass(frozen=True, slots=True)
class Impact:
    """A call site, and how often a request that went through it failed."""

    finding: FindingRow
    failures: int
    outcomes: tuple[tuple[str, int], ...]
    last: float


def impact(board: Board, query: Mapping[str, str]) -> Context:
    """Call sites by what their users saw afterwards."""
    del query
    raising: list[SiteRow] = []
    if board.store is not None:
        with board.reading() as connection:
            raising = gathering.raising_sites(connection, FINDINGS)
    found = _impacts([row for row in board.findings if row.finding.kind == "impact"])
    return {**shared(board, "impact"), "impacts": found[:FINDINGS], "total": len(found), "raising": raising}


def _impacts(rows: Sequence[FindingRow]) -> list[Impact]:
    grouped: dict[Any, list[FindingRow]] = {}
    for row in rows:
        site = row.finding.site
        grouped.setdefault((row.finding.target, site.id if site else ""), []).append(row)
    result = []
    for same in grouped.values():
        outcomes: dict[str, int] = {}
        for row in same:
            outcomes[row.finding.message] = outcomes.get(row.finding.message, 0) + row.finding.count
        ranked = tuple(sorted(outcomes.items(), key=lambda item: (-item[1], item[0])))
        result.append(Impact(same[0], sum(outcomes.values()), ranked, max(row.finding.at for row in same)))
    return sorted(result, key=lambda item: (-item.failures, item.finding.finding.target))


# -- observation ------------------------------------------------------------------------------------


def observation(board: Board, query: Mapping[str, str]) -> Context:
    """Whether the observation itself can be trusted."""
    live = [scope for scope in board.scopes if scope.scope in board.live]
    ended = [scope for scope in board.scopes if scope.scope not in board.live]
    paging = _paging(query, SITES, len(ended))
    by_state: dict[str, int] = dict.fromkeys(STATES, 0)
    for row in board.targets.values():
        by_state[row.state] += 1
    blind = [row for row in board.targets.values() if row.state not in ("armed", "removed")]
    blind.sort(key=lambda row: (SORTS["state"](row), row.ref))
    return {
        **shared(board, "observation"),
        "scopes": live,
        "ended": ended[paging.first - 1 if ended else 0 : paging.last],
        "paging": paging,
        "by_state": by_state,
        "blind": blind[:PAGE],
        "blind_total": len(blind),
        "warnings": warnings(board),
        "silent_after": SILENT,
    }
