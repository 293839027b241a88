"""What is written as SARIF, against the standard's own schema."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from lastcall import cli
from lastcall.verdict_report import as_sarif

jsonschema = pytest.importorskip("jsonschema")

SCHEMA = json.loads((Path(__file__).parent / "sarif" / "schema-2.1.0.json").read_text())
OLD = 'def öld(mode):\n    """Old.\n\n    .. deprecated:: 1.4\n        Use :func:`new`.\n    """\n\ndef new(): ...\n'
FILES = {
    "plain": {"pkg/__init__.py": "", "pkg/mod.py": OLD, "pkg/use.py": "from pkg.mod import öld\nöld(1)\n"},
    "nothing": {"mod.py": "x = 1\n"},
    "no files": {},
    "names": {"pa ck/mö d.py": OLD, "a:b.py": OLD, "%41#?[1].py": OLD, "b\udce9d.py": OLD},
    "skipped": {"mod.py": OLD, "broken \udce9 é.py": "def (:\n", "two.py": "print 'x'\n"},
}


def checked(text):
    document = json.loads(text)
    validator = jsonschema.validators.validator_for(SCHEMA)
    validator.check_schema(SCHEMA)
    validator(SCHEMA).validate(document)
    (run,) = document["runs"]
    known = {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    assert {result["ruleId"] for result in run["results"]} <= known
    for place in re.findall(r'"uri": "([^"]*)"', text):
        # RFC 3986: a relative reference whose first part has a colon would be read as a scheme
        assert re.fullmatch(r"(?:[\w.~!$&'()*+,;=@/-]|%[0-9A-F]{2})+", place, re.ASCII), place
    return run


@pytest.fixture(params=FILES)
def tree(request, tmp_path, monkeypatch):
    for name, text in FILES[request.param].items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("LASTCALL_STORE", raising=False)
    return request.param


def lastcall(capsys, *arguments):
    with pytest.raises(SystemExit):
        cli.main([*arguments, "--format", "sarif"])
    return capsys.readouterr().out


def test_a_scan_is_valid_sarif(tree, capsys):
    run = checked(lastcall(capsys, "scan", "--confidence", "low"))
    assert len(run["results"]) == sum(text == OLD for text in FILES[tree].values())


def test_what_a_scan_could_not_read_is_told(tree, capsys):
    (invocation,) = checked(lastcall(capsys, "scan"))["invocations"]
    assert invocation["executionSuccessful"] is True
    told = [item["message"]["text"] for item in invocation["toolExecutionNotifications"]]
    assert len(told) == (2 if tree == "skipped" else 0)
    assert all(text.startswith("Not read: ") for text in told)


def test_references_are_valid_sarif(tree, capsys):
    if tree != "plain":
        pytest.skip("nothing refers to anything there")
    Path("broken.py").write_text("öld(\n")
    run = checked(lastcall(capsys, "references", "pkg.mod:öld"))
    assert {result["ruleId"] for result in run["results"]} == {"reference-import", "reference-call", "reference-text"}
    assert len(run["invocations"][0]["toolExecutionNotifications"]) == 1


@pytest.mark.parametrize("file", ["pkg/mod.py", "pa ck/mö d.py", os.fsdecode(b"b\xe9d.py")])
def test_verdicts_are_valid_sarif(file):
    target = SimpleNamespace(ref="pkg.mod:old", replacement="", defined_file=file, defined_line=0)
    verdict = SimpleNamespace(
        word="unproven",
        target=target,
        reasons=[SimpleNamespace(text="Too short.", blocks="unproven")],
        mentions=[],
    )
    assert len(checked(as_sarif([verdict]))["results"]) == 1
