"""Real servers and process trees, watched by the agent, exporting to both backends: nothing lost, nothing twice.

Every use is also a line that the program itself appends to a file: the truth that all backends must agree with.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from pathlib import Path

import pytest

from lastcall.exporters import names
from lastcall.store import Store
from loopback.cloud_logging import CloudLogging
from loopback.otlp import Receiver
from served import APPLICATION, SHIM, uses_made
from test_exporters import rebuilt
from waiting import ENOUGH, until
from worlds import WAITING

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
TARGET = "shim:old"

pytestmark = pytest.mark.timeout(600)

TASKS = """
import os
from celery import Celery
import shim

folder = os.environ["BROKER"]
app = Celery("tasks", broker="filesystem://")
app.conf.broker_transport_options = {"data_folder_in": folder, "data_folder_out": folder}
app.conf.worker_hijack_root_logger = False

@app.task
def use():
    shim.old()
"""

MULTI = """
import multiprocessing, sys
import shim, waiting

def child(times):
    for _ in range(times):
        shim.old()

if __name__ == "__main__":
    for _ in range(5):
        shim.old()
    waiting.rounds()         # the parent has exported, with whatever threads that takes, before it forks
    context = multiprocessing.get_context(sys.argv[1])
    children = [context.Process(target=child, args=(1,)) for _ in range(2)]
    for one in children:
        one.start()
    for one in children:
        one.join()
    shim.old()
"""

TERMINATED = """
import threading, time
import shim, waiting

def say():
    waiting.rounds()
    print("ready", flush=True)

threading.Thread(target=say).start()
while True:
    shim.old()
    time.sleep(0.02)
"""


class World:
    """A folder with the program, the two backends, and the environment that switches the agent on."""

    def __init__(self, folder, cloud, receiver):
        self.folder, self.cloud, self.receiver = folder, cloud, receiver
        (folder / "shim.py").write_text(SHIM)
        (folder / "waiting.py").write_text(WAITING)
        (folder / "broker").mkdir()
        self.env = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "LASTCALL_"))},
            "PYTHONPATH": f"{ROOT}:{ROOT / 'agent'}:{folder}", "TRUTH": str(folder / "truth"), "BROKER": str(folder / "broker"),
            "LASTCALL_ENABLED": "1", "LASTCALL_TARGETS": TARGET, "LASTCALL_EXPORTERS": "store,gcp,otlp", "LASTCALL_SERVICE": "shop",
            "LASTCALL_FLUSH_INTERVAL": "0.3", "LASTCALL_STORE": str(folder / "store.db"), "GOOGLE_CLOUD_PROJECT": "demo", "LASTCALL_GCP_ENDPOINT": cloud.rest_endpoint,
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        }

    def write(self, name, text):
        (self.folder / name).write_text(textwrap.dedent(text))

    def start(self, *command):
        with open(self.folder / "output", "ab") as output:
            return subprocess.Popen([str(part) for part in command], cwd=self.folder, env=self.env, stdout=output, stderr=output)

    @property
    def output(self):
        path = self.folder / "output"
        return path.read_text() if path.exists() else ""

    @property
    def truth(self):
        return uses_made(self.folder / "truth")

    def deliver_the_rest(self):
        """The next process of this store: it makes killed processes' statements and sends what lies in the spool."""
        self.write("next.py", "import shim, waiting; waiting.rounds()")
        for _ in range(20):  # what it says at its end it may have to leave to another one
            subprocess.run([sys.executable, "next.py"], cwd=self.folder, env=self.env, check=True, timeout=ENOUGH)
            if not list(self.folder.glob("store.db-spool/*/*.items")):
                return
        raise AssertionError(f"not delivered: {sorted(self.folder.glob('store.db-spool/*/*.items'))}")

    def counted(self):
        """Uses by what each backend alone says: the store, the log entries, the metrics."""
        with Store.current(self.folder / "store.db") as store:
            in_store = store.totals()[TARGET].uses
        in_log = sum(rebuilt(self.cloud.payloads("observation")).values())
        last = {}
        for attributes, value, point, resource in self.receiver.points(names.METRIC_USES):
            key = (resource["service.instance.id"], tuple(sorted(attributes.items())))
            if key not in last or point.time_unix_nano >= last[key][0]:
                last[key] = (point.time_unix_nano, value)
        return {"store": in_store, "log entries": in_log, "metrics": sum(value for _, value in last.values())}


