"""What words say: is this sentence about the thing it stands at, since when, and what should be used
instead?"""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, NamedTuple

from lastcall.scanning.argument_docs import argument_is_deprecated, arguments_described, describes_arguments

if TYPE_CHECKING:
    from lastcall.scanning.finding import Confidence

_LONGEST = 200
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

SAYS_DEPRECATED = re.compile(r"deprecat|\bobsolete\b", re.IGNORECASE)
SAYS_LEAVING = re.compile(
    r"deprecat|\bobsolete\b|\blegacy\b|will (?:(?:therefore|soon|eventually|likely|also) )?be removed"
    r"|no longer supported|scheduled for removal",
    re.IGNORECASE,
)

SAYS_GONE = re.compile(r"\b(?:removed|replaced|renamed|moved|gone|no longer|use|instead)\b", re.IGNORECASE)
"""What an error says that is raised in place of what a callable once did."""

_THING = (
    r"(?:function|method|class|module|property|attribute|constructor|alias|package|interface|coroutine|"
    r"decorator|factory|wrapper|helper|shim|api|endpoint|implementation|subclass|mixin|accessor|name|type)"
)
_IS = (
    r"(?:is|are|was|were|has been|have been|will be|is being)"
    r"(?:\s+(?:now|also|officially|hereby|both|actually|considered))?"
)
_ABOUT_ITSELF = re.compile(
    rf"\b(?:this|(?<!of )these)\s+"
    rf"(?!first|second|third|last|latter|former|other)(?:[\w`.:~<>]+\s+){{0,3}}?{_THING}s?\s+"
    rf"(?:[\w`.:~]+\s+)?{_IS}\s+deprecated(?!\s+on\s+(?:the\s+)?[`'\"]*[A-Z])"
    rf"|(?<!since )(?<!because )(?<!as )(?<!but )(?<!where )(?<!of )\bthis\s+{_IS}\s+(?:a\s+)?deprecated"
    r"(?!\s+(?:behaviou?r|usage|way)\b)"
    r"|(?:^|[^\w\s`'\")]\s*)deprecated\s+since\s+(?:\w+\s+){0,2}?v?\d"
    r"|(?<!\.)[.!?]\s+(?:n\.?b\.?:?\s+|note:?\s+)?(?:deprecated|obsolete)"
    r"(?:\s*(?:[.!:,;]|$)|\s+(?:as of|in|from)\s+v?\d)",
    re.IGNORECASE,
)
_ELSEWHERE = re.compile(
    rf"deprecated\s+on\s+(?:the\s+)?[`'\"]*[A-Z]|\bof\s+(?:these|those)\s+\w+\s+{_IS}\s+deprecated"
)
"""Words about what another class has, or about those that use something."""
_PART_IS = re.compile(rf"(?:^|[.!?]\s+)\W*[Tt]he\s+([A-Z]\w+)\s+([a-z]+)\s+{_IS}\s+deprecated")
"""How words begin about the one thing that a class is there for: "the Quanto backend is deprecated"."""
_THIS_IS = re.compile(
    rf"\bthis\s+(\w+)\b(?:[^.:]{{0,60}}\band(?:\s+it)?)?\s+{_IS}\s+deprecated", re.IGNORECASE
)
_THE_THING = re.compile(
    rf"(?:^|[.!?]\s+)\W*the\s+(?!uses?\b|usage\b)(?:[\w`.:~<>]+\s+){{0,3}}?{_THING}s?\s+{_IS}\s+deprecated",
    re.IGNORECASE,
)
_GIVES_REASON = re.compile(r"\b(?:as|since|because|where)\s+[`*'\"]*$", re.IGNORECASE)
_PART_OF = re.compile(
    r"\b(?:param(?:eter)?|arg(?:ument)?|kwarg|keyword|option|flag)s?\b[^.]*\b(?:in|of|for|to)\s+[`*'\"]*$",
    re.IGNORECASE,
)
_GIVEN_TO = re.compile(
    r"\b(?:passing|specifying|giving|supplying|providing|setting)\b[^.]{0,80}\b(?:to|in|for|of)\s+[`*'\"]*$",
    re.IGNORECASE,
)
"""Before the name of what something is passed to."""
_OF_CALLING = re.compile(
    rf"\b(?:calling|passing|using|accessing)\b(?! this\b)[^.]*(?:\.\w[^.]*)?\b{_IS}\s+deprecated", re.IGNORECASE
)
_OF_PARTS = re.compile(
    r"^\W*(?:deprecated|obsolete)\s+(?:\w+\s+)?(?:fields|arguments|parameters|attributes|methods|members|options|names|"
    r"values|keys|functions|classes|properties|features|settings|variables)\b(?!\W*$)"
    r"|^\W*(?:deprecated|obsolete)\s+values\b",
    re.IGNORECASE,
)
"""A heading over a list of things, rather than words about what it stands at."""
_STARTS = re.compile(
    r"^[^\w`]*(?:note|warning|todo|fixme|xxx|hack)?(?:\([^)]*\))?[^\w`]*(?:is\s+|now\s+|soft-)?(?:deprecated\b"
    rf"|obsolete\b(?=\W*$|\s*[.,:;!(\])]|\s+(?:and|since|in|as|by|from|use|{_THING})\b))",
    re.IGNORECASE,
)
_MARKED_END = re.compile(
    r"(?<!\bthe )(?<!\ba )(?<!\ban )[\[(*]\s*(?:deprecated|obsolete)\b[^\])*]*[\])*]", re.IGNORECASE
)
_DEPRECATED_NOUN = re.compile(
    rf"^[^\w`]*(?:a |an |the )?deprecated\s+(?:[\w`.:~()]+\s+){{0,2}}?{_THING}\b", re.IGNORECASE
)
_OF_ARGUMENT = re.compile(r"\b(?:param(?:eter)?|arg(?:ument)?|kwarg|keyword|option|flag)s?\b", re.IGNORECASE)
_SHIM = re.compile(
    rf"^\W*(?:(?:an?|this)\s+)?obsolete\b(?=\W*$|\s*[.,:;!(]|\s+{_THING}\b)"
    r"|^\W*(?:\w+\s+){0,2}?(?:wrapper|alias|shim|stub)\s+(?:for|of)\s+(?:an?\s+|the\s+)?(?:deprecated|obsolete)\s+"
    r"(?:import|name|alias|spelling|path|location)s?\b"
    r"|^\W*(?:\w+\s+)?compat(?:ibility)?\s+layer\W*$"
    r"|^\W*(?!(?:\w+\s+)?[a-z]{3,}s\s+legacy)(?:\w+\s+){0,2}?legacy(?=\W*$|\s*[.:;(,]|\s+-)"
    r"|^\W*(?:(?:an?|the|this|just|simple|thin|small|stub|alias|for|only|provides?|provided|kept)\s+){0,3}"
    r"backwards?[- ]compat\w*(?=\W*$|\s*[.;(]|\s+(?:wrapper|shim|alias|stub|layer|function|method|class|property|"
    r"constant|attribute|accessor|helper|name|import|re-?export|only|for|with|from)(?:s|es)?\b)"
    r"|\b(?:backwards?[- ]compat\w*|legacy|compat(?:ibility)?)\s+(?:wrapper|shim|stub|alias|function|method|class|"
    r"factory|name|interface|entry ?point)\b(?!s?\s+(?:between|to)\b)"
    r"|\b(?:kept|retained|here|exists|provided|offered|alias|only)\s+(?:\w+\s+){0,2}?for\s+(?:\w+\s+)?(?:backwards?|legacy|"
    r"compatibility\W*(?:$|do not))",
    re.IGNORECASE,
)
_CODE = re.compile(r"@[\w.]+\(")
"""A decorator that is commented out."""
_REMOVE_LATER = re.compile(r"\b(?:remove|delete|drop)\s+(?:this|it)\b.*deprecat", re.IGNORECASE)
_REMOVE = re.compile(
    r"^\W*(?:todo|fixme|xxx|hack)\b(?:\([^)]*\))?\W*(?:to be\s+|can be\s+)?(?:removed?|deleted?|drop(?:ped)?)"
    r"(?:\s+(?:this|it|me|once|after|when|in|by|as soon as|for|later|eventually|before|with)\b|\W*$)",
    re.IGNORECASE,
)
_REMOVE_BY = re.compile(
    r"(?:^|[.:;,]\s|--?\s|\u2014\s)\W*remove\s+(?:this\s+(?:whole\s+)?(?:\w+\s+)?)?"
    r"(?:before|after|in|by)\s+(?:version\s+|release\s+)?v?\d+[.-]\d",
    re.IGNORECASE,
)
"""A date or release by which it goes: "Remove before 2027.8"."""
_IS_DEPRECATED = re.compile(rf"\s+{_IS}\s+deprecated", re.IGNORECASE)
_ENDS = re.compile(r"[!?;]|[.:](?!\w)")
_CODE_NAME = re.compile(r"[`'\"(@*]*(?:@?\w+[._]\w+[\w.]*|[A-Z]\w*[a-z]\w*[A-Z]\w*|@\w+|`\w+`)(?:\(\))?[`'\"*]*$")
"""An identifier, told from a word by its spelling."""
_ASIDE = re.compile(
    r"\b(?:as|since|because|whether|but|while)\s+"
    rf"(?!(?:it|this|these|they|that|which|(?:the|this)\s+{_THING})$)[\w' -]+$"
    r"|\b(?:below|following)$",
    re.IGNORECASE,
)
_INSTEAD = re.compile(
    r"\b(?:use|instead|prefer|replaced|in favou?r of|superseded|renamed|moved to)\b", re.IGNORECASE
)
_OF_BEHAVIOUR = re.compile(
    r"[\d.v]*\W*(?:it is (?:now )?deprecated to|(?:the |this |old |legacy )*(?:\w+ )?(?:behaviou?r|default|support)\b"
    r"|(?!being|pending|nothing|during|missing|according|everything|following|having)[a-z]{2,}ing\b"
    r"(?! (?:this|the method|the function)\b)"
    r"|instead of [`'\"]+\w+=|\*[^*]+\*"
    r"|the (?:[\w-]+ ){1,3}?(?:mode|format|form|syntax|option|ability|possibility|signature|values?)\b"
    r"|(?:calling|passing|using|combining|specifying|setting|relying|support for|use of)\b(?! this\b))",
    re.IGNORECASE,
)
"""How the words after `.. deprecated::` begin where they are about a way to use the callable."""
_BY_POSITION = re.compile(
    r"\b(?:as\s+(?:an?\s+)?positional|positionally\b|by\s+position\b|positional\s+(?:argument|parameter|use)s?\b)",
    re.IGNORECASE,
)
_SOMETIMES = re.compile(
    r"\bwarnings?\s+(?:is|are|will be)\s+(?:\w+\s+)?(?:if|when)\b|\bbut\s+(?:this|that)\s+is\b", re.IGNORECASE
)
"""A first sentence after `.. deprecated::` that is about how, or when, the callable shall no longer be called."""
_OF_VALUE = re.compile(
    r"\b(?:default|behaviou?r|output)\b[^.]*\b(?:will|is going to|changed)\b"
    r"|\bwill (?:change|be changed|initiali[sz]e)\b|\b(?:using|passing|giving|specifying) [`'\"]*None\b"
    r"|\b(?:passing|specifying|using|giving|supplying)\s+(?:a|an|any|non\S*|multiple|several|more than|\w+s as)\b"
    r"|\b(?:passing|specifying|using|giving|supplying|setting)\s+\S+(?:\s+\S+)?\s+(?:when|while|if|together with)\b"
    r"|\b(?:values?|strings?|booleans?|callables?|lists?)\b[^.]{0,30}\bdeprecated"
    r"|`\w+\s*=\s*[^`]+`+\s+(?:option\s+)?(?:is|was|has been)\b"
    r"|[\"'][\w.+-]+[\"']`*\s+(?:(?:option|value|mode|string|setting|choice)\s+)?(?:is|was|were|has been|will be)\b"
    r"|\bwill (?:be|become)\s+(?:\w+\s+to\s+)?(?:an?\s+)?(?:optional|required|mandatory|keyword[- ]only|positional)"
    r"|\b\w+s (?:are|will be) no longer (?:accepted|supported|allowed|valid)\b"
    rf"|\b(?:that|this|the)\s+(?:fallback|default|behaviou?r|usage|way)\s+{_IS}\s+deprecated"
    r"|\b(?:omitting|leaving out|not (?:passing|giving|providing|specifying|setting))\b[^.]{0,80}"
    rf"\b{_IS}\s+deprecated"
    r"|\b(?:using|passing|specifying|giving|setting)\s+both\b",
    re.IGNORECASE,
)
"""Words at an argument that are about some of its values, or about what it will do."""
_KIND = r"(?:param(?:eter)?|arg(?:ument)?|kwarg|keyword|option)\s+"
_WHOLLY = (
    rf"(?:^\W{{{{0,9}}}}(?:v?[\d.]+\s+)?(?:the\s+|this\s+)?(?:{_KIND})?[`'\"]{{{{0,3}}}}{{name}}[`'\"]{{{{0,3}}}}\s+(?:{_KIND})?"
    rf"|[.;!?)\]]\s+this\s+{_KIND})"
    r"(?:(?:is|was|has been|will be)\s+(?:now\s+)?deprecated|will be removed)\b"
    r"(?!\s+(?:when|if|for|as an?|with|without|unless|to)\b)"
)
"""Words that call an argument deprecated, and not some of its values."""
_OTHER_SUBJECT = re.compile(
    r"(?:[\d.v]+\s+)?(?:the\s+)?[`'\"]*(?P<name>[A-Za-z_]\w*)[`'\"]*\s+"
    r"(?:(?:param(?:eter)?|arg(?:ument)?|kwarg)\s+)?(?:has been|is|was)\s+deprecated",
    re.IGNORECASE,
)
_OTHER_NAME = re.compile(
    r"(?:[\d.v]+\s+)?(?:the\s+|deprecated\s+)?(?::[\w:]+:)?`+~?(?P<name>[A-Za-z_][\w.]*)(?:\(\))?`+(?=[\s,])"
    r"(?:,?\s*(?:and\s+)?`+[\w.]+(?:\(\))?`+,?)*\s*"
    r"(?:(?:and\s+)?\S+\s+)?(?:is|are|was|were|has been|have been|will be|in favou?r|now)\b",
    re.IGNORECASE,
)
"""How the words after `.. deprecated::` begin where they are about something that has a name of its own."""
_LEAVES = re.compile(
    r"\b(?:renamed|removed|ignored|moved to|replaced|no effect|not used|unused|no longer)\b", re.IGNORECASE
)
_PASSING = re.compile(
    r"^\W*(?:\w+\s+){0,2}?(?:passing|specifying|supplying|providing|setting|giving|using)\b"
    r"|\b(?:param(?:eter)?|arg(?:ument)?|kwarg|keyword|option|flag)s?\b[^.]{0,60}\bdeprecated"
    r"|\bdeprecated\s+(?:\w+\s+)?(?:param(?:eter)?|arg(?:ument)?|kwarg|keyword|option|flag|value)s?\b",
    re.IGNORECASE,
)
_CHANGED = re.compile(r"^\.\.\s+version(?:changed|modified|removed)\s*::?\s*(?P<rest>.*)$", re.IGNORECASE)
_ENDS_OR_GOES_ON = re.compile(
    r"\W*$|\s*(?:[.,;!(]|:(?!\w))|\s+(?:in|use|since|as|by|for|and|because|with|from|this|it|to|please|method|function|class)\b"
    rf"|\s+the\s+{_THING}\b",
    re.IGNORECASE,
)
_ADMONITION = re.compile(
    r"^\.\.\s+(?:warning|note|caution|attention|important|danger|admonition)\s*::"
    r"\s*(?P<rest>.*)$",
    re.IGNORECASE,
)
_DIRECTIVE = re.compile(r"^(?P<indent>\s*)\.\.\s+(?:[a-z]+[_:-])?deprecated\s*::?\s*(?P<rest>.*)$", re.IGNORECASE)
_SECTION = re.compile(r"^(?:[#*_\s]*)deprecated(?:[*_\s]*):?(?:[*_\s]*)(?P<rest>.*)$", re.IGNORECASE)
_IS_ARGUMENT = re.compile(r"deprecated\s*:\s*(?:bool|str|int|list|dict|optional|none)\b", re.IGNORECASE)
_NUMPY_SECTION = re.compile(
    r"(?:attributes|(?:other )?parameters|returns|yields|raises|methods|examples|see also|references)\s+[-=~]{3,}",
    re.IGNORECASE,
)
_LIST = re.compile(
    r"(?:fields|messages|enums|attributes|properties|members|columns|methods|options|settings|values|keys)\s*:\s",
    re.IGNORECASE,
)
"""The heading of a list of parts, each with words of its own."""
_TAG = re.compile(r"^(?P<indent>\s*)[@:]deprecated\b:?\s*(?P<rest>.*)$", re.IGNORECASE)
_FIELD = re.compile(
    r"^\s*:(?:param|parameter|arg|argument|key|keyword|kwarg)\s+(?:[^:]*\s)?\**(?P<name>\w+)\s*:"
)
_ITEM = re.compile(r"^\s*\**(?P<name>\w+)(?:\s*,\s*\**\w+)*\s*(?:\([^)]*\)\s*:|:(?!:)|\s*$)")

