"""Python looks for garbage, and runs the host's finalizers, in the host's thread and not in ours."""

from __future__ import annotations

import gc
import sys
import threading
import time

import pytest

from lastcall import garbage

pytestmark = pytest.mark.skipif("t" in sys.abiflags, reason="free-threaded builds count objects otherwise")


@pytest.fixture
def looked():
    """The threads in which Python looked for garbage."""
    threads: list[int] = []

    def note(phase, _info):
        if phase == "start":
            threads.append(threading.get_ident())

    gc.callbacks.append(note)
    yield threads
    gc.callbacks.remove(note)
    garbage.end()


def make(amount, *, politely):
    kept = []
    if politely:
        garbage.begin()
    for number in range(amount):
        garbage.make_way()
        kept.append([number])
    garbage.end()


def beside_a_host(step, amount, *, politely):
    """Run `make` in a thread, with this one taking `step` all the while; the thread's identifier."""
    other = threading.Thread(target=make, args=(amount,), kwargs={"politely": politely})
    other.start()
    while other.is_alive():
        step()
    other.join()
    return other.ident


def test_a_host_that_makes_objects_looks_for_garbage_itself(looked, monkeypatch):
    monkeypatch.setattr(garbage, "PATIENCE", 10**9)  # on a busy machine the host may have to wait for its turn
    monkeypatch.setattr(garbage, "IN_VAIN", 10**9)
    kept = []
    ours = beside_a_host(lambda: kept.append([]), 5_000, politely=False)
    assert ours in looked, "else this shows nothing"
    looked.clear()
    ours = beside_a_host(lambda: kept.append([]), 5_000, politely=True)
    assert ours not in looked
    assert looked


def test_nobody_waits_long_for_a_host_that_makes_nothing(looked):
    ours = beside_a_host(lambda: time.sleep(0.001), 20_000, politely=True)
    assert garbage.PATIENCE - garbage._steps < 10 * garbage.IN_VAIN  # steps that were waited
    assert ours in looked


def test_a_transaction_that_others_wait_for_is_held_up_for_less_than_they_wait():
    assert garbage.PATIENCE_IN_HASTE * (garbage.STEP + sys.getswitchinterval()) < 0.5
    garbage.begin()
    patience = garbage.hurry()
    assert garbage._steps == garbage.PATIENCE_IN_HASTE
    garbage.take_time(patience)
    assert garbage._steps == garbage.PATIENCE
    garbage.end()


def test_the_hosts_settings_stay_as_they_are():
    before = gc.isenabled(), gc.get_threshold()
    make(5_000, politely=True)
    assert (gc.isenabled(), gc.get_threshold()) == before


@pytest.mark.parametrize("threshold", [0, 1, 100, 700])
def test_whatever_the_hosts_threshold_is_the_round_comes_to_its_end(threshold):
    before = gc.get_threshold()
    gc.set_threshold(threshold, *before[1:])
    try:
        make(2_000, politely=True)
    finally:
        gc.set_threshold(*before)


def test_whoever_waits_for_the_end_of_a_round_ends_the_waiting(monkeypatch):
    """An exit or a fork of the host's, whose other threads go on making objects."""
    monkeypatch.setattr(garbage, "PATIENCE", 10**9)
    monkeypatch.setattr(garbage, "IN_VAIN", 10**9)
    begun, done = threading.Event(), threading.Event()

    def ours():
        garbage.begin()
        begun.set()
        for number in range(100_000):
            kept.append([number])
            garbage.make_way()
        done.set()

    kept, hosts = [], []
    gc.collect()
    thread = threading.Thread(target=ours, daemon=True)
    thread.start()
    assert begun.wait(60)
    until = time.monotonic() + 0.3
    while time.monotonic() < until:  # too slowly for a look at the garbage, and so steadily that ours has hope
        hosts.append([])
        time.sleep(0.002)
        if len(hosts) > 200:
            break
    assert not done.is_set(), "else this shows nothing"
    garbage.end()
    assert done.wait(60)
