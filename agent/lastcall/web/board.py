"""What all pages show, as of one moment: read once from the store, then only looked at."""

from __future__ import annotations

import datetime as dt
import hashlib
import threading
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lastcall.check_settings import CheckSettings
from lastcall.checking import Request, check
from lastcall.errors import LastcallError, StoreError
from lastcall.store import Store, queries
from lastcall.store.attaching import as_file
from lastcall.store.rows import Filter
from lastcall.web import gathering
from lastcall.web.forecast import NOTHING, Forecast, forecast
from lastcall.wildcards import wild

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from lastcall.config import Config
    from lastcall.evidence import TargetInfo
    from lastcall.store.rows import FindingRow, Scope, StateCount
    from lastcall.verdict import Verdict
    from lastcall.web.gathering import Day, ScopeSum, Share, SiteRow, TargetSum

DAY = gathering.DAY
EVERYTHING = Filter()
WEEKS = 12
"""Weeks of a target's little history."""
SHOWN = 5
"""Call sites named on the overview."""


@dataclass(frozen=True, slots=True)
class TargetRow:
    """One target, with all that a table shows of it."""

    info: TargetInfo
    state: str
    """Its weightiest state among the processes that run; `pending` if none has reported it."""
    reason: str
    sums: TargetSum | None
    """None: never used."""
    states: tuple[StateCount, ...]
    weeks: tuple[int, ...]
    verdict: Verdict | None = None
    """None while it is being reached, or if it cannot be; see `Board.judged`."""

    @property
    def ref(self) -> str:
        """Its object reference."""
        return self.info.ref

    @property
    def word(self) -> str:
        """The verdict, or `` if there is none yet."""
        return self.verdict.word if self.verdict else ""

    @property
    def deadline(self) -> dt.date | None:
        """`remove_by` as a date, if it is one."""
        try:
            return dt.date.fromisoformat(self.info.remove_by)
        except ValueError:
            return None

    def used_since(self, moment: float) -> bool:
        """Whether any use was seen since then."""
        return self.sums is not None and self.sums.last >= moment


