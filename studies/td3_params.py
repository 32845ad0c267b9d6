"""The parameters of the task `td3`: names, defaults, bounds and meanings."""

from pydantic import Field

from alphagrad.studies.backend_params import BackendParams, HiddenSizes
from alphagrad.studies.params import OptimizerParams
from alphagrad.studies.replay_params import ReplayParams


class TD3Params(BackendParams, ReplayParams, OptimizerParams):
    """Parameters of the task `td3`; the defaults are those of CleanRL's td3_continuous_action.py.

    One step is one environment step. Raises as `OptimizerParams` does, and also where training
    would never begin (`learning_starts` ≥ `total_timesteps`).
    """

    env_id: str = Field(
        default="Hopper-v4",
        min_length=1,
        description="a registered gymnasium environment with Box observations, bounded Box actions",
    )
    total_timesteps: int = Field(default=1_000_000, ge=1, description="training steps in all")
    learning_rate: float = Field(
        default=3e-4, gt=0, description="step size of actor and critics, constant"
    )
    hidden_sizes: HiddenSizes = Field(
        default=(256, 256), description="width of each hidden layer of the actor and of each critic"
    )
    buffer_size: int = Field(
        default=1_000_000, ge=1, description="transitions kept for replay; the oldest go first"
    )
    gamma: float = Field(default=0.99, ge=0, le=1, description="discount of the next step's value")
    tau: float = Field(
        default=0.005, gt=0, le=1, description="share of a network in its target's update"
    )
    batch_size: int = Field(default=256, ge=1, description="transitions in an optimizer step")
    policy_noise: float = Field(
        default=0.2, ge=0, description="deviation of the target policy's noise, in half ranges"
    )
    noise_clip: float = Field(
        default=0.5, ge=0, description="bound of the target policy's noise, in half ranges"
    )
    exploration_noise: float = Field(
        default=0.1, ge=0, description="deviation of the noise on actions, in half ranges"
    )
    learning_starts: int = Field(
        default=25_000, ge=0, description="steps at random before the first optimizer step"
    )
    policy_frequency: int = Field(
        default=2, ge=1, description="critic updates for each update of actor and targets"
    )
    eval_interval: int = Field(
        default=10_000, ge=1, description="steps between evaluations, each of them reported"
    )
    eval_episodes: int = Field(
        default=5, ge=1, description="episodes without noise in an evaluation"
    )
    eval_window: int = Field(
        default=10, ge=1, description="evaluations in the reported mean; 1 reports each one alone"
    )
    checkpoint_interval: int = Field(default=50_000, ge=1, description="steps between checkpoints")
