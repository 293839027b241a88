"""The writing side of live files: reserved, locked, whole, and never another's file."""

from __future__ import annotations

import fcntl
import os
import posix

import pytest

from lastcall import journal as writing
from lastcall.journal import HEADER_SLOTS, Journal
from lastcall.store.records import parse

SLOTS = 4000


@pytest.fixture
def journal(tmp_path):
    made = Journal(str(tmp_path / "live"), "aa01", SLOTS)
    yield made
    made.close()


def is_locked(path):
    with open(path, "rb") as other:
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_the_room_for_all_counts_is_taken_before_the_first(journal):
    """A page of a mapped file without a block behind it ends the host with SIGBUS when the disk is full."""
    found = os.stat(journal.path + ".counts")
    assert found.st_size == (HEADER_SLOTS + SLOTS) * 8
    assert found.st_blocks * 512 >= found.st_size


def test_where_that_room_cannot_be_had_nothing_is_left_behind(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(posix, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space"):
        Journal(str(tmp_path), "aa01", SLOTS)
    assert list(tmp_path.iterdir()) == []


def test_nor_where_the_journal_cannot_be_made(tmp_path):
    (tmp_path / "aa01.journal").mkdir()
    with pytest.raises(OSError, match="directory"):
        Journal(str(tmp_path), "aa01", SLOTS)
    assert [path.name for path in tmp_path.iterdir()] == ["aa01.journal"]


def test_after_a_host_has_closed_every_descriptor_the_journal_is_written_and_locked_again(journal):
    os.close(journal.fd)
    assert not is_locked(journal.path + ".journal")
    journal.append(("E", 1, "exit"))
    assert is_locked(journal.path + ".journal"), "else a reader takes the process for dead and deletes its files"
    with open(journal.path + ".journal") as written:
        assert written.read() == "('E', 1, 'exit')\n"


def test_and_no_other_file_of_that_name_is_written_to(journal):
    os.close(journal.fd)
    os.rename(journal.path + ".journal", journal.path + ".kept")
    with open(journal.path + ".journal", "w") as other:
        other.write("another's")
    with pytest.raises(OSError, match="its file is another"):
        journal.append(("E", 1, "exit"))
    with open(journal.path + ".journal") as other:
        assert other.read() == "another's"


def test_a_descriptor_that_is_somebody_elses_by_now_is_left_open(journal, tmp_path):
    number = journal.fd
    other = os.open(tmp_path / "other", os.O_WRONLY | os.O_CREAT)
    os.dup2(other, number)
    journal.close()
    assert os.write(number, b"still open") == 10
    os.close(number)
    os.close(other)


def test_what_follows_a_line_that_was_cut_short_is_whole(journal, monkeypatch):
    write = posix.write
    with monkeypatch.context() as patch:
        patch.setattr(writing.posix, "write", lambda fd, data: write(fd, data[:9]))
        with pytest.raises(OSError, match="short write"):
            journal.append(("E", 1, "exit"))
    journal.append(("E", 2, "exit"))
    journal.append(("E", 3, "exit"))
    with open(journal.path + ".journal", "rb") as written:
        records = [parse(line) for line in written.read().splitlines(keepends=True)]
    assert [record and round(record.at * 1e9) for record in records] == [None, 2, 3]
