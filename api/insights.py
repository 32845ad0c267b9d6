"""Routes: what the trials of a study say together."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from alphagrad.api.deps import DatabaseDep, ImportancesDep
from alphagrad.api.insight_models import ImportanceOut, SliceOut
from alphagrad.api.pages import Page
from alphagrad.api.trial_models import TrialOut
from alphagrad.tuner import study_store
from alphagrad.tuner.importance import Evaluator
from alphagrad.tuner.points import check_objective, check_searched, read_points
from alphagrad.tuner.text import Text

router = APIRouter(prefix="/v1/studies/{name}", tags=["insights"])

Objective = Annotated[int, Query(ge=0, lt=1000, description="the place of the objective, from 0")]


@router.get("/importance")
def read_importance(
    name: str,
    importances: ImportancesDep,
    evaluator: Evaluator = "ped-anova",
    objective: Objective = 0,
) -> ImportanceOut:
    """How much each searched parameter matters.

    ``ped-anova`` asks what makes the best tenth of the trials, ``fanova`` what moves the value
    anywhere. Of many trials a sample is looked at: at most 2,000 and 500.
    """
    return ImportanceOut.of(importances.of(name, evaluator=evaluator, objective=objective))


@router.get("/best-trials")
def list_best_trials(
    name: str, database: DatabaseDep, limit: Annotated[int, Query(ge=1, le=100)] = 10
) -> Page[TrialOut]:
    """The best complete and feasible trials, best first; of several objectives the Pareto front."""
    rows = study_store.list_best(database, name, most=limit)
    return Page(items=[TrialOut.of(row) for row in rows[:limit]], next_page_token=None)


@router.get("/slice")
def read_slice(
    name: str,
    database: DatabaseDep,
    param: Annotated[
        list[Text] | None, Query(description="a searched parameter; all, if none is given")
    ] = None,
    objective: Objective = 0,
    max_trials: Annotated[int, Query(ge=1, le=5000)] = 2000,
) -> SliceOut:
    """Parameters and values of the completed trials, of many a sample spread over the numbers."""
    points = read_points(database, name, most=max_trials)
    check_objective(points.spec, objective)
    names = check_searched(points.spec, param)
    return SliceOut.of(points, list(names), objective)
