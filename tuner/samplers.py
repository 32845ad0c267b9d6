"""Samplers a study can name, and Optuna's objects for them."""

from __future__ import annotations

import warnings
from typing import Annotated, Literal

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from pydantic import BaseModel, ConfigDict, Field

from alphagrad.tuner.seeds import derive_seed

_CONFIG = ConfigDict(extra="forbid", frozen=True, strict=True)


class TPE(BaseModel):
    """Tree-structured Parzen estimator, Optuna's default: multivariate, with constant liar."""

    model_config = _CONFIG
    type: Literal["tpe"] = "tpe"
    n_startup_trials: Annotated[int, Field(ge=0)] = 10
    n_ei_candidates: Annotated[int, Field(ge=1)] = 24


class Random(BaseModel):
    """Independent draws."""

    model_config = _CONFIG
    type: Literal["random"]


class QMC(BaseModel):
    """A scrambled Sobol sequence: covers a small space more evenly than random draws."""

    model_config = _CONFIG
    type: Literal["qmc"]


SamplerSpec = Annotated[TPE | Random | QMC, Field(discriminator="type")]


def build_sampler(spec: SamplerSpec, *, study_seed: int, number: int) -> BaseSampler:
    """Optuna's sampler for one ask.

    The seed depends on the study's seed and the trial's number alone, so that a study which runs
    one trial at a time draws the same values again, also after a restart of its worker.
    """
    seed = derive_seed(study_seed, "sampler", number)
    match spec:
        case TPE():
            return optuna.samplers.TPESampler(
                n_startup_trials=spec.n_startup_trials,
                n_ei_candidates=spec.n_ei_candidates,
                seed=seed,
            )
        case Random():
            return optuna.samplers.RandomSampler(seed=seed)
        case QMC():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                # One sequence for the whole study: every ask takes its next point.
                return optuna.samplers.QMCSampler(scramble=True, seed=study_seed)
