"""What `--source gcp` has read is kept: the next question reads the news only, and gets the same answer."""

import os
import threading
import time
from pathlib import Path

import pytest

import command_line
from lastcall.checking import Request, check
from lastcall.config import load
from lastcall.errors import UsageError
from lastcall.exporters import ExporterSettings
from lastcall.exporters.gcp import GcpExporter
from lastcall.exporters.gcp_clients import rest_client
from lastcall.sources.gcp import OVERLAP, GcpSource
from lastcall.sources.gcp_cache import CachedEntry, Covered, EntryCache
from loopback.cloud_logging import CloudLogging
from observed_process import ObservedProcess, make_site, make_target

DAY = 86400.0


class Log(CloudLogging):
    """The loopback service, with a count of the entries it was asked to list, and a clock that can be turned."""

    def __init__(self):
        super().__init__()
        self.listed = 0

    def list(self, *args):
        page, token = super().list(*args)
        self.listed += len(page)
        return page, token

    def age(self, seconds=DAY):
        """Make everything that was received so far have been received that much earlier."""
        for entry in self.entries:
            entry.receive_timestamp.FromNanoseconds(entry.receive_timestamp.ToNanoseconds() - int(seconds * 1e9))

    def asked(self):
        """How many entries were listed since the last call."""
        listed, self.listed = self.listed, 0
        return listed


@pytest.fixture
def log():
    with Log() as service:
        yield service


@pytest.fixture
def file(tmp_path):
    return tmp_path / "cache" / "entries.db"


def reader(log, cache, project="demo", **options):
    return GcpSource(project, lambda: rest_client(project, log.rest_endpoint), endpoint=log.rest_endpoint, cache=cache, **options)


def live(log, folder, name, days_ago):
    """A process that lived so long ago: six statements in an hour, uses in between."""
    world = ObservedProcess(name, [make_target("m:used"), make_target("m:unused")], time.time() - days_ago * DAY)
    exporter = GcpExporter(ExporterSettings(gcp_project="demo", gcp_endpoint=log.rest_endpoint, store=str(folder / name)))
    for tick in range(6):
        world.now += 600
        world.use(make_site(tick % 3, target="m:used"), times=3, detailed=True)
        exporter.export(world.flush(observe=True, final=tick == 5))
    exporter.shutdown(10)
    assert not exporter.health().pending


def evidence(source, since=0.0):
    store = source.gather([], since)
    try:
        return (
            {ref: total.uses for ref, total in store.totals().items()},
            sorted((row.site.id, row.site.stack, row.scope, row.count, row.first_seen, row.last_seen) for row in store.uses()),
            sorted((row.process.id, row.process.started, row.ended_how) for row in store.processes()),
            sorted(map(repr, store.observed())),
            sorted(map(repr, store.activity())),
        )
    finally:
        store.close()


def test_a_second_question_asks_for_the_news_only_and_the_answer_is_that_of_a_reader_without_a_cache(log, file, tmp_path):
    live(log, tmp_path, "first", days_ago=5)
    log.age()
    assert evidence(reader(log, file)) == evidence(reader(log, None))
    before = len(log.entries)
    assert log.asked() == 2 * before
    live(log, tmp_path, "second", days_ago=1)
    cached = evidence(reader(log, file))
    overlapping = sum(entry.receive_timestamp.seconds >= log.entries[before - 1].receive_timestamp.seconds - OVERLAP for entry in log.entries[:before])
    assert log.asked() <= len(log.entries) - before + overlapping
    assert 'receiveTimestamp>="' in log.filters[-1]
    assert cached == evidence(reader(log, None))
    assert cached[0] == {"m:used": 2 * 6 * 3}
    log.asked()
    log.age()
    assert evidence(reader(log, file)) == cached  # nothing new: only what lies within the overlap
    assert log.asked() <= len(log.entries) - before + overlapping


