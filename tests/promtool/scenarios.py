"""What happened in a project, as series, and what each alert has to say about it.

Times are minutes. Metrics and labels have OpenTelemetry's names; `render` spells them for one backend.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from source.promql import Spelling  # noqa: TC002 - not a type only in tests that read it

CHAT = {"service.name": "chat", "deployment.environment.name": "staging"}
MAIL = {"service.name": "mail", "deployment.environment.name": "staging"}
TARGET = {"lastcall.target": "shop.legacy:make"}
OTHER = {"lastcall.target": "shop.legacy:other"}
DAY = 24 * 60
STEP = 5
"""Minutes between two points."""


@dataclass(frozen=True)
class Series:
    """`values` in promtool's notation, one point every STEP minutes from minute 0 on."""

    metric: str
    labels: dict[str, str]
    values: str
    instance: str = "a"


@dataclass(frozen=True)
class Scenario:
    """`fires` holds the labels of every alert expected at minute `at`."""

    alert: str
    name: str
    series: tuple[Series, ...]
    at: int
    fires: tuple[dict[str, str], ...] = field(default=())

    def __str__(self) -> str:
        return f"{self.alert}: {self.name}"


def flat(value: int, minutes: int) -> str:
    """The same value for so long."""
    return f"{value}x{minutes // STEP - 1}"  # promtool counts the repetitions


def absent(minutes: int) -> str:
    """No point for so long."""
    return f"_x{minutes // STEP}"


def growing(start: int, by: int, minutes: int) -> str:
    """One step up at every point."""
    return f"{start}+{by}x{minutes // STEP - 1}"


def then(*parts: str) -> str:
    """One after the other."""
    return " ".join(parts)


def sites(values: str, target: dict[str, str] = TARGET, instance: str = "a") -> Series:
    return Series("lastcall.call_sites", CHAT | target, values, instance)


def uses(values: str, target: dict[str, str] = TARGET, instance: str = "a", **more: str) -> Series:
    labels = CHAT | target | {"lastcall.use": "call", "lastcall.origin": "direct", "lastcall.owner": "platform"} | more
    return Series("lastcall.uses", labels, values, instance)


def deadline(minute: int, minutes: int, target: dict[str, str] = TARGET, instance: str = "a") -> Series:
    labels = CHAT | target | {"lastcall.owner": "platform"}
    return Series("lastcall.remove_by_time", labels, flat(minute * 60, minutes), instance)


def mixed(values: str, kind: str = "isolation", instance: str = "a") -> Series:
    return Series("lastcall.findings", CHAT | TARGET | {"lastcall.finding": kind}, values, instance)


def life(values: str, place: dict[str, str] = CHAT, instance: str = "a") -> Series:
    return Series("lastcall.observed_time", place, values, instance)


HIT = CHAT | TARGET
OWNED = TARGET | {"lastcall.owner": "platform"}
WEEK = 8 * DAY

