"""What may be folded together while a backend is away, so that waiting stays bounded and nothing counted is
lost.

Counts may be added, statements of one process may be superseded by a later one; a first sight stands alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lastcall.exporters import names

if TYPE_CHECKING:
    from lastcall.exporters.spool import Item

METRICS = "metrics"
"""`payload.lastcall.event` of a frozen metrics collection; see `otel_metrics.py`."""


def merge(items: list[Item]) -> list[Item]:
    """The same evidence in fewer items, in the same order.

    First sights stay as they are. Repeats of a site in a process become its newest one, with their counts
    added and `merged` telling how many it swallowed. Statements of a process become its newest complete
    one, reaching back to the oldest's `since`. Of a process's frozen metrics the newest stays: they are
    cumulative.
    """
    groups: dict[tuple[str, ...], list[int]] = {}
    for number, item in enumerate(items):
        key = _key(item, number)
        groups.setdefault(key, []).append(number)
    kept: dict[int, Item] = {}
    for key, numbers in groups.items():
        if key[0] == names.EVENT_OBSERVATION:
            kept.update(_statements([(number, items[number]) for number in numbers]))
        elif key[0] == METRICS or len(numbers) == 1:
            kept[numbers[-1]] = items[numbers[-1]]
        else:
            kept[numbers[-1]] = _added([items[number] for number in numbers])
    return [kept[number] for number in sorted(kept)]


def droppable(item: Item) -> bool:
    """Whether an item may go when even merging does not make enough room: not a first sight, not a
    statement."""
    fields = item["payload"]["lastcall"]
    return fields["event"] == names.EVENT_USE and not fields["first"]


def _key(item: Item, number: int) -> tuple[str, ...]:
    fields = item["payload"]["lastcall"]
    event, process = fields["event"], fields["process"]
    if event == names.EVENT_USE and not fields["first"]:
        return (event, process, fields["site"])
    if event == names.EVENT_FINDING:
        return (event, process, fields["finding"], fields["target"], fields.get("site", ""), fields["text"])
    if event in (names.EVENT_OBSERVATION, METRICS):
        return (event, process)
    return ("alone", str(number))


def _added(items: list[Item]) -> Item:
    """The newest of several items that count, standing for all of them."""
    last = items[-1]
    fields = dict(last["payload"]["lastcall"])
    fields["count"] = sum(item["payload"]["lastcall"]["count"] for item in items)
    fields["merged"] = sum(item["payload"]["lastcall"].get("merged", 0) + 1 for item in items) - 1
    return {**last, "payload": {**last["payload"], "lastcall": fields}}


def _statements(numbered: list[tuple[int, Item]]) -> dict[int, Item]:
    """One process's observation entries: the newest complete statement in place of itself and all before
    it."""
    by_statement: dict[str, list[tuple[int, Item]]] = {}
    for number, item in numbered:
        by_statement.setdefault(item["timestamp"], []).append((number, item))
    complete = [parts for parts in by_statement.values() if len(parts) == _fields(parts[0][1])["parts"]]
    if not complete:
        return dict(numbered)
    last = max(complete, key=lambda parts: parts[-1][0])
    end = last[-1][0]
    before = [_fields(item) for number, item in numbered if number < last[0][0]]
    kept = {number: item for number, item in numbered if number > end}
    for number, item in last:
        fields = dict(_fields(item))
        fields["since"] = min([fields["since"], *(earlier["since"] for earlier in before)])
        if fields["part"] == 1:
            fields["uses"] += sum(earlier["uses"] for earlier in before)
        kept[number] = {**item, "payload": {**item["payload"], "lastcall": fields}}
    return kept


def _fields(item: Item) -> dict[str, Any]:
    fields: dict[str, Any] = item["payload"]["lastcall"]
    return fields
