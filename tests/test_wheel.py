"""The wheel, built and installed into an empty environment: the agent starts by its `.pth`, and only if asked to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hosts import CHECKOUT, Host, Run, make_host

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]  # `make wheel-check` runs it

MODULES = "import sys, json; print(json.dumps(sorted(sys.modules)))"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source distribution as a package index would have it."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--outdir", str(folder), str(CHECKOUT)]
    done = subprocess.run(build, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter of an environment in which nothing but the wheel and what it depends on is installed."""
    folder = tmp_path_factory.mktemp("empty") / "venv"
    venv.create(folder, with_pip=True, symlinks=True)
    python = str(folder / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", str(wheel)]
    done = subprocess.run(pip, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return python


@pytest.fixture
def host(installed: str, tmp_path: Path) -> Host:
    return make_host(tmp_path / "host", installed)


def test_the_wheel_holds_the_start_up_files_at_its_top_and_every_module_of_the_package(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"lastcall.pth", "lastcall.start", "lastcall/shadow/sitecustomize.py", "lastcall/py.typed"} <= names
    package = CHECKOUT / "agent"
    modules = {str(path.relative_to(package)) for path in (package / "lastcall").rglob("*.py")}
    assert modules <= names
    top = {name.partition("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"lastcall", "lastcall.pth", "lastcall.start"}


def test_silent_without_the_variable_and_not_one_module_more(host: Host) -> None:
    silent = host.run("python", "-c", MODULES)
    with _without_start_up_file(host):
        assert host.run("python", "-c", MODULES) == silent
    assert host.app() == Run("1\n2\n3\n", "", 0)
    assert not host.store.parent.exists()


def test_with_the_variable_the_agent_counts(host: Host) -> None:
    assert host.app(LASTCALL_ENABLED="1") == Run("1\n2\n3\n", "", 0)
    assert _uses(host) == 3


def test_lastcall_run_finds_its_start_up_file_inside_the_wheel(host: Host) -> None:
    """With the `.pth` out of the way, only the bundled sitecustomize is left to start the agent."""
    with _without_start_up_file(host):
        assert host.run("python", "-m", "lastcall", "run", "app.py") == Run("1\n2\n3\n", "", 0)
    assert _uses(host) == 3


def test_the_console_script_and_the_demo_work_without_a_checkout(host: Host) -> None:
    script = str(Path(host.python).with_name("lastcall"))
    assert host.run(script, "--help").code == 0
    demo = host.run(script, "demo")
    assert (demo.code, demo.err) == (0, "")
    assert "shop.py" in demo.out
    assert "send_invoice" in demo.out
    assert "send_reminder" in demo.out


def test_uninstalling_leaves_no_start_up_file(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True, symlinks=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    pip = [python, "-m", "pip", "--quiet"]
    subprocess.run([*pip, "install", "--no-deps", str(wheel)], check=True, timeout=300)
    subprocess.run([*pip, "uninstall", "--yes", "lastcall"], check=True, timeout=300)
    left = [path.name for path in (tmp_path / "venv" / "lib").glob("python*/site-packages/*") if "lastcall" in path.name]
    assert left == []


@contextmanager
def _without_start_up_file(host: Host) -> Iterator[None]:
    pth = next((Path(host.python).parents[1] / "lib").glob("python*/site-packages/lastcall.pth"))
    text = pth.read_text()
    pth.unlink()
    try:
        yield
    finally:
        pth.write_text(text)


def _uses(host: Host) -> int:
    """Counted by the wheel's own command line, not by the checkout's."""
    environ = {**os.environ, "LASTCALL_STORE": str(host.store), "LASTCALL_ENABLED": ""}
    environ.pop("PYTHONPATH", None)
    command = [host.python, "-m", "lastcall", "report", "--format", "json"]
    done = subprocess.run(command, cwd=host.folder, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return sum(use["count"] for use in json.loads(done.stdout)["uses"])
