"""The real Google Cloud Logging clients, one call each: bounded in time, without retries of their own.

Imports google and grpc inside functions: this module is loaded in the background thread, but a process that
writes to standard output needs none of it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from lastcall.exporters.gcp_resource import on_google
from lastcall.exporters.gcp_wire import fill_entry, log_name, rest_entry
from lastcall.exporters.queueing import Answer, RefusedError, UnavailableError
from lastcall.exporters.spool import encode

if TYPE_CHECKING:
    from google.cloud.logging_v2.client import Client
    from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client

    from lastcall.exporters import ExporterSettings
    from lastcall.exporters.spool import Item

PASSING_CODES: Final = frozenset({1, 4, 8, 10, 13, 14, 16})
"""google.rpc codes of an entry that may be taken later: cancelled, deadline, exhausted, aborted, internal,
unavailable,
unauthenticated."""
PARTIAL_ERRORS: Final = "google.logging.v2.WriteLogEntriesPartialErrors"


class Writer(Protocol):
    """Writes entries by one request of the API."""

    project: str

    def write(self, items: list[Item], timeout: float, *, dry_run: bool = False) -> Answer:
        """Raises UnavailableError or RefusedError if the service took none of the items."""

    def close(self) -> None:
        """Close the connection."""


def connect(settings: ExporterSettings) -> Writer:
    """The writer that the settings ask for. Asks no metadata server unless there is reason to believe in one.

    Raises UnavailableError if there is no project or there are no credentials.
    """
    project = settings.gcp_project or os.environ.get("GOOGLE_CLOUD_PROJECT", "")
    if settings.gcp_endpoint.startswith("http://"):
        if not project:
            raise UnavailableError("no project: set GOOGLE_CLOUD_PROJECT")
        return RestWriter(rest_client(project, settings.gcp_endpoint))
    import google.auth
    from google.auth.exceptions import GoogleAuthError

    require_credentials()
    try:
        credentials, found = google.auth.default(scopes=["https://www.googleapis.com/auth/logging.write"])
    except GoogleAuthError as error:
        raise UnavailableError(f"no usable credentials: {_one_line(error)}") from error
    project = project or found or ""
    if not project:
        raise UnavailableError("no project: set GOOGLE_CLOUD_PROJECT")
    return GrpcWriter(project, grpc_client(settings.gcp_endpoint, credentials))


def rest_client(project: str, endpoint: str) -> Client:
    """The library's client over HTTP and JSON, without credentials: for a private endpoint."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.logging_v2.client import Client

    options = {"api_endpoint": endpoint.rstrip("/")}
    credentials = AnonymousCredentials()
    return Client(project=project, credentials=credentials, _use_grpc=False, client_options=options)


def grpc_client(endpoint: str, credentials: Any) -> LoggingServiceV2Client:
    """The library's gRPC client; `endpoint` is `host[:port]`, or empty for Google's own."""
    from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client

    options = {"api_endpoint": endpoint.removeprefix("https://")} if endpoint else None
    return LoggingServiceV2Client(credentials=credentials, client_options=options)


def require_credentials() -> None:
    """Fail at once where google.auth would look for a metadata server for up to 12 s and not find one."""
    explicit = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    folder = os.environ.get("CLOUDSDK_CONFIG") or os.path.expanduser("~/.config/gcloud")  # noqa: PTH111 - may be unset
    if explicit or (Path(folder) / "application_default_credentials.json").exists() or on_google():
        return
    raise UnavailableError(
        "no credentials: set GOOGLE_APPLICATION_CREDENTIALS, run `gcloud auth application-default login`, "
        "or write to standard output with LASTCALL_GCP_MODE=stdout"
    )


class GrpcWriter:
    """`WriteLogEntries` by the library's gRPC client."""

    def __init__(self, project: str, client: LoggingServiceV2Client) -> None:
        from google.cloud.logging_v2.types import WriteLogEntriesRequest
        from google.logging.type import log_severity_pb2

        self.project = project
        self._client = client
        self._request = WriteLogEntriesRequest
        self._severities = log_severity_pb2.LogSeverity

    def write(self, items: list[Item], timeout: float, *, dry_run: bool = False) -> Answer:
        """See `Writer.write`."""
        from google.api_core.exceptions import GoogleAPICallError
        from google.auth.exceptions import GoogleAuthError

        # The plain protobuf message: the library's own wrapper costs more than sending does.
        message = self._request.pb(self._request())
        message.log_name = log_name(self.project)
        message.partial_success = True
        message.dry_run = dry_run
        message.resource.type = "global"
        message.resource.labels["project_id"] = self.project
        for item in items:
            fill_entry(message.entries.add(), item, self.project, self._severities)
        try:
            self._client.write_log_entries(request=self._request.wrap(message), retry=None, timeout=timeout)
        except GoogleAPICallError as error:
            return answer_of(error, len(items), self.project)
        except GoogleAuthError as error:
            raise UnavailableError(f"credentials refused: {_one_line(error)}") from error
        return Answer()

    def close(self) -> None:
        """Close the channel."""
        self._client.transport.close()


