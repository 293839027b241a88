"""Importing OpenTelemetry while the interpreter ends: a process may be shorter than our first flush."""

from __future__ import annotations

import importlib
from typing import Any


def import_late(module: str) -> None:
    """Import `module`, also where thread pools are no more. Raises what the import raises.

    The SDK's logs create a resource when they are imported, and the detectors for that run in a thread pool,
    which refuses work once the main thread has ended. Then, and only then, the detectors are left out.
    """
    try:
        importlib.import_module(module)
    except RuntimeError:
        resources: Any = importlib.import_module("opentelemetry.sdk.resources")
        original = resources.get_aggregated_resources
        resources.get_aggregated_resources = _undetected
        try:
            importlib.import_module(module)
        finally:
            resources.get_aggregated_resources = original


def _undetected(_detectors: Any, initial_resource: Any = None, timeout: float = 0.0) -> Any:
    """The signature is the SDK's."""
    from opentelemetry.sdk.resources import Resource

    del timeout
    return initial_resource or Resource.get_empty()
