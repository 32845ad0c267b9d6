"""AlphaTraceWriter and its sinks: CSV, TensorBoard, a Trial, an object of one's own."""

from __future__ import annotations

import copy
import math
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.utils.tensorboard import SummaryWriter

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler import AlphaTraceWriter, CsvTrace
from alphagrad.tuner import Trial
from alphagrad.tuner.messages import Command, FromTrial, Layers, Trace
from tests.scheduler.checks import assert_complete, feedback, read_trace

NAMES = ["0.weight", "0.bias", "1.weight", "1.bias"]


class Kept:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.steps: dict[int, dict[str, tuple[float, float]]] = {}

    def write_step(
        self,
        step: int,
        layers: Sequence[str],
        alphas: Sequence[float],
        saturations: Sequence[float],
    ) -> None:
        self.steps[step] = dict(
            zip(layers, zip(alphas, saturations, strict=True), strict=True),
        )


def make() -> AlphaGrad:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(30, 20), nn.Linear(20, 10))
    return AlphaGrad(net.named_parameters(), lr=1e-3)


def train(optimizer: AlphaGrad, seeds: range, *, without: str = "") -> None:
    for seed in seeds:
        torch.manual_seed(seed)
        group = optimizer.param_groups[0]
        for name, p in zip(group["param_names"], group["params"], strict=True):
            p.grad = None if name == without else torch.randn_like(p)
        optimizer.step()


@pytest.mark.parametrize("first", ["writer", "scheduler"])
def test_alpha_is_the_one_that_the_step_used(first: str) -> None:
    optimizer, kept = make(), Kept()
    if first == "writer":
        AlphaTraceWriter(optimizer, kept).attach()
    feedback(optimizer).attach()
    if first == "scheduler":
        AlphaTraceWriter(optimizer, kept).attach()
    before = optimizer.alphas()
    train(optimizer, range(1))
    saturation = optimizer.saturation()
    assert kept.steps == {1: {name: (before[name], saturation[name]) for name in NAMES}}
    assert optimizer.alphas() != before


def test_every_nth_step_and_detach() -> None:
    optimizer, kept = make(), Kept()
    writer = AlphaTraceWriter(optimizer, kept, every=3, prefix="net/").attach()
    assert writer.attach() is writer
    train(optimizer, range(7))
    assert list(kept.steps) == [3, 6]
    assert list(kept.steps[3]) == [f"net/{name}" for name in NAMES]
    writer.detach()
    writer.detach()
    train(optimizer, range(3))
    assert writer.last_step == 7
    writer.write()
    assert list(kept.steps) == [3, 6, 7]


def test_one_read_of_the_device_per_write(monkeypatch: pytest.MonkeyPatch) -> None:
    optimizer = make()
    AlphaTraceWriter(optimizer, Kept()).attach()
    reads, tolist = [], torch.Tensor.tolist

    def counted(tensor: torch.Tensor) -> Any:
        reads.append(tensor)
        return tolist(tensor)

    monkeypatch.setattr(torch.Tensor, "tolist", counted)
    train(optimizer, range(2))
    assert len(reads) == 2


def test_a_csv_file_is_complete_with_a_skipped_layer(tmp_path: Path) -> None:
    optimizer, file = make(), tmp_path / "runs" / "alpha.csv"
    AlphaTraceWriter(optimizer, file).attach()
    feedback(optimizer).attach()
    train(optimizer, range(4))
    train(optimizer, range(4, 6), without="1.weight")
    assert_complete(file, optimizer, steps=6)  # written at once, with nothing to close
    trace = read_trace(file)
    assert math.isnan(trace["1.weight"][5][1])
    assert not math.isnan(trace["1.bias"][5][1])
    assert "nan" in file.read_text().splitlines()[-2]
    # Each float32 comes back as it was.
    assert torch.tensor(trace["0.bias"][6][1]).item() == optimizer.saturation()["0.bias"]


def test_a_run_that_goes_on_from_a_checkpoint_replaces_what_came_after_it(tmp_path: Path) -> None:
    optimizer, file = make(), tmp_path / "alpha.csv"
    writer = AlphaTraceWriter(optimizer, file).attach()
    scheduler = feedback(optimizer).attach()
    train(optimizer, range(4))
    saved = [one.state_dict() for one in (optimizer, scheduler, writer)]
    path = tmp_path / "checkpoint.pt"
    torch.save(saved, path)
    train(optimizer, range(4, 9))
    expected = read_trace(file)
    with file.open("a") as torn:
        torn.write("10,0.wei")  # the process ended here

    resumed = make()
    others: list[Any] = [resumed, feedback(resumed).attach()]
    others.append(AlphaTraceWriter(resumed, file).attach())
    for one, state in zip(others, torch.load(path, weights_only=True), strict=True):
        one.load_state_dict(state)
    train(resumed, range(4, 6))
    assert {layer: max(rows) for layer, rows in read_trace(file).items()} == dict.fromkeys(NAMES, 6)
    train(resumed, range(6, 9))
    assert read_trace(file) == expected