SCENARIOS = (
    Scenario("new-call-site", "a third call site beside two known ones fires",
             (sites(then(flat(2, WEEK), flat(3, 20))),), WEEK + 5, (HIT,)),
    Scenario("new-call-site", "known call sites stay silent", (sites(flat(2, WEEK + 30)),), WEEK + 15),
    Scenario("new-call-site", "no data stays silent", (), WEEK),
    Scenario("new-call-site", "a restarted process that sees the same call sites again stays silent",
             (sites(flat(2, WEEK)), sites(then(absent(WEEK), flat(0, 5), flat(2, 20)), instance="b")), WEEK + 15),
    Scenario("new-call-site", "a series born with call sites fires",
             (sites(flat(2, WEEK + 30)), sites(then(absent(WEEK), flat(3, 20)), OTHER)), WEEK + 5, (CHAT | OTHER,)),
    Scenario("new-call-site", "a watched target without call sites stays silent", (sites(flat(0, WEEK + 30)),), WEEK + 15),
    Scenario("new-call-site", "the first call site of a watched target fires",
             (sites(then(flat(0, WEEK), flat(1, 20))),), WEEK + 5, (HIT,)),

    Scenario("uses-resumed", "a use after a watched week without one fires",
             (uses(then(flat(5, WEEK), flat(6, 20))),), WEEK + 5, (HIT,)),
    Scenario("uses-resumed", "steady use stays silent", (uses(growing(5, 1, WEEK + 30)),), WEEK + 15),
    Scenario("uses-resumed", "a watched target without a use stays silent", (uses(flat(5, WEEK + 30)),), WEEK + 15),
    Scenario("uses-resumed", "no data stays silent", (), WEEK),
    Scenario("uses-resumed", "a restart without a use stays silent",
             (uses(flat(5, WEEK)), uses(then(absent(WEEK), flat(0, 20)), instance="b")), WEEK + 15),
    Scenario("uses-resumed", "a use in a process born after a quiet week fires, its first point included",
             (uses(flat(5, WEEK)), uses(then(absent(WEEK), flat(3, 20)), instance="b")), WEEK + 5, (HIT,)),
    Scenario("uses-resumed", "a target never watched before has not resumed",
             (uses(then(absent(WEEK), flat(3, 20))),), WEEK + 10),

    Scenario("past-remove-by", "a use after the date fires",
             (uses(growing(1, 1, 3 * DAY)), deadline(DAY, 3 * DAY)), 3 * DAY - 5, (OWNED,)),
    Scenario("past-remove-by", "a use on the last day stays silent",
             (uses(growing(1, 1, 3 * DAY)), deadline(2 * DAY, 3 * DAY)), 3 * DAY - 5),
    Scenario("past-remove-by", "no use for a day stays silent after the date",
             (uses(flat(9, 3 * DAY)), deadline(DAY, 3 * DAY)), 3 * DAY - 5),
    Scenario("past-remove-by", "no data stays silent", (), 3 * DAY),
    Scenario("past-remove-by", "a restart without a use stays silent",
             (uses(flat(9, 2 * DAY)), uses(then(absent(2 * DAY), flat(0, DAY)), instance="b"),
              deadline(DAY, 3 * DAY, instance="b")), 3 * DAY - 5),
    Scenario("past-remove-by", "a series born with uses fires",
             (uses(then(absent(3 * DAY - 20), flat(2, 20))), deadline(DAY, 3 * DAY)), 3 * DAY - 5, (OWNED,)),
    Scenario("past-remove-by", "two processes of one target fire once",
             (uses(growing(1, 1, 3 * DAY)), uses(growing(1, 1, 3 * DAY), instance="b"), deadline(DAY, 3 * DAY),
              deadline(DAY, 3 * DAY, instance="b")), 3 * DAY - 5, (OWNED,)),

    Scenario("isolation", "a finding fires", (mixed(then(flat(0, 120), flat(1, 60))),), 140, (HIT,)),
    Scenario("isolation", "old findings stay silent", (mixed(flat(3, DAY)),), DAY - 5),
    Scenario("isolation", "findings of another kind stay silent", (mixed(then(flat(0, 120), flat(1, 60)), "impact"),), 140),
    Scenario("isolation", "no data stays silent", (), 140),
    Scenario("isolation", "a restart stays silent",
             (mixed(flat(3, 300)), mixed(then(absent(300), flat(0, 60)), instance="b")), 355),
    Scenario("isolation", "a series born with a finding fires",
             (mixed(then(absent(300), flat(2, 60))),), 320, (HIT,)),

    Scenario("observation-lost", "a service silent for half an hour fires", (life(growing(1, 300, 120)),), 160, (CHAT,)),
    Scenario("observation-lost", "a service silent for twenty minutes stays silent", (life(growing(1, 300, 120)),), 140),
    Scenario("observation-lost", "a reporting service stays silent", (life(growing(1, 300, 300)),), 290),
    Scenario("observation-lost", "no data at all stays silent", (), 290),
    Scenario("observation-lost", "a restarted process of the same service stays silent",
             (life(growing(1, 300, 120)), life(then(absent(120), growing(1, 300, 120)), instance="b")), 200),
    Scenario("observation-lost", "a newborn service stays silent", (life(then(absent(280), growing(1, 300, 30))),), 300),
    Scenario("observation-lost", "only the lost one of two services fires",
             (life(growing(1, 300, 120)), life(growing(1, 300, 300), MAIL, "m")), 200, (CHAT,)),
)  # fmt: skip


def render(series: Series, spelling: Spelling) -> dict[str, str]:
    """As promtool's `input_series`."""
    labels = {"instance": series.instance} | series.labels
    matchers = [f'{spelling.label(name)}="{value}"' for name, value in labels.items()]
    return {"series": spelling.series(series.metric, *matchers), "values": series.values}


# -- log-based metrics --------------------------------------------------------------------------------------

PLACE = {"service": "chat", "environment": "staging"}
SITE = {"target": "shop.legacy:make", "file": "shop/health.py", "function": "check"}


