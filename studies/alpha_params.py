"""The arguments of one α rule, given flat as a task's parameters or in a part's table.

Only pydantic is imported here, so a server can list and validate parameters without torch.
"""

import math
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from alphagrad.studies.alpha_rules import ARGUMENTS, NEEDED, ORDERED, RENAMED, TOGETHER, Arguments

Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Point = tuple[Annotated[int, Field(ge=0)], Positive]


class AlphaParams(BaseModel):
    """A rule for α and its arguments.

    An argument that is left out has the scheduler's own default. One that the chosen rule does not
    take, or that it lacks, raises `pydantic.ValidationError`, which names it. Steps are those of
    the optimizer.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    takes: ClassVar[Arguments] = ARGUMENTS
    needs: ClassVar[Arguments] = NEEDED

    alpha_rule: str
    alpha_layers: str | None = Field(
        default=None, min_length=1, description="glob of the layers to act on; none means all"
    )
    alpha_saturation: Fraction | None = Field(
        default=None, description="instead of k: the saturation of a Gaussian gradient under k·√d"
    )
    alpha_tau: Positive | None = Field(
        default=None, description="an entry is saturated when |α·g̃| is above this"
    )
    alpha_d: Literal["numel", "fan_in"] | None = Field(
        default=None, description="d of k·√d: all entries of a tensor, or the inputs of one output"
    )
    alpha_band_low: Fraction | None = Field(
        default=None, description="lower edge of the band of saturation"
    )
    alpha_band_high: Fraction | None = Field(
        default=None, description="upper edge of the band of saturation"
    )
    alpha_band_end_low: Fraction | None = Field(
        default=None, description="lower edge in the end, of a band that moves"
    )
    alpha_band_end_high: Fraction | None = Field(
        default=None, description="upper edge in the end, of a band that moves"
    )
    alpha_band_steps: Count | None = Field(
        default=None, description="steps from the first band to the last"
    )
    alpha_gain: Positive | None = Field(
        default=None, description="change of log α per unit of saturation"
    )
    alpha_max_log_step: Positive | None = Field(
        default=None, description="largest change of log α in one step"
    )
    alpha_k_min: Positive | None = Field(default=None, description="lower bound of α/√d")
    alpha_k_max: Positive | None = Field(default=None, description="upper bound of α/√d")
    alpha_min_numel: Count | None = Field(
        default=None, description="layers of fewer entries follow the whole network's"
    )
    alpha_start: Literal["quantile", "keep"] | None = Field(
        default=None,
        description="quantile: α starts from the first gradients; keep: from alpha, or k·√d",
    )
    alpha_start_factor: Positive | None = Field(
        default=None, description="what α is multiplied by at first"
    )
    alpha_end_factor: Positive | None = Field(
        default=None, description="what α is multiplied by in the end"
    )
    alpha_total_steps: Count | None = Field(
        default=None, description="steps from the first factor to the last"
    )
    alpha_period: Count | None = Field(default=None, description="steps of the (first) cosine")
    alpha_restarts: bool | None = Field(
        default=None, description="whether the cosine starts again at its end"
    )
    alpha_period_mult: Count | None = Field(
        default=None, description="growth of the cosine's periods"
    )
    alpha_gamma: Positive | None = Field(
        default=None, description="what α is multiplied by at each step"
    )
    alpha_points: tuple[Point, ...] | None = Field(
        default=None,
        description="a curve for α as [step, factor] pairs of rising steps, with straight lines "
        "of the factor's logarithm in between; before and after them the factor stays",
    )
    alpha_mode: Literal["min", "max"] | None = Field(
        default=None,
        description="whether a reported value is better when it is lower or higher; as in torch "
        "the default is min, and a study that maximizes wants max",
    )
    alpha_factor: Positive | None = Field(
        default=None, description="what α is multiplied by when the reports stop improving"
    )
    alpha_patience: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="reports without improvement that are let pass"
    )
    alpha_threshold: Annotated[float, Field(ge=0)] | None = Field(
        default=None, description="the least improvement that counts"
    )
    alpha_threshold_mode: Literal["rel", "abs"] | None = Field(
        default=None, description="rel: the threshold is a part of the best value; abs: a value"
    )
    alpha_cooldown: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="reports after a change in which nothing is counted"
    )
    alpha_min: Positive | None = Field(default=None, description="α is not taken below this")
    alpha_max: Positive | None = Field(default=None, description="α is not taken above this")
    alpha_target: Fraction | None = Field(default=None, description="p*, the wanted saturation")
    alpha_power: Annotated[float, Field(ge=0)] | None = Field(
        default=None, description="how much the saturation counts"
    )
    alpha_size_power: Annotated[float, Field(ge=0)] | None = Field(
        default=None, description="how much a layer's share of the model's entries counts"
    )
    alpha_rate: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None, description="how far α goes toward the rule's α in one step"
    )
    alpha_every: Count | None = Field(
        default=None, description="steps from one measurement of saturation to the next"
    )

    @model_validator(mode="after")
    def _arguments_have_effect(self) -> Self:
        rule, taken = self.alpha_rule, self.takes[self.alpha_rule]
        of_rules = {name for names in self.takes.values() for name in names}
        for name in sorted(of_rules.intersection(type(self).model_fields).difference(taken)):
            if (value := getattr(self, name)) is not None:
                raise ValueError(
                    f"{self._call(name)}={value!r} has no effect with "
                    f"{self._call('alpha_rule')}={rule!r}, which takes: "
                    f"{', '.join(map(self._call, taken))}"
                )
        for name in self.needs.get(rule, ()):
            if not getattr(self, name):
                raise ValueError(f"{self._call('alpha_rule')}={rule!r} needs {self._call(name)}")
        for name, others in TOGETHER.items():
            missing = [self._call(other) for other in others if not getattr(self, other)]
            if getattr(self, name) is not None and missing:
                value = getattr(self, name)
                raise ValueError(
                    f"{self._call(name)}={value!r} has no effect without {' and '.join(missing)}"
                )
        if rule == "sqrt_d" and self.alpha_tau is not None and self.alpha_saturation is None:
            raise ValueError(
                f"{self._call('alpha_tau')}={self.alpha_tau} has no effect without "
                f"{self._call('alpha_saturation')}"
            )
        return self

    @model_validator(mode="after")
    def _arguments_agree(self) -> Self:
        for low, least, high, most in ORDERED:
            if low in self.takes[self.alpha_rule]:
                first, second = getattr(self, low) or least, getattr(self, high) or most
                if first >= second:
                    raise ValueError(
                        f"{self._call(low)}={first} must be below {self._call(high)}={second}"
                    )
        if self.alpha_factor == 1:
            raise ValueError(f"{self._call('alpha_factor')}=1.0 has no effect")
        steps = [step for step, _ in self.alpha_points or ()]
        if sorted(set(steps)) != steps:
            raise ValueError(f"the steps of {self._call('alpha_points')} must rise, got {steps}")
        gamma, end = self.alpha_gamma or 1.0, self.alpha_end_factor or 1.0
        if self.alpha_rule == "exponential" and math.log(gamma) * math.log(end) < 0:
            raise ValueError(
                f"{self._call('alpha_end_factor')}={end} is not on the way of "
                f"{self._call('alpha_gamma')}={gamma}: both must be <= 1, or both >= 1"
            )
        return self

    def _call(self, name: str) -> str:
        """Give what a user calls a parameter."""
        return type(self).model_fields[name].alias or name

    def scheduler_arguments(self) -> dict[str, Any]:
        """Give the arguments for the scheduler of `alpha_rule`, by its own names."""
        given = {name: getattr(self, name) for name in self.takes[self.alpha_rule]}
        return {
            RENAMED.get(name, name.removeprefix("alpha_")): value
            for name, value in given.items()
            if value is not None
        }
