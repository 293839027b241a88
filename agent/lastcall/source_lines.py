"""The lines of source files, as bytes, kept for a while."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=256)
def source_lines(filename: str) -> tuple[bytes, ...]:
    """The file's lines, empty if it cannot be read or is no file."""
    try:
        with open(filename, "rb") as file:  # noqa: PTH123 - pathlib costs a bare host 5 ms
            return tuple(file.read().splitlines())
    except (OSError, ValueError):
        return ()
