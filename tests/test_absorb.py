"""Taking over live files: nothing lost, nothing twice, whatever state they are in."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from how_many import examples
from lastcall.errors import StoreError
from lastcall.evidence import Frame
from lastcall.journal import FLAG_ALLOWED, FLAG_BY_TEST, FLAG_SCANNER, HEADER_SLOTS, live_folder
from lastcall.store import Store
from lastcall.store.absorb import Absorber
from lastcall.store.database import CONNECTION, Database
from lastcall.store.records import EndRecord, SiteRecord, parse
from live_files import NOW, LiveProcess, age, counts, everything, ns

AGENT = str(Path(__file__).resolve().parent.parent / "agent")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.db"


@pytest.fixture
def store(path):
    with Store.open(path) as opened:
        yield opened


def test_own_files_are_read_again_and_again_and_counted_once(store, path):
    process = LiveProcess(path).site(0).count(0, 5)
    store.absorb_live(own="aa01")
    store.absorb_live(own="aa01")
    process.count(0, 9, NOW + 2).site(1).count(1, 1, NOW + 2)
    store.absorb_live(own="aa01")
    assert sorted(counts(store).values()) == [1, 9]
    assert sum(row.count for row in store.activity()) == 10
    assert all(file.exists() for file in process.files)


def test_a_dead_process_is_taken_over_and_its_files_deleted(store, path):
    process = LiveProcess(path).site(0).count(0, 5)
    process.close()
    done = store.absorb_live()
    assert (done.files, done.gone) == (1, 1)
    assert list(counts(store).values()) == [5]
    assert not any(file.exists() for file in process.files)


def test_another_living_process_is_read_by_a_reader_and_left_alone(store, path):
    process = LiveProcess(path).site(0).count(0, 5)
    store.absorb_live()
    assert list(counts(store).values()) == [5]
    assert all(file.exists() for file in process.files)
    process.count(0, 8)
    process.close()
    store.absorb_live()
    assert list(counts(store).values()) == [8]
    assert sum(row.count for row in store.activity()) == 8


def test_a_host_leaves_other_living_processes_to_themselves(store, path):
    LiveProcess(path, "aa01").site(0).count(0, 5)
    LiveProcess(path, "bb02").site(0).count(0, 7)
    store.absorb_live(own="aa01")
    assert sum(counts(store).values()) == 5


def test_a_host_takes_over_what_a_dead_sibling_left(store, path):
    LiveProcess(path, "aa01").site(0).count(0, 5)
    sibling = LiveProcess(path, "bb02").site(0, file="/srv/app/other.py").count(0, 7)
    sibling.close()
    store.absorb_live(own="aa01")
    assert sum(counts(store).values()) == 12
    assert not sibling.files[0].exists()


def test_at_its_own_clean_end_a_process_leaves_no_files(store, path):
    process = LiveProcess(path).site(0).count(0, 5)
    store.absorb_live(own="aa01")
    process.append("E", ns(NOW + 3), "exit")
    process.close()
    store.absorb_live(own="aa01")
    assert not any(file.exists() for file in process.files)
    (row,) = store.processes()
    assert (row.ended, row.ended_how) == (NOW + 3, "exit")


def test_nothing_is_written_for_an_idle_process(store, path):
    LiveProcess(path).site(0).count(0, 5)
    store.absorb_live(own="aa01")
    before = store._database.connection.total_changes
    store.absorb_live(own="aa01")
    assert store._database.connection.total_changes == before


def test_the_database_is_not_even_opened_for_an_idle_process(path):
    LiveProcess(path).site(0).count(0, 5)
    database = Database(str(path))
    absorber = Absorber(database)
    for _ in range(2):
        absorber.absorb("aa01")
        database.close()  # as a host process does each time
    absorber.absorb("aa01")
    assert database._connection is None
    path.unlink()
    absorber.absorb("aa01")
    with Store.open(path) as store:
        assert sum(row.count for row in store.uses()) == 5, "written anew where the file is gone"
    database.close()


def test_an_empty_young_journal_is_left_to_the_process_that_is_about_to_lock_it(store, path):
    folder = Path(live_folder(str(path)))
    folder.mkdir()
    newborn = folder / "cc03.journal"
    newborn.touch()
    store.absorb_live()
    assert newborn.exists()
    age(newborn, 120)
    store.absorb_live()
    assert not newborn.exists()


def test_counters_without_a_journal_are_removed_when_nobody_can_be_making_them(store, path):
    folder = Path(live_folder(str(path)))
    folder.mkdir()
    (folder / "dd04.counts").write_bytes(b"\0" * 64)
    store.absorb_live()
    assert (folder / "dd04.counts").exists()
    age(folder / "dd04.counts", 120)
    store.absorb_live()
    assert not (folder / "dd04.counts").exists()


# -- damage ------------------------------------------------------------------------------------------------


def test_a_torn_last_line_is_counted_and_costs_nothing_else(store, path):
    process = LiveProcess(path).site(0).count(0, 5)
    os.write(process.journal.fd, b"('S', 1, 'pkg.mod:ol")
    process.close()
    done = store.absorb_live()
    assert done.faults == {"torn-line": 1}
    assert list(counts(store).values()) == [5]
    assert store.processes()[0].reading_faults == (("torn-line", 1),)


def test_a_living_process_is_waited_for_to_finish_its_line(store, path):
    process = LiveProcess(path)
    line = ascii(("S", 0, "pkg.mod:old", "call", ns(NOW), 0, "/a.py", 1, "f", "m", "direct", "", "", ())) + "\n"
    os.write(process.journal.fd, line[:20].encode())
    assert store.absorb_live().faults == {}
    os.write(process.journal.fd, line[20:].encode())
    store.absorb_live()
    assert counts(store) == {("pkg.mod:old", "/a.py", 1): 1}


@pytest.mark.parametrize(
    "garbage",
    [b"\0\0\0\0", b"\xff\xfe", b"()", b"('S',)", b"('S', -1)", b"('Q', 1)", b"(" * 5000, b"('X', 1e400, 'a')",
     b"('P', 1, 2)", b"__import__('os')", b"('X', 99999999999999999999999999, 'x')", b"'" * 9,
     b"('A', 'pkg.mod:old', 'arled', '', 'wrapping', 1)"],
)  # fmt: skip
def test_a_garbage_line_is_counted_and_costs_nothing_else(store, path, garbage):
    process = LiveProcess(path).site(0)
    os.write(process.journal.fd, garbage + b"\n")
    process.site(1).count(0, 2).count(1, 3)
    process.close()
    assert store.absorb_live().faults == {"garbage-line": 1}
    assert sorted(counts(store).values()) == [2, 3]


OUTER = (("/srv/app/outer.py", 7, "outer"), ("/srv/app/main.py", 1, "<module>"))


@pytest.mark.parametrize("readers_between", [0, 1, 2])
def test_frames_in_common_are_found_wherever_the_last_reader_stopped(store, path, readers_between):
    process = LiveProcess(path)
    process.append("K", 7, OUTER)
    if readers_between:
        store.absorb_live()
    process.site(0, frames=(("/srv/app/pkg/caller_0.py", 1, "f"), 7))
    if readers_between == 2:
        store.absorb_live()
    process.append("K", 8, OUTER[1:])
    process.site(1, frames=(("/srv/app/pkg/caller_1.py", 1, "f"), 7)).site(2, frames=(8,)).site(3, frames=())
    process.close()
    assert store.absorb_live().faults == {}
    stacks = [[(frame.file, frame.line, frame.function) for frame in use.site.stack] for use in store.uses()]
    outer = [("outer.py", 7, "outer"), ("main.py", 1, "<module>")]
    assert sorted(stacks) == sorted(
        [[("pkg/caller_0.py", 1, "f"), *outer], [("pkg/caller_1.py", 1, "f"), *outer], outer[1:], []]
    )


@pytest.mark.parametrize("places", [True, False], ids=["told", "to be looked up"])
def test_what_a_killed_process_left_unspelled_is_spelled_in_a_time_that_grows_with_it(tmp_path, places):
    """Ten thousand sites took minutes when each was looked for among all others."""
    source = tmp_path / "caller.py"
    source.write_text("old()\n" * 4000)
    spent = []
    for number, sites in enumerate((500, 4000)):
        path = tmp_path / f"{number}.db"
        process = LiveProcess(path, root=str(tmp_path), slots=4000)
        for slot in range(sites):
            expression = f"@{slot + 1},0,{slot + 1},5" if places else None
            process.site(slot, file=str(source), line=slot + 1, expression=expression)
        process.close()
        with Store.open(path) as store:
            began = time.process_time()
            store.absorb_live()
            spent.append(time.process_time() - began)
            assert {(use.site.expression, use.count) for use in store.uses()} == {("old", 1)}
            assert len(store.uses()) == sites
    assert spent[1] < 4 * spent[0] * (4000 / 500)


def test_a_site_whose_frames_in_common_are_lost_is_kept_and_the_loss_named(store, path):
    process = LiveProcess(path).site(0, frames=(("/srv/app/pkg/caller_0.py", 1, "f"), 9)).count(0, 4)
    process.close()
    assert store.absorb_live().faults == {"missing-frames": 1}
    (use,) = store.uses()
    assert (use.count, [frame.function for frame in use.site.stack]) == (4, ["f"])


def test_without_its_counters_each_site_was_used_once(store, path):
    process = LiveProcess(path).site(0).site(1).count(0, 700)
    process.files[1].unlink()
    process.close()
    assert store.absorb_live().faults == {"missing-counts": 1}
    assert sorted(counts(store).values()) == [1, 1]


def test_counters_that_end_before_a_slot_count_it_once(store, path):
    process = LiveProcess(path, slots=4).site(0).site(60).count(0, 700)
    process.close()
    assert store.absorb_live().faults == {"short-counts": 1}
    assert sorted(counts(store).values()) == [1, 700]


def test_counters_that_are_something_else_are_not_believed(store, path):
    process = LiveProcess(path).site(0).count(0, 5)
    process.files[1].write_bytes(os.urandom(4096))
    process.close()
    assert store.absorb_live().faults == {"missing-counts": 1}
    assert list(counts(store).values()) == [1]


def test_uses_of_a_process_that_never_said_who_it_is_are_kept(store, path):
    process = LiveProcess(path, announced=False).site(0).count(0, 5)
    process.close()
    store.absorb_live()
    (row,) = store.uses()
    assert (row.count, row.scope.service) == (5, "")


def test_names_that_are_not_text_survive(store, path):
    process = LiveProcess(path).site(0, file="/srv/app/b\udcffd 'q\" \\ \n.py", function="\U0001f600").count(0, 1)
    process.close()
    store.absorb_live()
    (row,) = store.uses()
    assert row.site.file == "b\\udcffd 'q\" \\ \n.py"
    assert row.site.function == "\U0001f600"


def test_an_unreadable_folder_says_so(path):
    folder = Path(live_folder(str(path)))
    folder.write_text("not a folder")
    with Store.open(path) as store, pytest.raises(StoreError) as caught:
        store.absorb_live()
    assert caught.value.slug == "store-unreadable"


texts = st.text(max_size=12)
whole = st.integers(min_value=0, max_value=2**40)


@settings(deadline=None)
@given(slot=whole, text=texts, line=whole, frames=st.lists(st.tuples(texts, whole, texts), max_size=3))
def test_parsing_reads_what_a_journal_writes(slot, text, line, frames):
    fields = ("S", slot, text, text, ns(NOW), 3, text, line, text, text, text, text, text, tuple(frames))
    record = parse((ascii(fields) + "\n").encode("ascii"))
    assert isinstance(record, SiteRecord)
    shown = text.encode("utf-8", "backslashreplace").decode()
    assert (record.slot, record.file, record.line, record.at) == (slot, shown, line, NOW)
    assert [(n, f.encode()) for f, n, _ in record.frames] == [
        (n, f.encode("utf-8", "backslashreplace")) for f, n, _ in frames
    ]


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_parsing_never_raises(line):
    parse(line)


def test_parsing_knows_the_end():
    assert parse(b"('E', 5000000000, 'exec')\n") == EndRecord(5.0, "exec")


# -- meaning -----------------------------------------------------------------------------------------------


def test_paths_below_the_root_are_relative_and_others_are_not(store, path):
    frames = (("/srv/app/pkg/x.py", 3, "f"), ("/srv/application/y.py", 4, "g"))
    process = LiveProcess(path).site(0, file="/srv/app/pkg/x.py", frames=frames).target(file="/srv/app/pkg/mod.py", line=7)
    process.close()
    store.absorb_live()
    (row,) = store.uses()
    assert row.site.file == "pkg/x.py"
    assert row.site.stack == (Frame("pkg/x.py", 3, "f"), Frame("/srv/application/y.py", 4, "g"))
    (target,) = store.targets()
    assert (target.defined_file, target.defined_line) == ("pkg/mod.py", 7)


def test_flags_are_kept(store, path):
    process = LiveProcess(path).site(0, flags=FLAG_ALLOWED | FLAG_BY_TEST).site(1, flags=FLAG_SCANNER)
    process.close()
    store.absorb_live()
    shown = {row.site.file: (row.allowed, row.site.by_test, row.site.scanner) for row in store.uses()}
    assert shown == {"pkg/caller_0.py": (True, True, False), "pkg/caller_1.py": (False, False, True)}


def test_a_site_reached_through_two_slots_is_one_site(store, path):
    process = LiveProcess(path).site(0, file="/a.py", flags=FLAG_ALLOWED).site(1, file="/a.py", at=NOW + 1)
    process.count(0, 5).count(1, 7)
    process.append("Z", 1, 2)
    process.close()
    store.absorb_live()
    (row,) = store.uses()
    assert (row.count, row.errors, row.allowed) == (12, 2, False)
    assert (row.first_seen, row.last_seen) == (NOW, NOW + 1)


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("count"), st.integers(0, 5), st.integers(1, 50)),
        st.tuples(st.just("site"), st.integers(0, 5), st.integers(0, 2)),
        st.tuples(st.just("spell"), st.integers(0, 5), st.sampled_from(["old", "alias"])),
        st.tuples(st.just("raised"), st.integers(0, 5), st.integers(1, 9)),
        st.tuples(st.just("read"), st.just(0), st.booleans()),
    ),
    max_size=25,
)


@given(steps=_STEPS)
@settings(max_examples=examples(60), deadline=None)
def test_who_knows_what_it_last_read_comes_to_what_others_come_to(tmp_path_factory, steps):
    """A process looks only at what has changed since it last looked; a reader that does not know, at everything."""
    found = []
    for knows in (True, False):
        path = tmp_path_factory.mktemp("store") / "store.db"
        process = LiveProcess(path)
        with contextlib.closing(Database(str(path))) as database:
            absorber = Absorber(database)
            for number, (what, slot, value) in enumerate([*steps, ("read", 0, False)]):
                if what == "count":
                    process.count(slot, process.journal.counts[HEADER_SLOTS + slot] + value, NOW + number)
                elif what == "site":
                    process.site(slot, file=f"/srv/app/f{value}.py", expression=None, at=NOW + number)
                elif what == "spell":
                    process.append("X", slot, value)
                elif what == "raised":
                    process.append("Z", slot, value)
                else:
                    if not knows:
                        absorber = Absorber(database)
                    absorber.absorb("aa01")
                    if value:  # another reader comes between
                        Absorber(database).absorb(None)
        with Store.open(path) as store:
            found.append(everything(store))
        process.close()
    assert found[0] == found[1]


def test_a_process_looks_up_only_the_counts_that_changed(path):
    process = LiveProcess(path)
    for slot in range(40):
        process.site(slot)
    with contextlib.closing(Database(str(path))) as database:
        absorber = Absorber(database)
        absorber.absorb("aa01")
        seen = []
        database.connection.set_trace_callback(seen.append)
        process.count(7, 5, NOW + 1)
        absorber.absorb("aa01")
        (looked_up,) = [statement for statement in seen if "FROM slot WHERE process" in statement and "first_seen" in statement]
        rows = database.connection.execute(looked_up).fetchall()
    process.close()
    assert [row[0] for row in rows] == [7]
    kept = [one for one in gc.get_objects() if type(one) is SiteRecord]
    assert not kept, "what was read would cost the host as much as what it keeps itself"


def test_errors_are_unknown_where_nobody_looked(store, path):
    process = LiveProcess(path).site(0).site(1)
    process.append("Z", 1, 0)
    process.close()
    store.absorb_live()
    assert [row.errors for row in store.uses()] == [None, 0]


def test_uses_fall_into_the_hour_in_which_they_were_found(store, path):
    process = LiveProcess(path).site(0).count(0, 3)
    store.absorb_live(own="aa01")
    process.count(0, 10, NOW + 7200)
    process.close()
    store.absorb_live(own="aa01")
    hour = int(NOW // 3600)
    assert {row.hour: row.count for row in store.activity()} == {hour: 3, hour + 2: 7}
    assert store.uses()[0].last_seen == NOW + 7200


def test_a_process_that_slept_was_not_observed_meanwhile(store, path):
    process = LiveProcess(path).state()
    for moment in (NOW, NOW + 200, NOW + 400, NOW + 4000, NOW + 4100):
        process.beat(moment).append("O", ns(moment), (), ())
        store.absorb_live(own="aa01")
    assert [(row.since, row.until) for row in store.observed()] == [(NOW, NOW + 400), (NOW + 4000, NOW + 4100)]
    (watched,) = store.watched()
    assert watched.seconds == pytest.approx(500)


def test_a_clock_set_back_loses_nothing(store, path):
    process = LiveProcess(path).site(0).count(0, 3, NOW + 100)
    store.absorb_live(own="aa01")
    process.count(0, 5, NOW - 5000).state(state="pending", at=NOW).state(state="armed", at=NOW - 5000)
    store.absorb_live(own="aa01")
    assert store.uses()[0].count == 5
    assert store.current_states()[0].state == "armed"
    assert [(row.since, row.until) for row in store.observed()] == [(NOW - 5000, NOW - 5000), (NOW, NOW + 100)]


def test_time_counts_as_watched_from_when_the_target_was_armed(store, path):
    process = LiveProcess(path).state(state="pending").state(state="armed", at=NOW + 60).beat(NOW + 100)
    process.close()
    store.absorb_live()
    assert {row.state: row.seconds for row in store.watched()} == pytest.approx({"pending": 60, "armed": 40})


def test_the_newest_statement_about_a_target_wins_and_its_definition_stays(store, path):
    later = LiveProcess(path, "bb02", started=NOW + 10).target(replacement="new")
    earlier = LiveProcess(path, "aa01").target(replacement="old", file="/srv/app/m.py", line=3)
    later.close()
    store.absorb_live()
    earlier.close()
    store.absorb_live()
    (target,) = store.targets()
    assert (target.replacement, target.defined_file, target.defined_line) == ("new", "m.py", 3)


# -- spelling ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "use", "expected"),
    [
        ("x = old()", "call", "old"),
        ("x = a.b.old(other(1))", "call", "a.b.old"),
        ("x = alias()", "call", "alias"),
        ("x = one(), two()", "call", ""),
        ("x = old() + m.old()", "call", ""),
        ("x = m.old", "access", "m.old"),
        ("x = thing", "access", ""),
        ("x = get().old()", "call", "...old"),
        ("x = (", "call", ""),
        ("import old", "import", ""),
    ],
)
def test_what_a_killed_process_could_not_say_is_read_from_its_source(store, tmp_path, source, use, expected):
    path = tmp_path / "store.db"
    (tmp_path / "caller.py").write_text(f"\n{source}\n")
    process = LiveProcess(path, root=str(tmp_path)).site(
        0, file=str(tmp_path / "caller.py"), line=2, use=use, expression=None
    )
    process.count(0, 4)
    process.close()
    store.absorb_live()
    (row,) = store.uses()
    assert (row.site.expression, row.count) == (expected, 4)


def test_a_spelling_that_comes_later_moves_the_site_and_its_counts(store, path):
    process = LiveProcess(path).site(0, expression=None, frames=(("/a.py", 1, "f"),)).count(0, 4)
    store.absorb_live(own="aa01")
    process.append("X", 0, "mod.old")
    process.count(0, 6, NOW + 1)
    store.absorb_live(own="aa01")
    (row,) = store.uses()
    assert (row.site.expression, row.count, row.first_seen) == ("mod.old", 6, NOW)
    assert row.site.stack == (Frame("/a.py", 1, "f"),)
    assert sum(row.count for row in store.activity()) == 6
    assert store._database.connection.execute("SELECT count(*) FROM site").fetchone() == (1,)


def test_a_late_spelling_of_one_of_two_slots_splits_the_site(store, path):
    process = LiveProcess(path).site(0, file="/a.py", expression=None).site(1, file="/a.py", expression=None)
    process.count(0, 4).count(1, 10)
    store.absorb_live(own="aa01")
    process.append("X", 1, "alias")
    store.absorb_live(own="aa01")
    assert {row.site.expression: row.count for row in store.uses()} == {"": 4, "alias": 10}
    assert sum(row.count for row in store.activity()) == 14


def test_a_host_leaves_the_reading_of_source_to_the_next_reader(store, path, tmp_path):
    (tmp_path / "caller.py").write_text("old()\n")
    process = LiveProcess(path, root=str(tmp_path)).site(0, file=str(tmp_path / "caller.py"), expression=None).count(0, 4)
    process.close()
    store.absorb_live(own="aa01")
    assert store.uses()[0].site.expression == ""
    store.absorb_live()
    (row,) = store.uses()
    assert (row.site.expression, row.count) == ("old", 4)
    assert store._database.connection.execute("SELECT count(*) FROM slot").fetchone() == (0,)


# -- many processes, and violence -----------------------------------------------------------------------------

WORKER = """
    import sys, time
    from lastcall.journal import *
    from lastcall.store import Store
    from lastcall.errors import StoreError
    store, name, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
    journal = Journal(live_folder(store), name, 64)
    now = time.time_ns()
    journal.append(("P", 1, name, 1, "s", "e", "r", "h", "3", now, "", ()))
    opened = Store.open(store, busy_seconds=0.2)
    for i in range(rounds):
        slot = i % 8
        if i < 8:
            journal.append(("S", slot, "m:old", "call", now, 0, f"/f{slot}.py", 1, "f", "m", "direct", "", "", ()))
            journal.append(("X", slot, "old"))
        journal.counts[HEADER_SLOTS + slot] += 1
        journal.counts[HEADER_HEARTBEAT] = time.time_ns()
        if i % 10 == 9:
            try:
                opened.absorb_live(own=name)
            except StoreError as error:
                assert error.slug == "store-locked", error
    print("done", flush=True)
    if len(sys.argv) > 4:
        time.sleep(60)
    journal.close()
