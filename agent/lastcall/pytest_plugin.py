"""The pytest plugin: `pytest --lastcall` arms the configured targets and holds their uses against a baseline.

A use by a function that `lastcall-baseline.toml` does not list fails the run; so does, after a whole run, an
entry that nothing uses any more. Uses travel with the report of each test, which is what pytest-xdist and
plugins that fork carry from their processes to the one that decides. Does nothing, and imports nothing,
without `--lastcall`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from lastcall.baseline import Comparison, Use

ATTRIBUTE = "lastcall_uses"
"""On a test's last report: the uses that came up in its process since the report before."""
NARROWING = (
    "keyword", "markexpr", "lf", "failedfirst", "stepwise", "deselect", "ignore", "ignore_glob", "collectonly",
    "setuponly", "setupplan",
)  # fmt: skip
"""Options after which a run is not the whole suite."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the ratchet."""
    group = parser.getgroup("lastcall", "deprecated entry points")
    group.addoption(
        "--lastcall",
        action="store_true",
        help="Fail on uses of deprecated entry points that the baseline does not list.",
    )
    group.addoption(
        "--lastcall-baseline",
        metavar="FILE",
        help="The accepted uses. Default: lastcall-baseline.toml in the root folder.",
    )
    group.addoption(
        "--lastcall-update",
        action="store_true",
        help="Take entries that nothing uses any more out of the baseline.",
    )
    group.addoption(
        "--lastcall-accept", metavar="REASON", help="Add the new uses to the baseline, for this reason."
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Start the agent, before test modules are imported."""
    if config.getoption("lastcall_update") or config.getoption("lastcall_accept"):
        config.option.lastcall = True
    if not config.getoption("lastcall"):
        return
    from lastcall.errors import LastcallError

    try:
        config.pluginmanager.register(Ratchet(config), "lastcall-ratchet")
    except LastcallError as error:
        raise pytest.UsageError(error.message) from error


class Ratchet:
    """One process's part in the run. The one that is no worker of another compares, reports, and fails."""

    def __init__(self, config: pytest.Config) -> None:
        from lastcall.baseline import FILE_NAME, Baseline

        self.config = config
        self.is_worker = hasattr(config, "workerinput")
        self.root = str(config.rootpath)
        path: Path = config.rootpath / (config.getoption("lastcall_baseline") or FILE_NAME)
        self.baseline = Baseline.load(path)
        self.uses: dict[Any, Use] = {}
        self.comparison: Comparison | None = None
        self.deselected = False
        self.lost_worker = False
        self.said = ""
        self._totals: dict[int, int] = {}
        self._start()

    def _start(self) -> None:
        """Start the agent for this run alone, unless it runs: nothing reaches a store or a backend."""
        import tempfile

        from lastcall import bootstrap
        from lastcall import config as settings

        if bootstrap.life() is None:
            self._folder = tempfile.TemporaryDirectory(prefix="lastcall-pytest-")
            bootstrap.start(store=f"{self._folder.name}/store.db", exporters=[], service="tests")
            self.config.add_cleanup(self._stop)
        configured = settings.load()
        if configured.problems:
            raise pytest.UsageError(f"lastcall: {configured.problems[0]}")
        if not configured.targets and not configured.discover:
            self.said = "No target is configured."
            self.deselected = True  # of what nobody watched, nobody knows that it is not used any more

    def _stop(self) -> None:
        from lastcall import bootstrap

        bootstrap.stop()
        self._folder.cleanup()

    # -- collecting, in every process -----------------------------------------------------------------

    def fresh(self, test: str) -> list[Use]:
        """The uses that came up in this process since the last time, `test` being what ran."""
        from lastcall import bootstrap
        from lastcall.baseline import Key, Use, caller_name, relative

        life = bootstrap.life()
        if life is None:
            return []
        found = []
        for record in list(life.agent().recorder.records):
            total = record.total()
            if total == self._totals.get(id(record)):
                continue
            self._totals[id(record)] = total
            if total and record.allowed is None:
                key = Key(record.target.ref, caller_name(record.module, record.function))
                file = relative(record.file, self.root)
                instead = record.target.metadata.get("replacement", "")
                found.append(Use(key, file, record.line, record.use, instead, test))
        return found

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, Any, None]:
        """Put what a test used on its last report, which reaches the deciding process however it ran."""
        outcome = yield
        if call.when == "teardown":
            from lastcall.baseline import as_plain

            setattr(outcome.get_result(), ATTRIBUTE, [as_plain(use) for use in self.fresh(item.nodeid)])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in the uses of a test, wherever it ran."""
        from lastcall.baseline import from_plain

        if not self.is_worker:
            self._take(from_plain(values) for values in getattr(report, ATTRIBUTE, ()))

    def _take(self, uses: Any) -> None:
        for use in uses:
            self.uses.setdefault(use.key, use)

    def pytest_deselected(self) -> None:
        """Not the whole suite ran."""
        self.deselected = True

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Nor did it where a module's tests could not be collected (`--continue-on-collection-errors`)."""
        self.deselected |= report.failed

    # -- workers of pytest-xdist ------------------------------------------------------------------------

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Take in what a worker used outside of its tests: at import, in session fixtures."""
        from lastcall.baseline import from_plain

        output = getattr(node, "workeroutput", None) or {}
        self._take(from_plain(values) for values in output.get(ATTRIBUTE, ()))
        self.deselected |= bool(output.get("lastcall_deselected"))
        self.lost_worker |= bool(error) or ATTRIBUTE not in output

    # -- the end ------------------------------------------------------------------------------------

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Compare, and fail the run for what is new or stale."""
        from lastcall.baseline import as_plain

        rest = self.fresh("")
        if self.is_worker:
            output = self.config.workeroutput  # type: ignore[attr-defined]  # pytest-xdist's
            output[ATTRIBUTE] = [as_plain(use) for use in rest]
            output["lastcall_deselected"] = self.deselected
            return
        self._take(rest)
        whole = self._is_whole() and exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        self.comparison = self.baseline.compare(self.uses.values(), complete=whole)
        self._write(self.comparison)
        if not self.comparison.clean and session.exitstatus in (
            pytest.ExitCode.OK,
            pytest.ExitCode.NO_TESTS_COLLECTED,
        ):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _is_whole(self) -> bool:
        """Whether every test of the suite ran, so that what was not used is not used any more."""
        option = self.config.option
        named = (
            self.config.args_source is not pytest.Config.ArgsSource.TESTPATHS
            and self.config.args_source is not pytest.Config.ArgsSource.INVOCATION_DIR
        )
        narrowed = any(getattr(option, name, None) for name in NARROWING)
        below = not self.config.rootpath.samefile(self.config.invocation_params.dir)
        return not (named or narrowed or below or self.deselected or self.lost_worker or option.maxfail)

    def _write(self, comparison: Comparison) -> None:
        """What the update options ask for; what they settled is no failure."""
        reason = self.config.getoption("lastcall_accept")
        if reason and comparison.new:
            self.baseline.add([use.key for use in comparison.new], reason)
        if self.config.getoption("lastcall_update") and comparison.stale:
            self.baseline.remove(comparison.stale)
        if (reason and comparison.new) or (self.config.getoption("lastcall_update") and comparison.stale):
            from lastcall.errors import UsageError

            try:
                self.baseline.save()
            except UsageError as error:
                self.said = error.message
                return
            self.said = f"{self.baseline.path.name} was updated."
            if reason:
                comparison.new = []
            if self.config.getoption("lastcall_update"):
                comparison.stale = []

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say what is new, what is stale, and what to do."""
        if self.comparison is None or self.is_worker:
            return
        write = terminalreporter.write_line
        if self.comparison.clean:
            from lastcall.reasons import plural

            count = plural(len(self.uses), "accepted use")
            write(f"lastcall: {count} of deprecated entry points. {self.said}".rstrip())
            return
        terminalreporter.section("lastcall", red=True, bold=True)
        if self.comparison.new:
            write("New uses of deprecated entry points:")
            for use in self.comparison.new:
                write(f"  {use.sentence()}", red=True)
            write("Use the replacement; or accept them with --lastcall-accept REASON.")
        if self.comparison.stale:
            write(f"No longer used, and still in {self.baseline.path.name}:")
            for key in self.comparison.stale:
                write(f"  {key.caller} -> {key.target}", red=True)
            write("Take them out with --lastcall-update.")
        if self.said:
            write(self.said, red=True)
