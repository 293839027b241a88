"""May we delete this shim yet? One pure function, from the evidence on a target to a verdict with reasons.

`judge` fails closed: whatever it does not know counts against `safe`. Two things decide, and both must agree.

*The reasons* are rules that never reward a use or a gap in the observation: more uses never make a verdict
safer, less observation never does (tested as a property). That is why a long, busy history does not shorten
the silence that is asked for: it could as well have held the one monthly call only.

*The risk* is the estimate of `lastcall.risk`, which does learn from the history; `safe` needs it to be at
most the question's limit.
"""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from lastcall import reasons as why
from lastcall.coverage import Fleet, expected, observed_since, watched
from lastcall.dossier import Caller, Dossier, Mention, Observed, Question, Scope, Watch, covers
from lastcall.intervals import Intervals, measure
from lastcall.risk import PRIOR, Fate, Outlook, Referred, Risk, Rollback, Silence, estimate, outlook
from lastcall.schedule import PERIODS, SLACK, Rhythm, learn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lastcall.evidence import Finding, TargetInfo
    from lastcall.reasons import Reason

HOUR = 3600.0
DAY = 86_400.0

Word = Literal["safe", "in-use", "unproven"]
Where = tuple[str, str]

QUIET = 1.2
"""Windows of observed silence that `safe` takes at least."""
QUIET_UNEXPLAINED = 12.0
"""The same where nothing but the silence says that a caller is gone."""
MONTH = 31 * DAY
DEPLOY_SLACK = 3 * DAY
"""A release is built some time before it runs: a change younger than that may not be in it."""
OUTLOOKS = 12
"""Callers whose silence is examined one by one: those most likely to come back. The rest adds nothing."""
CERTAIN = 0.99
"""A chance of return from which on the other callers need no look."""
HARMLESS = ("sighting-queue", "active-span", "sample", "-full", "-refused")
"""Drops and failures on the way to a backend or of details: no use goes uncounted by them."""
FOUND = ("pep702", "wildcard")
"""Where targets come from that are known only once their module was imported."""
OUTAGES = ("internal:otlp-traces", "internal:otlp-metrics", "internal:otlp-logs", "internal:gcp")
"""Backends that were away. What they are to be told is kept, or what is not is counted as a drop."""


