"""α held at one value."""

from typing import ClassVar

import torch
from torch import Tensor

from alphagrad.optim import AlphaGrad, check_alpha
from alphagrad.scheduler.alpha_scheduler import AlphaScheduler


class ConstantAlpha(AlphaScheduler):
    """Holds α at one value, from its construction on.

    Args:
        optimizer: the optimizer whose α to set.
        alpha: the value.
        layers: glob of the layers to act on (default: all).

    Raises:
        TypeError: the optimizer is not an :class:`AlphaGrad`.
        ValueError: ``alpha`` is not finite and > 0, or no layer matches ``layers``.

    Example:
        >>> optimizer = AlphaGrad([torch.zeros(64, 64)])
        >>> scheduler = ConstantAlpha(optimizer, alpha=98.0)
        >>> optimizer.alphas()
        {'0.0': 98.0}
    """

    _not_saved: ClassVar[frozenset[str]] = AlphaScheduler._not_saved | {"_vectors"}

    def __init__(self, optimizer: AlphaGrad, *, alpha: float, layers: str = "*") -> None:
        self.alpha = check_alpha(alpha)
        self._vectors: list[Tensor] = []
        super().__init__(optimizer, layers=layers)
        self._write()

    def get_alpha(self) -> list[Tensor]:
        """Give the value for every layer."""
        return self._vectors

    def on_groups(self) -> None:
        """Make one vector per group."""
        self._vectors = [torch.full_like(alpha, self.alpha) for alpha in self.alpha_vectors()]
