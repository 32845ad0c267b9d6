"""The parameters that the classifying tasks share: names, defaults, bounds and meanings."""

from typing import Self

from pydantic import Field, model_validator

from alphagrad.studies.params import OptimizerParams


class ClassificationParams(OptimizerParams):
    """Parameters of a classifier's training. Raises as `OptimizerParams` does."""

    epochs: int = Field(default=15, ge=1, description="passes over the training examples")
    batch_size: int = Field(default=64, ge=1, description="examples in an optimizer step")
    hidden_sizes: tuple[int, ...] = Field(
        default=(128, 128), description="width of each hidden layer, each at least 1"
    )

    @model_validator(mode="after")
    def _layers_have_units(self) -> Self:
        if any(size < 1 for size in self.hidden_sizes):
            raise ValueError(f"hidden_sizes={self.hidden_sizes} must all be at least 1")
        return self
