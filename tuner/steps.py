"""Steps of a training, as trials give them."""

from __future__ import annotations

STEPS = 2**31
"""Steps are below this, as Optuna stores them."""


def checked_step(method: str, step: int) -> int:
    """A step as a Python integer, whatever kind of integer it was.

    Args:
        method: what it was given to, for the error.
        step: the step.

    Raises:
        TypeError: it is no integer.
        ValueError: it is not in [0, 2³¹).

    Example:
        >>> import numpy as np
        >>> checked_step("report", np.int64(3))
        3
    """
    if isinstance(step, bool) or not hasattr(step, "__index__"):
        raise TypeError(f"{method}: the step must be an integer, got {step!r}")
    if not 0 <= step < STEPS:
        raise ValueError(f"{method}: the step must be in [0, {STEPS}), got {step}")
    return int(step)
