"""Where a template asks for a name: Jinja's, Django's and Mako's, and what is written like them, read as text.

What a template is given at run time is not known, so nothing here is certain. A name stands for a target only where one
can stand: behind a dot for what lies in a class; for what lies in a module as a filter, a tag or a test, called, or
behind the module's own name. A bare variable is what the view put there, and the view's code refers to it itself.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SUFFIXES = frozenset((".html", ".htm", ".djhtml", ".jinja", ".jinja2", ".j2", ".mako", ".mak", ".tmpl", ".tpl"))
_FOLDERS = frozenset(("templates", "jinja2"))
"""Where frameworks look for templates, whatever their suffix: mails, feeds, configuration files."""

_CLOSING = {"{{": "}}", "{%": "%}", "${": "}", "<%": "%>", "{#": "#}"}
_MARK = re.compile(r"\{\{|\}\}|\{%|%\}|\{\#|\#\}|\$\{|\}|<%|%>|^[ \t]*%[ \t]+\w[^\n]*", re.MULTILINE)
"""What begins or ends code in a template; Mako also has lines of it."""
_PRINTED = re.compile(r"\{%[-+]?\s*(comment|raw|verbatim)\b")
"""Begins what is printed, or left out, as it stands."""
_QUOTED = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'")


def is_template(file: str) -> bool:
    """Whether the file at this relative path is a template, by its suffix or its folder."""
    *folders, name = file.split("/")
    return "." + name.rpartition(".")[2] in _SUFFIXES or not _FOLDERS.isdisjoint(folders)


def asked_for(text: str, name: str, module: str) -> Iterator[tuple[int, int]]:
    """Line (from 1) and column (from 0) of each place in a template that may mean `name`.

    `module` is the last part of the name of the module that `name` lies in; empty for what lies in a class.
    """
    word = re.escape(name)
    if not module:
        wanted = re.compile(rf"\.\s*(?P<name>{word})\b")
    elif re.search(rf"(?:\bmacro\s+|\bimport\b[^%]*?\b|<%def\s+name=[\"']){word}\b", text):
        return  # its own macro, or another template's
    else:
        before = rf"(?:\|\s*|^\{{%[-+]?\s*|\bis\s+(?:not\s+)?|\b{re.escape(module)}\s*\.\s*)"
        wanted = re.compile(rf"{before}(?P<name>{word})\b|(?<![\w.])(?P<called>{word})\s*\(")
    for start, code in _code(text):
        for match in wanted.finditer(_QUOTED.sub(lambda quoted: " " * len(quoted.group()), code)):
            at = start + match.start(match.lastgroup or 0)
            yield text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at) - 1


def _code(text: str) -> Iterator[tuple[int, str]]:
    """Where each piece of code begins, and the piece with what encloses it. Looks at every character once."""
    opened, start, until = "", 0, ""
    for mark in _MARK.finditer(text):
        if not opened:
            if mark.group() in _CLOSING:
                opened, start = mark.group(), mark.start()
            elif not until and len(mark.group()) > len("%>"):  # a line of code
                yield mark.start(), mark.group()
        elif mark.group() == _CLOSING[opened]:
            code, opened = (text[start : mark.end()], opened), ""
            printed = _PRINTED.match(code[0])
            if until:
                until = "" if re.match(rf"\{{%[-+]?\s*{until}\b", code[0]) else until
            elif printed:
                until = f"end{printed[1]}"
            elif code[1] != "{#":
                yield start, code[0]