_FIRST_VERSION = re.compile(r"\W*(?:version\s+)?v?(?P<v>\d{4}-\d\d-\d\d|\d+(?:\.\d+)+)")
_SINCE = re.compile(
    r"(?:\bsince|deprecat\w*\s+(?:in|as of|from|with|at)|\bas of)\s+"
    r"(?:version\s+|release\s+)?(?:[A-Z]\w+\s+)?"
    r"v?(?P<v>\d+(?:[.-]\d+)+\w*|\d{4}-\d\d-\d\d)",
    re.IGNORECASE,
)
_REMOVAL = re.compile(
    r"(?:removed|dropped|deleted|removal|gone|error)\s+(?:\w+\s+)?(?:in|by|after|with|from|on|as of)\s+"
    r"(?:\w+\s+){0,2}?"
    r"(?:[A-Z]\w+\s+)?v?(?P<v>\d+(?:[.-]\d+)+\w*|\d{4}-\d\d-\d\d)",
    re.IGNORECASE,
)
_CATEGORY_VERSION = re.compile(r"RemovedIn[A-Za-z]*?(?P<major>\d+?)(?P<minor>\d)?Warning")


class Said(NamedTuple):
    """That some words call a thing deprecated: how sure, in which words, and which argument if only that."""

    confidence: Confidence
    text: str
    parameter: str = ""
    offset: int = 0
    """Lines from the first line of the words."""


