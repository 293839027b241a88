"""Totals that only grow, losses that add up: whatever is read twice, late, or out of order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lastcall.journal import live_folder
from lastcall.store import Store, writing
from live_files import NOW, LiveProcess, counts, ns


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.db"


@pytest.fixture
def store(path):
    with Store.open(path) as opened:
        yield opened


def test_what_a_process_counts_of_itself_only_grows_and_stands_under_its_own_name(store, path):
    """A record says how many so far; one that was kept for a while may come after a later one."""
    process = LiveProcess(path).site(0).count(0, 9)
    for number, dropped, errors, raised in ((1, 3, 1, 2), (2, 5, 4, 6), (3, 4, 2, 3)):
        process.append("O", ns(NOW + number), (("call-site-limit", dropped),), (("count", errors),))
        process.append("Z", 0, raised)
        store.absorb_live()
    (row,) = store.processes()
    assert (row.dropped, row.internal_errors) == ((("call-site-limit", 5),), (("count", 4),))
    assert [(use.count, use.errors) for use in store.uses()] == [(9, 6)]


def test_a_count_that_another_thread_stored_late_takes_nothing_back(store, path):
    process = LiveProcess(path).site(0)
    for number, count in enumerate((9, 7, 8, 10)):
        process.count(0, count, NOW + number)
        store.absorb_live()
        assert list(counts(store).values()) == [max(9, count)]
    assert sum(row.count for row in store.activity()) == 10


def test_failures_of_a_site_that_is_reached_through_two_slots_are_summed(store, path):
    process = LiveProcess(path)
    for slot in range(3):
        process.site(slot, file="/srv/app/one.py").count(slot, 4)
    process.append("Z", 0, 1)
    process.append("Z", 2, 2)
    store.absorb_live()
    assert [(use.count, use.errors) for use in store.uses()] == [(12, 3)]


@pytest.mark.parametrize(("uses", "last"), [(1, NOW), (2, NOW + 50)])
def test_the_last_use_was_the_first_one_as_long_as_there_was_one(store, path, uses, last):
    LiveProcess(path).site(0, at=NOW).count(0, uses, NOW + 50)
    store.absorb_live()
    assert [(use.first_seen, use.last_seen) for use in store.uses()] == [(NOW, last)]


def test_losses_of_one_process_add_up_over_readings(store, path):
    process = LiveProcess(path).site(0).count(0, 1)
    for _ in range(2):
        os.write(process.journal.fd, b"garbage\n")
        store.absorb_live()
    (row,) = store.processes()
    assert dict(row.reading_faults) == {"garbage-line": 2}


def test_a_journal_that_cannot_be_read_is_counted_and_the_others_are_read(store, path):
    LiveProcess(path).site(0).count(0, 5).close()
    Path(live_folder(str(path)), "zz09.journal").symlink_to("zz09.journal")
    done = store.absorb_live()
    assert (done.files, done.faults) == (1, {"unreadable": 1})
    assert list(counts(store).values()) == [5]


def test_of_a_process_that_is_finished_nothing_is_taken_again(store, path):
    """Two readers may have met its files; who comes second has read them for nothing."""
    process = LiveProcess(path).site(0).count(0, 5)
    end = process.files[0].stat().st_size
    process.close()
    store.absorb_live()
    again = writing.Reading("aa01", end, end, (), [7], NOW, {"torn-line": 1}, finished=True)
    with store._database.transaction() as connection:
        assert not writing.apply(connection, again)
    assert list(counts(store).values()) == [5]
    assert store.processes()[0].reading_faults == ()
