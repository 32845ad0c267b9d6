"""A clock over the part of a training in which learning happens.

Our tasks, Stable-Baselines3 and CleanRL's scripts have one thing in common, torch's optimizers. So
the clock starts and stops at optimizer steps, of all optimizers of the process together, and what
came before (imports, networks, steps played at random) and what would follow is not counted.
"""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch.optim.optimizer import register_optimizer_step_post_hook


@dataclass(frozen=True)
class Window:
    """Which optimizer steps are timed.

    Args:
        first: optimizer steps before the clock starts, at least 1.
        count: optimizer steps until it stops.
    """

    first: int
    count: int

    def times(self, agents: int) -> Window:
        """The window of several agents that train side by side."""
        return Window(self.first * agents, self.count * agents)


@dataclass(frozen=True)
class Spent:
    """What a window took.

    Args:
        cpu: seconds of this process, all threads together.
        wall: seconds that passed.
    """

    cpu: float
    wall: float

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.cpu + other.cpu, self.wall + other.wall)


class Stopwatch:
    """The time since it was made."""

    def __init__(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def spent(self) -> Spent:
        """How much of it, of both kinds."""
        return Spent(time.process_time() - self._cpu, time.perf_counter() - self._wall)


class _OverError(Exception):
    """Ends a training whose window is over."""


def clocked(
    train: Callable[[], object], window: Window, *, before: Callable[[], None] = lambda: None
) -> Spent:
    """Train until the window is over.

    Args:
        train: takes optimizer steps; it is left by an exception.
        window: what to time.
        before: called just before the clock starts.

    Raises:
        RuntimeError: the training has ended before the window.
    """
    steps = 0
    watch: Stopwatch | None = None
    spent: Spent | None = None

    def tick(*_: Any) -> None:
        nonlocal steps, watch, spent
        steps += 1
        if steps == window.first:
            before()
            watch = Stopwatch()
        elif steps == window.first + window.count and watch is not None:
            spent = watch.spent()
            raise _OverError

    gc.collect()
    hook = register_optimizer_step_post_hook(tick)
    try:
        train()
    except _OverError:
        pass
    finally:
        hook.remove()
    if spent is None:
        raise RuntimeError(f"the training has ended after {steps} optimizer steps, before {window}")
    return spent


def spread(values: list[float]) -> dict[str, float]:
    """The least, the median and the greatest of a few measurements."""
    return {"low": min(values), "median": statistics.median(values), "high": max(values)}


@contextmanager
def silenced() -> Iterator[None]:
    """Drop what C libraries write to standard error; MuJoCo has two lines for each environment."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
