"""From parameters to an optimizer, with its α scheduler where the α rule has one."""

from collections.abc import Callable, Iterable

import torch

# The first optimizer of a process imports this, for a second. Done here, where the module is
# imported, it is done once for all the trials that are forked from a process that has it.
import torch._dynamo
from torch import nn

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler import (
    AlphaScheduler,
    ChainedAlpha,
    CosineAlpha,
    ExponentialAlpha,
    LinearAlpha,
    MixScheduler,
    SaturationScheduler,
)
from alphagrad.studies.params import OptimizerParams

# By alpha_rule. AlphaGrad itself holds a constant α, and k·√d where α is none.
SCHEDULERS: dict[str, Callable[..., AlphaScheduler]] = {
    "saturation": SaturationScheduler,
    "linear": LinearAlpha,
    "cosine": CosineAlpha,
    "exponential": ExponentialAlpha,
}


def build_optimizer(
    params: OptimizerParams, named_parameters: Iterable[tuple[str, nn.Parameter]]
) -> tuple[torch.optim.Optimizer, AlphaScheduler | None]:
    """Builds the optimizer that a task's parameters ask for.

    Args:
        params: the optimizer's name, α rule and settings.
        named_parameters: what to train, as `Module.named_parameters` gives it; the names are
            those of the layers in α traces and knob commands.

    Returns:
        The optimizer, and the scheduler that moves its α, already attached to the optimizer's
        step; None where α is left as it starts.
    """
    named_parameters = list(named_parameters)
    if params.optimizer == "adam":
        adam = torch.optim.Adam(
            named_parameters, lr=params.learning_rate, eps=params.eps, fused=True
        )
        return adam, None
    optimizer = AlphaGrad(
        named_parameters,
        lr=params.learning_rate,
        alpha=params.alpha,
        k=params.k,
        momentum=params.momentum,
        eps=params.eps,
        mix=params.mix,
    )
    schedulers: list[AlphaScheduler] = []
    if params.alpha_rule in SCHEDULERS:
        make = SCHEDULERS[params.alpha_rule]
        schedulers.append(make(optimizer, **params.scheduler_arguments()))
    if params.mix_end is not None:
        steps = params.mix_total_steps or 1000
        schedulers.append(
            MixScheduler(optimizer, start=params.mix, end=params.mix_end, total_steps=steps)
        )
    if not schedulers:
        return optimizer, None
    scheduler = schedulers[0] if len(schedulers) == 1 else ChainedAlpha(schedulers)
    return optimizer, scheduler.attach()
