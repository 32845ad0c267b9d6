"""DTensors made by hand, over meshes of one and two dimensions."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import (
    DTensor,
    Partial,
    Placement,
    Replicate,
    Shard,
    distribute_tensor,
)
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.distributed.tensor.placement_types import _StridedShard

from alphagrad.optim import AlphaGrad, alphagrad
from alphagrad.scheduler import SaturationScheduler
from tests.optim.ranks.runs import (
    PATHS,
    STEPS,
    Checks,
    assert_close,
    assert_same_on_ranks,
    backward,
    make_optimizer,
    snapshot,
)

SHAPES: list[tuple[int, ...]] = [(5, 3), (3, 5), (4, 4), (1, 7), (6,)]
Layout = list[tuple[Placement, ...] | None]

# A mesh, and how each tensor of SHAPES lies on it; None is a plain one, alike on all ranks.
LAYOUTS: dict[str, tuple[tuple[int, ...], Layout]] = {
    # The other rank holds no entry at all.
    "on one rank": ((2,), [(Shard(0),)]),
    "on a line": ((2,), [(Shard(0),), (Shard(1),), (Replicate(),), (Shard(0),), (Shard(0),)]),
    "beside plain ones": ((2,), [(Shard(0),), None, (Replicate(),), (Shard(1),), None]),
    "replicated": ((2,), [(Replicate(),)] * 5),
    "in a column": ((2, 1), [(Shard(0), Shard(1))] * 4 + [(Shard(0), Replicate())]),
    "in a row": ((1, 2), [(Replicate(), Shard(0))] * 4 + [(Shard(0), Shard(0))]),
    "in two ways": ((2, 1), [(Replicate(), Shard(0)), (Shard(0), Replicate())] * 2 + [None]),
}


def _place(value: Tensor, mesh: DeviceMesh, placements: tuple[Placement, ...] | None) -> Tensor:
    return value.clone() if placements is None else distribute_tensor(value, mesh, placements)


def _by_hand(layout: str, options: dict[str, Any], folder: Path) -> None:
    shape, placed = LAYOUTS[layout]
    shapes = SHAPES if len(placed) == len(SHAPES) else [(1, 7)]
    mesh = init_device_mesh("cpu", shape)
    torch.manual_seed(1)
    values = [torch.randn(s) for s in shapes]
    plain = [nn.Parameter(value.clone()) for value in values]
    spread = [nn.Parameter(_place(v, mesh, p)) for v, p in zip(values, placed, strict=True)]
    options = {"lr": 0.05, "k": 3.0} | options
    optimizers = [AlphaGrad(ps, **options) for ps in (plain, spread)]
    for optimizer in optimizers:
        SaturationScheduler(optimizer, start="keep").attach()
    for step in range(STEPS):
        torch.manual_seed(step)
        for i, (p, q) in enumerate(zip(plain, spread, strict=True)):
            gradient = torch.randn(p.shape)
            if (step, i) == (3, 0):
                gradient[-1] = torch.nan
            p.grad, q.grad = gradient, _place(gradient, mesh, placed[i])
        for optimizer in optimizers:
            optimizer.step()
    assert sum(sum(counts.values()) for counts in optimizers[1].skipped().values()) > 0
    assert_same_on_ranks(optimizers[1])
    assert_close(snapshot(optimizers[1]), snapshot(optimizers[0]))


def _tensor_parallel(shape: tuple[int, int], options: dict[str, Any], folder: Path) -> None:
    def make() -> nn.Sequential:  # torch itself wants the hidden layer to divide by 2 here
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(7, 6), nn.Tanh(), nn.Linear(6, 1))

    alone = make()
    reference = make_optimizer(alone, **options)
    mesh = init_device_mesh("cpu", shape, mesh_dim_names=("data", "tensor"))
    plan = {"0": ColwiseParallel(), "2": RowwiseParallel()}
    model = fully_shard(parallelize_module(make(), mesh["tensor"], plan), mesh=mesh["data"])
    optimizer = make_optimizer(model, **options)
    rank = mesh["data"].get_local_rank()
    for step in range(STEPS):
        reference.zero_grad()
        backward(alone, step)
        reference.step()
        optimizer.zero_grad()
        backward(model, step, rank=rank, world=shape[0])
        optimizer.step()
    assert_same_on_ranks(optimizer)
    assert_close(snapshot(optimizer), snapshot(reference))


def _shards_by_another_name(folder: Path) -> None:
    # fully_shard gives this placement to what tensor parallelism has sharded in the same dimension.
    mesh = init_device_mesh("cpu", (2,))
    part = torch.arange(1.0, 7.0).view(2, 3)[dist.get_rank()]
    spread = DTensor.from_local(part, mesh, [_StridedShard(0, split_factor=1)])
    p = torch.zeros_like(spread)
    p.grad, optimizer = spread, AlphaGrad([p], alpha=20.0)
    optimizer.step()
    # α·g̃ is 20·(1, …, 6)/√91, and τ is 2.5.
    assert optimizer.saturation() == {"0.0": pytest.approx(5 / 6)}


def _gradients_laid_out_otherwise(folder: Path) -> None:
    mesh = init_device_mesh("cpu", (2,))
    value, gradient = torch.randn(5, 3), torch.arange(15.0).view(5, 3) - 4
    plain = value.clone()
    plain.grad = gradient
    spread = distribute_tensor(value, mesh, [Shard(0)])
    # A sum that is yet to be made, as tensor parallelism may leave it.
    spread.grad = DTensor.from_local(gradient / 2, mesh, [Partial()])
    for p in (plain, spread):
        AlphaGrad([p], lr=0.1).step()
    assert isinstance(spread, DTensor)
    torch.testing.assert_close(spread.full_tensor(), plain)


def _refusals(folder: Path) -> None:
    mesh = init_device_mesh("cpu", (2,))
    p, plain = distribute_tensor(torch.ones(4, 3), mesh, [Shard(0)]), torch.ones(4, 3)
    across = distribute_tensor(torch.ones(4, 3), mesh, [Shard(1)])
    vectors: Any = {"saturation": torch.zeros(1), "skipped": torch.zeros(3, 1, dtype=torch.int64)}
    for params, grads, buffers, message in (
        ([p], [plain], [], "Invalid gradient: a plain tensor"),
        ([plain], [p], [], "Invalid gradient: a DTensor"),
        ([p], [p], [plain], "Invalid momentum_buffer: a plain tensor"),
        ([p], [p], [across], r"Invalid momentum_buffer: a DTensor with placements \(Shard\(dim=1"),
    ):
        with pytest.raises(ValueError, match=message):
            alphagrad(params, grads, buffers, alpha=1.0, lr=0.1, momentum=0.5, **vectors)
    with pytest.raises(ValueError, match="must be sharded or replicated"):
        AlphaGrad([DTensor.from_local(plain, mesh, [Partial()])])
    p.grad = torch.ones_like(p)
    with pytest.raises(RuntimeError, match="fused=True cannot run here"):
        AlphaGrad([p], fused=True).step()
    assert bool((p.to_local() == 1).all())


OPTIONS: dict[str, dict[str, Any]] = {
    "unit_rms": {"unit_rms": True, "weight_decay": 0.1},
    "norm='group'": {"norm": "group", "momentum": 0.9},
    "rate 0": {"lr": 0.0},
}
CHECKS: Checks = (
    {
        f"DTensors {layout}, {name}, {path}": partial(_by_hand, layout, options | PATHS[path])
        for layout in LAYOUTS
        for name, options in OPTIONS.items()
        for path in PATHS
        if name != "rate 0" or layout == "on one rank"
    }
    | {
        f"tensor parallelism under FSDP2 {shape}, {path}": partial(
            _tensor_parallel, shape, {"unit_rms": True} | PATHS[path]
        )
        for shape in ((2, 1), (1, 2))
        for path in PATHS
    }
    | {
        "DTensors beside plain ones, default": partial(_by_hand, "beside plain ones", {}),
        "DTensors that are sharded by another name": _shards_by_another_name,
        "DTensors with gradients laid out otherwise": _gradients_laid_out_otherwise,
        "DTensors that are refused": _refusals,
    }
)
