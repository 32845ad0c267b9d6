"""The parameters of the task `ppo`: names, defaults, bounds and meanings."""

from typing import Self

from pydantic import Field, model_validator

from alphagrad.studies.backend_params import BackendParams, HiddenSizes
from alphagrad.studies.params import OptimizerParams


class PPOParams(BackendParams, OptimizerParams):
    """Parameters of the task `ppo`; defaults are those of CleanRL's ppo_continuous_action.py.

    One step is one step of one environment. Raises as `OptimizerParams` does, and also where the
    numbers of steps do not fit each other.
    """

    env_id: str = Field(
        default="HalfCheetah-v5",
        min_length=1,
        description="a registered gymnasium environment with Box observations, bounded Box actions",
    )
    total_timesteps: int = Field(
        default=1_000_000, ge=1, description="training steps in all; a part of a rollout is left"
    )
    learning_rate: float = Field(default=3e-4, gt=0, description="step size at first")
    anneal_lr: bool = Field(
        default=True, description="whether the step size falls to zero over the training"
    )
    hidden_sizes: HiddenSizes = Field(
        default=(64, 64), description="width of each hidden layer of the actor and of the critic"
    )
    num_envs: int = Field(default=1, ge=1, description="environments played side by side")
    num_steps: int = Field(default=2048, ge=1, description="steps of each in a rollout")
    gamma: float = Field(default=0.99, ge=0, le=1, description="discount of the next step's value")
    gae_lambda: float = Field(
        default=0.95, ge=0, le=1, description="decay of generalised advantage estimation"
    )
    time_limit_bootstrap: bool = Field(
        default=True,
        description="whether the value of the state that a time limit cut off counts; false: "
        "nothing follows it, and the rewards' deviation is as in gymnasium, as CleanRL has both",
    )
    num_minibatches: int = Field(default=32, ge=1, description="minibatches in a rollout")
    update_epochs: int = Field(default=10, ge=1, description="passes over a rollout")
    norm_adv: bool = Field(
        default=True, description="whether advantages are standardised in each minibatch"
    )
    clip_coef: float = Field(default=0.2, gt=0, description="bound of the policy's change")
    clip_vloss: bool = Field(
        default=True, description="whether the value's change is bounded by clip_coef as well"
    )
    ent_coef: float = Field(default=0.0, ge=0, description="weight of the policy's entropy")
    vf_coef: float = Field(default=0.5, ge=0, description="weight of the value's loss")
    max_grad_norm: float | None = Field(
        default=None,
        gt=0,
        description="bound of the gradient's norm; none: 0.5 for adam and sgd, and no bound for "
        "alphagrad and lion, whose steps are bounded by themselves",
    )
    target_kl: float | None = Field(
        default=None,
        gt=0,
        description="approximate KL divergence after which a rollout is done with; none: no bound",
    )
    eval_interval: int = Field(
        default=50_000,
        ge=1,
        description="steps between evaluations, each of them reported at the rollout's end",
    )
    eval_episodes: int = Field(
        default=5, ge=1, description="episodes without noise in an evaluation"
    )
    eval_window: int = Field(
        default=2, ge=1, description="evaluations in the reported mean; 1 reports each one alone"
    )
    checkpoint_interval: int = Field(
        default=50_000, ge=1, description="steps between checkpoints, taken at the rollout's end"
    )

    @model_validator(mode="after")
    def _steps_fit(self) -> Self:
        if self.batch_size > self.total_timesteps:
            raise ValueError(
                f"num_envs={self.num_envs} × num_steps={self.num_steps} must not be above "
                f"total_timesteps={self.total_timesteps}"
            )
        if self.batch_size % self.num_minibatches or self.minibatch_size < 2:
            raise ValueError(
                f"num_minibatches={self.num_minibatches} must divide num_envs × num_steps = "
                f"{self.batch_size} into equal parts of at least 2"
            )
        return self

    @property
    def batch_size(self) -> int:
        """Steps in a rollout, over all environments."""
        return self.num_envs * self.num_steps

    @property
    def minibatch_size(self) -> int:
        """Steps in an optimizer step."""
        return self.batch_size // self.num_minibatches

    @property
    def grad_norm_bound(self) -> float | None:
        """`max_grad_norm`, or what none means for the optimizer."""
        if self.max_grad_norm is None and self.optimizer in ("adam", "sgd"):
            return 0.5
        return self.max_grad_norm
