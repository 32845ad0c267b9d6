"""DistributedDataParallel: every rank holds every tensor."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler import AlphaScheduler, MixScheduler, PlateauAlpha, SaturationScheduler
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
from tests.scheduler.cases import SCHEDULERS, Factory

# Those that steps alone do not move, or that move something else, beside those of the contract.
MOVERS: dict[str, Factory] = SCHEDULERS | {
    "plateau": partial(PlateauAlpha, patience=1),
    "mix": partial(MixScheduler, total_steps=STEPS),
}


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


def _scheduled(factory: Factory, folder: Path) -> None:
    """Every scheduler moves α on each rank as it does in one process."""
    alone = make_model()
    reference, expected = _follow(alone, alone, factory)
    model = DistributedDataParallel(make_model())
    optimizer, moved = _follow(model, model.module, factory, rank=dist.get_rank(), world=2)
    torch.testing.assert_close(moved, expected, rtol=2e-5, atol=2e-6)
    assert_close(snapshot(optimizer), snapshot(reference))
    assert_same_on_ranks(optimizer)
    assert len({tuple(row) for row in moved.tolist()}) > 1
    traces = [torch.empty_like(moved) for _ in range(2)]
    dist.all_gather(traces, moved)
    assert traces[0].equal(traces[1])


def _follow(
    model: Any, module: Any, factory: Factory, **share: int
) -> tuple[AlphaGrad, torch.Tensor]:
    """Train under a scheduler; give what it moved, before the first step and after each."""
    optimizer = AlphaGrad(module.named_parameters(), lr=0.05, k=30.0)
    rows = [torch.cat(AlphaScheduler(optimizer).get_last_alpha())]
    scheduler = factory(optimizer)
    if scheduler.knob != "alpha":
        rows = [torch.cat(scheduler.get_last_alpha())]
    if not scheduler.by_metric:
        scheduler.attach()
    for step in range(STEPS):
        train(model, optimizer, range(step, step + 1), **share)
        scheduler.observe(1.0)
        rows.append(torch.cat(scheduler.get_last_alpha()))
    return optimizer, torch.stack(rows)


CHECKS: Checks = {
    **{
        f"DDP {norm}, momentum {momentum}, {path}": partial(
            _matches_one_process, {"norm": norm, "momentum": momentum} | EVERY_PATH[path]
        )
        for norm, momentum in (("tensor", 0.0), ("tensor", 0.9), ("group", 0.9))
        for path in EVERY_PATH
    },
    **{f"DDP, {name}": partial(_scheduled, factory) for name, factory in MOVERS.items()},
    **{
        f"ZeroRedundancyOptimizer, momentum {m}": partial(_redundancy_optimizer, m)
        for m in (0, 0.9)
    },
}
