"""The parameters of the task `chars`: names, defaults, bounds and meanings."""

from typing import Self

from pydantic import Field, model_validator

from alphagrad.studies.params import OptimizerParams


class CharsParams(OptimizerParams):
    """Parameters of the task `chars`. One step is one optimizer step.

    Raises as `OptimizerParams` does, and also where `width` is not a multiple of `heads`.
    """

    total_steps: int = Field(default=1000, ge=1, description="optimizer steps in all")
    batch_size: int = Field(default=16, ge=1, description="windows of text in an optimizer step")
    context: int = Field(
        default=64, ge=2, le=1024, description="characters in a window, the most that are looked at"
    )
    width: int = Field(default=64, ge=1, description="numbers that stand for one character")
    layers: int = Field(default=2, ge=1, description="blocks of attention and perceptron")
    heads: int = Field(default=4, ge=1, description="attentions in a block, each of width/heads")
    eval_interval: int = Field(
        default=100, ge=1, description="steps between validations, each reported and checkpointed"
    )

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width={self.width} must be a multiple of heads={self.heads}")
        return self
