"""The report's section on the theorems: the measured rates beside the bounds, drawn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from alphagrad.paper.figures import OURS, PALETTE, STYLE, save
from alphagrad.paper.markdown import picture, table
from alphagrad.paper.theory import FUNCTIONS, STEPS, VARIABLES

FILE = "theory.svg"


def theory_section(file: Path, pictures: Path) -> str:
    """Draws what was measured, and says how far the bounds are from it.

    Args:
        file: what :func:`~alphagrad.paper.theory.measure` wrote.
        pictures: the folder for the figure.
    """
    rates = json.loads(file.read_text(encoding="utf-8"))
    _draw(rates, pictures / FILE)
    rows = []
    for rate in rates:
        last, limit = rate["measured"][-1], rate["bound"][-1]
        rows.append(
            [
                "1" if rate["kind"] == "convex" else "2",
                rate["function"],
                f"{rate['alpha']:g}",
                f"{last:.3g}",
                f"{limit:.3g}",
                f"{limit / last:.0f} ×",
                "yes" if rate["holds"] else "**no**",
            ]
        )
    titles = [
        "theorem",
        "function",
        "α",
        "measured",
        "bound",
        "bound ÷ measured",
        "holds at each T",
    ]
    about = (
        f"AlphaGrad without momentum on {VARIABLES} variables, η = √(2·f(x₁)/(L·n·T)) for "
        f"T = {STEPS:,}: the average regret of convex functions (theorem 1), the least "
        "‖g‖²/(‖g‖+ε) of the others (theorem 2). Lemmas 1 and 2 are property tests in tests/optim."
    )
    return "\n\n".join([about, picture("Measured rates and bounds", FILE), table(titles, rows)])


def _draw(rates: Sequence[dict[str, Any]], path: Path) -> None:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, 7), layout="constrained")
        for axes, function in zip(figure.subplots(2, 2).flatten(), FUNCTIONS, strict=True):
            mine = [rate for rate in rates if rate["function"] == function.name]
            for place, rate in enumerate(mine):
                label = f"α = {rate['alpha']:g}"
                axes.plot(rate["steps"], rate["measured"], color=PALETTE[place], label=label)
                axes.plot(rate["steps"], rate["bound"], color=PALETTE[place], ls="--", lw=1)
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_title(f"{function.name} ({function.kind})", loc="left")
            axes.set_xlabel("steps T")
            axes.set_ylabel("average regret" if function.kind == "convex" else "least ‖g‖²/(‖g‖+ε)")
            axes.plot([], [], color=OURS, ls="--", lw=1, label="bounds")
            axes.legend(fontsize=8)
        save(figure, path)
