"""α by a function of the step."""

import math
from collections.abc import Callable
from typing import ClassVar

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler.factor import FactorAlpha


class LambdaAlpha(FactorAlpha):
    """Multiplies α by what a function of the step says.

    Args:
        optimizer: the optimizer whose α to move.
        alpha_lambda: takes a step, from 0 on, and gives a factor, finite and > 0. Not saved in
            ``state_dict``.
        layers: glob of the layers to act on (default: all).

    Raises:
        TypeError: the optimizer is not an :class:`AlphaGrad`.
        ValueError: the function gives no valid factor, or no layer matches ``layers``.

    Example:
        >>> import torch
        >>> optimizer = AlphaGrad([torch.zeros(4)], alpha=10.0)
        >>> scheduler = LambdaAlpha(optimizer, alpha_lambda=lambda step: 1 / (step + 1)).attach()
        >>> optimizer.step()
        >>> optimizer.alphas()
        {'0.0': 5.0}
    """

    _not_saved: ClassVar[frozenset[str]] = FactorAlpha._not_saved | {"alpha_lambda"}

    def __init__(
        self, optimizer: AlphaGrad, *, alpha_lambda: Callable[[int], float], layers: str = "*"
    ) -> None:
        self.alpha_lambda = alpha_lambda
        super().__init__(optimizer, layers=layers)

    def log_factor(self, step: int) -> float:
        """Give the logarithm of the function's factor."""
        factor = self.alpha_lambda(step)
        if not 0 < factor < math.inf:
            raise ValueError(f"Invalid factor: {factor} at step {step}, must be finite and > 0")
        return math.log(factor)
