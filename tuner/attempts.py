"""The history of a trial: one row for each attempt at it."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from alphagrad.tuner.database import Database, db_now
from alphagrad.tuner.messages import FinalState
from alphagrad.tuner.models import AttemptRow, TrialRow
from alphagrad.tuner.text import clean_text

Outcome = FinalState | Literal["LOST", "GIVEN_BACK", "EXPLOITED", "YIELDED"]


def begin(session: Session, trial: TrialRow, *, worker: str, now: float) -> None:
    """Note that an attempt begins, in the transaction of its claim."""
    session.add(AttemptRow(trial_id=trial.id, attempt=trial.attempt, worker=worker, started_at=now))


def end(session: Session, trial: TrialRow, outcome: Outcome, *, error: str | None = None) -> None:
    """Note how the latest attempt ended; one that has ended already stays as it is."""
    session.execute(
        update(AttemptRow)
        .where(
            AttemptRow.trial_id == trial.id,
            AttemptRow.attempt == trial.attempt,
            AttemptRow.outcome.is_(None),
        )
        .values(
            outcome=outcome,
            error=None if error is None else clean_text(error),
            finished_at=db_now(),
        )
        .execution_options(synchronize_session=False)
    )


def list_attempts(database: Database, trial_id: int) -> list[AttemptRow]:
    """All attempts at a trial, oldest first."""
    with database.read() as session:
        rows = select(AttemptRow).where(AttemptRow.trial_id == trial_id)
        return list(session.scalars(rows.order_by(AttemptRow.attempt)))
