"""What templates ask for is found, and what only looks like it is not."""

from __future__ import annotations

import pytest

from lastcall.references import search
from lastcall.scanning.templates import asked_for

MODULE = """\
def old_money(value):
    return f"{value} EUR"


class Order:
    def old_total(self):
        return 1
"""
FUNCTION, METHOD = "shop.filters:old_money", "shop.filters:Order.old_total"

CALLS = [
    ("{{ price|old_money }}", FUNCTION),
    ("{{ price | round | old_money('EUR') }}", FUNCTION),
    ("{% if price|old_money == 'x' %}", FUNCTION),
    ("{% old_money 3 %}", FUNCTION),
    ("{%- old_money 3 -%}", FUNCTION),
    ("{{ old_money(3) }}", FUNCTION),
    ("{{ filters.old_money }}", FUNCTION),
    ("{% if price is old_money %}", FUNCTION),
    ("{% if price is not old_money %}", FUNCTION),
    ("${price | old_money}", FUNCTION),
    ("<% x = old_money(3) %>", FUNCTION),
    ("  % if old_money(3):\n", FUNCTION),
    ("{{\n  price\n  |old_money\n}}", FUNCTION),
    ("{{ order.old_total }}", METHOD),
    ("{% for x in order.old_total() %}", METHOD),
    ("${order.old_total()}", METHOD),
    ("{% raw %}{{ x }}{% endraw %}{{ order.old_total }}", METHOD),
    ("{# a #}{{ order.old_total }}", METHOD),
]
OTHERS = [
    ("old_money", FUNCTION),
    ("{{ old_money }}", FUNCTION),  # a variable that a view has put there
    ("{{ item.old_money }}", FUNCTION),
    ("{{ item.old_money() }}", FUNCTION),
    ("{{ 'old_money' }}", FUNCTION),
    ('{% include "old_money(3).html" %}', FUNCTION),
    ("{# price|old_money #}", FUNCTION),
    ("{% comment %}{{ price|old_money }}{% endcomment %}", FUNCTION),
    ("{%- raw -%}{{ price|old_money }}{%- endraw -%}", FUNCTION),
    ("{% macro old_money(x) %}{% endmacro %}{{ old_money(3) }}", FUNCTION),
    ("{% from 'x.html' import other, old_money %}{{ old_money(3) }}", FUNCTION),
    ("{{ isold_money }}{{ x is round }}", FUNCTION),
    ("{{ price|old_money_2 }}{{ price|very_old_money }}", FUNCTION),
    ("{{ old_total }} {{ order.old_totals }} 'x'.old_total", METHOD),
]


@pytest.fixture
def shop(tmp_path):
    for folder in ("shop/templates/mail", "other"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "shop/__init__.py").write_text("")
    (tmp_path / "shop/filters.py").write_text(MODULE)
    return tmp_path


@pytest.mark.parametrize(("text", "ref"), CALLS)
def test_a_template_that_may_use_a_target_is_a_possible_reference(shop, text, ref):
    (shop / "shop/templates/mail/order.txt").write_text(f"first line\n{text}\n")
    found = search(shop, [ref]).references
    lines = (shop / "shop/templates/mail/order.txt").read_text().splitlines()
    assert [(one.kind, one.file, one.certain, one.breaks) for one in found] == [
        ("template", "shop/templates/mail/order.txt", False, False)
    ]
    name = ref.rpartition(".")[2].rpartition(":")[2]
    assert lines[found[0].line - 1][found[0].column :].startswith(name)


@pytest.mark.parametrize(("text", "ref"), OTHERS)
def test_what_only_looks_like_it_is_none(shop, text, ref):
    (shop / "other/page.html").write_text(text)
    assert search(shop, [ref]).references == []


def test_files_are_templates_by_suffix_or_folder(shop):
    for file in ("a.html", "b.jinja2", "other/c.sql.j2", "shop/templates/d.conf", "e.rst", "f.js"):
        (shop / file).write_text("{{ order.old_total }}")
    found = {one.file for one in search(shop, [METHOD]).references}
    assert found == {"a.html", "b.jinja2", "other/c.sql.j2", "shop/templates/d.conf"}


def test_what_never_closes_is_read_in_a_time_that_grows_with_it():
    assert list(asked_for("{{" * 200_000 + "{% raw %}" * 20_000, "old_money", "filters")) == []


@pytest.mark.parametrize("file", [
    ".env", ".env.production", "Dockerfile.worker", "Jenkinsfile", "app.yaml.j2", "crontab", "justfile", "units/app.timer",
])
def test_a_name_that_something_is_to_import_is_found_in_what_configures_processes(shop, file):
    (shop / file).parent.mkdir(exist_ok=True)
    (shop / file).write_text("COMMAND=run shop.filters:old_money\n")
    (shop / "notes.rst").write_text("COMMAND=run shop.filters:old_money\n")
    assert [(one.kind, one.file) for one in search(shop, [FUNCTION]).references] == [("string", file)]


@pytest.mark.parametrize(("file", "first"), [("app.wsgi", ""), ("run.pyw", ""), ("hook.cgi", "#!/usr/bin/env python3\n")])
def test_programs_with_another_suffix_are_read(shop, file, first):
    (shop / file).write_text(first + "from shop.filters import old_money\nold_money(1)\n")
    (shop / "perl.cgi").write_text("#!/usr/bin/perl\nuse old_money;\n")
    found = search(shop, [FUNCTION])
    assert [(one.kind, one.file, one.breaks) for one in found.references] == [("import", file, True), ("call", file, True)]
    assert found.skipped == []
