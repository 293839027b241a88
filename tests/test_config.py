"""Settings: where a value comes from, and what a broken one says."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from how_many import examples
from lastcall import config as configuration
from lastcall.config_file import TARGET_KEYS


def load(folder, text=None, environ=None, name="lastcall.toml", **overrides):
    if text is not None:
        (folder / name).write_text(text)
    return configuration.load(environ or {}, overrides, cwd=str(folder))


@pytest.mark.parametrize(("value", "says"), [('["x"]', "['x']"), ("{ a = 1 }", "{'a': 1}"), ("true", "True")])
@pytest.mark.parametrize("key", ["owner", "replacement", "issue", "note", "since"])
def test_what_is_said_of_a_target_is_a_text(tmp_path, key, value, says):
    config = load(tmp_path, f'[[target]]\nref = "a:b"\n{key} = {value}\n')
    (problem,) = config.problems
    assert problem.endswith(f"{key} must be a text, not {says}")
    assert config.targets[0].metadata.get(key, "") == ""


def test_a_number_or_a_date_without_quotes_is_one_too(tmp_path):
    config = load(tmp_path, '[[target]]\nref = "a:b"\nissue = 514\nsince = 2025-09-01\n')
    assert config.problems == []
    assert config.targets[0].metadata == {"issue": "514", "since": "2025-09-01"}


def test_an_argument_outranks_the_environment_which_outranks_the_file(tmp_path):
    text = '[lastcall]\nservice = "file"\nrelease = "file"\nenvironment = "file"\n'
    config = load(tmp_path, text, {"LASTCALL_SERVICE": "env", "LASTCALL_RELEASE": "env"}, service="argument")
    assert (config.service, config.release, config.environment) == ("argument", "env", "file")
    assert config.provenance["service"] == "lastcall.start()"
    assert config.provenance["release"] == "environment variable LASTCALL_RELEASE"
    assert config.provenance["environment"] == str(tmp_path / "lastcall.toml")
    assert config.problems == []


def test_the_file_outranks_the_standard_variables_of_others(tmp_path):
    environ = {"OTEL_SERVICE_NAME": "otel", "K_SERVICE": "run", "OTEL_RESOURCE_ATTRIBUTES": "service.version=7,deployment.environment.name=staging"}
    config = load(tmp_path, '[lastcall]\nservice = "file"\n', environ)
    assert (config.service, config.release, config.environment) == ("file", "7", "staging")
    (tmp_path / "lastcall.toml").unlink()
    assert load(tmp_path, None, environ).service == "otel"


@pytest.mark.parametrize(
    ("environ", "name", "value"),
    [
        ({"K_SERVICE": "run"}, "service", "run"),
        ({"K_SERVICE": "run", "OTEL_SERVICE_NAME": "otel"}, "service", "otel"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=shop,a=b"}, "service", "shop"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=staging"}, "environment", "staging"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.version=7"}, "release", "7"),
        ({"K_REVISION": "shop-3"}, "release", "shop-3"),
        ({"K_REVISION": "shop-3", "OTEL_RESOURCE_ATTRIBUTES": "service.version=7"}, "release", "7"),
        ({"GOOGLE_CLOUD_PROJECT": "one", "GCLOUD_PROJECT": "two"}, "gcp_project", "one"),
        ({"GCLOUD_PROJECT": "two"}, "gcp_project", "two"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317"}, "exporters", ("store", "otlp")),
    ],
)
def test_standard_variables_of_others_are_heeded_and_the_file_outranks_them(tmp_path, environ, name, value):
    assert getattr(load(tmp_path, None, environ), name) == value
    assert load(tmp_path, None, environ).problems == []
    told = {"exporters": '["store"]'}.get(name, '"file"')
    kept = ("store",) if name == "exporters" else "file"
    assert getattr(load(tmp_path, f"[lastcall]\n{name} = {told}\n", environ), name) == kept


def test_without_a_word_from_anybody_the_service_is_the_program(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["/srv/shop/serve.py"])
    config = load(tmp_path)
    assert (config.service, config.provenance["service"]) == ("serve", "the program's name")


def test_the_store_lies_where_the_process_starts_else_in_the_users_state(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    working = str(tmp_path)
    assert configuration.store_path("", working) == str(tmp_path / ".lastcall" / "store.db")
    monkeypatch.setattr("os.access", lambda *_: False)
    assert configuration.store_path("", working) == str(tmp_path / "home" / ".local" / "state" / "lastcall" / "store.db")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert configuration.store_path("", working) == str(tmp_path / "state" / "lastcall" / "store.db")


def test_a_file_that_is_named_is_read_before_one_that_lies_there_and_a_toml_of_its_own_before_pyproject(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.lastcall]\nservice = "pyproject"\n')
    assert load(tmp_path).service == "pyproject"
    assert load(tmp_path, '[lastcall]\nservice = "toml"\n').service == "toml"
    (tmp_path / "other.toml").write_text('[lastcall]\nservice = "named"\n')
    assert load(tmp_path, None, {"LASTCALL_CONFIG": str(tmp_path / "other.toml")}).service == "named"


def test_targets_of_the_environment_join_those_of_the_file_and_what_is_to_be_discovered_replaces_it(tmp_path):
    text = '[[target]]\nref = "a.b:c"\n[discover]\nlogs = ["deprecated"]\nwarnings = ["DeprecationWarning"]\n'
    config = load(tmp_path, text, {"LASTCALL_TARGETS": "a.b:d,a.b:c", "LASTCALL_DISCOVER_LOGS": "obsolete, legacy"})
    assert [target.ref for target in config.targets] == ["a.b:c", "a.b:d"]
    assert config.discover == {"logs": ("obsolete", "legacy"), "warnings": ("DeprecationWarning",)}


def test_the_file_is_found_upwards_and_in_pyproject(tmp_path):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    (tmp_path / "pyproject.toml").write_text('[tool.lastcall]\nservice = "up"\n[[tool.lastcall.target]]\nref = "a:b"\n')
    config = load(inner)
    assert config.service == "up"
    assert [target.ref for target in config.targets] == ["a:b"]
    assert config.root == str(tmp_path)


@pytest.mark.parametrize(("text", "says"), [
    ("[lastcall]\nflush_interval = 0\n", "flush_interval must be a number of seconds above 0"),
    ("[lastcall]\nflush_interval = 'soon'\n", "flush_interval must be"),
    ("[lastcall]\nmax_sites = true\n", "max_sites must be a whole number"),
    ("[lastcall]\nmax_sites = inf\n", "max_sites must be a whole number"),
    ("[lastcall]\nmax_sites = 10.5\n", "max_sites must be a whole number from 1 to 1000000, not 10.5"),
    (f"[lastcall]\nspan_budget = {'9' * 400}\n", "span_budget must be a number of at least 0, not 9999"),
    (f"[lastcall]\nservice = 0x{'f' * 5000}\n", "service must be a string, not "),
    (f"[[target]]\nref = 'a:b'\nkind = [0x{'f' * 5000}]\n", "kind must be one of"),
    (f"[lastcall]\nstack_depth = {'9' * 5000}\n", "TOML"),  # valid, or, before 3.11, without tomli
    ('[lastcall]\nstore = "a\\u0000b"\n', "store must be a string"),
    ("[lastcall]\nrelease = 2026-11-22\n", "release must be a string, not 2026-11-22"),
    ("[lastcall]\ntargetz = 'a:b'\n", "did you mean 'targets'"),
    ("[[target]]\nref = 'a:b'\nmode = 'brownout'\nbrownout = 0.01\n", "takes a table: brownout = { share = 0.01, environments = ['staging'] }, not 0.01"),
    ("[lastcall]\nservise = 'x'\n", "did you mean 'service'"),
    ("[lastcal]\nservice = 'x'\n", "unknown table"),
    ("[[target]]\nreference = 'a:b'\n", "a target needs ref"),
    ("[[target]]\nref = 'a b'\n", "is not of the form"),
    ("[[target]]\nref = 'a:b'\nremove_by = 'soon'\n", "YYYY-MM-DD"),
    ("[[target]]\nref = 'a:b'\nallow = 'x'\n", "allow must be a list of tables"),
    ("[[target]]\nref = 'a:b'\nkind = 'thing'\n", "kind must be one of"),
    ("[target]\nref = 'a:b'\n", "two brackets"),
    ("[lastcall\n", "not valid TOML"),
    (f"[lastcall]\nservice = {'[' * 3000}{']' * 3000}\n", "not valid TOML"),
    ("lastcall = 1\n", "[lastcall] must be a table"),
    ("[lastcall]\nexporters = ['store', 'otpl']\n", "unknown exporter 'otpl'"),
    ("[discover]\nwarning = ['x']\n", "did you mean 'warnings'"),
])
def test_a_broken_setting_is_one_clear_problem_and_the_rest_holds(tmp_path, text, says):
    config = load(tmp_path, text, {"LASTCALL_TARGETS": "good.module:name", "LASTCALL_ENVIRONMENT": "staging"})
    assert [problem for problem in config.problems if says in problem]
    assert all(str(tmp_path / "lastcall.toml") in problem for problem in config.problems)
    assert "good.module:name" in [target.ref for target in config.targets]
    assert config.environment == "staging"
    assert config.flush_interval == 1.0


@pytest.mark.parametrize("text", ["[tool]\nlastcall = 3\n# tool.lastcall\n", "tool = 3\n# tool.lastcall\n"])
def test_a_tool_table_that_is_no_table_is_a_problem_at_most(tmp_path, text):
    environ = {"LASTCALL_TARGETS": "good.module:name"}
    for config in (
        load(tmp_path, text, environ, name="pyproject.toml"),
        load(tmp_path, None, {**environ, "LASTCALL_CONFIG": str(tmp_path / "pyproject.toml")}),
    ):
        assert [target.ref for target in config.targets] == ["good.module:name"]
        assert not [problem for problem in config.problems if "[lastcall] must be a table" not in problem and "tool" not in problem]


def test_a_file_of_ours_may_say_it_as_pyproject_does(tmp_path):
    config = load(tmp_path, '[tool.lastcall]\nservice = "shop"\n[[tool.lastcall.target]]\nref = "a:b"\n')
    assert (config.service, [target.ref for target in config.targets], config.problems) == ("shop", ["a:b"], [])


def test_a_pyproject_that_is_named_and_says_nothing_to_us_is_one_problem(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n[build-system]\nrequires = []\n[tool.other]\na = 1\n")
    config = load(tmp_path, None, {"LASTCALL_CONFIG": str(tmp_path / "pyproject.toml")})
    assert config.problems == [f"{tmp_path}/pyproject.toml: has no table [tool.lastcall]"]


def test_what_a_table_says_of_a_target_holds_though_a_list_names_it_too(tmp_path):
    config = load(tmp_path, '[lastcall]\ntargets = ["a:b", "a:c"]\n[[target]]\nref = "a:b"\nowner = "shop"\n')
    assert [(target.ref, target.metadata) for target in config.targets] == [("a:b", {"owner": "shop"}), ("a:c", {})]


def test_a_store_in_the_home_folder_is_there_and_not_in_a_folder_called_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    config = load(tmp_path, '[lastcall]\nstore = "~/evidence/store.db"\n')
    assert config.store_path() == str(tmp_path / "evidence" / "store.db")


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    config = load(tmp_path, None, {"LASTCALL_CONFIG": str(tmp_path / "pipe"), "LASTCALL_TARGETS": "a.b:c"})
    assert "is a pipe" in config.problems[0]
    assert [target.ref for target in config.targets] == ["a.b:c"]


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no /dev/zero")
def test_a_file_without_an_end_is_not_read_for_ever(tmp_path):
    config = load(tmp_path, None, {"LASTCALL_CONFIG": "/dev/zero", "LASTCALL_TARGETS": "a.b:c"})
    assert config.problems == ["/dev/zero: has more than 10,000,000 characters; a configuration file was expected"]
    assert [target.ref for target in config.targets] == ["a.b:c"]


def test_targets_in_the_environment_may_stand_a_line_each(tmp_path):
    config = load(tmp_path, None, {"LASTCALL_TARGETS": "a.b:c\n  a.b:d,\n\na.b:e\n"})
    assert [target.ref for target in config.targets] == ["a.b:c", "a.b:d", "a.b:e"]
    assert config.problems == []


def test_a_byte_order_mark_is_not_a_syntax_error(tmp_path):
    (tmp_path / "lastcall.toml").write_text('[lastcall]\nservice = "marked"\n', encoding="utf-8-sig")
    config = load(tmp_path)
    assert (config.service, config.problems) == ("marked", [])


JSON = st.recursive(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
                    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)), max_leaves=6)
KEY = st.one_of(st.sampled_from(sorted(configuration.BY_NAME)), st.text(max_size=6))


@settings(max_examples=examples(150), deadline=None)
@given(st.dictionaries(KEY, JSON, max_size=4), st.lists(st.one_of(JSON, st.dictionaries(st.sampled_from(TARGET_KEYS), JSON)), max_size=3), JSON)
def test_no_value_whatever_makes_loading_fail(values, targets, discover):
    config = configuration.load({}, {**values, "targets": targets, "discover": discover}, cwd="/")
    assert isinstance(config.problems, list)
    assert isinstance(config.flush_interval, float)
    assert 0 < config.flush_interval < 1e9


@settings(max_examples=examples(150), deadline=None)
@given(st.dictionaries(st.sampled_from([variable for s in configuration.SETTINGS for variable in s.env]
                                       + ["LASTCALL_TARGETS", "OTEL_RESOURCE_ATTRIBUTES", "LASTCALL_DISCOVER_LOGS", "LASTCALL_X"]),
                       st.text(alphabet=st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12), max_size=6))
def test_no_environment_whatever_makes_loading_fail(environ):
    config = configuration.load(environ, cwd="/")
    assert all(isinstance(problem, str) for problem in config.problems)


@pytest.mark.parametrize("user", [0, 1000])
def test_the_commit_is_that_of_the_start_where_it_may_be_out_of_reach_later(tmp_path, monkeypatch, user):
    monkeypatch.setattr("os.geteuid", lambda: user)
    (tmp_path / ".git").mkdir()
    head = tmp_path / ".git" / "HEAD"
    head.write_text("a" * 40)
    (tmp_path / "lastcall.toml").write_text("")
    config = configuration.load({}, cwd=str(tmp_path))
    head.write_text("b" * 40)
    assert config.release == ("a" if user == 0 else "b") * 12
    head.write_text("c" * 40)
    assert config.release == ("a" if user == 0 else "b") * 12


ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted({ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md"),
                *(path for path in (ROOT / "dashboards").rglob("*") if path.suffix in (".md", ".json"))})  # fmt: skip


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_variable_that_a_page_names_is_one(page):
    named = set(re.findall(r"LASTCALL_[A-Z_]+[A-Z]", page.read_text(encoding="utf-8")))
    assert [text for text in configuration.load(dict.fromkeys(named, "1"), cwd="/").problems if "is unknown" in text] == []


@pytest.mark.parametrize("name", [name for name in configuration._OTHER_VARIABLES if "DISCOVER" not in name])
def test_every_variable_that_is_no_setting_is_read_by_somebody(name):
    lines = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "agent").rglob("*.py"))
    assert re.search(rf'\.get\("{name}"', lines), "known, and without an effect"