def printable(line: str) -> str:
    """A line with what would move a terminal's cursor, or cannot be encoded, written as Python would."""
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), line)


def one_line(text: str) -> str:
    """`text` in one line of at most 200 characters."""
    joined = printable(" ".join(text.split()))
    return joined if len(joined) <= _LONGEST else joined[: _LONGEST - 3] + "..."


def since_in(text: str) -> str:
    """The version or date since which the words say it is deprecated; empty if they name none."""
    match = _FIRST_VERSION.match(text) or _SINCE.search(text)
    return match.group("v") if match else ""


def removal_in(text: str) -> str:
    """The version or date of the removal that the words announce; empty if they name none."""
    match = _REMOVAL.search(text)
    if match:
        return match.group("v")
    category = _CATEGORY_VERSION.search(text)
    if category:
        return ".".join(part for part in category.groups() if part)
    return ""


def docstring_says(doc: str, name: str) -> list[Said]:
    """What a docstring says of the callable `name` and of its arguments; nothing if it calls neither
    deprecated."""
    if not SAYS_LEAVING.search(doc) and "compat" not in doc.lower():
        return []
    lines = inspect.cleandoc(doc).split("\n")
    shift = len(doc.splitlines()) - len(doc.lstrip().splitlines()) if doc.strip() else 0
    said: list[Said] = []
    for number, line in enumerate(lines):
        item = _structured(lines, number, line, name)
        if item is not None:
            said.append(item._replace(offset=number + shift))
    told = {item.parameter for item in said}
    said += [
        item._replace(offset=item.offset + shift)
        for item in _arguments_said(lines)
        if item.parameter not in told
    ]
    if not any(not item.parameter for item in said):
        prose = _in_prose(lines, name)
        if prose is not None:
            said.append(prose._replace(offset=prose.offset + shift))
    return said


