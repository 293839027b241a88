"""Every broad `except` of the agent's is a named seam: what fails behind it is counted and is never the host's problem,
and what says "stop" to the host (a signal handler's exception) gets through to it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from worlds import CHECKOUT, World

FILES = {
    "legacy.py": """
        import logging, warnings
        from warnings import warn

        def old(value=1):
            return value + 1

        class Old:
            def __init__(self):
                self.a = 1

            def method(self):
                return self.a

        class Base:
            def __init__(self):
                self.b = 2

        class Inherits(Base):
            pass

        def takes(mode=None):
            return mode

        class Made:
            pass

        def make(owner):
            return Made()

        def warns():
            warnings.warn("warns is deprecated", DeprecationWarning, stacklevel=2)

        def warns_of(text):
            warnings.warn(text, DeprecationWarning, stacklevel=2)

        def warns_oddly(*given):
            warnings.warn(*given)

        def warns_by_name():
            warn("warns_by_name is deprecated", DeprecationWarning, stacklevel=2)

        def warns_explicitly():
            warnings.warn_explicit("warns_explicitly is deprecated", DeprecationWarning, "f.py", 1)

        def logs():
            logging.getLogger("legacy").info("logs is deprecated")

        logging.getLogger("legacy").setLevel("INFO")
        logging.getLogger("legacy").addHandler(logging.NullHandler())
        logging.getLogger("legacy").propagate = False
        """,
    "lazy.py": "def old():\n    return 3\n",
    "wild.py": "def old():\n    return 4\n",
    "circle.py": "NAME = 5\nimport beside\n",
    "beside.py": "import circle\nnames = [circle.NAME for _ in range(3)]\n",
    "before.py": "def old():\n    return 7\n",
    "lastcall.toml": """
        [lastcall]
        impact = true
        exporters = ["store", "memory"]
        flush_interval = 0.02
        spans = "SPANS"
        span_budget = 60_000

        [[target]]
        ref = "legacy:make"
        isolation = { owner = "owner" }

        [[target]]
        ref = "legacy:gone"
        removed = true

        [[target]]
        ref = "left.behind:gone"
        removed = true

        [discover]
        warnings = ["DeprecationWarning"]
        logs = ["deprecated"]
        """,
    "script.py": """
        def in_main():
            return 6
        """,
    "host.py": """
        import importlib.util, os, sys, time, warnings

        warnings.simplefilter("ignore")

        def again():
            import legacy
            return [legacy.old(n) for n in range(3)], legacy.Old().method(), legacy.Inherits().b

        def arguments():
            import legacy
            return legacy.takes(mode=2), legacy.takes(*(3,)), type(legacy.make("me")).__name__

        def warned():
            import legacy
            for n in range(8):
                legacy.warns()
                legacy.warns_of(f"warns_of({n}) is deprecated")
                legacy.warns_oddly("warns_oddly is deprecated", DeprecationWarning)
                list(map(warnings.warn, ["mapped is deprecated"], [DeprecationWarning]))
                legacy.warns_by_name()
                legacy.warns_explicitly()
                legacy.logs()

        def gone():
            import legacy
            try:
                return legacy.gone
            except AttributeError as error:
                return str(error)

        def gone_module():
            try:
                import left.behind
            except ImportError as error:
                return str(error)

        def lazily():
            if "lazy" not in sys.modules:
                spec = importlib.util.find_spec("lazy")
                spec.loader = importlib.util.LazyLoader(spec.loader)
                module = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(module)
                sys.modules["lazy"] = module
            return sys.modules["lazy"].old()

        def wildly():
            import wild
            return wild.old()

        def in_a_circle():
            for name in ("circle", "beside"):
                sys.modules.pop(name, None)
            import circle
            return circle.beside.names, type(circle).__name__

        class Before:
            def find_spec(name, path=None, target=None):
                return importlib.machinery.PathFinder.find_spec(name, path) if name == "before" else None

        def behind():
            sys.meta_path.insert(0, Before)
            try:
                sys.modules.pop("sched", None)
                import sched, before
                return before.old()
            finally:
                sys.meta_path.remove(Before)

        def request():
            import legacy
            life = sys.modules["lastcall.bootstrap"].life() if "lastcall.bootstrap" in sys.modules else None
            sent = []

            def app(environ, start):
                legacy.old(5)
                start("500 no", [])
                return []

            if life is not None:
                app = life.agent().impact.wsgi(app)
            app({}, lambda status, headers: sent.append(status))
            return sent

        def sampled():
            import legacy
            for n in range(20):
                time.sleep(0.02)
                legacy.old(n)

        def forks():
            import legacy
            child = os.fork()
            if not child:
                try:
                    legacy.old(1)
                finally:
                    os._exit(0)
            return os.waitpid(child, 0)[1]

        STEPS = (again, arguments, warned, gone, gone_module, lazily, wildly, in_a_circle, behind, request, sampled,
                 forks)
        """,
}
TARGETS = ("legacy:old", "legacy:Old", "legacy:Old.method", "legacy:Inherits", "legacy:takes(mode=)", "lazy:old",
           "wild:*", "circle:NAME", "before:old", "__main__:in_main")

MAIN = """
import runpy, signal, sys, _thread
import {module} as module

