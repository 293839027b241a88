"""What a change takes away, read from two commits of a real repository."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import pytest

import command_line
from lastcall import config as settings
from lastcall.errors import UsageError
from lastcall.gate import covered, deletes_nothing, endpoints, once_configured, removals
from lastcall.reaching import doubts
from lastcall.repository import Repository, lacks, missing_on_disk
from lastcall.targets import Target
from live_files import LiveProcess
from worlds import plain_environment


class Project:
    """A git repository in a folder, one commit at a time."""

    def __init__(self, path):
        self.path = path
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments):
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
        return subprocess.run(["git", "-C", str(self.path), *identity, *arguments], check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, **files):
        """Write files (`a__b` is a/b.py; None deletes) and commit. Gives the commit."""
        for name, text in files.items():
            path = self.path / (name.replace("__init", "/\0").replace("__", "/").replace("\0", "__init__") + ".py")
            if text is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(textwrap.dedent(text))
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "change")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)


def taken(base, head, *refs):
    return {r.ref: r for r in removals(Repository(base), Repository(head), refs)}


MAKE = """
    def make():
        return 1

    def keep():
        return 2
"""


def test_a_deleted_function_is_found_with_its_old_place(project):
    base = project.commit(shop__init="", shop__legacy=MAKE)
    head = project.commit(shop__legacy="def keep():\n    return 2\n")
    found = taken(base, head, "shop.legacy:make", "shop.legacy:keep")
    assert list(found) == ["shop.legacy:make"]
    assert (found["shop.legacy:make"].file, found["shop.legacy:make"].line) == ("shop/legacy.py", 2)
    assert found["shop.legacy:make"].became == ""


def test_a_change_beside_it_takes_nothing_away(project):
    base = project.commit(shop__legacy=MAKE)
    head = project.commit(shop__legacy="import os\n" + textwrap.dedent(MAKE).replace("return 1", "return os"))
    assert not taken(base, head, "shop.legacy:make")


def test_a_target_that_was_not_there_before_is_not_taken_away(project):
    base = project.commit(shop__legacy=MAKE)
    head = project.commit(shop__other="x = 1")
    assert not taken(base, head, "shop.legacy:nothing", "elsewhere:thing")


def test_a_rename_is_named(project):
    base = project.commit(shop__legacy=MAKE)
    head = project.commit(shop__legacy=MAKE.replace("make", "create"))
    assert taken(base, head, "shop.legacy:make")["shop.legacy:make"].became == "shop.legacy:create"


def test_a_move_takes_the_old_name_away_and_says_where_it_is(project):
    base = project.commit(shop__legacy=MAKE)
    head = project.commit(shop__legacy="", shop__fresh=MAKE)
    assert taken(base, head, "shop.legacy:make")["shop.legacy:make"].became == "shop.fresh:make"


@pytest.mark.parametrize(
    "left",
    [
        "from shop.fresh import make",
        "from .fresh import make",
        "from .fresh import make as make",
        "from shop.fresh import *",
        "from shop import fresh\nmake = fresh.make",
        "def __getattr__(name):\n    return vars(fresh)[name]",
        "def __getattr__(name):\n    if name in ('make', 'keep'):\n        return 1\n    raise AttributeError(name)",
        "async def __getattr__(name): ...",
        "import shop.fresh\nmake = shop.fresh.make\n",
        "try:\n    from shop.fresh import make\nexcept ImportError:\n    make = None",
    ],
)
def test_a_definition_that_moves_behind_its_old_name_stays(project, left):
    base = project.commit(shop__init="", shop__legacy=MAKE)
    head = project.commit(shop__legacy=left, shop__fresh=MAKE)
    assert not taken(base, head, "shop.legacy:make")


def test_a_re_export_whose_origin_is_deleted_is_taken_away_too(project):
    base = project.commit(shop__init="from .legacy import make\n", shop__legacy=MAKE)
    head = project.commit(shop__init="from .legacy import make\n", shop__legacy="")
    assert set(taken(base, head, "shop:make", "shop.legacy:make")) == {"shop:make", "shop.legacy:make"}


def test_a_deleted_module_takes_everything_in_it(project):
    base = project.commit(shop__init="", shop__legacy=MAKE)
    head = project.commit(shop__legacy=None)
    assert set(taken(base, head, "shop.legacy:make", "shop.legacy", "shop")) == {"shop.legacy:make", "shop.legacy"}


CLASS = """
    class Manager(Base):
        def old(self): ...
    class Plain:
        def old(self): ...
        name = 1
        class Inner:
            def deep(self): ...
