"""uWSGI, a program around the interpreter that forks its workers without telling the interpreter.

Hooks for forks do not run there. What it calls in a worker is a function that lies in its module under the name
`post_fork_hook`, read out of the module's dictionary: ours lies there, and calls the host's. To who reads or sets the
name the module shows the host's.
"""

from __future__ import annotations

from types import ModuleType

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

NAME = "post_fork_hook"


def heed(uwsgi: Any, in_worker: Callable[[], None]) -> bool:
    """Have `in_worker` called in each worker. True if this process is one already."""
    names = vars(uwsgi)
    hosts = [names[NAME]] if NAME in names else []

    def hook() -> None:
        in_worker()
        if hosts:
            hosts[0]()

    def read(_module: Any) -> Any:
        if not hosts:
            raise AttributeError(f"module 'uwsgi' has no attribute '{NAME}'")
        return hosts[0]

    def write(_module: Any, value: Any) -> None:
        hosts[:] = [value]

    def delete(module: Any) -> None:
        read(module)
        hosts.clear()

    cls = type(uwsgi)
    showing = {
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        NAME: property(read, write, delete),
    }
    uwsgi.__class__ = type(cls.__name__, (cls,) if issubclass(cls, ModuleType) else (ModuleType,), showing)
    names[NAME] = hook
    return bool(uwsgi.worker_id() or uwsgi.mule_id() or uwsgi.i_am_the_spooler())
