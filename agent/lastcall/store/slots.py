"""What the slots of one process mean, and what they count: its call sites, their uses and spellings.

A slot stands for one call site of one process. Its record may come before its spelling, so that a slot can move to
another call site; what was said of the first one is then put right.
"""

from __future__ import annotations

from lastcall.expressions import at_place
from lastcall.garbage import make_way
from lastcall.identity import Frame, Site
from lastcall.journal import (
    FLAG_ALLOWED,
    FLAG_BY_TEST,
    FLAG_DURING_IMPORT,
    FLAG_SCANNER,
)
from lastcall.store.records import RaisedRecord, Record, SiteRecord, SpellingRecord
from lastcall.store.schema import statements
from lastcall.values import dataclass

TYPE_CHECKING = False  # typing costs a bare host 5 ms, and 1 ms more at its end
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from lastcall.store.names import Names

HOUR = 3600.0
MOST_CHANGED = 500
"""Slots that are looked up one by one; SQLite takes 999 values in a statement, and all at once is quicker then."""


@dataclass(slots=True)
class _Slot:
    site: int
    count: int
    errors: int | None
    allowed: bool
    spelled: bool
    first_seen: float


class Paths:
    """A process's files, as seen from its project's root if they lie there."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._known: dict[str, str] = {}

    def relative(self, file: str) -> str:
        known = self._known.get(file)
        if known is None:
            root = self.root.rstrip("/") + "/"
            known = self._known[file] = file[len(root) :] if self.root and file.startswith(root) else file
        return known


class Slots:
    """The slots of `process`, for one transaction."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        names: Names,
        paths: Paths,
        process: int,
        *,
        latest: float,
        changed: Sequence[int] | None,
    ) -> None:
        """`latest` is when the process was last seen. If only the counts of `changed` are new, no others are loaded
        than those that count for the same call sites."""
        self._connection = connection
        self._names = names
        self._paths = paths
        self._process = process
        self._latest = latest
        self._touched: set[int] = set()
        self._slots = self._load(changed)

    def _load(self, changed: Sequence[int] | None) -> dict[int, _Slot]:
        wanted = ""
        if changed is None or len(changed) > MOST_CHANGED:
            changed = ()
        else:
            marks = ",".join("?" * len(changed))
            wanted = f" AND site IN (SELECT site FROM slot WHERE process = ? AND slot IN ({marks}))"  # noqa: S608 - marks
        rows = self._connection.execute(
            f"SELECT slot, site, count, errors, allowed, spelled, first_seen FROM slot WHERE process = ?{wanted}",  # noqa: S608 - as above
            (self._process, *((self._process, *changed) if wanted else ())),
        )
        slots: dict[int, _Slot] = {}
        for slot, *rest in rows:
            make_way()
            slots[slot] = _Slot(*rest)
        return slots

    def add(self, record: SiteRecord, expression: str | None) -> None:
        """A new slot; `expression` is how the call was spelled, if the process told."""
        if record.slot in self._slots:
            return  # a slot has one meaning; a second record for it would be a defect of the writer
        site = Site(
            target=record.ref,
            use=record.use,  # type: ignore[arg-type]  # as written by a process of ours
            file=self._paths.relative(record.file),
            line=record.line,
            function=record.function,
            module=record.module,
            expression=expression or "",
            origin=record.origin,  # type: ignore[arg-type]  # the same
            during_import=bool(record.flags & FLAG_DURING_IMPORT),
            by_test=bool(record.flags & FLAG_BY_TEST),
            scanner=bool(record.flags & FLAG_SCANNER),
            via=record.via,
            stack=tuple(Frame(self._paths.relative(file), line, name) for file, line, name in record.frames),
            note=record.note,
        )
        self._slots[record.slot] = _Slot(
            site=self._names.site(site),
            count=0,
            errors=None,
            allowed=bool(record.flags & FLAG_ALLOWED),
            spelled=expression is not None,
            first_seen=record.at,
        )

    def raised(self, record: RaisedRecord) -> None:
        """So many of the slot's uses ended in an exception."""
        slot = self._slots.get(record.slot)
        if slot is not None:
            slot.errors = max(slot.errors or 0, record.errors)
            self._touched.add(record.slot)

    def site_of(self, number: int) -> int | None:
        """The call site that slot `number` counts for."""
        slot = self._slots.get(number)
        return slot.site if slot else None

    def count(self, counts: Sequence[int]) -> None:
        """Take the counters over, and note in which hour the new uses were."""
        hours: dict[tuple[int, int], int] = {}
        latest_hour = int(self._latest // HOUR)
        for number, slot in self._slots.items():
            # The record of a site is itself the proof of one use, wherever its count may be.
            count = max(counts[number] if number < len(counts) else 0, slot.count, 1)
            new = count - slot.count
            if not new:
                continue
            self._touched.add(number)
            if slot.count == 0:
                first_hour = int(slot.first_seen // HOUR)
                hours[slot.site, first_hour] = hours.get((slot.site, first_hour), 0) + 1
                new -= 1
            if new:
                hours[slot.site, latest_hour] = hours.get((slot.site, latest_hour), 0) + new
            slot.count = count
        self._add_activity([(site, hour, count) for (site, hour), count in hours.items()])

    def _add_activity(self, rows: list[tuple[int, int, int]]) -> None:
        self._connection.executemany(
            "INSERT INTO activity VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count +"
            " excluded.count",
            [(site, hour, self._process, count) for site, hour, count in rows],
        )

    def save(self) -> None:
        """Write what changed."""
        if not self._touched:
            return
        self._connection.executemany(
            "INSERT OR REPLACE INTO slot VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (self._process, n, s.site, s.count, s.errors, s.allowed, s.spelled, s.first_seen)
                for n in self._touched
                for s in (self._slots[n],)
            ],
        )
        sites = {self._slots[number].site for number in self._touched}
        of_site: dict[int, list[_Slot]] = {site: [] for site in sites}
        for slot in self._slots.values():
            if slot.site in of_site:
                of_site[slot.site].append(slot)
        self._connection.executemany(
            "INSERT INTO use_count VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count ="
            " excluded.count,"
            " errors = excluded.errors, allowed = excluded.allowed,"
            " first_seen = min(first_seen, excluded.first_seen), last_seen = max(last_seen,"
            " excluded.last_seen)",
            [self._use_count(site, slots) for site, slots in of_site.items()],
        )

    def _use_count(self, site: int, slots: list[_Slot]) -> tuple[object, ...]:
        errors = [slot.errors for slot in slots if slot.errors is not None]
        first, newest = min(s.first_seen for s in slots), max(s.first_seen for s in slots)
        # One use per slot: the times are known exactly. More: the last was some time before this reading.
        last = max(self._latest, newest) if any(s.count > 1 for s in slots) else newest
        return (
            site,
            self._process,
            sum(s.count for s in slots),
            sum(errors) if errors else None,
            all(s.allowed for s in slots),
            first,
            last,
        )

    # -- spellings that came late -------------------------------------------------------------------------

    def look_up_spellings(self, resolve: Callable[[str, int, str, str], str]) -> None:
        """Find those that the process did not tell."""
        found: dict[int, str] = {}
        for number, slot in self._slots.items():
            if slot.spelled:
                continue
            file, line, ref, use = self._connection.execute(
                "SELECT s.file, s.line, t.ref, s.kind FROM site s JOIN target t ON t.id = s.target"
                " WHERE s.id = ?",
                (slot.site,),
            ).fetchone()
            root = self._paths.root
            expression = resolve(file if file.startswith("/") or not root else f"{root}/{file}", line, ref, use)
            if expression:
                found[number] = expression
        self.respell(found)

    def respell(self, spellings: dict[int, str]) -> None:
        """Move slots to the site that their spelling makes them."""
        if not spellings:
            return
        slots_of: dict[int, set[int]] = {}
        for number, slot in self._slots.items():
            slots_of.setdefault(slot.site, set()).add(number)
        for number, expression in spellings.items():
            make_way()
            if number not in self._slots or self._slots[number].spelled:
                continue
            slot = self._slots[number]
            slot.spelled = True
            self._touched.add(number)
            old, new = slot.site, self._site_spelled(slot.site, expression)
            if new != old:
                slot.site = new
                slots_of[old].discard(number)
                slots_of.setdefault(new, set()).add(number)
                self._move_activity(old, new, slot.count)
                self._leave_site(old, new, slots_of)

    def _site_spelled(self, old: int, expression: str) -> int:
        """The site that differs from `old` in its spelling only."""
        row = self._connection.execute(
            "SELECT t.ref, s.kind, s.file, s.line, s.function, s.module, s.origin, s.during_import,"
            " s.by_test,"
            " s.scanner, s.via, s.note, s.stack FROM site s JOIN target t ON t.id = s.target WHERE"
            " s.id = ?",
            (old,),
        ).fetchone()
        ref, kind, file, line, function, module, origin, importing, by_test, scanner, via, note, stack = row
        number = self._names.site(
            Site(
                ref, kind, file, line, function, module, expression, origin,
                bool(importing), bool(by_test), bool(scanner), via, (), note,
            )
        )  # fmt: skip
        self._connection.execute("UPDATE site SET stack = coalesce(stack, ?) WHERE id = ?", (stack, number))
        return number

    def _move_activity(self, old: int, new: int, amount: int) -> None:
        rows = self._connection.execute(
            "SELECT hour, count FROM activity WHERE site = ? AND process = ? ORDER BY hour DESC",
            (old, self._process),
        ).fetchall()
        for hour, count in rows:
            moved = min(count, amount)
            if moved:
                self._add_activity([(new, hour, moved), (old, hour, -moved)])
                amount -= moved
        self._connection.execute(
            "DELETE FROM activity WHERE site = ? AND process = ? AND count = 0", (old, self._process)
        )

    def _leave_site(self, old: int, new: int, slots_of: dict[int, set[int]]) -> None:
        """Correct what this process has said of `old`, now that one slot fewer is there."""
        row = self._connection.execute(
            "SELECT first_seen, last_seen FROM use_count WHERE site = ? AND process = ?", (old, self._process)
        ).fetchone()
        remaining = slots_of[old]
        if row is not None:
            count = sum(self._slots[number].count for number in slots_of[new]) or 1
            self._connection.execute(
                "INSERT INTO use_count VALUES (?, ?, ?, NULL, 1, ?, ?) ON CONFLICT DO UPDATE SET"
                " last_seen = max(last_seen, excluded.last_seen)",
                (new, self._process, count, *row),
            )
        self._touched.update(remaining)
        if remaining:
            return
        for statement in statements(_UNUSED_SITE):
            self._connection.execute(statement, {"old": old, "new": new, "process": self._process})
        self._names.forget_site(old)


_UNUSED_SITE = """
DELETE FROM use_count WHERE site = :old AND process = :process;
UPDATE finding SET site = :new WHERE site = :old AND process = :process;
DELETE FROM site WHERE id = :old
    AND NOT EXISTS (SELECT 1 FROM use_count WHERE site = :old)
    AND NOT EXISTS (SELECT 1 FROM finding WHERE site = :old)
    AND NOT EXISTS (SELECT 1 FROM slot WHERE site = :old AND process != :process);
"""

def spellings_told(records: Sequence[tuple[int, Record]]) -> dict[int, str]:
    """The spelling of each slot that a process told, or told the place of."""
    sites = {record.slot: record for _, record in records if isinstance(record, SiteRecord)}
    found: dict[int, str] = {}
    for _, record in records:
        if not isinstance(record, SpellingRecord):
            continue
        if not record.expression.startswith("@"):
            found[record.slot] = record.expression
        elif record.slot in sites:
            site = sites[record.slot]
            name = site.ref.partition(":")[2].partition("(")[0].rpartition(".")[2] or site.ref
            text = at_place(site.file, record.expression, name)
            if text:
                found[record.slot] = text
    return found
