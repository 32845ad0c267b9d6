"""Knob commands: requests to change α in a running trial, and what became of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from alphagrad.tuner import events
from alphagrad.tuner.database import Database, db_now
from alphagrad.tuner.errors import (
    ConflictError,
    FieldError,
    PreconditionError,
    SpecError,
    StaleFenceError,
)
from alphagrad.tuner.messages import KnobAnswer, KnobCommand
from alphagrad.tuner.models import AttemptRow, KnobRow, TrialRow

# The normal numbers of float32, the type that α is kept in; written out, as torch is not imported.
SMALLEST_ALPHA = 1.1754943508222875e-38
LARGEST_ALPHA = 3.4028234663852886e38


def request_knob(
    database: Database,
    trial: TrialRow,
    *,
    layers: str = "*",
    alpha: float | None = None,
    pin: bool | None = None,
    only_after: Collection[int] | None = None,
) -> KnobRow:
    """Ask a running trial to change α.

    Args:
        database: the database.
        trial: the trial's row.
        layers: a glob on layer names.
        alpha: the new steepness; ``None`` leaves it.
        pin: ``True`` keeps schedulers off the layers, ``False`` releases them, ``None`` leaves.
        only_after: only if the trial's latest command is one of these, by id; 0 is that it has
            none. ``None`` does not ask.

    Raises:
        SpecError: no change asked for, or an α that a float32 cannot hold.
        ConflictError: the trial is not running.
        PreconditionError: another command came between.
    """
    if alpha is None and pin is None:
        raise SpecError([FieldError("alpha", None, "give alpha, pin or both")])
    if alpha is not None and not SMALLEST_ALPHA <= alpha <= LARGEST_ALPHA:
        message = f"must be in [{SMALLEST_ALPHA}, {LARGEST_ALPHA}], the range of a float32"
        raise SpecError([FieldError("alpha", alpha, message)])
    with database.write() as session:
        state = session.scalar(
            select(TrialRow.state).where(TrialRow.id == trial.id).with_for_update()
        )
        if state != "RUNNING":
            raise ConflictError(
                f"trial {trial.number} is {state}: alpha can be changed in a RUNNING trial only"
            )
        if only_after is not None:
            latest = session.scalar(
                select(func.max(KnobRow.id)).where(KnobRow.trial_id == trial.id)
            )
            if (latest or 0) not in only_after:
                raise PreconditionError(
                    f"trial {trial.number} was given another command since; its commands are at "
                    f"…/knobs, the latest has the id {latest}"
                )
        knob = KnobRow(trial_id=trial.id, layers=layers, alpha=alpha, pin=pin, state="requested")
        knob.requested_at = db_now()
        session.add(knob)
        session.flush()
        session.refresh(knob)
        _say(session, trial.study_id, knob)
        return knob


def list_knobs(database: Database, trial_id: int) -> list[KnobRow]:
    """All commands a trial was given, oldest first."""
    with database.read() as session:
        rows = select(KnobRow).where(KnobRow.trial_id == trial_id).order_by(KnobRow.id)
        return list(session.scalars(rows))


def open_commands(database: Database, trial_ids: Iterable[int]) -> list[tuple[int, KnobCommand]]:
    """Commands not answered yet, trial by trial, oldest first, as (trial row id, command)."""
    with database.read() as session:
        rows = session.scalars(
            select(KnobRow)
            .where(KnobRow.trial_id.in_(list(trial_ids)), KnobRow.state == "requested")
            .order_by(KnobRow.trial_id, KnobRow.id)
        )
        return [(row.trial_id, KnobCommand(row.id, row.layers, row.alpha, row.pin)) for row in rows]


def record_answer(database: Database, answer: KnobAnswer, *, trial_id: int, fence: int) -> None:
    """Write down what the trial did with a command; one that is answered already stays as it is.

    Raises:
        StaleFenceError: the lease was lost; the attempt that runs now answers.
    """

    def attempt(session: Session) -> None:
        study_id = session.scalar(
            select(TrialRow.study_id)
            .where(TrialRow.id == trial_id, TrialRow.fence == fence, TrialRow.state == "RUNNING")
            .with_for_update()
        )
        if study_id is None:
            raise StaleFenceError(f"trial row {trial_id}: the lease with fence {fence} is lost")
        answered = session.scalars(
            update(KnobRow)
            .where(KnobRow.id == answer.id, KnobRow.trial_id == trial_id)
            .where(KnobRow.state == "requested")
            .values(
                state="applied" if answer.applied else "rejected",
                step=answer.step,
                reason=answer.reason,
                answered_at=db_now(),
            )
            .returning(KnobRow)
        )
        for knob in answered:
            _say(session, study_id, knob)

    database.retry(attempt)


def ask_again(session: Session, trial: TrialRow, *, since: int) -> None:
    """Ask once more for what earlier attempts applied at steps that this one makes anew.

    Not after an exploit, by which the trial has another member's steps and α.

    Args:
        session: a transaction of the caller's.
        trial: the trial, locked.
        since: the first step that is made anew.
    """
    before = session.get(AttemptRow, (trial.id, trial.attempt - 1))
    if before is None or before.outcome == "EXPLOITED":
        return
    now = session.get_one(AttemptRow, (trial.id, trial.attempt))
    again = session.scalars(
        update(KnobRow)
        .where(KnobRow.trial_id == trial.id, KnobRow.state == "applied", KnobRow.step >= since)
        .where(KnobRow.answered_at < now.started_at)
        .values(state="requested", step=None, answered_at=None)
        .returning(KnobRow)
    )
    for knob in again:
        _say(session, trial.study_id, knob)


def reject_open_knobs(session: Session, trial: TrialRow) -> None:
    """Close the commands of a trial that has ended."""
    rejected = session.scalars(
        update(KnobRow)
        .where(KnobRow.trial_id == trial.id, KnobRow.state == "requested")
        .values(state="rejected", reason="the trial has ended", answered_at=db_now())
        .returning(KnobRow)
    )
    for knob in rejected:
        _say(session, trial.study_id, knob)


def _say(session: Session, study_id: int, knob: KnobRow) -> None:
    facts = {column.key: getattr(knob, column.key) for column in KnobRow.__table__.columns}
    del facts["trial_id"]
    events.emit(session, "trial.knob", study_id=study_id, trial_id=knob.trial_id, knob=facts)
