"""The hot path: count a use; first sight; drain.

A use of a known call site costs one dictionary look-up and one store into mapped memory; everything that
is dear happens on first sight, and everything that can wait happens in `drain()`, in another thread.

Each armed target has a dictionary `counters`, from a call site's key to `(slot, next)`. The key is made of
the caller's code object (by `id`: hashing a code object walks all of it, 50 us for a long function) and
`f_lasti`, the offset of the instruction that calls. From 3.11 on the bytecode lies inside the code object,
so `id + offset` is an address that nothing else can have; before, a tuple. `next` is the bound
`__next__` of an `itertools.count`: atomic on every build, where `+= 1` is not. Its value is published in
`table[slot]`, which is the journal's mapped file, so a killed process leaves its counts behind. Two
threads can publish in the wrong order, so a slot may lag by the threads in flight until `drain()`
publishes again.

Whatever needs more than counting takes the place of `next` for a while: a sampled repeat, a call site
behind a pass-through frame, a site that our own thread also reaches. The hot path never tests for them.
"""

from __future__ import annotations

import sys
from _thread import allocate_lock, get_ident
from itertools import count

from . import callsite as cs
from .journal import (
    FLAG_ALLOWED,
    HEADER_HEARTBEAT,
    HEADER_SCRATCH,
    HEADER_SLOTS,
    Journal,
)

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType
    from typing import Any

    from .engines.ends import Ends
    from .errors import InternalErrors
    from .targets import Target

    Entry = tuple[int, Callable[[], int]]
    Counters = dict[Any, Entry]

MAX_SITES = 10_000
MAX_ALIASES = 64
"""Code objects (a function defined anew at each request) that may share one call site's fast entry."""
MAX_SIGHTINGS = 20_000
MAX_KEPT = 50_000
"""Code objects kept alive for instructions that were looked at and are no use, or hand the use on."""
MAX_CALL_NS = 30_000_000_000
"""A sampled call that has not ended after so long is reported without its end."""


NO_CODE = (lambda: None).__code__


def current(counter: Any) -> int:
    """How often `counter` (an `itertools.count` started at 1) was drawn, without drawing from it."""
    return int(repr(counter)[6:-1]) - 1


class SiteRecord:
    """A call site in this process: its slot, its counter, and what first sight captured."""

    __slots__ = (
        "aliases",
        "allowed",
        "at_ns",
        "code",
        "counter",
        "expression",
        "failures",
        "file",
        "flags",
        "frames",
        "frames_text",
        "function",
        "lasti",
        "line",
        "module",
        "note",
        "origin",
        "reported",
        "sampled_ns",
        "slot",
        "target",
        "trace",
        "use",
        "via",
        "written",
        "written_errors",
    )

    def __init__(self) -> None:
        self.counter = count(1)
        self.failures: count[int] | None = None
        """Uses known to have raised; None while no end was seen."""
        self.written_errors: int | None = None
        self.expression: str | None = None
        self.reported = 0
        self.sampled_ns = 0
        self.aliases: list[tuple[Counters, Any, CodeType]] = []
        self.written = False

    slot: int
    target: Target
    use: str
    at_ns: int
    flags: int
    file: str
    line: int
    function: str
    module: str
    origin: str
    via: str
    note: str
    frames: tuple[tuple[str, int, str], ...]
    frames_text: str
    code: CodeType
    lasti: int
    trace: tuple[int, int, int]
    allowed: str | None

    @property
    def number(self) -> int:
        """The slot as the journal numbers it: from 0, behind the table's header."""
        return self.slot - HEADER_SLOTS

    @property
    def errors(self) -> int | None:
        """Uses known to have raised; None while no end was seen."""
        return None if self.failures is None else current(self.failures)

    def total(self) -> int:
        """Uses so far."""
        return current(self.counter)

    def journal_line(self) -> str:
        """The S record (see `journal`) as text: the frames are text already."""
        text = ascii(
            (
                "S",
                self.number,
                self.target.ref,
                self.use,
                self.at_ns,
                self.flags,
                self.file,
                self.line,
                self.function,
                self.module,
                self.origin,
                self.via,
                self.note,
            )
        )
        return f"{text[:-1]}, {self.frames_text})"


