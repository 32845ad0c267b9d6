"""The figures of the report, as SVG files that are the same byte for byte for the same results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import bootstrap

from alphagrad.paper.arms import ArmResult
from alphagrad.paper.measures import Measure, steepness
from alphagrad.paper.statistics import Estimate, estimate, iqm

INK, MUTED, OURS, ADAM = "#222222", "#6b7078", "#1f6fb2", "#c4501b"
PALETTE = (OURS, "#2a9d5c", "#8a5fbf", "#c9a227", "#4bb3c4", "#d16ba5", "#7d6b5d", "#98a84a")
BAND_RESAMPLES = 500
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "alphagrad",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "grid.color": "#e8eaed",
    "legend.frameon": False,
}


def save(figure: Figure, path: Path) -> None:
    """Writes an SVG without what differs from one call to the next."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def learning_curves(panels: dict[str, Sequence[ArmResult]], path: Path) -> None:
    """Draws the interquartile mean of evaluations over the training, a panel for each group.

    Args:
        panels: arms by title.
        path: the SVG file.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.2 * len(panels), 4.6), layout="constrained")
        grid = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
        for axes, (title, arms) in zip(grid, panels.items(), strict=True):
            drawn: set[str] = set()
            for place, arm in enumerate(arms):
                steps, returns = arm.returns
                color = colour(arm, place)
                look = {"color": color, "ls": "--" if color in drawn else "-", "lw": 1.6}
                drawn.add(color)
                axes.plot(steps / 1e3, iqm(returns, axis=0), label=name_and_runs(arm), **look)
                if len(returns) > 1:
                    low, high = _band(returns)
                    axes.fill_between(steps / 1e3, low, high, color=color, alpha=0.15, lw=0)
            axes.set_title(title, loc="left")
            axes.set_xlabel("thousand steps")
            axes.legend(fontsize=8, loc="best")
        grid[0].set_ylabel("return without noise")
        save(figure, path)


def scores(arms: Sequence[ArmResult], path: Path) -> None:
    """Draws each arm's runs as dots, their interquartile mean, and its interval."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 1.2 + 0.36 * len(arms)), layout="constrained")
        axes = figure.subplots()
        for place, arm in enumerate(arms):
            values = arm.values
            color = ADAM if arm.params.get("optimizer") == "adam" else OURS
            spread = np.linspace(-0.22, 0.22, len(values)) if len(values) > 1 else np.zeros(1)
            axes.plot(values, place + spread, "o", ms=3.2, color=color, alpha=0.35, mew=0)
            if len(values):
                found = estimate(iqm, values)
                _interval(axes, place, found, color)
        axes.set_yticks(range(len(arms)), [name_and_runs(arm) for arm in arms])
        axes.invert_yaxis()
        axes.set_xlabel("value of a run; bar: interquartile mean and its 95 % interval")
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        save(figure, path)


