"""Starting: idempotent, guarded, aware of forks.

What runs at the start of the interpreter reads the configuration, puts a finder before the others, and starts
one sleeping thread. The agent itself (`agent.Agent`) is made when the first target's module has been
imported, or in that thread after the first interval, or at exit.
"""

from __future__ import annotations

import atexit
import os
import sys
from _thread import allocate_lock, get_ident, start_new_thread
from os import getpid  # as it is now: a test of the host's may put another in its place

from . import config as configuration
from . import forks
from .errors import getframe, internal_errors
from .importing import Finder, Wanted, is_spawned, script_names

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from _thread import LockType
    from types import FrameType, ModuleType
    from typing import Any

    from .agent import Agent
    from .circular import Circle
    from .config import Config

OFF = ("", "0", "false", "no", "off")
EXIT_STEP = 0.05
"""Seconds between two looks whether waiting for our thread still makes sense."""
ALONE_STEP = 0.05
"""Seconds between two looks whether anybody else is left, in a child that a thread forked."""
MAKING_SECONDS = 1.0
"""How long an import waits for the agent that another thread is making."""
_OF_THE_THREAD_ITSELF = ("SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV", "SIGSYS", "SIGTRAP")
"""Signals that tell a thread of its own faults: `faulthandler` is to see those of ours, too."""
CROWDED = 1_000
"""Live files beside the store from which on an exit takes some of them over."""
NO_DESCRIPTOR = 2**31 - 1
NOT_HERE = (
    "runs in a subinterpreter, where uses are not seen (under mod_wsgi: WSGIApplicationGroup %{GLOBAL})"
)
PATCHERS = ("gevent", "eventlet")
PATCHING_SECONDS = 10.0
"""How long after it was met one of these may still be about to replace the host's threads."""
MOST_BROKEN_IMPORTS = 5
_IS_EMBEDDED = not sys.orig_argv
"""Whether another program than Python's own runs the interpreter. It may fork soon, and no fork must meet our thread
that we do not hear of. So the thread waits for the first target's module there."""
_UNHEARD = -1
"""Stands for whoever may fork at any time, among the threads that do."""
PAUSE_BEFORE_FORK = 1.0
"""Seconds that a fork waits at most for our thread to finish its step: only its first, with its imports, is long."""


