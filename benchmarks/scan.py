"""Times `lastcall scan` and `lastcall references` on a generated tree and prints the figures.

    python benchmarks/scan.py                       # 5,000 files, 1,000,000 lines
    python benchmarks/scan.py --files 500 --keep /tmp/tree

The tree is made of packages of modules with classes, docstrings, functions and imports between them; one
module in eight holds something deprecated, in all the ways that `scan` knows, and one in fifty calls the
factory that `references` is asked for, directly or through a re-export. Each command runs as a user would
run it: cold (no cache), then again with the cache of the first run, then after one file in a hundred changed.
Where other work shares the machine, look at the CPU seconds: the first run of `scan` spreads them over two
processes. Memory is the sum over the command's processes, sampled from /proc twenty times a second.

The first row is the floor: reading the same files and handing each to `ast.parse`, in one process, and nothing else.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LINES_A_FILE = 200
WORDS = [
    "load",
    "store",
    "merge",
    "build",
    "parse",
    "emit",
    "route",
    "check",
    "bind",
    "open",
    "drain",
    "sync",
    "index",
    "query",
    "fetch",
    "render",
    "plan",
    "apply",
]
NOUNS = [
    "order",
    "user",
    "batch",
    "token",
    "page",
    "frame",
    "record",
    "cart",
    "report",
    "socket",
    "tenant",
    "ledger",
    "queue",
    "cursor",
    "sample",
]
DEPRECATED = (
    '@deprecated("use {new} instead", category=None)\ndef {old}(value):\n    return {new}(value)\n',
    (
        'def {old}(value):\n    """Old way.\n\n    .. deprecated:: 2.1\n       Use :func:`{new}`.\n    """\n'
        "    return {new}(value)\n"
    ),
    (
        "def {old}(value):\n"
        '    warnings.warn("{old} is deprecated, use {new}", DeprecationWarning, stacklevel=2)\n'
        "    return {new}(value)\n"
    ),
    'def {old}(value):\n    logger.warning("{old} is deprecated, use {new}")\n    return {new}(value)\n',
    "# Deprecated: use {new}.\ndef {old}(value):\n    return {new}(value)\n",
)
CALLS = (
    "from {root}.p0.m0 import get_session_factory\nFACTORY = get_session_factory()\n",
    "from {root}.p0 import get_session_factory as make\n\n\ndef use_it():\n    return make()\n",
    "import {root}.p0.m0 as zero\n\n\ndef use_zero():\n    return zero.get_session_factory()\n",
)


def names(rng):
    return f"{rng.choice(WORDS)}_{rng.choice(NOUNS)}_{rng.randrange(1000)}"


def function(rng, indent=""):
    name = names(rng)
    lines = [
        f"{indent}def {name}(self, first, second=None, *, limit: int = {rng.randrange(100)}) -> dict:",
        f'{indent}    """Work on {rng.choice(NOUNS)}s in batches and say how many were done.',
        "",
        f"{indent}    Raises ValueError if `first` holds nothing.",
        f'{indent}    """',
        f"{indent}    result = {{}}",
        f"{indent}    for number, item in enumerate(first):",
        f"{indent}        if item is None or (second and item not in second):",
        f"{indent}            continue",
        f"{indent}        result[item.{rng.choice(NOUNS)}] = item.{rng.choice(WORDS)}(number, limit=limit)",
        f'{indent}        logger.debug("done %s of %d", item, limit)',
        f"{indent}    return {{key: value for key, value in result.items() if value}}",
        "",
    ]
    return "\n".join(lines)


