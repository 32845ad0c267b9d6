"""What the API answers with."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from alphagrad.tuner.advice import spec_warnings
from alphagrad.tuner.attempts import Outcome
from alphagrad.tuner.errors import FieldError, SpecError
from alphagrad.tuner.exploits import Exploit
from alphagrad.tuner.metrics import MAX_NAME, Series
from alphagrad.tuner.models import AttemptRow, KnobRow, TrialRow
from alphagrad.tuner.pruners import PrunerSpec
from alphagrad.tuner.space import Scalar
from alphagrad.tuner.study_store import StudyStatus
from alphagrad.tuner.text import Text
from alphagrad.tuner.traces import AlphaTrace

Item = TypeVar("Item")
MetricName = Annotated[Text, Field(min_length=1, max_length=MAX_NAME)]


class Page(BaseModel, Generic[Item]):
    """One page of a list; ``next_page_token`` is null on the last one."""

    items: list[Item]
    next_page_token: str | None


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


class StudyOut(BaseModel):
    """A study: its specification and how far it is."""

    name: str
    state: str
    spec: dict[str, Any]
    versions: dict[str, str] = Field(description="of Python and packages, at submission")
    n_trials: int
    trials: dict[str, int] = Field(description="number of trials by state")
    best: TrialOut | None = Field(description="the best feasible one; null with several objectives")
    best_trials: list[TrialOut] = Field(description="the Pareto front, by number, at most 100")
    eta_seconds: float | None = Field(description="null if unknown")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, status: StudyStatus) -> Self:
        """From a study's status."""
        created_at = timestamp(status.row.created_at)
        assert created_at is not None
        return cls(
            name=status.row.name,
            state=status.row.state,
            spec=status.row.spec,
            versions=status.row.versions,
            n_trials=status.row.n_trials,
            trials=dict(status.trials),
            best=None if status.best is None else TrialOut.of(status.best),
            best_trials=[TrialOut.of(row) for row in status.best_trials],
            eta_seconds=status.eta_seconds,
            created_at=created_at,
            started_at=timestamp(status.row.started_at),
            finished_at=timestamp(status.row.finished_at),
        )


class SubmittedStudy(StudyOut):
    """A study that was just submitted."""

    warnings: list[str] = Field(
        description="what of it fits together badly, and is done all the same"
    )

    @classmethod
    def of(cls, status: StudyStatus) -> Self:
        """From a study's status."""
        study = StudyOut.of(status)
        return cls(**dict(study), warnings=spec_warnings(status.spec))


class StudyPatch(BaseModel):
    """Fields of a study's specification that can be changed while it is open; all may be left out.

    What values are allowed is as in the specification.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    n_trials: int | None = Field(default=None, description="not below the number started so far")
    parallelism: int | None = None
    priority: int | None = None
    pruner: PrunerSpec | None = Field(default=None, description="for trials that start from now on")
    timeout: float | None = Field(default=None, description="null takes the limit away")
    max_failed_trials: int | None = Field(default=None, description="null takes the limit away")


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


class ExploitOut(BaseModel):
    """A member of a population took over another's checkpoint and parameters, and changed them."""

    trial: int = Field(description="the member's number")
    step: int = Field(description="how far it had trained")
    score: float | None = Field(description="what it had reported; null if not finite")
    params: dict[str, Any] = Field(description="the searched parameters it had")
    source: int = Field(description="the number of the member that it goes on from")
    source_step: int
    source_score: float | None
    source_params: dict[str, Any]
    new_params: dict[str, Any] = Field(description="what it goes on with")
    created_at: datetime

    @classmethod
    def of(cls, exploit: Exploit) -> Self:
        """From a record."""
        row = exploit.row
        same = ("step", "score", "params", "source_step", "source_score", "source_params")
        return cls.model_validate(
            {name: getattr(row, name) for name in (*same, "new_params")}
            | {
                "trial": exploit.number,
                "source": exploit.source,
                "created_at": timestamp(row.created_at),
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
                name: SeriesOut(steps=steps.tolist(), values=_finite(values))
                for name, (steps, values) in metrics.items()
            }
        )


class AlphaPatch(BaseModel):
    """A turn of the knob."""

    model_config = ConfigDict(extra="forbid", strict=True)

    layers: Text = Field(default="*", min_length=1, max_length=500, description="a glob on names")
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


def timestamp(seconds: float | None) -> datetime | None:
    """Seconds since 1970 as a time in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def encode_token(position: int) -> str:
    """An opaque page token."""
    return base64.urlsafe_b64encode(f"after:{position}".encode()).decode().rstrip("=")


def decode_token(token: str | None, *, default: int) -> int:
    """The position in a page token.

    Raises:
        SpecError: not a token that a list gave out.
    """
    if token is None:
        return default
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    except (ValueError, binascii.Error):
        text = ""
    prefix, _, position = text.partition(":")
    if prefix != "after" or not position.isdecimal() or int(position) >= 2**31:
        message = "must be the next_page_token of an earlier answer"
        raise SpecError([FieldError("page_token", token, message)])
    return int(position)


def _rows(values: NDArray[np.float32]) -> list[list[float | None]]:
    rows = values.astype(object)  # of Python's floats
    rows[np.isnan(values)] = None
    listed: list[list[float | None]] = rows.tolist()
    return listed


def _finite(values: NDArray[np.float64]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values.tolist()]
