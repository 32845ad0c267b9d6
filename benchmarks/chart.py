"""The plot of benchmarks/optimizer.py: bars of the ratio to torch's fused Adam."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from shapes import TITLES

OURS, OTHERS, INK, MUTED = "#1f6fb2", "#b9bec5", "#222222", "#6b7078"


def draw(rows: list[dict[str, Any]], machine: dict[str, Any], file: Path) -> None:
    """Draw one panel per shape.

    Args:
        rows: what was measured.
        machine: what it was measured on.
        file: a PNG or SVG to write.
    """
    shapes = list(dict.fromkeys(row["shape"] for row in rows))
    threads = sorted({row["threads"] for row in rows})
    width = min(len(shapes), 2)
    height = -(-len(shapes) // width)
    tallest = max(len([row for row in rows if row["shape"] == shape]) for shape in shapes)
    size = (8 * width, (1.3 + 0.26 * max(tallest, 14)) * height + 1.2)
    figure = Figure(figsize=size, layout="constrained")
    grid = list(figure.subplots(height, width, squeeze=False).flat)
    for axes, shape in zip(grid, shapes, strict=False):
        panel(axes, [row for row in rows if row["shape"] == shape], threads)
    for axes in grid[len(shapes) :]:
        axes.set_axis_off()
    figure.suptitle("Time of a step as a multiple of torch's fused Adam: left is faster", size=17)
    bars = ", ".join(map(str, threads))
    where = (
        f"{machine.get('gpu', machine['cpu'])}, torch {machine['torch']}, float32, threads: {bars}"
    )
    if len(threads) > 1:
        where += " (from top to bottom)"
    figure.supxlabel(where, size=12, color=MUTED)
    figure.savefig(file, dpi=110)


def panel(axes: Axes, rows: list[dict[str, Any]], threads: list[int]) -> None:
    """Draw the bars of one shape: a group per optimizer, in it a bar per number of threads."""
    names = list(dict.fromkeys(row["optimizer"] for row in rows))
    thick = 0.8 / len(threads)
    ratios = [row["ratio_to_adam_fused"] for row in rows]
    for row in rows:
        name, ratio = row["optimizer"], row["ratio_to_adam_fused"]
        turn = threads.index(row["threads"])
        place = names.index(name) + (turn - (len(threads) - 1) / 2) * thick
        color = OURS if name.startswith("AlphaGrad") else OTHERS
        faded = 1 - 0.5 * turn / len(threads)
        axes.barh(place, ratio - 1, thick * 0.92, left=1, color=color, alpha=faded)
        side, offset = ("left", 4) if ratio >= 1 else ("right", -4)
        text: dict[str, Any] = {"va": "center", "ha": side, "size": 11, "color": INK}
        axes.annotate(
            f"{ratio:.2f}", (ratio, place), (offset, 0), textcoords="offset points", **text
        )
    axes.axvline(1, color=INK, linewidth=0.8)
    axes.set_xscale("log")
    room = (max(ratios) / min(ratios)) ** 0.15  # for the numbers
    axes.set_xlim(min(ratios) / room, max(ratios) * room)
    axes.xaxis.set_major_locator(LogLocator(base=2, numticks=8))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:.2g}×"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_yticks(range(len(names)), names, size=12)
    for label in axes.get_yticklabels():
        label.set_color(OURS if label.get_text().startswith("AlphaGrad") else INK)
    axes.invert_yaxis()
    title = f"{TITLES[rows[0]['shape']]} – {rows[0]['elements']:,} parameters"
    axes.set_title(title, size=14, loc="left")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
