"""AlphaGrad's step against the steps of other optimizers, measured in one run.

    python benchmarks/optimizer.py [--quick] [--json FILE] [--plot FILE]
                                   [--threads 1 2] [--shapes ppo td3 gpt2 large]
                                   [--device cuda]

All optimizers step the same parameters and gradients, and take turns within each round, in another
order each time. An optimizer is built anew for each of its turns, so that only one at a time keeps
state, and takes warm-up steps first. Shown are medians over the rounds: microseconds a step,
nanoseconds an element, the ratio to torch's fused Adam, the ratio to the byte limit, and the bytes
of state per parameter. The byte limit is the time in which torch's ``add_`` moves as many bytes as
the optimizer must (cases.py says how many), measured in the same rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from cases import INSTALL, Case, cases, state_bytes
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from shapes import SHAPES, TITLES, elements, parameters

from alphagrad.paper.machine import cpu

BLOCK = 2**25  # the most elements one add_ takes: far beyond the caches, and 256 MiB
REFERENCE = "Adam fused"


def timed(step: Callable[[], object], seconds: float, device: str) -> float:
    """Mean time of a step.

    Args:
        step: what to call.
        seconds: about how long to measure.
        device: where the step computes; a GPU is waited for at the end of a measurement.

    Returns:
        Microseconds a step.
    """

    def run(steps: int) -> float:
        started = time.perf_counter()
        for _ in range(steps):
            step()
        if device == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - started) / steps

    run(1)  # makes the state
    steps = min(max(int(seconds / min(run(1), run(1))), 2), 1000)
    run(max(steps // 10, 1))
    return run(steps) * 1e6


def streamer(moved: int, device: str) -> Callable[[], None]:
    """An ``add_`` that moves so many bytes: it reads two tensors and writes one of them back.

    A ``copy_`` would not do: the processor reads the target's cache lines before it overwrites
    them, so that a copy moves half again as many bytes as one counts.
    """
    left = moved // 12
    block = min(left, BLOCK)
    source, target = torch.ones(block, device=device), torch.ones(block, device=device)
    parts = [block] * (left // block) + [left % block]
    views = [(target[:part], source[:part]) for part in parts if part]

    def stream() -> None:
        for into, out_of in views:
            into.add_(out_of)

    return stream


def quartiles(values: list[float]) -> dict[str, float]:
    """First quartile, median and third of a few measurements."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"low": low, "median": middle, "high": high}


def measure(
    shape: str, threads: int, chosen: list[Case], quick: bool, device: str, progress: Progress
) -> list[dict[str, Any]]:
    """Measure every case on one shape.

    Args:
        shape: a name in ``SHAPES``.
        threads: torch's threads.
        chosen: the cases, ``REFERENCE`` among them.
        quick: few and short rounds.
        device: "cpu" or "cuda".
        progress: shows the turns.

    Returns:
        One row per case.
    """
    torch.set_num_threads(threads)
    shared = parameters(SHAPES[shape], device)
    count = elements(SHAPES[shape])
    large = count > 2**20
    rounds = 3 if quick else 7 if large else 21
    seconds = 0.01 if quick else 0.1
    kept: dict[str, int] = {}
    times: dict[str | int, list[float]] = {}

    def step_of(case: Case) -> None:
        optimizer = case.make(shared)
        times.setdefault(case.name, []).append(timed(optimizer.step, seconds, device))
        kept[case.name] = state_bytes(optimizer)

    def stream_of(size: int) -> None:
        times.setdefault(size, []).append(timed(streamer(size * count, device), seconds, device))

    turns = [partial(step_of, case) for case in chosen]
    turns += [partial(stream_of, size) for size in {case.bytes for case in chosen}]
    task = progress.add_task(f"{TITLES[shape]}, threads: {threads}", total=rounds * len(turns))
    for i in range(rounds):
        # A second a step: three rounds tell enough of what is ten times slower.
        patient = [turn for turn, case in zip(turns, chosen, strict=False) if not case.slow]
        now = turns if i < 3 or not large else patient + turns[len(chosen) :]
        for turn in random.Random(i).sample(now, len(now)):
            turn()
            progress.advance(task)
            progress.refresh()
    medians = {key: statistics.median(values) for key, values in times.items()}
    return [
        {
            "shape": shape,
            "elements": count,
            "tensors": len(shared),
            "threads": threads,
            "optimizer": case.name,
            "us_per_step": quartiles(times[case.name]),
            "ns_per_element": medians[case.name] * 1e3 / count,
            "ratio_to_adam_fused": medians[case.name] / medians[REFERENCE],
            "bytes_moved_per_parameter": case.bytes,
            "byte_limit_us": quartiles(times[case.bytes]),
            "ratio_to_byte_limit": medians[case.name] / medians[case.bytes],
            "state_bytes_per_parameter": kept[case.name] / count,
            "rounds": rounds,
        }
        for case in chosen
    ]


def table(rows: list[dict[str, Any]]) -> Table:
    """The rows of one shape and number of threads."""
    first = rows[0]
    size = f"{first['elements']:,} parameters, tensors: {first['tensors']}"
    title = f"{TITLES[first['shape']]} ({size}, threads: {first['threads']})"
    made = Table("optimizer", title=title, box=SIMPLE_HEAD, padding=0, title_justify="left")
    for column in ("µs/step", "ns/element", "× Adam", "× limit", "state B"):
        made.add_column(column, justify="right", min_width=9)
    for row in rows:
        made.add_row(
            row["optimizer"],
            f"{row['us_per_step']['median']:,.1f}",
            f"{row['ns_per_element']:.3f}",
            f"{row['ratio_to_adam_fused']:.2f}",
            f"{row['ratio_to_byte_limit']:.2f}",
            f"{row['state_bytes_per_parameter']:.2f}",
            style="bold" if row["optimizer"].startswith("AlphaGrad fused") else "",
        )
    return made


def machine(device: str) -> dict[str, Any]:
    """What the numbers depend on, without the machine's name."""
    gpu = {"gpu": torch.cuda.get_device_name()} if device == "cuda" else {}
    return {
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    } | gpu


def main() -> None:
    """Measure, print tables, write what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few rounds; GPT-2 without slow paths")
    parser.add_argument("--json", type=Path, help="write every number here")
    parser.add_argument("--plot", type=Path, help="draw the ratios here, as PNG or SVG")
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    if options.plot and find_spec("matplotlib") is None:
        parser.error(f"--plot needs matplotlib; {INSTALL}")
    console = Console()
    every = cases()
    rows: list[dict[str, Any]] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    # Refreshed between turns only: a thread of its own would take time from what is measured.
    shown = Progress(*columns, TimeRemainingColumn(), console=console, auto_refresh=False)
    with shown as progress:
        for shape in options.shapes:
            few = options.quick and shape == "gpt2"
            chosen = [case for case in every if not (few and case.slow)]
            for threads in options.threads:
                found = measure(shape, threads, chosen, options.quick, options.device, progress)
                rows += found
                progress.console.print(table(found))
    if options.json:
        result = {"machine": machine(options.device), "threads": options.threads, "rows": rows}
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if options.plot:
        from chart import draw

        draw(rows, machine(options.device), options.plot)


if __name__ == "__main__":
    main()