"""


def test_methods_and_nested_names(project):
    base = project.commit(shop__legacy=CLASS)
    head = project.commit(shop__legacy="class Manager(Base): ...\nclass Plain:\n    class Inner: ...\n")
    refs = ["Plain.old", "Plain.name", "Plain.Inner.deep", "Manager.old", "Plain.Inner"]
    found = taken(base, head, *(f"shop.legacy:{ref}" for ref in refs))
    # what a base class might have provided all along was not needed to
    assert set(found) == {f"shop.legacy:{ref}" for ref in ("Plain.old", "Plain.name", "Plain.Inner.deep", "Manager.old")}


SERVES_OTHERS = "def __getattr__(name):\n    if name == 'lazy':\n        return 1\n    raise AttributeError(name)\n"


@pytest.mark.parametrize(
    ("before", "after", "ref"),
    [
        ("\ufeffdef make(): ...", "\ufeffx = 1", "make"),
        ("# coding: latin-1\n# \udce9\ndef make(): ...", "# coding: latin-1\n# \udce9\n", "make"),
        ("def make(): ...\nprint 2", "print 2", "make"),  # of another Python than this one
        ("class A(Base):\n    def make(self): ...", "class A(Base):\n    def other(self): ...", "A.make"),
        ("class B: ...\nclass A(B):\n    def make(self): ...", "class B: ...\nclass A(B): ...", "A.make"),
        ("from os import *\ndef make(): ...", "from os import *", "make"),
        (SERVES_OTHERS + "def make(): ...", SERVES_OTHERS, "make"),
        ("class A:\n    def __init__(self, make=1): ...", "class A:\n    def __init__(self): ...", "A(make=)"),
        ("def make(): ...", "if TYPE_CHECKING:\n    from elsewhere import make", "make"),
        ("with open('x') as make: ...", "", "make"),
        ("from shop.parts import *", "from shop.parts import * # less", "listed"),
        ("def make(): ...", "def __getattr__(name):\n    raise AttributeError(name)", "make"),
        ("def make(): ...", SERVES_OTHERS.replace("== 'lazy'", "in ('lazy', 'late')"), "make"),
        ("def make(): ...\nmake.short = 1", "make.short = 1", "make"),
        ("class A:\n    def make(self): ...\nA.x = A.y = 1", "class A: ...\nA.x = A.y = 1", "A.make"),
        ("class A: ...\nA.make = 1", "class A: ...\nA.x = 1", "A.make"),
        ("class A:\n    def make(self): ...", "import typing as t\nclass A(t.Generic[T]): ...", "A.make"),
        ("class A:\n    def make(self): ...", "from abc import ABC\nclass A(ABC, dict): ...", "A.make"),
        ("class A(dict):\n    def clear(self): ...", "class A: ...", "A.clear"),
        ("class A:\n    def make(self): ...", "from shop import parts\nclass A(parts.B): ...", "A.make"),
        ("from typing import cast", "", "cast"),  # though there is a `shop/typing.py`
    ],
)
def test_what_might_have_served_a_name_before_does_not_hide_that_it_is_deleted(project, before, after, ref):
    project.commit(shop__init="", shop__typing="x = 1")
    commits = []
    for text in (before, after):
        (project.path / "shop" / "legacy.py").write_text(text, "utf-8", "surrogateescape")
        listed = "\n__all__ = ['other']\n" if "less" in text else "\n__all__ = []\n__all__.extend(['listed'])\n"
        (project.path / "shop" / "parts.py").write_text("listed = 1\nclass B: ...\n" + listed)
        commits.append(project.commit())
    assert list(taken(*commits, f"shop.legacy:{ref}")) == [f"shop.legacy:{ref}"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("class B: ...\nclass A(B):\n    def make(self): ...", "class B:\n    def make(self): ...\nclass A(B): ..."),
        ("class A(Base):\n    def make(self): ...", "class A(Mixin, Base): ..."),
        ("class A:\n    def make(self): ...", "from shop.parts import B\nclass A(B): ..."),
        ("class A(Base): ...", "class A(Base):\n    x = 1"),
        ("class A:\n    def make(self): ...", "def make(self): ...\nclass A: ...\nA.make = make"),
        ("class A:\n    def make(self): ...", "from shop import parts\nclass A(parts.B): ..."),
        ("class A:\n    def make(self): ...", "import enum\nclass A(Unknown, enum.Enum): ..."),
    ],
)
def test_a_method_that_is_inherited_by_now_stays(project, before, after):
    base = project.commit(shop__init="", shop__parts="class B:\n    def make(self): ...", shop__legacy=before)
    head = project.commit(shop__legacy=after)
    assert not taken(base, head, "shop.legacy:A.make")


def test_of_two_projects_with_such_a_module_one_may_lose_it(project):
    base = project.commit(one__shop__init="", one__shop__legacy=MAKE, two__shop__init="", two__shop__legacy=MAKE)
    head = project.commit(two__shop__legacy="def keep(): ...")
    assert taken(base, head, "shop.legacy:make")["shop.legacy:make"].file == "two/shop/legacy.py"
    assert not taken(base, head, "shop.legacy:keep")
    moved = project.commit(two__shop__legacy=None, two__shop__init=None, src__shop__init="", src__shop__legacy="def keep(): ...")
    assert not taken(head, moved, "shop.legacy:keep")
    assert sorted(covered(Repository(base), Repository(head), [Target("shop.*:ma*")])) == ["shop.legacy:make"]


def test_a_module_that_its_package_offers_is_missed_when_it_goes(project):
    base = project.commit(shop__init="from shop import legacy\n", shop__legacy="x = 1")
    head = project.commit(shop__legacy=None)
    assert set(taken(base, head, "shop:legacy")) == {"shop:legacy"}


def test_a_deprecated_argument(project):
    base = project.commit(shop__legacy="def f(a, mode=1): ...\ndef g(mode=1): ...")
    head = project.commit(shop__legacy="def f(a): ...\ndef g(**more): ...")
    assert set(taken(base, head, "shop.legacy:f(mode=)", "shop.legacy:g(mode=)")) == {"shop.legacy:f(mode=)"}


def test_a_package_below_src(project):
    base = project.commit(src__shop__init="", src__shop__legacy=MAKE)
    head = project.commit(src__shop__legacy="")
    assert taken(base, head, "shop.legacy:make")["shop.legacy:make"].file == "src/shop/legacy.py"


def test_a_module_that_cannot_be_parsed_is_doubt_not_removal(project):
    base = project.commit(shop__legacy=MAKE)
    head = project.commit(shop__legacy="def make(:")
    assert not taken(base, head, "shop.legacy:make")


def test_circular_re_exports_end(project):
    base = project.commit(shop__init="", shop__a="def f(): ...", shop__b="")
    head = project.commit(shop__a="from .b import f", shop__b="from .a import f")
    taken(base, head, "shop.a:f")


def test_three_dots_compare_with_where_the_branches_parted(project):
    parted = project.commit(shop__legacy=MAKE)
    project.git("checkout", "-q", "-b", "work")
    head = project.commit(shop__other="x = 1")
    project.git("checkout", "-q", "main")
    project.commit(shop__legacy="")
    assert endpoints("main...work") == (parted, head)
    assert endpoints("main..work")[0] != parted


@pytest.mark.parametrize("bad", ["main", "..", "nowhere..HEAD", "HEAD..nowhere", "--upload-pack=x..HEAD", "HEAD..-x", ""])
def test_revisions_that_make_no_sense_are_one_sentence(project, bad):
    project.commit(shop__legacy=MAKE)
    with pytest.raises(UsageError):
        endpoints(bad)


def test_outside_of_a_repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(UsageError, match="repository"):
        endpoints("a..b")


def test_a_name_that_comes_from_another_project_by_now_stays_and_one_that_this_project_lacks_does_not(project):
    base = project.commit(shop__init="", shop__legacy=MAKE)
    foreign = project.commit(shop__legacy="from makers import make\n")
    assert not taken(base, foreign, "shop.legacy:make")
    lost = project.commit(shop__legacy="from shop.nowhere import make\n")
    assert list(taken(base, lost, "shop.legacy:make", "shop.legacy:keep")) == ["shop.legacy:make", "shop.legacy:keep"]


def test_a_package_that_imports_from_beside_itself_is_followed(project):
    base = project.commit(shop__init="def make():\n    return 1\n", shop__new="def make():\n    return 2\n", other__new="x = 1\n")
    moved = project.commit(shop__init="from .new import make\n")
    assert not taken(base, moved, "shop:make")
    emptied = project.commit(shop__new="other = 1\n")
    assert list(taken(base, emptied, "shop:make")) == ["shop:make"]


@pytest.mark.parametrize("revisions", ["--output=x..HEAD", "HEAD..--output=x", "HEAD...-x"])
def test_a_revision_is_no_option_of_gits(project, revisions):
    project.commit(shop__legacy=MAKE)
    with pytest.raises(UsageError, match=r"takes BASE\.\.HEAD"):
        endpoints(revisions)


@pytest.mark.parametrize(("package", "names"), [("shop", ["old_a", "Desk.old_b"]), ("services/web/shop", ["old_a", "Desk.old_b"])])
def test_what_a_wildcard_covers_is_a_target_though_no_process_ever_imported_it(project, package, names):
    code = """
        import old_modules
        def old_a(): pass
        def _old(): pass
        if True:
            def old_c(): pass
        class Desk:
            def old_b(self): pass
            def serve(self): pass
        """
    where = package.replace("/", "__")
    base = project.commit(**{f"{where}__init": "", f"{where}__legacy": code, f"{where}__other": code})
    head = project.commit(**{f"{where}__legacy": "def old_c(): pass\nclass Desk: pass\n"})
    wildcards = [Target("shop.**:old_*"), Target("shop.*:Desk.old_*"), Target("elsewhere:*"), Target("shop.legacy:Desk")]
    found = covered(Repository(base), Repository(head), wildcards)
    assert sorted(found) == ["shop.legacy:Desk.old_b", "shop.legacy:old_a", "shop.legacy:old_c"]
    assert sorted(taken(base, head, *found)) == sorted(f"shop.legacy:{name}" for name in names)


def test_to_delete_it_takes_a_verdict(project):
    project.commit(shop__init="", shop__legacy=MAKE)
    project.commit(shop__legacy="")
    (project.path / "lastcall.toml").write_text('[[target]]\nref = "shop.**:mak*"\n')
    LiveProcess(project.path / ".lastcall" / "store.db").target("shop.other:make").state("shop.other:make").close()
    command = [sys.executable, "-m", "lastcall", "check", "--diff", "HEAD~1..HEAD", "--format", "json"]
    done = subprocess.run(command, cwd=project.path, env=plain_environment(), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert [v["target"] for v in json.loads(done.stdout)["verdicts"]] == ["shop.legacy:make"]


@pytest.mark.parametrize("config", ["lastcall.toml", "pyproject.toml"])
@pytest.mark.parametrize("left", ["[lastcall]\n", None])
def test_a_target_whose_entry_goes_with_it_takes_a_verdict(project, config, left):
    """Nothing else knows of it: no process ever had it among its targets."""
    table = "tool.lastcall.target" if config == "pyproject.toml" else "target"
    file = project.path / config
    file.write_text(f'[[{table}]]\nref = "shop.legacy:make"\n')
    project.commit(shop__init="", shop__legacy=MAKE)
    file.unlink()
    if left is not None:
        file.write_text(left)
    project.commit(shop__legacy="")
    LiveProcess(project.path / ".lastcall" / "store.db").target("shop.other:make").state("shop.other:make").close()
    command = ["check", "--diff", "HEAD~1..HEAD", "--format", "json"]
    done = command_line.lastcall(*command, cwd=project.path, env=plain_environment())
    assert done.returncode == 2
    assert [v["target"] for v in json.loads(done.stdout)["verdicts"]] == ["shop.legacy:make"]


def test_a_bare_repository_has_no_configuration_to_look_at(project, tmp_path_factory, monkeypatch):
    (project.path / "lastcall.toml").write_text('[[target]]\nref = "shop.legacy:make"\n')
    base = project.commit(shop__legacy=MAKE)
    config = settings.load(environ={}, cwd=str(project.path))
    assert [target.ref for target in once_configured(Repository(base), config)] == ["shop.legacy:make"]
    bare = tmp_path_factory.mktemp("bare") / "it.git"
    project.git("clone", "-q", "--bare", str(project.path), str(bare))
    monkeypatch.chdir(bare)
    assert once_configured(Repository(base), config) == []


def test_a_copy_that_tests_keep_is_no_project_and_hides_no_deletion(project):
    base = project.commit(shop__legacy=MAKE, tests__old__shop__legacy=MAKE)
    beside = project.commit(tests__old__shop__legacy="")
    assert not taken(base, beside, "shop.legacy:make")
    head = project.commit(shop__legacy="", tests__old__shop__legacy=MAKE)
    assert taken(base, head, "shop.legacy:make")


def test_a_configuration_that_moves_to_another_file_is_read_where_it_was(project):
    entry = '[[{}target]]\nref = "shop.legacy:make"\n'
    (project.path / "pyproject.toml").write_text(entry.format("tool.lastcall."))
    base = project.commit(shop__legacy=MAKE)
    (project.path / "pyproject.toml").unlink()
    (project.path / "lastcall.toml").write_text("[lastcall]\n")
    project.commit(shop__legacy="")
    config = settings.load(environ={}, cwd=str(project.path))
    assert [target.ref for target in once_configured(Repository(base), config)] == ["shop.legacy:make"]


def test_what_a_long_file_may_serve_is_looked_for_once(project, monkeypatch):
    looks = []
    monkeypatch.setattr("lastcall.reaching.binding", lambda tree, name: looks.append(name))
    base = project.commit(shop__legacy="class A(B): ...\n" * 50)
    assert len(doubts(Repository(base), "shop/legacy.py")) == 1
    assert looks == ["__getattr__"]


def test_a_configuration_outside_of_the_repository_is_as_it_is_today(project, tmp_path_factory):
    apart = tmp_path_factory.mktemp("etc") / "lastcall.toml"
    apart.write_text('[[target]]\nref = "shop.legacy:make"\n')
    base = project.commit(shop__legacy=MAKE)
    config = settings.load(environ={"LASTCALL_CONFIG": str(apart)}, cwd=str(project.path))
    assert config.file == str(apart)
    assert once_configured(Repository(base), config) == []


def test_a_change_that_deletes_no_target_passes(project):
    project.commit(shop__legacy=MAKE)
    project.commit(shop__other="x = 1")
    LiveProcess(project.path / ".lastcall" / "store.db").target("shop.legacy:make").state("shop.legacy:make").close()
    command = [sys.executable, "-m", "lastcall", "check", "--diff", "HEAD~1..HEAD"]
    done = subprocess.run(command, cwd=project.path, env=plain_environment(), capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


REDIS = """
    NAMES = ("GET USER", "OLD")
    class Pipeline(Base):
        pass
    def blocked(name): ...
    for name in NAMES:
        name = name.replace(" ", "_").lower()
        setattr(Pipeline, name, blocked(name))
