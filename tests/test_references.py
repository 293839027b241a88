"""Who refers to a target: every kind of place, through every way that Python has of passing a name on."""

from __future__ import annotations

import json

import pytest

from lastcall import cli
from lastcall.errors import UsageError
from lastcall.references import definition_of, search, static_references
from live_files import LiveProcess

FACTORY = '''"""The old factory."""
class Manager:
    def __init__(self, mode=None, *, user=None): ...
    def old_send(self): ...
    @property
    def peer(self) -> "Manager": ...
class Sub(Manager): ...
def get_factory() -> Manager:
    return get_factory
async def open_manager() -> Manager: ...
Alias = Manager
__all__ = ["get_factory", "Alias"]
'''
TARGET = "chat.core.factory:get_factory"
CLASS = "chat.core.factory:Manager"
METHOD = "chat.core.factory:Manager.old_send"


def make(root, files):
    every = {"chat/__init__.py": "", "chat/core/__init__.py": "", "chat/core/factory.py": FACTORY, **files}
    for name, text in every.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def found(root, ref=TARGET, file=None):
    """(file, line, kind) of the certain references outside of the factory's own file."""
    return [(item.file, item.line, item.kind) for item in static_references(root, [ref])
            if item.certain and (item.file == file if file else item.file != "chat/core/factory.py")]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from chat.core.factory import get_factory\nget_factory()", [(1, "import"), (2, "call")]),
        ("from chat.core.factory import get_factory as g\ng()", [(1, "import"), (2, "call")]),
        ("from .core.factory import get_factory\nx = [get_factory]", [(1, "import"), (2, "access")]),
        ("from .core import factory as f\nf.get_factory()", [(2, "call")]),
        ("import chat.core.factory\nchat.core.factory.get_factory()", [(2, "call")]),
        ("import chat.core.factory as f\ny = f.get_factory", [(2, "re-export")]),
        ("def use():\n    from chat.core.factory import get_factory\n    return get_factory()", [(2, "import"), (3, "call")]),
        ("from chat.core.factory import *\nget_factory()", [(1, "re-export"), (2, "call")]),
        ("from chat.core.factory import get_factory", [(1, "re-export")]),
        ("from chat.core.factory import get_factory\n__all__ = ['get_factory']\nget_factory()", [(1, "re-export"), (2, "all"), (3, "call")]),
        ("import chat.core.factory as f\ngetattr(f, 'get_factory')()", [(2, "access")]),
        ("X = 'chat.core.factory:get_factory'", [(1, "string")]),
        ("X = 'chat.core.factory.get_factory'", [(1, "string")]),
        ("'''See chat.core.factory.get_factory.'''", [(1, "docs")]),
        ("from unittest import mock\n@mock.patch('chat.core.factory.get_factory')\ndef f(m): ...", [(2, "patch")]),
        ("from unittest.mock import patch\nimport chat.core.factory as f\npatch.object(f, 'get_factory')", [(3, "patch")]),
        ("def t(monkeypatch):\n    monkeypatch.setattr('chat.core.factory.get_factory', 1)", [(2, "patch")]),
        ("from chat.core.factory import get_factory\n@get_factory\ndef f(): ...", [(1, "import"), (2, "decorator")]),
        ("from chat.core.factory import get_factory\ng = h = get_factory\ng()", [(1, "import"), (2, "re-export"), (3, "call")]),
        ("from chat.core.factory import get_factory\ndef f(make=get_factory): make()", [(1, "import"), (2, "access")]),
        ("from chat.core.factory import get_factory\nf = lambda: get_factory()", [(1, "import"), (2, "call")]),
        ("from chat.core.factory import get_factory\nREGISTRY = {'x': get_factory}", [(1, "import"), (2, "access")]),
    ],
)
def test_every_way_to_refer_to_a_function_is_found(tmp_path, source, expected):
    make(tmp_path, {"chat/use.py": source})
    assert found(tmp_path) == [("chat/use.py", line, kind) for line, kind in expected]


@pytest.mark.parametrize(
    "source",
    [
        "def get_factory(): ...\nget_factory()",
        "from other.factory import get_factory\nget_factory()",
        "from chat.core.factory import get_factory_two\nget_factory_two()",
        "def f(get_factory):\n    get_factory()",
        "for get_factory in range(3): print(get_factory)",
        "x = [get_factory for get_factory in y]",
        "# get_factory\ny = 'get_factory is here'",
        "class C:\n    def get_factory(self): ...\n    def use(self):\n        self.get_factory()",
    ],
)
def test_another_thing_of_the_same_name_is_not_taken_for_it(tmp_path, source):
    make(tmp_path, {"chat/use.py": source})
    assert found(tmp_path) == []


