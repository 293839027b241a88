"""The commit as a release of last resort: what git itself says, wherever it keeps it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lastcall.git_commit import commit_at


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "protocol.file.allow=always")
    done = subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "pkg").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    for message in ("one", "two"):
        git(folder, "commit", "-q", "--allow-empty", "-m", message)
    return folder


def expected(folder: Path) -> str:
    return git(folder, "rev-parse", "HEAD")[:12]


def test_the_checked_out_commit_is_found_from_below(repository: Path) -> None:
    assert commit_at(str(repository / "pkg")) == expected(repository)


def test_packed_branches_and_detached_heads(repository: Path) -> None:
    git(repository, "pack-refs", "--all")
    assert commit_at(str(repository)) == expected(repository)
    git(repository, "checkout", "-q", "--detach", "HEAD~1")
    assert commit_at(str(repository)) == expected(repository)


def test_a_worktree_has_its_own_commit(repository: Path, tmp_path: Path) -> None:
    tree = tmp_path / "project" / "tree"
    git(repository, "worktree", "add", "-q", str(tree), "-b", "other")
    git(tree, "commit", "-q", "--allow-empty", "-m", "three")
    assert commit_at(str(tree)) == expected(tree) != expected(repository)
    git(repository, "pack-refs", "--all")
    assert commit_at(str(tree)) == expected(tree)


def test_a_submodule_has_its_own_commit(repository: Path, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "-q", "-b", "main")
    git(outer, "submodule", "--quiet", "add", str(repository), "inner")
    git(outer, "commit", "-q", "-m", "with it")
    assert commit_at(str(outer / "inner")) == expected(repository) != expected(outer)


@pytest.mark.parametrize("content", ["", "gitdir: /nowhere\n", "nonsense"])
def test_what_cannot_be_read_is_no_commit(tmp_path: Path, content: str) -> None:
    (tmp_path / ".git").write_text(content)
    assert commit_at(str(tmp_path)) == ""


def test_an_empty_repository_has_none(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    assert commit_at(str(tmp_path)) == ""
