"""Where evidence comes from: the local store, or the log entries of a whole fleet.

Every source brings its evidence into a store, so that one adapter (`lastcall.sources.dossiers`) makes the
dossiers and the same data gives the same verdict wherever it was read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lastcall.store import Store


class EvidenceSource(Protocol):
    """Something that evidence can be read from."""

    name: str
    """As a person would call it: `store .lastcall/store.db`, `Cloud Logging of project P`."""

    def gather(
        self, refs: Sequence[str], since: float, progress: Callable[[int, int], None] | None = None
    ) -> Store:
        """All evidence on these targets (all targets if empty) since an instant, as an open store.

        A store that holds more than was asked for is fine: the adapter narrows it. The caller closes it.
        `progress` is told (done, of how many), the second being 0 where that is not known. Raises
        LastcallError with one clear sentence for what the user can mend: no permission, no such project.
        """
        ...


class StoreSource:
    """The local store, with what live processes have not handed in yet."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.name = f"store {path}"

    def gather(
        self, refs: Sequence[str], since: float, progress: Callable[[int, int], None] | None = None
    ) -> Store:
        """See `EvidenceSource`. Everything is in the file already, so `refs` and `since` narrow nothing."""
        from lastcall.store import Store

        del refs, since
        return Store.current(self.path, progress)
