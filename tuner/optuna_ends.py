"""A trial's end in Optuna's tables, written in the transaction that ends it in ours."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from optuna.trial import TrialState
from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from alphagrad.tuner.held_trial import upsert
from alphagrad.tuner.models import StudyRow, TrialRow
from alphagrad.tuner.optuna_tables import SYSTEM_ATTRS, TRIALS, VALUES, stored_value

CONSTRAINTS = "constraints"
"""Optuna's attribute of a trial for the values of its constraints, in the study's order."""


def write_end(
    session: Session,
    optuna_trial_id: int,
    *,
    state: str,
    values: Sequence[float],
    constraints: Sequence[float] = (),
) -> None:
    """Tell Optuna how a trial ended; one that has ended there already stays as it is.

    Optuna's own ``tell`` does the same in a dozen statements. What it asks of the sampler besides
    (``after_trial``) is nothing with the samplers and constraints that studies here have.

    Args:
        session: the transaction.
        optuna_trial_id: Optuna's id of the trial.
        state: COMPLETE, PRUNED or FAIL.
        values: of the objectives, with COMPLETE; what is known of the one, with PRUNED.
        constraints: in the study's order; all of them at most 0 is feasible.
    """
    ended = session.execute(
        update(TRIALS)
        .where(TRIALS.c.trial_id == optuna_trial_id, TRIALS.c.state == TrialState.RUNNING)
        .values(state=TrialState[state], datetime_complete=datetime.now())
        .returning(TRIALS.c.trial_id)
    )
    if ended.first() is None:
        return
    rows = []
    for objective, value in enumerate(values):
        stored, kind = stored_value(value)
        rows.append(
            {
                "trial_id": optuna_trial_id,
                "objective": objective,
                "value": stored,
                "value_type": kind,
            }
        )
    if rows:
        session.execute(insert(VALUES), rows)
    if constraints:
        # Of Optuna's two forms the list, which the dashboard reads too.
        shown = json.dumps(list(constraints))
        row = {"trial_id": optuna_trial_id, "key": CONSTRAINTS, "value_json": shown}
        upsert(session.connection(), SYSTEM_ATTRS, [row], key=("trial_id", "key"))


def write_end_of(session: Session, trial: TrialRow) -> None:
    """Tell Optuna how a trial ended that has ended in our table; its row is locked."""
    trial.told = True
    if trial.optuna_trial_id is None:
        return  # nobody to tell
    values = [trial.value] if trial.objective_values is None else trial.objective_values
    given = trial.constraints
    names = session.get_one(StudyRow, trial.study_id).spec["constraints"] if given else ()
    write_end(
        session,
        trial.optuna_trial_id,
        state=trial.state,
        values=[value for value in values if value is not None],
        constraints=[given[name] for name in names if name in given] if given else (),
    )
