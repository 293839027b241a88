"""What a reader of a page can do about a reason: in words, and as commands to copy.

The remedies of `reasons` speak to somebody at a command line. A reader of a page sees no options, so here are
other words, and whole commands, for the very target and the very source of evidence that the page shows.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lastcall.reasons import Reason

LONGEST = 1000
"""Characters of a command that somebody would still read before running it."""

DOCTOR = ("lastcall doctor",)


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do: a sentence, and the commands that it ends with."""

    words: str
    commands: tuple[str, ...] = ()


_PLAIN = {
    "no-data": Advice(
        "Run the application with the agent switched on, and see what it finds:",
        ("LASTCALL_ENABLED=1 python app.py", *DOCTOR),
    ),
    "never-armed": Advice(
        "Is the name spelled right? Where the application runs, this says what the agent finds:", DOCTOR
    ),
    "not-armed": Advice("Where that service runs, this says why:", DOCTOR),
    "lossy": Advice(
        "The next release starts from zero. Where that service runs, this explains each:", DOCTOR
    ),
}
"""Reasons that the same commands help with, whatever the target."""

_CHECKED = {
    "perhaps-reference": (
        "Read these lines. If the strings among them are only text, judge without strings:",
        "--ignore-strings",
    ),
    "only-pending": (
        "Let it look at the source of that service, for where no line refers to the target none can reach it:",
        "--path .",
    ),
    "source-not-read": ("Judge it from a checkout of the source:", "--path ."),
    "source-unread": ("Ask as a user who may read all of it, or name the folders that hold the source:", "--path ."),
    "service-missing": (
        "Switch the agent on there. If that service is retired or cannot use the target, leave it out:",
        "--ignore",
    ),
    "service-silent": (
        "If it still runs, see why its agent is silent. If it was retired, leave it out:",
        "--ignore",
    ),
    "not-watched": (
        "Add the target to the configuration there. If that service cannot use it, leave it out:",
        "--ignore",
    ),
}
"""Reasons that another question to `lastcall check` answers, with the option that makes it another."""


def advice(reason: Reason, ref: str, source: Sequence[str] = ()) -> Advice:
    """What to do about a reason of the verdict on `ref`; `source` are the options that name the evidence."""
    if reason.code in _PLAIN:
        return _PLAIN[reason.code]
    if reason.code == "too-short" and "--path" in reason.remedy:
        words = "Let it look at the source of its callers, for code that is gone explains the silence:"
        return _checked(words, ("--path", "."), ref, source)
    if reason.code not in _CHECKED:
        return Advice(re.sub(r"`([^`]*)`", r"\1", reason.remedy))
    words, option = _CHECKED[reason.code]
    if option != "--ignore":
        return _checked(words, tuple(option.split()), ref, source)
    service, environment = reason.where
    if not service or {",", "="} & {*service, *environment}:
        # What `--ignore` could not take. The sentence ends before it offers that.
        return Advice(words.partition(".")[0] + ".")
    where = f"service={service}" + (f",environment={environment}" if environment else "")
    return _checked(words, ("--ignore", where), ref, source)


def _checked(words: str, options: Sequence[str], ref: str, source: Sequence[str]) -> Advice:
    text = command("check", ref, *options, *source)
    if text:
        return Advice(words, (text,))
    return Advice(words.rstrip(":") + f" (`lastcall check` with {options[0]}).".replace("`", ""))


def command(*arguments: str) -> str:
    """A command of Lastcall as a shell takes it; empty if nobody could type it, or should run it unread."""
    text = shlex.join(("lastcall", *arguments))
    return text if text.isprintable() and len(text) <= LONGEST else ""
