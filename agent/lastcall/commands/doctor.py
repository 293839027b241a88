"""`lastcall doctor`: what holds, what is armed and why not, and whether a use arrives at all."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lastcall import config as configuration
from lastcall.commands.check import look_at_settings
from lastcall.errors import StoreError, UsageError
from lastcall.journal import live_folder
from lastcall.report_text import printable
from lastcall.report_words import number

if TYPE_CHECKING:
    from typing import Any

    from lastcall.config import Config
    from lastcall.store import StateCount, Store

OK, NOTE, BAD = "ok", "note", "problem"

MOST = 20
"""Targets, and allowances, of one kind that are listed without --all."""
SMALLEST_ROOM = 500_000
"""Bytes. A new database and the live files of its first process take half of that."""
RECENT = 50
"""Processes whose failures are told of."""
DAY = 86_400.0
WIDTH = 80
NARROWEST = 30
INDENT = " " * 10


@dataclass(slots=True)
class Findings:
    """Lines of the doctor's report, section by section, and whether any is a problem."""

    lines: list[tuple[str, str, str]] = field(default_factory=list)
    section: str = ""

    def begin(self, title: str) -> None:
        """Start a section."""
        self.section = title

    def say(self, level: str, text: str) -> None:
        """Add one line."""
        self.lines.append((self.section, level, text))

    def more(self, level: str, left: int, what: str) -> None:
        """Say how many of a kind were left out, if any were."""
        if left:
            self.say(level, f"... and {left:,} more {what}; --all lists them")

    @property
    def healthy(self) -> bool:
        """Whether nothing was a problem."""
        return all(level != BAD for _, level, _ in self.lines)


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("doctor", help=doctor.__doc__)(doctor)


def doctor(
    store: Annotated[
        Path | None, typer.Option(help="The store to look at.  [default: as the agent's settings say]")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave out the use that is sent end to end.")
    ] = False,
    everything: Annotated[
        bool,
        typer.Option("--all", help="List every target, not only a summary and what is not armed; and every setting."),
    ] = False,
) -> None:
    """Say what is configured, what is armed, why not, and whether a use arrives.

    Exit code 0 if all is well, 1 if something needs mending.
    """
    most = sys.maxsize if everything else MOST
    found = Findings()
    config = configuration.load()
    _configuration(found, config, everything=everything)
    _allowances(found, config, most, time.time())
    _interpreter(found)
    path = str(store) if store else config.store_path()
    _store(found, path, most)
    _exporters(found, config)
    if not quick:
        _synthetic_use(found)
    _print(found)
    raise typer.Exit(0 if found.healthy else 1)


def _configuration(found: Findings, config: Config, *, everything: bool) -> None:
    found.begin("Configuration")
    found.say(
        OK if config.file else NOTE, f"file: {config.file or 'none; environment variables and defaults hold'}"
    )
    for problem in config.problems:
        found.say(BAD, problem)
    if not any("[check]" in problem for problem in config.problems):
        try:
            look_at_settings(config)
        except UsageError as error:
            found.say(BAD, error.message)
    config.find_release()
    for name, value in config.values.items():
        where = config.provenance[name]
        meaning = f". {configuration.BY_NAME[name].doc}" if everything else ""
        if where == "the program's name":  # which is ours here
            found.say(OK, f"{name}: each process goes by its program's name{meaning}")
        elif everything or where != "default":
            found.say(OK, f"{name} = {_as_written(value)} ({where}){meaning}")
    if not config.targets and not config.discover:
        found.say(
            BAD,
            'no target is named: put [[target]] ref = "package.module:name" into lastcall.toml, '
            "or set LASTCALL_TARGETS; `lastcall scan` proposes some",
        )
    else:
        discover = "; discovery: " + ", ".join(sorted(config.discover)) if config.discover else ""
        found.say(OK, f"{number(len(config.targets), 'target')} named{discover}")


def _as_written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return (", ".join(value) if isinstance(value, tuple) else str(value)) or "nothing"


