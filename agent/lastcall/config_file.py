"""What a configuration file says. Loaded only where there is one."""

from __future__ import annotations

import os

from .config import BY_NAME, add_target, names_in, nearest, said_where
from .words import METADATA, SCHEDULES, day_number

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from typing import Any

    from .config import Config

TARGET_KEYS = ("ref", "kind", "allow", "isolation", "mode", "brownout", "removed", *METADATA)
_TARGET_KEYS = frozenset(TARGET_KEYS)
_METADATA = frozenset(METADATA)
_CHECKED = frozenset(("since", "remove_by", "schedule"))
"""Metadata that is more than a text."""
_good_dates: set[str] = set()
"""Many targets have the same few dates, and to look at one takes 4 us."""
_TABLES = ("target", "discover", "check")


def take(config: Config, path: str, text: str, *, may_be_pyproject: bool = False) -> None:
    """Take what the file at `path`, whose text this is, says."""
    document = _parse(config, path, text)
    if document is not None:
        tool = _tool_settings(document) if may_be_pyproject else None
        _take_document(config, document if tool is None else tool)


def take_pyproject(config: Config, path: str, text: str) -> bool:
    """Take what `[tool.lastcall]` in that file says. False if there is none."""
    document = _parse(config, path, text)
    tool = None if document is None else _tool_settings(document)
    if tool is None:
        return False
    config.file, config.root = path, os.path.dirname(path)
    _take_document(config, tool)
    return True


def _tool_settings(document: dict[str, Any]) -> dict[str, Any] | None:
    """`[tool.lastcall]`, if there is one: the settings and, beside them, the other tables."""
    tool = document.get("tool")
    table = tool.get("lastcall") if isinstance(tool, dict) else None
    if table is None:
        return None
    if not isinstance(table, dict):
        return {"lastcall": table}  # a problem, and said to be one
    rest = {key: value for key, value in table.items() if key not in _TABLES}
    return {"lastcall": rest, **{key: table[key] for key in _TABLES if key in table}}


def _parse(config: Config, path: str, text: str) -> dict[str, Any] | None:
    """The document that the file at `path` holds; None, and a problem more, if it is none."""
    config.file = path
    folder = os.path.dirname(path)
    if config.root == folder or config.root.startswith(folder.rstrip(os.sep) + os.sep):
        config.root = folder  # else the file lies apart from the project, which is where the process runs
    from . import toml_subset

    try:
        return toml_subset.loads(text)
    except (toml_subset.NotInSubset, RecursionError):
        pass
    from .config_tables import read_toml

    return read_toml(config, path, text)


def _take_document(config: Config, document: dict[str, Any]) -> None:
    where = config.file
    for key in document:
        if key not in ("lastcall", "tool", *_TABLES):
            known = ("[lastcall]", "[[target]]", "[discover]", "[check]")
            config.problems.append(f"{where}: unknown table [{key}]{nearest(f'[{key}]', known)}")
    _take_settings(config, document.get("lastcall", {}), where)
    targets = document.get("target", [])
    if not isinstance(targets, list):
        config.problems.append(f"{where}: targets are written [[target]], with two brackets")
        targets = [targets]
    for number, table in enumerate(targets, 1):
        take_target(config, table, (where, number))
    if "discover" in document:
        from .config_tables import take_discover

        take_discover(config, document["discover"], where)
    if "check" in document:
        from .config_tables import take_check

        take_check(config, document["check"], where)


def _take_settings(config: Config, settings: Any, where: str) -> None:
    if not isinstance(settings, dict):
        config.problems.append(f"{where}: [lastcall] must be a table")
        return
    for key, value in settings.items():
        if key in BY_NAME:
            config.set(BY_NAME[key], value, where)
        elif key == "targets":
            _take_refs(config, value, where)
        else:
            config.problems.append(
                f"{where}: unknown key {key!r} in [lastcall]{nearest(key, tuple(BY_NAME))}"
            )


def _take_refs(config: Config, value: Any, where: str) -> None:
    try:
        refs = names_in(value)
    except ValueError as expected:
        config.problems.append(f"{where}: targets must be {expected}, not {value!r}")
        return
    for ref in refs:
        add_target(config, ref, {}, {}, (where, 0))


def take_target(config: Config, table: Any, place: tuple[str, int]) -> None:
    """Add the target that a `[[target]]` table describes. Hundreds may pass here at every start of a host.

    `place` is the file, or whatever else it stands in, and its number there, 0 if that has none.
    """
    if not isinstance(table, dict) or type(table.get("ref")) is not str:
        config.problems.append(f"{said_where(place)}: a target needs ref = 'package.module:qualname'")
        return
    ref = table["ref"]
    metadata = {}
    conduct: dict[str, Any] = {}
    for key, value in table.items():
        if key in _METADATA:
            plain = type(value) is str and (key not in _CHECKED or value in _good_dates)
            metadata[key] = value if plain else _metadata(config, key, value, said_where(place, ref))
        elif key not in _TARGET_KEYS:
            unknown = f"unknown key {key!r}{nearest(key, TARGET_KEYS)}"
            config.problems.append(f"{said_where(place, ref)}: {unknown}")
        elif key != "ref" and not conduct:
            from .config_tables import conduct as conduct_in

            conduct = conduct_in(config, table, said_where(place, ref))
    add_target(config, ref, metadata, conduct, place)


def _metadata(config: Config, key: str, value: Any, where: str) -> str:
    if not isinstance(value, str):
        value = str(value)  # a TOML date, or a number that is an issue's
    if key not in _CHECKED or value in _good_dates:
        return str(value)
    if key in ("since", "remove_by"):
        try:
            day_number(value)
        except ValueError as error:
            config.problems.append(f"{where}: {key}: {error}")
            return ""
        _good_dates.add(value)
    if key == "schedule" and value not in SCHEDULES:
        config.problems.append(f"{where}: schedule must be one of {', '.join(SCHEDULES[1:])}, not {value!r}")
        return ""
    return str(value)
