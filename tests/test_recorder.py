"""The recorder counts as a naive one would, whatever the order of threads, samples, drops and forks."""

from __future__ import annotations

import ast
import collections
import dis
import itertools
import random
import re
import sys
import threading
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from how_many import examples
from lastcall import callsite, hotpath
from lastcall.errors import InternalErrors
from lastcall.journal import HEADER_SLOTS, Journal
from lastcall.recorder import Recorder
from lastcall.sampling import Samples
from lastcall.sites import current
from lastcall.targets import Target


def make(tmp_path=None, **settings_):
    clock = itertools.count(1_000).__next__
    ids = itertools.count()
    slots = settings_.get("max_sites", 1000)

    def open_journal():
        if tmp_path is None:
            raise OSError("no disk")
        return Journal(str(tmp_path), f"process{next(ids)}", slots)

    return Recorder(open_journal, InternalErrors(), callsite.Attribution(), clock=clock, **{"max_sites": 1000, **settings_})


def callers(hook, amount):
    """`amount` functions, each with a call site of its own; every second one has two in a loop."""
    made = []
    for number in range(amount):
        lines = [f"def caller{number}(times):", "    for _ in range(times):", "        hook()"]
        lines += ["        hook()"] if number % 2 else []
        names = {"hook": hook, "__name__": "application"}
        exec(compile("\n".join(lines), f"/application/made{number}.py", "exec"), names)
        made.append(names[f"caller{number}"])
    return made


def counted(recorder):
    return {(r.target.ref, r.file.rpartition("/")[2], r.line): r.total() for r in recorder.records}


def in_memory(monkeypatch):
    monkeypatch.delenv("LASTCALL_RERAISE", raising=False)  # a journal that cannot be had is an internal error


STEPS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5), st.integers(0, 7), st.sampled_from(["", "", "sample", "publish", "publish new", "take"])), max_size=25)


@settings(max_examples=examples(150), deadline=None)
@given(STEPS)
def test_any_sequence_of_uses_counts_as_the_naive_recorder_counts(steps):
    with pytest.MonkeyPatch.context() as monkeypatch:
        in_memory(monkeypatch)
        recorder = make()
        targets = [Target("application:one"), Target("application:two")]
        taps = [recorder.tap(target, "call") for target in targets]
        functions = [callers(tap.hook, 6) for tap in taps]
        naive: Counter[tuple[str, str, int]] = Counter()
        samples = 0
        for target, caller, times, then in steps:
            functions[target][caller](times)
            for line in (3, 4) if caller % 2 else (3,):
                naive[targets[target].ref, f"made{caller}.py", line] += times
            if then == "sample":
                for record in recorder.records:
                    recorder.samples.want_next(record)
            elif then.startswith("publish"):
                recorder.publish(thorough=then == "publish")
                assert all(recorder.table[r.slot] == r.total() for r in recorder.records)
            elif then == "take":
                samples += len(recorder.samples.take())
        assert counted(recorder) == +naive
        recorder.publish()
        assert all(recorder.table[r.slot] == r.total() for r in recorder.records)
        samples += len(recorder.samples.take())
        assert samples >= len(recorder.records)
        assert [slug for slug, _ in recorder.errors.counts()] in ([], ["journal-open"])


def test_a_count_that_another_thread_lowered_is_put_right_where_the_table_was_written_to(tmp_path):
    recorder = make(tmp_path)
    functions = callers(recorder.tap(Target("application:one"), "call").hook, 200)
    for function in functions:
        function(3)
    recorder.publish()
    first, *others = recorder.records
    recorder.table[first.slot] = 1
    looked_at = []

    class Looked:
        def total(self):
            looked_at.append(self)

    recorder.records[-1:] = [Looked()]
    recorder.publish(thorough=False)
    assert recorder.table[first.slot] == 3
    assert not looked_at, "what lies far from it in the table is not asked"
    recorder.records[-1:] = others[-1:]
    recorder.publish()
    assert [recorder.table[r.slot] for r in recorder.records] == [r.total() for r in recorder.records]
    recorder.journal.close()