"""

AT_RUN_TIME = [
    # (before, after, what is gone)
    (REDIS, REDIS.replace(', "OLD"', ","), "Pipeline.old"),
    (REDIS.replace("(Base)", ""), REDIS.replace("(Base)", "").replace(', "OLD"', ","), "Pipeline.old"),
    (REDIS, "x = 1", "Pipeline.old"),
    ("class A:\n    def old(self): ...\n", "class A: ...\nfor name in dir(object):\n    setattr(A, name, 1)", "A.old"),
    ("class A: ...\nsetattr(A, 'old', 1)", "class A: ...\nsetattr(A, 'new', 1)", "A.old"),
    ("class A: ...\nif True:\n    A.old = 1", "class A: ...", "A.old"),
    ("class A: ...\nclass B(A): ...\nA.old = 1", "class A: ...\nclass B(A): ...", "B.old"),
    ("class A: ...\nfor c in (A,):\n    setattr(c, 'old', 1)", "class A: ...", "A.old"),
    ("@adds('old')\nclass A: ...", "@adds()\nclass A: ...", "A.old"),
    ("@adds('old')\nclass A:\n    def old(self): ...", "@adds('old')\nclass A: ...", "A.old"),
    ("globals()['old'] = 1", "x = 1", "old"),
    ("globals().update(old=1)", "globals().update(new=1)", "old"),
    ("for name in ('old', 'new'):\n    globals()[name] = 1", "for name in ('new',):\n    globals()[name] = 1", "old"),
    ("import sys\nfor n in 'old', 'b': setattr(sys.modules[__name__], n, 1)", "import sys\nsetattr(sys.modules[__name__], 'b', 1)", "old"),
    ("def old(): ...", "def old(): ...\ndel old", "old"),
    ("class A:\n    def old(self): ...", "class A:\n    def old(self): ...\n    del old", "A.old"),
    ("if (old := 1): ...", "if 1: ...", "old"),
    ("match [1]:\n    case [old, *more]: ...", "x = 1", "old"),
    ("def set():\n    global old\n    old = 1\nset()", "def set(): ...", "old"),
    ("try:\n    from shop.kept import kept as old\nexcept ImportError:\n    old = None", "try:\n    from shop.kept import gone as old\nexcept ImportError:\n    old = None", "old"),
    ("from ._compiled import old", "x = 1", "old"),
    ("class A:\n    def old(self): ...\nB = A", "class A: ...\nB = A", "B.old"),
    ("class A:\n    __slots__ = ('old', 'new')", "class A:\n    __slots__ = ('new',)", "A.old"),
    ("def old(): ...", "if not TYPE_CHECKING:\n    pass\nelse:\n    def old(): ...", "old"),
]  # fmt: skip
LEFT_AT_RUN_TIME = [
    ("class Pipeline(Base):\n    def get_user(self): ...\n    def old(self): ...", REDIS, "Pipeline.old"),
    (REDIS, REDIS + "\n    # later\n", "Pipeline.old"),
    ("class A:\n    def old(self): ...", "class A: ...\nwith x:\n    A.old = 1", "A.old"),
    ("def old(): ...", "for n in ('old',):\n    globals()[n] = 1", "old"),
    ("def old(): ...", "def old(): ...\ndel old\ndef old(): ...", "old"),
    ("def old(): ...", "def old(): ...\nif x:\n    del old", "old"),
    ("if a:\n    def old(): ...\nelse:\n    def old(): ...", "def old(): ...", "old"),
    ("from ._compiled import old", "from ._compiled import old, new", "old"),
    ("import sys\nif sys.version_info < (3, 8):\n    class A:\n        def old(self): ...\nelse:\n    from elsewhere import A", "import sys\nfrom elsewhere import A", "A.old"),
    ("def old(): ...", "[old := 1]", "old"),
    ("class A:\n    def old(self): ...", "class B:\n    def old(self): ...\nA = B", "A.old"),
    ("class A:\n    def old(self): ...", "A = made()", "A.old"),
    ("class A:\n    def emit(self): ...", "import logging\nclass A(logging.Handler): ...", "A.emit"),
]  # fmt: skip


def in_modules(project, texts, suffix=".py"):
    (project.path / "shop").mkdir(exist_ok=True)
    for number, text in enumerate(texts):
        (project.path / "shop" / f"m{number}{suffix}").write_text(textwrap.dedent(text))
    return project.commit(shop__init="", shop__kept="kept = 1")


def test_what_is_given_at_run_time_or_bound_in_odd_ways_is_missed_when_it_goes(project):
    cases = [*AT_RUN_TIME, *LEFT_AT_RUN_TIME]
    base = in_modules(project, [before for before, _, _ in cases])
    head = in_modules(project, [after for _, after, _ in cases])
    refs = [f"shop.m{number}:{ref}" for number, (_, _, ref) in enumerate(cases)]
    found = taken(base, head, *refs)
    assert [ref for ref in refs if ref in found] == refs[: len(AT_RUN_TIME)]


@pytest.mark.parametrize("suffix", [".pyi", ".pyx"])
def test_a_compiled_module_is_read_as_far_as_its_source_says(project, suffix):
    cases = [("def old(): ...", "x = 1"), ("def old(): ...", "def old(): ...\ny = 1"), ("cdef int old(int x): ...", "cdef int x")]
    base = in_modules(project, [before for before, _ in cases], suffix)
    head = in_modules(project, [after for _, after in cases], suffix)
    assert list(taken(base, head, "shop.m0:old", "shop.m1:old", "shop.m2:old")) == ["shop.m0:old", "shop.m2:old"]


def test_a_package_is_imported_before_a_module_of_its_name_and_a_link_is_what_it_leads_to(project):
    (project.path / "shop").mkdir()
    (project.path / "shop" / "linked.py").symlink_to("real.py")
    base = project.commit(shop__init="", shop__legacy=MAKE, shop__real=MAKE)
    head = project.commit(shop__legacy__init="", shop__real="x = 1")
    assert list(taken(base, head, "shop.legacy:make", "shop.linked:make")) == ["shop.legacy:make", "shop.linked:make"]


KEEPS_ALL = [
    ("def old(): ...", "import os\ndef old(more=1): ...\n"),
    ("class A(Base):\n    def old(self): ...", "class A(Base):\n    def old(self): ...\n    x = 1"),
    ("__all__ = ['old']\nold = 1", "__all__ = ['old', 'new']\nold = new = 1"),
]
LOSES_SOME = [
    ("class A(Base): ...", "class A: ..."),
    ("from elsewhere import *", "x = 1"),
    ("def old(a, b): ...", "def old(a): ..."),
    ("class A:\n    def __init__(self, a): ...", "class A:\n    def __init__(self): ..."),
    ("def _old(): ...", "x = 1"),
    ("old = new = 1", "__all__ = ['new']\nold = new = 1"),
    ("def __getattr__(name): ...", "def __getattr__(name):\n    raise AttributeError(name)"),
    ("x = 1", "x ="),
]


def test_a_change_that_takes_no_name_away_can_have_deleted_no_target(project, monkeypatch):
    cases = [*LEFT_AT_RUN_TIME, *KEEPS_ALL, *AT_RUN_TIME, *LOSES_SOME]
    base = Repository(in_modules(project, [case[0] for case in cases]))
    head = Repository(in_modules(project, [case[1] for case in cases]))
    keeps = {}
    for number, case in enumerate(cases):
        monkeypatch.setattr(base, "changed", lambda _, number=number: [f"shop/m{number}.py"])
        keeps[case[:2]] = deletes_nothing(base, head)
    lose = [case[:2] for case in (*AT_RUN_TIME, *LOSES_SOME) if case[0] != case[1]]
    assert [case for case in lose if keeps[case]] == []
    assert [case for case in KEEPS_ALL if not keeps[case]] == []


def test_files_that_come_and_go_may_take_names_away(project):
    empty = Repository(project.commit(one__x="", shop__init=""))
    assert deletes_nothing(empty, Repository(project.commit(shop__legacy=MAKE)))
    assert not deletes_nothing(Repository(project.git("rev-parse", "HEAD")), Repository(project.commit(shop__legacy=None)))
    assert not deletes_nothing(empty, Repository(project.commit(one__x__init="")))
    assert not deletes_nothing(empty, Repository(project.commit(one__init="")))


def test_no_store_is_needed_where_nothing_is_deleted(project):
    (project.path / "lastcall.toml").write_text('[[target]]\nref = "shop.legacy:make"\n')
    project.commit(shop__legacy=MAKE)
    project.commit(shop__other="x = 1")

    def check(*options):
        done = command_line.lastcall("check", "--diff", "HEAD~1..HEAD", *options, cwd=project.path, env=plain_environment())
        return done.returncode, done.stdout

    assert check() == (0, "The change deletes no target.\n")
    code, text = check("--format", "json")
    assert (code, json.loads(text)["exit_code"]) == (0, 0)
    project.commit(shop__legacy="")
    assert check()[0] == 3  # which other targets there are, and how they fare, a store says


def test_half_a_configuration_hides_no_deletion(project):
    (project.path / "lastcall.toml").write_text('[[target]]\nrif = "shop.legacy:make"\n')
    project.commit(shop__legacy=MAKE)
    project.commit(shop__legacy="")
    LiveProcess(project.path / ".lastcall" / "store.db").target("shop.other:make").state("shop.other:make").close()
    done = command_line.lastcall("check", "--diff", "HEAD~1..HEAD", cwd=project.path, env=plain_environment())
    assert done.returncode == 3
    assert "half a configuration" in done.stderr


def test_source_that_is_not_checked_out_is_source_that_was_not_read(project, tmp_path_factory):
    apart = Project(tmp_path_factory.mktemp("apart"))
    apart.commit(use="from shop.legacy import make\nmake()\n")
    project.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(apart.path), "vendor/lib")
    base = project.commit(shop__legacy=MAKE, other__use="from shop.legacy import make\n", other__more="")
    assert missing_on_disk(project.path) == []
    project.git("sparse-checkout", "set", "shop")
    told = ["other: 2 files of Python are not checked out", "vendor/lib: a submodule that is not checked out"]
    project.git("submodule", "deinit", "-q", "--force", "vendor/lib")
    assert missing_on_disk(project.path) == told
    assert missing_on_disk(project.path / "shop") == []
    assert missing_on_disk(tmp_path_factory.mktemp("none")) == []
    assert not lacks(base, [project.path])
    project.git("checkout", "-q", "-b", "work")
    head = project.commit(shop__legacy="x = 1")
    project.git("checkout", "-q", "main")
    assert lacks(head, [project.path / "shop"])
    assert not lacks(head, [apart.path])


def test_a_change_that_is_not_checked_out_is_not_safe(project):
    project.commit(shop__init="", shop__legacy=MAKE)
    project.git("checkout", "-q", "-b", "work")
    project.commit(shop__legacy="", shop__use="from shop.legacy import make\nmake()\n")
    project.git("checkout", "-q", "main")
    LiveProcess(project.path / ".lastcall" / "store.db").target("shop.legacy:make").state("shop.legacy:make").close()
    done = command_line.lastcall("check", "--diff", "main..work", "--format", "json", cwd=project.path, env=plain_environment())
    (verdict,) = json.loads(done.stdout)["verdicts"]
    assert "source-unread" in {reason["code"] for reason in verdict["reasons"]}
