"""What the pages show: the store's numbers, whatever its names hold."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import quote

import pytest

pytest.importorskip("starlette", reason="the extra web is not installed")
import web_fleet
from asgi_client import Client
from lastcall import config as settings
from lastcall.store import Filter, Store
from lastcall.web import board as boards
from lastcall.web import gathering, pages
from lastcall.web.app import PAGES, application
from lastcall.web.rendering import breakable, spark, visible
from live_files import LiveProcess

NOW = 1_795_000_000.0
FACTORY = web_fleet.TARGETS[0][0]
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'; alert(1); '",
    "{{ 7 * 7 }}{% raw %}",
    "</script><script>alert(1)</script>",
    "javascript:alert(1)",
    "a\u202egnp.exe",
    "line\nbreak\x00\x1b[31m",
    "x" * 5000,
    "&amp;&lt;\u2028",
)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("empty")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("LASTCALL_CONFIG", raising=False)
        return settings.load({})


@pytest.fixture(scope="module")
def fleet(tmp_path_factory, config):
    """A judged board over half a year of a fleet."""
    path = web_fleet.build(str(tmp_path_factory.mktemp("fleet") / "store.db"), now=NOW)
    board = boards.judge(boards.read(Store.current(path), NOW), config)
    yield board
    board.close()


@pytest.fixture(scope="module")
def client(fleet):
    return Client(application(lambda: fleet))


@pytest.fixture
def small(tmp_path, config):
    """Makes a board from live processes."""
    opened = []

    def make(*processes, now=NOW + 60):
        board = boards.judge(boards.read(Store.current(tmp_path / "store.db"), now), config)
        opened.append(board)
        return board

    yield make
    for board in opened:
        board.close()


def get(client, path):
    answer = client.get(path)
    assert answer.status_code == 200, answer.text[:500]
    return answer.text


class Words(HTMLParser):
    """The words of a page, and its elements."""

    def __init__(self, page):
        super().__init__()
        self.text, self.elements, self.hidden = [], [], 0
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text.append(data)

    @property
    def words(self):
        return " ".join("".join(self.text).split())


# -- numbers ----------------------------------------------------------------------------------------


def test_the_sums_of_targets_are_those_of_the_store(fleet):
    totals = fleet.store.totals()
    assert {ref: (row.sums.uses, row.sums.sites) for ref, row in fleet.targets.items() if row.sums} == {
        ref: (total.uses, total.sites) for ref, total in totals.items()
    }


def test_the_burn_down_equals_a_count_by_hand(fleet):
    """Against the plainest way: for each day, the set of sites used in its seven days."""
    with fleet.reading() as connection:
        rows = connection.execute(
            "SELECT a.site, s.target, a.hour / 24, a.count, u.allowed, s.by_test FROM activity a"
            " JOIN site s ON s.id = a.site JOIN use_count u ON u.site = a.site AND u.process = a.process"
        ).fetchall()
    rows = [row for row in rows if not row[4] and not row[5]]
    for day in fleet.days:
        week = [row for row in rows if day.day - 6 <= row[2] <= day.day]
        assert day.sites == len({row[0] for row in week})
        assert day.targets == len({row[1] for row in week})
        assert day.uses == sum(row[3] for row in rows if row[2] == day.day)
    assert len(fleet.days) > 150
    assert fleet.days[-1].sites < fleet.days[60].sites


def test_recent_uses_are_those_of_the_hours(fleet):
    activity = [(a.hour, a.count) for a in fleet.store.activity()]
    tests = {n.site for n in fleet.store.uses() if n.site.by_test or n.allowed}
    hour = int(NOW // 3600)
    last, before = fleet.recent
    everything = sum(count for at, count in activity if at > hour - 24)
    assert 0 < last <= everything
    assert before <= sum(count for at, count in activity if hour - 192 < at <= hour - 24)
    assert tests


def test_what_does_not_count_is_not_in_the_burn_down(small, tmp_path):
    from lastcall.journal import FLAG_ALLOWED, FLAG_BY_TEST

    process = LiveProcess(tmp_path / "store.db")
    process.target().state()
    for slot, flags in enumerate((0, FLAG_ALLOWED, FLAG_BY_TEST)):
        process.site(slot, flags=flags, line=slot + 1).count(slot, 5)
    process.close()
    board = small()
    assert board.days[-1].sites == 1
    assert board.days[-1].uses == 5
    row = board.targets["pkg.mod:old"]
    assert (row.sums.uses, row.sums.counting) == (15, 5)


def test_the_verdicts_are_those_of_check(fleet, config):
    from lastcall.checking import Request, check, open_source

    verdicts = check(Request(now=NOW), open_source("store", config, fleet.path, ""), config)
    assert {ref: row.word for ref, row in fleet.targets.items()} == {v.target.ref: v.word for v in verdicts}
    assert len(set(pages.word_counts(fleet).values())) > 1


def test_the_verdicts_are_asked_for_as_check_asks_without_options(tmp_path):
    """`[check]` may require what was never heard from: the page must not say less than the command."""
    process = LiveProcess(tmp_path / "store.db").target().state()
    process.close()
    (tmp_path / "lastcall.toml").write_text("[check]\nwindow = '2d'\nrequire = 'service=worker'\npath = '.'\n")
    config = settings.load(environ={}, cwd=str(tmp_path))
    with Store.current(tmp_path / "store.db") as store:
        board = boards.read(store, time.time())
        verdict = boards.judge(board, config).targets["pkg.mod:old"].verdict
        assert verdict.question.window == 2 * 86_400
        codes = {reason.code for reason in verdict.reasons}
        assert "service-missing" in codes
        assert "source-not-read" not in codes
        config.check["require"] = 3
        assert "require in [check] must be" in boards.judge(board, config).unjudged


def test_a_line_that_moved_is_no_new_caller(small, tmp_path):
    old = LiveProcess(tmp_path / "store.db", "aa01", started=NOW - 20 * 86400)
    old.target().state().site(0, line=10, function="f", file="/srv/app/a.py").count(0, 1)
    old.close()
    new = LiveProcess(tmp_path / "store.db", "aa02", started=NOW, release="1.1")
    new.target().state().site(0, line=14, function="f", file="/srv/app/a.py").count(0, 1)
    new.site(1, line=3, function="g", file="/srv/app/b.py").count(1, 1)
    new.close()
    count, shown = small().new_sites
    assert count == 1
    assert shown[0].function == "g"


def test_a_day_that_nobody_watched_is_a_gap(small, tmp_path):
    for name, days in (("aa01", 9), ("aa02", 0)):
        process = LiveProcess(tmp_path / "store.db", name, started=NOW - days * 86400)
        process.target().state().site(0).count(0, 3)
        process.close()
    chart = pages.overview(small(), {"days": "30"})["uses_chart"]
    assert chart["y"][0] == 3
    assert chart["y"][-1] == 3
    assert set(chart["y"][1:-1]) == {None}


def test_the_history_by_release_adds_up(fleet):
    context = pages.target(fleet, {"ref": FACTORY})
    assert sum(item.uses for item in context["history"]) + context["older"] == context["row"].sums.uses
    watched = {w.scope: w.seconds for w in fleet.store.watched(Filter(target=FACTORY)) if w.state == "armed"}
    for item in context["history"]:
        assert item.watched == pytest.approx(watched[item.scope], abs=1)


# -- tables -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sort", list(pages.SORTS))
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_every_column_sorts_both_ways(fleet, sort, order):
    rows = pages.targets(fleet, {"sort": sort, "order": order})["rows"]
    keys = [pages.SORTS[sort](row) for row in rows]
    assert keys == sorted(keys, reverse=order == "desc")
    assert len(rows) == len(web_fleet.TARGETS)


def test_the_search_wants_every_word_in_any_case(fleet):
    found = pages.targets(fleet, {"q": "FACTORY platform"})["rows"]
    assert [row.ref for row in found] == [FACTORY]
    assert pages.targets(fleet, {"q": "no such thing"})["rows"] == []


@pytest.mark.parametrize("query", [{"verdict": "in-use"}, {"state": "missing"}, {"owner": "identity"}])
def test_filters_narrow(fleet, query):
    found = pages.targets(fleet, query)
    assert 0 < len(found["rows"]) < len(web_fleet.TARGETS)


@pytest.mark.parametrize("query", [
    {"page": "-1"}, {"page": "9" * 5000}, {"page": "²"}, {"sort": "__class__"}, {"order": "'; DROP TABLE site"}, {"verdict": "x"},
    {"state": "\x00"}, {"days": "1e9"}, {"q": "%_'\""}, {"owner": "nobody"},
])  # fmt: skip
def test_nonsense_in_the_address_is_no_error(client, query):
    for path in ("/", "/targets", "/observation", "/target"):
        given = {**query, "ref": FACTORY}
        assert client.get(path, params=given).status_code == 200


def test_call_sites_are_searched_sorted_and_paged(fleet):
    first = pages.target(fleet, {"ref": FACTORY, "sort": "uses"})
    second = pages.target(fleet, {"ref": FACTORY, "sort": "uses", "page": "2"})
    uses = [site.uses for site in (*first["sites"], *second["sites"])]
    assert uses == sorted(uses, reverse=True)
    assert len(uses) == first["row"].sums.sites
    places = [(s.file, s.line) for s in pages.target(fleet, {"ref": FACTORY, "sort": "place"})["sites"]]
    assert places == sorted(places)
    found = pages.target(fleet, {"ref": FACTORY, "q": "Login views"})
    assert found["sites"]
    assert all("login" in s.file and "views" in s.file for s in found["sites"])


# -- the pages themselves ---------------------------------------------------------------------------


@pytest.mark.parametrize("path", list(PAGES))
def test_a_page_is_whole(client, path):
    page = get(client, f"{path}?ref={quote(FACTORY)}")
    parsed = Words(page)
    titles = [a for tag, a in parsed.elements if tag == "h1"]
    assert len(titles) == 1
    ids = [a["id"] for _, a in parsed.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert not [a for _, a in parsed.elements if "style" in a or any(key.startswith("on") for key in a)]
    assert "None" not in parsed.words.replace("None of", "")


def test_the_targets_page_of_a_target_says_all(client, fleet):
    words = Words(get(client, f"/target?ref={quote(FACTORY)}")).words
    row = fleet.targets[FACTORY]
    assert "In use" in words
    for reason in row.verdict.reasons:
        assert " ".join(reason.text.split()) in words
    assert "app/websocket_core/canonical_imports.py:35" in words
    assert "app/websocket_core/websocket_manager_factory.py:212" in words
    assert "starlette/routing.py:76" in words


def test_an_unknown_target_is_not_found(client):
    answer = client.get("/target?ref=pkg:nothing%3Cb%3E")
    assert answer.status_code == 404
    assert "pkg:nothing&lt;b&gt;" in answer.text
    assert client.get("/target").status_code == 404
    assert client.get("/nope").status_code == 404


def test_the_same_board_is_sent_once(client):
    answer = client.get("/targets")
    again = client.get("/targets", headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304
    assert client.get("/targets?q=x").headers["etag"] != answer.headers["etag"]
    version = client.get("/version")
    assert client.get("/version", headers={"if-none-match": version.headers["etag"]}).status_code == 304


def test_static_files_are_kept_for_ever_only_under_their_digest(client):
    address = re.search(r'href="(/static/app\.css\?v=\w+)"', get(client, "/")).group(1)
    assert "immutable" in client.get(address).headers["cache-control"]
    assert "immutable" not in client.get("/static/app.css").headers["cache-control"]


# -- nothing there ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [path for path in PAGES if path != "/target"])
def test_without_a_store_each_page_says_what_to_do(path):
    board = boards.empty("/nowhere/store.db", NOW)
    words = Words(get(Client(application(lambda: board)), path)).words
    assert "There is no store at /nowhere/store.db" in words
    assert "LASTCALL_ENABLED=1" in words


def test_an_empty_store_and_one_without_targets_say_what_to_do(small, tmp_path):
    with Store.open(tmp_path / "store.db") as store:
        store.absorb_live()
    client = Client(application(lambda: board))
    board = small()
    assert "The store is empty" in get(client, "/")
    LiveProcess(tmp_path / "store.db").beat(NOW + 30).close()
    board = small()
    assert "No deprecated entry point was named" in get(client, "/targets")
    assert get(client, "/observation")


def test_a_target_never_used_is_no_error(small, tmp_path):
    LiveProcess(tmp_path / "store.db").target().state(state="missing", reason="pkg.mod has no old").beat(NOW + 30).close()
    board = small()
    page = get(Client(application(lambda: board)), "/target?ref=pkg.mod:old")
    assert "No use was ever seen" in page
    assert "pkg.mod has no old" in page


# -- hostile strings --------------------------------------------------------------------------------


@pytest.mark.parametrize("text", HOSTILE)
def test_names_and_paths_cannot_become_markup(small, tmp_path, text):
    clean = text.encode("utf-8", "replace").decode()
    ref = f"pkg.mod:{clean}"
    process = LiveProcess(tmp_path / "store.db", service=clean, environment=clean, release=clean)
    process.target(ref, replacement=clean, owner=clean, issue=clean, note=clean, remove_by=clean, file=clean, line=3)
    process.state(ref, "partial", clean)
    process.site(0, ref, file=clean, function=clean, module=clean, via=clean, note=clean, expression=clean, origin="indirect",
                 frames=((clean, 1, clean),)).count(0, 2)
    process.append("R", ref, clean, clean, clean, 4, "module")
    process.close()
    board = small()
    client = Client(application(lambda: board))
    assert ref in board.targets
    for path in (*PAGES, f"/targets?q={quote(clean)}&owner={quote(clean)}", f"/target?ref={quote(ref)}&q={quote(clean)}"):
        page = get(client, path if path != "/target" else f"/target?ref={quote(ref)}")
        parsed = Words(page)
        scripts = [a for tag, a in parsed.elements if tag == "script"]
        assert all(a["src"].startswith("/static/") for a in scripts)
        assert len(scripts) == 6
        assert not [tag for tag, _ in parsed.elements if tag == "img"]
        assert not [a for _, a in parsed.elements if any(key.startswith("on") for key in a)]
        assert not [a for _, a in parsed.elements if (a.get("href") or "").lower().startswith("javascript:")]
        assert "\u202e" not in page
        assert "\x00" not in page
        assert "49" not in re.findall(r"\{\{.*?\}\}|\b49\b", page)


def test_what_deceives_is_spelled_out_and_the_rest_is_left():
    assert visible("a\u202eb\x00\x1bc") == "a\\u202eb\\x00\\x1bc"
    assert visible("日本語 ünïcode 🎉") == "日本語 ünïcode 🎉"
    assert visible("a\nb\tc") == "a b c"
    assert len(visible("x" * 10**6)) < 5000
    assert visible("\ud800") == "\\ud800"
    assert str(breakable("a_b.<c>")) == "a_<wbr>b.<wbr>&lt;c&gt;"


def test_a_little_history_stays_in_its_box():
    for weeks in ((0,) * 12, (10**9,) + (0,) * 11, (5,)):
        for point in spark(weeks).split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= 88
            assert 0 <= y <= 20


def test_only_web_addresses_become_links(small, tmp_path):
    for issue, linked in (("https://issues.example.com/1", True), ("javascript:alert(1)", False), ("#514", False)):
        LiveProcess(tmp_path / "store.db", f"aa{int(linked)}{len(issue)}").target(issue=issue).state().beat(NOW + 30).close()
        board = small()
        board = replace(board, targets={r: replace(t, info=replace(t.info, issue=issue)) for r, t in board.targets.items()})
        page = get(Client(application(lambda: board)), "/target?ref=pkg.mod:old")
        assert (f'href="{issue}"' in page) is linked


def test_a_store_that_is_removed_or_overwritten_changes_no_page_and_is_not_made_anew(small, tmp_path):
    LiveProcess(tmp_path / "store.db").target().state().site(0).count(0, 2).close()
    board = small()
    client = Client(application(lambda: board))
    before = get(client, "/target?ref=pkg.mod:old")
    for side in ("", "-wal", "-shm"):
        (tmp_path / f"store.db{side}").unlink()
    assert get(client, "/target?ref=pkg.mod:old") == before
    assert get(client, "/impact")
    assert not (tmp_path / "store.db").exists()
    (tmp_path / "store.db").write_bytes(b"no database at all, but long enough to look at" * 100)
    assert get(client, "/target?ref=pkg.mod:old") == before


def test_a_database_that_fails_is_said_and_is_no_traceback(small, tmp_path):
    LiveProcess(tmp_path / "store.db").target().state().site(0).count(0, 2).close()
    board = small()
    board.close()
    answer = Client(application(lambda: board)).get("/target?ref=pkg.mod:old")
    assert answer.status_code == 503
    assert "failed" in answer.text
    assert "Traceback" not in answer.text


def test_gathering_leaves_nothing_in_the_file(fleet):
    with fleet.reading() as connection:
        assert connection.execute("SELECT count(*) FROM temp.sqlite_master").fetchone()[0] > 5
        names = {name for (name,) in connection.execute("SELECT name FROM main.sqlite_master")}
    assert "site_sum" not in names
    assert gathering.TRAIL == 7
    assert time.time() > 0