class Life:
    """The agent's life in this process: its thread, its forks, its end."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.wanted = Wanted(config.made, config.unmade, lambda: config.targets)
        self.finder = Finder(self.wanted, self._loaded, internal_errors, self._missed, self._imported_unfinished)
        self.stopped = False
        self._agent: Agent | None = None
        self._met: list[ModuleType] = []
        """Wanted modules that came in while the agent was being made: what it imports itself can be wanted."""
        self._main = get_ident()
        self._pid = getpid()
        self._heeds_workers = False
        self._ends_with_its_threads = False
        """Whether no main thread of ours will ever run the interpreter's end: see `_is_alone`."""
        self._may_not_import = False
        """Whether an import could wait for ever: see `forks.left_importing`. Then we count, and do nothing else."""
        self._started_ns = _now_ns()
        self._patcher_met = 0.0
        self._broken_imports = 0
        self._new_thread_state()

    def _new_thread_state(self) -> None:
        self._making = allocate_lock()
        self._maker = 0
        self._wake = allocate_lock()
        self._wake.acquire()
        self._done = allocate_lock()
        self._stopping = False
        self._running = False
        self._thread_id = 0
        self._forking: set[int] = set()
        """The host's threads that fork just now. While there is one, ours does not run."""
        self._resumes = False
        """Whether the last of them has our thread go on."""

    # -- agent --------------------------------------------------------------------------------------

    def agent(self) -> Agent:
        """The agent of this process, made now if there is none yet."""
        if self._agent is None:
            with self._making:
                if self._agent is None:
                    self._maker = get_ident()
                    try:
                        from .agent import Agent

                        agent = Agent(self.config, self.wanted)
                        agent.latecomers.before_arming = self._before_late_arming
                        agent.latecomers.is_awaited = self.finder.is_awaited
                        agent.recorder.check_process = self.notice_fork
                        self._agent = agent
                    finally:
                        self._maker = 0
        while self._met:
            self._agent.loaded(self._met.pop(0))
        return self._agent

    def _is_being_made(self) -> bool:
        """Whether this thread makes the agent; or another does, which may wait for a module that this one imports."""
        if self._agent is not None:
            return False
        if self._maker == get_ident() or not _acquired(self._making, MAKING_SECONDS):
            return True
        self._making.release()
        return False

    def _loaded(self, module: ModuleType) -> None:
        self.notice_fork()
        self._heed_workers()
        if _IS_EMBEDDED:
            self.start_thread()
        if self._is_being_made():
            self._met.append(module)
            return
        if sys.version_info >= (3, 14) and self._exports():
            import typing  # noqa: F401 - here, where the host cannot meet it half made: see `hidden_import`

        self.agent().loaded(module)

    def _missed(self, name: str) -> None:
        if self._is_being_made():
            return  # by what we import ourselves, which is no use
        self.agent().patcher.missed(name)

    def _imported_unfinished(
        self, module: ModuleType, name: str, circle: Circle | None, frame: FrameType
    ) -> Circle | None:
        if self._is_being_made():
            return circle  # by what we import ourselves, which is no use
        return self.agent().patcher.imported_unfinished(module, name, circle, frame)

    def start(self) -> None:
        """Put the finder in its place, arm what is loaded already, start the thread."""
        self.finder.install()
        wanted = self.wanted
        spawned = is_spawned()
        if spawned:
            from . import mainscript

            mainscript.watch_spawned(self)
        if wanted.any_of(list(sys.modules)):
            self.agent().patcher.arm_loaded()
        if not spawned and wanted.any_of(["__main__", *script_names()]):
            from . import mainscript

            mainscript.watch(self)
        if self.config.discover or self.config.impact:
            self.agent()
        self._flush_on_sigterm()
        wanted.also_exactly("pyuwsgi", self._forks_unheard)  # uWSGI as a module, run by Python itself
        forks.tell(self)
        atexit.register(self._at_exit)
        if not _IS_EMBEDDED:
            self.start_thread()

    # -- the thread ---------------------------------------------------------------------------------

    def start_thread(self) -> None:
        """Start the background thread unless it runs. A host that allows no thread goes without."""
        if self._running or self.stopped or self._may_not_import:
            return
        if self._has_clients():
            # Whichever thread imports it first is the main thread to it, before 3.13: the interpreter's end would
            # then wait for ours.
            import threading  # noqa: F401 - for its side effect in this thread
        if not self._done.acquire(blocking=False):
            return  # another thread was first: two that forked at once both come by here
        self._stopping = False
        self._running = True
        if self._forking:  # asked after we said that it runs, as who forks says so before it looks whether it does
            self._running = False
            self._resumes = True
            self._done.release()
            return
        try:
            start_new_thread(self._loop, ())
        except RuntimeError as error:
            self._running = False
            self._done.release()
            internal_errors.add("thread", error)

    def _has_clients(self) -> bool:
        """Whether client libraries of a backend will be imported in our thread."""
        return "otlp" in self.config.exporters or "gcp" in self.config.exporters

    def _exports(self) -> bool:
        """Whether anything but the store takes part."""
        return any(name != "store" for name in self.config.exporters)

    def _import_base(self) -> None:
        """What exporters need, in ways that the host's imports at the same moment do not notice.

        The store needs neither module, and a test sees to it that this stays so.
        """
        if self._exports():
            self._import_unnoticed()

    def _import_unnoticed(self) -> None:
        from . import hidden_import, main_thread

        hidden_import.import_whole("typing")
        main_thread.import_threading(self._main)

    def _before_late_arming(self) -> None:
        """Arming imports engines; where wrapt is without its C extension these import threading."""
        if get_ident() == self._thread_id:
            self._import_unnoticed()

    def _loop(self) -> None:
        self._thread_id = get_ident()
        try:
            _leave_signals_to_the_host()
            if self._has_clients():
                with internal_errors.guard("thread"):
                    self._import_for_clients()
            alone = self._flush_until_the_end()
            if self.stopped and self._agent is not None:
                self._finish_here(self._agent, alone=alone)
        except BaseException as error:  # noqa: BLE001 - the thread's last guard: never a traceback on the host's stderr
            internal_errors.add("thread", error)
        finally:
            # The system gives this thread's identifier to another one of the host's, whose uses count.
            self._thread_id = 0
            if self._agent is not None:
                self._agent.leave_background()
            self._running = False
            self._done.release()
            if not self._stopping and not self.stopped:
                self.start_thread()  # what forked had us end, and was through when we already did

    def _flush_until_the_end(self) -> bool:
        """Round after round. True if the end is that nobody else is left in the process."""
        entered: Agent | None = None
        while not self._is_to_end():
            alone = self._wait()
            if self._is_to_end():
                break
            if not alone and self._is_about_to_be_patched():
                continue
            if not self._import_for_flush():
                continue
            agent = self.agent()
            if agent is not entered:
                agent.enter_background()
                entered = agent
            from . import garbage

            garbage.begin()
            if self._is_to_end():  # asked after we said that we make way, as who waits says so before he ends that
                garbage.end()
            agent.flush()
            garbage.end()
            if alone:
                self.stopped = True
                return True
        return False

    def _is_to_end(self) -> bool:
        return self._stopping or bool(self._forking)

    def _import_for_flush(self) -> bool:
        """What a flush needs, in one step. False if the host's threads became greenlets meanwhile: then once more.

        importlib cannot let go of the modules that it was about to load, and raises; they are loaded anew.
        """
        try:
            self._import_base()
            self.agent()
            from . import expressions, garbage, holders, pipeline  # noqa: F401 - for the time at which they are
            from .store import absorb, database  # noqa: F401 - the same
        except RuntimeError:
            self._broken_imports += 1
            if self._broken_imports > MOST_BROKEN_IMPORTS or not any(name in sys.modules for name in PATCHERS):
                raise
            return False
        return True

    def _is_about_to_be_patched(self) -> bool:
        """Whether the host has what replaces threads by greenlets, and may be on its way to use it.

        importlib knows by the thread's number who holds the lock of a module. Replaced while our thread imports, that
        fails at its end: so for a while our thread imports nothing, which it does in its first rounds only.
        """
        if not any(name in sys.modules for name in PATCHERS) or sys.modules["_thread"].get_ident is not get_ident:
            return False
        from time import monotonic

        self._patcher_met = self._patcher_met or monotonic()
        return monotonic() - self._patcher_met < PATCHING_SECONDS

    def _import_for_clients(self) -> None:
        """What their libraries need, and what can no longer be imported once the interpreter ends."""
        self._import_base()
        try:
            import concurrent.futures.thread  # noqa: F401 - for its side effect at this moment
        except RuntimeError:  # the interpreter ends already: what cannot be sent goes to the spool
            pass

    def _finish_here(self, agent: Agent, *, alone: bool) -> None:
        """The thread's own part of the end, and all of it where nobody else is left."""
        if agent.has_exporters:
            agent.enter_background()
            agent.finish_exports(self.config.exit_timeout)
        if alone:
            agent.keep_exports()
            agent.leave("exit")

    def _wait(self) -> bool:
        """Wait until it is time to look, or until woken. True if nobody else is left in the process."""
        left = self.config.flush_interval
        if not self._ends_with_its_threads:
            self._wake.acquire(timeout=left)
            return False
        while left > 0 and not self._wake.acquire(timeout=min(left, ALONE_STEP)):
            if self._is_alone():
                return True
            left -= ALONE_STEP
        return False

    def _is_alone(self) -> bool:
        """Whether all the host's threads have ended, in a child that a thread other than the main one forked.

        That thread is the child's main one, but its end is a thread's: no `atexit`, no finalization. The process
        ends with its last thread, and that must not be ours. Looked at twice, because a thread that starts has no
        frame yet.
        """
        if len(sys._current_frames()) > 1:
            return False
        from time import sleep

        sleep(ALONE_STEP)
        return len(sys._current_frames()) == 1 and not self._stopping

    def _stop_thread(self, timeout: float) -> bool:
        """Ask the thread to end and wait for it. True if it has."""
        if not self._running or get_ident() == self._thread_id:
            return not self._running
        self._stopping = True
        return self._wait_for_end(timeout)

    def _wait_for_end(self, timeout: float) -> bool:
        end = getattr(sys.modules.get("lastcall.garbage"), "end", None)  # our thread may be in the midst of loading it
        if end is not None:
            end()
        if self._wake.locked():
            try:
                self._wake.release()
            except RuntimeError:  # woken in the same instant
                pass
        if not _acquired(self._done, timeout):
            return False
        self._done.release()
        self._wake.acquire(blocking=False)
        return True

    # -- fork ---------------------------------------------------------------------------------------

    def before_fork(self) -> None:
        """Have our thread end."""
        # It must not be there at the fork: it could hold a lock that the child would wait for, and
        # from 3.12 on Python warns the host about threads at a fork.
        me = get_ident()
        if me == self._thread_id:
            return
        self._forking.add(me)
        with internal_errors.guard("fork"):
            if not self._running:
                return
            self._resumes = True
            absent = forks.absent_locks()
            if self._wait_for_end(PAUSE_BEFORE_FORK):
                forks.wait_until_gone()
            forks.take_locks(absent)

    def after_fork_in_parent(self) -> None:
        """Have it go on, unless another thread forks too: then it does when that has."""
        self._forking.discard(get_ident())
        if not self._resumes or self._forking:
            return
        self._resumes = False
        with internal_errors.guard("fork"):
            if sys.version_info >= (3, 12):
                from . import soon

                if soon.at_next_instruction(getframe(2), self.start_thread):
                    return
            self.start_thread()

    def after_fork_in_child(self) -> None:
        """Become the agent of the child."""
        with internal_errors.guard("fork"):
            self._new_thread_state()
            self._may_not_import = self._may_not_import or forks.left_importing()
            if self._main != get_ident():
                self._ends_with_its_threads = True
            self._main = get_ident()
            self._pid = getpid()
            self._started_ns = _now_ns()
            self._making = allocate_lock()
            if self._agent is not None:
                self._agent.after_fork_in_child()
            if not self.stopped:
                self.start_thread()

    def notice_fork(self) -> None:
        """Become the agent of a child that was forked by a program around the interpreter, which told nobody."""
        if getpid() != self._pid:
            self.after_fork_in_child()

    def _heed_workers(self) -> None:
        """Where such a program says which process is a worker, wait for its word with our thread."""
        if self._heeds_workers or "uwsgi" not in sys.modules:
            return
        from . import workers

        self._heeds_workers = True
        if workers.heed(sys.modules["uwsgi"], self._in_worker):
            self._in_worker()
        else:
            self._forks_unheard()

    def _forks_unheard(self, _module: ModuleType | None = None) -> None:
        """This process may fork at any time, and nobody says when: our thread is not to be there."""
        # The child would inherit whatever lock it holds, the interpreter's own among them.
        self._forking.add(_UNHEARD)
        if self._running and get_ident() != self._thread_id:
            self._resumes = True
            self._wait_for_end(PAUSE_BEFORE_FORK)

    def _in_worker(self) -> None:
        """This process is a worker, be it a child or the only one: it forks no more."""
        self.notice_fork()
        self._forking.discard(_UNHEARD)
        self.start_thread()

    # -- SIGTERM ------------------------------------------------------------------------------------

    def _flush_on_sigterm(self) -> None:
        """Where SIGTERM would end the process on the spot, send what waits first; the exit status stays the same.

        Only on platforms that say good-bye this way and keep no disk, only with exporters, only in the main
        thread, and only until the host has a handler of its own.
        """
        mode = self.config.sigterm
        platform = (
            os.environ.get("K_SERVICE")
            or os.environ.get("CLOUD_RUN_JOB")
            or os.environ.get("KUBERNETES_SERVICE_HOST")
        )
        if mode == "leave" or (mode == "auto" and not (platform and self._exports())):
            return
        from . import signals

        signals.before_sigterm(self.exit)

    # -- the end ------------------------------------------------------------------------------------

    def _at_exit(self) -> None:
        self.exit()
        forks.forget()
        if self._agent is not None:
            for tap in self._agent.recorder.taps:
                tap.target.let_go()
        # The interpreter keeps `sys.meta_path` until nearly all else is gone, and with us on it all that we reach.
        self.finder.remove()

    def exit(self) -> None:
        """At exit: the last words to the journal, the exporters within `exit_timeout`."""
        if self.stopped:
            return
        self.notice_fork()
        self.stopped = True
        if self._may_not_import:
            return  # its files are read as those of a killed process
        with internal_errors.guard("exit"):
            if self._met_nothing():
                from .introduction import leave_word

                leave_word(self.config, self._started_ns)
            else:
                self._finish(self.agent())
        with internal_errors.guard("tidy"):
            _tidy(self.config.store_path())
        if getattr(sys, "last_type", None) is KeyboardInterrupt:
            with internal_errors.guard("interrupt"):
                from . import signals

                signals.keep_interrupt()

    def _finish(self, agent: Agent) -> None:
        left = self.config.exit_timeout
        while self._running and not self._stop_thread(min(EXIT_STEP, left)):
            left -= EXIT_STEP
            if left <= 0 or agent.exports_hanging():
                break  # a backend is slow or dead: what there is goes to the disk, for the next process
        agent.keep_exports()
        agent.leave("exit")

    def _met_nothing(self) -> bool:
        """Whether no target's module was imported and nothing was written yet: then a few lines say it all."""
        self._stopping = True  # our thread, should it wake now, makes no agent any more
        if self._agent is not None or self._has_clients() or self._making.locked():
            return False
        return not self.wanted.any_of(list(sys.modules))

    def stop(self) -> None:
        """Undo everything: unpatch, leave `sys.meta_path`, end. For tests and notebooks."""
        self.exit()
        self.finder.remove()
        atexit.unregister(self._at_exit)
        forks.forget()
        if self._agent is not None:
            self._agent.patcher.unpatch()