PROGRAM = '''
def broken(*args, **kwargs):
    frame, called_by = sys._getframe(1), [""]
    while frame is not None and len(called_by) < 9:
        called_by.append(frame.f_code.co_name)
        frame = frame.f_back
    if {behind!r} in called_by:
        {instead}
    return real(*args, **kwargs)
'''
hits = []
to_come = []
owner = module{owner}
assert callable(owner.{name}), "else nothing is broken"

class Alarm({error}):
    pass

def handler(number, frame):
    hits.append(number)
    raise Alarm

signal.signal(signal.SIGALRM, handler)
names = {{"__name__": module.__name__, "sys": sys, "real": owner.{name}, "to_come": to_come,
         "signal": signal, "get_ident": _thread.get_ident, "main": _thread.get_ident()}}
exec(compile(PROGRAM, module.__file__, "exec"), names)
setattr(owner, "{name}", names["broken"])
import host
"""

BREAKING = """
for step in host.STEPS:
    print(step.__name__, step())
print(runpy.run_path("script.py", run_name="__main__")["in_main"]())
"""

INTERRUPTING = """
def script():
    return runpy.run_path("script.py", run_name="__main__")["in_main"]()

caught = 0
for step in (*host.STEPS[:-1], script) * 2:  # at a fork Python itself swallows it
    to_come.append(signal.SIGALRM)
    try:
        step()
    except Alarm:
        caught += 1
    to_come.clear()
    print(step.__name__, step())
print(f"caught {caught} of {len(hits)}")
"""


@dataclass(frozen=True)
class Seam:
    """A broad `except` and what is called behind it: `owner.name` in `module`."""

    place: str
    """The module and function in which it stands."""
    module: str
    owner: str
    name: str
    slug: str = ""
    """Under which it is counted."""
    behind: str = ""
    """The function through which it is called there, if it is through others, too."""
    error: str = ""
    """What is raised there, if not any."""
    spans: str = "sampled"
    in_host: bool = True
    """Whether it is met in a thread of the host's, outside of forks and of the end."""
    in_c: bool = True
    """Whether wrapt is to have its C extension."""
    since: tuple[int, int] = (3, 10)
    until: tuple[int, int] = (3, 99)
    heard_since: tuple[int, int] = (3, 10)
    """The first Python that does not swallow itself what is raised there."""

    def __str__(self) -> str:
        return f"{self.place}-{self.name}"