def _structured(lines: list[str], number: int, line: str, name: str) -> Said | None:
    """A directive, an admonition, a tag or a section, which are about the callable unless they stand below an
    argument."""
    directive = _DIRECTIVE.match(line)
    if directive:
        return _directive(lines, number, directive, name)
    tag = _TAG.match(line)
    if tag:
        return _tag(lines, number, tag)
    if line.startswith(".."):
        return _other_directive(lines, number, line, name)
    section = None if _IS_ARGUMENT.match(line) else _SECTION.match(line)
    if section and number and not lines[number - 1].strip() and not line.startswith((" ", "\t")):
        underlined = (
            number + 1 < len(lines) and re.fullmatch(r"\s*[-=~]{3,}\s*", lines[number + 1]) is not None
        )
        if underlined or re.match(r"[#*_\s]*Deprecated[*_]*:", line, re.IGNORECASE):
            body = lines[number + 2 : number + 6] if underlined else lines[number + 1 : number + 4]
            return Said("high", one_line(section["rest"] + " " + " ".join(body)))
    return None


def _directive(lines: list[str], number: int, found: re.Match[str], name: str) -> Said | None:
    """`.. deprecated::`"""
    indent = len(found["indent"])
    text = one_line(found["rest"] + " " + " ".join(_indented_after(lines, number, indent)))
    if indent and not describes_arguments(lines, number):
        return None
    owner = _argument_above(lines, number, indent) if indent else ""
    if owner is None:
        return None
    if owner:
        other = _OTHER_SUBJECT.match(text)
        if other and other["name"] != owner and _looks_like_an_argument(other["name"]):
            owner = other["name"]  # "random_state has been deprecated, use rng", at rng
        return Said("low" if about_value(text, owner) else "high", text, owner)
    other = _OTHER_NAME.match(text)
    if other and name and not _alike(other["name"].rsplit(".", 1)[-1], name):
        return Said("low", text)
    sentence = text.partition(". ")[0]
    confidence: Confidence = "high"
    if _BY_POSITION.search(sentence):
        confidence = "low"
    elif indent or _OF_ARGUMENT.search(text[:90]) or _OF_BEHAVIOUR.match(text) or _SOMETIMES.search(sentence):
        confidence = "medium"
    return Said(confidence, text)