def _tidy(store: str) -> None:
    """Where only short processes run, nobody takes over what they leave: see `tidying`."""
    try:
        left = len(os.listdir(store + "-live"))
    except OSError:
        return  # this process could leave no word either
    if left > CROWDED:
        from .tidying import tidy

        tidy(store)


def _acquired(lock: LockType, seconds: float) -> bool:
    """Wait for a lock of ours, in steps: where the whole process stood still, only one of them is over by that."""
    while not lock.acquire(timeout=min(seconds, EXIT_STEP)):
        seconds -= EXIT_STEP
        if seconds <= 0:
            return False
    return True


def _leave_signals_to_the_host() -> None:
    """Block in this thread, ours, whatever is sent to the process.

    Who has a signal blocked in all of his threads, for as long as he writes a file or until he waits for it, may
    count on it not to be delivered; in ours it would be, and end the process.
    """
    import _signal

    if hasattr(_signal, "pthread_sigmask"):
        own = {getattr(_signal, name, None) for name in _OF_THE_THREAD_ITSELF}
        _signal.pthread_sigmask(_signal.SIG_BLOCK, set(_signal.valid_signals()) - own)


def _now_ns() -> int:
    from time import time_ns

    return time_ns()


_life: Life | None = None
_is_elsewhere = False
"""Whether this is a subinterpreter, whose word has been left."""
_has_failed = False
"""Whether the start-up file has said that the agent could not be started."""


