"""Simulated fleets: what really happened to a target, and what an agent would have seen of it.

Time is a grid of hours. A `World` holds the truth, past and future; `dossier()` gives what a verdict may know
at an instant. Patterns, shares and probabilities come from a mix (`mix.toml`).
"""

from __future__ import annotations

import copy
import datetime as dt
from dataclasses import dataclass, field

import numpy as np
from shapes import SHAPES

from lastcall.dossier import Caller, Dossier, Life, Mention, Question, Scope, Watch
from lastcall.evidence import Site, TargetInfo

DAY = 24
HOUR_SECONDS = 3600.0
EPOCH_HOUR = int(dt.datetime(2025, 1, 6, tzinfo=dt.timezone.utc).timestamp() // 3600)  # a Monday
REF = "shop.legacy:make_cart"
RATES = {"10 an hour": 10.0, "1 an hour": 1.0, "1 a day": 1 / 24, "1 a week": 1 / 168, "1 a month": 1 / 730}
DROPPED = (("dropped:call-site-limit", 5),)
AHEAD = 45 * DAY
"""Hours simulated beyond the last instant that is asked about."""


@dataclass
class Mix:
    """Parameters of a simulation, by table and key, as in mix.toml."""

    tables: dict

    def __call__(self, table: str, key: str, default: float | None = None):
        found = self.tables[table]
        return found[key] if default is None else found.get(key, default)

    def perturbed(self, rng: np.random.Generator, strength: float) -> Mix:
        """Another mix: probabilities moved in odds, lengths and weights by a factor, all independently."""
        tables = copy.deepcopy(self.tables)
        for name, table in tables.items():
            for key, value in table.items():
                factor = float(np.exp(rng.normal(0, strength)))
                if name == "patterns" or key.endswith("_a_year") or key == "crash_a_day":
                    table[key] = value * factor
                elif isinstance(value, float):
                    odds = value / (1 - value) * factor
                    table[key] = odds / (1 + odds)
                elif key in ("outage_days", "release_days"):
                    table[key] = [max(0.2, item * factor) for item in value]
        share = sum(tables["callers"][key] for key in ("static", "dynamic", "elsewhere"))
        for key in ("static", "dynamic", "elsewhere"):
            tables["callers"][key] /= share
        return Mix(tables)


@dataclass
class Service:
    """One service: its releases, and when an agent watched it."""

    name: str
    releases: np.ndarray
    """The hour at which each release began; the first is 0."""
    watched: np.ndarray
    """For each hour, whether an agent watched."""
    coverage: float
    """The share of its instances that run the agent."""
    lossy: int | None
    """The release that dropped call sites."""
    agent: bool = True
    back: list[tuple[int, int, int]] = field(default_factory=list)
    """Rollbacks: (from hour, to hour, the release that ran again)."""
    born: int = 0
    """The hour at which the service was added to the fleet."""
    skew: float = 0.0
    """Seconds by which its clocks are ahead."""

    def numbers_at(self, hours: np.ndarray) -> np.ndarray:
        """Which release ran at each of these hours."""
        numbers = np.searchsorted(self.releases, hours, side="right") - 1
        for start, end, number in self.back:
            numbers[(hours >= start) & (hours < end)] = number
        return numbers


@dataclass
class SimulatedCaller:
    """One caller: when it really used the target, and what the source says about it."""

    name: str
    service: Service
    used: np.ndarray
    seen: np.ndarray
    kind: str
    """static, dynamic, or elsewhere."""
    left_source: int | None
    """The hour at which its code left the source; None: it never did."""
    born: int = 0
    """The hour at which its code came into the source."""
    off: int = -1
    """The hour from which no release that runs holds it; -1: there is none such."""


@dataclass
class World:
    """One target's whole history and future."""

    pattern: str
    services: list[Service]
    callers: list[SimulatedCaller]
    hours: int
    dead: bool
    read_source: bool
    declared: bool
    versioned: bool
    """Whether version control tells when code left the source."""

    def hidden(self, now: int) -> bool:
        """Whether there is a caller that nothing shows: never seen, and in no source that was read.

        It may run where no agent is, have not begun yet, or be too rare to have come up; code that has left the
        source may still be deployed where nobody looks. A required service is known to be missing.
        """
        return any(
            not c.seen[:now].any()
            and not (self.read_source and c.kind == "static" and c.born <= now and not _has_left(c, now))
            and (c.service.agent or not self.declared)
            and c.used[now:].any()
            for c in self.callers
        )

    def last_use(self) -> int | None:
        return max((int(np.flatnonzero(c.used)[-1]) for c in self.callers if c.used.any()), default=None)

    def used_between(self, since: int, until: int) -> bool:
        return any(c.used[since:until].any() for c in self.callers)

    def complete(self, since: int, until: int) -> bool:
        """Whether every service was watched, wholly, in between, and all source was read.

        A service that was added after the last use has not been watched for as long as is asked for.
        """
        last = self.last_use() or 0
        return self.read_source and all(
            s.agent and s.coverage == 1 and s.lossy is None and s.born <= last
            and s.watched[max(since, s.born) : until].mean() > 0.97
            for s in self.services
        )

    def question(self, window_days: float) -> Question:
        required = tuple((s.name, "") for s in self.services) if self.declared else ()
        return Question(window=window_days * DAY * HOUR_SECONDS, required=required)

    def dossier(self, now: int) -> Dossier:
        """What is known at hour `now`."""
        lives, watches = [], []
        for service in self.services:
            if service.agent:
                for scope, during, over, lost in _scopes(service, now):
                    lives.append(Life(scope, during, over, troubles=DROPPED if lost else ()))
                    watches.append(Watch(scope, "armed", during))
        callers, mentions = [], []
        for caller in self.callers:
            if (
                self.read_source
                and caller.kind == "static"
                and caller.born <= now
                and not _has_left(caller, now)
            ):
                mentions.append(Mention(f"shop/{caller.name}.py", 10, "call", "make_cart"))
            callers.extend(self._known(caller, now))
        return Dossier(
            target=TargetInfo(REF, "function"), now=_seconds(now), fleet=tuple(lives), watches=tuple(watches),
            callers=tuple(callers), mentions=tuple(mentions), source_read=self.read_source,
        )  # fmt: skip

    def _known(self, caller: SimulatedCaller, now: int):
        hours = np.flatnonzero(caller.seen[:now])
        if not len(hours):
            return
        fate = "unknown"
        if self.read_source and caller.kind != "elsewhere":
            fate = "gone" if _has_left(caller, now) else "present"
        site = Site(
            REF,
            "call",
            f"shop/{caller.name}.py",
            10,
            caller.name,
            f"shop.{caller.name}",
            "make_cart",
            "direct",
        )
        left = _seconds(caller.left_source) if fate == "gone" and self.versioned else None
        numbers, skew = caller.service.numbers_at(hours), caller.service.skew
        for number in np.unique(numbers):
            own = hours[numbers == number]
            yield Caller(
                site, _scope(caller.service, int(number)), len(own),
                _seconds(int(own[0])) + skew, _seconds(int(own[-1])) + 1800 + skew,
                tuple((own[-400:] + EPOCH_HOUR + round(skew / 3600)).tolist()), fate=fate, left_at=left,
            )  # fmt: skip


def _has_left(caller: SimulatedCaller, now: int) -> bool:
    return caller.left_source is not None and caller.left_source <= now


def _seconds(hour: int) -> float:
    return (EPOCH_HOUR + hour) * HOUR_SECONDS


def _scope(service: Service, number: int) -> Scope:
    return Scope(service.name, "production", str(number))


def _scopes(service: Service, now: int):
    """(scope, intervals watched, over, dropped something) of each release up to `now`."""
    hours = np.arange(now)
    numbers = service.numbers_at(hours)
    watched = service.watched[:now]
    for number, start in enumerate(service.releases):
        if start >= now:
            return
        mask = np.concatenate(([0], (watched & (numbers == number)).astype(np.int8), [0]))
        edges = np.flatnonzero(np.diff(mask))
        during = tuple(
            (_seconds(int(a)) + service.skew, _seconds(int(b)) + service.skew)
            for a, b in zip(edges[::2], edges[1::2], strict=True)
        )
        if during:
            yield _scope(service, number), during, numbers[-1] != number, service.lossy == number


# -- making a world ---------------------------------------------------------------------------------


def make_world(mix: Mix, rng: np.random.Generator) -> World:
    """A random target in a random fleet."""
    names = list(mix.tables["patterns"])
    weights = np.array([mix.tables["patterns"][name] for name in names], float)
    pattern = str(rng.choice(names, p=weights / weights.sum()))
    history = int(_between(rng, mix("fleet", "history_days")) * DAY)
    total = history + AHEAD
    services = [
        _service(mix, rng, f"service-{n}", total) for n in range(_whole(rng, mix("fleet", "services")))
    ]
    dead = bool(rng.random() < mix("fleet", "dead_share")) and pattern not in ("late flag", "never used")
    world = World(
        pattern, services, [], total, dead, bool(rng.random() < mix("fleet", "read_source")),
        bool(rng.random() < mix("fleet", "declared_services")), bool(rng.random() < mix("fleet", "versioned")),
    )  # fmt: skip
    if pattern == "unobserved service":
        services.append(_service(mix, rng, "hidden", total))
        services[-1].agent = False
    _fill(world, mix, rng, history)
    _later(world, mix, rng, history)
    return world


def _service(mix: Mix, rng: np.random.Generator, name: str, total: int) -> Service:
    typical = _between(rng, mix("fleet", "release_days")) * DAY
    releases, at = [0], 0.0
    while True:
        at += max(6, rng.gamma(2, typical / 2))
        if at >= total:
            break
        releases.append(int(at))
    watched = np.ones(total, bool)
    if rng.random() < mix("fleet", "outage_share"):
        for _ in range(rng.poisson(mix("fleet", "outages_a_year") * total / (365 * DAY))):
            start = rng.integers(total)
            watched[start : start + int(_between(rng, mix("fleet", "outage_days")) * DAY)] = False
    for _ in range(rng.poisson(mix("fleet", "crash_a_day") * total / DAY)):
        watched[rng.integers(total)] = False
    coverage = 1.0
    if rng.random() < mix("fleet", "partial_share"):
        coverage = _between(rng, mix("fleet", "partial_coverage"))
    lossy = int(rng.integers(len(releases))) if rng.random() < mix("fleet", "lossy_share") else None
    service = Service(name, np.array(releases), watched, coverage, lossy)
    for number in range(1, len(releases)):
        if rng.random() < mix("later", "rollback_a_release"):
            start = releases[number] + int(rng.integers(1, 24))
            depth = int(rng.choice([1, 1, 1, 2, 2, 3]))
            service.back.append((start, start + int(rng.integers(4, 48)), max(0, number - depth)))
    _oddities(service, mix, rng)
    return service


def _oddities(service: Service, mix: Mix, rng: np.random.Generator) -> None:
    """What only the other mixes have: services that came late, clocks that are wrong."""
    total = len(service.watched)
    if rng.random() < mix("fleet", "late_share", 0.0):
        service.born = int(rng.uniform(0.1, 0.8) * total)
        service.watched[: service.born] = False
        later = service.releases[service.releases > service.born]
        service.releases = np.concatenate(([service.born], later))
        service.back = []
        service.lossy = None
    if rng.random() < mix("fleet", "skew_share", 0.0):
        service.skew = float(rng.normal(0, mix("fleet", "skew_hours", 3.0))) * HOUR_SECONDS


def _fill(world: World, mix: Mix, rng: np.random.Generator, history: int) -> None:
    pattern = world.pattern
    if pattern == "never used":
        return
    count = _whole(rng, mix("callers", "count"))
    if pattern == "long tail":
        count = int(rng.integers(2, 9))
    if pattern == "one by one":
        count = int(rng.integers(6, 15))
    shares = [mix("callers", key) for key in ("static", "dynamic", "elsewhere")]
    shape = _shape(pattern, rng)
    # Callers of a dead target end in the part of the history that leaves room to ask before and after.
    last = int(rng.uniform(0.35, 1.0) * history)
    for number in range(count):
        kind = str(rng.choice(["static", "dynamic", "elsewhere"], p=np.array(shares) / sum(shares)))
        service = world.services[int(rng.integers(len(world.services)))]
        if pattern == "unobserved service":
            service = world.services[-1] if number == 0 else world.services[0]
        end = None
        if world.dead:
            end = last if number == 0 else int(rng.uniform(0.3, 1.0) * last)
            if pattern == "one by one":
                end = int(last * (0.4 + 0.6 * (number + 1) / count))
        start = int(rng.uniform(0, 0.15) * history)
        if pattern == "late flag":
            start = int(rng.uniform(0.2, 1.6) * history)
        world.callers.append(
            _caller(world, mix, rng, who=(f"caller{number}", service, kind), when=(start, end), shape=shape)
        )


def _shape(pattern: str, rng: np.random.Generator) -> str:
    """How the callers of a target behave: their pattern, or a common one where that is about something else."""
    if pattern in ("one by one", "late flag", "unobserved service"):
        return str(
            rng.choice(["1 an hour", "1 a day", "1 a week", "weekdays", "nightly", "weekly", "monthly"])
        )
    return pattern


def _caller(world: World, mix: Mix, rng: np.random.Generator, *, who, when, shape: str) -> SimulatedCaller:
    name, service, kind = who
    start, end = when
    used = uses(shape, rng, world.hours, mix("callers", "failed_run"))
    used[: min(max(start, service.born), world.hours)] = False
    left, off = None, -1
    if end is not None:
        # The change is made at `end`, and takes effect with the next release.
        lag = int(_between(rng, mix("fleet", "deploy_lag_days")) * DAY)
        later = service.releases[service.releases >= end + lag]
        off = int(later[0]) if len(later) else world.hours
        left = None if rng.random() < mix("callers", "switched_off") else end
        if left is not None and kind != "elsewhere" and rng.random() < mix("callers", "gone_but_alive"):
            # It goes on from another place, where no reader of the source can see it.
            onwards = used.copy()
            onwards[:off] = False
            seen = _seen(onwards, service, rng)
            world.callers.append(
                SimulatedCaller(name + "-moved", service, onwards, seen, "dynamic", None, end)
            )
        used[off:] = False
        _roll_back(used, service, off, rng)
    return SimulatedCaller(
        name, service, used, _seen(used, service, rng), kind, left, service.born, off=off
    )


def _roll_back(used: np.ndarray, service: Service, off: int, rng: np.random.Generator) -> None:
    """A release that still had the caller runs again: it is called as it was, once at the least."""
    hold = int(np.searchsorted(service.releases, off))
    for start, end, number in service.back:
        if start >= off and number < hold and end <= len(used):
            used[int(rng.integers(start, end))] = True


def _seen(used: np.ndarray, service: Service, rng: np.random.Generator) -> np.ndarray:
    """The uses that an agent has seen."""
    if not service.agent:
        return np.zeros(len(used), bool)
    seen = used & service.watched
    if service.coverage < 1:
        seen &= rng.random(len(used)) < service.coverage
    if service.lossy is not None and rng.random() < 0.3:
        after = service.lossy + 1
        ends = service.releases[after] if after < len(service.releases) else len(used)
        seen[service.releases[service.lossy] : ends] = False
    return seen


def _later(world: World, mix: Mix, rng: np.random.Generator, history: int) -> None:
    """What nobody plans: somebody who uses it anew."""
    if rng.random() < mix("later", "new_caller_a_year") / (365 * DAY) * world.hours:
        begin = int(rng.integers(history // 2, world.hours))
        used = uses("1 a day", rng, world.hours, 0.0)
        used[:begin] = False
        service = world.services[0]
        world.callers.append(
            SimulatedCaller("newcomer", service, used, _seen(used, service, rng), "static", None, begin)
        )


def uses(  # noqa: PLR0911 - one shape, one return
    shape: str, rng: np.random.Generator, hours: int, failed: float
) -> np.ndarray:
    """For each hour, whether a caller of this shape uses the target in it."""
    grid = np.arange(hours)
    day = grid // DAY
    if shape in SHAPES:
        return SHAPES[shape](rng, hours)
    if shape in RATES:
        rate = RATES[shape] * float(np.exp(rng.normal(0, 0.3)))
        return rng.random(hours) < -np.expm1(-rate)
    if shape == "weekdays":
        busy = (day % 7 < 5) & (grid % DAY >= 8) & (grid % DAY < 18)
        return busy & (rng.random(hours) < float(rng.choice([0.05, 0.3, 0.9])))
    if shape == "bursts":
        return _bursts(rng, hours, rng.uniform(4, 25), rng.integers(2, 12))
    if shape == "error path":
        return _bursts(rng, hours, rng.uniform(20, 120), 1 + rng.integers(3))
    at = int(rng.integers(DAY))
    ran = rng.random(hours) >= failed
    if shape == "nightly":
        return (grid % DAY == at) & ran
    if shape == "weekly":
        return (grid % (7 * DAY) == at + DAY * int(rng.integers(7))) & ran
    start = dt.date(2025, 1, 6)
    dates = [start + dt.timedelta(days=int(n)) for n in range(hours // DAY + 1)]
    if shape == "monthly":
        wanted = int(rng.integers(1, 28))
        days = np.array([d.day == wanted for d in dates])
    else:
        days = np.array([(d + dt.timedelta(days=1)).day == 1 for d in dates])
    return days[day] & (grid % DAY == at) & ran


def _bursts(rng: np.random.Generator, hours: int, every_days: float, length: int) -> np.ndarray:
    used = np.zeros(hours, bool)
    at = rng.exponential(every_days * DAY)
    while at < hours:
        span = 1 + int(rng.poisson(length))
        used[int(at) : int(at) + span] |= rng.random(len(used[int(at) : int(at) + span])) < 0.8
        at += span + rng.exponential(every_days * DAY)
    return used


def _between(rng: np.random.Generator, bounds) -> float:
    return float(rng.uniform(*bounds))


def _whole(rng: np.random.Generator, bounds) -> int:
    return int(rng.integers(bounds[0], bounds[1] + 1))
