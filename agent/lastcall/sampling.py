"""Sampling: single uses seen in detail, the first of a call site and now and then a later one, some to their end.

For exporters: a span and a log entry need the time of a use, the span that was active, and how the call ended. What
only counts never comes here but with the first use of each call site.
"""

from __future__ import annotations

from _collections import deque
from itertools import count

from . import callsite as cs
from .errors import getframe
from .hotpath import caller_behind_wrapt, skip_own_frames
from .sites import Once, Sample

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    from .engines.ends import Ends
    from .recorder import Recorder
    from .sites import Counters, Entry, Followed, SiteRecord

MAX_SIGHTINGS = 20_000
MAX_CALL_NS = 30_000_000_000
"""A sampled call that has not ended after so long is reported without its end."""


class Samples:
    """The samples of one recorder that nobody has taken yet, and how more are come by."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.kept: deque[Sample] = deque()
        self.wanted = True
        """Whether anybody takes samples. If not, none are kept."""
        self.ends: Ends | None = None
        """What follows sampled calls to their end, where that can be had."""

    def forget(self) -> None:
        """In a forked child: the parent's are not ours."""
        self.kept = deque()

    def trace_now(self) -> tuple[int, int, int]:
        """Trace id, span id and flags of the span active in this thread, zeros if there is none."""
        try:
            return cs.active_span()
        except Exception as error:  # noqa: BLE001 - the host's span implementation may do anything
            self._recorder.errors.record("active-span", error)
            return 0, 0, 0

    def first(self, record: SiteRecord, total: int) -> Sample:
        """The first use of a call site. Call with the recorder's lock held."""
        sample = Sample(record, record.at_ns, total, record.trace, first=True)
        if self._keep(sample):
            record.first_sample = sample
        return sample

    def _keep(self, sample: Sample) -> bool:
        """Keep it until it is taken. False if it is not kept."""
        if not self.wanted:
            return False
        if len(self.kept) >= MAX_SIGHTINGS:
            self._recorder.drop("sighting-queue")
            return False
        self.kept.append(sample)
        return True

    def want_next(self, record: SiteRecord) -> None:
        """Have the next use of this site seen in detail. The flush thread calls this when its budget allows."""
        recorder = self._recorder
        with recorder.lock:
            for counters, key, code in record.aliases:
                entry = counters.get(key)
                if entry is None or recorder.attribution.kind_of(code) != cs.APPLICATION:
                    continue
                counters[key] = Once((record.slot, iter(self._sampling(record, counters, key, entry), None)))

    def _sampling(self, record: SiteRecord, counters: Counters | Followed, key: Any, entry: Entry) -> Callable[[], int]:
        uses, recorder = entry[1], self._recorder

        def count_and_sample() -> int:
            counters[key] = entry
            total = next(uses)
            try:
                sample = Sample(record, recorder.clock(), total, self.trace_now(), first=False)
                self._keep(sample)
                if self.ends is not None:
                    self._watch_end(sample, getframe(1))
            except Exception as error:  # noqa: BLE001 - the named seam between our sampling and the host's call
                recorder.errors.record("sample", error)
            return total

        return count_and_sample

    def _watch_end(self, sample: Sample, frame: FrameType) -> None:
        caller: FrameType | None = caller_behind_wrapt(frame)
        if caller is not None and sample.record.target.is_own_frame(caller):
            caller = caller.f_back
        if caller is not None and self.ends is not None:
            self.ends.watch(sample, caller)

    def claim(
        self, record: SiteRecord | None, parent: tuple[int, int, int], own: tuple[int, int]
    ) -> Sample | None:
        """A use that is going to be seen to its end, under the span ids `own`. `finish` must follow."""
        if record is None:
            return None
        # its first sighting, if nobody took that yet: of this call, as a rule
        sample, record.first_sample = record.first_sample, None
        if sample is None:
            sample = Sample(record, self._recorder.clock(), record.total(), parent, first=False)
            self._keep(sample)
        sample.trace, sample.own, sample.pending = parent, own, True
        return sample

    def finish(self, sample: Sample | None, error_type: str) -> None:
        """The call that `sample` stands for has ended, by an exception if `error_type` names one."""
        if sample is None:
            return
        sample.end_ns = self._recorder.clock()
        sample.error_type = error_type
        sample.pending = False
        record = sample.record
        if record.failures is None:
            record.failures = count(1)
        if error_type:
            next(record.failures)  # no lock: a finaliser may end a call while this thread holds it

    def take(self) -> list[Sample]:
        """The samples since the last call, but for those whose call has not ended yet."""
        deadline = self._recorder.clock() - MAX_CALL_NS
        taken = []
        for _ in range(len(self.kept)):  # others append meanwhile, without the lock
            sample = self.kept.popleft()
            if sample.pending and sample.start_ns >= deadline:
                self.kept.append(sample)
            else:
                sample.record.first_sample = None
                taken.append(sample)
        return taken


skip_own_frames(globals())
