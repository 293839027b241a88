"""`--source gcp`: from the log entries alone the same evidence as in the local store, and the same verdict."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lastcall.errors import UsageError
from lastcall.exporters import ExporterSettings
from lastcall.exporters.gcp import GcpExporter
from lastcall.exporters.gcp_clients import rest_client
from lastcall.sources.gcp import GcpSource, filter_text, source
from lastcall.store import Store
from loopback.cloud_logging import CloudLogging
from loopback.patience import PLENTY, wait_for_answers
from observed_process import ObservedProcess, make_site, make_target
from worlds import WAITING

ROOT = Path(__file__).parents[1]
HOUR = 3600.0


@pytest.fixture
def cloud(monkeypatch):
    wait_for_answers(monkeypatch)
    with CloudLogging() as service:
        yield service


def reader(cloud, **options):
    return GcpSource("demo", lambda: rest_client("demo", cloud.rest_endpoint), **options)


def exporter_to(cloud, folder, name):
    return GcpExporter(ExporterSettings(gcp_project="demo", gcp_endpoint=cloud.rest_endpoint, store=str(folder / name)))


APP = """
import os, multiprocessing
import shim, waiting
from shim import never as kept

def checkout():
    return shim.old(1)

def failing():
    try:
        shim.boom()
    except KeyError:
        pass

def work(times):
    for _ in range(times):
        checkout()
    os._exit if times < 0 else None

if __name__ == "__main__":
    work(7)
    failing()
    waiting.rounds()
    for _ in range(5):
        shim.Thing()
    workers = [multiprocessing.get_context("fork").Process(target=work, args=(n * 10,)) for n in (1, 2)]
    [w.start() for w in workers]
    [w.join() for w in workers]
    waiting.rounds()
    work(3)
"""

SHIM = """
def old(x):
    return x

def boom():
    raise KeyError("no")

def never():
    pass

class Thing:
    def __init__(self):
        pass
