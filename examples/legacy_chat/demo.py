"""Runs the chat service with the agent on, lets real clients use it, compares the report with what they did.

python demo.py                  with the agent, switched on by one environment variable
python demo.py --without-agent  the same service and the same clients, nothing else
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from clients import drive
from expected import differences
from service import HERE, SERVERS, running

# Call sites and counts are on disk at once. What else the agent knows (states, references) follows a second
# later, and these workers end by a signal, which leaves no time for last words.
SETTLE_SECONDS = 2.5
STORE = HERE / ".lastcall" / "store.db"


def main() -> int:
    """0 if the report says exactly what the clients did, else 1."""
    options = _options()
    store = Path(options.store).resolve()
    if options.without_agent:
        _serve(options, {"LASTCALL_ENABLED": ""}, store.parent)
        return 0
    shutil.rmtree(store.parent, ignore_errors=True)
    did = _serve(options, {"LASTCALL_ENABLED": "1", "LASTCALL_STORE": str(store)}, store.parent)
    print("\n$ lastcall report", flush=True)
    _lastcall(store, "report")
    report = json.loads(_lastcall(store, "report", "--format", "json", capture=True))
    problems = differences(report, did)
    for problem in problems:
        print(f"WRONG: {problem}", file=sys.stderr)
    if not problems:
        found = f"{_sum(report)} uses, {len(report['uses'])} call sites, {len(report['targets'])} targets"
        print(f"\nEvery count, definition and re-export equals what the clients did: {found}.")
    return 1 if problems else 0


def _options() -> argparse.Namespace:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--server", choices=SERVERS, default=SERVERS[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often each user does everything")
    parser.add_argument("--store", default=str(STORE), help="what the agent saw; emptied first")
    parser.add_argument("--without-agent", action="store_true")
    return parser.parse_args()


def _serve(options: argparse.Namespace, environ: dict[str, str], folder: Path) -> dict[str, int]:
    """Start the service, drive it, stop it; what the clients did."""
    folder.mkdir(parents=True, exist_ok=True)
    switch = f"LASTCALL_ENABLED={environ['LASTCALL_ENABLED']} " if environ["LASTCALL_ENABLED"] else ""
    print(f"$ {switch}{options.server} --workers 2 chat_backend.app:app", flush=True)
    with running(options.server, environ, folder / "service.log") as port:
        did = asyncio.run(drive(port, options.rounds))
        time.sleep(SETTLE_SECONDS)
    print("Two users, at the same time: " + ", ".join(f"{count} x {action}" for action, count in did.items()))
    return did


def _lastcall(store: Path, *arguments: str, capture: bool = False) -> str:
    """Run the command line on the demo's store, as its user would."""
    result = subprocess.run(
        [sys.executable, "-m", "lastcall", *arguments],
        cwd=HERE,
        env={**os.environ, "LASTCALL_STORE": str(store), "LASTCALL_ENABLED": ""},
        stdout=subprocess.PIPE if capture else None,
        text=True,
        check=True,
    )
    return result.stdout or ""


def _sum(report: dict[str, list[dict[str, int]]]) -> int:
    return sum(use["count"] for use in report["uses"])


if __name__ == "__main__":
    sys.exit(main())