def counted(metric: str, labels: dict[str, str], values: str, revision: str = "chat-1") -> Series:
    """A log-based metric as PromQL sees it. DELTA is read as a counter, so it starts from an unwritten zero."""
    resource = {"monitored_resource": "cloud_run_revision", "revision_name": revision}
    return Series(f"logging_googleapis_com:user_lastcall_{metric}", resource | labels, values)


def entries(values: str, revision: str = "chat-1", **more: str) -> Series:
    return counted("call_sites", SITE | PLACE | {"line": "12", "origin": "direct"} | more, values, revision)


def used(values: str, revision: str = "chat-1", **more: str) -> Series:
    return counted("uses_sum", {"target": SITE["target"], "use": "call"} | PLACE | more, values, revision)


def observed(values: str, revision: str = "chat-1", **place: str) -> Series:
    return counted("observations", PLACE | place, values, revision)


MONTH = 15 * DAY
NEW_SITE = SITE | PLACE
RESUMED = {"target": SITE["target"]} | PLACE

LOG_SCENARIOS = (
    Scenario("new-call-site", "a call site the week did not have fires",
             (entries(then(flat(0, WEEK), flat(1, 20))),), WEEK, (NEW_SITE,)),
    Scenario("new-call-site", "a known call site stays silent", (entries(growing(1, 1, WEEK + 30)),), WEEK + 15),
    Scenario("new-call-site", "an allowed call site stays silent",
             (entries(then(flat(0, WEEK), flat(1, 20)), allowed="true"),), WEEK),
    Scenario("new-call-site", "no data stays silent", (), WEEK),
    Scenario("new-call-site", "a new release with the same call site stays silent, though its line moved",
             (entries(growing(1, 1, WEEK)), entries(then(absent(WEEK - 5), flat(0, 5), flat(3, 20)), "chat-2", line="14")),
             WEEK),
    Scenario("new-call-site", "a new function in a known file fires",
             (entries(growing(1, 1, WEEK + 30)), entries(then(flat(0, WEEK), flat(3, 20)), function="other")),
             WEEK, (NEW_SITE | {"function": "other"},)),

    Scenario("uses-resumed", "a use after a week without one fires",
             (used(then(growing(0, 1, 5 * DAY), flat(1440, WEEK), flat(1441, 20))),), 5 * DAY + WEEK, (RESUMED,)),
    Scenario("uses-resumed", "steady use stays silent", (used(growing(0, 1, MONTH)),), MONTH - 5),
    Scenario("uses-resumed", "a target used for the first time stays silent",
             (used(then(flat(0, MONTH), flat(3, 20))),), MONTH),
    Scenario("uses-resumed", "allowed uses stay silent",
             (used(then(growing(0, 1, 5 * DAY), flat(1440, WEEK), flat(1441, 20)), allowed="true"),), 5 * DAY + WEEK),
    Scenario("uses-resumed", "no data stays silent", (), MONTH),
    Scenario("uses-resumed", "a new release without a use stays silent",
             (used(then(growing(0, 1, 5 * DAY), flat(1440, WEEK))), used(then(absent(5 * DAY + WEEK), flat(0, 20)), "chat-2")),
             5 * DAY + WEEK),
    Scenario("uses-resumed", "a use in a new release after a quiet week fires",
             (used(then(growing(0, 1, 5 * DAY), flat(1440, WEEK))),
              used(then(absent(5 * DAY + WEEK - 5), flat(0, 5), flat(2, 20)), "chat-2")), 5 * DAY + WEEK, (RESUMED,)),

    Scenario("observation-lost", "a service silent for half an hour fires",
             (observed(growing(1, 1, 120)),), 160, (PLACE,)),
    Scenario("observation-lost", "a reporting service stays silent", (observed(growing(1, 1, 300)),), 290),
    Scenario("observation-lost", "no data at all stays silent", (), 290),
    Scenario("observation-lost", "a new release of the same service stays silent",
             (observed(growing(1, 1, 120)), observed(then(absent(110), growing(0, 1, 120)), "chat-2")), 200),
    Scenario("observation-lost", "a newborn service stays silent",
             (observed(then(absent(270), growing(0, 1, 40)), service="mail"),), 300),
    Scenario("observation-lost", "only the lost one of two services fires",
             (observed(growing(1, 1, 120)), observed(growing(1, 1, 300), service="mail")), 200, (PLACE,)),
)  # fmt: skip


def render_log(series: Series) -> dict[str, str]:
    """As promtool's `input_series`."""
    labels = ",".join(f'{name}="{value}"' for name, value in series.labels.items())
    return {"series": f"{series.metric}{{{labels}}}", "values": series.values}
