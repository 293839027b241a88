"""What a plan needs of Cloud Monitoring and Cloud Logging, and where to get it: `clients` or `rest`.

Everything goes in and out as normalised JSON objects (see `kinds`), so the rest does not know which is used.
Errors are `google.api_core.exceptions.GoogleAPICallError` either way; `failures` words them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from lastcall.errors import UsageError

if TYPE_CHECKING:
    from lastcall.provision.kinds import Body, Kind

TIMEOUT = 30.0
"""Seconds that one request may take."""
RETRY_FOR = 15.0
"""Seconds for which a read is tried again while the service is unavailable."""


class Api(Protocol):
    """What a plan needs of the services. `name` is the resource name as the service gave it."""

    def read_all(self, kind: Kind) -> list[Body]:
        """Every resource of the kind in the project, ours or not."""

    def get(self, kind: Kind, name: str) -> Body:
        """One resource as it is now."""

    def create(self, kind: Kind, body: Body) -> Body:
        """Make one, and return it as the service has it."""

    def update(self, kind: Kind, body: Body) -> Body:
        """Replace the resource `body["name"]`."""

    def delete(self, kind: Kind, name: str) -> None:
        """Remove one."""


def connect(project: str, endpoint: str = "") -> Api:
    """The API for `project`.

    `endpoint` is the value of LASTCALL_GCP_ENDPOINT: empty for Google's own, `https://HOST` for a private one
    with the usual credentials, `http://HOST:PORT` for REST and `grpc://HOST:PORT` for gRPC without TLS and
    credentials.
    Raises UsageError for an endpoint of another form, or where a library is not installed.
    """
    parts = urlsplit(endpoint if "://" in endpoint or not endpoint else f"https://{endpoint}")
    if endpoint and (
        parts.scheme not in ("http", "https", "grpc") or not parts.netloc or parts.path not in ("", "/")
    ):
        raise UsageError(
            f"LASTCALL_GCP_ENDPOINT is {endpoint!r}: expected https://HOST, "
            "http://HOST:PORT (REST, no credentials) "
            "or grpc://HOST:PORT (gRPC, no credentials)"
        )
    try:
        for module in ("monitoring_dashboard_v1", "monitoring_v3"):
            importlib.import_module(f"google.cloud.{module}")  # the resources' types, which REST needs too
        if parts.scheme == "http":
            from lastcall.provision.rest import RestApi

            return RestApi(project, f"http://{parts.netloc}")
        from lastcall.provision.clients import GrpcApi

        return GrpcApi(project, parts.netloc, plaintext=parts.scheme == "grpc")
    except ImportError as error:
        raise UsageError(
            f"lastcall gcp needs Google's clients ({error.name} is missing): pip install 'lastcall[gcp]'"
        ) from None


def reading() -> dict[str, Any]:
    """The options of a read: it is safe to send again, so an unavailable service is tried for a while."""
    from google.api_core import exceptions
    from google.api_core.retry import Retry, if_exception_type

    retry = Retry(predicate=if_exception_type(exceptions.ServiceUnavailable), initial=0.2, timeout=RETRY_FOR)
    return {"timeout": TIMEOUT, "retry": retry}