def _allowances(found: Findings, config: Config, most: int, now: float) -> None:
    """The `allow` lists: who may go on, why, until when. One that has run out is worth a note."""
    entries = [(target.ref, entry) for target in config.targets for entry in target.allow]
    if not entries:
        return
    found.begin("Allowed uses")
    ended = [(ref, entry) for ref, entry in entries if entry.until_ns and entry.until_ns <= now * 1e9]
    holding = [pair for pair in entries if pair not in ended]
    for ref, entry in ended[:most]:
        found.say(
            NOTE, f"{ref}: the allowance of {entry.caller.text} ended with {entry.until}; it counts again"
        )
    for ref, entry in holding[:most]:
        until = f"until {entry.until}" if entry.until else "without an end"
        why = entry.reason or "no reason is given"
        found.say(OK, f"{ref}: {entry.caller.text}, {until}: {why}")
    found.more(OK, len(ended[most:]) + len(holding[most:]), "allowances")


def _interpreter(found: Findings) -> None:
    found.begin("This interpreter")
    found.say(OK, f"Python {sys.version.split()[0]}, {sys.executable}")
    enabled = os.environ.get("LASTCALL_ENABLED", "")
    if enabled.lower() in ("", "0", "false", "no", "off"):
        found.say(
            NOTE, "LASTCALL_ENABLED is not set here: set it to 1 for the process that is to be observed"
        )
    pth = [folder for folder in sys.path if os.path.isfile(os.path.join(folder, "lastcall.pth"))]  # noqa: PTH113, PTH118
    if pth:
        found.say(OK, f"starts by itself: lastcall.pth lies in {pth[0]}")
    else:
        found.say(
            NOTE,
            "no lastcall.pth here: use `lastcall run`, PYTHONPATH=<checkout>, or lastcall.start()",
        )
    try:
        import wrapt

        from lastcall.engines import wrapping
    except ImportError as error:
        found.say(BAD, f"wrapt cannot be imported: {error}; install it with pip")
        return
    kind = "C extension" if wrapping.IN_C else "pure Python"
    found.say(OK if kind == "C extension" else NOTE, f"wrapt {wrapt.__version__} ({kind})")
    found.say(
        OK, "in-place engine: " + ("sys.monitoring" if sys.version_info >= (3, 12) else "rewritten prologue")
    )


def _store(found: Findings, path: str, most: int) -> None:
    found.begin("Store")
    from lastcall.store import Store
    from lastcall.store.soundness import fault_in

    try:
        with Store.current(path) as store:
            if fault := fault_in(store.path):
                found.say(BAD, fault)
            else:
                _store_contents(found, store, path)
                _targets(found, store.current_states(), most)
    except StoreError as error:
        if error.slug == "store-missing":
            found.say(
                NOTE, f"nothing at {path} yet: no process has been observed; it is made by the first one"
            )
            _who_may_write(found, path)
        else:
            found.say(BAD, error.message)
    _room(found, path)


def _store_contents(found: Findings, store: Store, path: str) -> None:
    if store.unread:
        found.say(
            BAD,
            f"this user may not read what {number(store.unread, 'process')} left in {path}-live:"
            " what they used is not seen",
        )
    processes = store.processes()
    sites = sum(total.sites for total in store.totals().values())
    found.say(OK, f"{path}: {number(len(processes), 'process')}, {number(sites, 'call site')}")
    if not processes:
        found.say(NOTE, "no process has been observed")
        _who_may_write(found, path)
        return
    _size(found, path, time.time() - min(row.process.started for row in processes))
    sums: dict[tuple[str, str], list[int]] = {}
    for row in processes[-RECENT:]:
        for level, text, pairs in (
            (BAD, "{} [{}]", row.internal_errors),
            (BAD, "dropped {} [{}]", row.dropped),
            (
                NOTE,
                "could not read {} of what processes left [{}]",
                row.reading_faults,
            ),  # nobody can mend that
        ):
            for name, count in pairs:
                sums.setdefault((level, text.format("{}", name)), []).append(count)
    for (level, text), counts in sums.items():
        amount = number(sum(counts), "internal error") if text.startswith("{} [") else sum(counts)
        found.say(level, f"{text.format(amount)} in {number(len(counts), 'process')} of the last {RECENT}")
    if any("[child-journal-open]" in text for _, text in sums):
        found.say(
            NOTE,
            "child-journal-open: a child process could write no file beside the store (another user, mostly),"
            " and what it used is not seen",
        )
        _who_may_write(found, path)


