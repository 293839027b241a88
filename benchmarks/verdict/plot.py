"""Draws what `run.py --save FILE` kept: stated risk against what happened. Needs matplotlib.

python benchmarks/verdict/plot.py FILE docs/img/verdict-calibration.svg
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

FLOOR = 2e-4
"""Where a frequency of zero is drawn on the logarithmic axes."""


def draw(rows: list, out: Path) -> None:
    """Each bucket of stated risk: the interval it stated (grey), what happened with its own interval (points)."""
    figure, axes = plt.subplots(figsize=(6.4, 4.8))
    axes.plot([FLOOR, 1], [FLOOR, 1], color="#999999", linewidth=1, linestyle="--", label="as stated")
    for number, (_, count, stated, span, seen, own, _) in enumerate(rows):
        x = max(stated, FLOOR)
        axes.plot(
            [x, x],
            [max(span[0], FLOOR), max(span[1], FLOOR)],
            color="#bbbbbb",
            linewidth=9,
            solid_capstyle="butt",
            label=None if number else "interval the verdicts stated",
        )
        axes.errorbar(
            [x],
            [max(seen, FLOOR)],
            yerr=[[max(seen, FLOOR) - max(own[0], FLOOR)], [max(own[1] - max(seen, FLOOR), 0)]],
            color="#1f5fa8",
            marker="o",
            markersize=5,
            capsize=3,
            label=None if number else "followed by a use, 95 %",
        )
        axes.annotate(
            str(count),
            (x, max(own[1], FLOOR)),
            textcoords="offset points",
            xytext=(0, 5),
            ha="center",
            fontsize=7,
        )
    axes.axvline(0.01, color="#c0392b", linewidth=1)
    axes.text(0.0108, FLOOR * 1.3, "limit of safe", color="#c0392b", fontsize=8)
    axes.set(xscale="log", yscale="log", xlim=(FLOOR, 1.3), ylim=(FLOOR, 1.6))
    axes.set_xlabel("stated risk of a use within the next window")
    axes.set_ylabel("share followed by a use")
    axes.set_title("Simulated fleets: stated risk against what happened (numbers: verdicts)", fontsize=9)
    axes.legend(loc="upper left", fontsize=8, frameon=False)
    figure.tight_layout()
    out.parent.mkdir(parents=True, exist_ok=True)
    mpl.rcParams["svg.hashsalt"] = "lastcall"  # the same figures give the same file
    figure.savefig(out, metadata={"Date": None} if out.suffix == ".svg" else None)


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text())["calibration"], Path(sys.argv[2]))
