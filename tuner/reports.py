"""Reading a trial's intermediate values, which Optuna's tables hold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select

from alphagrad.tuner.database import Database
from alphagrad.tuner.models import TrialRow
from alphagrad.tuner.optuna_tables import REPORTS, read_report


def read_reports(
    database: Database, trial: TrialRow, *, max_steps: int = 2000
) -> tuple[list[int], NDArray[np.float64]]:
    """What a trial reported, by step.

    Args:
        database: the database.
        trial: the trial's row.
        max_steps: of more reports so many are given, spread evenly; first and last stay.

    Returns:
        The steps, and the value at each.
    """
    columns = (REPORTS.c.step, REPORTS.c.intermediate_value, REPORTS.c.intermediate_value_type)
    of_trial = REPORTS.c.trial_id == trial.optuna_trial_id
    place = func.row_number().over(order_by=REPORTS.c.step).label("place")
    with database.read() as session:
        count = session.scalar(select(func.count()).select_from(REPORTS).where(of_trial)) or 0
        query = select(*columns).where(of_trial).order_by(REPORTS.c.step)
        if count > max_steps:
            rows = select(*columns, place).where(of_trial).subquery()
            kept = np.linspace(1, count, max_steps).round().astype(int).tolist()
            query = (
                select(rows.c.step, rows.c.intermediate_value, rows.c.intermediate_value_type)
                .where(rows.c.place.in_(kept))
                .order_by(rows.c.step)
            )
        read = session.execute(query).all()
    values = [read_report(row[1], row[2]) for row in read]
    return [row[0] for row in read], np.array(values, dtype=np.float64)
