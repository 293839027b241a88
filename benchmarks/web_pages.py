"""What a page of `lastcall ui` costs on a year of a large fleet, with all verdicts reached.

    python benchmarks/web_pages.py [STORE.db] [--rounds 7]

Without a STORE one is made as `store_year.py` makes it: 1,000 targets, 100,000 call sites, 52 weeks. Times are
processor time of the server for one request, so that other programs do not count; `first` is the first request
of that kind, `then` the median of the later ones, `size` the bytes sent, compressed. A browser asks
for the scripts, styles and fonts once: `assets` says how much that is.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import statistics
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "agent"), str(ROOT / "benchmarks")]

import store_year  # noqa: E402 - the paths come first

from lastcall import config as settings  # noqa: E402 - the same
from lastcall.store import Store  # noqa: E402 - the same
from lastcall.web import board as boards  # noqa: E402 - the same
from lastcall.web.app import application  # noqa: E402 - the same
from lastcall.web.rendering import STATIC  # noqa: E402 - the same


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = given.store or made(Path(folder) / "year.db")
        board = ready(path)
        print(f"{'page':34} {'first, ms':>10} {'then, ms':>10} {'size, KB':>10}")
        app = application(lambda: board)
        for name, address in addresses(board).items():
            times, size = measured(app, address, given.rounds)
            print(f"{name:34} {times[0]:10.1f} {statistics.median(times[1:]):10.1f} {size / 1000:10.1f}")
        print(f"{'assets':34} {'':10} {'':10} {asset_bytes() / 1000:10.1f}")
        board.close()


def made(path):
    with Store.open(path) as store:
        store_year.build(store, targets=1000, sites=100_000, seed=1, now=time.time())
    return path


def ready(path):
    """The board over a store, judged; how long either took goes to stdout."""
    now = time.time()
    began = time.process_time()
    board = boards.read(Store.current(path), now)
    read = time.process_time()
    board = boards.judge(board, settings.load({}))
    words = {}
    for row in board.targets.values():
        words[row.word] = words.get(row.word, 0) + 1
    print(f"Reading the store: {read - began:.2f} s of a processor; {words}: {time.process_time() - read:.2f} s.")
    return board


def busiest(board):
    """The target with the most call sites."""
    return max(board.targets.values(), key=lambda row: row.sums.sites if row.sums else 0).ref


def addresses(board):
    """What is asked for, by name."""
    ref = quote(busiest(board))
    safe = quote(next(row.ref for row in board.targets.values() if row.word == "safe"))
    return {
        "overview": "/",
        "overview, one year": "/?days=365",
        "targets": "/targets",
        "targets, searched and sorted": "/targets?q=factory&sort=last",
        "the busiest target": f"/target?ref={ref}",
        "the busiest target, last page": f"/target?ref={ref}&page=1000",
        "the busiest target, by file": f"/target?ref={ref}&sort=place",
        "the busiest target, searched": f"/target?ref={ref}&q=views_3",
        "a safe target": f"/target?ref={safe}",
        "isolation": "/isolation",
        "impact": "/impact",
        "observation": "/observation",
    }


def measured(app, address, rounds=7):
    """([ms of processor time of each request], bytes of the last answer)."""
    times, size = [], 0
    for _ in range(rounds):
        began = time.process_time()
        size = len(answer(app, address))
        times.append((time.process_time() - began) * 1000)
    return times, size


def answer(app, address):
    """The body of an answer as a browser gets it."""
    path, _, query = address.partition("?")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "headers": [(b"host", b"127.0.0.1:8765"), (b"accept-encoding", b"gzip")],
        "client": ("127.0.0.1", 50000), "server": ("127.0.0.1", 8765),
    }  # fmt: skip
    parts, statuses = [], []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        parts.append(message.get("body", b""))
        statuses.append(message.get("status"))

    asyncio.run(app(scope, receive, send))
    assert statuses[0] == 200, (address, statuses)
    return b"".join(parts)


def asset_bytes():
    """Of all that a browser asks for beside the first page, compressed where that helps."""
    kept = [path for path in STATIC.rglob("*") if path.suffix in (".js", ".css", ".woff2", ".svg")]
    return sum(min(path.stat().st_size, len(gzip.compress(path.read_bytes(), 5))) for path in kept)


if __name__ == "__main__":
    main()
