"""The baseline: the uses of today that are accepted, so that only new ones fail. It may only shrink.

Entries are keyed by target and calling function. Line numbers, test names and counts change with every edit,
and are not in it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from lastcall import whole_file
from lastcall.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tomlkit.toml_document import TOMLDocument

FILE_NAME = "lastcall-baseline.toml"
HEADER = """\
# Accepted uses of deprecated entry points, by target and calling function. A use that is not listed fails
# `pytest --lastcall`; an entry that is no longer used fails it too, and `--lastcall-update` takes it out.
# A new entry needs a reason.
"""


class Key(NamedTuple):
    """What an accepted use is known by."""

    target: str
    caller: str
    """`module:qualname` of the calling function; `module:<module>` for code at module level."""


@dataclass(frozen=True, slots=True)
class Use:
    """A use that was seen, with what a person needs to find it."""

    key: Key
    file: str
    line: int
    kind: str = "call"
    replacement: str = ""
    by: str = ""
    """The test that made it, where one did."""

    def sentence(self) -> str:
        """One line for a person."""
        instead = f"; use {self.replacement}" if self.replacement else ""
        by = f" (first in {self.by})" if self.by else ""
        return f"{self.file}:{self.line}: {self.key.caller} uses {self.key.target}{instead}{by}"


@dataclass(slots=True)
class Comparison:
    """Uses against a baseline."""

    new: list[Use] = field(default_factory=list)
    stale: list[Key] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether there is nothing to say."""
        return not self.new and not self.stale


class Baseline:
    """A baseline file. Comments and order survive an update."""

    def __init__(self, path: Path, document: TOMLDocument) -> None:
        self.path = path
        self._document = document

    @classmethod
    def load(cls, path: Path) -> Baseline:
        """The baseline at `path`, empty if there is none. Raises UsageError if it is not one."""
        import tomlkit
        from tomlkit.exceptions import TOMLKitError

        try:
            text = path.read_text(encoding="utf-8").removeprefix(whole_file.BOM)
        except FileNotFoundError:
            text = HEADER
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
        except UnicodeDecodeError as error:
            raise UsageError(f"{path} is not valid TOML: it is no text in UTF-8.") from error
        try:
            document = tomlkit.parse(text)
        except TOMLKitError as error:
            raise UsageError(f"{path} is not valid TOML: {error}.") from error
        baseline = cls(path, document)
        baseline._check()
        return baseline

    def _check(self) -> None:
        other = next((key for key in self._document if key != "use"), None)
        if other is not None:
            raise UsageError(f"{self.path} is no baseline, or {other!r} in it is wrong: entries are written [[use]].")
        seen = set()
        for number, entry in enumerate(self._entries(), 1):
            where = f"{self.path}: entry {number}"
            if not isinstance(entry, dict):
                raise UsageError(f"{where} must be a table, written [[use]].")
            for name in ("target", "caller", "reason"):
                if not isinstance(entry.get(name), str) or not entry[name].strip():
                    why = " An accepted use needs a reason." if name == "reason" else ""
                    raise UsageError(f"{where} has no {name}.{why}")
            key = Key(str(entry["target"]), str(entry["caller"]))
            if key in seen:
                raise UsageError(f"{where} repeats {key.caller} -> {key.target}.")
            seen.add(key)

    def _entries(self) -> list[Any]:
        entries = self._document.get("use", [])
        if not isinstance(entries, list):
            raise UsageError(f"{self.path}: entries are written [[use]], with two brackets.")
        return entries

    @property
    def reasons(self) -> dict[Key, str]:
        """The reason of each accepted use."""
        return {Key(str(e["target"]), str(e["caller"])): str(e["reason"]) for e in self._entries()}

    def compare(self, uses: Iterable[Use], *, complete: bool = True) -> Comparison:
        """What is new, and, if all code that could use anything has run (`complete`), what is stale."""
        accepted = self.reasons
        first: dict[Key, Use] = {}
        for use in uses:
            first.setdefault(use.key, use)
        new = [use for key, use in sorted(first.items()) if key not in accepted]
        return Comparison(new, sorted(accepted.keys() - first.keys()) if complete else [])

    def remove(self, keys: Iterable[Key]) -> None:
        """Take entries out."""
        gone = set(keys)
        entries = self._entries()
        for number in range(len(entries) - 1, -1, -1):
            if Key(str(entries[number]["target"]), str(entries[number]["caller"])) in gone:
                del entries[number]
        if not entries and "use" in self._document:
            del self._document["use"]

    def add(self, keys: Iterable[Key], reason: str) -> None:
        """Accept uses. Raises UsageError without a reason."""
        import tomlkit

        if not reason.strip():
            raise UsageError("An accepted use needs a reason.")
        if "use" not in self._document:
            self._document.append("use", tomlkit.aot())
        entries = self._entries()
        for key in sorted(set(keys) - self.reasons.keys()):
            table = tomlkit.table()
            table.update({"target": key.target, "caller": key.caller, "reason": reason.strip()})
            entries.append(table)

    def save(self) -> None:
        """Write the file, whole or not at all. Raises UsageError."""
        import tomlkit

        try:
            whole_file.rewrite(self.path, tomlkit.dumps(self._document))
        except OSError as error:
            raise UsageError(f"Cannot write {self.path}: {error.strerror}.") from error


def caller_name(module: str, function: str) -> str:
    """The caller as a baseline names it: a nested function or lambda is part of the one that holds it."""
    outer = function.partition(".<locals>")[0]
    return f"{module}:{'<module>' if not outer or outer.startswith('<') else outer}"


def as_plain(use: Use) -> list[Any]:
    """The use as JSON-ready values, for a trip between processes."""
    return [use.key.target, use.key.caller, use.file, use.line, use.kind, use.replacement, use.by]


def from_plain(values: list[Any]) -> Use:
    """The inverse of `as_plain`."""
    target, caller, file, line, kind, replacement, by = values
    return Use(Key(target, caller), file, line, kind, replacement, by)


def relative(file: str, root: str) -> str:
    """A file relative to `root` where it lies below it."""
    prefix = root.rstrip(os.sep) + os.sep
    return file.removeprefix(prefix)
