"""The spool and the outbox: what is put is on disk before it is sent, and survives whatever happens next."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from how_many import examples
from lastcall.errors import internal_errors
from lastcall.exporters import ExporterSettings, spool
from lastcall.exporters.entries import EntryBuilder, from_rfc3339, rfc3339, rfc3339_ns
from lastcall.exporters.gcp import GcpExporter
from lastcall.exporters.merging import merge
from lastcall.exporters.queueing import Answer, Outbox, Patience, RefusedError, UnavailableError
from lastcall.exporters.spool import MemoryQueue, SpoolFile, adopt, open_own
from loopback.cloud_logging import CloudLogging
from observed_process import ObservedProcess, make_site
from test_exporters import rebuilt

AGENT = str(Path(__file__).parents[1] / "agent")


@pytest.fixture(autouse=True)
def no_errors_left():
    internal_errors.clear()
    yield
    internal_errors.clear()


def use_item(name, first=True, site=None, count=1, process="p"):
    fields = {"event": "use", "process": process, "site": site or name, "first": first, "count": count}
    return {"insertId": name, "timestamp": "t", "payload": {"lastcall": fields}}


def ids(items):
    return [item["insertId"] for item in items]


class Backend:
    """Takes chunks, or raises what it is told to."""

    def __init__(self):
        self.got, self.wrong, self.timeouts, self.poison, self.again = [], None, [], set(), set()

    def __call__(self, items, timeout):
        self.timeouts.append(timeout)
        if self.wrong:
            raise self.wrong
        if self.poison & set(ids(items)):
            raise RefusedError("one of these is bad")
        again = tuple(at for at, name in enumerate(ids(items)) if name in self.again)
        self.got += [name for at, name in enumerate(ids(items)) if at not in again]
        return Answer({}, again)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def backend():
    return Backend()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def outbox(tmp_path, backend, clock):
    made = Outbox("test", backend, folder=str(tmp_path), clock=clock, jitter=lambda: 0.5, patience=Patience())
    yield made
    made.close(0)


def lines_on_disk(folder):
    return [line for path in Path(folder).rglob("*.items") for line in path.read_bytes().splitlines()[1:]]


# -- files ---------------------------------------------------------------------------------------------------


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=st.lists(st.one_of(
    st.tuples(st.just("put"), st.integers(0, 40), st.integers(0, 3000)),
    st.tuples(st.just("take"), st.integers(1, 50), st.integers(1, 20_000)),
    st.tuples(st.just("replace"), st.integers(0, 10), st.just(0)),
    st.tuples(st.just("reopen"), st.just(0), st.just(0)),
), max_size=30))
def test_a_file_and_memory_keep_the_same_items_in_the_same_order(tmp_path_factory, monkeypatch, steps):
    monkeypatch.setattr(spool, "CACHED_ITEMS", 16)  # so that reading back from the file takes part
    path = tmp_path_factory.mktemp("spool") / f"1{spool.SUFFIX}"
    file, memory, made = SpoolFile(path), MemoryQueue(), 0
    for step, number, size in steps:
        if step == "put":
            items = [use_item(f"{made + at}\u20ac" + "x" * size) for at in range(number)]
            made += number
            file.put(items)
            memory.put(items)
        elif step == "take":
            head = file.head(number, size)
            assert ids(head) == ids(memory.head(len(head), 1 << 40))[: len(head)]
            assert bool(head) == bool(len(memory))
            file.delivered(len(head))
            memory.delivered(len(head))
        elif step == "replace":
            kept = memory.everything()[:number]
            file.replace(kept)
            memory.replace(kept)
        else:
            file.close()
            file = SpoolFile(path)
        assert len(file) == len(memory)
        assert ids(file.everything()) == ids(memory.everything())
    file.close()
    assert path.exists() == bool(len(memory))


def test_a_line_torn_by_a_kill_is_ignored_and_the_rest_is_there(tmp_path):
    file = open_own(tmp_path)
    file.put([use_item("a"), use_item("b")])
    file.close()
    with open(file.path, "ab") as raw:
        raw.write(b'{"insertId":"torn')
    again = SpoolFile(file.path)
    assert ids(again.head(9, 9999)) == ["a", "b"]
    again.delivered(2)
    again.close()
    assert not file.path.exists()


def test_a_damaged_line_or_header_costs_only_itself(tmp_path):
    path = tmp_path / f"1{spool.SUFFIX}"
    good = [json.dumps(use_item(name)).encode() for name in "abc"]
    path.write_bytes(b"x" * (spool.HEADER_BYTES - 1) + b"\n" + good[0] + b"\n\xff\xfe garbage\n[1]\n" + good[1] + b"\n" + good[2] + b"\n")
    file = SpoolFile(path)
    assert ids(file.head(9, 9999)) == ["a", "b", "c"]
    file.delivered(3)
    assert len(file) == 0
    file.close()


def test_a_file_of_nothing_but_garbage_is_cleared_away(tmp_path):
    path = tmp_path / f"1{spool.SUFFIX}"
    path.write_bytes(spool.HEADER.format(spool.HEADER_BYTES).encode() + b"garbage\n" * 10)
    file = SpoolFile(path)
    assert file.head(9, 9999) == []
    assert len(file) == 0
    file.close()
    assert not path.exists()


def test_an_item_larger_than_the_read_block_is_read_whole(tmp_path):
    path = tmp_path / f"1{spool.SUFFIX}"
    file = SpoolFile(path)
    file.put([use_item("x" * 300_000), use_item("small")])
    file.close()
    again = SpoolFile(path)
    assert [len(name) for name in ids(again.head(1, 10))] == [300_000]
    again.delivered(1)
    assert ids(again.head(5, 10)) == ["small"]
    again.close()


HOLDER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from lastcall.exporters.spool import open_own
file = open_own(Path(sys.argv[2]))
file.put([{"insertId": "theirs", "payload": {"lastcall": {"event": "use", "process": "q", "site": "s", "first": True}}}])
print("ready", flush=True)
if len(sys.argv) > 3:
    import os
    if os.fork() == 0:          # a worker that outlives its master, with every descriptor inherited
        time.sleep(3)
        os._exit(0)
    os._exit(9)
time.sleep(60)
"""


