"""α by a constant factor per step."""

import math

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler.factor import FactorAlpha, check_positive


class ExponentialAlpha(FactorAlpha):
    """Multiplies α by ``gamma`` at each step, until the product reaches ``end_factor``.

    Args:
        optimizer: the optimizer whose α to move.
        gamma: factor per step (default: 1.0).
        end_factor: where to stop, e.g. 10.0 with ``gamma=1.001``; None never stops (default: None).
        layers: glob of the layers to act on (default: all).

    Raises:
        TypeError: the optimizer is not an :class:`AlphaGrad`.
        ValueError: an argument is out of its range, ``end_factor`` is not on the way, or no layer
            matches ``layers``.

    Example:
        >>> import torch
        >>> weight = torch.zeros(4, requires_grad=True)
        >>> optimizer = AlphaGrad([weight], alpha=10.0)
        >>> scheduler = ExponentialAlpha(optimizer, gamma=0.5, end_factor=0.2).attach()
        >>> for _ in range(4):
        ...     optimizer.step()
        >>> optimizer.alphas()
        {'0.0': 2.0}
    """

    def __init__(
        self,
        optimizer: AlphaGrad,
        *,
        gamma: float = 1.0,
        end_factor: float | None = None,
        layers: str = "*",
    ) -> None:
        check_positive(gamma=gamma)
        if end_factor is not None:
            check_positive(end_factor=end_factor)
            if math.log(end_factor) * math.log(gamma) < 0:
                side = "<= 1" if gamma < 1 else ">= 1"
                raise ValueError(f"Invalid end_factor: {end_factor}, must be {side} as gamma is")
        self.gamma, self.end_factor = gamma, end_factor
        super().__init__(optimizer, layers=layers)

    def log_factor(self, step: int) -> float:
        """Give step·log gamma, up to the end."""
        log = step * math.log(self.gamma)
        if self.end_factor is None:
            return log
        end = math.log(self.end_factor)
        return max(min(log, max(end, 0.0)), min(end, 0.0))