class Sample:
    """One use seen in detail; `record.total()` at that moment is `total`."""

    __slots__ = ("end_ns", "error_type", "first", "own", "pending", "record", "start_ns", "total", "trace")

    def __init__(
        self, record: SiteRecord, start_ns: int, total: int, trace: tuple[int, int, int], *, first: bool
    ) -> None:
        self.record = record
        self.start_ns = start_ns
        self.total = total
        self.trace = trace
        self.first = first
        self.end_ns: int | None = None
        self.error_type = ""
        self.own = (0, 0)
        self.pending = False
        """Its end is still to come; it is not taken before."""


class Tap:
    """Where the uses of one armed target arrive: its counters and the hook an engine calls at each use."""

    __slots__ = ("counters", "deep", "hook", "ignores", "note", "pass_through", "target", "use")

    def __init__(self, target: Target, use: str) -> None:
        self.target = target
        self.use = use
        self.counters: Counters = {}
        self.deep: Counters = {}
        self.pass_through: dict[int, CodeType] = {}
        """Code that was seen to only hand the use on: a decorator's shim. Kept alive, so that its id stays its own."""
        self.hook: Callable[[], None]
        self.note = ""
        """What a `warning` said; part of the call site's identity."""
        self.ignores: Callable[[FrameType], bool] | None = None
        """Says of a frame's present instruction that it is no use. Asked once per instruction."""


def _zero() -> int:
    return 0


NOT_COUNTED: Entry = (HEADER_SCRATCH, _zero)
"""The entry of an instruction that is no use, or that has been counted already."""

if sys.version_info >= (3, 11):

    def site_key(frame: FrameType) -> Any:
        """The key of the instruction that `frame` is executing."""
        return id(frame.f_code) + frame.f_lasti

else:

    def site_key(frame: FrameType) -> Any:
        """The key of the instruction that `frame` is executing."""
        return id(frame.f_code), frame.f_lasti


def raise_if_hosts(error: BaseException | None) -> None:
    """Let an exception go on that a signal handler of the host's raised while our code was running.

    It says "stop" to the host's code below (a timeout, a worker's end); swallowing it would be a fault of ours.
    """
    trace = None if error is None else error.__traceback__
    if trace is None or trace.tb_next is None:  # raised by our own innermost frame: the usual miss
        return
    while trace.tb_next is not None:
        trace = trace.tb_next
    if error is not None and cs.file_kind(trace.tb_frame.f_code.co_filename) in (cs.APPLICATION, cs.THIRD_PARTY):
        raise error