@dataclass(frozen=True, slots=True)
class Bound:
    """What the silence alone proves: with no use in `seconds`, the rate is below `per_hour`."""

    seconds: float
    per_hour: float | None
    """None where nothing was observed."""
    before_per_hour: float | None
    """Uses an hour before, up to the last one; None if it was never used."""
    confidence: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for one target, with all it rests on."""

    target: TargetInfo
    word: Word
    risk: Risk
    bound: Bound
    reasons: tuple[Reason, ...]
    needed: float
    """Seconds of observed silence that `safe` takes here."""
    observed: tuple[Observed, ...]
    last_use: float | None
    uses: int
    callers: tuple[Caller, ...]
    mentions: tuple[Mention, ...]
    rhythm: Rhythm | None
    at: float
    question: Question

    @property
    def quiet(self) -> float:
        """Seconds observed since the last use, in the service observed least."""
        return self.bound.seconds

    def blocking(self, word: str) -> list[Reason]:
        """The reasons that force `word`."""
        return [reason for reason in self.reasons if reason.blocks == word]


def judge(dossier: Dossier, question: Question, fleet: Fleet | None = None) -> Verdict:
    """Reach a verdict. `fleet` may be given where many targets of one fleet are judged: it is made from
    `dossier.fleet` else."""
    case = _Case(dossier, question, fleet or Fleet(dossier.fleet, dossier.now))
    reasons = tuple(_reasons(case))
    risk = case.risk
    if risk.probability > question.limit:
        reasons += (why.risky(risk, question),)
    blocks = {reason.blocks for reason in reasons}
    word: Word = "in-use" if "in-use" in blocks else "unproven" if "unproven" in blocks else "safe"
    return Verdict(
        target=dossier.target,
        word=word,
        risk=risk,
        bound=case.bound,
        reasons=reasons,
        needed=case.needed,
        observed=case.observed,
        last_use=case.last_use or None,
        uses=sum(caller.count for caller in case.callers),
        callers=dossier.callers,
        mentions=dossier.mentions,
        rhythm=case.rhythm,
        at=dossier.now,
        question=question,
    )


class _Case:
    """A dossier read in the light of a question: the quantities that rules and risk share."""

    def __init__(self, dossier: Dossier, question: Question, fleet: Fleet) -> None:
        self.dossier = dossier
        self.question = question
        self.fleet = fleet
        self.target = dossier.target
        self.now = dossier.now
        self.callers = [c for c in dossier.callers if c.counts and not self._ignored(c.scope)]
        self.last_use = max((min(c.last_seen, self.now) for c in self.callers), default=0.0)
        self.first_use = min((c.first_seen for c in self.callers), default=0.0)
        self.watched = watched(fleet, dossier.watches)
        self.where = expected(fleet, question, (c.scope.where for c in self.callers))
        self.breaking = [m for m in dossier.mentions if m.breaks and not m.test and self._holds(m)]
        self.explained = dossier.source_read and all(c.fate == "gone" for c in self.callers)

    def _ignored(self, scope: Scope) -> bool:
        return any(covers(pattern, scope.where) for pattern in self.question.ignored)

    def _holds(self, mention: Mention) -> bool:
        """Whether a mention stands in the source, or in a release that runs."""
        if mention.scope is None:
            return True
        # What the source no longer says goes with the next deployment; what lies outside it does not.
        return mention.scope in self.fleet.live and not self._ignored(mention.scope)

    @cached_property
    def live(self) -> frozenset[Scope]:
        """The scopes whose uses count."""
        users = {caller.scope for caller in self.callers}
        if self.question.releases == "all":
            return self.fleet.known | users
        # A release that nobody heard from but that was used is not known to be dead.
        unheard = users - self.fleet.known
        return self.fleet.live | unheard if unheard else self.fleet.live

    @cached_property
    def observed(self) -> tuple[Observed, ...]:
        """How each service that matters was observed since the last use."""
        return tuple(
            observed_since(self.fleet, where, self.watched.get(where, ()), self.last_use)
            for where in self.where
            if where in self.watched
        )

    @cached_property
    def watching(self) -> tuple[Observed, ...]:
        """Those of `observed` that the silence is measured on: where the target is named at all."""
        return tuple(item for item in self.observed if item.total > 0)

    @cached_property
    def quiet(self) -> float:
        """Seconds of observed silence, in the service that was observed least."""
        if self.dossier.brief:
            return max(self.now - self.last_use, 0.0)
        return min((item.seconds for item in self.watching), default=0.0)

    @cached_property
    def needed(self) -> float:
        """Seconds of observed silence that `safe` takes. Grows with the history, never shrinks by a use."""
        window = self.question.window
        needed = QUIET * window
        if self.target.schedule in PERIODS:
            needed = max(needed, SLACK * PERIODS[self.target.schedule])
        span = self.last_use - self.first_use
        if self.explained:
            # A short window must not judge what may have come monthly; what spans a day cannot tell.
            return max(needed, min(SLACK * span, SLACK * MONTH))
        if self.callers:
            needed = max(needed, QUIET_UNEXPLAINED * window, span)
        return needed

    @cached_property
    def bound(self) -> Bound:
        hours = self.quiet / HOUR
        before = None
        if self.callers:
            start = min((during[0][0] for during in self.watched.values() if during), default=self.first_use)
            span = max(self.last_use - min(start, self.first_use), HOUR)
            before = sum(c.count for c in self.callers) / (span / HOUR)
        return Bound(self.quiet, 3 / hours if hours > 0 else None, before, self.question.confidence)

    @cached_property
    def merged(self) -> list[tuple[Caller, tuple[int, ...]]]:
        """Callers over all releases, each with the hours of its uses: the one used last stands for all."""
        grouped: dict[tuple[str, ...], list[Caller]] = defaultdict(list)
        for caller in self.callers:
            grouped[caller.key].append(caller)
        result = []
        for same in grouped.values():
            last, hours = same[0], same[0].hours
            if len(same) > 1:
                last = max(same, key=_latest)
                hours = tuple(sorted({hour for c in same for hour in c.hours}))
                fates = {c.fate for c in same}
                doubt: Fate = "present" if "present" in fates else "unknown"
                last = replace(last, fate=doubt) if len(fates) > 1 else last
                running = [c.scope for c in same if c.scope in self.fleet.live and c.scope.release]
                last = replace(last, scope=max(running)) if running else last
            result.append((last, hours or (int(last.last_seen // 3600),)))
        result.sort(key=lambda item: (-item[0].last_seen, item[0].key))
        return result

    @cached_property
    def rhythm(self) -> Rhythm | None:
        """The rhythm of the caller seen last that has one."""
        for _, hours in self.merged[:3]:
            found = learn(hours)
            if found:
                return found
        return None

    @cached_property
    def referred(self) -> Referred:
        if self.breaking:
            return "left"
        if self.dossier.source_read:
            return "none"
        armed = any(w.state == "armed" and w.scope in self.live for w in self.dossier.watches)
        return "held-by-none" if armed else "unknown"

    @cached_property
    def risk(self) -> Risk:
        known = {caller.site.file for caller in self.callers}
        observed = min((item.total for item in self.watching), default=0.0)
        return estimate(
            self._outlooks(),
            observed=self.now - self.first_use if self.dossier.brief else observed,
            window=self.question.window,
            referred=self.referred,
            unexplained=any(m.file not in known for m in self.breaking),
            unobserved=0 if self.dossier.brief else len(list(_unobserved(self))),
            rollbacks=() if self.dossier.brief else self._rollbacks(),
        )

    def _rollbacks(self) -> list[Rollback]:
        """Of each service with a caller that is gone, how near its last release is."""
        newer: dict[Where, int] = {}
        for caller in self.callers:
            if caller.fate == "gone":
                where = caller.scope.where
                # A rare caller was in releases that it was never seen in: until its code left, not its last use.
                left = caller.last_seen if caller.left_at is None else caller.left_at + self._slack
                since = max(1, self.fleet.begun_after(where, left))
                newer[where] = min(since, newer.get(where, since))
        result = []
        for where, since in sorted(newer.items()):
            lives = self.fleet.services.get(where, [])
            named = len(lives) if any(life.scope.release for life in lives) else 0
            ahead = self.question.window / self.fleet.pace(where)
            result.append(Rollback(since, ahead, self.fleet.comebacks.get(where, 0), named))
        return result

    def _outlooks(self) -> list[Outlook]:
        """Of the callers that are likeliest to come back, until that is as good as certain."""
        found = []
        for caller, hours in self._likeliest():
            found.append(outlook(self._silence(caller, hours), self.question.window))
            if found[-1].probability(PRIOR) > CERTAIN:
                break
        return found

    def _likeliest(self) -> list[tuple[Caller, tuple[int, ...]]]:
        """The callers whose silence is shortest against their usual pace."""

        def pace(item: tuple[Caller, tuple[int, ...]]) -> float:
            caller, hours = item
            usual = max(1.0, (hours[-1] - hours[0]) / len(hours))
            return (self.now - caller.last_seen) / (usual * HOUR)

        return heapq.nsmallest(2 if self.dossier.brief else OUTLOOKS, self.merged, key=pace)

    def _silence(self, caller: Caller, hours: Sequence[int]) -> Silence:
        gaps = tuple((later - earlier) * HOUR for earlier, later in itertools.pairwise(hours))
        elapsed = max(self.now - caller.last_seen, 1.0)
        if self.dossier.brief:
            return Silence(gaps, elapsed, 1.0, self._fate(caller), 0.0)
        during = self.watched.get(caller.scope.where, ())
        seen = sum(
            min(until, self.now) - max(since, caller.last_seen)
            for since, until in during
            if until > caller.last_seen and since < self.now
        )
        return Silence(gaps, seen, min(1.0, seen / elapsed), self._fate(caller), self.deployed(caller))

    @property
    def _slack(self) -> float:
        return min(DEPLOY_SLACK, self.question.window / 10)

    def deployed(self, caller: Caller) -> float:
        """The chance that what runs of a caller's service was built after the caller's code had gone.

        Known where version control tells when that was, and each release has its name. Else the end may have
        been at any time since the last use.
        """
        if caller.scope in self.fleet.live and caller.scope.release:
            return 0.0  # it was used in this very release, whenever version control says that its code left
        start = self.fleet.built_before(caller.scope.where)
        if caller.left_at is not None:
            if caller.left_at + self._slack <= start:
                return 1.0
            if caller.left_exactly:
                return 0.0
        since = max(self.now - caller.last_seen, 1.0)
        return min(1.0, max(0.0, start - caller.last_seen) / since)

    def _fate(self, caller: Caller) -> Fate:
        if caller.fate == "gone" and self.breaking:
            return "unknown"  # it may have become one of the references that are left
        return caller.fate


def _latest(caller: Caller) -> tuple[object, ...]:
    """By last use; the rest makes the order of equal ones certain."""
    return caller.last_seen, caller.scope, caller.left_at or 0.0, caller.site.line, caller.site.note


# -- the rules --------------------------------------------------------------------------------------


def _reasons(case: _Case) -> Iterator[Reason]:
    yield from _used(case)
    yield from _referred(case)
    yield from _asked_for(case)
    if case.dossier.brief:
        return
    yield from _unwatched(case)
    yield from _unobserved(case)
    yield from _only_pending(case)
    yield from _not_armed(case)
    yield from _lossy(case)
    yield from _isolation(case)
    yield from _still_written(case)
    yield from _too_short(case)
    yield from _worth_knowing(case)


def _used(case: _Case) -> Iterator[Reason]:
    """Uses within the window, on a release that still runs."""
    since = case.now - case.question.window
    recent = [c for c in case.callers if c.last_seen >= since]
    counting = [c for c in recent if c.scope in case.live]
    if counting:
        yield why.used(counting, case.now, case.question)
    gone = [c for c in recent if c.scope not in case.live]
    if gone and not counting:
        yield why.used_by_dead_release(gone, case.now)


def _referred(case: _Case) -> Iterator[Reason]:
    if case.breaking:
        yield why.referred(case.breaking)
    tests = [m for m in case.dossier.mentions if m.breaks and m.test]
    if tests:
        yield why.referred_by_tests(tests)
    doubtful = [m for m in case.dossier.mentions if _is_doubtful(m, case.question) and case._holds(m)]
    if doubtful and not case.breaking:
        yield why.perhaps_referred(doubtful)
    if case.dossier.source_unread:
        yield why.source_unread(case.dossier.source_unread)


def _is_doubtful(mention: Mention, question: Question) -> bool:
    """Whether a mention may turn out to be a reference: only the name agrees."""
    if mention.breaks or mention.test or mention.how == "docs":
        return False
    return question.strings if mention.how == "string" else not mention.certain


def _asked_for(case: _Case) -> Iterator[Reason]:
    """A removed target that code still asks for."""
    found = [f for scope, f in case.dossier.findings if f.kind == "removed" and scope in case.live]
    if found:
        yield why.asked_for(found)


def _unwatched(case: _Case) -> Iterator[Reason]:
    """Nothing is known, or the target was never armed."""
    if not case.fleet.lives:
        yield why.no_data()
        return
    if not any(
        watch.state in {"armed", "removed"} and measure(watch.during) > 0 for watch in case.dossier.watches
    ):
        yield why.never_armed(case.target, case.dossier.watches)


def _only_pending(case: _Case) -> Iterator[Reason]:
    """Services that never imported the target's module. The source may explain it; silence alone does not.

    Of a target that is found when its module is imported they have not even heard.
    """
    if case.dossier.source_read:
        return
    states: dict[Where, set[str]] = defaultdict(set)
    for watch in case.dossier.watches:
        states[watch.scope.where].add(watch.state)
    for where in case.where if set().union(*states.values()) != {"pending"} else ():
        unheard = where not in states and case.target.source in FOUND and where in case.fleet.services
        if unheard or states[where] == {"pending"}:
            yield why.only_pending(where)


def _unobserved(case: _Case) -> Iterator[Reason]:
    """Services that were never observed, no longer are, or do not watch this target."""
    question = case.question
    known = [where for where, lives in case.fleet.services.items() if lives]
    for pattern in question.required:
        if not any(covers(pattern, where) for where in known):
            yield why.never_observed(pattern)
    users = {caller.scope.where for caller in case.callers}
    for where in case.where:
        if where not in case.fleet.services:
            yield why.never_observed(where)
        elif case.fleet.fell_silent(where):
            yield why.fell_silent(where, case.fleet.last_heard(where), case.now)
        elif where not in case.watched and (case.target.source == "config" or where in users):
            yield why.not_watched(where)


def _not_armed(case: _Case) -> Iterator[Reason]:
    """Processes of a live release in which a use could have gone unseen."""
    since = case.now - case.needed
    blind: dict[tuple[Scope, str, str], int] = defaultdict(int)
    # What PEP 702 makes a target when its module is imported, no process says that it would have it before.
    unaware = case.dossier.unaware if case.target.source in ("config", "wildcard") else ()
    for watch in (*case.dossier.watches, *unaware):
        if watch.state in ("missing", "failed", "partial") and _matters(case, watch, since):
            blind[watch.scope, watch.state, watch.reason] += watch.processes
    for (scope, state, reason), processes in sorted(blind.items()):
        yield why.not_armed(scope, state, reason, processes)


def _matters(case: _Case, watch: Watch, since: float) -> bool:
    recent: Intervals = watch.during[-1:]
    return (
        watch.scope in case.live
        and not any(covers(pattern, watch.scope.where) for pattern in case.question.ignored)
        and bool(recent)
        and recent[0][1] >= since
    )


def _lossy(case: _Case) -> Iterator[Reason]:
    """Drops and internal errors in live releases: uses may have gone uncounted."""
    lost: dict[str, int] = defaultdict(int)
    for life in case.fleet.lives:
        if life.troubles and life.scope in case.live and life.scope.where in case.where:
            for name, count in life.troubles:
                if count and not _harmless(name):
                    lost[name] += count
    if lost:
        yield why.lossy(sorted(lost.items()))
    if case.dossier.unread:
        yield why.unread(case.dossier.unread)


def _harmless(name: str) -> bool:
    return name in OUTAGES or name.endswith(HARMLESS)


def _isolation(case: _Case) -> Iterator[Reason]:
    since = case.now - case.question.window
    found: list[Finding] = [
        finding
        for scope, finding in case.dossier.findings
        if finding.kind == "isolation" and (scope in case.live or finding.at >= since)
    ]
    if found:
        yield why.isolation(found)


def _still_written(case: _Case) -> Iterator[Reason]:
    """Callers that no static reference explains, whose code is there all the same: they find it by name."""
    present = [caller for caller, _ in case.merged if caller.fate == "present"]
    if present and not case.breaking:
        yield why.still_written(present)
    deployed = [c for c, _ in case.merged if c.fate != "present" and not case.deployed(c)]
    if deployed:
        yield why.still_deployed(deployed)


def _too_short(case: _Case) -> Iterator[Reason]:
    """Too little observed silence, for the window, a schedule, or an end that nothing explains."""
    if case.quiet >= case.needed:
        return
    unexplained = [c for c, _ in case.merged if c.fate != "gone"] if not case.explained else []
    yield why.too_short(case.quiet, case.needed, case.question.window, case.target.schedule, unexplained)
    behind = [item for item in case.watching if item.share < 0.9 and item.seconds < case.needed]  # noqa: PLR2004
    if behind and case.last_use:
        yield why.gaps_in_observation(behind)
    if case.rhythm:
        yield why.rhythm(case.rhythm, case.last_use, case.now)


def _worth_knowing(case: _Case) -> Iterator[Reason]:
    others: Iterable[Caller] = case.dossier.callers
    allowed = [c for c in others if c.allowed]
    if allowed:
        yield why.allowed(allowed)
    tests = [c for c in others if c.site.by_test and not c.allowed]
    if tests:
        yield why.by_tests(tests)
    scanners = [c for c in others if c.site.scanner and not c.site.by_test and not c.allowed]
    if scanners:
        yield why.by_scanners(scanners)
    if not case.dossier.source_read:
        yield why.source_not_read(bool(case.callers))
    yield why.limits(case.where)
