"""Real servers, their workers recycled, reloaded and stopped: every use is counted, once.

The target itself appends a line to a file at each call. That file is the truth which the store must agree with.
"""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec

import pytest

from lastcall.store import Store
from served import APPLICATION, SHIM, uses_made
from waiting import ENOUGH, until
from worlds import World

pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]

TARGET = "shim:old"
DISTURBED = re.compile("Traceback|Exception ignored|lastcall:|Segmentation|Timeout", re.IGNORECASE)

TASKS = """
    import os
    from celery import Celery
    import shim

    app = Celery("tasks", broker="filesystem://")
    app.conf.broker_transport_options = {"data_folder_in": os.environ["BROKER"], "data_folder_out": os.environ["BROKER"]}
    app.conf.worker_hijack_root_logger = False

    @app.task
    def use():
        shim.old()
"""

GREENLETS = """
    import sys
    if "patch" in sys.argv:
        from gevent import monkey
        monkey.patch_all()
    import gevent
    from gevent.threadpool import ThreadPool
    import shim, waiting

    def work(times):
        for _ in range(times):
            shim.old()
            gevent.sleep(0)
        return times

    ticks = 0
    def tick():
        global ticks
        while True:
            ticks += 1
            gevent.sleep(0.01)

    ticker = gevent.spawn(tick)
    done = sum(g.get() for g in [gevent.spawn(work, n) for n in range(40)])
    pool = ThreadPool(3)
    done += sum(pool.map(lambda n: [shim.old() for _ in range(n)] and n, [10, 20, 30]))
    import threading
    threads = [threading.Thread(target=work, args=(7,)) for _ in range(3)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    waiting.rounds(3, sleep=gevent.sleep)
    waiting.until(lambda: ticks > 50, sleep=gevent.sleep)
    ticker.kill()
    print(done, ticks > 50)
"""


class Server:
    """A server that is watched, the requests sent to it, and what was counted."""

    def __init__(self, folder, files):
        (folder / "broker").mkdir()
        self.folder, self.truth_file = folder, folder / "truth"
        self.world = World(folder, {"shim.py": SHIM, **files}, (TARGET,))
        self.store = folder / "store.db"
        self.environ = self.world.environment(
            self.store, TRUTH=str(self.truth_file), BROKER=str(folder / "broker"), LASTCALL_FLUSH_INTERVAL="0.2",
        )
        self.environ["PYTHONPATH"] += f":{folder}"
        self.port = free_port()

    @property
    def truth(self):
        return uses_made(self.truth_file)

    @property
    def output(self):
        return (self.folder / "output").read_text()

    def counted(self):
        with Store.current(self.store) as store:
            return store.totals()[TARGET].uses

    def processes(self):
        with Store.current(self.store) as store:
            return len(store.processes())

    def internal_errors(self):
        with Store.current(self.store) as store:
            return [(p.process.pid, p.internal_errors, p.dropped) for p in store.processes() if p.internal_errors or p.dropped]

    @contextmanager
    def running(self, *command, ready=None, run="-m"):
        """The server as a process; stopped with SIGTERM at the end, as an orchestrator does."""
        with open(self.folder / "output", "ab") as output:
            process = subprocess.Popen(
                [sys.executable, run, *map(str, command)], cwd=self.folder, env=self.environ, stdout=output, stderr=output,
            )
        try:
            until(lambda: process.poll() is not None or (ready or self.answers)())
            assert process.poll() is None, self.output
            yield process
            process.send_signal(signal.SIGTERM)
            assert process.wait(ENOUGH) in (0, -signal.SIGTERM, 30), self.output  # 30: uWSGI without a master
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    def answers(self):
        try:
            return self.request()
        except OSError:
            return False

    def request(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=ENOUGH) as response:
            return response.read() == b"ok"

    def requests(self, number):
        """Several at a time; while workers come and go one may be refused, and is no use then."""
        def one(_):
            try:
                return self.request()
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                return False
        with ThreadPoolExecutor(4) as pool:
            return sum(pool.map(one, range(number)))


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def need(package):
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed: pip install '.[dev]'")


@pytest.mark.parametrize("preload", [False, True], ids=["each worker imports", "preload"])
@pytest.mark.parametrize("kind", ["sync", "gthread", "gevent"])
def test_gunicorn_with_workers_recycled_and_reloaded(tmp_path, kind, preload):
    need("gunicorn")
    if kind == "gevent":
        need("gevent")
    server = Server(tmp_path, {"application.py": APPLICATION})
    options = ["--preload"] if preload else []
    options += ["--threads", 4] if kind == "gthread" else []
    # gunicorn's gevent worker may use up the graceful timeout when it is told to end, without the agent as well
    with server.running(
        "gunicorn", "-w", 2, "-k", kind, "-b", f"127.0.0.1:{server.port}", "--max-requests", 15,
        "--graceful-timeout", 20, "--log-level", "warning", "--no-control-socket", *options, "application:application",
    ) as process:
        answered = server.requests(60)
        process.send_signal(signal.SIGHUP)
        answered += server.requests(60)
    assert answered > 60, server.output
    assert server.counted() == server.truth >= answered + 5
    assert server.processes() >= 1 + 2 + 2, "no worker was replaced"
    assert server.internal_errors() == []
    assert not DISTURBED.search(server.output), server.output