def life() -> Life | None:
    """What `start()` made, if it was called."""
    return _life


def start_from_environment() -> None:
    """What the start-up files call. Does nothing unless LASTCALL_ENABLED says so; never raises."""
    global _has_failed  # noqa: PLW0603 - in a virtual environment a `.pth` file runs twice
    if os.environ.get("LASTCALL_ENABLED", "").lower() in OFF or _has_failed:
        return
    try:
        if not _is_command():
            start()
    except Exception as error:  # the seam between the interpreter's start and ours
        _has_failed = True
        if os.environ.get("LASTCALL_RERAISE") == "1":
            raise
        sys.stderr.write(f"lastcall: not started: {type(error).__name__}: {error}\n")


def _is_command() -> bool:
    """Whether this process is the `lastcall` command itself.

    It would be a process of the service it is asked about, and one that never uses anything: time observed, by
    who looks.
    """
    words = sys.orig_argv[1:]
    while words and words[0].startswith("-"):
        option = words.pop(0)
        if option.endswith("m") and not option.startswith(("--", "-X", "-W")):
            return words[:1] == ["lastcall"]
        if option in ("-X", "-W"):
            del words[:1]
    if not words or os.path.basename(words[0]) != "lastcall":
        return False
    try:
        with open(words[0], "rb") as script:
            return b"lastcall.cli" in script.read(1000)  # else a program of the host's that is called so
    except OSError:
        return False


