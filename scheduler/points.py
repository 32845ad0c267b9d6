"""A curve given as data: the points that it goes through."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from alphagrad.scheduler.factor import check_positive


@dataclass(frozen=True, slots=True)
class PointCurve:
    """A function of the step for :class:`LambdaAlpha`, through points.

    Between two points the logarithm of the factor goes in a straight line; before the first and
    after the last the factor stays.

    Attributes:
        points: pairs of a step and its factor.

    Raises:
        ValueError: there is no point, the steps are not rising from 0 or above, or a factor is not
            finite and > 0.

    Example:
        >>> curve = PointCurve([(0, 1.0), (100, 0.01)])
        >>> [round(curve(step), 6) for step in (0, 50, 100, 200)]
        [1.0, 0.1, 0.01, 0.01]
    """

    points: Sequence[tuple[int, float]]

    def __post_init__(self) -> None:
        if not self.points:
            raise ValueError("Invalid points: none given, must be at least one")
        steps = [step for step, _ in self.points]
        if steps[0] < 0 or sorted(set(steps)) != steps:
            raise ValueError(f"Invalid steps of points: {steps}, must be rising and >= 0")
        for _, factor in self.points:
            check_positive(factor=factor)

    def __call__(self, step: int) -> float:
        """Give the factor at a step.

        Args:
            step: the step.
        """
        after = bisect_right(self.points, step, key=lambda point: point[0])
        if after in (0, len(self.points)):
            return self.points[max(after - 1, 0)][1]
        (first, low), (last, high) = self.points[after - 1 : after + 1]
        done = (step - first) / (last - first)
        return math.exp((1 - done) * math.log(low) + done * math.log(high))
