"""The commit that is checked out, as a release of last resort. Runs no git, and is imported only if nobody names one.

Where things lie: gitrepository-layout(5). In a worktree or submodule `.git` is a file that names the folder, and
`commondir` in there names the one that holds the branches.
"""

from __future__ import annotations

import os

DIGITS = 12


def commit_at(folder: str) -> str:
    """The first 12 digits of the commit checked out at or above `folder`, or nothing."""
    while True:
        git = os.path.join(folder, ".git")
        try:
            if os.path.isfile(git):
                git = os.path.join(folder, _read(git).removeprefix("gitdir:").strip())
            if os.path.isfile(os.path.join(git, "HEAD")):
                return _checked_out(git)[:DIGITS]
        except (OSError, UnicodeDecodeError, ValueError):
            return ""
        parent = os.path.dirname(folder)
        if parent == folder:
            return ""
        folder = parent


def _checked_out(git: str) -> str:
    head = _read(os.path.join(git, "HEAD"))
    if not head.startswith("ref: "):
        return head
    name = head[5:]
    common = os.path.join(git, "commondir")
    shared = os.path.join(git, _read(common)) if os.path.isfile(common) else git
    for place in (git, shared):
        path = os.path.join(place, *name.split("/"))
        if os.path.isfile(path):
            return _read(path)
    for line in _read(os.path.join(shared, "packed-refs")).splitlines():
        commit, _, ref = line.strip().partition(" ")
        if ref == name:
            return commit
    return ""


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read().strip()
