"""All that rl.py measures, one thing after the other."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from optimizer import machine
from rich.progress import Progress
from rl_clock import Window, silenced, spread
from rl_processes import haswell_against_default, two_against_one
from rl_rounds import compare, stacked, turns
from rl_start import starts
from rl_tables import others, speeds
from rl_tasks import TASKS


def measure(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Measure everything.

    Args:
        options: the command line's.
        progress: shows the turns.

    Returns:
        What the JSON file holds.
    """
    rounds, quick = options.rounds, options.quick
    result: dict[str, Any] = {
        "machine": machine() | versions(),
        "load_before": os.getloadavg()[0],
        "rounds": rounds,
        "quick": quick,
        "tasks": [],
        "failed": {},
        "processes": [],
        "starts": [],
    }

    def advancer(title: str, total: int) -> Callable[[], None]:
        bar = progress.add_task(title, total=total)

        def advance() -> None:
            progress.advance(bar)
            progress.refresh()

        progress.refresh()
        return advance

    for task in [TASKS[name] for name in options.tasks]:
        count = len(turns(task, quick=quick, cleanrl=options.cleanrl))
        advance = advancer(f"{task.name}, turns", rounds * count)
        with silenced():
            rows, problem = compare(
                task, rounds, quick=quick, cleanrl=options.cleanrl, advance=advance
            )
        result["tasks"] += rows
        progress.console.print(speeds(rows))
        if problem:
            result["failed"][task.name] = problem
            progress.console.print(f"CleanRL's {task.script} failed: {problem}", markup=False)
    if "ppo" in options.tasks:
        advance = advancer("ppo, agents side by side", rounds)
        with silenced():
            result["stacked"] = stacked(rounds, quick=quick, advance=advance)
    pairs = [(TASKS[name], True) for name in options.tasks]
    pairs += [(TASKS["td3"], False)] if "td3" in options.tasks else []
    advance = advancer("two processes", rounds * len(pairs))
    for task, one_thread in pairs:
        # Many threads can be very slow.
        window = task.window_of(quick=quick or not one_thread)
        found = []
        for number in range(rounds):
            found.append(two_against_one(task, window, one_thread=one_thread, seed=2 * number))
            advance()
        row = {key: spread([one[key] for one in found]) for key in ("throughput", "cpu")}
        threads = "1" if one_thread else "default"
        result["processes"].append({"task": task.name, "threads": threads, **row})
    advance = advancer("starts", len(options.tasks))
    for name in options.tasks:
        seconds = starts(TASKS[name], 3 if quick else 10)
        result["starts"].append({"task": name, "trials": len(seconds), "seconds": spread(seconds)})
        advance()
    if "td3" in options.tasks:
        result["haswell"] = haswell(rounds, TASKS["td3"].quick, advancer("kernels", rounds))
    progress.console.print(others(result))
    return result


def haswell(rounds: int, window: Window, advance: Callable[[], None]) -> dict[str, Any]:
    """What OpenBLAS's kernels for Haswell make of TD3's CPU time."""
    found = []
    for number in range(rounds):
        found.append(haswell_against_default(window, seed=number))
        advance()
    return {"ratio": spread([one["ratio"] for one in found]), "kernels": found[0]["kernels"]}


def versions() -> dict[str, str]:
    """Versions of what is compared."""
    packages = ("gymnasium", "mujoco", "numpy", "stable_baselines3")
    return {name: version(name) for name in packages}
