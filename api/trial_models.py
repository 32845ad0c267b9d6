"""What the API takes and gives of trials."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from alphagrad.api.pages import timestamp
from alphagrad.tuner.attempts import Outcome
from alphagrad.tuner.metric_buffer import MAX_NAME
from alphagrad.tuner.metrics import Series
from alphagrad.tuner.models import AttemptRow, KnobRow, TrialRow
from alphagrad.tuner.space import Scalar
from alphagrad.tuner.text import Text
from alphagrad.tuner.traces import AlphaTrace

LayerGlob = Annotated[Text, Field(min_length=1, max_length=500)]
MetricName = Annotated[Text, Field(min_length=1, max_length=MAX_NAME)]


class TrialOut(BaseModel):
    """A trial: its parameters and how it stands or ended."""

    number: int
    state: str
    value: float | None = Field(description="of the one objective")
    values: list[float] | None = Field(description="of several objectives, in their order")
    constraints: dict[str, float] | None = Field(description="at most 0 is feasible")
    feasible: bool
    params: dict[str, Any]
    seed: int
    attempt: int
    error: str | None
    started_at: datetime | None
    finished_at: datetime | None
    layers: list[str] | None = Field(description="the layers of its alpha trace")
    metrics: list[str] | None = Field(description="the names of its metrics")

    @classmethod
    def of(cls, row: TrialRow) -> Self:
        """From a row that has its number."""
        assert row.number is not None
        return cls(
            number=row.number,
            state=row.state,
            value=row.value,
            values=row.objective_values,
            constraints=row.constraints,
            feasible=row.feasible,
            params=row.params or {},
            seed=row.seed or 0,
            attempt=row.attempt,
            error=row.error,
            started_at=timestamp(row.started_at),
            finished_at=timestamp(row.finished_at),
            layers=row.layers,
            metrics=row.metrics,
        )


class EnqueuedTrial(BaseModel):
    """Parameters that the next trial is to try; the sampler draws those left out."""

    model_config = ConfigDict(extra="forbid", strict=True)

    params: dict[Text, Scalar]


class AttemptOut(BaseModel):
    """One attempt at a trial."""

    attempt: int
    worker: str
    outcome: Outcome | None = Field(
        description="null while it runs; LOST is a worker that died, GIVEN_BACK one that stopped; "
        "EXPLOITED: the next goes on from another member; YIELDED: another member had its turn"
    )
    error: str | None
    started_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, row: AttemptRow) -> Self:
        """From a row."""
        return cls.model_validate(
            {name: getattr(row, name) for name in ("attempt", "worker", "outcome", "error")}
            | {
                "started_at": timestamp(row.started_at),
                "finished_at": timestamp(row.finished_at),
            }
        )


class AlphaTraceOut(BaseModel):
    """α and saturation, one row per step, one column per layer; null where nothing was measured."""

    layers: list[str]
    steps: list[int]
    alpha: list[list[float | None]]
    saturation: list[list[float | None]]

    @classmethod
    def of(cls, trace: AlphaTrace) -> Self:
        """From a trace."""
        return cls(
            layers=trace.layers,
            steps=trace.steps,
            alpha=_rows(trace.alpha),
            saturation=_rows(trace.saturation),
        )


class SeriesOut(BaseModel):
    """One metric over a trial's steps; null is NaN or infinite."""

    steps: list[int]
    values: list[float | None]


class MetricsOut(BaseModel):
    """The metrics of a trial by name."""

    metrics: dict[str, SeriesOut]

    @classmethod
    def of(cls, metrics: Mapping[str, Series]) -> Self:
        """From what was read."""
        return cls(
            metrics={
                name: SeriesOut(steps=steps.tolist(), values=finite(values))
                for name, (steps, values) in metrics.items()
            }
        )


class AlphaPatch(BaseModel):
    """A turn of the knob."""

    model_config = ConfigDict(extra="forbid", strict=True)

    layers: LayerGlob = Field(default="*", description="a glob on names")
    alpha: float | None = Field(default=None, description="the new steepness; null leaves it")
    pin: bool | None = Field(
        default=None,
        description="true keeps schedulers off these layers, false releases them, null leaves",
    )


class KnobOut(BaseModel):
    """A knob command and what became of it."""

    id: int
    layers: str
    alpha: float | None
    pin: bool | None
    state: Literal["requested", "applied", "rejected"]
    step: int | None = Field(description="the first step made with the new alpha")
    reason: str | None
    requested_at: datetime
    answered_at: datetime | None

    @classmethod
    def of(cls, row: KnobRow) -> Self:
        """From a row."""
        return cls.model_validate(
            {
                name: getattr(row, name)
                for name in ("id", "layers", "alpha", "pin", "state", "step", "reason")
            }
            | {
                "requested_at": timestamp(row.requested_at),
                "answered_at": timestamp(row.answered_at),
            }
        )


def _rows(values: NDArray[np.float32]) -> list[list[float | None]]:
    rows = values.astype(object)  # of Python's floats
    rows[np.isnan(values)] = None
    listed: list[list[float | None]] = rows.tolist()
    return listed


def finite(values: NDArray[np.float64]) -> list[float | None]:
    """The values as JSON has them."""
    return [value if math.isfinite(value) else None for value in values.tolist()]
