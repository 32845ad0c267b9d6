"""The parameters of the task `digits`: names, defaults, bounds and meanings."""

from alphagrad.studies.classification_params import ClassificationParams


class DigitsParams(ClassificationParams):
    """Parameters of the task `digits`. Raises as `ClassificationParams` does."""
