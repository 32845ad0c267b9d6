"""torch.distributed.checkpoint in one process. Two ranks are in ``test_distributed.py``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    get_state_dict,
    set_optimizer_state_dict,
    set_state_dict,
)
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from alphagrad.optim import AlphaGrad
from alphagrad.optim.rehearsal import is_rehearsal
from alphagrad.scheduler import AlphaScheduler, SaturationScheduler

# It says that it takes an absent process group for the intent to save from one process.
pytestmark = pytest.mark.filterwarnings("ignore:.*assuming the intent is to:UserWarning")

SETTINGS = {
    "nested": StateDictOptions(),
    "flat": StateDictOptions(flatten_optimizer_state_dict=True),
    "whole": StateDictOptions(full_state_dict=True, cpu_offload=True),
}
VECTORS = ("alpha", "saturation", "pinned", "skipped")
MOMENTA = pytest.mark.parametrize("momentum", [0.0, 0.9])


class Halve(AlphaScheduler):
    """Moves α whatever the gradients are."""

    def get_alpha(self) -> list[Tensor]:
        return [alpha * 0.5 for alpha in self.alpha_vectors()]


class Run:
    """A model in training, whose every random part depends on the number of the step."""

    def __init__(self, scheduler: type[AlphaScheduler] = SaturationScheduler, **options: Any):
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 1))
        groups: list[dict[str, Any]] = [
            {"params": list(self.model[0].named_parameters(prefix="first"))},
            {"params": list(self.model[2].named_parameters(prefix="last")), "norm": "group"},
        ]
        self.optimizer = AlphaGrad(
            groups, **({"lr": 0.05, "k": 3.0, "weight_decay": 0.1} | options)
        )
        self.scheduler = scheduler(self.optimizer).attach()

    def train(self, steps: range) -> None:
        """Take steps, and leave no gradient: torch takes its own step only then."""
        for step in steps:
            torch.manual_seed(step)
            self.model(torch.randn(4, 5)).square().sum().backward()
            if step == 3:
                for p in self.model[0].parameters():
                    p.grad = torch.zeros_like(p)
            self.optimizer.step()
            self.optimizer.zero_grad()

    def values(self) -> dict[str, Any]:
        """Give all that a step changes, and what torch's own step could."""
        found: dict[str, Any] = {"last_step": self.scheduler.last_step}
        for g, group in enumerate(self.optimizer.param_groups):
            found[f"{g}.lr"] = float(group["lr"])
            found |= {f"{g}.{key}": group[key].clone() for key in VECTORS}
            for i, p in enumerate(group["params"]):
                found[f"{g}.{i}"] = p.detach().clone()
                for key, value in self.optimizer.state.get(p, {}).items():
                    found[f"{g}.{i}.{key}"] = value.clone()
        return found


def assert_same(actual: dict[str, Any], expected: dict[str, Any]) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("settings", SETTINGS)
@MOMENTA
def test_a_run_continues_from_files_bit_for_bit(
    momentum: float, settings: str, tmp_path: Path
) -> None:
    first = Run(momentum=momentum)
    first.train(range(6))
    first.optimizer.set_alpha(7.5, "first.bias", pin=True)
    before, options = first.values(), SETTINGS[settings]
    model, optimizer = get_state_dict(first.model, first.optimizer, options=options)
    parts: dict[str, Any] = {
        "model": model,
        "optimizer": optimizer,
        "scheduler": first.scheduler.state_dict(),
    }
    save(parts, checkpoint_id=tmp_path)
    assert_same(first.values(), before)
    first.train(range(6, 12))

    second = Run(momentum=momentum)
    model, optimizer = get_state_dict(second.model, second.optimizer, options=options)
    parts = {"model": model, "optimizer": optimizer, "scheduler": second.scheduler.state_dict()}
    load(parts, checkpoint_id=tmp_path)
    set_state_dict(
        second.model,
        second.optimizer,
        model_state_dict=parts["model"],
        optim_state_dict=parts["optimizer"],
        options=options,
    )
    second.scheduler.load_state_dict(parts["scheduler"])
    assert_same(second.values(), before)
    assert second.optimizer.pinned()["first.bias"]
    second.train(range(6, 12))
    assert_same(second.values(), first.values())
    assert second.optimizer.skipped()["first.bias"]["zero"] == 1


