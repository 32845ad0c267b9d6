"""What a task's result, or one told over HTTP, makes of its trial."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import optuna

from alphagrad.tuner.messages import Finished, OutOfSpace


def outcome(value: Any, *, n_objectives: int = 1) -> Finished:
    """What a task's return value makes of its trial.

    A finite number completes it, or a sequence of as many as there are objectives. NaN, infinities,
    ``None``, booleans and text fail it: no sampler can learn from them. In a stack a
    ``TrialPruned`` stands for itself.

    Example:
        >>> outcome(0.5)
        Finished(state='COMPLETE', value=0.5, constraints=None, error=None, retryable=True)
        >>> outcome(float("inf")).error
        'the task returned inf; a finite number is needed'
        >>> outcome((0.5, 2), n_objectives=2).value
        [0.5, 2.0]
    """
    if isinstance(value, optuna.TrialPruned):
        return Finished(state="PRUNED")
    if n_objectives == 1:
        numbers, needed = [_number(value)], "a finite number is needed"
    else:
        # A sequence, an array or a tensor; a set has no order, and a text is no numbers.
        listed = value.tolist() if hasattr(value, "tolist") else value
        numbers = [_number(one) for one in listed] if isinstance(listed, list | tuple) else []
        needed = f"{n_objectives} finite numbers are needed, one for each objective"
    if len(numbers) != n_objectives or not all(map(math.isfinite, numbers)):
        return Finished(
            state="FAIL",
            error=f"the task returned {value!r}; {needed}",
            retryable=False,  # the same seed gives the same number
        )
    return Finished(state="COMPLETE", value=numbers[0] if n_objectives == 1 else numbers)


def with_constraints(
    end: Finished | OutOfSpace, given: Mapping[str, float], needed: Sequence[str]
) -> Finished | OutOfSpace:
    """Add its constraints to a trial's end; a complete one that lacks some has failed.

    Args:
        end: how the trial ended.
        given: the constraints that it set.
        needed: the names of the study's.
    """
    if not needed or isinstance(end, OutOfSpace) or end.state == "FAIL":
        return end
    if missing := [name for name in needed if name not in given]:
        if end.state == "PRUNED":
            return end
        message = f"the study's constraint {missing[0]!r} was not set; see Trial.set_constraint"
        return Finished(state="FAIL", error=message, retryable=False)
    return replace(end, constraints={name: given[name] for name in needed})


def _number(value: Any) -> float:
    """The value as a number, or NaN if it is none."""
    if isinstance(value, str | bytes | bool) or value is None:
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # 10**400, a complex tensor
        return math.nan
