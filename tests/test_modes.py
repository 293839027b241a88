"""warn, raise and brownout: in the host, through the real engine."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading

import pytest

from lastcall import config as settings
from lastcall.modes import FIRST_WAIT, LONGEST_WAIT, Brownout, problem

LIBRARY = """
def make(n=1):
    return n

async def make_later():
    return 1

class Manager:
    def __init__(self, name):
        self.name = name
"""


def run(tmp_path, mode, code, *, environment="staging"):
    """Run code with every target of the library in this mode. Gives its output."""
    (tmp_path / "legacy.py").write_text(LIBRARY)
    (tmp_path / "friend.py").write_text("import legacy\ndef call():\n    return legacy.make()\n")
    targets = "".join(
        f'[[target]]\nref = "legacy:{name}"\nreplacement = "fresh:{name}"\n{mode}\n'
        for name in ("make", "make_later", "Manager")
    )
    (tmp_path / "lastcall.toml").write_text(f'[lastcall]\nenvironment = "{environment}"\n{targets}')
    path = tmp_path / "app.py"
    path.write_text("import lastcall\nlastcall.start()\nimport legacy\n" + textwrap.dedent(code))
    kept = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(p for p in sys.path if p), "LASTCALL_RERAISE": "1"}
    done = subprocess.run([sys.executable, str(path)], cwd=tmp_path, env=kept, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


REFUSED = """
    import asyncio
    from lastcall.modes import DeprecatedUseError
    def tried(call):
        try:
            return call()
        except DeprecatedUseError as error:
            return str(error)
    print(tried(lambda: legacy.make(2)))
    print(tried(lambda: legacy.Manager("x").name))
    print(tried(lambda: asyncio.run(legacy.make_later())))
"""


def test_raise_refuses_and_names_the_replacement(tmp_path):
    output = run(tmp_path, 'mode = "raise"', REFUSED)
    for name in ("make", "Manager", "make_later"):
        assert f"legacy:{name} is deprecated" in output
        assert f"Use fresh:{name} instead." in output


def test_observe_refuses_nothing(tmp_path):
    assert run(tmp_path, 'mode = "observe"', REFUSED).split() == ["2", "x", "1"]


def test_allowed_callers_are_not_refused(tmp_path):
    mode = 'mode = "raise"\nallow = [{caller = "friend.**", reason = "knows"}]'
    output = run(tmp_path, mode, "import friend\nprint(friend.call())\n")
    assert output.strip() == "1"


def test_a_refused_call_is_counted(tmp_path):
    run(tmp_path, 'mode = "raise"', REFUSED)
    done = subprocess.run(
        [sys.executable, "-m", "lastcall", "report", "--format", "json"], cwd=tmp_path, capture_output=True, text=True,
        env={"PYTHONPATH": ":".join(p for p in sys.path if p), "PATH": "/usr/bin:/bin"}, check=True,
    )
    import json

    uses = {t["target"]: t["uses"] for t in json.loads(done.stdout)["targets"]}
    assert uses == {"legacy:make": 1, "legacy:make_later": 1, "legacy:Manager": 1}


def test_warn_blames_the_calling_line_and_obeys_the_filters(tmp_path):
    code = """
        import warnings
        warnings.simplefilter("always")
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            legacy.make()  # line 9
            legacy.Manager("x")
        print([(w.lineno, w.category.__name__, str(w.message)) for w in seen])
        warnings.simplefilter("error")
        try:
            legacy.make()
        except DeprecationWarning as error:
            print("raised", error)
        """
    output = run(tmp_path, 'mode = "warn"', code)
    assert "(9, 'DeprecationWarning', 'legacy:make is deprecated; use fresh:make')" in output
    assert "(10, 'DeprecationWarning', 'legacy:Manager is deprecated; use fresh:Manager')" in output
    assert "raised legacy:make is deprecated" in output


def test_a_brownout_refuses_few_calls_in_named_environments_only(tmp_path):
    code = """
        from lastcall.modes import DeprecatedUseError
        refused = 0
        for n in range(3000):
            try:
                legacy.make()
            except DeprecatedUseError as error:
                assert "brownout of 1.00%" in str(error)
                refused += 1
        print("refused", refused)
        """
    mode = 'mode = "brownout"\nbrownout = {share = 0.01, environments = ["staging"]}'
    assert "refused 0" in run(tmp_path, mode, code, environment="production")
    assert 1 <= int(run(tmp_path, mode, code).split()[-1]) <= 30


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def test_the_share_is_never_exceeded_and_is_reached():
    clock = Clock()
    brownout = Brownout(0.05, clock=clock, chance=lambda: 0.0)
    refused = 0
    for number in range(1, 5001):
        clock.now += 10_000  # longer than any wait
        refused += brownout()
        assert refused <= 0.05 * number
    assert refused == 250


def test_it_backs_off_and_starts_over_after_a_quiet_day():
    clock = Clock()
    brownout = Brownout(0.5, clock=clock, chance=lambda: 0.0)

    def refusals(seconds, step):
        at = []
        for _ in range(int(seconds / step)):
            clock.now += step
            if brownout():
                at.append(clock.now)
        return at

    at = refusals(40_000, 0.5)
    gaps = [b - a for a, b in zip(at, at[1:])]
    assert gaps[0] == pytest.approx(FIRST_WAIT, abs=1)
    assert all(later >= earlier for earlier, later in zip(gaps, gaps[1:]))
    assert gaps[-1] == pytest.approx(LONGEST_WAIT, abs=1)
    assert len(at) < 25
    clock.now += 90_000
    again = refusals(10, 0.5)
    assert again[1] - again[0] <= 2 * FIRST_WAIT


def test_threads_share_one_bound():
    brownout = Brownout(0.1, clock=Clock(), chance=lambda: 0.0)
    refused = []

    def work():
        refused.extend(1 for _ in range(3000) if brownout())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1  # the clock stands still: one refusal, and then the wait


@pytest.mark.parametrize(
    "bad",
    [
        {}, {"share": 0.01}, {"environments": ["staging"]}, {"share": 0, "environments": ["a"]}, {"share": 0.9, "environments": ["a"]},
        {"share": "1%", "environments": ["a"]}, {"share": True, "environments": ["a"]}, {"share": 0.1, "environments": "staging"},
        {"share": 0.1, "environments": []}, {"share": 0.1, "environments": ["a"], "pace": 1},
    ],
)
def test_a_brownout_that_is_not_clear_is_a_problem_and_no_brownout(bad):
    assert problem(bad)
    table = {"ref": "a:b", "mode": "brownout", "brownout": bad}
    config = settings.load(environ={}, overrides={"targets": [table]}, cwd="/")
    assert len(config.problems) == 1
    assert config.targets[0].mode == "observe"


def test_a_clear_brownout_is_none():
    assert problem({"share": 0.01, "environments": ["staging"]}) == ""