"""


def start(script, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": AGENT, "LASTCALL_RERAISE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_many_processes_write_at_once_and_every_use_is_counted(path):
    workers = [start(WORKER, path, f"p{i}", 400) for i in range(6)]
    for worker in workers:
        out, err = worker.communicate(timeout=100)
        assert (worker.returncode, out) == (0, "done\n"), err
    with Store.current(path) as store:
        assert counts(store) == {("m:old", f"/f{i}.py", 1): 300 for i in range(8)}
        assert sum(row.count for row in store.activity()) == 2400
        assert len(store.processes()) == 6
    assert os.listdir(live_folder(str(path))) == []


def test_readers_and_writers_at_once_agree_in_the_end(path):
    workers = [start(WORKER, path, f"p{i}", 400) for i in range(3)]
    seen = []
    with Store.open(path) as store:
        store.targets()
    while any(worker.poll() is None for worker in workers):
        with Store.current(path) as store:
            seen.append(sum(counts(store).values()))
    for worker in workers:
        assert worker.communicate()[0] == "done\n"
    with Store.current(path) as store:
        seen.append(sum(counts(store).values()))
        assert sum(row.count for row in store.activity()) == 1200
    assert seen == sorted(seen)
    assert seen[-1] == 1200


READER = """
    import sys
    from lastcall.store import Store
    store = Store.open(sys.argv[1])
    print("ready", flush=True)
    while True:
        store.absorb_live()
