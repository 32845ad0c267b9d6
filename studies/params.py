"""The parameters of the ready-made tasks: names, defaults, bounds and meanings.

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


class DQNParams(OptimizerParams):
    """Parameters of the task `dqn`; the defaults of the algorithm are those of CleanRL's dqn.py.

    One step is one environment step. Raises as `OptimizerParams` does, and also where training
    would never begin (`learning_starts` ≥ `total_timesteps`).
    """

    env_id: str = Field(
        default="CartPole-v1",
        min_length=1,
        description="a registered gymnasium environment with Box observations, Discrete actions",
    )
    total_timesteps: int = Field(default=500_000, ge=1, description="training steps in all")
    learning_rate: float = Field(
        default=2.5e-4, gt=0, description="step size, constant over the training"
    )
    buffer_size: int = Field(
        default=10_000, ge=1, description="transitions kept for replay; the oldest go first"
    )
    gamma: float = Field(default=0.99, ge=0, le=1, description="discount of the next step's value")
    tau: float = Field(
        default=1.0, gt=0, le=1, description="share of the Q network in a target network update"
    )
    target_network_frequency: int = Field(
        default=500, ge=1, description="steps between updates of the target network"
    )
    batch_size: int = Field(default=128, ge=1, description="transitions in an optimizer step")
    start_e: float = Field(
        default=1.0, ge=0, le=1, description="probability of a random action at the first step"
    )
    end_e: float = Field(
        default=0.05, ge=0, le=1, description="probability of a random action after exploration"
    )
    exploration_fraction: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="share of total_timesteps over which start_e falls to end_e",
    )
    learning_starts: int = Field(
        default=10_000, ge=0, description="steps played before the first optimizer step"
    )
    train_frequency: int = Field(default=10, ge=1, description="steps between optimizer steps")
    eval_interval: int = Field(
        default=10_000, ge=1, description="steps between evaluations, each of them reported"
    )
    eval_episodes: int = Field(default=5, ge=1, description="greedy episodes in an evaluation")
    eval_window: int = Field(
        default=10, ge=1, description="evaluations in the reported mean; 1 reports each one alone"
    )
    checkpoint_interval: int = Field(
        default=10_000,
        ge=1,
        description="steps between checkpoints, each taken when the episode under way ends",
    )

    @model_validator(mode="after")
    def _training_begins(self) -> Self:
        if self.learning_starts >= self.total_timesteps:
            raise ValueError(
                f"learning_starts={self.learning_starts} must be below "
                f"total_timesteps={self.total_timesteps}"
            )
        return self


class DigitsParams(OptimizerParams):
    """Parameters of the task `digits`. Raises as `OptimizerParams` does."""

    epochs: int = Field(default=15, ge=1, description="passes over the training images")
    batch_size: int = Field(default=64, ge=1, description="images in an optimizer step")
    hidden_sizes: tuple[int, ...] = Field(
        default=(128, 128), description="width of each hidden layer, each at least 1"
    )

    @model_validator(mode="after")
    def _layers_have_units(self) -> Self:
        if any(size < 1 for size in self.hidden_sizes):
            raise ValueError(f"hidden_sizes={self.hidden_sizes} must all be at least 1")
        return self