SEAMS = (
    Seam("bootstrap:Life._loop", "bootstrap", ".Life", "_is_to_end", "thread", "_loop", in_host=False),
    Seam("bootstrap:Life.before_fork", "forks", "", "absent_locks", "fork", in_host=False),
    Seam("bootstrap:Life.after_fork_in_child", "forks", "", "left_importing", in_host=False),
    Seam("bootstrap:Life.after_fork_in_parent", "bootstrap", ".Life", "start_thread", "fork", "after_fork_in_parent",
         in_host=False, until=(3, 11)),
    Seam("bootstrap:Life.after_fork_in_parent", "soon", "", "at_next_instruction", "fork", in_host=False, since=(3, 12)),
    Seam("bootstrap:Life.exit", "agent", ".Agent", "keep_exports", in_host=False),
    Seam("bootstrap:Life.exit", "bootstrap", "", "_tidy", in_host=False),
    Seam("agent:Agent.flush", "latecomers", ".Latecomers", "look_again", "flush", in_host=False),
    Seam("agent:Agent.flush", "pipeline", ".Pipeline", "run", "pipeline", in_host=False),
    Seam("agent:Agent._write_spellings", "expressions", "", "spelling", "expression", in_host=False),
    Seam("agent:Agent.leave", "agent", ".Agent", "_modules_changed", "", "leave", in_host=False),
    Seam("importing:Finder.find_spec", "importing", ".Wanted", "__call__", "import-hook"),
    Seam("importing:Finder.find_spec", "importing", ".Finder", "_listen", "import-hook"),
    Seam("importing:Finder.find_spec", "patch", ".Patcher", "missed", "import-hook"),
    Seam("importing:Finder.hear_of_circle", "circular", ".Circle", "imported_by", "import-hook", heard_since=(3, 13)),
    Seam("importing:Finder.end_circle", "engines.names", "", "give_back", "import-hook"),
    Seam("circular:Circle._watch_reads.count_read", "circular", "", "_is_told_by_reads", "count"),
    Seam("importing:Finder.overheard", "importing", ".Wanted", "__call__", "import-hook", "overheard"),
    Seam("importing:Finder.overheard", "importing", ".Finder", "_listen", "import-hook", "overheard"),
    Seam("importing:Finder.report", "bootstrap", ".Life", "_heed_workers", "arming"),
    Seam("importing:Finder.report", "agent", "", "_spec_name", "arming"),
    Seam("patch:Patcher.arm", "patch", ".Patcher", "_arm_found", "arm"),
    Seam("mainscript:_Script.each_call", "mainscript", "._Script", "_look_up", "mainscript"),
    Seam("mainscript:_Script.each_line", "mainscript", "._Script", "_arm", "mainscript"),
    Seam("lazy_modules:watch.get_loader", "lazy_modules", "", "TellingLoader", "lazy-module"),
    Seam("recorder:Recorder._take", "recorder", ".Recorder", "_see_new", "first-sight"),
    Seam("sampling:Samples.trace_now", "callsite", "", "active_span", "active-span"),
    Seam("sampling:Samples._sampling.count_and_sample", "sampling", ".Samples", "_keep", "sample", "count_and_sample"),
    Seam("engines.ends:Ends._ended", "sampling", ".Samples", "finish", "sample-end", "_ended", since=(3, 12)),
    Seam("engines.inplace:Watcher.guarded", "logs_seen", ".LogsSeen", "_look", "watch"),
    Seam("engines.inplace:ByClass.guarded", "engines.inplace", "", "class_made", "count", "guarded", "OSError"),
    Seam("engines.parameters:_Watch.decide", "engines.parameters", "._Watch", "_read", "count"),
    Seam("engines.parameters:_Watch.look", "hotpath", "", "caller_behind_wrapt", "count", "look"),
    Seam("engines.around:_Around.count_and_go_on", "hotpath", "", "caller_behind_wrapt", "count", "count_and_go_on"),
    Seam("engines.around:_Around._enter", "isolation", ".Isolation", "enter", "advice"),
    Seam("engines.around:_Around._leave", "isolation", ".Isolation", "leave", "advice"),
    Seam("engines.around:_Around._enter", "current_span", ".CurrentSpan", "enter", "advice", spans="all"),
    Seam("engines.around:_Around._leave", "current_span", ".CurrentSpan", "leave", "advice", spans="all"),
    Seam("engines.removed:arm_name.ask", "recorder", ".Recorder", "record_at", "removed", "ask"),
    Seam("impact:Impact.ended", "agent", ".Agent", "finding_at", "impact", "ended"),
    Seam("warnings_seen:WarningsSeen._hook.hook", "warnings_seen", ".WarningsSeen", "words", "warning", "hook", "OSError",
         until=(3, 10)),
    Seam("warnings_seen:WarningsSeen._look_at", "warnings_seen", ".WarningsSeen", "_learn", "warning", "_look_at"),
    Seam("warnings_seen:WarningsSeen._with_frame", "warnings_seen", ".WarningsSeen", "count", "warning", "_with_frame",
         in_c=False),
    Seam("warning_reads:_read", "warnings_seen", ".WarningsSeen", "words", "warning", "_read", "OSError"),
    Seam("warning_reads:Reads._judge", "warning_outcomes", ".Outcome", "judge", "warning"),
    Seam("warning_reads:Reads._has_to_be_seen", "warning_calls", "", "dropped", "warning"),
    Seam("warning_reads:Reads._call_has_to_be_seen", "warning_calls", "", "is_dropped", "warning",
         "_call_has_to_be_seen"),
    Seam("warning_reads:looking_on.LooksOn.__new__", "warnings_seen", ".WarningsSeen", "count", "warning", "__new__"),
    Seam("warned_explicitly:arm.with_frame", "warned_explicitly", "", "_count", "warning"),
)
FREE_THREADED = "t" in sys.abiflags
ONLY_IN_C = ("warnings_seen:WarningsSeen._look_at", "warning_reads:_read", "warning_reads:Reads._call_has_to_be_seen",
             "warning_reads:Reads._judge")
