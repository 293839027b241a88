"""What a host can see is the same with the agent and without it, for every kind of target and every engine."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from worlds import ENGINES, Use, World, wrapt_in_c

FREE_THREADED = "t" in sys.abiflags
PROGRAMS_FOLDER = Path(__file__).parent / "programs"
REPLACED = {"exact type"}
"""What always shows where a wrapper stands in a function's place."""


@dataclass(frozen=True)
class Program:
    """The targets of one program below `programs/`, and the known limits of the engines with it."""

    targets: str
    states: dict[str, str] = field(default_factory=dict)
    """Targets whose state is not `armed`."""
    sees_misfits: tuple[str, ...] = ("auto", "wrapping", "inplace")
    """The engines that see a call whose arguments do not fit, which runs no code of the target's."""
    engines: tuple[str, ...] = ("auto", "wrapping", "inplace")
    elsewhere: int = 0
    """Uses from code in no file of the program: `eval`, a thread pool."""
    differs: dict[str, set[str]] = field(default_factory=dict)
    """By engine, the labels under which the host sees a difference."""

    only_wrapt: bool = False
    never_freed: set[str] = field(default_factory=set)
    """Labels that list classes: free-threaded 3.13 frees none once a second thread ran, and the agent's is one."""
    shows_wrapt: set[str] = field(default_factory=set)
    """Labels under which wrapt shows where it runs without its C extension: a frame of its own, an attribute."""

    def expected_differences(self, engine: str) -> set[str]:
        """The known differences: of pure-Python wrapt `auto` uses no more than it must, as `inplace`."""
        kept = self.never_freed if FREE_THREADED and sys.version_info < (3, 14) else set()
        if wrapt_in_c():
            return self.differs.get(engine, set()) | kept
        return self.differs.get("inplace", set()) | self.shows_wrapt | kept

    def sees_misfits_with(self, engine: str) -> bool:
        engine = "inplace" if engine == "auto" and not wrapt_in_c() else engine
        return engine in self.sees_misfits


WRAPS_SUSPENDING = ENGINES if sys.version_info < (3, 11) else ("auto", "wrapping")
"""The engines that leave functions which suspend to wrapt."""

PROGRAMS = {
    "function": Program(
        "legacy:old", sees_misfits=("auto", "wrapping"), elsewhere=5, differs={"auto": REPLACED, "wrapping": REPLACED},
    ),
    "suspending": Program(
        "legacy:coroutine,legacy:generator,legacy:stream,legacy:decorated",
        sees_misfits=WRAPS_SUSPENDING,
        shows_wrapt={"misfit", "misfit generator", "misfit stream"} if sys.version_info < (3, 11) else set(),
    ),
    "decorated": Program(
        "legacy:wrapped,legacy:cached,legacy:by_wrapt",
        # wrapt's Python code reads its own attributes as everybody does
        shows_wrapt={"behind a cache", "behind a host's wrapper", "cache's own", "lengths", "attributes of a host's wrapper"},
    ),
    "methods": Program(
        "legacy:Old.method,legacy:Old.klass,legacy:Old.static,legacy:Old.value,legacy:Old.Inner.method,"
        "legacy:Old.acoro,legacy:Old.gen,legacy:Old.__len__,legacy:Old._guarded",
        sees_misfits=("wrapping",),
        never_freed={"subclasses"},
    ),
    "classes": Program(
        ",".join("legacy:" + name for name in (
            "Plain", "Made", "Other", "Both", "Data", "Frozen", "Slotted", "Concrete", "WithMeta", "OnlyOne", "Generic",
            "Failure", "Mapping", "Registered", "Outer.Inner", "Reduced",
        )),
        sees_misfits=("auto", "wrapping"),
    ),
    "classless": Program(
        ",".join("legacy:" + name for name in (
            "Typed", "Tuple", "Colour", "Empty", "Quiet", "Keys", "Array", "Ordered", "Shape", "Proto",
        )),
        states={"legacy:Empty": "partial", "legacy:Shape": "partial"},
        sees_misfits=("auto", "wrapping"),
        elsewhere=2,  # copyreg, for copy.copy() and copy.deepcopy()
        differs=dict.fromkeys(ENGINES, {"module type"}),
    ),
    "names": Program(
        "legacy:Manager,legacy:Unified,legacy:TIMEOUT,legacy:default,legacy:handlers,legacy:on_demand,legacy:raises",
        elsewhere=5,  # the code given to exec()
        differs=dict.fromkeys(ENGINES, {"delete again"}),  # one more line in a traceback
    ),
    "modules": Program("pkg.old", elsewhere=1),
    "parameters": Program(",".join("legacy:" + name for name in (
        "function(mode=)", "Thing.method(mode=)", "Thing.__init__(mode=)", "Thing.klass(mode=)", "Thing.static(mode=)",
        "coroutine(mode=)", "decorated(mode=)", "cached(mode=)", "Data(mode=)", "Pair(mode=)", "New.__new__(mode=)",
    )), only_wrapt=True),
}


