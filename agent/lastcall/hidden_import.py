"""Importing a module in our own thread so that nobody sees it half made.

`dataclasses` asks `sys.modules` for `typing` and uses what it finds, without the import lock. If our thread is
importing `typing` at that moment, a dataclass of the host fails with an AttributeError. So that module is made
aside, under its import lock, and put into `sys.modules` when it is whole: until then it is not there, as it
would not be without us.

From 3.14 on `typing` needs itself in `sys.modules` while it runs. There the thread that imports the first target's
module imports it (5 ms), as it would import wrapt: see `bootstrap`.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from typing import Any


def import_whole(name: str) -> None:
    """Import the top-level module `name`, unless it is there. Who imports it meanwhile waits, as for any import."""
    if name in sys.modules or sys.version_info >= (3, 14):
        return
    bootstrap: Any = sys.modules["_frozen_importlib"]
    with bootstrap._ModuleLockManager(name):
        if name in sys.modules:
            return
        spec = bootstrap._find_spec(name, None)
        module = bootstrap.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules.setdefault(name, module)
