"""The store: failing clearly, merging in any order, asking it questions."""

from __future__ import annotations

import gc
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from how_many import examples
from lastcall.dossier import Question
from lastcall.errors import StoreError
from lastcall.journal import FLAG_ALLOWED, live_folder
from lastcall.sources.dossiers import dossiers
from lastcall.store import Filter, Store
from lastcall.store.intervals import GAP, united
from lastcall.store.schema import SCHEMA, SCHEMA_VERSION
from live_files import NOW, LiveProcess, counts, everything, ns

AGENT = str(Path(__file__).resolve().parent.parent / "agent")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.db"


def filled(path, name="aa01", **given):
    """A store with one dead process in it."""
    process = LiveProcess(path, name, **given).target().state().site(0).count(0, 5).beat(NOW + 10)
    process.close()
    store = Store.open(path)
    store.absorb_live()
    return store


def slug_of(action):
    with pytest.raises(StoreError) as caught:
        action()
    assert str(caught.value).endswith((".", ")"))
    return caught.value.slug


# -- opening and failing ------------------------------------------------------------------------------------


def test_nothing_is_opened_before_it_is_needed(path):
    Store.open(path)
    assert not path.exists()


def test_every_column_of_the_schema_says_what_it_is():
    columns = re.findall(r"^    ([a-z_]+ (?:TEXT|INTEGER|REAL)\b.*)$", SCHEMA, re.MULTILINE)
    assert len(columns) > 80
    assert [column for column in columns if "-- " not in column] == []


def test_a_missing_store_is_said_to_be_missing(path):
    assert slug_of(lambda: Store.current(path)) == "store-missing"
    assert slug_of(Store.open(path, read_only=True).targets) == "store-missing"
    assert not path.exists()


def test_a_file_that_is_no_database_is_left_as_it_is(path):
    path.write_bytes(b"This is not a database. " * 100)
    assert slug_of(Store.open(path).targets) == "store-corrupt"
    assert path.read_bytes().startswith(b"This is not")


def test_a_damaged_database_is_called_damaged(path):
    filled(path).close()
    data = bytearray(path.read_bytes())
    data[5000:] = os.urandom(len(data) - 5000)
    path.write_bytes(data)
    assert slug_of(lambda: everything(Store.open(path))) == "store-corrupt"


def test_somebody_elses_database_is_left_as_it_is(path):
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (x)")
    other.close()
    before = path.read_bytes()
    assert slug_of(lambda: Store.open(path).targets()) == "store-foreign"
    assert path.read_bytes()[100:] == before[100:]


@pytest.mark.parametrize("kind", ["folder", "pipe", "device"])
def test_what_is_no_file_is_named_and_nothing_is_left_beside_it(path, kind):
    """SQLite waits at a pipe for ever, blames the disk for a folder, and leaves a journal beside a device."""
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/null")
    for opened in (Store.open(path), Store.open(path, read_only=True)):
        with pytest.raises(StoreError, match="folder" if kind == "folder" else "not a file") as raised:
            opened.targets()
        assert raised.value.slug == "store-foreign"
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert not os.path.exists("/dev/null-journal")


def test_a_newer_schema_is_not_touched(path):
    filled(path).close()
    newer = sqlite3.connect(path)
    newer.execute("UPDATE meta SET value = ?", (str(SCHEMA_VERSION + 1),))
    newer.commit()
    newer.close()
    process = LiveProcess(path, "bb02").site(0)
    process.close()
    assert slug_of(Store.open(path).absorb_live) == "store-newer-schema"
    assert slug_of(lambda: Store.current(path)) == "store-newer-schema"
    assert process.files[0].exists()


