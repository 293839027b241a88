"""Thin evidence is never `safe`: stores written by real processes, grown old, against one that is safe.

Each process runs for a moment; `aged` then moves its start ninety days back, as if it had run since.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import command_line
from lastcall.journal import live_folder
from lastcall.store import Store
from worlds import WAITING, plain_environment

DAY = 86_400.0
OLD = 90 * DAY
TARGET = "shop.legacy:never"
FILES = {
    "shop/__init__.py": "",
    "shop/legacy.py": "LIMIT = 3\n\n\ndef never():\n    return None\n\n\ndef often():\n    return 1\n",
    "shop/fickle.py": "import os\nif os.environ.get('HAS_IT'):\n    def never():\n        return None\n",
}
IMPORTS_IT = "import shop.legacy\n"
STAYS_AWAY = "import shop\n"
CONFIG = """
[lastcall]
environment = "staging"
[[target]]
ref = "shop.legacy:never"
[[target]]
ref = "shop.legacy:often"
[[target]]
ref = "shop.fickle:never"
[[target]]
ref = "shop.legacy:LIMIT"
[[target]]
ref = "json.decoder:JSONDecoder.decode"
"""


class Fleet:
    """A folder with an application, the ways to run it, and the store that its processes share."""

    def __init__(self, folder):
        self.folder = folder / "application"
        self.elsewhere = folder / "elsewhere"
        """A folder from which neither configuration nor source is seen."""
        for part in (self.folder, self.elsewhere, self.folder / "source"):
            part.mkdir()
        for name, text in {**FILES, "lastcall.toml": CONFIG, "waiting.py": WAITING}.items():
            path = self.folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        (self.folder / "source" / "app.py").write_text("VALUE = 1\n")

    def run(self, code, service="backend", release="1", before="", check=True, **environ):
        """Run `code` with the agent; `before` runs before the agent starts."""
        more = {"LASTCALL_SERVICE": service, "LASTCALL_RELEASE": release, **environ}
        paths = os.pathsep.join([str(self.folder), *(part for part in sys.path if part)])
        start = f"{before}import lastcall.bootstrap as b; b.start()\n"
        return subprocess.run(
            [sys.executable, "-c", start + textwrap.dedent(code)],
            cwd=self.folder, env={**plain_environment(), "PYTHONPATH": paths, **more},
            check=check, timeout=60, capture_output=True, text=True,
        )  # fmt: skip

    @property
    def store(self):
        return self.folder / ".lastcall" / "store.db"

    def aged(self, *, service="", seconds=OLD, whole=False):
        """Move the start of a service's processes back in time; with `whole` their end, too."""
        with Store.current(self.store) as store, store._database.transaction() as connection:
            chosen = (
                "(SELECT p.id FROM process p JOIN scope c ON c.id = p.scope"
                " WHERE :service = '' OR c.service = :service)"
            )
            given = {"service": service, "by": seconds}
            for statement in (
                f"UPDATE process SET started = started - :by WHERE id IN {chosen}",
                f"UPDATE observed SET since = since - :by WHERE process IN {chosen}",
                f"UPDATE target_state SET since = since - :by, until = until - :by WHERE process IN {chosen}",
                *(
                    (
                        f"UPDATE process SET seen = seen - :by, ended = ended - :by WHERE id IN {chosen}",
                        f"UPDATE observed SET until = until - :by WHERE process IN {chosen}",
                    )
                    if whole
                    else ()
                ),
            ):
                connection.execute(statement, given)
        return self

    def verdict(self, *options, ref=TARGET, path="source"):
        """The word, and the codes of the reasons that block; the exit code must say the same."""
        paths = ("--path", path) if path else ("--store", str(self.store))
        done = command_line.lastcall(
            "check", ref, "--format", "json", *options, *paths,
            cwd=self.folder if path else self.elsewhere, env=plain_environment(),
        )  # fmt: skip
        assert done.stdout, done.stderr
        (entry,) = json.loads(done.stdout)["verdicts"]
        assert done.returncode == {"safe": 0, "in-use": 1, "unproven": 2}[entry["verdict"]]
        return entry["verdict"], {r["code"] for r in entry["reasons"] if r["blocks"]}


@pytest.fixture
def fleet(tmp_path):
    return Fleet(tmp_path)


def test_the_control_armed_for_ninety_days_without_a_use_is_safe(fleet):
    fleet.run(IMPORTS_IT)
    assert fleet.aged().verdict() == ("safe", set())


def test_a_target_that_was_only_ever_pending_is_unproven(fleet):
    fleet.run(STAYS_AWAY)
    fleet.aged()
    for path in ("source", ""):
        word, codes = fleet.verdict(path=path)
        assert word == "unproven"
        assert "never-armed" in codes


