"""α by a metric that has stopped improving."""

import math
from typing import ClassVar, Literal, NoReturn

from torch import Tensor

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler.alpha_scheduler import AlphaScheduler
from alphagrad.scheduler.factor import check_positive


class PlateauAlpha(AlphaScheduler):
    """Multiplies α by ``factor`` when a metric has stopped improving.

    The words are those of torch's ``ReduceLROnPlateau``. Call :meth:`step` with the metric, say
    after each evaluation; there is nothing to attach. In a task of a study,
    :meth:`alphagrad.tuner.Trial.watch` sees to it that each reported value arrives.

    Args:
        optimizer: the optimizer whose α to move.
        mode: ``"min"`` for a metric that should fall, ``"max"`` for one that should rise
            (default: ``"min"``).
        factor: what α is multiplied by, below or above 1 (default: 0.5).
        patience: steps without improvement that are let pass (default: 10).
        threshold: the least improvement that counts (default: 1e-4).
        threshold_mode: ``"rel"``, a part of the best value, or ``"abs"`` (default: ``"rel"``).
        cooldown: steps after a change in which nothing is counted (default: 0).
        min_alpha: α is not taken below this (default: 1e-3).
        max_alpha: α is not taken above this (default: 1e6).
        layers: glob of the layers to act on (default: all).

    Attributes:
        best: the best metric so far.
        num_bad_steps: steps since it last improved.

    Raises:
        TypeError: the optimizer is not an :class:`AlphaGrad`.
        ValueError: an argument is out of its range, or no layer matches ``layers``.

    Example:
        >>> import torch
        >>> optimizer = AlphaGrad([torch.zeros(4)], alpha=10.0)
        >>> scheduler = PlateauAlpha(optimizer, patience=1)
        >>> optimizer.step()
        >>> for loss in (1.0, 0.9, 0.9, 0.9):
        ...     scheduler.step(loss)
        >>> optimizer.alphas()
        {'0.0': 5.0}
    """

    by_metric: ClassVar[bool] = True

    def __init__(
        self,
        optimizer: AlphaGrad,
        *,
        mode: Literal["min", "max"] = "min",
        factor: float = 0.5,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: Literal["rel", "abs"] = "rel",
        cooldown: int = 0,
        min_alpha: float = 1e-3,
        max_alpha: float = 1e6,
        layers: str = "*",
    ) -> None:
        check_positive(factor=factor, min_alpha=min_alpha, max_alpha=max_alpha)
        if factor == 1.0:
            raise ValueError("Invalid factor: 1.0, must differ from 1")
        if mode not in ("min", "max"):
            raise ValueError(f"Invalid mode: {mode!r}, must be 'min' or 'max'")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"Invalid threshold_mode: {threshold_mode!r}, must be 'rel' or 'abs'")
        for name, value in {
            "patience": patience,
            "threshold": threshold,
            "cooldown": cooldown,
        }.items():
            if not 0 <= value < math.inf:
                raise ValueError(f"Invalid {name}: {value}, must be finite and >= 0")
        if min_alpha > max_alpha:
            raise ValueError(f"Invalid min_alpha: {min_alpha}, must be <= max_alpha {max_alpha}")
        self.mode, self.factor, self.patience, self.cooldown = mode, factor, patience, cooldown
        self.threshold, self.threshold_mode = threshold, threshold_mode
        self.min_alpha, self.max_alpha = min_alpha, max_alpha
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_steps = 0
        self.cooldown_counter = 0
        super().__init__(optimizer, layers=layers)

    def step(self, metric: float) -> None:  # type: ignore[override]
        """Take note of the metric, and change α when it has been bad for too long.

        Args:
            metric: a Python number. NaN is no improvement.
        """
        if self._improves(float(metric)):
            self.best, self.num_bad_steps = float(metric), 0
        else:
            self.num_bad_steps += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_steps = 0
        if self.num_bad_steps > self.patience:
            if self.optimizer.stepped:
                self.cooldown_counter, self.num_bad_steps = self.cooldown, 0
            super().step()

    def observe(self, metric: float) -> None:
        """Call :meth:`step`; a metric from before the optimizer's first step is let pass.

        Args:
            metric: a Python number.
        """
        if self.optimizer.stepped:
            self.step(metric)

    def get_alpha(self) -> list[Tensor]:
        """Give α times the factor, within its bounds; an α beyond a bound is not moved back."""
        moved = []
        for alpha in self.alpha_vectors():
            low, high = alpha.clamp(max=self.min_alpha), alpha.clamp(min=self.max_alpha)
            moved.append((alpha * self.factor).maximum(low).minimum(high))
        return moved

    def attach(self) -> NoReturn:
        """Refuse: a metric is needed at each step.

        Raises:
            TypeError: always.
        """
        raise TypeError(
            "PlateauAlpha needs a metric: call step(metric) instead of attach(); the callbacks of "
            "training libraries have none to give"
        )

    def _improves(self, metric: float) -> bool:
        by = self.threshold * (abs(self.best) if self.threshold_mode == "rel" else 1.0)
        if math.isinf(self.best):
            return math.isfinite(metric)
        return metric < self.best - by if self.mode == "min" else metric > self.best + by
