"""`lastcall scan` as a user runs it: output, --write, the join with the store, mistakes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tomlkit

from lastcall import cli, config
from live_files import LiveProcess

VERSION = ".".join(map(str, sys.version_info[:2]))
SOURCE = '''import warnings

def old():
    """Old way.

    .. deprecated:: 2025-09-01
       Use :func:`new`. It will be removed in 2026-12-31.
    """
    warnings.warn("old is deprecated, use new", DeprecationWarning, stacklevel=2)

def new(): ...

class Client:
    # Deprecated: use send.
    def post(self): ...

def legacy_thing(): ...
'''


@pytest.fixture
def tree(tmp_path, monkeypatch):
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").write_text("")
    (tmp_path / "pkg" / "mod.py").write_text(SOURCE)
    (tmp_path / "pkg" / "broken.py").write_text("def (:\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("LASTCALL_STORE", "LASTCALL_CONFIG", "LASTCALL_TARGETS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def lastcall(capsys, *arguments):
    with pytest.raises(SystemExit) as done:
        cli.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return done.value.code, out, err


def test_text_names_each_finding_the_skipped_and_the_sum(tree, capsys):
    code, out, _ = lastcall(capsys, "scan", ".")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "pkg/mod.py"
    assert lines[1].split() == ["3", "high", "function", "pkg.mod:old"]
    details = f"{lines[2].strip()} {lines[3].strip()}"
    assert details == "warning, docstring; since 2025-09-01; removal in 2026-12-31; use pkg.mod:new"
    assert lines[4].split() == ["15", "high", "method", "pkg.mod:Client.post"]
    assert f"  pkg/broken.py: line 1: invalid syntax (read as Python {VERSION})" in out
    assert "3 deprecated entry points in 3 files: 2 high, 1 low confidence." in out
    assert "1 of lower confidence are not shown" in out
    assert "legacy_thing" not in out
    assert max(map(len, lines)) <= 80


def test_json_has_everything(tree, capsys):
    _, out, _ = lastcall(capsys, "scan", "--format", "json")
    document = json.loads(out)
    assert document["schema"] == 1
    assert [(item["ref"], item["kind"], item["confidence"], item["line"]) for item in document["findings"]] == [
        ("pkg.mod:old", "function", "high", 3), ("pkg.mod:Client.post", "method", "high", 15), ("pkg.mod:legacy_thing", "function", "low", 17)]
    first = document["findings"][0]
    assert [(item["kind"], item["line"]) for item in first["evidence"]] == [("warning", 9), ("docstring", 6)]
    assert first["seen"] is None
    _, out, _ = lastcall(capsys, "scan", "--format", "json", "--confidence", "high")
    assert json.loads(out)["findings"] == document["findings"][:2]
    assert document["skipped"] == [
        {"file": "pkg/broken.py", "reason": f"line 1: invalid syntax (read as Python {VERSION})"}
    ]


def test_python_code_in_other_forms_is_counted_and_said_not_to_be_read(tree, capsys):
    (tree / "pkg" / "fast.pyx").write_text("def f():\n    '''Deprecated.'''\n")
    (tree / "a.ipynb").write_text("{}")
    (tree / "b.ipynb").write_text("{}")
    _, out, _ = lastcall(capsys, "scan", ".")
    assert "Not looked into: 2 notebooks, 1 Cython file\n" in out
    _, out, _ = lastcall(capsys, "scan", ".", "--format", "json")
    assert json.loads(out)["not_looked_into"] == {".ipynb": 2, ".pyx": 1}


def test_the_message_is_without_the_version_before_it(tmp_path, capsys):
    (tmp_path / "m.py").write_text("def f():\n    '''Do.\n\n    .. deprecated:: 1.2\n        Use g.\n    '''\n")
    _, out, _ = lastcall(capsys, "scan", str(tmp_path), "--format", "json")
    (finding,) = json.loads(out)["findings"]
    assert (finding["message"], finding["since"]) == ("Use g.", "1.2")


def test_sarif_points_at_the_definitions(tree, capsys):
    _, out, _ = lastcall(capsys, "scan", "pkg", "--format", "sarif", "--confidence", "low")
    document = json.loads(out)
    assert document["version"] == "2.1.0"
    run = document["runs"][0]
    rules = {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    found = {}
    for result in run["results"]:
        assert result["ruleId"] in rules
        place = result["locations"][0]["physicalLocation"]
        found[result["partialFingerprints"]["lastcallTarget/v1"]] = (place["artifactLocation"]["uri"], place["region"]["startLine"], result["level"])
    assert found["pkg.mod:old"] == ("pkg/mod.py", 3, "warning")
    assert found["pkg.mod:legacy_thing"] == ("pkg/mod.py", 17, "note")


def test_write_makes_a_configuration_that_the_agent_reads(tree, capsys):
    code, _, err = lastcall(capsys, "scan", "--write")
    assert code == 0
    assert "lastcall.toml: 2 targets added, 0 there already." in err
    loaded = config.load(environ={})
    assert loaded.problems == []
    targets = {target.ref: target for target in loaded.targets}
    assert set(targets) == {"pkg.mod:old", "pkg.mod:Client.post"}
    assert targets["pkg.mod:old"].metadata["replacement"] == "pkg.mod:new"
    assert targets["pkg.mod:old"].metadata["since"] == "2025-09-01"
    assert targets["pkg.mod:old"].metadata["remove_by"] == "2026-12-31"
    assert targets["pkg.mod:Client.post"].kind == "method"


def test_write_merges_and_keeps_what_a_person_wrote(tree, capsys):
    written = (
        "# our policy\n[lastcall]\nservice = 'backend'   # the name\n\n"
        "[[target]]   # agreed in the meeting\nref = 'pkg.mod:old'\nowner = 'platform'\n\n[discover]\nlogs = ['deprecated']\n"
    )
    (tree / "lastcall.toml").write_text(written)
    _, _, err = lastcall(capsys, "scan", "--write")
    assert "1 target added, 1 there already" in err
    after = (tree / "lastcall.toml").read_text()
    for line in written.splitlines():
        assert line in after
    parsed = tomlkit.parse(after)
    assert [item["ref"] for item in parsed["target"]] == ["pkg.mod:old", "pkg.mod:Client.post"]
    assert parsed["target"][0]["owner"] == "platform"
    again = lastcall(capsys, "scan", "--write")[2]
    assert "0 targets added, 2 there already" in again
    assert (tree / "lastcall.toml").read_text() == after


def test_write_keeps_the_line_ends_and_the_mark_of_a_windows_editor(tree, capsys):
    (tree / "lastcall.toml").write_bytes(b"\xef\xbb\xbf# ours\r\n[lastcall]\r\nservice = 'backend'\r\n")
    assert lastcall(capsys, "scan", "--write")[0] == 0
    after = (tree / "lastcall.toml").read_bytes()
    assert after.startswith(b"\xef\xbb\xbf# ours\r\n")
    assert after.count(b"\n") == after.count(b"\r\n") > 6
    loaded = config.load(environ={})
    assert (loaded.problems, loaded.service, len(loaded.targets)) == ([], "backend", 2)


def test_write_goes_to_where_a_file_of_another_name_is_read(tree, capsys, monkeypatch):
    (tree / "watched.toml").write_text("[tool.lastcall]\nservice = 'y'\n")
    monkeypatch.setenv("LASTCALL_CONFIG", "watched.toml")
    assert lastcall(capsys, "scan", "--write")[0] == 0
    loaded = config.load()
    assert (loaded.problems, loaded.service, len(loaded.targets)) == ([], "y", 2)


@pytest.mark.parametrize("text", ["tool = 1\n", "[tool]\nlastcall = 1\n"])
def test_write_into_what_is_no_table_is_one_sentence(tree, capsys, monkeypatch, text):
    (tree / "pyproject.toml").write_text(text)
    monkeypatch.setenv("LASTCALL_CONFIG", "pyproject.toml")
    code, _, err = lastcall(capsys, "scan", "--write")
    assert (code, "[tool.lastcall] must be a table; nothing was changed" in err) == (3, True)
    assert (tree / "pyproject.toml").read_text() == text


@pytest.mark.parametrize("pattern", ["pkg.**:*", "pkg.mod:*", "**:old", "pkg.m?d:o*"])
def test_a_wildcard_that_covers_a_finding_is_enough(tree, capsys, pattern):
    (tree / "lastcall.toml").write_text(f"[[target]]\nref = '{pattern}'\n")
    lastcall(capsys, "scan", "--write")
    assert "'pkg.mod:old'" not in (tree / "lastcall.toml").read_text().replace('"', "'")


def test_write_goes_to_pyproject_if_that_is_where_the_settings_are(tree, capsys):
    (tree / "pyproject.toml").write_text("[project]\nname = 'x'\n\n[tool.lastcall]\nservice = 'y'  # mine\n\n[tool.other]\na = 1\n")
    lastcall(capsys, "scan", "--write")
    parsed = tomlkit.parse((tree / "pyproject.toml").read_text())
    assert [item["ref"] for item in parsed["tool"]["lastcall"]["target"]] == ["pkg.mod:old", "pkg.mod:Client.post"]
    assert parsed["tool"]["other"]["a"] == 1
    assert "# mine" in (tree / "pyproject.toml").read_text()
    assert not (tree / "lastcall.toml").exists()
    assert config.load(environ={}).problems == []


@pytest.mark.parametrize("text", ["[[target]\nref=1", "target = 'x'\n"])
def test_a_file_that_cannot_be_merged_is_left_alone(tree, capsys, text):
    (tree / "lastcall.toml").write_text(text)
    code, _, err = lastcall(capsys, "scan", "--write")
    assert code == 3
    assert "lastcall.toml" in err
    assert "nothing was changed" in err
    assert (tree / "lastcall.toml").read_text() == text


def test_the_store_tells_what_was_seen(tree, capsys):
    store = tree / "store.db"
    (tree / "pkg" / "more.py").write_text("".join(f"# Deprecated.\ndef {name}(): ...\n" for name in ("quiet", "absent", "unknown")))
    process = LiveProcess(store, root=str(tree))
    for ref, state in (("pkg.mod:old", "armed"), ("pkg.more:quiet", "armed"), ("pkg.more:absent", "pending")):
        process.target(ref).state(ref, state)
    process.site(0, "pkg.mod:old").count(0, 41).close()
    _, out, _ = lastcall(capsys, "scan", "--format", "json", "--store", store)
    assert {item["ref"]: item["seen"] for item in json.loads(out)["findings"]} == {
        "pkg.mod:old": "seen", "pkg.mod:Client.post": "not watched", "pkg.mod:legacy_thing": "not watched",
        "pkg.more:quiet": "never seen", "pkg.more:absent": "not loaded", "pkg.more:unknown": "not watched"}
    _, out, _ = lastcall(capsys, "scan", "--store", store)
    assert "At run time: 2 not watched, 1 seen, 1 never seen, 1 not loaded." in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("scan", "missing"), "missing: no such file or folder"),
        (("scan", "--format", "xml"), "--format xml: expected one of text, json, sarif"),
        (("scan", "--confidence", "sure"), "--confidence sure: expected one of high, medium, low"),
        (("scan", "--store", "missing.db"), "missing.db"),
        (("scan", "-o", "no/such/folder.txt"), "cannot be written"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_3(tree, capsys, arguments, words):
    code, _, err = lastcall(capsys, *arguments)
    assert code == 3
    assert words in err
    assert len(err.strip().splitlines()) == 1


def test_an_empty_tree_is_said_to_be_empty(tmp_path, tree, capsys):
    (tmp_path / "empty").mkdir()
    _, out, _ = lastcall(capsys, "scan", tmp_path / "empty", "--no-cache")
    assert out == "Nothing in 0 files calls itself deprecated.\n"


def test_output_goes_to_a_file(tree, capsys):
    _, out, _ = lastcall(capsys, "scan", "-o", "found.txt")
    assert out == ""
    assert "pkg.mod:old" in (tree / "found.txt").read_text()


def test_names_that_no_terminal_should_be_sent_are_escaped(tree, capsys):
    (tree / "a\nb.py").write_text("def f():\n    '''Deprecated \x1b[31m.'''\n")
    (tree / "two words.py").write_text("def f():\n    '''Deprecated \\ud800.'''\n")
    os.close(os.open(os.fsencode(tree) + b"/sur\xff.py", os.O_CREAT))
    (tree / os.fsdecode(b"sur\xff.py")).write_text("def f():\n    '''Deprecated.'''\n")
    for arguments in ((), ("--format", "json"), ("--format", "sarif"), ("-o", "found.txt"), ("--write",)):
        code, out, err = lastcall(capsys, "scan", *arguments)
        assert code == 0
        assert "\x1b" not in out + err
        assert out.isascii() or not arguments
    assert "a\\nb.py" in (tree / "found.txt").read_text().splitlines()
    assert "3 left out: no import statement could name the files that they are in." in err
    uris = lastcall(capsys, "scan", "--format", "sarif")[1]
    assert '"a%0Ab.py"' in uris
    assert '"sur%FF.py"' in uris
    assert config.load(environ={}).problems == []


def test_a_terminal_of_few_letters_gets_the_others_escaped(tree):
    (tree / "pkg" / "more.py").write_text("# Deprecated: caf\xe9 \u2713\nclass Caf\xe9: ...\n", encoding="utf-8")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-m", "lastcall", "scan"], env=environment, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert b"pkg.more:Caf\\xe9" in done.stdout


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks for the worker processes in /proc")
def members_of(group: int) -> list[int]:
    """The processes of a process group, the leader and its workers."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            if os.getpgid(int(folder.name)) == group:
                found.append(int(folder.name))
    return found


