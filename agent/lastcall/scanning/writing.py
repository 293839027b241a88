"""Findings into the configuration file, which keeps its comments, its order and everything a person wrote."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT, Table

from lastcall import whole_file
from lastcall.errors import UsageError
from lastcall.scanning.wording import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lastcall.scanning.finding import Finding

_DATE = re.compile(r"\d{4}-\d\d-\d\d")

def config_file(root: str) -> str:
    """The file that `--write` changes: `lastcall.toml` at the root, or `pyproject.toml` if it holds our
    section."""
    own = os.path.join(root, "lastcall.toml")
    project = os.path.join(root, "pyproject.toml")
    if not os.path.exists(own) and os.path.exists(project):
        try:
            if "[tool.lastcall" in Path(project).read_text(encoding="utf-8"):
                return project
        except (OSError, UnicodeDecodeError):
            pass
    return own


def write_targets(path: str, findings: Sequence[Finding]) -> list[str]:
    """Add the findings that `path` does not name yet, as `[[target]]` tables. Returns the references added.

    A target that is there already, by name or by wildcard, is left as it is. Raises UsageError if the file
    cannot be read as TOML or cannot be written; it then is unchanged.
    """
    document, container, existing = _opened(path)
    known = [str(item.get("ref", "")) for item in existing or ()]
    added = [item for item in findings if not any(_covers(ref, item.ref) for ref in known)]
    if not added:
        return []
    tables = [_table(item) for item in added]
    before = existing[-1].as_string() if existing else document.as_string()
    if existing is None:
        container["target"] = existing = tomlkit.aot()
    if not before or before.endswith("\n\n"):  # the blank line is there
        tables[0].trivia.indent = ""
    tail = next(iter(document.as_string().rpartition(before)[2:]), "") if existing else ""
    if tail.strip():
        tables[-1].add(tomlkit.nl())
    for table in tables:
        existing.append(table)
    _replace(path, tomlkit.dumps(document))
    return [item.ref for item in added]


def mark_removed(path: str, refs: Sequence[str], day: str) -> None:
    """Set `removed = day` (YYYY-MM-DD) on these targets, adding those that `path` does not name in full.

    Raises UsageError as `write_targets` does.
    """
    document, container, existing = _opened(path)
    if existing is None:
        container["target"] = existing = tomlkit.aot()
    tables = {str(item.get("ref", "")): item for item in existing}
    for ref in refs:
        if ref not in tables:
            tables[ref] = tomlkit.table()
            tables[ref].add("ref", ref)
            existing.append(tables[ref])
        tables[ref]["removed"] = day
    _replace(path, tomlkit.dumps(document))


def _opened(path: str) -> tuple[tomlkit.TOMLDocument, Any, AoT | None]:
    """The document, the table in it that holds our settings, and the targets in that, if there are any."""
    document = _load(path)
    container: Any = document
    tool = document.get("tool", {})
    if os.path.basename(path) == "pyproject.toml" or (isinstance(tool, dict) and "lastcall" in tool):  # as it is read
        for name, made in (("tool", tomlkit.table(True)), ("lastcall", tomlkit.table())):
            container = container.setdefault(name, made)
            if not isinstance(container, dict):
                raise UsageError(f"{path}: [tool.lastcall] must be a table; nothing was changed")
    existing = container.get("target")
    if existing is not None and not isinstance(existing, AoT):
        raise UsageError(
            f"{path}: `target` must be an array of tables, written [[target]]; nothing was changed"
        )
    return document, container, existing


def _load(path: str) -> tomlkit.TOMLDocument:
    try:
        text = Path(path).read_text(encoding="utf-8").removeprefix(whole_file.BOM)
    except FileNotFoundError:
        return tomlkit.document()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); nothing was changed") from error
    try:
        return tomlkit.parse(text)
    except TOMLKitError as error:
        raise UsageError(f"{path}: not valid TOML ({error}); mend it first, nothing was changed") from error


def _covers(pattern: str, ref: str) -> bool:
    """Whether a reference in the file, which may hold wildcards, already names `ref`."""
    if pattern == ref:
        return True
    if "*" not in pattern and "?" not in pattern:
        return False
    expression = re.escape(pattern).replace(r"\*\*", r"[\w.]+").replace(r"\*", r"\w*").replace(r"\?", r"\w")
    # `pkg.**` is the package itself as well as all below it.
    expression = expression.replace(r"\.[\w.]+:", r"(?:\.[\w.]+)?:")
    return re.fullmatch(expression, ref) is not None


def _table(item: Finding) -> Table:
    table = tomlkit.table()
    table.add("ref", item.ref)
    if item.kind != "attribute" or "." not in item.ref.partition(":")[2]:
        table.add("kind", item.kind)  # another name of a method is best watched as what it stands for
    if item.replacement:
        table.add("replacement", item.replacement)
    if _DATE.fullmatch(item.since):
        table.add("since", item.since)
    if _DATE.fullmatch(item.removal):
        table.add("remove_by", item.removal)
    if item.message:
        table.add("note", item.message)
    table.trivia.indent = "\n"  # a blank line between targets
    table.comment(
        f"{printable(item.file)}:{item.line}, {item.confidence} confidence: {', '.join(item.evidence_kinds)}"
    )
    return table


def _replace(path: str, text: str) -> None:
    """Write the file. Raises UsageError."""
    try:
        whole_file.rewrite(path, text)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror}); nothing was changed") from error