def _tag(lines: list[str], number: int, found: re.Match[str]) -> Said | None:
    """`@deprecated` and `:deprecated:`, also as the first words about an argument."""
    text, indent = one_line(found["rest"]), len(found["indent"])
    if not indent:
        return Said("high", text)
    owner = _argument_above(lines, number, indent)
    return None if owner is None else Said("high" if owner else "medium", text, owner)


def _alike(other: str, name: str) -> bool:
    """Whether a name that words use can be that of the thing they stand at: `gilbrat` at `gilbrat_gen`."""
    return any(other.lower() in part.lower() or part.lower() in other.lower() for part in name.split("."))


def _other_directive(lines: list[str], number: int, line: str, name: str) -> Said | None:
    """`.. versionchanged::` and boxes such as `.. warning::` that say deprecated."""
    changed = _CHANGED.match(line)
    found = changed or _ADMONITION.match(line)
    if found is None:
        return None
    text = one_line(found["rest"] + " " + " ".join(_indented_after(lines, number, 0)))
    if changed is None:
        verdict = sentence_says(text, name, first=False)
        return Said(verdict, text) if verdict is not None and verdict != "low" else None
    found = re.match(r"(?:[\w.]*\d[\w.]*)?\W*(?:deprecated|obsolete)\b", text, re.IGNORECASE)
    if found is None or any("undeprecated" in other.lower() for other in lines):
        return None
    if not _ENDS_OR_GOES_ON.match(text[found.end() :]):
        return Said("medium" if _OF_ARGUMENT.search(text[:90]) else "low", text)  # "Deprecated cursors that ..."
    return Said("medium" if _OF_ARGUMENT.search(text[:90]) else "high", text)