def test_the_verdict_is_the_same_with_and_without(log, file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    live(log, tmp_path, "first", days_ago=40)
    log.age()
    request = Request(now=time.time())
    check(request, reader(log, file), load())
    live(log, tmp_path, "second", days_ago=2)
    cached, whole = (check(request, reader(log, path), load()) for path in (file, None))
    assert cached == whole
    assert {verdict.target.ref: verdict.word for verdict in cached}["m:used"] == "in-use"


def test_what_a_process_delivers_days_late_is_seen_though_its_time_was_read_before(log, file, tmp_path):
    live(log, tmp_path, "prompt", days_ago=1)
    log.age()
    evidence(reader(log, file))
    live(log, tmp_path, "late", days_ago=20)  # received only now
    assert evidence(reader(log, file)) == evidence(reader(log, None))
    assert evidence(reader(log, file))[0] == {"m:used": 36}


def test_a_longer_window_reads_what_lies_before_the_one_that_was_read(log, file, tmp_path):
    live(log, tmp_path, "old", days_ago=30)
    live(log, tmp_path, "new", days_ago=2)
    log.age(40 * DAY)
    week = time.time() - 7 * DAY
    assert evidence(reader(log, file), week)[0] == {"m:used": 18}
    log.asked()
    assert evidence(reader(log, file))[0] == {"m:used": 36}
    assert log.asked() <= len(log.entries)
    assert evidence(reader(log, file), week)[0] == {"m:used": 18}  # and the shorter one is still the shorter one
    assert evidence(reader(log, file)) == evidence(reader(log, None))


def test_another_project_or_other_targets_are_another_question(log, file, tmp_path):
    live(log, tmp_path, "only", days_ago=1)
    assert evidence(reader(log, file))[0] == {"m:used": 18}
    assert evidence(reader(log, file, project="other"))[0] == {}
    reader(log, file).gather(["m:unused"], 0.0).close()
    assert evidence(reader(log, file))[0] == {"m:used": 18}


def test_who_may_not_read_the_log_does_not_get_what_was_kept_of_it(log, file, tmp_path):
    live(log, tmp_path, "only", days_ago=1)
    evidence(reader(log, file))
    log.behave("deny")
    with pytest.raises(UsageError, match="No permission"):
        reader(log, file).gather([], 0.0)
    assert file.stat().st_mode & 0o077 == 0


def test_a_damaged_or_impossible_cache_costs_only_time(log, file, tmp_path):
    live(log, tmp_path, "only", days_ago=1)
    whole = evidence(reader(log, None))
    file.parent.mkdir()
    file.write_bytes(b"not a database, " * 500)
    assert evidence(reader(log, file)) == whole
    assert evidence(reader(log, file)) == whole
    nowhere = tmp_path / "first"
    nowhere.write_text("a file where a folder should be")
    assert evidence(reader(log, nowhere / "entries.db")) == whole


def test_an_interrupted_reading_claims_nothing(log, file, tmp_path):
    live(log, tmp_path, "only", days_ago=1)
    with pytest.raises(UsageError, match="More than 3 entries"):
        reader(log, file, max_entries=3).gather([], 0.0)
    assert evidence(reader(log, file)) == evidence(reader(log, None))


def test_many_readers_at_once_all_get_the_whole(log, file, tmp_path):
    live(log, tmp_path, "first", days_ago=5)
    live(log, tmp_path, "second", days_ago=1)
    whole, found = evidence(reader(log, None)), []

    def ask(since):
        evidence(reader(log, file), since)
        found.append(evidence(reader(log, file)))

    threads = [threading.Thread(target=ask, args=(time.time() - days * DAY,)) for days in (1, 3, 9, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [whole] * 4


def some(number, start=0):
    return [CachedEntry(n * 1_000_000, f"id{n}", float(n), {"n": n, "text": f"{n}" * 200}) for n in range(start, start + number)]


def test_two_extensions_of_one_base_do_not_add_up(file):
    """The first read about a longer time, the second up to a later instant: together they know neither."""
    first, second = EntryCache(file, "q"), EntryCache(file, "q")
    first.cover(first.covered(), 100.0, 1000.0)
    known = first.covered()
    assert known == Covered(100.0, 1000.0) == second.covered()
    first.cover(known, 50.0, 1500.0)
    second.cover(known, 100.0, 2000.0)
    assert first.covered() == Covered(50.0, 1500.0)
    first.close()
    second.close()


def test_entries_come_back_once_and_in_order(file):
    cache = EntryCache(file, "q")
    assert cache.add(some(2500)[::-1]) == 2499.0
    cache.add(some(10))
    assert [fields["n"] for fields in cache.entries(100.0)] == list(range(100, 2500))
    cache.close()


def test_the_file_stays_under_its_limit_and_forgets_what_was_asked_longest_ago(file, monkeypatch):
    for name in ("oldest", "older"):
        cache = EntryCache(file, name)
        cache.add(some(2000))
        cache.cover(None, 0.0, 2000.0)
        cache.close()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 2 * 3600)
    limit = 60_000
    cache = EntryCache(file, "newest", limit=limit)
    cache.add(some(2000))
    cache.cover(None, 0.0, 2000.0)
    assert cache._size() > limit
    cache.bound(1500.0)
    assert cache._size() <= limit
    assert cache.covered() == Covered(1500.0, 2000.0)
    assert [fields["n"] for fields in cache.entries(0.0)] == list(range(1500, 2000))
    cache.close()
    forgotten = EntryCache(file, "older")
    assert forgotten.covered() is None
    forgotten.close()


def test_a_question_forgotten_under_way_is_an_error_and_not_an_empty_answer(file, log, tmp_path, monkeypatch):
    live(log, tmp_path, "only", days_ago=1)
    original = EntryCache.cover

    def forgotten(self, *args):
        original(self, *args)
        with self._database:
            self._database.execute("DELETE FROM question")

    monkeypatch.setattr(EntryCache, "cover", forgotten)
    assert evidence(reader(log, file))[0] == {"m:used": 18}  # read anew


def test_the_command_keeps_what_it_read_and_no_cache_reads_all(log, tmp_path):
    live(log, tmp_path, "only", days_ago=1)
    log.age()
    (tmp_path / "lastcall.toml").write_text('[[target]]\nref = "m:used"\n')
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "home"), "LASTCALL_GCP_ENDPOINT": log.rest_endpoint,
           "GOOGLE_CLOUD_PROJECT": "demo", "PYTHONPATH": str(Path(__file__).parents[1] / "agent")}
    def said(*more):
        done = command_line.lastcall("check", "--source", "gcp", *more, cwd=tmp_path, env=env)
        assert (done.returncode, done.stderr) == (1, "")
        return done.stdout

    assert "m:used" in said("--no-cache")
    assert not (tmp_path / "home").exists()
    first = said()
    assert (tmp_path / "home" / "lastcall" / "gcp-entries-1.db").exists()
    for entry in log.entries:  # all but the newest: had the cache not kept them, nothing would be left of them
        entry.receive_timestamp.FromSeconds(entry.receive_timestamp.seconds - int(2 * OVERLAP))
    assert "receiveTimestamp" not in log.filters[-1]
    assert "1 in use" in first
    log.asked()
    assert "1 in use" in said()
    assert "receiveTimestamp" in log.filters[-1]
    assert log.asked() == 0
    assert "1 in use" in said("--no-cache")
    assert log.asked() == len(log.entries)
