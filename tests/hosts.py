"""Small real hosts for the start-up tests: a virtual environment, a program with a legacy module, and its runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]

LEGACY = "def old(value=1):\n    return value + 1\n"

# Prints what the host would print, then what the test wants to know, on stdout; nothing goes to stderr.
PROGRAM = """\
import sys
from legacy import old
for turn in range(3):
    print(old(turn))
"""

TARGET = "legacy:old"


@dataclass
class Run:
    """How a process ended."""

    out: str
    err: str
    code: int


@dataclass
class Host:
    """A folder with `legacy.py` and `app.py`, an interpreter to run it, and a store of its own."""

    folder: Path
    python: str
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def store(self) -> Path:
        return self.folder / "evidence" / "store.db"

    def run(self, *command: str, **environ: str) -> Run:
        """Run `command` in the folder; an argument `python` stands for the host's interpreter."""
        arguments = [self.python if part == "python" else part for part in command]
        done = subprocess.run(
            arguments, cwd=self.folder, env=self._environment(environ), capture_output=True, text=True, timeout=60
        )
        return Run(done.stdout, done.stderr, done.returncode)

    def app(self, *options: str, **environ: str) -> Run:
        return self.run("python", *options, "app.py", **environ)

    def report(self) -> dict:
        """What a user of `lastcall report --format json` gets from this host's store."""
        environ = {"LASTCALL_STORE": str(self.store)}
        command = [sys.executable, "-m", "lastcall", "report", "--format", "json"]
        done = subprocess.run(command, cwd=self.folder, env=_plain() | environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def processes(self) -> int:
        """How many processes the store holds."""
        from lastcall.store import Store

        with Store.current(self.store) as store:
            return len(store.processes())

    def uses(self, target: str = TARGET) -> int:
        """How many uses of `target` the store holds; 0 also if nothing was ever stored."""
        if not self.store.parent.is_dir():
            return 0
        return sum(use["count"] for use in self.report()["uses"] if use["target"] == target)

    def _environment(self, environ: dict[str, str]) -> dict[str, str]:
        given = {"LASTCALL_STORE": str(self.store), "LASTCALL_TARGETS": TARGET, **self.environ, **environ}
        return {**_plain(), **{name: value for name, value in given.items() if value}}


def _plain() -> dict[str, str]:
    """This process's environment without what steers Python or Lastcall."""
    steering = ("PYTHON", "LASTCALL_", "OTEL_", "COV_", "COVERAGE_")
    return {name: value for name, value in os.environ.items() if not name.startswith(steering)}


def make_host(folder: Path, python: str) -> Host:
    """A host in the empty folder `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "legacy.py").write_text(LEGACY)
    (folder / "app.py").write_text(PROGRAM)
    shutil.copy(CHECKOUT / "tests" / "waiting.py", folder)
    return Host(folder, python)


def make_venv(folder: Path, *, installed: bool = True, packages: bool = True, python: str = sys.executable) -> str:
    """A virtual environment at `folder`; its interpreter.

    `installed`: with Lastcall in it, as the wheel leaves it (package, `.pth` and `.start` beside each other).
    `packages`: with the packages of the environment that runs the tests, wrapt among them.
    """
    base = getattr(sys, "_base_executable", sys.executable) if python == sys.executable else python
    subprocess.run([base, "-m", "venv", "--without-pip", folder], check=True, env=_plain())
    site_packages = next((folder / "lib").glob("python*/site-packages"))
    if packages:
        # Read as a plain list of folders; an `import` line in there would be another agent's start-up file.
        # Files are read by name, and the agent's wants to find what it depends on.
        (site_packages / "a-packages.pth").write_text(sysconfig.get_path("purelib") + "\n")
    if installed:
        (site_packages / "lastcall").symlink_to(CHECKOUT / "agent" / "lastcall")
        for name in ("lastcall.pth", "lastcall.start"):
            shutil.copy(CHECKOUT / "agent" / name, site_packages)
    return str(folder / "bin" / "python")