def _indented_after(lines: list[str], number: int, indent: int) -> list[str]:
    body = []
    for line in lines[number + 1 :]:
        if line.strip() and len(line) - len(line.lstrip()) <= indent:
            break
        body.append(line)
    return body[:6]


def _argument_above(lines: list[str], number: int, indent: int) -> str | None:
    """The argument whose description holds line `number`: the nearest line above with a smaller indent."""
    for line in reversed(lines[:number]):
        if not line.strip() or len(line) - len(line.lstrip()) >= indent:
            continue
        match = _FIELD.match(line) or _ITEM.match(line)
        if match and line.lstrip().startswith("*"):
            return None  # nobody passes an argument by the name after `**`
        return match["name"] if match else ""
    return ""


def _arguments_said(lines: list[str]) -> list[Said]:
    return [
        Said("high", one_line(text or kind), name, number)
        for name, kind, text, number in arguments_described(lines)
        if argument_is_deprecated(name, kind, text) and not about_value(text, name)
    ]


def _in_prose(lines: list[str], name: str) -> Said | None:
    paragraphs = _paragraphs(lines)
    for index, (number, text) in enumerate(paragraphs[:6]):
        if (index and (text.startswith((":", ">>>", "Args", "Param", "Kwargs:", "Keyword")) or _LIST.match(text))) or (
            _NUMPY_SECTION.match(text)
        ):
            break
        verdict = sentence_says(text, name, first=index == 0)
        if verdict is not None:
            more = next(
                (words for _, words in paragraphs[index + 1 : index + 3] if _INSTEAD.search(words)), ""
            )
            return Said(verdict, one_line(text if _INSTEAD.search(text) else f"{text} {more}"), "", number)
    return None


