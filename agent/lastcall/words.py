"""The words of a configuration, and what can be said of a target without making one.

A start that meets no target needs no more: `targets` is loaded with the first target's module.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from typing import Final

MARCH = 3

KINDS = ("function", "method", "class", "attribute", "module", "parameter")
STATES: Final = ("armed", "pending", "missing", "failed", "partial", "removed")
MODES = ("observe", "warn", "raise", "brownout")
SCHEDULES = ("", "daily", "weekday", "weekly", "monthly", "quarterly", "yearly")
FINALIZER = "__del__"
"""The method that the interpreter calls when an object is let go of."""

OWN_PACKAGES = frozenset(("lastcall", "wrapt", "bytecode", "builtins"))
"""What the agent itself runs on: to watch it would be to watch the watching."""
NOT_BY_WILDCARD = OWN_PACKAGES.union(
    ("sys", "_thread", "_weakref", "itertools", "posix", "time", "_imp"),
    ("_frozen_importlib", "_frozen_importlib_external"),
)
"""What the interpreter and the agent call all the time: watched only if somebody names what is in there."""
METADATA = ("replacement", "owner", "issue", "since", "remove_by", "note", "schedule")


def plain_module(ref: str) -> str:
    """The module of a reference that is nothing but `package.module:name`, as nearly every one is; else nothing."""
    module, colon, name = ref.partition(":")
    parts = module.split(".")
    plain = colon and name.isidentifier() and all(map(str.isidentifier, parts)) and parts[0] not in OWN_PACKAGES
    return module if plain else ""


def day_number(date: str) -> int:
    """Days from 1970-01-01 to the ISO date `YYYY-MM-DD` (proleptic Gregorian; Howard Hinnant's algorithm).

    `datetime` would cost a bare host 3 ms. Raises ValueError.
    """
    parts = date.split("-")
    if [len(p) for p in parts] != [4, 2, 2] or not all(p.isdigit() for p in parts):
        raise ValueError(f"{date!r} is not a date of the form YYYY-MM-DD")
    year, month, day = (int(p) for p in parts)
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    lengths = (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    if not 1 <= month <= len(lengths) or not 1 <= day <= lengths[month - 1]:
        raise ValueError(f"{date!r} is not a day of the calendar")
    year -= month < MARCH  # years that begin in March have their leap day at the end
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * (month + (-3 if month >= MARCH else 9)) + 2) // 5 + day - 1
    return era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719_468
