"""Our value classes behave as the standard library's dataclasses do."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from lastcall import evidence, values
from lastcall.store import records

AGENT = Path(__file__).resolve().parents[1] / "agent"


def pair(*, frozen):
    """The same class, decorated by ours and by theirs."""

    @values.dataclass(frozen=frozen, slots=True)
    class Ours:
        """A value."""

        name: str
        number: int = 3
        items: list[int] = values.field(default_factory=list)

        @property
        def twice(self) -> int:
            return 2 * self.number

    @dataclasses.dataclass(frozen=frozen, slots=True)
    class Theirs:
        """A value."""

        name: str
        number: int = 3
        items: list[int] = dataclasses.field(default_factory=list)

        @property
        def twice(self) -> int:
            return 2 * self.number

    return Ours, Theirs


def outcome(act, cls):
    """What `act` gives for a class, in words that do not name it."""
    try:
        result = act(cls)
    except Exception as error:  # whatever it is: it is to be the same
        return type(error).__name__, str(error).replace(cls.__qualname__, "C").replace(cls.__name__, "C")
    return repr(result).replace(cls.__qualname__, "C").replace(cls.__module__, "m")


def assign(value):
    value.number = 4
    return value


def delete(value):
    del value.number
    return hasattr(value, "number")


ACTS = {
    "positional": lambda cls: cls("a", 1, [2]),
    "defaults": lambda cls: cls("a"),
    "keywords": lambda cls: cls(number=1, name="a"),
    "missing": lambda cls: cls(),
    "unknown": lambda cls: cls("a", other=1),
    "too many": lambda cls: cls("a", 1, [], 5),
    "own list": lambda cls: cls("a").items is cls("a").items,
    "equal": lambda cls: (cls("a") == cls("a"), cls("a") == cls("b"), cls("a") == "a", cls("a") != cls("b")),
    "hash": lambda cls: hash(cls("a", 1, ())) == hash(("a", 1, ())),
    "assign": lambda cls: assign(cls("a")),
    "delete": lambda cls: delete(cls("a")),
    "new attribute": lambda cls: setattr(cls("a"), "other", 1) if cls.__hash__ is None else None,  # else TypeError there
    "property": lambda cls: cls("a").twice,
    "replace": lambda cls: dataclasses.replace(cls("a"), number=9),
    "asdict": lambda cls: dataclasses.asdict(cls("a", 1, [{"b": 2}])),
    "fields": lambda cls: [(f.name, f.type, f.default is dataclasses.MISSING) for f in dataclasses.fields(cls)],
    "is one": lambda cls: (dataclasses.is_dataclass(cls), dataclasses.is_dataclass(cls("a"))),
    "slots": lambda cls: (cls.__slots__, hasattr(cls("a"), "__dict__"), cls.__match_args__, cls.__doc__),
    "copy": lambda cls: (copy.copy(cls("a")), copy.deepcopy(cls("a", 1, [2])), cls("a") == copy.copy(cls("a"))),
    "signature": lambda cls: [(p.name, p.kind) for p in inspect.signature(cls).parameters.values()],
}


@pytest.mark.parametrize("frozen", [True, False], ids=["frozen", "open"])
@pytest.mark.parametrize("name", ACTS)
def test_a_value_class_behaves_as_a_dataclass(name, frozen):
    ours, theirs = (outcome(ACTS[name], cls) for cls in pair(frozen=frozen))
    assert ours == theirs


def test_values_can_be_pickled():
    site = evidence.Site("a:b", "call", "f.py", 1, "g", "m", "b", "direct", stack=(evidence.Frame("f.py", 1, "g"),))
    again = pickle.loads(pickle.dumps(site))
    assert again == site
    assert (again.id, hash(again)) == (site.id, hash(site))
    assert pickle.loads(pickle.dumps(records.EndRecord(1, "exit"))) == records.EndRecord(1, "exit")


def test_the_hosts_process_pays_for_no_inspect():
    code = "import sys, lastcall.evidence; print({'dataclasses', 'inspect', 'ast', 'typing'} & set(sys.modules) or 'none')"
    done = subprocess.run([sys.executable, "-S", "-c", code], env={"PYTHONPATH": str(AGENT)}, capture_output=True, text=True)
    assert done.stdout.strip() == "none", done.stderr
