"""One of each scheduler that steps, for the tests of what all of them keep to."""

from collections.abc import Callable
from functools import partial

from torch import Tensor

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler import (
    AlphaScheduler,
    ChainedAlpha,
    ConstantAlpha,
    CosineAlpha,
    DynAGAlpha,
    ExponentialAlpha,
    LambdaAlpha,
    LinearAlpha,
    PlateauAlpha,
    PointCurve,
    SaturationScheduler,
    SequentialAlpha,
    SqrtDAlpha,
)


class Halve(AlphaScheduler):
    def get_alpha(self) -> list[Tensor]:
        return [alpha / 2 for alpha in super().get_alpha()]


def chained(optimizer: AlphaGrad, layers: str = "*") -> ChainedAlpha:
    curve = ExponentialAlpha(optimizer, gamma=0.9, layers=layers)
    return ChainedAlpha([curve, SaturationScheduler(optimizer, layers=layers)])


def sequential(optimizer: AlphaGrad, layers: str = "*") -> SequentialAlpha:
    def first(optimizer: AlphaGrad) -> AlphaScheduler:
        return ExponentialAlpha(optimizer, gamma=0.9, layers=layers)

    def second(optimizer: AlphaGrad) -> AlphaScheduler:
        return SaturationScheduler(optimizer, layers=layers)

    return SequentialAlpha(optimizer, schedulers=[first, second], milestones=[3])


def with_plateau(optimizer: AlphaGrad, layers: str = "*") -> ChainedAlpha:
    curve = ExponentialAlpha(optimizer, gamma=0.9, layers=layers)
    return ChainedAlpha([PlateauAlpha(optimizer, patience=0, layers=layers), curve])


Factory = Callable[..., AlphaScheduler]
# Each takes an α of 400 down within a step.
SCHEDULERS: dict[str, Factory] = {
    "halve": Halve,
    "constant": partial(ConstantAlpha, alpha=40.0),
    "sqrt_d": SqrtDAlpha,
    "linear": partial(LinearAlpha, start_factor=1.0, end_factor=0.1, total_steps=7),
    "cosine": partial(CosineAlpha, period=7),
    "cosine, restarts": partial(
        CosineAlpha, period=8, restarts=True, period_mult=2, start_factor=0.99
    ),
    "exponential": partial(ExponentialAlpha, gamma=0.9),
    "lambda": partial(LambdaAlpha, alpha_lambda=lambda step: 1 / (1 + step)),
    "saturation": SaturationScheduler,
    "points": partial(LambdaAlpha, alpha_lambda=PointCurve([(0, 1.0), (7, 0.1)])),
    "dynag": DynAGAlpha,
    "chained": chained,
    "chained with a plateau": with_plateau,
    "sequential": sequential,
}