def test_chains_of_re_exports_under_new_names_are_followed(tmp_path):
    make(tmp_path, {
        "chat/core/__init__.py": "from .factory import get_factory\n",
        "chat/canonical.py": "from chat.core import get_factory as make_it\n",
        "chat/api.py": "from chat import canonical\nfrom chat.canonical import make_it as build\n",
        "chat/use.py": "from chat import api\nimport chat.api as other\n\ndef f():\n    return api.build(), other.canonical.make_it()\n",
    })
    assert found(tmp_path) == [
        ("chat/api.py", 2, "re-export"),
        ("chat/canonical.py", 1, "re-export"),
        ("chat/core/__init__.py", 1, "re-export"),
        ("chat/use.py", 5, "call"),
        ("chat/use.py", 5, "call"),
    ]


def test_stars_hand_names_on_through_packages(tmp_path):
    make(tmp_path, {
        "chat/core/__init__.py": "from .factory import *\n",
        "chat/__init__.py": "from chat.core import *\n",
        "chat/use.py": "import chat\nchat.get_factory()\nchat.Sub\n",
    })
    assert found(tmp_path) == [("chat/__init__.py", 1, "re-export"), ("chat/core/__init__.py", 1, "re-export"), ("chat/use.py", 2, "call")]
    assert found(tmp_path, "chat.core.factory:Sub") == []  # not in __all__, so the stars leave it behind


def test_circles_of_imports_end(tmp_path):
    make(tmp_path, {"chat/a.py": "from chat.b import get_factory\n", "chat/b.py": "from chat.a import get_factory\n",
                    "chat/c.py": "from chat.c import *\nfrom chat.d import *\nget_factory()", "chat/d.py": "from chat.c import *\n"})
    assert found(tmp_path) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from chat.core.factory import Manager\nm = Manager()", [(1, "import"), (2, "call")]),
        ("from chat.core.factory import Alias\nm = Alias()", [(1, "import"), (2, "call")]),
        ("from chat.core.factory import Manager\nclass M(Manager): ...", [(1, "import"), (2, "subclass")]),
        ("from chat.core.factory import Manager\ndef f(m: Manager | None) -> 'list[Manager]': ...", [(1, "import"), (2, "annotation"), (2, "annotation")]),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from chat.core.factory import Manager\nx: 'Manager'", [(3, "import"), (4, "annotation")]),
        ("import chat.core.factory as f\nx: 'f.Manager'\ndef g(m: 'list[f.Manager]') -> \"dict[str, 'f.Manager']\": ...", [(2, "annotation"), (3, "annotation"), (3, "annotation")]),
        ("import chat.core.factory as f\ntry: ...\nexcept f.Manager: ...", [(3, "access")]),
        ("import chat.core.factory as f\nf.Manager.old_send(1)", [(2, "access")]),
    ],
)
def test_every_way_to_refer_to_a_class_is_found(tmp_path, source, expected):
    make(tmp_path, {"chat/use.py": source})
    assert found(tmp_path, CLASS) == [("chat/use.py", line, kind) for line, kind in expected]


@pytest.mark.parametrize(
    "source",
    [
        "from chat.core.factory import Manager\nManager().old_send()",
        "from chat.core.factory import Sub\nSub().old_send()",
        "from chat.core.factory import Manager\ndef f(m: 'Manager'): m.old_send()",
        "from chat.core.factory import Manager\ndef f(m: Manager | None = None): m.old_send()",
        "from chat.core.factory import get_factory\nm = get_factory(); m.old_send()",
        "from chat.core.factory import open_manager\nasync def f(): m = await open_manager(); m.old_send()",
        "from chat.core.factory import Manager\nclass C(Manager): go = lambda self: Manager.old_send(self)",
        "from chat.core.factory import Manager\nm = Manager().peer; m.old_send()",
    ],
)
def test_a_method_is_found_on_objects_of_known_type(tmp_path, source):
    make(tmp_path, {"chat/use.py": source})
    assert found(tmp_path, METHOD) == [("chat/use.py", 2, "call")]


