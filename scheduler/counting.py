"""The base of schedulers that move α by saturation, counted with a τ of their own."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler.alpha_scheduler import AlphaScheduler


class CountingScheduler(AlphaScheduler):
    """Sets τ of the groups with a layer to act on, and takes no S that was counted with another.

    τ is a group's, and not the scheduler's alone: loading a state into the optimizer brings the τ
    it was saved with, and ZeroRedundancyOptimizer puts that of its own groups over it.

    Args:
        optimizer: the optimizer whose α to move.
        tau: τ: an entry is saturated when |α·g̃| > τ.
        layers: glob of the layers to act on (default: all).

    Raises:
        TypeError: the optimizer is not an :class:`AlphaGrad`.
        ValueError: no layer matches ``layers``; or, at a step, another scheduler counts with
            another τ in the same group.
    """

    _not_saved: ClassVar[frozenset[str]] = AlphaScheduler._not_saved | {"_covered", "_foreign"}

    def __init__(self, optimizer: AlphaGrad, *, tau: float, layers: str = "*") -> None:
        self.tau = float(tau)
        self._covered: set[int] = set()
        self._foreign: dict[int, int] = {}
        super().__init__(optimizer, layers=layers)

    def on_groups(self) -> None:
        """Find the groups with a layer to act on, and set their τ."""
        self._covered = {layer.group for layer in self.covered_layers()}
        self._set_tau()

    def counted(self, g: int, group: dict[str, Any]) -> Tensor:
        """Give S of a group's layers, NaN where the last step counted with another τ.

        Args:
            g: the group's index.
            group: the group, whose τ is set.

        Raises:
            ValueError: it did so two times running.
        """
        s: Tensor = group["saturation"]
        found = group["tau"]
        if g not in self._covered or found == self.tau:
            return s
        if self._foreign.get(g) == self.last_step - 1:
            raise ValueError(
                f"parameter group {g} counts with tau={found}, not {type(self).__name__}'s "
                f"{self.tau}: another scheduler sets it too. Give both the same tau, or put their "
                "layers into groups of their own"
            )
        self._foreign[g] = self.last_step
        group["tau"] = self.tau
        return torch.full_like(s, torch.nan)

    def _set_tau(self) -> None:
        for group in (self.optimizer.param_groups[g] for g in self._covered):
            if group["tau"] != self.tau:
                group["tau"] = self.tau
                group["saturation"].fill_(torch.nan)  # of a step that counted with another
