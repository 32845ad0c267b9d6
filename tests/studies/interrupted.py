"""Trials that are stopped in the middle, and what they leave for the next attempt."""

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from alphagrad.tuner import Trial
from alphagrad.tuner.channel import Channel
from alphagrad.tuner.checkpoints import CheckpointStore
from alphagrad.tuner.messages import Command, FromTrial, Metrics, Report
from alphagrad.tuner.registry import get_task


class StoppedError(Exception):
    """Stands for whatever ends a trial's process in the middle."""


@dataclass
class Line:
    """A line to a worker that keeps what it was told, and stops or prunes at a reported step."""

    stop_at: int | None = None
    prune_at: int | None = None
    commands: deque[Command] = field(default_factory=deque)
    reports: dict[int, float] = field(default_factory=dict)
    metrics: dict[tuple[str, int], float] = field(default_factory=dict)

    def send(self, message: FromTrial) -> None:
        if isinstance(message, Metrics):
            names = [message.names[place] for place in message.which]
            keys = zip(names, message.steps, strict=True)
            self.metrics |= dict(zip(keys, message.values, strict=True))
        if isinstance(message, Report):
            self.reports[message.step] = message.value
            if message.step == self.stop_at:
                raise StoppedError

    def wait_for_verdict(self) -> bool:
        return max(self.reports) == self.prune_at

    def sync(self) -> bool:
        return True


def run(
    name: str,
    params: dict[str, Any],
    line: Channel | None = None,
    *,
    seed: int = 1,
    folder: Path | None = None,
    attempt: int = 1,
) -> float:
    """Runs a trial as a worker's process does, up to what ends it."""
    task = get_task(name)
    checkpoints = None if folder is None else CheckpointStore(folder, fence=attempt)
    trial = Trial(params=task.complete(params), seed=seed, channel=line, checkpoints=checkpoints)
    try:
        value = task(trial)
        assert isinstance(value, float)
        return value
    finally:
        trial.close()


def checkpoint_of(
    name: str, params: dict[str, Any], folder: Path, line: Line | None = None
) -> dict[str, Any]:
    """The last checkpoint of a trial that runs to its end."""
    run(name, params, line, folder=folder)
    state = CheckpointStore(folder, fence=1).load()
    assert state is not None
    return state


def assert_resumes_exactly(
    name: str, params: dict[str, Any], *, stop_at: int, folder: Path
) -> None:
    """Compares a trial with one that stops at a reported step and goes on from its checkpoint."""
    whole, before, after = Line(), Line(stop_at=stop_at), Line()
    value = run(name, params, whole, folder=folder / "whole")
    with pytest.raises(StoppedError):
        run(name, params, before, folder=folder / "parts")
    torch.manual_seed(0)  # another process has another global generator
    resumed = run(name, params, after, folder=folder / "parts", attempt=2)

    assert resumed == value
    assert value == whole.reports[max(whole.reports)]
    assert 1 < min(after.reports) <= stop_at
    assert before.reports | after.reports == whole.reports
    assert whole.metrics
    assert before.metrics | after.metrics == whole.metrics
    states = [CheckpointStore(folder / part, fence=2).load() for part in ("whole", "parts")]
    assert_identical(*states)


def assert_identical(one: Any, other: Any) -> None:
    """Compares two checkpoints to the bit."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        # torch gives this default to the groups of a restored optimizer alone.
        keys = one.keys() - {"differentiable"}
        assert keys == other.keys() - {"differentiable"}
        for key in keys:
            assert_identical(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for item, twin in zip(one, other, strict=True):
            assert_identical(item, twin)
    elif isinstance(one, torch.Tensor):
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)
    else:
        assert one == other


def assert_trained_alike(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Compares two checkpoints to the bit, but for the parameters that they name."""
    assert_identical(
        *({key: state[key] for key in state if key != "params"} for state in (one, other))
    )
