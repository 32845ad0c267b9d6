"""λ of the hybrid, over time."""

import math
from typing import ClassVar, Literal

import torch
from torch import Tensor

from alphagrad.optim import AlphaGrad, check_mix
from alphagrad.scheduler.alpha_scheduler import AlphaScheduler
from alphagrad.scheduler.factor import check_count


class MixScheduler(AlphaScheduler):
    """Moves λ of λ·tanh(α·g̃) + (1−λ)·g̃ from one value to another (paper, section 7.5).

    Args:
        optimizer: the optimizer whose ``mix`` to move.
        start: λ when the scheduler is made, in [0, 1] (default: 0.0).
        end: λ from ``total_steps`` on, in [0, 1] (default: 1.0).
        total_steps: steps from the one to the other (default: 1000).
        curve: ``"linear"`` or ``"cosine"`` (default: ``"linear"``).
        layers: glob of the layers to act on (default: all).

    Raises:
        TypeError: the optimizer is not an :class:`AlphaGrad`.
        ValueError: an argument is out of its range, or no layer matches ``layers``.

    Example:
        >>> weight = torch.zeros(4, requires_grad=True)
        >>> optimizer = AlphaGrad([weight])
        >>> scheduler = MixScheduler(optimizer, total_steps=4).attach()
        >>> optimizer.step()
        >>> optimizer.mixes()
        {'0.0': 0.25}
    """

    knob: ClassVar[str] = "mix"

    def __init__(
        self,
        optimizer: AlphaGrad,
        *,
        start: float = 0.0,
        end: float = 1.0,
        total_steps: int = 1000,
        curve: Literal["linear", "cosine"] = "linear",
        layers: str = "*",
    ) -> None:
        self.start, self.end = check_mix(start, "start"), check_mix(end, "end")
        check_count(total_steps=total_steps)
        if curve not in ("linear", "cosine"):
            raise ValueError(f"Invalid curve: {curve!r}, must be 'linear' or 'cosine'")
        self.total_steps, self.curve = total_steps, curve
        super().__init__(optimizer, layers=layers)
        self._write()

    def get_alpha(self) -> list[Tensor]:
        """Give λ at this step, one vector per group."""
        done = min(self.last_step / self.total_steps, 1.0)
        if self.curve == "cosine":
            done = (1 - math.cos(math.pi * done)) / 2
        value = self.start + (self.end - self.start) * done
        return [torch.full_like(mix, value) for mix in self.alpha_vectors()]
