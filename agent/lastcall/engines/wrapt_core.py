"""wrapt's function wrappers without the rest of wrapt.

`import wrapt` brings asyncio, inspect, ssl and some 165 more modules: 60 to 80 ms, 14 MB, and 15 ms at the end of
a process that has no use for them. The wrappers themselves lie in one C extension, which needs none of that. So
that is loaded alone, and privately: `sys.modules` stays as it was, and a host that imports wrapt afterwards gets
all of its own, as if we were not there.

Where the host has imported wrapt already, where it runs without its C extension, or where anything is not as
expected, this is an ordinary `import wrapt`.
"""

from __future__ import annotations

import os
import sys

from ..errors import is_interruption

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from typing import Any

_EXTENSION = "wrapt._wrappers"
_EXCEPTIONS = "wrapt.exceptions"
"""The one module of wrapt (since 2.1) that its C extension asks for, by this name."""


def load() -> Any:
    """A module that has wrapt's `FunctionWrapper` and `BoundFunctionWrapper`. Raises ImportError without wrapt."""
    if "wrapt" not in sys.modules and not os.environ.get("WRAPT_DISABLE_EXTENSIONS"):
        try:
            alone = _load_alone()
        except Exception as error:  # the seam to importlib's and wrapt's insides: the ordinary way is left
            if is_interruption(error):
                raise
            alone = None
        if alone is not None:
            return alone
    import wrapt

    return wrapt


def _load_alone() -> Any:
    """The C extension, or None if there is none, or if somebody imported wrapt in the meantime."""
    bootstrap: Any = sys.modules["_frozen_importlib"]
    with bootstrap._ModuleLockManager("wrapt"):  # nobody begins to import wrapt before we are done
        if any(name in sys.modules for name in ("wrapt", _EXCEPTIONS, _EXTENSION)):
            return None
        package = bootstrap._find_spec("wrapt", None)
        folders = package and package.submodule_search_locations
        spec = folders and bootstrap._find_spec(_EXTENSION, folders)
        if not spec or type(spec.loader).__name__ != "ExtensionFileLoader":
            return None
        try:
            exceptions = _load_exceptions(bootstrap, folders)
            extension = bootstrap.module_from_spec(spec)
            _execute(extension, exceptions)
        finally:
            sys.modules.pop(_EXCEPTIONS, None)
            sys.modules.pop(_EXTENSION, None)  # extensions of the older kind put themselves there
    return extension


def _load_exceptions(bootstrap: Any, folders: Any) -> Any:
    """Put `wrapt.exceptions` into `sys.modules`; None for a wrapt that has no such module."""
    spec = bootstrap._find_spec(_EXCEPTIONS, folders)
    if spec is None:
        return None
    module = sys.modules[_EXCEPTIONS] = bootstrap.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _execute(extension: Any, exceptions: Any) -> None:
    """Run the extension's own initialisation.

    It imports `wrapt.exceptions`, and `__import__` would import the package above it first. C code uses the
    `__import__` of the Python code that called it: so it is called from code that has one of its own.
    """
    import _imp

    def import_exceptions(name: str, *_: Any) -> Any:
        if name != _EXCEPTIONS or exceptions is None:
            raise ImportError(f"wrapt's extension asks for {name}")
        return exceptions

    names = {"__builtins__": {"__import__": import_exceptions}, "execute": _imp.exec_dynamic, "extension": extension}
    exec("execute(extension)", names)  # noqa: S102 - a constant; see above
