"""Where items wait until a backend has them: a file for each process, written before anything is sent.

`FOLDER/CHANNEL/PID-RANDOM.items` starts with a header line of fixed width that holds the offset of the first
item not yet delivered, followed by one JSON object a line. Delivering moves the offset, in place, so that a
kill between two chunks resends at most one chunk; identifiers in the items make that harmless. A torn last
line is what a kill left and is ignored.

The owner holds a POSIX record lock on its file. Such a lock dies with the process and is not inherited by a
fork, unlike `flock`: a worker that outlives its master must not keep the master's file from being delivered.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from pathlib import Path

Item = dict[str, Any]
"""One thing to deliver, as JSON can hold it; see `entries.py` for its keys."""

HEADER: Final = '{{"lastcall":1,"at":{:<16d}}}\n'
HEADER_BYTES: Final = len(HEADER.format(0))
CACHED_ITEMS: Final = 4096
encode: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
"""An item as one line of JSON. One encoder for all: `json.dumps` with separators makes one for each call."""
SUFFIX: Final = ".items"

_ours: Final[dict[Path, int]] = {}
"""Files that are open here, with the process id that opened them. Opening and closing one of these a second
time would free this process's lock on it: that is how POSIX locks are. A forked child's id differs from its
parent's."""


class Queue(Protocol):
    """Items in order, oldest first; what `Outbox` needs of a place to keep them."""

    def put(self, items: list[Item]) -> None:
        """Keep the items. Raises OSError if that cannot be done; then none of them is kept."""

    def head(self, most: int, most_bytes: int) -> list[Item]:
        """The oldest items, up to both bounds, but at least one if there is any."""

    def everything(self) -> list[Item]:
        """All items that wait."""

    def delivered(self, number: int) -> None:
        """Forget the oldest `number` items, which `head` returned just now."""

    def replace(self, items: list[Item]) -> None:
        """Keep exactly these items instead of all there were."""

    @property
    def size(self) -> int:
        """Bytes that wait, roughly."""

    def __len__(self) -> int: ...


class MemoryQueue:
    """The fallback where nothing can be written: the same behaviour, gone with the process."""

    def __init__(self) -> None:
        self._items: deque[tuple[Item, int]] = deque()
        self._bytes = 0

    def put(self, items: list[Item]) -> None:
        """Keep the items."""
        for item in items:
            size = len(encode(item))
            self._items.append((item, size))
            self._bytes += size

    def head(self, most: int, most_bytes: int) -> list[Item]:
        """See `Queue.head`."""
        return _take(self._items, most, most_bytes)

    def everything(self) -> list[Item]:
        """All items that wait."""
        return [item for item, _ in self._items]

    def delivered(self, number: int) -> None:
        """Forget the oldest `number` items."""
        for _ in range(number):
            self._bytes -= self._items.popleft()[1]

    def replace(self, items: list[Item]) -> None:
        """Keep exactly these items."""
        self._items.clear()
        self._bytes = 0
        self.put(items)

    @property
    def size(self) -> int:
        """Bytes of JSON that the items would take."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._items)


class SpoolFile:
    """One process's items on disk. Not locked against threads; `Outbox` does that.

    The constructor raises OSError if the file cannot be made or opened, BlockingIOError if its owner lives.
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self.path = path
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        self._fd = os.open(path, flags, 0o666)
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.stat(path).st_ino != os.fstat(self._fd).st_ino:  # noqa: PTH116 - the pair of fstat
                raise BlockingIOError(11, "replaced by another process just now", str(path))  # noqa: TRY301 - closes it
            self._at, self._end = self._read_header()
        except BaseException:
            os.close(self._fd)
            raise
        # Decoded items from `_at` on, so that what was just put need not be read back.
        self._cache: deque[tuple[Item, int]] = deque()
        self._cached_to = self._at
        self._waiting = self._count_lines()
        _ours[path] = os.getpid()

    def _read_header(self) -> tuple[int, int]:
        size = os.fstat(self._fd).st_size
        if size < HEADER_BYTES:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, HEADER.format(HEADER_BYTES).encode(), 0)
            return HEADER_BYTES, HEADER_BYTES
        try:
            at = int(json.loads(os.pread(self._fd, HEADER_BYTES, 0))["at"])
        except (ValueError, KeyError, TypeError):
            at = HEADER_BYTES  # a damaged header: resend all, which identifiers make harmless
        return min(max(at, HEADER_BYTES), size), size

    def _count_lines(self) -> int:
        lines, offset = 0, self._at
        while block := os.pread(self._fd, 1 << 20, offset):
            lines += block.count(b"\n")
            offset += len(block)
        return lines

    def put(self, items: list[Item]) -> None:
        """Append in one write. On a full disk nothing is kept and OSError is raised."""
        lines = [encode(item).encode() + b"\n" for item in items]
        data = b"".join(lines)
        try:
            _write_all(self._fd, data, self._end)
        except OSError:
            os.ftruncate(self._fd, self._end)
            raise
        if self._cached_to == self._end:
            room = CACHED_ITEMS - len(self._cache)
            sizes = [len(line) for line in lines[:room]]
            self._cache.extend(zip(items, sizes))  # noqa: B905 - as many as there is room for
            self._cached_to += sum(sizes)
        self._end += len(data)
        self._waiting += len(items)

    def head(self, most: int, most_bytes: int) -> list[Item]:
        """See `Queue.head`. Lines that are no JSON object are skipped and count as delivered."""
        if not self._cache:
            self._fill(most_bytes)
        return _take(self._cache, most, most_bytes)

    def _fill(self, most_bytes: int) -> None:
        """Read from the offset on, at least one whole line."""
        want = max(most_bytes, 1 << 16)
        block = os.pread(self._fd, want, self._at)
        while b"\n" not in block and len(block) == want:
            want *= 2
            block = os.pread(self._fd, want, self._at)
        skipped = 0  # bytes of damaged lines before the item that follows them
        for line in block[: block.rfind(b"\n") + 1].splitlines(keepends=True):
            item = _parse(line)
            if item is None:
                skipped += len(line)
                self._waiting -= 1
                continue
            self._cache.append((item, len(line) + skipped))
            skipped = 0
        self._cached_to = self._at + sum(size for _, size in self._cache)
        if not self._cache:
            self._move_to(self._at + skipped if skipped else self._end)

    def everything(self) -> list[Item]:
        """All items that wait, read from the disk: the cache may hold only the first of them."""
        data = os.pread(self._fd, self._end - self._at, self._at)
        items = (_parse(line) for line in data[: data.rfind(b"\n") + 1].splitlines())
        return [item for item in items if item is not None]

    def delivered(self, number: int) -> None:
        """Move the offset past the oldest `number` items; an empty file is cut back to its header."""
        passed = 0
        for _ in range(number):
            passed += self._cache.popleft()[1]
        self._waiting -= number
        # With no whole line left, what follows is torn and worth nothing.
        self._move_to(self._at + passed if self._waiting else self._end)

    def _move_to(self, offset: int) -> None:
        self._at = offset
        if self._at >= self._end:
            # The offset first: a kill in between must not make the header point behind new items.
            os.pwrite(self._fd, HEADER.format(HEADER_BYTES).encode(), 0)
            os.ftruncate(self._fd, HEADER_BYTES)
            self._at = self._end = self._cached_to = HEADER_BYTES
            self._waiting = 0
            self._cache.clear()
        else:
            os.pwrite(self._fd, HEADER.format(self._at).encode(), 0)

    def replace(self, items: list[Item]) -> None:
        """Write a new file and move it into the old one's place. Raises OSError; the old one then stays."""
        fresh = self.path.with_suffix(".tmp")
        fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        data = HEADER.format(HEADER_BYTES).encode() + b"".join(
            encode(item).encode() + b"\n" for item in items
        )
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write_all(fd, data, 0)
            fresh.replace(self.path)
        except BaseException:
            os.close(fd)
            fresh.unlink(missing_ok=True)
            raise
        os.close(self._fd)
        self._fd = fd
        self._at = self._cached_to = HEADER_BYTES
        self._end = len(data)
        self._waiting = len(items)
        self._cache.clear()

    @property
    def size(self) -> int:
        """Bytes that wait."""
        return self._end - self._at

    def __len__(self) -> int:
        return self._waiting

    def rename(self, path: Path) -> None:
        """Give the file another name; the lock stays."""
        self.path.rename(path)
        _ours[path] = _ours.pop(self.path)
        self.path = path

    def close(self) -> None:
        """Let go of the file, which frees the lock; nothing is left of an empty one."""
        if self._fd < 0:
            return
        if not self._waiting:
            self.path.unlink(missing_ok=True)
        os.close(self._fd)
        self._fd = -1
        _ours.pop(self.path, None)


