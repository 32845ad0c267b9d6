"""A trial's end in Optuna's tables, written in the transaction that ends it in ours."""

from __future__ import annotations

import json
from datetime import datetime

from optuna.trial import TrialState
from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from alphagrad.tuner.held_trial import upsert
from alphagrad.tuner.models import StudyRow, TrialRow
from alphagrad.tuner.optuna_tables import SYSTEM_ATTRS, TRIALS, VALUES, stored_value

CONSTRAINTS = "constraints"
"""Optuna's attribute of a trial for the values of its constraints, in the study's order."""


def write_end(session: Session, trial: TrialRow) -> None:
    """Tell Optuna how a trial ended; one that has ended there already stays as it is.

    Optuna's own ``tell`` does the same in a dozen statements. What it asks of the sampler besides
    (``after_trial``) is nothing with the samplers and constraints that studies here have.

    Args:
        session: the transaction; the trial's row is locked in it.
        trial: the row, as it has ended.
    """
    trial_id = trial.optuna_trial_id
    ended = session.execute(
        update(TRIALS)
        .where(TRIALS.c.trial_id == trial_id, TRIALS.c.state == TrialState.RUNNING)
        .values(state=TrialState[trial.state], datetime_complete=datetime.now())
        .returning(TRIALS.c.trial_id)
    )
    if ended.first() is None:
        return
    values = [trial.value] if trial.objective_values is None else trial.objective_values
    rows = []
    for objective, value in enumerate(values):
        if value is not None:
            stored, kind = stored_value(value)
            rows.append(
                {
                    "trial_id": trial_id,
                    "objective": objective,
                    "value": stored,
                    "value_type": kind,
                }
            )
    if rows:
        session.execute(insert(VALUES), rows)
    if trial.constraints:
        # Of Optuna's two forms the list, which the dashboard reads too.
        names = session.get_one(StudyRow, trial.study_id).spec["constraints"]
        listed = [trial.constraints[name] for name in names if name in trial.constraints]
        row = {"trial_id": trial_id, "key": CONSTRAINTS, "value_json": json.dumps(listed)}
        upsert(session.connection(), SYSTEM_ATTRS, [row], key=("trial_id", "key"))
