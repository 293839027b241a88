"""What must hold for any evidence at all: more uses and less observation never make a verdict safer."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from how_many import examples
from lastcall.dossier import Caller, Scope
from lastcall.evidence import Finding
from lastcall.intervals import clip, measure, union
from lastcall.verdict import judge
from verdict_evidence import BACKEND, DAY, HOUR, NOW, OLD, QUESTION, REF, dossier, life, mention, site, watch

SAFETY = {"safe": 0, "unproven": 1, "in-use": 2}
WORKER = Scope("worker", "production", "7")
SCOPES = (OLD, BACKEND, WORKER)
many = settings(max_examples=examples(100), deadline=None, suppress_health_check=list(HealthCheck))

days = st.one_of(st.floats(0.05, 500), st.sampled_from([0.5, 29.9, 30.1, 35.9, 36.1, 40, 359, 361]))


@st.composite
def callers(draw, fates=("gone", "gone", "gone", "unknown", "present")):
    times = sorted(draw(st.lists(days, min_size=1, max_size=12)), reverse=True)
    instants = [NOW - day * DAY for day in times]
    return Caller(
        site=site(draw(st.sampled_from(["checkout", "refund", "report"])), by_test=draw(st.integers(0, 9)) == 0),
        scope=draw(st.sampled_from(SCOPES)),
        count=draw(st.integers(len(times), 10_000)),
        first_seen=instants[0],
        last_seen=instants[-1],
        hours=tuple(sorted({int(at // HOUR) for at in instants})),
        fate=draw(st.sampled_from(fates)),
        left_at=draw(st.one_of(st.none(), st.floats(0, 200).map(lambda day: NOW - day * DAY))),
        allowed=draw(st.integers(0, 9)) == 0,
    )


@st.composite
def stretches(draw):
    marks = sorted(draw(st.lists(st.floats(0, 450), min_size=2, max_size=6, unique=True)), reverse=True)
    marks[-1] = draw(st.sampled_from([marks[-1], 0.0, 0.0]))
    return union((NOW - a * DAY, NOW - b * DAY) for a, b in zip(marks[::2], marks[1::2]))


@st.composite
def evidence(draw):
    lives = [life(OLD, until=35, over=True), life(since=draw(st.sampled_from([35.0, 60.0])))]
    watches = [watch(OLD, until=35), watch(since=60)]
    if draw(st.booleans()):
        lives.append(life(WORKER))
        watches.append(replace(watch(WORKER), during=draw(stretches())))
    if draw(st.integers(0, 4)) == 0:
        watches[1] = replace(watches[1], during=draw(stretches()))
    return dossier(
        *draw(st.lists(callers(), max_size=4)),
        lives=lives,
        watches=watches,
        source_read=draw(st.sampled_from([True, True, False])),
        mentions=draw(st.lists(st.just(mention(test=True)), max_size=1)),
        schedule=draw(st.sampled_from(["", "", "", "weekly", "quarterly"])),
    )


windows = st.sampled_from([DAY, 7 * DAY, 14 * DAY, 30 * DAY, 90 * DAY]).map(lambda w: replace(QUESTION, window=w))


def used_once_more(caller, day):
    at = NOW - day * DAY
    return replace(
        caller,
        count=caller.count + 1,
        first_seen=min(caller.first_seen, at),
        last_seen=max(caller.last_seen, at),
        hours=tuple(sorted({*caller.hours, int(at // HOUR)})),
    )


@many
@given(evidence(), windows, st.data())
def test_one_use_more_never_makes_a_verdict_safer(before, question, data):
    known = list(before.callers)
    day = data.draw(days)
    if known and data.draw(st.booleans()):
        # somebody who used it before: the same caller, at any time, in the middle of a gap too
        number = data.draw(st.integers(0, len(known) - 1))
        known[number] = used_once_more(known[number], day)
    else:
        known.append(used_once_more(replace(data.draw(callers()), allowed=False), day))
    after = replace(before, callers=tuple(known))
    assert SAFETY[judge(after, question).word] >= SAFETY[judge(before, question).word]


@many
@given(evidence(), windows, st.data())
def test_a_busier_history_never_makes_a_verdict_safer(before, question, data):
    more = tuple(
        used_once_more(caller, day) for caller in before.callers for day in [data.draw(days)]
    )
    busier = replace(before, callers=tuple(replace(c, count=c.count * 3) for c in more))
    assert SAFETY[judge(busier, question).word] >= SAFETY[judge(before, question).word]


def intersect(first, second):
    return tuple(part for since, until in second for part in clip(first, since, until))


@many
@given(evidence(), windows, st.data())
def test_watching_less_never_makes_a_verdict_safer(before, question, data):
    kept = data.draw(stretches())
    number = data.draw(st.integers(0, len(before.watches) - 1))
    watches = list(before.watches)
    watches[number] = replace(watches[number], during=intersect(watches[number].during, kept))
    after = replace(before, watches=tuple(w for w in watches if w.during))
    assert SAFETY[judge(after, question).word] >= SAFETY[judge(before, question).word]


@many
@given(evidence(), windows, st.sampled_from(["missing", "failed", "partial"]))
def test_failing_to_watch_never_makes_a_verdict_safer(before, question, state):
    after = replace(before, watches=(*before.watches[:-1], replace(before.watches[-1], state=state)))
    assert SAFETY[judge(after, question).word] >= SAFETY[judge(before, question).word]


@many
@given(evidence(), windows)
def test_knowing_less_of_the_source_never_makes_a_verdict_safer(before, question):
    unread = replace(
        before, source_read=False, callers=tuple(replace(c, fate="unknown", left_at=None) for c in before.callers)
    )
    known = judge(before, question)
    if {r.code for r in known.reasons} & {"still-deployed", "caller-present"}:
        return  # the source brought bad news
    assert SAFETY[judge(unread, question).word] >= SAFETY[known.word]


@many
@given(evidence(), windows, st.sampled_from(["mention", "finding", "trouble", "required"]))
def test_bad_news_never_makes_a_verdict_safer(before, question, news):
    after = before
    if news == "mention":
        after = replace(before, mentions=(*before.mentions, mention()))
    elif news == "finding":
        after = replace(before, findings=((BACKEND, Finding("isolation", REF, NOW - DAY, "mixed")),))
    elif news == "trouble":
        after = replace(before, fleet=tuple(replace(entry, troubles=(("dropped:call-site-limit", 1),)) for entry in before.fleet))
    asked = replace(question, required=(("nobody", ""),)) if news == "required" else question
    assert SAFETY[judge(after, asked).word] >= SAFETY[judge(before, question).word]


@many
@given(evidence(), windows)
def test_nothing_observed_is_never_safe(before, question):
    assert judge(replace(before, fleet=(), watches=()), question).word != "safe"
    assert judge(replace(before, watches=()), question).word != "safe"


@many
@given(evidence(), windows, st.randoms(use_true_random=False))
def test_the_order_in_which_evidence_comes_makes_no_difference(before, question, random):
    def shuffled(items):
        items = list(items)
        random.shuffle(items)
        return tuple(items)

    after = replace(
        before, fleet=shuffled(before.fleet), watches=shuffled(before.watches), callers=shuffled(before.callers),
        mentions=shuffled(before.mentions),
    )
    first, second = judge(before, question), judge(after, question)
    assert (first.word, first.needed, first.last_use) == (second.word, second.needed, second.last_use)
    assert abs(first.risk.probability - second.risk.probability) < 1e-9


@many
@given(evidence(), windows)
def test_a_safe_verdict_states_a_risk_within_its_limit(before, question):
    verdict = judge(before, question)
    assert 0 <= verdict.risk.low <= verdict.risk.probability <= verdict.risk.high <= 1
    if verdict.word == "safe":
        assert verdict.risk.probability <= question.limit
        assert verdict.quiet >= 1.2 * question.window
    assert all(reason.text for reason in verdict.reasons)


@given(stretches(), stretches())
def test_intervals(first, second):
    both = intersect(first, second)
    assert measure(both) <= min(measure(first), measure(second)) + 1e-6
    assert abs(measure(union([*first, *second])) - (measure(first) + measure(second) - measure(both))) < 1e-3
    assert measure(clip(first, NOW - 10 * DAY, NOW)) <= 10 * DAY + 1e-6
