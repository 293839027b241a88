"""A simulated observed process: uses happen in it, and it makes the batches that the agent would make."""

from __future__ import annotations

import time

from lastcall.evidence import (
    Batch,
    Count,
    Finding,
    Frame,
    Observation,
    Process,
    Reference,
    Sighting,
    Site,
    TargetInfo,
    TargetState,
)

TRACE, SPAN = 0x0AF7651916CD43DD8448EB211C80319C, 0x00F067AA0BA902B7


def make_site(number=0, target="shop.legacy:old_total", depth=3, **changes):
    fields = {
        "target": target, "use": "call", "file": f"shop/caller_{number}.py", "line": 10 + number, "function": f"Caller.use_{number}",
        "module": f"shop.caller_{number}", "expression": "old_total", "origin": "direct",
        "stack": tuple(Frame(f"shop/frame_{i}.py", i + 1, f"step_{i}") for i in range(depth)),
    }
    return Site(**{**fields, **changes})


def make_target(ref="shop.legacy:old_total", **changes):
    fields = {"kind": "function", "replacement": "shop.pricing:total", "owner": "pricing", "issue": "#12", "since": "2025-01-01",
              "remove_by": "2026-12-31", "defined_file": "shop/legacy.py", "defined_line": 5}
    return TargetInfo(ref, **{**fields, **changes})


class ObservedProcess:
    """Call `use` and then `flush`. Counts are exact by construction, which is what tests compare with."""

    def __init__(self, process_id="0123456789abcdef", targets=None, start=None, release="2026.11.3", pid=4711):
        self.now = time.time() - 3600 if start is None else start
        self.process = Process(process_id, "shop", "staging", release, "host-1", pid, "3.11.7", self.now, "/srv/shop",
                               (("K_REVISION", "shop-00042"),))
        self.targets = tuple(targets or (make_target(), make_target("shop.legacy:unused")))
        self.sites, self.counts, self.pending = {}, {}, []
        self.findings, self.references = [], ()
        self.since = self.now
        self.dropped, self.errors = (), ()
        self._sighted = {}

    def use(self, site, times=1, detailed=False, **sighting):
        """`times` uses of a site; the first ever, or a `detailed` one, is seen in detail."""
        site_id = site.id
        first = site_id not in self.sites
        self.sites.setdefault(site_id, site)
        total, begun, _, errors = self.counts.get(site_id, (0, self.now, self.now, None))
        if first:
            self._sight(site_id, 1, True, sighting)
        self.counts[site_id] = (total + times, begun, self.now, errors)
        if detailed and not first:
            self._sight(site_id, total + times, False, sighting)

    def _sight(self, site_id, total, first, extra):
        before = self._sighted.get(site_id, 0)
        self._sighted[site_id] = total
        self.pending.append(Sighting(self.sites[site_id], int(self.now * 1e9), first, total - before, **extra))

    def find(self, kind="isolation", **changes):
        self.findings.append(Finding(kind, self.targets[0].ref, self.now, "one object, two owners", **changes))

    def refer(self):
        self.references = (Reference(self.targets[0].ref, "shop.api", "old_total", "shop/api.py", 3),)

    def total(self):
        return sum(count for count, *_ in self.counts.values())

    def truth(self):
        """{site id: count}."""
        return {site_id: count for site_id, (count, *_) in self.counts.items()}

    def flush(self, observe=False, final=False):
        """The batch of everything so far and everything new."""
        counts = tuple(Count(self.process.id, site_id, count, first, last, errors)
                       for site_id, (count, first, last, errors) in self.counts.items())
        states = tuple(TargetState(target.ref, "armed", engine="wrapping", at=self.process.started) for target in self.targets)
        observation = None
        if observe or final:
            observation = Observation(self.process, self.since, self.now, states, counts, self.dropped, self.errors, final)
            self.since = self.now
        sightings, self.pending = tuple(self.pending), []
        findings, self.findings = tuple(self.findings), []
        return Batch(self.process, self.now, self.targets, states, dict(self.sites), counts, sightings, findings,
                     self.references, observation)
