"""Pruners a study can name, and Optuna's objects for them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import optuna
from optuna.pruners import BasePruner
from pydantic import BaseModel, ConfigDict, Field, model_validator

_CONFIG = ConfigDict(extra="forbid", frozen=True, strict=True)
_Count = Annotated[int, Field(ge=0)]
_Positive = Annotated[int, Field(ge=1)]


class NoPruner(BaseModel):
    """Every trial runs to its end."""

    model_config = _CONFIG
    type: Literal["none"] = "none"


class Median(BaseModel):
    """Stops a trial that is worse than the median of the earlier ones at the same step."""

    model_config = _CONFIG
    type: Literal["median"]
    n_startup_trials: _Count = 5
    n_warmup_steps: _Count = 0
    interval_steps: _Positive = 1


class Percentile(BaseModel):
    """Stops a trial that is not among the best ``percentile`` per cent at the same step."""

    model_config = _CONFIG
    type: Literal["percentile"]
    percentile: Annotated[float, Field(gt=0, lt=100)]
    n_startup_trials: _Count = 5
    n_warmup_steps: _Count = 0
    interval_steps: _Positive = 1


class SuccessiveHalving(BaseModel):
    """Asynchronous successive halving (ASHA)."""

    model_config = _CONFIG
    type: Literal["successive_halving"]
    min_resource: _Positive = 1
    reduction_factor: Annotated[int, Field(ge=2)] = 4
    min_early_stopping_rate: _Count = 0


class Threshold(BaseModel):
    """Stops a trial whose value leaves [lower, upper]."""

    model_config = _CONFIG
    type: Literal["threshold"]
    lower: float | None = None
    upper: float | None = None
    n_warmup_steps: _Count = 0
    interval_steps: _Positive = 1

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.lower is None and self.upper is None:
            raise ValueError("a threshold pruner needs lower, upper or both")
        return self


PrunerSpec = Annotated[
    NoPruner | Median | Percentile | SuccessiveHalving | Threshold, Field(discriminator="type")
]


def build_pruner(spec: PrunerSpec) -> BasePruner:
    """Optuna's pruner."""
    options = spec.model_dump(exclude={"type"})
    match spec:
        case NoPruner():
            return optuna.pruners.NopPruner()
        case Median():
            return optuna.pruners.MedianPruner(**options)
        case Percentile():
            return optuna.pruners.PercentilePruner(**options)
        case SuccessiveHalving():
            return optuna.pruners.SuccessiveHalvingPruner(**options)
        case Threshold():
            return optuna.pruners.ThresholdPruner(**options)
