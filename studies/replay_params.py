"""What the parameters of tasks that learn from a replay buffer have to fulfil."""

from typing import Self

from pydantic import BaseModel, model_validator


class ReplayParams(BaseModel):
    """For a task's parameters to inherit, before `OptimizerParams`.

    Raises `pydantic.ValidationError` where training would never begin.
    """

    total_timesteps: int
    learning_starts: int

    @model_validator(mode="after")
    def _training_begins(self) -> Self:
        if self.learning_starts >= self.total_timesteps:
            raise ValueError(
                f"learning_starts={self.learning_starts} must be below "
                f"total_timesteps={self.total_timesteps}"
            )
        return self