"""


CONFIGURATION = """
[lastcall]
service = "shop"
environment = "staging"
release = "7"
[[target]]
ref = "shim:old"
replacement = "shop:new"
remove_by = "2026-12-31"
owner = "pricing"
allow = [{ caller = "nobody.**", reason = "none" }]
[[target]]
ref = "shim:boom"
[[target]]
ref = "shim:never"
[[target]]
ref = "shim:Thing"
[[target]]
ref = "shim:gone"
[[target]]
ref = "not_imported:thing"
[[target]]
ref = "not_imported.*:old*"
"""


def rounded(rows, precision=3):
    """Rows of a store as text, floats to the millisecond: one side went through nanoseconds, the other did not."""
    import dataclasses

    def plain(value):
        if isinstance(value, float):
            return round(value, precision)
        if dataclasses.is_dataclass(value):
            return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value

    return sorted(repr(plain(row)) for row in rows)


def references(store):
    return sorted((repr(row.reference), row.scope, round(row.first_seen, 3)) for row in store.references())


def uses(store):
    return sorted((row.site.id, row.site.stack, row.scope, row.count, row.errors, row.allowed, row.processes, round(row.first_seen, 3)) for row in store.uses())


def states(store):
    return sorted((row.process, row.state.ref, row.state.state, row.state.reason, row.state.engine) for row in store.states())


def processes(store):
    return sorted((r.process.id, r.process.service, r.process.release, r.process.pid, r.process.root, r.ended_how) for r in store.processes())


def test_the_evidence_of_real_processes_is_that_of_their_store(cloud, tmp_path):
    (tmp_path / "shim.py").write_text(SHIM)
    (tmp_path / "waiting.py").write_text(WAITING)
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "lastcall.toml").write_text(CONFIGURATION)
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'agent'}", "LASTCALL_ENABLED": "1", "LASTCALL_EXPORTERS": "store,gcp",
           "LASTCALL_FLUSH_INTERVAL": "600",  # else either may hear of a state between that the other does not
           "LASTCALL_STORE": str(tmp_path / "store.db"), "GOOGLE_CLOUD_PROJECT": "demo", "LASTCALL_GCP_ENDPOINT": cloud.rest_endpoint}
    subprocess.run([sys.executable, "app.py"], cwd=tmp_path, env=env, check=True, timeout=60)
    deliver(cloud, tmp_path)
    local = Store.current(tmp_path / "store.db")
    fleet = reader(cloud).gather([], 0.0)
    try:
        for what in ("targets", "findings"):
            assert rounded(getattr(fleet, what)()) == rounded(getattr(local, what)()), what

        assert references(fleet) == references(local) != []
        assert rounded(fleet.activity()) == rounded(local.activity())
        assert uses(fleet) == uses(local)
        assert sum(row.count for row in local.uses() if row.site.target == "shim:old") == 7 + 10 + 20 + 3
        assert states(fleet) == states(local)
        assert processes(fleet) == processes(local)
        assert len(local.processes()) == 3
    finally:
        fleet.close()
        local.close()


def deliver(cloud, folder):
    """What a process could not send in its time is sent by the next one; here by us."""
    exporter = exporter_to(cloud, folder, "store.db")
    assert exporter.force_flush(PLENTY)
    exporter.shutdown(1)


def simulated(cloud, folder):
    """Two services, two releases, some days, by the exporter and into Cloud Logging only."""
    start = time.time() - 6 * 24 * HOUR
    worlds = [ObservedProcess(f"{n:016x}", [make_target("m:used"), make_target("m:unused")], start + n * HOUR, f"r{n % 2}") for n in range(4)]
    for world in worlds:
        exporter = exporter_to(cloud, folder, world.process.id)
        for tick in range(144):
            world.now += 600
            if tick % 6 == 0:
                world.use(make_site(tick % 3, target="m:used"), times=tick + 1, detailed=True)
            exporter.export(world.flush(observe=True))
        exporter.export(world.flush(final=True))
        exporter.shutdown(10)
    return worlds


def test_a_fleets_counts_activity_and_observed_time_are_exact(cloud, tmp_path):
    worlds = simulated(cloud, tmp_path)
    told = []
    store = reader(cloud).gather([], 0.0, lambda done, total: told.append(done))
    try:
        assert store.totals()["m:used"].uses == sum(world.total() for world in worlds)
        assert "m:unused" not in store.totals()
        seconds = sum(row.until - row.since for row in store.observed())
        assert seconds == pytest.approx(4 * 24 * HOUR, rel=1e-6)
        assert sum(row.count for row in store.activity()) == sum(world.total() for world in worlds)
        assert len({row.hour for row in store.activity() if row.count}) >= 24
        assert all(row.ended_how == "exit" for row in store.processes())
    finally:
        store.close()
    assert all(number % 1000 == 0 for number in told)
    assert cloud.pages == -(-len(cloud.entries) // 1000)


def test_naming_targets_leaves_out_the_uses_of_others_but_no_statement(cloud, tmp_path):
    world = ObservedProcess(targets=[make_target("m:a"), make_target("m:b")])
    world.use(make_site(0, target="m:a"), times=3)
    world.use(make_site(1, target="m:b"), times=5)
    exporter = exporter_to(cloud, tmp_path, "s")
    exporter.export(world.flush(final=True))
    assert exporter.force_flush(PLENTY)
    exporter.shutdown(5)
    store = reader(cloud).gather(["m:a"], 0.0)
    try:
        assert {ref: total.uses for ref, total in store.totals().items()} == {"m:a": 3, "m:b": 5}
        stacks = {row.site.target: len(row.site.stack) for row in store.uses()}
        assert stacks == {"m:a": 3, "m:b": 0}
    finally:
        store.close()


def test_the_window_is_in_the_filter_so_that_the_library_adds_none_of_its_own(cloud, tmp_path):
    world = ObservedProcess(start=time.time() - 5 * 24 * HOUR)
    world.use(make_site())
    exporter = exporter_to(cloud, tmp_path, "s")
    exporter.export(world.flush(final=True))
    assert exporter.force_flush(PLENTY)
    exporter.shutdown(5)
    for since, found in ((0.0, 1), (time.time() - 24 * HOUR, 0)):
        with reader(cloud).gather([], since) as store:
            assert len(store.totals()) == found
    assert all('timestamp>="' in text and 'logName="projects/demo/logs/lastcall"' in text for text in cloud.filters)


def test_a_hostile_reference_stays_inside_its_quotes():
    text = filter_text("demo", ['m:x" OR logName:"secrets', "a\\"], 0.0)
    assert 'labels.target=("m:x\\" OR logName:\\"secrets" OR "a\\\\")' in text


def test_so_many_targets_that_they_do_not_fit_are_not_named():
    assert len(filter_text("demo", [f"pkg.module_{n}:function" for n in range(2000)], 0.0)) < 200


def test_a_silent_process_is_gone_and_one_that_speaks_is_not(cloud, tmp_path):
    now = time.time()
    for name, ago in (("silent", 3 * HOUR), ("speaking", 60.0)):
        world = ObservedProcess(name, start=now - ago - 10)
        world.now = now - ago
        exporter = exporter_to(cloud, tmp_path, name)
        exporter.export(world.flush(observe=True))
        assert exporter.force_flush(PLENTY)
        exporter.shutdown(5)
    store = reader(cloud).gather([], 0.0)
    try:
        finished = dict(store._database.connection.execute("SELECT name, finished FROM process").fetchall())
        assert finished == {"silent": 1, "speaking": 0}
    finally:
        store.close()


def test_uses_of_a_process_killed_before_its_first_statement_are_kept(cloud, tmp_path):
    world = ObservedProcess()
    world.use(make_site(), times=2)
    exporter = exporter_to(cloud, tmp_path, "s")
    exporter.export(world.flush())
    assert exporter.force_flush(PLENTY)
    exporter.shutdown(5)
    store = reader(cloud).gather([], 0.0)
    try:
        assert store.totals()["shop.legacy:old_total"].uses == 2
        assert [row.process.service for row in store.processes()] == ["shop"]
    finally:
        store.close()


def test_too_many_entries_are_a_sentence_not_a_full_memory(cloud, tmp_path):
    world = ObservedProcess()
    for number in range(30):
        world.use(make_site(number))
    exporter = exporter_to(cloud, tmp_path, "s")
    exporter.export(world.flush(final=True))
    assert exporter.force_flush(PLENTY)
    exporter.shutdown(5)
    with pytest.raises(UsageError, match="More than 10 entries.*shorten the window"):
        reader(cloud, max_entries=10).gather([], 0.0)


@pytest.mark.parametrize(("behaviour", "said"), [
    ("deny", "No permission to read .*roles/logging.viewer"),
    ("missing", "There is no project demo"),
    ("quota", "Cannot read Cloud Logging of project demo"),
])
def test_what_cannot_be_read_is_one_sentence(cloud, behaviour, said):
    cloud.behave(behaviour)
    with pytest.raises(UsageError, match=said) as caught:
        reader(cloud).gather([], 0.0)
    assert "\n" not in str(caught.value)


def test_entries_of_a_newer_schema_are_refused(cloud, tmp_path):
    exporter = exporter_to(cloud, tmp_path, "s")
    exporter.export(ObservedProcess().flush(final=True))
    assert exporter.force_flush(PLENTY)
    exporter.shutdown(5)
    cloud.entries[0].json_payload["lastcall"]["schema"] = 99
    with pytest.raises(UsageError, match="schema 99"):
        reader(cloud).gather([], 0.0)


def test_without_a_project_the_sentence_says_how_to_name_one():
    class Config:
        gcp_project = gcp_endpoint = ""

    with pytest.raises(UsageError, match="--project"):
        source(Config())


def test_closing_leaves_no_file_behind(cloud, tmp_path, monkeypatch):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    store = reader(cloud).gather([], 0.0)
    assert list(tmp_path.iterdir())
    store.close()
    assert list(tmp_path.iterdir()) == []
