"""The task that is killed: it reports, records, checkpoints, and tells a journal what it knows.

Trial processes import it by the entry point that :mod:`tests.chaos.service` puts on their path.
Every value names the attempt it comes from, so that one in the database tells who wrote it.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import torch

from alphagrad.optim import AlphaGrad
from alphagrad.tuner import Task, Trial, TrialPruned

STEPS = 8
EVERY = 2
"""Steps from one checkpoint to the next."""
AMONG_OTHERS = {f"chaos/{number}": 0.0 for number in range(20)}
ATTEMPT = 1e-6
"""What an attempt adds to its values, times its number."""


def value_at(step: int, x: float, attempt: int) -> float:
    """What an attempt reports at a step; at the last one, its result."""
    return x + step + attempt * ATTEMPT


def attempt_of(value: float, step: int, x: float) -> int:
    """The attempt that a recorded value comes from."""
    return round((value - x - step) / ATTEMPT)


def note(trial: Trial, event: str, **more: Any) -> None:
    """Add a line to the journal; it is on the disk when this returns."""
    who = {"study": trial.study, "number": trial.number, "attempt": trial.attempt}
    line = json.dumps({"event": event, "pid": os.getpid(), **who, **more})
    file = os.open(Path(os.environ["CHAOS_JOURNAL"]), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(file, f"{line}\n".encode())
        os.fsync(file)
    finally:
        os.close(file)


def count(trial: Trial) -> float:
    """Count to 8 with checkpoints."""
    x, pause = float(trial.params["x"]), float(trial.params["pause"])
    note(trial, "load")
    state = trial.load_checkpoint()
    first = 0 if state is None else int(state["step"])
    note(trial, "start", first=first, x=x)
    weight = torch.nn.Parameter(torch.ones(2, 2))
    optimizer = AlphaGrad([("weight", weight)], lr=1e-3)
    step = first
    trial.watch(optimizer, step=lambda: step)
    for step in range(first + 1, STEPS + 1):
        time.sleep(pause)
        weight.grad = torch.ones(2, 2)
        optimizer.step()
        trial.record({"chaos/step": step, **AMONG_OTHERS}, step=step)
        note(trial, "send", step=step)
        trial.report(value_at(step, x, trial.attempt), step=step)
        if trial.should_prune():
            note(trial, "prune", step=step)  # or its worker has left
            raise TrialPruned
        note(trial, "report", step=step)
        if step % EVERY == 0:
            trial.save_checkpoint({"step": step})
            note(trial, "save", step=step)
    note(trial, "end", step=step)
    return value_at(STEPS, x, trial.attempt)


# Not by the decorator: the tests' own process imports this module too, and has no such task.
chaos = Task(name="chaos", function=count)
