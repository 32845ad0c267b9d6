"""Optimizers that step inside backward, under DDP."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from alphagrad.optim import AlphaGrad
from tests.optim.ranks.runs import (
    STEPS,
    Checks,
    assert_close,
    assert_same_on_ranks,
    backward,
    make_model,
    snapshot,
)


def _under_ddp(options: dict[str, Any], folder: Path) -> None:
    from torch.distributed.optim.apply_optimizer_in_backward import (  # warns when imported
        _apply_optimizer_in_backward,
        _get_in_backward_optimizers,
    )

    alone, inner = make_model(), make_model()
    reference = AlphaGrad(alone.parameters(), lr=0.05, **options)
    _apply_optimizer_in_backward(AlphaGrad, inner.parameters(), {"lr": 0.05} | options)
    model = DistributedDataParallel(inner)
    for step in range(STEPS):
        reference.zero_grad()
        backward(alone, step)
        reference.step()
        # At its end DDP waits for an accelerator's stream, which it takes for granted.
        with patch("torch.accelerator.current_stream"):
            backward(model, step, rank=dist.get_rank(), world=2)
        assert all(p.grad is None for p in inner.parameters())
    optimizers = _get_in_backward_optimizers(inner)
    expected = snapshot(reference)
    for i, optimizer in enumerate(optimizers):
        assert isinstance(optimizer, AlphaGrad)
        assert_same_on_ranks(optimizer)
        found = snapshot(optimizer)
        assert_close({"p": found["0.0"]}, {"p": expected[f"0.{i}"]})
        assert_close({"s": found["0.saturation"]}, {"s": expected["0.saturation"][i : i + 1]})


CHECKS: Checks = {
    f"in backward under DDP, momentum {momentum}": partial(_under_ddp, {"momentum": momentum})
    for momentum in (0.0, 0.9)
}
