"""The report as JSON text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lastcall.report import Document


def pieces(document: Document) -> Iterator[str]:
    """The text, in pieces: one line a target, a call site and so on, for `grep`, `diff` and large stores.

    Only ASCII, so that it survives any terminal and any locale.
    """
    yield "{"
    for number, (key, value) in enumerate(document.items()):
        yield f"{',' if number else ''}\n {json.dumps(key)}: "
        if isinstance(value, list) and value:
            yield "["
            for i, entry in enumerate(value):
                yield f"{',' if i else ''}\n  {json.dumps(entry)}"
            yield "\n ]"
        else:
            yield json.dumps(value)
    yield "\n}\n"
