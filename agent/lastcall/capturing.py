"""`capture_uses()`: which deprecated entry points a piece of code used. For tests, ours and our users'."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import bootstrap
from .exporting import site_of
from .expressions import spelling
from .targets import Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .agent import Agent
    from .evidence import Site
    from .sites import SiteRecord


@dataclass(frozen=True, slots=True)
class CapturedUse:
    """A call site and how often it was used while capturing."""

    site: Site
    count: int


class Capture:
    """What was used since `capture_uses()` began; up to date while it runs, kept when it has ended."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._before = {record.slot: record.total() for record in agent.recorder.records}
        self._kept: list[CapturedUse] | None = None

    @property
    def uses(self) -> list[CapturedUse]:
        """Every call site used, in the order of first sight in this process."""
        if self._kept is not None:
            return self._kept
        found = []
        for record in list(self._agent.recorder.records):
            count = record.total() - self._before.get(record.slot, 0)
            if count:
                _spell(record)
                found.append(CapturedUse(site_of(record, self._agent.config.root), count))
        return found

    def count(self, ref: str = "") -> int:
        """Uses of the target `ref`, or of all targets."""
        return sum(use.count for use in self.uses if not ref or use.site.target == ref)

    def sites(self, ref: str = "") -> list[Site]:
        """The call sites of the target `ref`, or of all targets."""
        return [use.site for use in self.uses if not ref or use.site.target == ref]

    def end(self) -> None:
        """Keep what is there by now."""
        self._kept = self.uses


def _spell(record: SiteRecord) -> None:
    if record.expression is None:
        name = record.target.qualname.rpartition(".")[2] or record.target.module
        record.expression = spelling(record.code, record.lasti, record.line, name)


@contextmanager
def capture_uses(*targets: str, **settings: Any) -> Iterator[Capture]:
    """Count uses of `targets` (object references) within the block.

    Starts the agent with a store of its own if it does not run yet, and stops it afterwards; if it runs, the
    targets join those that it has, and stay. `settings` are those of `lastcall.start()`.

    Raises `targets.BadReferenceError` for what is no object reference.
    """
    life = bootstrap.life()
    if life is not None and not life.stopped:
        agent = life.agent()
        _join(agent, targets)
        capture = Capture(agent)
        try:
            yield capture
        finally:
            capture.end()
        return
    with tempfile.TemporaryDirectory(prefix="lastcall-") as folder:
        for ref in targets:
            Target(ref)
        settings.setdefault("store", os.path.join(folder, "store.db"))  # noqa: PTH118 - a string is what the setting is
        bootstrap.start(targets=targets, **settings)
        started = bootstrap.life()
        assert started is not None
        capture = Capture(started.agent())
        try:
            yield capture
        finally:
            capture.end()
            bootstrap.stop()


def _join(agent: Agent, targets: tuple[str, ...]) -> None:
    new = [Target(ref) for ref in targets if ref not in agent.patcher.by_ref]
    for target in new:
        agent.patcher.wanted.add(target)
        if not target.parsed.wild:
            agent.patcher.by_ref[target.ref] = target
    agent.patcher.arm_new(new)
