"""A script written for pydantic 1 and never finished for pydantic 2: it still calls what 2 has deprecated.

python inventory.py PARTS.json    prints the stock value by shelf, and the parts to order
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

from pydantic import BaseModel

# What many a deployment does, and why nobody has seen the warnings.
warnings.simplefilter("ignore", DeprecationWarning)


class Part(BaseModel):
    """One kind of part on one shelf."""

    name: str
    shelf: str
    in_stock: int
    minimum: int
    price: float


class Shelf(BaseModel):
    """What a shelf is worth."""

    name: str
    value: float = 0.0


def read_parts(text: str) -> list[Part]:
    """Every part in the JSON text."""
    return [Part.parse_obj(entry) for entry in json.loads(text)]


def value_by_shelf(parts: list[Part]) -> list[Shelf]:
    """The stock's value, shelf by shelf."""
    shelves: dict[str, Shelf] = {}
    for part in parts:
        shelf = shelves.setdefault(part.shelf, Shelf(name=part.shelf))
        shelf.value += part.in_stock * part.price
    return list(shelves.values())


def to_order(parts: list[Part]) -> list[dict[str, object]]:
    """The parts of which too few are left, as plain dictionaries."""
    return [part.dict(include={"name", "in_stock"}) for part in parts if part.in_stock < part.minimum]


def main(path: str) -> None:
    """Print the two lists."""
    parts = read_parts(Path(path).read_text(encoding="utf-8"))
    for shelf in value_by_shelf(parts):
        print(shelf.json())
    for entry in to_order(parts):
        print("order:", entry)


if __name__ == "__main__":
    main(sys.argv[1])