def hold(folder, *extra):
    child = subprocess.Popen([sys.executable, "-c", HOLDER, AGENT, str(folder), *extra], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "ready\n"
    return child


def test_the_file_of_a_living_process_is_not_touched_that_of_a_killed_one_is_adopted(tmp_path):
    child = hold(tmp_path)
    assert adopt(tmp_path) is None
    child.kill()
    child.wait()
    child.stdout.close()
    file = adopt(tmp_path)
    assert ids(file.head(9, 9999)) == ["theirs"]
    file.close()


def test_a_worker_that_outlives_its_master_does_not_hold_the_masters_file(tmp_path):
    master = hold(tmp_path, "fork")
    assert master.wait() == 9
    master.stdout.close()
    file = adopt(tmp_path)
    assert file is not None
    file.close()


def test_files_of_an_earlier_container_with_the_same_process_id_are_adopted(tmp_path):
    left = tmp_path / f"{os.getpid()}-deadbeef{spool.SUFFIX}"
    left.write_bytes(spool.HEADER.format(spool.HEADER_BYTES).encode() + json.dumps(use_item("old")).encode() + b"\n")
    own = open_own(tmp_path)
    file = adopt(tmp_path)
    assert file.path == left
    file.close()
    own.close()


def test_abandoned_files_are_bounded_together_and_the_loss_is_counted(tmp_path, backend, clock):
    folder = tmp_path / "test"
    folder.mkdir()
    for number in range(20):
        path = folder / f"{number}-a{spool.SUFFIX}"
        path.write_bytes(spool.HEADER.format(spool.HEADER_BYTES).encode() + json.dumps(use_item(f"{number:02}", site="s" * 900)).encode() + b"\n")
        os.utime(path, (number, number))
    outbox = Outbox("test", backend, folder=str(tmp_path), limit=1024, clock=clock)
    outbox.drain(100)
    assert outbox.health().dropped == (("test-folder-full", 20 - len(backend.got)),)
    assert backend.got == [f"{number:02}" for number in range(20 - len(backend.got), 20)]
    assert 5 <= len(backend.got) <= 9
    outbox.close(0)


# -- the outbox ------------------------------------------------------------------------------------------------


def test_items_are_on_disk_before_the_first_attempt(tmp_path, backend):
    seen = []

    def send(items, timeout):
        seen.append(len(lines_on_disk(tmp_path)))
        return backend(items, timeout)

    outbox = Outbox("test", send, folder=str(tmp_path))
    outbox.put([use_item("a"), use_item("b")])
    assert outbox.drain(5)
    assert seen == [2]
    assert lines_on_disk(tmp_path) == []
    outbox.close(0)


def test_a_failing_backend_is_left_alone_for_longer_and_longer(outbox, backend, clock):
    backend.wrong = UnavailableError("down")
    outbox.put([use_item("a")])
    tries = []
    for second in range(400):
        clock.now = float(second)
        before = len(backend.timeouts)
        outbox.drain(5)
        if len(backend.timeouts) > before:
            tries.append(second)
    gaps = [later - earlier for earlier, later in zip(tries, tries[1:], strict=False)]
    assert gaps == sorted(gaps)
    assert gaps[:6] == [1, 2, 4, 8, 16, 32]
    assert max(gaps) == 60
    assert internal_errors.counts() == (("test", 1),)
    backend.wrong = None
    assert outbox.drain(5, anyway=True)
    assert backend.got == ["a"]


def test_one_poisoned_item_is_found_dropped_and_counted_the_others_arrive(outbox, backend):
    backend.poison = {"17"}
    outbox.put([use_item(str(number)) for number in range(100)])
    assert outbox.drain(50)
    assert backend.got == [str(number) for number in range(100) if number != 17]
    assert outbox.health().dropped == (("test-refused", 1),)
    assert "one of these is bad" in outbox.health().problem


def test_items_that_the_backend_takes_later_wait_and_arrive_once(outbox, backend, clock):
    backend.again = {"2"}
    outbox.put([use_item(str(number)) for number in range(4)])
    assert not outbox.drain(5)
    assert backend.got == ["0", "1", "3"]
    backend.again = set()
    clock.now += 5
    assert outbox.drain(5)
    assert backend.got == ["0", "1", "3", "2"]


def test_a_full_disk_moves_the_wait_to_memory_and_back(outbox, backend, monkeypatch, tmp_path):
    backend.wrong = UnavailableError("down")
    outbox.put([use_item("a")])
    with monkeypatch.context() as broken:
        broken.setattr(spool.os, "pwrite", lambda *args: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        outbox.put([use_item("b")])
    outbox.put([use_item("c")])
    assert outbox.health().pending == 3
    assert ("spool-test", 1) in internal_errors.counts()
    backend.wrong = None
    assert outbox.drain(5, anyway=True)
    assert sorted(backend.got) == ["a", "b", "c"]


def test_what_waited_in_memory_is_on_disk_after_close(outbox, backend, monkeypatch, tmp_path):
    backend.wrong = UnavailableError("down")
    with monkeypatch.context() as broken:
        broken.setattr(spool.os, "open", lambda *args: (_ for _ in ()).throw(OSError(30, "Read-only file system")))
        outbox.put([use_item("b")])
    outbox.close(1)
    assert len(lines_on_disk(tmp_path)) == 1


def test_waiting_stays_bounded_first_sights_stay_and_counts_add_up(tmp_path, backend):
    outbox = Outbox("test", backend, folder=str(tmp_path), limit=64 * 1024)
    backend.wrong = UnavailableError("down")
    process = ObservedProcess(start=1_700_000_000.0)
    builder = EntryBuilder(ExporterSettings(spans_per_site=1e9, spans_per_process=1e9))
    largest = 0
    for second in range(300):
        process.now += 1
        for number in range(10):
            process.use(make_site(number), times=7, detailed=True)
        outbox.put(builder.items(process.flush(observe=second % 60 == 59)))
        largest = max(largest, sum(path.stat().st_size for path in tmp_path.rglob("*.items")))
    assert largest < 5 * 64 * 1024
    backend.wrong = None
    arrived = []
    outbox._send = lambda items, timeout: arrived.extend(items) or Answer()
    outbox.drain(50, anyway=True)
    fields = [item["payload"]["lastcall"] for item in arrived]
    uses = [one for one in fields if one["event"] == "use"]
    assert sorted(one["site"] for one in uses if one["first"]) == sorted(process.sites)
    assert sum(one["count"] for one in uses) == process.total()
    assert rebuilt([one for one in fields if one["event"] == "observation"]) == process.truth()
    assert sum(one["uses"] for one in fields if one["event"] == "observation") == process.total()
    assert any("merged" in one for one in uses)
    assert outbox.health().dropped == ()
    outbox.close(0)


def test_an_exit_with_unreachable_backends_costs_one_patience_in_all(tmp_path, clock):
    patience, spent = Patience(0.35), []

    def hang(items, timeout):
        spent.append(timeout)
        clock.now += timeout
        raise UnavailableError("silence")

    outboxes = [Outbox(f"c{number}", hang, folder=str(tmp_path), clock=clock, patience=patience) for number in range(4)]
    for outbox in outboxes:
        outbox.put([use_item("a")])
        outbox.close(2.0)
    assert sum(spent) <= 0.351
    assert len(lines_on_disk(tmp_path)) == 4


def test_a_slow_backend_that_is_alive_gets_its_time_at_exit(tmp_path, clock):
    timeouts = []

    def slow(items, timeout):
        timeouts.append(timeout)
        clock.now += 0.5
        return Answer()

    outbox = Outbox("c", slow, folder=str(tmp_path), clock=clock, patience=Patience(0.35))
    outbox.put([use_item("a")])
    outbox.drain(5)
    outbox.put([use_item("b")])
    outbox.close(2.0)
    assert timeouts[-1] == pytest.approx(1.5)
    assert lines_on_disk(tmp_path) == []


def test_closing_while_another_thread_hangs_in_an_attempt_returns_and_loses_nothing(tmp_path):
    import threading

    entered, release = threading.Event(), threading.Event()

    def hang(items, timeout):
        entered.set()
        release.wait(600)
        raise UnavailableError("too late")

    outbox = Outbox("c", hang, folder=str(tmp_path))
    outbox.put([use_item("a")])
    thread = threading.Thread(target=outbox.drain, args=(5,))
    thread.start()
    assert entered.wait(60)
    outbox.put([use_item("b")])
    outbox.close(0.2)
    assert len(lines_on_disk(tmp_path)) == 2
    release.set()
    thread.join()


CRASHER = """
import os, sys, signal
sys.path.insert(0, sys.argv[1])
from lastcall.exporters.queueing import Answer, Outbox
sent = open(sys.argv[3], "a")
def send(items, timeout):
    for item in items:
        sent.write(item["insertId"] + "\\n")
    sent.flush()
    if len(sys.argv) > 4 and "item-250" in [item["insertId"] for item in items]:
        os.kill(os.getpid(), signal.SIGKILL)
    return Answer()
outbox = Outbox("c", send, folder=sys.argv[2], chunk_items=100)
if len(sys.argv) > 4:
    outbox.put([{"insertId": f"item-{n}", "payload": {"lastcall": {"event": "use", "process": "p", "site": str(n), "first": True}}} for n in range(500)])
outbox.drain(30)
outbox.close(1)
"""


def test_a_kill_between_sending_and_noting_it_resends_one_chunk_and_loses_none(tmp_path):
    log = tmp_path / "sent"
    run = [sys.executable, "-c", textwrap.dedent(CRASHER), AGENT, str(tmp_path / "spool"), str(log)]
    assert subprocess.run([*run, "crash"], check=False).returncode == -9
    subprocess.run(run, check=True)
    sent = log.read_text().split()
    assert set(sent) == {f"item-{number}" for number in range(500)}
    assert len(sent) == 600  # the chunk under way at the kill, twice; its identifiers make one of it


# -- merging ---------------------------------------------------------------------------------------------------


@settings(max_examples=examples(80), deadline=None)
@given(st.lists(st.tuples(st.sampled_from("pq"), st.integers(0, 3), st.booleans(), st.integers(1, 9)), max_size=40))
def test_merging_keeps_first_sights_and_sums_and_merging_twice_changes_nothing(uses):
    items = [use_item(f"{at}", first, f"s{site}", count, process) for at, (process, site, first, count) in enumerate(uses)]
    merged = merge(items)

    def sums(some):
        total = {}
        for item in some:
            fields = item["payload"]["lastcall"]
            key = fields["process"], fields["site"]
            total[key] = total.get(key, 0) + fields["count"]
        return total

    assert sums(merged) == sums(items)
    assert [i for i in items if i["payload"]["lastcall"]["first"]] == [i for i in merged if i["payload"]["lastcall"]["first"]]
    assert merge(merged) == merged
    repeats = [i for i in merged if not i["payload"]["lastcall"]["first"]]
    assert len(repeats) == len({(i["payload"]["lastcall"]["process"], i["payload"]["lastcall"]["site"]) for i in repeats})


def test_a_statement_in_several_parts_is_merged_only_when_complete():
    process = ObservedProcess(targets=None)
    for number in range(2500):
        process.use(make_site(number, depth=0))
    builder = EntryBuilder(ExporterSettings())
    first = [item for item in builder.items(process.flush(observe=True)) if item["payload"]["lastcall"]["event"] == "observation"]
    process.now += 60
    process.use(make_site(0, depth=0), times=5)
    second = [item for item in builder.items(process.flush(observe=True)) if item["payload"]["lastcall"]["event"] == "observation"]
    assert len(first) == len(second) >= 3
    whole = merge([*first, *second])
    assert len(whole) == len(second)
    assert rebuilt([item["payload"]["lastcall"] for item in whole]) == process.truth()
    assert {item["payload"]["lastcall"]["since"] for item in whole} == {first[0]["payload"]["lastcall"]["since"]}
    torn = merge([*first, *second[:-1]])
    assert rebuilt([item["payload"]["lastcall"] for item in torn]).items() >= dict.fromkeys(list(process.sites)[1:], 1).items()


@given(st.floats(1e9, 4e9))
def test_times_come_back_exactly(seconds):
    assert from_rfc3339(rfc3339(seconds)) == seconds


@given(st.integers(0, 2**62))
def test_nanoseconds_keep_every_digit(nanoseconds):
    text = rfc3339_ns(nanoseconds)
    assert int(text.rstrip("Z").rpartition(".")[2]) == nanoseconds % 10**9


# -- the soak --------------------------------------------------------------------------------------------------


def test_ten_minutes_of_outage_at_a_thousand_uses_a_second_lose_nothing(tmp_path):
    """50 sites, a flush a second, statements every ten minutes and on change; the real client, over HTTP."""
    with CloudLogging() as cloud:
        clock = Clock()
        settings_ = ExporterSettings(store=str(tmp_path / "store.db"), gcp_project="demo", gcp_endpoint=cloud.rest_endpoint)
        exporter = GcpExporter(settings_, clock=clock)
        process = ObservedProcess()
        largest, writes = 0, []
        for second in range(780):
            if second == 60:
                cloud.behave("refuse")
            if second == 660:
                cloud.behave("ok")
            clock.now += 1
            process.now += 1
            for number in range(50):
                # Sites appear before, during and after the outage.
                if number * 15 <= second:
                    process.use(make_site(number), times=20, detailed=second % 60 == number)
            exporter.export(process.flush(observe=second % 600 == 0))
            waiting = sum(path.stat().st_size for path in tmp_path.rglob("*.items"))
            largest = max(largest, waiting)
            writes.append(cloud.writes)
        exporter.export(process.flush(final=True))
        exporter.shutdown(10)
        assert exporter.health().pending == 0
        assert exporter.health().dropped == ()
        uses = cloud.payloads("use")
        firsts = sorted(use["site"] for use in uses if use["first"])
        assert firsts == sorted(process.sites)
        assert len(firsts) == 50
        assert rebuilt(cloud.payloads("observation")) == process.truth()
        assert sum(use["count"] for use in uses) == process.total() > 390_000
        assert largest < 4 * 1024 * 1024
        assert cloud.duplicates == 0
        assert internal_errors.counts() == (("gcp", 1),)


# -- knocking --------------------------------------------------------------------------------------------------


def test_a_port_that_refuses_or_only_accepts_is_known_without_a_client(monkeypatch):
    import socket
    import time

    from lastcall.exporters.reach import knock
    from loopback.otlp import Receiver

    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy", "GRPC_PROXY", "grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    with socket.socket() as closed, socket.socket() as hole, Receiver() as alive:
        closed.bind(("127.0.0.1", 0))
        hole.bind(("127.0.0.1", 0))
        hole.listen(8)
        nobody, silent = (f"http://127.0.0.1:{one.getsockname()[1]}" for one in (closed, hole))
        with pytest.raises(UnavailableError, match="cannot reach 127.0.0.1"):
            knock(nobody, 1.0)
        knock(silent, 1.0)  # it accepts, and while there is time that is enough
        began = time.monotonic()
        with pytest.raises(UnavailableError):
            knock(silent, 0.2, answer=True)
        assert time.monotonic() - began < 20  # and not for ever
        for endpoint in (alive.grpc_endpoint, alive.http_endpoint):
            knock(endpoint, 60, answer=True)
        monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
        knock(nobody, 1.0)  # a proxy may reach what we cannot


def test_whatever_a_client_library_raises_is_tried_again(outbox, backend, clock, monkeypatch):
    monkeypatch.delenv("LASTCALL_RERAISE")
    backend.wrong = ZeroDivisionError("odd")
    outbox.put([use_item("a")])
    assert not outbox.drain(5)
    assert outbox.health().problem == "ZeroDivisionError: odd"
    backend.wrong = None
    clock.now += 5
    assert outbox.drain(5)
    assert backend.got == ["a"]
