"""The lines of source files, as bytes, kept for a while."""

from __future__ import annotations

from _io import FileIO  # not `open`: what a test of the host's puts in its place is not for us
from functools import lru_cache


@lru_cache(maxsize=256)
def source_lines(filename: str) -> tuple[bytes, ...]:
    """The file's lines, empty if it cannot be read or is no file."""
    try:
        with FileIO(filename) as file:
            return tuple(file.read().splitlines())
    except (OSError, ValueError):
        return ()
