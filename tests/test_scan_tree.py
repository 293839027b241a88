"""Which files are read, what they are called, and that one bad file costs no other."""

from __future__ import annotations

import os

import pytest

from lastcall.errors import UsageError
from lastcall.scanning import analyses, work
from lastcall.scanning import survey as survey_module
from lastcall.scanning.cache import Cache, cache_path
from lastcall.scanning.survey import survey
from lastcall.scanning.tree import read_tree

OLD = "def {name}():\n    '''Deprecated, use other.'''\n"


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def refs(found):
    return [item.ref for item in found.findings]


def modules(root):
    return {file.file: file.module for file in read_tree(root).files}


def test_a_folder_called_test_is_test_code_when_test_modules_lie_anywhere_below_it(tmp_path):
    below = write(tmp_path / "a", {"pkg/test/lib/test_x.py": "", "pkg/test/sort/sort.py": "", "pkg/test/__init__.py": "", "pkg/m.py": ""})
    assert [file.file for file in read_tree(below).files if not file.is_test] == ["pkg/m.py"]
    helpers = write(tmp_path / "b", {"pkg/testing/lib/test_x.py": "", "pkg/testing/tests/test_y.py": "", "pkg/testing/tools.py": "",
                                     "pkg/test/client.py": "", "pkg/test/tests/test_z.py": ""})
    assert [file.file for file in read_tree(helpers).files if not file.is_test] == ["pkg/test/client.py", "pkg/testing/tools.py"]


def test_packages_are_named_from_their_outermost_init(tmp_path):
    write(tmp_path, {"a/__init__.py": "", "a/b/__init__.py": "", "a/b/c.py": "", "top.py": ""})
    assert modules(tmp_path) == {"a/__init__.py": "a", "a/b/__init__.py": "a.b", "a/b/c.py": "a.b.c", "top.py": "top"}
    assert modules(tmp_path / "a" / "b") == {"__init__.py": "a.b", "c.py": "a.b.c"}


def test_a_source_folder_is_not_part_of_the_name(tmp_path):
    write(tmp_path, {"src/pkg/__init__.py": "", "src/pkg/m.py": "", "service/pyproject.toml": "", "service/app/x.py": ""})
    assert modules(tmp_path) == {"src/pkg/__init__.py": "pkg", "src/pkg/m.py": "pkg.m", "service/app/x.py": "app.x"}


def test_a_folder_without_init_inside_a_package_is_a_part_of_it_unless_its_files_import_each_other(tmp_path):
    write(tmp_path, {
        "pkg/__init__.py": "",
        "pkg/errors.py": "",
        "pkg/compilers/logging.py": "import logging\n",
        "pkg/compilers/C/base.py": "from .errors import E\n# Deprecated.\ndef f(): ...\n",
        "pkg/compilers/C/errors.py": "",
        "pkg/scripts/run.py": "import common\n# Deprecated.\ndef main(): ...\n",
        "pkg/scripts/common.py": "",
        "other.py": "import errors\n",
    })
    assert [item.ref for item in survey(tmp_path).findings] == ["pkg.compilers.C.base:f", "run:main"]


def test_a_part_of_a_namespace_package_keeps_the_name_of_the_package_when_it_is_the_root(tmp_path):
    write(tmp_path, {
        "space/core/__init__.py": "from space.core.old import f\n",
        "space/core/old.py": "from space.base import x\n# Deprecated.\ndef f(): ...\n",
        "space/base.py": "x = 1\n",
    })
    assert [item.ref for item in survey(tmp_path / "space").findings] == ["space.core.old:f"]


def test_what_is_imported_decides_whether_a_folder_is_a_namespace(tmp_path):
    write(tmp_path, {"netra/app/__init__.py": "", "netra/app/x.py": "from netra.app import y", "netra/app/y.py": ""})
    assert modules(tmp_path)["netra/app/x.py"] == "netra.app.x"
    other = tmp_path / "other"
    write(other, {"backend/app/__init__.py": "", "backend/app/x.py": "from app import y", "backend/app/y.py": "import app.x"})
    assert modules(other)["backend/app/x.py"] == "app.x"


def test_test_code_is_told_apart(tmp_path):
    write(tmp_path, dict.fromkeys(("tests/helper.py", "test_a.py", "p/conftest.py", "p/test/client.py", "q/test/test_b.py", "q/test/tools.py", "latest/x.py"), ""))
    assert sorted(file.file for file in read_tree(tmp_path).files if file.is_test) == [
        "p/conftest.py", "q/test/test_b.py", "q/test/tools.py", "test_a.py", "tests/helper.py"]