"""What is not gone through where wrapt has no C extension, as on free-threaded builds."""
HERE = [
    seam for seam in SEAMS
    if seam.since <= sys.version_info[:2] <= seam.until and not (FREE_THREADED and seam.place in ONLY_IN_C)
]
ELSEWHERE = {
    "bootstrap:start_from_environment": "test_startup::test_a_failure_is_said_once_where_the_start_up_file_runs_twice",
    "cli:main": "test_cli::test_what_a_command_raises_becomes_a_sentence_and_an_exit_code",
    "commands.doctor:_exporters": "test_doctor::test_an_exporter_that_cannot_even_be_made_is_a_problem",
    "engines.prologue:_rewritten": "test_engines_prologue::test_what_the_library_cannot_rewrite_is_left_to_the_other_engine",
    "engines.wrapt_core:load": "test_wrapt_core::test_an_extension_that_does_not_load_alone_is_imported_with_all_of_wrapt",
    "errors:InternalErrors.swallows": "test_cli::test_an_error_that_cannot_be_shown_is_no_error",
    "exporters.otel_clients:Client.send": "test_otel::test_a_client_that_cannot_be_made_is_a_backend_that_is_not_there",
    "exporters.queueing:Outbox._attempt": "test_spool::test_whatever_a_client_library_raises_is_tried_again",
    "hotpath:_make_hook.hook": "test_recorder::test_a_count_that_cannot_be_stored_is_no_failure_of_the_hosts",
    "hotpath:_make_inner_hook.inner_hook": "test_recorder::test_a_count_that_cannot_be_stored_is_no_failure_of_the_hosts",
    "hotpath:_make_start_callback.on_start": "test_recorder::test_a_count_that_cannot_be_stored_is_no_failure_of_the_hosts",
    "hotpath:_make_hook_behind_wrapt.hook_behind_wrapt":
        "test_recorder::test_a_count_that_cannot_be_stored_is_no_failure_of_the_hosts",
    "hotpath:_make_callback.callback": "test_recorder::test_a_count_that_cannot_be_stored_is_no_failure_of_the_hosts",
    "scanning.analyses:analyse_file": "test_scan_tree::test_a_file_that_the_scan_stumbles_over_is_named_and_the_rest_is_scanned",
}
"""Which other test breaks in there."""
ERRORS = ("ValueError", "OSError", "KeyError", "RuntimeError")


