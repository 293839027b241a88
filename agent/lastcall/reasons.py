"""The reasons of a verdict in a person's words: what is so, and what would change it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lastcall.schedule import SLACK

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lastcall.dossier import Caller, Mention, Observed, Question, Scope, Watch
    from lastcall.evidence import Finding, TargetInfo
    from lastcall.risk import Risk
    from lastcall.schedule import Rhythm

HOUR = 3600.0
DAY = 86_400.0
SHOWN = 3
"""Examples named in a sentence."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a verdict is what it is. `blocks` is the verdict it forces; empty for what is merely said."""

    code: str
    blocks: Literal["in-use", "unproven", ""]
    text: str
    remedy: str = ""
    where: tuple[str, str] = ("", "")
    """The service and environment that it is about, if it is about one."""


def used(callers: Sequence[Caller], now: float, question: Question) -> Reason:
    """Uses within the window."""
    latest = max(callers, key=lambda c: c.last_seen)
    total = sum(c.count for c in callers)
    return Reason(
        "used",
        "in-use",
        f"{plural(len(callers), 'caller')} used it in the last {span(question.window)} "
        f"({plural(total, 'use')} in all); last {ago(now - latest.last_seen)} by {caller_name(latest)} "
        f"on {scope_name(latest.scope)}.",
        _way_out(callers),
    )


def _way_out(callers: Sequence[Caller]) -> str:
    """What to do about the callers. A library's line is not the reader's to change."""
    if any(c.site.origin == "indirect" for c in callers):
        whose = "That line is" if len(callers) == 1 else "Some of these lines are"
        return f"{whose} a library's: change what hands it the target."
    return f"Move {place(callers[0])} to the replacement." if len(callers) == 1 else "Move these callers first."


def used_by_dead_release(callers: Sequence[Caller], now: float) -> Reason:
    """Uses within the window on releases that no longer run."""
    latest = max(callers, key=lambda c: c.last_seen)
    return Reason(
        "used-by-dead-release",
        "",
        f"The last use was {ago(now - latest.last_seen)}, "
        f"on {scope_name(latest.scope)}, which no longer runs.",
    )


def referred(mentions: Sequence[Mention]) -> Reason:
    """References that removal would break."""
    return Reason(
        "reference",
        "in-use",
        f"{plural(len(mentions), 'reference')} would break on removal: {_places(mentions)}.",
        "Change or remove these lines together with the target, or before it.",
    )


def referred_by_tests(mentions: Sequence[Mention]) -> Reason:
    """References in test code."""
    return Reason(
        "test-reference", "", f"Tests refer to it: {_places(mentions)}.", "Remove them with the target."
    )


def perhaps_referred(mentions: Sequence[Mention]) -> Reason:
    """Places where only the name agrees."""
    return Reason(
        "perhaps-reference",
        "unproven",
        f"{plural(len(mentions), 'place')} may refer to it, by its name alone: {_places(mentions)}.",
        "Read these lines. If the strings among them are only text: --ignore-strings.",
    )


def source_unread(places: Sequence[str]) -> Reason:
    """Source that is there, and that may not be read."""
    listed = "; ".join(places[:SHOWN])
    more = f" and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
    return Reason(
        "source-unread",
        "unproven",
        f"{plural(len(places), 'place')} of the source could not be looked into: {listed}{more}.",
        "Check it out, ask as a user who may read all of it, or name the folders that hold source with --path.",
    )


def asked_for(findings: Sequence[Finding]) -> Reason:
    """A removed target that is asked for."""
    return Reason(
        "asked-for",
        "in-use",
        f"It is removed, and code still asks for it: {findings[0].message}",
        "Mend that code, or bring the target back.",
    )


def no_data() -> Reason:
    """Nothing was ever observed."""
    return Reason(
        "no-data",
        "unproven",
        "Nothing was ever observed: no process has reported to this store.",
        "Run the application with LASTCALL_ENABLED=1, and look at `lastcall doctor`.",
    )


def never_armed(target: TargetInfo, watches: Iterable[Watch]) -> Reason:
    """No process had the target armed."""
    states = sorted({w.state for w in watches})
    if states == ["pending"]:
        text = "No process that was observed ever imported its module, so nothing was armed."
    elif "armed" in states or "removed" in states:
        text = "It was armed for no time that was observed."
    elif states:
        text = f"No process had it armed; it was {', '.join(states)}."
    else:
        text = "No process that was observed had it among its targets."
    return Reason(
        "never-armed",
        "unproven",
        text,
        f"Is {target.ref} spelled right? `lastcall doctor` says what it finds.",
    )


def only_pending(where: tuple[str, str]) -> Reason:
    """A service in which the target's module was never imported, and no source that says why."""
    return Reason(
        "only-pending",
        "unproven",
        f"{where_name(where)} never imported its module, so nothing was armed there.",
        "Give its source with --path: where no line refers to the target, none can reach it. Or --ignore it.",
        where,
    )