def test_environments_caches_and_excluded_paths_are_not_entered(tmp_path):
    write(tmp_path, {"env/pyvenv.cfg": "", "env/lib/x.py": "", ".git/y.py": "", "node_modules/z.py": "", "gen/a.py": "", "b.py": ""})
    assert [file.file for file in read_tree(tmp_path, ["gen"]).files] == ["b.py"]


def test_link_loops_are_named_and_the_rest_is_read(tmp_path):
    write(tmp_path, {"pkg/__init__.py": "", "pkg/old.py": OLD.format(name="f")})
    (tmp_path / "pkg" / "again").symlink_to(tmp_path / "pkg")
    (tmp_path / "up").symlink_to(tmp_path.parent)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    (tmp_path / "gone.py").symlink_to(tmp_path / "nowhere.py")
    found = survey(tmp_path)
    assert refs(found) == ["pkg.old:f"]
    assert {item.file: item.reason for item in found.skipped} == {
        "pkg/again": "a link to a folder that is read already",
        "up": "a link that leads back above itself",
        "gone.py": "a link that leads nowhere",
    }


def test_a_linked_folder_from_elsewhere_is_read(tmp_path):
    write(tmp_path / "else", {"shared/__init__.py": "", "shared/old.py": OLD.format(name="f")})
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "shared").symlink_to(tmp_path / "else" / "shared")
    assert refs(survey(tmp_path / "tree")) == ["shared.old:f"]


def test_every_unreadable_file_is_named_and_the_rest_is_scanned(tmp_path):
    write(tmp_path, {
        "good.py": OLD.format(name="f"), "broken.py": "def (:\n", "two.py": "print 'x'\n", "latin.py": b"a = '\xe9'\nb = 1\nc = 2\n",
        "huge.py": "x = 1\n" * 100_000, "deep.py": "x = " + "-" * 50_000 + "1", "new.py": "type X[T = int] = list[T]\nmatch x:\n  case 1 | : pass\n",
    })
    found = survey(tmp_path)
    assert refs(found) == ["good:f"]
    assert {item.file for item in found.skipped} == {"broken.py", "two.py", "latin.py", "huge.py", "deep.py", "new.py"}
    assert all(item.reason for item in found.skipped)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(tmp_path):
    write(tmp_path, {"secret.py": "", "good.py": OLD.format(name="f")})
    (tmp_path / "secret.py").chmod(0)
    found = survey(tmp_path)
    assert refs(found) == ["good:f"]
    assert [item.file for item in found.skipped] == ["secret.py"]


def test_nothing_there_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="no such file or folder"):
        survey(tmp_path / "missing")


def test_one_file_can_be_scanned(tmp_path):
    write(tmp_path, {"pkg/__init__.py": "", "pkg/old.py": OLD.format(name="f"), "pkg/other.py": OLD.format(name="g")})
    assert refs(survey(tmp_path / "pkg" / "old.py")) == ["pkg.old:f"]


def many(root, files=60):
    filler = ("# " + "." * 97 + "\n") * 300
    return write(root, {f"m{number}.py": OLD.format(name="f") + filler for number in range(files)})


def test_two_workers_find_what_one_process_finds(tmp_path):
    many(tmp_path)
    steps = []
    parallel = survey(tmp_path, progress=lambda done, total: steps.append((done, total)))
    alone = survey(tmp_path, workers=1)
    assert parallel.findings == alone.findings
    assert len(parallel.findings) == 60
    assert steps[-1] == (60, 60)
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)


def test_a_file_that_kills_the_worker_is_named_and_the_rest_is_done(tmp_path, monkeypatch):
    many(tmp_path)
    fatal = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); from lastcall.scanning import work; real = work.analyse_file\n"
        "def analyse_file(path, *rest):\n"
        "    if path.endswith('m7.py'): os._exit(9)\n"
        "    return real(path, *rest)\n"
        "work.analyse_file = analyse_file; work.serve()"
    )
    monkeypatch.setattr(work, "_BOOT", fatal)
    found = survey(tmp_path)
    assert [(item.file, item.reason) for item in found.skipped] == [("m7.py", "the parser crashed on it")]
    assert len(found.findings) == 59


def test_where_no_worker_can_be_started_this_process_reads_the_files_itself(tmp_path, monkeypatch):
    many(tmp_path)
    monkeypatch.setattr(work.sys, "executable", str(tmp_path))  # an interpreter that may not be run
    found = survey(tmp_path)
    assert found.skipped == []
    assert len(found.findings) == 60


def test_the_cache_gives_the_same_answer_and_knows_changed_content(tmp_path):
    root = write(tmp_path / "tree", {"a.py": OLD.format(name="f"), "b.py": "def (:"})
    path = str(tmp_path / "cache.db")

    def run():
        cache = Cache(path)
        found = survey(root, cache=cache)
        cache.close()
        return found

    first, second = run(), run()
    assert first == second
    write(root, {"a.py": OLD.format(name="g"), "b.py": "ok = 1"})
    third = run()
    assert (refs(third), third.skipped) == (["a:g"], [])