def record_unless_hosts(errors: InternalErrors, slug: str, error: Exception) -> None:
    """Count a failure of ours; an exception of the host's goes on its way."""
    raise_if_hosts(error)
    errors.record(slug, error)


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
        on_first_sight: Callable[[], None] | None = None,
    ) -> None:
        self._open_journal = open_journal
        self.errors = errors
        self.attribution = attribution
        self.clock = clock
        self.max_sites = max_sites
        self.stacks = cs.Stacks(stack_depth)
        self.on_first_sight = on_first_sight
        self.lock = allocate_lock()
        self.taps: list[Tap] = []
        self.own_threads: set[int] = set()
        self.observe_use: Callable[[SiteRecord, Callable[[], int]], Callable[[], int]] | None = None
        """Extends the counting step of a site by something that has to happen at every use."""
        self.before_site: Callable[[], list[tuple[object, ...]]] = list
        """Records that have to be on disk before a call site's."""
        self.ends: Ends | None = None
        """What follows sampled calls to their end, where that can be had."""
        self._busy: set[int] = set()
        self._deferred: list[tuple[Tap, FrameType]] = []
        self.hooks = _hot_path(self)
        self.reset()

    # -- life cycle ---------------------------------------------------------------------------------

    def reset(self) -> None:
        """Forget everything counted: at the start, and in a forked child, whose parent keeps its own counts."""
        self.journal: Journal | None = None
        self._journal_failed = False
        self.records: list[SiteRecord] = []
        self._by_identity: dict[tuple[Any, ...], SiteRecord] = {}
        self.samples: list[Sample] = []
        self.dropped: dict[str, int] = {}
        self._unwritten: list[tuple[object, ...] | str] = []
        self._kept: list[CodeType] = []
        self._busy.clear()
        self._deferred.clear()
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
        # Nothing was published in a mapped table before this, so nothing needs copying but what was
        # counted while the journal could not be had.
        for record in self.records:
            journal.counts[record.slot] = record.total()
        self.journal = journal
        self.table = journal.counts
        self.hooks.set_table(self.table)

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

    def _keep_unwritten(self, records: tuple[tuple[object, ...] | str, ...]) -> None:
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
        tap = Tap(target, use)
        tap.hook = self.hooks.hook(tap)
        self.taps.append(tap)
        return tap

    # -- first sight --------------------------------------------------------------------------------

    def first_sight(self, tap: Tap, frame: FrameType | None) -> None:
        """A use whose call site has no fast entry. Guarded: never raises into the host."""
        me = get_ident()
        if me in self.own_threads:
            return
        if me in self._busy:
            # A finaliser or signal handler used a target while we were recording: after this one.
            if frame is not None:
                self._deferred.append((tap, _still(frame, cs.MAX_FRAMES)))
            return
        self._busy.add(me)
        try:
            with self.lock:
                self._see(tap, frame)
                while self._deferred:
                    self._see(*self._deferred.pop())
        except Exception as error:  # noqa: BLE001 - the named seam between our recording and the host's call
            record_unless_hosts(self.errors, "first-sight", error)
        finally:
            self._busy.discard(me)

    def _see(self, tap: Tap, frame: FrameType | None) -> None:
        if frame is None:  # called from C with no Python caller
            self._count_without_caller(tap)
            return
        key = site_key(frame)
        entry = tap.counters.get(key)
        if entry is not None:  # another thread was first
            self.table[entry[0]] = entry[1]()
            return
        if tap.ignores is not None and tap.ignores(frame):
            self._keep(tap, key, frame.f_code, NOT_COUNTED)
            return
        if self._is_pass_through(tap, frame):
            self._keep(tap, key, frame.f_code, (HEADER_SCRATCH, self._deep_counter(tap)))
            self._see_deep(tap, frame)
            return
        if self.attribution.kind_of(frame.f_code) == cs.OWN:
            return
        self._count_at(tap, tap.counters, key, frame)

    def _keep(self, tap: Tap, key: Any, code: CodeType, entry: Entry) -> None:
        """An entry that belongs to no record; its code stays alive, or the key could become another's."""
        if len(self._kept) < MAX_KEPT:
            self._kept.append(code)
            tap.counters[key] = entry

    def _count_at(self, tap: Tap, counters: Counters, key: Any, frame: FrameType) -> None:
        record, walked = self._record_of(tap, frame)
        if record is None:
            return
        entry = self._entry(record, frame)
        total = entry[1]()
        self.table[record.slot] = total
        if len(record.aliases) < MAX_ALIASES:
            record.aliases.append((counters, key, frame.f_code))
            counters[key] = entry
        if walked:
            sample = Sample(record, record.at_ns, total, record.trace, first=True)
            self._sight(sample)
            if self.ends is not None and counters is tap.counters and not isinstance(frame, Still):
                self.ends.watch(sample, frame)
            if self.on_first_sight is not None:
                self.on_first_sight()

    def _entry(self, record: SiteRecord, frame: FrameType) -> Entry:
        step = record.counter.__next__
        if self.attribution.kind_of(frame.f_code) != cs.APPLICATION:
            # Our own thread, too, may run this library code; what it does there is not a use.
            step = self._checked(record)
        if self.observe_use is not None:
            step = self.observe_use(record, step)
        return record.slot, step

    def _checked(self, record: SiteRecord) -> Callable[[], int]:
        step, own, total = record.counter.__next__, self.own_threads, record.total

        def count_unless_ours() -> int:
            return total() if get_ident() in own else step()

        return count_unless_ours

    def _record_of(self, tap: Tap, frame: FrameType) -> tuple[SiteRecord | None, bool]:
        """The call site's record, and whether it is new."""
        code = frame.f_code
        quick = (
            tap.target.ref,
            tap.use,
            tap.note,
            code.co_filename,
            code.co_firstlineno,
            code.co_name,
            frame.f_lasti,
        )
        known = self._by_identity.get(quick)
        if known is not None:
            return known, False
        if len(self.records) >= self.max_sites:
            self.drop("call-site-limit")
            return None, False
        record = self._capture(tap, frame)
        self._by_identity[quick] = record
        self.records.append(record)
        record.written = self.write(*self.before_site(), record.journal_line())
        record.frames_text = ""  # 3 KB that nobody needs again
        return record, True

    def _capture(self, tap: Tap, frame: FrameType) -> SiteRecord:
        target = tap.target
        stack = self.stacks.walk(frame)
        record = self._blank_record(tap)
        record.expression = None
        record.code, record.lasti = frame.f_code, frame.f_lasti
        record.file, record.line, record.function = stack.frames[0] if stack.frames else ("", 0, "")
        record.module = str(frame.f_globals.get("__name__") or "")
        record.frames, record.frames_text = stack.frames, stack.text
        record.origin = self.attribution.origin(frame, target.module, target.file_kind)
        record.via = target.via(frame, tap.use)
        record.allowed = target.allowed_reason(record.module, record.function, record.at_ns)
        record.flags = stack.flags | (FLAG_ALLOWED if record.allowed is not None else 0)
        record.trace = self.trace_now()
        return record

    def trace_now(self) -> tuple[int, int, int]:
        """Trace id, span id and flags of the span active in this thread, zeros if there is none."""
        try:
            return cs.active_span()
        except Exception as error:  # noqa: BLE001 - the host's span implementation may do anything
            self.errors.record("active-span", error)
            return 0, 0, 0

    def _sight(self, sample: Sample) -> None:
        if len(self.samples) < MAX_SIGHTINGS:
            self.samples.append(sample)
        else:
            self.drop("sighting-queue")

    def _count_without_caller(self, tap: Tap) -> None:
        """A use that C code made with no Python frame below it: `atexit`, a raw thread's first function."""
        quick = (tap.target.ref, tap.use)
        record = self._by_identity.get(quick)
        if record is None:
            if len(self.records) >= self.max_sites:
                self.drop("call-site-limit")
                return
            record = self._blank_record(tap)
            self._by_identity[quick] = record
            self.records.append(record)
            record.written = self.write(record.journal_line())
            self._sight(Sample(record, record.at_ns, 1, record.trace, first=True))
        self.table[record.slot] = next(record.counter)

    def _blank_record(self, tap: Tap) -> SiteRecord:
        record = SiteRecord()
        record.slot = HEADER_SLOTS + len(self.records)
        record.target, record.use = tap.target, tap.use
        record.at_ns = record.sampled_ns = self.clock()
        record.code, record.lasti = NO_CODE, -1
        record.file, record.line, record.function, record.module = "", 0, "<no Python caller>", ""
        record.frames, record.frames_text, record.origin = (), "()", "direct"
        record.via, record.note = "", tap.note
        record.expression = ""
        record.allowed, record.flags, record.trace = None, 0, (0, 0, 0)
        return record

    # -- frames that only pass the call on ----------------------------------------------------------

    def _is_pass_through(self, tap: Tap, frame: FrameType) -> bool:
        """Whether `frame` is a decorator's or a library's shim around the target, not the place that wanted it."""
        code = frame.f_code
        if id(code) in tap.pass_through:
            return True
        if frame.f_back is None or not tap.target.is_passed_on_by(frame, tap.use):
            return False
        if len(tap.pass_through) < MAX_ALIASES:
            tap.pass_through[id(code)] = code
        return True

    def _behind(self, tap: Tap, frame: FrameType | None) -> FrameType | None:
        while frame is not None and frame.f_back is not None and self._is_pass_through(tap, frame):
            frame = frame.f_back
        return frame

    def _see_deep(self, tap: Tap, frame: FrameType) -> None:
        behind = self._behind(tap, frame)
        if behind is None:
            self._count_without_caller(tap)
            return
        key = site_key(behind)
        entry = tap.deep.get(key)
        if entry is not None:
            self.table[entry[0]] = entry[1]()
        elif self.attribution.kind_of(behind.f_code) != cs.OWN:
            self._count_at(tap, tap.deep, key, behind)

    def _deep_counter(self, tap: Tap) -> Callable[[], int]:
        """A counter for the key of a pass-through frame: it looks for the real caller at every use."""
        getframe, kind_of = sys._getframe, self.attribution.kind_of

        def count_behind() -> int:
            frame: FrameType | None = getframe(1)
            while frame is not None and (kind_of(frame.f_code) == cs.OWN or _is_wrapper_frame(frame)):
                frame = frame.f_back
            target_frame = frame
            if frame is not None and tap.target.is_own_frame(frame):
                target_frame = frame.f_back
            behind = self._behind(tap, target_frame)
            if behind is not None:
                entry = tap.deep.get(site_key(behind))
                if entry is not None:
                    self.table[entry[0]] = entry[1]()
                    return 0
            self.first_sight_behind(tap, behind)
            return 0

        return count_behind

    def first_sight_behind(self, tap: Tap, behind: FrameType | None) -> None:
        """First sight of a site behind a pass-through frame. Guarded like `first_sight`."""
        me = get_ident()
        if me in self.own_threads or me in self._busy:
            return
        self._busy.add(me)
        try:
            with self.lock:
                if behind is None:
                    self._count_without_caller(tap)
                else:
                    self._see_deep(tap, behind)
        except Exception as error:  # noqa: BLE001 - the named seam between our recording and the host's call
            record_unless_hosts(self.errors, "first-sight", error)
        finally:
            self._busy.discard(me)

    # -- sampling -----------------------------------------------------------------------------------

    def sample_next(self, record: SiteRecord) -> None:
        """Have the next use of this site seen in detail. The flush thread calls this when its budget allows."""
        with self.lock:
            for counters, key, code in record.aliases:
                entry = counters.get(key)
                if entry is None or self.attribution.kind_of(code) != cs.APPLICATION:
                    continue
                counters[key] = (record.slot, self._sampling(record, counters, key, entry))

    def _sampling(self, record: SiteRecord, counters: Counters, key: Any, entry: Entry) -> Callable[[], int]:
        step, getframe = entry[1], sys._getframe

        def count_and_sample() -> int:
            counters[key] = entry
            total = step()
            try:
                sample = Sample(record, self.clock(), total, self.trace_now(), first=False)
                self._sight(sample)
                if self.ends is not None:
                    self._watch_end(sample, getframe(1))
            except Exception as error:  # noqa: BLE001 - the named seam between our sampling and the host's call
                self.errors.record("sample", error)
            return total

        return count_and_sample

    def record_at(self, tap: Tap, frame: FrameType) -> SiteRecord | None:
        """The call site's record, if the use was counted."""
        entry = tap.counters.get(site_key(frame))
        number = (entry[0] if entry is not None else 0) - HEADER_SLOTS
        return self.records[number] if 0 <= number < len(self.records) else None

    def sample_of(
        self, tap: Tap, frame: FrameType, parent: tuple[int, int, int], own: tuple[int, int]
    ) -> Sample | None:
        """A use that is going to be seen to its end, under the span ids `own`. `finish_sample` must follow."""
        record = self.record_at(tap, frame)
        if record is None:
            return None
        sample = next((s for s in self.samples if s.record is record and s.first and not s.own[1]), None)
        if sample is None:
            sample = Sample(record, self.clock(), record.total(), parent, first=False)
            self._sight(sample)
        sample.trace, sample.own, sample.pending = parent, own, True
        return sample

    def finish_sample(self, sample: Sample | None, error_type: str) -> None:
        """The call that `sample` stands for has ended, by an exception if `error_type` names one."""
        if sample is None:
            return
        sample.end_ns = self.clock()
        sample.error_type = error_type
        sample.pending = False
        record = sample.record
        if record.failures is None:
            record.failures = count(1)
        if error_type:
            next(record.failures)  # no lock: a finaliser may end a call while this thread holds it

    def _watch_end(self, sample: Sample, frame: FrameType) -> None:
        caller: FrameType | None = caller_behind_wrapt(frame)
        if caller is not None and sample.record.target.is_own_frame(caller):
            caller = caller.f_back
        if caller is not None and self.ends is not None:
            self.ends.watch(sample, caller)

    # -- draining -----------------------------------------------------------------------------------

    def publish(self) -> None:
        """Put every counter's exact value into the mapped table, and the time beside it."""
        table = self.table
        for record in self.records:
            total = record.total()
            if table[record.slot] != total:
                table[record.slot] = total
        table[HEADER_HEARTBEAT] = self.clock()

    def take_samples(self) -> list[Sample]:
        """The samples since the last call, but for those whose call has not ended yet."""
        deadline = self.clock() - MAX_CALL_NS
        with self.lock:
            samples = [s for s in self.samples if not s.pending or s.start_ns < deadline]
            self.samples = [s for s in self.samples if s.pending and s.start_ns >= deadline]
        return samples


