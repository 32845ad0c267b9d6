"""What the checks share: a model that shards unevenly, its training, and comparisons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler import SaturationScheduler

# DTensors take the loop by default on the CPU, and never the native kernel.
PATHS: dict[str, dict[str, Any]] = {"loop": {"foreach": False}, "foreach": {"foreach": True}}
EVERY_PATH = PATHS | {"default": {}}
STEPS = 10
Checks = Mapping[str, Callable[[Path], None]]


def make_model(depth: int = 1) -> nn.Sequential:
    """Make a model whose 2 + 2·depth tensors divide by 2 nowhere, with a bias of one entry."""
    torch.manual_seed(0)
    hidden = [layer for _ in range(depth - 1) for layer in (nn.Linear(5, 5), nn.Tanh())]
    return nn.Sequential(nn.Linear(7, 5), nn.Tanh(), *hidden, nn.Linear(5, 1))


def make_optimizer(
    model: Any, start: Literal["quantile", "keep"] = "keep", **options: Any
) -> AlphaGrad:
    """Make an optimizer whose α is moved, by default not to a quantile, which shards estimate."""
    optimizer = AlphaGrad(model.named_parameters(), **({"lr": 0.05, "k": 3.0} | options))
    SaturationScheduler(optimizer, start=start).attach()
    return optimizer


def backward(model: Any, step: int, *, rank: int = 0, world: int = 1) -> None:
    """Give gradients of a step's batch, of which each rank sees its share."""
    torch.manual_seed(step)
    x, y = torch.randn(8, 7), torch.randn(8, 1)
    share = slice(rank * 8 // world, (rank + 1) * 8 // world)
    loss = nn.functional.mse_loss(model(x[share]), y[share])
    loss.backward()  # type: ignore[no-untyped-call]


def spoil(model: Any, step: int) -> None:
    """Spoil some gradients after they were averaged: non-finite, zero, missing."""
    params = list(model.parameters())
    if step == 3:
        # The last entry: where tensors are sharded, another rank than the first holds it.
        grad = local(params[0].grad)
        if grad is not None and (not isinstance(params[0], DTensor) or dist.get_rank() == 1):
            grad.view(-1)[-1] = torch.nan
    if step == 5:
        assert params[1].grad is not None
        params[1].grad.zero_()
    if step == 6:
        params[2].grad = None


def train(model: Any, optimizer: AlphaGrad, steps: range, **share: int) -> None:
    """Take steps, some of them with spoiled gradients."""
    for step in steps:
        optimizer.zero_grad()
        backward(model, step, **share)
        spoil(model, step)
        optimizer.step()


def local(t: Any) -> Any:
    """Give this rank's part of a tensor."""
    return t.to_local() if isinstance(t, DTensor) else t


def whole(t: Tensor) -> Tensor:
    """Give the whole of a tensor."""
    return (t.full_tensor() if isinstance(t, DTensor) else t).detach()


def snapshot(optimizer: AlphaGrad) -> dict[str, Tensor]:
    """Give all that a step changes, whole."""
    found: dict[str, Tensor] = {}
    for g, group in enumerate(optimizer.param_groups):
        for key in ("alpha", "saturation", "skipped", "pinned"):
            found[f"{g}.{key}"] = torch.as_tensor(group[key]).clone()
        for i, p in enumerate(group["params"]):
            found[f"{g}.{i}"] = whole(p).clone()
            for key, value in optimizer.state.get(p, {}).items():
                found[f"{g}.{i}.{key}"] = whole(value).clone()
    return found


def assert_close(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Compare two snapshots to float tolerance."""
    assert actual.keys() == expected.keys()
    torch.testing.assert_close(actual, expected, rtol=2e-5, atol=2e-6, equal_nan=True)


def assert_same(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Compare two snapshots bit for bit."""
    assert actual.keys() == expected.keys()
    for key, value in actual.items():
        assert value.dtype == expected[key].dtype, key
        assert value.numpy().tobytes() == expected[key].numpy().tobytes(), key


def assert_same_on_ranks(optimizer: AlphaGrad) -> None:
    """Compare what the ranks hold bit for bit."""
    mine = snapshot(optimizer)
    gathered: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(gathered, mine)
    for other in gathered:
        assert_same(mine, other)


def assert_eventful(optimizer: AlphaGrad, before: dict[str, float]) -> None:
    """Say that a run moved α of each layer, and skipped for each reason."""
    after = optimizer.alphas()
    assert after.keys() == before.keys()
    assert all(after[name] != before[name] for name in before)
    counts = list(optimizer.skipped().values())
    assert any(c["non_finite"] for c in counts)
    if len(counts) > 1:
        assert any(c["zero"] for c in counts)
        assert any(c["missing"] for c in counts)
