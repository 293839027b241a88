"""Runs inventory.py with and without the agent: the same output, and every deprecated call counted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCRIPT = ["inventory.py", "parts.json"]
MODEL = "pydantic.main:BaseModel"


def main() -> int:
    """0 if the output is the same and the counts are those of the data, else 1."""
    store = Path(sys.argv[1] if len(sys.argv) > 1 else HERE / ".lastcall").resolve() / "store.db"
    shutil.rmtree(store.parent, ignore_errors=True)
    environ = {**os.environ, "LASTCALL_STORE": str(store), "LASTCALL_ENABLED": ""}
    plain = _run([sys.executable, *SCRIPT], environ)
    print("$ lastcall run -- python inventory.py parts.json", flush=True)
    lastcall = [sys.executable, "-m", "lastcall"]
    watched = _run([*lastcall, "run", "--", sys.executable, *SCRIPT], environ)
    print(watched.stdout + watched.stderr, end="")
    print("\n$ lastcall report", flush=True)
    subprocess.run([*lastcall, "report"], cwd=HERE, env=environ, check=True)
    report = json.loads(_run([*lastcall, "report", "--format", "json"], environ).stdout)
    problems = _differences(report)
    if (plain.stdout, plain.stderr) != (watched.stdout, watched.stderr):
        problems.append("the script's output changed under the agent")
    for problem in problems:
        print(f"WRONG: {problem}", file=sys.stderr)
    if not problems:
        print("\nThe output is the same as without the agent, and every count is what the data asks for.")
    return 1 if problems else 0


def _run(command: list[str], environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=HERE, env=environ, capture_output=True, text=True, check=True)


def _differences(report: dict[str, list[dict[str, object]]]) -> list[str]:
    """Where the report's counts differ from what the script must have called, given the data."""
    parts = json.loads((HERE / "parts.json").read_text())
    wanted = {
        (f"{MODEL}.parse_obj", "read_parts"): len(parts),
        (f"{MODEL}.json", "main"): len({part["shelf"] for part in parts}),
        (f"{MODEL}.dict", "to_order"): sum(part["in_stock"] < part["minimum"] for part in parts),
    }
    # Comprehensions are functions of their own before Python 3.12.
    seen = {(u["target"], str(u["function"]).partition(".<")[0]): u["count"] for u in report["uses"]}
    problems = [
        f"{key}: {wanted.get(key, 0)} calls made, {seen.get(key, 0)} reported"
        for key in sorted({*wanted, *seen}, key=str)
        if wanted.get(key, 0) != seen.get(key, 0)
    ]
    unarmed = [t["target"] for t in report["targets"] if t["state"] != "armed"]
    return problems + [f"{target} is not armed" for target in unarmed]


if __name__ == "__main__":
    sys.exit(main())