@pytest.mark.parametrize("scheduler", [Halve, SaturationScheduler])
@pytest.mark.parametrize("lr", [0.05, torch.tensor(0.05)])
@MOMENTA
def test_reading_a_state_is_no_step(momentum: float, lr: Any, scheduler: Any) -> None:
    run = Run(scheduler, momentum=momentum, lr=lr)
    fresh = run.values()
    state = get_optimizer_state_dict(run.model, run.optimizer)
    read = run.values()
    # The buffers are what torch takes its step for.
    buffers = {key: read.pop(key) for key in list(read) if "momentum_buffer" in key}
    assert len(buffers) == (4 if momentum else 0)
    assert not any(buffer.any() for buffer in buffers.values())
    assert_same(read, fresh)
    run.train(range(6))
    before = run.values()
    for _ in range(3):
        state = get_optimizer_state_dict(run.model, run.optimizer)
    assert_same(run.values(), before)
    set_optimizer_state_dict(run.model, run.optimizer, state)
    assert_same(run.values(), before)
    assert not run.optimizer.rehearsed


@pytest.mark.parametrize("layer", ["*", "bias"])
@MOMENTA
def test_a_knob_is_loaded_whether_it_is_one_number_or_many(
    momentum: float, layer: str, tmp_path: Path
) -> None:
    def make() -> tuple[nn.Module, AlphaGrad]:
        model = nn.Linear(3, 2)
        return model, AlphaGrad(model.named_parameters(), alpha=50.1, momentum=momentum)

    model, first = make()
    model(torch.ones(1, 3)).sum().backward()
    first.step()
    first.zero_grad()
    first.set_alpha(7.7, layer)
    first.set_mix(0.3, layer)
    state = {"optimizer": get_optimizer_state_dict(model, first)}
    save(state, checkpoint_id=tmp_path)
    other, second = make()
    state = {"optimizer": get_optimizer_state_dict(other, second)}
    assert second.param_groups[0]["alpha"] == 50.1
    load(state, checkpoint_id=tmp_path)
    set_optimizer_state_dict(other, second, state["optimizer"])
    assert second.alphas() == first.alphas()
    assert second.mixes() == first.mixes()
    assert type(second.param_groups[0]["alpha"]) is type(first.param_groups[0]["alpha"])


def test_a_step_at_rate_0_counts_where_there_is_a_gradient() -> None:
    run = Run(Halve, lr=0.0)
    before = run.optimizer.alphas()
    run.train(range(4))
    assert run.scheduler.last_step == 4
    assert run.optimizer.skipped()["first.weight"]["zero"] == 1
    assert run.optimizer.alphas() == {name: alpha / 16 for name, alpha in before.items()}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"lr": 0.1}, False),
        ({"lr": torch.tensor(0.0)}, True),
        ({"lr": torch.tensor(0.1)}, False),
        # Nobody reads a rate that lies on a device.
        ({"lr": torch.tensor(0.0, device="meta")}, False),
        ({"grad": torch.tensor([0.0, 1e-45])}, False),
        ({"grad": torch.tensor([0.0, torch.nan])}, False),
        ({"grad": None}, True),
    ],
)
def test_which_steps_are_rehearsals(changes: dict[str, Any], expected: bool) -> None:
    p = torch.zeros(2)
    p.grad = changes.get("grad", torch.zeros(2))
    groups = [{"params": [p], "lr": changes.get("lr", 0.0)}, {"params": [], "lr": 0.0}]
    assert is_rehearsal(groups) is expected
