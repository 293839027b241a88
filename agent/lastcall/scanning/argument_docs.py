"""What a docstring says of a callable's arguments, in the styles of Google, NumPy and Sphinx."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_FIELD = re.compile(
    r"^\s*:(?:param|parameter|arg|argument|key|keyword|kwarg)\s+(?:[^:]*\s)?\**(?P<name>\w+)\s*:(?P<rest>.*)$"
)
_SECTION = re.compile(
    r"^(?P<indent>\s*)(?:args|arguments|parameters|params|other parameters|keyword (?:args|arguments|parameters)|"
    r"optional (?:args|arguments|parameters)|kwargs)\s*(?P<colon>:?)\s*$",
    re.IGNORECASE,
)
_ANY_SECTION = re.compile(r"^\s*[A-Z][\w ]{2,30}:\s*$")
_OTHER_SECTION = re.compile(
    r"^\s*(?:attributes|returns?|yields?|raises|warns|methods|see also|notes?|examples?|"
    r"references)\s*(?P<colon>:?)\s*$",
    re.IGNORECASE,
)
_UNDERLINE = re.compile(r"\s*[-=~]{3,}\s*$")
_NUMPY_ITEM = re.compile(r"^\s*\**(?P<name>\w+)(?P<more>\s*(?:,\s*\**\w+\s*)*)(?::(?P<type>.*))?$")
_BULLET = re.compile(r"\s*[-*+]\s")
_GOOGLE_ITEM = re.compile(r"^\s*(?:[-*+]\s+)?\**`*(?P<name>\w+)`*\s*(?P<type>\([^)]*\))?\s*(?::|--?)\s*(?P<rest>.*)$")
_MARKED_TYPE = re.compile(r"\bdeprecated\b", re.IGNORECASE)
_STARTS = re.compile(
    r"^[\W_]*(?:(?:[\w.\[\]|]{1,60},\s*)?optional\b[\W_]*)?(?:is\s+|now\s+)*(?:deprecated|obsolete)\b"
    r"(?!\s+(?:values?|options?|forms?|names?|in favou?r of (?:this|the)))"
    r"|^[\W_]*an?\W+(?:deprecated|obsolete)\W+(?:alias|synonym)\b",
    re.IGNORECASE,
)
_NAMES_IT = (
    r"(?:^|[.;!?)\]]\s+)(?:this|the\s+[`'\"]*{name}[`'\"]*)\s+(?:[\w`'\"]+\s+){{0,2}}?(?:param(?:eter)?|arg(?:ument)?|kwarg|keyword|option|flag)\s+"
    r"(?:[\w`'\"]+\s+)?(?:is|was|has been|will be)\s+(?:now\s+)?(?:deprecated|obsolete)"
    r"|(?:^|[.;!?]\s+)(?:the\s+)?[`'\"]*{name}[`'\"]*\s+(?:is|was|has been)\s+(?:now\s+)?(?:deprecated|obsolete)"
    r"|[.!]\s+(?:deprecated|obsolete)\W*(?:$|since|in|as of|use|and (?:will|ignored|unused|no longer|has no)\b)"
    r"|[.!]\s+(?-i:Deprecated|DEPRECATED|Obsolete|OBSOLETE)\s*[,:;.(!]|[.!]\s+[(\[](?:deprecated|obsolete)[)\]]"
    r"|(?<![`'\"]\s)[(\[](?:deprecated|obsolete)[)\]]\W*$"
    r"|(?:^|[.;!?]\s+)it\s+(?:is|was|has been|will be)\s+(?:now\s+)?(?:deprecated|obsolete)(?!\s+to\b)"
    r"|(?:^|[.;!?]\s+)(?:passing|using|specifying|setting)\s+[`'\"]*{name}[`'\"]*\s+(?:is|was|has been)\s+"
    r"(?:now\s+)?(?:deprecated|obsolete)"
)


def arguments_described(lines: Sequence[str]) -> Iterator[tuple[str, str, str, int]]:
    """(name, what stands for its type, its description, number of the line) of each argument that is described."""
    yield from _fields(lines)
    for number, line in enumerate(lines):
        section = _SECTION.match(line)
        if section is None:
            continue
        if number + 1 < len(lines) and _UNDERLINE.match(lines[number + 1]):
            yield from _items(lines, number + 2, len(section["indent"]), numpy=True)
        elif section["colon"]:
            yield from _items(lines, number + 1, len(section["indent"]), numpy=False)


def describes_arguments(lines: Sequence[str], number: int) -> bool:
    """Whether the section that holds line `number` can be one of arguments: not of results, not of attributes."""
    for at in range(number - 1, -1, -1):
        heading = _OTHER_SECTION.match(lines[at])
        if heading and (heading["colon"] or _UNDERLINE.match(lines[at + 1])):
            return False
        if _SECTION.match(lines[at]):
            return True
    return True


def argument_is_deprecated(name: str, kind: str, text: str) -> bool:
    """Whether the words of an argument's description call it deprecated as a whole."""
    if _MARKED_TYPE.search(kind) or _STARTS.search(text):
        return True
    return re.search(_NAMES_IT.format(name=re.escape(name)), text, re.IGNORECASE) is not None


def _fields(lines: Sequence[str]) -> Iterator[tuple[str, str, str, int]]:
    for number, line in enumerate(lines):
        field = _FIELD.match(line)
        if field:
            yield field["name"], "", _description(field["rest"], lines, number), number


def _items(
    lines: Sequence[str], start: int, indent: int, *, numpy: bool
) -> Iterator[tuple[str, str, str, int]]:
    own: int | None = None
    for number in range(start, len(lines)):
        line = lines[number]
        if not line.strip():
            continue
        depth = len(line) - len(line.lstrip())
        if own is None:
            own = depth
        if depth < own or (not numpy and depth <= indent and not (depth == indent and _BULLET.match(line))):
            return
        if depth > own or re.match(r"\s*\*+\w", line):  # nobody passes an argument by the name after `**`
            continue
        if numpy and number + 1 < len(lines) and _UNDERLINE.match(lines[number + 1]):
            return
        item = (_NUMPY_ITEM if numpy else _GOOGLE_ITEM).match(line)
        if item is None or (not numpy and _ANY_SECTION.match(line) and depth <= indent):
            continue
        names = [item["name"], *re.findall(r"\w+", item["more"])] if numpy else [item["name"]]
        text = _description("" if numpy else item["rest"], lines, number)
        for name in names:
            yield name, item["type"] or "", text, number


def _description(first: str, lines: Sequence[str], number: int) -> str:
    """The rest of the line, and the lines below it that are indented more."""
    own = len(lines[number]) - len(lines[number].lstrip())
    found = [first.strip()]
    for line in lines[number + 1 :]:
        if line.strip() and len(line) - len(line.lstrip()) <= own:
            break
        if line.lstrip().startswith(".. "):  # a directive says for itself what it is about
            break
        found.append(line.strip())
    return " ".join(found).strip()
