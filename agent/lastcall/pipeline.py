"""From the recorder to the store and the exporters, in the background thread.

The store reads the journal, as it reads any process's. Store and exporters are peers, each behind its own
guard: a full disk does not stop metrics, nor the reverse. What only exporters need is in `exporting`, which a
process that has none never loads.
"""

from __future__ import annotations

from time import monotonic

from .errors import StoreError

TYPE_CHECKING = False  # typing costs a bare host 5 ms, and 1 ms more at its end
if TYPE_CHECKING:
    from .agent import Agent
    from .exporting import Exporting
    from .store.absorb import Absorber
    from .store.database import Database


class Pipeline:
    """One process's way out. Built, and used, in the background thread only."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self._database: Database | None = None
        self._absorber: Absorber | None = None
        self._exporting: Exporting | None = None

    def run(self, *, final: bool = False) -> None:
        """One round: the store, then every exporter."""
        if "store" in self.agent.config.exporters:
            with self.agent.errors.guard("store"):
                # A process too short for one flush leaves its journal to the next: to open the database costs 100 ms.
                if not final or self._absorber is not None or self._somebody_was_killed():
                    self._absorb(others_now=final)
        if self.agent.has_exporters:
            self._exports().run(self._database, final=final)

    def shutdown(self, timeout: float) -> None:
        """Last batch, then every exporter's shutdown, all within `timeout` seconds."""
        deadline = monotonic() + timeout
        self.run(final=True)
        if self._exporting is not None:
            self._exporting.shutdown(deadline)

    def keep(self) -> None:
        """The last batch into the exporters' spools, unless it is there: for an exit that cannot wait."""
        self._exports().keep()

    def hanging(self) -> bool:
        """Whether an exporter waits for a backend that does not seem to be alive."""
        return self._exporting is not None and self._exporting.hanging()

    def _somebody_was_killed(self) -> bool:
        return self.agent.has_exporters and self._exports().somebody_was_killed()

    def _exports(self) -> Exporting:
        if self._exporting is None:
            from .exporting import Exporting

            self._exporting = Exporting(self.agent)
        return self._exporting

    def _absorb(self, *, others_now: bool) -> None:
        if self._database is None or self._absorber is None:
            # not `Store`, which also reads: nobody asks in here
            from .store.absorb import Absorber
            from .store.database import Database

            self._database = Database(self.agent.config.store_path())
            self._absorber = Absorber(self._database)
        if others_now:
            self._absorber.look_at_others()
        try:
            self._absorber.absorb(self.agent.id)
        except StoreError as error:
            # Where many processes write to one store, some wait too long for their turn. Nothing is lost by it:
            # all is in our files, which the next round reads again, and after our end whoever looks at them.
            if error.slug != "store-locked":
                raise
        finally:
            # A host that closes every descriptor (a daemon) would give SQLite's number to a file of its own.
            self._database.close()
