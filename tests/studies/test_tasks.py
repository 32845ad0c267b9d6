"""What every ready-made task promises: determinism, exact resume, pruning, the knob."""

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alphagrad.tuner import TrialPruned
from alphagrad.tuner.checkpoints import CheckpointStore
from alphagrad.tuner.messages import (
    Command,
    FromTrial,
    KnobAnswer,
    KnobCommand,
    Layers,
    Report,
    Trace,
)
from tests.studies.interrupted import StoppedError, assert_identical, run

# The episodes end, the ring of the buffer closes and checkpoints are taken within these steps.
SMALL_DQN = {
    "total_timesteps": 1500,
    "learning_starts": 100,
    "buffer_size": 400,
    "batch_size": 32,
    "train_frequency": 5,
    "target_network_frequency": 50,
    "eval_interval": 250,
    "eval_episodes": 2,
    "eval_window": 2,
    "checkpoint_interval": 300,
}
SMALL_DIGITS = {"epochs": 6, "batch_size": 128, "hidden_sizes": [32]}
TASKS = [
    pytest.param("dqn", SMALL_DQN, 1000, id="dqn"),
    pytest.param("digits", SMALL_DIGITS, 4, id="digits"),
]
OPTIMIZERS = [
    pytest.param({"optimizer": "adam"}, id="adam"),
    pytest.param({"alpha": 50.0}, id="alpha"),
    pytest.param({"alpha_rule": "sqrt_d", "momentum": 0.0}, id="sqrt_d"),
    pytest.param({"alpha_rule": "saturation"}, id="saturation"),
    pytest.param({"alpha_rule": "saturation", "alpha_gain": 1.0, "mix_end": 0.5}, id="chained"),
    pytest.param({"alpha_rule": "linear", "alpha": 30.0, "alpha_total_steps": 50}, id="linear"),
    pytest.param({"alpha_rule": "cosine", "alpha_period": 20, "alpha_restarts": True}, id="cosine"),
    pytest.param({"alpha_rule": "exponential", "alpha_gamma": 0.99}, id="exponential"),
]


@dataclass
class RecordingChannel:
    """A line that keeps what a trial sends, and can stop it, prune it or turn its knob."""

    stop_at: int | None = None
    prune_at: int | None = None
    command_at: int | None = None
    command: KnobCommand = field(
        default_factory=lambda: KnobCommand(id=1, layers="*hidden1.*", alpha=7.0, pin=None)
    )
    commands: deque[Command] = field(default_factory=deque)
    sent: list[FromTrial] = field(default_factory=list)

    def send(self, message: FromTrial) -> None:
        self.sent.append(message)
        if isinstance(message, Report):
            if message.step == self.stop_at:
                raise StoppedError
            if message.step == self.command_at:
                self.commands.append(self.command)

    def wait_for_verdict(self) -> bool:
        return max(self.reports()) == self.prune_at

    def sync(self) -> bool:
        return True

    def reports(self) -> dict[int, float]:
        return {m.step: m.value for m in self.sent if isinstance(m, Report)}

    def alphas(self, layer: str) -> dict[int, float]:
        """α at each traced step of the one layer whose name ends so."""
        names = next(m.names for m in self.sent if isinstance(m, Layers))
        traces = [message for message in self.sent if isinstance(message, Trace)]
        steps = [step for trace in traces for step in trace.steps]
        (index,) = [index for index, name in enumerate(names) if name.endswith(layer)]
        column = np.concatenate([trace.alpha[:, index] for trace in traces])
        return dict(zip(steps, column.tolist(), strict=True))


@pytest.mark.parametrize(("name", "params", "middle"), TASKS)
def test_a_seed_decides_everything(
    name: str, params: dict[str, Any], middle: int, tmp_path: Path
) -> None:
    states, values = [], []
    for number, seed in enumerate([1, 1, 2]):
        folder = tmp_path / str(number)
        values.append(run(name, params, RecordingChannel(), seed=seed, folder=folder))
        states.append(CheckpointStore(folder, fence=1).load())
    assert values[0] == values[1]
    assert_identical(states[0], states[1])
    with pytest.raises(AssertionError):
        assert_identical(states[0], states[2])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("name", "params", "middle"), TASKS)
def test_a_resumed_trial_goes_on_exactly_as_if_never_stopped(
    name: str, params: dict[str, Any], middle: int, optimizer: dict[str, Any], tmp_path: Path
) -> None:
    params = params | optimizer
    whole, before, after = RecordingChannel(), RecordingChannel(stop_at=middle), RecordingChannel()
    value = run(name, params, whole, folder=tmp_path / "whole")
    with pytest.raises(StoppedError):
        run(name, params, before, folder=tmp_path / "parts")
    resumed = run(name, params, after, folder=tmp_path / "parts", attempt=2)

    assert 0 < len(after.reports()) < len(whole.reports())
    assert before.reports() | after.reports() == whole.reports()
    assert resumed == value
    assert_identical(
        CheckpointStore(tmp_path / "parts", fence=2).load(),
        CheckpointStore(tmp_path / "whole", fence=1).load(),
    )


@pytest.mark.parametrize(("name", "params", "middle"), TASKS)
def test_the_value_is_the_last_report(name: str, params: dict[str, Any], middle: int) -> None:
    channel = RecordingChannel()
    value = run(name, params, channel)
    reports = channel.reports()
    assert list(reports) == sorted(reports)
    assert value == reports[max(reports)]


@pytest.mark.parametrize(("name", "params", "middle"), TASKS)
def test_a_pruned_trial_stops_there(name: str, params: dict[str, Any], middle: int) -> None:
    channel = RecordingChannel(prune_at=middle)
    with pytest.raises(TrialPruned, match=str(middle)):
        run(name, params, channel)
    assert max(channel.reports()) == middle


@pytest.mark.parametrize(("name", "params", "middle"), TASKS)
def test_the_knob_turns_the_named_layers_from_its_step_on(
    name: str, params: dict[str, Any], middle: int
) -> None:
    channel = RecordingChannel(command_at=middle)
    run(name, params | {"alpha": 50.0}, channel)
    answers = [message for message in channel.sent if isinstance(message, KnobAnswer)]
    assert [answer.applied for answer in answers] == [True]
    changed = answers[0].step
    assert changed > (middle if name == "dqn" else 0)
    for step, alpha in channel.alphas("hidden1.weight").items():
        assert alpha == (7.0 if step >= changed else 50.0)
    others = "output.weight" if name == "dqn" else "logits.weight"
    assert set(channel.alphas(others).values()) == {50.0}


@pytest.mark.parametrize(("name", "params", "middle"), TASKS)
def test_traces_of_the_default_rule_hold_k_times_the_root_of_d(
    name: str, params: dict[str, Any], middle: int
) -> None:
    channel = RecordingChannel()
    run(name, params | {"k": 2.0}, channel)
    size = 4 * 120 if name == "dqn" else 64 * 32
    alphas = list(channel.alphas("hidden1.weight").values())
    assert alphas == pytest.approx([2 * size**0.5] * len(alphas))