def _paragraphs(lines: list[str]) -> list[tuple[int, str]]:
    """(number of the first line, text) of each paragraph that is not indented."""
    found: list[tuple[int, str]] = []
    current: list[str] = []
    start = 0
    for number, line in enumerate([*lines, ""]):
        if line.strip():
            if not current:
                start = number
            current.append(line.strip())
        elif current:
            if not found or not lines[start].startswith((" ", "\t")):
                found.append((start, " ".join(current)))
            current = []
    return found


def sentence_says(text: str, name: str, *, first: bool, emitted: bool = False) -> Confidence | None:
    """How sure the words are that the callable `name`, at which they stand, is deprecated.

    `first` tells that these are the first words about it: its summary, or the comment right above it.
    `emitted` tells that it says them itself when it is called: then another name may be its own, as users know it.
    """
    shim: Confidence | None = "medium" if first and _SHIM.search(text) else None
    if SAYS_DEPRECATED.search(text) and not re.search(r"\bas deprecated\b", text, re.IGNORECASE):
        if names_itself(text, name):
            return "high"
        of_another = _OF_PARTS.search(text) or _OF_CALLING.search(text)
        if of_another:
            return "low" if of_another.re is _OF_PARTS else "medium"
        if _STARTS.search(text) or (
            first and (_DEPRECATED_NOUN.search(text) or _MARKED_END.search(text[:160]))
        ):
            # "obsolete: add a marker" may be the name of a thing, not a verdict
            return "medium" if _argument_is_subject(text) or text.startswith("obsolete") else "high"
        if re.search(rf"(?:{_IS})\s+deprecated", text, re.IGNORECASE):
            elsewhere = not first or _ELSEWHERE.search(text) or (not emitted and _of_others(text, name))
            is_low = (_argument_is_subject(text) or elsewhere) and not _of_its_part(text, name)
            return "low" if is_low else "medium"
        return shim or ("low" if first and re.search(r"\bdeprecated\b", text, re.IGNORECASE) else None)
    return shim


def _of_others(text: str, name: str) -> bool:
    """Whether all that the words call deprecated are others: "`mode` is deprecated", "but hooks are deprecated"."""
    found = [text[max(0, match.start() - _LONGEST) : match.start()] for match in _IS_DEPRECATED.finditer(text)]
    clauses = [_ENDS.split(before)[-1] for before in found]
    return bool(clauses) and all(_ASIDE.search(one) or _names_other(one, name) for one in clauses)


def _names_other(clause: str, name: str) -> bool:
    found = _CODE_NAME.search(clause)
    other = re.findall(r"\w+", found[0]) if found else []
    return bool(other) and not _alike(other[-1], name)


def names_itself(text: str, name: str) -> bool:
    """Whether the words call the callable `name` deprecated by its name, or as "this function"."""
    last = name.rsplit(".", 1)[-1]
    loud = last.upper() if len(last) > 3 else last  # noqa: PLR2004 - as commands are written
    spelled = "|".join(map(re.escape, {last, loud}))
    alike = re.escape(last.replace("_", ""))  # behind a dot another library's: "os.path.commonprefix is deprecated"
    own = rf"(?:(?<![\w.])[\w.]*\b(?:{spelled})|(?<![\w.]){alike})s?"
    named = rf"{own}\b(?:\(\))?[`*'\"]*\s+(?:\w+\s+)?{_IS}\s+(?:deprecated|DEPRECATED)"
    # Much faster than the expression.
    is_there = last and (last in text or last.replace("_", "") in text or loud in text)
    for match in re.finditer(named, text) if is_there else ():
        before = text[: match.start()]
        if not any(words.search(before) for words in (_GIVES_REASON, _PART_OF, _GIVEN_TO)):
            return True
    if not (_ABOUT_ITSELF.search(text) or _by_its_kind(text, last) or _the_thing(text, last)):
        return False
    return not _argument_is_subject(text)


def _the_thing(text: str, name: str) -> bool:
    """Whether "the function is deprecated" stands in the text, and not "the `other` function is"."""
    for match in _THE_THING.finditer(text):
        quoted = re.findall(r"[`'\"]+~?([\w.]+)", match[0])
        if not quoted or name in {one.rsplit(".", 1)[-1] for one in quoted}:
            return True
    return False


