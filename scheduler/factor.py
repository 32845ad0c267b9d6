"""The base of schedules in time: α is multiplied by what a curve says."""

from __future__ import annotations

import math
import struct
from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler.alpha_scheduler import AlphaScheduler

LEAST = 2.0**-16
"""Changes of log α below it wait for more: float32 would round them to one size, or to none."""


class FactorAlpha(AlphaScheduler):
    """Multiplies α by f(t)/f(t−1) at step t, where f is the schedule's curve.

    So α is its first value times f(t), to 1 in 65,536, as long as nobody else changes it, and a
    change by hand, by another scheduler or over REST lasts: the curve goes on from there. Making
    the scheduler multiplies α by f(0).

    A subclass overrides :meth:`log_factor`.

    Args:
        optimizer: the optimizer whose α to move.
        layers: glob of the layers to act on (default: all).

    Raises:
        TypeError: the optimizer is not an :class:`AlphaGrad`.
        ValueError: no layer matches ``layers``.
    """

    _due: float = 0.0  # log α that is yet to be written; pickles of older versions lack it

    def __init__(self, optimizer: AlphaGrad, *, layers: str = "*") -> None:
        self._due = 0.0
        self._withheld: list[Tensor] = []
        super().__init__(optimizer, layers=layers)
        self._write()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue where another was; in a state of an older version nothing is due.

        Args:
            state_dict: from :meth:`state_dict`.

        Raises:
            ValueError: it is from another class.
        """
        super().load_state_dict({"_due": 0.0} | state_dict)

    @abstractmethod
    def log_factor(self, step: int) -> float:
        """Give log f(step), finite. The logarithm, because f itself may leave a float's range."""

    def get_alpha(self) -> list[Tensor]:
        """Give α after one step along the curve."""
        last = self.log_factor(self.last_step - 1) if self.last_step else 0.0
        self._due += self.log_factor(self.last_step) - last
        alphas = self.alpha_vectors()
        found_inf = getattr(self.optimizer, "found_inf", None)
        if found_inf is None and not self._withheld:
            factor = self._factor()
            return alphas if factor == 1.0 else [alpha * factor for alpha in alphas]
        # A step that a GradScaler masks writes nothing: the next one makes up for it.
        change = math.log(self._factor())
        added = [torch.zeros((), device=alpha.device) for alpha in alphas[len(self._withheld) :]]
        due = [
            before.to(alpha.device) + change
            for before, alpha in zip(self._withheld + added, alphas, strict=True)
        ]
        self._withheld = (
            []
            if found_inf is None
            else [torch.where(found_inf.to(one.device) != 0, one, 0.0) for one in due]
        )
        return [alpha * one.exp() for alpha, one in zip(alphas, due, strict=True)]

    def _factor(self) -> float:
        """Take what is due, as the float32 that α is multiplied by; what that rounds off stays."""
        if abs(self._due) < LEAST:
            return 1.0
        factor, rest = math.exp(self._due), 0.0
        if abs(self._due) < 1.0:
            (factor,) = struct.unpack("f", struct.pack("f", factor))
            rest = self._due - math.log(factor)
        self._due = rest
        return factor


def check_positive(**values: float) -> None:
    """Check that numbers are finite and > 0.

    Args:
        values: the numbers by name.

    Raises:
        ValueError: one is not.

    Example:
        >>> check_positive(gamma=0.9)
    """
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise ValueError(f"Invalid {name}: {value}, must be finite and > 0")


def check_count(**values: int) -> None:
    """Check that numbers are whole and ≥ 1.

    Args:
        values: the numbers by name.

    Raises:
        ValueError: one is not.

    Example:
        >>> check_count(total_steps=100)
    """
    for name, value in values.items():
        if not 1 <= value < math.inf or value != int(value):
            raise ValueError(f"Invalid {name}: {value}, must be a whole number >= 1")
