"""From a store to a verdict: `lastcall check` and its relatives on databases written by the real store."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
import time

import pytest

import command_line
from lastcall import config as settings
from lastcall.checking import Request, check, duration, instant, resolve, where
from lastcall.dossier import Question
from lastcall.errors import StoreError, UsageError
from lastcall.journal import FLAG_ALLOWED
from lastcall.sources import StoreSource
from lastcall.store import Store
from live_files import LiveProcess

DAY = 86_400.0
LIBRARY = {
    "shop/__init__.py": "",
    "shop/legacy.py": "def make_cart():\n    return object()\n\ndef never():\n    return None\n",
    "shop/views.py": "def checkout():\n    from shop.legacy import make_cart\n    return make_cart()\n",
    "run.py": "import shop.legacy, sys\nfrom shop.views import checkout\nfor _ in range(int(sys.argv[1])): checkout()\n",
    "lastcall.toml": """
        [lastcall]
        service = "backend"
        environment = "staging"
        [[target]]
        ref = "shop.legacy:make_cart"
        replacement = "shop.cart:Cart"
        [[target]]
        ref = "shop.legacy:never"
        """,
}


class Shop:
    """A small application, run with the agent by the environment variable alone."""

    def __init__(self, path):
        self.path = path
        for name, text in LIBRARY.items():
            self.write(name, text)
        self.kept = {k: v for k, v in os.environ.items() if not k.startswith("LASTCALL_")}
        self.kept["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)

    def write(self, name, text):
        path = self.path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))

    def serve(self, times, release="1"):
        start = "import lastcall.bootstrap as b, sys; b.start(); sys.argv = ['run.py', %r]; exec(open('run.py').read())"
        environ = {**self.kept, "LASTCALL_RELEASE": release}
        subprocess.run([sys.executable, "-c", start % str(times)], cwd=self.path, env=environ, check=True, timeout=60)

    def lastcall(self, *arguments):
        done = command_line.lastcall(*arguments, cwd=self.path, env=self.kept)
        return done.returncode, done.stdout, done.stderr

    def verdict(self, *arguments):
        code, out, err = self.lastcall("check", "--format", "json", *arguments)
        assert out, err
        document = json.loads(out)
        assert document["exit_code"] == code
        return {entry["target"]: entry for entry in document["verdicts"]}


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)


def test_a_use_just_now_is_in_use_and_names_the_line(shop):
    shop.serve(5)
    found = shop.verdict()
    used = found["shop.legacy:make_cart"]
    assert used["verdict"] == "in-use"
    assert used["uses"] == 5
    assert used["callers"][0]["file"] == "shop/views.py"
    assert {"used", "reference"} <= {r["code"] for r in used["reasons"]}
    assert found["shop.legacy:never"]["verdict"] == "unproven"


def test_a_moment_of_observation_is_not_stretched(shop):
    shop.serve(0)
    found = shop.verdict("never", "--window", "2s")
    assert found["shop.legacy:never"]["verdict"] == "unproven"


def test_a_wildcard_is_no_target_but_what_it_matched_is(shop):
    shop.write("lastcall.toml", '[[target]]\nref = "shop.**:make_*"\n[[target]]\nref = "shop.**:nowhere_*"\n')
    shop.serve(5)
    found = shop.verdict()
    assert list(found) == ["shop.legacy:make_cart"]
    assert found["shop.legacy:make_cart"]["verdict"] == "in-use"
    assert list(shop.verdict("shop.**:make_*")) == ["shop.legacy:make_cart"]
    assert shop.lastcall("explain", "make_cart")[0] == 0
    shop.write("lastcall.toml", '[[target]]\nref = "shop.**:nowhere_*"\n')
    code, _, err = shop.lastcall("check", "shop.**:nowhere_*")
    assert code == 3
    assert "nowhere_" in err


@pytest.mark.parametrize(
    "broken", ['[lastcall]\nservice = "x', "[[target]]\nrf = 'a:b'", "[[target]]\nref = 'a b'", "[lastcall]\nservce = 'x'"]
)
def test_half_a_configuration_gets_no_verdict(shop, broken):
    shop.write("lastcall.toml", broken)
    for command in (["check"], ["explain", "make_cart"], ["certificate", "make_cart", "-o", "x.json"]):
        code, _, err = shop.lastcall(*command)
        assert code == 3, err
        assert "lastcall.toml" in err
        assert "doctor" in err
        assert len(err.strip().splitlines()) == 1


def test_exit_codes_and_formats(shop):
    shop.serve(5)
    code, out, _ = shop.lastcall("check")
    assert code == 1
    assert "IN USE" in out
    assert max(map(len, out.splitlines())) <= 80
    assert shop.lastcall("check", "never")[0] == 2
    sarif = json.loads(shop.lastcall("check", "--format", "sarif")[1])
    places = {r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for r in sarif["runs"][0]["results"]}
    assert places == {"shop/views.py", "shop/legacy.py"}
    assert "::error file=shop/views.py,line=3" in shop.lastcall("check", "-f", "github")[1]
    assert "| **in-use** | `shop.legacy:make_cart` |" in shop.lastcall("check", "-f", "markdown")[1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["check", "shop.legacy:make_cat"], "Did you mean 'shop.legacy:make_cart'?"),
        (["check", "--window", "0d"], "--window"),
        (["check", "--window", "soon"], "--window"),
        (["check", "--require", "backend"], "--require takes service=NAME"),
        (["check", "--require", "service=a,service=b"], "--require takes one service"),
        (["check", "--project", "p"], "--project goes with --source gcp"),
        (["check", "--source", "gcp", "--project", "p", "--store", "s.db"], "--store goes with --source store"),
        (["check", "--path", "nowhere"], "nowhere"),
        (["check", "--at", "tomorrow"], "--at"),
        (["check", "--store", "nowhere.db"], "nowhere.db"),
        (["check", "--store", "lastcall.toml"], "lastcall.toml"),
        (["check", "--diff", "HEAD"], "BASE..HEAD"),
        (["check", "--all", "never"], "--all"),
        (["check", "-o", "no/such/folder.txt"], "no/such/folder.txt"),
        (["explain", "nothing"], "nothing"),
        (["certificate"], "Name the targets"),
        (["certificate", "--verify", "nowhere.json"], "nowhere.json"),
        (["baseline", "--since", "x"], "--since"),
        (["baseline", "--from-store"], "--reason"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_sentence_and_exit_code_3(shop, arguments, says):
    shop.serve(1)
    code, _, err = shop.lastcall(*arguments)
    assert code == 3, err
    assert says in err
    assert len(err.strip().splitlines()) == 1


def test_no_store_and_no_configuration(tmp_path):
    empty = Shop(tmp_path)
    (tmp_path / "lastcall.toml").unlink()
    code, _, err = empty.lastcall("check")
    assert code == 3
    assert "store" in err


def test_the_story_of_a_target(shop):
    shop.serve(5)
    code, out, err = shop.lastcall("explain", "make_cart")
    assert code == 0, err
    for part in ("Who used it", "checkout (shop/views.py:3)", "Who still refers to it", "Who was watching", "What stands in the way"):
        assert part in out


def test_the_story_spells_names_as_they_are(shop):
    shop.write("lastcall.toml", '[[target]]\nref = "shop.legacy:make_cart"\nreplacement = "shop.carts:Cart"\nowner = "Team A"\n')
    shop.serve(5)
    _, out, _ = shop.lastcall("explain", "make_cart")
    assert "Replaced by shop.carts:Cart; owned by Team A." in out


def test_silence_is_not_said_to_be_all_there_is_where_the_callers_code_is_still_there(shop):
    shop.serve(5)
    [reason] = [r for r in shop.verdict("make_cart", "--path", ".")["shop.legacy:make_cart"]["reasons"] if r["code"] == "too-short"]
    assert reason["text"].endswith("because the code of checkout (shop/views.py:3) is still there.")
    assert "--path" not in reason["remedy"]


def test_a_hostile_release_drives_no_terminal(shop):
    shop.serve(1, release="r\x1b]0;title\x07")
    for arguments in (("check",), ("explain", "make_cart"), *(("check", "--format", name) for name in ("markdown", "sarif", "github", "json"))):
        _code, out, err = shop.lastcall(*arguments)
        assert "title" in out + err or arguments[-1] in ("sarif", "github")
        assert not {"\x1b", "\x07"} & {*out, *err}, arguments


def test_a_certificate_from_the_command_line(shop):
    shop.serve(5)
    code, out, _ = shop.lastcall("certificate", "make_cart", "-o", "c.json")
    assert code == 1
    assert "sha256:" in out
    assert shop.lastcall("certificate", "--verify", "c.json")[0] == 1
    (shop.path / "c.json").write_text((shop.path / "c.json").read_text().replace('"in-use"', '"safe"'))
    assert shop.lastcall("certificate", "--verify", "c.json")[0] == 3


def test_a_baseline_from_the_store(shop):
    shop.serve(5)
    assert shop.lastcall("baseline")[0] == 1
    assert shop.lastcall("baseline", "--from-store", "--reason", "before the migration")[0] == 0
    text = (shop.path / "lastcall-baseline.toml").read_text()
    assert 'caller = "shop.views:checkout"' in text
    assert "line" not in text.partition("[[use]]")[2]
    assert shop.lastcall("baseline")[0] == 0
    (shop.path / "empty.db").touch()
    code, _, err = shop.lastcall("baseline", "--update", "--store", "empty.db")
    assert (code, "No process was watched within 30d" in err) == (3, True)
    assert (shop.path / "lastcall-baseline.toml").read_text() == text


def test_what_the_pull_request_deletes_is_judged_alone(shop):
    def git(*arguments):
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *arguments], cwd=shop.path, check=True, capture_output=True)

    shop.serve(5)
    git("init", "-q")
    git("add", "shop")
    git("commit", "-q", "-m", "before")
    shop.write("shop/legacy.py", "def never():\n    return None\n")
    git("commit", "-q", "-a", "-m", "after")
    code, out, _ = shop.lastcall("check", "--diff", "HEAD~..HEAD", "--format", "json")
    assert code == 1
    (verdict,) = json.loads(out)["verdicts"]
    assert verdict["target"] == "shop.legacy:make_cart"
    assert "removed-by-change" in {r["code"] for r in verdict["reasons"]}
    # the line that the deletion breaks is found although the definition is gone
    assert ("shop/views.py", 3) in {(r["file"], r["line"]) for r in verdict["references"]}
    assert shop.lastcall("check", "--diff", "HEAD..HEAD")[0] == 0


def judged(path, question, now, *refs):
    config = settings.load(environ={}, cwd=str(path.parent))
    config.targets.clear()
    config.root = str(path.parent / "nowhere")
    request = Request(refs, question, (), now)
    return {v.target.ref: v for v in check(request, StoreSource(str(path)), config)}


@pytest.mark.parametrize("ref", ["pkg.mod:old", "pkg.**:o*"])
@pytest.mark.parametrize(
    ("until", "when_counted", "word"),
    [("2026-11-30", FLAG_ALLOWED, "unproven"), ("2026-11-10", FLAG_ALLOWED, "in-use"), ("2026-11-30", 0, "unproven")],
)  # fmt: skip
def test_the_allow_list_is_asked_as_it_is_today(tmp_path, ref, until, when_counted, word):
    """Whatever it said when the use was counted: an entry that ran out counts again, a new one holds at once."""
    at = instant("2026-11-19")
    process = LiveProcess(tmp_path / "store.db", started=at).target().state()
    process.site(0, flags=when_counted).count(0, 3).append("E", int(at * 1e9), "exit")
    process.close()
    entry = f"{{ caller = 'pkg.caller', until = {until!r} }}"
    (tmp_path / "lastcall.toml").write_text(f"[[target]]\nref = {ref!r}\nallow = [{entry}]\n")
    config = settings.load(environ={}, cwd=str(tmp_path))
    request = Request((), Question(), (), instant("2026-11-20"))
    (verdict,) = check(request, StoreSource(str(tmp_path / "store.db")), config)
    assert verdict.word == word
    assert ("allowed" in {reason.code for reason in verdict.reasons}) == (word == "unproven")


@pytest.mark.parametrize(
    ("told", "has", "blind"),
    [
        ("pkg.*:old*", "pkg.*:old*", False),
        ("pkg.*:old*", "pkg.*:new*", True),
        ("pkg.*:old*", "pkg.other:thing", True),
        ("pkg.other:thing", "pkg.other:thing", False),  # nobody told of the wildcard: an older agent to Cloud Logging
    ],
)
def test_a_wildcard_that_no_longer_covers_a_target_leaves_it_unwatched(tmp_path, told, has, blind):
    """Who has the wildcard and never imported the module would have seen a use; who has another one would not."""
    at = instant("2026-11-19")
    with_it = LiveProcess(tmp_path / "store.db", started=at).target(told).state(told)
    with_it.append("T", "pkg.mod:old", "function", *[""] * 7, "", 0, "wildcard")
    with_it.state().append("E", int((at + 60) * 1e9), "exit")
    with_it.close()
    other = LiveProcess(tmp_path / "store.db", "aa02", started=at).target(has).state(has, "pending")
    other.append("E", int((at + 60) * 1e9), "exit")
    other.close()
    config = settings.load(environ={}, cwd=str(tmp_path))
    request = Request(("pkg.mod:old",), Question(), (), instant("2026-11-20"))
    (verdict,) = check(request, StoreSource(str(tmp_path / "store.db")), config)
    assert ("not-armed" in {reason.code for reason in verdict.reasons}) == blind


def test_a_store_that_is_known_by_a_link_has_its_live_files_beside_itself(tmp_path, monkeypatch):
    """A process is told the link, who asks names the file, or the other way round."""
    (tmp_path / "data").mkdir()
    (tmp_path / "link.db").symlink_to("data/real.db")
    assert settings.store_path("link.db", str(tmp_path)) == f"{tmp_path}/data/real.db"
    (tmp_path / "lastcall").mkdir()
    (tmp_path / "lastcall" / "store.db").symlink_to("../data/real.db")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert settings.store_path("", "") == f"{tmp_path}/lastcall/../data/real.db"
    at = instant("2026-11-19")
    killed = LiveProcess(tmp_path / "data" / "real.db", started=at).target().state().site(0).count(0, 3)
    killed.close()
    config = settings.load(environ={}, cwd=str(tmp_path))
    (verdict,) = check(Request((), Question(), (), instant("2026-11-20")), StoreSource(str(tmp_path / "link.db")), config)
    assert (verdict.word, verdict.uses) == ("in-use", 3)


@pytest.mark.parametrize("last_sign", [60.0, 2 * DAY])
def test_a_copy_of_a_living_store_does_not_take_its_processes_for_dead(tmp_path, last_sign):
    """Nobody holds the locks of a copy. The release that used the target would be gone, and its code with it."""
    now = time.time()
    (tmp_path / "source" / "pkg").mkdir(parents=True)
    live = []
    for release, days in (("1", 100), ("2", 50)):
        process = LiveProcess(tmp_path / "one" / "store.db", f"aa0{release}", release=release, started=now - days * DAY)
        process.target().state()
        if release == "1":
            process.site(0, at=now - 60 * DAY, file="/srv/app/pkg/caller_0.py").count(0, 1)
        process.beat(now - (last_sign if release == "1" else 0))
        live.append(process)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    config = settings.load(environ={}, cwd=str(tmp_path))
    request = Request((), Question(), (tmp_path / "source",), now)
    for folder in ("two", "one", "two"):
        (verdict,) = check(request, StoreSource(str(tmp_path / folder / "store.db")), config)
        assert ("still-deployed" in {reason.code for reason in verdict.reasons}) == (last_sign < DAY), folder
    left = [name for name in os.listdir(tmp_path / "two" / "store.db-live") if name.endswith(".journal")]
    assert len(left) == (2 if last_sign < DAY else 1)
    for process in live:
        process.close()


@pytest.mark.parametrize(
    "damage",
    ["UPDATE use_count SET process = 99", "DELETE FROM site", "DELETE FROM scope", "UPDATE site SET target = 99", "DELETE FROM process"],
)
def test_a_store_that_lost_rows_gets_no_verdict(tmp_path, damage):
    at = instant("2026-11-19")
    path = tmp_path / "store.db"
    LiveProcess(path, started=at).target().state().site(0).count(0, 3).close()
    with Store.current(path) as store, store._database.transaction() as connection:
        connection.execute(damage)
    config = settings.load(environ={}, cwd=str(tmp_path))
    with pytest.raises(StoreError, match="is damaged"):
        check(Request(("pkg.mod:old",), Question(), (), instant("2026-11-20")), StoreSource(str(path)), config)


def test_what_was_allowed_when_it_was_counted_counts_once_nothing_allows_it(tmp_path):
    at = instant("2026-11-19")
    process = LiveProcess(tmp_path / "store.db", started=at).target().state()
    process.site(0, flags=FLAG_ALLOWED).count(0, 3).append("E", int(at * 1e9), "exit")
    process.close()
    (tmp_path / "lastcall.toml").write_text("[[target]]\nref = 'pkg.mod:old'\n")
    config = settings.load(environ={}, cwd=str(tmp_path))
    (verdict,) = check(Request((), Question(), (), instant("2026-11-20")), StoreSource(str(tmp_path / "store.db")), config)
    assert verdict.word == "in-use"


@pytest.mark.parametrize(
    ("file", "text", "codes"),
    [
        ("pkg/user.py", "from pkg.mod import old\n", {"reference"}),
        ("serve", "#!/usr/bin/env python3\nfrom pkg.mod import old\n", {"reference"}),  # a program without a suffix
        ("serve", "#!/bin/sh\n# old\n", set()),
        ("pkg/two.py", "from pkg.mod import old\nprint 'of Python 2'\n", {"perhaps-reference"}),
        ("pkg/two.py", "print 'of Python 2'\n", set()),
        ("pkg/fast.pyx", "from pkg.mod import old\n", {"perhaps-reference"}),
        ("book.ipynb", '{"source": ["pkg.mod.old()"]}', {"perhaps-reference"}),
        ("run.ipynb", '{"cells": [{"cell_type": "code", "source": ["pkg.mod.old()"]}]}', {"perhaps-reference"}),
        ("v3.ipynb", '{"worksheets": [{"cells": [{"cell_type": "code", "input": "old()"}]}]}', {"perhaps-reference"}),
        ("said.ipynb", '{"cells": [{"cell_type": "markdown", "source": ["an old"]}]}', set()),
        ("out.ipynb", '{"cells": [{"cell_type": "code", "source": "x", "outputs": [{"text": "old"}]}]}', set()),
        ("pkg/ab_test.py", "from pkg.mod import old\n", {"reference"}),  # no test, whatever it is called
        ("pkg/test_drive.py", "from pkg.mod import old\n\ndef drive(): ...\n", {"reference"}),
        ("pkg/old_test.py", "from pkg.mod import old\n\ndef test_old(): ...\n", set()),
        ("pkg/jobs.py", "run(['python', '-c', 'from pkg.mod import other, old'])\n", {"perhaps-reference"}),
        ("pkg/jobs.py", "run(['python', '-c', 'from pkg.mod import other'])\n", set()),
        ("nightly.sh", "python -c 'from pkg.mod import old as made; made()'\n", {"perhaps-reference"}),
        ("tests/cases.py", "from pkg.mod import old\n", set()),
        (".made/hold.py", "from pkg.mod import old\n", {"reference"}),  # in no searched folder, but a process holds it
    ],
)
def test_source_that_is_not_searched_as_python_may_refer_to_it_all_the_same(tmp_path, file, text, codes):
    at = instant("2026-11-19")
    process = LiveProcess(tmp_path / "store.db", root=str(tmp_path), started=at).target().state()
    if file.startswith("."):
        process.append("R", "pkg.mod:old", "hold", "old", str(tmp_path / file), 1, "module")
    process.append("E", int(at * 1e9), "exit")
    process.close()
    for name, content in {"pkg/mod.py": "def old(): ...\n", file: text}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    config = settings.load(environ={}, cwd=str(tmp_path / "pkg"))
    store = StoreSource(str(tmp_path / "store.db"))
    (verdict,) = check(Request((), Question(), (tmp_path,), instant("2026-11-20")), store, config)
    found = {reason.code for reason in verdict.reasons} & {"reference", "perhaps-reference"}
    assert found == codes


def test_source_that_may_not_be_read_is_not_taken_for_searched(tmp_path, monkeypatch):
    process = LiveProcess(tmp_path / "store.db", started=instant("2026-11-19")).target().state()
    process.close()
    (tmp_path / "secret").mkdir()
    (tmp_path / "book.ipynb").symlink_to("nowhere")  # holds nothing
    scandir = os.scandir

    def refused(path):
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    config = settings.load(environ={}, cwd=str(tmp_path))
    store = StoreSource(str(tmp_path / "store.db"))
    (verdict,) = check(Request((), Question(), (tmp_path,), instant("2026-11-20")), store, config)
    (reason,) = [reason for reason in verdict.reasons if reason.code == "source-unread"]
    assert reason.blocks == "unproven"
    assert "secret/: cannot be listed: Permission denied" in reason.text
    assert "book.ipynb" not in reason.text


@pytest.fixture(scope="module")
def year(tmp_path_factory):
    """A small year, written by the generator that the speed is measured on."""
    path = tmp_path_factory.mktemp("year") / "year.db"
    script = os.path.join(os.path.dirname(__file__), "..", "benchmarks", "store_year.py")
    now = 1_790_000_000.0
    subprocess.run([sys.executable, script, str(path), "--targets", "120", "--sites", "1500", "--now", str(now)], check=True, capture_output=True)
    return path, now


def test_many_targets_at_once_get_the_verdicts_that_each_gets_alone(year):
    path, now = year
    together = judged(path, Question(), now)
    assert len(together) >= 100
    assert {v.word for v in together.values()} >= {"in-use", "unproven"} or {v.word for v in together.values()} >= {"in-use", "safe"}
    for ref in list(together)[::12]:
        alone = judged(path, Question(), now, ref)[ref]
        assert alone.word == together[ref].word, ref
        assert {r.code for r in alone.reasons if r.blocks == alone.word} >= {
            r.code for r in together[ref].reasons if r.blocks == alone.word
        } - {"risk"}


def test_merging_stores_in_any_order_gives_the_same_verdicts(tmp_path):
    shops = [Shop(tmp_path / name) for name in ("a", "b") if not (tmp_path / name).mkdir()]
    shops[0].serve(3, release="1")
    shops[1].serve(7, release="2")
    now = max(p.seen for s in shops for p in _processes(s.path)) + DAY / 2
    verdicts = []
    for order in ((0, 1), (1, 0), (0, 1, 0)):
        merged = tmp_path / f"merged{''.join(map(str, order))}.db"
        with Store.open(merged) as target:
            for number in order:
                with Store.current(shops[number].path / ".lastcall" / "store.db") as source:
                    target.merge_from(source)
        found = judged(merged, Question(), now)
        verdicts.append({ref: (v.word, v.uses, v.risk, v.last_use, v.needed) for ref, v in found.items()})
    assert verdicts[0] == verdicts[1] == verdicts[2]
    assert verdicts[0]["shop.legacy:make_cart"][:2] == ("in-use", 10)


def _processes(path):
    from lastcall.store import Store

    with Store.current(path / ".lastcall" / "store.db") as store:
        return store.processes()


def test_words_of_the_command_line():
    assert duration("30d") == 30 * DAY
    assert duration("90m") == 5400
    assert where("service=a,environment=b", "--x") == ("a", "b")
    assert instant("1970-01-02") == DAY
    assert resolve(["make"], ["a.b:make", "c.d:make", "c.d:other"]) == ["a.b:make", "c.d:make"]
    assert resolve(["c.*:*"], ["a.b:make", "c.d:make"]) == ["c.d:make"]
    for bad in ("-1d", "1", "d", "1e9d", "0.0s"):
        with pytest.raises(UsageError):
            duration(bad)
