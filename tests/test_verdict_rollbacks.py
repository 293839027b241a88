"""A rollback brings a release's callers back: how far it would have to go, and how often a service does that."""

from __future__ import annotations

import pytest

from lastcall.coverage import Fleet
from lastcall.dossier import Life, Scope
from lastcall.risk import HOPEFUL, PRIOR, WARY, Rollback
from lastcall.verdict import judge
from verdict_evidence import DAY, NOW, QUESTION, caller, dossier, watch


def scope(number):
    return Scope("backend", "production", str(number))


def releases(*days, again=()):
    """Releases 0, 1 ... that each took over so many days ago; `again`: (release, from, to) ran a second time."""
    ends = [*days[1:], 0]
    for number, (since, until) in enumerate(zip(days, ends, strict=True)):
        heard = [(NOW - since * DAY, NOW - until * DAY)]
        heard += [(NOW - a * DAY, NOW - b * DAY) for which, a, b in again if which == number]
        yield Life(scope(number), tuple(sorted(heard)), until > 0)


def verdict(*days, again=(), last=45):
    """On a caller that was last used `last` days ago, in release 0 of these, and whose code is gone since then."""
    lives = list(releases(*days, again=again))
    used = caller(last, times=range(last + 1, last + 60), scope=scope(0), fate="gone", left_at=NOW - last * DAY)
    watches = [watch(life.scope, since=400) for life in lives]
    return judge(dossier(used, lives=lives, watches=watches), QUESTION)


def test_releases_since_are_counted_in_one_service():
    fleet = Fleet((*releases(300, 39, 20), Life(Scope("chat", "production", "9"), ((NOW - 9, NOW),))), NOW)
    where = ("backend", "production")
    assert [fleet.begun_after(where, NOW - days * DAY) for days in (301, 300, 30, 10)] == [3, 2, 1, 0]
    assert fleet.pace(("backend", "production")) == 150 * DAY
    assert fleet.pace(("chat", "production")) == float("inf")
    assert fleet.begun_after(("nowhere", ""), 0.0) == 0


def test_a_release_that_ran_again_after_a_newer_one_is_a_rollback():
    where = ("backend", "production")
    assert Fleet(tuple(releases(300, 39, 20, again=[(0, 38, 37)])), NOW).comebacks[where] == 1
    assert Fleet(tuple(releases(300, 39, 20, again=[(0, 38, 37), (0, 36, 35)])), NOW).comebacks[where] == 2
    # It was only away for a while, and nothing newer had begun: a restart.
    restarted = Life(scope(0), ((NOW - 300 * DAY, NOW - 200 * DAY), (NOW - 190 * DAY, NOW - 39 * DAY)))
    assert Fleet((restarted, *list(releases(39, 20))[1:]), NOW).comebacks[where] == 0


def test_a_rare_caller_was_in_every_release_until_its_code_left():
    """Its last use was in release 0; three releases later, the day before the last, its code left."""
    far = verdict(400, 39, 30, 20, 10)
    lives = list(releases(400, 39, 30, 20, 10))
    used = caller(45, times=range(46, 105), scope=scope(0), fate="gone", left_at=NOW - 14 * DAY)
    watches = [watch(life.scope, since=400) for life in lives]
    near = judge(dossier(used, lives=lives, watches=watches), QUESTION)
    assert near.risk.probability > far.risk.probability + 0.001


def test_the_further_back_the_less_likely():
    chances = [Rollback(newer, 4.0, 0, 20).probability(PRIOR) for newer in range(1, 7)]
    assert chances == sorted(chances, reverse=True)
    assert chances[0] > 0.004
    assert chances[-1] == 0


def test_the_more_releases_ahead_and_the_more_rollbacks_behind_the_likelier():
    ahead = [Rollback(1, many, 0, 20).probability(PRIOR) for many in (0.1, 1, 2, 4)]
    seen = [Rollback(1, 2.0, many, 20).probability(PRIOR) for many in (0, 1, 2, 5)]
    assert ahead == sorted(ahead)
    assert seen == sorted(seen)
    assert seen[0] < seen[-1] < 0.2


@pytest.mark.parametrize("named", [0, 1, 50])
def test_its_interval_holds_it(named):
    rollback = Rollback(1, 2.0, 0, named)
    assert rollback.probability(HOPEFUL) < rollback.probability(PRIOR) < rollback.probability(WARY) < 0.1


def test_a_service_that_rolls_back_often_is_not_safe_while_its_last_caller_is_one_release_away():
    near = (400, 39)
    often = [(0, 38, 37), (0, 36, 35), (0, 34, 33), (0, 32, 31)]
    assert verdict(*near).word == "safe"
    shaky = verdict(*near, again=often)
    assert shaky.risk.probability > verdict(*near).risk.probability
    assert shaky.word == "unproven"
    # Four releases on, none of that reaches back so far.
    assert verdict(*near, 30, 20, 10, 5, again=often).word == "safe"