@pytest.fixture
def world(tmp_path):
    with CloudLogging() as cloud, Receiver() as receiver:
        yield World(tmp_path, cloud, receiver)


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def request(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=ENOUGH) as response:
        assert response.read() == b"ok"


def serve_and_stop(world, port, *command, requests=40):
    """Start a server, send requests for some seconds, stop it with SIGTERM."""
    world.write("application.py", APPLICATION)
    server = world.start(*command)
    try:
        def answers():
            assert server.poll() is None, world.output
            try:
                request(port)
            except OSError:
                return False
            return True

        until(answers)
        for _ in range(requests - 1):
            request(port)
            time.sleep(0.05)
        server.send_signal(signal.SIGTERM)
        assert server.wait(ENOUGH) in (0, -signal.SIGTERM), world.output
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()


def agree(world):
    world.deliver_the_rest()
    truth = world.truth
    assert world.counted() == dict.fromkeys(("store", "log entries", "metrics"), truth), world.output
    return truth


@pytest.mark.parametrize("preload", [pytest.param(False, id="each-worker-imports", marks=pytest.mark.slow), pytest.param(True, id="preload")])
def test_gunicorn(world, preload):
    port = free_port()
    options = ["--preload"] if preload else []
    serve_and_stop(world, port, BIN / "gunicorn", "-w", 2, "-b", f"127.0.0.1:{port}", *options, "application:application")
    assert agree(world) == 40 + (5 if preload else 10)


def test_uvicorn_workers(world):
    port = free_port()
    serve_and_stop(world, port, BIN / "uvicorn", "--workers", 2, "--port", port, "--log-level", "warning", "application:asgi")
    assert agree(world) >= 40 + 10


@pytest.mark.slow
def test_celery_prefork(world):
    pytest.importorskip("celery")
    world.write("tasks.py", TASKS)
    sender = [sys.executable, "-c", "import tasks\nfor _ in range(30): tasks.use.delay()"]
    quiet = {key: value for key, value in world.env.items() if key != "LASTCALL_ENABLED"}
    subprocess.run(sender, cwd=world.folder, env=quiet, check=True, timeout=60)
    worker = world.start(BIN / "celery", "-A", "tasks", "worker", "-c", "2", "--pool", "prefork", "--loglevel", "WARNING", "--without-gossip",
                         "--without-mingle", "--without-heartbeat")
    try:
        def have_run():
            assert worker.poll() is None, world.output
            return (world.folder / "truth").exists() and world.truth == 30

        until(have_run)
        worker.send_signal(signal.SIGTERM)
        worker.wait(ENOUGH)
    finally:
        if worker.poll() is None:
            worker.kill()
            worker.wait()
    assert agree(world) == 30


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_multiprocessing(world, method):
    """5 uses before the fork, one in each of two children, one after: 8. The SDK's own counters make it 18."""
    world.write("multi.py", MULTI)
    assert world.start(sys.executable, "multi.py", method).wait(60) == 0, world.output
    assert agree(world) == 8
    assert world.output == ""


def test_a_script_killed_by_sigterm_or_sigkill(world):
    world.write("terminated.py", TERMINATED)
    for number in (signal.SIGTERM, signal.SIGKILL):
        script = subprocess.Popen([sys.executable, "terminated.py"], cwd=world.folder, env=world.env, stdout=subprocess.PIPE)
        assert script.stdout.readline() == b"ready\n"
        script.send_signal(number)
        assert script.wait(ENOUGH) == -number
        script.stdout.close()
    agree(world)


