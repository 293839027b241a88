"""Which targets a wildcard stands for, for those who read the evidence. (Arming has its own: `patch`.)"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lastcall import targets

if TYPE_CHECKING:
    from collections.abc import Iterable


_REFERENCE = re.compile(r"[\w.*?:<>()=]+")


def wild(ref: str) -> bool:
    """Whether a stored reference is a wildcard. A store may hold anything: what is no reference is none."""
    return targets.wild(ref) and _REFERENCE.fullmatch(ref) is not None


def matching(pattern: str, refs: Iterable[str]) -> list[str]:
    """Those of `refs` that `pattern` covers, in their order; `*` goes over dots, too. Wildcards are none."""
    covers = re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")).fullmatch
    return [ref for ref in refs if covers(ref) and not wild(ref)]
