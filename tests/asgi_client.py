"""Asks an ASGI application in this process: the bytes of a path reach it as they were written."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from urllib.parse import unquote, urlencode


@dataclass
class Answer:
    status_code: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self):
        return self.body.decode()


class Client:
    """A browser without any of its manners."""

    def __init__(self, app, host="127.0.0.1:8765"):
        self.app, self.host = app, host

    def get(self, path, *, headers=None, params=None):
        return self.request("GET", path, headers=headers, params=params)

    def request(self, method, path, *, headers=None, params=None):
        path, _, query = path.partition("?")
        if params:
            query = urlencode(params, errors="replace")
        given = {"host": self.host, **(headers or {})}
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": unquote(path), "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "client": ("127.0.0.1", 50000), "server": ("127.0.0.1", 8765),
        }  # fmt: skip
        return asyncio.run(self._ask(scope))

    async def _ask(self, scope):
        answer = Answer(0, {}, b"")

        asked = False

        async def receive():
            nonlocal asked
            if asked:
                await asyncio.Event().wait()  # the client stays, and says no more
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message):
            if message["type"] == "http.response.start":
                answer.status_code = message["status"]
                answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                answer.body += message.get("body", b"")

        await self.app(scope, receive, send)
        return answer