def test_who_follows_a_counter_sees_what_takes_its_place_and_that_all_was_forgotten(tmp_path):
    """As a read of `warnings.warn` that is known does; a sample changes what counts, and is taken once."""
    recorder = make(tmp_path)
    tap = recorder.tap(Target("application:one"), "call")
    (function,) = callers(tap.hook, 1)
    function(1)
    ((key, plain),) = tap.counters.items()
    followed = recorder.follow(tap.counters, key, function.__code__)
    assert tuple(followed) == plain
    assert recorder.follow(tap.counters, key, function.__code__) is followed
    assert recorder.follow(tap.counters, "another", function.__code__) is None
    recorder.samples.take()
    (record,) = recorder.records
    recorder.samples.want_next(record)
    assert tuple(followed) != plain
    for expected in (2, 3):
        slot, uses = followed
        for recorder.table[slot] in uses:
            break
        assert recorder.table[slot] == record.total() == expected
        assert tuple(followed) == plain, "once it is sampled, it is counted as before"
    assert len(recorder.samples.take()) == 1
    other = recorder.tap(Target("application:two"), "call")
    (function,) = callers(other.hook, 1)
    function(1)
    recorder.samples.want_next(recorder.records[-1])
    ((key, _),) = other.counters.items()
    assert recorder.follow(other.counters, key, function.__code__) is None, "the sample is taken there first"
    recorder.journal.close()
    recorder.reset()
    assert followed == []


class Unsearchable(collections.deque):
    """A queue that may be filled and emptied, and is too long to look through at each use."""

    def __iter__(self):
        raise AssertionError("the queue was looked through")


def test_a_call_that_is_seen_to_its_end_does_not_look_through_those_that_wait(monkeypatch):
    in_memory(monkeypatch)
    recorder = make()
    recorder.samples.kept = Unsearchable()
    tap = recorder.tap(Target("application:one"), "call")
    claimed = []
    callback = recorder.hooks.frame_callback(tap)

    def claim(frame):
        claimed.append(recorder.samples.claim(recorder.record_at(tap, frame), (1, 2, 3), (1, len(claimed) + 10)))

    for _ in range(3):
        for step in (callback, claim):
            step(sys._getframe())  # one instruction: one call site
    assert [sample.first for sample in claimed] == [True, False, False]
    assert claimed[0].own == (1, 10)


def test_where_nobody_takes_samples_none_are_kept(monkeypatch):
    in_memory(monkeypatch)
    recorder = make()
    recorder.samples.wanted = False
    (function,) = callers(recorder.tap(Target("application:one"), "call").hook, 1)
    function(5)
    assert (len(recorder.records), recorder.records[0].total()) == (1, 5)
    assert not recorder.samples.kept
    assert recorder.records[0].first_sample is None
    assert not recorder.dropped


@pytest.mark.parametrize("kind", ["hook", "frame_callback", "inner_hook"])
def test_threads_lose_nothing_even_at_first_sight(tmp_path, kind):
    recorder = make(tmp_path)
    tap = recorder.tap(Target("application:one"), "call")
    if kind == "hook":
        use = tap.hook
    elif kind == "frame_callback":
        callback = recorder.hooks.frame_callback(tap)

        def use():
            callback(sys._getframe(1))
    else:
        inner = recorder.hooks.inner_hook(tap)

        def use():
            inner()
    functions = callers(use, 10)
    barrier = threading.Barrier(8)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        def work():
            barrier.wait()
            for _ in range(40):
                for function in functions:
                    function(10)

        threads = [threading.Thread(target=work) for _ in range(8)]
        [t.start() for t in threads]
        for _ in range(20):
            recorder.publish()
            for record in list(recorder.records):
                recorder.samples.want_next(record)
        [t.join() for t in threads]
    finally:
        sys.setswitchinterval(interval)
    assert set(counted(recorder).values()) == {8 * 40 * 10}
    assert len(recorder.records) == 15
    recorder.publish()
    assert [recorder.table[r.slot] for r in recorder.records] == [3200] * 15
    recorder.journal.close()