def module(rng, root, number, packages):
    parts = [
        '"""A generated module."""',
        "import logging",
        "import warnings",
        "from typing_extensions import deprecated",
        "",
    ]
    for _ in range(4):
        parts.append(
            f"from {root}.p{rng.randrange(packages)} import m{rng.randrange(5)} as other_{rng.randrange(99)}"
        )
    parts += ["", "logger = logging.getLogger(__name__)", ""]
    if number == 0:
        parts.append(DEPRECATED[2].format(old="get_session_factory", new="make_session"))
    elif number % 8 == 0:
        old, new = names(rng), names(rng)
        parts.append(DEPRECATED[number // 8 % len(DEPRECATED)].format(old=old, new=new))
    if number % 50 == 1:
        parts.append(CALLS[number // 50 % len(CALLS)].format(root=root))
    text = "\n".join(parts)
    while text.count("\n") < LINES_A_FILE - 14:
        text += (
            f"\n\nclass {names(rng).title().replace('_', '')}:\n"
            + function(rng, "    ")
            + function(rng, "    ")
        )
        text += "\n\n" + function(rng)
    return text + "\n" * max(0, LINES_A_FILE - text.count("\n"))


def generate(folder, files, seed=20261122):
    rng = random.Random(seed)
    root = "shop"
    packages = max(1, files // 25)
    lines = 0
    for package in range(packages):
        target = folder / root / f"p{package}"
        target.mkdir(parents=True)
        (target / "__init__.py").write_text("from .m0 import *\n" if package == 0 else "")
    (folder / root / "__init__.py").write_text("")
    for number in range(files):
        text = module(rng, root, number, packages)
        lines += text.count("\n")
        (folder / root / f"p{number % packages}" / f"m{number // packages}.py").write_text(text)
    return lines


def memory_of(pid):
    """Resident bytes of a process and its children."""
    total, pending = 0, [pid]
    while pending:
        current = pending.pop()
        try:
            for task in os.listdir(f"/proc/{current}/task"):
                pending += [
                    int(item) for item in Path(f"/proc/{current}/task/{task}/children").read_text().split()
                ]
            total += int(Path(f"/proc/{current}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except OSError:
            continue
    return total


def cpu_seconds():
    """Of all children that have ended, theirs included: what the figure would be on one idle core."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(arguments, folder, *, module=True):
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    started, used = time.perf_counter(), cpu_seconds()
    command = [sys.executable, *(["-m", "lastcall"] if module else []), *arguments]
    peak = 0
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output)
        while process.poll() is None:
            peak = max(peak, memory_of(process.pid))
            time.sleep(0.05)
        seconds = time.perf_counter() - started
        output.seek(0)
        last = output.read().strip().splitlines()[-1].strip()
    if process.returncode:
        sys.exit(f"{' '.join(arguments)} failed with {process.returncode}")
    return seconds, cpu_seconds() - used, peak / 1e6, last


FLOOR = """\
import ast, gc, pathlib, sys
gc.disable()
for path in pathlib.Path(sys.argv[1]).rglob("*.py"):
    ast.parse(path.read_bytes())
print("the floor of any first run, on one core")
"""


def measure(folder):
    rows = [("ast.parse alone", *run(["-c", FLOOR, "tree"], folder, module=False))]
    scan = ["scan", "tree"]
    refer = ["references", "shop.p0.m0:get_session_factory", "--path", "tree"]
    for title, arguments in (("scan", scan), ("references", refer)):
        rows.append((f"{title}, first run", *run(arguments, folder)))
        rows.append((f"{title}, again", *run(arguments, folder)))
    for path in sorted((folder / "tree" / "shop").rglob("m*.py"))[::100]:
        path.write_text(path.read_text() + "\nCHANGED = True\n")
    rows.append(("scan, 1 % changed", *run(scan, folder)))
    rows.append(("references, 1 % changed", *run(refer, folder)))
    return rows


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--keep", help="an empty folder to make the tree in and leave it there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.keep or temporary)
        lines = generate(folder / "tree", options.files)
        python = sys.version.split()[0]
        print(f"{options.files:,} files, {lines:,} lines, {os.cpu_count()} cores, Python {python}")
        print(f"{'':<26}{'seconds':>9}{'CPU':>8}{'MB':>6}")
        for title, seconds, cpu, megabytes, last in measure(folder):
            print(f"{title:<26}{seconds:>9.2f}{cpu:>8.2f}{megabytes:>6.0f}   {last}")


if __name__ == "__main__":
    main()
