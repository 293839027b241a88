"""What watching warnings and log records costs the call that warns, the one that logs, and a program of neither.

    python benchmarks/warning_hook.py [--rounds 25] [--json FILE]

Process CPU time. One process, one set of callers; before each batch `warnings.warn` is set to Python's own, or to
the watched one, in an order drawn anew each round; for the first the module is an ordinary one again, as without the
agent: the look at who reads the name is part of what is added. "warn" is what the statement costs a program by itself:
the callable with Python's own function less a twin of it that has no such statement. "added" is the watched one less
Python's own; both are medians of the paired differences. A warning should cost less added than by itself.
"floor" is what the least adds that could count, keep what is promised and leave the rest to Python: a property that
looks whether the name still means what it should, which instruction asks and which one called it, or that one's caller,
draws from the counter that these two have, puts the total into a table, and gives Python's own function back. It knows
one kind of call, and neither category nor message, but for the rows in which variables tell these: there it looks those
up, all that decide what is counted and where. For `imported`, which calls `warn` by its own name, the
property is the `__call__` of what has that name. "all kinds" is the floor of a property that knows each of these kinds,
and what it knows of the one that calls: `warnings.warn` has one property for all. What is below the floor does not call
Python's own function (see `warning_outcomes`): "left out" is what the same property adds that gives back a C function
that does nothing, without a look at whether that may be.
Log records likewise: the same call, watched and not watched.

For the program that never warns the proof is not a clock: the benchmark lists every function and every module
attribute that differs from a process without the agent.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import json
import logging
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from itertools import count, repeat
from pathlib import Path

BATCH = 2_000
LOG_BATCH = 300
LIMIT = 1.0

LIBRARY = """\
import functools
import logging
import warnings
from warnings import warn

from typing_extensions import deprecated

log = logging.getLogger("library")
CATEGORY = DeprecationWarning


def literal():
    warnings.warn("literal() is deprecated", DeprecationWarning, stacklevel=2)


def filled(name="this"):
    warnings.warn(f"{name} is deprecated, use {name}2", DeprecationWarning, stacklevel=2)


def computed(message="computed() is deprecated"):
    warnings.warn(message, DeprecationWarning, stacklevel=2)


def third_level():
    literal_inner()


def literal_inner():
    warnings.warn("third_level() is deprecated", CATEGORY, stacklevel=3)


def no_level():
    warnings.warn("no_level() is deprecated", DeprecationWarning)


@deprecated("marked() is deprecated")
def marked():
    return None


