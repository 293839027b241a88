"""Templates, and the words and marks that they share."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from lastcall import reasons, report_words, verdict_report
from lastcall.web.advice import advice, command

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).parent
STATIC = HERE / "static"
LONG = 4000
"""Characters of any one text that a page shows."""
BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def visible(text: str) -> str:
    """`text` without what would deceive a reader: control and direction characters are spelled out."""
    if text.isprintable() and len(text) <= LONG:
        return text  # every direction character is not printable
    shown = text if len(text) <= LONG else text[:LONG] + "…"
    return "".join(_spelled(c) if _deceives(c) else c for c in shown)


def _deceives(character: str) -> bool:
    return character in BIDI or unicodedata.category(character) in ("Cc", "Cs", "Co", "Cn", "Zl", "Zp")


def _spelled(character: str) -> str:
    if character in "\n\t":
        return " "
    if character.isascii():
        return f"\\x{ord(character):02x}"
    return character.encode("ascii", "backslashreplace").decode()


def _final(value: Any) -> Any:
    """Applied to whatever a template prints, before it is escaped."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def breakable(text: str) -> Markup:
    """`text`, escaped, with places where a narrow column may break it: names are long and have no spaces."""
    escaped = str(escape(visible(text)))
    for mark in "_./":  # in no entity that escaping makes
        escaped = escaped.replace(mark, mark + "<wbr>")
    return Markup(escaped)  # noqa: S704 - escaped above


def number(value: float | None) -> str:
    """`1,204`; a dash where it is not known."""
    return "\N{EN DASH}" if value is None else f"{value:,.0f}"


def day(value: int | None) -> str:
    """The date of a day since the epoch."""
    return "" if value is None else (dt.date(1970, 1, 1) + dt.timedelta(days=value)).isoformat()


def attribute_json(value: Any) -> str:
    """JSON for an attribute. Plain ASCII; the template escapes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True)


def target_url(ref: str) -> str:
    """The address of a target's page, whatever its name holds."""
    return "/target?" + urlencode({"ref": ref}, errors="replace", quote_via=quote)


def link(issue: str) -> str:
    """An address if the text is a web address, else empty: nothing else may become a link."""
    return issue if issue.startswith(("https://", "http://")) and issue.isprintable() else ""


def spark(weeks: tuple[int, ...]) -> str:
    """A small polyline's points, in a box of 88 by 20. Heights are square roots: a peak hides nothing."""
    top = max(max(weeks) ** 0.5, 1.0)
    step = 84 / max(len(weeks) - 1, 1)
    return " ".join(f"{2 + i * step:.1f},{18 - 16 * n**0.5 / top:.1f}" for i, n in enumerate(weeks))


@lru_cache(maxsize=1)
def asset_versions() -> dict[str, str]:
    """A digest for every static file, for addresses that may be kept for ever."""
    return {
        str(path.relative_to(STATIC)): hashlib.blake2b(path.read_bytes(), digest_size=6).hexdigest()
        for path in STATIC.rglob("*")
        if path.is_file()
    }


def asset(name: str) -> str:
    """The address of a static file."""
    return f"/static/{name}?v={asset_versions()[name]}"


def anchor(ref: str) -> str:
    """The name of a target's place in a report file."""
    return "t-" + hashlib.blake2b(ref.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _in_file(address: str) -> str:
    """Where a page of the server is to be found in a report file."""
    page = urlsplit(address).path.strip("/")
    return f"#{page or 'overview'}"


@lru_cache(maxsize=2)
def environment(*, file: bool = False) -> Environment:
    """The templates. Everything is escaped, and an undefined name is an error.

    With `file`, for a report in one file: its links lead to places in it.
    """
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_final,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        number=number,
        day=day,
        attribute_json=attribute_json,
        target_url=(lambda ref: "#" + anchor(ref)) if file else target_url,
        here=_in_file if file else str,
        anchor=anchor,
        link=link,
        spark=spark,
        visible=visible,
        breakable=breakable,
        rfc3339=report_words.rfc3339,
        span=report_words.span,
        percent=reasons.percent,
        risk_sentence=verdict_report.risk_sentence,
        proof_sentence=verdict_report.proof_sentence,
        advice=advice,
    )
    made.globals.update(asset=asset, ago=report_words.ago, plural=report_words.number, file=file, cli=command)
    return made


def load_all() -> None:
    """Compile the templates and read the static files, so that the first page is as fast as the others."""
    asset_versions()
    for name in environment().list_templates():
        environment().get_template(name)


def render(template: str, context: Mapping[str, Any], *, file: bool = False) -> str:
    """A template's text."""
    return environment(file=file).get_template(template).render(context)
