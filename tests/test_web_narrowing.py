"""`lastcall report --format html` with filters: the page and the text report are asked the same, and compared."""

from __future__ import annotations

import json
import re
import time

import pytest

pytest.importorskip("starlette", reason="the extra web is not installed")
import web_fleet
from lastcall.cli import main
from lastcall.store import Filter, Store
from lastcall.web import board as boards

NOW = time.time()
FACTORY = web_fleet.TARGETS[0][0]
FILTERS = {
    "nothing": [],
    "target": ["--target", FACTORY],
    "wildcard": ["--target", "app.auth.*"],
    "service": ["--service", "chat"],
    "environment": ["--environment", "staging"],
    "release": ["--release", "2026.26.1"],
    "since": ["--since", "9d"],
    "hours": ["--since", "36h"],
    "all": ["--target", "app.*:*get*", "--service", "backend", "--environment", "staging", "--since", "40d"],
}
WORDS = re.compile(r" {0,8}([\d,]+)  (armed|pending|missing|failed|partial|removed) +(\S+)")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return web_fleet.build(str(tmp_path_factory.mktemp("fleet") / "store.db"), now=NOW)


@pytest.fixture
def report(store, tmp_path, monkeypatch, capsys):
    """Runs `lastcall report` and gives what it wrote."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, of=store):
        with pytest.raises(SystemExit) as ended:
            main(["report", "--store", str(of), *arguments])
        written = capsys.readouterr()
        assert not ended.value.code, written.err
        return written.out

    return run


def number(text):
    return int(text.replace(",", ""))


def numbers_of_page(text):
    """{target: (uses, call sites)} of the table, and [(file, line, uses)] of the call sites."""
    parts = re.findall(r'<tr><th scope="row">(?:(?!</th>).)*?<bdi class="name">(.*?)</bdi></a>(?:<bdi class="module">(.*?)</bdi>)?.*?'
                       r'<td class="n">([\d,]+)<small class="under">([\d,]+) sites?<', text, re.DOTALL)
    targets = {}
    for name, module, uses, sites in parts:
        ref = f"{module}:{name}" if module else name
        targets[ref.replace("<wbr>", "")] = (number(uses), number(sites))
    sites = [(ref.replace("<wbr>", ""), int(line), number(uses)) for ref, line, uses in re.findall(
        r'<div class="site-head">\s*<div class="ref"><code class="place"><bdi>(.*?)</bdi>:(\d+)</code>.*?<span class="n strong">([\d,]+) uses?<', text, re.DOTALL)]
    return targets, sorted(sites)


@pytest.mark.parametrize("name", list(FILTERS))
def test_the_page_has_the_numbers_of_the_text_report(report, name):
    options = [*FILTERS[name], "--limit", "0"]
    targets, sites = numbers_of_page(report("--format", "html", *options))
    told = json.loads(report("--format", "json", *FILTERS[name]))
    assert targets == {t["target"]: (t["uses"], t["call_sites"]) for t in told["targets"]}
    text = report(*options)
    assert sorted(uses for uses, _ in targets.values()) == sorted(number(uses) for uses, _, _ in WORDS.findall(text))
    by_place = {}
    for use in told["uses"]:
        key = (use["target"], use["file"], use["line"], use["function"], use["use"], use["origin"], use["test"], use["expression"])
        by_place[key] = by_place.get(key, 0) + use["count"]
    assert sites == sorted((key[1], key[2], count) for key, count in by_place.items())
    assert (len(sites) < 130) is (name not in ("nothing", "environment"))
    for file, line, uses in sites:
        assert re.search(rf" {uses:,}  {re.escape(file)}:{line}$", text, re.MULTILINE)


@pytest.mark.parametrize("name", list(FILTERS))
def test_the_page_has_the_rest_of_the_report_too(report, name):
    page = report("--format", "html", *FILTERS[name]).replace("<wbr>", "")
    told = json.loads(report("--format", "json", *FILTERS[name]))
    held = re.findall(r'<span class="module"><bdi>([\w.]+)</bdi> as <code>', page)
    assert sorted(held) == sorted(reference["module"] for reference in told["references"])
    # Scopes that ended: the newest twenty-five. All of them are in a table row each.
    scopes = re.findall(r'<tr><th scope="row"><bdi>(\w+)</bdi>.*?<code class="release"><bdi>(.*?)</bdi></code>', page)
    known = {(row["service"], row["release"]) for row in told["observations"]}
    assert set(scopes) <= known
    assert len(set(scopes)) >= min(25, len(known))
    users_mixed = [f for f in told["findings"] if f["kind"] == "isolation"]
    section = page[page.index('<h1 id="isolation">') : page.index('<h1 id="impact">')]
    assert sum(section.count(message) for message in {f["message"] for f in users_mixed}) == len(users_mixed)
    assert ("two owners" in section) is any("two owners" in f["message"] for f in users_mixed)


def test_what_a_report_is_narrowed_to_is_said_on_it(report):
    page = report("--format", "html", *FILTERS["all"])
    said = page[page.index('<section class="card facts narrowed"') :]
    said = said[: said.index("</section>")]
    for word in ("app.*:*get*", "backend", "staging", "Since", "Verdicts weigh everything"):
        assert word in said
    assert 'class="card facts narrowed"' not in report("--format", "html")


def test_verdicts_are_not_made_of_part_of_the_evidence(report):
    def verdicts(page):
        return dict(re.findall(r'<a href="(#t-\w+)">.*?class="pill ([\w-]+)"', page, re.DOTALL))

    whole = verdicts(report("--format", "html"))
    narrow = verdicts(report("--format", "html", "--service", "worker", "--since", "1h"))
    assert whole == narrow
    assert set(whole.values()) == {"in-use", "unproven", "safe"}
    some = verdicts(report("--format", "html", "--target", "app.auth.*"))
    assert len(some) == 2
    assert some.items() <= whole.items()


def test_charts_of_a_report_begin_where_it_begins_and_count_as_the_whole_does(store):
    whole = boards.read(Store.current(store), NOW)
    since = NOW - 9 * 86400
    later = boards.read(Store.current(store), NOW, Filter(since=since))
    try:
        # The first days know what was in use in the week before them.
        assert [day.sites for day in later.days[-9:]] == [day.sites for day in whole.days[-9:]]
        from lastcall.web import pages

        chart = pages.overview(later, {})["sites_chart"]
        assert chart["x"][0] == int(since // 86400) * 86400
        assert later.recent == whole.recent
        assert sum(row.sums.uses for row in later.targets.values() if row.sums) < sum(row.sums.uses for row in whole.targets.values() if row.sums) / 5
    finally:
        whole.close()
        later.close()


def test_narrowing_changes_nothing_in_the_file(report, store):
    def fingerprint():
        with Store.open(store, read_only=True) as opened:
            return opened.totals(), len(opened.uses()), len(opened.references()), len(opened.findings())

    before = fingerprint()
    report("--format", "html", *FILTERS["all"])
    assert fingerprint() == before


def test_a_limit_and_stacks_are_honoured(report):
    def counts(*options):
        page = report("--format", "html", "--target", FACTORY, *options)
        return page.count('class="site-head"'), page.count('class="stack"')

    sites, stacks = counts("--limit", "0")
    assert sites > 25
    assert stacks == sites
    assert counts("--limit", "2") == (2, 2)
    assert counts()[0] == 25


def test_stacks_beyond_a_sensible_number_are_shown_on_request(report, monkeypatch):
    from lastcall.web import static_report

    monkeypatch.setattr(static_report, "STACKS", 3)
    monkeypatch.setattr(static_report, "PART", 2)
    page = report("--format", "html", "--limit", "4")
    assert page.count('class="stack"') == 3
    assert report("--format", "html", "--limit", "4", "--stacks").count('class="stack"') == page.count('class="site-head"') > 20


def test_a_report_of_no_store_is_a_page_too(report, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LASTCALL_STORE", str(tmp_path / "none" / "store.db"))
    with pytest.raises(SystemExit):
        main(["report", "--format", "html"])
    page = capsys.readouterr().out
    assert page.startswith("<!doctype html>") or page.lstrip().startswith("<!doctype html>")
    assert "Nothing was observed yet" in page


def test_filters_that_leave_nothing_say_so_and_do_not_call_the_store_empty(report, store):
    page = report("--format", "html", "--release", "2026.1.0", "--since", "1h")
    assert "Nothing that matches was seen" in page
    assert "The store is empty" not in page
