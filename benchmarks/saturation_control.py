"""How well rules for α hold saturation in its band, on random gradients of known distributions.

    python benchmarks/saturation_control.py [--quick] [--json FILE] [--plot FILE]

Compared are SaturationScheduler with its defaults but the paper's τ (α and τ scale together, so the
law is the same with any); DynAG's rule (the paper author's later
optimizer, with its own τ = 1.25, by which its S is counted here too); α ± 2 % a step toward the
band; and the exact quantile of each step's own gradient, which costs a quantile a step. All act on
the real AlphaGrad, with learning rate 0, on the same gradients.

S is the share of non-zero entries with |α·g̃| > τ, and the band is [0.05, 0.25]. Figures are
medians over seeds, with the worst seed in brackets: settling, the first step from which S stays in
the band for 20 steps; the share of steps in the band; jitter, the standard deviation of log α after
settling (in the second half of a run that never settles).
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from control_experiments import SIZES, D, Row, claims, experiments, find, sensitivity
from control_figures import STAY, rows
from control_rules import BAND, TAU
from control_runs import Trace, start_alpha
from control_tables import claimed, comparison, listing, swept
from gradients import GRADIENTS
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

INSTALL = "install it with: pip install -e '.[bench]'"
Traces = dict[tuple[str, str, int], dict[str, Trace]]


def measure(quick: bool, console: Console) -> tuple[list[Row], Traces]:
    """Run every experiment.

    Returns:
        The rows of figures; and the traces per experiment, first gradient and size.
    """
    every: list[Row] = []
    kept: Traces = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        for name, jobs in experiments(quick).items():
            total = sum(steps for job in jobs for _, steps in job.plan)
            task = progress.add_task(f"{name}, steps", total=total)
            for job in jobs:
                traces = job.run(lambda task=task: progress.advance(task))
                every += rows(name, job, traces)
                if name in ("response", "switch"):
                    kept[name, job.plan[0][0], max(job.sizes.values())] = traces
    return every, kept


def settings() -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "band": [BAND.low, BAND.high],
        "tau": TAU,
        "stay": STAY,
        "versions": {
            "alphagrad": version("alphagrad"),
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    }


def matching(quick: bool) -> list[Row]:
    """The k = α/√d that has S in the band's middle, per gradient and size."""
    sizes = [d for d in SIZES if d >= 100 and not (quick and d > 10_000)]
    return [
        {"gradient": name, "d": d, "k": start_alpha("match", name, d, TAU) / d**0.5}
        for name in GRADIENTS
        for d in sizes
        if name != "tiny97"
    ]


def show(every: Sequence[Row], console: Console) -> None:
    """Print the tables."""
    long = find(every, experiment="stationary") + find(every, experiment="response")
    console.print(comparison(f"Steps to settle, and the long run; d = {D}", long, "gradient"))
    sizes = find(every, experiment="sizes", gradient="gaussian")
    console.print(comparison("Sizes, Gaussian", sizes, "d"))
    columns = {
        "switch": ("The distribution switches", ("gradient", "rule")),
        "pin": ("3 % of the entries carry everything, then all do", ("gradient", "rule")),
        "model": (f"A weight of {D} and a bias of 64", ("gradient", "start", "rule")),
        "counts": ("Small layers, each by its own S", ("d", "gradient", "rule")),
    }
    for name, (title, keys) in columns.items():
        console.print(listing(title, find(every, experiment=name), *keys))
    pooled = find(every, experiment="pooling", start="bias")
    title = f"A weight of {D} and a small bias, which follows the S of both or its own"
    console.print(listing(title, pooled, "d", "gradient", "rule"))
    console.print(swept(sensitivity(every)))
    console.print(claimed(claims(every)))


def main() -> None:
    """Measure, print tables, write what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few seeds, steps and sizes")
    parser.add_argument("--json", type=Path, help="write every figure here")
    parser.add_argument("--plot", type=Path, help="draw the figures here, as PNG or SVG")
    options = parser.parse_args()
    if options.plot and find_spec("matplotlib") is None:
        parser.error(f"--plot needs matplotlib; {INSTALL}")
    torch.set_num_threads(1)
    console = Console()
    every, traces = measure(options.quick, console)
    show(every, console)
    if options.json:
        result = settings() | {
            "claims": claims(every),
            "matching_k": matching(options.quick),
            "sensitivity": sensitivity(every),
            "rows": [row for row in every if row["experiment"] != "sweep"],
        }
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if options.plot:
        from control_chart import draw

        draw(every, traces, options.plot)


if __name__ == "__main__":
    main()
