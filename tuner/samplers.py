"""Samplers a study can name, and Optuna's objects for them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Annotated, Literal

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from pydantic import BaseModel, ConfigDict, Field

from alphagrad.tuner.grid import Grid, GridSampler
from alphagrad.tuner.qmc import QMCSampler
from alphagrad.tuner.seeds import derive_seed
from alphagrad.tuner.space import Parameter

_CONFIG = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
_Count = Annotated[int, Field(ge=0, lt=2**31)]
_Generation = Annotated[int, Field(ge=2, le=1_000_000)]


class TPE(BaseModel):
    """Tree-structured Parzen estimator, Optuna's default: multivariate, with constant liar."""

    model_config = _CONFIG
    type: Literal["tpe"] = "tpe"
    n_startup_trials: _Count = 10
    n_ei_candidates: Annotated[int, Field(ge=1, le=10_000)] = 24


class Random(BaseModel):
    """Independent draws."""

    model_config = _CONFIG
    type: Literal["random"]


class QMC(BaseModel):
    """A scrambled Sobol sequence: covers a small space more evenly than random draws."""

    model_config = _CONFIG
    type: Literal["qmc"]


class GP(BaseModel):
    """A Gaussian process: few trials that each take long. Its own work grows with each trial."""

    model_config = _CONFIG
    type: Literal["gp"]
    n_startup_trials: _Count = 10
    deterministic_objective: bool = False
    """Whether the same parameters always give the same value."""


class CMAES(BaseModel):
    """Covariance matrix adaptation: many trials of two to about fifty numbers, searched at once."""

    model_config = _CONFIG
    type: Literal["cmaes"]
    n_startup_trials: _Count = 1
    popsize: _Generation | None = None
    """Trials per generation; by default 4 + 3·ln(parameters)."""
    with_margin: bool = False
    """Keep integers and steps from freezing at one value."""


class NSGA2(BaseModel):
    """A genetic algorithm."""

    model_config = _CONFIG
    type: Literal["nsga2"]
    population_size: _Generation = 50
    mutation_prob: Annotated[float, Field(ge=0, le=1)] | None = None
    """By default one over the number of parameters."""
    crossover_prob: Annotated[float, Field(ge=0, le=1)] = 0.9
    swapping_prob: Annotated[float, Field(ge=0, le=1)] = 0.5


class GridSearch(BaseModel):
    """Every point of a grid, once and in order: the last parameter changes fastest."""

    model_config = _CONFIG
    type: Literal["grid"]
    points: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Values of each float without ``step``, evenly spaced, on a log scale where it has one."""


class BruteForce(BaseModel):
    """Every point of a space of integers, choices and floats with ``step``, once, shuffled."""

    model_config = _CONFIG
    type: Literal["brute_force"]


SamplerSpec = Annotated[
    TPE | Random | QMC | GP | CMAES | NSGA2 | GridSearch | BruteForce,
    Field(discriminator="type"),
]


def grid_of(spec: SamplerSpec, params: Mapping[str, Parameter]) -> Grid | None:
    """The points of a sampler that has finitely many, else None.

    Raises:
        ValueError: a parameter has infinitely many values.
    """
    match spec:
        case GridSearch():
            return Grid(params, points=spec.points)
        case BruteForce():
            return Grid(params, points=None)
        case _:
            return None


def build_sampler(
    spec: SamplerSpec, *, params: Mapping[str, Parameter], study_seed: int, number: int
) -> BaseSampler:
    """Optuna's sampler for one ask.

    The seed depends on the study's seed and the trial's number alone, and what a sampler learnt is
    in the database, so that a study which runs one trial at a time draws the same values again,
    also after a restart of its worker.
    """
    seed = derive_seed(study_seed, "sampler", number)
    options = spec.model_dump(exclude={"type"})
    samplers = optuna.samplers
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        match spec:
            case TPE():
                return samplers.TPESampler(seed=seed, **options)
            case Random():
                return samplers.RandomSampler(seed=seed)
            case QMC():
                # One sequence for the whole study: every ask takes its next point.
                return QMCSampler(params, seed=study_seed, trial_seed=seed)
            case GP():
                return samplers.GPSampler(seed=seed, warn_independent_sampling=False, **options)
            case CMAES():
                return samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False, **options)
            case NSGA2():
                return samplers.NSGAIISampler(seed=seed, **options)
            case GridSearch() | BruteForce():
                grid = grid_of(spec, params)
                assert grid is not None
                shuffle_seed = study_seed if isinstance(spec, BruteForce) else None
                return GridSampler(grid, shuffle_seed=shuffle_seed)
