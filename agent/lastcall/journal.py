"""What the host process puts on disk by itself: an append-only journal and a file-mapped table of counters.

No database, no lock, nothing to wait for: a new call site costs one `write(2)`, a count one store into
mapped memory, and both outlive `kill -9`. The store reads these files (its own process's every second,
a dead process's as soon as anybody looks) and deletes them when it has them all.

Beside the database `DIR/store.db` lies the folder `DIR/store.db-live/`, with two files per process:

`ID.journal`
    One record a line: `ascii()` of a tuple, so any string survives and `ast.literal_eval` reads it. A last
    line without its newline was torn by a kill and is ignored. The process holds an exclusive `flock` on
    this file for as long as it lives; who gets the lock knows that the process is gone.

    ======================================================================================= ==============
    ("P", 2, id, pid, service, environment, release, host, python, started_ns, root, attrs)  the process
    ("T", ref, kind, replacement, owner, issue, since, remove_by, note, schedule,
     defined_file, defined_line, source)                                                     a target
    ("A", ref, state, reason, engine, at_ns)                                                 its state now
    ("S", slot, ref, use, at_ns, flags, file, line, function, module, origin, via, note,
     frames)                                                                                 a call site
    ("K", number, frames)                                                                    frames in common
    ("X", slot, expression)                                                                  its spelling
    ("Z", slot, errors)                                                                      known to raise
    ("R", target, module, name, file, line, how)                                             a reference
    ("F", kind, target, at_ns, message, slot, count, attrs)                                  a finding
    ("O", at_ns, dropped, internal_errors)                                                   counters so far
    ("E", at_ns, how)                                                                        a clean end
    ======================================================================================= ==============

    A spelling that begins with `@` is the place in the source where it stands (first line, first column, last
    line, last column): the process had no time to look it up.

    `attrs`, `dropped` and `internal_errors` are tuples of pairs. `frames` is a tuple of (file, line,
    function), innermost first, the call site itself at index 0; its last item may be the number of a K record
    that stands before it, whose frames follow. Files are as Python has them, usually
    absolute; `root` of the P record is what to make them relative to. `flags` is a sum of the constants
    below. A finding's slot is -1 if it has no call site. `how` is "exit", "fork-parent" or "exec".

`ID.counts`
    Unsigned 64-bit integers in the machine's order. The first eight are the header (see HEADER_*), the
    rest are the counts, slot 0 first; a slot's meaning is its S record. Counts only grow.
"""

from __future__ import annotations

import fcntl

# not `os`: a host that replaces `os.write`, to find what blocks its event loop, is not to find us
import posix
from mmap import mmap

from .introduction import make_live_folder

MAGIC = 0x4C41535443414C4C  # "LASTCALL"

HEADER_SLOTS = 8
HEADER_MAGIC = 0
HEADER_SCRATCH = 1
"""Written by counters that count elsewhere or not at all; its value means nothing."""
HEADER_HEARTBEAT = 2
"""Nanoseconds since the epoch of the last flush: the process was seen alive then."""

HEADER_FILE = 3
"""The number of this very file (its inode): another one is a copy, whose lock says nothing of the process."""

_LARGEST = (1 << 64) - 1

FLAG_DURING_IMPORT = 1
FLAG_BY_TEST = 2
FLAG_SCANNER = 4
FLAG_ALLOWED = 8


def live_folder(store: str) -> str:
    """The folder of live files that belongs to the database at path `store`."""
    return store + "-live"


class Journal:
    """The writing side, inside the host. Not locked: callers hold the recorder's lock.

    Raises OSError from the constructor if the files cannot be made; the recorder then counts in memory.
    """

    __slots__ = ("_identity", "_mapped", "_torn", "counts", "fd", "id", "path")

    def __init__(self, folder: str, process_id: str, slots: int) -> None:
        make_live_folder(folder)
        self.id = process_id
        self._torn = False
        self.path = f"{folder}/{process_id}"
        size = (HEADER_SLOTS + slots) * 8
        counts_fd = posix.open(self.path + ".counts", posix.O_RDWR | posix.O_CREAT | posix.O_CLOEXEC, 0o666)
        try:
            # A mapped page without a block behind it is a SIGBUS when the disk is full: reserve them now.
            posix.posix_fallocate(counts_fd, 0, size)
            self._mapped = mmap(counts_fd, size)
            number = posix.fstat(counts_fd).st_ino
        except BaseException:
            posix.unlink(self.path + ".counts")
            raise
        finally:
            posix.close(counts_fd)
        self.counts = memoryview(self._mapped).cast("Q")
        self.counts[HEADER_MAGIC] = MAGIC
        self.counts[HEADER_FILE] = number & _LARGEST
        try:
            self.fd = posix.open(
                self.path + ".journal", posix.O_WRONLY | posix.O_CREAT | posix.O_APPEND | posix.O_CLOEXEC, 0o666
            )
        except OSError:
            posix.unlink(self.path + ".counts")
            raise
        found = posix.fstat(self.fd)
        self._identity = found.st_dev, found.st_ino
        fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def append(self, *records: tuple[object, ...] | str) -> None:
        """Put records on disk (in the kernel's hands) before returning, all in one write. Raises OSError.

        A record that is text already is taken to be its own `ascii()`.
        """
        text = "".join([(record if record.__class__ is str else ascii(record)) + "\n" for record in records])
        # a full disk may have cut the last write short: begin a line of its own
        data = ("\n" + text if self._torn else text).encode("ascii")
        if not self._is_ours():
            self._open_again()
        self._torn = posix.write(self.fd, data) != len(data)
        if self._torn:
            raise OSError("short write to the journal")

    def _is_ours(self) -> bool:
        """Whether our descriptor still is the journal: a host that closes all may have given it to another file."""
        try:
            found = posix.fstat(self.fd)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._identity

    def _open_again(self) -> None:
        fd = posix.open(self.path + ".journal", posix.O_WRONLY | posix.O_APPEND | posix.O_CLOEXEC)
        found = posix.fstat(fd)
        if (found.st_dev, found.st_ino) != self._identity:
            posix.close(fd)
            raise OSError("the journal's descriptor was closed, and its file is another")
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.fd = fd

    def discard(self) -> None:
        """Take back what could not say whose it is: its lock would keep the next attempt out of the same files."""
        self.close()
        for ending in (".journal", ".counts"):
            posix.unlink(self.path + ending)

    def close(self) -> None:
        """Let go of the files, which frees the lock. The counters stay readable in memory."""
        if self.fd >= 0 and self._is_ours():
            posix.close(self.fd)
        self.fd = -1
