"""Targets that nobody listed: what carries a deprecation marker, warns, or logs that it is deprecated.

`[discover] pep702` names packages whose marked callables become targets as their modules appear; `warnings`
and `logs` turn deprecation warnings and log records into uses of kind `warning` (see `warnings_seen` and
`logs_seen`).
"""

from __future__ import annotations

from types import FunctionType

from .asking import function_of, is_class, is_spelled, names_of_class, own, text
from .callsite import Pattern
from .targets import FOUND, BadReferenceError, Ref, Target

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

    def __call__(self, patcher: Patcher, module: ModuleType, only_new: bool) -> None:
        """Make targets of everything marked that is defined in `module`, and arm them. `only_new`: what is none yet."""
        name = str(vars(module).get("__name__", ""))
        if not any(pattern.matches(name) for pattern in self.packages):
            return
        for qualname, message in _marked_in(vars(module), name, ""):
            ref = f"{name}:{qualname}"
            known = patcher.by_ref.get(ref)
            if known is not None and known.source not in FOUND:
                known.metadata.setdefault("note", message)
                continue
            if known is not None and only_new:
                continue
            target = patcher.add(Target(ref, metadata={"note": message}, source="pep702"))
            patcher.arm(target, module)


def _marked_in(namespace: Any, module: str, prefix: str, outer: str | None = None) -> list[tuple[str, str]]:
    """(qualified name, message) of what is marked; `outer` is the message of the class around it."""
    found: dict[int, tuple[str, str]] = {}
    inside: list[tuple[str, str]] = []
    for name, value in list(namespace.items()):
        plain = function_of(value) if is_spelled(name) else None
        if plain is None or not callable(plain) or text(plain, "__module__") != module:
            continue
        qualname = prefix + name
        message = marker_of(plain)
        if message is None:
            message = _overload_message(plain)
        # What marks a class marks its constructor and what runs at subclassing too.
        is_mark_of_class = (
            message is not None and message == outer and name in ("__new__", "__init_subclass__")
        )
        # One thing under two names is marked once, under its own name if that is one of them.
        is_alias = id(plain) in found and text(plain, "__qualname__") != qualname
        if message is not None and not is_mark_of_class and not is_alias:
            found[id(plain)] = (qualname, message)
        if is_class(value) and text(value, "__qualname__") == qualname:
            inside.extend(_marked_in(dict(names_of_class(value)), module, qualname + ".", message))
    return [*found.values(), *inside]


def marker_of(value: Any) -> str | None:
    """The deprecation message that a decorator left on `value`, None if there is none."""
    names = own(value, "__dict__")
    message = names.get("__deprecated__") if names is not None else None
    if message is not None:
        return str(message)
    wrapper = own(value, "_self_wrapper")  # of wrapt, or of a class made from its own
    if wrapper is None and is_class(value):
        wrapper = function_of(names.get("__new__"))
    if _home_of(wrapper).startswith("deprecated."):
        return _adapter_reason(wrapper)
    if _home_of(value) == "deprecation" and "__wrapped__" in value.__dict__:
        return _docstring_note(value)
    return None


def _home_of(function: Any) -> str:
    """The module whose code a function runs, whatever module a decorator says that it is of."""
    return str(function.__globals__.get("__name__", "")) if type(function) is FunctionType else ""


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
        if get_overloads is None or type(value) is not FunctionType:
            continue
        for overload in get_overloads(value):
            message = getattr(overload, "__deprecated__", None)
            if message is not None:
                return f"one overload: {message}"
    return None
