"""Ranges of numbers: which are allowed, and where one with a step ends."""

from __future__ import annotations

import math
from decimal import Decimal


def check_range(low: float, high: float, *, log: bool, step: float | None) -> None:
    """Check the bounds of a dimension.

    Raises:
        ValueError: says what does not fit together, with the values.
    """
    if low > high:
        raise ValueError(f"low must not exceed high, got low={low} and high={high}")
    if math.isinf(high - low):
        raise ValueError(f"high - low must be a finite number, got low={low} and high={high}")
    if log and low <= 0:
        raise ValueError(f"a log range needs low > 0, got low={low}")
    if log and step is not None:
        raise ValueError(f"a log range takes no step, got step={step}")
    if step is not None and step <= 0:
        raise ValueError(f"step must be positive, got {step}")


def top_of(low: float, high: float, step: float) -> float:
    """The last value that steps from ``low`` reach, as Optuna has it: reckoned in decimals.

    Example:
        >>> top_of(0.0, 0.75, 0.1), 7 * 0.1
        (0.7, 0.7000000000000001)
    """
    first, last, each = Decimal(str(low)), Decimal(str(high)), Decimal(str(step))
    span = last - first
    return high if span % each == 0 else float(span // each * each + first)