def test_the_cache_is_used(tmp_path, monkeypatch):
    root = write(tmp_path / "tree", {"a.py": OLD.format(name="f")})
    cache = Cache(str(tmp_path / "cache.db"))
    first = survey(root, cache=cache)
    monkeypatch.setattr(work, "analyse_file", None)  # whoever calls it now, fails
    assert survey(root, cache=cache) == first
    cache.close()


def test_a_damaged_cache_is_replaced_and_an_impossible_one_does_without(tmp_path):
    root = write(tmp_path / "tree", {"a.py": OLD.format(name="f")})
    damaged = tmp_path / "cache.db"
    damaged.write_bytes(b"not a database" * 1000)
    for path in (str(damaged), str(tmp_path / "tree" / "a.py" / "cache.db")):
        cache = Cache(path)
        assert refs(survey(root, cache=cache)) == ["a:f"]
        cache.close()
    cache = Cache(str(damaged))
    cache.put(b"k", [1])
    cache.commit()
    assert cache.get(b"k") == [1]
    cache.close()


def test_the_cache_lies_in_the_trees_own_folder_if_it_has_one(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    assert cache_path(str(tmp_path)) == str(tmp_path / "home" / "lastcall" / "scan-cache.db")
    (tmp_path / ".lastcall").mkdir()
    assert cache_path(str(tmp_path)) == str(tmp_path / ".lastcall" / "scan-cache.db")


def test_a_replacement_becomes_a_reference_where_the_tree_has_it(tmp_path):
    write(tmp_path, {
        "pkg/__init__.py": "",
        "pkg/new.py": "def make(): ...\n",
        "pkg/old.py": "def there(): ...\ndef a():\n    '''Deprecated, use :func:`there`.'''\ndef b():\n    '''Deprecated, use `pkg.new.make`.'''\n"
                      "def c():\n    '''Deprecated, use `other_lib.thing`.'''\n",
    })
    assert {item.ref: item.replacement for item in survey(tmp_path).findings} == {
        "pkg.old:a": "pkg.old:there", "pkg.old:b": "pkg.new:make", "pkg.old:c": "other_lib.thing"}


def test_a_decorator_from_another_file_is_known_by_what_it_does(tmp_path):
    write(tmp_path, {
        "tools.py": "import warnings\ndef moved_to(new):\n    def deco(f):\n        def wrapper(*a):\n            warnings.warn('moved', DeprecationWarning)\n"
                    "            return f(*a)\n        return wrapper\n    return deco\n",
        "user.py": "from tools import moved_to\n@moved_to('x.y')\ndef f(): ...\n",
    })
    found = survey(tmp_path)
    assert [(item.ref, item.evidence_kinds) for item in found.findings] == [("user:f", ("decorator",))]


def test_a_helper_that_calls_a_helper_is_known_too_and_one_that_warns_sometimes_is_not_trusted(tmp_path):
    write(tmp_path, {
        "a.py": "import warnings\ndef announce(text):\n    warnings.warn(text, DeprecationWarning, stacklevel=3)\n",
        "b.py": "from a import announce\ndef announce_twice(text):\n    announce(text)\n",
        "c.py": "from b import announce_twice\ndef f():\n    announce_twice('f went away')\n",
        "d.py": "import warnings\ndef announce_once(text):\n    if text not in SEEN:\n        warnings.warn(text, DeprecationWarning)\n",
        "e.py": "from d import announce_once\ndef g():\n    announce_once('g went away')\n",
        "h.py": "import warnings\ndef warn_gone():\n    warnings.warn('this is deprecated', DeprecationWarning, stacklevel=3)\n",
        "i.py": "from h import warn_gone\ndef k():\n    warn_gone()\n",
    })
    assert {item.ref: item.confidence for item in survey(tmp_path).findings} == {"c:f": "high", "e:g": "medium", "i:k": "high"}


def test_a_plain_word_and_an_imported_name_are_found_as_replacements(tmp_path):
    write(tmp_path, {
        "pkg/__init__.py": "",
        "pkg/core.py": "class Manager: ...\n",
        "pkg/again.py": "from .core import Manager\n@deprecated('x')\ndef z(): ...\n",
        "pkg/other.py": "class Manager: ...\n",
        "pkg/old.py": "from .again import Manager as M\ndef send(): ...\n"
                      "def a():\n    '''Deprecated, use send.'''\ndef b():\n    '''Deprecated, use M() instead.'''\ndef c():\n    '''Deprecated, use care.'''\n",
        "far/old.py": "def d():\n    '''Deprecated, use `Manager`.'''\n",
    })
    assert {item.ref: item.replacement for item in survey(tmp_path).findings if item.file.endswith("old.py")} == {
        "pkg.old:a": "pkg.old:send", "pkg.old:b": "pkg.core:Manager", "pkg.old:c": "", "far.old:d": "Manager"}


def test_pipes_devices_circles_and_what_is_far_too_long_are_named_and_never_opened(tmp_path):
    write(tmp_path, {"good.py": OLD.format(name="f"), "long.py": b"#" * 2_000_001})
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "zero.py").symlink_to("/dev/zero")
    (tmp_path / "loop.py").symlink_to("loop.py")
    found = survey(tmp_path)
    assert refs(found) == ["good:f"]
    assert {item.file: item.reason for item in found.skipped} == {
        "pipe.py": "not a regular file", "zero.py": "not a regular file", "loop.py": "a link that leads in a circle",
        "long.py": "generated: 2,000,001 bytes"}
    with pytest.raises(UsageError, match="neither a file nor a folder"):
        survey(tmp_path / "pipe.py")