def open_own(folder: Path) -> SpoolFile:
    """A new file for this process. Raises OSError if the folder cannot be made or written."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{os.getpid()}-{os.urandom(4).hex()}{SUFFIX}"
    # Under another name until it is locked: whoever looks for abandoned files must not find it unlocked.
    file = SpoolFile(path.with_suffix(".new"))
    file.rename(path)
    return file


def adopt(folder: Path) -> SpoolFile | None:
    """The oldest file whose owner is gone, now ours to deliver; None if there is none."""
    for path in _abandoned(folder):
        try:
            file = SpoolFile(path, create=False)
        except OSError:
            continue  # its owner lives, or somebody else was faster
        if len(file):
            return file
        file.close()
    return None


def forget_oldest(folder: Path, limit: int) -> int:
    """Delete the oldest abandoned files until all are under `limit` bytes together; returns the items
    lost."""
    files = [(path, _size(path)) for path in _abandoned(folder)]
    total, lost = sum(size for _, size in files), 0
    for path, size in files:
        if total <= limit:
            break
        try:
            file = SpoolFile(path, create=False)
        except OSError:
            continue
        lost += len(file)
        total -= size
        path.unlink(missing_ok=True)
        file.close()
    return lost


def _abandoned(folder: Path) -> list[Path]:
    """Every file that this process has not opened, oldest first; its owner may still live."""
    try:
        found = [(path.stat().st_mtime, path) for path in folder.iterdir() if path.suffix == SUFFIX]
    except OSError:
        return []  # no folder, or a file that went away while we looked: there is a next time
    return [path for _, path in sorted(found) if _ours.get(path) != os.getpid()]


def _write_all(fd: int, data: bytes, offset: int) -> None:
    if os.pwrite(fd, data, offset) != len(data):
        raise OSError(errno.ENOSPC, "short write to the spool")  # what a short write to a file means


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _parse(line: bytes) -> Item | None:
    try:
        item = json.loads(line)
    except ValueError:
        return None
    return item if isinstance(item, dict) else None


def _take(items: deque[tuple[Item, int]], most: int, most_bytes: int) -> list[Item]:
    taken: list[Item] = []
    total = 0
    for item, size in items:
        if taken and (len(taken) >= most or total + size > most_bytes):
            break
        taken.append(item)
        total += size
    return taken
