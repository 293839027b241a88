"""Sets of target states: a store of the version before has none, and every reader agrees with the rows."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from lastcall.dossier import Question
from lastcall.sources.dossiers import dossiers
from lastcall.store import Store, state_sets
from lastcall.store.schema import SCHEMA_VERSION
from live_files import NOW, LiveProcess, everything

OLD = (Path(__file__).parent / "stores" / "schema_1.sql").read_text()


@pytest.fixture
def old(tmp_path):
    """A store of schema 1."""
    path = tmp_path / "old.db"
    connection = sqlite3.connect(path)
    connection.executescript(OLD)
    connection.close()
    return path


def version(path):
    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()[0]
    finally:
        connection.close()


def sets(store):
    """Of each process, by name: its states from the rows, and from its noted set."""
    connection = store._database.connection
    noted = connection.execute(
        "SELECT p.name, x.target, x.outcome, x.last FROM process p JOIN process_states y ON y.process = p.id"
        " JOIN state_set x ON x.id = y.state_set ORDER BY 1, 2, 3, 4"
    ).fetchall()
    rows = connection.execute(
        "SELECT DISTINCT p.name, x.target, x.outcome, x.until IS NULL FROM process p"
        " JOIN target_state x ON x.process = p.id ORDER BY 1, 2, 3, 4"
    ).fetchall()
    return noted, rows


def numbers(store):
    connection = store._database.connection
    return [
        connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - names of this test
        for table in ("process_states", "state_set_digest")
    ]


def watches(store):
    found = dossiers(store, store.targets(), Question(), NOW + 20_000)
    return {d.target.ref: sorted(d.watches, key=repr) for d in found}


def test_a_store_of_the_version_before_is_brought_up_to_date_by_whoever_opens_it(old):
    with Store.current(old) as store:
        assert {row.state.state for row in store.states()} == {"armed", "pending", "partial", "missing"}
        assert store.totals()["pkg.mod:old"].uses == 7
        noted, rows = sets(store)
        assert noted == rows
        assert numbers(store) == [3, 2]
    assert version(old) == str(SCHEMA_VERSION)


def test_a_host_that_opens_an_old_store_leaves_the_long_work_to_readers(old):
    LiveProcess(old, "cc03").beat(NOW)
    with Store.open(old) as store:
        store.absorb_live(own="cc03")
        assert version(old) == str(SCHEMA_VERSION)
        assert numbers(store) == [0, 0]


def test_an_old_store_that_may_not_be_written_says_the_same_and_stays_as_it_is(old, tmp_path):
    shutil.copy(old, tmp_path / "other.db")
    before = old.read_bytes()
    with Store.open(old, read_only=True) as read, Store.current(tmp_path / "other.db") as written:
        assert everything(read) == everything(written)
        assert watches(read) == watches(written)
    assert old.read_bytes() == before


def test_an_old_store_can_be_merged(old, tmp_path):
    with Store.open(tmp_path / "all.db") as target:
        for _ in range(2):
            with Store.open(old, read_only=True) as source:
                target.merge_from(source)
        with Store.current(old) as source:
            assert everything(target) == everything(source)
        noted, rows = sets(target)
        assert noted == rows
        assert numbers(target) == [3, 2]


def test_a_state_that_comes_later_makes_another_set_and_the_old_one_goes(tmp_path):
    path = tmp_path / "store.db"
    process = LiveProcess(path, "aa01").target().state(state="pending").beat(NOW + 60)
    with Store.current(path) as store:
        assert numbers(store) == [1, 1]
        process.state(state="armed", at=NOW + 61).beat(NOW + 120)
        store.absorb_live()
        noted, rows = sets(store)
        assert noted == rows
        assert {last for *_, last in noted} == {0, 1}
        assert numbers(store) == [1, 1]
    process.close()


def test_whoever_changes_the_rows_need_not_know_of_the_sets(old):
    with Store.current(old) as store:
        store._database.connection.execute("UPDATE target_state SET until = since + 1 WHERE process = 1")
        assert numbers(store)[0] == 2
        assert (
            store._database.connection.execute("SELECT 1 FROM process_states WHERE process = 1").fetchone()
            is None
        )
        # A reader that may not write works it out for itself.
        groups = state_sets.alike(store._database.connection).values()
        assert sorted(process for group in groups for process in group) == [1, 2, 3]
        store.absorb_live()
        noted, rows = sets(store)
        assert noted == rows


def test_the_sets_of_two_stores_have_one_name_whatever_their_numbers(tmp_path):
    names = []
    for turn, refs in enumerate((("pkg.mod:a", "pkg.mod:b"), ("pkg.mod:b", "pkg.mod:a"))):
        path = tmp_path / f"{turn}.db"
        process = LiveProcess(path, f"aa0{turn}")
        for ref in refs:
            process.target(ref).state(ref, state="armed" if ref == "pkg.mod:a" else "pending")
        process.close()
        with Store.current(path) as store:
            names += store._database.connection.execute("SELECT digest FROM state_set_digest").fetchall()
    assert len(names) == 2
    assert names[0] == names[1]
