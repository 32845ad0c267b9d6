"""``/v1/studies/{name}/trials``: read trials, their α traces and metrics."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query

from alphagrad.api.deps import DatabaseDep
from alphagrad.api.pages import Page, decode_token, encode_token
from alphagrad.api.path_parts import NUMBER
from alphagrad.api.study_models import StudyOut
from alphagrad.api.trial_models import (
    AlphaTraceOut,
    AttemptOut,
    EnqueuedTrial,
    LayerGlob,
    MetricName,
    MetricsOut,
    TrialOut,
)
from alphagrad.tuner import attempts, lists, metrics, study_changes, study_store, traces

router = APIRouter(prefix="/v1/studies/{name}/trials", tags=["trials"])

Number = Annotated[int, Path(ge=0, lt=2**31)]
MaxSteps = Annotated[int, Query(ge=2, le=20_000)]
TrialState = Literal["WAITING", "RUNNING", "COMPLETE", "PRUNED", "FAIL"]


@router.get("")
def list_trials(
    name: str,
    database: DatabaseDep,
    page_token: str | None = None,
    page_size: Annotated[int, Query(ge=1, le=500)] = 100,
    state: Annotated[list[TrialState] | None, Query(description="one of these")] = None,
    feasible: bool | None = None,
) -> Page[TrialOut]:
    """A study's trials by number, all or those that match."""
    after = decode_token(page_token, default=-1)
    rows = lists.list_trials(
        database, name, after=after, limit=page_size + 1, states=state, feasible=feasible
    )
    more = len(rows) > page_size
    items = [TrialOut.of(row) for row in rows[:page_size]]
    return Page(items=items, next_page_token=encode_token(items[-1].number) if more else None)


@router.post(":enqueue", status_code=202)
def enqueue_trial(name: str, enqueued: EnqueuedTrial, database: DatabaseDep) -> StudyOut:
    """Let the next trial that is started try these parameters."""
    return StudyOut.of(study_changes.enqueue_trial(database, name, enqueued.params))


@router.get(NUMBER)
def read_trial(name: str, number: Number, database: DatabaseDep) -> TrialOut:
    """One trial."""
    return TrialOut.of(study_store.get_trial(database, name, number))


@router.get("/{number}/attempts")
def list_attempts(name: str, number: Number, database: DatabaseDep) -> Page[AttemptOut]:
    """The attempts at a trial, oldest first: which worker, and how each ended."""
    trial = study_store.get_trial(database, name, number)
    rows = attempts.list_attempts(database, trial.id)
    return Page(items=[AttemptOut.of(row) for row in rows], next_page_token=None)


@router.get("/{number}/alpha")
def read_alpha(
    name: str,
    number: Number,
    database: DatabaseDep,
    max_steps: MaxSteps = 2000,
    layers: Annotated[
        list[LayerGlob] | None, Query(description="globs on names; all layers, if none is given")
    ] = None,
    after_step: Annotated[int | None, Query(ge=0, lt=2**31)] = None,
    before_step: Annotated[int | None, Query(ge=0, lt=2**31)] = None,
) -> AlphaTraceOut:
    """α and saturation of every layer over the trial's steps, thinned to ``max_steps`` rows.

    ``after_step`` and ``before_step`` are not included themselves.
    """
    trial = study_store.get_trial(database, name, number)
    trace = traces.read_trace(
        database,
        trial,
        max_steps=max_steps,
        layers=layers,
        after_step=after_step,
        before_step=before_step,
    )
    return AlphaTraceOut.of(trace)


@router.get("/{number}/metrics")
def read_metrics(
    name: str,
    number: Number,
    database: DatabaseDep,
    names: Annotated[list[MetricName] | None, Query()] = None,
    max_steps: MaxSteps = 2000,
) -> MetricsOut:
    """What the trial recorded, each metric thinned to ``max_steps`` values.

    ``names`` may be given several times; without it come all. One not recorded (yet) is empty.
    """
    trial = study_store.get_trial(database, name, number)
    return MetricsOut.of(metrics.read_metrics(database, trial, names, max_steps))