MAY_CHANGE_THREADS = re.compile("CALL|JUMP_BACKWARD|JUMP_ABSOLUTE|RESUME|YIELD|SEND|WITH")


@pytest.mark.parametrize("kind", ["hook", "hook_behind_wrapt", "frame_callback", "inner_hook", "start_callback"])
def test_no_thread_can_come_between_drawing_a_number_and_storing_it(monkeypatch, kind):
    """With a call there, the thread that was switched out would set the slot back by what the others counted."""
    if kind == "hook_behind_wrapt":
        monkeypatch.setattr(hotpath, "behind_wrapt", {1})
    recorder = make()
    tap = recorder.tap(Target("application:one"), "call")
    made = {"frame_callback": recorder.hooks.frame_callback, "inner_hook": recorder.hooks.inner_hook}
    hook = recorder.hooks.start_callback({}, {}) if kind == "start_callback" else made.get(kind, recorder.hooks.hook)(tap)
    names = [instruction.opname for instruction in dis.get_instructions(hook)]
    drawn = names.index("FOR_ITER")
    between = names[drawn + 1 : names.index("STORE_SUBSCR", drawn)]
    assert {name for name in between if "LOAD" in name}  # the table and the slot
    assert not [name for name in between if MAY_CHANGE_THREADS.search(name)]


def test_a_new_call_site_is_on_disk_when_its_first_use_returns(tmp_path):
    recorder = make(tmp_path)
    tap = recorder.tap(Target("application:one"), "call")
    (function,) = callers(tap.hook, 1)
    function(1)
    text = next(tmp_path.glob("*.journal")).read_text()
    assert "('S', 0, 'application:one', 'call'" in text
    assert "/application/made0.py', 3" in text
    counts = memoryview(next(tmp_path.glob("*.counts")).read_bytes()).cast("Q")
    assert counts[HEADER_SLOTS] == 1
    function(4)
    assert memoryview(next(tmp_path.glob("*.counts")).read_bytes()).cast("Q")[HEADER_SLOTS] == 5
    recorder.journal.close()


def test_what_the_disk_refused_is_written_when_it_recovers(tmp_path, monkeypatch):
    in_memory(monkeypatch)
    folder = tmp_path / "not yet"
    recorder = make(folder)
    folder.write_text("a file where the folder should be")
    tap = recorder.tap(Target("application:one"), "call")
    functions = callers(tap.hook, 4)
    for function in functions:
        function(3)
    recorder.publish()
    assert dict(recorder.errors.counts())["journal-open"] >= 1
    folder.unlink()
    recorder.retry_unwritten()
    recorder.publish()
    text = next(folder.glob("*.journal")).read_text()
    assert text.count("('S',") == 6
    counts = memoryview(next(folder.glob("*.counts")).read_bytes()).cast("Q")
    assert [counts[HEADER_SLOTS + n] for n in range(6)] == [3] * 6
    for function in functions:
        function(1)
    assert [recorder.table[r.slot] for r in recorder.records] == [4] * 6
    recorder.journal.close()


def test_a_librarys_use_in_our_own_thread_is_none(monkeypatch):
    in_memory(monkeypatch)
    recorder = make()
    tap = recorder.tap(Target("application:one"), "call")
    names = {"hook": tap.hook, "__name__": "library"}
    code = "def function(times):\n    for _ in range(times):\n        hook()"
    exec(compile(code, "/somewhere/site-packages/library.py", "exec"), names)
    function = names["function"]

    def ours():
        recorder.own_threads.add(threading.get_ident())
        function(5)

    thread = threading.Thread(target=ours)
    thread.start()
    thread.join()
    assert recorder.records == []
    function(2)
    assert counted(recorder) == {("application:one", "library.py", 3): 2}


