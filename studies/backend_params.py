"""The parameters that say what computes a task's networks, and where."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

HiddenSizes = tuple[Annotated[int, Field(ge=1)], ...]
"""Width of each hidden layer, from the inputs on."""


class BackendParams(BaseModel):
    """For a task's parameters to inherit, before `OptimizerParams`.

    Raises `pydantic.ValidationError` for a device other than the CPU with numpy.
    """

    backend: Literal["numpy", "torch"] = Field(
        default="numpy",
        description="numpy: gradients by hand, fast on a CPU; torch: autograd, on any device",
    )
    device: str = Field(
        default="cpu", min_length=1, description="where torch computes; numpy is on the CPU"
    )

    @model_validator(mode="after")
    def _device_has_effect(self) -> Self:
        if self.backend == "numpy" and self.device != "cpu":
            raise ValueError(f"device={self.device!r} has no effect with backend='numpy'")
        return self
