"""FSDP2: every rank holds a part of each tensor, or nothing of it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.distributed.tensor.debug import CommDebugMode

from tests.optim.ranks.runs import (
    PATHS,
    STEPS,
    Checks,
    assert_close,
    assert_eventful,
    assert_same_on_ranks,
    backward,
    make_model,
    make_optimizer,
    snapshot,
    train,
)

OPTIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "norm='group'": {"norm": "group"},
    "momentum": {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    "unit_rms": {"unit_rms": True, "mix": 0.5, "momentum": 0.9},
    "unit_rms, norm='group'": {"unit_rms": True, "norm": "group", "weight_decay": 0.1},
    "norm='none'": {"norm": "none", "alpha": 40.0, "momentum": 0.9},
    "sine": {"transform": "sin", "beta": 2.0, "dampening": 0.5, "momentum": 0.5},
}


def shard(model: nn.Sequential) -> nn.Sequential:
    """Shard a model over both ranks, its first layer apart; in place."""
    mesh = init_device_mesh("cpu", (2,))
    fully_shard(model[0], mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def _matches_one_process(options: dict[str, Any], folder: Path) -> None:
    alone = make_model()
    reference = make_optimizer(alone, **options)
    before = reference.alphas()
    train(alone, reference, range(STEPS))
    model = shard(make_model())
    held = [p.to_local().numel() for p in model.parameters() if isinstance(p, DTensor)]
    assert held == ([21, 3, 5, 1] if dist.get_rank() == 0 else [14, 2, 0, 0])
    optimizer = make_optimizer(model, **options)
    assert optimizer.alphas() == before  # k·√d has the whole d
    train(model, optimizer, range(STEPS), rank=dist.get_rank(), world=2)
    assert_eventful(optimizer, before)
    assert_same_on_ranks(optimizer)
    assert_close(snapshot(optimizer), snapshot(reference))


def _starts_alike(folder: Path) -> None:
    def make() -> nn.Sequential:
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(7, 301), nn.Tanh(), nn.Linear(301, 3))

    alone, model = make(), shard(make())
    reference, optimizer = (make_optimizer(m, "quantile", alpha=1e-3) for m in (alone, model))
    backward(alone, 0)
    reference.step()
    backward(model, 0, rank=dist.get_rank(), world=2)
    optimizer.step()
    assert_same_on_ranks(optimizer)
    expected = reference.alphas()
    for name, alpha in optimizer.alphas().items():
        assert 0.8 < alpha / expected[name] < 1.25


def _sums_per_step(options: dict[str, Any], depth: int) -> dict[str, int]:
    model = shard(make_model(depth))
    optimizer = make_optimizer(model, **options)
    backward(model, 0)
    with CommDebugMode() as counted:  # type: ignore[no-untyped-call]
        optimizer.step()
    return {str(name): count for name, count in counted.get_comm_counts().items()}


def _sums_twice(options: dict[str, Any], folder: Path) -> None:
    few, many = _sums_per_step(options, 1), _sums_per_step(options, 5)
    assert few == many
    assert list(few.values()) == [2], few
    assert "all_reduce" in next(iter(few))


def _grad_scaler(folder: Path) -> None:
    alone, model = make_model(), shard(make_model())
    reference, optimizer = make_optimizer(alone), make_optimizer(model)
    scaler = torch.amp.GradScaler("cpu", init_scale=64.0, growth_interval=3)
    for step in range(6):
        for module, rank, world in ((alone, 0, 1), (model, dist.get_rank(), 2)):
            (reference if module is alone else optimizer).zero_grad()
            backward(module, step, rank=rank, world=world)
        if step == 2:
            # One rank alone sees that the scale was too large.
            for p in model.parameters():
                grad = p.grad.to_local() if isinstance(p.grad, DTensor) else None
                if grad is not None and dist.get_rank() == 1:
                    grad.fill_(torch.inf)
        else:
            reference.step()
        for p in model.parameters():
            assert p.grad is not None
            p.grad.mul_(scaler.get_scale())
        scaler.scale(torch.zeros(()))
        scaler.step(optimizer)
        scaler.update()
    assert scaler.get_scale() == 64.0 / 2 * 2
    assert_same_on_ranks(optimizer)
    assert_close(snapshot(optimizer), snapshot(reference))


CHECKS: Checks = (
    {
        f"FSDP2 {name}, {path}": partial(_matches_one_process, options | PATHS[path])
        for name, options in OPTIONS.items()
        for path in PATHS
    }
    | {
        f"FSDP2 sums twice per step, {name}, {path}": partial(
            _sums_twice, OPTIONS[name] | PATHS[path]
        )
        for name in ("momentum", "unit_rms")
        for path in PATHS
    }
    | {
        "FSDP2 momentum, default": partial(_matches_one_process, OPTIONS["momentum"]),
        "FSDP2 starts alike on both ranks": _starts_alike,
        "FSDP2 and a GradScaler": _grad_scaler,
    }
)
