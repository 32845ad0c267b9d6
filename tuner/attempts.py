"""The history of a trial: one row for each attempt at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from alphagrad.tuner.database import Database, db_now
from alphagrad.tuner.errors import ConflictError
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


def unstored(
    session: Session, trial: TrialRow, of: Literal["samples", "values"], *, first: int, count: int
) -> int:
    """Count what of a batch is stored already, and note that now all of it is.

    A batch comes again when the answer to it was lost, the commit's or the request's; the second
    one may hold more.

    Args:
        session: the transaction that stores the batch.
        trial: the trial's row, locked.
        of: what the batch holds.
        first: how many of its kind the attempt sent before.
        count: how many it holds.

    Returns:
        The first place in the batch that is to be stored.

    Raises:
        ConflictError: something between what is stored and the batch is missing.
    """
    row = session.get(AttemptRow, (trial.id, trial.attempt))
    if row is None:  # it began before attempts were recorded
        return 0
    stored: int = getattr(row, of)
    if first > stored:
        raise ConflictError(f"first={first}, but {stored} {of} of this attempt are stored so far")
    setattr(row, of, max(stored, first + count))
    return min(stored - first, count)


@dataclass(frozen=True, slots=True)
class Stored:
    """How much of an attempt is stored: samples of its trace, and values of metrics."""

    samples: int = 0
    values: int = 0


def stored(session: Session, trial: TrialRow) -> Stored:
    """Say how much of a trial's latest attempt is stored."""
    row = session.get(AttemptRow, (trial.id, trial.attempt))
    return Stored() if row is None else Stored(samples=row.samples, values=row.values)


def list_attempts(database: Database, trial_id: int) -> list[AttemptRow]:
    """All attempts at a trial, oldest first."""
    with database.read() as session:
        rows = select(AttemptRow).where(AttemptRow.trial_id == trial_id)
        return list(session.scalars(rows.order_by(AttemptRow.attempt)))
