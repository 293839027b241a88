"""A configuration file: the part of TOML in which it is written, and what its tables say. Loaded only if there is one.

`tomllib` costs a bare host 7 to 30 ms and up to 34 modules; the reader here costs none. It reads tables, arrays of
tables, and values that are plain strings, numbers, booleans, arrays and inline tables. On anything else it raises
`NotInSubset`, and the file is read with `tomllib`, which has the last word on what is an error. A property test holds
the two against each other. Both subjects lie in one module, because each module is one more at every start.
"""

from __future__ import annotations

import os

from .config import BY_NAME, add_target, names_in, nearest, said_where, shown
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


def take(config: Config, path: str, text: str) -> None:
    """Take what the file at `path`, whose text this is, says: as a pyproject.toml would, if it does that."""
    document = _parse(config, path, text)
    if document is not None:
        tool = _tool_settings(document)
        if tool is None and os.path.basename(path) == "pyproject.toml":
            config.problems.append(f"{path}: has no table [tool.lastcall]")
        else:
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
    try:
        return loads(text)
    except (NotInSubset, RecursionError):
        pass
    from .config_tables import read_toml

    return read_toml(config, path, text)


def _take_document(config: Config, document: dict[str, Any]) -> None:
    where = config.file
    for key in document:
        if key not in ("lastcall", *_TABLES):
            known = ("[lastcall]", "[[target]]", "[discover]", "[check]")
            config.problems.append(f"{where}: unknown table [{key}]{nearest(f'[{key}]', known)}")
    settings = document.get("lastcall", {})
    if not isinstance(settings, dict):
        config.problems.append(f"{where}: [lastcall] must be a table")
        settings = {}
    _take_settings(config, settings, where)
    targets = document.get("target", [])
    if not isinstance(targets, list):
        config.problems.append(f"{where}: targets are written [[target]], with two brackets")
        targets = [targets]
    for number, table in enumerate(targets, 1):
        take_target(config, table, (where, number))
    if "targets" in settings:
        _take_refs(config, settings["targets"], where)  # last: one that has a table of its own, too, is that
    if "discover" in document:
        from .config_tables import take_discover

        take_discover(config, document["discover"], where)
    if "check" in document:
        from .config_tables import take_check

        take_check(config, document["check"], where)


def _take_settings(config: Config, settings: dict[str, Any], where: str) -> None:
    for key, value in settings.items():
        if key in BY_NAME:
            config.set(BY_NAME[key], value, where)
        elif key in _TABLES:  # as in pyproject.toml, where it is [tool.lastcall.discover]
            heading = "[[target]]" if key == "target" else f"[{key}]"
            config.problems.append(f"{where}: {key!r} is no part of [lastcall]: write {heading}, a table of its own")
        elif key != "targets":
            config.problems.append(
                f"{where}: unknown key {key!r} in [lastcall]{nearest(key, ('targets', *BY_NAME))}"
            )


def _take_refs(config: Config, value: Any, where: str) -> None:
    try:
        refs = names_in(value)
    except ValueError as expected:
        config.problems.append(f"{where}: targets must be {expected}, not {shown(value)}")
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
    if isinstance(value, (list, dict, bool)):
        config.problems.append(f"{where}: {key} must be a text, not {shown(value)}")
        return ""
    if not isinstance(value, str):
        value = shown(value)  # a TOML date, or a number that is an issue's
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


# -- the part of TOML -------------------------------------------------------------------------------

_PRINTABLE = bytes(range(0x20, 0x7F))
_MOST_DIGITS = 18
"""Of a number: TOML's are of 64 bits."""
_BARE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")


class NotInSubset(Exception):  # noqa: N818 - not an error: it says that tomllib has to do it
    """The text may or may not be TOML; it is not what this reader reads."""


def loads(text: str) -> dict[str, Any]:
    """The document as dictionaries, lists, strings, numbers and booleans. Raises NotInSubset."""
    text = text.replace("\r\n", "\n")
    found = _rows_alike(text) if "\\" not in text and _is_printable(text.replace("\n", "")) else None
    return _Reader(text).document() if found is None else found


_UNSEEN: tuple[list[str], int] = ([], 0)


