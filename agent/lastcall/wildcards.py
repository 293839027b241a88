"""Which targets a wildcard stands for, for those who read the evidence. (Arming has its own: `patch`.)"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lastcall import targets
from lastcall.callsite import Pattern, glob_match

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lastcall.targets import Target


_REFERENCE = re.compile(r"[\w.*?:<>()=]+")


def wild(ref: str) -> bool:
    """Whether a stored reference is a wildcard. A store may hold anything: what is no reference is none."""
    return targets.wild(ref) and _REFERENCE.fullmatch(ref) is not None


def matching(pattern: str, refs: Iterable[str]) -> list[str]:
    """Those of `refs` that `pattern` covers, in their order; `*` goes over dots, too. Wildcards are none."""
    covers = re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")).fullmatch
    return [ref for ref in refs if covers(ref) and not wild(ref)]


def makes(wildcard: Target, refs: Iterable[str]) -> list[str]:
    """Those of `refs` that a wildcard of the configuration makes targets of, as it does in a process."""
    modules, names = Pattern(wildcard.module), wildcard.qualname.split(".")
    result = []
    for ref in refs:
        module, _, rest = ref.partition(":")
        qualname, _, parameter = rest.rstrip("=)").partition("(")
        parts = qualname.split(".")
        if (
            modules.matches(module)
            and len(parts) == len(names)
            and all(map(glob_match, names, parts))
            and bool(parameter) == bool(wildcard.parameter)
            and glob_match(wildcard.parameter, parameter)
        ):
            result.append(ref)
    return result
