"""The evidence, kept: one SQLite file that many processes write and everybody reads.

with Store.current(path) as store:      # as of this moment, whatever still runs included
    for row in store.uses(Filter(service="backend")):
        print(row.site.file, row.site.line, row.count)

A host's own process writes (`absorb`, `writing`, `slots`) and never asks: it does not import what only readers need.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lastcall.errors import StoreError
    from lastcall.store.absorb import Absorbed
    from lastcall.store.opened import Store
    from lastcall.store.rows import (
        Activity,
        CallSite,
        Filter,
        FindingRow,
        ObservationRow,
        Observed,
        ProcessRow,
        ReferenceRow,
        Scope,
        StateCount,
        StateRow,
        Total,
        UseRow,
        Watched,
    )

__all__ = [
    "Absorbed",
    "Activity",
    "CallSite",
    "Filter",
    "FindingRow",
    "ObservationRow",
    "Observed",
    "ProcessRow",
    "ReferenceRow",
    "Scope",
    "StateCount",
    "StateRow",
    "Store",
    "StoreError",
    "Total",
    "UseRow",
    "Watched",
]


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from lastcall.store import opened, rows

        found = {**vars(rows), **vars(opened)}
        globals().update({each: found[each] for each in __all__})
        return found[name]