def test_a_target_used_while_we_record_is_counted_after(monkeypatch):
    in_memory(monkeypatch)
    recorder = make()
    tap = recorder.tap(Target("application:one"), "call")
    first, second = callers(tap.hook, 1) + callers(tap.hook, 3)[2:]
    clock = recorder.clock

    def clock_that_uses_the_target():
        recorder.clock = clock
        second(1)
        return clock()

    recorder.clock = clock_that_uses_the_target
    first(1)
    assert counted(recorder) == {("application:one", "made0.py", 3): 1, ("application:one", "made2.py", 3): 1}


@pytest.mark.parametrize("seam", ["clock", "write", "_capture", "_keep", "_entry", "_record_of"])
def test_a_recorder_that_raises_reaches_nobody_and_is_counted(monkeypatch, seam):
    in_memory(monkeypatch)
    recorder = make()

    # of Lastcall's own code, that is: what the host's code raises is the host's
    names: dict = {}
    source = "def broken(*_args, **_kwargs):\n    raise ValueError('broken')\n"
    exec(compile(source, callsite.__file__.replace("callsite", "broken"), "exec"), names)
    broken = names["broken"]
    if seam == "clock":
        monkeypatch.setattr(recorder, seam, broken)
    else:
        monkeypatch.setattr(Samples if seam == "_keep" else Recorder, seam, broken)
    tap = recorder.tap(Target("application:one"), "call")
    (function,) = callers(tap.hook, 1)
    function(3)
    assert dict(recorder.errors.counts()).get("first-sight", 0) >= 1


def test_reset_forgets_counts_and_goes_on(monkeypatch):
    in_memory(monkeypatch)
    recorder = make()
    tap = recorder.tap(Target("application:one"), "call")
    (function,) = callers(tap.hook, 1)
    function(5)
    recorder.reset()
    assert recorder.records == []
    function(2)
    assert counted(recorder) == {("application:one", "made0.py", 3): 2}


def test_no_call_site_is_lost_at_the_bound_without_a_word(monkeypatch):
    in_memory(monkeypatch)
    recorder = make(max_sites=4)
    tap = recorder.tap(Target("application:one"), "call")
    for function in callers(tap.hook, 10):
        function(2)
    assert len(recorder.records) == 4
    assert sum(r.total() for r in recorder.records) == 8
    assert recorder.dropped == {"call-site-limit": 15 * 2 - 8}


@given(st.integers(0, 10**18))
def test_a_counter_is_read_without_counting(drawn):
    counter = itertools.count(drawn + 1)
    assert current(counter) == current(counter) == drawn
    next(counter)
    assert current(counter) == drawn + 1


def test_names_made_at_run_time_are_written_down_in_bounded_length(tmp_path):
    """A template compiled to a function may be named after all of its text, and each call in it is a call site."""
    recorder = make(tmp_path)
    tap = recorder.tap(Target("legacy:old"), "call")
    lines = ["def build():", *["    hook()"] * 20]
    names = {"hook": recorder.hooks.hook(tap), "__name__": "application"}
    exec(compile("\n".join(lines), "<made " + "x" * 100_000 + ">", "exec"), names)
    build = names["build"]
    long = "builder:" + "/<part>" * 10_000
    named = {"co_name": long, **({"co_qualname": long} if sys.version_info >= (3, 11) else {})}
    build.__code__ = build.__code__.replace(**named)
    build()
    assert len(recorder.records) == 20
    assert {record.function[:20] for record in recorder.records} == {long[:20]}
    assert {record.function for record in recorder.records} == {long[: callsite.MAX_NAME] + "..."}
    written = sum(path.stat().st_size for path in tmp_path.rglob("*.journal"))
    assert 0 < written < 20 * 3 * (callsite.MAX_NAME + callsite.MAX_PATH)


