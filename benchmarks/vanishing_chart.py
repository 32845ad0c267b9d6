"""The plot of benchmarks/vanishing.py: each run's gradient, over the actor's updates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from chart import INK, MUTED, OURS
from matplotlib.figure import Figure

DEAD = "#d1603d"
FLOOR = 1e-12  # where a gradient of 0 is drawn


def draw(rows: list[dict[str, Any]], file: Path) -> None:
    """Draw a panel per arm.

    Args:
        rows: the runs, as benchmarks/vanishing.py gives them.
        file: a PNG or SVG to write.
    """
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    figure = Figure(figsize=(3.2 * len(arms), 4.2), layout="constrained")
    panels = figure.subplots(1, len(arms), sharey=True, squeeze=False)[0]
    for axes, arm in zip(panels, arms, strict=True):
        runs = sorted((row for row in rows if row["arm"] == arm), key=lambda row: row["dead"])
        for row in runs:
            norms = np.maximum(row["norms"], FLOOR)
            color = DEAD if row["dead"] else OURS
            axes.plot(10 * np.arange(len(norms)), norms, color=color, linewidth=0.8, alpha=0.7)
        dead = sum(row["dead"] for row in runs)
        title = arm.replace(", ε", "\nε")
        axes.set_title(f"{title}\n{dead} of {len(runs)} dead", size=11, color=INK)
        axes.set_yscale("log")
        axes.spines[["top", "right"]].set_visible(False)
        axes.axhline(FLOOR, color=MUTED, linewidth=0.6)
    panels[0].set_ylabel("norm of the actor's gradient (lowest line: 0)", color=INK)
    figure.supxlabel("updates of the actor", size=11, color=MUTED)
    figure.savefig(file, dpi=110)