def test_and_so_it_is_where_others_were_armed_and_its_definition_is_known(fleet):
    """Its module is there and other targets of the same processes were armed: it all the same was not."""
    fleet.run(IMPORTS_IT)
    for _ in range(2):
        fleet.run(IMPORTS_IT)
    word, codes = fleet.aged().verdict(ref="shop.fickle:never")
    assert (word, "never-armed" in codes) == ("unproven", True)


def test_a_service_that_only_ever_had_it_pending_keeps_it_from_safe_unless_the_source_was_read(fleet):
    fleet.run(IMPORTS_IT)
    fleet.run(STAYS_AWAY, service="batch")
    fleet.aged(seconds=2000 * DAY)
    word, codes = fleet.verdict(path="")
    assert word == "unproven"
    assert codes == {"only-pending"}
    assert fleet.verdict("--ignore", "service=batch", path="")[0] == "safe"
    # No line of the source refers to it: what is not imported there cannot reach it tomorrow either.
    assert fleet.verdict() == ("safe", set())


def test_processes_of_one_service_that_stay_away_take_nothing_from_those_that_do_not(fleet):
    fleet.run(IMPORTS_IT)
    fleet.run(STAYS_AWAY)
    assert fleet.aged().verdict() == ("safe", set())


@pytest.mark.parametrize(
    ("code", "before", "ref", "state"),
    [
        ("import shop.fickle\n", "", "shop.fickle:never", "missing"),
        ("", "import shop.legacy\n", "shop.legacy:LIMIT", "partial"),
        ("import json\n", "import lastcall.patch as p\np.Patcher.arm_callable = None\n",
         "json.decoder:JSONDecoder.decode", "failed"),
    ],
)  # fmt: skip
def test_one_process_that_could_not_see_it_is_enough(fleet, code, before, ref, state):
    fleet.run(f"import {ref.partition(':')[0]}\n", HAS_IT="1")
    fleet.run(code, before=before)
    fleet.aged()
    with Store.open(fleet.store) as store:
        states = {row.state.state for row in store.states() if row.until is None and row.state.ref == ref}
    assert states == {"armed", state}
    word, codes = fleet.verdict(ref=ref)
    assert word == "unproven"
    assert "not-armed" in codes


ALIASED = """import vendored.shop.legacy, shop.legacy, waiting
sys.modules["alias.shop.legacy"] = shop.legacy
waiting.rounds()
"""


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("import legacy\n", "unproven"),  # by a process that meets no target
        ("import shop.legacy, legacy, waiting\nwaiting.rounds()\n", "unproven"),
        # a copy is no second name, and one module under two names is no second module
        (ALIASED, "safe"),
    ],
)
def test_a_second_module_of_the_same_file_is_not_seen_and_said_so(fleet, code, word):
    copy = fleet.folder / "vendored" / "shop" / "legacy.py"
    copy.parent.mkdir(parents=True)
    copy.write_text(FILES["shop/legacy.py"])
    fleet.run(IMPORTS_IT)
    fleet.run(f"import sys\nsys.path.insert(0, {str(fleet.folder / 'shop')!r})\n{code}")
    assert fleet.aged().verdict() == (word, {"not-armed"} if word == "unproven" else set())


WITHOUT_IT = '[lastcall]\nenvironment = "staging"\n[[target]]\nref = "shop.legacy:often"\n'


@pytest.mark.parametrize("release", ["1", "2"])
def test_a_process_of_its_service_that_does_not_have_it_among_its_targets_is_enough(fleet, release):
    """Started before it was named, from another folder, or with a release that had lost the entry."""
    (fleet.folder / "without.toml").write_text(WITHOUT_IT)
    fleet.run(IMPORTS_IT)
    fleet.run(IMPORTS_IT, release=release, LASTCALL_CONFIG=str(fleet.folder / "without.toml"))
    word, codes = fleet.aged().verdict()
    assert (word, codes) == ("unproven", {"not-armed"})
    assert fleet.verdict(ref="shop.legacy:often") == ("safe", set())


def test_a_process_whose_wildcard_no_longer_covers_it_is_enough_and_one_that_imported_nothing_is_not(fleet):
    for name, ref in (("covers", "shop.**:nev*"), ("narrow", "shop.**:new*")):
        (fleet.folder / f"{name}.toml").write_text(f'[lastcall]\nenvironment = "staging"\n[[target]]\nref = "{ref}"\n')
    covers, narrow = ({"LASTCALL_CONFIG": str(fleet.folder / f"{name}.toml")} for name in ("covers", "narrow"))
    fleet.run(IMPORTS_IT, **covers)
    child = "import os, waiting\nwaiting.rounds()\nif not os.fork():\n    waiting.rounds()\nelse:\n    os.wait()\n"
    fleet.run(child, **covers)
    assert fleet.aged().verdict() == ("safe", set())
    fleet.run(IMPORTS_IT, **narrow)
    assert fleet.verdict() == ("unproven", {"not-armed"})


