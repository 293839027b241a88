"""What a bound, a full disk or a signal makes the recorder leave out is counted, kept for later, or known by its parent."""

from __future__ import annotations

import ast
import sys
import threading

import pytest

from lastcall import recorder as recording
from lastcall import sampling
from lastcall.journal import FLAG_ALLOWED, HEADER_SLOTS, Journal
from lastcall.targets import Allow, Target
from test_recorder import callers, counted, in_memory, make


@pytest.fixture
def bare(monkeypatch):
    """A recorder without a disk, and a tap."""
    in_memory(monkeypatch)
    made = make(max_sites=2)
    return made, made.tap(Target("application:one"), "call")


def on_disk(folder):
    return next(folder.glob("*.journal")).read_text()


def test_uses_without_a_caller_are_dropped_aloud_at_the_bound(bare):
    recorder, tap = bare
    for function in callers(tap.hook, 2)[1:]:
        function(1)
    for _ in range(3):
        recorder.first_sight(tap, None)
    assert recorder.dropped == {"call-site-limit": 3}
    assert sum(counted(recorder).values()) == 2


def test_what_waits_for_a_disk_is_bounded_and_what_does_not_fit_is_counted(bare):
    recorder, _tap = bare
    with recorder.lock:
        for amount in (3, 8, 2):
            recorder.write(*(("X", number, "") for number in range(amount)))
    assert len(recorder._unwritten) == 8
    assert recorder.dropped == {"journal-backlog": 5}
    recorder.retry_unwritten()
    assert (len(recorder._unwritten), recorder.dropped) == (8, {"journal-backlog": 5}), "which waited is no new loss"


def test_sightings_that_nobody_takes_are_bounded_and_the_rest_is_counted(bare, monkeypatch):
    monkeypatch.setattr(sampling, "MAX_SIGHTINGS", 1)
    recorder, tap = bare
    for function in callers(tap.hook, 2)[1:]:
        function(4)
    assert len(recorder.samples.take()) == 1
    assert recorder.dropped == {"sighting-queue": 1}
    assert set(counted(recorder).values()) == {4}, "only the details"


def test_uses_for_which_the_stack_did_not_suffice_are_counted_at_the_next_flush(bare):
    recorder, tap = bare
    recorder.hooks.unseen[:] = [tap, None]
    recorder.count_unseen()
    recorder.count_unseen()
    assert recorder.dropped == {"stack-exhausted": 2}


def test_what_our_thread_does_in_a_library_that_the_host_uses_too_is_no_use(bare):
    recorder, tap = bare
    names = {"hook": tap.hook, "__name__": "library"}
    exec(compile("def call():\n    hook()\n", "/usr/lib/python3/site-packages/library.py", "exec"), names)
    names["call"]()
    recorder.own_threads.add(threading.get_ident())
    names["call"]()
    recorder.own_threads.clear()
    names["call"]()
    assert list(counted(recorder).values()) == [2]


def test_a_journal_that_opens_late_has_the_counts_at_once(tmp_path, monkeypatch):
    in_memory(monkeypatch)
    folder = tmp_path / "later"
    recorder = make(folder)
    folder.write_text("a file where the folder should be")
    (function,) = callers(recorder.tap(Target("application:one"), "call").hook, 1)
    function(7)
    folder.unlink()
    recorder.retry_unwritten()
    counts = memoryview(next(folder.glob("*.counts")).read_bytes()).cast("Q")
    assert counts[HEADER_SLOTS] == 7, "a kill may come before the next flush"
    recorder.journal.close()


def test_what_has_to_stand_before_a_call_site_does(tmp_path):
    recorder = make(tmp_path)
    recorder.before_site = lambda: [("A", "application:one", "armed", "", "wrapping", 1)]
    (function,) = callers(recorder.tap(Target("application:one"), "call").hook, 1)
    function(1)
    assert on_disk(tmp_path).index("('A', 'application:one'") < on_disk(tmp_path).index("('S', 0")
    recorder.journal.close()


