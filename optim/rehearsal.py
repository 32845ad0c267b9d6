"""The step that torch.distributed.checkpoint takes to create an optimizer's state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from alphagrad.optim.sharded import local_parts


def is_rehearsal(groups: Sequence[dict[str, Any]]) -> bool:
    """Say whether a step now would be torch.distributed.checkpoint's and none of training.

    Before it reads or loads the state of an optimizer that has none, torch sets each learning rate
    to 0, each gradient to zeros, and takes a step. Without momentum that is at every checkpoint.
    Waits for the device only where a step cannot move anything: without state, at a rate of 0.

    Args:
        groups: the parameter groups of an optimizer without state.
    """
    for group in groups:  # the usual step ends at the first
        if not _is_zero(group["lr"]):
            return False
    if torch.cuda.is_available() and torch.cuda.is_current_stream_capturing():
        return False
    return not any(_has_entries(group["params"]) for group in groups)


def _is_zero(lr: float | Tensor) -> bool:
    # torch puts its 0 on the CPU, so a tensor elsewhere need not be read.
    return bool(lr.is_cpu and lr == 0) if isinstance(lr, Tensor) else lr == 0


def _has_entries(params: Sequence[Tensor]) -> bool:
    """Say, alike on all ranks, whether one gradient of a group is not all zeros."""
    params = [p for p in params if p.grad is not None]
    if not params:
        return False
    _, grads, _, reduce = local_parts(params, [p.grad for p in params], ())
    counts = [torch.count_nonzero(g.detach()) for g in grads if g is not None]
    return bool(reduce(torch.stack(counts).unsqueeze(0)).any())
