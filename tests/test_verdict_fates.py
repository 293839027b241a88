"""What became of a caller's code: in real folders, and real repositories."""

from __future__ import annotations

import os
import subprocess
import textwrap
import time

import pytest

from lastcall.fates import SourceTree
from verdict_evidence import caller, site

CODE = """
    from shop.legacy import make_cart as build

    def checkout():
        return make_cart()

    class Desk:
        async def serve(self):
            def inner():
                return build()
            return [inner() for _ in range(3)]

    try:
        import nothing
    except ImportError:
        def fallback():
            return legacy.make_cart
"""


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text("")
    (tmp_path / "shop" / "checkout.py").write_text(textwrap.dedent(CODE))
    return tmp_path


def fate(tree, **changes):
    return SourceTree([tree]).fate(site(changes.pop("name", "checkout"), **changes))


@pytest.mark.parametrize(
    ("name", "expression"),
    [
        ("checkout", "make_cart"),
        ("Desk.serve", "build"),
        ("Desk.serve.<locals>.inner", "build"),
        ("fallback", "legacy.make_cart"),
        ("<module>", "make_cart"),
        ("checkout", "shop.legacy.make_cart"),
    ],
)
def test_code_that_is_there_is_present(tree, name, expression):
    assert fate(tree, name=name, expression=expression) == "present"


@pytest.mark.parametrize(
    ("name", "file"),
    [("gone", "shop/checkout.py"), ("Desk.gone", "shop/checkout.py"), ("Gone.serve", "shop/checkout.py"), ("checkout", "shop/deleted.py")],
)
def test_a_function_or_file_that_is_no_more_is_gone(tree, name, file):
    assert fate(tree, name=name, file=file) == "gone"


def test_a_function_that_no_longer_spells_it_is_gone(tree):
    (tree / "shop" / "checkout.py").write_text("def checkout():\n    return Cart()\n")
    assert fate(tree) == "gone"


def test_the_line_does_not_matter(tree):
    assert fate(tree, line=9999) == "present"


@pytest.mark.parametrize(
    "file", ["other/views.py", "/usr/lib/python3/dist-packages/x.py", "../elsewhere.py", "<frozen x>", "/srv/app/main.py"]
)
def test_what_lies_elsewhere_is_unknown_not_gone(tree, file):
    assert fate(tree, file=file, module="other.views") == "unknown"


def test_an_installed_package_that_still_has_it_is_present(tree):
    package = tree / "venv" / "site-packages" / "plugin.py"
    package.parent.mkdir(parents=True)
    package.write_text("def checkout():\n    return make_cart()\n")
    assert fate(tree, file=str(package)) == "present"
    package.write_text("")
    assert fate(tree, file=str(package)) == "unknown"


def test_a_second_tree_may_hold_it(tree, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "jobs").mkdir()
    (other / "jobs" / "nightly.py").write_text("def run():\n    make_cart()\n")
    there = site("run", file="jobs/nightly.py", module="jobs.nightly")
    assert SourceTree([tree]).fate(there) == "unknown"
    assert SourceTree([tree, other]).fate(there) == "present"


@pytest.mark.parametrize("text", ["def checkout(:", "\0", "def checkout():\n  pass\n \tpass"])
def test_source_that_cannot_be_parsed_is_doubt(tree, text):
    (tree / "shop" / "checkout.py").write_text(text)
    assert fate(tree) == "present"


def test_a_warning_has_no_spelling_so_its_function_is_doubt(tree):
    assert fate(tree, use="warning", expression="") == "present"


def git(tree, *arguments, date):
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    environ = {**os.environ, "GIT_COMMITTER_DATE": f"{date} +0000", "GIT_AUTHOR_DATE": f"{date} +0000"}
    subprocess.run(["git", "-C", str(tree), *identity, *arguments], check=True, capture_output=True, env=environ)


def test_version_control_tells_when_it_left(tree):
    git(tree, "init", "-q", date=1)
    git(tree, "add", "-A", date=1)
    git(tree, "commit", "-q", "-m", "before", date=1_700_000_000)
    (tree / "shop" / "checkout.py").write_text("def checkout():\n    return Cart()\n")
    git(tree, "commit", "-q", "-a", "-m", "away with it", date=1_700_500_000)
    (tree / "shop" / "checkout.py").write_text("def checkout():\n    return Cart(1)\n")
    git(tree, "commit", "-q", "-a", "-m", "something else", date=1_700_900_000)
    (found,) = SourceTree([tree]).with_fates([caller(3)])
    assert (found.fate, found.left_at, found.left_exactly) == ("gone", 1_700_500_000, True)