def test_a_call_site_whose_writing_a_signal_ended_is_written_with_the_next_flush(tmp_path, monkeypatch):
    recorder = make(tmp_path)
    (function,) = callers(recorder.tap(Target("application:one"), "call").hook, 1)
    with recorder.lock:
        recorder.open()

    def interrupted(*_records):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", interrupted)
        with pytest.raises(KeyboardInterrupt):
            function(1)
    assert "('S'" not in on_disk(tmp_path)
    recorder.retry_unwritten()
    assert on_disk(tmp_path).count("('S', 0, 'application:one'") == 1
    recorder.journal.close()


def test_a_child_inherits_nothing_that_its_parent_has_yet_to_say(bare):
    recorder, tap = bare
    for function in callers(tap.hook, 6):
        function(2)
    recorder.hooks.unseen[:] = [tap]
    tap.deep["an instruction"] = (HEADER_SLOTS, iter([1]))
    assert all((recorder.dropped, recorder._unwritten, recorder.samples.kept, recorder.records))
    recorder.reset()
    recorder.count_unseen()
    left = recorder.dropped, recorder._unwritten, recorder.samples.take(), recorder.records, tap.counters, tap.deep
    assert not any(left)


def test_code_that_is_made_anew_for_ever_is_one_call_site_in_bounded_memory(bare):
    recorder, tap = bare
    for _ in range(3 * recording.MAX_ALIASES):
        (function,) = callers(tap.hook, 1)
        function(2)
    assert list(counted(recorder).values()) == [6 * recording.MAX_ALIASES]
    assert len(tap.counters) == recording.MAX_ALIASES


@pytest.mark.skipif(sys.version_info < (3, 11), reason="code objects know no columns")
def test_two_lambdas_in_one_line_are_two_call_sites(bare):
    recorder, tap = bare
    both = eval(compile("(lambda: hook(), lambda: hook())", "/application/made.py", "eval"), {"hook": tap.hook, "__name__": "application"})
    for times, function in enumerate(both, 1):
        for _ in range(times):
            function()
    assert [record.total() for record in recorder.records] == [1, 2]


def test_a_call_that_does_not_end_is_told_of_without_its_end(bare):
    recorder, tap = bare
    found = []
    for step in (recorder.hooks.frame_callback(tap), lambda frame: found.append(recorder.samples.claim(recorder.record_at(tap, frame), (0, 0, 0), (1, 2)))):
        step(sys._getframe())  # one instruction: one call site
    (sample,) = found
    assert recorder.samples.take() == []
    recorder.clock = lambda: sample.start_ns + 1 + sampling.MAX_CALL_NS
    assert [(taken is sample, taken.end_ns) for taken in recorder.samples.take()] == [(True, None)]


def test_that_a_use_is_allowed_stands_in_its_record(tmp_path):
    recorder = make(tmp_path)
    for ref, allow in (("application:one", (Allow("application"),)), ("application:two", (Allow("elsewhere"),))):
        (function,) = callers(recorder.tap(Target(ref, allow=allow), "call").hook, 1)
        function(1)
    lines = [ast.literal_eval(line) for line in on_disk(tmp_path).splitlines() if line.startswith("('S'")]
    assert [(line[2], line[5] & FLAG_ALLOWED) for line in lines] == [("application:one", FLAG_ALLOWED), ("application:two", 0)]
    recorder.journal.close()


def test_uses_that_come_while_such_uses_are_counted_wait_for_the_next_look_and_are_bounded(bare, monkeypatch):
    """Each use that is counted makes two more, as a trace function that is a target would."""
    monkeypatch.setattr(recording, "MAX_PUT_OFF", 5)
    recorder, tap = bare
    seen = []

    def see(_tap, _frame):
        seen.append(1)
        for _ in range(2):
            recorder._defer(see, tap, None)

    recorder._defer(see, tap, None)
    recorder.see_deferred()
    assert len(seen) == 1 + 2 + 4, "three looks, each at what the one before has left"
    assert recorder.dropped == {"deferred": 3}
    recorder.see_deferred()
    assert len(seen) == 7 + 3 * 5
