"""Evidence made by hand for the tests of the verdict: a small vocabulary instead of long literals."""

from __future__ import annotations

from dataclasses import replace

from lastcall.dossier import Caller, Dossier, Life, Mention, Question, Scope, Watch
from lastcall.evidence import Site, TargetInfo

HOUR = 3600.0
DAY = 24 * HOUR
NOW = 20_000 * DAY
"""A day's midnight (UTC), so that days in tests are days of the calendar."""
REF = "shop.legacy:make_cart"
OLD = Scope("backend", "production", "1")
BACKEND = Scope("backend", "production", "2")
CHANGED = 35.0
"""Days before NOW at which release 2 took over from release 1."""


def site(name="checkout", *, file="shop/checkout.py", line=12, **more) -> Site:
    values = {"target": REF, "use": "call", "file": file, "line": line, "function": name, "module": "shop.checkout",
              "expression": "make_cart", "origin": "direct"}
    return Site(**{**values, **more})


def caller(days_ago=None, *, times=(), scope=BACKEND, name="checkout", fate="unknown", count=None, allowed=False, left_at=None, **more) -> Caller:
    """A caller used at these days before NOW."""
    if fate == "gone" and scope is BACKEND:
        scope = OLD  # release 2 was built without it
    days = sorted({*times, *([] if days_ago is None else [days_ago])}, reverse=True)
    instants = [NOW - day * DAY for day in days]
    return Caller(
        site=site(name, **more), scope=scope, count=count or len(instants), first_seen=instants[0],
        last_seen=instants[-1], hours=tuple(sorted({int(at // HOUR) for at in instants})), fate=fate, allowed=allowed,
        left_at=left_at, allow_reason="the factory itself" if allowed else "",
    )


def life(scope=BACKEND, *, since=400.0, until=0.0, over=False, troubles=()) -> Life:
    """A scope heard from `since` to `until` days ago."""
    return Life(scope, ((NOW - since * DAY, NOW - until * DAY),), over, troubles=troubles)


def watch(scope=BACKEND, *, since=400.0, until=0.0, state="armed", reason="", processes=1) -> Watch:
    return Watch(scope, state, ((NOW - since * DAY, NOW - until * DAY),), processes, reason)


def dossier(*callers, lives=None, watches=None, source_read=True, mentions=(), findings=(), now=NOW, **target) -> Dossier:
    """A target well observed in one service for 400 days, over two releases, unless said otherwise."""
    both = life(OLD, until=CHANGED, over=True), life(since=CHANGED)
    seen = watch(OLD, until=CHANGED), watch(since=CHANGED)
    info = replace(TargetInfo(REF, "function"), **target)
    return Dossier(
        target=info, now=now, fleet=tuple(both if lives is None else lives),
        watches=tuple(seen if watches is None else watches), callers=tuple(callers),
        mentions=tuple(mentions), source_read=source_read, findings=tuple(findings),
    )


def mention(file="shop/views.py", line=3, how="import", **more) -> Mention:
    return Mention(file, line, how, "make_cart", **more)


QUESTION = Question()
