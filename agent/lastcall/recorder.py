"""Recording: first sight of a call site, draining. What runs at each use is in `hotpath`.

A use of a known call site costs one dictionary look-up and one store into mapped memory; everything that
is dear happens on first sight, here, and everything that can wait happens in another thread.
"""

from __future__ import annotations

from . import callsite as cs
from .errors import getframe, native_ident, native_lock
from .hotpath import (
    is_between,
    is_wrapper_frame,
    make_hooks,
    record_unless_hosts,
    site_key,
    skip_own_frames,
)
from .journal import FLAG_ALLOWED, HEADER_HEARTBEAT, HEADER_SCRATCH, HEADER_SLOTS, Journal
from .sampling import Samples
from .sites import NOT_COUNTED, Followed, Once, SiteRecord, Tap

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import CodeType, FrameType
    from typing import Any

    from .errors import InternalErrors
    from .sites import Counters, Entry
    from .targets import Target

MAX_SITES = 10_000
MAX_ALIASES = 64
"""Code objects (a function defined anew at each request) that may share one call site's fast entry."""
SLOT_BYTES = 8
BLOCK = 64
"""Slots of the table that are compared at once."""
MAX_PUT_OFF = 10_000
"""Uses that may wait for the next flush because they came while such uses were counted."""
MAX_LOOKS = 3
"""How often in a row it is looked for such: a signal's handler makes one, a trace function more each time."""
MAX_KEPT = 50_000
"""Code objects kept alive for instructions that were looked at and are no use, or hand the use on."""
_SEVERAL_IN_LINE = frozenset(("<lambda>", "<genexpr>", "<listcomp>", "<setcomp>", "<dictcomp>"))


CO_COROUTINE = 0x80
CO_SUSPENDS = 0x20 | CO_COROUTINE | 0x100 | 0x200  # generator, coroutine of either kind, asynchronous generator


class Still:
    """A frame as it was: what is looked at later must not have moved on."""

    __slots__ = ("f_back", "f_code", "f_globals", "f_lasti", "f_lineno", "f_locals")

    def __init__(self, frame: FrameType) -> None:
        self.f_code, self.f_lasti, self.f_lineno = frame.f_code, frame.f_lasti, frame.f_lineno
        self.f_globals = frame.f_globals
        self.f_locals: dict[str, Any] = {}
        self.f_back: Still | None = None


def _still(frame: FrameType, depth: int) -> Any:
    first = last = Still(frame)
    outer = frame.f_back
    while outer is not None and depth > 0:
        last.f_back = Still(outer)
        last, outer, depth = last.f_back, outer.f_back, depth - 1
    return first


def _name_in_line(code: CodeType) -> object:
    """What tells a code object from others that begin in the same line: two lambdas have only their columns."""
    if code.co_name in _SEVERAL_IN_LINE and not code.co_filename.startswith("<"):
        return code.co_name, code.co_linetable
    return code.co_name