def world_of(folder: Path, name: str) -> World:
    """The program's files and what they share, in a folder of their own."""
    sources = [*PROGRAMS_FOLDER.glob("*.py"), *(PROGRAMS_FOLDER / name).rglob("*.py")]
    files = {str(path.relative_to(path.parents[0] if path.parent == PROGRAMS_FOLDER else PROGRAMS_FOLDER / name)):
             path.read_text() for path in sources}
    return World(folder, files, tuple(PROGRAMS[name].targets.split(",")))


def by_site(uses: list[Use]) -> dict[tuple[str, ...], int]:
    """Counts by file, line, function and spelling; before 3.11 Python does not know where in a line a call is."""
    found: dict[tuple[str, ...], int] = {}
    for use in uses:
        spelled = (use.expression,) if sys.version_info >= (3, 11) else ()
        key = use.file, str(use.line), use.function, *spelled
        found[key] = found.get(key, 0) + use.count
    return found


@pytest.fixture(scope="module")
def without_agent(tmp_path_factory):
    """Each program's run without the agent, made when first asked for."""
    runs = {}

    def run(name):
        if name not in runs:
            world = world_of(tmp_path_factory.mktemp(name), name)
            runs[name] = world, world.run()
        return runs[name]

    return run


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", PROGRAMS)
def test_what_the_host_sees_is_the_same_and_every_use_is_counted_where_it_is(name, engine, without_agent):
    program = PROGRAMS[name]
    world, plain = without_agent(name)
    if engine == "wrapping" and not wrapt_in_c():
        pytest.skip("without its C extension wrapt adds a frame, which `auto` and `inplace` avoid")

    if program.only_wrapt and not wrapt_in_c():
        pytest.skip("these targets are wrapt's alone, whose frames show without its C extension")

    watched = world.run(engine)

    without, with_agent = plain.shown(), watched.shown()
    differing = {label for label in without.keys() | with_agent.keys() if without.get(label) != with_agent.get(label)}
    expected = program.expected_differences(engine)
    assert differing == expected, "\n".join(
        f"{label}:\n--- without\n{without.get(label)}\n--- with\n{with_agent.get(label)}" for label in differing ^ expected
    )
    assert watched.err == plain.err
    assert watched.code == plain.code
    assert watched.internal_errors() == {}
    uses = watched.uses()
    inside = [use for use in uses if use.file in world.files]
    marked = [use for use in world.marks() if not use.replaced_only or program.sees_misfits_with(engine)]
    assert by_site(inside) == by_site(marked)
    assert sum(use.count for use in uses) - sum(use.count for use in inside) == program.elsewhere
    states = {ref: state for ref, (state, _reason, _engine) in watched.states().items()}
    assert states == {ref: program.states.get(ref, "armed") for ref in program.targets.split(",")}
