"""The static rule α = k·√d."""

import math

import torch
from torch import Tensor

from alphagrad.optim import AlphaGrad, Size, k_from_saturation, layer_sizes, sqrt_d_alpha
from alphagrad.scheduler.alpha_scheduler import AlphaScheduler


class SqrtDAlpha(AlphaScheduler):
    """Holds α at k·√d per layer (paper, sections 2.1 and 7.2), from its construction on.

    Args:
        optimizer: the optimizer whose α to set.
        k: k of the rule (default: 1.5, unless ``saturation`` is given).
        saturation: f in (0, 1): take the k at which a Gaussian gradient has this saturation,
            τ / Z_{f/2} (default: None).
        tau: τ of that formula, 2.5 unless it is given (default: None).
        d: ``"numel"`` or ``"fan_in"``, see :func:`alphagrad.optim.layer_sizes`
            (default: ``"numel"``).
        layers: glob of the layers to act on (default: all).

    Attributes:
        k: the k in use.
        d: which size is in use.

    Raises:
        TypeError: the optimizer is not an :class:`AlphaGrad`.
        ValueError: both ``k`` and ``saturation`` are given, ``tau`` without ``saturation``, or an
            argument is out of its range.

    Example:
        >>> optimizer = AlphaGrad([torch.zeros(64, 64)], alpha=1.0)
        >>> scheduler = SqrtDAlpha(optimizer, k=0.5)
        >>> optimizer.alphas()
        {'0.0': 32.0}
    """

    _not_saved = AlphaScheduler._not_saved | {"_rule"}

    def __init__(
        self,
        optimizer: AlphaGrad,
        *,
        k: float | None = None,
        saturation: float | None = None,
        tau: float | None = None,
        d: Size = "numel",
        layers: str = "*",
    ) -> None:
        if k is not None and saturation is not None:
            raise ValueError(f"Invalid k={k} with saturation={saturation}, must be one of the two")
        if saturation is not None:
            k = k_from_saturation(saturation, 2.5 if tau is None else tau)
        elif tau is not None:
            raise ValueError(f"Invalid tau: {tau}, has no effect without saturation")
        self.k = 1.5 if k is None else k
        if not 0 < self.k < math.inf:
            raise ValueError(f"Invalid k: {self.k}, must be finite and > 0")
        self.d = d
        layer_sizes([], d=d)  # rejects an unknown d
        self._rule: list[Tensor] = []
        super().__init__(optimizer, layers=layers)
        self._write()

    def get_alpha(self) -> list[Tensor]:
        """Give k·√d for every layer."""
        return self._rule

    def on_groups(self) -> None:
        """Compute k·√d for every group."""
        self._rule = []
        for group in self.optimizer.param_groups:
            sizes = layer_sizes(group["params"], norm=group["norm"], d=self.d)
            alphas = [sqrt_d_alpha(size, self.k) for size in sizes]
            self._rule.append(torch.tensor(alphas, dtype=torch.float32).to(group["pinned"].device))
