"""What makes a target safe, in use, or unproven: one test for each rule."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lastcall.coverage import Fleet
from lastcall.dossier import Dossier, Life, Scope
from lastcall.evidence import Finding, TargetInfo
from lastcall.verdict import OUTAGES, judge
from lastcall.verdict_report import exit_code
from verdict_evidence import (
    BACKEND,
    CHANGED,
    DAY,
    HOUR,
    NOW,
    OLD,
    QUESTION,
    REF,
    caller,
    dossier,
    life,
    mention,
    watch,
)

WORKER = Scope("worker", "production", "2")


def codes(verdict, word=None):
    return {r.code for r in verdict.reasons if (r.blocks if word is None else r.blocks == word)}


def test_no_data_at_all_is_unproven():
    verdict = judge(Dossier(TargetInfo(REF, "function"), NOW), QUESTION)
    assert verdict.word == "unproven"
    assert "no-data" in codes(verdict)
    assert verdict.bound.per_hour is None


def test_never_used_long_watched_and_referred_to_by_nobody_is_safe():
    verdict = judge(dossier(), QUESTION)
    assert verdict.word == "safe"
    assert verdict.risk.probability <= 0.01
    assert verdict.bound.per_hour == pytest.approx(3 / (400 * 24))


def test_a_use_yesterday_on_a_live_release_is_in_use():
    verdict = judge(dossier(caller(1)), QUESTION)
    assert verdict.word == "in-use"
    assert codes(verdict, "in-use") == {"used"}
    assert verdict.risk.probability > 0.5


def test_a_use_on_a_release_that_no_longer_runs_stops_counting():
    lives = [life(OLD, until=3, over=True), life(BACKEND, since=3)]
    watches = [watch(OLD, until=3), watch(BACKEND, since=3)]
    evidence = dossier(caller(4, scope=OLD, fate="gone"), lives=lives, watches=watches)
    verdict = judge(evidence, QUESTION)
    assert verdict.word == "unproven"
    assert "used-by-dead-release" in {r.code for r in verdict.reasons}
    assert judge(evidence, replace(QUESTION, releases="all")).word == "in-use"


def test_a_release_is_live_while_any_process_of_it_may_be():
    lives = [life(OLD, until=0.5), life(BACKEND, since=3)]
    watches = [watch(OLD, until=0.5), watch(BACKEND, since=3)]
    verdict = judge(dossier(caller(4, scope=OLD, fate="gone"), lives=lives, watches=watches), QUESTION)
    assert verdict.word == "in-use"


def test_the_newest_release_of_a_service_runs_although_its_processes_have_ended():
    assert judge(dossier(caller(1), lives=[life(until=0.5, over=True)]), QUESTION).word == "in-use"


def test_a_release_that_nobody_heard_from_is_not_taken_for_dead():
    verdict = judge(dossier(caller(4, scope=Scope("backend", "production", "x"))), QUESTION)
    assert verdict.word == "in-use"


@pytest.mark.parametrize(("days_ago", "word"), [(30, "in-use"), (30.001, "unproven")])
def test_a_use_is_held_against_it_for_the_length_of_the_window(days_ago, word):
    assert judge(dossier(caller(days_ago)), QUESTION).word == word


def test_a_use_of_a_clock_that_is_fast_was_now():
    verdict = judge(dossier(caller(-2)), QUESTION)
    assert (verdict.word, verdict.last_use, verdict.quiet) == ("in-use", NOW, 0.0)


def test_uses_references_and_failures_of_an_ignored_service_do_not_count():
    lives, watches = [life(), life(WORKER)], [watch(), watch(WORKER), watch(WORKER, state="failed")]
    used = dossier(caller(1, scope=WORKER), mentions=[mention(how="module", scope=WORKER)], lives=lives, watches=watches)
    assert codes(judge(used, QUESTION), "in-use") == {"used", "reference"}
    assert judge(used, replace(QUESTION, ignored=(("worker", ""),))).word == "safe"


def test_callers_that_are_gone_from_the_source_explain_the_silence_after_it():
    times = range(40, 300)
    verdict = judge(dossier(caller(times=times, fate="gone")), QUESTION)
    assert verdict.word == "safe"


def test_code_that_is_gone_from_the_source_may_still_be_deployed():
    lives, watches = [life()], [watch()]
    still = replace(caller(60, fate="gone"), scope=BACKEND)
    assert codes(judge(dossier(still, lives=lives, watches=watches), QUESTION)) >= {"still-deployed"}
    left_before_the_build = caller(60, fate="gone", left_at=NOW - 55 * DAY)
    assert judge(dossier(left_before_the_build), QUESTION).word == "safe"
    in_what_runs = replace(left_before_the_build, scope=BACKEND)
    # whatever version control says: the release that used it still runs
    assert codes(judge(dossier(in_what_runs), QUESTION)) >= {"still-deployed"}
    left_after_the_build = caller(60, fate="gone", left_at=NOW - 20 * DAY)
    assert codes(judge(dossier(left_after_the_build), QUESTION)) >= {"still-deployed"}


def test_the_release_that_used_it_still_runs_so_silence_proves_nothing():
    silent = caller(399, fate="unknown")
    verdict = judge(dossier(silent, lives=[life()], watches=[watch()]), replace(QUESTION, window=DAY))
    assert codes(verdict) >= {"still-deployed"}


def test_without_names_of_releases_the_start_of_the_processes_tells_what_is_deployed():
    nameless = Scope("backend", "production", "")
    old = caller(60, fate="gone", scope=nameless, left_at=NOW - 50 * DAY)
    for started, word in ((70, "unproven"), (10, "safe")):
        lives = [replace(life(nameless), oldest=NOW - started * DAY)]
        assert judge(dossier(old, lives=lives, watches=[watch(nameless)]), QUESTION).word == word


def test_the_same_silence_unexplained_is_not_enough():
    verdict = judge(dossier(caller(times=range(40, 300), fate="unknown")), QUESTION)
    assert verdict.word == "unproven"
    assert "too-short" in codes(verdict)


@pytest.mark.parametrize(("window", "needed"), [(30, 12 * 30), (2, 259)])
def test_unexplained_silence_takes_twelve_windows_and_as_long_as_the_history_was(window, needed):
    evidence = dossier(caller(times=range(40, 300), fate="unknown"))
    assert judge(evidence, replace(QUESTION, window=window * DAY)).needed == pytest.approx(needed * DAY)


def test_code_that_one_release_had_and_another_has_not_is_there():
    evidence = dossier(caller(60, scope=OLD, fate="present"), caller(50, fate="gone", scope=BACKEND))
    assert "caller-present" in codes(judge(evidence, QUESTION))


def test_a_caller_whose_code_is_still_there_blocks_however_long_it_is_silent():
    verdict = judge(dossier(caller(390, fate="present")), QUESTION)
    assert "caller-present" in codes(verdict)
    assert verdict.word == "unproven"


def test_a_reference_left_is_in_use_even_if_it_never_ran():
    verdict = judge(dossier(mentions=[mention()]), QUESTION)
    assert verdict.word == "in-use"
    assert codes(verdict, "in-use") == {"reference"}


def test_references_by_tests_are_named_and_do_not_block():
    verdict = judge(dossier(mentions=[mention("tests/test_cart.py", test=True)]), QUESTION)
    assert verdict.word == "safe"
    assert "test-reference" in {r.code for r in verdict.reasons}


@pytest.mark.parametrize(("how", "certain"), [("string", False), ("string", True), ("call", False)])
def test_a_place_where_only_the_name_agrees_is_doubt(how, certain):
    evidence = dossier(mentions=[mention(how=how, certain=certain, breaks=False)])
    assert "perhaps-reference" in codes(judge(evidence, QUESTION), "unproven")
    without = judge(evidence, replace(QUESTION, strings=False))
    assert ("perhaps-reference" in codes(without)) == (how != "string")


def test_prose_is_no_reference():
    assert judge(dossier(mentions=[mention(how="docs", certain=False, breaks=False)]), QUESTION).word == "safe"


def test_a_module_that_holds_it_counts_only_where_it_still_runs():
    held_by_old = dossier(
        mentions=[mention(how="module", scope=OLD)], lives=[life(OLD, until=90, over=True), life()], watches=[watch()]
    )
    assert judge(held_by_old, QUESTION).word == "safe"
    assert judge(dossier(mentions=[mention(how="module", scope=BACKEND)]), QUESTION).word == "in-use"


def test_a_required_service_that_never_reported_is_named():
    verdict = judge(dossier(), replace(QUESTION, required=(("worker", "production"),)))
    assert verdict.word == "unproven"
    assert "worker in production" in " ".join(r.text for r in verdict.blocking("unproven"))
    assert judge(dossier(), replace(QUESTION, required=(("backend", ""), ("", "production")))).word == "safe"


def test_a_service_that_fell_silent_blocks_until_it_is_ignored():
    evidence = dossier(lives=[life(), life(WORKER, until=20)], watches=[watch(), watch(WORKER, until=20)])
    assert "service-silent" in codes(judge(evidence, QUESTION))
    assert judge(evidence, replace(QUESTION, ignored=(("worker", ""),))).word == "safe"


@pytest.mark.parametrize(("days", "silent"), [(0.9, False), (1.5, True)])
def test_a_service_that_always_ran_is_silent_after_a_day(days, silent):
    evidence = dossier(lives=[life(), life(WORKER, until=days)], watches=[watch(), watch(WORKER, until=days)])
    assert ("service-silent" in codes(judge(evidence, QUESTION))) == silent


@pytest.mark.parametrize(("hours", "usual"), [(5, 0.02 * 10), (5_000, 1.0)])
def test_a_restart_is_no_gap_if_it_is_short_against_what_was_heard(hours, usual):
    first = NOW - 2 * hours * HOUR - 1800, NOW - hours * HOUR - 1800
    fleet = Fleet((Life(BACKEND, (first, (NOW - hours * HOUR, NOW))),), NOW)
    assert fleet.bridge(BACKEND.where) == pytest.approx(usual * HOUR)


def test_a_job_that_runs_once_a_month_has_not_fallen_silent_between_runs():
    runs = [Scope("billing", "production", str(n)) for n in range(12)]
    lives = [life(run, since=15 + 30 * n, until=15 + 30 * n - 0.05, over=True) for n, run in enumerate(runs)]
    watches = [watch(run, since=15 + 30 * n, until=15 + 30 * n - 0.05) for n, run in enumerate(runs)]
    verdict = judge(dossier(lives=[life(), *lives], watches=[watch(), *watches]), QUESTION)
    assert verdict.word == "safe", [r.text for r in verdict.reasons]


def test_a_service_that_does_not_watch_the_target_blocks():
    verdict = judge(dossier(lives=[life(), life(WORKER)]), QUESTION)
    assert "not-watched" in codes(verdict)


def test_a_service_that_never_met_a_discovered_target_does_not_block():
    verdict = judge(dossier(lives=[life(), life(WORKER)], source="pep702"), QUESTION)
    assert verdict.word == "safe"


@pytest.mark.parametrize(("source", "blocks"), [("pep702", True), ("wildcard", True), ("warning", False)])
def test_unless_no_source_says_why_it_never_imported_the_module(source, blocks):
    evidence = dossier(lives=[life(), life(WORKER)], source=source, source_read=False)
    assert ("only-pending" in codes(judge(evidence, QUESTION))) == blocks


def test_but_one_that_used_it_does():
    used = caller(200, scope=WORKER, fate="gone", left_at=NOW - 190 * DAY)
    assert "not-watched" in codes(judge(dossier(used, lives=[life(), life(WORKER)], source="pep702"), QUESTION))
    assert "service-missing" in codes(judge(dossier(used, lives=[life()]), QUESTION))


def test_a_target_that_no_process_ever_imported_is_unproven():
    verdict = judge(dossier(watches=[watch(state="pending")]), QUESTION)
    assert codes(verdict) == {"never-armed"}


def test_to_be_armed_for_no_time_at_all_is_to_be_never_armed():
    assert "never-armed" in codes(judge(dossier(watches=[watch(since=1, until=1)]), QUESTION))


def test_a_process_that_has_not_imported_the_module_cannot_use_it():
    evidence = dossier(lives=[life(), life(WORKER)], watches=[watch(), watch(WORKER, state="pending")])
    assert judge(evidence, QUESTION).word == "safe"


@pytest.mark.parametrize("state", ["missing", "failed", "partial"])
def test_a_live_release_that_may_use_it_unseen_blocks(state):
    verdict = judge(dossier(watches=[watch(), watch(state=state, reason="a registry holds it")]), QUESTION)
    assert "not-armed" in codes(verdict)
    assert "a registry holds it" in " ".join(r.text for r in verdict.blocking("unproven"))


@pytest.mark.parametrize(("days_ago", "blocks"), [(35.9, True), (36.1, False)])
@pytest.mark.parametrize("state", ["missing", "failed", "partial"])
def test_a_live_release_that_sees_it_now_blocks_for_as_long_as_silence_is_asked_for(state, days_ago, blocks):
    """A process that could not see a use is made up for by the 36 days of silence that were watched since."""
    before = watch(since=300, until=days_ago, state=state)
    verdict = judge(dossier(lives=[life()], watches=[watch(), before]), QUESTION)
    assert verdict.needed == pytest.approx(36 * DAY)
    assert ("not-armed" in codes(verdict)) == blocks


@pytest.mark.parametrize(("source", "blocks"), [("config", True), ("pep702", False), ("wildcard", True)])
def test_a_process_without_it_among_its_targets_blocks_unless_it_would_only_be_found(source, blocks):
    unaware = (watch(state="missing", reason="not among their targets"),)
    verdict = judge(replace(dossier(source=source), unaware=unaware), QUESTION)
    assert (verdict.word, "not-armed" in codes(verdict)) == (("unproven", True) if blocks else ("safe", False))


def test_what_failed_in_a_release_that_is_gone_is_history():
    old = watch(OLD, since=200, until=100, state="failed")
    verdict = judge(dossier(lives=[life(OLD, until=100, over=True), life()], watches=[watch(), old]), QUESTION)
    assert verdict.word == "safe"


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        ("dropped:call-site-limit", True),
        ("dropped:stack-exhausted", True),
        ("dropped:journal-backlog", True),
        ("internal:arming", True),
        ("internal:first-sight", True),
        ("internal:journal-write", True),
        ("internal:child-journal-open", True),
        ("reading:missing-counts", True),
        ("dropped:sighting-queue", False),
        ("dropped:otlp-full", False),
        ("dropped:gcp-refused", False),
        *((name, False) for name in OUTAGES),
        ("internal:exporter-otlp", True),
        ("internal:orphans", True),
    ],
)
def test_drops_and_errors_block_where_uses_may_have_gone_uncounted(name, blocks):
    verdict = judge(dossier(lives=[life(troubles=((name, 3),))]), QUESTION)
    assert ("lossy" in codes(verdict)) == blocks


def test_what_was_lost_in_a_release_that_is_gone_or_in_a_service_that_is_ignored_does_not_block():
    lost = (("dropped:call-site-limit", 3),)
    gone = [life(OLD, until=CHANGED, over=True, troubles=lost), life(since=CHANGED)]
    assert judge(dossier(lives=gone), QUESTION).word == "safe"
    elsewhere = dossier(lives=[life(), life(WORKER, troubles=lost)], watches=[watch(), watch(WORKER)])
    assert "lossy" in codes(judge(elsewhere, QUESTION))
    assert judge(elsewhere, replace(QUESTION, ignored=(("worker", ""),))).word == "safe"


def test_too_little_observed_time_is_unproven():
    evidence = dossier(lives=[life(since=20)], watches=[watch(since=20)])
    verdict = judge(evidence, QUESTION)
    assert "too-short" in codes(verdict)
    assert verdict.needed == pytest.approx(36 * DAY)


def test_time_that_nobody_watched_is_no_silence():
    half = [watch(since=60, until=30)]
    verdict = judge(dossier(watches=half, lives=[life()]), QUESTION)
    assert verdict.word == "unproven"
    assert verdict.quiet < 31 * DAY


@pytest.mark.parametrize("state", ["missing", "failed", "partial"])
def test_time_in_which_a_use_could_go_unseen_is_no_silence(state):
    lives = [life(OLD, until=CHANGED, over=True), life(since=CHANGED)]
    watches = [watch(OLD, since=400, until=300), watch(OLD, since=300, until=CHANGED, state=state), watch(since=CHANGED)]
    assert judge(dossier(lives=lives, watches=watches), QUESTION).quiet == pytest.approx((100 + CHANGED) * DAY)


def test_a_declared_schedule_must_come_round_even_if_callers_are_gone():
    evidence = dossier(caller(50, times=(142,), fate="gone", left_at=NOW - 45 * DAY), schedule="quarterly")
    assert "too-short" in codes(judge(evidence, QUESTION))
    assert judge(replace(evidence, target=dossier().target), QUESTION).word == "safe"


def test_a_monthly_use_is_not_judged_on_two_weeks():
    monthly = caller(times=[20 + 30 * n for n in range(8)], fate="gone")
    verdict = judge(dossier(monthly), replace(QUESTION, window=14 * DAY))
    assert verdict.word == "unproven"
    assert verdict.rhythm is not None
    assert verdict.rhythm.name == "monthly"


def test_an_isolation_finding_blocks():
    finding = Finding("isolation", REF, NOW - DAY, "one manager was handed to two users")
    verdict = judge(dossier(findings=[(BACKEND, finding)]), QUESTION)
    assert codes(verdict) == {"isolation"}


@pytest.mark.parametrize(("days_ago", "blocks"), [(29, True), (31, False)])
def test_users_that_a_release_which_is_gone_has_mixed_block_for_a_window(days_ago, blocks):
    finding = Finding("isolation", REF, NOW - days_ago * DAY, "one manager was handed to two users")
    lives = [life(OLD, until=2, over=True), life(since=100)]
    verdict = judge(dossier(findings=[(OLD, finding)], lives=lives, watches=[watch()]), QUESTION)
    assert ("isolation" in codes(verdict)) == blocks


def test_a_removed_target_that_is_asked_for_is_in_use():
    finding = Finding("removed", REF, NOW - DAY, "ImportError: cannot import name 'make_cart'")
    evidence = dossier(findings=[(BACKEND, finding)], watches=[watch(state="removed")])
    assert codes(judge(evidence, QUESTION), "in-use") == {"asked-for"}
    gone = [life(OLD, until=CHANGED, over=True), life(since=CHANGED)]
    by_an_old_release = dossier(findings=[(OLD, finding)], lives=gone, watches=[watch(state="removed")])
    assert judge(by_an_old_release, QUESTION).word == "safe"


def test_allowed_uses_tests_and_scanners_are_named_and_do_not_count():
    evidence = dossier(
        caller(1, allowed=True, name="factory"),
        caller(1, name="test_cart", by_test=True),
        caller(1, name="getmembers", scanner=True),
    )
    verdict = judge(evidence, QUESTION)
    assert verdict.word == "safe"
    assert {"allowed", "tests", "scanner"} <= {r.code for r in verdict.reasons}


def test_the_verdict_says_what_it_cannot_know():
    assert "limits" in {r.code for r in judge(dossier(), QUESTION).reasons}


def test_the_bound_is_three_over_the_hours_of_silence_and_compares_with_before():
    verdict = judge(dossier(caller(times=range(50, 250), count=4800, fate="gone")), QUESTION)
    assert verdict.bound.per_hour == pytest.approx(3 / (50 * 24))
    assert verdict.bound.before_per_hour == pytest.approx(4800 / (350 * 24), rel=0.01)


def test_silence_is_counted_in_the_service_observed_least():
    evidence = dossier(lives=[life(), life(WORKER, since=10)], watches=[watch(), watch(WORKER, since=10)])
    verdict = judge(evidence, QUESTION)
    assert verdict.quiet == pytest.approx(10 * DAY)
    assert verdict.word == "unproven"


def test_every_verdict_states_a_risk_within_its_own_interval():
    for evidence in (dossier(), dossier(caller(1)), dossier(caller(45, fate="gone")), Dossier(TargetInfo(REF, "function"), NOW)):
        risk = judge(evidence, QUESTION).risk
        assert 0 <= risk.low <= risk.probability <= risk.high <= 1


def test_hours_are_not_needed_for_a_verdict():
    bare = replace(caller(60, fate="gone", left_at=NOW - 50 * DAY), hours=())
    assert judge(dossier(bare), QUESTION).word == "safe"
    assert HOUR == 3600.0


@pytest.mark.parametrize(
    ("words", "code"),
    [(("safe", "safe"), 0), (("safe", "unproven", "in-use"), 1), (("safe", "unproven"), 2), ((), 2)],
)
def test_the_exit_code_is_that_of_the_worst_verdict_and_none_is_no_proof(words, code):
    assert exit_code([replace(judge(dossier(), QUESTION), word=word) for word in words]) == code


def test_nobody_is_asked_to_change_a_library():
    (reason,) = [one for one in judge(dossier(caller(1)), QUESTION).reasons if one.code == "used"]
    assert reason.remedy == "Move shop/checkout.py:12 to the replacement."
    (reason,) = [one for one in judge(dossier(caller(1, origin="indirect")), QUESTION).reasons if one.code == "used"]
    assert reason.remedy.startswith("That line is a library's")
    both = dossier(caller(1), caller(2, name="refund", origin="indirect"))
    (reason,) = [one for one in judge(both, QUESTION).reasons if one.code == "used"]
    assert reason.remedy.startswith("Some of these lines are a library's")
