"""Metrics of trials in SQL: one row per value, read back thinned."""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from alphagrad.tuner import attempts, leases
from alphagrad.tuner.database import Database
from alphagrad.tuner.messages import Metrics
from alphagrad.tuner.models import MetricRow, TrialRow

Series = tuple[NDArray[np.int64], NDArray[np.float64]]
"""The steps and the values of one metric, of equal length, in the order they were recorded."""


def append_metrics(database: Database, *, trial_id: int, fence: int, batch: Metrics) -> None:
    """Store a batch; what an earlier attempt stored from the same steps on is replaced.

    Raises:
        StaleFenceError: the lease was lost.
    """

    def attempt(session: Session) -> None:
        trial = leases.held(session, trial_id, fence)
        known = trial.metrics or []
        if new := [name for name in batch.names if name not in known]:
            trial.metrics = known = known + new
        ids = [known.index(name) for name in batch.names]
        new_from = attempts.unstored(
            session, trial, "values", first=batch.first, count=len(batch.values)
        )
        rows = [
            {
                "trial_id": trial_id,
                "name": ids[which],
                "fence": fence,
                "position": position,
                "step": step,
                "value": None if math.isnan(value) else value,
            }
            for position, (which, step, value) in enumerate(
                zip(batch.which, batch.steps, batch.values, strict=True), start=batch.first
            )
        ][new_from:]
        if not rows:
            return
        if batch.first + new_from == 0:
            session.execute(
                delete(MetricRow).where(
                    MetricRow.trial_id == trial_id,
                    MetricRow.fence < fence,
                    MetricRow.step >= min(batch.steps),
                )
            )
        session.execute(insert(MetricRow), rows)

    database.retry(attempt)


def read_metrics(
    database: Database,
    trial: TrialRow,
    names: Collection[str] | None = None,
    max_steps: int = 2000,
) -> dict[str, Series]:
    """What a trial recorded, by name.

    Args:
        database: the database.
        trial: the trial's row.
        names: the metrics wanted, all by default; one that was not recorded comes back empty.
        max_steps: of a metric with more values so many are given, spread evenly; first and last
            stay. At least 2.
    """
    places = {name: place for place, name in enumerate(trial.metrics or [])}
    with database.read() as session:
        found = {
            name: _read_series(session, trial.id, places.get(name, -1), most=max_steps)
            for name in (places if names is None else names)
        }
    # A name may have lost all its values to a later attempt.
    return {name: (s, v) for name, (s, v) in found.items() if len(s) or names is not None}


def _read_series(session: Session, trial_id: int, name: int, *, most: int) -> Series:
    of_name = (MetricRow.trial_id == trial_id, MetricRow.name == name)
    in_order = (MetricRow.fence, MetricRow.position)
    count = session.scalar(select(func.count()).select_from(MetricRow).where(*of_name)) or 0
    if count <= most:
        chosen = select(MetricRow.step, MetricRow.value).where(*of_name).order_by(*in_order)
    else:
        index = (func.row_number().over(order_by=in_order) - 1).label("index")
        rows = select(MetricRow.step, MetricRow.value, index).where(*of_name).subquery()
        # At row i, i·(most − 1) // (count − 1) rows are due after the first: keep where that grows.
        i = rows.c.index
        due, due_before = (n * (most - 1) // (count - 1) for n in (i, i - 1))
        kept = (i < count) & ((i == 0) | (due > due_before))
        chosen = select(rows.c.step, rows.c.value).where(kept).order_by(i)
    read = session.execute(chosen.limit(most)).all()
    steps = np.array([row.step for row in read], dtype=np.int64)
    return steps, np.array([row.value for row in read], dtype=np.float64)  # NULL becomes NaN
