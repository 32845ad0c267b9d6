"""Routes: a trial's log, its intermediate values, its checkpoints."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from alphagrad.api.deps import DatabaseDep, SettingsDep
from alphagrad.api.pages import Page, timestamp
from alphagrad.api.trial_models import finite
from alphagrad.api.trials import MaxSteps, Number
from alphagrad.tuner import study_store
from alphagrad.tuner.attempts import list_attempts
from alphagrad.tuner.checkpoint_list import CheckpointKind, StoredCheckpoint, list_checkpoints
from alphagrad.tuner.errors import NoLogError
from alphagrad.tuner.log_tail import LogPart, read_log
from alphagrad.tuner.reports import read_reports

router = APIRouter(prefix="/v1/studies/{name}/trials/{number}", tags=["trials"])

LONGEST_LOG = 1_048_576


class LogOut(BaseModel):
    """A part of a trial's log."""

    text: str
    next_offset: int = Field(description="where to read on, in bytes")
    size: int = Field(description="bytes of the whole log")

    @classmethod
    def of(cls, part: LogPart) -> LogOut:
        """From what was read."""
        return cls(text=part.text, next_offset=part.next_offset, size=part.size)


class ReportsOut(BaseModel):
    """What a trial reported, by step; null is NaN or infinite."""

    steps: list[int]
    values: list[float | None]


class CheckpointOut(BaseModel):
    """A checkpoint on the server's machine."""

    kind: CheckpointKind = Field(
        description="checkpoint: the next attempt goes on from it; point: other members of a "
        "population may take it over; exploit: the trial took it over itself"
    )
    fence: int = Field(description="of the attempt that wrote it")
    attempt: int | None = Field(description="that attempt, where it is known")
    step: int | None = Field(description="of a point")
    size: int = Field(description="bytes")
    created_at: datetime

    @classmethod
    def of(cls, stored: StoredCheckpoint, *, attempts: int) -> CheckpointOut:
        """From a file, of a trial with so many attempts."""
        created_at = timestamp(stored.created_at)
        assert created_at is not None
        return cls(
            kind=stored.kind,
            fence=stored.fence,
            attempt=stored.fence if 1 <= stored.fence <= attempts else None,
            step=stored.step,
            size=stored.size,
            created_at=created_at,
        )


@router.get("/log")
def read_trial_log(
    name: str,
    number: Number,
    database: DatabaseDep,
    settings: SettingsDep,
    offset: Annotated[
        int,
        Query(ge=-(2**53), lt=2**53, description="in bytes; a negative one gives the log's end"),
    ] = -1,
    limit: Annotated[int, Query(ge=4, le=LONGEST_LOG, description="bytes, at most")] = 65_536,
) -> LogOut:
    """A part of a trial's log: its end, or what has come since ``next_offset`` of an answer before.

    The log lies on the machine of the worker that ran the trial; another machine's server has none.
    """
    trial = study_store.get_trial(database, name, number)
    try:
        part = read_log(settings.log_path(name, number), offset=offset, limit=limit)
    except (FileNotFoundError, NotADirectoryError):
        raise NoLogError(name, number, worker=trial.worker) from None
    return LogOut.of(part)


@router.get("/reports")
def read_trial_reports(
    name: str, number: Number, database: DatabaseDep, max_steps: MaxSteps = 2000
) -> ReportsOut:
    """The intermediate values of a trial by step, thinned to ``max_steps``."""
    trial = study_store.get_trial(database, name, number)
    steps, values = read_reports(database, trial, max_steps=max_steps)
    return ReportsOut(steps=steps, values=finite(values))


@router.get("/checkpoints")
def list_trial_checkpoints(
    name: str, number: Number, database: DatabaseDep, settings: SettingsDep
) -> Page[CheckpointOut]:
    """The checkpoints of a trial that are on the server's machine, by attempt.

    Those of a finished trial are deleted, but in a population.
    """
    trial = study_store.get_trial(database, name, number)
    attempts = len(list_attempts(database, trial.id))
    stored = list_checkpoints(settings.checkpoint_dir(trial.study_id, trial.slot))
    items = [CheckpointOut.of(one, attempts=attempts) for one in stored]
    return Page(items=items, next_page_token=None)
