"""Plain torch: attach() is the callback."""

from __future__ import annotations

from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler import AlphaTraceWriter, SaturationScheduler
from tests.scheduler.checks import assert_complete, assert_moved_within_bounds


class Run:
    """A small classifier of digits."""

    def __init__(self, trace: Path) -> None:
        torch.manual_seed(0)
        images, labels = load_digits(return_X_y=True)
        self.images = torch.tensor(images, dtype=torch.float32) / 16
        self.labels = torch.tensor(labels)
        self.net = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
        self.optimizer = AlphaGrad(self.net.named_parameters(), lr=1e-2)
        self.scheduler = SaturationScheduler(self.optimizer, (0.3, 0.4)).attach()
        self.writer = AlphaTraceWriter(self.optimizer, trace).attach()

    def epoch(self, number: int) -> float:
        """The mean loss of one pass, whose order depends on its number alone."""
        order = torch.randperm(len(self.labels), generator=torch.Generator().manual_seed(number))
        losses = []
        for batch in torch.split(order, 64):
            self.optimizer.zero_grad()
            loss = cross_entropy(self.net(self.images[batch]), self.labels[batch])
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            losses.append(loss.item())
        return sum(losses) / len(losses)

    def parts(self) -> list[nn.Module | AlphaGrad | SaturationScheduler | AlphaTraceWriter]:
        return [self.net, self.optimizer, self.scheduler, self.writer]


def test_it_learns_and_a_checkpoint_goes_on_identically(tmp_path: Path) -> None:
    run = Run(tmp_path / "alpha.csv")
    losses = [run.epoch(number) for number in range(3)]
    torch.save([part.state_dict() for part in run.parts()], tmp_path / "checkpoint.pt")
    losses += [run.epoch(number) for number in range(3, 6)]
    assert losses[-1] < losses[0] / 2
    assert_moved_within_bounds(run.optimizer)
    assert_complete(tmp_path / "alpha.csv", run.optimizer, steps=6 * 29)
    trace = (tmp_path / "alpha.csv").read_text()

    resumed = Run(tmp_path / "alpha.csv")
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    for part, state in zip(resumed.parts(), saved, strict=True):
        part.load_state_dict(state)
    assert [resumed.epoch(number) for number in range(3, 6)] == losses[3:]
    assert resumed.optimizer.alphas() == run.optimizer.alphas()
    assert (tmp_path / "alpha.csv").read_text() == trace


def test_gradients_from_inside_the_step_start_it_at_the_second_step() -> None:
    torch.manual_seed(0)
    net = nn.Linear(64, 64)
    optimizer = AlphaGrad(net.named_parameters(), lr=1e-3)
    scheduler = SaturationScheduler(optimizer, (0.3, 0.5)).attach()

    def closure() -> float:
        optimizer.zero_grad()
        loss = net(torch.randn(64, 64)).square().mean()
        loss.backward()
        return float(loss.item())

    optimizer.step(closure)
    assert optimizer.saturation()["weight"] > 0.5
    optimizer.step(closure)
    assert 0.3 <= optimizer.saturation()["weight"] <= 0.5

    other = AlphaGrad(net.named_parameters(), lr=1e-3)
    scheduler = SaturationScheduler(other, (0.3, 0.5)).attach()

    def starting() -> float:
        loss = closure()
        scheduler.start_once()
        return loss

    other.step(starting)
    assert 0.3 <= other.saturation()["weight"] <= 0.5
