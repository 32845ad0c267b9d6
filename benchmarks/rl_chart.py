"""The plot of benchmarks/rl.py: bars of the ratio to Stable-Baselines3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from rl_tasks import LIMIT, VARIANTS

OURS, OTHERS, INK, MUTED = "#1f6fb2", "#b9bec5", "#222222", "#6b7078"
TITLES = {"ppo": "PPO", "td3": "TD3", "dqn": "DQN"}


def draw(rows: list[dict[str, Any]], machine: dict[str, Any], file: Path) -> None:
    """Draw one panel per task.

    Args:
        rows: what was measured.
        machine: what it was measured on.
        file: a PNG or SVG to write.
    """
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    shown = [[row for row in rows if row["task"] == task] for task in tasks]
    heights = [len(panel_rows) for panel_rows in shown]
    figure = Figure(figsize=(11, 1.7 + sum(0.42 * rows + 0.7 for rows in heights)))
    figure.set_layout_engine("constrained")
    grid = figure.subplots(len(tasks), 1, squeeze=False, height_ratios=heights)
    ratios = [row["ratio_to_sb3"] for row in rows]
    low = min(1.0, *(ratio["low"] for ratio in ratios))
    high = max(ratio["high"] for ratio in ratios)
    for axes, panel_rows in zip(grid[:, 0], shown, strict=True):
        panel(axes, panel_rows)
        axes.set_xlim(low / 1.06, high * (high / low) ** 0.06)
    figure.suptitle("Training steps per CPU second, × Stable-Baselines3: right is faster", size=16)
    versions = f"torch {machine['torch']}, Stable-Baselines3 {machine['stable_baselines3']}"
    figure.supxlabel(
        f"{machine['cpu']}, one thread, {versions}. Blue: ours. Whiskers: range over the rounds.",
        size=11,
        color=MUTED,
    )
    figure.savefig(file, dpi=110)


def panel(axes: Axes, rows: list[dict[str, Any]]) -> None:
    """Draw the bars of one task, and a line where they end at the latest."""
    bars = [row for row in rows if row["runner"] != LIMIT]
    for place, row in enumerate(bars):
        ratio, rate = row["ratio_to_sb3"], row["steps_per_cpu_second"]["median"]
        middle = ratio["median"]
        color = OURS if row["runner"] in VARIANTS else OTHERS
        axes.barh(place, middle - 1, 0.72, left=1, color=color)
        if ratio["high"] > ratio["low"]:
            axes.plot([ratio["low"], ratio["high"]], [place, place], color=INK, linewidth=1.2)
        axes.annotate(
            f"{middle:.2f}×   {rate:,.0f} steps/s",
            (max(ratio["high"], 1), place),
            (6, 0),
            textcoords="offset points",
            va="center",
            size=11,
            color=INK,
        )
    for row in rows:
        if row["runner"] == LIMIT:
            limit = row["ratio_to_sb3"]["median"]
            axes.axvline(limit, color=MUTED, linestyle=(0, (4, 3)), linewidth=1.2)
            axes.annotate(
                f"environment only: {limit:.1f}×",
                (limit, 0),
                (-6, 6),
                xycoords=axes.get_xaxis_transform(),
                textcoords="offset points",
                va="bottom",
                ha="right",
                size=10,
                color=MUTED,
            )
    axes.axvline(1, color=INK, linewidth=0.8)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(base=2, numticks=12))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:.2g}×"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_yticks(range(len(bars)), [row["runner"] for row in bars], size=12)
    for label in axes.get_yticklabels():
        label.set_color(OURS if label.get_text() in VARIANTS else INK)
    axes.set_ylim(len(bars) - 0.5, -0.5)
    name = TITLES[rows[0]["task"]]
    axes.set_title(f"{name} on {rows[0]['env_id']}", size=14, loc="left")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
