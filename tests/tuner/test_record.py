"""What a task records, up to the line to its worker."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from alphagrad.tuner import Trial, metric_buffer
from alphagrad.tuner.channel import NullChannel
from alphagrad.tuner.checkpoints import CheckpointStore
from alphagrad.tuner.messages import FromTrial, Metrics
from alphagrad.tuner.metric_buffer import MAX_NAMES

NAN, INF = math.nan, math.inf


class Line(NullChannel):
    """A channel that keeps what was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[FromTrial] = []

    def send(self, message: FromTrial) -> None:
        self.sent.append(message)


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def slow_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """A clock that moves only when told to."""
    now = 100.0

    def move(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(metric_buffer, "monotonic", lambda: now)
    return move


@pytest.mark.usefixtures("slow_clock")
def test_values_wait_for_the_trials_end(line: Line) -> None:
    trial = Trial(params={}, channel=line)
    trial.record({"a": 0.5, "b": NAN}, step=1)
    trial.record({}, step=2)
    trial.record({"b": -INF}, step=3)
    assert line.sent == []
    trial.close()
    [batch] = line.sent
    assert isinstance(batch, Metrics)
    assert (batch.first, batch.names) == (0, ["a", "b"])
    assert (batch.which, batch.steps) == ([0, 1, 1], [1, 1, 3])
    assert np.array_equal(batch.values, [0.5, NAN, -INF], equal_nan=True)
    trial.close()
    assert len(line.sent) == 1


def test_a_batch_is_sent_every_quarter_of_a_second(
    line: Line, slow_clock: Callable[[float], None]
) -> None:
    trial = Trial(params={}, channel=line)
    for step in range(1, 6):
        slow_clock(0.1)
        trial.record({"a": step}, step=step)
    slow_clock(10.0)
    trial.record({"b": 6.0}, step=6)  # seldom recorded: sent at once
    trial.record({"a": 7.0}, step=7)
    trial.close()
    assert line.sent == [
        Metrics(first=0, names=["a"], which=[0] * 3, steps=[1, 2, 3], values=[1.0, 2.0, 3.0]),
        Metrics(
            first=3, names=["a", "b"], which=[0, 0, 1], steps=[4, 5, 6], values=[4.0, 5.0, 6.0]
        ),
        Metrics(first=6, names=["a"], which=[0], steps=[7], values=[7.0]),
    ]


@pytest.mark.usefixtures("slow_clock")
def test_a_batch_has_a_size_that_it_does_not_outgrow(line: Line) -> None:
    trial = Trial(params={}, channel=line)
    for step in range(25_000):
        trial.record({"a": 1.0}, step=step)
    trial.close()
    sizes = [len(batch.values) for batch in line.sent if isinstance(batch, Metrics)]
    assert sizes == [10_000, 10_000, 5_000]


@pytest.mark.usefixtures("slow_clock")
def test_a_checkpoint_waits_for_what_was_recorded_before(line: Line, tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "here", fence=1)
    trial = Trial(params={}, channel=line, checkpoints=store)
    trial.record({"a": 1.0}, step=1)
    trial.save_checkpoint({"step": 1})
    assert [message.steps for message in line.sent if isinstance(message, Metrics)] == [[1]]


def test_numbers_of_numpy_and_torch_are_recorded_as_python_ones(line: Line) -> None:
    trial = Trial(params={}, channel=line)
    loss = (torch.ones(3, requires_grad=True) ** 2).mean()  # float() of it would warn
    values = {
        "loss": loss,
        "double": torch.tensor(0.1, dtype=torch.float64),
        "numpy": np.float32(0.5),
        "array": np.array(2.5),
        "int": 3,
    }
    trial.record(values, step=np.int64(4))  # type: ignore[arg-type]
    trial.close()
    [batch] = line.sent
    assert batch == Metrics(0, list(values), [0, 1, 2, 3, 4], [4] * 5, [1.0, 0.1, 0.5, 2.5, 3.0])
    assert isinstance(batch, Metrics)
    assert {type(value) for value in batch.values} == {float}
    assert {type(step) for step in batch.steps} == {int}


@pytest.mark.parametrize("value", ["0.5", b"1", True, None, [1.0], 1j, torch.ones(2), np.ones(2)])
def test_a_value_that_is_no_number_is_refused_and_named(line: Line, value: Any) -> None:
    trial = Trial(params={}, channel=line)
    with pytest.raises(TypeError, match=r"record: 'a/b' must be a number, got "):
        trial.record({"good": 1.0, "a/b": value}, step=1)
    trial.close()
    assert line.sent == []


@pytest.mark.parametrize("name", ["", "x" * 101, "a\0", "a\ud800"])
def test_a_name_that_cannot_be_stored_is_refused(line: Line, name: str) -> None:
    trial = Trial(params={}, channel=line)
    with pytest.raises(ValueError, match="got '"):
        trial.record({"good": 1.0, name: 1.0}, step=1)
    with pytest.raises(TypeError, match="a name must be text, got 3"):
        trial.record({3: 1.0}, step=1)  # type: ignore[dict-item]
    trial.close()
    assert line.sent == []
    trial.record({"x" * 100: 1.0, "α": 1.0}, step=1)


def test_there_is_an_end_to_new_names() -> None:
    trial = Trial(params={})
    trial.record({str(number): 0.0 for number in range(MAX_NAMES)}, step=1)
    with pytest.raises(ValueError, match="'more' is one name too many: 1000 are allowed"):
        trial.record({"more": 0.0}, step=1)
    trial.record({"999": 0.0}, step=2)


@pytest.mark.parametrize(
    ("step", "error"), [(1.0, TypeError), (True, TypeError), (-1, ValueError), (2**31, ValueError)]
)
def test_a_step_that_cannot_be_stored_is_refused(step: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"record: the step must be .*, got {step}"):
        Trial(params={}).record({"a": 1.0}, step)


def test_a_task_records_without_a_study() -> None:
    trial = Trial(params={})
    for step in range(3):
        trial.record({"a": 1.0}, step=step)
    trial.close()
