"""Real clients of the chat service: two users of two tenants, each with every generation of client software.

They count what they did, because the agent's report has to come to the same numbers.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass
from urllib.parse import quote

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

USERS = (("north-1", "aurora"), ("south-1", "coral"))
SOCKETS = ("/ws", "/ws/v2", "/ws/v1", "/ws/resume")
QUESTIONS = ("When are you open?", "What happens to a lost card or a berth?")
BROKEN_SOCKET = "/ws/export"
INTERNAL_ERROR = 1011


class WrongAnswerError(Exception):
    """The service answered, but not as it must: another user's answer, or an unexpected status."""


@dataclass
class Client:
    """One user at one service. `did` counts requests and connections by path."""

    port: int
    login: str
    password: str
    did: Counter[str]
    token: str = ""

    async def log_in(self, http: httpx.AsyncClient) -> None:
        """Fetch a token. Raises WrongAnswerError if it is refused."""
        self.did["/login"] += 1
        response = await http.post("/login", json={"login": self.login, "password": self.password})
        self.token = _checked(response)["token"]

    async def converse(self, path: str) -> None:
        """Ask every question over one connection; each answer must be for this user."""
        self.did[path] += 1
        async with connect(self._url(path)) as socket:
            for question in QUESTIONS:
                await socket.send(question)
                reply = json.loads(await socket.recv())
                self.did["answers"] += 1
                if reply["user"] != self.login:
                    raise WrongAnswerError(f"{self.login} got an answer for {reply['user']}")

    async def export(self) -> None:
        """Ask for the export, which fails in the service: the socket must close with 1011, as ever."""
        self.did[BROKEN_SOCKET] += 1
        try:
            async with connect(self._url(BROKEN_SOCKET)) as socket:
                await socket.recv()
        except ConnectionClosed as closed:
            if closed.rcvd is not None and closed.rcvd.code == INTERNAL_ERROR:
                self.did["closed with 1011"] += 1
                return
            raise
        raise WrongAnswerError("the broken export answered")

    def _url(self, path: str) -> str:
        return f"ws://127.0.0.1:{self.port}{path}?token={quote(self.token)}"


async def drive(port: int, rounds: int) -> Counter[str]:
    """Let both users do everything `rounds` times, at the same time. Returns what they did, by path."""
    did: Counter[str] = Counter()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
        await asyncio.gather(*(_one_user(Client(port, *user, did), http, rounds) for user in USERS))
    return did


async def _one_user(client: Client, http: httpx.AsyncClient, rounds: int) -> None:
    await client.log_in(http)
    for _ in range(rounds):
        for path in SOCKETS:
            await client.converse(path)
        await client.export()
        client.did["/health"] += 1
        _checked(await http.get("/health"))
        client.did["/announce"] += 1
        _checked(await http.post("/announce", json={"text": "maintenance at noon"}))


def _checked(response: httpx.Response) -> dict[str, str]:
    if response.status_code != httpx.codes.OK:
        path = response.request.url.path
        raise WrongAnswerError(f"{path} answered {response.status_code}: {response.text}")
    return dict(response.json())
