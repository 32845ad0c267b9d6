"""Our tasks against Stable-Baselines3 and CleanRL at the same hyperparameters, in one run.

    python benchmarks/rl.py [--tasks ppo td3 dqn] [--rounds 5] [--quick] [--cleanrl DIR]
                            [--json FILE] [--plot FILE]

The hyperparameters are CleanRL's. Everything has one thread, and takes turns within each round.
Timed are only steps in which learning happens (rl_clock.py says how), without evaluations and
checkpoints, by CPU time; the time that passed stands beside it. Shown are medians over the rounds,
the ratio to Stable-Baselines3 and its range over the rounds. "Environment only" is the same
environment with random actions: no training can be faster.

Measured too: PPO's agents side by side against the same in turn; two processes against one, with
one thread each and with as many as numpy and torch take by default (TD3), beside two empty loops
against one, which say what the machine can give; the start of a trial, from its process's fork to
its first step (Linux); TD3 with OpenBLAS's kernels for Haswell.

CleanRL's scripts run as they are in DIR, with this Python; they need tyro.
"""

from __future__ import annotations

import argparse
import json
import os
import warnings
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

INSTALL = "install it with: pip install -e '.[bench,integrations]'"
FIGURES = Path(__file__).parent.parent / "docs" / "figures"
NAMES = ["ppo", "td3", "dqn"]


def main() -> None:
    """Measure, print tables, write what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="short trainings: a look, no figures")
    parser.add_argument("--cleanrl", type=Path, metavar="DIR", help="a checkout of CleanRL")
    parser.add_argument("--json", type=Path, default=FIGURES / "rl.json")
    parser.add_argument("--plot", type=Path, default=FIGURES / "rl.png", help="PNG or SVG")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds must be at least 1, got {options.rounds}")
    for module in ("matplotlib", "stable_baselines3"):
        if find_spec(module) is None:
            parser.error(f"{module} is not here; {INSTALL}")
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # before anything imports numpy
    import torch
    from rl_run import Measurement

    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message=".*is out of date", category=DeprecationWarning)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    # Refreshed between turns only: a thread of its own would take time from what is measured.
    shown = Progress(*columns, TimeRemainingColumn(), console=Console(), auto_refresh=False)
    with shown as progress:
        measurement = Measurement(
            options.tasks,
            rounds=options.rounds,
            quick=options.quick,
            cleanrl=options.cleanrl,
            progress=progress,
        )
        for _ in measurement.run():  # kept after each part: a run takes long
            text = json.dumps(measurement.result, indent=2)
            options.json.write_text(text + "\n", encoding="utf-8")
    from rl_chart import draw

    draw(measurement.result["tasks"], measurement.result["machine"], options.plot)


if __name__ == "__main__":
    main()