class RestWriter:
    """`entries:write` by the library's HTTP connection."""

    def __init__(self, client: Client) -> None:
        self.project: str = client.project
        self._client = client

    def write(self, items: list[Item], timeout: float, *, dry_run: bool = False) -> Answer:
        """See `Writer.write`."""
        import requests
        from google.api_core.exceptions import GoogleAPICallError
        from google.auth.exceptions import GoogleAuthError

        body = {
            "logName": log_name(self.project),
            "partialSuccess": True,
            "dryRun": dry_run,
            "resource": {"type": "global", "labels": {"project_id": self.project}},
            "entries": [rest_entry(item, self.project) for item in items],
        }
        try:
            # Not `client.logging_api.write_entries`, which takes no timeout: its 60 s would outlive any exit.
            self._client._connection.api_request(
                method="POST",
                path="/entries:write",
                data=encode(body),
                content_type="application/json",
                timeout=timeout,
            )
        except GoogleAPICallError as error:
            return answer_of(error, len(items), self.project)
        except GoogleAuthError as error:
            raise UnavailableError(f"credentials refused: {_one_line(error)}") from error
        except requests.RequestException as error:
            raise UnavailableError(
                f"cannot reach {self._client._connection.API_BASE_URL}: {_one_line(error)}"
            ) from error
        return Answer()

    def close(self) -> None:
        """Close the session."""
        self._client.close()


def answer_of(error: Any, number: int, project: str) -> Answer:
    """What a failed call means for the `number` items of its request.

    Raises UnavailableError or RefusedError if it means the same for all of them.
    """
    from google.api_core import exceptions

    verdicts = dict(_entry_errors(error))
    if verdicts:
        refused = {position: text for position, (code, text) in verdicts.items() if code not in PASSING_CODES}
        again = tuple(position for position in verdicts if position not in refused)
        if all(position < number for position in verdicts):
            return Answer(refused, again)
    text = _one_line(error)
    if isinstance(error, (exceptions.PermissionDenied, exceptions.Forbidden)):
        raise UnavailableError(
            f"no permission to write to project {project} (roles/logging.logWriter): {text}"
        )
    if isinstance(error, (exceptions.Unauthenticated, exceptions.Unauthorized)):
        raise UnavailableError(f"credentials are missing or expired: {text}")
    if isinstance(error, exceptions.NotFound):
        raise UnavailableError(f"no project {project}: {text}")
    if isinstance(error, (exceptions.InvalidArgument, exceptions.BadRequest)) or error.code == 413:  # noqa: PLR2004
        raise RefusedError(text)
    raise UnavailableError(text)


def _entry_errors(error: Any) -> list[tuple[int, tuple[int, str]]]:
    """Position, code and text of each entry that was not written, if the service said so entry by entry."""
    found: list[tuple[int, tuple[int, str]]] = []
    for detail in error.details or ():
        if isinstance(detail, dict):  # from the REST transport
            if detail.get("@type", "").endswith(PARTIAL_ERRORS):
                errors = detail.get("logEntryErrors", {})
                found += [(int(at), (s.get("code", 2), s.get("message", ""))) for at, s in errors.items()]
            continue
        found += _partial_errors(detail)
    return found


def _partial_errors(detail: Any) -> list[tuple[int, tuple[int, str]]]:
    from google.cloud.logging_v2.types import WriteLogEntriesPartialErrors

    message = WriteLogEntriesPartialErrors.pb(WriteLogEntriesPartialErrors())
    if getattr(detail, "type_url", "").endswith(PARTIAL_ERRORS):
        message.ParseFromString(detail.value)
    elif type(detail).__name__ == "WriteLogEntriesPartialErrors":
        message = WriteLogEntriesPartialErrors.pb(detail) if hasattr(detail, "_pb") else detail
    return [(at, (status.code, status.message)) for at, status in message.log_entry_errors.items()]


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
