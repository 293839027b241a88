"""Source read as tokens says the same as Python's parser, which the agent must not use in its host's process."""

from __future__ import annotations

import ast
import gc
import sysconfig
from collections import Counter
from pathlib import Path

import pytest

from lastcall import expressions, source_index
from lastcall.source_tokens import imports, spelled, statements, tokens_of
from worlds import World

LIBRARY = Path(sysconfig.get_path("stdlib"))
MODULES = ["argparse", "asyncio/base_events", "configparser", "contextlib", "difflib", "doctest", "email/message",
           "enum", "functools", "inspect", "json/decoder", "locale", "logging/__init__", "optparse", "pathlib",
           "pickle", "shutil", "statistics", "subprocess", "tarfile", "threading", "typing", "unittest/mock", "zipfile"]


def rendered(node: ast.AST) -> str:
    """What the parser's tree says that `Spelled.text` is to be."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{rendered(node.value) or '...'}.{node.attr}"
    if isinstance(node, ast.Call):
        return f"{rendered(node.func)}()"
    if isinstance(node, ast.Subscript):
        return f"{rendered(node.value)}[...]"
    return rendered(node.value) if isinstance(node, ast.Await) else ""


def calls_by_parser(tree: ast.AST) -> Counter[tuple[str, int, int | None]]:
    patterns = {id(part) for node in ast.walk(tree) if isinstance(node, getattr(ast, "MatchClass", ())) for part in ast.walk(node)}
    return Counter((rendered(node.func), node.lineno, node.func.end_lineno)
                   for node in ast.walk(tree) if isinstance(node, ast.Call) and id(node) not in patterns)


@pytest.mark.parametrize("module", [name for name in MODULES if (LIBRARY / f"{name}.py").exists()])
def test_calls_and_imports_are_those_of_the_parser(module):
    source = (LIBRARY / f"{module}.py").read_bytes()
    tree = ast.parse(source)
    expected = calls_by_parser(tree)
    found = Counter((one.text, one.first, one.last) for one in spelled([*tokens_of(source)]) if one.kind == "call")
    assert sum(expected.values()) > 20
    # a class pattern (`case Point():`) looks like a call: the parser alone knows
    assert not expected - found
    assert sum((found - expected).values()) <= sum(isinstance(n, getattr(ast, "Match", ())) for n in ast.walk(tree)) * 20
    names = Counter((alias.asname or alias.name.partition(".")[0], alias.lineno) for node in ast.walk(tree)
                    if isinstance(node, (ast.Import, ast.ImportFrom)) for alias in node.names if alias.name != "*")
    assert Counter((one.bound, one.line) for _, line in statements(tokens_of(source)) for one in imports(line)) == names


@pytest.mark.parametrize("module", [name for name in MODULES if (LIBRARY / f"{name}.py").exists()])
def test_definitions_are_where_the_parser_says(module):
    path = LIBRARY / f"{module}.py"

    def visit(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                expected.setdefault(prefix + node.name, set()).add(node.lineno)
                if not node.decorator_list:
                    assert expressions.definition_line(str(path), prefix + node.name, node.lineno) == node.lineno
                if isinstance(node, ast.ClassDef):
                    visit(node.body, f"{prefix}{node.name}.")
            else:
                parts = [node, *getattr(node, "handlers", []), *getattr(node, "cases", [])]
                for part in parts:
                    for name in ("body", "orelse", "finalbody"):
                        inner = getattr(part, name, [])
                        visit(inner if isinstance(inner, list) else [], prefix)

    expected: dict[str, set[int]] = {}
    visit(ast.parse(path.read_bytes()).body, "")
    assert expected
    for qualname, lines in expected.items():
        assert expressions.definition_line(str(path), qualname, 0) in lines, qualname
        for line in lines:
            assert expressions.definition_line(str(path), qualname, line) in lines, qualname


@pytest.mark.parametrize(
    ("source", "near", "line"),
    [
        ("@mark\ndef f(): pass\n", 1, 2),
        ("if a:\n    def f(): pass\nelse:\n    def f(): pass\n", 2, 2),  # what ran, the code knows; the file does not
        ("async def f(): pass\n", 1, 1),
        ("class f[T]: pass\n", 1, 1),
        ("def ff(): pass\ndef f(): pass\n", 1, 2),
        ("f = g\n", 1, 1),
        ("f = g\n", 7, 1),
        ("", 1, 0),
    ],
)
def test_where_a_definition_is_known_to_be_near(tmp_path, source, near, line):
    path = tmp_path / "module.py"
    path.write_text(source)
    assert expressions.definition_line(str(path), "f", near) == line


@pytest.mark.parametrize("module", [name for name in MODULES if (LIBRARY / f"{name}.py").exists()])
def test_a_look_at_the_line_says_what_the_tokens_say(module):
    source = (LIBRARY / f"{module}.py").read_bytes()
    lines, seen = source.splitlines(), 0
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Call, ast.Attribute, ast.Name)) and node.lineno == node.end_lineno:
            piece = lines[node.lineno - 1][node.col_offset : node.end_col_offset]
            quick = expressions._plain(piece)
            seen += bool(quick)
            assert quick in ("", source_index.of_piece(piece, "name")), piece
    assert seen > 10


def test_a_def_that_stands_where_its_code_says_costs_no_reading_of_the_file(tmp_path, monkeypatch):
    path = tmp_path / "legacy.py"
    path.write_text("class Old:\n    async def old(self): pass\n\n@print\ndef decorated(): pass\n\nmade = lambda: 1\n")
    monkeypatch.setattr(source_index, "definitions", lambda _: {"decorated": 5})
    assert expressions.definition_line(str(path), "Old.old", 2) == 2
    assert expressions.definition_line(str(path), "Old", 1) == 1
    assert expressions.definition_line(str(path), "decorated", 4) == 5, "its code begins with its decorator"
    assert expressions.definition_line(str(path), "made", 7) == 7
    assert expressions.definition_line(str(path), "old", 99) == 0


def test_the_targets_of_more_files_than_are_kept_are_looked_up_once_however_many_processes_name_them(tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(source_index, "definitions", lambda file: read.append(file) or {"Old": 1})
    files = [str(tmp_path / f"legacy{number}.py") for number in range(600)]
    for _ in range(18):
        assert {expressions.definition_line(file, "Old", 0) for file in files} == {1}
    assert len(read) == len(files)


def test_what_a_file_defines_and_what_it_imports_is_read_at_one_go(tmp_path, monkeypatch):
    path = tmp_path / "legacy.py"
    path.write_text("import json\n\n@print\ndef old(): pass\n")
    read = []
    monkeypatch.setattr(source_index, "tokens_of", lambda source: read.append(source) or tokens_of(source))
    assert expressions.definition_line(str(path), "old", 3) == 4
    for number in range(8):
        expressions.binding_line(str(tmp_path / f"other{number}.py"), "old")
    read.clear()
    assert expressions.binding_line(str(path), "json") == 1
    assert not read


@pytest.mark.parametrize("read", [source_index.bindings, source_index.definitions, source_index._uses_by_line])
def test_reading_a_long_file_does_not_make_python_look_for_garbage(tmp_path, read):
    """It would do so in our thread, and run the host's finalizers there."""
    path = tmp_path / "legacy.py"
    path.write_text("".join(f"value{number} = [old(a, b), {{1: 2}}]\n" for number in range(1000)))
    looks = []
    look = lambda phase, _: looks.append(phase)  # noqa: E731
    read(str(tmp_path / "first.py"))
    gc.collect()
    gc.callbacks.append(look)
    try:
        assert read(str(path)) is not None
    finally:
        gc.callbacks.remove(look)
    assert len(looks) <= 2 * 8, "with all tokens in memory at once it looked 27 times"