def test_a_locked_store_costs_the_host_one_turn(path):
    filled(path).close()
    process = LiveProcess(path, "bb02").site(0, file="/b.py").count(0, 7)
    locker = sqlite3.connect(path, isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    host = Store.open(path, busy_seconds=0.05)
    assert slug_of(lambda: host.absorb_live(own="bb02")) == "store-locked"
    with Store.current(path) as reader:  # whoever asks gets everything all the same
        assert sum(counts(reader).values()) == 12
    locker.execute("ROLLBACK")
    locker.close()
    with host:
        host.absorb_live(own="bb02")
        assert sum(counts(host).values()) == 12
    process.close()


def test_a_reader_in_between_sees_whole_transactions(path):
    with filled(path) as store, store._database.transaction() as connection:
        connection.execute("DELETE FROM use_count")
        with Store.open(path, read_only=True) as reader:
            assert sum(counts(reader).values()) == 5
    with Store.open(path, read_only=True) as reader:
        assert counts(reader) == {}


def test_a_failure_in_a_transaction_changes_nothing(path):
    with filled(path) as store:
        with pytest.raises(ZeroDivisionError), store._database.transaction() as connection:  # noqa: PT012 - the point
            connection.execute("DELETE FROM use_count")
            raise ZeroDivisionError
        assert sum(counts(store).values()) == 5


READ_ONLY = """
    import os, sys
    import lastcall.store.spelling  # all imports before the files of the interpreter are out of reach
    from lastcall.store import Store
    from lastcall.errors import StoreError
    if os.getuid() == 0:
        os.setgroups([]); os.setgid(65534); os.setuid(65534)
    with Store.current(sys.argv[1]) as store:
        print(sum(row.count for row in store.uses()))
    try:
        Store.open(sys.argv[1]).absorb_live()
    except StoreError as error:
        print(error.slug)
"""


def test_a_store_that_cannot_be_written_is_read_with_its_live_files():
    folder = tempfile.mkdtemp()  # not tmp_path: that is closed to other users
    try:
        path = Path(folder) / "store.db"
        filled(path).close()
        process = LiveProcess(path, "bb02").site(0, file="/b.py").count(0, 7)
        process.close()
        for file in (path, *process.files):  # whatever the umask
            os.chmod(file, 0o444)
        os.chmod(live_folder(str(path)), 0o555)
        os.chmod(folder, 0o555)
        done = run(READ_ONLY, path)
        assert done.stdout.split() == ["12", "store-read-only"], done.stderr
        assert process.files[0].exists()
    finally:
        os.chmod(folder, 0o755)
        shutil.rmtree(folder)


FULL = """
    import resource, signal, sys
    sys.dont_write_bytecode = True
    from lastcall.store import Store
    from lastcall.errors import StoreError
    store = Store.open(sys.argv[1])
    store.targets()
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
    try:
        store.absorb_live()
    except StoreError as error:
        print(error.slug)
    with Store.current(sys.argv[1]) as current:
        print(sum(row.count for row in current.uses()))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    store.absorb_live()
    print(sum(row.count for row in store.uses()))
"""


def test_a_full_disk_loses_nothing_and_ends(path):
    process = LiveProcess(path, slots=2000)
    for slot in range(1500):
        process.site(slot, file=f"/some/longer/path/file_{slot}.py").count(slot, 2)
    process.close()
    with Store.open(path) as store:
        store.targets()
    room = max(path.stat().st_size, Path(f"{path}-wal").stat().st_size if Path(f"{path}-wal").exists() else 0)
    done = run(FULL, path, room + 20_000)
    assert done.stdout.split() == ["store-full", "3000", "3000"], done.stderr


def test_a_store_deleted_under_way_is_made_again(path):
    store = filled(path)
    process = LiveProcess(path, "bb02").site(0, file="/b.py").count(0, 7)
    store.absorb_live(own="bb02")
    for file in path.parent.glob("store.db*"):
        if file.is_file():
            file.unlink()
    process.count(0, 8)
    store.absorb_live(own="bb02")
    with store, Store.open(path, read_only=True) as reader:
        assert counts(reader) == {("pkg.mod:old", "/b.py", 1): 8}
    process.close()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # libraries that other tests loaded here have threads
def test_a_forked_child_opens_the_file_anew(path):
    store = filled(path)
    parents = store._database.connection
    child = os.fork()
    if child == 0:
        try:
            ours = store._database.connection
            process = LiveProcess(path, "cc03").site(0, file="/c.py").count(0, 3)
            process.close()
            store.absorb_live()
            gc.collect()
            os._exit(0 if ours is not parents and sum(counts(store).values()) == 8 else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with store:
        assert sum(counts(store).values()) == 8
        assert store._database.connection is parents


def test_the_folder_of_the_store_is_made(tmp_path):
    filled(tmp_path / "a" / "b" / "store.db").close()
    assert (tmp_path / "a" / "b" / "store.db").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    store = Store.open(tmp_path / "file" / "store.db")
    with pytest.raises(StoreError) as caught:
        store.targets()
    assert caught.value.slug == "store-read-only"
    assert "file" in str(caught.value)


def run(script, *arguments):
    # not by preexec_fn, which forks: libraries that other tests loaded here (gRPC) may end the child
    no_core = "import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
    return subprocess.run(
        [sys.executable, "-c", no_core + textwrap.dedent(script), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": AGENT},
        capture_output=True,
        text=True,
        timeout=60,
    )


# -- merging ------------------------------------------------------------------------------------------------

# A process's life in steps; a store that reads it half-way and one that reads it to the end must merge to the
# same in any order. Steps are small numbers that LIVES turns into records.
LIVES = st.lists(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3), st.integers(1, 9)), max_size=12), min_size=1, max_size=3
)


