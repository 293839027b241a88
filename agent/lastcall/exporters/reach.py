"""Whether anybody listens at an address: asked before client libraries are imported for half a second to
find out."""

from __future__ import annotations

import os
import socket
from typing import Final
from urllib.parse import urlsplit

from lastcall.exporters.queueing import UnavailableError

PROXIES: Final = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "GRPC_PROXY")
PORTS: Final = {"http": 80, "https": 443}


def knock(endpoint: str, timeout: float, default_port: int = 443) -> None:
    """Open and close a connection. Raises UnavailableError if nobody answers within `timeout` seconds.

    `endpoint` is a URL or `host[:port]`. Says nothing where a proxy may lie between, or where there is no
    host to knock at.
    """
    if any(os.environ.get(name) or os.environ.get(name.lower()) for name in PROXIES):
        return
    parts = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}")
    try:
        port = parts.port or PORTS.get(parts.scheme, default_port)
    except ValueError:
        return  # no number: the client will say so in its own words
    if not parts.hostname or parts.scheme not in ("", "http", "https", "grpc"):
        return
    try:
        socket.create_connection((parts.hostname, port), timeout).close()
    except OSError as error:
        raise UnavailableError(f"cannot reach {parts.hostname}:{port}: {error.strerror or error}") from error