@pytest.mark.parametrize(
    ("source", "name", "line"),
    [
        ("if x:\n    from a import (\n        b,\n        c as d,\n    )\n", "d", 4),
        ("import a.b.c\n", "a", 1),
        ("try:\n    import json\nexcept ImportError:\n    json = None\n", "json", 2),
        ("first, (second, *rest) = f(x=1)\n", "rest", 1),
        ("a = b = c(d=e)\n", "b", 1),
        ("a = b = c(d=e)\n", "d", 0),
        ("x.y = 1\nx[z] = 2\n", "x", 0),
        ("value: dict[str, int] = {}\n", "value", 1),
        ("value: Kind\n", "Kind", 0),
        ("with open(p) as file, lock: pass\n", "file", 1),
        ("for key, value in items: total += value\n", "value", 1),
        ("if (n := len(a)) > 3: pass\n", "n", 1),
        ("def f():\n    inner = 1\n    import late\n", "inner", 0),
        ("def f():\n    inner = 1\n    import late\n", "late", 3),
        ("class A:\n    inner = 1\n\nouter = 1\n", "outer", 4),
        ("a = 1; b = 2\n", "b", 1),
        ("if a == b: pass\n", "a", 0),
        ("def f():\n    from m import late\n\nfrom m import late\n", "late", 4),
        ("import os\nfrom m import *\n", "given", 2),
        ("from m import *\nfrom n import *\n", "given", 0),
        ("lazy import a.b\nlazy from m import (\n    c,\n    d as e,\n)\nlazy = 1\n", "a", 1),
        ("lazy import a.b\nlazy from m import (\n    c,\n    d as e,\n)\nlazy = 1\n", "e", 4),
        ("lazy import a.b\nlazy from m import (\n    c,\n    d as e,\n)\nlazy = 1\n", "lazy", 6),
    ],
)  # fmt: skip
def test_where_a_name_is_bound(tmp_path, source, name, line):
    path = tmp_path / "module.py"
    path.write_text(source)
    assert expressions.binding_line(str(path), name) == line