def _room(found: Findings, path: str) -> None:
    """Whether whoever asks could write there, and has room to. A host that cannot is not told so."""
    folder = _nearest_folder(path)
    if obstacle := _in_the_way(path):
        found.say(BAD, f"nothing can be recorded at {path}: {obstacle}")
        return
    disk = os.statvfs(folder)
    if not disk.f_blocks or not os.access(folder, os.W_OK | os.X_OK):  # /proc has no blocks
        why = "its file system is read-only" if disk.f_flag & os.ST_RDONLY else "you may not write there"
        exists = Path(path).exists()
        found.say(NOTE if exists else BAD, f"nothing can be recorded in {folder}: {why}")
    elif (free := disk.f_bavail * disk.f_frsize) < SMALLEST_ROOM:
        found.say(BAD, f"the disk of {folder} is full: {free / 1e3:,.0f} KB are left")


def _in_the_way(path: str) -> str:
    """What stands where the store, or a folder that it needs, could never be made; empty if nothing does."""
    store = configuration.followed(path)
    if os.path.islink(store):  # noqa: PTH114 - a path as text
        return f"{store} is a link that leads in circles"
    folder = Path(store).absolute().parent
    places = (Path(live_folder(store)), folder, *folder.parents)
    file = next((place for place in places if os.path.lexists(place) and not place.is_dir()), None)
    return f"{file} is no folder" if file else ""


def _nearest_folder(path: str) -> Path:
    """The folder of live files, or of those above it the first that there is."""
    live, folder = Path(live_folder(path)), Path(path).absolute().parent
    return next(place for place in (live, folder, *folder.parents) if place.is_dir())


def _who_may_write(found: Findings, path: str) -> None:
    """Whose processes can leave anything there, if not everybody's: what others use is not seen, and nobody says so."""
    live = _nearest_folder(path)
    at = live.stat()
    if at.st_mode & stat.S_IWOTH:
        return
    try:
        owner = pwd.getpwuid(at.st_uid).pw_name
    except KeyError:
        owner = f"user {at.st_uid}"
    group = f" and the group {at.st_gid}" if at.st_mode & stat.S_IWGRP else ""
    found.say(NOTE, f"only {owner}{group} may write in {live}: processes of other users leave nothing there")


def _size(found: Findings, path: str, age: float) -> None:
    """What the store takes on the disk, and how fast that grows: nothing in it is ever deleted."""
    store = sum(_bytes(path + end) for end in ("", "-wal", "-shm"))
    folder = Path(live_folder(path))
    live = [_bytes(str(file)) for file in folder.iterdir()] if folder.is_dir() else []
    text = f"{_megabytes(store)} on disk, and {_megabytes(sum(live))} of {number(len(live), 'live file')}"
    if age >= DAY:
        text += f"; about {_megabytes(store / (age / DAY))} a day since the first process"
    found.say(OK, text)


