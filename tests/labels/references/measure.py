"""How well `lastcall references` finds what the labels say refers to a target.

    python tests/labels/references/measure.py FOLDER     with the unpacked source distributions of libraries.json

For each library: how many of the labelled places are found (certain or possible), and how many of the places
found for certain are labelled. `libraries.json` holds the version, and for each target the lines that refer to it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from lastcall.references import search

HERE = Path(__file__).parent


def measured(root: Path, labels: dict[str, list[str]]) -> tuple[int, int, int, int, int]:
    """(labelled, of these found, of these found for certain, certain, of these labelled), in lines."""
    found = search(root, labels, exclude=["docs/*"]).references
    totals = [0, 0, 0, 0, 0]
    for target, lines in labels.items():
        mine = [item for item in found if item.target == target]
        certain = {f"{item.file}:{item.line}" for item in mine if item.certain}
        every = {f"{item.file}:{item.line}" for item in mine}
        wanted = set(lines)
        for place, number in enumerate((wanted, wanted & every, wanted & certain, certain, certain & wanted)):
            totals[place] += len(number)
    return totals[0], totals[1], totals[2], totals[3], totals[4]


def main() -> None:
    libraries = json.loads((HERE / "libraries.json").read_text())
    print("| library | targets | places | found | recall | certain | certain and right | precision |")
    print("|---|---|---|---|---|---|---|---|")
    for name, library in libraries.items():
        roots = [path for path in Path(sys.argv[1]).iterdir() if path.name.lower() == f"{name}-{library['version']}"]
        if not roots:
            print(f"| {name} {library['version']} | not in {sys.argv[1]} |")
            continue
        labels = library["references"]
        wanted, hit, _, certain, right = measured(roots[0], labels)
        print(
            f"| {name} {library['version']} | {len(labels)} | {wanted} | {hit} | {hit / wanted:.3f} "
            f"| {certain} | {right} | {right / certain:.3f} |"
        )


if __name__ == "__main__":
    main()