@dataclass(frozen=True)
class Board:
    """A store, read. `version` differs whenever a page could look different.

    The queries of single pages go through `reading()`: one at a time, on the connection that holds the sums.
    """

    at: float
    version: str
    path: str
    targets: Mapping[str, TargetRow] = field(default_factory=dict)
    scopes: Sequence[ScopeSum] = ()
    live: frozenset[Scope] = frozenset()
    days: Sequence[Day] = ()
    observed: frozenset[int] = frozenset()
    sites_forecast: Forecast = NOTHING
    targets_forecast: Forecast = NOTHING
    recent: tuple[int, int] = (0, 0)
    """Uses in the last 24 hours, and in the seven days before."""
    new_sites: tuple[int, Sequence[SiteRow]] = (0, ())
    modules: Sequence[Share] = ()
    origins: Sequence[Share] = ()
    findings: Sequence[FindingRow] = ()
    judged: float | None = None
    """When the verdicts were reached; None: not yet."""
    unjudged: str = ""
    """Why there are no verdicts, if they cannot be reached."""
    problem: str = ""
    """Why this could not be read anew: what is shown is older than it should be."""
    source: tuple[str, ...] = ()
    """The options that make a command read the same evidence; none where it does so by itself."""
    filter: Filter = EVERYTHING
    """What it is narrowed to. Verdicts are not: they take all evidence, or they would be none."""
    store: Store | None = None
    connection: sqlite3.Connection | None = None
    """The one that holds the sums. The store would open another if its file were gone, or make a new file."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection with the sums, for one thread at a time. Raises StoreError."""
        if self.store is None or self.connection is None:
            raise StoreError("store-missing", f"There is no store at {self.path}.")
        with self.lock, self.store._database.errors():
            yield self.connection

    @property
    def today(self) -> int:
        """Days since the epoch."""
        return int(self.at // DAY)

    def close(self) -> None:
        """Let go of the store."""
        if self.store is not None:
            with self.lock:
                self.store.close()
                if self.connection is not None:
                    self.connection.close()  # the store may hold another by now


def empty(path: str, at: float, problem: str = "") -> Board:
    """The board where nothing could be read; without a `problem`, because there is nothing yet."""
    return Board(at, _digest("empty", path, problem), path, problem=problem)


def read(store: Store, now: float, filter_: Filter = EVERYTHING) -> Board:
    """All facts of `store` that `filter_` lets pass, without verdicts. Raises StoreError.

    The board keeps the store, whose connection from then on shows nothing else.
    """
    with store._database.errors():
        connection = store._database.connection
        gathering.prepare(connection, filter_)
        today = int(now // DAY)
        days = gathering.burn_down(connection, today)
        observed = gathering.observed_days(connection)
        sums = gathering.target_sums(connection)
        used = any(total.counting for total in sums.values())
        return Board(
            now,
            # Of its own for each reading, whatever the clock does.
            uuid.uuid4().hex,
            store.path,
            targets=_targets(connection, queries.targets(connection, EVERYTHING), sums, today),
            filter=filter_,
            connection=connection,
            scopes=gathering.scope_sums(connection, filter_.since),
            live=gathering.live_scopes(connection),
            days=days,
            observed=observed,
            sites_forecast=forecast({d.day: d.sites for d in days}, observed, today, used=used),
            targets_forecast=forecast({d.day: d.targets for d in days}, observed, today, used=used),
            recent=gathering.recent_uses(connection, now),
            new_sites=gathering.new_sites(connection, now - 7 * DAY, SHOWN),
            modules=gathering.shares(connection, "module", today - 6),
            origins=gathering.shares(connection, "origin", today - 6),
            findings=queries.findings(connection, Filter(since=filter_.since)),
            store=store,
        )


def _targets(
    connection: sqlite3.Connection, infos: Sequence[TargetInfo], sums: Mapping[str, TargetSum], today: int
) -> dict[str, TargetRow]:
    states = gathering.states(connection)
    weeks = gathering.weekly(connection, today, WEEKS)
    return {
        info.ref: _target(info, sums.get(info.ref), states.get(info.ref, ()), weeks)
        for info in infos
        if not wild(info.ref)  # what it matched is a target, and it is none
    }


def _target(
    info: TargetInfo,
    total: TargetSum | None,
    states: Sequence[StateCount],
    weeks: Mapping[str, Sequence[int]],
) -> TargetRow:
    state = states[0].state if states else "pending"
    reason = states[0].reason if states else "no process that was seen lately has reported it"
    return TargetRow(info, state, reason, total, tuple(states), tuple(weeks.get(info.ref, (0,) * WEEKS)))


class _Borrowed(Store):
    """Another store's connection, for code that closes what it was given."""

    def close(self) -> None:
        """Do nothing: the board goes on reading."""


class _OnBoard:
    """The store of a board as a source of evidence, so that a page and `lastcall check` agree."""

    def __init__(self, store: Store) -> None:
        self.name = f"store {store.path}"
        self._store = _Borrowed(store._database)

    def gather(
        self, refs: Sequence[str], since: float, progress: Callable[[int, int], None] | None = None
    ) -> Store:
        """See `sources.EvidenceSource`."""
        del refs, since, progress
        return self._store


def judge(board: Board, config: Config) -> Board:
    """The board with a verdict for every target: those of `lastcall check` without options.

    Takes a connection of its own: verdicts may take longer than a page should.
    """
    if board.store is None or not board.targets:
        return board
    try:
        verdicts = _verdicts(board, board.store, config)
    except LastcallError as error:
        return replace(board, unjudged=error.message, version=_digest(board.version, error.message))
    return judged(board, verdicts)


def judged(board: Board, verdicts: Sequence[Verdict]) -> Board:
    """The board with these verdicts."""
    rows = dict(board.targets)
    for verdict in verdicts:
        # The callers of a large fleet are millions of values; the pages read theirs from the store.
        slim = replace(verdict, callers=())
        ref = verdict.target.ref
        known = rows.get(ref) or _target(verdict.target, None, (), {})
        # What the configuration says today outranks what a process was told when it started.
        rows[ref] = replace(known, verdict=slim, info=verdict.target)
    return replace(board, targets=rows, judged=board.at, version=_digest(board.version, "judged"))


def verdicts_before(store: Store, config: Config, now: float, pattern: str = "") -> list[Verdict]:
    """Verdicts on the targets of a store, or those that `pattern` names, before `read` narrows it.

    Raises LastcallError.
    """
    return check(_asked(config, now, pattern), _OnBoard(store), config)


def _asked(config: Config, now: float, pattern: str = "") -> Request:
    """What `lastcall check` asks without options: what `[check]` says. Raises UsageError."""
    told = CheckSettings(config)
    return Request([pattern] if pattern else [], told.question(), told.paths(None), now)


def _verdicts(board: Board, store: Store, config: Config) -> list[Verdict]:
    path = store.path
    with ExitStack() as stack:
        if store._database.copied:
            with board.lock:  # for the copy only: pages wait for nothing longer
                path = stack.enter_context(as_file(store._database))
        own = stack.enter_context(Store.open(path, read_only=True))
        return check(_asked(config, board.at), _OnBoard(own), config)


def with_verdicts_of(board: Board, older: Board) -> Board:
    """`board` with the verdicts of an older one, to show while new ones are being reached."""
    if older.judged is None:
        return board
    rows = {
        ref: replace(row, verdict=older.targets[ref].verdict, info=older.targets[ref].info)
        if ref in older.targets and older.targets[ref].verdict
        else row
        for ref, row in board.targets.items()
    }
    for ref, row in older.targets.items():
        rows.setdefault(ref, row)
    return replace(board, targets=rows, judged=older.judged, unjudged=older.unjudged)


def _digest(*parts: object) -> str:
    text = "\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=8).hexdigest()