def test_a_method_is_found_on_self_and_on_attributes_of_self(tmp_path):
    make(tmp_path, {"chat/use.py": "from chat.core.factory import Manager, Sub\nclass C(Sub):\n    def __init__(self):\n        self.m = Manager()\n"
                                   "    def go(self):\n        self.old_send()\n        self.m.old_send()\n"})
    assert [line for _, line, _ in found(tmp_path, METHOD)] == [6, 7]


@pytest.mark.parametrize("decorator", ["property", "reify"])
def test_what_holds_the_value_that_a_property_gave_does_not_refer_to_the_property(tmp_path, decorator):
    request = f"class Request:\n    @{decorator}\n    def keep_alive(self): ...\n"
    response = (
        "from chat.request import Request\n"
        "class Response:\n"
        "    def __init__(self):\n"
        "        self._keep_alive = None\n"
        "    def close(self):\n"
        "        self._keep_alive = False\n"
        "    def prepare(self, request: Request):\n"
        "        keep_alive = self._keep_alive\n"
        "        if keep_alive is None:\n"
        "            keep_alive = request.keep_alive\n"
        "        self._keep_alive = keep_alive\n"
    )
    make(tmp_path, {"chat/request.py": request, "chat/response.py": response})
    places = static_references(tmp_path, ["chat.request:Request.keep_alive"])
    assert [(item.file, item.line, item.certain) for item in places] == [("chat/response.py", 10, True)]


def test_a_method_of_an_unknown_object_is_only_possible_and_of_a_known_other_is_not(tmp_path):
    make(tmp_path, {"chat/use.py": "def f(x):\n    x.old_send()\n    [].old_send()\n    return Other().old_send()\n\nclass Other:\n    def old_send(self): ...\n"})
    (item,) = [item for item in static_references(tmp_path, [METHOD]) if item.file == "chat/use.py"]
    assert (item.line, item.kind, item.certain, item.breaks) == (2, "call", False, False)


@pytest.mark.parametrize(
    ("call", "certain"),
    [("Manager(mode=1)", True), ("Manager(1)", True), ("Manager(user=2)", None), ("Manager(**kw)", False), ("Manager()", None)],
)
def test_an_argument_is_referred_to_where_it_is_passed(tmp_path, call, certain):
    make(tmp_path, {"chat/use.py": f"from chat.core.factory import Manager\n{call}\n"})
    items = [item for item in static_references(tmp_path, ["chat.core.factory:Manager.__init__(mode=)"]) if item.file == "chat/use.py"]
    assert [(item.line, item.certain) for item in items] == ([] if certain is None else [(2, certain)])


def test_a_module_is_referred_to_by_importing_it_or_from_it(tmp_path):
    make(tmp_path, {"chat/use.py": "import chat.core.factory\nfrom chat.core import factory\nfrom chat.core.factory import Sub\nimport importlib\n"
                                   "importlib.import_module('chat.core.factory')\n"})
    assert [(line, kind) for _, line, kind in found(tmp_path, "chat.core.factory")] == [(1, "import"), (2, "re-export"), (3, "import"), (5, "import")]


def test_entry_points_and_other_configuration_are_read(tmp_path):
    make(tmp_path, {
        "pyproject.toml": '[project.scripts]\nx = "chat.core.factory:get_factory"\n[[tool.lastcall.target]]\nref = "chat.core.factory:get_factory"\n',
        "setup.cfg": "[options.entry_points]\nconsole_scripts =\n    x = chat.core.factory:get_factory\n",
        "setup.py": "setup(entry_points={'x': ['y = chat.core.factory:get_factory']})\n",
        "Procfile": "web: run chat.core.factory:get_factory\n",
        "lastcall.toml": '[[target]]\nref = "chat.core.factory:get_factory"\n',
    })
    assert found(tmp_path) == [("Procfile", 1, "string"), ("pyproject.toml", 2, "entry-point"), ("setup.cfg", 3, "entry-point"), ("setup.py", 1, "entry-point")]


def test_the_definition_and_what_lies_in_it_are_no_references(tmp_path):
    make(tmp_path, {})
    items = static_references(tmp_path, [TARGET])
    assert [(item.file, item.line, item.kind) for item in items] == [("chat/core/factory.py", 12, "all")]
    definition = definition_of(TARGET, tmp_path)
    assert (definition.file, definition.line, definition.end_line, definition.how) == ("chat/core/factory.py", 8, 9, "def")
    assert definition_of(METHOD, tmp_path).line == 4
    assert definition_of("chat.core.factory", tmp_path).how == "module"
    assert definition_of("chat.core.factory:nothing", tmp_path) is None


