"""Whether anybody listens at an address: asked before client libraries are imported for half a second to find out."""

from __future__ import annotations

import os
import socket
from typing import Final
from urllib.parse import urlsplit

from lastcall.exporters.queueing import UnavailableError

PROXIES: Final = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "GRPC_PROXY")
PORTS: Final = {"http": 80, "https": 443}
HELLO: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""HTTP/2's preface and an empty SETTINGS frame: a gRPC server answers with its own, an HTTP/1 server with an error."""


def knock(endpoint: str, timeout: float, *, answer: bool = False, default_port: int = 443) -> None:
    """Open and close a connection. Raises UnavailableError if that does not work within `timeout` seconds.

    `endpoint` is a URL or `host[:port]`. With `answer`, a plaintext server also has to say something: a process
    that leaves has no time for one that only accepts. Says nothing where a proxy may lie between, or where there
    is no host to knock at.
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
        with socket.create_connection((parts.hostname, port), timeout) as connection:
            if answer and parts.scheme == "http":
                connection.sendall(HELLO)
                connection.recv(1)
    except OSError as error:
        why = error.strerror or str(error)
        raise UnavailableError(f"cannot reach {parts.hostname}:{port}: {why}") from error
