"""The services' REST form, for a private endpoint without credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lastcall.provision.api import TIMEOUT, reading
from lastcall.provision.kinds import ALERT_POLICY, DASHBOARD, LOG_METRIC, Body, Kind, normalise

if TYPE_CHECKING:
    from collections.abc import Iterable

_PATHS = {
    LOG_METRIC.name: ("v2", "metrics"),
    ALERT_POLICY.name: ("v3", "alertPolicies"),
    DASHBOARD.name: ("v1", "dashboards"),
}
_UPDATE_VERB = {LOG_METRIC.name: "PUT", ALERT_POLICY.name: "PATCH", DASHBOARD.name: "PATCH"}


class RestApi:
    """The services' REST form, without credentials: for a loopback or a proxy that adds them.

    Two of the three generated clients have no REST transport, so this speaks it for all three.
    """

    def __init__(self, project: str, base: str) -> None:
        from google.auth.credentials import AnonymousCredentials
        from google.auth.transport.requests import AuthorizedSession

        self._base = base
        self._parent = f"projects/{project}"
        self._session = AuthorizedSession(AnonymousCredentials())
        self._session.trust_env = False  # a proxy of the environment has no business with a private endpoint

    def read_all(self, kind: Kind) -> list[Body]:
        """See `Api`."""
        version, collection = _PATHS[kind.name]
        found: list[Body] = []
        token = ""
        while True:
            page = self._reading(
                f"{version}/{self._parent}/{collection}", {"pageToken": token} if token else {}
            )
            found += self._answers(kind, page.get(collection, []))
            token = str(page.get("nextPageToken", ""))
            if not token:
                return found

    def get(self, kind: Kind, name: str) -> Body:
        """See `Api`."""
        return next(iter(self._answers(kind, [self._reading(self._path(kind, name), {})])))

    def create(self, kind: Kind, body: Body) -> Body:
        """See `Api`."""
        version, collection = _PATHS[kind.name]
        made = self._request("POST", f"{version}/{self._parent}/{collection}", body=body)
        return next(iter(self._answers(kind, [made])))

    def update(self, kind: Kind, body: Body) -> Body:
        """See `Api`."""
        made = self._request(_UPDATE_VERB[kind.name], self._path(kind, str(body["name"])), body=body)
        return next(iter(self._answers(kind, [made])))

    def delete(self, kind: Kind, name: str) -> None:
        """See `Api`."""
        self._request("DELETE", self._path(kind, name))

    def _path(self, kind: Kind, name: str) -> str:
        version, collection = _PATHS[kind.name]
        path = f"{self._parent}/{collection}/{name.replace('/', '%2F')}" if kind is LOG_METRIC else name
        return f"{version}/{path}"

    def _answers(self, kind: Kind, bodies: Iterable[Body]) -> list[Body]:
        return [normalise(kind, body, strict=False) for body in bodies]

    def _reading(self, path: str, query: dict[str, str]) -> Body:
        retry = reading()["retry"]
        result: Body = retry(self._request)("GET", path, query=query)
        return result

    def _request(
        self, verb: str, path: str, *, body: Body | None = None, query: dict[str, str] | None = None
    ) -> Body:
        import requests
        from google.api_core import exceptions

        try:
            response = self._session.request(
                verb, f"{self._base}/{path}", json=body, params=query or {}, timeout=TIMEOUT
            )
        except requests.ConnectionError as error:
            raise exceptions.ServiceUnavailable(
                f"no connection to {self._base}: {_innermost(error)}"
            ) from error
        except requests.Timeout as error:
            raise exceptions.GatewayTimeout(f"no answer from {self._base} within {TIMEOUT:.0f} s") from error
        if not response.ok:
            raise exceptions.from_http_response(response)
        try:
            answer: Body = response.json() if response.content else {}
        except ValueError as error:
            raise exceptions.InternalServerError(f"{self._base} does not answer in JSON") from error
        return answer


def _innermost(error: BaseException) -> str:
    while error.__context__ is not None:
        error = error.__context__
    return str(error)
