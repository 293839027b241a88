"""Modules that `importlib.util.LazyLoader` runs at the first look at them.

The usual recipe makes such a module by hand: nothing is imported, so the finder never hears that its code has run.
What runs it is the loader inside the lazy one, which is asked for in one place: there we give one that also tells.
A frame of ours lies under such a module's code, and under no other's.
"""

from __future__ import annotations

from _weakref import ref

from .errors import getframe

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from .importing import Finder


def watch(finder: Finder, util: ModuleType) -> None:
    """Have `finder` told of every wanted module that a lazy loader of `importlib.util` has run."""
    lazy_loader = vars(util).get("LazyLoader")
    if lazy_loader is None or "loader" in vars(lazy_loader):
        return
    making = lazy_loader.exec_module.__code__
    living = ref(finder)  # or the class, which stays to the end, would keep all of ours until then

    def get_loader(lazy: Any) -> Any:
        try:
            loader = vars(lazy)["loader"]
        except KeyError:
            raise AttributeError(f"{type(lazy).__name__!r} object has no attribute 'loader'") from None
        frame = getframe(1)
        finder = living()
        if frame.f_code is making and finder is not None:
            with finder.errors.guard_in_host("lazy-module"):
                spec = vars(frame.f_locals[making.co_varnames[1]]).get("__spec__")
                if spec is not None and finder.wants(spec.name):
                    return TellingLoader(loader, finder)
        return loader

    def set_loader(lazy: Any, loader: Any) -> None:
        vars(lazy)["loader"] = loader

    def delete_loader(lazy: Any) -> None:
        if vars(lazy).pop("loader", None) is None:
            raise AttributeError("loader")

    lazy_loader.loader = property(get_loader, set_loader, delete_loader)


class TellingLoader:
    """Stands in for the inner loader of a LazyLoader until that has run the module."""

    def __init__(self, loader: Any, finder: Finder) -> None:
        self._loader = loader
        self._finder = finder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module with its own loader in place, and tell."""
        names = object.__getattribute__(module, "__dict__")
        spec = names.get("__spec__")
        if getattr(spec, "loader", None) is self:
            spec.loader = self._loader
        if type(names.get("__loader__")) is TellingLoader:
            names["__loader__"] = self._loader
        self._loader.exec_module(module)
        self._finder.report(module)
