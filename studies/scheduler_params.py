"""The parameters that choose an α scheduler by name and give it arguments, searchable one by one.

Only pydantic is imported here, so a server can list and validate parameters without torch.
"""

from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

# What each rule's scheduler takes, by parameter; the argument is the name without "alpha_".
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "constant": (),
    "sqrt_d": (),
    "saturation": (
        "alpha_band_low",
        "alpha_band_high",
        "alpha_gain",
        "alpha_max_log_step",
        "alpha_k_min",
        "alpha_k_max",
        "alpha_min_numel",
        "alpha_start",
    ),
    "linear": ("alpha_start_factor", "alpha_end_factor", "alpha_total_steps"),
    "cosine": (
        "alpha_start_factor",
        "alpha_end_factor",
        "alpha_period",
        "alpha_restarts",
        "alpha_period_mult",
    ),
    "exponential": ("alpha_gamma", "alpha_end_factor"),
}


class SchedulerParams(BaseModel):
    """Which scheduler moves α, and λ, with what arguments.

    An argument that is left out has the scheduler's own default. One that the chosen rule does not
    take raises `pydantic.ValidationError`, which names it. Steps are those of the optimizer.
    """

    alpha_rule: Literal["constant", "sqrt_d", "saturation", "linear", "cosine", "exponential"] = (
        Field(
            default="constant",
            description="constant: alpha as given; sqrt_d: k·√d for each tensor of d elements; "
            "saturation: holds each layer's saturation in a band; linear, cosine, exponential: "
            "alpha, or k·√d, times a curve",
        )
    )
    alpha_band_low: float | None = Field(
        default=None, gt=0, lt=1, description="lower edge of the band of saturation"
    )
    alpha_band_high: float | None = Field(
        default=None, gt=0, lt=1, description="upper edge of the band of saturation"
    )
    alpha_gain: float | None = Field(
        default=None, gt=0, description="change of log α per unit of saturation"
    )
    alpha_max_log_step: float | None = Field(
        default=None, gt=0, description="largest change of log α in one step"
    )
    alpha_k_min: float | None = Field(default=None, gt=0, description="lower bound of α/√d")
    alpha_k_max: float | None = Field(default=None, gt=0, description="upper bound of α/√d")
    alpha_min_numel: int | None = Field(
        default=None, ge=1, description="layers of fewer entries follow the whole network's"
    )
    alpha_start: Literal["quantile", "keep"] | None = Field(
        default=None, description="quantile: α starts from the first gradients; keep: from k·√d"
    )
    alpha_start_factor: float | None = Field(
        default=None, gt=0, description="what α is multiplied by at first"
    )
    alpha_end_factor: float | None = Field(
        default=None, gt=0, description="what α is multiplied by in the end"
    )
    alpha_total_steps: int | None = Field(
        default=None, ge=1, description="steps from the first factor to the last"
    )
    alpha_period: int | None = Field(default=None, ge=1, description="steps of the (first) cosine")
    alpha_restarts: bool | None = Field(
        default=None, description="whether the cosine starts again at its end"
    )
    alpha_period_mult: int | None = Field(
        default=None, ge=1, description="growth of the cosine's periods"
    )
    alpha_gamma: float | None = Field(
        default=None, gt=0, description="what α is multiplied by at each step"
    )
    mix: float = Field(
        default=1.0, ge=0, le=1, description="λ of the hybrid λ·tanh(α·g̃) + (1−λ)·g̃, at first"
    )
    mix_end: float | None = Field(
        default=None, ge=0, le=1, description="λ in the end; none keeps it as it is"
    )
    mix_total_steps: int | None = Field(
        default=None, ge=1, description="steps from mix to mix_end; none means 1000"
    )

    @model_validator(mode="after")
    def _arguments_have_effect(self) -> Self:
        taken = ARGUMENTS[self.alpha_rule]
        for name in sorted({name for names in ARGUMENTS.values() for name in names}):
            value = getattr(self, name)
            if value is not None and name not in taken:
                raise ValueError(
                    f"{name}={value!r} has no effect with alpha_rule={self.alpha_rule!r}, "
                    f"which takes: {', '.join(taken) or 'no arguments'}"
                )
        if self.mix_total_steps is not None and self.mix_end is None:
            raise ValueError(
                f"mix_total_steps={self.mix_total_steps} has no effect without mix_end"
            )
        low, high = self.alpha_band_low, self.alpha_band_high
        if (low or 0.05) >= (high or 0.25):
            raise ValueError(
                f"alpha_band_low={low or 0.05} must be below alpha_band_high={high or 0.25}"
            )
        return self

    def scheduler_arguments(self) -> dict[str, object]:
        """Give the arguments for the scheduler of `alpha_rule`, by its own names."""
        given = {name: getattr(self, name) for name in ARGUMENTS[self.alpha_rule]}
        arguments = {
            name.removeprefix("alpha_"): value for name, value in given.items() if value is not None
        }
        if self.alpha_rule == "saturation":
            low, high = arguments.pop("band_low", 0.05), arguments.pop("band_high", 0.25)
            arguments["band"] = (low, high)
        return arguments