def saturation_maps(arms: Sequence[ArmResult], path: Path) -> None:
    """Draws the saturation of each layer over the training, averaged over the runs of an arm.

    It is blank where it was not told in each of them, of gradients below ε.
    """
    with mpl.rc_context(STYLE | {"axes.grid": False}):
        across = min(3, len(arms))
        down = -(-len(arms) // across)
        height = 0.9 + 0.19 * max(len(arm.layers) for arm in arms)
        figure = Figure(figsize=(4.2 * across + 1, height * down + 0.6), layout="constrained")
        grid = figure.subplots(down, across, squeeze=False, sharex=True).flatten()
        image: Any = None
        for axes, arm in zip(grid, arms, strict=False):
            steps, table = saturation_table(arm)
            begin = steps[0] - (steps[1] - steps[0] if len(steps) > 1 else steps[0])
            image = axes.imshow(
                table,
                aspect="auto",
                cmap="magma",
                vmin=0,
                vmax=0.5,
                interpolation="nearest",
                extent=(begin / 1e3, steps[-1] / 1e3, len(table) - 0.5, -0.5),
            )
            axes.set_yticks(range(len(table)), arm.layers, fontsize=7)
            axes.set_title(name_and_runs(arm), loc="left", fontsize=9)
        for axes in grid[len(arms) :]:
            axes.set_axis_off()
        for axes in grid[max(len(arms) - across, 0) : len(arms)]:
            axes.set_xlabel("thousand steps")
        figure.colorbar(image, ax=grid.tolist(), label="saturation S", extend="max", shrink=0.8)
        save(figure, path)


def against(
    groups: Mapping[str, Sequence[ArmResult]], measure: Measure, name: str, path: Path
) -> None:
    """Draws each run's value over something else that was measured of it, on a scale of powers.

    Args:
        groups: arms by what the legend calls them; a dot for each of their runs.
        measure: what is positive in each run.
        name: what the axis calls it.
        path: the SVG file.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 4.6), layout="constrained")
        axes = figure.subplots()
        for color, (label, arms) in zip(
            (MUTED, PALETTE[1], OURS, ADAM), groups.items(), strict=True
        ):
            x = np.concatenate([measure(arm) for arm in arms])
            y = np.concatenate([arm.values for arm in arms])
            axes.plot(x, y, "o", ms=4.5, color=color, alpha=0.5, mew=0, label=label)
        axes.set_xscale("log")
        axes.set_xlabel(name)
        axes.set_ylabel("value of a run")
        axes.legend(loc="upper right")
        save(figure, path)


def steepness_lines(arms: Sequence[ArmResult], sizes: Mapping[str, int], path: Path) -> None:
    """Draws k = α/√d of each layer over the training, the median of an arm's runs.

    Args:
        arms: a panel for each.
        sizes: the entries d of each layer that is drawn.
        path: the SVG file.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.0 * len(arms) + 1.6, 3.6), layout="constrained")
        grid = figure.subplots(1, len(arms), squeeze=False, sharey=True)[0]
        for axes, arm in zip(grid, arms, strict=True):
            for place, (layer, size) in enumerate(sizes.items()):
                again, nth = divmod(place, len(PALETTE))
                look = {"color": PALETTE[nth], "ls": "--" if again else "-", "lw": 1.6}
                steps, k = steepness(arm, layer, size)
                axes.plot(steps / 1e3, k, label=layer, **look)
            axes.set_yscale("log")
            axes.set_title(name_and_runs(arm), loc="left", fontsize=9)
            axes.set_xlabel("thousand steps")
        grid[0].set_ylabel("k = α / √d")
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right center", fontsize=8)
        save(figure, path)


def colour(arm: ArmResult, place: int) -> str:
    """Adam's own colour, or one of the palette."""
    if arm.params.get("optimizer") == "adam":
        return ADAM
    return PALETTE[place % len(PALETTE)]


def name_and_runs(arm: ArmResult) -> str:
    """An arm's label with the number of its runs."""
    return f"{arm.label} ({len(arm.values)})"


def _interval(axes: Axes, place: int, found: Estimate, color: str) -> None:
    if np.isfinite(found.low):
        axes.plot([found.low, found.high], [place, place], color=color, lw=2.2)
    axes.plot([found.value] * 2, [place - 0.3, place + 0.3], color=color, lw=2.2)


def _band(returns: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    found = bootstrap(
        (returns,),
        iqm,
        axis=0,
        n_resamples=BAND_RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return found.low, found.high


def saturation_table(arm: ArmResult) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Steps, and the mean over runs: (layers, steps); NaN where it was not told in each run."""
    found = [arm.series(f"saturation/{layer}") for layer in arm.layers]
    steps = np.unique(np.concatenate([at for at, _ in found]))
    rows = np.full((len(found), len(steps)), np.nan)
    for row, (at, values) in zip(rows, found, strict=True):
        row[np.searchsorted(steps, at)] = values.mean(0)
    return steps, rows
