"""`lastcall ui --source gcp` shows what `lastcall ui` shows: one fleet, its store here and its log entries there.

Real processes with the real exporter, and the real client against the loopback Cloud Logging service.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from itertools import zip_longest
from pathlib import Path
from urllib.parse import quote

import pytest

pytest.importorskip("starlette", reason="the extra web is not installed")
from asgi_client import Client
from lastcall import config as settings
from lastcall.exporters import ExporterSettings
from lastcall.exporters.gcp import GcpExporter
from lastcall.exporters.gcp_clients import rest_client
from lastcall.sources.gcp import GcpSource
from lastcall.store import Store
from lastcall.web import keeping
from lastcall.web.app import application
from loopback.cloud_logging import CloudLogging
from waiting import ENOUGH, until
from worlds import WAITING

ROOT = Path(__file__).parents[1]
TARGETS = ("shim:old", "shim:boom", "shim:never", "shim:Box", "shim:gone", "not_imported:thing")
PAGES = {
    "overview": "/",
    "targets": "/targets",
    **{ref: f"/target?ref={quote(ref)}&sort=place" for ref in TARGETS},
    "isolation": "/isolation",
    "impact": "/impact",
    "observation": "/observation",
}

SHIM = """
def old(x):
    return x

def boom():
    raise KeyError("no")

def never():
    pass

class Box:
    def __init__(self, owner):
        pass
"""

APP = """
import sys
from time import time_ns
import shim, waiting
from shim import never as kept

def checkout():
    return shim.old(1)

def nightly():
    return shim.old(2)

def failing():
    try:
        shim.boom()
    except KeyError:
        pass

for _ in range(TIMES):
    checkout()
nightly()
failing()
shim.Box(None)
waiting.rounds()
checkout()

# All that is said at the end is said as of one moment: on a busy machine the store would hear last words later than the log.
end = time_ns()
for name in "lastcall.agent", "lastcall.exporting":
    vars(sys.modules[name]).update(time_ns=lambda: end, time=lambda: end / 1e9)