def never_observed(where: tuple[str, str]) -> Reason:
    """A service nobody heard from."""
    return Reason(
        "service-missing",
        "unproven",
        f"{where_name(where)} was never observed.",
        "Switch the agent on there; or drop it from the requirement, or --ignore it, if it is retired.",
        where,
    )


def fell_silent(where: tuple[str, str], last: float, now: float) -> Reason:
    """A service that stopped reporting."""
    return Reason(
        "service-silent",
        "unproven",
        f"{where_name(where)} was last heard from {ago(now - last)}."
        if last
        else f"{where_name(where)} was heard from only at times that lie ahead, by a clock that is wrong.",
        "Is it still running, with the agent? If it was retired: --ignore service=NAME.",
        where,
    )


def not_watched(where: tuple[str, str]) -> Reason:
    """A service that runs the agent without this target."""
    return Reason(
        "not-watched",
        "unproven",
        f"{where_name(where)} runs the agent, but does not watch this target.",
        "Add the target to its configuration; or --ignore that service if it cannot use it.",
        where,
    )


def not_armed(scope: Scope, state: str, reason: str, processes: int) -> Reason:
    """A live release in which uses may go unseen."""
    because = f": {reason}" if reason else ""
    return Reason(
        "not-armed",
        "unproven",
        f"On {scope_name(scope)} it is {state} in {plural(processes, 'process', 'processes')}{because}.",
        "`lastcall doctor` in that service says why.",
    )


def lossy(lost: Sequence[tuple[str, int]]) -> Reason:
    """Drops and internal errors."""
    listed = ", ".join(f"{name} ({count})" for name, count in lost[:SHOWN])
    return Reason(
        "lossy",
        "unproven",
        f"Uses may have gone uncounted in releases that still run: {listed}.",
        "`lastcall doctor` explains each; the next release starts from zero.",
    )


def unread(processes: int) -> Reason:
    """Evidence that is there, and that may not be read."""
    return Reason(
        "lossy",
        "unproven",
        f"What {plural(processes, 'process has', 'processes have')} left beside the store is not readable here.",
        "Ask as the user whose processes they are, or as root.",
    )


def isolation(findings: Sequence[Finding]) -> Reason:
    """Users that were mixed."""
    return Reason(
        "isolation",
        "unproven",
        f"{plural(sum(f.count for f in findings), 'isolation finding')}: {findings[0].message}",
        "Find out who shares the object before changing how it is made.",
    )


def still_written(callers: Sequence[Caller]) -> Reason:
    """Callers whose code is still there."""
    listed = ", ".join(place(c) for c in callers[:SHOWN])
    return Reason(
        "caller-present",
        "unproven",
        f"Code that used it is still in the source: {listed}.",
        "It may reach the target by a name made at run time. Change it, or see that it is dead.",
    )


def still_deployed(callers: Sequence[Caller]) -> Reason:
    """Callers whose code is in what runs, whatever became of it in the source."""
    caller = callers[0]
    where = where_name(caller.scope.where)
    if caller.fate == "gone":
        since = f" since {date(caller.left_at)}" if caller.left_at else ""
        text = f"{caller_name(caller)} is gone from the source{since}, but {where} still runs a release"
        text += " that was built before."
    else:
        text = f"{where} still runs release {caller.scope.release}, in which {caller_name(caller)} used it."
    return Reason(
        "still-deployed",
        "unproven",
        text,
        "Deploy. If it was deployed under the same name: give every build its own release name.",
    )


def too_short(
    quiet: float, needed: float, window: float, schedule: str, unexplained: Sequence[Caller]
) -> Reason:
    """Too little observed silence."""
    text = f"{span(quiet)} of silence observed, of {span(needed)} needed"
    remedy = f"Wait {span(needed - quiet)} more."
    because = ""
    if unexplained and needed > 2 * window:
        present = [caller_name(caller) for caller in unexplained if caller.fate == "present"]
        if present:
            because = f", because the code of {present[0]} is still there"
            remedy = f"Move {present[0]} first: code that is gone explains the silence."
        else:
            because = f", because nothing but silence says that {caller_name(unexplained[0])} is gone"
            remedy = "Give the source of its callers with --path: code that is gone explains the silence."
    text += f" (it is declared {schedule})" if schedule else because
    return Reason("too-short", "unproven", text + ".", remedy)


def gaps_in_observation(behind: Sequence[Observed]) -> Reason:
    """Time that nobody watched."""
    listed = "; ".join(f"{where_name(o.where)} {o.share:.0%}" for o in behind[:SHOWN])
    return Reason(
        "gaps", "", f"Not all of the time since the last use was observed: {listed}.", "Keep the agent on."
    )


