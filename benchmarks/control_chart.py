"""The plot of benchmarks/saturation_control.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from chart import INK, MUTED, OURS
from control_experiments import COUNTS, SWITCHES, D, Row, find, sensitivity
from control_heat import heat, sweep
from control_rules import BAND, RULES
from control_runs import Trace, start_alpha
from control_tables import TITLES
from gradients import GRADIENTS
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

COLORS = {"ours": OURS, "dynag": "#d1603d", "multiplicative": "#8d939b", "exact": "#3f9b5f"}
SHADE = "#f6e7b4"
Traces = Mapping[tuple[str, str, int], dict[str, Trace]]


def draw(rows: Sequence[Row], traces: Traces, file: Path) -> None:
    """Draw everything.

    Args:
        rows: every figure.
        traces: of the experiments "response" and "switch".
        file: a PNG or SVG to write.
    """
    figure = Figure(figsize=(17, 28), layout="constrained")
    top, middle, bottom = figure.subfigures(3, 1, height_ratios=(12, 5.5, 10))
    responses(top, traces)
    heat(middle, rows)
    places = [["switch"] * 12, ["d"] * 4 + ["dense"] * 4 + ["few"] * 4]
    places += [["a"] * 3 + ["b"] * 3 + ["c"] * 3 + ["e"] * 3]
    rest = bottom.subplot_mosaic(places)
    switch(rest["switch"], next(trace for key, trace in traces.items() if key[0] == "switch"))
    sizes(rest["d"], rows)
    counts(rest["dense"], rows, "student3", lowest=0.9)
    counts(rest["few"], rows, "sparse10", lowest=0.0)
    sweep([rest[name] for name in "abce"], sensitivity(rows))
    figure.savefig(file, dpi=90)


def line(axes: Axes, rule: str, values: np.ndarray, first: int = 1) -> None:
    """Draw what a rule did, over steps."""
    width, z = (2.6, 3) if rule == "ours" else (1.5, 2)
    steps = np.arange(first, first + len(values))
    axes.plot(steps, values, color=COLORS[rule], linewidth=width, zorder=z)


def saturation_axis(axes: Axes) -> None:
    """S on an axis of square roots, which shows the band and both ends; the band shaded."""
    axes.axhspan(BAND.low, BAND.high, color=SHADE, zorder=0)
    axes.set_yscale("function", functions=(lambda s: np.sqrt(np.maximum(s, 0)), np.square))
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_locator(FixedLocator([0, 0.05, 0.25, 0.5, 1]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda s, _: f"{s:g}"))
    plain(axes)


def plain(axes: Axes) -> None:
    """Take the frame away, and make the numbers readable."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=12)


def responses(figure: SubFigure, traces: Traces) -> None:
    """S and α per distribution, both starts in one panel, one seed."""
    figure.suptitle(
        f"Step responses from an α 30× too high and 30× too low (one tensor of {D} entries, "
        "one seed; the band is shaded)",
        size=16,
        x=0.01,
        ha="left",
    )
    grid = figure.subplots(4, 4, sharex=True)
    shown = {key[1]: trace for key, trace in traces.items() if key[0] == "response"}
    for i, gradient in enumerate(GRADIENTS):
        above, below = grid[i // 4 * 2, i % 4], grid[i // 4 * 2 + 1, i % 4]
        above.set_title(GRADIENTS[gradient].title, size=15, loc="left")
        saturation_axis(above)
        for rule, trace in shown[gradient].items():
            goal = start_alpha("match", gradient, D, RULES[rule].tau)
            for start in ("high", "low"):
                run = trace.of(start)
                line(above, rule, run.s[:, 0].numpy())
                line(below, rule, run.alpha[:, 0].numpy() / goal)
        ratio_axis(below, top=10 if gradient == "tiny97" else 2)
        if i % 4 == 0:
            above.set_ylabel("S", size=14)
            below.set_ylabel("α / matching α", size=14)
    legend(grid[2, 3])
    grid[3, 3].set_axis_off()
    for axes in (*grid[3, :3], grid[1, 3]):
        axes.set_xlabel("step", size=13)
        axes.tick_params(labelbottom=True)


def ratio_axis(axes: Axes, top: int) -> None:
    """α over the matching α, and steps, both logarithmic; ``top`` is the last power of ten."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(1 / 60, 2 * 10**top)
    axes.axhline(1, color=MUTED, linewidth=0.8, zorder=1)
    names = {1 / 30: "1/30", 1: "1", 30: "30", 1e4: "10⁴", 1e7: "10⁷", 1e10: "10¹⁰"}
    axes.set_yticks([y for y in names if y <= 10**top])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: names.get(y, "")))
    axes.xaxis.set_major_locator(FixedLocator([1, 3, 10, 30, 100, 300]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    plain(axes)


def legend(axes: Axes) -> None:
    """Name the rules, where a panel is free."""
    axes.set_axis_off()
    lines = [Line2D([], [], color=COLORS[rule], linewidth=3) for rule in RULES]
    names = [TITLES[rule] for rule in RULES]
    axes.legend(lines, names, loc="upper left", fontsize=14, frameon=False)


def switch(axes: Axes, traces: Mapping[str, Trace]) -> None:
    """S while the distribution changes."""
    each = len(traces["ours"].s) // len(SWITCHES)
    title = f"S when the distribution switches every {each} steps"
    axes.set_title(title, size=15, loc="left", pad=26)
    saturation_axis(axes)
    for rule in sorted(traces, key=lambda rule: rule == "ours"):
        line(axes, rule, traces[rule].s[:, 0].numpy())
    for i, name in enumerate(SWITCHES):
        axes.axvline(i * each, color=MUTED, linewidth=0.8)
        axes.text((i + 0.5) * each, 1.05, GRADIENTS[name].title, ha="center", size=13, color=INK)
    axes.set_xlim(0, each * len(SWITCHES))
    axes.set_xlabel("step", size=13)
    axes.set_ylabel("S", size=14)


def sizes(axes: Axes, rows: Sequence[Row]) -> None:
    """Share in band over d, from the rule's own start."""
    axes.set_title("Share of steps in band, Gaussian", size=15, loc="left")
    for rule in RULES:
        mine = find(rows, experiment="sizes", rule=rule, gradient="gaussian", start="own")
        share = [row["share_after_settling"]["median"] for row in mine]
        width, z = (2.6, 3) if rule == "ours" else (1.5, 2)
        d = [row["d"] for row in mine]
        axes.plot(d, share, "o-", color=COLORS[rule], linewidth=width, zorder=z, markersize=5)
    axes.set_xscale("log")
    share_axis(axes, 0.0)


def counts(axes: Axes, rows: Sequence[Row], gradient: str, lowest: float) -> None:
    """Share in band over small d, from ``lowest`` to 1: ours, and the best α held."""
    title = f"Share, own S, {GRADIENTS[gradient].title}"
    axes.set_title(title, size=15, loc="left")
    for rule, color in (("ours", OURS), ("held", INK)):
        mine = find(rows, experiment="counts", rule=rule, gradient=gradient)
        share = [row["share"]["median"] for row in mine]
        axes.plot([row["d"] for row in mine], share, "o-", color=color, label=TITLES[rule])
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(list(COUNTS)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.legend(fontsize=12, frameon=False, loc="lower right")
    share_axis(axes, lowest)


def share_axis(axes: Axes, lowest: float) -> None:
    """A share from ``lowest`` to 1, over d."""
    axes.set_ylim(lowest, 1 + 0.03 * (1 - lowest))
    axes.set_xlabel("d, entries of the layer", size=13)
    axes.grid(axis="y", color="#e4e6e9")
    plain(axes)
