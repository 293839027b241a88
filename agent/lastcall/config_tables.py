"""The parts of a configuration that few have: what a target does besides being counted, and what `check` is asked.

Imported only where they occur, or where there is a problem to report: a host pays for its start each time.
"""

from __future__ import annotations

import sys

from .config import DISCOVER_KEYS, names_in, shown
from .targets import Allow, wild
from .words import KINDS, MODES, day_number

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from typing import Any

    from .config import Config

CHECK_KEYS = ("window", "require", "ignore", "releases", "path", "source", "project")
ALLOW_KEYS = ("caller", "reason", "until")


def nearest(word: str, known: tuple[str, ...]) -> str:
    """`; did you mean ...?` if something near is known. Imports difflib: only where there is a problem to report."""
    import difflib

    near = difflib.get_close_matches(word, known, 1, 0.6)
    return f"; did you mean {near[0]!r}?" if near else "; known: " + ", ".join(known)


def conduct(config: Config, table: dict[str, Any], where: str) -> dict[str, Any]:
    """What a table says besides the target's name and its metadata, as arguments of Target."""
    kind = table.get("kind", "")
    if kind and kind not in KINDS:
        config.problems.append(f"{where}: kind must be one of {', '.join(KINDS)}, not {shown(kind)}")
        kind = ""
    return {
        "kind": kind,
        "allow": _allow(config, table.get("allow", []), where),
        "isolation": _isolation(config, table.get("isolation"), where),
        "mode": _mode(config, table, where),
        "brownout": table.get("brownout") if isinstance(table.get("brownout"), dict) else None,
        "removed": _removed(config, table, where),
    }


def _mode(config: Config, table: dict[str, Any], where: str) -> str:
    """What a target does besides being counted; `observe` if what is asked for is not clear."""
    mode = table.get("mode", "observe")
    wrong = ""
    if mode not in MODES:
        wrong = f"mode must be one of {', '.join(MODES)}, not {shown(mode)}"
    elif mode == "brownout":
        from .modes import problem

        wrong = problem(table.get("brownout"))
    if wrong:
        config.problems.append(f"{where}: {wrong}")
        return "observe"
    return str(mode)


def _removed(config: Config, table: dict[str, Any], where: str) -> str:
    """The day on which a target was removed, `true` if it is only said that it was, or nothing."""
    value = table.get("removed", False)
    if value is False:
        return ""
    if wild(str(table["ref"])):
        config.problems.append(f"{where}: removed takes a target that is named in full, not a wildcard")
        return ""
    if value is not True:
        try:
            day_number(str(value))
        except ValueError as error:
            config.problems.append(f"{where}: removed: {error}; true will do, too")
            return ""
    return "true" if value is True else str(value)


def _allow(config: Config, value: Any, where: str) -> tuple[Allow, ...]:
    entries = []
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, dict) or not isinstance(item.get("caller"), str):
            config.problems.append(f"{where}: allow must be a list of tables with a caller, not {shown(item)}")
            continue
        for key in item:
            if key not in ALLOW_KEYS:
                config.problems.append(f"{where}: unknown key {key!r} in allow{nearest(key, ALLOW_KEYS)}")
        try:
            entries.append(Allow(item["caller"], str(item.get("reason", "")), str(item.get("until", ""))))
        except ValueError as error:
            config.problems.append(f"{where}: allow, until: {error}")
    return tuple(entries)


def _isolation(config: Config, value: Any, where: str) -> str:
    if value is None:
        return ""
    if isinstance(value, dict) and isinstance(value.get("owner"), str):
        return str(value["owner"])
    config.problems.append(
        f'{where}: isolation must be a table with an owner, such as {{ owner = "user.id" }}'
    )
    return ""


def take_check(config: Config, table: Any, where: str) -> None:
    if not isinstance(table, dict):
        config.problems.append(f"{where}: [check] must be a table")
        return
    for key in table:
        if key not in CHECK_KEYS:
            config.problems.append(f"{where}: unknown key {key!r} in [check]{nearest(key, CHECK_KEYS)}")
    config.check = table


def take_discover(config: Config, table: Any, where: str) -> None:
    if not isinstance(table, dict):
        config.problems.append(f"{where}: [discover] must be a table")
        return
    for key, value in table.items():
        if key not in DISCOVER_KEYS:
            config.problems.append(f"{where}: unknown key {key!r} in [discover]{nearest(key, DISCOVER_KEYS)}")
            continue
        try:
            config.discover[key] = names_in(value)
        except ValueError as expected:
            config.problems.append(f"{where}: {key} in [discover] must be {expected}, not {shown(value)}")


def read_toml(config: Config, path: str, text: str) -> dict[str, Any] | None:
    """The document in `text`, by Python's own reader; None, and a problem more, if it is none."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        try:
            import tomli as tomllib
        except ImportError:
            config.problems.append(f"{path}: this TOML takes the package tomli before Python 3.11; pip install tomli")
            return None
    try:
        document: dict[str, Any] = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError, or a number of more than 4,300 digits
        config.problems.append(f"{path}: is not valid TOML: {error}")
        return None
    return document
