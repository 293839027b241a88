"""The examples and `lastcall demo`: what the agent reports of real programs equals what was done to them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from hosts import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = CHECKOUT / "examples"
CHAT = EXAMPLES / "legacy_chat"


def _run(*command: str | Path, cwd: Path = CHECKOUT, **environ: str) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("LASTCALL_", "OTEL_"))}
    return subprocess.run(
        [sys.executable, *command], cwd=cwd, env={**plain, **environ}, capture_output=True, text=True, timeout=110
    )


@pytest.mark.parametrize(("server", "engine"), [
    ("gunicorn", "auto"),
    pytest.param("uvicorn", "inplace", marks=pytest.mark.slow),
    pytest.param("gunicorn", "inplace", marks=pytest.mark.slow),
    pytest.param("gunicorn", "wrapping", marks=pytest.mark.slow),
    pytest.param("uvicorn", "auto", marks=pytest.mark.slow),
    pytest.param("uvicorn", "wrapping", marks=pytest.mark.slow),
])  # fmt: skip
def test_the_chat_services_report_equals_what_its_clients_did(server: str, engine: str, tmp_path: Path) -> None:
    pytest.importorskip("uvicorn_worker" if server == "gunicorn" else "uvicorn")
    store = tmp_path / "evidence" / "store.db"
    done = _run(CHAT / "demo.py", "--server", server, "--rounds", "2", "--store", store, LASTCALL_ENGINE=engine)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""


def test_the_chat_service_does_the_same_without_the_agent(tmp_path: Path) -> None:
    """The clients' own counts, the closings with 1011 among them, are the service's behaviour."""
    stores = [tmp_path / name / "store.db" for name in ("with", "without")]
    with_agent = _run(CHAT / "demo.py", "--rounds", "2", "--store", stores[0])
    without = _run(CHAT / "demo.py", "--rounds", "2", "--store", stores[1], "--without-agent")
    line = _clients_line(without.stdout)
    assert "closed with 1011" in line
    assert sorted(_clients_line(with_agent.stdout).split(", ")) == sorted(line.split(", "))
    assert not stores[1].exists()


def _clients_line(output: str) -> str:
    return next(line for line in output.splitlines() if line.startswith("Two users")).partition(": ")[2]


def test_the_comparison_with_the_clients_notices_every_kind_of_error(tmp_path: Path) -> None:
    """The demo's check is worth something only if it fails on a wrong report."""
    store = tmp_path / "evidence" / "store.db"
    assert _run(CHAT / "demo.py", "--rounds", "1", "--store", store).returncode == 0
    report = _run("-m", "lastcall", "report", "--format", "json", cwd=CHAT, LASTCALL_STORE=str(store))
    code = (
        "import json, sys; from collections import Counter; from expected import differences\n"
        "report, did = json.load(sys.stdin)\n"
        "print(json.dumps(differences(report, Counter(did))))"
    )
    did = {"/ws": 2, "/ws/v2": 2, "/ws/v1": 2, "/ws/resume": 2, "/ws/export": 2, "/health": 2, "/announce": 2}

    def check(text: str, did: dict[str, int]) -> list[str]:
        given = json.dumps([json.loads(text), did])
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=CHAT, input=given, capture_output=True, text=True, check=True
        )
        return json.loads(done.stdout)

    right = json.loads(report.stdout)
    assert check(report.stdout, did) == []
    assert check(report.stdout, {**did, "/health": 3})
    for spoil in (_one_use_more, _another_line, _one_site_lost, _one_unarmed, _one_reference_lost):
        wrong = json.loads(report.stdout)
        spoil(wrong)
        assert wrong != right
        assert check(json.dumps(wrong), did), spoil.__name__


def _one_use_more(report: dict) -> None:
    report["uses"][0]["count"] += 1


def _another_line(report: dict) -> None:
    report["uses"][-1]["line"] += 1


def _one_site_lost(report: dict) -> None:
    report["uses"].pop()


def _one_unarmed(report: dict) -> None:
    report["targets"][0]["state"] = "pending"


def _one_reference_lost(report: dict) -> None:
    report["references"] = [one for one in report["references"] if "canonical_imports" not in one["file"]]


@pytest.mark.parametrize("engine", ["auto", *(pytest.param(engine, marks=pytest.mark.slow) for engine in ("wrapping", "inplace"))])
def test_deprecated_calls_into_pydantic_are_counted_and_the_scripts_output_is_the_same(
    engine: str, tmp_path: Path
) -> None:
    pytest.importorskip("pydantic", minversion="2")
    done = _run(EXAMPLES / "pydantic_v2" / "demo.py", tmp_path / "evidence", LASTCALL_ENGINE=engine)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_lastcall_demo_shows_both_callers_with_their_counts(tmp_path: Path) -> None:
    done = _run("-m", "lastcall", "demo", "--keep", str(tmp_path / "shop"))
    assert (done.returncode, done.stderr) == (0, "")
    report = _run(
        "-m", "lastcall", "report", "--format", "json",
        cwd=tmp_path / "shop", LASTCALL_STORE=str(tmp_path / "shop" / ".lastcall" / "store.db"),
    )  # fmt: skip
    uses = {(use["function"], use["expression"]): use["count"] for use in json.loads(report.stdout)["uses"]}
    assert uses == {("send_invoice", "get_mailer_factory"): 40, ("send_reminder", "factory"): 4}
    for word in ("44 letters sent", "send_invoice", "send_reminder", "legacy_mail.py"):
        assert word in done.stdout


def test_lastcall_demo_ends_quietly_when_its_reader_has_read_enough(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lastcall", "demo", "--keep", str(tmp_path / "shop")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""


def test_lastcall_demo_says_what_is_wrong_with_a_folder_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = _run("-m", "lastcall", "demo", "--keep", str(tmp_path / "file" / "shop"))
    assert done.returncode == 3
    assert done.stderr.startswith("lastcall: demo: cannot write to ")
    assert done.stderr.count("\n") == 1


def test_the_demo_keeps_its_store_with_its_program_and_what_a_person_wrote(tmp_path: Path) -> None:
    done = _run("-m", "lastcall", "demo", "--keep", "shop/here", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "shop" / "here") in done.stdout
    assert (tmp_path / "shop" / "here" / ".lastcall" / "store.db").is_file()
    assert not (tmp_path / "shop" / "here" / "shop").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "lastcall.toml").write_text("# ours\n")
    done = _run("-m", "lastcall", "demo", "--keep", str(tmp_path / "mine"))
    assert done.returncode == 3
    assert "is there already" in done.stderr
    assert [path.read_text() for path in (tmp_path / "mine").iterdir()] == ["# ours\n"]