@pytest.mark.parametrize(
    ("piece", "name", "text"),
    [
        (b"a.b(c)", "b", "a.b"),
        (b"a.b(c)(d)", "b", "a.b()"),
        (b"table[key](x)", "f", "table[...]"),
        (b"(await a.b()).c(1)", "c", "a.b().c"),
        (b"'x'.join(y)", "join", "....join"),
        (b"a.b(\n  c,\n  d)", "b", "a.b"),
        (b"from m.n import a as b, c", "c", "c"),
        (b"from m.n import a", "m.n", "m.n"),
        (b"import m.n as o", "m.n", "m.n"),
        (b"a + b", "a", ""),
        (b"lambda: a()", "a", ""),
        (b"\xff\xfe", "f", ""),
        (b"", "f", ""),
    ],
)
def test_the_callee_of_a_piece(piece, name, text):
    lines = tuple(piece.split(b"\n"))
    assert expressions.at_position(lines, (1, 0, len(lines), len(lines[-1])), name) == text


@pytest.mark.parametrize("source", [b"(" * 5000, b"x = (\n", b"\x00", b"\xff", b"def f(:\n  (", b"'''", b"if x:\n\ty\n    z\n"])
def test_broken_source_is_read_as_far_as_it_goes(source):
    list(statements(tokens_of(source)))
    spelled([*tokens_of(source)])


def test_the_agent_parses_nothing_in_its_host(tmp_path):
    """Neither the parser nor its warnings: two threads in it can fail each other, and it repeats a file's warnings."""
    world = World(tmp_path, {"legacy.py": "def old(): pass\nclass Older:\n    def m(self): pass\n", "host.py": r"""
        import sys
        sys.addaudithook(lambda event, given: event == "compile" and print(given[1], flush=True))
        import legacy, waiting
        pattern = "\d"
        legacy.old(); [legacy.Older().m() for _ in range(3)]
        waiting.rounds()
        compile("1", "<control>", "eval")
        """}, ("legacy:old", "legacy:Older", "legacy:Older.m"))  # fmt: skip
    run = world.run("auto", LASTCALL_FLUSH_INTERVAL="0.1", PYTHONWARNINGS="ignore")
    assert "<control>" in run.out
    # our own modules are compiled from files where there is no bytecode of them
    assert "<unknown>" not in run.out
    spelled_so = {use.expression for use in run.uses()}
    assert spelled_so == {"legacy.old", "legacy.Older", "legacy.Older().m"}
