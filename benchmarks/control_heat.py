"""Panels of coloured numbers for the plot of benchmarks/saturation_control.py."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from chart import INK, OURS
from control_experiments import Row, find
from control_rules import GAINS, MAX_LOG_STEPS, RULES, WIDTHS
from control_tables import TITLES
from gradients import GRADIENTS
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import SubFigure
from matplotlib.patches import Rectangle

GOOD_TO_BAD = LinearSegmentedColormap.from_list("cost", ["#ffffff", "#f6d9a8", "#d1603d"])


def cells(
    axes: Axes,
    values: Sequence[Sequence[float | None]],
    costs: tuple[float, float],
    form: str,
    names: tuple[Sequence[Any], Sequence[Any]],
) -> None:
    """Draw a table of numbers, the worse the redder.

    Args:
        axes: where.
        values: the numbers, None for never and NaN for not measured.
        costs: the best and the worst; on a logarithmic scale when they are steps.
        form: how a number is written.
        names: of the rows and of the columns.
    """
    best, worst = costs
    scale = math.log if worst > 1 else float
    span = scale(worst) - scale(best)
    shades = [
        [1.0 if v is None else (scale(v) - scale(best)) / span for v in row] for row in values
    ]
    axes.imshow(np.clip(shades, 0, 1), cmap=GOOD_TO_BAD, vmin=0, vmax=1, aspect="auto")
    for y, row in enumerate(values):
        for x, value in enumerate(row):
            text = "never" if value is None else "" if math.isnan(value) else format(value, form)
            axes.text(x, y, text, ha="center", va="center", size=13, color=INK)
    for set_ticks, labels in zip((axes.set_yticks, axes.set_xticks), names, strict=True):
        set_ticks(range(len(labels)), labels, size=13)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def heat(figure: SubFigure, rows: Sequence[Row]) -> None:
    """Settling, share and jitter, per rule and distribution."""
    titles = [gradient.title.replace("Student-", "") for gradient in GRADIENTS.values()]
    titles = [title.replace(" non-zero", "\nnon-zero") for title in titles]
    steps, long = {"experiment": "response"}, {"experiment": "stationary"}
    panels: list[tuple[str, str, Row, tuple[float, float], str]] = [
        ("Steps to settle from 30× too high", "settling", steps | {"start": "high"}, (5, 300), "g"),
        ("Steps to settle from 30× too low", "settling", steps | {"start": "low"}, (5, 300), "g"),
        ("Share of steps in band, from the rule's own start", "share", long, (1.0, 0.5), ".3f"),
        ("Jitter: deviation of log α after settling", "jitter", long, (0.0, 0.3), ".3f"),
    ]
    grid = figure.subplots(2, 2, height_ratios=(4, 5))
    for axes, (title, name, known, costs, form) in zip(grid.flat, panels, strict=True):
        rules = [*RULES, "held"] if known == long else [*RULES]
        # The first is from the rule's own start.
        values = [
            [find(rows, rule=rule, gradient=g, **known)[0][name]["median"] for g in GRADIENTS]
            for rule in rules
        ]
        cells(axes, values, costs, form, ([TITLES[rule] for rule in rules], titles))
        axes.set_title(title, size=15, loc="left")
        axes.get_yticklabels()[0].set_color(OURS)


def sweep(grid: Sequence[Axes], rows: Sequence[Row]) -> None:
    """How the figures depend on gain, largest step and inner band; the defaults are framed.

    Args:
        grid: four panels.
        rows: of ``sensitivity``.
    """
    by_step = {"rows": ("max_log_step", MAX_LOG_STEPS, 0.5), "fixed": {"width": 0.5}}
    by_width = {"rows": ("width", WIDTHS, 0.5), "fixed": {"max_log_step": 0.5}}
    panels: list[tuple[str, str, dict[str, Any], tuple[float, float], str]] = [
        ("Sweep: steps from 30× high", "settling_high", by_step, (5, 100), "g"),
        ("Sweep: steps from 30× low", "settling_low", by_step, (5, 100), "g"),
        ("Sweep: share in band", "share_after_settling", by_step, (1.0, 0.9), ".3f"),
        ("Sweep: share, t(1.5)", "heavy", by_width, (1.0, 0.5), ".3f"),
    ]
    for axes, (title, name, layout, costs, form) in zip(grid, panels, strict=True):
        key, choices, default = layout["rows"]
        values: list[list[float | None]] = []
        for choice in choices:
            found = [find(rows, gain=gain, **{key: choice}, **layout["fixed"]) for gain in GAINS]
            values.append([value_of(row[0], name) if row else math.nan for row in found])
        names = [f"{choice:g}" for choice in choices], [f"{gain:g}" for gain in GAINS]
        cells(axes, values, costs, form, names)
        axes.set_title(title, size=15, loc="left")
        place = GAINS.index(2.0) - 0.5, choices.index(default) - 0.5
        axes.add_patch(Rectangle(place, 1, 1, fill=False, edgecolor=OURS, linewidth=2.5))
        axes.set_ylabel(key if key != "width" else "width of the inner band", size=13)
        axes.set_xlabel("gain", size=13)


def value_of(row: Row, name: str) -> float | None:
    """A figure of the sweep; of the heavy tails, their share in band."""
    value: float | None = row[name]["share_after_settling"] if name == "heavy" else row[name]
    return value