def _rows_alike(text: str) -> dict[str, Any] | None:
    """The document if it ends in an array of tables, most of which hold the same keys in the same order.

    Hundreds of them, at every start of a host: what stands around the strings of one that was read says what it
    would say around any others. None if it is not as simple as that; in `text` nothing is escaped.
    """
    begin = 0 if text.startswith("[[") else text.find("\n[[") + 1
    header = text[begin : text.find("\n", begin)]
    if not header.startswith("[[") or not header.endswith("]]") or not _is_bare(header[2:-2]):
        return None
    blocks = text[begin + len(header) :].split("\n" + header)
    rows: list[dict[str, Any]] = []
    seen: dict[tuple[str, ...], tuple[list[str], int]] = {}
    for block in blocks:
        pieces = block.split('"')
        around = tuple(pieces[::2])
        keys, lines = seen.get(around, _UNSEEN)
        if not keys:
            table = _flat_table(block)
            if table is None:
                return None
            if list(table.values()) == pieces[1::2]:
                seen[around] = list(table), block.count("\n")
        elif block.count("\n") != lines or len(pieces) % 2 == 0:
            return None  # a string that does not end in its line
        else:
            table = dict(zip(keys, pieces[1::2]))  # noqa: B905 - as many, and `strict` would cost as much again
        rows.append(table)
    document = _Reader(text[:begin]).document()
    if document.setdefault(header[2:-2], rows) is not rows:
        return None
    return document


def _flat_table(block: str) -> dict[str, Any] | None:
    """The keys and values of one table, None if anything else may stand there, such as another table's header."""
    if not block.startswith("\n") and block:  # behind a header: a comment, or a longer name
        return None
    if any(line.lstrip(" \t").startswith("[") for line in block.split("\n")):
        return None
    return _Reader(block).document()


def _is_printable(text: str) -> bool:
    if text.isascii():
        return not text.encode().translate(None, _PRINTABLE)  # a tenth of the cost of asking each character
    return text.isprintable()