def test_a_file_that_vanishes_or_becomes_a_pipe_while_the_tree_is_scanned_is_named(tmp_path, monkeypatch):
    helper = "import warnings\ndef announce(text):\n    warnings.warn(text, DeprecationWarning)\n"
    write(tmp_path, {"a.py": helper, "gone.py": OLD.format(name="f"), "late.py": OLD.format(name="f"), "user.py": "def g():\n    '''Deprecated.'''\n    announce('x')\n"})
    read = survey_module.read_tree

    def read_and_change(*arguments):
        tree = read(*arguments)
        (tmp_path / "gone.py").unlink()
        (tmp_path / "late.py").unlink()
        os.mkfifo(tmp_path / "late.py")
        return tree

    monkeypatch.setattr(survey_module, "read_tree", read_and_change)
    analyse = survey_module.analyse

    def analyse_and_remove(*arguments, **named):
        outcomes = analyse(*arguments, **named)
        (tmp_path / "user.py").unlink(missing_ok=True)
        return outcomes

    monkeypatch.setattr(survey_module, "analyse", analyse_and_remove)
    found = survey(tmp_path)
    assert refs(found) == ["user:g"]
    assert {item.file for item in found.skipped} == {"gone.py", "late.py"}


def test_what_another_release_kept_is_not_used(tmp_path, monkeypatch):
    root = write(tmp_path / "tree", {"a.py": OLD.format(name="f")})
    cache = Cache(str(tmp_path / "cache.db"))
    monkeypatch.setattr(work, "_own_code", lambda: "another")
    monkeypatch.setattr(work, "analyse_file", lambda *_: work.Outcome({"marks": [{"of": "another shape"}]}))
    with pytest.raises(KeyError):
        survey(root, cache=cache)
    monkeypatch.undo()
    assert refs(survey(root, cache=cache)) == ["a:f"]
    cache.close()


def test_a_cache_whose_damage_shows_late_is_replaced_too(tmp_path):
    root = many(tmp_path / "tree", 120)
    path = tmp_path / "cache.db"
    first = survey(root, cache=(cache := Cache(str(path))))
    cache.close()
    data = bytearray(path.read_bytes())
    data[4096::3] = bytes(len(data[4096::3]))
    path.write_bytes(data)
    for _ in range(2):
        assert survey(root, cache=(cache := Cache(str(path)))) == first
        cache.close()
    cache = Cache(str(path))
    cache.put(b"k", [1])
    cache.commit()
    assert cache.get(b"k") == [1]
    cache.close()


def test_two_services_with_modules_of_one_name_both_show_what_is_theirs(tmp_path):
    write(tmp_path, {
        f"{service}/{name}": text
        for service in ("one", "two")
        for name, text in {"pyproject.toml": "", "app/__init__.py": "", "app/m.py": OLD.format(name="f")}.items()
    })
    assert [(item.ref, item.file) for item in survey(tmp_path).findings] == [
        ("app.m:f", "one/app/m.py"), ("app.m:f", "two/app/m.py")]


def test_a_file_that_the_scan_stumbles_over_is_named_and_the_rest_is_scanned(tmp_path, monkeypatch):
    write(tmp_path, {"good.py": OLD.format(name="good"), "odd.py": OLD.format(name="odd")})
    real = analyses.ANALYSES["detect"]

    def stumbling(data, arguments):
        assert b"odd" not in data, "not thought of"
        return real.run(data, arguments)

    monkeypatch.setitem(analyses.ANALYSES, "detect", analyses.Analysis(stumbling, real.version))
    found = survey(tmp_path)
    assert refs(found) == ["good:good"]
    [skipped] = found.skipped
    assert skipped.file == "odd.py"
    assert "please report this file" in skipped.reason