@pytest.mark.parametrize("one_line", [True, False], ids=["one line", "many lines"])
def test_lines_far_into_a_long_function_are_the_frames_own(tmp_path, one_line):
    recorder = make(tmp_path, max_sites=6000)
    tap = recorder.tap(Target("legacy:old"), "call")
    calls = ["hook()"] * 4000
    body = "    " + "; ".join(calls) if one_line else "\n".join("    " + call for call in calls)
    names = {"hook": recorder.hooks.hook(tap), "__name__": "application"}
    exec(compile("\ndef long():\n" + body, "/application/long.py", "exec"), names)
    names["long"]()
    assert max(record.lasti for record in recorder.records) > callsite.LONG
    assert [record.line for record in recorder.records] == ([3] * 4000 if one_line else list(range(3, 4003)))
    assert len(callsite._tables) <= callsite.MAX_TABLES


def stacks_in(journal):
    """The stacks of the S records of a journal, each of which may lean on a K record before it."""
    behind, stacks = {}, []
    for line in journal.read_text().splitlines():
        letter, *fields = ast.literal_eval(line)
        if letter == "K":
            behind[fields[0]] = fields[1]
        elif letter == "S":
            frames = fields[-1]
            stacks.append((*frames[:-1], *behind[frames[-1]]) if frames and isinstance(frames[-1], int) else frames)
    return stacks


@pytest.mark.parametrize("depth", [0, 3, 60])
def test_every_stack_on_disk_is_what_a_plain_walk_finds(tmp_path, depth):
    recorder = make(tmp_path)
    tap = recorder.tap(Target("legacy:old"), "call")
    hook, truth = recorder.hooks.hook(tap), []

    def seen():
        frame, frames = sys._getframe(1), []
        while frame is not None:
            frames.append((frame.f_code.co_filename, frame.f_lineno, callsite.qualname_of(frame.f_code)))
            frame = frame.f_back
        truth.append(tuple(frames[: callsite.MAX_FRAMES]))

    source = "def deep(left):\n    if left:\n        return deep(left - 1)\n" + "    seen(), hook()\n" * 3
    names = {"hook": hook, "seen": seen, "__name__": "application"}
    for made in range(3):
        exec(compile("\n" * made + source, "/application/deep.py", "exec"), names)
        names["deep"](depth)
        if made == 1:
            recorder.publish()
        (lambda: names["deep"](depth))()  # the same call sites again: nothing new is written
        del truth[-3:]
    (journal,) = tmp_path.glob("*.journal")
    assert stacks_in(journal) == truth
    assert [record.frames for record in recorder.records] == truth


def test_after_a_flush_a_stack_is_written_out_anew(tmp_path):
    recorder = make(tmp_path)
    tap = recorder.tap(Target("application:one"), "call")
    shown = []
    for number, caller in enumerate(callers(tap.hook, 5)):
        if number == 3:
            recorder.publish()
        caller(1)
        (journal,) = tmp_path.glob("*.journal")
        shown.append(len(re.findall(r"^\('K'", journal.read_text(), re.MULTILINE)))
    assert shown == [1, 1, 1, 2, 2]