def rhythm(found: Rhythm, last: float, now: float) -> Reason:
    """A learned rhythm, and when it would come round."""
    due = last + SLACK * found.period
    when = f"was due by {date(due)}" if due < now else f"is due by {date(due)}"
    return Reason(
        "rhythm", "", f"Its uses came in a {found.name} rhythm ({found.seen} times); the next one {when}."
    )


def risky(risk: Risk, question: Question) -> Reason:
    """An estimate above the limit."""
    return Reason(
        "risk",
        "unproven",
        f"A use in the next {span(question.window)} has an estimated chance of {percent(risk.probability)}; "
        f"safe takes {percent(question.limit)}.",
    )


def removed_by_change(became: str) -> Reason:
    """The change under review takes the target away."""
    text = (
        "The change deletes it." if not became else f"The change takes it away; it looks like {became} now."
    )
    remedy = "Keep the old name as an alias until it is safe to delete." if became else ""
    return Reason("removed-by-change", "", text, remedy)


def allowed(callers: Sequence[Caller]) -> Reason:
    """Uses on the allow list."""
    reasons = sorted({c.allow_reason for c in callers if c.allow_reason})
    because = f" ({'; '.join(reasons[:SHOWN])})" if reasons else ""
    return Reason(
        "allowed", "", f"Uses that the allow list covers do not count: {caller_name(callers[0])}{because}."
    )


def by_tests(callers: Sequence[Caller]) -> Reason:
    """Uses by test runners."""
    return Reason("tests", "", f"Uses by tests do not count: {plural(len(callers), 'call site')}.")


def by_scanners(callers: Sequence[Caller]) -> Reason:
    """Uses by reflection."""
    return Reason(
        "scanner", "", f"Reached by code that touches everything, which does not count: {place(callers[0])}."
    )


def source_not_read(used_before: bool) -> Reason:
    """No source tree was searched."""
    what = "who still refers to it" + (", and whether its callers' code is gone" if used_before else "")
    return Reason(
        "source-not-read", "", f"The source was not read, so it is not known {what}.", "Pass --path SOURCE."
    )


def limits(where: Sequence[tuple[str, str]]) -> Reason:
    """What no observation can tell."""
    seen = ", ".join(where_name(w) for w in where[:SHOWN]) or "no service"
    more = f" and {len(where) - SHOWN} more" if len(where) > SHOWN else ""
    return Reason(
        "limits",
        "",
        f"This holds for {seen}{more}. A service without the agent, or code outside the source that "
        "was read, is not in it.",
    )


# -- small words ------------------------------------------------------------------------------------


def plural(count: int, one: str, many: str = "") -> str:
    """`1 use`, `2 uses`."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def span(seconds: float) -> str:
    """A length of time in the largest unit that says it well."""
    for unit, length in (("day", DAY), ("hour", HOUR), ("minute", 60.0)):
        if seconds >= 2 * length or (seconds >= length and seconds % length == 0):
            amount = seconds / length
            number = f"{amount:.0f}" if amount >= 10 or amount == int(amount) else f"{amount:.1f}"  # noqa: PLR2004
            return f"{number} {unit}{'' if number == '1' else 's'}"
    return plural(round(seconds), "second")


def ago(seconds: float) -> str:
    """How long ago."""
    return f"{span(max(seconds, 0))} ago"


def percent(chance: float) -> str:
    """A probability, never rounded to none or all of it."""
    if chance <= 0.0001:  # noqa: PLR2004
        return "under 0.01 %"
    if chance >= 0.999:  # noqa: PLR2004
        return "over 99.9 %"
    return f"{100 * chance:.2g} %" if chance < 0.995 else f"{100 * chance:.1f} %"  # noqa: PLR2004


def date(at: float) -> str:
    """The day (UTC)."""
    return dt.datetime.fromtimestamp(at, dt.timezone.utc).strftime("%Y-%m-%d")


def rfc3339(at: float) -> str:
    """The instant, UTC, to the second."""
    return dt.datetime.fromtimestamp(at, dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def where_name(where: tuple[str, str]) -> str:
    """`backend in production`."""
    service, environment = where
    name = service or "any service"
    return f"{name} in {environment}" if environment else name


def scope_name(scope: Scope) -> str:
    """`backend in production, release 1.2`."""
    name = where_name(scope.where)
    return f"{name}, release {scope.release}" if scope.release else name


def place(caller: Caller) -> str:
    """`core/health.py:228`."""
    return f"{caller.site.file}:{caller.site.line}"


def caller_name(caller: Caller) -> str:
    """`check_health (core/health.py:228)`."""
    return f"{caller.site.function} ({place(caller)})"


def _places(mentions: Sequence[Mention]) -> str:
    how = {"text": "in what cannot be parsed"}
    listed = ", ".join(f"{m.file}:{m.line} ({how.get(m.how, m.how)})" for m in mentions[:SHOWN])
    more = len(mentions) - SHOWN
    return f"{listed} and {more} more" if more > 0 else listed
