"""α along a straight line."""

import math

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler.factor import FactorAlpha, check_count, check_positive


class LinearAlpha(FactorAlpha):
    """Multiplies α by a factor that goes from one value to another in a straight line.

    Low α early and high α late, as the paper's section 7.3 proposes, is
    ``LinearAlpha(optimizer, start_factor=0.2, total_steps=…)``.

    Args:
        optimizer: the optimizer whose α to move.
        start_factor: factor at step 0 (default: 1/3).
        end_factor: factor from ``total_steps`` on (default: 1.0).
        total_steps: steps from the one to the other (default: 1000).
        layers: glob of the layers to act on (default: all).

    Raises:
        TypeError: the optimizer is not an :class:`AlphaGrad`.
        ValueError: an argument is out of its range, or no layer matches ``layers``.

    Example:
        >>> import torch
        >>> weight = torch.zeros(4, requires_grad=True)
        >>> optimizer = AlphaGrad([weight], alpha=10.0)
        >>> scheduler = LinearAlpha(optimizer, start_factor=0.5, total_steps=2).attach()
        >>> for _ in range(3):
        ...     print(optimizer.alphas()["0.0"])
        ...     optimizer.step()
        5.0
        7.5
        10.0
    """

    def __init__(
        self,
        optimizer: AlphaGrad,
        *,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_steps: int = 1000,
        layers: str = "*",
    ) -> None:
        check_positive(start_factor=start_factor, end_factor=end_factor)
        check_count(total_steps=total_steps)
        self.start_factor, self.end_factor = start_factor, end_factor
        self.total_steps = total_steps
        super().__init__(optimizer, layers=layers)

    def log_factor(self, step: int) -> float:
        """Give the logarithm of the line at a step."""
        done = min(step / self.total_steps, 1.0)
        return math.log(self.start_factor + (self.end_factor - self.start_factor) * done)