sys.modules["lastcall.bootstrap"].life()._agent.recorder.clock = lambda: end
"""

CONFIG = """
[lastcall]
environment = "staging"
[[target]]
ref = "shim:old"
replacement = "shop:new"
remove_by = "2024-12-31"
owner = "pricing"
allow = [{ caller = "__main__:nightly", reason = "moves with the report", until = "2099-01-31" }]
[[target]]
ref = "shim:boom"
[[target]]
ref = "shim:never"
[[target]]
ref = "shim:Box"
isolation = { owner = "owner" }
[[target]]
ref = "shim:gone"
[[target]]
ref = "not_imported:thing"
"""


def environment(**more):
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("LASTCALL_", "OTEL_", "GOOGLE_"))}
    return {**kept, "PYTHONPATH": f"{ROOT}:{ROOT / 'agent'}", **more}


@pytest.fixture(scope="module")
def cloud():
    with CloudLogging() as service:
        yield service


@pytest.fixture(scope="module")
def fleet(cloud, tmp_path_factory):
    """Two services, one of them in two releases; all entries have arrived. The folder of their store."""
    folder = tmp_path_factory.mktemp("fleet")
    (folder / "shim.py").write_text(SHIM)
    (folder / "waiting.py").write_text(WAITING)
    (folder / "lastcall.toml").write_text(textwrap.dedent(CONFIG))
    store = str(folder / "store.db")
    for times, service, release in ((5, "shop", "6"), (7, "shop", "7"), (3, "worker", "7")):
        # One line more in each: a caller that moved.
        (folder / "app.py").write_text("\n" * times + APP.replace("TIMES", str(times)))
        env = environment(LASTCALL_ENABLED="1", LASTCALL_EXPORTERS="store,gcp", LASTCALL_STORE=store, LASTCALL_FLUSH_INTERVAL="600", LASTCALL_SERVICE=service,
                          LASTCALL_RELEASE=release, GOOGLE_CLOUD_PROJECT="demo", LASTCALL_GCP_ENDPOINT=cloud.rest_endpoint)  # fmt: skip
        subprocess.run([sys.executable, "app.py"], cwd=folder, env=env, check=True, timeout=60)
    # What a process could not send in its time is sent by the next one; here by us.
    exporter = GcpExporter(ExporterSettings(gcp_project="demo", gcp_endpoint=cloud.rest_endpoint, store=store))
    assert exporter.force_flush(10)
    exporter.shutdown(1)
    return folder


class Shown:
    """The command, serving."""

    def __init__(self, folder, cloud, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lastcall", "ui", "--no-open", "--port", "0", *arguments], cwd=folder, text=True,
            env=environment(LASTCALL_GCP_ENDPOINT=cloud.rest_endpoint), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        line = self.process.stdout.readline()
        assert "http://" in line, self.process.communicate(timeout=ENOUGH)[1]
        self.address = re.search(r"http://127\.0\.0\.1:\d+", line).group()

    def page(self, path):
        try:
            with urllib.request.urlopen(self.address + path, timeout=ENOUGH) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.read().decode()

    def judged(self):
        until(lambda: "Judging" not in self.page("/targets"))

    def stop(self):
        """Ends it; what it said on stderr."""
        self.process.send_signal(signal.SIGINT)
        _, errors = self.process.communicate(timeout=ENOUGH)
        return errors

    def kill(self):
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def config(fleet):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(fleet)
        yield settings.load({})


@pytest.fixture
def from_cloud(cloud, config):
    source = GcpSource("demo", lambda: rest_client("demo", cloud.rest_endpoint))
    keeper = keeping.Keeper("", lambda: source.gather((), 0.0), config)
    yield keeper
    keeper.stop()


@pytest.fixture(scope="module")
def both(fleet, cloud, config):
    """The application over the store, and over the log; both read at one moment, for verdicts go by the second."""
    source = GcpSource("demo", lambda: rest_client("demo", cloud.rest_endpoint))
    now = time.time()
    keepers = [
        keeping.Keeper(str(fleet / "store.db"), lambda: Store.current(fleet / "store.db"), config, clock=lambda: now),
        keeping.Keeper("", lambda: source.gather((), 0.0), config, clock=lambda: now),
    ]
    for keeper in keepers:
        keeper.refresh()
    yield [Client(application(lambda keeper=keeper: keeper.board)) for keeper in keepers]
    for keeper in keepers:
        keeper.stop()


MEASURED = re.compile(r'(?<=datetime=")[^"]+|(?<=title=")[0-9T:Z-]{20}(?=")|[\d.,]+(?= %| an hour| a day)|\d+ seconds?')
"""What goes by observed time. At an exit the store hears last words a few milliseconds after the log did."""
GAPS = re.compile(r"<li>(?:(?!</li>).)*Not all of the time since the last use was observed.*?</li>", re.DOTALL)
"""How much of the time since the last use was observed: here of those same milliseconds."""


def comparable(page):
    """(a page without what tells when it was read and from where, what was measured in it)."""
    page = page[page.index("<main") : page.index('<footer class="foot"')]
    page = re.sub(r"(<time[^>]*>)[^<]*(</time>)", r"\1\2", page)
    page = GAPS.sub("", page)
    page = re.sub(r'id="(site|stack)-\d+"', r'id="\1"', page)
    measured = [instant(text) if "T" in text else float(text.split()[0].replace(",", "")) for text in MEASURED.findall(page)]
    return re.sub(r"\s+", " ", MEASURED.sub("#", page)), measured


def instant(text):
    return dt.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


@pytest.mark.parametrize("name", list(PAGES))
def test_a_page_is_the_same_from_either_source(both, name):
    local, fleet = (comparable(each.get(PAGES[name]).text) for each in both)
    different = [pair for pair in zip_longest(fleet[0].split(">"), local[0].split(">")) if pair[0] != pair[1]]
    assert different[:3] == []
    for one, other in zip(fleet[1], local[1], strict=True):
        # Instants and lengths of time to some seconds, which a busy machine takes to send; rates to a twentieth.
        assert one == pytest.approx(other, abs=10 if one > 1e9 else 1.01, rel=0 if one > 1e9 else 0.05)


def test_the_pages_compared_say_something(both):
    from_log = both[1]
    page = from_log.get(PAGES["shim:old"]).text
    for word in ("app.py", "checkout", "nightly", "worker", "In use", "2024-12-31", "Cloud Logging", "allowed"):
        assert word in page
    # 5 + 7 + 3 in a loop, once a night and once at the end in each.
    assert "<dd>21 <span" in page
    assert "an object was made for no owner" in from_log.get("/isolation").text
    observation = from_log.get("/observation").text
    assert "is not there" in observation or "has no" in observation
    assert "No process has run" not in observation


def test_the_command_serves_them(fleet, cloud):
    shown = Shown(fleet, cloud, "--source", "gcp", "--project", "demo")
    try:
        shown.judged()
        assert "<dd>21 <span" in shown.page(PAGES["shim:old"])
        assert "Traceback" not in shown.stop()
    finally:
        shown.kill()


def test_a_service_that_goes_down_is_said_and_the_last_pages_stay(cloud, from_cloud):
    from_cloud.refresh()
    before = from_cloud.board
    assert before.targets["shim:old"].sums.uses == 21
    cloud.behave("quota")
    try:
        from_cloud.refresh()
    finally:
        cloud.behave()
    assert "Cannot read Cloud Logging of project demo" in from_cloud.board.problem
    assert from_cloud.board.targets == before.targets
    assert from_cloud.board.version != before.version
    page = Client(application(lambda: from_cloud.board)).get(PAGES["shim:old"]).text
    assert "Not up to date" in page
    assert "<dd>21 <span" in page
    from_cloud.refresh()
    assert from_cloud.board.problem == ""


def test_it_is_asked_again_soon_after_it_failed_and_not_all_the_time_else(cloud, from_cloud, monkeypatch):
    monkeypatch.setattr(keeping, "LOOK", 0.05)
    monkeypatch.setattr(keeping, "RETRY", 0.1)
    cloud.behave("deny")
    try:
        from_cloud.start()
        assert "No permission" in from_cloud.board.problem
    finally:
        cloud.behave()
    until(lambda: from_cloud.board.targets and not from_cloud.board.problem)
    read = cloud.pages
    time.sleep(0.5)
    assert cloud.pages == read


def test_a_service_that_is_down_from_the_start_gives_an_honest_page(fleet, cloud):
    cloud.behave("deny")
    try:
        shown = Shown(fleet, cloud, "--source", "gcp", "--project", "demo")
        try:
            page = shown.page("/")
            assert "No permission to read Cloud Logging of project demo" in page
            assert "roles/logging.viewer" in page
            assert "There is no store at" not in page
            assert "Nothing could be read yet" in page
            assert "LASTCALL_ENABLED=1" not in page
            assert "Traceback" not in shown.stop()
        finally:
            shown.kill()
    finally:
        cloud.behave()
