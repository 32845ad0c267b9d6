"""A scheduler that goes on where another one was."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from alphagrad.optim import AlphaGrad
from alphagrad.optim.options import KNOBS
from alphagrad.scheduler.alpha_scheduler import AlphaScheduler

Factory = Callable[[AlphaGrad], AlphaScheduler]
"""Makes a scheduler of an optimizer: a scheduler's class, or a function with its options."""


def resume(factory: Factory, optimizer: AlphaGrad, state: Mapping[str, Any]) -> AlphaScheduler:
    """Make a scheduler and load its state, and leave α as the optimizer's own state brought it.

    Making some schedulers sets α, which would undo what was loaded into the optimizer before.

    Args:
        factory: makes the scheduler.
        optimizer: its optimizer, with its own state loaded.
        state: from the earlier scheduler's ``state_dict``.

    Returns:
        The scheduler, not attached unless ``factory`` does so.

    Raises:
        ValueError: the state is of another class of scheduler.

    Example:
        >>> import torch
        >>> from alphagrad.scheduler import SqrtDAlpha
        >>> optimizer = AlphaGrad([torch.zeros(4)], alpha=7.0)
        >>> state = SqrtDAlpha(AlphaGrad([torch.zeros(4)])).state_dict()
        >>> scheduler = resume(SqrtDAlpha, optimizer, state)
        >>> optimizer.alphas()
        {'0.0': 7.0}
    """
    kept = [_values(group) for group in optimizer.param_groups]
    scheduler = factory(optimizer)
    scheduler.load_state_dict(dict(state))
    for group, values in zip(optimizer.param_groups, kept, strict=True):
        group.update(values)
    return scheduler


def _values(group: dict[str, Any]) -> dict[str, Any]:
    values = {key: group[key] for key in (*KNOBS, "tau")}
    return {k: v.clone() if isinstance(v, Tensor) else v for k, v in values.items()}
