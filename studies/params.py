"""The parameters of a task's optimizer: names, defaults, bounds and meanings.

Only pydantic is imported here, so a server can list and validate parameters without torch.
"""

from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from alphagrad.studies.scheduler_params import SchedulerParams


class OptimizerParams(SchedulerParams):
    """Which optimizer a task trains with, and how its α is chosen.

    Unknown names, out-of-range values and combinations without effect raise
    `pydantic.ValidationError`, whose message names the field and the value. `k`, `momentum` and
    `alpha_rule` are read by AlphaGrad only; Adam keeps torch's betas.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    optimizer: Literal["alphagrad", "adam"] = Field(
        default="alphagrad", description="the optimizer that trains the network"
    )
    alpha: float | None = Field(
        default=None,
        gt=0,
        description="steepness of the tanh, one for all tensors; none means k·√d for each tensor",
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
        description="AlphaGrad's momentum decay; 0.9 multiplies the steady step by 10",
    )
    eps: float = Field(
        default=1e-5, gt=0, description="added to AlphaGrad's norm or to Adam's denominator"
    )

    @model_validator(mode="after")
    def _alpha_has_effect(self) -> Self:
        if self.alpha is not None and self.optimizer != "alphagrad":
            raise ValueError(f"alpha={self.alpha} has no effect with optimizer={self.optimizer!r}")
        if self.alpha is not None and self.alpha_rule in ("sqrt_d", "saturation"):
            raise ValueError(
                f"alpha={self.alpha} has no effect with alpha_rule={self.alpha_rule!r}; "
                "leave it out, or set alpha_rule='constant'"
            )
        return self
