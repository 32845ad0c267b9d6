"""Population-based training (Jaderberg et al., 2017): who learns from whom, and with what change.

Pure functions in the words of Ray's ``PopulationBasedTraining``; what they decide is carried out
and recorded in :mod:`alphagrad.tuner.exploits`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from alphagrad.tuner.space import CategoricalDimension, Dimension, Parameter, dimensions, nth
from alphagrad.tuner.steps import STEPS
from alphagrad.tuner.text import Text

Factor = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Population(BaseModel):
    """What makes a study one of population-based training; its trials are the members.

    Example:
        >>> Population(perturbation_interval=10, mutate=["alpha"]).quantile_fraction
        0.25
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    perturbation_interval: Annotated[int, Field(ge=1, lt=STEPS)]
    """Steps, as the task reports them, between the checkpoints at which a member is judged."""
    mutate: Annotated[list[Text], Field(min_length=1)]
    """The searched parameters that a member changes when it takes over another's (Ray's
    ``hyperparam_mutations``); their ranges are those of ``params``."""
    quantile_fraction: Annotated[float, Field(gt=0, le=0.5)] = 0.25
    """The part of the population at its lower end that exploits one of the part at its upper."""
    resample_probability: Annotated[float, Field(ge=0, le=1)] = 0.25
    """How often a parameter is drawn anew rather than multiplied."""
    perturbation_factors: Annotated[list[Factor], Field(min_length=1)] = [0.8, 1.2]
    """What a number is multiplied by, one of them at random."""

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.mutate)) < len(self.mutate):
            raise ValueError(f"the parameters to mutate must differ, got {self.mutate}")
        return self


def check_mutations(population: Population, params: Mapping[str, Parameter]) -> None:
    """Check that what mutates is searched, and that nothing depends on it.

    Raises:
        ValueError: names the parameter.
    """
    space = dimensions(params)
    for name in population.mutate:
        if name not in space:
            raise ValueError(
                f"population.mutate: {name!r} is not searched; searched are {sorted(space)}"
            )
        if dependent := [other for other, d in space.items() if name in (d.when or {})]:
            raise ValueError(
                f"population.mutate: {name!r} decides whether {dependent[0]!r} is drawn, "
                "so it must stay as it is"
            )


@dataclass(frozen=True, slots=True)
class Member:
    """A member as it was judged last.

    Attributes:
        number: the trial's number.
        score: what it had reported then; ``None`` if that was not finite, which is the worst.
    """

    number: int
    score: float | None


def sources(
    population: Population, members: Sequence[Member], *, number: int, maximize: bool
) -> list[int]:
    """Whom a member may exploit.

    As in Ray, the members that were judged are ranked, and those of the lower quantile exploit one
    of the upper; here only one whose score is really better.

    Args:
        population: the study's settings.
        members: the members that were judged and have not ended, the one in question among them.
        number: its number.
        maximize: whether more is better.

    Returns:
        The numbers of the members to choose from, none if it goes on as it is.

    Example:
        >>> population = Population(perturbation_interval=1, mutate=["alpha"])
        >>> members = [Member(n, score) for n, score in enumerate([0.5, 0.9, None, 0.7])]
        >>> [sources(population, members, number=n, maximize=True) for n in range(4)]
        [[], [], [1], []]
    """

    def merit(member: Member) -> float:
        if member.score is None:
            return -math.inf
        return member.score if maximize else -member.score

    ranked = sorted(members, key=lambda member: (merit(member), member.number))
    size = min(math.ceil(len(ranked) * population.quantile_fraction), len(ranked) // 2)
    lower, upper = ranked[:size], ranked[len(ranked) - size :]
    mine = next((merit(member) for member in lower if member.number == number), math.inf)
    return [member.number for member in upper if merit(member) > mine]


def explore(
    population: Population,
    params: Mapping[str, Parameter],
    values: Mapping[str, Any],
    *,
    seed: int,
) -> dict[str, Any]:
    """Change a source's parameters, within their ranges.

    A number is multiplied by one of the factors, a choice moves to one beside it; with
    ``resample_probability`` either is drawn anew.

    Args:
        population: the study's settings.
        params: the study's space.
        values: the source's parameters; one that is not drawn in it is left out.
        seed: decides everything.

    Example:
        >>> from alphagrad.tuner.space import FloatDimension
        >>> params = {"alpha": FloatDimension(type="float", low=1, high=300, log=True)}
        >>> population = Population(
        ...     perturbation_interval=1, mutate=["alpha"], resample_probability=0
        ... )
        >>> [explore(population, params, {"alpha": 280.0, "epochs": 3}, seed=s) for s in (3, 5)]
        [{'alpha': 224.0, 'epochs': 3}, {'alpha': 300.0, 'epochs': 3}]
    """
    generator = random.Random(seed)
    space = dimensions(params)
    changed = dict(values)
    for name in population.mutate:
        # Each parameter takes the same numbers, so that none depends on the others' fate.
        resample = generator.random() < population.resample_probability
        factor, share = generator.choice(population.perturbation_factors), generator.random()
        if name not in values:
            continue
        dimension = space[name]
        if resample:
            changed[name] = _drawn(dimension, share)
        elif isinstance(dimension, CategoricalDimension):
            place = dimension.choices.index(values[name]) + (1 if share < 0.5 else -1)
            changed[name] = dimension.choices[min(max(place, 0), len(dimension.choices) - 1)]
        else:
            changed[name] = _allowed(dimension, values[name] * factor)
    return changed


def _drawn(dimension: Dimension, share: float) -> Any:
    """Draw a value: the one that stands at a share in [0, 1) of the dimension."""
    if isinstance(dimension, CategoricalDimension):
        return dimension.choices[int(share * len(dimension.choices))]
    if dimension.log:
        value = dimension.low * (dimension.high / dimension.low) ** share
    else:
        value = dimension.low + share * (dimension.high - dimension.low)
    return _allowed(dimension, value)


def _allowed(dimension: Dimension, value: float) -> float | int:
    """Give the number nearest to a value that the dimension allows."""
    assert not isinstance(dimension, CategoricalDimension)
    low, step = dimension.low, dimension.step
    if step is None:
        return min(max(value, low), dimension.high)
    return nth(dimension, max(round((value - low) / step), 0))