def test_interrupting_a_scan_ends_it_with_130_and_no_traceback(tree):
    for number in range(400):
        (tree / f"m{number}.py").write_text("def f():\n    '''Deprecated.'''\n" + "x = [1, 2, 3]\n" * 2000)
    process = subprocess.Popen(
        [sys.executable, "-m", "lastcall", "scan"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    until = time.monotonic() + 60
    while len(members_of(process.pid)) < 2 and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, b"", b"")


def test_write_goes_to_the_file_that_the_agent_reads(tree, capsys, monkeypatch):
    lastcall(capsys, "scan", "pkg", "--write")
    assert (tree / "lastcall.toml").read_text().startswith("[[target]] # ")
    assert "pkg.mod:old" in (tree / "lastcall.toml").read_text()
    (tree / "lastcall.toml").write_text("[lastcall]\nservice = 'x'\n")
    lastcall(capsys, "scan", "pkg/mod.py", "--write")
    assert "pkg.mod:old" in (tree / "lastcall.toml").read_text()
    assert not (tree / "pkg" / "lastcall.toml").exists()
    monkeypatch.setenv("LASTCALL_CONFIG", str(tree / "staging.toml"))
    lastcall(capsys, "scan", "--write")
    assert "pkg.mod:old" in (tree / "staging.toml").read_text()
    monkeypatch.delenv("LASTCALL_CONFIG")
    other = tree.parent / "elsewhere"
    (other / "app").mkdir(parents=True)
    (other / "app" / "m.py").write_text("# Deprecated.\ndef f(): ...\n")
    lastcall(capsys, "scan", other, "--write")
    assert "app.m:f" in (other / "lastcall.toml").read_text()


def test_what_is_written_reads_as_if_a_person_had_written_it(tree, capsys):
    (tree / "lastcall.toml").write_text("# ours\n[[target]]\nref = 'a:b'  # first\n\n[discover]\nlogs = ['deprecated']\n")
    lastcall(capsys, "scan", "--write")
    text = (tree / "lastcall.toml").read_text()
    assert "\n\n\n" not in text
    assert "\n\n[[target]] # pkg/mod.py:3" in text
    assert "\n\n[discover]\n" in text


def test_what_nobody_can_see_being_used_is_not_written(tree, capsys):
    (tree / "pkg" / "more.py").write_text(
        "class C:\n    limit = 3\n    '''Deprecated.'''\n    new = property(len)\n    old = new\n    '''Deprecated, use new.'''\n")
    _, out, err = lastcall(capsys, "scan", "--write")
    assert "pkg.more:C.limit" in out
    assert "1 left out: the value of a class's attribute" in err
    assert [item["ref"] for item in tomlkit.parse((tree / "lastcall.toml").read_text())["target"]][-1] == "pkg.more:C.old"


def test_what_is_written_arms_when_the_code_is_imported_and_the_next_scan_tells_what_was_seen(tree, capsys):
    (tree / "pkg" / "broken.py").unlink()
    (tree / "pkg" / "more.py").write_text(
        "import functools, logging\nimport warnings\nlog = logging.getLogger('x')\n_GONE = {'OLD_URL': 'URL'}\nURL = 1\nLIMIT = 3  # Deprecated: use URL\n"
        "class C:\n    'A class.\\n\\n    Args:\\n        mode: deprecated, use kind\\n    '\n    def __init__(self, kind=None, mode=None): ...\n"
        "    @property\n    def p(self):\n        'Deprecated.'\n    @functools.cached_property\n    def kept(self):\n        'Deprecated.'\n"
        "    def new(self): ...\n    old = new\n    'Deprecated, use new.'\n    @classmethod\n    def k(cls):\n        'Deprecated.'\n"
        "def tell(mode=None):\n    if mode is not None:\n        log.warning('mode is deprecated')\nasync def a():\n    'Deprecated.'\n"
        "def __getattr__(name):\n    if name in _GONE:\n        warnings.warn('gone', DeprecationWarning)\n        return URL\n    raise AttributeError(name)\n")
    (tree / "pkg" / "rare.py").write_text("def never():\n    'Deprecated.'\n")
    (tree / "main.py").write_text(
        "import asyncio, pkg.mod\nfrom pkg import more as m\nc = m.C(mode=1)\nc.p, c.old(), c.k(), m.LIMIT, m.OLD_URL, m.tell(mode=1)\nasyncio.run(m.a())\n")
    lastcall(capsys, "scan", "--write", "--confidence", "medium")
    assert config.load(environ={}).problems == []
    environment = {**os.environ, "LASTCALL_ENABLED": "1", "PYTHONWARNINGS": "ignore"}
    subprocess.run([sys.executable, "-m", "lastcall", "run", "--", sys.executable, "main.py"], env=environment, check=True, timeout=60, capture_output=True)
    seen = {item["ref"]: item["seen"] for item in json.loads(lastcall(capsys, "scan", "--format", "json")[1])["findings"] if item["confidence"] != "low"}
    assert seen == {
        **dict.fromkeys(("pkg.more:C(mode=)", "pkg.more:C.p", "pkg.more:C.old", "pkg.more:C.k", "pkg.more:LIMIT", "pkg.more:OLD_URL", "pkg.more:tell(mode=)", "pkg.more:a"), "seen"),
        "pkg.more:C.kept": "not watched", "pkg.mod:old": "never seen", "pkg.mod:Client.post": "never seen", "pkg.rare:never": "not loaded"}


def test_the_surest_findings_come_first_and_of_those_the_seen_ones(tree, capsys):
    (tree / "a.py").write_text("def f():\n    '''Compatibility wrapper.'''\n")
    (tree / "pkg" / "a.py").write_text("# Deprecated.\ndef g(): ...\n")
    store = tree / "store.db"
    LiveProcess(store, root=str(tree)).target("pkg.mod:old").state("pkg.mod:old", "armed").site(0, "pkg.mod:old").count(0, 1).close()
    _, out, _ = lastcall(capsys, "scan", "--store", store)
    assert [line for line in out.splitlines() if line.endswith(".py")] == ["pkg/mod.py", "pkg/a.py", "pkg/mod.py", "a.py"]


def test_long_names_leave_their_module_to_the_line_above(tree, capsys):
    folder = tree / "pkg" / "a_rather_long_name_of_a_package" / "websocket_manager_factory_module"
    folder.mkdir(parents=True)
    (folder / "m.py").write_text("def get_manager(): ...\ndef get_manager_factory():\n    '''Deprecated, use get_manager.'''\n")
    _, out, _ = lastcall(capsys, "scan")
    assert "     2  high    function   ...:get_manager_factory" in out
    assert "use ...:get_manager" in out
    assert max(map(len, out.splitlines())) <= 80
