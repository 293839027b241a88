"""What a page tells its reader to do: words without options, and commands that really run."""

from __future__ import annotations

import ast
import inspect
import shlex
import time

import pytest

pytest.importorskip("starlette", reason="the extra web is not installed")
import web_fleet
from asgi_client import Client
from lastcall import config as settings
from lastcall import reasons
from lastcall.cli import main
from lastcall.reasons import Reason
from lastcall.store import Store
from lastcall.web import keeping
from lastcall.web.advice import LONGEST, advice, command
from lastcall.web.app import application

REF = web_fleet.TARGETS[0][0]
WHERE = ("worker", "staging")


def remedies():
    """(code, remedy) of every reason that `reasons` can make, read off its source."""
    found = []
    for function in ast.parse(inspect.getsource(reasons)).body:
        if not isinstance(function, ast.FunctionDef):
            continue
        calls = [n for n in ast.walk(function) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "Reason"]
        assigned = [n.value for n in ast.walk(function) if isinstance(n, ast.Assign) and getattr(n.targets[0], "id", "") == "remedy"]
        called = {n.func.id for call in calls for n in call.args[3:4] if isinstance(n, ast.Call)}
        for call in calls:
            given = [*(arg for arg in call.args[3:4] if not isinstance(arg, ast.Call)), *assigned, *given_by(called)]
            texts = {text for node in given for text in spelled(node)}
            found += [(call.args[0].value, text) for text in sorted(texts)]
    return found


def given_by(names):
    """What the functions of these names return."""
    for function in ast.parse(inspect.getsource(reasons)).body:
        if getattr(function, "name", "") in names:
            yield from (node.value for node in ast.walk(function) if isinstance(node, ast.Return))


def spelled(node):
    """The texts that an expression may give, with `{...}` where it puts something in."""
    if isinstance(node, ast.Constant):
        return [node.value] if node.value else []
    if isinstance(node, ast.JoinedStr):
        return ["".join(part.value if isinstance(part, ast.Constant) else "{...}" for part in node.values)]
    if isinstance(node, ast.Name):
        return []  # assigned above, and looked at there
    assert isinstance(node, ast.IfExp), ast.dump(node)
    return [*spelled(node.body), *spelled(node.orelse)]


def test_the_list_of_remedies_is_whole():
    codes = {code for code, _ in remedies()}
    assert {"used", "too-short", "service-missing", "service-silent", "not-watched", "source-not-read", "perhaps-reference"} <= codes
    assert len(codes) > 15
    assert any("--" in remedy for _, remedy in remedies())


@pytest.mark.parametrize(("code", "remedy"), remedies())
@pytest.mark.parametrize("ref", [REF, "pkg:" + "x" * 10_000, "pkg:line\nbreak", "pkg:it's"])
def test_no_advice_speaks_of_options_that_a_page_does_not_have(code, remedy, ref):
    told = advice(Reason(code, "unproven", "so", remedy, WHERE), ref)
    assert told.words
    assert "`" not in told.words
    if ref in (REF, "pkg:it's"):
        assert "--" not in told.words
        assert bool(told.commands) is told.words.endswith(":") or not told.commands
    for text in told.commands:
        assert text.isprintable()
        assert len(text) <= LONGEST


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A project whose store is where `lastcall` looks for it."""
    (tmp_path / "app").mkdir()
    (tmp_path / "lastcall.toml").write_text("[lastcall]\nservice = 'backend'\n")
    web_fleet.build(str(tmp_path / ".lastcall" / "store.db"), now=time.time())
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LASTCALL_STORE", raising=False)
    return tmp_path


def exit_code(text, capsys):
    program, *arguments = shlex.split(text)
    assert program == "lastcall"
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    written = capsys.readouterr()
    assert ended.value.code != 3, written.err
    return ended.value.code or 0, written.out


def test_every_command_offered_runs(folder, capsys):
    seen = set()
    for code, remedy in remedies():
        for text in advice(Reason(code, "unproven", "so", remedy, WHERE), REF).commands:
            if text.startswith("lastcall") and text not in seen:
                seen.add(text)
                exit_code(text, capsys)
    assert len(seen) >= 4


def test_leaving_a_service_out_is_what_the_command_does(folder, capsys):
    """The worker has drops; without it the verdict does not speak of them."""
    ref = web_fleet.TARGETS[12][0]
    plain = exit_code(command("check", ref), capsys)[1]
    (told,) = advice(Reason("service-silent", "unproven", "so", "If it was retired: --ignore service=NAME.", WHERE), ref).commands
    assert told == f"lastcall check {ref} --ignore service=worker,environment=staging"
    assert exit_code(told, capsys)[1] != plain


@pytest.mark.parametrize("where", [("", ""), ("a,b", ""), ("a=b", "c")])
def test_a_service_that_no_option_can_name_gets_words_alone(where):
    told = advice(Reason("service-silent", "unproven", "so", "--ignore service=NAME.", where), REF)
    assert told.commands == ()
    assert told.words == "If it still runs, see why its agent is silent."


def test_a_command_is_quoted_for_the_shell():
    text = command("check", "pkg:it's; rm -rf $HOME")
    assert shlex.split(text) == ["lastcall", "check", "pkg:it's; rm -rf $HOME"]
    assert command("check", "pkg:a\u202eb") == ""


def test_commands_name_the_evidence_that_the_page_shows(folder, capsys):
    other = web_fleet.build(str(folder / "other store.db"), now=time.time(), seed=8)
    keeper = keeping.Keeper(other, lambda: Store.current(other), settings.load(), source=("--store", other))
    keeper.refresh()
    try:
        page = Client(application(lambda: keeper.board)).get(f"/target?ref={REF}").text
    finally:
        keeper.stop()
    commands = [part.partition("</code>")[0] for part in page.split("<pre><code>")[1:]]
    assert commands
    for text in commands:
        text = text.replace("&#39;", "'").replace("&amp;", "&")
        if "check" in text or "report" in text:
            assert shlex.split(text)[-2:] == ["--store", other]
            exit_code(text, capsys)