"""


def test_readers_killed_in_the_middle_lose_and_double_nothing(path):
    dice = random.Random(7)
    truth = 0
    for i in range(12):
        for k in range(3):
            process = LiveProcess(path, f"n{i:02}{k}", slots=300)
            for slot in range(200):
                process.site(slot, file=f"/f{slot}.py").count(slot, slot + 1)
                truth += slot + 1
            process.close()
        reader = start(READER, path)
        assert reader.stdout.readline() == "ready\n"
        time.sleep(dice.random() * 0.15)
        reader.send_signal(signal.SIGKILL)
        reader.communicate()
    with Store.current(path) as store:
        assert sum(counts(store).values()) == truth
        assert sum(row.count for row in store.activity()) == truth
        assert store._database.connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert store._database.connection.execute("PRAGMA foreign_key_check").fetchall() == []


def test_two_readers_of_one_dead_process_count_it_once(path):
    for i in range(20):
        process = LiveProcess(path, f"n{i}").site(0, file=f"/f{i}.py").count(0, 5)
        process.close()
    readers = [start("import sys; from lastcall.store import Store; Store.current(sys.argv[1])", path) for _ in range(3)]
    for reader in readers:
        assert reader.wait(60) == 0, reader.communicate()[1]
        reader.communicate()
    with Store.current(path) as store:
        assert set(counts(store).values()) == {5}
        assert sum(row.count for row in store.activity()) == 100


@pytest.mark.parametrize("times", [0, 1, 7, 1000])
def test_who_is_refused_the_write_ahead_log_of_a_new_file_tries_again(path, monkeypatch, times):
    """SQLite lets nobody wait who turns it on while another does: three commands at once on a new store."""
    left = [times]

    class Refused(CONNECTION):
        def execute(self, statement, *rest):
            if "journal_mode" in statement and left[0]:
                left[0] -= 1
                raise sqlite3.OperationalError("database is locked")
            return super().execute(statement, *rest)

    monkeypatch.setattr("lastcall.store.database.CONNECTION", Refused)
    database = Database(str(path))
    if times < 20:
        assert database.connection.execute("PRAGMA journal_mode").fetchall() == [("wal",)]
    else:
        with pytest.raises(StoreError, match="locked by another process"):
            database.connection.execute("SELECT 1")
    database.close()


def test_ten_thousand_sites_are_taken_over_in_a_time_that_grows_with_them(tmp_path):
    frames = tuple((f"/srv/app/layer_{i}.py", i, f"layer_{i}") for i in range(25))
    spent = []
    for sites in (1_000, 10_000):
        path = tmp_path / f"{sites}.db"
        process = LiveProcess(path, slots=10_000)
        for slot in range(sites):
            process.site(slot, file=f"/srv/app/f{slot % 500}.py", line=slot, frames=frames)
        process.close()
        with Store.open(path) as store:
            began = time.process_time()
            store.absorb_live()
            spent.append(time.process_time() - began)
            assert len(store.call_sites()) == sites
    assert spent[1] < 4 * spent[0] * 10, spent  # of the square it would be a hundred times as much


def test_no_cursor_is_left_with_unread_rows_when_the_connection_is_closed(path, monkeypatch):
    """Who lists all objects of the process may let go of one in another thread just then: 3.10 crashes."""
    cursors, unread = [], []

    class Kept(CONNECTION):
        def close(self):
            for cursor in cursors:
                with contextlib.suppress(sqlite3.Error):  # it is closed: so much the better
                    unread.extend(cursor.fetchall())
            super().close()

        def execute(self, *args):
            cursors.append(super().execute(*args))
            return cursors[-1]

    monkeypatch.setattr("lastcall.store.database.CONNECTION", Kept)
    LiveProcess(path).site(0).count(0, 5)
    for _ in range(2):
        database = Database(str(path))
        Absorber(database).absorb("aa01")
        database.close()
    assert len(cursors) > 10
    assert unread == []


@pytest.mark.skipif(sys.version_info >= (3, 11), reason="from 3.11 on a cursor lets go of a statement that has ended")
def test_before_3_11_no_cursor_outlives_its_statement(path):
    cursors = []

    def see(frame, event, called):
        owner = getattr(called, "__self__", None)
        if event == "c_return" and isinstance(owner, sqlite3.Cursor):
            cursors.append(owner)

    LiveProcess(path).site(0).count(0, 5)
    database = Database(str(path))
    sys.setprofile(see)
    try:
        Absorber(database).absorb("aa01")
    finally:
        sys.setprofile(None)
    assert len(cursors) > 10
    for cursor in cursors:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            cursor.fetchone()
    database.close()
