"""The parameters of the task `names`: names, defaults, bounds and meanings."""

from pydantic import Field

from alphagrad.studies.classification_params import ClassificationParams


class NamesParams(ClassificationParams):
    """Parameters of the task `names`. Raises as `ClassificationParams` does."""

    epochs: int = Field(default=10, ge=1, description="passes over the training names")
    hidden_sizes: tuple[int, ...] = Field(
        default=(64,), description="width of each hidden layer, each at least 1"
    )
    embedding_size: int = Field(
        default=64, ge=1, description="numbers that stand for one piece of a name"
    )
