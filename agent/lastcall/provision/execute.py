"""Reads a project's resources and carries a plan out, one resource at a time.

A failed change does not stop the others: what could be done is done, the rest is reported, and running the
command again continues where this run stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lastcall.errors import UsageError
from lastcall.provision.failures import changed_meanwhile, sentence
from lastcall.provision.kinds import KINDS, Body, Kind, KindName, version_of
from lastcall.provision.plan import Change, body_to_send

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lastcall.provision.api import Api

Result = Literal["done", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one change. `message` says why, if it is not done."""

    change: Change
    result: Result
    message: str = ""


def survey(api: Api, project: str) -> dict[KindName, list[Body]]:
    """Everything of our kinds that the project has.

    Raises UsageError, with the reason in a sentence, if it cannot be read: nothing has been changed then.
    """
    return {kind.name: _listed(api, kind, project) for kind in KINDS}


def _listed(api: Api, kind: Kind, project: str) -> list[Body]:
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    try:
        return api.read_all(kind)
    except (GoogleAPIError, GoogleAuthError) as error:
        raise UsageError(f"cannot read {sentence(error, project, kind)}") from error


def execute(api: Api, changes: Iterable[Change], project: str) -> Iterator[Outcome]:
    """Carry out `changes` in order, and yield each one's outcome as soon as it is known."""
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    for change in changes:
        if change.action == "unchanged":
            continue
        if change.action == "conflict":
            yield Outcome(change, "skipped", change.reason)
            continue
        try:
            yield _carried_out(api, change)
        except (GoogleAPIError, GoogleAuthError) as error:
            yield Outcome(change, "failed", sentence(error, project, change.kind))


def _carried_out(api: Api, change: Change) -> Outcome:
    from google.api_core import exceptions

    # Conflict: what gRPC calls ALREADY_EXISTS or ABORTED, and REST 409.
    conflicts = (exceptions.Conflict, exceptions.FailedPrecondition)
    try:
        if change.live is None:
            api.create(change.kind, body_to_send(change))
        elif _changed_since(api, change, change.live):
            return Outcome(change, "failed", changed_meanwhile(change.name))
        elif change.action == "delete":
            api.delete(change.kind, change.name)
        else:
            api.update(change.kind, body_to_send(change))
    except conflicts:
        return Outcome(change, "failed", changed_meanwhile(change.name))
    except exceptions.NotFound:
        if change.action == "delete":
            return Outcome(change, "done")
        if change.action == "update":
            return Outcome(change, "failed", changed_meanwhile(change.name))
        raise
    return Outcome(change, "done")


def _changed_since(api: Api, change: Change, live: Body) -> bool:
    # Two of the three kinds have no etag, and no deletion takes one: look again just before.
    current = api.get(change.kind, change.name)
    return version_of(change.kind, current) != version_of(change.kind, live)
