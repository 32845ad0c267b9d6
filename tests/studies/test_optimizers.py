"""From parameters to optimizers."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler import AlphaScheduler
from alphagrad.studies.optimizers import build_optimizer
from alphagrad.studies.params import OptimizerParams
from alphagrad.tuner import Trial, run_task

Built = tuple[AlphaGrad, AlphaScheduler | None]


def build(named: Any = None, **params: Any) -> Built:
    torch.manual_seed(0)
    named = named or nn.Linear(30, 20).named_parameters()
    optimizer, scheduler = build_optimizer(OptimizerParams.model_validate(params), named)
    assert isinstance(optimizer, AlphaGrad)
    return optimizer, scheduler


def step(optimizer: torch.optim.Optimizer, steps: int = 1) -> None:
    for _ in range(steps):
        for group in optimizer.param_groups:
            for p in group["params"]:
                p.grad = torch.randn_like(p)
        optimizer.step()


def test_two_optimizers_of_one_task_have_schedulers_of_their_own() -> None:
    params = {"alpha_rule": "saturation"}
    actor, first = build(nn.Linear(3, 2).named_parameters(prefix="actor"), **params)
    critic, second = build(nn.Linear(3, 1).named_parameters(prefix="critic"), **params)
    assert first is not None
    assert second is not None
    step(actor, 2)
    step(critic)
    assert (first.last_step, second.last_step) == (2, 1)
    trial = Trial(params={})
    trial.watch(actor, first)
    trial.watch(critic, second)


def test_a_glob_without_a_match_is_refused() -> None:
    with pytest.raises(ValueError, match=r"No layer matches 'actor\.\*', known layers: w"):
        build(alpha_rule="linear", alpha_layers="actor.*")


def test_alphagrads_options_arrive() -> None:
    options = {
        "norm": "none", "transform": "sin", "beta": 2.0, "unit_rms": True, "weight_decay": 0.1,
        "momentum": 0.8, "nesterov": True, "eps": 1e-6,
    }  # fmt: skip
    optimizer, _ = build(**options)
    [group] = optimizer.param_groups
    assert {name: group[name] for name in options} == options
    optimizer, _ = build(dampening=0.9)
    assert optimizer.param_groups[0]["dampening"] == 0.9


OTHERS: dict[str, dict[str, Any]] = {
    "adam": {},
    "sgd": {"momentum": 0.8, "nesterov": True},
    "lion": {},
}


def reference(name: str, named: Any) -> torch.optim.Optimizer:
    from pytorch_optimizer import Lion

    if name == "adam":
        return torch.optim.Adam(named, lr=0.01, eps=1e-5)
    if name == "sgd":
        return torch.optim.SGD(named, lr=0.01, momentum=0.8, nesterov=True)
    return Lion(named, lr=0.01, foreach=False)


@pytest.mark.parametrize("name", OTHERS)
def test_other_optimizers_step_as_their_own_without_foreach(name: str) -> None:
    models = [nn.Linear(5, 3), nn.Linear(5, 3)]
    models[1].load_state_dict(models[0].state_dict())
    params = OptimizerParams.model_validate(
        {"optimizer": name, "learning_rate": 0.01} | OTHERS[name]
    )
    optimizer, scheduler = build_optimizer(params, models[0].named_parameters())
    assert scheduler is None
    for one in (optimizer, reference(name, models[1].named_parameters())):
        torch.manual_seed(0)
        step(one, 5)
    for p, q in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(p, q)


@pytest.mark.parametrize("name", ["alphagrad", *OTHERS])
def test_tensors_and_gradients_stay_where_they_are_in_memory(name: str) -> None:
    memory = np.ones(12, np.float32)
    slots = np.full(12, 0.5, np.float32)
    p = nn.Parameter(torch.from_numpy(memory))
    p.grad = torch.from_numpy(slots)
    grad = p.grad
    params = OptimizerParams.model_validate({"optimizer": name, "learning_rate": 0.01})
    optimizer, _ = build_optimizer(params, [("w", p)])
    for _ in range(2):
        before = memory.copy()
        slots[:] = 0.25
        optimizer.step()
        assert (memory < before).all()
        assert p.grad is grad
        assert (slots == 0.25).all()
        assert p.data_ptr() == memory.ctypes.data


@pytest.mark.parametrize(
    "params",
    [
        {"optimizer": "sgd", "learning_rate": 0.05},
        {"optimizer": "lion", "learning_rate": 1e-3},
        {"alpha_rule": "dynag", "learning_rate": 3e-4},
        {"alpha_rule": "plateau", "alpha_mode": "max", "alpha": 10.0},
    ],
    ids=["sgd", "lion", "dynag", "plateau"],
)
def test_a_task_learns_with_it(params: dict[str, Any]) -> None:
    assert run_task("digits", {"epochs": 8} | params, seed=3) >= 0.9


def test_lion_is_imported_only_where_it_is_chosen() -> None:
    script = (
        "import sys, alphagrad.studies.optimizers\n"
        "print([name for name in ('pytorch_optimizer', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