def _is_bare(key: str) -> bool:
    return key.isascii() and key.replace("_", "a").replace("-", "a").isalnum()


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines = self.text.split("\n")
        self.line = 0
        self.line_at = 0
        self.heads: dict[str, str] = {}
        """What stood before a plain value's quote, and the key in it."""
        self.headers: set[str] = set()
        self.clean = "\\" not in text and _is_printable(self.text.replace("\n", ""))
        self.root: dict[str, Any] = {}
        self.closed: set[int] = set()  # inline tables and assigned arrays may not be extended
        self.seen_tables: set[tuple[str, ...]] = set()

    def document(self) -> dict[str, Any]:
        table = self.root
        while True:
            table = self.plain_lines(table)
            if not self.blank():
                return self.root
            if self.text[self.at] == "[":
                table = self.header()
            else:
                self.assignment(table)
            self.end_of_line()

    def plain_lines(self, table: dict[str, Any]) -> dict[str, Any]:
        """Read what nearly every line is, `key = "value"` or `[[name]]`, without looking at each character.

        Stops at the first line that is anything else. Returns the table that lines belong to by then.
        """
        if self.at and self.text[self.at - 1] != "\n":
            end = self.text.find("\n", self.at)
            if end < 0 or self.text[self.at : end].strip(" \t"):
                return table
            self.at = end + 1
        self.line += self.text.count("\n", self.line_at, self.at)
        begin, lines, heads = self.line, self.lines, self.heads
        for number in range(begin, len(lines)):
            line = lines[number]
            pieces = line.split('"')
            key = heads.get(pieces[0]) if len(pieces) == len(("key = ", "value", "")) else None
            if key is not None and self.clean and not pieces[2] and key not in table:
                table[key] = pieces[1]  # the same as `plain_line`, for a beginning that it has seen
            elif line in self.headers:
                table = self.row(line[2:-2])
            elif line:
                stripped = line.strip(" \t")
                if stripped.startswith("[[") and stripped.endswith("]]") and _is_bare(stripped[2:-2]):
                    table = self.row(stripped[2:-2])
                    self.headers.add(stripped)
                elif stripped and not self.plain_line(stripped, table):
                    self.go_to(begin, number)
                    return table
        self.go_to(begin, len(lines))
        return table

    def go_to(self, begin: int, end: int) -> None:
        """Go on at the line `end`, from the beginning of the line `begin`."""
        self.line = end
        self.at = min(self.at + sum(map(len, self.lines[begin:end])) + end - begin, len(self.text))
        self.line_at = self.at

    def row(self, name: str) -> dict[str, Any]:
        """A new table in the array of tables `name`."""
        rows = self.root.setdefault(name, [])
        if not isinstance(rows, list) or id(rows) in self.closed:
            raise NotInSubset
        table: dict[str, Any] = {}
        rows.append(table)
        return table

    def plain_line(self, line: str, table: dict[str, Any]) -> bool:
        """Take `key = "value"` into `table`; False for anything else."""
        key, equals, value = line.partition("=")
        key, value = key.rstrip(" \t"), value.lstrip(" \t")
        body = value[1:-1]
        if (
            not equals
            or len(value) < len('""')
            or value[0] != '"'
            or value[-1] != '"'
            or '"' in body
            or "\\" in body
            or not body.isprintable()
            or not _is_bare(key)
            or key in table
        ):
            return False
        table[key] = body
        self.heads[line.partition('"')[0]] = key
        return True

    # -- white space --------------------------------------------------------------------------------

    def peek(self) -> str:
        return self.text[self.at] if self.at < len(self.text) else ""

    def spaces(self) -> None:
        while self.peek() in (" ", "\t") and self.peek():
            self.at += 1

    def comment(self) -> None:
        if self.peek() == "#":
            end = self.text.find("\n", self.at)
            end = len(self.text) if end < 0 else end
            if any((c < " " and c != "\t") or c == "\x7f" for c in self.text[self.at : end]):
                raise NotInSubset
            self.at = end

    def blank(self) -> bool:
        """Go to the next thing that is not white space or comment; False at the end of the text."""
        while True:
            self.spaces()
            self.comment()
            if self.peek() == "\n":
                self.at += 1
            else:
                return self.at < len(self.text)

    def end_of_line(self) -> None:
        self.spaces()
        self.comment()
        if self.peek() not in ("", "\n"):
            raise NotInSubset

    def expect(self, token: str) -> None:
        if not self.text.startswith(token, self.at):
            raise NotInSubset
        self.at += len(token)

    # -- structure ----------------------------------------------------------------------------------

    def header(self) -> dict[str, Any]:
        double = self.text.startswith("[[", self.at)
        self.expect("[[" if double else "[")
        self.spaces()
        path = self.key()
        self.spaces()
        self.expect("]]" if double else "]")
        table = self.descend(self.root, path[:-1])
        name = path[-1]
        if double:
            rows = table.setdefault(name, [])
            if not isinstance(rows, list) or id(rows) in self.closed:
                raise NotInSubset
            rows.append({})
            return rows[-1]  # type: ignore[no-any-return]
        if tuple(path) in self.seen_tables or name in table:
            raise NotInSubset  # a table given twice, or after its children: rare, and tomllib knows the rules
        self.seen_tables.add(tuple(path))
        table[name] = {}
        return table[name]  # type: ignore[no-any-return]

    def descend(self, table: dict[str, Any], path: list[str]) -> dict[str, Any]:
        for name in path:
            inner = table.setdefault(name, {})
            if isinstance(inner, list) and inner and id(inner) not in self.closed:
                inner = inner[-1]
            if not isinstance(inner, dict) or id(inner) in self.closed:
                raise NotInSubset
            table = inner
        return table

    def assignment(self, table: dict[str, Any]) -> None:
        path = self.key()
        self.spaces()
        self.expect("=")
        self.spaces()
        if len(path) != 1 or path[0] in table:
            raise NotInSubset
        table[path[0]] = self.value()

    def key(self) -> list[str]:
        path = []
        while True:
            start = self.at
            while self.peek() in _BARE and self.peek():
                self.at += 1
            if start == self.at:
                raise NotInSubset
            path.append(self.text[start : self.at])
            if self.peek() != ".":
                return path
            self.at += 1

    # -- values -------------------------------------------------------------------------------------

    def value(self) -> Any:
        first = self.peek()
        if first == '"' or first == "'":  # noqa: PLR1714 - a set would match the empty string
            return self.string(first)
        if first == "[":
            return self.array()
        if first == "{":
            return self.inline_table()
        for word, value in (("true", True), ("false", False)):
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return value
        return self.number()

    def string(self, quote: str) -> str:
        if self.text.startswith(quote * 3, self.at):
            raise NotInSubset
        end = self.text.find(quote, self.at + 1)
        if end < 0:
            raise NotInSubset
        body = self.text[self.at + 1 : end]
        if ("\\" in body and quote == '"') or any((c < " " and c != "\t") or c == "\x7f" for c in body):
            raise NotInSubset
        self.at = end + 1
        return body

    def number(self) -> int | float:
        start = self.at
        while self.peek() in "0123456789." and self.peek():
            self.at += 1
        digits = self.text[start : self.at]
        whole, dot, part = digits.partition(".")
        if not whole.isdigit() or (len(whole) > 1 and whole[0] == "0") or len(whole) > _MOST_DIGITS:
            raise NotInSubset
        if not dot:
            return int(whole)
        if not part.isdigit():
            raise NotInSubset
        return float(digits)

    def array(self) -> list[Any]:
        self.expect("[")
        items: list[Any] = []
        while True:
            self.blank()
            if self.peek() == "]":
                break
            items.append(self.value())
            self.blank()
            if self.peek() == ",":
                self.at += 1
            elif self.peek() != "]":
                raise NotInSubset
        self.expect("]")
        self.closed.add(id(items))
        return items

    def inline_table(self) -> dict[str, Any]:
        self.expect("{")
        table: dict[str, Any] = {}
        self.closed.add(id(table))
        self.spaces()
        if self.peek() == "}":
            self.at += 1
            return table
        while True:
            self.spaces()
            self.assignment(table)
            self.spaces()
            if self.peek() == "}":
                self.at += 1
                return table
            self.expect(",")