def test_a_deleted_file_left_with_its_deletion_whatever_its_package_was_called(tree):
    (tree / "solo.py").write_text("def run():\n    make_cart()\n")
    git(tree, "init", "-q", date=1)
    git(tree, "add", "-A", date=1)
    git(tree, "commit", "-q", "-m", "before", date=1_700_000_000)
    git(tree, "rm", "-q", "solo.py", date=1)
    git(tree, "commit", "-q", "-m", "gone", date=1_700_600_000)
    (found,) = SourceTree([tree]).with_fates([caller(3, name="run", file="solo.py", module="solo")])
    assert (found.fate, found.left_at) == ("gone", 1_700_600_000)


def test_a_change_that_is_not_committed_yet_left_now_at_the_latest(tree):
    git(tree, "init", "-q", date=1)
    git(tree, "add", "-A", date=1)
    git(tree, "commit", "-q", "-m", "before", date=1_700_000_000)
    before = time.time() - 5
    (tree / "shop" / "checkout.py").write_text("")
    (found,) = SourceTree([tree]).with_fates([caller(3)])
    assert found.fate == "gone"
    assert found.left_at >= before
    assert not found.left_exactly


@pytest.mark.parametrize("file", ["shop/nul\0.py", "shop/\ud800.py", "shop/:(glob)*.py"])
def test_a_name_that_no_file_can_have_is_looked_for_without_a_traceback(tree, file):
    subprocess.run(["git", "init", "-q", str(tree)], check=True)
    assert fate(tree, file=file) in {"unknown", "gone"}
    assert SourceTree([tree]).accounts_for(file, ()) is False


def test_a_file_of_that_name_in_another_tree_does_not_say_that_it_is_gone(tree, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    for root, text in ((tree, "def main(): ...\n"), (other, "def main():\n    make_cart()\n")):
        (root / "app.py").write_text(text)
    there = site("main", file="app.py", module="app")
    assert SourceTree([tree, other]).fate(there) == SourceTree([other, tree]).fate(there) == "present"


SEVERAL = """
    class Desk:
        @property
        def cart(self):
            return self.kept

        @cart.setter
        def cart(self, kept):
            self.kept = build()

        def serve(self):
            return MAKERS["cart"]()

    if fast:
        def checkout(): ...
    else:
        def checkout():
            build()
"""


@pytest.mark.parametrize(
    ("name", "expression"),
    [
        ("Desk.cart", "build"),  # the setter, and not the property of that name
        ("checkout", "build"),
        ("cart", "build"),  # as Python 3.10 knows it: without its class
        ("serve", "MAKERS[...]"),
        ("Desk.serve", "MAKERS[...]"),  # no name of its own, but what is left of it
    ],
)
def test_any_definition_that_may_be_meant_is_looked_at(tree, name, expression):
    (tree / "shop" / "checkout.py").write_text(textwrap.dedent(SEVERAL))
    assert fate(tree, name=name, expression=expression) == "present"
    (tree / "shop" / "checkout.py").write_text(textwrap.dedent(SEVERAL).replace("build", "make").replace("MAKERS", "OTHERS"))
    assert fate(tree, name=name, expression=expression) == "gone"


def test_code_that_leaves_a_comment_behind_left_with_that_change(tree):
    git(tree, "init", "-q", date=1)
    git(tree, "add", "-A", date=1)
    git(tree, "commit", "-q", "-m", "before", date=1_700_000_000)
    (tree / "shop" / "checkout.py").write_text(textwrap.dedent(CODE).replace("return make_cart()", "return Cart()  # not make_cart"))
    git(tree, "commit", "-q", "-a", "-m", "away with it", date=1_700_500_000)
    (found,) = SourceTree([tree]).with_fates([caller(3)])
    assert (found.fate, found.left_at) == ("gone", 1_700_500_000)


def test_what_a_branch_took_out_long_ago_left_when_it_was_merged(tree):
    git(tree, "init", "-q", "-b", "main", date=1)
    git(tree, "add", "-A", date=1)
    git(tree, "commit", "-q", "-m", "before", date=1_700_000_000)
    git(tree, "checkout", "-q", "-b", "side", date=1_700_000_001)
    (tree / "shop" / "checkout.py").write_text("def checkout():\n    return Cart()\n")
    git(tree, "commit", "-q", "-a", "-m", "away with it", date=1_700_100_000)
    git(tree, "checkout", "-q", "main", date=1_700_000_002)
    git(tree, "merge", "-q", "--no-ff", "-m", "merged", "side", date=1_700_500_000)
    (found,) = SourceTree([tree]).with_fates([caller(3)])
    assert (found.fate, found.left_at, found.left_exactly) == ("gone", 1_700_500_000, True)