def step(process, kind, slot, amount, made):
    at = made["clock"] = made.get("clock", NOW) + amount * 20  # stays within one hour
    ref = f"pkg.mod:old_{slot % 2}"
    if kind == 0 and slot not in made:
        made[slot] = 0
        process.site(slot, ref, at=at, flags=FLAG_ALLOWED * (amount % 2), frames=((f"/x{amount}.py", 1, "f"),))
    elif kind == 1 and slot in made:
        made[slot] += amount
        process.count(slot, made[slot], at)
    elif kind == 2:
        process.state(ref, ("armed", "pending", "partial")[amount % 3], at=at)
    elif kind == 3:
        process.target(ref, replacement=f"new_{amount}", file=f"/srv/app/m{amount % 2}.py", line=amount)
    elif kind == 4:
        process.append("R", ref, f"pkg.exports_{amount % 3}", "old", "/srv/app/e.py", amount, "module")
    elif kind == 5:
        process.append("F", "isolation", ref, ns(at), "mixed", slot if slot in made else -1, amount, ())
    elif kind == 6:
        process.append("O", ns(at), (("sites", amount),), (("slug", amount),))


def copies(folder, lives):
    """For each process two stores: one that saw its first half, one that saw all."""
    paths = []
    for number, steps in enumerate(lives):
        for seen in (len(steps) // 2, len(steps)):
            path = folder / f"{number}-{len(paths)}.db"
            process = LiveProcess(path, f"p{number}", release=f"{number % 2}.0", slots=8)
            made: dict[int | str, float] = {}
            for kind, slot, amount in steps[:seen]:
                step(process, kind, slot, amount, made)
            process.close()
            with Store.open(path) as store:
                store.absorb_live()
            paths.append(path)
    return paths


def merged(folder, name, paths):
    with Store.open(folder / name) as into:
        for path in paths:
            with Store.open(path) as other:
                into.merge_from(other)
        assert into._database.connection.execute("PRAGMA foreign_key_check").fetchall() == []
        return everything(into)


@settings(deadline=None, max_examples=examples(20))
@given(lives=LIVES, order=st.randoms(use_true_random=False))
def test_merging_is_commutative_and_idempotent(lives, order):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = copies(folder, lives)
        shuffled = [*paths, *paths[:2]]
        order.shuffle(shuffled)
        assert merged(folder, "a.db", paths) == merged(folder, "b.db", shuffled)


@settings(deadline=None, max_examples=examples(15))
@given(lives=LIVES)
def test_merging_copies_gives_what_one_store_of_all_would_say(lives):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = copies(folder, lives)
        ours = merged(folder, "a.db", paths)
        truth = merged(folder, "b.db", paths[1::2])  # only those that saw everything
        for key in ("totals", "activity", "states", "processes", "references"):
            assert ours[key] == truth[key]
        assert [row.count for row in ours["uses"]] == [row.count for row in truth["uses"]]


@pytest.mark.parametrize("order", [("early", "late"), ("late", "early"), ("early", "late", "early")])
def test_of_an_earlier_copy_and_a_later_one_the_later_one_is_what_is_left(tmp_path, order):
    process = LiveProcess(tmp_path / "late.db").target().state().site(0, file="one.py", flags=FLAG_ALLOWED).count(0, 3)
    process.append("F", "isolation", "pkg.mod:old", ns(NOW), "mixed", 0, 1, ())
    process.append("O", ns(NOW), (("call-site-limit", 1),), ())
    with Store.open(tmp_path / "late.db") as late, Store.open(tmp_path / "early.db") as early, Store.open(tmp_path / "all.db") as joined:
        late.absorb_live()
        early.merge_from(late)
        process.count(0, 8, NOW + 60).state(state="failed", reason="x", at=NOW + 30).append("Z", 0, 2)
        process.site(1, file="one.py").count(1, 2, NOW + 60)  # the same line, when its allowance had run out
        process.append("O", ns(NOW + 50), (("call-site-limit", 4),), (("count", 1),))
        process.append("E", ns(NOW + 60), "exit")
        process.close()
        late.absorb_live()
        for name in order:
            joined.merge_from({"early": early, "late": late}[name])
        assert everything(joined) == everything(late)
        assert [(use.count, use.errors, use.allowed) for use in joined.uses()] == [(10, 2, False)]


def test_a_process_that_was_killed_is_over_in_a_joined_store_too(tmp_path):
    LiveProcess(tmp_path / "one.db").target().state().site(0).count(0, 1).close()
    with Store.open(tmp_path / "one.db") as one, Store.open(tmp_path / "all.db") as joined:
        one.absorb_live()
        joined.merge_from(one)
        for store in (one, joined):
            (dossier,) = dossiers(store, store.targets(), Question(), NOW + 10)
            assert [life.over for life in dossier.fleet] == [True]


def test_merging_does_not_change_its_sources(tmp_path):
    with filled(tmp_path / "a.db") as source, filled(tmp_path / "b.db", "bb02") as into:
        before = everything(source)
        into.merge_from(source)
        assert everything(source) == before
        assert sum(row.count for row in into.uses()) == 10


def test_merging_a_store_into_itself_changes_nothing(path):
    with filled(path) as store:
        before = everything(store)
        store.merge_from(Store.open(path))
        assert everything(store) == before


def test_merging_takes_live_files_that_only_a_copy_could_hold(tmp_path):
    LiveProcess(tmp_path / "a.db").site(0).count(0, 5)
    with Store.open(tmp_path / "a.db") as store:
        store.targets()
    with Store.open(tmp_path / "a.db", read_only=True) as source, Store.open(tmp_path / "b.db") as into:
        source.absorb_live()
        into.merge_from(source)
        assert sum(row.count for row in into.uses()) == 5


moments = st.floats(0, 5000, allow_nan=False)
intervals = st.lists(st.tuples(moments, moments).map(lambda pair: (min(pair), max(pair))))


@settings(deadline=None)
@given(intervals, intervals)
def test_uniting_intervals_does_not_depend_on_the_order_or_on_steps(one, other):
    whole = united([*one, *other])
    assert whole == united([*united(other), *united(one)]) == united(whole)
    assert all(b[0] - a[1] >= GAP for a, b in zip(whole, whole[1:]))


# -- questions ----------------------------------------------------------------------------------------------


@pytest.fixture
def fleet(path):
    """Two services, two releases, three targets."""
    for name, service, release, started, count in (
        ("aa01", "backend", "1.0", NOW - 90 * 86400, 100),
        ("bb02", "backend", "2.0", NOW, 7),
        ("cc03", "worker", "2.0", NOW + 3600, 3),
    ):
        process = LiveProcess(path, name, service=service, release=release, started=started)
        for ref in ("pkg.mod:old", "pkg.mod:older", "pkg.mod:[odd]"):
            process.target(ref)
        process.state("pkg.mod:old").state("pkg.mod:older", "missing" if release == "1.0" else "armed", "gone")
        process.site(0, "pkg.mod:old", file="/a.py").count(0, count).beat(started + 60)
        process.append("R", "pkg.mod:old", "pkg.exports", "old", "/srv/app/e.py", 35, "module")
        process.close()
    with Store.current(path) as store:
        yield store


def test_uses_are_told_apart_by_scope_and_call_sites_are_not(fleet):
    assert [(r.scope.service, r.scope.release, r.count) for r in fleet.uses()] == [
        ("backend", "1.0", 100),
        ("backend", "2.0", 7),
        ("worker", "2.0", 3),
    ]
    (site,) = fleet.call_sites()
    assert (site.count, len(site.scopes)) == (110, 3)


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        (Filter(service="worker"), 3),
        (Filter(release="2.0"), 10),
        (Filter(service="backend", release="2.0"), 7),
        (Filter(environment="production"), 0),
        (Filter(since=NOW - 86400), 10),
        (Filter(since=NOW + 7200), 0),
        (Filter(target="pkg.mod:old"), 110),
        (Filter(target="pkg.*:o*"), 110),
        (Filter(target="pkg.mod:older"), 0),
    ],
)
def test_filters_narrow_every_count_alike(fleet, filter_, expected):
    assert sum(row.count for row in fleet.uses(filter_)) == expected
    assert sum(row.count for row in fleet.call_sites(filter_)) == expected
    assert sum(row.uses for row in fleet.totals(filter_).values()) == expected
    assert sum(row.count for row in fleet.activity(filter_)) == expected