def test_each_reference_says_where_it_is(tmp_path):
    make(tmp_path, {"chat/use.py": "from chat.core.factory import get_factory as g\n\nclass C:\n    def m(self):\n        return g()\n", "tests/test_it.py": "from chat.use import g\ng()\n"})
    items = {(item.file, item.kind): item for item in static_references(tmp_path, [TARGET])}
    call = items["chat/use.py", "call"]
    assert (call.module, call.function, call.expression, call.column, call.test, call.breaks) == ("chat.use", "C.m", "g", 15, False, True)
    assert items["tests/test_it.py", "call"].test
    exported = items["chat/use.py", "re-export"]  # because the test takes it from there
    assert (exported.name, exported.expression) == ("g", "from chat.core.factory import get_factory as g")


def test_a_guarded_import_does_not_break(tmp_path):
    make(tmp_path, {"chat/use.py": "try:\n    from chat.core.factory import get_factory\nexcept ImportError:\n    get_factory = None\n"})
    (item,) = [item for item in static_references(tmp_path, [TARGET]) if item.file == "chat/use.py"]
    assert item.note == "may be missing: ImportError is caught"
    assert not item.breaks


def test_files_that_cannot_be_parsed_are_searched_as_text(tmp_path):
    make(tmp_path, {"chat/two.py": "from chat.core.factory import get_factory\nprint get_factory()\n"})
    result = search(tmp_path, [TARGET])
    texts = [(item.file, item.line, item.kind, item.certain) for item in result.references if item.kind == "text"]
    assert texts == [("chat/two.py", 1, "text", False), ("chat/two.py", 2, "text", False)]
    assert [item.file for item in result.skipped] == ["chat/two.py"]


def test_a_target_of_another_package_is_found_by_its_names(tmp_path):
    make(tmp_path, {"chat/use.py": "from pydantic import BaseModel\nclass M(BaseModel): ...\nM().dict()\nBaseModel.parse_obj({})\n"})
    items = [item for item in static_references(tmp_path, ["pydantic.main:BaseModel.dict"]) if item.file == "chat/use.py"]
    assert [(item.line, item.kind) for item in items] == [(3, "call")]


def test_many_targets_are_searched_at_once_and_give_what_each_gives_alone(tmp_path):
    make(tmp_path, {"chat/use.py": "from chat.core.factory import get_factory, Manager\nget_factory()\nManager().old_send()\n"})
    refs = [TARGET, CLASS, METHOD, *(f"chat.core.factory:other_{number}" for number in range(40))]
    together = static_references(tmp_path, refs)
    alone = [item for ref in refs for item in static_references(tmp_path, [ref])]
    assert sorted(together, key=str) == sorted(alone, key=str)


@pytest.mark.parametrize("ref", ["chat.**:get_*", "not a ref", ""])
def test_a_bad_reference_is_a_usage_error(tmp_path, ref):
    make(tmp_path, {})
    with pytest.raises(UsageError):
        static_references(tmp_path, [ref])


def lastcall(capsys, *arguments):
    with pytest.raises(SystemExit) as done:
        cli.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return done.value.code, out, err


@pytest.fixture
def project(tmp_path, monkeypatch):
    make(tmp_path, {"chat/use.py": "from chat.core.factory import get_factory\n\ndef used():\n    get_factory()\n\ndef idle():\n    get_factory()\n"})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("LASTCALL_STORE", raising=False)
    return tmp_path


def test_the_command_joins_with_what_ran(project, capsys):
    store = project / "store.db"
    process = LiveProcess(store, root=str(project)).target(TARGET).state(TARGET)
    process.site(0, TARGET, file=str(project / "chat" / "use.py"), line=4, function="used").count(0, 7).close()
    code, out, _ = lastcall(capsys, "references", TARGET, "--store", store, "--format", "json")
    assert code == 0
    (target,) = json.loads(out)["targets"]
    assert target["defined"] == {"file": "chat/core/factory.py", "line": 8, "end_line": 9, "how": "def"}
    assert [item["uses"] for item in target["references"] if item["kind"] == "call"] == [7, 0]
    _, out, _ = lastcall(capsys, "references", TARGET, "--store", store)
    assert "get_factory  [7 uses seen from here]" in out
    assert "get_factory  [referenced here, never seen to run]" in out
    assert "would break if it were removed" in out


