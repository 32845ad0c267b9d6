"""From parameters to what moves α while a task trains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from alphagrad.optim import AlphaGrad, matching_layers
from alphagrad.scheduler import (
    AlphaScheduler,
    Band,
    BandSchedule,
    ChainedAlpha,
    ConstantAlpha,
    CosineAlpha,
    DynAGAlpha,
    ExponentialAlpha,
    LambdaAlpha,
    LinearAlpha,
    MixScheduler,
    PlateauAlpha,
    PointCurve,
    SaturationScheduler,
    SequentialAlpha,
    SqrtDAlpha,
)
from alphagrad.studies.alpha_params import AlphaParams
from alphagrad.studies.params import OptimizerParams


def build_schedulers(
    params: OptimizerParams, optimizer: AlphaGrad, *, elsewhere: Sequence[str] = ()
) -> list[AlphaScheduler]:
    """Makes what moves α, and λ, by a task's parameters: nothing where α stays as it starts.

    Args:
        params: the task's parameters.
        optimizer: whose α moves.
        elsewhere: the layers of the task's other optimizers: what is for one of them alone is left
            out here.
    """
    names = optimizer.layer_names()

    def is_here(layers: str | None) -> bool:
        glob = layers or "*"
        return bool(matching_layers(names, glob)) or not matching_layers(elsewhere, glob)

    rule, arguments = params.alpha_rule, params.scheduler_arguments()
    parts = [part for part in params.alpha_parts or () if is_here(part.alpha_layers)]
    if rule == "sequential" and 0 < len(parts) < len(params.alpha_parts or ()):
        known = ", ".join(names)
        raise ValueError(
            "alpha_parts: each part of a sequence needs layers of each of the task's optimizers, "
            f"or all of them layers of one; one has {known}"
        )
    schedulers: list[AlphaScheduler] = []
    if not is_here(params.alpha_layers) or (params.alpha_parts and not parts):
        pass
    elif rule == "constant" or rule == "sqrt_d":
        # AlphaGrad starts with α everywhere, or k·√d. What differs is set once, not at each step,
        # so that a turn of the knob lasts.
        if rule == "constant" and arguments and params.alpha is not None:
            ConstantAlpha(optimizer, alpha=params.alpha, **arguments)
        elif rule == "sqrt_d" and arguments:
            k = None if "saturation" in arguments else params.k
            SqrtDAlpha(optimizer, k=k, **arguments)
    elif not parts:
        schedulers.append(_follow(params, optimizer))
    elif rule == "chained":
        schedulers.append(ChainedAlpha([_follow(part, optimizer) for part in parts]))
    else:
        factories = [partial(_follow, part) for part in parts]
        milestones = params.alpha_milestones or ()
        schedulers.append(SequentialAlpha(optimizer, schedulers=factories, milestones=milestones))
    if params.mix_end is not None and is_here(params.mix_layers):
        schedulers.append(
            MixScheduler(
                optimizer,
                start=params.mix,
                end=params.mix_end,
                total_steps=params.mix_total_steps or 1000,
                curve=params.mix_curve or "linear",
                layers=params.mix_layers or "*",
            )
        )
    return schedulers


def _follow(params: AlphaParams, optimizer: AlphaGrad) -> AlphaScheduler:
    """Makes the scheduler of one rule."""
    return SCHEDULERS[params.alpha_rule](optimizer, **params.scheduler_arguments())


def _saturation(
    optimizer: AlphaGrad,
    *,
    band_low: float = 0.05,
    band_high: float = 0.25,
    band_end_low: float | None = None,
    band_end_high: float | None = None,
    band_steps: int | None = None,
    **options: Any,
) -> SaturationScheduler:
    band = Band(band_low, band_high)
    if not (band_end_low and band_end_high and band_steps):
        return SaturationScheduler(optimizer, band, **options)
    target = BandSchedule(band, Band(band_end_low, band_end_high), total_steps=band_steps)
    return SaturationScheduler(optimizer, target, **options)


def _through(
    optimizer: AlphaGrad, *, points: tuple[tuple[int, float], ...], **options: Any
) -> LambdaAlpha:
    return LambdaAlpha(optimizer, alpha_lambda=PointCurve(points), **options)


# By alpha_rule.
SCHEDULERS: dict[str, Callable[..., AlphaScheduler]] = {
    "constant": ConstantAlpha,
    "sqrt_d": SqrtDAlpha,
    "saturation": _saturation,
    "linear": LinearAlpha,
    "cosine": CosineAlpha,
    "exponential": ExponentialAlpha,
    "lambda": _through,
    "plateau": PlateauAlpha,
    "dynag": DynAGAlpha,
}
