"""What the API takes and gives of studies."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from alphagrad.api.pages import timestamp
from alphagrad.api.trial_models import TrialOut
from alphagrad.tuner.advice import spec_warnings
from alphagrad.tuner.exploits import Exploit
from alphagrad.tuner.pruners import PrunerSpec
from alphagrad.tuner.study_store import StudyStatus

StudyState = Literal["QUEUED", "RUNNING", "PAUSED", "STOPPING", "COMPLETED", "FAILED", "CANCELLED"]


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
    owner: str | None = Field(description="the API key that submitted it; null: the command line")
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
            owner=status.row.owner,
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
