"""Writing a file whole or not at all, so that a full disk or a kill leaves the old one as it was."""

from __future__ import annotations

import os
import stat
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def write(path: str | os.PathLike[str], pieces: Iterable[str]) -> None:
    """All of `pieces` in the file at `path`, which keeps its permissions, or the old file. Raises OSError.

    A link stays a link to the file that is written. A device or a pipe, such as `/dev/stdout`, is written to:
    root could put a file in its place.
    """
    try:
        found = os.stat(path)  # noqa: PTH116 - paths as text throughout this module
    except FileNotFoundError:
        mode = 0o666 & ~_umask()
    else:
        if not stat.S_ISREG(found.st_mode) or os.path.abspath(path).startswith(("/dev/", "/proc/")):  # noqa: PTH100
            with open(path, "w", encoding="utf-8", newline="\n") as there:  # noqa: PTH123
                there.writelines(pieces)
            return
        mode = stat.S_IMODE(found.st_mode)
    folder, name = os.path.split(os.path.realpath(path))
    descriptor, beside = tempfile.mkstemp(prefix=f".{name[:50]}-", dir=folder)
    try:
        with open(descriptor, "w", encoding="utf-8", newline="\n") as file:  # noqa: PTH123
            file.writelines(pieces)
        os.chmod(beside, mode)  # noqa: PTH101
        os.replace(beside, os.path.join(folder, name))  # noqa: PTH105, PTH118
    except BaseException:
        os.unlink(beside)  # noqa: PTH108
        raise


BOM = "\ufeff"
"""The mark that some editors put first; TOML knows none."""


def rewrite(path: str | os.PathLike[str], text: str) -> None:
    """`write`, with the line ends and the mark at its begin that the file has. Raises OSError."""
    old = b""
    if os.path.exists(path):  # noqa: PTH110
        with open(path, "rb") as file:  # noqa: PTH123
            old = file.read()
    if b"\r\n" in old:
        text = text.replace("\n", "\r\n")
    if old.startswith(BOM.encode()):
        text = BOM + text
    write(path, [text])


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
