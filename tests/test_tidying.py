"""Live files of fleets in which no process runs long enough to take over what the others left."""

from __future__ import annotations

import os
import subprocess

import pytest

from lastcall.journal import live_folder
from lastcall.store import Store
from lastcall.tidying import tidy
from live_files import LiveProcess
from worlds import World


def leave(store, number):
    """What that many processes leave: a use each."""
    for n in range(number):
        LiveProcess(store, f"{n:08x}").target().state().site(0).count(0, 1).close()


@pytest.mark.parametrize("exporters", ["store", "gcp"])
def test_an_exit_that_finds_too_many_files_takes_them_over(tmp_path, exporters):
    world = World(tmp_path, {"host.py": "print('short')\n"}, ("pkg.mod:old",))
    store = tmp_path / "store.db"
    leave(store, 520)  # two files each
    environ = world.environment(store, LASTCALL_EXPORTERS=exporters,
                                LASTCALL_GCP_ENDPOINT="http://127.0.0.1:9", GOOGLE_CLOUD_PROJECT="demo", LASTCALL_DEBUG="1")
    counts = []
    for _ in range(12):
        done = subprocess.run(world.command(), cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60)
        assert (done.stdout, done.returncode) == ("short\n", 0)
        assert "[tidy]" not in done.stderr
        counts.append(len(os.listdir(live_folder(str(store)))))
        if counts[-1] <= 1_000:
            break
    assert counts[-1] <= 1_000, counts
    with Store.current(store) as now:
        assert now.totals()["pkg.mod:old"].uses == 520


def test_few_files_are_left_to_those_who_come_by(tmp_path):
    world = World(tmp_path, {"host.py": "import sys; print('sqlite3' in sys.modules)\n"}, ("pkg.mod:old",))
    store = tmp_path / "evidence-1" / "store.db"
    store.parent.mkdir()
    leave(store, 20)
    run = world.run("auto")
    assert run.out == "False\n"
    assert len(os.listdir(live_folder(str(store)))) == 41


def test_it_stops_when_its_time_is_up_and_goes_on_the_next_time(tmp_path):
    store = tmp_path / "store.db"
    leave(store, 30)
    tidy(str(store), seconds=0.0)
    left = len(os.listdir(live_folder(str(store))))
    assert 0 < left < 60
    tidy(str(store), seconds=30.0)
    assert os.listdir(live_folder(str(store))) == []
    with Store.current(store) as now:
        assert now.totals()["pkg.mod:old"].uses == 30
