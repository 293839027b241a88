"""The store's JSON on an interpreter whose scanner asks for more than is known here, as 3.15's did."""

from __future__ import annotations

import runpy
from typing import TYPE_CHECKING, Any

from lastcall.store import json_text

if TYPE_CHECKING:
    import pytest


def test_where_the_scanner_asks_for_more_json_makes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def asks_for_more(meant: Any) -> Any:
        return meant.a_hook_to_come

    monkeypatch.setattr("_json.make_scanner", asks_for_more)
    loads = runpy.run_path(json_text.__file__)["loads"]
    assert loads('{"a": [1, null, "b"]}') == {"a": [1, None, "b"]}