def _in_subinterpreter() -> bool:
    """Whether this interpreter is not the process's first one.

    It may be ended at any time, and must not have a thread then; extension modules that the engines need may
    refuse it.
    """
    if sys.version_info >= (3, 13):
        from _thread import _is_main_interpreter

        return not _is_main_interpreter()
    import _signal

    try:
        _signal.set_wakeup_fd(NO_DESCRIPTOR)
    except OSError:  # the descriptor is looked at in the main thread of the main interpreter only
        return False
    except ValueError:
        pass
    try:
        import _xxsubinterpreters as interpreters  # type: ignore[import-not-found, unused-ignore] # until 3.12
    except ImportError:
        return False
    return bool(interpreters.get_current() != interpreters.get_main())


def start(**settings: Any) -> None:
    """Start the agent in this process, once; later calls do nothing.

    `settings` are those of the configuration file's `[lastcall]` table, and `targets`, a list of references or
    of tables as under `[[target]]`. Modules imported already are armed too. Problems with the configuration are
    said on stderr, a line each, and never raised.
    """
    global _life, _is_elsewhere  # noqa: PLW0603 - one agent a process
    if _is_elsewhere or (_life is not None and not _life.stopped):
        return
    config = configuration.load(overrides=settings)
    if _in_subinterpreter():
        from .introduction import leave_word

        _is_elsewhere = True
        for target in config.targets:
            target.state, target.reason = "failed", NOT_HERE
        leave_word(config, _now_ns())
        return
    for problem in config.problems:
        sys.stderr.write(f"lastcall: {problem}\n")
    _life = Life(config)
    _life.start()


def stop() -> None:
    """End the agent in this process and put back everything it patched."""
    if _life is not None and not _life.stopped:
        _life.stop()