class Recorder:
    """Counts uses by call site. Knows nothing of stores, exporters or clocks' zones.

    `open_journal` makes the journal when it is first needed; if it raises OSError, counting goes on in
    memory. `clock` gives nanoseconds since the epoch.
    """

    def __init__(
        self,
        open_journal: Callable[[], Journal],
        errors: InternalErrors,
        attribution: cs.Attribution,
        *,
        clock: Callable[[], int],
        max_sites: int = MAX_SITES,
        stack_depth: int = cs.MAX_FRAMES,
    ) -> None:
        self._open_journal = open_journal
        self.errors = errors
        self.attribution = attribution
        self.clock = clock
        self.max_sites = max_sites
        self.stacks = cs.Stacks(stack_depth)
        self.lock = native_lock()
        self.taps: list[Tap] = []
        self.own_threads: set[int] = set()
        self.observe_use: Callable[[SiteRecord, Callable[[], int]], Callable[[], int]] | None = None
        """Extends the counting step of a site by something that has to happen at every use."""
        self.before_site: Callable[[], list[tuple[object, ...] | str]] = list
        """Records that have to be on disk before a call site's."""
        self.check_process: Callable[[], None] = lambda: None
        """Called before a lock is taken: in the child of a fork that nobody told of, it may be held for ever."""
        self.samples = Samples(self)
        self._busy: set[int] = set()
        self._deferred: list[tuple[Callable[[Tap, Any], None], Tap, Any]] = []
        self._put_off: list[tuple[Callable[[Tap, Any], None], Tap, Any]] = []
        """What was deferred while deferred uses were counted: a trace function makes such uses without end."""
        self._sees_deferred = False
        self._followed: dict[tuple[int, Any], Followed] = {}
        self.hooks = make_hooks(self.first_sight, errors)
        self.reset()

    # -- life cycle ---------------------------------------------------------------------------------

    def reset(self) -> None:
        """Forget everything counted: at the start, and in a forked child, whose parent keeps its own counts."""
        self.journal: Journal | None = None
        self._journal_failed = False
        self.records: list[SiteRecord] = []
        self._by_identity: dict[tuple[Any, ...], SiteRecord] = {}
        self.samples.forget()
        self.dropped: dict[str, int] = {}
        self._unwritten: list[tuple[object, ...] | str] = []
        self._kept: list[CodeType] = []
        for followed in self._followed.values():
            followed.entry.clear()
        self._followed.clear()
        self._behind_written: set[int] = set()
        self._published = b""
        """The table as it was after the last look at the counters."""
        self._busy.clear()
        self._deferred.clear()
        self._put_off.clear()
        self._sees_deferred = False
        self.hooks.unseen.clear()
        self.table: Any = memoryview(bytearray((HEADER_SLOTS + self.max_sites) * 8)).cast("Q")
        self.hooks.set_table(self.table)
        for tap in self.taps:
            tap.counters.clear()
            tap.deep.clear()

    def open(self) -> None:
        """Make the journal if there is none yet. Call with the lock held."""
        if self.journal is not None or self._journal_failed:
            return
        try:
            journal = self._open_journal()
        except OSError as error:
            self._journal_failed = True
            self.errors.record("journal-open", error)
            return
        self.journal = journal
        self.table = journal.counts
        self.hooks.set_table(self.table)
        self._publish_counts()  # what was counted while the journal could not be had

    def write(self, *records: tuple[object, ...] | str) -> bool:
        """Append to the journal; what cannot be written is kept for the next flush. Call with the lock held."""
        if not records:
            return True
        self.open()
        if self.journal is not None:
            try:
                self.journal.append(*records)
            except OSError as error:
                self.errors.record("journal-write", error)
            else:
                return True
        self._keep_unwritten(records)
        return False

    def _keep_unwritten(self, records: Sequence[tuple[object, ...] | str]) -> None:
        room = 4 * self.max_sites - len(self._unwritten)
        self._unwritten.extend(records[:room])
        if len(records) > room:
            self.drop("journal-backlog", len(records) - max(room, 0))

    def retry_unwritten(self) -> None:
        """Try again what a full or missing disk refused. Takes the lock."""
        if not self._unwritten:
            return
        with self.lock:
            backlog, self._unwritten = self._unwritten, []
            self._journal_failed = False
            self.write(*backlog)

    def drop(self, reason: str, amount: int = 1) -> None:
        """Count something that a bound made us leave out. Call with the lock held."""
        self.dropped[reason] = self.dropped.get(reason, 0) + amount

    # -- arming -------------------------------------------------------------------------------------

    def tap(self, target: Target, use: str) -> Tap:
        """A new tap for an engine to call. Its `hook` records the caller of whatever called the hook."""
        tap = Tap(target, use, self.hooks.hook)
        self.taps.append(tap)
        return tap

    # -- first sight --------------------------------------------------------------------------------

    def first_sight(self, tap: Tap, frame: FrameType | None) -> None:
        """A use whose call site has no fast entry. Guarded: never raises into the host."""
        self._take(self._see, tap, frame)

    def first_sight_known(self, tap: Tap, frame: FrameType) -> None:
        """The same for a frame that is known to use the target, whatever `tap.ignores` says of its instruction."""
        self._take(self._see_known, tap, frame)

    def _take(self, see: Callable[[Tap, Any], None], tap: Tap, frame: FrameType | None) -> None:
        self.check_process()
        me = native_ident()
        if me in self.own_threads:
            if self._is_hosts(tap, frame):  # it may hold the lock: at the next flush
                self._defer(see, tap, None if tap.target.is_finalizer else frame)
            return
        if me in self._busy:
            # A finaliser or signal handler used a target while we were recording: after this one. But a trace function
            # or profiler that is a target is called for each function of ours, and for those of what comes after, too.
            if frame is None or tap.target.is_finalizer or self.attribution.kind_of(frame.f_code) != cs.OWN:
                self._defer(see, tap, frame)
            return
        try:
            self._busy.add(me)
            with self.lock:
                see(tap, frame)
                self._see_deferred()
        except RecursionError:  # to count it as a failure would take more of the stack than there is
            self.hooks.unseen[0:0] = (tap,)
        except Exception as error:  # noqa: BLE001 - the named seam between our recording and the host's call
            record_unless_hosts(self.errors, "first-sight", error)
        finally:
            self._busy.discard(me)

    def _defer(self, see: Callable[[Tap, Any], None], tap: Tap, frame: FrameType | None) -> None:
        waiting = self._put_off if self._sees_deferred else self._deferred
        if len(waiting) >= MAX_PUT_OFF and waiting is self._put_off:
            self.drop("deferred")
            return
        waiting.append((see, tap, None if frame is None else _still(frame, cs.MAX_FRAMES)))

    def see_deferred(self) -> None:
        """Count the uses that a finalizer or signal handler made in a thread that was recording. Takes the lock."""
        for _ in range(MAX_LOOKS):
            if not self._deferred and not self._put_off:
                return
            with self.lock:
                while self._put_off:
                    self._deferred.append(self._put_off.pop())
                self._see_deferred()

    def _see_deferred(self) -> None:
        """Those that wait, and none that come meanwhile: see `_put_off`. Call with the lock held."""
        self._sees_deferred = True
        try:
            while self._deferred:
                later, *use = self._deferred.pop()
                later(*use)
        finally:
            self._sees_deferred = False

    def _is_hosts(self, tap: Tap, frame: FrameType | None) -> bool:
        """Whether a use in our own thread is the host's: Python may find its garbage there, and runs its finalizers."""
        if tap.target.is_finalizer:
            return True
        return frame is not None and (
            self.attribution.kind_of(frame.f_code) == cs.APPLICATION or cs.is_finalizing(frame)
        )

    def _see(self, tap: Tap, frame: FrameType | None) -> None:
        if frame is None:  # called from C with no Python caller
            self._count_without_caller(tap)
            return
        key = site_key(frame)
        entry = tap.counters.get(key)
        if entry is not None:  # another thread was first
            self._count(entry)
            return
        if tap.ignores is not None and tap.ignores(frame):
            self._keep(tap, key, frame.f_code, NOT_COUNTED)
            return
        self._see_new(tap, frame, key)

    def _see_known(self, tap: Tap, frame: FrameType) -> None:
        key = site_key(frame)
        entry = tap.counters.get(key)
        if entry is not None and entry is not NOT_COUNTED:
            self._count(entry)
            return
        self._see_new(tap, frame, key)

    def _see_new(self, tap: Tap, frame: FrameType, key: Any) -> None:
        if self._is_pass_through(tap, frame):
            self._keep(tap, key, frame.f_code, (HEADER_SCRATCH, iter(self._deep_counter(tap), None)))
            self._see_deep(tap, frame)
            return
        kind = self.attribution.kind_of(frame.f_code)
        if kind != cs.OWN:
            self._count_at(tap, tap.counters, key, frame, kind)
        elif tap.target.is_finalizer:
            self._see_finalized(tap, frame)

    def _see_finalized(self, tap: Tap, frame: FrameType | None) -> None:
        """Python found garbage while code of ours ran: in a thread of the host's what it runs is below that code."""
        while frame is not None and self.attribution.kind_of(frame.f_code) == cs.OWN:
            frame = frame.f_back
        if frame is None:
            self._count_without_caller(tap)
        else:
            self._see_known(tap, frame)

    def _count(self, entry: Entry) -> int:
        """One use; how many there were by then."""
        slot, uses = entry
        table = self.table
        for total in uses:  # drawn and stored without a change of threads between (see `hotpath`)
            table[slot] = total
            return total
        return 0

    def _keep(self, tap: Tap, key: Any, code: CodeType, entry: Entry) -> None:
        """An entry that belongs to no record; its code stays alive, or the key could become another's."""
        if len(self._kept) < MAX_KEPT:
            self._kept.append(code)
            tap.counters[key] = entry

    def _count_at(self, tap: Tap, counters: Counters, key: Any, frame: FrameType, kind: int) -> None:
        record, is_new = self._record_of(tap, frame, kind)
        if record is None:
            return
        entry = self._entry(record, kind)
        total = self._count(entry)
        if len(record.aliases) < MAX_ALIASES:
            record.aliases.append((counters, key, frame.f_code))
            counters[key] = entry
        if is_new:
            sample, ends = self.samples.first(record, total), self.samples.ends
            if ends is not None and counters is tap.counters and not isinstance(frame, Still):
                ends.watch(sample, frame)

    def _entry(self, record: SiteRecord, kind: int) -> Entry:
        if kind == cs.APPLICATION and self.observe_use is None:
            return record.slot, record.counter
        step = plain = record.counter.__next__
        if kind != cs.APPLICATION and not record.is_finalizing:
            # Our own thread, too, may run this library code; what it does there is not a use.
            step = self._checked(record)
        if self.observe_use is not None:
            step = self.observe_use(record, step)
        return record.slot, record.counter if step is plain else iter(step, None)

    def _checked(self, record: SiteRecord) -> Callable[[], int]:
        step, own, total = record.counter.__next__, self.own_threads, record.total

        def count_unless_ours() -> int:
            return total() if native_ident() in own else step()

        return count_unless_ours

    def _record_of(self, tap: Tap, frame: FrameType, kind: int) -> tuple[SiteRecord | None, bool]:
        """The call site's record, and whether it is new."""
        code, line = frame.f_code, cs.line_of(frame)
        quick = (
            tap.target.ref,
            tap.use,
            tap.note,
            code.co_filename,
            cs.module_of(frame),  # and line: much of what is made has the file `<string>`
            line,
            code.co_firstlineno,
            _name_in_line(code),
            frame.f_lasti,
        )
        known = self._by_identity.get(quick)
        if known is not None:
            return known, False
        if len(self.records) >= self.max_sites:
            self.drop("call-site-limit")
            return None, False
        record, written, behind = self._capture(tap, frame, kind, line)
        lines: list[tuple[object, ...] | str] = []
        try:
            lines = self.before_site()  # kept by that very list if there is no memory for another
            if behind.number not in self._behind_written and behind.frames:
                lines.append(behind.journal_line())
            self.records.append(record)  # first, for then its slot is nobody else's
            self._by_identity[quick] = record
            lines.append(written)
            self.write(*lines)
        except BaseException:  # a signal handler's, or memory or the stack is exhausted
            # Known but not on disk it would be lost. If it cannot be kept, its next use is a first sight again.
            self._by_identity.pop(quick, None)
            self._keep_unwritten(lines)
            if lines and lines[-1] is written:
                self._by_identity[quick] = record
            raise
        if behind.frames:
            self._behind_written.add(behind.number)
        return record, True

    def _capture(self, tap: Tap, frame: FrameType, kind: int, line: int) -> tuple[SiteRecord, str, cs.Behind]:
        target = tap.target
        shown, site_text, frames, text, flags, behind = self.stacks.walk(frame, line)
        record = SiteRecord(HEADER_SLOTS + len(self.records), target, tap.use, tap.note, self.clock())
        record.code, record.lasti = frame.f_code, frame.f_lasti
        record.file, record.line, record.function = shown
        module = record.module = cs.module_of(frame)
        record.frames = frames
        record.is_finalizing = target.is_finalizer or cs.is_finalizing(frame)
        record.origin = self.attribution.origin(frame, kind, module, target.module, target.file_kind)
        record.via = target.via(frame, tap.use)
        record.flags = flags
        record.allowed = (
            target.allowed_reason(module, record.function, record.at_ns) if target.allow else None
        )
        if record.allowed is not None:
            record.flags |= FLAG_ALLOWED
        record.trace = self.samples.trace_now()
        return record, record.journal_line(site_text, text), behind

    def _count_without_caller(self, tap: Tap) -> None:
        """A use that C code made with no Python frame below it: `atexit`, a raw thread's first function."""
        quick = (tap.target.ref, tap.use, tap.note)
        record = self._by_identity.get(quick)
        if record is None:
            if len(self.records) >= self.max_sites:
                self.drop("call-site-limit")
                return
            record = SiteRecord(HEADER_SLOTS + len(self.records), tap.target, tap.use, tap.note, self.clock())
            record.mark_without_caller()
            site = record.file, record.line, record.function
            self.records.append(record)
            self.write(record.journal_line(ascii(site), "()"))
            self._by_identity[quick] = record  # last, as above
            self.samples.first(record, 1)
        self._count((record.slot, record.counter))

    # -- frames that only pass the call on ----------------------------------------------------------

    def _is_pass_through(self, tap: Tap, frame: FrameType) -> bool:
        """Whether `frame` is a decorator's or a library's shim around the target, not the place that wanted it."""
        code = frame.f_code
        if id(code) in tap.pass_through:
            return True
        if frame.f_back is None:
            return False
        if is_between(frame):
            return True
        if not tap.target.is_passed_on_by(frame, tap.use):
            return False
        if len(tap.pass_through) < MAX_ALIASES:
            tap.pass_through[id(code)] = code
        return True

    def _behind(self, tap: Tap, frame: FrameType | None) -> FrameType | None:
        while frame is not None and self._is_pass_through(tap, frame):
            back = frame.f_back
            if back is None or (
                frame.f_code.co_flags & CO_COROUTINE and not back.f_code.co_flags & CO_SUSPENDS
            ):
                return frame  # a task of its own: the event loop, which resumes it, has not called it
            frame = back
        return frame

    def _see_deep(self, tap: Tap, frame: FrameType | None) -> None:
        behind = self._behind(tap, frame)
        if behind is None:
            self._count_without_caller(tap)
            return
        key = site_key(behind)
        entry = tap.deep.get(key)
        if entry is not None:
            self._count(entry)
            return
        kind = self.attribution.kind_of(behind.f_code)
        if kind != cs.OWN:
            self._count_at(tap, tap.deep, key, behind, kind)
        elif tap.target.is_finalizer:
            self._see_finalized(tap, behind)

    def _deep_counter(self, tap: Tap) -> Callable[[], int]:
        """A counter for the key of a pass-through frame: it looks for the real caller at every use."""
        kind_of = self.attribution.kind_of

        def count_behind() -> int:
            frame: FrameType | None = getframe(1)
            while frame is not None and (kind_of(frame.f_code) == cs.OWN or is_wrapper_frame(frame)):
                frame = frame.f_back
            target_frame = frame
            if frame is not None and tap.target.is_own_frame(frame):
                target_frame = frame.f_back
            behind = self._behind(tap, target_frame)
            if behind is not None:
                entry = tap.deep.get(site_key(behind))
                if entry is not None:
                    self._count(entry)
                    return 0
            self.first_sight_behind(tap, behind)
            return 0

        return count_behind

    def first_sight_behind(self, tap: Tap, behind: FrameType | None) -> None:
        """First sight of a site behind a pass-through frame. Guarded like `first_sight`."""
        self._take(self._see_deep, tap, behind)

    def follow(self, counters: Counters, key: Any, code: CodeType) -> list[Any] | None:
        """A list that holds what `counters` has under `key`, now and later; empty once all is forgotten.

        It takes no lock, for a signal's handler may come between: a sample asked for meanwhile is taken elsewhere.
        """
        followed = self._followed.get((id(counters), key))
        if followed is not None:
            return followed.entry
        entry = counters.get(key)
        if entry is None or type(entry) is Once:  # the next use has to go through there
            return None
        followed = self._followed[id(counters), key] = Followed(entry)
        if 0 <= (number := entry[0] - HEADER_SLOTS) < len(self.records):
            self.records[number].aliases.append((followed, key, code))
        return followed.entry

    def record_at(self, tap: Tap, frame: FrameType | None) -> SiteRecord | None:
        """The call site's record, if the use was counted. `frame` is None for a use with no Python caller."""
        if frame is None:
            return self._by_identity.get((tap.target.ref, tap.use, tap.note))
        entry = tap.counters.get(site_key(frame))
        number = (entry[0] if entry is not None else 0) - HEADER_SLOTS
        return self.records[number] if 0 <= number < len(self.records) else None

    # -- draining -----------------------------------------------------------------------------------

    def publish(self, *, thorough: bool = True) -> None:
        """Put every counter's exact value into the mapped table, and the time beside it.

        A use stores that itself; only where threads met may a lower value have come last. So if not `thorough`, of
        thousands of call sites those are looked at whose place in the table was written since the last time.
        """
        # Who reads the journal next goes on where this flush ends: what its call sites refer to stands there, too.
        self._behind_written.clear()
        self._publish_counts(thorough=thorough)
        self.see_deferred()
        self.table[HEADER_HEARTBEAT] = self.clock()

    def count_unseen(self) -> None:
        """Count as dropped the uses for which the stack did not suffice. Takes the lock."""
        unseen = self.hooks.unseen
        if unseen:
            number = len(unseen)
            del unseen[:number]
            with self.lock:
                self.drop("stack-exhausted", number)

    def _publish_counts(self, *, thorough: bool = True) -> None:
        table, records = self.table, self.records
        if not thorough:
            now = table[HEADER_SLOTS : HEADER_SLOTS + len(records)].tobytes()
            records = _of_changed_blocks(records, self._published, now)
        for record in records:
            total = record.total()
            while table[record.slot] < total:
                table[record.slot] = total
                total = record.total()  # a use that was stored meanwhile may just have been overwritten
        self._published = table[HEADER_SLOTS : HEADER_SLOTS + len(self.records)].tobytes()

def _of_changed_blocks(records: list[SiteRecord], before: bytes, now: bytes) -> list[SiteRecord]:
    """The records whose place in the table, or one near it, was written."""
    found: list[SiteRecord] = []
    for start in range(0, len(now), BLOCK * SLOT_BYTES):
        end = start + BLOCK * SLOT_BYTES
        if before[start:end] != now[start:end]:
            found += records[start // SLOT_BYTES : end // SLOT_BYTES]
    return found


skip_own_frames(globals())
