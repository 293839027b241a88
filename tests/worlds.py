"""One body of code, run in two real interpreters: with the agent and without it. What the host can see must be
the same in both; what the agent counted must be what the code's own marks say.

A line of a host program that uses a target ends in a mark, `# 2x legacy.old`: so often, spelled so. `# 1x! ...`
marks a use that only a replaced object can see (a call whose arguments do not fit runs no code of the target's), `# 1x@3.11 ...` one that is seen from 3.11 on.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from lastcall.store import Store

CHECKOUT = Path(__file__).resolve().parents[1]
WAITING = Path(__file__).with_name("waiting.py").read_text()
"""What a program imports as `waiting`, from its own folder."""
ENGINES = ("auto", "wrapping", "inplace")

_MARK = re.compile(r"# (\d+)x(!?)(?:@3\.(\d+))? (\S+)(?: (\w+))?")
_STEERING = ("PYTHON", "LASTCALL_", "OTEL_", "COV_", "COVERAGE_", "K_")


@dataclass(frozen=True)
class Use:
    """A call site as a test knows it."""

    target: str
    file: str
    line: int
    function: str
    expression: str
    count: int
    use: str = ""
    replaced_only: bool = False


@dataclass
class Run:
    """What a process showed, and what the agent kept of it."""

    out: str
    err: str
    code: int
    store: Path

    def shown(self) -> dict[str, str]:
        """What the program printed, by the label it printed it under."""
        found: dict[str, str] = {}
        for block in re.split(r"^:: ", "start\n" + self.out, flags=re.MULTILINE):
            label = re.split(r" (?:=|raised) |\n", block, maxsplit=1)[0]
            while label in found:
                label += "'"
            found[label] = block
        return found

    def uses(self) -> list[Use]:
        """The call sites in the store, without the store's own fields."""
        with Store.current(self.store) as store:
            return sorted(
                (Use(row.site.target, row.site.file, row.site.line, row.site.function,
                     row.site.expression, row.count, row.site.use) for row in store.uses()),
                key=lambda use: (use.file, use.line, use.target),
            )

    def total(self, target: str) -> int:
        return sum(use.count for use in self.uses() if use.target == target)

    def states(self) -> dict[str, tuple[str, str, str]]:
        """The last state of each target: its name, the reason, the engine."""
        with Store.current(self.store) as store:
            return {row.state.ref: (row.state.state, row.state.reason, row.state.engine)
                    for row in store.states() if row.until is None}

    def internal_errors(self) -> dict[str, int]:
        with Store.current(self.store) as store:
            found: dict[str, int] = {}
            for row in store.processes():
                for slug, count in row.internal_errors:
                    found[slug] = found.get(slug, 0) + count
            return found


@dataclass
class World:
    """A folder with a program in it, and the ways to run it."""

    folder: Path
    files: dict[str, str]
    targets: tuple[str, ...] = ()
    environ: dict[str, str] = field(default_factory=dict)
    main: str = "host.py"
    runs: int = 0

    def __post_init__(self) -> None:
        for name, text in {"waiting.py": WAITING, **self.files}.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))

    def command(self) -> list[str]:
        return [sys.executable, self.main]

    def environment(self, store: Path | None, engine: str = "auto", **environ: str) -> dict[str, str]:
        """The process's environment; with no store, that of a host without the agent."""
        values = {**plain_environment(), "PYTHONPATH": str(CHECKOUT), "PYTHONHASHSEED": "0", **self.environ}
        if store is not None:
            values |= {"LASTCALL_ENABLED": "1", "LASTCALL_STORE": str(store), "LASTCALL_ENGINE": engine,
                       "LASTCALL_TARGETS": ",".join(self.targets)}
        return values | environ

    def run(self, engine: str | None = None, *, timeout: float = 60, **environ: str) -> Run:
        """Run the program: with the agent if `engine` names one, else without."""
        self.runs += 1
        store = self.folder / f"evidence-{self.runs}" / "store.db"
        done = subprocess.run(
            self.command(), cwd=self.folder, capture_output=True, text=True, timeout=timeout,
            env=self.environment(store if engine else None, engine or "", **environ),
        )
        return Run(done.stdout, done.stderr, done.returncode, store)

    def marks(self, target: str = "") -> list[Use]:
        """What the programs' own marks say was used, for the one target they all mean unless a mark names a kind."""
        found = []
        for name, text in self.files.items():
            source = textwrap.dedent(text)
            functions = functions_by_line(source)
            for number, line in enumerate(source.splitlines(), 1):
                for count, only, since, spelled, use in _MARK.findall(line):
                    if since and sys.version_info < (3, int(since)):
                        continue
                    found.append(Use(target, name, number, functions.get(number, "<module>"),
                                     spelled, int(count), use, replaced_only=bool(only)))
        return found


def plain_environment() -> dict[str, str]:
    """This process's environment without what steers Python or Lastcall."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_STEERING)}


def functions_by_line(source: str) -> dict[int, str]:
    """For each line of a program the innermost function around it, named as Python names code objects."""
    found: dict[int, str] = {}

    def visit(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                name = getattr(child, "name", "<lambda>")
                for line in range(child.lineno, (child.end_lineno or child.lineno) + 1):
                    found[line] = prefix + name if sys.version_info >= (3, 11) else name
                visit(child, f"{prefix}{name}.<locals>.")
            elif isinstance(child, ast.ClassDef):
                visit(child, f"{prefix}{child.name}.")
            else:
                visit(child, prefix)

    visit(ast.parse(source), "")
    return found


@lru_cache(maxsize=1)
def wrapt_in_c() -> bool:
    """Whether wrapt runs its C extension here, which leaves no frame of its own on the stack."""
    import wrapt

    return type(wrapt.FunctionWrapper.__init__).__name__ == "wrapper_descriptor"
