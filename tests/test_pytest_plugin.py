"""The ratchet in real test runs: whole ones, parallel ones, shuffled ones, forked ones."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import warnings

import pytest
from _pytest.assertion import rewrite

from lastcall.baseline import Baseline, Key
from lastcall.errors import UsageError

FILES = {
    "lastcall.toml": """
        [lastcall]
        application = ["shop.**"]
        [[target]]
        ref = "shop.legacy:make_cart"
        replacement = "shop.cart:Cart"
        [[target]]
        ref = "shop.legacy:never"
        """,
    "shop/__init__.py": "",
    "shop/legacy.py": """
        def make_cart():
            return object()
        def never(): ...
        """,
    "shop/views.py": """
        def checkout():
            from shop.legacy import make_cart
            return make_cart()
        class Refund:
            def run(self):
                from shop import legacy
                return [legacy.make_cart() for _ in range(3)]
        """,
    "tests/test_views.py": """
        import pytest
        from shop import views
        @pytest.mark.parametrize("n", range(4))
        def test_checkout(n):
            assert views.checkout()
        def test_refund():
            assert len(views.Refund().run()) == 3
        def test_nothing(): ...
        """,
    "pytest.ini": "[pytest]\ntestpaths = tests\npythonpath = .\n",
}
BASELINE = """
    # why they are here
    [[use]]
    target = "shop.legacy:make_cart"
    caller = "shop.views:checkout"
    reason = "moves in spring"

    [[use]]
    target = "shop.legacy:make_cart"
    caller = "shop.views:Refund.run"  # the second
    reason = "moves in summer"
    """


class Project:
    def __init__(self, path):
        self.path = path
        for name, text in FILES.items():
            self.write(name, text)

    def write(self, name, text):
        path = self.path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))

    def run(self, *arguments, **environ):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("LASTCALL_", "PYTEST_", "COV_"))}
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
        done = subprocess.run(command, cwd=self.path, env={**kept, **environ}, capture_output=True, text=True, timeout=100)
        return done.returncode, done.stdout + done.stderr

    @property
    def baseline(self):
        return (self.path / "lastcall-baseline.toml").read_text()


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def test_without_the_option_nothing_is_imported_and_nothing_changes(project):
    project.write("tests/test_off.py", "import sys\ndef test_off(): assert not {m for m in sys.modules if m.startswith('lastcall.')} - {'lastcall.pytest_plugin'}\n")
    code, output = project.run("-q")
    assert code == 0, output
    assert "lastcall" not in output


def test_a_new_use_fails_with_place_target_and_replacement(project):
    code, output = project.run("--lastcall")
    assert code == 1
    assert "6 passed" in output
    assert "shop/views.py:4: shop.views:checkout uses shop.legacy:make_cart; use shop.cart:Cart" in output
    assert "tests/test_views.py::test_checkout[0]" in output
    assert "shop.views:Refund.run" in output
    assert not (project.path / ".lastcall").exists()


def test_accepted_uses_pass(project):
    project.write("lastcall-baseline.toml", BASELINE)
    code, output = project.run("--lastcall")
    assert code == 0, output
    assert "2 accepted uses" in output


def test_a_line_that_moves_is_no_new_use(project):
    project.write("lastcall-baseline.toml", BASELINE)
    project.write("shop/views.py", "# moved\n\n" + textwrap.dedent(FILES["shop/views.py"]))
    assert project.run("--lastcall")[0] == 0


FORKING = """
    # Each test in a child of its own, its reports sent back as pytest's own JSON: what plugins that box tests do.
    import json, os, pytest
    from _pytest.runner import runtestprotocol

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(item, nextitem):
        hook = item.config.hook
        reading, writing = os.pipe()
        if os.fork() == 0:
            reports = runtestprotocol(item, log=False, nextitem=nextitem)
            data = [hook.pytest_report_to_serializable(config=item.config, report=r) for r in reports]
            os.write(writing, json.dumps(data).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            data = json.load(pipe)
        os.wait()
        for values in data:
            report = hook.pytest_report_from_serializable(config=item.config, data=values)
            item.ihook.pytest_runtest_logreport(report=report)
        return True
    """
PLUGINS = [
    ("pytest_forked", ("--forked",)),
    ("pytest_randomly", ("--randomly-seed=3",)),
    ("pytest_randomly", ("-n", "2", "--randomly-seed=5")),
]
RUNNERS = [
    pytest.param(("--random-order",), marks=pytest.mark.slow),
    ("-p", "forking"),
    pytest.param(("-n", "2", "--random-order"), marks=pytest.mark.slow),
    pytest.param(("-n", "2"), marks=pytest.mark.slow),
    pytest.param(("-n", "2", "--dist", "loadfile"), marks=pytest.mark.slow),
]


@pytest.mark.parametrize("arguments", RUNNERS, ids=" ".join)
def test_however_the_tests_run_the_outcome_is_the_same(project, arguments):
    if "forking" in arguments:
        project.write("forking.py", FORKING)
    code, output = project.run("--lastcall", *arguments)
    assert code == 1, output
    assert output.count(" uses shop.legacy:make_cart") == 2
    project.write("lastcall-baseline.toml", BASELINE)
    code, output = project.run("--lastcall", *arguments)
    assert code == 0, output
    project.write("shop/views.py", FILES["shop/views.py"].replace("return make_cart()", "return object()"))
    code, output = project.run("--lastcall", *arguments)
    assert code == 1, output
    assert "No longer used" in output
    assert "shop.views:checkout -> shop.legacy:make_cart" in output


@pytest.mark.parametrize(("module", "arguments"), PLUGINS, ids=str)
def test_under_the_plugins_of_others_the_outcome_is_the_same(project, module, arguments):
    """Where they are installed: pytest-randomly shuffles every run that it is near, so ours goes without it."""
    pytest.importorskip(module, reason=f"{module} is not installed; pip install it to a copy of this environment")
    if project.run("-p", "no:lastcall", *arguments)[0] != 0:
        pytest.skip(f"{module} does not work with this pytest, with or without us (pytest-forked 1.7 and pytest 9)")
    test_however_the_tests_run_the_outcome_is_the_same(project, arguments)


def test_uses_at_import_and_in_session_fixtures_count(project):
    project.write("shop/early.py", "from shop.legacy import make_cart\nCART = make_cart()\n")
    project.write("tests/test_early.py", """
        import pytest
        from shop import early, views
        @pytest.fixture(scope="session", autouse=True)
        def late():
            yield
            views.checkout()
        def test_early(): assert early.CART
        """)
    for arguments in ((), ("-n", "1")):
        code, output = project.run("--lastcall", "tests/test_early.py", *arguments)
        assert code == 1, output
        assert "shop/early.py:2: shop.early:<module> uses" in output
        assert "shop.views:checkout uses" in output


@pytest.mark.parametrize("narrow", [
    ("-k", "refund"),
    ("--collect-only",),
    pytest.param(("tests/test_views.py::test_refund",), marks=pytest.mark.slow),
    pytest.param(("--deselect", "tests/test_views.py::test_nothing", "-k", "refund"), marks=pytest.mark.slow),
    pytest.param(("-x", "-k", "refund"), marks=pytest.mark.slow),
], ids=" ".join)
def test_a_part_of_the_suite_says_nothing_about_stale_entries(project, narrow):
    project.write("lastcall-baseline.toml", BASELINE)
    code, output = project.run("--lastcall-update", *narrow)
    assert code == 0, output
    assert project.baseline == textwrap.dedent(BASELINE)


@pytest.mark.slow
def test_a_run_from_a_folder_below_or_past_what_could_not_be_collected_is_a_part_of_the_suite(project):
    project.write("lastcall-baseline.toml", BASELINE)
    project.write("tests/test_views.py", "from shop import views\ndef test_refund(): assert views.Refund().run()\n")
    project.write("tests/test_broken.py", "import nowhere\n")
    code, output = project.run("--lastcall-update", "--continue-on-collection-errors")
    assert (code, "No longer used" in output) == (1, False), output
    (project.path / "tests" / "test_broken.py").unlink()
    kept = project.baseline
    project.path /= "tests"
    code, output = project.run("--lastcall-update")
    assert code == 0, output
    project.path = project.path.parent
    assert project.baseline == kept == textwrap.dedent(BASELINE)


@pytest.mark.slow
def test_where_nothing_is_watched_nothing_is_known_to_be_unused(project):
    project.write("lastcall-baseline.toml", BASELINE)
    project.write("lastcall.toml", "")
    code, output = project.run("--lastcall-update")
    assert (code, "No target is configured." in output) == (0, True), output
    assert project.baseline == textwrap.dedent(BASELINE)


@pytest.mark.slow
def test_a_baseline_that_cannot_be_written_is_one_sentence(project):
    code, output = project.run("--lastcall-accept", "why not", "--lastcall-baseline", "nowhere/base.toml")
    assert (code, "Cannot write " in output, "Traceback" in output) == (1, True, False), output
    assert "shop.views:checkout uses" in output


def test_update_takes_stale_entries_out_and_keeps_comments(project):
    project.write("lastcall-baseline.toml", BASELINE)
    project.write("shop/views.py", FILES["shop/views.py"].replace("return make_cart()", "return object()"))
    assert project.run("--lastcall")[0] == 1
    code, output = project.run("--lastcall", "--lastcall-update")
    assert code == 0, output
    assert "checkout" not in project.baseline
    assert "# the second" in project.baseline
    assert "# why they are here" in project.baseline
    assert project.run("--lastcall")[0] == 0


def test_update_never_accepts_a_new_use(project):
    code, output = project.run("--lastcall-update")
    assert code == 1
    assert "New uses" in output
    assert not (project.path / "lastcall-baseline.toml").exists()


def test_a_new_entry_is_accepted_with_a_reason_only(project):
    code, output = project.run("--lastcall-accept", "legacy, see the plan")
    assert code == 0, output
    assert project.baseline.count("legacy, see the plan") == 2
    assert project.run("--lastcall")[0] == 0
    project.write("lastcall-baseline.toml", project.baseline.replace('"legacy, see the plan"', '""', 1))
    code, output = project.run("--lastcall")
    assert code == pytest.ExitCode.USAGE_ERROR
    assert "needs a reason" in output


def test_allowed_callers_do_not_count(project):
    allow = 'replacement = "shop.cart:Cart"\nallow = [{caller = "shop.views.**", reason = "the factory itself"}]'
    project.write("lastcall.toml", textwrap.dedent(FILES["lastcall.toml"]).replace('replacement = "shop.cart:Cart"', allow))
    code, output = project.run("--lastcall")
    assert code == 0, output


def test_a_baseline_keeps_the_line_ends_and_the_mark_of_a_windows_editor(tmp_path):
    file = tmp_path / "lastcall-baseline.toml"
    file.write_bytes(b'\xef\xbb\xbf# ours\r\n[[use]]\r\ntarget = "a:b"\r\ncaller = "c:d"\r\nreason = "old"\r\n')
    known = Baseline.load(file)
    known.add([Key("a:b", "c:new")], "new")
    known.save()
    after = file.read_bytes()
    assert after.startswith(b"\xef\xbb\xbf# ours\r\n[[use]]\r\n")
    assert after.count(b"\n") == after.count(b"\r\n") > 8
    assert len(Baseline.load(file).reasons) == 2


def test_a_failing_test_stays_a_failing_test(project):
    project.write("tests/test_red.py", "def test_red(): assert 0\n")
    code, output = project.run("--lastcall")
    assert code == 1
    assert "1 failed" in output


@pytest.mark.parametrize("text", ["[[use]\n", "use = 3\n", "[[use]]\ntarget = 'a'\n", BASELINE + BASELINE])
def test_a_broken_baseline_is_one_sentence(project, text):
    project.write("lastcall-baseline.toml", text)
    code, output = project.run("--lastcall")
    assert code == pytest.ExitCode.USAGE_ERROR
    assert "lastcall-baseline.toml" in output
    assert "Traceback" not in output


def test_a_file_of_another_kind_is_no_baseline_and_is_not_written_to(tmp_path):
    (tmp_path / "lastcall.toml").write_text("[lastcall]\nservice = 'shop'\n")
    with pytest.raises(UsageError, match=r"lastcall\.toml is no baseline, or 'lastcall' in it is wrong"):
        Baseline.load(tmp_path / "lastcall.toml")


def test_a_broken_configuration_is_one_sentence(project):
    project.write("lastcall.toml", "[[target]]\nreff = 'a:b'\n")
    code, output = project.run("--lastcall")
    assert code == pytest.ExitCode.USAGE_ERROR
    assert "Traceback" not in output


def test_pytest_has_no_warning_for_a_run_under_the_agent(pytestconfig):
    """The agent is imported before pytest, which wants to rewrite the assertions of whatever has a plugin."""
    hook = rewrite.AssertionRewritingHook(pytestconfig)
    assert "lastcall" in sys.modules
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hook.mark_rewrite("lastcall")