def test_a_run_that_goes_back_replaces_what_came_after(tmp_path: Path) -> None:
    optimizer, file = make(), tmp_path / "alpha.csv"
    writer = AlphaTraceWriter(optimizer, file).attach()
    train(optimizer, range(2))
    saved = writer.state_dict(), copy.deepcopy(optimizer.state_dict())
    train(optimizer, range(2, 6))
    expected = file.read_text()
    writer.load_state_dict(saved[0])
    optimizer.load_state_dict(saved[1])
    train(optimizer, range(2, 6))
    assert file.read_text() == expected


def test_without_a_state_it_goes_on_after_the_files_last_step(tmp_path: Path) -> None:
    file = tmp_path / "alpha.csv"
    for _ in range(2):
        optimizer = make()
        AlphaTraceWriter(optimizer, file).attach()
        feedback(optimizer).attach()
        train(optimizer, range(3))
    assert_complete(file, optimizer, steps=6)


def test_two_optimizers_share_a_file(tmp_path: Path) -> None:
    one, other, file = make(), make(), tmp_path / "alpha.csv"
    for name, optimizer in {"a/": one, "b/": other}.items():
        AlphaTraceWriter(optimizer, file, prefix=name).attach()
        feedback(optimizer).attach()
    for seed in range(4):
        train(one, range(seed, seed + 1))
        if seed % 2:
            train(other, range(seed, seed + 1))
    assert_complete(file, one, steps=4, prefix="a/")
    assert_complete(file, other, steps=2, prefix="b/")


def test_names_with_commas_and_quotes_and_a_file_of_something_else(tmp_path: Path) -> None:
    trace = CsvTrace(tmp_path / "alpha.csv")
    trace.write_step(1, ['a,"b"'], [1.0], [math.nan])
    assert list(read_trace(trace.path)) == ['a,"b"']
    assert CsvTrace(trace.path).last_step(['a,"b"']) == 1
    assert CsvTrace(trace.path).last_step(["other"]) == 0
    trace.path.write_text("name,age\n")
    with pytest.raises(ValueError, match=r"Invalid columns in .*alpha.csv: \['name', 'age'\]"):
        AlphaTraceWriter(make(), trace.path)
    assert trace.path.read_text() == "name,age\n"


def test_tensorboard_gets_scalars_without_nan(tmp_path: Path) -> None:
    optimizer = make()
    with SummaryWriter(tmp_path) as board:
        AlphaTraceWriter(optimizer, board).attach()
        feedback(optimizer).attach()
        train(optimizer, range(2))
        train(optimizer, range(2, 4), without="1.bias")
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    tags = [f"{what}/{name}" for what in ("alpha", "saturation") for name in NAMES]
    assert sorted(events.Tags()["scalars"]) == sorted(tags)
    assert [event.step for event in events.Scalars("alpha/1.bias")] == [1, 2, 3, 4]
    assert [event.step for event in events.Scalars("saturation/1.bias")] == [1, 2]
    assert len({event.value for event in events.Scalars("alpha/0.weight")}) > 1


class RecordingChannel:
    def __init__(self) -> None:
        self.commands: deque[Command] = deque()
        self.sent: list[FromTrial] = []

    def send(self, message: FromTrial) -> None:
        self.sent.append(message)

    def wait_for_verdict(self) -> bool:
        return False

    def sync(self) -> bool:
        return True


def test_a_trial_watches_by_itself() -> None:
    optimizer, channel = make(), RecordingChannel()
    trial = Trial(params={}, channel=channel)
    writer = AlphaTraceWriter(optimizer, trial).attach()
    feedback(optimizer).attach()
    train(optimizer, range(5))
    writer.detach()
    writer.attach()  # the trial goes on watching, and is not told twice
    writer.write()
    trial.close()
    layers, *traces = channel.sent
    assert isinstance(layers, Layers)
    assert layers.names == NAMES
    steps = [step for trace in traces if isinstance(trace, Trace) for step in trace.steps]
    assert steps == [1, 2, 3, 4, 5]


def test_what_is_not_valid_is_refused() -> None:
    sgd: Any = torch.optim.SGD([torch.zeros(1)])
    with pytest.raises(TypeError, match="must be an AlphaGrad, got SGD"):
        AlphaTraceWriter(sgd, Kept())
    with pytest.raises(ValueError, match="Invalid every: 0"):
        AlphaTraceWriter(make(), Kept(), every=0)
    nothing: Any = object()
    with pytest.raises(TypeError, match="must be a path, a SummaryWriter"):
        AlphaTraceWriter(make(), nothing)
