"""The parameters of a task's optimizer: names, defaults, bounds and meanings.

Only pydantic is imported here, so a server can list and validate parameters without torch.
"""

import math
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from alphagrad.studies.layer_alphas import collect
from alphagrad.studies.scheduler_params import SchedulerParams

# The optimizers that read each of these options.
READ_BY: dict[str, tuple[str, ...]] = {
    "alpha": ("alphagrad",),
    "alpha_by_layer": ("alphagrad",),
    "norm": ("alphagrad",),
    "transform": ("alphagrad",),
    "beta": ("alphagrad",),
    "unit_rms": ("alphagrad",),
    "weight_decay": ("alphagrad",),
    "dampening": ("alphagrad", "sgd"),
    "nesterov": ("alphagrad", "sgd"),
}

# What an optimizer follows when a training goes on from a checkpoint made with other parameters.
MUTABLE = ("learning_rate", "alpha", "k", "momentum", "weight_decay", "eps", "beta")


class OptimizerParams(SchedulerParams):
    """Which optimizer a task trains with, and how its α is chosen.

    Unknown names, out-of-range values and combinations without effect raise
    `pydantic.ValidationError`, whose message names the field and the value. `k`, `alpha_rule` with
    its arguments and `mix` are read by AlphaGrad only, `momentum` also by SGD, and `eps` by
    AlphaGrad and Adam. Adam keeps torch's betas, Lion its 0.9 and 0.99.
    """

    per_layer: ClassVar[tuple[str, ...]] = ("alpha",)

    optimizer: Literal["alphagrad", "adam", "sgd", "lion"] = Field(
        default="alphagrad",
        description="the optimizer that trains the network: AlphaGrad, Adam, SGD with momentum, "
        "or Lion",
    )
    alpha: float | None = Field(
        default=None,
        gt=0,
        description="steepness of the tanh, one for all tensors; none means k·√d for each tensor",
    )
    alpha_by_layer: dict[str, float] | None = Field(
        default=None,
        description='written as "alpha[GLOB]", a parameter for each: the steepness of the layers '
        "that match the glob, instead of alpha or k·√d",
    )
    k: float = Field(
        default=1.5, gt=0, description="deviation of the tanh's input where alpha is k·√d"
    )
    learning_rate: float = Field(
        default=1e-3, gt=0, description="step size, constant over the training"
    )
    momentum: float = Field(
        default=0.9,
        ge=0,
        lt=1,
        description="momentum decay of AlphaGrad and SGD; 0.9 multiplies the steady step by 10",
    )
    dampening: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of a new gradient that AlphaGrad's and SGD's momentum leaves out; "
        "equal to momentum it makes the momentum an average",
    )
    nesterov: bool = Field(
        default=False, description="whether AlphaGrad or SGD looks ahead along the momentum"
    )
    weight_decay: float = Field(
        default=0.0, ge=0, description="AlphaGrad's decoupled decay, times the learning rate"
    )
    eps: float = Field(
        default=1e-5, gt=0, description="added to AlphaGrad's norm or to Adam's denominator"
    )

    norm: Literal["tensor", "group", "none"] = Field(
        default="tensor",
        description="what AlphaGrad divides a gradient by: its own norm, that of all tensors, or "
        "nothing",
    )
    transform: Literal["tanh", "sin"] = Field(
        default="tanh", description="tanh: β·tanh(α·g̃); sin: sin(β·tanh(α·g̃))"
    )
    beta: float = Field(default=1.0, gt=0, description="AlphaGrad's β")
    unit_rms: bool = Field(
        default=False,
        description="whether AlphaGrad divides the shaped gradient by its RMS, so that α changes "
        "the shape of a step alone",
    )

    @model_validator(mode="before")
    @classmethod
    def _alphas_of_layers(cls, params: Any) -> Any:
        return collect(params)

    @model_validator(mode="after")
    def _layers_have_an_alpha(self) -> Self:
        for glob, alpha in (self.alpha_by_layer or {}).items():
            if not (math.isfinite(alpha) and alpha > 0):
                raise ValueError(f"alpha[{glob}]={alpha} must be a finite number above 0")
        return self

    @model_validator(mode="after")
    def _options_have_effect(self) -> Self:
        for name, optimizers in READ_BY.items():
            value = getattr(self, name)
            if value != type(self).model_fields[name].default and self.optimizer not in optimizers:
                raise ValueError(
                    f"{name}={value!r} has no effect with optimizer={self.optimizer!r}, "
                    f"only with {' and '.join(optimizers)}"
                )
        if self.nesterov and (self.momentum == 0 or self.dampening != 0):
            raise ValueError(
                f"nesterov=True needs momentum > 0 and dampening 0, got "
                f"momentum={self.momentum} and dampening={self.dampening}"
            )
        return self

    @model_validator(mode="after")
    def _alpha_has_effect(self) -> Self:
        rule, layers = self.alpha_rule, self.alpha_layers
        starts_anew = rule == "sqrt_d" or (rule == "saturation" and self.alpha_start != "keep")
        if self.alpha is not None and starts_anew and layers is None:
            raise ValueError(
                f"alpha={self.alpha} has no effect with alpha_rule={rule!r}; "
                "leave it out, or set alpha_rule='constant'"
            )
        if self.alpha_by_layer and (starts_anew or rule == "dynag"):
            names = ", ".join(f"alpha[{glob}]" for glob in self.alpha_by_layer)
            raise ValueError(f"{names} has no effect with alpha_rule={rule!r}")
        if self.alpha_by_layer and layers is not None and rule == "constant":
            raise ValueError(
                f"alpha_layers={layers!r} and alpha[{next(iter(self.alpha_by_layer))}]: "
                "give α of some layers one way only"
            )
        plain = self.alpha is None and self.alpha_saturation is None and self.alpha_d is None
        if layers is not None and rule in ("constant", "sqrt_d") and plain:
            raise ValueError(
                f"alpha_layers={layers!r} has no effect with alpha_rule={rule!r} and no alpha: "
                "α is k·√d in all layers"
            )
        return self

    @model_validator(mode="after")
    def _k_has_effect(self) -> Self:
        rule, everywhere, why = self.alpha_rule, self.alpha_layers is None, None
        by_layer = self.alpha_by_layer or {}
        if self.alpha is not None and (everywhere or rule not in ("constant", "sqrt_d")):
            why = f"alpha={self.alpha}"
        elif "*" in by_layer:
            why = f"alpha[*]={by_layer['*']}"
        elif everywhere and rule == "saturation" and self.alpha_start != "keep":
            why = "alpha_rule='saturation', which starts from the first gradients"
        elif everywhere and rule == "sqrt_d" and self.alpha_saturation is not None:
            why = f"alpha_saturation={self.alpha_saturation}"
        reads_k = self.optimizer == "alphagrad"  # others let it be, so that one study compares them
        if reads_k and why is not None and self.k != type(self).model_fields["k"].default:
            raise ValueError(f"k={self.k} has no effect with {why}; leave it out")
        return self