def _by_its_kind(text: str, name: str) -> bool:
    """Whether the words call "this gate" deprecated, at something whose name has "gate" in it."""
    nouns = {word.lower() for word in re.findall(r"[A-Z]?[a-z]{2,}", name)}
    return any(
        match[1].lower() in nouns and not _OF_ARGUMENT.fullmatch(match[1])
        for match in _THIS_IS.finditer(text)
    )


def _of_its_part(text: str, name: str) -> bool:
    """Whether "the Quanto backend is deprecated" stands at `QuantoQuantizer`."""
    words = set(re.findall(r"[A-Z][a-z]+", name.rsplit(".", 1)[-1]))
    return any(match[1] in words and not _OF_ARGUMENT.fullmatch(match[2]) for match in _PART_IS.finditer(text))


def about_value(text: str, name: str) -> bool:
    """Whether the words about argument `name` are about some of its values, or about what it will do."""
    text = re.sub(rf"[`'\"]+{re.escape(name)}=?[`'\"]+", name, text)
    if re.search(_WHOLLY.format(name=re.escape(name)), text, re.IGNORECASE):
        return False  # whatever is told of its values further on
    of_one = rf"[\"'`][\w.+-]{{1,40}}[\"'`]{{1,3}}\s+{re.escape(name)}\s+{_IS}\s+deprecated"  # at `format`
    return _OF_VALUE.search(text) is not None or re.search(of_one, text, re.IGNORECASE) is not None


def _looks_like_an_argument(name: str) -> bool:
    return "_" in name or name.lower() not in {
        "this",
        "it",
        "that",
        "argument",
        "parameter",
        "keyword",
        "option",
    }


def argument_leaves(text: str) -> bool:
    """Whether the words of a warning say of an argument that it goes, without calling it deprecated."""
    return _LEAVES.search(text) is not None


def about_passing(text: str) -> bool:
    """Whether the words of a warning are about an argument, a value or a way to call, and not the callable."""
    return _PASSING.search(text) is not None


def about_a_way(text: str) -> bool:
    """Whether the words of a decorator are about a way to call, "passing x as a string", and no more."""
    return _OF_CALLING.match(text) is not None


_MEMBER = r"\b(?:of|in|on|for|method|function|property|attribute|argument|parameter)s?\b"


def of_its_class(text: str, owner: str) -> bool:
    """Whether the words of a method's warning are about its class: "the GlusterFS driver is deprecated"."""
    match = re.match(rf"[\s`'\"]*(the\s+)?((?:(?!{_MEMBER})[\w -])+?)\s+{_IS}\s+deprecated", text, re.IGNORECASE)
    words = re.findall(r"\w+", match[2].lower()) if match and owner else []
    name = owner.rpartition(".")[2].lower().strip("_")
    if match and not match[1]:
        return words == [name]
    return any(
        "".join(words[start:end]) == name
        for start in range(len(words))
        for end in range(start + 1, len(words) + 1)
    )


def _argument_is_subject(text: str) -> bool:
    """Whether an argument, not the callable, is what the sentence calls deprecated."""
    position = re.search(r"deprecat|obsolete", text, re.IGNORECASE)
    if position is None:
        return False
    before = text[: position.start()]
    *earlier, sentence = re.split(r"(?<=[.!?])\s", before)
    if earlier and re.match(
        r"\W*(?:this|that|it)\s+(?:is|was|has)\b", sentence + "deprecated", re.IGNORECASE
    ):
        sentence = earlier[-1] + sentence  # "The first argument was x. This is now deprecated."
    return _OF_ARGUMENT.search(sentence + text[position.start() : position.start() + 40]) is not None


def comment_says(text: str, name: str, *, inside: bool = False) -> Confidence | None:
    """The same for a comment at a definition. Comments are read as prose, but trusted less than a docstring.

    `inside` tells that it stands in the body, where it may as well be about the statement below it.
    """
    if _CODE.match(text):
        return None
    verdict = sentence_says(text, name, first=True)
    if verdict == "high":
        plain = not inside and (_ABOUT_ITSELF.search(text) or _STARTS.search(text))
        return "high" if plain else "medium"
    if inside and not SAYS_DEPRECATED.search(text):
        return None  # "legacy clients send it" is about the statement below
    leaves = _REMOVE.search(text) or _REMOVE_BY.search(text)
    if _REMOVE_LATER.search(text) or (leaves and not inside):
        return "medium"
    return verdict
