"""DistributedDataParallel: every rank holds every tensor."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler import SaturationScheduler
from tests.optim.ranks.runs import (
    EVERY_PATH,
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


def _matches_one_process(options: dict[str, Any], folder: Path) -> None:
    alone = make_model()
    reference = make_optimizer(alone, "quantile", **options)
    before = reference.alphas()
    train(alone, reference, range(STEPS))
    model = DistributedDataParallel(make_model())
    optimizer = make_optimizer(model.module, "quantile", **options)
    train(model, optimizer, range(STEPS), rank=dist.get_rank(), world=2)
    assert_eventful(optimizer, before)
    assert_same_on_ranks(optimizer)
    assert_close(snapshot(optimizer), snapshot(reference))


def _redundancy_optimizer(momentum: float, folder: Path) -> None:
    """ZeRO of torch gives each rank whole tensors: it has an AlphaGrad for those alone."""
    from torch.distributed.optim import ZeroRedundancyOptimizer  # warns when imported

    alone = make_model(2)
    options: dict[str, Any] = {"lr": 0.05, "k": 3.0, "momentum": momentum}
    reference = AlphaGrad(alone.parameters(), **options)
    SaturationScheduler(reference, min_numel=1).attach()
    model = DistributedDataParallel(make_model(2))
    optimizer = ZeroRedundancyOptimizer(model.parameters(), optimizer_class=AlphaGrad, **options)
    SaturationScheduler(optimizer.optim, min_numel=1).attach()
    for step in range(STEPS):
        reference.zero_grad()
        backward(alone, step)
        reference.step()
        optimizer.zero_grad()
        backward(model, step, rank=dist.get_rank(), world=2)
        optimizer.step()
    group, mine = reference.param_groups[0], optimizer.optim.param_groups[0]
    order = {p: i for i, p in enumerate(model.parameters())}
    places = [order[p] for p in mine["params"]]
    assert 0 < len(places) < len(group["params"])
    for p, q in zip(group["params"], model.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=2e-5, atol=2e-6)
    for key in ("alpha", "saturation"):
        torch.testing.assert_close(mine[key], group[key][places], rtol=2e-5, atol=2e-6)


CHECKS: Checks = {
    f"DDP {norm}, momentum {momentum}, {path}": partial(
        _matches_one_process, {"norm": norm, "momentum": momentum} | EVERY_PATH[path]
    )
    for norm, momentum in (("tensor", 0.0), ("tensor", 0.9), ("group", 0.9))
    for path in EVERY_PATH
} | {f"ZeroRedundancyOptimizer, momentum {m}": partial(_redundancy_optimizer, m) for m in (0, 0.9)}
