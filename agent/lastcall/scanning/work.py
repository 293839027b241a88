"""Many files through one analysis: two processes, results kept by content, no file able to stop the rest.

The workers are plain interpreters started in isolated mode that speak JSON over pipes, rather than
`multiprocessing`: that would run the caller's `__main__` again, or fork a process that has threads (the
dashboard, a test run), and isolated mode keeps the agent and the user's `sitecustomize` out of them.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lastcall.scanning.analyses import ANALYSES, Outcome, analyse_file
from lastcall.scanning.tree import Unreadable, read_source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lastcall.scanning.cache import Cache

    Progress = Callable[[int, int], None]

WORKERS = 2
_FEW_BYTES = 1_500_000
"""Less work than this is done sooner here than it takes to start the workers."""
_CHUNK_BYTES = 400_000
_PATIENCE = 0.2
"""Seconds between two looks whether the user has had enough."""
_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from lastcall.scanning.work import serve; serve()"


@dataclass(frozen=True, slots=True)
class Item:
    """A file to analyse, with what the analysis needs to know besides its content (JSON-ready)."""

    path: str
    arguments: Any = None


def analyse(
    items: Sequence[Item],
    analysis: str,
    *,
    cache: Cache | None = None,
    progress: Progress | None = None,
    workers: int = WORKERS,
) -> list[Outcome]:
    """Run `analysis` (a key of ANALYSES) on every item; the outcomes are in the order of the items.

    `progress` is called with (items done, items in all), from the calling thread and others, one at a time.
    """
    run = _Run(items, analysis, cache, progress)
    missing, size = run.look_up()
    if missing:
        if size < _FEW_BYTES or workers <= 1 or not sys.executable:
            run.analyse(missing)
        else:
            _in_workers(run, missing, min(workers, os.cpu_count() or 1))
    run.save()
    return [outcome or Outcome(reason="not analysed") for outcome in run.outcomes]


@cache
def _own_code() -> str:
    """A digest of the analyses' own code: what another release of it kept may have other contents."""
    digest = blake2b(digest_size=8)
    with suppress(OSError):  # from an archive: the versions have to do
        for path in sorted(Path(__file__).parent.glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


class _Run:
    """The state of one call of `analyse`. `finish` may be called from several threads."""

    def __init__(
        self, items: Sequence[Item], analysis: str, cache: Cache | None, progress: Progress | None
    ) -> None:
        self.items = items
        self.analysis = analysis
        self.outcomes: list[Outcome | None] = [None] * len(items)
        self.sizes = [0] * len(items)
        self._keys: list[bytes] = [b""] * len(items)
        self._cache = cache
        self._progress = progress
        self._done = 0
        self._lock = threading.Lock()

    def look_up(self) -> tuple[list[int], int]:
        """Take what the cache knows. Returns the items that are left and their size in bytes."""
        version = f"{self.analysis}:{ANALYSES[self.analysis].version}:{sys.version_info[:2]}:{_own_code()}:"
        missing, total = [], 0
        for index, item in enumerate(self.items):
            try:
                data = read_source(item.path)
            except Unreadable as error:
                self.finish(index, Outcome(reason=str(error)))
                continue
            prefix = (version + json.dumps(item.arguments)).encode()
            self._keys[index] = blake2b(prefix + b"\0" + data, digest_size=16).digest()
            known = self._cache.get(self._keys[index]) if self._cache else None
            if known is not None:
                self.finish(index, Outcome(*known))
                continue
            missing.append(index)
            self.sizes[index] = len(data)
            total += len(data)
        return missing, total

    def finish(self, index: int, outcome: Outcome) -> None:
        with self._lock:
            self.outcomes[index] = outcome
            self._done += 1
            if self._progress and (self._done % 16 == 0 or self._done == len(self.items)):
                self._progress(self._done, len(self.items))

    def analyse(self, indices: Sequence[int]) -> None:
        """Some of the items, in this process."""
        for index in indices:
            item = self.items[index]
            self.finish(index, analyse_file(item.path, self.analysis, item.arguments))

    def save(self) -> None:
        if self._cache is None:
            return
        for index, outcome in enumerate(self.outcomes):
            if self.sizes[index] and outcome is not None:
                self._cache.put(self._keys[index], (outcome.value, outcome.reason))
        self._cache.commit()


def _in_workers(run: _Run, missing: list[int], workers: int) -> None:
    chunks = _chunks(missing, run.sizes)
    lock = threading.Lock()

    def take() -> list[int] | None:
        with lock:
            return chunks.pop() if chunks else None

    threads = [threading.Thread(target=_drive, args=(run, take), daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        # not without end: a Ctrl-C that comes while this thread waits for its turn is only seen when it next runs
        while thread.is_alive():
            thread.join(_PATIENCE)


def _chunks(missing: list[int], sizes: list[int]) -> list[list[int]]:
    """Items in portions of similar size, the largest files handed out first (the list is taken from its
    end)."""
    chunks: list[list[int]] = []
    current: list[int] = []
    size = 0
    for index in sorted(missing, key=lambda item: sizes[item]):
        current.append(index)
        size += sizes[index]
        if size >= _CHUNK_BYTES:
            chunks.append(current)
            current, size = [], 0
    return [*chunks, current] if current else chunks


def _drive(run: _Run, take: Callable[[], list[int] | None]) -> None:
    """Feed one worker until nothing is left; a worker that dies is replaced, and the file that killed it
    named."""
    worker: _Worker | None = None
    pending: list[list[int]] = []
    try:
        while True:
            chunk = pending.pop() if pending else take()
            if chunk is None:
                return
            try:
                worker = worker or _Worker(run.analysis)
            except OSError:  # no process may be started here, or the interpreter not be read: do it ourselves
                run.analyse(chunk)
                continue
            outcomes = worker.ask([run.items[index] for index in chunk])
            if outcomes is not None:
                for index, outcome in zip(chunk, outcomes, strict=True):
                    run.finish(index, outcome)
                continue
            worker.close()
            worker = None
            if len(chunk) == 1:
                run.finish(chunk[0], Outcome(reason="the parser crashed on it"))
            else:
                pending.extend([index] for index in chunk)
    finally:
        if worker is not None:
            worker.close()


class _Worker:
    """One worker process and its two pipes."""

    def __init__(self, analysis: str) -> None:
        source = str(Path(__file__).parents[2])
        self._analysis = analysis
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and code
            [sys.executable, "-I", "-S", "-W", "ignore", "-c", _BOOT, source],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, items: list[Item]) -> list[Outcome] | None:
        """The outcomes of some items, or None if the process died over them."""
        question = [self._analysis, [[item.path, item.arguments] for item in items]]
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except OSError:
            return None
        if not answer.endswith(b"\n"):
            return None
        return [Outcome(*pair) for pair in json.loads(answer)]

    def close(self) -> None:
        """End the process and wait for it."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):  # it may have died with our last question in the pipe
                    pipe.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def serve() -> None:
    """The worker's side: answer one JSON line for each JSON line, until the pipe closes."""
    answers = sys.stdout.buffer
    sys.stdout = sys.stderr  # nothing else may write into the pipe
    gc.disable()  # syntax trees hold no circles, and are most of what is allocated here
    for line in sys.stdin.buffer:
        analysis, items = json.loads(line)
        outcomes = [analyse_file(path, analysis, arguments) for path, arguments in items]
        answers.write(json.dumps([(item.value, item.reason) for item in outcomes]).encode() + b"\n")
        answers.flush()
