"""The OpenTelemetry resource of the process that an item came from."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.resources import OTELResourceDetector, Resource

from lastcall.exporters import names

if TYPE_CHECKING:
    from lastcall.exporters.spool import Item


def identity(item: Item) -> tuple[str, str, str, str]:
    """Service, environment, release and process id: what tells the resources of items apart."""
    fields = item["payload"]["lastcall"]
    return fields["service"], fields["environment"], fields["release"], fields["process"]


@lru_cache(maxsize=1)
def _detected() -> Any:
    """What the resource detectors and OTEL_RESOURCE_ATTRIBUTES say about this process."""
    try:
        return Resource.create()
    except RuntimeError:
        # The detectors run in a thread pool, and there is none any more while the interpreter ends.
        return OTELResourceDetector().detect()


@lru_cache(maxsize=64)
def resource_of(service: str, environment: str, release: str, process: str) -> Any:
    """What was detected, then what Lastcall's own settings say.

    `service.instance.id` is the observed process's id: new after a fork, and the same when a later process
    sends what this one left behind.
    """
    known = {
        names.SERVICE_NAME: service,
        names.ENVIRONMENT_NAME: environment,
        names.SERVICE_VERSION: release,
        names.SERVICE_INSTANCE_ID: process,
        "telemetry.distro.name": names.SCOPE,
    }
    return _detected().merge(Resource({key: value for key, value in known.items() if value}))
