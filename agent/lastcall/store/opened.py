"""The store as commands and pages see it: opened, brought up to date, asked, joined with others."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from lastcall.config import followed
from lastcall.errors import StoreError
from lastcall.journal import live_folder
from lastcall.store import merging, queries
from lastcall.store.absorb import Absorbed, Absorber
from lastcall.store.attaching import attached
from lastcall.store.database import Database
from lastcall.store.rows import (
    Activity,
    CallSite,
    Filter,
    FindingRow,
    ObservationRow,
    Observed,
    ProcessRow,
    ReferenceRow,
    StateCount,
    StateRow,
    Total,
    UseRow,
    Watched,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

    from lastcall.evidence import TargetInfo

EVERYTHING = Filter()
read_from: list[str] = []
"""The stores that this process has read, for who wants to know why one could not be understood."""


_NOT_MADE = (
    "A process that is watched makes it (LASTCALL_ENABLED=1); `lastcall doctor` tells why nothing arrives, and --store "
    "names another one."
)


def store_above(path: str) -> str:
    """The store of a folder above, if the one at `path` is that of the folder that somebody is in; else nothing.

    A process that started above has its store there, while the configuration is found from below as well.
    """
    store = Path(path)
    if store.parent.name != ".lastcall":
        return ""
    places = (folder / ".lastcall" / store.name for folder in store.parent.parent.parents)
    return next((str(above) for above in places if above.exists() or Path(live_folder(str(above))).is_dir()), "")


class Store:
    """A store at a path. All methods raise StoreError for what the database cannot do.

    Not for two threads at once. Safe across a fork: the child opens the file anew.
    """

    def __init__(self, database: Database) -> None:
        self.path = database.path
        self._database = database
        self._absorber = Absorber(database)
        self.unread = 0
        """Processes whose live files this user may not read: what they have to say is not in it."""

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], *, read_only: bool = False, busy_seconds: float = 5.0
    ) -> Store:
        """The store at `path`, made if it is not there and may be written.

        `busy_seconds` is how long to wait for another process's lock; a host gives it a fraction of a second
        and comes again with the next flush. Nothing is opened before the first use of the store.
        """
        return cls(Database(followed(os.fspath(path)), read_only=read_only, busy_seconds=busy_seconds))

    @classmethod
    def current(
        cls, path: str | os.PathLike[str], progress: Callable[[int, int], None] | None = None
    ) -> Store:
        """The store at `path` with all that its processes have left or are leaving in their live files.

        Where the store cannot be written, or is locked, it is a private copy that holds the same. Raises
        StoreError with slug `store-missing` if there is neither a store nor a live file.
        """
        path = followed(os.fspath(path))
        if not os.path.exists(path) and not os.path.isdir(live_folder(path)):  # noqa: PTH110, PTH112 - plain paths
            above = store_above(path)
            instead = f"There is one at {above}, which --store can name." if above else _NOT_MADE
            raise StoreError("store-missing", f"There is no store at {path}. {instead}")
        if path not in read_from:
            read_from.append(path)
        try:
            return cls.open(path, busy_seconds=1.0)._with_live(progress)
        except StoreError as error:
            if error.slug not in ("store-locked", "store-read-only", "store-full"):
                raise
            return cls.open(path, read_only=True)._with_live(progress)

    def _with_live(self, progress: Callable[[int, int], None] | None) -> Store:
        """This store, brought up to date; closed if that fails."""
        try:
            self.unread = self.absorb_live(progress=progress).unread
        except BaseException:
            self.close()
            raise
        return self

    def absorb_live(
        self,
        *,
        own: str | None = None,
        progress: Callable[[int, int], None] | None = None,
        others_now: bool = False,
    ) -> Absorbed:
        """Take over what processes left in their live files; see `absorb.Absorber.absorb`.

        `others_now`: look at what others left even if that was done a moment ago, for a process that leaves.

        A store that was opened read-only turns to a private copy first, if there is anything to take.
        """
        if self._database.read_only and not self._database.copied:
            folder = live_folder(self.path)
            if not os.path.isdir(folder) or not os.listdir(folder):  # noqa: PTH112, PTH208 - plain paths
                return Absorbed()
            self._database.copy()
        if others_now:
            self._absorber.look_at_others()
        return self._absorber.absorb(own, progress)

    def merge_from(self, other: Store) -> None:
        """Join all that `other` holds into this store: in any order, and however often, with the same result.

        Nothing of `other` changes. All or nothing is taken over.
        """
        if _same_file(self.path, other.path):
            return
        with attached(self._database, other._database), self._database.transaction() as connection:
            merging.merge(connection)

    def targets(self, filter_: Filter = EVERYTHING) -> list[TargetInfo]:
        """Every target that any process has named or used, by name."""
        with self._database.errors():
            return queries.targets(self._database.connection, filter_)

    def totals(self, filter_: Filter = EVERYTHING) -> dict[str, Total]:
        """Uses by target; one without a use is not in it."""
        with self._database.errors():
            return queries.totals(self._database.connection, filter_)

    def uses(self, filter_: Filter = EVERYTHING, *, stacks: bool = True) -> list[UseRow]:
        """Every call site in every scope, by target, busiest first. Without `stacks` it is much faster."""
        with self._database.errors():
            return queries.uses(self._database.connection, filter_, stacks=stacks)

    def call_sites(
        self, filter_: Filter = EVERYTHING, *, limit: int = 0, stacks: bool = False
    ) -> list[CallSite]:
        """Each call site once, by target, busiest first; at most `limit` a target (0: all)."""
        with self._database.errors():
            return queries.call_sites(self._database.connection, filter_, limit=limit, stacks=stacks)

    def current_states(self, filter_: Filter = EVERYTHING) -> list[StateCount]:
        """The last state of each target in the processes that lived last, weightiest first."""
        with self._database.errors():
            return queries.current_states(self._database.connection, filter_)

    def states(self, filter_: Filter = EVERYTHING) -> list[StateRow]:
        """The whole history of targets' states, by process and time."""
        with self._database.errors():
            return queries.states(self._database.connection, filter_)

    def watched(self, filter_: Filter = EVERYTHING) -> list[Watched]:
        """How long each target was in each state in each scope, counting only observed time."""
        with self._database.errors():
            return queries.watched(self._database.connection, filter_)

    def observed(self, filter_: Filter = EVERYTHING) -> list[Observed]:
        """When each process was alive and watching."""
        with self._database.errors():
            return queries.observed(self._database.connection, filter_)

    def observations(self, filter_: Filter = EVERYTHING, *, states: bool = True) -> list[ObservationRow]:
        """What was watched, one row a scope, the newest first; without `states`, targets are not counted."""
        with self._database.errors():
            return queries.observations(self._database.connection, filter_, states=states)

    def activity(self, filter_: Filter = EVERYTHING) -> list[Activity]:
        """Uses by target, scope and hour."""
        with self._database.errors():
            return queries.activity(self._database.connection, filter_)

    def references(self, filter_: Filter = EVERYTHING) -> list[ReferenceRow]:
        """Which modules hold a target's object, in which scope."""
        with self._database.errors():
            return queries.references(self._database.connection, filter_)

    def findings(self, filter_: Filter = EVERYTHING) -> list[FindingRow]:
        """What blocks `safe` and is not a use, newest first."""
        with self._database.errors():
            return queries.findings(self._database.connection, filter_)

    def processes(self, filter_: Filter = EVERYTHING) -> list[ProcessRow]:
        """Every process, oldest first, with what went wrong in it."""
        with self._database.errors():
            return queries.processes(self._database.connection, filter_)

    def close(self) -> None:
        """Let go of the file. A later use opens it again."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _same_file(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)
