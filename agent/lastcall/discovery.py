"""Targets that nobody listed: what carries a deprecation marker, warns, or logs that it is deprecated.

`[discover] pep702` names packages whose marked callables become targets as their modules appear; `warnings`
and `logs` turn deprecation warnings and log records into uses of kind `warning` (see `warnings_seen` and
`logs_seen`).
"""

from __future__ import annotations

import os

from .callsite import Pattern
from .targets import BadReferenceError, Ref, Target

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from .agent import Agent
    from .patch import Patcher


def install(agent: Agent) -> None:
    """Set up what `[discover]` asks for."""
    discover = agent.config.discover
    packages = discover.get("pep702", ())
    if packages:
        patterns = [pattern for text in packages if (pattern := _package(agent, text)) is not None]
        agent.patcher.wanted.also(patterns)
        agent.patcher.discoverers.append(Markers(patterns))
    seen = None
    if discover.get("warnings"):
        from . import warnings_seen

        seen = warnings_seen.install(agent, discover["warnings"])
    if discover.get("logs"):
        from . import logs_seen

        logs_seen.install(agent, discover["logs"], seen)


def _package(agent: Agent, text: str) -> Pattern | None:
    try:
        return Pattern(Ref(text).module)
    except BadReferenceError as error:
        agent.config.problems.append(f"[discover] pep702: {error}")
        return None


class Markers:
    """Finds what is marked as deprecated in modules of some packages.

    Knows the marks of PEP 702, Deprecated, deprecation and pyDeprecate.
    """

    def __init__(self, packages: list[Pattern]) -> None:
        self.packages = packages

    def __call__(self, patcher: Patcher, module: ModuleType) -> None:
        """Make targets of everything marked that is defined in `module`, and arm them."""
        name = str(vars(module).get("__name__", ""))
        if not any(pattern.matches(name) for pattern in self.packages):
            return
        for qualname, message in _marked_in(vars(module), name, ""):
            ref = f"{name}:{qualname}"
            if ref in patcher.by_ref:
                target = patcher.by_ref[ref]
                target.metadata.setdefault("note", message)
                continue
            target = patcher.add(Target(ref, metadata={"note": message}, source="pep702"))
            patcher.arm(target, module)


def _marked_in(namespace: Any, module: str, prefix: str) -> list[tuple[str, str]]:
    found = []
    for name, value in list(namespace.items()):
        plain = getattr(value, "__func__", value) if isinstance(value, (classmethod, staticmethod)) else value
        if isinstance(plain, property):
            plain = plain.fget
        if not callable(plain) or getattr(plain, "__module__", None) != module:
            continue
        message = marker_of(plain)
        if message is None:
            message = _overload_message(plain)
        if message is not None:
            found.append((prefix + name, message))
        if isinstance(value, type) and value.__qualname__ == prefix + name:
            found.extend(_marked_in(vars(value), module, prefix + name + "."))
    return found


def marker_of(value: Any) -> str | None:
    """The deprecation message that a decorator left on `value`, None if there is none."""
    own = vars(value) if hasattr(value, "__dict__") else {}
    message = own.get("__deprecated__")
    if message is not None:
        return str(message)
    wrapper = getattr(value, "_self_wrapper", None) if type(value).__name__ == "FunctionWrapper" else None
    if wrapper is None and isinstance(value, type):
        wrapper = getattr(own.get("__new__"), "__func__", None)
    if getattr(wrapper, "__module__", "").startswith("deprecated."):
        return _adapter_reason(wrapper)
    code = getattr(value, "__code__", None)
    if (
        code is not None
        and hasattr(value, "__wrapped__")
        and os.path.basename(code.co_filename) == "deprecation.py"
    ):
        return _docstring_note(value)
    return None


def _adapter_reason(wrapper: Any) -> str:
    for cell in wrapper.__closure__ or ():
        reason = getattr(cell.cell_contents, "reason", None)
        if isinstance(reason, str):
            return reason
    return ""


def _docstring_note(value: Any) -> str:
    for line in (value.__doc__ or "").splitlines():
        if line.strip().startswith(".. deprecated::"):
            return line.strip()[len(".. deprecated::") :].strip()
    return ""


def _overload_message(value: Any) -> str | None:
    """The message of the first deprecated overload of a function, which marks only some ways to call it."""
    import sys

    for module in ("typing", "typing_extensions"):
        get_overloads = getattr(sys.modules.get(module), "get_overloads", None)
        if get_overloads is None or not hasattr(value, "__qualname__"):
            continue
        for overload in get_overloads(value):
            message = getattr(overload, "__deprecated__", None)
            if message is not None:
                return f"one overload: {message}"
    return None