def test_a_release_without_it_that_is_gone_for_as_long_as_silence_is_asked_for_is_history(fleet):
    (fleet.folder / "without.toml").write_text(WITHOUT_IT)
    fleet.run(IMPORTS_IT, release="0", LASTCALL_CONFIG=str(fleet.folder / "without.toml"))
    fleet.aged(seconds=40 * DAY, whole=True)
    fleet.run(IMPORTS_IT)
    with Store.current(fleet.store) as store, store._database.transaction() as connection:
        newest = "(SELECT max(id) FROM process)"
        connection.execute(f"UPDATE process SET started = started - {OLD} WHERE id = {newest}")
        connection.execute(f"UPDATE observed SET since = since - {OLD} WHERE process = {newest}")
        connection.execute(f"UPDATE target_state SET since = since - {OLD} WHERE process = {newest}")
    assert fleet.verdict() == ("safe", set())


def test_forked_children_and_those_that_end_at_once_have_its_targets_too(fleet):
    fleet.run("import os\npid = os.fork()\npid or os._exit(0)\nos.waitpid(pid, 0)\nimport shop.legacy\n"
              "pid = os.fork()\npid or os._exit(0)\nos.waitpid(pid, 0)\n")
    assert fleet.aged().verdict() == ("safe", set())


def test_a_dropped_call_site_keeps_it_from_safe(fleet):
    lines = "\n".join(f"legacy.often()  # {n}" for n in range(5))
    fleet.run(f"from shop import legacy\n{lines}\n", LASTCALL_MAX_SITES="2")
    word, codes = fleet.aged().verdict()
    assert (word, codes) == ("unproven", {"lossy"})


def test_an_internal_error_keeps_it_from_safe(fleet):
    fleet.run("import shop.legacy\nfrom lastcall.errors import internal_errors\n"
              "internal_errors.add('count', RuntimeError('made by a test'))\n")
    word, codes = fleet.aged().verdict()
    assert (word, codes) == ("unproven", {"lossy"})


def test_an_agent_that_crashed_at_start_is_a_service_that_was_not_observed(fleet):
    fleet.run(IMPORTS_IT)
    crashes = "import lastcall.agent\nlastcall.agent.Patcher = None\n"
    assert fleet.run("import shop.legacy\nprint('served')\n", "worker", before=crashes).stdout == "served\n"
    fleet.aged()
    word, codes = fleet.verdict("--require", "service=backend", "--require", "service=worker")
    assert word == "unproven"
    assert codes & {"service-missing", "not-watched", "lossy"}


def test_a_backend_that_was_away_does_not(fleet):
    away = {"LASTCALL_EXPORTERS": "store,otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    fleet.run("import shop.legacy, waiting\nwaiting.rounds()\n", **away)
    with Store.open(fleet.store) as store:
        assert any(name.startswith("otlp-") for row in store.processes() for name, _ in row.internal_errors)
    assert fleet.aged().verdict() == ("safe", set())


def test_what_another_users_process_left_and_nobody_here_may_read_keeps_it_from_safe(fleet):
    fleet.run(IMPORTS_IT)
    journal = Path(live_folder(str(fleet.aged().store))) / "aa01.journal"
    journal.symlink_to(journal)  # root may read everything, but for this
    assert fleet.verdict() == ("unproven", {"lossy"})
    done = subprocess.run([sys.executable, "-m", "lastcall", "doctor", "--quick"], cwd=fleet.folder,
                          env=plain_environment(), capture_output=True, text=True, check=False)  # fmt: skip
    assert "this user may not read what 1 process left" in " ".join(done.stdout.split())
    assert done.returncode == 1


def test_a_service_without_the_agent_for_a_week_is_silent(fleet):
    fleet.run(IMPORTS_IT)
    fleet.run(IMPORTS_IT, service="worker")
    fleet.aged()
    assert fleet.verdict() == ("safe", set())
    fleet.aged(service="worker", seconds=7 * DAY, whole=True)
    word, codes = fleet.verdict()
    assert word == "unproven"
    assert "service-silent" in codes


def test_a_whole_fleet_without_the_agent_for_a_week_is_silent(fleet):
    fleet.run(IMPORTS_IT)
    word, codes = fleet.aged().aged(seconds=7 * DAY, whole=True).verdict()
    assert word == "unproven"
    assert "service-silent" in codes


def test_a_process_that_was_killed_is_no_proof_of_the_time_after(fleet):
    fleet.run("import os\nimport shop.legacy, waiting\nwaiting.rounds()\nos.kill(os.getpid(), 9)\n", check=False)
    word, codes = fleet.verdict("--at", time.strftime("%Y-%m-%d", time.gmtime(time.time() + 90 * DAY)))
    assert word == "unproven"
    assert codes
