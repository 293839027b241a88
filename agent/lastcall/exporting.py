"""From the recorder to the exporters, in the background thread: a `Batch` of what is known in all, and what is new."""

from __future__ import annotations

import os
import sys
from time import monotonic, time, time_ns

from .evidence import (
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
from .expressions import definition_line
from .journal import FLAG_BY_TEST, FLAG_DURING_IMPORT, FLAG_SCANNER
from .words import METADATA

TYPE_CHECKING = False  # typing costs a bare host 5 ms, and 1 ms more at its end
if TYPE_CHECKING:
    from .agent import Agent
    from .config import Config
    from .exporters import Exporter
    from .exporters.orphans import Orphans
    from .sites import Sample, SiteRecord
    from .store.database import Database
    from .targets import Target

NANO = 1e-9
_OBSERVATION_JITTER = 0.1
_ORPHANS_EVERY = 10.0
"""Seconds between two looks for processes that ended without a last statement."""
_PROBLEM_PAUSE = 30.0
"""Seconds after which an exporter that could not be built is tried again."""


class Exporting:
    """One process's way to its exporters. Built, and used, in the background thread only."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.recorder = agent.recorder
        self.process = _process(agent)
        self.exporters: dict[str, Exporter] = {}
        self._not_before: dict[str, float] = {}
        self.left = False
        """Whether the last batch was handed out."""
        self._orphans: Orphans | None = None
        self._orphans_due = 0.0
        self._sites: dict[int, Site] = {}
        self._last_seen: dict[int, tuple[int, float]] = {}
        self._sampled_at: dict[int, int] = {}
        self._reported: dict[int, int] = {}
        self._observed_until = agent.started_ns * NANO
        self._next_observation = 0.0
        self._observed_key: object = None
        self._budget = agent.config.span_budget_process
        self._budget_at = monotonic()
        self._sent_references = 0

    def run(self, database: Database | None, *, final: bool) -> None:
        """One batch for every exporter; `database`: the store, for what others left there."""
        errors = self.agent.errors
        batch = self._batch(final=final)
        for name in self._names():
            with errors.guard("exporter-" + name):
                self._export(name, batch)
        with errors.guard("orphans"):
            # After our own: an exporter takes the first process it hears of for the one it is in.
            self._speak_for_orphans(database, final=final)
        if not final:
            self._sample()

    def shutdown(self, deadline: float) -> None:
        """Every exporter's shutdown, after the last batch; together until `deadline` (`time.monotonic`)."""
        self.left = True
        for number, (name, exporter) in enumerate(self.exporters.items()):
            left = max(0.0, deadline - monotonic()) / (len(self.exporters) - number)
            with self.agent.errors.guard("exporter-" + name):
                exporter.shutdown(left)

    def keep(self) -> None:
        """The last batch into the exporters' spools, unless it is there: for an exit that cannot wait."""
        if self.left:
            return
        batch = self._batch(final=True)
        for name in self._names():
            with self.agent.errors.guard("exporter-" + name):
                # The other thread may not even have come to making it. To make one imports no client.
                exporter = self.exporters.get(name)
                if exporter is None:
                    exporter = create_exporter(name, self.agent.config)
                exporter.export(batch)

    def hanging(self) -> bool:
        """Whether an exporter waits for a backend that does not seem to be alive."""
        return any(exporter.hanging for exporter in list(self.exporters.values()))

    def somebody_was_killed(self) -> bool:
        """Whether even a process too short for one flush must open the database: its own journal can wait for
        the next process, but nobody else may ever speak for one that was killed.
        """
        from .exporters.orphans import left_without_a_word
        from .journal import live_folder

        return left_without_a_word(live_folder(self.agent.config.store_path()), self.agent.id)

    def _names(self) -> list[str]:
        return [name for name in self.agent.config.exporters if name != "store"]

    def _speak_for_orphans(self, database: Database | None, *, final: bool) -> None:
        """Make the last statement of processes that were killed, once the store has their journals."""
        if database is None or (monotonic() < self._orphans_due and not final):
            return
        self._orphans_due = monotonic() + _ORPHANS_EVERY
        if self._orphans is None:
            from .exporters.orphans import Orphans
            from .store import Store

            self._orphans = Orphans(Store(database), f"{self.agent.config.store_path()}-spool")
        for batch in self._orphans.batches():
            for name in self._names():
                with self.agent.errors.guard("exporter-" + name):
                    self._export(name, batch)

    def _export(self, name: str, batch: Batch) -> None:
        exporter = self.exporters.get(name)
        if exporter is None:
            if monotonic() < self._not_before.get(name, 0.0):
                return
            self._not_before[name] = monotonic() + _PROBLEM_PAUSE
            exporter = self.exporters[name] = create_exporter(name, self.agent.config)
        exporter.export(batch)

    def _batch(self, *, final: bool) -> Batch:
        now = time()
        samples = self.recorder.samples.take()
        records = list(self.recorder.records)
        # A spelling is part of a site's identity: without it one site would be sent as two.
        self.agent._write_spellings()
        counts = self._counts(records, now)
        targets = self.agent.all_targets()
        states = tuple(
            TargetState(t.ref, t.state, t.reason, t.engine, (t.state_ns or self.agent.started_ns) * NANO)  # type: ignore[arg-type]
            for t in targets
        )
        findings = self._findings()
        batch = Batch(
            process=self.process,
            at=now,
            targets=tuple(_info(t, self.process.root) for t in targets),
            states=states,
            sites={self._site(r).id: self._site(r) for r in records},
            counts=counts,
            sightings=tuple(self._sighting(s) for s in samples),
            findings=findings,
            references=self._new_references(),
        )
        batch.observation = self._observation(batch, final=final)
        return batch

    def _counts(self, records: list[SiteRecord], now: float) -> tuple[Count, ...]:
        counts = []
        for record in records:
            total = record.total()
            before, seen = self._last_seen.get(record.slot, (0, 0.0))
            if total != before:
                seen = record.at_ns * NANO if total == 1 else now
                self._last_seen[record.slot] = (total, seen)
            counts.append(
                Count(
                    self.process.id,
                    self._site(record).id,
                    total,
                    record.at_ns * NANO,
                    seen,
                    record.errors,
                    record.allowed is not None,
                )
            )
        return tuple(counts)

    def _site(self, record: SiteRecord) -> Site:
        site = self._sites.get(record.slot)
        if site is None or site.expression != (record.expression or ""):
            site = self._sites[record.slot] = site_of(record, self.process.root)
        return site

    def _sighting(self, sample: Sample) -> Sighting:
        record = sample.record
        since = self._reported.get(record.slot, 0)
        self._reported[record.slot] = max(since, sample.total)
        trace_id, span_id, flags = sample.trace
        return Sighting(
            site=self._site(record),
            start_ns=sample.start_ns,
            first=sample.first,
            count=max(1, sample.total - since),
            end_ns=sample.end_ns,
            error_type=sample.error_type,
            trace_id=trace_id,
            span_id=span_id,
            trace_flags=flags,
            own_trace_id=sample.own[0],
            own_span_id=sample.own[1],
            allowed=record.allowed is not None,
            allow_reason=record.allowed or "",
        )

    def _findings(self) -> tuple[Finding, ...]:
        new, self.agent.new_findings = self.agent.new_findings, []
        return tuple(
            Finding(
                kind,
                ref,
                at_ns * NANO,
                message,
                self._site(record) if record is not None else None,
                count,
                attributes,
            )
            for kind, ref, at_ns, message, record, count, attributes in new
        )

    def _new_references(self) -> tuple[Reference, ...]:
        """All references if there are more than at the last batch, else none."""
        references = self.agent.references
        if len(references) == self._sent_references:
            return ()
        self._sent_references = len(references)
        root = self.process.root
        return tuple(
            Reference(target, module, name, relative(file, root), line, how)
            for target, module, name, file, line, how in references
        )

    # -- explicit zeros -----------------------------------------------------------------------------

    def _observation(self, batch: Batch, *, final: bool) -> Observation | None:
        key = tuple((s.ref, s.state, s.reason) for s in batch.states)
        due = final or monotonic() >= self._next_observation or key != self._observed_key
        if not due:
            return None
        interval = self.agent.config.observation_interval
        import random  # hashlib and six more modules, which only exporters need

        jitter = 1 + random.uniform(-_OBSERVATION_JITTER, _OBSERVATION_JITTER)  # noqa: S311 - spreads load, no secret
        self._next_observation = monotonic() + interval * jitter
        self._observed_key = key
        since, self._observed_until = self._observed_until, batch.at
        return Observation(
            process=self.process,
            since=since,
            until=batch.at,
            states=batch.states,
            counts=batch.counts,
            dropped=tuple(sorted(self.recorder.dropped.items())),
            internal_errors=self.agent.errors.counts(),
            final=final,
        )

    # -- which repeats are seen in detail -----------------------------------------------------------

    def _sample(self) -> None:
        """Have busy sites' next use seen in detail, within the budgets. Costs the hot path nothing."""
        config = self.agent.config
        if config.spans == "none" or config.span_budget <= 0:
            return
        now = monotonic()
        self._budget = min(
            config.span_budget_process,
            self._budget + (now - self._budget_at) * config.span_budget_process / 60,
        )
        self._budget_at = now
        interval_ns = int(60e9 / config.span_budget)
        clock = time_ns()
        for record in list(self.recorder.records):
            if self._budget < 1:
                return
            if (record.target.ref, record.use) in self.agent.spanned:
                continue  # every use has its span already: a sample would be a second one of the same use
            sampled = self._sampled_at.get(record.slot, record.at_ns)
            if clock - sampled >= interval_ns:
                self._sampled_at[record.slot] = clock
                self._budget -= 1
                self.recorder.samples.want_next(record)


def create_exporter(name: str, config: Config) -> Exporter:
    """The exporter called `name`, built from the configuration. Raises what `exporters.create` raises."""
    from .exporters import ExporterSettings, create

    mode = config.gcp_mode
    if mode == "auto":
        mode = "api"
    return create(
        name,
        ExporterSettings(
            service=config.service,
            environment=config.environment,
            release=config.release,
            store=config.store_path(),
            gcp_project=config.gcp_project,
            gcp_endpoint=config.gcp_endpoint,
            gcp_mode=mode,
            spans=config.spans,
            spans_per_site=config.span_budget,
            spans_per_process=config.span_budget_process,
            otel_provider=config.otel_provider,
            metric_call_sites=1000 if config.metrics_by_site else 0,
            # The same events twice in one project would be no help to anybody.
            otlp_logs="gcp" not in config.exporters,
        ),
    )


def _process(agent: Agent) -> Process:
    config = agent.config
    version = sys.version_info
    return Process(
        id=agent.id,
        service=config.service,
        environment=config.environment,
        release=config.release,
        host=os.uname().nodename,
        pid=agent.pid,
        python=f"{version[0]}.{version[1]}.{version[2]}",
        started=agent.started_ns * NANO,
        root=config.root,
    )


def relative(path: str, root: str) -> str:
    """`path` relative to `root` if it lies below it, else as it is."""
    return path[len(root) + 1 :] if root and path.startswith(root.rstrip(os.sep) + os.sep) else path


def site_of(record: SiteRecord, root: str) -> Site:
    """The call site as it leaves the process: paths relative to `root`, flags spelled out."""
    return Site(
        target=record.target.ref,
        use=record.use,  # type: ignore[arg-type]  # the recorder knows no other words
        file=relative(record.file, root),
        line=record.line,
        function=record.function,
        module=record.module,
        expression=record.expression or "",
        origin=record.origin,  # type: ignore[arg-type]  # the same
        during_import=bool(record.flags & FLAG_DURING_IMPORT),
        by_test=bool(record.flags & FLAG_BY_TEST),
        scanner=bool(record.flags & FLAG_SCANNER),
        via=record.via,
        stack=tuple(Frame(relative(file, root), line, function) for file, line, function in record.frames),
        note=record.note,
    )


def _info(target: Target, root: str) -> TargetInfo:
    line = target.defined_line
    if target.defined_file and target.qualname:
        line = definition_line(target.defined_file, target.qualname, line) or line
    metadata = {key: target.metadata.get(key, "") for key in METADATA}
    return TargetInfo(
        ref=target.ref,
        kind=target.kind,  # type: ignore[arg-type]  # the same
        **metadata,
        defined_file=relative(target.defined_file, root),
        defined_line=line,
        source=target.source,
    )
