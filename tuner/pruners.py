"""Pruners a study can name, and Optuna's objects for them."""

from __future__ import annotations

import warnings
from typing import Annotated, Literal, Self

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner
from pydantic import BaseModel, ConfigDict, Field, model_validator

from alphagrad.tuner.steps import STEPS
from alphagrad.tuner.text import Text

_CONFIG = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
_Count = Annotated[int, Field(ge=0, lt=STEPS)]
_Positive = Annotated[int, Field(ge=1, lt=STEPS)]
_Reduction = Annotated[int, Field(ge=2, lt=STEPS)]
_Fraction = Annotated[float, Field(gt=0, lt=1)]
_Share = Annotated[float, Field(gt=0, le=1)]


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
    reduction_factor: _Reduction = 4
    min_early_stopping_rate: Annotated[int, Field(ge=0, le=31)] = 0
    """The first rung is at ``min_resource * reduction_factor**min_early_stopping_rate``."""


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
        if self.lower is not None and self.upper is not None and self.lower > self.upper:
            raise ValueError(f"lower={self.lower} must not be above upper={self.upper}")
        return self


class Hyperband(BaseModel):
    """Successive halving in several brackets, which begin to stop trials at different steps."""

    model_config = _CONFIG
    type: Literal["hyperband"]
    min_resource: _Positive = 1
    max_resource: _Positive
    """The last step of a whole trial. Optuna can guess it, but each worker would guess anew."""
    reduction_factor: _Reduction = 3
    bootstrap_count: _Count = 0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max_resource < self.min_resource:
            raise ValueError(
                f"max_resource={self.max_resource} must not be below "
                f"min_resource={self.min_resource}"
            )
        return self


class Wilcoxon(BaseModel):
    """Stops a trial that a signed-rank test finds worse than the best one.

    For tasks whose steps are instances of a problem, in any order, and whose value is their mean.
    """

    model_config = _CONFIG
    type: Literal["wilcoxon"]
    p_threshold: Annotated[float, Field(ge=0, le=1)] = 0.1
    n_startup_steps: _Count = 2


_Judge = Annotated[
    Median | Percentile | SuccessiveHalving | Hyperband | Threshold | Wilcoxon,
    Field(discriminator="type"),
]


class Patient(BaseModel):
    """Lets another pruner judge a trial only when its values have stopped improving."""

    model_config = _CONFIG
    type: Literal["patient"]
    wrapped_pruner: _Judge | None = None
    """None stops the trial at once then."""
    patience: _Count
    """Reports without improvement that are let pass."""
    min_delta: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """The least change for the worse that counts."""


ValuePruner = Annotated[
    Median | Percentile | SuccessiveHalving | Hyperband | Threshold | Wilcoxon | Patient,
    Field(discriminator="type"),
]
"""A pruner that judges a trial by the values it reports."""


class Saturation(BaseModel):
    """Stops a trial whose layers stay saturated, or stay linear.

    A layer's saturation S is the share of its non-zero gradient entries that the tanh flattens;
    the trial's α trace samples it. A step that measured none is left out.
    """

    model_config = _CONFIG
    type: Literal["saturation"]
    high: _Fraction | None = 0.5
    """A layer with S above this is saturated; null is off."""
    low: _Fraction | None = None
    """A layer with S below this is linear. Off by default: S near 0 can be the best regime."""
    share: _Share = 0.9
    """A layer stays so when it is so in at least this share of the window's samples."""
    layer_share: _Share = 0.5
    """The trial is stopped when at least this share of the layers stay so."""
    layers: Annotated[Text, Field(min_length=1)] = "*"
    """A glob on the names of the layers that are judged."""
    window: _Positive = 50
    """How many of the latest samples are looked at; before there are so many, none is stopped."""
    n_warmup_steps: _Count = 0
    """Samples of earlier steps, as the trace counts them, are left out."""
    value_pruner: ValuePruner | None = None
    """A second pruner, which may stop the trial too."""

    @model_validator(mode="after")
    def _has_a_bound(self) -> Self:
        if self.high is None and self.low is None:
            raise ValueError("a saturation pruner needs high, low or both")
        if self.high is not None and self.low is not None and self.low >= self.high:
            raise ValueError(f"low={self.low} must be below high={self.high}")
        return self


PrunerSpec = Annotated[
    NoPruner
    | Median
    | Percentile
    | SuccessiveHalving
    | Hyperband
    | Threshold
    | Wilcoxon
    | Patient
    | Saturation,
    Field(discriminator="type"),
]


def build_pruner(spec: PrunerSpec) -> BasePruner:
    """Optuna's pruner: what judges a trial by the values it reports."""
    options = spec.model_dump(exclude={"type", "wrapped_pruner"})
    pruners = optuna.pruners
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        match spec:
            case NoPruner():
                return pruners.NopPruner()
            case Median():
                return pruners.MedianPruner(**options)
            case Percentile():
                return pruners.PercentilePruner(**options)
            case SuccessiveHalving():
                return pruners.SuccessiveHalvingPruner(**options)
            case Hyperband():
                return pruners.HyperbandPruner(**options)
            case Threshold():
                return pruners.ThresholdPruner(**options)
            case Wilcoxon():
                return pruners.WilcoxonPruner(**options)
            case Patient(wrapped_pruner=inner):
                wrapped = None if inner is None else build_pruner(inner)
                return pruners.PatientPruner(wrapped, **options)
            case Saturation(value_pruner=judge):
                return build_pruner(NoPruner() if judge is None else judge)


def judge_of(pruner: BasePruner) -> BasePruner:
    """The pruner that looks at the values: the one that a patient pruner wraps, or itself."""
    return getattr(pruner, "_wrapped_pruner", None) or pruner


def pruned_by(spec: PrunerSpec, *, step: int) -> str:
    """Say which pruner stopped a trial by the value it reported.

    Example:
        >>> pruned_by(Median(type="median"), step=3)
        'by the median pruner at step 3'
    """
    judge = getattr(spec, "value_pruner", None) or spec
    return f"by the {judge.type} pruner at step {step}"
