"""What a page may cost on a year of a large fleet: processor time of the server, which no other program adds to."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="the extra web is not installed")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def year(tmp_path_factory):
    """(the measuring module, a judged board over 1,000 targets, 100,000 call sites and 52 weeks)."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
    import web_pages

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("empty"))
        board = web_pages.ready(web_pages.made(tmp_path_factory.mktemp("year") / "year.db"))
    yield web_pages, board
    board.close()


def test_every_page_is_within_the_budget_with_all_verdicts_on_it(year):
    measure, board = year
    assert board.judged is not None
    assert all(row.word for row in board.targets.values())
    assert len(board.targets) == 1000
    assert board.targets[measure.busiest(board)].sums.sites > 20_000
    app = measure.application(lambda: board)
    assets = measure.asset_bytes()
    for name, address in measure.addresses(board).items():
        times, size = measure.measured(app, address, 5)
        assert times[0] < 200, (name, times)
        assert min(times) < 100, (name, times)
        assert size + assets < 300_000, (name, size, assets)


def test_one_target_is_found_by_an_index(year):
    """No statement of a target's page reads a whole table of the fleet's."""
    measure, board = year
    asked = []
    with board.reading() as connection:
        connection.set_trace_callback(asked.append)
    measure.answer(measure.application(lambda: board), measure.addresses(board)["the busiest target"])
    with board.reading() as connection:
        connection.set_trace_callback(None)
        plans = [
            (statement, step[3])
            for statement in asked
            for step in connection.execute(f"EXPLAIN QUERY PLAN {statement}")
        ]
    assert len(asked) >= 8
    large = ("use_count", "activity", "site", "site_sum", "site_text", "site_day", "target_day", "target_state", "reference", "reference_seen",
             "observed", "frame", "stack", "scope_sum")  # fmt: skip
    scans = [(step, statement[:200]) for statement, step in plans if step.startswith("SCAN ")]
    aliases = {alias: name for statement in asked for name, alias in _names(statement)}
    assert [scan for scan in scans if aliases.get(scan[0].split()[1], scan[0].split()[1]) in large] == []


def _names(statement):
    """(table, alias) of what a statement joins."""
    import re

    return re.findall(r"(?:FROM|JOIN) (\w+) (\w)\b", statement)
