"""Lastcall answers one question with evidence: may we delete this shim yet?

PYTEST_DONT_REWRITE: pytest would rewrite the assertions of every package that brings a plugin, and warns of one that
is imported already, which ends a run where warnings are errors.
"""

__version__ = "0.1.0"

TYPE_CHECKING = False  # this module is imported at the start of the host, which may need no `__future__` either
if TYPE_CHECKING:
    from typing import Any


def start_from_environment() -> None:
    """What `lastcall.start` names (PEP 829): the switch is looked at before anything more is imported."""
    import os

    if os.environ.get("LASTCALL_ENABLED", "").lower() not in ("", "0", "false", "no", "off"):
        from . import bootstrap

        bootstrap.start_from_environment()


def start(**settings: "Any") -> None:
    """Start the agent in this process, once. See `lastcall.bootstrap.start`."""
    from . import bootstrap

    bootstrap.start(**settings)


def stop() -> None:
    """End the agent in this process and put back everything it patched."""
    from . import bootstrap

    bootstrap.stop()
