"""Who is asking: the tenant and the user a request works for, proved by a signed token."""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass

# Each worker must accept a token that another one issued, so the key comes with the deployment.
_KEY = os.environ.get("CHAT_TOKEN_KEY", "development only").encode()

_PASSWORDS = {"north-1": "aurora", "south-1": "coral"}


class LoginRefusedError(Exception):
    """The login is unknown, the password is wrong, or the token was not issued here."""


@dataclass(frozen=True)
class UserContext:
    """One user of one tenant. A login name is the tenant's name, a dash, and a number."""

    user_id: str
    tenant: str


def log_in(login: str, password: str) -> str:
    """A token for `login`. Raises LoginRefusedError."""
    if not hmac.compare_digest(_PASSWORDS.get(login, ""), password) or not password:
        raise LoginRefusedError(login)
    return f"{login}.{_signature(login)}"


def context_of(token: str) -> UserContext:
    """The user that `token` was issued to. Raises LoginRefusedError."""
    login, _, signature = token.partition(".")
    if not hmac.compare_digest(signature, _signature(login)):
        raise LoginRefusedError(login)
    return UserContext(user_id=login, tenant=login.partition("-")[0])


def _signature(login: str) -> str:
    return hmac.new(_KEY, login.encode(), hashlib.sha256).hexdigest()
