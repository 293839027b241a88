"""The composition root: the only module that knows all the others.

`Agent` lives in the host process. The importing threads arm targets and count; one background thread of our
own calls `flush()` every second: it writes what happened to the journal, has the store take it in, and hands
a batch to the exporters. Everything dear is imported in that thread.
"""

from __future__ import annotations

import sys
from posix import getpid  # what a test of the host's puts in the place of `os.getpid` is not for us
from time import time_ns

from . import callsite as cs
from .errors import internal_errors, native_ident, native_lock
from .introduction import new_id, process_record, state_record, target_record
from .journal import Journal, live_folder
from .latecomers import Latecomers
from .patch import Patcher
from .recorder import Recorder

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from .config import Config
    from .importing import Wanted
    from .sites import SiteRecord, Tap
    from .targets import Target

_LOOK_EVERY = 30
"""Rounds of the background thread between looks for references in modules that were looked into before."""

_PUBLISH_ALL_EVERY = 10
"""Rounds of it between two looks at every counter."""


class Agent:
    """The agent of one process. Made by `bootstrap`, on the first target's module or in the background."""

    def __init__(self, config: Config, wanted: Wanted) -> None:
        self.config = config
        self.errors = internal_errors
        self.id = new_id()
        self.pid = getpid()
        self.started_ns = time_ns()
        self.recorder = Recorder(
            self._open_journal,
            self.errors,
            cs.Attribution(config.application_patterns),
            clock=time_ns,
            max_sites=config.max_sites,
            stack_depth=config.stack_depth,
        )
        self.recorder.before_site = self._before_site
        self.recorder.samples.wanted = self.has_exporters
        self.patcher = Patcher(wanted, self.recorder, config.engine, self._changed)
        self.latecomers = Latecomers(self.patcher)
        self.patcher.advices = self._advices
        self.patcher.asked = self._asked_for
        self._to_write = self.all_targets()
        self._known: set[str] = set()
        self._parents_journal: Journal | None = None
        """In a forked child, until it has one of its own: to say there that it cannot have one."""
        self._pipeline: Any = None
        self._holders: Any = None
        self._rounds = 0
        self.references: list[tuple[str, str, str, str, int, str]] = []
        self._findings: dict[tuple[str, str, str, int], list[Any]] = {}
        self.new_findings: list[tuple[Any, ...]] = []
        self._modules_seen = 0
        self._written_counters: tuple[Any, ...] = ()
        self._sites_detailed = 0
        self.spanned: set[tuple[str, str]] = set()
        """Target and use of those whose every call gets a span that is current during it."""
        self._watch_ends()
        self._install_extras()

    def _install_extras(self) -> None:
        """What only some configurations need is imported only for them."""
        if self.config.impact:
            from .impact import Impact

            self.impact = Impact(self)
        if self.config.discover:
            from . import discovery

            discovery.install(self)

    def _watch_ends(self) -> None:
        """Have sampled calls followed to their end, where somebody gets spans and the interpreter allows it."""
        if sys.version_info < (3, 12) or not self.has_exporters or self.config.spans != "sampled":
            return
        from .engines.ends import Ends
        from .engines.prologue import Unavailable

        try:
            self.recorder.samples.ends = Ends(self.recorder, self.patcher.in_place)
        except Unavailable as why:
            self.errors.add("span-ends", why)

    def _advices(self, target: Target, value: Any, tap: Tap) -> list[Any]:
        """What has to run around the calls of a target; nothing, for nearly all."""
        advices: list[Any] = []
        if target.mode != "observe":
            from . import modes

            mode = modes.advice(target, self.config.environment)
            advices += [mode] if mode is not None else []
        if self.config.spans == "all" and self.has_exporters:
            from .current_span import CurrentSpan

            advices.append(CurrentSpan(self, tap))
        if target.isolation:
            from .isolation import Isolation

            function = getattr(value, "__func__", value)
            code = getattr(function, "__code__", None)
            names = code.co_varnames[: code.co_argcount] if code is not None else ()
            advices.append(Isolation(self, tap, names))
        return advices

    # -- events in the host's threads ---------------------------------------------------------------

    def loaded(self, module: ModuleType) -> None:
        """A wanted module has run."""
        name = _spec_name(module)
        try:
            self.patcher.loaded(module, name)
        except BaseException:  # a signal's handler says "stop": to the host, which may go on and use the module
            self.patcher.loaded(module, name)
            raise

    def all_targets(self) -> list[Target]:
        """What is told of. A wildcard is among it: who has it would see what it covers, if that came."""
        wild = (target for some in self.patcher.wanted.wild.values() for _, target in some)
        return [*list(self.patcher.by_ref.values()), *wild]

    def _changed(self, target: Target) -> None:
        self._to_write.append(target)

    def _asked_for(self, target: Target, record: SiteRecord | None) -> None:
        """A removed target was asked for."""
        who = f"{record.function} in {record.module}" if record is not None else "a caller beyond the limit"
        self.finding_at("removed", target, f"{who} asked for {target.ref}, which is removed", record)

    def finding_at(
        self,
        kind: str,
        target: Target,
        message: str,
        record: SiteRecord | None,
        attributes: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """Something that blocks `safe` and is no use. On disk when this returns; repeats at the next flush."""
        number = record.number if record is not None else -1
        key = (kind, target.ref, message, number)
        with self.recorder.lock:
            count = self._findings.get(key)
            if count is not None:
                count[0] += 1
                return
            self._findings[key] = [0, attributes]
            self.recorder.write(("F", kind, target.ref, time_ns(), message, number, 1, attributes))
            self.new_findings.append((kind, target.ref, time_ns(), message, record, 1, attributes))

    def _write_repeated_findings(self) -> None:
        with self.recorder.lock:
            for (kind, ref, message, number), count in self._findings.items():
                if count[0]:
                    repeats, count[0] = count[0], 0
                    record = self.recorder.records[number] if number >= 0 else None
                    now = time_ns()
                    self.recorder.write(("F", kind, ref, now, message, number, repeats, count[1]))
                    self.new_findings.append((kind, ref, now, message, record, repeats, count[1]))

    def _open_journal(self) -> Journal:
        parents, self._parents_journal = self._parents_journal, None
        journal = None
        try:
            journal = Journal(live_folder(self.config.store_path()), self.id, self.config.max_sites)
            journal.append(process_record(self.config, self.id, self.pid, self.started_ns))
        except BaseException as error:
            if journal is not None:
                journal.discard()
            # What this process uses nobody will see: its parent's zero must not be taken for everybody's.
            if parents is not None and isinstance(error, OSError):
                parents.append(("O", time_ns(), (), (("child-journal-open", 1),)))
            raise
        finally:
            if parents is not None:
                parents.close()
        return journal

    # -- the background thread ----------------------------------------------------------------------

    def flush(self) -> None:
        """One round of the background thread. Never raises."""
        recorder = self.recorder
        self._rounds += 1
        with self.errors.guard("flush"):
            recorder.retry_unwritten()
            self.latecomers.look_again()
            if self._modules_changed() or self.latecomers.unfinished:
                self._modules_seen = len(sys.modules)
                self.latecomers.rescan()
                self._look_for_references()
            elif self._rounds % _LOOK_EVERY == 0:  # registries fill without a module being loaded
                self._look_for_references()
            self.write_pending()
            recorder.publish(thorough=self._rounds % _PUBLISH_ALL_EVERY == 0)
        with self.errors.guard("pipeline"):
            self.pipeline().run()

    def _modules_changed(self) -> bool:
        return len(sys.modules) != self._modules_seen or self.latecomers.is_out_of_date()

    def pipeline(self) -> Any:
        """This process's way out, made now if there is none yet. In the background thread."""
        if self._pipeline is None:
            from .pipeline import Pipeline

            self._pipeline = Pipeline(self)
        return self._pipeline

    def _look_for_references(self, *, lines: bool = True) -> None:
        """Write down who holds a target by now. Without `lines` the reader of the journal finds the lines."""
        if self._holders is None:
            from .holders import Holders

            self._holders = Holders()
        found = self._holders.find(list(self.patcher.by_ref.values()), thorough=lines)
        if lines and found:
            from .expressions import binding_line

            placed = [(*held[:4], binding_line(held[3], held[2]), held[4]) for held in found]
        else:
            placed = [(*held[:4], 0, held[4]) for held in found]
        self.references.extend(placed)
        with self.recorder.lock:
            self.recorder.write(*(("R", *reference) for reference in placed))

    def write_pending(self, spell: Callable[[], None] | None = None) -> None:
        """Put targets, states, spellings and counters that changed into the journal."""
        recorder = self.recorder
        recorder.see_deferred()
        with recorder.lock:
            recorder.write(*self._changed_targets())
        (spell or self._write_spellings)()
        self._write_failures()
        self._write_repeated_findings()
        self._write_counters()

    def _write_counters(self) -> None:
        """Put into the journal what was dropped and what failed, if that changed."""
        recorder = self.recorder
        recorder.count_unseen()
        counters = (tuple(sorted(recorder.dropped.items())), self.errors.counts())
        if counters != self._written_counters:
            self._written_counters = counters
            with recorder.lock:
                recorder.write(("O", time_ns(), *counters))

    def _changed_targets(self) -> list[tuple[object, ...] | str]:
        """The T and A records of targets whose state was decided since the last call."""
        changed, self._to_write = self._to_write, []
        records: list[tuple[object, ...] | str] = []
        try:
            for target in changed:
                if target.ref not in self._known or target.state != "pending":
                    records.append(target_record(target))
                records.append(state_record(target, self.started_ns))
            self._known.update([target.ref for target in changed])
        except BaseException:  # a signal handler's, while the host's thread is here for a call site
            self._to_write[:0] = changed
            raise
        return records

    def _before_site(self) -> list[tuple[object, ...] | str]:
        """What must be on disk with a first call site: a process killed before its first flush had these targets."""
        return self._changed_targets() if self._to_write else []

    def _write_failures(self) -> None:
        for record in list(self.recorder.records):
            errors = record.errors
            if errors != record.written_errors:
                record.written_errors = errors
                with self.recorder.lock:
                    self.recorder.write(("Z", record.number, errors))

    def _write_spellings(self) -> None:
        records = self.recorder.records
        if self._sites_detailed == len(records):
            return
        from . import expressions

        for record in records[self._sites_detailed :]:
            self._sites_detailed += 1
            if record.expression is None:
                name = record.target.qualname.rpartition(".")[2] or record.target.module
                with self.errors.guard("expression"):
                    record.expression = expressions.spelling(record.code, record.lasti, record.line, name)
                with self.recorder.lock:
                    self.recorder.write(("X", record.number, record.expression or ""))

    def _write_places(self) -> None:
        """At exit, where parsing source would cost 20 ms: only where in its file a call stands; readers parse."""
        if "lastcall.expressions" in sys.modules:
            self._write_spellings()
            return
        lines: list[tuple[object, ...]] = []
        for record in self.recorder.records[self._sites_detailed :]:
            place = cs.position_of(record.code, record.lasti) if record.expression is None else None
            if place is not None:
                lines.append(("X", record.number, "@" + ",".join(map(str, place))))
        with self.recorder.lock:
            self.recorder.write(*lines)

    # -- the end ------------------------------------------------------------------------------------

    def leave(self, how: str) -> None:
        """The last words in the journal: counts published, the end written, the files let go."""
        with self.errors.guard("leave"):
            self.recorder.retry_unwritten()
            if self._modules_changed():
                self.latecomers.rescan()
                self._look_for_references(lines=False)
            elif self._holders is not None:
                self._look_for_references(lines=False)
            self.latecomers.look_for_other_code()
            self.write_pending(spell=self._write_places)
            self.recorder.publish()
            self._write_counters()  # of what a finalizer used meanwhile, too
            with self.recorder.lock:
                self.recorder.write(("E", time_ns(), how))
                if self.recorder.journal is not None:
                    self.recorder.journal.close()

    def finish_exports(self, timeout: float) -> None:
        """Last batch, then the exporters' shutdown, within `timeout` seconds. In the background thread."""
        with self.errors.guard("flush"):
            self.recorder.retry_unwritten()
            self.write_pending()
            self.recorder.publish()
        with self.errors.guard("pipeline"):
            self.pipeline().shutdown(timeout)

    def exports_hanging(self) -> bool:
        """Whether the background thread waits for a backend that does not seem to be alive."""
        return self._pipeline is not None and bool(self._pipeline.hanging())

    def keep_exports(self) -> None:
        """Put the last batch where the next process finds it. For the leaving thread, if the other one hangs."""
        if self.has_exporters:
            with self.errors.guard("pipeline"):
                self.pipeline().keep()

    @property
    def has_exporters(self) -> bool:
        """Whether anything but the store takes part."""
        return any(name != "store" for name in self.config.exporters)

    # -- fork ---------------------------------------------------------------------------------------

    def after_fork_in_child(self) -> None:
        """Become the agent of a new process: nothing counted, a journal of its own, the same targets armed."""
        inherited = self.recorder.journal
        self.recorder.lock = native_lock()
        self.id = new_id()
        self.pid = getpid()
        self.started_ns = time_ns()
        self.errors.clear()
        self.recorder.own_threads.clear()
        self.recorder.reset()
        if self.recorder.samples.ends is not None:
            self.recorder.samples.ends.forget()
        if inherited is not None:
            # The parent's lock is the parent's, this is only a second hand on it: let go of it with the first flush.
            if self._parents_journal is not None:
                self._parents_journal.close()
            self._parents_journal = inherited
        self._known = set()
        self._to_write = self.all_targets()
        self._pipeline = None
        self._holders = None
        self.references = []
        self._findings = {}
        self.new_findings = []
        self._modules_seen = 0
        self._written_counters = ()
        self._sites_detailed = 0

    def enter_background(self) -> None:
        """Called first thing in the background thread: what it does is not a use."""
        self.recorder.own_threads.add(native_ident())

    def leave_background(self) -> None:
        """Called last thing there."""
        self.recorder.own_threads.discard(native_ident())


def _spec_name(module: ModuleType) -> str:
    spec = vars(module).get("__spec__")
    return str(getattr(spec, "name", "") or vars(module).get("__name__", ""))
