"""Spaces with finitely many points, each known by its place: slot n takes the n-th."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from alphagrad.tuner.space import (
    CategoricalDimension,
    Dimension,
    FloatDimension,
    Parameter,
    dimensions,
    holds,
    nth,
)

SLOT = "alphagrad:slot"
"""The attribute of Optuna's trial that holds its slot's number."""
MOST_VALUES = 100_000
"""So many values of one parameter at most, and combinations of those that conditions name."""
MOST_DIMENSIONS = 200


class Grid:
    """All points of a space.

    A parameter with a ``when`` multiplies only the points in which its condition holds.

    Args:
        params: the space.
        points: how many values a float without ``step`` gets, evenly spaced (on a log scale where
            the dimension has one); None if it may have none.

    Raises:
        ValueError: a parameter has no, or too many, values.

    Example:
        >>> from alphagrad.tuner.space import IntDimension
        >>> grid = Grid({"a": IntDimension(type="int", low=1, high=3), "b": 5}, points=None)
        >>> grid.size, grid.point(1)
        (3, {'a': 2})
    """

    def __init__(self, params: Mapping[str, Parameter], *, points: int | None) -> None:
        space = dimensions(params)
        self._conditions = [dimension.when for dimension in space.values()]
        self._values = [(name, _values(name, d, points)) for name, d in space.items()]
        self._constants = {name: v for name, v in params.items() if name not in space}
        # Only what a condition names makes a difference to how many points follow.
        self._named = {name for when in self._conditions for name in when or ()}
        self._must_be_countable()
        self._count = cache(self._count_from)

    def _must_be_countable(self) -> None:
        if len(self._values) > MOST_DIMENSIONS:
            raise ValueError(
                f"{len(self._values)} parameters are searched: at most {MOST_DIMENSIONS} on a grid"
            )
        ways = math.prod(len(values) for name, values in self._values if name in self._named)
        if ways > MOST_VALUES:
            named = ", ".join(sorted(self._named))
            raise ValueError(
                f"the parameters that a `when` names ({named}) have {ways} combinations: at most "
                f"{MOST_VALUES} on a grid"
            )

    @property
    def size(self) -> int:
        """How many points there are."""
        return self._count(0, ())

    def point(self, place: int) -> dict[str, Any]:
        """Give the values of the parameters that are searched; the last one changes fastest."""
        chosen: dict[str, Any] = {}
        for i, (name, values) in enumerate(self._values):
            if not self._is_drawn(i, chosen):
                continue
            for value in values:
                count = self._count(i + 1, self._key(chosen | {name: value}))
                if place < count:
                    chosen[name] = value
                    break
                place -= count
        return chosen

    def _count_from(self, i: int, key: tuple[tuple[str, Any], ...]) -> int:
        if i == len(self._values):
            return 1
        chosen, (name, values) = dict(key), self._values[i]
        if not self._is_drawn(i, chosen):
            return self._count(i + 1, key)
        if name not in self._named:
            return len(values) * self._count(i + 1, key)
        return sum(self._count(i + 1, self._key(chosen | {name: v})) for v in values)

    def _is_drawn(self, i: int, chosen: Mapping[str, Any]) -> bool:
        return holds(self._conditions[i], self._constants | dict(chosen))

    def _key(self, chosen: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
        return tuple((name, value) for name, value in chosen.items() if name in self._named)


class GridSampler(BaseSampler):
    """Optuna's interface to a grid.

    Optuna's own looks for a point that no trial has taken yet, so that two workers that ask at once
    may get the same one. Here the trial's slot is the place: nothing has to be looked up, and a
    number that is lost with its worker leaves no gap.

    Args:
        grid: the points.
        shuffle_seed: take them in a random order; None is in theirs.
    """

    def __init__(self, grid: Grid, *, shuffle_seed: int | None) -> None:
        self._grid, self._seed = grid, shuffle_seed

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Nothing is drawn together."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Nothing is drawn together."""
        return {}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Give the point's value."""
        slot = trial.system_attrs[SLOT]
        place = slot if self._seed is None else self._shuffled[slot]
        return self._grid.point(place)[param_name]

    @cached_property
    def _shuffled(self) -> list[int]:
        places = list(range(self._grid.size))
        random.Random(self._seed).shuffle(places)
        return places


def _values(name: str, dimension: Dimension, points: int | None) -> Sequence[Any]:
    if isinstance(dimension, CategoricalDimension):
        return dimension.choices
    low, high, step = dimension.low, dimension.high, dimension.step
    if step is None:
        if points is None:
            raise ValueError(f"{name} has infinitely many values: give it a step")
        assert isinstance(dimension, FloatDimension)
        return _spaced(dimension, points)
    whole = not isinstance(dimension, FloatDimension)
    if ((high - low) // step if whole else (high - low) / step) >= MOST_VALUES:
        raise ValueError(f"{name} has more than {MOST_VALUES} values: give it a larger step")
    if not isinstance(dimension, FloatDimension):
        return range(dimension.low, dimension.high + 1, dimension.step)
    return [nth(dimension, place) for place in range(round((dimension.top - low) / step) + 1)]


def _spaced(dimension: FloatDimension, points: int) -> list[float]:
    low, high = dimension.low, dimension.high
    if points == 1 or low == high:
        return [low]
    shares = [i / (points - 1) for i in range(1, points - 1)]
    if dimension.log:
        inner = [low * (high / low) ** share for share in shares]
    else:
        inner = [low + (high - low) * share for share in shares]
    return [low, *inner, high]
