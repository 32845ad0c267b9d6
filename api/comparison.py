"""Routes: studies side by side, and a study submitted anew."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from alphagrad.api.deps import DatabaseDep, OptunaDep, PrincipalDep
from alphagrad.api.study_models import SubmittedStudy
from alphagrad.api.submission import store
from alphagrad.api.trial_models import TrialOut
from alphagrad.tuner.cloning import cloned_spec
from alphagrad.tuner.comparison import Compared, Curve, compare
from alphagrad.tuner.spec import NAME_PATTERN
from alphagrad.tuner.spread import Spread
from alphagrad.tuner.text import Text

router = APIRouter(tags=["studies"])

MOST_STUDIES = 8


class CurveOut(BaseModel):
    """The best value so far: a point where it changed, and one at the last trial."""

    at: list[float] = Field(description="numbers of trials, or seconds from the study's start")
    best: list[float]

    @classmethod
    def of(cls, curve: Curve) -> CurveOut:
        """From a curve."""
        return cls(at=curve.at, best=curve.best)


class SpreadOut(BaseModel):
    """The values of complete trials that differ by their seeds alone."""

    count: int
    mean: float
    std: float | None = Field(description="of a sample; null of a single trial")
    median: float

    @classmethod
    def of(cls, spread: Spread) -> SpreadOut:
        """From what was found."""
        return cls(count=spread.count, mean=spread.mean, std=spread.std, median=spread.median)


class ComparedStudy(BaseModel):
    """A study beside others."""

    name: str
    state: str
    task: str | None = Field(description="null where it is the clients' own and has no name")
    objectives: list[str] = Field(description="the direction of each")
    trials: dict[str, int] = Field(description="number of trials by state")
    best: TrialOut | None = Field(description="null with several objectives")
    params: dict[str, Any] = Field(description="of the best trial")
    by_trial: CurveOut
    by_time: CurveOut
    spread: SpreadOut | None = Field(
        description="of the values, where nothing is searched and a trial is complete"
    )

    @classmethod
    def of(cls, compared: Compared) -> ComparedStudy:
        """From what was read."""
        row = compared.status.row
        spec = row.spec
        best = None if compared.best is None else TrialOut.of(compared.best)
        return cls(
            name=row.name,
            state=row.state,
            task=spec.get("task"),
            objectives=spec.get("directions") or [spec["direction"]],
            trials=dict(compared.status.trials),
            best=best,
            params={} if best is None else best.params,
            by_trial=CurveOut.of(compared.by_trial),
            by_time=CurveOut.of(compared.by_time),
            spread=None if compared.spread is None else SpreadOut.of(compared.spread),
        )


class Comparison(BaseModel):
    """Studies side by side, in the order in which they were asked for."""

    studies: list[ComparedStudy]


class StudyClone(BaseModel):
    """A name for the new study, and fields of its specification that are to differ."""

    model_config = ConfigDict(extra="allow")

    name: Annotated[str, Field(pattern=NAME_PATTERN)]


@router.get("/v1/compare")
def compare_studies(
    study: Annotated[list[Text], Query(min_length=1, max_length=MOST_STUDIES)],
    database: DatabaseDep,
) -> Comparison:
    """Up to eight studies side by side: the best value so far, by trial and by time."""
    return Comparison(
        studies=[ComparedStudy.of(compare(database, name)) for name in dict.fromkeys(study)]
    )


@router.post("/v1/studies/{name}:clone", status_code=202)
def clone_study(
    name: str,
    clone: StudyClone,
    response: Response,
    database: DatabaseDep,
    optuna_storage: OptunaDep,
    principal: PrincipalDep,
    warm_start: Annotated[
        bool, Query(description="let the new study's sampler know the trials of this one")
    ] = False,
) -> SubmittedStudy:
    """Submit a study once more under another name; a field that is given replaces the old one."""
    spec = cloned_spec(database, name, clone.model_dump(), warm_start=warm_start)
    return store(
        spec, response, database=database, optuna_storage=optuna_storage, principal=principal
    )