@pytest.mark.parametrize("options", [["--lazy-apps"], [], ["--threads", 2], ["--single"]], ids=lambda options: " ".join(map(str, options)) or "preload")
def test_uwsgi_whose_forks_the_interpreter_does_not_hear_of(tmp_path, options):
    need("pyuwsgi")
    server = Server(tmp_path, {"application.py": APPLICATION})
    # A worker that was forked just now may lose what the master tells it at the end, without the agent as well (4 of 70
    # runs on a busy disk): it is killed after its ten seconds, and loses no count.
    options = [] if "--single" in options else ["--master", "--processes", 2, "--max-requests", 15, *options]
    with server.running(
        "import pyuwsgi; pyuwsgi.run()", "--http-socket", f"127.0.0.1:{server.port}", "--die-on-term", "--disable-logging",
        "--worker-reload-mercy", 10, *options, "--module", "application", "--pythonpath", ".", run="-c",
    ):
        answered = server.requests(60)
    assert answered > 50, server.output
    assert server.counted() == server.truth >= answered + 5
    assert server.processes() >= (2 if options else 1), "no worker of its own"
    assert server.internal_errors() == []
    assert not DISTURBED.search(server.output), server.output


UWSGI = """
    import types
    uwsgi = types.ModuleType("uwsgi")
    uwsgi.worker_id = uwsgi.mule_id = uwsgi.i_am_the_spooler = lambda: 0
    from lastcall import workers
    told = []
    print(workers.heed(uwsgi, lambda: told.append(1)), hasattr(uwsgi, "post_fork_hook"))
    def mine():
        told.append(2)
    uwsgi.post_fork_hook = mine
    print(uwsgi.post_fork_hook is mine, type(uwsgi).__name__, isinstance(uwsgi, types.ModuleType))
    vars(uwsgi)["post_fork_hook"]()  # what uWSGI does
    print(told)
    del uwsgi.post_fork_hook
    vars(uwsgi)["post_fork_hook"]()
    print(told, hasattr(uwsgi, "post_fork_hook"))
"""


def test_uwsgis_hook_is_the_hosts_to_who_looks(tmp_path):
    path = f"{World(tmp_path, {'host.py': UWSGI}).environment(None)['PYTHONPATH']}/agent"
    done = subprocess.run([sys.executable, "host.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60, env={"PYTHONPATH": path})
    assert done.stdout == "False False\nTrue module True\n[1, 2]\n[1, 2, 1] False\n", done.stderr


def test_uvicorn_workers(tmp_path):
    need("uvicorn")
    server = Server(tmp_path, {"application.py": APPLICATION})
    with server.running(
        "uvicorn", "--workers", 2, "--port", server.port, "--log-level", "warning", "application:asgi",
    ) as process:
        answered = server.requests(40)
        process.send_signal(signal.SIGHUP)  # its supervisor replaces the workers
        answered += server.requests(40)
    assert answered > 40, server.output
    assert server.counted() == server.truth >= answered + 10
    assert server.internal_errors() == []
    assert not DISTURBED.search(server.output), server.output


@pytest.mark.parametrize("pool", ["prefork", "gevent", "threads"])
def test_celery_workers(tmp_path, pool):
    need("celery")
    if pool == "gevent":
        need("gevent")
    server = Server(tmp_path, {"tasks.py": TASKS})
    options = ["--max-tasks-per-child", 10] if pool == "prefork" else []
    sending = "import tasks\nfor _ in range(60): tasks.use.delay()"
    subprocess.run(
        [sys.executable, "-c", sending], cwd=server.folder, check=True, timeout=60,
        env={**server.environ, "LASTCALL_ENABLED": "0"},
    )
    with server.running(
        "celery", "-A", "tasks", "worker", "-P", pool, "-c", 2, "--loglevel", "WARNING", "--without-gossip",
        "--without-mingle", "--without-heartbeat", *options, ready=lambda: server.truth == 60,
    ):
        pass
    assert server.truth == 60
    assert server.counted() == 60
    assert server.internal_errors() == []
    if pool == "prefork":
        assert server.processes() > 3, "no child was replaced"


@pytest.mark.parametrize("how", ["unpatched", "patched in the program", "patched before the program"])
def test_greenlets(tmp_path, how):
    """The hub goes on turning while our thread flushes, and no use is lost between greenlets and threads."""
    need("gevent")
    server = Server(tmp_path, {"host.py": GREENLETS})
    command = {
        "unpatched": [sys.executable, "host.py"],
        "patched in the program": [sys.executable, "host.py", "patch"],
        "patched before the program": [sys.executable, "-m", "gevent.monkey", "host.py"],
    }[how]
    runs = [
        subprocess.run(command, cwd=server.folder, capture_output=True, text=True, timeout=60, env=environ)
        for environ in ({**server.environ, "LASTCALL_ENABLED": "0"}, server.environ)
    ]
    without, watched = runs
    assert (watched.stdout, watched.stderr, watched.returncode) == (without.stdout, without.stderr, without.returncode)
    assert watched.stdout == f"{sum(range(40)) + 60} True\n"
    assert server.truth == 2 * (sum(range(40)) + 60 + 21)
    assert server.counted() == server.truth // 2
    assert server.internal_errors() == []