def decorator(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        warnings.warn("{} is deprecated".format(function.__name__), category=DeprecationWarning, stacklevel=2)
        return function(*args, **kwargs)

    return wrapper


@decorator
def decorated():
    return None


def imported():
    warn("imported() is deprecated", DeprecationWarning, stacklevel=2)


def other():
    warnings.warn("not a deprecation", UserWarning, stacklevel=2)


def debug_off():
    log.debug("debug_off() is deprecated")


def logs_other():
    log.warning("nothing special")


def logs():
    log.warning("logs() is deprecated")
"""

WARNING_ROWS = ("literal", "filled", "computed", "third_level", "no_level", "marked", "decorated", "imported", "other")
FILTERS = ("ignore", "default", "error")
VARIABLES = {"computed": ("message",), "marked": ("arg", "msg", "category", "stacklevel"), "decorated": ("function",)}
"""What tells what the warning is about, and where; and which function's wrapper gives it."""
LEVELS = {"no_level": 1, "third_level": 3}
LEAST = ("floor", "all kinds", "left out")
LOG_ROWS = ("debug_off", "logs_other", "logs")
LOGURU_ROWS = ("loguru_off", "loguru_other", "loguru_says")

LOGURU_LIBRARY = """\
from loguru import logger


def loguru_off():
    logger.debug("loguru_off() is deprecated")


def loguru_other():
    logger.warning("nothing special")


def loguru_says():
    logger.warning("loguru_says() is deprecated")
"""

UNWARNED = """\
def unwarned(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper
"""
"""Takes the place of `@deprecated` in the twin: the wrapper is not what the warning costs."""

CALLER = """

def call_{name}(times):
    for _ in times:
        try:
            library.{name}()
        except Warning:
            pass
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    parser.add_argument("--only", action="append", choices=WARNING_ROWS, help="this kind, and no log records")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--list", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.list:
        print(json.dumps(_listed()))
        return
    if options.serve:
        _serve()
        return
    if options.measure:
        print(json.dumps(_measure(options.rounds, options.only or WARNING_ROWS)))
        return
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder))
        plain = _run(Path(folder), "--list", watched=False)
        watched = _run(Path(folder), "--list", watched=True)
        only = [f"--only={name}" for name in options.only or ()]
        result = _run(Path(folder), "--measure", "--rounds", str(options.rounds), *only, watched=True)
        result["logs"] = [] if only else _logs(Path(folder), options.rounds, result["made"])
        _check_counts(Path(folder), result)
    result["differs"] = sorted(name for name in watched if watched[name] != plain.get(name, watched[name]))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))
    _print(result)
    missed = [row for row in result["warnings"] if row["ratio"] > LIMIT]
    sys.exit(f"{len(missed)} rows over the limit" if missed else 0)


def _write(folder: Path) -> None:
    (folder / "library.py").write_text(LIBRARY)
    twin = re.sub(r"^( +)(warnings\.)?warn\(.*$", r"\1pass", LIBRARY, flags=re.MULTILINE)
    twin = re.sub(r"^@deprecated\(.*$", "@unwarned", twin, flags=re.MULTILINE)
    (folder / "twin.py").write_text(twin.replace("import functools\n", f"import functools\n\n\n{UNWARNED}\n\n"))
    callers = "".join(CALLER.format(name=name) for name in WARNING_ROWS + LOG_ROWS)
    (folder / "caller.py").write_text("import library\n" + callers)
    (folder / "twin_caller.py").write_text("import twin as library\n" + callers)
    (folder / "loguru_library.py").write_text(LOGURU_LIBRARY)
    callers = "".join(CALLER.format(name=name) for name in LOGURU_ROWS)
    (folder / "loguru_caller.py").write_text("import loguru_library as library\n" + callers)
    (folder / "lastcall.toml").write_text('[discover]\nwarnings = ["DeprecationWarning"]\nlogs = ["deprecated"]\n')


def _run(folder: Path, *arguments: str, watched: bool) -> dict:
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(
        command, env=_environment(folder, watched), cwd=folder, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout)


def _environment(folder: Path, watched: bool) -> dict[str, str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("LASTCALL", "PYTHON"))}
    checkout = Path(__file__).resolve().parents[1]
    return environ | {
        "PYTHONPATH": f"{folder}{os.pathsep}{checkout}",
        "LASTCALL_ENABLED": "1" if watched else "",
        "LASTCALL_STORE": str(folder / "store.db"),
        "LASTCALL_DEBUG": "1",
    }


def _logs(folder: Path, rounds: int, made: dict[str, int]) -> list[dict]:
    """The same batches in two processes, one of them watched, in turn."""
    command = [sys.executable, __file__, "--serve"]
    workers = {
        watched: subprocess.Popen(
            command,
            env=_environment(folder, watched),
            cwd=folder,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for watched in (False, True)
    }

    def ask(watched: bool, name: str) -> float:
        workers[watched].stdin.write(f"{name} {LOG_BATCH}\n")
        workers[watched].stdin.flush()
        if watched and name.endswith(("logs", "says")):
            target = f"{'loguru_' * name.startswith('loguru')}library:{name}"
            made[target] = made.get(target, 0) + LOG_BATCH
        return float(workers[watched].stdout.readline())

    found = []
    for name in LOG_ROWS + (LOGURU_ROWS if importlib.util.find_spec("loguru") else ()):
        figures: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(rounds + 2):
            for watched in random.sample([False, True], 2):
                figures[watched].append(ask(watched, name))
        own = statistics.median(figures[False][2:])
        added = statistics.median(b - a for a, b in list(zip(*figures.values(), strict=True))[2:])
        found.append({"name": name, "own": own, "added": added, "ratio": added / own})
    for worker in workers.values():
        worker.stdin.close()
        worker.wait()
        worker.stdout.close()
    return found


def _check_counts(folder: Path, result: dict) -> None:
    """Every watched call must have been counted, or the figures would mean nothing."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "agent"))
    from lastcall.store import Store

    with Store.current(folder / "store.db") as store:
        counted = {row.site.target: 0 for row in store.uses()}
        for row in store.uses():
            counted[row.site.target] += row.count
    for name, made in result.pop("made").items():
        if counted.get(name, 0) != made:
            sys.exit(f"{name}: {made} uses made, {counted.get(name, 0)} counted")


# -- inside the measured process ----------------------------------------------------------------------


def _listed() -> dict:
    """Every attribute of every module and class of the standard library in use, and the code of every function."""
    with contextlib.suppress(ImportError):
        import loguru_library  # noqa: F401 - so that loguru's functions are among those compared

    found = {}
    for name, module in sorted(sys.modules.items()):
        if name.startswith(("lastcall", "wrapt", "sitecustomize", "__main__")) or module is None:
            continue
        for key, value in list(vars(module).items()):
            found[f"{name}.{key}"] = _shape(value)
            if isinstance(value, type) and value.__module__ == name:
                found.update({f"{name}.{key}.{inner}": _shape(held) for inner, held in list(vars(value).items())})
    return found


def _shape(value: object) -> str:
    value = getattr(value, "__func__", value)
    code = getattr(value, "__code__", None)
    if code is None or type(value).__name__ != "function":
        return type(value).__name__
    events = ""
    if sys.version_info >= (3, 12):
        tools = [tool for tool in range(6) if sys.monitoring.get_tool(tool)]
        events = str([sys.monitoring.get_local_events(tool, code) for tool in tools])
    return code.co_code.hex() + (events if set(events) - set("[0, ]") else "")


def _measure(rounds: int, names: tuple[str, ...]) -> dict:
    import caller
    import twin_caller

    from lastcall.engines.wrapping import wrapped_by

    watched = vars(warnings)["warn"]
    own = wrapped_by(watched)
    made = _Made()
    with warnings.catch_warnings():  # from the first warning on, a property looks on
        warnings.simplefilter("ignore")
        caller.call_literal(repeat(None, 1))
        made.add("literal", 1)
    result = {"python": platform.python_version(), "load": os.getloadavg()[0], "warnings": [], "made": {}}
    variants = {"without": own, "own": own, **dict.fromkeys(LEAST, own), "watched": watched}
    for filters in FILTERS:
        for name in names:
            calls = dict.fromkeys(variants, getattr(caller, f"call_{name}"))
            calls["without"] = getattr(twin_caller, f"call_{name}")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore" if filters == "default" else filters)
                if filters == "default":  # shown once, to nobody
                    warnings.simplefilter("default")
                    warnings.showwarning = lambda *_: None
                row = _warning_row(calls, variants, rounds, made, name)
            result["warnings"].append({"filter": filters, "name": name, **row})
    result["made"] = made.totals
    return result


class _Made:
    """How many uses the store must show, by target."""

    def __init__(self) -> None:
        self.totals: dict[str, int] = {}

    def add(self, name: str, times: int) -> None:
        if name == "other":
            return
        self.totals[f"library:{name}"] = self.totals.get(f"library:{name}", 0) + times


def _batch(call, times: int = BATCH) -> float:
    began = time.process_time_ns()
    call(repeat(None, times))
    return (time.process_time_ns() - began) / times


def _warning_row(calls, variants, rounds, made, name) -> dict:
    import library

    figures = {key: [] for key in variants}
    watched_class = type(warnings)
    looks = {
        "floor": _read(variants["own"], variants["own"], name),
        "left out": _read(variants["own"], type.__prepare__, name),
        "all kinds": _read_of_all_kinds(variants["own"], name),
    }
    classes = {"watched": watched_class, **{key: _module_with(look) for key, look in looks.items()}}
    named = dict(variants)
    if name == "imported":
        named.update({key: _callable_with(look) for key, look in looks.items()})
    for turn in range(rounds + 2):
        for key in random.sample(list(variants), len(variants)):
            vars(warnings)["warn"], vars(library)["warn"] = variants[key], named[key]
            warnings.__class__ = classes.get(key, type(sys))
            spent = _batch(calls[key])
            vars(warnings)["warn"] = vars(library)["warn"] = variants["watched"]
            warnings.__class__ = watched_class
            if key == "watched":
                made.add(name, BATCH)
            if turn >= 2:
                figures[key].append(spent)
    own = statistics.median(a - b for a, b in zip(figures["own"], figures["without"], strict=True))
    added = statistics.median(a - b for a, b in zip(figures["watched"], figures["own"], strict=True))
    least = {
        key: statistics.median(a - b for a, b in zip(figures[key], figures["own"], strict=True)) / own
        for key in LEAST
    }
    return {"own": own, "added": added, "ratio": added / own, **least}


def _read(own, gives, name: str):
    """A property's function that counts by the two instructions, and by variables if those have to be looked at.

    It does what every one has to do that keeps what is promised, and nothing else: see that the name still means what
    it should, for a host may have put its own function there; know an instruction by its code and offset, for others
    share a name or an offset; and put each total into a table that outlives the process.
    """
    known: dict[str, object] = {}
    namespace, getframe, table = vars(warnings), sys._getframe, memoryview(bytearray(8 * 64)).cast("Q")
    first, second, third, fourth = (*VARIABLES.get(name, ()), *[""] * 4)[:4]

    def counter():
        return len(known) % 64, count()

    def read(_holder):
        if namespace["warn"] is own:
            frame = getframe(1)
            code = frame.f_code
            where = frame.f_back
            caller = where.f_code
            try:
                meant, callers = known[code.co_qualname]
                calling, slot, uses = callers[where.f_lasti]
                if meant is code and calling is caller:
                    for table[slot] in uses:
                        break
            except KeyError:
                known[code.co_qualname] = code, {where.f_lasti: (caller, *counter())}
            return gives
        return namespace["warn"]

    def read_own(_holder):
        if namespace["warn"] is own:
            frame = getframe(1)
            code = frame.f_code
            try:
                meant, slot, uses = known[code.co_qualname]
                if meant is code:
                    for table[slot] in uses:
                        break
            except KeyError:
                known[code.co_qualname] = code, *counter()
            return gives
        return namespace["warn"]

    def read_third(_holder):
        if namespace["warn"] is own:
            frame = getframe(1)
            code = frame.f_code
            helped = frame.f_back
            where = helped.f_back
            helper, caller = helped.f_code, where.f_code
            try:
                meant, callers = known[code.co_qualname]
                helping, calling, slot, uses = callers[where.f_lasti]
                if meant is code and helping is helper and calling is caller:
                    for table[slot] in uses:
                        break
            except KeyError:
                known[code.co_qualname] = code, {where.f_lasti: (helper, caller, *counter())}
            return gives
        return namespace["warn"]

    def read_variable(_holder):
        if namespace["warn"] is own:
            frame = getframe(1)
            code = frame.f_code
            where = frame.f_back
            caller = where.f_code
            held = frame.f_locals[first]
            try:
                meant, callers = known[code.co_qualname]
                calling, was, slot, uses = callers[where.f_lasti]
                if meant is code and calling is caller and was is held:
                    for table[slot] in uses:
                        break
            except KeyError:
                known[code.co_qualname] = code, {where.f_lasti: (caller, held, *counter())}
            return gives
        return namespace["warn"]

    def read_variables(_holder):
        if namespace["warn"] is own:
            frame = getframe(1)
            code = frame.f_code
            where = frame.f_back
            caller = where.f_code
            held = frame.f_locals
            try:
                meant, callers = known[code.co_qualname]
                calling, a, b, c, d, slot, uses = callers[where.f_lasti]
                if (
                    meant is code
                    and calling is caller
                    and held[first] is a
                    and held[second] is b
                    and held[third] is c
                    and held[fourth] is d
                ):
                    for table[slot] in uses:
                        break
            except KeyError:
                values = held[first], held[second], held[third], held[fourth]
                known[code.co_qualname] = code, {where.f_lasti: (caller, *values, *counter())}
            return gives
        return namespace["warn"]

    function = {1: read_own, 3: read_third}.get(LEVELS.get(name), read)
    if first:
        function = read_variables if fourth else read_variable
    return _with_names_of_today(function)


def _read_of_all_kinds(own, name: str):
    """The same in one function for all kinds, those first that are found most."""
    known: dict[str, object] = {}
    namespace, getframe, table = vars(warnings), sys._getframe, memoryview(bytearray(8 * 64)).cast("Q")
    names = VARIABLES.get(name, ())
    kind_of_row = {1: "own line", 3: "helper"}.get(LEVELS.get(name), "caller")
    if names:
        kind_of_row = "variables" if names[1:] else "variable"

    def learn(code, frame):
        counter = len(known) % 64, count()
        where = frame.f_back if kind_of_row != "helper" else frame.f_back.f_back
        values = [frame.f_locals[variable] for variable in names]
        found = {
            "caller": {where.f_lasti: (where.f_code, *counter)},
            "own line": counter,
            "helper": {where.f_lasti: (frame.f_back.f_code, where.f_code, *counter)},
            "variable": (names, {where.f_lasti: (where.f_code, *values, *counter)}),
            "variables": (names, {where.f_lasti: (where.f_code, values, *counter)}),
        }
        known[code.co_qualname] = code, kind_of_row, found[kind_of_row]

    def read(_holder):  # noqa: PLR0912 - a case for each kind, and no call but this
        if namespace["warn"] is own:
            frame = getframe(1)
            code = frame.f_code
            try:
                meant, kind, found = known[code.co_qualname]
                if meant is code:
                    if kind == "caller":
                        where = frame.f_back
                        code, slot, uses = found[where.f_lasti]
                        if code is where.f_code:
                            for table[slot] in uses:
                                break
                    elif kind == "own line":
                        slot, uses = found
                        for table[slot] in uses:
                            break
                    elif kind == "variable":
                        where = frame.f_back
                        (kind,), found = found
                        code, found, slot, uses = found[where.f_lasti]
                        if code is where.f_code and frame.f_locals[kind] is found:
                            for table[slot] in uses:
                                break
                    elif kind == "helper":
                        where = frame.f_back
                        frame = where.f_back
                        code, meant, slot, uses = found[frame.f_lasti]
                        if code is where.f_code and meant is frame.f_code:
                            for table[slot] in uses:
                                break
                    else:
                        where = frame.f_back
                        kind, found = found
                        code, found, slot, uses = found[where.f_lasti]
                        if code is where.f_code:
                            frame = frame.f_locals
                            meant, code, where, kind = kind
                            if (
                                frame[meant] is found[0]
                                and frame[code] is found[1]
                                and frame[where] is found[2]
                                and frame[kind] is found[3]
                            ):
                                for table[slot] in uses:
                                    break
            except KeyError:
                learn(code, frame)
            return own
        return namespace["warn"]

    return _with_names_of_today(read)


def _with_names_of_today(function):
    if sys.version_info < (3, 11):
        names = tuple("co_name" if name == "co_qualname" else name for name in function.__code__.co_names)
        function.__code__ = function.__code__.replace(co_names=names)
    return function


def _module_with(read) -> type:
    """A module class whose `warn` is read so, and whose errors have a module's words."""

    class Counting(type(sys)):
        if sys.version_info >= (3, 14):  # else the interpreter goes past the property: see `engines.names`
            __getattribute__ = object.__getattribute__
            __getattr__ = type(sys).__getattribute__

        warn = property(read)

    return Counting


def _callable_with(read) -> object:
    """An object whose `__call__` is read so."""

    class Counting:
        __call__ = property(read)

    return Counting()


def _serve() -> None:
    """Run batches of log calls on demand: one line `name times` in, nanoseconds a call out."""
    import caller
    try:
        import loguru_caller
        from loguru import logger
    except ImportError:
        loguru_caller = None
    else:
        logger.remove()
        logger.add(lambda _: None, level="INFO", format="{message}")
    logging.getLogger("library").addHandler(logging.StreamHandler(io.StringIO()))
    logging.getLogger("library").propagate = False
    for line in sys.stdin:
        name, times = line.split()
        call = getattr(loguru_caller if name.startswith("loguru") else caller, f"call_{name}")
        print(_batch(call, int(times)), flush=True)


def _print(result: dict) -> None:
    print(f"Python {result['python']}, load {result['load']:.1f}; nanoseconds of process CPU time, medians")
    print("\nWhat is not as it would be without the agent, in all modules loaded:")
    for name in result["differs"]:
        print(f"  {name}")
    heads = "".join(f"{head:>{width}}" for head, width in (("warn", 8), ("added", 8), ("ratio", 7), ("floor", 7)))
    print(f"\n{'a call of warnings.warn':<24}{'filter':<9}{heads}{'all kinds':>10}{'left out':>10}")
    for row in result["warnings"]:
        over = "  over" if row["ratio"] > LIMIT else ""
        times = f"{row['own']:>8.0f}{row['added']:>8.0f}{row['ratio']:>7.2f}"
        least = f"{row['floor']:>7.2f}{row['all kinds']:>10.2f}{row['left out']:>10.2f}"
        print(f"{row['name']:<24}{row['filter']:<9}{times}{least}{over}")
    print(f"\n{'a log call':<33}{'call':>8}{'added':>8}{'ratio':>7}")
    for row in result["logs"]:
        print(f"{row['name']:<33}{row['own']:>8.0f}{row['added']:>8.0f}{row['ratio']:>7.2f}")


if __name__ == "__main__":
    main()
