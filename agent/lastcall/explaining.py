"""A verdict told as a story: who used it, when, on which release, what was watched, what is missing."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from lastcall.reasons import ago, date, percent, plural, span, where_name
from lastcall.verdict_report import MARKS, TELLING, rate, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lastcall.dossier import Caller
    from lastcall.verdict import Verdict

SHOWN = 15
"""Callers and references told one by one."""
FATES = {
    "gone": "its code is gone from the source",
    "present": "its code is still there",
    "unknown": "what became of its code is not known",
}


def explain(verdict: Verdict) -> str:
    """The evidence on one target in a person's words."""
    target = verdict.target
    parts = [f"{target.ref}: {MARKS[verdict.word].lower()}"]
    about = [
        f"{label} {value}"
        for label, value in (
            ("replaced by", target.replacement),
            ("deprecated since", target.since),
            ("to be removed by", target.remove_by),
            ("owned by", target.owner),
            ("see", target.issue),
        )
        if value
    ]
    if about:
        text = "; ".join(about)
        parts.append("\n".join(_paragraph(text[0].upper() + text[1:] + ".")))
    for title, lines in (
        ("Who used it", _users(verdict)),
        ("Who still refers to it", _references(verdict)),
        ("Who was watching", _watchers(verdict)),
        ("What that says", _risk(verdict)),
        ("What stands in the way", _reasons(verdict, blocking=True)),
        ("Worth knowing", _reasons(verdict, blocking=False)),
    ):
        told = [line for text in lines for line in _paragraph(text)]
        if told:
            parts.append("\n".join([title, *told]))
    return "\n\n".join(parts) + "\n"


def _paragraph(text: str) -> list[str]:
    return wrapped(text, indent="  ")


def _users(verdict: Verdict) -> Iterator[str]:
    if not verdict.callers:
        yield "Nobody, as far as it was watched."
        return
    grouped: dict[tuple[str, ...], list[Caller]] = defaultdict(list)
    for caller in verdict.callers:
        grouped[caller.key].append(caller)
    ranked = sorted(grouped.values(), key=lambda same: -max(c.last_seen for c in same))
    for same in ranked[:SHOWN]:
        yield f"- {_user(same, verdict.at)}"
    if len(ranked) > SHOWN:
        yield f"- and {len(ranked) - SHOWN} more, longer ago."
    if verdict.rhythm:
        yield f"The uses came in a {verdict.rhythm.name} rhythm, {verdict.rhythm.seen} times."


def _user(same: list[Caller], now: float) -> str:
    last = max(same, key=lambda c: c.last_seen)
    site = last.site
    first = min(c.first_seen for c in same)
    releases = sorted({c.scope.release for c in same if c.scope.release})
    on = f", on {plural(len(releases), 'release')}, {last.scope.release} the last" if releases else ""
    text = (
        f"{site.function} ({site.file}:{site.line}) in {where_name(last.scope.where)}: "
        f"{plural(sum(c.count for c in same), site.use)} from {date(first)} to {date(last.last_seen)}, "
        f"{ago(now - last.last_seen)}{on}; {FATES[last.fate]}"
    )
    if last.left_at and last.left_exactly:
        text += f" since {date(last.left_at)}"
    marks = [
        words
        for yes, words in (
            (last.allowed, f"allowed: {last.allow_reason or 'on the allow list'}"),
            (site.by_test, "a test"),
            (site.scanner, "a scanner that touches everything"),
            (site.during_import, "while modules were imported"),
            (bool(site.via), f"through the subclass {site.via}"),
            (site.origin == "indirect", "from an installed package"),
        )
        if yes
    ]
    return text + (f" ({'; '.join(marks)})." if marks else ".")


def _references(verdict: Verdict) -> Iterator[str]:
    ranked = sorted(verdict.mentions, key=lambda m: (not m.breaks, m.test, m.file, m.line))
    for mention in ranked[:SHOWN]:
        what = "would break" if mention.breaks else "perhaps, by name alone"
        where = f", held in {where_name(mention.scope.where)}" if mention.scope else ""
        test = ", in a test" if mention.test else ""
        yield f"- {mention.file}:{mention.line}: {mention.how} {mention.text} ({what}{test}{where})."
    if len(ranked) > SHOWN:
        yield f"- and {len(ranked) - SHOWN} more."
    if not ranked and any(r.code == "source-not-read" for r in verdict.reasons):
        yield "Not known: the source was not read."
    elif not ranked:
        yield "Nobody, in the source that was read."


def _watchers(verdict: Verdict) -> Iterator[str]:
    for item in verdict.observed:
        running = f"; {', '.join(item.live[-3:])} runs now" if any(item.live) else ""
        yield (
            f"- {where_name(item.where)}: {span(item.total)} in all, {span(item.seconds)} since the last use "
            f"({item.share:.0%} of that time){running}."
        )
    if not verdict.observed:
        yield "Nobody."


def _risk(verdict: Verdict) -> Iterator[str]:
    risk, bound = verdict.risk, verdict.bound
    low, high = percent(risk.low), percent(risk.high)
    leeway = f", between {low} and {high} by what the evidence leaves open" if low != high else ""
    yield (
        f"The chance of a use within the next {span(verdict.question.window)} is estimated at "
        f"{percent(risk.probability)}{leeway}. Safe takes at most {percent(verdict.question.limit)}."
    )
    if bound.per_hour is None:
        yield "No time was observed, so nothing bounds the rate."
        return
    if bound.seconds < TELLING:
        yield f"{span(bound.seconds).capitalize()} of silence tell no rate; needed are {span(verdict.needed)}."
        return
    before = f"; before, it was {rate(bound.before_per_hour)}" if bound.before_per_hour else ""
    yield (
        f"With no use in {span(bound.seconds)} observed, the rate is below {rate(bound.per_hour)} at "
        f"{bound.confidence:.0%} confidence{before}. "
        f"The silence needed is {span(verdict.needed)}."
    )


def _reasons(verdict: Verdict, *, blocking: bool) -> Iterator[str]:
    for reason in verdict.reasons:
        if bool(reason.blocks) == blocking:
            yield f"- {reason.text}{' ' + reason.remedy if reason.remedy else ''}"
