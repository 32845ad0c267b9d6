"""All that rl.py measures, one part after the other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from optimizer import machine
from rich.progress import Progress
from rl_clock import Window, silenced, spread
from rl_processes import haswell_against_default, two_against_one, two_loops_against_one
from rl_rounds import compare, stacked, turns
from rl_start import starts
from rl_tables import others, speeds
from rl_tasks import TASKS, Task

FIGHT = Window(30, 150)  # with many threads in each of two processes a step can take a second
Row = dict[str, Any]


class Measurement:
    """What one run of rl.py measures.

    Args:
        tasks: names in `TASKS`.
        rounds: how often each comparison is made.
        quick: whether trainings are short.
        cleanrl: a checkout of CleanRL, if there is one.
        progress: shows the turns and the tables.

    Attributes:
        result: what the JSON file holds, as far as it is measured.
    """

    def __init__(
        self,
        tasks: list[str],
        *,
        rounds: int,
        quick: bool,
        cleanrl: Path | None,
        progress: Progress,
    ) -> None:
        self._tasks = [TASKS[name] for name in tasks]
        self._rounds, self._quick, self._cleanrl = rounds, quick, cleanrl
        self._progress = progress
        packages = ("gymnasium", "mujoco", "numpy", "stable_baselines3")
        self.result: Row = {
            "machine": machine() | {name: version(name) for name in packages},
            "load_before": os.getloadavg()[0],
            "rounds": rounds,
            "quick": quick,
            "tasks": [],
            "failed": {},
            "starts": [],
            "processes": [],
        }

    def run(self) -> Iterator[None]:
        """Measure; yields after each part, when there is more in `result`."""
        names = [task.name for task in self._tasks]
        for task in self._tasks:
            self._compare(task)
            yield
        for task in self._tasks:
            advance = self._bar(f"{task.name}, starts", 1)
            seconds = spread(starts(task, 3 if self._quick else 10))
            self.result["starts"].append({"task": task.name, "seconds": seconds})
            advance()
            yield
        if "ppo" in names:
            advance = self._bar("ppo, agents at once", self._rounds)
            with silenced():
                found = stacked(self._rounds, quick=self._quick, advance=advance)
            self.result["stacked"] = found
            yield
        if "td3" in names:
            self.result["haswell"] = self._haswell()
            yield
        for name, threads, measure in self._pairs():
            self.result["processes"].append(self._processes(name, threads, measure))
            yield
        self._progress.console.print(others(self.result))

    def _compare(self, task: Task) -> None:
        count = len(turns(task, quick=self._quick, cleanrl=self._cleanrl))
        advance = self._bar(f"{task.name}, turns", self._rounds * count)
        with silenced():
            rows, problem = compare(
                task, self._rounds, quick=self._quick, cleanrl=self._cleanrl, advance=advance
            )
        self.result["tasks"] += rows
        console = self._progress.console
        console.print(speeds(rows))
        if problem:
            self.result["failed"][task.name] = problem
            console.print(f"CleanRL's {task.script} failed: {problem}", markup=False)

    def _haswell(self) -> Row:
        advance = self._bar("td3, kernels", self._rounds)
        found = []
        for number in range(self._rounds):
            found.append(haswell_against_default(TASKS["td3"].quick, seed=number))
            advance()
        ratio = spread([one["ratio"] for one in found])
        return {"ratio": ratio, "kernels": found[0]["kernels"]}

    def _pairs(self) -> Iterator[tuple[str, str, Callable[[int], dict[str, float]]]]:
        yield "empty loop", "1", lambda _: two_loops_against_one()
        for task in self._tasks:
            window = task.window_of(quick=self._quick)
            yield task.name, "1", partial(_two, task, window, True)
        if TASKS["td3"] in self._tasks:
            yield "td3", "default", partial(_two, TASKS["td3"], FIGHT, False)

    def _processes(
        self, name: str, threads: str, measure: Callable[[int], dict[str, float]]
    ) -> Row:
        advance = self._bar(f"{name}, two processes, threads: {threads}", self._rounds)
        found = []
        for number in range(self._rounds):
            found.append(measure(2 * number))
            advance()
        measured = {key: spread([one[key] for one in found]) for key in found[0]}
        return {"task": name, "threads": threads, **measured}

    def _bar(self, title: str, total: int) -> Callable[[], None]:
        bar = self._progress.add_task(title, total=total)

        def advance() -> None:
            self._progress.advance(bar)
            self._progress.refresh()

        self._progress.refresh()
        return advance


def _two(task: Task, window: Window, one_thread: bool, seed: int) -> dict[str, float]:
    return two_against_one(task, window, one_thread=one_thread, seed=seed)