@pytest.mark.parametrize("order", ["forwards", "backwards", "random"])
def test_a_position_is_the_instructions_own_whatever_was_asked_before(order):
    codes = [test_every_stack_on_disk_is_what_a_plain_walk_finds.__code__, make.__code__]
    if not hasattr(codes[0], "co_positions"):
        pytest.skip("code objects have positions from Python 3.11 on")
    asked = [(code, 2 * number) for code in codes for number in range(len(list(code.co_positions())))]
    if order == "backwards":
        asked.reverse()
    elif order == "random":
        random.Random(7).shuffle(asked)
    for code, lasti in asked:
        first, last, left, right = list(code.co_positions())[lasti // 2]
        whole = None if None in (first, last, left, right) else (first, left, last, right)
        assert callsite.position_of(code, lasti) == whole
    assert callsite.position_of(make.__code__, 10**6) is None


@pytest.mark.parametrize("way", ["hook", "creation_hook", "inner_hook", "start_callback", "frame_callback", "behind wrapt"])
def test_a_count_that_cannot_be_stored_is_no_failure_of_the_hosts(monkeypatch, way):
    in_memory(monkeypatch)
    if way == "start_callback" and sys.version_info < (3, 12):
        pytest.skip("there is no sys.monitoring")
    if way == "behind wrapt":
        monkeypatch.setattr(hotpath, "behind_wrapt", {id(None)})
    recorder = make()
    tap = recorder.tap(Target("application:one"), "call")

    def target():
        if way == "frame_callback":
            count(sys._getframe(1))
        else:
            count(*given)

    given = (target.__code__, 0) if way == "start_callback" else ()
    count = {
        "inner_hook": lambda: recorder.hooks.inner_hook(tap),
        "start_callback": lambda: recorder.hooks.start_callback({id(given[0]): tap}, {id(given[0]): tap.counters}),
        "frame_callback": lambda: recorder.hooks.frame_callback(tap),
        "creation_hook": lambda: recorder.hooks.creation_hook(tap),
    }.get(way, lambda: recorder.hooks.hook(tap))()
    (function,) = callers(count if way in ("hook", "creation_hook", "behind wrapt") else target, 1)
    function(2)
    assert recorder.errors.counts() == (("journal-open", 1),)
    recorder.hooks.set_table(None)
    function(3)
    assert recorder.errors.counts() == (("count", 3), ("journal-open", 1))


@pytest.mark.parametrize("where", ["what comes before it", "its journal", "the place where it is remembered"])
def test_a_call_site_whose_first_sight_is_broken_off_is_on_disk_with_its_next_use(tmp_path, monkeypatch, where):
    """It was remembered before it was written: nobody ever heard of it, although all its later uses were counted."""
    in_memory(monkeypatch)
    recorder = make(tmp_path)
    tap = recorder.tap(Target("application:one"), "call")
    first, second = callers(tap.hook, 3)[::2]
    first(1)

    def fail(*_records):
        raise TimeoutError

    class Forgetful(dict):
        __setitem__ = fail

    with monkeypatch.context() as broken:
        if where == "what comes before it":
            broken.setattr(recorder, "before_site", fail)
        elif where == "its journal":
            broken.setattr(recorder, "write", fail)
        else:
            broken.setattr(recorder, "_by_identity", Forgetful())
        with pytest.raises(TimeoutError):  # as of a signal's handler: it goes on to the host
            second(1)
    second(4)
    first(1)
    recorder.retry_unwritten()
    lines = [ast.literal_eval(line) for line in next(tmp_path.glob("*.journal")).read_text().splitlines()]
    counts = {line[6]: recorder.table[HEADER_SLOTS + line[1]] for line in lines if line[0] == "S"}
    assert counts == {"/application/made0.py": 2, "/application/made2.py": 4}
    assert {line[13][-1] for line in lines if line[0] == "S"} <= {line[1] for line in lines if line[0] == "K"}
    recorder.journal.close()


def test_states_whose_writing_is_broken_off_are_written_later(monkeypatch):
    from lastcall import agent as agents

    class Bare:
        _known = {"application:two"}
        _to_write = [Target("application:one"), Target("application:two")]
        started_ns = 1

    bare = Bare()
    waiting = list(bare._to_write)
    changed = agents.Agent._changed_targets

    def interrupted(*_):
        raise TimeoutError

    with monkeypatch.context() as broken:
        broken.setattr(agents, "state_record", interrupted)
        with pytest.raises(TimeoutError):  # as of a signal's handler
            changed(bare)
    assert bare._to_write == waiting
    assert bare._known == {"application:two"}
    assert [record[:2] for record in changed(bare)] == [("T", "application:one"), ("A", "application:one"), ("A", "application:two")]
