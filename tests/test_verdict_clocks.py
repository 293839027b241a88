"""Clocks that are wrong: what they say must not stand in for observation, and not for the newest release."""

from __future__ import annotations

from lastcall.coverage import Fleet
from lastcall.dossier import Life, Scope, Watch
from lastcall.verdict import judge
from verdict_evidence import BACKEND, DAY, HOUR, NOW, QUESTION, caller, dossier, life, watch

WORKER = Scope("worker", "production", "1")
NEXT_CENTURY = NOW + 20_000 * DAY
UNSET = HOUR
"""An hour after the epoch: a machine that has just started and not been told the time."""


def codes(verdict):
    return {r.code for r in verdict.reasons if r.blocks}


def heard(scope, *stretches, over=True):
    return Life(scope, tuple(sorted(stretches)), over)


def off_for_sixty_days(*wrong):
    """A service that was watched for a year, with two restarts, until the agent was switched off there."""
    stretches = [
        (NOW - 400 * DAY, NOW - 200 * DAY),
        (NOW - 200 * DAY + 600, NOW - 100 * DAY),
        (NOW - 100 * DAY + 600, NOW - 60 * DAY),
        *((at, at + 60) for at in wrong),
    ]
    during = tuple(sorted(stretches))
    return dossier(lives=[life(), heard(WORKER, *during)], watches=[watch(), Watch(WORKER, "armed", during)])


def test_the_control_a_service_switched_off_two_months_ago_is_silent():
    assert "service-silent" in codes(judge(off_for_sixty_days(), QUESTION))


def test_one_process_with_a_clock_ahead_does_not_keep_its_service_from_being_silent():
    assert "service-silent" in codes(judge(off_for_sixty_days(NEXT_CENTURY), QUESTION))


def test_nor_do_processes_with_clocks_that_were_never_set_make_it_a_job_that_pauses_for_decades():
    assert "service-silent" in codes(judge(off_for_sixty_days(UNSET), QUESTION))
    both = off_for_sixty_days(UNSET, UNSET + DAY, NEXT_CENTURY, NEXT_CENTURY + DAY)
    assert "service-silent" in codes(judge(both, QUESTION))


def test_two_pauses_of_different_length_make_the_shorter_one_usual():
    runs = (NOW - 70 * DAY, NOW - 70 * DAY + 60), (NOW - 69 * DAY, NOW - 69 * DAY + 60), (NOW - 9 * DAY, NOW)
    fleet = Fleet((heard(WORKER, *runs),), NOW)
    assert fleet.bridge(WORKER.where) < 2 * DAY


def test_a_service_heard_from_only_by_a_clock_ahead_is_silent_and_the_reason_says_why():
    ahead = (NEXT_CENTURY, NEXT_CENTURY + 60)
    verdict = judge(
        dossier(lives=[life(), heard(WORKER, ahead)], watches=[watch(), Watch(WORKER, "armed", (ahead,))]), QUESTION
    )
    (silent,) = [r.text for r in verdict.reasons if r.code == "service-silent"]
    assert "a clock that is wrong" in silent


def test_a_release_with_a_clock_ahead_does_not_take_the_place_of_the_newest_one():
    """The newest release of a job counts between its runs, whatever another one's clock says."""
    odd = Scope("backend", "production", "odd")
    recent = (NOW - 30 * DAY, NOW - 2 * HOUR)
    lives = [heard(odd, (NEXT_CENTURY, NEXT_CENTURY + 60)), heard(BACKEND, recent)]
    fleet = Fleet(tuple(lives), NOW)
    assert fleet.live == {odd, BACKEND}
    assert fleet.last_heard(BACKEND.where) == recent[1]
    verdict = judge(dossier(caller(1), lives=lives, watches=[Watch(BACKEND, "armed", (recent,))]), QUESTION)
    assert (verdict.word, "used" in codes(verdict)) == ("in-use", True)


def test_time_that_lies_ahead_is_not_observed():
    ahead = (NOW - 10 * DAY, NOW + 0.5 * DAY)
    verdict = judge(dossier(lives=[heard(BACKEND, ahead, over=False)], watches=[Watch(BACKEND, "armed", (ahead,))]), QUESTION)
    assert verdict.observed[0].total == 10 * DAY


def test_a_clock_that_is_a_few_hours_ahead_is_the_present():
    ahead = (NOW - 400 * DAY, NOW + 5 * HOUR)
    verdict = judge(dossier(lives=[heard(BACKEND, ahead, over=False)], watches=[Watch(BACKEND, "armed", (ahead,))]), QUESTION)
    assert verdict.word == "safe", [r.text for r in verdict.reasons]
