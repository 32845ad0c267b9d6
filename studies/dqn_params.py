"""The parameters of the task `dqn`: names, defaults, bounds and meanings."""

from pydantic import Field

from alphagrad.studies.backend_params import BackendParams, HiddenSizes
from alphagrad.studies.params import OptimizerParams
from alphagrad.studies.replay_params import ReplayParams


class DQNParams(BackendParams, ReplayParams, OptimizerParams):
    """Parameters of the task `dqn`; the defaults of the algorithm are those of CleanRL's dqn.py.

    One step is one environment step. Raises as `BackendParams` and `OptimizerParams` do, and also
    where training would never begin (`learning_starts` ≥ `total_timesteps`).
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
    hidden_sizes: HiddenSizes = Field(
        default=(120, 84), description="width of each hidden layer of the Q network"
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
    checkpoint_interval: int = Field(default=10_000, ge=1, description="steps between checkpoints")