def test_what_was_written_by_us_refers_to_nothing(project, capsys):
    store = project / "store.db"
    LiveProcess(store, root=str(project)).target(TARGET).state(TARGET).site(0, TARGET).count(0, 7).close()
    (project / "lastcall.toml").write_text(f"[[target]]\nref = '{TARGET}'\n")
    for name, arguments in {"certificate": ["certificate", TARGET], "report": ["report", "--format", "json"],
                            "check": ["check", "--format", "json"], "sarif": ["check", "--format", "sarif"]}.items():
        _, out, _ = lastcall(capsys, *arguments, "--store", store)
        assert TARGET in out
        (project / f"{name}.json").write_text(out)
    for name in ("report", "check"):
        _, out, _ = lastcall(capsys, name, "--store", store)
        assert TARGET in out
        (project / f"{name}.txt").write_text(out)
    (project / "entry.json").write_text(f'{{"schema": 1, "factory": "{TARGET}"}}')
    _, out, _ = lastcall(capsys, "references", TARGET, "--store", store, "--format", "json")
    files = {item["file"] for target in json.loads(out)["targets"] for item in target["references"]}
    assert {file for file in files if file.endswith((".json", ".txt"))} == {"entry.json"}


def test_a_function_that_is_only_handed_on_is_not_said_never_to_run(project, capsys):
    (project / "chat" / "hands.py").write_text(
        "from chat.core.factory import get_factory\n\ndef f(make):\n    return make()\n\nf(get_factory)\n"
    )
    store = project / "store.db"
    LiveProcess(store, root=str(project)).target(TARGET).state(TARGET).close()
    _, out, _ = lastcall(capsys, "references", TARGET, "--store", store)
    handed = out.splitlines()[next(n for n, line in enumerate(out.splitlines()) if "chat/hands.py:6" in line) + 1]
    assert handed.strip() == "get_factory"


TWO_CALLS = """from chat.core.factory import get_factory

def f(flag):
    get_factory()
    if flag:
        get_factory()

def g(m):
    return (m
        .get_factory())
"""


@pytest.mark.parametrize(
    ("seen", "state", "uses"),
    [
        ([("f", 4, 7)], "armed", [7, 0, 0]),  # another line of the same function ran: this one did not
        ([("f", 40, 7)], "armed", [7, 7, 0]),  # the source has changed since
        ([("f.<locals>.<listcomp>", 40, 7)], "armed", [7, 7, 0]),
        ([("g", 10, 2)], "armed", [0, 0, 2]),  # a traceback has the line of the name
        ([], "pending", [0, 0, 0]),
        ([], "failed", [None, None, None]),  # nothing could be seen
    ],
)
def test_uses_are_those_of_the_line_or_of_a_function_whose_lines_have_moved(project, capsys, seen, state, uses):
    (project / "chat" / "use.py").write_text(TWO_CALLS)
    store = project / "store.db"
    process = LiveProcess(store, root=str(project)).target(TARGET).state(TARGET, state)
    for slot, (function, line, count) in enumerate(seen):
        process.site(slot, TARGET, file=str(project / "chat" / "use.py"), line=line, function=function).count(slot, count)
    process.close()
    _, out, _ = lastcall(capsys, "references", TARGET, "--store", store, "--format", "json")
    assert [item["uses"] for item in json.loads(out)["targets"][0]["references"] if item["kind"] == "call"] == uses
    _, out, _ = lastcall(capsys, "references", TARGET, "--store", store)
    assert ("its module was not loaded" in out) == (state == "pending")


def test_the_command_speaks_sarif(project, capsys):
    _, out, _ = lastcall(capsys, "references", TARGET, "--format", "sarif")
    results = json.loads(out)["runs"][0]["results"]
    places = [item["locations"][0]["physicalLocation"] for item in results if item["ruleId"] == "reference-call"]
    assert [(place["artifactLocation"]["uri"], place["region"]["startLine"]) for place in places] == [("chat/use.py", 4), ("chat/use.py", 7)]


