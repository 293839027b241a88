"""Totals that only grow, losses that add up: whatever is read twice, late, or out of order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lastcall.journal import live_folder
from lastcall.store import Store, absorb, writing
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


def test_a_finding_follows_its_call_site_to_a_spelling_that_comes_later_and_is_one_however_often_it_is_read(store, path):
    process = LiveProcess(path).site(0, expression=None).count(0, 1)
    for _ in range(2):
        process.append("F", "isolation", "pkg.mod:old", ns(NOW), "mixed", 0, 2, ())
        store.absorb_live(own="aa01")  # which leaves spellings to others
    process.append("X", 0, "legacy.old")
    store.absorb_live(own="aa01")
    (row,) = store.findings()
    assert (row.finding.count, row.finding.site.expression) == (2, "legacy.old")
    assert [use.site.expression for use in store.uses()] == ["legacy.old"]


def test_the_last_state_that_is_told_is_the_last_whatever_the_clock_said(store, path):
    process = LiveProcess(path)
    for at, state in ((10, "armed"), (0, "failed"), (1, "armed"), (0.5, "partial")):
        process.state(state=state, at=NOW + at)
        store.absorb_live(own="aa01")
        assert [row.state.state for row in store.states() if row.until is None] == [state]
    assert [row.state.state for row in store.states()] == ["armed", "failed", "armed", "partial"]


def test_of_an_idle_process_it_is_written_now_and_then_that_it_lives(store, path, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(absorb, "monotonic", lambda: clock[0])
    process = LiveProcess(path).site(0).count(0, 5)
    seen = []
    for passed in (0, 10, absorb.QUIET + 1):
        clock[0] = 1000.0 + passed
        process.beat(NOW + passed)
        store.absorb_live(own="aa01")
        seen.append(store.processes()[0].seen - NOW)
    assert seen == pytest.approx([0, 0, absorb.QUIET + 1])


def test_a_process_that_never_said_who_it_is_began_with_the_first_that_is_known_of_it(store, path):
    LiveProcess(path, announced=False).site(0, at=NOW + 5).count(0, 1, NOW + 9).close()
    store.absorb_live()
    (row,) = store.processes()
    assert (row.process.started, row.seen) == (NOW + 5, NOW + 9)
