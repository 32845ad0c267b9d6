"""The report's section on the theorems: the measured rates beside the bounds, drawn."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from alphagrad.paper.figures import OURS, PALETTE, STYLE, save
from alphagrad.paper.markdown import picture, table
from alphagrad.paper.theory import FUNCTIONS, Rate, descend

ALPHAS = (0.5, 2.0, 20.0)
VARIABLES = 50
STEPS = 3_000
FILE = "theory.svg"


def theory_section(pictures: Path) -> str:
    """Measures, draws, and says how far the bounds are from what is measured."""
    found = {
        (function.name, alpha): descend(function, alpha=alpha, n=VARIABLES, steps=STEPS)
        for function in FUNCTIONS
        for alpha in ALPHAS
    }
    _draw(found, pictures / FILE)
    rows = []
    for function in FUNCTIONS:
        for alpha in ALPHAS:
            rate = found[function.name, alpha]
            holds = "yes" if (rate.measured <= rate.bound).all() else "NO"
            last = [f"{rate.measured[-1]:.3g}", f"{rate.bound[-1]:.3g}"]
            slack = f"{rate.bound[-1] / rate.measured[-1]:.0f} ×"
            theorem = "1" if function.kind == "convex" else "2"
            rows.append([theorem, function.name, f"{alpha:g}", *last, slack, holds])
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
        "‖g‖²/(‖g‖+ε) of the others (theorem 2)."
    )
    return "\n\n".join([about, picture("Measured rates and bounds", FILE), table(titles, rows)])


def _draw(found: dict[tuple[str, float], Rate], path: Path) -> None:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, 7), layout="constrained")
        for axes, function in zip(figure.subplots(2, 2).flatten(), FUNCTIONS, strict=True):
            for place, alpha in enumerate(ALPHAS):
                rate = found[function.name, alpha]
                took = range(1, len(rate.measured) + 1)
                color = PALETTE[place]
                axes.plot(took, rate.measured, color=color, label=f"α = {alpha:g}")
                axes.plot(took, rate.bound, color=color, ls="--", lw=1)
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_title(f"{function.name} ({function.kind})", loc="left")
            axes.set_xlabel("steps T")
            axes.set_ylabel("average regret" if function.kind == "convex" else "least ‖g‖²/(‖g‖+ε)")
            axes.plot([], [], color=OURS, ls="--", lw=1, label="bounds")
            axes.legend(fontsize=8)
        save(figure, path)
