"""What has to change in a project so that it matches the definitions. Pure: no network, no clock."""

from __future__ import annotations

import difflib
import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lastcall.provision.kinds import (
    KINDS,
    LOG_METRIC,
    METRIC_PREFIX,
    Body,
    Kind,
    KindName,
    comparable,
    slug_of,
    updated,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lastcall.provision.definitions import Definition

Action = Literal["create", "update", "delete", "unchanged", "conflict"]


@dataclass(frozen=True, slots=True)
class Change:
    """One resource and what to do with it. `live` is the reading that the decision rests on."""

    action: Action
    kind: Kind
    slug: str
    live: Body | None = None
    desired: Body | None = None
    reason: str = ""
    """Why it is a conflict, in a person's words."""

    @property
    def name(self) -> str:
        """The service's name of the resource, or what it will be shown as once it is made."""
        body = self.live or self.desired or {}
        return str(body.get("name") or body.get("displayName") or self.slug)

    def diff(self) -> str:
        """A unified diff of the resource's JSON, as it is against as it will be. Empty if nothing changes."""
        if self.action in ("unchanged", "conflict"):
            return ""
        desired = self.desired or {}
        before = comparable(self.kind, self.live, desired or self.live) if self.live else {}
        old, new = (_lines(body) for body in (before, desired))
        return "".join(difflib.unified_diff(old, new, "project", "lastcall", n=2))


def _lines(body: Body) -> list[str]:
    return (
        (json.dumps(body, indent=2, sort_keys=True, ensure_ascii=False) + "\n").splitlines(True)
        if body
        else []
    )


def plan(
    wanted: Sequence[Definition], live: Mapping[KindName, Sequence[Body]], *, adopt: bool = False
) -> tuple[Change, ...]:
    """The changes that make `live` match `wanted`, one for each resource that is or should be ours.

    Resources without our mark are never changed. One that stands in the way (a metric with our name, a
    dashboard with our title) is a conflict, unless `adopt` takes it over. Two with the same mark (somebody
    copied a dashboard, labels included) are a conflict too, since only one of them is ours.
    """
    changes: list[Change] = []
    for kind in KINDS:
        definitions = {d.slug: d.body for d in wanted if d.kind is kind}
        marked, unmarked = _sorted_by_mark(kind, live.get(kind.name, ()))
        for slug, desired in definitions.items():
            changes.append(_change(kind, slug, desired, marked.get(slug, []), unmarked, adopt=adopt))
        changes += _removals(kind, {slug: marked[slug] for slug in sorted(marked) if slug not in definitions})
    return tuple(changes)


def removal(live: Mapping[KindName, Sequence[Body]]) -> tuple[Change, ...]:
    """The deletion of everything that carries our mark, dashboards first and metrics last."""
    changes: list[Change] = []
    for kind in reversed(KINDS):
        marked, _ = _sorted_by_mark(kind, live.get(kind.name, ()))
        changes += _removals(kind, marked)
    return tuple(changes)


def _sorted_by_mark(kind: Kind, bodies: Iterable[Body]) -> tuple[dict[str, list[Body]], list[Body]]:
    marked: dict[str, list[Body]] = defaultdict(list)
    unmarked = []
    for body in bodies:
        slug = slug_of(kind, body)
        if slug is None:
            unmarked.append(body)
        else:
            marked[slug].append(body)
    return marked, unmarked


def _removals(kind: Kind, marked: Mapping[str, list[Body]]) -> list[Change]:
    return [
        Change("delete", kind, slug, live=bodies[0]) if len(bodies) == 1 else _ambiguous(kind, slug, bodies)
        for slug, bodies in marked.items()
    ]


def _ambiguous(kind: Kind, slug: str, bodies: list[Body]) -> Change:
    names = ", ".join(sorted(str(body.get("name")) for body in bodies))
    return Change(
        "conflict",
        kind,
        slug,
        live=bodies[0],
        reason=f"{len(bodies)} carry the mark of {slug!r}: {names}; "
        "remove the label managed_by from the copies",
    )


def _change(
    kind: Kind, slug: str, desired: Body, mine: list[Body], unmarked: list[Body], *, adopt: bool
) -> Change:
    if len(mine) > 1:
        return _ambiguous(kind, slug, mine)
    if not mine:
        twin = _twin(kind, slug, desired, unmarked)
        if twin is None:
            return Change("create", kind, slug, desired=desired)
        if not adopt:
            return Change(
                "conflict",
                kind,
                slug,
                live=twin,
                desired=desired,
                reason=f"{twin.get('name')} is there already and was not made by lastcall gcp; "
                "rename or delete it, or take it over with --adopt",
            )
        mine = [twin]
    if comparable(kind, mine[0], desired) == desired:
        return Change("unchanged", kind, slug, live=mine[0], desired=desired)
    return Change("update", kind, slug, live=mine[0], desired=desired)


def _twin(kind: Kind, slug: str, desired: Body, unmarked: list[Body]) -> Body | None:
    if kind is LOG_METRIC:
        return next((body for body in unmarked if body.get("name") == METRIC_PREFIX + slug), None)
    return next((body for body in unmarked if body.get("displayName") == desired.get("displayName")), None)


def body_to_send(change: Change) -> Body:
    """The request body of a creation or an update."""
    desired = change.desired or {}
    return desired if change.live is None else updated(change.kind, change.live, desired)
