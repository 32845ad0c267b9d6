"""The rounds of rl.py: in each, everything that is compared takes a turn."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rl_clock import Spent, Window, clocked, spread
from rl_processes import ChildFailedError, script
from rl_tasks import (
    FIRST,
    LIMIT,
    PEER,
    SCRIPTS,
    TASKS,
    VARIANTS,
    Task,
    environment_only,
    ours,
    peer,
    trial,
)

from alphagrad.studies.ppo import ppo_stack

ALPHAS = np.geomspace(10, 300, 8).round(1).tolist()
Row = dict[str, Any]


def turns(task: Task, *, quick: bool, cleanrl: Path | None) -> dict[str, Callable[[int], Spent]]:
    """What takes a turn in a round, each by its seed; ours and the peers alternate."""
    window = task.window_of(quick=quick)
    own: dict[str, Callable[[int], Spent]] = {
        name: partial(_ours, task, name, window) for name in VARIANTS
    }
    others: dict[str, Callable[[int], Spent]] = {
        PEER: lambda seed: peer(task.name, window, seed=seed),
        LIMIT: lambda seed: environment_only(task.env_id, limit_steps(quick), seed=seed),
    }
    if cleanrl is not None:
        others[SCRIPTS] = lambda seed: script(task, cleanrl, window, seed=seed)
    pairs = zip(own.items(), others.items(), strict=False)
    mixed = dict(turn for pair in pairs for turn in pair)
    return mixed | own | others


def limit_steps(quick: bool) -> int:
    """How many random actions are timed."""
    return 5_000 if quick else 20_000


def compare(
    task: Task, rounds: int, *, quick: bool, cleanrl: Path | None, advance: Callable[[], None]
) -> tuple[list[Row], str]:
    """Time a task, the peers and the environment alone, in turn.

    Returns:
        A row each, and why CleanRL's script could not be timed, or "".
    """
    spent: dict[str, list[Spent]] = {}
    problem = ""
    for number in range(rounds):
        now = list(turns(task, quick=quick, cleanrl=cleanrl).items())
        for name, turn in now[number % len(now) :] + now[: number % len(now)]:
            if name != SCRIPTS or not problem:
                try:
                    spent.setdefault(name, []).append(turn(number + 1))
                except ChildFailedError as error:
                    problem = str(error)
            advance()
    window = task.window_of(quick=quick)
    steps = dict.fromkeys(spent, window.count * task.per_update) | {LIMIT: limit_steps(quick)}
    cpu = {name: [steps[name] / one.cpu for one in found] for name, found in spent.items()}
    wall = {name: [steps[name] / one.wall for one in found] for name, found in spent.items()}
    order = [*VARIANTS, SCRIPTS, PEER, LIMIT]
    rows = [
        {
            "task": task.name,
            "env_id": task.env_id,
            "runner": name,
            "environment_steps": steps[name],
            "steps_per_cpu_second": spread(cpu[name]),
            "steps_per_second": spread(wall[name]),
            "ratio_to_sb3": spread([a / b for a, b in zip(cpu[name], cpu[PEER], strict=True)]),
            "rounds": [{"cpu": one.cpu, "wall": one.wall} for one in spent[name]],
        }
        for name in sorted(spent, key=order.index)
        if name != SCRIPTS or not problem
    ]
    return rows, problem


def stacked(rounds: int, *, quick: bool, advance: Callable[[], None]) -> Row:
    """Time agents of PPO that train side by side, against the same ones in turn.

    Returns:
        Time of the first over that of the second: `cpu` and `wall`.
    """
    # By the tenth rollout α is sampled as seldom as in most of a training.
    window = Window(320, 320) if quick else Window(10 * 320, 2 * 320)

    def together(seed: int) -> Spent:
        trials = [trial("ppo", params, seed=seed + i) for i, params in enumerate(_agents())]
        return clocked(lambda: list(ppo_stack(trials)), window.times(len(trials)))

    def apart(seed: int) -> Spent:
        total = Spent(0.0, 0.0)
        for i, params in enumerate(_agents()):
            total += ours("ppo", params, window, seed=seed + i)
        return total

    found: list[tuple[Spent, Spent]] = []
    for number in range(rounds):
        seed = 100 * number
        if number % 2:
            second, first = apart(seed), together(seed)
        else:
            first, second = together(seed), apart(seed)
        found.append((first, second))
        advance()
    return {
        "agents": len(ALPHAS),
        "alphas": ALPHAS,
        "cpu": spread([first.cpu / second.cpu for first, second in found]),
        "wall": spread([first.wall / second.wall for first, second in found]),
    }


def _ours(task: Task, name: str, window: Window, seed: int) -> Spent:
    return ours(task.name, task.variant(name), window, seed=seed)


def _agents() -> list[dict[str, Any]]:
    params = TASKS["ppo"].variant(FIRST)
    del params["k"]
    return [params | {"alpha": alpha} for alpha in ALPHAS]
