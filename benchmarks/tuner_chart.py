"""The plot of benchmarks/tuner.py: bars of the time that a trial and a report cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from tuner_tables import TARGETS, TITLES

OURS, OTHERS, INK, MUTED = "#1f6fb2", "#b9bec5", "#222222", "#6b7078"
NAMES = {"alphagrad": "AlphaGrad", "optuna": "plain study.optimize", "ray": "Ray Tune"}
Bar = tuple[str, dict[str, float], bool]


def draw(result: dict[str, Any], file: Path) -> None:
    """Draw a panel for trials and one for reports.

    Args:
        result: what was measured.
        file: a PNG or SVG to write.
    """
    trials = [(_name(row), row["overhead"], _is_ours(row)) for row in result["runners"]]
    reports: list[Bar] = []
    for row in result["runners"]:
        if "report" in row:
            reports.append((_name(row), row["report"], _is_ours(row)))
        if "report_median_pruner" in row:
            name = f"{_name(row)}, median pruner"
            reports.append((name, row["report_median_pruner"], True))
    figure = Figure(figsize=(11, 2.6 + 0.42 * (len(trials) + len(reports))))
    figure.set_layout_engine("constrained")
    above, below = figure.subplots(2, 1, height_ratios=[len(trials), len(reports)])
    panel(above, trials, TARGETS["overhead"])
    above.set_title("A trial that returns at once, from ask to tell", size=14, loc="left")
    panel(below, reports, TARGETS["report"])
    below.set_title("report() and should_prune()", size=14, loc="left")
    figure.suptitle("The tuner's own time in milliseconds: left is faster", size=16)
    machine = result["machine"]
    figure.supxlabel(
        f"{machine['cpu']}, {machine['cores']} cores. A process per trial for AlphaGrad, none for "
        "Optuna, reused actors for Ray. Dashed: target. Whiskers: range over the rounds.",
        size=10,
        color=MUTED,
    )
    figure.savefig(file, dpi=110)


def panel(axes: Axes, bars: list[Bar], target: float) -> None:
    """Draw bars, the range of each, and the target as a line."""
    for place, (_, seconds, ours) in enumerate(bars):
        low, middle, high = (seconds[key] * 1e3 for key in ("low", "median", "high"))
        axes.barh(place, middle, 0.72, color=OURS if ours else OTHERS)
        if high > low:
            axes.plot([low, high], [place, place], color=INK, linewidth=1.2)
        axes.annotate(
            f"{middle:.3g} ms",
            (high, place),
            (6, 0),
            textcoords="offset points",
            va="center",
            size=11,
            color=INK,
        )
    axes.axvline(target * 1e3, color=MUTED, linestyle=(0, (4, 3)), linewidth=1.2)
    axes.set_xlim(0, 1.15 * max(target * 1e3, *(bar[1]["high"] * 1e3 for bar in bars)))
    axes.set_yticks(range(len(bars)), [name for name, _, _ in bars], size=12)
    for label, (_, _, ours) in zip(axes.get_yticklabels(), bars, strict=True):
        label.set_color(OURS if ours else INK)
    axes.invert_yaxis()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _name(row: dict[str, Any]) -> str:
    name = NAMES[row["runner"]]
    return name if row["database"] is None else f"{name}, {TITLES[row['database']]}"


def _is_ours(row: dict[str, Any]) -> bool:
    return bool(row["runner"] == "alphagrad")
