"""For every test: no residue of the agent in the test process, before and after."""

from __future__ import annotations

import gc
import os
import signal
import sys

import pytest
from hypothesis import HealthCheck, settings

# How fast examples are drawn and run tells of the machine, not of what is tested.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

# What a shell starts in its background ignores Ctrl-C, and so would all processes that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _residue() -> dict[str, object]:
    """What an agent that was not stopped leaves behind in a process."""
    found: dict[str, object] = {}
    bootstrap = sys.modules.get("lastcall.bootstrap")
    life = bootstrap.life() if bootstrap else None
    if life is not None and not life.stopped:
        found["a running agent"] = life
    finders = [finder for finder in sys.meta_path if type(finder).__module__ == "lastcall.importing"]
    if finders:
        found["a finder in sys.meta_path"] = finders
    bootstrap_of_importlib = sys.modules["_frozen_importlib"]
    ears = [one for one in vars(bootstrap_of_importlib).values() if type(one).__module__ == "lastcall.importing"]
    if ears:
        found["an ear in importlib"] = ears
    if sys.version_info >= (3, 12):
        tools = [name for name in map(sys.monitoring.get_tool, range(6)) if name and name.startswith("lastcall")]
        if tools:
            found["a sys.monitoring tool"] = tools
    errors = sys.modules.get("lastcall.errors")
    if errors is not None and errors.internal_errors.counts():
        found["internal errors"] = errors.internal_errors.first()
        errors.internal_errors.clear()
    return found


@pytest.fixture(autouse=True)
def no_residue(monkeypatch: pytest.MonkeyPatch):
    """Our own failures are loud in this process; the processes that tests start get their own environment."""
    assert not _residue(), "left by an earlier test"
    monkeypatch.setenv("LASTCALL_RERAISE", "1")
    before = dict(os.environ)
    queueing = sys.modules.get("lastcall.exporters.queueing")
    if queueing is not None:  # what an earlier test's dead backends spent is one process's budget, not this test's
        queueing._patience._left = queueing.EXIT_PATIENCE
    yield
    gc.enable()  # a command that lives shortly collects none, and may have run in this process
    monkeypatch.undo()  # what the test set with it goes anyway
    assert not _residue()
    for name in set(os.environ) - set(before):
        if name.startswith("LASTCALL_"):
            pytest.fail(f"the test left {name} in the environment")


def pytest_xdist_auto_num_workers() -> int:
    """Half of the suite's time is waiting for other processes, so `-n auto` takes more of them than there are cores."""
    return (os.cpu_count() or 1) * 3 // 2 + 1