_wrapper_globals: list[dict[str, Any]] = []


def skip_frames_of(module_globals: dict[str, Any]) -> None:
    """Never take a frame whose globals are these for a caller: wrapt's, when it runs without its C extension."""
    _wrapper_globals.append(module_globals)


def caller_behind_wrapt(frame: FrameType) -> FrameType:
    """The first frame from `frame` outwards that is neither the recorder's nor wrapt's."""
    here = globals()
    back: FrameType | None = frame
    while back is not None and (back.f_globals is here or _is_wrapper_frame(back)):
        back = back.f_back
    return frame if back is None else back


def _is_wrapper_frame(frame: FrameType) -> bool:
    return any(frame.f_globals is names for names in _wrapper_globals)


def _hot_path(recorder: Recorder) -> Hooks:  # noqa: C901, PLR0915 - small functions that share one cell
    """Make the functions that run at each use, closing over one shared table that a fork can replace.

    Inlined by hand and repeated, because every call it would take to share a line costs 40 ns on 580.
    """
    getframe = sys._getframe
    table: Any = None
    see = recorder.first_sight
    errors = recorder.errors

    def set_table(new: Any) -> None:
        nonlocal table
        table = new

    def missed(tap: Tap, depth: int) -> None:
        """A use without a fast entry, `depth` frames below this one. Looks for the frame anew: on a hit, a name
        that an `except` could use would have to be bound first, and that costs."""
        raise_if_hosts(sys.exc_info()[1])
        try:
            frame = getframe(depth)
        except ValueError:  # C called, with no Python frame below
            frame = None
        see(tap, frame)

    def make_hook(tap: Tap) -> Callable[[], None]:  # noqa: C901 - three versions of one hook
        counters = tap.counters

        if sys.version_info >= (3, 11):

            def hook() -> None:
                try:
                    frame = getframe(1)
                    slot, step = counters[id(frame.f_code) + frame.f_lasti]
                    table[slot] = step()
                except (KeyError, ValueError):
                    missed(tap, 2)
                except Exception as error:  # noqa: BLE001 - nothing of ours may reach the host's call
                    record_unless_hosts(errors, "count", error)

        else:

            def hook() -> None:
                try:
                    frame = getframe(1)
                    slot, step = counters[id(frame.f_code), frame.f_lasti]
                    table[slot] = step()
                except (KeyError, ValueError):
                    missed(tap, 2)
                except Exception as error:  # noqa: BLE001 - nothing of ours may reach the host's call
                    record_unless_hosts(errors, "count", error)

        def hook_behind_wrapt() -> None:
            frame = None
            try:
                frame = caller_behind_wrapt(getframe(1))
                slot, step = counters[site_key(frame)]
                table[slot] = step()
            except (KeyError, ValueError) as error:
                raise_if_hosts(error)
                see(tap, frame)
            except Exception as error:  # noqa: BLE001 - nothing of ours may reach the host's call
                record_unless_hosts(errors, "count", error)

        return hook_behind_wrapt if _wrapper_globals else hook

    def make_callback(tap: Tap) -> Callable[[FrameType], None]:
        counters = tap.counters

        def callback(frame: FrameType) -> None:
            try:
                slot, step = counters[site_key(frame)]
                table[slot] = step()
            except KeyError as error:
                raise_if_hosts(error)
                see(tap, frame)
            except Exception as error:  # noqa: BLE001 - nothing of ours may reach the host's call
                record_unless_hosts(errors, "count", error)

        return callback

    def make_inner_hook(tap: Tap) -> Callable[[], None]:
        """For a call written into the target's own code: the caller is one frame further."""
        counters = tap.counters

        if sys.version_info >= (3, 11):

            def inner_hook() -> None:
                try:
                    frame = getframe(2)
                    slot, step = counters[id(frame.f_code) + frame.f_lasti]
                    table[slot] = step()
                except (KeyError, ValueError):
                    missed(tap, 3)
                except Exception as error:  # noqa: BLE001 - nothing of ours may reach the host's call
                    record_unless_hosts(errors, "count", error)

        else:

            def inner_hook() -> None:
                try:
                    frame = getframe(2)
                    slot, step = counters[id(frame.f_code), frame.f_lasti]
                    table[slot] = step()
                except (KeyError, ValueError):
                    missed(tap, 3)
                except Exception as error:  # noqa: BLE001 - nothing of ours may reach the host's call
                    record_unless_hosts(errors, "count", error)

        return inner_hook

    def make_start_callback(
        taps: dict[int, Tap], counters_of: dict[int, Counters]
    ) -> Callable[[CodeType, int], None]:
        """For `sys.monitoring`: the callback of PY_START, for all monitored code objects together."""

        def on_start(code: CodeType, _offset: int) -> None:
            try:
                frame = getframe(2)
                slot, step = counters_of[id(code)][id(frame.f_code) + frame.f_lasti]
                table[slot] = step()
            except (KeyError, ValueError):
                tap = taps.get(id(code))
                if tap is not None:
                    missed(tap, 3)
            except Exception as error:  # noqa: BLE001 - nothing of ours may reach the host's call
                record_unless_hosts(errors, "count", error)

        return on_start

    return Hooks(make_hook, make_callback, make_inner_hook, make_start_callback, set_table)


class Hooks:
    """The functions that engines call at each use, made for one recorder."""

    __slots__ = ("frame_callback", "hook", "inner_hook", "set_table", "start_callback")

    def __init__(
        self,
        hook: Callable[[Tap], Callable[[], None]],
        frame_callback: Callable[[Tap], Callable[[FrameType], None]],
        inner_hook: Callable[[Tap], Callable[[], None]],
        start_callback: Callable[[dict[int, Tap], dict[int, Counters]], Callable[[CodeType, int], None]],
        set_table: Callable[[Any], None],
    ) -> None:
        self.hook = hook
        self.frame_callback = frame_callback
        self.inner_hook = inner_hook
        self.start_callback = start_callback
        self.set_table = set_table
