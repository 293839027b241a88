"""What the agent must have seen, derived from what the clients did and from the service's source.

No line number is written down here: each is looked up by the text of the line.
"""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).resolve().parent / "chat_backend"
CORE = "chat_backend.websocket_core"
FACTORY = f"{CORE}.websocket_manager_factory:get_websocket_manager_factory"
ASYNC_FACTORY = f"{CORE}.websocket_manager_factory:create_websocket_manager"
WRAPPER = f"{CORE}.websocket_manager:get_websocket_manager"
CLASS = f"{CORE}.unified_manager:UnifiedWebSocketManager"
TARGETS = (FACTORY, ASYNC_FACTORY, WRAPPER, CLASS)


@dataclass(frozen=True)
class Line:
    """A line of the service that uses a target, and the client actions that run it once each."""

    target: str
    use: str
    file: str
    function: str
    text: str
    actions: tuple[str, ...]
    allowed: bool = False

    @property
    def number(self) -> int:
        """Where the text stands in the function. Raises ValueError if it is not there exactly once."""
        lines = (SOURCE / self.file).read_text().splitlines()
        start, end = _extent(SOURCE / self.file, self.function.rpartition(".")[2])
        (found,) = [n for n in range(start, end + 1) if self.text in lines[n - 1]]
        return found


LINES = (
    Line(
        FACTORY,
        "call",
        "core/health_checks.py",
        "HealthChecker._check_websocket",
        "factory = get_websocket_manager_factory()",
        ("/health",),
    ),
    Line(FACTORY, "call", "routes/chat.py", "release_two", "get_websocket_manager_factory()", ("/ws/v2",)),
    Line(
        FACTORY,
        "call",
        "websocket_core/websocket_manager_factory.py",
        "create_websocket_manager",
        "return get_websocket_manager_factory()",
        ("/ws/resume",),
    ),
    Line(
        ASYNC_FACTORY, "call", "routes/chat.py", "resume", "await create_websocket_manager(", ("/ws/resume",)
    ),
    Line(WRAPPER, "call", "routes/chat.py", "release_one", "get_websocket_manager(", ("/ws/v1",)),
    Line(WRAPPER, "call", "routes/chat.py", "export", "get_websocket_manager(", ("/ws/export",)),
    Line(CLASS, "construct", "routes/chat.py", "current", "WebSocketManager(user_context)", ("/ws",)),
    Line(CLASS, "construct", "routes/http.py", "announce", "UnifiedWebSocketManager()", ("/announce",)),
    Line(
        CLASS,
        "construct",
        "websocket_core/websocket_manager_factory.py",
        "WebSocketManagerFactory.create",
        "UnifiedWebSocketManager(user_context)",
        ("/ws/v2", "/ws/resume"),
        allowed=True,
    ),
    Line(
        CLASS,
        "construct",
        "websocket_core/websocket_manager.py",
        "get_websocket_manager",
        "return UnifiedWebSocketManager(user_context)",
        ("/ws/v1", "/ws/export"),
        allowed=True,
    ),
)


def differences(report: dict[str, Any], did: Counter[str]) -> list[str]:
    """Every way in which `lastcall report --format json` disagrees with the clients; empty if it does not."""
    return [
        *_count_differences(report, did),
        *_definition_differences(report),
        *_reference_differences(report),
    ]


def _count_differences(report: dict[str, Any], did: Counter[str]) -> list[str]:
    wanted = {
        (line.target, line.use, f"chat_backend/{line.file}", line.number, line.function, line.allowed): sum(
            did[action] for action in line.actions
        )
        for line in LINES
    }
    seen: Counter[tuple[Any, ...]] = Counter()
    for use in report["uses"]:
        seen[tuple(use[key] for key in ("target", "use", "file", "line", "function", "allowed"))] += use[
            "count"
        ]
    return [
        f"{key}: {wanted.get(key, 0)} by the clients' count, {seen.get(key, 0)} in the report"
        for key in sorted({*wanted, *seen}, key=str)
        if wanted.get(key, 0) != seen.get(key, 0)
    ]


def _definition_differences(report: dict[str, Any]) -> list[str]:
    """Each target must be armed, and its definition named."""
    by_name = {target["target"]: target for target in report["targets"]}
    problems = []
    for ref in TARGETS:
        module, _, name = ref.partition(":")
        file = SOURCE.joinpath(*module.split(".")[1:]).with_suffix(".py")
        wanted = {"file": str(file.relative_to(SOURCE.parent)), "line": _extent(file, name)[0]}
        target = by_name.get(ref)
        if target is None or target["state"] != "armed" or target["defined"] != wanted:
            problems.append(f"{ref}: expected to be armed and defined at {wanted}, the report has {target}")
    return problems


def _reference_differences(report: dict[str, Any]) -> list[str]:
    """The module that re-exports every target must be named, with the import statement's line."""
    file = SOURCE / "websocket_core" / "canonical_imports.py"
    lines = {(held["target"], held["name"], held["file"]): held["line"] for held in report["references"]}
    problems = []
    for ref in TARGETS:
        name = ref.partition(":")[2]
        first, last = _import_of(file, name)
        line = lines.get((ref, name, str(file.relative_to(SOURCE.parent))), 0)
        if not first <= line <= last:
            problems.append(
                f"{ref}: its re-export at canonical_imports.py:{first} is reported at line {line}"
            )
    return problems


def _extent(file: Path, name: str) -> tuple[int, int]:
    """First and last line of the function or class called `name`."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    (node,) = [n for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, kinds) and n.name == name]
    return node.lineno, node.end_lineno or node.lineno


def _import_of(file: Path, name: str) -> tuple[int, int]:
    """First and last line of the import statement that brings `name`."""
    statements = [n for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.ImportFrom)]
    (node,) = [n for n in statements if any(alias.name == name for alias in n.names)]
    return node.lineno, node.end_lineno or node.lineno
