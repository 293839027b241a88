"""What goes wrong inside Lastcall is never seen by the host; it is counted."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from lastcall.errors import InternalErrors, StoreError
from lastcall.pipeline import Pipeline
from lastcall.store import Store
from lastcall.store.absorb import Absorber
from lastcall.store.database import Database
from worlds import World

FILES = {
    "legacy.py": "def old(value=1):\n    return value + 1\n",
    "host.py": """
        import sys, time
        import legacy

        for turn in range(30):
            print(legacy.old(turn))
            time.sleep(0.01)
        print("end", legacy.old(), file=sys.stderr)
        """,
}
TARGETS = ("legacy:old",)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path, FILES, TARGETS)


def same(world: World, **environ: str):
    plain = world.run()
    run = world.run("auto", LASTCALL_FLUSH_INTERVAL="0.02", **environ)
    assert (run.out, run.err, run.code) == (plain.out, plain.err, plain.code)
    return run


@pytest.mark.parametrize("limit", [0, 100, 4096, 70_000, 90_000, 200_000])
def test_a_file_size_limit_changes_nothing(world, limit):
    """RLIMIT_FSIZE also sends SIGXFSZ, which Python ignores; a full disk fails in the same calls."""
    plain = world.run()
    store = world.folder / "limited" / "store.db"
    # not by preexec_fn, which forks: libraries that other tests loaded here (gRPC) may end the child
    limited = f"import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))"
    done = subprocess.run(
        [sys.executable, "-ISc", limited + "; os.execv(sys.argv[1], sys.argv[1:])", *world.command()],
        cwd=world.folder, capture_output=True, text=True, timeout=60,
        # before 3.13 Python itself would write truncated bytecode files, which the next process stumbles over
        env=world.environment(store, LASTCALL_FLUSH_INTERVAL="0.02", PYTHONDONTWRITEBYTECODE="1"),
    )
    assert (done.stdout, done.stderr, done.returncode) == (plain.out, plain.err, plain.code)


@pytest.mark.parametrize("place", ["/dev/null", "."])
def test_a_store_that_can_never_be_one_changes_nothing_and_leaves_nothing(world, tmp_path, place):
    (tmp_path / "beside").mkdir()
    named = tmp_path / "beside" / "store.db"
    named.symlink_to(place)
    plain = world.run()
    run = world.run("auto", LASTCALL_STORE=str(named), LASTCALL_FLUSH_INTERVAL="0.02")
    assert (run.out, run.err, run.code) == (plain.out, plain.err, plain.code)
    assert os.listdir(tmp_path / "beside") == ["store.db"]


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which needs root")
@pytest.mark.parametrize("meets", ["a target", "none"])
def test_whoever_may_write_beside_the_store_is_counted_whatever_the_first_ones_umask(tmp_path, meets):
    """In a process of its own, with the agent loaded before: another user may not read the interpreter's files."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    folder = tmp_path
    while not folder.stat().st_mode & 0o001:  # pytest keeps its folders to itself
        folder.chmod(folder.stat().st_mode | 0o011)
        folder = folder.parent
    store = str(tmp_path / "shared" / "store.db")
    write = (
        "Journal(live_folder(store), new_id(), 4).append(('A', 1))"
        if meets == "a target"
        else "leave_word(config, 1)"
    )
    program = f"""if True:
        import os, sys
        from lastcall.config import load
        from lastcall.introduction import leave_word, new_id
        from lastcall.journal import Journal, live_folder
        os.umask(0o077)
        store = {store!r}
        for user in (0, 65534, 65533):
            child = os.fork()
            if not child:
                os.setgroups([]); os.setgid(user); os.setuid(user)
                config = load({{"LASTCALL_STORE": store, "LASTCALL_SERVICE": "s", "LASTCALL_RELEASE": "1"}}, cwd="/")
                {write}
                os._exit(0)
            if os.waitpid(child, 0)[1]:
                sys.exit(f"user {{user}} could not")
        """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    names = [name for name in os.listdir(store + "-live") if name.endswith(".journal")]
    assert len(names) == 3


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system, which needs root")
@pytest.mark.parametrize("size", ["16k", "128k", "400k"])
def test_a_full_disk_changes_nothing(world, size, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        same(world, LASTCALL_STORE=str(disk / "store.db"))
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_a_locked_store_changes_nothing_and_loses_nothing(world):
    store = world.folder / "locked" / "store.db"
    Store.current  # noqa: B018 - the store's own module is loaded before the lock is taken
    first = world.run("auto", LASTCALL_STORE=str(store), LASTCALL_FLUSH_INTERVAL="0.02")
    assert first.code == 0
    lock = sqlite3.connect(store, isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    try:
        same(world, LASTCALL_STORE=str(store))  # it ends while the lock is held
    finally:
        lock.execute("ROLLBACK")
        lock.close()
    with Store.current(store) as current:
        assert sum(row.count for row in current.uses()) == 62


def test_a_store_that_others_write_for_long_is_no_failure(tmp_path, monkeypatch):
    monkeypatch.delenv("LASTCALL_RERAISE", raising=False)
    path = tmp_path / "store.db"
    Store.open(path).close()
    agent = SimpleNamespace(config=SimpleNamespace(exporters=("store",)), errors=InternalErrors(), id=None, has_exporters=False)
    pipeline = Pipeline(agent)
    pipeline._database = Database(str(path), busy_seconds=0.01)
    pipeline._absorber = Absorber(pipeline._database)
    lock = sqlite3.connect(path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    pipeline.run()
    lock.execute("ROLLBACK")
    lock.close()
    assert agent.errors.counts() == (), "what was not written is in the files, and is written with the next round"
    pipeline.run()
    for file in tmp_path.glob("store.db*"):
        if file.is_file():
            file.unlink()
    path.write_bytes(b"no database at all " * 100)
    pipeline.run()
    assert agent.errors.counts() == (("store", 1),)


def test_a_store_deleted_under_way_changes_nothing(tmp_path):
    world = World(tmp_path, {**FILES, "host.py": """
        import os, shutil, time
        import legacy, waiting
        print(legacy.old(1))
        waiting.rounds()
        for folder in os.listdir("."):
            if folder.startswith("evidence"):
                # a flush between the last file and the folder itself would fail it
                shutil.rmtree(folder, ignore_errors=True)
        for turn in range(20):
            print(legacy.old(turn))
            eval("legacy.old(3)")
            time.sleep(0.01)
        """}, TARGETS)
    same(world)


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_corrupt_store_changes_nothing_and_keeps_the_evidence(world, content):
    store = world.folder / "corrupt" / "store.db"
    store.parent.mkdir()
    store.write_bytes(content)
    same(world, LASTCALL_STORE=str(store))
    if content:
        with pytest.raises(StoreError), Store.current(store) as current:
            current.uses()
        store.unlink()
    with Store.current(store) as current:
        assert sum(row.count for row in current.uses()) == 31


@pytest.mark.parametrize("path", ["/proc/nothing/store.db", "/dev/null/store.db", "/dev/full", "\x01odd\n name/store.db", "a" * 300 + "/store.db"])
def test_a_store_that_cannot_be_made_changes_nothing(world, path):
    try:
        same(world, LASTCALL_STORE=path)
    finally:
        if path == "/dev/full":  # root may leave files beside a device
            shutil.rmtree("/dev/full-live", ignore_errors=True)
            Path("/dev/full-journal").unlink(missing_ok=True)


def test_a_clock_that_jumps_back_changes_no_count(tmp_path):
    world = World(tmp_path, {**FILES, "host.py": """
        import time
        import legacy
        real, real_ns = time.time, time.time_ns
        for turn in range(20):
            time.time = lambda: real() - 86400 * turn
            time.time_ns = lambda: real_ns() - 86400 * 10**9 * turn
            print(legacy.old(turn))
            time.sleep(0.02)
        """}, TARGETS)
    run = same(world)
    assert run.total("legacy:old") == 20


BREAKING = """
import sys
import {module} as module
names = {{}}
exec(compile("def broken(*args, **kwargs):\\n    raise {error}('broken on purpose')\\n", module.__file__, "exec"), names)
broken = names["broken"]
owner = module{owner}
assert callable(owner.{name}), "else nothing is broken"
setattr(owner, "{name}", broken)
import host
"""
SEAMS = [
    ("lastcall.recorder", ".Recorder", "_see"), ("lastcall.recorder", ".Recorder", "_capture"), ("lastcall.recorder", ".Recorder", "write"),
    ("lastcall.recorder", ".Recorder", "publish"), ("lastcall.recorder", ".Recorder", "tap"), ("lastcall.journal", ".Journal", "append"),
    ("lastcall.journal", ".Journal", "__init__"), ("lastcall.patch", "", "find"), ("lastcall.patch", "", "kind_of"),
    ("lastcall.patch", ".Patcher", "loaded"), ("lastcall.patch", ".Patcher", "_arm_found"), ("lastcall.callsite", ".Attribution", "kind_of"),
    ("lastcall.callsite", ".Stacks", "walk"), ("lastcall.callsite", ".Stacks", "_walk_behind"), ("lastcall.targets", ".Target", "is_passed_on_by"), ("lastcall.targets", ".Target", "allowed_reason"),
    ("lastcall.agent", ".Agent", "flush"), ("lastcall.agent", ".Agent", "leave"), ("lastcall.agent", ".Agent", "__init__"), ("lastcall.agent", ".Agent", "write_pending"),
    ("lastcall.importing", ".Wanted", "__call__"), ("lastcall.importing", "", "_telling_spec"), ("lastcall.importing", ".Finder", "_listen"),
    ("lastcall.store", ".Store", "absorb_live"), ("lastcall.pipeline", ".Pipeline", "run"), ("lastcall.expressions", "", "spelling"),
    ("lastcall.arming_names", "", "arm_name"), ("lastcall.engines.wrapping", "", "wrap"), ("lastcall.engines.inplace", ".InPlace", "_arm"),
]


@pytest.mark.parametrize("error", ["ValueError", "OSError", "KeyError"])
@pytest.mark.parametrize(("module", "owner", "name"), SEAMS, ids=[f"{m}{o}.{n}" for m, o, n in SEAMS])
def test_a_failure_at_any_seam_is_no_failure_of_the_host(tmp_path, module, owner, name, error):
    world = World(tmp_path, {
        **FILES, "main.py": BREAKING.format(module=module, owner=owner, name=name, error=error),
        "host.py": """
            import os, sys, time
            import legacy
            def caller():
                return legacy.old(4)
            print([legacy.old(turn) for turn in range(3)], caller(), legacy.Old().method())
            time.sleep(0.1)
            pid = os.fork()
            if pid == 0:
                print("child", legacy.old())
                sys.stdout.flush()
                sys.exit(0)
            print(os.waitpid(pid, 0)[1], caller())
            """,
        "legacy.py": "def old(value=1):\n    return value + 1\nclass Old:\n    def __init__(self): self.a = 1\n    def method(self): return self.a\n",
    }, ("legacy:old", "legacy:Old", "legacy:Old.method"), main="main.py")
    plain = world.run(PYTHONPATH=f"{world.environment(None)['PYTHONPATH']}:{world.environment(None)['PYTHONPATH']}/agent")
    run = world.run("auto", LASTCALL_FLUSH_INTERVAL="0.02",
                    PYTHONPATH=f"{world.environment(None)['PYTHONPATH']}:{world.environment(None)['PYTHONPATH']}/agent")
    assert plain.code == 0, plain.err
    assert (run.out, run.err, run.code) == (plain.out, plain.err, plain.code)


def test_signals_during_recording_reach_the_host(tmp_path):
    world = World(tmp_path, {**FILES, "host.py": """
        import signal, sys, time
        import legacy
        seen = 0
        class Alarm(Exception): pass
        def handler(*args):
            global seen
            seen += 1
            raise Alarm
        signal.signal(signal.SIGALRM, handler)
        calls = 0
        for turn in range(200):
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0003)
                while True:
                    legacy.old()
                    eval("legacy.old()")
            except Alarm:
                pass
        print(seen)
        """}, TARGETS)
    run = same(world)
    assert run.out == "200\n"


def test_a_host_that_closes_every_descriptor_goes_on(tmp_path):
    """Daemons do this: our journal's number then belongs to a file of the host's."""
    world = World(tmp_path, {**FILES, "host.py": """
        import os
        import legacy, waiting
        print(legacy.old(1), flush=True)
        waiting.rounds()  # behind the first flush, before the second: what a thread has open at that moment is lost anyway
        os.closerange(3, 100)
        mine = [os.open(f"mine{n}", os.O_RDWR | os.O_CREAT) for n in range(6)]
        for turn in range(10):
            eval("legacy.old(turn)\\n")
        print(sum(os.fstat(fd).st_size for fd in mine), legacy.old(2), flush=True)
        """}, TARGETS)
    plain = world.run()
    for name in os.listdir(tmp_path):
        if name.startswith("mine"):
            os.unlink(tmp_path / name)
    run = world.run("auto", LASTCALL_FLUSH_INTERVAL="600")
    assert (run.out, run.err, run.code) == (plain.out, plain.err, plain.code)
    assert all(os.path.getsize(tmp_path / f"mine{n}") == 0 for n in range(6)), "we wrote into a file of the host's"


def test_sigterm_while_the_store_is_locked_still_ends_at_once(world, tmp_path):
    endless = """
        import sys, time
        import legacy, waiting
        legacy.old()
        life = sys.modules["lastcall.bootstrap"].life()
        waiting.until(lambda: life._agent._rounds)  # our thread is at the store, or is about to be
        print("there", flush=True)
        while True:
            legacy.old()
            time.sleep(0.01)
        """
    store = world.folder / "term" / "store.db"
    world.run("auto", LASTCALL_STORE=str(store), LASTCALL_FLUSH_INTERVAL="0.02")
    world = World(tmp_path, {**FILES, "host.py": endless}, TARGETS)
    lock = sqlite3.connect(store, isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    try:
        process = subprocess.Popen(world.command(), cwd=world.folder, stdout=subprocess.PIPE,
                                   env=world.environment(store, LASTCALL_FLUSH_INTERVAL="0.02"))
        assert process.stdout.readline() == b"there\n"
        with open(f"/proc/{process.pid}/status") as status:
            caught = next(int(line.split()[1], 16) for line in status if line.startswith("SigCgt"))
        assert not caught >> (signal.SIGTERM - 1) & 1, "nobody stands between the signal and the end"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == -signal.SIGTERM  # while the lock is held
        process.stdout.close()
    finally:
        lock.close()


def test_a_journal_whose_first_line_is_refused_is_had_at_the_next_attempt(tmp_path):
    """The lock of the first attempt stayed held: none that followed could have the file, and all uses were lost."""
    host = """
        import posix

        def refuse_once(fd, data, write=posix.write):
            if data.startswith(b"('P'"):
                posix.write = write
                raise OSError(28, "No space left on device")
            return write(fd, data)

        posix.write = refuse_once
        import legacy
        for number in range(3):
            legacy.old()
    """
    world = World(tmp_path, {"legacy.py": "def old():\n    return 1\n", "host.py": host}, ("legacy:old",))
    run = world.run("auto")
    assert (run.out, run.err, run.code) == ("", "", 0)
    assert run.internal_errors() == {"journal-open": 1}
    assert run.total("legacy:old") == 3