def test_a_bracket_in_a_target_is_a_bracket(fleet):
    assert [info.ref for info in fleet.targets(Filter(target="pkg.mod:[odd]"))] == ["pkg.mod:[odd]"]


def test_states_of_replaced_releases_are_history(fleet):
    now = {(r.ref, r.scope.release, r.state) for r in fleet.current_states()}
    assert ("pkg.mod:older", "1.0", "missing") not in now
    assert ("pkg.mod:older", "2.0", "armed") in now
    assert "missing" in {row.state.state for row in fleet.states()}


def test_observations_have_a_row_for_every_scope_with_its_states(fleet):
    rows = fleet.observations()
    assert [(r.scope.service, r.scope.release, r.processes, r.seconds) for r in rows] == [
        ("worker", "2.0", 1, 60.0),
        ("backend", "2.0", 1, 60.0),
        ("backend", "1.0", 1, 60.0),
    ]
    assert rows[2].states == {"armed": 1, "missing": 1}


def test_a_limit_keeps_the_busiest_sites_of_each_target(path):
    process = LiveProcess(path)
    for slot in range(10):
        process.site(slot, f"pkg.mod:t{slot % 2}").count(slot, 100 - slot)
    process.close()
    with Store.current(path) as store:
        assert [row.count for row in store.call_sites(limit=2)] == [100, 98, 99, 97]


def test_references_keep_where_they_were_seen(fleet):
    rows = fleet.references()
    assert {(r.reference.module, r.reference.line, r.scope.release) for r in rows} == {
        ("pkg.exports", 35, "1.0"),
        ("pkg.exports", 35, "2.0"),
    }


def test_findings_carry_their_site(path):
    process = LiveProcess(path).site(0)
    process.append("F", "isolation", "pkg.mod:old", ns(NOW + 5), "two owners", 0, 2, (("owners", "2"),))
    process.close()
    with Store.current(path) as store:
        (row,) = store.findings()
    assert (row.finding.message, row.finding.count, row.finding.attributes) == ("two owners", 2, (("owners", "2"),))
    assert row.finding.site.file == "pkg/caller_0.py"


def test_a_target_known_only_from_its_uses_has_a_fitting_kind(path):
    process = LiveProcess(path).site(0, "pkg.mod:Old", use="construct")
    process.close()
    with Store.current(path) as store:
        (info,) = store.targets()
    assert (info.kind, info.source) == ("class", "seen")
