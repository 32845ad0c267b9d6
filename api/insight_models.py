"""What the API says about a study as a whole."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, Field

from alphagrad.tuner.importance import Evaluator, Importance
from alphagrad.tuner.points import Points


class ImportanceOut(BaseModel):
    """How much each searched parameter matters for the value."""

    evaluator: Evaluator
    objective: int
    importances: dict[str, float] = Field(
        description="by parameter, largest first; their sum is 1; empty with too few trials"
    )
    left_out: list[str] = Field(
        description="parameters that no trial has; with fanova, that not every trial has"
    )
    n_trials: int = Field(description="complete trials of the study")
    used_trials: int = Field(description="how many of them were looked at, spread evenly")

    @classmethod
    def of(cls, importance: Importance) -> Self:
        """From what was found."""
        return cls(
            evaluator=importance.evaluator,
            objective=importance.objective,
            importances=importance.importances,
            left_out=importance.left_out,
            n_trials=importance.n_trials,
            used_trials=importance.used_trials,
        )


class SliceOut(BaseModel):
    """Parameters and value of completed trials: an entry per trial in each list."""

    objective: int
    trials: list[int] = Field(description="their numbers")
    params: dict[str, list[Any]] = Field(description="null where a trial does not have it")
    values: list[float]
    feasible: list[bool]
    n_trials: int = Field(description="complete trials of the study; these may be fewer")

    @classmethod
    def of(cls, points: Points, names: list[str], objective: int) -> Self:
        """From a sample of the trials."""
        return cls(
            objective=objective,
            trials=[point.number for point in points.points],
            params={name: [point.params.get(name) for point in points.points] for name in names},
            values=[point.values[objective] for point in points.points],
            feasible=[point.feasible for point in points.points],
            n_trials=points.n_trials,
        )
