"""α along half a cosine, once or with warm restarts."""

import math

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler.factor import FactorAlpha, check_count, check_positive


class CosineAlpha(FactorAlpha):
    """Multiplies α by a factor that goes from one value to another along half a cosine.

    With ``restarts`` the curve starts again at its end (warm restarts), each period ``period_mult``
    times as long as the one before; without, it stays at its end.

    Args:
        optimizer: the optimizer whose α to move.
        start_factor: factor at the start of a period (default: 1.0).
        end_factor: factor at its end (default: 0.1).
        period: steps of the first period (default: 1000).
        restarts: whether to start again (default: False).
        period_mult: growth of the periods, a whole number ≥ 1 (default: 1).
        layers: glob of the layers to act on (default: all).

    Raises:
        TypeError: the optimizer is not an :class:`AlphaGrad`.
        ValueError: an argument is out of its range, or no layer matches ``layers``.

    Example:
        >>> import torch
        >>> weight = torch.zeros(4, requires_grad=True)
        >>> optimizer = AlphaGrad([weight], alpha=10.0)
        >>> scheduler = CosineAlpha(optimizer, end_factor=0.2, period=2).attach()
        >>> for _ in range(3):
        ...     print(round(optimizer.alphas()["0.0"], 4))
        ...     optimizer.step()
        10.0
        6.0
        2.0
    """

    def __init__(
        self,
        optimizer: AlphaGrad,
        *,
        start_factor: float = 1.0,
        end_factor: float = 0.1,
        period: int = 1000,
        restarts: bool = False,
        period_mult: int = 1,
        layers: str = "*",
    ) -> None:
        check_positive(start_factor=start_factor, end_factor=end_factor)
        check_count(period=period, period_mult=period_mult)
        self.start_factor, self.end_factor = start_factor, end_factor
        self.period, self.restarts, self.period_mult = period, restarts, period_mult
        super().__init__(optimizer, layers=layers)

    def log_factor(self, step: int) -> float:
        """Give the logarithm of the cosine at a step."""
        half = math.cos(math.pi * self._phase(step)) / 2 + 0.5
        return math.log(self.end_factor + (self.start_factor - self.end_factor) * half)

    def _phase(self, step: int) -> float:
        """Give the part of the period that is over, in [0, 1]."""
        if not self.restarts:
            return min(step / self.period, 1.0)
        if self.period_mult == 1:
            return step % self.period / self.period
        length, start = self.period, 0
        while step >= start + length:
            start, length = start + length, length * self.period_mult
        return (step - start) / length