def _bytes(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116 - a path as text
    except OSError:  # gone since it was listed, or never there
        return 0


def _megabytes(size: float) -> str:
    return f"{size / 1e6:,.1f} MB"


def _targets(found: Findings, states: list[StateCount], most: int) -> None:
    """A summary by state; then what is not armed, and the rest only if there is little of it."""
    found.begin("Targets")
    if not states:
        found.say(NOTE, "no target has been observed")
        return
    by_state: dict[str, list[StateCount]] = {}
    for row in states:
        by_state.setdefault(row.state, []).append(row)
    if len(states) > most:
        told = ", ".join(f"{len(rows):,} {state}" for state, rows in sorted(by_state.items(), key=_weight))
        found.say(OK, f"{number(len({row.ref for row in states}), 'target')}: {told}")
        by_state.pop("armed", None)
    for state, rows in sorted(by_state.items(), key=_weight):
        for row in rows[:most]:
            _state(found, row)
        found.more(_LEVELS.get(state, NOTE), len(rows[most:]), state)


_LEVELS = {"armed": OK, "failed": BAD, "missing": BAD}
"""How bad a state is; the others are worth a note."""


def _weight(group: tuple[str, list[StateCount]]) -> tuple[int, int]:
    """What needs mending comes first, and then what there is least of."""
    state, rows = group
    return (BAD, NOTE, OK).index(_LEVELS.get(state, NOTE)), len(rows)


def _state(found: Findings, row: StateCount) -> None:
    scope = "/".join(part for part in (row.scope.service, row.scope.environment, row.scope.release) if part)
    engine = f" by {row.engine}" if row.engine else ""
    reason = row.reason or ("its module was not imported" if row.state == "pending" else "")
    where = (
        f"in {number(row.processes, 'process')} of {scope}"
        if scope
        else f"in {number(row.processes, 'process')}"
    )
    found.say(
        _LEVELS.get(row.state, NOTE),
        f"{row.ref} {row.state}{engine} {where}" + (f": {reason}" if reason else ""),
    )


def _exporters(found: Findings, config: Config) -> None:
    names = [name for name in config.exporters if name != "store"]
    if not names:
        return
    found.begin("Exporters")
    from lastcall.exporting import create_exporter

    for name in names:
        try:
            exporter = create_exporter(name, config)
            problem = exporter.probe(5.0)
            exporter.shutdown(1.0)
        except Exception as error:  # noqa: BLE001 - whatever a client library raises is the finding
            problem = f"{type(error).__name__}: {error}"
        found.say(BAD if problem else OK, f"{name}: {problem or 'answers'}")


_PROGRAM = """
    def shim(): pass
"""


def _synthetic_use(found: Findings) -> None:
    """A real process, a real import, a real use, read back from a store of its own."""
    found.begin("A use, end to end")
    with tempfile.TemporaryDirectory(prefix="lastcall-doctor-") as folder:
        Path(folder, "lastcall_doctor_shim.py").write_text(textwrap.dedent(_PROGRAM))
        store = os.path.join(folder, "store.db")  # noqa: PTH118
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("LASTCALL_", "OTEL_"))}
        environment["PYTHONPATH"] = folder
        source = str(Path(__file__).resolve().parents[2])
        program = (
            f"import sys; sys.path.append({source!r}); import lastcall\n"
            f"lastcall.start(targets=['lastcall_doctor_shim:shim'], store={store!r})\n"
            "import lastcall_doctor_shim\nfor _ in range(3): lastcall_doctor_shim.shim()\n"
        )
        try:
            done = subprocess.run(  # noqa: S603 - our own interpreter and our own program
                [sys.executable, "-c", program],
                cwd=folder,
                env=environment,
                timeout=60,
                capture_output=True,
                text=True,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            found.say(BAD, f"a child interpreter did not come back: {error}")
            return
        _read_back(found, store, done)


def _read_back(found: Findings, path: str, done: subprocess.CompletedProcess[str]) -> None:
    from lastcall.store import Store

    if done.returncode or done.stderr:
        found.say(
            BAD, f"the child interpreter said (exit code {done.returncode}): {done.stderr.strip()[-300:]}"
        )
    try:
        with Store.current(path) as store:
            counted = sum(use.count for use in store.uses(stacks=False))
    except StoreError as error:
        found.say(BAD, f"nothing arrived: {error.message}")
        return
    if counted == 3:  # noqa: PLR2004 - as the program above calls it
        found.say(OK, "three calls in a child process, three in its store")
    else:
        found.say(BAD, f"three calls in a child process, {counted} in its store")


def _print(found: Findings) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    # A width of nothing (COLUMNS=0, a terminal that does not know its size) would print nothing.
    width = console.width = min(max(console.width, NARROWEST), WIDTH) if sys.stdout.isatty() else WIDTH
    styles = {OK: "green", NOTE: "yellow", BAD: "bold red"}
    section = ""
    for title, level, text in found.lines:
        if title != section:
            section = title
            console.print(Text(f"\n{title}" if section != found.lines[0][0] else title, style="bold"))
        first, *rest = textwrap.wrap(
            printable(text), width - len(INDENT), break_long_words=False, break_on_hyphens=False
        ) or [""]
        console.print(Text.assemble("  ", (f"{level:8}", styles[level]), first))
        for line in rest:
            console.print(Text(INDENT + line))
    console.print()
    console.print(
        "All is well." if found.healthy else "Something needs mending: see the lines marked `problem`."
    )