def test_both_backends_dead_then_back_everything_is_there(world):
    world.cloud.stop()
    world.receiver.stop()
    world.write("multi.py", MULTI)
    assert world.start(sys.executable, "multi.py", "fork").wait(60) == 0
    assert world.output == ""
    world.cloud.start()
    world.receiver.start()
    assert agree(world) == 8
    uses = [use for use in world.cloud.payloads("use") if use["first"]]
    assert len({(use["process"], use["site"]) for use in uses}) == len(uses)
    assert json.loads(json.dumps(uses[0]))["target"] == TARGET


SPANNED = """
from opentelemetry import trace
import shim, waiting

def current():
    context = trace.get_current_span().get_span_context()
    print(f"{context.trace_id:032x} {context.span_id:016x}", flush=True)

shim.os.fsencode = lambda path: current()
for _ in range(15):
    shim.inner()
    waiting.rounds()         # the agent's thread samples busy sites meanwhile, where nothing is spanned
"""


def test_with_all_spans_every_use_has_one_span_which_was_current_during_it(world):
    world.write("spanned.py", SPANNED)
    (world.folder / "shim.py").write_text("import os\n\ndef inner():\n    os.fsencode('')\n")
    world.env |= {"LASTCALL_TARGETS": "shim:inner", "LASTCALL_SPANS": "all", "LASTCALL_SPAN_BUDGET": "600"}
    assert world.start(sys.executable, "spanned.py").wait(60) == 0, world.output
    during = world.output.split("\n")[:-1]
    world.deliver_the_rest()
    assert len(set(during)) == 15
    assert sorted(f"{span.trace_id.hex()} {span.span_id.hex()}" for span, *_ in world.receiver.spans()) == sorted(during)
    assert sum(attributes["lastcall.count"] for _, attributes, _ in world.receiver.spans()) == 15


def test_even_a_process_too_short_for_a_flush_speaks_for_one_that_was_killed_and_else_leaves_the_database_alone(world):
    world.write("clean.py", "import shim\nshim.old()\n")
    world.write("killed.py", "import os, shim\nshim.old()\nos.kill(os.getpid(), 9)\n")
    interval, world.env["LASTCALL_FLUSH_INTERVAL"] = world.env["LASTCALL_FLUSH_INTERVAL"], "600"
    for _ in range(2):
        assert world.start(sys.executable, "clean.py").wait(60) == 0, world.output
        assert not (world.folder / "store.db").exists()
    assert world.start(sys.executable, "killed.py").wait(60) == -signal.SIGKILL
    assert world.start(sys.executable, "clean.py").wait(60) == 0, world.output
    assert any("orphan" in path.read_text() for path in world.folder.glob("store.db-spool/gcp/*.items")) or any(
        statement.get("orphan") for statement in world.cloud.payloads("observation"))
    world.env["LASTCALL_FLUSH_INTERVAL"] = interval
    assert agree(world) == 4


def test_the_statement_made_for_a_killed_process_says_which_of_its_uses_are_allowed(world):
    world.write("lastcall.toml", f"""
        [[target]]
        ref = "{TARGET}"
        allow = [{{ caller = "excused", reason = "the factory itself", until = "2999-01-31" }}]
        """)
    world.write("excused.py", "import shim\n\ndef use():\n    shim.old()\n")
    world.write("killed.py", "import os, shim, excused\nshim.old()\nexcused.use()\nos.kill(os.getpid(), 9)\n")
    assert world.start(sys.executable, "killed.py").wait(60) == -signal.SIGKILL, world.output
    world.deliver_the_rest()
    rows = [row for statement in world.cloud.payloads("observation") if statement.get("orphan") for row in statement["counts"]]
    assert {row["module"]: row.get("allowed", False) for row in rows} == {"__main__": False, "excused": True}