def world_of(folder: Path, seam: Seam, rest: str, instead: str, error: str = "Exception") -> World:
    main = MAIN.format(module=f"lastcall.{seam.module}", owner=seam.owner, name=seam.name, behind=seam.behind,
                       instead=instead, error=error)
    settings = FILES["lastcall.toml"].replace("SPANS", seam.spans)
    world = World(folder, {**FILES, "lastcall.toml": settings, "main.py": main + rest}, TARGETS, main="main.py")
    world.environ |= {"PYTHONPATH": f"{CHECKOUT}:{CHECKOUT}/agent", "WRAPT_DISABLE_EXTENSIONS": "" if seam.in_c else "1"}
    return world


@pytest.mark.slow
@pytest.mark.parametrize("seam", HERE, ids=str)
def test_what_fails_behind_a_seam_is_counted_and_no_failure_of_the_hosts(tmp_path, seam):
    error = seam.error or ERRORS[HERE.index(seam) % len(ERRORS)]
    world = world_of(tmp_path, seam, BREAKING, f'open("broken", "w").close(); raise {error}("broken on purpose")')
    plain = world.run()
    run = world.run("auto")
    assert plain.code == 0, plain.err
    assert (run.out, run.err, run.code) == (plain.out, plain.err, plain.code)
    assert (tmp_path / "broken").exists(), "else nothing was broken"
    assert not seam.slug or run.internal_errors().get(seam.slug), run.internal_errors()


@pytest.mark.slow
@pytest.mark.parametrize("seam", [seam for seam in HERE if seam.in_host and seam.heard_since <= sys.version_info[:2]], ids=str)
def test_what_a_signals_handler_raises_behind_a_seam_reaches_the_host(tmp_path, seam):
    """A timeout, say: and what was broken off is done all the same, or once more."""
    error = seam.error or ERRORS[HERE.index(seam) % len(ERRORS)]
    stop = "if to_come and get_ident() == main: signal.raise_signal(to_come.pop())"
    world = world_of(tmp_path, seam, INTERRUPTING, stop, error)
    run = world.run("auto", LASTCALL_DEBUG="1")
    assert (run.err, run.code) == ("", 0)
    caught, hits = map(int, run.out.split("caught ")[1].split(" of "))
    assert caught == hits > 0
    states = {ref: state for ref, (state, _, _) in run.states().items() if ref in TARGETS[:4]}
    # that one comes before the arming; and free-threaded builds do not tell who holds a function
    late = {"armed", "partial"} if seam.name == "_heed_workers" or FREE_THREADED else {"armed"}
    assert len(states) == 4
    assert set(states.values()) <= late, run.states()


def broad_excepts(path: Path) -> Iterator[str]:
    """The functions with an `except Exception` that does not merely tidy up and raise again, or with a guard."""
    names: dict[ast.AST, str] = {}
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        inside = names.get(node, "")
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inside = f"{inside}.{node.name}".lstrip(".")
        names.update(dict.fromkeys(ast.iter_child_nodes(node), inside))
        if isinstance(node, ast.ExceptHandler):
            caught = "BaseException" if node.type is None else ast.unparse(node.type)
            if "Exception" in caught.replace("(", " ").replace(",", " ").replace("Base", "").split():
                last = node.body[-1]
                if not (isinstance(last, ast.Raise) and last.exc is None):
                    yield inside
        elif isinstance(node, ast.Attribute) and node.attr == "guard_in_host":
            yield inside


def test_every_broad_except_has_a_test_that_breaks_in_it():
    agent = CHECKOUT / "agent" / "lastcall"
    found = {
        f"{'.'.join(path.relative_to(agent).with_suffix('').parts)}:{function}"
        for path in agent.rglob("*.py") for function in broad_excepts(path)
    }
    assert found - {seam.place for seam in SEAMS} == set(ELSEWHERE)
    for test in ELSEWHERE.values():
        file, _, name = test.partition("::")
        assert f"def {name}(" in (CHECKOUT / "tests" / f"{file}.py").read_text(), test