@pytest.mark.parametrize(
    ("ref", "words"),
    [
        ("chat.core.factory:get_factry", "did you mean chat.core.factory:get_factory"),
        ("chat.core.factry:get_factory", "did you mean chat.core.factory"),
        ("chat.core.factory:get_*", "wildcards name no single definition"),
        ("no ref", "is not of the form"),
    ],
)
def test_an_unknown_name_is_one_sentence_and_exit_code_3(project, capsys, ref, words):
    code, _, err = lastcall(capsys, "references", ref)
    assert code == 3
    assert words in err
    assert len(err.strip().splitlines()) == 1


def test_names_given_together_and_names_that_strings_hold_in_part_are_followed(tmp_path):
    """`__getattr__, __dir__ = attach(...)` of a lazy package, `app.Model` of Django, what `attrgetter` is told."""
    pair = "import chat.core.factory as f\nA, [Alias, *_], c = 1, *rest\nAlias, (b, c) = f.get_factory, (2, f.Manager)\n"
    use = """from operator import attrgetter, methodcaller
import django.db as db
from chat.lazy import get_factory
from chat.pair import Alias, b, c
Alias()
b()
c().old_send()
owner = db.ForeignKey("chat.Manager", to_field="chat.other.Manager")
attrgetter("size", "factory.get_factory.name")
methodcaller("old_send", "get_factory")
"chat.Manager is old"
"chat.Manager.old_send", "chat.factory.old_send"
"""
    lazy = "import lazy_loader\n__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)\n"
    make(tmp_path, {"chat/pair.py": pair, "chat/lazy.py": lazy, "use.py": use, "chat/factory/old_send.py": ""})
    places = {
        ref: [(item.line, item.kind, item.certain) for item in static_references(tmp_path, [ref]) if item.file == "use.py"]
        for ref in (TARGET, CLASS, METHOD)
    }
    assert places[TARGET] == [
        (3, "re-export", False), (4, "import", True), (5, "call", True), (9, "access", False), (10, "string", False),
    ]  # fmt: skip
    assert places[CLASS] == [(4, "import", True), (7, "call", True), (8, "string", False)]
    assert places[METHOD] == [(7, "call", True), (10, "access", False), (12, "string", False)]


@pytest.mark.parametrize("copy", ["build/lib", "vendor", "zeta"])
def test_another_file_of_a_modules_name_hides_no_use(tmp_path, copy):
    """A second service with an `app` of its own, an old copy of this one: either may be the one that is imported."""
    files = {
        "app/__init__.py": "from .legacy import *\nfrom .legacy import old as vintage\n",
        "app/legacy.py": "def old(): ...\nclass K:\n    def go(self): ...\n",
        "run.py": "import app\nfrom app import old as v, vintage\nv()\nvintage()\napp.K().go()\n",
        f"{copy}/setup.py": "",
        f"{copy}/app/__init__.py": "from .legacy import x\nclass vintage: ...\n",
        f"{copy}/app/legacy.py": "\n\ndef x():\n    old()\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    uses = search(tmp_path, ["app.legacy:old", "app.legacy:K.go"])
    at = {(item.target[11:], item.line, item.kind) for item in uses.references if item.file == "run.py"}
    assert at == {("old", 2, "import"), ("old", 3, "call"), ("old", 4, "call"), ("K.go", 5, "call")}
    assert {one.file for one in uses.definitions.values()} == {"app/legacy.py"}


def test_a_comment_of_cythons_refers_to_nothing(tmp_path):
    text = '# get_factory was here\ncdef int x = <int>y  # not get_factory\ncdef extern from *:\n    """\n    #define get_factory\n    """\n'
    make(tmp_path, {"chat/fast.pyx": text, "chat/odd.pyx": "cdef x = ?'  # get_factory\nx = '''\n"})
    assert [(item.file, item.line) for item in static_references(tmp_path, [TARGET]) if item.kind == "text"] == [
        ("chat/fast.pyx", 5),
        ("chat/odd.pyx", 1),
    ]


def test_a_module_that_is_called_tests_is_one_if_it_holds_tests(tmp_path):
    use = "from chat.core.factory import get_factory\n"
    files = {"lab/tests.py": use, "shop/tests.py": "from django.test import TestCase\nclass UseTest(TestCase): ...\n" + use}
    make(tmp_path, files)
    tests = {item.file: item.test for item in static_references(tmp_path, [TARGET]) if item.file in files}
    assert tests == {"lab/tests.py": False, "shop/tests.py": True}
