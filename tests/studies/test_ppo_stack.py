"""Agents that train side by side have the numbers they would have alone, to the bit."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from alphagrad.studies.ppo import ppo_stack
from alphagrad.tuner import Trial, TrialPruned
from alphagrad.tuner.checkpoints import CheckpointStore
from alphagrad.tuner.messages import FromTrial, KnobAnswer, KnobCommand, Trace
from alphagrad.tuner.registry import get_task
from tests.studies.environments import FragileHopper, registered
from tests.studies.interrupted import Line, StoppedError, assert_identical

SMALL: dict[str, Any] = {
    "env_id": "Hopper-v5",
    "total_timesteps": 384,
    "num_steps": 64,
    "num_minibatches": 4,
    "update_epochs": 3,
    "hidden_sizes": (17, 16),
    "eval_interval": 128,
    "eval_episodes": 1,
    "checkpoint_interval": 128,
}
OPTIMIZERS: list[dict[str, Any]] = [
    {"alpha": 10.0},
    {"alpha_rule": "saturation", "momentum": 0.5, "learning_rate": 1e-4},
    {"optimizer": "adam", "learning_rate": 1e-3},
    {"k": 0.3, "norm": "group", "max_grad_norm": 0.1, "anneal_lr": False},
]


@dataclass
class TracedLine(Line):
    """Keeps the samples of α and saturation, and the answers to commands, as well."""

    samples: dict[str, list[Any]] = field(default_factory=dict)
    answers: list[KnobAnswer] = field(default_factory=list)

    def send(self, message: FromTrial) -> None:
        if isinstance(message, Trace):
            for name in ("steps", "alpha", "saturation"):
                part = np.asarray(getattr(message, name)).tolist()
                self.samples[name] = self.samples.get(name, []) + part
        elif isinstance(message, KnobAnswer):
            self.answers.append(message)
        super().send(message)


def lines_of(count: int) -> list[TracedLine]:
    return [TracedLine() for _ in range(count)]


def run_stack(
    every: Sequence[dict[str, Any]],
    lines: Sequence[Line],
    *,
    seeds: Sequence[int],
    folder: Path | None = None,
    attempt: int = 1,
) -> list[tuple[int, Any]]:
    """Runs trials side by side; a folder holds one of checkpoints for each seed."""
    trials = [
        Trial(
            params=get_task("ppo").complete(params),
            seed=seed,
            channel=line,
            checkpoints=None
            if folder is None
            else CheckpointStore(folder / str(seed), fence=attempt),
        )
        for params, line, seed in zip(every, lines, seeds, strict=True)
    ]
    try:
        return list(ppo_stack(trials))
    finally:
        for trial in trials:
            trial.close()


def run_alone(
    params: dict[str, Any], line: Line, *, seed: int, folder: Path | None = None, attempt: int = 1
) -> Any:
    [(_, outcome)] = run_stack([params], [line], seeds=[seed], folder=folder, attempt=attempt)
    return outcome


def checkpoint(folder: Path, seed: int, *, attempt: int = 1) -> Any:
    return CheckpointStore(folder / str(seed), fence=attempt).load()


def assert_same_line(one: TracedLine, other: TracedLine) -> None:
    assert one.reports == other.reports
    assert one.metrics == other.metrics
    # A saturation is NaN where nothing was measured.
    np.testing.assert_equal(one.samples, other.samples)


@pytest.mark.parametrize(
    "options",
    [{}, {"num_envs": 2, "num_steps": 32, "target_kl": 1e-3}],
    ids=["one-environment", "two-environments"],
)
def test_each_has_its_own_numbers(tmp_path: Path, options: dict[str, Any]) -> None:
    every = [SMALL | options | optimizer for optimizer in OPTIMIZERS]
    seeds = range(len(every))
    lines, singles = lines_of(4), lines_of(4)
    outcomes = dict(run_stack(every, lines, seeds=seeds, folder=tmp_path / "stack"))
    for seed, (params, line) in enumerate(zip(every, singles, strict=True)):
        folder = tmp_path / "alone"
        assert run_alone(params, line, seed=seed, folder=folder) == outcomes[seed]
        assert_same_line(lines[seed], line)
        assert_identical(checkpoint(tmp_path / "stack", seed), checkpoint(folder, seed))
    assert len(set(outcomes.values())) == 4
    assert len(lines[0].samples["steps"]) > 50
    assert not lines[2].samples  # Adam has no α


def test_a_pruned_agent_leaves_the_others_alone() -> None:
    every = [SMALL | optimizer for optimizer in OPTIMIZERS[:3]]
    whole, lines, cut = lines_of(3), lines_of(3), TracedLine(prune_at=256)
    values = dict(run_stack(every, whole, seeds=[1, 2, 3]))
    lines[1] = cut
    first, *others = run_stack(every, lines, seeds=[1, 2, 3])
    assert first[0] == 1
    assert isinstance(first[1], TrialPruned)
    assert str(first[1]) == "pruned at step 256"
    assert others == [(0, values[0]), (2, values[2])]
    assert_same_line(lines[0], whole[0])
    assert_same_line(lines[2], whole[2])
    assert list(cut.reports) == [128, 256]
    assert max(step for _, step in cut.metrics) == 256
    assert max(cut.samples["steps"]) == 256


def test_when_all_are_pruned_nothing_goes_on() -> None:
    lines = [TracedLine(prune_at=step) for step in (128, 256)]
    outcomes = run_stack([SMALL, SMALL], lines, seeds=[1, 2])
    assert [(place, str(outcome)) for place, outcome in outcomes] == [
        (0, "pruned at step 128"),
        (1, "pruned at step 256"),
    ]


def test_a_knob_turns_one_agents_alpha() -> None:
    whole, lines = lines_of(2), lines_of(2)
    every = [SMALL | {"alpha": 10.0}] * 2
    values = dict(run_stack(every, whole, seeds=[1, 2]))
    lines[1].commands.append(KnobCommand(id=1, layers="critic.*", alpha=3.0, pin=None))
    outcomes = dict(run_stack(every, lines, seeds=[1, 2]))
    assert outcomes[0] == values[0]
    assert_same_line(lines[0], whole[0])
    [answer] = lines[1].answers
    assert answer.applied
    assert set(lines[1].samples["alpha"][0]) == {3.0, 10.0}
    assert lines[1].metrics != whole[1].metrics


def test_a_stack_goes_on_where_it_was(tmp_path: Path) -> None:
    seeds = [1, 2, 3]
    with registered(FragileHopper, time_limit=25) as name:
        every = [SMALL | {"env_id": name} | optimizer for optimizer in OPTIMIZERS[:3]]
        whole, before, after = lines_of(3), lines_of(3), lines_of(3)
        outcomes = run_stack(every, whole, seeds=seeds, folder=tmp_path / "whole")
        FragileHopper.steps_left = 800
        with pytest.raises(StoppedError):
            run_stack(every, before, seeds=seeds, folder=tmp_path / "parts")
        middle = checkpoint(tmp_path / "parts", 1)
        assert 0 < middle["global_step"] < 384
        torch.manual_seed(0)  # another process has another global generator
        # The first two side by side, and the last one alone.
        folder = tmp_path / "parts"
        resumed = run_stack(every[:2], after[:2], seeds=seeds[:2], folder=folder, attempt=2)
        last = run_alone(every[2], after[2], seed=3, folder=folder, attempt=2)
    assert [*resumed, (2, last)] == outcomes
    for seed in seeds:
        expected = checkpoint(tmp_path / "whole", seed)
        assert_identical(checkpoint(folder, seed, attempt=2), expected)
    for first, second, line in zip(before, after, whole, strict=True):
        assert first.reports | second.reports == line.reports
        assert first.metrics | second.metrics == line.metrics


def test_agents_whose_checkpoints_are_at_different_steps_end_as_they_would(tmp_path: Path) -> None:
    # A kill between two agents' checkpoints leaves them so.
    seeds, every = [1, 2, 3], [SMALL | optimizer for optimizer in OPTIMIZERS[:3]]
    outcomes = dict(run_stack(every, lines_of(3), seeds=seeds, folder=tmp_path / "whole"))
    for seed, stop_at in ((1, 256), (2, 384)):
        line = TracedLine(stop_at=stop_at)
        with pytest.raises(StoppedError):
            run_alone(every[seed - 1], line, seed=seed, folder=tmp_path / "parts")
        assert checkpoint(tmp_path / "parts", seed)["global_step"] == stop_at - 128
    lines = lines_of(3)
    resumed = dict(run_stack(every, lines, seeds=seeds, folder=tmp_path / "parts", attempt=2))
    assert resumed == outcomes
    assert [min(line.reports) for line in lines] == [256, 384, 128]
    for seed in seeds:
        expected = checkpoint(tmp_path / "whole", seed)
        assert_identical(checkpoint(tmp_path / "parts", seed, attempt=2), expected)


def test_torch_trains_one_after_another() -> None:
    params = SMALL | {"backend": "torch", "total_timesteps": 128}
    outcomes = run_stack([params] * 2, lines_of(2), seeds=[1, 2])
    assert outcomes == [
        (place, run_alone(params, TracedLine(), seed=seed)) for place, seed in ((0, 1), (1, 2))
    ]
